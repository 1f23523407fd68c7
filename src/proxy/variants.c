/* The pool: what is wanted, whose turn it is, the threads.
 *
 * Each site has a queue of its own and they take turns, so a flood of one delays the others by one
 * strong form for each thread. When all the room is used, a site that has less than the one that
 * has most takes the newest place of that.
 *
 * One lock, held for moments: look-ups in a table and lists, never for work. The threads' priority
 * is low, so who holds it may be kept waiting for a processor; that costs who waits for it (a
 * request without a strong form) no more than its own sleep frees. */
#include "proxy/variants_impl.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"
#include "net/loop.h"
#include "net/wake.h"
#include "proxy/unstorable.h"

enum {
    THREADS_MAX = 64,
    NICE = 19,
    SITE_BUCKETS = 64,
    FILES_MAX = 8,      /* asked for, or waiting to be looked at, at once */
    SITE_FILES_MAX = 2, /* ... of one site, whose origin may be slow */
    FAILED_S = 60,      /* what failed is not tried again for so long */
    MISSING_S = 300     /* nor is a file asked for that was not there */
};

/* What one site waits for. Made when it first wants something, kept until the end. */
struct variant_site {
    struct variant_site *next; /* of its bucket */
    const struct coding_settings *settings;
    struct list link; /* in `turns` while something waits */
    struct list waiting;
    unsigned waiting_n, files_n;
};

struct variants {
    uint32_t tag;
    struct store *store;
    struct coder_bound bound;
    unsigned threads_max, queue_max;
    struct unstorable *failed, *missing; /* tables of ids, each for a while */
    atomic_bool stopping;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;
    bool started;
    unsigned threads_n, waiting_n, files_n;
    struct variant_job **buckets; /* all jobs, by id */
    size_t buckets_n;             /* a power of two */
    struct variant_site *sites[SITE_BUCKETS];
    struct list turns;  /* sites with something that waits, who is next first */
    struct list ready;  /* jobs that an asker answered */
    struct list askers; /* who is next first */
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

/* --- the table of jobs --- */

static struct variant_job **
find_slot(struct variants *variants, const struct store_hash *id)
{
    struct variant_job **slot = &variants->buckets[id->lo & (variants->buckets_n - 1)];

    while (*slot != NULL && ((*slot)->id.lo != id->lo || (*slot)->id.hi != id->hi))
        slot = &(*slot)->next;
    return slot;
}

/* Its file is used, or will not come: another may be asked for. */
static void
give_file_back(struct variants *variants, struct variant_job *job)
{
    if (!job->holds_file)
        return;
    job->holds_file = false;
    variants->files_n--;
    job->site->files_n--;
    (void)pthread_cond_signal(&variants->wake); /* who passed a site by, for it had too many */
}

static void
free_job(struct variants *variants, struct variant_job *job)
{
    struct variant_job **slot = find_slot(variants, &job->id);

    ASSERT_TAG(job, VARIANT_JOB_TAG);
    ASSERT(*slot == job);
    *slot = job->next;
    give_file_back(variants, job);
    list_remove(&job->link);
    mem_free(job->file);
    job->tag = TAG_FREED;
    mem_free(job);
}

/* --- waiting --- */

static struct variant_site *
site_of(struct variants *variants, const struct coding_settings *settings)
{
    struct variant_site **slot = &variants->sites[((uintptr_t)settings >> 4) % SITE_BUCKETS];

    while (*slot != NULL && (*slot)->settings != settings)
        slot = &(*slot)->next;
    if (*slot == NULL) {
        *slot = mem_zalloc(sizeof(**slot));
        if (*slot == NULL)
            return NULL;
        (*slot)->settings = settings;
        list_init(&(*slot)->link);
        list_init(&(*slot)->waiting);
    }
    return *slot;
}

static void
push_waiting(struct variants *variants, struct variant_job *job)
{
    struct variant_site *site = job->site;

    list_push(&site->waiting, &job->link);
    if (site->waiting_n++ == 0)
        list_push(&variants->turns, &site->link);
    variants->waiting_n++;
    STAT_INC(variants_queued);
}

static void
remove_waiting(struct variants *variants, struct variant_job *job)
{
    struct variant_site *site = job->site;

    list_remove(&job->link);
    if (--site->waiting_n == 0)
        list_remove(&site->link);
    variants->waiting_n--;
    STAT_DEC(variants_queued);
}

/* Room for one more of this site; false: it has as much as any, or there is no room at all. */
static bool
make_room(struct variants *variants, const struct variant_site *site)
{
    struct variant_site *most = NULL;
    struct variant_job *newest;

    if (variants->waiting_n < variants->queue_max)
        return true;
    LIST_FOREACH (&variants->turns, link) {
        struct variant_site *other = CONTAINER_OF(link, struct variant_site, link);

        if (most == NULL || other->waiting_n > most->waiting_n)
            most = other;
    }
    if (most == NULL || most->waiting_n <= site->waiting_n + 1)
        return false;
    newest = CONTAINER_OF(most->waiting.prev, struct variant_job, link);
    remove_waiting(variants, newest);
    free_job(variants, newest);
    STAT_INC(variants_refused);
    return true;
}

/* --- whose turn it is --- */

/* May this one begin? One that wants a file takes one of the places of files. */
static bool
may_begin(struct variants *variants, struct variant_job *job)
{
    if (!job->wants_file)
        return true;
    if (variants->files_n >= FILES_MAX || job->site->files_n >= SITE_FILES_MAX)
        return false;
    variants->files_n++;
    job->site->files_n++;
    job->holds_file = true;
    return true;
}

static struct variant_job *
next_waiting(struct variants *variants)
{
    LIST_FOREACH (&variants->turns, link) {
        struct variant_site *site = CONTAINER_OF(link, struct variant_site, link);
        struct variant_job *job = LIST_FIRST(&site->waiting, struct variant_job, link);

        if (!may_begin(variants, job))
            continue;
        remove_waiting(variants, job);
        if (site->waiting_n > 0) {
            list_remove(&site->link);
            list_push(&variants->turns, &site->link);
        }
        return job;
    }
    return NULL;
}

/* What was answered by an origin goes first: its file takes memory. */
static struct variant_job *
next_job(struct variants *variants)
{
    struct variant_job *job = LIST_FIRST(&variants->ready, struct variant_job, link);

    if (job == NULL)
        return next_waiting(variants);
    list_remove(&job->link);
    return job;
}

/* --- files --- */

/* With the lock. To the askers by turns; false: there is none. */
static bool
hand_out(struct variants *variants, struct variant_job *job)
{
    struct variant_asker *asker = LIST_FIRST(&variants->askers, struct variant_asker, link);

    if (asker == NULL)
        return false;
    list_remove(&asker->link);
    list_push(&variants->askers, &asker->link);
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
    list_push(&variants->askers, &asker->link);
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
        give_file_back(variants, job);
        list_push(&variants->ready, &job->link);
    }
    (void)pthread_cond_broadcast(&variants->wake);
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
        give_file_back(variants, job);
    list_push(&variants->ready, &job->link);
    (void)pthread_cond_signal(&variants->wake);
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
    free_job(variants, job);
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
        give_file_back(variants, job);
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

/* Whatever serves goes first. */
static void
step_back(void)
{
    if (setpriority(PRIO_PROCESS, 0, NICE) == -1)
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
        struct variant_job *job = next_job(variants);

        if (job == NULL) {
            (void)pthread_cond_wait(&variants->wake, &variants->lock);
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

/* With the lock. False: there is no room for it, or nobody to do it. */
static bool
enter(struct variants *variants, struct variant_job *job)
{
    struct variant_job **slot;

    job->site = site_of(variants, job->settings);
    if (job->site == NULL || !start_threads(variants) || !make_room(variants, job->site))
        return false;
    slot = &variants->buckets[job->id.lo & (variants->buckets_n - 1)];
    job->next = *slot;
    *slot = job;
    push_waiting(variants, job);
    (void)pthread_cond_signal(&variants->wake);
    return true;
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
    known = *find_slot(variants, &id) != NULL ||
            atomic_load_explicit(&variants->stopping, memory_order_relaxed);
    if (!known) {
        job = new_job(variants, key, variant, family, coding, settings);
        entered = job != NULL && enter(variants, job);
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
    variants->queue_max = settings->queue_max;
    (void)pthread_mutex_init(&variants->lock, NULL);
    (void)pthread_cond_init(&variants->wake, NULL);
    list_init(&variants->turns);
    list_init(&variants->ready);
    list_init(&variants->askers);
    for (variants->buckets_n = 16; variants->buckets_n < settings->queue_max;)
        variants->buckets_n *= 2;
    variants->buckets = mem_zalloc(variants->buckets_n * sizeof(*variants->buckets));
    variants->threads = mem_zalloc(variants->threads_max * sizeof(*variants->threads));
    if (variants->buckets == NULL || variants->threads == NULL)
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

/* What was not begun. */
static void
drop_waiting(struct variants *variants)
{
    struct variant_site *site;
    struct variant_job *job;

    while ((job = LIST_FIRST(&variants->ready, struct variant_job, link)) != NULL)
        free_job(variants, job);
    while ((site = LIST_FIRST(&variants->turns, struct variant_site, link)) != NULL) {
        job = LIST_FIRST(&site->waiting, struct variant_job, link);
        remove_waiting(variants, job);
        free_job(variants, job);
    }
}

void
variants_stop(struct variants *variants)
{
    if (variants == NULL)
        return;
    ASSERT_TAG(variants, VARIANTS_TAG);
    lock(variants);
    ASSERT(list_empty(&variants->askers));
    atomic_store_explicit(&variants->stopping, true, memory_order_relaxed);
    (void)pthread_cond_broadcast(&variants->wake);
    unlock(variants);
    for (unsigned i = 0; i < variants->threads_n; i++) {
        (void)pthread_join(variants->threads[i].thread, NULL);
        store_reader_free(&variants->threads[i].own.reader);
    }
    lock(variants); /* the store may still call for what it is about to commit */
    variants->threads_n = 0;
    drop_waiting(variants);
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
    for (size_t i = 0; variants->buckets != NULL && i < variants->buckets_n; i++)
        ASSERT(variants->buckets[i] == NULL); /* the store has called for each */
    for (size_t i = 0; i < SITE_BUCKETS; i++) {
        struct variant_site *site;

        while ((site = variants->sites[i]) != NULL) {
            variants->sites[i] = site->next;
            mem_free(site);
        }
    }
    unstorable_free(&variants->failed);
    unstorable_free(&variants->missing);
    mem_free(variants->buckets);
    mem_free(variants->threads);
    (void)pthread_cond_destroy(&variants->wake);
    (void)pthread_mutex_destroy(&variants->lock);
    variants->tag = TAG_FREED;
    mem_free(variants);
}
