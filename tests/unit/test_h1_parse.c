/* Heads of HTTP/1, table by table. Every head is parsed from a copy of exactly its length, so that
 * a read past its end is found, and each that is accepted is also fed to h1_find_head byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/field.h"
#include "http/h1_parse.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define LINE(line) TEXT(line "\r\nHost: a\r\n\r\n")
#define GET(fields) TEXT("GET / HTTP/1.1\r\nHost: a\r\n" fields "\r\n\r\n")
#define GET10(fields) TEXT("GET / HTTP/1.0\r\n" fields "\r\n\r\n")
#define ANSWER(fields) TEXT("HTTP/1.1 200 OK\r\n" fields "\r\n\r\n")
#define ANSWER10(fields) TEXT("HTTP/1.0 200 OK\r\n" fields "\r\n\r\n")

static const struct h1_limits wide = {8192, 32768, 100};

/* A head in memory of its own, with what it was parsed into. */
struct parsed {
    struct arena arena;
    char *copy;
    struct slice head;
    struct http_request req;
    struct http_response resp;
    struct h1_fault fault;
    enum err rc;
};

static void
own_head(struct parsed *parsed, struct slice head)
{
    *parsed = (struct parsed){0};
    arena_init(&parsed->arena, 0);
    parsed->copy = malloc(head.len == 0 ? 1 : head.len);
    assert_non_null(parsed->copy);
    memcpy(parsed->copy, head.ptr, head.len);
    parsed->head = slice_of(parsed->copy, head.len);
}

static void
parse_request(struct parsed *parsed, struct slice head, const struct h1_limits *limits)
{
    own_head(parsed, head);
    parsed->rc =
        h1_parse_request(parsed->head, limits, &parsed->arena, &parsed->req, &parsed->fault);
    assert_true(parsed->rc == OK || parsed->fault.why != NULL);
    assert_true(parsed->fault.at <= head.len);
}

static void
parse_response(struct parsed *parsed, struct slice head, enum http_method method,
               const struct h1_limits *limits)
{
    own_head(parsed, head);
    parsed->rc = h1_parse_response(parsed->head, method, limits, &parsed->arena, &parsed->resp,
                                   &parsed->fault);
    assert_true(parsed->rc == OK || parsed->fault.why != NULL);
    assert_true(parsed->fault.at <= head.len);
}

static void
drop(struct parsed *parsed)
{
    arena_fini(&parsed->arena);
    free(parsed->copy);
}

static void
want_rc(const char *why, enum err got, enum err want)
{
    if (got != want)
        fail_msg("%s: %s, not %s", why, err_name(got), err_name(want));
}

static void
want_text(const char *why, struct slice got, const char *want)
{
    if (!slice_is(got, want))
        fail_msg("%s: \"%.*s\", not \"%s\"", why, SLICE_ARGS(got), want);
}

static void
want_true(const char *why, bool holds)
{
    if (!holds)
        fail_msg("%s", why);
}

/* Trickled in, the head's end is found at its last byte and not before. */
static void
want_end_at_last_byte(const char *why, struct slice head)
{
    size_t scanned = 0, len = 0;

    for (size_t n = 0; n < head.len; n++) {
        char *copy = malloc(n + 1);

        assert_non_null(copy);
        memcpy(copy, head.ptr, n);
        want_rc(why, h1_find_head(copy, n, &wide, &scanned, &len), ERR_AGAIN);
        want_true(why, scanned <= n);
        free(copy);
    }
    want_rc(why, h1_find_head(head.ptr, head.len, &wide, &scanned, &len), OK);
    assert_int_equal(len, head.len);
}

struct request_case {
    const char *why;
    struct slice head;
    enum err want;
};

static void
run_requests(const struct request_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct parsed parsed;

        parse_request(&parsed, cases[i].head, &wide);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        if (parsed.rc == OK)
            want_end_at_last_byte(cases[i].why, cases[i].head);
        drop(&parsed);
    }
}

static void
request_line(void **state)
{
    static const struct request_case cases[] = {
        {"RFC 9112 section 3: plain", LINE("GET / HTTP/1.1"), OK},
        {"RFC 9110 section 9.1: an unknown method is a token", LINE("BREW / HTTP/1.1"), OK},
        {"RFC 9110 section 9.1: lower case is another method", LINE("get / HTTP/1.1"), OK},
        {"RFC 9110 section 5.6.2: all of tchar", LINE("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1"), OK},
        {"RFC 9112 section 3: two spaces before the target", LINE("GET  / HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3: two spaces before the version", LINE("GET /  HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a space after the version", LINE("GET / HTTP/1.1 "), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a space in front", LINE(" GET / HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a tab before the target", LINE("GET\t/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a tab before the version", LINE("GET /\tHTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a tab in front", LINE("\tGET / HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: a space in the target", LINE("GET /a b HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: no target", LINE("GET HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: an empty target", LINE("GET  HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: no method", LINE("/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a method alone", LINE("GET"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a method and a space", LINE("GET "), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: HTTP/0.9's simple request", LINE("GET /"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: a target and a space", LINE("GET / "), ERR_BAD_REQUEST},
        {"RFC 9112 section 3: an empty line", LINE(""), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.6.2: a colon in the method", LINE("GE:T / HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.6.2: a slash in the method", LINE("GE/T / HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.6.2: a quote in the method", LINE("GE\"T / HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 5.6.2: a brace in the method", LINE("{GET / HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.6.2: obs-text in the method", LINE("G\xc3\x84T / HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: NUL in the method", LINE("G\0T / HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: NUL in the target", LINE("GET /\0 HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: NUL in the version", LINE("GET / HTTP/1.\0"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a bare CR in the target", LINE("GET /\ra HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a bare CR for a space", LINE("GET\r/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: CR CR LF", LINE("GET / HTTP/1.1\r"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a bare LF in the target", LINE("GET /\na HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a bare LF ends the line", TEXT("GET / HTTP/1.1\nHost: a\r\n\r\n"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a DEL", LINE("GET /\x7f HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a vertical tab", LINE("GET\v/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a form feed", LINE("GET\f/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: an empty line in front is the caller's to skip",
         TEXT("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_BAD_REQUEST},
        {"a preface of HTTP/2", TEXT("PRI * HTTP/2.0\r\n\r\n"), ERR_HTTP_VERSION},
        {"bytes of TLS", TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
         ERR_BAD_REQUEST},
        {"nothing", TEXT(""), ERR_BAD_REQUEST},
        {"CRLF alone", TEXT("\r\n"), ERR_BAD_REQUEST},
        {"no end of the head", TEXT("GET / HTTP/1.1\r\nHost: a\r\n"), ERR_BAD_REQUEST},
        {"half an empty line", TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r"), ERR_BAD_REQUEST},
        {"half a field line", TEXT("GET / HTTP/1.1\r\nHost: a"), ERR_BAD_REQUEST},
        {"half a name", TEXT("GET / HTTP/1.1\r\nHos"), ERR_BAD_REQUEST},
        {"no line end", TEXT("GET / HTTP/1.1"), ERR_BAD_REQUEST},
        {"bytes after the empty line", TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r\nX"), ERR_BAD_REQUEST},
        {"a second head", TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
         ERR_BAD_REQUEST},
    };

    run_requests(cases, ARRAY_LEN(cases));
}

static void
request_version(void **state)
{
    static const struct request_case cases[] = {
        {"RFC 9112 section 2.3: 1.0", LINE("GET / HTTP/1.0"), OK},
        {"RFC 9112 section 2.3: 1.1", LINE("GET / HTTP/1.1"), OK},
        {"RFC 9110 section 2.5: a higher minor is 1.1", LINE("GET / HTTP/1.2"), OK},
        {"RFC 9110 section 2.5: the highest minor is 1.1", LINE("GET / HTTP/1.9"), OK},
        {"RFC 9110 section 15.6.6: 0.9", LINE("GET / HTTP/0.9"), ERR_HTTP_VERSION},
        {"RFC 9110 section 15.6.6: 2.0", LINE("GET / HTTP/2.0"), ERR_HTTP_VERSION},
        {"RFC 9110 section 15.6.6: 3.0", LINE("GET / HTTP/3.0"), ERR_HTTP_VERSION},
        {"RFC 9110 section 15.6.6: 9.9", LINE("GET / HTTP/9.9"), ERR_HTTP_VERSION},
        {"RFC 9112 section 2.3: the name is case-sensitive", LINE("GET / http/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: in every letter", LINE("GET / HTTp/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: two digits of minor", LINE("GET / HTTP/1.10"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: two digits of major", LINE("GET / HTTP/11.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: zeros in front", LINE("GET / HTTP/01.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: no minor", LINE("GET / HTTP/1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: an empty minor", LINE("GET / HTTP/1."), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: an empty major", LINE("GET / HTTP/.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: a comma", LINE("GET / HTTP/1,1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: no slash", LINE("GET / HTTP1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: a sign", LINE("GET / HTTP/+1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: a letter", LINE("GET / HTTP/1.a"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: a blank inside", LINE("GET / HTTP/ 1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: another protocol", LINE("GET / HTTQ/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: another protocol of that length", LINE("GET / ICAP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 2.3: more behind it", LINE("GET / HTTP/1.1x"), ERR_BAD_REQUEST},
    };

    run_requests(cases, ARRAY_LEN(cases));
}

static void
request_target_refused(void **state)
{
    static const struct request_case cases[] = {
        {"RFC 9112 section 3.2.1: no slash in front", LINE("GET a HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.1: a query alone", LINE("GET ?a HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.1: a dot", LINE("GET . HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.5: a fragment", LINE("GET /a#b HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.5: a fragment of a query", LINE("GET /a?b#c HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.5: an empty fragment", LINE("GET /# HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 2.1: a lone percent sign", LINE("GET /% HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 2.1: one hex digit", LINE("GET /%4 HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 2.1: no hex digits", LINE("GET /%zz HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 2.1: a second digit that is none", LINE("GET /%4g HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 2.1: percent, percent", LINE("GET /%%41 HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 2.1: in a query", LINE("GET /?a=% HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 2.1: split by the question mark", LINE("GET /%4?1 HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: less than", LINE("GET /<a HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: greater than", LINE("GET /a> HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: a quote", LINE("GET /\"a HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: a backslash", LINE("GET /\\a HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: a brace in the path", LINE("GET /{a} HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: a bracket in the path", LINE("GET /[a] HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: a bar in the path", LINE("GET /a|b HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: a caret in the path", LINE("GET /^ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: a backtick in the path", LINE("GET /` HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.3: bytes of UTF-8", LINE("GET /\xc3\xa4 HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.4: less than in a query", LINE("GET /?< HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.4: a quote in a query", LINE("GET /?\" HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.4: a backslash in a query", LINE("GET /?\\ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.4: bytes of UTF-8 in a query", LINE("GET /?\xc3\xa4 HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.4: an asterisk with GET", LINE("GET * HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.4: an asterisk with an unknown method", LINE("FOO * HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.4: an asterisk with more", LINE("OPTIONS *a HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.4: two asterisks", LINE("OPTIONS ** HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: another scheme", LINE("GET ftp://a/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: a scheme of sockets", LINE("GET ws://a/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: a file", LINE("GET file:///etc/passwd HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: no authority", LINE("GET http:/a HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: no slashes", LINE("GET http:a HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: a scheme alone", LINE("GET http: HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.1: an empty host", LINE("GET http:/// HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.1: an empty host with a port", LINE("GET http://:80/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.1: nothing after the slashes", LINE("GET http:// HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.4: user information", LINE("GET http://u@a/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.4: user and password", LINE("GET http://u:p@a/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.4: an empty user", LINE("GET http://@a/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: a fragment", LINE("GET http://a/#b HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: a fragment of the authority", LINE("GET http://a#b HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.3: a port of letters", LINE("GET http://a:b/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.3: a port too high", LINE("GET http://a:65536/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.3: port 0", LINE("GET http://a:0/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.3: two ports", LINE("GET http://a:1:2/ HTTP/1.1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.3: a signed port", LINE("GET http://a:+80/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: an unclosed bracket", LINE("GET http://[::1/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: bytes after the bracket", LINE("GET http://[::1]a/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: a backslash in the host", LINE("GET http://a\\b/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: a broken escape in the host", LINE("GET http://a%2/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.3: CONNECT with a path", LINE("CONNECT / HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.3: CONNECT with a URL", LINE("CONNECT http://a:80/ HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.3: CONNECT with an asterisk", LINE("CONNECT * HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 9.3.6: CONNECT without a port", LINE("CONNECT a HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 9.3.6: CONNECT with an empty port", LINE("CONNECT a: HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 9.3.6: CONNECT with port 0", LINE("CONNECT a:0 HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 9.3.6: CONNECT with user information", LINE("CONNECT u@a:1 HTTP/1.1"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.3: authority form with GET", LINE("GET a:80 HTTP/1.1"),
         ERR_BAD_REQUEST},
    };

    run_requests(cases, ARRAY_LEN(cases));
}

static void
request_target_read(void **state)
{
    static const struct {
        const char *why;
        struct slice head;
        enum http_method method;
        enum http_target_form form;
        const char *scheme, *host, *path, *query;
    } cases[] = {
        {"RFC 9112 section 3.2.1: the root", LINE("GET / HTTP/1.1"), METHOD_GET, TARGET_ORIGIN, "",
         "a", "/", ""},
        {"RFC 9112 section 3.2.1: a path and a query", LINE("HEAD /b/c?d=e&f HTTP/1.1"),
         METHOD_HEAD, TARGET_ORIGIN, "", "a", "/b/c", "?d=e&f"},
        {"RFC 3986 section 3.4: an empty query is one", LINE("GET /? HTTP/1.1"), METHOD_GET,
         TARGET_ORIGIN, "", "a", "/", "?"},
        {"RFC 3986 section 3.4: a query may hold a question mark and slashes",
         LINE("GET /?a?b/c HTTP/1.1"), METHOD_GET, TARGET_ORIGIN, "", "a", "/", "?a?b/c"},
        {"RFC 3986 section 3.3: all of pchar", LINE("GET /-._~!$&'()*+,;=:@aZ09%7e%AF HTTP/1.1"),
         METHOD_GET, TARGET_ORIGIN, "", "a", "/-._~!$&'()*+,;=:@aZ09%7e%AF", ""},
        {"URL Standard: what browsers leave in a query", LINE("GET /?a[b]={c}|^` HTTP/1.1"),
         METHOD_GET, TARGET_ORIGIN, "", "a", "/", "?a[b]={c}|^`"},
        {"RFC 3986 section 3.3: empty segments", LINE("GET //b//c HTTP/1.1"), METHOD_GET,
         TARGET_ORIGIN, "", "a", "//b//c", ""},
        {"nothing is normalised here: dots", LINE("GET /../b/./c HTTP/1.1"), METHOD_GET,
         TARGET_ORIGIN, "", "a", "/../b/./c", ""},
        {"nothing is normalised here: escapes", LINE("GET /%2e%2F%00 HTTP/1.1"), METHOD_GET,
         TARGET_ORIGIN, "", "a", "/%2e%2F%00", ""},
        {"RFC 9112 section 3.2.1: a path that looks like a URL", LINE("GET /http://b/ HTTP/1.1"),
         METHOD_GET, TARGET_ORIGIN, "", "a", "/http://b/", ""},
        {"RFC 9112 section 3.2.2: the target's authority wins over Host",
         LINE("GET http://b/c?d HTTP/1.1"), METHOD_GET, TARGET_ABSOLUTE, "http", "b", "/c", "?d"},
        {"RFC 9112 section 3.2.2: https", LINE("GET https://b:8443/ HTTP/1.1"), METHOD_GET,
         TARGET_ABSOLUTE, "https", "b:8443", "/", ""},
        {"RFC 9110 section 4.2.3: the scheme in any case", LINE("GET HtTp://B/ HTTP/1.1"),
         METHOD_GET, TARGET_ABSOLUTE, "HtTp", "B", "/", ""},
        {"RFC 9110 section 4.2.3: an empty path is the root", LINE("GET http://b HTTP/1.1"),
         METHOD_GET, TARGET_ABSOLUTE, "http", "b", "/", ""},
        {"RFC 9110 section 4.2.3: an empty path before a query", LINE("GET http://b?c HTTP/1.1"),
         METHOD_GET, TARGET_ABSOLUTE, "http", "b", "/", "?c"},
        {"RFC 3986 section 3.2.2: IPv6", LINE("GET http://[2001:db8::1]:81/c HTTP/1.1"), METHOD_GET,
         TARGET_ABSOLUTE, "http", "[2001:db8::1]:81", "/c", ""},
        {"RFC 3986 section 3.2.3: an empty port", LINE("GET http://b:/ HTTP/1.1"), METHOD_GET,
         TARGET_ABSOLUTE, "http", "b:", "/", ""},
        {"RFC 9112 section 3.2.2: PUT", LINE("PUT http://b/ HTTP/1.1"), METHOD_PUT, TARGET_ABSOLUTE,
         "http", "b", "/", ""},
        {"RFC 9112 section 3.2.4: OPTIONS for the server", LINE("OPTIONS * HTTP/1.1"),
         METHOD_OPTIONS, TARGET_ASTERISK, "", "a", "*", ""},
        {"RFC 9112 section 3.2.4: OPTIONS of a path", LINE("OPTIONS / HTTP/1.1"), METHOD_OPTIONS,
         TARGET_ORIGIN, "", "a", "/", ""},
        {"RFC 9112 section 3.2.4: OPTIONS of an authority is for the server",
         LINE("OPTIONS http://b:81 HTTP/1.1"), METHOD_OPTIONS, TARGET_ABSOLUTE, "http", "b:81", "*",
         ""},
        {"RFC 9112 section 3.2.4: OPTIONS of the root", LINE("OPTIONS http://b/ HTTP/1.1"),
         METHOD_OPTIONS, TARGET_ABSOLUTE, "http", "b", "/", ""},
        {"RFC 9112 section 3.2.4: OPTIONS of a path that ends like the host",
         LINE("OPTIONS http://b/b HTTP/1.1"), METHOD_OPTIONS, TARGET_ABSOLUTE, "http", "b", "/b",
         ""},
        {"RFC 9112 section 3.2.4: OPTIONS with a query alone", LINE("OPTIONS http://b?c HTTP/1.1"),
         METHOD_OPTIONS, TARGET_ABSOLUTE, "http", "b", "/", "?c"},
        {"RFC 9112 section 3.2.3: CONNECT", LINE("CONNECT b:443 HTTP/1.1"), METHOD_CONNECT,
         TARGET_AUTHORITY, "", "b:443", "", ""},
        {"RFC 9112 section 3.2.3: CONNECT to IPv6", LINE("CONNECT [::1]:443 HTTP/1.1"),
         METHOD_CONNECT, TARGET_AUTHORITY, "", "[::1]:443", "", ""},
        {"RFC 9110 section 9.3.8: TRACE", LINE("TRACE / HTTP/1.1"), METHOD_TRACE, TARGET_ORIGIN, "",
         "a", "/", ""},
        {"brink's own method", LINE("PURGE /b HTTP/1.1"), METHOD_PURGE, TARGET_ORIGIN, "", "a",
         "/b", ""},
        {"an unknown method", LINE("SEARCH /b HTTP/1.1"), METHOD_OTHER, TARGET_ORIGIN, "", "a",
         "/b", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *why = cases[i].why;
        struct parsed parsed;

        parse_request(&parsed, cases[i].head, &wide);
        want_rc(why, parsed.rc, OK);
        want_true(why, parsed.req.method == cases[i].method);
        want_true(why, parsed.req.form == cases[i].form);
        want_true(why, parsed.req.minor == 1);
        want_text(why, parsed.req.scheme, cases[i].scheme);
        want_text(why, parsed.req.host, cases[i].host);
        want_text(why, parsed.req.path, cases[i].path);
        want_text(why, parsed.req.query, cases[i].query);
        drop(&parsed);
    }
}

static void
request_fields(void **state)
{
    static const struct request_case cases[] = {
        {"RFC 9112 section 5: plain", GET("A: b"), OK},
        {"RFC 9112 section 5: no blank after the colon", GET("A:b"), OK},
        {"RFC 9112 section 5: blanks around the value", GET("A: \t b \t "), OK},
        {"RFC 9110 section 5.5: an empty value", GET("A:"), OK},
        {"RFC 9110 section 5.5: a value of blanks", GET("A: \t "), OK},
        {"RFC 9110 section 5.5: a tab inside", GET("A: b\tc"), OK},
        {"RFC 9110 section 5.5: obs-text", GET("A: b\xc3\xa4\xff\x80"), OK},
        {"RFC 9110 section 5.5: every VCHAR", GET("A: !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"),
         OK},
        {"RFC 9110 section 5.1: every tchar in a name", GET("!#$%&'*+-.^_`|~09azAZ: b"), OK},
        {"RFC 9110 section 5.1: a colon in the value", GET("A: b:c"), OK},
        {"RFC 9110 section 5.3: a name twice", GET("A: b\r\nA: c"), OK},
        {"RFC 9112 section 5.1: a space before the colon", GET("A : b"), ERR_BAD_REQUEST},
        {"RFC 9112 section 5.1: a tab before the colon", GET("A\t: b"), ERR_BAD_REQUEST},
        {"RFC 9112 section 5.1: a blank before Content-Length's colon", GET("Content-Length : 0"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 5.1: a blank in the name", GET("A B: c"), ERR_BAD_REQUEST},
        {"RFC 9112 section 5.1: no name", GET(": b"), ERR_BAD_REQUEST},
        {"RFC 9112 section 5.1: no colon", GET("Ab"), ERR_BAD_REQUEST},
        {"RFC 9112 section 5.2: a folded line", GET("A: b\r\n c"), ERR_BAD_REQUEST},
        {"RFC 9112 section 5.2: folded with a tab", GET("A: b\r\n\tc: d"), ERR_BAD_REQUEST},
        {"RFC 9112 section 5.2: folded with blanks alone", GET("A: b\r\n "), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a blank before the first field",
         TEXT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: a tab before the first field",
         TEXT("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: NUL in a value", GET("A: b\0c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: NUL alone", GET("A:\0"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: CR in a value", GET("A: b\rc"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: LF in a value", GET("A: b\nc"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: LF ends the line", GET("A: b\nC: d"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: LF CR", GET("A: b\n\rC: d"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: CR ends the line", GET("A: b\rC: d"), ERR_BAD_REQUEST},
        {"RFC 9112 section 2.2: CR CR LF", GET("A: b\r"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: an escape byte", GET("A: \x1b[0m"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: DEL", GET("A: b\x7f"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: backspace", GET("A: \b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: a vertical tab at the end is no blank", GET("A: b\v"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 5.5: a form feed in front is no blank", GET("A:\fb"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: NUL in a name", GET("A\0: b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: obs-text in a name", GET("\xc3\xa4: b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a no-break space before the colon", GET("A\xa0: b"),
         ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a parenthesis in a name", GET("A(: b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a quote in a name", GET("\"A\": b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a slash in a name", GET("A/B: c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: an at sign in a name", GET("@A: c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: brackets in a name", GET("[A]: c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a brace in a name", GET("A}: c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: an equals sign in a name", GET("A=B: c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a semicolon in a name", GET("A;: c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a comma in a name", GET("A,B: c"), ERR_BAD_REQUEST},
        {"RFC 9110 section 5.1: a backslash in a name", GET("A\\: c"), ERR_BAD_REQUEST},
    };

    run_requests(cases, ARRAY_LEN(cases));
}

/* RFC 9112 section 5.1, RFC 9110 section 5.5: the value is what stands between the blanks. */
static void
request_field_values(void **state)
{
    static const struct {
        const char *why;
        struct slice head;
        const char *name, *value;
    } cases[] = {
        {"one blank", GET("X-A: b"), "X-A", "b"},
        {"no blank", GET("X-A:b"), "X-A", "b"},
        {"blanks on both sides", GET("X-A: \t b c\t \t"), "X-A", "b c"},
        {"empty", GET("X-A:"), "X-A", ""},
        {"blanks alone", GET("X-A:  \t"), "X-A", ""},
        {"a tab inside stays", GET("X-A: b\tc"), "X-A", "b\tc"},
        {"longer than a word, with a tab", GET("X-A: 0123456789abcdef\t0123456789abcdef"), "X-A",
         "0123456789abcdef\t0123456789abcdef"},
        {"the name as written", GET("x-A: b"), "x-A", "b"},
        {"obs-text stays", GET("X-A: \x80\xff"), "X-A", "\x80\xff"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_request(&parsed, cases[i].head, &wide);
        want_rc(cases[i].why, parsed.rc, OK);
        assert_int_equal(parsed.req.fields.n, 2);
        want_text(cases[i].why, parsed.req.fields.items[1].name, cases[i].name);
        want_text(cases[i].why, parsed.req.fields.items[1].value, cases[i].value);
        drop(&parsed);
    }
}

/* Every byte at one place of a head, against the grammar written as a set. */
static void
every_byte(void **state)
{
#define TCHAR "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define PCHAR "-._~!$&'()*+,;=:@0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    static const struct {
        const char *why;
        struct slice before, after;
        const char *allowed;
        bool obs_text, vchar;
    } cases[] = {
        {"RFC 9110 section 9.1: method", TEXT("GE"), TEXT("T / HTTP/1.1\r\nHost: a\r\n\r\n"), TCHAR,
         false, false},
        {"RFC 3986 section 3.3: path", TEXT("GET /a"), TEXT("b HTTP/1.1\r\nHost: a\r\n\r\n"),
         PCHAR "/?", false, false},
        {"RFC 3986 section 3.4: query", TEXT("GET /?a"), TEXT("b HTTP/1.1\r\nHost: a\r\n\r\n"),
         PCHAR "/?[]{}|^`", false, false},
        {"RFC 9110 section 5.1: name", TEXT("GET / HTTP/1.1\r\nHost: a\r\nA"), TEXT("B: c\r\n\r\n"),
         TCHAR ":", false, false},
        {"RFC 9110 section 5.5: value", TEXT("GET / HTTP/1.1\r\nHost: a\r\nA: b"),
         TEXT("c\r\n\r\n"), " \t", true, true},
        {"RFC 9110 section 5.5: value, in the middle of a word of eight",
         TEXT("GET / HTTP/1.1\r\nHost: a\r\nA: 0123"), TEXT("4567890123456789\r\n\r\n"), " \t",
         true, true},
        {"RFC 3986 section 3.2.2: host", TEXT("GET / HTTP/1.1\r\nHost: a"), TEXT("2\r\n\r\n"),
         "-._~!$&'()*+;=:0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", false,
         false},
        {"RFC 9112 section 6.2: Content-Length",
         TEXT("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1"), TEXT("2\r\n\r\n"), "0123456789",
         false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int c = 0; c < 256; c++) {
            struct parsed parsed;
            char head[128], why[128];
            size_t n = cases[i].before.len;
            bool allowed = (c != 0 && strchr(cases[i].allowed, c) != NULL) ||
                           (cases[i].obs_text && c >= 0x80) ||
                           (cases[i].vchar && c > 0x20 && c < 0x7f);

            memcpy(head, cases[i].before.ptr, n);
            head[n++] = (char)c;
            memcpy(head + n, cases[i].after.ptr, cases[i].after.len);
            parse_request(&parsed, slice_of(head, n + cases[i].after.len), &wide);
            (void)snprintf(why, sizeof(why), "%s, byte 0x%02x", cases[i].why, (unsigned)c);
            want_rc(why, parsed.rc, allowed ? OK : ERR_BAD_REQUEST);
            drop(&parsed);
        }
    }
}

#define METHOD64 "ABCDEFGHIJKLMNOPABCDEFGHIJKLMNOPABCDEFGHIJKLMNOPABCDEFGHIJKLMNOP"

static void
request_host(void **state)
{
    static const struct request_case cases[] = {
        {"RFC 9112 section 3.2: none in HTTP/1.1", TEXT("GET / HTTP/1.1\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: none in HTTP/1.1 beside others",
         TEXT("GET / HTTP/1.1\r\nA: b\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: none beside an absolute target",
         TEXT("GET http://a/ HTTP/1.1\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: none with CONNECT", TEXT("CONNECT a:1 HTTP/1.1\r\n\r\n"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: none with an asterisk", TEXT("OPTIONS * HTTP/1.1\r\n\r\n"),
         ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: none in HTTP/1.0", TEXT("GET / HTTP/1.0\r\n\r\n"), OK},
        {"RFC 9112 section 3.2: none in HTTP/1.9", TEXT("GET / HTTP/1.9\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: two", GET("Host: b"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: two equal ones", GET("Host: a"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: two in other cases", GET("hOST: a"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: two in HTTP/1.0", GET10("Host: a\r\nHost: a"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: two beside an absolute target",
         TEXT("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2: malformed beside an absolute target",
         TEXT("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n"), ERR_BAD_REQUEST},
        {"RFC 9112 section 3.2.2: another beside an absolute target",
         TEXT("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"), OK},
#define HOST(value) TEXT("GET / HTTP/1.1\r\nHost: " value "\r\n\r\n")
        {"RFC 9110 section 4.2.1: empty", HOST(""), ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.1: empty in HTTP/1.0", GET10("Host:"), ERR_BAD_REQUEST},
        {"RFC 9110 section 4.2.1: a port alone", HOST(":80"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a name", HOST("www.example.com"), OK},
        {"RFC 9110 section 7.2: a name and a port", HOST("www.example.com:8080"), OK},
        {"RFC 9110 section 7.2: any case", HOST("WWW.Example.COM"), OK},
        {"RFC 9110 section 7.2: IPv4", HOST("192.0.2.1:80"), OK},
        {"RFC 9110 section 7.2: IPv6", HOST("[2001:db8::1]"), OK},
        {"RFC 9110 section 7.2: IPv6 and a port", HOST("[2001:db8::1]:80"), OK},
        {"RFC 3986 section 3.2.3: an empty port", HOST("a:"), OK},
        {"RFC 3986 section 3.2.2: an escape", HOST("a%41"), OK},
        {"RFC 3986 section 3.2.2: an underscore", HOST("a_b"), OK},
        {"RFC 3986 section 3.2.2: a dot at the end", HOST("a."), OK},
        {"RFC 3986 section 3.2.2: IPv6 without brackets", HOST("2001:db8::1"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: brackets around a name", HOST("[a.b]"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: brackets around IPv4", HOST("[192.0.2.1]"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: empty brackets", HOST("[]"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: IPvFuture", HOST("[v1.a]"), ERR_BAD_REQUEST},
        {"RFC 6874: a zone", HOST("[fe80::1%25eth0]"), ERR_BAD_REQUEST},
        {"RFC 3986 section 3.2.2: a broken escape", HOST("a%4"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a slash", HOST("a/b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a question mark", HOST("a?b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a hash", HOST("a#b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: user information", HOST("u@a"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a scheme", HOST("http://a"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a blank inside", HOST("a b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a tab inside", HOST("a\tb"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a list with a blank", HOST("a, b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a list without a blank", HOST("a,b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: quotes", HOST("\"a\""), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: less than", HOST("<a>"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: obs-text", HOST("\xc3\xa4"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a port of letters", HOST("a:b"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a port with a blank", HOST("a: 80"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a port too high", HOST("a:65536"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: the highest port", HOST("a:65535"), OK},
        {"RFC 9110 section 7.2: port 0", HOST("a:0"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a port of six digits", HOST("a:000080"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: two ports", HOST("a:80:80"), ERR_BAD_REQUEST},
        {"RFC 9110 section 7.2: a signed port", HOST("a:-80"), ERR_BAD_REQUEST},
    };

    run_requests(cases, ARRAY_LEN(cases));
}

static void
request_framing(void **state)
{
    static const struct {
        const char *why;
        struct slice head;
        enum err want;
        enum http_framing framing;
        uint64_t length;
    } cases[] = {
        {"RFC 9112 section 6.3, 7: neither field, no body", GET("A: b"), OK, FRAMING_NONE, 0},
        {"RFC 9112 section 6.2: a length", GET("Content-Length: 5"), OK, FRAMING_LENGTH, 5},
        {"RFC 9112 section 6.2: a length of nothing", GET("Content-Length: 0"), OK, FRAMING_LENGTH,
         0},
        {"RFC 9112 section 6.2: the name in any case", GET("cONTENT-lENGTH: 7"), OK, FRAMING_LENGTH,
         7},
        {"RFC 9112 section 6.2: blanks around it", GET("Content-Length: \t5 "), OK, FRAMING_LENGTH,
         5},
        {"RFC 9110 section 8.6: zeros in front", GET("Content-Length: 0005"), OK, FRAMING_LENGTH,
         5},
        {"RFC 9110 section 8.6: the largest", GET("Content-Length: 18446744073709551615"), OK,
         FRAMING_LENGTH, UINT64_MAX},
        {"RFC 9112 section 6.2: in HTTP/1.0", GET10("Content-Length: 5"), OK, FRAMING_LENGTH, 5},
        {"RFC 9110 section 8.6: past 64 bits", GET("Content-Length: 18446744073709551616"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9110 section 8.6: far past 64 bits",
         GET("Content-Length: 99999999999999999999999999"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: empty", GET("Content-Length:"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: blanks", GET("Content-Length:  "), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a plus sign", GET("Content-Length: +5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a minus sign", GET("Content-Length: -5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: minus nothing", GET("Content-Length: -0"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: hex", GET("Content-Length: 0x5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a hex digit", GET("Content-Length: a"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a fraction", GET("Content-Length: 5.0"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: an exponent", GET("Content-Length: 5e1"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: an underscore", GET("Content-Length: 5_0"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a blank inside", GET("Content-Length: 5 0"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: quotes", GET("Content-Length: \"5\""), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: other digits", GET("Content-Length: \xd9\xa5"), ERR_BAD_REQUEST, 0,
         0},
        {"RFC 9112 section 6.3: a list", GET("Content-Length: 5, 5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a list without a blank", GET("Content-Length: 5,5"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a list of unequal ones", GET("Content-Length: 5, 6"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: a comma at the end", GET("Content-Length: 5,"), ERR_BAD_REQUEST, 0,
         0},
        {"RFC 9112 section 6.3: a comma in front", GET("Content-Length: ,5"), ERR_BAD_REQUEST, 0,
         0},
        {"RFC 9112 section 6.3: a semicolon", GET("Content-Length: 5;a"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: repeated", GET("Content-Length: 5\r\nContent-Length: 6"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: repeated, equal", GET("Content-Length: 5\r\nContent-Length: 5"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: repeated in another case",
         GET("Content-Length: 5\r\ncontent-length: 5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 7.1: chunked", GET("Transfer-Encoding: chunked"), OK, FRAMING_CHUNKED,
         0},
        {"RFC 9112 section 7: codings in any case", GET("tRANSFER-eNCODING: ChUnKeD"), OK,
         FRAMING_CHUNKED, 0},
        {"RFC 9112 section 6.1: blanks around it", GET("Transfer-Encoding:  chunked\t"), OK,
         FRAMING_CHUNKED, 0},
        {"RFC 9112 section 6.1: in HTTP/1.0", GET10("Transfer-Encoding: chunked"), ERR_BAD_REQUEST,
         0, 0},
        {"RFC 9112 section 6.1: a later minor knows it",
         TEXT("GET / HTTP/1.2\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), OK,
         FRAMING_CHUNKED, 0},
        {"RFC 9112 section 6.1: both fields",
         GET("Content-Length: 5\r\nTransfer-Encoding: chunked"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.1: both fields the other way",
         GET("Transfer-Encoding: chunked\r\nContent-Length: 5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.1: both fields, a length of 0",
         GET("Transfer-Encoding: chunked\r\nContent-Length: 0"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.1: both fields, another coding",
         GET("Transfer-Encoding: x\r\nContent-Length: 5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.1: both fields, an empty coding",
         GET("Transfer-Encoding:\r\nContent-Length: 5"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: empty", GET("Transfer-Encoding:"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: not chunked", GET("Transfer-Encoding: gzip"), ERR_BAD_REQUEST, 0,
         0},
        {"RFC 9112 section 6.3: identity is gone", GET("Transfer-Encoding: identity"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: chunked not last", GET("Transfer-Encoding: chunked, gzip"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.3: chunked not last over two fields",
         GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.1: gzip then chunked", GET("Transfer-Encoding: gzip, chunked"),
         ERR_NOT_IMPLEMENTED, 0, 0},
        {"RFC 9112 section 6.1: identity then chunked", GET("Transfer-Encoding: identity, chunked"),
         ERR_NOT_IMPLEMENTED, 0, 0},
        {"RFC 9112 section 6.1: unknown then chunked",
         GET("Transfer-Encoding: x;a=\"b,c\", chunked"), ERR_NOT_IMPLEMENTED, 0, 0},
        {"RFC 9112 section 6.1: gzip then chunked over two fields",
         GET("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), ERR_NOT_IMPLEMENTED, 0, 0},
        {"RFC 9112 section 6.1: chunked twice", GET("Transfer-Encoding: chunked, chunked"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.1: chunked in two fields",
         GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 6.1: chunked around another",
         GET("Transfer-Encoding: chunked, gzip, chunked"), ERR_BAD_REQUEST, 0, 0},
        {"an empty member behind", GET("Transfer-Encoding: chunked,"), ERR_BAD_REQUEST, 0, 0},
        {"an empty member in front", GET("Transfer-Encoding: ,chunked"), ERR_BAD_REQUEST, 0, 0},
        {"an empty second field", GET("Transfer-Encoding: chunked\r\nTransfer-Encoding:"),
         ERR_BAD_REQUEST, 0, 0},
        {"RFC 9112 section 7.1: a parameter", GET("Transfer-Encoding: chunked;a=b"),
         ERR_BAD_REQUEST, 0, 0},
        {"quotes", GET("Transfer-Encoding: \"chunked\""), ERR_BAD_REQUEST, 0, 0},
        {"a longer name", GET("Transfer-Encoding: chunkedx"), ERR_BAD_REQUEST, 0, 0},
        {"a shorter name", GET("Transfer-Encoding: chunke"), ERR_BAD_REQUEST, 0, 0},
        {"a letter in front", GET("Transfer-Encoding: xchunked"), ERR_BAD_REQUEST, 0, 0},
        {"a vertical tab in front", GET("Transfer-Encoding: \vchunked"), ERR_BAD_REQUEST, 0, 0},
        {"a blank before the colon", GET("Transfer-Encoding : chunked"), ERR_BAD_REQUEST, 0, 0},
        {"a line folded before the coding", GET("Transfer-Encoding:\r\n chunked"), ERR_BAD_REQUEST,
         0, 0},
        {"another name is another field", GET("Transfer_Encoding: chunked"), OK, FRAMING_NONE, 0},
        {"another name for a length is another field", GET("Content_Length: 5"), OK, FRAMING_NONE,
         0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_request(&parsed, cases[i].head, &wide);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        if (cases[i].want == OK) {
            want_true(cases[i].why, parsed.req.framing == cases[i].framing);
            want_true(cases[i].why, parsed.req.content_length == cases[i].length);
        }
        drop(&parsed);
    }
}

static void
request_connection(void **state)
{
    static const struct {
        const char *why;
        struct slice head;
        enum err want;
        bool keep_alive;
    } cases[] = {
        {"RFC 9112 section 9.3: 1.1 persists", GET("A: b"), OK, true},
        {"RFC 9112 section 9.3: close", GET("Connection: close"), OK, false},
        {"RFC 9112 section 9.3: close in any case", GET("Connection: CLOSE"), OK, false},
        {"RFC 9112 section 9.3: keep-alive in 1.1", GET("Connection: keep-alive"), OK, true},
        {"RFC 9112 section 9.3: close among others", GET("Connection: te, close"), OK, false},
        {"RFC 9112 section 9.3: close wins over keep-alive", GET("Connection: keep-alive, close"),
         OK, false},
        {"RFC 9112 section 9.3: close wins from the front", GET("Connection: close, keep-alive"),
         OK, false},
        {"RFC 9112 section 9.3: close in a second field",
         GET("Connection: te\r\nConnection: close"), OK, false},
        {"RFC 9112 section 9.3: a longer option", GET("Connection: closed"), OK, true},
        {"RFC 9112 section 9.3: 1.0 ends", GET10("A: b"), OK, false},
        {"RFC 9112 section 9.3: 1.0 with keep-alive", GET10("Connection: Keep-Alive"), OK, true},
        {"RFC 9112 section 9.3: 1.0 with both", GET10("Connection: keep-alive, close"), OK, false},
        {"RFC 9112 section 9.3: 1.0 with another option", GET10("Connection: te"), OK, false},
        {"RFC 9112 section 9.3: a later minor persists", TEXT("GET / HTTP/1.5\r\nHost: a\r\n\r\n"),
         OK, true},
        {"RFC 9110 section 5.6.1: empty members", GET("Connection: , ,close,"), OK, false},
        {"RFC 9110 section 5.6.1: an empty field", GET("Connection:"), OK, true},
        {"RFC 9110 section 7.6.1: hop-by-hop names", GET("Connection: TE, Upgrade, HTTP2-Settings"),
         OK, true},
        {"RFC 9110 section 7.6.1: what is no token", GET("Connection: a b"), ERR_BAD_REQUEST,
         false},
        {"RFC 9110 section 7.6.1: quotes", GET("Connection: \"close\""), ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: a parameter", GET("Connection: close;a"), ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: Host", GET("Connection: Host"), ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: Content-Length",
         GET("Connection: content-length\r\nContent-Length: 0"), ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: Cache-Control", GET("Connection: Cache-Control"), ERR_BAD_REQUEST,
         false},
        {"RFC 9110 section 7.6.1: Authorization", GET("Connection: authorization"), ERR_BAD_REQUEST,
         false},
        {"RFC 9110 section 7.6.1: Cookie", GET("Connection: close, Cookie"), ERR_BAD_REQUEST,
         false},
        {"RFC 9110 section 7.6.1: X-Forwarded-For", GET("Connection: X-Forwarded-For"),
         ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: Forwarded", GET("Connection: Forwarded"), ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: Via", GET("Connection: via"), ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: Range", GET("Connection: range"), ERR_BAD_REQUEST, false},
        {"RFC 9110 section 7.6.1: Transfer-Encoding is hop-by-hop itself",
         GET("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked"), OK, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_request(&parsed, cases[i].head, &wide);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        if (cases[i].want == OK)
            want_true(cases[i].why, parsed.req.keep_alive == cases[i].keep_alive);
        drop(&parsed);
    }
}

/* RFC 9110 section 7.6.1: what Connection names, and the hop-by-hop fields, are marked. */
static void
request_nominated(void **state)
{
    static const struct slice head =
        GET("Connection: x-one, X-THREE\r\nX-One: 1\r\nx-two: 2\r\nx-three: 3\r\n"
            "TE: trailers\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\n"
            "Trailer: a\r\nX-ONE: 4\r\nCookie: a=b");
    static const bool want[] = {false, true, true, false, true, true,
                                true,  true, true, true,  true, false};
    struct parsed parsed;

    parse_request(&parsed, head, &wide);
    want_rc("nominated", parsed.rc, OK);
    assert_int_equal(parsed.req.fields.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(parsed.req.fields.items[i].nominated, want[i]);
    drop(&parsed);
}

static void
request_expect(void **state)
{
    static const struct {
        const char *why;
        struct slice head;
        enum err want;
        bool expects;
    } cases[] = {
        {"RFC 9110 section 10.1.1: none", GET("A: b"), OK, false},
        {"RFC 9110 section 10.1.1: 100-continue", GET("Expect: 100-continue"), OK, true},
        {"RFC 9110 section 10.1.1: in any case", GET("eXPECT: 100-ContinuE"), OK, true},
        {"RFC 9110 section 10.1.1: in HTTP/1.0 ignored", GET10("Expect: 100-continue"), OK, false},
        {"RFC 9110 section 10.1.1: unknown in HTTP/1.0 ignored", GET10("Expect: a"), OK, false},
        {"RFC 9110 section 10.1.1: unknown", GET("Expect: 200-ok"), ERR_EXPECTATION, false},
        {"RFC 9110 section 10.1.1: empty", GET("Expect:"), ERR_EXPECTATION, false},
        {"RFC 9110 section 10.1.1: with another", GET("Expect: 100-continue, a"), ERR_EXPECTATION,
         false},
        {"RFC 9110 section 10.1.1: with a parameter", GET("Expect: 100-continue;a=b"),
         ERR_EXPECTATION, false},
        {"RFC 9110 section 10.1.1: repeated", GET("Expect: 100-continue\r\nExpect: 100-continue"),
         ERR_EXPECTATION, false},
        {"a fault in the framing comes first", GET("Expect: a\r\nContent-Length: b"),
         ERR_BAD_REQUEST, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_request(&parsed, cases[i].head, &wide);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        want_true(cases[i].why, parsed.req.expect_continue == cases[i].expects);
        drop(&parsed);
    }
}

/* RFC 9112 section 3: 501 for a method longer than any that is known. */
static void
request_method_length(void **state)
{
    struct parsed parsed;

    parse_request(&parsed, SLICE(METHOD64 " / HTTP/1.1\r\nHost: a\r\n\r\n"), &wide);
    want_rc("64 letters", parsed.rc, OK);
    drop(&parsed);
    parse_request(&parsed, SLICE(METHOD64 "A / HTTP/1.1\r\nHost: a\r\n\r\n"), &wide);
    want_rc("65 letters", parsed.rc, ERR_NOT_IMPLEMENTED);
    drop(&parsed);
}

static void
request_limits(void **state)
{
    static const struct slice head = TEXT("GET /abc HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n");
    static const struct {
        const char *why;
        struct h1_limits limits;
        enum err want;
    } cases[] = {
        {"all just enough", {19, 36, 2}, OK},
        {"RFC 9110 section 15.5.15: the line is one too long", {18, 36, 2}, ERR_TARGET_TOO_LONG},
        {"RFC 6585 section 5: the head is one too long", {19, 35, 2}, ERR_HEAD_TOO_LARGE},
        {"RFC 6585 section 5: one field too many", {19, 36, 1}, ERR_HEAD_TOO_LARGE},
        {"RFC 6585 section 5: no field at all", {19, 36, 0}, ERR_HEAD_TOO_LARGE},
    };

    assert_int_equal(head.len, 36);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_request(&parsed, head, &cases[i].limits);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        drop(&parsed);
    }
}

/* The method and target of a refused request are there for the access log. */
static void
refused_request_keeps_its_line(void **state)
{
    static const struct slice head = TEXT("GET /a HTTP/1.1\r\nHost: a b\r\n\r\n");
    struct parsed parsed;

    parse_request(&parsed, head, &wide);
    want_rc("refused", parsed.rc, ERR_BAD_REQUEST);
    assert_string_equal(parsed.fault.why, "malformed Host");
    want_text("method", parsed.req.method_text, "GET");
    want_text("target", parsed.req.target, "/a");
    drop(&parsed);
}

static void
parse_without_memory(void **state)
{
    static const struct slice req_head = GET("A: b"), resp_head = ANSWER("A: b");
    struct http_request req;
    struct http_response resp;
    struct h1_fault fault = {0};
    struct arena arena;

    arena_init(&arena, 0);
    mem_fail_at(1);
    want_rc("request", h1_parse_request(req_head, &wide, &arena, &req, &fault), ERR_NOMEM);
    mem_fail_at(1);
    want_rc("response", h1_parse_response(resp_head, METHOD_GET, &wide, &arena, &resp, &fault),
            ERR_NOMEM);
    want_rc("request again", h1_parse_request(req_head, &wide, &arena, &req, &fault), OK);
    arena_fini(&arena);
}

/* --- responses --- */

struct response_case {
    const char *why;
    struct slice head;
    enum err want;
    unsigned status;
    const char *reason;
};

static void
response_line(void **state)
{
#define STATUS(line) TEXT(line "\r\nA: b\r\n\r\n")
    static const struct response_case cases[] = {
        {"RFC 9112 section 4: plain", STATUS("HTTP/1.1 200 OK"), OK, 200, "OK"},
        {"RFC 9112 section 4: a reason of words", STATUS("HTTP/1.1 404 Not Found"), OK, 404,
         "Not Found"},
        {"RFC 9112 section 4: an empty reason", STATUS("HTTP/1.1 200 "), OK, 200, ""},
        {"RFC 9112 section 4: no space before a missing reason", STATUS("HTTP/1.1 200"),
         ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: HTTP/1.0", STATUS("HTTP/1.0 200 OK"), OK, 200, "OK"},
        {"RFC 9110 section 2.5: a later minor", STATUS("HTTP/1.7 200 OK"), OK, 200, "OK"},
        {"RFC 9112 section 4: a tab in the reason", STATUS("HTTP/1.1 200 O\tK"), OK, 200, "O\tK"},
        {"RFC 9112 section 4: obs-text in the reason", STATUS("HTTP/1.1 200 \xc3\xa4"), OK, 200,
         "\xc3\xa4"},
        {"RFC 9112 section 4: a space in front of the reason", STATUS("HTTP/1.1 200  OK"), OK, 200,
         " OK"},
        {"RFC 9110 section 15: the lowest", STATUS("HTTP/1.1 100 Continue"), OK, 100, "Continue"},
        {"RFC 9110 section 15: the highest", STATUS("HTTP/1.1 599 Odd"), OK, 599, "Odd"},
        {"RFC 9110 section 15: an unknown one", STATUS("HTTP/1.1 299 Odd"), OK, 299, "Odd"},
        {"RFC 9112 section 4: no fields", TEXT("HTTP/1.1 200 OK\r\n\r\n"), OK, 200, "OK"},
        {"RFC 9110 section 15: too low", STATUS("HTTP/1.1 099 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9110 section 15: zero", STATUS("HTTP/1.1 000 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9110 section 15: too high", STATUS("HTTP/1.1 600 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9110 section 15: far too high", STATUS("HTTP/1.1 999 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: two digits", STATUS("HTTP/1.1 20 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: two digits at the end", STATUS("HTTP/1.1 20"), ERR_ORIGIN_SYNTAX, 0,
         ""},
        {"RFC 9112 section 4: four digits", STATUS("HTTP/1.1 2000 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: four digits at the end", STATUS("HTTP/1.1 2000"), ERR_ORIGIN_SYNTAX,
         0, ""},
        {"RFC 9112 section 4: letters", STATUS("HTTP/1.1 2xx OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: a sign", STATUS("HTTP/1.1 +20 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: no status", STATUS("HTTP/1.1 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: a version alone", STATUS("HTTP/1.1"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: two spaces", STATUS("HTTP/1.1  200 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: a tab", STATUS("HTTP/1.1\t200 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: a tab after the status", STATUS("HTTP/1.1 200\tOK"),
         ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: a space in front", STATUS(" HTTP/1.1 200 OK"), ERR_ORIGIN_SYNTAX, 0,
         ""},
        {"RFC 9112 section 4: lower case", STATUS("http/1.1 200 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 4: another protocol", STATUS("ICY 200 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 2.3: HTTP/2", STATUS("HTTP/2 200"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 2.3: HTTP/2.0", STATUS("HTTP/2.0 200 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 2.3: HTTP/0.9", STATUS("HTTP/0.9 200 OK"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 2.2: NUL in the reason", STATUS("HTTP/1.1 200 O\0K"), ERR_ORIGIN_SYNTAX,
         0, ""},
        {"RFC 9112 section 2.2: CR in the reason", STATUS("HTTP/1.1 200 O\rK"), ERR_ORIGIN_SYNTAX,
         0, ""},
        {"RFC 9112 section 2.2: LF in the reason", STATUS("HTTP/1.1 200 O\nK"), ERR_ORIGIN_SYNTAX,
         0, ""},
        {"RFC 9112 section 2.2: DEL in the reason", STATUS("HTTP/1.1 200 \x7f"), ERR_ORIGIN_SYNTAX,
         0, ""},
        {"RFC 9112 section 2.2: an empty line in front", TEXT("\r\nHTTP/1.1 200 OK\r\n\r\n"),
         ERR_ORIGIN_SYNTAX, 0, ""},
        {"a body without a head", TEXT("<html>\r\n\r\n"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"nothing", TEXT(""), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 5.1: a blank before the colon", ANSWER("A : b"), ERR_ORIGIN_SYNTAX, 0,
         ""},
        {"RFC 9112 section 5.2: a folded line", ANSWER("A: b\r\n c"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9110 section 5.5: NUL in a value", ANSWER("A: b\0"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 5: a line without a colon", ANSWER("Ab"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9112 section 2.2: LF ends a line", ANSWER("A: b\nC: d"), ERR_ORIGIN_SYNTAX, 0, ""},
        {"RFC 9110 section 7.6.1: malformed Connection", ANSWER("Connection: a b"),
         ERR_ORIGIN_SYNTAX, 0, ""},
        {"bytes after the empty line", TEXT("HTTP/1.1 200 OK\r\n\r\nA"), ERR_ORIGIN_SYNTAX, 0, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_response(&parsed, cases[i].head, METHOD_GET, &wide);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        if (cases[i].want == OK) {
            want_true(cases[i].why, parsed.resp.status == cases[i].status);
            want_text(cases[i].why, parsed.resp.reason, cases[i].reason);
            want_end_at_last_byte(cases[i].why, cases[i].head);
        }
        drop(&parsed);
    }
}

static void
response_framing(void **state)
{
#define WITH(status, fields) TEXT("HTTP/1.1 " status " X\r\n" fields "\r\n\r\n")
    static const struct {
        const char *why;
        struct slice head;
        enum http_method method;
        enum err want;
        enum http_framing framing;
        uint64_t length;
        bool keep_alive;
    } cases[] = {
        {"RFC 9112 section 6.3, 6: a length", ANSWER("Content-Length: 5"), METHOD_GET, OK,
         FRAMING_LENGTH, 5, true},
        {"RFC 9112 section 6.3, 6: a length of 0", ANSWER("Content-Length: 0"), METHOD_GET, OK,
         FRAMING_LENGTH, 0, true},
        {"RFC 9112 section 6.3, 4: chunked", ANSWER("Transfer-Encoding: Chunked"), METHOD_GET, OK,
         FRAMING_CHUNKED, 0, true},
        {"RFC 9112 section 6.3, 8: until the end", ANSWER("A: b"), METHOD_GET, OK, FRAMING_CLOSE, 0,
         false},
        {"RFC 9112 section 6.3, 8: until the end in 1.0", ANSWER10("Connection: keep-alive"),
         METHOD_GET, OK, FRAMING_CLOSE, 0, false},
        {"RFC 9112 section 9.3: close", ANSWER("Content-Length: 5\r\nConnection: close"),
         METHOD_GET, OK, FRAMING_LENGTH, 5, false},
        {"RFC 9112 section 9.3: 1.0", ANSWER10("Content-Length: 5"), METHOD_GET, OK, FRAMING_LENGTH,
         5, false},
        {"RFC 9112 section 9.3: 1.0 with keep-alive",
         ANSWER10("Content-Length: 5\r\nConnection: keep-alive"), METHOD_GET, OK, FRAMING_LENGTH, 5,
         true},
        {"RFC 9112 section 6.3, 1: HEAD with a length", ANSWER("Content-Length: 5"), METHOD_HEAD,
         OK, FRAMING_NONE, 5, true},
        {"RFC 9112 section 6.3, 1: HEAD chunked", ANSWER("Transfer-Encoding: chunked"), METHOD_HEAD,
         OK, FRAMING_NONE, 0, true},
        {"RFC 9112 section 6.3, 1: HEAD without either", ANSWER("A: b"), METHOD_HEAD, OK,
         FRAMING_NONE, 0, true},
        {"RFC 9112 section 6.3, 1: 304 with a length", WITH("304", "Content-Length: 5"), METHOD_GET,
         OK, FRAMING_NONE, 5, true},
        {"RFC 9112 section 6.3, 1: 304 chunked", WITH("304", "Transfer-Encoding: chunked"),
         METHOD_GET, OK, FRAMING_NONE, 0, true},
        {"RFC 9112 section 6.3, 1: 204", WITH("204", "A: b"), METHOD_GET, OK, FRAMING_NONE, 0,
         true},
        {"RFC 9110 section 8.6: 204 with a length of 0 is harmless",
         WITH("204", "Content-Length: 0"), METHOD_GET, OK, FRAMING_NONE, 0, true},
        {"RFC 9112 section 6.3, 1: 100", WITH("100", "A: b"), METHOD_POST, OK, FRAMING_NONE, 0,
         true},
        {"RFC 9112 section 6.3, 1: 103", WITH("103", "Link: b"), METHOD_GET, OK, FRAMING_NONE, 0,
         true},
        {"RFC 9112 section 6.3, 2: CONNECT", ANSWER("Content-Length: 5"), METHOD_CONNECT, OK,
         FRAMING_NONE, 5, true},
        {"RFC 9112 section 6.3, 2: CONNECT refused", WITH("403", "Content-Length: 5"),
         METHOD_CONNECT, OK, FRAMING_LENGTH, 5, true},
        {"RFC 9112 section 6.3: 205 has a body's framing", WITH("205", "Content-Length: 0"),
         METHOD_GET, OK, FRAMING_LENGTH, 0, true},
        {"RFC 9112 section 6.1: 204 chunked", WITH("204", "Transfer-Encoding: chunked"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.1: 100 chunked", WITH("100", "Transfer-Encoding: chunked"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9110 section 8.6: 204 with a length", WITH("204", "Content-Length: 5"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9110 section 8.6: 100 with a length", WITH("100", "Content-Length: 5"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9110 section 8.6: 204 to HEAD with a length", WITH("204", "Content-Length: 5"),
         METHOD_HEAD, ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.1: both", ANSWER("Content-Length: 5\r\nTransfer-Encoding: chunked"),
         METHOD_GET, ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.1: both to HEAD",
         ANSWER("Content-Length: 5\r\nTransfer-Encoding: chunked"), METHOD_HEAD, ERR_ORIGIN_FRAMING,
         0, 0, false},
        {"RFC 9112 section 6.1: chunked in 1.0", ANSWER10("Transfer-Encoding: chunked"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 4: another coding", ANSWER("Transfer-Encoding: gzip"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 4: gzip then chunked", ANSWER("Transfer-Encoding: gzip, chunked"),
         METHOD_GET, ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 4: chunked not last", ANSWER("Transfer-Encoding: chunked, gzip"),
         METHOD_GET, ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.1: chunked twice",
         ANSWER("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3: an empty coding", ANSWER("Transfer-Encoding:"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 5: two lengths", ANSWER("Content-Length: 5\r\nContent-Length: 6"),
         METHOD_GET, ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 5: two equal lengths",
         ANSWER("Content-Length: 5\r\nContent-Length: 5"), METHOD_GET, ERR_ORIGIN_FRAMING, 0, 0,
         false},
        {"RFC 9112 section 6.3, 5: a list", ANSWER("Content-Length: 5, 5"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 5: a negative length", ANSWER("Content-Length: -1"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 5: an empty length", ANSWER("Content-Length:"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 5: past 64 bits", ANSWER("Content-Length: 18446744073709551616"),
         METHOD_GET, ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 5: malformed to HEAD", ANSWER("Content-Length: a"), METHOD_HEAD,
         ERR_ORIGIN_FRAMING, 0, 0, false},
        {"RFC 9112 section 6.3, 5: malformed in 304", WITH("304", "Content-Length: a"), METHOD_GET,
         ERR_ORIGIN_FRAMING, 0, 0, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_response(&parsed, cases[i].head, cases[i].method, &wide);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        if (cases[i].want == OK) {
            want_true(cases[i].why, parsed.resp.framing == cases[i].framing);
            want_true(cases[i].why, parsed.resp.content_length == cases[i].length);
            want_true(cases[i].why, parsed.resp.keep_alive == cases[i].keep_alive);
        }
        drop(&parsed);
    }
}

/* A response cannot nominate away what is meant for all, but is not refused for trying. */
static void
response_nominated(void **state)
{
    static const struct slice head =
        ANSWER("Connection: cache-control, x-one\r\nCache-Control: no-store\r\n"
               "X-One: 1\r\nKeep-Alive: 5\r\nHost: a\r\nHost: a");
    static const bool want[] = {true, false, true, true, false, false};
    struct parsed parsed;

    parse_response(&parsed, head, METHOD_GET, &wide);
    want_rc("nominated", parsed.rc, OK);
    assert_int_equal(parsed.resp.fields.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(parsed.resp.fields.items[i].nominated, want[i]);
    drop(&parsed);
}

static void
response_limits(void **state)
{
    static const struct slice head = TEXT("HTTP/1.1 200 OK\r\nA: b\r\nB: c\r\n\r\n");
    static const struct {
        const char *why;
        struct h1_limits limits;
        enum err want;
    } cases[] = {
        {"all just enough", {17, 31, 2}, OK},
        {"the line is one too long", {16, 31, 2}, ERR_ORIGIN_LIMIT},
        {"the head is one too long", {17, 30, 2}, ERR_ORIGIN_LIMIT},
        {"one field too many", {17, 31, 1}, ERR_ORIGIN_LIMIT},
    };

    assert_int_equal(head.len, 31);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;

        parse_response(&parsed, head, METHOD_GET, &cases[i].limits);
        want_rc(cases[i].why, parsed.rc, cases[i].want);
        drop(&parsed);
    }
}

/* --- finding the end --- */

static void
find_head(void **state)
{
    static const struct {
        const char *why;
        struct slice buf;
        struct h1_limits limits;
        enum err want;
        size_t len;
    } cases[] = {
        {"a whole head", TEXT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), {100, 100, 9}, OK, 27},
        {"what follows is not looked at",
         TEXT("GET / HTTP/1.1\r\n\r\n\n\r\0"),
         {100, 100, 9},
         OK,
         18},
        {"RFC 9112 section 9.3.2: a second head behind",
         TEXT("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
         {100, 100, 9},
         OK,
         18},
        {"an empty head", TEXT("\r\n"), {100, 100, 9}, OK, 2},
        {"nothing yet", TEXT(""), {100, 100, 9}, ERR_AGAIN, 0},
        {"half a line", TEXT("GET /"), {100, 100, 9}, ERR_AGAIN, 0},
        {"up to the CR", TEXT("GET / HTTP/1.1\r"), {100, 100, 9}, ERR_AGAIN, 0},
        {"up to the last LF", TEXT("GET / HTTP/1.1\r\n\r"), {100, 100, 9}, ERR_AGAIN, 0},
        {"tabs", TEXT("A:\t\t\t\t\t\t\t\t\t\t\t\tb\r\n\r\n"), {100, 100, 9}, OK, 19},
        {"RFC 9112 section 2.2: a bare LF",
         TEXT("GET / HTTP/1.1\n"),
         {100, 100, 9},
         ERR_BAD_REQUEST,
         0},
        {"RFC 9112 section 2.2: a bare LF far in",
         TEXT("GET / HTTP/1.1\r\nA: 0123456789\nB"),
         {100, 100, 9},
         ERR_BAD_REQUEST,
         0},
        {"RFC 9112 section 2.2: LF in front",
         TEXT("\nGET / HTTP/1.1\r\n\r\n"),
         {100, 100, 9},
         ERR_BAD_REQUEST,
         0},
        {"RFC 9112 section 2.2: LF LF",
         TEXT("GET / HTTP/1.1\n\n"),
         {100, 100, 9},
         ERR_BAD_REQUEST,
         0},
        {"RFC 9112 section 2.2: CR LF LF",
         TEXT("GET / HTTP/1.1\r\n\n"),
         {100, 100, 9},
         ERR_BAD_REQUEST,
         0},
        {"RFC 9112 section 2.2: a bare CR",
         TEXT("GET /\r HTTP/1.1"),
         {100, 100, 9},
         ERR_BAD_REQUEST,
         0},
        {"RFC 9112 section 2.2: CR CR LF",
         TEXT("GET / HTTP/1.1\r\r\n"),
         {100, 100, 9},
         ERR_BAD_REQUEST,
         0},
        {"RFC 9112 section 2.2: NUL", TEXT("GET /\0"), {100, 100, 9}, ERR_BAD_REQUEST, 0},
        {"the first line fills the limit", TEXT("GET /\r\n"), {7, 100, 9}, ERR_AGAIN, 0},
        {"the first line goes on past the limit",
         TEXT("GET /ab"),
         {6, 100, 9},
         ERR_TARGET_TOO_LONG,
         0},
        {"RFC 9112 section 3: a method without an end",
         TEXT(METHOD64 "A"),
         {64, 100, 9},
         ERR_NOT_IMPLEMENTED,
         0},
        {"RFC 9112 section 3: a long method that ends",
         TEXT(METHOD64 " "),
         {64, 100, 9},
         ERR_TARGET_TOO_LONG,
         0},
        {"the first line is whole but past the limit",
         TEXT("GET /\r\n\r\n"),
         {6, 100, 9},
         ERR_TARGET_TOO_LONG,
         0},
        {"a later line past the line's limit",
         TEXT("GET /\r\nA: 0123456789\r\n\r\n"),
         {7, 100, 9},
         OK,
         24},
        {"a later line goes on past the line's limit",
         TEXT("GET /\r\nA: 0123456789"),
         {7, 100, 9},
         ERR_AGAIN,
         0},
        {"the head fills the limit", TEXT("GET /\r\nA: b\r\n\r\n"), {9, 15, 9}, OK, 15},
        {"the head is one past the limit",
         TEXT("GET /\r\nA: b\r\n\r\n"),
         {9, 14, 9},
         ERR_HEAD_TOO_LARGE,
         0},
        {"no end within the limit",
         TEXT("GET /\r\nA: b\r\nB: c"),
         {9, 14, 9},
         ERR_HEAD_TOO_LARGE,
         0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t scanned = 0, len = 0, n = cases[i].buf.len;
        char *copy = malloc(n + 1);

        assert_non_null(copy);
        memcpy(copy + 1, cases[i].buf.ptr, n); /* off the alignment, and up to the end */
        want_rc(cases[i].why, h1_find_head(copy + 1, n, &cases[i].limits, &scanned, &len),
                cases[i].want);
        want_true(cases[i].why, len == cases[i].len);
        free(copy);
    }
}

/* What is found does not depend on how the bytes come: whole, or in two pieces cut anywhere. */
static void
find_head_in_two_pieces(void **state)
{
    static const struct slice bufs[] = {
        TEXT("GET /abcdefghijklmnop HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\nrest"),
        TEXT("GET /abcdefghijklmnop HTTP/1.1\r\nHost: a\nAccept: */*\r\n\r\nrest"),
        TEXT("GET /abcdefghijklmnop HTTP/1.1\r\nHost: a\r\rAccept: */*\r\n\r\nrest"),
        TEXT("GET /abcdefghijklmnop HTTP/1.1\r\nHost: a\r\n\r\n"),
    };

    for (size_t i = 0; i < ARRAY_LEN(bufs); i++) {
        size_t scanned = 0, want_len = 0;
        enum err want = h1_find_head(bufs[i].ptr, bufs[i].len, &wide, &scanned, &want_len);

        assert_true(want == OK || want == ERR_BAD_REQUEST);
        for (size_t cut = 0; cut < bufs[i].len; cut++) {
            size_t len = 0;
            enum err rc;

            scanned = 0;
            rc = h1_find_head(bufs[i].ptr, cut, &wide, &scanned, &len);
            if (rc == ERR_AGAIN)
                rc = h1_find_head(bufs[i].ptr, bufs[i].len, &wide, &scanned, &len);
            assert_int_equal(rc, want);
            assert_int_equal(len, want_len);
        }
    }
}

/* --- lines of a stored head --- */

static void
parse_lines(void **state)
{
    static const struct {
        const char *why;
        struct slice lines;
        unsigned max;
        enum err want;
        unsigned n;
    } cases[] = {
        {"none", TEXT(""), 4, OK, 0},
        {"one", TEXT("A: b\r\n"), 4, OK, 1},
        {"as many as may be", TEXT("A: b\r\nB: c\r\n"), 2, OK, 2},
        {"one too many", TEXT("A: b\r\nB: c\r\n"), 1, ERR_LIMIT, 1},
        {"more than there is room for", TEXT("A: b\r\nB: c\r\nC:\r\nD:\r\nE:\r\n"), 9, ERR_LIMIT,
         4},
        {"an empty line", TEXT("A: b\r\n\r\n"), 4, ERR_SYNTAX, 1},
        {"no line end", TEXT("A: b"), 4, ERR_SYNTAX, 0},
        {"half a line end", TEXT("A: b\r"), 4, ERR_SYNTAX, 0},
        {"a folded line", TEXT("A: b\r\n c\r\n"), 4, ERR_SYNTAX, 1},
        {"a control byte", TEXT("A: \x01\r\n"), 4, ERR_SYNTAX, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed parsed;
        struct http_fields fields;

        own_head(&parsed, cases[i].lines);
        assert_int_equal(http_fields_init(&fields, &parsed.arena, 4), OK);
        want_rc(cases[i].why, h1_parse_fields(parsed.head, cases[i].max, &fields, &parsed.fault),
                cases[i].want);
        assert_int_equal(fields.n, cases[i].n);
        drop(&parsed);
    }
}

/* A head of any number of options in Connection costs no more than it should: refused past a limit.
 */
static void
many_options_are_refused(void **state)
{
    char head[4096];
    struct parsed parsed;

    for (unsigned n = HTTP_OPTIONS_MAX; n <= HTTP_OPTIONS_MAX + 1; n++) {
        size_t len =
            (size_t)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: a\r\nConnection: ");

        for (unsigned i = 0; i < n; i++)
            len += (size_t)snprintf(head + len, sizeof(head) - len, "x%u,", i);
        len += (size_t)snprintf(head + len, sizeof(head) - len, "\r\n\r\n");
        parse_request(&parsed, slice_of(head, len), &wide);
        want_rc("options", parsed.rc, n <= HTTP_OPTIONS_MAX ? OK : ERR_BAD_REQUEST);
        drop(&parsed);
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_line),
        cmocka_unit_test(request_version),
        cmocka_unit_test(request_target_refused),
        cmocka_unit_test(request_target_read),
        cmocka_unit_test(request_fields),
        cmocka_unit_test(request_field_values),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(request_host),
        cmocka_unit_test(request_framing),
        cmocka_unit_test(request_connection),
        cmocka_unit_test(request_nominated),
        cmocka_unit_test(request_expect),
        cmocka_unit_test(request_method_length),
        cmocka_unit_test(request_limits),
        cmocka_unit_test(refused_request_keeps_its_line),
        cmocka_unit_test(parse_without_memory),
        cmocka_unit_test(response_line),
        cmocka_unit_test(response_framing),
        cmocka_unit_test(response_nominated),
        cmocka_unit_test(response_limits),
        cmocka_unit_test(find_head),
        cmocka_unit_test(find_head_in_two_pieces),
        cmocka_unit_test(parse_lines),
        cmocka_unit_test(many_options_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
