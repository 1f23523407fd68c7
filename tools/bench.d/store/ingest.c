/* ingest: new objects through a store that is full, lap after lap of its size. */
#include "bench.h"

struct marks {
    double at_s, cpu_s, feed_cpu_s;
    uint64_t written, done_len, done_n, evicted, rewritten, map_full, refused;
};

static struct marks
take_marks(struct feed *feed)
{
    return (struct marks){.at_s = now_s(),
                          .cpu_s = process_cpu_s(),
                          .feed_cpu_s = thread_cpu_s(),
                          .written = written_len(),
                          .done_len = feed_done_len(feed),
                          .done_n = feed->done_n,
                          .evicted = (uint64_t)stats_read(STAT_store_evictions),
                          .rewritten = (uint64_t)stats_read(STAT_store_rewrites),
                          .map_full = (uint64_t)stats_read(STAT_store_map_full),
                          .refused = (uint64_t)stats_read(STAT_store_puts_refused)};
}

static void
print_lap(const char *lap, const struct stock *stock, const struct marks *from,
          const struct marks *to)
{
    double payload_mb = (double)(to->done_len - from->done_len) / MB;
    double cpu_s = (to->cpu_s - from->cpu_s) - (to->feed_cpu_s - from->feed_cpu_s);
    double visited = (double)(to->evicted - from->evicted + to->rewritten - from->rewritten);
    double size = (double)stock->options->size_len;

    (void)printf("| %s | %.0f | %.0f | %.2f | %.3f | %.1f | %.1f | %.0f | %llu | %llu |\n", lap,
                 payload_mb / (to->at_s - from->at_s),
                 (double)(to->done_n - from->done_n) / (to->at_s - from->at_s),
                 cpu_s * 1e3 / payload_mb, (double)(to->written - from->written) / MB / payload_mb,
                 100 * (double)gauges_read(&stock->gauges, STAT_store_file_bytes) / size,
                 100 * (double)gauges_read(&stock->gauges, STAT_store_used_bytes) / size,
                 visited > 0 ? 100 * (double)(to->rewritten - from->rewritten) / visited : 0,
                 (unsigned long long)(to->map_full - from->map_full),
                 (unsigned long long)(to->refused - from->refused));
    (void)fflush(stdout);
}

static bool
run_lap(struct feed *feed, uint64_t until_len, double until_s)
{
    while (feed_done_len(feed) < until_len) {
        if (now_s() > until_s)
            return false;
        for (unsigned i = 0; i < 16; i++)
            feed_one(feed);
    }
    return true;
}

int
bench_ingest(const struct options *options)
{
    struct marks first = {0}, from, to;
    double until_s = now_s() + (double)options->seconds;
    struct stock stock;
    struct feed feed;
    char lap[32];

    stock_open(&stock, options);
    feed_init(&feed, &stock);
    (void)printf("| lap | MB/s | objects/s | store's CPU ms/MB | written/payload | file %% of size "
                 "| used %% | survivors %% of the hand's | MAP_FULL | refused |\n"
                 "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    from = take_marks(&feed);
    for (uint64_t i = 1; i <= options->laps; i++) {
        if (!run_lap(&feed, from.done_len + options->size_len, until_s)) {
            (void)printf("(lap %llu: time over)\n", (unsigned long long)i);
            break;
        }
        to = take_marks(&feed);
        (void)snprintf(lap, sizeof(lap), i == 1 ? "%llu (fill)" : "%llu", (unsigned long long)i);
        print_lap(lap, &stock, &from, &to);
        from = to;
        if (i == 1)
            first = to;
    }
    if (first.done_len > 0 && from.done_len > first.done_len)
        print_lap("2 to last", &stock, &first, &from);
    feed_wait(&feed);
    feed_fini(&feed);
    stock_close(&stock);
    return 0;
}
