/* A client's HTTP/1 connection: bytes to requests, replies to bytes. RFC 9112. */
#ifndef BRINK_PROXY_H1_CONN_H
#define BRINK_PROXY_H1_CONN_H

#include "proxy/core.h"

/* Takes fd; the connection frees itself when it ends. ERR_NOMEM closes fd. */
MUST_USE enum err h1_conn_open(struct proxy *proxy, int fd, const struct sock_addr *peer);

void h1_conn_drain_all(struct proxy *proxy); /* idle ones close, the others after their response */
void h1_conn_abort_all(struct proxy *proxy);

#endif
