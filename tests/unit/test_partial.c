/* Partial objects: what suits, how it is cut, what the slices are called. RFC 9111 section 3.4. */
#include "cache_fixture.h"

#include "base/block.h"
#include "cache/fresh.h"
#include "cache/partial.h"

static void
what_suits(void **state)
{
    static const struct {
        const char *why, *etag, *fields;
        unsigned status;
        bool want, want_unsaid;
    } cases[] = {
        {"14.3: ranges, and a strong tag", "\"a\"", "Accept-Ranges: bytes", 200, true, true},
        {"14.3: among others", "\"a\"", "Accept-Ranges: lines, Bytes", 200, true, true},
        {"14.3: none", "\"a\"", "Accept-Ranges: none", 200, false, false},
        {"14.3: nothing said", "\"a\"", "", 200, false, true},
        {"8.8.1: a weak tag", "W/\"a\"", "Accept-Ranges: bytes", 200, false, false},
        {"8.8.1: no tag", "", "", 200, false, false},
        {"8.8.3: no well-formed tag", "a", "Accept-Ranges: bytes", 200, false, false},
        {"14.2: not 200", "\"a\"", "Accept-Ranges: bytes", 203, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cache_object object = {.etag = slice_from_str(cases[i].etag)};
        struct arena arena;
        struct http_response response;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, cases[i].status, cases[i].fields);
        assert_true(partial_suits(&response, &object, false) == cases[i].want);
        assert_true(partial_suits(&response, &object, true) == cases[i].want_unsaid);
        arena_fini(&arena);
    }
}

static void
how_it_is_cut(void **state)
{
    enum { PIECE = BLOCK_FULL_LEN };
    static const struct {
        const char *why;
        uint64_t whole_len, slice_len, object_max_len, want_len, last, last_len;
    } cases[] = {
        {"whole pieces", 10 * PIECE, 2 * PIECE, UINT64_MAX, 2 * PIECE, 4, 2 * PIECE},
        {"rounded down", 10 * PIECE, 3 * PIECE - 1, UINT64_MAX, 2 * PIECE, 4, 2 * PIECE},
        {"a piece at least", 10 * PIECE, 100, UINT64_MAX, PIECE, 9, PIECE},
        {"no more than the store takes", 10 * PIECE, 8 * PIECE, 3 * PIECE, 3 * PIECE, 3, PIECE},
        {"a last slice of one byte", 4 * PIECE + 1, 2 * PIECE, UINT64_MAX, 2 * PIECE, 2, 1},
        {"one slice", 5, 2 * PIECE, UINT64_MAX, 2 * PIECE, 0, 5},
        {"the largest", UINT64_MAX, PIECE, UINT64_MAX, PIECE, (UINT64_MAX - 1) / PIECE,
         UINT64_MAX % PIECE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cache_object object = {.flags = CACHE_IMMUTABLE | CACHE_CODABLE | CACHE_CODED};

        print_message("case: %s\n", cases[i].why);
        partial_begin(&object, cases[i].whole_len, cases[i].slice_len, cases[i].object_max_len, 7);
        assert_int_equal(object.flags, CACHE_IMMUTABLE | CACHE_PARTIAL);
        assert_true(object.slice_len == cases[i].want_len);
        assert_true(partial_whole_len(&object, 0) == cases[i].whole_len);
        assert_true(partial_slice_of(&object, 0) == 0);
        assert_true(partial_slice_of(&object, cases[i].whole_len - 1) == cases[i].last);
        assert_true(partial_slice_len(&object, cases[i].last) == cases[i].last_len);
        assert_true(partial_slice_first(&object, cases[i].last) ==
                    cases[i].whole_len - cases[i].last_len);
    }
}

static void
other_objects_are_as_long_as_they_are(void **state)
{
    (void)state;
    assert_true(partial_whole_len(&(struct cache_object){.status = 200}, 12) == 12);
}

/* A generation of 0 would be that of every whole object. */
static void
a_generation_is_never_0(void **state)
{
    struct cache_object object = {.status = 200};

    (void)state;
    partial_begin(&object, 10, 10, 10, 0);
    assert_true(object.generation != 0);
}

static void
names_and_questions(void **state)
{
    struct cache_object object = {.etag = SLICE("\"a b\""), .status = 200};
    char suffix[PARTIAL_SUFFIX_MAX];
    struct arena arena;
    struct slice lines;

    (void)state;
    arena_init(&arena, 0);
    partial_begin(&object, 3 * BLOCK_FULL_LEN + 5, BLOCK_FULL_LEN, UINT64_MAX,
                  UINT64_C(0x0123456789abcdef));
    assert_text(slice_of(suffix, partial_suffix(&object, 0, suffix)), "\n0123456789abcdef/0");
    assert_text(slice_of(suffix, partial_suffix(&object, UINT64_MAX, suffix)),
                "\n0123456789abcdef/18446744073709551615");
    assert_int_equal(partial_conditions(&arena, &object, 1, &lines), OK);
    assert_text(lines, "Range: bytes=65512-131023\r\nIf-Range: \"a b\"\r\n");
    assert_int_equal(partial_conditions(&arena, &object, 3, &lines), OK);
    assert_text(lines, "Range: bytes=196536-196540\r\nIf-Range: \"a b\"\r\n");
    arena_fini(&arena);
}

/* A slice's record: whatever of the master's could lead to it is left out. */
static void
what_a_slice_is(void **state)
{
    struct cache_object master = {.status = 200,
                                  .flags = CACHE_MUST_REVALIDATE,
                                  .response_s = NOW_S,
                                  .last_modified_s = -1,
                                  .etag = SLICE("\"a\""),
                                  .vary = SLICE("x\n")};
    struct cache_object slice, again;
    struct arena arena;
    struct slice meta;

    (void)state;
    partial_begin(&master, 100, 10, 10, 5);
    partial_slice_object(&master, &slice);
    assert_int_equal(slice.flags, CACHE_SLICE);
    assert_true(slice.response_s == NOW_S);
    arena_init(&arena, 0);
    assert_int_equal(cache_object_encode(&arena, &slice, &meta), OK);
    assert_int_equal(cache_object_decode(meta, 0, &again), OK);
    assert_true(again.generation == 0 && again.etag.len == 0 && again.vary.len == 0);
    arena_fini(&arena);
}

/* RFC 9110 section 15.3.7: a part may say less than the whole, not allow less unheard. */
static void
what_a_part_forbids(void **state)
{
    static const char *const names[] = {"cdn-cache-control"};
    static const struct cache_settings settings = {.targeted_fields = names,
                                                   .targeted_fields_n = ARRAY_LEN(names)};
    static const struct {
        const char *why, *fields;
        enum cache_reason want;
    } cases[] = {
        {"15.3.7: it says nothing", "", REASON_STORED},
        {"15.3.7: nor whether it is fresh", "Cache-Control: max-age=0", REASON_STORED},
        {"RFC 9111 5.2.2.5: no-store", "Cache-Control: no-store", REASON_NO_STORE},
        {"RFC 9111 5.2.2.7: private", "Cache-Control: private", REASON_PRIVATE},
        {"RFC 9213 2.2: the targeted field decides",
         "Cache-Control: no-store\nCDN-Cache-Control: max-age=5", REASON_STORED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_fields fields;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].fields, &fields);
        assert_int_equal(fresh_admit_part(&settings, &fields), cases[i].want);
        arena_fini(&arena);
    }
}

/* RFC 9110 sections 13.1.3 and 13.1.5: conditions go by what the response says, stored or not. */
static void
what_is_known_of_an_unstored_response(void **state)
{
    static const struct {
        const char *why, *fields, *etag;
        int64_t date_s, last_modified_s;
        uint32_t age_s;
    } cases[] = {
        {"nothing said", "", "", NOW_S, -1, 0},
        {"validators", "ETag: \"a\"\nLast-Modified: " DATE_NOW, "\"a\"", NOW_S, NOW_S, 0},
        {"an older Date adds no Age", "Date: Sun, 06 Nov 1994 08:49:00 GMT", "", NOW_S - 37, -1, 0},
        {"Age goes on", "Age: 7", "", NOW_S, -1, 7},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_response response;
        struct cache_object object;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, 203, cases[i].fields);
        fresh_describe_unstored(&response, NOW_S, &object);
        assert_int_equal(object.status, 203);
        assert_text(object.etag, cases[i].etag);
        assert_true(object.response_s == NOW_S);
        assert_true(object.date_s == cases[i].date_s);
        assert_true(object.last_modified_s == cases[i].last_modified_s);
        assert_int_equal(object.initial_age_s, cases[i].age_s);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 4.3.4: where a body is does not change with its freshness. */
static void
a_partial_object_stays_one(void **state)
{
    static const struct cache_settings settings = {.heuristic = false};
    struct arena arena;
    struct http_request request;
    struct http_fields merged;
    struct cache_object object = {
        .status = 200, .flags = CACHE_PARTIAL | CACHE_IMMUTABLE, .whole_len = 9, .generation = 7};

    (void)state;
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_GET, "");
    fields_from(&arena, "Date: " DATE_NOW "\nCache-Control: max-age=9", &merged);
    assert_true(fresh_update(&settings, &request, &merged, NOW_S, NOW_S, &object));
    assert_int_equal(object.flags, CACHE_PARTIAL);
    assert_true(object.whole_len == 9 && object.generation == 7);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_suits),
        cmocka_unit_test(how_it_is_cut),
        cmocka_unit_test(other_objects_are_as_long_as_they_are),
        cmocka_unit_test(a_generation_is_never_0),
        cmocka_unit_test(names_and_questions),
        cmocka_unit_test(what_a_slice_is),
        cmocka_unit_test(what_a_part_forbids),
        cmocka_unit_test(what_is_known_of_an_unstored_response),
        cmocka_unit_test(a_partial_object_stays_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
