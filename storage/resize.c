/* Moving what fits into a smaller file, while the store is open. */
#include "storage/resize.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"
#include "storage/evict.h"
#include "storage/queue.h"
#include "storage/save.h"
#include "storage/state.h"

enum {
    STEP_VALUES_MAX = 2048, /* copied in one transaction */
    STEP_LEN_MAX = 8 << 20,
    SYNC_LEN = 64 << 20, /* written to the new file until it is flushed */
    SETTLED_MAX = 64,    /* so few ids are settled while everything else waits */
    ROUNDS_MAX = 32,
    TOUCHED_MAX = 8 << 20,
    TRIES_MAX = 3,
    PAUSE_MS = 500,
    TELL_MS = 3000,
    SPARE_PAGES = 4096, /* of the disk: left to others */
    LEAST_PART = 16     /* of the size: less is not worth a copy */
};

static uint64_t
disk_pages(const char *path)
{
    struct statvfs disk;

    if (statvfs(path, &disk) == -1)
        return UINT64_MAX;
    return (uint64_t)disk.f_bavail * disk.f_frsize / RECORD_PAGE_LEN;
}

/* Both files are on the disk for a while: what has no room beside the old one is evicted too. */
static bool
fit_to_disk(struct store *store)
{
    uint64_t room = disk_pages(store->path), size = store->settings.size_len / RECORD_PAGE_LEN;

    room = room > SPARE_PAGES ? room - SPARE_PAGES : 0;
    store->env.map_pages = size < room ? size : room;
    return store->env.map_pages >= size / LEAST_PART;
}

void
resize_begin(struct store *store)
{
    struct resize *resize = &store->resize;

    *resize = (struct resize){.step = RESIZE_EVICT};
    resize->began_ms = resize->told_ms = queue_now_ms();
    LOG(INFO, store,
        "text=\"the store is made smaller while it is open\" path=\"%s\" file=%llu size=%llu",
        store->path, (unsigned long long)(env_file_pages(&store->env) * RECORD_PAGE_LEN),
        (unsigned long long)store->settings.size_len);
}

bool
resize_has_work(const struct store *store)
{
    const struct resize *resize = &store->resize;

    return resize->step != RESIZE_NONE && store_is_ready(store) &&
           (resize->pause_until_ms == 0 || queue_now_ms() >= resize->pause_until_ms);
}

static void
close_new(struct store *store)
{
    struct resize *resize = &store->resize;

    env_close(&resize->to);
    env_remove_new(store->path);
    mem_free(resize->touched);
    resize->touched = NULL;
    resize->touched_n = resize->touched_cap = 0;
    resize->touched_lost = false;
}

void
resize_stop(struct store *store)
{
    if (store->resize.step == RESIZE_NONE)
        return;
    close_new(store);
    store->env.map_pages = store->settings.size_len / RECORD_PAGE_LEN; /* not the disk's room */
    store->resize.step = RESIZE_NONE;
}

/* --- what is written meanwhile --- */

static int
compare_ids(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void
sort_touched(struct resize *resize)
{
    size_t n = 0;

    qsort(resize->touched, resize->touched_n, sizeof(resize->touched[0]), compare_ids);
    for (size_t i = 0; i < resize->touched_n; i++)
        if (n == 0 || resize->touched[n - 1] != resize->touched[i])
            resize->touched[n++] = resize->touched[i];
    resize->touched_n = n;
}

static bool
make_room(struct resize *resize)
{
    size_t cap = resize->touched_cap == 0 ? 1024 : resize->touched_cap * 2;
    uint64_t *grown;

    if (resize->touched_n < resize->touched_cap)
        return true;
    if (resize->touched_n > 0)
        sort_touched(resize);
    if (resize->touched_n < resize->touched_cap / 2)
        return true;
    grown = cap > TOUCHED_MAX ? NULL : mem_realloc(resize->touched, cap * sizeof(*grown));
    if (grown == NULL)
        return false;
    resize->touched = grown;
    resize->touched_cap = cap;
    return true;
}

/* A transaction that is undone leaves its notes: settling them finds nothing to do. */
void
resize_note(struct store *store, uint64_t oid)
{
    struct resize *resize = &store->resize;

    if (oid == 0 || oid > resize->next_key >> RECORD_PIECE_BITS ||
        (resize->touched_n > 0 && resize->touched[resize->touched_n - 1] == oid))
        return;
    if (make_room(resize))
        resize->touched[resize->touched_n++] = oid;
    else
        resize->touched_lost = true;
}

/* --- copying --- */

struct copy {
    struct store *store;
    struct resize *resize;
    MDB_txn *from, *to;
    MDB_cursor *cursor; /* of `from` */
    size_t n;
    uint64_t len;
    bool is_end;
    struct copy_value {
        uint64_t key;
        MDB_val value;
    } values[STEP_VALUES_MAX];
};

static int
begin_copy(struct store *store, struct copy **out)
{
    struct copy *copy = mem_zalloc(sizeof(*copy));
    int rc;

    if (copy == NULL)
        return ENOMEM;
    copy->store = store;
    copy->resize = &store->resize;
    rc = mdb_txn_begin(store->env.mdb, NULL, MDB_RDONLY, &copy->from);
    if (rc == 0) {
        rc = mdb_cursor_open(copy->from, store->env.dbi, &copy->cursor);
        if (rc == 0)
            rc = mdb_txn_begin(copy->resize->to.mdb, NULL, 0, &copy->to);
        if (rc != 0) {
            if (copy->cursor != NULL)
                mdb_cursor_close(copy->cursor);
            mdb_txn_abort(copy->from);
        }
    }
    if (rc != 0)
        mem_free(copy);
    else
        *out = copy;
    return rc;
}

static int
end_copy(struct copy *copy, int rc)
{
    struct resize *resize = copy->resize;

    mdb_cursor_close(copy->cursor);
    mdb_txn_abort(copy->from);
    if (rc == 0)
        rc = mdb_txn_commit(copy->to);
    else
        mdb_txn_abort(copy->to);
    resize->unsynced_len += copy->len;
    mem_free(copy);
    if (rc != 0 || resize->unsynced_len < SYNC_LEN)
        return rc;
    resize->unsynced_len = 0; /* little by little, or the last flush would take seconds */
    return mdb_env_sync(resize->to.mdb, 1);
}

static uint64_t
pages_of(size_t len)
{
    return len > RECORD_LEAF_MAX ? (len + 15) / RECORD_PAGE_LEN + 1 : 0;
}

/* What comes next, brought in from the disk all at once. */
static int
collect(struct copy *copy)
{
    struct resize *resize = copy->resize;
    uint64_t key = resize->next_key;
    MDB_val name = {sizeof(key), &key}, value;
    int rc = mdb_cursor_get(copy->cursor, &name, &value, MDB_SET_RANGE);

    while (rc == 0) {
        if (name.mv_size != sizeof(key))
            return MDB_CORRUPTED;
        ahead_see(&resize->ahead, name.mv_data);
        memcpy(&key, name.mv_data, sizeof(key));
        copy->values[copy->n++] = (struct copy_value){key, value};
        copy->len += value.mv_size;
        if (pages_of(value.mv_size) > 0) {
            uintptr_t page = (uintptr_t)value.mv_data & ~(uintptr_t)(RECORD_PAGE_LEN - 1);

            (void)madvise((void *)page, pages_of(value.mv_size) * RECORD_PAGE_LEN, MADV_WILLNEED);
        }
        if (copy->n == STEP_VALUES_MAX || copy->len >= STEP_LEN_MAX)
            return 0;
        rc = mdb_cursor_get(copy->cursor, &name, &value, MDB_NEXT);
    }
    copy->is_end = rc == MDB_NOTFOUND;
    return copy->is_end ? 0 : rc;
}

/* A damaged piece is copied as it is: its checksum goes on telling. The object is reported as a
 * reader would. */
static void
look_at(struct copy *copy, const struct copy_value *at)
{
    uint64_t oid = at->key >> RECORD_PIECE_BITS, piece = at->key & RECORD_PIECE;
    struct slice value = slice_of(at->value.mv_data, at->value.mv_size);
    struct record record;
    uint32_t slot;

    if (piece == RECORD_PIECE) {
        copy->resize->objects_n++;
        return; /* verified when it is looked at first */
    }
    if (value.len > RECORD_SUM_LEN &&
        record_piece_is_right(slice_first(value, value.len - RECORD_SUM_LEN), at->key))
        return;
    if (env_get(&copy->store->env, copy->from, record_key(oid, RECORD_PIECE), &value) != 0 ||
        record_decode(value, oid, true, &record) != OK)
        return;
    slot = index_find(&copy->store->index, store_hash(record.key), oid);
    if (slot != INDEX_NONE)
        verify_report_record(copy->store, slot, oid);
}

static int
put_value(struct copy *copy, uint64_t key, const MDB_val *value, unsigned flags)
{
    MDB_val name = {sizeof(key), &key}, room = {value->mv_size, NULL};
    int rc = mdb_put(copy->to, copy->resize->to.dbi, &name, &room, MDB_RESERVE | flags);

    if (rc == 0)
        memcpy(room.mv_data, value->mv_data, value->mv_size);
    return rc;
}

/* The next part of the old file. *out_end: there is no more. */
static int
copy_some(struct store *store, bool *out_end)
{
    struct resize *resize = &store->resize;
    struct copy *copy;
    uint64_t last = 0, pages = 0, leaf_len = 0;
    int rc = begin_copy(store, &copy);

    if (rc != 0)
        return rc;
    rc = collect(copy);
    for (size_t i = 0; i < copy->n && rc == 0; i++) {
        const struct copy_value *at = &copy->values[i];

        look_at(copy, at);
        rc = put_value(copy, at->key, &at->value, MDB_APPEND);
        last = at->key;
        leaf_len += pages_of(at->value.mv_size) == 0 ? at->value.mv_size : 0;
        pages += pages_of(at->value.mv_size);
    }
    *out_end = copy->is_end;
    rc = end_copy(copy, rc);
    if (rc == 0 && last != 0)
        resize->next_key = last + 1;
    resize->copied_pages += pages + leaf_len / RECORD_PAGE_LEN;
    return rc;
}

/* --- settling --- */

static bool
is_spent(const struct copy *copy)
{
    return copy->n >= STEP_VALUES_MAX || copy->len >= STEP_LEN_MAX;
}

/* The key of this id at or after *key. False: there is none, or *rc says why not. */
static bool
next_of(MDB_cursor *cursor, uint64_t oid, uint64_t *key, MDB_val *value, int *rc)
{
    MDB_val name = {sizeof(*key), key};

    *rc = mdb_cursor_get(cursor, &name, value, MDB_SET_RANGE);
    if (*rc == MDB_NOTFOUND) {
        *rc = 0;
        return false;
    }
    if (*rc != 0)
        return false;
    memcpy(key, name.mv_data, sizeof(*key));
    return *key >> RECORD_PIECE_BITS == oid;
}

static int
has_key(MDB_txn *txn, MDB_dbi dbi, uint64_t key, bool *out)
{
    MDB_val name = {sizeof(key), &key}, value;
    int rc = mdb_get(txn, dbi, &name, &value);

    *out = rc == 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* What is no longer in the old file. */
static int
settle_gone(struct copy *copy, uint64_t oid)
{
    uint64_t key = record_key(oid, 0);
    MDB_cursor *cursor;
    MDB_val value;
    int rc = mdb_cursor_open(copy->to, copy->resize->to.dbi, &cursor);

    if (rc != 0)
        return rc;
    while (!is_spent(copy) && next_of(cursor, oid, &key, &value, &rc)) {
        bool is_there;

        rc = has_key(copy->from, copy->store->env.dbi, key, &is_there);
        if (rc == 0 && !is_there) {
            rc = mdb_cursor_del(cursor, 0);
            copy->n++;
        }
        if (rc != 0)
            break;
        key++;
    }
    mdb_cursor_close(cursor);
    return rc;
}

/* What is not in the new one yet. Pieces never change, records do. */
static int
settle_new(struct copy *copy, uint64_t oid)
{
    uint64_t key = record_key(oid, 0);
    MDB_val value;
    int rc = 0;

    /* what is not copied yet will be */
    while (!is_spent(copy) && next_of(copy->cursor, oid, &key, &value, &rc) &&
           key < copy->resize->next_key) {
        bool is_there = false;

        if ((key & RECORD_PIECE) != RECORD_PIECE)
            rc = has_key(copy->to, copy->resize->to.dbi, key, &is_there);
        if (rc == 0 && !is_there) {
            rc = put_value(copy, key, &value, 0);
            copy->n++;
            copy->len += value.mv_size;
        }
        if (rc != 0)
            break;
        key++;
    }
    return rc;
}

static int
settle_id(struct copy *copy, uint64_t oid)
{
    int rc = settle_gone(copy, oid);

    return rc == 0 ? settle_new(copy, oid) : rc;
}

/* Some of the ids that were touched, the last noted first: each is taken off the list when it is
 * settled. */
static int
settle_some(struct store *store)
{
    struct resize *resize = &store->resize;
    size_t left = resize->touched_n;
    struct copy *copy;
    int rc = begin_copy(store, &copy);

    if (rc != 0)
        return rc;
    while (left > 0 && rc == 0) {
        rc = settle_id(copy, resize->touched[left - 1]);
        if (is_spent(copy))
            break; /* perhaps not whole: once more */
        left--;
    }
    rc = end_copy(copy, rc);
    if (rc == 0)
        resize->touched_n = left;
    return rc;
}

/* --- the end --- */

/* Some of the store's own records, and with the last of them the header, with the new file's name.
 */
static int
write_own(struct store *store, bool *out_whole)
{
    struct resize *resize = &store->resize;
    uint64_t store_id = resize->to.header.store_id;
    struct copy *copy;
    int rc = begin_copy(store, &copy);

    if (rc != 0)
        return rc;
    rc = settle_id(copy, 0);
    *out_whole = !is_spent(copy);
    if (rc == 0 && *out_whole) {
        resize->to.header = store->env.header;
        resize->to.header.store_id = store_id;
        rc = env_put_header(&resize->to, copy->to);
    }
    return end_copy(copy, rc);
}

/* Readers are let out, as when a store begins anew, but what the index names is in the new file: so
 * they come back and find it. When there is none after all, it is the caller who says so. */
static int
switch_over(struct writer *w)
{
    struct store *store = w->store;
    struct resize *resize = &store->resize;
    char why[512];
    bool replaced;
    enum err rc;

    writer_close_file(w, STORE_SWITCHING);
    env_close(&resize->to);
    replaced = env_replace_by_new(store->path);
    if (replaced)
        save_forget(store->path);
    rc = env_open(&store->env, store->path, store->settings.size_len, store->env_readers, true, why,
                  sizeof(why));
    if (rc != OK) {
        LOG(ERROR, store_fault, "text=\"the new file cannot be opened\" error=\"%s\"", why);
        return MDB_CORRUPTED;
    }
    w->limit_pages = evict_limit_max(&store->env);
    w->reserved_until = 0;
    writer_set_down(store, STORE_UP);
    return replaced ? 0 : EIO;
}

static int
finish(struct writer *w)
{
    struct store *store = w->store;
    struct resize *resize = &store->resize;
    bool is_end = false, is_whole = false;
    int rc = 0;

    while (rc == 0 && !is_end)
        rc = copy_some(store, &is_end);
    while (rc == 0 && resize->touched_n > 0)
        rc = settle_some(store);
    while (rc == 0 && !is_whole)
        rc = write_own(store, &is_whole);
    if (rc == 0)
        rc = mdb_env_sync(resize->to.mdb, 1);
    if (rc == 0)
        rc = switch_over(w);
    if (rc != 0)
        return rc;
    LOG(INFO, store, "text=\"the store is smaller now\" objects=%llu file=%llu took_ms=%llu",
        (unsigned long long)store->index.live_n,
        (unsigned long long)(env_file_pages(&store->env) * RECORD_PAGE_LEN),
        (unsigned long long)(queue_now_ms() - resize->began_ms));
    resize_stop(store);
    STAT_INC(store_resizes);
    return 0;
}

/* --- steps --- */

static void
tell(struct store *store, const char *step, uint64_t done, uint64_t all)
{
    struct resize *resize = &store->resize;
    uint64_t now = queue_now_ms();

    if (now - resize->told_ms < TELL_MS)
        return;
    resize->told_ms = now;
    LOG(INFO, store, "text=\"the store is made smaller\" step=%s percent=%llu objects=%llu", step,
        (unsigned long long)(all == 0 || done > all ? 100 : done * 100 / all),
        (unsigned long long)(resize->step == RESIZE_EVICT ? store->index.live_n
                                                          : resize->objects_n));
}

static uint64_t
used_pages(const struct store *store)
{
    uint64_t pages = 0;
    MDB_txn *txn;

    if (mdb_txn_begin(store->env.mdb, NULL, MDB_RDONLY, &txn) != 0)
        return 0;
    pages = env_used_pages(&store->env, txn);
    mdb_txn_abort(txn);
    return pages;
}

static int
step_evict(struct writer *w)
{
    struct store *store = w->store;
    struct resize *resize = &store->resize;
    uint64_t used = used_pages(store), limit;
    int rc;

    if (!fit_to_disk(store)) {
        LOG(WARN, store_fault,
            "text=\"the disk has no room for a smaller store beside the old one, which goes\" "
            "path=\"%s\"",
            store->path);
        return MDB_MAP_RESIZED;
    }
    limit = evict_limit_max(&store->env);
    if (resize->used_pages == 0)
        resize->used_pages = used; /* at the beginning */
    if (w->limit_pages > limit)
        w->limit_pages = limit;
    rc = writer_attempt(w, batch_trim);
    tell(store, "evict", used < resize->used_pages ? resize->used_pages - used : 0,
         limit < resize->used_pages ? resize->used_pages - limit : 0);
    if (rc == BATCH_MORE_ROOM)
        return 0;
    if (rc != 0)
        return rc;
    rc = env_begin_new(&resize->to, store->path, store->settings.size_len);
    if (rc != 0)
        return rc;
    resize->used_pages = used_pages(store);
    resize->next_key = record_key(1, 0);
    resize->copied_pages = resize->objects_n = resize->unsynced_len = 0;
    resize->rounds = 0;
    resize->step = RESIZE_COPY;
    return 0;
}

static int
step_copy(struct store *store)
{
    struct resize *resize = &store->resize;
    bool is_end;
    int rc = copy_some(store, &is_end);

    tell(store, "copy", resize->copied_pages, resize->used_pages);
    if (rc == 0 && is_end)
        resize->step = RESIZE_SETTLE;
    return rc;
}

/* Round after round, until so little is left that all else may wait for it. */
static int
step_settle(struct writer *w)
{
    struct store *store = w->store;
    struct resize *resize = &store->resize;
    bool is_end;
    int rc;

    if (resize->touched_n <= SETTLED_MAX || resize->rounds++ >= ROUNDS_MAX)
        return finish(w);
    sort_touched(resize);
    rc = settle_some(store);
    if (rc == 0)
        rc = copy_some(store, &is_end);
    return rc;
}

static int
step(struct writer *w)
{
    struct resize *resize = &w->store->resize;

    if (resize->touched_lost)
        return ENOMEM;
    switch (resize->step) {
    case RESIZE_EVICT:
        return step_evict(w);
    case RESIZE_COPY:
        return step_copy(w->store);
    case RESIZE_SETTLE:
        return step_settle(w);
    case RESIZE_NONE:
        return 0;
    }
    UNREACHABLE();
}

int
resize_go_on(struct writer *w)
{
    struct store *store = w->store;
    struct resize *resize = &store->resize;
    int rc = step(w);

    resize->pause_until_ms = 0;
    if (rc == 0)
        return 0;
    if (rc == MDB_MAP_RESIZED || env_is_fatal(rc))
        return rc;
    LOG(WARN, store_fault, "text=\"the store could not be made smaller yet\" error=\"%s\"",
        rc == BATCH_NO_ROOM ? "all that could go is being read"
        : rc < 0            ? mdb_strerror(rc)
                            : strerror(rc));
    if (rc != BATCH_NO_ROOM && ++resize->tries >= TRIES_MAX)
        return MDB_MAP_RESIZED;
    close_new(store); /* from the beginning, with what room there is then */
    resize->step = RESIZE_EVICT;
    resize->used_pages = 0;
    resize->pause_until_ms = queue_now_ms() + PAUSE_MS;
    return 0;
}
