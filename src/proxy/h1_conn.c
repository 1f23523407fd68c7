/* HTTP/1 connections of clients.
 *
 *   IDLE -> HEAD -> EXCHANGE -> IDLE ...        one exchange at a time, pipelined input waits
 *                      |-----> LINGER -> closed
 *                      '-----> TUNNEL -> closed   the origin changed to another protocol
 *
 * Input is read into the worker's scratch buffer; only what cannot be used up at once is kept, so
 * an idle connection owns no buffers. conn_close is the only exit; the memory goes when the loop's
 * turn ends. */
#include "proxy/h1_impl.h"

#include "base/log.h"
#include "base/stats.h"
#include "http/chars.h"
#include "http/h1_parse.h"
#include "proxy/reply.h"

enum {
    LINGER_MS = 2000,
    DRAIN_LINGER_MS = 500, /* of an idle connection: what a request on its way may take to come */
    LINGER_MAX = 1 << 20,
    EMPTY_LINES_MAX = 2
};

static void process(struct conn *conn, struct slice input);

/* --- the end --- */

static void
on_reap(struct loop_reap *reap)
{
    struct conn *conn = CONTAINER_OF(reap, struct conn, reap);

    mem_free(conn->in);
    mem_free(conn->untaken_mem);
    mem_free(conn);
}

void
conn_close(struct conn *conn, bool abort)
{
    ASSERT_TAG(conn, CONN_TAG);
    conn->tag = TAG_FREED;
    loop_timer_clear(&conn->timer);
    if (abort)
        chan_abort(&conn->chan);
    else
        chan_close(&conn->chan);
    list_remove(&conn->link);
    watch_leave(&conn->proxy->watch, &conn->watch);
    conn_stop_tunnel(conn, abort);
    request_free(&conn->req, true);
    STAT_DEC(connections_open);
    loop_reap(conn->proxy->loop, &conn->reap);
    proxy_conn_gone(conn->proxy);
}

bool
conn_is_closed(const struct conn *conn)
{
    return conn->tag != CONN_TAG;
}

/* The response is out but the client may still send: closing now would reset the connection and
 * could destroy the response on its way. RFC 9112 section 9.6. */
static void
linger(struct conn *conn, uint64_t most_ms)
{
    if (conn->eof) {
        conn_close(conn, false);
        return;
    }
    conn_await_close(conn, most_ms);
    chan_shutdown(&conn->chan);
    if (chan_want(&conn->chan, CHAN_READ) != OK)
        conn_close(conn, false);
}

/* --- between requests --- */

void
conn_want(struct conn *conn, unsigned extra)
{
    bool read = !conn->eof && conn->untaken.len == 0 && conn_input_has_room(conn);

    if (chan_want(&conn->chan, (read ? CHAN_READ : 0U) | extra) != OK)
        conn_close(conn, true);
}

void
conn_finish_exchange(struct conn *conn)
{
    /* A request whose body is not whole ends the connection: RFC 9112 section 9.3. */
    bool keep =
        conn->keep_alive && !conn->body_open && !conn->req->reply.close && !conn->proxy->draining;
    bool unread = conn->body_open || conn_input_len(conn) > 0;

    request_free(&conn->req, false);
    conn_drop_untaken(conn);
    conn->replying = false;
    conn->leads_n = 0;
    if (!keep) {
        if (unread || !conn->eof)
            linger(conn, LINGER_MS);
        else
            conn_close(conn, false);
        return;
    }
    conn_await_head(conn, false);
    if (!conn->working)
        process(conn, SLICE_NONE);
}

/* --- input --- */

static void
on_progress(void *arg)
{
    struct conn *conn = arg;

    if (!conn->working)
        conn_flush(conn);
}

static bool
body_too_large(const struct conn *conn, uint64_t len)
{
    uint64_t max = conn->proxy->settings->request_body_max_len;

    return max != 0 && len > max;
}

/* Decode body bytes off *input and pass them on until the origin takes no more. */
static enum err
feed_body(struct conn *conn, struct slice *input)
{
    struct slice data = conn->untaken;
    enum err rc = OK;
    size_t taken;

    while (rc == OK) {
        if (data.len > 0) {
            request_body(conn->req, data, &taken);
            data = slice_skip(data, taken);
            if (data.len > 0)
                return data.ptr == conn->untaken.ptr ? OK : conn_keep_untaken(conn, data);
        }
        conn_drop_untaken(conn);
        if (conn->body.done || input->len == 0)
            break;
        rc = h1_body_next(&conn->body, input, &data);
        conn->body_len += data.len;
        if (rc == OK && body_too_large(conn, conn->body_len))
            rc = ERR_BODY_TOO_LARGE;
    }
    if (rc == OK && conn->body.done && conn->body_open) {
        conn->body_open = false;
        request_body_end(conn->req);
    }
    return rc;
}

static void
on_body_wanted(void *arg)
{
    struct conn *conn = arg;

    if (!conn->working)
        process(conn, SLICE_NONE);
    proxy_read_end(conn->proxy);
}

static struct request *
new_request(struct conn *conn)
{
    struct request_carrier carrier = {conn_on_reply,   on_progress,     on_body_wanted,
                                      conn_on_interim, conn_on_upgrade, conn};

    conn->phase = PHASE_EXCHANGE;
    conn->req = request_new(conn->proxy, &carrier, &conn->peer, conn->id);
    if (conn->req == NULL)
        return NULL;
    log_set_ids(conn->id, conn->req->id);
    conn->empty_lines_n = 0;
    conn->body_open = false;
    conn->leads_n = 0;
    conn->replying = false;
    conn->pace = WATCH_NONE;
    conn->ends_ms = 0;
    conn->body_read_len = 0;
    return conn->req;
}

void
conn_refuse(struct conn *conn, enum err rc, const char *why)
{
    if (conn->req == NULL && new_request(conn) == NULL) {
        conn_close(conn, true);
        return;
    }
    conn->keep_alive = false;
    conn->body_open = true; /* whatever comes is not for us: linger */
    request_refuse(conn->req, rc, why);
}

/* It served as many requests as a connection may. */
static bool
is_used_up(struct conn *conn)
{
    unsigned max = conn->proxy->settings->conn_requests_max;

    if (max == 0 || ++conn->requests_n < max)
        return false;
    STAT_INC(connections_used_up);
    return true;
}

static void
start_request(struct conn *conn, struct slice head)
{
    const struct proxy_settings *settings = conn->proxy->settings;
    struct request *req = new_request(conn);
    struct h1_fault fault = {.why = err_text(ERR_NOMEM)};
    enum err rc;

    if (req == NULL) {
        conn_close(conn, true);
        return;
    }
    rc = arena_copy(&req->arena, head, &head);
    if (rc == OK)
        rc = h1_parse_request(head, &settings->head_limits, &req->arena, &req->http, &fault);
    if (rc == OK && req->http.framing == FRAMING_LENGTH &&
        body_too_large(conn, req->http.content_length)) {
        rc = ERR_BODY_TOO_LARGE;
        fault.why = err_text(rc);
    }
    if (rc != OK) {
        conn_refuse(conn, rc, fault.why);
        return;
    }
    conn->keep_alive = req->http.keep_alive && !is_used_up(conn);
    h1_body_init(&conn->body, &settings->body_limits, req->http.framing, req->http.content_length);
    conn->body_len = 0;
    conn->body_open = !conn->body.done;
    conn->continue_due = req->http.expect_continue && conn->body_open;
    request_start(req); /* who waits after this sets or clears the deadline */
    if (!conn->body_open && !conn->replying)
        request_body_end(req);
}

/* RFC 9112 section 2.2: an empty line before a request is ignored; not any number of them, however
 * they arrive. */
static struct slice
skip_empty_lines(struct conn *conn, struct slice input)
{
    while (conn->empty_lines_n < EMPTY_LINES_MAX && slice_starts(input, SLICE("\r\n"))) {
        input = slice_skip(input, 2);
        conn->empty_lines_n++;
    }
    return input;
}

/* OK: *out_len is the length of the head at the start of the input. ERR_AGAIN. Others as
 * h1_find_head; what does not begin like a method (TLS, say) need not be waited for. */
static enum err
find_head(struct conn *conn, struct slice input, size_t *out_len)
{
    if (conn->scanned == 0 && !char_is(input.ptr[0], CH_TOKEN) && input.ptr[0] != '\r')
        return ERR_BAD_REQUEST;
    return h1_find_head(input.ptr, input.len, &conn->proxy->settings->head_limits, &conn->scanned,
                        out_len);
}

/* A head off the input, if it is all there. False: wait for more. */
static bool
next_request(struct conn *conn, struct slice *input)
{
    size_t head_len;
    enum err rc;

    if (conn->scanned == 0)
        *input = skip_empty_lines(conn, *input);
    if (input->len == 0)
        return false;
    rc = find_head(conn, *input, &head_len);
    if (rc == ERR_AGAIN)
        return false;
    conn->scanned = 0;
    if (rc != OK) {
        conn_refuse(conn, rc,
                    rc == ERR_BAD_REQUEST ? "no method, or a bare CR, LF or NUL in the head"
                                          : err_text(rc));
        return true;
    }
    start_request(conn, slice_first(*input, head_len));
    *input = slice_skip(*input, head_len);
    return true;
}

/* The exchange under way: its body in, its response out. False: it waits. */
static bool
drive_exchange(struct conn *conn, struct slice *input)
{
    enum err rc = OK;

    if (conn->body_open && request_takes_body(conn->req)) {
        /* RFC 9110 section 10.1.1: not when content has come already. */
        if (conn->continue_due && input->len == 0 && !conn->replying)
            conn_put_interim(conn, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
        conn->continue_due = false;
        rc = feed_body(conn, input);
        if (rc != OK && conn->replying) {
            (void)request_count_refusal(rc, err_text(rc));
            conn_close(conn, true);
            return false;
        }
        if (rc != OK)
            conn_refuse(conn, rc,
                        rc == ERR_BAD_REQUEST ? "malformed chunked coding" : err_text(rc));
    }
    conn_flush(conn);
    return !conn_is_closed(conn) && conn->req == NULL && conn->phase != PHASE_LINGER;
}

static void
await_input(struct conn *conn)
{
    if (conn->req == NULL) {
        if (conn->eof) {
            conn_close(conn, false);
            return;
        }
        if (!conn->yielded)
            conn_await_head(conn, conn_input_len(conn) > 0);
    } else if (conn->eof && conn->body_open && request_takes_body(conn->req) && !conn->replying) {
        conn_close(conn, true); /* the client left in the middle of its request */
        return;
    } else if (conn->body_open && !conn->replying && conn->untaken.len == 0) {
        conn_await_body(conn);
    } else if (!conn->replying) {
        conn_await_origin(conn);
    }
    if (!conn->replying)
        conn_want(conn, conn->leads_n > 0 || conn->yielded ? CHAN_WRITE : 0);
    else if (conn->chan.wanted != 0)
        conn_want(conn, conn->chan.wanted & CHAN_WRITE);
}

/* So many requests were answered in a row that others shall have their turn. */
static bool
yields(struct conn *conn, unsigned burst_n, struct slice input)
{
    if (burst_n < conn->proxy->settings->pipeline_burst || input.len == 0)
        return false;
    STAT_INC(pipeline_yields);
    conn->yielded = true; /* the socket takes more, most likely: that event is the next turn */
    return true;
}

/* Use up what input there is, request by request. */
static void
process(struct conn *conn, struct slice input)
{
    unsigned burst_n = 0;
    bool on = true;

    conn->working = true;
    conn->yielded = false;
    if (input.len == 0)
        input = conn_input(conn);
    while (on) {
        if (conn->req == NULL)
            on = !yields(conn, burst_n++, input) && next_request(conn, &input);
        if (on && !conn_is_closed(conn))
            on = drive_exchange(conn, &input);
        if (conn_is_closed(conn) || conn->phase == PHASE_LINGER)
            return;
    }
    conn->working = false;
    if (conn_keep_input(conn, input) != OK)
        conn_close(conn, true);
    else
        await_input(conn);
}

static void
discard_input(struct conn *conn)
{
    size_t n;
    enum err rc = chan_read(&conn->chan, conn->proxy->scratch, conn->proxy->scratch_len, &n);

    if (rc == OK)
        conn->linger_len += n;
    if ((rc != OK && rc != ERR_AGAIN) || conn->linger_len > LINGER_MAX)
        conn_close(conn, false);
}

/* It waits behind an exchange that goes on. */
static void
keep_pipelined(struct conn *conn, struct slice input)
{
    if (conn_keep_input(conn, input) != OK) {
        conn_close(conn, true);
    } else if (!conn_input_has_room(conn)) {
        STAT_INC(pipeline_pauses);
        conn_want(conn, conn->chan.wanted & CHAN_WRITE);
    }
}

static void
on_readable(struct conn *conn)
{
    struct slice input = SLICE_NONE;
    enum err rc;

    if (conn->phase == PHASE_LINGER) {
        discard_input(conn);
        return;
    }
    if (!conn_input_has_room(conn)) {
        conn_want(conn, conn->chan.wanted & CHAN_WRITE);
        return;
    }
    rc = conn_read(conn, &input);
    if (rc == OK) {
        if (conn->req != NULL && !(conn->body_open && request_takes_body(conn->req)))
            keep_pipelined(conn, input);
        else
            process(conn, input);
    } else if (rc == ERR_CLOSED) {
        conn->eof = true;
        await_input(conn);
    } else if (rc != ERR_AGAIN) {
        conn_close(conn, true);
    }
}

static void
on_ready(struct chan *chan, unsigned ready)
{
    struct conn *conn = CONTAINER_OF(chan, struct conn, chan);
    struct proxy *proxy = conn->proxy;

    ASSERT_TAG(conn, CONN_TAG);
    log_set_ids(conn->id, conn->req == NULL ? 0 : conn->req->id);
    if ((ready & CHAN_WRITE) != 0 && conn->yielded)
        process(conn, SLICE_NONE);
    else if ((ready & CHAN_WRITE) != 0)
        conn_flush(conn);
    if ((ready & CHAN_READ) != 0 && !conn_is_closed(conn))
        on_readable(conn);
    log_set_ids(0, 0);
    proxy_read_end(proxy);
}

/* --- life --- */

enum err
h1_conn_open(struct proxy *proxy, int fd, const struct sock_addr *peer)
{
    struct conn *conn = mem_zalloc(sizeof(*conn));

    if (conn == NULL)
        return ERR_NOMEM;
    conn->tag = CONN_TAG;
    conn->proxy = proxy;
    conn->peer = *peer;
    conn->id = ++proxy->next_conn_id;
    conn->reap.fn = on_reap;
    loop_timer_init(&conn->timer, conn_on_timer);
    list_push(&proxy->conns, &conn->link);
    proxy->conns_n++;
    STAT_INC(connections_open);
    chan_init(&conn->chan, proxy->loop, fd, on_ready);
    watch_enter(&proxy->watch, &conn->watch, peer, &conn_watch_ops);
    loop_timer_set(proxy->loop, &conn->timer, proxy->settings->idle_ms);
    if (chan_want(&conn->chan, CHAN_READ) != OK)
        conn_close(conn, false);
    return OK;
}

/* A request that has come is answered, as the last one of its connection. One that is still on its
 * way is not begun: its client finds the end instead, not a reset, which could also destroy the
 * answer before it. RFC 9112 section 9.6. */
static void
drain(struct conn *conn)
{
    if (conn->phase == PHASE_IDLE)
        on_readable(conn);
    if (!conn_is_closed(conn) && conn->phase == PHASE_IDLE)
        linger(conn, DRAIN_LINGER_MS);
}

/* One that is drained may end others, so none is pointed to meanwhile. */
void
h1_conn_drain_all(struct proxy *proxy)
{
    struct list due;
    struct conn *conn;

    list_init(&due);
    while ((conn = LIST_FIRST(&proxy->conns, struct conn, link)) != NULL) {
        list_remove(&conn->link);
        list_push(&due, &conn->link);
    }
    while ((conn = LIST_FIRST(&due, struct conn, link)) != NULL) {
        list_remove(&conn->link);
        list_push(&proxy->conns, &conn->link);
        drain(conn);
    }
}

/* A response that is out whole is not cut: only its client's leave is no longer waited for. */
void
h1_conn_abort_all(struct proxy *proxy)
{
    struct conn *conn;

    while ((conn = LIST_FIRST(&proxy->conns, struct conn, link)) != NULL)
        conn_close(conn, conn->phase != PHASE_LINGER);
}
