/* Which paths have a No-Vary-Search rule (cache/search.h), as their last response said. In memory
 * alone: a restart forgets the rules, and the next responses bring them back. A table of fixed
 * size, shared by all workers; a rule may be lost to another path's, which costs a fetch.
 *
 * A stored response may answer other URLs than its own only when it came since the rule was
 * learned: from then on a purge of any of these URLs names their common key as well. */
#ifndef BRINK_PROXY_SEARCH_RULES_H
#define BRINK_PROXY_SEARCH_RULES_H

#include "cache/search.h"

struct search_rules;

MUST_USE enum err search_rules_new(struct search_rules **out);
void search_rules_free(struct search_rules **slot);

/* The common key of a URL's class. */
struct search_class {
    struct store_key key;
    uint32_t id;    /* of the rule: objects of others do not count */
    uint64_t since; /* nor do those born before: store_object.birth */
};
/* False: the path has no rule, or it leaves the key as it is. Texts in the arena. A path without a
 * rule is told by a look at four words, without a lock. */
bool search_rules_find(struct search_rules *rules, struct arena *arena, struct slice key_text,
                       struct search_class *out);

/* A response under this key brought the rule. True: it is new for the path, and counts for purges
 * from now on, but for answers only when search_rules_open has said since when. ERR_NOMEM: false.
 */
bool search_rules_learn(struct search_rules *rules, struct slice key_text, struct slice rule);
/* `since`: the birth of a put that was begun after that. */
void search_rules_open(struct search_rules *rules, struct slice key_text, struct slice rule,
                       uint64_t since);

#endif
