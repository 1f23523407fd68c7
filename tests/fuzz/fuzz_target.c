/* A target under the rules of a site: the first byte says which, the rest is path and query. */
#include "cache/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static size_t
count(struct slice query)
{
    struct slice rest = query.len == 0 ? SLICE_NONE : slice_skip(query, 1), name, whole;
    size_t n = 0;

    for (; cache_target_parameter(&rest, &name, &whole); n++) {
        ASSERT(name.len <= whole.len && whole.len < query.len);
        ASSERT(whole.ptr >= query.ptr && whole.ptr + whole.len <= query.ptr + query.len);
    }
    return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const names[] = {"utm_*", "a", "b[]"};
    struct cache_target_rules rules = {.drop = names, .keep = names};
    struct slice whole = slice_of(data, len), path, query, again[2];
    struct arena arena;
    size_t at;

    if (len == 0)
        return 0;
    rules.drop_n = data[0] & 1 ? ARRAY_LEN(names) : 0;
    rules.keep_n = data[0] & 2 ? ARRAY_LEN(names) : 0;
    rules.sort = (data[0] & 4) != 0;
    rules.ignore_case = (data[0] & 8) != 0;
    path = whole = slice_skip(whole, 1);
    query = SLICE_NONE;
    if (slice_find(whole, '?', &at)) {
        path = slice_first(whole, at);
        query = slice_skip(whole, at);
    }
    arena_init(&arena, 0);
    again[0] = path;
    again[1] = query;
    ASSERT(cache_target_apply(&arena, &rules, &again[0], &again[1]) == OK);
    ASSERT(again[0].len == path.len && again[1].len <= query.len);
    ASSERT(again[1].len == 0 || again[1].ptr[0] == '?');
    ASSERT(count(again[1]) <= count(query));
    ASSERT(rules.drop_n > 0 || rules.keep_n > 0 || count(again[1]) == count(query));
    path = again[0];
    query = again[1];
    ASSERT(cache_target_apply(&arena, &rules, &again[0], &again[1]) == OK);
    ASSERT(slice_equal(again[0], path) && slice_equal(again[1], query));
    arena_fini(&arena);
    return 0;
}
