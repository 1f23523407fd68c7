/* Reading everything back: every object against its checksums, every page against the counts. */
#include <time.h>

#include "storage/state.h"

enum { CHECK_TRIES_MAX = 5000, CHECK_PAUSE_NS = 500000 };

/* The next record after *oid, into *out. ERR_NOT_FOUND: no more. The section is open. */
static enum err
next_record(struct store_reader *reader, uint64_t *oid, struct slice *out)
{
    MDB_cursor *cursor;
    MDB_val name, value;
    uint64_t key = record_key(*oid + 1, 0);
    int rc = mdb_cursor_open(reader->txn, reader->store->env.dbi, &cursor);

    if (rc != 0)
        return env_err(rc);
    for (;;) {
        name = (MDB_val){sizeof(key), &key};
        rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
        if (rc != 0)
            break;
        memcpy(&key, name.mv_data, sizeof(key));
        if ((key & RECORD_PIECE) == RECORD_PIECE)
            break;
        key |= RECORD_PIECE; /* a piece: on to its record, or to what follows when it has none */
    }
    if (rc == 0) {
        *oid = key >> RECORD_PIECE_BITS;
        *out = slice_of(value.mv_data, value.mv_size);
    }
    mdb_cursor_close(cursor);
    return env_err(rc);
}

/* ERR_NOT_FOUND also when it went while it was read: the caller looks whether the record is there.
 */
static enum err
check_piece(struct store_reader *reader, uint64_t oid, const struct record_span *span)
{
    uint64_t key = record_key(oid, span->piece);
    struct slice bytes;
    enum err rc;

    if (!reader_renew(reader))
        return ERR_STORE_IO;
    rc = env_err(env_get(&reader->store->env, reader->txn, key, &bytes));
    if (rc == OK)
        rc = record_piece_decode(bytes, span->len, &bytes);
    return rc != OK || record_piece_is_right(bytes, key) ? rc : ERR_STORE_CORRUPT;
}

/* The tail lies in the record. */
static enum err
check_body(struct store_reader *reader, uint64_t oid, uint64_t body_len)
{
    enum err rc = OK;

    for (uint64_t off = 0; off < body_len && rc == OK;) {
        struct record_span span = record_span_at(body_len, off);

        if (span.piece == RECORD_PIECE)
            break;
        rc = check_piece(reader, oid, &span);
        off += span.len;
        store_read_end(reader); /* no long transactions */
        store_read_begin(reader);
    }
    return rc;
}

static bool
still_there(struct store_reader *reader, uint64_t oid)
{
    struct slice value;

    return reader_renew(reader) &&
           env_get(&reader->store->env, reader->txn, record_key(oid, RECORD_PIECE), &value) == 0;
}

static enum err
check_object(struct store_reader *reader, uint64_t oid, struct slice value, struct store_check *out)
{
    struct record record;
    uint64_t body_len;
    enum err rc;

    if (record_decode(value, oid, true, &record) != OK) {
        out->bad++;
        return OK;
    }
    if ((record.flags & RECORD_DEAD) != 0)
        return OK;
    body_len = record.body_len; /* its slices end with the first section */
    rc = check_body(reader, oid, body_len);
    if (rc == OK) {
        out->objects++;
        out->bytes += body_len;
    } else if (still_there(reader, oid)) {
        out->bad++;
    }
    return OK;
}

static enum err
check_objects(struct store_reader *reader, struct store_check *out)
{
    enum err rc;

    for (uint64_t oid = 0;;) {
        struct slice value;

        store_read_begin(reader);
        rc = reader_renew(reader) ? next_record(reader, &oid, &value) : ERR_STORE_IO;
        if (rc == OK)
            rc = check_object(reader, oid, value, out);
        store_read_end(reader);
        if (rc != OK)
            return rc == ERR_NOT_FOUND ? OK : rc;
    }
}

static enum err
count_free(struct store_reader *reader, uint64_t *out)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(reader->txn, 0, &cursor); /* the list of free pages */

    if (rc != 0)
        return env_err(rc);
    *out = 0;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t n;

        memcpy(&n, value.mv_data, sizeof(n)); /* a count, then that many page numbers */
        *out += n;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? OK : env_err(rc);
}

/* The file's length is known of the newest commit only: take a snapshot that is the newest. */
static enum err
count_pages(struct store_reader *reader, struct store_check *out)
{
    const struct env *env = &reader->store->env;

    for (unsigned i = 0; i < CHECK_TRIES_MAX; i++) {
        enum err rc = ERR_STORE_IO;
        bool newest = false;

        store_read_begin(reader);
        if (reader_renew(reader)) {
            rc = count_free(reader, &out->free_pages);
            out->used_pages = env_used_pages(env, reader->txn);
            out->file_pages = env_file_pages(env);
            newest = mdb_txn_id(reader->txn) == env_last_txnid(env);
        }
        store_read_end(reader);
        if (rc != OK || newest)
            return rc;
        (void)nanosleep(&(struct timespec){.tv_nsec = CHECK_PAUSE_NS}, NULL); /* mid-commit */
    }
    return ERR_AGAIN; /* it is written faster than it is counted */
}

enum err
store_check(struct store *store, struct store_check *out)
{
    struct store_reader *reader;
    struct store_check check = {0};
    enum err rc = store_reader_new(store, &reader);

    if (rc != OK)
        return rc;
    rc = check_objects(reader, &check);
    if (rc == OK)
        rc = count_pages(reader, &check);
    store_reader_free(&reader);
    if (rc == OK)
        *out = check;
    return rc;
}
