/* The request as the origin gets it: written anew from the parsed form, never copied as it came.
 * RFC 9110 sections 7.6 and 7.8, RFC 9112 section 3. */
#ifndef BRINK_PROXY_FORWARD_H
#define BRINK_PROXY_FORWARD_H

#include "http/msg.h"
#include "net/sock.h"

struct forward_plan {
    const struct http_request *request;
    struct slice scheme, host;     /* of the request, normalised */
    const char *host_header;       /* NULL: `host` */
    const char *node_name;         /* for Via and CDN-Loop */
    const char *loop_id;           /* what this daemon knows itself by in CDN-Loop */
    const struct sock_addr *peer;  /* for X-Forwarded-For; NULL: brink itself asks */
    bool for_store;                /* conditions and Range are left out: the whole is wanted */
    struct slice upgrade;          /* protocols that are asked for; empty: none */
    struct slice conditions;       /* our own If-None-Match and If-Modified-Since lines, or empty */
    const char *const *key_fields; /* of the site: these go on, whatever they are */
    size_t key_fields_n;
    const char *accept_encoding; /* instead of the client's; NULL: the client's */
    bool translate_tags;         /* tags that brink made: those that they are made of go along */
    bool as_it_came;             /* the site is passed whole: what steers goes on too */
};

/* The Accept-Encoding that goes out instead of the client's, so that it does not split the cache;
 * for what may be stored. NULL: the client's, which the site then has in its key, or in Vary. */
struct site_settings;
const char *forward_accept_encoding(const struct site_settings *site);

/* Left out: hop-by-hop and nominated fields, Expect (answered here), framing (written anew), the
 * fields that only brink writes (http/tokens.def) and those by which a client could steer the
 * origin (http/steering.h). ERR_NOMEM. */
MUST_USE enum err
forward_head(struct arena *arena, const struct forward_plan *plan, struct slice *out_head);

#endif
