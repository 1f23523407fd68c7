/* Addresses as text, socket options in one place, and listeners that survive a lack of descriptors.
 */
#include "net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/log.h"
#include "net/loop.h"
#include "net/turn.h"

/* --- addresses --- */

static void
set_v4(struct sock_addr *out, const struct in_addr *ip, uint16_t port)
{
    struct sockaddr_in *sin = (struct sockaddr_in *)&out->storage;

    memset(out, 0, sizeof(*out));
    sin->sin_family = AF_INET;
    sin->sin_addr = *ip;
    sin->sin_port = htons(port);
    out->len = sizeof(*sin);
}

static void
set_v6(struct sock_addr *out, const struct in6_addr *ip, uint16_t port)
{
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&out->storage;

    memset(out, 0, sizeof(*out));
    sin6->sin6_family = AF_INET6;
    sin6->sin6_addr = *ip;
    sin6->sin6_port = htons(port);
    out->len = sizeof(*sin6);
}

/* inet_pton wants a terminated text. */
static bool
parse_ip(struct slice text, int family, void *out)
{
    char buf[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(buf) || memchr(text.ptr, '\0', text.len) != NULL)
        return false;
    memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
    return inet_pton(family, buf, out) == 1;
}

enum err
sock_addr_from_ip(struct slice ip, uint16_t port, struct sock_addr *out)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (parse_ip(ip, AF_INET, &v4)) {
        set_v4(out, &v4, port);
        return OK;
    }
    if (ip.len > 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']')
        ip = slice_of(ip.ptr + 1, ip.len - 2);
    if (!parse_ip(ip, AF_INET6, &v6))
        return ERR_SYNTAX;
    set_v6(out, &v6, port);
    return OK;
}

/* "host:port" in two; the colon is the last one, so that those of an IPv6 address stay with it. */
static bool
split_port(struct slice text, struct slice *out_host, uint16_t *out_port)
{
    size_t at = text.len;
    uint64_t port;

    while (at > 0 && text.ptr[at - 1] != ':')
        at--;
    if (at == 0 || !slice_to_u64(slice_skip(text, at), &port) || port > UINT16_MAX)
        return false;
    *out_host = slice_first(text, at - 1);
    *out_port = (uint16_t)port;
    return true;
}

enum err
sock_addr_parse(struct slice text, struct sock_addr *out)
{
    struct slice host;
    uint16_t port;
    size_t colon;

    if (!split_port(text, &host, &port))
        return ERR_SYNTAX;
    if (host.len == 0) {
        set_v6(out, &in6addr_any, port);
        return OK;
    }
    if (host.ptr[0] != '[' && slice_find(host, ':', &colon))
        return ERR_SYNTAX; /* which colon begins the port is unclear without brackets */
    return sock_addr_from_ip(host, port, out);
}

/* The address in its 128-bit form, IPv4 mapped. False: neither IPv4 nor IPv6. */
static bool
to_128(const struct sock_addr *addr, uint8_t out[16], uint16_t *out_port)
{
    const struct sockaddr_in *sin = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&addr->storage;

    if (addr->storage.ss_family == AF_INET6) {
        memcpy(out, &sin6->sin6_addr, 16);
        *out_port = ntohs(sin6->sin6_port);
        return true;
    }
    if (addr->storage.ss_family != AF_INET)
        return false;
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    memcpy(out + 12, &sin->sin_addr, 4);
    *out_port = ntohs(sin->sin_port);
    return true;
}

static bool
is_mapped(const uint8_t ip[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

size_t
sock_addr_format(const struct sock_addr *addr, bool with_port, char out[SOCK_ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    uint8_t bytes[16];
    uint16_t port;
    bool v4;
    int len;

    if (!to_128(addr, bytes, &port))
        return (size_t)snprintf(out, SOCK_ADDR_TEXT_MAX, "unknown");
    v4 = is_mapped(bytes);
    (void)inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + 12 : bytes, ip, sizeof(ip));
    if (!with_port)
        len = snprintf(out, SOCK_ADDR_TEXT_MAX, "%s", ip);
    else
        len = snprintf(out, SOCK_ADDR_TEXT_MAX, v4 ? "%s:%u" : "[%s]:%u", ip, (unsigned)port);
    return (size_t)len;
}

bool
sock_addr_is_loopback(const struct sock_addr *addr)
{
    uint8_t bytes[16];
    uint16_t port;

    if (!to_128(addr, bytes, &port))
        return false;
    return is_mapped(bytes) ? bytes[12] == 127 : memcmp(bytes, &in6addr_loopback, 16) == 0;
}

enum err
sock_net_parse(struct slice text, struct sock_net *out)
{
    struct sock_addr addr;
    struct sock_net net;
    struct slice ip;
    uint64_t bits, width;
    uint16_t port;
    bool has_bits = slice_cut(&text, '/', &ip);

    if (sock_addr_from_ip(ip, 0, &addr) != OK || !to_128(&addr, net.addr, &port))
        return ERR_SYNTAX;
    width = addr.storage.ss_family == AF_INET ? 32 : 128;
    bits = width;
    if (has_bits && (!slice_to_u64(text, &bits) || bits > width))
        return ERR_SYNTAX;
    net.bits = (uint8_t)(bits + 128 - width);
    *out = net;
    return OK;
}

bool
sock_net_contains(const struct sock_net *net, const struct sock_addr *addr)
{
    size_t whole = net->bits / 8;
    unsigned rest = net->bits % 8;
    uint8_t bytes[16];
    uint16_t port;

    if (!to_128(addr, bytes, &port) || memcmp(bytes, net->addr, whole) != 0)
        return false;
    return rest == 0 || (bytes[whole] ^ net->addr[whole]) >> (8 - rest) == 0;
}

/* --- sockets --- */

static enum err
fail_closing(int fd)
{
    int kept = errno;

    (void)close(fd);
    errno = kept;
    return ERR_SYSTEM;
}

static bool
set_flag(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

void
sock_set_nodelay(int fd)
{
    (void)set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* All addresses of both families ask for an IPv6 socket; a kernel without IPv6 gets IPv4. */
static int
listen_socket(struct sock_addr *addr)
{
    static const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const struct sockaddr_in6 *sin6 = (const struct sockaddr_in6 *)&addr->storage;
    int fd = socket(addr->storage.ss_family, type, 0);

    if (fd == -1 && errno == EAFNOSUPPORT && addr->storage.ss_family == AF_INET6 &&
        memcmp(&sin6->sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0) {
        set_v4(addr, &(struct in_addr){INADDR_ANY}, ntohs(sin6->sin6_port));
        fd = socket(AF_INET, type, 0);
    }
    return fd;
}

enum err
sock_listen(const struct sock_addr *addr, bool reuse_port, int backlog, int *out_fd)
{
    struct sock_addr bound = *addr;
    int fd = listen_socket(&bound);

    if (fd == -1)
        return ERR_SYSTEM;
    if (!set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        return fail_closing(fd);
    if (reuse_port && !set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1))
        return fail_closing(fd);
    if (bound.storage.ss_family == AF_INET6 && !set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0))
        return fail_closing(fd);
    if (bind(fd, (const struct sockaddr *)&bound.storage, bound.len) == -1)
        return fail_closing(fd);
    if (listen(fd, backlog) == -1)
        return fail_closing(fd);
    *out_fd = fd;
    return OK;
}

enum err
sock_connect(const struct sock_addr *addr, int *out_fd)
{
    int fd = socket(addr->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return ERR_SYSTEM;
    sock_set_nodelay(fd);
    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->len) == -1 &&
        errno != EINPROGRESS && errno != EINTR)
        return fail_closing(fd);
    *out_fd = fd;
    return OK;
}

int
sock_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
        return errno;
    return error;
}

/* --- listeners --- */

enum {
    LISTENER_TAG = 0x6c69736e,
    ACCEPTS_MAX = 64, /* in one turn; level-triggered, so the rest follows after other events */
    EMPTY_ROUNDS_MAX = 1024, /* of so many, when it is emptied: who comes fast enough is no end */
    SHORTAGE_MS = 100
};

struct sock_listener {
    uint32_t tag;
    int fd; /* -1: stopped */
    struct loop *loop;
    struct event event;
    struct loop_timer timer; /* set while there is a shortage */
    struct loop_reap reap;
    sock_accept_fn *fn;
    bool (*on_shortage)(void *arg); /* NULL: nothing can be done */
    void *arg;
};

/* Accepting waits: without a pause, the event would come again at once and burn the processor. */
static void
pause_accepting(struct sock_listener *listener, int error)
{
    LOG(WARN, listener, "reason=\"accept: %s\" paused_ms=%d", strerror(error), SHORTAGE_MS);
    (void)event_del(&listener->event);
    loop_timer_set(listener->loop, &listener->timer, SHORTAGE_MS);
}

static void
on_shortage_over(struct loop_timer *timer)
{
    struct sock_listener *listener = CONTAINER_OF(timer, struct sock_listener, timer);

    if (event_add(&listener->event, NULL) != 0)
        pause_accepting(listener, ENOMEM);
}

static bool
is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* The event comes again by itself when room was made. */
static void
on_shortage(struct sock_listener *listener, int error)
{
    if (listener->on_shortage == NULL || !listener->on_shortage(listener->arg))
        pause_accepting(listener, error);
}

/* Errors of the new connection itself (reset while it waited, refused by a filter) are its own
 * business: the next one is tried. False: there are no more, or none can be taken. */
static bool
accept_some(struct sock_listener *listener)
{
    for (int i = 0; i < ACCEPTS_MAX && listener->fd != -1; i++) {
        struct sock_addr peer = {.len = sizeof(peer.storage)};
        int conn_fd = accept4(listener->fd, (struct sockaddr *)&peer.storage, &peer.len,
                              SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (conn_fd != -1) {
            listener->fn(listener->arg, conn_fd, &peer);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return false;
        if (is_shortage(errno)) {
            on_shortage(listener, errno);
            return false;
        }
    }
    return listener->fd != -1;
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    turn_mark(TURN_ACCEPT);
    (void)accept_some(arg);
}

static void
free_listener(struct loop_reap *reap)
{
    struct sock_listener *listener = CONTAINER_OF(reap, struct sock_listener, reap);

    listener->tag = TAG_FREED;
    mem_free(listener);
}

enum err
sock_listener_start(struct loop *loop, int fd, sock_accept_fn *fn, void *arg,
                    struct sock_listener **out)
{
    struct sock_listener *listener = mem_zalloc(sizeof(*listener));

    if (listener == NULL) {
        (void)close(fd);
        return ERR_NOMEM;
    }
    *listener =
        (struct sock_listener){.tag = LISTENER_TAG, .fd = fd, .loop = loop, .fn = fn, .arg = arg};
    listener->reap.fn = free_listener;
    loop_timer_init(&listener->timer, on_shortage_over);
    sock_set_nodelay(fd); /* Linux hands it on to every accepted socket: a system call less each */
    (void)event_assign(&listener->event, loop_base(loop), fd, EV_READ | EV_PERSIST, on_acceptable,
                       listener);
    if (event_add(&listener->event, NULL) != 0) {
        (void)close(fd);
        mem_free(listener);
        return ERR_SYSTEM;
    }
    *out = listener;
    return OK;
}

void
sock_listener_empty(struct sock_listener *listener)
{
    ASSERT_TAG(listener, LISTENER_TAG);
    for (int i = 0; i < EMPTY_ROUNDS_MAX && accept_some(listener); i++)
        continue;
}

void
sock_listener_on_shortage(struct sock_listener *listener, bool (*fn)(void *arg))
{
    ASSERT_TAG(listener, LISTENER_TAG);
    listener->on_shortage = fn;
}

void
sock_listener_stop(struct sock_listener **slot)
{
    struct sock_listener *listener = *slot;

    if (listener == NULL)
        return;
    ASSERT_TAG(listener, LISTENER_TAG);
    *slot = NULL;
    (void)event_del(&listener->event);
    loop_timer_clear(&listener->timer);
    (void)close(listener->fd);
    listener->fd = -1;
    loop_reap(listener->loop, &listener->reap);
}
