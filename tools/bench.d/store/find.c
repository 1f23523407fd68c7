/* find: what a look-up costs a worker, without members, with members, and of a member. */
#include "bench.h"

enum { STEP = 7919 };

struct finding {
    const struct options *options;
    struct store_reader *reader;
    bool member; /* look for one, too */
};

static void
put_all(const struct stock *stock, uint8_t member)
{
    char name[STOCK_NAME_LEN];
    struct feed feed;

    feed_init(&feed, stock);
    for (uint64_t i = 0; i < stock->options->objects; i++) {
        struct store_key key = stock_key(name, i);
        struct store_record record = {.member = member, .family = i + 1};

        feed_record(&feed, &key, stock->options->body, &record);
    }
    feed_wait(&feed);
    feed_fini(&feed);
}

/* One hit, as a worker has it. */
static void
find_one(const struct finding *finding, const struct store_key *key, uint64_t number)
{
    struct store_cursor cursor = {.key = key};
    struct store_object head, member;
    bool cold = false, found;

    store_read_begin(finding->reader);
    found = store_find(finding->reader, &cursor, &head);
    if (found && finding->member)
        found =
            store_find_member(finding->reader, &head,
                              (uint8_t)(1 + number % finding->options->members), &member, &cold);
    store_read_end(finding->reader);
    if (!found)
        die("what was stored is not found");
}

/* Nanoseconds of CPU for each, with its key's hash; neighbours are not asked for one after the
 * other. */
static double
find_all(const struct finding *finding)
{
    double began_s = thread_cpu_s();
    char name[STOCK_NAME_LEN];

    for (uint64_t i = 0; i < finding->options->objects; i++) {
        uint64_t number = i * STEP % finding->options->objects;
        struct store_key key = stock_key(name, number);

        find_one(finding, &key, number);
    }
    return (thread_cpu_s() - began_s) * 1e9 / (double)finding->options->objects;
}

/* The best of the rounds: others have the processor, too. */
static void
measure(struct finding *finding, const char *what, bool member)
{
    double best = 1e9;

    finding->member = member;
    for (uint64_t i = 0; i < finding->options->rounds; i++) {
        double took = find_all(finding);

        best = took < best ? took : best;
    }
    (void)printf("| %s | %.0f |\n", what, best);
    (void)fflush(stdout);
}

int
bench_find(const struct options *options)
{
    struct finding finding = {.options = options};
    struct stock stock;

    if (options->members > 255)
        die("a family has 255 members at most");
    stock_open(&stock, options);
    finding.reader = stock_reader(&stock);
    store_reader_hurry(finding.reader, true);
    put_all(&stock, 0);
    (void)printf("| look-up | CPU ns |\n| --- | ---: |\n");
    measure(&finding, "of an object without members", false);
    for (uint64_t member = 1; member <= options->members; member++)
        put_all(&stock, (uint8_t)member);
    measure(&finding, "of a head with members", false);
    measure(&finding, "of a head, and of one of its members", true);
    store_reader_free(&finding.reader);
    stock_close(&stock);
    return 0;
}
