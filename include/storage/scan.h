/* Filling the index at start from the commit records. */
#ifndef BRINK_STORAGE_SCAN_H
#define BRINK_STORAGE_SCAN_H

#include "storage/index.h"

enum {
    SCAN_THREADS = 24,
    SCAN_RANGE_IDS = 4096,
    SCAN_AHEAD = 64 /* ranges found and not merged */
};

/* What one range of ids holds. */
struct scan_result {
    struct list link;
    uint64_t number;          /* of the range: they are merged in this order */
    struct index_item *items; /* oldest first */
    size_t items_n, items_cap;
    uint64_t *orphans; /* ids of pieces without a record, of dead and of damaged objects */
    size_t orphans_n, orphans_cap;
    uint64_t bad_n;
};

struct scan_range {
    uint64_t from, end, next;
    struct scan_result *result;
};

struct scan {
    struct store *store;
    pthread_t threads[SCAN_THREADS];
    unsigned threads_n;
    atomic_bool stop;
    uint64_t oid_end;
    pthread_mutex_t lock; /* all below */
    pthread_cond_t done, room;
    uint64_t next_oid; /* ids from here on were not given out */
    uint64_t given_n, merged_n;
    struct list results;
    bool failed; /* a range could not be read whole */
};

void scan_init(struct scan *scan, struct store *store);

/* Start the threads. Their results come to the writer, which calls scan_merge. ERR_SYSTEM. */
MUST_USE enum err scan_start(struct scan *scan, uint64_t oid_end);
void scan_stop(struct scan *scan); /* joins; unmerged results are dropped */
void scan_fini(struct scan *scan);

/* The writer's: the next range in order when it is finished, or NULL. */
struct scan_result *scan_take(struct scan *scan);
void scan_result_free(struct scan_result **slot);
bool scan_is_at_end(struct scan *scan); /* the one that was taken is the last */
bool scan_merged(struct scan *scan);    /* one more range is in the index; true: it was the last */
void scan_wait(struct scan *scan, unsigned wait_ms);

#endif
