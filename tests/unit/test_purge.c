/* What operators and unsafe methods name. RFC 9111 section 4.4. */
#include "cache_fixture.h"

#include "cache/purge.h"

static void
urls(void **state)
{
    static const struct {
        const char *why, *url;
        enum err want;
        const char *key;
    } cases[] = {
        {"as requested", "http://www.example.com/a?b=c", OK, "http://www.example.com/a?b=c"},
        {"host in capitals", "http://WWW.Example.COM/A", OK, "http://www.example.com/A"},
        {"scheme in capitals", "HTTPS://h/", OK, "https://h/"},
        {"default port of http", "http://h:80/", OK, "http://h/"},
        {"default port of https", "https://h:443/", OK, "https://h/"},
        {"the other's default port stays", "http://h:443/", OK, "http://h:443/"},
        {"another port", "http://h:8080/x", OK, "http://h:8080/x"},
        {"no path", "http://h", OK, "http://h/"},
        {"no path but a query", "http://h?q", OK, "http://h/?q"},
        {"the path byte for byte", "http://h/%7ea/../b//", OK, "http://h/%7ea/../b//"},
        {"an empty query stays", "http://h/?", OK, "http://h/?"},
        {"IPv6", "http://[::1]:8080/", OK, "http://[::1]:8080/"},
        {"fragment", "http://h/#x", ERR_SYNTAX, NULL},
        {"user information", "http://a@h/", ERR_SYNTAX, NULL},
        {"no scheme", "h/x", ERR_SYNTAX, NULL},
        {"another scheme", "ftp://h/", ERR_SYNTAX, NULL},
        {"a path only", "/x", ERR_SYNTAX, NULL},
        {"no host", "http:///x", ERR_SYNTAX, NULL},
        {"a blank", "http://h/a b", ERR_SYNTAX, NULL},
        {"half a percent sign", "http://h/%2", ERR_SYNTAX, NULL},
        {"nothing", "", ERR_SYNTAX, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct store_purge row[2] = {{.kind = STORE_PURGE_ALL}};
        size_t n = 0;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(purge_url(&arena, NULL, slice_from_str(cases[i].url), i % 2 == 0, row, &n),
                         cases[i].want);
        if (cases[i].want == OK) {
            assert_int_equal(row[0].kind, STORE_PURGE_KEY);
            assert_int_equal(row[0].soft, i % 2 == 0);
            assert_text(row[0].text, cases[i].key);
        } else {
            assert_int_equal(row[0].kind, STORE_PURGE_ALL);
        }
        arena_fini(&arena);
    }
}

/* A purge finds what a request stores. */
static void
urls_are_keys(void **state)
{
    struct arena arena;
    struct slice host;
    struct store_key key;
    struct store_purge row[2];
    size_t n;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(url_normal_host(&arena, SLICE("https"), SLICE("EXAMPLE.com:443"), &host), OK);
    assert_int_equal(cache_key_build(&arena, SLICE("https"), host, SLICE("/p"), SLICE("?q"), &key),
                     OK);
    assert_int_equal(purge_url(&arena, NULL, SLICE("https://example.COM/p?q"), false, row, &n), OK);
    assert_true(slice_equal(row[0].text, key.text));
    arena_fini(&arena);
}

static void
prefixes(void **state)
{
    static const struct {
        const char *why, *prefix;
        enum err want;
        const char *rows[2];
    } cases[] = {
        {"one scheme", "https://h/static/", OK, {"https://h/static/", NULL}},
        {"both schemes", "h/static/", OK, {"http://h/static/", "https://h/static/"}},
        {"within a segment", "h/st", OK, {"http://h/st", "https://h/st"}},
        {"a host ends at its slash", "h", OK, {"http://h/", "https://h/"}},
        {"a host with a scheme too", "http://h", OK, {"http://h/", NULL}},
        {"a port that one of them drops", "h:443/x", OK, {"http://h:443/x", "https://h/x"}},
        {"capitals", "H.Example/X", OK, {"http://h.example/X", "https://h.example/X"}},
        {"with a query", "http://h/x?a=", OK, {"http://h/x?a=", NULL}},
        {"IPv6", "[::1]/x", OK, {"http://[::1]/x", "https://[::1]/x"}},
        {"nothing", "", ERR_SYNTAX, {NULL, NULL}},
        {"a path only", "/static/", ERR_SYNTAX, {NULL, NULL}},
        {"a fragment", "h/a#b", ERR_SYNTAX, {NULL, NULL}},
        {"another scheme", "ftp://h/", ERR_SYNTAX, {NULL, NULL}},
        {"a scheme in the query is none",
         "h/?u=http://x",
         OK,
         {"http://h/?u=http://x", "https://h/?u=http://x"}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct store_purge rows[2];
        size_t n = 0;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(
            purge_prefix(&arena, NULL, slice_from_str(cases[i].prefix), true, rows, &n),
            cases[i].want);
        assert_int_equal(n, cases[i].rows[0] == NULL ? 0 : cases[i].rows[1] == NULL ? 1 : 2);
        for (size_t at = 0; at < n; at++) {
            assert_int_equal(rows[at].kind, STORE_PURGE_PREFIX);
            assert_true(rows[at].soft);
            assert_text(rows[at].text, cases[i].rows[at]);
        }
        arena_fini(&arena);
    }
}

static void
hosts(void **state)
{
    static const struct {
        const char *why, *host;
        enum err want;
        const char *label;
    } cases[] = {
        {"as it is", "www.example.com", OK, "www.example.com"},
        {"capitals", "WWW.Example.com", OK, "www.example.com"},
        {"another port", "h:8080", OK, "h:8080"},
        {"default port of http", "h:80", OK, "h"},
        {"default port of https", "H:443", OK, "h"},
        {"IPv6", "[::1]:8080", OK, "[::1]:8080"},
        {"nothing", "", ERR_SYNTAX, NULL},
        {"a path", "h/x", ERR_SYNTAX, NULL},
        {"a URL", "http://h", ERR_SYNTAX, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct store_purge row;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(purge_host(&arena, slice_from_str(cases[i].host), true, &row),
                         cases[i].want);
        if (cases[i].want == OK) {
            assert_int_equal(row.kind, STORE_PURGE_LABEL);
            assert_true(row.soft);
            assert_true(row.label == store_label(CACHE_LABEL_HOST, slice_from_str(cases[i].label)));
        }
        arena_fini(&arena);
    }
}

/* The labels that a purge names are those that a response gets. */
static void
tags_and_hosts_find_labels(void **state)
{
    struct arena arena;
    struct http_fields fields;
    struct cache_labels labels;
    struct store_purge tag, host, all;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, "Cache-Tag: article 7, x", &fields);
    assert_int_equal(cache_labels_build(&arena, SLICE("h"), &fields, &labels), OK);
    assert_int_equal(purge_host(&arena, SLICE("H"), false, &host), OK);
    assert_int_equal(purge_tag(SLICE(" article 7 "), true, &tag), OK);
    assert_true(host.label == labels.ids[0]);
    assert_true(tag.label == labels.ids[1]);
    assert_int_equal(tag.kind, STORE_PURGE_LABEL);
    assert_true(tag.soft);
    assert_int_equal(purge_tag(SLICE(" "), true, &tag), ERR_SYNTAX);
    purge_everything(true, &all);
    assert_int_equal(all.kind, STORE_PURGE_ALL);
    assert_true(all.soft);
    arena_fini(&arena);
}

/* RFC 9111 section 4.4 */
static void
methods_that_invalidate(void **state)
{
    static const struct {
        enum http_method method;
        unsigned status;
        bool want;
    } cases[] = {
        {METHOD_POST, 200, true},   {METHOD_POST, 201, true},     {METHOD_POST, 303, true},
        {METHOD_POST, 399, true},   {METHOD_POST, 400, false},    {METHOD_POST, 404, false},
        {METHOD_POST, 500, false},  {METHOD_POST, 100, false},    {METHOD_PUT, 204, true},
        {METHOD_DELETE, 204, true}, {METHOD_DELETE, 503, false},  {METHOD_PATCH, 200, true},
        {METHOD_OTHER, 200, true},  {METHOD_GET, 200, false},     {METHOD_HEAD, 200, false},
        {METHOD_QUERY, 200, false}, {METHOD_OPTIONS, 200, false}, {METHOD_TRACE, 200, false},
        {METHOD_PURGE, 200, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: method %d, status %u\n", (int)cases[i].method, cases[i].status);
        assert_int_equal(purge_invalidates(cases[i].method, cases[i].status), cases[i].want);
    }
}

static void
invalidated_keys(void **state)
{
    static const struct {
        const char *why, *base, *fields;
        const char *want[PURGE_INVALIDATED_MAX];
    } cases[] = {
        {"4.4: the target", "http://h/a/b?q", "", {"http://h/a/b?q"}},
        {"4.4: its host is normalised", "http://H:80/a", "", {"http://h/a"}},
        {"4.4: Location", "http://h/a/b", "Location: /new", {"http://h/a/b", "http://h/new"}},
        {"4.4: Content-Location",
         "http://h/a/b",
         "Content-Location: c?d",
         {"http://h/a/b", "http://h/a/c?d"}},
        {"4.4: both",
         "https://h/a",
         "Location: /l\nContent-Location: /c",
         {"https://h/a", "https://h/l", "https://h/c"}},
        {"4.4: absolute, same origin",
         "http://h/a",
         "Location: http://H:80/l",
         {"http://h/a", "http://h/l"}},
        {"4.4: another host", "http://h/a", "Location: http://other/l", {"http://h/a"}},
        {"4.4: another host of the same length",
         "http://h/a",
         "Location: http://i/l",
         {"http://h/a"}},
        {"4.4: another port", "http://h/a", "Location: http://h:8080/l", {"http://h/a"}},
        {"4.4: another scheme", "http://h/a", "Location: https://h/l", {"http://h/a"}},
        {"4.4: a host that begins like ours",
         "http://h/a",
         "Location: http://h.evil/l",
         {"http://h/a"}},
        {"4.4: the same again",
         "http://h/a",
         "Location: /a\nContent-Location: http://h/a",
         {"http://h/a"}},
        {"4.4: a fragment does not matter",
         "http://h/a",
         "Location: /l#part",
         {"http://h/a", "http://h/l"}},
        {"4.4: no reference", "http://h/a", "Location: http://[/", {"http://h/a"}},
        {"4.4: two of one name mean nothing",
         "http://h/a",
         "Location: /l\nLocation: /m",
         {"http://h/a"}},
        {"4.4: dot segments",
         "http://h/a/b/c",
         "Location: ../x",
         {"http://h/a/b/c", "http://h/a/x"}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct url base;
        struct http_response response;
        struct store_purge rows[PURGE_INVALIDATED_MAX];
        size_t n, want_n = 0;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(url_parse(slice_from_str(cases[i].base), &base), OK);
        response = response_from(&arena, 200, cases[i].fields);
        assert_int_equal(purge_invalidated(&arena, NULL, &base, &response, rows, &n), OK);
        while (want_n < PURGE_INVALIDATED_MAX && cases[i].want[want_n] != NULL)
            want_n++;
        assert_int_equal(n, want_n);
        for (size_t at = 0; at < n; at++) {
            assert_int_equal(rows[at].kind, STORE_PURGE_KEY);
            assert_false(rows[at].soft);
            assert_text(rows[at].text, cases[i].want[at]);
        }
        arena_fini(&arena);
    }
}

/* A site that drops, sorts and lower-cases; no other does. */
static const struct cache_target_rules *
rules_for(const void *rules, struct slice host)
{
    return slice_is(host, "h") ? rules : NULL;
}

static void
keys_are_those_of_the_site(void **state)
{
    static const char *const drop[] = {"utm_*"};
    static const struct cache_target_rules rules = {
        .drop = drop, .drop_n = 1, .sort = true, .ignore_case = true};
    static const struct purge_sites sites = {rules_for, NULL, &rules};
    static const struct {
        const char *why, *text, *want;
        bool prefix;
    } cases[] = {
        {"an URL", "http://H:80/A?b=1&utm_id=2&a=3", "http://h/a?a=3&b=1", false},
        {"an URL without a query", "http://h/A?utm_id=2", "http://h/a", false},
        {"of another site", "http://i/A?b=1&utm_id=2&a=3", "http://i/A?b=1&utm_id=2&a=3", false},
        {"a prefix: the case of its path", "http://H/Img/", "http://h/img/", true},
        {"a prefix: not its query, which has no end", "http://h/A?b=1&utm_", "http://h/a?b=1&utm_",
         true},
        {"a prefix of another site", "http://i/Img/", "http://i/Img/", true},
    };
    struct store_purge rows[PURGE_INVALIDATED_MAX];
    struct http_response response;
    struct arena arena;
    struct url base;
    size_t n;

    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice text = slice_from_str(cases[i].text);

        print_message("case: %s\n", cases[i].why);
        if (cases[i].prefix)
            assert_int_equal(purge_prefix(&arena, &sites, text, false, rows, &n), OK);
        else
            assert_int_equal(purge_url(&arena, &sites, text, false, rows, &n), OK);
        assert_text(rows[0].text, cases[i].want);
    }
    response = response_from(&arena, 200, "Location: /L?utm_id=1\nContent-Location: C?b&a");
    assert_int_equal(url_parse(SLICE("http://h/A?utm_id=1"), &base), OK);
    assert_int_equal(purge_invalidated(&arena, &rules, &base, &response, rows, &n), OK);
    assert_int_equal(n, 3);
    assert_text(rows[0].text, "http://h/a");
    assert_text(rows[1].text, "http://h/l");
    assert_text(rows[2].text, "http://h/c?a&b");
    arena_fini(&arena);
}

/* The URL's objects may be under a second key as well. */
static bool
common_key(const void *arg, struct arena *arena, struct slice key_text, struct slice *out)
{
    *out = SLICE("http://h/common");
    return slice_is(key_text, arg);
}

static void
a_common_key_is_named_too(void **state)
{
    static const struct purge_sites sites = {rules_for, common_key, "http://i/a"};
    struct store_purge rows[2];
    struct arena arena;
    size_t n;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(purge_url(&arena, &sites, SLICE("http://I:80/a"), true, rows, &n), OK);
    assert_int_equal(n, 2);
    assert_text(rows[0].text, "http://i/a");
    assert_text(rows[1].text, "http://h/common");
    assert_true(rows[1].kind == STORE_PURGE_KEY && rows[0].soft && rows[1].soft);
    assert_int_equal(purge_url(&arena, &sites, SLICE("http://i/b"), true, rows, &n), OK);
    assert_int_equal(n, 1);
    arena_fini(&arena);
}

static void
no_memory(void **state)
{
    struct arena arena;
    struct store_purge row[2], rows[PURGE_INVALIDATED_MAX];
    struct http_response response;
    struct url base;
    size_t n;

    (void)state;
    arena_init(&arena, 0);
    response = response_from(&arena, 200, "Location: /l");
    assert_int_equal(url_parse(SLICE("http://h/a"), &base), OK);
    arena.used_max = arena.used_len;
    assert_int_equal(purge_url(&arena, NULL, SLICE("http://h/"), false, row, &n), ERR_NOMEM);
    assert_int_equal(purge_prefix(&arena, NULL, SLICE("h/"), false, rows, &n), ERR_NOMEM);
    assert_int_equal(purge_host(&arena, SLICE("H"), false, row), ERR_NOMEM);
    assert_int_equal(purge_invalidated(&arena, NULL, &base, &response, rows, &n), ERR_NOMEM);
    arena.used_max = arena.used_len + 16; /* the target's key fits, Location's does not */
    assert_int_equal(purge_invalidated(&arena, NULL, &base, &response, rows, &n), ERR_NOMEM);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(urls_are_keys),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(keys_are_those_of_the_site),
        cmocka_unit_test(a_common_key_is_named_too),
        cmocka_unit_test(hosts),
        cmocka_unit_test(tags_and_hosts_find_labels),
        cmocka_unit_test(methods_that_invalidate),
        cmocka_unit_test(invalidated_keys),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
