/* What the cache knows of a stored response besides its head and body: `meta` of a store record.
 * Fixed part first, then texts; versioned; read with every length checked, for it comes from a
 * disk. */
#ifndef BRINK_CACHE_OBJECT_H
#define BRINK_CACHE_OBJECT_H

#include "cache/key.h"
#include "cache/reason.h"
#include "http/coding.h"

enum {
    CACHE_ALWAYS_VALIDATE = 1, /* no-cache, or nothing but a validator */
    CACHE_MUST_REVALIDATE =
        2,                /* must-revalidate, proxy-revalidate, s-maxage: never stale unvalidated */
    CACHE_HEURISTIC = 4,  /* the lifetime was guessed, RFC 9111 section 4.2.2 */
    CACHE_IMMUTABLE = 8,  /* RFC 8246 */
    CACHE_WITHHOLDS = 16, /* fields named by no-cache="..." or private="..." are not stored */
    CACHE_PARTIAL = 32,   /* the body is in slices of their own: cache/partial.h */
    CACHE_SLICE = 64,     /* one of them */
    CACHE_CODABLE = 128,  /* it may be sent in the site's codings: cache/variant.h */
    CACHE_CODED = 256,    /* it came in a coding, which may be undone */
    CACHE_VARY_OURS = 512 /* the Accept-Encoding in its head's Vary is ours */
};

/* Where the lifetime comes from: RFC 9111 sections 4.2.1 and 4.2.2. */
enum cache_lifetime {
    CACHE_LIFETIME_DEFAULT, /* the site's default_ttl, or nothing at all */
    CACHE_LIFETIME_S_MAXAGE,
    CACHE_LIFETIME_MAX_AGE,
    CACHE_LIFETIME_EXPIRES,
    CACHE_LIFETIME_HEURISTIC, /* a tenth of the time since Last-Modified */
    CACHE_LIFETIME_TARGETED,  /* max-age or s-maxage of a targeted field, RFC 9213 */
    CACHE_LIFETIME_STATUS,    /* the site's for this status */
    CACHE_LIFETIME_COUNT
};

struct cache_object {
    uint16_t status;
    uint16_t flags;
    enum cache_lifetime lifetime_from;
    int64_t response_s;      /* when the response was received; seconds since the epoch */
    int64_t date_s;          /* its Date, or response_s without one */
    int64_t last_modified_s; /* -1: none */
    uint32_t initial_age_s;  /* corrected_initial_age, RFC 9111 section 4.2.3 */
    uint32_t lifetime_s;     /* freshness_lifetime, RFC 9111 section 4.2.1 */
    uint32_t swr_s, sie_s;   /* RFC 5861; 0: not given */
    uint32_t search;         /* cache_search_id of its own rule; 0: it answers one URL */
    struct slice etag;       /* as sent; empty: none */
    struct slice vary;       /* see cache/vary.h; empty: the response does not vary */
    struct slice tags;       /* cache_labels.tags */
    uint32_t own_len;        /* of its head's lines, those behind what representations share */
    enum http_coding coding; /* of its bytes; CODING_IDENTITY also for what has an unknown one */

    /* CACHE_PARTIAL alone */
    uint64_t whole_len;  /* of the representation */
    uint64_t slice_len;  /* of every slice but the last */
    uint64_t generation; /* names its slices; never 0 */
};

/* Encode into the arena. ERR_NOMEM. */
MUST_USE enum err
cache_object_encode(struct arena *arena, const struct cache_object *object, struct slice *out_meta);

/* Slices of *out borrow `meta`. `head_len`: of the head beside it. ERR_STORE_CORRUPT,
 * ERR_STORE_VERSION. */
MUST_USE enum err cache_object_decode(struct slice meta, size_t head_len, struct cache_object *out);

#endif
