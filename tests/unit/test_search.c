/* No-Vary-Search: fields to rules, and what a rule makes of a key.
 * draft-ietf-httpbis-no-vary-search.
 */
#include "cache_fixture.h"

#include <stdio.h>

#include "cache/search.h"
#include "cache/target.h"

static void
check_rule(const char *why, const char *field, const char *want)
{
    char buf[CACHE_SEARCH_RULE_MAX];
    struct http_fields fields;
    struct slice rule = SLICE("untouched");
    struct arena arena;

    print_message("case: %s\n", why);
    arena_init(&arena, 0);
    assert_int_equal(http_fields_init(&fields, &arena, 2), OK);
    if (field != NULL)
        assert_int_equal(http_fields_add(&fields, SLICE("No-Vary-Search"), slice_from_str(field)),
                         OK);
    assert_int_equal(cache_search_parse(&fields, buf, &rule), want != NULL);
    if (want != NULL)
        assert_text(rule, want);
    arena_fini(&arena);
}

static void
rules(void **state)
{
    static const struct {
        const char *why, *field, *want;
    } cases[] = {
        {"no field", NULL, NULL},
        {"an empty one", "", NULL},
        {"section 4.1: key-order", "key-order", "oi"},
        {"section 4.1: key-order=?1", "key-order=?1", "oi"},
        {"section 4.1: key-order=?0", "key-order=?0", NULL},
        {"section 4.1: params", "params", "-e"},
        {"section 4.1: params=?0", "params=?0", NULL},
        {"section 4.1: a list", "params=(\"b\" \"a\")", "-i&b&a"},
        {"section 4.1: an empty list", "params=()", NULL},
        {"section 4.1: except", "params, except=(\"id\")", "-e&id"},
        {"section 4.1: except nothing", "params, except=()", "-e"},
        {"section 4.1: in another order", "except=(\"id\"), key-order, params", "oe&id"},
        {"section 4.1: all of it, and more", "x=1, key-order;y, params=(\"a\";z);q, y", "oi&a"},
        {"RFC 9651 section 3.2: the last counts", "params, key-order, params=(\"a\"), key-order=?0",
         "-i&a"},
        {"section 4.1: unknown keys alone", "unknown-key", NULL},
        {"section 4.1: order of another type", "key-order=\"a\", params", NULL},
        {"section 4.1: order as a list", "key-order=(\"a\"), params", NULL},
        {"section 4.1: params of another type", "params=\"a\", key-order", NULL},
        {"section 4.1: a token in params", "params=(\"b\" a), key-order", NULL},
        {"section 4.1: except of another type", "params, except=\"a\"", NULL},
        {"section 4.1: except true", "params, except", NULL},
        {"section 4.1: a token in except", "params, except=(a)", NULL},
        {"section 4.1: except with a list", "params=(\"a\"), except=(\"b\")", NULL},
        {"section 4.1: except with an empty one", "params=(), except=()", NULL},
        {"section 4.1: except with false", "params=?0, except=(\"b\")", NULL},
        {"section 4.1: except alone", "except=(\"b\"), key-order", NULL},
        {"section 4.2: malformed", "key-order, params=(\"a\"", NULL},
        {"section 4.3: decoded", "params=(\"%C3%a9+%e6\" \"%41\")", "-i&%C3%A9%20%E6&A"},
        {"section 4.3: what would separate", "params=(\"a%26b\" \"=\" \"%2b\")",
         "-i&a%26b&%3D&%2B"},
        {"section 4.3: half an encoding", "params=(\"%\" \"%4\" \"%4g\")", "-i&%25&%254&%254g"},
        {"section 4.3: an escape", "params=(\"\\\"\")", "-i&%22"},
        {"section 4.3: an empty name", "params=(\"\")", "-i&"},
    };
    char wide[2 * CACHE_SEARCH_RULE_MAX];
    size_t most = (CACHE_SEARCH_RULE_MAX - 3) / 3; /* each might become three bytes */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_rule(cases[i].why, cases[i].field, cases[i].want);
    for (size_t len = most; len <= most + 1; len++) {
        char want[CACHE_SEARCH_RULE_MAX + 1] = "-i&";

        (void)snprintf(wide, sizeof(wide), "params=(\"%0*d\")", (int)len, 0);
        (void)snprintf(want, sizeof(want), "-i&%0*d", (int)len, 0);
        check_rule("as long as can be, and longer", wide, len == most ? want : NULL);
    }
}

static void
keys(void **state)
{
    static const struct {
        const char *why, *rule, *key, *want;
    } cases[] = {
        {"no query", "-i&a", "http://h/", "http://h/"},
        {"section 6: an empty one", "-i&a", "http://h/?", "http://h/"},
        {"section 6: a named one", "-i&a", "http://h/p?a=1", "http://h/p"},
        {"section 6: others", "-i&a", "http://h/?b=1&a&c=2&a=3", "http://h/?b=1&c=2"},
        {"section 6: all", "-e", "http://h/?b=1&a", "http://h/"},
        {"section 6: all but", "-e&b&d", "http://h/?a=1&b=2&c&d", "http://h/?b=2&d="},
        {"section 6: the order stays", "-i&a", "http://h/?c&b", "http://h/?c=&b="},
        {"section 6: or does not matter", "oi", "http://h/?c=1&b=2&c=0&a",
         "http://h/?a=&b=2&c=1&c=0"},
        {"section 6: of what is left", "oi&b", "http://h/?c=1&b=2&a", "http://h/?a=&c=1"},
        {"section 6: no = is an empty value", "-i&a", "http://h/?b", "http://h/?b="},
        {"section 6: empty parameters", "-i&a", "http://h/?&&b=1&", "http://h/?b=1"},
        {"section 6: an empty name", "-i&a", "http://h/?=1&=", "http://h/?=1&="},
        {"section 6: which may be named", "-i&", "http://h/?=1&b=&", "http://h/?b="},
        {"section 6: decoded", "-i&a", "http://h/?%62=%78+y%2b&%61=1", "http://h/?b=x%20y%2B"},
        {"section 6: one way to write it", "-i&a", "http://h/?b=%20&b=+&b=%2f/%c3",
         "http://h/?b=%20&b=%20&b=//%C3"},
        {"section 6: = in a value", "-i&a", "http://h/?b=c=d%3D", "http://h/?b=c%3Dd%3D"},
        {"section 6: & in a value", "-i&a", "http://h/?b=c%26d", "http://h/?b=c%26d"},
        {"section 6: half an encoding", "-i&a", "http://h/?b=%4&c=%", "http://h/?b=%254&c=%25"},
        {"section 6: a named one, encoded", "-i&%C3%A9%20x", "http://h/?%c3%a9+x=1&b",
         "http://h/?b="},
        {"section 6: the path is as it was", "oe", "http://h/%61;a=1?b", "http://h/%61;a=1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rule = slice_from_str(cases[i].rule), key = slice_from_str(cases[i].key);
        struct store_key got, again;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(cache_search_key(&arena, rule, key, &got), OK);
        assert_text(got.text, cases[i].want);
        assert_true(store_hash(got.text).lo == got.hash.lo);
        assert_true(slice_equal(cache_search_scope(got.text), cache_search_scope(key)));
        assert_int_equal(cache_search_key(&arena, rule, got.text, &again), OK); /* of the class */
        assert_true(slice_equal(again.text, got.text));
        arena_fini(&arena);
    }
}

static void
limits(void **state)
{
    char key[8 + 2 * (CACHE_TARGET_SORT_MAX + 1) + 1] = "http://h/?";
    struct store_key got;
    struct arena arena;
    size_t len = strlen(key);

    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i + 1 < CACHE_TARGET_SORT_MAX; i++)
        key[len++] = '&';
    assert_int_equal(cache_search_key(&arena, SLICE("oi"), slice_of(key, len), &got), OK);
    key[len++] = '&';
    assert_int_equal(cache_search_key(&arena, SLICE("oi"), slice_of(key, len), &got), ERR_LIMIT);
    arena.used_max = arena.used_len;
    assert_int_equal(cache_search_key(&arena, SLICE("oi"), SLICE("http://h/"), &got), ERR_NOMEM);
    assert_int_equal(cache_search_key(&arena, SLICE("oi"), SLICE("http://h/?a"), &got), ERR_NOMEM);
    assert_int_equal(cache_search_id(SLICE_NONE), 0);
    assert_true(cache_search_id(SLICE("oi")) != 0 &&
                cache_search_id(SLICE("oi")) != cache_search_id(SLICE("-e")));
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(keys),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
