/* Heads of HTTP/1 messages: strict, linear in the input, nothing repaired. RFC 9112 sections 2
 * to 6. What is forwarded is generated from the parsed form, so what two parsers could read
 * differently is refused here. */
#ifndef BRINK_HTTP_H1_PARSE_H
#define BRINK_HTTP_H1_PARSE_H

#include "http/msg.h"

struct h1_limits {
    size_t line_max;     /* request line or status line */
    size_t head_max;     /* the whole head */
    unsigned fields_max; /* at most HTTP_FIELDS_MAX */
};

/* Looks for the end of a head (an empty line) from *scanned on; keeps *scanned, so trickled input
 * is read once. *scanned starts at 0. Before a request, at most two CRLF are skipped by the caller.
 * OK: *out_len is the head's length with its empty line. ERR_AGAIN: more input is needed.
 * ERR_BAD_REQUEST: a bare CR or LF, or NUL. No end of the first line within line_max:
 * ERR_TARGET_TOO_LONG, or ERR_NOT_IMPLEMENTED when not even a method ended. ERR_HEAD_TOO_LARGE. */
MUST_USE enum err h1_find_head(const char *buf, size_t len, const struct h1_limits *limits,
                               size_t *scanned, size_t *out_len);

/* Why a head was refused, for the log: a constant such as "repeated Host". Set on errors other than
 * ERR_NOMEM. */
struct h1_fault {
    const char *why;
    size_t at; /* offset in the head */
};

/* Parse a whole request head, as h1_find_head measured it. Slices borrow `head`. Fields live in
 * `arena`. On an error *out holds what was read until then (method and target, or empty), for the
 * log. Errors, each with the status RFC 9110 and 9112 ask for: ERR_BAD_REQUEST, ERR_HEAD_TOO_LARGE
 * (too many fields), ERR_TARGET_TOO_LONG, ERR_NOT_IMPLEMENTED (an endless method; other transfer
 * codings before a last chunked; without it at the end the body has no known end: ERR_BAD_REQUEST,
 * section 6.3),
 * ERR_HTTP_VERSION, ERR_EXPECTATION, ERR_NOMEM.
 * RFC 9112 section 3.2: exactly one valid Host in HTTP/1.1, also beside an absolute target. Section
 * 6: Transfer-Encoding only as exactly "chunked", once, in HTTP/1.1, never beside Content-Length,
 * which is one field of digits. HTTP/1.2 to 1.9 are read as 1.1 (RFC 9110 section 2.5). */
MUST_USE enum err
h1_parse_request(struct slice head, const struct h1_limits *limits, struct arena *arena,
                 struct http_request *out, struct h1_fault *fault);

/* Parse a whole response head. `method`: of the request it answers, for the framing (RFC 9112
 * section 6.3: none for HEAD, 1xx, 204, 304; content_length is then what the field says, 0
 * without). *out on errors as above. A status line may lack the reason, not the space before it
 * (section 4). ERR_ORIGIN_SYNTAX, ERR_ORIGIN_FRAMING (unclear: two lengths, even equal ones; both
 * kinds of framing; codings other than chunked; any in HTTP/1.0; a body announced in 1xx or 204),
 * ERR_ORIGIN_LIMIT, ERR_NOMEM. */
MUST_USE enum err
h1_parse_response(struct slice head, enum http_method method, const struct h1_limits *limits,
                  struct arena *arena, struct http_response *out, struct h1_fault *fault);

/* Parse the field lines of a stored head or of trailers: lines, each ended by CRLF, without the
 * empty line. `fields` was begun by http_fields_init. ERR_SYNTAX; ERR_LIMIT: more than fields_max
 * or than there is room for. */
MUST_USE enum err h1_parse_fields(struct slice lines, unsigned fields_max,
                                  struct http_fields *fields, struct h1_fault *fault);

#endif
