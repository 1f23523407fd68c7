/* Signals as events of one loop. A process has one of these. */
#ifndef BRINK_NET_SIGNALS_H
#define BRINK_NET_SIGNALS_H

#include "base/check.h"

struct loop;
struct signals;

typedef void signals_fn(void *arg, int number);

/* Before any other thread is made: each inherits that these signals are blocked, as they stay until
 * the process ends. fn is called on the loop, some time after the signal came; what comes several
 * times before that is one. SIGPIPE and SIGXFSZ are ignored from now on. ERR_NOMEM, ERR_SYSTEM. */
MUST_USE enum err signals_start(struct loop *loop, const int *numbers, size_t numbers_n,
                                signals_fn *fn, void *arg, struct signals **out);
void signals_take(struct signals *signals); /* call fn now for what has come: the loop is not run */
void signals_stop(struct signals **slot);   /* before the loop is freed */

#endif
