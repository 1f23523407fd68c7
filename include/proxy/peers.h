/* Connections of each client address, over all workers: an IPv4 address, or an IPv6 network of 64
 * bits, for that is what one customer gets. An address is remembered while it has connections, so
 * memory is bounded by their number. Any thread may call; a lock for each shard. */
#ifndef BRINK_PROXY_PEERS_H
#define BRINK_PROXY_PEERS_H

#include "net/sock.h"

struct peers;

/* Room for so many addresses before chains get long. ERR_NOMEM. */
MUST_USE enum err peers_new(unsigned addresses, struct peers **out);
void peers_free(struct peers **slot);

uint64_t peers_key(const struct sock_addr *addr); /* what counts as one address */

/* One connection more. ERR_LIMIT: the address has `max` already (0: no limit); ERR_NOMEM. */
MUST_USE enum err peers_enter(struct peers *peers, uint64_t key, unsigned max);
void peers_leave(struct peers *peers, uint64_t key);

unsigned peers_count(struct peers *peers, uint64_t key);

#endif
