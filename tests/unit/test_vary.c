/* Secondary keys. RFC 9111 section 4.1. */
#include "cache_fixture.h"

#include "cache/vary.h"

static enum err
build(struct arena *arena, const char *request, const char *response, struct slice *out,
      uint64_t *out_variant)
{
    struct http_fields asked, answered;

    fields_from(arena, request, &asked);
    fields_from(arena, response, &answered);
    return cache_vary_build(arena, SLICE_NONE, 0, &asked, &answered, out, out_variant);
}

static void
texts(void **state)
{
    static const struct {
        const char *why, *request, *response, *want;
    } cases[] = {
        {"12.5.5: no Vary", "Accept: a", "", ""},
        {"12.5.5: an empty Vary", "Accept: a", "Vary:", ""},
        {"12.5.5: empty members", "Accept: a", "Vary: , ,", ""},
        {"4.1: one field", "Accept: a", "Vary: Accept", "accept: a\n"},
        {"4.1: absent", "", "Vary: Accept", "accept\n"},
        {"4.1: empty is not absent", "Accept:", "Vary: Accept", "accept: \n"},
        {"4.1: sorted, lower case", "Foo: 1\nAccept: a", "Vary: Foo, ACCEPT",
         "accept: a\nfoo: 1\n"},
        {"4.1: sorted whatever the order", "", "Vary: b, d, a, c, e", "a\nb\nc\nd\ne\n"},
        {"4.1: once each", "Foo: 1", "Vary: Foo, foo, FOO", "foo: 1\n"},
        {"4.1: two Vary fields", "Foo: 1\nBar: 2", "Vary: Foo\nVary: Bar", "bar: 2\nfoo: 1\n"},
        {"4.1: a name that begins another", "Foo: 1\nFoo-Bar: 2", "Vary: Foo-Bar, Foo",
         "foo: 1\nfoo-bar: 2\n"},
        {"5.3: field lines are combined", "Foo: 1\nFoo: 2", "Vary: Foo", "foo: 1, 2\n"},
        {"4.1: blanks around commas", "Foo: 1,2 ,\t3", "Vary: Foo", "foo: 1, 2, 3\n"},
        {"4.1: blanks inside members stay", "Foo: a b,c  d", "Vary: Foo", "foo: a b, c  d\n"},
        {"4.1: commas in quoted strings", "Foo: \"a,b\" ,c", "Vary: Foo", "foo: \"a,b\", c\n"},
        {"4.1: an escaped quote", "Foo: \"a\\\",b\",c", "Vary: Foo", "foo: \"a\\\",b\", c\n"},
        {"4.1: an open quote", "Foo: \"a,b", "Vary: Foo", "foo: \"a,b\n"},
        {"4.1: an escape at the end", "Foo: \"a\\", "Vary: Foo", "foo: \"a\\\n"},
        {"4.1: empty members stay", "Foo: ,a,", "Vary: Foo", "foo: , a, \n"},
        {"4.1: no list: User-Agent", "User-Agent: a (b,c)", "Vary: User-Agent",
         "user-agent: a (b,c)\n"},
        {"4.1: no list: Cookie", "Cookie: a=1,2", "Vary: Cookie", "cookie: a=1,2\n"},
        {"7.6.1: the origin did not see what Connection names", "Foo: 1\nFoo: 2\nConnection: foo",
         "Vary: Foo", "foo\n"},
        {"what brink writes or drops is nobody's choice",
         "X-Forwarded-Host: evil\nX_Lang: de\nX-Original-URL: /a\nUpgrade: h2c\nFoo: 1",
         "Vary: X-Forwarded-Host, X_Lang, Host, X-Original-URL, Upgrade, Foo", "foo: 1\n"},
        {"what brink writes or drops alone", "X-Host: evil", "Vary: X-Host", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct slice vary;
        uint64_t variant = 5;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(build(&arena, cases[i].request, cases[i].response, &vary, &variant), OK);
        assert_text(vary, cases[i].want);
        assert_int_equal(variant == 0, vary.len == 0);
        arena_fini(&arena);
    }
}

static void
what_matches_nothing(void **state)
{
    static const char *const cases[] = {"Vary: *",   "Vary: a, *",  "Vary: *\nVary: a",
                                        "Vary: a b", "Vary: \"a\"", "Vary: a;b"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct slice vary;
        uint64_t variant;

        print_message("case: 4.1: %s\n", cases[i]);
        arena_init(&arena, 0);
        assert_int_equal(build(&arena, "", cases[i], &vary, &variant), ERR_LIMIT);
        arena_fini(&arena);
    }
}

static void
too_many_names(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char text[1024] = "Vary: ";
        size_t len = strlen(text);
        struct arena arena;
        struct slice vary;
        uint64_t variant;

        for (int i = 0; i < CACHE_VARY_NAMES_MAX + extra; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "x%d,", 999 - i);
        arena_init(&arena, 0);
        assert_int_equal(build(&arena, "", text, &vary, &variant), extra == 0 ? OK : ERR_LIMIT);
        if (extra == 0)
            assert_true(slice_starts(vary, SLICE("x936\nx937\n")));
        arena_fini(&arena);
    }
}

static void
matching(void **state)
{
    static const struct {
        const char *why, *vary, *stored, *later;
        bool want;
    } cases[] = {
        {"4.1: equal", "Vary: Foo", "Foo: 1", "Foo: 1", true},
        {"4.1: another value", "Vary: Foo", "Foo: 1", "Foo: 2", false},
        {"4.1: a longer value", "Vary: Foo", "Foo: 1", "Foo: 12", false},
        {"4.1: a shorter value", "Vary: Foo", "Foo: 12", "Foo: 1", false},
        {"4.1: the case of values matters", "Vary: Foo", "Foo: a", "Foo: A", false},
        {"4.1: the case of names does not", "Vary: foo", "FOO: a", "fOO: a", true},
        {"4.1: absent in both", "Vary: Foo", "", "", true},
        {"4.1: absent then present", "Vary: Foo", "", "Foo: 1", false},
        {"4.1: present then absent", "Vary: Foo", "Foo: 1", "", false},
        {"4.1: absent then empty", "Vary: Foo", "", "Foo:", false},
        {"4.1: empty then absent", "Vary: Foo", "Foo:", "", false},
        {"4.1: empty in both", "Vary: Foo", "Foo:", "Foo:", true},
        {"4.1: others do not matter", "Vary: Foo", "Foo: 1\nBar: 1", "Bar: 2\nFoo: 1", true},
        {"4.1: both of two", "Vary: Foo, Bar", "Foo: 1\nBar: 2", "Bar: 2\nFoo: 1", true},
        {"4.1: one of two", "Vary: Foo, Bar", "Foo: 1\nBar: 2", "Bar: 2\nFoo: 2", false},
        {"5.3: two lines as one", "Vary: Foo", "Foo: 1, 2", "Foo: 1\nFoo: 2", true},
        {"5.3: one line as two", "Vary: Foo", "Foo: 1\nFoo: 2", "Foo: 1,2", true},
        {"5.3: another order of lines", "Vary: Foo", "Foo: 1\nFoo: 2", "Foo: 2\nFoo: 1", false},
        {"4.1: other blanks", "Vary: Foo", "Foo: 1,2", "Foo: 1 ,   2", true},
        {"4.1: blanks in a quoted string", "Vary: Foo", "Foo: \"1,2\"", "Foo: \"1, 2\"", false},
        {"4.1: known field", "Vary: Accept-Encoding", "Accept-Encoding: gzip, br",
         "Accept-Encoding: gzip,br", true},
        {"4.1: known field, another", "Vary: Accept-Encoding", "Accept-Encoding: gzip",
         "Accept-Encoding: br", false},
        {"4.1: User-Agent as it is", "Vary: User-Agent", "User-Agent: a,b", "User-Agent: a, b",
         false},
        {"7.6.1: named by Connection is absent", "Vary: Foo", "Connection: Foo\nFoo: 1", "", true},
        {"7.6.1: named by Connection is not its value", "Vary: Foo", "Connection: Foo\nFoo: 1",
         "Foo: 1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_fields later;
        struct slice vary, vary_later;
        uint64_t variant, variant_later;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(build(&arena, cases[i].stored, cases[i].vary, &vary, &variant), OK);
        fields_from(&arena, cases[i].later, &later);
        assert_int_equal(cache_vary_matches(vary, SLICE_NONE, &later), cases[i].want);
        assert_int_equal(build(&arena, cases[i].later, cases[i].vary, &vary_later, &variant_later),
                         OK);
        assert_int_equal(variant == variant_later, cases[i].want);
        arena_fini(&arena);
    }
}

/* The fields that the site has in its key: exactly what the origin could tell apart. */
static void
keyed_texts(void **state)
{
    static const char *const names[] = {"accept", "x-device"};
    static const struct {
        const char *why, *request, *want;
    } cases[] = {
        {"absent", "", "=accept\n=x-device\n"},
        {"empty is not absent", "X-Device:", "=accept\n=x-device: \n"},
        {"byte for byte", "X-DEVICE: a , B,c\nAccept: */*", "=accept: */*\n=x-device: a , B,c\n"},
        {"lines in order", "X-Device: b\nFoo: 1\nx-device: a",
         "=accept\n=x-device: b\x1f"
         "a\n"},
        {"lines are not one line", "X-Device: b, a", "=accept\n=x-device: b, a\n"},
        {"an empty second line", "X-Device: b\nX-Device:", "=accept\n=x-device: b\x1f\n"},
        {"RFC 9110 section 7.6.1: what Connection names", "Connection: x-device\nX-Device: a",
         "=accept\n=x-device\n"},
    };
    struct slice texts[ARRAY_LEN(cases)], vary;
    struct http_fields asked[ARRAY_LEN(cases)], response;
    struct arena arena;
    uint64_t variant;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, "Vary: Foo", &response);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        fields_from(&arena, cases[i].request, &asked[i]);
        assert_int_equal(cache_keyed_build(&arena, names, ARRAY_LEN(names), &asked[i], &texts[i]),
                         OK);
        assert_text(texts[i], cases[i].want);
    }
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(
            cache_vary_build(&arena, texts[i], 0, &asked[i], &response, &vary, &variant), OK);
        assert_true(variant != 0 && cache_vary_covers(vary, 0, &response));
        for (size_t j = 0; j < ARRAY_LEN(cases); j++)
            assert_int_equal(cache_vary_matches(vary, texts[j], &asked[i]),
                             slice_is(texts[j], cases[i].want));
        assert_false(cache_vary_matches(vary, SLICE_NONE, &asked[i]));
        assert_false(cache_vary_matches(SLICE_NONE, texts[i], &asked[i]));
        assert_false(cache_vary_matches(vary, slice_first(texts[i], 8), &asked[i]));
    }
    arena_fini(&arena);
}

/* The cookies that the site has in its key: whatever an origin could take for them. */
static void
keyed_cookies(void **state)
{
    static const char *const names[] = {"sid", "Theme"};
    static const struct {
        const char *why, *request, *want;
    } cases[] = {
        {"RFC 6265 section 5.4: none", "", "=;sid\n=;Theme\n"},
        {"RFC 6265 section 5.4: others", "Cookie: a=1; b=2", "=;sid\n=;Theme\n"},
        {"RFC 6265 section 5.4: both", "Cookie: Theme=dark; a=1; sid=x",
         "=;sid: =x\n=;Theme: =dark\n"},
        {"empty is not absent", "Cookie: sid=", "=;sid: =\n=;Theme\n"},
        {"without = is a third thing", "Cookie: a=1; sid", "=;sid: \n=;Theme\n"},
        {"the case counts", "Cookie: SID=x; theme=y", "=;sid\n=;Theme\n"},
        {"part of a name", "Cookie: si=1; sid2=3; xsid=4", "=;sid\n=;Theme\n"},
        {"a name in a value", "Cookie: a=sid=1; b=Theme", "=;sid\n=;Theme\n"},
        {"= in a value", "Cookie: sid=a=b=", "=;sid: =a=b=\n=;Theme\n"},
        {"twice, in order", "Cookie: sid=b; a=1; sid=a", "=;sid: =b\x1f=a\n=;Theme\n"},
        {"RFC 9113 section 8.2.3: in two lines", "Cookie: sid=b\nCookie: Theme=x; sid=a",
         "=;sid: =b\x1f=a\n=;Theme: =x\n"},
        {"blanks", "Cookie:  sid = x ;Theme\t=\ty", "=;sid: = x\n=;Theme: =\ty\n"},
        {"behind a comma", "Cookie: a=1, sid=x; b", "=;sid: =x\n=;Theme\n"},
        {"a comma in its value", "Cookie: sid=a,b", "=;sid: =a,b\n=;Theme\n"},
        {"both", "Cookie: sid=a, sid=b", "=;sid: =a, sid=b\x1f=b\n=;Theme\n"},
        {"in quotes", "Cookie: a=\"x; sid=1\"", "=;sid: =1\"\n=;Theme\n"},
        {"empty parts", "Cookie: ;,; =1; sid=x;", "=;sid: =x\n=;Theme\n"},
    };
    struct arena arena;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_fields request, response;
        struct slice keyed = SLICE("=accept\n"), fields = keyed, vary;
        uint64_t variant;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].request, &request);
        fields_from(&arena, "Vary: Foo", &response);
        assert_int_equal(cache_keyed_add_cookies(&arena, names, ARRAY_LEN(names), &request, &keyed),
                         OK);
        assert_true(slice_starts(keyed, fields));
        assert_text(slice_skip(keyed, fields.len), cases[i].want);
        assert_int_equal(cache_vary_build(&arena, keyed, 0, &request, &response, &vary, &variant),
                         OK);
        assert_true(cache_vary_matches(vary, keyed, &request));
        assert_false(cache_vary_matches(vary, fields, &request)); /* the site had no cookies */
        assert_true(cache_vary_covers(vary, 0, &response));
        arena_fini(&arena);
    }
    arena_init(&arena, 1); /* less than any piece takes */
    assert_int_equal(cache_keyed_add_cookies(&arena, names, 0, NULL, NULL), OK);
    assert_int_equal(cache_keyed_add_cookies(&arena, names, 1, &(struct http_fields){0},
                                             &(struct slice){NULL, 0}),
                     ERR_NOMEM);
    arena_fini(&arena);
}

/* From a disk: anything may stand there. */
static void
damaged_texts_match_nothing(void **state)
{
    static const char *const cases[] = {"foo",         "\n",         ": 1\n",
                                        "foo:1\n",     "foo:\n",     "foo: 1",
                                        "foo: 1\nbar", "foo: 1\n\n", "foo: 1\n:\n"};
    struct arena arena;
    struct http_fields request;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, "Foo: 1", &request);
    assert_true(cache_vary_matches(SLICE("foo: 1\n"), SLICE_NONE, &request));
    assert_true(cache_vary_matches(SLICE_NONE, SLICE_NONE, &request));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i]);
        assert_false(cache_vary_matches(slice_from_str(cases[i]), SLICE_NONE, &request));
    }
    arena_fini(&arena);
}

static void
covering(void **state)
{
    static const struct {
        const char *why, *vary, *response;
        bool want;
    } cases[] = {
        {"no Vary at all", "", "", true},
        {"no Vary any more", "foo: 1\n", "", true},
        {"the same", "foo: 1\n", "Vary: Foo", true},
        {"fewer", "bar\nfoo: 1\n", "Vary: Foo", true},
        {"more", "foo: 1\n", "Vary: Foo, Bar", false},
        {"the first one", "", "Vary: Foo", false},
        {"star", "foo: 1\n", "Vary: *", false},
        {"in the site's key", "=foo: 1\n", "Vary: Foo", true},
        {"as good as star", "foo: 1\n", "Vary: X-Forwarded-For", false},
        {"what brink writes or drops", "foo: 1\n", "Vary: Foo, X-Forwarded-Host, X_A", true},
        {"part of a name", "foo: 1\n", "Vary: fo", false},
        {"a name in a value", "foo: bar\n", "Vary: bar", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_fields response;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].response, &response);
        assert_int_equal(cache_vary_covers(slice_from_str(cases[i].vary), 0, &response),
                         cases[i].want);
        arena_fini(&arena);
    }
}

/* Where codings are brink's affair, Accept-Encoding tells no variants apart; all else is as it was.
 */
static void
own_encoding(void **state)
{
    static const char *const names[] = {"accept-encoding"};
    static const struct {
        const char *why;
        size_t keyed_n;
        const char *response, *want, *other;
        bool want_match; /* does the other request match? */
        bool star;
    } cases[] = {
        {"4.1: alone", 0, "Vary: Accept-Encoding", "", "Accept-Encoding: gzip\nFoo: 1", true,
         false},
        {"4.1: among others", 0, "Vary: accept-ENCODING, Foo", "foo: 1\n",
         "Accept-Encoding: gzip\nFoo: 1", true, false},
        {"4.1: the others count", 0, "Vary: Accept-Encoding, Foo", "foo: 1\n",
         "Accept-Encoding: br\nFoo: 2", false, false},
        {"4.1: other preferences count", 0, "Vary: Accept, Accept-Encoding", "accept\n",
         "Accept: a/b\nFoo: 1", false, false},
        {"in the site's key it stays", 1, "Vary: Accept-Encoding", "=accept-encoding: br\n",
         "Accept-Encoding: gzip\nFoo: 1", false, false},
        {"4.1: star", 0, "Vary: Accept-Encoding, *", "", "", false, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_fields request, other, response;
        struct slice keyed, keyed_other, vary = SLICE_NONE;
        struct arena arena;
        uint64_t variant;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, "Accept-Encoding: br\nFoo: 1", &request);
        fields_from(&arena, cases[i].other, &other);
        fields_from(&arena, cases[i].response, &response);
        assert_int_equal(cache_keyed_build(&arena, names, cases[i].keyed_n, &request, &keyed), OK);
        assert_int_equal(cache_keyed_build(&arena, names, cases[i].keyed_n, &other, &keyed_other),
                         OK);
        assert_int_equal(cache_vary_build(&arena, keyed, CACHE_VARY_OWN_ENCODING, &request,
                                          &response, &vary, &variant),
                         cases[i].star ? ERR_LIMIT : OK);
        assert_int_equal(cache_vary_is_star(&response), cases[i].star);
        if (!cases[i].star) {
            assert_text(vary, cases[i].want);
            assert_int_equal(variant == 0, vary.len == 0);
            assert_true(cache_vary_matches(vary, keyed, &request));
            assert_int_equal(cache_vary_matches(vary, keyed_other, &other), cases[i].want_match);
        }
        assert_int_equal(cache_vary_covers(vary, CACHE_VARY_OWN_ENCODING, &response),
                         !cases[i].star);
        assert_int_equal(cache_vary_covers(vary, 0, &response), cases[i].keyed_n > 0);
        arena_fini(&arena);
    }
}

static void
no_memory(void **state)
{
    struct arena arena;
    struct http_fields request, response;
    size_t used_len;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, "Foo: 1", &request);
    fields_from(&arena, "Vary: Foo", &response);
    used_len = arena.used_len;
    for (size_t room = 0; room < 64; room += 16) {
        struct slice vary = SLICE("before");
        uint64_t variant;

        arena.used_max = used_len + room;
        arena.used_len = used_len;
        assert_int_equal(
            cache_vary_build(&arena, SLICE_NONE, 0, &request, &response, &vary, &variant),
            ERR_NOMEM);
        assert_text(vary, "before");
    }
    arena_fini(&arena);
}

/* RFC 9110 section 12.5: preferences that say the same have one variant, where the site wants that.
 */
static void
preferences(void **state)
{
    static const struct {
        const char *why, *vary, *stored, *later;
        bool want, want_as_it_came;
    } cases[] = {
        {"12.5.4: order", "Vary: accept-language", "Accept-Language: en, de",
         "Accept-Language: de, en", true, false},
        {"12.5.4: case", "Vary: accept-language", "Accept-Language: en, de",
         "Accept-Language: eN, De", true, false},
        {"12.5.4: another", "Vary: accept-language", "Accept-Language: en", "Accept-Language: de",
         false, false},
        {"12.5.4: more", "Vary: accept-language", "Accept-Language: de, en", "Accept-Language: de",
         false, false},
        {"12.4.2: weights", "Vary: Accept", "Accept: a/b;q=0.50, c/d;q=1.0",
         "Accept: c/d,a/b;q=0.5", true, false},
        {"12.4.2: another weight", "Vary: Accept", "Accept: a/b;q=0.5", "Accept: a/b;q=0.6", false,
         false},
        {"absent is not empty", "Vary: Accept", "Accept:", "Foo: 1", false, false},
        {"absent twice", "Vary: Accept", "Foo: 1", "Foo: 2", true, true},
        {"what has no normal form, equal", "Vary: Accept", "Accept: a/b;q=x, c/d",
         "Accept: a/b;q=x, c/d", true, true},
        {"what has no normal form, moved", "Vary: Accept", "Accept: a/b;q=x, c/d",
         "Accept: c/d, a/b;q=x", false, false},
        {"only one has a normal form", "Vary: Accept", "Accept: a/b", "Accept: a/b;q=x", false,
         false},
        {"4.1: other fields keep their order", "Vary: Foo", "Foo: 2, 1", "Foo: 1, 2", false, false},
        {"among others", "Vary: Foo, Accept, Zoo", "Foo: 1\nAccept: b/*, a/*\nZoo: 2",
         "Foo: 1\nAccept: a/*, b/*\nZoo: 2", true, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int normalise = 0; normalise <= 1; normalise++) {
            struct arena arena;
            struct http_fields stored, later, response;
            struct slice vary;
            uint64_t variant;

            print_message("case: %s\n", cases[i].why);
            arena_init(&arena, 0);
            fields_from(&arena, cases[i].stored, &stored);
            fields_from(&arena, cases[i].later, &later);
            fields_from(&arena, cases[i].vary, &response);
            assert_int_equal(cache_vary_build(&arena, SLICE_NONE, normalise, &stored, &response,
                                              &vary, &variant),
                             OK);
            assert_true(cache_vary_matches(vary, SLICE_NONE, &stored));
            assert_true(cache_vary_covers(vary, 0, &response));
            assert_int_equal(cache_vary_matches(vary, SLICE_NONE, &later),
                             normalise ? cases[i].want : cases[i].want_as_it_came);
            arena_fini(&arena);
        }
    }
}

/* RFC 9111 section 4.1: which field it is that does not match. */
static void
differences(void **state)
{
    static const struct {
        const char *why, *vary, *keyed, *request;
        const char *name, *stored, *asked; /* name NULL: they match; a value NULL: absent */
        bool of_key, of_cookie;
    } cases[] = {
        {"the same", "foo: 1\n", "", "Foo: 1", NULL, NULL, NULL, false, false},
        {"another value", "bar: x\nfoo: 1\n", "", "Bar: x\nFoo: 2", "foo", "1", "2", false, false},
        {"absent there", "foo\n", "", "Foo: 2", "foo", NULL, "2", false, false},
        {"absent here", "foo: 1\n", "", "", "foo", "1", NULL, false, false},
        {"a preference", "accept-language:~de\n", "", "Accept-Language: fr", "accept-language",
         "de", "fr", false, false},
        {"a field of the key", "=dev: tv\nfoo: 1\n", "=dev: pc\n", "Foo: 1", "dev", "tv", "pc",
         true, false},
        {"the second field of the key", "=a: 1\n=b: 2\n", "=a: 1\n=b\n", "", "b", "2", NULL, true,
         false},
        {"a cookie of the key", "=;id: =1\n", "=;id: =2\n", "", "id", "=1", "=2", true, true},
        {"the content of a QUERY", "=?content-type: a/b\n=?: x\n", "=?content-type: a/b\n=?: y\n",
         "", "content", "x", "y", true, false},
        {"what it is", "=?content-type: a/b\n=?: x\n", "=?content-type: a/c\n=?: x\n", "",
         "content-type", "a/b", "a/c", true, false},
        {"the site had another field", "=a: 1\n", "=b: 2\n", "", "b", NULL, "2", true, false},
        {"the site had no field", "", "=b: 2\n", "", "b", NULL, "2", true, false},
        {"the site has no field any more", "=a: 1\n", "", "", "a", "1", NULL, true, false},
        {"damaged", "foo:1\n", "", "Foo: 1", "", NULL, NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice vary = slice_from_str(cases[i].vary), keyed = slice_from_str(cases[i].keyed);
        struct cache_vary_difference got;
        struct http_request request;
        struct arena arena;
        bool differs;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].request);
        differs = cache_vary_differs(vary, keyed, &request.fields, &got);
        assert_int_equal(differs, !cache_vary_matches(vary, keyed, &request.fields));
        assert_int_equal(differs, cases[i].name != NULL);
        if (differs && cases[i].name[0] != '\0') {
            assert_text(got.name, cases[i].name);
            assert_int_equal(got.stored.ptr == NULL, cases[i].stored == NULL);
            assert_int_equal(got.asked.ptr == NULL, cases[i].asked == NULL);
            assert_text(got.stored, cases[i].stored == NULL ? "" : cases[i].stored);
            assert_text(got.asked, cases[i].asked == NULL ? "" : cases[i].asked);
            assert_int_equal(got.of_key, cases[i].of_key);
            assert_int_equal(got.of_cookie, cases[i].of_cookie);
        }
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(what_matches_nothing),
        cmocka_unit_test(too_many_names),
        cmocka_unit_test(matching),
        cmocka_unit_test(keyed_texts),
        cmocka_unit_test(keyed_cookies),
        cmocka_unit_test(damaged_texts_match_nothing),
        cmocka_unit_test(covering),
        cmocka_unit_test(own_encoding),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(preferences),
        cmocka_unit_test(differences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
