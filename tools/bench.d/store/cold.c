/* cold: a storm of look-ups of what is on disk alone, by how many threads wait for the disk. */
#include <unistd.h>

#include "bench.h"

enum { POLL_US = 100 };

struct storm {
    atomic_uint_fast64_t left;
};

static void
on_warm(void *arg, enum err rc, uint64_t n)
{
    struct storm *storm = arg;

    (void)rc;
    (void)n;
    (void)atomic_fetch_sub(&storm->left, 1);
}

/* Every object once, in no order, all waiting at the same time. */
static void
ask_for_all(const struct stock *stock, struct storm *storm, struct store_warming **jobs)
{
    uint64_t objects = stock->options->objects;

    for (uint64_t i = 0; i < objects; i++) {
        char name[STOCK_NAME_LEN];
        struct store_key key = stock_key(name, i * 0x9e3779b1U % objects);

        if (store_warm_find(stock->store, &key, (struct store_done){on_warm, storm}, &jobs[i]) !=
            OK)
            die("%s", err_text(ERR_NOMEM));
    }
}

static void
measure(const struct options *options, unsigned threads_n)
{
    uint64_t objects = options->objects;
    struct options mine = *options;
    struct store_warming **jobs = mem_zalloc(objects * sizeof(struct store_warming *));
    struct storm storm;
    struct stock stock;
    double at_s, took_s;

    if (jobs == NULL)
        die("%s", err_text(ERR_NOMEM));
    mine.cold = true;
    mine.warm_threads = threads_n;
    stock_forget_pages(&mine);
    stock_open(&stock, &mine);
    atomic_init(&storm.left, objects);
    at_s = now_s();
    ask_for_all(&stock, &storm, jobs);
    while (atomic_load(&storm.left) > 0)
        (void)usleep(POLL_US);
    took_s = now_s() - at_s;
    (void)printf("| %u | %.0f | %.2f |\n", threads_n, (double)objects / took_s, took_s);
    (void)fflush(stdout);
    for (uint64_t i = 0; i < objects; i++)
        store_warm_end(&jobs[i]);
    mem_free(jobs);
    stock_close(&stock);
}

int
bench_cold(const struct options *options)
{
    struct stock stock;

    stock_open(&stock, options);
    stock_fill(&stock);
    stock_close(&stock);
    (void)printf("| threads | look-ups a second | seconds |\n| ---: | ---: | ---: |\n");
    for (unsigned threads_n = 1; threads_n <= 32; threads_n *= 2)
        measure(options, threads_n);
    return 0;
}
