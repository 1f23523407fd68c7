/* An origin as one worker sees it: its servers, their addresses and its pool of idle connections.
 */
#ifndef BRINK_PROXY_ORIGIN_H
#define BRINK_PROXY_ORIGIN_H

#include <stdatomic.h>

#include "http/h1_body.h"
#include "http/h1_parse.h"
#include "net/dns.h"
#include "net/loop.h"
#include "proxy/buffers.h"

struct origin_server_settings {
    const char *host; /* name or address */
    uint16_t port;
    unsigned weight; /* share of the requests, 1 to 100 */
};

enum { ORIGIN_SERVERS_MAX = 64 };
struct origin_settings {
    const char *name; /* for logs */
    const struct origin_server_settings *servers;
    size_t servers_n;
    const char *host_header; /* NULL: the client's Host is passed on */
    unsigned connect_ms, first_byte_ms, between_bytes_ms;
    unsigned body_ms;         /* for a whole response body; 0: no limit */
    uint64_t body_rate_min;   /* so many bytes of it extend body_ms by a second; 0: none do */
    unsigned connections_max; /* in use at once; 0: no limit */
    unsigned interim_max;     /* 1xx responses before the final one */
    unsigned idle_max;        /* idle connections kept, per worker */
    unsigned idle_ms;         /* for so long */
    struct h1_limits head_limits;
    struct h1_body_limits body_limits;
};

struct origin;

/* `settings` outlives it. ERR_NOMEM; ERR_LIMIT: more than ORIGIN_SERVERS_MAX servers. */
MUST_USE enum err origin_new(struct loop *loop, struct dns *dns,
                             const struct origin_settings *settings, struct origin **out);
/* Connections in use are counted in `in_use`, and memory in `buffers`, which others may share;
 * without it for this origin alone, and without a bound of memory. Before the first fetch. */
void origin_count_in(struct origin *origin, atomic_uint *in_use, struct buffers *buffers);
void origin_free(struct origin **slot); /* no fetch uses it any more; idle connections close */
const struct origin_settings *origin_settings(const struct origin *origin);

#endif
