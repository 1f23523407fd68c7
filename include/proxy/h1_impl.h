/* The inside of a client's HTTP/1 connection. For src/proxy/h1_*.c alone: h1_conn.c holds its life
 * and requests, h1_input.c the bytes that wait, h1_send.c its output, h1_clock.c its deadlines,
 * h1_tunnel.c its change to another protocol. */
#ifndef BRINK_PROXY_H1_IMPL_H
#define BRINK_PROXY_H1_IMPL_H

#include "http/h1_body.h"
#include "net/chan.h"
#include "proxy/h1_conn.h"
#include "proxy/rate.h"
#include "proxy/request.h"
#include "proxy/watch.h"

#define CONN_TAG 0x636f6e6eU

enum { LEADS_MAX = 4 };

enum conn_phase { PHASE_IDLE, PHASE_HEAD, PHASE_EXCHANGE, PHASE_LINGER, PHASE_TUNNEL };

struct conn {
    uint32_t tag;
    struct list link; /* in proxy->conns */
    struct loop_reap reap;
    struct proxy *proxy;
    struct chan chan;
    struct loop_timer timer;
    struct watch watch;
    struct sock_addr peer;
    uint64_t id;
    enum conn_phase phase;
    bool eof;     /* the client sends no more */
    bool working; /* process() is on the stack: it will flush */
    bool yielded; /* requests wait, but others have their turn first */
    size_t linger_len;
    unsigned requests_n;

    char *in; /* input that waits: the next request, or a body the origin does not take yet */
    size_t in_off, in_end, in_cap; /* it is in[in_off .. in_end) */
    size_t scanned;                /* of an unfinished head */
    unsigned empty_lines_n;        /* skipped since the last request */

    /* the exchange */
    struct request *req;
    struct h1_body body;    /* of the request */
    uint64_t body_len;      /* decoded so far */
    uint64_t body_read_len; /* as it came */
    struct slice untaken;   /* decoded body bytes not taken yet, in untaken_mem */
    char *untaken_mem;
    size_t untaken_cap;
    struct rate rate;     /* of the client, */
    enum watch_kind pace; /* as what: WATCH_BODY, WATCH_READER; NONE: not yet */
    uint64_t ends_ms;     /* of the whole exchange; 0: not yet set */
    bool body_open;       /* the request's body is not whole yet */
    bool continue_due;    /* 100 (Continue) is owed */
    bool keep_alive;
    bool replying, chunked, ended;
    struct slice leads[LEADS_MAX];
    unsigned leads_n;
    bool head_sent;
    uint64_t chunk_left;
    char chunk_line[H1_CHUNK_HEAD_MAX];

    struct conn_tunnel *tunnel; /* PHASE_TUNNEL: `chan` has moved there */
};

void conn_close(struct conn *conn, bool abort);    /* the only exit */
bool conn_is_closed(const struct conn *conn);      /* it was, in this turn of the loop */
void conn_want(struct conn *conn, unsigned extra); /* input if there is room for it, and `extra` */
void conn_finish_exchange(struct conn *conn);      /* the reply is out whole */

/* Answer and close; what follows on this connection cannot be trusted. */
void conn_refuse(struct conn *conn, enum err rc, const char *why);

/* --- h1_input.c --- */

struct slice conn_input(const struct conn *conn);
size_t conn_input_len(const struct conn *conn);           /* bytes that wait */
bool conn_input_has_room(const struct conn *conn);        /* more may be read */
enum err conn_read(struct conn *conn, struct slice *out); /* *out: all there is; as chan_read */
enum err conn_keep_input(struct conn *conn, struct slice rest); /* what was not used up of it */
enum err conn_keep_untaken(struct conn *conn, struct slice data);
void conn_drop_untaken(struct conn *conn);
void conn_free_input(struct conn *conn);

/* --- h1_clock.c --- */

/* Who is waited for from now on. */
void conn_await_head(struct conn *conn, bool begun);
void conn_await_body(struct conn *conn);
void conn_await_reader(struct conn *conn);
void conn_await_origin(struct conn *conn);
void conn_await_close(struct conn *conn, uint64_t most_ms); /* LINGER */
void conn_on_timer(struct loop_timer *timer);
extern const struct watch_ops conn_watch_ops;

/* --- h1_send.c --- */

void conn_on_reply(void *arg); /* the request has its answer: the carrier's on_reply */
void conn_on_interim(void *arg, struct slice head);
void conn_put_interim(struct conn *conn, struct slice head); /* a 1xx, before the reply */
void conn_flush_interim(struct conn *conn);
void conn_flush(struct conn *conn); /* write as much as goes; may end exchange and connection */

/* --- h1_tunnel.c --- */

void conn_on_upgrade(void *arg, struct slice head); /* the carrier's on_upgrade */
void conn_stop_tunnel(struct conn *conn, bool cut); /* harmless without one; writes its log line */

#endif
