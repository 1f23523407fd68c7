/* The inside of a fetch. For src/proxy/fetch*.c alone: fetch.c holds the machine and the fetch's
 * life, the others the handlers of its states. */
#ifndef BRINK_PROXY_FETCH_IMPL_H
#define BRINK_PROXY_FETCH_IMPL_H

#include "proxy/fetch.h"
#include "proxy/pool.h"

enum { FETCH_TAG = 0x66657463 };

/* state, handler, may be followed by; FAIL may follow all but DONE and OVER */
#define FETCH_STATES(X)                                                                            \
    X(PICK, fetch_on_pick, TO(RESOLVE) | TO(CONNECT) | TO(SEND))                                   \
    X(RESOLVE, fetch_on_resolve, TO(CONNECT) | TO(PICK))                                           \
    X(CONNECT, fetch_on_connect, TO(CONNECTING) | TO(PICK))                                        \
    X(CONNECTING, fetch_on_connecting, TO(SEND) | TO(CONNECT))                                     \
    X(SEND, fetch_on_send, TO(HEAD))                                                               \
    X(HEAD, fetch_on_head, TO(SEND) | TO(BODY) | TO(PICK))                                         \
    X(BODY, fetch_on_body, TO(DONE))                                                               \
    X(DONE, on_done, TO(OVER))                                                                     \
    X(FAIL, on_fail, TO(OVER))                                                                     \
    X(OVER, on_over, 0)

enum fetch_state {
#define X(name, handler, next) FETCH_##name,
    FETCH_STATES(X)
#undef X
};

enum step { STEP_AGAIN, STEP_WAIT };

struct fetch {
    uint32_t tag;
    struct origin *origin;
    struct list link; /* origin->free_fetches */
    char *head;       /* the request's; kept for the next fetch */
    size_t head_cap;
    char *kept; /* bytes of the response to be looked at again; kept for the next fetch */
    size_t kept_cap;

    /* what follows, up to `answer`, starts as zero */
    struct fetch_events events;
    void *arg;
    struct slice upgrade; /* protocols asked for; empty: none */
    enum fetch_state state;
    enum http_method method;
    bool starting, running; /* inside fetch_start; inside run() */
    bool kicked;            /* `kick` is on its way */
    bool reused;            /* the connection served before */
    bool fresh_only;        /* a reused one failed: none of these again */
    bool asked;             /* for the server's name */
    bool counted;           /* as a request sent on this connection */
    bool ended;             /* the request's body is whole */
    bool refused;           /* the origin does not read the request on */
    bool body_wanted;       /* the owner has more than was taken */
    bool body_begun;        /* something of it was taken */
    bool answered;          /* some byte of a response came */
    bool keep_alive;        /* the response allows another request */
    bool paused;            /* no room: waits for fetch_resume */
    bool logged;            /* `rc` was */
    bool claimed;           /* counted among the origin's connections in use */
    unsigned ready;         /* CHAN_*: seen and not used up */
    unsigned connects_n, interim_n;
    enum err rc; /* of the failure so far; then of the last word */
    const char *why;

    uint64_t tried;      /* servers, a bit each */
    uint64_t give_up_ms; /* connecting in all */
    struct origin_server *server;
    struct origin_conn *conn;
    struct dns_query *query;
    enum err dns_rc;
    unsigned addr_at; /* next of answer.addrs */

    size_t head_len, head_sent;
    enum http_framing out_framing;
    uint64_t out_left; /* FRAMING_LENGTH: bytes not yet taken */
    char *out;         /* coded body to be sent: out[out_off .. out_len) */
    size_t out_off, out_len, out_cap;

    size_t held_len; /* of origin->buffers: what head, kept and out have */

    size_t kept_len, scanned; /* of a head that came in part */
    struct h1_body body;
    bool expects; /* the body must have `expected` more bytes */
    uint64_t expected;
    uint64_t body_until_ms, body_in, paused_ms; /* settings->body_ms and what extends it */
    struct slice data, in; /* decoded bytes to be given on, and what follows them undecoded */

    struct loop_timer timer;
    struct loop_msg kick;
    struct loop_reap reap;
    struct dns_answer answer;
};

/* Says what follows; always STEP_AGAIN. Asserts that it may. */
enum step fetch_goto(struct fetch *fetch, enum fetch_state state);
/* The fetch ends with this error; always STEP_AGAIN. `why`: a constant for people. */
enum step fetch_fail(struct fetch *fetch, enum err rc, const char *why);

void fetch_run(struct fetch *fetch);  /* goes on until it must wait; nothing when it is running */
void fetch_kick(struct fetch *fetch); /* the same when the current callbacks are through */
void fetch_deadline(struct fetch *fetch, unsigned in_ms);
bool fetch_unsent(const struct fetch *fetch); /* something of the request is yet to be written */
void fetch_drop_conn(struct fetch *fetch);    /* harmless without one */
void fetch_account(struct fetch *fetch);      /* after any change of its buffers */
bool fetch_want(struct fetch *fetch, unsigned wanted); /* false: no memory */

/* fetch_connect.c */
enum step fetch_on_pick(struct fetch *fetch);
enum step fetch_on_resolve(struct fetch *fetch);
enum step fetch_on_connect(struct fetch *fetch);
enum step fetch_on_connecting(struct fetch *fetch);
void fetch_connect_timeout(struct fetch *fetch); /* the deadline of RESOLVE or CONNECTING came */

/* fetch_send.c */
enum step fetch_on_send(struct fetch *fetch);
void fetch_stop_sending(struct fetch *fetch); /* the rest of the request is given up */

/* fetch_upgrade.c */
enum step fetch_switch(struct fetch *fetch, const struct http_response *response); /* a 101 came */

/* fetch_read.c */
enum step fetch_on_head(struct fetch *fetch);
enum step fetch_on_body(struct fetch *fetch);
enum step fetch_body_timeout(struct fetch *fetch); /* the deadline of BODY came */

#endif
