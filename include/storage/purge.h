/* Purges at work, and what they apply to.
 *
 * `seq` counts transactions that purged. A put is born with the seq of its beginning, and a purge
 * with seq S applies to whatever was born before S. Three parties ask:
 * - readers, for the purges whose objects are not all swept away yet: an immutable view, which
 *   costs one load when there is none;
 * - the writer, when a put ends or an object is rewritten, and fills (store_purged_since): for all
 *   purges younger than the oldest put still open, under the lock;
 * - the sweep.
 *
 * The lock is held for short moments only. Purges of a key are not kept as entries: their objects
 * are removed with their transaction, and only puts still open need to know (keys). */
#ifndef BRINK_STORAGE_PURGE_H
#define BRINK_STORAGE_PURGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/index.h"
#include "storage/record.h"

enum {
    PURGE_ENTRIES_MAX = 4096, /* labels, prefixes and alls at work */
    PURGE_ROWS_MAX = 4096,    /* of one call */
    PURGE_KEYS_MAX = 1 << 20, /* keys remembered for puts that are still open */
    PURGE_STATUS_MAX = 1024,
};

/* What readers check. */
struct purge_view {
    struct index_block block;
    uint64_t all_hard, all_soft; /* seq; 0: none */
    size_t labels_n, prefixes_n;
    struct purge_view_label {
        uint64_t label, hard, soft;
    } * labels; /* sorted */
    struct purge_view_prefix {
        uint64_t seq;
        bool soft;
        struct slice text;
    } * prefixes;
};

enum purge_state {
    PURGE_PENDING, /* its transaction is not committed */
    PURGE_WAITING, /* for the next sweep */
    PURGE_SWEEPING,
    PURGE_SWEPT /* kept for puts born before it */
};

struct purge_entry {
    struct list link;
    enum purge_state state;
    uint32_t piece;     /* its record is at record_key(0, piece); 0 when it was never written */
    uint64_t matched_n; /* by the sweep, in this transaction */
    struct record_purge what;
    char text[];
};

/* One call of store_purge on its way. */
struct purge_call {
    struct list link;
    uint64_t id;
    int64_t began_s;
    uint64_t matched; /* by key rows, in this transaction */
    struct store_done done;
    size_t rows_n;
    bool has_keys;
    struct purge_row {
        struct store_purge what;   /* its text lies behind the rows */
        struct store_hash hash;    /* of a key */
        struct purge_entry *entry; /* made when the writer takes the call */
    } rows[];
};

struct purge_key {
    struct store_hash hash;
    uint64_t hard, soft; /* seq; both 0: an empty slot */
};

struct purge_birth { /* of an open put */
    struct list link;
    uint64_t seq;
};

struct purge_set {
    _Atomic(struct purge_view *) view; /* NULL: readers have nothing to check */
    atomic_uint_fast64_t seq;          /* the birth of a put that begins now */
    pthread_mutex_t lock;              /* all below */
    struct list births;                /* of open puts, oldest first */
    struct list entries;
    size_t entries_n, coming_n; /* coming: rows of calls that the writer has not taken */
    uint64_t floor;             /* whatever was born before is taken for purged */
    uint64_t id;                /* the last one given */
    uint32_t piece;             /* the last record number used */
    struct purge_key *keys;
    uint64_t keys_cap, keys_n;
    struct purge_status_row {
        uint64_t id;
        uint64_t left; /* rows not done */
        struct store_purge_status status;
    } status[PURGE_STATUS_MAX];
};

void purge_set_init(struct purge_set *set, uint64_t seq, uint64_t id);
void purge_set_fini(struct purge_set *set);

/* Any thread. */
void purge_birth_open(struct purge_set *set, struct purge_birth *birth);
void purge_birth_close(struct purge_set *set, struct purge_birth *birth);
enum store_purged purge_match(struct purge_set *set, uint64_t birth, struct store_hash hash,
                              struct slice key, const void *labels, size_t labels_n);
enum store_purged purge_view_match(const struct purge_view *view, uint64_t birth, struct slice key,
                                   const void *labels, size_t labels_n);

/* A call with its copies and its id, counted and in the table of states. ERR_NOMEM, ERR_LIMIT. */
MUST_USE enum err purge_call_new(struct purge_set *set, const struct store_purge *purges, size_t n,
                                 struct store_done done, struct purge_call **out);

/* The writer's: give the rows of these calls (linked by `link`) their seq and make them count for
 * puts. ERR_NOMEM: nothing was done. */
MUST_USE enum err purge_admit(struct purge_set *set, struct list *calls, uint64_t *out_seq);
void purge_call_end(struct purge_set *set, struct purge_call **slot, enum err rc); /* committed */

/* A purge found on the disk at start: goes on. ERR_NOMEM. */
MUST_USE enum err
purge_resume(struct purge_set *set, const struct record_purge *what, uint32_t piece);

/* A view of all entries that are not swept; *out NULL when there is none. ERR_NOMEM. */
MUST_USE enum err purge_view_new(struct purge_set *set, struct purge_view **out);

/* Does a purge that is not swept name this stored object? Counts it for that purge, which
 * purge_sweep_commit makes good or takes back. An object that is soft already is no match for soft.
 */
enum store_purged purge_sweep_match(struct purge_set *set, uint64_t birth, bool is_soft,
                                    struct slice key, const void *labels, size_t labels_n);
void purge_sweep_commit(struct purge_set *set, bool committed);
bool purge_sweep_begin(struct purge_set *set); /* false: nothing to sweep */
void purge_sweep_end(struct purge_set *set); /* what was sweeping is swept; its records are gone */
void purge_all_swept(struct purge_set *set); /* a new file was begun: nothing is left to sweep */
void purge_prune(struct purge_set *set);     /* forget what no open put needs */

#endif
