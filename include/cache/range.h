/* A single byte range of a stored response. RFC 9110 section 14. */
#ifndef BRINK_CACHE_RANGE_H
#define BRINK_CACHE_RANGE_H

#include "cache/object.h"

enum range_result {
    RANGE_WHOLE,        /* no Range, or one to be ignored: send 200 */
    RANGE_PART,         /* send 206 */
    RANGE_UNSATISFIABLE /* send 416 */
};
struct range {
    uint64_t first, len; /* bytes of the body */
};

/* GET and status 200 only; If-Range compared strongly (RFC 9110 section 13.1.5); several ranges are
 * answered with the whole (section 14.2 allows it). */
enum range_result
range_resolve(const struct http_request *request, const struct cache_object *object,
              uint64_t body_len, int64_t now_s, struct range *out);

#endif
