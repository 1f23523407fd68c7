/* Which part of a stored body a request wants. */
#include "cache/range.h"

#include "http/field.h"

/* Last-Modified tells two representations apart only when Date is later by enough to rule out both
 * a second change within the second and clocks that differ: RFC 9110 section 8.8.2.2. */
enum { STRONG_DATE_GAP_S = 60 };

/* RFC 9110 section 13.1.5: strong comparison, or exactly the date we know to be strong. */
static bool
if_range_holds(const struct http_fields *fields, const struct cache_object *object, int64_t now_s)
{
    const struct http_field *field = http_fields_get(fields, HTTP_IF_RANGE);
    struct http_etag wanted, etag;
    int64_t at_s;

    if (field == NULL)
        return true;
    if (http_fields_next(fields, field) != NULL)
        return false;
    if (http_etag_parse(field->value, &wanted))
        return http_etag_parse(object->etag, &etag) && http_etag_equal_strong(&wanted, &etag);
    return http_date_parse(field->value, now_s, &at_s) && object->last_modified_s >= 0 &&
           at_s == object->last_modified_s &&
           object->date_s - object->last_modified_s >= STRONG_DATE_GAP_S;
}

/* RFC 9110 section 14.1.2 */
static enum range_result
resolve_suffix(uint64_t suffix_len, uint64_t body_len, struct range *out)
{
    if (suffix_len == 0)
        return RANGE_UNSATISFIABLE;
    if (body_len == 0)
        return RANGE_WHOLE; /* satisfiable, but Content-Range cannot say "nothing" */
    out->len = suffix_len < body_len ? suffix_len : body_len;
    out->first = body_len - out->len;
    return RANGE_PART;
}

static enum range_result
resolve_one(const struct http_range *range, uint64_t body_len, struct range *out)
{
    if (range->suffix)
        return resolve_suffix(range->last, body_len, out);
    if (range->first >= body_len)
        return RANGE_UNSATISFIABLE;
    out->first = range->first;
    out->len = body_len - range->first;
    if (!range->open && range->last - range->first < out->len - 1)
        out->len = range->last - range->first + 1;
    return RANGE_PART;
}

enum range_result
range_resolve(const struct http_request *request, const struct cache_object *object,
              uint64_t body_len, int64_t now_s, struct range *out)
{
    const struct http_field *field = http_fields_get(&request->fields, HTTP_RANGE);
    struct http_range range;
    size_t n;

    if (field == NULL || request->method != METHOD_GET || object->status != 200 ||
        http_fields_next(&request->fields, field) != NULL)
        return RANGE_WHOLE;
    if (http_range_parse(field->value, &range, 1, &n) != OK || n != 1)
        return RANGE_WHOLE;
    if (!if_range_holds(&request->fields, object, now_s))
        return RANGE_WHOLE;
    return resolve_one(&range, body_len, out);
}
