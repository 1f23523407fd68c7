/* Coders: one stage that encodes or decodes, or two with a small buffer between them. This file
 * knows no library: it bounds the input of a step, and what is decoded, keeps errors, and hands
 * flushes on. */
#include "transform/coder_impl.h"

#include "base/stats.h"

#define CODER_TAG 0x636f6472U

enum { MIDDLE_LEN = 16384 };

struct stage {
    const struct stage_ops *ops; /* NULL: there is none */
    void *state;
};

struct coder {
    uint32_t tag;
    enum err failed; /* OK: not yet */
    struct coder_account account;
    struct coder_bound bound;
    struct stage decode, encode;
    uint64_t coded_len, decoded_len; /* taken in and given out by `decode` */
    bool dirty;                      /* something came in since the last flush */
    enum coder_flush drained; /* `decode` has given all out for this one; CODER_GO: it has not */
    bool finished;            /* the encoded, or the decoded, stream is whole */
    char *middle;             /* decoded, not yet encoded */
    size_t middle_at, middle_len;
};

const struct stage_ops *
coding_encoder(enum http_coding coding)
{
    switch (coding) {
    case CODING_GZIP:
        return coding_gzip_encoder();
    case CODING_BR:
        return coding_br_encoder();
    case CODING_ZSTD:
        return coding_zstd_encoder();
    case CODING_IDENTITY:
    case CODING_COUNT:
        break;
    }
    return NULL;
}

const struct stage_ops *
coding_decoder(enum http_coding coding)
{
    switch (coding) {
    case CODING_GZIP:
        return coding_gzip_decoder();
    case CODING_BR:
        return coding_br_decoder();
    case CODING_ZSTD:
        return coding_zstd_decoder();
    case CODING_IDENTITY:
    case CODING_COUNT:
        break;
    }
    return NULL;
}

static enum err
stage_open(struct coder *coder, struct stage *stage, const struct stage_plan *plan)
{
    return stage->ops == NULL ? OK : stage->ops->open(&coder->account, plan, &stage->state);
}

static void
stage_close(struct stage *stage)
{
    if (stage->ops != NULL)
        stage->ops->close(stage->state);
}

/* All that a body may come to, when its coded length is known. */
static uint64_t
decoded_max(const struct coder_plan *plan)
{
    uint64_t most;

    if (plan->bound.ratio == 0 || plan->size_hint == 0 ||
        __builtin_mul_overflow(plan->size_hint, (uint64_t)plan->bound.ratio, &most))
        return 0;
    return most > plan->bound.free_len ? most : plan->bound.free_len;
}

static enum err
open_all(struct coder *coder, const struct coder_plan *plan)
{
    bool both = coder->decode.ops != NULL && coder->encode.ops != NULL;
    struct stage_plan how = {
        .level = plan->level, .size = both ? 0 : plan->size_hint, .decoded_max = decoded_max(plan)};
    enum err rc = stage_open(coder, &coder->decode, &how);

    if (rc == OK)
        rc = stage_open(coder, &coder->encode, &how);
    if (rc != OK || !both)
        return rc;
    if (!account_promise(&coder->account, MIDDLE_LEN))
        return ERR_LIMIT;
    coder->middle = account_alloc(&coder->account, MIDDLE_LEN);
    return coder->middle == NULL ? account_error(&coder->account) : OK;
}

enum err
coder_new(const struct coder_plan *plan, struct coder **out)
{
    struct coder *coder = mem_zalloc(sizeof(*coder));
    enum err rc;

    ASSERT(plan->from != plan->to);
    if (coder == NULL)
        return ERR_NOMEM;
    coder->tag = CODER_TAG;
    coder->account.memory = plan->memory;
    coder->bound = plan->bound;
    coder->decode.ops = coding_decoder(plan->from);
    coder->encode.ops = coding_encoder(plan->to);
    rc = open_all(coder, plan);
    if (rc == ERR_LIMIT)
        STAT_INC(coder_refused);
    if (rc != OK)
        coder_free(&coder);
    else
        *out = coder;
    return rc;
}

void
coder_free(struct coder **slot)
{
    struct coder *coder = *slot;

    if (coder == NULL)
        return;
    ASSERT_TAG(coder, CODER_TAG);
    *slot = NULL;
    account_wind_up(&coder->account);
    stage_close(&coder->encode);
    stage_close(&coder->decode);
    account_free(&coder->account, coder->middle);
    ASSERT(coder->account.reserved_len == 0);
    coder->tag = TAG_FREED;
    mem_free(coder);
}

/* --- running --- */

/* One call of a stage with at most CODER_STEP_LEN of its input: what ends or flushes the input
 * waits for its last part. */
static enum err
stage_run(struct stage *stage, struct slice *in, struct stage_step *step)
{
    enum coder_flush flush = step->flush;
    struct slice part = slice_first(*in, CODER_STEP_LEN);
    size_t part_len = part.len;
    enum err rc;

    if (in->len > part_len)
        step->flush = CODER_GO;
    step->in = &part;
    rc = stage->ops->run(stage->state, step);
    *in = slice_skip(*in, part_len - part.len);
    step->done = step->done && flush != CODER_GO && in->len == 0;
    return rc;
}

/* May so much have been decoded of so much? */
static bool
within_bound(const struct coder *coder)
{
    uint64_t allowed;

    if (coder->bound.ratio == 0 || coder->decoded_len <= coder->bound.free_len)
        return true;
    return __builtin_mul_overflow(coder->coded_len, (uint64_t)coder->bound.ratio, &allowed) ||
           coder->decoded_len <= allowed;
}

static enum err
run_decode(struct coder *coder, struct slice *in, struct stage_step *step)
{
    size_t before = in->len;
    enum err rc = stage_run(&coder->decode, in, step);

    coder->coded_len += before - in->len;
    coder->decoded_len += step->out_len;
    return rc == OK && !within_bound(coder) ? ERR_CODING_BOMB : rc;
}

/* Encodes what is in the middle; decodes more into it when nothing was. */
static enum err
run_both(struct coder *coder, struct slice *in, struct stage_step *step)
{
    struct slice middle;
    enum err rc;

    if (coder->middle_at == coder->middle_len) {
        struct stage_step decode = {
            .flush = step->flush, .out = coder->middle, .out_cap = MIDDLE_LEN};

        rc = run_decode(coder, in, &decode);
        if (rc != OK)
            return rc;
        coder->middle_at = 0;
        coder->middle_len = decode.out_len;
        coder->drained = decode.done ? step->flush : CODER_GO;
    }
    if (coder->drained != step->flush)
        step->flush = CODER_GO;
    middle = slice_of(coder->middle + coder->middle_at, coder->middle_len - coder->middle_at);
    rc = stage_run(&coder->encode, &middle, step);
    coder->middle_at = coder->middle_len - middle.len;
    return rc;
}

enum err
coder_run(struct coder *coder, struct slice *in, enum coder_flush flush, char *out, size_t out_cap,
          size_t *out_len, bool *out_done)
{
    struct stage_step step = {.flush = flush, .out = out, .out_cap = out_cap};
    enum err rc;

    ASSERT_TAG(coder, CODER_TAG);
    ASSERT(out_cap > 0);
    *out_len = 0;
    *out_done = false;
    if (coder->failed != OK)
        return coder->failed;
    coder->dirty |= in->len > 0;
    if (coder->finished || (flush == CODER_FLUSH && !coder->dirty)) {
        ASSERT(in->len == 0); /* a second flush would write an empty block, a second end a stream */
        *out_done = flush != CODER_GO;
        return OK;
    }
    rc = coder->decode.ops == NULL   ? stage_run(&coder->encode, in, &step)
         : coder->encode.ops == NULL ? run_decode(coder, in, &step)
                                     : run_both(coder, in, &step);
    coder->failed = rc;
    if (rc == ERR_LIMIT) /* a window that the stream asks for only now */
        STAT_INC(coder_refused);
    if (rc != OK)
        return rc;
    *out_len = step.out_len;
    *out_done = step.done;
    coder->dirty = coder->dirty && !step.done;
    coder->finished = flush == CODER_END && step.done;
    return OK;
}
