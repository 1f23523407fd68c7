/* Text as pointer and length: comparison, cutting, numbers with units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

static struct slice
text(const char *literal)
{
    return slice_from_str(literal);
}

static void
equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal, nocase;
    } cases[] = {
        {"", "", true, true},
        {"a", "a", true, true},
        {"a", "A", false, true},
        {"a", "b", false, false},
        {"a", "ab", false, false},
        {"ab", "a", false, false},
        {"", "a", false, false},
        {"AbC", "aBc", false, true},
        {"[", "{", false, false},
        {"@", "`", false, false},
        {"Z", "z", false, true},
        {"\xc4", "\xe4", false, false},
        {"a-1_z", "A-1_Z", false, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(slice_equal(text(cases[i].a), text(cases[i].b)), cases[i].equal);
        assert_int_equal(slice_is(text(cases[i].a), cases[i].b), cases[i].equal);
        assert_int_equal(slice_equal_nocase(text(cases[i].a), text(cases[i].b)), cases[i].nocase);
        assert_int_equal(slice_is_nocase(text(cases[i].a), cases[i].b), cases[i].nocase);
    }
    assert_true(slice_equal(SLICE_NONE, text("")));
    assert_true(slice_equal_nocase(SLICE_NONE, text("")));
    assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
}

static void
prefixes_and_suffixes(void **state)
{
    static const struct {
        const char *text, *part;
        bool starts, ends;
    } cases[] = {
        {"abc", "", true, true},       {"abc", "a", true, false},     {"abc", "c", false, true},
        {"abc", "abc", true, true},    {"abc", "abcd", false, false}, {"", "a", false, false},
        {"", "", true, true},          {"aba", "a", true, true},      {"abc", "A", false, false},
        {"abc", "xabc", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(slice_starts(text(cases[i].text), text(cases[i].part)), cases[i].starts);
        assert_int_equal(slice_ends(text(cases[i].text), text(cases[i].part)), cases[i].ends);
    }
    assert_true(slice_starts(SLICE_NONE, SLICE_NONE));
}

static void
trimming(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"a", "a"}, {" a", "a"}, {"a\t", "a"},       {" \t a b \t ", "a b"},
        {"", ""},   {" \t", ""}, {"\na\r", "\na\r"}, {"\va\f", "\va\f"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_true(slice_is(slice_trim(text(cases[i].in)), cases[i].want));
    assert_int_equal(slice_trim(SLICE_NONE).len, 0);
}

static void
parts(void **state)
{
    struct slice rest = SLICE("a=b=c"), before;
    size_t at = 9;

    assert_true(slice_is(slice_first(rest, 2), "a="));
    assert_true(slice_is(slice_first(rest, 99), "a=b=c"));
    assert_true(slice_is(slice_skip(rest, 4), "c"));
    assert_int_equal(slice_skip(rest, 5).len, 0);
    assert_null(slice_skip(SLICE_NONE, 0).ptr);

    assert_true(slice_find(rest, '=', &at));
    assert_int_equal(at, 1);
    at = 9;
    assert_false(slice_find(rest, 'x', &at));
    assert_false(slice_find(SLICE_NONE, 'x', &at));
    assert_int_equal(at, 9);

    assert_true(slice_cut(&rest, '=', &before));
    assert_true(slice_is(before, "a"));
    assert_true(slice_cut(&rest, '=', &before));
    assert_true(slice_is(before, "b"));
    assert_false(slice_cut(&rest, '=', &before));
    assert_true(slice_is(before, "c"));
    assert_int_equal(rest.len, 0);
    assert_false(slice_cut(&rest, '=', &before));
    assert_int_equal(before.len, 0);
}

static void
numbers(void **state)
{
    static const struct {
        const char *in;
        bool takes, whole;
        uint64_t want;
        const char *rest;
    } cases[] = {
        {"0", true, true, 0, ""},
        {"42", true, true, 42, ""},
        {"0042", true, true, 42, ""},
        {"42x", true, false, 42, "x"},
        {"4 2", true, false, 4, " 2"},
        {"18446744073709551615", true, true, UINT64_MAX, ""},
        {"18446744073709551616", false, false, 0, "18446744073709551616"},
        {"99999999999999999999", false, false, 0, "99999999999999999999"},
        {"", false, false, 0, ""},
        {"x", false, false, 0, "x"},
        {"-1", false, false, 0, "-1"},
        {"+1", false, false, 0, "+1"},
        {" 1", false, false, 0, " 1"},
        {"/", false, false, 0, "/"},
        {":", false, false, 0, ":"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = text(cases[i].in);
        uint64_t taken = 7, whole = 7;

        assert_int_equal(slice_take_u64(&rest, &taken), cases[i].takes);
        assert_true(taken == (cases[i].takes ? cases[i].want : 7));
        assert_true(slice_is(rest, cases[i].rest));
        assert_int_equal(slice_to_u64(text(cases[i].in), &whole), cases[i].whole);
        assert_true(whole == (cases[i].whole ? cases[i].want : 7));
    }
}

static void
durations(void **state)
{
    static const struct {
        const char *in;
        enum err rc;
        uint64_t want;
    } cases[] = {
        {"250ms", OK, 250},
        {"3s", OK, 3000},
        {"3", OK, 3000},
        {"0", OK, 0},
        {"5m", OK, 300000},
        {"2h", OK, 7200000},
        {"1d", OK, 86400000},
        {"1D", OK, 86400000},
        {"10MS", OK, 10},
        {"18446744073709551615ms", OK, UINT64_MAX},
        {"18446744073709551615s", ERR_RANGE, 0},
        {"18446744073709551616ms", ERR_RANGE, 0},
        {"300000000000d", ERR_RANGE, 0},
        {"", ERR_SYNTAX, 0},
        {"s", ERR_SYNTAX, 0},
        {"-1s", ERR_SYNTAX, 0},
        {"1.5s", ERR_SYNTAX, 0},
        {"1 s", ERR_SYNTAX, 0},
        {"1w", ERR_SYNTAX, 0},
        {"1sec", ERR_SYNTAX, 0},
        {"1h30m", ERR_SYNTAX, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t got = 7;
        enum err rc = slice_to_duration_ms(text(cases[i].in), &got);

        if (rc != cases[i].rc || (rc == OK && got != cases[i].want))
            fail_msg("%s: %s, %llu", cases[i].in, err_name(rc), (unsigned long long)got);
    }
}

static void
byte_sizes(void **state)
{
    static const struct {
        const char *in;
        enum err rc;
        uint64_t want;
    } cases[] = {
        {"0", OK, 0},
        {"512", OK, 512},
        {"512b", OK, 512},
        {"4k", OK, 4096},
        {"4KB", OK, 4096},
        {"64MB", OK, 64ULL << 20},
        {"64m", OK, 64ULL << 20},
        {"10GB", OK, 10ULL << 30},
        {"1t", OK, 1ULL << 40},
        {"1Tb", OK, 1ULL << 40},
        {"16777215t", OK, 16777215ULL << 40},
        {"16777216t", ERR_RANGE, 0},
        {"18446744073709551616", ERR_RANGE, 0},
        {"", ERR_SYNTAX, 0},
        {"k", ERR_SYNTAX, 0},
        {"1kib", ERR_SYNTAX, 0},
        {"1 k", ERR_SYNTAX, 0},
        {"1.5g", ERR_SYNTAX, 0},
        {"-1k", ERR_SYNTAX, 0},
        {"1p", ERR_SYNTAX, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t got = 7;
        enum err rc = slice_to_bytes(text(cases[i].in), &got);

        if (rc != cases[i].rc || (rc == OK && got != cases[i].want))
            fail_msg("%s: %s, %llu", cases[i].in, err_name(rc), (unsigned long long)got);
    }
}

static void
copies(void **state)
{
    char *copy = slice_to_str(SLICE("abc"));

    assert_string_equal(copy, "abc");
    mem_free(copy);
    copy = slice_to_str(SLICE_NONE);
    assert_string_equal(copy, "");
    mem_free(copy);
    mem_fail_at(1);
    assert_null(slice_to_str(SLICE("abc")));
}

static void
numbers_become_digits(void **state)
{
    static const struct {
        uint64_t n;
        const char *want;
    } cases[] = {{0, "0"}, {9, "9"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char digits[U64_DIGITS_MAX];

        assert_true(slice_is(slice_from_u64(cases[i].n, digits), cases[i].want));
    }
}

static void
sets_are_in_order_and_once(void **state)
{
    static const char *const items[] = {"b", "a", "ab", "b", "", "\xff", "a"};
    static const char *const want[] = {"", "a", "ab", "b", "\xff"};
    struct slice set[ARRAY_LEN(items)];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        slice_insert(set, &n, slice_from_str(items[i]));
    assert_int_equal(n, ARRAY_LEN(want));
    for (size_t i = 0; i < n; i++)
        assert_true(slice_is(set[i], want[i]));
    assert_true(slice_compare(SLICE("a"), SLICE("ab")) < 0);
    assert_true(slice_compare(SLICE("b"), SLICE("ab")) > 0);
    assert_int_equal(slice_compare(SLICE_NONE, SLICE("")), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_digits),
        cmocka_unit_test(equality),
        cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(trimming),
        cmocka_unit_test(parts),
        cmocka_unit_test(numbers),
        cmocka_unit_test(durations),
        cmocka_unit_test(byte_sizes),
        cmocka_unit_test(copies),
        cmocka_unit_test(sets_are_in_order_and_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
