/* A stored object in sentences: how old it is, how long it lives and why, what it may be used for
 * and until when. What is decided is lookup.h's; here it is only told. Times are UTC. */
#ifndef BRINK_CACHE_EXPLAIN_H
#define BRINK_CACHE_EXPLAIN_H

#include "cache/lookup.h"

/* Into buf, and returned. */
enum { EXPLAIN_TIME_MAX = 32, EXPLAIN_SPAN_MAX = 32 };
const char *explain_time(int64_t at_s, char buf[EXPLAIN_TIME_MAX]); /* "2026-11-27T14:10:00Z" */
/* "42 s", "1 h 5 min": the two largest units that are not 0. `s` is not negative. */
const char *explain_span(int64_t s, char buf[EXPLAIN_SPAN_MAX]);

struct explain_subject {
    const struct cache_settings *settings;
    const struct cache_object *object;
    bool soft_purged;
    int64_t now_s;
};

/* The last second of each, since the epoch; 0: at no time. */
struct explain_until {
    int64_t fresh_s;      /* may be over; at no time for what is always validated, or soft-purged */
    int64_t revalidate_s; /* stale-while-revalidate */
    int64_t error_s;      /* stale-if-error */
    int64_t kept_s;       /* the site's limit; 0: it has none */
};
void explain_until(const struct explain_subject *subject, struct explain_until *out);

const char *explain_lifetime_from(enum cache_lifetime from); /* "max-age" */

/* Texts in the arena. ERR_NOMEM. */
MUST_USE enum err
explain_age(struct arena *arena, const struct explain_subject *subject, struct slice *out);
MUST_USE enum err
explain_fresh(struct arena *arena, const struct explain_subject *subject, struct slice *out);
MUST_USE enum err
explain_stale(struct arena *arena, const struct explain_subject *subject, struct slice *out);

/* What lookup_judge's verdict on it means for the request. */
MUST_USE enum err explain_verdict(struct arena *arena, const struct explain_subject *subject,
                                  const struct lookup_verdict *verdict, struct slice *out);

#endif
