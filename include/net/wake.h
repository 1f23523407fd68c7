/* A wake-up call for one owner on one loop, from any thread, that may outlive its owner.
 *
 * Many posts before the owner runs become one call. The owner frees it at any time; the memory goes
 * when no message is under way. Whoever posts must make sure (by its own lock) that no post begins
 * after wake_free, except for the one that wake_expect announced. */
#ifndef BRINK_NET_WAKE_H
#define BRINK_NET_WAKE_H

#include "net/loop.h"

struct wake;

/* `fn(arg)` runs on `loop`. NULL when out of memory. */
MUST_USE struct wake *wake_new(struct loop *loop, void (*fn)(void *arg), void *arg);
void wake_free(struct wake **slot); /* on the loop's thread; fn is not called any more */

void wake_post(struct wake *wake);   /* any thread */
void wake_expect(struct wake *wake); /* owner: exactly one wake_fulfil is sure to come */
void wake_fulfil(struct wake *wake); /* any thread: the one that was expected */

#endif
