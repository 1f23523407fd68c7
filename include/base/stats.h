/* Counters: one cell a thread and name, written without contention, summed when read. */
#ifndef BRINK_BASE_STATS_H
#define BRINK_BASE_STATS_H

#include "base/check.h"

enum counter {
#define STAT(name, kind, unit, help) STAT_##name,
#include "base/stats.def"
#undef STAT
    STAT_COUNT
};

/* Give this thread cells of its own. They outlive the thread (counts are kept). A thread that does
 * not attach counts into shared cells. ERR_NOMEM. */
MUST_USE enum err stats_attach(void);

void stats_add(enum counter stat, int64_t n);
void stats_set(enum counter stat, int64_t n); /* for a gauge that one thread alone sets */
bool
stats_refused(enum err rc); /* counts it as errors.def says; false: not an error of a client's */
int64_t stats_read(enum counter stat); /* the sum over all threads; any thread may ask */

/* Counters of one family, told apart by a label: the rows are a table of a layer above, which gives
 * them names (cache/reason.h). `row` < STATS_LABELLED_MAX. */
enum { STATS_LABELLED_MAX = 64 };
void stats_add_labelled(unsigned row, int64_t n);
int64_t stats_read_labelled(unsigned row); /* as stats_read */

const char *stats_name(enum counter stat);
const char *stats_help(enum counter stat);
const char *stats_unit(enum counter stat);
bool stats_is_gauge(enum counter stat);

#define STAT_INC(name) stats_add(STAT_##name, 1)
#define STAT_DEC(name) stats_add(STAT_##name, -1)
#define STAT_ADD(name, n) stats_add(STAT_##name, (int64_t)(n))
#define STAT_SET(name, n) stats_set(STAT_##name, (int64_t)(n))

#endif
