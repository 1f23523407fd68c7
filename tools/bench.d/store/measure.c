/* Clocks, what the system counts, and histograms. */
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#include "bench.h"

void
die(const char *format, ...)
{
    va_list args;

    (void)fprintf(stderr, "bench-store: ");
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(1);
}

static double
clock_s(clockid_t clock)
{
    struct timespec time;

    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

double
now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

double
process_cpu_s(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

double
thread_cpu_s(void)
{
    return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

/* The number behind a name in one of /proc's files of lines. */
static uint64_t
proc_number(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    size_t name_len = strlen(name);
    uint64_t number = 0;
    char line[256];

    if (file == NULL)
        die("cannot read %s", path);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, name_len) == 0)
            number = strtoull(line + name_len, NULL, 10);
    (void)fclose(file);
    return number;
}

/* write_bytes beside it counts whole folios of the page cache, several times too much. */
uint64_t
written_len(void)
{
    return proc_number("/proc/self/io", "wchar:");
}

uint64_t
anonymous_len(void)
{
    return proc_number("/proc/self/status", "RssAnon:") * 1024;
}

static void
use_cpus(bool last)
{
    cpu_set_t all, mine;
    int highest = -1, n = 0;

    if (sched_getaffinity(0, sizeof(all), &all) == -1)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        highest = cpu;
        n++;
    }
    if (n < 2)
        return;
    CPU_ZERO(&mine);
    if (last)
        CPU_SET(highest, &mine);
    else
        mine = all;
    if (!last)
        CPU_CLR(highest, &mine);
    (void)sched_setaffinity(0, sizeof(mine), &mine);
}

void
leave_last_cpu(void)
{
    use_cpus(false);
}

void
take_last_cpu(void)
{
    use_cpus(true);
}

void
gauges_begin(struct gauges *gauges)
{
    for (int i = 0; i < STAT_COUNT; i++)
        gauges->before[i] = stats_read((enum counter)i);
}

uint64_t
gauges_read(const struct gauges *gauges, enum counter stat)
{
    return (uint64_t)(stats_read(stat) - gauges->before[stat]);
}

void
histogram_add(struct histogram *histogram, uint64_t ns)
{
    unsigned octave = 63U - (unsigned)__builtin_clzll(ns | 32);
    uint64_t step = (ns | (ns < 32 ? 32 : 0)) >> (octave - 5) & 31;

    histogram->count[octave * 32 + step]++;
    histogram->total++;
}

double
histogram_us(const struct histogram *histogram, double share)
{
    uint64_t seen = 0, want = (uint64_t)(share * (double)histogram->total);

    for (unsigned i = 0; i < HISTOGRAM_STEPS; i++) {
        seen += histogram->count[i];
        if (seen > want)
            return (double)((32ULL + i % 32) << (i / 32 - 5)) / 1e3;
    }
    return 0;
}

uint64_t
dice(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1dU;
}
