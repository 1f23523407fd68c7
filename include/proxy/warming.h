/* A request, or a body on its way, that waits for the store's pages to come from disk. The loop
 * goes on meanwhile; it is never the loop that waits. */
#ifndef BRINK_PROXY_WARMING_H
#define BRINK_PROXY_WARMING_H

#include "storage/store.h"

struct proxy;
struct wake;

/* What was brought in is read again at once. When it has gone again so often (no memory is left
 * for the page cache, or the file system cannot tell), the loop reads it itself. */
enum { WARMING_TRIES_MAX = 4 };

struct warming {
    struct wake *wake; /* NULL: nothing is waited for */
    struct store_warming *job;
};

static inline bool
warming_is_on(const struct warming *warming)
{
    return warming->wake != NULL;
}

/* `fn(arg)` runs on the loop, once, unless warming_end comes first; it has to call that.
 * Errors: ERR_LIMIT (of a look-up: too many wait); ERR_NOMEM. */
MUST_USE enum err warming_find(struct warming *warming, struct proxy *proxy,
                               const struct store_key *key, void (*fn)(void *arg), void *arg);
MUST_USE enum err
warming_body(struct warming *warming, struct proxy *proxy, const struct store_source *source,
             uint64_t off, uint64_t len, void (*fn)(void *arg), void *arg);
void warming_end(struct warming *warming); /* harmless when nothing is waited for */

#endif
