/* The one list of reasons behind every caching decision. */
#ifndef BRINK_CACHE_REASON_H
#define BRINK_CACHE_REASON_H

enum cache_reason {
#define REASON(name, fwd, detail, sentence) REASON_##name,
#include "cache/reason.def"
#undef REASON
    REASON_COUNT
};

const char *cache_reason_name(enum cache_reason reason); /* "EXPIRED" */
const char *cache_reason_fwd(enum cache_reason reason);  /* "" when it is no forward reason */
const char *
cache_reason_detail(enum cache_reason reason); /* a token for Cache-Status; "" for none */
const char *cache_reason_sentence(enum cache_reason reason); /* for people */

#endif
