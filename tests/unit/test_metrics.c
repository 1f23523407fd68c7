/* Counters as Prometheus reads them and as JSON, and the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/stats.h"
#include "cache/reason.h"
#include "daemon/metrics.h"
#include "daemon/options.h"

static char *
printed(bool json)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    if (json)
        metrics_print_json(&(struct metrics_sites){0}, out, 1000, 1060);
    else
        metrics_print_prometheus(&(struct metrics_sites){0}, out, 1000);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Prometheus text format 0.0.4: HELP, TYPE and a sample each; counters end in _total. */
static void
every_counter_is_exposed(void **state)
{
    char *text;

    (void)state;
    STAT_ADD(cache_hit, 3);
    STAT_SET(store_objects, 7);
    text = printed(false);
    assert_non_null(strstr(text, "\n# HELP brink_cache_hit_total Requests answered from a fresh "
                                 "stored response.\n# TYPE brink_cache_hit_total counter\n"
                                 "brink_cache_hit_total 3\n"));
    assert_non_null(strstr(text, "\n# TYPE brink_store_objects gauge\nbrink_store_objects 7\n"));
    assert_non_null(strstr(text, "\nbrink_build_info{version=\"" BRINK_VERSION "\"} 1\n"));
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        char want[128];

        (void)snprintf(want, sizeof(want), "\nbrink_%s%s ", stats_name((enum counter)i),
                       stats_is_gauge((enum counter)i) ? "" : "_total");
        assert_non_null(strstr(text, want));
    }
    free(text);
}

/* One family, one row of the table a label. */
static void
every_reason_is_exposed(void **state)
{
    char *text, label[CACHE_REASON_LABEL_MAX];

    (void)state;
    cache_reason_count(REASON_HIT_FOR_MISS);
    text = printed(false);
    assert_non_null(strstr(text, "\n# TYPE brink_reasons_total counter\n"
                                 "brink_reasons_total{reason=\"local\"} 0\n"));
    assert_non_null(strstr(text, "\nbrink_reasons_total{reason=\"hit_for_miss\"} 1\n"));
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        char want[128];

        (void)snprintf(want, sizeof(want), "\nbrink_reasons_total{reason=\"%s\"} ",
                       cache_reason_label((enum cache_reason)i, label));
        assert_non_null(strstr(text, want));
    }
    free(text);
}

static void
stats_are_json(void **state)
{
    char *text = printed(true);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *counters, *reasons;

    (void)state;
    assert_non_null(root);
    assert_int_equal(json_integer_value(json_object_get(root, "uptime_s")), 60);
    assert_string_equal(json_string_value(json_object_get(root, "version")), BRINK_VERSION);
    counters = json_object_get(root, "counters");
    assert_int_equal(json_object_size(counters), STAT_COUNT);
    assert_int_equal(json_integer_value(json_object_get(counters, "cache_hit")),
                     stats_read(STAT_cache_hit));
    reasons = json_object_get(root, "reasons");
    assert_int_equal(json_object_size(reasons), REASON_COUNT);
    assert_int_equal(json_integer_value(json_object_get(reasons, "hit_for_miss")),
                     cache_reason_counted(REASON_HIT_FOR_MISS));
    json_decref(root);
    free(text);
}

static void
options_are_read(void **state)
{
    char *argv[] = {"brink",    "--listen",     ":1",  "--listen=:2", "--origin",
                    "http://a", "--set",        "a=b", "--set=c=d",   "--workers",
                    "2",        "-t",           "-c",  "x.conf",      "--store",
                    "/s",       "--store-size", "1GB", "--admin",     "127.0.0.1:1"};
    struct options options;
    char why[256] = "";

    (void)state;
    assert_int_equal(options_parse((int)ARRAY_LEN(argv), argv, &options, why, sizeof(why)), OK);
    assert_int_equal(options.task, OPTIONS_TEST);
    assert_int_equal(options.args.listens_n, 2);
    assert_string_equal(options.args.listens[1], ":2");
    assert_int_equal(options.args.sets_n, 2);
    assert_string_equal(options.args.sets[1], "c=d");
    assert_string_equal(options.args.path, "x.conf");
    assert_string_equal(options.args.origin, "http://a");
    assert_string_equal(options.args.store_path, "/s");
    assert_string_equal(options.args.store_size, "1GB");
    assert_string_equal(options.args.workers, "2");
    assert_string_equal(options.args.admin, "127.0.0.1:1");
}

static void
wrong_options_are_told(void **state)
{
    static const struct {
        const char *why, *word, *want;
    } cases[] = {
        {"a slip", "--orign=x", "unknown option --orign; did you mean --origin?"},
        {"nothing near", "--xyzzy", "unknown option --xyzzy; brink --help lists them"},
        {"a letter", "-x", "unknown option -x; brink --help lists them"},
        {"no value", "--listen", "--listen needs a value; brink --help shows which"},
        {"no value of a letter", "-c", "-c needs a value; brink --help shows which"},
        {"a value too many", "--test=3", "--test takes no value; leave the = away"},
        {"a stray word", "x.conf", "x.conf is not an option; brink --help lists them"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *argv[] = {"brink", strdup(cases[i].word), NULL};
        struct options options;
        char why[256] = "";

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(options_parse(2, argv, &options, why, sizeof(why)), ERR_SYNTAX);
        assert_string_equal(why, cases[i].want);
        free(argv[1]);
    }
}

static void
help_fits_a_screen(void **state)
{
    char *text = NULL;
    size_t len, column = 0, lines = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    assert_non_null(out);
    options_print_help(out);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < len; i++) {
        column = text[i] == '\n' ? 0 : column + 1;
        lines += text[i] == '\n';
        assert_true(column <= 80);
    }
    assert_true(lines <= 24);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_is_exposed), cmocka_unit_test(every_reason_is_exposed),
        cmocka_unit_test(stats_are_json),           cmocka_unit_test(options_are_read),
        cmocka_unit_test(wrong_options_are_told),   cmocka_unit_test(help_fits_a_screen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
