/* The index: open addressing with linear probing, entries in chunks, two-step reclamation. */
#include "storage/index.h"

#include <sys/mman.h>

enum {
    TABLE_BITS_MIN = 10,
    DEAD_SLOT = 0xffffffff,
    LARGE_PAGE_LEN = 2 << 20,
    INDEX_WAITING_MAX = 2 * 8192 /* of two batches */
};

#define ENTRIES_MAX (UINT32_MAX - (1U << INDEX_CHUNK_BITS) - 2)

static uint64_t
slot_value(struct store_hash hash, uint32_t number)
{
    return (hash.lo & 0xffffffff00000000U) | (uint64_t)(number + 1); /* 0 is the empty slot */
}

/* Large pages: a million objects are touched by a hundred faults instead of twenty thousand, and
 * look-ups find their pages in the processor's cache. */
static void
advise(void *memory, uint64_t len)
{
    uintptr_t from = ((uintptr_t)memory + LARGE_PAGE_LEN - 1) & ~(uintptr_t)(LARGE_PAGE_LEN - 1);
    uintptr_t to = ((uintptr_t)memory + len) & ~(uintptr_t)(LARGE_PAGE_LEN - 1);

    if (to > from)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}

static struct index_table *
table_new(struct index *index, uint64_t cap)
{
    struct index_table *table = mem_zalloc(sizeof(*table) + cap * sizeof(table->slots[0]));

    if (table == NULL)
        return NULL;
    advise(table, cap * sizeof(table->slots[0]));
    table->block.len = cap * sizeof(table->slots[0]);
    table->mask = cap - 1;
    index->bytes_len += table->block.len;
    return table;
}

enum err
index_init(struct index *index, struct epoch *epoch)
{
    struct index_table *table;

    *index = (struct index){.epoch = epoch,
                            .free = INDEX_NONE,
                            .retired = INDEX_NONE,
                            .grace = INDEX_NONE,
                            .max_n = UINT64_MAX};
    if (index_add_group(index, 0, 100) != OK)
        UNREACHABLE();
    table = table_new(index, 1U << TABLE_BITS_MIN);
    if (table == NULL)
        return ERR_NOMEM;
    atomic_store_explicit(&index->table, table, memory_order_release);
    return OK;
}

enum err
index_add_group(struct index *index, uint32_t group, unsigned percent)
{
    if (index->lists_n == INDEX_GROUPS_MAX ||
        (index->lists_n > 0 && percent > index->lists[0].percent))
        return ERR_LIMIT;
    if (index->lists_n > 0)
        index->lists[0].percent -= percent;
    index->lists[index->lists_n++] = (struct index_list){.oldest = INDEX_NONE,
                                                         .newest = INDEX_NONE,
                                                         .hand = INDEX_NONE,
                                                         .found = INDEX_NONE,
                                                         .group = group,
                                                         .percent = percent};
    return OK;
}

unsigned
index_group(const struct index *index, uint32_t group)
{
    for (unsigned i = 1; i < index->lists_n; i++)
        if (index->lists[i].group == group)
            return i;
    return 0;
}

static void
free_blocks(struct index *index, struct index_block **slot)
{
    while (*slot != NULL) {
        struct index_block *block = *slot;

        *slot = block->next;
        index->bytes_len -= block->len;
        mem_free(block);
    }
}

void
index_fini(struct index *index)
{
    free_blocks(index, &index->retired_blocks);
    free_blocks(index, &index->grace_blocks);
    for (size_t i = 0; i < INDEX_CHUNKS_MAX; i++)
        mem_free(atomic_load_explicit(&index->chunks[i], memory_order_relaxed));
    mem_free(atomic_load_explicit(&index->table, memory_order_relaxed));
    memset(index, 0, sizeof(*index)); /* clang takes no {0} for an atomic pointer */
}

/* --- look-up --- */

void
index_probe_begin(const struct index *index, struct store_hash hash, struct index_probe *probe)
{
    probe->index = index;
    probe->table = atomic_load_explicit(&index->table, memory_order_acquire);
    probe->hash = hash;
    probe->at = hash.hi;
}

uint32_t
index_probe_next(struct index_probe *probe)
{
    const struct index_table *table = probe->table;

    for (;;) {
        uint64_t value =
            atomic_load_explicit(&table->slots[probe->at++ & table->mask], memory_order_acquire);
        uint32_t number = (uint32_t)value - 1;
        const struct index_entry *entry;

        if (value == 0)
            return INDEX_NONE;
        if ((value ^ probe->hash.lo) >> 32 != 0 || (uint32_t)value == DEAD_SLOT)
            continue;
        entry = index_entry(probe->index, number);
        if (entry->hash.lo == probe->hash.lo && entry->hash.hi == probe->hash.hi)
            return number;
    }
}

uint32_t
index_find(const struct index *index, struct store_hash hash, uint64_t oid)
{
    struct index_probe probe;
    uint32_t number;

    index_probe_begin(index, hash, &probe);
    while ((number = index_probe_next(&probe)) != INDEX_NONE)
        if (index_entry(index, number)->oid == oid)
            break;
    return number;
}

uint32_t
index_find_member(const struct index *index, struct store_hash hash, uint64_t variant,
                  uint8_t member)
{
    struct index_probe probe;
    uint32_t number;

    index_probe_begin(index, hash, &probe);
    while ((number = index_probe_next(&probe)) != INDEX_NONE) {
        const struct index_entry *entry = index_entry(index, number);

        if (entry->variant == variant && entry->member == member)
            break;
    }
    return number;
}

bool
index_pin(struct index_entry *entry)
{
    unsigned pins = atomic_load_explicit(&entry->pins, memory_order_relaxed);

    do {
        if ((pins & INDEX_GOING) != 0 || pins >= INDEX_PINS_MAX)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&entry->pins, &pins, pins + 1,
                                                    memory_order_acquire, memory_order_relaxed));
    return true;
}

void
index_unpin(struct index_entry *entry)
{
    unsigned before = atomic_fetch_sub_explicit(&entry->pins, 1, memory_order_release);

    ASSERT((before & ~INDEX_GOING) != 0);
}

/* --- tables --- */

static void
table_add(struct index_table *table, uint64_t at, uint64_t value)
{
    for (;; at++) {
        atomic_uint_fast64_t *slot = &table->slots[at & table->mask];

        if (atomic_load_explicit(slot, memory_order_relaxed) == 0) {
            atomic_store_explicit(slot, value, memory_order_release);
            return;
        }
    }
}

/* A table for `n` live entries at a load of half at most, without dead slots. */
static enum err
rebuild(struct index *index, uint64_t n)
{
    struct index_table *old = atomic_load_explicit(&index->table, memory_order_relaxed), *table;
    uint64_t cap = 1U << TABLE_BITS_MIN;

    while (cap < n * 2)
        cap *= 2;
    table = table_new(index, cap);
    if (table == NULL)
        return ERR_NOMEM;
    for (uint64_t i = 0; i <= old->mask; i++) {
        uint64_t value = atomic_load_explicit(&old->slots[i], memory_order_relaxed);

        if (value != 0 && (uint32_t)value != DEAD_SLOT)
            table_add(table, index_entry(index, (uint32_t)value - 1)->hash.hi, value);
    }
    index->dead_slots_n = 0;
    atomic_store_explicit(&index->table, table, memory_order_release);
    index_retire_block(index, &old->block);
    return OK;
}

/* A table has two slots for each entry when it is made. Of those that it and the one before it have
 * replaced, at most as long, readers of two batches may still look at both: slots of what went are
 * used up, so a full index makes a table of the same length anew every other batch. Entries of one
 * batch that went wait for readers while those of the next come. */
static uint64_t
entries_within(uint64_t memory_len, uint64_t cap)
{
    uint64_t tables_len = cap * 3 * sizeof(uint64_t), n;

    if (tables_len >= memory_len)
        return 0;
    n = (memory_len - tables_len) / sizeof(struct index_entry);
    n = n > INDEX_WAITING_MAX ? n - INDEX_WAITING_MAX : 0;
    return n < cap / 2 ? n : cap / 2;
}

void
index_bound(struct index *index, uint64_t memory_len)
{
    ASSERT(memory_len >= STORE_INDEX_MEMORY_MIN);
    index->max_n = 0;
    for (uint64_t cap = 1U << TABLE_BITS_MIN; cap * sizeof(uint64_t) < memory_len; cap *= 2) {
        uint64_t n = entries_within(memory_len, cap);

        index->max_n = n > index->max_n ? n : index->max_n;
    }
}

/* --- entries --- */

static enum err
reserve_entries(struct index *index, uint64_t n)
{
    if (n <= index->free_n)
        return OK;
    n -= index->free_n;
    if (n > ENTRIES_MAX - index->fresh)
        return ERR_LIMIT;
    for (unsigned chunk = 0; chunk < INDEX_CHUNKS_MAX; chunk++) {
        uint64_t chunk_n = 1ULL << (chunk + INDEX_CHUNK_BITS);
        uint64_t first = chunk_n - (1U << INDEX_CHUNK_BITS);
        struct index_entry *entries;

        if (first >= index->fresh + n)
            return OK;
        if (atomic_load_explicit(&index->chunks[chunk], memory_order_relaxed) != NULL)
            continue;
        entries = mem_alloc(chunk_n * sizeof(*entries)); /* touched as it is used */
        if (entries == NULL)
            return ERR_NOMEM;
        advise(entries, chunk_n * sizeof(*entries));
        atomic_store_explicit(&index->chunks[chunk], entries, memory_order_release);
    }
    return OK;
}

enum err
index_reserve(struct index *index, uint64_t n)
{
    const struct index_table *table = atomic_load_explicit(&index->table, memory_order_relaxed);
    enum err rc = reserve_entries(index, n);

    if (rc == OK && (index->live_n + index->dead_slots_n + n) * 10 > (table->mask + 1) * 7)
        rc = rebuild(index, index->live_n + n);
    return rc;
}

static uint32_t
entry_take(struct index *index)
{
    uint32_t number = index->free;

    if (number == INDEX_NONE) {
        index->bytes_len += sizeof(struct index_entry);
        return index->fresh++;
    }
    index->free = index_entry(index, number)->newer;
    index->free_n--;
    return number;
}

/* Between `older`, which may be none, and what follows it. */
static void
link_entry(struct index *index, struct index_list *list, uint32_t number, uint32_t older)
{
    struct index_entry *entry = index_entry(index, number);

    entry->older = older;
    entry->newer = older == INDEX_NONE ? list->oldest : index_entry(index, older)->newer;
    if (entry->newer != INDEX_NONE)
        index_entry(index, entry->newer)->older = number;
    else
        list->newest = number;
    if (older != INDEX_NONE)
        index_entry(index, older)->newer = number;
    else
        list->oldest = number;
    list->n++;
}

uint32_t
index_insert(struct index *index, const struct index_item *item)
{
    uint32_t number = entry_take(index);
    struct index_entry *entry = index_entry(index, number);
    struct index_list *list;

    entry->hash = item->hash;
    entry->oid = item->oid;
    entry->variant = item->variant;
    entry->room = item->room;
    entry->pieces = item->pieces;
    entry->member = item->member;
    entry->group = item->is_again ? index_entry(index, item->again)->group
                                  : (uint8_t)index_group(index, item->group);
    atomic_store_explicit(&entry->pins, item->pinned ? 1 : 0, memory_order_relaxed);
    atomic_store_explicit(&entry->visited, item->visited, memory_order_relaxed);
    atomic_store_explicit(&entry->verified, 0, memory_order_relaxed);
    atomic_store_explicit(&entry->seen_s, 0, memory_order_relaxed);
    entry->listed = true;
    entry->moving = false;
    list = &index->lists[entry->group];
    link_entry(index, list, number,
               item->is_again   ? index_entry(index, item->again)->older
               : item->is_found ? list->found
                                : list->newest);
    if (item->is_found)
        list->found = number;
    list->room += entry->room;
    list->members_n += entry->member != 0;
    index->members_n += entry->member != 0;
    index->live_n++;
    table_add(atomic_load_explicit(&index->table, memory_order_relaxed), item->hash.hi,
              slot_value(item->hash, number));
    return number;
}

/* An emptied slot before an empty one can be empty itself: no chain runs through it. */
static void
clear_slot(struct index *index, struct index_table *table, uint64_t at)
{
    uint64_t next =
        atomic_load_explicit(&table->slots[(at + 1) & table->mask], memory_order_relaxed);

    if (next != 0) {
        atomic_store_explicit(&table->slots[at & table->mask], DEAD_SLOT, memory_order_release);
        index->dead_slots_n++;
        return;
    }
    atomic_store_explicit(&table->slots[at & table->mask], 0, memory_order_release);
    while (atomic_load_explicit(&table->slots[--at & table->mask], memory_order_relaxed) ==
           DEAD_SLOT) {
        atomic_store_explicit(&table->slots[at & table->mask], 0, memory_order_release);
        index->dead_slots_n--;
    }
}

static void
unlink_entry(struct index *index, const struct index_entry *entry, uint32_t number)
{
    struct index_list *list = &index->lists[entry->group];

    if (list->hand == number)
        list->hand = entry->newer;
    if (list->found == number)
        list->found = entry->older;
    if (entry->older != INDEX_NONE)
        index_entry(index, entry->older)->newer = entry->newer;
    else
        list->oldest = entry->newer;
    if (entry->newer != INDEX_NONE)
        index_entry(index, entry->newer)->older = entry->older;
    else
        list->newest = entry->older;
    list->n--;
}

/* From the oldest of this list, or of the first after it that has any. */
static struct index_cursor
first_from(const struct index *index, unsigned group)
{
    for (; group < index->lists_n; group++)
        if (index->lists[group].oldest != INDEX_NONE)
            return (struct index_cursor){index->lists[group].oldest, group};
    return (struct index_cursor){INDEX_NONE, index->lists_n};
}

struct index_cursor
index_first(const struct index *index)
{
    return first_from(index, 0);
}

struct index_cursor
index_after(const struct index *index, struct index_cursor cursor)
{
    uint32_t newer = index_entry(index, cursor.slot)->newer;

    if (newer != INDEX_NONE)
        return (struct index_cursor){newer, cursor.group};
    return first_from(index, cursor.group + 1);
}

void
index_remove(struct index *index, uint32_t number)
{
    struct index_table *table = atomic_load_explicit(&index->table, memory_order_relaxed);
    struct index_entry *entry = index_entry(index, number);
    uint64_t value = slot_value(entry->hash, number), at = entry->hash.hi;

    ASSERT(entry->listed);
    while (atomic_load_explicit(&table->slots[at & table->mask], memory_order_relaxed) != value)
        at++;
    clear_slot(index, table, at);
    unlink_entry(index, entry, number);
    entry->listed = false;
    index->lists[entry->group].members_n -= entry->member != 0;
    index->members_n -= entry->member != 0;
    index->live_n--;
}

/* --- reclamation --- */

void
index_retire(struct index *index, uint32_t number)
{
    struct index_entry *entry = index_entry(index, number);

    ASSERT(!entry->listed);
    index->lists[entry->group].room -= entry->room;
    entry->newer = index->retired;
    index->retired = number;
}

void
index_retire_block(struct index *index, struct index_block *block)
{
    block->next = index->retired_blocks;
    index->retired_blocks = block;
}

void
index_reclaim(struct index *index)
{
    if (index->marked && !epoch_passed(index->epoch))
        return;
    while (index->grace != INDEX_NONE) {
        uint32_t number = index->grace;
        struct index_entry *entry = index_entry(index, number);

        index->grace = entry->newer;
        entry->newer = index->free;
        index->free = number;
        index->free_n++;
    }
    free_blocks(index, &index->grace_blocks);
    index->grace = index->retired;
    index->grace_blocks = index->retired_blocks;
    index->retired = INDEX_NONE;
    index->retired_blocks = NULL;
    index->marked = index->grace != INDEX_NONE || index->grace_blocks != NULL;
    if (index->marked)
        epoch_mark(index->epoch);
}
