/* A stream's events, its ends, and what the peer sees of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/chan.h"
#include "net/sock.h"

struct pair {
    struct loop *loop;
    struct chan chan;
    int peer;       /* blocking */
    unsigned ready; /* of all events */
    unsigned calls;
    void (*then)(struct pair *pair);
};

static void
on_ready(struct chan *chan, unsigned ready)
{
    struct pair *pair = CONTAINER_OF(chan, struct pair, chan);

    pair->ready |= ready;
    pair->calls++;
    if (pair->then != NULL)
        pair->then(pair);
    loop_stop(pair->loop);
}

/* A TCP connection over loopback: a socket pair knows no reset. */
static int
setup(void **state)
{
    static struct pair pair;
    struct sock_addr addr = {0};
    int listening, fd;

    pair = (struct pair){0};
    assert_int_equal(sock_addr_parse(SLICE("127.0.0.1:0"), &addr), OK);
    assert_int_equal(sock_listen(&addr, false, 1, &listening), OK);
    addr.len = sizeof(addr.storage);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&addr.storage, &addr.len), 0);
    assert_int_equal(sock_connect(&addr, &fd), OK);
    do
        pair.peer = accept(listening, NULL, NULL);
    while (pair.peer == -1 && errno == EAGAIN);
    assert_int_not_equal(pair.peer, -1);
    (void)close(listening);
    assert_int_equal(loop_new(&pair.loop), OK);
    chan_init(&pair.chan, pair.loop, fd, on_ready);
    *state = &pair;
    return 0;
}

static int
teardown(void **state)
{
    struct pair *pair = *state;

    chan_close(&pair->chan);
    chan_close(&pair->chan); /* harmless */
    if (pair->peer != -1)
        (void)close(pair->peer);
    loop_free(&pair->loop);
    return 0;
}

static void
bytes_go_both_ways(void **state)
{
    struct pair *pair = *state;
    const struct iovec iov[] = {{"one ", 4}, {"two", 3}};
    char buf[16];
    size_t n = 0;

    assert_int_equal(chan_read(&pair->chan, buf, sizeof(buf), &n), ERR_AGAIN);
    assert_int_equal(chan_writev(&pair->chan, iov, ARRAY_LEN(iov), &n), OK);
    assert_int_equal(n, 7);
    assert_int_equal(recv(pair->peer, buf, sizeof(buf), 0), 7);
    assert_memory_equal(buf, "one two", 7);
    assert_int_equal(send(pair->peer, "back", 4, 0), 4);
    assert_int_equal(chan_want(&pair->chan, CHAN_READ), OK);
    loop_run(pair->loop);
    assert_int_equal(pair->ready, CHAN_READ);
    assert_int_equal(chan_read(&pair->chan, buf, sizeof(buf), &n), OK);
    assert_int_equal(n, 4);
}

static void
an_event_comes_again_until_it_is_used_up(void **state)
{
    struct pair *pair = *state;

    assert_int_equal(send(pair->peer, "x", 1, 0), 1);
    assert_int_equal(chan_want(&pair->chan, CHAN_READ), OK);
    loop_run(pair->loop);
    loop_run(pair->loop);
    assert_int_equal(pair->calls, 2);
}

static void
write_readiness_comes_only_while_wanted(void **state)
{
    struct pair *pair = *state;

    assert_int_equal(chan_want(&pair->chan, CHAN_READ | CHAN_WRITE), OK);
    loop_run(pair->loop);
    assert_int_equal(pair->ready, CHAN_WRITE);
    assert_int_equal(chan_want(&pair->chan, CHAN_READ), OK);
    pair->ready = 0;
    assert_int_equal(send(pair->peer, "x", 1, 0), 1);
    loop_run(pair->loop);
    assert_int_equal(pair->ready, CHAN_READ);
}

static void
an_orderly_end_is_told_from_a_reset(void **state)
{
    struct pair *pair = *state;
    struct linger at_once = {1, 0};
    char buf[4];
    size_t n = 0;

    assert_int_equal(shutdown(pair->peer, SHUT_WR), 0);
    assert_int_equal(chan_want(&pair->chan, CHAN_READ), OK);
    loop_run(pair->loop);
    assert_int_equal(chan_read(&pair->chan, buf, sizeof(buf), &n), ERR_CLOSED);
    assert_int_equal(setsockopt(pair->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    (void)close(pair->peer);
    pair->peer = -1;
    assert_int_equal(chan_writev(&pair->chan, &(struct iovec){"x", 1}, 1, &n), ERR_SYSTEM);
    assert_int_equal(n, 0);
}

static void
shutdown_is_an_orderly_end_for_the_peer(void **state)
{
    struct pair *pair = *state;
    char buf[4];

    chan_shutdown(&pair->chan);
    assert_int_equal(recv(pair->peer, buf, sizeof(buf), 0), 0);
}

static void
abort_is_a_reset_for_the_peer(void **state)
{
    struct pair *pair = *state;
    char buf[4];

    chan_abort(&pair->chan);
    assert_int_equal(pair->chan.fd, -1);
    assert_int_equal(recv(pair->peer, buf, sizeof(buf), 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void
close_it(struct pair *pair)
{
    chan_close(&pair->chan);
}

static void
stop_loop(struct loop_timer *timer)
{
    loop_stop(loop_current());
}

/* Both events are due in one turn; the first callback closes, so the second must not come. */
static void
no_event_comes_after_close(void **state)
{
    struct pair *pair = *state;
    struct loop_timer timer;

    pair->then = close_it;
    assert_int_equal(send(pair->peer, "x", 1, 0), 1);
    assert_int_equal(chan_want(&pair->chan, CHAN_READ | CHAN_WRITE), OK);
    loop_run(pair->loop);
    loop_timer_init(&timer, stop_loop);
    loop_timer_set(pair->loop, &timer, 30);
    loop_run(pair->loop);
    assert_int_equal(pair->calls, 1);
}

/* Events go with the stream: none to where it was, and those wanted there are forgotten. */
static void
a_moved_stream_goes_on(void **state)
{
    struct pair *pair = *state, there = {.loop = pair->loop, .peer = -1};
    int fd = pair->chan.fd;

    assert_int_equal(chan_want(&pair->chan, CHAN_READ | CHAN_WRITE), OK);
    chan_move(&pair->chan, &there.chan, on_ready);
    assert_int_equal(pair->chan.fd, -1);
    assert_int_equal(there.chan.fd, fd);
    assert_int_equal(there.chan.wanted, 0);
    assert_int_equal(send(pair->peer, "x", 1, 0), 1);
    assert_int_equal(chan_want(&there.chan, CHAN_READ), OK);
    loop_run(pair->loop);
    assert_int_equal(pair->calls, 0);
    assert_int_equal(there.ready, CHAN_READ);
    chan_close(&there.chan);
}

static void
a_full_socket_says_again(void **state)
{
    static char block[65536];
    struct pair *pair = *state;
    enum err rc = OK;
    size_t n;

    for (int i = 0; i < 10000 && rc == OK; i++)
        rc = chan_writev(&pair->chan, &(struct iovec){block, sizeof(block)}, 1, &n);
    assert_int_equal(rc, ERR_AGAIN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(an_event_comes_again_until_it_is_used_up, setup, teardown),
        cmocka_unit_test_setup_teardown(write_readiness_comes_only_while_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(an_orderly_end_is_told_from_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_is_an_orderly_end_for_the_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(abort_is_a_reset_for_the_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(no_event_comes_after_close, setup, teardown),
        cmocka_unit_test_setup_teardown(a_moved_stream_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_socket_says_again, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
