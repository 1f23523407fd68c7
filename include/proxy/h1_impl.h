/* The inside of a client's HTTP/1 connection. For src/proxy/h1_*.c alone: h1_conn.c holds its life
 * and its input, h1_send.c its output, h1_tunnel.c its change to another protocol. */
#ifndef BRINK_PROXY_H1_IMPL_H
#define BRINK_PROXY_H1_IMPL_H

#include "http/h1_body.h"
#include "net/chan.h"
#include "proxy/h1_conn.h"
#include "proxy/request.h"
#include "proxy/tunnel.h"

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
    struct sock_addr peer;
    uint64_t id;
    enum conn_phase phase;
    bool eof;     /* the client sends no more */
    bool working; /* process() is on the stack: it will flush */
    size_t linger_len;

    char *in; /* input that waits: the next request, or a body the origin does not take yet */
    size_t in_len, in_cap;
    size_t scanned;         /* of an unfinished head */
    unsigned empty_lines_n; /* skipped since the last request */

    /* the exchange */
    struct request *req;
    struct h1_body body;  /* of the request */
    uint64_t body_len;    /* decoded so far */
    struct slice untaken; /* decoded body bytes not taken yet, in untaken_mem */
    char *untaken_mem;
    bool body_open;    /* the request's body is not whole yet */
    bool continue_due; /* 100 (Continue) is owed */
    bool keep_alive;
    bool replying, chunked, ended;
    struct slice leads[LEADS_MAX];
    unsigned leads_n;
    bool head_sent;
    uint64_t chunk_left;
    char chunk_line[H1_CHUNK_HEAD_MAX];

    struct tunnel *tunnel; /* PHASE_TUNNEL: `chan` has moved there */
};

void conn_close(struct conn *conn, bool abort);    /* the only exit */
bool conn_is_closed(const struct conn *conn);      /* it was, in this turn of the loop */
void conn_want(struct conn *conn, unsigned extra); /* input if there is room for it, and `extra` */
void conn_finish_exchange(struct conn *conn);      /* the reply is out whole */

/* --- h1_send.c --- */

void conn_on_reply(void *arg); /* the request has its answer: the carrier's on_reply */
void conn_on_interim(void *arg, struct slice head);
void conn_put_interim(struct conn *conn, struct slice head); /* a 1xx, before the reply */
void conn_flush_interim(struct conn *conn);
void conn_flush(struct conn *conn); /* write as much as goes; may end exchange and connection */

/* --- h1_tunnel.c --- */

void conn_on_upgrade(void *arg, struct slice head); /* the carrier's on_upgrade */
void conn_stop_tunnel(struct conn *conn, bool cut); /* harmless without one; ends its request */

#endif
