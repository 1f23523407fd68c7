/* The sweep: what purges name is looked for, for the writer to remove.
 *
 * One thread walks the tree in the order of its keys, from record to record, in short read
 * sections; it writes nothing. What it finds goes to the writer in chunks, a few at a time; the
 * writer judges each object again, in its own transaction. Only ids that were given before the
 * sweep began are looked at: whatever was stored or written again since was judged then.
 *
 * After a sweep the thread rests as long as the sweep took: the names hide what they name at little
 * cost, and more of them are swept at once. */
#ifndef BRINK_STORAGE_SWEEP_H
#define BRINK_STORAGE_SWEEP_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "storage/store.h"

enum { SWEEP_CHUNK = 1024, SWEEP_CHUNKS_MAX = 8 };

struct sweep_item {
    struct store_hash hash;
    uint64_t oid;
};

struct sweep_chunk {
    struct list link;
    bool last; /* of its sweep */
    int rc;    /* LMDB's: why it ended early */
    size_t n;
    struct sweep_item items[SWEEP_CHUNK];
};

struct sweep {
    struct store *store;
    struct store_reader *reader;
    pthread_t thread;
    bool started;
    atomic_uint run;      /* counts sweeps begun and given up: the walk ends when it changes */
    atomic_uint chunks_n; /* of `chunks` */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under the lock */
    struct list chunks;
    uint64_t until; /* ids below are to be looked at; 0: nothing to do */
    bool closing;
};

void sweep_init(struct sweep *sweep, struct store *store);
MUST_USE enum err sweep_start(struct sweep *sweep);
void sweep_stop(struct sweep *sweep);
void sweep_fini(struct sweep *sweep);

/* --- the writer's --- */

void sweep_begin(struct sweep *sweep, uint64_t oid_end);
void sweep_give_up(struct sweep *sweep); /* the file is set aside */

/* The chunks in order; they stay until they are dropped. NULL: no more for now. */
struct sweep_chunk *sweep_first(struct sweep *sweep);
struct sweep_chunk *sweep_next(struct sweep *sweep, const struct sweep_chunk *chunk);
void sweep_drop(struct sweep *sweep, size_t n);

#endif
