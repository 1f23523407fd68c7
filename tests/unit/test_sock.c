/* Addresses as text, networks, listening and connecting. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop.h"
#include "net/sock.h"

static void
addresses_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        enum err rc;
        const char *with_port, *without;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:8080", OK, "127.0.0.1:8080", "127.0.0.1", true},
        {"127.9.9.9:0", OK, "127.9.9.9:0", "127.9.9.9", true},
        {"10.0.0.5:65535", OK, "10.0.0.5:65535", "10.0.0.5", false},
        {"[::1]:80", OK, "[::1]:80", "::1", true},
        {"[2001:db8::1]:443", OK, "[2001:db8::1]:443", "2001:db8::1", false},
        {"[::ffff:127.0.0.1]:80", OK, "127.0.0.1:80", "127.0.0.1", true},
        {":8080", OK, "[::]:8080", "::", false},
        {"", ERR_SYNTAX, NULL, NULL, false},
        {"8080", ERR_SYNTAX, NULL, NULL, false},
        {"127.0.0.1", ERR_SYNTAX, NULL, NULL, false},
        {"127.0.0.1:", ERR_SYNTAX, NULL, NULL, false},
        {"127.0.0.1:65536", ERR_SYNTAX, NULL, NULL, false},
        {"127.0.0.1:80x", ERR_SYNTAX, NULL, NULL, false},
        {"127.0.0.1:+80", ERR_SYNTAX, NULL, NULL, false},
        {"127.0.0:80", ERR_SYNTAX, NULL, NULL, false},
        {"::1:80", ERR_SYNTAX, NULL, NULL, false},
        {"[::1:80", ERR_SYNTAX, NULL, NULL, false},
        {"[]:80", ERR_SYNTAX, NULL, NULL, false},
        {"localhost:80", ERR_SYNTAX, NULL, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[SOCK_ADDR_TEXT_MAX];
        struct sock_addr addr;

        print_message("case: %s\n", cases[i].text);
        assert_int_equal(sock_addr_parse(slice_from_str(cases[i].text), &addr), cases[i].rc);
        if (cases[i].rc != OK)
            continue;
        assert_int_equal(sock_addr_format(&addr, true, text), strlen(cases[i].with_port));
        assert_string_equal(text, cases[i].with_port);
        assert_int_equal(sock_addr_format(&addr, false, text), strlen(cases[i].without));
        assert_string_equal(text, cases[i].without);
        assert_int_equal(sock_addr_is_loopback(&addr), cases[i].loopback);
    }
}

static void
literals_are_told_from_names(void **state)
{
    static const struct {
        const char *text;
        enum err rc;
        const char *want;
    } cases[] = {
        {"10.1.2.3", OK, "10.1.2.3:81"},
        {"::1", OK, "[::1]:81"},
        {"[::1]", OK, "[::1]:81"},
        {"example.com", ERR_SYNTAX, NULL},
        {"1.2.3", ERR_SYNTAX, NULL},
        {"", ERR_SYNTAX, NULL},
        {"::1::2", ERR_SYNTAX, NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", ERR_SYNTAX, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[SOCK_ADDR_TEXT_MAX];
        struct sock_addr addr;

        print_message("case: %s\n", cases[i].text);
        assert_int_equal(sock_addr_from_ip(slice_from_str(cases[i].text), 81, &addr), cases[i].rc);
        if (cases[i].rc != OK)
            continue;
        (void)sock_addr_format(&addr, true, text);
        assert_string_equal(text, cases[i].want);
    }
    assert_int_equal(sock_addr_from_ip(slice_of("1.2.3.4\0x", 9), 81, &(struct sock_addr){0}),
                     ERR_SYNTAX);
}

static void
networks_contain_their_addresses(void **state)
{
    static const struct {
        const char *net, *addr;
        bool want;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"10.9.9.9/8", "10.1.1.1", true},
        {"192.168.1.128/25", "192.168.1.128", true},
        {"192.168.1.128/25", "192.168.1.127", false},
        {"192.168.1.1", "192.168.1.1", true},
        {"192.168.1.1", "192.168.1.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "1.2.3.4", true},
        {"::1", "::1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
    };
    static const char *const bad[] = {"",    "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
                                      "x/8", "/",           "::/129",    "10.0.0.0/8/8"};
    struct sock_net net;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sock_addr addr;

        print_message("case: %s in %s\n", cases[i].addr, cases[i].net);
        assert_int_equal(sock_net_parse(slice_from_str(cases[i].net), &net), OK);
        assert_int_equal(sock_addr_from_ip(slice_from_str(cases[i].addr), 0, &addr), OK);
        assert_int_equal(sock_net_contains(&net, &addr), cases[i].want);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        print_message("case: refused %s\n", bad[i]);
        assert_int_equal(sock_net_parse(slice_from_str(bad[i]), &net), ERR_SYNTAX);
    }
}

static void
bound_addr(int fd, struct sock_addr *out)
{
    out->len = sizeof(out->storage);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&out->storage, &out->len), 0);
}

static int
listen_on(const char *text, struct sock_addr *out)
{
    struct sock_addr addr;
    int fd = -1;

    assert_int_equal(sock_addr_parse(slice_from_str(text), &addr), OK);
    assert_int_equal(sock_listen(&addr, true, 16, &fd), OK);
    bound_addr(fd, out);
    return fd;
}

struct accepts {
    struct loop *loop;
    struct sock_listener *listener;
    struct sock_addr peer;
    int fds[8];
    int n, want;
    bool stop_listener;
};

static void
on_accept(void *arg, int fd, const struct sock_addr *peer)
{
    struct accepts *accepts = arg;

    accepts->fds[accepts->n++] = fd;
    accepts->peer = *peer;
    if (accepts->stop_listener)
        sock_listener_stop(&accepts->listener);
    if (accepts->n == accepts->want)
        loop_stop(accepts->loop);
}

static int
int_option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void
accepted_sockets_are_ready_for_use(void **state)
{
    struct accepts accepts = {.want = 1};
    struct sock_addr addr, client;
    int fd = listen_on("127.0.0.1:0", &addr), client_fd;

    (void)state;
    assert_int_equal(loop_new(&accepts.loop), OK);
    assert_int_equal(sock_listener_start(accepts.loop, fd, on_accept, &accepts, &accepts.listener),
                     OK);
    assert_int_equal(sock_connect(&addr, &client_fd), OK);
    loop_run(accepts.loop);
    assert_int_equal(sock_error(client_fd), 0);
    assert_int_not_equal(int_option(accepts.fds[0], IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_not_equal(int_option(client_fd, IPPROTO_TCP, TCP_NODELAY), 0);
    assert_int_not_equal(fcntl(accepts.fds[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_not_equal(fcntl(accepts.fds[0], F_GETFD) & FD_CLOEXEC, 0);
    bound_addr(client_fd, &client);
    assert_memory_equal(&client.storage, &accepts.peer.storage, client.len);
    (void)close(client_fd);
    (void)close(accepts.fds[0]);
    sock_listener_stop(&accepts.listener);
    assert_null(accepts.listener);
    loop_free(&accepts.loop);
}

static void
one_listener_of_all_addresses_takes_both_families(void **state)
{
    struct accepts accepts = {.want = 1};
    struct sock_addr addr, v4;
    char text[SOCK_ADDR_TEXT_MAX], port_text[32];
    int fd = listen_on(":0", &addr), client_fd;

    (void)state;
    (void)snprintf(port_text, sizeof(port_text), "127.0.0.1:%u",
                   (unsigned)ntohs(((struct sockaddr_in6 *)&addr.storage)->sin6_port));
    assert_int_equal(sock_addr_parse(slice_from_str(port_text), &v4), OK);
    assert_int_equal(loop_new(&accepts.loop), OK);
    assert_int_equal(sock_listener_start(accepts.loop, fd, on_accept, &accepts, &accepts.listener),
                     OK);
    assert_int_equal(sock_connect(&v4, &client_fd), OK);
    loop_run(accepts.loop);
    (void)sock_addr_format(&accepts.peer, false, text);
    assert_string_equal(text, "127.0.0.1"); /* mapped, shown as what it is */
    (void)close(client_fd);
    (void)close(accepts.fds[0]);
    sock_listener_stop(&accepts.listener);
    loop_free(&accepts.loop);
}

/* The second connection waits in the backlog, but the listener is gone after the first. */
static void
a_callback_may_stop_the_listener(void **state)
{
    struct accepts accepts = {.want = 1, .stop_listener = true};
    struct sock_addr addr;
    int fd = listen_on("127.0.0.1:0", &addr), clients[2];

    (void)state;
    assert_int_equal(loop_new(&accepts.loop), OK);
    assert_int_equal(sock_listener_start(accepts.loop, fd, on_accept, &accepts, &accepts.listener),
                     OK);
    assert_int_equal(sock_connect(&addr, &clients[0]), OK);
    assert_int_equal(sock_connect(&addr, &clients[1]), OK);
    loop_run(accepts.loop);
    assert_int_equal(accepts.n, 1);
    (void)close(clients[0]);
    (void)close(clients[1]);
    (void)close(accepts.fds[0]);
    loop_free(&accepts.loop);
}

static void
stop_loop(struct loop_timer *timer)
{
    loop_stop(loop_current());
}

/* Without the pause the loop would spin on the event; after it, the connection is taken. */
static void
a_lack_of_descriptors_only_delays(void **state)
{
    struct accepts accepts = {.want = 1};
    struct rlimit before, none;
    struct loop_timer timer;
    struct sock_addr addr;
    int fd = listen_on("127.0.0.1:0", &addr), client_fd;

    (void)state;
    assert_int_equal(loop_new(&accepts.loop), OK);
    assert_int_equal(sock_listener_start(accepts.loop, fd, on_accept, &accepts, &accepts.listener),
                     OK);
    assert_int_equal(sock_connect(&addr, &client_fd), OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    loop_timer_init(&timer, stop_loop);
    loop_timer_set(accepts.loop, &timer, 40);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    loop_run(accepts.loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(accepts.n, 0);
    loop_run(accepts.loop); /* until it is accepted */
    assert_int_equal(accepts.n, 1);
    (void)close(client_fd);
    (void)close(accepts.fds[0]);
    sock_listener_stop(&accepts.listener);
    loop_free(&accepts.loop);
}

static void
an_address_in_use_keeps_errno(void **state)
{
    struct sock_addr addr;
    int fd = listen_on("127.0.0.1:0", &addr), other = -1;

    (void)state;
    assert_int_equal(sock_listen(&addr, false, 16, &other), ERR_SYSTEM);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(other, -1);
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(literals_are_told_from_names),
        cmocka_unit_test(networks_contain_their_addresses),
        cmocka_unit_test(accepted_sockets_are_ready_for_use),
        cmocka_unit_test(one_listener_of_all_addresses_takes_both_families),
        cmocka_unit_test(a_callback_may_stop_the_listener),
        cmocka_unit_test(a_lack_of_descriptors_only_delays),
        cmocka_unit_test(an_address_in_use_keeps_errno),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
