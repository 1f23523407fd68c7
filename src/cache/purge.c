/* What operators and unsafe methods name, as rows for the store. Every text goes through the same
 * normalisation as a request's key, else a purge would miss what it names. */
#include "cache/purge.h"

/* Scheme and authority in their normal form. */
static enum err
parse(struct arena *arena, struct slice text, struct url *out)
{
    enum err rc = url_parse(text, out);

    if (rc != OK)
        return rc;
    out->scheme = slice_is_nocase(out->scheme, "https") ? SLICE("https") : SLICE("http");
    return url_normal_host(arena, out->scheme, out->authority, &out->authority);
}

/* `rules`: NULL for none. */
static enum err
build_key(struct arena *arena, const struct cache_target_rules *rules, struct url *url,
          struct store_key *out)
{
    enum err rc = OK;

    if (rules != NULL)
        rc = cache_target_apply(arena, rules, &url->path, &url->query);
    if (rc == OK)
        rc = cache_key_build(arena, url->scheme, url->authority, url->path, url->query, out);
    return rc;
}

static const struct cache_target_rules *
rules_of(const struct purge_sites *sites, const struct url *url)
{
    return sites == NULL ? NULL : sites->rules(sites->arg, url->authority);
}

enum err
purge_url(struct arena *arena, const struct purge_sites *sites, struct slice text, bool soft,
          struct store_purge out[2], size_t *out_n)
{
    struct slice common;
    struct store_key key;
    struct url url;
    enum err rc = parse(arena, text, &url);

    if (rc == OK)
        rc = build_key(arena, rules_of(sites, &url), &url, &key);

    if (rc != OK)
        return rc;
    out[0] = (struct store_purge){.kind = STORE_PURGE_KEY, .soft = soft, .text = key.text};
    *out_n = 1;
    if (sites != NULL && sites->common != NULL &&
        sites->common(sites->arg, arena, key.text, &common))
        out[(*out_n)++] =
            (struct store_purge){.kind = STORE_PURGE_KEY, .soft = soft, .text = common};
    return OK;
}

static enum err
prefix_row(struct arena *arena, const struct purge_sites *sites, struct slice scheme,
           struct slice prefix, bool soft, struct store_purge *out)
{
    struct cache_target_rules case_alone = {0};
    const struct cache_target_rules *rules;
    struct store_key key;
    struct slice text;
    struct url url;
    enum err rc = arena_printf(arena, &text, "%.*s%.*s", SLICE_ARGS(scheme), SLICE_ARGS(prefix));

    if (rc == OK)
        rc = parse(arena, text, &url);
    if (rc != OK)
        return rc;
    rules = rules_of(sites, &url);
    case_alone.ignore_case = rules != NULL && rules->ignore_case;
    rc = build_key(arena, &case_alone, &url, &key);
    if (rc == OK)
        *out = (struct store_purge){.kind = STORE_PURGE_PREFIX, .soft = soft, .text = key.text};
    return rc;
}

/* A "://" further on belongs to the path or the query. */
static bool
has_scheme(struct slice text)
{
    struct slice scheme;
    size_t slash;

    return slice_cut(&text, ':', &scheme) && !slice_find(scheme, '/', &slash) &&
           slice_starts(text, SLICE("//"));
}

enum err
purge_prefix(struct arena *arena, const struct purge_sites *sites, struct slice prefix, bool soft,
             struct store_purge out[2], size_t *out_n)
{
    bool one = has_scheme(prefix);
    enum err rc;

    if (prefix.len == 0 || prefix.len > INT32_MAX)
        return ERR_SYNTAX;
    rc = prefix_row(arena, sites, one ? SLICE("") : SLICE("http://"), prefix, soft, &out[0]);
    if (rc == OK && !one)
        rc = prefix_row(arena, sites, SLICE("https://"), prefix, soft, &out[1]);
    if (rc == OK)
        *out_n = one ? 1 : 2;
    return rc;
}

/* A label has no scheme, so both default ports are dropped. */
enum err
purge_host(struct arena *arena, struct slice host, bool soft, struct store_purge *out)
{
    struct slice name;
    uint16_t port;
    enum err rc = url_parse_authority(host, &name, &port);

    if (rc == OK)
        rc = url_normal_host(arena, port == 443 ? SLICE("https") : SLICE("http"), host, &name);
    if (rc == OK)
        *out = (struct store_purge){
            .kind = STORE_PURGE_LABEL, .soft = soft, .label = store_label(CACHE_LABEL_HOST, name)};
    return rc;
}

enum err
purge_tag(struct slice tag, bool soft, struct store_purge *out)
{
    tag = slice_trim(tag);
    if (tag.len == 0)
        return ERR_SYNTAX;
    *out = (struct store_purge){
        .kind = STORE_PURGE_LABEL, .soft = soft, .label = store_label(CACHE_LABEL_TAG, tag)};
    return OK;
}

void
purge_everything(bool soft, struct store_purge *out)
{
    *out = (struct store_purge){.kind = STORE_PURGE_ALL, .soft = soft};
}

/* RFC 9111 section 4.4: methods whose safety is unknown count as unsafe. PURGE is ours and ends
 * here. */
bool
purge_invalidates(enum http_method method, unsigned status)
{
    return method != METHOD_PURGE && !http_method_is_safe(method) && status >= 200 && status <= 399;
}

static void
add_once(struct store_purge *rows, size_t *n, struct slice key)
{
    for (size_t i = 0; i < *n; i++)
        if (slice_equal(rows[i].text, key))
            return;
    rows[(*n)++] = (struct store_purge){.kind = STORE_PURGE_KEY, .text = key};
}

/* Scheme and authority of a key: up to the slash after "://". */
static struct slice
origin_of(struct slice key)
{
    size_t from, len;

    if (!slice_find(key, ':', &from) || key.len < from + 3 ||
        !slice_find(slice_skip(key, from + 3), '/', &len))
        return key;
    return slice_first(key, from + 3 + len);
}

/* What a Location or Content-Location names, when it is of the same origin: others could be made to
 * forget what is not theirs (RFC 9111 section 4.4). */
static enum err
add_named(struct arena *arena, const struct cache_target_rules *rules, const struct url *base,
          const struct http_field *field, struct store_purge *rows, size_t *n)
{
    struct slice rest = field->value, reference, text;
    struct store_key key;
    struct url url;
    enum err rc;

    (void)slice_cut(&rest, '#', &reference);
    rc = url_resolve(arena, base, reference, &text);
    if (rc == OK)
        rc = parse(arena, text, &url);
    if (rc == OK)
        rc = build_key(arena, rules, &url, &key);
    if (rc == OK && slice_equal(origin_of(key.text), origin_of(rows[0].text)))
        add_once(rows, n, key.text);
    return rc == ERR_NOMEM ? rc : OK; /* what is no reference names nothing */
}

enum err
purge_invalidated(struct arena *arena, const struct cache_target_rules *rules,
                  const struct url *base, const struct http_response *response,
                  struct store_purge out[PURGE_INVALIDATED_MAX], size_t *out_n)
{
    static const enum http_token names[] = {HTTP_LOCATION, HTTP_CONTENT_LOCATION};
    struct url own = *base;
    struct store_key key;
    size_t n = 0;
    enum err rc;

    own.scheme = slice_is_nocase(base->scheme, "https") ? SLICE("https") : SLICE("http");
    rc = url_normal_host(arena, own.scheme, base->authority, &own.authority);
    if (rc == OK)
        rc = build_key(arena, rules, &own, &key);
    if (rc != OK)
        return rc;
    add_once(out, &n, key.text);
    for (size_t i = 0; i < ARRAY_LEN(names) && rc == OK; i++) {
        const struct http_field *field = http_fields_get(&response->fields, names[i]);

        if (field != NULL && http_fields_next(&response->fields, field) == NULL)
            rc = add_named(arena, rules, base, field, out, &n);
    }
    *out_n = n;
    return rc;
}
