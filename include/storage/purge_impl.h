/* What storage/purge.c and storage/purge_work.c share. Under the set's lock. */
#ifndef BRINK_STORAGE_PURGE_IMPL_H
#define BRINK_STORAGE_PURGE_IMPL_H

#include "storage/purge.h"

int64_t purge_now_ms(void); /* since the epoch */
uint64_t purge_oldest_birth(const struct purge_set *set);
bool purge_is_at_work(const struct purge_set *set);
void purge_job_put(struct purge_set *set, struct purge_job *job); /* a part of it is over */
void purge_retire_table(struct purge_set *set);

#endif
