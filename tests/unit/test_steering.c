/* Fields that a client could steer an origin by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "http/msg.h"
#include "http/steering.h"

static const struct {
    const char *name;
    bool prefix;
} rows[] = {
#define WHOLE false
#define PREFIX true
#define STEER(form, name) {name, form},
#include "http/steering.def"
#undef STEER
};

/* The search relies on all of this. */
static void
rows_are_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *name = rows[i].name;

        print_message("row: %s\n", name);
        assert_true(i == 0 || strcmp(rows[i - 1].name, name) < 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(name));
        assert_int_equal(http_token_from(slice_from_str(name)), HTTP_UNKNOWN);
        for (size_t j = 0; j < i; j++)
            assert_true(!rows[j].prefix || strncmp(name, rows[j].name, strlen(rows[j].name)) != 0);
    }
}

static void
every_row_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[64];

        print_message("row: %s\n", rows[i].name);
        assert_true(http_field_steers(slice_from_str(rows[i].name)));
        (void)snprintf(name, sizeof(name), "%s9", rows[i].name);
        name[0] = (char)(name[0] & ~0x20);
        assert_int_equal(http_field_steers(slice_from_str(name)), rows[i].prefix);
    }
}

static void
names_that_steer_and_others(void **state)
{
    static const struct {
        const char *name;
        bool want;
    } cases[] = {
        {"X-Forwarded-Host", true},
        {"X-FORWARDED-SERVER", true},
        {"x-forwarded", true},
        {"X-Forwarded-Anything", true},
        {"X-Original-URL", true},
        {"X-HTTP-Method-Override", true},
        {"X-HTTP-Host-Override", true},
        {"X-Rewrite-URL", true},
        {"True-Client-IP", true},
        {"CF-Connecting-IP", true},
        {"Proxy", true},
        {"X-Middleware-Subrequest", true},
        {"Client-Cert-Chain", true},
        {"X-SSL-Client-Verify", true},
        {"X-Sendfile-Type", true},
        {"X-Remote-User", true},
        {"Surrogate-Capability", true},
        {"X_Forwarded_Host", true},
        {"accept_language", true},
        {"X.Custom", true},
        {"X-Custom'", true},
        {"~", true},
        {"Host", false},
        {"Accept", false},
        {"Accept-Language", false},
        {"Cookie", false},
        {"X-Requested-With", false},
        {"X-Custom", false},
        {"X-Forwar", false},
        {"Xylophone", false},
        {"A", false},
        {"0", false},
        {"zz", false},
        {"Sec-Fetch-Mode", false},
        {"Origin", false},
        {"Proxy-Connect", false},
        {"X-CSRF-Token", false},
        {"User-Agent", false},
        {"Upgrade-Insecure-Requests", false},
        {"X-Amz-Date", false},
        {"X-Request-ID", false},
        {"Traceparent", false},
        {"Via", false},
        {"X-Client-Data", false},
        {"Client-Hints", false},
        {"Sec-CH-UA", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].name);
        assert_int_equal(http_field_steers(slice_from_str(cases[i].name)), cases[i].want);
    }
}

/* RFC 3875 section 4.1.18: what CGI makes one variable of. */
static void
names_that_read_as_one(void **state)
{
    static const struct {
        const char *name;
        bool want;
    } cases[] = {
        {"X-Forwarded-For", true},   {"x_forwarded_for", true},
        {"X.FORWARDED-for", true},   {"X-Forwarded-Fo", false},
        {"X-Forwarded-Fort", false}, {"XX-Forwarded-For", false},
        {"X--Forwarded-For", false}, {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].name);
        assert_int_equal(http_name_reads_as(slice_from_str(cases[i].name), "x-forwarded-for"),
                         cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_in_order),
        cmocka_unit_test(every_row_is_found),
        cmocka_unit_test(names_that_steer_and_others),
        cmocka_unit_test(names_that_read_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
