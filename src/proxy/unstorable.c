/* Direct-mapped by hash: a slot holds the other half of the hash, and a time with the reason in its
 * lowest bits. The two are written apart; a reader that mixes them errs for one request at most. */
#include "proxy/unstorable.h"

#include <stdatomic.h>

enum { UNSTORABLE_SLOTS = 16384, REASON_BITS = 6 };
static_assert((int)REASON_COUNT <= 1 << REASON_BITS, "a reason fits");

struct unstorable {
    struct {
        _Atomic uint64_t mark, until; /* until: milliseconds << REASON_BITS | reason */
    } slots[UNSTORABLE_SLOTS];
};

enum err
unstorable_new(struct unstorable **out)
{
    struct unstorable *table = mem_zalloc(sizeof(*table));

    if (table == NULL)
        return ERR_NOMEM;
    *out = table;
    return OK;
}

void
unstorable_free(struct unstorable **slot)
{
    mem_free(*slot);
    *slot = NULL;
}

void
unstorable_note(struct unstorable *table, const struct store_hash *hash, enum cache_reason reason,
                uint64_t now_ms, uint32_t keep_s)
{
    size_t i = hash->lo % UNSTORABLE_SLOTS;
    uint64_t until_ms = now_ms + (uint64_t)keep_s * 1000;

    atomic_store_explicit(&table->slots[i].mark, hash->hi, memory_order_relaxed);
    atomic_store_explicit(&table->slots[i].until, until_ms << REASON_BITS | reason,
                          memory_order_relaxed);
}

void
unstorable_forget(struct unstorable *table, const struct store_hash *hash)
{
    size_t i = hash->lo % UNSTORABLE_SLOTS;

    if (atomic_load_explicit(&table->slots[i].mark, memory_order_relaxed) == hash->hi)
        atomic_store_explicit(&table->slots[i].until, 0, memory_order_relaxed);
}

bool
unstorable_is(const struct unstorable *table, const struct store_hash *hash, uint64_t now_ms)
{
    uint64_t left_ms;
    enum cache_reason reason;

    return unstorable_find(table, hash, now_ms, &left_ms, &reason);
}

bool
unstorable_find(const struct unstorable *table, const struct store_hash *hash, uint64_t now_ms,
                uint64_t *out_left_ms, enum cache_reason *out_reason)
{
    size_t i = hash->lo % UNSTORABLE_SLOTS;
    uint64_t until = atomic_load_explicit(&table->slots[i].until, memory_order_relaxed);

    if (until >> REASON_BITS <= now_ms ||
        atomic_load_explicit(&table->slots[i].mark, memory_order_relaxed) != hash->hi)
        return false;
    *out_left_ms = (until >> REASON_BITS) - now_ms;
    *out_reason = (enum cache_reason)(until & ((1U << REASON_BITS) - 1));
    return true;
}
