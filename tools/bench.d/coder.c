/* What coding costs, on files that are given:
 *
 *   bench-coder [--strong] FILE...
 *
 * Without --strong: streams at the quick levels, in steps of 16 KB as the daemon makes them, and
 * decoders; with it: whole bodies, once each. A step's time is the least of some rounds, so that
 * what else runs on the machine counts little; processor time all through. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "transform/coder.h"

enum { ROUNDS = 15, STEPS_MAX = 4096, OUT_LEN = 32768 };

struct result {
    size_t len;
    double total_s, step_s; /* step: the slowest */
    uint64_t memory_len;
};

static void
fail(const char *what)
{
    fprintf(stderr, "bench-coder: %s\n", what);
    exit(EXIT_FAILURE);
}

static double
cpu_s(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static struct slice
read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text;
    long len;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (len = ftell(file)) <= 0)
        fail(path);
    rewind(file);
    text = malloc((size_t)len);
    if (text == NULL || fread(text, 1, (size_t)len, file) != (size_t)len)
        fail(path);
    (void)fclose(file);
    return slice_of(text, (size_t)len);
}

/* One stream; steps[i] becomes the least that step i took yet. *out, when there is one, has room.
 */
static void
stream_once(const struct coder_plan *plan, struct slice in, double *steps, char *out,
            struct result *result)
{
    struct coder *coder;
    double before_s = cpu_s();
    bool done = false;

    if (coder_new(plan, &coder) != OK)
        fail("no coder");
    result->len = 0;
    for (size_t n = 0; !done && n < STEPS_MAX; n++) {
        static char buf[OUT_LEN];
        size_t len;
        double step_s = cpu_s();

        if (coder_run(coder, &in, CODER_END, buf, sizeof(buf), &len, &done) != OK)
            fail("a stream failed");
        step_s = cpu_s() - step_s;
        steps[n] = step_s < steps[n] ? step_s : steps[n];
        if (out != NULL)
            memcpy(out + result->len, buf, len);
        result->len += len;
        if (plan->memory->used_len > result->memory_len)
            result->memory_len = plan->memory->used_len;
    }
    coder_free(&coder);
    before_s = cpu_s() - before_s;
    result->total_s = before_s < result->total_s ? before_s : result->total_s;
}

static struct result
stream(enum http_coding from, enum http_coding to, int level, struct slice in, size_t hint,
       char *out)
{
    static double steps[STEPS_MAX];
    struct coder_memory memory = {0};
    const struct coder_plan plan = {
        .from = from, .to = to, .level = level, .size_hint = hint, .memory = &memory};
    struct result result = {.total_s = 1e9};

    for (size_t n = 0; n < STEPS_MAX; n++)
        steps[n] = 1e9;
    for (unsigned i = 0; i < ROUNDS; i++)
        stream_once(&plan, in, steps, out, &result);
    for (size_t n = 0; n < STEPS_MAX && steps[n] < 1e9; n++)
        result.step_s = steps[n] > result.step_s ? steps[n] : result.step_s;
    coder_memory_fini(&memory);
    return result;
}

static void
print_result(const char *what, int level, struct slice in, const struct result *result)
{
    printf("| %s %d | %zu | %.1f %% | %.0f | %.0f | %.0f |\n", what, level, result->len,
           100 * (double)result->len / (double)in.len, (double)in.len / result->total_s / 1e6,
           result->step_s * 1e6, (double)result->memory_len / 1024);
}

static void
bench_streams(struct slice in)
{
    static const struct {
        enum http_coding coding;
        int first, last;
    } levels[] = {{CODING_GZIP, 1, 6}, {CODING_BR, 1, 6}, {CODING_ZSTD, 1, 5}};

    printf("| stream | bytes | of the body | MB/s | slowest step, us | memory, KiB |\n"
           "| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        for (int level = levels[i].first; level <= levels[i].last; level++) {
            struct result result =
                stream(CODING_IDENTITY, levels[i].coding, level, in, in.len, NULL);

            print_result(coding_name(levels[i].coding), level, in, &result);
        }
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        char *coded = malloc(in.len + in.len / 8 + 1024);
        struct result result;

        if (coded == NULL)
            fail("no memory");
        result = stream(CODING_IDENTITY, levels[i].coding, 4, in, in.len, coded);
        result = stream(levels[i].coding, CODING_IDENTITY, 0, slice_of(coded, result.len), 0, NULL);
        printf("| decode %s | | | %.0f | %.0f | %.0f |\n", coding_name(levels[i].coding),
               (double)in.len / result.total_s / 1e6, result.step_s * 1e6,
               (double)result.memory_len / 1024);
        free(coded);
    }
}

static void
bench_strong(struct slice in)
{
    static const struct {
        enum http_coding coding;
        int level;
    } strong[] = {{CODING_GZIP, 6}, {CODING_GZIP, 9}, {CODING_GZIP, 12}, {CODING_BR, 9},
                  {CODING_BR, 10},  {CODING_BR, 11},  {CODING_ZSTD, 12}, {CODING_ZSTD, 19}};
    size_t cap = in.len + in.len / 8 + 1024;
    char *out = malloc(cap);

    if (out == NULL)
        fail("no memory");
    printf("| whole | bytes | of the body | ms |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ARRAY_LEN(strong); i++) {
        const struct coder_pack pack = {.coding = strong[i].coding,
                                        .level = strong[i].level,
                                        .in = in,
                                        .out = out,
                                        .out_cap = cap};
        double before_s = cpu_s();
        size_t len;

        if (coder_pack(&pack, &len) != OK)
            fail("a body failed");
        printf("| %s %d | %zu | %.1f %% | %.1f |\n", coding_name(pack.coding), pack.level, len,
               100 * (double)len / (double)in.len, (cpu_s() - before_s) * 1e3);
    }
    free(out);
}

int
main(int argc, char **argv)
{
    bool strong = argc > 1 && strcmp(argv[1], "--strong") == 0;

    if (argc < 2 + strong) {
        fprintf(stderr, "usage: bench-coder [--strong] FILE...\n");
        return 2;
    }
    for (int i = 1 + strong; i < argc; i++) {
        struct slice in = read_file(argv[i]);

        printf("\n%s, %zu bytes\n\n", argv[i], in.len);
        if (strong)
            bench_strong(in);
        else
            bench_streams(in);
        free((void *)(uintptr_t)in.ptr);
    }
    return 0;
}
