/* Which answers a request allows: RFC 9110 sections 13 to 15. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cache_fixture.h"
#include "proxy/asked.h"

struct asked_case {
    const char *why;
    enum http_method method;
    const char *request;
    bool pass, validating;
    unsigned status;
    const char *response;
    enum err want;
};

static const struct asked_case cases[] = {
    /* 206 */
    {"14.2: 206 to no Range", METHOD_GET, "", true, false, 206, "Content-Range: bytes 0-4/10",
     ERR_ORIGIN_UNASKED},
    {"14.2: 206 where the Range did not go on", METHOD_GET, "Range: bytes=0-4", false, false, 206,
     "Content-Range: bytes 0-4/10", ERR_ORIGIN_UNASKED},
    {"14.2: 206 to POST", METHOD_POST, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-4/10", ERR_ORIGIN_UNASKED},
    {"15.3.7: the range asked for", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-4/10", OK},
    {"15.3.7: to HEAD as to GET", METHOD_HEAD, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-4/10", OK},
    {"15.3.7: less than asked for", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 1-3/10", OK},
    {"15.3.7: an unknown whole", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-4/*", OK},
    {"15.3.7: an open range", METHOD_GET, "Range: bytes=5-", true, false, 206,
     "Content-Range: bytes 5-9/10", OK},
    {"15.3.7: a suffix", METHOD_GET, "Range: bytes=-3", true, false, 206,
     "Content-Range: bytes 7-9/10", OK},
    {"15.3.7: a suffix longer than the whole", METHOD_GET, "Range: bytes=-30", true, false, 206,
     "Content-Range: bytes 0-9/10", OK},
    {"15.3.7: a later beginning", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 5-9/10", ERR_ORIGIN_UNASKED},
    {"15.3.7: an earlier beginning", METHOD_GET, "Range: bytes=5-", true, false, 206,
     "Content-Range: bytes 4-9/10", ERR_ORIGIN_UNASKED},
    {"15.3.7: a later end", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-5/10", ERR_ORIGIN_UNASKED},
    {"15.3.7: more than the suffix", METHOD_GET, "Range: bytes=-3", true, false, 206,
     "Content-Range: bytes 6-9/10", ERR_ORIGIN_UNASKED},
    {"15.3.7: one of several", METHOD_GET, "Range: bytes=0-1,5-6", true, false, 206,
     "Content-Range: bytes 0-6/10", OK},
    {"15.3.7: another unit", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: items 0-4/10", ERR_ORIGIN_UNASKED},
    {"14.1: a unit of its own", METHOD_GET, "Range: items=0-4", true, false, 206,
     "Content-Range: items 0-4/10", OK},
    {"15.3.7.1: no Content-Range", METHOD_GET, "Range: bytes=0-4", true, false, 206, "",
     ERR_ORIGIN_SYNTAX},
    {"15.3.7.1: two of them", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-4/10\nContent-Range: bytes 0-4/10", ERR_ORIGIN_SYNTAX},
    {"14.4: an end before the beginning", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 4-0/10", ERR_ORIGIN_SYNTAX},
    {"14.4: an end behind the whole", METHOD_GET, "Range: bytes=0-", true, false, 206,
     "Content-Range: bytes 0-10/10", ERR_ORIGIN_SYNTAX},
    {"14.4: no numbers", METHOD_GET, "Range: bytes=0-", true, false, 206,
     "Content-Range: bytes a-b/c", ERR_ORIGIN_SYNTAX},
    {"14.4: unsatisfied, in a 206", METHOD_GET, "Range: bytes=0-", true, false, 206,
     "Content-Range: bytes */10", ERR_ORIGIN_SYNTAX},
    {"14.4: no unit", METHOD_GET, "Range: bytes=0-", true, false, 206, "Content-Range: 0-4/10",
     ERR_ORIGIN_SYNTAX},
    {"14.4: an equals sign", METHOD_GET, "Range: bytes=0-", true, false, 206,
     "Content-Range: bytes=0-4/10", ERR_ORIGIN_SYNTAX},
    {"14.4: two blanks", METHOD_GET, "Range: bytes=0-", true, false, 206,
     "Content-Range: bytes  0-4/10", ERR_ORIGIN_SYNTAX},
    {"14.4: beyond 64 bits", METHOD_GET, "Range: bytes=0-", true, false, 206,
     "Content-Range: bytes 0-18446744073709551616/*", ERR_ORIGIN_SYNTAX},
    {"14.4: as many bytes as 64 bits cannot count", METHOD_GET, "Range: bytes=0-", true, false, 206,
     "Content-Range: bytes 0-18446744073709551615/*", ERR_ORIGIN_SYNTAX},
    {"15.3.7.2: several parts for one range", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Type: multipart/byteranges; boundary=x", ERR_ORIGIN_UNASKED},
    {"15.3.7.2: several parts for several", METHOD_GET, "Range: bytes=0-1,5-6", true, false, 206,
     "Content-Type: multipart/byteranges; boundary=x", OK},
    {"15.3.7.2: Content-Range beside parts", METHOD_GET, "Range: bytes=0-1,5-6", true, false, 206,
     "Content-Type: multipart/byteranges; boundary=x\nContent-Range: bytes 0-1/10",
     ERR_ORIGIN_UNASKED},
    {"15.3.7.1: the right length", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-4/10\nContent-Length: 5", OK},
    {"15.3.7.1: another length", METHOD_GET, "Range: bytes=0-4", true, false, 206,
     "Content-Range: bytes 0-4/10\nContent-Length: 6", ERR_ORIGIN_FRAMING},
    /* 416 */
    {"15.5.17: 416 to a Range", METHOD_GET, "Range: bytes=90-", true, false, 416, "", OK},
    {"15.5.17: 416 to none", METHOD_GET, "", true, false, 416, "", ERR_ORIGIN_UNASKED},
    {"15.5.17: 416 where the Range did not go on", METHOD_GET, "Range: bytes=90-", false, false,
     416, "", ERR_ORIGIN_UNASKED},
    {"15.5.17: 416 to POST", METHOD_POST, "Range: bytes=90-", true, false, 416, "",
     ERR_ORIGIN_UNASKED},
    /* 304 */
    {"15.4.5: 304 to brink's own condition", METHOD_GET, "", false, true, 304, "", OK},
    {"15.4.5: 304 to none", METHOD_GET, "", false, false, 304, "", ERR_ORIGIN_UNASKED},
    {"15.4.5: 304 where the condition did not go on", METHOD_GET, "If-None-Match: \"a\"", false,
     false, 304, "", ERR_ORIGIN_UNASKED},
    {"15.4.5: 304 to If-None-Match", METHOD_GET, "If-None-Match: \"a\"", true, false, 304, "", OK},
    {"15.4.5: 304 to If-Modified-Since", METHOD_HEAD, "If-Modified-Since: x", true, false, 304, "",
     OK},
    {"15.4.5: 304 to a HEAD without", METHOD_HEAD, "", true, false, 304, "", ERR_ORIGIN_UNASKED},
    {"15.4.5: 304 to POST", METHOD_POST, "If-None-Match: \"a\"", true, false, 304, "",
     ERR_ORIGIN_UNASKED},
    {"15.4.5: 304 to If-Match", METHOD_GET, "If-Match: \"a\"", true, false, 304, "",
     ERR_ORIGIN_UNASKED},
    /* 412 */
    {"15.5.13: 412 to If-Match", METHOD_PUT, "If-Match: \"a\"", true, false, 412, "", OK},
    {"15.5.13: 412 to If-Unmodified-Since", METHOD_GET, "If-Unmodified-Since: x", true, false, 412,
     "", OK},
    {"13.1.2: 412 to PUT with If-None-Match", METHOD_PUT, "If-None-Match: *", true, false, 412, "",
     OK},
    {"13.1.2: 412 to GET with If-None-Match", METHOD_GET, "If-None-Match: *", true, false, 412, "",
     ERR_ORIGIN_UNASKED},
    {"15.5.13: 412 to none", METHOD_POST, "", true, false, 412, "", ERR_ORIGIN_UNASKED},
    {"15.5.13: 412 to brink's own condition", METHOD_GET, "", false, true, 412, "",
     ERR_ORIGIN_UNASKED},
    {"RFC 4918 section 10.4: If", METHOD_OTHER, "If: (<x>)", true, false, 412, "", OK},
    {"RFC 4918 section 10.6: Overwrite", METHOD_OTHER, "Overwrite: F", true, false, 412, "", OK},
    {"RFC 6638 section 8.3: If-Schedule-Tag-Match", METHOD_PUT, "If-Schedule-Tag-Match: \"a\"",
     true, false, 412, "", OK},
    /* the rest */
    {"200", METHOD_GET, "", false, false, 200, "", OK},
    {"14.2: a Range may be ignored", METHOD_GET, "Range: bytes=0-4", true, false, 200, "", OK},
    {"404", METHOD_GET, "", false, true, 404, "", OK},
};

static void
answers_are_held_against_the_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct asked_case *c = &cases[i];
        struct arena arena;
        struct http_request request;
        struct http_response response;
        struct asked asked;
        const char *why;

        print_message("case: %s\n", c->why);
        arena_init(&arena, 0);
        request = request_from(&arena, c->method, c->request);
        response = response_from(&arena, c->status, c->response);
        if (http_fields_has(&response.fields, HTTP_CONTENT_LENGTH))
            assert_true(slice_to_u64(http_fields_get(&response.fields, HTTP_CONTENT_LENGTH)->value,
                                     &response.content_length));
        asked_for(&request, c->pass, c->validating, &asked);
        assert_int_equal(asked_check(&asked, &response, &why), c->want);
        arena_fini(&arena);
    }
}

static void
the_length_of_a_part(void **state)
{
    static const struct {
        const char *why, *response;
        enum http_method method;
        unsigned status;
        bool want;
        uint64_t len;
    } parts[] = {
        {"a part", "Content-Range: bytes 2-4/10", METHOD_GET, 206, true, 3},
        {"none to HEAD", "Content-Range: bytes 2-4/10", METHOD_HEAD, 206, false, 0},
        {"not of a 200", "Content-Range: bytes 2-4/10", METHOD_GET, 200, false, 0},
        {"not of several", "Content-Type: Multipart/ByteRanges; boundary=x", METHOD_GET, 206, false,
         0},
        {"not of another unit", "Content-Range: items 2-4/10", METHOD_GET, 206, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct arena arena;
        struct http_request request;
        struct http_response response;
        struct asked asked;
        uint64_t len = 0;

        print_message("case: %s\n", parts[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, parts[i].method, "Range: bytes=2-4");
        response = response_from(&arena, parts[i].status, parts[i].response);
        asked_for(&request, true, false, &asked);
        assert_int_equal(asked_part(&asked, &response, &len), parts[i].want);
        assert_int_equal(len, parts[i].len);
        arena_fini(&arena);
    }
}

/* Bytes 10 to 19 of 100, of the representation "a". */
static void
answers_to_a_slice(void **state)
{
    static const struct {
        const char *why;
        unsigned status;
        const char *response;
        enum err check;
        enum asked_slice want;
    } answers[] = {
        {"15.3.7: the bytes", 206, "Content-Range: bytes 10-19/100\nETag: \"a\"", OK, SLICE_RIGHT},
        {"15.3.7.3: of another representation", 206, "Content-Range: bytes 10-19/100\nETag: \"b\"",
         OK, SLICE_CHANGED},
        {"15.3.7.3: of another length", 206, "Content-Range: bytes 10-19/99\nETag: \"a\"", OK,
         SLICE_CHANGED},
        {"15.3.7.3: of another length, without a tag", 206, "Content-Range: bytes 10-19/99", OK,
         SLICE_CHANGED},
        {"15.3.7.3: nobody says of which", 206, "Content-Range: bytes 10-19/100", OK,
         SLICE_UNRANGED},
        {"8.8.3.2: a weak tag says nothing", 206, "Content-Range: bytes 10-19/100\nETag: W/\"a\"",
         OK, SLICE_UNRANGED},
        {"8.8.3.2: another weak tag does", 206, "Content-Range: bytes 10-19/100\nETag: W/\"b\"", OK,
         SLICE_CHANGED},
        {"8.8.3: two tags say nothing", 206,
         "Content-Range: bytes 10-19/100\nETag: \"a\"\nETag: \"a\"", OK, SLICE_UNRANGED},
        {"14.4: of an unknown length", 206, "Content-Range: bytes 10-19/*\nETag: \"a\"", OK,
         SLICE_UNRANGED},
        {"15.3.7: less than was asked for", 206, "Content-Range: bytes 10-18/100\nETag: \"a\"", OK,
         SLICE_UNRANGED},
        {"15.3.7: not from the beginning", 206, "Content-Range: bytes 11-19/100\nETag: \"a\"", OK,
         SLICE_UNRANGED},
        {"15.3.7: other bytes", 206, "Content-Range: bytes 0-9/100\nETag: \"a\"",
         ERR_ORIGIN_UNASKED, SLICE_RIGHT},
        {"15.3.7: several parts", 206, "Content-Type: multipart/byteranges; boundary=x",
         ERR_ORIGIN_UNASKED, SLICE_RIGHT},
        {"13.1.5: the whole of another one", 200, "ETag: \"b\"", OK, SLICE_CHANGED},
        {"13.1.5: the whole of nobody knows which", 200, "", OK, SLICE_CHANGED},
        {"14.2: the whole all the same", 200, "ETag: \"a\"", OK, SLICE_UNRANGED},
        {"14.2: the whole, and it is so long", 200, "ETag: \"a\"\nContent-Length: 100", OK,
         SLICE_UNRANGED},
        {"14.2: the whole, and it is longer", 200, "ETag: \"a\"\nContent-Length: 101", OK,
         SLICE_CHANGED},
        {"15.5.17: it is shorter now", 416, "", OK, SLICE_CHANGED},
        {"15.5.5: it is gone", 404, "", OK, SLICE_CHANGED},
        {"15.4.3: it is elsewhere", 302, "", OK, SLICE_CHANGED},
        {"15.6.1: a failure", 500, "", OK, SLICE_FAILED},
        {"15.6.4: not now", 503, "", OK, SLICE_FAILED},
        {"RFC 6585 section 4: not so often", 429, "", OK, SLICE_FAILED},
        {"15.4.5: 304 to none", 304, "", ERR_ORIGIN_UNASKED, SLICE_RIGHT},
        {"15.5.13: 412 to none", 412, "", ERR_ORIGIN_UNASKED, SLICE_RIGHT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct arena arena;
        struct http_response response;
        struct asked asked;
        const char *why;

        print_message("case: %s\n", answers[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, answers[i].status, answers[i].response);
        if (http_fields_has(&response.fields, HTTP_CONTENT_LENGTH))
            assert_true(slice_to_u64(http_fields_get(&response.fields, HTTP_CONTENT_LENGTH)->value,
                                     &response.content_length));
        asked_for_slice(10, 19, &asked);
        assert_int_equal(asked_check(&asked, &response, &why), answers[i].check);
        if (answers[i].check == OK)
            assert_int_equal(asked_slice(&asked, &response, 100, SLICE("\"a\"")), answers[i].want);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_held_against_the_request),
        cmocka_unit_test(the_length_of_a_part),
        cmocka_unit_test(answers_to_a_slice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
