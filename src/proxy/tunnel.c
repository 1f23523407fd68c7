/* Tunnels. A flow is one way: flows[side] holds what comes from `side` for the other.
 *
 *   reading -> ended (its sender said no more) -> passed (its receiver was told)
 *
 * What is read is written on at once, out of scratch memory; only what the receiver does not take
 * is kept, and nothing is read behind it. So an idle tunnel has no buffer, and one with a slow
 * reader at most buffer_len a way (or what came before it began). */
#include "proxy/tunnel.h"

#include "base/stats.h"

enum { TUNNEL_TAG = 0x74756e6e, BUFFER_MIN = 1024 };
enum side { CLIENT, ORIGIN, SIDES };

struct flow {
    char *buf; /* buf[off .. len) waits for the receiver; NULL: nothing does */
    size_t off, len;
    size_t held_len;    /* of tunnel->buffers: what buf has */
    size_t preface_len; /* of what waits: the head, whose bytes are not the tunnel's */
    bool ended, passed;
    uint64_t moved_len;
};

struct tunnel {
    uint32_t tag;
    struct loop *loop;
    struct chan chans[SIDES];
    struct flow flows[SIDES];
    bool broken; /* a receiver is gone; what it had said is still passed on */
    struct loop_timer timer;
    struct loop_reap reap;
    char *scratch;
    size_t buffer_len;
    struct buffers *buffers;
    unsigned idle_ms;
    void (*on_end)(void *arg, bool cut);
    void *arg;
};

static enum side
other(enum side side)
{
    return side == CLIENT ? ORIGIN : CLIENT;
}

/* What waits in it is forgotten. */
static void
drop(struct tunnel *tunnel, struct flow *flow)
{
    mem_free(flow->buf);
    flow->buf = NULL;
    flow->off = flow->len = 0;
    buffers_give(tunnel->buffers, flow->held_len);
    flow->held_len = 0;
}

/* --- the end --- */

static void
on_reap(struct loop_reap *reap)
{
    mem_free(CONTAINER_OF(reap, struct tunnel, reap));
}

void
tunnel_stop(struct tunnel **slot, bool cut)
{
    struct tunnel *tunnel = *slot;

    if (tunnel == NULL)
        return;
    ASSERT_TAG(tunnel, TUNNEL_TAG);
    *slot = NULL;
    tunnel->tag = TAG_FREED;
    loop_timer_clear(&tunnel->timer);
    for (unsigned side = 0; side < SIDES; side++) {
        if (cut)
            chan_abort(&tunnel->chans[side]);
        else
            chan_close(&tunnel->chans[side]);
        drop(tunnel, &tunnel->flows[side]);
    }
    STAT_DEC(tunnels_open);
    if (cut)
        STAT_INC(tunnels_cut);
    loop_reap(tunnel->loop, &tunnel->reap);
}

static void
end(struct tunnel *tunnel, bool cut)
{
    tunnel->on_end(tunnel->arg, cut);
}

static void
on_timer(struct loop_timer *timer)
{
    struct tunnel *tunnel = CONTAINER_OF(timer, struct tunnel, timer);

    ASSERT_TAG(tunnel, TUNNEL_TAG);
    STAT_INC(tunnel_timeouts);
    end(tunnel, true);
}

/* --- bytes --- */

static void
count_read(enum side from, size_t n)
{
    if (from == CLIENT)
        STAT_ADD(client_bytes_in, n);
    else
        STAT_ADD(origin_bytes_in, n);
}

static void
count_written(struct flow *flow, enum side from, size_t n)
{
    size_t head = flow->preface_len < n ? flow->preface_len : n;

    flow->preface_len -= head;
    flow->moved_len += n - head;
    if (from == CLIENT) {
        STAT_ADD(origin_bytes_out, n);
        STAT_ADD(tunnel_bytes_in, n - head);
    } else {
        STAT_ADD(client_bytes_out, n);
        STAT_ADD(tunnel_bytes_out, n - head);
    }
}

/* The receiver takes no more: what is for it is dropped, and its own last words are still read. */
static void
lose_receiver(struct tunnel *tunnel, struct flow *flow)
{
    drop(tunnel, flow);
    flow->ended = flow->passed = true;
    tunnel->broken = true;
}

/* As much of `data` as the receiver takes now; *out_n of it. False: it is gone. */
static bool
write_on(struct tunnel *tunnel, enum side from, struct slice data, size_t *out_n)
{
    struct iovec iov = {(char *)(uintptr_t)data.ptr, data.len};
    enum err rc = chan_writev(&tunnel->chans[other(from)], &iov, 1, out_n);

    if (rc == ERR_AGAIN) {
        *out_n = 0;
        return true;
    }
    if (rc != OK) {
        lose_receiver(tunnel, &tunnel->flows[from]);
        return false;
    }
    count_written(&tunnel->flows[from], from, *out_n);
    loop_timer_set(tunnel->loop, &tunnel->timer, tunnel->idle_ms);
    return true;
}

/* What waited for the receiver. */
static void
flush(struct tunnel *tunnel, enum side from)
{
    struct flow *flow = &tunnel->flows[from];
    size_t n;

    if (flow->buf == NULL ||
        !write_on(tunnel, from, slice_of(flow->buf + flow->off, flow->len - flow->off), &n))
        return;
    flow->off += n;
    if (flow->off == flow->len)
        drop(tunnel, flow);
}

static enum err
keep(struct flow *flow, struct slice first, struct slice rest)
{
    if (first.len + rest.len == 0)
        return OK;
    flow->buf = mem_alloc(first.len + rest.len);
    if (flow->buf == NULL)
        return ERR_NOMEM;
    if (first.len > 0)
        memcpy(flow->buf, first.ptr, first.len);
    if (rest.len > 0)
        memcpy(flow->buf + first.len, rest.ptr, rest.len);
    flow->off = 0;
    flow->len = first.len + rest.len;
    return OK;
}

/* One read of at most `most` bytes, written on. An error: the tunnel is to be cut. */
static enum err
move_some(struct tunnel *tunnel, enum side from, size_t most)
{
    struct flow *flow = &tunnel->flows[from];
    struct slice data;
    size_t n;
    enum err rc = chan_read(&tunnel->chans[from], tunnel->scratch, most, &n);

    if (rc == ERR_AGAIN)
        return OK;
    if (rc == ERR_CLOSED || (rc != OK && tunnel->broken)) {
        flow->ended = true;
        return OK;
    }
    if (rc != OK)
        return rc;
    count_read(from, n);
    loop_timer_set(tunnel->loop, &tunnel->timer, tunnel->idle_ms);
    data = slice_of(tunnel->scratch, n);
    return write_on(tunnel, from, data, &n) ? keep(flow, slice_skip(data, n), SLICE_NONE) : OK;
}

/* No more is read than there is memory to keep, should the receiver take nothing of it. */
static enum err
transfer(struct tunnel *tunnel, enum side from)
{
    struct flow *flow = &tunnel->flows[from];
    size_t most = tunnel->buffer_len;
    enum err rc;

    if (flow->ended || flow->buf != NULL)
        return OK;
    if (!buffers_take(tunnel->buffers, most)) {
        most = BUFFER_MIN;
        buffers_force(tunnel->buffers, most);
    }
    rc = move_some(tunnel, from, most);
    flow->held_len = flow->len;
    buffers_give(tunnel->buffers, most - flow->held_len);
    return rc;
}

/* --- events --- */

static enum err
want(struct tunnel *tunnel, enum side side)
{
    const struct flow *out = &tunnel->flows[side], *in = &tunnel->flows[other(side)];
    unsigned wanted = 0;

    if (!out->ended && out->buf == NULL)
        wanted |= CHAN_READ;
    if (in->buf != NULL)
        wanted |= CHAN_WRITE;
    return chan_want(&tunnel->chans[side], wanted);
}

/* Ends that can be passed on are; then what is waited for. */
static void
settle(struct tunnel *tunnel)
{
    enum err rc = OK;

    for (unsigned side = 0; side < SIDES; side++) {
        struct flow *flow = &tunnel->flows[side];

        if (!flow->ended || flow->passed || flow->buf != NULL)
            continue;
        chan_shutdown(&tunnel->chans[other(side)]);
        flow->passed = true;
    }
    if (tunnel->flows[CLIENT].passed && tunnel->flows[ORIGIN].passed) {
        end(tunnel, false);
        return;
    }
    rc = want(tunnel, CLIENT);
    if (rc == OK)
        rc = want(tunnel, ORIGIN);
    if (rc != OK)
        end(tunnel, true);
}

static void
serve(struct tunnel *tunnel, enum side side, unsigned ready)
{
    enum err rc = OK;

    ASSERT_TAG(tunnel, TUNNEL_TAG);
    if ((ready & CHAN_WRITE) != 0)
        flush(tunnel, other(side));
    if ((ready & CHAN_READ) != 0)
        rc = transfer(tunnel, side);
    if (rc == OK)
        settle(tunnel);
    else
        end(tunnel, true);
}

static void
on_client_ready(struct chan *chan, unsigned ready)
{
    serve(CONTAINER_OF(chan, struct tunnel, chans[CLIENT]), CLIENT, ready);
}

static void
on_origin_ready(struct chan *chan, unsigned ready)
{
    serve(CONTAINER_OF(chan, struct tunnel, chans[ORIGIN]), ORIGIN, ready);
}

/* --- life --- */

static enum err
take_first_bytes(struct tunnel *tunnel, const struct tunnel_plan *plan)
{
    enum err rc = keep(&tunnel->flows[ORIGIN], plan->head, plan->to_client);

    if (rc == OK)
        rc = keep(&tunnel->flows[CLIENT], plan->to_origin, SLICE_NONE);
    tunnel->flows[ORIGIN].preface_len = plan->head.len;
    tunnel->flows[CLIENT].ended = plan->client_ended;
    return rc;
}

enum err
tunnel_start(const struct tunnel_plan *plan, struct tunnel **out)
{
    struct tunnel *tunnel = mem_zalloc(sizeof(*tunnel));
    enum err rc;

    if (tunnel == NULL)
        return ERR_NOMEM;
    if (take_first_bytes(tunnel, plan) != OK) {
        mem_free(tunnel->flows[ORIGIN].buf);
        mem_free(tunnel);
        return ERR_NOMEM;
    }
    tunnel->tag = TUNNEL_TAG;
    tunnel->loop = plan->loop;
    tunnel->scratch = plan->scratch;
    tunnel->buffer_len = plan->buffer_len;
    tunnel->buffers = plan->buffers;
    for (unsigned side = 0; side < SIDES; side++) {
        tunnel->flows[side].held_len = tunnel->flows[side].len;
        buffers_force(tunnel->buffers, tunnel->flows[side].held_len);
    }
    tunnel->idle_ms = plan->idle_ms;
    tunnel->on_end = plan->on_end;
    tunnel->arg = plan->arg;
    tunnel->reap.fn = on_reap;
    loop_timer_init(&tunnel->timer, on_timer);
    loop_timer_set(tunnel->loop, &tunnel->timer, tunnel->idle_ms);
    STAT_INC(tunnels);
    STAT_INC(tunnels_open);
    chan_move(plan->client, &tunnel->chans[CLIENT], on_client_ready);
    chan_move(plan->origin, &tunnel->chans[ORIGIN], on_origin_ready);
    rc = want(tunnel, CLIENT);
    if (rc == OK)
        rc = want(tunnel, ORIGIN);
    if (rc != OK)
        tunnel_stop(&tunnel, true);
    else
        *out = tunnel;
    return rc;
}

uint64_t
tunnel_sent_len(const struct tunnel *tunnel)
{
    ASSERT_TAG(tunnel, TUNNEL_TAG);
    return tunnel->flows[ORIGIN].moved_len;
}
