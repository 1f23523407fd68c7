/* What the proxy's modules share: the parts of struct proxy and struct proxy_shared. */
#ifndef BRINK_PROXY_CORE_H
#define BRINK_PROXY_CORE_H

#include "base/list.h"
#include "proxy/buffers.h"
#include "proxy/deliver_code.h"
#include "proxy/fill.h"
#include "proxy/proxy.h"

#define PROXY_TAG 0x70726f78U

enum { PROXY_SCRATCH_MIN = 65536 };

enum { PROXY_HOST_MAX = 128, PROXY_LOOP_ID_LEN = 16 };

enum { REPRESENT_MEMO_MAX = 256 };

/* Accept-Encoding of the request before, and what it says: proxy/represent.h. */
struct represent_memo {
    bool known;
    struct coding_accept accept;
    size_t len;
    char text[REPRESENT_MEMO_MAX];
};

struct precompressed; /* proxy/precompressed.h */
struct search_rules;  /* proxy/search_rules.h */
struct unstorable;    /* keys whose responses were lately not storable: proxy/unstorable.h */

struct proxy_shared {
    struct store *store;
    const struct proxy_settings *settings;
    struct fill_table *fills;
    struct unstorable *unstorable;
    struct search_rules *search;
    struct unstorable *unsliceable; /* keys whose ranges the origin does not serve as it says */
    char loop_id[PROXY_LOOP_ID_LEN + 1]; /* random: this daemon's in CDN-Loop, RFC 8586 */
    uint64_t nonce_seed;                 /* random, and told to nobody */
    _Atomic uint64_t nonces_n;
    atomic_uint *origins_in_use; /* of each of settings->origins: connections of all workers */
    struct buffers buffers;      /* of exchanges and tunnels */
    struct coder_memory coders;  /* of bodies that are coded on their way out */
    struct variants *variants;   /* strong forms of stored bodies */
    struct watch_totals watch;
};

struct proxy {
    uint32_t tag;
    struct loop *loop;
    struct proxy_shared *shared;
    const struct proxy_settings *settings;
    unsigned worker;
    struct store_reader *reader;
    bool reading;            /* a read section is open; it ends with the callback */
    struct origin **origins; /* one for each of settings->origins */
    struct list conns, feeds, slice_feeds;
    unsigned conns_n;
    struct watch_lists watch;            /* the same connections by what they wait for */
    struct precompressed *precompressed; /* files that the pool of strong forms asks for */
    struct list idle_requests;           /* kept for reuse */
    unsigned idle_requests_n;
    bool draining;
    void (*drained)(void *arg);
    void *drained_arg;
    char *scratch;      /* to read into, within one callback */
    size_t scratch_len; /* PROXY_SCRATCH_MIN, or more than the largest head */
    uint64_t next_conn_id, next_req_id;

    /* The host of the request before, when it is normal as it came: most requests repeat it. */
    char host[PROXY_HOST_MAX];
    size_t host_len;
    const struct site_settings *host_site;

    struct represent_memo accept;
    struct deliver_share coding;
};

/* The worker's read section: begun when first needed, ended by whoever the loop called. Nothing of
 * the map is valid after proxy_read_end, and none stays open over a turn of the loop. */
struct store_reader *proxy_read(struct proxy *proxy);
void proxy_read_end(struct proxy *proxy);

/* A number that nobody had before, nor can guess from outside. */
uint64_t proxy_nonce(struct proxy_shared *shared);

void proxy_conn_gone(struct proxy *proxy); /* a connection was taken off `conns` */

#endif
