/* A request for another protocol: what is asked of the origin, and what the client gets of its 101.
 * RFC 9110 section 7.8, RFC 6455 section 4. Such a request is passed, for an answer that does not
 * change the protocol is an ordinary response; one for protocols the site does not allow is as if
 * it had not asked. */
#include "base/stats.h"
#include "proxy/feed.h"
#include "proxy/request_impl.h"
#include "proxy/way.h"

enum err
request_vet_upgrade(struct request *req)
{
    enum err rc;

    if (!http_fields_has(&req->http.fields, HTTP_UPGRADE))
        return OK;
    rc = way_upgrade(&req->arena, req->site, &req->http, &req->upgrade);
    if (rc == OK && req->upgrade.len == 0)
        STAT_INC(upgrades_ignored);
    return rc;
}

enum err
request_interim_head(struct request *req, const struct http_response *response,
                     struct slice protocol, struct slice *out_head)
{
    struct http_out out;

    http_out_init(&out, &req->arena, 512);
    http_out_status(&out, response->status, slice_from_str(http_reason(response->status)));
    for (unsigned i = 0; i < response->fields.n; i++) {
        const struct http_field *field = &response->fields.items[i];

        if (!field->nominated && field->token != HTTP_CONTENT_LENGTH)
            http_out_field(&out, field->name, field->value);
    }
    if (protocol.len > 0) {
        http_out_str(&out, "Connection: upgrade\r\n");
        http_out_field(&out, SLICE("Upgrade"), protocol);
    }
    http_out_str(&out, "Via: 1.1 ");
    http_out_str(&out, req->proxy->settings->node_name);
    http_out_str(&out, "\r\n\r\n");
    *out_head = http_out_slice(&out);
    return out.rc;
}

void
request_on_upgrade(void *arg, const struct http_response *response, struct slice protocol)
{
    struct request *req = arg;
    struct slice head;

    if (req->state != REQUEST_PARKED || request_interim_head(req, response, protocol, &head) != OK)
        return; /* answered meanwhile, or no memory: the feed fails */
    (void)request_goto(req, REQUEST_TUNNEL);
    req->reply.status = response->status;
    req->outcome = EXCHANGE_PASS;
    if (req->proxy->settings->exchanges.fn != NULL)
        req->first_byte_us = loop_now_us();
    req->carrier.on_upgrade(req->carrier.arg, head);
}

void
request_take_origin(struct request *req, struct chan *to, struct slice *out_early)
{
    ASSERT_TAG(req, REQUEST_TAG);
    ASSERT(req->state == REQUEST_TUNNEL);
    fill_leave(&req->reader); /* the fill fails now, which is no news for this request */
    feed_take_chan(req->feed, to, out_early);
    fill_unref(&req->fill);
}
