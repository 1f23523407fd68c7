/* Families within the writer's transaction: no member without its head. LMDB's codes, or those of
 * storage/writer.h. */
#ifndef BRINK_STORAGE_FAMILY_H
#define BRINK_STORAGE_FAMILY_H

#include "storage/writer.h"

/* May this member be stored? Else op->rc says why not. *out_group: its head's. */
MUST_USE int family_admit(struct writer *w, struct op *op, uint32_t *out_group);

/* At the end of a transaction: members that it put, and whose heads it then removed, go again. */
MUST_USE int family_settle(struct writer *w);

/* Outside of a transaction, when the scan is at its end: members of heads that it did not find are
 * removed. How many. */
uint64_t family_drop_strays(struct writer *w);

#endif
