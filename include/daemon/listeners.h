/* The sockets that clients and operators come in by, bound before anything else is made: that is
 * all a start needs the rights of root for, and a port that is taken is told before the store is
 * touched. Whoever comes meanwhile waits in the kernel's queue. */
#ifndef BRINK_DAEMON_LISTENERS_H
#define BRINK_DAEMON_LISTENERS_H

#include "daemon/config.h"

struct listeners;

/* Bind every address for every worker (port 0: the first worker's choice is everyone's), and the
 * admin's when it is on. `config` outlives them. On failure `why` says what and what to do.
 * ERR_SYSTEM, ERR_NOMEM. */
MUST_USE enum err
listeners_open(const struct config *config, char *why, size_t why_cap, struct listeners **out);
void listeners_close(struct listeners **slot); /* and the sockets that nobody took */

/* A listening socket, now the caller's; each can be taken once. `at`: of config->listens. */
int listeners_take(struct listeners *listeners, unsigned worker, size_t at);
int listeners_take_admin(struct listeners *listeners);

/* As bound, with real ports; traffic's are separated by commas. "none" without an admin. */
void listeners_format(const struct listeners *listeners, char *out, size_t cap);
void listeners_format_admin(const struct listeners *listeners, char out[SOCK_ADDR_TEXT_MAX]);

#endif
