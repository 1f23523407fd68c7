/* Request heads for origins. */
#include "proxy/forward.h"

enum { FORWARD_HEAD_HINT = 1024 };

static bool
is_condition(enum http_token token)
{
    switch (token) {
    case HTTP_IF_MATCH:
    case HTTP_IF_MODIFIED_SINCE:
    case HTTP_IF_NONE_MATCH:
    case HTTP_IF_RANGE:
    case HTTP_IF_UNMODIFIED_SINCE:
    case HTTP_RANGE:
        return true;
    default:
        return false;
    }
}

static bool
goes_on(const struct http_field *field, const struct forward_plan *plan)
{
    if (field->nominated || field->token == HTTP_EXPECT || field->token == HTTP_CONTENT_LENGTH)
        return false;
    if ((http_token_flags(field->token) & (F_HOP | F_OURS)) != 0)
        return false;
    return !(plan->for_store && is_condition(field->token));
}

static void
put_request_line(struct http_out *out, const struct http_request *request)
{
    http_out_text(out, request->method_text);
    http_out_str(out, " ");
    http_out_text(out, request->path);
    http_out_text(out, request->query);
    http_out_str(out, " HTTP/1.1\r\n");
}

/* RFC 9110 section 7.6.3: Via names the version received and us. */
static void
put_hop_fields(struct http_out *out, const struct forward_plan *plan)
{
    char peer[SOCK_ADDR_TEXT_MAX];

    http_out_str(out, plan->request->minor == 0 ? "Via: 1.0 " : "Via: 1.1 ");
    http_out_str(out, plan->node_name);
    http_out_str(out, "\r\n");
    http_out_field(out, SLICE("X-Forwarded-For"),
                   slice_of(peer, sock_addr_format(plan->peer, false, peer)));
    http_out_field(out, SLICE("X-Forwarded-Proto"), plan->scheme);
    http_out_field(out, SLICE("X-Forwarded-Host"), plan->host);
}

static void
put_framing(struct http_out *out, const struct http_request *request)
{
    if (request->framing == FRAMING_CHUNKED)
        http_out_str(out, "Transfer-Encoding: chunked\r\n");
    else if (request->framing == FRAMING_LENGTH)
        http_out_field_u64(out, "Content-Length", request->content_length);
}

enum err
forward_head(struct arena *arena, const struct forward_plan *plan, struct slice *out_head)
{
    const struct http_fields *fields = &plan->request->fields;
    struct http_out out;

    http_out_init(&out, arena, FORWARD_HEAD_HINT);
    put_request_line(&out, plan->request);
    http_out_field(&out, SLICE("Host"),
                   plan->host_header != NULL ? slice_from_str(plan->host_header) : plan->host);
    for (unsigned i = 0; i < fields->n; i++)
        if (goes_on(&fields->items[i], plan))
            http_out_field(&out, fields->items[i].name, fields->items[i].value);
    http_out_text(&out, plan->conditions);
    put_hop_fields(&out, plan);
    put_framing(&out, plan->request);
    http_out_str(&out, "\r\n");
    *out_head = http_out_slice(&out);
    return out.rc;
}
