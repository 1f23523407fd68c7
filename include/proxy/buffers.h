/* The memory of all exchanges with origins and of all tunnels: heads, bodies of requests, what a
 * receiver does not take yet. One total for the daemon, changed only when a buffer is made or
 * freed; a hit has none. What can do with less is paced when three quarters are taken; the last
 * quarter is for what cannot, and when that is taken too, new exchanges are refused. */
#ifndef BRINK_PROXY_BUFFERS_H
#define BRINK_PROXY_BUFFERS_H

#include <stdatomic.h>

#include "base/check.h"

struct buffers {
    uint64_t max; /* 0: no bound */
    _Atomic uint64_t len;
};

/* For what can do with less. False: there is no room, which is counted; nothing was taken. */
MUST_USE bool buffers_take(struct buffers *buffers, size_t len);
void buffers_force(struct buffers *buffers, size_t len); /* for what cannot */
void buffers_give(struct buffers *buffers, size_t len);  /* back */
bool buffers_are_full(struct buffers *buffers);          /* nothing new may begin */

#endif
