/* Field values: classes of characters, lists, directives, dates, tags, weights, ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "http/chars.h"
#include "http/field.h"

#define LETTERS_AND_DIGITS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static void
want_text(const char *why, struct slice got, const char *want)
{
    if (!slice_is(got, want))
        fail_msg("%s: \"%.*s\", not \"%s\"", why, SLICE_ARGS(got), want);
}

/* The table of classes against the grammars written as sets. */
static void
classes(void **state)
{
    static const struct {
        unsigned class;
        const char *set;
        bool vchar, obs_text;
    } cases[] = {
        {CH_TOKEN, "!#$%&'*+-.^_`|~" LETTERS_AND_DIGITS, false, false}, /* RFC 9110 section 5.6.2 */
        {CH_VALUE, " \t", true, true},                                  /* RFC 9110 section 5.5 */
        {CH_DIGIT, "0123456789", false, false},
        {CH_HEX, "0123456789abcdefABCDEF", false, false},
        {CH_PATH, "/:@-._~!$&'()*+,;=" LETTERS_AND_DIGITS, false, false}, /* RFC 3986 section 3.3 */
        {CH_QUERY, "?/:@-._~!$&'()*+,;=[]{}|^`" LETTERS_AND_DIGITS, false, false},
        {CH_REGNAME, "-._~!$&'()*+;=" LETTERS_AND_DIGITS, false, false}, /* section 3.2.2 */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int c = 0; c < 256; c++) {
            bool want = (c != 0 && strchr(cases[i].set, c) != NULL) ||
                        (cases[i].vchar && c > 0x20 && c < 0x7f) || (cases[i].obs_text && c > 0x7f);

            if (char_is((char)c, cases[i].class) != want)
                fail_msg("class %u, byte 0x%02x", cases[i].class, (unsigned)c);
        }
    for (int c = 0; c < 256; c++) /* etagc: RFC 9110 section 8.8.3 */
        assert_int_equal(char_is((char)c, CH_ETAG),
                         c == 0x21 || (c >= 0x23 && c <= 0x7e) || c >= 0x80);
}

static void
tokens_and_values(void **state)
{
    static const struct {
        const char *text;
        bool token, value;
    } cases[] = {
        {"a", true, true},       {"", false, true},     {"a b", false, true},
        {" a", false, false},    {"a ", false, false},  {"\ta", false, false},
        {"a\t", false, false},   {"a\tb", false, true}, {"a\x01", false, false},
        {"a\x7f", false, false}, {"\xe4", false, true}, {"a\r\n", false, false},
        {" ", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(http_is_token(slice_from_str(cases[i].text)), cases[i].token);
        assert_int_equal(http_is_field_value(slice_from_str(cases[i].text)), cases[i].value);
    }
}

/* A list of fields from "name: value" texts; the arena is ended by the caller. */
static void
make_fields(struct http_fields *fields, struct arena *arena, const char *name,
            const char *const *values, size_t n)
{
    arena_init(arena, 0);
    assert_int_equal(http_fields_init(fields, arena, 8), OK);
    for (size_t i = 0; i < n && values[i] != NULL; i++)
        assert_int_equal(http_fields_add(fields, slice_from_str(name), slice_from_str(values[i])),
                         OK);
}

/* RFC 9110 sections 5.3 and 5.6.1: members joined by "|". */
static void
lists(void **state)
{
    static const struct {
        const char *why;
        const char *values[3];
        const char *want;
    } cases[] = {
        {"one", {"a"}, "a|"},
        {"several", {"a,b ,\tc"}, "a|b|c|"},
        {"empty members", {",, a ,,b, ,"}, "a|b|"},
        {"commas alone", {" , ,\t,"}, ""},
        {"an empty value", {""}, ""},
        {"several fields", {"a, b", "", "c"}, "a|b|c|"},
        {"blanks inside stay", {"a b, c"}, "a b|c|"},
        {"a comma in quotes", {"a=\"b,c\", d"}, "a=\"b,c\"|d|"},
        {"an escaped quote in quotes", {"\"a\\\",b\",c"}, "\"a\\\",b\"|c|"},
        {"an escaped backslash before the quote", {"\"a\\\\\",b"}, "\"a\\\\\"|b|"},
        {"a backslash outside quotes", {"a\\,b"}, "a\\|b|"},
        {"two quoted strings", {"\"a\"x\",\",b"}, "\"a\"x\",\"|b|"},
        {"an open quote takes the rest of its field", {"a,\"b,c", "d"}, "a|\"b,c|d|"},
        {"a backslash at the end", {"\"a\\"}, "\"a\\|"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int known = 0; known < 2; known++) {
            const char *name = known ? "vary" : "X-List";
            struct http_fields fields;
            struct http_list list;
            struct arena arena;
            struct slice member;
            char got[128];
            size_t len = 0;

            make_fields(&fields, &arena, name, cases[i].values, 3);
            if (known)
                http_list_begin(&list, &fields, HTTP_VARY);
            else
                http_list_begin_name(&list, &fields, SLICE("x-list"));
            while (http_list_next(&list, &member))
                len += (size_t)snprintf(got + len, sizeof(got) - len, "%.*s|", SLICE_ARGS(member));
            want_text(cases[i].why, slice_of(got, len), cases[i].want);
            assert_false(http_list_next(&list, &member));
            arena_fini(&arena);
        }
    }
}

static void
directives(void **state)
{
    static const struct {
        const char *text;
        const char *name;  /* NULL: malformed */
        const char *value; /* NULL: no "=" */
    } cases[] = {
        {"a", "a", NULL},
        {"max-age=5", "max-age", "5"},
        {"a=b", "a", "b"},
        {"a=\"b c\"", "a", "b c"},
        {"a=\"\"", "a", ""},
        {"a=\"b\\\"c\"", "a", "b\\\"c"},
        {"a=\"b\\\\\"", "a", "b\\\\"},
        {"", NULL, NULL},
        {"=b", NULL, NULL},
        {"a=", NULL, NULL},
        {"a =b", NULL, NULL},
        {"a= b", NULL, NULL},
        {"a b", NULL, NULL},
        {"a=b c", NULL, NULL},
        {"a=b=c", NULL, NULL},
        {"a=\"", NULL, NULL},
        {"a=\"b", NULL, NULL},
        {"a=\"b\\\"", NULL, NULL},
        {"a=\"b\"c", NULL, NULL},
        {"a=\"b\"\"c\"", NULL, NULL},
        {"a=b\"", NULL, NULL},
        {"a='b'", "a", "'b'"},
        {"\"a\"", NULL, NULL},
        {"a;b", NULL, NULL},
        {"a=\"\x01\"", NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice name = SLICE("-"), value = SLICE("-");
        bool good = http_directive(slice_from_str(cases[i].text), &name, &value);

        if (good != (cases[i].name != NULL))
            fail_msg("%s", cases[i].text);
        want_text(cases[i].text, name, good ? cases[i].name : "-");
        if (good && cases[i].value == NULL)
            assert_null(value.ptr);
        else
            want_text(cases[i].text, value, good ? cases[i].value : "-");
        if (good && cases[i].value != NULL)
            assert_non_null(value.ptr);
    }
}

/* RFC 9110 section 5.6.7 */
static void
dates_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
        {"Fri, 01 Mar 2024 00:00:00 GMT", 1709251200},
        {"Mon, 01 Mar 2100 00:00:00 GMT", 4107542400},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* a leap second */
        {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777},  /* the day's name is not checked */
        {"Mon, 01 Jan 0001 00:00:00 GMT", -62135596800},
        {"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t got = 1;

        if (!http_date_parse(slice_from_str(cases[i].text), 1700000000, &got) ||
            got != cases[i].want)
            fail_msg("%s: %lld", cases[i].text, (long long)got);
    }
}

static void
dates_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "0",
        "-1",
        "Sun",
        "Sun,",
        "Sun ",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun,  06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06  Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 29 Feb 2100 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08.49.37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 19940 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT",
        "Sunday,06-Nov-94 08:49:37 GMT",
        "Sonday, 06-Nov-94 08:49:37 GMT",
        "Sunday, 31-Feb-94 08:49:37 GMT",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  06 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  0 08:49:37 1994",
        "1994-11-06T08:49:37Z",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t got = 7;

        if (http_date_parse(slice_from_str(cases[i]), 1700000000, &got))
            fail_msg("%s: %lld", cases[i], (long long)got);
        assert_int_equal(got, 7);
    }
}

/* RFC 9110 section 5.6.7: more than 50 years ahead is in the past. */
static void
short_years(void **state)
{
    static const struct {
        const char *text;
        int64_t now_s, want;
    } cases[] = {
        {"Saturday, 01-Jan-00 00:00:00 GMT", 1700000000, 946684800},  /* 2000 */
        {"Thursday, 01-Jan-70 00:00:00 GMT", 1700000000, 3155760000}, /* 2070: 47 years ahead */
        {"Monday, 01-Jan-73 00:00:00 GMT", 1700000000, 3250454400},   /* 2073: not quite 50 */
        {"Monday, 31-Dec-73 00:00:00 GMT", 1700000000, 126144000},    /* more than 50: 1973 */
        {"Tuesday, 01-Jan-74 00:00:00 GMT", 1700000000, 126230400},   /* 1974 */
        {"Friday, 01-Jan-99 00:00:00 GMT", 1700000000, 915148800},    /* 1999 */
        {"Saturday, 01-Jan-01 00:00:00 GMT", 4085000000, 4133980800}, /* in 2099: 2101 */
        {"Wednesday, 01-Jan-69 00:00:00 GMT", 0, -31536000},          /* in 1970: 1969 */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t got = 1;

        if (!http_date_parse(slice_from_str(cases[i].text), cases[i].now_s, &got) ||
            got != cases[i].want)
            fail_msg("%s: %lld", cases[i].text, (long long)got);
    }
}

/* What is written is what the C library writes, and is read back. */
static void
dates_are_written(void **state)
{
    char text[HTTP_DATE_LEN + 1], want[64];
    uint64_t seed = 1;

    http_date_format(784111777, text);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date_format(-5, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date_format(INT64_MAX, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    for (unsigned i = 0; i < 20000; i++) {
        time_t at_s;
        int64_t back = -1;
        struct tm tm;

        seed = seed * 6364136223846793005U + 1442695040888963407U;
        at_s = (time_t)((seed >> 20) % (i % 2 == 0 ? 4102444800U : 253402300800U));
        assert_non_null(gmtime_r(&at_s, &tm));
        assert_int_equal(strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm),
                         HTTP_DATE_LEN);
        http_date_format(at_s, text);
        assert_string_equal(text, want);
        assert_true(http_date_parse(slice_from_str(text), 0, &back));
        assert_int_equal(back, at_s);
    }
}

/* RFC 9111 section 1.2.2 */
static void
deltas(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint32_t want;
    } cases[] = {
        {"0", true, 0},
        {"5", true, 5},
        {"0060", true, 60},
        {"2147483647", true, 2147483647},
        {"2147483648", true, 2147483648},
        {"2147483649", true, 2147483648},
        {"99999999999999999999999999999", true, 2147483648},
        {"000000000000000000000000000007", true, 7},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {"1.0", false, 0},
        {"1s", false, 0},
        {" 1", false, 0},
        {"a", false, 0},
        {"99999999999999999999a", false, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t got = 3;

        if (http_delta_s(slice_from_str(cases[i].text), &got) != cases[i].good)
            fail_msg("%s", cases[i].text);
        assert_int_equal(got, cases[i].good ? cases[i].want : 3);
    }
}

/* RFC 9110 section 8.8.3 */
static void
etags(void **state)
{
    static const struct {
        const char *text;
        const char *opaque; /* NULL: malformed */
        bool weak;
    } cases[] = {
        {"\"a\"", "\"a\"", false},
        {"W/\"a\"", "\"a\"", true},
        {"\"\"", "\"\"", false},
        {"\"a,b\"", "\"a,b\"", false},
        {"\"\xe4\"", "\"\xe4\"", false},
        {"\"\\\"", "\"\\\"", false},
        {"w/\"a\"", NULL, false},
        {"W/a", NULL, false},
        {"a", NULL, false},
        {"\"a", NULL, false},
        {"a\"", NULL, false},
        {"\"", NULL, false},
        {"\"a\"b", NULL, false},
        {"\"a b\"", NULL, false},
        {"\"a\"b\"", NULL, false},
        {"W /\"a\"", NULL, false},
        {"W/ \"a\"", NULL, false},
        {"", NULL, false},
        {"*", NULL, false},
        {"W/", NULL, false},
        {"\"a\" ", NULL, false},
        {"'a'", NULL, false},
        {"\"\x7f\"", NULL, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_etag got = {SLICE("-"), false};
        bool good = http_etag_parse(slice_from_str(cases[i].text), &got);

        if (good != (cases[i].opaque != NULL))
            fail_msg("%s", cases[i].text);
        want_text(cases[i].text, got.opaque, good ? cases[i].opaque : "-");
        assert_int_equal(got.weak, cases[i].weak);
    }
}

/* RFC 9110 section 8.8.3.2 */
static void
etag_comparison(void **state)
{
    static const struct {
        const char *a, *b;
        bool strong, weak;
    } cases[] = {
        {"W/\"1\"", "W/\"1\"", false, true}, {"W/\"1\"", "W/\"2\"", false, false},
        {"W/\"1\"", "\"1\"", false, true},   {"\"1\"", "\"1\"", true, true},
        {"\"1\"", "\"2\"", false, false},    {"\"a\"", "\"A\"", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_etag a, b;

        assert_true(http_etag_parse(slice_from_str(cases[i].a), &a));
        assert_true(http_etag_parse(slice_from_str(cases[i].b), &b));
        assert_int_equal(http_etag_equal_strong(&a, &b), cases[i].strong);
        assert_int_equal(http_etag_equal_strong(&b, &a), cases[i].strong);
        assert_int_equal(http_etag_equal_weak(&a, &b), cases[i].weak);
        assert_int_equal(http_etag_equal_weak(&b, &a), cases[i].weak);
    }
}

static void
etag_lists(void **state)
{
    static const struct {
        const char *text, *want; /* opaque parts, each after "w" when weak */
        bool whole;
    } cases[] = {
        {"\"a\"", "\"a\"", true},
        {"\"a\", W/\"b\",\"c\"", "\"a\"w\"b\"\"c\"", true},
        {" , \"a\" ,, \"b\" ,", "\"a\"\"b\"", true},
        {"\"a,b\", \"c\"", "\"a,b\"\"c\"", true},
        {"", "", true},
        {", ,", "", true},
        {"*", "", false},
        {"\"a\" \"b\"", "", false},
        {"\"a\", b", "\"a\"", false},
        {"\"a\", \"b", "\"a\"", false},
        {"\"a\"b", "", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = slice_from_str(cases[i].text);
        struct http_etag etag;
        char got[64];
        size_t len = 0;

        while (http_etag_take(&rest, &etag))
            len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%.*s", etag.weak ? "w" : "",
                                    SLICE_ARGS(etag.opaque));
        want_text(cases[i].text, slice_of(got, len), cases[i].want);
        assert_int_equal(rest.len == 0, cases[i].whole);
    }
}

/* RFC 9110 sections 12.4.2 and 12.5.3 */
static void
weights(void **state)
{
    static const struct {
        const char *values[3];
        int want; /* of gzip */
    } cases[] = {
        {{NULL}, -1},
        {{""}, -1},
        {{"gzip"}, 1000},
        {{"GZip"}, 1000},
        {{"br, gzip"}, 1000},
        {{"br", "gzip"}, 1000},
        {{"br"}, -1},
        {{"gzip;q=0"}, 0},
        {{"gzip;q=0.0"}, 0},
        {{"gzip;q=0.000"}, 0},
        {{"gzip;q=1"}, 1000},
        {{"gzip;q=1.000"}, 1000},
        {{"gzip;q=0.5"}, 500},
        {{"gzip;q=0.05"}, 50},
        {{"gzip;q=0.123"}, 123},
        {{"gzip;q=0."}, 0},
        {{"gzip;q=1."}, 1000},
        {{"gzip ; q=0.5"}, 500},
        {{"gzip;\tQ=0.5"}, 500},
        {{"gzip;a=b;q=0.5"}, 500},
        {{"*"}, 1000},
        {{"*;q=0"}, 0},
        {{"*;q=0.1, gzip;q=0.9"}, 900},
        {{"gzip;q=0, *"}, 0},
        {{"br;q=1, *;q=0.2"}, 200},
        {{"gzip;q=0.3, gzip;q=0.6"}, 300},
        {{"gzipx"}, -1},
        {{"xgzip, gzi"}, -1},
        {{"gzip;q=1.001"}, 0},
        {{"gzip;q=2"}, 0},
        {{"gzip;q=0.1234"}, 0},
        {{"gzip;q=.5"}, 0},
        {{"gzip;q=-1"}, 0},
        {{"gzip;q="}, 0},
        {{"gzip;q=a"}, 0},
        {{"gzip;q=0,5"}, 0},
        {{"gzip;q=0.5a"}, 0},
        {{"gzip;q=0a"}, 0},
        {{"gzip;q=10"}, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_fields fields;
        struct arena arena;
        int got;

        make_fields(&fields, &arena, "Accept-Encoding", cases[i].values, 3);
        got = http_weight(&fields, HTTP_ACCEPT_ENCODING, SLICE("gzip"));
        if (got != cases[i].want)
            fail_msg("%s: %d", cases[i].values[0], got);
        arena_fini(&arena);
    }
}

/* RFC 9110 section 14.1.2 */
static void
ranges(void **state)
{
    static const struct {
        const char *text;
        enum err want;
        size_t n;
        struct http_range ranges[3];
    } cases[] = {
        {"bytes=0-499", OK, 1, {{0, 499, false, false}}},
        {"bytes=500-999", OK, 1, {{500, 999, false, false}}},
        {"bytes=-500", OK, 1, {{0, 500, true, false}}},
        {"bytes=9500-", OK, 1, {{9500, UINT64_MAX, false, true}}},
        {"bytes=0-0", OK, 1, {{0, 0, false, false}}},
        {"bytes=0-0,-1", OK, 2, {{0, 0, false, false}, {0, 1, true, false}}},
        {"bytes= 0-1 ,\t2-3,,4- ",
         OK,
         3,
         {{0, 1, false, false}, {2, 3, false, false}, {4, UINT64_MAX, false, true}}},
        {"Bytes=1-2", OK, 1, {{1, 2, false, false}}},
        {"bytes=-0", OK, 1, {{0, 0, true, false}}},
        {"bytes=001-002", OK, 1, {{1, 2, false, false}}},
        {"bytes=0-99999999999999999999999", OK, 1, {{0, UINT64_MAX, false, false}}},
        {"bytes=99999999999999999999999-", OK, 1, {{UINT64_MAX, UINT64_MAX, false, true}}},
        {"bytes=0-1,2-3,4-5,6-7", ERR_LIMIT, 0, {{0}}},
        {"bytes=", ERR_SYNTAX, 0, {{0}}},
        {"bytes=,", ERR_SYNTAX, 0, {{0}}},
        {"bytes", ERR_SYNTAX, 0, {{0}}},
        {"", ERR_SYNTAX, 0, {{0}}},
        {"=0-1", ERR_SYNTAX, 0, {{0}}},
        {"octets=0-1", ERR_SYNTAX, 0, {{0}}},
        {"bytes =0-1", ERR_SYNTAX, 0, {{0}}},
        {" bytes=0-1", ERR_SYNTAX, 0, {{0}}},
        {"bytes:0-1", ERR_SYNTAX, 0, {{0}}},
        {"bytes=1-0", ERR_SYNTAX, 0, {{0}}},
        {"bytes=0-1,3-2", ERR_SYNTAX, 0, {{0}}},
        {"bytes=-", ERR_SYNTAX, 0, {{0}}},
        {"bytes=1", ERR_SYNTAX, 0, {{0}}},
        {"bytes=--1", ERR_SYNTAX, 0, {{0}}},
        {"bytes=1--2", ERR_SYNTAX, 0, {{0}}},
        {"bytes=1-2-3", ERR_SYNTAX, 0, {{0}}},
        {"bytes=a-b", ERR_SYNTAX, 0, {{0}}},
        {"bytes=0x0-0x1", ERR_SYNTAX, 0, {{0}}},
        {"bytes=0 - 1", ERR_SYNTAX, 0, {{0}}},
        {"bytes=+0-1", ERR_SYNTAX, 0, {{0}}},
        {"bytes=0-1;2-3", ERR_SYNTAX, 0, {{0}}},
        {"bytes=0-1 2-3", ERR_SYNTAX, 0, {{0}}},
        {"bytes=0.0-1", ERR_SYNTAX, 0, {{0}}},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_range got[3];
        size_t n = 0;
        enum err rc = http_range_parse(slice_from_str(cases[i].text), got, 3, &n);

        if (rc != cases[i].want || n != cases[i].n)
            fail_msg("%s: %s, %zu", cases[i].text, err_name(rc), n);
        for (size_t r = 0; r < n; r++) {
            assert_true(got[r].first == cases[i].ranges[r].first);
            assert_true(got[r].last == cases[i].ranges[r].last);
            assert_int_equal(got[r].suffix, cases[i].ranges[r].suffix);
            assert_int_equal(got[r].open, cases[i].ranges[r].open);
        }
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),         cmocka_unit_test(tokens_and_values),
        cmocka_unit_test(lists),           cmocka_unit_test(directives),
        cmocka_unit_test(dates_are_read),  cmocka_unit_test(dates_are_refused),
        cmocka_unit_test(short_years),     cmocka_unit_test(dates_are_written),
        cmocka_unit_test(deltas),          cmocka_unit_test(etags),
        cmocka_unit_test(etag_comparison), cmocka_unit_test(etag_lists),
        cmocka_unit_test(weights),         cmocka_unit_test(ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
