/* May this request be answered from the cache, and does this stored response do? RFC 9111
 * section 4. */
#ifndef BRINK_CACHE_LOOKUP_H
#define BRINK_CACHE_LOOKUP_H

#include "cache/fresh.h"
#include "cache/vary.h"

/* What kind of request it is for a cache, before any look-up. */
enum lookup_kind {
    LOOKUP_CACHE, /* GET or HEAD: look up, then fetch into the store */
    LOOKUP_PASS   /* to the origin and back, unstored */
};
/* *out_reason: why LOOKUP_PASS; REASON_NOT_STORED for LOOKUP_CACHE. */
enum lookup_kind lookup_classify(const struct http_request *request, enum cache_reason *out_reason);

enum lookup_use {
    LOOKUP_FRESH,    /* send it */
    LOOKUP_STALE,    /* send it and validate in the background (RFC 5861 section 3) */
    LOOKUP_VALIDATE  /* ask the origin first, with our validators when there are any */
};
struct lookup_verdict {
    enum lookup_use use;
    enum cache_reason reason;
    uint32_t age_s;
    int64_t ttl_s;
    bool may_serve_on_error;     /* instead of a 500, 502, 503 or 504 too: RFC 5861 section 4 */
    bool may_serve_disconnected; /* when the origin cannot be reached: RFC 9111 section 4.2.4 */
};
/* `object` is the request's variant: cache_vary_matches. `soft_purged`: stale whatever its lifetime. ttl_s is then 0 at most. */
void lookup_judge(const struct cache_settings *settings, const struct http_request *request,
                  const struct cachectl *request_cc, const struct cache_object *object,
                  bool soft_purged, int64_t now_s, struct lookup_verdict *out);

#endif
