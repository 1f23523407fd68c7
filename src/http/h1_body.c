/* Bodies of HTTP/1 messages: a decoder that is fed any pieces of input and keeps only its state.
 * The chunked coding is read by the grammar of RFC 9112 section 7.1, with CRLF alone ending a line
 * and without the "bad" blanks around extensions that the RFC lets a recipient remove: they are
 * refused, since peers differ over them. Extensions and trailers are checked and dropped. */
#include "http/h1_body.h"

#include "http/chars.h"

enum { SIZE_DIGITS_MAX = 16 };

enum chunk_state {
    CHUNK_SIZE,      /* hex digits */
    CHUNK_EXT_START, /* after ";" */
    CHUNK_EXT_NAME,
    CHUNK_EXT_EQUALS, /* after "=" */
    CHUNK_EXT_TOKEN,
    CHUNK_EXT_QUOTED,
    CHUNK_EXT_ESCAPE, /* after a backslash in quotes */
    CHUNK_EXT_CLOSED, /* after the closing quote */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START, /* of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILER_LAST_LF,
    CHUNK_BAD /* an error is final */
};

void
h1_body_init(struct h1_body *body, enum http_framing framing, uint64_t content_length)
{
    *body = (struct h1_body){.framing = framing, .state = CHUNK_SIZE};
    if (framing == FRAMING_LENGTH)
        body->left = content_length;
    body->done = framing == FRAMING_NONE || (framing == FRAMING_LENGTH && content_length == 0);
}

static unsigned
hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(char_lower(c) - 'a') + 10;
}

/* What may follow a whole size or extension: another extension or the line's end. */
static enum chunk_state
after_element(char c)
{
    return c == ';' ? CHUNK_EXT_START : c == '\r' ? CHUNK_SIZE_LF : CHUNK_BAD;
}

static enum chunk_state
on_size(struct h1_body *body, char c)
{
    if (!char_is(c, CH_HEX))
        return body->line_len > 1 ? after_element(c) : CHUNK_BAD;
    if (body->line_len > SIZE_DIGITS_MAX)
        return CHUNK_BAD;
    body->left = body->left << 4 | hex_value(c);
    return CHUNK_SIZE;
}

/* One byte of a chunk's line, its CRLF aside. */
static enum chunk_state
on_extension(enum chunk_state state, char c)
{
    switch (state) {
    case CHUNK_EXT_START:
        return char_is(c, CH_TOKEN) ? CHUNK_EXT_NAME : CHUNK_BAD;
    case CHUNK_EXT_NAME:
        return char_is(c, CH_TOKEN) ? CHUNK_EXT_NAME
               : c == '='           ? CHUNK_EXT_EQUALS
                                    : after_element(c);
    case CHUNK_EXT_EQUALS:
        return c == '"' ? CHUNK_EXT_QUOTED : char_is(c, CH_TOKEN) ? CHUNK_EXT_TOKEN : CHUNK_BAD;
    case CHUNK_EXT_TOKEN:
        return char_is(c, CH_TOKEN) ? CHUNK_EXT_TOKEN : after_element(c);
    case CHUNK_EXT_QUOTED:
        return c == '"'               ? CHUNK_EXT_CLOSED
               : c == '\\'            ? CHUNK_EXT_ESCAPE
               : char_is(c, CH_VALUE) ? CHUNK_EXT_QUOTED
                                      : CHUNK_BAD;
    case CHUNK_EXT_ESCAPE:
        return char_is(c, CH_VALUE) ? CHUNK_EXT_QUOTED : CHUNK_BAD;
    default:
        return after_element(c);
    }
}

static enum chunk_state
on_chunk_line(struct h1_body *body, enum chunk_state state, char c)
{
    if (++body->line_len > H1_CHUNK_LINE_MAX)
        return CHUNK_BAD;
    if (state == CHUNK_SIZE)
        return on_size(body, c);
    if (++body->extras_len > H1_CHUNK_EXTRAS_MAX)
        return CHUNK_BAD;
    return on_extension(state, c);
}

static enum chunk_state
on_line_end(struct h1_body *body, char c)
{
    if (c != '\n')
        return CHUNK_BAD;
    body->line_len = 0;
    return body->left > 0 ? CHUNK_DATA : TRAILER_START;
}

/* One byte of the trailer section: field lines as in a head (RFC 9112 section 5). */
static enum chunk_state
on_trailer(struct h1_body *body, enum chunk_state state, char c)
{
    if (++body->line_len > H1_TRAILERS_MAX)
        return CHUNK_BAD;
    switch (state) {
    case TRAILER_START:
        return c == '\r' ? TRAILER_LAST_LF : char_is(c, CH_TOKEN) ? TRAILER_NAME : CHUNK_BAD;
    case TRAILER_NAME:
        return c == ':' ? TRAILER_VALUE : char_is(c, CH_TOKEN) ? TRAILER_NAME : CHUNK_BAD;
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : char_is(c, CH_VALUE) ? TRAILER_VALUE : CHUNK_BAD;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_START : CHUNK_BAD;
    default: /* TRAILER_LAST_LF */
        body->done = c == '\n';
        return c == '\n' ? TRAILER_LAST_LF : CHUNK_BAD;
    }
}

static enum chunk_state
on_byte(struct h1_body *body, enum chunk_state state, char c)
{
    switch (state) {
    case CHUNK_SIZE_LF:
        return on_line_end(body, c);
    case CHUNK_DATA_CR:
        return c == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
    case CHUNK_DATA_LF:
        return c == '\n' ? CHUNK_SIZE : CHUNK_BAD;
    case TRAILER_START:
    case TRAILER_NAME:
    case TRAILER_VALUE:
    case TRAILER_LF:
    case TRAILER_LAST_LF:
        return on_trailer(body, state, c);
    default:
        return on_chunk_line(body, state, c);
    }
}

/* At most `left` bytes off the input. */
static struct slice
take_data(struct h1_body *body, struct slice *in)
{
    struct slice data = slice_first(*in, body->left < SIZE_MAX ? (size_t)body->left : SIZE_MAX);

    *in = slice_skip(*in, data.len);
    body->left -= data.len;
    return data;
}

static enum err
next_chunked(struct h1_body *body, struct slice *in, struct slice *out_data)
{
    enum chunk_state state = (enum chunk_state)body->state;
    size_t n = 0;

    while (n < in->len && state != CHUNK_DATA && state != CHUNK_BAD && !body->done)
        state = on_byte(body, state, in->ptr[n++]);
    *in = slice_skip(*in, n);
    *out_data = SLICE_NONE;
    if (state == CHUNK_DATA && in->len > 0) {
        *out_data = take_data(body, in);
        if (body->left == 0)
            state = CHUNK_DATA_CR;
    }
    body->state = (uint8_t)state;
    return state == CHUNK_BAD ? ERR_BAD_REQUEST : OK;
}

enum err
h1_body_next(struct h1_body *body, struct slice *in, struct slice *out_data)
{
    *out_data = SLICE_NONE;
    if (body->done)
        return OK;
    switch (body->framing) {
    case FRAMING_NONE: /* done from the start */
        break;
    case FRAMING_LENGTH:
        *out_data = take_data(body, in);
        body->done = body->left == 0;
        return OK;
    case FRAMING_CLOSE:
        *out_data = *in;
        *in = slice_skip(*in, in->len);
        return OK;
    case FRAMING_CHUNKED:
        return next_chunked(body, in, out_data);
    }
    UNREACHABLE();
}

enum err
h1_body_end(struct h1_body *body)
{
    if (body->framing == FRAMING_CLOSE)
        body->done = true;
    return body->done ? OK : ERR_CLOSED;
}

size_t
h1_chunk_head(char buf[H1_CHUNK_HEAD_MAX], uint64_t len)
{
    static const char hex[] = "0123456789abcdef";
    size_t digits_n = 1, n = 0;

    while (digits_n < SIZE_DIGITS_MAX && len >> (4 * digits_n) != 0)
        digits_n++;
    while (digits_n-- > 0)
        buf[n++] = hex[len >> (4 * digits_n) & 15];
    buf[n++] = '\r';
    buf[n++] = '\n';
    return n;
}
