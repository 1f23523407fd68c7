/* What one exchange with a client came to: for the access log. Slices are borrowed for the call. */
#ifndef BRINK_PROXY_EXCHANGE_H
#define BRINK_PROXY_EXCHANGE_H

#include "cache/reason.h"
#include "http/coding.h"
#include "net/sock.h"

enum exchange_outcome {
    EXCHANGE_HIT,         /* from the store, fresh */
    EXCHANGE_STALE,       /* from the store, stale */
    EXCHANGE_REVALIDATED, /* from the store after the origin's 304 */
    EXCHANGE_MISS,        /* from the origin */
    EXCHANGE_COLLAPSED,   /* from a fetch that another request began */
    EXCHANGE_PASS,        /* from the origin, never to be stored */
    EXCHANGE_LOCAL        /* brink's own answer: errors, purges */
};
const char *exchange_outcome_name(enum exchange_outcome outcome); /* "hit", "miss", ... */

struct exchange {
    int64_t began_us;       /* wall clock, microseconds since the epoch */
    uint64_t total_us;      /* from the whole head to the last byte handed to the kernel */
    uint64_t first_byte_us; /* to the first byte; 0: none was sent */
    uint64_t conn_id, req_id;
    const struct sock_addr *peer;
    struct slice method, target, host, referer, user_agent;
    uint8_t http_minor;
    unsigned status;
    uint64_t body_len; /* body bytes sent */
    enum exchange_outcome outcome;
    enum cache_reason reason; /* of not being a hit, or of not being stored */
    enum http_coding coding;  /* of the body as it was sent, as far as it is one of those */
    bool aborted;             /* the response was not sent whole */
};

/* For one that is told later: the bytes of its texts, and their copy to `to`, where they are from
 * now on. The peer stays borrowed. */
size_t exchange_text_len(const struct exchange *exchange);
void exchange_move_texts(struct exchange *exchange, char *to);

/* Called on the worker; must not block nor allocate. */
struct exchange_sink {
    void (*fn)(void *arg, unsigned worker, const struct exchange *exchange); /* NULL: no log */
    void *arg;
};

#endif
