/* See fake_net.h. Descriptors are numbers from FD_BASE on; system calls that brink makes on its
 * descriptors itself arrive here by the linker's --wrap. */
#include "fake_net.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dns.h"

enum { FD_BASE = 1 << 20, CHAN_TAG = 0x6368616e };

struct loop {
    uint32_t unused;
};

struct dns_query {
    struct loop_msg msg;
    dns_fn *fn; /* NULL: cancelled */
    void *arg;
    uint16_t port;
};

static struct {
    struct loop loop;
    uint64_t now_ms;
    struct list timers;
    struct loop_msg *msgs, **msgs_end;
    struct loop_reap *reaps;
    struct peer peers[PEERS_MAX];
    size_t peers_n;
    enum peer_connect next_connect;
    bool dns_fails;
    uint64_t moved_len;
} net;

static const uint64_t start_ms = 1000000;
static const int64_t start_wall_s = 1700000000; /* Tue, 14 Nov 2023 22:13:20 GMT */

void
net_begin(void)
{
    memset(&net, 0, sizeof(net));
    net.now_ms = start_ms;
    net.msgs_end = &net.msgs;
    list_init(&net.timers);
}

void
net_end(void)
{
    ASSERT(list_empty(&net.timers)); /* a timer of something that has gone */
    ASSERT(net.msgs == NULL && net.reaps == NULL);
    for (size_t i = 0; i < net.peers_n; i++) {
        ASSERT(net.peers[i].chan == NULL); /* a descriptor that was never closed */
        bytes_free(&net.peers[i].in);
        bytes_free(&net.peers[i].out);
    }
}

struct peer *
net_peer(size_t i)
{
    return i < net.peers_n ? &net.peers[i] : NULL;
}

size_t
net_peers_n(void)
{
    return net.peers_n;
}

uint64_t
net_moved_len(void)
{
    return net.moved_len;
}

static struct peer *
peer_of(int fd)
{
    ASSERT(fd >= FD_BASE && (size_t)(fd - FD_BASE) < net.peers_n);
    return &net.peers[fd - FD_BASE];
}

static bool
is_fake(int fd)
{
    return fd >= FD_BASE && fd < FD_BASE + PEERS_MAX;
}

static struct peer *
peer_new(bool is_origin, int *out_fd)
{
    struct peer *peer = &net.peers[net.peers_n];

    if (net.peers_n == PEERS_MAX)
        return NULL;
    *peer = (struct peer){.is_origin = is_origin, .room = UINT64_MAX};
    *out_fd = FD_BASE + (int)net.peers_n++;
    return peer;
}

struct peer *
net_client(int *out_fd)
{
    return peer_new(false, out_fd);
}

void
net_next_connect(enum peer_connect how)
{
    net.next_connect = how;
}

void
net_fail_dns(bool fail)
{
    net.dns_fails = fail;
}

/* --- net/chan.h --- */

void
chan_init(struct chan *chan, struct loop *loop, int fd,
          void (*on_ready)(struct chan *chan, unsigned ready))
{
    struct peer *peer = peer_of(fd);

    ASSERT(peer->chan == NULL && !peer->brink_closed);
    *chan = (struct chan){.tag = CHAN_TAG, .fd = fd, .loop = loop, .on_ready = on_ready};
    peer->chan = chan;
}

enum err
chan_want(struct chan *chan, unsigned wanted)
{
    ASSERT_TAG(chan, CHAN_TAG);
    ASSERT(peer_of(chan->fd)->chan == chan);
    ASSERT((wanted & ~(unsigned)(CHAN_READ | CHAN_WRITE)) == 0);
    chan->wanted = wanted;
    return OK;
}

void
chan_move(struct chan *from, struct chan *to, void (*on_ready)(struct chan *chan, unsigned ready))
{
    struct peer *peer;

    ASSERT_TAG(from, CHAN_TAG);
    peer = peer_of(from->fd);
    ASSERT(peer->chan == from);
    peer->chan = NULL;
    chan_init(to, from->loop, from->fd, on_ready);
    from->fd = -1;
    from->wanted = 0;
}

static void
close_chan(struct chan *chan, bool abort)
{
    struct peer *peer;

    if (chan->fd == -1)
        return;
    ASSERT_TAG(chan, CHAN_TAG);
    peer = peer_of(chan->fd);
    ASSERT(peer->chan == chan);
    peer->chan = NULL;
    peer->brink_closed = true;
    peer->brink_aborted = abort;
    chan->wanted = 0;
    chan->fd = -1;
}

void
chan_close(struct chan *chan)
{
    close_chan(chan, false);
}

void
chan_abort(struct chan *chan)
{
    close_chan(chan, true);
}

enum err
chan_read(struct chan *chan, void *buf, size_t cap, size_t *out_n)
{
    struct peer *peer = peer_of(chan->fd);
    size_t n = peer->in.len - peer->in_at;

    ASSERT_TAG(chan, CHAN_TAG);
    ASSERT(cap > 0 && peer->connect == CONNECT_DONE);
    if (peer->reset)
        return ERR_SYSTEM;
    if (n == 0)
        return peer->fin ? ERR_CLOSED : ERR_AGAIN;
    n = n < cap ? n : cap;
    n = peer->read_max != 0 && n > peer->read_max ? peer->read_max : n;
    memcpy(buf, peer->in.ptr + peer->in_at, n);
    peer->in_at += n;
    net.moved_len += n;
    *out_n = n;
    return OK;
}

enum err
chan_writev(struct chan *chan, const struct iovec *iov, size_t iov_n, size_t *out_n)
{
    struct peer *peer = peer_of(chan->fd);
    size_t sum = 0;

    ASSERT_TAG(chan, CHAN_TAG);
    ASSERT(peer->connect == CONNECT_DONE && !peer->brink_shut);
    if (peer->reset)
        return ERR_SYSTEM;
    for (size_t i = 0; i < iov_n; i++) {
        size_t n = iov[i].iov_len < peer->room ? iov[i].iov_len : (size_t)peer->room;

        bytes_add(&peer->out, iov[i].iov_base, n);
        peer->room -= peer->room == UINT64_MAX ? 0 : n;
        sum += n;
    }
    if (sum == 0)
        return ERR_AGAIN;
    net.moved_len += sum;
    *out_n = sum;
    return OK;
}

/* What was written is with the peer: nothing is between. */
uint64_t
chan_taken(const struct chan *chan)
{
    return peer_of(chan->fd)->out.len;
}

void
chan_shutdown(struct chan *chan)
{
    ASSERT_TAG(chan, CHAN_TAG);
    peer_of(chan->fd)->brink_shut = true;
}

/* --- what brink asks of a descriptor itself --- */

enum err __wrap_sock_connect(const struct sock_addr *addr, int *out_fd);
int __wrap_sock_error(int fd);
int __wrap_close(int fd);
int __real_close(int fd);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_recv(int fd, void *buf, size_t len, int flags);

enum err
__wrap_sock_connect(const struct sock_addr *addr, int *out_fd)
{
    struct peer *peer;

    ASSERT(addr->len > 0);
    peer = peer_new(true, out_fd);
    if (peer == NULL) {
        errno = EMFILE;
        return ERR_SYSTEM;
    }
    peer->connect = net.next_connect;
    net.next_connect = CONNECT_DONE;
    return OK;
}

int
__wrap_sock_error(int fd)
{
    struct peer *peer = peer_of(fd);

    return peer->connect == CONNECT_REFUSED ? ECONNREFUSED : peer->reset ? ECONNRESET : 0;
}

int
__wrap_close(int fd)
{
    if (!is_fake(fd))
        return __real_close(fd);
    ASSERT(peer_of(fd)->chan == NULL && !peer_of(fd)->brink_closed);
    peer_of(fd)->brink_closed = true;
    return 0;
}

ssize_t
__wrap_recv(int fd, void *buf, size_t len, int flags)
{
    struct peer *peer;

    if (!is_fake(fd))
        return __real_recv(fd, buf, len, flags);
    peer = peer_of(fd);
    ASSERT((flags & MSG_PEEK) != 0 && len > 0);
    if (peer->reset || (peer->in.len == peer->in_at && !peer->fin)) {
        errno = peer->reset ? ECONNRESET : EAGAIN;
        return -1;
    }
    return peer->in.len > peer->in_at ? 1 : 0;
}

/* --- net/dns.h: every name has one address, told in the next turn --- */

static void
on_answer(struct loop_msg *msg)
{
    struct dns_query *query = CONTAINER_OF(msg, struct dns_query, msg);
    struct dns_answer answer = {.n = 1};
    dns_fn *fn = query->fn;
    void *arg = query->arg;
    enum err rc = net.dns_fails ? ERR_DNS : OK;

    if (rc == OK && sock_addr_from_ip(SLICE("192.0.2.80"), query->port, &answer.addrs[0]) != OK)
        UNREACHABLE();
    free(query);
    if (fn != NULL)
        fn(arg, rc, rc == OK ? &answer : NULL);
}

void
dns_resolve(struct dns *dns, const char *host, uint16_t port, dns_fn *fn, void *arg,
            struct dns_query **out_query)
{
    struct dns_query *query = fuzz_alloc(sizeof(*query));

    *query = (struct dns_query){.msg.fn = on_answer, .fn = fn, .arg = arg, .port = port};
    *out_query = query;
    loop_post(&net.loop, &query->msg);
}

void
dns_cancel(struct dns_query **slot)
{
    if (*slot != NULL)
        (*slot)->fn = NULL;
    *slot = NULL;
}

/* --- net/loop.h --- */

enum err
loop_new(struct loop **out)
{
    *out = &net.loop;
    return OK;
}

void
loop_free(struct loop **slot)
{
    while (net.reaps != NULL || net.msgs != NULL)
        (void)net_turn();
    *slot = NULL;
}

struct loop *
loop_current(void)
{
    return &net.loop;
}

struct event_base *
loop_base(struct loop *loop) /* of listeners, which no conversation has */
{
    return NULL;
}

void
loop_post(struct loop *loop, struct loop_msg *msg)
{
    ASSERT(loop == &net.loop);
    msg->next = NULL;
    *net.msgs_end = msg;
    net.msgs_end = &msg->next;
}

void
loop_reap(struct loop *loop, struct loop_reap *reap)
{
    struct loop_reap **end = &net.reaps;

    ASSERT(loop == &net.loop);
    while (*end != NULL) {
        ASSERT(*end != reap); /* given twice */
        end = &(*end)->next;
    }
    reap->next = NULL;
    *end = reap;
}

void
loop_timer_init(struct loop_timer *timer, void (*fn)(struct loop_timer *timer))
{
    *timer = (struct loop_timer){.fn = fn};
    list_init(&timer->link);
}

void
loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t in_ms)
{
    ASSERT(loop == &net.loop && timer->fn != NULL);
    timer->deadline_ms = net.now_ms + in_ms;
    list_remove(&timer->link);
    list_push(&net.timers, &timer->link);
}

void
loop_timer_clear(struct loop_timer *timer)
{
    list_remove(&timer->link);
    timer->deadline_ms = 0;
}

uint64_t
loop_now_ms(void)
{
    return net.now_ms;
}

uint64_t
loop_now_us(void)
{
    return net.now_ms * 1000;
}

int64_t
loop_wall_s(void)
{
    return start_wall_s + (int64_t)((net.now_ms - start_ms) / 1000);
}

int64_t
loop_wall_us(void)
{
    return start_wall_s * 1000000 + (int64_t)(net.now_ms - start_ms) * 1000;
}

/* --- a turn --- */

static bool
is_readable(const struct peer *peer)
{
    return peer->connect == CONNECT_DONE &&
           (peer->in.len > peer->in_at || peer->fin || peer->reset);
}

static bool
is_writable(const struct peer *peer)
{
    return peer->connect == CONNECT_REFUSED ||
           (peer->connect == CONNECT_DONE && (peer->room > 0 || peer->reset));
}

static unsigned
tell_ready(struct peer *peer, unsigned what, bool is_so)
{
    if (peer->chan == NULL || (peer->chan->wanted & what) == 0 || !is_so)
        return 0;
    peer->chan->on_ready(peer->chan, what);
    return 1;
}

static struct loop_timer *
next_timer(void)
{
    struct loop_timer *next = NULL;

    LIST_FOREACH (&net.timers, link) {
        struct loop_timer *timer = CONTAINER_OF(link, struct loop_timer, link);

        if (next == NULL || timer->deadline_ms < next->deadline_ms)
            next = timer;
    }
    return next;
}

static unsigned
run_timers(void)
{
    struct loop_timer *timer;
    unsigned n = 0;

    while ((timer = next_timer()) != NULL && timer->deadline_ms <= net.now_ms && n < PEERS_MAX) {
        loop_timer_clear(timer);
        timer->fn(timer);
        n++;
    }
    return n;
}

static unsigned
run_msgs(void)
{
    struct loop_msg *msg = net.msgs;
    unsigned n = 0;

    net.msgs = NULL;
    net.msgs_end = &net.msgs;
    for (; msg != NULL; n++) {
        struct loop_msg *next = msg->next;

        msg->fn(msg);
        msg = next;
    }
    return n;
}

unsigned
net_turn(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < net.peers_n; i++) {
        struct peer *peer = &net.peers[i];

        n += tell_ready(peer, CHAN_READ, is_readable(peer));
        n += tell_ready(peer, CHAN_WRITE, is_writable(peer));
    }
    n += run_timers();
    n += run_msgs();
    while (net.reaps != NULL) {
        struct loop_reap *reap = net.reaps;

        net.reaps = reap->next;
        reap->fn(reap);
        n++;
    }
    return n;
}

uint64_t
net_advance(uint64_t ms_max)
{
    struct loop_timer *timer = next_timer();
    uint64_t by = ms_max;

    if (timer != NULL && timer->deadline_ms < net.now_ms + ms_max)
        by = timer->deadline_ms > net.now_ms ? timer->deadline_ms - net.now_ms : 0;
    net.now_ms += by;
    return by;
}
