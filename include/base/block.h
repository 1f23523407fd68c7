/* A counted piece of bytes that several threads read once it is filled. */
#ifndef BRINK_BASE_BLOCK_H
#define BRINK_BASE_BLOCK_H

#include <stdatomic.h>

#include "base/check.h"

/* A full piece of the store: with the 8 bytes of its checksum 16 of LMDB's pages exactly. */
#define BLOCK_FULL_LEN 65512U

struct block {
    atomic_uint refs;
    uint32_t cap;
    uint32_t len; /* grows under the owner's rules; bytes below it never change */
    char data[];
};

/* One reference, owned by the caller; NULL when out of memory. cap <= BLOCK_FULL_LEN. */
MUST_USE struct block *block_new(size_t cap);
struct block *block_ref(struct block *block);
void block_unref(struct block **slot); /* *slot becomes NULL */

#endif
