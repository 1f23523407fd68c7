/* The decisions of a request that need no request's state. The most are on the way of a hit. */
#include "proxy/way.h"

#include "cache/validate.h"
#include "http/upgrade.h"
#include "proxy/search_rules.h"

enum err
way_vet(const struct http_request *http, struct slice scheme, const char **why)
{
    if (http->method == METHOD_TRACE || http->method == METHOD_CONNECT) {
        *why = "this method is not allowed here";
        return ERR_METHOD;
    }
    if (http->scheme.len > 0 && !slice_equal_nocase(http->scheme, scheme)) {
        *why = "another scheme than the connection's";
        return ERR_MISDIRECTED;
    }
    return OK;
}

enum err
way_last_hop(const struct http_request *http, bool *out_last)
{
    const struct http_field *field = http_fields_get(&http->fields, HTTP_MAX_FORWARDS);
    uint64_t n;

    *out_last = false;
    if (http->method != METHOD_OPTIONS || field == NULL)
        return OK;
    if (http_fields_next(&http->fields, field) != NULL || !slice_to_u64(field->value, &n))
        return ERR_BAD_REQUEST;
    *out_last = n == 0;
    return OK;
}

static bool
site_answers(const struct site_settings *site, struct slice host)
{
    for (size_t i = 0; i < site->hosts_n; i++)
        if (slice_is(host, site->hosts[i]))
            return true;
    return site->hosts_n == 0;
}

const struct site_settings *
way_site(const struct proxy_settings *settings, struct slice host)
{
    for (size_t i = 0; i < settings->sites_n; i++)
        if (site_answers(&settings->sites[i], host))
            return &settings->sites[i];
    return NULL;
}

enum err
way_upgrade(struct arena *arena, const struct site_settings *site, const struct http_request *http,
            struct slice *out)
{
    *out = SLICE_NONE;
    if (!upgrade_is_asked(http))
        return OK;
    return upgrade_choose(arena, &http->fields, site->upgrades, site->upgrades_n, out);
}

enum err
way_begin(struct arena *arena, const struct site_settings *site, struct slice scheme,
          struct slice host, struct http_request *http, struct slice upgrade, struct way *out)
{
    bool keyed;
    enum err rc = OK;

    if (!site->pass)
        rc = cache_target_apply(arena, &site->target, &http->path, &http->query);
    if (rc == OK)
        rc = cache_key_build(arena, scheme, host, http->path, http->query, &out->key);
    out->key.group = site->group;
    out->keyed = SLICE_NONE;
    cachectl_parse(&http->fields, &out->cc);
    out->kind = lookup_classify(http, &out->reason);
    if (site->pass || upgrade.len > 0) {
        out->kind = LOOKUP_PASS;
        out->reason = upgrade.len > 0 ? REASON_UPGRADE : REASON_BYPASS;
    }
    keyed = out->kind == LOOKUP_CACHE || http->method == METHOD_POST; /* cache/post.h */
    if (rc == OK && keyed)
        rc = cache_keyed_build(arena, site->key_fields, site->key_fields_n, &http->fields,
                               &out->keyed);
    if (rc == OK && keyed)
        rc = cache_keyed_add_cookies(arena, site->key_cookies, site->key_cookies_n, &http->fields,
                                     &out->keyed);
    return rc;
}

unsigned
way_parts(const struct http_request *http, const struct cache_object *object, uint64_t len,
          unsigned ranges_max, int64_t now_s, struct range_set *out)
{
    struct slice etag;

    out->n = 0;
    if (validate_request(http, NULL, object, now_s, &etag) == VALIDATE_NOT_MODIFIED)
        return 304;
    if (http->method != METHOD_GET)
        return object->status;
    switch (range_resolve(http, object, len, now_s, ranges_max, out)) {
    case RANGE_PART:
        return 206;
    case RANGE_UNSATISFIABLE:
        out->n = 0;
        return 416;
    case RANGE_WHOLE:
    case RANGE_EXCESSIVE:
        out->n = len > 0;
        out->parts[0] = (struct range){.first = 0, .len = len};
        return object->status;
    }
    UNREACHABLE();
}

void
way_find(struct search_rules *rules, struct store_reader *reader, struct arena *arena,
         struct store_key *key, struct lookup_question *question, struct lookup_finding *out)
{
    struct lookup_question in_class;
    struct lookup_finding finding;
    struct search_class common;

    question->key = key;
    question->search = 0;
    lookup_find(reader, question, out);
    if ((out->found && out->verdict.use == LOOKUP_FRESH) || out->cold || rules == NULL ||
        !search_rules_find(rules, arena, key->text, &common))
        return;
    in_class = *question;
    in_class.key = &common.key;
    in_class.search = common.id;
    in_class.search_since = common.since;
    lookup_find(reader, &in_class, &finding);
    if (out->found && !finding.found && !finding.cold)
        return;
    *out = finding;
    *question = in_class;
    question->key = key;
    common.key.group = key->group;
    *key = common.key;
}

struct store_hash
way_unstorable_hash(const struct store_key *key, enum http_method method, struct slice keyed)
{
    struct store_hash hash = key->hash;

    if (method == METHOD_QUERY) {
        struct store_hash own = store_hash(keyed);

        hash.lo ^= own.lo;
        hash.hi ^= own.hi;
    }
    return hash;
}

/* It is whole, waits for its commit, and has what a condition is made of. */
static bool
can_be_validated(struct fill *fill, const struct cache_object *object)
{
    return fill_state(fill) == FILL_DONE && fill_is_storing(fill) &&
           (object->etag.len > 0 || object->last_modified_s >= 0);
}

enum way_join
way_join(struct fill *fill, const struct lookup_question *question, struct lookup_verdict *verdict)
{
    const struct fill_head *head = fill_head(fill);

    if (fill_state(fill) == FILL_FAILED || fill_is_purged(fill))
        return WAY_JOIN_REPLACE;
    if (head == NULL)
        return WAY_JOIN_WAIT;
    if (lookup_is_gone(question, &head->object))
        return WAY_JOIN_REPLACE;
    if (!lookup_suits(question, &head->object, UINT64_MAX)) /* the fill knows no older one */
        return WAY_JOIN_ALONE;
    if (!cache_vary_matches(head->object.vary, question->keyed, &question->request->fields))
        return WAY_JOIN_ALONE;
    lookup_judge(question->settings, question->request, question->cc, &head->object, false,
                 question->now_s, verdict);
    if (verdict->use == LOOKUP_FRESH)
        return WAY_JOIN_USE;
    return verdict->use == LOOKUP_VALIDATE && can_be_validated(fill, &head->object)
               ? WAY_JOIN_COMMIT
               : WAY_JOIN_REPLACE;
}

/* Reading so much to no purpose takes about as long as asking again. */
enum { FAR_LEN = 1 << 20 };

bool
way_wants_far_part(const struct http_request *http, const struct fill_head *head, int64_t now_s)
{
    struct range_set set;

    return head->reason != REASON_STORED && head->has_length && http->method == METHOD_GET &&
           range_resolve(http, &head->object, head->length, now_s, 0, &set) == RANGE_PART &&
           set.parts[0].first > FAR_LEN;
}
