/* Memory for one request: taken in pieces, given back all at once. One thread's.
 * The first block is part of whatever holds the arena, or on the heap; a reset keeps one block, so
 * a steady load allocates nothing. */
#ifndef BRINK_BASE_ARENA_H
#define BRINK_BASE_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    char *next;                 /* free room of the newest block */
    char *end;
    size_t used_max; /* bytes that may be taken in all; 0: no limit */
    size_t used_len;
};

void arena_init(struct arena *arena, size_t used_max);
void arena_reset(struct arena *arena); /* everything taken is gone; keeps one block */
void arena_fini(struct arena *arena);

/* NULL when out of memory or past used_max. Aligned for any type. */
MUST_USE void *arena_alloc(struct arena *arena, size_t len);
MUST_USE void *arena_zalloc(struct arena *arena, size_t len);

/* Copies. *out is untouched on ERR_NOMEM. */
MUST_USE enum err arena_copy(struct arena *arena, struct slice text, struct slice *out);
MUST_USE enum err
arena_printf(struct arena *arena, struct slice *out, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
