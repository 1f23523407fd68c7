/* Rules for queries, and the common key that they give a URL. Names and values are compared as the
 * URL Standard's form parser reads them (section 6 of the draft): "+" is a blank, percent-encodings
 * are decoded. */
#include "cache/search.h"

#include "cache/target.h"
#include "http/chars.h"
#include "http/sfv.h"

/* --- one way to write a name or a value --- */

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = char_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte of an encoded text. */
static char
take_byte(struct slice *text)
{
    char c = text->ptr[0];

    if (c == '%' && text->len >= 3 && hex_value(text->ptr[1]) >= 0 &&
        hex_value(text->ptr[2]) >= 0) {
        c = (char)(hex_value(text->ptr[1]) << 4 | hex_value(text->ptr[2]));
        *text = slice_skip(*text, 3);
        return c;
    }
    *text = slice_skip(*text, 1);
    return c == '+' ? ' ' : c;
}

enum { WRITTEN_MAX = 3 }; /* bytes for one of the text */

/* As it is, or as three bytes. Returns how many. */
static size_t
write_byte(char c, char out[WRITTEN_MAX])
{
    static const char digits[] = "0123456789ABCDEF";

    if (char_is(c, CH_QUERY) && c != '&' && c != '=' && c != '+') {
        out[0] = c;
        return 1;
    }
    out[0] = '%';
    out[1] = digits[(unsigned char)c >> 4];
    out[2] = digits[(unsigned char)c & 0xf];
    return 3;
}

/* Room: WRITTEN_MAX times the text. */
static size_t
write_text(struct slice text, char *out)
{
    size_t n = 0;

    while (text.len > 0)
        n += write_byte(take_byte(&text), out + n);
    return n;
}

/* --- rules --- */

struct field {
    bool has_order, has_params, has_except;
    struct sfv_item order, params, except;
};

static bool
read_field(const struct http_fields *response, struct field *out)
{
    struct sfv reader;
    struct slice key;
    struct sfv_item value;

    *out = (struct field){0};
    if (!sfv_dictionary(&reader, response, SLICE("no-vary-search")))
        return false;
    while (sfv_dictionary_next(&reader, &key, &value)) {
        if (slice_is(key, "key-order")) {
            out->has_order = true;
            out->order = value;
        } else if (slice_is(key, "params")) {
            out->has_params = true;
            out->params = value;
        } else if (slice_is(key, "except")) {
            out->has_except = true;
            out->except = value;
        }
    }
    return true;
}

/* The names of an inner list, each behind a "&". False: not a list of strings, or no room. */
static bool
write_names(const struct sfv_item *list, char buf[CACHE_SEARCH_RULE_MAX], size_t *len)
{
    struct slice rest = list->text;
    char name[CACHE_SEARCH_RULE_MAX];
    struct sfv_item item;

    if (list->kind != SFV_INNER_LIST)
        return false;
    while (sfv_inner_next(&rest, &item)) {
        if (item.kind != SFV_STRING ||
            1 + item.text.len * WRITTEN_MAX > CACHE_SEARCH_RULE_MAX - *len)
            return false;
        buf[(*len)++] = '&';
        *len += write_text(slice_of(name, sfv_decode(&item, name)), buf + *len);
    }
    return true;
}

/* Sections 4.1 and 4.2: whatever is not as it should be, there is no rule. */
bool
cache_search_parse(const struct http_fields *response, char buf[CACHE_SEARCH_RULE_MAX],
                   struct slice *out_rule)
{
    struct field field;
    size_t len = 2;
    bool all;

    if (!read_field(response, &field) || (field.has_order && field.order.kind != SFV_BOOLEAN))
        return false;
    all = field.has_params && field.params.kind == SFV_BOOLEAN && field.params.number == 1;
    if (field.has_except && !all)
        return false;
    buf[0] = field.has_order && field.order.number == 1 ? 'o' : '-';
    buf[1] = all ? 'e' : 'i';
    if (field.has_except && !write_names(&field.except, buf, &len))
        return false;
    if (field.has_params && field.params.kind != SFV_BOOLEAN &&
        !write_names(&field.params, buf, &len))
        return false;
    *out_rule = slice_of(buf, len);
    return buf[0] == 'o' || all || len > 2;
}

uint32_t
cache_search_id(struct slice rule)
{
    uint32_t id = rule.len == 0 ? 0 : (uint32_t)store_hash(rule).lo;

    return rule.len > 0 && id == 0 ? 1 : id;
}

/* --- keys --- */

struct slice
cache_search_scope(struct slice key_text)
{
    size_t at = key_text.len;

    (void)slice_find(key_text, '?', &at);
    return slice_first(key_text, at);
}

/* `name` as it is written here. */
static bool
matters(struct slice rule, struct slice name)
{
    struct slice rest = slice_skip(rule, 2), named;
    bool found = false;

    while (!found && rest.len > 0) {
        rest = slice_skip(rest, 1);
        named = rest;
        (void)slice_find(rest, '&', &named.len);
        found = slice_equal(named, name);
        rest = slice_skip(rest, named.len);
    }
    return found == (rule.ptr[1] == 'e');
}

/* The parameters that matter, behind `out`, which has room for all. ERR_LIMIT. */
static enum err
write_query(struct slice rule, struct slice query, char *out, size_t *out_len)
{
    struct slice rest = slice_skip(query, 1), name, whole;
    size_t len = 0, n = 0;

    while (cache_target_parameter(&rest, &name, &whole)) {
        size_t name_len;

        if (++n > CACHE_TARGET_SORT_MAX)
            return ERR_LIMIT;
        if (whole.len == 0)
            continue;
        name_len = write_text(name, out + len + 1);
        if (!matters(rule, slice_of(out + len + 1, name_len)))
            continue;
        out[len] = len == 0 ? '?' : '&';
        len += 1 + name_len;
        out[len++] = '=';
        if (name.len < whole.len)
            len += write_text(slice_skip(whole, name.len + 1), out + len);
    }
    *out_len = len;
    return OK;
}

static enum err
join(struct arena *arena, struct slice scope, struct slice query, struct store_key *out)
{
    char *buf = arena_alloc(arena, scope.len + query.len + 1);

    if (buf == NULL)
        return ERR_NOMEM;
    if (scope.len > 0)
        memcpy(buf, scope.ptr, scope.len);
    if (query.len > 0)
        memcpy(buf + scope.len, query.ptr, query.len);
    out->text = slice_of(buf, scope.len + query.len);
    out->hash = store_hash(out->text);
    return OK;
}

enum err
cache_search_key(struct arena *arena, struct slice rule, struct slice key_text,
                 struct store_key *out)
{
    static const struct cache_target_rules sort = {.sort = true};
    struct slice scope = cache_search_scope(key_text), query = slice_skip(key_text, scope.len);
    struct slice none = SLICE_NONE;
    size_t len = 0;
    enum err rc = OK;

    if (query.len > 0) {
        /* A parameter becomes a "&", a "=" and three bytes for one at most: within three times. */
        char *buf = arena_alloc(arena, query.len * WRITTEN_MAX);

        if (buf == NULL)
            return ERR_NOMEM;
        rc = write_query(rule, query, buf, &len);
        query = slice_of(buf, len);
    }
    if (rc == OK && rule.ptr[0] == 'o')
        rc = cache_target_apply(arena, &sort, &none, &query);
    return rc == OK ? join(arena, scope, query, out) : rc;
}
