/* A reader: one reusable read transaction, renewed in a section when something is read first. */
#ifndef BRINK_STORAGE_READER_H
#define BRINK_STORAGE_READER_H

#include "base/arena.h"
#include "storage/env.h"
#include "storage/index.h"

enum {
    READER_FOUND_MAX = 16,
    READER_RESIDENT_MAX = 1024,
    READER_LEAVES_MAX = 256,
    READER_LEAF_BITS = 5 /* pieces of one object side by side are mostly in one leaf */
};

/* Pages that were in memory a moment ago need not be asked about again. */
struct reader_resident {
    uintptr_t page;
    uint32_t pages_n, at_s;
};

/* A leaf of the tree, by the keys that are in it. */
struct reader_leaf {
    uint64_t first, until;
    uint32_t at_s;
};

struct store_reader {
    struct epoch_slot slot; /* first: it wants a cache line */
    uint32_t tag;
    bool renewed;   /* the transaction is live in this section */
    bool handed;    /* slices into the map were given out in this section */
    bool hurried;   /* nothing may wait for the disk */
    bool blind;     /* pieces are not verified: they are only brought into memory */
    uint32_t now_s; /* of this section; 0: not read yet */
    struct store *store;
    MDB_cursor *cursor; /* of txn; its position makes reads of neighbouring keys cheap */
    const struct purge_table *view; /* as it was before the snapshot was taken; of this section */
    MDB_txn *txn; /* NULL: none yet in this environment; taken away when the file is set aside */
    struct arena labels; /* aligned copies; reset with the section */
    /* the matches of the cursor that was used last, newest first */
    struct {
        struct store_hash hash;
        const struct purge_table *view; /* as it was before the index was asked */
        uint32_t next, n;
        uint32_t numbers[READER_FOUND_MAX];
    } found;
    struct { /* the record decoded last in this section */
        uint64_t oid;
        struct slice tail;
    } last;
    struct reader_resident resident[READER_RESIDENT_MAX]; /* storage/pages.h's, like the next */
    struct reader_leaf leaves[READER_LEAVES_MAX];
};

/* A snapshot, taken as late as possible: after the index was asked, so that what it named is there.
 * ERR_NOT_FOUND: there is no file, or no slot among its readers. ERR_AGAIN: in a moment there is
 * another, with the same in it; nothing is read in this section yet. */
MUST_USE enum err reader_renew(struct store_reader *reader);

/* Writer: nobody is inside a section, and nobody gets in (store->down says why): drop all
 * transactions. */
void reader_drop_txns(struct store *store);

#endif
