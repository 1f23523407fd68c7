/* Calls of store_purge, from the queue to the acknowledgement: counted, admitted, logged. */
#include "storage/purger.h"

#include "base/log.h"
#include "base/stats.h"
#include "storage/state.h"

/* --- the queue --- */

void
purger_append(struct store *store, struct purge_call *call)
{
    struct purger *p = &store->purger;

    (void)pthread_mutex_lock(&p->lock);
    list_push(&p->calls, &call->link);
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
}

void
purger_wake(struct store *store)
{
    struct purger *p = &store->purger;

    (void)pthread_mutex_lock(&p->lock);
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
}

/* It holds, but how many objects it names is not known before the index is whole. */
static void
mark_early(struct purge_call *call)
{
    call->early = true;
    LIST_FOREACH (&call->entries, link)
        CONTAINER_OF(link, struct purge_entry, link)->early = true;
}

static void
take_calls(struct purger *p, struct list *calls)
{
    bool ready = store_is_ready(p->store);
    size_t rows_n = 0;

    LIST_FOREACH (&p->calls, link) {
        struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        if (rows_n >= PURGE_ROWS_MAX)
            break;
        rows_n += call->entries_n;
        if (!ready)
            mark_early(call);
        list_remove(link);
        list_push(calls, link);
    }
}

/* False: the thread shall end. */
static bool
wait_for_calls(struct purger *p, struct list *calls)
{
    bool goes_on;

    (void)pthread_mutex_lock(&p->lock);
    take_calls(p, calls);
    while (list_empty(calls) && (!p->closing || !list_empty(&p->calls))) {
        (void)pthread_cond_wait(&p->wake, &p->lock);
        take_calls(p, calls);
    }
    goes_on = !list_empty(calls);
    (void)pthread_mutex_unlock(&p->lock);
    return goes_on;
}

/* --- a group of calls --- */

static void
count_keys(struct purger *p, struct purge_call *call)
{
    LIST_FOREACH (&call->entries, link) {
        const struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);
        struct store_key key = {.hash = entry->hash, .text = entry->what.text};
        struct store_cursor cursor = {.key = &key};
        struct store_object object;

        if (entry->what.kind != STORE_PURGE_KEY)
            continue;
        store_read_begin(p->reader);
        while (store_find(p->reader, &cursor, &object))
            call->matched++;
        store_read_end(p->reader);
    }
}

static void
end_calls(struct purger *p, struct list *calls, enum err rc)
{
    LIST_FOREACH (calls, link) {
        struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        list_remove(link);
        purge_call_end(&p->store->purges, &call, rc);
    }
}

static void
run_calls(struct purger *p, struct list *calls)
{
    struct purge_set *set = &p->store->purges;
    /* This thread alone counts seq on. */
    uint64_t seq = atomic_load_explicit(&set->seq, memory_order_relaxed) + 1;
    bool logged = purge_log_stage(&p->log, calls, seq, purge_committed_seq(set));
    enum err rc;

    LIST_FOREACH (calls, link) {
        struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        if (call->has_keys)
            count_keys(p, call);
    }
    rc = purge_admit(set, calls, seq);
    if (rc != OK) {
        end_calls(p, calls, rc);
        return;
    }
    logged = logged && purge_log_write(&p->log);
    if (logged) {
        end_calls(p, calls, OK);
        writer_wake_soon(p->store);
    } else {
        purge_set_late(set, calls);
        writer_wake(p->store);
    }
}

static void *
purger_main(void *arg)
{
    struct purger *p = arg;
    struct list calls;

    log_set_thread("purge");
    if (stats_attach() != OK)
        LOG(WARN, out_of_memory, "text=\"this thread counts into shared cells\"");
    list_init(&calls);
    while (wait_for_calls(p, &calls))
        run_calls(p, &calls);
    return NULL;
}

/* --- life --- */

void
purger_init(struct store *store)
{
    struct purger *p = &store->purger;

    p->store = store;
    p->log.fd = -1;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->wake, NULL);
    list_init(&p->calls);
}

enum err
purger_start(struct store *store)
{
    struct purger *p = &store->purger;
    enum err rc = store_reader_new(store, &p->reader);

    if (rc != OK)
        return rc;
    if (pthread_create(&p->thread, NULL, purger_main, p) != 0)
        return ERR_SYSTEM;
    p->started = true;
    if (atomic_load_explicit(&store->purges.has_fresh, memory_order_acquire))
        writer_wake_soon(store); /* the log had something */
    return OK;
}

void
purger_stop(struct store *store)
{
    struct purger *p = &store->purger;

    if (p->started) {
        (void)pthread_mutex_lock(&p->lock);
        p->closing = true;
        (void)pthread_cond_signal(&p->wake);
        (void)pthread_mutex_unlock(&p->lock);
        (void)pthread_join(p->thread, NULL);
        p->started = false;
    }
    store_reader_free(&p->reader);
}

void
purger_fini(struct store *store)
{
    struct purger *p = &store->purger;

    ASSERT(!p->started);
    purge_log_close(&p->log);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_mutex_destroy(&p->lock);
}
