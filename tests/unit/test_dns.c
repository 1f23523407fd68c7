/* Look-ups against a scripted DNS server on loopback: what is asked, kept, shared and given up. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/stats.h"
#include "net/dns.h"
#include "net/loop.h"

enum { TYPE_A = 1, TYPE_AAAA = 28, NXDOMAIN = 3, SERVFAIL = 2 };

struct server {
    pthread_t thread;
    int fd;
    char csv[64];
    atomic_bool broken; /* answers SERVFAIL */
};

/* The names it knows; "silent.test" is never answered, others do not exist. */
static const struct {
    const char *name;
    uint32_t ttl_s;
    unsigned addrs_n;
} zone[] = {{"one.test", 60, 1}, {"two.test", 60, 2}, {"short.test", 1, 1}, {"many.test", 60, 12}};

struct reply {
    uint8_t bytes[1024];
    size_t len;
};

static void
put(struct reply *reply, uint32_t n, size_t len)
{
    while (len-- > 0)
        reply->bytes[reply->len++] = (uint8_t)(n >> (len * 8));
}

static size_t
read_name(const uint8_t *query, size_t len, char *out, size_t cap)
{
    size_t at = 12, n = 0;

    while (at < len && query[at] != 0) {
        size_t label = query[at++];

        if (n > 0)
            out[n++] = '.';
        for (; label > 0 && at < len && n + 2 < cap; label--)
            out[n++] = (char)query[at++];
    }
    out[n] = '\0';
    return at + 1;
}

/* The question comes back with `answers_n` addresses 10.0.0.1, 10.0.0.2, ... */
static void
build_reply(struct reply *reply, const uint8_t *query, size_t question_end, unsigned rcode,
            unsigned answers_n, uint32_t ttl_s)
{
    memcpy(reply->bytes, query, 2);
    reply->len = 2;
    put(reply, 0x8180U | rcode, 2);
    put(reply, 1, 2);
    put(reply, answers_n, 2);
    put(reply, 0, 4);
    memcpy(reply->bytes + reply->len, query + 12, question_end - 12);
    reply->len += question_end - 12;
    for (unsigned i = 1; i <= answers_n; i++) {
        put(reply, 0xc00c, 2);
        put(reply, TYPE_A, 2);
        put(reply, 1, 2);
        put(reply, ttl_s, 4);
        put(reply, 4, 2);
        put(reply, 0x0a000000U + i, 4);
    }
}

static bool
answer(struct server *server, const uint8_t *query, size_t len, struct reply *reply)
{
    char name[256];
    size_t end = read_name(query, len, name, sizeof(name));
    unsigned type = (unsigned)(query[end] << 8 | query[end + 1]);

    if (strcmp(name, "silent.test") == 0)
        return false;
    if (atomic_load(&server->broken)) {
        build_reply(reply, query, end + 4, SERVFAIL, 0, 0);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(zone); i++) {
        if (strcmp(name, zone[i].name) != 0)
            continue;
        build_reply(reply, query, end + 4, 0, type == TYPE_A ? zone[i].addrs_n : 0, zone[i].ttl_s);
        return true;
    }
    build_reply(reply, query, end + 4, NXDOMAIN, 0, 0);
    return true;
}

static void *
serve(void *arg)
{
    struct server *server = arg;
    uint8_t query[512];
    struct sockaddr_storage from;

    for (;;) {
        socklen_t from_len = sizeof(from);
        ssize_t n =
            recvfrom(server->fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len);
        struct reply reply;

        if (n < 17)
            return NULL; /* a short datagram ends it */
        if (answer(server, query, (size_t)n, &reply))
            (void)sendto(server->fd, reply.bytes, reply.len, 0, (struct sockaddr *)&from, from_len);
    }
}

struct fixture {
    struct server server;
    struct loop *loop;
    struct dns *dns;
    int64_t asked_before;
};

static int
setup(void **state)
{
    static struct fixture fixture;
    struct sock_addr addr;

    fixture = (struct fixture){0};
    assert_int_equal(sock_addr_parse(SLICE("127.0.0.1:0"), &addr), OK);
    fixture.server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture.server.fd, (struct sockaddr *)&addr.storage, addr.len), 0);
    assert_int_equal(getsockname(fixture.server.fd, (struct sockaddr *)&addr.storage, &addr.len),
                     0);
    (void)sock_addr_format(&addr, true, fixture.server.csv);
    assert_int_equal(pthread_create(&fixture.server.thread, NULL, serve, &fixture.server), 0);
    assert_int_equal(loop_new(&fixture.loop), OK);
    assert_int_equal(dns_new(fixture.loop, 700, &fixture.dns), OK);
    assert_int_equal(dns_set_servers(fixture.dns, fixture.server.csv), OK);
    fixture.asked_before = stats_read(STAT_dns_queries);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *fixture = *state;
    struct sock_addr addr;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    dns_free(&fixture->dns);
    loop_free(&fixture->loop);
    assert_int_equal(sock_addr_parse(slice_from_str(fixture->server.csv), &addr), OK);
    assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&addr.storage, addr.len), 1);
    (void)close(fd);
    assert_int_equal(pthread_join(fixture->server.thread, NULL), 0);
    (void)close(fixture->server.fd);
    return 0;
}

static int64_t
asked(const struct fixture *fixture)
{
    return stats_read(STAT_dns_queries) - fixture->asked_before;
}

struct result {
    struct fixture *fixture;
    struct dns_query *query;
    unsigned calls;
    unsigned *left; /* the loop stops when it comes to 0 */
    enum err rc;
    struct dns_answer answer;
    struct dns_query **cancels; /* another one, from the callback */
};

static void
on_result(void *arg, enum err rc, const struct dns_answer *answer)
{
    struct result *result = arg;

    result->calls++;
    result->query = NULL;
    result->rc = rc;
    if (rc == OK)
        result->answer = *answer;
    if (result->cancels != NULL)
        dns_cancel(result->cancels);
    if (result->left != NULL && --*result->left == 0)
        loop_stop(result->fixture->loop);
}

static void
begin(struct fixture *fixture, const char *name, unsigned *left, struct result *out)
{
    *out = (struct result){.fixture = fixture, .left = left};
    dns_resolve(fixture->dns, name, 8080, on_result, out, &out->query);
}

/* Looks up and waits when it is not told at once. */
static void
look_up(struct fixture *fixture, const char *name, struct result *out)
{
    unsigned left = 1;

    begin(fixture, name, NULL, out);
    if (out->query != NULL) {
        out->left = &left;
        loop_run(fixture->loop);
    }
    out->left = NULL;
    assert_int_equal(out->calls, 1);
}

static void
names_become_addresses(void **state)
{
    static const struct {
        const char *name;
        enum err rc;
        unsigned n;
        const char *first;
        int64_t asked;
    } cases[] = {
        {"one.test", OK, 1, "10.0.0.1:8080", 1},   {"two.test", OK, 2, NULL, 1},
        {"many.test", OK, DNS_ADDRS_MAX, NULL, 1}, {"none.test", ERR_DNS, 0, NULL, 1},
        {"192.0.2.7", OK, 1, "192.0.2.7:8080", 0}, {"::1", OK, 1, "[::1]:8080", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture *fixture = *state;
        int64_t before = asked(fixture);
        char text[SOCK_ADDR_TEXT_MAX];
        struct result result;

        print_message("case: %s\n", cases[i].name);
        look_up(fixture, cases[i].name, &result);
        assert_int_equal(result.rc, cases[i].rc);
        assert_int_equal(asked(fixture) - before, cases[i].asked);
        if (cases[i].rc != OK)
            continue;
        assert_int_equal(result.answer.n, cases[i].n);
        (void)sock_addr_format(&result.answer.addrs[0], true, text);
        if (cases[i].first != NULL)
            assert_string_equal(text, cases[i].first);
    }
}

static void
the_hosts_file_is_honoured(void **state)
{
    struct result result;

    look_up(*state, "localhost", &result);
    assert_int_equal(result.rc, OK);
    assert_true(sock_addr_is_loopback(&result.answer.addrs[0]));
}

static void
answers_and_failures_are_kept(void **state)
{
    static const char *const names[] = {"one.test", "ONE.test", "none.test"};
    struct result first, second;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int64_t before;

        look_up(*state, names[i], &first);
        before = asked(*state);
        begin(*state, names[i], NULL, &second);
        assert_null(second.query);
        assert_int_equal(second.calls, 1);
        assert_int_equal(second.rc, first.rc);
        assert_int_equal(asked(*state), before);
    }
    assert_int_equal(asked(*state), 2);
}

static void
stop_loop(struct loop_timer *timer)
{
    loop_stop(loop_current());
}

static void
wait_ms(struct loop *loop, uint64_t ms)
{
    struct loop_timer timer;

    loop_timer_init(&timer, stop_loop);
    loop_timer_set(loop, &timer, ms);
    loop_run(loop);
}

static void
answers_end_with_their_time_to_live(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    look_up(fixture, "short.test", &result);
    dns_set_ttl_max_s(fixture->dns, 1);
    look_up(fixture, "one.test", &result);
    wait_ms(fixture->loop, 1050);
    look_up(fixture, "short.test", &result);
    look_up(fixture, "one.test", &result);
    assert_int_equal(asked(fixture), 4);
}

/* RFC 8767 section 5: an old answer is better than none while the servers fail. */
static void
an_old_answer_outlives_broken_servers(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    look_up(fixture, "short.test", &result);
    atomic_store(&fixture->server.broken, true);
    wait_ms(fixture->loop, 1050);
    look_up(fixture, "short.test", &result);
    assert_int_equal(asked(fixture), 2);
    assert_int_equal(result.rc, OK);
    assert_int_equal(result.answer.n, 1);
    look_up(fixture, "one.test", &result);
    assert_int_equal(result.rc, ERR_DNS);
}

static void
concurrent_queries_share_one_look_up(void **state)
{
    struct result results[5];
    unsigned left = ARRAY_LEN(results);

    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        begin(*state, "one.test", &left, &results[i]);
        assert_non_null(results[i].query);
    }
    loop_run(((struct fixture *)*state)->loop);
    for (size_t i = 0; i < ARRAY_LEN(results); i++) {
        assert_int_equal(results[i].calls, 1);
        assert_int_equal(results[i].rc, OK);
    }
    assert_int_equal(asked(*state), 1);
}

static void
a_cancelled_query_is_not_told(void **state)
{
    struct result results[3];
    unsigned left = 1;

    begin(*state, "one.test", NULL, &results[0]);
    begin(*state, "one.test", &left, &results[1]);
    begin(*state, "one.test", NULL, &results[2]);
    dns_cancel(&results[0].query);
    assert_null(results[0].query);
    dns_cancel(&results[0].query); /* harmless */
    results[1].cancels = &results[2].query;
    loop_run(((struct fixture *)*state)->loop);
    assert_int_equal(results[0].calls, 0);
    assert_int_equal(results[1].calls, 1);
    assert_int_equal(results[2].calls, 0);
}

static void
silence_fails_by_the_limit(void **state)
{
    uint64_t begun_ms = loop_now_ms(), took_ms;
    struct result result;

    look_up(*state, "silent.test", &result);
    took_ms = loop_now_ms() - begun_ms;
    assert_int_equal(result.rc, ERR_DNS);
    assert_true(took_ms >= 690 && took_ms < 1500);
}

static void
open_queries_end_without_a_callback(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    begin(fixture, "silent.test", NULL, &result);
    wait_ms(fixture->loop, 30);
    dns_free(&fixture->dns);
    assert_int_equal(result.calls, 0);
}

static void
no_memory_fails_the_query_alone(void **state)
{
    struct result result;

    for (unsigned nth = 1; nth <= 2; nth++) {
        mem_fail_at(nth);
        begin(*state, "one.test", NULL, &result);
        mem_fail_at(0);
        assert_null(result.query);
        assert_int_equal(result.rc, ERR_NOMEM);
    }
    look_up(*state, "one.test", &result);
    assert_int_equal(result.rc, OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_become_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(the_hosts_file_is_honoured, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_and_failures_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_end_with_their_time_to_live, setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_answer_outlives_broken_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(concurrent_queries_share_one_look_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_query_is_not_told, setup, teardown),
        cmocka_unit_test_setup_teardown(silence_fails_by_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(open_queries_end_without_a_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory_fails_the_query_alone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
