/* Preferences of clients, normalised into a buffer of the caller's. Each member is written behind
 * the one before, then all are brought in order. */
#include "cache/preference.h"

#include "http/chars.h"
#include "http/field.h"

enum { WEIGHT_ONE = 1000 };

bool
preference_is(struct slice name)
{
    static const char *const names[] = {"accept", "accept-charset", "accept-encoding",
                                        "accept-language"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is(name, names[i]))
            return true;
    return false;
}

static bool
put(struct preference *out, struct slice text)
{
    if (text.len > sizeof(out->text) - out->len)
        return false;
    if (text.len > 0)
        memcpy(out->text + out->len, text.ptr, text.len);
    out->len += text.len;
    return true;
}

static bool
put_lower(struct preference *out, struct slice text)
{
    size_t from = out->len;

    if (!put(out, text))
        return false;
    for (size_t i = from; i < out->len; i++)
        out->text[i] = char_lower(out->text[i]);
    return true;
}

/* ";q=0.5" of 500; nothing of 1000. */
static bool
put_weight(struct preference *out, unsigned weight)
{
    char text[] = ";q=0.000";
    size_t len = sizeof(text) - 1;

    if (weight == WEIGHT_ONE)
        return true;
    for (size_t i = 0; i < 3; i++, weight /= 10)
        text[len - 1 - i] = (char)('0' + weight % 10);
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    return put(out, slice_of(text, len == 3 ? 4 : len)); /* ";q=0" keeps its digit */
}

/* The next parameter, up to a semicolon outside of a quoted string. */
static struct slice
take_param(struct slice *rest)
{
    bool quoted = false;
    size_t len = 0;
    struct slice param;

    for (; len < rest->len && (quoted || rest->ptr[len] != ';'); len++) {
        if (quoted && rest->ptr[len] == '\\' && len + 1 < rest->len)
            len++;
        else if (rest->ptr[len] == '"')
            quoted = !quoted;
    }
    param = slice_trim(slice_first(*rest, len));
    *rest = slice_skip(*rest, len < rest->len ? len + 1 : len);
    return param;
}

/* A media type's parameter: its name in lower case, its value as it is. */
static bool
put_param(struct preference *out, struct slice param)
{
    struct slice name;

    return param.len > 0 && put(out, SLICE(";")) && slice_cut(&param, '=', &name) &&
           http_is_token(name) && put_lower(out, name) && put(out, SLICE("=")) && put(out, param);
}

/* The weight comes last; what stands behind it had a meaning once, and is not touched. */
static bool
put_member(struct preference *out, struct slice member)
{
    struct slice range = take_param(&member);
    int weight = WEIGHT_ONE;

    if (range.len == 0 || !put_lower(out, range))
        return false;
    while (member.len > 0) {
        struct slice param = take_param(&member);

        if (!slice_is_nocase(slice_first(param, 2), "q=")) {
            if (!put_param(out, param))
                return false;
            continue;
        }
        if (member.len > 0 || !http_weight_parse(slice_skip(param, 2), &weight))
            return false;
    }
    return put_weight(out, (unsigned)weight);
}

static bool
join(const struct slice *members, size_t n, struct preference *out)
{
    out->len = 0;
    for (size_t i = 0; i < n; i++)
        if ((i > 0 && !put(out, SLICE(", "))) || !put(out, members[i]))
            return false;
    return true;
}

bool
preference_write(const struct http_fields *fields, const struct http_field *first,
                 struct preference *out)
{
    struct slice members[PREFERENCE_MEMBERS_MAX];
    struct preference scattered = {.len = 0};
    size_t n = 0;

    for (; first != NULL; first = http_fields_next(fields, first)) {
        struct slice rest = first->value, member;

        while (http_list_take(&rest, &member)) {
            size_t from = scattered.len;

            if (n == ARRAY_LEN(members) || http_quote_is_open(member) ||
                !put_member(&scattered, member))
                return false;
            slice_insert(members, &n, slice_of(scattered.text + from, scattered.len - from));
        }
    }
    return join(members, n, out);
}
