/* Cache-Control, from all its fields at once, and its targeted forms. RFC 9111 section 5.2, RFC
 * 5861, RFC 8246, RFC 9213. Where a sender contradicts itself or cannot be read, the reading that
 * caches less is taken. */
#include "http/cachectl.h"

#include "http/chars.h"
#include "http/sfv.h"

enum argument {
    ARG_NONE,    /* a permission: with an argument it is something unknown, so ignored */
    ARG_IGNORED, /* a restriction: holds whatever is written behind it */
    ARG_FIELDS,  /* optional list of field names; `flag` << 1 when there is one */
    ARG_LEAST,   /* seconds; the smallest counts; malformed is 0 */
    ARG_GRANT,   /* the same; malformed grants nothing */
    ARG_STALE,   /* the same; without an argument: any age */
    ARG_MOST     /* seconds; the largest counts; malformed is ignored */
};

static const struct directive {
    const char *name;
    uint32_t flag;
    enum argument argument;
    size_t at; /* of the number in struct cachectl */
} directives[] = {
    {"max-age", CC_MAX_AGE, ARG_LEAST, offsetof(struct cachectl, max_age_s)},
    {"s-maxage", CC_S_MAXAGE, ARG_LEAST, offsetof(struct cachectl, s_maxage_s)},
    {"public", CC_PUBLIC, ARG_NONE, 0},
    {"private", CC_PRIVATE, ARG_FIELDS, 0},
    {"no-cache", CC_NO_CACHE, ARG_FIELDS, 0},
    {"no-store", CC_NO_STORE, ARG_IGNORED, 0},
    {"must-revalidate", CC_MUST_REVALIDATE, ARG_IGNORED, 0},
    {"proxy-revalidate", CC_PROXY_REVALIDATE, ARG_IGNORED, 0},
    {"must-understand", CC_MUST_UNDERSTAND, ARG_NONE, 0},
    {"no-transform", CC_NO_TRANSFORM, ARG_IGNORED, 0},
    {"immutable", CC_IMMUTABLE, ARG_NONE, 0},
    {"only-if-cached", CC_ONLY_IF_CACHED, ARG_IGNORED, 0},
    {"min-fresh", CC_MIN_FRESH, ARG_MOST, offsetof(struct cachectl, min_fresh_s)},
    {"max-stale", CC_MAX_STALE, ARG_STALE, offsetof(struct cachectl, max_stale_s)},
    {"stale-while-revalidate", CC_STALE_WHILE_REVALIDATE, ARG_GRANT,
     offsetof(struct cachectl, stale_while_revalidate_s)},
    {"stale-if-error", CC_STALE_IF_ERROR, ARG_GRANT, offsetof(struct cachectl, stale_if_error_s)},
};

static_assert(CC_NO_CACHE_FIELDS == CC_NO_CACHE << 1, "ARG_FIELDS");
static_assert(CC_PRIVATE_FIELDS == CC_PRIVATE << 1, "ARG_FIELDS");

static void
keep_number(struct cachectl *out, const struct directive *directive, uint32_t n)
{
    uint32_t *kept = (uint32_t *)((char *)out + directive->at);
    bool first = (out->flags & directive->flag) == 0;

    if (first || (directive->argument == ARG_MOST ? n > *kept : n < *kept))
        *kept = n;
    out->flags |= directive->flag;
}

/* The next name of a no-cache="a, b". False: none left. */
static bool
take_name(struct slice *list, struct slice *out_name)
{
    while (list->len > 0) {
        (void)slice_cut(list, ',', out_name);
        *out_name = slice_trim(*out_name);
        if (out_name->len > 0)
            return true;
    }
    return false;
}

/* Can all of these be left out, and the rest still be used? Not what is no name, nor fields that
 * say what the content is or how it may be cached. */
static bool
can_be_left_out(struct slice list)
{
    struct slice name;
    bool any = false;

    while (take_name(&list, &name)) {
        enum http_token token = http_token_from(name);

        if (!http_is_token(name) || (token != HTTP_UNKNOWN && token != HTTP_SET_COOKIE))
            return false;
        any = true;
    }
    return any;
}

/* `value.ptr` is NULL when there is no argument; `readable`: what follows the name is well formed.
 */
static void
apply(struct cachectl *out, const struct directive *directive, struct slice value, bool readable)
{
    uint32_t n;

    switch (directive->argument) {
    case ARG_NONE:
        if (readable && value.ptr == NULL)
            out->flags |= directive->flag;
        break;
    case ARG_IGNORED:
        out->flags |= directive->flag;
        break;
    case ARG_FIELDS: /* an empty or unreadable list restricts the whole response */
        out->flags |= readable && can_be_left_out(value) ? directive->flag << 1 : directive->flag;
        break;
    case ARG_STALE:
        if (readable && value.ptr == NULL) {
            keep_number(out, directive, UINT32_MAX);
            break;
        }
        FALLTHROUGH;
    case ARG_LEAST:
    case ARG_GRANT:
        keep_number(out, directive, readable && http_delta_s(value, &n) ? n : 0);
        break;
    case ARG_MOST:
        if (readable && http_delta_s(value, &n))
            keep_number(out, directive, n);
        break;
    }
}

static void
read_member(struct slice member, struct cachectl *out)
{
    struct slice name, value = SLICE_NONE;
    bool readable = http_directive(member, &name, &value);

    if (!readable) {
        name = slice_first(member, chars_span(member, CH_TOKEN));
        if (http_quote_is_open(member)) /* it has swallowed what came after, perhaps a no-store */
            out->flags |= CC_NO_STORE;
    }
    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        if (slice_is_nocase(name, directives[i].name)) {
            apply(out, &directives[i], value, readable);
            return;
        }
    }
}

void
cachectl_parse_field(const struct http_fields *fields, enum http_token token, struct cachectl *out)
{
    struct http_list list;
    struct slice member;

    *out = (struct cachectl){0};
    http_list_begin(&list, fields, token);
    while (http_list_next(&list, &member))
        read_member(member, out);
}

void
cachectl_parse(const struct http_fields *fields, struct cachectl *out)
{
    cachectl_parse_field(fields, HTTP_CACHE_CONTROL, out);
}

/* --- targeted fields, RFC 9213 --- */

static const uint32_t seconds_max = UINT32_C(1) << 31; /* RFC 9111 section 1.2.2 */

/* Section 2.1: a directive without a value is true, seconds are an Integer, field names a String or
 * a Token. Parameters mean nothing. */
static void
apply_typed(struct cachectl *out, const struct directive *directive, const struct sfv_item *value)
{
    bool is_true = value->kind == SFV_BOOLEAN && value->number == 1;
    bool is_text = value->kind == SFV_STRING || value->kind == SFV_TOKEN;
    int64_t s = value->kind == SFV_INTEGER && value->number > 0 ? value->number : 0;

    switch (directive->argument) {
    case ARG_NONE:
    case ARG_IGNORED:
        if (is_true)
            out->flags |= directive->flag;
        break;
    case ARG_FIELDS:
        if (is_true || is_text) /* fields are left out by Cache-Control's word alone */
            out->flags |= directive->flag;
        break;
    case ARG_LEAST:
    case ARG_GRANT:
        *(uint32_t *)((char *)out + directive->at) = s < seconds_max ? (uint32_t)s : seconds_max;
        out->flags |= directive->flag;
        break;
    case ARG_STALE:
    case ARG_MOST:
        break; /* of requests */
    }
}

bool
cachectl_parse_targeted(const struct http_fields *fields, struct slice name, struct cachectl *out)
{
    const struct http_field *field = http_fields_find(fields, name);
    struct cachectl cc = {.flags = CC_TARGETED};
    struct sfv reader;
    struct sfv_item value;
    struct slice key;
    bool any = false;

    if (field == NULL || field->nominated || !sfv_dictionary(&reader, fields, name))
        return false;
    for (; sfv_dictionary_next(&reader, &key, &value); any = true) {
        for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
            if (!slice_is(key, directives[i].name))
                continue;
            cc.flags &= ~directives[i].flag;
            apply_typed(&cc, &directives[i], &value);
        }
    }
    if (any)
        *out = cc;
    return any;
}

static bool
names(struct slice list, struct slice wanted)
{
    struct slice name;

    while (take_name(&list, &name))
        if (slice_equal_nocase(name, wanted))
            return true;
    return false;
}

bool
cachectl_withholds(const struct http_fields *fields, struct slice name)
{
    struct http_list list;
    struct slice member, directive, value;

    http_list_begin(&list, fields, HTTP_CACHE_CONTROL);
    while (http_list_next(&list, &member))
        if (http_directive(member, &directive, &value) &&
            (slice_is_nocase(directive, "no-cache") || slice_is_nocase(directive, "private")) &&
            names(value, name))
            return true;
    return false;
}
