/* zstd streams and whole bodies. RFC 8878; windows of at most 8 MB as RFC 9659 has it, one way and
 * the other.
 *
 * The library's contexts come from malloc, out of sight; so what one will take is reserved before,
 * and what it does take is asked after. A decoder's memory is the window that a frame's header asks
 * for: headers are therefore read here first. That also keeps frames of the formats before
 * RFC 8878, which the library may know, away from it. */
#include <zstd.h>
#include <zstd_errors.h>

#include "transform/coder_impl.h"

enum {
    WINDOW_LOG_MAX = 23,    /* RFC 9659 section 3 */
    WINDOW_LOG_STREAM = 16, /* input that is shorter than LARGE_LEN, or of unknown length */
    WINDOW_LOG_STREAM_LARGE = 17,
    LARGE_LEN = 256 << 10,
    BLOCK_LEN = 128 << 10,
    ENCODER_LEN = 36 << 10,          /* besides what grows with the window */
    ENCODER_OPTIMAL_LEN = 160 << 10, /* more for levels that weigh every parse */
    OPTIMAL_FROM = 16,               /* level, with windows as small as these */
    DECODER_LEN = 240 << 10,         /* besides the window and two blocks */
    STEPS_MAX = 128                  /* heads and bodies of frames in one call */
};

uint64_t
coding_zstd_context_len(void *context)
{
    return ZSTD_sizeof_CCtx(context);
}

void
coding_zstd_context_free(void *context)
{
    (void)ZSTD_freeCCtx(context);
}

/* --- encoding --- */

struct encoder {
    struct coder_account *account;
    ZSTD_CCtx *context;
    uint64_t context_len; /* accounted */
    bool whole;
};

/* As wide as the input, within the bounds of a stream. */
static int
window_log_stream(uint64_t size)
{
    int log = 10, max = size > LARGE_LEN ? WINDOW_LOG_STREAM_LARGE : WINDOW_LOG_STREAM;

    if (size == 0)
        return WINDOW_LOG_STREAM;
    while (log < max && (UINT64_C(1) << log) < size)
        log++;
    return log;
}

/* What a stream takes at most: in, out and a block between, tables; measured, and held by a unit
 * test for every level. */
static uint64_t
stream_len(int level, int window_log)
{
    uint64_t window = UINT64_C(1) << window_log, len = ENCODER_LEN + window * 17 / 2;

    return level < OPTIMAL_FROM ? len : len + ENCODER_OPTIMAL_LEN + window * 5;
}

/* The context's memory is in the account as it is now. */
static bool
settle(struct encoder *encoder)
{
    uint64_t now_len = ZSTD_sizeof_CCtx(encoder->context), was_len = encoder->context_len;

    if (now_len > was_len && !account_grow(encoder->account, now_len - was_len))
        return false;
    if (now_len < was_len)
        account_shrink(encoder->account, was_len - now_len);
    encoder->context_len = now_len;
    return true;
}

static void
set(struct encoder *encoder, ZSTD_cParameter parameter, int value)
{
    size_t rc = ZSTD_CCtx_setParameter(encoder->context, parameter, value);

    ASSERT(!ZSTD_isError(rc));
}

/* Tables in proportion to the window: beyond, they cost memory and gain next to nothing. */
static void
set_stream(struct encoder *encoder, int window_log)
{
    set(encoder, ZSTD_c_windowLog, window_log);
    set(encoder, ZSTD_c_hashLog, window_log - 2);
    set(encoder, ZSTD_c_chainLog, window_log - 3);
}

static enum err
set_whole(struct encoder *encoder, uint64_t size)
{
    size_t rc = ZSTD_CCtx_setPledgedSrcSize(encoder->context, size);

    if (size > UINT64_C(1) << WINDOW_LOG_MAX)
        set(encoder, ZSTD_c_windowLog, WINDOW_LOG_MAX);
    return ZSTD_isError(rc) ? ERR_NOMEM : OK;
}

static enum err
context_open(struct encoder *encoder, const struct stage_plan *plan)
{
    if (!plan->whole &&
        !account_promise(encoder->account, stream_len(plan->level, window_log_stream(plan->size))))
        return ERR_LIMIT;
    encoder->context = plan->whole ? NULL : account_take_idle(encoder->account);
    if (encoder->context != NULL) {
        encoder->context_len = ZSTD_sizeof_CCtx(encoder->context);
        (void)ZSTD_CCtx_reset(encoder->context, ZSTD_reset_session_and_parameters);
    } else
        encoder->context = ZSTD_createCCtx();
    if (encoder->context == NULL)
        return ERR_NOMEM;
    return settle(encoder) ? OK : account_error(encoder->account);
}

static enum err
encoder_open(struct coder_account *account, const struct stage_plan *plan, void **out)
{
    struct encoder *encoder = account_alloc(account, sizeof(*encoder));
    enum err rc;

    if (encoder == NULL)
        return account_error(account);
    *encoder = (struct encoder){.account = account, .whole = plan->whole};
    *out = encoder;
    rc = context_open(encoder, plan);
    if (rc != OK)
        return rc;
    set(encoder, ZSTD_c_compressionLevel, plan->level);
    if (plan->whole)
        return set_whole(encoder, plan->size);
    set_stream(encoder, window_log_stream(plan->size));
    return OK;
}

static enum err
encoder_run(void *state, struct stage_step *step)
{
    static const ZSTD_EndDirective ends[] = {
        [CODER_GO] = ZSTD_e_continue, [CODER_FLUSH] = ZSTD_e_flush, [CODER_END] = ZSTD_e_end};
    struct encoder *encoder = state;
    ZSTD_inBuffer in = {step->in->ptr, step->in->len, 0};
    ZSTD_outBuffer out = {step->out, step->out_cap, step->out_len};
    size_t left = ZSTD_compressStream2(encoder->context, &out, &in, ends[step->flush]);

    if (ZSTD_isError(left) || !settle(encoder))
        return account_error(encoder->account);
    *step->in = slice_skip(*step->in, in.pos);
    step->out_len = out.pos;
    step->done = left == 0;
    return OK;
}

static void
encoder_close(void *state)
{
    struct encoder *encoder = state;

    if (encoder == NULL)
        return;
    if (encoder->context != NULL &&
        (encoder->whole ||
         !account_keep_idle(encoder->account, encoder->context, encoder->context_len))) {
        account_shrink(encoder->account, encoder->context_len);
        (void)ZSTD_freeCCtx(encoder->context);
    }
    account_free(encoder->account, encoder);
}

const struct stage_ops *
coding_zstd_encoder(void)
{
    static const struct stage_ops ops = {encoder_open, encoder_run, encoder_close};

    return &ops;
}

/* --- decoding --- */

enum { HEAD_LEN_MAX = 18, SKIP_HEAD_LEN = 8, MAGIC_LEN = 4 };
#define MAGIC 0xFD2FB528U
#define UNKNOWN_LEN UINT64_MAX
#define MAGIC_SKIP 0x184D2A50U /* its last four bits are free */

enum decoder_where { IN_HEAD, IN_FRAME, IN_SKIPPED, WHERE_COUNT };

struct decoder {
    struct coder_account *account;
    ZSTD_DCtx *context;
    uint64_t context_len;  /* accounted */
    uint64_t promised_len; /* for the widest window yet */
    uint64_t decoded_max;  /* 0: unknown */
    enum decoder_where where;
    uint8_t head[HEAD_LEN_MAX]; /* of the frame that begins */
    size_t head_len;
    uint64_t skip_len;    /* left of a skippable frame */
    uint64_t content_len; /* of this frame, less what is out */
    bool pending;         /* the room was used up: there may be more without input */
    bool ended;           /* a frame was whole, and no other has begun */
};

static uint64_t
little_endian(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;

    for (size_t i = n; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

/* RFC 8878 section 3.1.1.1: where the parts of a frame's header are, by its descriptor. */
struct frame_head {
    bool single; /* no window's descriptor: the content's length is the window */
    size_t at;   /* the content's length, of size_len bytes; 0: it is not said */
    size_t size_len;
};

static struct frame_head
frame_head_of(uint8_t descriptor)
{
    static const uint8_t id_lens[] = {0, 1, 2, 4}, size_lens[] = {0, 2, 4, 8};
    struct frame_head head = {.single = (descriptor & 0x20) != 0,
                              .size_len = size_lens[(unsigned)descriptor >> 6]};

    if (head.single && head.size_len == 0)
        head.size_len = 1;
    head.at = MAGIC_LEN + 1 + (head.single ? 0U : 1U) + id_lens[descriptor & 3U];
    return head;
}

/* How many bytes of the head are needed to know more. */
static size_t
head_wanted(const struct decoder *decoder)
{
    struct frame_head head;

    if (decoder->head_len < MAGIC_LEN + 1)
        return MAGIC_LEN + 1;
    if (little_endian(decoder->head, MAGIC_LEN) != MAGIC)
        return SKIP_HEAD_LEN;
    head = frame_head_of(decoder->head[MAGIC_LEN]);
    return head.at + head.size_len;
}

/* Section 3.1.1.1.4. UNKNOWN_LEN: it is not said. */
static uint64_t
content_len(const struct decoder *decoder)
{
    struct frame_head head = frame_head_of(decoder->head[MAGIC_LEN]);
    uint64_t len = little_endian(decoder->head + head.at, head.size_len);

    if (head.size_len == 0)
        return UNKNOWN_LEN;
    return head.size_len == 2 ? len + 256 : len;
}

/* Section 3.1.1.1.2. */
static uint64_t
window_len(const struct decoder *decoder)
{
    uint8_t descriptor = decoder->head[MAGIC_LEN + 1];
    uint64_t base = UINT64_C(1) << (10 + ((unsigned)descriptor >> 3));

    if (frame_head_of(decoder->head[MAGIC_LEN]).single)
        return content_len(decoder);
    return base + base / 8 * (descriptor & 7U);
}

static bool
settle_decoder(struct decoder *decoder)
{
    uint64_t now_len = ZSTD_sizeof_DCtx(decoder->context), was_len = decoder->context_len;

    if (now_len > was_len && !account_grow(decoder->account, now_len - was_len))
        return false;
    if (now_len < was_len)
        account_shrink(decoder->account, was_len - now_len);
    decoder->context_len = now_len;
    return true;
}

/* The header is whole: what it asks for is reserved, then the library has it. */
static enum err
begin_frame(struct decoder *decoder)
{
    ZSTD_inBuffer in = {decoder->head, decoder->head_len, 0};
    ZSTD_outBuffer out = {NULL, 0, 0};
    uint64_t window = window_len(decoder);
    uint64_t block = window < BLOCK_LEN ? window : BLOCK_LEN;
    size_t rc;

    if (window > UINT64_C(1) << WINDOW_LOG_MAX)
        return ERR_CODING;
    decoder->content_len = content_len(decoder);
    if (decoder->decoded_max > 0 && decoder->content_len != UNKNOWN_LEN &&
        decoder->content_len > decoder->decoded_max)
        return ERR_CODING_BOMB;
    if (window + 2 * block > decoder->promised_len) {
        if (!account_promise(decoder->account, window + 2 * block - decoder->promised_len))
            return ERR_LIMIT;
        decoder->promised_len = window + 2 * block;
    }
    rc = ZSTD_decompressStream(decoder->context, &out, &in);
    if (ZSTD_isError(rc))
        return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? ERR_NOMEM : ERR_CODING;
    ASSERT(in.pos == in.size);
    decoder->where = IN_FRAME;
    return settle_decoder(decoder) ? OK : account_error(decoder->account);
}

/* Section 3.1.2: a frame for others, with its length. */
static enum err
begin_skipped(struct decoder *decoder)
{
    if ((little_endian(decoder->head, MAGIC_LEN) & ~UINT64_C(15)) != MAGIC_SKIP)
        return ERR_CODING;
    decoder->skip_len = little_endian(decoder->head + MAGIC_LEN, SKIP_HEAD_LEN - MAGIC_LEN);
    decoder->where = IN_SKIPPED;
    return OK;
}

/* Collects a header. False: more of it has to come. */
static bool
gather(struct decoder *decoder, struct slice *in)
{
    size_t wanted;

    while (decoder->head_len < (wanted = head_wanted(decoder))) {
        size_t n = wanted - decoder->head_len;

        if (in->len == 0)
            return false;
        n = n < in->len ? n : in->len;
        memcpy(decoder->head + decoder->head_len, in->ptr, n);
        decoder->head_len += n;
        *in = slice_skip(*in, n);
    }
    return true;
}

/* The library does not compare them in every case. */
static bool
count_content(struct decoder *decoder, uint64_t len, bool last)
{
    if (decoder->content_len == UNKNOWN_LEN)
        return true;
    if (len > decoder->content_len)
        return false;
    decoder->content_len -= len;
    return !last || decoder->content_len == 0;
}

static void
end_frame(struct decoder *decoder)
{
    decoder->where = IN_HEAD;
    decoder->head_len = 0;
    decoder->ended = true;
}

static enum err
run_head(struct decoder *decoder, struct stage_step *step, bool *out_more)
{
    *out_more = gather(decoder, step->in);
    if (!*out_more)
        return OK;
    decoder->ended = false;
    return little_endian(decoder->head, MAGIC_LEN) == MAGIC ? begin_frame(decoder)
                                                            : begin_skipped(decoder);
}

static enum err
run_skipped(struct decoder *decoder, struct stage_step *step, bool *out_more)
{
    size_t n = decoder->skip_len < step->in->len ? (size_t)decoder->skip_len : step->in->len;

    *step->in = slice_skip(*step->in, n);
    decoder->skip_len -= n;
    *out_more = decoder->skip_len == 0;
    if (*out_more)
        end_frame(decoder);
    return OK;
}

/* The library counts calls with which it can do nothing as faults: it gets none. */
static enum err
run_frame(struct decoder *decoder, struct stage_step *step, bool *out_more)
{
    ZSTD_inBuffer in = {step->in->ptr, step->in->len, 0};
    ZSTD_outBuffer out = {step->out, step->out_cap, step->out_len};
    size_t rc;

    *out_more = false;
    if ((in.size == 0 && !decoder->pending) || out.pos == out.size)
        return OK;
    rc = ZSTD_decompressStream(decoder->context, &out, &in);
    if (ZSTD_isError(rc) || !count_content(decoder, out.pos - step->out_len, rc == 0))
        return ERR_CODING;
    *step->in = slice_skip(*step->in, in.pos);
    step->out_len = out.pos;
    decoder->pending = rc != 0 && out.pos == out.size;
    *out_more = rc == 0;
    if (*out_more)
        end_frame(decoder);
    return OK;
}

/* Nothing more can be done with what is there. */
static enum err
judge_end(const struct decoder *decoder, struct stage_step *step)
{
    bool drained = step->in->len == 0 && !(decoder->where == IN_FRAME && decoder->pending);

    if (step->flush != CODER_END || !drained)
        step->done = drained;
    else if (decoder->where == IN_HEAD && decoder->head_len == 0 && decoder->ended)
        step->done = true;
    else
        return ERR_CODING; /* in the midst of a frame, or before the first */
    return OK;
}

static enum err
decoder_run(void *state, struct stage_step *step)
{
    static enum err (*const runs[WHERE_COUNT])(struct decoder *, struct stage_step *, bool *) = {
        [IN_HEAD] = run_head, [IN_FRAME] = run_frame, [IN_SKIPPED] = run_skipped};
    struct decoder *decoder = state;
    bool more = true;

    for (unsigned i = 0; more && i < STEPS_MAX; i++) {
        enum err rc = runs[decoder->where](decoder, step, &more);

        if (rc != OK)
            return rc;
    }
    return more ? OK : judge_end(decoder, step);
}

static enum err
decoder_open(struct coder_account *account, const struct stage_plan *plan, void **out)
{
    struct decoder *decoder;

    if (!account_promise(account, DECODER_LEN))
        return ERR_LIMIT;
    decoder = account_alloc(account, sizeof(*decoder));
    if (decoder == NULL)
        return account_error(account);
    *decoder = (struct decoder){.account = account, .decoded_max = plan->decoded_max};
    *out = decoder;
    decoder->context = ZSTD_createDCtx();
    if (decoder->context == NULL)
        return ERR_NOMEM;
    if (ZSTD_isError(ZSTD_DCtx_setParameter(decoder->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        UNREACHABLE();
    return settle_decoder(decoder) ? OK : account_error(account);
}

static void
decoder_close(void *state)
{
    struct decoder *decoder = state;

    if (decoder == NULL)
        return;
    account_shrink(decoder->account, decoder->context_len);
    (void)ZSTD_freeDCtx(decoder->context);
    account_free(decoder->account, decoder);
}

const struct stage_ops *
coding_zstd_decoder(void)
{
    static const struct stage_ops ops = {decoder_open, decoder_run, decoder_close};

    return &ops;
}
