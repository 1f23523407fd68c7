/* Names to addresses on the loop, with c-ares; answers are kept for their time to live. */
#ifndef BRINK_NET_DNS_H
#define BRINK_NET_DNS_H

#include "net/sock.h"

struct dns;
struct dns_query;
struct loop;

enum { DNS_ADDRS_MAX = 8 };
struct dns_answer {
    struct sock_addr addrs[DNS_ADDRS_MAX]; /* port set */
    unsigned n;
};

/* `timeout_ms`: of one look-up in all. ERR_NOMEM, ERR_SYSTEM. */
MUST_USE enum err dns_new(struct loop *loop, unsigned timeout_ms, struct dns **out);
void dns_free(struct dns **slot); /* open queries are cancelled, without a callback; not from one */

/* Ask these instead of the system's: "10.0.0.2:53,[::1]:5353". ERR_SYNTAX. */
MUST_USE enum err dns_set_servers(struct dns *dns, const char *servers);

/* Answers are kept for their time to live, but not longer than this; 300 at first. At least 1. */
void dns_set_ttl_max_s(struct dns *dns, unsigned ttl_max_s);

/* fn is called once, later or before this returns (kept answers, IP literals, /etc/hosts): OK,
 * ERR_DNS or ERR_NOMEM. *out_query is NULL when it was called already; when fn is called later, the
 * query is over. While the servers are silent, an answer past its time is given (RFC 8767). */
typedef void dns_fn(void *arg, enum err rc, const struct dns_answer *answer);
void dns_resolve(struct dns *dns, const char *host, uint16_t port, dns_fn *fn, void *arg,
                 struct dns_query **out_query);
void dns_cancel(struct dns_query **slot); /* fn is not called */

#endif
