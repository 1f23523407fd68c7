/* Bodies. The first byte picks the framing and the size of the pieces; what comes out is the same
 * whole and in pieces, and what was decoded is again a body when coded anew. */
#include "http/h1_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { LENGTH = 20 };

static const struct h1_body_limits limits = {
    .chunk_line_max = 40, .extensions_max = 60, .trailers_max = 50};

struct outcome {
    enum err rc;
    bool done;
    size_t left, data_len;
    uint64_t hash; /* of the data, byte by byte */
};

static struct outcome
feed(enum http_framing framing, struct slice in, size_t step)
{
    struct outcome out = {OK, false, 0, 0, 1469598103934665603U};
    struct h1_body body;

    h1_body_init(&body, &limits, framing, LENGTH);
    while (out.rc == OK && !body.done && in.len > 0) {
        struct slice piece = slice_first(in, step), data;
        size_t before = piece.len;

        out.rc = h1_body_next(&body, &piece, &data);
        ASSERT(piece.len < before || out.rc != OK || body.done);
        for (size_t i = 0; i < data.len; i++)
            out.hash = (out.hash ^ (uint8_t)data.ptr[i]) * 1099511628211U;
        out.data_len += data.len;
        in = slice_skip(in, before - piece.len);
    }
    out.done = body.done;
    out.left = in.len;
    ASSERT((h1_body_end(&body) == OK) == (out.done || framing == FRAMING_CLOSE));
    return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const enum http_framing framings[] = {FRAMING_CHUNKED, FRAMING_CHUNKED, FRAMING_CHUNKED,
                                                 FRAMING_CHUNKED, FRAMING_CHUNKED, FRAMING_LENGTH,
                                                 FRAMING_CLOSE,   FRAMING_NONE};
    enum http_framing framing;
    struct outcome whole, pieces;
    struct slice in;

    if (len < 2)
        return 0;
    framing = framings[data[0] & 7];
    in = slice_of(data + 1, len - 1);
    whole = feed(framing, in, in.len);
    pieces = feed(framing, in, 1 + (data[0] >> 3));
    ASSERT(whole.rc == pieces.rc && whole.done == pieces.done);
    ASSERT(whole.data_len == pieces.data_len && whole.hash == pieces.hash);
    ASSERT(whole.rc != OK || whole.left == pieces.left);
    ASSERT(whole.data_len <= in.len);
    ASSERT(framing != FRAMING_LENGTH || whole.data_len <= LENGTH);
    return 0;
}
