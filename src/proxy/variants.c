/* The pool: its threads, and who asks them for something.
 *
 * One lock, held for moments: look-ups in a table and lists, never for work. The threads' priority
 * is low, so who holds it may be kept waiting for a processor; who waits for it (a request without
 * a strong form) sleeps, which frees one. */
#include "proxy/variants_impl.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"
#include "net/loop.h"
#include "net/wake.h"
#include "proxy/unstorable.h"

enum {
    THREADS_MAX = 64,
    NICE = 10,      /* behind the workers; README.md says why not more */
    FAILED_S = 60,  /* what failed is not tried again for so long */
    MISSING_S = 300 /* nor is a file asked for that was not there */
};

struct variants {
    uint32_t tag;
    struct store *store;
    struct coder_bound bound;
    unsigned threads_max;
    struct unstorable *failed, *missing; /* tables of ids, each for a while */
    atomic_bool stopping;

    pthread_mutex_t lock; /* of all below */
    struct variants_queue queue;
    bool started;
    unsigned threads_n;
    struct {
        struct variant_thread own;
        pthread_t thread;
    } * threads;
};

static void
lock(struct variants *variants)
{
    (void)pthread_mutex_lock(&variants->lock);
}

static void
unlock(struct variants *variants)
{
    (void)pthread_mutex_unlock(&variants->lock);
}

/* --- files --- */

/* With the lock. To the askers by turns; false: there is none. */
static bool
hand_out(struct variants *variants, struct variant_job *job)
{
    struct variant_asker *asker = LIST_FIRST(&variants->queue.askers, struct variant_asker, link);

    if (asker == NULL)
        return false;
    list_remove(&asker->link);
    list_push(&variants->queue.askers, &asker->link);
    list_push(&asker->asks, &job->link);
    wake_post(asker->wake);
    return true;
}

void
variants_add_asker(struct variants *variants, struct variant_asker *asker)
{
    ASSERT_TAG(variants, VARIANTS_TAG);
    list_init(&asker->asks);
    lock(variants);
    list_push(&variants->queue.askers, &asker->link);
    unlock(variants);
}

void
variants_remove_asker(struct variants *variants, struct variant_asker *asker)
{
    struct variant_job *job;

    ASSERT_TAG(variants, VARIANTS_TAG);
    lock(variants);
    list_remove(&asker->link);
    while ((job = LIST_FIRST(&asker->asks, struct variant_job, link)) != NULL) {
        list_remove(&job->link);
        variants_queue_give_file_back(&variants->queue, job);
        list_push(&variants->queue.ready, &job->link);
    }
    (void)pthread_cond_broadcast(&variants->queue.wake);
    unlock(variants);
}

bool
variants_take_ask(struct variants *variants, struct variant_asker *asker, struct variant_ask *out)
{
    struct variant_job *job;

    ASSERT_TAG(variants, VARIANTS_TAG);
    lock(variants);
    job = LIST_FIRST(&asker->asks, struct variant_job, link);
    if (job != NULL)
        list_remove(&job->link);
    unlock(variants);
    if (job == NULL)
        return false;
    *out = (struct variant_ask){job, job->key.text, job->coding, job->settings, job->file_max_len};
    return true;
}

void
variants_answer(struct variants *variants, struct variant_job *job, enum variant_file what,
                char *file, size_t file_len)
{
    ASSERT_TAG(variants, VARIANTS_TAG);
    ASSERT_TAG(job, VARIANT_JOB_TAG);
    ASSERT((what == VARIANT_FILE_FOUND) == (file != NULL));
    if (what == VARIANT_FILE_MISSING)
        unstorable_note(variants->missing, &job->file_id, REASON_STORED, loop_now_ms(), MISSING_S);
    job->file = file;
    job->file_len = file_len;
    lock(variants);
    if (file == NULL)
        variants_queue_give_file_back(&variants->queue, job);
    list_push(&variants->queue.ready, &job->link);
    (void)pthread_cond_signal(&variants->queue.wake);
    unlock(variants);
}

/* --- a thread --- */

static uint64_t
cpu_us(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (uint64_t)at.tv_sec * 1000000 + (uint64_t)at.tv_nsec / 1000;
}

/* The end of a job, on any thread. */
static void
finish(struct variant_job *job, enum err rc)
{
    struct variants *variants = job->variants;
    bool failed = rc != OK && rc != ERR_NOT_FOUND && rc != ERR_CANCELLED && rc != ERR_LIMIT;

    if (failed)
        STAT_INC(variants_failed);
    if (failed || rc == ERR_LIMIT)
        unstorable_note(variants->failed, &job->id, REASON_STORED, loop_now_ms(), FAILED_S);
    lock(variants);
    variants_queue_free_job(&variants->queue, job);
    unlock(variants);
}

static void
count_made(const struct variant_job *job)
{
    static const enum counter made[CODING_COUNT] = {[CODING_GZIP] = STAT_variants_made_gzip,
                                                    [CODING_BR] = STAT_variants_made_br,
                                                    [CODING_ZSTD] = STAT_variants_made_zstd};

    if (job->no_gain)
        STAT_INC(variants_no_gain);
    else
        stats_add(made[job->coding], 1);
    if (job->from_file)
        STAT_INC(precompressed_used);
}

void
variant_job_stored(void *arg, enum err rc, uint64_t n)
{
    struct variant_job *job = arg;

    (void)n;
    if (rc == OK)
        count_made(job);
    finish(job, rc);
}

/* True: an asker will say more. */
static bool
ask_first(const struct variant_thread *thread, struct variant_job *job, enum err *out_rc)
{
    struct variants *variants = thread->variants;
    bool asked;

    job->wants_file = false; /* whatever comes of it */
    *out_rc = variant_job_look(thread, job);
    if (*out_rc != OK)
        return false;
    lock(variants);
    asked = job->file_max_len > 0 && hand_out(variants, job);
    if (!asked)
        variants_queue_give_file_back(&variants->queue, job);
    unlock(variants);
    return asked;
}

static void
work(const struct variant_thread *thread, struct variant_job *job)
{
    uint64_t began_us = cpu_us();
    enum err rc = OK;

    if (job->wants_file && ask_first(thread, job, &rc))
        return;
    STAT_INC(variants_at_work);
    if (rc == OK)
        rc = variant_job_make(thread, job);
    if (rc != OK)
        finish(job, rc);
    STAT_ADD(variants_time, cpu_us() - began_us);
    STAT_DEC(variants_at_work);
}

/* What serves goes first, whatever priority it has itself. */
static void
step_back(void)
{
    errno = 0;
    if (nice(NICE) == -1 && errno != 0)
        LOG(WARN, limit, "what=priority text=\"strong forms are made at the priority of serving\"");
}

static void *
run(void *arg)
{
    const struct variant_thread *thread = arg;
    struct variants *variants = thread->variants;

    (void)pthread_setname_np(pthread_self(), "variants");
    log_set_thread("variants");
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "text=\"this thread counts into shared cells\"");
    step_back();
    lock(variants);
    while (!atomic_load_explicit(&variants->stopping, memory_order_relaxed)) {
        struct variant_job *job = variants_queue_next(&variants->queue);

        if (job == NULL) {
            (void)pthread_cond_wait(&variants->queue.wake, &variants->lock);
            continue;
        }
        unlock(variants);
        work(thread, job);
        lock(variants);
    }
    unlock(variants);
    return NULL;
}

static enum err
start_thread(struct variants *variants, unsigned i)
{
    struct variant_thread *own = &variants->threads[i].own;
    enum err rc;

    *own = (struct variant_thread){.variants = variants,
                                   .store = variants->store,
                                   .bound = &variants->bound,
                                   .stopping = &variants->stopping};
    rc = store_reader_new(variants->store, &own->reader);
    if (rc != OK)
        return rc;
    if (pthread_create(&variants->threads[i].thread, NULL, run, own) != 0) {
        store_reader_free(&own->reader);
        return ERR_SYSTEM;
    }
    return OK;
}

/* With the lock, when something is wanted for the first time: with one thread it goes on too. */
static bool
start_threads(struct variants *variants)
{
    enum err rc = OK;

    if (variants->started)
        return true;
    while (variants->threads_n < variants->threads_max && rc == OK) {
        rc = start_thread(variants, variants->threads_n);
        if (rc == OK)
            variants->threads_n++;
    }
    if (rc != OK)
        LOG(WARN, limit, "what=compress_threads threads=%u of=%u error=%s", variants->threads_n,
            variants->threads_max, err_name(rc));
    variants->started = variants->threads_n > 0;
    return variants->started;
}

/* --- asking for it --- */

static bool
is_precompressed(const struct coding_settings *settings, enum http_coding coding)
{
    for (size_t i = 0; i < settings->precompressed_n; i++)
        if (settings->precompressed[i] == coding)
            return true;
    return false;
}

static struct store_hash
hash_of(const struct store_key *key, uint64_t variant, uint64_t family, enum http_coding coding)
{
    const uint64_t text[] = {key->hash.lo, key->hash.hi, variant, family, coding};

    return store_hash(slice_of(text, sizeof(text)));
}

static struct variant_job *
new_job(struct variants *variants, const struct store_key *key, uint64_t variant, uint64_t family,
        enum http_coding coding, const struct coding_settings *settings)
{
    struct variant_job *job = mem_zalloc(sizeof(*job) + key->text.len);

    if (job == NULL)
        return NULL;
    job->tag = VARIANT_JOB_TAG;
    job->variants = variants;
    job->settings = settings;
    job->id = hash_of(key, variant, family, coding);
    job->file_id = hash_of(key, 0, 0, coding);
    job->variant = variant;
    job->family = family;
    job->coding = coding;
    list_init(&job->link);
    job->key = *key;
    if (key->text.len > 0)
        memcpy(job->text, key->text.ptr, key->text.len);
    job->key.text.ptr = job->text;
    /* A file has no secondary keys: nobody could say which of an object's variants it is of. */
    job->wants_file = variant == 0 && is_precompressed(settings, coding) &&
                      !unstorable_is(variants->missing, &job->file_id, loop_now_ms());
    return job;
}

void
variants_want(struct variants *variants, const struct store_key *key, uint64_t variant,
              uint64_t family, enum http_coding coding, const struct coding_settings *settings)
{
    struct store_hash id = hash_of(key, variant, family, coding);
    struct variant_job *job = NULL;
    bool known, entered = false;

    ASSERT_TAG(variants, VARIANTS_TAG);
    ASSERT(family != 0 && coding > CODING_IDENTITY && coding < CODING_COUNT);
    if (unstorable_is(variants->failed, &id, loop_now_ms()))
        return;
    lock(variants);
    /* What the store commits until it is closed may still call. */
    known = variants_queue_has(&variants->queue, &id) ||
            atomic_load_explicit(&variants->stopping, memory_order_relaxed);
    if (!known) {
        job = new_job(variants, key, variant, family, coding, settings);
        entered =
            job != NULL && start_threads(variants) && variants_queue_enter(&variants->queue, job);
    }
    unlock(variants);
    if (known || entered)
        return;
    STAT_INC(variants_refused);
    mem_free(job);
}

/* --- life --- */

unsigned
variants_threads(const struct variants_settings *settings)
{
    cpu_set_t cores;
    unsigned n = settings->threads_n;

    if (n == 0 && sched_getaffinity(0, sizeof(cores), &cores) == 0)
        n = (unsigned)CPU_COUNT(&cores) / 2;
    return n == 0 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}

enum err
variants_new(struct store *store, const struct variants_settings *settings,
             const struct coder_bound *bound, struct variants **out)
{
    struct variants *variants = mem_zalloc(sizeof(*variants));
    enum err rc = OK;

    if (variants == NULL)
        return ERR_NOMEM;
    variants->tag = VARIANTS_TAG;
    variants->store = store;
    variants->bound = *bound;
    variants->threads_max = variants_threads(settings);
    (void)pthread_mutex_init(&variants->lock, NULL);
    rc = variants_queue_init(&variants->queue, settings->queue_max);
    variants->threads = mem_zalloc(variants->threads_max * sizeof(*variants->threads));
    if (variants->threads == NULL)
        rc = ERR_NOMEM;
    if (rc == OK)
        rc = unstorable_new(&variants->failed);
    if (rc == OK)
        rc = unstorable_new(&variants->missing);
    if (rc != OK)
        variants_free(&variants);
    else
        *out = variants;
    return rc;
}

void
variants_stop(struct variants *variants)
{
    if (variants == NULL)
        return;
    ASSERT_TAG(variants, VARIANTS_TAG);
    lock(variants);
    ASSERT(list_empty(&variants->queue.askers));
    atomic_store_explicit(&variants->stopping, true, memory_order_relaxed);
    (void)pthread_cond_broadcast(&variants->queue.wake);
    unlock(variants);
    for (unsigned i = 0; i < variants->threads_n; i++) {
        (void)pthread_join(variants->threads[i].thread, NULL);
        store_reader_free(&variants->threads[i].own.reader);
    }
    lock(variants); /* the store may still call for what it is about to commit */
    variants->threads_n = 0;
    variants_queue_empty(&variants->queue);
    unlock(variants);
}

void
variants_free(struct variants **slot)
{
    struct variants *variants = *slot;

    *slot = NULL;
    if (variants == NULL)
        return;
    ASSERT_TAG(variants, VARIANTS_TAG);
    ASSERT(variants->threads_n == 0);
    variants_queue_fini(&variants->queue);
    unstorable_free(&variants->failed);
    unstorable_free(&variants->missing);
    mem_free(variants->threads);
    (void)pthread_mutex_destroy(&variants->lock);
    variants->tag = TAG_FREED;
    mem_free(variants);
}
