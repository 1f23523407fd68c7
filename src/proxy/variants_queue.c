/* What is wanted, and whose turn it is.
 *
 * Each site has a list of its own and they take turns, so a flood of one delays the others by one
 * strong form for each thread. When all the room is used, a site that has less than the one that
 * has most takes the newest place of that. */
#include "proxy/variants_impl.h"

#include "base/stats.h"

enum {
    FILES_MAX = 8,     /* asked for, or waiting to be looked at, at once */
    SITE_FILES_MAX = 2 /* ... of one site, whose origin may be slow */
};

/* What one site waits for. Made when it first wants something, kept until the end. */
struct variant_site {
    struct variant_site *next; /* of its bucket */
    const struct coding_settings *settings;
    struct list link; /* in `turns` while something waits */
    struct list waiting;
    unsigned waiting_n, files_n;
};

/* --- the table of jobs --- */

static struct variant_job **
find_slot(struct variants_queue *queue, const struct store_hash *id)
{
    struct variant_job **slot = &queue->buckets[id->lo & (queue->buckets_n - 1)];

    while (*slot != NULL && ((*slot)->id.lo != id->lo || (*slot)->id.hi != id->hi))
        slot = &(*slot)->next;
    return slot;
}

void
variants_queue_give_file_back(struct variants_queue *queue, struct variant_job *job)
{
    if (!job->holds_file)
        return;
    job->holds_file = false;
    queue->files_n--;
    job->site->files_n--;
    (void)pthread_cond_signal(&queue->wake); /* who passed a site by, for it had too many */
}

void
variants_queue_free_job(struct variants_queue *queue, struct variant_job *job)
{
    struct variant_job **slot = find_slot(queue, &job->id);

    ASSERT_TAG(job, VARIANT_JOB_TAG);
    ASSERT(*slot == job);
    *slot = job->next;
    variants_queue_give_file_back(queue, job);
    list_remove(&job->link);
    mem_free(job->file);
    job->tag = TAG_FREED;
    mem_free(job);
}

/* --- waiting --- */

static struct variant_site *
site_of(struct variants_queue *queue, const struct coding_settings *settings)
{
    struct variant_site **slot = &queue->sites[((uintptr_t)settings >> 4) % VARIANT_SITE_BUCKETS];

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
push_waiting(struct variants_queue *queue, struct variant_job *job)
{
    struct variant_site *site = job->site;

    list_push(&site->waiting, &job->link);
    if (site->waiting_n++ == 0)
        list_push(&queue->turns, &site->link);
    queue->waiting_n++;
    STAT_INC(variants_queued);
}

static void
remove_waiting(struct variants_queue *queue, struct variant_job *job)
{
    struct variant_site *site = job->site;

    list_remove(&job->link);
    if (--site->waiting_n == 0)
        list_remove(&site->link);
    queue->waiting_n--;
    STAT_DEC(variants_queued);
}

/* Room for one more of this site; false: it has as much as any, or there is no room at all. */
static bool
make_room(struct variants_queue *queue, const struct variant_site *site)
{
    struct variant_site *most = NULL;
    struct variant_job *newest;

    if (queue->waiting_n < queue->max)
        return true;
    LIST_FOREACH (&queue->turns, link) {
        struct variant_site *other = CONTAINER_OF(link, struct variant_site, link);

        if (most == NULL || other->waiting_n > most->waiting_n)
            most = other;
    }
    if (most == NULL || most->waiting_n <= site->waiting_n + 1)
        return false;
    newest = CONTAINER_OF(most->waiting.prev, struct variant_job, link);
    remove_waiting(queue, newest);
    variants_queue_free_job(queue, newest);
    STAT_INC(variants_refused);
    return true;
}

/* --- whose turn it is --- */

/* May this one begin? One that wants a file takes one of the places of files. */
static bool
may_begin(struct variants_queue *queue, struct variant_job *job)
{
    if (!job->wants_file)
        return true;
    if (queue->files_n >= FILES_MAX || job->site->files_n >= SITE_FILES_MAX)
        return false;
    queue->files_n++;
    job->site->files_n++;
    job->holds_file = true;
    return true;
}

static struct variant_job *
next_waiting(struct variants_queue *queue)
{
    LIST_FOREACH (&queue->turns, link) {
        struct variant_site *site = CONTAINER_OF(link, struct variant_site, link);
        struct variant_job *job = LIST_FIRST(&site->waiting, struct variant_job, link);

        if (!may_begin(queue, job))
            continue;
        remove_waiting(queue, job);
        if (site->waiting_n > 0) {
            list_remove(&site->link);
            list_push(&queue->turns, &site->link);
        }
        return job;
    }
    return NULL;
}

struct variant_job *
variants_queue_next(struct variants_queue *queue)
{
    struct variant_job *job = LIST_FIRST(&queue->ready, struct variant_job, link);

    if (job == NULL)
        return next_waiting(queue);
    list_remove(&job->link);
    return job;
}

/* --- life --- */

bool
variants_queue_has(struct variants_queue *queue, const struct store_hash *id)
{
    return *find_slot(queue, id) != NULL;
}

bool
variants_queue_enter(struct variants_queue *queue, struct variant_job *job)
{
    struct variant_job **slot;

    job->site = site_of(queue, job->settings);
    if (job->site == NULL || !make_room(queue, job->site))
        return false;
    slot = &queue->buckets[job->id.lo & (queue->buckets_n - 1)];
    job->next = *slot;
    *slot = job;
    push_waiting(queue, job);
    (void)pthread_cond_signal(&queue->wake);
    return true;
}

enum err
variants_queue_init(struct variants_queue *queue, unsigned max)
{
    queue->max = max;
    (void)pthread_cond_init(&queue->wake, NULL);
    list_init(&queue->turns);
    list_init(&queue->ready);
    list_init(&queue->askers);
    for (queue->buckets_n = 16; queue->buckets_n < max;)
        queue->buckets_n *= 2;
    queue->buckets = mem_zalloc(queue->buckets_n * sizeof(*queue->buckets));
    return queue->buckets == NULL ? ERR_NOMEM : OK;
}

void
variants_queue_empty(struct variants_queue *queue)
{
    struct variant_site *site;
    struct variant_job *job;

    while ((job = LIST_FIRST(&queue->ready, struct variant_job, link)) != NULL)
        variants_queue_free_job(queue, job);
    while ((site = LIST_FIRST(&queue->turns, struct variant_site, link)) != NULL) {
        job = LIST_FIRST(&site->waiting, struct variant_job, link);
        remove_waiting(queue, job);
        variants_queue_free_job(queue, job);
    }
}

void
variants_queue_fini(struct variants_queue *queue)
{
    for (size_t i = 0; queue->buckets != NULL && i < queue->buckets_n; i++)
        ASSERT(queue->buckets[i] == NULL); /* the store has called for each */
    for (size_t i = 0; i < VARIANT_SITE_BUCKETS; i++) {
        struct variant_site *site;

        while ((site = queue->sites[i]) != NULL) {
            queue->sites[i] = site->next;
            mem_free(site);
        }
    }
    mem_free(queue->buckets);
    (void)pthread_cond_destroy(&queue->wake);
}
