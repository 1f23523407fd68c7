/* May this request be answered from the cache, and does this stored response do? RFC 9111
 * section 4. */
#ifndef BRINK_CACHE_LOOKUP_H
#define BRINK_CACHE_LOOKUP_H

#include "cache/fresh.h"
#include "cache/vary.h"

/* What kind of request it is for a cache, before any look-up. */
enum lookup_kind {
    LOOKUP_CACHE, /* GET, HEAD or QUERY: look up, then fetch into the store */
    LOOKUP_PASS   /* to the origin and back, unstored */
};
/* *out_reason: why LOOKUP_PASS; REASON_NOT_STORED for LOOKUP_CACHE. */
enum lookup_kind lookup_classify(const struct http_request *request, enum cache_reason *out_reason);

enum lookup_use {
    LOOKUP_FRESH,    /* send it */
    LOOKUP_STALE,    /* send it and validate in the background (RFC 5861 section 3) */
    LOOKUP_VALIDATE, /* ask the origin first, with our validators when there are any */
    LOOKUP_GONE      /* as if it were not stored: stale for longer than the site keeps it */
};
struct lookup_verdict {
    enum lookup_use use;
    enum cache_reason reason;
    uint32_t age_s;
    int64_t ttl_s;
    bool may_serve_on_error;     /* instead of a 500, 502, 503 or 504 too: RFC 5861 section 4 */
    bool may_serve_disconnected; /* when the origin cannot be reached: RFC 9111 section 4.2.4 */
};
/* `object` is the request's variant: cache_vary_matches. `soft_purged`: stale whatever its
 * lifetime. ttl_s is then 0 at most. */
void lookup_judge(const struct cache_settings *settings, const struct http_request *request,
                  const struct cachectl *request_cc, const struct cache_object *object,
                  bool soft_purged, int64_t now_s, struct lookup_verdict *out);

/* What is asked of the store. All is borrowed. */
struct lookup_question {
    const struct cache_settings *settings;
    const struct http_request *request;
    const struct cachectl *cc; /* of the request */
    const struct store_key *key;
    struct slice keyed; /* cache/vary.h */
    int64_t now_s;
    uint64_t gone; /* generation of a partial object that proved to be over; 0: none */

    /* The key is the common one of several URLs (cache/search.h); 0: the request's own. */
    uint32_t search;       /* what does not have this rule itself is no answer */
    uint64_t search_since; /* nor is what was born before */
};

/* Is this the partial object that the question leaves out? */
static inline bool
lookup_is_gone(const struct lookup_question *question, const struct cache_object *object)
{
    return object->generation != 0 && object->generation == question->gone;
}

/* Does this object, which is not the request's own URL's, answer for it all the same? */
static inline bool
lookup_suits(const struct lookup_question *question, const struct cache_object *object,
             uint64_t birth)
{
    return question->search == 0 ||
           (object->search == question->search && birth >= question->search_since);
}

/* What it has, within the open read section. */
struct lookup_finding {
    bool found;
    bool cold; /* what comes next under the question's key has to be brought into memory first */
    enum cache_reason reason; /* the verdict's, or why nothing was found */
    struct store_object stored;
    struct cache_object object;
    struct lookup_verdict verdict;
};

/* The newest stored object whose Vary the request matches, judged. RFC 9111 section 4.1. */
void lookup_find(struct store_reader *reader, const struct lookup_question *question,
                 struct lookup_finding *out);

/* What is done with a LOOKUP_CACHE request. */
enum lookup_way {
    LOOKUP_WAY_SEND,       /* the stored response */
    LOOKUP_WAY_SEND_STALE, /* the stored response, and it is validated in the background */
    LOOKUP_WAY_REFUSE,     /* 504: only-if-cached, RFC 9111 section 5.2.1.7 */
    LOOKUP_WAY_HEAD,       /* to the origin; its answer may update the stored response */
    LOOKUP_WAY_PASS,       /* conditions that only the origin evaluates, RFC 9111 section 4.3.2 */
    LOOKUP_WAY_ALONE,      /* a fetch that nobody waits for: it is not likely to be storable */
    LOOKUP_WAY_SHARE       /* a fetch, shared with whoever asks for the same */
};
/* `hit_for_miss`: responses under this key were lately not storable; matters when nothing is found.
 */
enum lookup_way lookup_way(const struct lookup_question *question,
                           const struct lookup_finding *finding, bool hit_for_miss);

/* ... and why: as Cache-Status tells it. */
enum cache_reason lookup_reason(const struct lookup_finding *finding, enum lookup_way way);

#endif
