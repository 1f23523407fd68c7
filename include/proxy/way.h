/* Which way a request goes: whose it is, what it is looked up as, what an object on its way in
 * means for it. Nothing here changes anything: proxy/request acts on it. */
#ifndef BRINK_PROXY_WAY_H
#define BRINK_PROXY_WAY_H

#include "cache/lookup.h"
#include "cache/range.h"
#include "proxy/fill.h"
#include "proxy/proxy.h"

/* What is answered without a look at anything else: ERR_METHOD; ERR_MISDIRECTED, for what an
 * absolute target asks of https must have come over TLS (RFC 9110 section 7.4). */
MUST_USE enum err way_vet(const struct http_request *http, struct slice scheme, const char **why);

/* RFC 9110 section 7.6.2: with OPTIONS, Max-Forwards counts the hops left; at 0 the answer is ours.
 * ERR_BAD_REQUEST: it is no number. */
MUST_USE enum err way_last_hop(const struct http_request *http, bool *out_last);

/* The site that answers for this authority (lower case, no default port); NULL: none. */
const struct site_settings *way_site(const struct proxy_settings *settings, struct slice host);

/* The protocols asked for that the site allows; empty: none. Text in the arena. ERR_NOMEM. */
MUST_USE enum err way_upgrade(struct arena *arena, const struct site_settings *site,
                              const struct http_request *http, struct slice *out);

struct way {
    struct store_key key;
    struct slice keyed; /* the fields that the site has in its key: cache/vary.h; of LOOKUP_CACHE,
                           and POST */
    struct cachectl cc; /* of the request */
    enum lookup_kind kind;
    enum cache_reason reason; /* why LOOKUP_PASS */
};
/* `host`: normalised. `upgrade`: from way_upgrade. The path and query of `http` become what the
 * site wants of them, for the key and for the origin alike. Texts in the arena. ERR_NOMEM. */
MUST_USE enum err
way_begin(struct arena *arena, const struct site_settings *site, struct slice scheme,
          struct slice host, struct http_request *http, struct slice upgrade, struct way *out);

/* What a client gets of a stored response of that length: by its conditions, then by its ranges, as
 * reply.c comes to. The status; *out: the parts of the body that are sent, none without a body. */
unsigned way_parts(const struct http_request *http, const struct cache_object *object, uint64_t len,
                   unsigned ranges_max, int64_t now_s, struct range_set *out);

/* lookup_find under the request's own key, which *key is; when nothing fresh is there and its path
 * has a rule, under the common key of all URLs that are the same by that. *key and the question
 * then say where the object is, or is to go. `rules`: NULL when the site does not heed them. Texts
 * in the arena. */
struct search_rules;
void way_find(struct search_rules *rules, struct store_reader *reader, struct arena *arena,
              struct store_key *key, struct lookup_question *question, struct lookup_finding *out);

/* Under what proxy/unstorable remembers it: the URL, but of a QUERY its content too, lest it speak
 * for others. */
struct store_hash
way_unstorable_hash(const struct store_key *key, enum http_method method, struct slice keyed);

/* May this request be answered from an object on its way in? */
enum way_join {
    WAY_JOIN_WAIT,   /* its head will tell */
    WAY_JOIN_USE,    /* yes */
    WAY_JOIN_COMMIT, /* once the store has it, the origin can be asked whether it still holds */
    WAY_JOIN_ALONE,  /* it is another variant */
    WAY_JOIN_REPLACE /* no, and of no use to those who come: failed, purged, or not fresh */
};
/* *verdict: only for WAY_JOIN_USE. */
enum way_join
way_join(struct fill *fill, const struct lookup_question *question, struct lookup_verdict *verdict);

/* Would a range of this response, which is not stored, be there sooner when it alone is asked for?
 */
bool
way_wants_far_part(const struct http_request *http, const struct fill_head *head, int64_t now_s);

#endif
