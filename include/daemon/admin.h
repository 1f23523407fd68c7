/* The admin listener: purge API, health, metrics, statistics and what is stored under an URL. On
 * the main loop, away from traffic. */
#ifndef BRINK_DAEMON_ADMIN_H
#define BRINK_DAEMON_ADMIN_H

#include "daemon/config.h"

struct admin;
struct loop;

/* Listen on config->admin.addr. `config` and `store` outlive it. On failure `why` says what and
 * what to do. ERR_SYSTEM, ERR_NOMEM. */
MUST_USE enum err admin_start(const struct config *config, struct store *store, struct loop *loop,
                              char *why, size_t why_cap, struct admin **out);
size_t admin_format_addr(const struct admin *admin, char out[SOCK_ADDR_TEXT_MAX]); /* real port */

/* Whether traffic is accepted, for /readyz. False from the start on. */
void admin_set_accepting(struct admin *admin, bool accepting);

void admin_stop(struct admin *admin); /* no more requests; its store_reader is given back */
void admin_free(struct admin **slot); /* after the store was closed: purges may still end */

#endif
