/* The life of a request: a table of states and one loop. A handler does one step and says what
 * follows. */
#include "proxy/request_impl.h"

#include <stdio.h>

#include "base/log.h"
#include "base/stats.h"
#include "proxy/feed.h"
#include "proxy/reply.h"
#include "proxy/way.h"

enum { IDLE_REQUESTS_MAX = 256, REQUEST_ARENA_MAX = 1 << 20 };

enum step
request_goto(struct request *req, enum request_state next)
{
#define TO(state) (1U << REQUEST_##state)
    static const unsigned allowed[] = {
#define X(state, handler, next_states) next_states,
        REQUEST_STATES(X)
#undef X
    };
#undef TO

    ASSERT((allowed[req->state] & 1U << next) != 0);
    memmove(req->trace, req->trace + 1, sizeof(req->trace) - 1);
    req->trace[sizeof(req->trace) - 1] = (uint8_t)req->state;
    req->state = next;
    req->cold_n = 0;
    if (UNLIKELY(warming_is_on(&req->warming)))
        warming_end(&req->warming);
    return STEP_AGAIN;
}

bool
request_count_refusal(enum err rc, const char *why)
{
    if (!stats_refused(rc))
        return false;
    STAT_INC(requests_refused);
    LOG(INFO, request_refused, "reason=%s why=\"%s\"", err_name(rc), why);
    return true;
}

/* After a request that is wrong in itself nothing on its connection is trusted. */
enum step
request_answer_error(struct request *req, enum err rc, const char *why)
{
    if (request_count_refusal(rc, why))
        req->reply.close = true;
    reply_error(req, rc, why);
    return request_goto(req, REQUEST_REPLY);
}

/* --- waiting for an object on its way in --- */

/* A 304 that confirms changes what is stored, and is not stored itself: RFC 9211 section 2.5 means
 * storing by RFC 9111 section 3, and has no "stored" in its example of this. */
static bool
is_confirmed(const struct fill_head *head)
{
    return head->body_pin.store != NULL;
}

static struct cache_status
status_of_fill(const struct request *req, const struct fill_head *head)
{
    struct cache_status status = {
        .node = req->proxy->settings->node_name,
        .fwd = req->reason,
        .fwd_status = head->fwd_status,
        .collapsed = req->collapsed,
        .uncollapsed = req->uncollapsed,
        .detail = head->reason == REASON_STORED ? req->reason : head->reason,
    };

    if (head->reason == REASON_STORED) {
        status.has_ttl = true;
        status.ttl_s = fresh_ttl_s(&head->object, req->now_s);
        status.stored = fill_is_storing(req->fill) && !is_confirmed(head);
        status.hit = req->reason == REASON_FRESH;
    }
    return status;
}

static enum exchange_outcome
outcome_of_fill(const struct request *req, const struct fill_head *head)
{
    if (req->reason == REASON_FRESH)
        return EXCHANGE_HIT;
    if (req->collapsed)
        return EXCHANGE_COLLAPSED;
    if (req->kind == LOOKUP_PASS)
        return EXCHANGE_PASS;
    return is_confirmed(head) ? EXCHANGE_REVALIDATED : EXCHANGE_MISS;
}

/* The master of a partial object came in, or was confirmed: its slices are what is needed. */
static enum step
slices_from_fill(struct request *req, const struct fill_head *head, struct slice text,
                 const struct cache_status *status)
{
    struct request_master master = {
        .head = text,
        .object = &head->object,
        .labels = head->labels,
        .labels_n = head->labels_n,
    };
    bool begun = request_begin_slices(req, &master, status);

    request_leave_fill(req);
    feed_detach(&req->feed); /* it may go on, for the slices */
    return begun ? request_goto(req, REQUEST_SLICES)
                 : request_answer_error(req, ERR_NOMEM, err_text(ERR_NOMEM));
}

/* What came is of no use: a body that was confirmed turned out to be damaged, or it was purged.
 * Whoever comes now finds neither the object nor the fill. */
static enum step
look_again(struct request *req)
{
    fill_delist(req->fill);
    request_leave_fill(req);
    feed_detach(&req->feed);
    return request_goto(req, REQUEST_LOOKUP);
}

static enum step
reply_from_fill(struct request *req, const struct fill_head *head)
{
    struct cache_status status = status_of_fill(req, head);
    struct reply_source source = {
        .head = req->starter && head->own.len > 0 ? head->own : head->text,
        .object = &head->object,
        .has_length = head->has_length,
        .length = head->length,
        .pin = is_confirmed(head) ? &head->body_pin : NULL,
        .evaluate = (req->kind == LOOKUP_CACHE || req->for_range) &&
                    !(req->http.method == METHOD_HEAD && req->starter), /* the origin did */
        .variant = head->variant,
        .family = head->family,
    };

    req->outcome = outcome_of_fill(req, head);
    req->detail = head->reason;
    loop_timer_clear(&req->timer);
    if (head->object.flags & CACHE_PARTIAL)
        return slices_from_fill(req, head, source.head, &status);
    switch (request_start_reply(req, &source, &status)) {
    case DELIVER_RIGHT:
        if (req->outcome == EXCHANGE_HIT)
            STAT_INC(cache_hit);
        return request_goto(req, REQUEST_REPLY);
    case DELIVER_DAMAGED:
        return look_again(req);
    case DELIVER_COLD:
        return request_await_body(req);
    }
    UNREACHABLE();
}

/* No answer of the origin's own: RFC 9111 section 4.2.4. */
static bool
is_disconnected(enum err rc)
{
    switch (rc) {
    case ERR_NO_ORIGIN:
    case ERR_DNS:
    case ERR_CONNECT:
    case ERR_CONNECT_TIMEOUT:
    case ERR_FIRST_BYTE_TIMEOUT:
    case ERR_ORIGIN_CLOSED:
        return true;
    default:
        return false;
    }
}

/* The fetch failed before this client got a head: RFC 9111 section 4.2.4 may allow what is stale.
 */
static enum step
on_fill_failed(struct request *req)
{
    const char *why;
    enum err rc = fill_error(req->fill, &req->fwd_status, &why);

    request_leave_fill(req);
    if (req->kind == LOOKUP_CACHE && !req->failed_over && rc != ERR_CANCELLED) {
        req->failed_over = true;
        req->disconnected = is_disconnected(rc);
        req->failure = rc;
        req->failure_why = why;
        return request_goto(req, REQUEST_LOOKUP);
    }
    return request_answer_error(req, rc, why);
}

/* The store has the object now, or will not have it: look again. */
static enum step
on_commit(struct request *req)
{
    if (!fill_is_settled(req->fill))
        return STEP_WAIT;
    req->awaits_commit = false;
    loop_timer_clear(&req->timer);
    request_leave_fill(req);
    return request_goto(req, REQUEST_LOOKUP);
}

/* Nothing of it is stored, so the range alone is asked for: it comes at once, and the origin need
 * not send the whole for it. */
static enum step
fetch_part(struct request *req)
{
    req->kind = LOOKUP_PASS;
    req->for_range = true;
    req->reason = REASON_HIT_FOR_MISS;
    loop_timer_clear(&req->timer);
    request_leave_fill(req);
    feed_detach(&req->feed);
    return request_goto(req, REQUEST_ALONE);
}

static enum step
on_parked(struct request *req)
{
    const struct fill_head *head = fill_head(req->fill);
    bool failed = fill_state(req->fill) == FILL_FAILED;

    if (req->awaits_commit)
        return on_commit(req);
    if (head == NULL)
        return failed ? on_fill_failed(req) : STEP_WAIT;
    /* A purge of a label that its head alone tells may have been acknowledged before the join. */
    if (req->collapsed && head->reason == REASON_STORED && fill_is_purged(req->fill)) {
        req->collapsed = false;
        req->uncollapsed = true;
        loop_timer_clear(&req->timer);
        return look_again(req);
    }
    if (!failed && req->kind == LOOKUP_CACHE && way_wants_far_part(&req->http, head, req->now_s))
        return fetch_part(req);
    if (req->starter || (head->reason == REASON_STORED &&
                         (req->search == 0 || req->search == head->object.search) &&
                         cache_vary_matches(head->object.vary, req->keyed, &req->http.fields)))
        return failed ? on_fill_failed(req) : reply_from_fill(req, head); /* nothing is sent yet */
    /* Not for sharing, or another variant: everybody for himself. */
    req->reason = head->reason == REASON_STORED ? REASON_VARY_MISS : REASON_HIT_FOR_MISS;
    loop_timer_clear(&req->timer);
    request_leave_fill(req);
    return request_goto(req, REQUEST_ALONE);
}

/* --- the loop --- */

static enum step
on_reply(struct request *req)
{
    req->carrier.on_reply(req->carrier.arg);
    return STEP_WAIT;
}

/* Nothing moves it any more: the carrier tunnels. */
static enum step
on_tunnel(struct request *req)
{
    return STEP_WAIT;
}

static void
describe_request(const void *subject, char *buf, size_t cap)
{
    static const char *const names[] = {
#define X(state, handler, next) #state,
        REQUEST_STATES(X)
#undef X
    };
    const struct request *req = subject;
    struct slice rest = req->key.text, url;

    (void)slice_cut(&rest, '?', &url); /* a query may hold what lets its sender in */
    (void)snprintf(
        buf, cap, "request %llu of connection %llu, state %s, before: %s %s %s: %.*s %.*s",
        (unsigned long long)req->id, (unsigned long long)req->conn_id, names[req->state],
        names[req->trace[5]], names[req->trace[6]], names[req->trace[7]],
        SLICE_ARGS(slice_first(req->http.method_text, 20)), SLICE_ARGS(slice_first(url, 200)));
}

void
request_on_news(void *arg)
{
    struct request *req = arg;
    struct proxy *proxy = req->proxy; /* the request may end in here */

    if (req->state == REQUEST_PARKED || req->state == REQUEST_SLICES)
        request_run(req);
    else if (req->state == REQUEST_REPLY)
        req->carrier.on_progress(req->carrier.arg);
    proxy_read_end(proxy);
}

void
request_run(struct request *req)
{
    static enum step (*const handlers[])(struct request *) = {
#define X(state, handler, next) handler,
        REQUEST_STATES(X)
#undef X
    };
    enum step step;

    ASSERT_TAG(req, REQUEST_TAG);
    check_context(describe_request, req);
    if (req->state != REQUEST_VET) /* it has waited */
        req->now_s = loop_wall_s();
    do {
        bool last = req->state == REQUEST_REPLY; /* on_reply may end the request */

        step = handlers[req->state](req);
        if (last)
            step = STEP_OVER;
    } while (step == STEP_AGAIN);
    check_context(NULL, NULL);
    if (step == STEP_WAIT)
        request_send_hints(req);
}

static void
on_deliver_more(void *arg)
{
    struct request *req = arg;
    struct proxy *proxy = req->proxy;

    req->carrier.on_progress(req->carrier.arg);
    proxy_read_end(proxy);
}

/* --- life --- */

static struct request *
take_idle(struct proxy *proxy)
{
    struct request *req = LIST_LAST(&proxy->idle_requests, struct request, link);

    if (req != NULL) {
        list_remove(&req->link);
        proxy->idle_requests_n--;
        return req;
    }
    req = mem_zalloc(sizeof(*req));
    if (req != NULL) {
        arena_init(&req->arena, REQUEST_ARENA_MAX);
        list_init(&req->link);
    }
    return req;
}

/* All but the arena and what request_new writes anyway. */
static void
clear(struct request *req)
{
    struct arena arena = req->arena;

    memset(req, 0, offsetof(struct request, deliver));
    req->extra_len = 0;
    req->began_us = req->first_byte_us = req->body_sent_len = 0;
    req->told = false;
    req->arena = arena;
    list_init(&req->link);
}

struct request *
request_new(struct proxy *proxy, const struct request_carrier *carrier,
            const struct sock_addr *peer, uint64_t conn_id)
{
    struct request *req = take_idle(proxy);

    if (req == NULL)
        return NULL;
    clear(req);
    req->tag = REQUEST_TAG;
    req->proxy = proxy;
    req->carrier = *carrier;
    req->peer = peer;
    req->conn_id = conn_id;
    req->id = ++proxy->next_req_id;
    req->now_s = loop_wall_s();
    req->outcome = EXCHANGE_LOCAL;
    req->reason = REASON_LOCAL;
    req->detail = REASON_STORED;
    loop_timer_init(&req->timer, request_on_waited_long);
    deliver_init(&req->deliver, proxy, on_deliver_more, req);
    if (proxy->settings->exchanges.fn != NULL)
        req->began_us = loop_now_us();
    STAT_INC(requests_active);
    return req;
}

void
request_start(struct request *req)
{
    request_run(req);
}

void
request_refuse(struct request *req, enum err rc, const char *why)
{
    req->reply.close = true;
    (void)request_answer_error(req, rc, why);
    feed_detach(&req->feed); /* what the origin got of it is broken off now */
    request_run(req);
}

bool
request_answer_unsent(struct request *req)
{
    enum err rc = req->deliver.failed;

    if (rc == OK)
        return false;
    deliver_fini(&req->deliver);
    deliver_init(&req->deliver, req->proxy, on_deliver_more, req);
    req->extra_len = 0;
    reply_error(req, rc, err_text(rc));
    return true;
}

void
request_body(struct request *req, struct slice data, size_t *out_taken)
{
    *out_taken = 0;
    if (req->state == REQUEST_COLLECT && request_collect(req, data)) {
        *out_taken = data.len;
        return;
    }
    if (req->feed != NULL && !request_send_collected(req))
        return; /* on_body_wanted will come */
    if (req->feed != NULL && feed_send_body(req->feed, data, out_taken) == OK)
        return;
    *out_taken = data.len; /* nobody reads it any more */
    req->reply.close = true;
}

void
request_body_end(struct request *req)
{
    if (req->state == REQUEST_COLLECT) {
        req->query.over = true;
        request_run(req);
    }
    if (req->feed != NULL && !req->query.whole)
        feed_end_body(req->feed);
}

bool
request_takes_body(const struct request *req)
{
    return req->feed != NULL || req->state == REQUEST_COLLECT;
}

/* What became of the response is counted where that is known: once for all who share it. */
static void
count_reason(const struct request *req)
{
    if (req->reason != REASON_LOCAL || req->reply.status != 0) /* else nothing was asked */
        cache_reason_count(req->reason);
    if (req->detail == REASON_STALE_ERROR)
        cache_reason_count(req->detail);
}

static void
count_status(unsigned status)
{
    switch (status / 100) {
    case 2:
        STAT_INC(responses_2xx);
        break;
    case 3:
        STAT_INC(responses_3xx);
        break;
    case 4:
        STAT_INC(responses_4xx);
        break;
    case 5:
        STAT_INC(responses_5xx);
        break;
    default:
        break;
    }
}

void
request_free(struct request **slot, bool aborted)
{
    struct request *req = *slot;
    struct proxy *proxy;

    *slot = NULL;
    if (req == NULL)
        return;
    ASSERT_TAG(req, REQUEST_TAG);
    proxy = req->proxy;
    if (req->reply.status != 0)
        count_status(req->reply.status);
    count_reason(req);
    if (aborted)
        STAT_INC(requests_aborted);
    request_log_exchange(req, aborted);
    loop_timer_clear(&req->timer);
    warming_end(&req->warming);
    deliver_fini(&req->deliver);
    request_end_slices(req);
    fill_leave(&req->reader);
    feed_detach(&req->feed);
    fill_unref(&req->fill);
    if (req->purge != NULL)
        req->purge->req = NULL;
    req->tag = TAG_FREED;
    STAT_DEC(requests_active);
    arena_reset(&req->arena);
    if (proxy->idle_requests_n < IDLE_REQUESTS_MAX) {
        list_push(&proxy->idle_requests, &req->link);
        proxy->idle_requests_n++;
    } else {
        arena_fini(&req->arena);
        mem_free(req);
    }
}
