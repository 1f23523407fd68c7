/* A non-blocking stream socket and its two events. The read event stays registered while reading is
 * wanted, so a request on a kept connection costs the read and the write and nothing else. */
#include "net/chan.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/tcp.h> /* netinet's tcp_info ends before tcpi_bytes_acked */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHAN_TAG = 0x6368616e };

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
    struct chan *chan = arg;

    ASSERT_TAG(chan, CHAN_TAG);
    turn_mark(chan->work);
    chan->on_ready(chan, (what & EV_READ) != 0 ? CHAN_READ : CHAN_WRITE);
}

void
chan_init(struct chan *chan, struct loop *loop, int fd,
          void (*on_ready)(struct chan *chan, unsigned ready))
{
    struct event_base *base = loop_base(loop);

    *chan = (struct chan){.tag = CHAN_TAG, .fd = fd, .loop = loop, .on_ready = on_ready};
    (void)event_assign(&chan->read_event, base, fd, EV_READ | EV_PERSIST, on_event, chan);
    (void)event_assign(&chan->write_event, base, fd, EV_WRITE | EV_PERSIST, on_event, chan);
}

enum err
chan_want(struct chan *chan, unsigned wanted)
{
    unsigned changed = chan->wanted ^ wanted;

    ASSERT_TAG(chan, CHAN_TAG);
    ASSERT(chan->fd != -1);
    for (unsigned bit = CHAN_READ; changed != 0 && bit <= CHAN_WRITE; bit <<= 1) {
        struct event *event = bit == CHAN_READ ? &chan->read_event : &chan->write_event;

        if ((changed & bit) == 0)
            continue;
        if (((wanted & bit) != 0 ? event_add(event, NULL) : event_del(event)) != 0)
            return ERR_SYSTEM;
        chan->wanted ^= bit;
    }
    return OK;
}

static void
forget_events(struct chan *chan)
{
    if ((chan->wanted & CHAN_READ) != 0)
        (void)event_del(&chan->read_event);
    if ((chan->wanted & CHAN_WRITE) != 0)
        (void)event_del(&chan->write_event);
    chan->wanted = 0;
}

void
chan_move(struct chan *from, struct chan *to, void (*on_ready)(struct chan *chan, unsigned ready))
{
    ASSERT_TAG(from, CHAN_TAG);
    ASSERT(from->fd != -1);
    forget_events(from);
    chan_init(to, from->loop, from->fd, on_ready);
    to->work = from->work;
    from->fd = -1;
}

void
chan_close(struct chan *chan)
{
    if (chan->fd == -1)
        return;
    ASSERT_TAG(chan, CHAN_TAG);
    forget_events(chan);
    (void)close(chan->fd);
    chan->fd = -1;
}

void
chan_abort(struct chan *chan)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (chan->fd != -1)
        (void)setsockopt(chan->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    chan_close(chan);
}

static enum err
translate(ssize_t n, size_t *out_n)
{
    if (n == -1)
        return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_AGAIN : ERR_SYSTEM;
    if (n == 0)
        return ERR_CLOSED;
    *out_n = (size_t)n;
    return OK;
}

enum err
chan_read(struct chan *chan, void *buf, size_t cap, size_t *out_n)
{
    ssize_t n;

    ASSERT_TAG(chan, CHAN_TAG);
    ASSERT(cap > 0);
    do
        n = recv(chan->fd, buf, cap, 0);
    while (n == -1 && errno == EINTR);
    return translate(n, out_n);
}

/* Pieces that are small together go as one: copying them here costs less than having the kernel
 * walk them (measured: 1.4 KB in three pieces, 4.23 us instead of 4.38). */
enum { GATHER_MAX = 4096 };

static size_t
gather(const struct iovec *iov, size_t iov_n, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < iov_n; i++) {
        if (iov[i].iov_len > GATHER_MAX - len)
            return 0;
        memcpy(out + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    return len;
}

static ssize_t
send_iov(int fd, const struct iovec *iov, size_t iov_n)
{
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = iov_n};
    char whole[GATHER_MAX];
    size_t len;

    if (iov_n == 1)
        return send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    len = gather(iov, iov_n, whole);
    return len > 0 ? send(fd, whole, len, MSG_NOSIGNAL) : sendmsg(fd, &msg, MSG_NOSIGNAL);
}

enum err
chan_writev(struct chan *chan, const struct iovec *iov, size_t iov_n, size_t *out_n)
{
    ssize_t n;

    ASSERT_TAG(chan, CHAN_TAG);
    do
        n = send_iov(chan->fd, iov, iov_n);
    while (n == -1 && errno == EINTR);
    return translate(n, out_n);
}

uint64_t
chan_taken(const struct chan *chan)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    memset(&info, 0, sizeof(info));
    (void)getsockopt(chan->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    return info.tcpi_bytes_acked;
}

void
chan_shutdown(struct chan *chan)
{
    ASSERT_TAG(chan, CHAN_TAG);
    (void)shutdown(chan->fd, SHUT_WR);
}
