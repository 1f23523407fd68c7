/* Slices one after another. At most two are held: the one that is read, and the one behind it from
 * the middle of the first on, so that a client that keeps pace never waits for a round trip. */
#include "proxy/slices.h"

#include "base/stats.h"
#include "proxy/warming.h"

enum { LOOK_MAX = 256, START_LEN = 1 << 20 };

/* One slice, held. */
struct spot {
    bool open;
    uint64_t number;
    struct store_pin pin; /* stored, or ... */
    struct fill *fill;    /* ... on its way in */
    struct fill_reader *reader;
    uint64_t at; /* where the reader stands */
    bool again;  /* it was opened a second time */
};

struct slices {
    struct proxy *proxy;
    struct slice_plan plan;
    void (*on_news)(void *arg);
    void *arg;
    struct spot here, ahead;
    struct warming warming; /* a slice's record is on its way from disk */
    unsigned cold_n;        /* times in a row that one was not in memory */
    size_t key_len;         /* of the master's */
    uint32_t group;
    char *key; /* with room for a slice's */
};

enum err
slices_begin(struct arena *arena, struct proxy *proxy, const struct slice_plan *plan,
             void (*on_news)(void *arg), void *arg, struct slices **out)
{
    size_t key_len = plan->key->text.len;
    struct slices *slices = arena_zalloc(arena, sizeof(*slices) + key_len + PARTIAL_SUFFIX_MAX);

    if (slices == NULL)
        return ERR_NOMEM;
    ASSERT(plan->master->flags & CACHE_PARTIAL);
    slices->proxy = proxy;
    slices->plan = *plan;
    slices->on_news = on_news;
    slices->arg = arg;
    slices->key = (char *)(slices + 1);
    slices->key_len = key_len;
    slices->group = plan->key->group;
    memcpy(slices->key, plan->key->text.ptr, key_len);
    *out = slices;
    return OK;
}

static void
close_spot(struct spot *spot)
{
    fill_leave(&spot->reader);
    fill_unref(&spot->fill);
    if (spot->pin.store != NULL)
        store_unpin(&spot->pin);
    *spot = (struct spot){.open = false};
}

void
slices_end(struct slices **slot)
{
    struct slices *slices = *slot;

    *slot = NULL;
    if (slices == NULL)
        return;
    warming_end(&slices->warming);
    close_spot(&slices->here);
    close_spot(&slices->ahead);
}

/* Valid until the next call. */
static struct store_key
key_of(struct slices *slices, uint64_t number)
{
    size_t len = slices->key_len +
                 partial_suffix(slices->plan.master, number, slices->key + slices->key_len);
    struct slice text = slice_of(slices->key, len);

    return (struct store_key){.hash = store_hash(text), .text = text, .group = slices->group};
}

static enum partial_place
find_stored(struct slices *slices, uint64_t number, struct store_object *out)
{
    return partial_find(proxy_read(slices->proxy), slices->plan.master, slices->key,
                        slices->key_len, number, out);
}

/* The bytes that go first, for as long as another way can be taken unseen. */
static bool
starts_right(struct slices *slices, uint64_t number, uint64_t first,
             const struct store_object *object)
{
    const struct store_source source = {object->oid, object->body_len, object->slot};
    uint64_t at = first - partial_slice_first(slices->plan.master, number);
    uint64_t len = source.body_len - at < START_LEN ? source.body_len - at : START_LEN;
    enum err rc = store_verify(proxy_read(slices->proxy), &source, at, len);

    return rc == OK || rc == ERR_AGAIN; /* what proves damaged later is fetched then */
}

bool
slices_are_stored(struct slices *slices, uint64_t first, uint64_t len, bool *out_all)
{
    uint64_t number = partial_slice_of(slices->plan.master, first);
    uint64_t last = partial_slice_of(slices->plan.master, first + len - 1);
    struct store_object object;
    enum partial_place place;

    *out_all = last - number < LOOK_MAX;
    if (!*out_all)
        last = number + LOOK_MAX - 1;
    place = find_stored(slices, number, &object);
    if (place == PARTIAL_MISSING ||
        (place == PARTIAL_STORED && !starts_right(slices, number, first, &object)))
        return false;
    while (++number <= last)
        if (find_stored(slices, number, &object) == PARTIAL_MISSING)
            return false;
    return true;
}

/* --- holding a slice --- */

static void
on_warm(void *arg)
{
    struct slices *slices = arg;

    warming_end(&slices->warming);
    slices->on_news(slices->arg);
}

/* ERR_AGAIN: on_news will come. ERR_LIMIT: so many wait for the disk that the origin is quicker. */
static enum err
await_record(struct slices *slices, uint64_t number)
{
    struct store_key key = key_of(slices, number);
    enum err rc = OK;

    if (!warming_is_on(&slices->warming)) /* else one wait after the other */
        rc = warming_find(&slices->warming, slices->proxy, &key, on_warm, slices);
    return rc == OK ? ERR_AGAIN : rc;
}

/* The worker waits for the disk itself when that was of no use. */
static enum partial_place
find_cold(struct slices *slices, uint64_t number, struct store_object *out)
{
    enum partial_place place;

    STAT_INC(store_cold_in_loop);
    store_reader_hurry(slices->proxy->reader, false);
    place = find_stored(slices, number, out);
    store_reader_hurry(slices->proxy->reader, true);
    return place;
}

/* ERR_NOT_FOUND: it has to be fetched. */
static enum err
pin_stored(struct slices *slices, struct spot *spot)
{
    struct store_object object;
    enum partial_place place = find_stored(slices, spot->number, &object);

    if (place == PARTIAL_COLD &&
        (warming_is_on(&slices->warming) || slices->cold_n++ < WARMING_TRIES_MAX))
        return await_record(slices, spot->number);
    if (place == PARTIAL_COLD)
        place = find_cold(slices, spot->number, &object);
    slices->cold_n = 0;
    if (place != PARTIAL_STORED || !store_pin(proxy_read(slices->proxy), &object, &spot->pin))
        return ERR_NOT_FOUND;
    store_touch(slices->proxy->reader, &object);
    return OK;
}

static enum err
join(struct slices *slices, struct spot *spot)
{
    return fill_join(spot->fill, slices->proxy->loop, slices->on_news, slices->arg, &spot->reader);
}

/* Feed the fill, which is new and ours. */
static enum err
begin_fetch(struct slices *slices, struct spot *spot)
{
    enum err rc = join(slices, spot);

    if (rc != OK) {
        fill_fail(spot->fill, rc, err_text(rc));
        return rc;
    }
    return slice_feed_start(slices->proxy, spot->fill, &slices->plan, spot->number);
}

/* One that stores nothing. */
static enum err
open_private(struct slices *slices, struct spot *spot)
{
    struct store_key key = key_of(slices, spot->number);
    enum err rc =
        fill_new_private(slices->proxy->shared->fills, &key, SLICE_NONE, false, &spot->fill);

    return rc == OK ? begin_fetch(slices, spot) : rc;
}

/* The fetch that is under way for this slice, or one of our own; one that stores nothing when the
 * other is too far ahead and keeps nothing. */
static enum err
open_fill(struct slices *slices, struct spot *spot)
{
    struct fill_table *fills = slices->proxy->shared->fills;
    struct store_key key = key_of(slices, spot->number);
    bool created;
    enum err rc = fill_open(fills, &key, SLICE_NONE, &spot->fill, &created);

    if (rc != OK || created)
        return rc == OK ? begin_fetch(slices, spot) : rc;
    rc = join(slices, spot);
    if (rc != ERR_CLOSED)
        return rc;
    fill_unref(&spot->fill);
    return open_private(slices, spot);
}

static enum err
open_spot(struct slices *slices, uint64_t number, struct spot *spot)
{
    enum err rc;

    *spot = (struct spot){.open = true, .number = number};
    rc = pin_stored(slices, spot);
    if (rc == ERR_NOT_FOUND) {
        rc = open_fill(slices, spot);
    } else if (rc == ERR_LIMIT) {
        STAT_INC(store_cold_passed);
        rc = open_private(slices, spot);
    }
    if (rc != OK)
        close_spot(spot);
    return rc;
}

static enum err
move_here(struct slices *slices, uint64_t number)
{
    if (slices->here.open && slices->here.number == number)
        return OK;
    close_spot(&slices->here);
    if (slices->ahead.open && slices->ahead.number == number) {
        slices->here = slices->ahead;
        slices->ahead = (struct spot){.open = false};
        return OK;
    }
    return open_spot(slices, number, &slices->here);
}

/* From the middle of a slice on, the next one is on its way. When that fails it is tried again when
 * it is needed. */
static void
look_ahead(struct slices *slices, uint64_t at, uint64_t end)
{
    const struct cache_object *master = slices->plan.master;
    uint64_t next = slices->here.number + 1;

    if (at < master->slice_len / 2 || next > partial_slice_of(master, end - 1) ||
        (slices->ahead.open && slices->ahead.number == next))
        return;
    close_spot(&slices->ahead);
    if (open_spot(slices, next, &slices->ahead) != OK)
        close_spot(&slices->ahead);
}

/* --- reading --- */

bool
slices_fetches(const struct slices *slices)
{
    return slices->here.fill != NULL;
}

static enum slices_look
look_at_fill(struct fill *fill, struct slices_failure *out)
{
    switch (fill_state(fill)) {
    case FILL_WAITING:
        return SLICES_WAIT;
    case FILL_BODY:
    case FILL_DONE:
        return SLICES_READY;
    case FILL_FAILED:
        out->rc = fill_error(fill, &out->status, &out->why);
        return SLICES_FAILED;
    }
    UNREACHABLE();
}

bool
slices_reopen(struct slices *slices)
{
    struct spot *here = &slices->here;
    uint64_t number = here->number;
    unsigned status;
    const char *why;
    enum err rc;

    if (!here->open || here->again)
        return false;
    if (here->fill != NULL && (fill_state(here->fill) != FILL_FAILED ||
                               fill_error(here->fill, &status, &why) != ERR_CANCELLED))
        return false;
    close_spot(here);
    rc = open_spot(slices, number, here);
    here->again = rc == OK;
    return rc == OK || rc == ERR_AGAIN;
}

enum slices_look
slices_look(struct slices *slices, uint64_t off, struct slices_failure *out)
{
    enum err rc = move_here(slices, partial_slice_of(slices->plan.master, off));
    enum slices_look look = SLICES_READY;

    *out = (struct slices_failure){.rc = rc, .why = err_text(rc)};
    if (rc != OK)
        return rc == ERR_AGAIN ? SLICES_WAIT : SLICES_FAILED;
    if (slices->here.fill != NULL)
        look = look_at_fill(slices->here.fill, out);
    return look == SLICES_FAILED && slices_reopen(slices) ? slices_look(slices, off, out) : look;
}

enum err
slices_seek(struct slices *slices, uint64_t off, uint64_t end, struct slices_place *out)
{
    const struct cache_object *master = slices->plan.master;
    struct spot *here = &slices->here;
    uint64_t number = partial_slice_of(master, off);
    uint64_t at = off - partial_slice_first(master, number);
    enum err rc = move_here(slices, number);

    if (rc != OK)
        return rc;
    look_ahead(slices, at, end);
    if (here->reader != NULL && here->at != at) {
        fill_seek(here->reader, at);
        here->at = at;
    }
    *out = (struct slices_place){
        .pin = here->reader == NULL ? &here->pin : NULL,
        .reader = here->reader,
        .at = at,
        .left = partial_slice_len(master, number) - at,
    };
    return OK;
}

void
slices_sent(struct slices *slices, uint64_t n)
{
    if (slices->here.reader == NULL)
        return;
    fill_sent(slices->here.reader, n);
    slices->here.at += n;
}
