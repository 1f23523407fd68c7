/* The saved index: what a clean stop leaves, so that the next start need not read every record.
 *
 * It names the store (by the random id of its header) and LMDB's last transaction. Nothing changes
 * in a store without a transaction, so the file is true as long as both are the same, however the
 * process ended; it is not removed when it is read. */
#ifndef BRINK_STORAGE_SAVE_H
#define BRINK_STORAGE_SAVE_H

#include "storage/store.h"

/* The writer has stopped and the index is whole. Without it the next start reads the records. */
void save_write(struct store *store);

/* Fill the empty index, and what is doomed. False: there is none, or it is not of this state. Then
 * the index is still empty. Before the writer has started. */
bool save_load(struct store *store);

void save_forget(const char *path); /* it is of no use any more */

#endif
