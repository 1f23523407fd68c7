/* Cache-Control: what is granted, what is withheld, and what doubt does. RFC 9111 section 5.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/cachectl.h"

static void
parse(const char *const *values, size_t n, struct cachectl *out)
{
    struct http_fields fields;
    struct arena arena;

    arena_init(&arena, 0);
    assert_int_equal(http_fields_init(&fields, &arena, (unsigned)n), OK);
    for (size_t i = 0; i < n && values[i] != NULL; i++)
        assert_int_equal(
            http_fields_add(&fields, SLICE("Cache-Control"), slice_from_str(values[i])), OK);
    cachectl_parse(&fields, out);
    arena_fini(&arena);
}

static void
flags(void **state)
{
    static const struct {
        const char *why;
        const char *values[2];
        uint32_t want;
    } cases[] = {
        {"no field", {NULL}, 0},
        {"an empty field", {""}, 0},
        {"no-store", {"no-store"}, CC_NO_STORE},
        {"section 5.2: names in any case", {"No-STORE"}, CC_NO_STORE},
        {"several", {"public, must-revalidate"}, CC_PUBLIC | CC_MUST_REVALIDATE},
        {"several fields", {"public", "no-transform"}, CC_PUBLIC | CC_NO_TRANSFORM},
        {"every one without an argument",
         {"no-store, no-cache, private, public, must-revalidate, proxy-revalidate, "
          "must-understand, "
          "no-transform, immutable, only-if-cached"},
         CC_NO_STORE | CC_NO_CACHE | CC_PRIVATE | CC_PUBLIC | CC_MUST_REVALIDATE |
             CC_PROXY_REVALIDATE | CC_MUST_UNDERSTAND | CC_NO_TRANSFORM | CC_IMMUTABLE |
             CC_ONLY_IF_CACHED},
        {"section 5.2.2.4: no-cache", {"no-cache"}, CC_NO_CACHE},
        {"section 5.2.2.4: no-cache of fields", {"no-cache=\"a, b\""}, CC_NO_CACHE_FIELDS},
        {"section 5.2.2.4: the token form", {"no-cache=a"}, CC_NO_CACHE_FIELDS},
        {"section 5.2.2.4: Set-Cookie can be left out",
         {"no-cache=\"Set-Cookie, X-A\""},
         CC_NO_CACHE_FIELDS},
        {"what the content is cannot be left out", {"no-cache=\"a, content-type\""}, CC_NO_CACHE},
        {"nor what it is judged by", {"private=\"vary\""}, CC_PRIVATE},
        {"a list that names what is no field", {"no-cache=\"a, b c\""}, CC_NO_CACHE},
        {"no-cache of commas is no-cache", {"no-cache=\" , ,\""}, CC_NO_CACHE},
        {"no-cache of nothing is no-cache", {"no-cache=\"\""}, CC_NO_CACHE},
        {"malformed no-cache is no-cache", {"no-cache="}, CC_NO_CACHE},
        {"malformed no-cache, blanks", {"no-cache = a"}, CC_NO_CACHE},
        {"both forms", {"no-cache, no-cache=\"a\""}, CC_NO_CACHE | CC_NO_CACHE_FIELDS},
        {"section 5.2.2.7: private", {"private"}, CC_PRIVATE},
        {"section 5.2.2.7: private fields", {"private=\"a\""}, CC_PRIVATE_FIELDS},
        {"malformed private is private", {"private=\"a\"b"}, CC_PRIVATE},
        {"no-store with an argument holds", {"no-store=1"}, CC_NO_STORE},
        {"no-store with a malformed argument holds", {"no-store=a b"}, CC_NO_STORE},
        {"public with an argument is unknown", {"public=1"}, 0},
        {"public, malformed", {"public="}, 0},
        {"must-understand with an argument is unknown", {"must-understand=1"}, 0},
        {"RFC 8246: immutable with an argument is unknown", {"immutable=0"}, 0},
        {"section 5.2.3: unknown ones are ignored", {"a, b=c, no-store, d=\"e, f\""}, CC_NO_STORE},
        {"a name in a quoted string is none", {"a=\"no-store\""}, 0},
        {"a list in a quoted string is none", {"a=\"b, no-store, max-age=5\""}, 0},
        {"a longer name", {"no-storex, xno-store"}, 0},
        {"an underscore", {"no_store"}, 0},
        {"an open quote may hide a no-store", {"public, a=\"b, no-store"}, CC_PUBLIC | CC_NO_STORE},
        {"an open quote by an escape", {"a=\"b\\\", public"}, CC_NO_STORE},
        {"semicolons do not separate", {"public; no-store"}, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cachectl got;

        parse(cases[i].values, 2, &got);
        if (got.flags != cases[i].want)
            fail_msg("%s: %#x, not %#x", cases[i].why, got.flags, cases[i].want);
    }
}

static void
numbers(void **state)
{
    static const struct {
        const char *why;
        const char *values[2];
        struct cachectl want;
    } cases[] = {
        {"max-age", {"max-age=5"}, {.flags = CC_MAX_AGE, .max_age_s = 5}},
        {"section 5.2: any case", {"Max-Age=5"}, {.flags = CC_MAX_AGE, .max_age_s = 5}},
        {"section 5.2: quoted too", {"max-age=\"5\""}, {.flags = CC_MAX_AGE, .max_age_s = 5}},
        {"s-maxage",
         {"s-maxage=7, max-age=5"},
         {.flags = CC_MAX_AGE | CC_S_MAXAGE, .max_age_s = 5, .s_maxage_s = 7}},
        {"section 1.2.2: too large",
         {"max-age=99999999999999"},
         {.flags = CC_MAX_AGE, .max_age_s = 2147483648}},
        {"section 4.2.1: the smaller of two",
         {"max-age=9, max-age=3"},
         {.flags = CC_MAX_AGE, .max_age_s = 3}},
        {"section 4.2.1: over two fields",
         {"max-age=3", "max-age=9"},
         {.flags = CC_MAX_AGE, .max_age_s = 3}},
        {"section 4.2.1: malformed is stale", {"max-age=a"}, {.flags = CC_MAX_AGE}},
        {"section 4.2.1: negative", {"max-age=-5"}, {.flags = CC_MAX_AGE}},
        {"section 4.2.1: a fraction", {"max-age=5.5"}, {.flags = CC_MAX_AGE}},
        {"section 4.2.1: no number", {"max-age"}, {.flags = CC_MAX_AGE}},
        {"section 4.2.1: an empty number", {"max-age="}, {.flags = CC_MAX_AGE}},
        {"section 4.2.1: blanks", {"max-age = 5"}, {.flags = CC_MAX_AGE}},
        {"section 4.2.1: single quotes", {"max-age='5'"}, {.flags = CC_MAX_AGE}},
        {"section 4.2.1: malformed beside a good one",
         {"max-age=5, max-age=a"},
         {.flags = CC_MAX_AGE}},
        {"section 4.2.1: malformed s-maxage",
         {"s-maxage=x, max-age=5"},
         {.flags = CC_MAX_AGE | CC_S_MAXAGE, .max_age_s = 5}},
        {"section 5.2.1.3: min-fresh", {"min-fresh=5"}, {.flags = CC_MIN_FRESH, .min_fresh_s = 5}},
        {"section 5.2.1.3: the larger of two",
         {"min-fresh=5, min-fresh=9, min-fresh=7"},
         {.flags = CC_MIN_FRESH, .min_fresh_s = 9}},
        {"section 5.2.1.3: malformed", {"min-fresh=a, min-fresh"}, {.flags = 0}},
        {"section 5.2.1.2: max-stale", {"max-stale=5"}, {.flags = CC_MAX_STALE, .max_stale_s = 5}},
        {"section 5.2.1.2: of any age",
         {"max-stale"},
         {.flags = CC_MAX_STALE, .max_stale_s = UINT32_MAX}},
        {"section 5.2.1.2: any age and a number",
         {"max-stale, max-stale=5"},
         {.flags = CC_MAX_STALE, .max_stale_s = 5}},
        {"section 5.2.1.2: malformed allows nothing", {"max-stale=a"}, {.flags = CC_MAX_STALE}},
        {"section 5.2.1.2: an empty number allows nothing",
         {"max-stale="},
         {.flags = CC_MAX_STALE}},
        {"RFC 5861 section 3",
         {"stale-while-revalidate=30"},
         {.flags = CC_STALE_WHILE_REVALIDATE, .stale_while_revalidate_s = 30}},
        {"RFC 5861 section 4",
         {"stale-if-error=60"},
         {.flags = CC_STALE_IF_ERROR, .stale_if_error_s = 60}},
        {"RFC 5861: the smaller of two",
         {"stale-if-error=60, stale-if-error=6"},
         {.flags = CC_STALE_IF_ERROR, .stale_if_error_s = 6}},
        {"RFC 5861: malformed allows nothing",
         {"stale-while-revalidate=x"},
         {.flags = CC_STALE_WHILE_REVALIDATE}},
        {"RFC 5861: no number allows nothing",
         {"stale-while-revalidate"},
         {.flags = CC_STALE_WHILE_REVALIDATE}},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cachectl got;

        parse(cases[i].values, 2, &got);
        if (memcmp(&got, &cases[i].want, sizeof(got)) != 0)
            fail_msg("%s: flags %#x, %u %u %u %u %u %u", cases[i].why, got.flags, got.max_age_s,
                     got.s_maxage_s, got.min_fresh_s, got.max_stale_s, got.stale_while_revalidate_s,
                     got.stale_if_error_s);
    }
}

/* Another field of the same grammar (RFC 9213) is read alone. */
static void
another_field(void **state)
{
    struct http_fields fields;
    struct cachectl got;
    struct arena arena;

    arena_init(&arena, 0);
    assert_int_equal(http_fields_init(&fields, &arena, 2), OK);
    assert_int_equal(http_fields_add(&fields, SLICE("Cache-Control"), SLICE("no-store")), OK);
    assert_int_equal(http_fields_add(&fields, SLICE("Pragma"), SLICE("max-age=5")), OK);
    cachectl_parse_field(&fields, HTTP_PRAGMA, &got);
    assert_int_equal(got.flags, CC_MAX_AGE);
    assert_int_equal(got.max_age_s, 5);
    arena_fini(&arena);
}

/* RFC 9213 section 2.1. `want` only when `ok`. */
static void
targeted(void **state)
{
    static const struct {
        const char *why;
        const char *lines[2];
        bool ok;
        struct cachectl want; /* CC_TARGETED is added */
    } cases[] = {
        {"no field", {NULL}, false, {0}},
        {"an empty one", {""}, false, {0}},
        {"max-age", {"max-age=60"}, true, {.flags = CC_MAX_AGE, .max_age_s = 60}},
        {"every directive", /* in two lines */
         {"max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4, no-store, no-cache",
          "private, public, must-revalidate, proxy-revalidate, must-understand, no-transform, "
          "immutable"},
         true,
         {.flags = CC_MAX_AGE | CC_S_MAXAGE | CC_STALE_WHILE_REVALIDATE | CC_STALE_IF_ERROR |
                   CC_NO_STORE | CC_NO_CACHE | CC_PRIVATE | CC_PUBLIC | CC_MUST_REVALIDATE |
                   CC_PROXY_REVALIDATE | CC_MUST_UNDERSTAND | CC_NO_TRANSFORM | CC_IMMUTABLE,
          .max_age_s = 1,
          .s_maxage_s = 2,
          .stale_while_revalidate_s = 3,
          .stale_if_error_s = 4}},
        {"section 2.1: 2^31 is the most",
         {"max-age=2147483648"},
         true,
         {.flags = CC_MAX_AGE, .max_age_s = UINT32_C(1) << 31}},
        {"section 2.1: more is no more",
         {"max-age=99999999999"},
         true,
         {.flags = CC_MAX_AGE, .max_age_s = UINT32_C(1) << 31}},
        {"RFC 9651 section 4.2.4: too many digits", {"max-age=9999999999999999"}, false, {0}},
        {"section 2.1: parameters mean nothing",
         {"max-age=3600;something, no-store;x=1"},
         true,
         {.flags = CC_MAX_AGE | CC_NO_STORE, .max_age_s = 3600}},
        {"section 2.2: unknown directives",
         {"foobar, max-age=60, x=(a b)"},
         true,
         {.flags = CC_MAX_AGE, .max_age_s = 60}},
        {"section 2.2: an unknown one alone decides", {"foo"}, true, {0}},
        {"section 2.1: a blank before =", {"max-age =100"}, false, {0}},
        {"section 2.1: a blank after =", {"max-age= 100"}, false, {0}},
        {"section 2.1: capitals are no key", {"MaX-aGe=60"}, false, {0}},
        {"section 2.1: one fault spoils all", {"max-age=10000, &&&&&"}, false, {0}},
        {"section 2.1: on another line too", {"max-age=10000", "no-store="}, false, {0}},
        {"RFC 9651 section 3.2: the last counts",
         {"max-age=1, max-age=60"},
         true,
         {.flags = CC_MAX_AGE, .max_age_s = 60}},
        {"RFC 9651 section 3.2: also of what it takes back",
         {"no-store, private=\"a\"", "no-store=?0, private=?0"},
         true,
         {0}},
        {"section 2.1: a String is no lifetime",
         {"max-age=\"10000\""},
         true,
         {.flags = CC_MAX_AGE}},
        {"section 2.1: nor is a Decimal",
         {"max-age=1.5, s-maxage=60.0"},
         true,
         {.flags = CC_MAX_AGE | CC_S_MAXAGE}},
        {"section 2.1: nor true", {"max-age"}, true, {.flags = CC_MAX_AGE}},
        {"section 2.1: nor what is below 0", {"max-age=-1"}, true, {.flags = CC_MAX_AGE}},
        {"section 2.1: nor a list",
         {"stale-while-revalidate=(1)"},
         true,
         {.flags = CC_STALE_WHILE_REVALIDATE}},
        {"section 2.1: false is not given", {"no-store=?0, no-cache=?0, public=?0"}, true, {0}},
        {"section 2.1: nor is a number",
         {"no-store=1, no-cache=1, public=1, immutable=1"},
         true,
         {0}},
        {"section 2.1: field names restrict the whole",
         {"no-cache=\"a, b\", private=a"},
         true,
         {.flags = CC_NO_CACHE | CC_PRIVATE}},
        {"section 2.1: no names are all",
         {"no-cache=\"\", private=\"\""},
         true,
         {.flags = CC_NO_CACHE | CC_PRIVATE}},
        {"of requests", {"max-stale, min-fresh=60"}, true, {0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cachectl got = {.flags = 1u << 31}, want = cases[i].want;
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(http_fields_init(&fields, &arena, 4), OK);
        for (size_t j = 0; j < 2 && cases[i].lines[j] != NULL; j++)
            assert_int_equal(http_fields_add(&fields, SLICE("CDN-Cache-Control"),
                                             slice_from_str(cases[i].lines[j])),
                             OK);
        assert_int_equal(cachectl_parse_targeted(&fields, SLICE("cdn-cache-control"), &got),
                         cases[i].ok);
        if (cases[i].ok)
            want.flags |= CC_TARGETED;
        else
            want.flags = 1u << 31; /* untouched */
        assert_memory_equal(&got, &want, sizeof(got));
        arena_fini(&arena);
    }
}

/* RFC 9110 section 7.6.1: it is not in the stored head, so it does not count the first time. */
static void
a_nominated_field_is_none(void **state)
{
    struct http_fields fields;
    struct cachectl got;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(http_fields_init(&fields, &arena, 4), OK);
    assert_int_equal(http_fields_add(&fields, SLICE("X-Cache-Control"), SLICE("max-age=1")), OK);
    assert_true(cachectl_parse_targeted(&fields, SLICE("x-cache-control"), &got));
    assert_int_equal(http_fields_add(&fields, SLICE("Connection"), SLICE("X-Cache-Control")), OK);
    assert_int_equal(http_fields_nominate_response(&fields), OK);
    assert_false(cachectl_parse_targeted(&fields, SLICE("x-cache-control"), &got));
    arena_fini(&arena);
}

/* RFC 9111 sections 5.2.2.4 and 5.2.2.7 */
static void
withheld_fields(void **state)
{
    static const struct {
        const char *why, *lines[2], *name;
        bool want;
    } cases[] = {
        {"5.2.2.4: named by no-cache", {"no-cache=\"a, b\""}, "a", true},
        {"5.2.2.4: the last of a list, in capitals", {"no-cache=\"a, B\""}, "b", true},
        {"5.2.2.4: the token form", {"no-cache=a"}, "A", true},
        {"5.2.2.7: named by private", {"max-age=5, private=\"set-cookie\""}, "Set-Cookie", true},
        {"in the second line", {"no-cache=\"a\"", "private=\"b\""}, "b", true},
        {"not named", {"no-cache=\"a, b\""}, "c", false},
        {"a part of a name", {"no-cache=\"abc\""}, "ab", false},
        {"named by another directive", {"x=\"a\""}, "a", false},
        {"no names at all", {"no-cache, private"}, "a", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(http_fields_init(&fields, &arena, 4), OK);
        for (size_t j = 0; j < 2 && cases[i].lines[j] != NULL; j++)
            assert_int_equal(
                http_fields_add(&fields, SLICE("Cache-Control"), slice_from_str(cases[i].lines[j])),
                OK);
        assert_int_equal(cachectl_withholds(&fields, slice_from_str(cases[i].name)), cases[i].want);
        arena_fini(&arena);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(targeted),      cmocka_unit_test(a_nominated_field_is_none),
        cmocka_unit_test(flags),         cmocka_unit_test(numbers),
        cmocka_unit_test(another_field), cmocka_unit_test(withheld_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
