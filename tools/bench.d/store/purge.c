/* purge-tag: how soon a purge of one tag holds, and how soon what it names is gone. */
#include <unistd.h>

#include "bench.h"

enum { POLL_US = 200, TIMES_MAX = 1000 };

struct times {
    double effect_ms[TIMES_MAX], removal_ms[TIMES_MAX];
    uint64_t n, matched;
};

static void
purge_one(const struct stock *stock, uint64_t label, struct times *times)
{
    struct store_purge purge = {.kind = STORE_PURGE_LABEL, .label = label};
    struct store_purge_status status = {0};
    double at_s = now_s();
    uint64_t id = stock_purge(stock, &purge);

    times->effect_ms[times->n] = (now_s() - at_s) * 1e3;
    while (store_purge_status(stock->store, id, &status) == OK && status.state != STORE_PURGE_DONE)
        (void)usleep(POLL_US);
    times->removal_ms[times->n++] = (now_s() - at_s) * 1e3;
    times->matched += status.matched;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void
print_times(const char *what, struct times *times)
{
    qsort(times->effect_ms, times->n, sizeof(double), compare);
    qsort(times->removal_ms, times->n, sizeof(double), compare);
    (void)printf("| %s | %llu | %.2f | %.2f | %.1f | %.1f | %.0f |\n", what,
                 (unsigned long long)times->n, times->effect_ms[times->n / 2],
                 times->effect_ms[times->n - 1], times->removal_ms[times->n / 2],
                 times->removal_ms[times->n - 1], (double)times->matched / (double)times->n);
    (void)fflush(stdout);
}

static void
purge_tags(const struct stock *stock, uint64_t first, const char *what)
{
    const struct options *options = stock->options;
    struct times times = {0};

    for (uint64_t i = 0; i < options->rounds; i++)
        purge_one(stock, stock_tag((first + i) % options->tags), &times);
    print_times(what, &times);
}

/* The writer has as much as it takes, while `rounds` tags are purged. */
static void
purge_under_load(const struct stock *stock)
{
    struct feed feed;

    feed_init(&feed, stock);
    feed_start(&feed);
    while (feed_done_len(&feed) < (64 << 20))
        (void)usleep(POLL_US);
    purge_tags(stock, stock->options->rounds, "one tag of many, writer at full load");
    feed_stop(&feed);
    feed_fini(&feed);
}

int
bench_purge_tag(const struct options *options)
{
    struct times half = {0}, all = {0};
    struct stock stock;
    double objects;

    if (options->rounds > TIMES_MAX)
        die("--rounds: %d at most", TIMES_MAX);
    stock_open(&stock, options);
    if (stock_objects(&stock) == 0)
        stock_fill(&stock);
    objects = (double)stock_objects(&stock);
    (void)printf("| purge, of %.0f objects | times | effect ms p50 | longest | removal ms p50 "
                 "| longest | matched |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
                 objects);
    purge_tags(&stock, 0, "one tag of many, idle");
    purge_one(&stock, stock_tag_half(), &half); /* before the load evicts them */
    print_times("a tag of every second object, idle", &half);
    purge_under_load(&stock);
    purge_one(&stock, stock_tag_all(), &all);
    print_times("a tag of all the others, idle", &all);
    stock_close(&stock);
    return 0;
}
