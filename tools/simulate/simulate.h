/* simulate: traces replayed through the store's own eviction code, beside LRU and FIFO. */
#ifndef BRINK_TOOLS_SIMULATE_H
#define BRINK_TOOLS_SIMULATE_H

#include "storage/record.h"
#include "storage/seen.h"
#include "storage/sieve.h"

NORETURN void die(const char *format, ...) PRINTF_LIKE(1, 2);

/* --- trace.c: requests, from a file or made here --- */

struct request {
    uint64_t id, len; /* bytes */
    uint32_t group;   /* 0, or the number of a share */
};

struct trace_options {
    const char *path;    /* NULL: made; "-": standard input, read once */
    unsigned columns[4]; /* where time, id, size and group are, from 1; 0: not there */
    double zipf;         /* exponent */
    uint64_t objects, requests, seed;
    double drift;         /* objects that the law moves on by with each request */
    double one_hit;       /* share of requests for objects that are asked for once */
    double median, sigma; /* of sizes, log-normal; sigma 0: all alike */
    double period_s;      /* of progress reports; 0: none */
};

struct trace;
struct trace *trace_new(const struct trace_options *options);
void trace_free(struct trace **slot);
void trace_rewind(struct trace *trace);                    /* not of standard input */
bool trace_next(struct trace *trace, struct request *out); /* false: the end */

/* --- cache.c: one cache of one size under one policy --- */

enum policy { POLICY_SIEVE, POLICY_REINSERT, POLICY_LRU, POLICY_FIFO, POLICY_ALL, POLICIES };
extern const char *const policy_names[POLICIES];

struct share {
    uint32_t group;
    unsigned percent;
};

struct cache_options {
    enum policy policy;
    uint64_t size_len;
    uint64_t object_max_len; /* 0: an eighth */
    uint64_t overhead_len;   /* of each object, besides its body */
    uint64_t seen_len;       /* memory of second-hit admission; 0: all are admitted */
    const struct share *shares;
    size_t shares_n;
};

struct tally {
    uint64_t requests, misses, bytes, missed_bytes;
};

struct cache {
    struct cache_options options;
    struct epoch epoch;
    struct index index;
    struct sieve_round round;
    struct seen seen;
    uint64_t used, limit; /* units of RECORD_ROOM_UNIT */
    uint64_t next_oid;
    uint64_t written_len, too_large_n, not_admitted_n, evicted_n, kept_n;
    struct tally all, groups[INDEX_GROUPS_MAX];
};

struct cache *cache_new(const struct cache_options *options);
void cache_free(struct cache **slot);
void cache_request(struct cache *cache, const struct request *request);

#endif
