/* Response heads. The first byte picks the request's method; the rest is the head. */
#include "http/field.h"
#include "http/h1_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_framing(const struct http_response *resp, enum http_method method)
{
    bool has_coding = http_fields_has(&resp->fields, HTTP_TRANSFER_ENCODING);
    bool has_length = http_fields_has(&resp->fields, HTTP_CONTENT_LENGTH);

    ASSERT(resp->status >= 100 && resp->status <= 599);
    ASSERT(!has_coding || !has_length);
    if (method == METHOD_HEAD || resp->status < 200 || resp->status == 204 || resp->status == 304)
        ASSERT(resp->framing == FRAMING_NONE);
    ASSERT(resp->framing != FRAMING_CHUNKED || (has_coding && resp->minor > 0));
    ASSERT(resp->framing != FRAMING_LENGTH || has_length);
    ASSERT(resp->framing != FRAMING_CLOSE || (!has_coding && !has_length && !resp->keep_alive));
}

static void
check_anew(struct arena *arena, enum http_method method, const struct http_response *resp)
{
    const struct h1_limits wide = {4096, 8192, 24};
    struct http_response again;
    struct h1_fault fault = {0};
    struct http_out out;

    http_out_init(&out, arena, 0);
    http_out_status(&out, resp->status, resp->reason);
    for (unsigned i = 0; i < resp->fields.n; i++) {
        ASSERT(http_is_token(resp->fields.items[i].name));
        ASSERT(http_is_field_value(resp->fields.items[i].value));
        http_out_field(&out, resp->fields.items[i].name, resp->fields.items[i].value);
    }
    http_out_str(&out, "\r\n");
    if (h1_parse_response(http_out_slice(&out), method, &wide, arena, &again, &fault) != OK)
        UNREACHABLE();
    ASSERT(again.status == resp->status && slice_equal(again.reason, resp->reason));
    ASSERT(again.framing == resp->framing && again.content_length == resp->content_length);
    ASSERT(resp->minor == 0 || again.keep_alive == resp->keep_alive);
    ASSERT(again.fields.n == resp->fields.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct h1_limits limits = {512, 2048, 24};
    struct http_response resp;
    struct h1_fault fault = {0};
    enum http_method method;
    struct arena arena;
    enum err rc;

    if (len < 2)
        return 0;
    method = (enum http_method)(data[0] % (METHOD_PURGE + 1));
    arena_init(&arena, 0);
    rc = h1_parse_response(slice_of(data + 1, len - 1), method, &limits, &arena, &resp, &fault);
    ASSERT(rc == OK || fault.why != NULL);
    if (rc == OK) {
        check_framing(&resp, method);
        check_anew(&arena, method, &resp);
    }
    arena_fini(&arena);
    return 0;
}
