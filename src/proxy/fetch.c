/* One exchange with an origin, as a state machine:
 *
 *   PICK -> RESOLVE -> CONNECT <-> CONNECTING -> SEND <-> HEAD -> BODY -> DONE
 *     \______________________________________/
 *       an idle connection                          FAIL from anywhere; both end in OVER
 *
 * A connect that fails goes to the next address, then to the next server. A kept connection that
 * goes before it said a byte goes back to PICK once, for a fresh one (RFC 9110 section 9.2.2). SEND
 * and HEAD alternate while a response may come before the request is sent whole.
 *
 * The machine runs in events of the connection, the name, the timer and in the message `kick`;
 * callbacks come from there alone, so never inside a call of the owner. */
#include "base/log.h"
#include "base/stats.h"
#include "proxy/fetch_impl.h"

enum { KEPT_REUSED_MAX = 16384 /* buffers past it are not kept for the next fetch */ };

static enum step (*const handlers[])(struct fetch *fetch);
static const uint32_t followers[];

/* --- moving on --- */

enum step
fetch_goto(struct fetch *fetch, enum fetch_state state)
{
    ASSERT((followers[fetch->state] >> state & 1) != 0);
    fetch->state = state;
    return STEP_AGAIN;
}

enum step
fetch_fail(struct fetch *fetch, enum err rc, const char *why)
{
    fetch->rc = rc;
    fetch->why = why;
    loop_timer_clear(&fetch->timer);
    return fetch_goto(fetch, FETCH_FAIL);
}

void
fetch_run(struct fetch *fetch)
{
    ASSERT_TAG(fetch, FETCH_TAG);
    if (fetch->running)
        return;
    fetch->running = true;
    while (handlers[fetch->state](fetch) == STEP_AGAIN)
        if (fetch->starting && fetch->state == FETCH_FAIL)
            break; /* told later: no callback inside fetch_start */
    fetch->running = false;
}

void
fetch_kick(struct fetch *fetch)
{
    if (fetch->kicked)
        return;
    fetch->kicked = true;
    loop_post(fetch->origin->loop, &fetch->kick);
}

static void
on_kick(struct loop_msg *msg)
{
    struct fetch *fetch = CONTAINER_OF(msg, struct fetch, kick);

    fetch->kicked = false;
    if (fetch->state == FETCH_OVER)
        loop_reap(fetch->origin->loop, &fetch->reap);
    else
        fetch_run(fetch);
}

void
fetch_deadline(struct fetch *fetch, unsigned in_ms)
{
    loop_timer_set(fetch->origin->loop, &fetch->timer, in_ms);
}

bool
fetch_unsent(const struct fetch *fetch)
{
    return !fetch->ended || fetch->head_sent < fetch->head_len || fetch->out_off < fetch->out_len;
}

/* A request cut short must not look like a whole one, so it is reset. RFC 9112 section 8. */
void
fetch_drop_conn(struct fetch *fetch)
{
    pool_conn_close(&fetch->conn, fetch->counted && (fetch->refused || fetch_unsent(fetch)));
    fetch->ready = 0;
    fetch->counted = false;
}

void
fetch_account(struct fetch *fetch)
{
    size_t has = fetch->head_cap + fetch->kept_cap + fetch->out_cap;

    if (has > fetch->held_len)
        buffers_force(fetch->origin->buffers, has - fetch->held_len);
    else if (has < fetch->held_len)
        buffers_give(fetch->origin->buffers, fetch->held_len - has);
    fetch->held_len = has;
}

/* Everything is let go but the memory, which a kick on its way may still need. */
static void
end(struct fetch *fetch)
{
    fetch->state = FETCH_OVER;
    loop_timer_clear(&fetch->timer);
    dns_cancel(&fetch->query);
    fetch_drop_conn(fetch);
    if (fetch->claimed)
        origin_release(fetch->origin);
    fetch->claimed = false;
    buffers_give(fetch->origin->buffers, fetch->held_len); /* it is freed in this turn, or kept */
    fetch->held_len = 0;
    if (!fetch->kicked)
        loop_reap(fetch->origin->loop, &fetch->reap);
}

bool
fetch_want(struct fetch *fetch, unsigned wanted)
{
    return chan_want(&fetch->conn->chan, wanted) == OK;
}

/* --- the end --- */

static enum step
on_done(struct fetch *fetch)
{
    void (*tell)(void *arg) = fetch->events.on_end;
    void *arg = fetch->arg;

    if (fetch->keep_alive)
        pool_put(&fetch->conn);
    end(fetch);
    tell(arg);
    return STEP_WAIT;
}

/* Every failure of a fetch is counted here and nowhere else. True: the origin answered, and the
 * answer was refused. */
static bool
count_failure(enum err rc)
{
    STAT_INC(origin_failures);
    switch (rc) {
    case ERR_ORIGIN_SYNTAX:
        STAT_INC(origin_refused_syntax);
        return true;
    case ERR_ORIGIN_FRAMING:
        STAT_INC(origin_refused_framing);
        return true;
    case ERR_ORIGIN_LIMIT:
        STAT_INC(origin_refused_limit);
        return true;
    case ERR_ORIGIN_UNASKED:
        STAT_INC(origin_refused_unasked);
        return true;
    case ERR_ORIGIN_CLOSED:
        STAT_INC(origin_closed_early);
        return false;
    case ERR_ORIGIN_BUSY:
        STAT_INC(origin_busy);
        return false;
    case ERR_EXCHANGE_MEMORY:
        STAT_INC(exchange_refused);
        return false;
    case ERR_ORIGIN_SLOW:
        STAT_INC(origin_slow);
        STAT_INC(origin_timeouts);
        return false;
    case ERR_CONNECT_TIMEOUT:
    case ERR_FIRST_BYTE_TIMEOUT:
    case ERR_BETWEEN_BYTES_TIMEOUT:
        STAT_INC(origin_timeouts);
        return false;
    default:
        return false;
    }
}

/* No byte of the answer is in the line: all its words are ours. */
static void
report_failure(const struct fetch *fetch, enum err rc, const char *why)
{
    const struct origin_server_settings *server = fetch->server->settings;

    if (count_failure(rc))
        LOG(WARN, origin_refused, "origin=%s server=%s:%u reason=%s why=\"%s\"",
            fetch->origin->settings->name, server->host, (unsigned)server->port, err_name(rc), why);
    else if (!fetch->logged)
        LOG(WARN, origin_failed, "origin=%s server=%s:%u reason=\"%s: %s\"",
            fetch->origin->settings->name, server->host, (unsigned)server->port, err_text(rc), why);
}

static enum step
on_fail(struct fetch *fetch)
{
    void (*tell)(void *arg, enum err rc, const char *why) = fetch->events.on_fail;
    void *arg = fetch->arg;

    report_failure(fetch, fetch->rc, fetch->why);
    end(fetch);
    tell(arg, fetch->rc, fetch->why);
    return STEP_WAIT;
}

static enum step
on_over(struct fetch *fetch)
{
    return STEP_WAIT;
}

static enum step (*const handlers[])(struct fetch *fetch) = {
#define X(name, handler, next) handler,
    FETCH_STATES(X)
#undef X
};

#define TO(name) ((uint32_t)1 << FETCH_##name)
static const uint32_t followers[] = {
#define X(name, handler, next) (next) | (FETCH_##name < FETCH_DONE ? (uint32_t)1 << FETCH_FAIL : 0),
    FETCH_STATES(X)
#undef X
};
#undef TO

/* A connect that takes too long is tried elsewhere; any other wait ends the fetch. */
static void
on_deadline(struct loop_timer *timer)
{
    struct fetch *fetch = CONTAINER_OF(timer, struct fetch, timer);

    ASSERT_TAG(fetch, FETCH_TAG);
    switch (fetch->state) {
    case FETCH_RESOLVE:
    case FETCH_CONNECTING:
        fetch_connect_timeout(fetch);
        break;
    case FETCH_SEND:
        (void)fetch_fail(fetch, ERR_BETWEEN_BYTES_TIMEOUT, "the origin does not read the request");
        break;
    case FETCH_HEAD:
        (void)fetch_fail(fetch, ERR_FIRST_BYTE_TIMEOUT, "no response head in time");
        break;
    case FETCH_BODY:
        (void)fetch_body_timeout(fetch);
        break;
    default:
        UNREACHABLE();
    }
    fetch_run(fetch);
}

/* --- life --- */

static void
free_fetch(struct fetch *fetch)
{
    mem_free(fetch->head);
    mem_free(fetch->kept);
    fetch->tag = TAG_FREED;
    mem_free(fetch);
}

void
fetch_free_kept(struct origin *origin)
{
    LIST_FOREACH (&origin->free_fetches, link) {
        free_fetch(CONTAINER_OF(link, struct fetch, link));
    }
}

static void
drop_large(char **buf, size_t *cap)
{
    if (*cap <= KEPT_REUSED_MAX)
        return;
    mem_free(*buf);
    *buf = NULL;
    *cap = 0;
}

static void
recycle_fetch(struct loop_reap *reap)
{
    struct fetch *fetch = CONTAINER_OF(reap, struct fetch, reap);
    struct origin *origin = fetch->origin;

    fetch->tag = TAG_FREED;
    mem_free(fetch->out);
    drop_large(&fetch->head, &fetch->head_cap);
    drop_large(&fetch->kept, &fetch->kept_cap);
    if (origin->closing || origin->free_fetches_n >= ORIGIN_FREE_MAX) {
        free_fetch(fetch);
    } else {
        list_push(&origin->free_fetches, &fetch->link);
        origin->free_fetches_n++;
    }
    origin_unref(origin);
}

static struct fetch *
take_fetch(struct origin *origin)
{
    struct fetch *fetch = LIST_LAST(&origin->free_fetches, struct fetch, link);

    if (fetch == NULL)
        return mem_zalloc(sizeof(*fetch));
    list_remove(&fetch->link);
    origin->free_fetches_n--;
    memset((char *)fetch + offsetof(struct fetch, events), 0,
           offsetof(struct fetch, answer) - offsetof(struct fetch, events));
    return fetch;
}

static enum err
copy_head(struct fetch *fetch, struct slice head)
{
    if (head.len > fetch->head_cap) {
        char *grown = mem_realloc(fetch->head, head.len);

        if (grown == NULL)
            return ERR_NOMEM;
        fetch->head = grown;
        fetch->head_cap = head.len;
    }
    memcpy(fetch->head, head.ptr, head.len);
    fetch->head_len = head.len;
    fetch_account(fetch);
    return OK;
}

static void
init_fetch(struct fetch *fetch, struct origin *origin, const struct fetch_request *request)
{
    fetch->tag = FETCH_TAG;
    fetch->origin = origin;
    origin_ref(origin);
    fetch->reap.fn = recycle_fetch;
    fetch->kick.fn = on_kick;
    loop_timer_init(&fetch->timer, on_deadline);
    list_init(&fetch->link);
    fetch->method = request->method;
    fetch->out_framing = request->body_framing;
    fetch->out_left = request->body_len;
    fetch->upgrade = request->upgrade;
    fetch->ended = request->body_framing == FRAMING_NONE;
    fetch->give_up_ms = loop_now_ms() + 2 * (uint64_t)origin->settings->connect_ms;
}

enum err
fetch_start(struct origin *origin, const struct fetch_request *request,
            const struct fetch_events *events, void *arg, struct fetch **out)
{
    struct fetch *fetch;

    ASSERT_TAG(origin, ORIGIN_TAG);
    ASSERT(request->body_framing != FRAMING_CLOSE && request->head.len > 0);
    if (origin->servers_n == 0)
        return ERR_NO_ORIGIN;
    fetch = take_fetch(origin);
    if (fetch == NULL)
        return ERR_NOMEM;
    init_fetch(fetch, origin, request);
    fetch->events = *events;
    fetch->arg = arg;
    if (copy_head(fetch, request->head) != OK) {
        end(fetch);
        return ERR_NOMEM;
    }
    *out = fetch;
    fetch->starting = true;
    fetch_run(fetch);
    fetch->starting = false;
    if (fetch->state == FETCH_FAIL)
        fetch_kick(fetch);
    return OK;
}

void
fetch_refuse(struct fetch **slot, enum err rc, const char *why)
{
    ASSERT_TAG(*slot, FETCH_TAG);
    report_failure(*slot, rc, why);
    fetch_cancel(slot);
}

void
fetch_cancel(struct fetch **slot)
{
    struct fetch *fetch = *slot;

    if (fetch == NULL)
        return;
    ASSERT_TAG(fetch, FETCH_TAG);
    *slot = NULL;
    if (fetch->state != FETCH_OVER)
        end(fetch);
}
