/* Single objects within the writer's transaction. */
#ifndef BRINK_STORAGE_OBJECT_H
#define BRINK_STORAGE_OBJECT_H

#include "storage/writer.h"

/* All return 0, LMDB's code, or BATCH_NOMEM. */

/* What memory shall learn with the commit. */
MUST_USE int object_note(struct writer *w, const struct change *change);

bool object_is_going(const struct index_entry *entry);

/* The entry of an object that is not going; INDEX_NONE: there is none. */
uint32_t object_find(const struct writer *w, struct store_hash hash, uint64_t oid);
uint64_t object_take_oid(struct writer *w);

/* Room for a value, to be filled before anything else is written. */
MUST_USE int object_put(struct writer *w, uint64_t key, size_t len, void **out);

/* A piece of a body, with its checksum. */
MUST_USE int object_put_piece(struct writer *w, uint64_t key, const void *bytes, uint32_t len);
MUST_USE int object_delete_key(struct writer *w, uint64_t key); /* missing: 0 */

/* The record first, then pieces in order, while w->free_left lasts. */
MUST_USE int object_delete_some(struct writer *w, uint64_t oid, bool *out_all);

/* A copy of a record's bytes, because the next write may move them. Freed by the caller. */
MUST_USE int object_copy_record(struct writer *w, uint64_t oid, struct slice *out);
MUST_USE int object_put_record(struct writer *w, const struct record *record, uint64_t oid);

/* Add a flag to a stored record. A record that is gone or damaged is left alone. */
MUST_USE int object_flag(struct writer *w, uint64_t oid, enum record_flag flag);

/* Remove what is indexed, a head with its members: delete it, or doom it when it is read or has
 * many pieces. */
MUST_USE int object_kill(struct writer *w, uint32_t slot);

/* The same of what was put under another id in this transaction: members stay. */
MUST_USE int object_leave(struct writer *w, uint32_t slot);

/* Outside of a transaction. Without memory for it, its pages stay used until the next start. */
void object_doom(struct writer *w, uint64_t oid, uint32_t slot);

/* The same of what is indexed, by itself: it is removed at once. */
void object_forget(struct writer *w, uint32_t slot);

#endif
