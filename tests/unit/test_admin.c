/* The admin API's JSON: orders to purge, answers, what is stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ftw.h>
#include <jansson.h>
#include <stdatomic.h>
#include <unistd.h>

#include "cache/object.h"
#include "daemon/admin_json.h"

/* --- orders --- */

static void
orders_become_rows(void **state)
{
    static const struct {
        const char *why, *body, *what;
        size_t items, rows;
        enum store_purge_kind kind;
        bool soft;
        const char *first; /* text of the first row; NULL: none */
    } cases[] = {
        {"a URL", "{\"files\": [\"http://A.test:80/x?y\"]}", "files", 1, 1, STORE_PURGE_KEY, false,
         "http://a.test/x?y"},
        {"two", "{\"soft\": false, \"files\": [\"http://a/\", \"https://a/\"]}", "files", 2, 2,
         STORE_PURGE_KEY, false, "http://a/"},
        {"a prefix of both schemes", "{\"prefixes\": [\"a.test/img/\"], \"soft\": true}",
         "prefixes", 1, 2, STORE_PURGE_PREFIX, true, "http://a.test/img/"},
        {"a prefix of one", "{\"prefixes\": [\"https://a.test/\"]}", "prefixes", 1, 1,
         STORE_PURGE_PREFIX, false, "https://a.test/"},
        {"hosts", "{\"hosts\": [\"a.test\", \"b.test\"]}", "hosts", 2, 2, STORE_PURGE_LABEL, false,
         NULL},
        {"tags", "{\"tags\": [\"red\"]}", "tags", 1, 1, STORE_PURGE_LABEL, false, NULL},
        {"everything", " {\"purge_everything\": true}\n", "purge_everything", 1, 1, STORE_PURGE_ALL,
         false, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct admin_order order;
        struct arena arena;
        json_t *answer = NULL;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(
            admin_order_parse(&arena, NULL, slice_from_str(cases[i].body), &order, &answer), OK);
        assert_null(answer);
        assert_string_equal(order.what, cases[i].what);
        assert_int_equal(order.items_n, cases[i].items);
        assert_int_equal(order.rows_n, cases[i].rows);
        assert_int_equal(order.rows[0].kind, cases[i].kind);
        assert_int_equal(order.soft, cases[i].soft);
        for (size_t j = 0; j < order.rows_n; j++)
            assert_int_equal(order.rows[j].soft, cases[i].soft);
        if (cases[i].first != NULL)
            assert_true(slice_is(order.rows[0].text, cases[i].first));
        arena_fini(&arena);
    }
}

static void
unclear_orders_are_refused(void **state)
{
    static const struct {
        const char *why, *body, *error;
        int line; /* 0: the JSON is well formed */
    } cases[] = {
        {"nothing", "", "malformed JSON at line 1", 1},
        {"cut short", "{\"files\": [\"http://a/\"", "malformed JSON at line 1", 1},
        {"a comma too many", "{\n\n \"files\": [\"http://a/\",]}", "malformed JSON at line 3", 3},
        {"two values", "{\"purge_everything\": true} {}", "malformed JSON at line 1", 1},
        {"a member twice", "{\"tags\": [\"a\"], \"tags\": [\"b\"]}", "malformed JSON at line 1", 1},
        {"bytes that are no UTF-8", "{\"tags\": [\"\xff\"]}", "malformed JSON at line 1", 1},
        {"a zero byte by escape", "{\"tags\": [\"a\\u0000b\"]}", "malformed JSON at line 1", 1},
        {"half a character after a backslash", "{\"tags\": [\"\\\xcf\xa3\"]}",
         "malformed JSON at line 1", 1},
        {"a list", "[\"http://a/\"]", "the body is not an object", 0},
        {"an empty object", "{}", "nothing is named", 0},
        {"soft alone", "{\"soft\": true}", "nothing is named", 0},
        {"two kinds", "{\"files\": [\"http://a/\"], \"tags\": [\"b\"]}",
         "both \"files\" and \"tags\" are given", 0},
        {"an unknown member", "{\"files\": [\"http://a/\"], \"force\": true}",
         "unknown member \"force\"", 0},
        {"soft as a text", "{\"files\": [\"http://a/\"], \"soft\": \"yes\"}",
         "\"soft\" is neither true nor false", 0},
        {"a text for a list", "{\"files\": \"http://a/\"}",
         "\"files\" is not a list of one or more texts", 0},
        {"an empty list", "{\"tags\": []}", "\"tags\" is not a list of one or more texts", 0},
        {"a number", "{\"tags\": [\"a\", 1]}", "\"tags\": item 2 cannot be used", 0},
        {"a relative URL", "{\"files\": [\"http://a/\", \"/b\"]}",
         "\"files\": item 2 cannot be used", 0},
        {"an empty tag", "{\"tags\": [\" \"]}", "\"tags\": item 1 cannot be used", 0},
        {"an empty prefix", "{\"prefixes\": [\"\"]}", "\"prefixes\": item 1 cannot be used", 0},
        {"a bad host", "{\"hosts\": [\"a b\"]}", "\"hosts\": item 1 cannot be used", 0},
        {"everything, but no", "{\"purge_everything\": false}", "\"purge_everything\" is not true",
         0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct admin_order order;
        struct arena arena;
        json_t *answer = NULL;
        const char *error;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(
            admin_order_parse(&arena, NULL, slice_from_str(cases[i].body), &order, &answer),
            ERR_SYNTAX);
        error = json_string_value(json_object_get(answer, "error"));
        assert_non_null(error);
        assert_memory_equal(error, cases[i].error, strlen(cases[i].error));
        assert_non_null(json_string_value(json_object_get(answer, "hint")));
        assert_int_equal(json_integer_value(json_object_get(answer, "line")), cases[i].line);
        json_decref(answer);
        arena_fini(&arena);
    }
}

/* One order names at most ADMIN_PURGE_ITEMS_MAX things. */
static void
long_orders_are_refused(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        json_t *items = json_array(), *root, *answer = NULL;
        struct admin_order order;
        struct arena arena;
        char *text;
        enum err rc;

        for (int i = 0; i < ADMIN_PURGE_ITEMS_MAX + extra; i++)
            assert_int_equal(json_array_append_new(items, json_string("tag")), 0);
        root = json_pack("{s:o}", "tags", items);
        text = json_dumps(root, 0);
        assert_non_null(text);
        arena_init(&arena, 0);
        rc = admin_order_parse(&arena, NULL, slice_from_str(text), &order, &answer);
        assert_int_equal(rc, extra == 0 ? OK : ERR_SYNTAX);
        json_decref(answer);
        json_decref(root);
        free(text);
        arena_fini(&arena);
    }
}

static void
any_bytes_become_json(void **state)
{
    static const struct {
        const char *why, *in, *want;
    } cases[] = {
        {"plain", "a b", "a b"},
        {"UTF-8", "\xc3\xa4", "\xc3\xa4"},
        {"a lone byte", "a\xe4z", "a?z"},
        {"nothing", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *value = admin_text(slice_from_str(cases[i].in));

        print_message("case: %s\n", cases[i].why);
        assert_string_equal(json_string_value(value), cases[i].want);
        json_decref(value);
    }
}

/* --- what is stored --- */

struct box {
    char path[64];
    struct store *store;
    struct store_reader *reader;
};

static int
open_box(void **state)
{
    struct box *box = calloc(1, sizeof(*box));
    char why[256] = "";
    struct store_settings settings = {.size_len = 16 << 20,
                                      .queue_max_len = 4 << 20,
                                      .batch_ms = 1,
                                      .readers_max = 4,
                                      .scan_wait_ms = 1000};

    assert_non_null(box);
    (void)snprintf(box->path, sizeof(box->path), "/tmp/brink-test-admin.XXXXXX");
    assert_non_null(mkdtemp(box->path));
    settings.path = box->path;
    assert_int_equal(store_open(&settings, &box->store, why, sizeof(why)), OK);
    assert_int_equal(store_reader_new(box->store, &box->reader), OK);
    *state = box;
    return 0;
}

static int
remove_entry(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    return remove(path);
}

static int
close_box(void **state)
{
    struct box *box = *state;

    store_reader_free(&box->reader);
    store_close(&box->store);
    assert_int_equal(nftw(box->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(box);
    return 0;
}

static void
on_stored(void *arg, enum err rc, uint64_t n)
{
    atomic_store((atomic_int *)arg, rc == OK ? 1 : 2);
}

static void
keep_record(struct box *box, const char *url, const struct store_record *record, const char *text)
{
    struct slice name = slice_from_str(url), bytes = slice_from_str(text);
    struct store_key key = {.hash = store_hash(name), .text = name};
    struct block *body = block_new(bytes.len + 1);
    struct store_put *put;
    atomic_int stored = 0;

    assert_non_null(body);
    memcpy(body->data, bytes.ptr, bytes.len);
    body->len = (uint32_t)bytes.len;
    assert_int_equal(store_put_begin(box->store, &key, &put), OK);
    assert_int_equal(store_put_end(put, record, bytes.len > 0 ? body : NULL,
                                   (struct store_done){on_stored, &stored}),
                     OK);
    store_put_release(&put);
    while (atomic_load(&stored) == 0)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&stored), 1);
    block_unref(&body);
}

static void
keep(struct box *box, const char *url, uint64_t variant, uint64_t family,
     const struct cache_object *object, const char *text)
{
    struct store_record record = {
        .variant = variant, .family = family, .head = SLICE("HTTP/1.1 200 OK\r\n")};
    struct arena arena;

    arena_init(&arena, 0);
    assert_int_equal(cache_object_encode(&arena, object, &record.meta), OK);
    keep_record(box, url, &record, text);
    arena_fini(&arena);
}

static void
every_variant_is_shown(void **state)
{
    struct box *box = *state;
    const struct cache_object fresh = {.status = 200,
                                       .response_s = 1000,
                                       .date_s = 1000,
                                       .last_modified_s = -1,
                                       .initial_age_s = 10,
                                       .lifetime_s = 60,
                                       .etag = SLICE("\"v1\""),
                                       .vary = SLICE("accept: x/a\naccept-encoding\n"),
                                       .tags = SLICE("red gr\xfcn")};
    struct cache_object stale = fresh;
    json_t *value = NULL, *variants, *one, *vary;

    stale.lifetime_s = 20;
    stale.vary = SLICE("accept: x/b\naccept-encoding: gzip\n");
    keep(box, "http://a.test/x", 1, 0, &fresh, "hello");
    keep(box, "http://a.test/x", 2, 0, &stale, "hello");
    assert_int_equal(admin_inspect(box->reader, NULL, SLICE("http://A.test:80/x"), 1020, &value),
                     OK);
    assert_string_equal(json_string_value(json_object_get(value, "url")), "http://a.test/x");
    variants = json_object_get(value, "variants");
    assert_int_equal(json_array_size(variants), 2);
    one = json_array_get(variants, 0); /* the newest comes first */
    assert_string_equal(json_string_value(json_object_get(one, "state")), "stale");
    assert_int_equal(json_integer_value(json_object_get(one, "ttl_s")), -10);
    one = json_array_get(variants, 1);
    assert_string_equal(json_string_value(json_object_get(one, "state")), "fresh");
    assert_int_equal(json_integer_value(json_object_get(one, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(one, "age_s")), 30);
    assert_int_equal(json_integer_value(json_object_get(one, "ttl_s")), 30);
    assert_int_equal(json_integer_value(json_object_get(one, "lifetime_s")), 60);
    assert_int_equal(json_integer_value(json_object_get(one, "body_bytes")), 5);
    assert_string_equal(json_string_value(json_object_get(one, "etag")), "\"v1\"");
    assert_int_equal(json_array_size(json_object_get(one, "tags")), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(one, "tags"), 1)), "gr?n");
    vary = json_object_get(one, "vary");
    assert_string_equal(json_string_value(json_object_get(vary, "accept")), "x/a");
    assert_true(json_is_null(json_object_get(vary, "accept-encoding")));
    json_decref(value);
}

static void
assert_coding(const json_t *codings, size_t i, const char *want)
{
    char *text = json_dumps(json_array_get(codings, i), JSON_SORT_KEYS | JSON_COMPACT);

    assert_non_null(text);
    assert_string_equal(text, want);
    free(text);
}

/* What is kept of it in other codings; of a number that nobody knows only that it is there. */
static void
every_coding_is_shown(void **state)
{
    static const struct {
        uint8_t member;
        const char *head, *body;
    } members[] = {
        {CODING_BR, "Content-Encoding: br\r\nETag: \"v1~br.AAAAAAAAAAA\"\r\n", "abc"},
        {CODING_ZSTD, "", ""},
        {CODING_GZIP, "Content-Encoding: gzip\r\n", "0123456789ab"},
        {200, "X: y\r\n", ""},
    };
    const struct cache_object object = {
        .status = 200, .last_modified_s = -1, .lifetime_s = 60, .flags = CACHE_CODABLE};
    struct box *box = *state;
    json_t *value = NULL, *one, *codings;

    keep(box, "http://a.test/x", 1, 7, &object, "0123456789");
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        keep_record(box, "http://a.test/x",
                    &(struct store_record){.member = members[i].member,
                                           .variant = 1,
                                           .family = 7,
                                           .head = slice_from_str(members[i].head)},
                    members[i].body);
    assert_int_equal(admin_inspect(box->reader, NULL, SLICE("http://a.test/x"), 0, &value), OK);
    assert_int_equal(json_array_size(json_object_get(value, "variants")), 1);
    one = json_array_get(json_object_get(value, "variants"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "coding")), "identity");
    assert_true(json_is_true(json_object_get(one, "codable")));
    assert_true(json_is_false(json_object_get(one, "decodable")));
    codings = json_object_get(one, "codings");
    assert_int_equal(json_array_size(codings), ARRAY_LEN(members));
    assert_coding(codings, 0,
                  "{\"body_bytes\":12,\"coding\":\"gzip\",\"etag\":null,\"pays\":true,"
                  "\"saved_percent\":-20}");
    assert_coding(codings, 1,
                  "{\"body_bytes\":3,\"coding\":\"br\",\"etag\":\"\\\"v1~br.AAAAAAAAAAA\\\"\","
                  "\"pays\":true,\"saved_percent\":70}");
    assert_coding(codings, 2, "{\"coding\":\"zstd\",\"pays\":false}");
    assert_coding(codings, 3,
                  "{\"body_bytes\":0,\"coding\":\"member 200\",\"etag\":null,\"pays\":true,"
                  "\"saved_percent\":100}");
    json_decref(value);
}

static void
what_is_not_stored_is_not_found(void **state)
{
    struct box *box = *state;
    json_t *value = NULL;

    assert_int_equal(admin_inspect(box->reader, NULL, SLICE("http://a.test/no"), 0, &value),
                     ERR_NOT_FOUND);
    json_decref(value);
    value = NULL;
    assert_int_equal(admin_inspect(box->reader, NULL, SLICE("/relative"), 0, &value), ERR_SYNTAX);
    assert_null(value);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_become_rows),
        cmocka_unit_test(unclear_orders_are_refused),
        cmocka_unit_test(long_orders_are_refused),
        cmocka_unit_test(any_bytes_become_json),
        cmocka_unit_test_setup_teardown(every_variant_is_shown, open_box, close_box),
        cmocka_unit_test_setup_teardown(every_coding_is_shown, open_box, close_box),
        cmocka_unit_test_setup_teardown(what_is_not_stored_is_not_found, open_box, close_box),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
