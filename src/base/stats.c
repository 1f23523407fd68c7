/* Per-thread counters. A thread's cells have one writer, so an update is a plain load and store;
 * atomics only make the concurrent read defined. Cells are kept in a list that only grows. */
#include "base/stats.h"

#include <stdatomic.h>

struct stats_cells {
    _Atomic int64_t cell[STAT_COUNT + STATS_LABELLED_MAX]; /* the labelled ones behind */
};

struct stats_block {
    struct stats_cells cells; /* first: stats_mine points here */
    struct stats_block *next;
};

static struct stats_block shared_block; /* of threads that did not attach; updated atomically */
static _Atomic(struct stats_block *) blocks;
static _Thread_local struct stats_cells *stats_mine = &shared_block.cells;

enum err
stats_attach(void)
{
    struct stats_block *block;

    if (stats_mine != &shared_block.cells)
        return OK;
    block = mem_zalloc(sizeof(*block));
    if (block == NULL)
        return ERR_NOMEM;
    block->next = atomic_load(&blocks);
    while (!atomic_compare_exchange_weak(&blocks, &block->next, block))
        continue;
    stats_mine = &block->cells;
    return OK;
}

static void
add(size_t i, int64_t n)
{
    _Atomic int64_t *cell = &stats_mine->cell[i];

    if (UNLIKELY(stats_mine == &shared_block.cells)) {
        (void)atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
        return;
    }
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void
stats_add(enum counter stat, int64_t n)
{
    add(stat, n);
}

void
stats_add_labelled(unsigned row, int64_t n)
{
    ASSERT(row < STATS_LABELLED_MAX);
    add((size_t)STAT_COUNT + row, n);
}

void
stats_set(enum counter stat, int64_t n)
{
    atomic_store_explicit(&stats_mine->cell[stat], n, memory_order_relaxed);
}

/* An error that is a client's names its counter. Those before ERR_CLOSED are of general use; no
 * request is refused by them. */
#define REFUSAL(name, status, text, counter)
#define ERROR(name, status, text)                                                                  \
    static_assert(ERR_##name < ERR_CLOSED ||                                                       \
                      ((status) >= 500 && (status) != 501 && (status) != 505),                     \
                  #name " needs a counter: make it a REFUSAL");
#include "base/errors.def"
#undef ERROR

bool
stats_refused(enum err rc)
{
    switch (rc) {
#define ERROR(name, status, text)
#define REFUSAL(name, status, text, counter)                                                       \
    case ERR_##name:                                                                               \
        STAT_INC(counter);                                                                         \
        return true;
#include "base/errors.def"
#undef ERROR
    default: /* ours or an origin's: nothing was wrong with the request */
        return false;
    }
}

static int64_t
sum_of(size_t i)
{
    int64_t sum = atomic_load_explicit(&shared_block.cells.cell[i], memory_order_relaxed);

    for (struct stats_block *block = atomic_load(&blocks); block != NULL; block = block->next)
        sum += atomic_load_explicit(&block->cells.cell[i], memory_order_relaxed);
    return sum;
}

int64_t
stats_read(enum counter stat)
{
    return sum_of(stat);
}

int64_t
stats_read_labelled(unsigned row)
{
    ASSERT(row < STATS_LABELLED_MAX);
    return sum_of((size_t)STAT_COUNT + row);
}

static const struct {
    const char *name, *kind, *unit, *help;
} rows[] = {
#define STAT(name, kind, unit, help) {#name, #kind, unit, help},
#include "base/stats.def"
#undef STAT
};

const char *
stats_name(enum counter stat)
{
    return rows[stat].name;
}

const char *
stats_help(enum counter stat)
{
    return rows[stat].help;
}

const char *
stats_unit(enum counter stat)
{
    return rows[stat].unit;
}

bool
stats_is_gauge(enum counter stat)
{
    return rows[stat].kind[0] == 'G';
}
