/* Watching how long a loop's turns take. See net/turn.h for what that may cost.
 *
 * The time between two marks goes to what was marked first; as the clock moves rarely, that is
 * right on the average of a turn that is long. What the kernel knows of the thread (a system call)
 * is asked for only when the clock has moved between turns, and at the end of a turn in which it
 * moved: not more than twice a tick, however many turns that has. */
#include "net/turn.h"

#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/log.h"
#include "base/stats.h"

static _Thread_local struct turn *mine;

static const char *const names[] = {
#define X(name, word) #word,
    TURN_WORK(X)
#undef X
};

static uint64_t
coarse_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000U + (uint64_t)now.tv_nsec / 1000000U;
}

static int64_t
us_of(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static struct turn_usage
usage_now(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage) == -1)
        return (struct turn_usage){0};
    return (struct turn_usage){us_of(usage.ru_utime) + us_of(usage.ru_stime), usage.ru_majflt,
                               usage.ru_nivcsw};
}

void
turn_init(struct turn *turn, uint64_t slow_ms)
{
    struct timespec step;

    *turn = (struct turn){.slow_ms = slow_ms};
    (void)clock_getres(CLOCK_MONOTONIC_COARSE, &step);
    if (slow_ms > 0)
        turn->slow_ms += (uint64_t)step.tv_nsec / 1000000U;
}

void
turn_use(struct turn *turn)
{
    mine = turn;
    if (turn == NULL)
        return;
    turn->now_ms = coarse_ms();
    turn->before = usage_now();
}

/* Pages that came from disk in this thread's stead are none of these. */
static void
renew_usage(struct turn *turn, const struct turn_usage *now)
{
    if (now->disk_faults > turn->before.disk_faults)
        STAT_ADD(loop_disk_faults, now->disk_faults - turn->before.disk_faults);
    turn->before = *now;
}

/* The clock has moved since the last mark. */
static void
tick(struct turn *turn, uint64_t now_ms)
{
    if (turn->began_ms != 0) {
        turn->spent_ms[turn->work] += now_ms - turn->now_ms;
    } else {
        struct turn_usage now = usage_now();

        renew_usage(turn, &now);
    }
    turn->now_ms = now_ms;
}

void
turn_mark(enum turn_work work)
{
    struct turn *turn = mine;
    uint64_t now_ms;

    if (turn == NULL)
        return;
    now_ms = coarse_ms();
    if (UNLIKELY(now_ms != turn->now_ms))
        tick(turn, now_ms);
    if (turn->began_ms == 0)
        turn->began_ms = now_ms;
    turn->work = work;
}

enum turn_cause
turn_judge(const struct turn_usage *before, const struct turn_usage *after, int64_t wall_us)
{
    if (2 * (after->cpu_us - before->cpu_us) >= wall_us)
        return TURN_CAUSE_WORK;
    if (after->disk_faults > before->disk_faults)
        return TURN_CAUSE_DISK;
    return after->preemptions_n > before->preemptions_n ? TURN_CAUSE_PREEMPTED : TURN_CAUSE_BLOCKED;
}

static enum turn_work
longest_work(const struct turn *turn)
{
    enum turn_work longest = 0;

    for (enum turn_work work = 0; work < TURN_WORK_COUNT; work++)
        if (turn->spent_ms[work] > turn->spent_ms[longest])
            longest = work;
    return longest;
}

static void
count_work(enum turn_work work)
{
    switch (work) {
    case TURN_CLIENT:
        STAT_INC(loop_slow_client);
        return;
    case TURN_ORIGIN:
        STAT_INC(loop_slow_origin);
        return;
    case TURN_ACCEPT:
        STAT_INC(loop_slow_accept);
        return;
    case TURN_MESSAGE:
        STAT_INC(loop_slow_message);
        return;
    case TURN_TIMER:
        STAT_INC(loop_slow_timer);
        return;
    case TURN_DNS:
        STAT_INC(loop_slow_dns);
        return;
    case TURN_FREE:
        STAT_INC(loop_slow_free);
        return;
    case TURN_WORK_COUNT:
        break;
    }
    UNREACHABLE();
}

static const char *
count_cause(enum turn_cause cause, enum turn_work work)
{
    switch (cause) {
    case TURN_CAUSE_DISK:
        STAT_INC(loop_slow_disk);
        return "disk";
    case TURN_CAUSE_PREEMPTED:
        STAT_INC(loop_slow_preempted);
        return "preempted";
    case TURN_CAUSE_BLOCKED:
        STAT_INC(loop_slow_blocked);
        return "blocked";
    case TURN_CAUSE_WORK:
        count_work(work);
        return "work";
    }
    UNREACHABLE();
}

static void
report(const struct turn *turn, uint64_t took_ms, const struct turn_usage *now)
{
    enum turn_work work = longest_work(turn);
    enum turn_cause cause = turn_judge(&turn->before, now, (int64_t)took_ms * 1000);

    LOG(WARN, slow_turn, "cause=%s at=%s took_ms=%llu cpu_us=%lld disk_faults=%ld",
        count_cause(cause, work), names[work], (unsigned long long)took_ms,
        (long long)(now->cpu_us - turn->before.cpu_us),
        now->disk_faults - turn->before.disk_faults);
}

void
turn_end(void)
{
    struct turn *turn = mine;
    uint64_t now_ms;

    if (turn == NULL || turn->began_ms == 0)
        return;
    now_ms = coarse_ms();
    if (UNLIKELY(now_ms != turn->now_ms))
        tick(turn, now_ms);
    if (UNLIKELY(now_ms != turn->began_ms)) {
        struct turn_usage now = usage_now();

        if (now_ms - turn->began_ms >= turn->slow_ms)
            report(turn, now_ms - turn->began_ms, &now);
        renew_usage(turn, &now);
        memset(turn->spent_ms, 0, sizeof(turn->spent_ms));
    }
    turn->began_ms = 0;
}
