/* Byte ranges of a stored response. RFC 9110 section 14. */
#ifndef BRINK_CACHE_RANGE_H
#define BRINK_CACHE_RANGE_H

#include "cache/object.h"

enum range_result {
    RANGE_WHOLE,         /* no Range, or one to be ignored: send 200 */
    RANGE_PART,          /* send 206: one part plainly, several as multipart/byteranges */
    RANGE_UNSATISFIABLE, /* send 416 */
    RANGE_EXCESSIVE      /* more ranges than are answered: send 200, RFC 9110 section 14.2 */
};
struct range {
    uint64_t first, len; /* bytes of the body */
};

enum { RANGE_PARTS_MAX = 64 };
struct range_set {
    size_t n;       /* of RANGE_PART: 1 to RANGE_PARTS_MAX */
    bool ascending; /* each part lies behind the one before */
    struct range parts[RANGE_PARTS_MAX];
};

/* Of which representation parts may be sent, by If-Range: RFC 9110 section 13.1.5. */
enum range_of {
    RANGE_OF_ANY,    /* no Range, or no If-Range: whichever is chosen */
    RANGE_OF_STORED, /* the stored one, whose entity tag it has, whatever would be chosen */
    RANGE_OF_DATED,  /* the stored one, if that is what would be chosen: representations share their
                      * Last-Modified, so nothing says which of them the client has */
    RANGE_OF_MADE,   /* that of *out_coding with *out_hash (variant_if_range) */
    RANGE_OF_NONE    /* it fails: send 200 */
};
enum range_of range_condition(const struct http_request *request, const struct cache_object *object,
                              int64_t now_s, enum http_coding *out_coding, struct slice *out_hash);

/* GET and status 200 only. The parts are in the order asked for; those that overlap or are as good
 * as adjacent are one, those that cannot be satisfied are left out (section 15.3.7.2). `parts_max`:
 * ranges that are answered in parts, 0 or 1: no several (at most RANGE_PARTS_MAX). Ranges that ask
 * for more than the whole, the same bytes again, are excessive (section 17.15). Of what is coded
 * (object->coding) several parts are never sent, but the whole. If-Range is not looked at.
 * `body_len`: of the representation. */
enum range_result range_parts(const struct http_request *request, const struct cache_object *object,
                              uint64_t body_len, unsigned parts_max, struct range_set *out);

/* The same of the stored representation, if If-Range does not forbid it. */
enum range_result
range_resolve(const struct http_request *request, const struct cache_object *object,
              uint64_t body_len, int64_t now_s, unsigned parts_max, struct range_set *out);

#endif
