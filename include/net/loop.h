/* One thread's event loop: messages from other threads, timers, deferred frees, clocks.
 *
 * A turn is one wait and the events it brought. Nothing is freed inside a callback on itself: what
 * was given to loop_reap is freed when the turn ends. */
#ifndef BRINK_NET_LOOP_H
#define BRINK_NET_LOOP_H

#include "base/list.h"
#include "base/slice.h"

struct loop;
struct event_base;

MUST_USE enum err loop_new(struct loop **out);
void loop_free(struct loop **slot); /* after loop_run returned; runs what is left to be reaped */

void loop_run(struct loop *loop);   /* until loop_stop; then messages posted by then are run */
void loop_stop(struct loop *loop);  /* any thread */
void loop_drain(struct loop *loop); /* messages posted since loop_run returned; nobody posts more */
void loop_watch(struct loop *loop, uint64_t slow_ms); /* before it runs: net/turn.h; 0: do not */
struct loop *loop_current(void);                 /* of this thread while it runs; NULL on others */
struct event_base *loop_base(struct loop *loop); /* for net/ and daemon/admin alone */

/* A message: embedded in what it is about, so posting allocates nothing. Posted again only after fn
 * began. fn runs on the loop's thread, never inside loop_post. Any thread may post; from the loop's
 * own thread it costs no system call and runs when the current callbacks are through. */
struct loop_msg {
    struct loop_msg *next;
    void (*fn)(struct loop_msg *msg);
};
void loop_post(struct loop *loop, struct loop_msg *msg);

/* Timers: precise to some 20 ms, never early; moving a deadline later costs a store. */
struct loop_timer {
    struct list link;
    uint64_t deadline_ms; /* 0: not set */
    uint64_t slot_ms;     /* the wheel's own */
    void (*fn)(struct loop_timer *timer);
};
void loop_timer_init(struct loop_timer *timer, void (*fn)(struct loop_timer *timer));
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t in_ms); /* from now on */
void loop_timer_clear(struct loop_timer *timer);

/* Free something when the turn ends. */
struct loop_reap {
    struct loop_reap *next;
    void (*fn)(struct loop_reap *reap);
};
void loop_reap(struct loop *loop, struct loop_reap *reap);

uint64_t loop_now_ms(void); /* monotonic, coarse (some ms) */
uint64_t loop_now_us(void); /* monotonic, exact */
int64_t loop_wall_s(void);  /* seconds since the epoch */
int64_t loop_wall_us(void); /* microseconds since the epoch */

#endif
