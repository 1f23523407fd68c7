/* The state SLICES: a request whose object is a partial one (cache/partial.h), until the first
 * bytes that it needs are stored, or the origin has confirmed that they are still of the same
 * representation. Until then nothing was sent, so a representation that changed under way is simply
 * looked up again. */
#include "proxy/request_impl.h"

#include "base/stats.h"
#include "cache/validate.h"
#include "proxy/slices.h"
#include "proxy/way.h"

enum { CHANGES_MAX = 3 };

struct request_sliced {
    struct slices *slices;
    struct slice_plan plan;
    struct slice head;
    struct cache_object master; /* without its tags */
    struct cache_status status;
    bool looked; /* for what is stored */
};

/* What is of the map or of a fill goes before the slices come. */
static enum err
copy_master(struct request *req, const struct request_master *from, struct request_sliced *to)
{
    struct slice labels = slice_of(from->labels, from->labels_n * sizeof(uint64_t));
    enum err rc = arena_copy(&req->arena, from->head, &to->head);

    to->master = *from->object;
    to->master.tags = SLICE_NONE;
    if (rc == OK)
        rc = arena_copy(&req->arena, from->object->etag, &to->master.etag);
    if (rc == OK)
        rc = arena_copy(&req->arena, from->object->vary, &to->master.vary);
    if (rc == OK)
        rc = arena_copy(&req->arena, labels, &labels);
    to->plan = (struct slice_plan){
        .request = &req->http,
        .site = req->site,
        .scheme = req->scheme,
        .host = req->host,
        .peer = req->peer,
        .key = &req->key,
        .master = &to->master,
        .labels = (const uint64_t *)(const void *)labels.ptr,
        .labels_n = from->labels_n,
    };
    return rc;
}

bool
request_begin_slices(struct request *req, const struct request_master *master,
                     const struct cache_status *status)
{
    struct request_sliced *sliced = arena_zalloc(&req->arena, sizeof(*sliced));

    if (sliced == NULL || copy_master(req, master, sliced) != OK ||
        slices_begin(&req->arena, req->proxy, &sliced->plan, request_on_news, req,
                     &sliced->slices) != OK)
        return false;
    sliced->status = *status;
    req->sliced = sliced;
    return true;
}

void
request_end_slices(struct request *req)
{
    if (req->sliced != NULL)
        slices_end(&req->sliced->slices);
    req->sliced = NULL;
}

static void
find_parts(const struct request *req, const struct cache_object *master, struct range_set *out)
{
    (void)way_parts(&req->http, master, master->whole_len, req->proxy->settings->ranges_max,
                    req->now_s, out);
}

/* *out_sure: every slice was looked at. */
static bool
are_stored(struct slices *slices, const struct range_set *parts, bool *out_sure)
{
    *out_sure = true;
    for (size_t i = 0; i < parts->n; i++) {
        bool all;

        if (!slices_are_stored(slices, parts->parts[i].first, parts->parts[i].len, &all))
            return false;
        *out_sure = *out_sure && all;
    }
    return true;
}

/* What was found is a hit only with all the bytes that are asked for. RFC 9211 section 2.2. False:
 * the client wants no fetch, and one would be needed (RFC 9111 section 5.2.1.7). */
static bool
look_once(struct request *req, const struct range_set *parts)
{
    struct request_sliced *sliced = req->sliced;
    bool sure, stored;

    if (sliced->looked)
        return true;
    sliced->looked = true;
    stored = are_stored(sliced->slices, parts, &sure);
    if ((req->cc.flags & CC_ONLY_IF_CACHED) && !(stored && sure))
        return false;
    if (!sliced->status.hit)
        return true;
    if (stored && req->outcome == EXCHANGE_HIT) {
        STAT_INC(cache_hit);
    } else if (!stored) {
        if (req->outcome == EXCHANGE_HIT)
            STAT_INC(cache_miss);
        req->outcome = EXCHANGE_MISS;
        req->reason = sliced->status.fwd = REASON_RANGE_MISS;
        sliced->status.detail = REASON_STORED; /* none */
        sliced->status.hit = false;
    }
    return true;
}

/* Nothing was sent yet. */
static enum step
on_failed(struct request *req, const struct slices_failure *failure)
{
    enum err rc = failure->rc;
    uint64_t generation = req->sliced->master.generation;

    req->fwd_status = failure->status;
    request_end_slices(req);
    if ((rc != ERR_ORIGIN_CHANGED && rc != ERR_ORIGIN_UNRANGED) || req->changes_n == CHANGES_MAX)
        return request_answer_error(req, rc, failure->why);
    req->changes_n++;
    req->gone = generation;
    req->unsliced = rc == ERR_ORIGIN_UNRANGED;
    return request_goto(req, REQUEST_LOOKUP);
}

static enum step
send_reply(struct request *req)
{
    struct request_sliced *sliced = req->sliced;
    struct reply_source source = {
        .head = sliced->head,
        .object = &sliced->master,
        .has_length = true,
        .length = sliced->master.whole_len,
        .slices = sliced->slices,
        .evaluate = true,
    };

    if (!sliced->status.hit && slices_fetches(sliced->slices) && sliced->status.fwd_status == 0)
        sliced->status.fwd_status = 206;
    if (reply_from(req, &source, &sliced->status) != REPLY_MADE)
        UNREACHABLE(); /* slices are pinned, and have no members */
    return request_goto(req, REQUEST_REPLY);
}

enum step
request_on_slices(struct request *req)
{
    struct request_sliced *sliced = req->sliced;
    struct range_set parts;
    struct slices_failure failure;

    find_parts(req, &sliced->master, &parts);
    if (!look_once(req, &parts)) {
        request_end_slices(req);
        STAT_INC(cache_miss);
        req->reason = REASON_ONLY_IF_CACHED;
        reply_local(req, 504, "text/plain", SLICE_NONE, SLICE("not all of it is stored\n"));
        return request_goto(req, REQUEST_REPLY);
    }
    if (parts.n == 0)
        return send_reply(req);
    switch (slices_look(sliced->slices, parts.parts[0].first, &failure)) {
    case SLICES_READY:
        return send_reply(req);
    case SLICES_WAIT:
        return STEP_WAIT;
    case SLICES_FAILED:
        return on_failed(req, &failure);
    }
    UNREACHABLE();
}
