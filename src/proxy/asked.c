/* Answers held against what was asked. */
#include "proxy/asked.h"

/* --- the request --- */

/* Conditions beyond RFC 9110 that fail with 412: If (RFC 4918 section 10.4), If-Schedule-Tag-Match
 * (RFC 6638 section 8.3) and whatever else begins so, and Overwrite (RFC 4918 section 10.6). */
static bool
is_other_condition(const struct http_field *field)
{
    if (field->token != HTTP_UNKNOWN || field->nominated)
        return false;
    return slice_is_nocase(field->name, "if") || slice_is_nocase(field->name, "overwrite") ||
           slice_is_nocase(slice_first(field->name, 3), "if-");
}

/* RFC 9110 section 13.2.2: If-None-Match that fails is 304 to GET and HEAD, 412 to others. */
static bool
asks_precondition(const struct http_request *request, bool reads)
{
    const struct http_fields *fields = &request->fields;

    if (http_fields_has(fields, HTTP_IF_MATCH) ||
        http_fields_has(fields, HTTP_IF_UNMODIFIED_SINCE) ||
        (!reads && http_fields_has(fields, HTTP_IF_NONE_MATCH)))
        return true;
    for (unsigned i = 0; i < fields->n; i++)
        if (is_other_condition(&fields->items[i]))
            return true;
    return false;
}

/* Ranges are defined for GET (RFC 9110 section 14.2) and for QUERY as for GET (RFC 10008); HEAD is
 * answered as GET is. */
static void
note_range(const struct http_request *request, struct asked *out)
{
    const struct http_field *field = http_fields_get(&request->fields, HTTP_RANGE);
    struct slice rest;
    size_t n;

    if (field == NULL)
        return;
    rest = field->value;
    out->range = slice_cut(&rest, '=', &out->unit);
    out->one_range = http_fields_next(&request->fields, field) == NULL &&
                     http_range_parse(field->value, &out->bytes, 1, &n) == OK;
}

void
asked_for(const struct http_request *request, bool pass, bool validating, struct asked *out)
{
    bool reads = request->method == METHOD_GET || request->method == METHOD_HEAD ||
                 request->method == METHOD_QUERY;

    *out = (struct asked){.is_head = request->method == METHOD_HEAD, .not_modified = validating};
    if (!pass) {
        for (unsigned i = 0; i < request->fields.n; i++)
            out->precondition = out->precondition || is_other_condition(&request->fields.items[i]);
        return;
    }
    out->not_modified =
        validating || (reads && (http_fields_has(&request->fields, HTTP_IF_NONE_MATCH) ||
                                 http_fields_has(&request->fields, HTTP_IF_MODIFIED_SINCE)));
    out->precondition = asks_precondition(request, reads);
    if (reads)
        note_range(request, out);
}

/* --- a part --- */

struct part {
    struct slice unit;
    uint64_t first, last;
    bool known; /* the whole length: */
    uint64_t length;
};

/* "bytes 0-4/10" or "bytes 0-4/ *": RFC 9110 section 14.4. Other units have their own grammar
 * behind the blank. */
static bool
parse_part(struct slice value, struct part *out)
{
    struct slice rest = value;

    *out = (struct part){0};
    if (!slice_cut(&rest, ' ', &out->unit) || !http_is_token(out->unit))
        return false;
    if (!slice_is_nocase(out->unit, "bytes"))
        return rest.len > 0;
    if (!slice_take_u64(&rest, &out->first) || !slice_starts(rest, SLICE("-")))
        return false;
    rest = slice_skip(rest, 1);
    if (!slice_take_u64(&rest, &out->last) || !slice_starts(rest, SLICE("/")))
        return false;
    rest = slice_skip(rest, 1);
    out->known = !slice_is(rest, "*");
    if (out->known && !slice_to_u64(rest, &out->length))
        return false;
    return out->first <= out->last && out->last < UINT64_MAX &&
           (!out->known || out->last < out->length);
}

/* The server may send less than was asked for, never something else (RFC 9110 section 15.3.7). Of
 * several ranges any union may come, so those are not compared. */
static bool
lies_within(const struct part *part, const struct http_range *range)
{
    if (range->suffix)
        return !part->known || range->last >= part->length ||
               part->first >= part->length - range->last;
    return part->first >= range->first && (range->open || part->last <= range->last);
}

static bool
is_multipart(const struct http_response *response)
{
    const struct http_field *field = http_fields_get(&response->fields, HTTP_CONTENT_TYPE);

    return field != NULL && slice_is_nocase(slice_first(field->value, 20), "multipart/byteranges");
}

/* What Content-Length says; of an answer to HEAD too. */
static bool
says_length(const struct http_response *response)
{
    return http_fields_has(&response->fields, HTTP_CONTENT_LENGTH);
}

static enum err
check_part(const struct asked *asked, const struct http_response *response, const char **out_why)
{
    const struct http_field *field = http_fields_get(&response->fields, HTTP_CONTENT_RANGE);
    struct part part;

    if (is_multipart(response)) {
        *out_why = asked->one_range ? "several parts for one range"
                   : field != NULL  ? "Content-Range beside several parts"
                                    : NULL;
        return *out_why == NULL ? OK : ERR_ORIGIN_UNASKED;
    }
    *out_why = "no well-formed Content-Range in a 206";
    if (field == NULL || http_fields_next(&response->fields, field) != NULL ||
        !parse_part(field->value, &part))
        return ERR_ORIGIN_SYNTAX;
    *out_why = "another range than was asked for";
    if (!slice_equal_nocase(part.unit, asked->unit) ||
        (asked->one_range && !lies_within(&part, &asked->bytes)))
        return ERR_ORIGIN_UNASKED;
    *out_why = "another length than Content-Range says";
    if (slice_is_nocase(part.unit, "bytes") && says_length(response) &&
        response->content_length != part.last - part.first + 1)
        return ERR_ORIGIN_FRAMING;
    return OK;
}

bool
asked_part(const struct asked *asked, const struct http_response *response, uint64_t *out_len)
{
    const struct http_field *field = http_fields_get(&response->fields, HTTP_CONTENT_RANGE);
    struct part part;

    if (response->status != 206 || asked->is_head || field == NULL || is_multipart(response) ||
        !parse_part(field->value, &part) || !slice_is_nocase(part.unit, "bytes"))
        return false;
    *out_len = part.last - part.first + 1;
    return true;
}

enum err
asked_check(const struct asked *asked, const struct http_response *response, const char **out_why)
{
    switch (response->status) {
    case 206:
        *out_why = "206 without a Range";
        return asked->range ? check_part(asked, response, out_why) : ERR_ORIGIN_UNASKED;
    case 304:
        *out_why = "304 without a condition";
        return asked->not_modified ? OK : ERR_ORIGIN_UNASKED;
    case 412:
        *out_why = "412 without a condition";
        return asked->precondition ? OK : ERR_ORIGIN_UNASKED;
    case 416:
        *out_why = "416 without a Range";
        return asked->range ? OK : ERR_ORIGIN_UNASKED;
    default:
        return OK;
    }
}

/* --- a slice --- */

void
asked_for_slice(uint64_t first, uint64_t last, struct asked *out)
{
    *out = (struct asked){.range = true,
                          .one_range = true,
                          .bytes = {.first = first, .last = last},
                          .unit = SLICE("bytes")};
}

/* Whose tag is it? One that is missing, weak or repeated tells nothing. */
enum same { SAME, OTHER, UNKNOWN };

static enum same
compare_etag(const struct http_fields *fields, struct slice etag)
{
    const struct http_field *field = http_fields_get(fields, HTTP_ETAG);
    struct http_etag ours, theirs;

    if (field == NULL || http_fields_next(fields, field) != NULL || !http_etag_parse(etag, &ours) ||
        !http_etag_parse(field->value, &theirs))
        return UNKNOWN;
    if (http_etag_equal_strong(&ours, &theirs))
        return SAME;
    return theirs.weak && slice_equal(ours.opaque, theirs.opaque) ? UNKNOWN : OTHER;
}

static enum asked_slice
judge_part(const struct asked *asked, const struct http_response *response, uint64_t whole_len,
           struct slice etag)
{
    const struct http_field *field = http_fields_get(&response->fields, HTTP_CONTENT_RANGE);
    enum same same = compare_etag(&response->fields, etag);
    struct part part;

    if (field == NULL || !parse_part(field->value, &part))
        return SLICE_UNRANGED; /* several parts for one range do not get here */
    if (same == OTHER || (part.known && part.length != whole_len))
        return SLICE_CHANGED;
    if (same == UNKNOWN || !part.known || part.first != asked->bytes.first ||
        part.last != asked->bytes.last)
        return SLICE_UNRANGED;
    return SLICE_RIGHT;
}

/* The whole for a range: If-Range failed, or the origin serves no ranges. */
static enum asked_slice
judge_whole(const struct http_response *response, uint64_t whole_len, struct slice etag)
{
    bool same_length = !says_length(response) || response->content_length == whole_len;

    return compare_etag(&response->fields, etag) == SAME && same_length ? SLICE_UNRANGED
                                                                        : SLICE_CHANGED;
}

enum asked_slice
asked_slice(const struct asked *asked, const struct http_response *response, uint64_t whole_len,
            struct slice etag)
{
    switch (response->status) {
    case 200:
        return judge_whole(response, whole_len, etag);
    case 206:
        return judge_part(asked, response, whole_len, etag);
    case 429:
        return SLICE_FAILED;
    default:
        return response->status >= 500 ? SLICE_FAILED : SLICE_CHANGED;
    }
}
