/* Walking the tree for what purges name. */
#include "storage/sweep.h"

#include <errno.h>

#include "base/log.h"
#include "base/stats.h"
#include "storage/state.h"

enum {
    SECTION_RECORDS = 512, /* of one section */
    SECTION_NS = 2000000,  /* nor longer than this: a snapshot keeps freed pages from use */
    CLOCK_RECORDS = 16,
    RETRY_NS = 10000000
};

static int64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- chunks --- */

static bool
is_over(struct sweep *sweep, unsigned run)
{
    return atomic_load_explicit(&sweep->run, memory_order_acquire) != run;
}

/* Hand it over, when there is room. It is used up. */
static void
hand_over(struct sweep *sweep, unsigned run, struct sweep_chunk *chunk)
{
    bool taken = false;

    (void)pthread_mutex_lock(&sweep->lock);
    while (!is_over(sweep, run) && !sweep->closing &&
           atomic_load_explicit(&sweep->chunks_n, memory_order_relaxed) >= SWEEP_CHUNKS_MAX)
        (void)pthread_cond_wait(&sweep->wake, &sweep->lock);
    if (!is_over(sweep, run) && !sweep->closing) {
        list_push(&sweep->chunks, &chunk->link);
        (void)atomic_fetch_add_explicit(&sweep->chunks_n, 1, memory_order_release);
        taken = true;
    }
    (void)pthread_mutex_unlock(&sweep->lock);
    if (taken)
        writer_wake(sweep->store);
    else
        mem_free(chunk);
}

/* An empty chunk; waits for memory: the sweep has to come to its end. */
static struct sweep_chunk *
chunk_new(void)
{
    struct sweep_chunk *chunk;

    while ((chunk = mem_alloc(sizeof(*chunk))) == NULL)
        (void)nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    list_init(&chunk->link);
    chunk->last = false;
    chunk->rc = 0;
    chunk->n = 0;
    return chunk;
}

static void
free_chunks(struct sweep *sweep)
{
    LIST_FOREACH (&sweep->chunks, link) {
        list_remove(link);
        mem_free(CONTAINER_OF(link, struct sweep_chunk, link));
    }
    atomic_store_explicit(&sweep->chunks_n, 0, memory_order_release);
}

struct sweep_chunk *
sweep_first(struct sweep *sweep)
{
    struct sweep_chunk *chunk;

    (void)pthread_mutex_lock(&sweep->lock);
    chunk = LIST_FIRST(&sweep->chunks, struct sweep_chunk, link);
    (void)pthread_mutex_unlock(&sweep->lock);
    return chunk;
}

struct sweep_chunk *
sweep_next(struct sweep *sweep, const struct sweep_chunk *chunk)
{
    struct sweep_chunk *next;

    (void)pthread_mutex_lock(&sweep->lock);
    next = chunk->link.next == &sweep->chunks
               ? NULL
               : CONTAINER_OF(chunk->link.next, struct sweep_chunk, link);
    (void)pthread_mutex_unlock(&sweep->lock);
    return next;
}

void
sweep_drop(struct sweep *sweep, size_t n)
{
    (void)pthread_mutex_lock(&sweep->lock);
    for (; n > 0; n--) {
        struct sweep_chunk *chunk = LIST_FIRST(&sweep->chunks, struct sweep_chunk, link);

        list_remove(&chunk->link);
        mem_free(chunk);
        (void)atomic_fetch_sub_explicit(&sweep->chunks_n, 1, memory_order_release);
    }
    (void)pthread_cond_signal(&sweep->wake);
    (void)pthread_mutex_unlock(&sweep->lock);
}

/* --- the walk --- */

struct walk {
    struct sweep *sweep;
    unsigned run;
    uint64_t key, end; /* the next to be looked at; where it ends */
    struct sweep_chunk *chunk;
};

static void
look_at(struct walk *walk, uint64_t oid, struct slice value, const struct purge_table *table)
{
    struct record record;
    struct purge_subject subject;

    if (record_decode(value, oid, false, &record) != OK || (record.flags & RECORD_DEAD) != 0 ||
        record.member != 0)
        return;
    /* Without its hash: keys are not for the sweep. */
    subject = (struct purge_subject){.birth = record.birth,
                                     .key = record.key,
                                     .labels = record.labels,
                                     .labels_n = record.labels_n};
    if (table == NULL || purge_table_match(table, &subject) == STORE_NOT_PURGED)
        return;
    walk->chunk->items[walk->chunk->n++] = (struct sweep_item){store_hash(record.key), oid};
}

/* The value at or after walk->key. */
static int
seek(struct walk *walk, MDB_cursor *cursor, bool step, struct slice *out)
{
    MDB_val name = {sizeof(walk->key), &walk->key}, value;
    int rc = mdb_cursor_get(cursor, &name, &value, step ? MDB_NEXT : MDB_SET_RANGE);

    if (rc == 0 && name.mv_size != sizeof(walk->key))
        return MDB_CORRUPTED;
    if (rc != 0)
        return rc;
    memcpy(&walk->key, name.mv_data, sizeof(walk->key));
    *out = slice_of(value.mv_data, value.mv_size);
    return walk->key < walk->end ? 0 : MDB_NOTFOUND;
}

/* Records from walk->key on, until the section has lasted, the chunk is full, or there is no more
 * (MDB_NOTFOUND). */
static int
walk_section(struct walk *walk, const struct purge_table *table)
{
    MDB_cursor *cursor = walk->sweep->reader->cursor;
    int64_t until = now_ns() + SECTION_NS;
    bool step = false;

    for (unsigned n = 0; n < SECTION_RECORDS && walk->chunk->n < SWEEP_CHUNK;) {
        struct slice value;
        int rc = seek(walk, cursor, step, &value);

        if (rc != 0)
            return rc;
        step = (walk->key & RECORD_PIECE) == RECORD_PIECE;
        if (!step) { /* on to its record, or to what follows when it has none */
            walk->key |= RECORD_PIECE;
            continue;
        }
        look_at(walk, walk->key >> RECORD_PIECE_BITS, value, table);
        walk->key++;
        if (++n % CLOCK_RECORDS == 0 && now_ns() >= until)
            break;
    }
    return 0;
}

static int
one_section(struct walk *walk)
{
    struct store_reader *reader = walk->sweep->reader;
    int rc = EAGAIN;

    store_read_begin(reader);
    if (reader_renew(reader) == OK)
        rc = walk_section(walk, reader->view);
    store_read_end(reader);
    if (rc == EAGAIN) /* there is no file at the moment */
        (void)nanosleep(&(struct timespec){.tv_nsec = RETRY_NS}, NULL);
    return rc == EAGAIN ? 0 : rc;
}

static void
walk_all(struct sweep *sweep, unsigned run, uint64_t oid_end)
{
    struct walk walk = {sweep, run, record_key(1, 0), record_key(oid_end, 0), chunk_new()};
    int rc = 0;

    while (rc == 0 && !is_over(sweep, run)) {
        rc = one_section(&walk);
        if (walk.chunk->n == SWEEP_CHUNK && rc == 0) {
            hand_over(sweep, run, walk.chunk);
            walk.chunk = chunk_new();
        }
    }
    walk.chunk->last = true;
    walk.chunk->rc = rc == MDB_NOTFOUND ? 0 : rc;
    hand_over(sweep, run, walk.chunk);
}

static void *
sweep_main(void *arg)
{
    struct sweep *sweep = arg;

    log_set_thread("sweep");
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "text=\"this thread counts into shared cells\"");
    (void)pthread_mutex_lock(&sweep->lock);
    while (!sweep->closing) {
        uint64_t until = sweep->until;
        unsigned run = atomic_load_explicit(&sweep->run, memory_order_relaxed);

        if (until == 0) {
            (void)pthread_cond_wait(&sweep->wake, &sweep->lock);
            continue;
        }
        sweep->until = 0;
        (void)pthread_mutex_unlock(&sweep->lock);
        walk_all(sweep, run, until);
        (void)pthread_mutex_lock(&sweep->lock);
    }
    (void)pthread_mutex_unlock(&sweep->lock);
    return NULL;
}

/* --- life --- */

static void
order(struct sweep *sweep, uint64_t until, bool closing)
{
    (void)pthread_mutex_lock(&sweep->lock);
    (void)atomic_fetch_add_explicit(&sweep->run, 1, memory_order_release);
    sweep->until = until;
    sweep->closing |= closing;
    free_chunks(sweep);
    (void)pthread_cond_signal(&sweep->wake);
    (void)pthread_mutex_unlock(&sweep->lock);
}

void
sweep_begin(struct sweep *sweep, uint64_t oid_end)
{
    order(sweep, oid_end, false);
}

void
sweep_give_up(struct sweep *sweep)
{
    order(sweep, 0, false);
}

void
sweep_init(struct sweep *sweep, struct store *store)
{
    sweep->store = store;
    list_init(&sweep->chunks);
    (void)pthread_mutex_init(&sweep->lock, NULL);
    (void)pthread_cond_init(&sweep->wake, NULL);
}

enum err
sweep_start(struct sweep *sweep)
{
    enum err rc = store_reader_new(sweep->store, &sweep->reader);

    if (rc != OK)
        return rc;
    if (pthread_create(&sweep->thread, NULL, sweep_main, sweep) != 0)
        return ERR_SYSTEM;
    sweep->started = true;
    return OK;
}

void
sweep_stop(struct sweep *sweep)
{
    if (sweep->started) {
        order(sweep, 0, true);
        (void)pthread_join(sweep->thread, NULL);
        sweep->started = false;
    }
    store_reader_free(&sweep->reader);
}

void
sweep_fini(struct sweep *sweep)
{
    ASSERT(!sweep->started);
    free_chunks(sweep);
    (void)pthread_cond_destroy(&sweep->wake);
    (void)pthread_mutex_destroy(&sweep->lock);
}
