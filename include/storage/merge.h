/* From the scan into the index. */
#ifndef BRINK_STORAGE_MERGE_H
#define BRINK_STORAGE_MERGE_H

struct store;

void merge_scan(struct store *store); /* the writer's: some of what was found */

#endif
