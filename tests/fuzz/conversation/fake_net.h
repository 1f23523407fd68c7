/* The network, the clock and the loop of a conversation: what net/chan.h, net/loop.h, net/dns.h and
 * the connecting half of net/sock.h promise, without a kernel. One thread, no real time; the same
 * script gives the same run.
 *
 * A peer is the other end of one connection. What it sends waits in `in` until brink reads it; what
 * brink writes is kept whole in `out`. */
#ifndef BRINK_FUZZ_FAKE_NET_H
#define BRINK_FUZZ_FAKE_NET_H

#include "bytes.h"
#include "net/chan.h"

enum { PEERS_MAX = 48 };

enum peer_connect { CONNECT_DONE, CONNECT_HANGS, CONNECT_REFUSED };

struct peer {
    bool is_origin;
    struct chan *chan; /* NULL: not taken yet, or closed by brink */
    struct bytes in, out;
    size_t in_at;    /* read by brink so far */
    size_t read_max; /* bytes of one read at most; 0: any number */
    uint64_t room;   /* bytes it still takes */
    bool fin;        /* after `in` comes its end */
    bool reset;      /* reads and writes fail from now on */
    enum peer_connect connect;
    bool brink_closed, brink_aborted, brink_shut;
};

/* Everything is empty, the clock at its start. */
void net_begin(void);
void net_end(void); /* asserts that brink left no timer, message or channel behind */

struct peer *net_peer(size_t i); /* in the order they were made; NULL: there are no more */
size_t net_peers_n(void);

/* A new connection of a client; *out_fd is for proxy_accept. NULL: too many. */
struct peer *net_client(int *out_fd);

void net_next_connect(enum peer_connect how); /* of the origin connection made next */
void net_fail_dns(bool fail);

uint64_t net_moved_len(void); /* bytes read and written by brink so far */

/* One turn of the loop: events, due timers, messages, reaping. How many callbacks were called. */
unsigned net_turn(void);

/* The clock goes on to the next deadline, but not by more than `ms_max`; returns by how much. */
uint64_t net_advance(uint64_t ms_max);

#endif
