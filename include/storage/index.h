/* What is stored, in memory: hash of the key -> object id, in a table that readers walk without a
 * lock.
 *
 * One mutator (the writer's thread; at the start the thread that opens). A table slot is
 * {32-bit tag, 32-bit entry number}; entries lie in chunks that never move or go. An entry's hash,
 * id, variant and member do not change while a reader may see it: what gets a new id gets a new
 * entry.
 * Removed entries and outgrown tables are reused when every reader that might look at them has left
 * its section (storage/epoch.h).
 *
 * Entries form a list for each partition of the store, oldest first: the order of eviction and of
 * purge sweeps. What is new goes to the newest end; what only gets a new id keeps its place.
 *
 * Of a hash and variant there is one entry with member 0, the head, and of each member number one
 * at most. A member's entry comes after its head's and goes before it, so whoever finds no head
 * finds no member that lasts. Twice the same is there for the moment in which a new id takes the
 * place of another. */
#ifndef BRINK_STORAGE_INDEX_H
#define BRINK_STORAGE_INDEX_H

#include "storage/epoch.h"
#include "storage/store.h"

#define INDEX_NONE UINT32_MAX
#define INDEX_GOING 0x80000000U /* in `pins`: about to be removed; no pin can be taken */
#define INDEX_PINS_MAX 0x00ffffffU

struct index_entry {
    struct store_hash hash;
    uint64_t oid, variant;
    uint32_t room, pieces; /* the writer's; room: in units of RECORD_ROOM_UNIT bytes */
    uint32_t older, newer; /* the list; the writer's */
    atomic_uint pins;
    atomic_uint verified; /* what was found right, or wrong, since the start; storage/verify.h's */
    atomic_uchar visited; /* SIEVE's bit */
    bool listed : 1;
    bool moving : 1; /* of one that is going: this transaction gives it another id; the writer's */
    uint8_t group;   /* its partition, and so its list */
    uint8_t member;  /* of a family; 0: its head, or of none */
    atomic_uint seen_s; /* second in which its record was last read; storage/pages.h's */
};
static_assert(sizeof(struct index_entry) <= 64, "one cache line");

enum { INDEX_CHUNK_BITS = 12, INDEX_CHUNKS_MAX = 32 - INDEX_CHUNK_BITS };

/* Memory that readers may look at; freed when they have left. First member of what is retired. */
struct index_block {
    struct index_block *next;
    size_t len;
};

struct index_table {
    struct index_block block;
    uint64_t mask;
    atomic_uint_fast64_t slots[];
};

/* A partition: 0 is what has no share of its own. */
enum { INDEX_GROUPS_MAX = 256 };
struct index_list {
    uint32_t oldest, newest;
    uint32_t hand;         /* SIEVE's; moved on when its entry goes */
    uint32_t found;        /* the last that came from the scan */
    uint32_t group;        /* as records name it; 0 for partition 0 */
    uint32_t percent;      /* of the room is its own; of partition 0: what is left */
    uint64_t n, members_n; /* of n */
    uint64_t room;         /* in units: of all entries not reused, and of pieces on their way in */
    uint64_t loose;        /* of these, pieces on their way in */
    uint64_t evicted_n;
};

/* A place on the way over all lists. INDEX_NONE at its end. */
struct index_cursor {
    uint32_t slot;
    unsigned group;
};

struct index {
    _Atomic(struct index_table *) table;
    _Atomic(struct index_entry *) chunks[INDEX_CHUNKS_MAX]; /* chunk k: 4,096 << k entries */
    /* all below: the writer's */
    struct epoch *epoch;
    uint64_t live_n, dead_slots_n; /* of the table */
    uint64_t members_n;            /* of live_n */
    uint32_t fresh;                /* entries from here on were never used */
    uint32_t free;                 /* reusable entries, linked by `newer` */
    uint32_t free_n;
    uint32_t retired, grace; /* wait for a mark; wait for the marked readers */
    struct index_block *retired_blocks, *grace_blocks;
    bool marked;
    uint64_t max_n; /* live entries that its memory is meant for */
    uint64_t bytes_len;
    unsigned lists_n;
    struct index_list lists[INDEX_GROUPS_MAX];
};

MUST_USE enum err index_init(struct index *index, struct epoch *epoch);
void index_fini(struct index *index);

static inline struct index_entry *
index_entry(const struct index *index, uint32_t number)
{
    uint64_t at = (uint64_t)number + (1U << INDEX_CHUNK_BITS);
    unsigned chunk = 63U - (unsigned)__builtin_clzll(at) - INDEX_CHUNK_BITS;

    return atomic_load_explicit(&index->chunks[chunk], memory_order_acquire) +
           (at - (1ULL << (chunk + INDEX_CHUNK_BITS)));
}

/* --- look-up: readers inside a section, or the writer --- */

struct index_probe {
    const struct index *index;
    const struct index_table *table;
    struct store_hash hash;
    uint64_t at;
};

void
index_probe_begin(const struct index *index, struct store_hash hash, struct index_probe *probe);

/* The next entry with that hash, or INDEX_NONE. In no order. */
uint32_t index_probe_next(struct index_probe *probe);

/* The entry of this object, or INDEX_NONE. */
uint32_t index_find(const struct index *index, struct store_hash hash, uint64_t oid);

/* The entry of a member; 0: of the head. INDEX_NONE: there is none. */
uint32_t index_find_member(const struct index *index, struct store_hash hash, uint64_t variant,
                           uint8_t member);

/* False when the entry is going or was pinned too often. */
MUST_USE bool index_pin(struct index_entry *entry);
void index_unpin(struct index_entry *entry);

/* --- the writer's --- */

/* So much memory it may take, with what readers still look at: sets max_n, which the caller keeps.
 * At least STORE_INDEX_MEMORY_MIN. */
void index_bound(struct index *index, uint64_t memory_len);

/* Make sure that n more inserts cannot fail. ERR_NOMEM. */
MUST_USE enum err index_reserve(struct index *index, uint64_t n);

/* The slot of an insert that comes soon. */
static inline void
index_prefetch(const struct index *index, uint64_t hash_hi)
{
    const struct index_table *table = atomic_load_explicit(&index->table, memory_order_relaxed);

    __builtin_prefetch(&table->slots[hash_hi & table->mask], 1);
}

/* What is known of an object that enters the index. */
struct index_item {
    struct store_hash hash;
    uint64_t oid, variant;
    uint32_t room, pieces;
    uint32_t group; /* as its record names it */
    uint8_t member;
    bool visited, pinned; /* pinned: starts with one pin */
    bool is_found;        /* by the scan: older than all that was stored since the start */
    bool is_again;        /* the object of entry `again` under a new id: takes that one's place */
    uint32_t again;
};

/* At the newest end of its partition's list, or in place of another, or behind what the scan found
 * before it. Memory was reserved. */
uint32_t index_insert(struct index *index, const struct index_item *item);

/* A partition of its own, with this part of the room. ERR_LIMIT. Before the first insert. */
MUST_USE enum err index_add_group(struct index *index, uint32_t group, unsigned percent);

/* The number of the partition for a record's group: 0 when it has none. */
unsigned index_group(const struct index *index, uint32_t group);

/* All entries, list by list, oldest first. */
struct index_cursor index_first(const struct index *index);
struct index_cursor index_after(const struct index *index, struct index_cursor cursor);

/* Not found by look-ups that start from now on; not on the list. Its pins still count. */
void index_remove(struct index *index, uint32_t number);

/* Removed before, and no pins: reuse it when all readers have left. */
void index_retire(struct index *index, uint32_t number);

/* No reader that enters from now on finds this memory: free it when the others have left. */
void index_retire_block(struct index *index, struct index_block *block);

void index_reclaim(struct index *index); /* call now and then: reuses what may be reused */

#endif
