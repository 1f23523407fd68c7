/* See wire.h. */
#include "wire.h"

#include <string.h>
#define XXH_STATIC_LINKING_ONLY /* its state on the stack */
#include <xxhash.h>

static enum wire_result
bad(struct wire_msg *msg, const char *why)
{
    msg->why = why;
    return WIRE_BAD;
}

static bool
is_token_char(char c)
{
    return c > 0x20 && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

static bool
is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_char(text.ptr[i]))
            return false;
    return text.len > 0;
}

static bool
is_text(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A line ended by CRLF off the front of *in. False: there is none. */
static bool
take_line(struct slice *in, struct slice *out)
{
    const char *end = in->len == 0 ? NULL : memmem(in->ptr, in->len, "\r\n", 2);

    if (end == NULL)
        return false;
    *out = slice_first(*in, (size_t)(end - in->ptr));
    *in = slice_skip(*in, out->len + 2);
    return true;
}

/* --- heads --- */

struct framing_fields {
    unsigned lengths_n, codings_n;
    struct slice length, coding;
};

static bool
names_option(struct slice list, const char *option)
{
    size_t len = strlen(option);

    for (size_t i = 0; i + len <= list.len; i++)
        if (slice_equal_nocase(slice_first(slice_skip(list, i), len), slice_from_str(option)))
            return true;
    return false;
}

static void
note_field(struct wire_msg *msg, struct framing_fields *framing, struct slice name,
           struct slice value)
{
    static const char *const hop[] = {"keep-alive", "proxy-connection", "te", "trailer"};

    if (slice_is_nocase(name, "content-length")) {
        framing->lengths_n++;
        framing->length = value;
    } else if (slice_is_nocase(name, "transfer-encoding")) {
        framing->codings_n++;
        framing->coding = value;
    } else if (slice_is_nocase(name, "host")) {
        msg->hosts_n++;
    } else if (slice_is_nocase(name, "connection")) {
        msg->close = msg->close || names_option(value, "close");
        msg->connection_upgrade = msg->connection_upgrade || names_option(value, "upgrade");
        msg->hop_by_hop =
            msg->hop_by_hop || (!slice_is(value, "close") && !msg->connection_upgrade &&
                                !slice_is(value, "keep-alive"));
    } else if (slice_is_nocase(name, "upgrade")) {
        msg->upgrade = true;
    } else if (slice_is_nocase(name, "x-id") && msg->id.ptr == NULL) {
        msg->id = value;
    }
    for (size_t i = 0; i < ARRAY_LEN(hop); i++)
        if (slice_is_nocase(name, hop[i]))
            msg->hop_by_hop = true;
}

static bool
is_our_id(struct slice id)
{
    for (size_t i = 0; i < id.len; i++)
        if (((unsigned char)id.ptr[i] & 0xf0) != 0xb0)
            return false;
    return id.len == WIRE_ID_LEN;
}

static enum wire_result
read_fields(struct slice lines, struct wire_msg *msg, struct framing_fields *framing)
{
    struct slice line;

    while (take_line(&lines, &line) && line.len > 0) {
        struct slice name;

        if (!slice_cut(&line, ':', &name) || !is_token(name))
            return bad(msg, "a field line without a proper name");
        if (!is_text(line))
            return bad(msg, "a control byte in a field value");
        note_field(msg, framing, name, slice_trim(line));
    }
    if (!is_our_id(msg->id))
        msg->id = SLICE_NONE;
    return WIRE_WHOLE;
}

/* The first line and the fields of a whole head; none of it may hold a bare CR, LF or NUL. */
static enum wire_result
take_head(struct slice in, struct wire_msg *msg, struct slice *out_first,
          struct framing_fields *framing)
{
    const char *end = in.len == 0 ? NULL : memmem(in.ptr, in.len, "\r\n\r\n", 4);
    struct slice rest;

    *msg = (struct wire_msg){.next = in.len};
    *framing = (struct framing_fields){0};
    if (end == NULL)
        return WIRE_PART;
    msg->head = rest = slice_first(in, (size_t)(end - in.ptr) + 4);
    (void)take_line(&rest, out_first);
    if (!is_text(*out_first))
        return bad(msg, "a control byte in the first line");
    return read_fields(rest, msg, framing);
}

static enum wire_result
judge_framing(struct wire_msg *msg, const struct framing_fields *framing)
{
    if (framing->codings_n > 0 && framing->lengths_n > 0)
        return bad(msg, "two kinds of framing");
    if (framing->codings_n > 1 || framing->lengths_n > 1)
        return bad(msg, "a framing field twice");
    if (framing->codings_n == 1) {
        if (!slice_is_nocase(framing->coding, "chunked") || msg->minor == 0)
            return bad(msg, "a transfer coding that is none");
        msg->framing = WIRE_CHUNKED;
    } else if (framing->lengths_n == 1) {
        if (!slice_to_u64(framing->length, &msg->length))
            return bad(msg, "a length that is none");
        msg->framing = WIRE_LENGTH;
    }
    return WIRE_WHOLE;
}

/* --- bodies --- */

struct body {
    struct slice in;
    XXH64_state_t hash;
    uint64_t len;
};

static void
eat(struct body *body, size_t n)
{
    if (n > 0)
        (void)XXH64_update(&body->hash, body->in.ptr, n);
    body->len += n;
    body->in = slice_skip(body->in, n);
}

static bool
chunk_size(struct slice line, uint64_t *out)
{
    size_t n = 0;

    for (*out = 0; n < line.len; n++) {
        char c = (char)(line.ptr[n] | 0x20);

        if (is_digit(line.ptr[n]))
            *out = *out * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *out = *out * 16 + (uint64_t)(c - 'a' + 10);
        else
            break;
        if (n >= 16)
            return false; /* does not fit */
    }
    return n > 0 && (n == line.len || strchr("; \t", line.ptr[n]) != NULL) && is_text(line);
}

static enum wire_result
take_trailers(struct body *body, struct wire_msg *msg)
{
    struct slice line;

    while (take_line(&body->in, &line)) {
        if (line.len == 0)
            return WIRE_WHOLE;
        if (!is_text(line))
            return bad(msg, "a control byte in a trailer");
    }
    return WIRE_PART;
}

static enum wire_result
take_chunks(struct body *body, struct wire_msg *msg)
{
    struct slice line;
    uint64_t size;

    while (take_line(&body->in, &line)) {
        if (!chunk_size(line, &size))
            return bad(msg, "a chunk size that is none");
        if (size == 0)
            return take_trailers(body, msg);
        if (body->in.len < 2 || body->in.len - 2 < size) {
            eat(body, body->in.len < size ? body->in.len : (size_t)size);
            return WIRE_PART;
        }
        eat(body, (size_t)size);
        if (memcmp(body->in.ptr, "\r\n", 2) != 0)
            return bad(msg, "a chunk without its end");
        body->in = slice_skip(body->in, 2);
    }
    return WIRE_PART;
}

static enum wire_result
take_body(struct slice in, bool ended, struct wire_msg *msg)
{
    struct body body = {.in = slice_skip(in, msg->head.len)};
    enum wire_result result = WIRE_WHOLE;

    msg->head_good = true;
    (void)XXH64_reset(&body.hash, 0);
    if (msg->framing == WIRE_LENGTH) {
        result = body.in.len < msg->length ? WIRE_PART : WIRE_WHOLE;
        eat(&body, result == WIRE_PART ? body.in.len : (size_t)msg->length);
    } else if (msg->framing == WIRE_CHUNKED) {
        result = take_chunks(&body, msg);
    } else if (msg->framing == WIRE_CLOSE) {
        eat(&body, body.in.len);
        result = ended ? WIRE_WHOLE : WIRE_PART;
    }
    msg->body_len = body.len;
    msg->body_hash = XXH64_digest(&body.hash);
    msg->next = in.len - (result == WIRE_WHOLE ? body.in.len : 0);
    return result;
}

/* --- requests and responses --- */

static bool
read_version(struct slice text, unsigned *out_minor)
{
    if (text.len != 8 || memcmp(text.ptr, "HTTP/1.", 7) != 0 || !is_digit(text.ptr[7]))
        return false;
    *out_minor = (unsigned)(text.ptr[7] - '0');
    return true;
}

enum wire_result
wire_request(struct slice in, struct wire_msg *out)
{
    struct framing_fields framing;
    struct slice line = SLICE_NONE;
    enum wire_result result = take_head(in, out, &line, &framing);

    if (result == WIRE_WHOLE) {
        if (!slice_cut(&line, ' ', &out->method) || !is_token(out->method) ||
            !slice_cut(&line, ' ', &out->target) || out->target.len == 0 ||
            !read_version(line, &out->minor))
            return bad(out, "a request line that is none");
        result = judge_framing(out, &framing);
    }
    return result == WIRE_WHOLE ? take_body(in, false, out) : result;
}

static bool
read_status(struct slice text, unsigned *out)
{
    uint64_t n;

    if (text.len != 3 || !slice_to_u64(text, &n) || n < 100 || n > 599)
        return false;
    *out = (unsigned)n;
    return true;
}

enum wire_result
wire_response(struct slice in, struct slice method, bool ended, struct wire_msg *out)
{
    struct framing_fields framing;
    struct slice line = SLICE_NONE, version, status;
    enum wire_result result = take_head(in, out, &line, &framing);

    if (result == WIRE_WHOLE) {
        (void)slice_cut(&line, ' ', &version);
        (void)slice_cut(&line, ' ', &status);
        if (!read_version(version, &out->minor) || !read_status(status, &out->status))
            return bad(out, "a status line that is none");
        result = judge_framing(out, &framing);
        if (result == WIRE_WHOLE && out->framing == WIRE_NO_BODY)
            out->framing = WIRE_CLOSE;
        if (slice_is(method, "HEAD") || out->status < 200 || out->status == 204 ||
            out->status == 304)
            out->framing = WIRE_NO_BODY;
    }
    return result == WIRE_WHOLE ? take_body(in, ended, out) : result;
}
