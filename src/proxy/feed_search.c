/* Under which key a response goes by what it says of queries: its URL's own, or the common one of
 * all URLs that are the same by its No-Vary-Search. The request was looked up by what was known
 * then. */
#include "base/stats.h"
#include "proxy/feed_impl.h"
#include "proxy/search_rules.h"

/* The rule that counts for a response; empty: none. Of successful responses alone. */
static struct slice
rule_of(const struct feed *feed, unsigned status, const struct http_fields *fields,
        char buf[CACHE_SEARCH_RULE_MAX])
{
    struct slice rule = SLICE_NONE;

    if (!feed->site->no_vary_search || status < 200 || status > 299 ||
        !cache_search_parse(fields, buf, &rule))
        return SLICE_NONE;
    return rule;
}

/* Which of a class's URLs a purge meant that came while the rule was not known, nobody can tell; so
 * since a request that was not looked up by its response's rule there may have been none. */
static enum err
store_as(struct feed *feed, const struct store_key *key, struct slice rule, uint64_t *out_birth,
         struct fill_head *head)
{
    enum err rc = fill_store_as(feed->fill, key, head, rule.len > 0, out_birth);

    if (rc == ERR_CANCELLED) {
        head->reason = REASON_PURGED_MEANWHILE;
        cache_reason_count(head->reason);
        return OK;
    }
    return rc;
}

enum err
feed_place(struct feed *feed, const struct http_response *response, struct fill_head *head)
{
    struct search_rules *rules = feed->proxy->shared->search;
    char buf[CACHE_SEARCH_RULE_MAX];
    struct slice rule = SLICE_NONE;
    struct store_key own, key;
    bool is_new = false;
    uint64_t birth;
    enum err rc;

    if (feed->request.method == METHOD_GET)
        rule = rule_of(feed, head->object.status, &response->fields, buf);
    if (rule.len == 0 && feed->search == 0)
        return OK; /* as nearly always */
    rc = cache_key_build(&feed->arena, feed->scheme, feed->host, feed->request.path,
                         feed->request.query, &own);
    own.group = feed->site->group;
    key = own;
    if (rc == OK && rule.len > 0)
        rc = cache_search_key(&feed->arena, rule, own.text, &key);
    if (rc == ERR_LIMIT)
        rule = SLICE_NONE;
    else if (rc != OK)
        return rc;
    if ((head->object.flags & CACHE_PARTIAL) && feed->search == 0)
        key = own; /* its slices are named after the fill */
    head->object.search = cache_search_id(rule);
    if (rule.len > 0)
        is_new = search_rules_learn(rules, own.text, rule);
    if (!is_new && slice_equal(key.text, fill_key(feed->fill)->text))
        return OK;
    rc = store_as(feed, &key, rule, &birth, head);
    if (rc == OK && is_new)
        search_rules_open(rules, own.text, rule, birth);
    return rc;
}

bool
feed_keeps_place(struct feed *feed, const struct http_fields *merged, struct fill_head *head)
{
    char buf[CACHE_SEARCH_RULE_MAX];
    uint32_t id = cache_search_id(rule_of(feed, head->object.status, merged, buf));

    if (head->object.search != 0 && head->object.search != id)
        return false;
    head->object.search = id;
    return true;
}
