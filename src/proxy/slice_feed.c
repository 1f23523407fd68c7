/* One fetch feeding the fill of one slice.
 *
 * The answer must be exactly the bytes asked for, of the representation with the master's strong
 * entity tag: anything else is never mixed with what is stored (RFC 9111 section 3.4). What shows
 * that the origin has another representation by now, or does not serve ranges after all, takes the
 * master out of the store, and its slices with it.
 *
 * Whatever ends the feed goes through end_feed; its memory goes when the loop's turn ends. */
#include "proxy/slice_feed.h"

#include "base/stats.h"
#include "net/wake.h"
#include "proxy/asked.h"
#include "proxy/fetch.h"
#include "proxy/forward.h"
#include "proxy/unstorable.h"

#define SLICE_FEED_TAG 0x736c6365U

struct slice_feed {
    uint32_t tag;
    struct list link; /* in proxy->slice_feeds */
    struct loop_reap reap;
    struct proxy *proxy;
    struct fill *fill;
    struct fetch *fetch;
    struct arena arena;
    struct asked asked;
    struct store_key key; /* the master's */
    struct cache_object master;
    struct slice labels; /* as bytes */
    const struct site_settings *site;
    uint64_t number;

    /* the master is on its way out; then the fill fails with `rc` */
    struct wake *dropping;
    enum err rc;
};

/* --- the end --- */

static void
on_reap(struct loop_reap *reap)
{
    struct slice_feed *feed = CONTAINER_OF(reap, struct slice_feed, reap);

    arena_fini(&feed->arena);
    mem_free(feed);
}

static void
end_feed(struct slice_feed *feed)
{
    ASSERT_TAG(feed, SLICE_FEED_TAG);
    feed->tag = TAG_FREED;
    if (feed->fetch != NULL)
        fetch_cancel(&feed->fetch);
    list_remove(&feed->link);
    wake_free(&feed->dropping);
    fill_unref(&feed->fill);
    loop_reap(feed->proxy->loop, &feed->reap);
}

static void
fail_feed(struct slice_feed *feed, enum err rc, const char *why)
{
    fill_fail(feed->fill, rc, why);
    end_feed(feed);
}

static void
abandon(struct slice_feed *feed)
{
    fail_feed(feed, ERR_CANCELLED, "nobody waits for it any more");
}

/* --- what the answer says --- */

/* Has something newer taken the master's place already? */
static bool
is_replaced(struct slice_feed *feed)
{
    struct store_cursor cursor = {.key = &feed->key};
    struct store_reader *reader = proxy_read(feed->proxy);
    struct store_object stored;
    struct cache_object object;

    while (store_find(reader, &cursor, &stored))
        if (cache_object_decode(stored.meta, stored.head.len, &object) == OK &&
            slice_equal(object.vary, feed->master.vary))
            return object.generation != feed->master.generation;
    /* Gone, or not yet committed: then the purge keeps it out. Or not in memory by now: then it is
     * removed for nothing, at worst. */
    return false;
}

static void
on_purged(void *arg, enum err rc, uint64_t n)
{
    (void)rc; /* what could not be removed was logged by the store, and is found out again */
    (void)n;
    wake_fulfil(arg);
}

static void
on_dropped(void *arg)
{
    struct slice_feed *feed = arg;

    wake_free(&feed->dropping);
    fail_feed(feed, feed->rc, err_text(feed->rc));
}

/* The fill fails when the master is gone, so that what takes its place is stored. Other variants
 * under its key go too: that costs a fetch, and is never wrong. */
static void
drop_master(struct slice_feed *feed, enum err rc)
{
    struct store_purge row = {.kind = STORE_PURGE_KEY, .text = feed->key.text};
    bool replaced = is_replaced(feed);
    uint64_t id;

    proxy_read_end(feed->proxy);
    feed->rc = rc;
    feed->dropping = replaced ? NULL : wake_new(feed->proxy->loop, on_dropped, feed);
    if (feed->dropping == NULL) {
        fail_feed(feed, rc, err_text(rc));
        return;
    }
    fetch_cancel(&feed->fetch);
    wake_expect(feed->dropping);
    if (store_purge(feed->proxy->shared->store, &row, 1,
                    (struct store_done){on_purged, feed->dropping}, &id) != OK)
        wake_fulfil(feed->dropping);
    else
        STAT_INC(cache_invalidated);
}

void
slice_describe(const struct cache_object *master, uint64_t number, struct fill_head *out)
{
    *out = (struct fill_head){
        .text = SLICE("HTTP/1.1 206 Partial Content\r\n"),
        .has_length = true,
        .length = partial_slice_len(master, number),
        .reason = REASON_STORED,
    };
    partial_slice_object(master, &out->object);
}

static void
publish(struct slice_feed *feed, const struct http_response *response)
{
    struct fill_head head;
    enum err rc;

    slice_describe(&feed->master, feed->number, &head);
    head.labels = (const uint64_t *)(const void *)feed->labels.ptr;
    head.labels_n = feed->labels.len / sizeof(uint64_t);
    head.fwd_status = response->status;
    /* Else the end is read to, and fetch_expect sees to the length. */
    head.has_length = response->framing == FRAMING_LENGTH;
    head.reason = fresh_admit_part(&feed->site->cache, &response->fields);
    rc = fill_publish(feed->fill, &head);
    if (rc != OK)
        fail_feed(feed, rc, err_text(rc));
    else if (!fill_is_wanted(feed->fill))
        abandon(feed);
    else
        fetch_resume(feed->fetch);
}

static void
on_head(void *arg, const struct http_response *response)
{
    struct slice_feed *feed = arg;
    const char *why;
    enum err rc = asked_check(&feed->asked, response, &why);

    ASSERT_TAG(feed, SLICE_FEED_TAG);
    if (rc != OK) {
        fetch_refuse(&feed->fetch, rc, why);
        fail_feed(feed, rc, why);
        return;
    }
    switch (asked_slice(&feed->asked, response, feed->master.whole_len, feed->master.etag)) {
    case SLICE_RIGHT:
        fetch_expect(feed->fetch, partial_slice_len(&feed->master, feed->number));
        publish(feed, response);
        return;
    case SLICE_CHANGED:
        STAT_INC(partial_changed);
        drop_master(feed, ERR_ORIGIN_CHANGED);
        return;
    case SLICE_UNRANGED:
        STAT_INC(partial_unranged);
        unstorable_note(feed->proxy->shared->unsliceable, &feed->key.hash, REASON_PARTIAL,
                        loop_now_ms(), feed->site->hit_for_miss_s);
        drop_master(feed, ERR_ORIGIN_UNRANGED);
        return;
    case SLICE_FAILED:
        fill_note_status(feed->fill, response->status);
        fail_feed(feed, ERR_ORIGIN_FAILED, err_text(ERR_ORIGIN_FAILED));
        return;
    }
    UNREACHABLE();
}

/* --- the fetch's other events --- */

static size_t
on_room(void *arg, char **out_room)
{
    struct slice_feed *feed = arg;

    return fill_room(feed->fill, out_room);
}

static void
on_filled(void *arg, size_t n)
{
    struct slice_feed *feed = arg;

    if (!fill_filled(feed->fill, n))
        abandon(feed);
}

static void
on_end(void *arg)
{
    struct slice_feed *feed = arg;

    feed->fetch = NULL;
    STAT_INC(slices_fetched);
    fill_finish(feed->fill);
    end_feed(feed);
}

static void
on_fail(void *arg, enum err rc, const char *why)
{
    struct slice_feed *feed = arg;

    feed->fetch = NULL;
    fail_feed(feed, rc, why);
}

static void
on_room_again(void *arg)
{
    struct slice_feed *feed = arg;

    if (feed->fetch == NULL || fill_state(feed->fill) == FILL_WAITING)
        return;
    if (fill_is_wanted(feed->fill))
        fetch_resume(feed->fetch);
    else
        abandon(feed);
}

/* --- the start --- */

static enum err
start_fetch(struct slice_feed *feed, const struct slice_plan *plan)
{
    static const struct fetch_events events = {.on_head = on_head,
                                               .on_room = on_room,
                                               .on_filled = on_filled,
                                               .on_end = on_end,
                                               .on_fail = on_fail};
    struct origin *origin = feed->proxy->origins[plan->site->origin];
    struct forward_plan forward = {
        .request = plan->request,
        .scheme = plan->scheme,
        .host = plan->host,
        .host_header = origin_settings(origin)->host_header,
        .node_name = feed->proxy->settings->node_name,
        .loop_id = feed->proxy->shared->loop_id,
        .peer = plan->peer,
        .for_store = true,
        .key_fields = plan->site->key_fields,
        .key_fields_n = plan->site->key_fields_n,
        .accept_encoding = forward_accept_encoding(plan->site), /* as the whole was asked for */
    };
    struct fetch_request request = {.method = METHOD_GET, .body_framing = FRAMING_NONE};
    uint64_t first = partial_slice_first(&feed->master, feed->number);
    enum err rc =
        partial_conditions(&feed->arena, &feed->master, feed->number, &forward.conditions);

    if (rc == OK)
        rc = forward_head(&feed->arena, &forward, &request.head);
    asked_for_slice(first, first + partial_slice_len(&feed->master, feed->number) - 1,
                    &feed->asked);
    return rc == OK ? fetch_start(origin, &request, &events, feed, &feed->fetch) : rc;
}

static enum err
copy_plan(struct slice_feed *feed, const struct slice_plan *plan)
{
    struct slice labels = slice_of(plan->labels, plan->labels_n * sizeof(uint64_t));
    enum err rc = arena_copy(&feed->arena, labels, &feed->labels); /* first, so aligned */

    feed->site = plan->site;
    feed->key.hash = plan->key->hash;
    feed->master = *plan->master;
    feed->master.tags = SLICE_NONE;
    if (rc == OK)
        rc = arena_copy(&feed->arena, plan->key->text, &feed->key.text);
    if (rc == OK)
        rc = arena_copy(&feed->arena, plan->master->vary, &feed->master.vary);
    if (rc == OK)
        rc = arena_copy(&feed->arena, plan->master->etag, &feed->master.etag);
    return rc;
}

enum err
slice_feed_start(struct proxy *proxy, struct fill *fill, const struct slice_plan *plan,
                 uint64_t number)
{
    struct slice_feed *feed = mem_zalloc(sizeof(*feed));
    enum err rc = ERR_NOMEM;

    if (feed != NULL) {
        feed->tag = SLICE_FEED_TAG;
        feed->proxy = proxy;
        feed->reap.fn = on_reap;
        feed->fill = fill_ref(fill);
        feed->number = number;
        arena_init(&feed->arena, 0);
        list_init(&feed->link);
        rc = copy_plan(feed, plan);
    }
    if (rc == OK)
        rc = fill_on_room(fill, proxy->loop, on_room_again, feed);
    if (rc == OK)
        rc = start_fetch(feed, plan);
    if (rc != OK) {
        fill_fail(fill, rc, "the fetch could not be started");
        if (feed != NULL)
            end_feed(feed);
        return rc;
    }
    list_push(&proxy->slice_feeds, &feed->link);
    return OK;
}

void
slice_feed_abort_all(struct proxy *proxy)
{
    LIST_FOREACH (&proxy->slice_feeds, link) {
        fail_feed(CONTAINER_OF(link, struct slice_feed, link), ERR_CANCELLED, "brink is stopping");
    }
}
