/* Idle connections to an origin's servers: taken last in, first out, closed when they say anything,
 * get old, or are too many. An idle connection says nothing: whatever comes is its end, or bytes
 * that a next response must not begin with. */
#include "proxy/pool.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/stats.h"

enum {
    /* Even a busy connection ends one day, so that changes of a name's addresses are followed. */
    CONN_AGE_MAX_MS = 600 * 1000
};

static void
recycle_conn(struct loop_reap *reap)
{
    struct origin_conn *conn = CONTAINER_OF(reap, struct origin_conn, reap);
    struct origin *origin = conn->origin;

    conn->tag = TAG_FREED;
    if (origin->closing || origin->free_conns_n >= ORIGIN_FREE_MAX) {
        mem_free(conn);
    } else {
        list_push(&origin->free_conns, &conn->link);
        origin->free_conns_n++;
    }
    origin_unref(origin);
}

struct origin_conn *
pool_conn_new(struct origin_server *server, struct origin *origin)
{
    struct origin_conn *conn = LIST_LAST(&origin->free_conns, struct origin_conn, link);

    if (conn != NULL) {
        list_remove(&conn->link);
        origin->free_conns_n--;
    } else {
        conn = mem_alloc(sizeof(*conn));
        if (conn == NULL)
            return NULL;
    }
    *conn = (struct origin_conn){.tag = ORIGIN_CONN_TAG,
                                 .origin = origin,
                                 .server = server,
                                 .opened_ms = loop_now_ms(),
                                 .reap.fn = recycle_conn};
    conn->chan.fd = -1;
    list_init(&conn->link);
    list_init(&conn->age_link);
    origin_ref(origin);
    return conn;
}

static void
leave_idle(struct origin_conn *conn)
{
    if (list_empty(&conn->age_link))
        return;
    list_remove(&conn->link);
    list_remove(&conn->age_link);
    conn->origin->idle_n--;
    STAT_DEC(origin_connections_idle);
}

void
pool_conn_close(struct origin_conn **slot, bool abort)
{
    struct origin_conn *conn = *slot;

    if (conn == NULL)
        return;
    ASSERT_TAG(conn, ORIGIN_CONN_TAG);
    *slot = NULL;
    leave_idle(conn);
    if (abort)
        chan_abort(&conn->chan);
    else
        chan_close(&conn->chan);
    loop_reap(conn->origin->loop, &conn->reap);
}

static void
on_idle_ready(struct chan *chan, unsigned ready)
{
    struct origin_conn *conn = CONTAINER_OF(chan, struct origin_conn, chan);

    pool_conn_close(&conn, false);
}

/* The event of an end or of stray bytes may not have come yet. */
static bool
is_quiet(const struct origin_conn *conn)
{
    char byte;

    return recv(conn->chan.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

bool
pool_conn_speaks(const struct origin_conn *conn)
{
    char byte;

    return recv(conn->chan.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

struct origin_conn *
pool_take(struct origin *origin, struct origin_server *server)
{
    struct origin_conn *conn;

    ASSERT_TAG(origin, ORIGIN_TAG);
    while ((conn = LIST_LAST(&server->idle, struct origin_conn, link)) != NULL) {
        if (is_quiet(conn)) {
            leave_idle(conn);
            return conn;
        }
        pool_conn_close(&conn, false);
    }
    return NULL;
}

void
pool_put(struct origin_conn **slot)
{
    struct origin_conn *conn = *slot, *oldest;
    struct origin *origin = conn->origin;
    uint64_t now_ms = loop_now_ms();

    ASSERT_TAG(conn, ORIGIN_CONN_TAG);
    if (origin->closing || origin->settings->idle_max == 0 ||
        now_ms - conn->opened_ms > CONN_AGE_MAX_MS || chan_want(&conn->chan, CHAN_READ) != OK) {
        pool_conn_close(slot, false);
        return;
    }
    *slot = NULL;
    if (origin->idle_n >= origin->settings->idle_max) {
        oldest = LIST_FIRST(&origin->idle, struct origin_conn, age_link);
        pool_conn_close(&oldest, false);
    }
    conn->user = NULL;
    conn->chan.on_ready = on_idle_ready;
    conn->idle_ms = now_ms;
    list_push(&conn->server->idle, &conn->link);
    list_push(&origin->idle, &conn->age_link);
    origin->idle_n++;
    STAT_INC(origin_connections_idle);
    if (origin->idle_timer.deadline_ms == 0)
        loop_timer_set(origin->loop, &origin->idle_timer, origin->settings->idle_ms);
}

void
pool_close_idle(struct origin *origin)
{
    struct origin_conn *conn;

    while ((conn = LIST_FIRST(&origin->idle, struct origin_conn, age_link)) != NULL)
        pool_conn_close(&conn, false);
}
