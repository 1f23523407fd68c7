/* bench-store: what the store can do without a daemon around it. */
#include <getopt.h>
#include <malloc.h>

#include "base/log.h"
#include "bench.h"

static const char usage[] =
    "bench-store COMMAND FOLDER [option...]\n"
    "\n"
    "Measures the storage layer by itself and prints Markdown tables. FOLDER holds the store, is\n"
    "made when missing and stays. A command that needs objects makes them where there are none.\n"
    "\n"
    "  ingest     new objects through a full store, lap after lap of its size\n"
    "             --mix small|default, --laps 8, --touch 50 (look-ups for 100 puts: survivors)\n"
    "  fill       a store of many small objects with tags; memory for each\n"
    "             --objects 1000000, --tags 100000, --body 1000 (bytes)\n"
    "  purge-tag  time to effect and to removal, idle and with the writer at full load\n"
    "             --rounds 20 (tags for each); fill's options\n"
    "  restart    after a clean stop and after kill -9\n"
    "             --rounds 3, --cold (the page cache forgets the file); fill's options\n"
    "  latency    hits by one reader, writer idle and at full load\n"
    "             --seconds 5 (each), --mix; fill's options\n"
    "  check      every object and page, as fast as it goes\n"
    "             --rounds 3, --cold; fill's options\n"
    "  cold       look-ups of what is on disk alone, by the threads that wait for the disk\n"
    "             fill's options\n"
    "  find       CPU of a look-up: of heads, and of one of their members\n"
    "             --members 3 (of each), --rounds 20, --objects, --body\n"
    "\n"
    "  --size 1GB      of the store; as in brink.conf, powers of two\n"
    "  --seconds 240   ingest: the longest\n";

static const struct {
    const char *name;
    int (*run)(const struct options *options);
    uint64_t rounds, seconds, objects;
    uint64_t size_len;
} commands[] = {
    {"ingest", bench_ingest, 0, 240, 1, 1ULL << 30},
    {"fill", bench_fill, 0, 0, 1000000, 4ULL << 30},
    {"purge-tag", bench_purge_tag, 20, 0, 1000000, 4ULL << 30},
    {"restart", bench_restart, 3, 0, 1000000, 4ULL << 30},
    {"latency", bench_latency, 0, 5, 100000, 1ULL << 30},
    {"check", bench_check, 3, 0, 100000, 1ULL << 30},
    {"cold", bench_cold, 0, 0, 40000, 1ULL << 30},
    {"find", bench_find, 20, 0, 20000, 1ULL << 30},
};

static uint64_t
number_of(const char *text)
{
    uint64_t number;

    if (slice_to_bytes(slice_from_str(text), &number) != OK || number == 0)
        die("%s is no number above 0", text);
    return number;
}

static void
take_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"mix", required_argument, NULL, 'm'},     {"size", required_argument, NULL, 's'},
        {"objects", required_argument, NULL, 'o'}, {"tags", required_argument, NULL, 't'},
        {"body", required_argument, NULL, 'b'},    {"members", required_argument, NULL, 'M'},
        {"laps", required_argument, NULL, 'l'},    {"rounds", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 'S'}, {"touch", required_argument, NULL, 'T'},
        {"cold", no_argument, NULL, 'c'},          {NULL, 0, NULL, 0}};
    struct {
        int letter;
        uint64_t *number;
    } numbers[] = {
        {'s', &options->size_len}, {'o', &options->objects},       {'t', &options->tags},
        {'b', &options->body},     {'l', &options->laps},          {'r', &options->rounds},
        {'S', &options->seconds},  {'T', &options->touch_percent}, {'M', &options->members}};
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (letter == '?')
            exit(2);
        if (letter == 'm')
            options->mix = slice_from_str(optarg);
        options->cold |= letter == 'c';
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            if (numbers[i].letter == letter)
                *numbers[i].number = number_of(optarg);
    }
    if (optind + 2 != argc)
        die("one command and one folder, please; --help tells more");
}

int
main(int argc, char **argv)
{
    struct options options = {.mix = SLICE("default"),
                              .tags = 100000,
                              .body = 1000,
                              .laps = 8,
                              .touch_percent = 50,
                              .members = 3};

    if (argc < 3 || strcmp(argv[1], "--help") == 0) {
        (void)fputs(usage, argc < 3 ? stderr : stdout);
        return argc < 3 ? 2 : 0;
    }
    options.command = argv[1];
    options.folder = argv[2];
    log_set_level(LOG_WARN);
    if (stats_attach() != OK)
        die("%s", err_text(ERR_NOMEM));
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, options.command) != 0)
            continue;
        options.rounds = commands[i].rounds;
        options.seconds = commands[i].seconds;
        options.objects = commands[i].objects;
        options.size_len = commands[i].size_len;
        take_options(argc, argv, &options);
        return commands[i].run(&options);
    }
    die("no command %s; --help lists them", options.command);
}
