/* SIEVE's hand, and the partitions' claims on the room. */
#include "storage/sieve.h"

enum sieve_verdict
sieve_step(struct index *index, unsigned group, uint32_t *out_slot)
{
    struct index_list *list = &index->lists[group];
    uint32_t slot = list->hand != INDEX_NONE ? list->hand : list->oldest;
    struct index_entry *entry = index_entry(index, slot);

    list->hand = entry->newer;
    *out_slot = slot;
    if (atomic_load_explicit(&entry->pins, memory_order_acquire) != 0)
        return SIEVE_PASS; /* read now, or going already */
    if (atomic_load_explicit(&entry->visited, memory_order_relaxed) == 0)
        return SIEVE_GO;
    atomic_store_explicit(&entry->visited, 0, memory_order_relaxed);
    return SIEVE_KEEP;
}

void
sieve_begin(struct sieve_round *round, const struct index *index, uint64_t limit, uint64_t used)
{
    uint64_t known = 0;

    round->limit = limit;
    for (unsigned i = 0; i < index->lists_n; i++) {
        known += index->lists[i].room - round->freed[i];
        round->need[i] = 0;
        round->steps[i] = index->lists[i].n * 2 + 1;
    }
    round->other = used > known ? used - known : 0;
}

uint64_t
sieve_share(const struct index *index, unsigned group, uint64_t limit)
{
    return limit / 100 * index->lists[group].percent;
}

int64_t
sieve_over(const struct sieve_round *round, const struct index *index, unsigned group)
{
    uint64_t used = index->lists[group].room + round->need[group];

    if (group == 0)
        used += round->other;
    return (int64_t)used - (int64_t)round->freed[group] -
           (int64_t)sieve_share(index, group, round->limit);
}

/* Has it something that the hand has not been asked about too often? */
static bool
can_give(const struct sieve_round *round, const struct index *index, unsigned group)
{
    return round->steps[group] > 0 && index->lists[group].oldest != INDEX_NONE;
}

/* The furthest above its share of those that can give. Of those only that something comes into,
 * when `asking`. INDEX_GROUPS_MAX: none. */
static unsigned
furthest(const struct sieve_round *round, const struct index *index, bool asking, int64_t *out_over)
{
    unsigned found = INDEX_GROUPS_MAX;

    for (unsigned i = 0; i < index->lists_n; i++) {
        int64_t over;

        if (!can_give(round, index, i) || (asking && round->need[i] == 0))
            continue;
        over = sieve_over(round, index, i);
        if (found != INDEX_GROUPS_MAX && over <= *out_over)
            continue;
        found = i;
        *out_over = over;
    }
    return found;
}

/* Is there a partition above its share, or asking, that has nothing left to give? */
static bool
must_refuse(const struct sieve_round *round, const struct index *index, bool *out_asked)
{
    bool refuse = false;

    *out_asked = false;
    for (unsigned i = 0; i < index->lists_n; i++) {
        if (round->need[i] == 0)
            continue;
        *out_asked = true;
        refuse |= !can_give(round, index, i) && sieve_over(round, index, i) > 0;
    }
    return refuse;
}

bool
sieve_choose(const struct sieve_round *round, const struct index *index, unsigned *out_group)
{
    int64_t over = 0;
    bool asked;

    *out_group = furthest(round, index, false, &over);
    if (*out_group == INDEX_GROUPS_MAX)
        return false;
    if (over > 0)
        return true;
    if (must_refuse(round, index, &asked))
        return false;
    if (asked)
        *out_group = furthest(round, index, true, &over);
    return *out_group != INDEX_GROUPS_MAX;
}
