/* When may the writer reuse what readers might still look at?
 *
 * Each reader has a slot whose counter is odd while it is inside a read section. The writer unlinks
 * something, notes every slot's counter (epoch_mark), and may reuse it when each slot that was odd
 * then has changed (epoch_passed). Entering and noting are both read-modify-writes of the slot, so
 * one of the two sees the other: either the writer sees the reader inside, or the reader sees what
 * the writer had unlinked. No fence is needed, which ThreadSanitizer would not understand. */
#ifndef BRINK_STORAGE_EPOCH_H
#define BRINK_STORAGE_EPOCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"

struct epoch {
    pthread_mutex_t lock; /* the list of slots */
    struct list slots;
};

struct epoch_slot {
    _Alignas(64) atomic_uint_fast64_t section; /* odd: inside */
    struct list link;
    uint64_t seen; /* the writer's: the counter at epoch_mark; 0: was outside */
};

void epoch_init(struct epoch *epoch);
void epoch_fini(struct epoch *epoch);
void epoch_add(struct epoch *epoch, struct epoch_slot *slot);
void epoch_remove(struct epoch *epoch, struct epoch_slot *slot); /* it is outside */

/* Of the reader's thread. */
static inline void
epoch_enter(struct epoch_slot *slot)
{
    (void)atomic_fetch_add_explicit(&slot->section, 1, memory_order_acq_rel);
}

static inline void
epoch_leave(struct epoch_slot *slot)
{
    uint64_t now = atomic_load_explicit(&slot->section, memory_order_relaxed);

    atomic_store_explicit(&slot->section, now + 1, memory_order_release);
}

static inline bool
epoch_inside(const struct epoch_slot *slot)
{
    return (atomic_load_explicit(&slot->section, memory_order_relaxed) & 1) != 0;
}

/* Of the writer's thread: one mark at a time. */
void epoch_mark(struct epoch *epoch);
bool epoch_passed(struct epoch *epoch);
void epoch_wait(struct epoch *epoch); /* until everyone who is inside now has left */

#endif
