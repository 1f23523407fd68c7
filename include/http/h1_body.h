/* The body of an HTTP/1 message: where it ends, and its bytes without their chunked coding.
 * RFC 9112 sections 6 and 7. */
#ifndef BRINK_HTTP_H1_BODY_H
#define BRINK_HTTP_H1_BODY_H

#include "http/msg.h"

/* What chunked coding may cost beside the data. */
struct h1_body_limits {
    size_t chunk_line_max; /* one chunk's size with its extensions */
    size_t extensions_max; /* all extensions, less a byte for each byte of data so far */
    size_t trailers_max;   /* the whole trailer section */
};

struct h1_body {
    enum http_framing framing;
    const struct h1_body_limits *limits;
    uint64_t left;         /* of the length, or of the current chunk */
    uint8_t state;         /* of the chunked decoder */
    bool done;             /* the body is whole */
    size_t line_len;       /* of the chunk line or trailer section so far */
    size_t extensions_len; /* what counts against extensions_max */
};

/* `limits` outlive the body. */
void h1_body_init(struct h1_body *body, const struct h1_body_limits *limits,
                  enum http_framing framing, uint64_t content_length);

/* Take body bytes off *in. `out_data` is the next run of them (borrowed from *in; may be empty
 * though input was used up by chunk lines). Call until *in is empty or body->done; what is left in
 * *in when done belongs to the next message. Errors are final. ERR_BAD_REQUEST: malformed chunk
 * line (CRLF only, hex digits only, no overflow) or trailer; ERR_CHUNKS_TOO_LARGE,
 * ERR_TRAILERS_TOO_LARGE: a limit. */
MUST_USE enum err h1_body_next(struct h1_body *body, struct slice *in, struct slice *out_data);

/* The connection ended. OK when the body is whole by it (FRAMING_CLOSE), else ERR_CLOSED. */
MUST_USE enum err h1_body_end(struct h1_body *body);

/* Chunk line for `len` bytes of data: writes "1f4\r\n" into buf, returns its length. */
enum { H1_CHUNK_HEAD_MAX = 18 };
size_t h1_chunk_head(char buf[H1_CHUNK_HEAD_MAX], uint64_t len);

#endif
