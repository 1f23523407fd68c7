/* A client's pace: the grace, what earns it back, and what does not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/rate.h"

static const struct rate_rule rule = {.per_s = 100, .grace_ms = 10000, .quiet_ms = 8000};

/* A step: this long later so many more bytes are there. */
struct pace {
    unsigned ms, bytes;
    bool paused; /* meanwhile it was not the peer that was waited for */
    enum rate_verdict want;
};

static void
follow(const struct rate_rule *how, const struct pace *steps, size_t steps_n)
{
    struct rate rate;
    uint64_t now_ms = 1, seen = 5000;

    rate_init(&rate, how, seen);
    for (size_t i = 0; i < steps_n; i++) {
        if (!steps[i].paused)
            rate_wait(&rate, now_ms);
        else
            rate_pause(&rate, how, now_ms, rate.seen);
        now_ms += steps[i].ms;
        seen += steps[i].bytes;
        assert_int_equal(rate_judge(&rate, how, now_ms, seen), steps[i].want);
    }
}

static void
slow_for_longer_than_the_grace(void **state)
{
    /* Half the rate uses up half a second of grace each second. */
    struct pace steps[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i] = (struct pace){1000, 50, false, i < 19 ? RATE_FINE : RATE_SLOW};
    follow(&rule, steps, ARRAY_LEN(steps));
}

static void
bytes_earn_no_more_than_one_grace(void **state)
{
    static const struct pace steps[] = {
        {1000, 1000000000, false, RATE_FINE},
        {7000, 1, false, RATE_FINE},
        {2900, 1, false, RATE_FINE},
        {200, 1, false, RATE_SLOW},
    };

    (void)state;
    follow(&rule, steps, ARRAY_LEN(steps));
}

static void
one_byte_now_and_then_is_slow_not_quiet(void **state)
{
    static const struct pace steps[] = {
        {5000, 1, false, RATE_FINE},
        {4900, 1, false, RATE_FINE},
        {5000, 1, false, RATE_SLOW},
    };

    (void)state;
    follow(&rule, steps, ARRAY_LEN(steps));
}

static void
silence_has_its_own_limit(void **state)
{
    static const struct pace steps[] = {
        {7999, 0, false, RATE_FINE},
        {1, 0, false, RATE_QUIET},
    };

    (void)state;
    follow(&rule, steps, ARRAY_LEN(steps));
}

static void
back_pressure_does_not_count(void **state)
{
    static const struct pace steps[] = {
        {7000, 0, false, RATE_FINE},   {3600000, 0, true, RATE_FINE}, {900, 0, false, RATE_FINE},
        {3600000, 0, true, RATE_FINE}, {200, 0, false, RATE_QUIET},
    };

    (void)state;
    follow(&rule, steps, ARRAY_LEN(steps));
}

static void
a_steady_client_at_the_rate_goes_on(void **state)
{
    struct pace steps[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        steps[i] = (struct pace){1000, 100, false, RATE_FINE};
    follow(&rule, steps, ARRAY_LEN(steps));
}

static void
without_a_rate_any_pace_does(void **state)
{
    static const struct rate_rule any = {.per_s = 0, .grace_ms = 10000, .quiet_ms = 60000};
    static const struct pace steps[] = {
        {50000, 1, false, RATE_FINE},
        {59000, 1, false, RATE_FINE},
        {60000, 0, false, RATE_QUIET},
    };

    (void)state;
    follow(&any, steps, ARRAY_LEN(steps));
}

static void
who_goes_first_is_a_second_behind(void **state)
{
    struct rate rate;

    (void)state;
    rate_init(&rate, &rule, 0);
    rate_wait(&rate, 1);
    assert_int_equal(rate_due_ms(&rate, &rule), 8000);
    (void)rate_judge(&rate, &rule, 1000, 0);
    assert_false(rate_is_behind(&rate, &rule));
    (void)rate_judge(&rate, &rule, 1001, 0);
    assert_true(rate_is_behind(&rate, &rule));
    (void)rate_judge(&rate, &rule, 1002, 1000);
    assert_false(rate_is_behind(&rate, &rule));
    (void)rate_judge(&rate, &rule, 5002, 1001);
    assert_true(rate_is_behind(&rate, &rule));
    assert_int_equal(rate_due_ms(&rate, &rule), 6010);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_for_longer_than_the_grace),
        cmocka_unit_test(bytes_earn_no_more_than_one_grace),
        cmocka_unit_test(one_byte_now_and_then_is_slow_not_quiet),
        cmocka_unit_test(silence_has_its_own_limit),
        cmocka_unit_test(back_pressure_does_not_count),
        cmocka_unit_test(a_steady_client_at_the_rate_goes_on),
        cmocka_unit_test(without_a_rate_any_pace_does),
        cmocka_unit_test(who_goes_first_is_a_second_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
