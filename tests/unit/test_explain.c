/* Stored objects in sentences. */
#include "cache_fixture.h"

#include "cache/explain.h"

static void
times_and_spans(void **state)
{
    static const struct {
        int64_t s;
        const char *span;
    } cases[] = {
        {0, "0 s"},     {1, "1 s"},          {59, "59 s"},
        {60, "1 min"},  {61, "1 min 1 s"},   {3600, "1 h"},
        {3601, "1 h"},  {3660, "1 h 1 min"}, {86399, "23 h 59 min"},
        {86400, "1 d"}, {90000, "1 d 1 h"},  {INT64_C(1) << 31, "24855 d 3 h"},
    };
    char at[EXPLAIN_TIME_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char span[EXPLAIN_SPAN_MAX];

        assert_string_equal(explain_span(cases[i].s, span), cases[i].span);
    }
    assert_string_equal(explain_time(NOW_S, at), "1994-11-06T08:49:37Z");
    assert_string_equal(explain_time(0, at), "1970-01-01T00:00:00Z");
    assert_string_equal(explain_time(INT64_MAX, at), "@9223372036854775807");
}

enum { AV = CACHE_ALWAYS_VALIDATE, MR = CACHE_MUST_REVALIDATE };

struct row {
    const char *why;
    unsigned flags;
    uint32_t lifetime_s, age_s, swr_s, sie_s, keep_s;
    bool soft_purged;
    enum cache_lifetime from;
    const char *age, *fresh, *stale, *verdict;
};

static const struct row rows[] = {
    {"fresh", 0, 60, 18, 0, 0, 0, false, CACHE_LIFETIME_MAX_AGE,
     "18 s old; lives 1 min by the response's max-age", "until 1994-11-06T08:50:19Z, for 42 s more",
     "at any age when the origin gives no answer at all",
     "would be answered from the store: fresh for 42 s more"},
    {"expired", 0, 60, 72, 0, 0, 0, false, CACHE_LIFETIME_EXPIRES,
     "1 min 12 s old; lives 1 min by the response's Expires",
     "no: stale since 1994-11-06T08:49:25Z, for 12 s",
     "at any age when the origin gives no answer at all",
     "would be validated at the origin first: the stored response is no longer fresh; it expired "
     "12 s ago"},
    {"RFC 5861 section 3", 0, 60, 72, 30, 0, 0, false, CACHE_LIFETIME_S_MAXAGE,
     "1 min 12 s old; lives 1 min by the response's s-maxage",
     "no: stale since 1994-11-06T08:49:25Z, for 12 s",
     "until 1994-11-06T08:49:55Z, for 18 s more, while it is validated (stale-while-revalidate); "
     "at "
     "any age when the origin gives no answer at all",
     "would be answered from the store: a stale response is served while it is validated; it "
     "expired 12 s ago"},
    {"RFC 5861 section 4", 0, 60, 72, 0, 30, 0, false, CACHE_LIFETIME_HEURISTIC,
     "1 min 12 s old; lives 1 min by guessing: a tenth of the time since Last-Modified",
     "no: stale since 1994-11-06T08:49:25Z, for 12 s",
     "until 1994-11-06T08:49:55Z, for 18 s more, when the origin answers an error "
     "(stale-if-error); "
     "at any age when the origin gives no answer at all",
     "would be validated at the origin first: the stored response is no longer fresh; it expired "
     "12 s ago; it may stand in for a failing origin until 1994-11-06T08:49:55Z"},
    {"windows that are over", 0, 60, 200, 30, 40, 0, false, CACHE_LIFETIME_TARGETED,
     "3 min 20 s old; lives 1 min by a targeted field of the response",
     "no: stale since 1994-11-06T08:47:17Z, for 2 min 20 s",
     "no longer while it is validated (stale-while-revalidate), since 1994-11-06T08:47:47Z; no "
     "longer when the origin answers an error (stale-if-error), since 1994-11-06T08:47:57Z; at any "
     "age when the origin gives no answer at all",
     "would be validated at the origin first: the stored response is no longer fresh; it expired 2 "
     "min 20 s ago"},
    {"4.2.4: must-revalidate", MR, 60, 72, 30, 30, 0, false, CACHE_LIFETIME_MAX_AGE,
     "1 min 12 s old; lives 1 min by the response's max-age",
     "no: stale since 1994-11-06T08:49:25Z, for 12 s",
     "never: must-revalidate, proxy-revalidate or s-maxage",
     "would be validated at the origin first: no-cache or must-revalidate asks for validation; it "
     "expired 12 s ago"},
    {"5.2.2.4: no-cache", AV, 60, 18, 30, 30, 0, false, CACHE_LIFETIME_STATUS,
     "18 s old; lives 1 min by the site's status_ttl",
     "never: it is validated each time it is asked for", "never: it is validated each time",
     "would be validated at the origin first: no-cache or must-revalidate asks for validation"},
    {"a soft purge", 0, 60, 18, 0, 0, 0, true, CACHE_LIFETIME_DEFAULT,
     "18 s old; lives 1 min by the site's default_ttl", "no: a purge marked it stale",
     "at any age when the origin gives no answer at all",
     "would be validated at the origin first: the stored response was marked stale by a purge"},
    {"kept for a while", 0, 60, 72, 0, 0, 20, false, CACHE_LIFETIME_MAX_AGE,
     "1 min 12 s old; lives 1 min by the response's max-age",
     "no: stale since 1994-11-06T08:49:25Z, for 12 s",
     "until 1994-11-06T08:49:45Z, for 8 s more, when the origin gives no answer at all (keep)",
     "would be validated at the origin first: the stored response is no longer fresh; it expired "
     "12 s ago"},
    {"kept no more", 0, 60, 90, 0, 0, 20, false, CACHE_LIFETIME_MAX_AGE,
     "1 min 30 s old; lives 1 min by the response's max-age",
     "no: stale since 1994-11-06T08:49:07Z, for 30 s",
     "no longer when the origin gives no answer at all (keep), since 1994-11-06T08:49:27Z",
     "would be fetched: the stored response has been stale for longer than it is kept; it expired "
     "30 s ago"},
};

/* The sentences say what lookup_judge decides. */
static void
sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        struct cache_settings settings = {.keep_s = row->keep_s};
        struct cache_object object = {.status = 200,
                                      .flags = (uint16_t)row->flags,
                                      .lifetime_from = row->from,
                                      .response_s = NOW_S,
                                      .date_s = NOW_S,
                                      .last_modified_s = -1,
                                      .initial_age_s = row->age_s,
                                      .lifetime_s = row->lifetime_s,
                                      .swr_s = row->swr_s,
                                      .sie_s = row->sie_s};
        struct explain_subject subject = {&settings, &object, row->soft_purged, NOW_S};
        struct cachectl cc = {0};
        struct lookup_verdict verdict;
        struct http_request request;
        struct arena arena;
        struct slice text;

        print_message("case: %s\n", row->why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, "");
        lookup_judge(&settings, &request, &cc, &object, row->soft_purged, NOW_S, &verdict);
        assert_int_equal(explain_age(&arena, &subject, &text), OK);
        assert_text(text, row->age);
        assert_int_equal(explain_fresh(&arena, &subject, &text), OK);
        assert_text(text, row->fresh);
        assert_int_equal(explain_stale(&arena, &subject, &text), OK);
        assert_text(text, row->stale);
        assert_int_equal(explain_verdict(&arena, &subject, &verdict, &text), OK);
        assert_text(text, row->verdict);
        arena_fini(&arena);
    }
}

/* Second by second, lookup_judge and explain_until agree on when each window ends. */
static void
the_last_seconds_are_the_judges(void **state)
{
    const struct cache_settings settings = {.keep_s = 9};
    const struct cache_object object = {.response_s = NOW_S,
                                        .date_s = NOW_S,
                                        .last_modified_s = -1,
                                        .lifetime_s = 5,
                                        .swr_s = 3,
                                        .sie_s = 6};

    (void)state;
    for (int soft = 0; soft < 2; soft++) {
        for (int64_t now_s = NOW_S; now_s < NOW_S + 20; now_s++) {
            struct explain_subject subject = {&settings, &object, soft, now_s};
            struct http_request request = {.method = METHOD_GET};
            struct cachectl cc = {0};
            struct lookup_verdict verdict;
            struct explain_until until;

            lookup_judge(&settings, &request, &cc, &object, soft, now_s, &verdict);
            explain_until(&subject, &until);
            assert_int_equal(verdict.use == LOOKUP_FRESH, now_s < until.fresh_s);
            assert_int_equal(verdict.use == LOOKUP_FRESH || verdict.use == LOOKUP_STALE,
                             now_s <= until.revalidate_s);
            if (verdict.use != LOOKUP_GONE)
                assert_int_equal(verdict.may_serve_on_error, now_s <= until.error_s);
            assert_int_equal(verdict.use == LOOKUP_GONE, now_s > until.kept_s);
        }
    }
}

static void
a_clients_word(void **state)
{
    const struct cache_settings settings = {.client_no_cache = true};
    const struct cache_object object = {.response_s = NOW_S,
                                        .date_s = NOW_S,
                                        .last_modified_s = -1,
                                        .initial_age_s = 9,
                                        .lifetime_s = 5};
    const struct explain_subject subject = {&settings, &object, false, NOW_S};
    struct arena arena;
    struct slice text;
    struct lookup_verdict verdict;
    struct http_request request;
    struct cachectl cc;

    (void)state;
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_GET, "Cache-Control: stale-if-error=60");
    cachectl_parse(&request.fields, &cc);
    lookup_judge(&settings, &request, &cc, &object, false, NOW_S, &verdict);
    assert_int_equal(explain_verdict(&arena, &subject, &verdict, &text), OK);
    assert_true(slice_ends(text, SLICE("; it may stand in for a failing origin")));
    arena_fini(&arena);
}

static void
every_source_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < CACHE_LIFETIME_COUNT; i++)
        assert_true(strlen(explain_lifetime_from((enum cache_lifetime)i)) > 5);
    assert_string_equal(explain_lifetime_from(CACHE_LIFETIME_MAX_AGE), "max-age");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_and_spans),
        cmocka_unit_test(sentences),
        cmocka_unit_test(the_last_seconds_are_the_judges),
        cmocka_unit_test(a_clients_word),
        cmocka_unit_test(every_source_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
