/* Whole bodies, coded and decoded at once. */
#include "coder_help.h"

#include <pthread.h>

static enum err
pack(enum http_coding coding, int level, const struct body *body, const atomic_bool *stop,
     struct body *out)
{
    const struct coder_pack how = {.coding = coding,
                                   .level = level,
                                   .in = body_slice(body),
                                   .out = out->ptr,
                                   .out_cap = out->len,
                                   .stop = stop};

    return coder_pack(&how, &out->len);
}

static enum err
unpack(enum http_coding coding, const struct body *coded, struct body *out)
{
    static const struct coder_bound any_ratio = {0, 0};

    return coder_unpack(coding, body_slice(coded), &any_ratio, NULL, out->ptr, out->len, &out->len);
}

/* Every coding and level, with just enough room and with one byte less, and back again. */
static void
there_and_back(void **state)
{
    static const struct {
        enum http_coding coding;
        int level;
        size_t slow_len; /* longer ones are left out */
    } cases[] = {
        {CODING_GZIP, 1, 0}, {CODING_GZIP, 9, 0},  {CODING_GZIP, 10, 0}, {CODING_GZIP, 12, 0},
        {CODING_BR, 0, 0},   {CODING_BR, 5, 0},    {CODING_BR, 9, 0},    {CODING_BR, 11, 30000},
        {CODING_ZSTD, 1, 0}, {CODING_ZSTD, 12, 0}, {CODING_ZSTD, 19, 0},
    };
    static const size_t lens[] = {0, 1, 1000, 65536, 150000};

    (void)state;
    for (size_t c = 0; c < ARRAY_LEN(cases); c++)
        for (int kind = 0; kind < BODY_KINDS; kind++)
            for (size_t n = 0; n < ARRAY_LEN(lens); n++) {
                struct body body = body_make((enum body_kind)kind, lens[n]);
                struct body coded = body_new(body.len + body.len / 8 + 1024);
                struct body back = body_new(body.len), over = body_new(coded.len);
                size_t len;

                if (cases[c].slow_len > 0 && body.len > cases[c].slow_len)
                    body.len = cases[c].slow_len;
                assert_int_equal(pack(cases[c].coding, cases[c].level, &body, NULL, &coded), OK);
                if (!decodes_to(cases[c].coding, body_slice(&coded), &body))
                    fail_msg("%s at %d: %zu bytes", coding_name(cases[c].coding), cases[c].level,
                             body.len);
                assert_int_equal(unpack(cases[c].coding, &coded, &back), OK);
                assert_int_equal(back.len, body.len);
                assert_memory_equal(back.ptr, body.ptr, body.len);
                if (body.len > 0) {
                    back.len = body.len - 1;
                    assert_int_equal(unpack(cases[c].coding, &coded, &back), ERR_LIMIT);
                }
                len = coded.len; /* libdeflate wants some bytes more than it uses */
                over.len = len - 1;
                assert_int_equal(pack(cases[c].coding, cases[c].level, &body, NULL, &over),
                                 ERR_LIMIT);
                over.len = len + 16;
                assert_int_equal(pack(cases[c].coding, cases[c].level, &body, NULL, &over), OK);
                assert_int_equal(over.len, len);
                assert_memory_equal(over.ptr, coded.ptr, len); /* the same each time */
                free(over.ptr);
                free(back.ptr);
                free(coded.ptr);
                free(body.ptr);
            }
}

/* What does not pay ends early, for whatever room there is. */
static void
no_room(void **state)
{
    struct body noise = body_make(BODY_NOISE, 300000), out = body_new(300000);

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++)
        for (size_t room = 0; room < 300000; room = room * 7 + 1) {
            out.len = room;
            assert_int_equal(pack((enum http_coding)coding, 9, &noise, NULL, &out), ERR_LIMIT);
            assert_int_equal(out.len, room); /* untouched */
        }
    free(out.ptr);
    free(noise.ptr);
}

/* RFC 9659 section 3: no window beyond 8 MB, however long the body. RFC 7932 section 9.1: the
 * window fits the body. RFC 1952 section 2.3.1: who made it. */
static void
heads(void **state)
{
    enum { GZIP_OS = 9, OS_UNIX = 3, OS_UNKNOWN = 255 };
    struct body body = body_make(BODY_ZEROS, (8 << 20) + 1), out = body_new(1 << 20);
    struct body text = body_make(BODY_TEXT, CODER_ONE_STEP_MAX + 1), coded = body_new(4 << 20);

    (void)state;
    assert_int_equal(pack(CODING_ZSTD, 19, &body, NULL, &out), OK);
    assert_memory_equal(out.ptr, "\x28\xb5\x2f\xfd\x80\x68\x01\x00\x80\x00", 10);
    out.len = 1 << 20;
    body.len--;
    assert_int_equal(pack(CODING_ZSTD, 19, &body, NULL, &out), OK);
    assert_memory_equal(out.ptr, "\x28\xb5\x2f\xfd\xa0\x00\x00\x80\x00", 9); /* one segment */

    body.len = 1000; /* 2^10 less 16 holds it: 0100001 */
    out.len = 1 << 20;
    assert_int_equal(pack(CODING_BR, 11, &body, NULL, &out), OK);
    assert_int_equal(out.ptr[0] & 0x7f, 0x21);

    assert_int_equal(pack(CODING_GZIP, 12, &text, NULL, &coded), OK); /* too long for libdeflate */
    assert_int_equal((unsigned char)coded.ptr[GZIP_OS], OS_UNIX);
    assert_true(decodes_to(CODING_GZIP, body_slice(&coded), &text));
    coded.len = 4 << 20;
    text.len = CODER_ONE_STEP_MAX / 8;
    assert_int_equal(pack(CODING_GZIP, 12, &text, NULL, &coded), OK);
    assert_int_equal((unsigned char)coded.ptr[GZIP_OS], OS_UNKNOWN);
    assert_memory_equal(coded.ptr + 4, "\0\0\0\0", 4); /* no time */
    free(coded.ptr);
    free(text.ptr);
    free(out.ptr);
    free(body.ptr);
}

/* --- the stop flag --- */

static void
stopped_before(void **state)
{
    static const int levels[] = {9, 12};
    const atomic_bool stop = true;
    struct body body = body_make(BODY_TEXT, 1000), out = body_new(4096);
    struct coder_bound bound = {0};

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        struct body coded = body_encode((enum http_coding)coding, &body);

        for (size_t i = 0; i < ARRAY_LEN(levels); i++)
            if (coding == CODING_GZIP || levels[i] == 9)
                assert_int_equal(pack((enum http_coding)coding, levels[i], &body, &stop, &out),
                                 ERR_CANCELLED);
        assert_int_equal(coder_unpack((enum http_coding)coding, body_slice(&coded), &bound, &stop,
                                      out.ptr, out.len, &out.len),
                         ERR_CANCELLED);
        assert_int_equal(out.len, 4096); /* untouched */
        free(coded.ptr);
    }
    free(out.ptr);
    free(body.ptr);
}

struct job {
    enum http_coding coding;
    int level;
    struct body body;
    atomic_bool started, stop;
    enum err rc;
};

static void *
work(void *arg)
{
    struct job *job = arg;
    struct body out = body_new(job->body.len * 2);

    atomic_store(&job->started, true);
    job->rc = pack(job->coding, job->level, &job->body, &job->stop, &out);
    free(out.ptr);
    return NULL;
}

/* A body that would take seconds is left in the midst. */
static void
stopped_at_work(void **state)
{
    struct job jobs[] = {{.coding = CODING_BR, .level = 11}, {.coding = CODING_ZSTD, .level = 19}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        pthread_t thread;

        jobs[i].body = body_make(BODY_TEXT, 6 << 20);
        assert_int_equal(pthread_create(&thread, NULL, work, &jobs[i]), 0);
        while (!atomic_load(&jobs[i].started))
            ;
        atomic_store(&jobs[i].stop, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(jobs[i].rc, ERR_CANCELLED);
        free(jobs[i].body.ptr);
    }
}

/* --- decoding --- */

static void
unpack_errors(void **state)
{
    struct body zeros = body_make(BODY_ZEROS, 1 << 20), out = body_new(1 << 20);

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        struct body coded = body_encode((enum http_coding)coding, &zeros);
        struct slice whole = body_slice(&coded);
        struct body tail = body_new(coded.len + 1);
        const struct {
            const char *why;
            struct slice coded;
            struct coder_bound bound;
            size_t out_cap;
            enum err want;
        } cases[] = {
            {"whole", whole, {0, 0}, 1 << 20, OK},
            {"within the bound", whole, {1 << 20, 1}, 1 << 20, OK},
            {"a bomb", whole, {(1 << 20) - 1, 1}, 1 << 20, ERR_CODING_BOMB},
            {"no room", whole, {0, 0}, 1000, ERR_LIMIT},
            {"no room at all", whole, {0, 0}, 0, ERR_LIMIT},
            {"cut", slice_first(whole, whole.len - 1), {0, 0}, 1 << 20, ERR_CODING},
            {"something behind", {tail.ptr, tail.len}, {0, 0}, 1 << 20, ERR_CODING},
            {"nothing", SLICE_NONE, {0, 0}, 1 << 20, ERR_CODING},
        };

        memcpy(tail.ptr, coded.ptr, coded.len);
        tail.ptr[coded.len] = 'x';
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            size_t len = 7;

            print_message("case: %s, %s\n", coding_name((enum http_coding)coding), cases[i].why);
            assert_int_equal(coder_unpack((enum http_coding)coding, cases[i].coded, &cases[i].bound,
                                          NULL, out.ptr, cases[i].out_cap, &len),
                             cases[i].want);
            assert_int_equal(len, cases[i].want == OK ? 1 << 20 : 7);
        }
        free(tail.ptr);
        free(coded.ptr);
    }
    free(out.ptr);
    free(zeros.ptr);
}

static void
allocations_fail(void **state)
{
    static const int levels[] = {9, 12};
    struct body body = body_make(BODY_TEXT, 20000), out = body_new(30000), back = body_new(20000);

    (void)state;
    for (int coding = CODING_GZIP; coding < CODING_COUNT; coding++)
        for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
            enum err rc = ERR_NOMEM;

            if (coding != CODING_GZIP && levels[i] == 12)
                continue;
            for (unsigned nth = 1; rc != OK; nth++) {
                out.len = 30000;
                mem_fail_at(nth);
                rc = pack((enum http_coding)coding, levels[i], &body, NULL, &out);
                mem_fail_at(0);
                assert_true(rc == OK || rc == ERR_NOMEM);
            }
            rc = ERR_NOMEM;
            for (unsigned nth = 1; rc != OK; nth++) {
                mem_fail_at(nth);
                back.len = 20000;
                rc = unpack((enum http_coding)coding, &out, &back);
                mem_fail_at(0);
                assert_true(rc == OK || rc == ERR_NOMEM);
            }
        }
    free(back.ptr);
    free(out.ptr);
    free(body.ptr);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(no_room),
        cmocka_unit_test(heads),
        cmocka_unit_test(stopped_before),
        cmocka_unit_test(stopped_at_work),
        cmocka_unit_test(unpack_errors),
        cmocka_unit_test(allocations_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
