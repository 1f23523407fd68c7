/* Heads for the cache's unit tests, made from lines of text: "Name: value LF ...". */
#ifndef BRINK_TESTS_CACHE_FIXTURE_H
#define BRINK_TESTS_CACHE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "http/msg.h"

/* Sun, 06 Nov 1994 08:49:37 GMT */
#define NOW_S INT64_C(784111777)
#define DATE_NOW "Sun, 06 Nov 1994 08:49:37 GMT"

static inline void
fields_from(struct arena *arena, const char *lines, struct http_fields *out)
{
    struct slice rest = slice_from_str(lines), line, name;

    assert_int_equal(http_fields_init(out, arena, HTTP_FIELDS_MAX), OK);
    while (rest.len > 0) {
        (void)slice_cut(&rest, '\n', &line);
        assert_true(slice_cut(&line, ':', &name));
        assert_int_equal(http_fields_add(out, name, slice_trim(line)), OK);
    }
    assert_int_equal(http_fields_nominate(out), OK);
}

static inline struct http_request
request_from(struct arena *arena, enum http_method method, const char *lines)
{
    struct http_request request = {.method = method, .path = SLICE("/"), .minor = 1};

    fields_from(arena, lines, &request.fields);
    return request;
}

static inline struct http_response
response_from(struct arena *arena, unsigned status, const char *lines)
{
    struct http_response response = {.status = status, .minor = 1};

    fields_from(arena, lines, &response.fields);
    return response;
}

static inline void
assert_text(struct slice got, const char *want)
{
    if (!slice_is(got, want))
        print_error("got  \"%.*s\"\nwant \"%s\"\n", SLICE_ARGS(got), want);
    assert_true(slice_is(got, want));
}

#endif
