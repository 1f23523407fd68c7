/* Would reading this wait for the disk? Asked before it is read, by threads that must not wait.
 *
 * What a reader saw in memory within the last seconds is trusted to be there still, so what is hot
 * pays some loads. Else the kernel is asked (mincore), for each page on the way: from the tree's
 * root to the leaf, and what the value has outside of that. */
#ifndef BRINK_STORAGE_PAGES_H
#define BRINK_STORAGE_PAGES_H

#include "storage/reader.h"

/* After it was opened, and holds its header: find the map's address, which LMDB does not tell, for
 * env->map. It is NULL when the file's pages look otherwise than those of LMDB 0.9; then nothing is
 * known of the tree, and look-ups read it as it comes. LMDB's codes. */
MUST_USE int pages_find_map(struct env *env);

/* Within a section, with a snapshot. `key`: of a piece or record, there or not. */
bool pages_have_key(struct store_reader *reader, uint64_t key);
bool pages_have_record(struct store_reader *reader, struct index_entry *entry);
/* The same of a value whose key was found. */
bool pages_have_value(struct store_reader *reader, struct slice value);

void pages_saw_record(struct store_reader *reader, struct index_entry *entry); /* it was read */

/* Of a snapshot: read the tree down to the pages that name its leaves; on a thread that may wait.
 * Returns how many pages these are. */
uint64_t pages_warm_branches(struct store_reader *reader);

/* Bring a range of the map into memory; may wait. */
void pages_touch(const void *from, size_t len);

#endif
