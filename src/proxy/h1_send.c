/* Output of an HTTP/1 connection: leads (heads, chunk lines) followed by what proxy/deliver gives,
 * in one writev. */
#include "proxy/h1_impl.h"

#include <sys/uio.h>

#include "base/stats.h"
#include "proxy/reply.h"

static void
put_lead(struct conn *conn, struct slice text)
{
    ASSERT(conn->leads_n < LEADS_MAX);
    conn->leads[conn->leads_n++] = text;
}

/* How the client knows where the body ends. RFC 9112 section 6. */
static void
put_framing(struct conn *conn)
{
    struct request *req = conn->req;

    conn->chunked = false;
    if (req->reply.status == 204 || req->reply.status == 304)
        return;
    if (req->reply.has_length) {
        reply_put(req, SLICE("Content-Length: "));
        reply_put_u64(req, req->reply.length);
        reply_put(req, SLICE("\r\n"));
    } else if (req->reply.no_body) {
        return;
    } else if (req->http.minor == 0) {
        conn->keep_alive = false; /* the end of the connection is the end of the body */
    } else {
        conn->chunked = true;
        reply_put(req, SLICE("Transfer-Encoding: chunked\r\n"));
    }
}

static void
put_connection(struct conn *conn)
{
    struct request *req = conn->req;

    /* A client that sends no more may have sent further requests: they are answered too. */
    if (req->reply.close || conn->proxy->draining)
        conn->keep_alive = false;
    if (!conn->keep_alive)
        reply_put(req, SLICE("Connection: close\r\n"));
    else if (req->http.minor == 0)
        reply_put(req, SLICE("Connection: keep-alive\r\n"));
    reply_put(req, SLICE("\r\n"));
}

static void
begin_reply(struct conn *conn)
{
    struct request *req = conn->req;

    /* A body that is not whole by now would have to be read to find the next request: nobody reads
     * it on, for an origin that answers early loses its connection (RFC 9112 section 9.3). */
    if (conn->body_open)
        req->reply.close = true;
    conn->continue_due = false;
    put_framing(conn);
    put_connection(conn);
    put_lead(conn, req->reply.head);
    put_lead(conn, slice_of(req->extra, req->extra_len));
    conn->replying = true;
    conn->head_sent = false;
    conn->ended = false;
    conn->chunk_left = 0;
}

/* The request has its answer. */
void
conn_on_reply(void *arg)
{
    struct conn *conn = arg;

    begin_reply(conn);
    if (!conn->working)
        conn_flush(conn);
}

/* The reply's head may point to the map, which goes with this callback. What is kept is kept once:
 * a slow client must not use up the arena. */
static enum err
keep_head(struct conn *conn)
{
    struct slice head = conn->req->reply.head;

    for (unsigned i = 0; i < conn->leads_n; i++) {
        struct slice *lead = &conn->leads[i];

        if (lead->len > 0 && lead->ptr >= head.ptr && lead->ptr < head.ptr + head.len)
            return arena_copy(&conn->req->arena, *lead, lead);
    }
    return OK;
}

/* Takes what was written off the leads; returns what is left of `n` for the body. */
static uint64_t
pass_leads(struct conn *conn, uint64_t n)
{
    unsigned done = 0;

    while (done < conn->leads_n && n >= conn->leads[done].len)
        n -= conn->leads[done++].len;
    if (done < conn->leads_n) {
        conn->leads[done] = slice_skip(conn->leads[done], n);
        n = 0;
    }
    conn->leads_n -= done;
    memmove(conn->leads, conn->leads + done, conn->leads_n * sizeof(conn->leads[0]));
    return n;
}

/* One batch: the leads, body bytes, the CRLF that ends a chunk. */
struct batch {
    struct iovec iov[LEADS_MAX + 1 + DELIVER_IOV_MAX + 1];
    size_t iov_n;
    uint64_t lead_len, data_len, crlf_len;
};

static void
batch_add(struct batch *batch, struct slice text)
{
    batch->iov[batch->iov_n++] = (struct iovec){(char *)(uintptr_t)text.ptr, text.len};
}

/* Ask for body bytes and wrap them. The chunk line goes before them, so their place comes after it.
 */
static enum deliver_next
collect(struct conn *conn, struct batch *batch)
{
    struct iovec data[DELIVER_IOV_MAX];
    size_t data_n;
    uint64_t want = conn->chunked && conn->chunk_left > 0 ? conn->chunk_left : UINT64_MAX;
    enum deliver_next next =
        deliver_next(&conn->req->deliver, want, data, &data_n, &batch->data_len);

    if (next == DELIVER_DATA && conn->chunked && conn->chunk_left == 0) {
        conn->chunk_left = batch->data_len;
        put_lead(conn,
                 slice_of(conn->chunk_line, h1_chunk_head(conn->chunk_line, batch->data_len)));
    }
    if (next == DELIVER_END && conn->chunked && !conn->ended)
        put_lead(conn, SLICE("0\r\n\r\n"));
    if (next == DELIVER_END)
        conn->ended = true;
    for (unsigned i = 0; i < conn->leads_n; i++) {
        batch_add(batch, conn->leads[i]);
        batch->lead_len += conn->leads[i].len;
    }
    for (size_t i = 0; i < data_n && next == DELIVER_DATA; i++)
        batch->iov[batch->iov_n++] = data[i];
    if (next == DELIVER_DATA && conn->chunked && batch->data_len == conn->chunk_left) {
        batch_add(batch, SLICE("\r\n"));
        batch->crlf_len = 2;
    }
    return next;
}

/* Account for `n` bytes written of the batch. */
static void
pass_batch(struct conn *conn, const struct batch *batch, uint64_t n)
{
    uint64_t data_n = pass_leads(conn, n), crlf_n = 0;

    STAT_ADD(client_bytes_out, n);
    if (data_n > batch->data_len) {
        crlf_n = data_n - batch->data_len;
        data_n = batch->data_len;
    }
    deliver_sent(&conn->req->deliver, data_n);
    conn->req->body_sent_len += data_n;
    if (!conn->chunked)
        return;
    conn->chunk_left -= data_n;
    if (batch->data_len > 0 && conn->chunk_left == 0 && crlf_n < batch->crlf_len)
        put_lead(conn, slice_skip(SLICE("\r\n"), crlf_n));
}

enum flushed {
    FLUSH_DONE,
    FLUSH_BLOCKED,
    FLUSH_WAITING,
    FLUSH_BROKEN,
    FLUSH_FAILED /* no bytes */
};

static enum flushed
flush_batch(struct conn *conn, bool *out_again)
{
    struct batch batch;
    enum deliver_next next;
    uint64_t total;
    size_t n = 0;
    enum err rc = OK;

    batch.iov_n = 0; /* not the whole: this is the hit's path */
    batch.lead_len = batch.data_len = batch.crlf_len = 0;
    next = collect(conn, &batch);
    total = batch.lead_len + batch.data_len + batch.crlf_len;

    *out_again = false;
    if (UNLIKELY(next == DELIVER_FAILED))
        return FLUSH_FAILED;
    if (total > 0) {
        rc = chan_writev(&conn->chan, batch.iov, batch.iov_n, &n);
        if (rc == OK && !conn->head_sent && conn->proxy->settings->exchanges.fn != NULL)
            conn->req->first_byte_us = loop_now_us();
        conn->head_sent = conn->head_sent || rc == OK;
    }
    pass_batch(conn, &batch, n);
    if (rc != OK && rc != ERR_AGAIN)
        return FLUSH_BROKEN;
    if (n < total)
        return FLUSH_BLOCKED;
    *out_again = next == DELIVER_DATA;
    return next == DELIVER_END ? FLUSH_DONE : FLUSH_WAITING;
}

/* Interim responses go out before there is a reply; what the socket does not take waits. */
void
conn_flush_interim(struct conn *conn)
{
    struct iovec iov = {(char *)(uintptr_t)conn->leads[0].ptr, conn->leads[0].len};
    size_t n = 0;
    enum err rc = chan_writev(&conn->chan, &iov, 1, &n);

    if (rc != OK && rc != ERR_AGAIN) {
        conn_close(conn, true);
        return;
    }
    STAT_ADD(client_bytes_out, n);
    (void)pass_leads(conn, n);
    if (chan_want(&conn->chan,
                  (conn->chan.wanted & CHAN_READ) | (conn->leads_n > 0 ? CHAN_WRITE : 0U)) != OK)
        conn_close(conn, true);
}

/* A 1xx for the client, before the reply. One that must wait behind another joins it, so that there
 * is one lead at most. */
void
conn_put_interim(struct conn *conn, struct slice head)
{
    char *joined;

    STAT_INC(responses_1xx);
    if (conn->leads_n == 0) {
        put_lead(conn, head);
        return;
    }
    joined = arena_alloc(&conn->req->arena, conn->leads[0].len + head.len);
    if (joined == NULL)
        return; /* the reply is still to come: better without it than not at all */
    memcpy(joined, conn->leads[0].ptr, conn->leads[0].len);
    memcpy(joined + conn->leads[0].len, head.ptr, head.len);
    conn->leads[0] = slice_of(joined, conn->leads[0].len + head.len);
}

void
conn_on_interim(void *arg, struct slice head)
{
    struct conn *conn = arg;

    conn_put_interim(conn, head);
    if (!conn->working) /* else what works will, and can bear the connection's end */
        conn_flush_interim(conn);
}

/* The rest waits: nothing of the map may be needed later. */
static void
park_output(struct conn *conn, enum flushed why)
{
    if (!deliver_hold(&conn->req->deliver) || keep_head(conn) != OK) {
        conn_close(conn, true);
        return;
    }
    if (why == FLUSH_BLOCKED)
        conn_await_reader(conn);
    else
        conn_await_origin(conn); /* the fetch has its own deadlines */
    conn_want(conn, why == FLUSH_BLOCKED ? CHAN_WRITE : 0);
}

/* A large body yields after some batches, so that others get their turn. */
static enum flushed
flush_batches(struct conn *conn)
{
    enum { BATCHES_MAX = 4 };
    enum flushed flushed = FLUSH_WAITING;
    bool again = true;

    for (unsigned i = 0; again && i < BATCHES_MAX; i++)
        flushed = flush_batch(conn, &again);
    return again && flushed != FLUSH_FAILED ? FLUSH_BLOCKED : flushed;
}

/* The body does not come, and nothing of the reply has gone out: another answer can still be given.
 */
static bool
can_answer_anew(const struct conn *conn)
{
    return !conn->head_sent && conn->leads_n == 2; /* head and extra, no 1xx before them */
}

/* Write as much as goes. */
void
conn_flush(struct conn *conn)
{
    enum flushed flushed;

    if (!conn->replying) {
        if (conn->leads_n > 0)
            conn_flush_interim(conn);
        return;
    }
    flushed = flush_batches(conn);
    if (UNLIKELY(flushed == FLUSH_FAILED) && can_answer_anew(conn) &&
        request_answer_unsent(conn->req)) {
        conn->leads_n = 0;
        begin_reply(conn);
        flushed = flush_batches(conn);
    }
    if (flushed == FLUSH_BROKEN || flushed == FLUSH_FAILED)
        conn_close(conn, true); /* visibly cut: RFC 9112 section 8 */
    else if (flushed == FLUSH_DONE)
        conn_finish_exchange(conn);
    else
        park_output(conn, flushed);
}
