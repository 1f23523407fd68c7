/* latency: hits by one reader, while the writer is idle and while it has all it can do. */
#include <math.h>

#include "bench.h"

struct look {
    struct store_reader *reader;
    const struct options *options;
    uint64_t dice, hits, misses;
    char body[BLOCK_FULL_LEN]; /* what is found is copied, as a socket would */
    struct histogram times;
};

/* Zipf, exponent 1; the popular ones are spread over all. */
static uint64_t
choose(struct look *look)
{
    double share = (double)(dice(&look->dice) >> 11) / 9007199254740992.0;
    uint64_t rank = (uint64_t)exp(share * log((double)look->options->objects));

    return rank * 0x9e3779b1U % look->options->objects;
}

/* Find it, copy its body, and say it was used. */
static bool
read_one(struct look *look, const struct store_key *key)
{
    struct store_cursor cursor = {.key = key};
    struct store_object object;
    bool found;

    store_read_begin(look->reader);
    found = store_find(look->reader, &cursor, &object);
    for (uint64_t off = 0; found && off < object.body_len;) {
        struct store_source source = {object.oid, object.body_len, object.slot};
        struct iovec iov[16];
        size_t n;

        if (store_body(look->reader, &source, off, UINT64_MAX, iov, ARRAY_LEN(iov), &n) != OK)
            die("a body that was found cannot be read");
        for (size_t i = 0; i < n; i++) {
            memcpy(look->body, iov[i].iov_base, iov[i].iov_len);
            off += iov[i].iov_len;
        }
    }
    if (found)
        store_touch(look->reader, &object);
    store_read_end(look->reader);
    return found;
}

static void
read_for(struct look *look, double seconds)
{
    double until_s = now_s() + seconds;
    char name[STOCK_NAME_LEN];

    look->hits = look->misses = 0;
    memset(&look->times, 0, sizeof(look->times));
    while (now_s() < until_s) {
        struct store_key key = stock_key(name, choose(look));
        double at_s = now_s();
        bool found = read_one(look, &key);
        double took_s = now_s() - at_s;

        if (found)
            histogram_add(&look->times, (uint64_t)(took_s * 1e9));
        look->hits += found;
        look->misses += !found;
    }
}

static void
print_times(const struct look *look, const char *what, double fed_mb_s)
{
    (void)printf("| %s | %.2f | %.2f | %.2f | %.1f | %llu | %.2f | %.0f |\n", what,
                 histogram_us(&look->times, 0.5), histogram_us(&look->times, 0.99),
                 histogram_us(&look->times, 0.999), histogram_us(&look->times, 0.9999),
                 (unsigned long long)look->hits,
                 100 * (double)look->misses / (double)(look->hits + look->misses + 1), fed_mb_s);
    (void)fflush(stdout);
}

static double
read_under_load(struct look *look, const struct stock *stock, struct feed *feed)
{
    double at_s, mb_s;
    uint64_t before;

    feed_start(feed);
    while (feed_done_len(feed) < (64 << 20))
        sched_yield();
    before = feed_done_len(feed);
    at_s = now_s();
    take_last_cpu();
    read_for(look, (double)stock->options->seconds);
    mb_s = (double)(feed_done_len(feed) - before) / MB / (now_s() - at_s);
    feed_stop(feed);
    return mb_s;
}

int
bench_latency(const struct options *options)
{
    static struct look look; /* large */
    struct stock stock;
    struct feed feed;
    double mb_s;

    leave_last_cpu();
    stock_open(&stock, options);
    if (stock_objects(&stock) == 0)
        stock_fill(&stock);
    look.options = options;
    look.dice = 0x9e3779b97f4a7c15U;
    look.reader = stock_reader(&stock);
    feed_init(&feed, &stock);
    (void)printf("| hit: look-up and copy | p50 us | p99 us | p99.9 us | p99.99 us | hits "
                 "| misses %% | stored meanwhile MB/s |\n"
                 "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    read_for(&look, 1); /* pages and caches warm */
    read_for(&look, (double)options->seconds);
    print_times(&look, "writer idle", 0);
    mb_s = read_under_load(&look, &stock, &feed);
    print_times(&look, "writer at full load", mb_s);
    feed_fini(&feed);
    store_reader_free(&look.reader);
    stock_close(&stock);
    return 0;
}
