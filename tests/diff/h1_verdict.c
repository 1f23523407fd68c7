/* What brink's parser reads in each line of standard input, a client's bytes in hex: one line of
 * JSON for each, to be compared with another parser's reading (tests/wire/peer_parser_test.py).
 * Takes requests off the bytes as src/proxy/h1_conn.c does, all of them being there at once. */
#include <stdio.h>
#include <stdlib.h>

#include "http/h1_body.h"
#include "http/h1_parse.h"

enum { INPUT_MAX = 1 << 20 };

static const struct h1_limits head_limits = {8192, 32768, 100};
static const struct h1_body_limits body_limits = {1024, 16384, 8192};

static void
put_hex(const char *name, struct slice text)
{
    printf("\"%s\": \"", name);
    for (size_t i = 0; i < text.len; i++)
        printf("%02x", (unsigned char)text.ptr[i]);
    printf("\"");
}

static void
put_fields(const struct http_fields *fields)
{
    printf("\"fields\": [");
    for (unsigned i = 0; i < fields->n; i++) {
        printf(i > 0 ? ", {" : "{");
        put_hex("name", fields->items[i].name);
        printf(", ");
        put_hex("value", fields->items[i].value);
        printf("}");
    }
    printf("], ");
}

/* The body off *input, as text of the message that is being written. */
static enum err
take_body(const struct http_request *req, struct slice *input)
{
    struct h1_body body;
    struct slice data;
    enum err rc = OK;

    h1_body_init(&body, &body_limits, req->framing, req->content_length);
    printf("\"body\": \"");
    while (rc == OK && !body.done && input->len > 0) {
        rc = h1_body_next(&body, input, &data);
        for (size_t i = 0; rc == OK && i < data.len; i++)
            printf("%02x", (unsigned char)data.ptr[i]);
    }
    printf("\"");
    return rc == OK && !body.done ? ERR_AGAIN : rc;
}

/* One request off *input. OK: whole. ERR_AGAIN: more is needed. Another: refused. */
static enum err
take_request(struct slice *input, struct arena *arena, bool first, bool *out_keep)
{
    struct h1_fault fault = {0};
    struct http_request req;
    size_t scanned = 0, head_len;
    enum err rc;

    for (unsigned i = 0; i < 2 && slice_starts(*input, SLICE("\r\n")); i++)
        *input = slice_skip(*input, 2);
    if (input->len == 0)
        return ERR_AGAIN;
    rc = h1_find_head(input->ptr, input->len, &head_limits, &scanned, &head_len);
    if (rc == OK)
        rc = h1_parse_request(slice_first(*input, head_len), &head_limits, arena, &req, &fault);
    if (rc != OK)
        return rc;
    *input = slice_skip(*input, head_len);
    printf(first ? "{" : ", {");
    put_hex("method", req.method_text);
    printf(", ");
    put_hex("target", req.target);
    printf(", ");
    put_fields(&req.fields);
    rc = take_body(&req, input);
    printf(", \"whole\": %s}", rc == OK ? "true" : "false");
    *out_keep = req.keep_alive;
    return rc;
}

static void
judge(struct slice input)
{
    struct arena arena;
    bool keep = true;
    enum err rc = OK;

    arena_init(&arena, 0);
    printf("{\"messages\": [");
    for (unsigned n = 0; rc == OK && keep && input.len > 0; n++)
        rc = take_request(&input, &arena, n == 0, &keep);
    printf("], \"end\": \"%s\"}\n", rc == OK          ? (keep ? "done" : "close")
                                    : rc == ERR_AGAIN ? "more"
                                                      : err_name(rc));
    arena_fini(&arena);
}

static unsigned
nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

int
main(void)
{
    static char line[2 * INPUT_MAX], bytes[INPUT_MAX];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        size_t len = strcspn(line, "\n") / 2;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(nibble(line[2 * i]) << 4 | nibble(line[2 * i + 1]));
        judge(slice_of(bytes, len));
    }
    return EXIT_SUCCESS;
}
