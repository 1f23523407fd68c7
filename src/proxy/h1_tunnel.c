/* A client's connection that changed to another protocol: its stream and the origin's go to a
 * tunnel (proxy/tunnel). The connection stays for its limits, its drain and its end; its request
 * stays for the access log. */
#include "proxy/h1_impl.h"

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

static enum err
start(struct conn *conn, const struct tunnel_plan *plan)
{
    enum err rc;

    conn->phase = PHASE_TUNNEL;
    loop_timer_clear(&conn->timer);
    watch_move(&conn->proxy->watch, &conn->watch, WATCH_NONE, 0);
    rc = tunnel_start(plan, &conn->tunnel);
    if (rc != OK)
        return rc;
    conn_free_input(conn);
    conn->leads_n = 0;
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
    if (conn->tunnel == NULL)
        return;
    conn->req->body_sent_len = tunnel_sent_len(conn->tunnel);
    tunnel_stop(&conn->tunnel, cut);
    request_free(&conn->req, cut);
}
