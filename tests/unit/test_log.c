/* The event log, read back from a file that stands in for standard error. The rate limit is a
 * thread's, so each test runs its lines in a thread of its own. */
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "base/stats.h"

static char got[64 * 1024]; /* what the last capture saw */

static void *
run(void *say)
{
    ((void (*)(void))say)();
    return NULL;
}

/* Runs `say` in a thread; its lines are in `got`. */
static void
capture(void (*say)(void))
{
    FILE *file = tmpfile();
    int stderr_fd = dup(STDERR_FILENO);
    pthread_t thread;
    ssize_t len;

    assert_non_null(file);
    assert_int_not_equal(stderr_fd, -1);
    assert_int_not_equal(dup2(fileno(file), STDERR_FILENO), -1);
    assert_int_equal(pthread_create(&thread, NULL, run, (void *)say), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_not_equal(dup2(stderr_fd, STDERR_FILENO), -1);
    (void)close(stderr_fd);
    len = pread(fileno(file), got, sizeof(got) - 1, 0);
    assert_int_not_equal(len, -1);
    got[len] = '\0';
    (void)fclose(file);
}

static unsigned
count_lines(void)
{
    unsigned n = 0;

    for (const char *c = got; *c != '\0'; c++)
        n += *c == '\n';
    return n;
}

static void
say_one(void)
{
    LOG(WARN, store, "file=%s objects=%d", "a.mdb", 5);
}

/* "2026-01-02T03:04:05.678Z level=..." */
static void
line_has_its_parts(void **state)
{
    static const char shape[] = "0000-00-00T00:00:00.000Z ";

    capture(say_one);
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (shape[i] == '0')
            assert_in_range(got[i], '0', '9');
        else
            assert_int_equal(got[i], shape[i]);
    }
    assert_string_equal(got + sizeof(shape) - 1,
                        "level=warn event=store thread=main file=a.mdb objects=5\n");
}

static void
say_with_ids(void)
{
    log_set_thread("worker-1");
    log_set_ids(7, 0);
    LOG(INFO, ready, "a=1");
    log_set_ids(7, UINT64_MAX);
    LOG(INFO, ready, "a=2");
    log_set_ids(0, 0);
    LOG(ERROR, ready, "%s", "");
}

static void
ids_are_shown(void **state)
{
    capture(say_with_ids);
    assert_non_null(strstr(got, "level=info event=ready thread=worker-1 conn=7 a=1\n"));
    assert_non_null(strstr(got, "thread=worker-1 conn=7 req=18446744073709551615 a=2\n"));
    assert_non_null(strstr(got, "level=error event=ready thread=worker-1\n"));
    assert_int_equal(count_lines(), 3);
}

static const char *none; /* NULL, which the compiler is not to know */

static void
say_hostile(void)
{
    static const char hostile[] = "a\nb\r\t\x1b[31m\x7f\x01 \xc3\xa4 \xc2\x9b \xff \" end=2 \\";

    LOG(INFO, purge, "url=\"%s\" end=1", hostile);
    LOG(INFO, purge, "url=\"%.*s\" end=1", 4, hostile);
    LOG(INFO, purge, "url=\"%s\" none=\"%.*s\" end=1", none, 0, none);
}

/* A peer's bytes make no second line, steer no terminal and add no word of their own. */
static void
texts_are_escaped(void **state)
{
    capture(say_hostile);
    assert_non_null(strstr(got, " url=\"a\\x0ab\\x0d\\x09\\x1b[31m\\x7f\\x01 \xc3\xa4 \\xc2\\x9b "
                                "\\xff \\\" end=2 \\\\\" end=1\n"));
    assert_non_null(strstr(got, " url=\"a\\x0ab\\x0d\" end=1\n"));
    assert_non_null(strstr(got, " url=\"(null)\" none=\"\" end=1\n"));
    assert_int_equal(count_lines(), 3);
}

static void
say_numbers(void)
{
    LOG(INFO, purge, "a=%d b=%u c=%x d=100%%", -7, 4000000000U, 0xbeefU);
    LOG(INFO, purge, "a=%ld b=%lu c=%lx", LONG_MIN, ULONG_MAX, 0xdeadbeefUL);
    LOG(INFO, purge, "a=%lld b=%llu c=%llx", LLONG_MIN, ULLONG_MAX, 0xfeedULL);
    LOG(INFO, purge, "a=%zu b=%zd c=%" PRIu64 " d=%" PRId64, SIZE_MAX, (ssize_t)-1, UINT64_MAX,
        INT64_MIN);
}

static void
numbers_are_as_printf_has_them(void **state)
{
    capture(say_numbers);
    assert_non_null(strstr(got, " a=-7 b=4000000000 c=beef d=100%\n"));
    assert_non_null(strstr(got, " a=-9223372036854775808 b=18446744073709551615 c=deadbeef\n"));
    assert_non_null(strstr(got, " a=-9223372036854775808 b=18446744073709551615 c=feed\n"));
    assert_non_null(strstr(got, " a=18446744073709551615 b=-1 c=18446744073709551615 "
                                "d=-9223372036854775808\n"));
}

static void
say_much(void)
{
    static char text[5000];

    memset(text, 'x', sizeof(text) - 1);
    LOG(INFO, purge, "%s", text);
    memset(text, '\n', sizeof(text) - 1);
    LOG(INFO, purge, "%s %s %s %s %s", text, text, text, text, text);
    LOG(INFO, purge, "a=\"%s\" last=1", text);
}

/* A text that is too long is cut within its quotes, a line that is where it ends. */
static void
long_lines_are_cut(void **state)
{
    capture(say_much);
    assert_int_equal(count_lines(), 3);
    assert_non_null(strstr(got, "xxxxxxxx...\n"));
    assert_non_null(strstr(got, "\\x0a\\x0a"));
    assert_non_null(strstr(got, "\\x0a...\" last=1\n"));
    assert_in_range(strlen(got), 4096, 3 * 4096);
}

static void
say_all_levels(void)
{
    LOG(DEBUG, starting, "n=0");
    LOG(INFO, starting, "n=1");
    LOG(WARN, starting, "n=2");
    LOG(ERROR, starting, "n=3");
}

static void
levels(void **state)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    enum log_level level = LOG_WARN;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        assert_true(log_level_from(slice_from_str(names[i]), &level));
        assert_int_equal(level, i);
        log_set_level(level);
        capture(say_all_levels);
        assert_int_equal(count_lines(), ARRAY_LEN(names) - i);
    }
    log_set_level(LOG_INFO);
    level = LOG_WARN;
    assert_false(log_level_from(SLICE("Info"), &level));
    assert_false(log_level_from(SLICE(""), &level));
    assert_false(log_level_from(SLICE("infos"), &level));
    assert_int_equal(level, LOG_WARN);
}

static void
say_often(void)
{
    for (unsigned i = 0; i < 50; i++)
        LOG(INFO, out_of_memory, "n=%u", i); /* 10 a minute */
    LOG(INFO, limit, "other=1");             /* another event has a quota of its own */
}

/* A turn of the minute in between gives a second quota: then it is tried again. */
static void
rate_is_limited(void **state)
{
    int64_t suppressed;
    time_t minute;

    do {
        minute = time(NULL) / 60;
        suppressed = stats_read(STAT_log_suppressed);
        capture(say_often);
    } while (time(NULL) / 60 != minute);
    assert_int_equal(count_lines(), 11);
    assert_non_null(strstr(got, " n=9\n"));
    assert_null(strstr(got, " n=10\n"));
    assert_non_null(strstr(got, " other=1\n"));
    assert_int_equal(stats_read(STAT_log_suppressed) - suppressed, 40);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_has_its_parts), cmocka_unit_test(ids_are_shown),
        cmocka_unit_test(texts_are_escaped),  cmocka_unit_test(numbers_are_as_printf_has_them),
        cmocka_unit_test(long_lines_are_cut), cmocka_unit_test(levels),
        cmocka_unit_test(rate_is_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
