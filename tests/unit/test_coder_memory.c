/* The memory of coders: promised before they begin, bounded over all of them, given back. */
#include "coder_help.h"

#include "base/stats.h"

static struct coder *
coder_of(enum http_coding from, enum http_coding to, int level, uint64_t hint,
         struct coder_memory *memory)
{
    const struct coder_plan plan = {
        .from = from, .to = to, .level = level, .size_hint = hint, .memory = memory};
    struct coder *coder = NULL;

    assert_int_equal(coder_new(&plan, &coder), OK);
    return coder;
}

static const struct pieces by_step = {CODER_STEP_LEN, 32768, 0};

/* All of a body through a coder that never takes more than it was promised: the gauge stands where
 * it stood when it was made. */
static void
keeps_its_promise(enum http_coding coding, int level, uint64_t hint, const struct body *body)
{
    struct coder_memory memory = {0};
    struct coder *coder = coder_of(CODING_IDENTITY, coding, level, hint, &memory);
    uint64_t promised_len = memory.used_len;
    struct slice in = body_slice(body);
    bool done = false;

    while (!done) {
        char out[32768];
        size_t len;

        assert_int_equal(coder_run(coder, &in, CODER_END, out, sizeof(out), &len, &done), OK);
        if (memory.used_len > promised_len)
            fail_msg("%s %d: %zu of %zu", coding_name(coding), level, (size_t)memory.used_len,
                     (size_t)promised_len);
    }
    coder_free(&coder);
    coder_memory_fini(&memory);
    assert_int_equal(memory.used_len, 0);
}

static void
promises(void **state)
{
    static const int last[] = {[CODING_GZIP] = 9, [CODING_BR] = 11, [CODING_ZSTD] = 19};
    static const uint64_t hints[] = {0, 5000, 60000, 1000000};

    (void)state;
    for (int kind = 0; kind < BODY_KINDS; kind++) {
        struct body body = body_make((enum body_kind)kind, 300000);

        for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++)
            for (int level = coding == CODING_BR ? 0 : 1; level <= last[coding]; level++) {
                struct body part = body;

                if (level > (coding == CODING_BR ? 9 : 15))
                    part.len = 70000; /* they are slow */
                keeps_its_promise((enum http_coding)coding, level,
                                  hints[(level + kind) % ARRAY_LEN(hints)], &part);
                keeps_its_promise((enum http_coding)coding, level, 0, &part);
            }
        free(body.ptr);
    }
}

/* Coded with a window of so many bits; zstd without the content's length, which could be less. */
static struct body
encode_wide(enum http_coding coding, int window_log, const struct body *from)
{
    struct body to = body_new(from->len);
    ZSTD_CCtx *zstd;

    if (coding == CODING_BR) {
        assert_true(BrotliEncoderCompress(5, window_log, BROTLI_MODE_GENERIC, from->len,
                                          (const uint8_t *)from->ptr, &to.len, (uint8_t *)to.ptr));
        return to;
    }
    if (coding == CODING_GZIP) {
        free(to.ptr);
        return body_encode(CODING_GZIP, from);
    }
    zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_contentSizeFlag, 0);
    to.len = ZSTD_compress2(zstd, to.ptr, to.len, from->ptr, from->len);
    ZSTD_freeCCtx(zstd);
    to.ptr[5] = (char)((window_log - 10) << 3); /* RFC 8878 section 3.1.1.1.2 */
    return to;
}

/* The most that decoding took. */
static enum err
decode_within(enum http_coding coding, const struct body *coded, uint64_t max_len,
              const struct body *want, uint64_t *out_most)
{
    struct coder_memory memory = {.max_len = max_len};
    const struct coder_plan plan = {.from = coding, .to = CODING_IDENTITY, .memory = &memory};
    struct slice in = body_slice(coded);
    struct coder *coder = NULL;
    enum err rc = coder_new(&plan, &coder);
    bool done = false;

    *out_most = memory.used_len;
    for (size_t at = 0; rc == OK && !done;) {
        char out[32768];
        size_t len;

        rc = coder_run(coder, &in, CODER_END, out, sizeof(out), &len, &done);
        assert_true(at + len <= want->len);
        assert_memory_equal(out, want->ptr + at, len);
        at += len;
        assert_true(!done || at == want->len);
        *out_most = memory.used_len > *out_most ? memory.used_len : *out_most;
    }
    coder_free(&coder);
    assert_int_equal(memory.used_len, 0);
    return rc;
}

/* The windows that coded bytes ask for are reserved when they do, and not before; what is reserved
 * is what the libraries take. */
static void
windows(void **state)
{
    static const struct {
        const char *why;
        enum http_coding coding;
        int window_log;
        uint64_t least, most;
    } cases[] = {
        {"RFC 1951: 32 KB, always", CODING_GZIP, 15, 48 << 10, 48 << 10},
        {"RFC 7932: 64 KB", CODING_BR, 16, 96 << 10, 400 << 10},
        {"RFC 7932: 4 MB", CODING_BR, 22, 4 << 20, 9 << 20},
        {"RFC 8878: 64 KB and blocks of it", CODING_ZSTD, 16, (240 + 3 * 64) << 10,
         (240 + 3 * 64) << 10},
        {"RFC 9659: 8 MB, blocks of 128 KB", CODING_ZSTD, 23, (240 + 8192 + 2 * 128) << 10,
         (240 + 8192 + 2 * 128) << 10},
    };
    struct body body = body_make(BODY_TEXT, 5 << 20);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct body coded = encode_wide(cases[i].coding, cases[i].window_log, &body);
        uint64_t most;

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(decode_within(cases[i].coding, &coded, 0, &body, &most), OK);
        if (most < cases[i].least || most > cases[i].most)
            fail_msg("%zu bytes", (size_t)most);
        assert_int_equal(decode_within(cases[i].coding, &coded, most, &body, &most), OK);
        assert_int_equal(decode_within(cases[i].coding, &coded, most - 1, &body, &most), ERR_LIMIT);
        free(coded.ptr);
    }
    free(body.ptr);
}

/* One coder fits, two do not, and one does when the first has gone. */
static void
refused(void **state)
{
    (void)state;
    for (int from = CODING_IDENTITY; from < CODING_COUNT; from++)
        for (int to = CODING_IDENTITY; to < CODING_COUNT; to++) {
            struct coder_memory memory = {0};
            const struct coder_plan plan = {.from = (enum http_coding)from,
                                            .to = (enum http_coding)to,
                                            .level = 3,
                                            .memory = &memory};
            int64_t before = stats_read(STAT_coder_refused), bytes = stats_read(STAT_coder_bytes);
            struct coder *first, *second = NULL;

            if (from == to)
                continue;
            assert_int_equal(coder_new(&plan, &first), OK);
            memory.max_len = memory.used_len;
            assert_int_equal(stats_read(STAT_coder_bytes) - bytes, memory.used_len);
            assert_int_equal(coder_new(&plan, &second), ERR_LIMIT);
            assert_null(second);
            assert_int_equal(memory.used_len, memory.max_len);
            assert_int_equal(stats_read(STAT_coder_refused) - before, 1);
            coder_free(&first);
            assert_int_equal(coder_new(&plan, &second), OK);
            coder_free(&second);
            for (memory.max_len--; memory.max_len > 0; memory.max_len /= 2)
                assert_int_equal(coder_new(&plan, &second), ERR_LIMIT);
            coder_memory_fini(&memory);
            assert_int_equal(memory.used_len, 0);
            assert_int_equal(stats_read(STAT_coder_bytes), bytes);
        }
}

/* Contexts of zstd that wait are counted, used again, and make room for others. */
static void
idle_contexts(void **state)
{
    struct coder_memory memory = {0};
    struct coder *coders[CODER_IDLE_MAX + 2], *gzip;
    struct body body = body_make(BODY_TEXT, 100000), out = body_new(200000);
    uint64_t kept_len;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(coders); i++) {
        coders[i] = coder_of(CODING_IDENTITY, CODING_ZSTD, 3, 0, &memory);
        out.len = 200000;
        assert_int_equal(run_all(coders[i], body_slice(&body), &by_step, &out), OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(coders); i++)
        coder_free(&coders[i]);
    kept_len = memory.used_len;
    assert_true(kept_len > CODER_IDLE_MAX * (UINT64_C(400) << 10));
    assert_true(kept_len < CODER_IDLE_MAX * (UINT64_C(700) << 10));

    coders[0] = coder_of(CODING_IDENTITY, CODING_ZSTD, 19, 1000, &memory); /* of another kind */
    assert_true(memory.used_len < kept_len + (700 << 10));
    out.len = 200000;
    assert_int_equal(run_all(coders[0], body_slice(&body), &by_step, &out), OK);
    assert_true(decodes_to(CODING_ZSTD, body_slice(&out), &body));
    coder_free(&coders[0]);

    memory.max_len = memory.used_len; /* nothing is free but what waits */
    gzip = coder_of(CODING_IDENTITY, CODING_GZIP, 4, 0, &memory);
    assert_true(memory.used_len <= memory.max_len);
    coder_free(&gzip);
    coder_memory_fini(&memory);
    assert_int_equal(memory.used_len, 0);
    free(out.ptr);
    free(body.ptr);
}

/* A stream that was left in its midst leaves nothing in the next one that has its context. */
static void
used_contexts_are_clean(void **state)
{
    struct coder_memory memory = {0};
    struct body left = body_make(BODY_NOISE, 100000), body = body_make(BODY_TEXT, 5000);
    struct slice in = body_slice(&left);
    struct body out = body_new(20000);
    struct coder *coder = coder_of(CODING_IDENTITY, CODING_ZSTD, 19, 1 << 20, &memory);

    (void)state;
    while (in.len > 0) {
        char buf[32768];
        size_t len;
        bool done;

        assert_int_equal(coder_run(coder, &in, CODER_GO, buf, sizeof(buf), &len, &done), OK);
    }
    coder_free(&coder);
    coder = coder_of(CODING_IDENTITY, CODING_ZSTD, 3, 0, &memory);
    assert_null(memory.idle[0]); /* it has that context */
    assert_int_equal(run_all(coder, body_slice(&body), &by_step, &out), OK);
    assert_true(decodes_to(CODING_ZSTD, body_slice(&out), &body));
    coder_free(&coder);
    coder_memory_fini(&memory);
    assert_int_equal(memory.used_len, 0);
    free(out.ptr);
    free(body.ptr);
    free(left.ptr);
}

/* Each allocation fails once, of those that go through our allocator: a coder is not made, or ends
 * with an error, and nothing is lost. */
static void
allocations_fail(void **state)
{
    struct body body = body_make(BODY_TEXT, 60000);

    (void)state;
    for (int from = CODING_IDENTITY; from < CODING_COUNT; from++)
        for (int to = CODING_IDENTITY; to < CODING_COUNT; to++) {
            struct body coded = body_encode((enum http_coding)from, &body);
            enum err rc = ERR_NOMEM;

            for (unsigned nth = 1; rc != OK && from != to; nth++) {
                struct coder_memory memory = {0};
                const struct coder_plan plan = {.from = (enum http_coding)from,
                                                .to = (enum http_coding)to,
                                                .level = 4,
                                                .memory = &memory};
                struct body out = body_new(200000);
                struct coder *coder = NULL;

                assert_true(nth < 1000);
                mem_fail_at(nth);
                rc = coder_new(&plan, &coder);
                if (rc == OK)
                    rc = run_all(coder, body_slice(&coded), &by_step, &out);
                mem_fail_at(0);
                assert_true(rc == OK || rc == ERR_NOMEM);
                coder_free(&coder);
                coder_memory_fini(&memory);
                assert_int_equal(memory.used_len, 0);
                free(out.ptr);
            }
            free(coded.ptr);
        }
    free(body.ptr);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises),
        cmocka_unit_test(windows),
        cmocka_unit_test(refused),
        cmocka_unit_test(idle_contexts),
        cmocka_unit_test(used_contexts_are_clean),
        cmocka_unit_test(allocations_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
