/* c-ares on the loop, and the names it was asked for. One entry a name: its last answer, whether it
 * is being asked, and the queries that wait for it. c-ares' sockets are events of the loop; its
 * retries run on one timer, the limit of a look-up in all on a timer of the entry's own. */
#include "net/dns.h"

#include <ares.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <pthread.h>

#include "base/log.h"
#include "base/stats.h"
#include "net/loop.h"
#include "net/turn.h"

enum {
    DNS_TAG = 0x646e7321,
    BUCKETS = 64,
    TRIES = 3,
    TRIES_SUM = 7, /* c-ares doubles its timeout with each of three tries: 1 + 2 + 4 */
    TTL_MAX_S = 300,
    FAILURE_MS = 1000,
    UNUSED_MS = 600 * 1000,         /* entries nobody asked for so long are dropped */
    STALE_MAX_MS = 24 * 3600 * 1000 /* RFC 8767 section 5: one to three days */
};

struct dns {
    uint32_t tag;
    unsigned timeout_ms, ttl_max_s;
    bool freeing;
    struct loop *loop;
    ares_channel channel;
    struct loop_timer timer; /* of c-ares' retries */
    struct list sockets;
    struct list buckets[BUCKETS];
};

struct dns_socket {
    struct list link;
    struct dns *dns;
    int fd;
    short wanted; /* EV_READ, EV_WRITE */
    struct event event;
    struct loop_reap reap;
};

struct entry {
    struct list link;
    struct list queries;
    struct dns *dns;
    struct loop_timer timer; /* set while it is asked: the limit in all */
    bool asking;             /* c-ares will call back */
    enum err rc;
    uint64_t expires_ms; /* of rc and answer; 0: never answered */
    uint64_t fresh_ms;   /* when the answer was given by a server */
    uint64_t used_ms;
    struct dns_answer answer; /* without ports */
    char name[];
};

struct dns_query {
    struct list link;
    uint16_t port;
    dns_fn *fn;
    void *arg;
};

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

/* --- sockets and time --- */

static void
set_timer(struct dns *dns)
{
    struct timeval room, *next = ares_timeout(dns->channel, NULL, &room);

    if (next == NULL)
        loop_timer_clear(&dns->timer);
    else
        loop_timer_set(dns->loop, &dns->timer,
                       (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000);
}

static void
on_timer(struct loop_timer *timer)
{
    struct dns *dns = CONTAINER_OF(timer, struct dns, timer);

    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(dns);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct dns_socket *sock = arg;
    struct dns *dns = sock->dns; /* sock may be let go below */

    turn_mark(TURN_DNS);
    ares_process_fd(dns->channel, (what & EV_READ) != 0 ? fd : ARES_SOCKET_BAD,
                    (what & EV_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
    set_timer(dns);
}

static struct dns_socket *
find_socket(struct dns *dns, int fd)
{
    LIST_FOREACH (&dns->sockets, link) {
        struct dns_socket *sock = CONTAINER_OF(link, struct dns_socket, link);

        if (sock->fd == fd)
            return sock;
    }
    return NULL;
}

static void
free_socket(struct loop_reap *reap)
{
    mem_free(CONTAINER_OF(reap, struct dns_socket, reap));
}

static struct dns_socket *
add_socket(struct dns *dns, int fd)
{
    struct dns_socket *sock = mem_zalloc(sizeof(*sock));

    if (sock == NULL)
        return NULL;
    sock->dns = dns;
    sock->fd = fd;
    sock->reap.fn = free_socket;
    list_push(&dns->sockets, &sock->link);
    return sock;
}

static void
drop_socket(struct dns_socket *sock)
{
    if (sock->wanted != 0)
        (void)event_del(&sock->event);
    list_remove(&sock->link);
    loop_reap(sock->dns->loop, &sock->reap);
}

/* Without memory the socket is not watched, and the query fails by its timeout. */
static void
on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns *dns = data;
    struct dns_socket *sock = find_socket(dns, fd);
    short wanted = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));

    if (wanted == 0) {
        if (sock != NULL)
            drop_socket(sock);
        return;
    }
    if (sock == NULL)
        sock = add_socket(dns, fd);
    if (sock == NULL || sock->wanted == wanted)
        return;
    if (sock->wanted != 0)
        (void)event_del(&sock->event);
    (void)event_assign(&sock->event, loop_base(dns->loop), fd, (short)(wanted | EV_PERSIST),
                       on_socket, sock);
    sock->wanted = event_add(&sock->event, NULL) == 0 ? wanted : 0;
}

/* --- entries --- */

static struct list *
bucket_of(struct dns *dns, const char *name)
{
    uint32_t hash = 2166136261U;

    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)char_lower(*name)) * 16777619U;
    return &dns->buckets[hash % BUCKETS];
}

static void
free_entry(struct entry *entry)
{
    loop_timer_clear(&entry->timer);
    list_remove(&entry->link);
    mem_free(entry);
}

/* The entry of a name; others of its bucket that nobody asked for lately go. */
static struct entry *
find_entry(struct list *bucket, struct slice name, uint64_t now_ms)
{
    struct entry *found = NULL;

    LIST_FOREACH (bucket, link) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);

        if (slice_is_nocase(name, entry->name))
            found = entry;
        else if (!entry->asking && list_empty(&entry->queries) &&
                 entry->used_ms + UNUSED_MS < now_ms)
            free_entry(entry);
    }
    return found;
}

static void on_limit(struct loop_timer *timer);

static struct entry *
add_entry(struct dns *dns, struct list *bucket, struct slice name)
{
    struct entry *entry = mem_zalloc(sizeof(*entry) + name.len + 1);

    if (entry == NULL)
        return NULL;
    entry->dns = dns;
    list_init(&entry->queries);
    list_push(bucket, &entry->link);
    loop_timer_init(&entry->timer, on_limit);
    memcpy(entry->name, name.ptr, name.len);
    return entry;
}

static void
set_port(struct sock_addr *addr, uint16_t port)
{
    if (addr->storage.ss_family == AF_INET)
        ((struct sockaddr_in *)&addr->storage)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&addr->storage)->sin6_port = htons(port);
}

static void
tell(const struct entry *entry, uint16_t port, dns_fn *fn, void *arg)
{
    struct dns_answer answer;

    if (entry->rc != OK) {
        fn(arg, entry->rc, NULL);
        return;
    }
    answer = entry->answer;
    for (unsigned i = 0; i < answer.n; i++)
        set_port(&answer.addrs[i], port);
    fn(arg, OK, &answer);
}

/* A callback may ask for this name again (the answer is there, so it is told at once) or cancel any
 * of the other queries. */
static void
tell_all(struct entry *entry)
{
    struct dns_query *query;

    while ((query = LIST_FIRST(&entry->queries, struct dns_query, link)) != NULL) {
        struct dns_query told = *query;

        list_remove(&query->link);
        mem_free(query);
        tell(entry, told.port, told.fn, told.arg);
    }
}

/* Servers that are silent or broken do not unmake what they said before (RFC 8767); a name that
 * exists no more does. */
static void
keep_failure(struct entry *entry, bool denied, const char *why)
{
    uint64_t now_ms = loop_now_ms();
    bool stale = !denied && entry->answer.n > 0 && entry->fresh_ms + STALE_MAX_MS > now_ms;

    LOG(WARN, origin_failed, "host=\"%s\" reason=\"dns: %s\"%s", entry->name, why,
        stale ? " used=old-answer" : "");
    if (denied)
        entry->answer.n = 0;
    entry->rc = stale ? OK : ERR_DNS;
    entry->expires_ms = now_ms + FAILURE_MS;
}

static void
keep_answer(struct entry *entry, const struct ares_addrinfo *info)
{
    unsigned ttl_s = entry->dns->ttl_max_s;

    entry->answer.n = 0;
    for (const struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
        struct sock_addr *addr = &entry->answer.addrs[entry->answer.n];

        if (node->ai_family != AF_INET && node->ai_family != AF_INET6)
            continue;
        if (entry->answer.n == DNS_ADDRS_MAX)
            break;
        memset(addr, 0, sizeof(*addr));
        memcpy(&addr->storage, node->ai_addr, node->ai_addrlen);
        addr->len = (socklen_t)node->ai_addrlen;
        entry->answer.n++;
        if (node->ai_ttl >= 0 && (unsigned)node->ai_ttl < ttl_s)
            ttl_s = (unsigned)node->ai_ttl;
    }
    entry->rc = OK;
    entry->fresh_ms = loop_now_ms();
    entry->expires_ms = entry->fresh_ms + (ttl_s > 1 ? ttl_s : 1) * (uint64_t)1000;
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct entry *entry = arg;
    bool found = status == ARES_SUCCESS && info != NULL && info->nodes != NULL;

    entry->asking = false;
    loop_timer_clear(&entry->timer);
    if (entry->dns->freeing)
        return;
    if (found)
        keep_answer(entry, info);
    else
        keep_failure(entry, status == ARES_ENOTFOUND || status == ARES_ENODATA,
                     status == ARES_SUCCESS ? "no address" : ares_strerror(status));
    if (info != NULL)
        ares_freeaddrinfo(info);
    tell_all(entry);
}

/* The look-up took too long for those who wait; c-ares goes on, and a late answer is kept. */
static void
on_limit(struct loop_timer *timer)
{
    struct entry *entry = CONTAINER_OF(timer, struct entry, timer);

    keep_failure(entry, false, "no answer in time");
    tell_all(entry);
}

static void
ask(struct entry *entry)
{
    static const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
                                                     .ai_socktype = SOCK_STREAM};
    struct dns *dns = entry->dns;

    STAT_INC(dns_queries);
    entry->asking = true;
    loop_timer_set(dns->loop, &entry->timer, dns->timeout_ms);
    ares_getaddrinfo(dns->channel, entry->name, NULL, &hints, on_answer, entry);
    set_timer(dns);
}

/* --- interface --- */

static bool
resolve_literal(const char *host, uint16_t port, dns_fn *fn, void *arg)
{
    struct dns_answer answer = {.n = 1};

    if (sock_addr_from_ip(slice_from_str(host), port, &answer.addrs[0]) != OK)
        return false;
    fn(arg, OK, &answer);
    return true;
}

void
dns_resolve(struct dns *dns, const char *host, uint16_t port, dns_fn *fn, void *arg,
            struct dns_query **out_query)
{
    struct list *bucket = bucket_of(dns, host);
    uint64_t now_ms = loop_now_ms();
    struct entry *entry;
    struct dns_query *query;

    ASSERT_TAG(dns, DNS_TAG);
    *out_query = NULL;
    if (resolve_literal(host, port, fn, arg))
        return;
    entry = find_entry(bucket, slice_from_str(host), now_ms);
    if (entry == NULL)
        entry = add_entry(dns, bucket, slice_from_str(host));
    query = entry == NULL ? NULL : mem_zalloc(sizeof(*query));
    if (query == NULL) {
        fn(arg, ERR_NOMEM, NULL);
        return;
    }
    entry->used_ms = now_ms;
    if (!entry->asking && entry->expires_ms <= now_ms)
        ask(entry); /* may answer at once, from /etc/hosts */
    if (entry->expires_ms > now_ms) {
        mem_free(query);
        tell(entry, port, fn, arg);
        return;
    }
    if (entry->timer.deadline_ms == 0) /* its first limit passed, and c-ares still tries */
        loop_timer_set(dns->loop, &entry->timer, dns->timeout_ms);
    *query = (struct dns_query){.port = port, .fn = fn, .arg = arg};
    list_push(&entry->queries, &query->link);
    *out_query = query;
}

void
dns_cancel(struct dns_query **slot)
{
    struct dns_query *query = *slot;

    if (query == NULL)
        return;
    *slot = NULL;
    list_remove(&query->link);
    mem_free(query);
}

enum err
dns_set_servers(struct dns *dns, const char *servers)
{
    ASSERT_TAG(dns, DNS_TAG);
    return ares_set_servers_ports_csv(dns->channel, servers) == ARES_SUCCESS ? OK : ERR_SYNTAX;
}

void
dns_set_ttl_max_s(struct dns *dns, unsigned ttl_max_s)
{
    ASSERT_TAG(dns, DNS_TAG);
    dns->ttl_max_s = ttl_max_s;
}

/* Not safe in several threads at once; it only sets the allocator, so nothing is cleaned up. */
static void
init_library(void)
{
    ASSERT(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
}

static enum err
open_channel(struct dns *dns)
{
    struct ares_options options = {.timeout = (int)(dns->timeout_ms / TRIES_SUM),
                                   .tries = TRIES,
                                   .sock_state_cb = on_socket_state,
                                   .sock_state_cb_data = dns};
    int status;

    if (options.timeout < 100)
        options.timeout = 100;
    (void)pthread_once(&library_once, init_library);
    status = ares_init_options(&dns->channel, &options,
                               ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status == ARES_SUCCESS)
        return OK;
    return status == ARES_ENOMEM ? ERR_NOMEM : ERR_SYSTEM;
}

enum err
dns_new(struct loop *loop, unsigned timeout_ms, struct dns **out)
{
    struct dns *dns = mem_zalloc(sizeof(*dns));
    enum err rc;

    if (dns == NULL)
        return ERR_NOMEM;
    dns->tag = DNS_TAG;
    dns->loop = loop;
    dns->timeout_ms = timeout_ms;
    dns->ttl_max_s = TTL_MAX_S;
    list_init(&dns->sockets);
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&dns->buckets[i]);
    loop_timer_init(&dns->timer, on_timer);
    rc = open_channel(dns);
    if (rc != OK)
        mem_free(dns);
    else
        *out = dns;
    return rc;
}

static void
free_bucket(struct list *bucket)
{
    LIST_FOREACH (bucket, link) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);

        LIST_FOREACH (&entry->queries, query_link) {
            list_remove(query_link);
            mem_free(CONTAINER_OF(query_link, struct dns_query, link));
        }
        free_entry(entry);
    }
}

void
dns_free(struct dns **slot)
{
    struct dns *dns = *slot;

    if (dns == NULL)
        return;
    ASSERT_TAG(dns, DNS_TAG);
    *slot = NULL;
    dns->freeing = true;
    loop_timer_clear(&dns->timer);
    ares_destroy(dns->channel);
    LIST_FOREACH (&dns->sockets, link) {
        drop_socket(CONTAINER_OF(link, struct dns_socket, link));
    }
    for (size_t i = 0; i < BUCKETS; i++)
        free_bucket(&dns->buckets[i]);
    dns->tag = TAG_FREED;
    mem_free(dns);
}
