/* The body of an HTTP/1 message: where it ends, and its bytes without their chunked coding.
 * RFC 9112 sections 6 and 7. */
#ifndef BRINK_HTTP_H1_BODY_H
#define BRINK_HTTP_H1_BODY_H

#include "http/msg.h"

struct h1_body {
    enum http_framing framing;
    uint64_t left;       /* of the length, or of the current chunk */
    uint8_t state;       /* of the chunked decoder */
    bool done;           /* the body is whole */
    uint32_t line_len;   /* of the chunk line or trailer section so far */
    uint32_t extras_len; /* chunk extensions in all */
};

enum { H1_CHUNK_LINE_MAX = 1024, H1_CHUNK_EXTRAS_MAX = 16384, H1_TRAILERS_MAX = 8192 };

void h1_body_init(struct h1_body *body, enum http_framing framing, uint64_t content_length);

/* Take body bytes off *in. `out_data` is the next run of them (borrowed from *in; may be empty
 * though input was used up by chunk lines). Call until *in is empty or body->done; what is left in
 * *in when done belongs to the next message. ERR_BAD_REQUEST: malformed chunk line (CRLF only, hex
 * digits only, no overflow), limits exceeded. */
MUST_USE enum err h1_body_next(struct h1_body *body, struct slice *in, struct slice *out_data);

/* The connection ended. OK when the body is whole by it (FRAMING_CLOSE), else ERR_CLOSED. */
MUST_USE enum err h1_body_end(struct h1_body *body);

/* Chunk line for `len` bytes of data: writes "1f4\r\n" into buf, returns its length. */
enum { H1_CHUNK_HEAD_MAX = 18 };
size_t h1_chunk_head(char buf[H1_CHUNK_HEAD_MAX], uint64_t len);

#endif
