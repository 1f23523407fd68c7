/* To a connection: a server by its turn, an idle connection of it, or its addresses one after the
 * other, then the next server. */
#include "proxy/fetch_impl.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"

enum { CONNECTS_MAX = 8 /* attempts of one fetch */ };

static void
on_conn_ready(struct chan *chan, unsigned ready)
{
    struct origin_conn *conn = CONTAINER_OF(chan, struct origin_conn, chan);
    struct fetch *fetch = conn->user;

    fetch->ready |= ready;
    fetch_run(fetch);
}

static void
use_conn(struct fetch *fetch, struct origin_conn *conn)
{
    fetch->conn = conn;
    conn->user = fetch;
    conn->chan.on_ready = on_conn_ready;
}

/* What failed here may work with the next address or server. */
static void
note_failure(struct fetch *fetch, enum err rc, const char *why)
{
    char text[SOCK_ADDR_TEXT_MAX] = "-";

    if (fetch->addr_at > 0)
        (void)sock_addr_format(&fetch->answer.addrs[fetch->addr_at - 1], false, text);
    LOG(WARN, origin_failed, "origin=%s server=%s:%u addr=%s reason=\"%s: %s\"",
        fetch->origin->settings->name, fetch->server->settings->host,
        (unsigned)fetch->server->settings->port, text, err_text(rc), why);
    fetch->rc = rc;
    fetch->why = why;
}

static enum step
leave_server(struct fetch *fetch)
{
    uint64_t now_ms = loop_now_ms();

    fetch->server->failed_ms = now_ms;
    if (now_ms >= fetch->give_up_ms || fetch->connects_n >= CONNECTS_MAX)
        return fetch_fail(fetch, fetch->rc, fetch->why);
    return fetch_goto(fetch, FETCH_PICK);
}

enum step
fetch_on_pick(struct fetch *fetch)
{
    struct origin *origin = fetch->origin;
    struct origin_server *server = origin_choose(origin, fetch->tried, loop_now_ms());
    struct origin_conn *conn = NULL;

    if (server == NULL)
        return fetch_fail(fetch, fetch->rc, fetch->why);
    fetch->server = server;
    fetch->tried |= (uint64_t)1 << (server - origin->servers);
    if (!fetch->claimed && buffers_are_full(origin->buffers))
        return fetch_fail(fetch, ERR_EXCHANGE_MEMORY, "exchange_memory is used up");
    if (!fetch->claimed && !origin_claim(origin))
        return fetch_fail(fetch, ERR_ORIGIN_BUSY, "max_connections of the origin is reached");
    fetch->claimed = true;
    if (!fetch->fresh_only)
        conn = pool_take(origin, server);
    if (conn != NULL) {
        STAT_INC(origin_connections_reused);
        loop_timer_clear(&fetch->timer);
        use_conn(fetch, conn);
        fetch->reused = true;
        return fetch_goto(fetch, FETCH_SEND);
    }
    fetch->reused = fetch->asked = false;
    fetch->addr_at = 0;
    if (!server->is_literal)
        return fetch_goto(fetch, FETCH_RESOLVE);
    fetch->answer.n = 1;
    fetch->answer.addrs[0] = server->addr;
    return fetch_goto(fetch, FETCH_CONNECT);
}

static void
on_address(void *arg, enum err rc, const struct dns_answer *answer)
{
    struct fetch *fetch = arg;

    fetch->query = NULL;
    fetch->dns_rc = rc;
    if (rc == OK)
        fetch->answer = *answer;
    fetch_run(fetch);
}

enum step
fetch_on_resolve(struct fetch *fetch)
{
    const struct origin_server_settings *server = fetch->server->settings;

    if (!fetch->asked) {
        fetch->asked = true;
        fetch->dns_rc = ERR_AGAIN;
        fetch_deadline(fetch, fetch->origin->settings->connect_ms);
        dns_resolve(fetch->origin->dns, server->host, server->port, on_address, fetch,
                    &fetch->query);
    }
    if (fetch->dns_rc == ERR_AGAIN)
        return STEP_WAIT;
    if (fetch->dns_rc == OK)
        return fetch_goto(fetch, FETCH_CONNECT);
    if (fetch->dns_rc == ERR_NOMEM)
        return fetch_fail(fetch, ERR_NOMEM, "no memory for a look-up");
    note_failure(fetch, fetch->dns_rc, server->host);
    return leave_server(fetch);
}

static bool
is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

enum step
fetch_on_connect(struct fetch *fetch)
{
    const struct sock_addr *addr = &fetch->answer.addrs[fetch->addr_at];
    struct origin_conn *conn;
    int fd;

    if (fetch->addr_at == fetch->answer.n || fetch->connects_n >= CONNECTS_MAX ||
        (fetch->connects_n > 0 && loop_now_ms() >= fetch->give_up_ms))
        return leave_server(fetch);
    fetch->addr_at++;
    fetch->connects_n++;
    if (sock_connect(addr, &fd) != OK) {
        int error = errno;

        if (is_shortage(error))
            return fetch_fail(fetch, ERR_LIMIT, "no socket to be had");
        note_failure(fetch, ERR_CONNECT, strerrordesc_np(error));
        return STEP_AGAIN;
    }
    conn = pool_conn_new(fetch->server, fetch->origin);
    if (conn == NULL) {
        (void)close(fd);
        return fetch_fail(fetch, ERR_NOMEM, "no memory for a connection");
    }
    chan_init(&conn->chan, fetch->origin->loop, fd, on_conn_ready);
    conn->chan.work = TURN_ORIGIN;
    use_conn(fetch, conn);
    if (!fetch_want(fetch, CHAN_WRITE))
        return fetch_fail(fetch, ERR_NOMEM, "no memory for an event");
    fetch_deadline(fetch, fetch->origin->settings->connect_ms);
    (void)fetch_goto(fetch, FETCH_CONNECTING);
    return STEP_WAIT;
}

/* What comes before the request went out answers nothing: RFC 9112 section 9.2. */
enum step
fetch_on_connecting(struct fetch *fetch)
{
    int error;

    if ((fetch->ready & CHAN_WRITE) == 0)
        return STEP_WAIT;
    error = sock_error(fetch->conn->chan.fd);
    if (error != 0) {
        fetch_drop_conn(fetch);
        note_failure(fetch, ERR_CONNECT, strerrordesc_np(error));
        return fetch_goto(fetch, FETCH_CONNECT);
    }
    STAT_INC(origin_connections_opened);
    loop_timer_clear(&fetch->timer);
    fetch->server->failed_ms = 0;
    fetch->ready = 0;
    if (pool_conn_speaks(fetch->conn))
        return fetch_fail(fetch, ERR_ORIGIN_UNASKED, "bytes before the request");
    return fetch_goto(fetch, FETCH_SEND);
}

void
fetch_connect_timeout(struct fetch *fetch)
{
    if (fetch->state == FETCH_RESOLVE) {
        dns_cancel(&fetch->query);
        fetch->dns_rc = ERR_DNS;
        return;
    }
    fetch_drop_conn(fetch);
    note_failure(fetch, ERR_CONNECT_TIMEOUT, "no connection in time");
    (void)fetch_goto(fetch, FETCH_CONNECT);
}
