/* From what an operator names to what the store forgets; and what an unsafe method invalidates.
 * RFC 9111 section 4.4. */
#ifndef BRINK_CACHE_PURGE_H
#define BRINK_CACHE_PURGE_H

#include "cache/key.h"
#include "cache/target.h"
#include "http/url.h"

/* What is known of URLs. `rules`: how the site that answers for a normalised authority wants its
 * targets; NULL: as they come. `common`: a further key that the URL's objects are under; false:
 * none; may be NULL. */
struct purge_sites {
    const struct cache_target_rules *(*rules)(const void *arg, struct slice host);
    bool (*common)(const void *arg, struct arena *arena, struct slice key_text, struct slice *out);
    const void *arg;
};

/* Rows for an absolute URL: every variant of it, under its own key (the first row) and the common
 * one. *out_n: rows filled, at most 2. Texts in the arena. `sites`: NULL when nothing is known.
 * ERR_SYNTAX, ERR_NOMEM. */
MUST_USE enum err purge_url(struct arena *arena, const struct purge_sites *sites, struct slice url,
                            bool soft, struct store_purge out[2], size_t *out_n);

/* "https://host/path" or "host/path" (both schemes: two rows). *out_n: rows filled, at most 2. A
 * query in it is taken as it is, for it need not be whole; the path has its site's case. */
MUST_USE enum err
purge_prefix(struct arena *arena, const struct purge_sites *sites, struct slice prefix, bool soft,
             struct store_purge out[2], size_t *out_n);
MUST_USE enum err
purge_host(struct arena *arena, struct slice host, bool soft, struct store_purge *out);
MUST_USE enum err purge_tag(struct slice tag, bool soft, struct store_purge *out);
void purge_everything(bool soft, struct store_purge *out);

/* The keys that a successful unsafe request invalidates: its own, and those of Location and
 * Content-Location of the same origin. `base`: the request's URL; `rules`: its site's, or NULL.
 * ERR_NOMEM. */
enum { PURGE_INVALIDATED_MAX = 3 };
bool purge_invalidates(enum http_method method, unsigned status);
MUST_USE enum err purge_invalidated(struct arena *arena, const struct cache_target_rules *rules,
                                    const struct url *base, const struct http_response *response,
                                    struct store_purge out[PURGE_INVALIDATED_MAX], size_t *out_n);

#endif
