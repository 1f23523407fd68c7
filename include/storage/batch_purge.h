/* Purges within the writer's transaction. LMDB's codes, or those of storage/writer.h. */
#ifndef BRINK_STORAGE_BATCH_PURGE_H
#define BRINK_STORAGE_BATCH_PURGE_H

#include "storage/writer.h"

MUST_USE int batch_purge(struct writer *w); /* what was taken: keys go, the others get records */
MUST_USE int batch_sweep(struct writer *w); /* what the sweep has found goes */

#endif
