/* Request heads. Beside crashes: the end that is found does not depend on how the bytes come, what
 * was read lies within the head, and the head written anew from it reads the same. */
#include "http/chars.h"
#include "http/field.h"
#include "http/h1_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct h1_limits limits = {512, 2048, 24};

static void
check_within(struct slice head, struct slice part)
{
    ASSERT(part.len == 0 || (part.ptr >= head.ptr && part.len <= head.len &&
                             (size_t)(part.ptr - head.ptr) <= head.len - part.len));
}

static void
check_fields(struct slice head, const struct http_fields *fields)
{
    for (unsigned i = 0; i < fields->n; i++) {
        const struct http_field *field = &fields->items[i];

        check_within(head, field->name);
        check_within(head, field->value);
        ASSERT(http_is_token(field->name));
        ASSERT(http_is_field_value(field->value));
        ASSERT(field->token == http_token_from(field->name));
        ASSERT(field->token == HTTP_UNKNOWN || http_fields_get(fields, field->token) <= field);
    }
}

/* The same request as this node would write it. */
static struct slice
write_anew(struct arena *arena, const struct http_request *req)
{
    struct http_out out;

    http_out_init(&out, arena, 0);
    http_out_text(&out, req->method_text);
    http_out_str(&out, " ");
    http_out_text(&out, req->target);
    http_out_str(&out, req->minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
    for (unsigned i = 0; i < req->fields.n; i++)
        http_out_field(&out, req->fields.items[i].name, req->fields.items[i].value);
    http_out_str(&out, "\r\n");
    ASSERT(out.rc == OK);
    return http_out_slice(&out);
}

static void
check_same(const struct http_request *a, const struct http_request *b)
{
    ASSERT(a->method == b->method && a->form == b->form);
    ASSERT(slice_equal(a->host, b->host) && slice_equal(a->scheme, b->scheme));
    ASSERT(slice_equal(a->path, b->path) && slice_equal(a->query, b->query));
    ASSERT(a->framing == b->framing && a->content_length == b->content_length);
    ASSERT(a->keep_alive == b->keep_alive && a->expect_continue == b->expect_continue);
    ASSERT(a->fields.n == b->fields.n);
    for (unsigned i = 0; i < a->fields.n; i++)
        ASSERT(a->fields.items[i].nominated == b->fields.items[i].nominated);
}

static void
check_request(struct slice head)
{
    const struct h1_limits wide = {4096, 8192, 24}; /* blanks left out may be written */
    struct http_request req, again;
    struct h1_fault fault = {0};
    struct arena arena;
    enum err rc;

    arena_init(&arena, 0);
    rc = h1_parse_request(head, &limits, &arena, &req, &fault);
    ASSERT(rc == OK || fault.why != NULL);
    if (rc == OK) {
        check_fields(head, &req.fields);
        check_within(head, req.host);
        check_within(head, req.query);
        ASSERT(req.host.len > 0 || req.minor == 0);
        ASSERT(req.framing != FRAMING_CLOSE);
        ASSERT(req.framing != FRAMING_CHUNKED || req.minor > 0);
        ASSERT(!http_fields_has(&req.fields, HTTP_CONTENT_LENGTH) ||
               !http_fields_has(&req.fields, HTTP_TRANSFER_ENCODING));
        rc = h1_parse_request(write_anew(&arena, &req), &wide, &arena, &again, &fault);
        ASSERT(rc == OK);
        check_same(&req, &again);
    }
    arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *buf = (const char *)data;
    size_t scanned = 0, head_len = 0, in_pieces_len = 0;
    enum err rc, in_pieces = ERR_AGAIN;

    if (len == 0)
        return 0;
    rc = h1_find_head(buf, len, &limits, &scanned, &head_len);
    scanned = 0;
    for (size_t n = 0; n <= len && in_pieces == ERR_AGAIN; n++)
        in_pieces = h1_find_head(buf, n, &limits, &scanned, &in_pieces_len);
    if (rc == OK || rc == ERR_AGAIN) /* of several faults each may be the first seen */
        ASSERT(in_pieces == rc && in_pieces_len == head_len);
    else
        ASSERT(in_pieces != OK && in_pieces != ERR_AGAIN);
    check_request(slice_of(buf, rc == OK ? head_len : len));
    return 0;
}
