/* A peer's pace: has it been too slow for too long? Pure; time is an argument.
 *
 * It has a grace, in milliseconds. Waiting for it uses the grace up, each byte earns 1/`per_s` of a
 * second back, never more than the whole grace. So what counts is the last while, not the average
 * of a life: a client that took a gigabyte quickly has bought no more than one grace of stalling.
 * Time in which it is not the peer that is waited for does not count. */
#ifndef BRINK_PROXY_RATE_H
#define BRINK_PROXY_RATE_H

#include "base/check.h"

struct rate_rule {
    unsigned per_s;    /* bytes; 0: any pace does */
    unsigned grace_ms; /* of being slower than that */
    unsigned quiet_ms; /* without a single byte */
};

struct rate {
    uint64_t since_ms; /* waited for, and not yet accounted; 0: it is not waited for */
    uint64_t seen;     /* bytes in all when last looked at */
    uint64_t quiet_ms;
    int64_t left_ms; /* of the grace; below 0 until bytes are accounted that came meanwhile */
};

enum rate_verdict { RATE_FINE, RATE_QUIET, RATE_SLOW };

void rate_init(struct rate *rate, const struct rate_rule *rule, uint64_t seen);
void rate_wait(struct rate *rate, uint64_t now_ms); /* from now on; harmless twice */

/* `seen`: bytes that it gave, or took, in all. Time since the last call is accounted for. */
enum rate_verdict
rate_judge(struct rate *rate, const struct rate_rule *rule, uint64_t now_ms, uint64_t seen);
/* The same, and it is not waited for any more. */
void rate_pause(struct rate *rate, const struct rate_rule *rule, uint64_t now_ms, uint64_t seen);

uint64_t rate_due_ms(const struct rate *rate, const struct rate_rule *rule); /* judge it then */
/* Slower than it may be for a second already: it goes first when there is no room. */
bool rate_is_behind(const struct rate *rate, const struct rate_rule *rule);

#endif
