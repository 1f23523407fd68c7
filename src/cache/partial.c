/* The arithmetic and the names of slices. */
#include "cache/partial.h"

#include "base/block.h"
#include "http/field.h"

static bool
serves_ranges(const struct http_fields *fields, bool unsaid)
{
    struct http_list list;
    struct slice unit;

    if (!http_fields_has(fields, HTTP_ACCEPT_RANGES))
        return unsaid;
    http_list_begin(&list, fields, HTTP_ACCEPT_RANGES);
    while (http_list_next(&list, &unit))
        if (slice_is_nocase(unit, "bytes"))
            return true;
    return false;
}

bool
partial_suits(const struct http_response *response, const struct cache_object *object, bool unsaid)
{
    struct http_etag etag;

    return response->status == 200 && http_etag_parse(object->etag, &etag) && !etag.weak &&
           serves_ranges(&response->fields, unsaid);
}

void
partial_begin(struct cache_object *object, uint64_t whole_len, uint64_t slice_len,
              uint64_t object_max_len, uint64_t generation)
{
    ASSERT(whole_len > 0);
    if (slice_len > object_max_len)
        slice_len = object_max_len;
    slice_len -= slice_len % BLOCK_FULL_LEN;
    object->flags |= CACHE_PARTIAL;
    object->flags &= (uint16_t) ~(CACHE_CODABLE | CACHE_CODED); /* slices are in one coding alone */
    object->whole_len = whole_len;
    object->slice_len = slice_len == 0 ? BLOCK_FULL_LEN : slice_len;
    object->generation = generation == 0 ? 1 : generation;
}

uint64_t
partial_whole_len(const struct cache_object *object, uint64_t body_len)
{
    return object->flags & CACHE_PARTIAL ? object->whole_len : body_len;
}

uint64_t
partial_slice_of(const struct cache_object *master, uint64_t off)
{
    return off / master->slice_len;
}

uint64_t
partial_slice_first(const struct cache_object *master, uint64_t number)
{
    return number * master->slice_len;
}

uint64_t
partial_slice_len(const struct cache_object *master, uint64_t number)
{
    uint64_t first = partial_slice_first(master, number);

    ASSERT(first < master->whole_len);
    return master->whole_len - first < master->slice_len ? master->whole_len - first
                                                         : master->slice_len;
}

void
partial_slice_object(const struct cache_object *master, struct cache_object *out)
{
    *out = *master;
    out->flags = CACHE_SLICE;
    out->etag = out->vary = out->tags = SLICE_NONE;
    out->whole_len = out->slice_len = out->generation = 0;
    out->own_len = 0; /* it has no head */
}

static char *
put_hex(char *at, uint64_t n)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[n >> shift & 15];
    return at;
}

size_t
partial_suffix(const struct cache_object *master, uint64_t number, char out[PARTIAL_SUFFIX_MAX])
{
    char digits[U64_DIGITS_MAX], *at = out;
    struct slice text = slice_from_u64(number, digits);

    *at++ = '\n';
    at = put_hex(at, master->generation);
    *at++ = '/';
    memcpy(at, text.ptr, text.len);
    return (size_t)(at - out) + text.len;
}

/* A soft purge says nothing of a slice: its master is what is validated. */
enum partial_place
partial_find(struct store_reader *reader, const struct cache_object *master, char *key,
             size_t key_len, uint64_t number, struct store_object *out)
{
    struct slice text = slice_of(key, key_len + partial_suffix(master, number, key + key_len));
    struct store_key slice_key = {.hash = store_hash(text), .text = text};
    struct store_cursor cursor = {.key = &slice_key};

    if (!store_find(reader, &cursor, out))
        return cursor.cold ? PARTIAL_COLD : PARTIAL_MISSING;
    return out->body_len == partial_slice_len(master, number) ? PARTIAL_STORED : PARTIAL_MISSING;
}

enum err
partial_conditions(struct arena *arena, const struct cache_object *master, uint64_t number,
                   struct slice *out_lines)
{
    uint64_t first = partial_slice_first(master, number);
    struct http_out out;

    http_out_init(&out, arena, 128);
    http_out_str(&out, "Range: bytes=");
    http_out_u64(&out, first);
    http_out_str(&out, "-");
    http_out_u64(&out, first + partial_slice_len(master, number) - 1);
    http_out_str(&out, "\r\n");
    http_out_field(&out, SLICE("If-Range"), master->etag);
    *out_lines = http_out_slice(&out);
    return out.rc;
}
