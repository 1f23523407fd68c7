/* Admission, freshness and age. One calculation serves a new response and a validated one. */
#include "cache/fresh.h"

#include "cache/vary.h"

static const uint32_t delta_max_s = (uint32_t)1 << 31; /* RFC 9111 section 1.2.2 */

static uint32_t
clamp_s(int64_t s)
{
    if (s <= 0)
        return 0;
    return s > (int64_t)delta_max_s ? delta_max_s : (uint32_t)s;
}

bool
fresh_date(const struct http_fields *fields, enum http_token token, int64_t now_s, int64_t *out_s)
{
    const struct http_field *field = http_fields_get(fields, token);
    int64_t at_s;

    if (field == NULL || http_fields_next(fields, field) != NULL ||
        !http_date_parse(field->value, now_s, &at_s))
        return false;
    *out_s = at_s < 0 ? 0 : at_s;
    return true;
}

uint32_t
fresh_age_s(const struct cache_object *object, int64_t now_s)
{
    int64_t resident_s = now_s > object->response_s ? now_s - object->response_s : 0;

    return clamp_s((int64_t)object->initial_age_s + resident_s);
}

int64_t
fresh_ttl_s(const struct cache_object *object, int64_t now_s)
{
    return (int64_t)object->lifetime_s - (int64_t)fresh_age_s(object, now_s);
}

bool
fresh_has_body(const struct http_request *request)
{
    return request->framing != FRAMING_NONE &&
           (request->framing != FRAMING_LENGTH || request->content_length > 0);
}

/* May be given a lifetime by the time since Last-Modified: RFC 9110 section 15.1 (206 is not stored
 * as such). */
static bool
is_heuristic_status(unsigned status)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return true;
    default:
        return false;
    }
}

/* May be given default_ttl, for which the origin has said nothing at all. 405, 414 and 501 say more
 * of one odd request than of its target: others would be given them. */
static bool
is_default_status(unsigned status)
{
    return is_heuristic_status(status) && status != 405 && status != 414 && status != 501;
}

/* The errors of RFC 9110 that one client's odd request may provoke: others would be given them, if
 * only because a server marks all that it sends as public, its pages for errors too. */
static bool
is_provoked(unsigned status)
{
    return status >= 400 && status <= 505 && !is_heuristic_status(status);
}

/* Whose caching requirements are known and met: the final statuses of RFC 9110 section 15 (those
 * that are not stored at all do not get here). For must-understand, RFC 9111 section 5.2.2.3. */
static bool
is_understood(unsigned status)
{
    return (status >= 200 && status <= 205) || (status >= 300 && status <= 303) || status == 305 ||
           status == 307 || status == 308 || (status >= 400 && status <= 417) || status == 422 ||
           (status >= 500 && status <= 505);
}

/* Answers that belong to one request's conditions, range, expectation, framing or connection rather
 * than to the target resource; and 428, 429, 431 and 511, which RFC 6585 forbids to store. */
static bool
is_storable_status(unsigned status)
{
    if (status < 200)
        return false; /* not final */
    switch (status) {
    case 304:
    case 407:
    case 408:
    case 411:
    case 412:
    case 413:
    case 416:
    case 417:
    case 421:
    case 426:
    case 428:
    case 429:
    case 431:
    case 511:
        return false;
    default:
        return true;
    }
}

/* What the response asks of this cache: by the first of the targeted fields that says anything,
 * else by Cache-Control (RFC 9213 section 2.2). */
static void
effective_cachectl(const struct cache_settings *settings, const struct http_fields *fields,
                   struct cachectl *out)
{
    for (size_t i = 0; i < settings->targeted_fields_n; i++)
        if (cachectl_parse_targeted(fields, slice_from_str(settings->targeted_fields[i]), out))
            return;
    cachectl_parse(fields, out);
}

static enum cache_reason
check_request(const struct cache_settings *settings, const struct http_request *request)
{
    struct cachectl cc;

    if (request->method != METHOD_GET && request->method != METHOD_QUERY)
        return REASON_METHOD;
    if (request->method == METHOD_GET && fresh_has_body(request))
        return REASON_REQUEST_BODY;
    if (settings->client_no_cache) { /* advisory, RFC 9111 section 5.2.1 */
        cachectl_parse(&request->fields, &cc);
        if (cc.flags & CC_NO_STORE)
            return REASON_REQUEST_NO_STORE;
    }
    return REASON_STORED;
}

/* RFC 9111 section 7.3: a cookie is for one client, unless the origin or the site says otherwise,
 * or it is left out of what is stored. */
static bool
has_private_cookie(const struct cache_settings *settings, const struct cachectl *cc,
                   const struct http_fields *fields)
{
    if (!http_fields_has(fields, HTTP_SET_COOKIE) || (cc->flags & CC_PUBLIC) ||
        settings->store_set_cookie)
        return false;
    return !(cc->flags & (CC_NO_CACHE_FIELDS | CC_PRIVATE_FIELDS)) ||
           !cachectl_withholds(fields, SLICE("set-cookie"));
}

/* RFC 9111 section 3, all but the lifetime. */
static enum cache_reason
check_response(const struct cache_settings *settings, const struct cachectl *cc,
               const struct http_request *request, unsigned status,
               const struct http_fields *fields)
{
    bool must_understand = (cc->flags & CC_MUST_UNDERSTAND) != 0;

    if (status == 206)
        return REASON_PARTIAL;
    if (!is_storable_status(status) || (must_understand && !is_understood(status)))
        return REASON_STATUS;
    if ((cc->flags & CC_NO_STORE) && !must_understand)
        return REASON_NO_STORE;
    if (cc->flags & CC_PRIVATE)
        return REASON_PRIVATE;
    if (http_fields_has(&request->fields, HTTP_AUTHORIZATION) &&
        !(cc->flags & (CC_PUBLIC | CC_MUST_REVALIDATE | CC_S_MAXAGE))) /* section 3.5 */
        return REASON_AUTHORIZATION;
    if (has_private_cookie(settings, cc, fields))
        return REASON_SET_COOKIE;
    if (cache_vary_is_star(fields))
        return REASON_VARY_STAR;
    return REASON_STORED;
}

uint32_t
fresh_age_field_s(const struct http_fields *fields)
{
    struct http_list list;
    struct slice member;
    uint32_t age_s;

    http_list_begin(&list, fields, HTTP_AGE);
    if (!http_list_next(&list, &member) || !http_delta_s(member, &age_s))
        return 0;
    return age_s;
}

/* RFC 9111 section 4.2.3 */
static void
set_times(struct cache_object *object, const struct http_fields *fields, int64_t request_s,
          int64_t response_s)
{
    int64_t delay_s = response_s > request_s ? response_s - request_s : 0;
    int64_t apparent_s, corrected_s;

    object->response_s = response_s;
    if (!fresh_date(fields, HTTP_DATE, response_s, &object->date_s))
        object->date_s = response_s;
    if (!fresh_date(fields, HTTP_LAST_MODIFIED, response_s, &object->last_modified_s))
        object->last_modified_s = -1;
    apparent_s = response_s - object->date_s;
    corrected_s = (int64_t)fresh_age_field_s(fields) + delay_s;
    object->initial_age_s = clamp_s(apparent_s > corrected_s ? apparent_s : corrected_s);
}

static void
set_etag(struct cache_object *object, const struct http_fields *fields)
{
    const struct http_field *field = http_fields_get(fields, HTTP_ETAG);
    struct http_etag etag;

    object->etag = SLICE_NONE;
    if (field != NULL && http_fields_next(fields, field) == NULL &&
        http_etag_parse(field->value, &etag))
        object->etag = field->value; /* what is no entity tag validates nothing */
}

/* The earliest of all Expires fields; an invalid one, "0" above all, is in the past (RFC 9111
 * section 5.3). */
static uint32_t
expires_lifetime_s(const struct http_fields *fields, int64_t date_s, int64_t now_s)
{
    uint32_t least_s = delta_max_s;

    for (const struct http_field *field = http_fields_get(fields, HTTP_EXPIRES); field != NULL;
         field = http_fields_next(fields, field)) {
        int64_t at_s;
        uint32_t left_s = 0;

        if (http_date_parse(field->value, now_s, &at_s))
            left_s = clamp_s(at_s - date_s);
        if (left_s < least_s)
            least_s = left_s;
    }
    return least_s;
}

static bool
set_lifetime(struct cache_object *object, enum cache_lifetime from, uint32_t lifetime_s)
{
    object->lifetime_from = from;
    object->lifetime_s = lifetime_s;
    return true;
}

/* RFC 9111 section 4.2.1. False: the response does not say. */
static bool
set_explicit_lifetime(const struct cachectl *cc, const struct http_fields *fields,
                      struct cache_object *object)
{
    bool targeted = (cc->flags & CC_TARGETED) != 0;

    if (cc->flags & CC_S_MAXAGE)
        return set_lifetime(object, targeted ? CACHE_LIFETIME_TARGETED : CACHE_LIFETIME_S_MAXAGE,
                            cc->s_maxage_s);
    if (cc->flags & CC_MAX_AGE)
        return set_lifetime(object, targeted ? CACHE_LIFETIME_TARGETED : CACHE_LIFETIME_MAX_AGE,
                            cc->max_age_s);
    if (!targeted && http_fields_has(fields, HTTP_EXPIRES))
        return set_lifetime(object, CACHE_LIFETIME_EXPIRES,
                            expires_lifetime_s(fields, object->date_s, object->response_s));
    return false;
}

/* What the site gives this status, or its class; the status itself counts first. */
static bool
status_lifetime_s(const struct cache_settings *settings, unsigned status, uint32_t *out_s)
{
    const struct cache_status_ttl *found = NULL;

    for (size_t i = 0; i < settings->status_ttls_n; i++) {
        const struct cache_status_ttl *ttl = &settings->status_ttls[i];

        if (ttl->status == status || (found == NULL && ttl->status == status / 100))
            found = ttl;
        if (ttl->status == status)
            break;
    }
    if (found != NULL)
        *out_s = found->ttl_s;
    return found != NULL;
}

/* RFC 9111 section 4.2.2. Queries often ask for what is made anew each time, and a cookie is made
 * for one: the site may say otherwise. */
static bool
may_guess(const struct cache_settings *settings, const struct cachectl *cc,
          const struct http_request *request, unsigned status, const struct http_fields *fields)
{
    if (!settings->heuristic || (request->query.len > 0 && !settings->heuristic_query) ||
        (http_fields_has(fields, HTTP_SET_COOKIE) && !settings->heuristic_set_cookie))
        return false;
    return is_heuristic_status(status) ||
           ((cc->flags & CC_PUBLIC) && !is_provoked(status)); /* section 5.2.2.9 */
}

static bool
may_default(const struct cachectl *cc, unsigned status)
{
    return is_default_status(status) || ((cc->flags & CC_PUBLIC) && status < 400);
}

/* A lifetime that the response does not state. False: there is nothing to take it from. */
static bool
set_implicit_lifetime(const struct cache_settings *settings, const struct cachectl *cc,
                      const struct http_request *request, const struct http_fields *fields,
                      struct cache_object *object)
{
    uint32_t ttl_s;

    if (status_lifetime_s(settings, object->status, &ttl_s))
        return set_lifetime(object, CACHE_LIFETIME_STATUS, ttl_s);
    if (object->last_modified_s >= 0 && may_guess(settings, cc, request, object->status, fields)) {
        uint32_t tenth_s = clamp_s((object->date_s - object->last_modified_s) / 10);

        return set_lifetime(object, CACHE_LIFETIME_HEURISTIC,
                            tenth_s < settings->heuristic_max_s ? tenth_s
                                                                : settings->heuristic_max_s);
    }
    (void)set_lifetime(object, CACHE_LIFETIME_DEFAULT,
                       may_default(cc, object->status) ? settings->default_ttl_s : 0);
    return object->lifetime_s > 0;
}

static void
set_directives(const struct cache_settings *settings, const struct cachectl *cc,
               struct cache_object *object)
{
    if (cc->flags & (CC_MUST_REVALIDATE | CC_PROXY_REVALIDATE | CC_S_MAXAGE))
        object->flags |= CACHE_MUST_REVALIDATE; /* s-maxage: RFC 9111 section 5.2.2.10 */
    if (cc->flags & CC_IMMUTABLE)
        object->flags |= CACHE_IMMUTABLE;
    if (cc->flags & CC_NO_CACHE)
        object->flags |= CACHE_ALWAYS_VALIDATE;
    if (cc->flags & (CC_NO_CACHE_FIELDS | CC_PRIVATE_FIELDS))
        object->flags |= CACHE_WITHHOLDS;
    object->swr_s = cc->flags & CC_STALE_WHILE_REVALIDATE ? cc->stale_while_revalidate_s
                                                          : settings->stale_while_revalidate_s;
    object->sie_s =
        cc->flags & CC_STALE_IF_ERROR ? cc->stale_if_error_s : settings->stale_if_error_s;
}

/* Stale from the start, and the response itself says how long it may be used so. */
static bool
says_stale_is_fine(const struct cachectl *cc, const struct cache_object *object)
{
    if (object->flags & (CACHE_ALWAYS_VALIDATE | CACHE_MUST_REVALIDATE))
        return false;
    return ((cc->flags & CC_STALE_WHILE_REVALIDATE) && object->swr_s > 0) ||
           ((cc->flags & CC_STALE_IF_ERROR) && object->sie_s > 0);
}

/* Everything of *out but status, vary and tags. */
static enum cache_reason
set_freshness(const struct cache_settings *settings, const struct cachectl *cc,
              const struct http_request *request, const struct http_fields *fields,
              int64_t request_s, int64_t response_s, struct cache_object *out)
{
    bool informed, validator;

    out->flags &= CACHE_PARTIAL; /* where the body is, not how fresh */
    set_times(out, fields, request_s, response_s);
    set_etag(out, fields);
    set_directives(settings, cc, out);
    informed = set_explicit_lifetime(cc, fields, out);
    if (!informed) {
        informed = set_implicit_lifetime(settings, cc, request, fields, out);
        if (!informed && !may_default(cc, out->status))
            return REASON_STATUS;
        out->flags |= CACHE_HEURISTIC;
    }
    if (out->lifetime_s > 0 && !(out->flags & CACHE_ALWAYS_VALIDATE))
        return REASON_STORED;
    if (says_stale_is_fine(cc, out))
        return REASON_STORED;
    validator = out->etag.len > 0 || out->last_modified_s >= 0;
    if (!validator)
        return informed ? REASON_ZERO_LIFETIME : REASON_NO_FRESHNESS;
    out->flags |= CACHE_ALWAYS_VALIDATE;
    return REASON_STORED;
}

enum cache_reason
fresh_admit(const struct cache_settings *settings, const struct http_request *request,
            const struct http_response *response, int64_t request_s, int64_t response_s,
            struct cache_object *out)
{
    struct cache_object object = {.status = (uint16_t)response->status};
    struct cachectl cc;
    enum cache_reason reason = check_request(settings, request);

    if (reason != REASON_STORED)
        return reason;
    effective_cachectl(settings, &response->fields, &cc);
    reason = check_response(settings, &cc, request, response->status, &response->fields);
    if (reason != REASON_STORED)
        return reason;
    reason =
        set_freshness(settings, &cc, request, &response->fields, request_s, response_s, &object);
    if (reason == REASON_STORED)
        *out = object;
    return reason;
}

void
fresh_describe_unstored(const struct http_response *response, int64_t response_s,
                        struct cache_object *out)
{
    *out = (struct cache_object){.status = (uint16_t)response->status};
    set_times(out, &response->fields, response_s, response_s);
    set_etag(out, &response->fields);
    out->initial_age_s = fresh_age_field_s(&response->fields);
}

enum cache_reason
fresh_admit_part(const struct cache_settings *settings, const struct http_fields *response)
{
    struct cachectl cc;

    effective_cachectl(settings, response, &cc);
    return cc.flags & CC_NO_STORE  ? REASON_NO_STORE
           : cc.flags & CC_PRIVATE ? REASON_PRIVATE
                                   : REASON_STORED;
}

bool
fresh_update(const struct cache_settings *settings, const struct http_request *request,
             const struct http_fields *merged, int64_t request_s, int64_t response_s,
             struct cache_object *object)
{
    struct cache_object updated = *object;
    struct cachectl cc;

    effective_cachectl(settings, merged, &cc);
    if (check_response(settings, &cc, request, object->status, merged) != REASON_STORED ||
        set_freshness(settings, &cc, request, merged, request_s, response_s, &updated) !=
            REASON_STORED)
        return false;
    *object = updated;
    return true;
}
