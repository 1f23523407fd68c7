/* One exchange with an origin: connect or reuse, send the request, parse the response, hand its
 * body on. The origin-side state machine. Belongs to one loop; every state has a deadline. RFC
 * 9112; retries by RFC 9110 section 9.2.2. */
#ifndef BRINK_PROXY_FETCH_H
#define BRINK_PROXY_FETCH_H

#include "http/h1_body.h"
#include "proxy/origin.h"

struct fetch;

struct fetch_request {
    struct slice head; /* the whole head with its empty line; copied */
    enum http_method method;
    enum http_framing body_framing; /* NONE, LENGTH or CHUNKED: how the body is sent */
    uint64_t body_len;              /* FRAMING_LENGTH */
    struct slice upgrade; /* protocols the head asks for (http/upgrade.h); outlives the fetch */
};

/* All are called from the fetch's loop, never inside a function below; after on_end, on_fail or
 * fetch_cancel none is. A callback may call any of them, also fetch_cancel. */
struct fetch_events {
    /* 1xx other than 100 and 101. May be NULL. */
    void (*on_interim)(void *arg, const struct http_response *response);

    /* The final head; what it borrows ends with the call. */
    void (*on_head)(void *arg, const struct http_response *response);

    /* Where the next body bytes go: *out_room and its length; 0: no room now, reading pauses until
     * fetch_resume. Then `n` of them are there (decoded; never 0, at most the room given last). It
     * may be asked for again before anything was filled. */
    size_t (*on_room)(void *arg, char **out_room);
    void (*on_filled)(void *arg, size_t n);

    void (*on_end)(void *arg);                                /* the body is whole */
    void (*on_fail)(void *arg, enum err rc, const char *why); /* `why`: a constant for people */

    /* The request body: more of it can be taken now. May be NULL without one. */
    void (*on_body_wanted)(void *arg);

    /* 101, for `protocol` of request.upgrade: the owner calls fetch_take_chan or fetch_cancel in
     * it. May be NULL when no other protocol is asked for. */
    void (*on_upgrade)(void *arg, const struct http_response *response, struct slice protocol);
};

/* Begin. `events` is copied. *out is valid until on_end or on_fail returned, or fetch_cancel.
 * ERR_NOMEM, ERR_NO_ORIGIN. */
MUST_USE enum err fetch_start(struct origin *origin, const struct fetch_request *request,
                              const struct fetch_events *events, void *arg, struct fetch **out);

/* Request body, without any coding: takes as much as can be sent or buffered now (a few 10 KiB).
 * *out_taken < data.len: the rest after on_body_wanted. ERR_CLOSED: the origin does not read on (a
 * response may still come). ERR_NOMEM. Of FRAMING_LENGTH never more than body_len in all. */
MUST_USE enum err fetch_send_body(struct fetch *fetch, struct slice data, size_t *out_taken);
void fetch_end_body(struct fetch *fetch); /* it is whole; a shorter one is cancelled instead */

void fetch_resume(struct fetch *fetch); /* there is room again */

/* Within on_upgrade: the connection is the caller's, in `to` with nothing wanted and no on_ready
 * (for chan_move). *out_early: bytes of the new protocol that came already, until the callback
 * returns. The fetch is over; *slot becomes NULL. */
struct chan;
void fetch_take_chan(struct fetch **slot, struct chan *to, struct slice *out_early);

/* Inside on_head: the body is exactly so long, or the fetch fails. */
void fetch_expect(struct fetch *fetch, uint64_t body_len);

/* Stop because of what the head said: counted and logged as the origin's fault, then as
 * fetch_cancel. `why`: a constant for people. */
void fetch_refuse(struct fetch **slot, enum err rc, const char *why);

/* Stop: the connection is closed, no callback follows. *slot becomes NULL. */
void fetch_cancel(struct fetch **slot);

#endif
