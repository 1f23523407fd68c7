/* The inside of a feed. For src/proxy/feed*.c alone: feed.c holds its life and the fetch's events,
 * feed_head.c what becomes of a response's head, feed_invalidate.c what it made obsolete,
 * feed_cut.c bodies that come in slices. */
#ifndef BRINK_PROXY_FEED_IMPL_H
#define BRINK_PROXY_FEED_IMPL_H

#include "base/list.h"
#include "http/url.h"
#include "net/wake.h"
#include "proxy/asked.h"
#include "proxy/feed.h"
#include "proxy/fetch.h"

#define FEED_TAG 0x66656564U

struct feed_cut;

struct feed {
    uint32_t tag;
    struct list link; /* in proxy->feeds */
    struct loop_reap reap;
    struct proxy *proxy;
    struct fill *fill; /* NULL: cut, and all of it has come */
    struct fetch *fetch;
    struct arena arena;
    struct http_request request;
    const struct site_settings *site;
    struct slice scheme, host, keyed;
    uint32_t search;
    struct sock_addr peer;
    struct slice body; /* of the request, when it was whole from the start */
    struct slice upgrade;
    bool pass, stale_if_error, unsliced;
    enum cache_reason reason;
    bool body_whole;     /* of the request */
    uint64_t request_ms; /* when it was sent: loop_now_ms */
    bool asked_ours;     /* with the site's Accept-Encoding, not the client's */
    struct asked asked;

    /* the stored object under validation, or that a HEAD may update */
    bool validating, updating, confirmed;
    struct store_put *since; /* of a POST: its birth tells what was purged since it was sent */
    bool stale_is_fresh;     /* by its lifetime: only this client wanted it asked about */
    uint64_t stale_oid, stale_body_len, stale_variant, stale_family;
    struct slice stale_head;
    struct cache_object stale;
    struct store_pin pin;

    /* a head that waits for an invalidation to be on disk */
    struct fill_head head;
    struct wake *held;
    bool ended;

    struct feed_cut *cut; /* NULL: the body is one */

    void (*on_body_wanted)(void *arg);
    void (*on_interim)(void *arg, const struct http_response *response);
    void (*on_upgrade)(void *arg, const struct http_response *response, struct slice protocol);
    void (*on_ended)(void *arg);
    void *arg;
};

void feed_end(struct feed *feed); /* whatever it feeds was ended before */
void feed_fail(struct feed *feed, enum err rc, const char *why);
MUST_USE enum err feed_on_room(struct feed *feed); /* its fill wakes it. ERR_NOMEM */
void feed_publish(struct feed *feed); /* its head, and on with the body; may end the feed */

bool feed_base_url(const struct feed *feed, struct url *out); /* of its request; false: none */

/* --- feed_head.c --- */

/* The head as it is published, for a response as it came. ERR_NOMEM. */
MUST_USE enum err
feed_describe(struct feed *feed, const struct http_response *response, struct fill_head *head);
/* The same for one that confirms the stored object under validation: its head with the new fields,
 * its body as it is. RFC 9111 section 4.3.4. ERR_NOMEM, ERR_STORE_CORRUPT, ERR_LIMIT. */
MUST_USE enum err feed_describe_confirmed(struct feed *feed, const struct http_response *response,
                                          struct fill_head *head);

/* The same for an answer to HEAD, with a stored object that it may update: RFC 9111 section 4.3.5.
 * *out_confirmed: it does; else it is described as it came. */
MUST_USE enum err feed_describe_update(struct feed *feed, const struct http_response *response,
                                       struct fill_head *head, bool *out_confirmed);

/* --- feed_cut.c --- */

/* The head described just now is the master of a partial object. True: the body comes in slices; be
 * it false, it ends with its head. */
bool feed_begin_cut(struct feed *feed);
/* The master is published: on with the first slice. ERR_NOMEM. */
MUST_USE enum err feed_cut_on(struct feed *feed);
void feed_cut_filled(struct feed *feed, size_t n); /* after fill_filled; may end the feed */
void feed_end_cut(struct feed *feed);              /* harmless without */

/* --- feed_search.c --- */

/* The head is to be stored, its labels are known: under which key, by its own No-Vary-Search. May
 * change head->reason. ERR_NOMEM. */
MUST_USE enum err
feed_place(struct feed *feed, const struct http_response *response, struct fill_head *head);
/* After a 304: false when the merged head has another rule than the stored object had. */
bool feed_keeps_place(struct feed *feed, const struct http_fields *merged, struct fill_head *head);

/* --- feed_invalidate.c --- */

/* True: the head is held until what the method made obsolete is gone; then feed_publish. RFC 9111
 * section 4.4. */
bool feed_hold_for_invalidation(struct feed *feed, const struct http_response *response);
/* The same until the stored object that this answer to a HEAD contradicts counts as stale: RFC 9111
 * section 4.3.5. */
bool feed_hold_for_contradiction(struct feed *feed, const struct http_response *response);

#endif
