/* Reading ahead along the tree's leaves. The map has no read-ahead (other reads want none), so who
 * walks a store of small objects, which is leaf after leaf, asks for what follows. */
#ifndef BRINK_STORAGE_AHEAD_H
#define BRINK_STORAGE_AHEAD_H

#include <stdint.h>
#include <sys/mman.h>

#include "storage/record.h"

enum {
    AHEAD_NEAR_LEN = 4 * RECORD_PAGE_LEN, /* leaves that follow this closely are a run */
    AHEAD_RUN_MIN = 8,
    AHEAD_LEN = 512 << 10
};

struct ahead {
    uintptr_t page, end; /* of the last leaf; what was asked for ends there */
    unsigned run_n;
};

/* `key`: of a value just found, where it lies in the map. */
static inline void
ahead_see(struct ahead *ahead, const void *key)
{
    uintptr_t page = (uintptr_t)key & ~(uintptr_t)(RECORD_PAGE_LEN - 1);

    if (page == ahead->page)
        return;
    ahead->run_n =
        page > ahead->page && page - ahead->page <= AHEAD_NEAR_LEN ? ahead->run_n + 1 : 0;
    ahead->page = page;
    if (ahead->run_n < AHEAD_RUN_MIN ||
        (page < ahead->end && ahead->end - page <= AHEAD_LEN && ahead->end - page > AHEAD_LEN / 2))
        return;
    if (ahead->end <= page || ahead->end - page > AHEAD_LEN)
        ahead->end = page;
    (void)madvise((void *)ahead->end, page + AHEAD_LEN - ahead->end, MADV_WILLNEED);
    ahead->end = page + AHEAD_LEN;
}

#endif
