/* What the origin is asked: RFC 9110 section 7.6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache/purge.h"
#include "http/h1_parse.h"
#include "proxy/forward.h"

static const struct h1_limits limits = {.line_max = 4096, .head_max = 16384, .fields_max = 50};

/* How a site differs from one that caches and has no fields in its key. */
struct how {
    bool passed, as_it_came, translates;
    const char *conditions, *accept; /* NULL: none */
    const char *key_fields[3];
};

static struct slice
forward_to(struct arena *arena, const struct http_request *request, struct slice host,
           const struct how *how)
{
    struct sock_addr peer;
    struct slice head;
    struct forward_plan plan = {
        .request = request,
        .scheme = SLICE("http"),
        .host = host,
        .node_name = "brink",
        .loop_id = "00c0ffee00c0ffee",
        .peer = &peer,
        .for_store = !how->passed,
        .conditions = how->conditions == NULL ? SLICE_NONE : slice_from_str(how->conditions),
        .key_fields = how->key_fields,
        .accept_encoding = how->accept,
        .translate_tags = how->translates,
        .as_it_came = how->as_it_came,
    };

    while (plan.key_fields_n < ARRAY_LEN(how->key_fields) &&
           how->key_fields[plan.key_fields_n] != NULL)
        plan.key_fields_n++;

    assert_int_equal(sock_addr_parse(SLICE("192.0.2.7:1234"), &peer), OK);
    assert_int_equal(forward_head(arena, &plan, &head), OK);
    return head;
}

static struct slice
forward(struct arena *arena, const char *request_text, const struct how *how)
{
    struct http_request request;
    struct h1_fault fault;

    assert_int_equal(
        h1_parse_request(slice_from_str(request_text), &limits, arena, &request, &fault), OK);
    return forward_to(arena, &request, SLICE("example.com"), how);
}

#define LOOP "CDN-Loop: brink; id=00c0ffee00c0ffee\r\n"
#define FOR "X-Forwarded-For: 192.0.2.7\r\n"
#define PROTO "X-Forwarded-Proto: http\r\n"
#define HOST "X-Forwarded-Host: example.com\r\n"
#define OURS "Via: 1.1 brink\r\n" LOOP FOR PROTO HOST
#define GET "GET / HTTP/1.1\r\nHost: example.com\r\n"

static void
heads_are_written_anew(void **state)
{
    static const struct {
        const char *why, *in;
        struct how how;
        const char *want;
    } cases[] = {
        {"RFC 9112 section 3.2.2: an absolute target becomes origin form",
         "GET http://Example.com/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
         {0},
         "GET /a?b HTTP/1.1\r\nHost: example.com\r\n" OURS "\r\n"},
        {"RFC 9110 section 7.6.1: nominated and hop-by-hop fields end here",
         GET "Connection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
             "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nProxy-Connection: keep-alive\r\n"
             "Proxy-Authorization: Basic eA==\r\nTrailer: X\r\nAccept: */*\r\n\r\n",
         {0},
         GET "Accept: */*\r\n" OURS "\r\n"},
        {"what clients say of the way is not passed on",
         GET "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Host: evil\r\nForwarded: for=evil\r\n"
             "X-Original-URL: /admin\r\n\r\n",
         {0},
         GET OURS "\r\n"},
        {"nor under another spelling",
         GET "X_Forwarded_Host: evil\r\nX.Forwarded.Host: evil\r\nx-forwarded-PREFIX: /e\r\n"
             "X-Custom: kept\r\nAny_Thing: e\r\n\r\n",
         {0},
         GET "X-Custom: kept\r\n" OURS "\r\n"},
        {"for no method",
         "POST / HTTP/1.1\r\nHost: example.com\r\nX-HTTP-Method-Override: PUT\r\n"
         "Content-Length: 0\r\n\r\n",
         {.passed = true},
         "POST / HTTP/1.1\r\nHost: example.com\r\n" OURS "Content-Length: 0\r\n\r\n"},
        {"what is in the key goes on, instead of ours",
         GET "x-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\nX_Dev: 1\r\n\r\n",
         {.key_fields = {"x-forwarded-proto", "x_dev"}},
         GET "x-forwarded-proto: https\r\nX_Dev: 1\r\nVia: 1.1 brink\r\n" LOOP FOR HOST "\r\n"},
        {"RFC 9110 section 7.6.1: not when Connection names it",
         GET "Connection: X-Device\r\nX-Device: a\r\n\r\n",
         {.key_fields = {"x-device"}},
         GET OURS "\r\n"},
        {"a site that is passed whole gets what came, but for what is ours",
         GET "X-Original-URL: /a\r\nX_Forwarded_For: 1\r\nX-Forwarded-Host: evil\r\n"
             "Forwarded: for=1\r\nX-Forwarded-Port: 1\r\n\r\n",
         {.passed = true, .as_it_came = true},
         GET "X-Original-URL: /a\r\nForwarded: for=1\r\nX-Forwarded-Port: 1\r\n" OURS "\r\n"},
        {"Accept-Encoding is the site's, not the client's",
         GET "Accept-Encoding: gzip\r\naccept-encoding: br\r\nAccept: */*\r\n\r\n",
         {.accept = "identity"},
         GET "Accept: */*\r\nAccept-Encoding: identity\r\n" OURS "\r\n"},
        {"or the client's",
         GET "Accept-Encoding: gzip\r\n\r\n",
         {0},
         GET "Accept-Encoding: gzip\r\n" OURS "\r\n"},
        {"RFC 9110 section 13.1.2: behind our tags, those that the origin knows",
         GET "If-None-Match: W/\"a~br\"\r\n\r\n",
         {.passed = true, .translates = true},
         GET "If-None-Match: W/\"a~br\", \"a\"\r\n" OURS "\r\n"},
        {"RFC 9110 section 13.1.1: not beside a range, which is of the one representation",
         GET "If-Match: \"a~br.AAAAAAAAAAA\"\r\nRange: bytes=0-1\r\n\r\n",
         {.passed = true, .translates = true},
         GET "If-Match: \"a~br.AAAAAAAAAAA\"\r\nRange: bytes=0-1\r\n" OURS "\r\n"},
        {"nor where no coding is ours",
         GET "If-None-Match: W/\"a~br\"\r\n\r\n",
         {.passed = true},
         GET "If-None-Match: W/\"a~br\"\r\n" OURS "\r\n"},
        {"credentials, cookies and preferences are the origin's business",
         GET "Authorization: Basic eA==\r\nCookie: a=b\r\nAccept-Language: de\r\n"
             "User-Agent: x\r\n\r\n",
         {0},
         GET "Authorization: Basic eA==\r\nCookie: a=b\r\nAccept-Language: de\r\n"
             "User-Agent: x\r\n" OURS "\r\n"},
        {"RFC 9110 section 13: what is to be stored is wanted whole",
         GET "Range: bytes=0-1\r\nIf-Range: \"a\"\r\nIf-None-Match: \"a\"\r\n\r\n",
         {.conditions = "If-None-Match: \"b\"\r\n"},
         GET "If-None-Match: \"b\"\r\n" OURS "\r\n"},
        {"RFC 9110 section 13: what passes keeps its conditions",
         GET "Range: bytes=0-1\r\n\r\n",
         {.passed = true},
         GET "Range: bytes=0-1\r\n" OURS "\r\n"},
        {"RFC 9110 section 10.1.1: an expectation is answered here",
         "POST / HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\n"
         "Content-Length: 3\r\n\r\n",
         {.passed = true},
         "POST / HTTP/1.1\r\nHost: example.com\r\n" OURS "Content-Length: 3\r\n\r\n"},
        {"RFC 9112 section 7.1: chunked is coded anew",
         "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n",
         {.passed = true},
         "POST / HTTP/1.1\r\nHost: example.com\r\n" OURS "Transfer-Encoding: chunked\r\n\r\n"},
        {"RFC 9110 section 8.6: a GET of no bytes has no length",
         GET "Content-Length: 0\r\n\r\n",
         {0},
         GET OURS "\r\n"},
        {"RFC 9110 section 7.6.2: one hop less",
         "OPTIONS * HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 10\r\n\r\n",
         {.passed = true},
         "OPTIONS * HTTP/1.1\r\nHost: example.com\r\nMax-Forwards: 9\r\n" OURS "\r\n"},
        {"RFC 9110 section 7.6.2: other methods do not count",
         GET "Max-Forwards: 10\r\n\r\n",
         {0},
         GET "Max-Forwards: 10\r\n" OURS "\r\n"},
        {"RFC 9110 section 7.6.3 and RFC 8586: those before us stay",
         "GET / HTTP/1.0\r\nHost: example.com\r\nVia: 1.1 a\r\nCDN-Loop: b\r\n\r\n",
         {0},
         GET "Via: 1.1 a\r\nCDN-Loop: b\r\nVia: 1.0 brink\r\n" LOOP FOR PROTO HOST "\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        char *got;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        got = slice_to_str(forward(&arena, cases[i].in, &cases[i].how));
        assert_string_equal(got, cases[i].want);
        mem_free(got);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 2: the key is what the origin is asked for, byte for byte, and a purge of that
 * URL names the same key. */
static void
the_key_is_what_is_asked_for(void **state)
{
    static const char *const hosts[] = {
        "example.com", "EXAMPLE.com", "example.com:80", "a.b:",         "a.b:8080",     "a.b:080",
        "a.b.",        "A-_~!$&",     "[::1]",          "[FE80::1]:80", "1.2.3.4:65535"};
    static const char *const targets[] = {
        "/",     "/a",         "/a?",     "/a?b",    "/?", "/a?b?c=/d",  "//a",
        "/a//",  "/%41",       "/%2e%2e", "/a/../b", "/.", "/a;b=c,d",   "/a%20b",
        "/a%00", "/a?%3f=%26", "/~'()",   "/a:b@c",  "/*", "/http://x/", "/a?http://x/?y"};
    static const char *const schemes[] = {"", "http://", "HTTP://"}; /* origin form first */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hosts) * ARRAY_LEN(targets) * ARRAY_LEN(schemes); i++) {
        const char *host = hosts[i % ARRAY_LEN(hosts)];
        const char *target = targets[i / ARRAY_LEN(hosts) % ARRAY_LEN(targets)];
        const char *scheme = schemes[i / ARRAY_LEN(hosts) / ARRAY_LEN(targets)];
        struct slice text, line, head, method, sent_target, sent_host, asked;
        struct http_request request;
        struct h1_fault fault;
        struct store_key key;
        struct store_purge row[2];
        size_t n;
        struct arena arena;

        arena_init(&arena, 0);
        assert_int_equal(arena_printf(&arena, &text, "GET %s%s%s HTTP/1.1\r\nHost: %s\r\n\r\n",
                                      scheme, *scheme == '\0' ? "" : host, target,
                                      *scheme == '\0' ? host : "other"),
                         OK);
        assert_int_equal(h1_parse_request(text, &limits, &arena, &request, &fault), OK);
        assert_int_equal(url_normal_host(&arena, SLICE("http"), request.host, &sent_host), OK);
        assert_int_equal(
            cache_key_build(&arena, SLICE("http"), sent_host, request.path, request.query, &key),
            OK);
        head = forward_to(&arena, &request, sent_host, &(struct how){0});
        assert_true(slice_cut(&head, '\r', &line));
        assert_true(slice_cut(&line, ' ', &method));
        assert_true(slice_cut(&line, ' ', &sent_target));
        assert_true(slice_starts(head, SLICE("\nHost: ")));
        head = slice_skip(head, strlen("\nHost: "));
        assert_true(slice_cut(&head, '\r', &sent_host));
        assert_true(slice_is(sent_target, target));
        assert_int_equal(arena_printf(&arena, &asked, "http://%.*s%.*s", SLICE_ARGS(sent_host),
                                      SLICE_ARGS(sent_target)),
                         OK);
        assert_true(slice_equal(key.text, asked));
        assert_int_equal(arena_printf(&arena, &text, "http://%s%s", host, target), OK);
        assert_int_equal(purge_url(&arena, NULL, text, false, row, &n), OK);
        assert_true(slice_equal(row[0].text, key.text));
        arena_fini(&arena);
    }
}

/* What brink asks for itself is asked for nobody: no address, and what tells a loop all the same.
 */
static void
nobody_asks(void **state)
{
    struct http_request request = {.method = METHOD_GET,
                                   .method_text = SLICE("GET"),
                                   .path = SLICE("/a.js.br"),
                                   .query = SLICE("?v=1"),
                                   .minor = 1};
    struct forward_plan plan = {.request = &request,
                                .scheme = SLICE("http"),
                                .host = SLICE("example.com"),
                                .node_name = "brink",
                                .loop_id = "00c0ffee00c0ffee",
                                .for_store = true};
    struct arena arena;
    struct slice head;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(http_fields_init(&request.fields, &arena, 1), OK);
    assert_int_equal(http_fields_add(&request.fields, SLICE("Accept-Encoding"), SLICE("identity")),
                     OK);
    assert_int_equal(forward_head(&arena, &plan, &head), OK);
    assert_true(slice_is(head,
                         "GET /a.js.br?v=1 HTTP/1.1\r\nHost: example.com\r\n"
                         "Accept-Encoding: identity\r\nVia: 1.1 brink\r\n" LOOP PROTO HOST "\r\n"));
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(heads_are_written_anew),
                                       cmocka_unit_test(nobody_asks),
                                       cmocka_unit_test(the_key_is_what_is_asked_for)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
