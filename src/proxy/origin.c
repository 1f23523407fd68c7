/* An origin of one worker: its servers and which of them is next. The struct lives on after
 * origin_free until the last connection and fetch were reaped. */
#include "proxy/origin.h"

#include "base/stats.h"
#include "proxy/pool.h"

enum { FAILED_LATELY_MS = 10000 };

static bool
failed_lately(const struct origin_server *server, uint64_t now_ms)
{
    return server->failed_ms != 0 && now_ms - server->failed_ms < FAILED_LATELY_MS;
}

/* Smooth weighted round robin: every candidate earns its weight, the richest is chosen and pays for
 * all. With weights 2 and 1 the order is a, b, a, not a, a, b. */
static struct origin_server *
choose_among(struct origin *origin, uint64_t skip)
{
    struct origin_server *best = NULL;
    int64_t total = 0;

    for (size_t i = 0; i < origin->servers_n; i++) {
        struct origin_server *server = &origin->servers[i];

        if ((skip >> i & 1) != 0)
            continue;
        server->credit += server->settings->weight;
        total += server->settings->weight;
        if (best == NULL || server->credit > best->credit)
            best = server;
    }
    if (best != NULL)
        best->credit -= total;
    return best;
}

struct origin_server *
origin_choose(struct origin *origin, uint64_t tried, uint64_t now_ms)
{
    struct origin_server *best;
    uint64_t doubtful = tried;

    ASSERT_TAG(origin, ORIGIN_TAG);
    if (origin->servers_n == 1)
        return (tried & 1) != 0 ? NULL : &origin->servers[0];
    for (size_t i = 0; i < origin->servers_n; i++)
        if (failed_lately(&origin->servers[i], now_ms))
            doubtful |= (uint64_t)1 << i;
    best = choose_among(origin, doubtful);
    return best != NULL ? best : choose_among(origin, tried);
}

static void
on_idle_timer(struct loop_timer *timer)
{
    struct origin *origin = CONTAINER_OF(timer, struct origin, idle_timer);
    struct origin_conn *conn;
    uint64_t now_ms = loop_now_ms();

    while ((conn = LIST_FIRST(&origin->idle, struct origin_conn, age_link)) != NULL) {
        uint64_t age_ms = now_ms - conn->idle_ms;

        if (age_ms < origin->settings->idle_ms) {
            loop_timer_set(origin->loop, timer, origin->settings->idle_ms - age_ms);
            return;
        }
        pool_conn_close(&conn, false);
    }
}

static void
init_server(struct origin_server *server, const struct origin_server_settings *settings)
{
    server->settings = settings;
    server->is_literal =
        sock_addr_from_ip(slice_from_str(settings->host), settings->port, &server->addr) == OK;
    list_init(&server->idle);
}

enum err
origin_new(struct loop *loop, struct dns *dns, const struct origin_settings *settings,
           struct origin **out)
{
    struct origin *origin;

    if (settings->servers_n > ORIGIN_SERVERS_MAX)
        return ERR_LIMIT;
    origin = mem_zalloc(sizeof(*origin) + settings->servers_n * sizeof(origin->servers[0]));
    if (origin == NULL)
        return ERR_NOMEM;
    origin->tag = ORIGIN_TAG;
    origin->loop = loop;
    origin->dns = dns;
    origin->settings = settings;
    origin->refs = 1;
    origin->in_use = &origin->own_in_use;
    origin->buffers = &origin->own_buffers;
    origin->servers_n = settings->servers_n;
    list_init(&origin->idle);
    list_init(&origin->free_conns);
    list_init(&origin->free_fetches);
    loop_timer_init(&origin->idle_timer, on_idle_timer);
    arena_init(&origin->arena, 0); /* a head is bounded by its limits */
    for (size_t i = 0; i < settings->servers_n; i++)
        init_server(&origin->servers[i], &settings->servers[i]);
    *out = origin;
    return OK;
}

void
origin_count_in(struct origin *origin, atomic_uint *in_use, struct buffers *buffers)
{
    ASSERT_TAG(origin, ORIGIN_TAG);
    ASSERT(atomic_load(&origin->own_in_use) == 0);
    origin->in_use = in_use;
    origin->buffers = buffers;
}

bool
origin_claim(struct origin *origin)
{
    unsigned max = origin->settings->connections_max;

    if (atomic_fetch_add_explicit(origin->in_use, 1, memory_order_relaxed) >= max && max > 0) {
        (void)atomic_fetch_sub_explicit(origin->in_use, 1, memory_order_relaxed);
        return false;
    }
    STAT_INC(origin_exchanges);
    return true;
}

void
origin_release(struct origin *origin)
{
    (void)atomic_fetch_sub_explicit(origin->in_use, 1, memory_order_relaxed);
    STAT_DEC(origin_exchanges);
}

void
origin_ref(struct origin *origin)
{
    ASSERT_TAG(origin, ORIGIN_TAG);
    origin->refs++;
}

static void
free_kept_conns(struct origin *origin)
{
    LIST_FOREACH (&origin->free_conns, link) {
        mem_free(CONTAINER_OF(link, struct origin_conn, link));
    }
}

void
origin_unref(struct origin *origin)
{
    ASSERT_TAG(origin, ORIGIN_TAG);
    ASSERT(origin->refs > 0);
    if (--origin->refs > 0)
        return;
    free_kept_conns(origin);
    fetch_free_kept(origin);
    arena_fini(&origin->arena);
    origin->tag = TAG_FREED;
    mem_free(origin);
}

void
origin_free(struct origin **slot)
{
    struct origin *origin = *slot;

    if (origin == NULL)
        return;
    ASSERT_TAG(origin, ORIGIN_TAG);
    *slot = NULL;
    origin->closing = true;
    pool_close_idle(origin);
    loop_timer_clear(&origin->idle_timer);
    origin_unref(origin);
}

const struct origin_settings *
origin_settings(const struct origin *origin)
{
    ASSERT_TAG(origin, ORIGIN_TAG);
    return origin->settings;
}
