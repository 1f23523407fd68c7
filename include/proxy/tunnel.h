/* Bytes both ways between a client and an origin that changed to another protocol (RFC 9110 section
 * 7.8): nothing is looked at. Each way has a buffer of bounded size, only while its receiver is
 * behind; then its sender is not read. An end of one side is passed on and the other way goes on; a
 * reset of one is one of the other. Belongs to one loop. */
#ifndef BRINK_PROXY_TUNNEL_H
#define BRINK_PROXY_TUNNEL_H

#include "net/chan.h"
#include "proxy/buffers.h"

struct tunnel;

struct tunnel_plan {
    struct loop *loop;
    struct chan *client, *origin; /* moved into the tunnel when OK */
    struct slice head;      /* for the client before all else; not counted; copied, as the others */
    struct slice to_client; /* what the origin has said already */
    struct slice to_origin; /* what the client has said already */
    bool client_ended;      /* it says no more */
    char *scratch;          /* to read into, within one callback; `buffer_len` long at least */
    size_t buffer_len;      /* of each way */
    struct buffers *buffers; /* what they are counted in; when that is full, each is small */
    unsigned idle_ms;        /* without a byte either way */

    /* It is over: whole, or cut. Once, on the loop; the owner calls tunnel_stop in it. */
    void (*on_end)(void *arg, bool cut);
    void *arg;
};

/* ERR_NOMEM, ERR_SYSTEM: a channel that was moved already is closed, the other is the caller's.
 * on_end is not called inside. */
MUST_USE enum err tunnel_start(const struct tunnel_plan *plan, struct tunnel **out);
uint64_t tunnel_sent_len(const struct tunnel *tunnel); /* to the client, without the head */

/* Closes both sides, with a reset when `cut`; no on_end follows. *slot becomes NULL; NULL is
 * harmless. */
void tunnel_stop(struct tunnel **slot, bool cut);

#endif
