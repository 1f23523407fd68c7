/* Which coding goes to whom: RFC 9110 section 12.5.3. The parsing of Accept-Encoding is
 * http/coding's, and tested there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/represent.h"

static const struct variant_settings all = {
    .codings = {CODING_BR, CODING_ZSTD, CODING_GZIP}, .codings_n = 3, .decode = true};

static struct http_fields
accepting(struct arena *arena, const char *const *lines)
{
    struct http_fields fields;

    assert_int_equal(http_fields_init(&fields, arena, 8), OK);
    for (; *lines != NULL; lines++)
        assert_int_equal(http_fields_add(&fields, SLICE("Accept-Encoding"), slice_from_str(*lines)),
                         OK);
    return fields;
}

enum { CODABLE = CACHE_CODABLE, CODED = CACHE_CODED, BOTH = CACHE_CODABLE | CACHE_CODED };

static void
the_best_that_there_is(void **state)
{
    static const struct {
        const char *why, *accept;
        unsigned flags;
        enum http_coding own;
        bool as_it_is;
        enum http_coding want;
        bool fits;
    } cases[] = {
        {"the site's order decides among equals", "gzip, zstd, br", CODABLE, CODING_IDENTITY, false,
         CODING_BR, true},
        {"weights before that", "gzip, zstd;q=0.9", CODABLE, CODING_IDENTITY, false, CODING_GZIP,
         true},
        {"identity may be liked best", "br;q=0.5, identity", CODABLE, CODING_IDENTITY, false,
         CODING_IDENTITY, true},
        {"nothing that is known", "x-own", CODABLE, CODING_IDENTITY, false, CODING_IDENTITY, true},
        {"section 12.5.3: identity excluded", "zstd, identity;q=0", CODABLE, CODING_IDENTITY, false,
         CODING_ZSTD, true},
        {"... with nothing else: it goes all the same", "identity;q=0", CODABLE, CODING_IDENTITY,
         false, CODING_IDENTITY, false},
        {"RFC 9111 section 5.2.1.6: no-transform", "br", CODABLE, CODING_IDENTITY, true,
         CODING_IDENTITY, true},
        {"the origin's coding, when nothing is liked better", "br, gzip", BOTH, CODING_GZIP, false,
         CODING_GZIP, true},
        {"... but not when something is", "br, gzip;q=0.8", BOTH, CODING_GZIP, false, CODING_BR,
         true},
        {"... which cannot be had of this", "br, gzip;q=0.8", CODED, CODING_GZIP, false,
         CODING_GZIP, true},
        {"who does not take it has it decoded", "x-own", CODED, CODING_GZIP, false, CODING_IDENTITY,
         true},
        {"... or in what he insists on", "zstd, identity;q=0", BOTH, CODING_GZIP, false,
         CODING_ZSTD, true},
        {"no-transform: whatever he takes", "x-own", BOTH, CODING_GZIP, true, CODING_GZIP, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cache_object object = {.flags = (uint16_t)cases[i].flags, .coding = cases[i].own};
        struct represent_memo memo = {.known = false};
        enum http_coding coding;
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields = accepting(&arena, (const char *const[]){cases[i].accept, NULL});
        assert_int_equal(represent_choose(&all, &object, represent_accept(&memo, &fields),
                                          cases[i].as_it_is, &coding),
                         cases[i].fits);
        assert_int_equal(coding, cases[i].want);
        arena_fini(&arena);
    }
}

/* One memo for all: what it remembers is never taken for what the next one says. */
static void
the_memo_is_of_the_same_value(void **state)
{
    static char longer[REPRESENT_MEMO_MAX + 8];
    static const struct {
        const char *lines[3];
        bool gzip, br;
    } cases[] = {
        {{NULL}, false, false},       {{"gzip"}, true, false}, {{"gzip"}, true, false},
        {{"gzip", "br"}, true, true}, {{"gzip"}, true, false}, {{""}, false, false},
        {{"gzip, br"}, true, true},   {{NULL}, false, false},  {{"br"}, false, true},
        {{longer}, true, false},      {{"br"}, false, true},   {{longer}, true, false},
        {{"", "br"}, false, true},    {{""}, false, false},    {{"bR"}, false, true},
    };
    struct represent_memo memo = {.known = false};

    (void)state;
    memset(longer, ' ', sizeof(longer) - 1);
    memcpy(longer, "gzip,", 5);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct coding_accept *accept;
        struct http_fields fields;
        struct arena arena;

        arena_init(&arena, 0);
        fields = accepting(&arena, cases[i].lines);
        accept = represent_accept(&memo, &fields);
        assert_int_equal(accept->weight[CODING_GZIP] > 0, cases[i].gzip);
        assert_int_equal(accept->weight[CODING_BR] > 0, cases[i].br);
        assert_true(accept->weight[CODING_IDENTITY] > 0);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_that_there_is),
        cmocka_unit_test(the_memo_is_of_the_same_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
