/* The response: heads as they come, then the body, decoded into the reader's memory.
 *
 * Reads go to scratch memory of the thread; what must outlive a run of the machine is copied to
 * `kept`: a head that came in part, body bytes for which there was no room. Bodies without a coding
 * are read straight into the reader's memory. */
#include "proxy/fetch_impl.h"

#include "base/stats.h"

enum {
    SCRATCH_LEN = 65536,
    HEAD_READ_LEN = 32768, /* of the first read: a small response whole */
    KEPT_MIN = 4096,
    READS_MAX = 16 /* in one run, so that one fast origin does not hold up the others */
};

static _Thread_local char scratch[SCRATCH_LEN];

/* --- the head --- */

/* The connection is gone. RFC 9110 section 9.2.2, RFC 9112 section 9.3.1: a request that can be
 * repeated is, when the connection was kept from before and no byte of an answer came. */
static enum step
lost(struct fetch *fetch)
{
    if (!fetch->reused || fetch->answered || fetch->body_begun || fetch->fresh_only ||
        !http_method_is_idempotent(fetch->method))
        return fetch_fail(fetch, ERR_ORIGIN_CLOSED,
                          fetch->answered ? "closed within the response head"
                                          : "closed without a response");
    STAT_INC(origin_retries);
    fetch_drop_conn(fetch);
    fetch->fresh_only = true;
    fetch->refused = false;
    fetch->tried = 0;
    fetch->head_sent = 0;
    loop_timer_clear(&fetch->timer);
    return fetch_goto(fetch, FETCH_PICK);
}

static enum err
grow_kept(struct fetch *fetch, size_t need)
{
    size_t cap = fetch->kept_cap < KEPT_MIN ? KEPT_MIN : fetch->kept_cap;
    char *grown;

    if (need <= fetch->kept_cap)
        return OK;
    while (cap < need)
        cap *= 2;
    grown = mem_realloc(fetch->kept, cap);
    if (grown == NULL)
        return ERR_NOMEM;
    fetch->kept = grown;
    fetch->kept_cap = cap;
    fetch_account(fetch);
    return OK;
}

static bool
is_kept(const struct fetch *fetch, const char *ptr)
{
    return fetch->kept != NULL && ptr >= fetch->kept && ptr < fetch->kept + fetch->kept_cap;
}

/* Saves bytes from the scratch memory (or from further on in `kept`) at the start of `kept`. */
static enum err
keep(struct fetch *fetch, struct slice bytes)
{
    enum err rc = is_kept(fetch, bytes.ptr) ? OK : grow_kept(fetch, bytes.len);

    if (rc == OK && bytes.len > 0 && bytes.ptr != fetch->kept) /* or a trickled head is quadratic */
        memmove(fetch->kept, bytes.ptr, bytes.len);
    if (rc == OK)
        fetch->kept_len = bytes.len;
    return rc;
}

/* More of the head: to scratch memory, or behind what is kept of it. */
static enum err
read_head(struct fetch *fetch, struct slice *out)
{
    char *to = scratch;
    size_t cap = HEAD_READ_LEN, n;
    enum err rc;

    if (fetch->kept_len > 0) {
        rc = grow_kept(fetch, fetch->kept_len + KEPT_MIN);
        if (rc != OK)
            return rc;
        to = fetch->kept + fetch->kept_len;
        cap = fetch->kept_cap - fetch->kept_len;
    }
    rc = chan_read(&fetch->conn->chan, to, cap, &n);
    if (rc != OK)
        return rc;
    STAT_ADD(origin_bytes_in, n);
    if (n < cap)
        fetch->ready &= ~(unsigned)CHAN_READ;
    *out = slice_of(to - fetch->kept_len, fetch->kept_len + n);
    return OK;
}

static bool
is_interim(unsigned status)
{
    return status < 200;
}

/* RFC 9110 section 15.2: 100 is not for us to pass on, 101 is no interim response for us. */
static enum step
tell_interim(struct fetch *fetch, const struct http_response *response)
{
    if (response->status == 101)
        return fetch_switch(fetch, response);
    if (++fetch->interim_n > fetch->origin->settings->interim_max)
        return fetch_fail(fetch, ERR_ORIGIN_LIMIT, "too many interim responses");
    if (fetch->state == FETCH_HEAD && !fetch_unsent(fetch))
        fetch_deadline(fetch, fetch->origin->settings->first_byte_ms);
    if (response->status != 100 && fetch->events.on_interim != NULL)
        fetch->events.on_interim(fetch->arg, response);
    return STEP_AGAIN;
}

/* How long the body may still take: settings->body_ms from its head, and a second more for each
 * body_rate_min bytes, so that a trickle ends and a large body at a fair rate does not. Time in
 * which its reader has no room does not count. */
static uint64_t
body_time_left(const struct fetch *fetch)
{
    const struct origin_settings *settings = fetch->origin->settings;
    uint64_t now_ms = loop_now_ms(), until_ms = fetch->body_until_ms;

    if (settings->body_ms == 0)
        return UINT64_MAX;
    if (settings->body_rate_min > 0)
        until_ms += fetch->body_in / settings->body_rate_min * 1000;
    return until_ms > now_ms ? until_ms - now_ms : 0;
}

static void
await_body(struct fetch *fetch)
{
    uint64_t left_ms = body_time_left(fetch);
    unsigned wait_ms = fetch->origin->settings->between_bytes_ms;

    fetch_deadline(fetch, left_ms < wait_ms ? (unsigned)left_ms : wait_ms);
}

enum step
fetch_body_timeout(struct fetch *fetch)
{
    if (body_time_left(fetch) == 0)
        return fetch_fail(fetch, ERR_ORIGIN_SLOW, "the response body takes too long");
    return fetch_fail(fetch, ERR_BETWEEN_BYTES_TIMEOUT, "no response body in time");
}

static enum step
tell_head(struct fetch *fetch, const struct http_response *response)
{
    fetch->keep_alive = response->keep_alive && !fetch_unsent(fetch) && !fetch->refused;
    if (fetch_unsent(fetch))
        fetch_stop_sending(fetch);
    fetch->kept_len = 0; /* fetch->in may still point there */
    h1_body_init(&fetch->body, &fetch->origin->settings->body_limits, response->framing,
                 response->content_length);
    if (!fetch_want(fetch, CHAN_READ))
        return fetch_fail(fetch, ERR_NOMEM, "no memory for an event");
    fetch->body_until_ms = loop_now_ms() + fetch->origin->settings->body_ms;
    fetch->body_in = fetch->in.len;
    await_body(fetch);
    (void)fetch_goto(fetch, FETCH_BODY);
    fetch->events.on_head(fetch->arg, response);
    return STEP_AGAIN;
}

/* One whole head at the start of fetch->in. */
static enum step
parse_head(struct fetch *fetch, size_t len)
{
    struct arena *arena = &fetch->origin->arena;
    struct http_response response;
    struct h1_fault fault = {.why = "no memory for the response head"};
    struct slice head = slice_first(fetch->in, len);
    enum err rc;

    arena_reset(arena);
    rc = h1_parse_response(head, fetch->method, &fetch->origin->settings->head_limits, arena,
                           &response, &fault);
    if (rc != OK)
        return fetch_fail(fetch, rc, fault.why);
    fetch->in = slice_skip(fetch->in, len);
    fetch->scanned = 0;
    return is_interim(response.status) ? tell_interim(fetch, &response)
                                       : tell_head(fetch, &response);
}

/* The head is not whole: what came of it is kept, and the rest of the request sent meanwhile. */
static enum step
await_more_head(struct fetch *fetch)
{
    if (fetch->in.len >= fetch->origin->settings->head_limits.head_max)
        return fetch_fail(fetch, ERR_ORIGIN_LIMIT, "the response head is too large");
    if (fetch->in.len == 0)
        fetch->kept_len = 0;
    else if (keep(fetch, fetch->in) != OK)
        return fetch_fail(fetch, ERR_NOMEM, "no memory for the response head");
    fetch->in = SLICE_NONE;
    if ((fetch->ready & CHAN_READ) != 0)
        return STEP_AGAIN;
    if (fetch_unsent(fetch) && !fetch->refused)
        return fetch_goto(fetch, FETCH_SEND);
    return STEP_WAIT;
}

static enum step
parse_heads(struct fetch *fetch)
{
    const struct h1_limits *limits = &fetch->origin->settings->head_limits;
    size_t len;

    while (fetch->state == FETCH_HEAD) {
        enum err rc = h1_find_head(fetch->in.ptr, fetch->in.len, limits, &fetch->scanned, &len);

        if (rc == ERR_AGAIN)
            return await_more_head(fetch);
        if (rc != OK)
            return rc == ERR_BAD_REQUEST
                       ? fetch_fail(fetch, ERR_ORIGIN_SYNTAX,
                                    "a bare CR, LF or NUL in the response head")
                       : fetch_fail(fetch, ERR_ORIGIN_LIMIT, "the response head is too large");
        (void)parse_head(fetch, len);
    }
    return STEP_AGAIN;
}

enum step
fetch_on_head(struct fetch *fetch)
{
    enum err rc;

    if ((fetch->ready & CHAN_READ) == 0)
        return fetch_unsent(fetch) && !fetch->refused ? fetch_goto(fetch, FETCH_SEND) : STEP_WAIT;
    rc = read_head(fetch, &fetch->in);
    if (rc == ERR_NOMEM)
        return fetch_fail(fetch, rc, "no memory for the response head");
    if (rc == ERR_AGAIN) {
        fetch->ready &= ~(unsigned)CHAN_READ;
        if (fetch->refused && fetch->timer.deadline_ms == 0)
            fetch_deadline(fetch, fetch->origin->settings->first_byte_ms);
        return fetch_unsent(fetch) && !fetch->refused ? fetch_goto(fetch, FETCH_SEND) : STEP_WAIT;
    }
    if (rc != OK)
        return lost(fetch);
    if (fetch->head_sent == 0) /* it answers nothing that was asked here: a late 408, or worse */
        return fetch->reused ? lost(fetch)
                             : fetch_fail(fetch, ERR_ORIGIN_SYNTAX, "bytes before the request");
    fetch->answered = true;
    return parse_heads(fetch);
}

/* --- the body --- */

/* Memory of the reader that is being filled. */
struct room {
    char *ptr;
    size_t len, used;
};

/* Tells what was filled. False: the owner cancelled, or the body is longer than it may be. */
static bool
tell_filled(struct fetch *fetch, struct room *room)
{
    size_t n = room->used;

    *room = (struct room){0};
    if (fetch->expects && n > fetch->expected) {
        (void)fetch_fail(fetch, ERR_ORIGIN_FRAMING, "a longer body than Content-Range says");
        return false;
    }
    fetch->expected -= fetch->expects ? n : 0;
    if (n > 0)
        fetch->events.on_filled(fetch->arg, n);
    return fetch->state == FETCH_BODY;
}

/* False: there is none now, or the owner cancelled. */
static bool
find_room(struct fetch *fetch, struct room *room)
{
    if (room->used < room->len)
        return true;
    if (!tell_filled(fetch, room))
        return false;
    fetch->paused = true; /* fetch_resume from inside on_room undoes it */
    room->len = fetch->events.on_room(fetch->arg, &room->ptr);
    if (fetch->state != FETCH_BODY)
        return false;
    if (room->len > 0)
        fetch->paused = false;
    return room->len > 0;
}

/* Copies fetch->data into the reader's memory. False: some is left, or the owner cancelled. */
static bool
give_data(struct fetch *fetch, struct room *room)
{
    while (fetch->data.len > 0) {
        size_t n;

        if (!find_room(fetch, room))
            return false;
        n = room->len - room->used;
        n = fetch->data.len < n ? fetch->data.len : n;
        memcpy(room->ptr + room->used, fetch->data.ptr, n);
        room->used += n;
        fetch->data = slice_skip(fetch->data, n);
    }
    return true;
}

/* No room: reading stops until fetch_resume, without a deadline, and what was read but not given
 * is kept. data and in lie behind each other. */
static enum step
pause_reading(struct fetch *fetch)
{
    size_t decoded = fetch->data.len;
    struct slice rest =
        decoded > 0 ? slice_of(fetch->data.ptr, decoded + fetch->in.len) : fetch->in;

    if (!fetch->paused)
        return STEP_AGAIN; /* room came at once */
    if (rest.len > 0 && keep(fetch, rest) != OK)
        return fetch_fail(fetch, ERR_NOMEM, "no memory for the response body");
    fetch->data = decoded > 0 ? slice_of(fetch->kept, decoded) : SLICE_NONE;
    fetch->in =
        rest.len > decoded ? slice_of(fetch->kept + decoded, rest.len - decoded) : SLICE_NONE;
    loop_timer_clear(&fetch->timer);
    fetch->paused_ms = loop_now_ms();
    if (!fetch_want(fetch, 0))
        return fetch_fail(fetch, ERR_NOMEM, "no memory for an event");
    return STEP_WAIT;
}

static enum step
fail_coding(struct fetch *fetch, enum err rc)
{
    return rc == ERR_BAD_REQUEST
               ? fetch_fail(fetch, ERR_ORIGIN_FRAMING, "malformed chunked coding")
               : fetch_fail(fetch, ERR_ORIGIN_LIMIT, "chunk lines or trailers are too large");
}

/* Gives on what was read. STEP_AGAIN: all of it, or the fetch moved on. */
static enum step
give_input(struct fetch *fetch)
{
    struct room room = {0};
    enum err rc;

    for (;;) {
        if (!give_data(fetch, &room)) {
            if (fetch->state != FETCH_BODY)
                return STEP_AGAIN;
            return pause_reading(fetch);
        }
        if (fetch->in.len == 0 || fetch->body.done)
            break;
        rc = h1_body_next(&fetch->body, &fetch->in, &fetch->data);
        if (rc != OK) {
            (void)tell_filled(fetch, &room);
            return fetch->state == FETCH_BODY ? fail_coding(fetch, rc) : STEP_AGAIN;
        }
    }
    (void)tell_filled(fetch, &room);
    return STEP_AGAIN;
}

/* The connection ended. Without a length that is the body's end (RFC 9112 section 6.3, item 8). */
static enum step
end_of_input(struct fetch *fetch, enum err rc)
{
    fetch->keep_alive = false;
    if (rc == ERR_CLOSED && h1_body_end(&fetch->body) == OK)
        return STEP_AGAIN;
    return fetch_fail(fetch, ERR_ORIGIN_CLOSED,
                      rc == ERR_CLOSED ? "closed within the response body"
                                       : "reset within the response body");
}

/* One read into `to`. STEP_WAIT: nothing is there. */
static enum step
read_some(struct fetch *fetch, char *to, size_t cap, size_t *out_n)
{
    enum err rc = chan_read(&fetch->conn->chan, to, cap, out_n);

    if (rc == OK) {
        STAT_ADD(origin_bytes_in, *out_n);
        fetch->body_in += *out_n;
        if (*out_n < cap)
            fetch->ready &= ~(unsigned)CHAN_READ; /* the event tells when there is more */
        return STEP_AGAIN;
    }
    *out_n = 0;
    fetch->ready &= ~(unsigned)CHAN_READ;
    return rc == ERR_AGAIN ? STEP_WAIT : end_of_input(fetch, rc);
}

/* Straight into the reader's memory: bodies without a coding. Not past a length's end. */
static enum step
read_direct(struct fetch *fetch, struct room *room)
{
    size_t cap = room->len, n;
    struct slice taken, data;
    enum step step;

    if (fetch->body.framing == FRAMING_LENGTH && fetch->body.left < cap)
        cap = (size_t)fetch->body.left;
    step = read_some(fetch, room->ptr, cap, &n);
    if (n == 0)
        return step;
    taken = slice_of(room->ptr, n);
    if (h1_body_next(&fetch->body, &taken, &data) != OK || taken.len > 0)
        UNREACHABLE(); /* no coding, and not past the end */
    room->used = n;
    (void)tell_filled(fetch, room);
    return STEP_AGAIN;
}

/* To scratch memory, to be decoded from there: not much more than there is room for. */
static enum step
read_coded(struct fetch *fetch, const struct room *room)
{
    size_t cap = room->len < SCRATCH_LEN - KEPT_MIN ? room->len + KEPT_MIN : SCRATCH_LEN, n;
    enum step step = read_some(fetch, scratch, cap, &n);

    if (n > 0)
        fetch->in = slice_of(scratch, n);
    return step;
}

static enum step
read_body(struct fetch *fetch)
{
    struct room room = {0};
    enum step step;

    if (!find_room(fetch, &room))
        return fetch->state == FETCH_BODY ? pause_reading(fetch) : STEP_AGAIN;
    step = fetch->body.framing == FRAMING_CHUNKED ? read_coded(fetch, &room)
                                                  : read_direct(fetch, &room);
    if (fetch->state == FETCH_BODY && !fetch->body.done) {
        if (body_time_left(fetch) == 0)
            return fetch_body_timeout(fetch);
        await_body(fetch);
    }
    return step;
}

/* The body is whole. What has come behind it answers nothing (RFC 9112 section 6.3): either the
 * origin counts wrongly, or somebody wrote a head of his own into the answer and the rest of the
 * true one follows. Such a response is not to be trusted, and stored least of all. What comes later
 * finds the connection idle, or closed. */
static enum step
end_of_body(struct fetch *fetch)
{
    bool more =
        fetch->in.len > 0 || ((fetch->ready & CHAN_READ) != 0 && pool_conn_speaks(fetch->conn));

    if (more)
        return fetch_fail(fetch, ERR_ORIGIN_FRAMING, "bytes after the response");
    if (fetch->expects && fetch->expected > 0)
        return fetch_fail(fetch, ERR_ORIGIN_FRAMING, "a shorter body than Content-Range says");
    return fetch_goto(fetch, FETCH_DONE);
}

enum step
fetch_on_body(struct fetch *fetch)
{
    unsigned reads_n = 0;
    enum step step = STEP_AGAIN;

    if (fetch->paused)
        return STEP_WAIT;
    while (step == STEP_AGAIN && fetch->state == FETCH_BODY) {
        if (fetch->data.len > 0 || (fetch->in.len > 0 && !fetch->body.done)) {
            step = give_input(fetch);
            continue;
        }
        if (fetch->body.done)
            return end_of_body(fetch);
        if (!fetch_want(fetch, CHAN_READ))
            return fetch_fail(fetch, ERR_NOMEM, "no memory for an event");
        if ((fetch->ready & CHAN_READ) == 0 || reads_n++ == READS_MAX) {
            fetch->ready = 0; /* the event comes again */
            return STEP_WAIT;
        }
        step = read_body(fetch);
    }
    return step;
}

void
fetch_expect(struct fetch *fetch, uint64_t body_len)
{
    ASSERT_TAG(fetch, FETCH_TAG);
    ASSERT(fetch->state == FETCH_BODY && fetch->body.framing != FRAMING_NONE);
    fetch->expects = true;
    fetch->expected = body_len;
}

void
fetch_resume(struct fetch *fetch)
{
    ASSERT_TAG(fetch, FETCH_TAG);
    if (!fetch->paused || fetch->state != FETCH_BODY)
        return;
    fetch->paused = false;
    fetch->ready |= CHAN_READ; /* most likely */
    if (fetch->paused_ms != 0)
        fetch->body_until_ms += loop_now_ms() - fetch->paused_ms;
    fetch->paused_ms = 0;
    await_body(fetch);
    fetch_kick(fetch);
}
