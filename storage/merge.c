/* What the scan found enters the index, on the writer's thread, in the order of the ids. */
#include "storage/merge.h"

#include "base/log.h"
#include "base/stats.h"
#include "storage/family.h"
#include "storage/object.h"
#include "storage/state.h"

enum { MERGE_MAX = 4 /* ranges in a turn: what is queued goes on meanwhile */ };

/* Does something that is in the index already take the place of what was found: the same with a
 * larger id, or, of a member, a head that was stored since the start? */
static bool
is_outdone(const struct writer *w, const struct index_item *item, const struct index_entry *entry)
{
    if (entry->variant != item->variant)
        return false;
    if (entry->member == item->member)
        return entry->oid >= item->oid;
    return entry->member == 0 && entry->oid >= w->store->scan.oid_end;
}

/* Two of one variant, from before a crash: the newer one counts. Members of the older go with it.
 */
static void
forget_older(struct writer *w, const struct index_item *item)
{
    struct index *index = &w->store->index;
    uint32_t slot = index_find_member(index, item->hash, item->variant, item->member);
    struct index_probe probe;

    if (slot == INDEX_NONE)
        return;
    object_forget(w, slot);
    if (item->member != 0)
        return;
    index_probe_begin(index, item->hash, &probe);
    while ((slot = index_probe_next(&probe)) != INDEX_NONE)
        if (index_entry(index, slot)->variant == item->variant)
            object_forget(w, slot);
}

static void
merge_item(struct writer *w, const struct index_item *item)
{
    struct index *index = &w->store->index;
    struct index_probe probe;
    uint32_t slot;

    index_probe_begin(index, item->hash, &probe);
    while ((slot = index_probe_next(&probe)) != INDEX_NONE) {
        if (is_outdone(w, item, index_entry(index, slot))) {
            object_doom(w, item->oid, INDEX_NONE);
            return;
        }
    }
    forget_older(w, item);
    if (index->live_n >= index->max_n) { /* its memory is meant for less than before */
        STAT_INC(store_index_full);
        object_doom(w, item->oid, INDEX_NONE);
        return;
    }
    (void)index_insert(index, item);
}

static void
merge_result(struct writer *w, const struct scan_result *result)
{
    struct index *index = &w->store->index;
    uint64_t left = index->max_n > index->live_n ? index->max_n - index->live_n : 0;

    STAT_ADD(store_bad_records, result->bad_n);
    STAT_ADD(store_orphans, result->orphans_n);
    for (size_t i = 0; i < result->orphans_n; i++)
        object_doom(w, result->orphans[i], INDEX_NONE);
    if (index_reserve(index, left < result->items_n ? left : result->items_n) != OK) {
        LOG(ERROR, out_of_memory, "text=\"objects are left out of the index\" objects=%zu",
            result->items_n);
        return;
    }
    for (size_t i = 0; i < result->items_n; i++)
        merge_item(w, &result->items[i]);
}

void
merge_scan(struct store *store)
{
    struct scan_result *result;
    unsigned n = 0;

    for (; n < MERGE_MAX && (result = scan_take(&store->scan)) != NULL; n++) {
        merge_result(&store->writer, result);
        scan_result_free(&result);
        if (scan_is_at_end(&store->scan))
            STAT_ADD(store_orphans, family_drop_strays(&store->writer));
        if (!scan_merged(&store->scan))
            continue;
        purger_wake(store);
        LOG(INFO, store, "text=\"the index is whole\" objects=%llu",
            (unsigned long long)store->index.live_n);
    }
    if (n == MERGE_MAX)
        writer_tell(store);
}
