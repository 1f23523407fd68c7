/* Reading of field values. Everything here is linear in its input and allocates nothing.
 * RFC 9110 sections 5.6, 8.8, 12.4 and 14. */
#include "http/field.h"

#include "http/chars.h"

bool
http_is_token(struct slice text)
{
    return text.len > 0 && chars_all(text, CH_TOKEN);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool
http_is_field_value(struct slice text)
{
    if (text.len == 0)
        return true;
    return !is_blank(text.ptr[0]) && !is_blank(text.ptr[text.len - 1]) && chars_all(text, CH_VALUE);
}

/* --- lists --- */

/* Whether the quoted string that opens at `at` is closed; *out_end is the offset after it, or the
 * text's length. */
static bool
skip_quoted(struct slice text, size_t at, size_t *out_end)
{
    for (at++; at < text.len; at++) {
        if (text.ptr[at] == '"') {
            *out_end = at + 1;
            return true;
        }
        if (text.ptr[at] == '\\')
            at++;
    }
    *out_end = text.len;
    return false;
}

bool
http_quote_is_open(struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        if (text.ptr[i] != '"')
            i++;
        else if (!skip_quoted(text, i, &i))
            return true;
    }
    return false;
}

bool
http_list_take(struct slice *rest, struct slice *out_member)
{
    size_t start = 0, end;

    while (start < rest->len && (is_blank(rest->ptr[start]) || rest->ptr[start] == ','))
        start++;
    for (end = start; end < rest->len && rest->ptr[end] != ',';) {
        if (rest->ptr[end] != '"')
            end++;
        else
            (void)skip_quoted(*rest, end, &end);
    }
    if (start == end) {
        *rest = slice_skip(*rest, rest->len);
        return false;
    }
    *out_member = slice_trim(slice_of(rest->ptr + start, end - start));
    *rest = slice_skip(*rest, end);
    return true;
}

static void
begin(struct http_list *list, const struct http_fields *fields, const struct http_field *field)
{
    list->fields = fields;
    list->field = field;
    list->rest = field == NULL ? SLICE_NONE : field->value;
}

void
http_list_begin(struct http_list *list, const struct http_fields *fields, enum http_token token)
{
    begin(list, fields, http_fields_get(fields, token));
}

void
http_list_begin_name(struct http_list *list, const struct http_fields *fields, struct slice name)
{
    begin(list, fields, http_fields_find(fields, name));
}

bool
http_list_next(struct http_list *list, struct slice *out_member)
{
    while (list->field != NULL) {
        if (http_list_take(&list->rest, out_member))
            return true;
        list->field = http_fields_next(list->fields, list->field);
        if (list->field != NULL)
            list->rest = list->field->value;
    }
    return false;
}

/* A token, or a quoted string whose quotes are taken off. */
static bool
token_or_quoted(struct slice text, struct slice *out)
{
    size_t end;

    if (text.len > 0 && text.ptr[0] == '"') {
        if (!skip_quoted(text, 0, &end) || end != text.len)
            return false;
        *out = slice_of(text.ptr + 1, text.len - 2);
        return chars_all(*out, CH_VALUE);
    }
    *out = text;
    return http_is_token(text);
}

bool
http_directive(struct slice member, struct slice *out_name, struct slice *out_value)
{
    size_t name_len = chars_span(member, CH_TOKEN);
    struct slice name = slice_first(member, name_len), value = SLICE_NONE;

    if (name_len == 0)
        return false;
    if (name_len < member.len) {
        if (member.ptr[name_len] != '=' ||
            !token_or_quoted(slice_skip(member, name_len + 1), &value))
            return false;
    }
    *out_name = name;
    *out_value = value;
    return true;
}

bool
http_delta_s(struct slice text, uint32_t *out)
{
    const uint64_t most = UINT64_C(1) << 31;
    uint64_t n = 0;

    if (text.len == 0 || !chars_all(text, CH_DIGIT))
        return false;
    for (size_t i = 0; i < text.len && n < most; i++)
        n = n * 10 + (uint64_t)(text.ptr[i] - '0');
    *out = (uint32_t)(n < most ? n : most);
    return true;
}

/* --- entity tags --- */

/* An entity tag at the start of *text, taken off it. */
static bool
take_etag(struct slice *text, struct http_etag *out)
{
    struct slice rest = *text;
    size_t len;
    bool weak = slice_starts(rest, SLICE("W/")); /* the W is case-sensitive */

    if (weak)
        rest = slice_skip(rest, 2);
    if (rest.len < 2 || rest.ptr[0] != '"')
        return false;
    len = 1 + chars_span(slice_skip(rest, 1), CH_ETAG);
    if (len == rest.len || rest.ptr[len] != '"')
        return false;
    out->opaque = slice_first(rest, len + 1);
    out->weak = weak;
    *text = slice_skip(rest, len + 1);
    return true;
}

bool
http_etag_parse(struct slice text, struct http_etag *out)
{
    struct http_etag etag;

    if (!take_etag(&text, &etag) || text.len != 0)
        return false;
    *out = etag;
    return true;
}

bool
http_etag_take(struct slice *list, struct http_etag *out)
{
    struct slice rest = *list;
    struct http_etag etag;

    while (rest.len > 0 && (is_blank(rest.ptr[0]) || rest.ptr[0] == ','))
        rest = slice_skip(rest, 1);
    if (rest.len == 0) {
        *list = rest;
        return false;
    }
    if (!take_etag(&rest, &etag))
        return false;
    rest = slice_trim(rest);
    if (rest.len > 0 && rest.ptr[0] != ',')
        return false;
    *list = rest;
    *out = etag;
    return true;
}

bool
http_etag_equal_strong(const struct http_etag *a, const struct http_etag *b)
{
    return !a->weak && !b->weak && slice_equal(a->opaque, b->opaque);
}

bool
http_etag_equal_weak(const struct http_etag *a, const struct http_etag *b)
{
    return slice_equal(a->opaque, b->opaque);
}

/* --- weights --- */

bool
http_weight_parse(struct slice text, int *out)
{
    int n, scale = 100;

    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1'))
        return false;
    if (text.len > 1 && text.ptr[1] != '.')
        return false;
    n = (text.ptr[0] - '0') * 1000;
    for (size_t i = 2; i < text.len; i++, scale /= 10) {
        if (!char_is(text.ptr[i], CH_DIGIT))
            return false;
        n += (text.ptr[i] - '0') * scale;
    }
    if (n > 1000)
        return false;
    *out = n;
    return true;
}

/* The weight that a member gives itself: 1000 without one, 0 when it is malformed. */
static int
member_weight(struct slice params)
{
    struct slice param;
    int weight = 1000;

    while (params.len > 0) {
        (void)slice_cut(&params, ';', &param);
        param = slice_trim(param);
        if (param.len >= 2 && char_lower(param.ptr[0]) == 'q' && param.ptr[1] == '=' &&
            !http_weight_parse(slice_skip(param, 2), &weight))
            return 0;
    }
    return weight;
}

int
http_weight(const struct http_fields *fields, enum http_token token, struct slice coding)
{
    struct http_list list;
    struct slice member, name;
    int any = -1;

    http_list_begin(&list, fields, token);
    while (http_list_next(&list, &member)) {
        (void)slice_cut(&member, ';', &name);
        name = slice_trim(name);
        if (slice_equal_nocase(name, coding))
            return member_weight(member);
        if (any < 0 && slice_is(name, "*"))
            any = member_weight(member);
    }
    return any;
}

/* --- ranges --- */

/* Digits at the start of *text; a number past 64 bits is the largest one, which no object reaches.
 */
static bool
take_position(struct slice *text, uint64_t *out)
{
    size_t len = chars_span(*text, CH_DIGIT);
    struct slice digits = slice_first(*text, len);

    if (len == 0)
        return false;
    if (!slice_to_u64(digits, out))
        *out = UINT64_MAX;
    *text = slice_skip(*text, len);
    return true;
}

static bool
parse_range(struct slice text, struct http_range *out)
{
    struct http_range range = {0, UINT64_MAX, false, false};

    range.suffix = text.len > 0 && text.ptr[0] == '-';
    if (!range.suffix && !take_position(&text, &range.first))
        return false;
    if (text.len == 0 || text.ptr[0] != '-')
        return false;
    text = slice_skip(text, 1);
    range.open = !range.suffix && text.len == 0;
    if (!range.open && !take_position(&text, &range.last))
        return false;
    if (text.len != 0 || range.first > range.last)
        return false;
    *out = range;
    return true;
}

enum err
http_range_parse(struct slice value, struct http_range *out, size_t cap, size_t *out_n)
{
    struct slice unit, text;
    struct http_range range;
    size_t n = 0;

    if (!slice_cut(&value, '=', &unit) || !slice_is_nocase(unit, "bytes"))
        return ERR_SYNTAX;
    while (http_list_take(&value, &text)) {
        if (!parse_range(text, &range))
            return ERR_SYNTAX;
        if (n == cap)
            return ERR_LIMIT;
        out[n++] = range;
    }
    if (n == 0)
        return ERR_SYNTAX;
    *out_n = n;
    return OK;
}
