/* Addresses and sockets: parse, listen, connect. All sockets are non-blocking and close-on-exec. */
#ifndef BRINK_NET_SOCK_H
#define BRINK_NET_SOCK_H

#include <sys/socket.h>

#include "base/slice.h"

struct sock_addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

enum { SOCK_ADDR_TEXT_MAX = 64 };

/* "127.0.0.1:8080", "[::1]:8080", ":8080" (all of IPv4 and IPv6). ERR_SYNTAX. */
MUST_USE enum err sock_addr_parse(struct slice text, struct sock_addr *out);
/* An address without a port, e.g. of an IP literal host; ERR_SYNTAX when it is a name. */
MUST_USE enum err sock_addr_from_ip(struct slice ip, uint16_t port, struct sock_addr *out);
size_t sock_addr_format(const struct sock_addr *addr, bool with_port, char out[SOCK_ADDR_TEXT_MAX]);
bool sock_addr_is_loopback(const struct sock_addr *addr);

/* "10.0.0.0/8", "::1", ...: for lists of allowed addresses. IPv4-mapped IPv6 counts as IPv4. */
struct sock_net {
    uint8_t addr[16];
    uint8_t bits; /* of the 128-bit form */
};
MUST_USE enum err sock_net_parse(struct slice text, struct sock_net *out);
bool sock_net_contains(const struct sock_net *net, const struct sock_addr *addr);

/* A listening socket; `reuse_port`: one for each worker. *out_fd. ERR_SYSTEM with errno kept. */
MUST_USE enum err
sock_listen(const struct sock_addr *addr, bool reuse_port, int backlog, int *out_fd);
MUST_USE enum err sock_connect(const struct sock_addr *addr, int *out_fd); /* under way when OK */
int sock_error(int fd); /* SO_ERROR: 0 when the connection stands */
void sock_set_nodelay(int fd);

struct loop;
/* Accepts on `fd` until stopped: fn gets each new socket (non-blocking) and its peer; owns it. */
struct sock_listener;
typedef void sock_accept_fn(void *arg, int fd, const struct sock_addr *peer);
MUST_USE enum err sock_listener_start(struct loop *loop, int fd, sock_accept_fn *fn, void *arg,
                                      struct sock_listener **out); /* takes fd */
/* Hand out who waits to be accepted, for closing resets them; before sock_listener_stop. */
void sock_listener_empty(struct sock_listener *listener);
/* Called when accepting found no descriptor or memory left. True: there may be some now, so
 * accepting goes on; otherwise, and without this, it pauses for a moment. */
void sock_listener_on_shortage(struct sock_listener *listener, bool (*fn)(void *arg));
void sock_listener_stop(struct sock_listener **slot); /* closes it */

#endif
