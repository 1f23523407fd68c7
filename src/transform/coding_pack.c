/* Whole bodies, coded or decoded at once on threads that may take their time, in steps between
 * which they look whether they should stop. */
#include "transform/coder_impl.h"

enum {
    PACK_STEP_LEN = 128 << 10,   /* of the slowest, brotli at 11: some 150 ms */
    UNPACK_STEP_LEN = 256 << 10, /* of output */
    LIBDEFLATE_FROM = 10,        /* level */
    ZLIB_MAX = 9
};

static bool
is_stopped(const atomic_bool *stop)
{
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

/* A part of the input until it is taken, or the last until the stream is whole. */
static enum err
pack_part(const struct stage_ops *ops, void *state, struct slice *part, struct stage_step *step)
{
    enum err rc;

    step->in = part;
    do {
        step->done = false;
        if (step->out_len == step->out_cap)
            return ERR_LIMIT;
        rc = ops->run(state, step);
    } while (rc == OK && (part->len > 0 || (step->flush == CODER_END && !step->done)));
    return rc;
}

static enum err
pack_steps(const struct stage_ops *ops, void *state, const struct coder_pack *pack, size_t *out_len)
{
    struct stage_step step = {.flush = CODER_GO, .out = pack->out, .out_cap = pack->out_cap};
    struct slice rest = pack->in;
    enum err rc = OK;

    while (rc == OK && step.flush != CODER_END) {
        struct slice part = slice_first(rest, PACK_STEP_LEN);

        if (is_stopped(pack->stop))
            return ERR_CANCELLED;
        rest = slice_skip(rest, part.len);
        step.flush = rest.len == 0 ? CODER_END : CODER_GO;
        rc = pack_part(ops, state, &part, &step);
    }
    if (rc == OK)
        *out_len = step.out_len;
    return rc;
}

enum err
coder_pack(const struct coder_pack *pack, size_t *out_len)
{
    struct stage_plan plan = {.level = pack->level, .size = pack->in.len, .whole = true};
    const struct stage_ops *ops = coding_encoder(pack->coding);
    struct coder_account account = {0};
    void *state = NULL;
    enum err rc;

    ASSERT(ops != NULL);
    if (pack->coding == CODING_GZIP && pack->level >= LIBDEFLATE_FROM) {
        if (is_stopped(pack->stop))
            return ERR_CANCELLED;
        if (pack->in.len <= CODER_ONE_STEP_MAX)
            return coding_libdeflate_pack(pack, out_len);
        plan.level = ZLIB_MAX;
    }
    rc = ops->open(&account, &plan, &state);
    if (rc == OK)
        rc = pack_steps(ops, state, pack, out_len);
    account_wind_up(&account);
    ops->close(state);
    ASSERT(account.reserved_len == 0);
    return rc;
}

/* Decodes until the room is used up, or the stream is whole. */
static enum err
unpack_steps(struct coder *coder, struct slice *in, const atomic_bool *stop, char *out,
             size_t out_cap, size_t *out_len, bool *out_done)
{
    size_t len = 0, n;
    enum err rc = OK;

    *out_done = false;
    while (rc == OK && !*out_done && len < out_cap) {
        if (is_stopped(stop))
            return ERR_CANCELLED;
        n = out_cap - len < UNPACK_STEP_LEN ? out_cap - len : UNPACK_STEP_LEN;
        rc = coder_run(coder, in, CODER_END, out + len, n, &n, out_done);
        if (rc == OK)
            len += n;
    }
    *out_len = len;
    return rc;
}

enum err
coder_unpack(enum http_coding from, struct slice in, const struct coder_bound *bound,
             const atomic_bool *stop, char *out, size_t out_cap, size_t *out_len)
{
    const struct coder_plan plan = {
        .from = from, .to = CODING_IDENTITY, .size_hint = in.len, .bound = *bound};
    struct coder *coder = NULL;
    size_t len = 0, over_len = 0;
    bool done = false;
    char over;
    enum err rc = coder_new(&plan, &coder);

    if (rc == OK)
        rc = unpack_steps(coder, &in, stop, out, out_cap, &len, &done);
    if (rc == OK && !done) /* the room is used up: nothing may be left */
        rc = unpack_steps(coder, &in, stop, &over, sizeof(over), &over_len, &done);
    coder_free(&coder);
    if (rc == OK && over_len > 0)
        rc = ERR_LIMIT;
    if (rc == OK)
        *out_len = len;
    return rc;
}
