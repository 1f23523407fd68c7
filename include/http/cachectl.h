/* Cache-Control and its targeted forms. RFC 9111 section 5.2, RFC 5861, RFC 8246, RFC 9213. */
#ifndef BRINK_HTTP_CACHECTL_H
#define BRINK_HTTP_CACHECTL_H

#include "http/field.h"

enum {
    CC_NO_STORE = 1 << 0,
    CC_NO_CACHE = 1 << 1,        /* without field names */
    CC_NO_CACHE_FIELDS = 1 << 2, /* no-cache="field"; see cachectl_withholds */
    CC_PRIVATE = 1 << 3,
    CC_PRIVATE_FIELDS = 1 << 4, /* private="field" */
    CC_PUBLIC = 1 << 5,
    CC_MUST_REVALIDATE = 1 << 6,
    CC_PROXY_REVALIDATE = 1 << 7,
    CC_MUST_UNDERSTAND = 1 << 8,
    CC_NO_TRANSFORM = 1 << 9,
    CC_IMMUTABLE = 1 << 10,
    CC_ONLY_IF_CACHED = 1 << 11,
    CC_MAX_AGE = 1 << 12, /* the number below is given */
    CC_S_MAXAGE = 1 << 13,
    CC_MIN_FRESH = 1 << 14,
    CC_MAX_STALE = 1 << 15, /* without a value: any */
    CC_STALE_WHILE_REVALIDATE = 1 << 16,
    CC_STALE_IF_ERROR = 1 << 17,
    CC_TARGETED = 1 << 18, /* out of a targeted field: Expires does not count, RFC 9213 */
};

struct cachectl {
    uint32_t flags; /* CC_* */
    uint32_t max_age_s, s_maxage_s, min_fresh_s, max_stale_s;
    uint32_t stale_while_revalidate_s, stale_if_error_s;
};

/* All Cache-Control fields. Unknown directives are ignored; of repeated or conflicting ones the
 * most conservative counts: the smaller number; a malformed max-age or s-maxage counts as 0 (RFC
 * 9111 section 4.2.1: stale). no-cache="..." and private="..." that name a field without which the
 * rest could not be used or judged (any that brink knows but Set-Cookie) restrict the whole
 * response. */
void cachectl_parse(const struct http_fields *fields, struct cachectl *out);
void
cachectl_parse_field(const struct http_fields *fields, enum http_token token, struct cachectl *out);

/* A targeted field, such as CDN-Cache-Control (RFC 9213): a Dictionary, so names in lower case only
 * and the last of repeated directives. Values of a wrong type are not used: a lifetime is then 0,
 * and anything else not given. False: the field is absent, invalid or empty, and *out is as it was.
 */
bool
cachectl_parse_targeted(const struct http_fields *fields, struct slice name, struct cachectl *out);

/* Is the field named by a no-cache="..." or private="..." of Cache-Control, so that it may not be
 * reused for others? RFC 9111 sections 5.2.2.4 and 5.2.2.7. */
bool cachectl_withholds(const struct http_fields *fields, struct slice name);

#endif
