/* Purges: what they apply to, how far they have come.
 *
 * `seq` counts admissions of purges. A put is born with the seq of its beginning, and a purge with
 * seq S applies to whatever was born before S. What is named is found in a table of names
 * (storage/purge_table.h): by readers, when something is at work; by the writer when a put ends or
 * an object is rewritten, and by fills, for all purges younger than the oldest put still open.
 *
 * A row of a call is an entry of one of three lists, in the order of their seq:
 *
 *   fresh -- the writer takes it --> taken -- its transaction commits --> waiting, sweeping -->
 * gone
 *
 * Fresh ones are named in the table and on the disk in the purge log (storage/purge_log.h): they
 * hold, and are acknowledged. The writer's transaction gives each a record; keys are removed there
 * and then. The sweep (storage/sweep.h) removes what the others name, and at its end their records.
 *
 * The lock is held for short moments only. */
#ifndef BRINK_STORAGE_PURGE_H
#define BRINK_STORAGE_PURGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/index.h"
#include "storage/purge_table.h"
#include "storage/record.h"

enum {
    PURGE_ROWS_MAX = 4096,     /* of one call, and after which nothing joins a transaction */
    PURGE_TEXT_MEAN = 256,     /* bytes of names that purges at work may have, for each of them */
    PURGE_NAMES_MAX = 1 << 20, /* remembered for puts that are still open */
    PURGE_ENDED_MAX = 1024,    /* whose states are remembered */
    PURGE_SEQ_STEP = 1 << 20   /* a start leaves so many out: no birth from before reaches them */
};

/* A call of store_purge, from its admission until all is done. */
struct purge_job {
    struct list link;
    uint64_t id;
    uint64_t left;  /* entries, and one for the call itself */
    uint64_t stamp; /* of the object that was counted last */
    struct store_purge_status status;
};

struct purge_entry {
    struct list link;
    struct list touched; /* of the set's, when it counts something in this transaction */
    struct purge_entry *older, *younger; /* of the same name */
    struct purge_job *job;
    uint64_t name;
    uint32_t piece; /* its record is at record_key(0, piece); 0: it has none */
    bool sweeping;
    bool early; /* it came before the index was whole: keys are counted when they are found */
    uint64_t matched_n, removed_n; /* by this transaction */
    struct store_hash hash;        /* of a key */
    struct record_purge what;      /* with the counts that are committed */
    char text[];
};

/* A call on its way to its acknowledgement. */
struct purge_call {
    struct list link;
    struct purge_job *job;
    struct store_done done;
    uint64_t seq;     /* when it is admitted */
    uint64_t matched; /* by rows of keys */
    bool has_keys;
    bool early; /* `matched` is what was found so far, and counted again when all is */
    size_t entries_n;
    struct list entries; /* until it is admitted */
};

struct purge_birth { /* of an open put */
    struct list link;
    uint64_t seq;
};

struct purge_set {
    _Atomic(struct purge_table *) view; /* NULL: readers have nothing to check */
    atomic_uint_fast64_t
        soft_all;             /* what was born before this is stale; never expires, is one number */
    atomic_uint_fast64_t seq; /* the birth of a put that begins now */
    atomic_bool has_fresh;    /* there is something to take */
    pthread_mutex_t lock;     /* all below */
    struct purge_table *table;      /* the view, also while it only serves open puts; may be NULL */
    struct index_block *retired;    /* tables that readers may look at */
    struct list births;             /* of open puts, oldest first */
    struct list fresh, taken, work; /* entries */
    struct list touched;
    struct list late; /* calls that are acknowledged by their transaction */
    struct list jobs;
    struct purge_entry *alls;     /* entries that name everything, youngest first */
    uint64_t entries_n, coming_n; /* coming: of calls that are not admitted */
    uint64_t entries_max, text_len;
    uint64_t prefixes_n, prefix_seq; /* entries; the youngest there was */
    uint64_t keys_waiting_n;         /* of `work`: the index was not whole */
    uint64_t floor;                  /* whatever was born before is taken for purged */
    uint64_t id;                     /* the last one given */
    uint64_t stamp;
    uint64_t committed; /* seq up to which transactions have seen to everything */
    uint32_t piece;     /* the last record number used */
    struct purge_ended {
        uint64_t id;
        struct store_purge_status status;
    } ended[PURGE_ENDED_MAX];
    size_t ended_n; /* ever */
};

void
purge_set_init(struct purge_set *set, const struct record_header *header, uint64_t entries_max);
void purge_set_fini(struct purge_set *set);

/* --- any thread --- */

void purge_birth_open(struct purge_set *set, struct purge_birth *birth);
void purge_birth_close(struct purge_set *set, struct purge_birth *birth);

/* By all purges that an open put has to know of. */
enum store_purged purge_match(struct purge_set *set, const struct purge_subject *subject);

static inline bool
purge_is_soft_by_all(const struct purge_set *set, uint64_t birth)
{
    return birth < atomic_load_explicit(&set->soft_all, memory_order_acquire);
}

/* A call with its copies and its id, counted. ERR_NOMEM, ERR_LIMIT. */
MUST_USE enum err purge_call_new(struct purge_set *set, const struct store_purge *purges, size_t n,
                                 struct store_done done, struct purge_call **out);
void purge_call_end(struct purge_set *set, struct purge_call **slot, enum err rc);

/* --- storage/purger.c --- */

/* They hold from here on. `seq`: the next. ERR_NOMEM: nothing was done. */
MUST_USE enum err purge_admit(struct purge_set *set, struct list *calls, uint64_t seq);
void purge_set_late(struct purge_set *set, struct list *calls); /* the log has them not */
uint64_t purge_committed_seq(struct purge_set *set);

/* At start: a purge goes on that has a record at `piece`, or was found in the log (0). ERR_NOMEM.
 */
MUST_USE enum err
purge_resume(struct purge_set *set, const struct record_purge *what, uint32_t piece);
MUST_USE enum err purge_resumed(struct purge_set *set); /* those were all. ERR_NOMEM */

/* --- the writer's --- */

/* Move what is fresh to `taken`, as much as fits into one transaction; with `ready`, also keys that
 * waited. False: nothing is there. *out_seq: up to which all is taken, or was before. */
MUST_USE bool purge_take(struct purge_set *set, bool ready, uint64_t *out_seq);
uint32_t purge_next_piece(struct purge_set *set);

/* What is taken is committed: keys, and soft ones of everything, are done, the others wait for a
 * sweep. Ends the late calls. `ready`: as at purge_take. */
void purge_taken_committed(struct purge_set *set, uint64_t seq, bool ready);
bool purge_has_late(struct purge_set *set);

/* What names this stored object, counted for each that does; the counts become good with the
 * commit. What is soft already is no match for soft. */
enum store_purged
purge_settle(struct purge_set *set, const struct purge_subject *subject, bool is_soft);
void purge_settle_end(struct purge_set *set, bool committed);
void purge_count(struct purge_set *set, struct purge_entry *entry, uint64_t n); /* n at once */

bool purge_sweep_begin(struct purge_set *set); /* false: nothing waits */
void purge_sweep_end(struct purge_set *set);   /* what was sweeping is gone, and its records */
bool purge_has_waiting(struct purge_set *set);
void purge_all_done(struct purge_set *set); /* a new file was begun: all is gone */

/* Give up names that no open put needs, and tables to the index. */
void purge_prune(struct purge_set *set, struct index *index);

#endif
