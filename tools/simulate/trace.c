/* Requests: lines of a trace, or a Zipf law with objects in between that are asked for once. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "simulate.h"

enum { LINE_MAX_LEN = 4096, ID_ONCE_BIT = 63 };

#define LEN_MAX ((uint64_t)UINT32_MAX * RECORD_ROOM_UNIT / 2) /* 137 GB */

struct trace {
    struct trace_options options;
    FILE *file;
    uint64_t line, n; /* lines read; requests given */
    uint64_t dice;
    double *sums; /* of the law, up to each object */
};

/* Steele, Lea and Flood's mixer: a counter in, random bits out. */
static uint64_t
mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
    return x ^ (x >> 31);
}

static double
unit(uint64_t bits)
{
    return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

static double
roll(struct trace *trace)
{
    trace->dice += 0x9e3779b97f4a7c15U;
    return unit(mix(trace->dice));
}

/* --- made --- */

static void
make_law(struct trace *trace)
{
    uint64_t n = trace->options.objects;
    double sum = 0;

    trace->sums = mem_alloc(n * sizeof(trace->sums[0]));
    if (trace->sums == NULL)
        die("no memory for a law of %llu objects", (unsigned long long)n);
    for (uint64_t i = 0; i < n; i++)
        trace->sums[i] = sum += pow((double)(i + 1), -trace->options.zipf);
}

static uint64_t
rank_of(const struct trace *trace, double at)
{
    uint64_t low = 0, high = trace->options.objects - 1;

    at *= trace->sums[high];
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (trace->sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The same for the same object, whenever it is asked for. */
static uint64_t
len_of(const struct trace *trace, uint64_t id)
{
    double a = unit(mix(id * 2 + trace->options.seed)), b = unit(mix(id * 2 + 1));
    double normal = sqrt(-2 * log(a)) * cos(2 * 3.14159265358979323846 * b);
    double len = trace->options.median * exp(trace->options.sigma * normal);

    return len < 100 ? 100 : len > 0x1p30 ? 1ULL << 30 : (uint64_t)len;
}

static bool
make_next(struct trace *trace, struct request *out)
{
    bool once = roll(trace) < trace->options.one_hit;
    double at = roll(trace);

    if (trace->n == trace->options.requests)
        return false;
    if (once)
        out->id = 1ULL << ID_ONCE_BIT | trace->n;
    else
        out->id = rank_of(trace, at) + (uint64_t)((double)trace->n * trace->options.drift);
    out->group = once ? 2 : 1;
    out->len = len_of(trace, out->id);
    return true;
}

/* --- read --- */

static void
refuse_line(const struct trace *trace, const char *why)
{
    die("%s:%llu: %s", trace->options.path, (unsigned long long)trace->line, why);
}

static bool
read_line(struct trace *trace, char line[LINE_MAX_LEN])
{
    size_t len;

    do {
        if (fgets(line, LINE_MAX_LEN, trace->file) == NULL) {
            if (ferror(trace->file))
                die("%s: %s", trace->options.path, strerror(errno));
            return false;
        }
        trace->line++;
        len = strlen(line);
        if (len == LINE_MAX_LEN - 1 && line[len - 1] != '\n')
            refuse_line(trace, "a line longer than 4,094 bytes");
        while (len > 0 && strchr("\r\n", line[len - 1]) != NULL)
            line[--len] = '\0';
    } while (len == 0 || line[0] == '#' ||
             (trace->line == 1 && strpbrk(line, "0123456789") == NULL));
    return true;
}

/* Column `column` of a line as a number; blanks around it do not matter. */
static uint64_t
number_in(const struct trace *trace, const char *line, unsigned column, const char *what)
{
    char why[96], *end;
    unsigned long long number;

    for (unsigned i = 1; i < column && line != NULL; i++) {
        line = strchr(line, ',');
        line = line == NULL ? NULL : line + 1;
    }
    if (line != NULL) {
        line += strspn(line, " \t");
        errno = 0;
        number = strtoull(line, &end, 10);
        end += strspn(end, " \t");
        if (line[0] >= '0' && line[0] <= '9' && errno == 0 && (*end == ',' || *end == '\0'))
            return number;
    }
    (void)snprintf(why, sizeof(why), "no %s in column %u: a whole number is wanted there", what,
                   column);
    refuse_line(trace, why);
    UNREACHABLE();
}

static bool
read_next(struct trace *trace, struct request *out)
{
    const unsigned *columns = trace->options.columns;
    char line[LINE_MAX_LEN];

    if ((trace->options.requests != 0 && trace->n == trace->options.requests) ||
        !read_line(trace, line))
        return false;
    if (columns[0] != 0)
        (void)number_in(trace, line, columns[0], "time");
    out->id = number_in(trace, line, columns[1], "object id");
    out->len = number_in(trace, line, columns[2], "size");
    out->group = 0;
    if (columns[3] != 0)
        out->group = (uint32_t)number_in(trace, line, columns[3], "group");
    if (out->len > LEN_MAX)
        refuse_line(trace, "a size above 137 GB");
    return true;
}

/* --- life --- */

struct trace *
trace_new(const struct trace_options *options)
{
    struct trace *trace = mem_zalloc(sizeof(*trace));

    if (trace == NULL)
        die("%s", err_text(ERR_NOMEM));
    trace->options = *options;
    trace->dice = options->seed;
    if (options->path == NULL) {
        make_law(trace);
        return trace;
    }
    trace->file = strcmp(options->path, "-") == 0 ? stdin : fopen(options->path, "re");
    if (trace->file == NULL)
        die("%s: %s", options->path, strerror(errno));
    return trace;
}

void
trace_free(struct trace **slot)
{
    struct trace *trace = *slot;

    *slot = NULL;
    if (trace->file != NULL && trace->file != stdin)
        (void)fclose(trace->file);
    mem_free(trace->sums);
    mem_free(trace);
}

void
trace_rewind(struct trace *trace)
{
    if (trace->file != NULL)
        rewind(trace->file);
    trace->line = trace->n = 0;
    trace->dice = trace->options.seed;
}

bool
trace_next(struct trace *trace, struct request *out)
{
    bool any = trace->options.path == NULL ? make_next(trace, out) : read_next(trace, out);

    trace->n += any;
    return any;
}
