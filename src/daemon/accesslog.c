/* Rings from the workers to one writing thread. Each ring has one producer, its worker, and one
 * consumer. `head` counts the bytes ever written, `tail` those ever read; only the producer moves
 * the one and only the consumer the other, so no lock is needed.
 *
 * Who sleeps is woken once: the writer says so before it looks at the rings a last time, and the
 * worker that finds it asleep, after its record is in, takes the word back and writes the event. */
#include "daemon/accesslog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/stats.h"
#include "net/loop.h"

enum {
    TEXT_MAX = 4096,       /* of one text in a record; what is longer is cut */
    RECORD_MAX = 12 << 10, /* a whole record */
    OUT_MAX = 256 << 10,   /* lines gathered for one write */
    GATHER_MS = 10,        /* after waking, so that a write is worth its call */
};

/* As it lies in the ring: this, the peer, then the texts. */
struct record {
    uint32_t len; /* of all of it */
    uint32_t peer_len;
    uint16_t method_len, target_len, host_len, referer_len, user_agent_len;
    uint64_t ended_us;        /* monotonic, for the order of lines */
    struct exchange exchange; /* its pointers mean nothing here */
};
static_assert(sizeof(struct record) + sizeof(struct sockaddr_storage) + (size_t)2 * TEXT_MAX +
                      (size_t)3 * 512 <
                  RECORD_MAX,
              "a record fits");

struct ring {
    char *buf;
    size_t cap; /* a power of two */
    /* the consumer's own */
    uint64_t limit;   /* how far it drains now */
    uint64_t next_us; /* when its next exchange ended; UINT64_MAX: it is empty */
    uint32_t next_len;
    _Atomic uint64_t head __attribute__((aligned(64)));
    _Atomic uint64_t tail __attribute__((aligned(64)));
};

struct accesslog {
    const char *path; /* NULL: standard output */
    enum config_access_format format;
    struct ring *rings;
    unsigned rings_n;
    int fd, event_fd;
    pthread_t thread;
    bool started;
    atomic_bool asleep, reopen, stopping;
    /* the thread's own */
    char record[RECORD_MAX];
    char out[OUT_MAX];
    size_t out_len;
    unsigned out_lines;
};

/* --- the workers' side --- */

static void
ring_write(struct ring *ring, uint64_t at, const void *data, size_t len)
{
    size_t from = (size_t)(at & (ring->cap - 1));
    size_t first = ring->cap - from < len ? ring->cap - from : len;

    if (len == 0)
        return;
    memcpy(ring->buf + from, data, first);
    memcpy(ring->buf, (const char *)data + first, len - first);
}

static uint64_t
ring_append(struct ring *ring, uint64_t at, const void *data, size_t len)
{
    ring_write(ring, at, data, len);
    return at + len;
}

static uint16_t
cut(size_t len, size_t max)
{
    return (uint16_t)(len < max ? len : max);
}

static void
wake(struct accesslog *log)
{
    const uint64_t one = 1;

    if (write(log->event_fd, &one, sizeof(one)) == -1)
        return; /* it is full of wakings already */
}

static void
on_exchange(void *arg, unsigned worker, const struct exchange *exchange)
{
    struct accesslog *log = arg;
    struct ring *ring = &log->rings[worker];
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed), at = head;
    struct record record = {
        .peer_len = exchange->peer->len,
        .method_len = cut(exchange->method.len, 64),
        .target_len = cut(exchange->target.len, TEXT_MAX),
        .host_len = cut(exchange->host.len, 512),
        .referer_len = cut(exchange->referer.len, TEXT_MAX),
        .user_agent_len = cut(exchange->user_agent.len, 512),
        .ended_us = loop_now_us(),
        .exchange = *exchange,
    };

    record.len = (uint32_t)sizeof(record) + record.peer_len + record.method_len +
                 record.target_len + record.host_len + record.referer_len + record.user_agent_len;
    if (ring->cap - (head - atomic_load_explicit(&ring->tail, memory_order_acquire)) < record.len) {
        STAT_INC(access_log_dropped);
        return;
    }
    at = ring_append(ring, at, &record, sizeof(record));
    at = ring_append(ring, at, &exchange->peer->storage, record.peer_len);
    at = ring_append(ring, at, exchange->method.ptr, record.method_len);
    at = ring_append(ring, at, exchange->target.ptr, record.target_len);
    at = ring_append(ring, at, exchange->host.ptr, record.host_len);
    at = ring_append(ring, at, exchange->referer.ptr, record.referer_len);
    at = ring_append(ring, at, exchange->user_agent.ptr, record.user_agent_len);
    atomic_store(&ring->head, at); /* before `asleep` is read: sequentially consistent, both */
    if (atomic_load(&log->asleep) && atomic_exchange(&log->asleep, false))
        wake(log);
}

struct exchange_sink
accesslog_sink(struct accesslog *log)
{
    return (struct exchange_sink){on_exchange, log};
}

/* --- the writing thread --- */

static void
write_out(struct accesslog *log)
{
    size_t done = 0;

    while (done < log->out_len) {
        ssize_t n = write(log->fd, log->out + done, log->out_len - done);

        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = log->fd, .events = POLLOUT};

            (void)poll(&room, 1, 1000);
            if (atomic_load(&log->stopping))
                break; /* whoever reads standard output must not hold up the end */
        } else if (errno != EINTR) {
            break;
        }
    }
    if (done < log->out_len) {
        STAT_ADD(access_log_dropped, log->out_lines);
        LOG(WARN, access_log, "path=\"%s\" lines=%u why=\"%s\"",
            log->path == NULL ? "-" : log->path, log->out_lines, strerror(errno));
    }
    log->out_len = 0;
    log->out_lines = 0;
}

static void
ring_read(const struct ring *ring, uint64_t at, void *out, size_t len)
{
    size_t from = (size_t)(at & (ring->cap - 1));
    size_t first = ring->cap - from < len ? ring->cap - from : len;

    memcpy(out, ring->buf + from, first);
    memcpy((char *)out + first, ring->buf, len - first);
}

static struct slice
take_text(const char **at, size_t len)
{
    struct slice text = slice_of(*at, len);

    *at += len;
    return text;
}

/* The record in log->record as a line in log->out. */
static void
write_record(struct accesslog *log)
{
    struct record record;
    struct sock_addr peer;
    const char *at = log->record + sizeof(record);

    memcpy(&record, log->record, sizeof(record));
    memset(&peer, 0, sizeof(peer));
    peer.len = record.peer_len;
    memcpy(&peer.storage, at, record.peer_len);
    at += record.peer_len;
    record.exchange.peer = &peer;
    record.exchange.method = take_text(&at, record.method_len);
    record.exchange.target = take_text(&at, record.target_len);
    record.exchange.host = take_text(&at, record.host_len);
    record.exchange.referer = take_text(&at, record.referer_len);
    record.exchange.user_agent = take_text(&at, record.user_agent_len);
    if (OUT_MAX - log->out_len < ACCESSLOG_LINE_MAX)
        write_out(log);
    log->out_len += accesslog_format(log->format, &record.exchange, log->out + log->out_len);
    log->out_lines++;
}

/* What stands at the ring's tail. */
static void
peek(struct ring *ring)
{
    struct record record;

    ring->next_us = UINT64_MAX;
    if (atomic_load_explicit(&ring->tail, memory_order_relaxed) == ring->limit)
        return;
    ring_read(ring, atomic_load_explicit(&ring->tail, memory_order_relaxed), &record,
              sizeof(record));
    ring->next_us = record.ended_us;
    ring->next_len = record.len;
}

static void
take_record(struct accesslog *log, struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    ASSERT(ring->next_len >= sizeof(struct record) && ring->next_len <= RECORD_MAX);
    ring_read(ring, tail, log->record, ring->next_len);
    atomic_store_explicit(&ring->tail, tail + ring->next_len, memory_order_release);
    write_record(log);
    peek(ring);
}

static struct ring *
oldest_ring(struct accesslog *log)
{
    struct ring *oldest = NULL;

    for (unsigned i = 0; i < log->rings_n; i++) {
        struct ring *ring = &log->rings[i];

        if (ring->next_us != UINT64_MAX && (oldest == NULL || ring->next_us < oldest->next_us))
            oldest = ring;
    }
    return oldest;
}

/* What the rings hold at this moment, in the order in which the exchanges ended. */
static bool
drain(struct accesslog *log)
{
    struct ring *ring;
    bool any = false;

    for (unsigned i = 0; i < log->rings_n; i++) {
        log->rings[i].limit = atomic_load(&log->rings[i].head);
        peek(&log->rings[i]);
    }
    while ((ring = oldest_ring(log)) != NULL) {
        take_record(log, ring);
        any = true;
    }
    write_out(log);
    return any;
}

static bool
is_empty(const struct accesslog *log)
{
    for (unsigned i = 0; i < log->rings_n; i++)
        if (atomic_load(&log->rings[i].head) != atomic_load(&log->rings[i].tail))
            return false;
    return true;
}

static void
wait_for_work(struct accesslog *log)
{
    struct pollfd event = {.fd = log->event_fd, .events = POLLIN};
    struct timespec gather = {.tv_nsec = GATHER_MS * 1000000L};
    uint64_t count;

    atomic_store(&log->asleep, true);
    if (!is_empty(log) || atomic_load(&log->stopping) || atomic_load(&log->reopen)) {
        atomic_store(&log->asleep, false);
        return;
    }
    (void)poll(&event, 1, -1);
    atomic_store(&log->asleep, false);
    if (read(log->event_fd, &count, sizeof(count)) == -1)
        return; /* it was not an event that woke us */
    if (!atomic_load(&log->stopping))
        (void)nanosleep(&gather, NULL);
}

static enum err
open_file(const char *path, int *out_fd)
{
    int fd = path == NULL ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                          : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    if (fd == -1)
        return ERR_SYSTEM;
    *out_fd = fd;
    return OK;
}

static void
reopen(struct accesslog *log)
{
    int fd;

    if (open_file(log->path, &fd) != OK) {
        LOG(ERROR, access_log, "path=\"%s\" why=\"%s; the old file is written on\"", log->path,
            strerror(errno));
        return;
    }
    (void)close(log->fd);
    log->fd = fd;
    LOG(INFO, access_log, "path=\"%s\" what=reopened", log->path);
}

static void *
run(void *arg)
{
    struct accesslog *log = arg;
    bool any, stopping;

    (void)pthread_setname_np(pthread_self(), "accesslog");
    log_set_thread("accesslog");
    (void)(stats_attach() == OK); /* else it counts into the shared cells */
    do {
        stopping = atomic_load(&log->stopping); /* before the last drain, or lines would be left */
        any = drain(log);
        if (log->path != NULL && atomic_exchange(&log->reopen, false))
            reopen(log);
        if (!any && !stopping)
            wait_for_work(log);
    } while (any || !stopping);
    return NULL;
}

/* --- life --- */

static enum err
make_rings(struct accesslog *log, size_t least)
{
    size_t cap = 1;

    while (cap < least)
        cap *= 2;
    for (unsigned i = 0; i < log->rings_n; i++) {
        log->rings[i].cap = cap;
        log->rings[i].buf = mem_alloc(cap);
        if (log->rings[i].buf == NULL)
            return ERR_NOMEM;
    }
    return OK;
}

static enum err
accesslog_init(struct accesslog *log, const struct config_log *config, char *why, size_t why_cap)
{
    enum err rc = open_file(log->path, &log->fd);

    if (rc != OK) {
        (void)snprintf(why, why_cap, "the access log %s cannot be opened: %s; %s", config->access,
                       strerror(errno),
                       errno == EACCES ? "let this user write there (chown), or choose another path"
                                       : "choose another path");
        return rc;
    }
    rc = make_rings(log, config->access_buffer);
    if (rc != OK)
        return rc;
    log->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (log->event_fd == -1 || pthread_create(&log->thread, NULL, run, log) != 0) {
        (void)snprintf(why, why_cap,
                       "the access log's thread cannot be started: %s; raise the limits",
                       strerror(errno));
        return ERR_SYSTEM;
    }
    log->started = true;
    return OK;
}

enum err
accesslog_start(const struct config_log *config, unsigned workers, char *why, size_t why_cap,
                struct accesslog **out)
{
    struct accesslog *log = mem_zalloc(sizeof(*log));
    struct ring *rings = NULL;
    enum err rc = ERR_NOMEM;

    (void)snprintf(why, why_cap, "the access log cannot be made; give the process more memory");
    if (log == NULL)
        return ERR_NOMEM;
    log->fd = log->event_fd = -1;
    log->path = strcmp(config->access, "-") == 0 ? NULL : config->access;
    log->format = (enum config_access_format)config->access_format;
    if (posix_memalign((void **)&rings, 64, workers * sizeof(*rings)) == 0) {
        memset(rings, 0, workers * sizeof(*rings));
        log->rings = rings;
        log->rings_n = workers;
        rc = accesslog_init(log, config, why, why_cap);
    }
    if (rc == OK)
        *out = log;
    else
        accesslog_stop(&log);
    return rc;
}

void
accesslog_reopen(struct accesslog *log)
{
    atomic_store(&log->reopen, true);
    wake(log);
}

void
accesslog_stop(struct accesslog **slot)
{
    struct accesslog *log = *slot;

    if (log == NULL)
        return;
    if (log->started) {
        atomic_store(&log->stopping, true);
        wake(log);
        (void)pthread_join(log->thread, NULL);
    }
    for (unsigned i = 0; i < log->rings_n; i++)
        mem_free(log->rings[i].buf);
    free(log->rings);
    if (log->event_fd != -1)
        (void)close(log->event_fd);
    if (log->fd != -1)
        (void)close(log->fd);
    mem_free(log);
    *slot = NULL;
}
