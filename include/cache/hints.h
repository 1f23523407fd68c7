/* Early hints: what a client may fetch while it waits, of the links in a stored head. RFC 8297, RFC
 * 8288. */
#ifndef BRINK_CACHE_HINTS_H
#define BRINK_CACHE_HINTS_H

#include "base/arena.h"
#include "base/slice.h"

enum { HINTS_N_MAX = 32, HINTS_LEN_MAX = 4096 };

/* The links of a head as cache/validate.h describes it, a "Link: ... CRLF" line each: those alone
 * whose every relation is preload, preconnect, modulepreload or dns-prefetch and whose context is
 * the response itself, up to the limits above. Empty: none. ERR_NOMEM. */
MUST_USE enum err
hints_build(struct arena *arena, struct slice stored_head, struct slice *out_lines);

#endif
