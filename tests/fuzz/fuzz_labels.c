/* Tags and secondary keys: the input's lines are values of a response's tag fields and Vary, and of
 * the request's fields that Vary names. What is written of them reads the same again. */
#include "cache/key.h"
#include "cache/vary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
add(struct http_fields *fields, const char *name, struct slice *lines)
{
    struct slice value;

    (void)slice_cut(lines, '\n', &value);
    if (value.len > 0)
        ASSERT(http_fields_add(fields, slice_from_str(name), slice_trim(value)) == OK);
}

/* The tags as text for people lead to the same labels: RFC 9111 says nothing of them, so ours. */
static void
check_labels(struct arena *arena, const struct http_fields *response)
{
    struct cache_labels labels, again;
    struct http_fields none;

    ASSERT(cache_labels_build(arena, SLICE("a.example"), response, &labels) == OK);
    ASSERT(labels.n >= 1 && labels.n <= 1 + CACHE_TAGS_MAX);
    ASSERT(http_fields_init(&none, arena, 1) == OK);
    ASSERT(cache_labels_update(arena, SLICE("a.example"), &none, labels.tags, &again) == OK);
    ASSERT(again.n == labels.n);
    for (size_t i = 0; i < labels.n; i++)
        ASSERT(again.ids[i] == labels.ids[i]);
}

/* A request matches what was stored for it. */
static void
check_vary(struct arena *arena, const struct http_fields *request,
           const struct http_fields *response)
{
    static const char *const names[] = {"foo"};
    uint64_t variant = 0;
    struct slice vary, keyed;
    enum err rc;

    ASSERT(cache_keyed_build(arena, names, ARRAY_LEN(names), request, &keyed) == OK);
    rc = cache_vary_build(arena, keyed, CACHE_VARY_NORMALISE, request, response, &vary, &variant);

    if (cache_vary_is_star(response)) {
        ASSERT(rc == ERR_LIMIT);
        return;
    }
    ASSERT(rc == OK && (vary.len > 0) == (variant != 0));
    ASSERT(cache_vary_matches(vary, keyed, request) && cache_vary_covers(vary, 0, response));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice lines = slice_of(data, len);
    struct http_fields request, response;
    struct arena arena;

    if (len == 0)
        return 0;
    arena_init(&arena, 0);
    ASSERT(http_fields_init(&request, &arena, 8) == OK);
    ASSERT(http_fields_init(&response, &arena, 8) == OK);
    add(&response, "Vary", &lines);
    add(&response, "Surrogate-Key", &lines);
    add(&response, "Cache-Tag", &lines);
    add(&response, "xkey", &lines);
    add(&response, "Vary", &lines);
    add(&request, "Accept", &lines);
    add(&request, "Foo", &lines);
    add(&request, "Accept-Encoding", &lines);
    add(&request, "Foo", &lines);
    check_labels(&arena, &response);
    check_vary(&arena, &request, &response);
    arena_fini(&arena);
    return 0;
}
