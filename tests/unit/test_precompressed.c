/* Files beside the original: which are thought of, which answers can be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/h1_parse.h"
#include "proxy/precompressed.h"

static const struct h1_limits limits = {.line_max = 4096, .head_max = 16384, .fields_max = 50};

static void
file_names(void **state)
{
    static const struct {
        const char *path;
        enum http_coding coding;
        const char *want; /* NULL: none */
    } cases[] = {
        {"/app.js", CODING_BR, "/app.js.br"},    {"/app.js", CODING_GZIP, "/app.js.gz"},
        {"/app.js", CODING_ZSTD, "/app.js.zst"}, {"/a%20b", CODING_BR, "/a%20b.br"},
        {"/app.js", CODING_IDENTITY, NULL},      {"/", CODING_BR, NULL},
        {"/folder/", CODING_BR, NULL},           {"", CODING_BR, NULL},
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice out = SLICE_NONE;
        bool found =
            precompressed_path(&arena, slice_from_str(cases[i].path), cases[i].coding, &out);

        print_message("case: %s in %s\n", cases[i].path, coding_name(cases[i].coding));
        assert_int_equal(found, cases[i].want != NULL);
        if (found)
            assert_true(slice_is(out, cases[i].want));
    }
    arena_fini(&arena);
}

static void
answers(void **state)
{
    static const struct {
        const char *why, *head;
        bool suits;
    } cases[] = {
        {"a file of that type", "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n", true},
        {"RFC 9110 section 8.4: the coding of the file",
         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n", true},
        {"RFC 9110 section 8.4.1.3: x-gzip is gzip",
         "HTTP/1.1 200 OK\r\nContent-Encoding: x-gzip\r\n", true},
        {"coded otherwise", "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n", false},
        {"coded twice", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\n", false},
        {"there is none", "HTTP/1.1 404 Not Found\r\n", false},
        {"it is elsewhere", "HTTP/1.1 302 Found\r\nLocation: /b\r\n", false},
        {"a part", "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\n", false},
        {"the origin fails", "HTTP/1.1 500 No\r\n", false},
        {"RFC 9111 section 5.2.2.5: it must not be stored",
         "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n", false},
        {"RFC 9111 section 5.2.2.7: it is for one alone",
         "HTTP/1.1 200 OK\r\nCache-Control: private\r\n", false},
        {"it need not be fresh: its bytes are compared",
         "HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\n", true},
    };
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_response response;
        struct h1_fault fault;
        struct slice head;

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(arena_printf(&arena, &head, "%sContent-Length: 5\r\n\r\n", cases[i].head),
                         OK);
        assert_int_equal(h1_parse_response(head, METHOD_GET, &limits, &arena, &response, &fault),
                         OK);
        assert_int_equal(precompressed_suits(&response, CODING_GZIP), cases[i].suits);
    }
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(file_names), cmocka_unit_test(answers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
