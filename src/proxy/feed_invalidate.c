/* What a response made obsolete goes from the store, or is stale, before the response is passed on.
 * RFC 9111 sections 4.3.5 and 4.4. */
#include "proxy/feed_impl.h"

#include "base/stats.h"
#include "cache/groups.h"
#include "cache/purge.h"
#include "proxy/search_rules.h"

static bool
is_known(struct feed *feed, const struct store_purge *row)
{
    struct store_key key = {.hash = store_hash(row->text), .text = row->text};
    struct store_cursor cursor = {.key = &key};
    struct store_object object;

    return store_find(proxy_read(feed->proxy), &cursor, &object) || cursor.cold ||
           fill_is_under_way(feed->proxy->shared->fills, &key);
}

static void
on_invalidated(void *arg, enum err rc, uint64_t n)
{
    (void)rc; /* what could not be removed was logged by the store; the response stands */
    (void)n;
    wake_fulfil(arg);
}

static void
on_hold_over(void *arg)
{
    struct feed *feed = arg;

    wake_free(&feed->held);
    feed_publish(feed);
}

/* The head is held until these are on disk. False: it is not. */
static bool
purge_first(struct feed *feed, const struct store_purge *rows, size_t rows_n)
{
    uint64_t id;

    feed->held = wake_new(feed->proxy->loop, on_hold_over, feed);
    if (feed->held == NULL)
        return false;
    wake_expect(feed->held);
    if (store_purge(feed->proxy->shared->store, rows, rows_n,
                    (struct store_done){on_invalidated, feed->held}, &id) != OK) {
        wake_fulfil(feed->held);
        return true;
    }
    return true;
}

/* With each URL the common key of those that are the same by its path's rule. */
static size_t
add_classes(struct feed *feed, struct store_purge rows[2 * PURGE_INVALIDATED_MAX], size_t n)
{
    size_t all = n;

    for (size_t i = 0; i < n; i++) {
        struct search_class common;

        if (search_rules_find(feed->proxy->shared->search, &feed->arena, rows[i].text, &common))
            rows[all++] = (struct store_purge){.kind = STORE_PURGE_KEY, .text = common.key.text};
    }
    return all;
}

/* The URLs that went obsolete, of those that the store or a fill knows. */
static size_t
collect_urls(struct feed *feed, const struct http_response *response,
             struct store_purge rows[2 * PURGE_INVALIDATED_MAX])
{
    struct url base;
    size_t rows_n, known_n = 0;

    if (!purge_invalidates(feed->request.method, response->status) || !feed_base_url(feed, &base) ||
        purge_invalidated(&feed->arena, &feed->site->target, &base, response, rows, &rows_n) != OK)
        return 0;
    rows_n = add_classes(feed, rows, rows_n);
    for (size_t i = 0; i < rows_n; i++)
        if (is_known(feed, &rows[i]))
            rows[known_n++] = rows[i];
    STAT_ADD(cache_invalidated, known_n);
    return known_n;
}

/* RFC 9875 section 3. Of any status: the origin says it in so many words. */
static size_t
collect_groups(struct feed *feed, const struct http_response *response,
               struct store_purge rows[CACHE_GROUPS_MAX])
{
    size_t n;

    if (http_method_is_safe(feed->request.method) ||
        cache_groups_invalidated(&feed->arena, feed->scheme, feed->host, &response->fields, rows,
                                 &n) != OK)
        return 0;
    STAT_ADD(cache_groups_invalidated, n);
    return n;
}

bool
feed_hold_for_invalidation(struct feed *feed, const struct http_response *response)
{
    struct store_purge rows[2 * PURGE_INVALIDATED_MAX + CACHE_GROUPS_MAX];
    size_t n = collect_urls(feed, response, rows);

    n += collect_groups(feed, response, rows + n);
    return n > 0 && purge_first(feed, rows, n);
}

/* Does the answer to a HEAD say that a GET would not bring what is stored? Refusals, errors and
 * what answers this one request say nothing of it. */
static bool
says_otherwise(unsigned status)
{
    return (status >= 200 && status <= 399 && status != 206 && status != 304) || status == 404 ||
           status == 410;
}

bool
feed_hold_for_contradiction(struct feed *feed, const struct http_response *response)
{
    struct store_purge row = {
        .kind = STORE_PURGE_KEY, .soft = true, .text = fill_key(feed->fill)->text};

    if (!feed->updating || feed->confirmed || !feed->stale_is_fresh ||
        !says_otherwise(response->status))
        return false;
    STAT_INC(cache_invalidated);
    return purge_first(feed, &row, 1);
}
