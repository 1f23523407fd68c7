/* Streams of each coding against the libraries' one-shot functions, cut in every way. */
#include "coder_help.h"

#include "base/stats.h"

static const struct pieces cuts[] = {
    {SIZE_MAX, 65536, 0}, /* one feed */
    {16384, 16384, 0},    /* as the daemon does */
    {16384, 32768, 1},    /* each feed flushed */
    {1, 16384, 0},        /* single bytes in */
    {16384, 1, 0},        /* single bytes out */
    {1, 1, 3},            /* both, with flushes */
    {4099, 8191, 2},
};

static void
encode_one(enum http_coding coding, int level, uint64_t hint, const struct body *body,
           const struct pieces *pieces)
{
    struct coder_memory memory = {.max_len = 64 << 20};
    const struct coder_plan plan = {.from = CODING_IDENTITY,
                                    .to = coding,
                                    .level = level,
                                    .size_hint = hint,
                                    .memory = &memory};
    struct body coded = body_new(body->len * 40 + 8192); /* flushed byte by byte it grows */
    struct coder *coder;

    assert_int_equal(coder_new(&plan, &coder), OK);
    assert_int_equal(run_all(coder, body_slice(body), pieces, &coded), OK);
    if (!decodes_to(coding, body_slice(&coded), body))
        fail_msg("%s at %d, %zu bytes in pieces of %zu, %zu, %u", coding_name(coding), level,
                 body->len, pieces->in, pieces->out, pieces->flush_each);
    coder_free(&coder);
    coder_memory_fini(&memory);
    assert_int_equal(memory.used_len, 0);
    free(coded.ptr);
}

/* RFC 1952, RFC 7932, RFC 8878: what is encoded, however cut, decodes to what went in. */
static void
encodes(void **state)
{
    static const struct {
        enum http_coding coding;
        int levels[4];
    } codings[] = {
        {CODING_GZIP, {1, 4, 6, 9}},
        {CODING_BR, {0, 3, 5, 9}},
        {CODING_ZSTD, {1, 3, 7, 19}},
    };
    static const size_t lens[] = {0, 1, 100, 5000, 40000};

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(codings); c++)
        for (size_t l = 0; l < ARRAY_LEN(codings[c].levels); l++)
            for (int kind = 0; kind < BODY_KINDS; kind++)
                for (size_t n = 0; n < ARRAY_LEN(lens); n++) {
                    struct body body = body_make((enum body_kind)kind, lens[n]);
                    size_t p = lens[n] > 10000 ? l % 3 : (l + n + (size_t)kind) % ARRAY_LEN(cuts);

                    encode_one(codings[c].coding, codings[c].levels[l], body.len, &body, &cuts[p]);
                    free(body.ptr);
                }
}

/* Each way of cutting, at the quick levels, with hints that are right, unknown and wrong. */
static void
encodes_in_pieces(void **state)
{
    static const int levels[] = {[CODING_GZIP] = 4, [CODING_BR] = 4, [CODING_ZSTD] = 3};
    struct body body = body_make(BODY_TEXT, 20000);
    static const uint64_t hints[] = {20000, 0, 10, UINT64_C(1) << 40};

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++)
        for (size_t p = 0; p < ARRAY_LEN(cuts); p++)
            for (size_t h = 0; h < ARRAY_LEN(hints); h++)
                encode_one((enum http_coding)coding, levels[coding], hints[h], &body, &cuts[p]);
    free(body.ptr);
}

/* --- flushes --- */

/* RFC 1951 section 2.3, RFC 7932 section 9.2, RFC 8878 section 3.1.1.2: after a flush the peer
 * has all that went in. */
static void
flushes_reach_the_peer(void **state)
{
    static const int levels[] = {[CODING_GZIP] = 4, [CODING_BR] = 4, [CODING_ZSTD] = 3};

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        struct coder_memory memory = {0};
        const struct coder_plan plan = {.from = CODING_IDENTITY,
                                        .to = (enum http_coding)coding,
                                        .level = levels[coding],
                                        .memory = &memory};
        const struct coder_plan back = {
            .from = (enum http_coding)coding, .to = CODING_IDENTITY, .memory = &memory};
        struct coder *there, *peer;

        print_message("case: %s\n", coding_name((enum http_coding)coding));
        assert_int_equal(coder_new(&plan, &there), OK);
        assert_int_equal(coder_new(&back, &peer), OK);
        for (unsigned event = 0; event < 20; event++) {
            struct slice in = SLICE("data: something happened\n\n"), coded;
            char wire[256], text[256];
            size_t len, n, got = 0;
            bool done;

            for (size_t want = in.len; want > 0; want = 0) {
                assert_int_equal(
                    coder_run(there, &in, CODER_FLUSH, wire, sizeof(wire), &len, &done), OK);
                assert_true(done && in.len == 0 && len > 0);
                coded = slice_of(wire, len);
                do {
                    assert_int_equal(coder_run(peer, &coded, CODER_FLUSH, text + got,
                                               sizeof(text) - got, &n, &done),
                                     OK);
                    got += n;
                } while (!done);
                assert_int_equal(got, want);
                assert_memory_equal(text, "data: something happened\n\n", want);
            }
            /* a second flush of nothing writes nothing */
            assert_int_equal(coder_run(there, &in, CODER_FLUSH, wire, sizeof(wire), &len, &done),
                             OK);
            assert_true(done && len == 0);
        }
        coder_free(&peer);
        coder_free(&there);
        coder_memory_fini(&memory);
        assert_int_equal(memory.used_len, 0);
    }
}

/* A few bytes may stand for many: a flush is not done before the last of them is out. */
static void
flushes_of_dense_bodies_reach_the_peer(void **state)
{
    struct body text = body_make(BODY_ZEROS, 50000);

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        struct coder_memory memory = {0};
        const struct coder_plan plan = {
            .from = CODING_IDENTITY, .to = (enum http_coding)coding, .level = 4, .memory = &memory};
        const struct coder_plan back = {
            .from = (enum http_coding)coding, .to = CODING_IDENTITY, .memory = &memory};
        struct coder *there, *peer;
        struct slice in = body_slice(&text), coded;
        char wire[4096], out[1000];
        size_t len = 0, n, got = 0;
        bool done = false;

        print_message("case: %s\n", coding_name((enum http_coding)coding));
        assert_int_equal(coder_new(&plan, &there), OK);
        assert_int_equal(coder_new(&back, &peer), OK);
        while (!done) {
            assert_int_equal(
                coder_run(there, &in, CODER_FLUSH, wire + len, sizeof(wire) - len, &n, &done), OK);
            len += n;
        }
        coded = slice_of(wire, len);
        for (done = false; !done; got += n)
            assert_int_equal(coder_run(peer, &coded, CODER_FLUSH, out, sizeof(out), &n, &done), OK);
        assert_int_equal(got, text.len);
        coder_free(&peer);
        coder_free(&there);
        coder_memory_fini(&memory);
    }
    free(text.ptr);
}

/* A flush that had no room goes on as the end, or as if nobody waited. */
static void
flushes_are_given_up(void **state)
{
    static const int levels[] = {[CODING_GZIP] = 4, [CODING_BR] = 4, [CODING_ZSTD] = 3};
    struct body body = body_make(BODY_TEXT, 3000);

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++)
        for (int from = CODING_IDENTITY; from < CODING_COUNT; from++)
            for (int next = CODER_GO; next <= CODER_END; next += CODER_END - CODER_GO) {
                struct coder_memory memory = {0};
                const struct coder_plan plan = {.from = (enum http_coding)from,
                                                .to = (enum http_coding)coding,
                                                .level = levels[coding],
                                                .memory = &memory};
                struct body source = body_encode((enum http_coding)from, &body);
                struct slice in = body_slice(&source);
                struct body coded = body_new(16384);
                struct coder *coder;
                size_t at = 0, n;
                bool done;

                if (from == coding) {
                    free(source.ptr);
                    free(coded.ptr);
                    continue;
                }
                assert_int_equal(coder_new(&plan, &coder), OK);
                do {
                    assert_int_equal(
                        coder_run(coder, &in, CODER_FLUSH, coded.ptr + at, 1, &n, &done), OK);
                    at += n;
                } while (in.len > 0 || n == 0);
                assert_false(done);
                if (next == CODER_GO) {
                    assert_int_equal(coder_run(coder, &in, CODER_GO, coded.ptr + at, 2, &n, &done),
                                     OK);
                    at += n;
                }
                do {
                    assert_int_equal(
                        coder_run(coder, &in, CODER_END, coded.ptr + at, 100, &n, &done), OK);
                    at += n;
                } while (!done);
                assert_true(decodes_to((enum http_coding)coding, slice_of(coded.ptr, at), &body));
                assert_int_equal(coder_run(coder, &in, CODER_END, coded.ptr + at, 100, &n, &done),
                                 OK);
                assert_true(done && n == 0); /* the end is written once */
                coder_free(&coder);
                coder_memory_fini(&memory);
                free(coded.ptr);
                free(source.ptr);
            }
    free(body.ptr);
}

/* The end that comes while a flush has no room is judged as one: what is cut is not made whole. */
static void
cut_behind_a_flush(void **state)
{
    static const struct coder_bound any = {0, 0};
    struct body body = body_make(BODY_TEXT, 3000);

    (void)state;
    for (int from = CODING_GZIP; from < CODING_COUNT; from++) {
        const struct coder_plan plan = {.from = (enum http_coding)from,
                                        .to = from == CODING_GZIP ? CODING_ZSTD : CODING_GZIP,
                                        .level = 3,
                                        .bound = any};
        struct body coded = body_encode((enum http_coding)from, &body);
        struct slice in = slice_first(body_slice(&coded), coded.len - 1);
        char out[16384];
        struct coder *coder;
        enum err rc;
        size_t len;
        bool done;

        print_message("case: %s\n", coding_name((enum http_coding)from));
        assert_int_equal(coder_new(&plan, &coder), OK);
        do
            assert_int_equal(coder_run(coder, &in, CODER_FLUSH, out, 1, &len, &done), OK);
        while (in.len > 0 || len == 0);
        do
            rc = coder_run(coder, &in, CODER_END, out, sizeof(out), &len, &done);
        while (rc == OK && !done);
        assert_int_equal(rc, ERR_CODING);
        coder_free(&coder);
        free(coded.ptr);
    }
    free(body.ptr);
}

/* Calls with which nothing can be done do no harm, however many. */
static void
idle_calls(void **state)
{
    enum { CALLS = 100 };
    struct body body = body_make(BODY_TEXT, 30000);

    (void)state;
    for (int from = CODING_IDENTITY; from < CODING_COUNT; from++)
        for (int to = CODING_IDENTITY; to < CODING_COUNT; to++) {
            const struct coder_plan plan = {
                .from = (enum http_coding)from, .to = (enum http_coding)to, .level = 3};
            struct body source = body_encode((enum http_coding)from, &body);
            struct slice halves[] = {slice_first(body_slice(&source), source.len / 2),
                                     slice_skip(body_slice(&source), source.len / 2)};
            struct body out = body_new(60000);
            struct coder *coder = NULL;
            size_t at = 0, len;
            bool done = from == to;

            if (from != to)
                assert_int_equal(coder_new(&plan, &coder), OK);
            for (unsigned i = 0; i < CALLS && from != to; i++, at += len)
                assert_int_equal(
                    coder_run(coder, &halves[0], CODER_GO, out.ptr + at, 16384, &len, &done), OK);
            for (; !done; at += len)
                assert_int_equal(
                    coder_run(coder, &halves[1], CODER_END, out.ptr + at, 16384, &len, &done), OK);
            if (from != to)
                assert_true(decodes_to((enum http_coding)to, slice_of(out.ptr, at), &body));
            coder_free(&coder);
            free(out.ptr);
            free(source.ptr);
        }
    free(body.ptr);
}

/* RFC 1952 section 2.3.1: no time stamp, so the same body is the same bytes. */
static void
same_input_same_bytes(void **state)
{
    struct body body = body_make(BODY_TEXT, 50000), first = body_new(60000);

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        const struct coder_plan plan = {
            .from = CODING_IDENTITY, .to = (enum http_coding)coding, .level = 4};

        for (unsigned i = 0; i < 2; i++) {
            struct body again = body_new(60000);
            struct coder *coder;

            assert_int_equal(coder_new(&plan, &coder), OK);
            assert_int_equal(run_all(coder, body_slice(&body), &cuts[1], &again), OK);
            coder_free(&coder);
            if (i == 0) {
                memcpy(first.ptr, again.ptr, again.len);
                first.len = again.len;
            }
            assert_int_equal(first.len, again.len);
            assert_memory_equal(first.ptr, again.ptr, again.len);
            if (coding == CODING_GZIP)
                assert_memory_equal(again.ptr + 4, "\0\0\0\0", 4);
            free(again.ptr);
        }
    }
    free(first.ptr);
    free(body.ptr);
}

/* --- decoding --- */

static enum err
decode(enum http_coding from, enum http_coding to, struct slice coded,
       const struct coder_bound *bound, const struct pieces *pieces, struct body *out)
{
    struct coder_memory memory = {0};
    const struct coder_plan plan = {
        .from = from, .to = to, .level = 3, .bound = *bound, .memory = &memory};
    struct coder *coder;
    enum err rc;

    assert_int_equal(coder_new(&plan, &coder), OK);
    rc = run_all(coder, coded, pieces, out);
    if (rc != OK) { /* and stays so */
        struct slice none = SLICE_NONE;
        size_t len;
        char byte;
        bool done;

        assert_int_equal(coder_run(coder, &none, CODER_END, &byte, 1, &len, &done), rc);
        assert_int_equal(len, 0);
        assert_false(done);
    }
    coder_free(&coder);
    coder_memory_fini(&memory);
    assert_int_equal(memory.used_len, 0);
    return rc;
}

static const struct coder_bound any_ratio = {0, 0};

static void
decodes_and_translates(void **state)
{
    static const size_t lens[] = {0, 1, 3000, 40000};

    (void)state;
    for (int from = CODING_GZIP; from < CODING_COUNT; from++)
        for (int to = CODING_IDENTITY; to < CODING_COUNT; to++)
            for (int kind = 0; kind < BODY_KINDS; kind++)
                for (size_t n = 0; n < ARRAY_LEN(lens); n++)
                    for (size_t p = 0; p < ARRAY_LEN(cuts) && from != to; p++) {
                        struct body body, coded, out;

                        if (lens[n] > 10000 && cuts[p].in + cuts[p].out < 8192)
                            continue;
                        body = body_make((enum body_kind)kind, lens[n]);
                        coded = body_encode((enum http_coding)from, &body);
                        out = body_new(body.len * 40 + 8192);
                        assert_int_equal(decode((enum http_coding)from, (enum http_coding)to,
                                                body_slice(&coded), &any_ratio, &cuts[p], &out),
                                         OK);
                        assert_true(decodes_to((enum http_coding)to, body_slice(&out), &body));
                        free(out.ptr);
                        free(coded.ptr);
                        free(body.ptr);
                    }
}

/* Several coded bodies one behind the other, or bytes of ours, as one. */
static struct body
join(struct slice a, struct slice b)
{
    struct body joined = body_new(a.len + b.len);

    memcpy(joined.ptr, a.ptr, a.len);
    if (b.len > 0)
        memcpy(joined.ptr + a.len, b.ptr, b.len);
    return joined;
}

static void
check_whole(enum http_coding coding, struct slice coded, enum err want, const char *want_text)
{
    for (size_t p = 0; p < ARRAY_LEN(cuts); p++) {
        struct body out = body_new(4096);

        assert_int_equal(decode(coding, CODING_IDENTITY, coded, &any_ratio, &cuts[p], &out), want);
        if (want == OK)
            assert_true(slice_is(body_slice(&out), want_text));
        free(out.ptr);
    }
}

#define SKIPPED "\x5a\x2a\x4d\x18\x05\0\0\0hello" /* RFC 8878 section 3.1.2 */

static void
what_follows_the_end(void **state)
{
    static const struct {
        const char *why;
        enum http_coding coding;
        bool again;        /* the coded text a second time */
        struct slice tail; /* behind it */
        enum err want;
    } cases[] = {
        {"RFC 1952 section 2.2: several members", CODING_GZIP, true, {"", 0}, OK},
        {"RFC 1952: garbage", CODING_GZIP, false, SLICE("x"), ERR_CODING},
        {"RFC 1952: zeros", CODING_GZIP, false, SLICE("\0\0"), ERR_CODING},
        {"RFC 1952: half a member", CODING_GZIP, false, SLICE("\x1f\x8b\x08"), ERR_CODING},
        {"RFC 7932: one stream only", CODING_BR, true, {"", 0}, ERR_CODING},
        {"RFC 7932: garbage", CODING_BR, false, SLICE("\0"), ERR_CODING},
        {"RFC 8878 section 3.1: several frames", CODING_ZSTD, true, {"", 0}, OK},
        {"section 3.1.2: a skippable frame", CODING_ZSTD, false, SLICE(SKIPPED), OK},
        {"section 3.1.2: two of them", CODING_ZSTD, true, SLICE(SKIPPED SKIPPED), OK},
        {"section 3.1.2: one without content", CODING_ZSTD, false,
         SLICE("\x50\x2a\x4d\x18\0\0\0\0"), OK},
        {"section 3.1.2: half a one", CODING_ZSTD, false, SLICE("\x5f\x2a\x4d\x18\x06\0\0\0hello"),
         ERR_CODING},
        {"section 3.1.1: half a header", CODING_ZSTD, false, SLICE("\x28\xb5\x2f\xfd"), ERR_CODING},
        {"garbage", CODING_ZSTD, false, SLICE("garbage, of some length"), ERR_CODING},
        {"a byte of garbage", CODING_ZSTD, false, SLICE("x"), ERR_CODING},
        {"a frame of the time before RFC 8878", CODING_ZSTD, false,
         SLICE("\x27\xb5\x2f\xfd\x00\x00\x00\x00\x00\x00\x00\x00"), ERR_CODING},
    };
    struct body text = {(char *)(uintptr_t) "hello, hello, hello\n", 20};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct body coded = body_encode(cases[i].coding, &text);
        struct body twice =
            join(body_slice(&coded), cases[i].again ? body_slice(&coded) : SLICE_NONE);
        struct body whole = join(body_slice(&twice), cases[i].tail);

        print_message("case: %s\n", cases[i].why);
        check_whole(cases[i].coding, body_slice(&whole), cases[i].want,
                    cases[i].again ? "hello, hello, hello\nhello, hello, hello\n"
                                   : "hello, hello, hello\n");
        free(whole.ptr);
        free(twice.ptr);
        free(coded.ptr);
    }
    check_whole(CODING_ZSTD, SLICE(SKIPPED), OK, ""); /* nothing but a skippable one */
}

/* Every way of ending too early, and every bit that is wrong: never more than what was encoded,
 * never as if it were whole. */
static void
cut_and_damaged(void **state)
{
    struct body text = body_make(BODY_TEXT, 500);

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        struct body coded = body_encode((enum http_coding)coding, &text);

        for (size_t len = 0; len < coded.len; len++) {
            struct body out = body_new(4096);

            assert_int_equal(decode((enum http_coding)coding, CODING_IDENTITY,
                                    slice_of(coded.ptr, len), &any_ratio, &cuts[len % 3], &out),
                             ERR_CODING);
            free(out.ptr);
        }
        for (size_t bit = 0; bit < coded.len * 8; bit++) {
            static const struct coder_bound bound = {4096, 10};
            struct body out = body_new(16384);
            enum err rc;

            coded.ptr[bit / 8] = (char)(coded.ptr[bit / 8] ^ 1 << bit % 8);
            rc = decode((enum http_coding)coding, CODING_IDENTITY, body_slice(&coded), &bound,
                        &cuts[bit % 3], &out);
            assert_true(rc == OK || rc == ERR_CODING || rc == ERR_CODING_BOMB);
            if (coding == CODING_GZIP && rc == OK) { /* its sum is of the text, not of the head */
                assert_int_equal(out.len, text.len);
                assert_memory_equal(out.ptr, text.ptr, text.len);
            }
            coded.ptr[bit / 8] = (char)(coded.ptr[bit / 8] ^ 1 << bit % 8);
            free(out.ptr);
        }
        free(coded.ptr);
    }
    free(text.ptr);
}

static void
malformed(void **state)
{
    static const struct {
        const char *why;
        enum http_coding coding;
        struct slice coded;
    } cases[] = {
        {"nothing", CODING_GZIP, {"", 0}},
        {"nothing", CODING_BR, {"", 0}},
        {"nothing", CODING_ZSTD, {"", 0}},
        {"RFC 1952 section 2.3.1: another magic number", CODING_GZIP, SLICE("plain text")},
        {"RFC 1950: zlib's format is deflate's, not gzip's", CODING_GZIP,
         SLICE("\x78\x9c\x03\x00\x00\x00\x00\x01")},
        {"RFC 1952 section 2.3.1: an unknown method", CODING_GZIP,
         SLICE("\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x03\x03\x00")},
        {"RFC 7932 section 9.1: the large window of no RFC", CODING_BR,
         SLICE("\x11\x9e\x00\x00\x06")},
        {"RFC 8878 section 3.1.1.1.1: a reserved bit", CODING_ZSTD,
         SLICE("\x28\xb5\x2f\xfd\x08\x58\x01\x00\x00")},
        {"section 3.1.1.1.3: a dictionary", CODING_ZSTD,
         SLICE("\x28\xb5\x2f\xfd\x01\x58\x07\x01\x00\x00")},
        {"RFC 9659 section 3: a window of 9 MB", CODING_ZSTD,
         SLICE("\x28\xb5\x2f\xfd\x00\x69\x01\x00\x00")},
        {"RFC 9659: a window of 16 EB", CODING_ZSTD, SLICE("\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00")},
        {"RFC 9659: one segment longer than 8 MB", CODING_ZSTD,
         SLICE("\x28\xb5\x2f\xfd\xa0\x01\x00\x80\x00\x01\x00\x00")},
        {"RFC 9659: one segment of 16 EB", CODING_ZSTD,
         SLICE("\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00")},
        {"RFC 8878 section 3.1.1.1.4: less than was said", CODING_ZSTD,
         SLICE("\x28\xb5\x2f\xfd\x20\x01\x01\x00\x00")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        check_whole(cases[i].coding, cases[i].coded, ERR_CODING, NULL);
    }
    /* RFC 8878: those just right: a window of 8 MB, no content, one segment of 8 MB */
    check_whole(CODING_ZSTD, SLICE("\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00"), OK, "");
    check_whole(CODING_ZSTD, SLICE("\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00"), OK, "");
    check_whole(CODING_ZSTD, SLICE("\x28\xb5\x2f\xfd\x20\x03\x19\x00\x00hey"), OK, "hey");
    check_whole(CODING_ZSTD, SLICE("\x28\xb5\x2f\xfd\x21\x00\x03\x19\x00\x00hey"), OK, "hey");
    check_whole(CODING_ZSTD, SLICE("\x28\xb5\x2f\xfd\x80\x00\x03\x00\x00\x00\x19\x00\x00hey"), OK,
                "hey");
}

/* --- the bound --- */

/* A body of `len` zeros within its bound, at its edge, and one byte beyond. */
static void
bounds(void **state)
{
    static const struct {
        const char *why;
        size_t len;
        uint64_t free_len; /* 0: the ratio decides */
        int over;          /* of the bound: 0 at the edge, 1 past it */
        enum err want;
    } cases[] = {
        {"free at the edge", 100000, 100000, 0, OK},
        {"free, a byte too long", 100000, 99999, 0, ERR_CODING_BOMB},
        {"the ratio far off", 100000, 0, 1000, ERR_CODING_BOMB},
        {"no bound", 100000, 0, -1, OK},
    };

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++)
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct body body = body_make(BODY_ZEROS, cases[i].len);
            struct body coded = body_encode((enum http_coding)coding, &body);
            const struct coder_bound bound = {cases[i].free_len, cases[i].over == -1 ? 0 : 2};

            print_message("case: %s, %s\n", coding_name((enum http_coding)coding), cases[i].why);
            for (size_t p = 0; p < ARRAY_LEN(cuts); p++) {
                struct body out = body_new(200000);

                assert_int_equal(decode((enum http_coding)coding, CODING_IDENTITY,
                                        body_slice(&coded), &bound, &cuts[p], &out),
                                 cases[i].want);
                assert_true(out.len <= cases[i].free_len || cases[i].want == OK ||
                            out.len <= bound.ratio * coded.len);
                free(out.ptr);
            }
            free(coded.ptr);
            free(body.ptr);
        }
}

/* A body that is twice as long as its coded form: what cannot be compressed, then zeros. */
static struct body
body_of_two(enum http_coding coding, struct body *out_coded)
{
    enum { NOISE_LEN = 500, TRIES_MAX = 50 };
    struct body body = body_make(BODY_ZEROS, 4 * NOISE_LEN),
                noise = body_make(BODY_NOISE, NOISE_LEN);

    memcpy(body.ptr, noise.ptr, noise.len);
    free(noise.ptr);
    body.len = 2 * NOISE_LEN;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        *out_coded = body_encode(coding, &body);
        if (body.len == 2 * out_coded->len)
            return body;
        body.len = 2 * out_coded->len;
        free(out_coded->ptr);
    }
    fail_msg("%s: no such length", coding_name(coding));
    return body;
}

/* With all coded bytes taken in by the first call the ratio has one edge. */
static void
ratio_at_its_edge(void **state)
{
    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        struct body coded, body = body_of_two((enum http_coding)coding, &coded);

        for (unsigned ratio = 1; ratio <= 2; ratio++) {
            struct body out = body_new(body.len + 1);

            print_message("case: %s, %u\n", coding_name((enum http_coding)coding), ratio);
            assert_int_equal(decode((enum http_coding)coding, CODING_IDENTITY, body_slice(&coded),
                                    &(struct coder_bound){0, ratio}, &cuts[0], &out),
                             ratio == 2 ? OK : ERR_CODING_BOMB);
            assert_int_equal(out.len, ratio == 2 ? body.len : 0);
            free(out.ptr);
        }
        free(coded.ptr);
        free(body.ptr);
    }
}

/* The bound holds before the encoder behind sees anything. */
static void
bombs_are_not_translated(void **state)
{
    struct body zeros = body_make(BODY_ZEROS, 8 << 20);

    (void)state;
    for (int from = CODING_GZIP; from < CODING_COUNT; from++) {
        struct body coded = body_encode((enum http_coding)from, &zeros);
        struct body out = body_new(1 << 20);

        assert_int_equal(decode((enum http_coding)from,
                                from == CODING_GZIP ? CODING_BR : CODING_GZIP, body_slice(&coded),
                                &(struct coder_bound){1 << 20, 50}, &cuts[1], &out),
                         ERR_CODING_BOMB);
        assert_true(out.len < 10000);
        free(out.ptr);
        free(coded.ptr);
    }
    free(zeros.ptr);
}

/* One call for the first 4 KB of a body whose length is known. */
static enum err
first_call(enum http_coding coding, const struct body *coded, const struct coder_bound *bound,
           uint64_t *out_memory_len)
{
    struct coder_memory memory = {0};
    const struct coder_plan plan = {.from = coding,
                                    .to = CODING_IDENTITY,
                                    .size_hint = coded->len,
                                    .bound = *bound,
                                    .memory = &memory};
    struct slice in = slice_first(body_slice(coded), 4096);
    struct coder *coder;
    char out[16384];
    size_t len;
    bool done;
    enum err rc;

    assert_int_equal(coder_new(&plan, &coder), OK);
    rc = coder_run(coder, &in, CODER_GO, out, sizeof(out), &len, &done);
    *out_memory_len = memory.used_len;
    coder_free(&coder);
    return rc;
}

/* What its head gives away is not decoded first. */
static void
bombs_that_say_so(void **state)
{
    struct body zeros = body_make(BODY_ZEROS, 12 << 20);
    uint64_t memory_len;

    (void)state;
    for (int coding = CODING_BR; coding <= CODING_ZSTD; coding++) {
        struct body coded = body_encode((enum http_coding)coding, &zeros);
        struct coder_bound bound = {1 << 20, 10};

        assert_int_equal(first_call((enum http_coding)coding, &coded, &bound, &memory_len),
                         ERR_CODING_BOMB);
        assert_true(memory_len < 1 << 20);
        bound.free_len = zeros.len - 1;
        if (coding == CODING_ZSTD) /* says it to the byte */
            assert_int_equal(first_call((enum http_coding)coding, &coded, &bound, &memory_len),
                             ERR_CODING_BOMB);
        bound.free_len = zeros.len;
        assert_int_equal(first_call((enum http_coding)coding, &coded, &bound, &memory_len), OK);
        free(coded.ptr);
    }
    free(zeros.ptr);
}

/* And no other body is taken for one: just within its bound, whatever window it has. */
static void
long_bodies_are_no_bombs(void **state)
{
    static const size_t lens[] = {(1 << 20) + 1, (2 << 20) + 1};

    (void)state;
    for (int coding = CODING_BR; coding <= CODING_ZSTD; coding++)
        for (size_t n = 0; n < ARRAY_LEN(lens); n++)
            for (int kind = BODY_TEXT; kind <= BODY_ZEROS; kind++) {
                struct body body = body_make((enum body_kind)kind, lens[n]);
                struct body coded = body_encode((enum http_coding)coding, &body);
                const struct coder_bound bound = {body.len, 1};
                struct body out = body_new(body.len);

                assert_int_equal(coder_unpack((enum http_coding)coding, body_slice(&coded), &bound,
                                              NULL, out.ptr, out.len, &out.len),
                                 OK);
                assert_int_equal(out.len, body.len);
                free(out.ptr);
                free(coded.ptr);
                free(body.ptr);
            }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes),
        cmocka_unit_test(encodes_in_pieces),
        cmocka_unit_test(flushes_reach_the_peer),
        cmocka_unit_test(flushes_of_dense_bodies_reach_the_peer),
        cmocka_unit_test(flushes_are_given_up),
        cmocka_unit_test(cut_behind_a_flush),
        cmocka_unit_test(idle_calls),
        cmocka_unit_test(same_input_same_bytes),
        cmocka_unit_test(decodes_and_translates),
        cmocka_unit_test(what_follows_the_end),
        cmocka_unit_test(cut_and_damaged),
        cmocka_unit_test(malformed),
        cmocka_unit_test(bounds),
        cmocka_unit_test(ratio_at_its_edge),
        cmocka_unit_test(bombs_are_not_translated),
        cmocka_unit_test(bombs_that_say_so),
        cmocka_unit_test(long_bodies_are_no_bombs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
