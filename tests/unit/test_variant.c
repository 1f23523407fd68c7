/* What may be made of a response, and what its heads say. RFC 9110 sections 8.3, 8.4, 8.8.3 and
 * 12.5.5, RFC 9111 section 5.2.2.6, RFC 9213, RFC 9530. Tags in conditions: test_variant_tags.c. */
#include "cache_fixture.h"

#include "cache/validate.h"
#include "cache/variant.h"

enum { C = CACHE_CODABLE, D = CACHE_CODED };

static const char *const types[] = {"text/*", "application/json", "*/*+xml", "application/x-*"};
static const char *const targeted[] = {"cdn-cache-control"};
static const struct variant_settings site = {{CODING_BR, CODING_GZIP}, 2,   types,
                                             ARRAY_LEN(types),         100, true};
static const struct cache_settings cache = {.targeted_fields = targeted, .targeted_fields_n = 1};

static enum variant_why judged; /* what the last judgement returned */

static struct cache_object
judge(struct arena *arena, const struct variant_settings *settings, unsigned status,
      const char *lines, bool has_length, uint64_t length)
{
    struct cache_object object = {.status = (uint16_t)status,
                                  .flags = CACHE_IMMUTABLE | CACHE_CODABLE | CACHE_CODED,
                                  .coding = CODING_ZSTD}; /* of an earlier judgement */
    struct variant_subject subject = {.has_length = has_length, .length = length};
    struct http_fields fields;
    const struct http_field *etag;

    fields_from(arena, lines, &fields);
    subject.fields = &fields;
    etag = http_fields_get(&fields, HTTP_ETAG);
    object.etag = etag == NULL ? SLICE_NONE : etag->value;
    judged = variant_judge(settings, &cache, &subject, &object);
    assert_true(object.flags & CACHE_IMMUTABLE);
    assert_int_equal(judged == VARIANT_CODABLE, (object.flags & CACHE_CODABLE) != 0);
    object.flags &= (uint16_t)~CACHE_IMMUTABLE;
    return object;
}

static void
types_that_are_coded(void **state)
{
    static const struct {
        const char *why, *lines;
        bool want;
    } cases[] = {
        {"8.3: a type", "Content-Type: application/json", true},
        {"8.3: one of a kind", "Content-Type: text/html", true},
        {"8.3.1: with parameters", "Content-Type: text/html;charset=utf-8", true},
        {"8.3.1: blanks before the parameters", "Content-Type: text/html ; charset=\"a;b\"", true},
        {"8.3.1: in any case", "Content-Type: Application/JSON", true},
        {"RFC 6839: a suffix", "Content-Type: image/svg+xml", true},
        {"a start", "Content-Type: application/x-", true},
        {"a start, and more", "Content-Type: application/x-javascript", true},
        {"another suffix", "Content-Type: image/svg+xmls", false},
        {"more behind", "Content-Type: application/json5", false},
        {"less", "Content-Type: application/jso", false},
        {"a suffix twice", "Content-Type: a/b+xml+xml", true},
        {"8.3: another type", "Content-Type: image/png", false},
        {"8.3: none", "X: y", false},
        {"8.3: empty", "Content-Type:", false},
        {"8.3.1: no subtype", "Content-Type: text", false},
        {"8.3.1: an empty subtype", "Content-Type: text/", false},
        {"8.3.1: an empty type", "Content-Type: /html", false},
        {"8.3.1: two slashes", "Content-Type: text/html/x", false},
        {"8.3.1: blanks in it", "Content-Type: text / html", false},
        {"8.3: a list", "Content-Type: text/html, text/html", false},
        {"8.3: two fields", "Content-Type: text/html\nContent-Type: text/html", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(judge(&arena, &site, 200, cases[i].lines, false, 0).flags,
                         cases[i].want ? C : 0);
        arena_fini(&arena);
    }
}

#define TEXT "Content-Type: text/css\n"
#define PNG "Content-Type: image/png\n"

static void
why_it_is_not_codable(void **state)
{
    static const struct variant_settings off = {.decode = true},
                                         kept = {{CODING_BR},      1,   types,
                                                 ARRAY_LEN(types), 100, false},
                                         one = {{CODING_GZIP}, 1, types, ARRAY_LEN(types), 0, true};
    static const struct {
        const struct variant_settings *settings;
        unsigned status;
        const char *lines;
        int length;
        enum variant_why want;
    } cases[] = {
        {&site, 200, TEXT, 100, VARIANT_CODABLE},
        {&off, 200, TEXT, 100, VARIANT_OFF},
        {&off, 200, TEXT "Content-Encoding: gzip", 100, VARIANT_OFF},
        {&site, 200, TEXT "Content-Encoding: gzip, br", 100, VARIANT_STRANGE},
        {&site, 200, TEXT "Content-Encoding: x-pack", 100, VARIANT_STRANGE},
        {&kept, 200, TEXT "Content-Encoding: gzip", 100, VARIANT_UNDECODED},
        {&site, 206, TEXT, 100, VARIANT_NO_WHOLE},
        {&site, 200, TEXT, 0, VARIANT_NO_WHOLE},
        {&site, 200, TEXT "Cache-Control: no-transform", 100, VARIANT_NO_TRANSFORM},
        {&one, 200, TEXT "Content-Encoding: gzip", 100, VARIANT_ITS_OWN},
        {&site, 200, PNG, 100, VARIANT_TYPE},
        {&site, 200, PNG, 99, VARIANT_TYPE},
        {&site, 200, TEXT, 99, VARIANT_SHORT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;

        print_message("case: %s\n", variant_why_sentence(cases[i].want));
        arena_init(&arena, 0);
        (void)judge(&arena, cases[i].settings, cases[i].status, cases[i].lines, true,
                    (uint64_t)cases[i].length);
        assert_int_equal(judged, cases[i].want);
        arena_fini(&arena);
    }
}

static void
what_may_be_made(void **state)
{
    static const struct variant_settings off = {.decode = true},
                                         kept = {{CODING_BR},      1,   types,
                                                 ARRAY_LEN(types), 100, false},
                                         one = {{CODING_GZIP}, 1, types, ARRAY_LEN(types), 0, true};
    static const struct {
        const char *why;
        const struct variant_settings *settings;
        unsigned status;
        const char *lines;
        int length; /* -1: unknown */
        unsigned want;
        enum http_coding coding;
    } cases[] = {
        {"long enough", &site, 200, TEXT, 100, C, CODING_IDENTITY},
        {"too short", &site, 200, TEXT, 99, 0, CODING_IDENTITY},
        {"of unknown length", &site, 200, TEXT, -1, C, CODING_IDENTITY},
        {"6.4: no content", &one, 200, TEXT, 0, 0, CODING_IDENTITY},
        {"15.5.5: an error's page", &site, 404, TEXT, 100, C, CODING_IDENTITY},
        {"15.4.3: a redirection's page", &site, 302, TEXT, 100, C, CODING_IDENTITY},
        {"15.2: an interim response", &site, 103, TEXT, -1, 0, CODING_IDENTITY},
        {"15.3.5: 204", &site, 204, TEXT, -1, 0, CODING_IDENTITY},
        {"15.3.6: 205", &site, 205, TEXT, -1, 0, CODING_IDENTITY},
        {"15.3.7: a part", &site, 206, TEXT "Content-Range: bytes 0-99/200", 100, 0,
         CODING_IDENTITY},
        {"15.3.7: parts", &site, 206, TEXT, 100, 0, CODING_IDENTITY},
        {"15.4.5: 304", &site, 304, TEXT, -1, 0, CODING_IDENTITY},
        {"14.4: Content-Range where it means nothing", &site, 200, TEXT "Content-Range: x", 100, 0,
         CODING_IDENTITY},
        {"9111 5.2.2.6: no-transform", &site, 200, TEXT "Cache-Control: a, No-Transform", 100, 0,
         CODING_IDENTITY},
        {"9111 5.2.2.6: of what was coded", &site, 200,
         TEXT "Cache-Control: no-transform\nContent-Encoding: br", 100, 0, CODING_BR},
        {"9213 2.2: of a targeted field", &site, 200, TEXT "CDN-Cache-Control: no-transform", 100,
         0, CODING_IDENTITY},
        {"9213 2.2: beside a targeted field", &site, 200,
         TEXT "CDN-Cache-Control: max-age=9\nCache-Control: no-transform", 100, 0, CODING_IDENTITY},
        {"9213: of a field that is not the site's", &site, 200,
         TEXT "Other-Cache-Control: no-transform", 100, C, CODING_IDENTITY},
        {"8.4: coded", &site, 200, TEXT "Content-Encoding: gzip", 100, C | D, CODING_GZIP},
        {"8.4: coded, of another type", &site, 200, PNG "Content-Encoding: gzip", 100, D,
         CODING_GZIP},
        {"8.4: coded, and short", &site, 200, TEXT "Content-Encoding: zstd", 50, D, CODING_ZSTD},
        {"8.4: coded in nothing at all", &site, 200, TEXT "Content-Encoding: zstd", 0, 0,
         CODING_ZSTD},
        {"8.4: coded, a part", &site, 206, TEXT "Content-Encoding: gzip", 100, 0, CODING_GZIP},
        {"8.4: coded in the site's only one", &one, 200, TEXT "Content-Encoding: gzip", 100, D,
         CODING_GZIP},
        {"8.4.1: identity", &site, 200, TEXT "Content-Encoding: identity", 100, C, CODING_IDENTITY},
        {"8.4.1.3: x-gzip", &site, 200, TEXT "Content-Encoding: X-GZIP", 100, C | D, CODING_GZIP},
        {"8.4: two codings", &site, 200, TEXT "Content-Encoding: gzip, br", 100, 0,
         CODING_IDENTITY},
        {"8.4: two codings in two fields", &site, 200,
         TEXT "Content-Encoding: gzip\nContent-Encoding: br", 100, 0, CODING_IDENTITY},
        {"8.4: an unknown coding", &site, 200, TEXT "Content-Encoding: dcb", 100, 0,
         CODING_IDENTITY},
        {"compress off", &off, 200, TEXT, 100, 0, CODING_IDENTITY},
        {"compress off, coded", &off, 200, TEXT "Content-Encoding: gzip", 100, D, CODING_GZIP},
        {"decompress off, coded", &kept, 200, TEXT "Content-Encoding: gzip", 100, 0, CODING_GZIP},
        {"decompress off", &kept, 200, TEXT, 100, C, CODING_IDENTITY},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool has_length = cases[i].length >= 0;
        struct arena arena;
        struct cache_object object;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        object = judge(&arena, cases[i].settings, cases[i].status, cases[i].lines, has_length,
                       has_length ? (uint64_t)cases[i].length : 0);
        assert_int_equal(object.flags, cases[i].want);
        assert_int_equal(object.coding, cases[i].coding);
        assert_int_equal(variant_varies(&object), cases[i].want != 0);
        arena_fini(&arena);
    }
}

/* Longer ones, with what is added, might be refused by a client. */
static void
long_tags(void **state)
{
    char lines[VARIANT_ETAG_MAX + 64];

    (void)state;
    for (int len = VARIANT_ETAG_MAX - 1; len <= VARIANT_ETAG_MAX + 1; len++) {
        struct arena arena;

        (void)snprintf(lines, sizeof(lines), TEXT "ETag: \"%0*d\"", len - 2, 0);
        arena_init(&arena, 0);
        assert_int_equal(judge(&arena, &site, 200, lines, false, 0).flags,
                         len <= VARIANT_ETAG_MAX ? C : 0);
        arena_fini(&arena);
    }
}

/* Its slices were cut from the bytes as they came. */
static void
a_partial_object_is_in_one_coding(void **state)
{
    struct cache_object object = {.status = 200, .flags = CACHE_PARTIAL};
    struct variant_subject subject = {.has_length = false};
    struct http_fields fields;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    fields_from(&arena, TEXT "Content-Encoding: gzip", &fields);
    subject.fields = &fields;
    variant_judge(&site, &cache, &subject, &object);
    assert_int_equal(object.flags, CACHE_PARTIAL);
    arena_fini(&arena);
}

static void
offers(void **state)
{
    enum {
        I = CODING_BIT(CODING_IDENTITY),
        G = CODING_BIT(CODING_GZIP),
        B = CODING_BIT(CODING_BR)
    };
    static const struct {
        const char *why;
        struct cache_object object;
        unsigned want;
    } cases[] = {
        {"as it came", {.coding = CODING_IDENTITY}, I},
        {"coded, and left so", {.coding = CODING_GZIP}, G},
        {"codable", {.flags = C}, I | G | B},
        {"to be decoded", {.flags = D, .coding = CODING_ZSTD}, I | CODING_BIT(CODING_ZSTD)},
        {"to be decoded or coded anew",
         {.flags = C | D, .coding = CODING_ZSTD},
         I | G | B | CODING_BIT(CODING_ZSTD)},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        assert_int_equal(variant_offers(&site, &cases[i].object), cases[i].want);
    }
}

/* RFC 9111 section 4.1: who is sent another's coding? */
static void
whose_affair_codings_are(void **state)
{
    static const struct {
        const char *why;
        bool own, asked_ours;
        const char *lines;
        unsigned flags;
        bool want;
    } cases[] = {
        {"the origin's, where brink does nothing", false, true, "X: y", 0, false},
        {"not coded", true, false, "X: y", 0, true},
        {"coded, and can be undone", true, false, "Content-Encoding: gzip", D, true},
        {"coded, and is left so", true, false, "Content-Encoding: gzip", 0, false},
        {"in an unknown coding", true, false, "Content-Encoding: dcb", 0, false},
        {"in two", true, false, "Content-Encoding: gzip, br", 0, false},
        {"left so, but everyone asks alike", true, true, "Content-Encoding: dcb", 0, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_settings settings = {.own_encoding = cases[i].own};
        const struct cache_object object = {.flags = (uint16_t)cases[i].flags};
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].lines, &fields);
        assert_int_equal(variant_owns_encoding(&settings, cases[i].asked_ours, &fields, &object),
                         cases[i].want);
        arena_fini(&arena);
    }
}

/* RFC 9111 sections 4.1 and 4.3.4: what a 304 says of Vary, for what was stored by "Accept". */
static void
what_was_varied_by(void **state)
{
    static const struct {
        const char *why;
        bool own, asked_ours;
        unsigned flags;
        const char *merged;
        bool want;
    } cases[] = {
        {"the same", false, false, 0, "Vary: Accept", true},
        {"none any more", false, false, 0, "X: y", true},
        {"another field", false, false, 0, "Vary: Accept, Foo", false},
        {"codings are the origin's affair", false, true, 0, "Vary: Accept-Encoding", false},
        {"ours, and not coded", true, false, 0, "Vary: Accept, Accept-Encoding", true},
        {"ours, and to be undone", true, false, D, "Vary: Accept-Encoding\nContent-Encoding: gzip",
         true},
        {"ours, but from now on left as it is", true, false, 0,
         "Vary: Accept-Encoding\nContent-Encoding: gzip\nCache-Control: no-transform", false},
        {"left as it is, but everyone asks alike", true, true, 0,
         "Vary: Accept-Encoding\nContent-Encoding: gzip\nCache-Control: no-transform", true},
        {"another field too", true, true, 0, "Vary: Accept-Encoding, Foo", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_settings settings = {.own_encoding = cases[i].own};
        const struct cache_object object = {.flags = (uint16_t)cases[i].flags,
                                            .vary = SLICE("accept: a\n")};
        struct http_fields merged;
        struct arena arena;

        print_message("case: 4.1: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].merged, &merged);
        assert_int_equal(variant_covers(&settings, cases[i].asked_ours, &merged, &object),
                         cases[i].want);
        arena_fini(&arena);
    }
}

#define HASH "AbCd0123-_z"

static void
own_lines(void **state)
{
    static const struct {
        const char *why, *etag;
        enum http_coding stored, coding;
        const char *hash, *want, *want_etag;
    } cases[] = {
        {"8.8.3: kept", "\"a\"", CODING_IDENTITY, CODING_BR, HASH,
         "Content-Encoding: br\r\nETag: \"a~br." HASH "\"\r\n", "\"a~br." HASH "\""},
        {"8.8.1: made for one answer", "\"a\"", CODING_IDENTITY, CODING_ZSTD, "",
         "Content-Encoding: zstd\r\nETag: W/\"a~zstd\"\r\n", "W/\"a~zstd\""},
        {"8.8.3: decoded", "\"a\"", CODING_GZIP, CODING_IDENTITY, "", "ETag: \"a~identity\"\r\n",
         "\"a~identity\""},
        {"8.8.1: kept, of a weak one", "W/\"a\"", CODING_IDENTITY, CODING_GZIP, HASH,
         "Content-Encoding: gzip\r\nETag: W/\"a~gzip." HASH "\"\r\n", "W/\"a~gzip." HASH "\""},
        {"8.8.1: made for one answer, of a weak one", "W/\"a\"", CODING_IDENTITY, CODING_GZIP, "",
         "Content-Encoding: gzip\r\nETag: W/\"a~gzip\"\r\n", "W/\"a~gzip\""},
        {"8.8.1: decoded, of a weak one", "W/\"a\"", CODING_BR, CODING_IDENTITY, "",
         "ETag: W/\"a~identity\"\r\n", "W/\"a~identity\""},
        {"8.8.3: none", "", CODING_IDENTITY, CODING_BR, HASH, "Content-Encoding: br\r\n", ""},
        {"8.8.3: none, decoded", "", CODING_BR, CODING_IDENTITY, "", "", ""},
        {"8.8.3: an empty one", "\"\"", CODING_IDENTITY, CODING_BR, "",
         "Content-Encoding: br\r\nETag: W/\"~br\"\r\n", "W/\"~br\""},
        {"8.8.3: other letters", "\"\xe4~br\"", CODING_BR, CODING_GZIP, "",
         "Content-Encoding: gzip\r\nETag: W/\"\xe4~br~gzip\"\r\n", "W/\"\xe4~br~gzip\""},
        {"what is on the disk is none", "\"a", CODING_IDENTITY, CODING_BR, "",
         "Content-Encoding: br\r\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.etag = slice_from_str(cases[i].etag),
                                            .coding = cases[i].stored};
        struct slice hash = slice_from_str(cases[i].hash), lines, etag;
        char buf[VARIANT_LINES_MAX], room[VARIANT_LINES_MAX];

        print_message("case: %s\n", cases[i].why);
        lines = slice_of(buf, variant_lines(&object, cases[i].coding, hash, buf));
        assert_text(lines, cases[i].want);
        etag = variant_etag(&object, cases[i].coding, hash, room);
        assert_text(etag, cases[i].want_etag);
        assert_true(slice_equal(variant_lines_etag(lines), etag));
        assert_text(variant_lines_hash(lines), etag.len > 0 ? cases[i].hash : "");
    }
}

/* The longest fits; one that is longer, from a damaged disk, is left out. */
static void
own_lines_are_bounded(void **state)
{
    char tag[VARIANT_ETAG_MAX + 8], buf[VARIANT_LINES_MAX];

    (void)state;
    for (int len = VARIANT_ETAG_MAX; len <= VARIANT_ETAG_MAX + 1; len++) {
        struct cache_object object = {.coding = CODING_IDENTITY};

        (void)snprintf(tag, sizeof(tag), "W/\"%0*d\"", len - 4, 0);
        object.etag = slice_from_str(tag);
        assert_int_equal(
            variant_lines_etag(slice_of(buf, variant_lines(&object, CODING_ZSTD, SLICE(HASH), buf)))
                .len,
            len > VARIANT_ETAG_MAX ? 0 : len + 6 + VARIANT_HASH_LEN);
    }
}

static void
hashes(void **state)
{
    static const struct {
        uint64_t hash;
        const char *want;
    } cases[] = {{0, "AAAAAAAAAAA"},
                 {UINT64_MAX, "__________8"},
                 {1, "AAAAAAAAAAE"},
                 {UINT64_C(1) << 63, "gAAAAAAAAAA"},
                 {UINT64_C(0x0123456789abcdef), "ASNFZ4mrze8"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[VARIANT_HASH_LEN];

        variant_hash_text(cases[i].hash, text);
        assert_text(slice_of(text, sizeof(text)), cases[i].want);
    }
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define DATE_LINE "Date: " DATE_NOW "\r\n"
#define DATE "Date: " DATE_NOW "\n"

/* What representations share, then what each has of its own. */
static void
heads(void **state)
{
    static const struct {
        const char *why;
        unsigned flags;
        const char *lines, *shared, *own;
        bool ours;
    } cases[] = {
        {"9110 8: own lines are last, in order", 0,
         "ETag: \"a\"\nX: 1\ncontent-encoding: gzip\n" DATE
         "Repr-Digest: a=:1:\nContent-Digest: a=:2:\nDigest: a=1\nContent-MD5: b\nY: 2",
         OK_LINE "X: 1\r\n" DATE_LINE "Y: 2\r\n",
         "ETag: \"a\"\r\ncontent-encoding: gzip\r\nRepr-Digest: a=:1:\r\n"
         "Content-Digest: a=:2:\r\nDigest: a=1\r\nContent-MD5: b\r\n",
         false},
        {"6.6.1: Date is shared", 0, "ETag: \"a\"\nX: 1", OK_LINE "X: 1\r\n" DATE_LINE,
         "ETag: \"a\"\r\n", false},
        {"none of its own", 0, DATE, OK_LINE DATE_LINE, "", false},
        {"7.6.1: what is not sent on is not its own", 0, DATE "Connection: x\nContent-Length: 4",
         OK_LINE DATE_LINE, "", false},
        {"12.5.5: codable", C, DATE "ETag: \"a\"", OK_LINE DATE_LINE "Vary: Accept-Encoding\r\n",
         "ETag: \"a\"\r\n", true},
        {"12.5.5: coded", D, "ETag: \"a\"", OK_LINE DATE_LINE "Vary: Accept-Encoding\r\n",
         "ETag: \"a\"\r\n", true},
        {"12.5.5: neither", 0, DATE "Vary: Accept-Encoding",
         OK_LINE DATE_LINE "Vary: Accept-Encoding\r\n", "", false},
        {"12.5.5: behind others", C, DATE "vary: Foo, bar\nX: 1",
         OK_LINE DATE_LINE "vary: Foo, bar, Accept-Encoding\r\nX: 1\r\n", "", true},
        {"12.5.5: on the last line", C, DATE "Vary: Foo\nX: 1\nVary: bar",
         OK_LINE DATE_LINE "Vary: Foo\r\nX: 1\r\nVary: bar, Accept-Encoding\r\n", "", true},
        {"12.5.5: an empty one", C, DATE "Vary:", OK_LINE DATE_LINE "Vary: Accept-Encoding\r\n", "",
         true},
        {"12.5.5: not twice", C, DATE "Vary: foo , accept-ENCODING",
         OK_LINE DATE_LINE "Vary: foo , accept-ENCODING\r\n", "", false},
        {"12.5.5: not twice, on another line", C, DATE "Vary: Accept-Encoding\nVary: Foo",
         OK_LINE DATE_LINE "Vary: Accept-Encoding\r\nVary: Foo\r\n", "", false},
        {"12.5.5: star says it already", C, DATE "Vary: *", OK_LINE DATE_LINE "Vary: *\r\n", "",
         false},
        {"12.5.5: star in a list", C, DATE "Vary: a, *", OK_LINE DATE_LINE "Vary: a, *\r\n", "",
         false},
        {"5.6.4: not into an open quote", C, DATE "Vary: \"a",
         OK_LINE DATE_LINE "Vary: \"a\r\nVary: Accept-Encoding\r\n", "", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cache_object object = {.status = 200,
                                      .flags = (uint16_t)(cases[i].flags | CACHE_VARY_OURS)};
        struct http_response response;
        struct arena arena;
        struct slice head;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, 200, cases[i].lines);
        assert_int_equal(validate_build_head(&arena, &response, NOW_S, false, &object, &head), OK);
        assert_text(variant_shared_lines(&object, head), cases[i].shared);
        assert_text(variant_own_lines(&object, head), cases[i].own);
        assert_int_equal((object.flags & CACHE_VARY_OURS) != 0, cases[i].ours);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 4.3.4: after a 304 it is judged anew, and Vary says what is true from then on.
 */
static void
heads_after_validation(void **state)
{
    static const struct {
        const char *why;
        unsigned before, after;
        const char *stored, *lines, *shared, *own;
    } cases[] = {
        {"3.2: stays codable", C | CACHE_VARY_OURS, C,
         "Vary: foo, Accept-Encoding\r\n" DATE_LINE "ETag: \"a\"\r\n", DATE "X: 1",
         OK_LINE "Vary: foo, Accept-Encoding\r\n" DATE_LINE "X: 1\r\n", "ETag: \"a\"\r\n"},
        {"3.2: no longer codable", C | CACHE_VARY_OURS, 0,
         "Vary: foo, Accept-Encoding\r\n" DATE_LINE "ETag: \"a\"\r\n",
         DATE "Cache-Control: no-transform",
         OK_LINE "Vary: foo\r\n" DATE_LINE "Cache-Control: no-transform\r\n", "ETag: \"a\"\r\n"},
        {"3.2: no longer codable, with a line of ours", C | CACHE_VARY_OURS, 0,
         "Vary: bar\r\nVary: Accept-Encoding\r\n" DATE_LINE, DATE,
         OK_LINE "Vary: bar\r\n" DATE_LINE, ""},
        {"3.2: no longer codable, but the origin varies", C, 0,
         "Vary: Accept-Encoding\r\n" DATE_LINE, DATE, OK_LINE "Vary: Accept-Encoding\r\n" DATE_LINE,
         ""},
        {"3.2: the origin's new Vary", C | CACHE_VARY_OURS, C,
         "Vary: foo, Accept-Encoding\r\n" DATE_LINE, DATE "Vary: bar",
         OK_LINE DATE_LINE "Vary: bar, Accept-Encoding\r\n", ""},
        {"3.2: the origin's new Vary says it", C | CACHE_VARY_OURS, C,
         "Vary: Accept-Encoding\r\n" DATE_LINE, DATE "Vary: accept-encoding",
         OK_LINE DATE_LINE "Vary: accept-encoding\r\n", ""},
        {"codable again", 0, C, DATE_LINE "ETag: \"a\"\r\n", DATE,
         OK_LINE DATE_LINE "Vary: Accept-Encoding\r\n", "ETag: \"a\"\r\n"},
        {"a head that has not what its object says", C | CACHE_VARY_OURS, 0,
         "Vary: foo\r\n" DATE_LINE, DATE, OK_LINE "Vary: foo\r\n" DATE_LINE, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cache_object object = {.status = 200, .flags = (uint16_t)cases[i].before};
        struct validate_merged merged;
        struct http_response response;
        struct arena arena;
        struct slice stored, head;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        response = response_from(&arena, 304, cases[i].lines);
        assert_int_equal(arena_printf(&arena, &stored, OK_LINE "%s", cases[i].stored), OK);
        assert_int_equal(validate_merge_fields(&arena, stored, &object, &response, NOW_S, &merged),
                         OK);
        object.flags = (uint16_t)(cases[i].after | (cases[i].before & CACHE_VARY_OURS));
        assert_int_equal(validate_merge_head(&arena, &merged, &object, &head), OK);
        assert_text(variant_shared_lines(&object, head), cases[i].shared);
        assert_text(variant_own_lines(&object, head), cases[i].own);
        arena_fini(&arena);
    }
}

/* RFC 9111 section 5.2.2.4: what others do not get is never one of the own lines. */
static void
withheld_heads_keep_their_own_lines(void **state)
{
    struct cache_object object = {.status = 200, .flags = C};
    struct http_response response;
    struct arena arena;
    struct slice head, withheld;

    (void)state;
    arena_init(&arena, 0);
    response = response_from(&arena, 200,
                             DATE "ETag: \"a\"\nX: 1\nContent-Encoding: br\n"
                                  "Cache-Control: no-cache=\"x\", no-cache=\"etag\"");
    assert_int_equal(validate_build_head(&arena, &response, NOW_S, false, &object, &head), OK);
    assert_int_equal(validate_withhold(&arena, head, &response.fields, &withheld), OK);
    assert_true(
        slice_equal(variant_own_lines(&object, withheld), variant_own_lines(&object, head)));
    assert_int_equal(withheld.len, head.len - sizeof("X: 1\r\n") + 1);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_that_are_coded),
        cmocka_unit_test(why_it_is_not_codable),
        cmocka_unit_test(what_may_be_made),
        cmocka_unit_test(long_tags),
        cmocka_unit_test(a_partial_object_is_in_one_coding),
        cmocka_unit_test(offers),
        cmocka_unit_test(whose_affair_codings_are),
        cmocka_unit_test(what_was_varied_by),
        cmocka_unit_test(own_lines),
        cmocka_unit_test(own_lines_are_bounded),
        cmocka_unit_test(hashes),
        cmocka_unit_test(heads),
        cmocka_unit_test(heads_after_validation),
        cmocka_unit_test(withheld_heads_keep_their_own_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
