/* Fetches against a scripted peer: a thread with real sockets on loopback that follows a list of
 * steps. What the fetch tells its owner is recorded and compared. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/stats.h"
#include "net/chan.h"
#include "proxy/fetch.h"

/* --- the peer --- */

enum act {
    END,
    ACCEPT,         /* the next connection */
    EXPECT,         /* exactly this text comes */
    EXPECT_N,       /* `n` bytes come */
    EXPECT_CHUNKED, /* `n` bytes of the pattern in chunks, and the last chunk */
    SEND,           /* this text */
    SEND_SLOW,      /* this text, byte for byte */
    FILL,           /* `n` bytes of the pattern */
    SLEEP,          /* `n` ms */
    FIN,            /* no more from the peer, which goes on reading */
    CLOSE,
    RESET,     /* unread or unsent: the connection is cut */
    EXPECT_END /* the fetch's side closed or cut */
};

struct step {
    enum act act;
    const char *text;
    size_t n;
};

struct peer {
    pthread_t thread;
    int listening, fd;
    uint16_t port;
    const struct step *steps;
    const char *failed; /* what did not come; NULL: all did */
};

static char
pattern(size_t at)
{
    return (char)('a' + at % 23);
}

static bool
peer_write(struct peer *peer, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(peer->fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool
peer_fill(struct peer *peer, size_t len)
{
    char block[4096];
    size_t at = 0;

    while (at < len) {
        size_t n = len - at < sizeof(block) ? len - at : sizeof(block);

        for (size_t i = 0; i < n; i++)
            block[i] = pattern(at + i);
        if (!peer_write(peer, block, n))
            return false;
        at += n;
    }
    return true;
}

static bool
peer_expect(struct peer *peer, const char *text, size_t len)
{
    char block[4096];

    while (len > 0) {
        ssize_t n = recv(peer->fd, block, len < sizeof(block) ? len : sizeof(block), 0);

        if (n <= 0 || (text != NULL && memcmp(block, text, (size_t)n) != 0))
            return false;
        text = text == NULL ? NULL : text + n;
        len -= (size_t)n;
    }
    return true;
}

static bool
peer_expect_chunked(struct peer *peer, size_t len)
{
    static const struct h1_body_limits limits = {1024, 16384, 8192};
    struct h1_body body;
    size_t at = 0;
    char block[4096];

    h1_body_init(&body, &limits, FRAMING_CHUNKED, 0);
    while (!body.done) {
        ssize_t n = recv(peer->fd, block, sizeof(block), 0);
        struct slice in = slice_of(block, n > 0 ? (size_t)n : 0), data;

        if (n <= 0)
            return false;
        while (in.len > 0 && !body.done) {
            if (h1_body_next(&body, &in, &data) != OK)
                return false;
            for (size_t i = 0; i < data.len; i++)
                if (data.ptr[i] != pattern(at++))
                    return false;
        }
        if (in.len > 0)
            return false;
    }
    return at == len;
}

static void
peer_close(struct peer *peer)
{
    if (peer->fd != -1)
        (void)close(peer->fd);
    peer->fd = -1;
}

static bool
peer_accept(struct peer *peer)
{
    struct timeval patience = {5, 0};

    peer_close(peer);
    peer->fd = accept(peer->listening, NULL, NULL);
    return peer->fd != -1 &&
           setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
           setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0;
}

static bool
peer_send_slow(struct peer *peer, const char *text)
{
    for (; *text != '\0'; text++) {
        if (!peer_write(peer, text, 1))
            return false;
        (void)usleep(300);
    }
    return true;
}

static bool
peer_reset(struct peer *peer)
{
    struct linger at_once = {1, 0};
    bool done = setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0;

    peer_close(peer);
    return done;
}

static bool
peer_expect_end(struct peer *peer)
{
    char byte;
    ssize_t n = recv(peer->fd, &byte, 1, 0);

    return n == 0 || (n == -1 && errno == ECONNRESET);
}

static bool
peer_step(struct peer *peer, const struct step *step)
{
    switch (step->act) {
    case ACCEPT:
        return peer_accept(peer);
    case EXPECT:
        return peer_expect(peer, step->text, strlen(step->text));
    case EXPECT_N:
        return peer_expect(peer, NULL, step->n);
    case EXPECT_CHUNKED:
        return peer_expect_chunked(peer, step->n);
    case SEND:
        return peer_write(peer, step->text, strlen(step->text));
    case SEND_SLOW:
        return peer_send_slow(peer, step->text);
    case FILL:
        return peer_fill(peer, step->n);
    case SLEEP:
        return usleep((useconds_t)step->n * 1000) == 0;
    case FIN:
        return shutdown(peer->fd, SHUT_WR) == 0;
    case CLOSE:
        peer_close(peer);
        return true;
    case RESET:
        return peer_reset(peer);
    case EXPECT_END:
        return peer_expect_end(peer);
    case END:
        break;
    }
    return false;
}

static void *
peer_run(void *arg)
{
    struct peer *peer = arg;
    static const char *const names[] = {
        "end",  "accept", "expect", "expect n", "expect chunked", "send",     "send slow",
        "fill", "sleep",  "fin",    "close",    "reset",          "end of it"};

    for (const struct step *step = peer->steps; step->act != END; step++) {
        if (peer_step(peer, step))
            continue;
        peer->failed = step->text != NULL ? step->text : names[step->act];
        break;
    }
    peer_close(peer);
    return NULL;
}

static void
peer_listen(struct peer *peer)
{
    struct sock_addr addr;
    char text[SOCK_ADDR_TEXT_MAX];
    uint64_t port = 0;
    struct slice rest;

    *peer = (struct peer){.fd = -1};
    assert_int_equal(sock_addr_parse(SLICE("127.0.0.1:0"), &addr), OK);
    peer->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->listening, (struct sockaddr *)&addr.storage, addr.len), 0);
    assert_int_equal(listen(peer->listening, 16), 0);
    assert_int_equal(getsockname(peer->listening, (struct sockaddr *)&addr.storage, &addr.len), 0);
    rest = slice_of(text, sock_addr_format(&addr, true, text));
    assert_true(slice_cut(&rest, ':', &(struct slice){0}) && slice_to_u64(rest, &port));
    peer->port = (uint16_t)port;
}

static void
peer_begin(struct peer *peer, const struct step *steps)
{
    struct timeval patience = {5, 0};

    peer->steps = steps;
    assert_int_equal(
        setsockopt(peer->listening, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

static void
peer_finish(struct peer *peer)
{
    assert_int_equal(pthread_join(peer->thread, NULL), 0);
    if (peer->failed != NULL)
        print_message("the peer waited in vain for: %s\n", peer->failed);
    assert_null(peer->failed);
}

/* --- the owner of a fetch --- */

struct fixture {
    struct loop *loop;
    struct dns *dns;
    struct peer peer;
    struct origin_server_settings servers[3];
    struct origin_settings settings;
    struct origin *origin;
    int64_t stats_before[STAT_COUNT];
};

struct owner {
    struct fixture *fixture;
    struct fetch *fetch;
    unsigned status, heads_n, interims_n, interim_status, ends_n, fails_n, wanted_n;
    uint64_t content_length;
    enum err rc;
    char body[1 << 20];
    size_t body_len, room_len, told_room;
    size_t room_limit; /* of one on_room; 0: all there is */
    unsigned pauses_n; /* how often to have no room, each time for pause_ms */
    unsigned pause_ms;
    bool pause_always; /* no room after each time it was filled */
    bool pause_next, paused;
    enum { CANCEL_NEVER, CANCEL_HEAD, CANCEL_ROOM, CANCEL_FILLED, CANCEL_INTERIM } cancel;
    const char *upload; /* what is left of a request body */
    size_t upload_left, upload_step;
    bool upload_endless;
    enum err upload_rc;
    struct loop_timer timer;
};

static void
stop(struct owner *owner)
{
    loop_stop(owner->fixture->loop);
}

static void
cancel_if(struct owner *owner, int when)
{
    if ((int)owner->cancel != when)
        return;
    fetch_cancel(&owner->fetch);
    assert_null(owner->fetch);
    stop(owner);
}

static void
on_interim(void *arg, const struct http_response *response)
{
    struct owner *owner = arg;

    owner->interims_n++;
    owner->interim_status = response->status;
    cancel_if(owner, CANCEL_INTERIM);
}

static void
on_head(void *arg, const struct http_response *response)
{
    struct owner *owner = arg;

    owner->heads_n++;
    owner->status = response->status;
    owner->content_length = response->content_length;
    cancel_if(owner, CANCEL_HEAD);
}

static void
on_resume_timer(struct loop_timer *timer)
{
    struct owner *owner = CONTAINER_OF(timer, struct owner, timer);

    owner->paused = false;
    fetch_resume(owner->fetch);
}

static size_t
on_room(void *arg, char **out_room)
{
    struct owner *owner = arg;
    size_t left = sizeof(owner->body) - owner->body_len;

    assert_false(owner->paused);
    if (owner->cancel == CANCEL_ROOM) {
        cancel_if(owner, CANCEL_ROOM);
        return 0;
    }
    if (owner->pause_next || owner->pauses_n > 0) {
        owner->pauses_n -= owner->pauses_n > 0;
        owner->pause_next = false;
        owner->paused = true;
        loop_timer_set(owner->fixture->loop, &owner->timer, owner->pause_ms);
        return 0;
    }
    *out_room = owner->body + owner->body_len;
    owner->told_room =
        owner->room_limit != 0 && owner->room_limit < left ? owner->room_limit : left;
    return owner->told_room;
}

static void
on_filled(void *arg, size_t n)
{
    struct owner *owner = arg;

    assert_true(n > 0 && n <= owner->told_room);
    owner->told_room = 0;
    owner->body_len += n;
    owner->pause_next = owner->pause_always;
    cancel_if(owner, CANCEL_FILLED);
}

static void
on_end(void *arg)
{
    struct owner *owner = arg;

    owner->ends_n++;
    owner->fetch = NULL;
    stop(owner);
}

static void
on_fail(void *arg, enum err rc, const char *why)
{
    struct owner *owner = arg;

    assert_non_null(why);
    owner->fails_n++;
    owner->rc = rc;
    owner->fetch = NULL;
    stop(owner);
}

static void
upload(struct owner *owner)
{
    while (owner->upload_left > 0) {
        size_t n =
            owner->upload_step < owner->upload_left ? owner->upload_step : owner->upload_left;
        size_t taken = 0;

        owner->upload_rc = fetch_send_body(owner->fetch, slice_of(owner->upload, n), &taken);
        if (owner->upload_rc != OK)
            return;
        owner->upload += owner->upload_endless ? 0 : taken;
        owner->upload_left -= owner->upload_endless ? 0 : taken;
        if (taken < n)
            return; /* more when it is wanted */
    }
    fetch_end_body(owner->fetch);
}

static void
on_body_wanted(void *arg)
{
    struct owner *owner = arg;

    owner->wanted_n++;
    upload(owner);
}

/* Takes the connection, notes what came early, and ends it. */
static void
on_upgrade(void *arg, const struct http_response *response, struct slice protocol)
{
    struct owner *owner = arg;
    struct slice early;
    struct chan taken;

    assert_true(slice_is(protocol, "websocket"));
    fetch_take_chan(&owner->fetch, &taken, &early);
    assert_null(owner->fetch);
    owner->ends_n++;
    owner->status = response->status;
    memcpy(owner->body, early.ptr, early.len);
    owner->body_len = early.len;
    chan_abort(&taken);
    stop(owner);
}

static const struct fetch_events events = {on_interim, on_head, on_room,        on_filled,
                                           on_end,     on_fail, on_body_wanted, on_upgrade};

#define GET_TEXT "GET /a HTTP/1.1\r\nHost: o.test\r\n\r\n"
#define HEAD_TEXT "HEAD /a HTTP/1.1\r\nHost: o.test\r\n\r\n"
#define POST_TEXT "POST /a HTTP/1.1\r\nHost: o.test\r\n\r\n"

static const struct fetch_request get = {
    .head = {GET_TEXT, sizeof(GET_TEXT) - 1}, .method = METHOD_GET, .body_framing = FRAMING_NONE};
static const struct fetch_request upgrade = {.head = {GET_TEXT, sizeof(GET_TEXT) - 1},
                                             .method = METHOD_GET,
                                             .body_framing = FRAMING_NONE,
                                             .upgrade = {"irc, websocket", 14}};
static const struct fetch_request head = {.head = {HEAD_TEXT, sizeof(HEAD_TEXT) - 1},
                                          .method = METHOD_HEAD,
                                          .body_framing = FRAMING_NONE};
static const struct fetch_request post_empty = {.head = {POST_TEXT, sizeof(POST_TEXT) - 1},
                                                .method = METHOD_POST,
                                                .body_framing = FRAMING_NONE};

static int
setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){0};
    assert_int_equal(loop_new(&fixture.loop), OK);
    assert_int_equal(dns_new(fixture.loop, 1000, &fixture.dns), OK);
    peer_listen(&fixture.peer);
    fixture.servers[0] = (struct origin_server_settings){"127.0.0.1", fixture.peer.port, 1};
    fixture.settings = (struct origin_settings){.name = "o",
                                                .servers = fixture.servers,
                                                .servers_n = 1,
                                                .connect_ms = 1000,
                                                .first_byte_ms = 2000,
                                                .between_bytes_ms = 2000,
                                                .interim_max = 20,
                                                .idle_max = 4,
                                                .idle_ms = 5000,
                                                .head_limits = {1024, 8192, 100},
                                                .body_limits = {1024, 16384, 8192}};
    for (int i = 0; i < STAT_COUNT; i++)
        fixture.stats_before[i] = stats_read((enum counter)i);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *fixture = *state;

    origin_free(&fixture->origin);
    dns_free(&fixture->dns);
    loop_free(&fixture->loop);
    (void)close(fixture->peer.listening);
    assert_int_equal(stats_read(STAT_origin_connections_idle), 0);
    return 0;
}

static int64_t
counted(const struct fixture *fixture, enum counter stat)
{
    return stats_read(stat) - fixture->stats_before[stat];
}

static void
begin(struct fixture *fixture, const struct fetch_request *request, struct owner *owner)
{
    owner->fixture = fixture;
    loop_timer_init(&owner->timer, on_resume_timer);
    if (fixture->origin == NULL)
        assert_int_equal(
            origin_new(fixture->loop, fixture->dns, &fixture->settings, &fixture->origin), OK);
    assert_int_equal(fetch_start(fixture->origin, request, &events, owner, &owner->fetch), OK);
    assert_int_equal(owner->heads_n + owner->fails_n, 0); /* no callback inside */
}

static struct owner *
fresh_owner(void)
{
    static struct owner owner;

    owner = (struct owner){.upload_step = SIZE_MAX};
    return &owner;
}

/* One fetch from its start to its end. */
static void
fetch_one(struct fixture *fixture, const struct fetch_request *request, struct owner *owner)
{
    begin(fixture, request, owner);
    loop_run(fixture->loop);
    assert_int_equal(owner->ends_n + owner->fails_n, 1);
}

static void
assert_pattern(const struct owner *owner, size_t from, size_t len)
{
    assert_int_equal(owner->body_len, from + len);
    for (size_t i = 0; i < len; i++)
        if (owner->body[from + i] != pattern(i))
            fail_msg("byte %zu of the body is wrong", i);
}

static char upload_bytes[600000];

static void
fill_upload(void)
{
    for (size_t i = 0; i < sizeof(upload_bytes); i++)
        upload_bytes[i] = pattern(i);
}

/* --- responses --- */

struct response_case {
    const char *why;
    const struct fetch_request *request;
    struct step answer[6]; /* after the request came */
    unsigned status;       /* 0: no head */
    const char *body;
    enum err rc;  /* OK: it ends well */
    int64_t kept; /* connections in the pool afterwards */
    unsigned interims;
};

static void
run_response_case(struct fixture *fixture, const struct response_case *c, size_t room_limit,
                  bool pause_always)
{
    struct owner *owner = fresh_owner();
    struct step steps[10] = {{.act = ACCEPT}, {.act = EXPECT_N, .n = c->request->head.len}};

    owner->room_limit = room_limit;
    owner->pause_always = pause_always;
    memcpy(steps + 2, c->answer, sizeof(c->answer));
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, c->request, owner);
    assert_int_equal(owner->status, c->status);
    assert_int_equal(owner->fails_n, c->rc != OK);
    assert_int_equal(owner->rc, c->rc);
    assert_int_equal(owner->body_len, strlen(c->body));
    assert_memory_equal(owner->body, c->body, owner->body_len);
    assert_int_equal(owner->interims_n, c->interims);
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), c->kept);
    origin_free(&fixture->origin);
    peer_finish(&fixture->peer);
}

#define OK_LEN(n) "HTTP/1.1 200 OK\r\nContent-Length: " #n "\r\n\r\n"
#define OK_CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define SWITCH(protocol)                                                                           \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " protocol "\r\n\r\n"
#define OK_CLOSE "HTTP/1.1 200 OK\r\n\r\n"
#define WAIT_END                                                                                   \
    {                                                                                              \
        .act = EXPECT_END                                                                          \
    }
#define TX(t)                                                                                      \
    {                                                                                              \
        .act = SEND, .text = (t)                                                                   \
    }
#define SLOW(t)                                                                                    \
    {                                                                                              \
        .act = SEND_SLOW, .text = (t)                                                              \
    }

static const struct response_case response_cases[] = {
    {"RFC 9112 section 6.2: a length",
     &get,
     {TX(OK_LEN(5) "hello"), WAIT_END},
     200,
     "hello",
     OK,
     1,
     0},
    {"a length in pieces", &get, {SLOW(OK_LEN(5) "hello"), WAIT_END}, 200, "hello", OK, 1, 0},
    {"a length of 0", &get, {TX(OK_LEN(0)), WAIT_END}, 200, "", OK, 1, 0},
    {"RFC 9112 section 7.1: chunked",
     &get,
     {TX(OK_CHUNKED "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"), WAIT_END},
     200,
     "abcde",
     OK,
     1,
     0},
    {"chunked in pieces, with trailers",
     &get,
     {SLOW(OK_CHUNKED "3\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n"), WAIT_END},
     200,
     "abcde",
     OK,
     1,
     0},
    {"RFC 9112 section 6.3: until the end",
     &get,
     {TX(OK_CLOSE "to the"), {.act = SLEEP, .n = 20}, TX(" end"), {.act = CLOSE}},
     200,
     "to the end",
     OK,
     0,
     0},
    {"an empty body until the end", &get, {TX(OK_CLOSE), {.act = CLOSE}}, 200, "", OK, 0, 0},
    {"RFC 9112 section 6.3: none to HEAD", &head, {TX(OK_LEN(5)), WAIT_END}, 200, "", OK, 1, 0},
    {"RFC 9112 section 6.3: none in 304",
     &get,
     {TX("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), WAIT_END},
     304,
     "",
     OK,
     1,
     0},
    {"RFC 9112 section 9.3: Connection: close",
     &get,
     {TX("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"), WAIT_END},
     200,
     "hi",
     OK,
     0,
     0},
    {"RFC 9112 section 9.3: HTTP/1.0",
     &get,
     {TX("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"), WAIT_END},
     200,
     "hi",
     OK,
     0,
     0},
    {"RFC 9112 section 6.3: bytes after a length",
     &get,
     {TX(OK_LEN(2) "hiHTTP/1.1 200"), WAIT_END},
     200,
     "hi",
     ERR_ORIGIN_FRAMING,
     0,
     0},
    {"RFC 9112 section 6.3: bytes after the last chunk",
     &get,
     {TX(OK_CHUNKED "0\r\n\r\nHTTP/1.1 200"), WAIT_END},
     200,
     "",
     ERR_ORIGIN_FRAMING,
     0,
     0},
    {"RFC 9112 section 6.3: bytes after a response to HEAD",
     &head,
     {TX(OK_LEN(2) "hi"), WAIT_END},
     200,
     "",
     ERR_ORIGIN_FRAMING,
     0,
     0},
    {"RFC 9112 section 6.3: bytes after a 304",
     &get,
     {TX("HTTP/1.1 304 Not Modified\r\n\r\nhi"), WAIT_END},
     304,
     "",
     ERR_ORIGIN_FRAMING,
     0,
     0},
    {"RFC 9110 section 15.2.1: 100 is swallowed",
     &get,
     {TX("HTTP/1.1 100 Continue\r\n\r\n" OK_LEN(2) "hi"), WAIT_END},
     200,
     "hi",
     OK,
     1,
     0},
    {"RFC 8297: 103 is told",
     &get,
     {TX("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
      {.act = SLEEP, .n = 20},
      TX("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent"),
      {.act = SLEEP, .n = 20},
      TX("-Length: 2\r\n\r\nhi"),
      WAIT_END},
     200,
     "hi",
     OK,
     1,
     2},
    {"interim responses in pieces",
     &get,
     {SLOW("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 C\r\n\r\n" OK_LEN(2) "hi"), WAIT_END},
     200,
     "hi",
     OK,
     1,
     1},
    {"RFC 9110 section 15.2.2: 101 unasked",
     &get,
     {TX("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), WAIT_END},
     0,
     "",
     ERR_ORIGIN_UNASKED,
     0,
     0},
    {"RFC 9110 section 7.8: 101 for what was asked, and early bytes",
     &upgrade,
     {TX(SWITCH("websocket") "early"), WAIT_END},
     101,
     "early",
     OK,
     0,
     0},
    {"RFC 9110 section 7.8: names compare without case; 101 in pieces",
     &upgrade,
     {SLOW(SWITCH("WebSocket")), WAIT_END},
     101,
     "",
     OK,
     0,
     0},
    {"RFC 9110 section 15.5.22: 426 instead is an answer",
     &upgrade,
     {TX("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno"), WAIT_END},
     426,
     "no",
     OK,
     1,
     0},
    {"RFC 9110 section 7.8: 101 for another protocol",
     &upgrade,
     {TX(SWITCH("h2c")), WAIT_END},
     0,
     "",
     ERR_ORIGIN_UNASKED,
     0,
     0},
    {"RFC 9110 section 7.8: 101 without the connection option",
     &upgrade,
     {TX("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"), WAIT_END},
     0,
     "",
     ERR_ORIGIN_UNASKED,
     0,
     0},
    {"RFC 9112 section 8: a short length",
     &get,
     {TX(OK_LEN(9) "hello"), {.act = CLOSE}},
     200,
     "hello",
     ERR_ORIGIN_CLOSED,
     0,
     0},
    {"RFC 9112 section 8: no last chunk",
     &get,
     {TX(OK_CHUNKED "5\r\nhello\r\n"), {.act = CLOSE}},
     200,
     "hello",
     ERR_ORIGIN_CLOSED,
     0,
     0},
    {"malformed chunk size",
     &get,
     {TX(OK_CHUNKED "5\r\nhello\r\nxyz\r\n"), WAIT_END},
     200,
     "hello",
     ERR_ORIGIN_FRAMING,
     0,
     0},
    {"a chunk with a bare LF",
     &get,
     {TX(OK_CHUNKED "5\nhello\r\n0\r\n\r\n"), WAIT_END},
     200,
     "",
     ERR_ORIGIN_FRAMING,
     0,
     0},
    {"RFC 9112 section 6.3: two lengths",
     &get,
     {TX("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"), WAIT_END},
     0,
     "",
     ERR_ORIGIN_FRAMING,
     0,
     0},
    {"no HTTP at all", &get, {TX("SSH-2.0-x\r\n\r\n"), WAIT_END}, 0, "", ERR_ORIGIN_SYNTAX, 0, 0},
    {"a bare LF in the head",
     &get,
     {TX("HTTP/1.1 200 OK\nA: b\n\n"), WAIT_END},
     0,
     "",
     ERR_ORIGIN_SYNTAX,
     0,
     0},
    {"closed without a response", &get, {{.act = CLOSE}}, 0, "", ERR_ORIGIN_CLOSED, 0, 0},
    {"closed within the head",
     &get,
     {TX("HTTP/1.1 200 OK\r\nA"), {.act = CLOSE}},
     0,
     "",
     ERR_ORIGIN_CLOSED,
     0,
     0},
};

static void
responses_are_told_as_they_are(void **state)
{
    static const struct {
        size_t room;
        bool pause;
    } ways[] = {{0, false}, {1, false}, {2, true}};

    for (size_t i = 0; i < ARRAY_LEN(response_cases); i++) {
        for (size_t j = 0; j < ARRAY_LEN(ways); j++) {
            print_message("case: %s; room %zu\n", response_cases[i].why, ways[j].room);
            run_response_case(*state, &response_cases[i], ways[j].room, ways[j].pause);
        }
    }
}

/* The reset may overtake what was sent before, so only the failure is certain. */
static void
a_reset_within_the_body_fails(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT},     {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_CLOSE "some"), {.act = SLEEP, .n = 30},
                                        {.act = RESET},      {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, ERR_ORIGIN_CLOSED); /* and is not taken for the end */
    peer_finish(&fixture->peer);
}

static void
large_bodies_arrive_whole(void **state)
{
    static const struct {
        const char *why;
        struct step answer[7];
        size_t room;
        bool pause;
    } cases[] = {
        {"length", {TX(OK_LEN(700000)), {.act = FILL, .n = 700000}, WAIT_END}, 0, false},
        {"length, odd rooms",
         {TX(OK_LEN(700000)), {.act = FILL, .n = 700000}, WAIT_END},
         65521,
         false},
        {"length, pauses", {TX(OK_LEN(700000)), {.act = FILL, .n = 700000}, WAIT_END}, 65521, true},
        {"close", {TX(OK_CLOSE), {.act = FILL, .n = 700000}, {.act = CLOSE}}, 65521, true},
        {"chunked",
         {TX(OK_CHUNKED "aae60\r\n"), {.act = FILL, .n = 700000}, TX("\r\n0\r\n\r\n"), WAIT_END},
         0,
         false},
        {"chunked, odd rooms",
         {TX(OK_CHUNKED "aae60\r\n"), {.act = FILL, .n = 700000}, TX("\r\n0\r\n\r\n"), WAIT_END},
         4099,
         false},
        {"chunked, pauses",
         {TX(OK_CHUNKED "aae60\r\n"), {.act = FILL, .n = 700000}, TX("\r\n0\r\n\r\n"), WAIT_END},
         50021,
         true},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct owner *owner = fresh_owner();
        struct step steps[12] = {{.act = ACCEPT}, {.act = EXPECT, .text = GET_TEXT}};

        print_message("case: %s\n", cases[i].why);
        memcpy(steps + 2, cases[i].answer, sizeof(cases[i].answer));
        owner->room_limit = cases[i].room;
        owner->pause_always = cases[i].pause;
        peer_begin(&fixture->peer, steps);
        fetch_one(fixture, &get, owner);
        assert_int_equal(owner->ends_n, 1);
        assert_pattern(owner, 0, 700000);
        origin_free(&fixture->origin);
        peer_finish(&fixture->peer);
    }
    assert_true(counted(fixture, STAT_origin_bytes_in) > 7 * 700000);
}

static void
heads_have_limits(void **state)
{
    static char long_line[2048], long_head[12000], interims[4096], fields[2000];
    struct response_case cases[] = {
        {"status line", &get, {TX(long_line), WAIT_END}, 0, "", ERR_ORIGIN_LIMIT, 0, 0},
        {"whole head", &get, {TX(long_head), WAIT_END}, 0, "", ERR_ORIGIN_LIMIT, 0, 0},
        {"number of fields", &get, {TX(fields), WAIT_END}, 0, "", ERR_ORIGIN_LIMIT, 0, 0},
        {"interim responses", &get, {TX(interims), WAIT_END}, 0, "", ERR_ORIGIN_LIMIT, 0, 20},
    };

    memset(long_line, 'x', sizeof(long_line) - 1);
    memcpy(long_line, "HTTP/1.1 200 ", 13);
    memset(long_head, 'x', sizeof(long_head) - 1);
    memcpy(long_head, "HTTP/1.1 200 OK\r\nA: ", 20);
    (void)snprintf(fields, sizeof(fields), "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < 110; i++)
        (void)snprintf(fields + 17 + i * 6, 7, "A: b\r\n");
    (void)snprintf(fields + 17 + 110 * 6, 3, "\r\n");
    for (size_t i = 0; i < 21; i++)
        (void)snprintf(interims + i * 22, 23, "HTTP/1.1 103 Hints\r\n\r\n");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        run_response_case(*state, &cases[i], 0, false);
    }
}

/* --- deadlines --- */

static void
waits_have_deadlines(void **state)
{
    static const struct {
        const char *why;
        struct step answer[4];
        unsigned status;
        enum err rc;
    } cases[] = {
        {"no response", {WAIT_END}, 0, ERR_FIRST_BYTE_TIMEOUT},
        {"half a head", {TX("HTTP/1.1 200 OK\r\n"), WAIT_END}, 0, ERR_FIRST_BYTE_TIMEOUT},
        {"no body", {TX(OK_LEN(9)), WAIT_END}, 200, ERR_BETWEEN_BYTES_TIMEOUT},
        {"half a body", {TX(OK_CHUNKED "9\r\nabc"), WAIT_END}, 200, ERR_BETWEEN_BYTES_TIMEOUT},
    };
    struct fixture *fixture = *state;

    fixture->settings.first_byte_ms = fixture->settings.between_bytes_ms = 60;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct owner *owner = fresh_owner();
        struct step steps[8] = {{.act = ACCEPT}, {.act = EXPECT, .text = GET_TEXT}};

        print_message("case: %s\n", cases[i].why);
        memcpy(steps + 2, cases[i].answer, sizeof(cases[i].answer));
        peer_begin(&fixture->peer, steps);
        fetch_one(fixture, &get, owner);
        assert_int_equal(owner->status, cases[i].status);
        assert_int_equal(owner->rc, cases[i].rc);
        peer_finish(&fixture->peer);
    }
    assert_int_equal(counted(fixture, STAT_origin_timeouts), ARRAY_LEN(cases));
    assert_int_equal(counted(fixture, STAT_origin_failures), ARRAY_LEN(cases));
}

static void
steady_progress_meets_no_deadline(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT}, {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(6)),   {.act = SLEEP, .n = 60},
                                        TX("ab"),        {.act = SLEEP, .n = 60},
                                        TX("cd"),        {.act = SLEEP, .n = 60},
                                        TX("ef"),        {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    fixture->settings.between_bytes_ms = 110;
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, OK);
    assert_int_equal(owner->body_len, 6);
    peer_finish(&fixture->peer);
}

/* A reader without room is not the origin's fault: no deadline runs. */
static void
a_paused_reader_meets_no_deadline(void **state)
{
    static const struct step steps[] = {
        {.act = ACCEPT}, {.act = EXPECT, .text = GET_TEXT}, TX(OK_LEN(6) "abcdef"), {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();
    int64_t begun_ms = (int64_t)loop_now_ms();

    fixture->settings.between_bytes_ms = 30;
    owner->pauses_n = 1;
    owner->pause_ms = 150;
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, OK);
    assert_int_equal(owner->body_len, 6);
    assert_true((int64_t)loop_now_ms() - begun_ms >= 150);
    peer_finish(&fixture->peer);
}

/* A trickle passes no wait between bytes, yet ends; a body at the rate asked for goes on. */
static void
a_trickled_body_has_an_end(void **state)
{
    static const struct {
        const char *why;
        unsigned body_ms;
        uint64_t rate_min;
        enum err rc;
    } cases[] = {
        {"slower than the least rate", 60, 1000, ERR_ORIGIN_SLOW},
        {"without a rate nothing extends the time", 60, 0, ERR_ORIGIN_SLOW},
        {"a second for each byte", 60, 1, OK},
        {"no limit", 0, 0, OK},
    };
    static const struct step slow[] = {{.act = ACCEPT},
                                       {.act = EXPECT, .text = GET_TEXT},
                                       TX(OK_LEN(12) "abcdefghij"),
                                       WAIT_END,
                                       {.act = END}};
    static const struct step whole[] = {{.act = ACCEPT},
                                        {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(12) "abcdefghij"),
                                        {.act = SLEEP, .n = 100},
                                        TX("kl"),
                                        {.act = END}};
    struct fixture *fixture = *state;
    int64_t slow_n = 0;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct owner *owner = fresh_owner();

        print_message("case: %s\n", cases[i].why);
        fixture->settings.body_ms = cases[i].body_ms;
        fixture->settings.body_rate_min = cases[i].rate_min;
        peer_begin(&fixture->peer, cases[i].rc == OK ? whole : slow);
        fetch_one(fixture, &get, owner);
        assert_int_equal(owner->rc, cases[i].rc);
        slow_n += cases[i].rc != OK;
        origin_free(&fixture->origin);
        peer_finish(&fixture->peer);
    }
    assert_int_equal(counted(fixture, STAT_origin_slow), slow_n);
    assert_int_equal(counted(fixture, STAT_origin_timeouts), slow_n);
}

/* A reader without room is not the origin's fault for the whole body either. */
static void
a_pause_does_not_use_up_the_time_of_a_body(void **state)
{
    static const struct step steps[] = {
        {.act = ACCEPT}, {.act = EXPECT, .text = GET_TEXT}, TX(OK_LEN(6) "abcdef"), {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    fixture->settings.body_ms = 100;
    owner->pauses_n = 1;
    owner->pause_ms = 250;
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, OK);
    assert_int_equal(owner->body_len, 6);
    peer_finish(&fixture->peer);
}

/* --- connections --- */

/* RFC 9112 section 9.2: what comes before the request was sent answers nothing. */
static void
bytes_before_the_request_are_no_answer(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT}, TX(OK_LEN(4) "evil"), {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    peer_begin(&fixture->peer, steps);
    begin(fixture, &get, owner);
    peer_finish(&fixture->peer); /* it has spoken, and the loop has not run yet */
    loop_run(fixture->loop);
    assert_int_equal(owner->status, 0);
    assert_int_equal(owner->rc, ERR_ORIGIN_UNASKED);
    assert_int_equal(counted(fixture, STAT_origin_refused_unasked), 1);
}

/* Counted over all that share the counter; a claim ends with its fetch. */
static void
connections_in_use_have_a_limit(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT},
                                        {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(2) "hi"),
                                        WAIT_END,
                                        {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();
    static struct buffers buffers;
    atomic_uint in_use = 1; /* another worker's */

    fixture->settings.connections_max = 1;
    assert_int_equal(origin_new(fixture->loop, fixture->dns, &fixture->settings, &fixture->origin),
                     OK);
    origin_count_in(fixture->origin, &in_use, &buffers);
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, ERR_ORIGIN_BUSY);
    assert_int_equal(counted(fixture, STAT_origin_busy), 1);
    assert_int_equal(in_use, 1);
    in_use = 0;
    peer_begin(&fixture->peer, steps);
    owner = fresh_owner();
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, OK);
    assert_int_equal(in_use, 0);
    assert_int_equal(counted(fixture, STAT_origin_exchanges), 0);
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 1); /* not counted */
    origin_free(&fixture->origin);
    peer_finish(&fixture->peer);
}

static void
kept_connections_are_used_again(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT},
                                        {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(2) "hi"),
                                        {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_CHUNKED "2\r\nhi\r\n0\r\n\r\n"),
                                        {.act = EXPECT, .text = POST_TEXT},
                                        TX(OK_LEN(2) "hi"),
                                        WAIT_END,
                                        {.act = END}};
    const struct fetch_request *requests[] = {&get, &get, &post_empty};
    struct fixture *fixture = *state;

    peer_begin(&fixture->peer, steps);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct owner *owner = fresh_owner();

        fetch_one(fixture, requests[i], owner);
        assert_int_equal(owner->rc, OK);
        assert_int_equal(owner->body_len, 2);
    }
    assert_int_equal(counted(fixture, STAT_origin_connections_opened), 1);
    assert_int_equal(counted(fixture, STAT_origin_connections_reused), 2);
    assert_int_equal(counted(fixture, STAT_origin_requests), 3);
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 1);
    origin_free(&fixture->origin);
    peer_finish(&fixture->peer);
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

/* Whatever an idle connection says ends it; without the loop's events, taking it finds out. */
static void
idle_connections_that_speak_are_dropped(void **state)
{
    static const struct {
        const char *why;
        struct step idle;
        bool loop_sees;
    } cases[] = {
        {"closed, seen by its event", {.act = CLOSE}, true},
        {"stray bytes, seen by their event", TX("HTTP/1.1 200 OK\r\n\r\n"), true},
        {"closed, seen when taken", {.act = CLOSE}, false},
        {"stray bytes, seen when taken", TX("HTTP/1.1 200 OK\r\n\r\n"), false},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct step steps[] = {{.act = ACCEPT},
                               {.act = EXPECT, .text = GET_TEXT},
                               TX(OK_LEN(2) "hi"),
                               {.act = SLEEP, .n = 20},
                               cases[i].idle,
                               {.act = ACCEPT},
                               {.act = EXPECT, .text = GET_TEXT},
                               TX(OK_LEN(3) "new"),
                               {.act = END}};
        int64_t opened = counted(fixture, STAT_origin_connections_opened);
        struct owner *owner = fresh_owner();

        print_message("case: %s\n", cases[i].why);
        peer_begin(&fixture->peer, steps);
        fetch_one(fixture, &get, owner);
        assert_int_equal(counted(fixture, STAT_origin_connections_idle), 1);
        if (cases[i].loop_sees) {
            wait_ms(fixture->loop, 60);
            assert_int_equal(counted(fixture, STAT_origin_connections_idle), 0);
        } else {
            (void)usleep(60000);
        }
        owner = fresh_owner();
        fetch_one(fixture, &get, owner);
        assert_int_equal(owner->rc, OK);
        assert_memory_equal(owner->body, "new", 3);
        assert_int_equal(counted(fixture, STAT_origin_connections_opened) - opened, 2);
        peer_finish(&fixture->peer);
        origin_free(&fixture->origin);
    }
    assert_int_equal(counted(fixture, STAT_origin_retries), 0);
}

static void
idle_connections_have_bounds(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT},
                                        {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(2) "hi"),
                                        WAIT_END,
                                        {.act = END}};
    struct fixture *fixture = *state;

    fixture->settings.idle_ms = 40;
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, fresh_owner());
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 1);
    wait_ms(fixture->loop, 120);
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 0);
    peer_finish(&fixture->peer);

    fixture->settings.idle_max = 0;
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, fresh_owner());
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 0);
    peer_finish(&fixture->peer);
}

static void
the_oldest_idle_connection_makes_room(void **state)
{
    static struct owner first;
    static const struct step steps[] = {{.act = ACCEPT},
                                        {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(1) "a"),
                                        WAIT_END, /* the second makes it go */
                                        {.act = END}};
    struct fixture *fixture = *state;
    struct peer other;

    peer_listen(&other);
    fixture->settings.idle_max = 1;
    fixture->settings.servers_n = 2;
    fixture->servers[1] = (struct origin_server_settings){"127.0.0.1", other.port, 1};
    peer_begin(&fixture->peer, steps);
    peer_begin(&other, steps);
    first = (struct owner){0};
    fetch_one(fixture, &get, &first);
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 1);
    fetch_one(fixture, &get, fresh_owner());
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 1);
    peer_finish(&fixture->peer);
    origin_free(&fixture->origin);
    peer_finish(&other);
    (void)close(other.listening);
}

/* RFC 9110 section 9.2.2: the kept connection goes when it gets the second request. */
static void
a_request_is_repeated_only_when_it_may_be(void **state)
{
    static const struct {
        const char *why;
        const struct fetch_request *request;
        struct step then; /* instead of an answer */
        enum err rc;
    } cases[] = {
        {"GET, closed", &get, {.act = CLOSE}, OK},
        {"GET, reset", &get, {.act = RESET}, OK},
        {"GET, after a byte of the answer", &get, TX("H"), ERR_ORIGIN_CLOSED},
        {"POST", &post_empty, {.act = CLOSE}, ERR_ORIGIN_CLOSED},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = cases[i].request->head.len;
        struct step again[] = {{.act = ACCEPT},       {.act = EXPECT_N, .n = len},
                               TX(OK_LEN(2) "hi"),    {.act = EXPECT_N, .n = len},
                               cases[i].then,         {.act = CLOSE},
                               {.act = ACCEPT},       {.act = EXPECT_N, .n = len},
                               TX(OK_LEN(5) "again"), {.act = END}};
        int64_t retries = counted(fixture, STAT_origin_retries);
        struct owner *owner;

        print_message("case: %s\n", cases[i].why);
        if (cases[i].rc != OK)
            again[6].act = END;
        peer_begin(&fixture->peer, again);
        fetch_one(fixture, cases[i].request, fresh_owner());
        owner = fresh_owner();
        fetch_one(fixture, cases[i].request, owner);
        assert_int_equal(owner->rc, cases[i].rc);
        assert_int_equal(counted(fixture, STAT_origin_retries) - retries, cases[i].rc == OK);
        if (cases[i].rc == OK)
            assert_memory_equal(owner->body, "again", 5);
        peer_finish(&fixture->peer);
        origin_free(&fixture->origin);
    }
}

/* PUT may be repeated, but what was handed over of its body is gone. */
static void
a_request_with_a_body_is_not_repeated(void **state)
{
    static const struct step steps[] = {
        {.act = ACCEPT},    {.act = EXPECT, .text = GET_TEXT},
        TX(OK_LEN(2) "hi"), {.act = EXPECT, .text = POST_TEXT "abc"},
        {.act = CLOSE},     {.act = END}};
    struct fixture *fixture = *state;
    struct fetch_request request = post_empty;
    struct owner *owner;

    fill_upload();
    request.method = METHOD_PUT;
    request.body_framing = FRAMING_LENGTH;
    request.body_len = 3;
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, fresh_owner());
    owner = fresh_owner();
    owner->upload = upload_bytes;
    owner->upload_left = 3;
    begin(fixture, &request, owner);
    upload(owner);
    loop_run(fixture->loop);
    assert_int_equal(owner->rc, ERR_ORIGIN_CLOSED);
    assert_int_equal(counted(fixture, STAT_origin_connections_reused), 1);
    assert_int_equal(counted(fixture, STAT_origin_retries), 0);
    peer_finish(&fixture->peer);
}

static uint16_t
refusing_port(void)
{
    struct peer gone;

    peer_listen(&gone);
    (void)close(gone.listening);
    return gone.port;
}

static void
a_refused_connection_fails(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    fixture->servers[0].port = refusing_port();
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, ERR_CONNECT);
    assert_int_equal(counted(fixture, STAT_origin_failures), 1);
    assert_int_equal(counted(fixture, STAT_origin_requests), 0);
}

static void
the_next_server_is_tried(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT},    {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(2) "hi"), {.act = EXPECT, .text = GET_TEXT},
                                        TX(OK_LEN(2) "ho"), {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    fixture->servers[2] = fixture->servers[0];
    fixture->servers[0] = fixture->servers[1] =
        (struct origin_server_settings){"127.0.0.1", refusing_port(), 50};
    fixture->settings.servers_n = 3;
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, OK);
    owner = fresh_owner();
    fetch_one(fixture, &get, owner); /* those that failed are not tried first again */
    assert_memory_equal(owner->body, "ho", 2);
    assert_int_equal(counted(fixture, STAT_origin_connections_reused), 1);
    assert_int_equal(counted(fixture, STAT_origin_failures), 0);
    origin_free(&fixture->origin);
    peer_finish(&fixture->peer);
}

/* A listener whose queue is full answers no more: the connect hangs. */
static void
a_connect_has_a_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();
    struct sock_addr addr;
    int fillers[8];

    assert_int_equal(listen(fixture->peer.listening, 0), 0);
    assert_int_equal(sock_addr_from_ip(SLICE("127.0.0.1"), fixture->peer.port, &addr), OK);
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++)
        assert_int_equal(sock_connect(&addr, &fillers[i]), OK);
    (void)usleep(20000);
    fixture->settings.connect_ms = 60;
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, ERR_CONNECT_TIMEOUT);
    assert_int_equal(counted(fixture, STAT_origin_timeouts), 1);
    for (size_t i = 0; i < ARRAY_LEN(fillers); i++)
        (void)close(fillers[i]);
}

static void
names_are_looked_up(void **state)
{
    static const struct step steps[] = {
        {.act = ACCEPT}, {.act = EXPECT, .text = GET_TEXT}, TX(OK_LEN(2) "hi"), {.act = END}};
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    fixture->servers[0].host = "localhost"; /* ::1 is refused, 127.0.0.1 stands */
    peer_begin(&fixture->peer, steps);
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, OK);
    peer_finish(&fixture->peer);
    origin_free(&fixture->origin);
    assert_int_equal(dns_set_servers(fixture->dns, "127.0.0.1:1"), OK); /* nobody answers there */
    fixture->servers[0].host = "nowhere.test";
    owner = fresh_owner();
    fetch_one(fixture, &get, owner);
    assert_int_equal(owner->rc, ERR_DNS);
}

static void
servers_share_by_weight(void **state)
{
    struct fixture *fixture = *state;
    struct peer peers[2];
    static const struct step busy[] = {{.act = ACCEPT},   {.act = EXPECT, .text = GET_TEXT},
                                       TX(OK_LEN(1) "a"), {.act = EXPECT, .text = GET_TEXT},
                                       TX(OK_LEN(1) "a"), {.act = EXPECT, .text = GET_TEXT},
                                       TX(OK_LEN(1) "a"), {.act = EXPECT, .text = GET_TEXT},
                                       TX(OK_LEN(1) "a"), {.act = END}};
    static const struct step idle[] = {{.act = ACCEPT},   {.act = EXPECT, .text = GET_TEXT},
                                       TX(OK_LEN(1) "b"), {.act = EXPECT, .text = GET_TEXT},
                                       TX(OK_LEN(1) "b"), {.act = END}};
    char order[7] = "";

    for (size_t i = 0; i < 2; i++) {
        peer_listen(&peers[i]);
        fixture->servers[i] =
            (struct origin_server_settings){"127.0.0.1", peers[i].port, i == 0 ? 2 : 1};
        peer_begin(&peers[i], i == 0 ? busy : idle);
    }
    fixture->settings.servers_n = 2;
    for (size_t i = 0; i < 6; i++) {
        struct owner *owner = fresh_owner();

        fetch_one(fixture, &get, owner);
        order[i] = owner->body[0];
    }
    assert_string_equal(order, "abaaba");
    for (size_t i = 0; i < 2; i++) {
        peer_finish(&peers[i]);
        (void)close(peers[i].listening);
    }
}

/* --- request bodies --- */

static void
request_bodies_are_sent(void **state)
{
    static const struct {
        const char *why;
        enum http_framing framing;
        size_t len, step;
        const char *want; /* NULL: counted alone */
        size_t want_n;
    } cases[] = {
        {"RFC 9112 section 6.2: a length", FRAMING_LENGTH, 5, 5, POST_TEXT "abcde", 0},
        {"a length in pieces", FRAMING_LENGTH, 5, 2, POST_TEXT "abcde", 0},
        {"RFC 9112 section 7.1: chunked", FRAMING_CHUNKED, 5, 3,
         POST_TEXT "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 0},
        {"chunked, empty", FRAMING_CHUNKED, 0, 1, POST_TEXT "0\r\n\r\n", 0},
        {"a large length", FRAMING_LENGTH, sizeof(upload_bytes), SIZE_MAX, NULL,
         sizeof(POST_TEXT) - 1 + sizeof(upload_bytes)},
    };
    struct fixture *fixture = *state;

    fill_upload();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_request request = post_empty;
        struct step steps[] = {
            {.act = ACCEPT},
            {cases[i].want != NULL ? EXPECT : EXPECT_N, cases[i].want, cases[i].want_n},
            TX(OK_LEN(2) "hi"),
            WAIT_END,
            {.act = END}};
        struct owner *owner = fresh_owner();

        print_message("case: %s\n", cases[i].why);
        request.body_framing = cases[i].framing;
        request.body_len = cases[i].len;
        owner->upload = upload_bytes;
        owner->upload_left = cases[i].len;
        owner->upload_step = cases[i].step;
        peer_begin(&fixture->peer, steps);
        begin(fixture, &request, owner);
        upload(owner);
        loop_run(fixture->loop);
        assert_int_equal(owner->upload_rc, OK);
        assert_int_equal(owner->upload_left, 0);
        assert_int_equal(owner->status, 200);
        assert_int_equal(owner->ends_n, 1);
        assert_int_equal(owner->wanted_n > 0, cases[i].len > 65536);
        assert_int_equal(counted(fixture, STAT_origin_connections_idle), 1);
        origin_free(&fixture->origin);
        peer_finish(&fixture->peer);
    }
}

static void
a_large_chunked_body_arrives_whole(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT},
                                        {.act = EXPECT, .text = POST_TEXT},
                                        {.act = SLEEP, .n = 50},
                                        {.act = EXPECT_CHUNKED, .n = 600000},
                                        TX(OK_LEN(2) "hi"),
                                        WAIT_END,
                                        {.act = END}};
    struct fixture *fixture = *state;
    struct fetch_request request = post_empty;
    struct owner *owner = fresh_owner();

    fill_upload();
    request.body_framing = FRAMING_CHUNKED;
    owner->upload = upload_bytes;
    owner->upload_left = sizeof(upload_bytes);
    peer_begin(&fixture->peer, steps);
    begin(fixture, &request, owner);
    upload(owner);
    loop_run(fixture->loop);
    assert_int_equal(owner->ends_n, 1);
    assert_int_equal(owner->upload_left, 0);
    assert_true(owner->wanted_n > 0);
    assert_in_range(counted(fixture, STAT_origin_bytes_out), 600000 + sizeof(POST_TEXT) + 10,
                    601000);
    origin_free(&fixture->origin);
    peer_finish(&fixture->peer);
}

/* The origin refuses without reading on: its answer counts, the rest of the body does not. */
static void
an_early_answer_ends_the_sending(void **state)
{
    static const struct step steps[] = {
        {.act = ACCEPT},
        {.act = EXPECT, .text = POST_TEXT},
        {.act = EXPECT_N, .n = 1000},
        TX("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"),
        WAIT_END,
        {.act = END}};
    struct fixture *fixture = *state;
    struct fetch_request request = post_empty;
    struct owner *owner = fresh_owner();

    request.body_framing = FRAMING_LENGTH;
    request.body_len = 5000;
    peer_begin(&fixture->peer, steps);
    owner->upload = upload_bytes;
    owner->upload_left = 1000;
    owner->room_limit = 1;
    owner->pauses_n = 1; /* to look at the fetch between head and end */
    begin(fixture, &request, owner);
    assert_int_equal(fetch_send_body(owner->fetch, slice_of(upload_bytes, 1000), &owner->told_room),
                     OK);
    while (owner->heads_n == 0)
        wait_ms(fixture->loop, 5);
    if (owner->fetch != NULL) {
        size_t taken;

        assert_int_equal(fetch_send_body(owner->fetch, slice_of(upload_bytes, 10), &taken),
                         ERR_CLOSED);
        fetch_end_body(owner->fetch);
        loop_run(fixture->loop);
    }
    assert_int_equal(owner->status, 413);
    assert_int_equal(owner->ends_n, 1);
    assert_memory_equal(owner->body, "no", 2);
    assert_int_equal(counted(fixture, STAT_origin_connections_idle), 0);
    peer_finish(&fixture->peer);
}

/* A body whose client went away must not look whole: the origin sees a reset, not an end. */
static void
a_cancelled_upload_is_cut(void **state)
{
    static const struct step steps[] = {
        {.act = ACCEPT}, {.act = EXPECT, .text = POST_TEXT "abc"}, WAIT_END, {.act = END}};
    struct fixture *fixture = *state;
    struct fetch_request request = post_empty;
    struct owner *owner = fresh_owner();
    size_t taken;

    fill_upload();
    request.body_framing = FRAMING_LENGTH;
    request.body_len = 10;
    peer_begin(&fixture->peer, steps);
    begin(fixture, &request, owner);
    assert_int_equal(fetch_send_body(owner->fetch, slice_of(upload_bytes, 3), &taken), OK);
    assert_int_equal(taken, 3);
    wait_ms(fixture->loop, 60);
    fetch_cancel(&owner->fetch);
    assert_null(owner->fetch);
    fetch_cancel(&owner->fetch); /* harmless */
    peer_finish(&fixture->peer);
    assert_int_equal(owner->fails_n + owner->ends_n, 0);
}

static void
an_origin_that_does_not_read_meets_a_deadline(void **state)
{
    static const struct step steps[] = {{.act = ACCEPT}, {.act = SLEEP, .n = 600}, {.act = END}};
    struct fixture *fixture = *state;
    struct fetch_request request = post_empty;
    struct owner *owner = fresh_owner();

    request.body_framing = FRAMING_CHUNKED;
    fixture->settings.between_bytes_ms = 80;
    peer_begin(&fixture->peer, steps);
    owner->upload = upload_bytes;
    owner->upload_left = sizeof(upload_bytes);
    owner->upload_endless = true;
    begin(fixture, &request, owner);
    upload(owner);
    loop_run(fixture->loop);
    assert_int_equal(owner->rc, ERR_BETWEEN_BYTES_TIMEOUT);
    peer_finish(&fixture->peer);
}

/* --- owners --- */

static void
a_callback_may_cancel(void **state)
{
    static const int when[] = {CANCEL_INTERIM, CANCEL_HEAD, CANCEL_ROOM, CANCEL_FILLED};
    static const char *const answers[] = {
        "HTTP/1.1 103 Early Hints\r\n\r\n" OK_LEN(9) "hello",
        "HTTP/1.1 103 Early Hints\r\n\r\n" OK_CHUNKED "3\r\nabc\r\n2\r\nde\r\n",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LEN(when) * ARRAY_LEN(answers); i++) {
        struct step steps[] = {{.act = ACCEPT},
                               {.act = EXPECT, .text = GET_TEXT},
                               TX(answers[i % ARRAY_LEN(answers)]),
                               WAIT_END,
                               {.act = END}};
        struct owner *owner = fresh_owner();

        print_message("case: %d\n", when[i / ARRAY_LEN(answers)]);
        owner->cancel = when[i / ARRAY_LEN(answers)];
        owner->room_limit = 2;
        peer_begin(&fixture->peer, steps);
        begin(fixture, &get, owner);
        loop_run(fixture->loop);
        assert_null(owner->fetch);
        wait_ms(fixture->loop, 30);
        assert_int_equal(owner->ends_n + owner->fails_n, 0);
        peer_finish(&fixture->peer);
    }
}

/* In every state that waits, with the origin freed before the memory of the fetch is. */
static void
a_fetch_may_be_cancelled_at_any_time(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned after_ms = 0; after_ms < 120; after_ms += 20) {
        static const struct step steps[] = {{.act = ACCEPT},
                                            {.act = SLEEP, .n = 25},
                                            TX("HTTP/1.1 200 OK\r\n"),
                                            {.act = SLEEP, .n = 25},
                                            TX("Content-Length: 9\r\n\r\nabc"),
                                            {.act = EXPECT, .text = GET_TEXT},
                                            {.act = EXPECT_END}, /* by the cancelling */
                                            {.act = END}};
        struct owner *owner = fresh_owner();

        print_message("case: after %u ms\n", after_ms);
        peer_begin(&fixture->peer, steps);
        begin(fixture, &get, owner);
        if (after_ms > 0)
            wait_ms(fixture->loop, after_ms);
        fetch_cancel(&owner->fetch);
        origin_free(&fixture->origin);
        wait_ms(fixture->loop, 1);
        assert_int_equal(owner->ends_n + owner->fails_n, 0);
        (void)pthread_join(fixture->peer.thread, NULL); /* it may have been left in the middle */
    }
}

/* A message of the fetch to itself is on its way when it is cancelled. */
static void
a_fetch_may_be_cancelled_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct fetch_request request = post_empty;
    struct owner *owner = fresh_owner();
    size_t taken;

    request.body_framing = FRAMING_CHUNKED;
    begin(fixture, &request, owner);
    assert_int_equal(fetch_send_body(owner->fetch, SLICE("abc"), &taken), OK);
    fetch_cancel(&owner->fetch);
    fixture->settings.servers_n = 2;
    fixture->servers[0].host = fixture->servers[1].host = "not..a..name";
    origin_free(&fixture->origin);
    begin(fixture, &get, owner); /* fails before it waits for anything */
    fetch_cancel(&owner->fetch);
    wait_ms(fixture->loop, 30);
    assert_int_equal(owner->ends_n + owner->fails_n, 0);
}

static void
no_server_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct owner *owner = fresh_owner();

    fixture->settings.servers_n = 0;
    assert_int_equal(origin_new(fixture->loop, fixture->dns, &fixture->settings, &fixture->origin),
                     OK);
    assert_int_equal(fetch_start(fixture->origin, &get, &events, owner, &owner->fetch),
                     ERR_NO_ORIGIN);
    assert_null(owner->fetch);
    fixture->settings.servers_n = ORIGIN_SERVERS_MAX + 1;
    origin_free(&fixture->origin);
    assert_int_equal(origin_new(fixture->loop, fixture->dns, &fixture->settings, &fixture->origin),
                     ERR_LIMIT);
}

/* Whichever allocation fails, the fetch fails and nothing else does. */
static void
no_memory_ends_the_fetch(void **state)
{
    struct fixture *fixture = *state;
    bool failed = true;

    for (unsigned nth = 1; failed && nth < 50; nth++) {
        static const struct step steps[] = {
            {.act = ACCEPT},        {.act = EXPECT, .text = GET_TEXT}, TX("HTTP/1.1 200 OK\r\n"),
            {.act = SLEEP, .n = 5}, TX("Content-Length: 2\r\n\r\nhi"), {.act = END}};
        struct owner *owner = fresh_owner();
        struct sock_addr addr;
        int unblock;
        bool begun;

        (void)close(fixture->peer.listening);
        peer_listen(&fixture->peer);
        fixture->servers[0].port = fixture->peer.port;
        origin_free(&fixture->origin);
        owner->fixture = fixture;
        assert_int_equal(
            origin_new(fixture->loop, fixture->dns, &fixture->settings, &fixture->origin), OK);
        peer_begin(&fixture->peer, steps);
        mem_fail_at(nth);
        begun = fetch_start(fixture->origin, &get, &events, owner, &owner->fetch) == OK;
        if (begun)
            loop_run(fixture->loop);
        mem_fail_at(0);
        failed = !begun || owner->fails_n == 1;
        assert_int_equal(owner->rc, begun && failed ? ERR_NOMEM : OK);
        print_message("case: allocation %u %s\n", nth, failed ? "failed" : "was not needed");
        assert_int_equal(sock_addr_from_ip(SLICE("127.0.0.1"), fixture->peer.port, &addr), OK);
        assert_int_equal(sock_connect(&addr, &unblock), OK); /* for a peer nobody came to */
        (void)close(unblock);
        (void)pthread_join(fixture->peer.thread, NULL);
    }
    assert_false(failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(responses_are_told_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_within_the_body_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(large_bodies_arrive_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(heads_have_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_have_deadlines, setup, teardown),
        cmocka_unit_test_setup_teardown(steady_progress_meets_no_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(a_trickled_body_has_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_does_not_use_up_the_time_of_a_body, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bytes_before_the_request_are_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_in_use_have_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_reader_meets_no_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(kept_connections_are_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_connections_that_speak_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_connections_have_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_is_repeated_only_when_it_may_be, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_with_a_body_is_not_repeated, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_idle_connection_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_connection_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_server_is_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(a_connect_has_a_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_looked_up, setup, teardown),
        cmocka_unit_test_setup_teardown(servers_share_by_weight, setup, teardown),
        cmocka_unit_test_setup_teardown(request_bodies_are_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_chunked_body_arrives_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(an_early_answer_ends_the_sending, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cancelled_upload_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(an_origin_that_does_not_read_meets_a_deadline, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_callback_may_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fetch_may_be_cancelled_at_any_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fetch_may_be_cancelled_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(no_server_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory_ends_the_fetch, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
