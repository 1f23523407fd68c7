/* One fetch feeding one fill.
 *
 *   fetch: head -> [held while an invalidation commits] -> publish -> body -> end -> finish the
 * fill
 *
 * Whatever ends the feed goes through end_feed; its memory goes when the loop's turn ends. */
#include "proxy/feed_impl.h"

#include "base/stats.h"
#include "cache/partial.h"
#include "cache/validate.h"
#include "proxy/forward.h"

/* --- the end --- */

static void
on_reap(struct loop_reap *reap)
{
    struct feed *feed = CONTAINER_OF(reap, struct feed, reap);

    arena_fini(&feed->arena);
    mem_free(feed);
}

void
feed_end(struct feed *feed)
{
    ASSERT_TAG(feed, FEED_TAG);
    feed->tag = TAG_FREED;
    if (feed->fetch != NULL)
        fetch_cancel(&feed->fetch);
    list_remove(&feed->link);
    wake_free(&feed->held);
    store_put_release(&feed->since);
    if (feed->pin.store != NULL)
        store_unpin(&feed->pin);
    feed_end_cut(feed);
    fill_unref(&feed->fill);
    if (feed->on_ended != NULL)
        feed->on_ended(feed->arg);
    loop_reap(feed->proxy->loop, &feed->reap);
}

void
feed_fail(struct feed *feed, enum err rc, const char *why)
{
    if (feed->fill != NULL)
        fill_fail(feed->fill, rc, why);
    feed_end(feed);
}

static void
complete(struct feed *feed)
{
    if (feed->cut != NULL)
        ASSERT(feed->fill == NULL);
    else if (feed->confirmed)
        fill_finish_update(feed->fill, feed->stale_oid);
    else
        fill_finish(feed->fill);
    feed_end(feed);
}

static void
abandon(struct feed *feed)
{
    feed_fail(feed, ERR_CANCELLED, "nobody waits for it any more");
}

/* --- the fetch's events --- */

void
feed_publish(struct feed *feed)
{
    enum err rc = OK;

    /* What a POST brought: its invalidation, which would have taken it too, is on disk. */
    if (feed->head.reason == REASON_STORED && !fill_is_storing(feed->fill) && feed->pass)
        rc = fill_begin_storing(feed->fill);
    if (rc == OK)
        rc = fill_publish(feed->fill, &feed->head);
    if (rc != OK) {
        feed_fail(feed, rc, "out of memory");
        return;
    }
    if (feed->head.body_pin.store != NULL)
        feed->pin.store = NULL; /* the fill's now */
    if (feed->cut != NULL && feed_cut_on(feed) != OK) {
        feed_fail(feed, ERR_NOMEM, err_text(ERR_NOMEM));
        return;
    }
    if (feed->pass && fill_is_storing(feed->fill))
        fill_enlist(feed->fill); /* who comes before the commit shall find it */
    if (feed->ended)
        complete(feed);
    else if (!fill_is_wanted(feed->fill))
        abandon(feed);
    else
        fetch_resume(feed->fetch);
}

bool
feed_base_url(const struct feed *feed, struct url *out)
{
    *out = (struct url){.scheme = feed->scheme,
                        .authority = feed->host,
                        .path = feed->request.path,
                        .query = feed->request.query};
    return url_parse_authority(feed->host, &out->host, &out->port) == OK;
}

static enum err start_fetch(struct feed *feed);

/* A 304 that speaks of something else: ask again, without conditions (RFC 9111 section 4.3.3). */
static void
fetch_anew(struct feed *feed)
{
    enum err rc;

    fetch_cancel(&feed->fetch);
    feed->validating = false;
    rc = start_fetch(feed);
    if (rc != OK)
        feed_fail(feed, rc, "no second request after a 304 that does not match");
}

/* The origin's answer is not one to what was asked: nobody gets it. */
static void
refuse_answer(struct feed *feed, enum err rc, const char *why)
{
    fetch_refuse(&feed->fetch, rc, why);
    feed_fail(feed, rc, why);
}

static bool
is_server_failure(unsigned status)
{
    return status == 500 || status == 502 || status == 503 ||
           status == 504; /* RFC 5861 section 4 */
}

static void
on_head(void *arg, const struct http_response *response)
{
    struct feed *feed = arg;
    bool not_modified = feed->validating && response->status == 304;
    uint64_t part_len;
    const char *why;
    enum err rc;

    ASSERT_TAG(feed, FEED_TAG);
    rc = asked_check(&feed->asked, response, &why);
    if (rc != OK) {
        refuse_answer(feed, rc, why);
        return;
    }
    if (asked_part(&feed->asked, response, &part_len))
        fetch_expect(feed->fetch, part_len);
    if (not_modified && !validate_confirms(&feed->stale, &response->fields, loop_wall_s())) {
        fetch_anew(feed);
        return;
    }
    if (feed->stale_if_error && is_server_failure(response->status)) {
        fill_note_status(feed->fill, response->status);
        feed_fail(feed, ERR_ORIGIN_FAILED, err_text(ERR_ORIGIN_FAILED));
        return;
    }
    feed->confirmed = not_modified;
    if (feed->updating)
        rc = feed_describe_update(feed, response, &feed->head, &feed->confirmed);
    else if (not_modified)
        rc = feed_describe_confirmed(feed, response, &feed->head);
    else
        rc = feed_describe(feed, response, &feed->head);
    if (rc != OK) {
        feed_fail(feed, rc, "the response head could not be kept");
        return;
    }
    if (!feed->confirmed && (feed->head.object.flags & CACHE_PARTIAL))
        feed->ended = !feed_begin_cut(feed); /* else who needs slices fetches them */
    if (feed->confirmed)
        STAT_INC(cache_revalidated);
    if (!feed_hold_for_invalidation(feed, response) && !feed_hold_for_contradiction(feed, response))
        feed_publish(feed);
    proxy_read_end(feed->proxy);
}

static size_t
on_room(void *arg, char **out_room)
{
    struct feed *feed = arg;

    return feed->held != NULL || feed->fill == NULL ? 0 : fill_room(feed->fill, out_room);
}

static void
on_filled(void *arg, size_t n)
{
    struct feed *feed = arg;

    if (!fill_filled(feed->fill, n))
        abandon(feed);
    else if (feed->cut != NULL)
        feed_cut_filled(feed, n);
}

static void
on_end(void *arg)
{
    struct feed *feed = arg;

    feed->fetch = NULL;
    feed->ended = true;
    if (feed->held == NULL)
        complete(feed);
}

static void
on_fail(void *arg, enum err rc, const char *why)
{
    struct feed *feed = arg;

    feed->fetch = NULL;
    feed_fail(feed, rc, why);
}

static void
on_interim(void *arg, const struct http_response *response)
{
    struct feed *feed = arg;

    if (feed->on_interim != NULL)
        feed->on_interim(feed->arg, response);
}

/* Who asked for it takes the connection, unless he has gone or cannot. */
static void
on_upgrade(void *arg, const struct http_response *response, struct slice protocol)
{
    struct feed *feed = arg;
    struct proxy *proxy = feed->proxy;

    if (feed->on_upgrade != NULL)
        feed->on_upgrade(feed->arg, response, protocol);
    if (feed->tag == FEED_TAG)
        feed_fail(feed, ERR_CANCELLED, "nobody takes the upgraded connection");
    proxy_read_end(proxy);
}

static void
on_body_wanted(void *arg)
{
    struct feed *feed = arg;

    if (feed->on_body_wanted != NULL)
        feed->on_body_wanted(feed->arg);
}

/* The fill has room again, or its last reader left. */
static void
on_room_again(void *arg)
{
    struct feed *feed = arg;

    if (feed->held != NULL || feed->fetch == NULL || fill_state(feed->fill) == FILL_WAITING)
        return;
    if (fill_is_wanted(feed->fill))
        fetch_resume(feed->fetch);
    else
        abandon(feed);
}

enum err
feed_on_room(struct feed *feed)
{
    return fill_on_room(feed->fill, feed->proxy->loop, on_room_again, feed);
}

/* --- the start --- */

static enum err
copy_slice(struct arena *arena, struct slice *text)
{
    return arena_copy(arena, *text, text);
}

/* The client's request may end long before the fetch does. */
static enum err
copy_request(struct feed *feed, const struct http_request *from)
{
    struct http_request *to = &feed->request;
    struct slice *texts[] = {&to->method_text, &to->target,   &to->scheme, &to->host,   &to->path,
                             &to->query,       &feed->scheme, &feed->host, &feed->keyed};
    enum err rc = OK;

    *to = *from;
    to->fields.items = arena_alloc(&feed->arena, from->fields.n * sizeof(struct http_field) + 1);
    if (to->fields.items == NULL)
        return ERR_NOMEM;
    to->fields.cap = from->fields.n;
    for (size_t i = 0; i < ARRAY_LEN(texts) && rc == OK; i++)
        rc = copy_slice(&feed->arena, texts[i]);
    for (unsigned i = 0; i < from->fields.n && rc == OK; i++) {
        to->fields.items[i] = from->fields.items[i];
        rc = copy_slice(&feed->arena, &to->fields.items[i].name);
        if (rc == OK)
            rc = copy_slice(&feed->arena, &to->fields.items[i].value);
    }
    return rc;
}

static enum err
remember_stale(struct feed *feed, const struct store_object *stale)
{
    struct slice meta;
    bool pinned;
    enum err rc = arena_copy(&feed->arena, stale->head, &feed->stale_head);

    if (rc == OK)
        rc = arena_copy(&feed->arena, stale->meta, &meta);
    if (rc == OK)
        rc = cache_object_decode(meta, feed->stale_head.len, &feed->stale);
    if (rc != OK)
        return rc;
    feed->stale_oid = stale->oid;
    feed->stale_body_len = partial_whole_len(&feed->stale, stale->body_len);
    feed->stale_variant = stale->variant;
    feed->stale_family = stale->family;
    feed->stale_is_fresh = !stale->soft_purged && fresh_ttl_s(&feed->stale, loop_wall_s()) > 0;
    /* One that is going cannot be confirmed: the whole is fetched. */
    pinned = store_pin(proxy_read(feed->proxy), stale, &feed->pin);
    feed->validating = pinned && !feed->pass;
    feed->updating = pinned && feed->pass;
    return OK;
}

/* A length of 0 is said to the origin, but there is nothing to wait for. */
static enum http_framing
body_framing(const struct http_request *request)
{
    return fresh_has_body(request) ? request->framing : FRAMING_NONE;
}

/* What is there whole goes with the head, and again with it when a kept connection had gone. */
static enum err
append_body(struct feed *feed, struct slice *head)
{
    char *whole = arena_alloc(&feed->arena, head->len + feed->body.len);

    if (whole == NULL)
        return ERR_NOMEM;
    memcpy(whole, head->ptr, head->len);
    memcpy(whole + head->len, feed->body.ptr, feed->body.len);
    *head = slice_of(whole, head->len + feed->body.len);
    return OK;
}

/* What may be stored is asked for as the site says; so is what may change something stored, for it
 * must speak of the same representation (RFC 9111 section 4.3.5). */
static const char *
accept_encoding(const struct feed *feed)
{
    return feed->pass && !feed->updating ? NULL : forward_accept_encoding(feed->site);
}

static enum err
start_fetch(struct feed *feed)
{
    static const struct fetch_events events = {
        .on_interim = on_interim,
        .on_upgrade = on_upgrade,
        .on_head = on_head,
        .on_room = on_room,
        .on_filled = on_filled,
        .on_end = on_end,
        .on_fail = on_fail,
        .on_body_wanted = on_body_wanted,
    };
    struct origin *origin = feed->proxy->origins[feed->site->origin];
    struct forward_plan plan = {
        .request = &feed->request,
        .scheme = feed->scheme,
        .host = feed->host,
        .host_header = origin_settings(origin)->host_header,
        .node_name = feed->proxy->settings->node_name,
        .loop_id = feed->proxy->shared->loop_id,
        .peer = &feed->peer,
        .for_store = !feed->pass,
        .key_fields = feed->site->key_fields,
        .key_fields_n = feed->site->key_fields_n,
        .accept_encoding = accept_encoding(feed),
        .translate_tags =
            feed->site->coding.variant.codings_n > 0 || feed->site->coding.variant.decode,
        .as_it_came = feed->site->pass,
        .upgrade = feed->upgrade,
    };
    struct fetch_request request = {
        .method = feed->request.method,
        .body_framing = feed->body.len > 0 ? FRAMING_NONE : body_framing(&feed->request),
        .body_len = feed->request.content_length,
        .upgrade = feed->upgrade};
    enum err rc = OK;

    feed->asked_ours = plan.accept_encoding != NULL;
    if (feed->validating)
        rc = validate_conditions(&feed->arena, &feed->stale, &plan.conditions);
    if (rc == OK)
        rc = forward_head(&feed->arena, &plan, &request.head);
    if (rc == OK && feed->body.len > 0)
        rc = append_body(feed, &request.head);
    asked_for(&feed->request, feed->pass, feed->validating, &feed->asked);
    feed->request_ms = loop_now_ms();
    return rc == OK ? fetch_start(origin, &request, &events, feed, &feed->fetch) : rc;
}

static enum err
feed_new(struct proxy *proxy, struct fill *fill, const struct feed_plan *plan, struct feed **out)
{
    struct feed *feed = mem_zalloc(sizeof(*feed));
    enum err rc;

    if (feed == NULL)
        return ERR_NOMEM;
    feed->tag = FEED_TAG;
    feed->proxy = proxy;
    feed->reap.fn = on_reap;
    feed->fill = fill_ref(fill);
    arena_init(&feed->arena, 0);
    list_init(&feed->link);
    feed->site = plan->site;
    feed->scheme = plan->scheme;
    feed->host = plan->host;
    feed->keyed = plan->keyed;
    feed->search = plan->search;
    feed->peer = *plan->peer;
    feed->pass = plan->pass;
    feed->reason = plan->reason;
    feed->stale_if_error = plan->stale_if_error;
    feed->unsliced = plan->unsliced;
    feed->body = plan->body;
    feed->body_whole = plan->body.len > 0 || body_framing(plan->request) == FRAMING_NONE;
    feed->upgrade = plan->upgrade;
    rc = copy_request(feed, plan->request);
    if (rc == OK)
        rc = copy_slice(&feed->arena, &feed->upgrade);
    if (rc == OK)
        rc = copy_slice(&feed->arena, &feed->body);
    if (plan->body.len > 0) { /* however it came */
        feed->request.framing = FRAMING_LENGTH;
        feed->request.content_length = plan->body.len;
    }
    if (rc == OK && plan->pass && plan->request->method == METHOD_POST)
        rc = store_put_begin(proxy->shared->store, fill_key(fill), &feed->since);
    if (rc == OK && plan->stale != NULL)
        rc = remember_stale(feed, plan->stale);
    *out = feed;
    return rc;
}

enum err
feed_start(struct proxy *proxy, struct fill *fill, const struct feed_plan *plan, struct feed **out)
{
    struct feed *feed = NULL;
    enum err rc = feed_new(proxy, fill, plan, &feed);

    if (rc == OK)
        rc = feed_on_room(feed);
    if (rc == OK)
        rc = start_fetch(feed);
    if (rc != OK) {
        fill_fail(fill, rc, "the fetch could not be started");
        if (feed != NULL)
            feed_end(feed);
        return rc;
    }
    list_push(&proxy->feeds, &feed->link);
    feed->on_body_wanted = plan->on_body_wanted;
    feed->on_interim = plan->on_interim;
    feed->on_upgrade = plan->on_upgrade;
    feed->on_ended = plan->on_ended;
    feed->arg = plan->arg;
    *out = feed;
    return OK;
}

enum err
feed_send_body(struct feed *feed, struct slice data, size_t *out_taken)
{
    enum err rc = ERR_CLOSED;

    ASSERT_TAG(feed, FEED_TAG);
    *out_taken = 0;
    if (feed->fetch != NULL)
        rc = fetch_send_body(feed->fetch, data, out_taken);
    if (rc == ERR_NOMEM) /* a body with a hole must not go on */
        feed_fail(feed, rc, "no memory for the request body");
    return rc;
}

void
feed_end_body(struct feed *feed)
{
    ASSERT_TAG(feed, FEED_TAG);
    feed->body_whole = true;
    if (feed->fetch != NULL)
        fetch_end_body(feed->fetch);
}

void
feed_take_chan(struct feed *feed, struct chan *to, struct slice *out_early)
{
    ASSERT_TAG(feed, FEED_TAG);
    fetch_take_chan(&feed->fetch, to, out_early);
    feed_fail(feed, ERR_CANCELLED, "the connection changed its protocol");
}

void
feed_detach(struct feed **slot)
{
    struct feed *feed = *slot;
    bool unsafe;

    *slot = NULL;
    if (feed == NULL)
        return;
    ASSERT_TAG(feed, FEED_TAG);
    feed->on_body_wanted = NULL;
    feed->on_interim = NULL;
    feed->on_upgrade = NULL;
    feed->on_ended = NULL;
    /* An unsafe request that went out whole may have its effect: its answer invalidates. */
    if (feed->fill == NULL)
        return;
    unsafe = !http_method_is_safe(feed->request.method) && fill_state(feed->fill) == FILL_WAITING;
    if (!feed->body_whole || (!unsafe && !fill_is_wanted(feed->fill)))
        abandon(feed);
}

void
feed_abort_all(struct proxy *proxy)
{
    LIST_FOREACH (&proxy->feeds, link) {
        feed_fail(CONTAINER_OF(link, struct feed, link), ERR_CANCELLED, "brink is stopping");
    }
}
