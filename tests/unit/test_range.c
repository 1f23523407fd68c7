/* A single byte range of a stored response. RFC 9110 sections 13.1.5 and 14. */
#include "cache_fixture.h"

#include "cache/range.h"

#define MODIFIED "Sun, 06 Nov 1994 08:48:37 GMT" /* NOW_S - 60 */

static void
ranges(void **state)
{
    static const struct {
        const char *why, *fields;
        uint64_t body_len;
        enum range_result want;
        uint64_t first, len;
    } cases[] = {
        {"14.2: no Range", "", 100, RANGE_WHOLE, 0, 0},
        {"14.1.2: the first bytes", "Range: bytes=0-9", 100, RANGE_PART, 0, 10},
        {"14.1.2: in the middle", "Range: bytes=10-19", 100, RANGE_PART, 10, 10},
        {"14.1.2: past the middle", "Range: bytes=60-79", 100, RANGE_PART, 60, 20},
        {"14.1.2: all but the last", "Range: bytes=0-98", 100, RANGE_PART, 0, 99},
        {"14.1.2: one byte", "Range: bytes=0-0", 100, RANGE_PART, 0, 1},
        {"14.1.2: the last byte", "Range: bytes=99-99", 100, RANGE_PART, 99, 1},
        {"14.1.2: exactly all", "Range: bytes=0-99", 100, RANGE_PART, 0, 100},
        {"14.1.2: beyond the end", "Range: bytes=90-200", 100, RANGE_PART, 90, 10},
        {"14.1.2: far beyond the end", "Range: bytes=90-18446744073709551615", 100, RANGE_PART, 90,
         10},
        {"14.1.2: open", "Range: bytes=40-", 100, RANGE_PART, 40, 60},
        {"14.1.2: open from 0", "Range: bytes=0-", 100, RANGE_PART, 0, 100},
        {"14.1.2: suffix", "Range: bytes=-10", 100, RANGE_PART, 90, 10},
        {"14.1.2: suffix of all", "Range: bytes=-100", 100, RANGE_PART, 0, 100},
        {"14.1.2: suffix longer than all", "Range: bytes=-1000", 100, RANGE_PART, 0, 100},
        {"14.1.2: suffix of nothing", "Range: bytes=-0", 100, RANGE_UNSATISFIABLE, 0, 0},
        {"14.1.2: first at the end", "Range: bytes=100-", 100, RANGE_UNSATISFIABLE, 0, 0},
        {"14.1.2: first beyond the end", "Range: bytes=500-600", 100, RANGE_UNSATISFIABLE, 0, 0},
        {"14.1.2: of an empty body", "Range: bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"14.1.2: suffix of an empty body", "Range: bytes=-5", 0, RANGE_WHOLE, 0, 0},
        {"14.1.2: suffix 0 of an empty body", "Range: bytes=-0", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"14.1.1: last before first", "Range: bytes=9-0", 100, RANGE_WHOLE, 0, 0},
        {"14.1.1: another unit", "Range: lines=0-9", 100, RANGE_WHOLE, 0, 0},
        {"14.1.1: no numbers", "Range: bytes=-", 100, RANGE_WHOLE, 0, 0},
        {"14.1.1: words", "Range: bytes=a-b", 100, RANGE_WHOLE, 0, 0},
        {"14.1.1: nothing", "Range:", 100, RANGE_WHOLE, 0, 0},
        {"14.1.1: no set", "Range: bytes=", 100, RANGE_WHOLE, 0, 0},
        {"14.1.2: the unit in capitals", "Range: BYTES=0-9", 100, RANGE_PART, 0, 10},
        {"14.2: several ranges", "Range: bytes=0-9,20-29", 100, RANGE_WHOLE, 0, 0},
        {"14.2: two fields", "Range: bytes=0-9\nRange: bytes=0-9", 100, RANGE_WHOLE, 0, 0},
        {"13.1.5: the same strong tag", "Range: bytes=0-9\nIf-Range: \"a\"", 100, RANGE_PART, 0,
         10},
        {"13.1.5: another strong tag", "Range: bytes=0-9\nIf-Range: \"b\"", 100, RANGE_WHOLE, 0, 0},
        {"13.1.5: a weak tag never matches", "Range: bytes=0-9\nIf-Range: W/\"a\"", 100,
         RANGE_WHOLE, 0, 0},
        {"13.1.5: not quoted", "Range: bytes=0-9\nIf-Range: a", 100, RANGE_WHOLE, 0, 0},
        {"13.1.5: a list is no tag", "Range: bytes=0-9\nIf-Range: \"a\", \"b\"", 100, RANGE_WHOLE,
         0, 0},
        {"13.1.5: two fields", "Range: bytes=0-9\nIf-Range: \"a\"\nIf-Range: \"a\"", 100,
         RANGE_WHOLE, 0, 0},
        {"13.1.5: the date", "Range: bytes=0-9\nIf-Range: " MODIFIED, 100, RANGE_PART, 0, 10},
        {"13.1.5: a later date is no match", "Range: bytes=0-9\nIf-Range: " DATE_NOW, 100,
         RANGE_WHOLE, 0, 0},
        {"13.1.5: If-Range without Range", "If-Range: \"b\"", 100, RANGE_WHOLE, 0, 0},
        {"13.1.5: an unsatisfiable range of another version", "Range: bytes=500-\nIf-Range: \"b\"",
         100, RANGE_WHOLE, 0, 0},
        {"13.1.5: an unsatisfiable range of this version", "Range: bytes=500-\nIf-Range: \"a\"",
         100, RANGE_UNSATISFIABLE, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const struct cache_object object = {
            .status = 200, .date_s = NOW_S, .last_modified_s = NOW_S - 60, .etag = SLICE("\"a\"")};
        struct arena arena;
        struct http_request request;
        struct range range = {0};

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].fields);
        assert_int_equal(range_resolve(&request, &object, cases[i].body_len, NOW_S, &range),
                         cases[i].want);
        assert_true(range.first == cases[i].first);
        assert_true(range.len == cases[i].len);
        arena_fini(&arena);
    }
}

static void
what_ranges_apply_to(void **state)
{
    static const struct {
        const char *why;
        enum http_method method;
        struct cache_object object;
        const char *if_range;
        enum range_result want;
    } cases[] = {
        {"14.2: GET and 200", METHOD_GET, {.status = 200}, "", RANGE_PART},
        {"14.2: not HEAD", METHOD_HEAD, {.status = 200}, "", RANGE_WHOLE},
        {"14.2: not 404", METHOD_GET, {.status = 404}, "", RANGE_WHOLE},
        {"14.2: not 203", METHOD_GET, {.status = 203}, "", RANGE_WHOLE},
        {"8.8.3.2: weak tags are equal only weakly",
         METHOD_GET,
         {.status = 200, .etag = SLICE("W/\"a\"")},
         "\nIf-Range: W/\"a\"",
         RANGE_WHOLE},
        {"13.1.5: a tag, but the response has none",
         METHOD_GET,
         {.status = 200},
         "\nIf-Range: \"a\"",
         RANGE_WHOLE},
        {"13.1.5: a date, but the response has none",
         METHOD_GET,
         {.status = 200, .last_modified_s = -1},
         "\nIf-Range: " MODIFIED,
         RANGE_WHOLE},
        {"8.8.2.2: modified long enough before Date",
         METHOD_GET,
         {.status = 200, .date_s = NOW_S, .last_modified_s = NOW_S - 60},
         "\nIf-Range: " MODIFIED,
         RANGE_PART},
        {"8.8.2.2: modified just before Date is weak",
         METHOD_GET,
         {.status = 200, .date_s = NOW_S - 1, .last_modified_s = NOW_S - 60},
         "\nIf-Range: " MODIFIED,
         RANGE_WHOLE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char fields[128];
        struct arena arena;
        struct http_request request;
        struct range range;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        (void)snprintf(fields, sizeof(fields), "Range: bytes=0-9%s", cases[i].if_range);
        request = request_from(&arena, cases[i].method, fields);
        assert_int_equal(range_resolve(&request, &cases[i].object, 100, NOW_S, &range),
                         cases[i].want);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(what_ranges_apply_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
