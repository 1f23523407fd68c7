/* An origin's inside: its servers and connections. For src/proxy/{origin,pool,fetch}.c alone. */
#ifndef BRINK_PROXY_POOL_H
#define BRINK_PROXY_POOL_H

#include "net/chan.h"
#include "proxy/origin.h"

enum { ORIGIN_TAG = 0x6f726967, ORIGIN_CONN_TAG = 0x6f636f6e };

struct origin_server {
    const struct origin_server_settings *settings;
    int64_t credit;     /* of the weighted round robin */
    uint64_t failed_ms; /* when a connection last failed; 0: the last one stood */
    bool is_literal;    /* `addr` holds its address: nothing to look up */
    struct sock_addr addr;
    struct list idle; /* connections, the one used last at the end */
};

/* Belongs to the fetch that uses it, or is idle in the pool. */
struct origin_conn {
    uint32_t tag;
    struct chan chan;
    struct list link;     /* server->idle */
    struct list age_link; /* origin->idle */
    struct origin *origin;
    struct origin_server *server;
    void *user; /* of chan.on_ready while in use */
    uint64_t opened_ms, idle_ms;
    struct loop_reap reap;
};

struct origin {
    uint32_t tag;
    struct loop *loop;
    struct dns *dns;
    const struct origin_settings *settings;
    bool closing;        /* origin_free was called; the memory goes with the last reference */
    unsigned refs;       /* connections and fetches that are in use or wait to be reaped */
    atomic_uint *in_use; /* exchanges under way, over all workers: settings->connections_max */
    atomic_uint own_in_use;
    struct buffers *buffers; /* of the exchanges */
    struct buffers own_buffers;
    unsigned idle_n;
    struct list idle; /* all idle connections, the one idle longest first */
    struct loop_timer idle_timer;
    struct list free_conns, free_fetches; /* to be used again */
    unsigned free_conns_n, free_fetches_n;
    struct arena arena; /* of the response head that is being told */
    size_t servers_n;
    struct origin_server servers[];
};

enum { ORIGIN_FREE_MAX = 64 }; /* of each kind kept for the next use */

/* The server to try next by weighted round robin, of those not in `tried` (a bit each); one whose
 * connect failed lately only when there is no other. NULL: none is left. */
struct origin_server *origin_choose(struct origin *origin, uint64_t tried, uint64_t now_ms);

/* The right to use a connection, given back by origin_release. False: there are as many in use as
 * may be. */
bool origin_claim(struct origin *origin);
void origin_release(struct origin *origin);

void origin_ref(struct origin *origin);
void origin_unref(struct origin *origin);

/* A connection without a socket, for one to be opened; NULL when out of memory. */
MUST_USE struct origin_conn *pool_conn_new(struct origin_server *server, struct origin *origin);
/* Closes its socket, with a reset when `abort`; *slot becomes NULL, the memory is used again later.
 */
void pool_conn_close(struct origin_conn **slot, bool abort);

/* It sent something that nobody has read. */
bool pool_conn_speaks(const struct origin_conn *conn);

/* The idle connection of `server` that was used last; NULL: there is none that still stands. */
struct origin_conn *pool_take(struct origin *origin, struct origin_server *server);
/* Keeps it for the next request, or closes it when there is no room; *slot becomes NULL. */
void pool_put(struct origin_conn **slot);
void pool_close_idle(struct origin *origin);

/* Fetches that are kept for their next use; freed with the origin. */
void fetch_free_kept(struct origin *origin);

#endif
