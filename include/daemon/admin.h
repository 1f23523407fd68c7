/* The admin listener: purge API, health, metrics, statistics and what is stored under an URL. On
 * the main loop, away from traffic. */
#ifndef BRINK_DAEMON_ADMIN_H
#define BRINK_DAEMON_ADMIN_H

#include "daemon/listeners.h"

struct admin;
struct loop;

/* Serve on the admin's socket of `listeners`. `config` and `store` outlive it. ERR_NOMEM,
 * ERR_LIMIT. */
MUST_USE enum err admin_start(const struct config *config, struct listeners *listeners,
                              struct store *store, struct loop *loop, struct admin **out);

/* What the workers share, which outlives admin_stop; /explain is answered from here on. */
struct proxy_shared;
void admin_set_proxy(struct admin *admin, struct proxy_shared *shared);

/* Whether traffic is accepted, for /readyz. False from the start on. */
void admin_set_accepting(struct admin *admin, bool accepting);

void admin_stop(struct admin *admin); /* no more requests; its store_reader is given back */
void admin_free(struct admin **slot); /* after the store was closed: purges may still end */

#endif
