/* The proxy as the daemon sees it: settings in, connections in. One struct proxy a worker; what
 * they share is in struct proxy_shared. */
#ifndef BRINK_PROXY_PROXY_H
#define BRINK_PROXY_PROXY_H

#include "cache/fresh.h"
#include "cache/target.h"
#include "proxy/exchange.h"
#include "proxy/origin.h"
#include "proxy/rate.h"
#include "proxy/variants.h"
#include "proxy/watch.h"
#include "storage/store.h"
#include "transform/coder.h"

/* From which request on a response is stored. */
enum site_store_on { SITE_STORE_ON_FIRST, SITE_STORE_ON_SECOND };

struct site_settings {
    const char *name;
    const char *const
        *hosts; /* authorities it answers for, lower case, no default port; none: any */
    size_t hosts_n;
    unsigned origin;        /* position in proxy_settings.origins */
    uint32_t group;         /* of its name: whose share of the store it fills */
    unsigned share_percent; /* 0: none of its own */
    unsigned store_on;      /* enum site_store_on */
    struct cache_settings cache;
    bool early_hints;            /* links of what is validated go out as 103 meanwhile */
    uint32_t hit_for_miss_s;     /* how long a key is remembered as not storable */
    bool pass;                   /* never look up nor store */
    bool status_key;             /* Cache-Status tells the key */
    uint64_t query_body_max_len; /* of a QUERY that is looked up; larger ones are passed */
    uint64_t slice_above_len;    /* larger bodies are kept in slices; 0: none */
    uint64_t slice_len;
    const char *const *key_fields; /* names, lower case: part of the key, so passed on */
    size_t key_fields_n;
    const char *const *key_cookies; /* names of cookies whose values are part of the key */
    size_t key_cookies_n;
    struct cache_target_rules target; /* not when `pass` */
    struct coding_settings coding;
    bool no_vary_search;         /* heed what responses say of their queries */
    const char *const *upgrades; /* protocols that a connection may change to, lower case */
    size_t upgrades_n;
};

struct proxy_settings {
    struct h1_limits head_limits; /* of clients */
    struct h1_body_limits body_limits;
    uint64_t request_body_max_len; /* 0: no limit */
    unsigned head_ms;              /* for a whole request head, from its first byte */
    unsigned idle_ms;              /* between requests */
    unsigned request_ms;           /* for a whole exchange; 0: no limit */
    struct rate_rule body_rule;    /* how slowly a client may send a request's body */
    struct rate_rule reader_rule;  /* ... and take a response */
    unsigned tunnel_ms;            /* without a byte either way, after a change of protocol */
    size_t tunnel_buffer_len;      /* of a tunnel, each way, while its reader is behind */
    struct watch_limits watch;     /* connections */
    size_t pipeline_len;           /* input that may wait behind an exchange */
    unsigned pipeline_burst;       /* requests of one client answered in a row */
    unsigned conn_requests_max;    /* on one connection; 0: no limit */
    unsigned waiters_ms;           /* the longest a request waits for another's fetch to answer */
    uint64_t fill_window_len;      /* memory for one object on its way in */
    uint64_t fill_memory_len;      /* for all of them; 0: no bound */
    uint64_t exchange_memory_len;  /* for all exchanges with origins, and tunnels; 0: no bound */
    uint64_t coder_memory_len;     /* of all that codes or decodes at once; 0: no bound */
    struct coder_bound coder_bound;
    struct variants_settings variants;
    unsigned ranges_max;               /* of one request; more are answered with the whole */
    const char *node_name;             /* in Via and Cache-Status: a token */
    const struct sock_net *purge_from; /* who may PURGE on the traffic port */
    size_t purge_from_n;
    bool keep_tags; /* let clients see tag fields */
    const struct origin_settings *origins;
    size_t origins_n;
    const struct site_settings
        *sites; /* the first whose hosts match; one without hosts matches all */
    size_t sites_n;
    struct exchange_sink exchanges;
};

struct proxy_shared;
struct proxy;

/* `store` and `settings` outlive it. ERR_NOMEM, ERR_SYSTEM (no random numbers). */
MUST_USE enum err proxy_shared_new(struct store *store, const struct proxy_settings *settings,
                                   struct proxy_shared **out);
/* After every proxy, before store_close: what works beside the loops ends. NULL is fine. */
void proxy_shared_stop(struct proxy_shared *shared);
/* After every proxy, and after store_close: objects on their way in end with their commits. */
void proxy_shared_free(struct proxy_shared **slot);

/* `worker`: its number from 0. Called on the thread that runs `loop`, or before it runs. ERR_NOMEM.
 */
MUST_USE enum err proxy_new(struct loop *loop, struct dns *dns, struct proxy_shared *shared,
                            unsigned worker, struct proxy **out);

/* A new client connection; takes fd. */
void proxy_accept(struct proxy *proxy, int fd, const struct sock_addr *peer);
/* No descriptor is left for a new connection. True: room was made, accept again. */
bool proxy_shortage(struct proxy *proxy);

/* Finish: idle connections close now, the others after their current response; `done` is called (on
 * the loop) when the last is gone. */
void proxy_drain(struct proxy *proxy, void (*done)(void *arg), void *arg);
void proxy_abort(struct proxy *proxy); /* close whatever is left, at once */
void proxy_free(struct proxy **slot);  /* on the loop's thread, or after it ended */

#endif
