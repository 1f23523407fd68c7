/* No-Vary-Search: the first line is the field, the second the query of a key. */
#include "cache/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_key(struct arena *arena, struct slice rule, struct slice query)
{
    struct store_key key, again;
    struct slice text;

    if (arena_printf(arena, &text, "http://h/p?%.*s", SLICE_ARGS(query)) != OK)
        UNREACHABLE();
    if (cache_search_key(arena, rule, text, &key) != OK)
        return;
    ASSERT(slice_equal(cache_search_scope(key.text), SLICE("http://h/p")));
    ASSERT(cache_search_key(arena, rule, key.text, &again) == OK);
    ASSERT(slice_equal(again.text, key.text)); /* it is of the class that it names */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice query = slice_of(data, len), field, rule;
    char buf[CACHE_SEARCH_RULE_MAX];
    struct http_fields fields;
    struct arena arena;
    size_t end = 0;

    if (len == 0)
        return 0;
    (void)slice_cut(&query, '\n', &field);
    while (end < query.len && query.ptr[end] != '\0') /* as in a parsed target */
        end++;
    arena_init(&arena, 0);
    if (http_fields_init(&fields, &arena, 1) != OK ||
        http_fields_add(&fields, SLICE("No-Vary-Search"), field) != OK)
        UNREACHABLE();
    if (cache_search_parse(&fields, buf, &rule)) {
        ASSERT(rule.len >= 2 && rule.len <= sizeof(buf) && cache_search_id(rule) != 0);
        check_key(&arena, rule, slice_first(query, end));
    }
    arena_fini(&arena);
    return 0;
}
