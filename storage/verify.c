/* Verifying what is read first after the start. */
#include "storage/verify.h"

#include "base/log.h"
#include "base/stats.h"
#include "storage/state.h"

enum { SLOTS_MIN = 64, SLOTS_MAX = 1 << 22 /* 32 MiB: every piece of a store of 256 GiB */ };

enum err
verify_init(struct verify *verify, uint64_t size_len)
{
    uint64_t slots_n = SLOTS_MIN;

    while (slots_n < SLOTS_MAX && slots_n < size_len / BLOCK_FULL_LEN)
        slots_n *= 2;
    verify->slots = mem_zalloc(slots_n * sizeof(verify->slots[0])); /* touched as it is used */
    verify->mask = slots_n - 1;
    return verify->slots == NULL ? ERR_NOMEM : OK;
}

void
verify_fini(struct verify *verify)
{
    mem_free(verify->slots);
    verify->slots = NULL;
}

/* Pieces of one object lie side by side. */
static atomic_uint_fast64_t *
slot_of(const struct verify *verify, const struct store_source *source, uint32_t piece)
{
    uint64_t mixed = source->oid * 0x9e3779b97f4a7c15U;

    return &verify->slots[((mixed >> 32) + piece) & verify->mask];
}

static bool
has_bit(const struct store_source *source, uint32_t piece)
{
    return source->slot != STORE_NO_SLOT && piece < VERIFY_PIECES;
}

static unsigned
bit_of(uint32_t piece)
{
    return VERIFY_RECORD << (piece + 1);
}

bool
verify_is_done(const struct store *store, const struct store_source *source, uint32_t piece)
{
    if (has_bit(source, piece)) {
        const struct index_entry *entry = index_entry(&store->index, source->slot);

        return (atomic_load_explicit(&entry->verified, memory_order_relaxed) & bit_of(piece)) != 0;
    }
    return atomic_load_explicit(slot_of(&store->verify, source, piece), memory_order_relaxed) ==
           record_key(source->oid, piece);
}

bool
verify_piece(struct store *store, const struct store_source *source, uint32_t piece,
             struct slice bytes)
{
    uint64_t key = record_key(source->oid, piece);

    if (UNLIKELY(!record_piece_is_right(bytes, key))) {
        verify_report_piece(store, source, piece);
        return false;
    }
    if (has_bit(source, piece))
        (void)atomic_fetch_or_explicit(&index_entry(&store->index, source->slot)->verified,
                                       bit_of(piece), memory_order_relaxed);
    else
        atomic_store_explicit(slot_of(&store->verify, source, piece), key, memory_order_relaxed);
    return true;
}

/* False: it was told already. */
static bool
mark_bad(struct store *store, uint32_t slot)
{
    struct index_entry *entry = index_entry(&store->index, slot);

    return (atomic_fetch_or_explicit(&entry->verified, VERIFY_BAD, memory_order_relaxed) &
            VERIFY_BAD) == 0;
}

/* Without memory for it, it stays, and is never found. */
static struct op *
drop_new(uint32_t slot, uint64_t oid, size_t data_len)
{
    struct op *op = mem_zalloc(sizeof(*op) + data_len);

    if (op == NULL)
        return NULL;
    op->kind = OP_DROP;
    op->oid = oid;
    op->slot = slot;
    list_init(&op->link);
    list_init(&op->pieces);
    return op;
}

static void
drop(struct store *store, uint32_t slot, uint64_t oid)
{
    struct op *op = drop_new(slot, oid, 0);

    if (op != NULL && !writer_append(store, op))
        UNREACHABLE(); /* it is of no length */
}

enum err
verify_drop_lost(struct store *store, const uint64_t *oids, size_t oids_n, struct store_done done)
{
    struct op *op = drop_new(INDEX_NONE, 0, oids_n * sizeof(oids[0]));

    if (op == NULL)
        return ERR_NOMEM;
    op->done = done;
    memcpy(op->data, oids, oids_n * sizeof(oids[0]));
    op->labels = (const uint64_t *)op->data;
    op->labels_n = oids_n;
    if (!writer_append(store, op))
        UNREACHABLE();
    writer_wake(store);
    return OK;
}

void
verify_report_piece(struct store *store, const struct store_source *source, uint32_t piece)
{
    bool indexed = source->slot != STORE_NO_SLOT;

    if (indexed && !mark_bad(store, source->slot))
        return;
    STAT_INC(store_bad_pieces);
    LOG(WARN, store_damage,
        "text=\"a piece of a body is not what was stored; %s\" oid=%llu piece=%u",
        indexed ? "the object is dropped" : "it is not sent", (unsigned long long)source->oid,
        piece);
    if (indexed)
        drop(store, source->slot, source->oid);
}

void
verify_report_record(struct store *store, uint32_t slot, uint64_t oid)
{
    if (!mark_bad(store, slot))
        return;
    STAT_INC(store_bad_records);
    LOG(WARN, store_damage, "text=\"a record is not what was stored; it is dropped\" oid=%llu",
        (unsigned long long)oid);
    drop(store, slot, oid);
}
