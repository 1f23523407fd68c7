/* Shares of the room as the outside sees them: given at start, and what is in use of each. */
#ifndef BRINK_STORAGE_SHARE_H
#define BRINK_STORAGE_SHARE_H

#include "storage/index.h"

/* For any thread to read; the writer's to write. */
struct share_figures {
    atomic_uint_fast64_t own_len, objects, used_len, evictions;
};

/* The settings' shares become partitions of the empty index. ERR_RANGE, and `why` one line. */
MUST_USE enum err share_take(struct store *store, char *why, size_t why_cap);

/* What is in the index now. The writer's, or before it runs. */
void share_note(struct store *store);

#endif
