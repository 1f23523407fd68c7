/* The whole of a large object, asked for from its beginning, cut into slices as it comes: one
 * request to the origin instead of one a slice, as long as somebody keeps pace.
 *
 * The fill of the next slice is on the table before its bytes come, so who needs it waits for them
 * and does not ask the origin. At the end of a slice that nobody reads any more, or when the next
 * one is stored or fetched by others, the fetch ends; what is missing then is asked for slice by
 * slice, by who needs it. A slow reader is so run ahead of by two slices at most, and no connection
 * to the origin waits for it. */
#include "proxy/feed_impl.h"

#include "base/stats.h"
#include "cache/partial.h"
#include "proxy/slice_feed.h"
#include "proxy/way.h"

/* So many slices come in any case: who waits for the head may not have begun to read. */
enum { UNREAD_MAX = 2 };

struct feed_cut {
    struct cache_object master; /* no texts */
    const uint64_t *labels;
    size_t labels_n;
    uint64_t next;      /* the slice after that of feed->fill */
    uint64_t left;      /* bytes of feed->fill to come */
    struct fill *ahead; /* the next slice's; NULL: there is none, or it is not ours to feed */
    size_t key_len;     /* of the master's */
    char key[];         /* with room for a slice's */
};

/* Does whoever began the fetch need the first slice first? */
static bool
wants_beginning(const struct feed *feed)
{
    const struct cache_object *object = &feed->head.object;
    struct range_set set;

    if (feed->on_ended == NULL)
        return false;
    (void)way_parts(&feed->request, object, object->whole_len, feed->proxy->settings->ranges_max,
                    loop_wall_s(), &set);
    return set.n > 0 && set.parts[0].first < object->slice_len;
}

static bool
is_whole(const struct feed_cut *cut)
{
    return cut->next > partial_slice_of(&cut->master, cut->master.whole_len - 1);
}

static bool
is_stored(struct feed *feed, const struct store_key *key)
{
    struct store_cursor cursor = {.key = key};
    struct store_object object;
    bool found = store_find(proxy_read(feed->proxy), &cursor, &object);

    proxy_read_end(feed->proxy);
    return found || cursor.cold; /* if it does not do, it is asked for when it is needed */
}

/* The fill of slice `next`, unless others have it. */
static void
open_ahead(struct feed *feed)
{
    struct feed_cut *cut = feed->cut;
    struct slice text = slice_of(
        cut->key, cut->key_len + partial_suffix(&cut->master, cut->next, cut->key + cut->key_len));
    struct store_key key = {.hash = store_hash(text), .text = text, .group = feed->site->group};
    bool created;

    if (is_stored(feed, &key) ||
        fill_open(feed->proxy->shared->fills, &key, SLICE_NONE, &cut->ahead, &created) != OK)
        return;
    if (!created)
        fill_unref(&cut->ahead);
}

bool
feed_begin_cut(struct feed *feed)
{
    const struct store_key *key = fill_key(feed->fill);
    struct feed_cut *cut;

    if (!wants_beginning(feed))
        return false;
    cut = arena_zalloc(&feed->arena, sizeof(*cut) + key->text.len + PARTIAL_SUFFIX_MAX);
    if (cut == NULL)
        return false;
    cut->master = feed->head.object;
    cut->master.etag = cut->master.vary = cut->master.tags = SLICE_NONE;
    cut->labels = feed->head.labels;
    cut->labels_n = feed->head.labels_n;
    cut->key_len = key->text.len;
    memcpy(cut->key, key->text.ptr, key->text.len);
    feed->cut = cut;
    open_ahead(feed);
    if (cut->ahead == NULL)
        feed->cut = NULL;
    return feed->cut != NULL;
}

/* Feed the fill ahead from now on, and have the one behind it ready. */
static enum err
advance(struct feed *feed)
{
    struct feed_cut *cut = feed->cut;
    struct fill_head head;
    enum err rc;

    feed->fill = cut->ahead;
    cut->ahead = NULL;
    slice_describe(&cut->master, cut->next, &head);
    head.labels = cut->labels;
    head.labels_n = cut->labels_n;
    head.fwd_status = 200;
    cut->left = head.length;
    cut->next++;
    rc = feed_on_room(feed);
    if (rc == OK)
        rc = fill_publish(feed->fill, &head);
    if (rc == OK && !is_whole(cut))
        open_ahead(feed);
    return rc;
}

enum err
feed_cut_on(struct feed *feed)
{
    fill_finish(feed->fill); /* the master has no body */
    fill_unref(&feed->fill);
    return advance(feed);
}

/* Nobody needs more of it now, or others bring it. */
static bool
is_over(struct feed_cut *cut, bool is_read)
{
    if (cut->ahead == NULL)
        return true;
    return cut->next >= UNREAD_MAX && !is_read &&
           fill_fail_unread(cut->ahead, ERR_CANCELLED, "nobody keeps pace with it");
}

void
feed_cut_filled(struct feed *feed, size_t n)
{
    struct feed_cut *cut = feed->cut;
    bool is_read;

    ASSERT(n <= cut->left);
    cut->left -= n;
    if (cut->left > 0)
        return;
    STAT_INC(slices_fetched);
    is_read = fill_is_read(feed->fill);
    fill_finish(feed->fill);
    fill_unref(&feed->fill);
    if (is_whole(cut))
        return; /* that was all of it: the fetch ends */
    if (is_over(cut, is_read)) {
        fill_unref(&cut->ahead);
        feed_end(feed);
    } else if (advance(feed) != OK) {
        feed_fail(feed, ERR_NOMEM, err_text(ERR_NOMEM));
    }
}

void
feed_end_cut(struct feed *feed)
{
    if (feed->cut == NULL || feed->cut->ahead == NULL)
        return;
    fill_fail(feed->cut->ahead, ERR_CANCELLED, "the fetch before it ended");
    fill_unref(&feed->cut->ahead);
}
