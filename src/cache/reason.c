/* The table of reasons as texts: names, Cache-Status parameters and sentences. */
#include "cache/reason.h"

#include "base/stats.h"

struct reason {
    const char *name, *fwd, *detail, *sentence;
};

static const struct reason reasons[] = {
#define REASON(name, fwd, detail, sentence) {#name, fwd, detail, sentence},
#include "cache/reason.def"
#undef REASON
};
static_assert(ARRAY_LEN(reasons) == REASON_COUNT, "one row for every reason");
static_assert((int)REASON_COUNT <= (int)STATS_LABELLED_MAX, "one counter for every reason");

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
cache_reason_label(enum cache_reason reason, char buf[CACHE_REASON_LABEL_MAX])
{
    const char *name = row_of(reason)->name;
    size_t n = 0;

    for (; name[n] != '\0' && n < CACHE_REASON_LABEL_MAX - 1; n++)
        buf[n] = name[n] >= 'A' && name[n] <= 'Z' ? (char)(name[n] - 'A' + 'a') : name[n];
    buf[n] = '\0';
    return buf;
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

void
cache_reason_count(enum cache_reason reason)
{
    stats_add_labelled(reason, 1);
}

int64_t
cache_reason_counted(enum cache_reason reason)
{
    return stats_read_labelled(reason);
}
