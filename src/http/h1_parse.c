/* Heads of HTTP/1: the search for their end, then one pass over their bytes. What the grammar of
 * RFC 9112 does not allow is refused with a reason; nothing is repaired. All work is linear in the
 * head. */
#include "http/h1_parse.h"

#include <endian.h>

#include "http/chars.h"
#include "http/field.h"
#include "http/url.h"

enum {
    FIELD_LINE_MIN = 4, /* "a:" CRLF */
    METHOD_MAX = 64     /* the longest registered one has 17 letters */
};

/* --- eight bytes at a time --- */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static uint64_t
load8(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

/* The high bit of each byte below `limit` (<= 0x80). Above the first hit there may be false ones,
 * for the subtraction borrows; the lowest is always true. */
static uint64_t
bytes_below(uint64_t word, uint64_t limit)
{
    return (word - ONES * limit) & ~word & HIGHS;
}

static size_t
first_hit(uint64_t hits)
{
    return (size_t)__builtin_ctzll(hits) / 8;
}

/* The first NUL, CR or LF (or another control byte below CR) at or after `at`; `end`: none. */
static const char *
find_line_byte(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t hits = bytes_below(load8(at), '\r' + 1);

        if (hits != 0)
            return at + first_hit(hits);
    }
    while (at < end && (unsigned char)*at > '\r')
        at++;
    return at;
}

/* The first byte that no field value may hold, a tab aside. */
static const char *
find_control(const char *at, const char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = load8(at);
        uint64_t hits = bytes_below(word, ' ') | bytes_below(word ^ (ONES * 0x7f), 1);

        if (hits != 0)
            return at + first_hit(hits);
    }
    while (at < end && char_is(*at, CH_VALUE) && *at != '\t')
        at++;
    return at;
}

/* --- the end of a head --- */

static bool
first_line_too_long(const char *buf, size_t len, size_t line_max)
{
    return len > line_max && memchr(buf, '\n', line_max) == NULL;
}

/* The first word of a line that may go on. */
static bool
method_too_long(struct slice text)
{
    size_t at;

    return text.len > METHOD_MAX && !slice_find(slice_first(text, METHOD_MAX + 1), ' ', &at);
}

/* What the limits say about `len` bytes of a head, whole or not. RFC 9112 section 3: 414 for a long
 * target, 501 for a long method. */
static enum err
check_limits(const char *buf, size_t len, const struct h1_limits *limits)
{
    if (first_line_too_long(buf, len, limits->line_max))
        return method_too_long(slice_of(buf, len)) ? ERR_NOT_IMPLEMENTED : ERR_TARGET_TOO_LONG;
    return len > limits->head_max ? ERR_HEAD_TOO_LARGE : OK;
}

enum err
h1_find_head(const char *buf, size_t len, const struct h1_limits *limits, size_t *scanned,
             size_t *out_len)
{
    const char *at = buf + *scanned, *end = buf + len;
    enum err rc;

    for (; (at = find_line_byte(at, end)) < end; at++) {
        if (*at == '\r') {
            if (at + 1 == end)
                break; /* looked at again, with what follows */
            if (at[1] != '\n')
                return ERR_BAD_REQUEST;
            at++;
            if (at - buf >= 2 && at[-2] != '\n')
                continue;
            rc = check_limits(buf, (size_t)(at - buf) + 1, limits);
            if (rc == OK)
                *out_len = (size_t)(at - buf) + 1;
            return rc;
        }
        if (*at == '\n' || *at == '\0')
            return ERR_BAD_REQUEST;
    }
    *scanned = (size_t)(at - buf);
    rc = check_limits(buf, len, limits);
    return rc == OK ? ERR_AGAIN : rc;
}

/* --- a pass over the lines --- */

struct parser {
    const char *begin, *at, *end;
    struct h1_fault *fault;
};

static enum err
refuse(struct parser *parser, const char *at, enum err rc, const char *why)
{
    parser->fault->why = why;
    parser->fault->at = (size_t)(at - parser->begin);
    return rc;
}

/* The line that starts at parser->at, of bytes that a field value may hold; its CRLF is passed
 * over. False: another control byte, a bare CR or LF, or no end. */
static bool
take_line(struct parser *parser, struct slice *out)
{
    const char *start = parser->at, *at = start;

    while ((at = find_control(at, parser->end)) < parser->end && *at == '\t')
        at++;
    if (parser->end - at < 2 || at[0] != '\r' || at[1] != '\n') {
        parser->at = at;
        return false;
    }
    parser->at = at + 2;
    *out = slice_of(start, (size_t)(at - start));
    return true;
}

static enum err
parse_field(struct parser *parser, struct http_fields *fields)
{
    const char *start = parser->at, *at = start;
    struct slice name, value;

    while (at < parser->end && char_is(*at, CH_TOKEN))
        at++;
    if (UNLIKELY(at == parser->end || *at != ':' || at == start)) {
        char c = at == parser->end ? '\0' : *at;
        bool blank = c == ' ' || c == '\t';

        return refuse(parser, at, ERR_SYNTAX,
                      blank && at == start ? "a folded field line"
                      : blank              ? "a blank in a field name or before the colon"
                      : c == ':'           ? "a field without a name"
                                           : "no token as field name");
    }
    name = slice_of(start, (size_t)(at - start));
    parser->at = at + 1;
    if (UNLIKELY(!take_line(parser, &value)))
        return refuse(parser, parser->at, ERR_SYNTAX, "a control byte in a field value");
    if (UNLIKELY(http_fields_add(fields, name, slice_trim(value)) != OK))
        return refuse(parser, start, ERR_LIMIT, "too many fields");
    return OK;
}

enum err
h1_parse_fields(struct slice lines, unsigned fields_max, struct http_fields *fields,
                struct h1_fault *fault)
{
    struct parser parser = {lines.ptr, lines.ptr, lines.ptr, fault};

    if (lines.len > 0) /* NULL + 0 is undefined in C17 */
        parser.end += lines.len;
    while (parser.at < parser.end) {
        enum err rc;

        if (fields->n >= fields_max)
            return refuse(&parser, parser.at, ERR_LIMIT, "too many fields");
        rc = parse_field(&parser, fields);
        if (rc != OK)
            return rc;
    }
    return OK;
}

/* The field lines of a head up to its empty line, after which nothing may follow. */
static enum err
parse_head_fields(struct parser *parser, const struct h1_limits *limits, struct arena *arena,
                  struct http_fields *fields)
{
    size_t most = (size_t)(parser->end - parser->at) / FIELD_LINE_MIN + 1;
    unsigned cap = most < limits->fields_max ? (unsigned)most : limits->fields_max;
    enum err rc = http_fields_init(fields, arena, cap);

    while (rc == OK) {
        if (parser->end - parser->at >= 2 && parser->at[0] == '\r' && parser->at[1] == '\n') {
            if (parser->end - parser->at > 2)
                return refuse(parser, parser->at, ERR_SYNTAX, "bytes after the empty line");
            return OK;
        }
        rc = parse_field(parser, fields);
    }
    return rc;
}

/* "HTTP/" DIGIT "." DIGIT; false: malformed. */
static bool
parse_version(struct slice text, unsigned *out_major, uint8_t *out_minor)
{
    if (text.len != 8 || memcmp(text.ptr, "HTTP/", 5) != 0 || text.ptr[6] != '.' ||
        !char_is(text.ptr[5], CH_DIGIT) || !char_is(text.ptr[7], CH_DIGIT))
        return false;
    *out_major = (unsigned)(text.ptr[5] - '0');
    *out_minor = (uint8_t)(text.ptr[7] - '0');
    return true;
}

/* --- framing and persistence, for both kinds of message --- */

/* What the fields say about the body. */
struct framing_fields {
    bool has_length, has_coding;
    bool is_chunked; /* the transfer coding is exactly "chunked" */
    uint64_t length;
};

/* Content-Length: one field of digits that fit. RFC 9110 section 8.6 lets a recipient take equal
 * repeated lengths as one; refusing them leaves nothing to differ over. */
static const char *
read_length(const struct http_fields *fields, struct framing_fields *out)
{
    const struct http_field *field = http_fields_get(fields, HTTP_CONTENT_LENGTH);

    out->has_length = field != NULL;
    if (field == NULL)
        return NULL;
    if (http_fields_next(fields, field) != NULL)
        return "repeated Content-Length";
    return slice_to_u64(field->value, &out->length) ? NULL : "malformed Content-Length";
}

static const char *
read_framing(const struct http_fields *fields, unsigned minor, struct framing_fields *out)
{
    const struct http_field *field = http_fields_get(fields, HTTP_TRANSFER_ENCODING);

    *out = (struct framing_fields){.has_coding = field != NULL};
    if (field != NULL) {
        if (minor == 0)
            return "Transfer-Encoding in HTTP/1.0"; /* RFC 9112 section 6.1 */
        if (http_fields_has(fields, HTTP_CONTENT_LENGTH))
            return "both Transfer-Encoding and Content-Length";
        out->is_chunked =
            slice_is_nocase(field->value, "chunked") && http_fields_next(fields, field) == NULL;
    }
    return read_length(fields, out);
}

/* Connection's options that HTTP/1 itself knows. RFC 9112 section 9.3. */
static bool
is_persistent(const struct http_fields *fields, unsigned minor)
{
    struct http_list list;
    struct slice option;
    bool persists = minor >= 1;

    http_list_begin(&list, fields, HTTP_CONNECTION);
    while (http_list_next(&list, &option)) {
        if (slice_is_nocase(option, "close"))
            return false;
        if (slice_is_nocase(option, "keep-alive"))
            persists = true;
    }
    return persists;
}

/* --- requests --- */

static enum err
parse_request_line(struct parser *parser, const struct h1_limits *limits, struct http_request *out)
{
    struct slice line, rest, version;
    unsigned major;

    if (!take_line(parser, &line))
        return refuse(parser, parser->at, ERR_BAD_REQUEST, "a control byte in the request line");
    if (line.len + 2 > limits->line_max)
        return refuse(parser, line.ptr, ERR_TARGET_TOO_LONG, "the request line is too long");
    rest = line;
    if (!slice_cut(&rest, ' ', &out->method_text) || !http_is_token(out->method_text))
        return refuse(parser, line.ptr, ERR_BAD_REQUEST, "no method");
    out->method = http_method_from(out->method_text);
    if (out->method_text.len > METHOD_MAX) /* RFC 9112 section 3 */
        return refuse(parser, line.ptr, ERR_NOT_IMPLEMENTED, "the method is too long");
    if (!slice_cut(&rest, ' ', &out->target) || out->target.len == 0)
        return refuse(parser, rest.ptr, ERR_BAD_REQUEST, "no target between single spaces");
    version = rest;
    if (!parse_version(version, &major, &out->minor))
        return refuse(parser, version.ptr, ERR_BAD_REQUEST, "no version at the end of the line");
    if (major != 1)
        return refuse(parser, version.ptr, ERR_HTTP_VERSION, "a version other than HTTP/1.x");
    return OK;
}

/* "/path?query". */
static enum err
parse_origin_form(struct http_request *out)
{
    size_t path_len = out->target.len;

    if (url_check_target(out->target) != OK)
        return ERR_SYNTAX;
    (void)slice_find(out->target, '?', &path_len);
    out->form = TARGET_ORIGIN;
    out->path = slice_first(out->target, path_len);
    out->query = slice_skip(out->target, path_len);
    return OK;
}

/* An empty path with OPTIONS stands for the whole server: RFC 9112 section 3.2.4. */
static enum err
parse_absolute_form(struct http_request *out)
{
    struct url url;

    if (url_parse(out->target, &url) != OK)
        return ERR_SYNTAX;
    out->form = TARGET_ABSOLUTE;
    out->scheme = url.scheme;
    out->host = url.authority;
    out->path = url.path;
    out->query = url.query;
    if (out->method == METHOD_OPTIONS && out->target.len == url.scheme.len + 3 + url.authority.len)
        out->path = SLICE("*");
    return OK;
}

/* CONNECT's target needs its port: RFC 9112 section 3.2.3, RFC 9110 section 9.3.6. */
static enum err
parse_authority_form(struct http_request *out)
{
    struct slice host;
    uint16_t port;

    if (url_parse_authority(out->target, &host, &port) != OK || port == 0)
        return ERR_SYNTAX;
    out->form = TARGET_AUTHORITY;
    out->host = out->target;
    return OK;
}

/* RFC 9112 section 3.2. */
static enum err
parse_target(struct http_request *out)
{
    if (out->method == METHOD_CONNECT)
        return parse_authority_form(out);
    if (out->target.ptr[0] == '/')
        return parse_origin_form(out);
    if (!slice_is(out->target, "*"))
        return parse_absolute_form(out);
    if (out->method != METHOD_OPTIONS)
        return ERR_SYNTAX;
    out->form = TARGET_ASTERISK;
    out->path = out->target;
    return OK;
}

/* Exactly one valid Host in HTTP/1.1, at most one in HTTP/1.0; beside an absolute target it is
 * checked too, though the target's authority counts. RFC 9112 section 3.2. */
static const char *
read_host(struct http_request *out)
{
    const struct http_field *field = http_fields_get(&out->fields, HTTP_HOST);
    struct slice host;
    uint16_t port;

    if (field == NULL)
        return out->minor >= 1 ? "no Host" : NULL;
    if (http_fields_next(&out->fields, field) != NULL)
        return "repeated Host";
    if (url_parse_authority(field->value, &host, &port) != OK)
        return "malformed Host";
    if (out->host.len == 0)
        out->host = field->value;
    return NULL;
}

/* Where the last of all transfer codings is not chunked, the body's end is unknown: 400 (RFC 9112
 * section 6.3); where it is, after others, brink does not know how to decode it: 501 (section 6.1).
 */
static enum err
refuse_coding(struct parser *parser, const struct http_fields *fields)
{
    struct http_list list;
    struct slice coding, last = SLICE_NONE;
    unsigned chunked_n = 0, others_n = 0;

    http_list_begin(&list, fields, HTTP_TRANSFER_ENCODING);
    while (http_list_next(&list, &coding)) {
        last = coding;
        if (slice_is_nocase(coding, "chunked"))
            chunked_n++;
        else
            others_n++;
    }
    if (chunked_n == 1 && others_n > 0 && slice_is_nocase(last, "chunked"))
        return refuse(parser, last.ptr, ERR_NOT_IMPLEMENTED, "a transfer coding besides chunked");
    return refuse(parser, parser->begin, ERR_BAD_REQUEST, "Transfer-Encoding is not just chunked");
}

static enum err
read_request_framing(struct parser *parser, struct http_request *out)
{
    struct framing_fields framing;
    const char *why = read_framing(&out->fields, out->minor, &framing);

    if (why != NULL)
        return refuse(parser, parser->begin, ERR_BAD_REQUEST, why);
    if (framing.has_coding && !framing.is_chunked)
        return refuse_coding(parser, &out->fields);
    out->framing = framing.has_coding   ? FRAMING_CHUNKED
                   : framing.has_length ? FRAMING_LENGTH
                                        : FRAMING_NONE;
    out->content_length = framing.length;
    return OK;
}

/* RFC 9110 section 10.1.1; HTTP/1.0 has no expectations. */
static enum err
read_expect(struct parser *parser, struct http_request *out)
{
    const struct http_field *field = http_fields_get(&out->fields, HTTP_EXPECT);

    if (field == NULL || out->minor == 0)
        return OK;
    if (http_fields_next(&out->fields, field) != NULL ||
        !slice_is_nocase(field->value, "100-continue"))
        return refuse(parser, field->name.ptr, ERR_EXPECTATION, "an unknown expectation");
    out->expect_continue = true;
    return OK;
}

/* What the fields mean for the exchange, once all of them are known. */
static enum err
read_request_fields(struct parser *parser, struct http_request *out)
{
    const char *why = read_host(out);
    enum err rc;

    if (why != NULL)
        return refuse(parser, parser->begin, ERR_BAD_REQUEST, why);
    rc = read_request_framing(parser, out);
    if (rc != OK)
        return rc;
    if (http_fields_nominate(&out->fields) != OK)
        return refuse(parser, parser->begin, ERR_BAD_REQUEST,
                      "Connection names what is not hop-by-hop");
    out->keep_alive = is_persistent(&out->fields, out->minor);
    return read_expect(parser, out);
}

enum err
h1_parse_request(struct slice head, const struct h1_limits *limits, struct arena *arena,
                 struct http_request *out, struct h1_fault *fault)
{
    struct parser parser = {head.ptr, head.ptr, head.ptr + head.len, fault};
    enum err rc;

    *out = (struct http_request){0};
    if (head.len > limits->head_max)
        return refuse(&parser, parser.begin, ERR_HEAD_TOO_LARGE, "the head is too large");
    rc = parse_request_line(&parser, limits, out);
    if (rc != OK)
        return rc;
    if (parse_target(out) != OK)
        return refuse(&parser, out->target.ptr, ERR_BAD_REQUEST, "malformed target");
    rc = parse_head_fields(&parser, limits, arena, &out->fields);
    if (rc != OK)
        return rc == ERR_LIMIT ? ERR_HEAD_TOO_LARGE : rc == ERR_SYNTAX ? ERR_BAD_REQUEST : rc;
    return read_request_fields(&parser, out);
}

/* --- responses --- */

/* HTTP-version SP 3DIGIT SP [ reason ]: the second space is there even without a reason (RFC 9112
 * section 4). */
static enum err
parse_status_line(struct parser *parser, const struct h1_limits *limits, struct http_response *out)
{
    struct slice line;
    unsigned major;

    if (!take_line(parser, &line))
        return refuse(parser, parser->at, ERR_ORIGIN_SYNTAX, "a control byte in the status line");
    if (line.len + 2 > limits->line_max)
        return refuse(parser, line.ptr, ERR_ORIGIN_LIMIT, "the status line is too long");
    if (!parse_version(slice_first(line, 8), &major, &out->minor) || major != 1)
        return refuse(parser, line.ptr, ERR_ORIGIN_SYNTAX, "no HTTP/1 version");
    if (line.len < 13 || line.ptr[8] != ' ' || !chars_all(slice_of(line.ptr + 9, 3), CH_DIGIT) ||
        line.ptr[12] != ' ')
        return refuse(parser, line.ptr + 8, ERR_ORIGIN_SYNTAX,
                      "no status of three digits between spaces");
    for (size_t i = 9; i < 12; i++)
        out->status = out->status * 10 + (unsigned)(line.ptr[i] - '0');
    if (out->status < 100 || out->status > 599)
        return refuse(parser, line.ptr + 9, ERR_ORIGIN_SYNTAX, "a status outside 100 to 599");
    out->reason = line.len > 13 ? slice_skip(line, 13) : SLICE_NONE;
    return OK;
}

/* No body whatever the fields say. RFC 9112 section 6.3, cases 1 and 2. */
static bool
is_bodyless(const struct http_response *resp, enum http_method method)
{
    return method == METHOD_HEAD || resp->status < 200 || resp->status == 204 ||
           resp->status == 304 || (method == METHOD_CONNECT && resp->status < 300);
}

/* Where a server must not frame a body (RFC 9112 section 6.1, RFC 9110 section 8.6) and yet
 * announces one, what follows on the connection cannot be trusted. A length of 0 is harmless. */
static bool
announces_impossible_body(const struct http_response *resp, const struct framing_fields *framing)
{
    return (resp->status < 200 || resp->status == 204) &&
           (framing->has_coding || framing->length > 0);
}

static enum err
read_response_framing(struct parser *parser, enum http_method method, struct http_response *out)
{
    struct framing_fields framing;
    const char *why = read_framing(&out->fields, out->minor, &framing);

    if (why == NULL && framing.has_coding && !framing.is_chunked)
        why = "Transfer-Encoding is not just chunked";
    if (why == NULL && announces_impossible_body(out, &framing))
        why = "a body where there can be none";
    if (why != NULL)
        return refuse(parser, parser->begin, ERR_ORIGIN_FRAMING, why);
    out->content_length = framing.length;
    out->framing = is_bodyless(out, method) ? FRAMING_NONE
                   : framing.has_coding     ? FRAMING_CHUNKED
                   : framing.has_length     ? FRAMING_LENGTH
                                            : FRAMING_CLOSE;
    return OK;
}

enum err
h1_parse_response(struct slice head, enum http_method method, const struct h1_limits *limits,
                  struct arena *arena, struct http_response *out, struct h1_fault *fault)
{
    struct parser parser = {head.ptr, head.ptr, head.ptr + head.len, fault};
    enum err rc;

    *out = (struct http_response){0};
    if (head.len > limits->head_max)
        return refuse(&parser, parser.begin, ERR_ORIGIN_LIMIT, "the head is too large");
    rc = parse_status_line(&parser, limits, out);
    if (rc != OK)
        return rc;
    rc = parse_head_fields(&parser, limits, arena, &out->fields);
    if (rc != OK)
        return rc == ERR_LIMIT ? ERR_ORIGIN_LIMIT : rc == ERR_SYNTAX ? ERR_ORIGIN_SYNTAX : rc;
    rc = read_response_framing(&parser, method, out);
    if (rc != OK)
        return rc;
    if (http_fields_nominate_response(&out->fields) != OK)
        return refuse(&parser, parser.begin, ERR_ORIGIN_SYNTAX, "malformed Connection");
    out->keep_alive = out->framing != FRAMING_CLOSE && is_persistent(&out->fields, out->minor);
    return OK;
}
