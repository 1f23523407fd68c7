/* Bodies for the tests of coders, and their coded forms made and read by the libraries' one-shot
 * functions, with no code of src/transform between. */
#ifndef BRINK_TESTS_CODER_HELP_H
#define BRINK_TESTS_CODER_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <libdeflate.h>
#include <zstd.h>

#include "transform/coder.h"

struct body {
    char *ptr;
    size_t len;
};

static inline struct body
body_new(size_t len)
{
    struct body body = {malloc(len + 1), len}; /* + 1: never NULL */

    assert_non_null(body.ptr);
    return body;
}

static inline struct slice
body_slice(const struct body *body)
{
    return slice_of(body->ptr, body->len);
}

static inline uint32_t
next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 8;
}

enum body_kind { BODY_TEXT, BODY_NOISE, BODY_ZEROS, BODY_KINDS };

/* Words of a small vocabulary with some numbers, bytes that cannot be compressed, or one byte. */
static inline struct body
body_make(enum body_kind kind, size_t len)
{
    static const char *const words[] = {
        "function", "return ",   "var ",    " = ",   "this.", "length", "; ",   "(a, b) {\n",
        "}\n",      "prototype", ".call(",  "null",  "if (",  ") ",     "else", "undefined",
        "\n    ",   "element",   "options", "true)", "[i]",   "for (",  "+ 1",  "\"class\""};
    struct body body = body_new(len);
    uint32_t seed = 42;

    for (size_t at = 0; at < len;) {
        const char *word = words[next_random(&seed) % ARRAY_LEN(words)];
        uint32_t n = next_random(&seed);

        if (kind == BODY_ZEROS)
            body.ptr[at++] = '\0';
        else if (kind == BODY_NOISE)
            body.ptr[at++] = (char)(n >> 12); /* low bits repeat soon */
        else if (n % 7 == 0)
            body.ptr[at++] = (char)('0' + n / 7 % 10);
        else
            for (; *word != '\0' && at < len; word++)
                body.ptr[at++] = *word;
    }
    return body;
}

static inline struct body
body_encode(enum http_coding coding, const struct body *from)
{
    struct body to = body_new(from->len + from->len / 8 + 1024);
    struct libdeflate_compressor *deflate;

    switch (coding) {
    case CODING_GZIP:
        deflate = libdeflate_alloc_compressor(6);
        to.len = libdeflate_gzip_compress(deflate, from->ptr, from->len, to.ptr, to.len);
        libdeflate_free_compressor(deflate);
        break;
    case CODING_BR:
        assert_true(BrotliEncoderCompress(5, 22, BROTLI_MODE_GENERIC, from->len,
                                          (const uint8_t *)from->ptr, &to.len, (uint8_t *)to.ptr));
        break;
    case CODING_ZSTD:
        to.len = ZSTD_compress(to.ptr, to.len, from->ptr, from->len, 3);
        assert_false(ZSTD_isError(to.len));
        break;
    default:
        memcpy(to.ptr, from->ptr, from->len);
        to.len = from->len;
    }
    assert_true(to.len > 0 || from->len == 0);
    return to;
}

/* Is `coded`, decoded, exactly `want`? */
static inline bool
decodes_to(enum http_coding coding, struct slice coded, const struct body *want)
{
    struct body got = body_new(want->len + 1); /* + 1: longer is seen */
    struct libdeflate_decompressor *inflate;
    size_t len = got.len, taken = coded.len;
    bool good = false;

    switch (coding) {
    case CODING_GZIP:
        inflate = libdeflate_alloc_decompressor();
        good = libdeflate_gzip_decompress_ex(inflate, coded.ptr, coded.len, got.ptr, got.len,
                                             &taken, &len) == LIBDEFLATE_SUCCESS;
        libdeflate_free_decompressor(inflate);
        break;
    case CODING_BR:
        good = BrotliDecoderDecompress(coded.len, (const uint8_t *)coded.ptr, &len,
                                       (uint8_t *)got.ptr) == BROTLI_DECODER_RESULT_SUCCESS;
        break;
    case CODING_ZSTD:
        len = ZSTD_decompress(got.ptr, got.len, coded.ptr, coded.len);
        good = !ZSTD_isError(len);
        break;
    default:
        len = coded.len;
        good = len <= got.len;
        if (good && len > 0)
            memcpy(got.ptr, coded.ptr, len);
    }
    good = good && taken == coded.len && len == want->len && memcmp(got.ptr, want->ptr, len) == 0;
    free(got.ptr);
    return good;
}

/* How a body is fed and read. */
struct pieces {
    size_t in, out;      /* of each call */
    unsigned flush_each; /* a flush after so many feeds; 0: none */
};

/* All of `in` through a coder to *out, whose room is out->len; then that is its length. */
static inline enum err
run_all(struct coder *coder, struct slice in, const struct pieces *pieces, struct body *out)
{
    size_t cap = out->len;
    bool ending = false;
    unsigned feeds = 0;

    out->len = 0;
    while (!ending) {
        struct slice part = slice_first(in, pieces->in);
        enum coder_flush flush = CODER_GO;
        unsigned idle = 0;
        bool done;

        in = slice_skip(in, part.len);
        ending = in.len == 0;
        if (ending)
            flush = CODER_END;
        else if (pieces->flush_each > 0 && ++feeds % pieces->flush_each == 0)
            flush = CODER_FLUSH;
        do {
            size_t len, before = part.len, room = cap - out->len;
            enum err rc;

            assert_true(room > 0);
            rc = coder_run(coder, &part, flush, out->ptr + out->len,
                           room < pieces->out ? room : pieces->out, &len, &done);
            if (rc != OK) {
                assert_int_equal(len, 0);
                return rc;
            }
            assert_true(before - part.len <= CODER_STEP_LEN);
            out->len += len;
            idle = len == 0 && before == part.len ? idle + 1 : 0;
            assert_true(idle < 1000); /* it gets on */
        } while (part.len > 0 || (flush != CODER_GO && !done));
    }
    return OK;
}

#endif
