/* Signals as events of one loop. A process has one of these. */
#ifndef BRINK_NET_SIGNALS_H
#define BRINK_NET_SIGNALS_H

#include "base/check.h"

struct loop;
struct signals;

enum { SIGNALS_MAX = 8 };
typedef void signals_fn(void *arg, int number);

/* fn is called on the loop, some time after the signal came. SIGPIPE is ignored from now on.
 * numbers_n <= SIGNALS_MAX. ERR_NOMEM, ERR_SYSTEM. */
MUST_USE enum err signals_start(struct loop *loop, const int *numbers, size_t numbers_n,
                                signals_fn *fn, void *arg, struct signals **out);
void signals_stop(struct signals **slot); /* before the loop is freed */

#endif
