/* Sets of four slots, chosen by the hash of scheme, authority and path; the newest rule takes the
 * place of the set's oldest. A slot's mark is read without its lock, to tell that a path has no
 * rule, as most have none; everything else is the lock's. */
#include "proxy/search_rules.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/stats.h"

enum { SETS = 2048, SET_SLOTS = 4, LOCKS = 64 };

struct slot {
    char *rule; /* on the heap */
    size_t rule_len;
    uint64_t since; /* UINT64_MAX: not yet */
};

struct search_rules {
    pthread_mutex_t locks[LOCKS];
    _Atomic uint64_t marks[SETS][SET_SLOTS]; /* 0: free */
    struct slot slots[SETS][SET_SLOTS];
    uint8_t next[SETS]; /* whose turn it is to go */
};

struct place {
    uint64_t mark;
    size_t set;
    pthread_mutex_t *lock;
};

enum err
search_rules_new(struct search_rules **out)
{
    struct search_rules *rules = mem_zalloc(sizeof(*rules));

    if (rules == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_init(&rules->locks[i], NULL);
    *out = rules;
    return OK;
}

void
search_rules_free(struct search_rules **slot)
{
    struct search_rules *rules = *slot;

    *slot = NULL;
    if (rules == NULL)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t j = 0; j < SET_SLOTS; j++)
            mem_free(rules->slots[i][j].rule);
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_destroy(&rules->locks[i]);
    mem_free(rules);
}

static struct place
place_of(struct search_rules *rules, struct slice key_text)
{
    struct store_hash hash = store_hash(cache_search_scope(key_text));
    size_t set = hash.lo % SETS;

    return (struct place){hash.hi | 1, set, &rules->locks[set % LOCKS]};
}

/* SET_SLOTS: none. */
static size_t
slot_of(struct search_rules *rules, const struct place *place)
{
    size_t i = 0;

    while (i < SET_SLOTS &&
           atomic_load_explicit(&rules->marks[place->set][i], memory_order_relaxed) != place->mark)
        i++;
    return i;
}

/* A copy of the path's rule; its length, 0: none. */
static size_t
copy_rule(struct search_rules *rules, const struct place *place, char buf[CACHE_SEARCH_RULE_MAX],
          uint64_t *out_since)
{
    size_t i = slot_of(rules, place), len = 0;

    if (i == SET_SLOTS)
        return 0;
    (void)pthread_mutex_lock(place->lock);
    i = slot_of(rules, place); /* it may have gone */
    if (i < SET_SLOTS) {
        const struct slot *slot = &rules->slots[place->set][i];

        len = slot->rule_len;
        memcpy(buf, slot->rule, len);
        *out_since = slot->since;
    }
    (void)pthread_mutex_unlock(place->lock);
    return len;
}

bool
search_rules_find(struct search_rules *rules, struct arena *arena, struct slice key_text,
                  struct search_class *out)
{
    struct place place = place_of(rules, key_text);
    char buf[CACHE_SEARCH_RULE_MAX];
    struct slice rule = slice_of(buf, 0);

    rule.len = copy_rule(rules, &place, buf, &out->since);
    if (rule.len == 0 || cache_search_key(arena, rule, key_text, &out->key) != OK)
        return false;
    out->id = cache_search_id(rule);
    return !slice_equal(out->key.text, key_text);
}

static bool
has_rule(const struct slot *slot, struct slice rule)
{
    return slice_equal(slice_of(slot->rule, slot->rule_len), rule);
}

bool
search_rules_learn(struct search_rules *rules, struct slice key_text, struct slice rule)
{
    struct place place = place_of(rules, key_text);
    char *copy = NULL;
    bool is_new;
    size_t i;

    (void)pthread_mutex_lock(place.lock);
    i = slot_of(rules, &place);
    is_new = i == SET_SLOTS || !has_rule(&rules->slots[place.set][i], rule);
    if (is_new)
        copy = slice_to_str(rule);
    if (copy != NULL) {
        struct slot *slot;

        if (i == SET_SLOTS)
            i = rules->next[place.set]++ % SET_SLOTS;
        slot = &rules->slots[place.set][i];
        mem_free(slot->rule);
        *slot = (struct slot){copy, rule.len, UINT64_MAX};
        atomic_store_explicit(&rules->marks[place.set][i], place.mark, memory_order_relaxed);
        STAT_INC(search_rules_learned);
    }
    (void)pthread_mutex_unlock(place.lock);
    return copy != NULL;
}

void
search_rules_open(struct search_rules *rules, struct slice key_text, struct slice rule,
                  uint64_t since)
{
    struct place place = place_of(rules, key_text);
    size_t i;

    (void)pthread_mutex_lock(place.lock);
    i = slot_of(rules, &place);
    if (i < SET_SLOTS && has_rule(&rules->slots[place.set][i], rule) &&
        rules->slots[place.set][i].since == UINT64_MAX)
        rules->slots[place.set][i].since = since;
    (void)pthread_mutex_unlock(place.lock);
}
