/* Turns of a loop that took too long, and why. While a turn runs, everything else on its thread
 * waits; nothing of a worker is meant to take more than some milliseconds.
 *
 * Callbacks mark what they are about to do. The clock that is read then is the kernel's coarse one:
 * some ns, no system call, and it moves every few milliseconds only. So most marks cost a load and
 * two stores, a turn over `slow_turn` is counted when it surely was, and one that is longer by less
 * than two ticks of that clock may go unseen. */
#ifndef BRINK_NET_TURN_H
#define BRINK_NET_TURN_H

#include <stdint.h>

#include "base/check.h"

/* What is done, and its name in the log. */
#define TURN_WORK(X)                                                                               \
    X(CLIENT, client)   /* bytes from or for a client: requests, answers from the store */         \
    X(ORIGIN, origin)   /* the same with an origin */                                              \
    X(ACCEPT, accept)   /* new connections */                                                      \
    X(MESSAGE, message) /* of other threads: news of a fetch, of the store */                      \
    X(TIMER, timer)     /* deadlines */                                                            \
    X(DNS, dns)         /* names */                                                                \
    X(FREE, free)       /* what was closed in the turn */

enum turn_work {
#define X(name, word) TURN_##name,
    TURN_WORK(X)
#undef X
        TURN_WORK_COUNT
};

/* What the kernel says that the thread has used, since it began. */
struct turn_usage {
    int64_t cpu_us;
    long disk_faults;   /* pages that had to come from disk */
    long preemptions_n; /* times it lost its processor while it could go on */
};

struct turn {
    uint64_t slow_ms;  /* with the clock's step; 0: turns are not watched */
    uint64_t began_ms; /* 0: nothing was done in this turn */
    uint64_t now_ms;   /* of the last mark */
    enum turn_work work;
    uint64_t spent_ms[TURN_WORK_COUNT];
    struct turn_usage before; /* a tick before the turn's beginning, at most */
};

void turn_init(struct turn *turn, uint64_t slow_ms); /* 0: not watched */

/* This thread's from now on; NULL: none. */
void turn_use(struct turn *turn);

void turn_mark(enum turn_work work); /* on any thread; harmless where no turn is in use */
void turn_end(void);                 /* what comes next is waiting */

/* What made a turn of `wall_us` long. */
enum turn_cause {
    TURN_CAUSE_DISK,      /* it waited for pages to come from disk */
    TURN_CAUSE_PREEMPTED, /* others had the processor */
    TURN_CAUSE_BLOCKED,   /* it waited for something else: a lock, a system call */
    TURN_CAUSE_WORK       /* it worked all the time */
};
enum turn_cause
turn_judge(const struct turn_usage *before, const struct turn_usage *after, int64_t wall_us);

#endif
