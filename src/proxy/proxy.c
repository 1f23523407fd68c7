/* One worker's proxy and what the workers share. */
#include "proxy/proxy.h"

#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/stats.h"
#include "proxy/core.h"
#include "proxy/feed.h"
#include "proxy/h1_conn.h"
#include "proxy/precompressed.h"
#include "proxy/request.h"
#include "proxy/search_rules.h"
#include "proxy/slice_feed.h"
#include "proxy/unstorable.h"

static enum err
make_random(struct proxy_shared *shared)
{
    uint64_t n[2];

    if (getrandom(n, sizeof(n), 0) != sizeof(n))
        return ERR_SYSTEM;
    (void)snprintf(shared->loop_id, sizeof(shared->loop_id), "%016llx", (unsigned long long)n[0]);
    shared->nonce_seed = n[1];
    return OK;
}

uint64_t
proxy_nonce(struct proxy_shared *shared)
{
    const uint64_t text[] = {shared->nonce_seed, atomic_fetch_add(&shared->nonces_n, 1)};

    return store_label('n', slice_of(text, sizeof(text)));
}

enum err
proxy_shared_new(struct store *store, const struct proxy_settings *settings,
                 struct proxy_shared **out)
{
    struct proxy_shared *shared = mem_zalloc(sizeof(*shared));
    enum err rc;

    if (shared == NULL)
        return ERR_NOMEM;
    shared->store = store;
    shared->settings = settings;
    shared->buffers.max = settings->exchange_memory_len;
    shared->coders.max_len = settings->coder_memory_len;
    rc =
        fill_table_new(store, settings->fill_window_len, settings->fill_memory_len, &shared->fills);
    if (rc == OK)
        rc = unstorable_new(&shared->unstorable);
    if (rc == OK)
        rc = unstorable_new(&shared->unsliceable);
    if (rc == OK)
        rc = search_rules_new(&shared->search);
    if (rc == OK)
        rc = variants_new(store, &settings->variants, &settings->coder_bound, &shared->variants);
    if (rc == OK)
        rc = make_random(shared);
    if (rc == OK)
        rc = watch_totals_init(&shared->watch, &settings->watch);
    shared->origins_in_use = mem_zalloc(settings->origins_n * sizeof(atomic_uint) + 1);
    if (shared->origins_in_use == NULL)
        rc = ERR_NOMEM;
    if (rc != OK)
        proxy_shared_free(&shared);
    else
        *out = shared;
    return rc;
}

void
proxy_shared_stop(struct proxy_shared *shared)
{
    if (shared != NULL)
        variants_stop(shared->variants);
}

void
proxy_shared_free(struct proxy_shared **slot)
{
    struct proxy_shared *shared = *slot;

    *slot = NULL;
    if (shared == NULL)
        return;
    fill_table_free(&shared->fills);
    unstorable_free(&shared->unstorable);
    unstorable_free(&shared->unsliceable);
    search_rules_free(&shared->search);
    variants_free(&shared->variants);
    coder_memory_fini(&shared->coders);
    mem_free(shared->origins_in_use);
    watch_totals_fini(&shared->watch);
    mem_free(shared);
}

static enum err
make_origins(struct proxy *proxy, struct dns *dns)
{
    const struct proxy_settings *settings = proxy->settings;
    enum err rc = OK;

    proxy->origins = mem_zalloc(settings->origins_n * sizeof(struct origin *));
    if (proxy->origins == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < settings->origins_n && rc == OK; i++) {
        rc = origin_new(proxy->loop, dns, &settings->origins[i], &proxy->origins[i]);
        if (rc == OK)
            origin_count_in(proxy->origins[i], &proxy->shared->origins_in_use[i],
                            &proxy->shared->buffers);
    }
    return rc;
}

enum err
proxy_new(struct loop *loop, struct dns *dns, struct proxy_shared *shared, unsigned worker,
          struct proxy **out)
{
    struct proxy *proxy = mem_zalloc(sizeof(*proxy));
    enum err rc;

    if (proxy == NULL)
        return ERR_NOMEM;
    proxy->tag = PROXY_TAG;
    proxy->loop = loop;
    proxy->shared = shared;
    proxy->settings = shared->settings;
    proxy->worker = worker;
    list_init(&proxy->conns);
    watch_lists_init(&proxy->watch, &shared->watch);
    list_init(&proxy->feeds);
    list_init(&proxy->slice_feeds);
    list_init(&proxy->idle_requests);
    proxy->next_conn_id = proxy->next_req_id = (uint64_t)worker << 48;
    proxy->scratch_len = proxy->settings->head_limits.head_max + 1;
    if (proxy->scratch_len < PROXY_SCRATCH_MIN)
        proxy->scratch_len = PROXY_SCRATCH_MIN;
    proxy->scratch = mem_alloc(proxy->scratch_len);
    rc = proxy->scratch == NULL ? ERR_NOMEM : store_reader_new(shared->store, &proxy->reader);
    if (rc == OK)
        store_reader_hurry(proxy->reader, true);
    if (rc == OK)
        rc = make_origins(proxy, dns);
    if (rc == OK)
        rc = deliver_share_init(&proxy->coding, loop);
    if (rc == OK)
        rc = precompressed_new(proxy, &proxy->precompressed);
    if (rc != OK)
        proxy_free(&proxy);
    else
        *out = proxy;
    return rc;
}

void
proxy_accept(struct proxy *proxy, int fd, const struct sock_addr *peer)
{
    ASSERT_TAG(proxy, PROXY_TAG);
    STAT_INC(connections_accepted);
    if (proxy->draining) {
        STAT_INC(connections_refused);
        (void)close(fd);
        return;
    }
    if (!watch_admit(&proxy->watch, peer)) {
        (void)close(fd);
    } else if (h1_conn_open(proxy, fd, peer) != OK) {
        watch_unadmit(&proxy->watch, peer);
        (void)close(fd);
    }
    proxy_read_end(proxy);
}

bool
proxy_shortage(struct proxy *proxy)
{
    bool made_room;

    ASSERT_TAG(proxy, PROXY_TAG);
    STAT_INC(accept_shortages);
    made_room = watch_shortage(&proxy->watch);
    proxy_read_end(proxy);
    return made_room;
}

static void
check_drained(struct proxy *proxy)
{
    if (proxy->drained != NULL && proxy->conns_n == 0) {
        void (*done)(void *arg) = proxy->drained;

        proxy->drained = NULL;
        done(proxy->drained_arg);
    }
}

void
proxy_conn_gone(struct proxy *proxy)
{
    proxy->conns_n--;
    check_drained(proxy);
}

void
proxy_drain(struct proxy *proxy, void (*done)(void *arg), void *arg)
{
    ASSERT_TAG(proxy, PROXY_TAG);
    proxy->draining = true;
    h1_conn_drain_all(proxy);
    proxy_read_end(proxy);
    proxy->drained = done;
    proxy->drained_arg = arg;
    check_drained(proxy);
}

void
proxy_abort(struct proxy *proxy)
{
    h1_conn_abort_all(proxy);
    feed_abort_all(proxy);
    slice_feed_abort_all(proxy);
    precompressed_abort(proxy->precompressed);
}

static void
free_idle_requests(struct proxy *proxy)
{
    struct request *req;

    while ((req = LIST_FIRST(&proxy->idle_requests, struct request, link)) != NULL) {
        list_remove(&req->link);
        arena_fini(&req->arena);
        mem_free(req);
    }
}

void
proxy_free(struct proxy **slot)
{
    struct proxy *proxy = *slot;

    *slot = NULL;
    if (proxy == NULL)
        return;
    ASSERT_TAG(proxy, PROXY_TAG);
    proxy->drained = NULL;
    proxy_abort(proxy);
    precompressed_free(&proxy->precompressed);
    proxy_read_end(proxy);
    for (size_t i = 0; proxy->origins != NULL && i < proxy->settings->origins_n; i++)
        origin_free(&proxy->origins[i]);
    mem_free(proxy->origins);
    free_idle_requests(proxy);
    deliver_share_fini(&proxy->coding);
    store_reader_free(&proxy->reader);
    mem_free(proxy->scratch);
    proxy->tag = TAG_FREED;
    mem_free(proxy);
}

struct store_reader *
proxy_read(struct proxy *proxy)
{
    if (!proxy->reading) {
        store_read_begin(proxy->reader);
        proxy->reading = true;
    }
    return proxy->reader;
}

void
proxy_read_end(struct proxy *proxy)
{
    if (proxy->reading) {
        proxy->reading = false;
        store_read_end(proxy->reader);
    }
}
