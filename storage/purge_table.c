/* Names of purges at work: a table that readers walk without a lock. */
#include "storage/purge_table.h"

#include <xxhash.h>

enum { ROWS_MIN = 256 };

static const uint64_t prefix_seed = 0x5052454649580000U, zero_name = 0x9e3779b97f4a7c15U;

static uint64_t
not_zero(uint64_t name)
{
    return name != 0 ? name : zero_name;
}

uint64_t
purge_name_of_key(struct store_hash hash)
{
    return not_zero(hash.lo ^ (hash.hi * zero_name));
}

uint64_t
purge_name_of_prefix(struct slice text)
{
    return not_zero(XXH3_64bits_withSeed(text.ptr, text.len, prefix_seed));
}

uint64_t
purge_name_of_label(uint64_t label)
{
    return not_zero(label);
}

/* --- look-up --- */

static uint64_t
load(const atomic_uint_fast64_t *number)
{
    return atomic_load_explicit(number, memory_order_acquire);
}

/* The row of a name, or the empty one where it would be. */
static struct purge_row *
slot_of(const struct purge_table *table, uint64_t name)
{
    for (uint64_t at = name ^ (name >> 32);; at++) {
        const struct purge_row *row = &table->rows[at & table->mask];
        uint64_t found = load(&row->name);

        if (found == name || found == 0)
            return (struct purge_row *)row;
    }
}

struct purge_row *
purge_table_find(const struct purge_table *table, uint64_t name)
{
    struct purge_row *row = slot_of(table, name);

    return load(&row->name) == 0 ? NULL : row;
}

/* The prefixes of the subject's key, by the lengths that purges have. `step` is the next length. */
static struct purge_row *
next_prefix(struct purge_probe *probe, size_t first)
{
    const struct purge_table *table = probe->table;
    size_t words_n = atomic_load_explicit(&table->words_n, memory_order_acquire);

    for (size_t len; (len = probe->step - first) < words_n * 64; probe->step++) {
        uint64_t bits = load(&table->lengths[len / 64]) >> (len % 64);
        struct purge_row *row;

        if (bits == 0) {
            probe->step += 63 - len % 64;
            continue;
        }
        probe->step += (unsigned)__builtin_ctzll(bits);
        len = probe->step - first;
        if (len > probe->subject->key.len)
            return NULL;
        row = purge_table_find(table, purge_name_of_prefix(slice_first(probe->subject->key, len)));
        if (row != NULL) {
            probe->step++;
            return row;
        }
    }
    return NULL;
}

struct purge_row *
purge_probe_next(struct purge_probe *probe)
{
    const struct purge_subject *subject = probe->subject;

    while (probe->step <= subject->labels_n) {
        uint64_t name = purge_name_of_key(subject->hash);
        struct purge_row *row;

        if (probe->step > 0) {
            memcpy(&name, (const char *)subject->labels + (probe->step - 1) * sizeof(name),
                   sizeof(name));
            name = purge_name_of_label(name);
        }
        probe->step++;
        row = purge_table_find(probe->table, name);
        if (row != NULL)
            return row;
    }
    return next_prefix(probe, subject->labels_n + 1);
}

enum store_purged
purge_table_match(const struct purge_table *table, const struct purge_subject *subject)
{
    struct purge_probe probe = {table, subject, 0};
    enum store_purged found = STORE_NOT_PURGED;
    const struct purge_row *row;

    found = purge_worse(found, load(&table->all_hard) > subject->birth, false);
    while (found != STORE_PURGED_HARD && (row = purge_probe_next(&probe)) != NULL) {
        found = purge_worse(found, load(&row->soft) > subject->birth, true);
        found = purge_worse(found, load(&row->hard) > subject->birth, false);
    }
    return found;
}

/* --- changes --- */

static bool
is_younger(const struct purge_row *row, uint64_t floor)
{
    return load(&row->hard) > floor || load(&row->soft) > floor;
}

uint64_t
purge_table_count(const struct purge_table *table, uint64_t floor)
{
    uint64_t n = 0;

    for (uint64_t i = 0; table != NULL && i <= table->mask; i++)
        n += is_younger(&table->rows[i], floor);
    return n;
}

bool
purge_table_has_room(const struct purge_table *table, uint64_t n)
{
    return table != NULL && (table->rows_n + n) * 2 <= table->mask + 1;
}

static void
copy_row(struct purge_table *to, const struct purge_row *from)
{
    uint64_t name = load(&from->name);
    struct purge_row *row = slot_of(to, name);

    atomic_init(&row->hard, load(&from->hard));
    atomic_init(&row->soft, load(&from->soft));
    atomic_init(&row->name, name);
    row->entries = from->entries;
    to->rows_n++;
}

static void
copy_lengths(struct purge_table *to, const struct purge_table *from)
{
    for (size_t i = 0; i < PURGE_LENGTH_WORDS; i++)
        atomic_init(&to->lengths[i], load(&from->lengths[i]));
    atomic_init(&to->words_n, atomic_load_explicit(&from->words_n, memory_order_relaxed));
}

struct purge_table *
purge_table_new(const struct purge_table *old, uint64_t floor, bool keep_lengths, uint64_t n)
{
    uint64_t cap = ROWS_MIN, want = (purge_table_count(old, floor) + n) * 4;
    struct purge_table *table;

    while (cap < want)
        cap *= 2;
    table = mem_zalloc(sizeof(*table) + cap * sizeof(table->rows[0]));
    if (table == NULL)
        return NULL;
    table->mask = cap - 1;
    for (uint64_t i = 0; old != NULL && i <= old->mask; i++)
        if (is_younger(&old->rows[i], floor))
            copy_row(table, &old->rows[i]);
    if (old != NULL && keep_lengths)
        copy_lengths(table, old);
    if (old != NULL && load(&old->all_hard) > floor)
        atomic_init(&table->all_hard, load(&old->all_hard));
    return table;
}

struct purge_row *
purge_table_add(struct purge_table *table, uint64_t name, bool soft, uint64_t seq)
{
    struct purge_row *row = slot_of(table, name);

    atomic_store_explicit(soft ? &row->soft : &row->hard, seq, memory_order_release);
    if (load(&row->name) == 0) {
        ASSERT(table->rows_n < table->mask);
        table->rows_n++;
        atomic_store_explicit(&row->name, name, memory_order_release); /* whole: to be found */
    }
    return row;
}

void
purge_table_add_length(struct purge_table *table, size_t len)
{
    unsigned words_n = (unsigned)(len / 64 + 1);

    ASSERT(len <= PURGE_PREFIX_MAX);
    (void)atomic_fetch_or_explicit(&table->lengths[len / 64], 1ULL << (len % 64),
                                   memory_order_release);
    if (words_n > atomic_load_explicit(&table->words_n, memory_order_relaxed))
        atomic_store_explicit(&table->words_n, words_n, memory_order_release);
}
