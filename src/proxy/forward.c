/* Request heads for origins. */
#include "proxy/forward.h"

#include "cache/fresh.h"
#include "cache/variant.h"
#include "http/steering.h"
#include "proxy/proxy.h"

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

/* What brink itself says of the request's way; X-Forwarded-For is the peer's address alone, for
 * what an untrusted client said of others is worth nothing. */
static const struct {
    enum http_token token;
    const char *name, *plain;
} ours[] = {
    {HTTP_X_FORWARDED_FOR, "X-Forwarded-For", "x-forwarded-for"},
    {HTTP_X_FORWARDED_PROTO, "X-Forwarded-Proto", "x-forwarded-proto"},
    {HTTP_X_FORWARDED_HOST, "X-Forwarded-Host", "x-forwarded-host"},
};

static bool
reads_as_ours(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (http_name_reads_as(name, ours[i].plain))
            return true;
    return false;
}

static bool
is_key_field(const struct forward_plan *plan, struct slice name)
{
    for (size_t i = 0; i < plan->key_fields_n; i++)
        if (slice_is_nocase(name, plan->key_fields[i]))
            return true;
    return false;
}

/* Not for the next hop, or written by put_* below. */
static bool
ends_here(const struct http_field *field, const struct forward_plan *plan)
{
    switch (field->token) {
    case HTTP_CONTENT_LENGTH:
    case HTTP_EXPECT:
    case HTTP_HOST:
        return true;
    case HTTP_MAX_FORWARDS:
        return plan->request->method == METHOD_OPTIONS;
    default:
        return field->nominated || (http_token_flags(field->token) & F_HOP) != 0;
    }
}

static bool
goes_on(const struct http_field *field, const struct forward_plan *plan)
{
    if (ends_here(field, plan) || (plan->for_store && is_condition(field->token)))
        return false;
    if (is_key_field(plan, field->name))
        return true;
    if (plan->accept_encoding != NULL && field->token == HTTP_ACCEPT_ENCODING)
        return false;
    if (plan->as_it_came)
        return !reads_as_ours(field->name);
    if (field->token != HTTP_UNKNOWN)
        return (http_token_flags(field->token) & F_OURS) == 0;
    return !http_field_steers(field->name);
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

/* RFC 9110 section 7.6.2: one hop less; vetting saw that there is one left. */
static void
put_max_forwards(struct http_out *out, const struct http_request *request)
{
    const struct http_field *field = http_fields_get(&request->fields, HTTP_MAX_FORWARDS);
    uint64_t n;

    if (request->method == METHOD_OPTIONS && field != NULL && slice_to_u64(field->value, &n) &&
        n > 0)
        http_out_field_u64(out, "Max-Forwards", n - 1);
}

/* Its value, unless the site has the client's in its key. */
static void
put_ours(struct http_out *out, const struct forward_plan *plan, size_t i, struct slice value)
{
    const struct http_field *field = http_fields_get(&plan->request->fields, ours[i].token);

    if (field == NULL || !goes_on(field, plan))
        http_out_field(out, slice_from_str(ours[i].name), value);
}

/* RFC 9110 section 7.6.3: Via names the version received and us. RFC 8586: so does CDN-Loop, with
 * what tells this daemon from others of its name. */
static void
put_hop_fields(struct http_out *out, const struct forward_plan *plan)
{
    char peer[SOCK_ADDR_TEXT_MAX];

    http_out_str(out, plan->request->minor == 0 ? "Via: 1.0 " : "Via: 1.1 ");
    http_out_str(out, plan->node_name);
    http_out_str(out, "\r\nCDN-Loop: ");
    http_out_str(out, plan->node_name);
    http_out_str(out, "; id=");
    http_out_str(out, plan->loop_id);
    http_out_str(out, "\r\n");
    if (plan->peer != NULL)
        put_ours(out, plan, 0, slice_of(peer, sock_addr_format(plan->peer, false, peer)));
    put_ours(out, plan, 1, plan->scheme);
    put_ours(out, plan, 2, plan->host);
}

/* A GET of no bytes is a GET: its "Content-Length: 0" would be an input that no key has. */
static bool
is_framed(const struct http_request *request)
{
    return fresh_has_body(request) ||
           (request->method != METHOD_GET && request->method != METHOD_HEAD);
}

/* RFC 9110 section 7.8: an Upgrade of our own, with its connection option. */
static void
put_upgrade(struct http_out *out, struct slice protocols)
{
    if (protocols.len == 0)
        return;
    http_out_str(out, "Connection: upgrade\r\n");
    http_out_field(out, SLICE("Upgrade"), protocols);
}

static void
put_framing(struct http_out *out, const struct http_request *request)
{
    if (!is_framed(request))
        return;
    if (request->framing == FRAMING_CHUNKED)
        http_out_str(out, "Transfer-Encoding: chunked\r\n");
    else if (request->framing == FRAMING_LENGTH)
        http_out_field_u64(out, "Content-Length", request->content_length);
}

/* RFC 9110 section 13.1: the origin knows its own tags alone. Not If-Match beside a range: those
 * are bytes of the one representation that is named. */
static bool
is_translated(const struct forward_plan *plan, const struct http_field *field)
{
    return plan->translate_tags && (field->token == HTTP_IF_NONE_MATCH ||
                                    (field->token == HTTP_IF_MATCH &&
                                     !http_fields_has(&plan->request->fields, HTTP_RANGE)));
}

static void
put_fields(struct http_out *out, struct arena *arena, const struct forward_plan *plan)
{
    const struct http_fields *fields = &plan->request->fields;

    for (unsigned i = 0; i < fields->n && out->rc == OK; i++) {
        const struct http_field *field = &fields->items[i];
        struct slice value = field->value;

        if (!goes_on(field, plan))
            continue;
        if (is_translated(plan, field))
            out->rc = variant_translate(arena, value, &value);
        http_out_field(out, field->name, value);
    }
    if (plan->accept_encoding != NULL)
        http_out_field_str(out, "Accept-Encoding", plan->accept_encoding);
}

const char *
forward_accept_encoding(const struct site_settings *site)
{
    const struct coding_settings *coding = &site->coding;

    if (coding->variant.codings_n == 0 && !coding->variant.decode)
        return NULL;
    for (size_t i = 0; i < site->key_fields_n; i++)
        if (slice_is(slice_from_str(site->key_fields[i]), "accept-encoding"))
            return NULL;
    return coding->accept;
}

enum err
forward_head(struct arena *arena, const struct forward_plan *plan, struct slice *out_head)
{
    struct http_out out;

    http_out_init(&out, arena, FORWARD_HEAD_HINT);
    put_request_line(&out, plan->request);
    http_out_field(&out, SLICE("Host"),
                   plan->host_header != NULL ? slice_from_str(plan->host_header) : plan->host);
    put_fields(&out, arena, plan);
    http_out_text(&out, plan->conditions);
    put_max_forwards(&out, plan->request);
    put_hop_fields(&out, plan);
    put_upgrade(&out, plan->upgrade);
    put_framing(&out, plan->request);
    http_out_str(&out, "\r\n");
    *out_head = http_out_slice(&out);
    return out.rc;
}
