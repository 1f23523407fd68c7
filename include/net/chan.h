/* A byte stream to a peer: plain TCP now, room for TLS. Level-triggered: an event comes again until
 * it is used up or no longer wanted. Belongs to one loop. */
#ifndef BRINK_NET_CHAN_H
#define BRINK_NET_CHAN_H

#include <event2/event_struct.h>
#include <sys/uio.h>

#include "base/check.h"
#include "net/loop.h"
#include "net/turn.h"

enum { CHAN_READ = 1, CHAN_WRITE = 2 };

struct chan {
    uint32_t tag;
    int fd;              /* -1: closed */
    unsigned wanted;     /* CHAN_* */
    enum turn_work work; /* a client's, unless its owner says otherwise */
    struct loop *loop;
    struct event read_event, write_event;
    /* `ready`: CHAN_READ, CHAN_WRITE or both; an error or end shows on the next read or write. */
    void (*on_ready)(struct chan *chan, unsigned ready);
};

/* Embedded in its owner. Takes `fd`. Nothing is wanted yet. */
void chan_init(struct chan *chan, struct loop *loop, int fd,
               void (*on_ready)(struct chan *chan, unsigned ready));
/* The stream goes on in `to`, with nothing wanted and its own on_ready; `from` is closed. */
void
chan_move(struct chan *from, struct chan *to, void (*on_ready)(struct chan *chan, unsigned ready));
void chan_close(struct chan *chan); /* harmless when closed; no events afterwards */
void chan_abort(struct chan *chan); /* closes with a reset, so that the peer sees it was cut */

/* What events are wanted from now on; costs nothing when unchanged. ERR_SYSTEM. */
MUST_USE enum err chan_want(struct chan *chan, unsigned wanted);

/* *out_n > 0 on OK. ERR_AGAIN, ERR_CLOSED (orderly end), ERR_SYSTEM (reset and the like). */
MUST_USE enum err chan_read(struct chan *chan, void *buf, size_t cap, size_t *out_n);
MUST_USE enum err
chan_writev(struct chan *chan, const struct iovec *iov, size_t iov_n, size_t *out_n);
uint64_t chan_taken(const struct chan *chan); /* bytes that the peer has acknowledged, in all */
void chan_shutdown(struct chan *chan);        /* no more from us: FIN */

#endif
