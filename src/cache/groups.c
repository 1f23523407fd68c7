/* Groups of stored responses. RFC 9875. */
#include "cache/groups.h"

#include "http/sfv.h"

enum { LABEL_GROUP = 'g' };

/* A LF is in neither an authority nor an origin's own text of a group. */
static enum err
label_of(struct arena *arena, struct slice scheme, struct slice host, const struct sfv_item *group,
         uint64_t *out)
{
    char *text = arena_alloc(arena, scheme.len + host.len + group->text.len + 2), *at = text;

    if (text == NULL)
        return ERR_NOMEM;
    memcpy(at, scheme.ptr, scheme.len);
    at += scheme.len;
    *at++ = '\n';
    memcpy(at, host.ptr, host.len);
    at += host.len;
    *at++ = '\n';
    at += sfv_decode(group, at);
    *out = store_label(LABEL_GROUP, slice_of(text, (size_t)(at - text)));
    return OK;
}

static bool
is_list_of_strings(const struct http_fields *response, struct slice name)
{
    struct sfv reader;
    struct sfv_item item;

    if (!sfv_list(&reader, response, name))
        return false;
    while (sfv_list_next(&reader, &item))
        if (item.kind != SFV_STRING)
            return false;
    return true;
}

static enum err
collect(struct arena *arena, struct slice scheme, struct slice host,
        const struct http_fields *response, struct slice name, uint64_t labels[CACHE_GROUPS_MAX],
        size_t *out_n)
{
    struct sfv reader;
    struct sfv_item item;
    size_t n = 0;

    *out_n = 0;
    if (!is_list_of_strings(response, name) || !sfv_list(&reader, response, name))
        return OK;
    for (; n < CACHE_GROUPS_MAX && sfv_list_next(&reader, &item); n++)
        if (label_of(arena, scheme, host, &item, &labels[n]) != OK)
            return ERR_NOMEM;
    *out_n = n;
    return OK;
}

enum err
cache_groups_add(struct arena *arena, struct slice scheme, struct slice host,
                 const struct http_fields *response, struct cache_labels *labels)
{
    uint64_t groups[CACHE_GROUPS_MAX], *ids;
    size_t n;
    enum err rc = collect(arena, scheme, host, response, SLICE("cache-groups"), groups, &n);

    if (rc != OK || n == 0)
        return rc;
    ids = arena_alloc(arena, (labels->n + n) * sizeof(*ids));
    if (ids == NULL)
        return ERR_NOMEM;
    memcpy(ids, labels->ids, labels->n * sizeof(*ids));
    memcpy(ids + labels->n, groups, n * sizeof(*ids));
    labels->ids = ids;
    labels->n += n;
    return OK;
}

enum err
cache_groups_invalidated(struct arena *arena, struct slice scheme, struct slice host,
                         const struct http_fields *response,
                         struct store_purge out[CACHE_GROUPS_MAX], size_t *out_n)
{
    uint64_t groups[CACHE_GROUPS_MAX];
    enum err rc =
        collect(arena, scheme, host, response, SLICE("cache-group-invalidation"), groups, out_n);

    for (size_t i = 0; rc == OK && i < *out_n; i++)
        out[i] = (struct store_purge){.kind = STORE_PURGE_LABEL, .label = groups[i]};
    return rc;
}
