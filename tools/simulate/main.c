/* simulate: what a cache of brink's would miss of a trace, beside LRU and FIFO. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "simulate.h"

enum { SIZES_MAX = 8, SHARES_MAX = 16, LOOK_EACH = 4096, REPORT_S = 5 };

static const char usage[] =
    "simulate [TRACE] [option...]: misses under the store's eviction, LRU and FIFO\n"
    "TRACE: CSV as time,id,size,next (oracleGeneral); -: stdin; none: one is made.\n"
    "\n"
    "  --columns 1,2,3     of TRACE: time, id, size; a fourth: the group\n"
    "  --requests N        of a trace: at most; of a made one: 1000000\n"
    "  --zipf 0.8          made: exponent of the law of popularity\n"
    "  --objects 100000    made: that follow it\n"
    "  --drift 0           made: so many objects it moves on with each request\n"
    "  --one-hit 0.3       made: share of requests for what is asked for once\n"
    "  --mix default       made: sizes, median 24 KB; small: 3 KB; or bytes for all\n"
    "  --seed 1            made: the same number, the same trace\n"
    "\n"
    "  --size 1%,10%       of the cache: bytes (64MB), or of all distinct objects'\n"
    "  --object-max 12.5%  larger ones are not stored: bytes, or of the cache\n"
    "  --overhead 0        bytes of an object besides its body\n"
    "  --second-hit        store what is asked for a second time\n"
    "  --seen 1MB          memory for what was asked for\n"
    "  --shares 1=20,2=30  percent for groups (made: 2 is what is asked for once)\n"
    "  --reinsert          one more row: survivors go to the newest end\n"
    "  --seconds 600       the longest\n"
    "\n"
    "Prints a Markdown table; progress goes to standard error. Exit: 0, or 1 when\n"
    "TRACE or an option is wrong.\n";

/* A size as it was given. */
struct size {
    uint64_t len;
    double share; /* of something; 0: `len` counts */
};

struct options {
    struct trace_options trace;
    struct size sizes[SIZES_MAX], object_max;
    size_t sizes_n;
    uint64_t overhead_len, seen_len, seconds;
    bool second_hit, reinsert;
    struct share shares[SHARES_MAX];
    size_t shares_n;
};

struct run {
    struct cache *caches[SIZES_MAX * POLICIES];
    size_t n;
    uint64_t requests;
    bool stopped;
};

void
die(const char *format, ...)
{
    va_list args;

    (void)fputs("simulate: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(1);
}

/* --- options --- */

static double
real_of(const char *text, double most)
{
    char *end;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= 0 && number <= most))
        die("%s is no number from 0 to %g", text, most);
    return number;
}

static uint64_t
bytes_of(const char *text)
{
    uint64_t number;

    if (slice_to_bytes(slice_from_str(text), &number) != OK)
        die("%s is no number of bytes", text);
    return number;
}

static struct size
size_of(char *text)
{
    size_t len = strlen(text);

    if (len == 0 || text[len - 1] != '%')
        return (struct size){.len = bytes_of(text)};
    text[len - 1] = '\0';
    return (struct size){.share = real_of(text, 100) / 100};
}

static void
take_sizes(struct options *options, char *text)
{
    options->sizes_n = 0;
    for (char *word = strtok_r(text, ",", &text); word != NULL; word = strtok_r(NULL, ",", &text)) {
        struct size size = size_of(word);

        if (options->sizes_n == SIZES_MAX)
            die("more than %d sizes", SIZES_MAX);
        if (size.share == 0 && size.len < RECORD_ROOM_UNIT)
            die("a cache of nothing");
        options->sizes[options->sizes_n++] = size;
    }
    if (options->sizes_n == 0)
        die("--size: no size");
}

static void
take_shares(struct options *options, char *text)
{
    for (char *word = strtok_r(text, ",", &text); word != NULL; word = strtok_r(NULL, ",", &text)) {
        struct share share;
        char end;

        if (sscanf(word, "%u=%u%c", &share.group, &share.percent, &end) != 2 || share.group == 0)
            die("%s is no share: GROUP=PERCENT is wanted", word);
        if (options->shares_n == SHARES_MAX)
            die("more than %d shares", SHARES_MAX);
        options->shares[options->shares_n++] = share;
    }
}

static void
take_columns(struct options *options, const char *text)
{
    unsigned *columns = options->trace.columns;
    char end;
    int n = sscanf(text, "%u,%u,%u,%u%c", &columns[0], &columns[1], &columns[2], &columns[3], &end);

    if ((n != 3 && n != 4) || columns[1] == 0 || columns[2] == 0)
        die("--columns %s: three or four numbers are wanted", text);
    if (n == 3)
        columns[3] = 0;
}

static void
take_mix(struct options *options, const char *text)
{
    bool small = strcmp(text, "small") == 0;

    options->trace.sigma = small ? 1.2 : 1.8;
    options->trace.median = small ? 3 << 10 : 24 << 10;
    if (small || strcmp(text, "default") == 0)
        return;
    options->trace.median = (double)bytes_of(text);
    options->trace.sigma = 0;
}

static const struct option known[] = {
    {"columns", required_argument, NULL, 'c'},  {"zipf", required_argument, NULL, 'z'},
    {"objects", required_argument, NULL, 'o'},  {"one-hit", required_argument, NULL, '1'},
    {"mix", required_argument, NULL, 'm'},      {"requests", required_argument, NULL, 'r'},
    {"drift", required_argument, NULL, 'D'},    {"seed", required_argument, NULL, 'd'},
    {"size", required_argument, NULL, 's'},     {"object-max", required_argument, NULL, 'M'},
    {"overhead", required_argument, NULL, 'O'}, {"second-hit", no_argument, NULL, '2'},
    {"seen", required_argument, NULL, 'S'},     {"shares", required_argument, NULL, 'g'},
    {"reinsert", no_argument, NULL, 'R'},       {"seconds", required_argument, NULL, 't'},
    {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
};

static void
take_option(struct options *options, int letter)
{
    switch (letter) {
    case 'c':
        take_columns(options, optarg);
        break;
    case 'z':
        options->trace.zipf = real_of(optarg, 10);
        break;
    case 'o':
        options->trace.objects = (uint64_t)real_of(optarg, 1e9);
        break;
    case '1':
        options->trace.one_hit = real_of(optarg, 1);
        break;
    case 'D':
        options->trace.drift = real_of(optarg, 1e6);
        break;
    case 'm':
        take_mix(options, optarg);
        break;
    case 'r':
        options->trace.requests = (uint64_t)real_of(optarg, 1e15);
        break;
    case 'd':
        options->trace.seed = (uint64_t)real_of(optarg, 1e15);
        break;
    case 's':
        take_sizes(options, optarg);
        break;
    case 'M':
        options->object_max = size_of(optarg);
        break;
    case 'O':
        options->overhead_len = bytes_of(optarg);
        break;
    case '2':
        options->second_hit = true;
        break;
    case 'S':
        options->seen_len = bytes_of(optarg);
        break;
    case 'g':
        take_shares(options, optarg);
        break;
    case 'R':
        options->reinsert = true;
        break;
    case 't':
        options->seconds = (uint64_t)real_of(optarg, 1e9);
        break;
    case 'h':
        (void)fputs(usage, stdout);
        exit(0);
    default:
        exit(1); /* getopt said why */
    }
}

static void
take_options(struct options *options, int argc, char **argv)
{
    bool requests_given = false;
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        requests_given |= letter == 'r';
        take_option(options, letter);
    }
    if (optind + 1 < argc)
        die("one trace, please; --help tells more");
    options->trace.path = argv[optind];
    if (options->trace.path != NULL && !requests_given)
        options->trace.requests = 0;
    if (options->trace.path == NULL && options->trace.objects == 0)
        die("--objects 0: nothing to ask for");
}

/* --- running --- */

static double
now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* All of the trace, or as much as there is time for. */
static void
replay(struct run *run, struct trace *trace, const char *what, double until_s)
{
    double began_s = now_s(), report_s = began_s + REPORT_S;
    struct request request;

    run->requests = 0;
    while (trace_next(trace, &request)) {
        for (size_t i = 0; i < run->n; i++)
            cache_request(run->caches[i], &request);
        if (++run->requests % LOOK_EACH != 0)
            continue;
        run->stopped = now_s() > until_s;
        if (run->stopped)
            return;
        if (now_s() < report_s)
            continue;
        (void)fprintf(stderr, "simulate: %s: %llu requests, %.0f a second\n", what,
                      (unsigned long long)run->requests,
                      (double)run->requests / (now_s() - began_s));
        report_s += REPORT_S;
    }
}

/* What all distinct objects take, and what a cache without end would miss. */
static struct cache *
measure(const struct options *options, struct trace *trace, double until_s)
{
    struct cache_options endless = {.policy = POLICY_ALL, .overhead_len = options->overhead_len};
    struct run run = {.caches = {cache_new(&endless)}, .n = 1};

    replay(&run, trace, "measuring", until_s);
    if (run.stopped)
        die("no time left to measure the objects; give --size in bytes, or more --seconds");
    if (run.requests == 0)
        die("the trace has no requests");
    trace_rewind(trace);
    return run.caches[0];
}

static void
add_caches(const struct options *options, struct run *run, const struct size *size,
           uint64_t all_len)
{
    uint64_t len = size->share == 0 ? size->len : (uint64_t)(size->share * (double)all_len);
    struct cache_options one = {.size_len = len,
                                .overhead_len = options->overhead_len,
                                .object_max_len = options->object_max.len,
                                .seen_len = options->second_hit ? options->seen_len : 0,
                                .shares = options->shares,
                                .shares_n = options->shares_n};

    if (options->object_max.share > 0)
        one.object_max_len = (uint64_t)(options->object_max.share * (double)len);
    for (one.policy = 0; one.policy < POLICY_ALL; one.policy++) {
        one.shares_n =
            one.policy == POLICY_LRU || one.policy == POLICY_FIFO ? 0 : options->shares_n;
        if (one.policy != POLICY_REINSERT || options->reinsert)
            run->caches[run->n++] = cache_new(&one);
    }
}

/* --- the table --- */

static double
percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100 * (double)part / (double)whole;
}

static void
print_tally(const char *size, const char *policy, const char *group, const struct tally *tally)
{
    (void)printf("| %s | %s%s | %.2f %% | %.2f %% |", size, policy, group,
                 percent(tally->misses, tally->requests),
                 percent(tally->missed_bytes, tally->bytes));
}

static void
print_cache(const struct cache *cache, const char *size)
{
    const char *policy = policy_names[cache->options.policy];

    print_tally(size, policy, "", &cache->all);
    (void)printf(" %.2f | %llu | %llu |\n", (double)cache->written_len / 1e9,
                 (unsigned long long)cache->too_large_n, (unsigned long long)cache->not_admitted_n);
    for (unsigned i = 0; i < cache->index.lists_n && cache->index.lists_n > 1; i++) {
        char group[32];

        if (cache->groups[i].requests == 0)
            continue;
        (void)snprintf(group, sizeof(group), ", group %u", cache->index.lists[i].group);
        print_tally(size, policy, i == 0 ? ", the rest" : group, &cache->groups[i]);
        (void)printf(" | | |\n");
    }
}

static void
print_table(const struct run *run, const struct cache *endless)
{
    (void)printf("| cache | policy | objects missed | bytes missed | GB written | too large | not "
                 "admitted |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (size_t i = 0; i < run->n; i++) {
        char size[32];

        (void)snprintf(size, sizeof(size), "%.1f MB",
                       (double)run->caches[i]->options.size_len / 1e6);
        print_cache(run->caches[i], size);
    }
    if (endless != NULL)
        print_cache(endless, "all");
    if (run->stopped)
        (void)printf("\nStopped by --seconds after %llu requests.\n",
                     (unsigned long long)run->requests);
}

int
main(int argc, char **argv)
{
    struct options options = {
        .trace = {.columns = {1, 2, 3, 0},
                  .zipf = 0.8,
                  .objects = 100000,
                  .one_hit = 0.3,
                  .requests = 1000000,
                  .seed = 1,
                  .median = 24 << 10,
                  .sigma = 1.8},
        .sizes = {{.share = 0.01}, {.share = 0.1}},
        .sizes_n = 2,
        .seen_len = 1 << 20,
        .seconds = 600,
    };
    struct cache *endless = NULL;
    struct run run = {.n = 0};
    bool shares = false;
    struct trace *trace;
    double until_s;

    take_options(&options, argc, argv);
    until_s = now_s() + (double)options.seconds;
    trace = trace_new(&options.trace);
    for (size_t i = 0; i < options.sizes_n; i++)
        shares |= options.sizes[i].share > 0;
    if (shares && options.trace.path != NULL && strcmp(options.trace.path, "-") == 0)
        die("standard input is read once: give --size in bytes");
    if (shares)
        endless = measure(&options, trace, until_s);
    for (size_t i = 0; i < options.sizes_n; i++)
        add_caches(&options, &run, &options.sizes[i],
                   endless == NULL ? 0 : endless->used * RECORD_ROOM_UNIT);
    replay(&run, trace, "replaying", until_s);
    if (run.requests == 0)
        die("the trace has no requests");
    print_table(&run, endless);
    for (size_t i = 0; i < run.n; i++)
        cache_free(&run.caches[i]);
    if (endless != NULL)
        cache_free(&endless);
    trace_free(&trace);
    return 0;
}
