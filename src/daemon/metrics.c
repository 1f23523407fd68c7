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

/* The name of a site, which is the operator's. Both formats escape alike. */
static void
print_name(FILE *out, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '\\' || *name == '"')
            (void)fputc('\\', out);
        (void)fputc((unsigned char)*name < ' ' ? '?' : *name, out);
    }
}

static bool
next_share(const struct metrics_sites *sites, size_t *at, const struct site_settings **out,
           struct store_usage *out_usage)
{
    while (sites->store != NULL && *at < sites->n) {
        *out = &sites->items[(*at)++];
        if ((*out)->share_percent > 0 && store_share_usage(sites->store, (*out)->group, out_usage))
            return true;
    }
    return false;
}

static void
print_share_rows(const struct metrics_sites *sites, FILE *out, const char *name, const char *suffix,
                 const char *help, size_t field_at)
{
    const struct site_settings *site;
    struct store_usage usage;
    bool headed = false;

    for (size_t at = 0; next_share(sites, &at, &site, &usage);) {
        uint64_t value;

        if (!headed)
            print_head(out, name, suffix, *suffix == '\0' ? "gauge" : "counter", help);
        headed = true;
        memcpy(&value, (const char *)&usage + field_at, sizeof(value));
        fprintf(out, "brink_%s%s{site=\"", name, suffix);
        print_name(out, site->name);
        fprintf(out, "\"} %" PRIu64 "\n", value);
    }
}

static void
print_shares(const struct metrics_sites *sites, FILE *out)
{
    print_share_rows(sites, out, "share_bytes", "",
                     "Of the store: the room that is the site's own.",
                     offsetof(struct store_usage, own_len));
    print_share_rows(sites, out, "share_used_bytes", "",
                     "In use by the site's objects, lent room included.",
                     offsetof(struct store_usage, used_len));
    print_share_rows(sites, out, "share_objects", "", "Objects of the site stored now.",
                     offsetof(struct store_usage, objects));
    print_share_rows(sites, out, "share_evictions", "_total", "Objects of the site evicted.",
                     offsetof(struct store_usage, evictions));
}

static void
print_json_shares(const struct metrics_sites *sites, FILE *out)
{
    const struct site_settings *site;
    struct store_usage usage;
    const char *before = "\n";

    fprintf(out, "  \"shares\": {");
    for (size_t at = 0; next_share(sites, &at, &site, &usage); before = ",\n") {
        fprintf(out, "%s    \"", before);
        print_name(out, site->name);
        fprintf(out,
                "\": {\"percent\": %u, \"bytes\": %" PRIu64 ", \"used_bytes\": %" PRIu64
                ", \"objects\": %" PRIu64 ", \"evictions\": %" PRIu64 "}",
                site->share_percent, usage.own_len, usage.used_len, usage.objects, usage.evictions);
    }
    fprintf(out, "%s},\n", *before == ',' ? "\n  " : "");
}

void
metrics_print_prometheus(const struct metrics_sites *sites, FILE *out, int64_t started_s)
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
    print_shares(sites, out);
}

void
metrics_print_json(const struct metrics_sites *sites, FILE *out, int64_t started_s, int64_t now_s)
{
    char label[CACHE_REASON_LABEL_MAX];

    fprintf(out, "{\n  \"version\": \"%s\",\n  \"pid\": %ld,\n  \"uptime_s\": %" PRId64 ",\n",
            BRINK_VERSION, (long)getpid(), now_s - started_s);
    fprintf(out, "  \"counters\": {\n");
    for (unsigned i = 0; i < STAT_COUNT; i++)
        fprintf(out, "    \"%s\": %" PRId64 "%s\n", stats_name((enum counter)i),
                stats_read((enum counter)i), i + 1 < STAT_COUNT ? "," : "");
    fprintf(out, "  },\n");
    print_json_shares(sites, out);
    fprintf(out, "  \"reasons\": {\n");
    for (unsigned i = 0; i < REASON_COUNT; i++)
        fprintf(out, "    \"%s\": %" PRId64 "%s\n", cache_reason_label((enum cache_reason)i, label),
                cache_reason_counted((enum cache_reason)i), i + 1 < REASON_COUNT ? "," : "");
    fprintf(out, "  }\n}\n");
}
