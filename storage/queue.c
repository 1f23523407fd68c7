/* From the callers to the writer's thread: appending, waiting, taking a batch and making it ready.
 */
#include "storage/queue.h"

#include <errno.h>
#include "base/stats.h"
#include "storage/state.h"

enum {
    BATCH_OPS_MAX = 8192, /* a quarter of WRITER_FINGERPRINTS: two for each */
    SOON_MS = 10,         /* what is on the disk in the log waits for others */
    IDLE_MS = 200,        /* how often pins and sections are looked at while something waits */
    SLEEP_MS = 60000
};

uint64_t
queue_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- the queue --- */

bool
writer_append(struct store *store, struct op *op)
{
    struct writer *w = &store->writer;
    uint64_t before = atomic_fetch_add_explicit(&w->queue_len, op->queue_len, memory_order_relaxed);

    if (op->queue_len > 0 &&
        (before + op->queue_len > store->settings.queue_max_len ||
         atomic_load_explicit(&store->down, memory_order_relaxed) == STORE_DOWN)) {
        (void)atomic_fetch_sub_explicit(&w->queue_len, op->queue_len, memory_order_relaxed);
        return false;
    }
    STAT_ADD(store_queue_bytes, op->queue_len);
    (void)pthread_mutex_lock(&w->lock);
    if (list_empty(&w->ops)) {
        w->first_ms = queue_now_ms();
        (void)pthread_cond_signal(&w->wake);
    }
    list_push(&w->ops, &op->link);
    w->waiting_len += op->queue_len;
    if (w->waiting_len >= w->batch_len && w->waiting_len - op->queue_len < w->batch_len)
        (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    return true;
}

void
writer_wake_soon(struct store *store)
{
    struct writer *w = &store->writer;

    (void)pthread_mutex_lock(&w->lock);
    if (w->soon_ms == 0) {
        w->soon_ms = queue_now_ms() + SOON_MS;
        (void)pthread_cond_signal(&w->wake);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

void
writer_wake(struct store *store)
{
    struct writer *w = &store->writer;

    (void)pthread_mutex_lock(&w->lock);
    w->urgent = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

void
writer_tell(struct store *store)
{
    struct writer *w = &store->writer;

    (void)pthread_mutex_lock(&w->lock);
    w->news = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

/* Do purges wait for a sweep that may begin? */
bool
queue_may_sweep(const struct writer *w)
{
    return !w->sweeping && purge_has_waiting(&w->store->purges) &&
           queue_now_ms() >= w->rest_until_ms;
}

/* Is there work that waits for nobody? */
bool
queue_has_work(const struct writer *w)
{
    if (atomic_load_explicit(&w->store->down, memory_order_relaxed) ||
        (w->pause_until_ms != 0 && queue_now_ms() < w->pause_until_ms))
        return false;
    if (!list_empty(&w->store->purges.taken))
        return true; /* their transaction failed */
    if (w->sweeping && atomic_load_explicit(&w->store->sweep.chunks_n, memory_order_acquire) > 0)
        return true;
    if (!atomic_load_explicit(&w->store->ready, memory_order_relaxed))
        return false;
    if (queue_may_sweep(w) || w->store->purges.keys_waiting_n > 0)
        return true;
    for (size_t i = 0; i < w->doomed_n; i++)
        if (w->doomed[i].slot == INDEX_NONE)
            return true;
    return resize_has_work(w->store);
}

/* Does something wait for readers to leave, or for a pin? */
static bool
watches(const struct writer *w)
{
    return w->doomed_n > 0 || w->store->index.marked || w->store->resize.step != RESIZE_NONE ||
           atomic_load_explicit(&w->store->down, memory_order_relaxed) || w->pause_until_ms != 0;
}

/* Until when may the thread sleep; under the lock. 0: not at all. */
static uint64_t
sleep_until(const struct writer *w, uint64_t now)
{
    uint64_t until = now + (watches(w) ? IDLE_MS : SLEEP_MS);

    if (w->urgent || w->closing || w->waiting_len >= w->batch_len)
        return 0;
    if (!list_empty(&w->ops)) {
        uint64_t due = w->first_ms + w->store->settings.batch_ms;

        until = due < until ? due : until;
    }
    if (w->soon_ms != 0 && w->soon_ms < until)
        until = w->soon_ms;
    if (!w->sweeping && w->rest_until_ms > now && w->rest_until_ms < until &&
        purge_has_waiting(&w->store->purges))
        until = w->rest_until_ms;
    return until > now ? until : 0;
}

static void
wait_for_work(struct writer *w)
{
    uint64_t until;

    while (!queue_has_work(w) && !w->news && (until = sleep_until(w, queue_now_ms())) != 0) {
        struct timespec when = {(time_t)(until / 1000), (long)(until % 1000) * 1000000};
        bool idle = list_empty(&w->ops);

        if (pthread_cond_timedwait(&w->wake, &w->lock, &when) == ETIMEDOUT && idle)
            return; /* look at what waits for readers */
    }
}

/* --- a batch --- */

/* The slot of a print: that which has it, or the one where it belongs. */
static struct writer_end *
find_print(const struct writer *w, uint64_t print)
{
    for (uint64_t at = print;; at++) {
        struct writer_end *end = &w->ends[at & (WRITER_FINGERPRINTS - 1)];

        if (end->batch != w->batch_number || end->print == print)
            return end;
    }
}

/* True: it was there. */
static bool
add_print(struct writer *w, uint64_t print)
{
    struct writer_end *end = find_print(w, print);

    if (end->batch == w->batch_number)
        return true;
    *end = (struct writer_end){print, w->batch_number};
    return false;
}

/* Two objects of one key and variant do not go into one transaction: the second shall find and
 * replace the first. A chance likeness only ends the batch early. */
static bool
ends_twice(struct writer *w, const struct op *op)
{
    return add_print(w, op->put->hash.lo ^ (op->variant * 0x9e3779b97f4a7c15U));
}

bool
queue_names_key(const struct writer *w, struct store_hash hash)
{
    return find_print(w, hash.hi)->batch == w->batch_number;
}

static void
take_ops(struct writer *w)
{
    uint64_t len = 0;
    unsigned n = 0;

    w->batch_number++;
    LIST_FOREACH (&w->ops, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);

        if (len >= w->batch_len || n >= BATCH_OPS_MAX || (op->kind == OP_END && ends_twice(w, op)))
            break;
        if (op->kind == OP_END || op->kind == OP_UPDATE)
            (void)add_print(w, op->put->hash.hi);
        list_remove(link);
        list_push(&w->batch, link);
        len += op->queue_len;
        n++;
    }
    w->waiting_len -= len;
    if (!list_empty(&w->ops) && n > 0)
        w->first_ms = queue_now_ms() - w->store->settings.batch_ms; /* these have waited already */
}

/* False: the thread shall end. */
bool
queue_take(struct writer *w)
{
    bool goes_on;

    (void)pthread_mutex_lock(&w->lock);
    wait_for_work(w);
    if (queue_has_work(w) || sleep_until(w, queue_now_ms()) == 0) /* else nothing is due yet */
        take_ops(w);
    w->urgent = w->news = false;
    w->soon_ms = 0;
    goes_on = !w->closing || !list_empty(&w->batch) || !list_empty(&w->ops) ||
              atomic_load_explicit(&w->store->purges.has_fresh, memory_order_acquire);
    (void)pthread_mutex_unlock(&w->lock);
    return goes_on;
}

/* Of a body that ends, every piece came into a batch: none was given up. */
static bool
count_op(struct op *op)
{
    struct store_put *put = op->put;

    if (op->kind == OP_PIECE)
        put->taken_n++;
    return op->kind != OP_END || op->n == put->taken_n;
}

void
queue_kill_put(struct store_put *put)
{
    atomic_store_explicit(&put->dead, true, memory_order_relaxed);
}

/* Pieces whose object ends in this batch are written with it, in one run of rising keys. */
static void
gather_pieces(struct writer *w)
{
    LIST_FOREACH (&w->batch, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);

        if (op->kind != OP_PIECE || op->failed || op->put->end == NULL)
            continue;
        list_remove(link);
        list_push(&op->put->end->pieces, link);
    }
}

void
queue_prepare(struct writer *w)
{
    LIST_FOREACH (&w->batch, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);

        if (op->kind == OP_END)
            op->put->end = op;
        if ((op->kind != OP_PIECE && op->kind != OP_END) ||
            (!atomic_load_explicit(&op->put->dead, memory_order_relaxed) && count_op(op)))
            continue;
        op->failed = true;
        op->rc = ERR_STORE_FULL;
        queue_kill_put(op->put);
    }
    gather_pieces(w);
}

/* May a put of a partition store one more piece, when above half of the store is on its way in? Not
 * when that is so of its own share too; or three quarters, when it has begun to. */
static bool
may_go_on(const struct writer *w, const struct store_put *put)
{
    const struct index *index = &w->store->index;
    unsigned group = index_group(index, put->group);
    uint64_t limit = w->limit_pages * (RECORD_PAGE_LEN / RECORD_ROOM_UNIT);
    uint64_t share = sieve_share(index, group, limit);

    return index->lists[group].loose <= (put->own_oid != 0 ? share / 4 * 3 : share / 2);
}

/* Pieces of puts on their way cannot be evicted. */
void
queue_bound_puts(struct writer *w)
{
    if (w->puts_pages <= w->limit_pages / 2)
        return;
    LIST_FOREACH (&w->batch, link) {
        struct op *op = CONTAINER_OF(link, struct op, link);

        if (op->kind != OP_PIECE || op->failed || may_go_on(w, op->put))
            continue;
        op->failed = true;
        op->rc = ERR_STORE_FULL;
        queue_kill_put(op->put);
    }
}
