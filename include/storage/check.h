/* A check of the whole store while it serves: one at a time, on a thread of its own. */
#ifndef BRINK_STORAGE_CHECK_H
#define BRINK_STORAGE_CHECK_H

#include "storage/store.h"

#include <pthread.h>

struct check {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* stop was set */
    /* under the lock */
    bool stop;
    bool joinable; /* the thread has been started, and nobody has waited for its end */
    pthread_t thread;
    struct store_check told; /* as far as it has come */
};

void check_init(struct check *check, struct store *store);
void check_fini(struct check *check); /* stops it, and waits for its thread */

#endif
