/* Methods, names, lists of fields and heads written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/msg.h"

static void
methods(void **state)
{
    static const struct {
        const char *text;
        enum http_method want;
        bool safe, idempotent; /* RFC 9110 sections 9.2.1 and 9.2.2 */
    } cases[] = {
        {"GET", METHOD_GET, true, true},           {"HEAD", METHOD_HEAD, true, true},
        {"POST", METHOD_POST, false, false},       {"PUT", METHOD_PUT, false, true},
        {"DELETE", METHOD_DELETE, false, true},    {"OPTIONS", METHOD_OPTIONS, true, true},
        {"PATCH", METHOD_PATCH, false, false},     {"TRACE", METHOD_TRACE, true, true},
        {"QUERY", METHOD_QUERY, true, true},       {"Query", METHOD_OTHER, false, false},
        {"CONNECT", METHOD_CONNECT, false, false}, {"PURGE", METHOD_PURGE, false, true},
        {"get", METHOD_OTHER, false, false},       {"Get", METHOD_OTHER, false, false},
        {"GE", METHOD_OTHER, false, false},        {"GETS", METHOD_OTHER, false, false},
        {"HEAP", METHOD_OTHER, false, false},      {"TRACK", METHOD_OTHER, false, false},
        {"DELETF", METHOD_OTHER, false, false},    {"CONNECX", METHOD_OTHER, false, false},
        {"", METHOD_OTHER, false, false},          {"PROPFIND", METHOD_OTHER, false, false},
        {"PUR", METHOD_OTHER, false, false},       {"OPTION", METHOD_OTHER, false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum http_method got = http_method_from(slice_from_str(cases[i].text));

        if (got != cases[i].want)
            fail_msg("%s", cases[i].text);
        assert_int_equal(http_method_is_safe(got), cases[i].safe);
        assert_int_equal(http_method_is_idempotent(got), cases[i].idempotent);
    }
}

/* Each row of the table is found in any case, and nothing that differs from it in one byte is. */
static void
every_known_name(void **state)
{
    for (unsigned token = 1; token < HTTP_TOKEN_COUNT; token++) {
        const char *name = http_token_name((enum http_token)token);
        size_t len = strlen(name);
        char text[64];

        assert_true(len < sizeof(text));
        memcpy(text, name, len);
        assert_int_equal(http_token_from(slice_of(text, len)), token);
        for (size_t i = 0; i < len; i++)
            text[i] = (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
        assert_int_equal(http_token_from(slice_of(text, len)), token);
        assert_int_not_equal(http_token_from(slice_of(text, len - 1)), token);
        for (size_t i = 0; i < len; i++) {
            char kept = text[i];

            for (int c = 0; c < 256; c++) {
                text[i] = (char)c;
                if (char_lower((char)c) != char_lower(kept))
                    assert_int_not_equal(http_token_from(slice_of(text, len)), token);
            }
            text[i] = kept;
        }
    }
}

static void
unknown_names(void **state)
{
    static const char *const names[] = {"",
                                        "a",
                                        "x",
                                        "user-agent",
                                        "accept",
                                        "x-forwarded",
                                        "hos",
                                        "hostt",
                                        "content_length",
                                        "sec-ch-ua",
                                        "a-name-that-is-longer-than-every-one-of-the-known-names"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(http_token_from(slice_from_str(names[i])), HTTP_UNKNOWN);
    assert_int_equal(http_token_from(SLICE_NONE), HTTP_UNKNOWN);
}

static void
flags_follow_the_table(void **state)
{
    assert_int_equal(http_token_flags(HTTP_UNKNOWN), 0);
    assert_int_equal(http_token_flags(HTTP_CONNECTION), F_HOP);
    assert_int_equal(http_token_flags(HTTP_HOST), F_OURS | F_SINGLE);
    assert_int_equal(http_token_flags(HTTP_CONTENT_LENGTH), F_CTRL);
    assert_int_equal(http_token_flags(HTTP_COOKIE), 0);
}

struct pair {
    const char *name, *value;
};

static void
fill(struct http_fields *fields, struct arena *arena, const struct pair *pairs, size_t n)
{
    arena_init(arena, 0);
    assert_int_equal(http_fields_init(fields, arena, (unsigned)n), OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            http_fields_add(fields, slice_from_str(pairs[i].name), slice_from_str(pairs[i].value)),
            OK);
}

/* RFC 9110 section 5.3: order is kept; names are the same in any case. */
static void
fields_are_found(void **state)
{
    static const struct pair pairs[] = {{"Via", "1"}, {"X-A", "2"}, {"via", "3"}, {"x-a", "4"},
                                        {"Age", "5"}, {"VIA", "6"}, {"X-AB", "7"}};
    struct http_fields fields;
    struct arena arena;
    const struct http_field *field;

    fill(&fields, &arena, pairs, ARRAY_LEN(pairs));
    field = http_fields_get(&fields, HTTP_VIA);
    assert_true(slice_is(field->value, "1"));
    field = http_fields_next(&fields, field);
    assert_true(slice_is(field->value, "3"));
    field = http_fields_next(&fields, field);
    assert_true(slice_is(field->value, "6"));
    assert_null(http_fields_next(&fields, field));

    field = http_fields_find(&fields, SLICE("X-a"));
    assert_true(slice_is(field->value, "2"));
    field = http_fields_next(&fields, field);
    assert_true(slice_is(field->value, "4"));
    assert_null(http_fields_next(&fields, field));

    assert_true(slice_is(http_fields_find(&fields, SLICE("AGE"))->value, "5"));
    assert_null(http_fields_find(&fields, SLICE("X-B")));
    assert_null(http_fields_find(&fields, SLICE("Date")));
    assert_null(http_fields_get(&fields, HTTP_DATE));
    assert_true(http_fields_has(&fields, HTTP_AGE));
    assert_false(http_fields_has(&fields, HTTP_DATE));
    assert_int_equal(http_fields_count(&fields, HTTP_VIA), 3);
    assert_int_equal(http_fields_count(&fields, HTTP_AGE), 1);
    assert_int_equal(http_fields_count(&fields, HTTP_DATE), 0);
    arena_fini(&arena);
}

static void
fields_have_limits(void **state)
{
    struct http_fields fields;
    struct arena arena;

    arena_init(&arena, 0);
    assert_int_equal(http_fields_init(&fields, &arena, 1), OK);
    assert_int_equal(http_fields_add(&fields, SLICE("a"), SLICE("b")), OK);
    assert_int_equal(http_fields_add(&fields, SLICE("a"), SLICE("b")), ERR_LIMIT);
    assert_int_equal(fields.n, 1);
    assert_int_equal(http_fields_init(&fields, &arena, 100000), OK);
    assert_int_equal(fields.cap, HTTP_FIELDS_MAX);
    for (unsigned i = 0; i < HTTP_FIELDS_MAX - 1; i++)
        assert_int_equal(http_fields_add(&fields, SLICE("a"), SLICE("b")), OK);
    assert_int_equal(http_fields_add(&fields, SLICE("Host"), SLICE("b")), OK);
    assert_ptr_equal(http_fields_get(&fields, HTTP_HOST), &fields.items[HTTP_FIELDS_MAX - 1]);
    assert_int_equal(http_fields_init(&fields, &arena, 0), OK);
    assert_int_equal(http_fields_add(&fields, SLICE("a"), SLICE("b")), ERR_LIMIT);
    arena_fini(&arena);

    arena_init(&arena, 16);
    assert_int_equal(http_fields_init(&fields, &arena, 10), ERR_NOMEM);
    arena_fini(&arena);
}

/* RFC 9110 section 7.6.1, in a request and in a response. */
static void
nomination(void **state)
{
    static const struct {
        const char *why, *connection;
        enum err request, response;
        const char *marks; /* of: Connection, X-A, Cookie, TE, x-a */
    } cases[] = {
        {"nothing named", "", OK, OK, "y--y-"},
        {"close", "close", OK, OK, "y--y-"},
        {"an unknown name, wherever it stands", "X-a", OK, OK, "yy-yy"},
        {"a name that is absent", "x-b", OK, OK, "y--y-"},
        {"several", "te, x-A ,close", OK, OK, "yy-yy"},
        {"a name for every recipient", "cookie", ERR_SYNTAX, OK, "y--y-"},
        {"the same among others", "x-a, COOKIE", ERR_SYNTAX, OK, "yy-yy"},
        {"no token", "x-a y", ERR_SYNTAX, ERR_SYNTAX, ""},
        {"a quoted string", "\"x-a\"", ERR_SYNTAX, ERR_SYNTAX, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct pair pairs[] = {{"Connection", cases[i].connection},
                                     {"X-A", "1"},
                                     {"Cookie", "2"},
                                     {"TE", "3"},
                                     {"x-a", "4"}};
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        fill(&fields, &arena, pairs, ARRAY_LEN(pairs));
        assert_int_equal(http_fields_nominate(&fields), cases[i].request);
        assert_int_equal(http_fields_nominate_response(&fields), cases[i].response);
        for (size_t f = 0; cases[i].response == OK && f < fields.n; f++)
            assert_int_equal(fields.items[f].nominated, cases[i].marks[f] == 'y');
        arena_fini(&arena);
    }
}

static void
reasons(void **state)
{
    assert_string_equal(http_reason(200), "OK"); /* RFC 9110 section 15 */
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(431), "Request Header Fields Too Large"); /* RFC 6585 */
    assert_string_equal(http_reason(511), "Network Authentication Required");
    assert_string_equal(http_reason(299), "Unknown");
    assert_string_equal(http_reason(0), "Unknown");
    assert_string_equal(http_reason(599), "Unknown");
    assert_string_equal(http_reason(600), "Unknown");
    assert_string_equal(http_reason(4000000000U), "Unknown");
    for (unsigned rc = 1; rc < ERR_COUNT; rc++) /* whatever brink answers by itself has a phrase */
        assert_string_not_equal(http_reason(err_status((enum err)rc)), "Unknown");
}

static void
head_is_written(void **state)
{
    static const char want[] = "HTTP/1.1 200 OK\r\n"
                               "Age: 0\r\n"
                               "X: 18446744073709551615\r\n"
                               "Via: 1.1 brink\r\n"
                               "Empty: \r\n"
                               "plain 42\r\n";
    struct arena arena;
    struct http_out out;

    for (size_t hint = 0; hint < sizeof(want) + 2; hint++) {
        arena_init(&arena, 0);
        http_out_init(&out, &arena, hint);
        http_out_status(&out, 200, SLICE("OK"));
        http_out_field_u64(&out, "Age", 0);
        http_out_field_u64(&out, "X", UINT64_MAX);
        http_out_field_str(&out, "Via", "1.1 brink");
        http_out_field(&out, SLICE("Empty"), SLICE_NONE);
        http_out_str(&out, "plain ");
        http_out_u64(&out, 42);
        http_out_text(&out, SLICE("\r\n"));
        assert_int_equal(out.rc, OK);
        assert_true(slice_is(http_out_slice(&out), want));
        arena_fini(&arena);
    }
}

/* RFC 9112 section 4: the space before an absent reason is sent. */
static void
status_line_keeps_its_space(void **state)
{
    struct arena arena;
    struct http_out out;

    arena_init(&arena, 0);
    http_out_init(&out, &arena, 0);
    http_out_status(&out, 299, SLICE_NONE);
    assert_true(slice_is(http_out_slice(&out), "HTTP/1.1 299 \r\n"));
    arena_fini(&arena);
}

static void
write_errors_stick(void **state)
{
    static const char text[1000] = {'x'};
    struct arena arena;
    struct http_out out;

    arena_init(&arena, 512);
    http_out_init(&out, &arena, 16);
    http_out_text(&out, slice_of(text, 10));
    assert_int_equal(http_out_slice(&out).len, 10);
    http_out_text(&out, slice_of(text, sizeof(text)));
    assert_int_equal(out.rc, ERR_NOMEM);
    assert_int_equal(http_out_slice(&out).len, 0);
    http_out_str(&out, "y");
    http_out_field(&out, SLICE("a"), SLICE("b"));
    http_out_u64(&out, 1);
    assert_int_equal(out.rc, ERR_NOMEM);
    assert_int_equal(http_out_slice(&out).len, 0);
    http_out_init(&out, &arena, 100000);
    assert_int_equal(out.rc, ERR_NOMEM);
    arena_fini(&arena);

    arena_init(&arena, 0);
    http_out_init(&out, &arena, 0);
    http_out_field(&out, SLICE("a"), slice_of(text, SIZE_MAX - 2)); /* the sum would wrap */
    assert_int_equal(out.rc, ERR_NOMEM);
    arena_fini(&arena);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods),
        cmocka_unit_test(every_known_name),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(flags_follow_the_table),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(fields_have_limits),
        cmocka_unit_test(nomination),
        cmocka_unit_test(reasons),
        cmocka_unit_test(head_is_written),
        cmocka_unit_test(status_line_keeps_its_space),
        cmocka_unit_test(write_errors_stick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
