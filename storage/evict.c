/* Making room, exactly, in the transaction that needs it.
 *
 * storage/sieve.h decides what goes and what survives. Small survivors are written again under a
 * new id, so that the old end of the tree becomes free in long runs, and keep their place in the
 * list; larger ones stay where they are. */
#include "storage/evict.h"

#include "storage/object.h"
#include "storage/queue.h"
#include "storage/sieve.h"
#include "storage/state.h"

enum {
    HIGH_PERCENT = 90,
    LOWEST_PERCENT = 50,
    STEP_PERCENT = 2,
    REWRITE_LEN_MAX = 256 << 10,
    REWRITE_TXN_PERCENT = 25,    /* of a batch are survivors in one transaction */
    REWRITE_BATCH_PERCENT = 100, /* ... and in all that make room for it; more stay in place */
    UNITS_PER_PAGE = RECORD_PAGE_LEN / RECORD_ROOM_UNIT
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

void
evict_bound_by_file(struct writer *w)
{
    uint64_t file = env_file_pages(&w->store->env);
    uint64_t pages = w->reserved_until > file ? w->reserved_until : file;
    uint64_t spare = pages * (100 - HIGH_PERCENT) / 100,
             batches = 3 * w->batch_len / RECORD_PAGE_LEN;
    uint64_t bound;

    spare = batches > spare ? batches : spare; /* pages are usable two commits after they went */
    bound = pages / 2 > spare ? pages - spare : pages / 2;
    if (w->limit_pages > bound)
        w->limit_pages = bound;
}

/* *out_right: every piece is there, and as it was written; else the object was reported. */
static int
verify_pieces(struct writer *w, const struct store_source *source, bool *out_right)
{
    *out_right = true;
    for (uint64_t off = 0; off < source->body_len;) {
        struct record_span span = record_span_at(source->body_len, off);
        uint64_t key = record_key(source->oid, span.piece);
        struct slice bytes;
        int rc;

        if (span.piece == RECORD_PIECE)
            return 0; /* the record's own checksum is over it */
        rc = env_get(&w->store->env, w->txn, key, &bytes);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return rc;
        if (rc != 0 || record_piece_decode(bytes, span.len, &bytes) != OK ||
            !record_piece_is_right(bytes, key)) {
            verify_report_piece(w->store, source, span.piece);
            *out_right = false;
            return 0;
        }
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

static uint64_t
room_len(const struct index_entry *entry)
{
    return (uint64_t)entry->room * RECORD_ROOM_UNIT;
}

static int
write_again(struct writer *w, const struct index_entry *entry, struct record *record, uint32_t slot)
{
    struct change change = {.kind = CHANGE_INSERT,
                            .item = {.hash = entry->hash,
                                     .oid = object_take_oid(w),
                                     .variant = entry->variant,
                                     .room = entry->room,
                                     .pieces = entry->pieces,
                                     .member = entry->member,
                                     .is_again = true,
                                     .again = slot}};
    int rc = copy_pieces(w, entry->oid, change.item.oid, record->body_len);

    if (rc == 0)
        rc = object_put_record(w, record, change.item.oid);
    if (rc == 0)
        rc = object_note(w, &change);
    if (rc == 0)
        rc = object_leave(w, slot);
    w->rewritten_n++;
    w->rewritten_len += room_len(entry);
    if (w->rewritten_for != w->batch_number)
        w->rewritten_sum = 0;
    w->rewritten_for = w->batch_number;
    w->rewritten_sum += room_len(entry);
    return rc;
}

static int
rewrite_decoded(struct writer *w, uint32_t slot, const struct index_entry *entry,
                struct record *record)
{
    struct purge_subject subject = {record->birth, entry->hash, record->key, record->labels,
                                    record->labels_n};
    enum store_purged purged = STORE_NOT_PURGED;
    struct store_source source = {entry->oid, record->body_len, slot};
    bool right;
    int rc;

    if (entry->member == 0) /* a member goes with its head */
        purged = purge_settle(&w->store->purges, &subject, (record->flags & RECORD_SOFT) != 0);
    if (purged == STORE_PURGED_HARD)
        return object_kill(w, slot);
    rc = verify_pieces(w, &source, &right);
    if (rc != 0)
        return rc;
    if (!right)
        return object_kill(w, slot);
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
        verify_report_record(w->store, slot, entry->oid);
        rc = object_kill(w, slot);
    } else {
        rc = rewrite_decoded(w, slot, entry, &record);
    }
    mem_free(copy);
    return rc;
}

/* Not what this batch is about to replace or update: it would look for the entry that goes. */
static bool
may_rewrite(const struct writer *w, const struct index_entry *entry)
{
    return !queue_names_key(w, entry->hash) &&
           room_len(entry) <= REWRITE_LEN_MAX + RECORD_PAGE_LEN &&
           w->rewritten_len < w->batch_len * REWRITE_TXN_PERCENT / 100;
}

/* Enough was written again in this transaction, and the next may write more: it is committed, so
 * that nothing has to stay in place. What stays is an island in the free pages. */
static bool
must_commit_survivors(const struct writer *w)
{
    return w->rewritten_len != UINT64_MAX && w->rewritten_for == w->batch_number &&
           w->rewritten_len >= w->batch_len * REWRITE_TXN_PERCENT / 100 &&
           w->rewritten_sum < w->batch_len * REWRITE_BATCH_PERCENT / 100;
}

/* One step of a partition's hand. */
static int
step(struct writer *w, unsigned group)
{
    struct index *index = &w->store->index;
    uint32_t slot;
    enum sieve_verdict verdict = sieve_step(index, group, &slot);
    const struct index_entry *entry = index_entry(index, slot);

    w->round.steps[group]--;
    if (verdict == SIEVE_PASS)
        return 0;
    if (verdict == SIEVE_KEEP)
        return may_rewrite(w, entry) ? rewrite(w, slot, entry) : 0;
    w->evicted_n++;
    w->round.evicted[group]++;
    return object_kill(w, slot);
}

/* With so many more objects the index has more than its memory is meant for. */
static bool
index_is_full(const struct writer *w, uint64_t objects)
{
    const struct index *index = &w->store->index;

    return index->live_n + objects + w->rewritten_n > index->max_n + w->claims_n;
}

/* Until no more than used_max pages are in use, and the index takes so many objects. */
static int
evict_until(struct writer *w, uint64_t used_max, uint64_t objects)
{
    for (;;) {
        bool pages = env_used_pages(&w->store->env, w->txn) > used_max;
        uint64_t before = w->evicted_n;
        unsigned group;
        int rc;

        if (!pages && !index_is_full(w, objects))
            return 0;

        if (!sieve_choose(&w->round, &w->store->index, &group))
            return BATCH_NO_ROOM;
        if (w->free_left == 0 || must_commit_survivors(w))
            return BATCH_MORE_ROOM;
        rc = step(w, group);
        if (rc != 0)
            return rc;
        w->index_evicted_n += pages ? 0 : w->evicted_n - before;
    }
}

static void
begin_round(struct writer *w, uint64_t used)
{
    sieve_begin(&w->round, &w->store->index, w->limit_pages * UNITS_PER_PAGE,
                used * UNITS_PER_PAGE);
}

int
evict_make_room(struct writer *w, const struct evict_need *need)
{
    uint64_t pages = 0;

    begin_round(w, env_used_pages(&w->store->env, w->txn));
    for (unsigned i = 0; i < w->store->index.lists_n; i++) {
        uint64_t with_spare = need->pages[i] + need->pages[i] / 4;

        w->round.need[i] = with_spare * UNITS_PER_PAGE;
        pages += with_spare;
    }
    return evict_until(w, pages < w->limit_pages ? w->limit_pages - pages : 0, need->objects);
}

bool
evict_refuses(const struct writer *w, unsigned group)
{
    return sieve_over(&w->round, &w->store->index, group) > 0;
}

int
evict_some(struct writer *w)
{
    uint64_t used = env_used_pages(&w->store->env, w->txn);
    uint64_t pages = w->store->env.map_pages * STEP_PERCENT / 100 + 1;
    uint64_t want = used > pages ? used - pages : 0;
    int rc;

    w->rewritten_len = UINT64_MAX; /* survivors stay: pages are what is missing */
    begin_round(w, used);
    rc = evict_until(w, want < w->limit_pages ? want : w->limit_pages, 0);
    return rc == BATCH_NO_ROOM || rc == BATCH_MORE_ROOM ? 0 : rc;
}
