/* What brings an object in: one fetch feeding one fill. Decides by the response's head whether it
 * is stored, turns a 304 into a refreshed object, invalidates after unsafe methods (RFC 9111
 * section 4.4). Belongs to one worker; lives until the response is whole or failed, whoever asked
 * for it. */
#ifndef BRINK_PROXY_FEED_H
#define BRINK_PROXY_FEED_H

#include "proxy/core.h"

struct feed;

struct feed_plan {
    const struct http_request *request; /* copied */
    const struct site_settings *site;
    struct slice scheme, host, keyed;
    uint32_t search; /* the fill's key is the common one by this rule; 0: the URL's own */
    const struct sock_addr *peer;
    struct slice body;        /* of the request, whole; copied. Empty: none, or feed_send_body */
    struct slice upgrade;     /* protocols to ask for, copied; only with `pass` */
    bool pass;                /* relay as it is: conditions go on, nothing is stored */
    enum cache_reason reason; /* for `pass`: why */

    /* A stored object to be validated, or, with `pass`, that the answer to this HEAD may update; as
     * found in the open read section. NULL: none. */
    const struct store_object *stale;
    bool stale_if_error; /* it may stand in for a failing origin */
    bool unsliced;       /* the whole is fetched, however large it is */

    /* The request's body is wanted; called on the loop until feed_detach. May be NULL. */
    void (*on_body_wanted)(void *arg);
    /* An interim response came before the final one; until feed_detach. May be NULL. */
    void (*on_interim)(void *arg, const struct http_response *response);
    /* The origin changes to `protocol`: feed_take_chan is called in it, or the feed fails. May be
     * NULL when nothing is asked for. */
    void (*on_upgrade)(void *arg, const struct http_response *response, struct slice protocol);
    void (*on_ended)(void *arg); /* the feed is gone after this */
    void *arg;
};

/* Takes a reference to `fill`, which is WAITING. On an error the fill is failed with it. */
MUST_USE enum err
feed_start(struct proxy *proxy, struct fill *fill, const struct feed_plan *plan, struct feed **out);

/* ERR_CLOSED: the origin does not read on. ERR_NOMEM: the feed has failed and ended. */
MUST_USE enum err feed_send_body(struct feed *feed, struct slice data, size_t *out_taken);
void feed_end_body(struct feed *feed);

/* As fetch_take_chan, within on_upgrade. The fill fails, for who feeds from it now is the caller.
 */
struct chan;
void feed_take_chan(struct feed *feed, struct chan *to, struct slice *out_early);

/* The request that started it goes: no callbacks any more. A fetch whose object nobody wants, or
 * whose request body is not whole, ends; others go on. */
void feed_detach(struct feed **slot);

void feed_abort_all(struct proxy *proxy); /* the worker ends */

#endif
