/* Structured fields: what the grammar takes, what it refuses, and what comes out. RFC 9651. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http/sfv.h"

enum { LINES_MAX = 3 };

static const struct slice name = {"X-F", 3};

static void
fill(struct http_fields *fields, struct arena *arena, const char *const lines[LINES_MAX])
{
    arena_init(arena, 0);
    assert_int_equal(http_fields_init(fields, arena, LINES_MAX + 1), OK);
    assert_int_equal(http_fields_add(fields, SLICE("Other"), SLICE("=")), OK);
    for (size_t i = 0; i < LINES_MAX && lines[i] != NULL; i++)
        assert_int_equal(
            http_fields_add(fields, i == 1 ? SLICE("x-f") : name, slice_from_str(lines[i])), OK);
}

/* --- an account of what was read, to be compared with one --- */

static void
put(struct http_out *out, const struct sfv_item *item)
{
    static const char *const kinds[] = {"int",  "dec",  "str",  "tok", "bytes",
                                        "bool", "date", "disp", "list"};
    struct slice rest = item->text, key;
    struct sfv_item inner;
    char buf[256], number[32];

    http_out_str(out, kinds[item->kind]);
    if (item->kind == SFV_INNER_LIST) {
        http_out_str(out, "(");
        while (sfv_inner_next(&rest, &inner)) {
            http_out_str(out, " ");
            put(out, &inner);
        }
        http_out_str(out, " )");
    } else if (item->kind == SFV_INTEGER || item->kind == SFV_DECIMAL || item->kind == SFV_DATE ||
               item->kind == SFV_BOOLEAN) {
        (void)snprintf(number, sizeof(number), ":%lld", (long long)item->number);
        http_out_str(out, number);
    } else {
        assert_true(item->text.len < sizeof(buf));
        http_out_str(out, ":");
        http_out_text(out, slice_of(buf, sfv_decode(item, buf)));
    }
    for (rest = item->parameters; sfv_parameter_next(&rest, &key, &inner);) {
        http_out_str(out, ";");
        http_out_text(out, key);
        http_out_str(out, "=");
        put(out, &inner);
    }
}

/* "invalid", or every member with a blank behind it. */
static struct slice
account(const struct http_fields *fields, struct arena *arena, bool keyed)
{
    struct http_out out;
    struct sfv reader;
    struct sfv_item member;
    struct slice key;

    http_out_init(&out, arena, 64);
    if (!(keyed ? sfv_dictionary(&reader, fields, name) : sfv_list(&reader, fields, name)))
        return SLICE("invalid");
    while (keyed ? sfv_dictionary_next(&reader, &key, &member) : sfv_list_next(&reader, &member)) {
        if (keyed) {
            http_out_text(&out, key);
            http_out_str(&out, "=");
        }
        put(&out, &member);
        http_out_str(&out, " ");
    }
    assert_false(keyed ? sfv_dictionary_next(&reader, &key, &member)
                       : sfv_list_next(&reader, &member));
    assert_int_equal(out.rc, OK);
    return slice_trim(http_out_slice(&out));
}

struct whole {
    const char *why;
    const char *lines[LINES_MAX];
    const char *want;
};

static void
check_whole(const struct whole *cases, size_t n, bool keyed)
{
    for (size_t i = 0; i < n; i++) {
        struct http_fields fields;
        struct arena arena;
        struct slice got;

        print_message("case: %s\n", cases[i].why);
        fill(&fields, &arena, cases[i].lines);
        got = account(&fields, &arena, keyed);
        if (!slice_is(got, cases[i].want))
            print_message("got: %.*s\n", SLICE_ARGS(got));
        assert_true(slice_is(got, cases[i].want));
        arena_fini(&arena);
    }
}

static void
dictionaries(void **state)
{
    static const struct whole cases[] = {
        {"section 4.2: no field", {NULL}, "invalid"},
        {"section 3.2: an empty one", {""}, ""},
        {"section 4.2.2: no value is true", {"a"}, "a=bool:1"},
        {"section 4.2.2: parameters of true", {"a;b;c=2"}, "a=bool:1;b=bool:1;c=int:2"},
        {"section 3.2: members", {"a=1, b=?0,c"}, "a=int:1 b=bool:0 c=bool:1"},
        {"section 4.2.2: blanks and tabs about the comma", {"a=1 \t,\t b"}, "a=int:1 b=bool:1"},
        {"section 4.2: blanks at both ends", {"  a=1  "}, "a=int:1"},
        {"section 4.2.2: a key twice comes twice", {"a=1, a=2"}, "a=int:1 a=int:2"},
        {"section 3.2: an inner list", {"a=(x y);q"}, "a=list( tok:x tok:y );q=bool:1"},
        {"section 4.2: lines", {"a=1", "b", "c=t"}, "a=int:1 b=bool:1 c=tok:t"},
        {"section 4.2: a bad line spoils all", {"a=1", "b=", "c"}, "invalid"},
        {"section 4.2: an empty line among others is an empty member", {"a", ""}, "invalid"},
        {"section 4.2: the same, first", {"", "a"}, "invalid"},
        {"section 4.2: a member does not go over two lines", {"a=\"b", "c\""}, "invalid"},
        {"section 4.2: nor does an inner list", {"a=(b", "c)"}, "invalid"},
        {"section 4.2.2: a trailing comma", {"a=1,"}, "invalid"},
        {"section 4.2.2: and a blank", {"a=1, "}, "invalid"},
        {"section 4.2.2: an empty member", {"a,,b"}, "invalid"},
        {"section 4.2.2: a leading comma", {",a"}, "invalid"},
        {"section 4.2.2: no comma", {"a b"}, "invalid"},
        {"section 4.2.2: a blank before =", {"a =1"}, "invalid"},
        {"section 4.2.2: a blank after =", {"a= 1"}, "invalid"},
        {"section 4.2.2: nothing after =", {"a="}, "invalid"},
        {"section 4.2.2: an item in a dictionary", {"1"}, "invalid"},
        {"section 4.2.3.3: every character of a key", {"*a-_.*9=1"}, "*a-_.*9=int:1"},
        {"section 4.2.3.3: capitals", {"A=1"}, "invalid"},
        {"section 4.2.3.3: a capital inside", {"aB=1"}, "invalid"},
        {"section 4.2.3.3: a digit first", {"1a=1"}, "invalid"},
        {"section 4.2.3.3: a minus first", {"-a=1"}, "invalid"},
        {"section 4.2.3.2: blanks after the semicolon", {"a=1;  b"}, "a=int:1;b=bool:1"},
        {"section 4.2.3.2: a blank before it", {"a=1 ;b"}, "invalid"},
        {"section 4.2.3.2: a tab after it", {"a=1;\tb"}, "invalid"},
        {"section 4.2.3.2: an empty parameter", {"a=1;"}, "invalid"},
        {"section 4.2.3.2: a bad key", {"a=1;B"}, "invalid"},
        {"section 4.2.3.2: no value after =", {"a=1;b="}, "invalid"},
        {"section 4.2.3.2: an inner list is no parameter", {"a=1;b=(c)"}, "invalid"},
        {"section 4.2.3.2: a parameter twice", {"a=1;b=1;b=2"}, "a=int:1;b=int:1;b=int:2"},
        {"RFC 9213 section 2.1: what spoils it", {"max-age=10000, &&&&&"}, "invalid"},
    };

    (void)state;
    check_whole(cases, ARRAY_LEN(cases), true);
}

static void
lists(void **state)
{
    static const struct whole cases[] = {
        {"section 4.2: no field", {NULL}, "invalid"},
        {"section 3.1: an empty one", {""}, ""},
        {"section 3.1: items", {"a, \"b\" ,?1"}, "tok:a str:b bool:1"},
        {"section 3.1: lines", {"a;x=1", "(b)"}, "tok:a;x=int:1 list( tok:b )"},
        {"section 4.2.1: a trailing comma", {"a,"}, "invalid"},
        {"section 4.2.1: on a line that is not the last", {"a,", "b"}, "invalid"},
        {"section 4.2.1: an empty member", {"a, ,b"}, "invalid"},
        {"section 4.2.1: no comma", {"a b"}, "invalid"},
        {"section 4.2.1.2: empty", {"()"}, "list( )"},
        {"section 4.2.1.2: blanks alone", {"(  )"}, "list( )"},
        {"section 4.2.1.2: blanks between", {"(  a   b  )"}, "list( tok:a tok:b )"},
        {"section 4.2.1.2: parameters within and behind",
         {"(a;x;y=1 b);z=?0"},
         "list( tok:a;x=bool:1;y=int:1 tok:b );z=bool:0"},
        {"section 4.2.1.2: a tab", {"(a\tb)"}, "invalid"},
        {"section 4.2.1.2: a comma", {"(a, b)"}, "invalid"},
        {"section 4.2.1.2: no blank", {"(\"a\"\"b\")"}, "invalid"},
        {"section 4.2.1.2: not closed", {"(a b"}, "invalid"},
        {"section 4.2.1.2: not closed, with a blank", {"(a "}, "invalid"},
        {"section 4.2.1.2: nothing but the beginning", {"("}, "invalid"},
        {"section 4.2.1.2: not one in another", {"((a))"}, "invalid"},
        {"section 4.2.1.2: two ends", {"(a))"}, "invalid"},
    };

    (void)state;
    check_whole(cases, ARRAY_LEN(cases), false);
}

static void
bare_items(void **state)
{
    static const struct whole cases[] = {
        {"section 4.2.4: 0", {"0"}, "int:0"},
        {"section 4.2.4: -0", {"-0"}, "int:0"},
        {"section 4.2.4: zeros first", {"0042"}, "int:42"},
        {"section 4.2.4: 15 digits", {"999999999999999"}, "int:999999999999999"},
        {"section 4.2.4: below 0", {"-999999999999999"}, "int:-999999999999999"},
        {"section 4.2.4: 16 digits", {"1000000000000000"}, "invalid"},
        {"section 4.2.4: 16 digits, zeros", {"0000000000000001"}, "invalid"},
        {"section 4.2.4: no digit", {"-"}, "invalid"},
        {"section 4.2.4: two signs", {"--1"}, "invalid"},
        {"section 4.2.4: a plus", {"+1"}, "invalid"},
        {"section 4.2.4: something behind", {"1a"}, "invalid"},
        {"section 4.2.4: a decimal", {"1.5"}, "dec:1500"},
        {"section 4.2.4: three places", {"-0.125"}, "dec:-125"},
        {"section 4.2.4: two places", {"3.14"}, "dec:3140"},
        {"section 4.2.4: the largest", {"999999999999.999"}, "dec:999999999999999"},
        {"section 4.2.4: 13 digits before the point", {"1000000000000.1"}, "invalid"},
        {"section 4.2.4: four places", {"1.0000"}, "invalid"},
        {"section 4.2.4: no place", {"1."}, "invalid"},
        {"section 4.2.4: nothing before the point", {".5"}, "invalid"},
        {"section 4.2.4: two points", {"1.2.3"}, "invalid"},
        {"section 4.2.5: a string", {"\"a b,c;d\""}, "str:a b,c;d"},
        {"section 4.2.5: an empty one", {"\"\""}, "str:"},
        {"section 4.2.5: escapes", {"\"\\\"\\\\\""}, "str:\"\\"},
        {"section 4.2.5: another escape", {"\"\\a\""}, "invalid"},
        {"section 4.2.5: not closed", {"\"a"}, "invalid"},
        {"section 4.2.5: closed by an escape", {"\"a\\\""}, "invalid"},
        {"section 4.2.5: ends in a backslash", {"\"a\\"}, "invalid"},
        {"section 4.2.5: a tab", {"\"\t\""}, "invalid"},
        {"section 4.2.5: DEL", {"\"\x7f\""}, "invalid"},
        {"section 4.2.5: not ASCII", {"\"\xc3\xa9\""}, "invalid"},
        {"section 4.2.5: single quotes", {"'a'"}, "invalid"},
        {"section 4.2.6: tokens",
         {"a/b:c, *x, Z!#$%&'*+-.^_`|~9"},
         "tok:a/b:c tok:*x tok:Z!#$%&'*+-.^_`|~9"},
        {"section 4.2.6: another first", {"/a"}, "invalid"},
        {"section 4.2.6: another inside", {"a@b"}, "invalid"},
        {"section 4.2.7: bytes", {":aGVsbG8=:"}, "bytes:hello"},
        {"section 4.2.7: every kind of digit", {":+/A5Yg==:"}, "bytes:\xfb\xf0\x39\x62"},
        {"section 4.2.7: none", {"::"}, "bytes:"},
        {"section 4.2.7: without padding", {":aGVsbG8:"}, "bytes:hello"},
        {"section 4.2.7: too much padding", {":aGVsbG8==:"}, "invalid"},
        {"section 4.2.7: nothing but padding", {":====:"}, "invalid"},
        {"section 4.2.7: padding inside", {":aG=sbG8=:"}, "invalid"},
        {"section 4.2.7: one digit too many", {":aGVsb:"}, "invalid"},
        {"section 4.2.7: no such digit", {":a-_b:"}, "invalid"},
        {"section 4.2.7: not closed", {":aGVs"}, "invalid"},
        {"section 4.2.7: nothing but the beginning", {":"}, "invalid"},
        {"section 4.2.8: booleans", {"?1, ?0"}, "bool:1 bool:0"},
        {"section 4.2.8: another", {"?2"}, "invalid"},
        {"section 4.2.8: none", {"?"}, "invalid"},
        {"section 4.2.8: a word", {"?true"}, "invalid"},
        {"section 4.2.8: something behind", {"?10"}, "invalid"},
        {"section 4.2.9: a date", {"@1659578233"}, "date:1659578233"},
        {"section 4.2.9: before 1970", {"@-1"}, "date:-1"},
        {"section 4.2.9: a decimal", {"@1.5"}, "invalid"},
        {"section 4.2.9: no number", {"@"}, "invalid"},
        {"section 4.2.9: a word", {"@a"}, "invalid"},
        {"section 4.2.10: a display string", {"%\"a%20%c3%bc\""}, "disp:a \xc3\xbc"},
        {"section 4.2.10: a quote in it", {"%\"%22\""}, "disp:\""},
        {"section 4.2.10: a backslash is nothing special", {"%\"\\\""}, "disp:\\"},
        {"section 4.2.10: every length of UTF-8",
         {"%\"%c2%80%e0%a0%80%ed%9f%bf%f0%90%80%80%f4%8f%bf%bf\""},
         "disp:\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"section 4.2.10: capital digits", {"%\"%C3%BC\""}, "invalid"},
        {"section 4.2.10: half a byte", {"%\"%c\""}, "invalid"},
        {"section 4.2.10: the end of all after %", {"%\"%c"}, "invalid"},
        {"section 4.2.10: half a character", {"%\"%c3\""}, "invalid"},
        {"section 4.2.10: half a character, then text", {"%\"%c3a\""}, "invalid"},
        {"section 4.2.10: not the shortest form", {"%\"%c0%af\""}, "invalid"},
        {"section 4.2.10: nor with three", {"%\"%e0%9f%bf\""}, "invalid"},
        {"section 4.2.10: nor with four", {"%\"%f0%8f%bf%bf\""}, "invalid"},
        {"section 4.2.10: a surrogate", {"%\"%ed%a0%80\""}, "invalid"},
        {"section 4.2.10: past the last", {"%\"%f4%90%80%80\""}, "invalid"},
        {"section 4.2.10: far past it", {"%\"%f5%80%80%80\""}, "invalid"},
        {"section 4.2.10: a byte that begins nothing", {"%\"%80\""}, "invalid"},
        {"section 4.2.10: not encoded", {"%\"\xc3\xbc\""}, "invalid"},
        {"section 4.2.10: a tab", {"%\"\t\""}, "invalid"},
        {"section 4.2.10: no quote", {"%a"}, "invalid"},
        {"section 4.2.10: not closed", {"%\"a"}, "invalid"},
        {"section 4.2.10: a percent sign alone", {"%"}, "invalid"},
        {"section 4.2.3.1: no such item", {"#"}, "invalid"},
        {"section 4.2.3.1: a brace", {"{}"}, "invalid"},
    };

    (void)state;
    check_whole(cases, ARRAY_LEN(cases), false);
}

static void
text_of_an_item(void **state)
{
    static const char *const lines[LINES_MAX] = {"-12;a, \"x\\\"y\";b, (c  d), :YQ==:, ?1"};
    static const char *const want[] = {"-12", "x\\\"y", "c  d", "YQ==", "?1"};
    struct http_fields fields;
    struct sfv reader;
    struct sfv_item item;
    struct arena arena;
    char buf[16];

    (void)state;
    fill(&fields, &arena, lines);
    assert_true(sfv_list(&reader, &fields, name));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(sfv_list_next(&reader, &item));
        assert_true(slice_is(item.text, want[i]));
    }
    assert_int_equal(sfv_decode(&item, buf), 2); /* of a Boolean: the text */
    assert_memory_equal(buf, "?1", 2);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dictionaries),
        cmocka_unit_test(lists),
        cmocka_unit_test(bare_items),
        cmocka_unit_test(text_of_an_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
