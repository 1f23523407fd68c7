/* The strong forms of stored bodies: made once, off the loops, kept as members of the object.
 *
 * A request that had to send a quick form says so here; a few threads of low priority make the
 * strong one: read the body, encode it, put it as a member of the object's family. Whatever happens
 * to the object meanwhile, the store keeps a member only beside the body it was made of. A full
 * queue means that the quick form goes out again: nobody waits. */
#ifndef BRINK_PROXY_VARIANTS_H
#define BRINK_PROXY_VARIANTS_H

#include "cache/variant.h"
#include "storage/store.h"

struct variants;

/* Of a site: part of site_settings.coding. Levels by coding. */
struct coding_settings {
    struct variant_settings variant;
    uint8_t strong[CODING_COUNT], quick[CODING_COUNT];
    uint64_t strong_max_len; /* of larger bodies no strong form is made */
    const char
        *accept; /* Accept-Encoding towards the origin for what may be stored; NULL: the client's */
    uint8_t precompressed[CODING_COUNT];
    size_t precompressed_n; /* files beside the original that are asked for first */
};

struct variants_settings {
    unsigned threads_n; /* 0: half of the cores */
    unsigned queue_max; /* strong forms that may wait */
};

MUST_USE enum err
variants_new(struct store *store, const struct variants_settings *settings, struct variants **out);
void variants_stop(struct variants *variants); /* before store_close: threads end within a second */
void variants_free(struct variants **slot);

/* Somebody wants this object in that coding and no strong form is there. Copies what it needs;
 * cheap, never blocks; what is queued or at work already, or lately failed, is not queued again. */
void
variants_want(struct variants *variants, const struct store_key *key, uint64_t variant,
              uint64_t family, enum http_coding coding, const struct coding_settings *settings);

#endif
