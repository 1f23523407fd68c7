/* A peer's pace: a grace that waiting uses up and bytes earn back. */
#include "proxy/rate.h"

enum { BEHIND_MS = 1000 };

void
rate_init(struct rate *rate, const struct rate_rule *rule, uint64_t seen)
{
    *rate = (struct rate){.seen = seen, .left_ms = rule->grace_ms};
}

void
rate_wait(struct rate *rate, uint64_t now_ms)
{
    if (rate->since_ms == 0)
        rate->since_ms = now_ms;
}

/* What so many bytes are worth. Without a rate any byte is worth all there can be. */
static int64_t
earned_ms(const struct rate_rule *rule, uint64_t bytes)
{
    static const uint64_t most = (uint64_t)1 << 40;

    if (bytes == 0)
        return 0;
    if (rule->per_s == 0 || bytes > most)
        return (int64_t)most;
    return (int64_t)(bytes * 1000 / rule->per_s);
}

enum rate_verdict
rate_judge(struct rate *rate, const struct rate_rule *rule, uint64_t now_ms, uint64_t seen)
{
    uint64_t waited = rate->since_ms != 0 && now_ms > rate->since_ms ? now_ms - rate->since_ms : 0;
    uint64_t moved = seen - rate->seen;

    rate->seen = seen;
    if (rate->since_ms != 0)
        rate->since_ms = now_ms;
    rate->quiet_ms = moved > 0 ? 0 : rate->quiet_ms + waited;
    rate->left_ms += earned_ms(rule, moved) - (int64_t)waited;
    if (rate->left_ms > (int64_t)rule->grace_ms)
        rate->left_ms = rule->grace_ms;
    if (rate->quiet_ms >= rule->quiet_ms)
        return RATE_QUIET;
    return rule->per_s != 0 && rate->left_ms <= 0 ? RATE_SLOW : RATE_FINE;
}

void
rate_pause(struct rate *rate, const struct rate_rule *rule, uint64_t now_ms, uint64_t seen)
{
    if (rate->since_ms == 0)
        return;
    (void)rate_judge(rate, rule, now_ms, seen);
    rate->since_ms = 0;
}

uint64_t
rate_due_ms(const struct rate *rate, const struct rate_rule *rule)
{
    uint64_t due = rule->quiet_ms > rate->quiet_ms ? rule->quiet_ms - rate->quiet_ms : 0;

    if (rule->per_s == 0 || rate->left_ms >= (int64_t)due)
        return due;
    return rate->left_ms > 0 ? (uint64_t)rate->left_ms : 0;
}

bool
rate_is_behind(const struct rate *rate, const struct rate_rule *rule)
{
    return rate->quiet_ms >= BEHIND_MS || rate->left_ms + BEHIND_MS <= (int64_t)rule->grace_ms;
}
