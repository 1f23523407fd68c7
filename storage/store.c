/* The store's life: folder and lock, opening, closing. */
#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"
#include "storage/mapfault.h"
#include "storage/save.h"
#include "storage/state.h"

enum {
    VARIANTS_MAX = 128,
    SIZE_MIN = 4 << 20,
    STORE_PATH_LEN = 4096,
    OWN_READERS = SCAN_THREADS + 12, /* the scan, checks, gauges */
    QUEUE_LEN_DEFAULT = 64 << 20,
    PURGES_MAX_DEFAULT = 65536,
    BATCH_MS_DEFAULT = 200,
    OBJECT_PART = 8, /* the largest body is this part of the store */
    INDEX_PART = 8,  /* and its index's memory, without a word */
    INDEX_LEAST = 16 << 20,
    INDEX_MOST = 1 << 30
};

struct store_hash
store_hash(struct slice text)
{
    XXH128_hash_t hash = XXH3_128bits(text.ptr, text.len);

    return (struct store_hash){hash.low64, hash.high64};
}

uint32_t
store_group(struct slice name)
{
    uint32_t group = (uint32_t)XXH3_64bits(name.ptr, name.len);

    return group == 0 ? 1 : group;
}

uint64_t
store_label(char kind, struct slice text)
{
    return XXH3_64bits_withSeed(text.ptr, text.len, (unsigned char)kind);
}

bool
store_seen(struct store *store, const struct store_key *key)
{
    ASSERT_TAG(store, STORE_TAG);
    return seen_touch(&store->seen, key->hash);
}

bool
store_is_ready(const struct store *store)
{
    return atomic_load_explicit(&store->ready, memory_order_acquire);
}

bool
store_wait_ready(struct store *store, unsigned wait_ms)
{
    ASSERT_TAG(store, STORE_TAG);
    if (!store_is_ready(store))
        scan_wait(&store->scan, wait_ms);
    return store_is_ready(store);
}

/* --- opening --- */

static enum err
no_folder(const struct store *store, int error, const char *what, char *why, size_t why_cap)
{
    const char *remedy = error == EROFS    ? "mount its file system for writing"
                         : error == EACCES ? "give it to this user (chown)"
                         : error == ENOENT ? "make the folder it is to lie in"
                                           : "see what is in the way";

    if (error == EIO || fault_is_no_room(error))
        remedy = "free room on its disk";
    (void)snprintf(why, why_cap, "cannot %s the store's folder %s: %s; %s, or set another path",
                   what, store->path, strerror(error), remedy);
    return error == EIO || fault_is_no_room(error) ? ERR_STORE_IO : ERR_SYSTEM;
}

/* *out_made: nobody had a store here before. */
static enum err
open_lock(struct store *store, bool *out_made, char *why, size_t why_cap)
{
    char name[STORE_PATH_LEN];

    if (mkdir(store->path, 0750) == -1 && errno != EEXIST)
        return no_folder(store, errno, "make", why, why_cap);
    (void)snprintf(name, sizeof(name), "%s/brink.lock", store->path);
    store->lock_fd = open(name, O_RDWR | O_CLOEXEC);
    *out_made = store->lock_fd == -1 && errno == ENOENT;
    if (*out_made)
        store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    return store->lock_fd == -1 ? no_folder(store, errno, "write in", why, why_cap) : OK;
}

enum err
store_lock_folder(struct store *store, char *why, size_t why_cap)
{
    bool made;
    enum err rc = open_lock(store, &made, why, why_cap);

    if (rc != OK)
        return rc;
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        store->ours = !made;
        return OK;
    }
    (void)close(store->lock_fd);
    store->lock_fd = -1;
    (void)snprintf(why, why_cap,
                   "another process uses the store in %s; stop it, or set another path",
                   store->path);
    return ERR_STORE_BUSY;
}

static uint64_t
default_index_memory(uint64_t size_len)
{
    uint64_t len = size_len / INDEX_PART;

    return len < INDEX_LEAST ? INDEX_LEAST : len > INDEX_MOST ? INDEX_MOST : len;
}

static enum err
take_settings(struct store *store, const struct store_settings *settings, char *why, size_t why_cap)
{
    struct store_settings *mine = &store->settings;

    *mine = *settings;
    store->path = mem_strdup(settings->path);
    if (store->path == NULL)
        return ERR_NOMEM;
    mine->path = store->path;
    if (mine->size_len < SIZE_MIN) {
        (void)snprintf(why, why_cap, "the store in %s has to be 4 MB at least", store->path);
        return ERR_RANGE;
    }
    if (mine->variants_max == 0)
        mine->variants_max = VARIANTS_MAX;
    if (mine->object_max_len == 0 || mine->object_max_len > mine->size_len / 2)
        mine->object_max_len = mine->size_len / OBJECT_PART;
    if (mine->object_max_len > (uint64_t)RECORD_PIECES_MAX * BLOCK_FULL_LEN)
        mine->object_max_len = (uint64_t)RECORD_PIECES_MAX * BLOCK_FULL_LEN;
    if (mine->purges_max == 0)
        mine->purges_max = PURGES_MAX_DEFAULT;
    if (mine->index_memory_len == 0)
        mine->index_memory_len = default_index_memory(mine->size_len);
    if (mine->index_memory_len < STORE_INDEX_MEMORY_MIN) {
        (void)snprintf(why, why_cap, "index_memory of the store in %s has to be 4 MB at least",
                       store->path);
        return ERR_RANGE;
    }
    if (mine->queue_max_len == 0)
        mine->queue_max_len = QUEUE_LEN_DEFAULT;
    if (mine->batch_ms == 0)
        mine->batch_ms = BATCH_MS_DEFAULT;
    if (mine->warm_threads_n == 0)
        mine->warm_threads_n = WARM_THREADS;
    if (mine->warm_threads_n > WARM_THREADS_MAX)
        mine->warm_threads_n = WARM_THREADS_MAX;
    if (mine->warm_queue_max == 0)
        mine->warm_queue_max = WARM_FINDS_MAX;
    store->env_readers = mine->readers_max + mine->warm_threads_n + OWN_READERS;
    return OK;
}

/* The purges that were at work, and the largest key. */
static int
read_state(struct store *store, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val name, value;
    uint64_t key;
    int rc = mdb_cursor_open(txn, store->env.dbi, &cursor);

    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &name, &value, MDB_LAST);
    if (rc == 0)
        memcpy(&store->writer.last_key, name.mv_data, sizeof(key));
    rc = mdb_cursor_get(cursor, &name, &value, MDB_FIRST);
    while (rc == 0 && (rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) == 0) {
        struct record_purge what;

        memcpy(&key, name.mv_data, sizeof(key));
        if (key >> RECORD_PIECE_BITS != 0)
            break;
        if (record_purge_decode(slice_of(value.mv_data, value.mv_size), key, &what) != OK)
            rc = MDB_CORRUPTED; /* then nobody knows what it named */
        else if (purge_resume(&store->purges, &what, (uint32_t)key) != OK)
            rc = ENOMEM;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Purges that were acknowledged, and of which the file knows nothing yet. */
static enum err
load_log(struct store *store)
{
    const struct record_header *header = &store->env.header;

    purge_log_open(&store->purger.log, store->path, store->settings.size_len, header->oid_next > 1);
    return purge_log_replay(&store->purger.log, header->purge_seq, &store->purges);
}

static enum err
load_state(struct store *store)
{
    struct env *env = &store->env;
    MDB_txn *txn;
    enum err err;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return env_err(rc);
    purge_set_init(&store->purges, &env->header, store->settings.purges_max);
    rc = read_state(store, txn);
    mdb_txn_abort(txn);
    store->writer.next_oid = env->header.oid_next;
    if (store->writer.last_key >> RECORD_PIECE_BITS >= store->writer.next_oid)
        rc = MDB_CORRUPTED;
    err = env_err(rc);
    if (err == OK)
        err = load_log(store);
    return err == OK ? purge_resumed(&store->purges) : err;
}

/* Open, and once more when what lies there turns out to be damaged. */
static enum err
open_file(struct store *store, char *why, size_t why_cap)
{
    for (bool again = false;; again = true) {
        enum err rc = env_open(&store->env, store->path, store->settings.size_len,
                               store->env_readers, store->ours, why, why_cap);

        if (rc != OK)
            return rc;
        rc = load_state(store);
        if (rc == OK || again || rc != ERR_STORE_CORRUPT) {
            if (rc != OK)
                (void)snprintf(why, why_cap, "cannot read the store in %s: %s", store->path,
                               err_text(rc));
            return rc;
        }
        env_close(&store->env);
        purge_log_close(&store->purger.log);
        purge_set_fini(&store->purges);
        store->writer.last_key = 0;
        store->env.header = (struct record_header){0};
        (void)env_set_aside(store->path, FAULT_DAMAGED, "its own records", true);
    }
}

/* A disk that is full or broken keeps nobody from being served: the store begins without a file,
 * and the writer tries again and again to make one. */
static void
go_without_file(struct store *store, const char *why)
{
    env_close(&store->env);
    store->env.header = (struct record_header){.oid_next = 1};
    if (store->purges.births.next == NULL)
        purge_set_init(&store->purges, &store->env.header, store->settings.purges_max);
    store->env.map_pages = store->settings.size_len / RECORD_PAGE_LEN;
    store->writer.next_oid = 1;
    store->writer.last_key = 0;
    store->ours = true;
    atomic_store_explicit(&store->down, STORE_DOWN, memory_order_release);
    LOG(ERROR, store_fault, "text=\"nothing is stored until this is mended\" error=\"%s\"", why);
}

static enum err
lock_and_open(struct store *store, char *why, size_t why_cap)
{
    enum err rc = store_lock_folder(store, why, why_cap);

    if (rc == OK && mapfault_take_mark(store->path))
        (void)env_set_aside(store->path, FAULT_DAMAGED, "reading it ended the last run", true);
    if (rc == OK)
        env_remove_new(store->path); /* a crash left it */
    mapfault_watch(store->path);
    mapfault_own(true);
    if (rc == OK)
        rc = open_file(store, why, why_cap);
    mapfault_own(false);
    if (rc != ERR_STORE_IO)
        return rc;
    go_without_file(store, why);
    return OK;
}

static enum err
start(struct store *store, char *why, size_t why_cap)
{
    bool down = atomic_load_explicit(&store->down, memory_order_relaxed);
    uint64_t oid_next = store->writer.next_oid;
    bool loaded = down || save_load(store);
    enum err rc;

    if (!loaded && oid_next > 1 && store->writer.last_key >> RECORD_PIECE_BITS == 0)
        loaded = true; /* nothing is stored */
    loaded |= oid_next == 1;
    atomic_store_explicit(&store->ready, loaded, memory_order_release);
    if (!down && env_is_too_long(&store->env))
        resize_begin(store);
    rc = warm_start(store);
    if (rc == OK)
        rc = writer_start(store);
    if (rc == OK)
        rc = sweep_start(&store->sweep);
    if (rc == OK)
        rc = purger_start(store);
    if (rc == OK && !loaded) {
        rc = scan_start(&store->scan, oid_next);
        if (rc == OK)
            scan_wait(&store->scan, store->settings.scan_wait_ms);
    }
    if (rc != OK)
        (void)snprintf(why, why_cap, "cannot start the store's threads: %s", err_text(rc));
    return rc;
}

static void
free_store(struct store **slot)
{
    struct store *store = *slot;

    *slot = NULL;
    resize_stop(store);
    mapfault_forget();
    sweep_fini(&store->sweep);
    purger_fini(store);
    index_fini(&store->index);
    seen_fini(&store->seen);
    verify_fini(&store->verify);
    if (store->purges.births.next != NULL)
        purge_set_fini(&store->purges);
    env_close(&store->env);
    if (store->lock_fd != -1)
        (void)close(store->lock_fd);
    epoch_fini(&store->epoch);
    mem_free(store->path);
    store->tag = TAG_FREED;
    free(store);
}

enum err
store_open(const struct store_settings *settings, struct store **out, char *why, size_t why_cap)
{
    struct store *store;
    enum err rc;

    (void)snprintf(why, why_cap, "%s", err_text(ERR_NOMEM));
    if (posix_memalign((void **)&store, _Alignof(struct store), sizeof(*store)) != 0)
        return ERR_NOMEM;
    memset(store, 0, sizeof(*store));
    store->tag = STORE_TAG;
    store->lock_fd = -1;
    epoch_init(&store->epoch);
    scan_init(&store->scan, store);
    check_init(&store->check, store);
    purger_init(store);
    sweep_init(&store->sweep, store);
    rc = take_settings(store, settings, why, why_cap);
    if (rc == OK)
        rc = index_init(&store->index, &store->epoch);
    if (rc == OK)
        index_bound(&store->index, store->settings.index_memory_len);
    if (rc == OK)
        rc = verify_init(&store->verify, store->settings.size_len);
    if (rc == OK)
        rc = share_take(store, why, why_cap);
    if (rc == OK)
        rc = seen_init(&store->seen, store->settings.seen_len);
    if (rc == OK)
        rc = lock_and_open(store, why, why_cap);
    if (rc == OK)
        rc = start(store, why, why_cap);
    if (rc != OK) {
        check_fini(&store->check);
        purger_stop(store);
        writer_stop(store);
        sweep_stop(&store->sweep);
        scan_fini(&store->scan);
        writer_fini(store);
        warm_stop(store);
        free_store(&store);
        return rc;
    }
    LOG(INFO, store, "text=\"open\" path=\"%s\" size=%llu ready=%d", store->path,
        (unsigned long long)store->settings.size_len, store_is_ready(store));
    *out = store;
    return OK;
}

/* --- closing --- */

/* Only what a start can rely on is saved: the index is whole. */
static void
save_index(struct store *store)
{
    if (!store_is_ready(store) || store->scan.failed ||
        atomic_load_explicit(&store->down, memory_order_relaxed))
        save_forget(store->path);
    else
        save_write(store);
}

void
store_close(struct store **slot)
{
    struct store *store = *slot;

    *slot = NULL;
    if (store == NULL)
        return;
    ASSERT_TAG(store, STORE_TAG);
    check_fini(&store->check);
    purger_stop(store);
    writer_stop(store);
    sweep_stop(&store->sweep);
    scan_fini(&store->scan); /* its threads may still be about to wake the writer */
    save_index(store);
    writer_fini(store);
    warm_stop(store);
    free_store(&store);
}
