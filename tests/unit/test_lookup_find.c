/* Looking up in a real store, and what follows from what was found. RFC 9111 sections 4, 4.1, 4.3.2
 * and 5.2.1.7. */
#include "cache_fixture.h"
#include "store_help.h"

#include "cache/lookup.h"

/* A stored response to a request with these fields, under "Vary: A". */
static void
put(struct store *store, const char *key_text, const char *request_fields, uint32_t lifetime_s,
    uint32_t own_len, struct slice meta)
{
    struct store_key key = help_key(key_text);
    struct cache_object object = {
        .status = 200, .response_s = NOW_S, .lifetime_s = lifetime_s, .own_len = own_len};
    struct store_record record = {.head = SLICE("HTTP/1.1 200 OK\r\n")};
    struct http_fields request, response;
    struct help_wait wait;
    struct store_put *put;
    struct arena arena;

    arena_init(&arena, 0);
    fields_from(&arena, request_fields, &request);
    fields_from(&arena, "Vary: A", &response);
    assert_int_equal(cache_vary_build(&arena, SLICE_NONE, CACHE_VARY_NORMALISE, &request, &response,
                                      &object.vary, &record.variant),
                     OK);
    assert_int_equal(cache_object_encode(&arena, &object, &record.meta), OK);
    if (meta.len > 0)
        record.meta = meta;
    assert_int_equal(store_put_begin(store, &key, &put), OK);
    assert_int_equal(store_put_end(put, &record, NULL, help_done(&wait)), OK);
    store_put_release(&put);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    arena_fini(&arena);
}

static void
what_is_found(void **state)
{
    static const struct {
        const char *why, *key, *request;
        int64_t passed_s;
        bool found;
        enum cache_reason reason;
        uint32_t lifetime_s;
    } cases[] = {
        {"4: nothing under the key", "none", "A: 1", 0, false, REASON_NOT_STORED, 0},
        {"4.1: the variant that matches", "k", "A: 1", 0, true, REASON_FRESH, 60},
        {"4.1: another one", "k", "A: 2", 0, true, REASON_FRESH, 90},
        {"4.1: none of them", "k", "A: 3", 0, false, REASON_VARY_MISS, 0},
        {"4.1: absent is no value", "k", "B: 1", 0, false, REASON_VARY_MISS, 0},
        {"4.2: stale", "k", "A: 1", 70, true, REASON_EXPIRED, 60},
        {"stale for longer than it is kept", "k", "A: 1", 171, false, REASON_TOO_STALE, 0},
        {"a damaged one is passed by", "damaged", "A: 1", 0, false, REASON_NOT_STORED, 0},
        {"a head whose lines are all its own", "all its own", "A: 1", 0, true, REASON_FRESH, 60},
        {"own lines beyond the head", "more than all", "A: 1", 0, false, REASON_NOT_STORED, 0},
    };
    static const struct cache_settings settings = {.keep_s = 100};
    char path[256];
    struct store *store;
    struct store_reader *reader;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 16 << 20);
    reader = help_reader(store);
    put(store, "k", "A: 1", 60, 0, SLICE_NONE);
    put(store, "k", "A: 2", 90, 0, SLICE_NONE);
    put(store, "damaged", "A: 1", 60, 0, SLICE("no object"));
    put(store, "all its own", "A: 1", 60, 17, SLICE_NONE);
    put(store, "more than all", "A: 1", 60, 18, SLICE_NONE);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store_key key = help_key(cases[i].key);
        struct cachectl cc = {0};
        struct http_request request;
        struct lookup_finding finding;
        struct arena arena;
        struct lookup_question question = {.settings = &settings,
                                           .request = &request,
                                           .cc = &cc,
                                           .key = &key,
                                           .now_s = NOW_S + cases[i].passed_s};

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].request);
        store_read_begin(reader);
        lookup_find(reader, &question, &finding);
        assert_int_equal(finding.found, cases[i].found);
        assert_int_equal(finding.reason, cases[i].reason);
        if (finding.found)
            assert_int_equal(finding.object.lifetime_s, cases[i].lifetime_s);
        store_read_end(reader);
        arena_fini(&arena);
    }
    store_reader_free(&reader);
    store_close(&store);
    help_remove_folder(path);
}

/* RFC 9110 section 15.3.7.3: who saw that a partial object is over does not find it again. */
static void
what_is_gone(void **state)
{
    static const struct cache_object partial = {.status = 200,
                                                .flags = CACHE_PARTIAL,
                                                .response_s = NOW_S,
                                                .last_modified_s = -1,
                                                .lifetime_s = 60,
                                                .whole_len = 100,
                                                .slice_len = 10,
                                                .generation = 7};
    static const struct {
        const char *why;
        uint64_t gone;
        bool found;
    } cases[] = {{"nothing is", 0, true}, {"another generation is", 8, true}, {"it is", 7, false}};
    char path[256];
    struct store *store;
    struct store_reader *reader;
    struct store_key key = help_key("k");
    struct arena arena;
    struct slice meta;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 16 << 20);
    reader = help_reader(store);
    arena_init(&arena, 0);
    assert_int_equal(cache_object_encode(&arena, &partial, &meta), OK);
    put(store, "k", "", 60, 0, meta);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const struct cache_settings settings = {.keep_s = 100};
        struct cachectl cc = {0};
        struct http_request request = request_from(&arena, METHOD_GET, "");
        struct lookup_finding finding;
        struct lookup_question question = {.settings = &settings,
                                           .request = &request,
                                           .cc = &cc,
                                           .key = &key,
                                           .now_s = NOW_S,
                                           .gone = cases[i].gone};

        print_message("case: %s\n", cases[i].why);
        store_read_begin(reader);
        lookup_find(reader, &question, &finding);
        assert_true(finding.found == cases[i].found);
        if (!finding.found)
            assert_int_equal(finding.reason, REASON_NOT_STORED);
        store_read_end(reader);
    }
    arena_fini(&arena);
    store_reader_free(&reader);
    store_close(&store);
    help_remove_folder(path);
}

static void
what_follows(void **state)
{
    static const struct {
        const char *why, *request;
        enum http_method method;
        bool found;
        enum lookup_use use;
        bool hit_for_miss;
        enum lookup_way want;
    } cases[] = {
        {"4: fresh", "", METHOD_GET, true, LOOKUP_FRESH, false, LOOKUP_WAY_SEND},
        {"4: fresh, though lately not storable", "", METHOD_GET, true, LOOKUP_FRESH, true,
         LOOKUP_WAY_SEND},
        {"RFC 5861 section 3: stale", "", METHOD_GET, true, LOOKUP_STALE, false,
         LOOKUP_WAY_SEND_STALE},
        {"4.3: to be validated", "", METHOD_GET, true, LOOKUP_VALIDATE, false, LOOKUP_WAY_SHARE},
        {"4: nothing", "", METHOD_GET, false, LOOKUP_FRESH, false, LOOKUP_WAY_SHARE},
        {"nothing, lately not storable", "", METHOD_GET, false, LOOKUP_FRESH, true,
         LOOKUP_WAY_ALONE},
        {"to be validated, lately not storable", "", METHOD_GET, true, LOOKUP_VALIDATE, true,
         LOOKUP_WAY_SHARE},
        {"5.2.1.7: nothing", "Cache-Control: only-if-cached", METHOD_GET, false, LOOKUP_FRESH,
         false, LOOKUP_WAY_REFUSE},
        {"5.2.1.7: to be validated", "Cache-Control: only-if-cached", METHOD_GET, true,
         LOOKUP_VALIDATE, false, LOOKUP_WAY_REFUSE},
        {"5.2.1.7: fresh", "Cache-Control: only-if-cached", METHOD_GET, true, LOOKUP_FRESH, false,
         LOOKUP_WAY_SEND},
        {"4: HEAD, fresh", "", METHOD_HEAD, true, LOOKUP_FRESH, false, LOOKUP_WAY_SEND},
        {"4.3.5: HEAD, nothing", "", METHOD_HEAD, false, LOOKUP_FRESH, false, LOOKUP_WAY_HEAD},
        {"4.3.2: If-Match, and it is the stored one", "If-Match: \"e\"", METHOD_GET, true,
         LOOKUP_FRESH, false, LOOKUP_WAY_SEND},
        {"4.3.2: If-Match, and it is another", "If-Match: \"a\"", METHOD_GET, true, LOOKUP_FRESH,
         false, LOOKUP_WAY_PASS},
        {"4.3.2: If-Match, HEAD, and it is another", "If-Match: \"a\"", METHOD_HEAD, true,
         LOOKUP_STALE, false, LOOKUP_WAY_HEAD},
        {"4.3.2: If-Match, nothing", "If-Match: \"a\"", METHOD_GET, false, LOOKUP_FRESH, false,
         LOOKUP_WAY_PASS},
        {"4.3.2: If-Unmodified-Since, to be validated", "If-Unmodified-Since: " DATE_NOW,
         METHOD_GET, true, LOOKUP_VALIDATE, false, LOOKUP_WAY_PASS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const struct cache_settings settings = {0};
        struct lookup_finding finding = {
            .found = cases[i].found,
            .object = {.status = 200, .etag = SLICE("\"e\""), .last_modified_s = -1},
            .verdict.use = cases[i].use};
        struct http_request request;
        struct cachectl cc;
        struct arena arena;
        struct lookup_question question = {
            .settings = &settings, .request = &request, .cc = &cc, .now_s = NOW_S};

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, cases[i].method, cases[i].request);
        cachectl_parse(&request.fields, &cc);
        assert_int_equal(lookup_way(&question, &finding, cases[i].hit_for_miss), cases[i].want);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found),
        cmocka_unit_test(what_is_gone),
        cmocka_unit_test(what_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
