/* Bytes that grow, for the fuzzer's side: plain malloc, so that failed allocations asked for by a
 * script hit brink alone. */
#ifndef BRINK_FUZZ_BYTES_H
#define BRINK_FUZZ_BYTES_H

#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

struct bytes {
    char *ptr;
    size_t len, cap;
};

static inline void
bytes_add(struct bytes *bytes, const void *from, size_t len)
{
    if (bytes->len + len > bytes->cap) {
        bytes->cap = (bytes->len + len) * 2;
        bytes->ptr = realloc(bytes->ptr, bytes->cap);
        ASSERT(bytes->ptr != NULL);
    }
    if (len > 0)
        memcpy(bytes->ptr + bytes->len, from, len);
    bytes->len += len;
}

static inline void
bytes_free(struct bytes *bytes)
{
    free(bytes->ptr);
    *bytes = (struct bytes){0};
}

static inline struct slice
bytes_slice(const struct bytes *bytes)
{
    return slice_of(bytes->ptr, bytes->len);
}

static inline void *
fuzz_alloc(size_t len)
{
    void *ptr = calloc(1, len == 0 ? 1 : len);

    ASSERT(ptr != NULL);
    return ptr;
}

#endif
