/* One request of a client, from its parsed head to the last byte of its response: the client-side
 * state machine, the same for every protocol. What carries it (proxy/h1_conn) parses, calls in, and
 * sends what `reply` and `deliver` say.
 *
 *   VET -> COLLECT -> LOOKUP        a QUERY whose content is part of what it is looked up by
 *   VET -> LOOKUP -> REPLY            a stored response does
 *             |----> PARKED -> REPLY  an object is on its way in, for this request or another's
 *             |         '---> TUNNEL  the origin changed to another protocol
 *             '----> ALONE -> PARKED  a fetch of its own: methods that are passed, what cannot be
 *                                     shared
 *   LOOKUP waits when what it needs of the store is on disk alone (proxy/warming.h)
 *   LOOKUP, PARKED -> SLICES -> REPLY  the object is a partial one
 *   VET -> PURGE -> REPLY */
#ifndef BRINK_PROXY_REQUEST_H
#define BRINK_PROXY_REQUEST_H

#include "cache/lookup.h"
#include "cache/status.h"
#include "cache/variant.h"
#include "http/cachectl.h"
#include "proxy/core.h"
#include "proxy/deliver.h"

struct feed;
struct purge_job;
struct request_sliced;

/* state, handler, may be followed by */
#define REQUEST_STATES(X)                                                                          \
    X(VET, request_on_vet, TO(COLLECT) | TO(LOOKUP) | TO(ALONE) | TO(PURGE) | TO(REPLY))           \
    X(COLLECT, request_on_collect, TO(LOOKUP) | TO(ALONE) | TO(REPLY))                             \
    X(LOOKUP, request_on_lookup, TO(PARKED) | TO(ALONE) | TO(SLICES) | TO(REPLY))                  \
    X(ALONE, request_on_alone, TO(PARKED) | TO(REPLY))                                             \
    X(PARKED, on_parked, TO(LOOKUP) | TO(ALONE) | TO(SLICES) | TO(TUNNEL) | TO(REPLY))             \
    X(SLICES, request_on_slices, TO(LOOKUP) | TO(REPLY))                                           \
    X(TUNNEL, on_tunnel, 0)                                                                        \
    X(PURGE, request_on_purge, TO(REPLY))                                                          \
    X(REPLY, on_reply, 0)

enum request_state {
#define X(state, handler, next) REQUEST_##state,
    REQUEST_STATES(X)
#undef X
        REQUEST_STATE_COUNT
};

/* What the carrier does for its request; called on the loop. */
struct request_carrier {
    void (*on_reply)(void *arg);                      /* `reply` and `deliver` are set: send */
    void (*on_progress)(void *arg);                   /* deliver_next has news */
    void (*on_body_wanted)(void *arg);                /* request_body takes more */
    void (*on_interim)(void *arg, struct slice head); /* a whole 1xx; kept by the request */
    /* The origin changes its protocol: request_take_origin; this head goes to the client. */
    void (*on_upgrade)(void *arg, struct slice head);
    void *arg;
};

struct reply {
    unsigned status;
    struct slice
        head;     /* status line and field lines, no empty line; of the map only in this callback */
    bool no_body; /* HEAD, 204, 304 */
    bool has_length; /* `length` says how long the body is (or, for HEAD, would be) */
    uint64_t length;
    bool close;              /* the connection must not be kept */
    enum http_coding coding; /* of the body, as far as it is one of those */
};

enum { REQUEST_EXTRA_MAX = 1024 + VARIANT_LINES_MAX };

/* The content of a QUERY, as far as it was collected. */
struct request_query {
    char *text; /* in the request's arena */
    size_t len, cap;
    size_t sent_len;      /* of what turned out too large to be whole */
    bool whole;           /* it is, and part of `keyed` */
    bool over, too_large; /* no more will come; it goes to the origin as it comes */
};

struct request {
    uint32_t tag;
    struct list link; /* while idle: in proxy->idle_requests */
    struct proxy *proxy;
    struct request_carrier carrier;
    struct arena arena;
    struct http_request http; /* parsed by the carrier into `arena` */
    const struct sock_addr *peer;
    uint64_t conn_id, id;
    int64_t now_s; /* wall time of this activation: read once, whatever asks for it */

    enum request_state state;
    uint8_t trace[8]; /* the states before, newest last */
    const struct site_settings *site;
    struct slice scheme, host;
    struct store_key key;
    struct store_key own_key; /* its URL's; `key` may be that of several: proxy/search_rules.h */
    uint32_t search;          /* of `key`: 0 when it is the URL's own */
    uint64_t search_since;
    struct slice keyed; /* the fields that the site has in its key: cache/vary.h */
    struct cachectl cc;
    struct slice upgrade; /* protocols asked for that the site allows */
    enum lookup_kind kind;
    enum cache_reason reason; /* how it is answered: the first part of the table */
    bool failed_over;         /* the origin failed: a stale object may do */
    bool disconnected;        /* it gave no answer at all */
    enum err failure;         /* failed_over: how it did, for when nothing stored does */
    const char *failure_why;
    bool starter;        /* the fill under `reader` is ours */
    bool collapsed;      /* it shares another's fetch */
    bool uncollapsed;    /* ... which did not do for it */
    unsigned fwd_status; /* of the origin, when its answer was as good as none; 0: none */
    bool awaits_commit;  /* of the fill, to validate what the store has then */

    struct fill *fill;
    struct fill_reader *reader; /* until deliver has it */
    struct feed *feed;
    struct request_sliced *sliced; /* SLICES, and the reply's body after it; NULL: none */
    uint64_t gone;                 /* generation of the partial object that proved to be over */
    uint8_t changes_n;             /* how many did */
    bool for_range;                /* it is passed for its range alone; what comes whole is cut */
    bool unsliced;                 /* the origin serves no ranges: the whole is fetched */
    struct request_query query;
    struct slice hints; /* a 103 that goes out once it waits; empty: none */
    bool hinted;        /* that was thought of */
    struct purge_job *purge;
    struct loop_timer timer;
    struct warming warming;   /* LOOKUP waits for pages to come from disk */
    unsigned cold_n;          /* times in this state that they were not in memory */
    struct deliver_cold cold; /* what is waited for, of a body */
    bool cold_member;         /* ... or whether there is a member */
    /* Which representation the reply is, and of a member its length: enum represent_form */
    uint8_t form, coding;
    uint64_t member_len;

    struct reply reply;
    struct deliver deliver; /* from here on written before it is read, so not cleared for reuse */
    char extra[REQUEST_EXTRA_MAX]; /* our own field lines; the carrier adds its own behind */
    size_t extra_len;

    /* for the access log */
    uint64_t began_us, first_byte_us, body_sent_len;
    enum exchange_outcome outcome;
    enum cache_reason detail; /* what became of the response: the second part, or STALE_ERROR */
    bool told;                /* its line is its carrier's to write */
};

/* An idle one, or a new one; its arena is empty. NULL when out of memory. */
MUST_USE struct request *request_new(struct proxy *proxy, const struct request_carrier *carrier,
                                     const struct sock_addr *peer, uint64_t conn_id);

/* http is parsed: go. on_reply may come at once. */
void request_start(struct request *req);

/* What the client sent is refused: an error reply, and the connection closes. */
void request_refuse(struct request *req, enum err rc, const char *why);

/* Nothing of the reply went out, and its body does not come: an error instead. False: only of what
 * was to be coded or decoded, which may prove impossible at the first byte. */
bool request_answer_unsent(struct request *req);

/* Counter and log alone, for when it is too late for an answer. False: it is no error of a
 * client's.
 */
bool request_count_refusal(enum err rc, const char *why);

/* Somebody waits for body bytes of the client. */
bool request_takes_body(const struct request *req);

/* Body bytes of the client; *out_taken < data.len: the rest after on_body_wanted. What nobody wants
 * is taken and dropped; then the connection must close. */
void request_body(struct request *req, struct slice data, size_t *out_taken);
void request_body_end(struct request *req);

/* Within the carrier's on_upgrade, once: the origin's connection, as fetch_take_chan. */
struct chan;
void request_take_origin(struct request *req, struct chan *to, struct slice *out_early);

/* What it came to until now, for the log of a carrier that goes on without it (and sets `told`);
 * the texts are the request's. */
void request_describe(const struct request *req, struct exchange *out);

/* Sent whole, or the client has gone (`aborted`). The fetch may go on for others. */
void request_free(struct request **slot, bool aborted);

#endif
