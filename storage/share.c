/* Shares of the room: from the settings into the index, and their figures out of it. */
#include "storage/share.h"

#include "storage/evict.h"
#include "storage/state.h"

enum err
share_take(struct store *store, char *why, size_t why_cap)
{
    struct store_settings *mine = &store->settings;
    enum err rc = OK;

    for (size_t i = 0; i < mine->shares_n && rc == OK; i++) {
        const struct store_share *share = &mine->shares[i];

        if (share->group == 0 || index_group(&store->index, share->group) != 0)
            rc = ERR_RANGE;
        else
            rc = index_add_group(&store->index, share->group, share->percent);
    }
    mine->shares = NULL; /* the index has them */
    if (rc != OK)
        (void)snprintf(
            why, why_cap,
            "the shares of the store in %s are more than 100 %%, more than %u, or one is "
            "there twice; give less away",
            store->path, INDEX_GROUPS_MAX - 1);
    return rc == OK ? OK : ERR_RANGE;
}

void
share_note(struct store *store)
{
    for (unsigned i = 0; i < store->index.lists_n; i++) {
        const struct index_list *list = &store->index.lists[i];
        struct share_figures *figures = &store->shares[i];

        atomic_store_explicit(
            &figures->own_len,
            sieve_share(&store->index, i, evict_limit_max(&store->env) * RECORD_PAGE_LEN),
            memory_order_relaxed);
        atomic_store_explicit(&figures->objects, list->n - list->members_n, memory_order_relaxed);
        atomic_store_explicit(&figures->used_len, list->room * RECORD_ROOM_UNIT,
                              memory_order_relaxed);
        atomic_store_explicit(&figures->evictions, list->evicted_n, memory_order_relaxed);
    }
}

bool
store_share_usage(const struct store *store, uint32_t group, struct store_usage *out)
{
    unsigned i = index_group(&store->index, group);
    const struct share_figures *figures = &store->shares[i];

    ASSERT_TAG(store, STORE_TAG);
    *out = (struct store_usage){
        .own_len = atomic_load_explicit(&figures->own_len, memory_order_relaxed),
        .objects = atomic_load_explicit(&figures->objects, memory_order_relaxed),
        .used_len = atomic_load_explicit(&figures->used_len, memory_order_relaxed),
        .evictions = atomic_load_explicit(&figures->evictions, memory_order_relaxed),
    };
    return i != 0 || group == 0;
}
