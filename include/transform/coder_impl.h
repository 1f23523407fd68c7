/* The inside of coders. For src/transform/coding*.c alone: coding.c runs them, coding_pack.c does
 * whole bodies, coding_memory.c keeps accounts, and a file a library holds its stages. */
#ifndef BRINK_TRANSFORM_CODER_IMPL_H
#define BRINK_TRANSFORM_CODER_IMPL_H

#include "transform/coder.h"

/* What one coder has of the daemon's memory for coders. Every stage is promised what it may come to
 * when it is opened (but for a window that coded bytes ask for: when they do); reserved_len is the
 * larger of what is promised and what is allocated. So a coder that runs is not refused memory. */
struct coder_account {
    struct coder_memory *memory; /* NULL: not bounded, only counted */
    uint64_t promised_len, allocated_len, reserved_len;
    bool refused; /* the bound was met: failures are ERR_LIMIT, not ERR_NOMEM */
};

/* Both may raise the reservation: false when the bound is met. */
MUST_USE bool account_promise(struct coder_account *account, uint64_t more_len);
MUST_USE bool account_grow(struct coder_account *account, uint64_t len); /* allocated outside */
void account_shrink(struct coder_account *account, uint64_t len);
enum err account_error(const struct coder_account *account); /* why memory was not there */
void account_wind_up(struct coder_account *account);         /* its coder ends: no more promises */

/* Allocators for libraries with hooks. NULL: none left, or the bound is met. */
void *account_alloc(struct coder_account *account, size_t len);
void account_free(struct coder_account *account, void *ptr);

/* Contexts of zstd that wait for the next coder; they stay accounted. Take: NULL, there is none. */
void *account_take_idle(struct coder_account *account);
bool account_keep_idle(struct coder_account *account, void *context, uint64_t len);
uint64_t coding_zstd_context_len(void *context);
void coding_zstd_context_free(void *context);

/* One encoder or decoder of a library. */
struct stage_plan {
    int level;
    uint64_t size;        /* of what comes in, 0: unknown */
    uint64_t decoded_max; /* decoders: what says that it is longer is a bomb; 0: unknown */
    bool whole; /* `size` is exact, all comes in, and bytes matter more than time and memory */
};

struct stage_step {
    struct slice *in;
    enum coder_flush flush;
    char *out;
    size_t out_cap, out_len;
    bool done;
};

struct stage_ops {
    /* *out is set also when it fails half-way: close it. */
    enum err (*open)(struct coder_account *account, const struct stage_plan *plan, void **out);
    enum err (*run)(void *state, struct stage_step *step); /* as coder_run */
    void (*close)(void *state);                            /* may be NULL */
};

const struct stage_ops *coding_gzip_encoder(void);
const struct stage_ops *coding_gzip_decoder(void);
const struct stage_ops *coding_br_encoder(void);
const struct stage_ops *coding_br_decoder(void);
const struct stage_ops *coding_zstd_encoder(void);
const struct stage_ops *coding_zstd_decoder(void);

const struct stage_ops *coding_encoder(enum http_coding coding);
const struct stage_ops *coding_decoder(enum http_coding coding);

/* gzip by libdeflate, at once. Errors as coder_pack. */
MUST_USE enum err coding_libdeflate_pack(const struct coder_pack *pack, size_t *out_len);

#endif
