#include "cache_fixture.h"

#include "cache/post.h"

#define FRESH "Cache-Control: max-age=60\n"

static const struct {
    const char *why, *query, *request;
    unsigned status;
    const char *response;
    enum cache_reason want;
} cases[] = {
    {"9110 9.3.3: the path", "?q=1", "", 200, FRESH "Content-Location: /a/b?q=1", REASON_STORED},
    {"9110 9.3.3: a URL", "?q=1", "", 200, FRESH "Content-Location: http://EXAMPLE.com:80/a/b?q=1",
     REASON_STORED},
    {"9110 9.3.3: relative to it", "?q=1", "", 200, FRESH "Content-Location: b?q=1", REASON_STORED},
    {"9110 9.3.3: empty", "?q=1", "", 200, FRESH "Content-Location:", REASON_STORED},
    {"9110 8.7: a fragment is no part of it", "?q=1", "", 200, FRESH "Content-Location: b?q=1#top",
     REASON_STORED},
    {"9110 9.3.3: a 203", "", "", 203, FRESH "Content-Location: b", REASON_STORED},
    {"9110 9.3.3: by Expires", "", "", 200,
     "Date: " DATE_NOW "\nExpires: Sun, 06 Nov 1994 09:49:37 GMT\nContent-Location: b",
     REASON_STORED},
    {"9110 9.3.3: no Content-Location", "", "", 200, FRESH, REASON_METHOD},
    {"9110 9.3.3: another path", "", "", 200, FRESH "Content-Location: c", REASON_METHOD},
    {"9110 9.3.3: another query", "?q=1", "", 200, FRESH "Content-Location: b?q=2", REASON_METHOD},
    {"9110 9.3.3: another host", "", "", 200, FRESH "Content-Location: http://other.test/a/b",
     REASON_METHOD},
    {"9110 9.3.3: another port", "", "", 200, FRESH "Content-Location: http://example.com:81/a/b",
     REASON_METHOD},
    {"9110 9.3.3: another scheme", "", "", 200, FRESH "Content-Location: https://example.com/a/b",
     REASON_METHOD},
    {"9110 9.3.3: no reference", "", "", 200, FRESH "Content-Location: a b", REASON_METHOD},
    {"9110 9.3.3: two of them", "", "", 200, FRESH "Content-Location: b\nContent-Location: b",
     REASON_METHOD},
    {"9110 9.3.3: what was created is another status", "", "", 201, FRESH "Content-Location: b",
     REASON_METHOD},
    {"9110 15.3.7: a part", "", "", 206, FRESH "Content-Location: b", REASON_METHOD},
    {"9110 15.5.5: an error", "", "", 404, FRESH "Content-Location: b", REASON_METHOD},
    {"9110 9.3.3: no freshness", "", "", 200, "Content-Location: b", REASON_NO_FRESHNESS},
    {"9110 9.3.3: a guess is not explicit", "", "", 200,
     "Date: " DATE_NOW "\nLast-Modified: Sun, 06 Nov 1994 07:49:37 GMT\nContent-Location: b",
     REASON_NO_FRESHNESS},
    {"9110 9.3.3: nor is a validator", "", "", 200,
     "Cache-Control: no-cache\nETag: \"a\"\nContent-Location: b", REASON_NO_FRESHNESS},
    {"9111 5.2.2.5: no-store", "", "", 200,
     "Cache-Control: max-age=60, no-store\nContent-Location: b", REASON_NO_STORE},
    {"9111 5.2.2.7: private", "", "", 200,
     "Cache-Control: max-age=60, private\nContent-Location: b", REASON_PRIVATE},
    {"9111 3.5: Authorization", "", "Authorization: x", 200, FRESH "Content-Location: b",
     REASON_AUTHORIZATION},
    {"9111 7.3: Set-Cookie", "", "", 200, FRESH "Content-Location: b\nSet-Cookie: a=b",
     REASON_SET_COOKIE},
    {"9111 4.1: Vary: *", "", "", 200, FRESH "Content-Location: b\nVary: *", REASON_VARY_STAR},
    {"9111 4.2.1: stale from the start", "", "", 200,
     "Cache-Control: max-age=0\nContent-Location: b", REASON_ZERO_LIFETIME},
};

static void
admitted(void **state)
{
    static const struct cache_settings settings = {
        .default_ttl_s = 0, .heuristic = true, .heuristic_query = true, .heuristic_max_s = 3600};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct url base = {.scheme = SLICE("http"),
                           .authority = SLICE("example.com"),
                           .host = SLICE("example.com"),
                           .path = SLICE("/a/b"),
                           .query = slice_from_str(cases[i].query)};
        struct cache_object object = {.status = 0};
        struct http_request request;
        struct http_response response;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_POST, cases[i].request);
        request.framing = FRAMING_LENGTH;
        request.content_length = 5;
        response = response_from(&arena, cases[i].status, cases[i].response);
        assert_int_equal(
            post_admit(&arena, &settings, &request, &base, &response, NOW_S, NOW_S, &object),
            cases[i].want);
        assert_int_equal(object.status, cases[i].want == REASON_STORED ? cases[i].status : 0);
        request.method = METHOD_PUT;
        assert_int_equal(
            post_admit(&arena, &settings, &request, &base, &response, NOW_S, NOW_S, &object),
            REASON_METHOD);
        arena_fini(&arena);
    }
}

/* The operator's lifetimes are not the response's word either. */
static void
lifetimes_of_the_site(void **state)
{
    static const struct cache_status_ttl ttl = {200, 60};
    static const struct cache_settings settings[] = {{.default_ttl_s = 60},
                                                     {.status_ttls = &ttl, .status_ttls_n = 1}};
    const struct url base = {.scheme = SLICE("http"),
                             .authority = SLICE("example.com"),
                             .host = SLICE("example.com"),
                             .path = SLICE("/")};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        struct http_request request;
        struct http_response response;
        struct cache_object object;
        struct arena arena;

        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_POST, "");
        response = response_from(&arena, 200, "Content-Location: /");
        assert_int_equal(
            post_admit(&arena, &settings[i], &request, &base, &response, NOW_S, NOW_S, &object),
            REASON_NO_FRESHNESS);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admitted),
        cmocka_unit_test(lifetimes_of_the_site),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
