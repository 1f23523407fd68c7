/* What one transaction does: evict, purge, delete what is doomed, store, update, sweep; and what
 * memory learns of it when it is committed.
 *
 * Everything here may be undone: until the commit, entries are only marked as going (claims), and
 * what the index shall become is noted (changes). */
#include "base/stats.h"
#include "storage/batch_purge.h"
#include "storage/evict.h"
#include "storage/family.h"
#include "storage/object.h"
#include "storage/state.h"

enum {
    FREE_PAGES_MAX = 16384, /* of one transaction: their list is one value on contiguous pages */
    FREE_MAP_PART = 8,      /* nor more than this part of a small map */
    ROOM_SPARE_PAGES = 8
};

/* --- what is doomed --- */

static int
delete_doomed(struct writer *w)
{
    for (size_t i = 0; i < w->doomed_n && w->free_left > 0; i++) {
        struct doomed *doomed = &w->doomed[i];
        int rc;

        if (doomed->slot != INDEX_NONE &&
            atomic_load_explicit(&index_entry(&w->store->index, doomed->slot)->pins,
                                 memory_order_acquire) != INDEX_GOING)
            continue;
        rc = object_delete_some(w, doomed->oid, &doomed->gone);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* --- storing --- */

static int
store_piece(struct writer *w, struct op *op)
{
    struct store_put *put = op->put;

    if (put->own_oid == 0)
        put->own_oid = object_take_oid(w);
    return object_put_piece(w, record_key(put->own_oid, op->n), op->block->data, op->block->len);
}

static int
store_rest(struct writer *w, const struct op *op, uint64_t body_len, struct slice *out_tail)
{
    uint64_t start = op->n * BLOCK_FULL_LEN, off = start;

    *out_tail = SLICE_NONE;
    while (off < body_len) {
        struct record_span span = record_span_at(body_len, off);
        const char *from = op->block->data + (span.off - start);
        int rc;

        off += span.len;
        if (span.piece == RECORD_PIECE) {
            *out_tail = slice_of(from, span.len);
            continue;
        }
        rc = object_put_piece(w, record_key(op->oid, span.piece), from, span.len);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Which of two variants goes first: what was not used since the last round, then the older. */
static bool
goes_before(const struct index_entry *a, const struct index_entry *b)
{
    bool a_used = atomic_load_explicit(&a->visited, memory_order_relaxed) != 0;
    bool b_used = atomic_load_explicit(&b->visited, memory_order_relaxed) != 0;

    return a_used != b_used ? b_used : a->oid < b->oid;
}

/* Of a member: the one of the same number. */
static int
kill_member(struct writer *w, const struct op *op)
{
    uint32_t slot = index_find_member(&w->store->index, op->put->hash, op->variant, op->member);

    if (slot == INDEX_NONE || object_is_going(index_entry(&w->store->index, slot)))
        return 0;
    return object_kill(w, slot);
}

/* What the new object replaces goes, and one more when its key would have too many variants: who
 * looks a key up goes through all of them, and clients can make any number. */
static int
kill_replaced(struct writer *w, const struct op *op)
{
    struct index_probe probe;
    uint32_t slot, first = INDEX_NONE;
    unsigned kept = 0;
    int rc = 0;

    index_probe_begin(&w->store->index, op->put->hash, &probe);
    while (rc == 0 && (slot = index_probe_next(&probe)) != INDEX_NONE) {
        const struct index_entry *entry = index_entry(&w->store->index, slot);

        if (object_is_going(entry))
            continue;
        if (entry->variant == op->variant || entry->oid == op->replaces_oid) {
            rc = object_kill(w, slot);
            continue;
        }
        if (entry->member != 0)
            continue;
        kept++;
        if (first == INDEX_NONE || goes_before(entry, index_entry(&w->store->index, first)))
            first = slot;
    }
    if (rc != 0 || kept < w->store->settings.variants_max)
        return rc;
    STAT_INC(store_variants_dropped);
    return object_kill(w, first);
}

/* What purges say of it, into record->flags; of a member what its head says. op->rc: it is refused.
 */
static int
admit(struct writer *w, struct op *op, struct record *record)
{
    const struct purge_subject subject = {record->birth, op->put->hash, record->key, record->labels,
                                          record->labels_n};

    if (op->member != 0)
        return family_admit(w, op, &record->group);
    switch (purge_match(&w->store->purges, &subject)) {
    case STORE_PURGED_HARD:
        op->rc = ERR_CANCELLED;
        break;
    case STORE_PURGED_SOFT:
        record->flags |= RECORD_SOFT;
        break;
    case STORE_NOT_PURGED:
        break;
    }
    return 0;
}

static int
store_object(struct writer *w, struct op *op)
{
    struct store_put *put = op->put;
    struct record record = {
        .member = op->member,
        .variant = op->variant,
        .family = op->family,
        .group = put->group,
        .birth = put->birth.seq,
        .body_len = op->n * BLOCK_FULL_LEN + (op->block == NULL ? 0 : op->block->len),
        .key = slice_of(put->key, put->key_len),
        .meta = op->meta,
        .head = op->head,
        .labels = op->labels,
        .labels_n = op->labels_n,
    };
    struct change change = {.kind = CHANGE_INSERT, .op = op};
    int rc = admit(w, op, &record);

    if (rc != 0 || op->rc != OK)
        return rc;
    rc = op->member == 0 ? kill_replaced(w, op) : kill_member(w, op);
    op->oid = put->own_oid != 0 ? put->own_oid : object_take_oid(w);
    LIST_FOREACH (&op->pieces, link) {
        const struct op *piece = CONTAINER_OF(link, struct op, link);

        if (rc == 0)
            rc = object_put_piece(w, record_key(op->oid, piece->n), piece->block->data,
                                  piece->block->len);
    }
    if (rc == 0)
        rc = store_rest(w, op, record.body_len, &record.tail);
    if (rc == 0)
        rc = object_put_record(w, &record, op->oid);
    if (rc != 0)
        return rc;
    change.item = (struct index_item){
        .hash = put->hash,
        .oid = op->oid,
        .variant = op->variant,
        .room = record_object_room(record.body_len, record_len(&record)),
        .group = record.group,
        .member = record.member,
        .pieces = (uint32_t)record_pieces_n(record.body_len),
        .pinned = true,
    };
    return object_note(w, &change);
}

/* The purges that name the object as it is, and those younger than the update's own birth. */
static bool
update_flags(struct writer *w, const struct op *op, const struct record *old, uint16_t *out)
{
    struct purge_set *set = &w->store->purges;
    const struct store_put *put = op->put;
    const struct purge_subject before = {old->birth, put->hash, old->key, old->labels,
                                         old->labels_n};
    const struct purge_subject after = {put->birth.seq, put->hash, old->key, op->labels,
                                        op->labels_n};

    if (purge_match(set, &before) == STORE_PURGED_HARD)
        return false;
    switch (purge_match(set, &after)) {
    case STORE_PURGED_HARD:
        return false;
    case STORE_PURGED_SOFT:
        *out = RECORD_SOFT;
        return true;
    case STORE_NOT_PURGED:
        *out = 0; /* what marked it, if anything, is older than this update */
        return true;
    }
    UNREACHABLE();
}

static int
update_object(struct writer *w, struct op *op)
{
    struct slice copy = SLICE_NONE;
    struct record record;
    uint32_t slot = object_find(w, op->put->hash, op->oid);
    uint16_t flags;
    int rc;

    op->rc = ERR_NOT_FOUND;
    if (slot == INDEX_NONE || index_entry(&w->store->index, slot)->member != 0)
        return 0;
    rc = object_copy_record(w, op->oid, &copy);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (record_decode(copy, op->oid, true, &record) != OK) {
        verify_report_record(w->store, slot, op->oid);
    } else if (slice_equal(record.key, slice_of(op->put->key, op->put->key_len))) {
        op->rc = ERR_CANCELLED;
        if (update_flags(w, op, &record, &flags)) {
            op->rc = OK;
            record.flags = flags;
            record.birth = op->put->birth.seq;
            record.meta = op->meta;
            record.head = op->head;
            record.labels = op->labels;
            record.labels_n = op->labels_n;
            rc = object_put_record(w, &record, op->oid);
        }
    }
    mem_free((char *)copy.ptr);
    return rc;
}

static int
release_put(struct writer *w, struct op *op)
{
    struct store_put *put = op->put;
    struct change change = {.kind = CHANGE_DOOM, .slot = INDEX_NONE, .item.oid = put->own_oid};

    if (put->own_oid == 0 || put->committed || (put->end != NULL && put->end->rc == OK))
        return 0;
    return object_note(w, &change);
}

static bool
is_among(const uint64_t *rising, size_t n, uint64_t oid)
{
    size_t from = 0;

    while (n > 0) {
        size_t half = n / 2;

        if (rising[from + half] == oid)
            return true;
        if (rising[from + half] < oid) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return false;
}

static int
drop_lost(struct writer *w, struct op *op)
{
    const struct index *index = &w->store->index;

    op->n = 0;
    for (unsigned group = 0; group < index->lists_n; group++) {
        for (uint32_t slot = index->lists[group].oldest; slot != INDEX_NONE;) {
            const struct index_entry *entry = index_entry(index, slot);
            bool is_lost =
                is_among(op->labels, op->labels_n, entry->oid) && !object_is_going(entry);
            int rc = is_lost ? object_kill(w, slot) : 0;

            if (rc != 0)
                return rc;
            op->n += is_lost;
            slot = entry->newer;
        }
    }
    return 0;
}

static int
drop_damaged(struct writer *w, struct op *op)
{
    const struct index_entry *entry;

    if (op->slot == INDEX_NONE)
        return drop_lost(w, op);
    entry = index_entry(&w->store->index, op->slot);
    if (!entry->listed || entry->oid != op->oid || object_is_going(entry))
        return 0;
    return object_kill(w, op->slot);
}

static int
run_op(struct writer *w, struct op *op)
{
    switch (op->kind) {
    case OP_PIECE:
        return store_piece(w, op);
    case OP_END:
        return store_object(w, op);
    case OP_UPDATE:
        return update_object(w, op);
    case OP_RELEASE:
        return release_put(w, op);
    case OP_DROP:
        return drop_damaged(w, op);
    }
    UNREACHABLE();
}

/* --- the whole --- */

static bool
needs_room(const struct op *op)
{
    return !op->failed && (op->kind == OP_PIECE || op->kind == OP_END || op->kind == OP_UPDATE);
}

static void
add_op(struct record_room *room, const struct op *op)
{
    if (op->kind != OP_PIECE)
        record_room_add(room, sizeof(struct record) + op->queue_len);
    if (op->block != NULL)
        record_room_add_body(room, op->block->len);
    LIST_FOREACH (&op->pieces, piece)
        record_room_add_body(room, BLOCK_FULL_LEN);
}

/* Pages that the batch will take: a guess of the leaves, exact for the rest. How many objects. */
static uint64_t
pages_needed(const struct writer *w, struct evict_need *out)
{
    struct record_room rooms[INDEX_GROUPS_MAX];
    const struct index *index = &w->store->index;
    uint64_t objects = 0;
    unsigned largest = 0;

    memset(rooms, 0, index->lists_n * sizeof(rooms[0]));
    LIST_FOREACH (&w->batch, link) {
        const struct op *op = CONTAINER_OF(link, struct op, link);

        if (!needs_room(op))
            continue;
        objects += op->kind == OP_END;
        add_op(&rooms[index_group(index, op->put->group)], op);
    }
    for (unsigned i = 0; i < index->lists_n; i++) {
        out->pages[i] = rooms[i].pages + rooms[i].leaf_bytes / (RECORD_PAGE_LEN / 2);
        largest = out->pages[i] > out->pages[largest] ? i : largest;
    }
    out->pages[largest] += ROOM_SPARE_PAGES;
    return objects;
}

static void
begin_attempt(struct writer *w)
{
    w->changes_n = w->claims_n = 0;
    memset(&w->round, 0, sizeof(w->round));
    w->rewritten_len = w->removed_n = w->evicted_n = w->rewritten_n = w->index_evicted_n = 0;
    w->freed_n = w->members_n = 0;
    w->free_left = w->store->env.map_pages / FREE_MAP_PART;
    if (w->free_left > FREE_PAGES_MAX)
        w->free_left = FREE_PAGES_MAX;
    w->wrote = w->sweep_ended = w->purged = false;
    w->swept_n = 0;
    LIST_FOREACH (&w->batch, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);

        if (!op->failed)
            op->rc = OK;
    }
}

/* There is no room: puts into partitions above their share are refused, and when there are none,
 * all. False: there was nothing left to refuse. */
static bool
refuse_puts(struct writer *w, bool all)
{
    bool any = false;

    LIST_FOREACH (&w->batch, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);

        if ((op->kind != OP_PIECE && op->kind != OP_END) || op->failed ||
            (!all && !evict_refuses(w, index_group(&w->store->index, op->put->group))))
            continue;
        op->failed = any = true;
        if (op->rc == OK)
            op->rc = ERR_STORE_FULL;
    }
    return any || (!all && refuse_puts(w, true));
}

static int
make_room(struct writer *w, uint64_t *out_objects)
{
    if (list_empty(&w->batch))
        return 0;
    for (;;) {
        struct evict_need need;
        int rc;

        *out_objects = need.objects = pages_needed(w, &need);
        rc = evict_make_room(w, &need);
        if (rc != BATCH_NO_ROOM)
            return rc;
        if (!refuse_puts(w, false))
            return 0;
    }
}

static int
run_ops(struct writer *w)
{
    LIST_FOREACH (&w->batch, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);
        int rc = op->failed ? 0 : run_op(w, op);

        if (rc != 0)
            return rc;
    }
    return 0;
}

static int
run_all(struct writer *w)
{
    int rc = batch_purge(w);

    if (rc == 0)
        rc = run_ops(w);
    if (rc == 0)
        rc = delete_doomed(w);
    return rc != 0 ? rc : batch_sweep(w);
}

static int
open_attempt(struct writer *w)
{
    begin_attempt(w);
    return mdb_cursor_open(w->txn, w->store->env.dbi, &w->cursor);
}

/* What every transaction ends with: then nothing but the commit can fail. */
static int
close_attempt(struct writer *w, int rc, uint64_t objects)
{
    if (rc == 0)
        rc = family_settle(w);
    if (rc == 0 && w->header_changed) {
        rc = env_put_header(&w->store->env, w->txn);
        w->wrote = true;
    }
    if (rc == 0 && index_reserve(&w->store->index, objects + w->rewritten_n) != OK)
        rc = BATCH_NOMEM;
    if (rc == 0 && w->wrote)
        env_cut_folios(&w->store->env, w->txn);
    mdb_cursor_close(w->cursor);
    w->cursor = NULL;
    return rc;
}

int
batch_run(struct writer *w)
{
    uint64_t objects = 0;
    bool more = false;
    int rc = open_attempt(w);

    if (rc != 0)
        return rc;
    rc = make_room(w, &objects);
    more = rc == BATCH_MORE_ROOM;
    if (more)
        rc = 0; /* what was evicted is committed by itself */
    else if (rc == 0)
        rc = run_all(w);
    rc = close_attempt(w, rc, objects);
    return rc == 0 && more ? BATCH_MORE_ROOM : rc;
}

int
batch_free(struct writer *w)
{
    int rc = open_attempt(w);

    if (rc != 0)
        return rc;
    rc = evict_some(w);
    w->header_changed = true; /* an empty transaction would not count as one */
    return close_attempt(w, rc, 0);
}

int
batch_trim(struct writer *w)
{
    static const struct evict_need none;
    int more = 0, rc = open_attempt(w);

    if (rc != 0)
        return rc;
    w->rewritten_len = UINT64_MAX; /* survivors stay where they are */
    rc = evict_make_room(w, &none);
    if (rc == BATCH_MORE_ROOM) {
        more = rc;
        rc = 0; /* what was evicted is committed by itself */
    }
    rc = close_attempt(w, rc, 0);
    return rc == 0 ? more : rc;
}

void
batch_undo(struct writer *w)
{
    for (size_t i = 0; i < w->claims_n; i++)
        (void)atomic_fetch_and_explicit(&index_entry(&w->store->index, w->claims[i])->pins,
                                        ~INDEX_GOING, memory_order_release);
    for (size_t i = 0; i < w->doomed_n; i++)
        w->doomed[i].gone = false;
    purge_settle_end(&w->store->purges, false);
    /* A header that is written before these are tried again must not say that they are done. */
    w->store->env.header.purge_seq = w->store->purges.committed;
    w->changes_n = w->claims_n = 0;
    w->sweep_ended = false;
}

static void
apply_insert(struct writer *w, const struct change *change)
{
    struct index *index = &w->store->index;
    uint32_t slot = index_insert(index, &change->item);
    struct store_put *put;

    if (change->op == NULL)
        return;
    put = change->op->put;
    put->slot = slot;
    put->committed = true;
    atomic_store_explicit(&put->oid, change->item.oid, memory_order_release);
    if ((atomic_fetch_or_explicit(&put->state, PUT_PINNED, memory_order_acq_rel) & PUT_RELEASED) !=
        0)
        index_unpin(index_entry(index, slot)); /* the caller has left already */
}

static void
apply_change(struct writer *w, const struct change *change)
{
    struct index *index = &w->store->index;

    if (change->kind == CHANGE_NONE)
        return;
    if (change->kind == CHANGE_INSERT) {
        apply_insert(w, change);
        return;
    }
    if (change->kind != CHANGE_DOOM)
        index_remove(index, change->slot);
    if (change->kind != CHANGE_REMOVE)
        w->doomed[w->doomed_n++] = (struct doomed){
            change->item.oid, change->kind == CHANGE_PINNED ? change->slot : INDEX_NONE, false};
    if (change->kind == CHANGE_REMOVE || change->kind == CHANGE_PART)
        index_retire(index, change->slot);
}

static void
forget_doomed(struct writer *w)
{
    size_t n = 0;

    for (size_t i = 0; i < w->doomed_n; i++) {
        if (!w->doomed[i].gone)
            w->doomed[n++] = w->doomed[i];
        else if (w->doomed[i].slot != INDEX_NONE)
            index_retire(&w->store->index, w->doomed[i].slot);
    }
    w->doomed_n = n;
}

void
batch_apply(struct writer *w)
{
    forget_doomed(w);
    /* First what is new: a look-up between the two finds one of them. */
    for (size_t i = 0; i < w->changes_n; i++)
        if (w->changes[i].kind == CHANGE_INSERT)
            apply_change(w, &w->changes[i]);
    for (size_t i = 0; i < w->changes_n; i++)
        if (w->changes[i].kind != CHANGE_INSERT)
            apply_change(w, &w->changes[i]);
    purge_settle_end(&w->store->purges, true);
    sweep_drop(&w->store->sweep, w->swept_n);
    w->swept_n = 0;
    STAT_ADD(store_removals, w->removed_n);
    STAT_ADD(store_evictions, w->evicted_n);
    for (unsigned i = 0; i < w->store->index.lists_n && w->evicted_n > 0; i++)
        w->store->index.lists[i].evicted_n += w->round.evicted[i];
    STAT_ADD(store_index_full, w->index_evicted_n);
    STAT_ADD(store_rewrites, w->rewritten_n);
    w->changes_n = w->claims_n = 0;
    w->header_changed = false;
}
