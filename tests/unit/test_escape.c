/* Every byte, and every kind of character, in every form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <string.h>

#include "base/escape.h"

static char out[1024];

static const char *
escaped(enum escape_form form, struct slice text)
{
    size_t n = escape_write(form, &text, out, sizeof(out) - 1);

    assert_int_equal(text.len, 0);
    out[n] = '\0';
    return out;
}

static void
every_byte_alone(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        char byte = (char)i, text[8], json[8];

        (void)snprintf(text, sizeof(text), "\\x%02x", i);
        (void)snprintf(json, sizeof(json), "\\u%04x", i);
        if (i == '"' || i == '\\') {
            (void)snprintf(text, sizeof(text), "\\%c", (int)i);
            (void)snprintf(json, sizeof(json), "\\%c", (int)i);
        } else if (i >= 0x20 && i < 0x7f) {
            (void)snprintf(text, sizeof(text), "%c", (int)i);
            (void)snprintf(json, sizeof(json), "%c", (int)i);
        }
        assert_string_equal(escaped(ESCAPE_TEXT, slice_of(&byte, 1)), text);
        assert_string_equal(escaped(ESCAPE_ASCII, slice_of(&byte, 1)), text);
        assert_string_equal(escaped(ESCAPE_JSON, slice_of(&byte, 1)), json);
        if (i == '"' || i == '\\')
            (void)snprintf(text, sizeof(text), "%c", (int)i);
        assert_string_equal(escaped(ESCAPE_SHOWN, slice_of(&byte, 1)), text);
    }
}

static void
characters_by_kind(void **state)
{
    static const struct {
        const char *why, *in, *text, *ascii, *json;
    } cases[] = {
        {"nothing", "", "", "", ""},
        {"two bytes", "\xc3\xa4", "\xc3\xa4", "\\xc3\\xa4", "\xc3\xa4"},
        {"three bytes", "\xe2\x82\xac", "\xe2\x82\xac", "\\xe2\\x82\\xac", "\xe2\x82\xac"},
        {"four bytes", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\\xf0\\x9f\\x98\\x80",
         "\xf0\x9f\x98\x80"},
        {"the last of all", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", "\\xf4\\x8f\\xbf\\xbf",
         "\xf4\x8f\xbf\xbf"},
        {"the first control of C1", "\xc2\x80", "\\xc2\\x80", "\\xc2\\x80", "\\u0080"},
        {"CSI in one character", "\xc2\x9b", "\\xc2\\x9b", "\\xc2\\x9b", "\\u009b"},
        {"the last control of C1", "\xc2\x9f", "\\xc2\\x9f", "\\xc2\\x9f", "\\u009f"},
        {"what follows it is none", "\xc2\xa0", "\xc2\xa0", "\\xc2\\xa0", "\xc2\xa0"},
        {"a line separator", "\xe2\x80\xa8", "\\xe2\\x80\\xa8", "\\xe2\\x80\\xa8", "\\u2028"},
        {"right to left from here", "\xe2\x80\xae", "\\xe2\\x80\\xae", "\\xe2\\x80\\xae",
         "\\u202e"},
        {"what follows it is none", "\xe2\x80\xaf", "\xe2\x80\xaf", "\\xe2\\x80\\xaf",
         "\xe2\x80\xaf"},
        {"an isolate", "\xe2\x81\xa6", "\\xe2\\x81\\xa6", "\\xe2\\x81\\xa6", "\\u2066"},
        {"a byte order mark", "\xef\xbb\xbf", "\\xef\\xbb\\xbf", "\\xef\\xbb\\xbf", "\\ufeff"},
        {"an overlong quote", "\xc0\xa2", "\\xc0\\xa2", "\\xc0\\xa2", "\\u00c0\\u00a2"},
        {"an overlong slash of three", "\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\xe0\\x80\\xaf",
         "\\u00e0\\u0080\\u00af"},
        {"an overlong one of four", "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf",
         "\\xf0\\x80\\x80\\xaf", "\\u00f0\\u0080\\u0080\\u00af"},
        {"half of a pair", "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80",
         "\\u00ed\\u00a0\\u0080"},
        {"past the last", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80",
         "\\u00f4\\u0090\\u0080\\u0080"},
        {"cut within", "a\xe2\x82", "a\\xe2\\x82", "a\\xe2\\x82", "a\\u00e2\\u0082"},
        {"a quote where more should follow", "\xe2\"x", "\\xe2\\\"x", "\\xe2\\\"x", "\\u00e2\\\"x"},
        {"two lines", "a\r\nb", "a\\x0d\\x0ab", "a\\x0d\\x0ab", "a\\u000d\\u000ab"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice in = slice_from_str(cases[i].in);

        print_message("case: %s\n", cases[i].why);
        assert_string_equal(escaped(ESCAPE_TEXT, in), cases[i].text);
        assert_string_equal(escaped(ESCAPE_ASCII, in), cases[i].ascii);
        assert_string_equal(escaped(ESCAPE_JSON, in), cases[i].json);
    }
}

/* Never half of a character or of an escape; what did not fit is left. */
static void
only_what_fits_whole(void **state)
{
    static const char in[] = "a\x1b\xe2\x82\xac\"";
    static const struct {
        size_t cap;
        const char *text;
        size_t left;
    } cases[] = {{0, "", 6},
                 {1, "a", 5},
                 {4, "a", 5},
                 {5, "a\\x1b", 4},
                 {7, "a\\x1b", 4},
                 {8, "a\\x1b\xe2\x82\xac", 1},
                 {9, "a\\x1b\xe2\x82\xac", 1},
                 {10, "a\\x1b\xe2\x82\xac\\\"", 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = slice_from_str(in);
        size_t n = escape_write(ESCAPE_TEXT, &rest, out, cases[i].cap);

        assert_int_equal(rest.len, cases[i].left);
        assert_int_equal(n, strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, n);
    }
}

/* Pairs of bytes: whatever they are, it grows by no more than said. */
static void
growth_is_bounded(void **state)
{
    static const enum escape_form forms[] = {ESCAPE_TEXT, ESCAPE_ASCII, ESCAPE_SHOWN, ESCAPE_JSON};

    (void)state;
    for (size_t form = 0; form < ARRAY_LEN(forms); form++) {
        for (unsigned i = 0; i < 65536; i++) {
            const char pair[] = {(char)(i >> 8), (char)i};
            struct slice rest = slice_of(pair, 2);
            size_t n = escape_write(forms[form], &rest, out, 2 * ESCAPE_GROWTH_MAX);

            assert_int_equal(rest.len, 0);
            for (size_t j = 0; j < n; j++)
                assert_true((unsigned char)out[j] >= 0x20 && out[j] != 0x7f);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_alone),
        cmocka_unit_test(characters_by_kind),
        cmocka_unit_test(only_what_fits_whole),
        cmocka_unit_test(growth_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
