/* Single objects within the writer's transaction: values, records, deletion, and the notes of what
 * memory has to learn when it is committed. */
#include "storage/object.h"

#include "storage/state.h"

enum { OIDS_AHEAD = 65536 /* the header promises ids in portions, so that few commits touch it */ };

/* --- notes --- */

static bool
grow(void *array, size_t *cap, size_t want, size_t item_len)
{
    void **slot = array, *grown;
    size_t n = *cap == 0 ? 64 : *cap;

    if (want <= *cap)
        return true;
    while (n < want)
        n *= 2;
    grown = mem_realloc(*slot, n * item_len);
    if (grown == NULL)
        return false;
    *slot = grown;
    *cap = n;
    return true;
}

int
object_note(struct writer *w, const struct change *change)
{
    if (!grow(&w->changes, &w->changes_cap, w->changes_n + 1, sizeof(w->changes[0])) ||
        !grow(&w->doomed, &w->doomed_cap, w->doomed_n + w->changes_n + 1, sizeof(w->doomed[0])))
        return BATCH_NOMEM;
    w->changes[w->changes_n++] = *change;
    w->members_n += change->kind == CHANGE_INSERT && change->item.member != 0;
    return 0;
}

/* Mark an entry as going. *out_free: nobody reads it, and nobody will. */
static int
claim(struct writer *w, struct index_entry *entry, uint32_t slot, bool *out_free)
{
    unsigned before;

    if (!grow(&w->claims, &w->claims_cap, w->claims_n + 1, sizeof(w->claims[0])))
        return BATCH_NOMEM;
    before = atomic_fetch_or_explicit(&entry->pins, INDEX_GOING, memory_order_acq_rel);
    ASSERT((before & INDEX_GOING) == 0);
    entry->moving = false; /* of a transaction that was undone */
    w->claims[w->claims_n++] = slot;
    *out_free = before == 0;
    return 0;
}

bool
object_is_going(const struct index_entry *entry)
{
    return (atomic_load_explicit(&entry->pins, memory_order_relaxed) & INDEX_GOING) != 0;
}

uint64_t
object_take_oid(struct writer *w)
{
    uint64_t oid = w->next_oid++;

    ASSERT(oid < RECORD_OID_MAX);
    if (w->next_oid > w->store->env.header.oid_next) {
        w->store->env.header.oid_next = w->next_oid + OIDS_AHEAD;
        w->header_changed = true;
    }
    return oid;
}

/* --- single values --- */

int
object_put(struct writer *w, uint64_t key, size_t len, void **out)
{
    MDB_val name = {sizeof(key), &key}, value = {len, NULL};
    unsigned append = key > w->last_key ? MDB_APPEND : 0;
    int rc = mdb_put(w->txn, w->store->env.dbi, &name, &value, MDB_RESERVE | append);

    resize_touch(w->store, &w->store->resize, key >> RECORD_PIECE_BITS);
    if (rc == MDB_KEYEXIST) /* a transaction that was undone moved last_key: it is not exact */
        rc = mdb_put(w->txn, w->store->env.dbi, &name, &value, MDB_RESERVE);
    if (rc != 0)
        return rc;
    if (append != 0)
        w->last_key = key;
    w->wrote = true;
    *out = value.mv_data;
    return 0;
}

int
object_put_piece(struct writer *w, uint64_t key, const void *bytes, uint32_t len)
{
    void *to;
    int rc = object_put(w, key, len + RECORD_SUM_LEN, &to);

    if (rc == 0)
        record_piece_encode(bytes, len, key, to);
    return rc;
}

int
object_delete_key(struct writer *w, uint64_t key)
{
    MDB_val name = {sizeof(key), &key};
    int rc = mdb_del(w->txn, w->store->env.dbi, &name, NULL);

    resize_touch(w->store, &w->store->resize, key >> RECORD_PIECE_BITS);
    w->wrote |= rc == 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The record first, then pieces in order, as many as may be. */
int
object_delete_some(struct writer *w, uint64_t oid, bool *out_all)
{
    int rc = object_delete_key(w, record_key(oid, RECORD_PIECE));

    while (rc == 0 && w->free_left > 0) {
        uint64_t key = record_key(oid, 0);
        MDB_val name = {sizeof(key), &key}, value;
        uint64_t pages;

        rc = mdb_cursor_get(w->cursor, &name, &value, MDB_SET_RANGE);
        if (rc == 0)
            memcpy(&key, name.mv_data, sizeof(key));
        if (rc == MDB_NOTFOUND || (rc == 0 && key >> RECORD_PIECE_BITS != oid)) {
            *out_all = true;
            return 0;
        }
        pages = rc == 0 ? (value.mv_size + 15) / RECORD_PAGE_LEN + 1 : 0;
        if (rc == 0)
            rc = mdb_cursor_del(w->cursor, 0);
        w->wrote |= rc == 0;
        w->free_left -= w->free_left < pages ? w->free_left : pages;
        w->freed_n += pages;
    }
    *out_all = false;
    return rc;
}

/* A copy of a record's bytes, because the next write may move them. Freed by the caller. */
int
object_copy_record(struct writer *w, uint64_t oid, struct slice *out)
{
    struct slice value;
    char *copy;
    int rc = env_get(&w->store->env, w->txn, record_key(oid, RECORD_PIECE), &value);

    if (rc != 0)
        return rc;
    copy = mem_alloc(value.len);
    if (copy == NULL)
        return BATCH_NOMEM;
    memcpy(copy, value.ptr, value.len);
    *out = slice_of(copy, value.len);
    return 0;
}

int
object_put_record(struct writer *w, const struct record *record, uint64_t oid)
{
    void *to;
    int rc = object_put(w, record_key(oid, RECORD_PIECE), record_len(record), &to);

    if (rc == 0)
        record_encode(record, oid, to);
    return rc;
}

/* Add a flag to a stored record. A record that is gone or damaged is left alone. */
int
object_flag(struct writer *w, uint64_t oid, enum record_flag flag)
{
    struct slice copy;
    struct record record;
    int rc = object_copy_record(w, oid, &copy);

    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (record_decode(copy, oid, true, &record) == OK) {
        record.flags |= (uint16_t)flag;
        rc = object_put_record(w, &record, oid);
    }
    mem_free((char *)copy.ptr);
    return rc;
}

static int
kill_one(struct writer *w, uint32_t slot, bool *out_free)
{
    struct index_entry *entry = index_entry(&w->store->index, slot);
    struct change change = {.kind = CHANGE_REMOVE, .slot = slot, .item.oid = entry->oid};
    bool is_free, all = true;
    int rc = claim(w, entry, slot, &is_free);

    if (rc != 0)
        return rc;
    *out_free = is_free;
    if (!is_free) {
        change.kind = CHANGE_PINNED; /* a tail may be read from its record: keep it, marked */
        rc = object_flag(w, entry->oid, RECORD_DEAD);
    } else if (entry->pieces == 0) {
        rc = object_delete_key(w, record_key(entry->oid, RECORD_PIECE));
    } else {
        rc = object_delete_some(w, entry->oid, &all);
    }
    if (!all)
        change.kind = CHANGE_PART;
    return rc != 0 ? rc : object_note(w, &change);
}

int
object_leave(struct writer *w, uint32_t slot)
{
    bool is_free;
    int rc = kill_one(w, slot, &is_free);

    if (rc == 0)
        index_entry(&w->store->index, slot)->moving = true;
    return rc;
}

static int
kill_and_count(struct writer *w, uint32_t slot)
{
    const struct index_entry *entry = index_entry(&w->store->index, slot);
    bool is_free = false;
    int rc = kill_one(w, slot, &is_free);

    if (is_free)
        w->round.freed[entry->group] += entry->room;
    return rc;
}

/* Of a head that goes. What this transaction has put of them is seen to at its end (family.c). */
static int
kill_members(struct writer *w, const struct index_entry *head)
{
    struct index_probe probe;
    uint32_t slot;
    int rc = 0;

    index_probe_begin(&w->store->index, head->hash, &probe);
    while (rc == 0 && (slot = index_probe_next(&probe)) != INDEX_NONE) {
        const struct index_entry *entry = index_entry(&w->store->index, slot);

        if (entry->variant == head->variant && entry->member != 0 && !object_is_going(entry))
            rc = kill_and_count(w, slot);
    }
    return rc;
}

int
object_kill(struct writer *w, uint32_t slot)
{
    const struct index_entry *entry = index_entry(&w->store->index, slot);
    int rc = 0;

    if (entry->member == 0 && w->store->index.members_n > 0)
        rc = kill_members(w, entry); /* first: the index never has one without its head */
    return rc == 0 ? kill_and_count(w, slot) : rc;
}

void
object_doom(struct writer *w, uint64_t oid, uint32_t slot)
{
    if (grow(&w->doomed, &w->doomed_cap, w->doomed_n + 1, sizeof(w->doomed[0])))
        w->doomed[w->doomed_n++] = (struct doomed){oid, slot, false};
}

void
object_forget(struct writer *w, uint32_t slot)
{
    struct index_entry *entry = index_entry(&w->store->index, slot);

    (void)atomic_fetch_or_explicit(&entry->pins, INDEX_GOING, memory_order_acq_rel);
    index_remove(&w->store->index, slot);
    object_doom(w, entry->oid, slot);
}

uint32_t
object_find(const struct writer *w, struct store_hash hash, uint64_t oid)
{
    uint32_t slot = index_find(&w->store->index, hash, oid); /* at most one: ids are unique */

    if (slot == INDEX_NONE || object_is_going(index_entry(&w->store->index, slot)))
        return INDEX_NONE;
    return slot;
}
