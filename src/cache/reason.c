/* The table of reasons as texts: names, Cache-Status parameters and sentences. */
#include "cache/reason.h"

#include "base/check.h"

struct reason {
    const char *name, *fwd, *detail, *sentence;
};

static const struct reason reasons[] = {
#define REASON(name, fwd, detail, sentence) {#name, fwd, detail, sentence},
#include "cache/reason.def"
#undef REASON
};
static_assert(ARRAY_LEN(reasons) == REASON_COUNT, "one row for every reason");

static const struct reason *
row_of(enum cache_reason reason)
{
    ASSERT((unsigned)reason < REASON_COUNT);
    return &reasons[reason];
}

const char *
cache_reason_name(enum cache_reason reason)
{
    return row_of(reason)->name;
}

const char *
cache_reason_fwd(enum cache_reason reason)
{
    return row_of(reason)->fwd;
}

const char *
cache_reason_detail(enum cache_reason reason)
{
    return row_of(reason)->detail;
}

const char *
cache_reason_sentence(enum cache_reason reason)
{
    return row_of(reason)->sentence;
}
