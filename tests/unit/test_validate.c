/* Conditions of clients, our own conditions, and stored heads. RFC 9110 sections 8.8, 13
 * and 15.4.5, RFC 9111 sections 3.1, 3.2 and 4.3. */
#include "cache_fixture.h"

#include "cache/fresh.h"
#include "cache/validate.h"

#define MINUS_60S "Sun, 06 Nov 1994 08:48:37 GMT"
#define MINUS_61S "Sun, 06 Nov 1994 08:48:36 GMT"
#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define DATE_LINE "Date: " DATE_NOW "\r\n"

static void
built_heads(void **state)
{
    static const struct {
        const char *why;
        unsigned status;
        const char *reason, *fields;
        bool keep_tags;
        const char *want;
    } cases[] = {
        {"3.1: as received, names too", 200, "OK", "Date: " DATE_NOW "\ncontent-TYPE: a/b\nX-Y: z",
         false, OK_LINE DATE_LINE "content-TYPE: a/b\r\nX-Y: z\r\n"},
        {"3.1: repeated fields stay, in order", 200, "OK",
         "Date: " DATE_NOW "\nLink: a\nB: 1\nLink: b", false,
         OK_LINE DATE_LINE "Link: a\r\nB: 1\r\nLink: b\r\n"},
        {"3.1: an empty value", 200, "OK", "Date: " DATE_NOW "\nX:", false,
         OK_LINE DATE_LINE "X: \r\n"},
        {"7.6.1: hop-by-hop fields", 200, "OK",
         "Date: " DATE_NOW
         "\nConnection: close\nKeep-Alive: timeout=5\nTransfer-Encoding: chunked\n"
         "TE: trailers\nTrailer: X\nUpgrade: h2c\nProxy-Connection: close\nProxy-Authenticate: a\n"
         "Proxy-Authentication-Info: b\nProxy-Authorization: c",
         false, OK_LINE DATE_LINE},
        {"7.6.1: what Connection names", 200, "OK",
         "Date: " DATE_NOW "\nX-A: 1\nConnection: x-a, X-B\nX-B: 2\nX-C: 3", false,
         OK_LINE DATE_LINE "X-C: 3\r\n"},
        {"5.1: Age and Content-Length are written when sent", 200, "OK",
         "Date: " DATE_NOW "\nAge: 5\nContent-Length: 10", false, OK_LINE DATE_LINE},
        {"tags are not for clients", 200, "OK",
         "Date: " DATE_NOW "\nSurrogate-Key: a\nxkey: b\nCache-Tag: c", false, OK_LINE DATE_LINE},
        {"unless told otherwise", 200, "OK",
         "Date: " DATE_NOW "\nSurrogate-Key: a\nxkey: b\nCache-Tag: c", true,
         OK_LINE DATE_LINE "Surrogate-Key: a\r\nxkey: b\r\nCache-Tag: c\r\n"},
        {"5.5: Warning stays", 200, "OK", "Date: " DATE_NOW "\nWarning: 299 - \"a\"", false,
         OK_LINE DATE_LINE "Warning: 299 - \"a\"\r\n"},
        {"the origin's Via stays", 200, "OK", "Date: " DATE_NOW "\nVia: 1.1 a", false,
         OK_LINE DATE_LINE "Via: 1.1 a\r\n"},
        {"6.6.1: no Date", 200, "OK", "X: y", false, OK_LINE "X: y\r\n" DATE_LINE},
        {"6.6.1: an invalid Date", 200, "OK", "Date: now\nX: y", false,
         OK_LINE "X: y\r\n" DATE_LINE},
        {"6.6.1: two Dates", 200, "OK", "Date: " MINUS_60S "\nDate: " MINUS_60S, false,
         OK_LINE DATE_LINE},
        {"15: the origin's reason", 404, "Not here", "Date: " DATE_NOW, false,
         "HTTP/1.1 404 Not here\r\n" DATE_LINE},
        {"15: no reason", 404, "", "Date: " DATE_NOW, false,
         "HTTP/1.1 404 Not Found\r\n" DATE_LINE},
        {"15: a reason that is not clean", 404, "N\x01", "Date: " DATE_NOW, false,
         "HTTP/1.1 404 Not Found\r\n" DATE_LINE},
        {"15: a reason in other letters", 404, "N\xc3\xa9", "Date: " DATE_NOW, false,
         "HTTP/1.1 404 Not Found\r\n" DATE_LINE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_response response;
        struct cache_object object = {.status = 200};
        struct slice head;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, cases[i].status, cases[i].fields);
        response.reason = slice_from_str(cases[i].reason);
        assert_int_equal(
            validate_build_head(&arena, &response, NOW_S, cases[i].keep_tags, &object, &head), OK);
        assert_text(head, cases[i].want);
        arena_fini(&arena);
    }
}

static void
conditions_of_clients(void **state)
{
    static const struct {
        const char *why;
        const char *etag;
        int64_t last_modified_s;
        const char *fields;
        bool not_modified;
    } cases[] = {
        {"13.2.2: no condition", "\"a\"", NOW_S - 60, "", false},
        {"13.1.2: equal", "\"a\"", -1, "If-None-Match: \"a\"", true},
        {"13.1.2: different", "\"a\"", -1, "If-None-Match: \"b\"", false},
        {"8.8.3.2: weak in the request", "\"a\"", -1, "If-None-Match: W/\"a\"", true},
        {"8.8.3.2: weak in the response", "W/\"a\"", -1, "If-None-Match: \"a\"", true},
        {"8.8.3.2: weak in both", "W/\"a\"", -1, "If-None-Match: W/\"a\"", true},
        {"8.8.3: case matters", "\"a\"", -1, "If-None-Match: \"A\"", false},
        {"8.8.3: quotes matter", "\"a\"", -1, "If-None-Match: a", false},
        {"13.1.2: first of a list", "\"a\"", -1, "If-None-Match: \"a\", \"b\"", true},
        {"13.1.2: last of a list", "\"a\"", -1, "If-None-Match: \"c\" ,W/\"b\",\"a\"", true},
        {"13.1.2: none of a list", "\"a\"", -1, "If-None-Match: \"b\", \"c\"", false},
        {"13.1.2: commas within tags", "\"a\"", -1, "If-None-Match: \"x,\"\nIf-None-Match: \"a\"",
         true},
        {"13.1.2: over two fields", "\"a\"", -1, "If-None-Match: \"b\"\nIf-None-Match: \"a\"",
         true},
        {"13.1.2: star", "\"a\"", -1, "If-None-Match: *", true},
        {"13.1.2: star without an ETag", "", -1, "If-None-Match: *", true},
        {"13.1.2: star in a list is nothing", "\"a\"", -1, "If-None-Match: \"b\", *", false},
        {"13.1.2: no ETag stored", "", -1, "If-None-Match: \"a\"", false},
        {"13.1.2: empty", "\"a\"", -1, "If-None-Match:", false},
        {"13.1.3: not modified since", "", NOW_S - 60, "If-Modified-Since: " MINUS_60S, true},
        {"13.1.3: a later date", "", NOW_S - 60, "If-Modified-Since: " DATE_NOW, true},
        {"13.1.3: modified since", "", NOW_S - 60, "If-Modified-Since: " MINUS_61S, false},
        {"13.1.3: RFC 850 form", "", NOW_S - 60,
         "If-Modified-Since: Sunday, 06-Nov-94 08:48:37 GMT", true},
        {"13.1.3: asctime form", "", NOW_S - 60, "If-Modified-Since: Sun Nov  6 08:48:37 1994",
         true},
        {"13.1.3: not a date", "", NOW_S - 60, "If-Modified-Since: now", false},
        {"13.1.3: two of them", "", NOW_S - 60,
         "If-Modified-Since: " DATE_NOW "\nIf-Modified-Since: " DATE_NOW, false},
        {"13.1.3: ignored beside If-None-Match that fails", "\"a\"", NOW_S - 60,
         "If-None-Match: \"b\"\nIf-Modified-Since: " DATE_NOW, false},
        {"13.1.3: ignored beside If-None-Match that holds", "\"a\"", NOW_S - 60,
         "If-None-Match: \"a\"\nIf-Modified-Since: " MINUS_61S, true},
        {"9111 4.3.2: Date without Last-Modified", "", -1, "If-Modified-Since: " DATE_NOW, true},
        {"9111 4.3.2: before Date without Last-Modified", "", -1, "If-Modified-Since: " MINUS_60S,
         false},
        {"9111 4.3.2: no 412 by If-Match", "\"a\"", -1, "If-Match: \"b\"", false},
        {"9111 4.3.2: no 412 by If-Unmodified-Since", "", NOW_S - 60,
         "If-Unmodified-Since: " MINUS_61S, false},
        {"13.2.2: If-Match does not stop If-None-Match", "\"a\"", -1,
         "If-Match: \"b\"\nIf-None-Match: \"a\"", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = 200,
                                            .date_s = NOW_S,
                                            .last_modified_s = cases[i].last_modified_s,
                                            .etag = slice_from_str(cases[i].etag)};
        struct arena arena;
        struct http_request request;
        struct slice etag;
        enum validate_result want = cases[i].not_modified ? VALIDATE_NOT_MODIFIED : VALIDATE_SEND;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].fields);
        assert_int_equal(validate_request(&request, NULL, &object, NOW_S, &etag), want);
        request.method = METHOD_HEAD;
        assert_int_equal(validate_request(&request, NULL, &object, NOW_S, &etag), want);
        request.method = METHOD_QUERY;
        assert_int_equal(validate_request(&request, NULL, &object, NOW_S, &etag), want);
        request.method = METHOD_POST;
        assert_int_equal(validate_request(&request, NULL, &object, NOW_S, &etag), VALIDATE_SEND);
        arena_fini(&arena);
    }
}

static void
conditions_of_the_origin(void **state)
{
    static const struct {
        const char *why, *etag;
        int64_t last_modified_s;
        const char *fields;
        bool hold;
    } cases[] = {
        {"13.1.1: none", "\"a\"", -1, "If-None-Match: \"b\"", true},
        {"13.1.1: the tag", "\"a\"", -1, "If-Match: \"a\"", true},
        {"13.1.1: another tag", "\"a\"", -1, "If-Match: \"b\"", false},
        {"13.1.1: a list", "\"a\"", -1, "If-Match: \"c\" , \"b,\",\"a\"", true},
        {"13.1.1: over two fields", "\"a\"", -1, "If-Match: \"b\"\nIf-Match: \"a\"", true},
        {"13.1.1: none of a list", "\"a\"", -1, "If-Match: \"b\", \"c\"", false},
        {"13.1.1: weak in the request", "\"a\"", -1, "If-Match: W/\"a\"", false},
        {"13.1.1: weak in the response", "W/\"a\"", -1, "If-Match: \"a\"", false},
        {"13.1.1: weak in both", "W/\"a\"", -1, "If-Match: W/\"a\"", false},
        {"13.1.1: star", "", -1, "If-Match: *", true},
        {"13.1.1: star in a list is nothing", "\"a\"", -1, "If-Match: \"b\", *", false},
        {"13.1.1: no ETag stored", "", -1, "If-Match: \"a\"", false},
        {"13.1.1: empty", "\"a\"", -1, "If-Match:", false},
        {"13.1.4: unmodified since", "", NOW_S - 60, "If-Unmodified-Since: " MINUS_60S, true},
        {"13.1.4: a later date", "", NOW_S - 60, "If-Unmodified-Since: " DATE_NOW, true},
        {"13.1.4: modified since", "", NOW_S - 60, "If-Unmodified-Since: " MINUS_61S, false},
        {"13.1.4: no date stored", "", -1, "If-Unmodified-Since: " DATE_NOW, false},
        {"13.1.4: what is no date is the origin's to ignore", "", NOW_S - 60,
         "If-Unmodified-Since: now", false},
        {"13.1.4: two of them too", "", NOW_S - 60,
         "If-Unmodified-Since: " DATE_NOW "\nIf-Unmodified-Since: " DATE_NOW, false},
        {"13.2.2: If-Match decides when it holds", "\"a\"", NOW_S - 60,
         "If-Match: \"a\"\nIf-Unmodified-Since: " MINUS_61S, true},
        {"13.2.2: and when it does not", "\"a\"", NOW_S - 60,
         "If-Match: \"b\"\nIf-Unmodified-Since: " DATE_NOW, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cache_object object = {.status = 200,
                                      .date_s = NOW_S,
                                      .last_modified_s = cases[i].last_modified_s,
                                      .etag = slice_from_str(cases[i].etag)};
        struct arena arena;
        struct http_request request;
        bool any;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].fields);
        any = validate_has_origin_condition(&request);
        assert_int_equal(any, i > 0);
        assert_int_equal(validate_origin_conditions_hold(&request, &object, NOW_S), cases[i].hold);
        object.status = 404; /* 13.2.1 */
        assert_int_equal(validate_origin_conditions_hold(&request, &object, NOW_S), !any);
        arena_fini(&arena);
    }
}

/* RFC 9110 section 13.2.1 */
static void
statuses_without_conditions(void **state)
{
    static const struct {
        uint16_t status;
        enum validate_result want;
    } cases[] = {{200, VALIDATE_NOT_MODIFIED}, {203, VALIDATE_NOT_MODIFIED},
                 {299, VALIDATE_NOT_MODIFIED}, {301, VALIDATE_SEND},
                 {404, VALIDATE_SEND},         {500, VALIDATE_SEND}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = cases[i].status, .etag = SLICE("\"a\"")};
        struct arena arena;
        struct http_request request;
        struct slice etag;

        print_message("case: 13.2.1: %u\n", cases[i].status);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, "If-None-Match: \"a\"");
        assert_int_equal(validate_request(&request, NULL, &object, NOW_S, &etag), cases[i].want);
        arena_fini(&arena);
    }
}

static void
not_modified_heads(void **state)
{
    static const struct {
        const char *why, *stored, *etag, *want;
    } cases[] = {
        {"15.4.5: what a 304 must have",
         OK_LINE DATE_LINE "Cache-Control: max-age=9\r\nContent-Location: /x\r\nETag: \"a\"\r\n"
                           "Expires: 0\r\nVary: foo\r\n",
         "",
         "HTTP/1.1 304 Not Modified\r\n" DATE_LINE
         "Cache-Control: max-age=9\r\nContent-Location: /x\r\nETag: \"a\"\r\nExpires: 0\r\n"
         "Vary: foo\r\n"},
        {"15.4.5: not what describes the content",
         OK_LINE "content-type: a/b\r\nContent-Encoding: gzip\r\nContent-Language: en\r\n"
                 "Content-Range: bytes 0-1/2\r\nContent-Disposition: inline\r\n" DATE_LINE,
         "", "HTTP/1.1 304 Not Modified\r\n" DATE_LINE},
        {"15.4.5: Last-Modified beside an ETag is left out",
         OK_LINE "Last-Modified: " MINUS_60S "\r\netag: \"a\"\r\n", "",
         "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n"},
        {"15.4.5: Last-Modified alone stays", OK_LINE "Last-Modified: " MINUS_60S "\r\n", "",
         "HTTP/1.1 304 Not Modified\r\nLast-Modified: " MINUS_60S "\r\n"},
        {"15.4.5: other fields update caches behind us",
         OK_LINE "Content-Security-Policy: a\r\nAccess-Control-Allow-Origin: *\r\n", "",
         "HTTP/1.1 304 Not Modified\r\nContent-Security-Policy: a\r\n"
         "Access-Control-Allow-Origin: *\r\n"},
        {"only a status line", OK_LINE, "", "HTTP/1.1 304 Not Modified\r\n"},
        {"9530 2: no digest of content that is not sent",
         OK_LINE "Vary: Accept-Encoding\r\nContent-MD5: a\r\nContent-Digest: a=:1:\r\n"
                 "ETag: \"a\"\r\n",
         "", "HTTP/1.1 304 Not Modified\r\nVary: Accept-Encoding\r\nETag: \"a\"\r\n"},
        {"9530 3: nor one that the client's representation may not have",
         OK_LINE "Repr-Digest: a=:1:\r\nDigest: a=1\r\n", "", "HTTP/1.1 304 Not Modified\r\n"},
        {"8.8.3: the client's tag",
         OK_LINE "Last-Modified: " MINUS_60S "\r\nX: 1\r\nContent-Encoding: gzip\r\n"
                 "ETag: \"a\"\r\n",
         "W/\"a~br\"", "HTTP/1.1 304 Not Modified\r\nX: 1\r\nETag: W/\"a~br\"\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct slice head;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(validate_not_modified_head(&arena, slice_from_str(cases[i].stored),
                                                    slice_from_str(cases[i].etag), &head),
                         OK);
        assert_text(head, cases[i].want);
        arena_fini(&arena);
    }
}

/* Both steps, without a judgement between them. */
static enum err
merge(struct arena *arena, struct slice stored, const struct http_response *response,
      struct slice *out_head, struct http_fields *out_fields)
{
    struct cache_object object = {.status = 200};
    struct validate_merged merged;
    enum err rc = validate_merge_fields(arena, stored, &object, response, NOW_S, &merged);

    if (rc == OK)
        rc = validate_merge_head(arena, &merged, &object, out_head);
    if (rc == OK)
        *out_fields = merged.fields;
    return rc;
}

static void
merged_heads(void **state)
{
    static const struct {
        const char *why, *stored, *fields, *want;
    } cases[] = {
        {"3.2: nothing new but Date", OK_LINE "Date: " MINUS_60S "\r\nX: 1\r\n", "Date: " DATE_NOW,
         OK_LINE "X: 1\r\n" DATE_LINE},
        {"3.2: replaced in any case", OK_LINE "x-A: 1\r\nB: 2\r\n", "Date: " DATE_NOW "\nX-a: 3",
         OK_LINE "B: 2\r\n" DATE_LINE "X-a: 3\r\n"},
        {"3.2: all old lines for all new lines", OK_LINE "A: 1\r\nB: 2\r\nA: 3\r\n",
         "Date: " DATE_NOW "\nA: 4\nA: 5", OK_LINE "B: 2\r\n" DATE_LINE "A: 4\r\nA: 5\r\n"},
        {"3.2: two old lines for one new line", OK_LINE "Set-Cookie: a\r\nSet-Cookie: b\r\n",
         "Date: " DATE_NOW "\nSet-Cookie: c", OK_LINE DATE_LINE "Set-Cookie: c\r\n"},
        {"3.2: added", OK_LINE, "Date: " DATE_NOW "\nNew: 1", OK_LINE DATE_LINE "New: 1\r\n"},
        {"3.2: Cache-Control and Expires", OK_LINE "Cache-Control: max-age=1\r\nExpires: 0\r\n",
         "Date: " DATE_NOW "\nCache-Control: max-age=9",
         OK_LINE "Expires: 0\r\n" DATE_LINE "Cache-Control: max-age=9\r\n"},
        {"3.2: Content-Type is a field like others", OK_LINE "Content-Type: a/b\r\n",
         "Date: " DATE_NOW "\nContent-Type: c/d", OK_LINE DATE_LINE "Content-Type: c/d\r\n"},
        {"3.2: what the stored bytes depend upon",
         OK_LINE "Content-Encoding: gzip\r\nETag: W/\"a\"\r\n",
         "Date: " DATE_NOW "\nContent-Encoding: br\nETag: \"a\"\nContent-Range: bytes 0-1/2\n"
         "Content-Length: 0",
         OK_LINE DATE_LINE "Content-Encoding: gzip\r\nETag: W/\"a\"\r\n"},
        {"3.2: digests of other bytes than those that are stored",
         OK_LINE "Repr-Digest: a=:1:\r\nContent-MD5: b\r\n",
         "Date: " DATE_NOW "\nRepr-Digest: a=:2:\nContent-Digest: a=:3:\nContent-MD5: c\nDigest: d",
         OK_LINE DATE_LINE "Repr-Digest: a=:1:\r\nContent-MD5: b\r\n"},
        {"3.1: hop-by-hop and nominated fields", OK_LINE "X-A: 1\r\nX-B: 2\r\n",
         "Date: " DATE_NOW "\nConnection: x-a\nX-A: 9\nKeep-Alive: a\nTransfer-Encoding: chunked",
         OK_LINE "X-A: 1\r\nX-B: 2\r\n" DATE_LINE},
        {"5.1: Age is not stored", OK_LINE, "Date: " DATE_NOW "\nAge: 7", OK_LINE DATE_LINE},
        {"6.6.1: a 304 without Date was made now", OK_LINE "Date: " MINUS_60S "\r\nX: 1\r\n",
         "Y: 2", OK_LINE "X: 1\r\nY: 2\r\n" DATE_LINE},
        {"6.6.1: nor with an invalid one", OK_LINE "Date: " MINUS_60S "\r\n", "Date: x",
         OK_LINE DATE_LINE},
        {"tags stay hidden", OK_LINE "X: 1\r\n", "Date: " DATE_NOW "\nSurrogate-Key: a",
         OK_LINE "X: 1\r\n" DATE_LINE},
        {"tags that clients see are replaced", OK_LINE "xkey: a\r\n", "Date: " DATE_NOW "\nXkey: b",
         OK_LINE DATE_LINE "Xkey: b\r\n"},
        {"the status line stays", "HTTP/1.1 404 Gone away\r\n", "Date: " DATE_NOW,
         "HTTP/1.1 404 Gone away\r\n" DATE_LINE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_response response;
        struct http_fields fields;
        struct slice head;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, 304, cases[i].fields);
        assert_int_equal(merge(&arena, slice_from_str(cases[i].stored), &response, &head, &fields),
                         OK);
        assert_text(head, cases[i].want);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 4.3.4: what is merged is what the new lifetime is calculated from. */
/* RFC 9111 sections 5.2.2.4 and 5.2.2.7: fields that others must not get. */
static void
withheld_fields_are_left_out(void **state)
{
    static const struct {
        const char *why, *response, *head, *want;
    } cases[] = {
        {"5.2.2.4: named by no-cache", "Cache-Control: no-cache=\"a, c\"",
         OK_LINE "A: 1\r\nB: 2\r\nc: 3\r\nC: 4\r\n", OK_LINE "B: 2\r\n"},
        {"5.2.2.7: named by private", "Cache-Control: private=\"Set-Cookie\"",
         OK_LINE "Set-Cookie: 1\r\nB: 2\r\n", OK_LINE "B: 2\r\n"},
        {"nothing to leave out", "Cache-Control: private=\"x\"", OK_LINE "B: 2\r\n",
         OK_LINE "B: 2\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_response response;
        struct slice head;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, 200, cases[i].response);
        assert_int_equal(
            validate_withhold(&arena, slice_from_str(cases[i].head), &response.fields, &head), OK);
        assert_text(head, cases[i].want);
        assert_int_equal(validate_withhold(&arena, SLICE("no line"), &response.fields, &head),
                         ERR_STORE_CORRUPT);
        arena_fini(&arena);
    }
}

static void
a_merged_head_is_fresh_again(void **state)
{
    static const struct cache_settings settings = {0};
    struct arena arena;
    struct http_request request;
    struct http_response response;
    struct http_fields fields;
    struct slice head;
    struct cache_object object = {.status = 200};

    (void)state;
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_GET, "");
    response = response_from(&arena, 304, "Age: 4\nSurrogate-Key: new");
    assert_int_equal(
        merge(&arena,
              SLICE(OK_LINE "Date: " MINUS_60S "\r\nCache-Control: max-age=30\r\nETag: \"a\"\r\n"),
              &response, &head, &fields),
        OK);
    assert_true(http_fields_has(&fields, HTTP_SURROGATE_KEY));
    assert_true(fresh_update(&settings, &request, &fields, NOW_S, NOW_S, &object));
    assert_int_equal(object.initial_age_s, 4); /* by the new Date and Age */
    assert_int_equal(object.lifetime_s, 30);
    assert_text(object.etag, "\"a\"");
    arena_fini(&arena);
}

static void
damaged_heads(void **state)
{
    static const char *const cases[] = {
        "",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\n",
        OK_LINE "A: 1",
        OK_LINE "A: 1\n",
        OK_LINE "A\r\n",
        OK_LINE ": 1\r\n",
        OK_LINE "\r\n",
        OK_LINE "A: 1\r\nB\r\n",
        OK_LINE "A: 1\r\n\r\n",
        "\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_response response;
        struct http_fields fields;
        struct slice head = SLICE("before");

        print_message("case: %zu\n", i);
        arena_init(&arena, 0);
        response = response_from(&arena, 304, "");
        assert_int_equal(
            validate_not_modified_head(&arena, slice_from_str(cases[i]), SLICE_NONE, &head),
            ERR_STORE_CORRUPT);
        assert_int_equal(merge(&arena, slice_from_str(cases[i]), &response, &head, &fields),
                         ERR_STORE_CORRUPT);
        assert_text(head, "before");
        arena_fini(&arena);
    }
}

static void
too_many_fields(void **state)
{
    char lines[HTTP_FIELDS_MAX * 8], stored[HTTP_FIELDS_MAX * 8 + 32] = OK_LINE;
    size_t len = 0, stored_len = strlen(stored);
    struct arena arena;
    struct http_response response;
    struct http_fields fields;
    struct slice head;

    (void)state;
    for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++) {
        len += (size_t)snprintf(lines + len, sizeof(lines) - len, "a%d:\n", i);
        stored_len +=
            (size_t)snprintf(stored + stored_len, sizeof(stored) - stored_len, "b%d:\r\n", i);
    }
    arena_init(&arena, 0);
    response = response_from(&arena, 304, lines);
    assert_int_equal(merge(&arena, slice_from_str(stored), &response, &head, &fields), ERR_LIMIT);
    arena_fini(&arena);
}

/* RFC 9111 section 4.3.4 */
static void
confirmations(void **state)
{
    static const struct {
        const char *why, *etag;
        int64_t last_modified_s;
        const char *fields;
        bool want;
    } cases[] = {
        {"4.3.4: the same strong tag", "\"a\"", -1, "ETag: \"a\"", true},
        {"4.3.4: another strong tag", "\"a\"", -1, "ETag: \"b\"", false},
        {"4.3.4: strong, stored weak", "W/\"a\"", -1, "ETag: \"a\"", false},
        {"4.3.4: strong, none stored", "", NOW_S - 60, "ETag: \"a\"", false},
        {"4.3.4: another strong tag, the same date", "\"a\"", NOW_S - 60,
         "ETag: \"b\"\nLast-Modified: " MINUS_60S, false},
        {"4.3.4: the same strong tag, another date", "\"a\"", NOW_S - 61,
         "ETag: \"a\"\nLast-Modified: " MINUS_60S, true},
        {"4.3.4: the same weak tag", "W/\"a\"", -1, "ETag: W/\"a\"", true},
        {"4.3.4: weak, stored strong", "\"a\"", -1, "ETag: W/\"a\"", true},
        {"4.3.4: another weak tag", "W/\"a\"", -1, "ETag: W/\"b\"", false},
        {"4.3.4: the same date", "", NOW_S - 60, "Last-Modified: " MINUS_60S, true},
        {"4.3.4: another date", "", NOW_S - 60, "Last-Modified: " MINUS_61S, false},
        {"4.3.4: a date, none stored", "\"a\"", -1, "Last-Modified: " MINUS_60S, false},
        {"4.3.4: two tags, the first the same", "\"a\"", -1, "ETag: \"a\"\nETag: \"b\"", false},
        {"4.3.4: two tags, both the same", "\"a\"", -1, "ETag: \"a\"\nETag: \"a\"", false},
        {"4.3.4: no validator", "\"a\"", NOW_S - 60, "Date: " DATE_NOW, true},
        {"4.3.4: no valid validator", "\"a\"", NOW_S - 60, "ETag: b\nLast-Modified: x", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = 200,
                                            .last_modified_s = cases[i].last_modified_s,
                                            .etag = slice_from_str(cases[i].etag)};
        struct arena arena;
        struct http_fields fields;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].fields, &fields);
        assert_int_equal(validate_confirms(&object, &fields, NOW_S), cases[i].want);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 4.3.1 */
static void
answers_to_head(void **state)
{
    static const struct {
        const char *why, *etag; /* stored, a body of 10 bytes, changed a minute ago */
        unsigned stored_status, status;
        const char *response;
        bool want;
    } cases[] = {
        {"4.3.5: no validator, no length", "", 200, 200, "A: 1", true},
        {"4.3.5: the same tag", "\"a\"", 200, 200, "ETag: \"a\"", true},
        {"4.3.5: the same weak tag", "W/\"a\"", 200, 200, "ETag: W/\"a\"", true},
        {"4.3.5: another tag", "\"a\"", 200, 200, "ETag: \"b\"", false},
        {"4.3.5: a tag where none was", "", 200, 200, "ETag: \"b\"", false},
        {"4.3.5: the same date", "", 200, 200, "Last-Modified: " MINUS_60S, true},
        {"4.3.5: another date", "", 200, 200, "Last-Modified: " MINUS_61S, false},
        {"4.3.5: another date beside the same tag", "\"a\"", 200, 200,
         "ETag: \"a\"\nLast-Modified: " MINUS_61S, false},
        {"4.3.5: no date beside the same tag", "\"a\"", 200, 200,
         "ETag: \"a\"\nLast-Modified: soon", false},
        {"4.3.5: the same length", "", 200, 200, "Content-Length: 10", true},
        {"4.3.5: another length", "", 200, 200, "Content-Length: 11", false},
        {"4.3.5: another length beside the same tag", "\"a\"", 200, 200,
         "ETag: \"a\"\nContent-Length: 9", false},
        {"4.3.5: no length", "", 200, 200, "Content-Length: x", false},
        {"4.3.5: only a 200", "", 200, 203, "A: 1", false},
        {"4.3.5: only of a stored 200", "", 404, 200, "A: 1", false},
        {"4.3.5: an error", "", 404, 404, "A: 1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = (uint16_t)cases[i].stored_status,
                                            .last_modified_s = NOW_S - 60,
                                            .etag = slice_from_str(cases[i].etag)};
        struct arena arena;
        struct http_response response;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, cases[i].status, cases[i].response);
        assert_int_equal(validate_head_confirms(&object, 10, &response, NOW_S), cases[i].want);
        arena_fini(&arena);
    }
}

static void
our_conditions(void **state)
{
    static const struct {
        const char *why, *etag;
        int64_t last_modified_s;
        const char *want;
    } cases[] = {
        {"4.3.1: no validator", "", -1, ""},
        {"4.3.1: a tag", "W/\"a\"", -1, "If-None-Match: W/\"a\"\r\n"},
        {"4.3.1: a date", "", NOW_S, "If-Modified-Since: " DATE_NOW "\r\n"},
        {"4.3.1: the epoch is a date", "", 0,
         "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n"},
        {"4.3.1: both", "\"a\"", NOW_S,
         "If-None-Match: \"a\"\r\nIf-Modified-Since: " DATE_NOW "\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = 200,
                                            .last_modified_s = cases[i].last_modified_s,
                                            .etag = slice_from_str(cases[i].etag)};
        struct arena arena;
        struct slice lines;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(validate_conditions(&arena, &object, &lines), OK);
        assert_text(lines, cases[i].want);
        arena_fini(&arena);
    }
}

static void
no_memory(void **state)
{
    struct cache_object object = {.etag = SLICE("\"a\"")};
    struct arena arena;
    struct http_response response;
    struct http_fields fields;
    struct slice out = SLICE("before"), stored = SLICE(OK_LINE "A: 1\r\n");
    size_t used_len;

    (void)state;
    arena_init(&arena, 0);
    response = response_from(&arena, 304, "B: 2");
    arena.used_max = used_len = arena.used_len;
    assert_int_equal(validate_build_head(&arena, &response, NOW_S, false, &object, &out),
                     ERR_NOMEM);
    assert_int_equal(validate_not_modified_head(&arena, stored, SLICE_NONE, &out), ERR_NOMEM);
    assert_int_equal(validate_conditions(&arena, &object, &out), ERR_NOMEM);
    for (size_t room = 0; room < 1024; room += 64) { /* the list, Date, the head */
        arena.used_len = used_len;
        arena.used_max = used_len + room;
        assert_int_equal(merge(&arena, stored, &response, &out, &fields), ERR_NOMEM);
    }
    assert_text(out, "before");
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_heads),
        cmocka_unit_test(conditions_of_clients),
        cmocka_unit_test(conditions_of_the_origin),
        cmocka_unit_test(statuses_without_conditions),
        cmocka_unit_test(not_modified_heads),
        cmocka_unit_test(merged_heads),
        cmocka_unit_test(a_merged_head_is_fresh_again),
        cmocka_unit_test(damaged_heads),
        cmocka_unit_test(too_many_fields),
        cmocka_unit_test(confirmations),
        cmocka_unit_test(answers_to_head),
        cmocka_unit_test(our_conditions),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(withheld_fields_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
