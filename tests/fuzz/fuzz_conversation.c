/* Whole conversations: clients' bytes and origins' bytes, the clock and the store's moods, all
 * chosen by the input, against the real proxy (src/proxy, src/cache, src/http) on a fake network
 * and a fake store. README.md in this folder has the script's syntax and what is judged. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"
#include "conversation/fake_net.h"
#include "conversation/fake_store.h"
#include "conversation/oracle.h"
#include "conversation/script.h"
#include "daemon/config.h"
#include "proxy/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
    CLIENTS = 4,
    SCRIPT_MAX = 65536,
    FILLER_MAX = 600000, /* of one run */
    NEWEST = '9',
    TURNS_FREE = 3000,
    DEADLINES_MAX = 4000,
    LAST_MS = 4 * 3600 * 1000
};

/* Small limits, so that they are reached. */
static const char settings_text[] = //
    "workers = 1\n"
    "line_max = 512\n"
    "head_max = 2KB\n"
    "fields_max = 24\n"
    "request_body_max = 150000\n"
    "fill_window = 256KB\n"
    "listen \"127.0.0.1:8080\" {}\n"
    "store { path = \"/nonexistent\" }\n"
    "origin \"one\" { server \"192.0.2.10:80\" {} }\n"
    "origin \"two\" { server \"app.test:80\" {} server \"192.0.2.12:80\" {} host = \"b.test\" }\n"
    "site \"a\" { hosts = {\"a.test\"} origin = \"one\" slice_above = 100 slice = 64KB }\n"
    "site \"b\" { hosts = {\"b.test\"} origin = \"two\" stale_if_error = 1h\n"
    "           stale_while_revalidate = 1m default_ttl = 1m early_hints = yes\n"
    "           query_drop = {\"utm_*\"} query_sort = yes key_ignore_case = yes key_cookies = "
    "{sid} }\n"
    "site \"pass\" { hosts = {\"pass.test\"} origin = \"one\" pass = yes }\n";

struct run {
    struct loop *loop;
    struct proxy_shared *shared;
    struct proxy *proxy;
    struct peer *clients[CLIENTS];
    size_t filler_len;
    unsigned serial; /* of ids made up */
    bool drained;
};

static struct config *config;

static void
load_settings(void)
{
    struct config_args args = {0};
    int fd = memfd_create("settings", 0);
    char path[64];

    log_set_level(LOG_ERROR);
    ASSERT(fd != -1);
    ASSERT(write(fd, settings_text, sizeof(settings_text) - 1) == sizeof(settings_text) - 1);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    args.path = path;
    ASSERT(config_load(&args, stderr, &config) == OK);
    config->proxy.variants.queue_max = 0; /* no threads: nothing is made beside the loop */
    (void)close(fd);
}

/* Until nothing happens by itself. How often brink may be called is bounded by the bytes it moved:
 * an event that is neither used up nor declined would come for ever. */
static void
settle(void)
{
    uint64_t before = net_moved_len(), called = 0;
    unsigned n;

    do {
        n = net_turn() + fake_store_turn();
        called += n;
        ASSERT(called <= TURNS_FREE + 8 * (net_moved_len() - before)); /* a busy loop */
    } while (n > 0);
}

static void
advance(uint64_t ms)
{
    for (unsigned i = 0; ms > 0 && i < DEADLINES_MAX; i++) {
        ms -= net_advance(ms);
        settle();
    }
}

/* --- peers --- */

static void
open_client(struct run *run, unsigned i)
{
    struct sock_addr addr;
    char text[SOCK_ADDR_TEXT_MAX];
    int fd;

    (void)snprintf(text, sizeof(text), i % 2 == 0 ? "127.0.0.%u:4000" : "192.0.2.%u:4000", i + 1);
    ASSERT(sock_addr_parse(slice_from_str(text), &addr) == OK);
    run->clients[i] = net_client(&fd);
    if (run->clients[i] != NULL)
        proxy_accept(run->proxy, fd, &addr);
}

static struct peer *
client_of(struct run *run, char who, bool anew)
{
    unsigned i = (unsigned char)who % CLIENTS;

    if (anew && (run->clients[i] == NULL || run->clients[i]->brink_closed))
        open_client(run, i);
    return run->clients[i];
}

/* The nth connection to an origin, or the newest; NULL: there is none. */
static struct peer *
origin_of(char who)
{
    size_t at = (unsigned char)who % 10, seen = 0;
    struct peer *found = NULL, *peer;

    for (size_t i = 0; (peer = net_peer(i)) != NULL; i++)
        if (peer->is_origin && (who == NEWEST || seen++ <= at))
            found = peer;
    return found;
}

static bool
is_talking(const struct peer *peer)
{
    return peer != NULL && !peer->fin && !peer->reset && !peer->brink_closed;
}

/* Bytes as the script has them. In an origin's words "~" becomes an id that is never used twice;
 * bytes that ids are made of come from nowhere else. */
static void
send_content(struct run *run, struct peer *peer, const struct record *record)
{
    if (!is_talking(peer))
        return;
    for (size_t i = 0; i < record->content.len; i++) {
        unsigned char c = (unsigned char)record->content.ptr[i];

        if (c == '~' && peer->is_origin) {
            unsigned n = run->serial++;
            unsigned char id[] = {0xb0 | (n >> 12 & 15), 0xb0 | (n >> 8 & 15), 0xb0 | (n >> 4 & 15),
                                  0xb0 | (n & 15)};

            bytes_add(&peer->in, id, sizeof(id));
            continue;
        }
        c = (c & 0xf0) == 0xb0 ? c ^ 0x10 : c;
        bytes_add(&peer->in, &c, 1);
    }
    peer->read_max = record->number;
}

/* Many bytes that mean nothing, so that large bodies cost the script little. */
static void
send_filler(struct run *run, struct peer *peer, uint64_t n)
{
    static char filler[4096];

    if (!is_talking(peer))
        return;
    for (size_t i = 0; filler[0] == '\0' && i < sizeof(filler); i++)
        filler[sizeof(filler) - 1 - i] = (char)('a' + i % 23);
    for (size_t len; n > 0 && run->filler_len < FILLER_MAX; n -= len) {
        len = n < sizeof(filler) ? (size_t)n : sizeof(filler);
        bytes_add(&peer->in, filler, len);
        run->filler_len += len;
    }
    peer->read_max = 0;
}

static void
on_drained(void *arg)
{
    struct run *run = arg;

    ASSERT(!run->drained);
    run->drained = true;
}

static void
set_mood(struct slice letters)
{
    struct fake_store_mood *mood = fake_store_mood();
    size_t at;

    mood->held = slice_find(letters, 'h', &at);
    mood->full = slice_find(letters, 'f', &at);
    mood->cold = slice_find(letters, 'c', &at);
    mood->no_pin = slice_find(letters, 'p', &at);
    mood->no_purge = slice_find(letters, 'g', &at);
    mood->damaged = slice_find(letters, 'd', &at);
}

static void
act_on_peer(struct peer *peer, char op, const struct record *record)
{
    if (peer == NULL || peer->brink_closed) /* nothing of it reaches brink any more */
        return;
    peer->fin = peer->fin || op == 'f';
    peer->reset = peer->reset || op == 'r';
    if (op == 'w')
        peer->room = record->has_number ? record->number : UINT64_MAX;
}

static void
act(struct run *run, const struct record *record)
{
    switch (record->op) {
    case 'c':
        send_content(run, client_of(run, record->who, true), record);
        break;
    case 'C':
        send_filler(run, client_of(run, record->who, true), record->number);
        break;
    case 'h':
        act_on_peer(client_of(run, record->who, false), 'f', record);
        break;
    case 'x':
        act_on_peer(client_of(run, record->who, false), 'r', record);
        break;
    case 'w':
        act_on_peer(client_of(run, record->who, true), 'w', record);
        break;
    case 'o':
        send_content(run, origin_of(record->who), record);
        break;
    case 'O':
        send_filler(run, origin_of(record->who), record->number);
        break;
    case 'e':
        act_on_peer(origin_of(record->who), 'f', record);
        break;
    case 'r':
        act_on_peer(origin_of(record->who), 'r', record);
        break;
    case 'v':
        act_on_peer(origin_of(record->who), 'w', record);
        break;
    case 'f':
        net_next_connect(CONNECT_REFUSED);
        break;
    case 'p':
        net_next_connect(CONNECT_HANGS);
        break;
    case 'd':
        net_fail_dns(true);
        break;
    case 'm':
        mem_fail_at((unsigned)record->number);
        break;
    case 's':
        set_mood(record->words);
        break;
    case 't':
        advance(record->number);
        break;
    case 'D':
        if (!run->proxy->draining)
            proxy_drain(run->proxy, on_drained, run);
        break;
    default:
        break;
    }
    settle();
}

/* --- a run --- */

static void
begin(struct run *run)
{
    *run = (struct run){0};
    net_begin();
    ASSERT(loop_new(&run->loop) == OK);
    ASSERT(proxy_shared_new(fake_store_open(), &config->proxy, &run->shared) == OK);
    ASSERT(proxy_new(run->loop, NULL, run->shared, 0, &run->proxy) == OK);
}

/* The peers fall silent; brink must come to rest by its own deadlines. */
static void
come_to_rest(struct run *run)
{
    mem_fail_at(0);
    *fake_store_mood() = (struct fake_store_mood){0};
    settle();
    advance(LAST_MS);
    ASSERT(run->proxy->conns_n == 0 && list_empty(&run->proxy->conns));
    ASSERT(list_empty(&run->proxy->feeds));
    ASSERT(!run->proxy->draining || run->drained);
    for (enum counter stat = 0; stat < STAT_COUNT; stat++)
        if (stats_is_gauge(stat) && stats_read(stat) != 0) {
            fprintf(stderr, "finding: %s is %lld at rest\n", stats_name(stat),
                    (long long)stats_read(stat));
            UNREACHABLE();
        }
}

static void
end(struct run *run)
{
    proxy_free(&run->proxy);
    settle();
    proxy_shared_free(&run->shared);
    loop_free(&run->loop);
    net_end();
    fake_store_close();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice rest = slice_of(data, len < SCRIPT_MAX ? len : SCRIPT_MAX);
    struct record record;
    struct run run;

    if (config == NULL)
        load_settings();
    begin(&run);
    while (script_next(&rest, &record))
        act(&run, &record);
    come_to_rest(&run);
    oracle_judge();
    end(&run);
    return 0;
}
