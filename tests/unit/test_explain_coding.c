/* Which coding an answer would have, over a real store: what is kept of an object, and what not. */
#include "cache_fixture.h"
#include "explain_help.h"

static const char *const types[] = {"text/*"};
static const struct site_settings sites[] = {
    {.name = "on",
     .coding = {.variant = {{CODING_BR, CODING_ZSTD, CODING_GZIP}, 3, types, 1, 4, true},
                .strong_max_len = 100}},
};
static const struct proxy_settings settings = {.head_limits = {8192, 32768, 100},
                                               .watch = {16, 16, 0, 1 << 20},
                                               .fill_window_len = 1,
                                               .node_name = "brink",
                                               .sites = sites,
                                               .sites_n = ARRAY_LEN(sites)};

static void
put(struct bench *bench, const char *key_text, struct store_record record, size_t body_len)
{
    struct store_key key = help_key(key_text);
    struct block *body = block_new(1024);
    struct help_wait wait;
    struct store_put *put;

    assert_non_null(body);
    assert_true(body_len <= body->cap);
    memset(body->data, 'x', body_len);
    body->len = (uint32_t)body_len;
    assert_int_equal(store_put_begin(bench->store, &key, &put), OK);
    assert_int_equal(store_put_end(put, &record, body_len > 0 ? body : NULL, help_done(&wait)), OK);
    store_put_release(&put);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    block_unref(&body);
}

static void
put_head(struct bench *bench, const char *key_text, uint64_t family, unsigned flags,
         enum http_coding coding, const char *lines, size_t body_len)
{
    struct cache_object object = {.status = 200,
                                  .flags = (uint16_t)flags,
                                  .coding = coding,
                                  .response_s = NOW_S,
                                  .date_s = NOW_S,
                                  .last_modified_s = -1,
                                  .lifetime_s = 60};
    struct store_record record = {.variant = 1, .family = family};
    struct arena arena;

    arena_init(&arena, 0);
    assert_int_equal(arena_printf(&arena, &record.head, "HTTP/1.1 200 OK\r\n%s", lines), OK);
    assert_int_equal(cache_object_encode(&arena, &object, &record.meta), OK);
    put(bench, key_text, record, body_len);
    arena_fini(&arena);
}

static void
put_member(struct bench *bench, const char *key_text, uint64_t family, enum http_coding coding,
           const char *lines, size_t body_len)
{
    put(bench, key_text,
        (struct store_record){.member = (uint8_t)coding,
                              .variant = 1,
                              .family = family,
                              .head = slice_from_str(lines)},
        body_len);
}

#define CSS "Content-Type: text/css\r\n"

static int
set_up(void **state)
{
    struct bench *bench = bench_new(&settings);

    put_head(bench, "http://a.test/css", 1, CACHE_CODABLE, CODING_IDENTITY, CSS, 50);
    put_member(bench, "http://a.test/css", 1, CODING_BR, "Content-Encoding: br\r\n", 20);
    put_member(bench, "http://a.test/css", 1, CODING_ZSTD, "", 0);
    put_head(bench, "http://a.test/long", 2, CACHE_CODABLE, CODING_IDENTITY, CSS, 101);
    put_head(bench, "http://a.test/alone", 0, CACHE_CODABLE, CODING_IDENTITY, CSS, 50);
    put_head(bench, "http://a.test/gz", 3, CACHE_CODABLE | CACHE_CODED, CODING_GZIP,
             CSS "Content-Encoding: gzip\r\n", 50);
    put_member(bench, "http://a.test/gz", 3, CODING_ZSTD, "", 0);
    put_head(bench, "http://a.test/png-gz", 4, CACHE_CODED, CODING_GZIP,
             "Content-Type: image/png\r\nContent-Encoding: gzip\r\n", 50);
    put_head(bench, "http://a.test/png", 5, 0, CODING_IDENTITY, "Content-Type: image/png\r\n", 50);
    put_head(bench, "http://a.test/short", 6, 0, CODING_IDENTITY, CSS, 3);
    put_head(bench, "http://a.test/before", 0, 0, CODING_IDENTITY, CSS, 50);
    put_head(bench, "http://a.test/damaged", 0, 0, CODING_IDENTITY, "no field\r\n", 50);
    *state = bench;
    return 0;
}

static enum err
ask(struct bench *bench, struct arena *arena, const char *path, const char *fields,
    struct explanation *out)
{
    struct slice lines[BENCH_FIELDS_MAX], url;
    struct explain_question question = {.method = SLICE("GET")};
    const char *hint;
    enum err rc;

    assert_int_equal(arena_printf(arena, &url, "http://a.test%s", path), OK);
    question.url = url;
    bench_fields(fields, lines, &question);
    store_read_begin(bench->reader);
    rc = explain_request(bench->shared, bench->reader, arena, &question, NOW_S + 1, out, &hint);
    store_read_end(bench->reader);
    return rc;
}

#define OPEN EXPLAIN_FORM_OPEN
#define STORED EXPLAIN_FORM_STORED
#define KEPT EXPLAIN_FORM_KEPT
#define QUICK EXPLAIN_FORM_QUICK
#define DECODED EXPLAIN_FORM_DECODED
#define IDENTITY CODING_IDENTITY
#define GZIP CODING_GZIP
#define BR CODING_BR

static void
forms(void **state)
{
    static const struct {
        const char *why, *path, *fields;
        enum explain_form form;
        enum http_coding coding;
        enum explain_coding_why because;
        enum variant_why object;
    } cases[] = {
        {"a kept form", "/css", "Accept-Encoding: br", KEPT, BR, 0, 0},
        {"12.5.3: the site's order", "/css", "Accept-Encoding: gzip, br", KEPT, BR, 0, 0},
        {"12.5.3: the client's weights", "/css", "Accept-Encoding: gzip, br;q=0.9", QUICK, GZIP, 0,
         0},
        {"one that does not pay", "/css", "Accept-Encoding: zstd", STORED, IDENTITY,
         EXPLAIN_CODING_NO_GAIN, 0},
        {"one that does not pay, and nothing else is taken", "/css",
         "Accept-Encoding: zstd, identity;q=0", QUICK, CODING_ZSTD, 0, 0},
        {"12.5.3: no field", "/css", "", STORED, IDENTITY, EXPLAIN_CODING_NOT_ASKED, 0},
        {"12.5.3: unknown ones", "/css", "Accept-Encoding: compress", STORED, IDENTITY,
         EXPLAIN_CODING_NOT_TAKEN, 0},
        {"12.5.3: identity first", "/css", "Accept-Encoding: br;q=0.5, identity", STORED, IDENTITY,
         EXPLAIN_CODING_LIKED, 0},
        {"12.5.3: nothing at all", "/css", "Accept-Encoding: identity;q=0", STORED, IDENTITY,
         EXPLAIN_CODING_NOTHING_ELSE, 0},
        {"12.5.3: nothing at all, of what came coded", "/png-gz",
         "Accept-Encoding: br, identity;q=0", DECODED, IDENTITY, 0, 0},
        {"9111 5.2.1.6: no-transform", "/css", "Accept-Encoding: br\nCache-Control: no-transform",
         STORED, IDENTITY, EXPLAIN_CODING_REQUEST, 0},
        {"14.2: a part of a kept form", "/css", "Accept-Encoding: br\nRange: bytes=0-1", KEPT, BR,
         0, 0},
        {"14.2: a part of what is stored", "/css", "Accept-Encoding: gzip\nRange: bytes=0-1",
         STORED, IDENTITY, EXPLAIN_CODING_PART, 0},
        {"too long to be kept", "/long", "Accept-Encoding: br", QUICK, BR, 0, 0},
        {"without a family", "/alone", "Accept-Encoding: br", QUICK, BR, 0, 0},
        {"8.4: as it came", "/gz", "Accept-Encoding: gzip", STORED, GZIP, EXPLAIN_CODING_LIKED, 0},
        {"8.4: as it came, though the site likes br more", "/gz", "Accept-Encoding: gzip, br",
         STORED, GZIP, EXPLAIN_CODING_LIKED, 0},
        {"8.4: decoded", "/gz", "", DECODED, IDENTITY, 0, 0},
        {"8.4: decoded, and coded", "/gz", "Accept-Encoding: br, gzip;q=0", QUICK, BR, 0, 0},
        {"8.4: decoded, and coded in vain", "/gz", "Accept-Encoding: zstd", DECODED, IDENTITY, 0,
         0},
        {"8.4: decoded, of another type", "/png-gz", "Accept-Encoding: br", DECODED, IDENTITY, 0,
         0},
        {"8.3: another type", "/png", "Accept-Encoding: br", STORED, IDENTITY,
         EXPLAIN_CODING_OBJECT, VARIANT_TYPE},
        {"too short", "/short", "Accept-Encoding: br", STORED, IDENTITY, EXPLAIN_CODING_OBJECT,
         VARIANT_SHORT},
        {"stored before the site compressed", "/before", "Accept-Encoding: br", STORED, IDENTITY,
         EXPLAIN_CODING_OBJECT, VARIANT_CODABLE},
        {"a damaged head", "/damaged", "Accept-Encoding: br", STORED, IDENTITY,
         EXPLAIN_CODING_OBJECT, VARIANT_CODABLE},
        {"nothing stored", "/none", "Accept-Encoding: zstd", OPEN, CODING_ZSTD,
         EXPLAIN_CODING_NOT_TAKEN, 0},
        {"nothing stored, nothing taken", "/none", "Accept-Encoding: x", OPEN, IDENTITY,
         EXPLAIN_CODING_NOT_TAKEN, 0},
        {"nothing stored, nothing asked", "/none", "", OPEN, IDENTITY, EXPLAIN_CODING_NOT_ASKED, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct explanation said;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(ask(*state, &arena, cases[i].path, cases[i].fields, &said), OK);
        assert_int_equal(said.coding.form, cases[i].form);
        assert_int_equal(said.coding.coding, cases[i].coding);
        if (cases[i].form == STORED || cases[i].form == OPEN)
            assert_int_equal(said.coding.why, cases[i].because);
        if (cases[i].form == STORED && said.coding.why == EXPLAIN_CODING_OBJECT)
            assert_int_equal(said.coding.object, cases[i].object);
        assert_int_equal(said.coding.len, cases[i].form == KEPT ? 20 : 0);
        arena_fini(&arena);
    }
}

static void
what_is_kept_afterwards(void **state)
{
    static const struct {
        const char *path;
        bool want;
    } cases[] = {{"/css", true}, {"/long", false}, {"/alone", false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct explanation said;
        struct arena arena;

        arena_init(&arena, 0);
        assert_int_equal(ask(*state, &arena, cases[i].path, "Accept-Encoding: gzip", &said), OK);
        assert_int_equal(said.coding.form, QUICK);
        assert_int_equal(said.coding.kept_later, cases[i].want);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(what_is_kept_afterwards),
    };

    return cmocka_run_group_tests(tests, set_up, bench_tear_down);
}
