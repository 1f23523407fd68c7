/* Tables and sentences out of JSON. What an answer lacks is shown as 0 or left out: an older brink
 * may know less than this program. Texts of the origin are escaped: this is a terminal. */
#include "show.h"

#include <inttypes.h>

#include "base/escape.h"
#include "base/stats.h"

static int64_t
number(const json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

void
show_text(FILE *out, struct slice text)
{
    char buf[256];

    while (text.len > 0)
        (void)fwrite(buf, 1, escape_write(ESCAPE_SHOWN, &text, buf, sizeof(buf)), out);
}

static void
print_safe(FILE *out, const char *text)
{
    if (text != NULL)
        show_text(out, slice_from_str(text));
}

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

/* "1h 5m", "42s": the two largest units. */
static void
print_duration(FILE *out, int64_t s)
{
    static const struct {
        int64_t s;
        char name;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};

    if (s <= 0) {
        fprintf(out, "0s");
        return;
    }
    for (size_t i = 0, shown = 0; i < ARRAY_LEN(units) && shown < 2; i++) {
        int64_t n = s / units[i].s;

        if (n == 0 && shown == 0)
            continue;
        shown++;
        s -= n * units[i].s;
        if (n > 0)
            fprintf(out, "%s%" PRId64 "%c", shown == 2 ? " " : "", n, units[i].name);
    }
}

void
show_bytes(FILE *out, int64_t n)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double value = (double)n;
    size_t unit = 0;

    for (; value >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
        value /= 1024;
    fprintf(out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

/* --- stats --- */

static void
print_ratio(const json_t *counters, FILE *out)
{
    int64_t hits = number(counters, "cache_hit") + number(counters, "cache_stale");
    int64_t all = hits + number(counters, "cache_miss") + number(counters, "cache_collapsed") +
                  number(counters, "cache_revalidated");

    if (all > 0)
        fprintf(out, "%.1f %% of the requests that may be answered from the cache were\n",
                100.0 * (double)hits / (double)all);
}

/* What went out less because it was compressed: on its way, and once for all. */
static void
print_saved(const json_t *counters, FILE *out)
{
    static const char *const codings[] = {"gzip", "br", "zstd"};
    int64_t saved = 0;
    char name[64];

    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        (void)snprintf(name, sizeof(name), "coded_%s_in_bytes", codings[i]);
        saved += number(counters, name);
        (void)snprintf(name, sizeof(name), "coded_%s_out_bytes", codings[i]);
        saved -= number(counters, name);
        (void)snprintf(name, sizeof(name), "variant_%s_saved_bytes", codings[i]);
        saved += number(counters, name);
    }
    if (saved <= 0)
        return;
    show_bytes(out, saved);
    fprintf(out, " less went to clients because it was compressed\n");
}

static const char *
help_of(const char *name, bool *out_bytes)
{
    *out_bytes = false;
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        if (strcmp(stats_name((enum counter)i), name) == 0) {
            *out_bytes = stats_unit((enum counter)i)[0] != '\0';
            return stats_help((enum counter)i);
        }
    }
    return "";
}

static const char *
sentence_of(const char *label)
{
    static const struct {
        const char *name, *sentence;
    } rows[] = {
#define REASON(name, fwd, detail, sentence) {#name, sentence},
#include "cache/reason.def"
#undef REASON
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcasecmp(rows[i].name, label) == 0)
            return rows[i].sentence;
    return "";
}

/* Those that occurred. */
static void
print_reasons(json_t *reasons, FILE *out)
{
    const char *name;
    json_t *value;

    if (json_object_size(reasons) > 0)
        fprintf(out, "\nreasons\n");
    json_object_foreach(reasons, name, value)
    {
        if (json_integer_value(value) == 0)
            continue;
        fprintf(out, "  ");
        print_safe(out, name);
        fprintf(out, "%*s %14" PRId64 "  %s\n", (int)(strlen(name) < 26 ? 26 - strlen(name) : 0),
                "", (int64_t)json_integer_value(value), sentence_of(name));
    }
}

void
show_stats(const json_t *root, FILE *out)
{
    json_t *counters = json_object_get(root, "counters"), *value;
    const char *name;

    fprintf(out, "brink %s, pid %" PRId64 ", up ", text_of(root, "version"), number(root, "pid"));
    print_duration(out, number(root, "uptime_s"));
    fprintf(out, "\n");
    print_ratio(counters, out);
    print_saved(counters, out);
    fprintf(out, "\n");
    json_object_foreach(counters, name, value)
    {
        bool bytes;
        const char *help = help_of(name, &bytes);

        fprintf(out, "%-28s %14" PRId64 "  %s", name, (int64_t)json_integer_value(value), help);
        if (bytes && json_integer_value(value) >= 1024) {
            fprintf(out, " (");
            show_bytes(out, (int64_t)json_integer_value(value));
            fprintf(out, ")");
        }
        fprintf(out, "\n");
    }
    print_reasons(json_object_get(root, "reasons"), out);
}

/* --- purge --- */

static void
print_count(const json_t *root, const char *member, const char *what, FILE *out)
{
    int64_t n = number(root, member);

    fprintf(out, "%" PRId64 " stored object%s%s%s", n, n == 1 ? "" : "s", what[0] == 0 ? "" : " ",
            what);
}

/* What it named and what became of that; whether it is over, and how long it took or takes. */
static void
print_progress(const json_t *root, FILE *out)
{
    bool soft = json_is_true(json_object_get(root, "soft"));
    bool done = strcmp(text_of(root, "state"), "done") == 0;

    fprintf(out, "state    ");
    print_safe(out, text_of(root, "state"));
    fprintf(out, "\nmatched  ");
    print_count(root, "matched", done ? "" : "so far", out);
    fprintf(out, soft ? "\nmarked   " : "\nremoved  ");
    print_count(root, soft ? "marked" : "removed", soft ? "stale" : "", out);
    fprintf(out, "\ntime     %" PRId64 ".%03" PRId64 " s\n", number(root, "duration_ms") / 1000,
            number(root, "duration_ms") % 1000);
}

void
show_purge(const json_t *root, FILE *out)
{
    bool soft = json_is_true(json_object_get(root, "soft"));

    fprintf(out, "purge %" PRId64 " is on disk: no request is answered with it%s any more\n",
            number(root, "id"), soft ? " unvalidated" : "");
    print_progress(root, out);
}

void
show_purge_status(const json_t *root, FILE *out)
{
    fprintf(out, "purge %" PRId64 "%s\n", number(root, "id"),
            json_is_true(json_object_get(root, "soft")) ? ", soft" : "");
    print_progress(root, out);
}

void
show_purge_going_on(const json_t *root, FILE *out)
{
    fprintf(out, "\rpurge %" PRId64 ": ", number(root, "id"));
    print_safe(out, text_of(root, "state"));
    fprintf(out, ", %" PRId64 " matched, %" PRId64 " s ", number(root, "matched"),
            number(root, "duration_ms") / 1000);
    (void)fflush(out);
}

/* --- inspect --- */

static void
print_freshness(const json_t *variant, FILE *out)
{
    int64_t ttl_s = number(variant, "ttl_s");

    print_safe(out, text_of(variant, "state"));
    fprintf(out, "; age ");
    print_duration(out, number(variant, "age_s"));
    fprintf(out, ttl_s < 0 ? ", ttl -" : ", ttl ");
    print_duration(out, ttl_s < 0 ? -ttl_s : ttl_s);
    fprintf(out, " of ");
    print_duration(out, number(variant, "lifetime_s"));
    if (json_is_true(json_object_get(variant, "heuristic")))
        fprintf(out, " (guessed from Last-Modified)");
    fprintf(out, "\n");
}

static void
print_coding(const json_t *coding, FILE *out)
{
    fprintf(out, "  coded  ");
    print_safe(out, text_of(coding, "coding"));
    if (!json_is_true(json_object_get(coding, "pays"))) {
        fprintf(out, ": does not pay\n");
        return;
    }
    fprintf(out, ": ");
    show_bytes(out, number(coding, "body_bytes"));
    fprintf(out, ", %" PRId64 " %% saved", number(coding, "saved_percent"));
    if (text_of(coding, "etag")[0] != '\0') {
        fprintf(out, ", etag ");
        print_safe(out, text_of(coding, "etag"));
    }
    fprintf(out, "\n");
}

/* What it came in, and what is kept of it in other codings. */
static void
print_codings(const json_t *variant, FILE *out)
{
    json_t *codings = json_object_get(variant, "codings"), *coding;
    const char *own = text_of(variant, "coding");
    size_t i;

    if (own[0] != '\0' && strcmp(own, "identity") != 0) {
        fprintf(out, "  coded  ");
        print_safe(out, own);
        fprintf(out, ", as it came\n");
    }
    json_array_foreach(codings, i, coding) print_coding(coding, out);
    if (json_array_size(codings) == 0 && json_is_true(json_object_get(variant, "codable")))
        fprintf(out, "  coded  when it is asked for; nothing is kept yet\n");
}

static void
print_variant(const json_t *variant, size_t i, FILE *out)
{
    json_t *tags = json_object_get(variant, "tags"), *vary = json_object_get(variant, "vary"),
           *value;
    const char *name;
    size_t at;

    fprintf(out, "\nvariant %zu: status %" PRId64 ", ", i + 1, number(variant, "status"));
    show_bytes(out, number(variant, "body_bytes"));
    fprintf(out, ", object %" PRId64 "\n  state  ", number(variant, "oid"));
    print_freshness(variant, out);
    json_object_foreach(vary, name, value)
    {
        fprintf(out, "  vary   ");
        print_safe(out, name);
        fprintf(out, ": ");
        print_safe(out, json_is_string(value) ? json_string_value(value) : "(not sent)");
        fprintf(out, "\n");
    }
    if (text_of(variant, "etag")[0] != '\0') {
        fprintf(out, "  etag   ");
        print_safe(out, text_of(variant, "etag"));
        fprintf(out, "\n");
    }
    print_codings(variant, out);
    if (json_array_size(tags) > 0)
        fprintf(out, "  tags  ");
    json_array_foreach(tags, at, value)
    {
        fprintf(out, " ");
        print_safe(out, json_string_value(value));
    }
    fprintf(out, json_array_size(tags) > 0 ? "\n" : "");
}

void
show_inspect(const json_t *root, FILE *out)
{
    json_t *variants = json_object_get(root, "variants"), *variant;
    size_t n = json_array_size(variants), i;

    print_safe(out, text_of(root, "url"));
    fprintf(out, ": %zu stored variant%s\n", n, n == 1 ? "" : "s");
    json_array_foreach(variants, i, variant) print_variant(variant, i, out);
}

/* --- explain --- */

enum { EXPLAIN_WIDTH = 96, EXPLAIN_INDENT = 13 };

/* A sentence, its words wrapped behind the column of the labels. */
static void
print_wrapped(FILE *out, const char *text)
{
    size_t column = EXPLAIN_INDENT;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column > EXPLAIN_INDENT && column + 1 + len > EXPLAIN_WIDTH) {
            fprintf(out, "\n%*s", EXPLAIN_INDENT, "");
            column = EXPLAIN_INDENT;
        } else if (column > EXPLAIN_INDENT) {
            fprintf(out, " ");
            column++;
        }
        show_text(out, slice_of(text, len));
        column += len;
        text += len + (text[len] == ' ');
    }
    fprintf(out, "\n");
}

/* The sentences that brink made, as a table. */
void
show_explain(const json_t *root, FILE *out)
{
    json_t *lines = json_object_get(root, "lines"), *line;
    size_t i;

    print_safe(out, text_of(root, "method"));
    fprintf(out, " ");
    print_safe(out, text_of(root, "url"));
    fprintf(out, "\n");
    json_array_foreach(lines, i, line)
    {
        const char *word = json_string_value(json_array_get(line, 0));
        const char *text = json_string_value(json_array_get(line, 1));
        size_t len = word == NULL ? 0 : strlen(word);

        fprintf(out, "  ");
        print_safe(out, word);
        fprintf(out, "%*s", (int)(len + 2 < EXPLAIN_INDENT ? EXPLAIN_INDENT - 2 - len : 1), "");
        print_wrapped(out, text == NULL ? "" : text);
    }
}
