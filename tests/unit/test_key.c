/* Primary keys and labels. RFC 9111 section 2. */
#include "cache_fixture.h"

#include "cache/key.h"

static void
key_texts(void **state)
{
    static const struct {
        const char *why, *scheme, *host, *path, *query, *want;
    } cases[] = {
        {"2: path only", "http", "a.example", "/", "", "http://a.example/"},
        {"2: with a query", "https", "a.example:8443", "/x/y", "?q=1",
         "https://a.example:8443/x/y?q=1"},
        {"2: byte for byte", "http", "h", "/%7Ea//b/../C", "?b&a=%20",
         "http://h/%7Ea//b/../C?b&a=%20"},
        {"2: an empty query is not none", "http", "h", "/", "?", "http://h/?"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct store_key key;
        struct store_hash hash;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(
            cache_key_build(&arena, slice_from_str(cases[i].scheme), slice_from_str(cases[i].host),
                            slice_from_str(cases[i].path), slice_from_str(cases[i].query), &key),
            OK);
        assert_text(key.text, cases[i].want);
        hash = store_hash(slice_from_str(cases[i].want));
        assert_true(key.hash.lo == hash.lo && key.hash.hi == hash.hi);
        arena_fini(&arena);
    }
}

static void
no_memory(void **state)
{
    struct arena arena;
    struct http_fields fields;
    struct store_key key;
    struct cache_labels labels;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, "xkey: a", &fields);
    arena.used_max = arena.used_len;
    assert_int_equal(
        cache_key_build(&arena, SLICE("http"), SLICE("h"), SLICE("/"), SLICE_NONE, &key),
        ERR_NOMEM);
    assert_int_equal(cache_labels_build(&arena, SLICE("h"), &fields, &labels), ERR_NOMEM);
    assert_int_equal(cache_labels_update(&arena, SLICE("h"), &fields, SLICE_NONE, &labels),
                     ERR_NOMEM);
    arena_fini(&arena);
}

static bool
has_label(const struct cache_labels *labels, struct slice tag)
{
    for (size_t i = 1; i < labels->n; i++)
        if (labels->ids[i] == store_label(CACHE_LABEL_TAG, tag))
            return true;
    return false;
}

static void
labels_of_a_response(void **state)
{
    static const struct {
        const char *why, *fields, *tags;
        const char *want[6]; /* tags whose labels are wanted, after the host's */
    } cases[] = {
        {"none", "Content-Type: a", "", {0}},
        {"Surrogate-Key by blanks", "Surrogate-Key: a  b\tc", "a b c", {"a", "b", "c"}},
        {"Surrogate-Key keeps commas", "Surrogate-Key: a,b", "a,b", {"a,b"}},
        {"xkey in two fields", "xkey: a b\nxkey: c", "a b c", {"a", "b", "c"}},
        {"Cache-Tag by commas", "Cache-Tag: a, b ,,c", "a b c", {"a", "b", "c"}},
        {"all of them", "Cache-Tag: c\nxkey: b\nSurrogate-Key: a", "a b c", {"a", "b", "c"}},
        {"once each", "Cache-Tag: a,b\nxkey: a", "a b", {"a", "b"}},
        {"case matters", "xkey: A a", "A a", {"A", "a"}},
        {"blanks inside", "Cache-Tag: a b, 5%, c\td", "a%20b 5%25 c%09d", {"a b", "5%", "c\td"}},
        {"empty", "xkey:\nCache-Tag: ,", "", {0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_fields fields;
        struct cache_labels got;
        size_t n = 0;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].fields, &fields);
        assert_int_equal(cache_labels_build(&arena, SLICE("a.example"), &fields, &got), OK);
        assert_true(got.ids[0] == store_label(CACHE_LABEL_HOST, SLICE("a.example")));
        for (; cases[i].want[n] != NULL; n++)
            assert_true(has_label(&got, slice_from_str(cases[i].want[n])));
        assert_int_equal(got.n, n + 1);
        assert_text(got.tags, cases[i].tags);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 4.3.4: a 304 that names no tags takes none away. */
static void
labels_after_validation(void **state)
{
    static const struct {
        const char *why, *stored, *merged, *tags;
        const char *want[4];
    } cases[] = {
        {"none before, none now", "", "", "", {0}},
        {"kept", "xkey: a b", "ETag: x", "a b", {"a", "b"}},
        {"kept with their blanks",
         "Cache-Tag: a b,5%20, %2, %",
         "",
         "a%20b 5%2520 %252 %25",
         {"a b", "5%20", "%2", "%"}},
        {"replaced", "xkey: a b", "xkey: c", "c", {"c"}},
        {"taken away", "xkey: a b", "xkey:", "", {0}},
        {"new", "", "Surrogate-Key: a", "a", {"a"}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_fields stored, merged;
        struct cache_labels before, after;
        size_t n = 0;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].stored, &stored);
        fields_from(&arena, cases[i].merged, &merged);
        assert_int_equal(cache_labels_build(&arena, SLICE("h"), &stored, &before), OK);
        assert_int_equal(cache_labels_update(&arena, SLICE("h"), &merged, before.tags, &after), OK);
        assert_true(after.ids[0] == before.ids[0]);
        for (; n < ARRAY_LEN(cases[i].want) && cases[i].want[n] != NULL; n++)
            assert_true(has_label(&after, slice_from_str(cases[i].want[n])));
        assert_int_equal(after.n, n + 1);
        assert_text(after.tags, cases[i].tags);
        arena_fini(&arena);
    }
}

static void
too_many_tags(void **state)
{
    struct arena arena;
    struct http_fields fields;
    struct cache_labels got;
    char text[8 * 300] = "xkey:";
    size_t len = strlen(text);

    (void)state;
    for (int i = 0; i < 300; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, " t%d", i);
    arena_init(&arena, 0);
    fields_from(&arena, text, &fields);
    assert_int_equal(cache_labels_build(&arena, SLICE("h"), &fields, &got), OK);
    assert_int_equal(got.n, CACHE_TAGS_MAX + 1);
    assert_true(got.ids[CACHE_TAGS_MAX] == store_label(CACHE_LABEL_TAG, SLICE("t255")));
    assert_true(slice_ends(got.tags, SLICE(" t255")));
    arena_fini(&arena);
}

static void
tag_fields(void **state)
{
    (void)state;
    assert_true(cache_is_tag_field(HTTP_SURROGATE_KEY));
    assert_true(cache_is_tag_field(HTTP_CACHE_TAG));
    assert_true(cache_is_tag_field(HTTP_XKEY));
    assert_false(cache_is_tag_field(HTTP_CACHE_STATUS));
    assert_false(cache_is_tag_field(HTTP_UNKNOWN));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_texts),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(labels_of_a_response),
        cmocka_unit_test(labels_after_validation),
        cmocka_unit_test(too_many_tags),
        cmocka_unit_test(tag_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
