/* What the scan found enters the index, on the writer's thread, in the order of the ids. */
#include "storage/merge.h"

#include "base/log.h"
#include "base/stats.h"
#include "storage/object.h"
#include "storage/state.h"

enum { MERGE_MAX = 4 /* ranges in a turn: what is queued goes on meanwhile */ };

static void
merge_item(struct writer *w, const struct index_item *item)
{
    struct index *index = &w->store->index;
    struct index_probe probe;
    uint32_t slot;

    index_probe_begin(index, item->hash, &probe);
    while ((slot = index_probe_next(&probe)) != INDEX_NONE) {
        struct index_entry *entry = index_entry(index, slot);

        if (entry->variant != item->variant)
            continue;
        if (entry->oid >= item->oid) {
            object_doom(w, item->oid, INDEX_NONE);
            return;
        }
        /* two of one variant, from before a crash: the newer one counts */
        (void)atomic_fetch_or_explicit(&entry->pins, INDEX_GOING, memory_order_acq_rel);
        index_remove(index, slot);
        object_doom(w, entry->oid, slot);
    }
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
        if (!scan_merged(&store->scan))
            continue;
        purger_wake(store);
        LOG(INFO, store, "text=\"the index is whole\" objects=%llu",
            (unsigned long long)store->index.live_n);
    }
    if (n == MERGE_MAX)
        writer_tell(store);
}
