/* The callers' side of writing: puts and their ops. */
#include "base/stats.h"
#include "storage/state.h"

enum { OP_FIXED_LEN = sizeof(struct op) };

enum err
store_put_begin(struct store *store, const struct store_key *key, struct store_put **out)
{
    struct store_put *put;

    ASSERT_TAG(store, STORE_TAG);
    put = mem_zalloc(sizeof(*put) + key->text.len);
    if (put == NULL)
        return ERR_NOMEM;
    put->tag = PUT_TAG;
    put->store = store;
    atomic_init(&put->refs, 1);
    atomic_init(&put->dead, false);
    atomic_init(&put->state, 0);
    atomic_init(&put->oid, 0);
    atomic_init(&put->stored_len, 0);
    list_init(&put->link);
    put->slot = INDEX_NONE;
    put->hash = key->hash;
    put->group = key->group;
    put->key_len = key->text.len;
    if (key->text.len > 0)
        memcpy(put->key, key->text.ptr, key->text.len);
    purge_birth_open(&store->purges, &put->birth);
    *out = put;
    return OK;
}

uint64_t
store_object_max_len(const struct store *store)
{
    return store->settings.object_max_len;
}

uint64_t
store_put_birth(const struct store_put *put)
{
    ASSERT_TAG(put, PUT_TAG);
    return put->birth.seq;
}

void
put_unref(struct store_put *put)
{
    if (atomic_fetch_sub_explicit(&put->refs, 1, memory_order_acq_rel) != 1)
        return;
    purge_birth_close(&put->store->purges, &put->birth);
    put->tag = TAG_FREED;
    mem_free(put);
}

static struct op *
op_new(struct store_put *put, enum op_kind kind, size_t data_len)
{
    struct op *op = mem_alloc(sizeof(*op) + data_len);

    if (op == NULL)
        return NULL;
    *op = (struct op){.kind = kind, .put = put};
    list_init(&op->link);
    list_init(&op->pieces);
    return op;
}

/* False: refused, and the put is dead. The op takes references to put and block. */
static bool
submit(struct store_put *put, struct op *op, struct block *block)
{
    op->block = block == NULL ? NULL : block_ref(block);
    op->queue_len += OP_FIXED_LEN + (block == NULL ? 0 : block->len);
    (void)atomic_fetch_add_explicit(&put->refs, 1, memory_order_relaxed);
    if (writer_append(put->store, op))
        return true;
    STAT_INC(store_puts_refused);
    atomic_store_explicit(&put->dead, true, memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(&put->refs, 1, memory_order_relaxed);
    block_unref(&op->block);
    mem_free(op);
    return false;
}

static bool
is_dead(const struct store_put *put)
{
    return atomic_load_explicit(&put->dead, memory_order_relaxed);
}

static bool
is_too_large(const struct store_put *put, uint64_t more_len)
{
    return put->pieces_n * BLOCK_FULL_LEN + more_len > put->store->settings.object_max_len;
}

static enum err
refuse(struct store_put *put, bool too_large)
{
    if (!is_dead(put)) {
        if (too_large)
            STAT_INC(store_too_large);
        else
            STAT_INC(store_puts_refused);
        atomic_store_explicit(&put->dead, true, memory_order_relaxed);
    }
    return ERR_STORE_FULL;
}

enum err
store_put_block(struct store_put *put, struct block *block, struct store_done done)
{
    struct op *op;

    ASSERT_TAG(put, PUT_TAG);
    ASSERT(block->len == BLOCK_FULL_LEN && !put->ended);
    if (is_dead(put) || is_too_large(put, block->len))
        return refuse(put, true);
    op = op_new(put, OP_PIECE, 0);
    if (op == NULL)
        return refuse(put, false);
    op->n = put->pieces_n; /* its place */
    op->done = done;
    if (!submit(put, op, block))
        return ERR_STORE_FULL;
    put->pieces_n++;
    if (done.fn != NULL)
        writer_wake(put->store);
    return OK;
}

static char *
copy_in(char *at, struct slice from, struct slice *to)
{
    *to = slice_of(at, from.len);
    if (from.len > 0)
        memcpy(at, from.ptr, from.len);
    return at + from.len;
}

static struct op *
op_with_record(struct store_put *put, enum op_kind kind, const struct store_record *record)
{
    size_t labels_len = record->labels_n * sizeof(record->labels[0]);
    struct op *op = op_new(put, kind, labels_len + record->meta.len + record->head.len);
    char *at;

    if (op == NULL)
        return NULL;
    op->queue_len = labels_len + record->meta.len + record->head.len + put->key_len;
    op->member = record->member;
    op->variant = record->variant;
    op->family = record->family;
    op->replaces_oid = record->replaces_oid;
    op->labels = (const uint64_t *)op->data;
    op->labels_n = record->labels_n;
    if (labels_len > 0)
        memcpy(op->data, record->labels, labels_len);
    at = copy_in(op->data + labels_len, record->meta, &op->meta);
    (void)copy_in(at, record->head, &op->head);
    return op;
}

static bool
record_fits(const struct store_put *put, const struct store_record *record)
{
    return record->labels_n < RECORD_LEN_MAX / sizeof(uint64_t) / 4 &&
           record->meta.len < RECORD_LEN_MAX / 4 && record->head.len < RECORD_LEN_MAX / 4 &&
           put->key_len < RECORD_LEN_MAX / 8;
}

enum err
store_put_end(struct store_put *put, const struct store_record *record, struct block *rest,
              struct store_done done)
{
    uint64_t rest_len = rest == NULL ? 0 : rest->len;
    struct op *op;

    ASSERT_TAG(put, PUT_TAG);
    ASSERT(!put->ended && rest_len <= BLOCK_FULL_LEN);
    ASSERT(record->member == 0 || (record->family != 0 && record->labels_n == 0));
    if (is_dead(put) || is_too_large(put, rest_len) || !record_fits(put, record))
        return refuse(put, is_too_large(put, rest_len));
    op = op_with_record(put, OP_END, record);
    if (op == NULL)
        return ERR_NOMEM;
    op->done = done;
    op->n = put->pieces_n; /* full pieces before the rest */
    if (!submit(put, op, rest))
        return ERR_STORE_FULL;
    put->ended = true;
    return OK;
}

enum err
store_put_update(struct store_put *put, uint64_t oid, const struct store_record *record,
                 struct store_done done)
{
    struct op *op;

    ASSERT_TAG(put, PUT_TAG);
    ASSERT(!put->ended && put->pieces_n == 0);
    if (!record_fits(put, record))
        return refuse(put, false);
    op = op_with_record(put, OP_UPDATE, record);
    if (op == NULL)
        return ERR_NOMEM;
    op->done = done;
    op->oid = oid;
    if (!submit(put, op, NULL))
        return ERR_STORE_FULL;
    put->ended = true;
    return OK;
}

uint64_t
store_put_stored_len(const struct store_put *put)
{
    return atomic_load_explicit(&put->stored_len, memory_order_acquire);
}

uint64_t
store_put_oid(const struct store_put *put)
{
    return atomic_load_explicit(&put->oid, memory_order_acquire);
}

void
store_put_release(struct store_put **slot)
{
    struct store_put *put = *slot;
    struct store *store;

    if (put == NULL)
        return;
    *slot = NULL;
    ASSERT_TAG(put, PUT_TAG);
    store = put->store;
    if (!put->ended)
        STAT_INC(store_puts_aborted);
    /* What happens between the writer's commit and this is settled by one atomic word. */
    if ((atomic_fetch_or_explicit(&put->state, PUT_RELEASED, memory_order_acq_rel) & PUT_PINNED) !=
        0)
        index_unpin(index_entry(&store->index, put->slot));
    if (put->pieces_n == 0) {
        put_unref(put);
        return;
    }
    put->release = (struct op){.kind = OP_RELEASE, .put = put}; /* the caller's reference */
    list_init(&put->release.link);
    list_init(&put->release.pieces);
    if (!writer_append(store, &put->release))
        UNREACHABLE(); /* it is of no length */
}

enum err
store_purge(struct store *store, const struct store_purge *purges, size_t purges_n,
            struct store_done done, uint64_t *out_id)
{
    struct purge_call *call;
    enum err rc;

    ASSERT_TAG(store, STORE_TAG);
    rc = purge_call_new(&store->purges, purges, purges_n, done, &call);
    if (rc != OK)
        return rc;
    *out_id = call->job->id;
    purger_append(store, call);
    return OK;
}
