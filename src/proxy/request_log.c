/* What an exchange came to, told to the access log. */
#include "proxy/request_impl.h"

static struct slice
field_value(const struct request *req, const char *name)
{
    const struct http_field *field = http_fields_find(&req->http.fields, slice_from_str(name));

    return field == NULL ? SLICE_NONE : field->value;
}

/* What Cache-Status shows, or what happened since: RFC 9211 has no word for the latter. */
static enum cache_reason
reason_of(const struct request *req)
{
    enum cache_reason fate = req->fill == NULL ? REASON_STORED : fill_fate(req->fill);

    if (req->detail != REASON_STORED)
        return req->detail;
    return fate != REASON_STORED && req->reason != REASON_FRESH ? fate : req->reason;
}

void
request_describe(const struct request *req, struct exchange *out)
{
    uint64_t now_us = loop_now_us();

    *out = (struct exchange){
        .began_us = loop_wall_us() - (int64_t)(now_us - req->began_us),
        .total_us = now_us - req->began_us,
        .first_byte_us = req->first_byte_us == 0 ? 0 : req->first_byte_us - req->began_us,
        .conn_id = req->conn_id,
        .req_id = req->id,
        .peer = req->peer,
        .method = req->http.method_text,
        .target = req->http.target,
        .host = req->host,
        .referer = field_value(req, "referer"),
        .user_agent = field_value(req, "user-agent"),
        .http_minor = req->http.minor,
        .status = req->reply.status,
        .body_len = req->body_sent_len,
        .outcome = req->outcome,
        .reason = reason_of(req),
        .coding = req->reply.coding,
    };
}

void
request_log_exchange(const struct request *req, bool aborted)
{
    const struct exchange_sink *sink = &req->proxy->settings->exchanges;
    struct exchange exchange;

    if (sink->fn == NULL || req->told)
        return;
    request_describe(req, &exchange);
    exchange.aborted = aborted;
    sink->fn(sink->arg, req->proxy->worker, &exchange);
}
