/* Which object goes next: SIEVE in each partition, and which partition gives.
 *
 * Decisions only, over the index in memory: whoever asks takes the object out of the index, or out
 * of the store. tools/simulate runs this code over traces. All sizes are in units of
 * RECORD_ROOM_UNIT bytes, or in any other that the entries' `room` has. */
#ifndef BRINK_STORAGE_SIEVE_H
#define BRINK_STORAGE_SIEVE_H

#include "storage/index.h"

enum sieve_verdict {
    SIEVE_PASS, /* pinned: it cannot go now */
    SIEVE_KEEP, /* it was used since the hand last came by: its bit is taken back */
    SIEVE_GO
};

/* The entry at the hand of this partition, and the hand one further; at the newest end it begins
 * anew at the oldest. The list is not empty. */
enum sieve_verdict sieve_step(struct index *index, unsigned group, uint32_t *out_slot);

/* Making room, in one transaction. All zero before its first round. */
struct sieve_round {
    uint64_t freed[INDEX_GROUPS_MAX];   /* went in this transaction, still counted in its list */
    uint64_t evicted[INDEX_GROUPS_MAX]; /* objects; the caller's to count */
    /* of one round */
    uint64_t limit;                   /* in use at most, with what comes */
    uint64_t other;                   /* in use by nobody's objects; counts to partition 0 */
    uint64_t need[INDEX_GROUPS_MAX];  /* what comes into each; filled in after sieve_begin */
    uint64_t steps[INDEX_GROUPS_MAX]; /* left: two ways around each list, then it gives nothing */
};

/* `used`: in use in all, now. */
void
sieve_begin(struct sieve_round *round, const struct index *index, uint64_t limit, uint64_t used);

/* What of `limit` is the partition's own. */
uint64_t sieve_share(const struct index *index, unsigned group, uint64_t limit);

/* How far the partition is above its share, with what comes; negative: below it. */
int64_t sieve_over(const struct sieve_round *round, const struct index *index, unsigned group);

/* The partition to take from: that which is furthest above its share. When none is, that whose own
 * objects are to come, so that nobody's share is taken by others. False: there is none; what comes
 * into partitions above their share has to be refused. */
MUST_USE bool
sieve_choose(const struct sieve_round *round, const struct index *index, unsigned *out_group);

#endif
