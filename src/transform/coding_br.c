/* br streams, by the brotli library. RFC 7932, without the large windows that are no part of it.
 *
 * From quality 4 on the library works on 64 KB at once, some milliseconds. Streams are sent from
 * event loops, so what they took is flushed every FLUSH_LEN there: a step costs a fourth, and the
 * output grows by 1 to 3 %. Below, it works on 16 KB by itself. */
#include <brotli/decode.h>
#include <brotli/encode.h>

#include "transform/coder_impl.h"

enum {
    LGWIN_STREAM = 16, /* input that is shorter than LARGE_LEN, or of unknown length */
    LGWIN_STREAM_LARGE = 17,
    LARGE_LEN = 256 << 10,
    LGBLOCK_WHOLE = 17, /* a step of a strong form at quality 11: some 150 ms */
    WINDOW_GAP = 16,    /* what RFC 7932 section 9.1 takes off the window */
    FLUSH_FROM = 4,     /* quality */
    FLUSH_LEN = CODER_STEP_LEN,
    SIZE_HINT = 64 << 10,   /* told to the library instead of larger ones, for which it takes more
                               memory than a stream ought to have */
    DECODER_LEN = 96 << 10, /* the least that a decoder takes; the window comes on top */
    DECODER_IN_MAX = 4096   /* a call decodes all of it into the window, whatever room there is */
};

struct br {
    struct coder_account *account;
    BrotliEncoderState *encoder;
    BrotliDecoderState *decoder;
    size_t unflushed_len; /* taken since the last flush */
    bool streams;         /* steps are short */
    bool flushing;        /* a flush has begun: no input until it is out */
    bool ended;           /* decoder: the stream is whole */
    int quality;
};

static void *
hook_alloc(void *account, size_t len)
{
    return account_alloc(account, len);
}

static void
hook_free(void *account, void *ptr)
{
    account_free(account, ptr);
}

static enum err
br_new(struct coder_account *account, struct br **out)
{
    struct br *br = account_alloc(account, sizeof(*br));

    if (br == NULL)
        return account_error(account);
    *br = (struct br){.account = account};
    *out = br;
    return OK;
}

static void
br_close(void *state)
{
    struct br *br = state;

    if (br == NULL)
        return;
    if (br->encoder != NULL)
        BrotliEncoderDestroyInstance(br->encoder);
    if (br->decoder != NULL)
        BrotliDecoderDestroyInstance(br->decoder);
    account_free(br->account, br);
}

/* --- encoding --- */

/* What a stream takes at most, by quality: measured, and held by a unit test. */
static uint64_t
stream_len(int quality, uint32_t lgwin)
{
    static const uint16_t kib[] = {176,  192,  1280, 1024, 1280, 1280,
                                   1280, 1280, 1280, 1280, 1280, 1280};

    ASSERT((unsigned)quality < ARRAY_LEN(kib));
    return ((uint64_t)kib[quality] << 10) + (lgwin > LGWIN_STREAM ? UINT64_C(1) << lgwin : 0);
}

/* The narrowest window that holds a whole body. */
static uint32_t
lgwin_whole(uint64_t size)
{
    uint32_t lgwin = BROTLI_MIN_WINDOW_BITS;

    while (lgwin < BROTLI_MAX_WINDOW_BITS && (UINT64_C(1) << lgwin) - WINDOW_GAP < size)
        lgwin++;
    return lgwin;
}

static void
set_whole(struct br *br, const struct stage_plan *plan)
{
    uint64_t hint = plan->size < UINT32_MAX ? plan->size : UINT32_MAX;

    (void)BrotliEncoderSetParameter(br->encoder, BROTLI_PARAM_LGWIN, lgwin_whole(plan->size));
    (void)BrotliEncoderSetParameter(br->encoder, BROTLI_PARAM_LGBLOCK, LGBLOCK_WHOLE);
    (void)BrotliEncoderSetParameter(br->encoder, BROTLI_PARAM_SIZE_HINT, (uint32_t)hint);
}

static uint32_t
lgwin_stream(uint64_t size)
{
    uint32_t lgwin = lgwin_whole(size);

    if (size == 0 || (lgwin > LGWIN_STREAM && size <= LARGE_LEN))
        return LGWIN_STREAM;
    return lgwin < LGWIN_STREAM_LARGE ? lgwin : LGWIN_STREAM_LARGE;
}

static enum err
encoder_open(struct coder_account *account, const struct stage_plan *plan, void **out)
{
    uint32_t lgwin = lgwin_stream(plan->size);
    struct br *br;
    enum err rc;

    if (!plan->whole && !account_promise(account, stream_len(plan->level, lgwin)))
        return ERR_LIMIT;
    rc = br_new(account, &br);
    if (rc != OK)
        return rc;
    *out = br;
    br->quality = plan->level;
    br->streams = !plan->whole;
    br->encoder = BrotliEncoderCreateInstance(hook_alloc, hook_free, account);
    if (br->encoder == NULL)
        return account_error(account);
    (void)BrotliEncoderSetParameter(br->encoder, BROTLI_PARAM_QUALITY, (uint32_t)plan->level);
    if (plan->whole) {
        set_whole(br, plan);
        return OK;
    }
    (void)BrotliEncoderSetParameter(br->encoder, BROTLI_PARAM_LGWIN, lgwin);
    (void)BrotliEncoderSetParameter(br->encoder, BROTLI_PARAM_SIZE_HINT, SIZE_HINT);
    return OK;
}

/* One operation with what is there. False: no memory. */
static bool
operate(struct br *br, BrotliEncoderOperation operation, struct stage_step *step)
{
    const uint8_t *next_in = (const uint8_t *)step->in->ptr;
    uint8_t *next_out = (uint8_t *)step->out + step->out_len;
    size_t in_len = step->in->len, room = step->out_cap - step->out_len;
    bool good = BrotliEncoderCompressStream(br->encoder, operation, &in_len, &next_in, &room,
                                            &next_out, NULL);

    br->unflushed_len += step->in->len - in_len;
    *step->in = slice_skip(*step->in, step->in->len - in_len);
    step->out_len = step->out_cap - room;
    return good;
}

/* Until all that was taken in is out. While it is not, the library takes no more. */
static bool
flush(struct br *br, struct stage_step *step)
{
    struct slice none = SLICE_NONE, *in = step->in;
    bool good;

    step->in = &none;
    good = operate(br, BROTLI_OPERATION_FLUSH, step);
    step->in = in;
    br->flushing = BrotliEncoderHasMoreOutput(br->encoder);
    if (!br->flushing)
        br->unflushed_len = 0;
    return good;
}

static enum err
encoder_run(void *state, struct stage_step *step)
{
    struct br *br = state;

    if (br->flushing && !flush(br, step))
        return account_error(br->account);
    if (br->flushing)
        return OK;
    if (step->in->len > 0 && !operate(br, BROTLI_OPERATION_PROCESS, step))
        return account_error(br->account);
    if (step->in->len > 0)
        return OK;
    if (step->flush == CODER_END) {
        if (!operate(br, BROTLI_OPERATION_FINISH, step))
            return account_error(br->account);
        step->done = BrotliEncoderIsFinished(br->encoder);
    } else if (step->flush == CODER_FLUSH ||
               (br->streams && br->quality >= FLUSH_FROM && br->unflushed_len >= FLUSH_LEN)) {
        if (!flush(br, step))
            return account_error(br->account);
        step->done = step->flush == CODER_FLUSH && !br->flushing;
    }
    return OK;
}

const struct stage_ops *
coding_br_encoder(void)
{
    static const struct stage_ops ops = {encoder_open, encoder_run, br_close};

    return &ops;
}

/* --- decoding --- */

static enum err
decoder_open(struct coder_account *account, const struct stage_plan *plan, void **out)
{
    struct br *br;
    enum err rc;

    if (!account_promise(account, DECODER_LEN))
        return ERR_LIMIT;
    rc = br_new(account, &br);
    if (rc != OK)
        return rc;
    *out = br;
    br->decoder = BrotliDecoderCreateInstance(hook_alloc, hook_free, account);
    return br->decoder != NULL ? OK : account_error(account);
}

static bool
is_memory(BrotliDecoderErrorCode code)
{
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static enum err
decoder_run(void *state, struct stage_step *step)
{
    struct br *br = state;
    size_t taken = step->in->len < DECODER_IN_MAX ? step->in->len : DECODER_IN_MAX;
    const uint8_t *next_in = (const uint8_t *)step->in->ptr;
    uint8_t *next_out = (uint8_t *)step->out;
    size_t in_len = taken, room = step->out_cap;
    BrotliDecoderResult result;

    if (!br->ended) {
        result =
            BrotliDecoderDecompressStream(br->decoder, &in_len, &next_in, &room, &next_out, NULL);
        *step->in = slice_skip(*step->in, taken - in_len);
        step->out_len = step->out_cap - room;
        if (result == BROTLI_DECODER_RESULT_ERROR)
            return is_memory(BrotliDecoderGetErrorCode(br->decoder)) ? account_error(br->account)
                                                                     : ERR_CODING;
        br->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    }
    if (br->ended)
        step->done = step->in->len == 0;
    else if (step->in->len == 0 && result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) {
        if (step->flush == CODER_END)
            return ERR_CODING; /* the stream has no end */
        step->done = true;
    }
    return br->ended && step->in->len > 0 ? ERR_CODING : OK;
}

const struct stage_ops *
coding_br_decoder(void)
{
    static const struct stage_ops ops = {decoder_open, decoder_run, br_close};

    return &ops;
}
