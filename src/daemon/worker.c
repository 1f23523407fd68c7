/* Worker threads. Everything of a worker is made on the main thread before its thread starts, so
 * that a failure is told once and plainly; from then on it belongs to that thread and is reached by
 * messages.
 *
 *   made -> running -> draining (listeners closed) -> cut (time is up) -> ended (gone is posted)
 */
#include "daemon/worker.h"

#include <pthread.h>

#include "base/stats.h"

struct worker {
    struct workers *workers;
    struct loop *loop;
    struct dns *dns;
    struct proxy *proxy;
    struct sock_listener **listeners; /* one for each address */
    pthread_t thread;
    bool started, stopping;
    char name[16];
    struct loop_msg stop_msg, hurry_msg, gone_msg;
    struct loop_timer deadline;
};

struct workers {
    const struct config *config;
    struct loop *home;
    struct proxy_shared *shared;
    struct worker *items;
    unsigned n, gone_n;
    void (*gone)(void *arg);
    void *gone_arg;
};

/* --- on the worker's thread --- */

static void
on_accept(void *arg, int fd, const struct sock_addr *peer)
{
    struct worker *worker = arg;

    proxy_accept(worker->proxy, fd, peer);
}

static bool
on_shortage(void *arg)
{
    struct worker *worker = arg;

    return proxy_shortage(worker->proxy);
}

static void
on_drained(void *arg)
{
    struct worker *worker = arg;

    loop_stop(worker->loop);
}

/* What proxy_abort closed is reaped when this turn ends; the loop ends with it. */
static void
cut(struct worker *worker)
{
    loop_timer_clear(&worker->deadline);
    proxy_abort(worker->proxy);
    loop_stop(worker->loop);
}

static void
on_deadline(struct loop_timer *timer)
{
    cut(CONTAINER_OF(timer, struct worker, deadline));
}

static void
on_hurry(struct loop_msg *msg)
{
    struct worker *worker = CONTAINER_OF(msg, struct worker, hurry_msg);

    if (worker->proxy != NULL) /* else it came after the end */
        cut(worker);
}

static void
on_stop(struct loop_msg *msg)
{
    struct worker *worker = CONTAINER_OF(msg, struct worker, stop_msg);
    const struct config *config = worker->workers->config;

    for (size_t i = 0; i < config->listens_n; i++) {
        sock_listener_empty(worker->listeners[i]);
        sock_listener_stop(&worker->listeners[i]);
    }
    loop_timer_set(worker->loop, &worker->deadline, config->shutdown_ms);
    proxy_drain(worker->proxy, on_drained, worker);
}

static void *
run(void *arg)
{
    struct worker *worker = arg;

    (void)pthread_setname_np(pthread_self(), worker->name);
    log_set_thread(worker->name);
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "what=counters worker=%s", worker->name);
    loop_watch(worker->loop, worker->workers->config->slow_turn_ms);
    loop_run(worker->loop);
    loop_timer_clear(&worker->deadline);
    proxy_free(&worker->proxy);
    dns_free(&worker->dns);
    loop_post(worker->workers->home, &worker->gone_msg);
    return NULL;
}

/* --- on the main thread --- */

static void
on_gone(struct loop_msg *msg)
{
    struct workers *workers = CONTAINER_OF(msg, struct worker, gone_msg)->workers;

    if (++workers->gone_n == workers->n && workers->gone != NULL)
        workers->gone(workers->gone_arg);
}

static enum err
worker_init(struct workers *workers, unsigned i, struct listeners *listeners)
{
    struct worker *worker = &workers->items[i];
    const struct config *config = workers->config;
    enum err rc;

    worker->workers = workers;
    worker->stop_msg.fn = on_stop;
    worker->hurry_msg.fn = on_hurry;
    worker->gone_msg.fn = on_gone;
    loop_timer_init(&worker->deadline, on_deadline);
    (void)snprintf(worker->name, sizeof(worker->name), "worker-%u", i % 1000);
    worker->listeners = mem_zalloc(config->listens_n * sizeof(struct sock_listener *));
    rc = worker->listeners == NULL ? ERR_NOMEM : loop_new(&worker->loop);
    if (rc == OK)
        rc = dns_new(worker->loop, config->dns_ms, &worker->dns);
    if (rc == OK)
        rc = proxy_new(worker->loop, worker->dns, workers->shared, i, &worker->proxy);
    for (size_t at = 0; at < config->listens_n && rc == OK; at++) {
        rc = sock_listener_start(worker->loop, listeners_take(listeners, i, at), on_accept, worker,
                                 &worker->listeners[at]);
        if (rc == OK)
            sock_listener_on_shortage(worker->listeners[at], on_shortage);
    }
    return rc;
}

enum err
workers_new(const struct config *config, struct listeners *listeners, struct store *store,
            struct loop *home, struct workers **out)
{
    struct workers *workers = mem_zalloc(sizeof(*workers));
    enum err rc;

    if (workers == NULL)
        return ERR_NOMEM;
    workers->config = config;
    workers->home = home;
    workers->items = mem_zalloc(config->workers * sizeof(*workers->items));
    rc = workers->items == NULL ? ERR_NOMEM
                                : proxy_shared_new(store, &config->proxy, &workers->shared);
    while (rc == OK && workers->n < config->workers) {
        rc = worker_init(workers, workers->n, listeners);
        workers->n++;
    }
    if (rc == OK) {
        *out = workers;
        return OK;
    }
    workers_join(workers);
    workers_free(&workers);
    return rc;
}

struct proxy_shared *
workers_shared(struct workers *workers)
{
    return workers->shared;
}

enum err
workers_start(struct workers *workers)
{
    for (unsigned i = 0; i < workers->n; i++) {
        struct worker *worker = &workers->items[i];

        if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
            while (i-- > 0)
                loop_stop(workers->items[i].loop);
            return ERR_SYSTEM;
        }
        worker->started = true;
    }
    return OK;
}

void
workers_stop(struct workers *workers, void (*gone)(void *arg), void *arg)
{
    workers->gone = gone;
    workers->gone_arg = arg;
    for (unsigned i = 0; i < workers->n; i++) {
        workers->items[i].stopping = true;
        loop_post(workers->items[i].loop, &workers->items[i].stop_msg);
    }
}

void
workers_hurry(struct workers *workers)
{
    for (unsigned i = 0; i < workers->n; i++) {
        if (!workers->items[i].stopping)
            continue; /* told already */
        workers->items[i].stopping = false;
        loop_post(workers->items[i].loop, &workers->items[i].hurry_msg);
    }
}

/* A worker whose thread never ran is taken apart here. */
static void
worker_end(struct worker *worker, size_t listens_n)
{
    if (worker->started)
        (void)pthread_join(worker->thread, NULL);
    worker->started = false;
    for (size_t i = 0; worker->listeners != NULL && i < listens_n; i++)
        sock_listener_stop(&worker->listeners[i]);
    proxy_free(&worker->proxy);
    dns_free(&worker->dns);
}

void
workers_join(struct workers *workers)
{
    for (unsigned i = 0; i < workers->n; i++)
        worker_end(&workers->items[i], workers->config->listens_n);
    proxy_shared_stop(workers->shared);
}

void
workers_free(struct workers **slot)
{
    struct workers *workers = *slot;

    if (workers == NULL)
        return;
    for (unsigned i = 0; i < workers->n; i++)
        if (workers->items[i].loop != NULL)
            loop_drain(workers->items[i].loop); /* what the store had to say to those who left */
    proxy_shared_free(&workers->shared);
    for (unsigned i = 0; i < workers->n; i++) {
        loop_free(&workers->items[i].loop);
        mem_free(workers->items[i].listeners);
    }
    mem_free(workers->items);
    mem_free(workers);
    *slot = NULL;
}
