/* bench-floor [BYTES | FILE TYPE]: the least a server can do. One epoll loop writes one canned
 * answer, with a body of BYTES (1 KiB) or with what is in FILE, for each blank line it reads, and
 * parses nothing. tools/bench takes it as the floor that the CPU time of a hit is compared with,
 * and others as the origins of the misses.
 *
 * It measures, it does not serve: a client that does not read what it asked for is dropped. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BODY_LEN = 1024,
    BODY_LEN_MAX = 1 << 20,
    HEAD_LEN_MAX = 512,
    CONN_MAX = 4096, /* file descriptors, which index the table below */
    EVENT_MAX = 256,
    READ_LEN = 16384,
};

static char answer[HEAD_LEN_MAX + BODY_LEN_MAX];
static size_t answer_len, body_len = BODY_LEN;
static char body[BODY_LEN_MAX];
static const char *type = "text/plain";
static unsigned char seen[CONN_MAX]; /* bytes of "\r\n\r\n" seen last on this connection */

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static void
make_body(void)
{
    for (size_t i = 0; i < body_len; i++)
        body[i] = (char)('a' + i % 26);
}

static void
read_body(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL)
        fail(path);
    body_len = fread(body, 1, sizeof(body), file);
    if (ferror(file))
        fail(path);
    fclose(file);
}

/* Cacheable, so that the same program can be an origin. */
static void
make_answer(void)
{
    char date[64];
    time_t now = time(NULL);
    struct tm tm;
    int head_len;

    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    head_len = snprintf(answer, HEAD_LEN_MAX,
                        "HTTP/1.1 200 OK\r\nServer: bench-floor\r\nDate: %s\r\n"
                        "Content-Type: %s\r\nContent-Length: %zu\r\n"
                        "Cache-Control: max-age=86400\r\nETag: \"bench\"\r\n\r\n",
                        date, type, body_len);
    memcpy(answer + head_len, body, body_len);
    answer_len = (size_t)head_len + body_len;
}

/* Listen on a free port of the loopback and say which. */
static int
listen_loopback(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t addr_len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (fd == -1 || bind(fd, (struct sockaddr *)&addr, addr_len) == -1 || listen(fd, 4096) == -1 ||
        getsockname(fd, (struct sockaddr *)&addr, &addr_len) == -1)
        fail("listen");
    printf("%d\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

static void
accept_all(int epoll, int listener)
{
    struct epoll_event event = {.events = EPOLLIN};
    int on = 1;

    for (;;) {
        event.data.fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (event.data.fd == -1)
            return;
        if (event.data.fd >= CONN_MAX ||
            setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) == -1) {
            close(event.data.fd);
            continue;
        }
        seen[event.data.fd] = 0;
    }
}

/* How many requests end in these bytes. */
static unsigned
count_ends(const char *bytes, size_t len, unsigned char *at)
{
    unsigned ends_n = 0;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == "\r\n\r\n"[*at])
            (*at)++;
        else
            *at = bytes[i] == '\r';
        if (*at == 4) {
            ends_n++;
            *at = 0;
        }
    }
    return ends_n;
}

/* Answer what has come; false when the connection is over. */
static bool
serve(int fd)
{
    char bytes[READ_LEN];
    ssize_t got = read(fd, bytes, sizeof(bytes));

    if (got <= 0)
        return got == -1 && errno == EAGAIN;
    for (unsigned n = count_ends(bytes, (size_t)got, &seen[fd]); n > 0; n--) {
        if (send(fd, answer, answer_len, MSG_NOSIGNAL) != (ssize_t)answer_len)
            return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    struct epoll_event events[EVENT_MAX];
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(0);
    int listener;

    if (argc > 2) {
        type = argv[2];
        read_body(argv[1]);
    } else {
        body_len = argc > 1 ? strtoul(argv[1], NULL, 10) : BODY_LEN;
        if (body_len <= BODY_LEN_MAX)
            make_body();
    }
    if (strlen(type) > HEAD_LEN_MAX / 2 || body_len == 0 || body_len > BODY_LEN_MAX) {
        fprintf(stderr, "bench-floor: 1 to %d bytes, or a file and its type\n", BODY_LEN_MAX);
        return 2;
    }
    listener = listen_loopback();
    make_answer();
    event.data.fd = listener;
    if (epoll == -1 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == -1)
        fail("epoll");
    for (;;) {
        int events_n = epoll_wait(epoll, events, EVENT_MAX, -1);

        for (int i = 0; i < events_n; i++) {
            if (events[i].data.fd == listener)
                accept_all(epoll, listener);
            else if (!serve(events[i].data.fd))
                close(events[i].data.fd);
        }
    }
}
