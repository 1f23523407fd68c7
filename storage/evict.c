/* Making room, exactly, in the transaction that needs it.
 *
 * The hand walks the index's list from the oldest entry on. What was used since it last came by
 * loses its bit and survives: small objects are written again under a new id, so that the old end
 * of the tree becomes free in long runs; larger ones stay where they are. Pinned ones stay. */
#include "storage/evict.h"

#include "base/log.h"
#include "base/stats.h"
#include "storage/object.h"
#include "storage/state.h"

enum {
    HIGH_PERCENT = 90,
    LOWEST_PERCENT = 50,
    STEP_PERCENT = 2,
    REWRITE_PAGES_MAX = 64,    /* 256 KiB */
    REWRITE_BATCH_PERCENT = 25 /* of a batch may be survivors */
};

uint64_t
evict_limit_max(const struct env *env)
{
    return env->map_pages * HIGH_PERCENT / 100;
}

void
evict_lower_limit(struct writer *w, bool file_is_bound)
{
    uint64_t map = w->store->env.map_pages, lowest = map * LOWEST_PERCENT / 100;
    uint64_t bound = file_is_bound ? env_file_pages(&w->store->env) * HIGH_PERCENT / 100 : map;
    uint64_t step = map * STEP_PERCENT / 100 + 1;

    if (file_is_bound) /* the disk is full: the file is what there is */
        lowest = bound / 2;
    if (bound < w->limit_pages)
        w->limit_pages = bound;
    w->limit_pages = w->limit_pages > lowest + step ? w->limit_pages - step : lowest;
}

void
evict_raise_limit(struct writer *w)
{
    uint64_t most = evict_limit_max(&w->store->env);

    w->limit_pages += 1 + w->store->env.map_pages / 16384;
    if (w->limit_pages > most)
        w->limit_pages = most;
}

/* *out_right: every piece is there, and as it was written. */
static int
verify_pieces(struct writer *w, uint64_t oid, uint64_t body_len, bool *out_right)
{
    *out_right = true;
    for (uint64_t off = 0; off < body_len && *out_right;) {
        struct record_span span = record_span_at(body_len, off);
        uint64_t key = record_key(oid, span.piece);
        struct slice bytes;
        int rc;

        if (span.piece == RECORD_PIECE)
            return 0; /* the record's own checksum is over it */
        rc = env_get(&w->store->env, w->txn, key, &bytes);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return rc;
        *out_right = rc == 0 && record_piece_decode(bytes, span.len, &bytes) == OK &&
                     record_piece_is_right(bytes, key);
        off += span.len;
    }
    return 0;
}

/* The pieces of a survivor to its new id; they were found right in this transaction. */
static int
copy_pieces(struct writer *w, uint64_t from, uint64_t to, uint64_t body_len)
{
    for (uint64_t off = 0; off < body_len;) {
        struct record_span span = record_span_at(body_len, off);
        struct slice value;
        int rc;

        if (span.piece == RECORD_PIECE)
            break;
        rc = env_get(&w->store->env, w->txn, record_key(from, span.piece), &value);
        if (rc != 0)
            return rc;
        memcpy(w->scratch, value.ptr, span.len); /* the put may move it */
        rc = object_put_piece(w, record_key(to, span.piece), w->scratch, span.len);
        if (rc != 0)
            return rc;
        off += span.len;
    }
    return 0;
}

static int
write_again(struct writer *w, const struct index_entry *entry, struct record *record, uint32_t slot)
{
    struct change change = {.kind = CHANGE_INSERT,
                            .item = {.hash = entry->hash,
                                     .oid = object_take_oid(w),
                                     .variant = entry->variant,
                                     .pages = entry->pages,
                                     .pieces = entry->pieces}};
    int rc = copy_pieces(w, entry->oid, change.item.oid, record->body_len);

    if (rc == 0)
        rc = object_put_record(w, record, change.item.oid);
    if (rc == 0)
        rc = object_note(w, &change);
    if (rc == 0)
        rc = object_kill(w, slot);
    w->rewritten_n++;
    w->rewritten_len += (uint64_t)entry->pages * RECORD_PAGE_LEN;
    return rc;
}

static int
rewrite_decoded(struct writer *w, uint32_t slot, const struct index_entry *entry,
                struct record *record)
{
    enum store_purged purged = purge_match(&w->store->purges, record->birth, entry->hash,
                                           record->key, record->labels, record->labels_n);
    bool right;
    int rc;

    if (purged == STORE_PURGED_HARD)
        return object_kill(w, slot);
    rc = verify_pieces(w, entry->oid, record->body_len, &right);
    if (rc != 0)
        return rc;
    if (!right) {
        STAT_INC(store_bad_pieces);
        LOG(WARN, store_damage,
            "text=\"an object is dropped: a piece of its body is damaged\" "
            "oid=%llu",
            (unsigned long long)entry->oid);
        return object_kill(w, slot);
    }
    if (purged == STORE_PURGED_SOFT)
        record->flags |= RECORD_SOFT;
    return write_again(w, entry, record, slot);
}

/* A used object at the hand: write it again, unless a purge or damage says otherwise. */
static int
rewrite(struct writer *w, uint32_t slot, const struct index_entry *entry)
{
    struct record record;
    struct slice value;
    char *copy;
    int rc = env_get(&w->store->env, w->txn, record_key(entry->oid, RECORD_PIECE), &value);

    if (rc != 0)
        return rc == MDB_NOTFOUND ? object_kill(w, slot) : rc;
    copy = mem_alloc(value.len);
    if (copy == NULL)
        return BATCH_NOMEM;
    memcpy(copy, value.ptr, value.len);
    value.ptr = copy;
    if (record_decode(value, entry->oid, true, &record) != OK ||
        record_pieces_n(record.body_len) != entry->pieces) {
        STAT_INC(store_bad_records);
        rc = object_kill(w, slot);
    } else {
        rc = rewrite_decoded(w, slot, entry, &record);
    }
    mem_free(copy);
    return rc;
}

static bool
may_rewrite(const struct writer *w, const struct index_entry *entry)
{
    return entry->pages <= REWRITE_PAGES_MAX &&
           w->rewritten_len < w->batch_len * REWRITE_BATCH_PERCENT / 100;
}

/* One step of the hand. */
static int
step(struct writer *w)
{
    struct index *index = &w->store->index;
    uint32_t slot = index->hand != INDEX_NONE ? index->hand : index->oldest;
    struct index_entry *entry = index_entry(index, slot);

    index->hand = entry->newer;
    if (atomic_load_explicit(&entry->pins, memory_order_acquire) != 0)
        return 0; /* read now, or going already */
    if (atomic_load_explicit(&entry->visited, memory_order_relaxed) != 0) {
        atomic_store_explicit(&entry->visited, 0, memory_order_relaxed);
        return may_rewrite(w, entry) ? rewrite(w, slot, entry) : 0;
    }
    w->evicted_n++;
    return object_kill(w, slot);
}

/* Until no more than used_max pages are in use. */
static int
evict_until(struct writer *w, uint64_t used_max)
{
    struct index *index = &w->store->index;
    uint64_t steps = index->live_n * 2 + 1;

    while (env_used_pages(&w->store->env, w->txn) > used_max) {
        int rc;

        if (index->oldest == INDEX_NONE || steps-- == 0)
            return BATCH_NO_ROOM;
        if (w->free_left == 0)
            return BATCH_MORE_ROOM;
        rc = step(w);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int
evict_make_room(struct writer *w, uint64_t need_pages)
{
    need_pages += need_pages / 4;
    return evict_until(w, need_pages < w->limit_pages ? w->limit_pages - need_pages : 0);
}

int
evict_some(struct writer *w)
{
    uint64_t used = env_used_pages(&w->store->env, w->txn);
    uint64_t pages = w->store->env.map_pages * STEP_PERCENT / 100 + 1;
    uint64_t want = used > pages ? used - pages : 0;
    int rc;

    w->rewritten_len = UINT64_MAX; /* survivors stay: pages are what is missing */
    rc = evict_until(w, want < w->limit_pages ? want : w->limit_pages);
    return rc == BATCH_NO_ROOM || rc == BATCH_MORE_ROOM ? 0 : rc;
}
