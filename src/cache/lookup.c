/* From a request to the stored response that it matches, to a verdict on that, to what is done.
 * Everything here is on the way of a hit: no allocation, no parsing but for Pragma when clients are
 * heeded. */
#include "cache/lookup.h"

#include "cache/validate.h"

/* RFC 10008 section 2: content and what it is. Without them it fails, but that is for the origin to
 * say. */
static bool
is_whole_query(const struct http_request *request)
{
    return fresh_has_body(request) && http_fields_has(&request->fields, HTTP_CONTENT_TYPE);
}

enum lookup_kind
lookup_classify(const struct http_request *request, enum cache_reason *out_reason)
{
    *out_reason = REASON_NOT_STORED;
    if (request->method == METHOD_QUERY)
        *out_reason = is_whole_query(request) ? REASON_NOT_STORED : REASON_METHOD;
    else if (request->method != METHOD_GET && request->method != METHOD_HEAD)
        *out_reason = REASON_METHOD;
    else if (fresh_has_body(request))
        *out_reason = REASON_REQUEST_BODY;
    return *out_reason == REASON_NOT_STORED ? LOOKUP_CACHE : LOOKUP_PASS;
}

/* RFC 9111 section 5.4: Pragma counts only without Cache-Control. */
static bool
wants_no_cache(const struct http_request *request, const struct cachectl *request_cc)
{
    struct http_list list;
    struct slice member;

    if (request_cc->flags & (CC_NO_CACHE | CC_NO_CACHE_FIELDS))
        return true;
    if (http_fields_has(&request->fields, HTTP_CACHE_CONTROL))
        return false;
    http_list_begin(&list, &request->fields, HTTP_PRAGMA);
    while (http_list_next(&list, &member))
        if (slice_is_nocase(member, "no-cache"))
            return true;
    return false;
}

/* Fresh, but not for this client: RFC 9111 sections 5.2.1.1 and 5.2.1.3. A response that says it
 * never changes while fresh is not asked about again for its age, RFC 8246 section 2. */
static bool
wants_fresher(const struct cachectl *cc, const struct cache_object *object,
              const struct lookup_verdict *verdict)
{
    if (object->flags & CACHE_IMMUTABLE)
        return false;
    return ((cc->flags & CC_MAX_AGE) && verdict->age_s > cc->max_age_s) ||
           ((cc->flags & CC_MIN_FRESH) && verdict->ttl_s < (int64_t)cc->min_fresh_s);
}

static enum lookup_use
decide(struct lookup_verdict *verdict, enum lookup_use use, enum cache_reason reason)
{
    verdict->reason = reason;
    return use;
}

/* How long a stale response may stand in for an error, RFC 5861 section 4. */
static int64_t
error_window_s(const struct cache_object *object, const struct cachectl *heeded)
{
    int64_t window_s = object->sie_s;

    if (heeded != NULL && (heeded->flags & CC_STALE_IF_ERROR) &&
        (int64_t)heeded->stale_if_error_s > window_s)
        window_s = heeded->stale_if_error_s;
    return window_s;
}

static enum lookup_use
judge_stale(const struct cache_object *object, const struct cachectl *heeded, bool soft_purged,
            struct lookup_verdict *out)
{
    int64_t stale_s = -out->ttl_s;
    int64_t window_s = object->swr_s;

    /* max-stale, RFC 9111 section 5.2.1.2; a purge is stronger than a client */
    if (heeded != NULL && (heeded->flags & CC_MAX_STALE) && !soft_purged &&
        (int64_t)heeded->max_stale_s > window_s)
        window_s = heeded->max_stale_s;
    if (window_s > 0 && stale_s <= window_s) {
        if (!(object->flags & CACHE_MUST_REVALIDATE))
            return decide(out, LOOKUP_STALE, REASON_STALE_REVALIDATING);
        if (!soft_purged)
            return decide(out, LOOKUP_VALIDATE, REASON_MUST_REVALIDATE);
    }
    return decide(out, LOOKUP_VALIDATE, soft_purged ? REASON_SOFT_PURGED : REASON_EXPIRED);
}

void
lookup_judge(const struct cache_settings *settings, const struct http_request *request,
             const struct cachectl *request_cc, const struct cache_object *object, bool soft_purged,
             int64_t now_s, struct lookup_verdict *out)
{
    const struct cachectl *heeded = settings->client_no_cache ? request_cc : NULL;
    bool stale_allowed = !(object->flags & (CACHE_ALWAYS_VALIDATE | CACHE_MUST_REVALIDATE));

    *out = (struct lookup_verdict){.age_s = fresh_age_s(object, now_s),
                                   .ttl_s = fresh_ttl_s(object, now_s)};
    if (soft_purged && out->ttl_s > 0)
        out->ttl_s = 0;
    if (settings->keep_s > 0 && -out->ttl_s > (int64_t)settings->keep_s) {
        out->use = decide(out, LOOKUP_GONE, REASON_TOO_STALE);
        return;
    }
    if (heeded != NULL && wants_no_cache(request, heeded)) {
        out->use = decide(out, LOOKUP_VALIDATE, REASON_REQUEST_NO_CACHE);
        return;
    }
    out->may_serve_disconnected = stale_allowed;
    out->may_serve_on_error = stale_allowed && -out->ttl_s <= error_window_s(object, heeded) &&
                              error_window_s(object, heeded) > 0;
    if (object->flags & CACHE_ALWAYS_VALIDATE)
        out->use = decide(out, LOOKUP_VALIDATE,
                          soft_purged      ? REASON_SOFT_PURGED
                          : out->ttl_s > 0 ? REASON_MUST_REVALIDATE
                                           : REASON_EXPIRED);
    else if (out->ttl_s > 0 && heeded != NULL && wants_fresher(heeded, object, out))
        out->use = decide(out, LOOKUP_VALIDATE, REASON_REQUEST_NO_CACHE);
    else if (out->ttl_s > 0)
        out->use = decide(out, LOOKUP_FRESH, REASON_FRESH);
    else
        out->use = judge_stale(object, heeded, soft_purged, out);
}

void
lookup_find(struct store_reader *reader, const struct lookup_question *question,
            struct lookup_finding *out)
{
    struct store_cursor cursor = {.key = question->key};

    out->found = false;
    out->reason = REASON_NOT_STORED;
    while (store_find(reader, &cursor, &out->stored)) {
        if (cache_object_decode(out->stored.meta, out->stored.head.len, &out->object) != OK ||
            lookup_is_gone(question, &out->object) ||
            !lookup_suits(question, &out->object, out->stored.birth))
            continue;
        if (!cache_vary_matches(out->object.vary, question->keyed, &question->request->fields)) {
            out->reason = REASON_VARY_MISS;
            continue;
        }
        lookup_judge(question->settings, question->request, question->cc, &out->object,
                     out->stored.soft_purged, question->now_s, &out->verdict);
        out->found = out->verdict.use != LOOKUP_GONE;
        out->reason = out->verdict.reason;
        break;
    }
    out->cold = cursor.cold;
}

/* RFC 9111 section 4.3.2: a condition that is the origin's goes there, unless what is stored is
 * fresh and fulfils it. */
static bool
is_for_origin(const struct lookup_question *question, const struct lookup_finding *finding)
{
    if (!validate_has_origin_condition(question->request))
        return false;
    return !finding->found || finding->verdict.use != LOOKUP_FRESH ||
           !validate_origin_conditions_hold(question->request, &finding->object, question->now_s);
}

enum lookup_way
lookup_way(const struct lookup_question *question, const struct lookup_finding *finding,
           bool hit_for_miss)
{
    bool for_origin = is_for_origin(question, finding);

    if (finding->found && finding->verdict.use == LOOKUP_FRESH && !for_origin)
        return LOOKUP_WAY_SEND;
    if (finding->found && finding->verdict.use == LOOKUP_STALE && !for_origin)
        return LOOKUP_WAY_SEND_STALE;
    if ((question->cc->flags & CC_ONLY_IF_CACHED) != 0)
        return LOOKUP_WAY_REFUSE;
    if (question->request->method == METHOD_HEAD)
        return LOOKUP_WAY_HEAD;
    if (for_origin)
        return LOOKUP_WAY_PASS;
    return !finding->found && hit_for_miss ? LOOKUP_WAY_ALONE : LOOKUP_WAY_SHARE;
}

enum cache_reason
lookup_reason(const struct lookup_finding *finding, enum lookup_way way)
{
    switch (way) {
    case LOOKUP_WAY_REFUSE:
        return REASON_ONLY_IF_CACHED;
    case LOOKUP_WAY_ALONE:
        return REASON_HIT_FOR_MISS;
    case LOOKUP_WAY_SEND:
    case LOOKUP_WAY_SEND_STALE:
        return finding->reason;
    case LOOKUP_WAY_HEAD:
    case LOOKUP_WAY_PASS:
    case LOOKUP_WAY_SHARE:
        break;
    }
    /* it would have done, but for a condition that is the origin's */
    return finding->found && finding->verdict.use != LOOKUP_VALIDATE ? REASON_PRECONDITION
                                                                     : finding->reason;
}
