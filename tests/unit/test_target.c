/* The target as a site wants it: parameters dropped, kept and sorted, the path's case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cache/target.h"

static void
check(const struct cache_target_rules *rules, const char *path, const char *query,
      const char *want_path, const char *want_query)
{
    struct slice got_path = slice_from_str(path), got_query = slice_from_str(query);
    struct arena arena;

    arena_init(&arena, 0);
    for (int i = 0; i < 2; i++) { /* twice is as good as once */
        assert_int_equal(cache_target_apply(&arena, rules, &got_path, &got_query), OK);
        if (!slice_is(got_path, want_path) || !slice_is(got_query, want_query))
            print_error("got %.*s%.*s\n", SLICE_ARGS(got_path), SLICE_ARGS(got_query));
        assert_true(slice_is(got_path, want_path));
        assert_true(slice_is(got_query, want_query));
    }
    arena_fini(&arena);
}

static void
queries(void **state)
{
    static const char *const drop[] = {"utm_*", "fbclid", "a[]"};
    static const char *const keep[] = {"id", "page*"};
    static const char *const all[] = {"*"};
    static const struct cache_target_rules none = {0}, dropping = {.drop = drop, .drop_n = 3},
                                           keeping = {.keep = keep, .keep_n = 2},
                                           dropping_all = {.drop = all, .drop_n = 1},
                                           sorting = {.sort = true},
                                           both = {.drop = drop, .drop_n = 3, .sort = true};
    static const struct {
        const char *why;
        const struct cache_target_rules *rules;
        const char *query, *want;
    } cases[] = {
        {"no rules", &none, "?b=1&utm_id=2&a=3", "?b=1&utm_id=2&a=3"},
        {"drop: no query", &dropping, "", ""},
        {"drop: an empty one", &dropping, "?", "?"},
        {"drop: nothing named", &dropping, "?a=1&b", "?a=1&b"},
        {"drop: the only one", &dropping, "?fbclid=x", ""},
        {"drop: the first", &dropping, "?fbclid=x&a=1", "?a=1"},
        {"drop: the last", &dropping, "?a=1&fbclid=x", "?a=1"},
        {"drop: all of a name", &dropping, "?fbclid=1&a&fbclid&fbclid=", "?a"},
        {"drop: any ending", &dropping, "?utm_source=m&utm_=&utm_x&a=1", "?a=1"},
        {"drop: what begins otherwise", &dropping, "?utm=1&xutm_a=2&UTM_a=3",
         "?utm=1&xutm_a=2&UTM_a=3"},
        {"drop: what is longer than a name", &dropping, "?fbclid2=1&fbcli=2", "?fbclid2=1&fbcli=2"},
        {"drop: brackets", &dropping, "?a[]=1&a=2&a[]", "?a=2"},
        {"drop: an encoded name is another", &dropping, "?utm%5Fid=1&fbclid=2", "?utm%5Fid=1"},
        {"drop: names are not in values", &dropping, "?a=fbclid=1&b=utm_x", "?a=fbclid=1&b=utm_x"},
        {"drop: a semicolon separates nothing", &dropping, "?a=1;fbclid=2", "?a=1;fbclid=2"},
        {"drop: empty ones stay", &dropping, "?&&fbclid=1&", "?&&"},
        {"drop: a question mark in it", &dropping, "?fbclid=1&?a", "?\?a"},
        {"drop: everything", &dropping_all, "?a=1&&b", ""},
        {"keep: nothing else", &keeping, "?x=1&id=2&y=3&page=4&pages=5", "?id=2&page=4&pages=5"},
        {"keep: none is there", &keeping, "?x=1", ""},
        {"keep: no query", &keeping, "", ""},
        {"keep: an empty one is not named", &keeping, "?", ""},
        {"keep: empty ones go", &keeping, "?&id&&", "?id"},
        {"keep: case counts", &keeping, "?ID=1&id=2", "?id=2"},
        {"keep: the order stays", &keeping, "?page=1&id=2", "?page=1&id=2"},
        {"sort: in order", &sorting, "?a=2&b=1", "?a=2&b=1"},
        {"sort: not in order", &sorting, "?b=1&a=2", "?a=2&b=1"},
        {"sort: those of one name keep theirs", &sorting, "?b=2&a=9&b=1&a=8&b=3&a=7",
         "?a=9&a=8&a=7&b=2&b=1&b=3"},
        {"sort: by the name alone", &sorting, "?ab=1&a=2&a", "?a=2&a&ab=1"},
        {"sort: bytes, not words", &sorting, "?b&B&a-b&a", "?B&a&a-b&b"},
        {"sort: empty ones come first", &sorting, "?b&&a&=1", "?&=1&a&b"},
        {"sort: an odd number", &sorting, "?e&d&c&b&a", "?a&b&c&d&e"},
        {"both: what is left is sorted", &both, "?z=1&utm_x=2&b=3&a=4&fbclid", "?a=4&b=3&z=1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        check(cases[i].rules, "/A", cases[i].query, "/A", cases[i].want);
    }
}

static void
paths(void **state)
{
    static const struct cache_target_rules lower = {.ignore_case = true};
    static const struct {
        const char *path, *want;
    } cases[] = {
        {"/", "/"},
        {"*", "*"},
        {"/a/b.html", "/a/b.html"},
        {"/A/b.HTML", "/a/b.html"},
        {"/a/Z", "/a/z"},
        {"/%2F%C3%A9/A%4aB", "/%2F%C3%A9/a%4ab"}, /* encodings stay as they came */
        {"/\xc3\x89", "/\xc3\x89"},               /* letters beyond ASCII too */
        {"/a%", "/a%"},
        {"/A%4", "/a%4"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(&lower, cases[i].path, "?Q=A", cases[i].want, "?Q=A");
}

/* As many parameters as there can be: dropped all the same, sorted up to the limit. */
static void
many_parameters(void **state)
{
    enum { MANY = 4000 };
    static const char *const drop[] = {"x"};
    static const struct cache_target_rules both = {.drop = drop, .drop_n = 1, .sort = true};
    struct slice path = SLICE("/"), query;
    struct arena arena;
    char *text = NULL;
    size_t len = 0;

    (void)state;
    for (size_t kept = CACHE_TARGET_SORT_MAX; kept <= CACHE_TARGET_SORT_MAX + 1; kept++) {
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        (void)fputc('?', out);
        for (size_t i = 0; i < MANY; i++)
            (void)fprintf(out, i < kept ? "%sp%03zu" : "%sx", i > 0 ? "&" : "", 999 - i);
        assert_int_equal(fclose(out), 0);
        arena_init(&arena, 0);
        query = slice_of(text, len);
        assert_int_equal(cache_target_apply(&arena, &both, &path, &query), OK);
        assert_int_equal(query.len, kept * 5);
        assert_true(slice_starts(query, kept == CACHE_TARGET_SORT_MAX ? SLICE("?p744&p745")
                                                                      : SLICE("?p999&p998")));
        arena_fini(&arena);
        free(text);
    }
}

static void
nothing_is_copied_without_need(void **state)
{
    static const char *const drop[] = {"a"};
    static const struct cache_target_rules rules = {
        .drop = drop, .drop_n = 1, .sort = true, .ignore_case = true};
    struct slice path = SLICE("/x"), query = SLICE("?b&c");
    const char *const was[] = {path.ptr, query.ptr};
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(cache_target_apply(&arena, &rules, &path, &query), OK);
    assert_ptr_equal(path.ptr, was[0]);
    assert_ptr_equal(query.ptr, was[1]);
    assert_int_equal(arena.used_len, 0);
    arena_fini(&arena);
}

static void
no_memory(void **state)
{
    static const char *const drop[] = {"a"};
    static const struct cache_target_rules rules = {
        .drop = drop, .drop_n = 1, .sort = true, .ignore_case = true};
    static const char *const targets[][2] = {{"/X", ""}, {"/", "?a"}, {"/", "?c&b"}};
    struct arena arena;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct slice path = slice_from_str(targets[i][0]), query = slice_from_str(targets[i][1]);

        arena_init(&arena, 1); /* less than any piece takes */
        assert_int_equal(cache_target_apply(&arena, &rules, &path, &query), ERR_NOMEM);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries),         cmocka_unit_test(paths),
        cmocka_unit_test(many_parameters), cmocka_unit_test(nothing_is_copied_without_need),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
