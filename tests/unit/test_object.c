/* The stored form of what the cache knows: there and back, and never more than is there. */
#include "cache_fixture.h"

#include "cache/object.h"

enum { META_FIXED_LEN = 72, HEAD_LEN = 100, META_PARTIAL_LEN = 24 };

static const struct cache_object samples[] = {
    {.status = 200, .response_s = NOW_S, .date_s = NOW_S, .last_modified_s = -1},
    {.status = 404,
     .flags = CACHE_ALWAYS_VALIDATE | CACHE_IMMUTABLE,
     .lifetime_from = CACHE_LIFETIME_EXPIRES,
     .response_s = 1,
     .date_s = 0,
     .last_modified_s = 0,
     .initial_age_s = 5,
     .lifetime_s = UINT32_C(1) << 31,
     .swr_s = 7,
     .sie_s = UINT32_MAX,
     .search = UINT32_MAX,
     .etag = SLICE("W/\"x\""),
     .vary = SLICE("accept: a\nfoo\n"),
     .tags = SLICE("one two")},
    {.status = 999,
     .response_s = INT64_C(253402300799),
     .date_s = INT64_C(253402300799),
     .last_modified_s = INT64_C(253402300799),
     .tags = SLICE("t")},
    {.status = 200,
     .flags = CACHE_PARTIAL | CACHE_IMMUTABLE,
     .last_modified_s = -1,
     .etag = SLICE("\"x\""),
     .whole_len = UINT64_MAX,
     .slice_len = BLOCK_FULL_LEN,
     .generation = 1},
    {.status = 200,
     .flags = CACHE_CODABLE | CACHE_CODED | CACHE_VARY_OURS,
     .last_modified_s = -1,
     .etag = SLICE("\"x\""),
     .own_len = HEAD_LEN,
     .coding = CODING_COUNT - 1},
};

static struct slice
encode(struct arena *arena, const struct cache_object *object)
{
    struct slice meta;

    assert_int_equal(cache_object_encode(arena, object, &meta), OK);
    return meta;
}

static void
there_and_back(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const struct cache_object *in = &samples[i];
        struct slice meta = encode(&arena, in);
        struct cache_object out;

        assert_int_equal(meta.len, META_FIXED_LEN + in->etag.len + in->vary.len + in->tags.len +
                                       (in->flags & CACHE_PARTIAL ? META_PARTIAL_LEN : 0));
        assert_int_equal(cache_object_decode(meta, HEAD_LEN, &out), OK);
        assert_int_equal(out.status, in->status);
        assert_int_equal(out.flags, in->flags);
        assert_int_equal(out.lifetime_from, in->lifetime_from);
        assert_true(out.response_s == in->response_s);
        assert_true(out.date_s == in->date_s);
        assert_true(out.last_modified_s == in->last_modified_s);
        assert_int_equal(out.initial_age_s, in->initial_age_s);
        assert_int_equal(out.lifetime_s, in->lifetime_s);
        assert_int_equal(out.swr_s, in->swr_s);
        assert_int_equal(out.sie_s, in->sie_s);
        assert_int_equal(out.search, in->search);
        assert_int_equal(out.own_len, in->own_len);
        assert_int_equal(out.coding, in->coding);
        assert_true(slice_equal(out.etag, in->etag));
        assert_true(slice_equal(out.vary, in->vary));
        assert_true(slice_equal(out.tags, in->tags));
        assert_true(out.whole_len == in->whole_len);
        assert_true(out.slice_len == in->slice_len);
        assert_true(out.generation == in->generation);
    }
    arena_fini(&arena);
}

/* The map gives records at any address. */
static void
any_alignment(void **state)
{
    struct arena arena;
    char buf[256];

    (void)state;
    arena_init(&arena, 0);
    for (size_t shift = 0; shift < 8; shift++) {
        struct slice meta = encode(&arena, &samples[1]);
        struct cache_object out;

        memcpy(buf + shift, meta.ptr, meta.len);
        assert_int_equal(cache_object_decode(slice_of(buf + shift, meta.len), HEAD_LEN, &out), OK);
        assert_text(out.vary, "accept: a\nfoo\n");
    }
    arena_fini(&arena);
}

static void
every_other_length_is_corrupt(void **state)
{
    struct arena arena;
    struct slice meta;
    struct cache_object out;

    (void)state;
    arena_init(&arena, 0);
    meta = encode(&arena, &samples[1]);
    for (size_t len = 0; len < meta.len; len++) {
        char *copy = len == 0 ? NULL : mem_alloc(len); /* reads past the end are seen */

        if (len > 0)
            memcpy(copy, meta.ptr, len);
        assert_int_equal(cache_object_decode(slice_of(copy, len), HEAD_LEN, &out),
                         ERR_STORE_CORRUPT);
        mem_free(copy);
    }
    assert_int_equal(cache_object_decode(slice_of(meta.ptr, meta.len), HEAD_LEN, &out), OK);
    arena_fini(&arena);
}

/* Without the flag there is no room for it, with it there must be. */
static void
partial_or_not(void **state)
{
    static const struct {
        const char *why;
        size_t sample, at, len;
        uint64_t value;
    } cases[] = {
        {"a whole object turned partial", 1, 4, 2, CACHE_PARTIAL},
        {"a partial one turned whole", 3, 4, 2, 0},
        {"an empty whole", 3, 75, 8, 0},
        {"slices of nothing", 3, 83, 8, 0},
        {"no generation", 3, 91, 8, 0},
        {"a partial one that is codable", 3, 4, 2, CACHE_PARTIAL | CACHE_CODABLE},
        {"a partial one that can be decoded", 3, 4, 2, CACHE_PARTIAL | CACHE_CODED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct slice meta;
        struct cache_object out;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        meta = encode(&arena, &samples[cases[i].sample]);
        memcpy((char *)(uintptr_t)meta.ptr + cases[i].at, &cases[i].value, cases[i].len);
        assert_int_equal(cache_object_decode(meta, HEAD_LEN, &out), ERR_STORE_CORRUPT);
        arena_fini(&arena);
    }
}

static void
damaged_numbers(void **state)
{
    static const struct {
        const char *why;
        size_t at, len;
        uint64_t value;
        enum err want;
    } cases[] = {
        {"another version", 0, 2, 4, ERR_STORE_VERSION},
        {"an older version", 0, 2, 2, ERR_STORE_VERSION},
        {"version 0", 0, 2, 0, ERR_STORE_VERSION},
        {"status 0", 2, 2, 0, ERR_STORE_CORRUPT},
        {"status 199", 2, 2, 199, ERR_STORE_CORRUPT},
        {"status 1000", 2, 2, 1000, ERR_STORE_CORRUPT},
        {"a lifetime from nowhere", 6, 2, CACHE_LIFETIME_COUNT, ERR_STORE_CORRUPT},
        {"a lifetime from the last source", 6, 2, CACHE_LIFETIME_COUNT - 1, OK},
        {"received at the epoch", 8, 8, 0, OK},
        {"received before 1970", 8, 8, UINT64_MAX, ERR_STORE_CORRUPT},
        {"received at the end of time", 8, 8, INT64_MAX, ERR_STORE_CORRUPT},
        {"least date", 16, 8, UINT64_C(1) << 63, ERR_STORE_CORRUPT},
        {"date too late", 16, 8, (UINT64_C(1) << 40) + 1, ERR_STORE_CORRUPT},
        {"last date that is fine", 16, 8, UINT64_C(1) << 40, OK},
        {"modified before there was time", 24, 8, (uint64_t)-2, ERR_STORE_CORRUPT},
        {"modified too late", 24, 8, INT64_MAX, ERR_STORE_CORRUPT},
        {"etag longer than all", 48, 4, UINT32_MAX, ERR_STORE_CORRUPT},
        {"vary longer by one", 52, 4, 15, ERR_STORE_CORRUPT},
        {"tags shorter by one", 56, 4, 6, ERR_STORE_CORRUPT},
        {"own lines that are all of the head", 64, 4, HEAD_LEN, OK},
        {"own lines beyond the head", 64, 4, HEAD_LEN + 1, ERR_STORE_CORRUPT},
        {"own lines of any length", 64, 4, UINT32_MAX, ERR_STORE_CORRUPT},
        {"the last coding", 68, 1, CODING_COUNT - 1, OK},
        {"no coding", 68, 1, CODING_COUNT, ERR_STORE_CORRUPT},
        {"coded in nothing", 4, 2, CACHE_CODED, ERR_STORE_CORRUPT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct slice meta;
        struct cache_object out;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        meta = encode(&arena, &samples[1]);
        memcpy((char *)(uintptr_t)meta.ptr + cases[i].at, &cases[i].value, cases[i].len);
        assert_int_equal(cache_object_decode(meta, HEAD_LEN, &out), cases[i].want);
        arena_fini(&arena);
    }
}

static void
lengths_that_wrap_around(void **state)
{
    struct arena arena;
    struct slice meta;
    struct cache_object out;
    const uint32_t lengths[3] = {UINT32_MAX, UINT32_MAX, 2 + 26};

    (void)state;
    arena_init(&arena, 0);
    meta = encode(&arena, &samples[1]);
    assert_int_equal(meta.len - META_FIXED_LEN, 26); /* the same in 32 bits */
    memcpy((char *)(uintptr_t)meta.ptr + 48, lengths, sizeof(lengths));
    assert_int_equal(cache_object_decode(meta, HEAD_LEN, &out), ERR_STORE_CORRUPT);
    arena_fini(&arena);
}

static void
no_memory(void **state)
{
    struct arena arena;
    struct slice meta = SLICE("before");

    (void)state;
    arena_init(&arena, 16);
    assert_int_equal(cache_object_encode(&arena, &samples[1], &meta), ERR_NOMEM);
    assert_text(meta, "before");
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(any_alignment),
        cmocka_unit_test(every_other_length_is_corrupt),
        cmocka_unit_test(partial_or_not),
        cmocka_unit_test(damaged_numbers),
        cmocka_unit_test(lengths_that_wrap_around),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
