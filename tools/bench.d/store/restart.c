/* restart: how soon a store answers after a clean stop, and after kill -9. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { POLL_US = 100, LOAD_LEN = 256 << 20 };

/* The first that is found of some objects spread over all. */
static bool
finds_one(struct store_reader *reader, const struct options *options)
{
    for (uint64_t i = 0; i < 16; i++)
        if (stock_has(reader, i * options->objects / 16))
            return true;
    return false;
}

static void
open_and_time(const struct options *options, const char *what)
{
    struct stock stock;
    struct store_reader *reader;
    double at_s, opened_s, hit_s, whole_s;

    stock_forget_pages(options);
    at_s = now_s();
    stock_open_at_once(&stock, options);
    opened_s = now_s() - at_s;
    reader = stock_reader(&stock);
    while (!finds_one(reader, options)) {
        if (store_is_ready(stock.store))
            die("none of the stored objects is found");
        (void)usleep(POLL_US);
    }
    hit_s = now_s() - at_s;
    if (!store_wait_ready(stock.store, 600000))
        die("the index does not become whole");
    whole_s = now_s() - at_s;
    store_reader_free(&reader);
    (void)printf("| %s | %llu | %.1f | %.1f | %.1f |\n", what,
                 (unsigned long long)stock_objects(&stock), opened_s * 1e3, hit_s * 1e3,
                 whole_s * 1e3);
    (void)fflush(stdout);
    stock_close(&stock);
}

/* A process that stores without pause until it is killed; says through the pipe when it has begun.
 */
static void
store_until_killed(const struct options *options, int tell)
{
    struct stock stock;
    struct feed feed;

    (void)alarm(300); /* it shall not outlive the benchmark */
    stock_open(&stock, options);
    feed_init(&feed, &stock);
    for (bool told = false;;) {
        feed_one(&feed);
        if (told || feed_done_len(&feed) < LOAD_LEN / 8)
            continue;
        told = true;
        if (write(tell, "!", 1) != 1)
            _exit(1);
    }
}

static void
kill_one(const struct options *options)
{
    int ends[2], status;
    char said;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) == -1)
        die("no pipe");
    child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        store_until_killed(options, ends[1]);
    }
    (void)close(ends[1]);
    if (child == -1 || read(ends[0], &said, 1) != 1)
        die("the process to be killed did not begin");
    (void)close(ends[0]);
    (void)kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
        die("the process was not killed");
}

static void
make_stock(const struct options *options)
{
    struct stock stock;

    stock_open(&stock, options);
    if (stock_objects(&stock) == 0)
        stock_fill(&stock);
    stock_close(&stock);
}

int
bench_restart(const struct options *options)
{
    make_stock(options);
    (void)printf("| restart%s | objects | open ms | first hit ms | index whole ms |\n"
                 "| --- | ---: | ---: | ---: | ---: |\n",
                 options->cold ? ", pages cold" : "");
    for (uint64_t i = 0; i < options->rounds; i++)
        open_and_time(options, "after a clean stop");
    for (uint64_t i = 0; i < options->rounds; i++) {
        kill_one(options);
        open_and_time(options, "after kill -9");
    }
    return 0;
}
