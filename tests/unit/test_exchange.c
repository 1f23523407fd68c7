/* Whole exchanges between a client, a worker's proxy and an origin over sockets, while the nth
 * allocation, socket or wish for an event fails: the request may fail, nothing hangs, leaks or
 * lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/stats.h"
#include "net/dns.h"
#include "net/loop.h"
#include "proxy/proxy.h"

enum { BODY_LEN = 300000, FAILURES_MAX = 60, HANG_S = 4 };

struct bench {
    char path[64];
    struct store *store;
    struct origin_server_settings server;
    struct origin_settings origin;
    struct site_settings site;
    struct proxy_settings settings;
    struct proxy_shared *shared;
    struct loop *loop;
    int listener, client;
    pthread_t origin_thread;
    atomic_uint wrong_bodies;
    const char *request; /* its head; '#': a path of the round */
    bool body;           /* BODY_LEN bytes of it follow */
    unsigned round;
    bool hung;
};

/* --- what may fail, on the worker's thread alone; libevent and we find these before libc's --- */

static _Thread_local unsigned socket_countdown, event_countdown;

int
socket(int domain, int type, int protocol)
{
    if (socket_countdown != 0 && --socket_countdown == 0) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (op != EPOLL_CTL_DEL && event_countdown != 0 && --event_countdown == 0) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static void
socket_fail_at(unsigned nth)
{
    socket_countdown = nth;
}

static void
event_fail_at(unsigned nth)
{
    event_countdown = nth;
}

static const struct resource {
    const char *name;
    void (*fail_at)(unsigned nth); /* 0: never */
    unsigned most;
} resources[] = {
    {"allocation", mem_fail_at, FAILURES_MAX},
    {"socket", socket_fail_at, 3},
    {"event", event_fail_at, 12},
};

/* --- the origin: one connection at a time, closed after its answer --- */

static char
body_byte(size_t at)
{
    return (char)('a' + at % 23);
}

/* True: the body came whole; then it must be right. */
static bool
read_body(struct bench *bench, int fd, const char *begun, size_t begun_len)
{
    static char buf[65536];
    size_t at = 0;
    ssize_t n = (ssize_t)begun_len;

    memcpy(buf, begun, begun_len);
    do {
        for (ssize_t i = 0; i < n; i++, at++)
            if (buf[i] != body_byte(at))
                atomic_fetch_add(&bench->wrong_bodies, 1);
    } while (at < BODY_LEN && (n = read(fd, buf, sizeof(buf))) > 0);
    return at == BODY_LEN;
}

/* More than a fill holds of what is not stored. */
static void
serve_large(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n"
                               "Cache-Control: no-store\r\nConnection: close\r\n\r\n";
    static const char zeros[40000];
    ssize_t n = write(fd, head, sizeof(head) - 1);

    for (unsigned i = 0; n > 0 && i < 100; i++)
        n = send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL);
}

static void
serve(struct bench *bench, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nVary: X\r\n"
                                 "Surrogate-Key: a b\r\nETag: \"1\"\r\nConnection: close\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    char head[8192], *end = NULL;
    size_t len = 0;

    while (end == NULL) {
        ssize_t n = read(fd, head + len, sizeof(head) - 1 - len);

        if (n <= 0)
            return;
        len += (size_t)n;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    if (strstr(head, "Content-Length") != NULL &&
        !read_body(bench, fd, end + 4, len - (size_t)(end + 4 - head)))
        return;
    if (strstr(head, "Large") != NULL)
        serve_large(fd);
    else
        (void)!write(fd, answer, sizeof(answer) - 1);
}

static void *
run_origin(void *arg)
{
    struct bench *bench = arg;
    int fd;

    while ((fd = accept(bench->listener, NULL, NULL)) != -1) {
        serve(bench, fd);
        close(fd);
    }
    return NULL;
}

/* --- the client: asks, ends its side, reads to the end --- */

static void
send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static void *
run_client(void *arg)
{
    struct bench *bench = arg;
    struct timeval limit = {.tv_sec = HANG_S};
    char buf[4096], path[16];
    ssize_t n;

    setsockopt(bench->client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(bench->client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    snprintf(path, sizeof(path), "/%u", bench->round);
    for (const char *at = bench->request; *at != '\0'; at++) /* '#' stands for the path */
        send_all(bench->client, *at == '#' ? path : at, *at == '#' ? strlen(path) : 1);
    if (bench->body) {
        static char body[BODY_LEN];

        for (size_t i = 0; i < sizeof(body); i++)
            body[i] = body_byte(i);
        send_all(bench->client, body, sizeof(body));
    }
    shutdown(bench->client, SHUT_WR);
    usleep(5000); /* so that a large answer meets a client that does not read */
    do
        n = recv(bench->client, buf, sizeof(buf), 0);
    while (n > 0);
    bench->hung = n == -1 && errno == EAGAIN;
    close(bench->client);
    loop_stop(bench->loop);
    return NULL;
}

/* --- the bench --- */

static void
listen_for_proxy(struct bench *bench)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);

    bench->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bench->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(bench->listener, 64), 0);
    assert_int_equal(getsockname(bench->listener, (struct sockaddr *)&addr, &len), 0);
    bench->server = (struct origin_server_settings){
        .host = "127.0.0.1", .port = ntohs(addr.sin_port), .weight = 1};
}

static void
fill_settings(struct bench *bench)
{
    static const struct h1_limits limits = {8192, 32768, 100};
    static const struct h1_body_limits body_limits = {1024, 16384, 8192};

    bench->origin = (struct origin_settings){.name = "o",
                                             .servers = &bench->server,
                                             .servers_n = 1,
                                             .connect_ms = 3000,
                                             .first_byte_ms = 3000,
                                             .between_bytes_ms = 3000,
                                             .head_limits = limits,
                                             .body_limits = body_limits};
    bench->site = (struct site_settings){.name = "s", .hit_for_miss_s = 1};
    bench->settings = (struct proxy_settings){.head_limits = limits,
                                              .body_limits = body_limits,
                                              .head_ms = 3000,
                                              .idle_ms = 3000,
                                              .body_rule = {.quiet_ms = 3000},
                                              .reader_rule = {.quiet_ms = 3000},
                                              .watch = {16, 16, 0, 1 << 20},
                                              .pipeline_len = 16384,
                                              .pipeline_burst = 32,
                                              .waiters_ms = 3000,
                                              .fill_window_len = 1, /* the least there is */
                                              .node_name = "brink",
                                              .origins = &bench->origin,
                                              .origins_n = 1,
                                              .sites = &bench->site,
                                              .sites_n = 1};
}

static int
set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct store_settings settings = {.size_len = 64 << 20,
                                      .queue_max_len = 32 << 20,
                                      .batch_ms = 5,
                                      .readers_max = 8,
                                      .scan_wait_ms = 2000};
    char why[256];

    log_set_level(LOG_ERROR);
    snprintf(bench->path, sizeof(bench->path), "/tmp/brink-exchange-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    settings.path = bench->path;
    assert_int_equal(store_open(&settings, &bench->store, why, sizeof(why)), OK);
    listen_for_proxy(bench);
    fill_settings(bench);
    assert_int_equal(proxy_shared_new(bench->store, &bench->settings, &bench->shared), OK);
    assert_int_equal(pthread_create(&bench->origin_thread, NULL, run_origin, bench), 0);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    struct bench *bench = *state;
    char command[128];

    shutdown(bench->listener, SHUT_RDWR);
    pthread_join(bench->origin_thread, NULL);
    close(bench->listener);
    store_close(&bench->store);
    proxy_shared_free(&bench->shared);
    snprintf(command, sizeof(command), "rm -rf %s", bench->path);
    assert_int_equal(system(command), 0);
    free(bench);
    return 0;
}

/* One connection on a worker of its own, whose `nth` such resource from the accept on fails. */
static void
exchange(struct bench *bench, const struct resource *resource, unsigned nth)
{
    struct proxy *proxy;
    struct dns *dns;
    struct sock_addr peer;
    pthread_t client;
    int pair[2];

    bench->round++;
    assert_int_equal(loop_new(&bench->loop), OK);
    assert_int_equal(dns_new(bench->loop, 1000, &dns), OK);
    assert_int_equal(proxy_new(bench->loop, dns, bench->shared, 0, &proxy), OK);
    assert_int_equal(sock_addr_parse(SLICE("127.0.0.1:1"), &peer), OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    fcntl(pair[1], F_SETFL, 0);
    bench->client = pair[1];
    assert_int_equal(pthread_create(&client, NULL, run_client, bench), 0);
    resource->fail_at(nth);
    proxy_accept(proxy, pair[0], &peer);
    loop_run(bench->loop);
    resource->fail_at(0);
    pthread_join(client, NULL);
    proxy_free(&proxy);
    dns_free(&dns);
    loop_free(&bench->loop);
    if (bench->hung)
        fail_msg("%s %u of \"%.20s\" failed, and nobody told the client", resource->name, nth,
                 bench->request);
    assert_int_equal(atomic_load(&bench->wrong_bodies), 0);
    assert_int_equal(stats_read(STAT_connections_open), 0);
    assert_int_equal(stats_read(STAT_requests_active), 0);
    assert_int_equal(stats_read(STAT_fill_waiters), 0);
}

static void
what_fails_ends_the_request_alone(void **state)
{
    static const struct {
        const char *why, *request;
        bool body;
    } cases[] = {
        {"a miss, then a hit",
         "GET # HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n"
         "GET # HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n",
         false},
        {"a body", "POST # HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n", true},
        {"expected",
         "POST # HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
         "Content-Length: 300000\r\n\r\n",
         true},
        {"a large answer", "GET # HTTP/1.1\r\nHost: x\r\nX: Large\r\n\r\n", false},
        {"refused", "GET # HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", false},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        bench->request = cases[i].request;
        bench->body = cases[i].body;
        for (size_t r = 0; r < ARRAY_LEN(resources); r++)
            for (unsigned nth = 0; nth <= resources[r].most; nth++)
                exchange(bench, &resources[r], nth);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_fails_ends_the_request_alone, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
