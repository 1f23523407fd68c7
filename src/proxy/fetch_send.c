/* The request: its head, and its body as the owner hands it over, coded and bounded. Head and body
 * leave in one call where they can. */
#include "proxy/fetch_impl.h"

#include "base/stats.h"

enum {
    OUT_MAX = 65536,                    /* request body waiting to be sent */
    OUT_MIN = 4096,                     /* memory for it: as much as it takes, */
    CODING_MAX = H1_CHUNK_HEAD_MAX + 2, /* around a chunk */
    LAST_CHUNK_LEN = 5,
    OUT_CAP = OUT_MAX + CODING_MAX + LAST_CHUNK_LEN
};

static void
account_sent(struct fetch *fetch, size_t n)
{
    size_t of_head = fetch->head_len - fetch->head_sent;

    STAT_ADD(origin_bytes_out, n);
    of_head = n < of_head ? n : of_head;
    fetch->head_sent += of_head;
    fetch->out_off += n - of_head;
    if (fetch->out_off == fetch->out_len)
        fetch->out_off = fetch->out_len = 0;
}

/* As much as the socket takes: head and body in one call. OK: nothing is left to write now. */
static enum err
flush(struct fetch *fetch)
{
    for (;;) {
        struct iovec iov[2];
        size_t iov_n = 0, n;
        enum err rc;

        if (fetch->head_sent < fetch->head_len)
            iov[iov_n++] =
                (struct iovec){fetch->head + fetch->head_sent, fetch->head_len - fetch->head_sent};
        if (fetch->out_off < fetch->out_len)
            iov[iov_n++] =
                (struct iovec){fetch->out + fetch->out_off, fetch->out_len - fetch->out_off};
        if (iov_n == 0)
            return OK;
        rc = chan_writev(&fetch->conn->chan, iov, iov_n, &n);
        if (rc != OK)
            return rc;
        account_sent(fetch, n);
    }
}

/* The rest of the request is not sent: the origin answered early or does not read on. */
void
fetch_stop_sending(struct fetch *fetch)
{
    fetch->refused = true;
    fetch->body_wanted = false;
    fetch->out_off = fetch->out_len = 0;
}

/* A client that sends nothing more for an hour holds no memory meanwhile. */
static void
drop_out(struct fetch *fetch)
{
    mem_free(fetch->out);
    fetch->out = NULL;
    fetch->out_cap = 0;
    fetch_account(fetch);
}

static void
ask_for_body(struct fetch *fetch)
{
    if (!fetch->body_wanted || fetch->out_len > 0)
        return;
    fetch->body_wanted = false;
    if (fetch->events.on_body_wanted != NULL)
        fetch->events.on_body_wanted(fetch->arg);
}

/* Everything that is there was written; the rest of the body, or the response, is awaited. Waiting
 * for the body has no deadline: that is the client's pace, and the client side has its own. */
static enum step
all_written(struct fetch *fetch)
{
    if (!fetch_want(fetch, CHAN_READ))
        return fetch_fail(fetch, ERR_NOMEM, "no memory for an event");
    if (fetch->ended) {
        fetch_deadline(fetch, fetch->origin->settings->first_byte_ms);
        (void)fetch_goto(fetch, FETCH_HEAD);
        return STEP_WAIT;
    }
    loop_timer_clear(&fetch->timer);
    drop_out(fetch);
    ask_for_body(fetch);
    if (fetch->state == FETCH_OVER)
        return STEP_WAIT;
    return fetch->out_len > 0 || fetch->ended ? STEP_AGAIN : STEP_WAIT;
}

enum step
fetch_on_send(struct fetch *fetch)
{
    size_t before = fetch->head_sent + fetch->out_off;
    bool written;
    enum err rc;

    if (!fetch->counted) {
        fetch->counted = true;
        fetch->logged = false; /* what failed on the way here */
        STAT_INC(origin_requests);
        if (fetch->starting && fetch->out_framing != FRAMING_NONE) {
            fetch_kick(fetch); /* the first of the body goes with the head */
            return STEP_WAIT;
        }
    }
    rc = flush(fetch);
    written = rc == OK || fetch->head_sent + fetch->out_off != before;
    if (rc != OK && rc != ERR_AGAIN) {
        fetch_stop_sending(fetch); /* it may have answered before it closed */
        fetch->ready |= CHAN_READ;
    }
    if ((fetch->ready & CHAN_READ) != 0)
        return fetch_goto(fetch, FETCH_HEAD);
    fetch->ready = 0;
    if (rc == OK)
        return all_written(fetch);
    if (!fetch_want(fetch, CHAN_READ | CHAN_WRITE))
        return fetch_fail(fetch, ERR_NOMEM, "no memory for an event");
    if (written || fetch->timer.deadline_ms == 0)
        fetch_deadline(fetch, fetch->origin->settings->between_bytes_ms);
    return STEP_WAIT;
}

/* The buffer's length when it has to have so many bytes. */
static size_t
cap_for(const struct fetch *fetch, size_t len)
{
    size_t cap = fetch->out_cap < OUT_MIN ? OUT_MIN : fetch->out_cap;

    while (cap < len)
        cap *= 2;
    return cap < OUT_CAP ? cap : OUT_CAP;
}

/* How much of `take` bytes may be taken now. When all exchanges together have what they may have,
 * no more than fits in the buffer that is there, or in the smallest: so each gets on, and its owner
 * is asked for more when that much was sent. */
static size_t
pace(struct fetch *fetch, size_t take, size_t coding)
{
    size_t pending = fetch->out_len - fetch->out_off;
    size_t cap = cap_for(fetch, pending + take + coding);
    size_t fits = fetch->out_cap < OUT_MIN ? OUT_MIN : fetch->out_cap;

    if (cap <= fits)
        return take;
    if (buffers_take(fetch->origin->buffers, cap - fetch->out_cap)) {
        fetch->held_len += cap - fetch->out_cap;
        return take;
    }
    pending += coding + LAST_CHUNK_LEN;
    fits = pending < fits ? fits - pending : 0;
    return take < fits ? take : fits;
}

/* Room for `need` more bytes at the end of the buffer; the caller stays within its length. */
static enum err
out_room(struct fetch *fetch, size_t need)
{
    size_t cap;
    char *grown;

    if (fetch->out_off > 0 && fetch->out_len + need > fetch->out_cap) {
        memmove(fetch->out, fetch->out + fetch->out_off, fetch->out_len - fetch->out_off);
        fetch->out_len -= fetch->out_off;
        fetch->out_off = 0;
    }
    if (fetch->out_len + need <= fetch->out_cap)
        return OK;
    cap = cap_for(fetch, fetch->out_len + need);
    grown = mem_realloc(fetch->out, cap);
    if (grown == NULL)
        return ERR_NOMEM;
    fetch->out = grown;
    fetch->out_cap = cap;
    fetch_account(fetch);
    return OK;
}

static void
out_put(struct fetch *fetch, const void *bytes, size_t len)
{
    ASSERT(fetch->out_len + len <= fetch->out_cap);
    memcpy(fetch->out + fetch->out_len, bytes, len);
    fetch->out_len += len;
}

enum err
fetch_send_body(struct fetch *fetch, struct slice data, size_t *out_taken)
{
    bool chunked = fetch->out_framing == FRAMING_CHUNKED;
    size_t pending = fetch->out_len - fetch->out_off;
    size_t coding = chunked ? CODING_MAX : 0;
    size_t take = pending + coding < OUT_MAX ? OUT_MAX - pending - coding : 0;
    char chunk_head[H1_CHUNK_HEAD_MAX];

    ASSERT_TAG(fetch, FETCH_TAG);
    ASSERT(!fetch->ended);
    ASSERT(chunked || data.len <= fetch->out_left);
    if (fetch->refused || fetch->state >= FETCH_BODY) {
        fetch->body_begun = true; /* this owner gives no body to a second connection */
        return ERR_CLOSED;
    }
    take = pace(fetch, data.len < take ? data.len : take, coding);
    fetch->body_wanted = take < data.len;
    if (take > 0 && out_room(fetch, take + coding) != OK)
        return ERR_NOMEM;
    *out_taken = take;
    if (take == 0)
        return OK;
    if (chunked)
        out_put(fetch, chunk_head, h1_chunk_head(chunk_head, take));
    out_put(fetch, data.ptr, take);
    if (chunked)
        out_put(fetch, "\r\n", 2);
    else
        fetch->out_left -= take;
    fetch->body_begun = true;
    fetch_kick(fetch);
    return OK;
}

void
fetch_end_body(struct fetch *fetch)
{
    ASSERT_TAG(fetch, FETCH_TAG);
    if (fetch->ended || fetch->refused || fetch->state >= FETCH_BODY)
        return;
    if (fetch->out_framing == FRAMING_CHUNKED) {
        if (out_room(fetch, LAST_CHUNK_LEN) != OK) {
            (void)fetch_fail(fetch, ERR_NOMEM, "no memory for the request body");
            fetch_kick(fetch);
            return;
        }
        out_put(fetch, "0\r\n\r\n", LAST_CHUNK_LEN);
        fetch->body_begun = true;
    } else {
        ASSERT(fetch->out_left == 0); /* a short body is cancelled, not ended */
    }
    fetch->ended = true;
    fetch_kick(fetch);
}
