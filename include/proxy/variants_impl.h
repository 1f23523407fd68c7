/* The pool's inside. For src/proxy/variants*.c alone: variants.c holds the threads,
 * variants_queue.c what waits for them, variants_job.c what one of them does for one strong form.
 */
#ifndef BRINK_PROXY_VARIANTS_IMPL_H
#define BRINK_PROXY_VARIANTS_IMPL_H

#include <pthread.h>

#include "proxy/variants.h"

enum { VARIANTS_TAG = 0x76617273, VARIANT_JOB_TAG = 0x766a6f62 };
enum { VARIANT_SITE_BUCKETS = 64 };

struct variant_site;

/* One strong form that is wanted: in the pool's table from variants_want to its end.
 *
 *   WAITING -> AT_WORK -> (the put's commit) gone
 *      |          ^
 *      '-> ASKING '   an asker has it, or will take it, then it is READY
 *
 * Fields below `state` change under the pool's lock; the others do not change, but for those of the
 * file, which belong to who has the job. */
struct variant_job {
    uint32_t tag;
    struct variants *variants;
    const struct coding_settings *settings;
    struct store_hash id;      /* of all that tells jobs apart */
    struct store_hash file_id; /* of the file that may lie at the origin */
    uint64_t variant, family;
    enum http_coding coding;
    size_t file_max_len;
    char *file; /* that the origin has beside the original; NULL: none */
    size_t file_len;
    bool from_file, no_gain; /* what is on its way into the store */

    bool wants_file;
    bool holds_file; /* one of the files that may be asked for at once is its own */
    struct variant_site *site;
    struct variant_job *next; /* of its bucket */
    struct list link;

    struct store_key key; /* its text is behind */
    char text[];
};

/* --- variants_queue.c: all with the pool's lock --- */

struct variants_queue {
    pthread_cond_t wake; /* something may be had from variants_queue_next */
    unsigned max, waiting_n, files_n;
    struct variant_job **buckets; /* all jobs, by id */
    size_t buckets_n;             /* a power of two */
    struct variant_site *sites[VARIANT_SITE_BUCKETS];
    struct list turns;  /* sites with something that waits, who is next first */
    struct list ready;  /* jobs that an asker answered */
    struct list askers; /* who is next first */
};

MUST_USE enum err variants_queue_init(struct variants_queue *queue, unsigned max); /* ERR_NOMEM */
void variants_queue_empty(struct variants_queue *queue); /* what was not begun goes */
void variants_queue_fini(struct variants_queue *queue);  /* no job is left */

bool variants_queue_has(struct variants_queue *queue, const struct store_hash *id);
/* To the end of its site's. False: there is no room, and the job is the caller's. */
MUST_USE bool variants_queue_enter(struct variants_queue *queue, struct variant_job *job);
/* Who begins now: what was answered by an origin first, for its file takes memory; else a job of
 * the site whose turn it is. NULL: none, or none may have a file at the moment. */
struct variant_job *variants_queue_next(struct variants_queue *queue);
void variants_queue_free_job(struct variants_queue *queue, struct variant_job *job);
/* Its file is used, or will not come: another may be asked for. */
void variants_queue_give_file_back(struct variants_queue *queue, struct variant_job *job);

/* --- variants_job.c --- */

/* What one thread has. */
struct variant_thread {
    struct variants *variants;
    struct store_reader *reader;
    struct store *store;
    const struct coder_bound *bound;
    const atomic_bool *stopping;
};

/* Make it and give it to the store. OK: it is the store's to say what becomes of it
 * (variant_job_stored). Else why there is nothing to store: ERR_NOT_FOUND: the object has gone, or
 * needs none; ERR_LIMIT: too large; ERR_CANCELLED: the pool stops; any other: it failed. */
MUST_USE enum err variant_job_make(const struct variant_thread *thread, struct variant_job *job);

/* Look at the object: file_max_len of a file that would do, 0: none would. Errors as above. */
MUST_USE enum err variant_job_look(const struct variant_thread *thread, struct variant_job *job);

/* store_done.fn of a job's put. */
void variant_job_stored(void *arg, enum err rc, uint64_t n);

#endif
