/* A cache without bytes: the store's index and SIEVE as they are, LRU and FIFO on the same index.
 */
#include "simulate.h"

const char *const policy_names[POLICIES] = {
    [POLICY_SIEVE] = "SIEVE", [POLICY_REINSERT] = "SIEVE, survivors to the newest end",
    [POLICY_LRU] = "LRU",     [POLICY_FIFO] = "FIFO",
    [POLICY_ALL] = "endless",
};

static struct store_hash
hash_of(uint64_t id)
{
    return store_hash(slice_of(&id, sizeof(id)));
}

static uint32_t
units_of(const struct cache *cache, uint64_t len)
{
    return (uint32_t)((len + cache->options.overhead_len + RECORD_ROOM_UNIT - 1) /
                      RECORD_ROOM_UNIT);
}

struct cache *
cache_new(const struct cache_options *options)
{
    struct cache *cache = mem_zalloc(sizeof(*cache));

    if (cache == NULL)
        die("%s", err_text(ERR_NOMEM));
    cache->options = *options;
    if (cache->options.object_max_len == 0)
        cache->options.object_max_len = options->size_len / 8;
    cache->limit = options->size_len / RECORD_ROOM_UNIT;
    cache->next_oid = 1;
    epoch_init(&cache->epoch);
    if (index_init(&cache->index, &cache->epoch) != OK ||
        seen_init(&cache->seen, options->seen_len) != OK)
        die("%s", err_text(ERR_NOMEM));
    for (size_t i = 0; i < options->shares_n; i++)
        if (index_add_group(&cache->index, options->shares[i].group, options->shares[i].percent) !=
            OK)
            die("the shares are more than 100 %%");
    return cache;
}

void
cache_free(struct cache **slot)
{
    struct cache *cache = *slot;

    *slot = NULL;
    index_fini(&cache->index);
    epoch_fini(&cache->epoch);
    seen_fini(&cache->seen);
    mem_free(cache);
}

static void
drop(struct cache *cache, uint32_t slot)
{
    cache->used -= index_entry(&cache->index, slot)->room;
    index_remove(&cache->index, slot);
    index_retire(&cache->index, slot);
    index_reclaim(&cache->index);
}

static void
insert(struct cache *cache, const struct index_item *item)
{
    if (index_reserve(&cache->index, 1) != OK)
        die("%s", err_text(ERR_NOMEM));
    (void)index_insert(&cache->index, item);
    cache->used += item->room;
}

/* To the newest end: what LRU does at a hit. */
static void
renew(struct cache *cache, uint32_t slot)
{
    const struct index_entry *entry = index_entry(&cache->index, slot);
    struct index_item item = {.hash = entry->hash,
                              .oid = entry->oid,
                              .room = entry->room,
                              .group = cache->index.lists[entry->group].group};

    drop(cache, slot);
    insert(cache, &item);
}

static void
evict_one(struct cache *cache, unsigned group)
{
    uint32_t slot;

    cache->round.steps[group]--;
    if (cache->options.policy == POLICY_LRU || cache->options.policy == POLICY_FIFO) {
        slot = cache->index.lists[group].oldest;
    } else if (sieve_step(&cache->index, group, &slot) == SIEVE_KEEP) {
        cache->kept_n++;
        if (cache->options.policy == POLICY_REINSERT)
            renew(cache, slot);
        return;
    }
    cache->evicted_n++;
    drop(cache, slot); /* counted out of its list at once: not in round.freed */
}

/* False: it cannot be stored. */
static bool
make_room(struct cache *cache, uint32_t units, unsigned group)
{
    unsigned victim;

    if (cache->options.policy == POLICY_ALL || cache->used + units <= cache->limit)
        return true;
    sieve_begin(&cache->round, &cache->index, cache->limit, cache->used);
    cache->round.need[group] = units;
    while (cache->used + units > cache->limit) {
        if (!sieve_choose(&cache->round, &cache->index, &victim))
            return false;
        evict_one(cache, victim);
    }
    return true;
}

static void
store(struct cache *cache, const struct request *request, struct store_hash hash)
{
    struct index_item item = {.hash = hash,
                              .oid = cache->next_oid,
                              .room = units_of(cache, request->len),
                              .group = request->group};

    if (cache->options.policy != POLICY_ALL && request->len > cache->options.object_max_len) {
        cache->too_large_n++;
        return;
    }
    if (!seen_touch(&cache->seen, hash)) {
        cache->not_admitted_n++;
        return;
    }
    if (!make_room(cache, item.room, index_group(&cache->index, request->group)))
        return;
    cache->next_oid++;
    cache->written_len += request->len;
    insert(cache, &item);
}

static void
count(struct tally *tally, const struct request *request, bool missed)
{
    tally->requests++;
    tally->bytes += request->len;
    tally->misses += missed;
    tally->missed_bytes += missed ? request->len : 0;
}

void
cache_request(struct cache *cache, const struct request *request)
{
    struct store_hash hash = hash_of(request->id);
    struct index_probe probe;
    uint32_t slot;

    index_probe_begin(&cache->index, hash, &probe);
    slot = index_probe_next(&probe);
    count(&cache->all, request, slot == INDEX_NONE);
    count(&cache->groups[index_group(&cache->index, request->group)], request, slot == INDEX_NONE);
    if (slot == INDEX_NONE)
        store(cache, request, hash);
    else if (cache->options.policy == POLICY_LRU)
        renew(cache, slot);
    else
        atomic_store_explicit(&index_entry(&cache->index, slot)->visited, 1, memory_order_relaxed);
}
