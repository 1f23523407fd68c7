/* What a POST brought may be what a GET would bring: when the response says so by naming the target
 * as its own location. */
#include "cache/post.h"

/* RFC 9110 section 8.7: one Content-Location, and it is the URL asked for: compared byte for byte
 * once both are absolute, but for the host. No memory: it is not. */
static bool
is_located_at(struct arena *arena, const struct url *base, const struct http_fields *response)
{
    const struct http_field *field = http_fields_get(response, HTTP_CONTENT_LOCATION);
    struct slice text, ours, theirs;
    struct url url;

    if (field == NULL || http_fields_next(response, field) != NULL ||
        url_resolve(arena, base, field->value, &text) != OK || url_parse(text, &url) != OK)
        return false;
    return slice_equal_nocase(url.scheme, base->scheme) &&
           url_normal_host(arena, base->scheme, base->authority, &ours) == OK &&
           url_normal_host(arena, base->scheme, url.authority, &theirs) == OK &&
           slice_equal(ours, theirs) && slice_equal(url.path, base->path) &&
           slice_equal(url.query, base->query);
}

static bool
is_explicit(enum cache_lifetime from)
{
    switch (from) {
    case CACHE_LIFETIME_S_MAXAGE:
    case CACHE_LIFETIME_MAX_AGE:
    case CACHE_LIFETIME_EXPIRES:
    case CACHE_LIFETIME_TARGETED:
        return true;
    default:
        return false;
    }
}

enum cache_reason
post_admit(struct arena *arena, const struct cache_settings *settings,
           const struct http_request *request, const struct url *base,
           const struct http_response *response, int64_t request_s, int64_t response_s,
           struct cache_object *out)
{
    struct http_request get = *request; /* what a later one will be held against */
    struct cache_object object;
    enum cache_reason reason;

    if (request->method != METHOD_POST || (response->status != 200 && response->status != 203) ||
        !is_located_at(arena, base, &response->fields))
        return REASON_METHOD;
    get.method = METHOD_GET;
    get.framing = FRAMING_NONE;
    reason = fresh_admit(settings, &get, response, request_s, response_s, &object);
    if (reason == REASON_STORED && !is_explicit(object.lifetime_from))
        reason = REASON_NO_FRESHNESS;
    if (reason == REASON_STORED)
        *out = object;
    return reason;
}
