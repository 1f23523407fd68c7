/* The writer's thread: taking batches, running them until they are committed or given up, telling
 * the callers, and setting the file aside when nothing else helps. */
#include "storage/writer.h"

#include <errno.h>

#include "base/log.h"
#include "base/stats.h"
#include "storage/evict.h"
#include "storage/mapfault.h"
#include "storage/merge.h"
#include "storage/object.h"
#include "storage/queue.h"
#include "storage/state.h"

enum {
    ATTEMPTS_MAX = 5,
    DROPPED_MAX = 8, /* batches in a row that found no pages, until the file is given up */
    REOPEN_MS = 1000,
    RESERVE_PAGES = 256,
    SWEEP_REST_MAX_MS = 60000,
    MAP_PER_BATCH = 48, /* freed pages are usable two commits later: 10 % must hold three */
    BATCH_LEN_MIN = 128 << 10,
    BATCH_LEN_MAX = 8 << 20
};

/* --- the end of ops --- */

static void
op_free(struct writer *w, struct op *op)
{
    struct store_put *put = op->put;

    list_remove(&op->link);
    block_unref(&op->block);
    /* The gauge first: else it shows more than the bound for a moment. */
    STAT_ADD(store_queue_bytes, -(int64_t)op->queue_len);
    (void)atomic_fetch_sub_explicit(&w->queue_len, op->queue_len, memory_order_relaxed);
    if (op->kind != OP_RELEASE)
        mem_free(op);
    if (put != NULL)
        put_unref(put);
}

static void
call_back_and_free(struct writer *w, struct op *op)
{
    if (op->done.fn != NULL)
        op->done.fn(op->done.arg, op->rc, op->rc == OK ? op->n : 0);
    op_free(w, op);
}

/* Pieces that belong to no object yet count to their partition all the same. */
static void
count_loose(struct writer *w, const struct store_put *put, uint64_t pieces_n, bool more)
{
    struct index *index = &w->store->index;
    struct index_list *list = &index->lists[index_group(index, put->group)];
    uint64_t pages = pieces_n * (BLOCK_FULL_LEN / RECORD_PAGE_LEN + 1);
    uint64_t room = pages * (RECORD_PAGE_LEN / RECORD_ROOM_UNIT);

    w->puts_pages += more ? pages : -pages;
    list->loose += more ? room : -room;
    list->room += more ? room : -room;
}

static void
piece_ended(struct writer *w, struct op *op)
{
    struct store_put *put = op->put;

    if (op->rc != OK) {
        queue_kill_put(put);
        return;
    }
    put->written_n++;
    if (list_empty(&put->link))
        list_push(&w->puts, &put->link);
    count_loose(w, put, 1, true);
    atomic_store_explicit(&put->oid, put->own_oid, memory_order_release);
    atomic_store_explicit(&put->stored_len, put->written_n * BLOCK_FULL_LEN, memory_order_release);
}

/* Its pieces belong to an object now, or are doomed. */
static void
forget_put(struct writer *w, struct store_put *put)
{
    if (list_empty(&put->link))
        return;
    list_remove(&put->link);
    count_loose(w, put, put->written_n, false);
}

static void
end_ended(struct writer *w, struct op *op)
{
    struct store_put *put = op->put;
    uint64_t full_len = op->n * BLOCK_FULL_LEN;

    put->end = NULL;
    op->n = op->oid;
    if (op->rc == OK) {
        forget_put(w, put);
        atomic_store_explicit(&put->stored_len, full_len, memory_order_release);
        STAT_INC(store_puts);
        STAT_ADD(store_put_bytes, full_len + (op->block == NULL ? 0 : op->block->len));
    } else {
        queue_kill_put(put);
        STAT_INC(store_puts_aborted);
    }
    LIST_FOREACH (&op->pieces, link) {
        struct op *piece = CONTAINER_OF(link, struct op, link);

        piece->rc = op->rc;
        call_back_and_free(w, piece);
    }
}

static void
op_ended(struct writer *w, struct op *op)
{
    switch (op->kind) {
    case OP_PIECE:
        piece_ended(w, op);
        break;
    case OP_END:
        end_ended(w, op);
        break;
    case OP_UPDATE:
        op->n = op->oid;
        if (op->rc == OK)
            STAT_INC(store_updates);
        break;
    case OP_RELEASE:
        forget_put(w, op->put);
        break;
    case OP_DROP:
        break;
    }
    call_back_and_free(w, op);
}

static void
end_batch(struct writer *w)
{
    LIST_FOREACH (&w->batch, link)
        op_ended(w, CONTAINER_OF(link, struct op, link));
}

/* --- attempts --- */

static void
sweep_ended(struct writer *w)
{
    uint64_t now = queue_now_ms(), took = now - w->swept_ms;

    purge_sweep_end(&w->store->purges);
    w->sweeping = w->sweep_ended = false;
    w->rest_until_ms = now + (took < SWEEP_REST_MAX_MS ? took : SWEEP_REST_MAX_MS);
}

static void
committed(struct writer *w)
{
    if (w->wrote)
        STAT_INC(store_commits);
    batch_apply(w);
    if (w->purged) {
        purge_taken_committed(&w->store->purges, w->purge_seq, w->takes_keys);
        w->has_taken = false;
    }
    if (w->sweep_ended)
        sweep_ended(w);
    evict_raise_limit(w);
    w->dropped_n = 0;
    w->pause_until_ms = 0;
}

static uint64_t
now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* How long everybody who waits for the writer may have to, and whether deleting is bounded. */
static void
note_txn(struct writer *w, uint64_t took_us)
{
    if (took_us > w->longest_us)
        w->longest_us = took_us;
    if (w->freed_n > w->most_freed_n)
        w->most_freed_n = w->freed_n;
    STAT_SET(store_txn_longest, w->longest_us);
    STAT_SET(store_txn_freed_max, w->most_freed_n);
}

int
writer_attempt(struct writer *w, int (*run)(struct writer *w))
{
    uint64_t began_us = now_us();
    int more, rc = mdb_txn_begin(w->store->env.mdb, NULL, 0, &w->txn);

    if (rc != 0)
        return rc;
    more = rc = run(w);
    if (rc == 0 || rc == BATCH_MORE_ROOM)
        rc = mdb_txn_commit(w->txn); /* the transaction is gone either way */
    else
        mdb_txn_abort(w->txn);
    w->txn = NULL;
    if (rc != 0) {
        batch_undo(w);
        return rc;
    }
    note_txn(w, now_us() - began_us);
    if (more == BATCH_MORE_ROOM) {
        batch_apply(w);
        return more;
    }
    committed(w);
    return 0;
}

static const char *
failure_text(int rc)
{
    return rc == BATCH_NOMEM ? err_text(ERR_NOMEM) : mdb_strerror(rc);
}

static enum fault
note_fault(struct writer *w, int rc)
{
    struct store *store = w->store;
    enum fault fault = rc == BATCH_NOMEM ? FAULT_MEMORY : fault_of(rc, &store->env, store->path);

    if (!env_is_fatal(rc)) { /* else it is counted and told when the file is set aside */
        fault_count(fault);
        fault_tell(fault, store->path, failure_text(rc));
    }
    w->disk_is_full |= fault == FAULT_DISK_FULL;
    return fault;
}

static void
note_failure(struct writer *w, int rc)
{
    enum fault fault = note_fault(w, rc);

    if (fault != FAULT_MAP_FULL)
        STAT_INC(store_commit_errors);
    if (fault == FAULT_MAP_FULL || fault == FAULT_DISK_FULL)
        evict_lower_limit(w, fault != FAULT_MAP_FULL);
}

/* --- beginning anew --- */

static void
clear_index(struct writer *w)
{
    struct index *index = &w->store->index;
    size_t kept = 0;

    for (size_t i = 0; i < w->doomed_n; i++)
        if (w->doomed[i].slot != INDEX_NONE)
            w->doomed[kept++] = w->doomed[i];
    w->doomed_n = kept;
    for (;;) {
        uint32_t slot = index_first(index).slot;
        struct index_entry *entry;

        if (slot == INDEX_NONE)
            break;
        entry = index_entry(index, slot);
        index_remove(index, slot);
        if (atomic_fetch_or_explicit(&entry->pins, INDEX_GOING, memory_order_acq_rel) == 0)
            index_retire(index, slot);
        else
            object_doom(w, entry->oid, slot);
    }
}

/* Nothing is stored that they could name. */
static void
forget_purges(struct writer *w)
{
    sweep_give_up(&w->store->sweep);
    purge_all_done(&w->store->purges);
    w->sweeping = w->has_taken = w->sweep_ended = false;
    w->swept_n = 0;
}

static void
forget_all(struct writer *w)
{
    struct store *store = w->store;

    resize_stop(store);
    clear_index(w);
    LIST_FOREACH (&w->puts, link) {
        struct store_put *put = CONTAINER_OF(link, struct store_put, link);

        queue_kill_put(put);
        forget_put(w, put);
    }
    forget_purges(w);
    w->last_key = 0;
    w->limit_pages = evict_limit_max(&store->env);
    w->dropped_n = 0;
    w->pause_until_ms = 0;
    w->reserved_until = 0;
}

void
writer_set_down(struct store *store, enum store_down down)
{
    atomic_store_explicit(&store->down, down, memory_order_release);
    STAT_SET(store_down, down == STORE_DOWN);
}

/* What lies there now is of no use: its objects are not in the index, and purges were acknowledged
 * that it knows nothing of. */
static void
remove_unopened(struct writer *w)
{
    if (!w->begins_anew && env_has_file(w->store->path))
        (void)env_set_aside(w->store->path, FAULT_DISK, "it could not be opened at start", false);
    w->begins_anew = true;
}

static void
reopen(struct writer *w)
{
    struct store *store = w->store;
    char why[512];
    enum err rc = store->lock_fd == -1 ? store_lock_folder(store, why, sizeof(why)) : OK;

    if (rc == OK) {
        remove_unopened(w);
        rc = env_open(&store->env, store->path, store->settings.size_len, store->env_readers, true,
                      why, sizeof(why));
    }
    if (rc == OK) {
        writer_set_down(store, STORE_UP);
        LOG(INFO, store, "text=\"begun anew, empty\" path=\"%s\"", store->path);
        return;
    }
    LOG(ERROR, store_fault, "text=\"nothing is stored until this is mended\" error=\"%s\"", why);
    w->reopen_ms = queue_now_ms() + REOPEN_MS;
}

void
writer_close_file(struct writer *w, enum store_down down)
{
    struct store *store = w->store;

    writer_set_down(store, down);
    epoch_wait(&store->epoch);
    scan_stop(&store->scan);
    reader_drop_txns(store);
    env_close(&store->env);
}

/* The file cannot be used any more. Readers are let out and find nothing until there is a new one;
 * no id is used again. */
static void
begin_anew(struct writer *w, int rc)
{
    struct store *store = w->store;
    enum fault fault = fault_of(rc, &store->env, store->path);
    bool keep = env_is_fatal(rc) && !w->disk_is_full;

    writer_close_file(w, STORE_DOWN);
    (void)env_set_aside(store->path, fault, failure_text(rc), keep);
    w->begins_anew = true;
    forget_all(w);
    reopen(w);
    atomic_store_explicit(&store->ready, true, memory_order_release);
    purger_wake(store);
}

/* --- room on the disk --- */

/* The blocks of what the next batch may add are there before it begins. So a disk that fills up
 * fails no transaction, and least of all one that evicts; the file's length is the bound then. */
static void
reserve_room(struct writer *w)
{
    const struct env *env = &w->store->env;
    uint64_t pages = 2 * w->batch_len / RECORD_PAGE_LEN + RESERVE_PAGES, end = env_file_pages(env);
    int rc;

    if (!w->disk_is_full && w->reserved_until >= end + pages / 2)
        return;
    rc = env_reserve(env, pages);
    if (rc == 0) {
        if (w->disk_is_full)
            w->limit_pages = evict_limit_max(env);
        w->disk_is_full = false;
        w->reserved_until = end + pages;
        return;
    }
    if (!w->disk_is_full)
        (void)note_fault(w, rc);
    evict_bound_by_file(w);
}

/* --- a turn --- */

static void
fail_ops(struct writer *w, enum err rc)
{
    LIST_FOREACH (&w->batch, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);

        if (op->kind == OP_RELEASE || op->kind == OP_DROP || op->failed)
            continue;
        op->failed = true;
        op->rc = rc;
    }
}

/* What must not be lost when even a transaction without puts fails. */
static void
put_back_releases(struct writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    LIST_FOREACH (&w->batch, link) {
        const struct op *op = CONTAINER_OF(link, struct op, link);

        if (op->kind != OP_RELEASE)
            continue;
        list_remove(link);
        list_push(&w->ops, link);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

static int
try_batch(struct writer *w)
{
    int rc;

    do
        rc = writer_attempt(w, batch_run);
    while (rc == BATCH_MORE_ROOM);
    if (rc != 0)
        note_failure(w, rc);
    return rc;
}

/* Between two attempts: pages are usable two transactions after they were freed, if no reader holds
 * an older snapshot; sections are short, so wait for those. */
static void
free_pages(struct writer *w)
{
    int rc = 0;

    for (unsigned i = 0; i < 2 && !env_is_fatal(rc); i++) {
        epoch_wait(&w->store->epoch);
        rc = writer_attempt(w, batch_free);
        if (rc != 0)
            note_failure(w, rc);
    }
    epoch_wait(&w->store->epoch);
}

static int
try_often(struct writer *w)
{
    int rc = try_batch(w);

    for (unsigned tries = 1; rc != 0 && !env_is_fatal(rc) && tries < ATTEMPTS_MAX; tries++) {
        free_pages(w);
        rc = try_batch(w);
    }
    return rc;
}

/* Without the puts: purges have to be done, whatever it takes. */
static void
give_up_puts(struct writer *w, int rc)
{
    fail_ops(w, rc == BATCH_NOMEM ? ERR_NOMEM : env_err(rc));
    w->dropped_n++;
    rc = try_often(w);
    if (rc == 0)
        return;
    w->pause_until_ms = queue_now_ms() + REOPEN_MS; /* what can wait need not fail all the time */
    if (env_is_fatal(rc) || w->dropped_n >= DROPPED_MAX || purge_has_late(&w->store->purges))
        begin_anew(w, rc);
    else
        put_back_releases(w);
}

static void
run_batch(struct writer *w)
{
    int rc = try_often(w);

    if (env_is_fatal(rc)) {
        fail_ops(w, ERR_STORE_CORRUPT);
        begin_anew(w, rc);
    } else if (rc != 0) {
        give_up_puts(w, rc);
    }
}

/* What this batch has to do for purges: those that came, and those that wait for a sweep. */
static void
take_purges(struct writer *w)
{
    struct store *store = w->store;

    w->takes_keys = atomic_load_explicit(&store->ready, memory_order_relaxed);
    w->has_taken = purge_take(&store->purges, w->takes_keys, &w->purge_seq);
    if (w->takes_keys && queue_may_sweep(w) && purge_sweep_begin(&store->purges)) {
        w->sweeping = true;
        w->swept_ms = queue_now_ms();
        sweep_begin(&store->sweep, w->next_oid);
    }
}

static void
turn(struct writer *w)
{
    struct store *store = w->store;

    if (atomic_load_explicit(&store->down, memory_order_relaxed) && queue_now_ms() >= w->reopen_ms)
        reopen(w);
    queue_prepare(w);
    take_purges(w);
    if (atomic_load_explicit(&store->down, memory_order_relaxed)) {
        fail_ops(w, ERR_STORE_IO);
        forget_purges(w);
    } else if (!list_empty(&w->batch) || w->has_taken || w->doomed_n > 0 || queue_has_work(w)) {
        reserve_room(w);
        queue_bound_puts(w);
        run_batch(w);
    }
    end_batch(w);
    if (atomic_load_explicit(&store->down, memory_order_relaxed))
        forget_purges(w);
}

/* --- turns --- */

static void
set_gauges(struct writer *w)
{
    struct store *store = w->store;
    MDB_txn *txn;

    share_note(store);
    STAT_SET(store_index_whole, store_is_ready(store));
    STAT_SET(store_resizing, store->resize.step != RESIZE_NONE);
    STAT_SET(store_objects, store->index.live_n - store->index.members_n);
    STAT_SET(store_members, store->index.members_n);
    STAT_SET(store_index_bytes, store->index.bytes_len);
    if (atomic_load_explicit(&store->down, memory_order_relaxed))
        return;
    STAT_SET(store_reader_lag, env_reader_lag(&store->env));
    if (mdb_txn_begin(store->env.mdb, NULL, MDB_RDONLY, &txn) != 0)
        return;
    STAT_SET(store_used_bytes, env_used_pages(&store->env, txn) * RECORD_PAGE_LEN);
    STAT_SET(store_file_bytes, env_file_pages(&store->env) * RECORD_PAGE_LEN);
    mdb_txn_abort(txn);
}

static void
make_smaller(struct writer *w)
{
    int rc = 0;

    if (!atomic_load_explicit(&w->store->down, memory_order_relaxed) && resize_has_work(w->store))
        rc = resize_go_on(w);
    if (rc != 0)
        begin_anew(w, rc);
}

static void
one_turn(struct writer *w)
{
    merge_scan(w->store);
    turn(w);
    make_smaller(w);
    purge_prune(&w->store->purges, &w->store->index);
    index_reclaim(&w->store->index);
    set_gauges(w);
}

static void *
writer_main(void *arg)
{
    struct writer *w = arg;

    log_set_thread("store");
    mapfault_own(true);
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "text=\"this thread counts into shared cells\"");
    STAT_SET(store_size_bytes, w->store->settings.size_len);
    STAT_SET(store_down, atomic_load_explicit(&w->store->down, memory_order_relaxed) == STORE_DOWN);
    set_gauges(w); /* what a saved index held, before there is work */
    while (queue_take(w))
        one_turn(w);
    return NULL; /* what is doomed is saved with the index */
}

/* --- life --- */

static uint64_t
default_batch_len(uint64_t size_len)
{
    uint64_t len = size_len / MAP_PER_BATCH;

    return len < BATCH_LEN_MIN ? BATCH_LEN_MIN : len > BATCH_LEN_MAX ? BATCH_LEN_MAX : len;
}

static void
init_sync(struct writer *w)
{
    pthread_condattr_t attr;

    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
}

enum err
writer_start(struct store *store)
{
    struct writer *w = &store->writer;

    w->store = store;
    init_sync(w);
    list_init(&w->ops);
    list_init(&w->batch);
    list_init(&w->puts);
    w->batch_len = store->settings.batch_len != 0 ? store->settings.batch_len
                                                  : default_batch_len(store->settings.size_len);
    w->limit_pages = evict_limit_max(&store->env);
    w->scratch = mem_alloc(BLOCK_FULL_LEN + RECORD_SUM_LEN);
    w->ends = mem_zalloc(WRITER_FINGERPRINTS * sizeof(w->ends[0]));
    if (w->scratch == NULL || w->ends == NULL)
        return ERR_NOMEM;
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0)
        return ERR_SYSTEM;
    w->started = true;
    return OK;
}

void
writer_stop(struct store *store)
{
    struct writer *w = &store->writer;

    if (!w->started)
        return;
    (void)pthread_mutex_lock(&w->lock);
    w->closing = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    w->started = false;
}

void
writer_fini(struct store *store)
{
    struct writer *w = &store->writer;

    if (w->store == NULL)
        return;
    ASSERT(!w->started);
    ASSERT(list_empty(&w->ops));
    mem_free(w->scratch);
    mem_free(w->ends);
    mem_free(w->changes);
    mem_free(w->claims);
    mem_free(w->doomed);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
}
