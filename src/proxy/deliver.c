/* Bodies to clients. A fill's reader may be told to go on from the store; then single batches come
 * from there, by object id, as for a pinned object. */
#include "proxy/deliver.h"

#include "base/stats.h"

void
deliver_init(struct deliver *deliver, struct proxy *proxy, void (*on_more)(void *arg), void *arg)
{
    *deliver = (struct deliver){.proxy = proxy, .on_more = on_more, .arg = arg};
}

void
deliver_fini(struct deliver *deliver)
{
    warming_end(&deliver->warming);
    deliver_code_free(&deliver->code);
    fill_leave(&deliver->reader);
    if (deliver->pin.store != NULL)
        store_unpin(&deliver->pin);
    deliver->slices = NULL;
    deliver->source = DELIVER_NOTHING;
}

void
deliver_text(struct deliver *deliver, struct slice text)
{
    deliver->source = DELIVER_TEXT;
    deliver->text = text;
    deliver->off = 0;
    deliver->end = text.len;
}

/* What goes out with the first write need not be pinned: its section is still open then. */
static bool
fits_one_write(const struct store_object *object)
{
    return object->body_len <= BLOCK_FULL_LEN;
}

bool
deliver_store(struct deliver *deliver, const struct store_object *object, uint64_t first,
              uint64_t len)
{
    if (!fits_one_write(object) && !store_pin(proxy_read(deliver->proxy), object, &deliver->pin))
        return false;
    deliver->source = DELIVER_STORE;
    deliver->object = *object;
    deliver->in_section = true;
    deliver->off = first;
    deliver->end = first + len;
    return true;
}

void
deliver_pinned(struct deliver *deliver, const struct store_pin *pin, uint64_t first, uint64_t len)
{
    deliver->source = DELIVER_STORE;
    deliver->object =
        (struct store_object){.oid = pin->oid, .slot = pin->slot, .body_len = pin->body_len};
    deliver->in_section = false;
    deliver->off = first;
    deliver->end = first + len;
}

void
deliver_fill(struct deliver *deliver, struct fill_reader *reader, uint64_t first, uint64_t end)
{
    deliver->source = DELIVER_FILL;
    deliver->reader = reader;
    deliver->off = first;
    deliver->end = end;
    fill_seek(reader, first);
}

void
deliver_slices(struct deliver *deliver, struct slices *slices, uint64_t first, uint64_t len)
{
    deliver->source = DELIVER_SLICES;
    deliver->slices = slices;
    deliver->off = first;
    deliver->end = first + len;
}

void
deliver_parts(struct deliver *deliver, const struct deliver_part *parts, size_t parts_n)
{
    deliver->parts = parts;
    deliver->parts_n = parts_n;
    deliver->off = deliver->end; /* the first part says where */
}

/* Go on with the next part. False: there is none. */
static bool
begin_part(struct deliver *deliver)
{
    const struct deliver_part *part = deliver->parts;

    if (deliver->parts_n == 0)
        return false;
    deliver->parts++;
    deliver->parts_n--;
    deliver->lead = part->text;
    deliver->off = part->first;
    deliver->end = part->first + part->len;
    if (deliver->source == DELIVER_FILL && part->len > 0)
        fill_seek(deliver->reader, part->first);
    return true;
}

/* Where a batch goes, and how much of it. */
struct batch {
    struct iovec *iov;
    size_t iov_max;
    uint64_t len_max;
};

static void
on_warm(void *arg)
{
    struct deliver *deliver = arg;

    warming_end(&deliver->warming);
    deliver->on_more(deliver->arg);
}

/* Pages that are not in memory would stop the worker for a disk read: have them brought in. False:
 * that is of no use, or there is no memory to ask for it. */
static bool
await_pages(struct deliver *deliver, const struct store_source *source, uint64_t at,
            const struct batch *batch)
{
    return deliver->cold_n++ < WARMING_TRIES_MAX &&
           warming_body(&deliver->warming, deliver->proxy, source, at, batch->len_max, on_warm,
                        deliver) == OK;
}

/* The worker waits for the disk itself. */
static enum err
read_cold(struct deliver *deliver, const struct store_source *source, uint64_t at,
          const struct batch *batch, size_t *out_n)
{
    struct store_reader *reader = proxy_read(deliver->proxy);
    enum err rc;

    STAT_INC(store_cold_in_loop);
    store_reader_hurry(reader, false);
    rc = store_body(reader, source, at, batch->len_max, batch->iov, batch->iov_max, out_n);
    store_reader_hurry(reader, true);
    return rc;
}

static enum deliver_next
next_in_store(struct deliver *deliver, const struct store_source *source, uint64_t at,
              const struct batch *batch, size_t *out_n)
{
    struct store_reader *reader = proxy_read(deliver->proxy);
    enum err rc = store_body(reader, source, at, batch->len_max, batch->iov, batch->iov_max, out_n);

    if (UNLIKELY(rc == ERR_AGAIN)) {
        if (await_pages(deliver, source, at, batch))
            return DELIVER_WAIT;
        rc = read_cold(deliver, source, at, batch, out_n);
    }
    deliver->cold_n = 0;
    return rc == OK && *out_n > 0 ? DELIVER_DATA : DELIVER_FAILED;
}

static struct store_source
source_of(const struct deliver *deliver)
{
    return (struct store_source){deliver->object.oid, deliver->object.body_len,
                                 deliver->object.slot};
}

enum deliver_start
deliver_verify(struct deliver *deliver, struct deliver_cold *out)
{
    const struct deliver_part *part = deliver->parts_n > 0 ? deliver->parts : NULL;
    uint64_t first = part != NULL ? part->first : deliver->off;
    uint64_t len = part != NULL ? part->len : deliver->end - deliver->off;
    struct store_source source;
    enum err rc;

    if (deliver->source != DELIVER_STORE || deliver->object.tail.len == deliver->object.body_len)
        return DELIVER_RIGHT; /* the record was verified */
    source = source_of(deliver);
    if (len > DELIVER_BATCH_MAX)
        len = DELIVER_BATCH_MAX;
    rc = store_verify(proxy_read(deliver->proxy), &source, first, len);
    if (LIKELY(rc == OK))
        return DELIVER_RIGHT;
    *out = (struct deliver_cold){source, first, len};
    deliver_fini(deliver);
    deliver_init(deliver, deliver->proxy, deliver->on_more, deliver->arg);
    return rc == ERR_AGAIN ? DELIVER_COLD : DELIVER_DAMAGED;
}

static enum deliver_next
next_of_object(struct deliver *deliver, const struct batch *batch, size_t *out_n)
{
    const struct store_object *object = &deliver->object;
    struct store_source source = source_of(deliver);
    struct iovec *iov = batch->iov;

    if (deliver->in_section && object->tail.len == object->body_len) { /* small: in its record */
        iov[0].iov_base = (char *)(uintptr_t)object->tail.ptr + deliver->off;
        iov[0].iov_len = object->body_len - deliver->off < batch->len_max
                             ? object->body_len - deliver->off
                             : batch->len_max;
        *out_n = 1;
        return DELIVER_DATA;
    }
    return next_in_store(deliver, &source, deliver->off, batch, out_n);
}

/* Pieces that the fill has dropped from memory. The open section may be older than the commit that
 * let it drop them; it holds nothing of a fill's response, so a new one may take its place. */
static enum deliver_next
next_dropped(struct deliver *deliver, uint64_t oid, uint64_t until, uint64_t at,
             const struct batch *batch, size_t *out_n)
{
    struct store_source source = {oid, until, STORE_NO_SLOT};
    struct batch limited = *batch;
    enum deliver_next next;

    if (until - at < limited.len_max)
        limited.len_max = until - at;
    next = next_in_store(deliver, &source, at, &limited, out_n);
    if (next == DELIVER_FAILED) {
        proxy_read_end(deliver->proxy);
        next = next_in_store(deliver, &source, at, &limited, out_n);
    }
    return next;
}

static enum deliver_next
next_in_fill(struct deliver *deliver, struct fill_reader *reader, uint64_t at,
             const struct batch *batch, size_t *out_n)
{
    uint64_t oid, until;

    switch (fill_next(reader, batch->iov, batch->iov_max, out_n, &oid, &until)) {
    case FILL_NEXT_DATA:
        return DELIVER_DATA;
    case FILL_NEXT_STORE:
        return next_dropped(deliver, oid, until, at, batch, out_n);
    case FILL_NEXT_WAIT:
        return DELIVER_WAIT;
    case FILL_NEXT_END:
        return deliver->end == UINT64_MAX ? DELIVER_END : DELIVER_FAILED;
    case FILL_NEXT_FAILED:
        return DELIVER_FAILED;
    }
    UNREACHABLE();
}

/* Not more than len_max bytes; returns how many there are. */
static uint64_t
trim(struct iovec *iov, size_t *iov_n, uint64_t len_max)
{
    uint64_t len = 0;

    for (size_t i = 0; i < *iov_n; i++) {
        if (iov[i].iov_len >= len_max - len) {
            iov[i].iov_len = len_max - len;
            *iov_n = i + 1;
            return len_max;
        }
        len += iov[i].iov_len;
    }
    return len;
}

static enum deliver_next
next_in_slices(struct deliver *deliver, const struct batch *batch, size_t *out_n)
{
    struct batch limited = *batch;
    struct slices_place place;
    enum deliver_next next;
    enum err rc;

    rc = slices_seek(deliver->slices, deliver->off, deliver->end, &place);
    if (rc != OK)
        return rc == ERR_AGAIN ? DELIVER_WAIT : DELIVER_FAILED;
    if (place.left < limited.len_max)
        limited.len_max = place.left;
    if (place.pin != NULL) {
        struct store_source source = {place.pin->oid, place.pin->body_len, place.pin->slot};

        next = next_in_store(deliver, &source, place.at, &limited, out_n);
    } else {
        next = next_in_fill(deliver, place.reader, place.at, &limited, out_n);
    }
    if (next == DELIVER_DATA && place.reader != NULL)
        (void)trim(batch->iov, out_n, limited.len_max); /* nothing of what should not be there */
    return next == DELIVER_FAILED && slices_reopen(deliver->slices)
               ? next_in_slices(deliver, batch, out_n)
               : next;
}

/* Body bytes from deliver->off on, wherever they are. */
static enum deliver_next
next_of_body(struct deliver *deliver, struct batch batch, size_t *out_n)
{
    if (warming_is_on(&deliver->warming))
        return DELIVER_WAIT;
    if (deliver->end - deliver->off < batch.len_max)
        batch.len_max = deliver->end - deliver->off;
    switch (deliver->source) {
    case DELIVER_NOTHING:
        return DELIVER_END;
    case DELIVER_TEXT:
        batch.iov[0] =
            (struct iovec){(char *)(uintptr_t)deliver->text.ptr + deliver->off, batch.len_max};
        *out_n = 1;
        return DELIVER_DATA;
    case DELIVER_STORE:
        return next_of_object(deliver, &batch, out_n);
    case DELIVER_FILL:
        return next_in_fill(deliver, deliver->reader, deliver->off, &batch, out_n);
    case DELIVER_SLICES:
        return next_in_slices(deliver, &batch, out_n);
    }
    UNREACHABLE();
}

/* A part's text, and of its bytes what there is. */
static enum deliver_next
next_with_lead(struct deliver *deliver, uint64_t len_max, struct iovec *iov, size_t *out_n,
               uint64_t *out_len)
{
    uint64_t left = deliver->lead.len + deliver->end - deliver->off;
    enum deliver_next next;
    size_t n = 0;

    ASSERT(deliver->lead.len < len_max);
    if (deliver->off != deliver->end) {
        next = next_of_body(
            deliver, (struct batch){iov + 1, DELIVER_IOV_MAX - 1, len_max - deliver->lead.len}, &n);
        if (next == DELIVER_FAILED)
            return next;
        if (next != DELIVER_DATA)
            n = 0; /* the text goes ahead */
    }
    iov[0] = (struct iovec){(char *)(uintptr_t)deliver->lead.ptr, deliver->lead.len};
    *out_n = n + 1;
    if (n == 0)
        left = deliver->lead.len;
    *out_len = trim(iov, out_n, left < len_max ? left : len_max);
    return DELIVER_DATA;
}

static inline enum deliver_next
next_plain(struct deliver *deliver, uint64_t len_max, struct iovec *iov, size_t *out_n,
           uint64_t *out_len)
{
    enum deliver_next next;

    *out_n = 0;
    *out_len = 0;
    if (len_max > DELIVER_BATCH_MAX)
        len_max = DELIVER_BATCH_MAX;
    if (UNLIKELY(deliver->lead.len == 0 && deliver->off == deliver->end && !begin_part(deliver)))
        return DELIVER_END;
    if (UNLIKELY(deliver->lead.len > 0))
        return next_with_lead(deliver, len_max, iov, out_n, out_len);
    if (deliver->end - deliver->off < len_max)
        len_max = deliver->end - deliver->off;
    next = next_of_body(deliver, (struct batch){iov, DELIVER_IOV_MAX, len_max}, out_n);
    if (next == DELIVER_DATA)
        *out_len = trim(iov, out_n, len_max);
    return next;
}

enum deliver_next
deliver_next_plain(struct deliver *deliver, uint64_t len_max, struct iovec *iov, size_t *out_n,
                   uint64_t *out_len)
{
    return next_plain(deliver, len_max, iov, out_n, out_len);
}

enum deliver_next
deliver_next(struct deliver *deliver, uint64_t len_max, struct iovec *iov, size_t *out_n,
             uint64_t *out_len)
{
    return LIKELY(deliver->code == NULL)
               ? next_plain(deliver, len_max, iov, out_n, out_len)
               : deliver_next_coded(deliver, len_max, iov, out_n, out_len);
}

void
deliver_sent_plain(struct deliver *deliver, uint64_t n)
{
    uint64_t of_lead = n < deliver->lead.len ? n : deliver->lead.len;

    deliver->lead = slice_skip(deliver->lead, of_lead);
    deliver->off += n - of_lead;
    if (deliver->source == DELIVER_FILL && deliver->reader != NULL)
        fill_sent(deliver->reader, n - of_lead);
    else if (deliver->source == DELIVER_SLICES)
        slices_sent(deliver->slices, n - of_lead);
}

void
deliver_sent(struct deliver *deliver, uint64_t n)
{
    if (LIKELY(deliver->code == NULL))
        deliver_sent_plain(deliver, n);
    else
        deliver_sent_coded(deliver, n);
}

bool
deliver_hold(struct deliver *deliver)
{
    bool held = true;

    if (deliver->source != DELIVER_STORE || !deliver->in_section)
        return true;
    if (deliver->pin.store == NULL && (deliver->off != deliver->end || deliver->parts_n > 0))
        held = store_pin(proxy_read(deliver->proxy), &deliver->object, &deliver->pin);
    deliver->in_section = false;
    return held;
}
