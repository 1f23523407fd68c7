/* Byte ranges of a stored response. RFC 9110 sections 13.1.5 and 14. */
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
        struct range_set set = {0};

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].fields);
        assert_int_equal(range_resolve(&request, &object, cases[i].body_len, NOW_S, 16, &set),
                         cases[i].want);
        assert_int_equal(set.n, cases[i].want == RANGE_PART ? 1 : 0);
        if (set.n == 1) {
            assert_true(set.parts[0].first == cases[i].first);
            assert_true(set.parts[0].len == cases[i].len);
        }
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
        {"14.2: QUERY as GET", METHOD_QUERY, {.status = 200}, "", RANGE_PART},
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
        struct range_set set;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        (void)snprintf(fields, sizeof(fields), "Range: bytes=0-9%s", cases[i].if_range);
        request = request_from(&arena, cases[i].method, fields);
        assert_int_equal(range_resolve(&request, &cases[i].object, 100, NOW_S, 16, &set),
                         cases[i].want);
        arena_fini(&arena);
    }
}

/* The parts as "first+len ..." */
static struct slice
describe(const struct range_set *set, char *buf, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < set->n; i++)
        len += (size_t)snprintf(buf + len, cap - len, "%s%llu+%llu", i == 0 ? "" : " ",
                                (unsigned long long)set->parts[i].first,
                                (unsigned long long)set->parts[i].len);
    return slice_of(buf, len);
}

static void
several_ranges(void **state)
{
    static const struct {
        const char *why, *value;
        uint64_t body_len;
        unsigned parts_max;
        enum range_result want;
        const char *parts;
    } cases[] = {
        {"15.3.7.2: two parts", "0-9,200-209", 1000, 16, RANGE_PART, "0+10 200+10"},
        {"15.3.7.2: in the order asked for", "200-209,0-9", 1000, 16, RANGE_PART, "200+10 0+10"},
        {"15.3.7.2: the last and the first bytes", "-10,0-9", 1000, 16, RANGE_PART, "990+10 0+10"},
        {"15.3.7.2: one that lies outside is left out", "0-9,5000-,500-509", 1000, 16, RANGE_PART,
         "0+10 500+10"},
        {"15.3.7.2: only one is left", "0-9,5000-", 1000, 16, RANGE_PART, "0+10"},
        {"15.5.17: none is left", "5000-,-0,1000-1001", 1000, 16, RANGE_UNSATISFIABLE, ""},
        {"15.3.7.2: overlapping ones are one", "0-99,50-149,500-", 1000, 16, RANGE_PART,
         "0+150 500+500"},
        {"15.3.7.2: one within another", "100-199,120-130,600-", 1000, 16, RANGE_PART,
         "100+100 600+400"},
        {"15.3.7.2: adjacent ones are one", "0-99,100-199,900-", 1000, 16, RANGE_PART,
         "0+200 900+100"},
        {"15.3.7.2: a gap that costs less than a part", "0-9,89-99", 1000, 16, RANGE_PART, "0+100"},
        {"15.3.7.2: a gap that costs more", "0-9,90-99", 1000, 16, RANGE_PART, "0+10 90+10"},
        {"15.3.7.2: united in the place of the first", "500-509,0-9,400-450,430-499", 1000, 16,
         RANGE_PART, "400+110 0+10"},
        {"15.3.7.2: two become neighbours by a third", "0-9,200-209,10-199,900-909", 1000, 16,
         RANGE_PART, "0+210 900+10"},
        {"14.2: the whole in two halves", "0-499,500-", 1000, 16, RANGE_PART, "0+1000"},
        {"17.15: the whole twice", "0-,0-", 1000, 16, RANGE_EXCESSIVE, ""},
        {"17.15: more bytes than there are", "0-899,800-999", 1000, 16, RANGE_EXCESSIVE, ""},
        {"17.15: as many as are allowed", "0-0,100-100,200-200", 1000, 3, RANGE_PART,
         "0+1 100+1 200+1"},
        {"17.15: one too many", "0-0,100-100,200-200,300-300", 1000, 3, RANGE_EXCESSIVE, ""},
        {"17.15: one too many that lies outside", "0-0,100-100,200-200,5000-", 1000, 3,
         RANGE_EXCESSIVE, ""},
        {"14.2: none in parts", "0-0,100-100", 1000, 0, RANGE_EXCESSIVE, ""},
        {"14.2: one is none", "0-0,100-100", 1000, 1, RANGE_EXCESSIVE, ""},
        {"14.2: a single one always", "0-9", 1000, 0, RANGE_PART, "0+10"},
        {"14.1.1: one of them malformed", "0-9,x,200-209", 1000, 16, RANGE_WHOLE, ""},
        {"14.1.2: of an empty body", "0-9,-5", 0, 16, RANGE_WHOLE, ""},
        {"14.1.2: positions past 64 bits", "99999999999999999999-,0-99999999999999999999", 1000, 16,
         RANGE_PART, "0+1000"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const struct cache_object object = {.status = 200, .last_modified_s = -1};
        struct range_set set = {0};
        char fields[256], text[256];
        struct arena arena;
        struct http_request request;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        (void)snprintf(fields, sizeof(fields), "Range: bytes=%s", cases[i].value);
        request = request_from(&arena, METHOD_GET, fields);
        assert_int_equal(
            range_resolve(&request, &object, cases[i].body_len, NOW_S, cases[i].parts_max, &set),
            cases[i].want);
        if (cases[i].want == RANGE_PART)
            assert_text(describe(&set, text, sizeof(text)), cases[i].parts);
        arena_fini(&arena);
    }
}

static void
parts_that_go_backwards(void **state)
{
    static const struct {
        const char *fields;
        bool ascending;
    } cases[] = {{"Range: bytes=0-9", true},
                 {"Range: bytes=0-9,200-209,400-", true},
                 {"Range: bytes=200-209,0-9", false},
                 {"Range: bytes=200-209,300-,0-9", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const struct cache_object object = {.status = 200, .last_modified_s = -1};
        struct range_set set;
        struct arena arena;
        struct http_request request;

        print_message("case: %s\n", cases[i].fields);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].fields);
        assert_int_equal(range_resolve(&request, &object, 1000, NOW_S, 16, &set), RANGE_PART);
        assert_true(set.ascending == cases[i].ascending);
        arena_fini(&arena);
    }
}

/* RFC 9110 sections 8.4 and 15.3.7.2: a coding is the representation's, and its parts are what is
 * coded; a message with several of them is not. */
static void
parts_of_coded_bytes(void **state)
{
    static const struct {
        const char *fields;
        enum http_coding coding;
        enum range_result want;
    } cases[] = {{"Range: bytes=0-9,200-209", CODING_IDENTITY, RANGE_PART},
                 {"Range: bytes=0-9,200-209", CODING_BR, RANGE_WHOLE},
                 {"Range: bytes=0-9", CODING_BR, RANGE_PART},
                 {"Range: bytes=0-9,10-19", CODING_GZIP, RANGE_PART},
                 {"Range: bytes=2000-,3000-", CODING_GZIP, RANGE_UNSATISFIABLE}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = 200, .coding = cases[i].coding};
        struct range_set set;
        struct arena arena;
        struct http_request request;

        print_message("case: %s of %s\n", cases[i].fields, coding_name(cases[i].coding));
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].fields);
        assert_int_equal(range_parts(&request, &object, 1000, 16, &set), cases[i].want);
        arena_fini(&arena);
    }
}

#define H "AbCd0123-_z"

/* RFC 9110 section 13.1.5: If-Range names the representation that the client has a part of. */
static void
representations(void **state)
{
    static const struct {
        const char *why;
        unsigned flags;
        enum http_coding stored;
        const char *fields;
        enum range_of want;
        enum http_coding coding;
        const char *hash;
        enum range_result of_stored;
    } cases[] = {
        {"no If-Range", CACHE_CODABLE, 0, "Range: bytes=0-9", RANGE_OF_ANY, 0, "", RANGE_PART},
        {"the stored one", CACHE_CODABLE, 0, "Range: bytes=0-9\nIf-Range: \"a\"", RANGE_OF_STORED,
         0, "", RANGE_PART},
        {"the stored one is coded", CACHE_CODED, CODING_BR, "Range: bytes=0-9\nIf-Range: \"a\"",
         RANGE_OF_STORED, CODING_BR, "", RANGE_PART},
        {"one that was made", CACHE_CODABLE, 0, "Range: bytes=0-9\nIf-Range: \"a~zstd." H "\"",
         RANGE_OF_MADE, CODING_ZSTD, H, RANGE_WHOLE},
        {"one that was decoded", CACHE_CODED, CODING_BR,
         "Range: bytes=0-9\nIf-Range: \"a~identity\"", RANGE_OF_MADE, 0, "", RANGE_WHOLE},
        {"one that was made for one answer", CACHE_CODABLE, 0,
         "Range: bytes=0-9\nIf-Range: W/\"a~zstd\"", RANGE_OF_NONE, 0, "", RANGE_WHOLE},
        {"by its date", CACHE_CODABLE, 0, "Range: bytes=0-9\nIf-Range: " MODIFIED, RANGE_OF_DATED,
         0, "", RANGE_PART},
        {"by another date", CACHE_CODABLE, 0, "Range: bytes=0-9\nIf-Range: " DATE_NOW,
         RANGE_OF_NONE, 0, "", RANGE_WHOLE},
        {"by two dates", CACHE_CODABLE, 0,
         "Range: bytes=0-9\nIf-Range: " MODIFIED "\nIf-Range: " MODIFIED, RANGE_OF_NONE, 0, "",
         RANGE_WHOLE},
        {"without a Range it says nothing", CACHE_CODABLE, 0, "If-Range: \"b\"", RANGE_OF_ANY, 0,
         "", RANGE_WHOLE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = 200,
                                            .flags = (uint16_t)cases[i].flags,
                                            .coding = cases[i].stored,
                                            .date_s = NOW_S,
                                            .last_modified_s = NOW_S - 60,
                                            .etag = SLICE("\"a\"")};
        enum http_coding coding;
        struct slice hash;
        struct arena arena;
        struct http_request request;
        struct range_set set;

        print_message("case: 13.1.5: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].fields);
        assert_int_equal(range_condition(&request, &object, NOW_S, &coding, &hash), cases[i].want);
        if (cases[i].want != RANGE_OF_NONE) {
            assert_int_equal(coding, cases[i].coding);
            assert_text(hash, cases[i].hash);
        }
        assert_int_equal(range_resolve(&request, &object, 100, NOW_S, 1, &set), cases[i].of_stored);
        assert_int_equal(range_parts(&request, &object, 5, 1, &set),
                         http_fields_has(&request.fields, HTTP_RANGE) ? RANGE_PART : RANGE_WHOLE);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),          cmocka_unit_test(what_ranges_apply_to),
        cmocka_unit_test(several_ranges),  cmocka_unit_test(parts_that_go_backwards),
        cmocka_unit_test(representations), cmocka_unit_test(parts_of_coded_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
