/* Looking up, and beginning or joining what brings in what is not there: the states LOOKUP and
 * ALONE. */
#include "proxy/request_impl.h"

#include "base/stats.h"
#include "cache/validate.h"
#include "proxy/feed.h"
#include "proxy/represent.h"
#include "proxy/unstorable.h"
#include "proxy/way.h"

/* Whoever could be answered with a 304 waits this long for the store; a commit takes its
 * batch_time. */
enum { OPEN_TRIES_MAX = 4, COMMIT_WAIT_MS = 1000 };

static struct lookup_question
question_of(const struct request *req)
{
    return (struct lookup_question){
        .settings = &req->site->cache,
        .request = &req->http,
        .cc = &req->cc,
        .key = &req->key,
        .keyed = req->keyed,
        .now_s = req->now_s,
        .gone = req->gone,
        .search = req->search,
        .search_since = req->search_since,
    };
}

/* Sets the reason of not being a hit. */
static void
find_stored(struct request *req, struct lookup_finding *out)
{
    struct search_rules *rules = req->site->no_vary_search ? req->proxy->shared->search : NULL;
    struct lookup_question question = question_of(req);

    req->key = req->own_key;
    way_find(rules, proxy_read(req->proxy), &req->arena, &req->key, &question, out);
    req->search = question.search;
    req->search_since = question.search_since;
    req->reason = out->reason;
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

/* Of a partial object nothing is sent before there are bytes. */
static bool
begin_slices(struct request *req, const struct lookup_finding *finding,
             const struct cache_status *status)
{
    const struct store_object *stored = &finding->stored;
    struct request_master master = {
        .head = stored->head,
        .object = &finding->object,
        .labels = stored->labels,
        .labels_n = stored->labels_n,
    };

    if (!request_begin_slices(req, &master, status))
        return false;
    store_touch(req->proxy->reader, stored);
    return true;
}

static enum deliver_start
check_start(struct request *req)
{
    bool hurried = LIKELY(req->cold_n <= WARMING_TRIES_MAX);
    enum deliver_start start;

    if (!hurried)
        store_reader_hurry(proxy_read(req->proxy), false);
    start = deliver_verify(&req->deliver, &req->cold);
    if (!hurried)
        store_reader_hurry(proxy_read(req->proxy), true);
    return start;
}

enum deliver_start
request_start_reply(struct request *req, const struct reply_source *source,
                    const struct cache_status *status)
{
    enum reply_made made = reply_from(req, source, status);
    enum deliver_start start = DELIVER_DAMAGED;

    if (LIKELY(made == REPLY_MADE))
        start = check_start(req);
    if (UNLIKELY(start == DELIVER_DAMAGED &&
                 req->form == REPRESENT_MEMBER)) { /* it is not found any more */
        made = reply_from(req, source, status);
        if (made == REPLY_MADE)
            start = check_start(req);
    }
    req->cold_member = made == REPLY_COLD;
    if (req->cold_member)
        start = DELIVER_COLD;
    if (UNLIKELY(start != DELIVER_RIGHT)) {
        req->extra_len = 0;
        req->detail = REASON_STORED;
    } else if (req->form != REPRESENT_STORED) {
        represent_note(req, source);
    }
    return start;
}

/* DELIVER_DAMAGED: it cannot be sent, and is as good as not stored. */
static enum deliver_start
reply_stored(struct request *req, struct lookup_finding *finding)
{
    struct cache_status status = status_of_hit(req, &finding->verdict);
    struct reply_source source = {
        .head = finding->stored.head,
        .object = &finding->object,
        .has_length = true,
        .length = finding->stored.body_len,
        .stored = &finding->stored,
        .evaluate = true,
        .variant = finding->stored.variant,
        .family = finding->stored.family,
    };
    enum deliver_start start;

    if (req->failed_over) { /* it went forward: no hit, RFC 9211 section 2.1 */
        status.hit = false;
        status.fwd = cache_reason_fwd(req->reason)[0] != '\0' ? req->reason : REASON_EXPIRED;
        status.fwd_status = req->fwd_status;
        status.detail = req->detail = REASON_STALE_ERROR;
    }
    if (finding->object.flags & CACHE_PARTIAL)
        return begin_slices(req, finding, &status) ? DELIVER_RIGHT : DELIVER_DAMAGED;
    start = request_start_reply(req, &source, &status);
    if (LIKELY(start == DELIVER_RIGHT))
        store_touch(req->proxy->reader, &finding->stored);
    else if (start == DELIVER_DAMAGED)
        req->reason = REASON_NOT_STORED; /* by the time it could be sent */
    return start;
}

static bool
is_for_part(const struct request *req)
{
    return req->http.method == METHOD_GET && http_fields_has(&req->http.fields, HTTP_RANGE);
}

/* --- what is not in memory --- */

/* The worker waits for the disk itself: having it brought in was of no use. */
static void
find_cold(struct request *req, struct lookup_finding *out)
{
    struct store_reader *reader = proxy_read(req->proxy);

    STAT_INC(store_cold_in_loop);
    store_reader_hurry(reader, false);
    find_stored(req, out);
    store_reader_hurry(reader, true);
}

static void
on_warm(void *arg)
{
    struct request *req = arg;
    struct proxy *proxy = req->proxy;

    warming_end(&req->warming);
    request_run(req); /* in the state that waited */
    proxy_read_end(proxy);
}

static enum err
warm_start(struct request *req)
{
    const struct deliver_cold *cold = &req->cold;

    if (req->cold_member)
        return warming_find(&req->warming, req->proxy, &req->key, on_warm, req);
    return warming_body(&req->warming, req->proxy, &cold->source, cold->off, cold->len, on_warm,
                        req);
}

/* The first bytes of a body have to be verified, or a member's record read, and they are not in
 * memory. */
enum step
request_await_body(struct request *req)
{
    if (warming_is_on(&req->warming))
        return STEP_WAIT;
    if (req->cold_n++ < WARMING_TRIES_MAX && warm_start(req) == OK)
        return STEP_WAIT;
    STAT_INC(store_cold_in_loop);
    req->cold_n = WARMING_TRIES_MAX + 1; /* of no use: the next try waits for the disk itself */
    return STEP_AGAIN;
}

static enum step
refuse(struct request *req)
{
    STAT_INC(cache_miss);
    reply_local(req, 504, "text/plain", SLICE_NONE, SLICE("nothing usable is stored\n"));
    return request_goto(req, REQUEST_REPLY);
}

/* As many requests as may do wait for the disk: the origin is quicker. What it sends is not stored,
 * for that is more work for the same disk. */
static enum step
pass_cold(struct request *req)
{
    STAT_INC(store_cold_passed);
    if (req->failed_over)
        return request_answer_error(req, req->failure, req->failure_why);
    if ((req->cc.flags & CC_ONLY_IF_CACHED) != 0) {
        req->reason = REASON_ONLY_IF_CACHED;
        return refuse(req);
    }
    req->kind = LOOKUP_PASS;
    req->reason = REASON_STORE_COLD;
    req->for_range = is_for_part(req);
    return request_goto(req, REQUEST_ALONE);
}

static enum step
await_pages(struct request *req)
{
    enum err rc = warming_find(&req->warming, req->proxy, &req->key, on_warm, req);

    return rc == OK ? STEP_WAIT : pass_cold(req);
}

/* --- fetching --- */

static void
plan_feed(struct request *req, struct feed_plan *out)
{
    *out = (struct feed_plan){
        .request = &req->http,
        .site = req->site,
        .scheme = req->scheme,
        .host = req->host,
        .keyed = req->keyed,
        .search = req->search,
        .peer = req->peer,
        .body = req->query.whole ? slice_of(req->query.text, req->query.len) : SLICE_NONE,
        .unsliced = req->unsliced || req->http.method == METHOD_QUERY,
    };
}

/* RFC 5861 section 3: the stale response goes out; one fetch validates it meanwhile. What is stored
 * came of a GET, so one is sent for a HEAD too. */
static void
revalidate_in_background(struct request *req, const struct lookup_finding *finding)
{
    struct http_request get = req->http;
    struct feed_plan plan;
    struct feed *feed;
    struct fill *fill;
    bool created;

    if (fill_open(req->proxy->shared->fills, &req->key, req->keyed, &fill, &created) != OK)
        return;
    if (created) {
        if (get.method == METHOD_HEAD) {
            get.method = METHOD_GET;
            get.method_text = SLICE("GET");
        }
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

static enum err
join(struct request *req)
{
    return fill_join(req->fill, req->proxy->loop, request_on_news, req, &req->reader);
}

void
request_leave_fill(struct request *req)
{
    fill_leave(&req->reader);
    fill_unref(&req->fill);
    req->starter = false;
}

/* Begin the fetch for req->fill, which is new and ours. */
static enum step
start_feed(struct request *req, const struct lookup_finding *finding)
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
    if (finding != NULL && finding->found) {
        plan.stale = &finding->stored;
        plan.stale_if_error = finding->verdict.may_serve_on_error;
    }
    (void)request_goto(req, REQUEST_PARKED);
    if (feed_start(req->proxy, req->fill, &plan, &req->feed) != OK)
        req->feed = NULL; /* the fill has failed: PARKED says so */
    return STEP_AGAIN;
}

void
request_on_waited_long(struct loop_timer *timer)
{
    struct request *req = CONTAINER_OF(timer, struct request, timer);
    struct proxy *proxy = req->proxy;

    if (req->state != REQUEST_PARKED || req->starter)
        return;
    request_leave_fill(req);
    req->awaits_commit = false;
    (void)request_goto(req, REQUEST_ALONE);
    request_run(req);
    proxy_read_end(proxy);
}

/* Join a fill that others began. */
static enum step
join_fill(struct request *req, enum way_join how, const struct lookup_verdict *verdict)
{
    enum err rc;

    if (how == WAY_JOIN_ALONE) {
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
    if (how == WAY_JOIN_USE && fill_state(req->fill) == FILL_DONE) {
        req->reason = verdict->reason; /* it only waits for its commit: a hit */
    } else {
        req->collapsed = true;
        STAT_INC(cache_collapsed);
    }
    loop_timer_set(req->proxy->loop, &req->timer, req->proxy->settings->waiters_ms);
    return request_goto(req, REQUEST_PARKED);
}

/* Wait until the store has it. Only when nothing older is there to ask the origin about, so that
 * what is always validated is not held up by each 304's commit. */
static enum step
await_commit(struct request *req)
{
    enum err rc = join(req);

    if (rc == ERR_CLOSED) {
        fill_unref(&req->fill);
        return request_goto(req, REQUEST_ALONE);
    }
    if (rc != OK)
        return request_answer_error(req, rc, err_text(rc));
    req->awaits_commit = true;
    loop_timer_set(req->proxy->loop, &req->timer, COMMIT_WAIT_MS);
    return request_goto(req, REQUEST_PARKED);
}

/* Nothing stored does: join the fetch under way for this key, or begin one. */
static enum step
fetch_together(struct request *req, const struct lookup_finding *finding)
{
    struct fill_table *fills = req->proxy->shared->fills;
    struct lookup_question question = question_of(req);
    struct lookup_verdict verdict;

    for (unsigned i = 0; i < OPEN_TRIES_MAX; i++) {
        enum way_join how;
        bool created;
        enum err rc = fill_open(fills, &req->key, req->keyed, &req->fill, &created);

        if (rc != OK)
            return request_answer_error(req, rc, err_text(rc));
        if (created)
            return start_feed(req, finding);
        how = way_join(req->fill, &question, &verdict);
        if (how == WAY_JOIN_COMMIT && !finding->found)
            return await_commit(req);
        if (how != WAY_JOIN_COMMIT && how != WAY_JOIN_REPLACE)
            return join_fill(req, how, &verdict);
        fill_delist(req->fill); /* of no use any more; who reads it goes on */
        fill_unref(&req->fill);
    }
    return request_goto(req, REQUEST_ALONE);
}

/* The head of an object on its way in does as well; else the origin is asked, and what it says may
 * update the stored object: RFC 9111 section 4.3.5. */
static enum step
fetch_head(struct request *req, const struct lookup_finding *finding)
{
    struct fill_table *fills = req->proxy->shared->fills;
    struct lookup_question question = question_of(req);
    struct lookup_verdict verdict;
    enum err rc;

    if (!validate_has_origin_condition(&req->http))
        req->fill = fill_find(fills, &req->key, req->keyed);
    if (req->fill != NULL && way_join(req->fill, &question, &verdict) == WAY_JOIN_USE)
        return join_fill(req, WAY_JOIN_USE, &verdict);
    fill_unref(&req->fill);
    if (!finding->found)
        return request_goto(req, REQUEST_ALONE);
    rc = fill_new_private(fills, &req->key, req->keyed, true, &req->fill);
    return rc == OK ? start_feed(req, finding) : request_answer_error(req, rc, err_text(rc));
}

/* May what is stored stand in for the origin that just failed? */
static bool
may_stand_in(const struct request *req, const struct lookup_finding *finding)
{
    const struct lookup_verdict *verdict = &finding->verdict;

    return finding->found && (verdict->use != LOOKUP_VALIDATE || verdict->may_serve_on_error ||
                              (req->disconnected && verdict->may_serve_disconnected));
}

static enum deliver_start
send_stored(struct request *req, enum lookup_way way, struct lookup_finding *finding)
{
    enum deliver_start start = reply_stored(req, finding);

    if (UNLIKELY(start != DELIVER_RIGHT)) {
        finding->found = false;
        finding->reason = REASON_NOT_STORED; /* by the time it could be sent */
        return start;
    }
    if (way == LOOKUP_WAY_SEND) {
        if (req->sliced == NULL) /* else it is to be seen */
            STAT_INC(cache_hit);
        req->outcome = EXCHANGE_HIT;
        return start;
    }
    STAT_INC(cache_stale);
    req->outcome = EXCHANGE_STALE;
    revalidate_in_background(req, finding);
    return start;
}

/* The fetch failed, and only what is stored can stand in, though it would have to be validated. */
static enum step
fail_over(struct request *req, struct lookup_finding *finding)
{
    switch (reply_stored(req, finding)) {
    case DELIVER_RIGHT:
        STAT_INC(cache_stale);
        req->outcome = EXCHANGE_STALE;
        return request_goto(req, request_after_found(req));
    case DELIVER_DAMAGED:
        return request_answer_error(req, ERR_ORIGIN_FAILED, err_text(ERR_ORIGIN_FAILED));
    case DELIVER_COLD:
        return request_await_body(req);
    }
    UNREACHABLE();
}

static bool
was_unstorable(const struct request *req)
{
    struct store_hash hash = way_unstorable_hash(&req->key, req->http.method, req->keyed);

    return unstorable_is(req->proxy->shared->unstorable, &hash, loop_now_ms());
}

static enum lookup_way
choose_way(const struct request *req, const struct lookup_finding *finding)
{
    struct lookup_question question = question_of(req);

    return lookup_way(&question, finding, !finding->found && was_unstorable(req));
}

enum step
request_on_lookup(struct request *req)
{
    struct lookup_finding finding;
    enum lookup_way way;

    find_stored(req, &finding);
    if (UNLIKELY(finding.cold)) {
        if (req->cold_n++ < WARMING_TRIES_MAX)
            return await_pages(req);
        find_cold(req, &finding);
    }
    if (UNLIKELY(req->failed_over)) {
        if (!may_stand_in(req, &finding))
            return request_answer_error(req, req->failure, req->failure_why);
        if (finding.verdict.use == LOOKUP_VALIDATE)
            return fail_over(req, &finding);
    }
    way = choose_way(req, &finding);
    if (way == LOOKUP_WAY_SEND || way == LOOKUP_WAY_SEND_STALE) {
        enum deliver_start start = send_stored(req, way, &finding);

        if (LIKELY(start == DELIVER_RIGHT))
            return request_goto(req, request_after_found(req));
        if (start == DELIVER_COLD)
            return request_await_body(req);
        way = choose_way(req, &finding);
    }
    req->reason = lookup_reason(&finding, way);
    switch (way) {
    case LOOKUP_WAY_REFUSE:
        return refuse(req);
    case LOOKUP_WAY_PASS:
        req->kind = LOOKUP_PASS;
        return request_goto(req, REQUEST_ALONE);
    case LOOKUP_WAY_ALONE:
        if (is_for_part(req)) {
            req->kind = LOOKUP_PASS; /* the whole would be fetched for a part, and not stored */
            req->for_range = true;
        }
        return request_goto(req, REQUEST_ALONE);
    case LOOKUP_WAY_HEAD:
        return fetch_head(req, &finding);
    case LOOKUP_WAY_SHARE:
        request_plan_hints(req, &finding);
        return fetch_together(req, &finding);
    case LOOKUP_WAY_SEND:
    case LOOKUP_WAY_SEND_STALE:
        break; /* nothing is found any more */
    }
    UNREACHABLE();
}

/* A fetch that nobody joins. */
enum step
request_on_alone(struct request *req)
{
    bool pass = req->kind == LOOKUP_PASS || req->http.method == METHOD_HEAD;
    enum err rc =
        fill_new_private(req->proxy->shared->fills, &req->key, req->keyed, !pass, &req->fill);

    req->uncollapsed = req->uncollapsed || req->collapsed;
    req->collapsed = false;
    if (rc != OK)
        return request_answer_error(req, rc, err_text(rc));
    if (req->kind == LOOKUP_PASS)
        STAT_INC(cache_bypass);
    return start_feed(req, NULL);
}
