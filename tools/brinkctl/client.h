/* One request to brink's admin listener, by plain sockets. */
#ifndef BRINK_BRINKCTL_CLIENT_H
#define BRINK_BRINKCTL_CLIENT_H

#include "base/slice.h"

struct client {
    const char *addr;  /* "127.0.0.1:8081", "[::1]:8081", "name:8081" */
    const char *token; /* NULL: none */
};

struct client_reply {
    unsigned status;
    char *body; /* terminated; the caller's to mem_free */
    size_t len;
};

/* `body`: JSON; NULL: none. On failure `why` says what and what to do. ERR_SYNTAX: the address;
 * ERR_CONNECT; ERR_CLOSED: no whole answer came; ERR_NOMEM. */
MUST_USE enum err client_ask(const struct client *client, const char *method, const char *target,
                             const char *body, struct client_reply *out, char *why, size_t why_cap);

/* A text for a query: percent-encoded, on the heap. */
MUST_USE char *client_encode(const char *text);

#endif
