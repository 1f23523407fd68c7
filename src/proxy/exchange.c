/* Names of outcomes. */
#include "proxy/exchange.h"

const char *
exchange_outcome_name(enum exchange_outcome outcome)
{
    static const char *const names[] = {
        [EXCHANGE_HIT] = "hit",
        [EXCHANGE_STALE] = "stale",
        [EXCHANGE_REVALIDATED] = "revalidated",
        [EXCHANGE_MISS] = "miss",
        [EXCHANGE_COLLAPSED] = "collapsed",
        [EXCHANGE_PASS] = "pass",
        [EXCHANGE_LOCAL] = "local",
    };

    return (size_t)outcome < ARRAY_LEN(names) ? names[outcome] : "unknown";
}
