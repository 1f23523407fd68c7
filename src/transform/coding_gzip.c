/* gzip streams, by zlib. RFC 1952: a body is one member or more, and nothing behind them.
 * The header that zlib writes has no time in it, so the same input gives the same bytes. */
#include <zlib.h>

#include "transform/coder_impl.h"

enum {
    WINDOW_BITS_MIN = 9,
    WINDOW_BITS_MAX = 15,
    WRAP_GZIP = 16,      /* added to the window's bits: gzip's header and trailer, no other */
    LOOKAHEAD_LEN = 262, /* what zlib keeps of its window for itself */
    MEM_LEVEL = 8,       /* 16 K symbols a block, zlib's own choice */
    DEFLATE_STATE_LEN = 8 << 10,
    INFLATE_LEN = 48 << 10, /* the window and inflate's state */
    MEMBERS_MAX = 64        /* that end in one call */
};

struct gzip {
    struct coder_account *account;
    z_stream z;
    bool open;    /* zlib has its state */
    bool marked;  /* encoder: a flush is written, but not all of it is out */
    bool between; /* decoder: a member has ended: another may begin, or the body ends */
};

static void *
hook_alloc(void *account, unsigned n, unsigned size)
{
    return account_alloc(account, (size_t)n * size);
}

static void
hook_free(void *account, void *ptr)
{
    account_free(account, ptr);
}

static struct gzip *
gzip_new(struct coder_account *account)
{
    struct gzip *gzip = account_alloc(account, sizeof(*gzip));

    if (gzip != NULL)
        *gzip = (struct gzip){.account = account,
                              .z = {.zalloc = hook_alloc, .zfree = hook_free, .opaque = account}};
    return gzip;
}

/* The step's buffers are zlib's for one call. zlib never writes to its input. */
static void
lend(struct gzip *gzip, const struct stage_step *step)
{
    size_t in_len = step->in->len < UINT32_MAX ? step->in->len : UINT32_MAX;
    size_t room = step->out_cap - step->out_len;

    gzip->z.next_in = (Bytef *)(uintptr_t)step->in->ptr;
    gzip->z.avail_in = (uInt)in_len;
    gzip->z.next_out = (Bytef *)step->out + step->out_len;
    gzip->z.avail_out = (uInt)(room < UINT32_MAX ? room : UINT32_MAX);
}

static void
take_back(struct gzip *gzip, struct stage_step *step)
{
    const char *now_at = (const char *)gzip->z.next_in;

    if (step->in->len > 0)
        *step->in = slice_skip(*step->in, (size_t)(now_at - step->in->ptr));
    step->out_len = (size_t)((char *)gzip->z.next_out - step->out);
}

/* --- encoding --- */

/* As wide as the input, but not wider than zlib's. */
static int
window_bits(uint64_t size)
{
    int bits = WINDOW_BITS_MIN;

    if (size == 0)
        return WINDOW_BITS_MAX;
    while (bits < WINDOW_BITS_MAX && (UINT64_C(1) << bits) < size + LOOKAHEAD_LEN)
        bits++;
    return bits;
}

/* As zlib's manual has it, and its state. */
static uint64_t
deflate_len(int bits)
{
    return (UINT64_C(1) << (bits + 2)) + (UINT64_C(1) << (MEM_LEVEL + 9)) + DEFLATE_STATE_LEN;
}

static enum err
encoder_open(struct coder_account *account, const struct stage_plan *plan, void **out)
{
    int bits = window_bits(plan->size);
    struct gzip *gzip;

    if (!account_promise(account, deflate_len(bits)))
        return ERR_LIMIT;
    gzip = gzip_new(account);
    if (gzip == NULL)
        return account_error(account);
    *out = gzip;
    if (deflateInit2(&gzip->z, plan->level, Z_DEFLATED, bits + WRAP_GZIP, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return account_error(account);
    gzip->open = true;
    return OK;
}

static int
operate(struct gzip *gzip, int flush, struct stage_step *step)
{
    int rc;

    lend(gzip, step);
    rc = deflate(&gzip->z, flush);
    take_back(gzip, step);
    ASSERT(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
    return rc;
}

static bool
is_drained(struct gzip *gzip)
{
    unsigned bytes;
    int bits;

    if (deflatePending(&gzip->z, &bytes, &bits) != Z_OK)
        UNREACHABLE();
    return bytes == 0 && bits == 0;
}

/* What is left of a flush. */
static void
drain(struct gzip *gzip, struct stage_step *step)
{
    struct slice none = SLICE_NONE, *in = step->in;

    step->in = &none;
    (void)operate(gzip, Z_NO_FLUSH, step);
    step->in = in;
    gzip->marked = !is_drained(gzip);
}

/* Z_SYNC_FLUSH that had no room must not be repeated: it would write its mark again. So first all
 * blocks are written out, which can be repeated, then the mark, and what is left of it. */
static void
flush(struct gzip *gzip, struct stage_step *step)
{
    if (gzip->marked) {
        drain(gzip, step);
        step->done = !gzip->marked && step->in->len == 0;
        return;
    }
    (void)operate(gzip, Z_BLOCK, step);
    if (gzip->z.avail_out == 0)
        return;
    (void)operate(gzip, Z_SYNC_FLUSH, step);
    gzip->marked = !is_drained(gzip);
    step->done = !gzip->marked;
}

static enum err
encoder_run(void *state, struct stage_step *step)
{
    struct gzip *gzip = state;

    if (step->flush == CODER_FLUSH) {
        flush(gzip, step);
        return OK;
    }
    gzip->marked = false;
    step->done =
        operate(gzip, step->flush == CODER_END ? Z_FINISH : Z_NO_FLUSH, step) == Z_STREAM_END;
    return OK;
}

static void
encoder_close(void *state)
{
    struct gzip *gzip = state;

    if (gzip == NULL)
        return;
    if (gzip->open)
        (void)deflateEnd(&gzip->z);
    account_free(gzip->account, gzip);
}

const struct stage_ops *
coding_gzip_encoder(void)
{
    static const struct stage_ops ops = {encoder_open, encoder_run, encoder_close};

    return &ops;
}

/* --- decoding --- */

static enum err
decoder_open(struct coder_account *account, const struct stage_plan *plan, void **out)
{
    struct gzip *gzip;

    if (!account_promise(account, INFLATE_LEN))
        return ERR_LIMIT;
    gzip = gzip_new(account);
    if (gzip == NULL)
        return account_error(account);
    *out = gzip;
    if (inflateInit2(&gzip->z, WINDOW_BITS_MAX + WRAP_GZIP) != Z_OK)
        return account_error(account);
    gzip->open = true;
    return OK;
}

static enum err
inflate_error(const struct gzip *gzip, int rc)
{
    return rc == Z_MEM_ERROR ? account_error(gzip->account) : ERR_CODING;
}

/* Goes on until the input or the room is used up, or so many members have ended that others
 * should have their turn. */
static enum err
decoder_run(void *state, struct stage_step *step)
{
    struct gzip *gzip = state;
    int rc = Z_OK;

    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        if (gzip->between && step->in->len == 0)
            break;
        if (gzip->between && inflateReset(&gzip->z) != Z_OK)
            return ERR_CODING;
        gzip->between = false;
        lend(gzip, step);
        rc = inflate(&gzip->z, Z_NO_FLUSH);
        take_back(gzip, step);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return inflate_error(gzip, rc);
        gzip->between = rc == Z_STREAM_END;
        if (!gzip->between)
            break;
    }
    if (step->in->len > 0)
        return OK;
    if (step->flush != CODER_END)
        step->done = gzip->between || step->out_len < step->out_cap;
    else if (gzip->between)
        step->done = true;
    else if (step->out_len < step->out_cap)
        return ERR_CODING; /* all is out, and the last member has no end */
    return OK;
}

static void
decoder_close(void *state)
{
    struct gzip *gzip = state;

    if (gzip == NULL)
        return;
    if (gzip->open)
        (void)inflateEnd(&gzip->z);
    account_free(gzip->account, gzip);
}

const struct stage_ops *
coding_gzip_decoder(void)
{
    static const struct stage_ops ops = {decoder_open, decoder_run, decoder_close};

    return &ops;
}
