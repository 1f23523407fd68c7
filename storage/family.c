/* No member without its head.
 *
 * That a member leaves with its head is object_kill's. Here is what comes in: a member is put only
 * while its head is stored. What a transaction puts enters the index after its commit, so a head
 * that is removed by the same transaction later does not find it there: that is settled at its end,
 * for members that are new, and for those that were written again under another id.
 *
 * The index does not know the family, the records do. It need not: whatever replaces a head removes
 * its members, so those in the index are of the head there. Readers compare it all the same, for
 * their snapshot may be older than the index. */
#include "storage/family.h"

#include "storage/object.h"
#include "storage/state.h"

/* A head that stays, or goes on under another id. INDEX_NONE: there is none. */
static uint32_t
find_head(const struct writer *w, struct store_hash hash, uint64_t variant)
{
    uint32_t slot = index_find_member(&w->store->index, hash, variant, 0);
    const struct index_entry *entry;

    if (slot == INDEX_NONE)
        return INDEX_NONE;
    entry = index_entry(&w->store->index, slot);
    return object_is_going(entry) && !entry->moving ? INDEX_NONE : slot;
}

/* Is that the head, and not purged? Purges that are over have removed what they named, and those at
 * work know the head by its own labels and birth. */
static enum err
judge_head(struct writer *w, const struct op *op, const struct record *head)
{
    const struct purge_subject subject = {head->birth, op->put->hash, head->key, head->labels,
                                          head->labels_n};

    if (head->family != op->family ||
        !slice_equal(head->key, slice_of(op->put->key, op->put->key_len)))
        return ERR_NOT_FOUND;
    return purge_match(&w->store->purges, &subject) == STORE_PURGED_HARD ? ERR_CANCELLED : OK;
}

int
family_admit(struct writer *w, struct op *op, uint32_t *out_group)
{
    uint32_t slot = find_head(w, op->put->hash, op->variant);
    const struct index_entry *entry;
    struct record head;
    struct slice value;
    int rc;

    op->rc = ERR_NOT_FOUND;
    if (slot == INDEX_NONE)
        return 0;
    entry = index_entry(&w->store->index, slot);
    if ((atomic_load_explicit(&entry->verified, memory_order_relaxed) & VERIFY_BAD) != 0)
        return 0;
    rc = env_get(&w->store->env, w->txn, record_key(entry->oid, RECORD_PIECE), &value);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (record_decode(value, entry->oid, true, &head) != OK) {
        verify_report_record(w->store, slot, entry->oid);
        return 0;
    }
    *out_group = head.group;
    op->rc = judge_head(w, op, &head);
    return 0;
}

/* It was written by this transaction, and is in nobody's hands. */
static int
take_back(struct writer *w, struct change *change)
{
    bool all = true;
    int rc = object_delete_some(w, change->item.oid, &all);

    if (change->op != NULL)
        change->op->rc = ERR_NOT_FOUND;
    change->kind = all ? CHANGE_NONE : CHANGE_DOOM;
    return rc;
}

int
family_settle(struct writer *w)
{
    int rc = 0;

    if (w->members_n == 0)
        return 0;
    for (size_t i = 0; i < w->changes_n && rc == 0; i++) {
        struct change *change = &w->changes[i];

        if (change->kind == CHANGE_INSERT && change->item.member != 0 &&
            find_head(w, change->item.hash, change->item.variant) == INDEX_NONE)
            rc = take_back(w, change);
    }
    return rc;
}

uint64_t
family_drop_strays(struct writer *w)
{
    struct index *index = &w->store->index;
    struct index_cursor at = index_first(index), next;
    uint64_t n = 0;

    for (; at.slot != INDEX_NONE && index->members_n > 0; at = next) {
        struct index_entry *entry = index_entry(index, at.slot);

        next = index_after(index, at);
        if (entry->member == 0 ||
            index_find_member(index, entry->hash, entry->variant, 0) != INDEX_NONE)
            continue;
        object_forget(w, at.slot);
        n++;
    }
    return n;
}
