/* From a request and a stored response to a verdict. RFC 9111 sections 4, 5.2.1 and 5.2.2, RFC
 * 5861, RFC 8246. */
#include "cache_fixture.h"

#include "cache/lookup.h"

enum { AV = CACHE_ALWAYS_VALIDATE, MR = CACHE_MUST_REVALIDATE, IM = CACHE_IMMUTABLE };

static void
kinds_of_requests(void **state)
{
    static const struct {
        const char *why;
        enum http_method method;
        enum http_framing framing;
        uint64_t content_length;
        const char *fields;
        enum lookup_kind want;
        enum cache_reason reason;
    } cases[] = {
        {"4: GET", METHOD_GET, FRAMING_NONE, 0, "", LOOKUP_CACHE, REASON_NOT_STORED},
        {"4: HEAD", METHOD_HEAD, FRAMING_NONE, 0, "", LOOKUP_CACHE, REASON_NOT_STORED},
        {"4: GET of a range", METHOD_GET, FRAMING_NONE, 0, "Range: bytes=0-1", LOOKUP_CACHE,
         REASON_NOT_STORED},
        {"4: GET with credentials", METHOD_GET, FRAMING_NONE, 0, "Authorization: a", LOOKUP_CACHE,
         REASON_NOT_STORED},
        {"5.2.1.5: no-store may be answered from the cache", METHOD_GET, FRAMING_NONE, 0,
         "Cache-Control: no-store", LOOKUP_CACHE, REASON_NOT_STORED},
        {"4: GET with a body", METHOD_GET, FRAMING_LENGTH, 1, "", LOOKUP_PASS, REASON_REQUEST_BODY},
        {"4: GET with a body of no bytes", METHOD_GET, FRAMING_LENGTH, 0, "", LOOKUP_CACHE,
         REASON_NOT_STORED},
        {"4: HEAD with a chunked body", METHOD_HEAD, FRAMING_CHUNKED, 0, "", LOOKUP_PASS,
         REASON_REQUEST_BODY},
        {"4: POST", METHOD_POST, FRAMING_LENGTH, 1, "", LOOKUP_PASS, REASON_METHOD},
        {"4: PUT", METHOD_PUT, FRAMING_NONE, 0, "", LOOKUP_PASS, REASON_METHOD},
        {"4: DELETE", METHOD_DELETE, FRAMING_NONE, 0, "", LOOKUP_PASS, REASON_METHOD},
        {"4: OPTIONS", METHOD_OPTIONS, FRAMING_NONE, 0, "", LOOKUP_PASS, REASON_METHOD},
        {"4: PATCH", METHOD_PATCH, FRAMING_NONE, 0, "", LOOKUP_PASS, REASON_METHOD},
        {"10008 2.7: QUERY", METHOD_QUERY, FRAMING_LENGTH, 1, "Content-Type: a/b", LOOKUP_CACHE,
         REASON_NOT_STORED},
        {"10008 2.7: QUERY in chunks", METHOD_QUERY, FRAMING_CHUNKED, 0, "Content-Type: a/b",
         LOOKUP_CACHE, REASON_NOT_STORED},
        {"10008 2: QUERY without a type", METHOD_QUERY, FRAMING_LENGTH, 1, "", LOOKUP_PASS,
         REASON_METHOD},
        {"10008 2: QUERY without content", METHOD_QUERY, FRAMING_LENGTH, 0, "Content-Type: a/b",
         LOOKUP_PASS, REASON_METHOD},
        {"4: unknown", METHOD_OTHER, FRAMING_NONE, 0, "", LOOKUP_PASS, REASON_METHOD},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_request request;
        enum cache_reason reason;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, cases[i].method, cases[i].fields);
        request.framing = cases[i].framing;
        request.content_length = cases[i].content_length;
        assert_int_equal(lookup_classify(&request, &reason), cases[i].want);
        assert_int_equal(reason, cases[i].reason);
        arena_fini(&arena);
    }
}

struct judge_case {
    const char *why;
    const char *request;
    struct cache_object object; /* received at NOW_S */
    bool soft_purged;
    int64_t passed_s;
    enum lookup_use want;
    enum cache_reason reason;
    int64_t ttl_s;
    bool on_error, disconnected;
};

static void
check_judge(bool heeding, const struct judge_case *c)
{
    const struct cache_settings settings = {.client_no_cache = heeding};
    struct arena arena;
    struct http_request request;
    struct cachectl cc;
    struct cache_object object = c->object;
    struct lookup_verdict got;

    print_message("case: %s\n", c->why);
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_GET, c->request);
    cachectl_parse(&request.fields, &cc);
    object.status = 200;
    object.response_s = NOW_S;
    lookup_judge(&settings, &request, &cc, &object, c->soft_purged, NOW_S + c->passed_s, &got);
    if (got.reason != c->reason)
        print_error("got %s, want %s\n", cache_reason_name(got.reason),
                    cache_reason_name(c->reason));
    assert_int_equal(got.use, c->want);
    assert_int_equal(got.reason, c->reason);
    assert_int_equal(got.age_s, object.initial_age_s + c->passed_s);
    assert_true(got.ttl_s == c->ttl_s);
    assert_int_equal(got.may_serve_on_error, c->on_error);
    assert_int_equal(got.may_serve_disconnected, c->disconnected);
    arena_fini(&arena);
}

/* What has been stale for longer than the site keeps it is as good as gone. */
static void
kept_for_a_while(void **state)
{
    static const struct {
        const char *why;
        uint32_t keep_s, flags;
        int64_t passed_s;
        bool soft_purged;
        enum lookup_use want;
    } cases[] = {
        {"fresh", 30, 0, 59, false, LOOKUP_FRESH},
        {"as long as it is kept", 30, 0, 90, false, LOOKUP_VALIDATE},
        {"longer", 30, 0, 91, false, LOOKUP_GONE},
        {"no limit", 0, 0, 100000, false, LOOKUP_VALIDATE},
        {"always validated, and kept", 30, CACHE_ALWAYS_VALIDATE, 90, false, LOOKUP_VALIDATE},
        {"always validated, too old", 30, CACHE_ALWAYS_VALIDATE, 91, false, LOOKUP_GONE},
        {"soft purged, too old", 30, 0, 91, true, LOOKUP_GONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_settings settings = {.keep_s = cases[i].keep_s};
        const struct cache_object object = {.status = 200,
                                            .flags = (uint16_t)cases[i].flags,
                                            .response_s = NOW_S,
                                            .lifetime_s = 60};
        struct lookup_verdict got;
        struct cachectl cc = {0};
        struct arena arena;
        struct http_request request;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, "");
        lookup_judge(&settings, &request, &cc, &object, cases[i].soft_purged,
                     NOW_S + cases[i].passed_s, &got);
        assert_int_equal(got.use, cases[i].want);
        if (got.use == LOOKUP_GONE) {
            assert_int_equal(got.reason, REASON_TOO_STALE);
            assert_false(got.may_serve_on_error || got.may_serve_disconnected);
        }
        arena_fini(&arena);
    }
}

/* What the response says decides; clients are not heeded. */
static void
verdicts(void **state)
{
    static const struct judge_case cases[] = {
        {"4.2: fresh",
         "",
         {.lifetime_s = 60},
         false,
         59,
         LOOKUP_FRESH,
         REASON_FRESH,
         1,
         false,
         true},
        {"4.2: as old as its lifetime is stale",
         "",
         {.lifetime_s = 60},
         false,
         60,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         0,
         false,
         true},
        {"4.2: stale",
         "",
         {.lifetime_s = 60},
         false,
         100,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -40,
         false,
         true},
        {"4.2.3: its initial age counts",
         "",
         {.lifetime_s = 60, .initial_age_s = 50},
         false,
         10,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         0,
         false,
         true},
        {"5.2.2.2: must-revalidate while fresh",
         "",
         {.lifetime_s = 60, .flags = MR},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         false},
        {"5.2.2.2: must-revalidate when stale",
         "",
         {.lifetime_s = 60, .flags = MR},
         false,
         61,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -1,
         false,
         false},
        {"5.2.2.4: no-cache while fresh",
         "",
         {.lifetime_s = 60, .flags = AV},
         false,
         1,
         LOOKUP_VALIDATE,
         REASON_MUST_REVALIDATE,
         59,
         false,
         false},
        {"5.2.2.4: no-cache when stale",
         "",
         {.lifetime_s = 60, .flags = AV},
         false,
         90,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -30,
         false,
         false},
        {"RFC 5861 section 3: in the window",
         "",
         {.lifetime_s = 60, .swr_s = 30},
         false,
         90,
         LOOKUP_STALE,
         REASON_STALE_REVALIDATING,
         -30,
         false,
         true},
        {"RFC 5861 section 3: past the window",
         "",
         {.lifetime_s = 60, .swr_s = 30},
         false,
         91,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -31,
         false,
         true},
        {"RFC 5861 section 3: fresh needs no window",
         "",
         {.lifetime_s = 60, .swr_s = 30},
         false,
         9,
         LOOKUP_FRESH,
         REASON_FRESH,
         51,
         false,
         true},
        {"4.2.4: must-revalidate closes the window",
         "",
         {.lifetime_s = 60, .swr_s = 30, .sie_s = 30, .flags = MR},
         false,
         70,
         LOOKUP_VALIDATE,
         REASON_MUST_REVALIDATE,
         -10,
         false,
         false},
        {"4.2.4: no-cache closes the window",
         "",
         {.lifetime_s = 60, .swr_s = 30, .sie_s = 30, .flags = AV},
         false,
         70,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -10,
         false,
         false},
        {"RFC 5861 section 4: within stale-if-error",
         "",
         {.lifetime_s = 60, .sie_s = 30},
         false,
         90,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -30,
         true,
         true},
        {"RFC 5861 section 4: past stale-if-error",
         "",
         {.lifetime_s = 60, .sie_s = 30},
         false,
         91,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -31,
         false,
         true},
        {"RFC 5861: both windows",
         "",
         {.lifetime_s = 60, .swr_s = 10, .sie_s = 30},
         false,
         65,
         LOOKUP_STALE,
         REASON_STALE_REVALIDATING,
         -5,
         true,
         true},
        {"soft purge: fresh is stale",
         "",
         {.lifetime_s = 60},
         true,
         1,
         LOOKUP_VALIDATE,
         REASON_SOFT_PURGED,
         0,
         false,
         true},
        {"soft purge: stale stays stale",
         "",
         {.lifetime_s = 60},
         true,
         70,
         LOOKUP_VALIDATE,
         REASON_SOFT_PURGED,
         -10,
         false,
         true},
        {"soft purge: the window opens",
         "",
         {.lifetime_s = 60, .swr_s = 30},
         true,
         1,
         LOOKUP_STALE,
         REASON_STALE_REVALIDATING,
         0,
         false,
         true},
        {"soft purge: the window closes",
         "",
         {.lifetime_s = 60, .swr_s = 30},
         true,
         91,
         LOOKUP_VALIDATE,
         REASON_SOFT_PURGED,
         -31,
         false,
         true},
        {"soft purge: must-revalidate",
         "",
         {.lifetime_s = 60, .swr_s = 30, .flags = MR},
         true,
         1,
         LOOKUP_VALIDATE,
         REASON_SOFT_PURGED,
         0,
         false,
         false},
        {"soft purge: no-cache",
         "",
         {.lifetime_s = 60, .flags = AV},
         true,
         1,
         LOOKUP_VALIDATE,
         REASON_SOFT_PURGED,
         0,
         false,
         false},
        {"soft purge: on errors",
         "",
         {.lifetime_s = 60, .sie_s = 5},
         true,
         1,
         LOOKUP_VALIDATE,
         REASON_SOFT_PURGED,
         0,
         true,
         true},
        {"4.1: this variant",
         "Foo: 1",
         {.lifetime_s = 60, .vary = SLICE("foo: 1\n")},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         true},
        {"5.2.1: clients are not heeded: no-cache",
         "Cache-Control: no-cache",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         true},
        {"5.2.1: clients are not heeded: max-age",
         "Cache-Control: max-age=0",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         true},
        {"5.2.1: clients are not heeded: max-stale",
         "Cache-Control: max-stale",
         {.lifetime_s = 60},
         false,
         61,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -1,
         false,
         true},
        {"5.4: clients are not heeded: Pragma",
         "Pragma: no-cache",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_judge(false, &cases[i]);
}

/* RFC 9111 sections 5.2.1 and 5.4 */
static void
clients_are_heeded(void **state)
{
    static const struct judge_case cases[] = {
        {"5.2.1: nothing said",
         "",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         true},
        {"5.2.1.4: no-cache",
         "Cache-Control: no-cache",
         {.lifetime_s = 60, .sie_s = 9},
         false,
         1,
         LOOKUP_VALIDATE,
         REASON_REQUEST_NO_CACHE,
         59,
         false,
         false},
        {"5.2.1.4: no-cache closes the stale window",
         "Cache-Control: no-cache",
         {.lifetime_s = 60, .swr_s = 30},
         false,
         70,
         LOOKUP_VALIDATE,
         REASON_REQUEST_NO_CACHE,
         -10,
         false,
         false},
        {"RFC 8246: no-cache asks about immutable too",
         "Cache-Control: no-cache",
         {.lifetime_s = 60, .flags = IM},
         false,
         1,
         LOOKUP_VALIDATE,
         REASON_REQUEST_NO_CACHE,
         59,
         false,
         false},
        {"5.4: Pragma alone",
         "Pragma: no-cache",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_VALIDATE,
         REASON_REQUEST_NO_CACHE,
         59,
         false,
         false},
        {"5.4: Pragma in capitals in a list",
         "Pragma: a, NO-CACHE",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_VALIDATE,
         REASON_REQUEST_NO_CACHE,
         59,
         false,
         false},
        {"5.4: another Pragma",
         "Pragma: a",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         true},
        {"5.4: Pragma beside Cache-Control",
         "Pragma: no-cache\nCache-Control: max-age=9",
         {.lifetime_s = 60},
         false,
         1,
         LOOKUP_FRESH,
         REASON_FRESH,
         59,
         false,
         true},
        {"5.2.1.1: young enough",
         "Cache-Control: max-age=5",
         {.lifetime_s = 60},
         false,
         5,
         LOOKUP_FRESH,
         REASON_FRESH,
         55,
         false,
         true},
        {"5.2.1.1: too old",
         "Cache-Control: max-age=5",
         {.lifetime_s = 60},
         false,
         6,
         LOOKUP_VALIDATE,
         REASON_REQUEST_NO_CACHE,
         54,
         false,
         true},
        {"RFC 8246: immutable does not age",
         "Cache-Control: max-age=0",
         {.lifetime_s = 60, .flags = IM},
         false,
         6,
         LOOKUP_FRESH,
         REASON_FRESH,
         54,
         false,
         true},
        {"RFC 8246: immutable only while fresh",
         "Cache-Control: max-age=0",
         {.lifetime_s = 60, .flags = IM},
         false,
         61,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -1,
         false,
         true},
        {"5.2.1.1: what is stale is stale first",
         "Cache-Control: max-age=0",
         {.lifetime_s = 60},
         false,
         60,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         0,
         false,
         true},
        {"5.2.1.3: fresh for long enough",
         "Cache-Control: min-fresh=50",
         {.lifetime_s = 60},
         false,
         10,
         LOOKUP_FRESH,
         REASON_FRESH,
         50,
         false,
         true},
        {"5.2.1.3: not fresh for long enough",
         "Cache-Control: min-fresh=50",
         {.lifetime_s = 60},
         false,
         11,
         LOOKUP_VALIDATE,
         REASON_REQUEST_NO_CACHE,
         49,
         false,
         true},
        {"5.2.1.2: max-stale within",
         "Cache-Control: max-stale=10",
         {.lifetime_s = 60},
         false,
         70,
         LOOKUP_STALE,
         REASON_STALE_REVALIDATING,
         -10,
         false,
         true},
        {"5.2.1.2: max-stale exceeded",
         "Cache-Control: max-stale=10",
         {.lifetime_s = 60},
         false,
         71,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -11,
         false,
         true},
        {"5.2.1.2: max-stale without a number",
         "Cache-Control: max-stale",
         {.lifetime_s = 60},
         false,
         100000,
         LOOKUP_STALE,
         REASON_STALE_REVALIDATING,
         -99940,
         false,
         true},
        {"5.2.1.2: must-revalidate is stronger",
         "Cache-Control: max-stale",
         {.lifetime_s = 60, .flags = MR},
         false,
         61,
         LOOKUP_VALIDATE,
         REASON_MUST_REVALIDATE,
         -1,
         false,
         false},
        {"5.2.1.2: no-cache of the response is stronger",
         "Cache-Control: max-stale",
         {.lifetime_s = 60, .flags = AV},
         false,
         61,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -1,
         false,
         false},
        {"5.2.1.2: a purge is stronger",
         "Cache-Control: max-stale",
         {.lifetime_s = 60},
         true,
         1,
         LOOKUP_VALIDATE,
         REASON_SOFT_PURGED,
         0,
         false,
         true},
        {"RFC 5861 section 4: stale-if-error of a request",
         "Cache-Control: stale-if-error=10",
         {.lifetime_s = 60},
         false,
         70,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -10,
         true,
         true},
        {"RFC 5861 section 4: the longer window",
         "Cache-Control: stale-if-error=10",
         {.lifetime_s = 60, .sie_s = 20},
         false,
         75,
         LOOKUP_VALIDATE,
         REASON_EXPIRED,
         -15,
         true,
         true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_judge(true, &cases[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_requests),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(clients_are_heeded),
        cmocka_unit_test(kept_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
