/* Purges within the writer's transaction: what they name goes, and their own records come and go.
 */
#include "storage/batch_purge.h"

#include "base/log.h"
#include "storage/object.h"
#include "storage/queue.h"
#include "storage/state.h"

enum {
    SWEEP_CHUNKS_IDLE = 4, /* of one transaction, when nobody waits for it */
    RETRY_MS = 1000
};

/* --- objects --- */

/* Judged again, as it is now: it may have been replaced, refreshed or marked since it was looked
 * at. `key`: what it has to have; NULL: whatever. */
static int
settle(struct writer *w, uint32_t slot, const struct slice *key)
{
    const struct index_entry *entry = index_entry(&w->store->index, slot);
    struct purge_set *set = &w->store->purges;
    struct purge_subject subject;
    struct record record;
    struct slice value;
    bool is_soft;
    int rc = env_get(&w->store->env, w->txn, record_key(entry->oid, RECORD_PIECE), &value);

    if (rc != 0 || record_decode(value, entry->oid, false, &record) != OK)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (key != NULL && !slice_equal(record.key, *key))
        return 0;
    is_soft = (record.flags & RECORD_SOFT) != 0 || purge_is_soft_by_all(set, record.birth);
    subject = (struct purge_subject){record.birth, entry->hash, record.key, record.labels,
                                     record.labels_n};
    switch (purge_settle(set, &subject, is_soft)) {
    case STORE_NOT_PURGED:
        return 0;
    case STORE_PURGED_SOFT:
        return object_flag(w, entry->oid, RECORD_SOFT);
    case STORE_PURGED_HARD:
        w->removed_n++;
        return object_kill(w, slot);
    }
    UNREACHABLE();
}

/* --- what was taken --- */

/* Members go with their heads. */
static int
purge_key(struct writer *w, const struct purge_entry *entry)
{
    struct index_probe probe;
    uint32_t slot;
    int rc = 0;

    index_probe_begin(&w->store->index, entry->hash, &probe);
    while (rc == 0 && (slot = index_probe_next(&probe)) != INDEX_NONE) {
        const struct index_entry *at = index_entry(&w->store->index, slot);

        if (at->member == 0 && !object_is_going(at))
            rc = settle(w, slot, &entry->what.text);
    }
    if (rc == 0 && entry->piece != 0)
        rc = object_delete_key(w, record_key(0, entry->piece));
    return rc;
}

/* With the counts as they will be. */
static int
write_record(struct writer *w, struct purge_entry *entry)
{
    struct record_purge what = entry->what;
    void *to;
    int rc;

    if (entry->piece == 0)
        entry->piece = purge_next_piece(&w->store->purges);
    what.matched += entry->matched_n;
    what.removed += entry->removed_n;
    rc = object_put(w, record_key(0, entry->piece), record_purge_len(&what), &to);
    if (rc == 0)
        record_purge_encode(&what, entry->piece, to);
    return rc;
}

/* One number says it of all that is stored, for good. */
static void
mark_all(struct writer *w, struct purge_entry *entry)
{
    if (entry->what.seq > w->store->env.header.soft_all)
        w->store->env.header.soft_all = entry->what.seq;
    purge_count(&w->store->purges, entry, w->store->index.live_n - w->store->index.members_n);
}

static int
run_entry(struct writer *w, struct purge_entry *entry)
{
    if (entry->what.id > w->store->env.header.purge_id)
        w->store->env.header.purge_id = entry->what.id;
    if (entry->what.kind == STORE_PURGE_KEY && w->takes_keys)
        return purge_key(w, entry);
    if (entry->what.kind == STORE_PURGE_ALL && entry->what.soft) {
        mark_all(w, entry);
        return 0;
    }
    return write_record(w, entry);
}

int
batch_purge(struct writer *w)
{
    if (!w->has_taken)
        return 0;
    w->store->env.header.purge_seq = w->purge_seq;
    w->header_changed = true;
    LIST_FOREACH (&w->store->purges.taken, link) {
        int rc = run_entry(w, CONTAINER_OF(link, struct purge_entry, link));

        if (rc != 0)
            return rc;
    }
    w->purged = true;
    return 0;
}

/* --- what was found --- */

static int
sweep_chunk(struct writer *w, const struct sweep_chunk *chunk)
{
    for (size_t i = 0; i < chunk->n; i++) {
        const struct sweep_item *item = &chunk->items[i];
        uint32_t slot = object_find(w, item->hash, item->oid);
        int rc = slot == INDEX_NONE ? 0 : settle(w, slot, NULL);

        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The counts go with what they count, so a crash does not lose them. */
static int
write_counts(struct writer *w)
{
    LIST_FOREACH (&w->store->purges.touched, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, touched);
        int rc =
            entry->piece == 0 || entry->what.kind == STORE_PURGE_KEY ? 0 : write_record(w, entry);

        if (rc != 0)
            return rc;
    }
    return 0;
}

static int
end_sweep(struct writer *w)
{
    LIST_FOREACH (&w->store->purges.work, link) {
        const struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);
        int rc = entry->sweeping ? object_delete_key(w, record_key(0, entry->piece)) : 0;

        if (rc != 0)
            return rc;
    }
    w->sweep_ended = true;
    return 0;
}

/* It could not read on. What damages the file is the transaction's failure, too. */
static int
fail_sweep(struct writer *w, int rc)
{
    if (env_is_fatal(rc))
        return rc;
    LOG(WARN, store_fault, "text=\"a sweep begins again\" error=\"%s\"", mdb_strerror(rc));
    sweep_give_up(&w->store->sweep);
    w->swept_n = 0;
    w->sweeping = false;
    w->rest_until_ms = queue_now_ms() + RETRY_MS;
    return 0;
}

int
batch_sweep(struct writer *w)
{
    struct sweep *sweep = &w->store->sweep;
    unsigned most = list_empty(&w->batch) ? SWEEP_CHUNKS_IDLE : 1;
    const struct sweep_chunk *chunk = w->sweeping ? sweep_first(sweep) : NULL;
    bool ends = false;
    int rc = 0;

    for (; chunk != NULL && w->swept_n < most && rc == 0; chunk = sweep_next(sweep, chunk)) {
        if (chunk->rc != 0)
            return fail_sweep(w, chunk->rc);
        rc = sweep_chunk(w, chunk);
        ends = chunk->last;
        w->swept_n++;
    }
    if (rc == 0)
        rc = write_counts(w);
    return rc == 0 && ends ? end_sweep(w) : rc;
}
