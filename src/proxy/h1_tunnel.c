/* A client's connection that changed to another protocol: its stream and the origin's go to a
 * tunnel (proxy/tunnel). The connection stays for its limits, its drain and its end. The request
 * ends; what the access log needs of it is kept, in one block, so that an idle tunnel is small. */
#include "proxy/h1_impl.h"

#include "proxy/tunnel.h"

struct conn_tunnel {
    struct tunnel *tunnel;
    uint64_t since_us;
    struct exchange exchange; /* until since_us */
    char texts[];             /* its */
};

static void
on_tunnel_end(void *arg, bool cut)
{
    struct conn *conn = arg;
    struct proxy *proxy = conn->proxy;

    conn_close(conn, cut);
    proxy_read_end(proxy);
}

/* Interim responses that still wait go before the head. */
static enum err
join_leads(struct conn *conn, struct slice *head)
{
    struct http_out out;

    if (conn->leads_n == 0)
        return OK;
    http_out_init(&out, &conn->req->arena, head->len + 512);
    for (unsigned i = 0; i < conn->leads_n; i++)
        http_out_text(&out, conn->leads[i]);
    http_out_text(&out, *head);
    *head = http_out_slice(&out);
    return out.rc;
}

static struct conn_tunnel *
keep_exchange(struct conn *conn)
{
    struct exchange exchange;
    struct conn_tunnel *kept;

    request_describe(conn->req, &exchange);
    kept = mem_alloc(sizeof(*kept) + exchange_text_len(&exchange));
    if (kept == NULL)
        return NULL;
    kept->tunnel = NULL;
    kept->since_us = loop_now_us();
    kept->exchange = exchange;
    exchange_move_texts(&kept->exchange, kept->texts);
    return kept;
}

/* Nothing of the exchange is needed any more. */
static void
leave_http(struct conn *conn)
{
    conn_free_input(conn);
    conn->leads_n = 0;
    conn->req->told = true;
    request_free(&conn->req, false);
}

static enum err
start(struct conn *conn, const struct tunnel_plan *plan)
{
    struct conn_tunnel *kept = keep_exchange(conn);
    enum err rc;

    if (kept == NULL)
        return ERR_NOMEM;
    conn->phase = PHASE_TUNNEL;
    loop_timer_clear(&conn->timer);
    watch_move(&conn->proxy->watch, &conn->watch, WATCH_NONE, 0);
    rc = tunnel_start(plan, &kept->tunnel);
    if (rc != OK) {
        mem_free(kept);
        return rc;
    }
    conn->tunnel = kept;
    leave_http(conn);
    return OK;
}

/* The origin agreed: the head goes to the client, and what the client sent behind its request goes
 * to the origin. */
void
conn_on_upgrade(void *arg, struct slice head)
{
    struct conn *conn = arg;
    struct proxy *proxy = conn->proxy;
    struct chan origin;
    struct tunnel_plan plan = {
        .loop = proxy->loop,
        .client = &conn->chan,
        .origin = &origin,
        .to_origin = conn_input(conn),
        .client_ended = conn->eof,
        .scratch = proxy->scratch,
        .buffer_len = proxy->settings->tunnel_buffer_len,
        .buffers = &proxy->shared->buffers,
        .idle_ms = proxy->settings->tunnel_ms,
        .on_end = on_tunnel_end,
        .arg = conn,
    };
    enum err rc;

    ASSERT_TAG(conn, CONN_TAG);
    request_take_origin(conn->req, &origin, &plan.to_client);
    rc = join_leads(conn, &head);
    plan.head = head;
    if (rc == OK)
        rc = start(conn, &plan);
    if (rc != OK) {
        chan_abort(&origin);
        conn_close(conn, true);
    }
}

void
conn_stop_tunnel(struct conn *conn, bool cut)
{
    const struct exchange_sink *sink = &conn->proxy->settings->exchanges;
    struct conn_tunnel *kept = conn->tunnel;

    if (kept == NULL)
        return;
    conn->tunnel = NULL;
    kept->exchange.body_len = tunnel_sent_len(kept->tunnel);
    kept->exchange.total_us += loop_now_us() - kept->since_us;
    kept->exchange.aborted = cut;
    tunnel_stop(&kept->tunnel, cut);
    if (sink->fn != NULL)
        sink->fn(sink->arg, conn->proxy->worker, &kept->exchange);
    mem_free(kept);
}
