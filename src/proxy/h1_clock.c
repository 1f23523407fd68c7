/* Deadlines of an HTTP/1 connection, and its place among those that may have to go.
 *
 *   phase      waits for            deadline                      list
 *
 *   IDLE       a next request       idle_timeout                  IDLE; HALF_OPEN before the first
 *   HEAD       the rest of a head   head_timeout, in all          HALF_OPEN
 *   EXCHANGE   the client's body    its pace, request_timeout     BODY
 *   EXCHANGE   the client to take   its pace, request_timeout     READER
 *   EXCHANGE   the origin           request_timeout               none
 *   TUNNEL     either side          tunnel_timeout, the tunnel's  none
 *   LINGER     the client to close  a moment                      IDLE
 *
 * What a client has taken is what its TCP acknowledged: bytes in the kernel's buffer are not with
 * it. That costs a system call, so it is asked for only when a deadline comes, or room is needed.
 */
#include "base/log.h"
#include "base/stats.h"
#include "proxy/h1_impl.h"

static const uint64_t never_ms = (uint64_t)1 << 40;

/* Bytes that the exchange's slow side gave or took in all. */
static uint64_t
moved_by_client(const struct conn *conn)
{
    return conn->pace == WATCH_BODY ? conn->body_read_len : chan_taken(&conn->chan);
}

static const struct rate_rule *
rule_of(const struct conn *conn)
{
    const struct proxy_settings *settings = conn->proxy->settings;

    return conn->pace == WATCH_BODY ? &settings->body_rule : &settings->reader_rule;
}

/* Not past the end of the whole exchange, which is set when it first has to wait. */
static void
set_deadline(struct conn *conn, uint64_t now_ms, uint64_t in_ms)
{
    unsigned whole_ms = conn->proxy->settings->request_ms;

    if (whole_ms != 0 && conn->ends_ms == 0)
        conn->ends_ms = now_ms + whole_ms;
    if (whole_ms != 0 && conn->ends_ms < now_ms + in_ms)
        in_ms = conn->ends_ms > now_ms ? conn->ends_ms - now_ms : 0;
    if (in_ms == never_ms)
        loop_timer_clear(&conn->timer);
    else
        loop_timer_set(conn->proxy->loop, &conn->timer, in_ms);
}

void
conn_await_head(struct conn *conn, bool begun)
{
    const struct proxy_settings *settings = conn->proxy->settings;
    enum conn_phase phase = begun ? PHASE_HEAD : PHASE_IDLE;

    if (phase == conn->phase)
        return; /* a phase has one deadline, however often there is news */
    conn->phase = phase;
    loop_timer_set(conn->proxy->loop, &conn->timer, begun ? settings->head_ms : settings->idle_ms);
    if (!begun)
        watch_move(&conn->proxy->watch, &conn->watch, WATCH_IDLE,
                   conn->timer.deadline_ms - settings->idle_ms); /* the clock was read already */
    else if (conn->watch.kind != WATCH_HALF_OPEN)
        watch_move(&conn->proxy->watch, &conn->watch, WATCH_HALF_OPEN, loop_now_ms());
}

/* Judges the client from now on, as the sender of a body or the taker of a reply. */
static void
begin_pace(struct conn *conn, enum watch_kind kind, uint64_t now_ms)
{
    if (conn->pace != kind) {
        conn->pace = kind;
        rate_init(&conn->rate, rule_of(conn), moved_by_client(conn));
    }
    rate_wait(&conn->rate, now_ms);
    watch_move(&conn->proxy->watch, &conn->watch, kind, now_ms);
}

void
conn_await_body(struct conn *conn)
{
    uint64_t now_ms = loop_now_ms();

    if (conn->watch.kind != WATCH_BODY) {
        begin_pace(conn, WATCH_BODY, now_ms);
    } else {
        (void)rate_judge(&conn->rate, rule_of(conn), now_ms, conn->body_read_len);
        if (!rate_is_behind(&conn->rate, rule_of(conn)))
            watch_touch(&conn->proxy->watch, &conn->watch, now_ms);
    }
    set_deadline(conn, now_ms, rate_due_ms(&conn->rate, rule_of(conn)));
}

void
conn_await_reader(struct conn *conn)
{
    uint64_t now_ms;

    if (conn->watch.kind == WATCH_READER)
        return; /* the deadline is set, and asks how much it took */
    now_ms = loop_now_ms();
    begin_pace(conn, WATCH_READER, now_ms);
    set_deadline(conn, now_ms, rate_due_ms(&conn->rate, rule_of(conn)));
}

void
conn_await_origin(struct conn *conn)
{
    uint64_t now_ms;

    if (conn->watch.kind == WATCH_NONE)
        return;
    now_ms = loop_now_ms();
    if (conn->watch.kind == conn->pace)
        rate_pause(&conn->rate, rule_of(conn), now_ms, conn->rate.seen);
    watch_move(&conn->proxy->watch, &conn->watch, WATCH_NONE, now_ms);
    set_deadline(conn, now_ms, never_ms);
}

void
conn_await_close(struct conn *conn, uint64_t most_ms)
{
    conn->phase = PHASE_LINGER;
    loop_timer_set(conn->proxy->loop, &conn->timer, most_ms);
    watch_move(&conn->proxy->watch, &conn->watch, WATCH_IDLE, loop_now_ms());
}

/* --- when one comes --- */

/* A request that did not come in time is answered, when that is still possible. */
static void
give_up_request(struct conn *conn, const char *why)
{
    if (conn->replying) {
        conn_close(conn, true);
        return;
    }
    conn->working = true;
    conn_refuse(conn, ERR_REQUEST_TIMEOUT, why);
    conn->working = false;
    if (!conn_is_closed(conn))
        conn_flush(conn);
}

static void
on_slow_body(struct conn *conn, enum rate_verdict verdict)
{
    if (verdict == RATE_QUIET)
        STAT_INC(body_timeouts);
    else
        STAT_INC(bodies_too_slow);
    LOG(INFO, client_timeout, "phase=reading why=%s", verdict == RATE_QUIET ? "silent" : "slow");
    give_up_request(conn, "the request body did not arrive in time");
}

static void
on_slow_reader(struct conn *conn, enum rate_verdict verdict)
{
    if (verdict == RATE_QUIET)
        STAT_INC(reader_timeouts);
    else
        STAT_INC(readers_too_slow);
    LOG(INFO, client_timeout, "phase=writing why=%s", verdict == RATE_QUIET ? "silent" : "slow");
    conn_close(conn, true);
}

/* False: the exchange may go on. */
static bool
check_whole_time(struct conn *conn, uint64_t now_ms)
{
    if (conn->ends_ms == 0 || now_ms < conn->ends_ms)
        return false;
    STAT_INC(request_timeouts);
    LOG(INFO, client_timeout, "phase=exchange why=request_timeout");
    if (conn->body_open)
        give_up_request(conn, "the exchange took too long");
    else
        conn_close(conn, true);
    return true;
}

/* False: nobody was too slow, and the next deadline is set. */
static bool
check_exchange(struct conn *conn)
{
    uint64_t now_ms = loop_now_ms();
    enum rate_verdict verdict;

    if (check_whole_time(conn, now_ms))
        return true;
    if (conn->watch.kind != WATCH_BODY && conn->watch.kind != WATCH_READER) {
        set_deadline(conn, now_ms, never_ms);
        return false;
    }
    verdict = rate_judge(&conn->rate, rule_of(conn), now_ms, moved_by_client(conn));
    if (verdict != RATE_FINE) {
        if (conn->watch.kind == WATCH_BODY)
            on_slow_body(conn, verdict);
        else
            on_slow_reader(conn, verdict);
        return true;
    }
    if (!rate_is_behind(&conn->rate, rule_of(conn)))
        watch_touch(&conn->proxy->watch, &conn->watch, now_ms);
    set_deadline(conn, now_ms, rate_due_ms(&conn->rate, rule_of(conn)));
    return false;
}

void
conn_on_timer(struct loop_timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
    struct proxy *proxy = conn->proxy;
    bool over = true;

    log_set_ids(conn->id, conn->req == NULL ? 0 : conn->req->id);
    switch (conn->phase) {
    case PHASE_HEAD:
        STAT_INC(head_timeouts);
        give_up_request(conn, "the request head did not arrive in time");
        break;
    case PHASE_IDLE:
        STAT_INC(idle_timeouts);
        conn_close(conn, false);
        break;
    case PHASE_LINGER: /* it is brink that takes its leave */
        conn_close(conn, false);
        over = false;
        break;
    case PHASE_TUNNEL: /* it has deadlines of its own */
        over = false;
        break;
    case PHASE_EXCHANGE:
        over = check_exchange(conn);
        break;
    }
    if (over)
        STAT_INC(connection_timeouts);
    log_set_ids(0, 0);
    proxy_read_end(proxy);
}

/* --- when there is no room --- */

static bool
is_behind(struct watch *watch)
{
    struct conn *conn = CONTAINER_OF(watch, struct conn, watch);

    (void)rate_judge(&conn->rate, rule_of(conn), loop_now_ms(), moved_by_client(conn));
    return rate_is_behind(&conn->rate, rule_of(conn));
}

static void
shed(struct watch *watch)
{
    struct conn *conn = CONTAINER_OF(watch, struct conn, watch);

    conn_close(conn, conn->phase == PHASE_HEAD || conn->phase == PHASE_EXCHANGE);
}

const struct watch_ops conn_watch_ops = {is_behind, shed};
