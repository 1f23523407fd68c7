/* Making room by exact used pages. */
#ifndef BRINK_STORAGE_EVICT_H
#define BRINK_STORAGE_EVICT_H

#include "storage/writer.h"

uint64_t evict_limit_max(const struct env *env); /* pages: 0.90 of the map */

struct evict_need {
    uint64_t pages[INDEX_GROUPS_MAX]; /* of what is to be stored, by partition */
    uint64_t objects;                 /* that enter the index */
};

/* Within w->txn: free until what is needed fits below the limit, and into the index. 0,
 * BATCH_MORE_ROOM (commit what was freed and go on), BATCH_NO_ROOM (all that may go is in use), or
 * LMDB's code. */
MUST_USE int evict_make_room(struct writer *w, const struct evict_need *need);

/* After BATCH_NO_ROOM: this partition is above its share, and what comes into it is refused. */
bool evict_refuses(const struct writer *w, unsigned group);

/* Within w->txn: free 2 % of the map, whatever it takes. */
MUST_USE int evict_some(struct writer *w);

/* After MDB_MAP_FULL, or a disk without room: keep less. After a commit: slowly more again. */
void evict_lower_limit(struct writer *w, bool file_is_bound);
void evict_raise_limit(struct writer *w);
void evict_bound_by_file(struct writer *w); /* it cannot grow past what was reserved */

#endif
