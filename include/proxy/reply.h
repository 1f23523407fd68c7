/* Replies: from an object wherever it is (conditions, ranges, HEAD), or of our own. */
#ifndef BRINK_PROXY_REPLY_H
#define BRINK_PROXY_REPLY_H

#include "cache/range.h"
#include "proxy/request.h"

/* What may be asked of any target here; the origin may allow less. */
#define REPLY_ALLOW "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY"

/* A response to be sent: head, and where its body is. */
struct reply_source {
    struct slice head; /* as cache/validate.h describes it */
    const struct cache_object *object;
    bool has_length;
    uint64_t length;
    const struct store_object *stored; /* the body is here, or ... */
    const struct store_pin *pin;       /* here, or ... */
    struct slices *slices;             /* here, or, all NULL, in the request's fill */
    bool evaluate;                     /* conditions and ranges are ours to answer */
    bool named;                        /* If-Range was looked at: it names this one */
    uint64_t variant, family;          /* of what is stored, or will be; family 0: it has none */
};

enum reply_made {
    REPLY_MADE,
    REPLY_GONE,   /* the stored object is just going */
    REPLY_COLD,   /* a record has to be brought into memory first: store_warm_find of the key */
    REPLY_REFUSED /* represent.h alone */
};

/* Fills req->reply, req->deliver and req->extra. REPLY_GONE only of what is stored. */
MUST_USE enum reply_made reply_from(struct request *req, const struct reply_source *source,
                                    const struct cache_status *status);

/* --- reply_range.c: heads and parts of a 206 --- */

MUST_USE enum err reply_part_head(struct request *req, const struct reply_source *source,
                                  const struct range *range, struct slice *out_head);

struct reply_multipart {
    struct slice head;
    uint64_t length;            /* of the body with everything between the parts */
    struct deliver_part *parts; /* in the request's arena */
    size_t parts_n;
};
MUST_USE enum err reply_multipart(struct request *req, const struct reply_source *source,
                                  const struct range_set *set, struct reply_multipart *out);

/* More of req->extra, our own field lines: what is put there always fits (reply.c counts it). */
void reply_put(struct request *req, struct slice text);
void reply_put_u64(struct request *req, uint64_t n);

/* An answer of ours. `fields`: further field lines with CRLF, or empty. `body` is kept until sent.
 */
void reply_local(struct request *req, unsigned status, const char *type, struct slice fields,
                 struct slice body);

/* The page for an error: what it means for people. */
void reply_error(struct request *req, enum err rc, const char *why);

#endif
