/* Preferences of clients in one form. RFC 9110 sections 12.4.2 and 12.5. */
#include "cache_fixture.h"

#include "cache/preference.h"

static bool
write(const char *lines, struct preference *out)
{
    struct arena arena;
    struct http_fields fields;
    bool done;

    arena_init(&arena, 0);
    fields_from(&arena, lines, &fields);
    done = preference_write(&fields, &fields.items[0], out);
    arena_fini(&arena);
    return done;
}

static void
normal_forms(void **state)
{
    static const struct {
        const char *why, *lines, *want; /* NULL: taken as it is */
    } cases[] = {
        {"12.5.4: order", "A: en, de", "de, en"},
        {"12.5.4: case", "A: eN-US, De", "de, en-us"},
        {"5.6.1: blanks and empty members", "A: ,en ,\t, de,", "de, en"},
        {"5.3: several lines", "A: en\nB: x\nA: de", "de, en"},
        {"once each", "A: en, de, EN", "de, en"},
        {"a name that begins another", "A: en-us, en", "en, en-us"},
        {"nothing", "A:", ""},
        {"12.4.2: a weight of one", "A: en;q=1, de;q=1.000", "de, en"},
        {"12.4.2: zeros at the end", "A: en;q=0.500, de;q=0.8", "de;q=0.8, en;q=0.5"},
        {"12.4.2: zero", "A: en;q=0.000, de;q=0, fr;q=0.", "de;q=0, en;q=0, fr;q=0"},
        {"12.4.2: thousandths", "A: en;q=0.001, de;q=0.050", "de;q=0.05, en;q=0.001"},
        {"12.4.2: blanks and capitals", "A: en ; Q=0.5", "en;q=0.5"},
        {"12.5.1: parameters keep their values", "A: Text/HTML;Level=1A;q=0.5, */*",
         "*/*, text/html;level=1A;q=0.5"},
        {"12.5.1: quoted strings", "A: a/b;x=\"1, 2;q=0\";q=0.5, A/A",
         "a/a, a/b;x=\"1, 2;q=0\";q=0.5"},
        {"12.5.1: an escaped quote", "A: a/b;x=\"\\\";\"", "a/b;x=\"\\\";\""},
        {"12.5.3: any and none", "A: *;q=0, identity, GZIP", "*;q=0, gzip, identity"},
        {"two weights of one", "A: en;q=0.5, en", "en, en;q=0.5"},
        {"12.4.2: too large a weight", "A: en;q=1.5", NULL},
        {"12.4.2: no number", "A: en;q=x", NULL},
        {"12.4.2: too many digits", "A: en;q=0.1234", NULL},
        {"12.5.1: what follows a weight", "A: a/b;q=0.5;ext=1", NULL},
        {"a parameter without a value", "A: a/b;level", NULL},
        {"a parameter without a name", "A: a/b;=1", NULL},
        {"an empty parameter", "A: a/b;;q=1", NULL},
        {"no range", "A: ;q=0.5", NULL},
        {"5.6.4: a quote that nothing closes", "A: a/b;x=\"1, c", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct preference got;

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(write(cases[i].lines, &got), cases[i].want != NULL);
        if (cases[i].want != NULL)
            assert_text(slice_of(got.text, got.len), cases[i].want);
    }
}

/* The memory is the caller's, and there is only so much. */
static void
limits(void **state)
{
    char lines[4096];
    struct preference got;

    (void)state;
    for (size_t over = 0; over <= 1; over++) {
        size_t len = (size_t)snprintf(lines, sizeof(lines), "A: ");

        for (size_t i = 0; i < PREFERENCE_MEMBERS_MAX + over; i++)
            len += (size_t)snprintf(lines + len, sizeof(lines) - len, "x%zu,", i);
        assert_int_equal(write(lines, &got), over == 0);
        memset(lines, 'x', sizeof(lines));
        memcpy(lines, "A: ", 3);
        lines[3 + PREFERENCE_LEN_MAX + over] = '\0';
        assert_int_equal(write(lines, &got), over == 0);
        memcpy(lines + 3, "a;q=0.5,b,", 10); /* joined it is longer than apart */
        lines[3 + PREFERENCE_LEN_MAX] = '\0';
        assert_false(write(lines, &got));
    }
}

static void
which_fields(void **state)
{
    (void)state;
    assert_true(preference_is(SLICE("accept")));
    assert_true(preference_is(SLICE("accept-charset")));
    assert_true(preference_is(SLICE("accept-encoding")));
    assert_true(preference_is(SLICE("accept-language")));
    assert_false(preference_is(SLICE("accept-ranges")));
    assert_false(preference_is(SLICE("foo")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_forms),
        cmocka_unit_test(limits),
        cmocka_unit_test(which_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
