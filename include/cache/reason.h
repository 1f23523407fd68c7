/* The one list of reasons behind every caching decision. */
#ifndef BRINK_CACHE_REASON_H
#define BRINK_CACHE_REASON_H

#include <stdbool.h>
#include <stdint.h>

enum cache_reason {
#define REASON(name, fwd, detail, sentence) REASON_##name,
#include "cache/reason.def"
#undef REASON
    REASON_COUNT
};

const char *cache_reason_name(enum cache_reason reason); /* "EXPIRED" */
/* "expired": the label of its counter; into buf, and returned. */
enum { CACHE_REASON_LABEL_MAX = 32 };
const char *cache_reason_label(enum cache_reason reason, char buf[CACHE_REASON_LABEL_MAX]);
const char *cache_reason_fwd(enum cache_reason reason); /* "" when it is no forward reason */
const char *
cache_reason_detail(enum cache_reason reason); /* a token for Cache-Status; "" for none */
const char *cache_reason_sentence(enum cache_reason reason); /* for people */

/* One relaxed addition to a cell of this thread. What is counted when: the two parts of the table.
 */
void cache_reason_count(enum cache_reason reason);
int64_t cache_reason_counted(enum cache_reason reason); /* over all threads */

#endif
