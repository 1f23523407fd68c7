/* Bodies: every case is fed whole and byte by byte, which must make no difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/h1_body.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

struct outcome {
    enum err rc;
    bool done;
    char data[256];
    size_t data_len;
    size_t left; /* input that was not used */
};

/* Feed `in` in pieces of at most `step` bytes, each in memory of its own. */
static void
feed(struct h1_body *body, struct slice in, size_t step, struct outcome *out)
{
    *out = (struct outcome){.left = in.len};
    while (out->rc == OK && !body->done && in.len > 0) {
        struct slice piece = slice_first(in, step), data;
        char *copy = malloc(piece.len);

        assert_non_null(copy);
        memcpy(copy, piece.ptr, piece.len);
        piece.ptr = copy;
        while (out->rc == OK && !body->done && piece.len > 0) {
            size_t before = piece.len;

            out->rc = h1_body_next(body, &piece, &data);
            assert_true(piece.len < before || body->done || out->rc != OK);
            assert_true(out->data_len + data.len <= sizeof(out->data));
            if (data.len > 0)
                memcpy(out->data + out->data_len, data.ptr, data.len);
            out->data_len += data.len;
        }
        in = slice_skip(in, slice_first(in, step).len - piece.len);
        free(copy);
        if (piece.len > 0)
            break;
    }
    out->done = body->done;
    out->left = in.len;
}

static const struct h1_body_limits limits = {
    .chunk_line_max = 1024, .extensions_max = 16384, .trailers_max = 8192};

struct chunk_case {
    const char *why;
    struct slice in;
    enum err want; /* ERR_AGAIN: more input would be needed */
    const char *data;
    size_t left;
};

static void
run(const struct chunk_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t step = 1; step <= cases[i].in.len; step++) {
            struct h1_body body;
            struct outcome got;

            h1_body_init(&body, &limits, FRAMING_CHUNKED, 0);
            feed(&body, cases[i].in, step, &got);
            if (got.rc == OK && !got.done)
                got.rc = ERR_AGAIN;
            if (got.rc != cases[i].want)
                fail_msg("%s, in steps of %zu: %s, not %s", cases[i].why, step, err_name(got.rc),
                         err_name(cases[i].want));
            if (cases[i].want == ERR_BAD_REQUEST)
                continue;
            if (!slice_is(slice_of(got.data, got.data_len), cases[i].data) ||
                got.left != cases[i].left)
                fail_msg("%s, in steps of %zu: \"%.*s\", %zu left", cases[i].why, step,
                         (int)got.data_len, got.data, got.left);
            assert_int_equal(h1_body_end(&body), cases[i].want == OK ? OK : ERR_CLOSED);
        }
    }
}

static void
chunked_is_read(void **state)
{
    static const struct chunk_case cases[] = {
        {"RFC 9112 section 7.1: nothing", TEXT("0\r\n\r\n"), OK, "", 0},
        {"RFC 9112 section 7.1: one chunk", TEXT("5\r\nhello\r\n0\r\n\r\n"), OK, "hello", 0},
        {"RFC 9112 section 7.1: two chunks", TEXT("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), OK, "hello",
         0},
        {"RFC 9112 section 7.1: hex, lower case", TEXT("a\r\n0123456789\r\n0\r\n\r\n"), OK,
         "0123456789", 0},
        {"RFC 9112 section 7.1: hex, upper case", TEXT("B\r\n0123456789a\r\n0\r\n\r\n"), OK,
         "0123456789a", 0},
        {"RFC 9112 section 7.1: two digits", TEXT("10\r\n0123456789abcdef\r\n0\r\n\r\n"), OK,
         "0123456789abcdef", 0},
        {"RFC 9112 section 7.1: zeros in front", TEXT("0000000000000005\r\nhello\r\n0\r\n\r\n"), OK,
         "hello", 0},
        {"RFC 9112 section 7.1: the last chunk in many zeros", TEXT("0000000000000000\r\n\r\n"), OK,
         "", 0},
        {"RFC 9112 section 7.1: CRLF in the data", TEXT("4\r\n\r\n\r\n\r\n0\r\n\r\n"), OK,
         "\r\n\r\n", 0},
        {"RFC 9112 section 9.3.2: the next message stays", TEXT("0\r\n\r\nGET /"), OK, "", 5},
        {"RFC 9112 section 7.1.1: an extension", TEXT("1;a\r\nx\r\n0\r\n\r\n"), OK, "x", 0},
        {"RFC 9112 section 7.1.1: one with a value", TEXT("1;a=b\r\nx\r\n0\r\n\r\n"), OK, "x", 0},
        {"RFC 9112 section 7.1.1: several", TEXT("1;a=b;c;d=\"e\"\r\nx\r\n0\r\n\r\n"), OK, "x", 0},
        {"RFC 9112 section 7.1.1: a quoted value", TEXT("1;a=\"b; c\t\xff\"\r\nx\r\n0\r\n\r\n"), OK,
         "x", 0},
        {"RFC 9112 section 7.1.1: an empty quoted value", TEXT("1;a=\"\"\r\nx\r\n0\r\n\r\n"), OK,
         "x", 0},
        {"RFC 9112 section 7.1.1: an escaped quote", TEXT("1;a=\"\\\"\\\\\"\r\nx\r\n0\r\n\r\n"), OK,
         "x", 0},
        {"RFC 9110 section 5.6.3: blanks around its parts",
         TEXT("1 \t; a\t = b ;c \t;d = \"e\" ; f\r\nx\r\n0 ;a\r\n\r\n"), OK, "x", 0},
        {"RFC 9112 section 7.1.1: on the last chunk", TEXT("0;a=b\r\n\r\n"), OK, "", 0},
        {"RFC 9112 section 7.1.2: a trailer", TEXT("0\r\nA: b\r\n\r\n"), OK, "", 0},
        {"RFC 9112 section 7.1.2: trailers", TEXT("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nrest"), OK, "x",
         4},
        {"RFC 9112 section 7.1.2: a framing field there means nothing",
         TEXT("0\r\nContent-Length: 9\r\n\r\n"), OK, "", 0},
        {"half a size", TEXT("1"), ERR_AGAIN, "", 0},
        {"a size and CR", TEXT("1\r"), ERR_AGAIN, "", 0},
        {"half the data", TEXT("5\r\nhel"), ERR_AGAIN, "hel", 0},
        {"the data without its CRLF", TEXT("5\r\nhello"), ERR_AGAIN, "hello", 0},
        {"no last chunk", TEXT("5\r\nhello\r\n"), ERR_AGAIN, "hello", 0},
        {"no empty line at the end", TEXT("0\r\n"), ERR_AGAIN, "", 0},
        {"half the empty line", TEXT("0\r\n\r"), ERR_AGAIN, "", 0},
        {"half a trailer", TEXT("0\r\nA: b"), ERR_AGAIN, "", 0},
        {"the largest size", TEXT("ffffffffffffffff\r\nx"), ERR_AGAIN, "x", 0},
    };

    run(cases, ARRAY_LEN(cases));
}

static void
chunked_is_refused(void **state)
{
    static const struct chunk_case cases[] = {
        {"RFC 9112 section 7.1: no size", TEXT("\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: no digit", TEXT("x\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: g is no digit", TEXT("1g\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: a plus sign", TEXT("+1\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: a minus sign", TEXT("-1\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: 0x", TEXT("0x1\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: an underscore", TEXT("1_0\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: a blank in front", TEXT(" 1\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: a blank behind", TEXT("1 \r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: a tab behind", TEXT("1\t\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: a blank before the last size", TEXT("1\r\nx\r\n 0\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: 17 digits", TEXT("00000000000000001\r\nx\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1: past 64 bits", TEXT("10000000000000000\r\nx\r\n"), ERR_BAD_REQUEST,
         "", 0},
        {"RFC 9112 section 7.1: a fraction", TEXT("1.0\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: a comma", TEXT("1,a\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: NUL", TEXT("1\0\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: LF ends the size", TEXT("1\nx\r\n0\r\n\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1: CR alone", TEXT("1\rx\r\n0\r\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: CR CR LF", TEXT("1\r\r\nx\r\n0\r\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: LF after the data", TEXT("1\r\nx\n0\r\n\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1: CR after the data", TEXT("1\r\nx\r0\r\n\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1: more data than its size", TEXT("1\r\nxy\r\n0\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: two bytes in place of CRLF", TEXT("1\r\nxAB0\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: an empty line between chunks", TEXT("1\r\nx\r\n\r\n0\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: LF ends the body", TEXT("0\r\n\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: LF ends the last size", TEXT("0\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1: CR and another byte end the body", TEXT("0\r\n\rX"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: no name", TEXT("1;\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: no name before the equals sign", TEXT("1;=a\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: no value", TEXT("1;a=\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: two semicolons", TEXT("1;;a\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: a blank and no semicolon", TEXT("1 a\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1.1: a blank within the name", TEXT("1;a b\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1.1: a blank within the value", TEXT("1;a=b c\r\n"), ERR_BAD_REQUEST,
         "", 0},
        {"RFC 9112 section 7.1.1: a blank for a value", TEXT("1;a= \r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: a blank after the value", TEXT("1;a=b \r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1.1: a vertical tab for a blank", TEXT("1\v;a\r\n"), ERR_BAD_REQUEST,
         "", 0},
        {"RFC 9112 section 7.1.1: a blank at the end", TEXT("1;a \r\nx\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1.1: LF in it", TEXT("1;a\nb\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: LF ends it", TEXT("1;\nx\r\n0\r\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: CR in it", TEXT("1;a\rb\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: LF in quotes", TEXT("1;a=\"\n\"\r\nx\r\n"), ERR_BAD_REQUEST, "",
         0},
        {"RFC 9112 section 7.1.1: CRLF in quotes", TEXT("1;a=\"\r\n\"\r\nx\r\n"), ERR_BAD_REQUEST,
         "", 0},
        {"RFC 9112 section 7.1.1: an escaped LF", TEXT("1;a=\"\\\n\"\r\nx\r\n"), ERR_BAD_REQUEST,
         "", 0},
        {"RFC 9112 section 7.1.1: bytes after the quotes", TEXT("1;a=\"b\"c\r\nx\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.1: a quote in a token", TEXT("1;a=b\"c\"\r\nx\r\n"), ERR_BAD_REQUEST,
         "", 0},
        {"RFC 9112 section 7.1.1: NUL", TEXT("1;a=\0\r\nx\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: a folded trailer", TEXT("0\r\nA: b\r\n c\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: a blank before the name", TEXT("0\r\n A: b\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: a blank before the colon", TEXT("0\r\nA : b\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: no colon", TEXT("0\r\nA\r\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: no name", TEXT("0\r\n: b\r\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: a control byte", TEXT("0\r\nA: \x01\r\n\r\n"), ERR_BAD_REQUEST,
         "", 0},
        {"RFC 9112 section 7.1.2: LF ends it", TEXT("0\r\nA: b\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: CR in it", TEXT("0\r\nA: b\rc\r\n\r\n"), ERR_BAD_REQUEST, "", 0},
        {"RFC 9112 section 7.1.2: a request line", TEXT("0\r\nGET / HTTP/1.1\r\n\r\n"),
         ERR_BAD_REQUEST, "", 0},
    };

    run(cases, ARRAY_LEN(cases));
}

/* An error is final: the body cannot be read on after it. */
static void
chunked_stays_refused(void **state)
{
    struct h1_body body;
    struct slice in = SLICE("x"), data;

    h1_body_init(&body, &limits, FRAMING_CHUNKED, 0);
    assert_int_equal(h1_body_next(&body, &in, &data), ERR_BAD_REQUEST);
    in = SLICE("0\r\n\r\n");
    assert_int_equal(h1_body_next(&body, &in, &data), ERR_BAD_REQUEST);
    assert_false(body.done);
    assert_int_equal(h1_body_end(&body), ERR_CLOSED);
}

/* `n` times `byte` after `before`; the error, or OK while the decoder wants more. */
static enum err
feed_many(struct h1_body *body, const char *before, char byte, size_t n)
{
    struct slice in = slice_from_str(before), data;
    enum err rc = OK;

    while (rc == OK && in.len > 0)
        rc = h1_body_next(body, &in, &data);
    while (rc == OK && n-- > 0) {
        in = slice_of(&byte, 1);
        rc = h1_body_next(body, &in, &data);
    }
    return rc;
}

/* RFC 9112 section 7.1.1: what is unreasonable is refused with a 4xx. */
static void
chunked_limits(void **state)
{
    struct h1_body body;

    h1_body_init(&body, &limits, FRAMING_CHUNKED, 0);
    assert_int_equal(feed_many(&body, "1;", 'a', limits.chunk_line_max - 2), OK);
    assert_int_equal(feed_many(&body, "", 'a', 1), ERR_CHUNKS_TOO_LARGE);
    assert_int_equal(feed_many(&body, "", '\r', 1), ERR_CHUNKS_TOO_LARGE);

    h1_body_init(&body, &limits, FRAMING_CHUNKED, 0);
    assert_int_equal(feed_many(&body, "0\r\n", 'a', limits.trailers_max), OK);
    assert_int_equal(feed_many(&body, "", 'a', 1), ERR_TRAILERS_TOO_LARGE);
    assert_int_equal(feed_many(&body, "", '\r', 1), ERR_TRAILERS_TOO_LARGE);
}

/* How many chunks like this are read before they are too many; `most` when that many are fine. */
static unsigned
chunks_until_refused(const char *chunk, unsigned most)
{
    struct h1_body body;
    enum err rc = OK;
    unsigned n = 0;

    h1_body_init(&body, &limits, FRAMING_CHUNKED, 0);
    while (rc == OK && n < most) {
        n++;
        rc = feed_many(&body, chunk, '\0', 0);
    }
    assert_true(rc == OK || rc == ERR_CHUNKS_TOO_LARGE);
    return n;
}

/* The cost of coding stays in proportion to the data: that of every chunk pays for extensions. */
static void
extensions_need_data(void **state)
{
    const unsigned most = 100000, max = (unsigned)limits.extensions_max;

    (void)state;
    assert_int_equal(chunks_until_refused("1;abcdefgh\r\nx\r\n", most), (max - 9) / 8 + 2);
    assert_int_equal(chunks_until_refused("1\r\nx\r\n", most), most);
    assert_int_equal(chunks_until_refused("5;abcd\r\nhello\r\n", most), most);
    assert_int_equal(chunks_until_refused("4;abcd\r\nhell\r\n", most), max - 5 + 2);
}

static void
length(void **state)
{
    struct h1_body body;
    struct outcome got;

    for (size_t step = 1; step < 8; step++) {
        h1_body_init(&body, &limits, FRAMING_LENGTH, 5);
        assert_int_equal(h1_body_end(&body), ERR_CLOSED);
        feed(&body, SLICE("helloGET"), step, &got);
        assert_int_equal(got.rc, OK);
        assert_true(got.done);
        assert_true(slice_is(slice_of(got.data, got.data_len), "hello"));
        assert_int_equal(got.left, 3);
        assert_int_equal(h1_body_end(&body), OK);
    }
    h1_body_init(&body, &limits, FRAMING_LENGTH, 5);
    feed(&body, SLICE("hell"), 4, &got);
    assert_false(got.done);
    assert_int_equal(body.left, 1);
    assert_int_equal(h1_body_end(&body), ERR_CLOSED); /* RFC 9112 section 8: incomplete */
}

static void
nothing_and_everything(void **state)
{
    struct h1_body body;
    struct slice in = SLICE("abc"), data;
    struct outcome got;

    h1_body_init(&body, &limits, FRAMING_NONE, 7);
    assert_true(body.done);
    assert_int_equal(h1_body_next(&body, &in, &data), OK);
    assert_int_equal(in.len, 3);
    assert_int_equal(data.len, 0);
    assert_int_equal(h1_body_end(&body), OK);

    h1_body_init(&body, &limits, FRAMING_LENGTH, 0);
    assert_true(body.done);

    h1_body_init(&body, &limits, FRAMING_CLOSE, 0); /* RFC 9112 section 6.3, 8 */
    feed(&body, SLICE("abc"), 2, &got);
    assert_true(slice_is(slice_of(got.data, got.data_len), "abc"));
    assert_false(body.done);
    assert_int_equal(h1_body_end(&body), OK);
    assert_true(body.done);
}

/* No input is no error, in every state. */
static void
empty_input(void **state)
{
    static const enum http_framing framings[] = {FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE};

    for (size_t i = 0; i < ARRAY_LEN(framings); i++) {
        struct h1_body body;
        struct slice in = SLICE_NONE, data = SLICE("x");

        h1_body_init(&body, &limits, framings[i], 1);
        assert_int_equal(h1_body_next(&body, &in, &data), OK);
        assert_int_equal(data.len, 0);
        assert_false(body.done);
    }
}

static void
chunk_heads(void **state)
{
    static const struct {
        uint64_t len;
        const char *want;
    } cases[] = {
        {0, "0\r\n"},
        {1, "1\r\n"},
        {15, "f\r\n"},
        {16, "10\r\n"},
        {500, "1f4\r\n"},
        {65520, "fff0\r\n"},
        {1ULL << 60, "1000000000000000\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char buf[H1_CHUNK_HEAD_MAX];
        size_t len = h1_chunk_head(buf, cases[i].len);

        assert_true(slice_is(slice_of(buf, len), cases[i].want));
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_is_read),
        cmocka_unit_test(chunked_is_refused),
        cmocka_unit_test(chunked_stays_refused),
        cmocka_unit_test(chunked_limits),
        cmocka_unit_test(extensions_need_data),
        cmocka_unit_test(length),
        cmocka_unit_test(nothing_and_everything),
        cmocka_unit_test(empty_input),
        cmocka_unit_test(chunk_heads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
