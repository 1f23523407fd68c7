/* Turns that take too long: what they are told to come from, and that they are counted once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <time.h>
#include <unistd.h>

#include "base/stats.h"
#include "net/loop.h"
#include "net/turn.h"

static void
the_cause_is_what_the_time_went_to(void **state)
{
    static const struct {
        const char *why;
        struct turn_usage used;
        int64_t wall_us;
        enum turn_cause want;
    } cases[] = {
        {"it computed", {20000, 0, 0}, 20000, TURN_CAUSE_WORK},
        {"it computed, and lost its processor now and then", {12000, 0, 5}, 20000, TURN_CAUSE_WORK},
        {"it computed, and read a little", {18000, 2, 0}, 20000, TURN_CAUSE_WORK},
        {"it read", {500, 1, 0}, 20000, TURN_CAUSE_DISK},
        {"it read, on a busy machine", {500, 3, 4}, 40000, TURN_CAUSE_DISK},
        {"others computed", {900, 0, 1}, 20000, TURN_CAUSE_PREEMPTED},
        {"it waited for a lock", {900, 0, 0}, 20000, TURN_CAUSE_BLOCKED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct turn_usage before = {700, 11, 13};
        struct turn_usage after = {before.cpu_us + cases[i].used.cpu_us,
                                   before.disk_faults + cases[i].used.disk_faults,
                                   before.preemptions_n + cases[i].used.preemptions_n};

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(turn_judge(&before, &after, cases[i].wall_us), cases[i].want);
    }
}

/* --- in a loop --- */

struct act {
    struct loop *loop;
    struct loop_msg msg;
    struct loop_timer timer;
    void (*work)(void);
    unsigned turns_left;
};

static int64_t
slow_turns(void)
{
    static const enum counter all[] = {STAT_loop_slow_disk,    STAT_loop_slow_preempted,
                                       STAT_loop_slow_blocked, STAT_loop_slow_client,
                                       STAT_loop_slow_origin,  STAT_loop_slow_accept,
                                       STAT_loop_slow_message, STAT_loop_slow_timer,
                                       STAT_loop_slow_dns,     STAT_loop_slow_free};
    int64_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        n += stats_read(all[i]);
    return n;
}

static void
sleep_long(void)
{
    (void)usleep(60000);
}

static int64_t
thread_cpu_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
compute_long(void)
{
    for (int64_t began_ms = thread_cpu_ms(); thread_cpu_ms() - began_ms < 60;)
        continue;
}

static void
do_nothing(void)
{
}

static void
on_message(struct loop_msg *msg)
{
    struct act *act = CONTAINER_OF(msg, struct act, msg);

    act->work();
    if (--act->turns_left > 0)
        loop_post(act->loop, msg);
    else
        loop_stop(act->loop);
}

static void
on_timer(struct loop_timer *timer)
{
    struct act *act = CONTAINER_OF(timer, struct act, timer);

    act->work();
    loop_stop(act->loop);
}

static void
run(uint64_t slow_ms, void (*work)(void), unsigned turns, bool by_timer)
{
    struct act act = {.work = work, .turns_left = turns};

    assert_int_equal(loop_new(&act.loop), OK);
    loop_watch(act.loop, slow_ms);
    act.msg.fn = on_message;
    loop_timer_init(&act.timer, on_timer);
    if (by_timer)
        loop_timer_set(act.loop, &act.timer, 1);
    else
        loop_post(act.loop, &act.msg);
    loop_run(act.loop);
    loop_free(&act.loop);
}

static void
each_long_turn_is_counted_once(void **state)
{
    static const struct {
        const char *why;
        void (*work)(void);
        unsigned turns;
        bool by_timer;
        enum counter stat; /* when the machine is quiet; else it is STAT_loop_slow_preempted */
    } cases[] = {
        {"three messages that wait", sleep_long, 3, false, STAT_loop_slow_blocked},
        {"a deadline's callback that waits", sleep_long, 1, true, STAT_loop_slow_blocked},
        {"two messages that compute", compute_long, 2, false, STAT_loop_slow_message},
        {"a deadline's callback that computes", compute_long, 1, true, STAT_loop_slow_timer},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t before = slow_turns();
        int64_t right = stats_read(cases[i].stat) + stats_read(STAT_loop_slow_preempted);

        print_message("case: %s\n", cases[i].why);
        run(10, cases[i].work, cases[i].turns, cases[i].by_timer);
        assert_int_equal(slow_turns() - before, cases[i].turns);
        assert_int_equal(stats_read(cases[i].stat) + stats_read(STAT_loop_slow_preempted) - right,
                         cases[i].turns);
    }
}

static void
waiting_between_turns_is_no_work(void **state)
{
    int64_t before = slow_turns();

    (void)state;
    run(15, do_nothing, 1, true); /* the wheel's 20 ms are waited for first */
    if (slow_turns() != before)   /* a busy machine may have interrupted those few microseconds */
        assert_int_equal(slow_turns() - before, stats_read(STAT_loop_slow_preempted));
    before = slow_turns();
    run(0, sleep_long, 2, false); /* not watched */
    assert_int_equal(slow_turns(), before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cause_is_what_the_time_went_to),
        cmocka_unit_test(waiting_between_turns_is_no_work),
        cmocka_unit_test(each_long_turn_is_counted_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
