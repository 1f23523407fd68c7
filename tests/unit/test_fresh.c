/* Admission, lifetime and age. RFC 9111 sections 3, 4.2 and 5, RFC 5861, RFC 6585, RFC 8246. */
#include "cache_fixture.h"

#include "cache/fresh.h"

#define PLUS_60S "Sun, 06 Nov 1994 08:50:37 GMT"
#define PLUS_90S "Sun, 06 Nov 1994 08:51:07 GMT"
#define MINUS_60S "Sun, 06 Nov 1994 08:48:37 GMT"
#define MINUS_10H "Sat, 05 Nov 1994 22:49:37 GMT"
#define YEARS_AGO "Fri, 06 Nov 1992 08:49:37 GMT"
#define DATED "Date: " DATE_NOW "\n"

enum {
    AV = CACHE_ALWAYS_VALIDATE,
    MR = CACHE_MUST_REVALIDATE,
    HE = CACHE_HEURISTIC,
    IM = CACHE_IMMUTABLE,
    WH = CACHE_WITHHOLDS
};

static const struct cache_settings plain = {.heuristic = true, .heuristic_max_s = 86400};

struct admit_case {
    const char *why;
    unsigned status;
    const char *request, *response; /* fields; Date is added */
    enum cache_reason want;
    uint32_t lifetime_s;
    unsigned flags;
};

static void
check_admit(const struct cache_settings *settings, const struct admit_case *c)
{
    char lines[4096];
    struct arena arena;
    struct http_request request;
    struct http_response response;
    struct cache_object object = {.status = 7};
    enum cache_reason got;

    print_message("case: %s\n", c->why);
    arena_init(&arena, 0);
    assert_in_range(snprintf(lines, sizeof(lines), DATED "%s", c->response), 1, sizeof(lines) - 1);
    request = request_from(&arena, METHOD_GET, c->request);
    response = response_from(&arena, c->status, lines);
    got = fresh_admit(settings, &request, &response, NOW_S, NOW_S, &object);
    if (got != c->want)
        print_error("got %s, want %s\n", cache_reason_name(got), cache_reason_name(c->want));
    assert_int_equal(got, c->want);
    if (got == REASON_STORED) {
        assert_int_equal(object.status, c->status);
        assert_int_equal(object.lifetime_s, c->lifetime_s);
        assert_int_equal(object.flags, c->flags);
    } else {
        assert_int_equal(object.status, 7); /* untouched */
    }
    arena_fini(&arena);
}

/* RFC 9111 section 3 */
static void
what_may_be_stored(void **state)
{
    static const struct admit_case cases[] = {
        {"3: max-age alone", 200, "", "Cache-Control: max-age=60", REASON_STORED, 60, 0},
        {"3: s-maxage alone", 200, "", "Cache-Control: s-maxage=60", REASON_STORED, 60, MR},
        {"3: Expires alone", 200, "", "Expires: " PLUS_60S, REASON_STORED, 60, 0},
        {"3: nothing at all", 200, "", "", REASON_NO_FRESHNESS, 0, 0},
        {"3: only public", 200, "", "Cache-Control: public", REASON_NO_FRESHNESS, 0, 0},
        {"3: only a validator, ETag", 200, "", "ETag: \"a\"", REASON_STORED, 0, AV | HE},
        {"3: an invalid ETag is no validator", 200, "", "ETag: a", REASON_NO_FRESHNESS, 0, 0},
        {"3: two ETags are no validator", 200, "", "ETag: \"a\"\nETag: \"b\"", REASON_NO_FRESHNESS,
         0, 0},
        {"5.2.2.5: no-store", 200, "", "Cache-Control: no-store, max-age=60", REASON_NO_STORE, 0,
         0},
        {"5.2.2.5: no-store in a second field", 200, "",
         "Cache-Control: max-age=60\nCache-Control: no-store", REASON_NO_STORE, 0, 0},
        {"5.2.2.5: no-store in capitals", 200, "", "Cache-Control: NO-STORE, max-age=60",
         REASON_NO_STORE, 0, 0},
        {"5.2.3: unknown directives are ignored", 200, "", "Cache-Control: x-no-store, max-age=60",
         REASON_STORED, 60, 0},
        {"5.2.2.7: private", 200, "", "Cache-Control: private, max-age=60", REASON_PRIVATE, 0, 0},
        {"5.2.2.7: private with fields is stored without them", 200, "",
         "Cache-Control: private=\"set-cookie\", max-age=60", REASON_STORED, 60, WH},
        {"5.2.2.7: private with fields that cannot be left out", 200, "",
         "Cache-Control: private=\"content-type\", max-age=60", REASON_PRIVATE, 0, 0},
        {"5.2.2.7: a private cookie is left out", 200, "",
         "Set-Cookie: a=b\nCache-Control: private=\"set-cookie\", max-age=60", REASON_STORED, 60,
         WH},
        {"5.2.2.4: so is one named by no-cache", 200, "",
         "Set-Cookie: a=b\nCache-Control: no-cache=\"x, Set-Cookie\", max-age=60", REASON_STORED,
         60, WH},
        {"7.3: a cookie beside a private field", 200, "",
         "Set-Cookie: a=b\nCache-Control: private=\"x\", max-age=60", REASON_SET_COOKIE, 0, 0},
        {"5.2.2.7: private beats s-maxage", 200, "", "Cache-Control: private, s-maxage=60",
         REASON_PRIVATE, 0, 0},
        {"5.2.2.7: private beats public", 200, "", "Cache-Control: public, private, max-age=60",
         REASON_PRIVATE, 0, 0},
        {"3.5: Authorization forbids", 200,
         "Authorization: Basic YQ==", "Cache-Control: max-age=60", REASON_AUTHORIZATION, 0, 0},
        {"3.5: Authorization with Expires forbids", 200,
         "Authorization: Basic YQ==", "Expires: " PLUS_60S, REASON_AUTHORIZATION, 0, 0},
        {"3.5: Authorization and public", 200,
         "Authorization: Basic YQ==", "Cache-Control: public, max-age=60", REASON_STORED, 60, 0},
        {"3.5: Authorization and must-revalidate", 200, "Authorization: Basic YQ==",
         "Cache-Control: must-revalidate, max-age=60", REASON_STORED, 60, MR},
        {"3.5: Authorization and s-maxage", 200,
         "Authorization: Basic YQ==", "Cache-Control: s-maxage=60", REASON_STORED, 60, MR},
        {"3.5: proxy-revalidate does not allow it", 200, "Authorization: Basic YQ==",
         "Cache-Control: proxy-revalidate, max-age=60", REASON_AUTHORIZATION, 0, 0},
        {"3.5: no-cache does not allow it", 200, "Authorization: Basic YQ==",
         "Cache-Control: no-cache\nETag: \"a\"", REASON_AUTHORIZATION, 0, 0},
        {"7.3: Set-Cookie is not stored", 200, "", "Set-Cookie: a=b\nCache-Control: max-age=60",
         REASON_SET_COOKIE, 0, 0},
        {"7.3: Set-Cookie with s-maxage is not stored", 200, "",
         "Set-Cookie: a=b\nCache-Control: s-maxage=60", REASON_SET_COOKIE, 0, 0},
        {"7.3: Set-Cookie explicitly public", 200, "",
         "Set-Cookie: a=b\nCache-Control: public, max-age=60", REASON_STORED, 60, 0},
        {"4.1: Vary: *", 200, "", "Vary: *\nCache-Control: max-age=60", REASON_VARY_STAR, 0, 0},
        {"4.1: * among others", 200, "", "Vary: accept, *\nCache-Control: max-age=60",
         REASON_VARY_STAR, 0, 0},
        {"4.1: * in a second field", 200, "", "Vary: accept\nVary: *\nCache-Control: max-age=60",
         REASON_VARY_STAR, 0, 0},
        {"4.1: what is no field name counts as *", 200, "", "Vary: a b\nCache-Control: max-age=60",
         REASON_VARY_STAR, 0, 0},
        {"4.1: an ordinary Vary", 200, "", "Vary: accept\nCache-Control: max-age=60", REASON_STORED,
         60, 0},
        {"5.2.1.5: a client's no-store is not heeded by default", 200, "Cache-Control: no-store",
         "Cache-Control: max-age=60", REASON_STORED, 60, 0},
        {"5.4: Pragma in a response means nothing", 200, "",
         "Pragma: no-cache\nCache-Control: max-age=60", REASON_STORED, 60, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_admit(&plain, &cases[i]);
}

/* RFC 9111 sections 3 and 4.2.2, RFC 9110 section 15.1 */
static void
statuses(void **state)
{
    static const unsigned heuristic[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    static const unsigned odd[] = {405, 414, 501};
    static const unsigned explicit_only[] = {201, 202, 205, 302, 303, 307, 400, 401, 402, 403, 406,
                                             409, 415, 422, 451, 500, 502, 503, 504, 505, 599};
    static const unsigned never[] = {100, 101, 103, 199, 304, 407, 408, 411, 412,
                                     413, 416, 417, 421, 426, 428, 429, 431, 511};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heuristic); i++) {
        check_admit(&plain,
                    &(struct admit_case){"15.1: guessed from Last-Modified", heuristic[i], "",
                                         "Last-Modified: " MINUS_10H, REASON_STORED, 3600, HE});
        check_admit(&plain, &(struct admit_case){"15.1: explicit", heuristic[i], "",
                                                 "Cache-Control: max-age=5", REASON_STORED, 5, 0});
    }
    for (size_t i = 0; i < ARRAY_LEN(explicit_only); i++) {
        check_admit(&(struct cache_settings){.default_ttl_s = 30},
                    &(struct admit_case){"15.1: not by a default", explicit_only[i], "", "",
                                         REASON_STATUS, 0, 0});
        check_admit(&plain, &(struct admit_case){"15.1: never guessed", explicit_only[i], "",
                                                 "Last-Modified: " MINUS_10H, REASON_STATUS, 0, 0});
        check_admit(&plain, &(struct admit_case){"15.1: max-age", explicit_only[i], "",
                                                 "Cache-Control: max-age=5", REASON_STORED, 5, 0});
        check_admit(&plain, &(struct admit_case){"15.1: Expires", explicit_only[i], "",
                                                 "Expires: " PLUS_60S, REASON_STORED, 60, 0});
        check_admit(
            &plain,
            &(struct admit_case){
                "4.2.2: public allows guessing, but not what a request provokes", explicit_only[i],
                "", "Cache-Control: public\nLast-Modified: " MINUS_10H,
                explicit_only[i] < 400 || explicit_only[i] > 505 ? REASON_STORED : REASON_STATUS,
                3600, HE});
        check_admit(&(struct cache_settings){.default_ttl_s = 30},
                    &(struct admit_case){"public allows a default below 400", explicit_only[i], "",
                                         "Cache-Control: public",
                                         explicit_only[i] < 400 ? REASON_STORED : REASON_STATUS, 30,
                                         HE});
    }
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        check_admit(&(struct cache_settings){.heuristic = true, .default_ttl_s = 30},
                    &(struct admit_case){"an odd request's error is given no default", odd[i], "",
                                         "ETag: \"a\"", REASON_STATUS, 0, 0});
        check_admit(&(struct cache_settings){.heuristic_max_s = 60},
                    &(struct admit_case){"4.2.2: nor kept when guessing is off", odd[i], "",
                                         "Last-Modified: " MINUS_10H, REASON_STATUS, 0, 0});
    }
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        check_admit(&plain,
                    &(struct admit_case){"3, RFC 6585: not stored whatever it says", never[i], "",
                                         "Cache-Control: public, max-age=60", REASON_STATUS, 0, 0});
    check_admit(&plain,
                &(struct admit_case){"3.3: 206", 206, "", "Cache-Control: public, max-age=60",
                                     REASON_PARTIAL, 0, 0});
}

/* RFC 9111 section 5.2.2.3 */
static void
must_understand(void **state)
{
    static const struct admit_case cases[] = {
        {"5.2.2.3: known status, no-store is ignored", 200, "",
         "Cache-Control: must-understand, no-store, max-age=60", REASON_STORED, 60, 0},
        {"5.2.2.3: known status without no-store", 404, "",
         "Cache-Control: must-understand, max-age=60", REASON_STORED, 60, 0},
        {"5.2.2.3: unknown status", 299, "", "Cache-Control: must-understand, no-store, max-age=60",
         REASON_STATUS, 0, 0},
        {"5.2.2.3: unknown status without no-store", 599, "",
         "Cache-Control: must-understand, max-age=60", REASON_STATUS, 0, 0},
        {"3: unknown status with explicit freshness", 299, "", "Cache-Control: max-age=60",
         REASON_STORED, 60, 0},
        {"5.2.2.3: private still holds", 200, "",
         "Cache-Control: must-understand, no-store, private, max-age=60", REASON_PRIVATE, 0, 0},
        {"5.2.2.3: a status that is never stored", 416, "",
         "Cache-Control: must-understand, max-age=60", REASON_STATUS, 0, 0},
    };

    static const unsigned known[] = {200, 205, 300, 303, 305, 307, 308, 400, 415, 422, 500, 505};
    static const unsigned unknown[] = {207, 226, 306, 309, 399, 418, 424, 451, 499, 506};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_admit(&plain, &cases[i]);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        check_admit(&plain, &(struct admit_case){"5.2.2.3: a status of RFC 9110", known[i], "",
                                                 "Cache-Control: must-understand, max-age=5",
                                                 REASON_STORED, 5, 0});
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        check_admit(&plain, &(struct admit_case){"5.2.2.3: a status of another text", unknown[i],
                                                 "", "Cache-Control: must-understand, max-age=5",
                                                 REASON_STATUS, 0, 0});
}

/* RFC 9111 section 4.2.1 */
static void
lifetimes(void **state)
{
    static const struct admit_case cases[] = {
        {"4.2.1: s-maxage before max-age", 200, "", "Cache-Control: max-age=60, s-maxage=10",
         REASON_STORED, 10, MR},
        {"4.2.1: s-maxage before a smaller max-age", 200, "",
         "Cache-Control: s-maxage=100, max-age=60", REASON_STORED, 100, MR},
        {"4.2.1: max-age before Expires", 200, "", "Cache-Control: max-age=10\nExpires: " PLUS_60S,
         REASON_STORED, 10, 0},
        {"5.3: max-age before an invalid Expires", 200, "", "Cache-Control: max-age=10\nExpires: 0",
         REASON_STORED, 10, 0},
        {"5.3: s-maxage before Expires", 200, "", "Cache-Control: s-maxage=10\nExpires: " MINUS_60S,
         REASON_STORED, 10, MR},
        {"5.3: Expires in the past", 200, "", "Expires: " MINUS_60S, REASON_ZERO_LIFETIME, 0, 0},
        {"5.3: Expires equal to Date", 200, "", "Expires: " DATE_NOW, REASON_ZERO_LIFETIME, 0, 0},
        {"5.3: Expires 0", 200, "", "Expires: 0", REASON_ZERO_LIFETIME, 0, 0},
        {"5.3: Expires -1", 200, "", "Expires: -1", REASON_ZERO_LIFETIME, 0, 0},
        {"5.3: Expires empty", 200, "", "Expires:", REASON_ZERO_LIFETIME, 0, 0},
        {"5.3: Expires 0 with a validator", 200, "", "Expires: 0\nETag: \"a\"", REASON_STORED, 0,
         AV},
        {"4.2.1: two Expires, the earlier", 200, "", "Expires: " PLUS_90S "\nExpires: " PLUS_60S,
         REASON_STORED, 60, 0},
        {"4.2.1: two Expires, one invalid", 200, "", "Expires: " PLUS_90S "\nExpires: x",
         REASON_ZERO_LIFETIME, 0, 0},
        {"5.6.7: Expires in RFC 850 form", 200, "", "Expires: Sunday, 06-Nov-94 08:50:37 GMT",
         REASON_STORED, 60, 0},
        {"5.6.7: Expires in asctime form", 200, "", "Expires: Sun Nov  6 08:50:37 1994",
         REASON_STORED, 60, 0},
        {"4.2.1: max-age=0 with a validator", 200, "", "Cache-Control: max-age=0\nETag: \"a\"",
         REASON_STORED, 0, AV},
        {"4.2.1: max-age=0 without a validator", 200, "", "Cache-Control: max-age=0",
         REASON_ZERO_LIFETIME, 0, 0},
        {"4.2.1: s-maxage=0 beats max-age", 200, "", "Cache-Control: s-maxage=0, max-age=60",
         REASON_ZERO_LIFETIME, 0, 0},
        {"4.2.1: two max-age, the smaller", 200, "", "Cache-Control: max-age=60, max-age=10",
         REASON_STORED, 10, 0},
        {"4.2.1: malformed max-age is stale", 200, "", "Cache-Control: max-age=1.5",
         REASON_ZERO_LIFETIME, 0, 0},
        {"4.2.1: negative max-age is stale", 200, "", "Cache-Control: max-age=-60",
         REASON_ZERO_LIFETIME, 0, 0},
        {"5.2: quoted max-age", 200, "", "Cache-Control: max-age=\"60\"", REASON_STORED, 60, 0},
        {"1.2.2: a number beyond 2^31", 200, "", "Cache-Control: max-age=99999999999",
         REASON_STORED, UINT32_C(1) << 31, 0},
        {"5.2.2.4: no-cache with a validator", 200, "",
         "Cache-Control: no-cache, max-age=60\nETag: \"a\"", REASON_STORED, 60, AV},
        {"5.2.2.4: no-cache with Last-Modified", 200, "",
         "Cache-Control: no-cache\nLast-Modified: " MINUS_10H, REASON_STORED, 3600, AV | HE},
        {"5.2.2.4: no-cache without a validator", 200, "", "Cache-Control: no-cache, max-age=60",
         REASON_ZERO_LIFETIME, 0, 0},
        {"5.2.2.4: no-cache with fields", 200, "",
         "Cache-Control: no-cache=\"foo\", max-age=60\nETag: \"a\"", REASON_STORED, 60, WH},
        {"5.2.2.4: no-cache with a field that cannot be left out", 200, "",
         "Cache-Control: no-cache=\"etag\", max-age=60\nETag: \"a\"", REASON_STORED, 60, AV},
        {"5.2.2.2: must-revalidate", 200, "", "Cache-Control: must-revalidate, max-age=60",
         REASON_STORED, 60, MR},
        {"5.2.2.8: proxy-revalidate", 200, "", "Cache-Control: proxy-revalidate, max-age=60",
         REASON_STORED, 60, MR},
        {"RFC 8246: immutable", 200, "", "Cache-Control: immutable, max-age=60", REASON_STORED, 60,
         IM},
        {"RFC 5861 section 3: stale at once but usable", 200, "",
         "Cache-Control: max-age=0, stale-while-revalidate=30", REASON_STORED, 0, 0},
        {"RFC 5861 section 4: stale at once but usable on errors", 200, "",
         "Cache-Control: max-age=0, stale-if-error=30", REASON_STORED, 0, 0},
        {"RFC 5861 section 3: a window of nothing", 200, "",
         "Cache-Control: max-age=0, stale-while-revalidate=0", REASON_ZERO_LIFETIME, 0, 0},
        {"5.2.2.2: must-revalidate leaves no window", 200, "",
         "Cache-Control: max-age=0, must-revalidate, stale-while-revalidate=30",
         REASON_ZERO_LIFETIME, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_admit(&plain, &cases[i]);
}

/* RFC 9111 sections 4.2.1 and 4.2.2: what the lifetime was taken from is kept. */
static void
where_a_lifetime_comes_from(void **state)
{
    static const struct cache_settings settings = {
        .heuristic = true, .heuristic_max_s = 600, .default_ttl_s = 30};
    static const struct {
        const char *why, *response;
        enum cache_lifetime want;
    } cases[] = {
        {"4.2.1: s-maxage", "Cache-Control: max-age=60, s-maxage=10", CACHE_LIFETIME_S_MAXAGE},
        {"4.2.1: max-age", "Cache-Control: max-age=60\nExpires: 0", CACHE_LIFETIME_MAX_AGE},
        {"4.2.1: Expires", "Expires: " PLUS_60S, CACHE_LIFETIME_EXPIRES},
        {"4.2.2: Last-Modified", "Last-Modified: " MINUS_10H, CACHE_LIFETIME_HEURISTIC},
        {"the site's own", "ETag: \"a\"", CACHE_LIFETIME_DEFAULT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char lines[512];
        struct arena arena;
        struct http_request request;
        struct http_response response;
        struct cache_object object = {.lifetime_from = CACHE_LIFETIME_COUNT};

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_in_range(snprintf(lines, sizeof(lines), DATED "%s", cases[i].response), 1,
                        sizeof(lines) - 1);
        request = request_from(&arena, METHOD_GET, "");
        response = response_from(&arena, 200, lines);
        assert_int_equal(fresh_admit(&settings, &request, &response, NOW_S, NOW_S, &object),
                         REASON_STORED);
        assert_int_equal(object.lifetime_from, cases[i].want);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 4.2.2 */
static void
heuristics(void **state)
{
    static const struct cache_settings off = {.heuristic_max_s = 86400},
                                       ttl = {.heuristic = true,
                                              .heuristic_max_s = 600,
                                              .default_ttl_s = 30};
    static const struct {
        const struct cache_settings *settings;
        struct admit_case c;
    } cases[] = {
        {&plain, {"4.2.2: a tenth", 200, "", "Last-Modified: " MINUS_10H, REASON_STORED, 3600, HE}},
        {&plain, {"4.2.2: capped", 200, "", "Last-Modified: " YEARS_AGO, REASON_STORED, 86400, HE}},
        {&plain,
         {"4.2.2: modified in the future", 200, "", "Last-Modified: " PLUS_60S, REASON_STORED, 0,
          HE | AV}},
        {&plain,
         {"4.2.2: not a date", 200, "", "Last-Modified: yesterday", REASON_NO_FRESHNESS, 0, 0}},
        {&plain,
         {"4.2.2: two of them", 200, "", "Last-Modified: " MINUS_10H "\nLast-Modified: " YEARS_AGO,
          REASON_NO_FRESHNESS, 0, 0}},
        {&plain,
         {"4.2.2: never beside an explicit time", 200, "",
          "Last-Modified: " MINUS_10H "\nExpires: 0", REASON_STORED, 0, AV}},
        {&off, {"switched off", 200, "", "Last-Modified: " MINUS_10H, REASON_STORED, 0, HE | AV}},
        {&ttl, {"default ttl without anything", 200, "", "", REASON_STORED, 30, HE}},
        {&ttl, {"default ttl with an ETag only", 200, "", "ETag: \"a\"", REASON_STORED, 30, HE}},
        {&ttl,
         {"Last-Modified before the default ttl", 200, "", "Last-Modified: " YEARS_AGO,
          REASON_STORED, 600, HE}},
        {&ttl,
         {"default ttl is no explicit time", 200, "", "Expires: 0", REASON_ZERO_LIFETIME, 0, 0}},
        {&ttl, {"default ttl not for 302", 302, "", "", REASON_STATUS, 0, 0}},
        {&ttl, {"default ttl for 404", 404, "", "", REASON_STORED, 30, HE}},
        {&ttl,
         {"default ttl with no-cache", 200, "", "Cache-Control: no-cache\nETag: \"a\"",
          REASON_STORED, 30, HE | AV}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_admit(cases[i].settings, &cases[i].c);
}

static void
requests_that_store_nothing(void **state)
{
    static const struct cache_settings heeding = {.client_no_cache = true};
    static const struct {
        const char *why;
        enum http_method method;
        enum http_framing framing;
        uint64_t content_length;
        const char *fields;
        enum cache_reason want;
    } cases[] = {
        {"9.3.1: GET", METHOD_GET, FRAMING_NONE, 0, "", REASON_STORED},
        {"9.3.2: HEAD", METHOD_HEAD, FRAMING_NONE, 0, "", REASON_METHOD},
        {"9.3.3: POST", METHOD_POST, FRAMING_NONE, 0, "", REASON_METHOD},
        {"9.3.7: OPTIONS", METHOD_OPTIONS, FRAMING_NONE, 0, "", REASON_METHOD},
        {"10008 2.7: QUERY", METHOD_QUERY, FRAMING_LENGTH, 3, "", REASON_STORED},
        {"unknown method", METHOD_OTHER, FRAMING_NONE, 0, "", REASON_METHOD},
        {"body with a length", METHOD_GET, FRAMING_LENGTH, 3, "", REASON_REQUEST_BODY},
        {"body of no bytes", METHOD_GET, FRAMING_LENGTH, 0, "", REASON_STORED},
        {"chunked body", METHOD_GET, FRAMING_CHUNKED, 0, "", REASON_REQUEST_BODY},
        {"5.2.1.5: no-store heeded", METHOD_GET, FRAMING_NONE, 0, "Cache-Control: no-store",
         REASON_REQUEST_NO_STORE},
        {"5.2.1.4: no-cache stores", METHOD_GET, FRAMING_NONE, 0, "Cache-Control: no-cache",
         REASON_STORED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_request request;
        struct http_response response;
        struct cache_object object;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, cases[i].method, cases[i].fields);
        request.framing = cases[i].framing;
        request.content_length = cases[i].content_length;
        response = response_from(&arena, 200, DATED "Cache-Control: max-age=60");
        assert_int_equal(fresh_admit(&heeding, &request, &response, NOW_S, NOW_S, &object),
                         cases[i].want);
        arena_fini(&arena);
    }
}

/* RFC 9111 sections 4.2.3 and 5.1 */
static void
initial_age(void **state)
{
    static const struct {
        const char *why;
        const char *fields;
        int64_t request_s, response_s;
        uint32_t want_s;
    } cases[] = {
        {"4.2.3: nothing", DATED, NOW_S, NOW_S, 0},
        {"4.2.3: apparent age", DATED, NOW_S + 30, NOW_S + 30, 30},
        {"4.2.3: the delay counts", DATED "Age: 5", NOW_S, NOW_S + 7, 12},
        {"4.2.3: the larger, apparent", DATED "Age: 5", NOW_S + 100, NOW_S + 100, 100},
        {"4.2.3: the larger, corrected", DATED "Age: 500", NOW_S + 100, NOW_S + 101, 501},
        {"4.2.3: origin clock ahead", DATED, NOW_S - 50, NOW_S - 50, 0},
        {"4.2.3: our clock went back", DATED "Age: 3", NOW_S + 9, NOW_S, 3},
        {"6.6.1: no Date: received now", "Age: 7", NOW_S, NOW_S, 7},
        {"6.6.1: invalid Date: received now", "Date: soon", NOW_S, NOW_S, 0},
        {"6.6.1: two Dates: received now", DATED DATED, NOW_S + 50, NOW_S + 50, 0},
        {"5.1: negative is ignored", DATED "Age: -5", NOW_S, NOW_S, 0},
        {"5.1: a fraction is ignored", DATED "Age: 7.5", NOW_S, NOW_S, 0},
        {"5.1: a word is ignored", DATED "Age: x", NOW_S, NOW_S, 0},
        {"5.1: a parameter is ignored", DATED "Age: 7;a=b", NOW_S, NOW_S, 0},
        {"5.1: a quoted number is ignored", DATED "Age: \"7\"", NOW_S, NOW_S, 0},
        {"5.1: empty is ignored", DATED "Age:", NOW_S, NOW_S, 0},
        {"5.1: a list, the first member", DATED "Age: 7, 100", NOW_S, NOW_S, 7},
        {"5.1: a list, the first is no number", DATED "Age: x, 100", NOW_S, NOW_S, 0},
        {"5.1: two fields, the first", DATED "Age: 7\nAge: 100", NOW_S, NOW_S, 7},
        {"5.1: 2^31", DATED "Age: 2147483648", NOW_S, NOW_S, UINT32_C(1) << 31},
        {"5.1: beyond 2^31", DATED "Age: 99999999999999999999", NOW_S, NOW_S + 5,
         UINT32_C(1) << 31},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char lines[256];
        struct arena arena;
        struct http_request request;
        struct http_response response;
        struct cache_object object;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        (void)snprintf(lines, sizeof(lines), "Cache-Control: max-age=60\n%s", cases[i].fields);
        request = request_from(&arena, METHOD_GET, "");
        response = response_from(&arena, 200, lines);
        assert_int_equal(fresh_admit(&plain, &request, &response, cases[i].request_s,
                                     cases[i].response_s, &object),
                         REASON_STORED);
        assert_int_equal(object.initial_age_s, cases[i].want_s);
        arena_fini(&arena);
    }
}

static void
age_and_ttl_go_on(void **state)
{
    static const struct {
        const char *why;
        uint32_t initial_age_s, lifetime_s;
        int64_t passed_s;
        uint32_t age_s;
        int64_t ttl_s;
    } cases[] = {
        {"4.2.3: at once", 32, 60, 0, 32, 28},
        {"4.2.3: time in the cache adds up", 32, 60, 20, 52, 8},
        {"4.2: just stale", 0, 60, 60, 60, 0},
        {"4.2: stale for long", 10, 60, 1000, 1010, -950},
        {"4.2.3: our clock went back", 32, 60, -500, 32, 28},
        {"1.2.2: never beyond 2^31", UINT32_C(1) << 31, 60, 10, UINT32_C(1) << 31,
         60 - (INT64_C(1) << 31)},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.response_s = NOW_S,
                                            .initial_age_s = cases[i].initial_age_s,
                                            .lifetime_s = cases[i].lifetime_s};

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(fresh_age_s(&object, NOW_S + cases[i].passed_s), cases[i].age_s);
        assert_true(fresh_ttl_s(&object, NOW_S + cases[i].passed_s) == cases[i].ttl_s);
    }
}

/* RFC 5861 */
static void
stale_windows(void **state)
{
    static const struct cache_settings given = {.stale_while_revalidate_s = 11,
                                                .stale_if_error_s = 22};
    static const struct {
        const char *why;
        const struct cache_settings *settings;
        const char *fields;
        uint32_t swr_s, sie_s;
    } cases[] = {
        {"none", &plain, "Cache-Control: max-age=1", 0, 0},
        {"3: from the response", &plain, "Cache-Control: max-age=1, stale-while-revalidate=5", 5,
         0},
        {"4: from the response", &plain, "Cache-Control: max-age=1, stale-if-error=6", 0, 6},
        {"the operator's", &given, "Cache-Control: max-age=1", 11, 22},
        {"the response before the operator", &given,
         "Cache-Control: max-age=1, stale-while-revalidate=5, stale-if-error=0", 5, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_request request;
        struct http_response response;
        struct cache_object object;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, "");
        response = response_from(&arena, 200, cases[i].fields);
        assert_int_equal(fresh_admit(cases[i].settings, &request, &response, NOW_S, NOW_S, &object),
                         REASON_STORED);
        assert_int_equal(object.swr_s, cases[i].swr_s);
        assert_int_equal(object.sie_s, cases[i].sie_s);
        arena_fini(&arena);
    }
}

static void
an_object_has_all_of_the_response(void **state)
{
    struct arena arena;
    struct http_request request;
    struct http_response response;
    struct cache_object object;

    (void)state;
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_GET, "");
    response = response_from(
        &arena, 203, DATED "ETag: W/\"a\"\nLast-Modified: " MINUS_10H "\nCache-Control: max-age=9");
    assert_int_equal(fresh_admit(&plain, &request, &response, NOW_S, NOW_S + 2, &object),
                     REASON_STORED);
    assert_int_equal(object.status, 203);
    assert_true(object.response_s == NOW_S + 2);
    assert_true(object.date_s == NOW_S);
    assert_true(object.last_modified_s == NOW_S - 36000);
    assert_text(object.etag, "W/\"a\"");
    assert_int_equal(object.vary.len, 0);
    assert_int_equal(object.tags.len, 0);
    arena_fini(&arena);
}

static void
dates_before_1970_do_not_confuse(void **state)
{
    struct arena arena;
    struct http_fields fields;
    int64_t at_s = 5;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, "Last-Modified: Thu, 01 Jan 1960 00:00:00 GMT", &fields);
    assert_true(fresh_date(&fields, HTTP_LAST_MODIFIED, NOW_S, &at_s));
    assert_true(at_s == 0);
    assert_false(fresh_date(&fields, HTTP_DATE, NOW_S, &at_s));
    arena_fini(&arena);
}

/* RFC 9111 section 4.3.4 */
static void
update_after_validation(void **state)
{
    static const struct {
        const char *why, *request, *merged;
        bool want;
        uint32_t lifetime_s, initial_age_s;
        unsigned flags;
    } cases[] = {
        {"4.3.4: a new lifetime", "", DATED "Cache-Control: max-age=99", true, 99, 0, 0},
        {"4.3.4: the new Age", "", DATED "Cache-Control: max-age=99\nAge: 8", true, 99, 8, 0},
        {"4.3.4: now no-cache", "", DATED "Cache-Control: no-cache\nETag: \"a\"", true, 0, 0,
         AV | HE},
        {"4.3.4: now no-store", "", DATED "Cache-Control: no-store", false, 0, 0, 0},
        {"4.3.4: now private", "", DATED "Cache-Control: private, max-age=9", false, 0, 0, 0},
        {"4.3.4: now with a cookie", "", DATED "Set-Cookie: a=b\nCache-Control: max-age=9", false,
         0, 0, 0},
        {"4.3.4: now without any freshness", "", DATED, false, 0, 0, 0},
        {"4.1: now Vary: *", "", DATED "Vary: *\nCache-Control: max-age=9", false, 0, 0, 0},
        {"3.5: asked with credentials",
         "Authorization: Basic YQ==", DATED "Cache-Control: max-age=9", false, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct http_request request;
        struct http_fields merged;
        struct cache_object object = {.status = 200,
                                      .flags = CACHE_MUST_REVALIDATE,
                                      .lifetime_s = 1,
                                      .vary = SLICE("accept: a\n"),
                                      .tags = SLICE("t")};

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        request = request_from(&arena, METHOD_GET, cases[i].request);
        fields_from(&arena, cases[i].merged, &merged);
        assert_int_equal(fresh_update(&plain, &request, &merged, NOW_S, NOW_S, &object),
                         cases[i].want);
        assert_int_equal(object.status, 200);
        assert_text(object.vary, "accept: a\n");
        assert_text(object.tags, "t");
        assert_int_equal(object.lifetime_s, cases[i].want ? cases[i].lifetime_s : 1);
        assert_int_equal(object.flags, cases[i].want ? cases[i].flags : CACHE_MUST_REVALIDATE);
        assert_int_equal(object.initial_age_s, cases[i].initial_age_s);
        arena_fini(&arena);
    }
}

/* RFC 9213 section 2.2 */
static void
targeted_fields(void **state)
{
    static const char *const names[] = {"surrogate-control", "cdn-cache-control"};
    static const struct cache_settings both = {.heuristic = true,
                                               .heuristic_max_s = 86400,
                                               .targeted_fields = names,
                                               .targeted_fields_n = ARRAY_LEN(names)};
    static const struct admit_case cases[] = {
        {"2.2: max-age in it", 200, "", "CDN-Cache-Control: max-age=60", REASON_STORED, 60, 0},
        {"2.2: long beats short", 200, "",
         "CDN-Cache-Control: max-age=3600\nCache-Control: max-age=1", REASON_STORED, 3600, 0},
        {"2.2: short beats long", 200, "",
         "Cache-Control: max-age=3600\nCDN-Cache-Control: max-age=1", REASON_STORED, 1, 0},
        {"2.2: beats no-store", 200, "", "Cache-Control: no-store\nCDN-Cache-Control: max-age=60",
         REASON_STORED, 60, 0},
        {"2.2: beats private and s-maxage", 200, "",
         "Cache-Control: private, s-maxage=1\nCDN-Cache-Control: max-age=60", REASON_STORED, 60, 0},
        {"2.2: its private beats max-age", 200, "",
         "Cache-Control: max-age=60\nCDN-Cache-Control: private", REASON_PRIVATE, 0, 0},
        {"2.2: its no-store beats max-age", 200, "",
         "Cache-Control: max-age=60\nCDN-Cache-Control: no-store", REASON_NO_STORE, 0, 0},
        {"2.2: its no-cache beats max-age", 200, "",
         "Cache-Control: max-age=60\nETag: \"a\"\nCDN-Cache-Control: no-cache, max-age=60",
         REASON_STORED, 60, AV},
        {"2.2: no-cache without a validator", 200, "",
         "Cache-Control: max-age=60\nCDN-Cache-Control: no-cache", REASON_NO_FRESHNESS, 0, 0},
        {"2.2: max-age=0 beats Expires", 200, "",
         "CDN-Cache-Control: max-age=0\nExpires: " PLUS_60S, REASON_ZERO_LIFETIME, 0, 0},
        {"2.2: max-age beats an Expires of the past", 200, "",
         "CDN-Cache-Control: max-age=60\nExpires: " MINUS_60S, REASON_STORED, 60, 0},
        {"2.2: without a lifetime Expires does not count", 200, "",
         "CDN-Cache-Control: foo\nExpires: " PLUS_60S, REASON_NO_FRESHNESS, 0, 0},
        {"2.2: nor does Cache-Control", 200, "",
         "CDN-Cache-Control: foo\nCache-Control: max-age=60", REASON_NO_FRESHNESS, 0, 0},
        {"RFC 9111 4.2.2: the guess is that of any response that does not say", 200, "",
         "CDN-Cache-Control: foo\nCache-Control: no-store\nLast-Modified: " MINUS_10H,
         REASON_STORED, 3600, HE},
        {"2.1: an invalid one leaves it to Cache-Control", 200, "",
         "CDN-Cache-Control: max-age =100\nCache-Control: max-age=1", REASON_STORED, 1, 0},
        {"2.1: also to its no-store", 200, "",
         "CDN-Cache-Control: max-age=10000, &&&&&\nCache-Control: no-store", REASON_NO_STORE, 0, 0},
        {"2.1: and to Expires", 200, "", "CDN-Cache-Control: MaX-aGe=1\nExpires: " PLUS_60S,
         REASON_STORED, 60, 0},
        {"2.1: so does an empty one", 200, "", "CDN-Cache-Control:\nCache-Control: max-age=5",
         REASON_STORED, 5, 0},
        {"2.1: a wrong type is no lifetime", 200, "",
         "CDN-Cache-Control: max-age=\"10000\"\nCache-Control: no-store\nLast-Modified: " YEARS_AGO,
         REASON_STORED, 0, AV},
        {"2.2: the first of the list", 200, "",
         "CDN-Cache-Control: no-store\nSurrogate-Control: max-age=3600;something", REASON_STORED,
         3600, 0},
        {"2.2: the next when it is invalid", 200, "",
         "CDN-Cache-Control: max-age=60\nSurrogate-Control: max-age=3600, content=\"a",
         REASON_STORED, 60, 0},
        {"2.2: the next when it is empty", 200, "",
         "CDN-Cache-Control: max-age=60\nSurrogate-Control:", REASON_STORED, 60, 0},
        {"2.2: one that is not on the list", 200, "",
         "Other-Cache-Control: no-store\nCache-Control: max-age=60", REASON_STORED, 60, 0},
        {"RFC 9111 3.5: its public allows what Authorization forbids", 200,
         "Authorization: Basic YQ==",
         "Cache-Control: private\nCDN-Cache-Control: public, max-age=60", REASON_STORED, 60, 0},
        {"RFC 9111 3.5: that of Cache-Control does not", 200, "Authorization: Basic YQ==",
         "Cache-Control: public\nCDN-Cache-Control: max-age=60", REASON_AUTHORIZATION, 0, 0},
        {"its must-revalidate and immutable", 200, "",
         "CDN-Cache-Control: must-revalidate, immutable, max-age=60", REASON_STORED, 60, MR | IM},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_admit(&both, &cases[i]);
    check_admit(&plain,
                &(struct admit_case){"2.2: nothing is on the list", 200, "",
                                     "CDN-Cache-Control: no-store\nCache-Control: max-age=60",
                                     REASON_STORED, 60, 0});
}

/* RFC 9111 section 4.3.4: what a 304 merges goes by the same list. */
static void
targeted_fields_of_an_update(void **state)
{
    static const char *const names[] = {"cdn-cache-control"};
    static const struct cache_settings settings = {.targeted_fields = names,
                                                   .targeted_fields_n = ARRAY_LEN(names)};
    struct cache_object object = {.status = 200};
    struct http_request request;
    struct http_response merged;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    request = request_from(&arena, METHOD_GET, "");
    merged =
        response_from(&arena, 200, DATED "Cache-Control: no-store\nCDN-Cache-Control: max-age=60");
    assert_true(fresh_update(&settings, &request, &merged.fields, NOW_S, NOW_S, &object));
    assert_int_equal(object.lifetime_s, 60);
    assert_int_equal(object.lifetime_from, CACHE_LIFETIME_TARGETED);
    merged =
        response_from(&arena, 200, DATED "Cache-Control: max-age=60\nCDN-Cache-Control: no-store");
    assert_false(fresh_update(&settings, &request, &merged.fields, NOW_S, NOW_S, &object));
    arena_fini(&arena);
}

/* RFC 9111 sections 4.2.2 and 7.3: what the site allows beyond the careful defaults. */
static void
what_a_site_allows(void **state)
{
    static const struct cache_status_ttl ttls[] = {{4, 10}, {404, 60}, {5, 0}, {200, 7}};
    static const struct cache_settings by_status = {.status_ttls = ttls,
                                                    .status_ttls_n = ARRAY_LEN(ttls),
                                                    .heuristic = true,
                                                    .heuristic_max_s = 86400,
                                                    .default_ttl_s = 30},
                                       cookies = {.heuristic = true,
                                                  .heuristic_max_s = 86400,
                                                  .store_set_cookie = true},
                                       all = {.heuristic = true,
                                              .heuristic_max_s = 86400,
                                              .store_set_cookie = true,
                                              .heuristic_query = true,
                                              .heuristic_set_cookie = true};
    static const struct {
        const struct cache_settings *settings;
        struct admit_case expect;
    } cases[] = {
        {&by_status, {"a status of its own before its class", 404, "", "", REASON_STORED, 60, HE}},
        {&by_status, {"its class", 403, "", "", REASON_STORED, 10, HE}},
        {&by_status,
         {"before a heuristic", 200, "", "Last-Modified: " MINUS_10H, REASON_STORED, 7, HE}},
        {&by_status,
         {"4.2.1: after what the response states", 404, "", "Cache-Control: max-age=5",
          REASON_STORED, 5, 0}},
        {&by_status, {"none at all", 503, "", "", REASON_ZERO_LIFETIME, 0, 0}},
        {&by_status, {"a status that is not named", 301, "", "", REASON_STORED, 30, HE}},
        {&by_status, {"nor its class", 302, "", "", REASON_STATUS, 0, 0}},
        {&by_status,
         {"5.2.2.5: not against no-store", 404, "", "Cache-Control: no-store", REASON_NO_STORE, 0,
          0}},
        {&by_status, {"a status that is never stored", 429, "", "", REASON_STATUS, 0, 0}},
        {&cookies,
         {"7.3: Set-Cookie allowed", 200, "", "Set-Cookie: a\nCache-Control: max-age=5",
          REASON_STORED, 5, 0}},
        {&cookies,
         {"4.2.2: but not guessed about", 200, "", "Set-Cookie: a\nLast-Modified: " MINUS_10H,
          REASON_STORED, 0, AV | HE}},
        {&all,
         {"4.2.2: guessed about when allowed", 200, "", "Set-Cookie: a\nLast-Modified: " MINUS_10H,
          REASON_STORED, 3600, HE}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_admit(cases[i].settings, &cases[i].expect);
}

/* RFC 9111 section 4.2.2: what a query asks for is not guessed about, unless the site says so. */
static void
queries_are_not_guessed_about(void **state)
{
    struct cache_settings settings = plain;

    (void)state;
    for (int allowed = 0; allowed <= 1; allowed++) {
        struct arena arena;
        struct http_request request;
        struct http_response response;
        struct cache_object object;

        arena_init(&arena, 0);
        settings.heuristic_query = allowed;
        request = request_from(&arena, METHOD_GET, "");
        request.query = SLICE("?a");
        response = response_from(&arena, 200, DATED "Last-Modified: " MINUS_10H);
        assert_int_equal(fresh_admit(&settings, &request, &response, NOW_S, NOW_S, &object),
                         REASON_STORED);
        assert_int_equal(object.lifetime_s, allowed ? 3600 : 0);
        assert_int_equal(object.flags, allowed ? HE : AV | HE);
        arena_fini(&arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_stored),
        cmocka_unit_test(statuses),
        cmocka_unit_test(must_understand),
        cmocka_unit_test(lifetimes),
        cmocka_unit_test(where_a_lifetime_comes_from),
        cmocka_unit_test(heuristics),
        cmocka_unit_test(targeted_fields),
        cmocka_unit_test(targeted_fields_of_an_update),
        cmocka_unit_test(requests_that_store_nothing),
        cmocka_unit_test(initial_age),
        cmocka_unit_test(age_and_ttl_go_on),
        cmocka_unit_test(stale_windows),
        cmocka_unit_test(an_object_has_all_of_the_response),
        cmocka_unit_test(dates_before_1970_do_not_confuse),
        cmocka_unit_test(update_after_validation),
        cmocka_unit_test(what_a_site_allows),
        cmocka_unit_test(queries_are_not_guessed_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
