/* Who goes first when there is no room. Each worker keeps its clients' connections in lists by what
 * is waited for, the one that waited longest first; the totals are the whole daemon's. Whoever
 * owns a connection moves it between the lists: a few stores, no lock, no system call.
 *
 * Near a limit the oldest of all list heads is closed, so that a newcomer is served. A connection
 * whose client keeps pace is never closed for that, nor one that waits for the origin. */
#ifndef BRINK_PROXY_WATCH_H
#define BRINK_PROXY_WATCH_H

#include <stdatomic.h>

#include "base/list.h"
#include "net/sock.h"
#include "proxy/peers.h"

enum watch_kind {
    WATCH_IDLE,      /* between two requests */
    WATCH_HALF_OPEN, /* no whole request head yet */
    WATCH_BODY,      /* the client's body is waited for */
    WATCH_READER,    /* the client takes its response too slowly to be sent it at once */
    WATCH_KINDS,
    WATCH_NONE = WATCH_KINDS /* not the client's turn */
};

struct watch;
struct watch_ops {
    bool (*is_behind)(struct watch *watch); /* BODY, READER: slower than it may be, as of now */
    void (*shed)(struct watch *watch);      /* close it, now; may be any kind but NONE */
};

/* One connection; embedded in its owner. */
struct watch {
    struct list link, input_link;
    const struct watch_ops *ops;
    uint64_t since_ms; /* in its list */
    uint64_t peer_key;
    size_t input_len; /* memory for input that waits */
    uint8_t kind;
};

struct watch_limits {
    unsigned connections_max;
    unsigned half_open_max;
    unsigned per_address_max; /* 0: no limit */
    size_t input_max;         /* memory for input that waits */
};

/* The whole daemon's. */
struct watch_totals {
    const struct watch_limits *limits;
    struct peers *peers;
    atomic_uint conns_n, half_open_n;
    atomic_size_t input_len;
};
MUST_USE enum err watch_totals_init(struct watch_totals *totals, const struct watch_limits *limits);
void watch_totals_fini(struct watch_totals *totals);

/* One worker's. */
struct watch_lists {
    struct watch_totals *totals;
    struct list kinds[WATCH_KINDS];
    struct list inputs; /* half-open ones that hold input, the one that began first first */
};
void watch_lists_init(struct watch_lists *lists, struct watch_totals *totals);

/* A new connection of this address: counted when there is room, if need be by closing another.
 * False: it must be refused; the reason is in a counter. */
MUST_USE bool watch_admit(struct watch_lists *lists, const struct sock_addr *peer);
/* Counted already; it is half-open. */
void watch_enter(struct watch_lists *lists, struct watch *watch, const struct sock_addr *peer,
                 const struct watch_ops *ops);
void watch_leave(struct watch_lists *lists, struct watch *watch); /* it is closed */
/* Admitted, but never entered. */
void watch_unadmit(struct watch_lists *lists, const struct sock_addr *peer);

void
watch_move(struct watch_lists *lists, struct watch *watch, enum watch_kind kind, uint64_t now_ms);
void watch_touch(struct watch_lists *lists, struct watch *watch, uint64_t now_ms); /* keeps pace */

/* It holds so much memory for input now. False: there is none for it, and the owner gives it up. */
MUST_USE bool watch_input(struct watch_lists *lists, struct watch *watch, size_t len);
bool watch_input_is_full(const struct watch_lists *lists);

/* Descriptors have run out: closes some connections. False: there was none to close. */
bool watch_shortage(struct watch_lists *lists);

#endif
