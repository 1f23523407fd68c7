/* What the origin is asked: RFC 9110 section 7.6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/h1_parse.h"
#include "proxy/forward.h"

static const struct h1_limits limits = {.line_max = 4096, .head_max = 16384, .fields_max = 50};

static struct slice
forward(struct arena *arena, const char *request_text, bool for_store, const char *conditions)
{
    struct http_request request = {0};
    struct h1_fault fault = {0};
    struct sock_addr peer;
    struct slice head;
    struct forward_plan plan = {
        .request = &request,
        .scheme = SLICE("http"),
        .host = SLICE("example.com"),
        .node_name = "brink",
        .peer = &peer,
        .for_store = for_store,
        .conditions = slice_from_str(conditions),
    };

    assert_int_equal(sock_addr_parse(SLICE("192.0.2.7:1234"), &peer), OK);
    assert_int_equal(
        h1_parse_request(slice_from_str(request_text), &limits, arena, &request, &fault), OK);
    assert_int_equal(forward_head(arena, &plan, &head), OK);
    return head;
}

#define OURS                                                                                       \
    "Via: 1.1 brink\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"                  \
    "X-Forwarded-Host: example.com\r\n"

static void
heads_are_written_anew(void **state)
{
    static const struct {
        const char *why, *in;
        bool for_store;
        const char *conditions, *want;
    } cases[] = {
        {"RFC 9112 section 3.2.2: an absolute target becomes origin form",
         "GET http://Example.com/a?b HTTP/1.1\r\nHost: x\r\n\r\n", true, "",
         "GET /a?b HTTP/1.1\r\nHost: example.com\r\n" OURS "\r\n"},
        {"RFC 9110 section 7.6.1: nominated and hop-by-hop fields end here",
         "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: X-Secret\r\nX-Secret: 1\r\n"
         "Keep-Alive: 5\r\nTE: trailers\r\nAccept: */*\r\n\r\n",
         true, "", "GET / HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\n" OURS "\r\n"},
        {"what clients say of the way is not passed on",
         "GET / HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-For: 1.2.3.4\r\n"
         "X-Forwarded-Host: evil\r\nForwarded: for=evil\r\nX-Original-URL: /admin\r\n\r\n",
         true, "", "GET / HTTP/1.1\r\nHost: example.com\r\n" OURS "\r\n"},
        {"RFC 9110 section 13: what is to be stored is wanted whole",
         "GET / HTTP/1.1\r\nHost: example.com\r\nRange: bytes=0-1\r\nIf-None-Match: \"a\"\r\n\r\n",
         true, "If-None-Match: \"b\"\r\n",
         "GET / HTTP/1.1\r\nHost: example.com\r\nIf-None-Match: \"b\"\r\n" OURS "\r\n"},
        {"RFC 9110 section 13: what passes keeps its conditions",
         "GET / HTTP/1.1\r\nHost: example.com\r\nRange: bytes=0-1\r\n\r\n", false, "",
         "GET / HTTP/1.1\r\nHost: example.com\r\nRange: bytes=0-1\r\n" OURS "\r\n"},
        {"RFC 9110 section 10.1.1: an expectation is answered here",
         "POST / HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\n"
         "Content-Length: 3\r\n\r\n",
         false, "", "POST / HTTP/1.1\r\nHost: example.com\r\n" OURS "Content-Length: 3\r\n\r\n"},
        {"RFC 9112 section 7.1: chunked is coded anew",
         "POST / HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n", false, "",
         "POST / HTTP/1.1\r\nHost: example.com\r\n" OURS "Transfer-Encoding: chunked\r\n\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        char *got;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        got = slice_to_str(forward(&arena, cases[i].in, cases[i].for_store, cases[i].conditions));
        assert_string_equal(got, cases[i].want);
        mem_free(got);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(heads_are_written_anew)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
