/* A message head as a list of fields that borrow the bytes they were parsed from, and the text of a
 * head to be sent. Pure: no I/O, no clock. RFC 9110 sections 5, 6 and 9. */
#ifndef BRINK_HTTP_MSG_H
#define BRINK_HTTP_MSG_H

#include "base/arena.h"
#include "base/slice.h"

enum http_method {
    METHOD_OTHER, /* unknown: passed to the origin, never cached */
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_PATCH,
    METHOD_QUERY, /* RFC 10008 */
    METHOD_TRACE,
    METHOD_CONNECT,
    METHOD_PURGE /* brink's own */
};
enum http_method http_method_from(struct slice text); /* case matters, RFC 9110 section 9.1 */
bool http_method_is_safe(enum http_method method);    /* RFC 9110 section 9.2.1 */
bool http_method_is_idempotent(enum http_method method);

enum http_token {
    HTTP_UNKNOWN,
#define FIELD(token, name, flags) HTTP_##token,
#include "http/tokens.def"
#undef FIELD
    HTTP_TOKEN_COUNT
};
enum { F_HOP = 1, F_OURS = 2, F_SINGLE = 4, F_CTRL = 8, F_REPR = 16 };

enum http_token
http_token_from(struct slice name); /* any case; HTTP_UNKNOWN when not in the table */
const char *http_token_name(enum http_token token);
unsigned http_token_flags(enum http_token token);

struct http_field {
    struct slice name, value; /* value without surrounding blanks */
    enum http_token token;
    bool nominated; /* named by Connection, or hop-by-hop: not for the next hop */
};

/* In the order received. `first[token]` is the position + 1 of a known field, 0 when absent. */
struct http_fields {
    struct http_field *items;
    unsigned n, cap;
    uint8_t first[HTTP_TOKEN_COUNT];
};

enum { HTTP_FIELDS_MAX = 200 }; /* positions fit a byte; the configured limit is below it */

/* `items` of `cap` entries (at most HTTP_FIELDS_MAX) from the arena. ERR_NOMEM. */
MUST_USE enum err http_fields_init(struct http_fields *fields, struct arena *arena, unsigned cap);

/* Both slices are borrowed. ERR_LIMIT when `cap` is reached. */
MUST_USE enum err
http_fields_add(struct http_fields *fields, struct slice name, struct slice value);

/* The first field of that name; NULL when there is none. */
const struct http_field *http_fields_get(const struct http_fields *fields, enum http_token token);

/* The next one of the same name after `prev` (known or unknown names); NULL: no more. */
const struct http_field *
http_fields_next(const struct http_fields *fields, const struct http_field *prev);
const struct http_field *http_fields_find(const struct http_fields *fields, struct slice name);
bool http_fields_has(const struct http_fields *fields, enum http_token token);
unsigned http_fields_count(const struct http_fields *fields, enum http_token token);

/* Sets `nominated` on hop-by-hop fields and on those that Connection names (RFC 9110 section
 * 7.6.1), for a request. A known field that is not hop-by-hop (Host, Content-Length, Cache-Control,
 * Cookie, X-Forwarded-For ...) is meant for every recipient and cannot be nominated away:
 * ERR_SYNTAX, as for what is no token and for more than HTTP_OPTIONS_MAX names (each is sought in
 * all fields). */
enum { HTTP_OPTIONS_MAX = 64 };
MUST_USE enum err http_fields_nominate(struct http_fields *fields);

/* The same for a response, where naming a known field that is not hop-by-hop has no effect. */
MUST_USE enum err http_fields_nominate_response(struct http_fields *fields);

/* How the end of a body is known. RFC 9112 section 6.3. */
enum http_framing {
    FRAMING_NONE,    /* no body */
    FRAMING_LENGTH,  /* Content-Length */
    FRAMING_CHUNKED, /* Transfer-Encoding: chunked */
    FRAMING_CLOSE    /* until the connection ends; responses only */
};

enum http_target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK };

struct http_request {
    enum http_method method;
    struct slice method_text;
    struct slice target; /* as received */
    enum http_target_form form;
    struct slice scheme; /* of an absolute target, else empty */
    struct slice host;  /* authority: of the absolute target, else of Host (RFC 9112 section 3.2.2);
                         * empty only for HTTP/1.0 without Host */
    struct slice path;  /* "/..." or "*" ; without query */
    struct slice query; /* with its "?"; empty when none */
    uint8_t minor;      /* HTTP/1.minor as received */
    struct http_fields fields;
    enum http_framing framing;
    uint64_t content_length; /* FRAMING_LENGTH */
    bool keep_alive;         /* RFC 9112 section 9.3 */
    bool expect_continue;    /* RFC 9110 section 10.1.1 */
};

struct http_response {
    unsigned status;
    struct slice reason;
    uint8_t minor;
    struct http_fields fields;
    enum http_framing framing; /* for the request's method; see h1_parse_response */
    uint64_t content_length;
    bool keep_alive;
};

const char *http_reason(unsigned status); /* "Not Found"; "Unknown" for others */

/* --- a head being written: one growing buffer in an arena; errors are sticky --- */

struct http_out {
    struct arena *arena;
    char *buf;
    size_t len, cap;
    enum err rc; /* OK until something did not fit into memory */
};

void http_out_init(struct http_out *out, struct arena *arena, size_t cap_hint);
void http_out_text(struct http_out *out, struct slice text);
void http_out_str(struct http_out *out, const char *text);
void http_out_u64(struct http_out *out, uint64_t n);
void http_out_field(struct http_out *out, struct slice name, struct slice value); /* with CRLF */
void http_out_field_str(struct http_out *out, const char *name, const char *value);
void http_out_field_u64(struct http_out *out, const char *name, uint64_t n);
void http_out_status(struct http_out *out, unsigned status, struct slice reason); /* status line */
struct slice http_out_slice(const struct http_out *out); /* empty when rc is not OK */

#endif
