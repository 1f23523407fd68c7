/* Cold pages: asking whether a range is in memory, and bringing it in on threads that may wait. */
#include "storage/warm.h"

#include <sys/mman.h>
#include <time.h>

#include "base/log.h"
#include "base/stats.h"
#include "storage/mapfault.h"
#include "storage/state.h"

enum {
    RESIDENT_PAGES_MAX = 64, /* asked of mincore at once */
    RESIDENT_TRUST_S = 2     /* seen in memory this lately: not asked again */
};

struct warm_job {
    struct list link;
    uint64_t generation;
    struct store_done done;
    size_t iov_n;
    struct iovec iov[];
};

struct pages {
    uintptr_t first;
    size_t len; /* bytes, whole pages */
};

static struct pages
pages_of(const struct iovec *iov)
{
    uintptr_t from = (uintptr_t)iov->iov_base & ~(uintptr_t)(RECORD_PAGE_LEN - 1);
    uintptr_t to = (uintptr_t)iov->iov_base + iov->iov_len;

    return (struct pages){from, (size_t)(to - from + RECORD_PAGE_LEN - 1) &
                                    ~(size_t)(RECORD_PAGE_LEN - 1)};
}

static bool
are_resident(struct pages pages)
{
    unsigned char seen[RESIDENT_PAGES_MAX];

    while (pages.len > 0) {
        size_t len =
            pages.len < sizeof(seen) * RECORD_PAGE_LEN ? pages.len : sizeof(seen) * RECORD_PAGE_LEN;

        if (mincore((void *)pages.first, len, seen) == -1)
            return true; /* then nobody can tell */
        for (size_t i = 0; i < len / RECORD_PAGE_LEN; i++)
            if ((seen[i] & 1) == 0)
                return false;
        pages.first += len;
        pages.len -= len;
    }
    return true;
}

/* A page touched within the last seconds is not what the kernel takes away first, so the reader
 * remembers what it saw: mincore costs 1.6 us a piece, this some ns. */
static bool
saw_lately(struct store_reader *reader, struct pages pages, uint32_t now_s)
{
    struct reader_resident *seen =
        &reader->resident[(pages.first / RECORD_PAGE_LEN) % READER_RESIDENT_MAX];
    uint32_t pages_n = (uint32_t)(pages.len / RECORD_PAGE_LEN);

    if (seen->page == pages.first && seen->pages_n >= pages_n &&
        now_s - seen->at_s <= RESIDENT_TRUST_S)
        return true;
    if (!are_resident(pages))
        return false;
    *seen = (struct reader_resident){pages.first, pages_n, now_s};
    return true;
}

bool
store_is_resident(struct store_reader *reader, const struct iovec *iov, size_t iov_n)
{
    struct timespec now;

    ASSERT(epoch_inside(&reader->slot));
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    for (size_t i = 0; i < iov_n; i++)
        if (iov[i].iov_len > 0 && !saw_lately(reader, pages_of(&iov[i]), (uint32_t)now.tv_sec))
            return false;
    return true;
}

enum err
store_warm(struct store *store, const struct iovec *iov, size_t iov_n, struct store_done done)
{
    struct warm *warm = &store->warm;
    struct warm_job *job;

    ASSERT_TAG(store, STORE_TAG);
    if (iov_n > WARM_IOV_MAX)
        iov_n = WARM_IOV_MAX; /* the rest is asked for when its turn comes */
    job = mem_alloc(sizeof(*job) + iov_n * sizeof(*iov));
    if (job == NULL)
        return ERR_NOMEM;
    list_init(&job->link);
    job->done = done;
    job->iov_n = iov_n;
    memcpy(job->iov, iov, iov_n * sizeof(*iov));
    (void)pthread_mutex_lock(&warm->lock);
    if (warm->jobs_n >= WARM_JOBS_MAX) {
        (void)pthread_mutex_unlock(&warm->lock);
        mem_free(job);
        return ERR_LIMIT;
    }
    job->generation = warm->generation;
    warm->jobs_n++;
    list_push(&warm->jobs, &job->link);
    (void)pthread_cond_signal(&warm->wake);
    (void)pthread_mutex_unlock(&warm->lock);
    STAT_INC(store_cold_reads);
    return OK;
}

static void
touch(const struct iovec *iov)
{
    struct pages pages = pages_of(iov);

    if (iov->iov_len == 0 || madvise((void *)pages.first, pages.len, MADV_WILLNEED) == -1)
        return; /* no longer mapped */
    for (size_t off = 0; off < pages.len; off += RECORD_PAGE_LEN)
        (void)*(const volatile char *)(pages.first + off);
}

static void
run_job(struct warm *warm, struct warm_job *job)
{
    bool current;

    (void)pthread_rwlock_rdlock(&warm->map);
    (void)pthread_mutex_lock(&warm->lock);
    current = job->generation == warm->generation;
    (void)pthread_mutex_unlock(&warm->lock);
    for (size_t i = 0; i < job->iov_n && current; i++)
        touch(&job->iov[i]);
    (void)pthread_rwlock_unlock(&warm->map);
    if (job->done.fn != NULL)
        job->done.fn(job->done.arg, OK, 0);
    mem_free(job);
}

static void *
warm_main(void *arg)
{
    struct warm *warm = arg;

    log_set_thread("warm");
    mapfault_own(true);
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "text=\"this thread counts into shared cells\"");
    (void)pthread_mutex_lock(&warm->lock);
    for (;;) {
        struct warm_job *job = LIST_FIRST(&warm->jobs, struct warm_job, link);

        if (job != NULL) {
            list_remove(&job->link);
            warm->jobs_n--;
            (void)pthread_mutex_unlock(&warm->lock);
            run_job(warm, job);
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

enum err
warm_start(struct warm *warm)
{
    (void)pthread_mutex_init(&warm->lock, NULL);
    (void)pthread_cond_init(&warm->wake, NULL);
    (void)pthread_rwlock_init(&warm->map, NULL);
    list_init(&warm->jobs);
    warm->started = true;
    for (; warm->threads_n < WARM_THREADS; warm->threads_n++)
        if (pthread_create(&warm->threads[warm->threads_n], NULL, warm_main, warm) != 0)
            return ERR_SYSTEM;
    return OK;
}

void
warm_stop(struct warm *warm)
{
    if (!warm->started)
        return;
    (void)pthread_mutex_lock(&warm->lock);
    warm->closing = true;
    (void)pthread_cond_broadcast(&warm->wake);
    (void)pthread_mutex_unlock(&warm->lock);
    while (warm->threads_n > 0)
        (void)pthread_join(warm->threads[--warm->threads_n], NULL);
    (void)pthread_rwlock_destroy(&warm->map);
    (void)pthread_cond_destroy(&warm->wake);
    (void)pthread_mutex_destroy(&warm->lock);
}

void
warm_lock_map(struct warm *warm)
{
    (void)pthread_rwlock_wrlock(&warm->map);
    (void)pthread_mutex_lock(&warm->lock);
    warm->generation++;
    (void)pthread_mutex_unlock(&warm->lock);
}

void
warm_unlock_map(struct warm *warm)
{
    (void)pthread_rwlock_unlock(&warm->map);
}
