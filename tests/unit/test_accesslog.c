/* The access log: lines of both forms, whatever a client sent, and the way from workers to the
 * file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/stats.h"
#include "daemon/accesslog.h"

static struct sock_addr peer;

static struct exchange
sample(void)
{
    if (peer.len == 0)
        assert_int_equal(sock_addr_from_ip(SLICE("192.0.2.7"), 4711, &peer), OK);
    return (struct exchange){.began_us = 1700000000123456,
                             .total_us = 2500042,
                             .first_byte_us = 1250,
                             .conn_id = 3,
                             .req_id = 4,
                             .peer = &peer,
                             .method = SLICE("GET"),
                             .target = SLICE("/a?b"),
                             .host = SLICE("www.test"),
                             .http_minor = 1,
                             .status = 200,
                             .body_len = 5,
                             .outcome = EXCHANGE_MISS,
                             .reason = REASON_NOT_STORED,
                             .coding = CODING_ZSTD};
}

static char line[ACCESSLOG_LINE_MAX];

static struct slice
format(enum config_access_format form, const struct exchange *exchange)
{
    return slice_of(line, accesslog_format(form, exchange, line));
}

static void
combined_lines(void **state)
{
    static const struct {
        const char *why, *agent, *want;
    } cases[] = {
        {"nothing given", "",
         "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b HTTP/1.1\" 200 5 \"-\" \"-\" "
         "host=\"www.test\" cache=miss reason=NOT_STORED total=2.500042 first=0.001250 "
         "coding=zstd\n"},
        {"quotes and backslashes", "a \"b\" \\ c",
         "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b HTTP/1.1\" 200 5 \"-\" \"a "
         "\\\"b\\\" "
         "\\\\ c\" host=\"www.test\" cache=miss reason=NOT_STORED total=2.500042 first=0.001250 "
         "coding=zstd\n"},
        {"control bytes and beyond ASCII", "\x1b[31m\n\x7f\xff",
         "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b HTTP/1.1\" 200 5 \"-\" "
         "\"\\x1b[31m\\x0a\\x7f\\xff\" host=\"www.test\" cache=miss reason=NOT_STORED "
         "total=2.500042 "
         "first=0.001250 coding=zstd\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exchange exchange = sample();
        struct slice got;

        print_message("case: %s\n", cases[i].why);
        exchange.user_agent = slice_from_str(cases[i].agent);
        got = format(CONFIG_ACCESS_COMBINED, &exchange);
        assert_int_equal(got.len, strlen(cases[i].want));
        assert_memory_equal(got.ptr, cases[i].want, got.len);
    }
}

static void
json_lines_are_always_json(void **state)
{
    static const struct {
        const char *why;
        struct slice agent;
        const char *want;
    } cases[] = {
        {"plain", SLICE("tester/1"), "tester/1"},
        {"quotes and backslashes", SLICE("\"\\"), "\"\\"},
        {"control bytes", SLICE("\x01\n\x7f"), "\x01\n\x7f"},
        {"UTF-8 is kept", SLICE("\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\x99"),
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\x99"},
        {"a lone byte is taken as Latin-1", SLICE("\xe4"), "\xc3\xa4"},
        {"an overlong form", SLICE("\xc0\xaf"), "\xc3\x80\xc2\xaf"},
        {"a surrogate", SLICE("\xed\xa0\x80"), "\xc3\xad\xc2\xa0\xc2\x80"},
        {"cut within a character", SLICE("\xe2\x82"), "\xc3\xa2\xc2\x82"},
        {"past the last character", SLICE("\xf4\x90\x80\x80"), "\xc3\xb4\xc2\x90\xc2\x80\xc2\x80"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exchange exchange = sample();
        struct slice got;
        json_t *root;

        print_message("case: %s\n", cases[i].why);
        exchange.user_agent = cases[i].agent;
        got = format(CONFIG_ACCESS_JSON, &exchange);
        assert_int_equal(got.ptr[got.len - 1], '\n');
        assert_null(memchr(got.ptr, '\n', got.len - 1));
        root = json_loadb(got.ptr, got.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(root);
        assert_string_equal(json_string_value(json_object_get(root, "user_agent")), cases[i].want);
        assert_string_equal(json_string_value(json_object_get(root, "time")),
                            "2023-11-14T22:13:20.123456Z");
        assert_string_equal(json_string_value(json_object_get(root, "cache")), "miss");
        assert_int_equal(json_integer_value(json_object_get(root, "total_us")), 2500042);
        assert_string_equal(json_string_value(json_object_get(root, "coding")), "zstd");
        assert_true(json_is_false(json_object_get(root, "aborted")));
        json_decref(root);
    }
}

/* The longest texts of the worst bytes stay within the line, and within JSON. */
static void
long_texts_are_cut(void **state)
{
    static char bytes[65536];
    struct exchange exchange = sample();

    (void)state;
    memset(bytes, 0xff, sizeof(bytes));
    exchange.method = exchange.target = exchange.host = exchange.referer = exchange.user_agent =
        slice_of(bytes, sizeof(bytes));
    exchange.aborted = true;
    for (int form = CONFIG_ACCESS_COMBINED; form <= CONFIG_ACCESS_JSON; form++) {
        struct slice got = format((enum config_access_format)form, &exchange);

        assert_true(got.len < ACCESSLOG_LINE_MAX);
        assert_int_equal(got.ptr[got.len - 1], '\n');
    }
    {
        struct slice got = format(CONFIG_ACCESS_JSON, &exchange);
        json_t *root = json_loadb(got.ptr, got.len, 0, NULL);

        assert_non_null(root);
        assert_true(json_is_true(json_object_get(root, "aborted")));
        json_decref(root);
    }
}

/* --- from workers to a file --- */

enum { WORKERS = 3, LINES = 2000 };

struct producer {
    struct exchange_sink sink;
    unsigned worker;
};

static void *
produce(void *arg)
{
    struct producer *producer = arg;
    struct exchange exchange = sample();
    char target[64];

    for (unsigned i = 0; i < LINES; i++) {
        (void)snprintf(target, sizeof(target), "/%u/%u", producer->worker, i);
        exchange.target = slice_from_str(target);
        exchange.began_us++;
        producer->sink.fn(producer->sink.arg, producer->worker, &exchange);
        if (i % 64 == 0)
            (void)usleep(500); /* the ring is small: let it be drained */
    }
    return NULL;
}

static struct accesslog *
start(const char *path, size_t buffer)
{
    struct config_log config = {
        .access = path, .access_format = CONFIG_ACCESS_JSON, .access_buffer = buffer};
    struct accesslog *log = NULL;
    char why[256];

    assert_int_equal(accesslog_start(&config, WORKERS, why, sizeof(why), &log), OK);
    return log;
}

/* Lines of each worker, in its order; how many in all. */
static unsigned
read_lines(const char *path, unsigned next[WORKERS])
{
    FILE *file = fopen(path, "re");
    static char text[4096];
    unsigned lines = 0;

    assert_non_null(file);
    while (fgets(text, sizeof(text), file) != NULL) {
        json_t *root = json_loads(text, 0, NULL);
        unsigned worker, i;

        assert_non_null(root);
        assert_int_equal(
            sscanf(json_string_value(json_object_get(root, "target")), "/%u/%u", &worker, &i), 2);
        assert_true(worker < WORKERS && i >= next[worker]);
        next[worker] = i + 1;
        lines++;
        json_decref(root);
    }
    assert_int_equal(fclose(file), 0);
    return lines;
}

static void
every_line_is_written_or_counted(void **state)
{
    char path[] = "/tmp/brink-test-accesslog.XXXXXX";
    int64_t dropped = stats_read(STAT_access_log_dropped);
    unsigned next[WORKERS] = {0}, lines;
    struct producer producers[WORKERS];
    pthread_t threads[WORKERS];
    struct accesslog *log;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    (void)sample(); /* the peer, before the threads */
    log = start(path, 64 << 10);
    for (unsigned i = 0; i < WORKERS; i++) {
        producers[i] = (struct producer){accesslog_sink(log), i};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    accesslog_stop(&log);
    assert_null(log);
    dropped = stats_read(STAT_access_log_dropped) - dropped;
    lines = read_lines(path, next);
    assert_int_equal(lines + dropped, WORKERS * LINES);
    assert_true(lines > 0);
    assert_int_equal(unlink(path), 0);
}

static void
a_full_ring_drops_and_counts(void **state)
{
    int64_t dropped = stats_read(STAT_access_log_dropped);
    struct exchange exchange = sample();
    struct accesslog *log;
    int ends[2];
    char path[64];

    (void)state;
    assert_int_equal(pipe(ends), 0); /* nobody reads it: the writing thread stands still */
    (void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
    log = start(path, 64 << 10);
    for (unsigned i = 0; i < 100000 && stats_read(STAT_access_log_dropped) == dropped; i++)
        accesslog_sink(log).fn(accesslog_sink(log).arg, 0, &exchange);
    assert_true(stats_read(STAT_access_log_dropped) > dropped);
    assert_int_equal(close(ends[0]), 0); /* its write fails now, and it goes on */
    accesslog_stop(&log);
    assert_int_equal(close(ends[1]), 0);
}

static bool
has_bytes(const char *path)
{
    for (int i = 0; i < 2000; i++) {
        if (access(path, F_OK) == 0) {
            FILE *file = fopen(path, "re");
            int c = file == NULL ? EOF : fgetc(file);

            if (file != NULL)
                assert_int_equal(fclose(file), 0);
            if (c != EOF)
                return true;
        }
        (void)usleep(1000);
    }
    return false;
}

static void
a_moved_file_is_begun_anew(void **state)
{
    char path[] = "/tmp/brink-test-accesslog.XXXXXX", moved[64];
    struct exchange exchange = sample();
    struct accesslog *log;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    (void)snprintf(moved, sizeof(moved), "%s.1", path);
    log = start(path, 64 << 10);
    accesslog_sink(log).fn(accesslog_sink(log).arg, 1, &exchange);
    assert_true(has_bytes(path));
    assert_int_equal(rename(path, moved), 0);
    accesslog_reopen(log);
    for (int i = 0; i < 2000 && access(path, F_OK) != 0; i++)
        (void)usleep(1000);
    accesslog_sink(log).fn(accesslog_sink(log).arg, 1, &exchange);
    accesslog_stop(&log); /* writes what is left */
    assert_true(has_bytes(path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(moved), 0);
}

static void
a_file_that_cannot_be_opened_is_told(void **state)
{
    struct config_log config = {.access = "/nonexistent/a.log", .access_buffer = 65536};
    struct accesslog *log = NULL;
    char why[256] = "";

    (void)state;
    assert_int_equal(accesslog_start(&config, 1, why, sizeof(why), &log), ERR_SYSTEM);
    assert_null(log);
    assert_string_equal(why, "the access log /nonexistent/a.log cannot be opened: No such file or "
                             "directory; choose another path");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combined_lines),
        cmocka_unit_test(json_lines_are_always_json),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(every_line_is_written_or_counted),
        cmocka_unit_test(a_full_ring_drops_and_counts),
        cmocka_unit_test(a_moved_file_is_begun_anew),
        cmocka_unit_test(a_file_that_cannot_be_opened_is_told),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
