/* Cache groups: which labels a response has, and which a response to an unsafe method names. RFC
 * 9875. */
#include "cache_fixture.h"

#include <stdio.h>

#include "cache/groups.h"

struct groups {
    uint64_t labels[CACHE_GROUPS_MAX];
    size_t n;
};

/* What Cache-Groups adds; the same value must be read alike as Cache-Group-Invalidation. */
static void
read_groups(const char *scheme, const char *host, const char *lines, struct groups *out)
{
    struct slice from = slice_from_str(scheme), at = slice_from_str(host),
                 text = slice_from_str(lines), line;
    uint64_t own = 42;
    struct cache_labels labels = {.ids = &own, .n = 1};
    struct store_purge rows[CACHE_GROUPS_MAX];
    struct http_fields fields;
    struct arena arena;
    size_t n;

    arena_init(&arena, 0);
    assert_int_equal(http_fields_init(&fields, &arena, 10), OK);
    while (text.len > 0) {
        (void)slice_cut(&text, '\n', &line);
        assert_int_equal(http_fields_add(&fields, SLICE("Cache-Groups"), line), OK);
        assert_int_equal(http_fields_add(&fields, SLICE("Cache-Group-Invalidation"), line), OK);
    }
    assert_int_equal(cache_groups_add(&arena, from, at, &fields, &labels), OK);
    assert_true(labels.n >= 1 && labels.ids[0] == 42); /* what was there stays */
    out->n = labels.n - 1;
    assert_true(out->n <= CACHE_GROUPS_MAX);
    memcpy(out->labels, labels.ids + 1, out->n * sizeof(uint64_t));
    assert_int_equal(cache_groups_invalidated(&arena, from, at, &fields, rows, &n), OK);
    assert_int_equal(n, out->n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(rows[i].kind, STORE_PURGE_LABEL);
        assert_true(rows[i].label == out->labels[i] && !rows[i].soft);
    }
    arena_fini(&arena);
}

static void
groups_of_a_field(void **state)
{
    static const struct {
        const char *why, *lines;
        size_t n;
    } cases[] = {
        {"section 2: none", "", 0},
        {"section 2: one", "\"a\"", 1},
        {"section 2: several", "\"a\", \"b\" ,\"c d\"", 3},
        {"section 2: in two lines", "\"a\"\n\"b\"", 2},
        {"section 2: parameters mean nothing", "\"a\";x=1, \"b\";revalidate", 2},
        {"section 2: an empty name", "\"\"", 1},
        {"RFC 9651 section 4.2: a token", "a", 0},
        {"RFC 9651 section 4.2: a token among strings", "\"a\", b", 0},
        {"RFC 9651 section 4.2: an inner list", "(\"a\" \"b\")", 0},
        {"RFC 9651 section 4.2: malformed", "\"a\", \"b", 0},
        {"RFC 9651 section 4.2: malformed in another line", "\"a\"\n,", 0},
        {"RFC 9651 section 3.3.8: a Display String is none", "%\"a\"", 0},
    };
    struct groups got;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        read_groups("http", "h", cases[i].lines, &got);
        assert_int_equal(got.n, cases[i].n);
    }
}

/* Section 2.1: the same string, character by character, of the same origin. */
static void
what_makes_one_group(void **state)
{
    static const struct {
        const char *why, *scheme, *host, *lines;
        bool same;
    } cases[] = {
        {"the same", "http", "h", "\"a\"", true},
        {"with a parameter", "http", "h", "\"a\";x", true},
        {"another case", "http", "h", "\"A\"", false},
        {"another host", "http", "i", "\"a\"", false},
        {"another port", "http", "h:8080", "\"a\"", false},
        {"another scheme", "https", "h", "\"a\"", false},
        {"longer", "http", "h", "\"aa\"", false},
        {"an escape", "http", "h", "\"\\\"\"", false},
    };
    struct groups first, got;

    (void)state;
    read_groups("http", "h", "\"a\"", &first);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        read_groups(cases[i].scheme, cases[i].host, cases[i].lines, &got);
        assert_int_equal(got.n, 1);
        assert_int_equal(got.labels[0] == first.labels[0], cases[i].same);
        assert_true(got.labels[0] != store_label(CACHE_LABEL_TAG, SLICE("a")));
    }
}

/* Sections 2 and 3: 32 groups of 32 characters at least. */
static void
many_groups(void **state)
{
    struct groups got;
    char lines[8192];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < CACHE_GROUPS_MAX + 10; i++)
        len +=
            (size_t)snprintf(lines + len, sizeof(lines) - len, "%s\"%064d\"", i > 0 ? ", " : "", i);
    read_groups("http", "h", lines, &got);
    assert_int_equal(got.n, CACHE_GROUPS_MAX);
    static_assert(CACHE_GROUPS_MAX >= 32, "RFC 9875");
}

static void
no_memory(void **state)
{
    struct store_purge rows[CACHE_GROUPS_MAX];
    uint64_t own = 42;
    struct cache_labels labels = {.ids = &own, .n = 1};
    struct http_fields fields;
    struct arena arena;
    size_t n;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, "Cache-Groups: \"a\"\nCache-Group-Invalidation: \"a\"", &fields);
    arena.used_max = arena.used_len;
    assert_int_equal(cache_groups_add(&arena, SLICE("http"), SLICE("h"), &fields, &labels),
                     ERR_NOMEM);
    assert_int_equal(labels.n, 1);
    assert_int_equal(cache_groups_invalidated(&arena, SLICE("http"), SLICE("h"), &fields, rows, &n),
                     ERR_NOMEM);
    arena.used_max = arena.used_len + 16; /* a label's text fits, the labels do not */
    assert_int_equal(cache_groups_add(&arena, SLICE("http"), SLICE("h"), &fields, &labels),
                     ERR_NOMEM);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_a_field),
        cmocka_unit_test(what_makes_one_group),
        cmocka_unit_test(many_groups),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
