/* Which keys were asked for lately: a table of fixed size, for admission at the second request.
 *
 * Each bucket is one cache line with the 16 latest prints (32 bits of a key's hash) that came to
 * it, the newest first. So it remembers about a key for each four bytes, forgets the oldest, and
 * takes one line of memory to ask. A print that is another key's has one chance in 2^28: then a key
 * counts as seen at its first request, which costs room, never rightness. Any thread, no lock: two
 * threads at one line at once may forget a print or keep it twice. */
#ifndef BRINK_STORAGE_SEEN_H
#define BRINK_STORAGE_SEEN_H

#include "storage/store.h"

struct seen_bucket;

struct seen {
    struct seen_bucket *buckets; /* NULL: nothing is remembered, and everything counts as seen */
    uint64_t mask;
};

/* `len`: bytes, rounded down to a power of two; 0: none. ERR_NOMEM. */
MUST_USE enum err seen_init(struct seen *seen, uint64_t len);
void seen_fini(struct seen *seen);

/* Was the key seen before, as far back as is remembered? From now on it was. */
bool seen_touch(struct seen *seen, struct store_hash hash);

#endif
