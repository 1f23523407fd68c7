/* The readers' side of a fill: joining, reading what is there, leaving. */
#include "proxy/fill_impl.h"

#include "base/stats.h"

/* The store refused the rest, and of that some was dropped when all readers there were had passed
 * it: neither memory nor the store has the whole any more. It stays whole for who is in the list.
 */
static bool
is_too_late(const struct fill *fill) /* locked */
{
    return fill->first * fill->block_len > fill_stored_len(fill);
}

enum err
fill_join(struct fill *fill, struct loop *loop, void (*on_wake)(void *arg), void *arg,
          struct fill_reader **out)
{
    struct fill_reader *reader = mem_zalloc(sizeof(*reader));
    bool late;

    ASSERT_TAG(fill, FILL_TAG);
    if (reader == NULL)
        return ERR_NOMEM;
    reader->wake = wake_new(loop, on_wake, arg);
    if (reader->wake == NULL) {
        mem_free(reader);
        return ERR_NOMEM;
    }
    (void)pthread_mutex_lock(&fill->lock);
    late = is_too_late(fill);
    if (!late)
        list_push(&fill->readers, &reader->link);
    (void)pthread_mutex_unlock(&fill->lock);
    if (late) {
        wake_free(&reader->wake);
        mem_free(reader);
        return ERR_CLOSED;
    }
    reader->fill = fill_ref(fill);
    STAT_INC(fill_waiters);
    *out = reader;
    return OK;
}

static void
release_held(struct fill_reader *reader)
{
    while (reader->held_n > 0)
        block_unref(&reader->held[--reader->held_n]);
}

void
fill_leave(struct fill_reader **slot)
{
    struct fill_reader *reader = *slot;
    struct fill *fill;

    *slot = NULL;
    if (reader == NULL)
        return;
    fill = reader->fill;
    release_held(reader);
    (void)pthread_mutex_lock(&fill->lock);
    list_remove(&reader->link);
    fill_wake_feeder(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    wake_free(&reader->wake);
    mem_free(reader);
    STAT_DEC(fill_waiters);
    fill_unref(&fill);
}

void
fill_seek(struct fill_reader *reader, uint64_t off)
{
    ASSERT(reader->held_n == 0);
    (void)pthread_mutex_lock(&reader->fill->lock);
    reader->off = off;
    fill_wake_feeder(reader->fill); /* what lies between need not be kept for it */
    (void)pthread_mutex_unlock(&reader->fill->lock);
}

/* Point iov at what is in memory from the reader's place on, holding the blocks. */
static size_t
collect(struct fill_reader *reader, struct iovec *iov, size_t iov_max) /* locked */
{
    struct fill *fill = reader->fill;
    uint64_t off = reader->off;
    size_t n = 0;

    while (n < iov_max && n < FILL_READ_BLOCKS_MAX && off < fill->body_len) {
        struct block *block = fill->blocks[off / fill->block_len - fill->first];
        size_t at = off % fill->block_len;

        iov[n++] = (struct iovec){block->data + at, block->len - at};
        reader->held[reader->held_n++] = block_ref(block);
        off += block->len - at;
    }
    return n;
}

/* What was dropped from memory is in the store, or was not meant for a reader that came so late. */
static enum fill_next
next_from_store(struct fill_reader *reader, uint64_t *out_oid, uint64_t *out_until) /* locked */
{
    struct fill *fill = reader->fill;

    *out_until = fill_stored_len(fill);
    *out_oid = fill->put != NULL ? store_put_oid(fill->put) : fill->stored_oid;
    return reader->off < *out_until ? FILL_NEXT_STORE : FILL_NEXT_FAILED;
}

static enum fill_next
next_locked(struct fill_reader *reader, struct iovec *iov, size_t iov_max, size_t *out_n,
            uint64_t *out_oid, uint64_t *out_until)
{
    if (reader->off < reader->fill->first * reader->fill->block_len)
        return next_from_store(reader, out_oid, out_until);
    *out_n = collect(reader, iov, iov_max);
    if (*out_n > 0)
        return FILL_NEXT_DATA;
    switch (reader->fill->state) {
    case FILL_WAITING:
    case FILL_BODY:
        return FILL_NEXT_WAIT;
    case FILL_DONE:
        return FILL_NEXT_END;
    case FILL_FAILED:
        return FILL_NEXT_FAILED;
    }
    UNREACHABLE();
}

enum fill_next
fill_next(struct fill_reader *reader, struct iovec *iov, size_t iov_max, size_t *out_n,
          uint64_t *out_oid, uint64_t *out_until)
{
    enum fill_next next;

    ASSERT(reader->held_n == 0);
    *out_n = 0;
    (void)pthread_mutex_lock(&reader->fill->lock);
    next = next_locked(reader, iov, iov_max, out_n, out_oid, out_until);
    (void)pthread_mutex_unlock(&reader->fill->lock);
    return next;
}

void
fill_sent(struct fill_reader *reader, uint64_t n)
{
    struct fill *fill = reader->fill;

    release_held(reader);
    if (n == 0)
        return;
    (void)pthread_mutex_lock(&fill->lock);
    reader->off += n;
    fill_wake_feeder(fill);
    (void)pthread_mutex_unlock(&fill->lock);
}
