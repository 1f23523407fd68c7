/* The writer: the one thread that writes, its queue, and what one transaction does.
 *
 * Callers append ops under `lock` and never wait. The thread takes a batch, runs
 * it in one transaction (storage/batch.c), makes room in the same transaction (storage/evict.c),
 * commits, and only then changes the index and calls back. A transaction that fails is undone and
 * tried again; what it would change in memory is in `changes` until it is committed. */
#ifndef BRINK_STORAGE_WRITER_H
#define BRINK_STORAGE_WRITER_H

#include "storage/env.h"
#include "storage/index.h"
#include "storage/purge.h"
#include "storage/sieve.h"

enum op_kind {
    OP_PIECE,
    OP_END,
    OP_UPDATE,
    OP_RELEASE, /* the caller is done with a put of which something was queued */
    OP_DROP     /* a damaged record was found */
};

struct op {
    struct list link;
    enum op_kind kind;
    bool failed;           /* for good; skipped by further attempts */
    enum err rc;           /* of the last attempt */
    struct store_put *put; /* a reference; NULL for OP_DROP */
    struct block *block;   /* a reference; may be NULL */
    struct store_done done;
    uint64_t n;         /* for done */
    uint64_t oid;       /* OP_UPDATE, OP_DROP: of what; OP_END: what it became */
    uint32_t slot;      /* OP_DROP; INDEX_NONE: all whose ids are in `labels`, rising */
    size_t queue_len;   /* counted in the queue's length until the op is over */
    struct list pieces; /* OP_END: its put's pieces of the same batch */
    /* what store_put_end or _update was given; the bytes are in data */
    uint64_t variant, family, replaces_oid;
    uint8_t member;
    struct slice meta, head;
    const uint64_t *labels;
    size_t labels_n;
    _Alignas(8) char data[];
};

/* Set on a put by its caller (RELEASED) and by the writer (PINNED: it holds a pin on the object).
 */
enum put_state { PUT_RELEASED = 1, PUT_PINNED = 2 };

#define PUT_TAG 0x50555431U

struct store_put {
    uint32_t tag;
    atomic_uint refs; /* the caller, each op */
    struct store *store;
    struct purge_birth birth;
    /* the caller's */
    uint64_t pieces_n;
    bool ended;
    /* shared */
    atomic_bool dead; /* nothing more can be stored */
    atomic_uint state;
    atomic_uint_fast64_t oid, stored_len; /* committed */
    uint32_t slot;                        /* when PUT_PINNED */
    /* the writer's */
    struct list link;   /* of writer.puts while pieces are stored without a record */
    struct op *end;     /* the end op of this batch */
    uint64_t own_oid;   /* given, perhaps not committed */
    uint64_t written_n; /* pieces committed */
    uint64_t taken_n;   /* pieces that came into a batch */
    bool committed;     /* it is an object */
    struct store_hash hash;
    uint32_t group;    /* the key's */
    struct op release; /* so that a release needs no memory */
    size_t key_len;
    char key[];
};

void put_unref(struct store_put *put);

/* One thing memory has to learn when the transaction is committed. */
struct change {
    enum change_kind {
        CHANGE_INSERT,
        CHANGE_REMOVE, /* from the index; nothing is left of it on the disk */
        CHANGE_PART,   /* the same, but pieces are left */
        CHANGE_PINNED, /* the same, but it is read: all is left */
        CHANGE_DOOM,   /* something that is not in the index */
        CHANGE_NONE    /* what was to be inserted, and is not */
    } kind;
    uint32_t slot;          /* REMOVE, PART, PINNED */
    struct op *op;          /* INSERT: the put that it comes from; may be NULL */
    struct index_item item; /* INSERT; DOOM, PART, PINNED: oid */
};

/* On the disk, not in the index: to be deleted, slice by slice, when nobody reads it. */
struct doomed {
    uint64_t oid;
    uint32_t slot; /* whose pins hold it; INDEX_NONE: nobody's */
    bool gone;     /* by this transaction */
};

enum { WRITER_FINGERPRINTS = 1 << 15 };

/* Is there a file? */
enum store_down {
    STORE_UP,
    STORE_SWITCHING, /* in a moment, with all that the index names */
    STORE_DOWN       /* no: nothing is found, nothing is stored */
};

struct writer {
    struct store *store;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under the lock */
    struct list ops;
    uint64_t waiting_len; /* of ops not taken */
    uint64_t first_ms;    /* when the oldest op came */
    uint64_t soon_ms;     /* when purges are to be seen to; 0: none came */
    bool urgent, closing;
    bool news;                      /* of the scan: no reason to commit early */
    atomic_uint_fast64_t queue_len; /* of ops not over, taken or not */

    /* the thread's: the batch */
    struct list batch;
    uint64_t batch_len; /* bytes of one transaction */
    uint32_t batch_number;
    bool has_taken;     /* purges, to be seen to */
    bool takes_keys;    /* the index is whole */
    uint64_t purge_seq; /* up to which this batch sees to everything */

    /* the thread's: one attempt */
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct change *changes;
    size_t changes_n, changes_cap;
    uint32_t *claims; /* entries marked as going by this transaction */
    size_t claims_n, claims_cap;
    uint64_t rewritten_len; /* survivors' bytes; UINT64_MAX: none are written again */
    struct sieve_round round;
    uint64_t removed_n, evicted_n, rewritten_n;
    uint64_t members_n;       /* that are to enter the index */
    uint64_t index_evicted_n; /* of evicted_n, for the index's memory alone */
    uint64_t freed_n;         /* pages of pieces that were freed */
    uint64_t free_left;       /* pages that may still be freed */
    bool wrote;               /* there is something to commit */
    size_t swept_n;           /* chunks */
    bool purged;              /* it saw to what is taken */
    bool sweep_ended;         /* by this transaction */

    /* the thread's: what lasts */
    uint64_t longest_us, most_freed_n; /* of all transactions */
    struct list puts;                  /* with pieces stored and no record */
    uint64_t puts_pages;
    struct doomed *doomed;
    size_t doomed_n, doomed_cap;
    uint64_t next_oid, last_key;
    uint64_t limit_pages;             /* eviction keeps the store below; falls after MDB_MAP_FULL */
    uint64_t swept_ms, rest_until_ms; /* when the sweep began; when the next one may */
    bool sweeping, header_changed;
    unsigned dropped_n;      /* batches given up in a row */
    bool disk_is_full;       /* it had no room for what the next batch may add */
    uint64_t reserved_until; /* pages of the file that have blocks, those to come included */
    bool begins_anew;        /* what lies in the folder was set aside, or begun here */
    uint64_t pause_until_ms; /* what runs in the background failed: not before */
    uint64_t reopen_ms;      /* store->down: when to try again */
    char *scratch;           /* one full piece's value */
    uint64_t rewritten_sum;  /* of all attempts for batch `rewritten_for` */
    uint32_t rewritten_for;
    struct writer_end {
        uint64_t print;
        uint32_t batch;
    } * ends; /* a table of keys and variants that end in this batch */
};

MUST_USE enum err writer_start(struct store *store);
void writer_stop(struct store *store); /* when all that was queued is over */
void writer_fini(struct store *store); /* when nobody is left who could wake it */
void writer_wake(struct store *store);
void writer_tell(struct store *store);      /* the scan has found something */
void writer_wake_soon(struct store *store); /* purges may wait a little, for others */

/* The thread's. One transaction. BATCH_MORE_ROOM: committed, but only evictions. */
MUST_USE int writer_attempt(struct writer *w, int (*run)(struct writer *w));
void writer_set_down(struct store *store, enum store_down down);
/* Readers are let out, those of the warm threads too, and stay out until writer_set_down. */
void writer_close_file(struct writer *w, enum store_down down);

/* Any thread. False: the queue is full (never for queue_len 0). */
MUST_USE bool writer_append(struct store *store, struct op *op);

/* storage/batch.c: fill w->txn. LMDB's codes; or one of these. */
enum { BATCH_NO_ROOM = -1, BATCH_MORE_ROOM = -2, BATCH_NOMEM = -3 };
MUST_USE int batch_run(struct writer *w);
MUST_USE int batch_free(struct writer *w); /* only evict */
MUST_USE int batch_trim(struct writer *w); /* only evict, until the limit is kept */
void batch_undo(struct writer *w);         /* the transaction is gone */
void batch_apply(struct writer *w);        /* it is committed */

#endif
