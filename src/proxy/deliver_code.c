/* Bodies that are coded or decoded on their way out.
 *
 *   source --(16 KB at most)--> coder --> out[] --> client
 *
 * The client's pull is the clock: nothing is coded ahead of it but what fits into out[]. All coders
 * of a worker share what may be done in one turn of the loop; who finds nothing left of that, or
 * whose step brought no output, waits in a list for the next one. What a waiting source has given
 * is flushed: whoever reads a slow body, or a stream of events, has all of it that there is. */
#include "proxy/deliver_code.h"

#include "base/stats.h"
#include "net/wake.h"
#include "proxy/core.h"
#include "proxy/deliver.h"

enum {
    SHARE_LEN = 1 << 17,       /* in and out of all coders together: a millisecond or two */
    STEP_LEN = CODER_STEP_LEN, /* of one, in one or ... */
    STEPS_MAX = 4,             /* in some steps, before others have their turn */
    OUT_LEN = 16384
};

struct deliver_code {
    struct list link; /* in its worker's share, while it waits */
    struct deliver *deliver;
    struct deliver_share *share;
    struct coder *coder;
    enum http_coding to;
    size_t off, len; /* out[off .. len) is not sent yet */
    bool dirty;      /* the coder may keep some of what it was given */
    bool ended;      /* the stream is whole */
    char out[OUT_LEN];
};

/* By coding: identity is what was decoded. */
static const enum counter in_stats[CODING_COUNT] = {STAT_decoded_in_bytes, STAT_coded_gzip_in_bytes,
                                                    STAT_coded_br_in_bytes,
                                                    STAT_coded_zstd_in_bytes};
static const enum counter out_stats[CODING_COUNT] = {
    STAT_decoded_out_bytes, STAT_coded_gzip_out_bytes, STAT_coded_br_out_bytes,
    STAT_coded_zstd_out_bytes};

/* --- turns --- */

/* Longest wait first. Who is called may wait again, behind the others. */
static void
on_turn(void *arg)
{
    struct deliver_share *share = arg;

    share->left_len = SHARE_LEN;
    while (share->left_len > 0 && !list_empty(&share->waiting)) {
        struct deliver *deliver = LIST_FIRST(&share->waiting, struct deliver_code, link)->deliver;

        list_remove(share->waiting.next);
        deliver->on_more(deliver->arg);
    }
    if (!list_empty(&share->waiting))
        wake_post(share->wake);
}

enum err
deliver_share_init(struct deliver_share *share, struct loop *loop)
{
    list_init(&share->waiting);
    share->left_len = SHARE_LEN;
    share->wake = wake_new(loop, on_turn, share);
    return share->wake == NULL ? ERR_NOMEM : OK;
}

void
deliver_share_fini(struct deliver_share *share)
{
    wake_free(&share->wake);
}

static enum deliver_next
await_turn(struct deliver_code *code)
{
    list_remove(&code->link);
    list_push(&code->share->waiting, &code->link);
    wake_post(code->share->wake);
    return DELIVER_WAIT;
}

static void
use_share(struct deliver_code *code, uint64_t len)
{
    struct deliver_share *share = code->share;

    share->left_len -= len < share->left_len ? len : share->left_len;
}

/* --- life --- */

enum err
deliver_code_new(struct deliver *deliver, const struct deliver_code_plan *plan,
                 struct deliver_code **out)
{
    struct proxy *proxy = deliver->proxy;
    struct coder_plan coder = {
        .from = plan->from,
        .to = plan->to,
        .level = plan->level,
        .size_hint = plan->size_hint,
        .bound = proxy->settings->coder_bound,
        .memory = &proxy->shared->coders,
    };
    struct deliver_code *code = mem_alloc(sizeof(*code));
    enum err rc;

    ASSERT(plan->from != plan->to);
    if (code == NULL)
        return ERR_NOMEM;
    memset(code, 0, offsetof(struct deliver_code, out));
    list_init(&code->link);
    code->deliver = deliver;
    code->share = &proxy->coding;
    code->to = plan->to;
    rc = coder_new(&coder, &code->coder);
    if (rc != OK)
        deliver_code_free(&code);
    else
        *out = code;
    return rc;
}

void
deliver_code_free(struct deliver_code **slot)
{
    struct deliver_code *code = *slot;

    *slot = NULL;
    if (code == NULL)
        return;
    list_remove(&code->link);
    coder_free(&code->coder);
    mem_free(code);
}

void
deliver_coded(struct deliver *deliver, struct deliver_code *code,
              void (*on_bad)(void *arg, enum err rc))
{
    ASSERT(deliver->code == NULL && deliver->parts_n == 0);
    deliver->code = code;
    deliver->on_bad = on_bad;
}

/* --- steps --- */

static enum err
run(struct deliver_code *code, struct slice *in, enum coder_flush flush, bool *out_done)
{
    size_t n = 0, in_len = in->len;
    enum err rc =
        coder_run(code->coder, in, flush, code->out + code->len, OUT_LEN - code->len, &n, out_done);

    code->len += n;
    use_share(code, in_len - in->len + n + 1); /* who does nothing uses it up, too */
    return rc;
}

/* Bytes of the source through the coder, as much as is *left; what it does not take comes again. */
static enum deliver_next
take_source(struct deliver *deliver, uint64_t *left, enum err *out_rc)
{
    struct deliver_code *code = deliver->code;
    struct iovec iov[DELIVER_IOV_MAX];
    enum deliver_next next;
    uint64_t len, taken = 0;
    size_t n;

    *out_rc = OK;
    next = deliver_next_plain(deliver, *left, iov, &n, &len);
    if (next != DELIVER_DATA)
        return next;
    for (size_t i = 0; i < n && *out_rc == OK && code->len < OUT_LEN; i++) {
        struct slice in = slice_of(iov[i].iov_base, iov[i].iov_len);
        bool done;

        *out_rc = run(code, &in, CODER_GO, &done);
        taken += iov[i].iov_len - in.len;
        if (in.len > 0)
            break;
    }
    code->dirty = true;
    *left -= taken;
    stats_add(in_stats[code->to], (int64_t)taken);
    deliver_sent_plain(deliver, taken);
    return DELIVER_DATA;
}

/* What was decoded so far is out: nobody can take it back, so the client sees a cut. */
static enum deliver_next
fail(struct deliver *deliver, enum err rc)
{
    deliver->failed = rc;
    if (rc == ERR_CODING_BOMB)
        STAT_INC(decode_bombs);
    else if (rc == ERR_CODING)
        STAT_INC(decode_failed);
    if (rc == ERR_CODING || rc == ERR_CODING_BOMB)
        deliver->on_bad(deliver->arg, rc);
    return DELIVER_FAILED;
}

/* Output into an empty out[]. DELIVER_DATA: there is some. */
static enum deliver_next
fill_out(struct deliver *deliver)
{
    struct deliver_code *code = deliver->code;
    struct slice nothing = SLICE_NONE;
    enum deliver_next next = DELIVER_DATA;
    uint64_t left = STEP_LEN;
    enum err rc = OK;
    bool done = false;

    code->off = code->len = 0;
    if (code->ended)
        return DELIVER_END;
    if (code->share->left_len == 0) {
        STAT_INC(coder_waits);
        return await_turn(code);
    }
    for (unsigned i = 0; i < STEPS_MAX && left > 0 && next == DELIVER_DATA && rc == OK; i++) {
        next = take_source(deliver, &left, &rc);
        if (code->len > 0)
            break;
    }
    if (next == DELIVER_FAILED)
        return next;
    if (rc == OK && next == DELIVER_END) {
        rc = run(code, &nothing, CODER_END, &code->ended);
    } else if (rc == OK && next == DELIVER_WAIT && code->dirty) {
        rc = run(code, &nothing, CODER_FLUSH, &done);
        code->dirty = !done;
    }
    if (rc != OK)
        return fail(deliver, rc);
    if (code->len > 0)
        return DELIVER_DATA;
    if (next == DELIVER_WAIT && !code->dirty)
        return next; /* the source's own call will come */
    if (next == DELIVER_END && code->ended)
        return next;
    return await_turn(code);
}

enum deliver_next
deliver_next_coded(struct deliver *deliver, uint64_t len_max, struct iovec *iov, size_t *out_n,
                   uint64_t *out_len)
{
    struct deliver_code *code = deliver->code;
    enum deliver_next next = DELIVER_DATA;

    *out_n = 0;
    *out_len = 0;
    if (code->off == code->len)
        next = fill_out(deliver);
    if (next != DELIVER_DATA)
        return next;
    *out_len = code->len - code->off < len_max ? code->len - code->off : len_max;
    iov[0] = (struct iovec){code->out + code->off, *out_len};
    *out_n = 1;
    return next;
}

void
deliver_sent_coded(struct deliver *deliver, uint64_t n)
{
    struct deliver_code *code = deliver->code;

    ASSERT(n <= code->len - code->off);
    code->off += n;
    stats_add(out_stats[code->to], (int64_t)n);
}
