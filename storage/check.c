/* Reading everything back: every object against its checksums, every page against the counts.
 *
 * Sections are short: one record, or one piece. What is stored while a check is at work is not
 * looked at, so that it comes to an end; what is found damaged is dropped as if a look-up had found
 * it, so that it is fetched again. */
#include "storage/check.h"

#include <sys/mman.h>
#include <time.h>

#include "base/log.h"
#include "base/stats.h"
#include "storage/ahead.h"
#include "storage/state.h"

enum {
    COUNT_TRIES_MAX = 5000,
    COUNT_PAUSE_US = 500,
    PAUSE_MIN_US = 2000,     /* a shorter one is put off */
    BEHIND_MAX_US = 1000000, /* a slow disk's lost time is not made good beyond this */
    LOST_MAX = 256,
    FILE_WAIT_US = 20000,
    FILE_WAITS_MAX = 250 /* in all */
};

/* One check at work. */
struct run {
    struct store *store;
    struct check *check; /* NULL: on the caller's thread, and nobody can stop it */
    struct store_reader *reader;
    struct store_check found;
    int64_t resets; /* of the store, when it began */
    unsigned waits_n;
    uint64_t due_us;                   /* when what was read so far may have been read */
    uint64_t oid_first, oid_end;       /* what was stored when it began */
    struct ahead ahead;                /* along the leaves */
    uintptr_t ahead_from, ahead_until; /* of the pages of bodies: asked for */
    uint64_t lost[LOST_MAX];           /* damaged records of which nobody can tell the key */
    size_t lost_n;
};

static uint64_t
now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* --- waiting --- */

/* Until then, or until it is to stop: ERR_CANCELLED. */
static enum err
pause_until(struct run *run, uint64_t until_us)
{
    const struct timespec until = {(time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000};
    struct check *check = run->check;
    bool stop;

    if (check == NULL) {
        if (until_us != 0)
            (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        return OK;
    }
    (void)pthread_mutex_lock(&check->lock);
    check->told = run->found;
    while (!check->stop && now_us() < until_us)
        (void)pthread_cond_timedwait(&check->wake, &check->lock, &until);
    stop = check->stop;
    (void)pthread_mutex_unlock(&check->lock);
    return stop ? ERR_CANCELLED : OK;
}

/* `len` bytes were read: not sooner than the rate allows. No section is open. */
static enum err
pace(struct run *run, uint64_t len)
{
    uint64_t now = now_us();

    STAT_ADD(store_checked_bytes, len);
    if (run->found.rate == 0)
        return pause_until(run, 0);
    if (run->due_us + BEHIND_MAX_US < now)
        run->due_us = now - BEHIND_MAX_US;
    run->due_us += len * 1000000 / run->found.rate;
    return pause_until(run, run->due_us > now + PAUSE_MIN_US ? run->due_us : 0);
}

/* --- what is damaged --- */

struct answer {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool there;
    uint64_t n;
};

static void
on_dropped(void *arg, enum err rc, uint64_t n)
{
    struct answer *answer = arg;

    (void)rc; /* n is 0, then */
    (void)pthread_mutex_lock(&answer->lock);
    answer->n = n;
    answer->there = true;
    (void)pthread_cond_signal(&answer->wake);
    (void)pthread_mutex_unlock(&answer->lock);
}

/* The writer knows which of them were objects: the others are about to be deleted already. No
 * section is open. ERR_NOMEM. */
static enum err
flush_lost(struct run *run)
{
    struct answer answer = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};
    enum err rc = OK;

    if (run->lost_n > 0)
        rc = verify_drop_lost(run->store, run->lost, run->lost_n,
                              (struct store_done){on_dropped, &answer});
    if (rc == OK && run->lost_n > 0) {
        (void)pthread_mutex_lock(&answer.lock);
        while (!answer.there)
            (void)pthread_cond_wait(&answer.wake, &answer.lock);
        (void)pthread_mutex_unlock(&answer.lock);
    }
    run->lost_n = 0;
    run->found.bad += answer.n;
    if (answer.n == 0)
        return rc;
    STAT_ADD(store_bad_records, answer.n);
    LOG(WARN, store_damage, "text=\"records were not what was stored; they are dropped\" n=%llu",
        (unsigned long long)answer.n);
    return rc;
}

/* The section is open. */
static void
note_bad_record(struct run *run, uint64_t oid, struct slice value)
{
    struct record record;
    uint32_t slot = INDEX_NONE;

    if (record_decode(value, oid, false, &record) == OK)
        slot = index_find(&run->store->index, store_hash(record.key), oid);
    if (slot == INDEX_NONE) {
        run->lost[run->lost_n++] = oid;
        return;
    }
    run->found.bad++;
    verify_report_record(run->store, slot, oid);
}

/* --- objects --- */

/* The next record after *oid, into *out. The section is open. ERR_NOT_FOUND: no more;
 * ERR_STORE_CORRUPT: the tree itself is damaged. */
static enum err
next_record(struct run *run, uint64_t *oid, struct slice *out)
{
    uint64_t key = record_key(*oid + 1, 0);

    for (;;) {
        MDB_val name = {sizeof(key), &key}, value;
        int rc = mdb_cursor_get(run->reader->cursor, &name, &value, MDB_SET_RANGE);
        uint64_t found;

        if (rc != 0)
            return env_err(rc);
        ahead_see(&run->ahead, name.mv_data);
        memcpy(&found, name.mv_data, sizeof(found));
        if (name.mv_size != sizeof(found) || found < key)
            return ERR_STORE_CORRUPT; /* it would go on for ever */
        key = found;
        *oid = key >> RECORD_PIECE_BITS;
        *out = slice_of(value.mv_data, value.mv_size);
        if ((key & RECORD_PIECE) == RECORD_PIECE)
            return OK;
        key |= RECORD_PIECE; /* a piece: on to its record, or to what follows when it has none */
    }
}

/* What is not in memory of a piece, and of what follows, for neighbouring ids lie side by side for
 * the most part: the map has no read-ahead of its own. */
static void
fetch(struct run *run, struct slice bytes)
{
    uintptr_t from = (uintptr_t)bytes.ptr & ~(uintptr_t)(RECORD_PAGE_LEN - 1);
    uintptr_t until = (uintptr_t)bytes.ptr + bytes.len;

    if (from >= run->ahead_from && until <= run->ahead_until)
        return;
    run->ahead_from = from;
    run->ahead_until = until + AHEAD_LEN;
    (void)madvise((void *)from, run->ahead_until - from, MADV_WILLNEED); /* up to the map's end */
}

/* The section is open. ERR_STORE_CORRUPT: it is not what was stored; ERR_NOT_FOUND. */
static enum err
check_piece(struct run *run, uint64_t oid, const struct record_span *span)
{
    uint64_t key = record_key(oid, span->piece);
    struct slice bytes;
    enum err rc;

    if (reader_renew(run->reader) != OK)
        return ERR_STORE_IO;
    rc = env_err(env_get(&run->store->env, run->reader->txn, key, &bytes));
    if (rc == OK)
        rc = record_piece_decode(bytes, span->len, &bytes);
    if (rc != OK)
        return rc;
    fetch(run, bytes);
    return record_piece_is_right(bytes, key) ? OK : ERR_STORE_CORRUPT;
}

/* In the section that found it: the object may have gone since its record was read, and its entry
 * may be another's by now. */
static void
note_bad_piece(struct run *run, uint64_t oid, uint64_t body_len, uint32_t piece)
{
    struct store_source source = {.oid = oid, .body_len = body_len};
    struct record record;
    struct slice value;

    if (env_get(&run->store->env, run->reader->txn, record_key(oid, RECORD_PIECE), &value) != 0 ||
        record_decode(value, oid, false, &record) != OK || record.body_len != body_len ||
        (record.flags & RECORD_DEAD) != 0)
        return;
    source.slot = index_find(&run->store->index, store_hash(record.key), oid);
    if (source.slot == INDEX_NONE)
        return; /* dropped since the snapshot was taken */
    run->found.bad++;
    verify_report_piece(run->store, &source, piece);
}

/* Its pieces, in sections of their own. The tail lies in the record. */
static enum err
check_body(struct run *run, uint64_t oid, uint64_t body_len, bool *out_right)
{
    enum err rc = OK;

    *out_right = true;
    for (uint64_t off = 0; off < body_len && *out_right && rc == OK;) {
        struct record_span span = record_span_at(body_len, off);
        enum err found;

        if (span.piece == RECORD_PIECE)
            break;
        store_read_begin(run->reader);
        found = check_piece(run, oid, &span);
        *out_right = found == OK;
        if (found == ERR_STORE_CORRUPT || found == ERR_NOT_FOUND)
            note_bad_piece(run, oid, body_len, span.piece);
        store_read_end(run->reader);
        if (found == ERR_STORE_IO)
            return found;
        off += span.len;
        rc = pace(run, span.len);
    }
    return rc;
}

/* A member that is in the index, without its head: in this order, for it comes after that and goes
 * before. While the index is not whole, nobody knows. */
static bool
is_stray(const struct run *run, uint64_t oid, const struct record *record)
{
    const struct index *index = &run->store->index;
    struct store_hash hash = store_hash(record->key);

    return record->member != 0 && store_is_ready(run->store) &&
           index_find_member(index, hash, record->variant, 0) == INDEX_NONE &&
           index_find(index, hash, oid) != INDEX_NONE;
}

/* What a record says, before its section ends. False: there is no body to be read. */
static bool
take_record(struct run *run, uint64_t oid, struct slice value, struct record *out)
{
    if (record_decode(value, oid, true, out) != OK) {
        note_bad_record(run, oid, value);
        return false;
    }
    if ((out->flags & RECORD_DEAD) != 0)
        return false;
    if (!is_stray(run, oid, out))
        return true;
    run->lost[run->lost_n++] = oid;
    return false;
}

/* A share of ids, not of bytes: nobody knows these before. */
static void
note_progress(struct run *run, uint64_t oid)
{
    run->found.permille =
        oid >= run->oid_end
            ? 1000
            : (unsigned)((oid + 1 - run->oid_first) * 1000 / (run->oid_end - run->oid_first));
}

static enum err
check_object(struct run *run, uint64_t *oid)
{
    struct record record = {0};
    struct slice value;
    size_t record_len = 0;
    bool has_body = false, right;
    enum err rc;

    store_read_begin(run->reader);
    rc = reader_renew(run->reader) == OK ? next_record(run, oid, &value) : ERR_STORE_IO;
    if (rc == OK && *oid >= run->oid_end)
        rc = ERR_NOT_FOUND;
    if (rc == OK) {
        has_body = take_record(run, *oid, value, &record);
        record_len = value.len;
    }
    store_read_end(run->reader);
    if (run->lost_n == LOST_MAX)
        rc = flush_lost(run);
    if (rc == OK)
        rc = pace(run, record_len);
    if (rc != OK || !has_body)
        return rc;
    rc = check_body(run, *oid, record.body_len, &right);
    if (rc == OK && right) {
        run->found.objects++;
        run->found.members += record.member != 0;
        run->found.bytes += record.body_len;
    }
    note_progress(run, *oid);
    return rc;
}

/* The ids there are now. */
static enum err
find_bounds(struct run *run)
{
    struct slice value;
    uint64_t oid = 0;
    MDB_val name, data;
    enum err rc = ERR_STORE_IO;

    store_read_begin(run->reader);
    if (reader_renew(run->reader) == OK) {
        rc = next_record(run, &oid, &value);
        run->oid_first = oid;
        if (rc == OK)
            rc = env_err(mdb_cursor_get(run->reader->cursor, &name, &data, MDB_LAST));
        if (rc == OK) {
            memcpy(&oid, name.mv_data, sizeof(oid));
            run->oid_end = (oid >> RECORD_PIECE_BITS) + 1;
        }
    }
    store_read_end(run->reader);
    return rc;
}

/* There is no file at the moment. One of another size has the same objects under the same ids, so
 * the check goes on in it; a store that began anew has none of them. */
static enum err
wait_for_file(struct run *run)
{
    while (run->waits_n++ < FILE_WAITS_MAX) {
        enum err rc = pause_until(run, now_us() + FILE_WAIT_US);

        if (rc != OK || stats_read(STAT_store_resets) != run->resets)
            return rc != OK ? rc : ERR_STORE_IO;
        if (!atomic_load_explicit(&run->store->down, memory_order_acquire))
            return OK;
    }
    return ERR_STORE_IO;
}

static enum err
check_objects(struct run *run)
{
    uint64_t oid = 0;
    enum err rc = find_bounds(run);

    while (rc == OK) {
        uint64_t before = oid;

        rc = check_object(run, &oid);
        if (rc != ERR_STORE_IO)
            continue;
        rc = wait_for_file(run);
        oid = before;
    }
    return rc == ERR_NOT_FOUND ? flush_lost(run) : rc;
}

/* --- pages --- */

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
count_pages(struct run *run)
{
    const struct env *env = &run->store->env;
    struct store_check *out = &run->found;

    for (unsigned i = 0; i < COUNT_TRIES_MAX; i++) {
        enum err rc = ERR_STORE_IO;
        bool newest = false;

        store_read_begin(run->reader);
        if (reader_renew(run->reader) == OK) {
            rc = count_free(run->reader, &out->free_pages);
            out->used_pages = env_used_pages(env, run->reader->txn);
            out->file_pages = env_file_pages(env);
            newest = mdb_txn_id(run->reader->txn) == env_last_txnid(env);
        }
        store_read_end(run->reader);
        if (rc == OK && !newest)
            rc = pause_until(run, now_us() + COUNT_PAUSE_US); /* mid-commit */
        if (rc != OK || newest)
            return rc;
    }
    return ERR_AGAIN; /* it is written faster than it is counted */
}

/* --- the whole --- */

static enum err
run_all(struct run *run)
{
    enum err rc = store_reader_new(run->store, &run->reader);

    if (rc != OK)
        return rc;
    run->due_us = now_us();
    run->resets = stats_read(STAT_store_resets);
    rc = check_objects(run);
    if (rc == OK)
        rc = count_pages(run);
    store_reader_free(&run->reader);
    if (rc == OK)
        run->found.permille = 1000;
    return rc;
}

enum err
store_check(struct store *store, struct store_check *out)
{
    struct run run = {.store = store, .found.state = STORE_CHECK_DONE};
    enum err rc;

    ASSERT_TAG(store, STORE_TAG);
    rc = run_all(&run);
    if (rc == OK)
        *out = run.found;
    return rc;
}

static void
log_end(const struct store_check *found)
{
    static const char *const states[] = {"none", "running", "done", "stopped", "failed"};

    LOG(INFO, store,
        "text=\"the check has ended\" state=%s objects=%llu members=%llu bytes=%llu bad=%llu "
        "lost_pages=%lld seconds=%lld error=%s",
        states[found->state], (unsigned long long)found->objects,
        (unsigned long long)found->members, (unsigned long long)found->bytes,
        (unsigned long long)found->bad,
        (long long)(found->file_pages - found->used_pages - found->free_pages),
        (long long)(found->ended_s - found->began_s), err_name(found->rc));
}

static void *
check_main(void *arg)
{
    struct check *check = arg;
    struct run run = {.store = check->store, .check = check};
    enum err rc;

    log_set_thread("check");
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "text=\"this thread counts into shared cells\"");
    (void)pthread_mutex_lock(&check->lock);
    run.found = check->told;
    (void)pthread_mutex_unlock(&check->lock);
    rc = run_all(&run);
    run.found.rc = rc == ERR_CANCELLED ? OK : rc;
    run.found.state = rc == OK              ? STORE_CHECK_DONE
                      : rc == ERR_CANCELLED ? STORE_CHECK_STOPPED
                                            : STORE_CHECK_FAILED;
    run.found.ended_s = (int64_t)time(NULL);
    log_end(&run.found);
    (void)pthread_mutex_lock(&check->lock);
    check->told = run.found;
    (void)pthread_mutex_unlock(&check->lock);
    return NULL;
}

/* The thread has come to its end, or is about to. */
static void
join(struct check *check)
{
    if (check->joinable)
        (void)pthread_join(check->thread, NULL);
    check->joinable = false;
}

enum err
store_check_start(struct store *store, uint64_t rate)
{
    struct check *check = &store->check;
    enum err rc = OK;

    ASSERT_TAG(store, STORE_TAG);
    if (!store_is_ready(store))
        return ERR_AGAIN;
    (void)pthread_mutex_lock(&check->lock);
    if (check->told.state == STORE_CHECK_RUNNING)
        rc = ERR_STORE_BUSY;
    (void)pthread_mutex_unlock(&check->lock);
    if (rc != OK)
        return rc;
    join(check);
    check->stop = false; /* no thread but the caller's is there */
    check->told = (struct store_check){
        .state = STORE_CHECK_RUNNING, .rate = rate, .began_s = (int64_t)time(NULL)};
    check->joinable = pthread_create(&check->thread, NULL, check_main, check) == 0;
    if (check->joinable)
        return OK;
    check->told.state = STORE_CHECK_FAILED;
    check->told.rc = ERR_SYSTEM;
    check->told.ended_s = check->told.began_s;
    return ERR_SYSTEM;
}

void
store_check_stop(struct store *store)
{
    struct check *check = &store->check;

    ASSERT_TAG(store, STORE_TAG);
    (void)pthread_mutex_lock(&check->lock);
    check->stop = true;
    (void)pthread_cond_signal(&check->wake);
    (void)pthread_mutex_unlock(&check->lock);
}

void
store_check_status(struct store *store, struct store_check *out)
{
    struct check *check = &store->check;

    ASSERT_TAG(store, STORE_TAG);
    (void)pthread_mutex_lock(&check->lock);
    *out = check->told;
    (void)pthread_mutex_unlock(&check->lock);
}

void
check_init(struct check *check, struct store *store)
{
    pthread_condattr_t attr;

    check->store = store;
    (void)pthread_mutex_init(&check->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&check->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void
check_fini(struct check *check)
{
    if (check->store == NULL)
        return;
    store_check_stop(check->store);
    join(check);
    check->store = NULL;
    (void)pthread_cond_destroy(&check->wake);
    (void)pthread_mutex_destroy(&check->lock);
}
