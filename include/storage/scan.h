/* Filling the index at start: from the file that a clean stop left, or from the commit records. */
#ifndef BRINK_STORAGE_SCAN_H
#define BRINK_STORAGE_SCAN_H

#include "storage/index.h"

enum { SCAN_THREADS = 4, SCAN_RANGES = 64 };

/* What one range of ids holds. */
struct scan_result {
    struct list link;
    struct index_item *items; /* oldest first */
    size_t items_n, items_cap;
    uint64_t *orphans; /* ids of pieces without a record, of dead and of damaged objects */
    size_t orphans_n, orphans_cap;
    uint64_t bad_n;
};

struct scan {
    struct store *store;
    pthread_t threads[SCAN_THREADS];
    unsigned threads_n;
    atomic_bool stop;
    uint64_t oid_end, range_len;
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned next_range, left; /* under the lock: ranges not given out; not merged */
    struct list results;
    bool failed; /* a range could not be read whole */
};

void scan_init(struct scan *scan, struct store *store);

/* Start the threads. Their results come to the writer, which calls scan_merge. ERR_SYSTEM. */
MUST_USE enum err scan_start(struct scan *scan, uint64_t oid_end);
void scan_stop(struct scan *scan); /* joins; unmerged results are dropped */
void scan_fini(struct scan *scan);

/* The writer's: the next finished range, or NULL. */
struct scan_result *scan_take(struct scan *scan);
void scan_result_free(struct scan_result **slot);
bool scan_merged(struct scan *scan); /* one more range is in the index; true: it was the last */
void scan_wait(struct scan *scan, unsigned wait_ms);

/* The saved index. Saving: the writer has stopped, and nothing is doomed. */
void scan_save(const struct index *index, const char *path, uint64_t txnid, uint64_t oid_next);
bool scan_load(struct index *index, const char *path, uint64_t txnid, uint64_t oid_next);
void scan_forget(const char *path); /* a saved index is of no use any more */

#endif
