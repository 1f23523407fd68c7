/* The table of reasons: complete, and made of what RFC 9211 allows. */
#include "cache_fixture.h"

#include "cache/reason.h"
#include "http/field.h"

static void
every_row_is_usable(void **state)
{
    static const char *const forwards[] = {"",     "bypass",  "method", "uri-miss", "vary-miss",
                                           "miss", "request", "stale",  "partial"};

    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        enum cache_reason reason = (enum cache_reason)i;
        struct slice detail = slice_from_str(cache_reason_detail(reason));
        bool known = false;

        print_message("case: %s\n", cache_reason_name(reason));
        assert_true(cache_reason_name(reason)[0] != '\0');
        assert_true(strlen(cache_reason_sentence(reason)) > 10);
        for (size_t f = 0; f < ARRAY_LEN(forwards); f++)
            known = known || strcmp(cache_reason_fwd(reason), forwards[f]) == 0;
        assert_true(known); /* RFC 9211 section 2.2 */
        assert_true(detail.len == 0 || http_is_token(detail));
        assert_true(detail.len < 32);
        for (int other = 0; other < i; other++)
            assert_string_not_equal(cache_reason_name(reason),
                                    cache_reason_name((enum cache_reason)other));
    }
}

static void
rows_are_in_place(void **state)
{
    static const struct {
        enum cache_reason reason;
        const char *name, *fwd, *detail;
    } cases[] = {
        {REASON_FRESH, "FRESH", "", ""},
        {REASON_NOT_STORED, "NOT_STORED", "uri-miss", ""},
        {REASON_VARY_MISS, "VARY_MISS", "vary-miss", ""},
        {REASON_EXPIRED, "EXPIRED", "stale", ""},
        {REASON_METHOD, "METHOD", "method", ""},
        {REASON_BYPASS, "BYPASS", "bypass", ""},
        {REASON_REQUEST_NO_CACHE, "REQUEST_NO_CACHE", "request", "request-no-cache"},
        {REASON_QUERY_CONTENT, "QUERY_CONTENT", "request", "query-content"},
        {REASON_PRECONDITION, "PRECONDITION", "request", "precondition"},
        {REASON_RANGE_MISS, "RANGE_MISS", "partial", ""},
        {REASON_HIT_FOR_MISS, "HIT_FOR_MISS", "uri-miss", "hit-for-miss"},
        {REASON_LOCAL, "LOCAL", "", ""},
        {REASON_REQUEST_BODY, "REQUEST_BODY", "request", "request-body"},
        {REASON_STORED, "STORED", "", ""},
        {REASON_INCOMPLETE, "INCOMPLETE", "", "incomplete"},
        {REASON_PARTIAL, "PARTIAL", "", "partial-content"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(cache_reason_name(cases[i].reason), cases[i].name);
        assert_string_equal(cache_reason_fwd(cases[i].reason), cases[i].fwd);
        assert_string_equal(cache_reason_detail(cases[i].reason), cases[i].detail);
    }
}

/* The labels of the counters: Prometheus' own form. */
static void
labels_are_in_lower_case(void **state)
{
    char label[CACHE_REASON_LABEL_MAX];

    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *name = cache_reason_name((enum cache_reason)i);

        assert_ptr_equal(cache_reason_label((enum cache_reason)i, label), label);
        assert_int_equal(strlen(label), strlen(name));
        assert_int_equal(strcasecmp(label, name), 0);
        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz_"), strlen(label));
    }
}

static void
they_are_counted(void **state)
{
    int64_t expired = cache_reason_counted(REASON_EXPIRED),
            fresh = cache_reason_counted(REASON_FRESH);

    (void)state;
    cache_reason_count(REASON_EXPIRED);
    cache_reason_count(REASON_EXPIRED);
    assert_int_equal(cache_reason_counted(REASON_EXPIRED) - expired, 2);
    assert_int_equal(cache_reason_counted(REASON_FRESH), fresh);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_usable),
        cmocka_unit_test(rows_are_in_place),
        cmocka_unit_test(labels_are_in_lower_case),
        cmocka_unit_test(they_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
