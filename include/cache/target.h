/* The request target as a site wants it: which parameters of the query count, in what order, and
 * whether the case of the path does. What comes out is what the origin is asked for, so it is the
 * key's too: nothing that was dropped can show in a stored response (RFC 9111 section 2).
 *
 * Parameters are what "&" separates, their names what stands before "=", both byte for byte:
 * percent-encoding stays as it came, so "utm%5Fid" is another name than "utm_id". */
#ifndef BRINK_CACHE_TARGET_H
#define BRINK_CACHE_TARGET_H

#include "base/arena.h"

enum { CACHE_TARGET_SORT_MAX = 256 };

/* Names may end in "*", which stands for any ending. At most one of the lists has names. */
struct cache_target_rules {
    const char *const *drop; /* these parameters go */
    size_t drop_n;
    const char *const *keep; /* all but these go, when there is one */
    size_t keep_n;
    bool sort;        /* by name, those of one name in their order; left alone when there are more
                       * than CACHE_TARGET_SORT_MAX */
    bool ignore_case; /* ASCII letters of the path become lower case, but in percent-encodings */
};

/* Both are borrowed when nothing changes, else from the arena. `query`: with its "?", or empty.
 * Doing it twice changes nothing more. ERR_NOMEM. */
MUST_USE enum err cache_target_apply(struct arena *arena, const struct cache_target_rules *rules,
                                     struct slice *path, struct slice *query);

/* The next parameter off a query without its "?". False: no more. An empty one is one. */
bool cache_target_parameter(struct slice *rest, struct slice *out_name, struct slice *out_whole);

#endif
