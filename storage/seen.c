/* The table of keys that were asked for. */
#include "storage/seen.h"

enum { SEEN_WAYS = 16 };

struct seen_bucket {
    atomic_uint_least32_t prints[SEEN_WAYS]; /* 0: empty */
};
static_assert(sizeof(struct seen_bucket) == 64, "one cache line");

enum err
seen_init(struct seen *seen, uint64_t len)
{
    uint64_t n = len / sizeof(struct seen_bucket);

    *seen = (struct seen){NULL, 0};
    if (n == 0)
        return OK;
    n = 1ULL << (63 - (unsigned)__builtin_clzll(n));
    if (posix_memalign((void **)&seen->buckets, sizeof(struct seen_bucket),
                       n * sizeof(struct seen_bucket)) != 0) {
        seen->buckets = NULL;
        return ERR_NOMEM;
    }
    memset((void *)seen->buckets, 0, n * sizeof(struct seen_bucket));
    seen->mask = n - 1;
    return OK;
}

void
seen_fini(struct seen *seen)
{
    free(seen->buckets);
    seen->buckets = NULL;
}

bool
seen_touch(struct seen *seen, struct store_hash hash)
{
    uint32_t print = (uint32_t)(hash.lo >> 32), moved;
    struct seen_bucket *bucket;

    if (seen->buckets == NULL)
        return true;
    if (print == 0)
        print = 1;
    bucket = &seen->buckets[hash.hi & seen->mask];
    moved = print;
    for (unsigned i = 0; i < SEEN_WAYS; i++) { /* to the front; those before it one further */
        uint32_t here = atomic_load_explicit(&bucket->prints[i], memory_order_relaxed);

        atomic_store_explicit(&bucket->prints[i], moved, memory_order_relaxed);
        if (here == print)
            return true;
        moved = here;
    }
    return false;
}
