/* The store under test, and its numbered objects: key, tags and size follow from the number. */
#include <unistd.h>

#include <fcntl.h>
#include <unistd.h>

#include "bench.h"

enum { QUEUE_LEN = 64 << 20, BATCH_MS = 200, SCAN_WAIT_MS = 600000 };

static void
open_store(struct stock *stock, const struct options *options, unsigned scan_wait_ms)
{
    struct store_settings settings = {.path = options->folder,
                                      .size_len = options->size_len,
                                      .queue_max_len = QUEUE_LEN,
                                      .batch_ms = BATCH_MS,
                                      .readers_max = 16,
                                      .scan_wait_ms = scan_wait_ms,
                                      .warm_threads_n = options->warm_threads,
                                      .warm_queue_max = UINT32_MAX};
    char why[512];

    stock->options = options;
    gauges_begin(&stock->gauges);
    if (store_open(&settings, &stock->store, why, sizeof(why)) != OK)
        die("%s", why);
}

void
stock_open(struct stock *stock, const struct options *options)
{
    open_store(stock, options, SCAN_WAIT_MS);
    if (!store_wait_ready(stock->store, SCAN_WAIT_MS))
        die("the index of %s does not become whole", options->folder);
}

void
stock_open_at_once(struct stock *stock, const struct options *options)
{
    open_store(stock, options, 0);
}

void
stock_close(struct stock *stock)
{
    store_close(&stock->store);
}

struct call {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool over;
};

static void
on_over(void *arg, enum err rc, uint64_t n)
{
    struct call *call = arg;

    (void)n;
    if (rc != OK)
        die("a purge failed: %s", err_text(rc));
    (void)pthread_mutex_lock(&call->lock);
    call->over = true;
    (void)pthread_cond_signal(&call->wake);
    (void)pthread_mutex_unlock(&call->lock);
}

uint64_t
stock_purge(const struct stock *stock, const struct store_purge *purge)
{
    struct call call = {.over = false};
    struct store_done done = {on_over, &call};
    uint64_t id;

    (void)pthread_mutex_init(&call.lock, NULL);
    (void)pthread_cond_init(&call.wake, NULL);
    if (store_purge(stock->store, purge, 1, done, &id) != OK)
        die("a purge was refused");
    (void)pthread_mutex_lock(&call.lock);
    while (!call.over)
        (void)pthread_cond_wait(&call.wake, &call.lock);
    (void)pthread_mutex_unlock(&call.lock);
    (void)pthread_cond_destroy(&call.wake);
    (void)pthread_mutex_destroy(&call.lock);
    return id;
}

/* The writer sets its gauges at the end of a turn: two turns, and they are of now. */
static void
settle_gauges(const struct stock *stock)
{
    struct store_purge nothing = {.kind = STORE_PURGE_KEY, .text = SLICE("nothing")};

    (void)stock_purge(stock, &nothing);
    (void)stock_purge(stock, &nothing);
}

uint64_t
stock_objects(const struct stock *stock)
{
    settle_gauges(stock);
    return gauges_read(&stock->gauges, STAT_store_objects);
}

struct store_reader *
stock_reader(const struct stock *stock)
{
    struct store_reader *reader;

    if (store_reader_new(stock->store, &reader) != OK)
        die("no reader of the store");
    return reader;
}

struct store_key
stock_key(char name[STOCK_NAME_LEN], uint64_t number)
{
    int len = snprintf(name, STOCK_NAME_LEN, "http://bench.test/stock/%llu.html",
                       (unsigned long long)number);
    struct slice text = slice_of(name, (size_t)len);

    return (struct store_key){.hash = store_hash(text), .text = text};
}

uint64_t
stock_tag(uint64_t number)
{
    char digits[U64_DIGITS_MAX];

    return store_label('t', slice_from_u64(number, digits));
}

uint64_t
stock_tag_half(void)
{
    return store_label('t', SLICE("half"));
}

uint64_t
stock_tag_all(void)
{
    return store_label('t', SLICE("all"));
}

bool
stock_has(struct store_reader *reader, uint64_t number)
{
    char name[STOCK_NAME_LEN];
    struct store_key key = stock_key(name, number);
    struct store_cursor cursor = {.key = &key};
    struct store_object object;
    bool found;

    store_read_begin(reader);
    found = store_find(reader, &cursor, &object);
    store_read_end(reader);
    return found;
}

void
stock_fill(struct stock *stock)
{
    const struct options *options = stock->options;
    char name[STOCK_NAME_LEN];
    struct feed feed;

    feed_init(&feed, stock);
    for (uint64_t i = 0; i < options->objects; i++) {
        struct store_key key = stock_key(name, i);
        uint64_t labels[3] = {stock_tag(i % options->tags), stock_tag_all(), stock_tag_half()};

        feed_body(&feed, &key, options->body, labels, i % 2 == 0 ? 3 : 2);
    }
    feed_wait(&feed);
    feed_fini(&feed);
}

void
stock_forget_pages(const struct options *options)
{
    char path[4096];
    int fd;

    if (!options->cold)
        return;
    (void)snprintf(path, sizeof(path), "%s/data.mdb", options->folder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 || fdatasync(fd) == -1 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        die("cannot make %s cold", path);
    (void)close(fd);
}
