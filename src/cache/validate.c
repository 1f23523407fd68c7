/* Conditions of clients, and our own towards origins. Stored heads: validate_head.c. */
#include "cache/validate.h"

#include "cache/fresh.h"
#include "cache/variant.h"

/* --- conditions of clients --- */

/* RFC 9111 section 4.3.2: by Last-Modified, else by Date (which is the time of receipt when the
 * response had none). */
static bool
is_unmodified_since(const struct http_fields *fields, const struct cache_object *object,
                    int64_t now_s)
{
    int64_t since_s;

    if (!fresh_date(fields, HTTP_IF_MODIFIED_SINCE, now_s, &since_s))
        return false; /* a condition that must be ignored, RFC 9110 section 13.1.3 */
    return (object->last_modified_s >= 0 ? object->last_modified_s : object->date_s) <= since_s;
}

/* RFC 9110 section 13.1.2 */
static bool
none_match_fails(const struct http_fields *fields, const struct coding_accept *accept,
                 const struct cache_object *object, struct slice *out_etag)
{
    const struct http_field *field = http_fields_get(fields, HTTP_IF_NONE_MATCH);

    if (http_fields_next(fields, field) == NULL && slice_is(field->value, "*"))
        return true; /* there is a representation */
    return variant_none_match(fields, accept, object, out_etag);
}

enum validate_result
validate_request(const struct http_request *request, const struct coding_accept *accept,
                 const struct cache_object *object, int64_t now_s, struct slice *out_etag)
{
    bool unmodified;

    *out_etag = SLICE_NONE;
    if (request->method != METHOD_GET && request->method != METHOD_HEAD &&
        request->method != METHOD_QUERY)
        return VALIDATE_SEND;
    if (object->status < 200 || object->status > 299)
        return VALIDATE_SEND; /* RFC 9110 section 13.2.1 */
    if (http_fields_has(&request->fields, HTTP_IF_NONE_MATCH))
        unmodified = none_match_fails(&request->fields, accept, object, out_etag);
    else
        unmodified = is_unmodified_since(&request->fields, object, now_s);
    return unmodified ? VALIDATE_NOT_MODIFIED : VALIDATE_SEND;
}

bool
validate_has_origin_condition(const struct http_request *request)
{
    return http_fields_has(&request->fields, HTTP_IF_MATCH) ||
           http_fields_has(&request->fields, HTTP_IF_UNMODIFIED_SINCE);
}

/* RFC 9110 section 13.1.1 */
static bool
match_holds(const struct http_fields *fields, const struct cache_object *object)
{
    const struct http_field *field = http_fields_get(fields, HTTP_IF_MATCH);
    struct http_etag etag;

    if (http_fields_next(fields, field) == NULL && slice_is(field->value, "*"))
        return true;
    if (!http_etag_parse(object->etag, &etag))
        return false;
    for (; field != NULL; field = http_fields_next(fields, field)) {
        struct slice rest = field->value;
        struct http_etag wanted;

        while (http_etag_take(&rest, &wanted))
            if (http_etag_equal_strong(&wanted, &etag))
                return true;
    }
    return false;
}

bool
validate_origin_conditions_hold(const struct http_request *request,
                                const struct cache_object *object, int64_t now_s)
{
    int64_t since_s;

    if (!validate_has_origin_condition(request))
        return true;
    if (object->status < 200 || object->status > 299)
        return false; /* another representation may be there by now */
    if (http_fields_has(&request->fields, HTTP_IF_MATCH))
        return match_holds(&request->fields, object);
    return fresh_date(&request->fields, HTTP_IF_UNMODIFIED_SINCE, now_s, &since_s) &&
           object->last_modified_s >= 0 && object->last_modified_s <= since_s;
}

/* --- our own conditions --- */

bool
validate_confirms(const struct cache_object *object, const struct http_fields *response,
                  int64_t now_s)
{
    const struct http_field *field = http_fields_get(response, HTTP_ETAG);
    struct http_etag theirs, ours;
    int64_t modified_s;

    if (field != NULL && http_fields_next(response, field) != NULL)
        return false; /* which of them is meant is anybody's guess */
    if (field != NULL && http_etag_parse(field->value, &theirs)) {
        if (!http_etag_parse(object->etag, &ours))
            return false;
        return theirs.weak ? http_etag_equal_weak(&theirs, &ours)
                           : http_etag_equal_strong(&theirs, &ours);
    }
    if (fresh_date(response, HTTP_LAST_MODIFIED, now_s, &modified_s))
        return modified_s == object->last_modified_s;
    return true; /* it names no other: we asked with the validators of this one only */
}

bool
validate_head_confirms(const struct cache_object *object, uint64_t body_len,
                       const struct http_response *response, int64_t now_s)
{
    const struct http_field *length = http_fields_get(&response->fields, HTTP_CONTENT_LENGTH);
    uint64_t len;
    int64_t modified_s;

    if (object->status != 200 || response->status != 200 ||
        !validate_confirms(object, &response->fields, now_s))
        return false;
    if (http_fields_has(&response->fields, HTTP_LAST_MODIFIED) &&
        (!fresh_date(&response->fields, HTTP_LAST_MODIFIED, now_s, &modified_s) ||
         modified_s != object->last_modified_s))
        return false;
    return length == NULL || (slice_to_u64(length->value, &len) && len == body_len);
}

enum err
validate_conditions(struct arena *arena, const struct cache_object *object, struct slice *out_lines)
{
    struct http_out out;
    char date[HTTP_DATE_LEN + 1];

    http_out_init(&out, arena, 128);
    if (object->etag.len > 0)
        http_out_field(&out, SLICE("If-None-Match"), object->etag);
    if (object->last_modified_s >= 0) {
        http_date_format(object->last_modified_s, date);
        http_out_field(&out, SLICE("If-Modified-Since"), slice_of(date, HTTP_DATE_LEN));
    }
    if (out.rc == OK)
        *out_lines = http_out_slice(&out);
    return out.rc;
}
