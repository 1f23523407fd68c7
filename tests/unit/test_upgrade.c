/* Upgrade: who asks in a way that counts, for what, and what a 101 may grant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/h1_parse.h"
#include "http/upgrade.h"

static const struct h1_limits limits = {1024, 8192, 20};
static const char *const allowed[] = {"websocket", "irc"};

static int
setup(void **state)
{
    static struct arena arena;

    arena_init(&arena, 0);
    *state = &arena;
    return 0;
}

static int
teardown(void **state)
{
    arena_fini(*state);
    return 0;
}

static struct http_request
request_of(struct arena *arena, const char *line, const char *fields)
{
    struct http_request request;
    struct h1_fault fault;
    struct slice head;

    assert_int_equal(arena_printf(arena, &head, "%s\r\nHost: a\r\n%s\r\n", line, fields), OK);
    assert_int_equal(h1_parse_request(head, &limits, arena, &request, &fault), OK);
    return request;
}

static void
requests_that_ask(void **state)
{
    static const struct {
        const char *why, *line, *fields;
        bool want;
    } cases[] = {
        {"RFC 6455 section 4.1", "GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n",
         true},
        {"among other options", "GET / HTTP/1.1",
         "Connection: close, UPGRADE\r\nUpgrade: websocket\r\n", true},
        {"a body of no bytes", "GET / HTTP/1.1",
         "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", true},
        {"RFC 9110 section 7.8: no connection option", "GET / HTTP/1.1", "Upgrade: websocket\r\n",
         false},
        {"another option", "GET / HTTP/1.1", "Connection: upgrades\r\nUpgrade: websocket\r\n",
         false},
        {"RFC 9110 section 7.8: HTTP/1.0", "GET / HTTP/1.0",
         "Connection: Upgrade\r\nUpgrade: websocket\r\n", false},
        {"RFC 6455 section 4.1: another method", "POST / HTTP/1.1",
         "Connection: Upgrade\r\nUpgrade: websocket\r\n", false},
        {"a body", "GET / HTTP/1.1",
         "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", false},
        {"a chunked body", "GET / HTTP/1.1",
         "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n", false},
        {"no Upgrade", "GET / HTTP/1.1", "Connection: Upgrade\r\n", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_request request = request_of(*state, cases[i].line, cases[i].fields);

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(upgrade_is_asked(&request), cases[i].want);
    }
}

static void
protocols_that_are_chosen(void **state)
{
    static const struct {
        const char *why, *fields, *want;
    } cases[] = {
        {"one", "Upgrade: websocket\r\n", "websocket"},
        {"any case, written anew", "Upgrade: WebSocket\r\n", "websocket"},
        {"the allowed of a list, in the site's order", "Upgrade: h2c, irc , WEBSOCKET\r\n",
         "websocket, irc"},
        {"once, however often", "Upgrade: irc,irc\r\nUpgrade: irc\r\n", "irc"},
        {"several fields", "Upgrade: h2c\r\nUpgrade: websocket\r\n", "websocket"},
        {"a version is another protocol", "Upgrade: websocket/13\r\n", ""},
        {"quoted", "Upgrade: \"websocket\"\r\n", ""},
        {"a part of it", "Upgrade: web\r\n", ""},
        {"none allowed", "Upgrade: h2c\r\n", ""},
        {"an empty list", "Upgrade: ,\r\n", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_request request = request_of(*state, "GET / HTTP/1.1", cases[i].fields);
        struct slice chosen;

        assert_int_equal(
            upgrade_choose(*state, &request.fields, allowed, ARRAY_LEN(allowed), &chosen), OK);
        if (!slice_is(chosen, cases[i].want))
            fail_msg("%s: \"%.*s\"", cases[i].why, SLICE_ARGS(chosen));
        assert_int_equal(upgrade_choose(*state, &request.fields, NULL, 0, &chosen), OK);
        assert_int_equal(chosen.len, 0);
    }
}

static void
answers_that_grant(void **state)
{
    static const struct {
        const char *why, *head;
        const char *want; /* NULL: no */
    } cases[] = {
        {"RFC 6455 section 4.2.2",
         "HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "websocket"},
        {"any case", "HTTP/1.1 101 OK\r\nConnection: x, upgrade\r\nUpgrade: IRC\r\n\r\n", "irc"},
        {"not offered", "HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", NULL},
        {"layers", "HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: irc, websocket\r\n\r\n",
         NULL},
        {"two fields",
         "HTTP/1.1 101 OK\r\nConnection: upgrade\r\nUpgrade: irc\r\nUpgrade: irc\r\n\r\n", NULL},
        {"RFC 9110 section 7.8: no Upgrade", "HTTP/1.1 101 OK\r\nConnection: upgrade\r\n\r\n",
         NULL},
        {"no connection option", "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n", NULL},
        {"not 101", "HTTP/1.1 103 OK\r\nConnection: upgrade\r\nUpgrade: irc\r\n\r\n", NULL},
    };
    struct slice protocol;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_response response;
        struct h1_fault fault;
        bool granted;

        assert_int_equal(h1_parse_response(slice_from_str(cases[i].head), METHOD_GET, &limits,
                                           *state, &response, &fault),
                         OK);
        granted = upgrade_is_granted(&response, SLICE("websocket, irc"), &protocol);
        print_message("case: %s\n", cases[i].why);
        assert_int_equal(granted, cases[i].want != NULL);
        if (granted)
            assert_true(slice_is(protocol, cases[i].want));
        assert_false(upgrade_is_granted(&response, SLICE_NONE, &protocol));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_that_ask, setup, teardown),
        cmocka_unit_test_setup_teardown(protocols_that_are_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_that_grant, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
