/* Threads that wait for the disk in the workers' place. */
#ifndef BRINK_STORAGE_WARM_H
#define BRINK_STORAGE_WARM_H

#include "storage/store.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"

enum { WARM_THREADS_MAX = 64, WARM_THREADS = 8, WARM_FINDS_MAX = 1024 };

struct warm {
    pthread_t threads[WARM_THREADS_MAX];
    struct store_reader *readers[WARM_THREADS_MAX]; /* one each */
    atomic_uint reader_next;                        /* given to threads that began */
    unsigned threads_n;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list jobs;
    unsigned finds_n; /* of them look-ups */
    bool started, closing;
};

MUST_USE enum err warm_start(struct store *store);
void warm_stop(struct store *store); /* every job is called back */

#endif
