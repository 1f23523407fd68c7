/* From what an operator names to what the store forgets; and what an unsafe method invalidates.
 * RFC 9111 section 4.4. */
#ifndef BRINK_CACHE_PURGE_H
#define BRINK_CACHE_PURGE_H

#include "cache/key.h"
#include "http/url.h"

/* One row for an absolute URL: every variant of it. Text in the arena. ERR_SYNTAX, ERR_NOMEM. */
MUST_USE enum err
purge_url(struct arena *arena, struct slice url, bool soft, struct store_purge *out);

/* "https://host/path" or "host/path" (both schemes: two rows). *out_n: rows filled, at most 2. */
MUST_USE enum err purge_prefix(struct arena *arena, struct slice prefix, bool soft,
                               struct store_purge out[2], size_t *out_n);
MUST_USE enum err
purge_host(struct arena *arena, struct slice host, bool soft, struct store_purge *out);
MUST_USE enum err purge_tag(struct slice tag, bool soft, struct store_purge *out);
void purge_everything(bool soft, struct store_purge *out);

/* The keys that a successful unsafe request invalidates: its own, and those of Location and
 * Content-Location of the same origin. `base`: the request's URL. ERR_NOMEM. */
enum { PURGE_INVALIDATED_MAX = 3 };
bool purge_invalidates(enum http_method method, unsigned status);
MUST_USE enum err
purge_invalidated(struct arena *arena, const struct url *base, const struct http_response *response,
                  struct store_purge out[PURGE_INVALIDATED_MAX], size_t *out_n);

#endif
