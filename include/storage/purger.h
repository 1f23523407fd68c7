/* The thread that purges are called on: it makes them hold, puts them on the disk, and tells the
 * callers. It waits neither for the writer nor for a sweep. */
#ifndef BRINK_STORAGE_PURGER_H
#define BRINK_STORAGE_PURGER_H

#include "storage/purge_log.h"

struct store_reader;

struct purger {
    struct store *store;
    pthread_t thread;
    bool started;
    struct purge_log log;
    struct store_reader *reader; /* to count what keys name */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list calls; /* under the lock */
    bool closing;      /* under the lock */
};

void purger_init(struct store *store);
MUST_USE enum err purger_start(struct store *store); /* the log is open, if there is one */
void purger_stop(struct store *store);               /* when all calls are acknowledged, or late */
void purger_fini(struct store *store);
void purger_append(struct store *store, struct purge_call *call);
void purger_wake(struct store *store); /* the index has become whole */

#endif
