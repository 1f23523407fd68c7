/* The strong forms of stored bodies: made once, off the loops, kept as members of the object.
 *
 * A request that had to send a quick form says so here; a few threads of low priority make the
 * strong one: read the body, encode it, put it as a member of the object's family. Whatever happens
 * to the object meanwhile, the store keeps a member only beside the body it was made of. A full
 * queue means that the quick form goes out again: nobody waits.
 *
 * Where a site has files that are coded already (`precompressed`), a worker asks its origin for one
 * first: an asker takes what is to be asked for and answers with the bytes, which a thread of the
 * pool holds against the stored body. */
#ifndef BRINK_PROXY_VARIANTS_H
#define BRINK_PROXY_VARIANTS_H

#include "base/list.h"
#include "cache/variant.h"
#include "storage/store.h"
#include "transform/coder.h"

struct variants;

/* Of a site: part of site_settings.coding. Levels by coding. */
struct coding_settings {
    struct variant_settings variant;
    uint8_t strong[CODING_COUNT], quick[CODING_COUNT];
    uint64_t strong_max_len; /* of larger bodies no strong form is made */
    const char *accept;      /* Accept-Encoding towards the origin for what may be stored; NULL: the
                              * client's */
    uint8_t precompressed[CODING_COUNT];
    size_t precompressed_n; /* files beside the original that are asked for first */
};

struct variants_settings {
    unsigned threads_n; /* 0: half of the cores */
    unsigned queue_max; /* strong forms that may wait; 0: none is made */
};

/* How many threads there will be, each with a reader of the store. */
unsigned variants_threads(const struct variants_settings *settings);

/* Its threads start with the first strong form that is wanted. `bound`: of what the origin coded.
 * ERR_NOMEM. */
MUST_USE enum err variants_new(struct store *store, const struct variants_settings *settings,
                               const struct coder_bound *bound, struct variants **out);
/* After the last asker, before store_close: the threads end, soon, in the middle of a body too. */
void variants_stop(struct variants *variants);
void variants_free(struct variants **slot); /* after store_close */

/* Somebody wants this object in that coding and no strong form is there. Copies what it needs;
 * cheap, never waits for work; what is queued or at work already, or lately failed, is not queued
 * again. `settings` outlive the pool and tell sites apart. Any thread. */
void
variants_want(struct variants *variants, const struct store_key *key, uint64_t variant,
              uint64_t family, enum http_coding coding, const struct coding_settings *settings);

/* --- files beside the original --- */

struct wake;
struct variant_job;

/* A worker that asks origins for them. */
struct variant_asker {
    struct wake *wake;      /* posted when there is something to be taken */
    struct list link, asks; /* the pool's */
};

/* What is to be asked for. Slices as long as it is not answered. */
struct variant_ask {
    struct variant_job *job;
    struct slice key; /* of the object: a URL */
    enum http_coding coding;
    const struct coding_settings *settings;
    size_t max_len; /* a longer file is of no use */
};

enum variant_file {
    VARIANT_FILE_FOUND,   /* these bytes */
    VARIANT_FILE_MISSING, /* there is none, of use; remembered for a while */
    VARIANT_FILE_UNASKED  /* no word about it */
};

void variants_add_asker(struct variants *variants, struct variant_asker *asker);
/* What it took is answered before; what it did not take goes on without a file. */
void variants_remove_asker(struct variants *variants, struct variant_asker *asker);
/* False: nothing is left to be asked for. */
bool
variants_take_ask(struct variants *variants, struct variant_asker *asker, struct variant_ask *out);
/* Once for each that was taken. `file` (mem_alloc, for VARIANT_FILE_FOUND) is taken. */
void variants_answer(struct variants *variants, struct variant_job *job, enum variant_file what,
                     char *file, size_t file_len);

#endif
