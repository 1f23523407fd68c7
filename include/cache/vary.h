/* Secondary keys. RFC 9111 section 4.1, RFC 9110 section 12.5.5.
 *
 * cache_object.vary begins with the fields that the site has in its key, whatever the response says
 * of them: "=name: value LF" each, or "=name LF" for what the request did not have. Their lines are
 * kept byte for byte, in order, with a byte of 0x1f between them that no value can hold: no two
 * requests that the origin could tell apart have one text. The cookies that the site has in its key
 * follow in the same form, "=;name: ..." each, with their "=" before the value.
 *
 * Of a QUERY (RFC 10008) its content and what describes it follow: "=?content-type: ..." and so on,
 * with
 * "=?" before the content itself, whose bytes other than printable ASCII, and "%", are "%xx":
 * whole, for a hash that attackers can make collide would not do.
 *
 * Then it holds a line for every nominated field: "name: value LF", or "name LF" when the
 * request did not have it. Values have their field lines joined by ", " and the blanks around
 * commas made one way; fields that are no lists stay as they were. "name:~value LF" has a
 * preference in its normal form (cache/preference.h), where the site wants that and it has one.
 * What counts is what the origin got: a field that Connection names is absent, and one that brink
 * writes or drops (proxy/forward.h) is not kept at all. */
#ifndef BRINK_CACHE_VARY_H
#define BRINK_CACHE_VARY_H

#include "cache/object.h"

enum { CACHE_VARY_NAMES_MAX = 64, CACHE_LINES_MARK = 0x1f };

/* The text for the site's names (lower case) and this request; empty without names. ERR_NOMEM. */
MUST_USE enum err cache_keyed_build(struct arena *arena, const char *const *names, size_t names_n,
                                    const struct http_fields *request, struct slice *out_keyed);

/* Adds the site's cookies to that text. A cookie of that name is found behind ";" and behind ",",
 * blanks and all, and reaches to the next ";": some origins read them one way, some the other, and
 * what any of them could take for the cookie must tell two requests apart. ERR_NOMEM. */
MUST_USE enum err
cache_keyed_add_cookies(struct arena *arena, const char *const *cookies, size_t cookies_n,
                        const struct http_fields *request, struct slice *keyed);

/* Adds a QUERY's content. ERR_NOMEM. */
MUST_USE enum err cache_keyed_add_query(struct arena *arena, const struct http_request *request,
                                        struct slice content, struct slice *keyed);

enum {
    CACHE_VARY_NORMALISE = 1,   /* preferences in their normal form */
    CACHE_VARY_OWN_ENCODING = 2 /* Accept-Encoding is no part of it: variant_owns_encoding */
};

/* `keyed` and the nominated names (lower case, sorted, once each) with the request's values, blanks
 * normalised, as stored in cache_object.vary. `how`: CACHE_VARY_*. *out_variant: its hash, 0 and
 * empty text when the response does not vary. ERR_LIMIT: cache_vary_is_star. ERR_NOMEM. */
MUST_USE enum err
cache_vary_build(struct arena *arena, struct slice keyed, unsigned how,
                 const struct http_fields *request, const struct http_fields *response,
                 struct slice *out_vary, uint64_t *out_variant);

/* Vary: *, or as good as that: not a list of names, more than CACHE_VARY_NAMES_MAX of them, or by
 * X-Forwarded-For, in which brink writes the peer's address. */
bool cache_vary_is_star(const struct http_fields *response);

/* Do the request's fields equal the stored ones? `keyed`: of this request. What was stored when the
 * site had other names in its key does not match. */
bool cache_vary_matches(struct slice vary, struct slice keyed, const struct http_fields *request);

/* The first field by which they differ; false: they match. Values are as stored and as they are in
 * the request (or, of the site's key, in `keyed`); ptr is NULL for what was absent. `of_key`: it is
 * a field that the site has in its key, or part of a QUERY; `of_cookie`: a cookie of those;
 * `of_content`: a QUERY's content, escaped. */
struct cache_vary_difference {
    struct slice name, stored, asked;
    bool of_key, of_cookie, of_content;
};
bool cache_vary_differs(struct slice vary, struct slice keyed, const struct http_fields *request,
                        struct cache_vary_difference *out);
/* The next line off such a text, told alike: `stored` is its value. False: no more, or damaged. */
bool cache_vary_next(struct slice *rest, struct cache_vary_difference *out);

/* Is every field that this response's Vary nominates among the stored ones? `how`: as when they are
 * built. */
bool cache_vary_covers(struct slice vary, unsigned how, const struct http_fields *response);

#endif
