/* Authorities, targets and references. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/url.h"

static void
want_text(const char *why, struct slice got, const char *want)
{
    if (!slice_is(got, want))
        fail_msg("%s: \"%.*s\", not \"%s\"", why, SLICE_ARGS(got), want);
}

static void
authorities(void **state)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        /* RFC 3986 section 3.2.2: registered names */
        {"a", "a", 0},
        {"www.Example.com", "www.Example.com", 0},
        {"a:80", "a", 80},
        {"a:", "a", 0},
        {"a:1", "a", 1},
        {"a:65535", "a", 65535},
        {"a:00080", "a", 80},
        {"a-b_c~d.", "a-b_c~d.", 0},
        {"!$&'()*+;=", "!$&'()*+;=", 0},
        {"a,b", NULL, 0}, /* two Hosts joined, RFC 9112 section 3.2 */
        {"%41%2f", "%41%2f", 0},
        {"1.2.3", "1.2.3", 0},
        {"999.999.999.999", "999.999.999.999", 0}, /* no IPv4, but a registered name */
        {"", NULL, 0},
        {":", NULL, 0},
        {":80", NULL, 0},
        {"a b", NULL, 0},
        {"a/b", NULL, 0},
        {"a?", NULL, 0},
        {"a#", NULL, 0},
        {"u@a", NULL, 0},
        {"a\\b", NULL, 0},
        {"a\"", NULL, 0},
        {"<a>", NULL, 0},
        {"a\x7f", NULL, 0},
        {"a\x80", NULL, 0},
        {"a^b", NULL, 0},
        {"a|b", NULL, 0},
        {"a`b", NULL, 0},
        {"{a}", NULL, 0},
        {"a[b]", NULL, 0},
        {"%", NULL, 0},
        {"%4", NULL, 0},
        {"%4x", NULL, 0},
        /* RFC 3986 section 3.2.3: ports */
        {"a:0", NULL, 0},
        {"a:00000", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:99999", NULL, 0},
        {"a:000080", NULL, 0},
        {"a:8a", NULL, 0},
        {"a: 8", NULL, 0},
        {"a:+8", NULL, 0},
        {"a:-8", NULL, 0},
        {"a:8:8", NULL, 0},
        {"a::8", NULL, 0},
        /* RFC 3986 section 3.2.2: IPv6 */
        {"[::]", "[::]", 0},
        {"[::1]", "[::1]", 0},
        {"[1::]", "[1::]", 0},
        {"[1::8]:443", "[1::8]", 443},
        {"[::1]:", "[::1]", 0},
        {"[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]", 0},
        {"[2001:DB8::aBcD]", "[2001:DB8::aBcD]", 0},
        {"[::2:3:4:5:6:7:8]", "[::2:3:4:5:6:7:8]", 0},
        {"[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]", 0},
        {"[1:2:3::5:6:7:8]", "[1:2:3::5:6:7:8]", 0},
        {"[::192.0.2.1]", "[::192.0.2.1]", 0},
        {"[::ffff:192.0.2.1]:8", "[::ffff:192.0.2.1]", 8},
        {"[1:2:3:4:5:6:192.0.2.1]", "[1:2:3:4:5:6:192.0.2.1]", 0},
        {"[1::6:0.0.0.0]", "[1::6:0.0.0.0]", 0},
        {"[]", NULL, 0},
        {"[", NULL, 0},
        {"[::1", NULL, 0},
        {"[:]", NULL, 0},
        {"[:::]", NULL, 0},
        {"[1:::8]", NULL, 0},
        {"[1]", NULL, 0},
        {"[1:2:3:4:5:6:7]", NULL, 0},
        {"[1:2:3:4:5:6:7:8:9]", NULL, 0},
        {"[1::3::5]", NULL, 0},
        {"[::1::]", NULL, 0},
        {"[1:2:3:4::5:6:7:8]", NULL, 0},
        {"[::1:2:3:4:5:6:7:8]", NULL, 0},
        {"[1:2:3:4:5:6:7:8::]", NULL, 0},
        {"[:1::2]", NULL, 0},
        {"[1::2:]", NULL, 0},
        {"[1:]", NULL, 0},
        {"[12345::]", NULL, 0},
        {"[g::]", NULL, 0},
        {"[::1%25eth0]", NULL, 0},
        {"[::1%eth0]", NULL, 0},
        {"[v1.a]", NULL, 0},
        {"[192.0.2.1]", NULL, 0},
        {"[a.example]", NULL, 0},
        {"[::192.0.2]", NULL, 0},
        {"[::192.0.2.256]", NULL, 0},
        {"[::192.0.2.01]", NULL, 0},
        {"[::192.0.2.1.1]", NULL, 0},
        {"[::192.0.2.]", NULL, 0},
        {"[::.0.2.1]", NULL, 0},
        {"[::192.0.2.1:1]", NULL, 0},
        {"[1:2:3:4:5:6:7:192.0.2.1]", NULL, 0},
        {"[1:2:3:4:5:192.0.2.1]", NULL, 0},
        {"[::1:2:3:4:5:6:192.0.2.1]", NULL, 0},
        {"[::1]a", NULL, 0},
        {"[::1]80", NULL, 0},
        {"[[::1]]", NULL, 0},
        {" [::1]", NULL, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice host = SLICE("untouched");
        uint16_t port = 7;
        enum err rc = url_parse_authority(slice_from_str(cases[i].text), &host, &port);

        if ((rc == OK) != (cases[i].host != NULL))
            fail_msg("\"%s\": %s", cases[i].text, err_name(rc));
        want_text(cases[i].text, host, rc == OK ? cases[i].host : "untouched");
        assert_int_equal(port, rc == OK ? cases[i].port : 7);
    }
}

static void
urls(void **state)
{
    static const struct {
        const char *text;
        const char *scheme; /* NULL: refused */
        const char *authority, *host;
        uint16_t port;
        const char *path, *query;
    } cases[] = {
        {"http://a/b?c", "http", "a", "a", 0, "/b", "?c"},
        {"HTTPS://A:8443", "HTTPS", "A:8443", "A", 8443, "/", ""},
        {"http://a?", "http", "a", "a", 0, "/", "?"},
        {"http://a?b/c?d", "http", "a", "a", 0, "/", "?b/c?d"},
        {"http://[::1]:80/b:c@d", "http", "[::1]:80", "[::1]", 80, "/b:c@d", ""},
        {"http://a//", "http", "a", "a", 0, "//", ""},
        {"http://a/%e4?%20", "http", "a", "a", 0, "/%e4", "?%20"},
        {"http://a/?b[c]=d", "http", "a", "a", 0, "/", "?b[c]=d"},
        {"", NULL, NULL, NULL, 0, NULL, NULL},
        {"http", NULL, NULL, NULL, 0, NULL, NULL},
        {"http:", NULL, NULL, NULL, 0, NULL, NULL},
        {"http:/", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://", NULL, NULL, NULL, 0, NULL, NULL},
        {"http:///a", NULL, NULL, NULL, 0, NULL, NULL},
        {"://a/", NULL, NULL, NULL, 0, NULL, NULL},
        {"//a/", NULL, NULL, NULL, 0, NULL, NULL},
        {"/a", NULL, NULL, NULL, 0, NULL, NULL},
        {"a/b", NULL, NULL, NULL, 0, NULL, NULL},
        {"ftp://a/", NULL, NULL, NULL, 0, NULL, NULL},
        {"httpss://a/", NULL, NULL, NULL, 0, NULL, NULL},
        {" http://a/", NULL, NULL, NULL, 0, NULL, NULL},
        {"http ://a/", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a/#b", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a#b", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a/?b#c", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://u@a/", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://u:p@a/", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a:x/", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a/ b", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a/b c", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a/%", NULL, NULL, NULL, 0, NULL, NULL},
        {"http://a\\b/", NULL, NULL, NULL, 0, NULL, NULL},
        {"http:\\\\a/", NULL, NULL, NULL, 0, NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *text = cases[i].text;
        struct url url;
        enum err rc = url_parse(slice_from_str(text), &url);

        if ((rc == OK) != (cases[i].scheme != NULL))
            fail_msg("\"%s\": %s", text, err_name(rc));
        if (rc != OK)
            continue;
        want_text(text, url.scheme, cases[i].scheme);
        want_text(text, url.authority, cases[i].authority);
        want_text(text, url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        want_text(text, url.path, cases[i].path);
        want_text(text, url.query, cases[i].query);
    }
}

/* RFC 9110 section 4.2.3 */
static void
normal_hosts(void **state)
{
    static const struct {
        const char *scheme, *authority, *want; /* NULL: refused */
        bool borrowed;
    } cases[] = {
        {"http", "a", "a", true},
        {"http", "a:8080", "a:8080", true},
        {"http", "[::1]:81", "[::1]:81", true},
        {"http", "A.Example", "a.example", false},
        {"http", "a:80", "a", false},
        {"https", "a:443", "a", false},
        {"HTTPS", "A:443", "a", false},
        {"http", "a:443", "a:443", true},
        {"https", "a:80", "a:80", true},
        {"", "a:80", "a:80", true},
        {"http", "a:", "a", false},
        {"http", "a:0080", "a", false},
        {"http", "a:08080", "a:8080", false},
        {"http", "A:65535", "a:65535", false},
        {"http", "[2001:DB8::1]:80", "[2001:db8::1]", false},
        {"http", "%4A", "%4a", false},
        {"http", "a b", NULL, false},
        {"http", "", NULL, false},
    };
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice out = SLICE_NONE;
        enum err rc = url_normal_host(&arena, slice_from_str(cases[i].scheme),
                                      slice_from_str(cases[i].authority), &out);

        assert_int_equal(rc, cases[i].want == NULL ? ERR_SYNTAX : OK);
        if (rc != OK)
            continue;
        want_text(cases[i].authority, out, cases[i].want);
        assert_int_equal(out.ptr == cases[i].authority, cases[i].borrowed);
    }
    arena_fini(&arena);

    arena_init(&arena, 1);
    {
        struct slice out;

        assert_int_equal(url_normal_host(&arena, SLICE("http"), SLICE("A"), &out), ERR_NOMEM);
        assert_int_equal(url_normal_host(&arena, SLICE("http"), SLICE("a"), &out), OK);
    }
    arena_fini(&arena);
}

/* The examples of RFC 3986 section 5.4, and what Location fields hold. */
static void
references(void **state)
{
    static const struct {
        const char *base, *reference, *want; /* NULL: refused */
    } cases[] = {
        {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "//g", "http://g/"},
        {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g?y#s", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
        {"http://a/b/c/d;p?q", "g;x", "http://a/b/c/g;x"},
        {"http://a/b/c/d;p?q", "g;x?y#s", "http://a/b/c/g;x?y"},
        {"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "./", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "..", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "../..", "http://a/"},
        {"http://a/b/c/d;p?q", "../../", "http://a/"},
        {"http://a/b/c/d;p?q", "../../g", "http://a/g"},
        /* section 5.4.2 */
        {"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "../../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
        {"http://a/b/c/d;p?q", ".g", "http://a/b/c/.g"},
        {"http://a/b/c/d;p?q", "g..", "http://a/b/c/g.."},
        {"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
        {"http://a/b/c/d;p?q", "./../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "./g/.", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h"},
        {"http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h"},
        {"http://a/b/c/d;p?q", "g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"},
        {"http://a/b/c/d;p?q", "g?y/./x", "http://a/b/c/g?y/./x"},
        {"http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"},
        {"http://a/b/c/d;p?q", "g#s/../x", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "http:g", NULL}, /* the strict reading */
        {"http://a/b/c/d;p?q", "g:h", NULL},    /* another scheme */
        {"http://a/b", "https://c:8/d/../e?f#g", "https://c:8/e?f"},
        {"http://a/b", "http://c", "http://c/"},
        {"http://a/b", "//c?d", "http://c/?d"},
        {"http://a/b", "//c/d/.", "http://c/d/"},
        {"http://a:8/b?c", "d", "http://a:8/d"},
        {"http://a/b/", "//", NULL},
        {"http://a/b/", "///c", NULL},
        {"http://a/b/", "//u@c/", NULL},
        {"http://a/b/", "http://c d/", NULL},
        {"http://a/b/", "c d", NULL},
        {"http://a/b/", "%zz", NULL},
        {"http://a/b/", "\\c", NULL},
        {"http://a/b/", ":c", NULL},
        {"http://a/b/", "mailto:c@d", NULL},
        {"http://a/b/", "/c//../d", "http://a/c/d"},
        {"http://a/b/", "/c//..", "http://a/c/"},
        {"http://a/", "a/b/../../../../c/", "http://a/c/"},
    };
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice out = SLICE_NONE;
        struct url base;
        enum err rc;

        assert_int_equal(url_parse(slice_from_str(cases[i].base), &base), OK);
        rc = url_resolve(&arena, &base, slice_from_str(cases[i].reference), &out);
        if (rc != (cases[i].want == NULL ? ERR_SYNTAX : OK))
            fail_msg("\"%s\": %s", cases[i].reference, err_name(rc));
        if (rc == OK)
            want_text(cases[i].reference, out, cases[i].want);
    }
    arena_fini(&arena);
}

/* The base of OPTIONS * has no folder: the reference starts at the root. */
static void
reference_against_an_asterisk(void **state)
{
    struct url base = {.scheme = SLICE("http"), .authority = SLICE("a"), .path = SLICE("*")};
    struct arena arena;
    struct slice out;

    arena_init(&arena, 0);
    assert_int_equal(url_resolve(&arena, &base, SLICE("b"), &out), OK);
    want_text("b", out, "http://a/b");
    arena_fini(&arena);
    arena_init(&arena, 4);
    assert_int_equal(url_resolve(&arena, &base, SLICE("b"), &out), ERR_NOMEM);
    arena_fini(&arena);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorities),
        cmocka_unit_test(urls),
        cmocka_unit_test(normal_hosts),
        cmocka_unit_test(references),
        cmocka_unit_test(reference_against_an_asterisk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
