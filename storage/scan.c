/* The index after a crash, and after a clean stop.
 *
 * After a crash, threads walk ranges of ids: for each id found, jump to its commit record. Pieces
 * without one are orphans of objects that were on their way in. Only ids below oid_end are looked
 * at: what the running daemon stores meanwhile enters the index by itself. Each thread's
 * transaction is renewed often, so that it does not keep pages from being used again. */
#include "storage/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"
#include "storage/state.h"

enum { SCAN_STEPS_PER_TXN = 512, SCAN_PATH_LEN = 4096, SAVE_VERSION = 2 };

void
scan_init(struct scan *scan, struct store *store)
{
    pthread_condattr_t attr;

    scan->store = store;
    (void)pthread_mutex_init(&scan->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&scan->done, &attr);
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
        .variant = record.variant,
        .room = record_object_room(record.body_len, value.len),
        .group = record.group,
        .pieces = (uint32_t)record_pieces_n(record.body_len),
    };
    return true;
}

static int
seek(MDB_cursor *cursor, uint64_t from, uint64_t *out_key, struct slice *out_value)
{
    MDB_val name = {sizeof(from), &from}, value;
    int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);

    if (rc != 0)
        return rc;
    if (name.mv_size != sizeof(*out_key))
        return MDB_CORRUPTED;
    memcpy(out_key, name.mv_data, sizeof(*out_key));
    *out_value = slice_of(value.mv_data, value.mv_size);
    return 0;
}

/* The object at or after *oid. *oid becomes the id after it. */
static int
scan_one(MDB_cursor *cursor, uint64_t *oid, uint64_t oid_end, struct scan_result *result)
{
    struct slice value;
    uint64_t key, found;
    bool ok = true;
    int rc = seek(cursor, record_key(*oid, 0), &key, &value);

    if (rc != 0)
        return rc;
    found = key >> RECORD_PIECE_BITS;
    if (found >= oid_end)
        return MDB_NOTFOUND;
    if (key != record_key(found, RECORD_PIECE)) {
        rc = seek(cursor, record_key(found, RECORD_PIECE), &key, &value);
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

static int
scan_range(struct scan *scan, MDB_txn *txn, uint64_t oid, uint64_t oid_end,
           struct scan_result *result)
{
    int rc = 0;

    while (rc == 0 && !stopped(scan)) {
        MDB_cursor *cursor;

        rc = mdb_txn_renew(txn);
        if (rc != 0)
            return rc;
        rc = mdb_cursor_open(txn, scan->store->env.dbi, &cursor);
        if (rc == 0) {
            for (unsigned i = 0; i < SCAN_STEPS_PER_TXN && rc == 0; i++)
                rc = scan_one(cursor, &oid, oid_end, result);
            mdb_cursor_close(cursor);
        }
        mdb_txn_reset(txn);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* --- threads --- */

static bool
take_range(struct scan *scan, uint64_t *out_from, uint64_t *out_end)
{
    bool any;

    (void)pthread_mutex_lock(&scan->lock);
    any = scan->next_range < SCAN_RANGES && !stopped(scan);
    *out_from = 1 + scan->next_range * scan->range_len;
    *out_end = *out_from + scan->range_len;
    if (*out_end > scan->oid_end)
        *out_end = scan->oid_end;
    scan->next_range += any;
    (void)pthread_mutex_unlock(&scan->lock);
    return any;
}

static void
hand_over(struct scan *scan, struct scan_result *result)
{
    (void)pthread_mutex_lock(&scan->lock);
    list_push(&scan->results, &result->link);
    (void)pthread_mutex_unlock(&scan->lock);
    writer_wake(scan->store);
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

static void *
scan_main(void *arg)
{
    struct scan *scan = arg;
    uint64_t from, end;
    MDB_txn *txn;
    int begun;

    log_set_thread("scan");
    begun = mdb_txn_begin(scan->store->env.mdb, NULL, MDB_RDONLY, &txn);
    if (begun == 0)
        mdb_txn_reset(txn);
    while (take_range(scan, &from, &end)) {
        struct scan_result *result = mem_zalloc(sizeof(*result));
        int rc = result == NULL ? ENOMEM : begun;

        while (result == NULL) { /* the range has to be accounted for: wait for memory */
            (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
            result = mem_zalloc(sizeof(*result));
        }
        list_init(&result->link);
        if (rc == 0)
            rc = scan_range(scan, txn, from, end, result);
        if (rc != 0)
            note_failure(scan, rc);
        hand_over(scan, result);
    }
    if (begun == 0)
        mdb_txn_abort(txn);
    return NULL;
}

enum err
scan_start(struct scan *scan, uint64_t oid_end)
{
    scan->oid_end = oid_end;
    scan->range_len = oid_end / SCAN_RANGES + 1;
    scan->left = SCAN_RANGES;
    for (; scan->threads_n < SCAN_THREADS; scan->threads_n++)
        if (pthread_create(&scan->threads[scan->threads_n], NULL, scan_main, scan) != 0)
            return scan->threads_n > 0 ? OK : ERR_SYSTEM;
    return OK;
}

struct scan_result *
scan_take(struct scan *scan)
{
    struct scan_result *result;

    (void)pthread_mutex_lock(&scan->lock);
    result = LIST_FIRST(&scan->results, struct scan_result, link);
    if (result != NULL)
        list_remove(&result->link);
    (void)pthread_mutex_unlock(&scan->lock);
    return result;
}

bool
scan_merged(struct scan *scan)
{
    bool last;

    (void)pthread_mutex_lock(&scan->lock);
    last = --scan->left == 0;
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
    while (scan->left > 0 && pthread_cond_timedwait(&scan->done, &scan->lock, &until) != ETIMEDOUT)
        continue;
    (void)pthread_mutex_unlock(&scan->lock);
}

void
scan_stop(struct scan *scan)
{
    struct scan_result *result;

    atomic_store_explicit(&scan->stop, true, memory_order_relaxed);
    while (scan->threads_n > 0)
        (void)pthread_join(scan->threads[--scan->threads_n], NULL);
    while ((result = scan_take(scan)) != NULL)
        scan_result_free(&result);
}

void
scan_fini(struct scan *scan)
{
    if (scan->store == NULL)
        return;
    scan_stop(scan);
    (void)pthread_cond_destroy(&scan->done);
    (void)pthread_mutex_destroy(&scan->lock);
}

/* --- the saved index --- */

struct save_head {
    char magic[8];
    uint32_t version, item_len;
    uint64_t txnid, oid_next, items_n, sum; /* sum: of the items */
};

struct save_item {
    uint64_t hash_lo, hash_hi, oid, variant;
    uint32_t room, pieces, visited, group;
};
static_assert(sizeof(struct save_item) == 48, "on disk");

static const char save_magic[8] = {'b', 'r', 'i', 'n', 'k', 'i', 'd', 'x'};

static void
save_path(const char *path, const char *name, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s/%s", path, name);
}

static bool
write_items(const struct index *index, FILE *file, XXH3_state_t *sum)
{
    for (struct index_cursor at = index_first(index); at.slot != INDEX_NONE;
         at = index_after(index, at)) {
        const struct index_entry *entry = index_entry(index, at.slot);
        struct save_item item = {
            .hash_lo = entry->hash.lo,
            .hash_hi = entry->hash.hi,
            .oid = entry->oid,
            .variant = entry->variant,
            .room = entry->room,
            .pieces = entry->pieces,
            .visited = atomic_load_explicit(&entry->visited, memory_order_relaxed),
            .group = index->lists[at.group].group,
        };

        (void)XXH3_64bits_update(sum, &item, sizeof(item));
        if (fwrite(&item, sizeof(item), 1, file) != 1)
            return false;
    }
    return true;
}

static bool
write_save(const struct index *index, FILE *file, struct save_head *head)
{
    XXH3_state_t *sum = XXH3_createState();
    bool ok = sum != NULL && XXH3_64bits_reset(sum) == XXH_OK &&
              fwrite(head, sizeof(*head), 1, file) == 1 && write_items(index, file, sum);

    if (ok) {
        head->sum = XXH3_64bits_digest(sum);
        ok = fseek(file, 0, SEEK_SET) == 0 && fwrite(head, sizeof(*head), 1, file) == 1 &&
             fflush(file) == 0 && fsync(fileno(file)) == 0;
    }
    (void)XXH3_freeState(sum);
    return ok;
}

void
scan_save(const struct index *index, const char *path, uint64_t txnid, uint64_t oid_next)
{
    struct save_head head = {.version = SAVE_VERSION,
                             .item_len = sizeof(struct save_item),
                             .txnid = txnid,
                             .oid_next = oid_next,
                             .items_n = index->live_n};
    char from[SCAN_PATH_LEN], to[SCAN_PATH_LEN];
    FILE *file;
    bool ok;

    save_path(path, "index.new", from, sizeof(from));
    save_path(path, "index.save", to, sizeof(to));
    memcpy(head.magic, save_magic, sizeof(head.magic));
    file = fopen(from, "we");
    if (file == NULL)
        return;
    ok = write_save(index, file, &head);
    ok = fclose(file) == 0 && ok;
    if (!ok || rename(from, to) == -1)
        (void)unlink(from); /* then the next start reads the records */
}

void
scan_forget(const char *path)
{
    char name[SCAN_PATH_LEN];

    save_path(path, "index.save", name, sizeof(name));
    (void)unlink(name);
}

static bool
load_items(struct index *index, const struct save_head *head, const char *bytes, uint64_t oid_end)
{
    if (index_reserve(index, head->items_n) != OK)
        return false;
    for (uint64_t i = 0; i < head->items_n; i++) {
        struct save_item item;

        memcpy(&item, bytes + i * sizeof(item), sizeof(item));
        if (item.oid == 0 || item.oid >= oid_end)
            continue;
        (void)index_insert(index, &(struct index_item){
                                      .hash = {item.hash_lo, item.hash_hi},
                                      .oid = item.oid,
                                      .variant = item.variant,
                                      .room = item.room,
                                      .pieces = item.pieces,
                                      .group = item.group,
                                      .visited = item.visited != 0,
                                  });
    }
    return true;
}

static bool
load_map(struct index *index, const char *map, size_t len, uint64_t txnid, uint64_t oid_next)
{
    struct save_head head;

    if (len < sizeof(head))
        return false;
    memcpy(&head, map, sizeof(head));
    if (memcmp(head.magic, save_magic, sizeof(save_magic)) != 0 || head.version != SAVE_VERSION ||
        head.item_len != sizeof(struct save_item) || head.txnid != txnid ||
        head.oid_next > oid_next ||
        head.items_n != (len - sizeof(head)) / sizeof(struct save_item) ||
        head.sum != XXH3_64bits(map + sizeof(head), len - sizeof(head)))
        return false;
    return load_items(index, &head, map + sizeof(head), oid_next);
}

bool
scan_load(struct index *index, const char *path, uint64_t txnid, uint64_t oid_next)
{
    char name[SCAN_PATH_LEN];
    struct stat st;
    bool ok = false;
    void *map;
    int fd;

    save_path(path, "index.save", name, sizeof(name));
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return false;
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map != MAP_FAILED) {
            ok = load_map(index, map, (size_t)st.st_size, txnid, oid_next);
            (void)munmap(map, (size_t)st.st_size);
        }
    }
    (void)close(fd);
    scan_forget(path); /* whatever it was, it is true only now */
    return ok;
}
