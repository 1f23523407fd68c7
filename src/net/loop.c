/* One thread's loop over libevent's event base.
 *
 * A turn: event_base_loop once; then the messages that had come by then; then what is to be freed.
 * Messages of other threads arrive on a lock-free stack (pushed with release, taken whole with
 * acquire, turned round to keep their order); an eventfd wakes the loop when the stack was empty.
 * Messages of the loop's own thread go straight to the list that the turn runs.
 *
 * Timers sit in a wheel of 512 slots of 20 ms. A timer is linked into the slot its deadline rounds
 * up to, or into the farthest one; a later deadline is only stored, and the timer moved on when its
 * slot comes. libevent's own timer is set only while there are timers, for the next slot in use. */
#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net/turn.h"

enum {
    LOOP_TAG = 0x6c6f6f70,
    TICK_MS = 20,
    SLOTS = 512,
    SLOTS_AHEAD = SLOTS - 1,
    WORD_BITS = 64,
    LAST_ROUNDS = 100
};

struct loop {
    uint32_t tag;
    struct event_base *base;
    struct event wake_event, tick_event;
    int wake_fd;
    atomic_bool stopping;
    _Atomic(struct loop_msg *) inbox;  /* newest first; from any thread */
    struct loop_msg *msgs, **msgs_end; /* oldest first; to be run in this turn or the next */
    struct loop_reap *reaps, **reaps_end;
    struct turn turn;

    uint64_t clock_step_ms;           /* how far the coarse clock may lag behind */
    uint64_t done_tick;               /* slots up to this one are empty or being run */
    uint64_t armed_tick;              /* what tick_event is set for; 0: not set */
    uint64_t used[SLOTS / WORD_BITS]; /* slots that may hold timers */
    struct list slots[SLOTS];
};

static _Thread_local struct loop *current;

/* --- clocks --- */

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

uint64_t
loop_now_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000U;
}

uint64_t
loop_now_us(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000U;
}

int64_t
loop_wall_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec;
}

int64_t
loop_wall_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* --- timers --- */

static bool
slot_marked(const struct loop *loop, uint64_t tick)
{
    return (loop->used[tick % SLOTS / WORD_BITS] >> (tick % WORD_BITS) & 1) != 0;
}

static void
slot_mark(struct loop *loop, uint64_t tick)
{
    loop->used[tick % SLOTS / WORD_BITS] |= (uint64_t)1 << (tick % WORD_BITS);
}

static void
slot_unmark(struct loop *loop, uint64_t tick)
{
    loop->used[tick % SLOTS / WORD_BITS] &= ~((uint64_t)1 << (tick % WORD_BITS));
}

static void
arm_tick(struct loop *loop, uint64_t tick)
{
    uint64_t now_ms = loop_now_ms();
    uint64_t at_ms = tick * TICK_MS;
    uint64_t in_ms = (at_ms > now_ms ? at_ms - now_ms : 0) + loop->clock_step_ms;
    struct timeval in = {(time_t)(in_ms / 1000), (suseconds_t)(in_ms % 1000 * 1000)};

    loop->armed_tick = tick;
    ASSERT(event_add(&loop->tick_event, &in) == 0); /* room for it was made when it was new */
}

/* The next slot after done_tick that holds timers; 0: none. Marks of emptied slots are dropped. */
static uint64_t
next_used_tick(struct loop *loop)
{
    uint64_t last = loop->done_tick + SLOTS_AHEAD;

    for (uint64_t tick = loop->done_tick + 1; tick <= last; tick++) {
        if (loop->used[tick % SLOTS / WORD_BITS] == 0) {
            tick |= WORD_BITS - 1;
            continue;
        }
        if (!slot_marked(loop, tick))
            continue;
        if (!list_empty(&loop->slots[tick % SLOTS]))
            return tick;
        slot_unmark(loop, tick);
    }
    return 0;
}

static uint64_t
tick_for(const struct loop *loop, uint64_t deadline_ms)
{
    uint64_t tick = (deadline_ms + TICK_MS - 1) / TICK_MS;

    if (tick <= loop->done_tick)
        return loop->done_tick + 1;
    return tick <= loop->done_tick + SLOTS_AHEAD ? tick : loop->done_tick + SLOTS_AHEAD;
}

static void
place_timer(struct loop *loop, struct loop_timer *timer)
{
    uint64_t tick = tick_for(loop, timer->deadline_ms);

    timer->slot_ms = tick * TICK_MS;
    list_push(&loop->slots[tick % SLOTS], &timer->link);
    slot_mark(loop, tick);
}

void
loop_timer_init(struct loop_timer *timer, void (*fn)(struct loop_timer *timer))
{
    list_init(&timer->link);
    timer->deadline_ms = timer->slot_ms = 0;
    timer->fn = fn;
}

void
loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t in_ms)
{
    static const uint64_t far_ms = (uint64_t)1 << 40; /* 35 years */
    uint64_t now_ms = loop_now_ms();

    ASSERT_TAG(loop, LOOP_TAG);
    timer->deadline_ms = now_ms + loop->clock_step_ms + (in_ms < far_ms ? in_ms : far_ms);
    if (timer->slot_ms != 0 && timer->slot_ms <= timer->deadline_ms)
        return;
    if (loop->armed_tick == 0)
        loop->done_tick = now_ms / TICK_MS; /* nothing is in the wheel */
    list_remove(&timer->link);
    place_timer(loop, timer);
    if (loop->armed_tick == 0 || timer->slot_ms < loop->armed_tick * TICK_MS)
        arm_tick(loop, timer->slot_ms / TICK_MS);
}

void
loop_timer_clear(struct loop_timer *timer)
{
    list_remove(&timer->link);
    timer->deadline_ms = timer->slot_ms = 0;
}

/* The slot's timers are taken out first: a callback may set or clear any of them. */
static void
run_slot(struct loop *loop, uint64_t tick, uint64_t now_ms)
{
    struct list *slot = &loop->slots[tick % SLOTS];
    struct list due;
    struct loop_timer *timer;

    slot_unmark(loop, tick);
    if (list_empty(slot))
        return;
    due = *slot;
    due.next->prev = due.prev->next = &due;
    list_init(slot);
    while ((timer = LIST_FIRST(&due, struct loop_timer, link)) != NULL) {
        list_remove(&timer->link);
        if (timer->deadline_ms > now_ms) {
            place_timer(loop, timer);
            continue;
        }
        timer->deadline_ms = timer->slot_ms = 0;
        timer->fn(timer);
    }
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    uint64_t now_ms = loop_now_ms();
    uint64_t now_tick = now_ms / TICK_MS;
    uint64_t tick;

    turn_mark(TURN_TIMER);
    /* armed_tick stays set meanwhile, so that timers set by callbacks do not arm it each by itself
     */
    loop->armed_tick = 1;
    while ((tick = next_used_tick(loop)) != 0 && tick <= now_tick) {
        loop->done_tick = tick;
        run_slot(loop, tick, now_ms);
    }
    if (loop->done_tick < now_tick)
        loop->done_tick = now_tick;
    loop->armed_tick = 0;
    if (tick != 0)
        arm_tick(loop, tick);
}

/* --- messages --- */

static void
wake(const struct loop *loop)
{
    uint64_t one = 1;

    while (write(loop->wake_fd, &one, sizeof(one)) == -1 && errno == EINTR)
        continue; /* EAGAIN: the counter is full, so the loop is awake */
}

void
loop_post(struct loop *loop, struct loop_msg *msg)
{
    struct loop_msg *head;

    ASSERT_TAG(loop, LOOP_TAG);
    if (current == loop) {
        msg->next = NULL;
        *loop->msgs_end = msg;
        loop->msgs_end = &msg->next;
        return;
    }
    head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do
        msg->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, msg, memory_order_release,
                                                  memory_order_relaxed));
    if (head == NULL)
        wake(loop);
}

/* Messages of other threads to the list, in their order. */
static void
take_inbox(struct loop *loop)
{
    struct loop_msg *newest, *msg, *first = NULL;

    newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    if (newest == NULL)
        return;
    for (msg = newest; msg != NULL;) {
        struct loop_msg *older = msg->next;

        msg->next = first;
        first = msg;
        msg = older;
    }
    *loop->msgs_end = first;
    loop->msgs_end = &newest->next;
}

/* The eventfd is emptied before the inbox: a message pushed in between is taken now, one pushed
 * later finds the inbox empty and wakes the loop again. */
static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    uint64_t n;

    turn_mark(TURN_MESSAGE);
    while (read(loop->wake_fd, &n, sizeof(n)) == -1 && errno == EINTR)
        continue;
    take_inbox(loop);
}

/* Those there are now; what they post runs in the next turn, after its events. */
static void
run_msgs(struct loop *loop)
{
    struct loop_msg *msg = loop->msgs;

    if (msg != NULL)
        turn_mark(TURN_MESSAGE);
    loop->msgs = NULL;
    loop->msgs_end = &loop->msgs;
    while (msg != NULL) {
        struct loop_msg *next = msg->next; /* fn may post it again or free it */

        msg->fn(msg);
        msg = next;
    }
}

/* --- the end of a turn --- */

void
loop_reap(struct loop *loop, struct loop_reap *reap)
{
    ASSERT_TAG(loop, LOOP_TAG);
    reap->next = NULL;
    *loop->reaps_end = reap;
    loop->reaps_end = &reap->next;
}

static void
run_reaps(struct loop *loop)
{
    struct loop_reap *reap;

    if (loop->reaps != NULL)
        turn_mark(TURN_FREE);
    while ((reap = loop->reaps) != NULL) {
        loop->reaps = reap->next;
        if (loop->reaps == NULL)
            loop->reaps_end = &loop->reaps;
        reap->fn(reap);
    }
}

/* What was posted before the loop stopped is run, so that nothing waits in vain for its message;
 * messages that post themselves again and again are not waited for. */
static void
finish(struct loop *loop)
{
    for (int i = 0; i < LAST_ROUNDS; i++) {
        take_inbox(loop);
        if (loop->msgs == NULL)
            break;
        run_msgs(loop);
        run_reaps(loop);
    }
}

void
loop_run(struct loop *loop)
{
    ASSERT_TAG(loop, LOOP_TAG);
    ASSERT(current == NULL);
    current = loop;
    turn_use(loop->turn.slow_ms > 0 ? &loop->turn : NULL);
    while (!atomic_load_explicit(&loop->stopping, memory_order_acquire)) {
        int flags = EVLOOP_ONCE | (loop->msgs != NULL ? EVLOOP_NONBLOCK : 0);

        ASSERT(event_base_loop(loop->base, flags) != -1);
        run_msgs(loop);
        run_reaps(loop);
        turn_end();
    }
    turn_use(NULL);
    finish(loop);
    atomic_store(&loop->stopping, false); /* it may be run again */
    current = NULL;
}

void
loop_watch(struct loop *loop, uint64_t slow_ms)
{
    ASSERT_TAG(loop, LOOP_TAG);
    ASSERT(current == NULL);
    turn_init(&loop->turn, slow_ms);
}

void
loop_drain(struct loop *loop)
{
    ASSERT_TAG(loop, LOOP_TAG);
    ASSERT(current == NULL);
    current = loop;
    finish(loop);
    current = NULL;
}

void
loop_stop(struct loop *loop)
{
    ASSERT_TAG(loop, LOOP_TAG);
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    if (current != loop)
        wake(loop);
}

struct loop *
loop_current(void)
{
    return current;
}

struct event_base *
loop_base(struct loop *loop)
{
    ASSERT_TAG(loop, LOOP_TAG);
    return loop->base;
}

/* --- life --- */

/* No locks: one thread. No cached time: one timer only. No change list: it would take descriptors
 * out of epoll after they were closed, when another thread may have got the same number. */
static struct event_base *
new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    if (config == NULL)
        return NULL;
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_NO_CACHE_TIME);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

static enum err
open_events(struct loop *loop)
{
    static const struct timeval at_once = {0, 0};
    struct timespec step;

    loop->base = new_base();
    if (loop->base == NULL)
        return ERR_NOMEM;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd == -1)
        return ERR_SYSTEM;
    (void)clock_getres(CLOCK_MONOTONIC_COARSE, &step);
    loop->clock_step_ms = (uint64_t)step.tv_nsec / 1000000U + 1;
    (void)event_assign(&loop->wake_event, loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake,
                       loop);
    (void)event_assign(&loop->tick_event, loop->base, -1, 0, on_tick, loop);
    loop->armed_tick = loop->done_tick + 1; /* takes its memory now, so that it never fails later */
    return event_add(&loop->wake_event, NULL) == 0 && event_add(&loop->tick_event, &at_once) == 0
               ? OK
               : ERR_NOMEM;
}

enum err
loop_new(struct loop **out)
{
    struct loop *loop = mem_zalloc(sizeof(*loop));
    enum err rc;

    if (loop == NULL)
        return ERR_NOMEM;
    loop->tag = LOOP_TAG;
    loop->wake_fd = -1;
    loop->msgs_end = &loop->msgs;
    loop->reaps_end = &loop->reaps;
    loop->done_tick = loop_now_ms() / TICK_MS;
    for (size_t i = 0; i < SLOTS; i++)
        list_init(&loop->slots[i]);
    rc = open_events(loop);
    if (rc != OK)
        loop_free(&loop);
    else
        *out = loop;
    return rc;
}

void
loop_free(struct loop **slot)
{
    struct loop *loop = *slot;

    if (loop == NULL)
        return;
    ASSERT_TAG(loop, LOOP_TAG);
    ASSERT(current != loop);
    *slot = NULL;
    run_reaps(loop);
    if (event_initialized(&loop->wake_event)) {
        (void)event_del(&loop->wake_event);
        (void)event_del(&loop->tick_event);
    }
    if (loop->base != NULL)
        event_base_free(loop->base);
    if (loop->wake_fd != -1)
        (void)close(loop->wake_fd);
    loop->tag = TAG_FREED;
    mem_free(loop);
}
