/* Our tags in the conditions of clients and of origins. RFC 9110 sections 8.8.3, 13.1.1, 13.1.2 and
 * 13.1.5, RFC 9111 section 4.3. */
#include "cache_fixture.h"

#include "cache/variant.h"

enum { C = CACHE_CODABLE, D = CACHE_CODED };

#define H "AbCd0123-_z"
#define OTHER "zzzzzzzzzzz"
#define ALL "Accept-Encoding: gzip, br, zstd\n"

static void
none_match(void **state)
{
    static const struct {
        const char *why, *etag;
        unsigned flags;
        enum http_coding coding;
        const char *lines, *want; /* NULL: none */
    } cases[] = {
        {"13.1.2: the origin's", "\"a\"", C, 0, ALL "If-None-Match: \"a\"", "\"a\""},
        {"13.1.2: the origin's, weakly", "\"a\"", C, 0, ALL "If-None-Match: W/\"a\"", "\"a\""},
        {"13.1.2: another", "\"a\"", C, 0, ALL "If-None-Match: \"b\"", NULL},
        {"13.1.2: kept", "\"a\"", C, 0, ALL "If-None-Match: \"a~br." H "\"", "\"a~br." H "\""},
        {"13.1.2: kept, any hash", "\"a\"", C, 0, ALL "If-None-Match: \"a~br." OTHER "\"",
         "\"a~br." OTHER "\""},
        {"13.1.2: kept, weakened on its way", "\"a\"", C, 0, ALL "If-None-Match: W/\"a~br." H "\"",
         "W/\"a~br." H "\""},
        {"13.1.2: made for one answer", "\"a\"", C, 0, ALL "If-None-Match: W/\"a~zstd\"",
         "W/\"a~zstd\""},
        {"13.1.2: decoded", "\"a\"", D, CODING_GZIP, "If-None-Match: \"a~identity\"",
         "\"a~identity\""},
        {"13.1.2: of a weak one", "W/\"a\"", C, 0, ALL "If-None-Match: W/\"a~gzip." H "\"",
         "W/\"a~gzip." H "\""},
        {"13.1.2: by who no longer has them made", "\"a\"", 0, 0,
         ALL "If-None-Match: \"a~br." H "\"", "\"a~br." H "\""},
        {"13.1.2: of another object", "\"a\"", C, 0, ALL "If-None-Match: \"b~br." H "\"", NULL},
        {"13.1.2: of one that begins alike", "\"a\"", C, 0, ALL "If-None-Match: \"ab~br." H "\"",
         NULL},
        {"13.1.2: of one that ends alike", "\"a\"", C, 0, ALL "If-None-Match: \"~a~br." H "\"",
         NULL},
        {"13.1.2: without an origin's", "", C, 0, ALL "If-None-Match: \"~br." H "\"", NULL},
        {"8.8.3: of an empty one", "\"\"", C, 0, ALL "If-None-Match: \"~br." H "\"",
         "\"~br." H "\""},
        {"8.8.3: other letters", "\"\xe4\"", C, 0, ALL "If-None-Match: \"\xe4~br." H "\"",
         "\"\xe4~br." H "\""},
        {"8.8.3: a short hash", "\"a\"", C, 0, ALL "If-None-Match: \"a~br.AbCd0123-_\"", NULL},
        {"8.8.3: a long hash", "\"a\"", C, 0, ALL "If-None-Match: \"a~br." H "z\"", NULL},
        {"8.8.3: no hash behind the dot", "\"a\"", C, 0, ALL "If-None-Match: W/\"a~br.\"", NULL},
        {"8.8.3: a hash of other letters", "\"a\"", C, 0, ALL "If-None-Match: \"a~br.AbCd0123+/z\"",
         NULL},
        {"8.8.3: two dots", "\"a\"", C, 0, ALL "If-None-Match: \"a~br." H ".\"", NULL},
        {"8.8.3: strong, and without a hash", "\"a\"", C, 0, ALL "If-None-Match: \"a~br\"", NULL},
        {"8.8.3: identity with a hash", "\"a\"", D, CODING_BR,
         "If-None-Match: \"a~identity." H "\"", NULL},
        {"8.8.3: a name in another case", "\"a\"", C, 0, ALL "If-None-Match: \"a~BR." H "\"", NULL},
        {"8.8.3: another name of gzip", "\"a\"", C, 0, ALL "If-None-Match: W/\"a~x-gzip\"", NULL},
        {"8.8.3: an unknown coding", "\"a\"", C, 0, ALL "If-None-Match: W/\"a~lzma\"", NULL},
        {"8.8.3: the origin's own looks like ours", "\"a~br." H "\"", C, 0,
         ALL "If-None-Match: \"a~br." H "\"", "\"a~br." H "\""},
        {"8.8.3: and what is made of that", "\"a~br." H "\"", C, 0,
         ALL "If-None-Match: W/\"a~br." H "~zstd\"", "W/\"a~br." H "~zstd\""},
        {"8.8.3: but not what it seems to be made of", "\"a~br." H "\"", C, 0,
         ALL "If-None-Match: \"a\"", NULL},
        {"13.1.2: in a list of others", "\"a\"", C, 0,
         ALL "If-None-Match: \"b\", \"b~br." H "\" ,W/\"a~br\",\"c\"", "W/\"a~br\""},
        {"13.1.2: over several fields", "\"a\"", C, 0,
         ALL "If-None-Match: \"b\"\nIf-None-Match: \"c\"\nIf-None-Match: W/\"a~br\"", "W/\"a~br\""},
        {"13.1.2: what follows something malformed on its line", "\"a\"", C, 0,
         ALL "If-None-Match: b, \"a\"\nIf-None-Match: W/\"a~br\"", "W/\"a~br\""},
        {"12.5.3: a coding that is not accepted", "\"a\"", C, 0,
         "Accept-Encoding: gzip\nIf-None-Match: \"a~br." H "\"", NULL},
        {"12.5.3: nor without Accept-Encoding", "\"a\"", C, 0, "If-None-Match: \"a~br." H "\"",
         NULL},
        {"12.5.3: excluded", "\"a\"", C, 0, "Accept-Encoding: *, br;q=0\nIf-None-Match: W/\"a~br\"",
         NULL},
        {"12.5.3: identity is excluded", "\"a\"", C, 0,
         "Accept-Encoding: br, identity;q=0\nIf-None-Match: \"a\"", NULL},
        {"12.5.3: but there is nothing else", "\"a\"", 0, 0,
         "Accept-Encoding: br, identity;q=0\nIf-None-Match: \"a\"", "\"a\""},
        {"12.5.3: the stored one is coded", "\"a\"", D, CODING_GZIP, "If-None-Match: \"a\"", NULL},
        {"12.5.3: and accepted", "\"a\"", D, CODING_GZIP,
         "Accept-Encoding: gzip\nIf-None-Match: \"a\"", "\"a\""},
        {"9111 4.3.2: of a cache's variants the one that is accepted", "\"a\"", C, 0,
         "Accept-Encoding: gzip\nIf-None-Match: \"a~br." H "\", W/\"a~gzip\", \"a~zstd." H "\"",
         "W/\"a~gzip\""},
        {"9111 4.3.2: the one that is preferred", "\"a\"", C, 0,
         ALL "If-None-Match: \"a\", \"a~br." H "\"", "\"a~br." H "\""},
        {"9111 4.3.2: by its weight", "\"a\"", C, 0,
         "Accept-Encoding: br;q=0.1, gzip;q=0.2\nIf-None-Match: \"a~br." H "\", \"a~gzip." H "\"",
         "\"a~gzip." H "\""},
        {"9111 4.3.2: of equals the first", "\"a\"", C, 0,
         ALL "If-None-Match: \"a~gzip." H "\", \"a~br." H "\"", "\"a~gzip." H "\""},
        {"9111 4.3.2: for who takes none", "\"a\"", C, 0, "If-None-Match: \"a~br." H "\", \"a\"",
         "\"a\""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = 200,
                                            .flags = (uint16_t)cases[i].flags,
                                            .coding = cases[i].coding,
                                            .etag = slice_from_str(cases[i].etag)};
        struct coding_accept accept;
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].lines, &fields);
        coding_accept_parse(&fields, &accept);
        for (int known = 0; known <= 1; known++) {
            struct slice etag = SLICE("before");

            assert_int_equal(variant_none_match(&fields, known ? &accept : NULL, &object, &etag),
                             cases[i].want != NULL);
            assert_text(etag, cases[i].want == NULL ? "before" : cases[i].want);
        }
        arena_fini(&arena);
    }
}

static void
if_range(void **state)
{
    static const struct {
        const char *why, *etag;
        unsigned flags;
        enum http_coding stored;
        const char *lines;
        bool want;
        enum http_coding coding;
        const char *hash;
    } cases[] = {
        {"13.1.5: the stored one", "\"a\"", C, 0, "If-Range: \"a\"", true, 0, ""},
        {"13.1.5: the stored one, coded", "\"a\"", D, CODING_ZSTD, "If-Range: \"a\"", true,
         CODING_ZSTD, ""},
        {"13.1.5: a kept one", "\"a\"", C, 0, "If-Range: \"a~br." H "\"", true, CODING_BR, H},
        {"13.1.5: decoded", "\"a\"", D, CODING_GZIP, "If-Range: \"a~identity\"", true,
         CODING_IDENTITY, ""},
        {"13.1.5: not decoded any more", "\"a\"", 0, CODING_GZIP, "If-Range: \"a~identity\"", false,
         0, ""},
        {"13.1.5: never was decoded", "\"a\"", C, 0, "If-Range: \"a~identity\"", false, 0, ""},
        {"13.1.5: not made any more", "\"a\"", 0, 0, "If-Range: \"a~br." H "\"", false, 0, ""},
        {"13.1.5: in the coding that it came in", "\"a\"", C | D, CODING_BR,
         "If-Range: \"a~br." H "\"", false, 0, ""},
        {"13.1.5: coded anew", "\"a\"", C | D, CODING_BR, "If-Range: \"a~gzip." H "\"", true,
         CODING_GZIP, H},
        {"8.8.3.2: weak", "\"a\"", C, 0, "If-Range: W/\"a\"", false, 0, ""},
        {"8.8.3.2: made for one answer", "\"a\"", C, 0, "If-Range: W/\"a~br\"", false, 0, ""},
        {"8.8.3.2: kept, weakened on its way", "\"a\"", C, 0, "If-Range: W/\"a~br." H "\"", false,
         0, ""},
        {"8.8.3.2: of a weak one", "W/\"a\"", C, 0, "If-Range: \"a~br." H "\"", false, 0, ""},
        {"8.8.3.2: a weak one", "W/\"a\"", C, 0, "If-Range: \"a\"", false, 0, ""},
        {"13.1.5: of another object", "\"a\"", C, 0, "If-Range: \"b~br." H "\"", false, 0, ""},
        {"13.1.5: no hash", "\"a\"", C, 0, "If-Range: \"a~br\"", false, 0, ""},
        {"13.1.5: no tag stored", "", C, 0, "If-Range: \"~br." H "\"", false, 0, ""},
        {"13.1.5: a date", "\"a\"", C, 0, "If-Range: " DATE_NOW, false, 0, ""},
        {"13.1.5: two", "\"a\"", C, 0, "If-Range: \"a\"\nIf-Range: \"a\"", false, 0, ""},
        {"13.1.5: a list", "\"a\"", C, 0, "If-Range: \"a\", \"a\"", false, 0, ""},
        {"13.1.5: none", "\"a\"", C, 0, "X: y", false, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cache_object object = {.status = 200,
                                            .flags = (uint16_t)cases[i].flags,
                                            .coding = cases[i].stored,
                                            .etag = slice_from_str(cases[i].etag)};
        enum http_coding coding = CODING_COUNT;
        struct slice hash = SLICE_NONE;
        struct http_fields fields;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        fields_from(&arena, cases[i].lines, &fields);
        assert_int_equal(variant_if_range(&fields, &object, &coding, &hash), cases[i].want);
        if (cases[i].want) {
            assert_int_equal(coding, cases[i].coding);
            assert_text(hash, cases[i].hash);
        }
        arena_fini(&arena);
    }
}

static void
translations(void **state)
{
    static const struct {
        const char *why, *value, *want; /* NULL: as it is */
    } cases[] = {
        {"13.1.2: the origin's own", "\"a\"", NULL},
        {"13.1.2: a list of them", "\"a\" ,W/\"b\",, \"c~d\"", NULL},
        {"13.1.2: star", "*", NULL},
        {"13.1.2: empty", "", NULL},
        {"13.1.1: kept", "\"a~br." H "\"", "\"a~br." H "\", \"a\""},
        {"13.1.2: kept, of a weak one", "W/\"a~br." H "\"", "W/\"a~br." H "\", W/\"a\""},
        {"13.1.2: made for one answer", "W/\"a~zstd\"", "W/\"a~zstd\", \"a\""},
        {"13.1.1: decoded", "\"a~identity\"", "\"a~identity\", \"a\""},
        {"13.1.2: decoded, of a weak one", "W/\"a~identity\"", "W/\"a~identity\", W/\"a\""},
        {"8.8.3: of an empty one", "W/\"~gzip\"", "W/\"~gzip\", \"\""},
        {"8.8.3: other letters", "W/\"\xe4~gzip\"", "W/\"\xe4~gzip\", \"\xe4\""},
        {"8.8.3: made of what looks like ours", "W/\"a~br." H "~zstd\"",
         "W/\"a~br." H "~zstd\", \"a~br." H "\""},
        {"13.1.2: among others, in order", "\"x\",\"a~br." H "\" ,\"y\"",
         "\"x\", \"a~br." H "\", \"a\", \"y\""},
        {"13.1.2: of one origin's once", "\"a~br." H "\", W/\"a~gzip\", W/\"b~gzip\"",
         "\"a~br." H "\", \"a\", W/\"a~gzip\", W/\"b~gzip\", \"b\""},
        {"8.8.3: strong, and without a hash", "\"a~br\"", NULL},
        {"8.8.3: a hash of another length", "\"a~br.AAAA\"", NULL},
        {"8.8.3: no coding", "\"a~\", \"~\", \"a~lzma\"", NULL},
        {"13.1.2: malformed before", "b, \"a~br." H "\"", NULL},
        {"13.1.2: malformed behind", "\"a~br." H "\", b", NULL},
        {"13.1.2: unclosed", "\"a~br." H "\", \"b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice value = slice_from_str(cases[i].value), out;
        struct arena arena;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(variant_translate(&arena, value, &out), OK);
        assert_text(out, cases[i].want == NULL ? cases[i].value : cases[i].want);
        arena_fini(&arena);
        if (cases[i].want == NULL)
            continue;
        arena_init(&arena, 1);
        out = SLICE("before");
        assert_int_equal(variant_translate(&arena, value, &out), ERR_NOMEM);
        assert_text(out, "before");
        arena_fini(&arena);
    }
}

static void
lines_that_were_kept(void **state)
{
    static const struct {
        const char *why, *lines, *etag, *hash;
    } cases[] = {
        {"with a hash", "Content-Encoding: br\r\nETag: \"a~br." H "\"\r\n", "\"a~br." H "\"", H},
        {"in any case", "etag:\"a~br." H "\"\r\n", "\"a~br." H "\"", H},
        {"none", "Content-Encoding: br\r\n", "", ""},
        {"nothing", "", "", ""},
        {"no hash", "ETag: W/\"a~br\"\r\n", "W/\"a~br\"", ""},
        {"an origin's", "ETag: \"a\"\r\n", "\"a\"", ""},
        {"not a tag", "ETag: a\r\n", "a", ""},
        {"cut short", "ETag: \"a~br." H "\"", "", ""},
        {"a damaged end", "ETag: \"a~br." H "\"\n", "", ""},
        {"only a colon", ":\r\nETag\r\n", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        assert_text(variant_lines_etag(slice_from_str(cases[i].lines)), cases[i].etag);
        assert_text(variant_lines_hash(slice_from_str(cases[i].lines)), cases[i].hash);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_match),
        cmocka_unit_test(if_range),
        cmocka_unit_test(translations),
        cmocka_unit_test(lines_that_were_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
