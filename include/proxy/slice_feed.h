/* What brings a slice of a partial object in: one fetch of its bytes feeding one fill. Belongs to
 * one worker; ends with the slice, or when nobody wants it. RFC 9110 sections 13.1.5 and 15.3.7. */
#ifndef BRINK_PROXY_SLICE_FEED_H
#define BRINK_PROXY_SLICE_FEED_H

#include "cache/fresh.h"
#include "cache/partial.h"
#include "proxy/core.h"

/* Whose slices. All is borrowed for the call. */
struct slice_plan {
    const struct http_request *request; /* what the origin is asked with, but for the range */
    const struct site_settings *site;
    struct slice scheme, host;
    const struct sock_addr *peer;
    const struct store_key *key; /* the master's */
    const struct cache_object *master;
    const uint64_t *labels; /* the master's */
    size_t labels_n;
};

/* Takes a reference to `fill`, which is WAITING. When it fails with ERR_ORIGIN_CHANGED or
 * ERR_ORIGIN_UNRANGED, the master is on its way out of the store. On an error here the fill is
 * failed with it. */
MUST_USE enum err slice_feed_start(struct proxy *proxy, struct fill *fill,
                                   const struct slice_plan *plan, uint64_t number);

/* The head of a slice's fill, but for labels and fwd_status; nobody is sent it. */
void slice_describe(const struct cache_object *master, uint64_t number, struct fill_head *out);

void slice_feed_abort_all(struct proxy *proxy); /* the worker ends */

#endif
