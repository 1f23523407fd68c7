/* No-Vary-Search: what an origin says of the queries of a path. draft-ietf-httpbis-no-vary-search.
 * Two URLs that differ in what does not matter are one, and their common key has one query: the
 * parameters that matter, decoded and written in one way, sorted by name when their order does not
 * matter. It is for the key alone; the origin is asked with the query as it came. */
#ifndef BRINK_CACHE_SEARCH_H
#define BRINK_CACHE_SEARCH_H

#include "cache/key.h"

enum { CACHE_SEARCH_RULE_MAX = 1024 };

/* A rule as text: "o" when the order of names does not matter, "i" when the named parameters do not
 * matter or "e" when none but the named do, then "&" and a name each. Equal texts are equal rules.
 *
 * False: the response has none, or one that says nothing, is invalid (section 4: then it counts as
 * absent) or has more than CACHE_SEARCH_RULE_MAX bytes. */
bool cache_search_parse(const struct http_fields *response, char buf[CACHE_SEARCH_RULE_MAX],
                        struct slice *out_rule);

uint32_t cache_search_id(struct slice rule); /* of an object or a question; 0: no rule */

/* Scheme, authority and path of a key: what a rule is for. */
struct slice cache_search_scope(struct slice key_text);

/* The common key of all URLs that the rule makes one with this key's. Text in the arena. ERR_NOMEM;
 * ERR_LIMIT: more than CACHE_TARGET_SORT_MAX parameters, which no rule applies to. */
MUST_USE enum err cache_search_key(struct arena *arena, struct slice rule, struct slice key_text,
                                   struct store_key *out);

#endif
