/* A smaller store: what a file that is longer than the size allows becomes.
 *
 * The store is open all the while, in its old file. In the background the writer
 *   evicts    until what is used fits into the new size, by the eviction's own order
 *   copies    all that is left, key by key, into data.mdb.new
 *   settles   what was written behind the copying: ids that a transaction touched are compared
 *   switches  readers are let out for a moment, and the new file takes the old one's place
 * each in bounded steps, between which it does its other work. Ids, births, labels, marks and
 * purges at work are what they were, and so is the index. A crash before the switch leaves the old
 * file, which is whole at any moment. */
#ifndef BRINK_STORAGE_RESIZE_H
#define BRINK_STORAGE_RESIZE_H

#include "storage/ahead.h"
#include "storage/env.h"

struct store;
struct writer;

struct resize {
    enum resize_step {
        RESIZE_NONE,
        RESIZE_EVICT,
        RESIZE_COPY, /* the new file is open from here on */
        RESIZE_SETTLE
    } step;
    struct env to;
    uint64_t next_key; /* all below is copied, but for what was touched */
    uint64_t *touched; /* ids, as they came */
    size_t touched_n, touched_cap;
    bool touched_lost; /* there was no memory to note one: copy once more */
    struct ahead ahead;
    uint64_t used_pages, copied_pages, objects_n;
    uint64_t unsynced_len;
    uint64_t began_ms, told_ms, pause_until_ms;
    unsigned tries, rounds;
};

/* The store is open and its file too long: make it smaller as soon as the index is whole. */
void resize_begin(struct store *store);

/* The writer's. */
bool resize_has_work(const struct store *store);
/* 0, or LMDB's code: the store has to begin anew. */
MUST_USE int resize_go_on(struct writer *w);
void resize_stop(struct store *store); /* what was copied is removed */
void resize_note(struct store *store, uint64_t oid);

/* Something of this id is written or deleted in the present transaction. */
static inline void
resize_touch(struct store *store, const struct resize *resize, uint64_t oid)
{
    if (UNLIKELY(resize->step >= RESIZE_COPY))
        resize_note(store, oid);
}

#endif
