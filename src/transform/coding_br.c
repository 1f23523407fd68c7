/* br streams, by the brotli library. RFC 7932, without the large windows that are no part of it.
 *
 * From quality 4 on the library works on 64 KB at once, some milliseconds. Streams are sent from
 * event loops, so what they took is flushed every FLUSH_LEN there: a step costs a fourth, and the
 * output grows by 1 to 3 %. Below, it works on 16 KB by itself.
 *
 * Debian's encoder calls exit() when an allocation gives it NULL. A daemon must not end so, least
 * of all because of a bound of its own: our hook leaves the library by a jump instead. What is left
 * of the encoder is then good for nothing; all its memory came from the hook, which knows each
 * block, so an encoder is always freed block by block. The decoder has no such habit. */
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <setjmp.h>

#include "base/list.h"
#include "transform/coder_impl.h"

enum {
    LGWIN_STREAM = 16, /* input that is shorter than LARGE_LEN, or of unknown length */
    LGWIN_STREAM_LARGE = 17,
    LARGE_LEN = 256 << 10,
    LARGE_QUALITY_MIN = 2,      /* below, the library looks no further back */
    LARGE_QUALITY_MAX = 4,      /* above, a wider window means tables of megabytes */
    LARGE_MORE_LEN = 384 << 10, /* memory */
    LGBLOCK_WHOLE = 17,         /* a step of a strong form at quality 11: some 150 ms */
    WINDOW_GAP = 16,            /* what RFC 7932 section 9.1 takes off the window */
    FLUSH_FROM = 4,             /* quality */
    FLUSH_LEN = CODER_STEP_LEN,
    SIZE_HINT = 64 << 10,   /* told to the library instead of larger ones, for which it takes more
                               memory than a stream ought to have */
    DECODER_LEN = 96 << 10, /* the least that a decoder takes; the window comes on top */
    WINDOW_JUDGED_LEN = 2 << 20, /* shorter ones are no matter, and Huffman tables may come near */
    WINDOW_SLACK = 1024,         /* what the library puts behind it */
    DECODER_IN_MAX = 4096 /* a call decodes all of it into the window, whatever room there is */
};

/* --- encoding --- */

struct encoder {
    struct coder_account *account;
    BrotliEncoderState *state;
    struct list blocks;   /* all that the library has */
    jmp_buf *escape;      /* where the hook goes when there is no memory */
    size_t unflushed_len; /* taken since the last flush */
    bool streams;         /* steps are short */
    bool flushing;        /* a flush has begun: no input until it is out */
    int quality;
};

union encoder_block {
    struct list link;
    max_align_t align;
};

static void *
encoder_alloc(void *opaque, size_t len)
{
    struct encoder *encoder = opaque;
    union encoder_block *block = NULL;
    size_t all;

    if (!__builtin_add_overflow(len, sizeof(*block), &all))
        block = account_alloc(encoder->account, all);
    if (block == NULL)
        longjmp(*encoder->escape, 1);
    list_push(&encoder->blocks, &block->link);
    return block + 1;
}

static void
encoder_free(void *opaque, void *ptr)
{
    struct encoder *encoder = opaque;
    union encoder_block *block = ptr;

    if (ptr == NULL)
        return;
    block--;
    list_remove(&block->link);
    account_free(encoder->account, block);
}

static bool
create(struct encoder *encoder)
{
    jmp_buf escape;

    encoder->escape = &escape;
    if (setjmp(escape) != 0)
        return false;
    encoder->state = BrotliEncoderCreateInstance(encoder_alloc, encoder_free, encoder);
    return encoder->state != NULL;
}

/* Buffers of one call. */
struct lent {
    size_t in_len, room;
    const uint8_t *in;
    uint8_t *out;
};

static bool
compress(struct encoder *encoder, BrotliEncoderOperation operation, struct lent *lent)
{
    jmp_buf escape;

    encoder->escape = &escape;
    if (setjmp(escape) != 0)
        return false;
    return BrotliEncoderCompressStream(encoder->state, operation, &lent->in_len, &lent->in,
                                       &lent->room, &lent->out, NULL);
}

/* What a stream takes at most: measured, and held by a unit test for every quality. */
static uint64_t
stream_len(int quality, uint32_t lgwin)
{
    static const uint16_t kib[] = {176,  176,  1024, 1024, 1024, 1024,
                                   1024, 1024, 1024, 1792, 1600, 1600};

    ASSERT((unsigned)quality < ARRAY_LEN(kib));
    return ((uint64_t)kib[quality] << 10) + (lgwin > LGWIN_STREAM ? LARGE_MORE_LEN : 0);
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
set(struct encoder *encoder, BrotliEncoderParameter parameter, uint64_t value)
{
    uint32_t most = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;

    if (!BrotliEncoderSetParameter(encoder->state, parameter, most))
        UNREACHABLE();
}

static uint32_t
lgwin_stream(const struct stage_plan *plan)
{
    uint32_t lgwin = lgwin_whole(plan->size);

    if (plan->size == 0)
        return LGWIN_STREAM;
    if (plan->size > LARGE_LEN && plan->level >= LARGE_QUALITY_MIN &&
        plan->level <= LARGE_QUALITY_MAX)
        return LGWIN_STREAM_LARGE;
    return lgwin < LGWIN_STREAM ? lgwin : LGWIN_STREAM;
}

static enum err
encoder_open(struct coder_account *account, const struct stage_plan *plan, void **out)
{
    uint32_t lgwin = plan->whole ? lgwin_whole(plan->size) : lgwin_stream(plan);
    struct encoder *encoder;

    if (!plan->whole && !account_promise(account, stream_len(plan->level, lgwin)))
        return ERR_LIMIT;
    encoder = account_alloc(account, sizeof(*encoder));
    if (encoder == NULL)
        return account_error(account);
    *encoder =
        (struct encoder){.account = account, .streams = !plan->whole, .quality = plan->level};
    list_init(&encoder->blocks);
    *out = encoder;
    if (!create(encoder))
        return account_error(account);
    set(encoder, BROTLI_PARAM_QUALITY, (uint64_t)plan->level);
    set(encoder, BROTLI_PARAM_LGWIN, lgwin);
    set(encoder, BROTLI_PARAM_SIZE_HINT, plan->whole ? plan->size : SIZE_HINT);
    if (plan->whole)
        set(encoder, BROTLI_PARAM_LGBLOCK, LGBLOCK_WHOLE);
    return OK;
}

/* One operation with what is there. False: no memory. */
static bool
operate(struct encoder *encoder, BrotliEncoderOperation operation, struct stage_step *step)
{
    struct lent lent = {.in_len = step->in->len,
                        .room = step->out_cap - step->out_len,
                        .in = (const uint8_t *)step->in->ptr,
                        .out = (uint8_t *)step->out + step->out_len};

    if (!compress(encoder, operation, &lent))
        return false;
    encoder->unflushed_len += step->in->len - lent.in_len;
    *step->in = slice_skip(*step->in, step->in->len - lent.in_len);
    step->out_len = step->out_cap - lent.room;
    return true;
}

/* Until all that was taken in is out. While it is not, the library takes no more. */
static bool
flush(struct encoder *encoder, struct stage_step *step)
{
    struct slice none = SLICE_NONE, *in = step->in;
    bool good;

    step->in = &none;
    good = operate(encoder, BROTLI_OPERATION_FLUSH, step);
    step->in = in;
    if (!good)
        return false;
    encoder->flushing = BrotliEncoderHasMoreOutput(encoder->state);
    if (!encoder->flushing)
        encoder->unflushed_len = 0;
    return true;
}

static bool
wants_flush(const struct encoder *encoder, const struct stage_step *step)
{
    return step->flush == CODER_FLUSH || (encoder->streams && encoder->quality >= FLUSH_FROM &&
                                          encoder->unflushed_len >= FLUSH_LEN);
}

static enum err
encoder_run(void *state, struct stage_step *step)
{
    struct encoder *encoder = state;

    if (encoder->flushing && !flush(encoder, step))
        return account_error(encoder->account);
    if (encoder->flushing)
        return OK;
    if (step->in->len > 0 && !operate(encoder, BROTLI_OPERATION_PROCESS, step))
        return account_error(encoder->account);
    if (step->in->len > 0)
        return OK;
    if (step->flush == CODER_END) {
        if (!operate(encoder, BROTLI_OPERATION_FINISH, step))
            return account_error(encoder->account);
        step->done = BrotliEncoderIsFinished(encoder->state);
    } else if (wants_flush(encoder, step)) {
        if (!flush(encoder, step))
            return account_error(encoder->account);
        step->done = !encoder->flushing;
    }
    return OK;
}

static void
encoder_close(void *state)
{
    struct encoder *encoder = state;

    if (encoder == NULL)
        return;
    LIST_FOREACH (&encoder->blocks, link)
        account_free(encoder->account, CONTAINER_OF(link, union encoder_block, link));
    account_free(encoder->account, encoder);
}

const struct stage_ops *
coding_br_encoder(void)
{
    static const struct stage_ops ops = {encoder_open, encoder_run, encoder_close};

    return &ops;
}

/* --- decoding --- */

struct decoder {
    struct coder_account *account;
    BrotliDecoderState *state;
    uint64_t window_max; /* a longer one belongs to a bomb */
    bool bomb;
    bool ended; /* the stream is whole */
};

/* The library takes a window as wide as the stream's, but less than twice what a metablock brings
 * it to, and fills it in one call, however little room there is. So a window too wide for all that
 * may be decoded is refused rather than filled. No other allocation is as large. */
static void *
decoder_alloc(void *opaque, size_t len)
{
    struct decoder *decoder = opaque;

    if (len > decoder->window_max) {
        decoder->bomb = true;
        return NULL;
    }
    return account_alloc(decoder->account, len);
}

static void
decoder_free(void *opaque, void *ptr)
{
    struct decoder *decoder = opaque;

    account_free(decoder->account, ptr);
}

static uint64_t
window_max(uint64_t decoded_max)
{
    uint64_t least = decoded_max > WINDOW_JUDGED_LEN / 2 ? decoded_max : WINDOW_JUDGED_LEN / 2;

    return decoded_max == 0 || least > UINT64_MAX / 4 ? UINT64_MAX : 2 * least + WINDOW_SLACK;
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
    *decoder = (struct decoder){.account = account, .window_max = window_max(plan->decoded_max)};
    *out = decoder;
    decoder->state = BrotliDecoderCreateInstance(decoder_alloc, decoder_free, decoder);
    return decoder->state != NULL ? OK : account_error(account);
}

static enum err
decoder_error(const struct decoder *decoder)
{
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(decoder->state);

    if (decoder->bomb)
        return ERR_CODING_BOMB;
    if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
        code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
        return account_error(decoder->account);
    return ERR_CODING;
}

/* One call of the library, with a part of the input. *out_hungry: it wants more, and has given all:
 * it asks as soon as it has read everything, also while it holds back what had no room. */
static enum err
decompress(struct decoder *decoder, struct stage_step *step, bool *out_hungry)
{
    size_t len = step->in->len < DECODER_IN_MAX ? step->in->len : DECODER_IN_MAX;
    size_t left = len, room = step->out_cap;
    const uint8_t *next_in = (const uint8_t *)step->in->ptr;
    uint8_t *next_out = (uint8_t *)step->out;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(decoder->state, &left, &next_in, &room, &next_out, NULL);

    *step->in = slice_skip(*step->in, len - left);
    step->out_len = step->out_cap - room;
    decoder->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    *out_hungry = result == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT &&
                  !BrotliDecoderHasMoreOutput(decoder->state);
    return result == BROTLI_DECODER_RESULT_ERROR ? decoder_error(decoder) : OK;
}

static enum err
decoder_run(void *state, struct stage_step *step)
{
    struct decoder *decoder = state;
    bool hungry = false;
    enum err rc = decoder->ended ? OK : decompress(decoder, step, &hungry);

    if (rc != OK)
        return rc;
    if (decoder->ended && step->in->len > 0)
        return ERR_CODING; /* something follows */
    if (hungry && step->in->len == 0 && step->flush == CODER_END)
        return ERR_CODING; /* the stream has no end */
    step->done = decoder->ended || hungry;
    return OK;
}

static void
decoder_close(void *state)
{
    struct decoder *decoder = state;

    if (decoder == NULL)
        return;
    if (decoder->state != NULL)
        BrotliDecoderDestroyInstance(decoder->state);
    account_free(decoder->account, decoder);
}

const struct stage_ops *
coding_br_decoder(void)
{
    static const struct stage_ops ops = {decoder_open, decoder_run, decoder_close};

    return &ops;
}
