/* The Cache-Status line. RFC 9211 section 2. */
#include "cache_fixture.h"

#include "cache/status.h"

static void
lines(void **state)
{
    static const struct {
        const char *why;
        struct cache_status in;
        const char *want;
    } cases[] = {
        {"2.1: hit", {.node = "brink", .hit = true}, "brink; hit"},
        {"2.4: hit with its ttl",
         {.node = "brink", .hit = true, .has_ttl = true, .ttl_s = 30},
         "brink; hit; ttl=30"},
        {"2.4: digits of a number",
         {.node = "brink", .hit = true, .has_ttl = true, .ttl_s = 1009},
         "brink; hit; ttl=1009"},
        {"2.4: ttl 0", {.node = "brink", .hit = true, .has_ttl = true}, "brink; hit; ttl=0"},
        {"2.4: stale",
         {.node = "brink",
          .hit = true,
          .has_ttl = true,
          .ttl_s = -412,
          .detail = REASON_STALE_REVALIDATING},
         "brink; hit; ttl=-412; detail=stale-while-revalidate"},
        {"2.1: hit excludes what belongs to forwarding",
         {.node = "brink",
          .hit = true,
          .fwd = REASON_EXPIRED,
          .fwd_status = 200,
          .stored = true,
          .collapsed = true},
         "brink; hit"},
        {"2.2: miss",
         {.node = "brink", .fwd = REASON_NOT_STORED, .fwd_status = 200, .stored = true},
         "brink; fwd=uri-miss; fwd-status=200; stored"},
        {"2.6: collapsed",
         {.node = "brink", .fwd = REASON_NOT_STORED, .collapsed = true},
         "brink; fwd=uri-miss; collapsed"},
        {"2.3: revalidated",
         {.node = "brink", .fwd = REASON_EXPIRED, .fwd_status = 304, .has_ttl = true, .ttl_s = 60},
         "brink; fwd=stale; fwd-status=304; ttl=60"},
        {"3: waited for another's fetch in vain",
         {.node = "brink", .fwd = REASON_VARY_MISS, .uncollapsed = true},
         "brink; fwd=vary-miss; collapsed=?0"},
        {"2.6: collapsed in the end",
         {.node = "brink", .fwd = REASON_NOT_STORED, .collapsed = true, .uncollapsed = true},
         "brink; fwd=uri-miss; collapsed"},
        {"2.7: the key",
         {.node = "brink", .hit = true, .has_ttl = true, .key = SLICE("http://a/b?c=%22")},
         "brink; hit; ttl=0; key=\"http://a/b?c=%22\""},
        {"2.7: a String's escapes, RFC 9651 section 3.3.3",
         {.node = "brink", .hit = true, .key = SLICE("a\"b\\c")},
         "brink; hit; key=\"a\\\"b\\\\c\""},
        {"2.7: a String is ASCII",
         {.node = "brink", .hit = true, .key = SLICE("http://a/\xc3\xa4")},
         "brink; hit"},
        {"2.7: a String has no control bytes",
         {.node = "brink", .hit = true, .key = SLICE("a\tb")},
         "brink; hit"},
        {"2.7: nor DEL", {.node = "brink", .hit = true, .key = SLICE("a\x7f")}, "brink; hit"},
        {"2.8: detail behind the key",
         {.node = "brink",
          .fwd = REASON_HIT_FOR_MISS,
          .detail = REASON_HIT_FOR_MISS,
          .key = SLICE("k")},
         "brink; fwd=uri-miss; key=\"k\"; detail=hit-for-miss"},
        {"2.8: why it was not stored",
         {.node = "brink", .fwd = REASON_NOT_STORED, .fwd_status = 200, .detail = REASON_NO_STORE},
         "brink; fwd=uri-miss; fwd-status=200; detail=no-store"},
        {"2.2: method", {.node = "brink", .fwd = REASON_METHOD}, "brink; fwd=method"},
        {"2.2: not forwarded at all",
         {.node = "edge-1.example", .fwd = REASON_ONLY_IF_CACHED, .detail = REASON_ONLY_IF_CACHED},
         "edge-1.example; detail=only-if-cached"},
        {"2.4: the ends of the range, upper",
         {.node = "b", .hit = true, .has_ttl = true, .ttl_s = INT64_MAX},
         "b; hit; ttl=9223372036854775807"},
        {"2.4: the ends of the range, lower",
         {.node = "b", .hit = true, .has_ttl = true, .ttl_s = INT64_MIN},
         "b; hit; ttl=-9223372036854775808"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char buf[CACHE_STATUS_MAX], want[CACHE_STATUS_MAX];
        size_t len = cache_status_line(&cases[i].in, buf);

        print_message("case: %s\n", cases[i].why);
        (void)snprintf(want, sizeof(want), "Cache-Status: %s\r\n", cases[i].want);
        assert_text(slice_of(buf, len), want);
    }
}

/* Quotes and escapes count. */
static void
a_long_key_is_left_out(void **state)
{
    static const struct {
        const char *why;
        size_t len;
        char last;
        bool want;
    } cases[] = {
        {"as long as may be", CACHE_STATUS_KEY_MAX - 2, 'k', true},
        {"one longer", CACHE_STATUS_KEY_MAX - 1, 'k', false},
        {"longer by an escape", CACHE_STATUS_KEY_MAX - 2, '"', false},
        {"with an escape, just", CACHE_STATUS_KEY_MAX - 3, '"', true},
        {"far too long", 4000, 'k', false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char key[4000], buf[CACHE_STATUS_MAX];
        struct cache_status status = {.node = "b", .hit = true, .key = slice_of(key, cases[i].len)};
        struct slice line;

        print_message("case: %s\n", cases[i].why);
        memset(key, 'k', sizeof(key));
        key[cases[i].len - 1] = cases[i].last;
        line = slice_of(buf, cache_status_line(&status, buf));
        assert_int_equal(slice_ends(line, SLICE("\"\r\n")), cases[i].want);
        if (!cases[i].want)
            assert_text(line, "Cache-Status: b; hit\r\n");
    }
}

static void
the_longest_line_fits(void **state)
{
    char node[1000], key[CACHE_STATUS_KEY_MAX - 2];
    char *buf = mem_alloc(CACHE_STATUS_MAX); /* its end is watched */

    (void)state;
    assert_non_null(buf);
    memset(node, 'n', sizeof(node) - 1);
    node[sizeof(node) - 1] = '\0';
    memset(key, 'k', sizeof(key));
    for (int i = 0; i < REASON_COUNT; i++) {
        const struct cache_status status = {.node = node,
                                            .fwd = (enum cache_reason)i,
                                            .fwd_status = UINT32_MAX,
                                            .stored = true,
                                            .collapsed = true,
                                            .has_ttl = true,
                                            .ttl_s = INT64_MIN,
                                            .key = slice_of(key, sizeof(key)),
                                            .detail = (enum cache_reason)i};
        size_t len = cache_status_line(&status, buf);

        assert_true(len <= CACHE_STATUS_MAX);
        assert_true(slice_ends(slice_of(buf, len), SLICE("\r\n")));
    }
    mem_free(buf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(a_long_key_is_left_out),
        cmocka_unit_test(the_longest_line_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
