/* The table of rules: what is learned, from when on it counts, and what may be lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/search_rules.h"

static bool
find(struct search_rules *rules, const char *key, const char *want, uint64_t since)
{
    struct search_class got;
    struct arena arena;
    bool found;

    arena_init(&arena, 0);
    found = search_rules_find(rules, &arena, slice_from_str(key), &got);
    if (found) {
        assert_true(slice_is(got.key.text, want));
        assert_true(got.since == since && got.id != 0);
    }
    arena_fini(&arena);
    return found;
}

static void
a_rule_is_learned_once(void **state)
{
    static const struct slice key = {"http://h/a?x=1", 14}, rule = {"-i&x", 4}, other = {"-e", 2};
    struct search_rules *rules;

    (void)state;
    assert_int_equal(search_rules_new(&rules), OK);
    assert_false(find(rules, "http://h/a?x=1", NULL, 0));
    assert_true(search_rules_learn(rules, key, rule));
    assert_true(find(rules, "http://h/a?x=2", "http://h/a", UINT64_MAX)); /* for purges alone */
    search_rules_open(rules, key, other, 5);                              /* another's */
    assert_true(find(rules, "http://h/a?x=2", "http://h/a", UINT64_MAX));
    search_rules_open(rules, key, rule, 7);
    assert_false(search_rules_learn(rules, SLICE("http://h/a?x=9"), rule));
    search_rules_open(rules, key, rule, 9); /* it counts since 7 */
    assert_true(find(rules, "http://h/a?x=2", "http://h/a", 7));
    assert_false(find(rules, "http://h/a", NULL, 0)); /* its own key */
    assert_false(find(rules, "http://h/b?x=2", NULL, 0));
    assert_false(find(rules, "https://h/a?x=2", NULL, 0));
    assert_true(search_rules_learn(rules, key, other)); /* takes the place of the first */
    assert_true(find(rules, "http://h/a?y=2", "http://h/a", UINT64_MAX));
    search_rules_free(&rules);
    assert_null(rules);
    search_rules_free(&rules);
}

/* More paths than there is room for: the newest are there, and none has another's rule. */
static void
a_flood_of_paths(void **state)
{
    enum { PATHS = 30000 };
    struct search_rules *rules;
    char key[64], rule[32];
    size_t kept = 0;

    (void)state;
    assert_int_equal(search_rules_new(&rules), OK);
    for (int i = 0; i < PATHS; i++) {
        (void)snprintf(key, sizeof(key), "http://h/%d?x", i);
        (void)snprintf(rule, sizeof(rule), "-e&n%d", i);
        assert_true(search_rules_learn(rules, slice_from_str(key), slice_from_str(rule)));
        search_rules_open(rules, slice_from_str(key), slice_from_str(rule), (uint64_t)i);
    }
    for (int i = 0; i < PATHS; i++) {
        char ask[64], want[64];

        (void)snprintf(ask, sizeof(ask), "http://h/%d?n%d=1&x", i, i);
        (void)snprintf(want, sizeof(want), "http://h/%d?n%d=1", i, i);
        if (find(rules, ask, want, (uint64_t)i))
            kept++;
        else
            assert_true(i < PATHS - 100); /* the last ones at least */
    }
    assert_in_range(kept, 4000, 8192);
    search_rules_free(&rules);
}

static void
no_memory(void **state)
{
    struct search_rules *rules;

    (void)state;
    mem_fail_at(1);
    assert_int_equal(search_rules_new(&rules), ERR_NOMEM);
    assert_int_equal(search_rules_new(&rules), OK);
    mem_fail_at(1);
    assert_false(search_rules_learn(rules, SLICE("http://h/a"), SLICE("oi")));
    assert_true(search_rules_learn(rules, SLICE("http://h/a"), SLICE("oi")));
    search_rules_free(&rules);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_is_learned_once),
        cmocka_unit_test(a_flood_of_paths),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
