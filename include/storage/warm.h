/* Threads that wait for the disk in the workers' place. */
#ifndef BRINK_STORAGE_WARM_H
#define BRINK_STORAGE_WARM_H

#include "storage/store.h"

#include <pthread.h>

#include "base/list.h"

enum { WARM_THREADS = 2, WARM_JOBS_MAX = 256, WARM_IOV_MAX = 64 };

struct warm {
    pthread_t threads[WARM_THREADS];
    unsigned threads_n;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_rwlock_t map; /* held for reading while the map is touched, for writing to unmap it */
    struct list jobs;
    unsigned jobs_n;
    uint64_t generation; /* of the map; a job of an older one is only called back */
    bool started, closing;
};

MUST_USE enum err warm_start(struct warm *warm);
void warm_stop(struct warm *warm); /* every job is called back */

/* Around the end of a map: no thread touches it between. */
void warm_lock_map(struct warm *warm);
void warm_unlock_map(struct warm *warm);

#endif
