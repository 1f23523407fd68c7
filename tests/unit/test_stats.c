/* Counters over threads. Counts are the process's, so every test reads differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ctype.h>
#include <pthread.h>

#include "base/stats.h"

enum { THREADS_N = 4, ROUNDS_N = 20000 };

static void
in_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    void *failed;

    assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
}

static void *
count_rounds(void *attach)
{
    if (attach != NULL && stats_attach() != OK)
        return attach;
    for (unsigned i = 0; i < ROUNDS_N; i++) {
        STAT_INC(requests);
        STAT_ADD(client_bytes_in, 3);
        STAT_INC(requests_active);
        STAT_DEC(requests_active);
    }
    return NULL;
}

/* Threads with cells of their own, threads without, and a reader beside them lose nothing. */
static void
threads_add_up(void **state)
{
    int64_t requests = stats_read(STAT_requests), bytes = stats_read(STAT_client_bytes_in);
    int64_t active = stats_read(STAT_requests_active), before = requests;
    pthread_t threads[THREADS_N];
    static char yes;

    for (unsigned i = 0; i < THREADS_N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_rounds, i % 2 == 0 ? &yes : NULL),
                         0);
    for (unsigned i = 0; i < 1000; i++) {
        int64_t now = stats_read(STAT_requests);

        assert_true(now >= before); /* a counter never goes back */
        before = now;
    }
    for (unsigned i = 0; i < THREADS_N; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(stats_read(STAT_requests) - requests, THREADS_N * ROUNDS_N);
    assert_int_equal(stats_read(STAT_client_bytes_in) - bytes, 3 * THREADS_N * ROUNDS_N);
    assert_int_equal(stats_read(STAT_requests_active), active);
}

static void *
count_labelled(void *attach)
{
    if (attach != NULL && stats_attach() != OK)
        return attach;
    for (unsigned i = 0; i < ROUNDS_N; i++)
        stats_add_labelled(STATS_LABELLED_MAX - 1, 1);
    return NULL;
}

/* The labelled cells lie beside the others and touch none of them. */
static void
labelled_cells_are_apart(void **state)
{
    enum counter last = (enum counter)(STAT_COUNT - 1);
    int64_t first_row = stats_read_labelled(0), other = stats_read(last);
    static char yes;

    (void)state;
    in_thread(count_labelled, &yes);
    in_thread(count_labelled, NULL);
    assert_int_equal(stats_read_labelled(STATS_LABELLED_MAX - 1), 2 * ROUNDS_N);
    assert_int_equal(stats_read_labelled(0), first_row);
    assert_int_equal(stats_read(last), other);
}

static void *
set_gauge(void *value)
{
    if (stats_attach() != OK)
        return value;
    STAT_SET(store_objects, *(int64_t *)value);
    STAT_SET(store_objects, *(int64_t *)value + 1);
    return NULL;
}

/* What a thread set stays when it is gone; several threads' gauges are summed. */
static void
gauges_are_set(void **state)
{
    int64_t before = stats_read(STAT_store_objects), ten = 10, twenty = 20;

    in_thread(set_gauge, &ten);
    assert_int_equal(stats_read(STAT_store_objects) - before, 11);
    in_thread(set_gauge, &twenty);
    assert_int_equal(stats_read(STAT_store_objects) - before, 32);
}

static void *
attach_without_memory(void *out)
{
    enum err *rc = out;

    mem_fail_at(1);
    rc[0] = stats_attach();
    STAT_INC(purges); /* still counted, in the shared cells */
    rc[1] = stats_attach();
    STAT_INC(purges);
    mem_fail_at(1);
    rc[2] = stats_attach(); /* attached already: needs nothing */
    mem_fail_at(0);
    return NULL;
}

static void
attaching_may_fail(void **state)
{
    int64_t before = stats_read(STAT_purges);
    enum err rc[3] = {OK, ERR_NOMEM, ERR_NOMEM};

    in_thread(attach_without_memory, rc);
    assert_int_equal(rc[0], ERR_NOMEM);
    assert_int_equal(rc[1], OK);
    assert_int_equal(rc[2], OK);
    assert_int_equal(stats_read(STAT_purges) - before, 2);
}

/* What /metrics needs of each row: a name of lower case, one sentence, a known unit. */
static void
rows_are_complete(void **state)
{
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        const char *name = stats_name((enum counter)i), *help = stats_help((enum counter)i);
        const char *unit = stats_unit((enum counter)i);

        for (const char *c = name; *c != '\0'; c++)
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
        assert_true(isupper((unsigned char)help[0]));
        assert_int_equal(help[strlen(help) - 1], '.');
        assert_true(strcmp(unit, "") == 0 || strcmp(unit, "bytes") == 0);
        for (unsigned other = 0; other < i; other++)
            assert_string_not_equal(stats_name((enum counter)other), name);
    }
    assert_true(stats_is_gauge(STAT_connections_open));
    assert_false(stats_is_gauge(STAT_requests));
}

/* Every error of a client counts itself as one kind of refusal; no other error does. */
static void
refusals_are_counted_by_kind(void **state)
{
    for (unsigned rc = OK; rc < ERR_COUNT; rc++) {
        int64_t before[STAT_COUNT];
        unsigned counted_n = 0, status = err_status((enum err)rc);
        bool refusal;

        for (unsigned i = 0; i < STAT_COUNT; i++)
            before[i] = stats_read((enum counter)i);
        refusal = stats_refused((enum err)rc);
        for (unsigned i = 0; i < STAT_COUNT; i++)
            if (stats_read((enum counter)i) != before[i]) {
                assert_memory_equal(stats_name((enum counter)i), "refused_", 8);
                counted_n++;
            }
        assert_int_equal(counted_n, refusal ? 1 : 0);
        if (refusal)
            assert_true((status >= 400 && status < 500) || status == 501 || status == 505);
    }
    assert_true(stats_refused(ERR_BAD_REQUEST));
    assert_false(stats_refused(ERR_NOMEM));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_add_up),    cmocka_unit_test(labelled_cells_are_apart),
        cmocka_unit_test(gauges_are_set),    cmocka_unit_test(attaching_may_fail),
        cmocka_unit_test(rows_are_complete), cmocka_unit_test(refusals_are_counted_by_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
