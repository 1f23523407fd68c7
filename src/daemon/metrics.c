/* Counters from their tables, as Prometheus and as JSON. Names are letters, digits and underscores
 * by the tables' own form, so nothing here needs escaping but the help texts. */
#include "daemon/metrics.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/stats.h"
#include "cache/reason.h"

static void
print_head(FILE *out, const char *name, const char *suffix, const char *type, const char *help)
{
    fprintf(out, "# HELP brink_%s%s ", name, suffix);
    for (; *help != '\0'; help++) {
        if (*help == '\\' || *help == '\n')
            fprintf(out, "\\%c", *help == '\n' ? 'n' : '\\');
        else
            (void)fputc(*help, out);
    }
    fprintf(out, "\n# TYPE brink_%s%s %s\n", name, suffix, type);
}

static void
print_reasons(FILE *out)
{
    char label[CACHE_REASON_LABEL_MAX];

    print_head(out, "reasons", "_total", "counter",
               "Why requests were answered as they were, and what became of fetched responses.");
    for (unsigned i = 0; i < REASON_COUNT; i++)
        fprintf(out, "brink_reasons_total{reason=\"%s\"} %" PRId64 "\n",
                cache_reason_label((enum cache_reason)i, label),
                cache_reason_counted((enum cache_reason)i));
}

void
metrics_print_prometheus(FILE *out, int64_t started_s)
{
    print_head(out, "build_info", "", "gauge", "Always 1; the version is a label.");
    fprintf(out, "brink_build_info{version=\"%s\"} 1\n", BRINK_VERSION);
    print_head(out, "start_time_seconds", "", "gauge", "When the daemon started, since the epoch.");
    fprintf(out, "brink_start_time_seconds %" PRId64 "\n", started_s);
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        enum counter stat = (enum counter)i;
        const char *suffix = stats_is_gauge(stat) ? "" : "_total";

        print_head(out, stats_name(stat), suffix, stats_is_gauge(stat) ? "gauge" : "counter",
                   stats_help(stat));
        fprintf(out, "brink_%s%s %" PRId64 "\n", stats_name(stat), suffix, stats_read(stat));
    }
    print_reasons(out);
}

void
metrics_print_json(FILE *out, int64_t started_s, int64_t now_s)
{
    char label[CACHE_REASON_LABEL_MAX];

    fprintf(out, "{\n  \"version\": \"%s\",\n  \"pid\": %ld,\n  \"uptime_s\": %" PRId64 ",\n",
            BRINK_VERSION, (long)getpid(), now_s - started_s);
    fprintf(out, "  \"counters\": {\n");
    for (unsigned i = 0; i < STAT_COUNT; i++)
        fprintf(out, "    \"%s\": %" PRId64 "%s\n", stats_name((enum counter)i),
                stats_read((enum counter)i), i + 1 < STAT_COUNT ? "," : "");
    fprintf(out, "  },\n  \"reasons\": {\n");
    for (unsigned i = 0; i < REASON_COUNT; i++)
        fprintf(out, "    \"%s\": %" PRId64 "%s\n", cache_reason_label((enum cache_reason)i, label),
                cache_reason_counted((enum cache_reason)i), i + 1 < REASON_COUNT ? "," : "");
    fprintf(out, "  }\n}\n");
}
