/* Reading: sections, look-ups, bodies, pins. Nothing here waits for the writer, and a hit writes
 * nothing but the entry's used bit. */
#include "storage/reader.h"

#include <stdlib.h>
#include <time.h>

#include "storage/pages.h"
#include "storage/state.h"

enum { FILE_WAIT_NS = 100000 };

enum err
store_reader_new(struct store *store, struct store_reader **out)
{
    struct store_reader *reader;

    ASSERT_TAG(store, STORE_TAG);
    if (posix_memalign((void **)&reader, _Alignof(struct store_reader), sizeof(*reader)) != 0)
        return ERR_NOMEM;
    memset(reader, 0, sizeof(*reader));
    reader->tag = STORE_READER_TAG;
    reader->store = store;
    arena_init(&reader->labels, 0);
    epoch_add(&store->epoch, &reader->slot);
    *out = reader;
    return OK;
}

static void
drop_txn(struct store_reader *reader)
{
    if (reader->cursor != NULL)
        mdb_cursor_close(reader->cursor);
    if (reader->txn != NULL)
        mdb_txn_abort(reader->txn);
    reader->cursor = NULL;
    reader->txn = NULL;
}

void
store_reader_free(struct store_reader **slot)
{
    struct store_reader *reader = *slot;

    *slot = NULL;
    if (reader == NULL)
        return;
    ASSERT_TAG(reader, STORE_READER_TAG);
    epoch_remove(&reader->store->epoch, &reader->slot); /* from here on the writer lets it be */
    drop_txn(reader);
    arena_fini(&reader->labels);
    reader->tag = TAG_FREED;
    free(reader);
}

void
reader_drop_txns(struct store *store)
{
    (void)pthread_mutex_lock(&store->epoch.lock);
    LIST_FOREACH (&store->epoch.slots, link) {
        struct store_reader *reader =
            CONTAINER_OF(CONTAINER_OF(link, struct epoch_slot, link), struct store_reader, slot);

        drop_txn(reader);
    }
    (void)pthread_mutex_unlock(&store->epoch.lock);
}

void
store_reader_hurry(struct store_reader *reader, bool hurried)
{
    ASSERT_TAG(reader, STORE_READER_TAG);
    reader->hurried = hurried;
}

void
store_read_begin(struct store_reader *reader)
{
    ASSERT_TAG(reader, STORE_READER_TAG);
    ASSERT(!epoch_inside(&reader->slot));
    epoch_enter(&reader->slot);
    reader->now_s = 0;
    reader->found.n = reader->found.next = 0;
    reader->last.oid = 0;
}

static void
drop_snapshot(struct store_reader *reader)
{
    if (reader->renewed)
        mdb_txn_reset(reader->txn);
    reader->renewed = false;
}

void
store_read_end(struct store_reader *reader)
{
    ASSERT(epoch_inside(&reader->slot));
    drop_snapshot(reader);
    reader->handed = false;
    if (reader->labels.used_len > 0)
        arena_reset(&reader->labels);
    epoch_leave(&reader->slot);
}

static bool
begin_txn(struct store_reader *reader)
{
    const struct env *env = &reader->store->env;

    if (mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &reader->txn) != 0) {
        reader->txn = NULL;
        return false;
    }
    if (mdb_cursor_open(reader->txn, env->dbi, &reader->cursor) == 0)
        return true;
    reader->cursor = NULL;
    drop_txn(reader);
    return false;
}

enum err
reader_renew(struct store_reader *reader)
{
    unsigned down;

    if (LIKELY(reader->renewed))
        return OK;
    down = atomic_load_explicit(&reader->store->down, memory_order_acquire);
    if (UNLIKELY(down != STORE_UP))
        return down == STORE_SWITCHING ? ERR_AGAIN : ERR_NOT_FOUND;
    reader->view = atomic_load_explicit(&reader->store->purges.view, memory_order_acquire);
    if (UNLIKELY(reader->txn == NULL)) {
        if (!begin_txn(reader))
            return ERR_NOT_FOUND;
    } else if (mdb_txn_renew(reader->txn) != 0 ||
               mdb_cursor_renew(reader->txn, reader->cursor) != 0) {
        drop_txn(reader); /* the next section begins with a new one */
        return ERR_NOT_FOUND;
    }
    reader->renewed = true;
    return OK;
}

/* After ERR_AGAIN, for whoever may wait. The writer waits for all sections before it changes the
 * file, so this one is left meanwhile: of what was read in it nothing is in anybody's hands. */
static void
await_file(struct store_reader *reader)
{
    ASSERT(!reader->renewed && !reader->handed);
    epoch_leave(&reader->slot);
    while (atomic_load_explicit(&reader->store->down, memory_order_acquire) == STORE_SWITCHING)
        (void)nanosleep(&(struct timespec){.tv_nsec = FILE_WAIT_NS}, NULL);
    epoch_enter(&reader->slot);
    reader->found.n = reader->found.next = 0; /* an entry may be another object's by now */
    reader->last.oid = 0;
}

/* One value. A key near the last one is found in the same leaf, without walking down the tree. */
static int
get(struct store_reader *reader, uint64_t key, struct slice *out)
{
    MDB_val name = {sizeof(key), &key}, value;
    int rc = mdb_cursor_get(reader->cursor, &name, &value, MDB_SET);

    if (rc == 0)
        *out = slice_of(value.mv_data, value.mv_size);
    return rc;
}

/* --- finding --- */

static uint64_t
oid_of(const struct store_reader *reader, uint32_t number)
{
    return index_entry(&reader->store->index, number)->oid;
}

/* The newest matches below `below`, into reader->found. */
static void
collect(struct store_reader *reader, struct store_hash hash, uint64_t below)
{
    struct index_probe probe;
    uint32_t number;

    reader->found.hash = hash;
    reader->found.next = reader->found.n = 0;
    /* Before the index: a view from which a purge has gone is newer than the removal of all it
     * named, so what it no longer hides is not found. The other way round, an entry found before
     * the sweep's end would be judged by a view from after it. */
    reader->found.view = atomic_load_explicit(&reader->store->purges.view, memory_order_acquire);
    index_probe_begin(&reader->store->index, hash, &probe);
    while ((number = index_probe_next(&probe)) != INDEX_NONE) {
        const struct index_entry *entry = index_entry(&reader->store->index, number);
        uint64_t oid = entry->oid;
        uint32_t at = reader->found.n;

        if (entry->member != 0 || (below != 0 && oid >= below))
            continue;
        while (at > 0 && oid_of(reader, reader->found.numbers[at - 1]) < oid)
            at--;
        if (at == READER_FOUND_MAX)
            continue;
        if (reader->found.n < READER_FOUND_MAX)
            reader->found.n++;
        memmove(&reader->found.numbers[at + 1], &reader->found.numbers[at],
                (reader->found.n - at - 1) * sizeof(reader->found.numbers[0]));
        reader->found.numbers[at] = number;
    }
}

/* Is reader->found the cursor's, and does it stand where the cursor does? */
static bool
goes_on(const struct store_reader *reader, const struct store_cursor *cursor)
{
    return cursor->position != 0 && reader->found.next > 0 &&
           reader->found.hash.lo == cursor->key->hash.lo &&
           reader->found.hash.hi == cursor->key->hash.hi &&
           oid_of(reader, reader->found.numbers[reader->found.next - 1]) == cursor->position;
}

static uint32_t
next_match(struct store_reader *reader, const struct store_cursor *cursor)
{
    if (!goes_on(reader, cursor) ||
        (reader->found.next == reader->found.n && reader->found.n == READER_FOUND_MAX))
        collect(reader, cursor->key->hash, cursor->position);
    if (reader->found.next == reader->found.n)
        return INDEX_NONE;
    return reader->found.numbers[reader->found.next++];
}

static bool
copy_labels(struct store_reader *reader, const struct record *record, struct store_object *out)
{
    void *copy;

    out->labels_n = record->labels_n;
    out->labels = record->labels;
    if (record->labels_n == 0 || (uintptr_t)record->labels % _Alignof(uint64_t) == 0)
        return true;
    copy = arena_alloc(&reader->labels, record->labels_n * sizeof(uint64_t));
    if (copy == NULL)
        return false;
    memcpy(copy, record->labels, record->labels_n * sizeof(uint64_t));
    out->labels = copy;
    return true;
}

/* By both views: a sweep that ended since the snapshot was taken has left its marks in records that
 * the snapshot does not show, and its purges are in no later view. */
static enum store_purged
match_views(const struct store_reader *reader, const struct purge_subject *subject)
{
    const struct purge_table *views[] = {reader->found.view, reader->view};
    enum store_purged worst = STORE_NOT_PURGED;

    if (purge_is_soft_by_all(&reader->store->purges, subject->birth))
        worst = STORE_PURGED_SOFT;
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        enum store_purged purged = STORE_NOT_PURGED;

        if (views[i] != NULL && (i == 0 || views[i] != views[0]))
            purged = purge_table_match(views[i], subject);
        if (purged > worst)
            worst = purged;
    }
    return worst;
}

enum look { LOOK_FOUND, LOOK_OTHER, LOOK_GONE, LOOK_COLD };

static enum look
read_record(struct store_reader *reader, struct index_entry *entry, struct slice *out)
{
    bool hurried = reader->hurried;
    int rc;

    if (hurried && UNLIKELY(!pages_have_record(reader, entry)))
        return LOOK_COLD;
    rc = get(reader, record_key(entry->oid, RECORD_PIECE), out);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? LOOK_GONE : LOOK_OTHER;
    return hurried && UNLIKELY(!pages_have_value(reader, *out)) ? LOOK_COLD : LOOK_FOUND;
}

/* Is it what is looked for? Then what purges say of it. */
static bool
judge(struct store_reader *reader, const struct store_key *key, const struct record *record,
      struct store_object *out)
{
    struct store *store = reader->store;
    enum store_purged purged = STORE_NOT_PURGED;

    if (!slice_equal(record->key, key->text))
        return false;
    if (UNLIKELY(reader->found.view != NULL || reader->view != NULL ||
                 purge_is_soft_by_all(&store->purges, record->birth))) {
        struct purge_subject subject = {record->birth, key->hash, record->key, record->labels,
                                        record->labels_n};

        purged = match_views(reader, &subject);
    }
    if (purged == STORE_PURGED_HARD || !copy_labels(reader, record, out))
        return false;
    out->soft_purged = (record->flags & RECORD_SOFT) != 0 || purged == STORE_PURGED_SOFT;
    return true;
}

/* The same of a member: its record says whether it is of this family, for the index may be newer
 * than the snapshot. */
static bool
judge_member(const struct store_object *head, const struct record *record, struct store_object *out)
{
    if (record->family != head->family || record->member == 0)
        return false;
    out->soft_purged = head->soft_purged;
    out->labels = NULL;
    out->labels_n = 0;
    return true;
}

/* Read the record of an entry: is it what `key` asks for, or a member of `head`? */
static enum look
look_at(struct store_reader *reader, uint32_t number, const struct store_key *key,
        const struct store_object *head, struct store_object *out)
{
    struct store *store = reader->store;
    struct index_entry *entry = index_entry(&store->index, number);
    unsigned verified = atomic_load_explicit(&entry->verified, memory_order_relaxed);
    struct slice value;
    struct record record;
    enum look look;
    bool is_new;

    if (UNLIKELY((verified & VERIFY_BAD) != 0))
        return LOOK_OTHER;
    look = read_record(reader, entry, &value);
    if (look != LOOK_FOUND)
        return look;
    is_new = (verified & VERIFY_RECORD) == 0;
    if (UNLIKELY(record_decode(value, entry->oid, is_new, &record) != OK)) {
        verify_report_record(store, number, entry->oid);
        return LOOK_OTHER;
    }
    if (UNLIKELY(is_new))
        (void)atomic_fetch_or_explicit(&entry->verified, VERIFY_RECORD, memory_order_relaxed);
    pages_saw_record(reader, entry);
    if ((record.flags & RECORD_DEAD) != 0 ||
        !(head == NULL ? judge(reader, key, &record, out) : judge_member(head, &record, out)))
        return LOOK_OTHER;
    out->oid = entry->oid;
    out->slot = number;
    out->member = record.member;
    out->variant = record.variant;
    out->family = record.family;
    out->birth = record.birth;
    out->body_len = record.body_len;
    out->key = record.key;
    out->meta = record.meta;
    out->head = record.head;
    out->tail = record.tail;
    reader->last.oid = out->oid;
    reader->last.tail = record.tail;
    reader->handed = true;
    return LOOK_FOUND;
}

/* A member that is looked for. There may be two of it for a moment: one is written again. */
struct seeking {
    const struct store_object *head;
    uint8_t member;
    struct index_probe probe;
};

static void
seek(const struct store_reader *reader, struct seeking *seeking)
{
    const struct index *index = &reader->store->index;

    index_probe_begin(index, index_entry(index, seeking->head->slot)->hash, &seeking->probe);
}

static uint32_t
next_member(struct seeking *seeking)
{
    uint32_t number;

    while ((number = index_probe_next(&seeking->probe)) != INDEX_NONE) {
        const struct index_entry *entry = index_entry(seeking->probe.index, number);

        if (entry->member == seeking->member && entry->variant == seeking->head->variant)
            break;
    }
    return number;
}

/* The next object under the cursor's key, or (`seeking` not NULL) a member. ERR_AGAIN: it is cold,
 * or the file is not there at this moment. */
static enum err
find(struct store_reader *reader, struct store_cursor *cursor, struct seeking *seeking,
     struct store_object *out)
{
    bool again = true;
    uint32_t number;

    if (UNLIKELY(atomic_load_explicit(&reader->store->down, memory_order_acquire) == STORE_DOWN))
        return ERR_NOT_FOUND; /* the index is emptied */
    while ((number = seeking == NULL ? next_match(reader, cursor) : next_member(seeking)) !=
           INDEX_NONE) {
        uint64_t oid = oid_of(reader, number);
        enum err rc = reader_renew(reader);

        if (UNLIKELY(rc != OK)) {
            reader->found.n = reader->found.next = 0; /* it is to be found again */
            return rc;
        }
        switch (look_at(reader, number, cursor->key, seeking == NULL ? NULL : seeking->head, out)) {
        case LOOK_FOUND:
            cursor->position = oid;
            return OK;
        case LOOK_GONE:
            /* Replaced between the look-up and the snapshot, or younger than the snapshot: look
             * again with a new one, if nothing of this one is in the caller's hands. */
            if (again && !reader->handed) {
                again = false;
                drop_snapshot(reader);
                reader->found.n = reader->found.next = 0;
                if (seeking != NULL)
                    seek(reader, seeking);
                continue;
            }
            break;
        case LOOK_COLD:
            reader->found.n = reader->found.next = 0; /* it is to be found again */
            return ERR_AGAIN;
        case LOOK_OTHER:
            break;
        }
        cursor->position = oid;
    }
    return ERR_NOT_FOUND;
}

bool
store_find(struct store_reader *reader, struct store_cursor *cursor, struct store_object *out)
{
    enum err rc;

    ASSERT(epoch_inside(&reader->slot));
    rc = find(reader, cursor, NULL, out);
    while (UNLIKELY(rc == ERR_AGAIN) && !reader->hurried) {
        await_file(reader);
        rc = find(reader, cursor, NULL, out);
    }
    cursor->cold = rc == ERR_AGAIN;
    return rc == OK;
}

/* --- members --- */

bool
store_find_member(struct store_reader *reader, const struct store_object *head, uint8_t member,
                  struct store_object *out, bool *out_cold)
{
    struct seeking seeking = {.head = head, .member = member};
    struct store_cursor unused = {0};
    enum err rc = ERR_NOT_FOUND;

    ASSERT(epoch_inside(&reader->slot) && member != 0 && head->member == 0);
    if (head->family != 0) {
        seek(reader, &seeking);
        rc = find(reader, &unused, &seeking, out);
    }
    while (UNLIKELY(rc == ERR_AGAIN) && !reader->hurried) { /* only with a head that is pinned */
        await_file(reader);
        seek(reader, &seeking);
        rc = find(reader, &unused, &seeking, out);
    }
    *out_cold = rc == ERR_AGAIN;
    return rc == OK;
}

/* The lowest number above `after` in the index; 0: none. */
static uint8_t
number_after(const struct index *index, const struct store_object *head, uint8_t after)
{
    struct index_probe probe;
    uint32_t number;
    uint8_t lowest = 0;

    index_probe_begin(index, index_entry(index, head->slot)->hash, &probe);
    while ((number = index_probe_next(&probe)) != INDEX_NONE) {
        const struct index_entry *entry = index_entry(index, number);

        if (entry->variant == head->variant && entry->member > after &&
            (lowest == 0 || entry->member < lowest))
            lowest = entry->member;
    }
    return lowest;
}

bool
store_next_member(struct store_reader *reader, const struct store_object *head, uint8_t after,
                  struct store_object *out, bool *out_cold)
{
    ASSERT(epoch_inside(&reader->slot));
    *out_cold = false;
    while (head->family != 0 && !*out_cold &&
           (after = number_after(&reader->store->index, head, after)) != 0)
        if (store_find_member(reader, head, after, out, out_cold))
            return true;
    return false;
}

/* --- used, kept --- */

void
store_touch(struct store_reader *reader, const struct store_object *object)
{
    struct index_entry *entry = index_entry(&reader->store->index, object->slot);

    if (atomic_load_explicit(&entry->visited, memory_order_relaxed) == 0)
        atomic_store_explicit(&entry->visited, 1, memory_order_relaxed);
}

bool
store_pin(struct store_reader *reader, const struct store_object *object, struct store_pin *out)
{
    ASSERT(epoch_inside(&reader->slot));
    if (!index_pin(index_entry(&reader->store->index, object->slot)))
        return false;
    *out = (struct store_pin){reader->store, object->oid, object->slot, object->body_len};
    return true;
}

void
store_unpin(struct store_pin *pin)
{
    if (pin->store == NULL)
        return;
    index_unpin(index_entry(&pin->store->index, pin->slot));
    pin->store = NULL;
}

/* --- bodies --- */

static enum err
find_tail(struct store_reader *reader, const struct store_source *source)
{
    struct slice value;
    struct record record;
    int rc;

    if (reader->last.oid == source->oid)
        return OK;
    rc = get(reader, record_key(source->oid, RECORD_PIECE), &value);
    if (rc != 0)
        return env_err(rc);
    if (reader->hurried && !pages_have_value(reader, value))
        return ERR_AGAIN;
    if (record_decode(value, source->oid, false, &record) != OK ||
        record.body_len != source->body_len)
        return ERR_NOT_FOUND;
    reader->last.oid = source->oid;
    reader->last.tail = record.tail;
    return OK;
}

/* A record that says of what there is not: but for what is going, of which the pieces go too when
 * the file is given up. */
static bool
is_damage(const struct store *store, const struct store_source *source, enum err rc)
{
    const struct index_entry *entry;

    if (source->slot == STORE_NO_SLOT || (rc != ERR_NOT_FOUND && rc != ERR_STORE_CORRUPT))
        return false;
    entry = index_entry(&store->index, source->slot);
    return (atomic_load_explicit(&entry->pins, memory_order_relaxed) & INDEX_GOING) == 0;
}

/* Its bytes are verified when they are read first. */
static enum err
find_piece(struct store_reader *reader, const struct store_source *source,
           const struct record_span *span, struct slice *out)
{
    struct store *store = reader->store;
    enum err rc = env_err(get(reader, record_key(source->oid, span->piece), out));

    if (rc == OK && reader->hurried && !pages_have_value(reader, *out))
        return ERR_AGAIN;
    if (rc == OK)
        rc = record_piece_decode(*out, span->len, out);
    if (LIKELY(rc == OK)) {
        if (LIKELY(reader->blind || verify_is_done(store, source, span->piece)) ||
            verify_piece(store, source, span->piece, *out))
            return OK;
        return ERR_STORE_CORRUPT;
    }
    if (is_damage(store, source, rc))
        verify_report_piece(store, source, span->piece);
    return rc;
}

static enum err
find_span(struct store_reader *reader, const struct store_source *source,
          const struct record_span *span, struct slice *out)
{
    enum err rc = reader_renew(reader);

    while (UNLIKELY(rc == ERR_AGAIN) && !reader->hurried) {
        await_file(reader);
        rc = reader_renew(reader);
    }
    if (UNLIKELY(rc != OK))
        return rc;
    if (reader->hurried && !pages_have_key(reader, record_key(source->oid, span->piece)))
        return ERR_AGAIN;
    if (span->piece != RECORD_PIECE)
        return find_piece(reader, source, span, out);
    rc = find_tail(reader, source);
    if (rc != OK)
        return rc;
    *out = reader->last.tail; /* the record's checksum is over it */
    return out->len == span->len ? OK : ERR_STORE_CORRUPT;
}

enum err
store_body(struct store_reader *reader, const struct store_source *source, uint64_t off,
           uint64_t len_max, struct iovec *iov, size_t iov_max, size_t *out_n)
{
    size_t n = 0;

    ASSERT(epoch_inside(&reader->slot));
    if (source->body_len / BLOCK_FULL_LEN > RECORD_PIECES_MAX)
        return ERR_NOT_FOUND;
    while (off < source->body_len && len_max > 0 && n < iov_max) {
        struct record_span span = record_span_at(source->body_len, off);
        struct slice part;
        enum err rc = find_span(reader, source, &span, &part);

        if (rc != OK && n > 0)
            break; /* what comes before it is right */
        if (rc != OK)
            return rc;
        part = slice_skip(part, (size_t)(off - span.off));
        part = slice_first(part, len_max < SIZE_MAX ? (size_t)len_max : SIZE_MAX);
        reader->handed = true;
        iov[n++] = (struct iovec){(void *)part.ptr, part.len};
        off += part.len;
        len_max -= part.len;
    }
    *out_n = n;
    return OK;
}

enum err
store_verify(struct store_reader *reader, const struct store_source *source, uint64_t off,
             uint64_t len)
{
    uint64_t end = off + len;

    ASSERT(epoch_inside(&reader->slot) && end >= off && end <= source->body_len);
    if (source->body_len / BLOCK_FULL_LEN > RECORD_PIECES_MAX)
        return ERR_NOT_FOUND;
    while (off < end) {
        struct record_span span = record_span_at(source->body_len, off);

        if (span.piece != RECORD_PIECE && !verify_is_done(reader->store, source, span.piece)) {
            struct slice part;
            enum err rc = find_span(reader, source, &span, &part);

            if (rc != OK)
                return rc;
        }
        off = span.off + span.len;
    }
    return OK;
}
