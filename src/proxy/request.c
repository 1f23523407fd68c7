/* The life of a request: a table of states and one loop. A handler does one step and says what
 * follows. */
#include "proxy/request_impl.h"

#include <stdio.h>

#include "base/log.h"
#include "base/stats.h"
#include "proxy/feed.h"
#include "proxy/reply.h"
#include "proxy/unstorable.h"

enum { IDLE_REQUESTS_MAX = 256, REQUEST_ARENA_MAX = 1 << 20, OPEN_TRIES_MAX = 4 };

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

/* --- looking up --- */

/* What the store has for this request: an object and what the rules say of it. */
struct finding {
    bool found;
    struct store_object stored;
    struct cache_object object;
    struct lookup_verdict verdict;
};

/* The newest stored object whose Vary the request matches. RFC 9111 section 4.1. */
static void
find_stored(struct request *req, struct finding *out)
{
    struct store_cursor cursor = {.key = &req->key};
    struct store_reader *reader = proxy_read(req->proxy);

    req->reason = REASON_NOT_STORED;
    out->found = false;
    while (store_find(reader, &cursor, &out->stored)) {
        if (cache_object_decode(out->stored.meta, &out->object) != OK)
            continue;
        if (!cache_vary_matches(out->object.vary, req->keyed, &req->http.fields)) {
            req->reason = REASON_VARY_MISS;
            continue;
        }
        lookup_judge(&req->site->cache, &req->http, &req->cc, &out->object, out->stored.soft_purged,
                     req->now_s, &out->verdict);
        out->found = true;
        req->reason = out->verdict.reason;
        return;
    }
}

static struct cache_status
status_of_hit(const struct request *req, const struct lookup_verdict *verdict)
{
    return (struct cache_status){
        .node = req->proxy->settings->node_name,
        .hit = true,
        .fwd = verdict->reason,
        .has_ttl = true,
        .ttl_s = verdict->ttl_s,
        .detail = verdict->reason,
    };
}

static bool
reply_stored(struct request *req, struct finding *finding)
{
    struct cache_status status = status_of_hit(req, &finding->verdict);
    struct reply_source source = {
        .head = finding->stored.head,
        .object = &finding->object,
        .has_length = true,
        .length = finding->stored.body_len,
        .stored = &finding->stored,
        .evaluate = true,
    };

    if (req->failed_over) {
        status.hit = false;
        status.fwd = REASON_EXPIRED;
        status.detail = REASON_STALE_ERROR;
    }
    if (!reply_from(req, &source, &status)) {
        req->extra_len = 0;
        req->reason = REASON_NOT_STORED; /* by the time it could be sent */
        return false;
    }
    store_touch(req->proxy->reader, &finding->stored);
    return true;
}

static void
plan_feed(struct request *req, struct feed_plan *out)
{
    *out = (struct feed_plan){
        .request = &req->http,
        .site = req->site,
        .scheme = req->scheme,
        .host = req->host,
        .keyed = req->keyed,
        .peer = req->peer,
    };
}

/* RFC 5861 section 3: the stale response goes out; one fetch validates it meanwhile. What is stored
 * came of a GET, so one is sent for a HEAD too. */
static void
revalidate_in_background(struct request *req, const struct finding *finding)
{
    struct http_request get = req->http;
    struct feed_plan plan;
    struct feed *feed;
    struct fill *fill;
    bool created;

    if (fill_open(req->proxy->shared->fills, &req->key, req->keyed, &fill, &created) != OK)
        return;
    if (created) {
        get.method = METHOD_GET;
        get.method_text = SLICE("GET");
        plan_feed(req, &plan);
        plan.request = &get;
        plan.stale = &finding->stored;
        plan.stale_if_error = finding->verdict.may_serve_on_error;
        if (feed_start(req->proxy, fill, &plan, &feed) == OK)
            feed_detach(&feed);
    }
    fill_unref(&fill);
}

static void
on_feed_ended(void *arg)
{
    struct request *req = arg;

    req->feed = NULL;
}

static void
on_feed_wants_body(void *arg)
{
    struct request *req = arg;

    req->carrier.on_body_wanted(req->carrier.arg);
}

/* RFC 9110 section 15.2: interim responses go on, but not to HTTP/1.0. Whoever shares the fetch
 * later has missed them, which is allowed: they are hints. */
static void
on_feed_interim(void *arg, const struct http_response *response)
{
    struct request *req = arg;
    struct slice head;

    if (req->http.minor == 0 || req->state != REQUEST_PARKED)
        return;
    if (request_interim_head(req, response, SLICE_NONE, &head) == OK)
        req->carrier.on_interim(req->carrier.arg, head);
}

static void
on_fill_news(void *arg)
{
    struct request *req = arg;
    struct proxy *proxy = req->proxy; /* the request may end in here */

    if (req->state == REQUEST_PARKED)
        request_run(req);
    else if (req->state == REQUEST_REPLY)
        req->carrier.on_progress(req->carrier.arg);
    proxy_read_end(proxy);
}

static enum err
join(struct request *req)
{
    return fill_join(req->fill, req->proxy->loop, on_fill_news, req, &req->reader);
}

static void
leave(struct request *req)
{
    fill_leave(&req->reader);
    fill_unref(&req->fill);
    req->starter = false;
}

/* Begin the fetch for req->fill, which is new and ours. */
static enum step
start_feed(struct request *req, const struct finding *finding)
{
    struct feed_plan plan;
    enum err rc = join(req);

    if (rc != OK) {
        fill_fail(req->fill, rc, err_text(rc));
        return request_answer_error(req, rc, err_text(rc));
    }
    req->starter = true;
    if (req->kind == LOOKUP_CACHE)
        STAT_INC(cache_miss);
    plan_feed(req, &plan);
    plan.pass = req->kind == LOOKUP_PASS || req->http.method == METHOD_HEAD;
    plan.reason = req->reason;
    plan.on_ended = on_feed_ended;
    plan.on_body_wanted = on_feed_wants_body;
    plan.on_interim = on_feed_interim;
    plan.on_upgrade = request_on_upgrade;
    plan.upgrade = req->upgrade;
    plan.arg = req;
    if (finding != NULL && finding->found && !plan.pass) {
        plan.stale = &finding->stored;
        plan.stale_if_error = finding->verdict.may_serve_on_error;
    }
    (void)request_goto(req, REQUEST_PARKED);
    if (feed_start(req->proxy, req->fill, &plan, &req->feed) != OK)
        req->feed = NULL; /* the fill has failed: PARKED says so */
    return STEP_AGAIN;
}

/* May this request be answered from an object on its way in? */
enum joinable { JOIN_WAIT, JOIN_USE, JOIN_ALONE, JOIN_REPLACE };

static enum joinable
judge_fill(struct request *req, struct fill *fill, struct lookup_verdict *verdict)
{
    const struct fill_head *head = fill_head(fill);
    enum fill_state state = fill_state(fill);

    if (state == FILL_FAILED ||
        store_purged_since(req->proxy->shared->store, fill_birth(fill), &req->key,
                           head == NULL ? NULL : head->labels,
                           head == NULL ? 0 : head->labels_n) != STORE_NOT_PURGED)
        return JOIN_REPLACE;
    if (head == NULL)
        return JOIN_WAIT;
    if (!cache_vary_matches(head->object.vary, req->keyed, &req->http.fields))
        return JOIN_ALONE;
    lookup_judge(&req->site->cache, &req->http, &req->cc, &head->object, false, req->now_s,
                 verdict);
    return verdict->use == LOOKUP_FRESH ? JOIN_USE : JOIN_REPLACE;
}

static void
on_waited_long(struct loop_timer *timer)
{
    struct request *req = CONTAINER_OF(timer, struct request, timer);
    struct proxy *proxy = req->proxy;

    if (req->state != REQUEST_PARKED || req->starter)
        return;
    leave(req);
    (void)request_goto(req, REQUEST_ALONE);
    request_run(req);
    proxy_read_end(proxy);
}

/* Join a fill that others began. */
static enum step
join_fill(struct request *req, enum joinable how, const struct lookup_verdict *verdict)
{
    enum err rc;

    if (how == JOIN_ALONE) {
        fill_unref(&req->fill);
        req->reason = REASON_VARY_MISS;
        return request_goto(req, REQUEST_ALONE);
    }
    rc = join(req);
    if (rc == ERR_CLOSED) { /* it became unstorable on its way and is too far ahead */
        fill_unref(&req->fill);
        req->reason = REASON_HIT_FOR_MISS;
        return request_goto(req, REQUEST_ALONE);
    }
    if (rc != OK)
        return request_answer_error(req, rc, err_text(rc));
    if (how == JOIN_USE && fill_state(req->fill) == FILL_DONE) {
        req->reason = verdict->reason; /* it only waits for its commit: a hit */
    } else {
        req->collapsed = true;
        STAT_INC(cache_collapsed);
    }
    loop_timer_set(req->proxy->loop, &req->timer, req->proxy->settings->waiters_ms);
    return request_goto(req, REQUEST_PARKED);
}

/* Nothing stored does: join the fetch under way for this key, or begin one. */
static enum step
fetch_together(struct request *req, const struct finding *finding)
{
    struct fill_table *fills = req->proxy->shared->fills;
    struct lookup_verdict verdict;

    for (unsigned i = 0; i < OPEN_TRIES_MAX; i++) {
        enum joinable how;
        bool created;
        enum err rc = fill_open(fills, &req->key, req->keyed, &req->fill, &created);

        if (rc != OK)
            return request_answer_error(req, rc, err_text(rc));
        if (created)
            return start_feed(req, finding);
        how = judge_fill(req, req->fill, &verdict);
        if (how != JOIN_REPLACE)
            return join_fill(req, how, &verdict);
        fill_delist(req->fill); /* of no use any more; who reads it goes on */
        fill_unref(&req->fill);
    }
    return request_goto(req, REQUEST_ALONE);
}

/* May a stale object stand in for the origin that just failed? */
static bool
may_stand_in(const struct request *req, const struct lookup_verdict *verdict)
{
    return verdict->may_serve_on_error || (req->disconnected && verdict->may_serve_disconnected);
}

/* Conditions that only the origin can evaluate: RFC 9111 section 4.3.2. */
static bool
has_origin_condition(const struct http_fields *fields)
{
    return http_fields_has(fields, HTTP_IF_MATCH) ||
           http_fields_has(fields, HTTP_IF_UNMODIFIED_SINCE);
}

static enum step
on_lookup(struct request *req)
{
    struct finding finding;

    find_stored(req, &finding);
    if (finding.found && req->failed_over && finding.verdict.use == LOOKUP_VALIDATE) {
        if (!may_stand_in(req, &finding.verdict) || !reply_stored(req, &finding))
            return request_answer_error(req, ERR_ORIGIN_FAILED, err_text(ERR_ORIGIN_FAILED));
        STAT_INC(cache_stale);
        req->outcome = EXCHANGE_STALE;
        return request_goto(req, REQUEST_REPLY);
    }
    if (finding.found && finding.verdict.use == LOOKUP_FRESH && reply_stored(req, &finding)) {
        STAT_INC(cache_hit);
        req->outcome = EXCHANGE_HIT;
        return request_goto(req, REQUEST_REPLY);
    }
    if (finding.found && finding.verdict.use == LOOKUP_STALE && reply_stored(req, &finding)) {
        STAT_INC(cache_stale);
        req->outcome = EXCHANGE_STALE;
        revalidate_in_background(req, &finding);
        return request_goto(req, REQUEST_REPLY);
    }
    if ((req->cc.flags & CC_ONLY_IF_CACHED) != 0) { /* RFC 9111 section 5.2.1.7 */
        STAT_INC(cache_miss);
        req->reason = REASON_ONLY_IF_CACHED;
        reply_local(req, 504, "text/plain", SLICE_NONE, SLICE("nothing usable is stored\n"));
        return request_goto(req, REQUEST_REPLY);
    }
    if (req->http.method == METHOD_HEAD)
        return request_goto(req, REQUEST_ALONE);
    if (has_origin_condition(&req->http.fields)) {
        req->kind = LOOKUP_PASS;
        return request_goto(req, REQUEST_ALONE);
    }
    if (!finding.found &&
        unstorable_is(req->proxy->shared->unstorable, &req->key.hash, loop_now_ms())) {
        req->reason = REASON_HIT_FOR_MISS;
        return request_goto(req, REQUEST_ALONE);
    }
    return fetch_together(req, &finding);
}

/* A fetch that nobody joins. */
static enum step
on_alone(struct request *req)
{
    bool pass = req->kind == LOOKUP_PASS || req->http.method == METHOD_HEAD;
    enum err rc = fill_new_private(req->proxy->shared->fills, &req->key, !pass, &req->fill);

    req->collapsed = false;
    if (rc != OK)
        return request_answer_error(req, rc, err_text(rc));
    if (req->kind == LOOKUP_PASS)
        STAT_INC(cache_bypass);
    return start_feed(req, NULL);
}

/* --- waiting for an object on its way in --- */

static struct cache_status
status_of_fill(const struct request *req, const struct fill_head *head)
{
    struct cache_status status = {
        .node = req->proxy->settings->node_name,
        .fwd = req->reason,
        .fwd_status = head->fwd_status,
        .collapsed = req->collapsed,
        .detail = head->reason,
    };

    if (head->reason == REASON_STORED) {
        status.has_ttl = true;
        status.ttl_s = fresh_ttl_s(&head->object, req->now_s);
        status.stored = fill_is_storing(req->fill);
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
    return head->body_pin.store != NULL ? EXCHANGE_REVALIDATED : EXCHANGE_MISS;
}

static enum step
reply_from_fill(struct request *req, const struct fill_head *head)
{
    struct cache_status status = status_of_fill(req, head);
    struct reply_source source = {
        .head = head->text,
        .object = &head->object,
        .has_length = head->has_length,
        .length = head->length,
        .pin = head->body_pin.store != NULL ? &head->body_pin : NULL,
        .evaluate = req->kind == LOOKUP_CACHE && req->http.method == METHOD_GET,
    };

    req->outcome = outcome_of_fill(req, head);
    req->detail = head->reason;
    if (req->outcome == EXCHANGE_HIT)
        STAT_INC(cache_hit);
    loop_timer_clear(&req->timer);
    if (!reply_from(req, &source, &status))
        UNREACHABLE(); /* only an object of the store can be going */
    return request_goto(req, REQUEST_REPLY);
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
    enum err rc = fill_error(req->fill, &why);

    leave(req);
    if (req->kind == LOOKUP_CACHE && !req->failed_over && rc != ERR_CANCELLED) {
        struct finding finding;

        find_stored(req, &finding);
        req->disconnected = is_disconnected(rc);
        if (finding.found &&
            (finding.verdict.use != LOOKUP_VALIDATE || may_stand_in(req, &finding.verdict))) {
            req->failed_over = true;
            return request_goto(req, REQUEST_LOOKUP);
        }
    }
    return request_answer_error(req, rc, why);
}

static enum step
on_parked(struct request *req)
{
    const struct fill_head *head = fill_head(req->fill);
    bool failed = fill_state(req->fill) == FILL_FAILED;

    if (head == NULL)
        return failed ? on_fill_failed(req) : STEP_WAIT;
    if (req->starter || (head->reason == REASON_STORED &&
                         cache_vary_matches(head->object.vary, req->keyed, &req->http.fields)))
        return failed ? on_fill_failed(req) : reply_from_fill(req, head); /* nothing is sent yet */
    /* Not for sharing, or another variant: everybody for himself. */
    req->reason = head->reason == REASON_STORED ? REASON_VARY_MISS : REASON_HIT_FOR_MISS;
    loop_timer_clear(&req->timer);
    leave(req);
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
            break;
    } while (step == STEP_AGAIN);
    check_context(NULL, NULL);
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
    req->reason = req->detail = REASON_STORED;
    loop_timer_init(&req->timer, on_waited_long);
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

void
request_body(struct request *req, struct slice data, size_t *out_taken)
{
    *out_taken = 0;
    if (req->feed != NULL && feed_send_body(req->feed, data, out_taken) == OK)
        return;
    *out_taken = data.len; /* nobody reads it any more */
    req->reply.close = true;
}

void
request_body_end(struct request *req)
{
    if (req->feed != NULL)
        feed_end_body(req->feed);
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
    if (aborted)
        STAT_INC(requests_aborted);
    request_log_exchange(req, aborted);
    loop_timer_clear(&req->timer);
    deliver_fini(&req->deliver);
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
