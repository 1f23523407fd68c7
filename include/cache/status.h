/* The Cache-Status field. RFC 9211. */
#ifndef BRINK_CACHE_STATUS_H
#define BRINK_CACHE_STATUS_H

#include "cache/reason.h"
#include "http/msg.h"

struct cache_status {
    const char *node; /* our name: a token */
    bool hit;
    enum cache_reason fwd; /* its fwd text is used when not a hit */
    unsigned fwd_status;   /* 0: none */
    bool stored;
    bool collapsed;   /* another request's fetch was shared */
    bool uncollapsed; /* it was waited for, and did not do: "collapsed=?0" */
    bool has_ttl;
    int64_t ttl_s;
    enum cache_reason detail; /* shown when its detail is not empty */
    /* Left out when empty, when it has bytes that no String has (RFC 9651 section 3.3.3), or when
     * it takes more than CACHE_STATUS_KEY_MAX with its quotes and escapes. */
    struct slice key;
};

/* "Cache-Status: brink; hit; ttl=30 CRLF" into buf; the length. Never fails: cap is enough. */
enum { CACHE_STATUS_KEY_MAX = 384, CACHE_STATUS_MAX = 256 + CACHE_STATUS_KEY_MAX };
size_t cache_status_line(const struct cache_status *status, char buf[CACHE_STATUS_MAX]);

#endif
