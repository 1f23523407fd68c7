/* Keys whose responses were lately not storable: requests for them do not queue behind each other.
 * A fixed table without locks; an entry may be lost to another key, which costs one wait. */
#ifndef BRINK_PROXY_UNSTORABLE_H
#define BRINK_PROXY_UNSTORABLE_H

#include "cache/reason.h"
#include "storage/store.h"

struct unstorable;

MUST_USE enum err unstorable_new(struct unstorable **out);
void unstorable_free(struct unstorable **slot);
void unstorable_note(struct unstorable *table, const struct store_hash *hash,
                     enum cache_reason reason, uint64_t now_ms, uint32_t keep_s);
void unstorable_forget(struct unstorable *table, const struct store_hash *hash);
bool unstorable_is(const struct unstorable *table, const struct store_hash *hash, uint64_t now_ms);
/* The same, and for how long it is remembered still, and why it was not stored. */
bool unstorable_find(const struct unstorable *table, const struct store_hash *hash, uint64_t now_ms,
                     uint64_t *out_left_ms, enum cache_reason *out_reason);

#endif
