/* The worker threads: each with its own loop, listeners, resolver and proxy. */
#ifndef BRINK_DAEMON_WORKER_H
#define BRINK_DAEMON_WORKER_H

#include "base/stats.h"
#include "daemon/listeners.h"
#include "net/loop.h"

struct workers;

/* Make them with what they need; nothing is accepted yet. Each takes its sockets of `listeners`.
 * `config`, `store` and `home` (the main loop) outlive them. ERR_SYSTEM, ERR_NOMEM. */
MUST_USE enum err workers_new(const struct config *config, struct listeners *listeners,
                              struct store *store, struct loop *home, struct workers **out);
MUST_USE enum err workers_start(struct workers *workers); /* the threads; ERR_SYSTEM */

/* What they share; until workers_free. */
struct proxy_shared;
struct proxy_shared *workers_shared(struct workers *workers);

/* Close the listeners, let requests in flight end until `config->shutdown_ms` is over, then cut
 * them. `gone` is called on the main loop when every thread is through. */
void workers_stop(struct workers *workers, void (*gone)(void *arg), void *arg);
void workers_hurry(struct workers *workers); /* after workers_stop: cut them now */

/* Wait for the threads and free what they used of the store: it may be closed then. */
void workers_join(struct workers *workers);
void
workers_free(struct workers **slot); /* after the store was closed: it may still post to a loop */

#endif
