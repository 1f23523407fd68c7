/* Which parts of a stored body a request wants. */
#include "cache/range.h"

#include "cache/variant.h"
#include "http/field.h"

/* Last-Modified tells two representations apart only when Date is later by enough to rule out both
 * a second change within the second and clocks that differ: RFC 9110 section 8.8.2.2. */
enum { STRONG_DATE_GAP_S = 60 };

/* What separates two parts costs about as much: RFC 9110 section 15.3.7.2. */
enum { GAP_LEN_MAX = 80 };

/* Exactly the date we know to be strong. */
static bool
date_holds(const struct http_field *field, const struct cache_object *object, int64_t now_s)
{
    int64_t at_s;

    return http_date_parse(field->value, now_s, &at_s) && object->last_modified_s >= 0 &&
           at_s == object->last_modified_s &&
           object->date_s - object->last_modified_s >= STRONG_DATE_GAP_S;
}

enum range_of
range_condition(const struct http_request *request, const struct cache_object *object,
                int64_t now_s, enum http_coding *out_coding, struct slice *out_hash)
{
    const struct http_field *field = http_fields_get(&request->fields, HTTP_IF_RANGE);

    *out_coding = object->coding;
    *out_hash = SLICE_NONE;
    if (field == NULL || !http_fields_has(&request->fields, HTTP_RANGE))
        return RANGE_OF_ANY;
    if (variant_if_range(&request->fields, object, out_coding, out_hash))
        return *out_coding == object->coding ? RANGE_OF_STORED : RANGE_OF_MADE;
    if (http_fields_next(&request->fields, field) == NULL && date_holds(field, object, now_s))
        return RANGE_OF_DATED;
    return RANGE_OF_NONE;
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

/* Everything that can be satisfied, in the order asked for; RANGE_WHOLE when one of them says so.
 */
static enum range_result
resolve_all(const struct http_range *ranges, size_t n, uint64_t body_len, struct range_set *out)
{
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        switch (resolve_one(&ranges[i], body_len, &out->parts[out->n])) {
        case RANGE_PART:
            out->n++;
            break;
        case RANGE_WHOLE:
            return RANGE_WHOLE;
        default:
            break;
        }
    }
    return out->n > 0 ? RANGE_PART : RANGE_UNSATISFIABLE;
}

/* Several ranges that have more bytes than the whole have some of them more than once. */
static bool
asks_too_much(const struct range_set *set, uint64_t body_len)
{
    uint64_t left = body_len;

    for (size_t i = 0; i < set->n; i++) {
        if (set->parts[i].len > left)
            return true;
        left -= set->parts[i].len;
    }
    return false;
}

static bool
are_near(const struct range *a, const struct range *b)
{
    const struct range *low = a->first <= b->first ? a : b, *high = low == a ? b : a;

    return high->first <= low->first + low->len ||
           high->first - low->first - low->len < GAP_LEN_MAX;
}

static void
unite(struct range *into, const struct range *other)
{
    uint64_t first = into->first < other->first ? into->first : other->first;
    uint64_t end = into->first + into->len, other_end = other->first + other->len;

    into->first = first;
    into->len = (end > other_end ? end : other_end) - first;
}

/* The first two parts that are as good as one become it, in the earlier one's place. */
static bool
unite_two(struct range_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        for (size_t j = i + 1; j < set->n; j++) {
            if (!are_near(&set->parts[i], &set->parts[j]))
                continue;
            unite(&set->parts[i], &set->parts[j]);
            memmove(&set->parts[j], &set->parts[j + 1], (set->n - j - 1) * sizeof(struct range));
            set->n--;
            return true;
        }
    }
    return false;
}

static bool
is_ascending(const struct range_set *set)
{
    for (size_t i = 1; i < set->n; i++)
        if (set->parts[i].first < set->parts[i - 1].first)
            return false;
    return true;
}

/* RFC 9110 section 14.2 defines them for GET; RFC 10008 has them for QUERY as for GET. */
static bool
has_ranges(enum http_method method)
{
    return method == METHOD_GET || method == METHOD_QUERY;
}

enum range_result
range_parts(const struct http_request *request, const struct cache_object *object,
            uint64_t body_len, unsigned parts_max, struct range_set *out)
{
    const struct http_field *field = http_fields_get(&request->fields, HTTP_RANGE);
    struct http_range ranges[RANGE_PARTS_MAX];
    enum range_result result;
    size_t n;
    enum err rc;

    if (field == NULL || !has_ranges(request->method) || object->status != 200 ||
        http_fields_next(&request->fields, field) != NULL)
        return RANGE_WHOLE;
    ASSERT(parts_max <= RANGE_PARTS_MAX);
    rc = http_range_parse(field->value, ranges, parts_max > 1 ? parts_max : 1, &n);
    if (rc != OK)
        return rc == ERR_LIMIT ? RANGE_EXCESSIVE : RANGE_WHOLE;
    result = resolve_all(ranges, n, body_len, out);
    if (result != RANGE_PART)
        return result;
    if (out->n > 1 && asks_too_much(out, body_len))
        return RANGE_EXCESSIVE;
    while (unite_two(out))
        ;
    /* Content-Encoding would be said of the message with the parts in it, which is not coded. */
    if (out->n > 1 && object->coding != CODING_IDENTITY)
        return RANGE_WHOLE;
    out->ascending = is_ascending(out);
    return RANGE_PART;
}

enum range_result
range_resolve(const struct http_request *request, const struct cache_object *object,
              uint64_t body_len, int64_t now_s, unsigned parts_max, struct range_set *out)
{
    enum http_coding coding;
    struct slice hash;

    switch (range_condition(request, object, now_s, &coding, &hash)) {
    case RANGE_OF_ANY:
    case RANGE_OF_STORED:
    case RANGE_OF_DATED:
        return range_parts(request, object, body_len, parts_max, out);
    case RANGE_OF_MADE:
    case RANGE_OF_NONE:
        return RANGE_WHOLE;
    }
    UNREACHABLE();
}
