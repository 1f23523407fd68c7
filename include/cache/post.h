/* May a response to POST be stored, for a later GET or HEAD? RFC 9110 section 9.3.3, RFC 9111
 * section 3. */
#ifndef BRINK_CACHE_POST_H
#define BRINK_CACHE_POST_H

#include "cache/fresh.h"
#include "http/url.h"

/* As fresh_admit, for a request with POST to `base`: besides all that a GET's response must fulfil,
 * the response is a 200 or 203, says itself how long it is fresh, and its Content-Location is the
 * URL that was asked for. REASON_METHOD when it is not meant for a later GET at all. */
enum cache_reason post_admit(struct arena *arena, const struct cache_settings *settings,
                             const struct http_request *request, const struct url *base,
                             const struct http_response *response, int64_t request_s,
                             int64_t response_s, struct cache_object *out);

#endif
