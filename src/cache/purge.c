/* What operators and unsafe methods name, as rows for the store. Every text goes through the same
 * normalisation as a request's key, else a purge would miss what it names. */
#include "cache/purge.h"

/* The key of an absolute URL. */
static enum err
key_of(struct arena *arena, struct slice text, struct store_key *out)
{
    struct url url;
    struct slice scheme, host;
    enum err rc = url_parse(text, &url);

    if (rc != OK)
        return rc;
    scheme = slice_is_nocase(url.scheme, "https") ? SLICE("https") : SLICE("http");
    rc = url_normal_host(arena, scheme, url.authority, &host);
    if (rc == OK)
        rc = cache_key_build(arena, scheme, host, url.path, url.query, out);
    return rc;
}

enum err
purge_url(struct arena *arena, struct slice url, bool soft, struct store_purge *out)
{
    struct store_key key;
    enum err rc = key_of(arena, url, &key);

    if (rc == OK)
        *out = (struct store_purge){.kind = STORE_PURGE_KEY, .soft = soft, .text = key.text};
    return rc;
}

static enum err
prefix_row(struct arena *arena, struct slice scheme, struct slice prefix, bool soft,
           struct store_purge *out)
{
    struct store_key key;
    struct slice url;
    enum err rc = arena_printf(arena, &url, "%.*s%.*s", SLICE_ARGS(scheme), SLICE_ARGS(prefix));

    if (rc == OK)
        rc = key_of(arena, url, &key);
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
purge_prefix(struct arena *arena, struct slice prefix, bool soft, struct store_purge out[2],
             size_t *out_n)
{
    bool one = has_scheme(prefix);
    enum err rc;

    if (prefix.len == 0 || prefix.len > INT32_MAX)
        return ERR_SYNTAX;
    rc = prefix_row(arena, one ? SLICE("") : SLICE("http://"), prefix, soft, &out[0]);
    if (rc == OK && !one)
        rc = prefix_row(arena, SLICE("https://"), prefix, soft, &out[1]);
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
add_named(struct arena *arena, const struct url *base, const struct http_field *field,
          struct store_purge *rows, size_t *n)
{
    struct slice rest = field->value, reference, url;
    struct store_key key;
    enum err rc;

    (void)slice_cut(&rest, '#', &reference);
    rc = url_resolve(arena, base, reference, &url);
    if (rc == OK)
        rc = key_of(arena, url, &key);
    if (rc == OK && slice_equal(origin_of(key.text), origin_of(rows[0].text)))
        add_once(rows, n, key.text);
    return rc == ERR_NOMEM ? rc : OK; /* what is no reference names nothing */
}

enum err
purge_invalidated(struct arena *arena, const struct url *base, const struct http_response *response,
                  struct store_purge out[PURGE_INVALIDATED_MAX], size_t *out_n)
{
    static const enum http_token names[] = {HTTP_LOCATION, HTTP_CONTENT_LOCATION};
    struct slice scheme = slice_is_nocase(base->scheme, "https") ? SLICE("https") : SLICE("http");
    struct slice host;
    struct store_key key;
    size_t n = 0;
    enum err rc = url_normal_host(arena, scheme, base->authority, &host);

    if (rc == OK)
        rc = cache_key_build(arena, scheme, host, base->path, base->query, &key);
    if (rc != OK)
        return rc;
    add_once(out, &n, key.text);
    for (size_t i = 0; i < ARRAY_LEN(names) && rc == OK; i++) {
        const struct http_field *field = http_fields_get(&response->fields, names[i]);

        if (field != NULL && http_fields_next(&response->fields, field) == NULL)
            rc = add_named(arena, base, field, out, &n);
    }
    *out_n = n;
    return rc;
}
