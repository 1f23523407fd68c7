/* The words of a purge: what becomes of an URL, a prefix, a host and a tag. */
#include "cache/purge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A row names something: an empty prefix or key would name everything. */
static void
check_rows(const struct store_purge *rows, size_t rows_n, enum store_purge_kind kind)
{
    for (size_t i = 0; i < rows_n; i++) {
        ASSERT(rows[i].kind == kind);
        ASSERT(slice_starts(rows[i].text, SLICE("http://")) ||
               slice_starts(rows[i].text, SLICE("https://")));
    }
}

static void
check_words(struct arena *arena, struct slice text)
{
    struct store_purge rows[2];
    size_t rows_n = 0;

    if (purge_url(arena, NULL, text, false, rows, &rows_n) == OK)
        check_rows(rows, rows_n, STORE_PURGE_KEY);
    if (purge_prefix(arena, NULL, text, true, rows, &rows_n) == OK)
        check_rows(rows, rows_n, STORE_PURGE_PREFIX);
    if (purge_host(arena, text, false, rows) == OK)
        ASSERT(rows[0].kind == STORE_PURGE_LABEL);
    if (purge_tag(text, false, rows) == OK)
        ASSERT(rows[0].kind == STORE_PURGE_LABEL && text.len > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena;

    if (len == 0)
        return 0;
    arena_init(&arena, 0);
    check_words(&arena, slice_of(data, len));
    arena_fini(&arena);
    return 0;
}
