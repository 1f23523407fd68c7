/* The layout of `meta`: a fixed part in the machine's own byte order, as the store's file is, then
 * the texts one after another. What is read comes from a disk: every length and every number that
 * is calculated with later is checked here, once. */
#include "cache/object.h"

enum { META_VERSION = 3 };

struct meta {
    uint16_t version, status, flags, lifetime_from;
    int64_t response_s, date_s, last_modified_s;
    uint32_t initial_age_s, lifetime_s, swr_s, sie_s;
    uint32_t etag_len, vary_len, tags_len, search;
    uint32_t own_len;
    uint8_t coding, rest[3];
};
static_assert(sizeof(struct meta) == 72, "the layout on disk is fixed");

/* Behind the texts, with CACHE_PARTIAL. */
struct meta_partial {
    uint64_t whole_len, slice_len, generation;
};
static_assert(sizeof(struct meta_partial) == 24, "the layout on disk is fixed");

/* Beyond any date that HTTP can express; sums of such times cannot overflow. */
static const int64_t time_max_s = (int64_t)1 << 40;

enum err
cache_object_encode(struct arena *arena, const struct cache_object *object, struct slice *out_meta)
{
    const struct slice texts[] = {object->etag, object->vary, object->tags};
    struct meta meta = {.version = META_VERSION,
                        .status = object->status,
                        .flags = object->flags,
                        .lifetime_from = (uint16_t)object->lifetime_from,
                        .response_s = object->response_s,
                        .date_s = object->date_s,
                        .last_modified_s = object->last_modified_s,
                        .initial_age_s = object->initial_age_s,
                        .lifetime_s = object->lifetime_s,
                        .swr_s = object->swr_s,
                        .sie_s = object->sie_s,
                        .etag_len = (uint32_t)object->etag.len,
                        .vary_len = (uint32_t)object->vary.len,
                        .tags_len = (uint32_t)object->tags.len,
                        .search = object->search,
                        .own_len = object->own_len,
                        .coding = (uint8_t)object->coding};
    struct meta_partial partial = {object->whole_len, object->slice_len, object->generation};
    size_t len = sizeof(meta);
    char *buf;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        ASSERT(texts[i].len <= UINT32_MAX / 4); /* a head is far smaller */
        len += texts[i].len;
    }
    if (object->flags & CACHE_PARTIAL)
        len += sizeof(partial);
    buf = arena_alloc(arena, len);
    if (buf == NULL)
        return ERR_NOMEM;
    *out_meta = slice_of(buf, len);
    memcpy(buf, &meta, sizeof(meta));
    buf += sizeof(meta);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (texts[i].len > 0)
            memcpy(buf, texts[i].ptr, texts[i].len);
        buf += texts[i].len;
    }
    if (object->flags & CACHE_PARTIAL)
        memcpy(buf, &partial, sizeof(partial));
    return OK;
}

/* A partial object is in one coding alone, and what can be decoded was coded. */
static bool
is_coding_sane(const struct meta *meta)
{
    if (meta->coding >= CODING_COUNT)
        return false;
    if (meta->flags & CACHE_PARTIAL)
        return (meta->flags & (CACHE_CODABLE | CACHE_CODED)) == 0;
    return (meta->flags & CACHE_CODED) == 0 || meta->coding != CODING_IDENTITY;
}

static bool
is_sane(const struct meta *meta, size_t len, size_t head_len)
{
    uint64_t rest_len = (uint64_t)meta->etag_len + meta->vary_len + meta->tags_len;

    if (meta->flags & CACHE_PARTIAL)
        rest_len += sizeof(struct meta_partial);
    return rest_len == len - sizeof(*meta) && meta->status >= 200 && meta->status <= 999 &&
           meta->response_s >= 0 && meta->response_s <= time_max_s && meta->date_s >= 0 &&
           meta->date_s <= time_max_s && meta->last_modified_s >= -1 &&
           meta->last_modified_s <= time_max_s && meta->lifetime_from < CACHE_LIFETIME_COUNT &&
           meta->own_len <= head_len && is_coding_sane(meta);
}

static enum err
decode_partial(struct slice text, struct cache_object *out)
{
    struct meta_partial partial;

    memcpy(&partial, text.ptr, sizeof(partial));
    if (partial.whole_len == 0 || partial.slice_len == 0 || partial.generation == 0)
        return ERR_STORE_CORRUPT;
    out->whole_len = partial.whole_len;
    out->slice_len = partial.slice_len;
    out->generation = partial.generation;
    return OK;
}

enum err
cache_object_decode(struct slice meta_text, size_t head_len, struct cache_object *out)
{
    struct meta meta;
    const char *text;

    if (meta_text.len < sizeof(meta))
        return ERR_STORE_CORRUPT;
    memcpy(&meta, meta_text.ptr, sizeof(meta)); /* the map does not promise alignment */
    if (UNLIKELY(meta.version != META_VERSION))
        return ERR_STORE_VERSION;
    if (UNLIKELY(!is_sane(&meta, meta_text.len, head_len)))
        return ERR_STORE_CORRUPT;
    text = meta_text.ptr + sizeof(meta);
    *out = (struct cache_object){
        .status = meta.status,
        .flags = meta.flags,
        .lifetime_from = (enum cache_lifetime)meta.lifetime_from,
        .response_s = meta.response_s,
        .date_s = meta.date_s,
        .last_modified_s = meta.last_modified_s,
        .initial_age_s = meta.initial_age_s,
        .lifetime_s = meta.lifetime_s,
        .swr_s = meta.swr_s,
        .sie_s = meta.sie_s,
        .search = meta.search,
        .etag = slice_of(text, meta.etag_len),
        .vary = slice_of(text + meta.etag_len, meta.vary_len),
        .tags = slice_of(text + meta.etag_len + meta.vary_len, meta.tags_len),
        .own_len = meta.own_len,
        .coding = (enum http_coding)meta.coding,
    };
    if (UNLIKELY(meta.flags & CACHE_PARTIAL))
        return decode_partial(slice_skip(meta_text, meta_text.len - sizeof(struct meta_partial)),
                              out);
    return OK;
}
