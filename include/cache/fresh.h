/* Freshness, age and admission: may it be stored, how long is it fresh, how old is it now.
 * RFC 9111 sections 3 and 4.2, RFC 5861. Time is an argument. */
#ifndef BRINK_CACHE_FRESH_H
#define BRINK_CACHE_FRESH_H

#include "cache/object.h"
#include "http/cachectl.h"

/* A lifetime for responses of one status that state none. */
struct cache_status_ttl {
    uint16_t status; /* or 1 to 9: that class, 4 for 400 to 499 */
    uint32_t ttl_s;
};

struct cache_settings {
    const struct cache_status_ttl *status_ttls; /* before heuristics and default_ttl_s */
    size_t status_ttls_n;
    uint32_t default_ttl_s; /* for storable statuses without any freshness information; 0: none */
    bool heuristic;         /* a tenth of the time since Last-Modified */
    bool heuristic_query, heuristic_set_cookie; /* ... for URLs with a query, with Set-Cookie too */
    uint32_t heuristic_max_s;
    bool vary_normalise;               /* Accept-* by Vary in one form, cache/preference.h */
    bool own_encoding;                 /* codings are brink's affair: cache/variant.h */
    bool store_set_cookie;             /* also what is not explicitly public */
    uint32_t stale_while_revalidate_s; /* when the response does not say; 0: no */
    uint32_t stale_if_error_s;
    uint32_t keep_s;      /* stale for longer than this: as if it were not stored; 0: no limit */
    bool client_no_cache; /* honour no-cache, no-store, max-age of requests */
    const char *const *targeted_fields; /* RFC 9213: lower case, the first that says something
                                         * decides instead of Cache-Control and Expires */
    size_t targeted_fields_n;
};

/* The one valid date among the fields of that name, never negative (what is before 1970 counts as
 * 1970). False: absent, repeated or malformed. `now_s` is for two-digit years. */
bool
fresh_date(const struct http_fields *fields, enum http_token token, int64_t now_s, int64_t *out_s);

/* Does the request bring content? "Content-Length: 0" is none. */
bool fresh_has_body(const struct http_request *request);

/* What Age says: the first member of the first field, 0 when that is no number. RFC 9111 section
 * 5.1. */
uint32_t fresh_age_field_s(const struct http_fields *fields);

/* Seconds since the origin made or validated this response, never negative (RFC 9111 section
 * 4.2.3). */
uint32_t fresh_age_s(const struct cache_object *object, int64_t now_s);

/* Seconds it is still fresh; negative: stale for so long. */
int64_t fresh_ttl_s(const struct cache_object *object, int64_t now_s);

/* May this response to this request be stored, and with what? RFC 9111 section 3.
 * REASON_STORED: *out is filled but for vary and tags (slices borrow the response); any other: why
 * not. `request_s`, `response_s`: when the request was sent and the head received. */
enum cache_reason
fresh_admit(const struct cache_settings *settings, const struct http_request *request,
            const struct http_response *response, int64_t request_s, int64_t response_s,
            struct cache_object *out);

/* Of a response that only passes: what conditions and ranges go by (slices borrow the response),
 * and its age as it says it, for caches before it count. */
void fresh_describe_unstored(const struct http_response *response, int64_t response_s,
                             struct cache_object *out);

/* May the bytes of a 206 be stored, for the response that they are a part of is? It need not repeat
 * what that one says (RFC 9110 section 15.3.7), but what it forbids counts. REASON_STORED, or why
 * not. */
enum cache_reason
fresh_admit_part(const struct cache_settings *settings, const struct http_fields *response);

/* After a 304 or a 200 that validates: recompute times and lifetime from the merged head's fields
 * (with the new Age among them; slices borrow them). Keeps status, vary and tags. RFC 9111 section
 * 4.3.4. False: it must no longer be stored, and *object is as it was. What its Vary names by now
 * is another question: variant_covers. */
bool fresh_update(const struct cache_settings *settings, const struct http_request *request,
                  const struct http_fields *merged, int64_t request_s, int64_t response_s,
                  struct cache_object *object);

#endif
