/* Read sections and their ends. */
#include "storage/epoch.h"

#include <time.h>

void
epoch_init(struct epoch *epoch)
{
    (void)pthread_mutex_init(&epoch->lock, NULL);
    list_init(&epoch->slots);
}

void
epoch_fini(struct epoch *epoch)
{
    ASSERT(list_empty(&epoch->slots));
    (void)pthread_mutex_destroy(&epoch->lock);
}

void
epoch_add(struct epoch *epoch, struct epoch_slot *slot)
{
    atomic_init(&slot->section, 0);
    slot->seen = 0;
    (void)pthread_mutex_lock(&epoch->lock);
    list_push(&epoch->slots, &slot->link);
    (void)pthread_mutex_unlock(&epoch->lock);
}

void
epoch_remove(struct epoch *epoch, struct epoch_slot *slot)
{
    ASSERT(!epoch_inside(slot));
    (void)pthread_mutex_lock(&epoch->lock);
    list_remove(&slot->link);
    (void)pthread_mutex_unlock(&epoch->lock);
}

void
epoch_mark(struct epoch *epoch)
{
    (void)pthread_mutex_lock(&epoch->lock);
    LIST_FOREACH (&epoch->slots, link) {
        struct epoch_slot *slot = CONTAINER_OF(link, struct epoch_slot, link);
        uint64_t now = atomic_fetch_add_explicit(&slot->section, 0, memory_order_acq_rel);

        slot->seen = (now & 1) != 0 ? now : 0;
    }
    (void)pthread_mutex_unlock(&epoch->lock);
}

bool
epoch_passed(struct epoch *epoch)
{
    bool passed = true;

    (void)pthread_mutex_lock(&epoch->lock);
    LIST_FOREACH (&epoch->slots, link) {
        struct epoch_slot *slot = CONTAINER_OF(link, struct epoch_slot, link);

        if (slot->seen != 0 &&
            atomic_load_explicit(&slot->section, memory_order_acquire) == slot->seen)
            passed = false;
    }
    (void)pthread_mutex_unlock(&epoch->lock);
    return passed;
}

void
epoch_wait(struct epoch *epoch)
{
    epoch_mark(epoch);
    while (!epoch_passed(epoch))
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}
