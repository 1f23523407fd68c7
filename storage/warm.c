/* Cold pages: bringing them in, on threads that may wait for the disk.
 *
 * A job says what is going to be read; a thread reads it in a section of its own, which warms the
 * way through the tree too. A job belongs to who asked and to the queue: whichever lets go of it
 * last frees it. */
#include "storage/warm.h"

#include "base/log.h"
#include "base/stats.h"
#include "storage/mapfault.h"
#include "storage/pages.h"
#include "storage/state.h"

enum {
    BODY_IOV_MAX = 24,        /* pieces of one job: 1 MiB from anywhere has up to 22 */
    FIRST_LEN_MAX = 4 * 65536 /* a body up to here comes with its record */
};

enum kind { WARM_FIND, WARM_BODY, WARM_BRANCHES };

struct store_warming {
    struct list link; /* in warm.jobs while it waits */
    struct store *store;
    atomic_uint refs;
    enum kind kind;
    struct store_done done;
    struct store_source source; /* WARM_BODY: with no slot, for who asked may be gone by then */
    uint64_t off, len;
    struct store_key key; /* WARM_FIND; its text is behind */
    char text[];
};

static void
unref(struct store_warming *job)
{
    if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) == 1)
        mem_free(job);
}

/* --- asking --- */

static enum err
append(struct store *store, struct store_warming *job, struct store_warming **out)
{
    struct warm *warm = &store->warm;
    bool is_find = job->kind == WARM_FIND;

    list_init(&job->link);
    job->store = store;
    atomic_init(&job->refs, out == NULL ? 1 : 2);
    (void)pthread_mutex_lock(&warm->lock);
    if (is_find && warm->finds_n >= store->settings.warm_queue_max) {
        (void)pthread_mutex_unlock(&warm->lock);
        mem_free(job);
        return ERR_LIMIT;
    }
    warm->finds_n += is_find;
    list_push(&warm->jobs, &job->link);
    if (out != NULL)
        *out = job;
    (void)pthread_cond_signal(&warm->wake);
    (void)pthread_mutex_unlock(&warm->lock);
    return OK;
}

enum err
store_warm_find(struct store *store, const struct store_key *key, struct store_done done,
                struct store_warming **out)
{
    struct store_warming *job = mem_zalloc(sizeof(*job) + key->text.len);

    ASSERT_TAG(store, STORE_TAG);
    if (job == NULL)
        return ERR_NOMEM;
    job->kind = WARM_FIND;
    job->done = done;
    memcpy(job->text, key->text.ptr, key->text.len);
    job->key = *key;
    job->key.text = slice_of(job->text, key->text.len);
    return append(store, job, out);
}

enum err
store_warm_body(struct store *store, const struct store_source *source, uint64_t off, uint64_t len,
                struct store_done done, struct store_warming **out)
{
    struct store_warming *job = mem_zalloc(sizeof(*job));

    ASSERT_TAG(store, STORE_TAG);
    if (job == NULL)
        return ERR_NOMEM;
    job->kind = WARM_BODY;
    job->done = done;
    job->source = (struct store_source){source->oid, source->body_len, STORE_NO_SLOT};
    job->off = off;
    job->len = len;
    return append(store, job, out);
}

/* Out of the queue; under the lock. */
static void
take(struct warm *warm, struct store_warming *job)
{
    list_remove(&job->link);
    warm->finds_n -= job->kind == WARM_FIND;
}

static void
finish(struct store_warming *job, enum err rc)
{
    if (job->done.fn != NULL)
        job->done.fn(job->done.arg, rc, 0);
    unref(job);
}

void
store_warm_end(struct store_warming **slot)
{
    struct store_warming *job = *slot;
    struct warm *warm;
    bool waits;

    *slot = NULL;
    if (job == NULL)
        return;
    warm = &job->store->warm;
    (void)pthread_mutex_lock(&warm->lock);
    waits = !list_empty(&job->link);
    if (waits)
        take(warm, job);
    (void)pthread_mutex_unlock(&warm->lock);
    if (waits)
        finish(job, ERR_CANCELLED);
    unref(job);
}

/* --- doing --- */

static void
touch_slices(const struct store_object *object)
{
    const struct slice slices[] = {object->key, object->meta, object->head, object->tail};

    for (size_t i = 0; i < ARRAY_LEN(slices); i++)
        pages_touch(slices[i].ptr, slices[i].len);
}

static void
touch_body(struct store_reader *reader, const struct store_source *source, uint64_t off,
           uint64_t len)
{
    struct iovec iov[BODY_IOV_MAX];
    uint64_t before = off % BLOCK_FULL_LEN;
    size_t n = 0;

    off -= before;
    len = len < source->body_len - off ? len + before : source->body_len - off;
    len += BLOCK_FULL_LEN - 1 - (len + BLOCK_FULL_LEN - 1) % BLOCK_FULL_LEN;
    if (store_body(reader, source, off, len, iov, BODY_IOV_MAX, &n) != OK)
        return; /* who asked finds out */
    for (size_t i = 0; i < n; i++)
        pages_touch(iov[i].iov_base, iov[i].iov_len);
}

static void
touch_object(struct store_reader *reader, const struct store_object *object)
{
    struct store_source source = {object->oid, object->body_len, object->slot};

    touch_slices(object);
    if (object->body_len <= FIRST_LEN_MAX)
        touch_body(reader, &source, 0, object->body_len);
}

static void
warm_find(struct store_reader *reader, const struct store_key *key)
{
    struct store_cursor cursor = {.key = key};
    struct store_object object, member;
    bool cold; /* never: this thread waits */

    while (store_find(reader, &cursor, &object)) {
        touch_object(reader, &object);
        member.member = 0;
        while (store_next_member(reader, &object, member.member, &member, &cold))
            touch_object(reader, &member);
    }
}

static void
run_job(struct store_reader *reader, struct store_warming *job)
{
    store_read_begin(reader);
    switch (job->kind) {
    case WARM_FIND:
        warm_find(reader, &job->key);
        break;
    case WARM_BODY:
        touch_body(reader, &job->source, job->off, job->len);
        break;
    case WARM_BRANCHES:
        if (reader_renew(reader) == OK)
            (void)pages_warm_branches(reader);
        break;
    }
    store_read_end(reader);
    if (job->kind != WARM_BRANCHES)
        STAT_INC(store_cold_reads);
    finish(job, OK);
}

static void *
warm_main(void *arg)
{
    struct warm *warm = arg;
    struct store_reader *reader = warm->readers[atomic_fetch_add(&warm->reader_next, 1)];

    log_set_thread("warm");
    mapfault_own(true);
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "text=\"this thread counts into shared cells\"");
    (void)pthread_mutex_lock(&warm->lock);
    for (;;) {
        struct store_warming *job = LIST_FIRST(&warm->jobs, struct store_warming, link);

        if (job != NULL) {
            take(warm, job);
            (void)pthread_mutex_unlock(&warm->lock);
            run_job(reader, job);
            (void)pthread_mutex_lock(&warm->lock);
        } else if (warm->closing) {
            break;
        } else {
            (void)pthread_cond_wait(&warm->wake, &warm->lock);
        }
    }
    (void)pthread_mutex_unlock(&warm->lock);
    return NULL;
}

/* --- life --- */

static enum err
start_thread(struct store *store)
{
    struct warm *warm = &store->warm;
    enum err rc = store_reader_new(store, &warm->readers[warm->threads_n]);

    if (rc != OK)
        return rc;
    warm->readers[warm->threads_n]->blind = true;
    if (pthread_create(&warm->threads[warm->threads_n], NULL, warm_main, warm) != 0) {
        store_reader_free(&warm->readers[warm->threads_n]);
        return ERR_SYSTEM;
    }
    warm->threads_n++;
    return OK;
}

/* The first look-ups find the upper part of the tree in memory, or wait for no more than a leaf. */
static void
begin_with_branches(struct store *store)
{
    struct store_warming *job = mem_zalloc(sizeof(*job));

    if (job == NULL)
        return;
    job->kind = WARM_BRANCHES;
    if (append(store, job, NULL) != OK)
        UNREACHABLE(); /* it is no look-up */
}

enum err
warm_start(struct store *store)
{
    struct warm *warm = &store->warm;
    enum err rc = OK;

    (void)pthread_mutex_init(&warm->lock, NULL);
    (void)pthread_cond_init(&warm->wake, NULL);
    list_init(&warm->jobs);
    warm->started = true;
    while (rc == OK && warm->threads_n < store->settings.warm_threads_n)
        rc = start_thread(store);
    if (rc == OK)
        begin_with_branches(store);
    return rc;
}

void
warm_stop(struct store *store)
{
    struct warm *warm = &store->warm;

    if (!warm->started)
        return;
    (void)pthread_mutex_lock(&warm->lock);
    warm->closing = true;
    (void)pthread_cond_broadcast(&warm->wake);
    (void)pthread_mutex_unlock(&warm->lock);
    for (unsigned i = 0; i < warm->threads_n; i++)
        (void)pthread_join(warm->threads[i], NULL);
    for (unsigned i = 0; i < warm->threads_n; i++)
        store_reader_free(&warm->readers[i]);
    warm->threads_n = 0;
    (void)pthread_cond_destroy(&warm->wake);
    (void)pthread_mutex_destroy(&warm->lock);
}
