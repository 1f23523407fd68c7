/* The queue's end at the writer's thread. */
#ifndef BRINK_STORAGE_QUEUE_H
#define BRINK_STORAGE_QUEUE_H

#include "storage/writer.h"

uint64_t queue_now_ms(void); /* of the monotonic clock */

bool queue_may_sweep(const struct writer *w); /* purges wait for a sweep, which may begin */

/* Is there work that waits for nobody: a sweep, something doomed? */
bool queue_has_work(const struct writer *w);

/* Sleep until there is something to do; then w->batch. False: the thread shall end. */
MUST_USE bool queue_take(struct writer *w);

/* Does something in this batch store under, or update, a key with this hash? A chance likeness is
 * one in 2^49. */
bool queue_names_key(const struct writer *w, struct store_hash hash);

/* Checksums; what belongs together; what fails at once. */
void queue_prepare(struct writer *w);
void queue_bound_puts(struct writer *w);
void queue_kill_put(struct store_put *put); /* nothing more can be stored of it */

#endif
