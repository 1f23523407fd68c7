/* Hostile bytes where the store keeps ours: meta, Vary texts and heads; and where clients send our
 * tags back. The first byte says which. What is accepted must survive being used and being written
 * again. */
#include "cache/fresh.h"
#include "cache/lookup.h"
#include "cache/partial.h"
#include "cache/range.h"
#include "cache/validate.h"
#include "cache/variant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const int64_t now_s = 1700000000;

#define HEAD "HTTP/1.1 200 OK\r\nDate: x\r\nETag: \"a\"\r\n"
#define HASH "AAAAAAAAAAA"

static void
add(struct http_fields *fields, const char *name, const char *value)
{
    ASSERT(http_fields_add(fields, slice_from_str(name), slice_from_str(value)) == OK);
}

static struct http_request
request_with(struct arena *arena)
{
    struct http_request request = {.method = METHOD_GET, .path = SLICE("/")};

    ASSERT(http_fields_init(&request.fields, arena, 8) == OK);
    add(&request.fields, "Accept-Encoding", "gzip ,br");
    add(&request.fields, "Foo", "1");
    add(&request.fields, "Foo", "\"2,3\"");
    add(&request.fields, "If-None-Match", "\"a\", W/\"b\"");
    add(&request.fields, "Range", "bytes=1-5");
    add(&request.fields, "If-Range", "\"a\"");
    return request;
}

static void
use_object(struct arena *arena, const struct cache_object *object)
{
    static const struct cache_settings settings = {.client_no_cache = true};
    struct http_request request = request_with(arena);
    struct cachectl cc = {.flags = CC_MAX_STALE, .max_stale_s = 5};
    struct lookup_verdict verdict;
    struct range_set set;
    struct slice lines, etag;

    lookup_judge(&settings, &request, &cc, object, false, now_s, &verdict);
    ASSERT(verdict.use != LOOKUP_FRESH || verdict.ttl_s > 0);
    lookup_judge(&settings, &request, &cc, object, true, now_s, &verdict);
    ASSERT(verdict.use != LOOKUP_FRESH);
    (void)validate_request(&request, NULL, object, now_s, &etag);
    if (range_resolve(&request, object, 4, now_s, 1, &set) == RANGE_PART)
        ASSERT(set.parts[0].first + set.parts[0].len <= 4);
    ASSERT(validate_conditions(arena, object, &lines) == OK);
}

/* Wherever it is cut, the last slice ends with the whole. */
static void
use_slices(const struct cache_object *object)
{
    char suffix[PARTIAL_SUFFIX_MAX];
    uint64_t last;

    if (!(object->flags & CACHE_PARTIAL))
        return;
    last = partial_slice_of(object, object->whole_len - 1);
    ASSERT(partial_slice_first(object, last) + partial_slice_len(object, last) ==
           object->whole_len);
    ASSERT(partial_suffix(object, last, suffix) <= sizeof(suffix));
}

/* Its own lines lie within its head; those of other representations have a tag that the next
 * request is understood by. */
static void
use_representations(struct arena *arena, const struct cache_object *object)
{
    static const struct variant_settings settings = {{CODING_BR, CODING_ZSTD}, 2, NULL, 0, 0, true};
    unsigned offers = variant_offers(&settings, object);
    struct slice whole = SLICE(HEAD), own = variant_own_lines(object, whole);

    ASSERT(variant_shared_lines(object, whole).len + own.len == whole.len);
    for (enum http_coding coding = 0; coding < CODING_COUNT; coding++) {
        char room[VARIANT_LINES_MAX];
        struct http_fields fields;
        struct slice lines, etag, found;

        if (coding == object->coding || (offers & CODING_BIT(coding)) == 0)
            continue;
        lines = slice_of(room,
                         variant_lines(object, coding,
                                       coding == CODING_IDENTITY ? SLICE_NONE : SLICE(HASH), room));
        etag = variant_lines_etag(lines);
        if (etag.len == 0)
            continue; /* the stored one is none, or too long */
        ASSERT(coding == CODING_IDENTITY || slice_is(variant_lines_hash(lines), HASH));
        ASSERT(http_fields_init(&fields, arena, 2) == OK);
        ASSERT(http_fields_add(&fields, SLICE("If-None-Match"), etag) == OK);
        add(&fields, "Accept-Encoding", coding_name(coding));
        ASSERT(variant_none_match(&fields, NULL, object, &found) && slice_equal(found, etag));
    }
}

static void
try_meta(struct arena *arena, struct slice meta)
{
    struct cache_object object, again;
    struct slice written;
    struct http_fields none;
    struct cache_labels labels;

    if (cache_object_decode(meta, sizeof(HEAD) - 1, &object) != OK)
        return;
    ASSERT(http_fields_init(&none, arena, 1) == OK);
    ASSERT(cache_labels_update(arena, SLICE("h"), &none, object.tags, &labels) == OK);
    use_object(arena, &object);
    ASSERT(cache_object_encode(arena, &object, &written) == OK);
    ASSERT(cache_object_decode(written, sizeof(HEAD) - 1, &again) == OK);
    use_slices(&object);
    use_representations(arena, &object);
    ASSERT(written.len == meta.len && slice_equal(again.vary, object.vary));
}

static void
try_vary(struct arena *arena, struct slice vary)
{
    struct http_request request = request_with(arena);
    struct http_fields response;

    ASSERT(http_fields_init(&response, arena, 1) == OK);
    add(&response, "Vary", "Foo, Accept-Encoding");
    (void)cache_vary_matches(vary, SLICE_NONE, &request.fields);
    (void)cache_vary_covers(vary, 0, &response);
}

/* A Vary of these bytes must match the request it was built from. */
static void
try_vary_field(struct arena *arena, struct slice value)
{
    struct http_request request = request_with(arena);
    struct http_fields response;
    struct slice vary;
    uint64_t variant;

    ASSERT(http_fields_init(&response, arena, 1) == OK);
    ASSERT(http_fields_add(&response, SLICE("Vary"), value) == OK);
    if (cache_vary_build(arena, SLICE_NONE, CACHE_VARY_NORMALISE, &request.fields, &response, &vary,
                         &variant) != OK)
        return;
    ASSERT((variant == 0) == (vary.len == 0));
    ASSERT(cache_vary_matches(vary, SLICE_NONE, &request.fields));
    ASSERT(cache_vary_covers(vary, 0, &response));
}

/* What a client sends as If-None-Match: the origin gets it all, in order. */
static void
try_tags(struct arena *arena, struct slice value)
{
    struct cache_object object = {.status = 200, .flags = CACHE_CODABLE, .etag = SLICE("\"a\"")};
    struct slice out, hash, rest = value, etag;
    enum http_coding coding;
    struct http_fields fields;
    struct http_etag sent, got;

    ASSERT(http_fields_init(&fields, arena, 2) == OK);
    ASSERT(http_fields_add(&fields, SLICE("If-None-Match"), value) == OK);
    ASSERT(http_fields_add(&fields, SLICE("If-Range"), value) == OK);
    (void)variant_none_match(&fields, NULL, &object, &etag);
    if (variant_if_range(&fields, &object, &coding, &hash))
        ASSERT(hash.len == (coding == object.coding ? 0 : VARIANT_HASH_LEN));
    ASSERT(variant_translate(arena, value, &out) == OK && out.len <= 3 * value.len);
    if (slice_equal(out, value))
        return;
    while (http_etag_take(&rest, &sent)) {
        ASSERT(http_etag_take(&out, &got));
        while (sent.weak != got.weak || !http_etag_equal_weak(&sent, &got))
            ASSERT(http_etag_take(&out, &got)); /* one that was put there */
    }
}

static void
try_head(struct arena *arena, struct slice head)
{
    struct http_response response = {.status = 304};
    struct cache_object object = {.flags = CACHE_VARY_OURS};
    struct validate_merged merged;
    struct slice made, again;
    enum err rc;

    ASSERT(http_fields_init(&response.fields, arena, 4) == OK);
    add(&response.fields, "ETag", "\"a\"");
    add(&response.fields, "Cache-Control", "max-age=5");
    add(&response.fields, "xkey", "a b");
    rc = validate_not_modified_head(arena, head, SLICE_NONE, &made);
    ASSERT(rc == OK || rc == ERR_STORE_CORRUPT);
    if (rc == OK)
        ASSERT(validate_not_modified_head(arena, made, SLICE_NONE, &again) == OK &&
               slice_equal(made, again));
    rc = validate_merge_fields(arena, head, &object, &response, now_s, &merged);
    ASSERT(rc == OK || rc == ERR_STORE_CORRUPT || rc == ERR_LIMIT);
    if (rc != OK)
        return;
    object.flags = CACHE_CODABLE;
    ASSERT(validate_merge_head(arena, &merged, &object, &made) == OK);
    ASSERT(object.own_len <= made.len);
    ASSERT(validate_not_modified_head(arena, made, SLICE("W/\"x\""), &again) == OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena;
    struct slice rest = slice_of(data, len);

    if (len == 0 || len > 65536)
        return 0;
    arena_init(&arena, 0);
    rest = slice_skip(rest, 1);
    if (data[0] == 'm')
        try_meta(&arena, rest);
    else if (data[0] == 'v')
        try_vary(&arena, rest);
    else if (data[0] == 'f')
        try_vary_field(&arena, rest);
    else if (data[0] == 'h')
        try_head(&arena, rest);
    else if (data[0] == 't')
        try_tags(&arena, rest);
    arena_fini(&arena);
    return 0;
}
