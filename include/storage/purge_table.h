/* The names that purges at work have, for whoever has to know whether one of them names an object.
 *
 * Open addressing over 64-bit names: a label is its own name; keys and prefixes have hashes. Rows
 * are only added and their numbers only rise while the table is in use, so readers walk it without
 * a lock; a row that has outlived its purges hides nothing, because what was older than it is gone.
 * A prefix is found by hashing as many bytes of the key as it has: `lengths` says which numbers of
 * bytes are worth it, so a look-up costs by the number of different lengths, not of prefixes.
 *
 * Changed under the lock of the set of purges (storage/purge.h). */
#ifndef BRINK_STORAGE_PURGE_TABLE_H
#define BRINK_STORAGE_PURGE_TABLE_H

#include <stdatomic.h>

#include "storage/index.h"

struct purge_entry;

enum { PURGE_PREFIX_MAX = 16383, PURGE_LENGTH_WORDS = (PURGE_PREFIX_MAX + 1) / 64 };

struct purge_row {
    atomic_uint_fast64_t name;       /* 0: the row is empty */
    atomic_uint_fast64_t hard, soft; /* seq of the youngest; 0: none */
    struct purge_entry *entries;     /* at work, youngest first; under the set's lock */
};

struct purge_table {
    struct index_block block;
    atomic_uint_fast64_t all_hard; /* seq of the youngest purge of everything; 0: none */
    atomic_uint_fast64_t lengths[PURGE_LENGTH_WORDS]; /* a bit for each number of bytes */
    atomic_uint words_n;                              /* of `lengths`, that have a bit */
    uint64_t mask, rows_n;
    struct purge_row rows[];
};

/* What purges may name. */
struct purge_subject {
    uint64_t birth;
    struct store_hash hash; /* of the key */
    struct slice key;
    const void *labels; /* labels_n numbers of 64 bits, not aligned */
    size_t labels_n;
};

uint64_t purge_name_of_key(struct store_hash hash);
uint64_t purge_name_of_prefix(struct slice text); /* at most PURGE_PREFIX_MAX bytes */
uint64_t purge_name_of_label(uint64_t label);

/* --- any thread that keeps the table from being freed --- */

struct purge_row *purge_table_find(const struct purge_table *table, uint64_t name); /* or NULL */

/* The rows that name a subject, whatever its birth. Begin with `step` 0; NULL: no more. */
struct purge_probe {
    const struct purge_table *table;
    const struct purge_subject *subject;
    size_t step;
};
struct purge_row *purge_probe_next(struct purge_probe *probe);

enum store_purged
purge_table_match(const struct purge_table *table, const struct purge_subject *subject);

/* The stronger of what is known and what is new. */
static inline enum store_purged
purge_worse(enum store_purged known, bool matches, bool soft)
{
    if (!matches || known == STORE_PURGED_HARD)
        return known;
    return soft ? STORE_PURGED_SOFT : STORE_PURGED_HARD;
}

/* --- under the set's lock --- */

/* A table with room for `n` rows more than those of `old` (may be NULL) that are younger than
 * `floor`, which it takes over; with its lengths if `keep_lengths`. NULL: out of memory. */
struct purge_table *
purge_table_new(const struct purge_table *old, uint64_t floor, bool keep_lengths, uint64_t n);

uint64_t purge_table_count(const struct purge_table *table, uint64_t floor); /* rows younger */
bool purge_table_has_room(const struct purge_table *table, uint64_t n);

/* The row of that name, with its number raised. There was room. */
struct purge_row *
purge_table_add(struct purge_table *table, uint64_t name, bool soft, uint64_t seq);
void purge_table_add_length(struct purge_table *table, size_t len);

#endif
