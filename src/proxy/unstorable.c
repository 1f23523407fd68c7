/* Direct-mapped by hash: a slot holds the other half of the hash and a time. The two are written
 * apart; a reader that mixes them errs for one request at most. */
#include "proxy/unstorable.h"

#include <stdatomic.h>

enum { UNSTORABLE_SLOTS = 16384 };

struct unstorable {
    unsigned keep_ms;
    struct {
        _Atomic uint64_t mark, until_ms;
    } slots[UNSTORABLE_SLOTS];
};

enum err
unstorable_new(unsigned keep_ms, struct unstorable **out)
{
    struct unstorable *table = mem_zalloc(sizeof(*table));

    if (table == NULL)
        return ERR_NOMEM;
    table->keep_ms = keep_ms;
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
unstorable_note(struct unstorable *table, const struct store_hash *hash, uint64_t now_ms)
{
    size_t i = hash->lo % UNSTORABLE_SLOTS;

    atomic_store_explicit(&table->slots[i].mark, hash->hi, memory_order_relaxed);
    atomic_store_explicit(&table->slots[i].until_ms, now_ms + table->keep_ms, memory_order_relaxed);
}

void
unstorable_forget(struct unstorable *table, const struct store_hash *hash)
{
    size_t i = hash->lo % UNSTORABLE_SLOTS;

    if (atomic_load_explicit(&table->slots[i].mark, memory_order_relaxed) == hash->hi)
        atomic_store_explicit(&table->slots[i].until_ms, 0, memory_order_relaxed);
}

bool
unstorable_is(const struct unstorable *table, const struct store_hash *hash, uint64_t now_ms)
{
    size_t i = hash->lo % UNSTORABLE_SLOTS;

    return atomic_load_explicit(&table->slots[i].until_ms, memory_order_relaxed) > now_ms &&
           atomic_load_explicit(&table->slots[i].mark, memory_order_relaxed) == hash->hi;
}
