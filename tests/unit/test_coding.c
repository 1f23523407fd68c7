/* Which coding a response has and which of them a client takes. RFC 9110 sections 8.4, 12.5.3. */
#include "cache_fixture.h"

#include <stdio.h>

#include "http/coding.h"

static void
names(void **state)
{
    static const struct {
        const char *why, *name;
        int want; /* -1: none */
    } cases[] = {
        {"8.4.1.3: gzip", "gzip", CODING_GZIP},
        {"8.4.1: case does not matter", "GZip", CODING_GZIP},
        {"8.4.1.3: x-gzip", "x-gzip", CODING_GZIP},
        {"8.4.1.3: X-GZIP", "X-GZIP", CODING_GZIP},
        {"RFC 7932: br", "br", CODING_BR},
        {"RFC 8878: zstd", "zstd", CODING_ZSTD},
        {"12.5.3: identity", "identity", CODING_IDENTITY},
        {"8.4.1.2: deflate is not ours", "deflate", -1},
        {"8.4.1.1: nor compress", "compress", -1},
        {"nor a name that one begins", "gzi", -1},
        {"nor one that begins with one", "gzipx", -1},
        {"nor x-br", "x-br", -1},
        {"nothing", "", -1},
        {"*", "*", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum http_coding got = CODING_COUNT;

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(coding_from(slice_from_str(cases[i].name), &got), cases[i].want >= 0);
        assert_int_equal(got, cases[i].want >= 0 ? cases[i].want : CODING_COUNT);
    }
    for (int coding = 0; coding < CODING_COUNT; coding++) {
        enum http_coding got;

        assert_true(coding_from(slice_from_str(coding_name(coding)), &got));
        assert_int_equal(got, coding);
    }
}

static void
of_responses(void **state)
{
    static const struct {
        const char *why, *lines;
        int want; /* -1: not to be touched */
    } cases[] = {
        {"8.4: no field", "Content-Type: text/html", CODING_IDENTITY},
        {"8.4: gzip", "Content-Encoding: gzip", CODING_GZIP},
        {"8.4.1: case", "Content-Encoding: BR", CODING_BR},
        {"8.4.1.3: x-gzip", "Content-Encoding: x-gzip", CODING_GZIP},
        {"8.4: zstd", "Content-Encoding: zstd", CODING_ZSTD},
        {"5.6.1: empty members", "Content-Encoding: , gzip,,", CODING_GZIP},
        {"5.6.1: a field without members", "Content-Encoding: ,", CODING_IDENTITY},
        {"8.4: an empty field", "Content-Encoding:", CODING_IDENTITY},
        {"8.4: identity, that ought not to be there", "Content-Encoding: identity",
         CODING_IDENTITY},
        {"8.4: several in one", "Content-Encoding: gzip, br", -1},
        {"8.4: one applied twice", "Content-Encoding: gzip, gzip", -1},
        {"5.3: several fields", "Content-Encoding: gzip\nContent-Encoding: gzip", -1},
        {"8.4: one beside identity", "Content-Encoding: gzip, identity", -1},
        {"8.4: unknown", "Content-Encoding: aws-chunked", -1},
        {"8.4.1.2: deflate", "Content-Encoding: deflate", -1},
        {"8.4: an unknown one behind", "Content-Encoding: br, dcb", -1},
        {"8.4: no token", "Content-Encoding: gzip;q=1", -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum http_coding got = CODING_COUNT;
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].lines, &fields);
        assert_int_equal(coding_of_response(&fields, &got), cases[i].want >= 0);
        assert_int_equal(got, cases[i].want >= 0 ? cases[i].want : CODING_COUNT);
        arena_fini(&arena);
    }
}

static void
accept_from(const char *lines, struct coding_accept *out)
{
    struct http_fields fields;
    struct arena arena;

    arena_init(&arena, 0);
    fields_from(&arena, lines, &fields);
    coding_accept_parse(&fields, out);
    arena_fini(&arena);
}

static void
accepted(void **state)
{
    static const struct {
        const char *why, *lines;
        uint16_t want[CODING_COUNT]; /* identity, gzip, br, zstd */
    } cases[] = {
        {"12.5.3: no field: identity alone", "Accept: */*", {1, 0, 0, 0}},
        {"12.5.3: an empty field", "Accept-Encoding:", {1, 0, 0, 0}},
        {"5.6.1: no members", "Accept-Encoding: , ,", {1, 0, 0, 0}},
        {"12.5.3: one", "Accept-Encoding: gzip", {1, 1000, 0, 0}},
        {"12.5.3: all", "Accept-Encoding: gzip, deflate, br, zstd", {1, 1000, 1000, 1000}},
        {"5.3: several fields", "Accept-Encoding: gzip\nAccept-Encoding: br", {1, 1000, 1000, 0}},
        {"5.6.1: empty members", "Accept-Encoding: ,gzip,,br,", {1, 1000, 1000, 0}},
        {"8.4.1: case", "Accept-Encoding: GZIP, Br", {1, 1000, 1000, 0}},
        {"8.4.1.3: x-gzip", "Accept-Encoding: x-gzip;q=0.5", {1, 500, 0, 0}},
        {"12.4.2: weights",
         "Accept-Encoding: gzip;q=0.001, br;q=0.25, zstd;q=1.000",
         {1, 1, 250, 1000}},
        {"12.4.2: blanks and Q", "Accept-Encoding: gzip\t; Q=0.5 , br ;q=0.", {1, 500, 0, 0}},
        {"12.4.2: 0 is not acceptable", "Accept-Encoding: gzip;q=0, br", {1, 0, 1000, 0}},
        {"12.5.3: identity is named",
         "Accept-Encoding: identity;q=0.5, gzip;q=0.2",
         {500, 200, 0, 0}},
        {"12.5.3: identity;q=0", "Accept-Encoding: identity;q=0, gzip", {0, 1000, 0, 0}},
        {"12.5.3: nothing else", "Accept-Encoding: identity;q=0", {0, 0, 0, 0}},
        {"12.5.3: *", "Accept-Encoding: *", {1, 1000, 1000, 1000}},
        {"12.5.3: * with a weight", "Accept-Encoding: *;q=0.3", {1, 300, 300, 300}},
        {"12.5.3: * is for those not named",
         "Accept-Encoding: *;q=0.3, br, gzip;q=0",
         {1, 0, 1000, 300}},
        {"12.5.3: *;q=0 excludes identity too", "Accept-Encoding: *;q=0, gzip", {0, 1000, 0, 0}},
        {"12.5.3: unless it is named", "Accept-Encoding: identity, *;q=0", {1000, 0, 0, 0}},
        {"12.5.3: *;q=0 alone", "Accept-Encoding: *;q=0", {0, 0, 0, 0}},
        {"12.5.3: unknown codings", "Accept-Encoding: sdch, dcz;q=0.9, zstd", {1, 0, 0, 1000}},
        {"12.5.3: unknown ones only", "Accept-Encoding: deflate", {1, 0, 0, 0}},
        {"named twice: the first", "Accept-Encoding: gzip;q=0.5, gzip;q=0.9", {1, 500, 0, 0}},
        {"named by both of its names", "Accept-Encoding: x-gzip;q=0, gzip", {1, 0, 0, 0}},
        {"* twice: the first", "Accept-Encoding: *;q=0, *", {0, 0, 0, 0}},
        {"12.4.2: too large a weight", "Accept-Encoding: gzip;q=1.5, br", {1, 0, 1000, 0}},
        {"12.4.2: no number", "Accept-Encoding: gzip;q=high, br", {1, 0, 1000, 0}},
        {"12.4.2: a negative one", "Accept-Encoding: gzip;q=-1", {1, 0, 0, 0}},
        {"12.4.2: too many digits", "Accept-Encoding: gzip;q=0.1234, br", {1, 0, 1000, 0}},
        {"12.4.2: no weight", "Accept-Encoding: gzip;q=, br", {1, 0, 1000, 0}},
        {"12.5.3: nothing behind ;", "Accept-Encoding: gzip;, br", {1, 0, 1000, 0}},
        {"12.5.3: another parameter", "Accept-Encoding: gzip;level=9, br", {1, 0, 1000, 0}},
        {"12.5.3: one behind the weight", "Accept-Encoding: gzip;q=1;x=1, br", {1, 0, 1000, 0}},
        {"12.5.3: no name", "Accept-Encoding: ;q=1, br", {1, 0, 1000, 0}},
        {"12.5.3: a malformed *", "Accept-Encoding: *;q=x, br", {1, 0, 1000, 0}},
        {"a malformed member does not hide the next",
         "Accept-Encoding: gzip;q=x, gzip",
         {1, 1000, 0, 0}},
        {"12.5.3: two words", "Accept-Encoding: gzip br", {1, 0, 0, 0}},
        {"5.6.4: quoted", "Accept-Encoding: \"gzip\", br", {1, 0, 1000, 0}},
        {"5.6.4: a quote that nothing closes",
         "Accept-Encoding: zstd, \"gzip, br",
         {1, 0, 0, 1000}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct coding_accept got;

        print_message("case: %s\n", cases[i].why);
        accept_from(cases[i].lines, &got);
        for (int coding = 0; coding < CODING_COUNT; coding++)
            assert_int_equal(got.weight[coding], cases[i].want[coding]);
    }
}

#define IDENTITY CODING_BIT(CODING_IDENTITY)
#define GZIP CODING_BIT(CODING_GZIP)
#define BR CODING_BIT(CODING_BR)
#define ZSTD CODING_BIT(CODING_ZSTD)

static void
choices(void **state)
{
    static const uint8_t order[] = {CODING_BR, CODING_ZSTD, CODING_GZIP};
    static const struct {
        const char *why, *accept;
        unsigned offered;
        size_t order_n;
        int want;
        bool acceptable;
    } cases[] = {
        {"the site's order", "gzip, deflate, br, zstd", IDENTITY | GZIP | BR | ZSTD, 3, CODING_BR,
         true},
        {"12.4.2: weights come first", "gzip, br;q=0.9, zstd;q=0.9", IDENTITY | GZIP | BR | ZSTD, 3,
         CODING_GZIP, true},
        {"equal weights: the order", "gzip;q=0.5, zstd;q=0.5", IDENTITY | GZIP | BR | ZSTD, 3,
         CODING_ZSTD, true},
        {"what is not offered", "br, gzip;q=0.1", IDENTITY | GZIP, 3, CODING_GZIP, true},
        {"12.5.3: * takes the first", "*", IDENTITY | GZIP | BR | ZSTD, 3, CODING_BR, true},
        {"one that is in no order, before identity", "gzip, identity", IDENTITY | GZIP, 0,
         CODING_GZIP, true},
        {"and behind those that are", "*", GZIP | BR, 1, CODING_BR, true},
        {"12.5.3: identity that is not named comes last", "gzip;q=0.001", IDENTITY | GZIP, 3,
         CODING_GZIP, true},
        {"12.5.3: identity that is preferred", "identity, gzip;q=0.9", IDENTITY | GZIP, 3,
         CODING_IDENTITY, true},
        {"12.5.3: identity when nothing else", "deflate", IDENTITY | GZIP | BR, 3, CODING_IDENTITY,
         true},
        {"12.5.3: nothing is acceptable: identity", "identity;q=0", IDENTITY | GZIP | BR, 3,
         CODING_IDENTITY, false},
        {"12.5.3: *;q=0", "*;q=0", IDENTITY | GZIP | BR | ZSTD, 3, CODING_IDENTITY, false},
        {"not acceptable and no identity", "br", GZIP, 3, CODING_GZIP, false},
        {"identity alone is offered", "br, gzip", IDENTITY, 3, CODING_IDENTITY, true},
        {"and excluded", "br, *;q=0", IDENTITY, 3, CODING_IDENTITY, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum http_coding got = CODING_COUNT;
        struct coding_accept accept;
        char lines[128];

        print_message("case: %s\n", cases[i].why);
        (void)snprintf(lines, sizeof(lines), "Accept-Encoding: %s", cases[i].accept);
        accept_from(lines, &accept);
        assert_int_equal(coding_choose(&accept, cases[i].offered, order, cases[i].order_n, &got),
                         cases[i].acceptable);
        assert_int_equal(got, cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(of_responses),
        cmocka_unit_test(accepted),
        cmocka_unit_test(choices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
