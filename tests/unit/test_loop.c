/* The loop: messages of other threads, timers, deferred frees, stopping. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "net/loop.h"

static int
new_loop(void **state)
{
    struct loop *loop;

    if (loop_new(&loop) != OK)
        return -1;
    *state = loop;
    return 0;
}

static int
free_loop(void **state)
{
    loop_free((struct loop **)state);
    return *state == NULL ? 0 : -1;
}

/* --- timers --- */

struct alarm {
    struct loop_timer timer;
    struct loop *loop;
    uint64_t set_us, fired_us;
    unsigned fired;
    bool last;
};

static void
on_alarm(struct loop_timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    alarm->fired_us = loop_now_us();
    alarm->fired++;
    assert_int_equal(timer->deadline_ms, 0);
    if (alarm->last)
        loop_stop(alarm->loop);
}

static void
set_alarm(struct loop *loop, struct alarm *alarm, uint64_t in_ms)
{
    if (alarm->timer.fn == NULL)
        loop_timer_init(&alarm->timer, on_alarm);
    alarm->loop = loop;
    alarm->set_us = loop_now_us();
    loop_timer_set(loop, &alarm->timer, in_ms);
}

static void
timers_fire_once_never_early(void **state)
{
    static const uint64_t in_ms[] = {0, 1, 19, 20, 21, 39, 100, 101, 150};
    struct alarm alarms[ARRAY_LEN(in_ms)] = {0}, last = {.last = true};

    for (size_t i = 0; i < ARRAY_LEN(in_ms); i++)
        set_alarm(*state, &alarms[i], in_ms[i]);
    set_alarm(*state, &last, 250);
    loop_run(*state);
    for (size_t i = 0; i < ARRAY_LEN(in_ms); i++) {
        uint64_t took_us = alarms[i].fired_us - alarms[i].set_us;

        print_message("case: %llu ms\n", (unsigned long long)in_ms[i]);
        assert_int_equal(alarms[i].fired, 1);
        assert_true(took_us >= in_ms[i] * 1000);
        assert_true(alarms[i].fired_us <= last.fired_us);
    }
}

static void
a_timer_moved_later_keeps_the_later_deadline(void **state)
{
    struct alarm moved = {.last = true};

    set_alarm(*state, &moved, 20);
    set_alarm(*state, &moved, 160);
    loop_run(*state);
    assert_int_equal(moved.fired, 1);
    assert_true(moved.fired_us - moved.set_us >= 160000);
}

static void
a_timer_moved_earlier_fires_earlier(void **state)
{
    struct alarm moved = {.last = true}, guard = {.last = true};

    set_alarm(*state, &moved, 60000);
    set_alarm(*state, &moved, 40);
    set_alarm(*state, &guard, 5000);
    loop_run(*state);
    assert_int_equal(moved.fired, 1);
    assert_int_equal(guard.fired, 0);
    loop_timer_clear(&guard.timer);
}

static void
a_cleared_timer_does_not_fire(void **state)
{
    struct alarm cleared = {0}, last = {.last = true};

    set_alarm(*state, &cleared, 20);
    loop_timer_clear(&cleared.timer);
    loop_timer_clear(&cleared.timer);
    set_alarm(*state, &last, 100);
    loop_run(*state);
    assert_int_equal(cleared.fired, 0);
}

struct crossed {
    struct alarm alarm;
    struct crossed *other;
};

static void
clear_the_other(struct loop_timer *timer)
{
    struct crossed *self = CONTAINER_OF(timer, struct crossed, alarm.timer);

    self->alarm.fired++;
    loop_timer_clear(&self->other->alarm.timer);
}

/* Both are due in the same slot: the first to run must keep the other from running. */
static void
a_callback_may_clear_a_timer_that_is_due_too(void **state)
{
    struct crossed a = {0}, b = {0};
    struct alarm last = {.last = true};

    a.other = &b;
    b.other = &a;
    loop_timer_init(&a.alarm.timer, clear_the_other);
    loop_timer_init(&b.alarm.timer, clear_the_other);
    set_alarm(*state, &a.alarm, 20);
    set_alarm(*state, &b.alarm, 20);
    set_alarm(*state, &last, 100);
    loop_run(*state);
    assert_int_equal(a.alarm.fired + b.alarm.fired, 1);
}

static void
again(struct loop_timer *timer)
{
    struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);

    if (++alarm->fired == 5)
        loop_stop(alarm->loop);
    else
        loop_timer_set(alarm->loop, timer, 0);
}

static void
a_timer_may_set_itself_again(void **state)
{
    struct alarm repeated = {0};

    loop_timer_init(&repeated.timer, again);
    set_alarm(*state, &repeated, 0);
    loop_run(*state);
    assert_int_equal(repeated.fired, 5);
}

/* Past the wheel's 10.24 s a timer waits in the farthest slot and is moved on from there; a wheel
 * of one slot would fire it at once. */
static void
far_timers_wait(void **state)
{
    struct alarm far = {0}, farther = {0}, last = {.last = true};

    set_alarm(*state, &far, 11000);
    set_alarm(*state, &farther, UINT64_MAX);
    set_alarm(*state, &last, 120);
    loop_run(*state);
    assert_int_equal(far.fired + farther.fired, 0);
    loop_timer_clear(&far.timer);
    loop_timer_clear(&farther.timer);
}

/* --- messages --- */

enum { POSTERS = 4, POSTS = 5000 };

struct note {
    struct loop_msg msg;
    unsigned poster, number;
    struct tally *tally;
};

struct tally {
    struct loop *loop;
    unsigned next[POSTERS];
    unsigned got;
    bool wrong_thread, wrong_order;
    atomic_uint begun;
    struct note notes[POSTERS][POSTS];
};

static void
on_note(struct loop_msg *msg)
{
    struct note *note = CONTAINER_OF(msg, struct note, msg);
    struct tally *tally = note->tally;

    tally->wrong_thread |= loop_current() != tally->loop;
    tally->wrong_order |= tally->next[note->poster]++ != note->number;
    if (++tally->got == POSTERS * POSTS)
        loop_stop(tally->loop);
}

static void *
post_all(void *arg)
{
    struct tally *tally = arg;
    unsigned poster = atomic_fetch_add(&tally->begun, 1);

    for (unsigned i = 0; i < POSTS; i++) {
        struct note *note = &tally->notes[poster][i];

        *note = (struct note){{NULL, on_note}, poster, i, tally};
        loop_post(tally->loop, &note->msg);
    }
    return NULL;
}

static void
messages_of_many_threads_arrive_once_and_in_order(void **state)
{
    static struct tally tally;
    pthread_t posters[POSTERS];

    tally.loop = *state;
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&posters[i], NULL, post_all, &tally), 0);
    loop_run(*state);
    for (size_t i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(posters[i], NULL), 0);
    assert_int_equal(tally.got, POSTERS * POSTS);
    assert_false(tally.wrong_thread);
    assert_false(tally.wrong_order);
}

/* One message that goes to and fro between two loops: every post must wake a sleeping loop. */
struct ball {
    struct loop_msg msg;
    struct loop *sides[2];
    unsigned turns;
};

static void
on_ball(struct loop_msg *msg)
{
    struct ball *ball = CONTAINER_OF(msg, struct ball, msg);
    unsigned turn = ++ball->turns;

    assert_ptr_equal(loop_current(), ball->sides[(turn - 1) % 2]);
    if (turn < 2000) {
        loop_post(ball->sides[turn % 2], msg);
        return;
    }
    loop_stop(ball->sides[0]);
    loop_stop(ball->sides[1]);
}

static void *
run_in_thread(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void
a_message_wakes_a_sleeping_loop(void **state)
{
    struct ball ball = {.msg.fn = on_ball};
    struct loop *other;
    pthread_t thread;

    assert_int_equal(loop_new(&other), OK);
    ball.sides[0] = *state;
    ball.sides[1] = other;
    assert_int_equal(pthread_create(&thread, NULL, run_in_thread, other), 0);
    loop_post(*state, &ball.msg);
    loop_run(*state);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(ball.turns, 2000);
    loop_free(&other);
}

struct echo {
    struct loop_msg msg;
    struct loop *loop;
    struct loop_reap reap;
    unsigned ran, reaped, reaped_before_end;
    bool inside;
};

static void
on_reap(struct loop_reap *reap)
{
    struct echo *echo = CONTAINER_OF(reap, struct echo, reap);

    echo->reaped++;
    if (echo->inside)
        echo->reaped_before_end++;
}

static void
on_echo(struct loop_msg *msg)
{
    struct echo *echo = CONTAINER_OF(msg, struct echo, msg);
    unsigned ran = ++echo->ran;

    echo->inside = true;
    if (ran < 3)
        loop_post(echo->loop, msg);
    assert_int_equal(echo->ran, ran); /* never inside loop_post */
    if (ran == 3) {
        loop_reap(echo->loop, &echo->reap);
        loop_stop(echo->loop);
    }
    assert_int_equal(echo->reaped, 0);
    echo->inside = false;
}

static void
own_messages_run_later_and_frees_at_the_end(void **state)
{
    struct echo echo = {.msg.fn = on_echo, .loop = *state, .reap.fn = on_reap};

    loop_post(*state, &echo.msg);
    loop_run(*state);
    assert_int_equal(echo.ran, 3);
    assert_int_equal(echo.reaped, 1);
    assert_int_equal(echo.reaped_before_end, 0);
}

static void
free_reaps_what_is_left(void **state)
{
    struct echo echo = {.reap.fn = on_reap};
    struct loop *loop;

    (void)state;
    assert_int_equal(loop_new(&loop), OK);
    loop_reap(loop, &echo.reap);
    loop_free(&loop);
    assert_int_equal(echo.reaped, 1);
    loop_free(&loop); /* harmless */
}

static void
a_loop_stopped_before_it_runs_returns_at_once(void **state)
{
    loop_stop(*state);
    loop_run(*state);
    assert_null(loop_current());
}

static void
no_memory_is_an_error(void **state)
{
    struct loop *loop = NULL;

    (void)state;
    mem_fail_at(1);
    assert_int_equal(loop_new(&loop), ERR_NOMEM);
    assert_null(loop);
}

static void
clocks_agree(void **state)
{
    uint64_t coarse_ms = loop_now_ms();
    uint64_t exact_ms = loop_now_us() / 1000;

    (void)state;
    assert_true(coarse_ms <= exact_ms);
    assert_true(exact_ms - coarse_ms < 1000);
    assert_true(loop_wall_s() > 1600000000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_once_never_early, new_loop, free_loop),
        cmocka_unit_test_setup_teardown(a_timer_moved_later_keeps_the_later_deadline, new_loop,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_timer_moved_earlier_fires_earlier, new_loop, free_loop),
        cmocka_unit_test_setup_teardown(a_cleared_timer_does_not_fire, new_loop, free_loop),
        cmocka_unit_test_setup_teardown(a_callback_may_clear_a_timer_that_is_due_too, new_loop,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_timer_may_set_itself_again, new_loop, free_loop),
        cmocka_unit_test_setup_teardown(far_timers_wait, new_loop, free_loop),
        cmocka_unit_test_setup_teardown(messages_of_many_threads_arrive_once_and_in_order, new_loop,
                                        free_loop),
        cmocka_unit_test_setup_teardown(a_message_wakes_a_sleeping_loop, new_loop, free_loop),
        cmocka_unit_test_setup_teardown(own_messages_run_later_and_frees_at_the_end, new_loop,
                                        free_loop),
        cmocka_unit_test(free_reaps_what_is_left),
        cmocka_unit_test_setup_teardown(a_loop_stopped_before_it_runs_returns_at_once, new_loop,
                                        free_loop),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(clocks_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
