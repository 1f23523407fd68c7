/* The content of a QUERY in the secondary key. RFC 10008 section 2.7. */
#include "cache_fixture.h"

#include "cache/vary.h"

#define JSON "Content-Type: application/json"
#define DESCRIBED(type) "=?content-type" type "\n=?content-encoding\n=?content-language\n"

static void
texts(void **state)
{
    static const struct {
        const char *why, *fields, *keyed;
        struct slice content;
        const char *want;
    } cases[] = {
        {"2.7: content and its type", JSON, "", SLICE("{\"q\": 1}"),
         DESCRIBED(": application/json") "=?content-location\n=?: {\"q\": 1}\n"},
        {"2.7: behind the site's fields", JSON, "=x: 1\n", SLICE("a"),
         "=x: 1\n" DESCRIBED(": application/json") "=?content-location\n=?: a\n"},
        {"2.7: all that describes it",
         JSON "\nContent-Encoding: gzip\nContent-Language: de\nContent-Location: /q", "",
         SLICE("a"),
         "=?content-type: application/json\n=?content-encoding: gzip\n=?content-language: de\n"
         "=?content-location: /q\n=?: a\n"},
        {"2.7: field lines stay apart", "Content-Encoding: a\nContent-Encoding: b", "", SLICE("a"),
         "=?content-type\n=?content-encoding: a\x1f"
         "b\n=?content-language\n=?content-location\n=?: a\n"},
        {"2.7: one line whatever it holds", "", "", SLICE("\n\r%a\0\xff\x7f ~"),
         DESCRIBED("") "=?content-location\n=?: %0a%0d%25a%00%ff%7f ~\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_request request;
        struct slice keyed = slice_from_str(cases[i].keyed);

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_QUERY, cases[i].fields);
        assert_int_equal(cache_keyed_add_query(&arena, &request, cases[i].content, &keyed), OK);
        assert_text(keyed, cases[i].want);
        arena_fini(&arena);
    }
}

/* What was stored for one content is found for that alone; and no Vary is covered by a content. */
static void
matches(void **state)
{
    static const struct slice contents[] = {SLICE("a"),    SLICE("ab"),         SLICE("a\n"),
                                            SLICE("a%0a"), SLICE("x-new: 1\n"), SLICE("\n=?: a")};
    struct slice vary[ARRAY_LEN(contents)], keyed[ARRAY_LEN(contents)];
    struct http_request request, get;
    struct http_response response, newer;
    struct arena arena;
    uint64_t variant;

    (void)state;
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_QUERY, JSON "\nFoo: 1");
    get = request_from(&arena, METHOD_GET, "Foo: 1");
    response = response_from(&arena, 200, "Vary: Foo");
    newer = response_from(&arena, 200, "Vary: X-New");
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        keyed[i] = SLICE_NONE;
        assert_int_equal(cache_keyed_add_query(&arena, &request, contents[i], &keyed[i]), OK);
        assert_int_equal(cache_vary_build(&arena, keyed[i], 0, &request.fields, &response.fields,
                                          &vary[i], &variant),
                         OK);
        assert_false(cache_vary_matches(vary[i], SLICE_NONE, &get.fields));
        assert_false(cache_vary_covers(vary[i], 0, &newer.fields));
        assert_true(cache_vary_covers(vary[i], 0, &response.fields));
    }
    for (size_t i = 0; i < ARRAY_LEN(contents); i++)
        for (size_t j = 0; j < ARRAY_LEN(contents); j++)
            assert_int_equal(cache_vary_matches(vary[i], keyed[j], &request.fields), i == j);
    assert_false(cache_vary_matches(SLICE("foo: 1\n"), keyed[0], &request.fields));
    arena_fini(&arena);
}

static void
no_memory(void **state)
{
    struct slice keyed = SLICE("before");
    struct http_request request;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_QUERY, JSON);
    arena.used_max = arena.used_len;
    assert_int_equal(cache_keyed_add_query(&arena, &request, SLICE("a"), &keyed), ERR_NOMEM);
    assert_text(keyed, "before");
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(matches),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
