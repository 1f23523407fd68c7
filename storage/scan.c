/* The index after a crash.
 *
 * Threads walk ranges of ids: for each id found, jump to its commit record. Pieces without one are
 * orphans of objects that were on their way in. Only ids below oid_end are looked at: what the
 * running daemon stores meanwhile enters the index by itself. Each thread's transaction is renewed
 * often, so that it does not keep pages from being used again.
 *
 * Ranges are small, given out in order and merged in order, so that the index's list is in the
 * order of ids; no thread begins one that is more than SCAN_AHEAD before the merging: that bounds
 * the memory of what was found and not merged. */
#include "storage/scan.h"

#include <errno.h>

#include "base/log.h"
#include "storage/mapfault.h"
#include "storage/state.h"

enum { SCAN_STEPS_PER_TXN = 512 };

void
scan_init(struct scan *scan, struct store *store)
{
    pthread_condattr_t attr;

    scan->store = store;
    (void)pthread_mutex_init(&scan->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&scan->done, &attr);
    (void)pthread_cond_init(&scan->room, NULL);
    (void)pthread_condattr_destroy(&attr);
    list_init(&scan->results);
}

void
scan_result_free(struct scan_result **slot)
{
    struct scan_result *result = *slot;

    *slot = NULL;
    if (result == NULL)
        return;
    mem_free(result->items);
    mem_free(result->orphans);
    mem_free(result);
}

/* --- one range --- */

static bool
make_room(void *array, size_t *cap, size_t n, size_t item_len)
{
    void **slot = array, *grown;
    size_t want = *cap == 0 ? 256 : *cap * 2;

    if (n < *cap)
        return true;
    grown = mem_realloc(*slot, want * item_len);
    if (grown == NULL)
        return false;
    *slot = grown;
    *cap = want;
    return true;
}

static bool
add_orphan(struct scan_result *result, uint64_t oid)
{
    if (!make_room(&result->orphans, &result->orphans_cap, result->orphans_n,
                   sizeof(result->orphans[0])))
        return false;
    result->orphans[result->orphans_n++] = oid;
    return true;
}

static bool
add_record(struct scan_result *result, uint64_t oid, struct slice value)
{
    struct record record;
    bool bad = record_decode(value, oid, true, &record) != OK;

    if (bad || (record.flags & RECORD_DEAD) != 0) {
        result->bad_n += bad;
        return add_orphan(result, oid);
    }
    if (!make_room(&result->items, &result->items_cap, result->items_n, sizeof(result->items[0])))
        return false;
    result->items[result->items_n++] = (struct index_item){
        .hash = store_hash(record.key),
        .oid = oid,
        .is_found = true,
        .variant = record.variant,
        .room = record_object_room(record.body_len, value.len),
        .group = record.group,
        .member = record.member,
        .pieces = (uint32_t)record_pieces_n(record.body_len),
    };
    return true;
}

/* One thread's way through the file. */
struct walk {
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct ahead ahead;
};

static int
seek(struct walk *walk, uint64_t from, uint64_t *out_key, struct slice *out_value)
{
    MDB_val name = {sizeof(from), &from}, value;
    int rc = mdb_cursor_get(walk->cursor, &name, &value, MDB_SET_RANGE);

    if (rc != 0)
        return rc;
    if (name.mv_size != sizeof(*out_key))
        return MDB_CORRUPTED;
    ahead_see(&walk->ahead, name.mv_data);
    memcpy(out_key, name.mv_data, sizeof(*out_key));
    *out_value = slice_of(value.mv_data, value.mv_size);
    return 0;
}

/* The object at or after *oid. *oid becomes the id after it, or the first beyond oid_end. */
static int
scan_one(struct walk *walk, uint64_t *oid, uint64_t oid_end, struct scan_result *result)
{
    struct slice value;
    uint64_t key, found;
    bool ok = true;
    int rc = seek(walk, record_key(*oid, 0), &key, &value);

    if (rc != 0)
        return rc;
    found = key >> RECORD_PIECE_BITS;
    if (found >= oid_end) {
        *oid = found;
        return 0;
    }
    if (key != record_key(found, RECORD_PIECE)) {
        rc = seek(walk, record_key(found, RECORD_PIECE), &key, &value);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return rc;
        if (rc == MDB_NOTFOUND || key != record_key(found, RECORD_PIECE))
            ok = add_orphan(result, found);
        else
            ok = add_record(result, found, value);
    } else {
        ok = add_record(result, found, value);
    }
    *oid = found + 1;
    return ok ? 0 : ENOMEM;
}

static bool
stopped(const struct scan *scan)
{
    return atomic_load_explicit(&scan->stop, memory_order_relaxed);
}

/* range->next: the first id at or after its end that is there; UINT64_MAX when none is. */
static int
scan_range(struct scan *scan, struct walk *walk, struct scan_range *range)
{
    uint64_t oid = range->from;
    int rc = 0;

    while (rc == 0 && oid < range->end && !stopped(scan)) {
        rc = mdb_txn_renew(walk->txn);
        if (rc != 0)
            return rc;
        rc = mdb_cursor_open(walk->txn, scan->store->env.dbi, &walk->cursor);
        if (rc == 0) {
            for (unsigned i = 0; i < SCAN_STEPS_PER_TXN && rc == 0 && oid < range->end; i++)
                rc = scan_one(walk, &oid, range->end, range->result);
            mdb_cursor_close(walk->cursor);
        }
        mdb_txn_reset(walk->txn);
    }
    range->next = rc == MDB_NOTFOUND ? UINT64_MAX : oid;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* --- threads --- */

static bool
is_over(const struct scan *scan) /* locked */
{
    return scan->next_oid >= scan->oid_end && scan->merged_n == scan->given_n;
}

static bool
take_range(struct scan *scan, struct scan_range *out)
{
    bool any;

    (void)pthread_mutex_lock(&scan->lock);
    while (scan->given_n - scan->merged_n >= SCAN_AHEAD && !stopped(scan))
        (void)pthread_cond_wait(&scan->room, &scan->lock);
    any = scan->next_oid < scan->oid_end && !stopped(scan);
    if (any) {
        out->from = out->next = scan->next_oid;
        out->end = out->from + SCAN_RANGE_IDS;
        if (out->end > scan->oid_end)
            out->end = scan->oid_end;
        scan->next_oid = out->end;
        out->result->number = scan->given_n++;
    }
    (void)pthread_mutex_unlock(&scan->lock);
    return any;
}

/* Ids between the range's end and the next one found are nobody's: they need no range. */
static void
hand_over(struct scan *scan, const struct scan_range *range)
{
    (void)pthread_mutex_lock(&scan->lock);
    if (range->next > scan->next_oid)
        scan->next_oid = range->next;
    list_push(&scan->results, &range->result->link);
    (void)pthread_mutex_unlock(&scan->lock);
    writer_tell(scan->store);
}

static void
note_failure(struct scan *scan, int rc)
{
    (void)pthread_mutex_lock(&scan->lock);
    scan->failed = true;
    (void)pthread_mutex_unlock(&scan->lock);
    LOG(ERROR, store_fault, "text=\"some objects could not be read at start\" error=\"%s\"",
        mdb_strerror(rc));
}

/* A range that was taken has to be accounted for, so its result comes before it. */
static struct scan_result *
new_result(const struct scan *scan)
{
    struct scan_result *result = mem_zalloc(sizeof(*result));

    while (result == NULL && !stopped(scan)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        result = mem_zalloc(sizeof(*result));
    }
    if (result != NULL)
        list_init(&result->link);
    return result;
}

static void *
scan_main(void *arg)
{
    struct scan *scan = arg;
    struct scan_range range = {0};
    struct walk walk = {0};
    int begun;

    log_set_thread("scan");
    mapfault_own(true);
    begun = mdb_txn_begin(scan->store->env.mdb, NULL, MDB_RDONLY, &walk.txn);
    if (begun == 0)
        mdb_txn_reset(walk.txn);
    while ((range.result = new_result(scan)) != NULL && take_range(scan, &range)) {
        int rc = begun == 0 ? scan_range(scan, &walk, &range) : begun;

        if (rc != 0)
            note_failure(scan, rc);
        hand_over(scan, &range);
    }
    scan_result_free(&range.result);
    if (begun == 0)
        mdb_txn_abort(walk.txn);
    return NULL;
}

enum err
scan_start(struct scan *scan, uint64_t oid_end)
{
    scan->oid_end = oid_end;
    scan->next_oid = 1;
    for (; scan->threads_n < SCAN_THREADS; scan->threads_n++)
        if (pthread_create(&scan->threads[scan->threads_n], NULL, scan_main, scan) != 0)
            return scan->threads_n > 0 ? OK : ERR_SYSTEM;
    return OK;
}

struct scan_result *
scan_take(struct scan *scan)
{
    struct scan_result *found = NULL;

    (void)pthread_mutex_lock(&scan->lock);
    LIST_FOREACH (&scan->results, link) {
        struct scan_result *result = CONTAINER_OF(link, struct scan_result, link);

        if (result->number != scan->merged_n)
            continue;
        list_remove(link);
        found = result;
        break;
    }
    (void)pthread_mutex_unlock(&scan->lock);
    return found;
}

bool
scan_is_at_end(struct scan *scan)
{
    bool at_end;

    (void)pthread_mutex_lock(&scan->lock);
    at_end = scan->next_oid >= scan->oid_end && scan->merged_n + 1 == scan->given_n;
    (void)pthread_mutex_unlock(&scan->lock);
    return at_end;
}

bool
scan_merged(struct scan *scan)
{
    bool last;

    (void)pthread_mutex_lock(&scan->lock);
    scan->merged_n++;
    (void)pthread_cond_signal(&scan->room);
    last = is_over(scan);
    if (last) {
        atomic_store_explicit(&scan->store->ready, true, memory_order_release);
        (void)pthread_cond_broadcast(&scan->done);
    }
    (void)pthread_mutex_unlock(&scan->lock);
    return last;
}

void
scan_wait(struct scan *scan, unsigned wait_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&scan->lock);
    while (!is_over(scan) && pthread_cond_timedwait(&scan->done, &scan->lock, &until) != ETIMEDOUT)
        continue;
    (void)pthread_mutex_unlock(&scan->lock);
}

void
scan_stop(struct scan *scan)
{
    struct scan_result *result;

    (void)pthread_mutex_lock(&scan->lock);
    atomic_store_explicit(&scan->stop, true, memory_order_relaxed);
    (void)pthread_cond_broadcast(&scan->room);
    (void)pthread_mutex_unlock(&scan->lock);
    while (scan->threads_n > 0)
        (void)pthread_join(scan->threads[--scan->threads_n], NULL);
    LIST_FOREACH (&scan->results, link) {
        result = CONTAINER_OF(link, struct scan_result, link);
        list_remove(link);
        scan_result_free(&result);
    }
}

void
scan_fini(struct scan *scan)
{
    if (scan->store == NULL)
        return;
    scan_stop(scan);
    (void)pthread_cond_destroy(&scan->room);
    (void)pthread_cond_destroy(&scan->done);
    (void)pthread_mutex_destroy(&scan->lock);
}
