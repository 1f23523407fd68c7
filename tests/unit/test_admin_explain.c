/* An explanation, from the words of an operator to its JSON, over a real store: what the wire tests
 * cannot see, such as what is said when memory runs out. */
#include "cache_fixture.h"
#include "explain_help.h"

#include <jansson.h>

#include "daemon/admin_explain.h"
#include "net/loop.h"
#include "proxy/unstorable.h"

static const char *const named_hosts[] = {"a.test"};
static const char *const key_fields[] = {"device"};
static const struct site_settings sites[] = {
    {.name = "named",
     .hosts = named_hosts,
     .hosts_n = 1,
     .key_fields = key_fields,
     .key_fields_n = 1},
    {.name = "rest", .pass = true},
};
static const struct proxy_settings settings = {.head_limits = {8192, 32768, 100},
                                               .watch = {16, 16, 0, 1 << 20},
                                               .fill_window_len = 1,
                                               .node_name = "brink",
                                               .sites = sites,
                                               .sites_n = ARRAY_LEN(sites)};

/* Fresh for a minute, of "Device: tv" and whatever language. */
static void
put(struct bench *bench, const char *key_text, const char *language)
{
    static const char *const names[] = {"device"};
    struct store_key key = help_key(key_text);
    struct cache_object object = {.status = 200,
                                  .response_s = NOW_S,
                                  .date_s = NOW_S,
                                  .last_modified_s = -1,
                                  .lifetime_s = 60,
                                  .lifetime_from = CACHE_LIFETIME_MAX_AGE,
                                  .etag = SLICE("\"v\""),
                                  .tags = SLICE("red a%20b")};
    struct store_record record = {.head = SLICE("HTTP/1.1 200 OK\r\n")};
    struct http_fields request, response;
    struct help_wait wait;
    struct store_put *put;
    struct arena arena;
    struct slice keyed;
    char lines[128];

    arena_init(&arena, 0);
    (void)snprintf(lines, sizeof(lines), "Device: tv\nAccept-Language: %s", language);
    fields_from(&arena, lines, &request);
    fields_from(&arena, "Vary: Accept-Language", &response);
    assert_int_equal(cache_keyed_build(&arena, names, 1, &request, &keyed), OK);
    assert_int_equal(
        cache_vary_build(&arena, keyed, 0, &request, &response, &object.vary, &record.variant), OK);
    assert_int_equal(cache_object_encode(&arena, &object, &record.meta), OK);
    assert_int_equal(store_put_begin(bench->store, &key, &put), OK);
    assert_int_equal(store_put_end(put, &record, NULL, help_done(&wait)), OK);
    store_put_release(&put);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    arena_fini(&arena);
}

static int
set_up(void **state)
{
    struct bench *bench = bench_new(&settings);
    struct store_key key = help_key("http://a.test/private");

    put(bench, "http://a.test/x", "de");
    put(bench, "http://a.test/x", "fr");
    unstorable_note(bench->shared->unstorable, &key.hash, REASON_PRIVATE, loop_now_ms(), 60);
    *state = bench;
    return 0;
}

/* `fields` separated by line feeds. */
static enum err
ask(struct bench *bench, const char *method, const char *url, const char *fields, json_t **out,
    const char **out_hint)
{
    struct slice lines[BENCH_FIELDS_MAX];
    struct explain_question question = {.url = slice_from_str(url),
                                        .method = slice_from_str(method)};

    bench_fields(fields, lines, &question);
    return admin_explain(bench->shared, bench->reader, &question, NOW_S + 18, out, out_hint);
}

static const char *
text_at(const json_t *root, const char *object, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(root, object), name));

    return text == NULL ? "" : text;
}

static void
verdicts(void **state)
{
    static const struct {
        const char *why, *method, *url, *fields, *end, *site, *sentence;
    } cases[] = {
        {"a hit", "GET", "http://A.test:80/x", "Device: tv\nAccept-Language: de", "hit", "named",
         "would be answered from the store: fresh for 42 s more"},
        {"known", "GET", "http://a.test/x", "Device: tv\nAccept-Language: de\nIf-None-Match: \"v\"",
         "hit", "named",
         "would be answered from the store: fresh for 42 s more; as 304, for the client has it "
         "already"},
        {"another variant", "GET", "http://a.test/x", "Device: tv\nAccept-Language: it", "fetched",
         "named", "would be fetched: no stored variant matches the request's fields"},
        {"another device", "GET", "http://a.test/x", "Device: pc\nAccept-Language: de", "fetched",
         "named", "would be fetched: no stored variant matches the request's fields"},
        {"nothing", "GET", "http://a.test/y", "", "fetched", "named",
         "would be fetched: nothing is stored under this key"},
        {"lately not storable", "GET", "http://a.test/private", "", "fetched-alone", "named",
         "would be fetched by itself: remembered as not storable for "},
        {"passed", "GET", "http://b.test/x", "", "passed", "rest",
         "would be passed to the origin, unstored: the configuration passes this request"},
        {"9110 section 7.4", "GET", "https://a.test/x", "", "refused", "",
         "would be refused with 421: another scheme than the connection's"},
        {"9112 section 3.2", "GET", "http://a.test/x", "Content-Length: 1\nContent-Length: 1",
         "refused", "", "would be refused with 400: repeated Content-Length"},
        {"a purge", "PURGE", "http://a.test/x", "", "local", "named",
         "would be a purge, from who may (purge_from)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *hint = NULL, *sentence;
        json_t *root = NULL;

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(ask(*state, cases[i].method, cases[i].url, cases[i].fields, &root, &hint),
                         OK);
        assert_string_equal(text_at(root, "verdict", "end"), cases[i].end);
        assert_string_equal(text_at(root, "site", "name"), cases[i].site);
        sentence = text_at(root, "verdict", "sentence");
        assert_true(slice_starts(slice_from_str(sentence), slice_from_str(cases[i].sentence)));
        assert_string_equal(
            json_string_value(json_array_get(json_array_get(json_object_get(root, "lines"), 0), 1)),
            sentence);
        json_decref(root);
    }
}

static void
what_is_no_question(void **state)
{
    static const struct {
        const char *why, *method, *url, *field, *hint;
    } cases[] = {
        {"no URL", "GET", "nonsense", "", "absolute URL"},
        {"a line break in it", "GET", "http://a.test/\r\nA: b", "", "absolute URL"},
        {"a fragment", "GET", "http://a.test/#x", "", "absolute URL"},
        {"no method", "G T", "http://a.test/", "", "a method"},
        {"an empty one", "", "http://a.test/", "", "a method"},
        {"no field", "GET", "http://a.test/", "nonsense", "Name: value"},
        {"a blank in its name", "GET", "http://a.test/", "a b: c", "Name: value"},
        {"a CR in it", "GET", "http://a.test/", "A: b\rC: d", "Name: value"},
        {"Host", "GET", "http://a.test/", "hOST: b", "the URL names the host"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *hint = NULL;
        json_t *root = NULL;

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(ask(*state, cases[i].method, cases[i].url, cases[i].field, &root, &hint),
                         ERR_SYNTAX);
        assert_null(root);
        assert_non_null(strstr(hint, cases[i].hint));
    }
}

/* Each allocation fails once; then it says so, and nothing is left behind (the sanitizer looks). */
static void
no_memory(void **state)
{
    enum err rc = ERR_NOMEM;

    for (unsigned nth = 1; rc != OK; nth++) {
        const char *hint = NULL;
        json_t *root = NULL;

        assert_in_range(nth, 1, 200);
        mem_fail_at(nth);
        rc = ask(*state, "GET", "http://a.test/x", "Device: tv\nAccept-Language: de", &root, &hint);
        mem_fail_at(0);
        assert_true(rc == OK || rc == ERR_NOMEM);
        assert_int_equal(root != NULL, rc == OK);
        json_decref(root);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(what_is_no_question),
        cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, set_up, bench_tear_down);
}
