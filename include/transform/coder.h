/* Streams that encode, decode, or do one after the other, with bounded memory; and the strong form
 * of a whole body. The one place that knows zstd, brotli, zlib and libdeflate
 * (src/transform/coding*.c); src/transform/README.md says what each takes.
 *
 * Threads: a coder belongs to one at a time. Memory of all coders together is bounded. */
#ifndef BRINK_TRANSFORM_CODER_H
#define BRINK_TRANSFORM_CODER_H

#include <stdatomic.h>

#include "http/coding.h"

struct coder;

/* The memory of all coders of a daemon; begins as zeros and max_len. It keeps some contexts that
 * are costly to make for the next coder: coder_memory_fini, when no coder is left, frees them. */
enum { CODER_IDLE_MAX = 8 };
struct coder_memory {
    atomic_uint_fast64_t used_len;
    uint64_t max_len; /* 0: no bound */
    _Atomic(void *) idle[CODER_IDLE_MAX];
};
void coder_memory_fini(struct coder_memory *memory);

/* What decoded bytes may come to. Beyond `free_len` they may be `ratio` times the coded bytes taken
 * in so far; more is a bomb, as is what says that it will be, when their length is known. ratio 0:
 * any. */
struct coder_bound {
    uint64_t free_len;
    unsigned ratio;
};

struct coder_plan {
    enum http_coding from, to;   /* not the same; neither identity: decoded, then encoded */
    int level;                   /* of `to`: zstd 1 to 19, br 0 to 11, gzip 1 to 9 */
    uint64_t size_hint;          /* of what comes in, 0: unknown; coded bytes must not be more */
    struct coder_bound bound;    /* of what `from` is decoded to */
    struct coder_memory *memory; /* outlives the coder */
};

/* ERR_NOMEM; ERR_LIMIT: the memory for coders is used up (counted: coder_refused). */
MUST_USE enum err coder_new(const struct coder_plan *plan, struct coder **out);
void coder_free(struct coder **slot);

enum coder_flush {
    CODER_GO,    /* as it suits the coding */
    CODER_FLUSH, /* what came in must come out: somebody waits for it */
    CODER_END    /* no more will come in */
};

/* Takes from the front of *in, at most CODER_STEP_LEN bytes, and writes to out; either may be
 * nothing while there is work inside. *out_done: CODER_FLUSH: all is out; CODER_END: the stream is
 * whole; CODER_GO: never. Call again with what is left until *in is empty (and *out_done, for the
 * last two). out_cap > 0.
 * Errors: ERR_CODING: malformed, or it goes on after its end, or it ends too early;
 * ERR_CODING_BOMB; ERR_LIMIT, ERR_NOMEM: no memory for the window that coded bytes ask for. After
 * an error nothing more comes out. */
enum { CODER_STEP_LEN = 16384 };
MUST_USE enum err coder_run(struct coder *coder, struct slice *in, enum coder_flush flush,
                            char *out, size_t out_cap, size_t *out_len, bool *out_done);

/* The strong form of a whole body, in one. Looks at *stop (may be NULL) between steps of some
 * 100 ms of work; libdeflate's is one step, of at most CODER_ONE_STEP_MAX bytes.
 * ERR_LIMIT: it does not fit out_cap (it does not pay); ERR_CANCELLED: stopped; ERR_NOMEM. */
enum { CODER_ONE_STEP_MAX = 2 << 20 };
struct coder_pack {
    enum http_coding coding;
    int level; /* gzip: 10 to 12 are libdeflate's, for as much as it does at once; else zlib's 9 */
    struct slice in;
    char *out;
    size_t out_cap;
    const atomic_bool *stop;
};
MUST_USE enum err coder_pack(const struct coder_pack *pack, size_t *out_len);

/* The whole of a coded body decoded, in one (for jobs off the loops). Errors as coder_run;
 * ERR_LIMIT: more than out_cap; ERR_CANCELLED. */
MUST_USE enum err
coder_unpack(enum http_coding from, struct slice in, const struct coder_bound *bound,
             const atomic_bool *stop, char *out, size_t out_cap, size_t *out_len);

#endif
