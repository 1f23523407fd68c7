/* Bodies of HTTP/1 messages: a decoder that is fed any pieces of input and keeps only its state.
 * The chunked coding is read by the grammar of RFC 9112 section 7.1, with CRLF alone ending a line
 * and "bad" blanks only where the grammar has them, around the parts of an extension: never between
 * a size and its line's end. Extensions and trailers are checked and dropped. */
#include "http/h1_body.h"

#include "http/chars.h"

enum { SIZE_DIGITS_MAX = 16 };

enum chunk_state {
    CHUNK_SIZE,       /* hex digits */
    CHUNK_EXT_BEFORE, /* after a blank: ";" must come */
    CHUNK_EXT_START,  /* after ";" */
    CHUNK_EXT_NAME,
    CHUNK_EXT_NAMED,  /* after a blank behind the name: ";" or "=" must come */
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
    CHUNK_BAD, /* an error is final */
    CHUNK_TOO_LARGE,
    TRAILER_TOO_LARGE
};

void
h1_body_init(struct h1_body *body, const struct h1_body_limits *limits, enum http_framing framing,
             uint64_t content_length)
{
    *body = (struct h1_body){.framing = framing, .limits = limits, .state = CHUNK_SIZE};
    if (framing == FRAMING_LENGTH)
        body->left = content_length;
    body->done = framing == FRAMING_NONE || (framing == FRAMING_LENGTH && content_length == 0);
}

static unsigned
hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(char_lower(c) - 'a') + 10;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What may follow a whole size or extension: another extension, perhaps after blanks, or the line's
 * end. RFC 9112 section 7.1.1; RFC 9110 section 5.6.3: such blanks must be read over. */
static enum chunk_state
after_element(char c)
{
    return c == ';'      ? CHUNK_EXT_START
           : c == '\r'   ? CHUNK_SIZE_LF
           : is_blank(c) ? CHUNK_EXT_BEFORE
                         : CHUNK_BAD;
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
    case CHUNK_EXT_BEFORE:
        return c == ';' ? CHUNK_EXT_START : is_blank(c) ? CHUNK_EXT_BEFORE : CHUNK_BAD;
    case CHUNK_EXT_START:
        return char_is(c, CH_TOKEN) ? CHUNK_EXT_NAME : is_blank(c) ? CHUNK_EXT_START : CHUNK_BAD;
    case CHUNK_EXT_NAME:
        return char_is(c, CH_TOKEN) ? CHUNK_EXT_NAME
               : c == '='           ? CHUNK_EXT_EQUALS
               : is_blank(c)        ? CHUNK_EXT_NAMED
                                    : after_element(c);
    case CHUNK_EXT_NAMED:
        return c == '='      ? CHUNK_EXT_EQUALS
               : c == ';'    ? CHUNK_EXT_START
               : is_blank(c) ? CHUNK_EXT_NAMED
                             : CHUNK_BAD;
    case CHUNK_EXT_EQUALS:
        return c == '"'               ? CHUNK_EXT_QUOTED
               : is_blank(c)          ? CHUNK_EXT_EQUALS
               : char_is(c, CH_TOKEN) ? CHUNK_EXT_TOKEN
                                      : CHUNK_BAD;
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
    if (++body->line_len > body->limits->chunk_line_max)
        return CHUNK_TOO_LARGE;
    if (state == CHUNK_SIZE)
        return on_size(body, c);
    if (++body->extensions_len > body->limits->extensions_max)
        return CHUNK_TOO_LARGE;
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
    if (++body->line_len > body->limits->trailers_max)
        return TRAILER_TOO_LARGE;
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

/* Data pays for the extensions before it, so that a long body may have them and one of tiny chunks
 * may not: what coding costs stays in proportion. */
static void
pay_extensions(struct h1_body *body, size_t data_len)
{
    body->extensions_len -= data_len < body->extensions_len ? data_len : body->extensions_len;
}

static enum err
next_chunked(struct h1_body *body, struct slice *in, struct slice *out_data)
{
    enum chunk_state state = (enum chunk_state)body->state;
    size_t n = 0;

    while (n < in->len && state != CHUNK_DATA && state < CHUNK_BAD && !body->done)
        state = on_byte(body, state, in->ptr[n++]);
    *in = slice_skip(*in, n);
    *out_data = SLICE_NONE;
    if (state == CHUNK_DATA && in->len > 0) {
        *out_data = take_data(body, in);
        pay_extensions(body, out_data->len);
        if (body->left == 0)
            state = CHUNK_DATA_CR;
    }
    body->state = (uint8_t)state;
    return state == CHUNK_BAD           ? ERR_BAD_REQUEST
           : state == CHUNK_TOO_LARGE   ? ERR_CHUNKS_TOO_LARGE
           : state == TRAILER_TOO_LARGE ? ERR_TRAILERS_TOO_LARGE
                                        : OK;
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
