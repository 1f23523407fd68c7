/* Links for early hints. RFC 8297, RFC 8288. */
#include "cache_fixture.h"

#include "cache/hints.h"

#define HEAD(fields) "HTTP/1.1 200 OK\r\nA: 1\r\n" fields "ETag: \"a\"\r\n"
#define LINK(value) "Link: " value "\r\n"

static void
links(void **state)
{
    static const struct {
        const char *why, *head, *want;
    } cases[] = {
        {"8297 2: none", HEAD(""), ""},
        {"8297 2: a preload", HEAD(LINK("</a.css>; rel=preload; as=style")),
         LINK("</a.css>; rel=preload; as=style")},
        {"8297 2: a preconnect", HEAD("link:  <https://c.example> ;rel=\"preconnect\" \r\n"),
         LINK("<https://c.example> ;rel=\"preconnect\"")},
        {"8297 2: the others", HEAD(LINK("<a>;rel=modulepreload, <b>;REL=DNS-Prefetch")),
         LINK("<a>;rel=modulepreload") LINK("<b>;REL=DNS-Prefetch")},
        {"8288 3.3: several relations", HEAD(LINK("<a>; rel=\"preload  preconnect\"")),
         LINK("<a>; rel=\"preload  preconnect\"")},
        {"8288 3.3: one that is none of them", HEAD(LINK("<a>; rel=\"preload next\"")), ""},
        {"8288 3.3: the first rel counts", HEAD(LINK("<a>; rel=next; rel=preload")), ""},
        {"8288 3.3: and no other", HEAD(LINK("<a>; rel=preload; rel=next")),
         LINK("<a>; rel=preload; rel=next")},
        {"8288 3.3: no rel", HEAD(LINK("<a>; as=style")), ""},
        {"8288 3.3: an empty one", HEAD(LINK("<a>; rel=\"\"") LINK("<a>; rel=") LINK("<a>; rel")),
         ""},
        {"8288 3.2: another context", HEAD(LINK("<a>; rel=preload; anchor=\"/b\"")), ""},
        {"8288 3: among others",
         HEAD(LINK("<n>; rel=next, <a>; rel=preload,, <s>; rel=stylesheet")),
         LINK("<a>; rel=preload")},
        {"8288 3: several fields", HEAD(LINK("<a>; rel=preload") LINK("<b>; rel=preload")),
         LINK("<a>; rel=preload") LINK("<b>; rel=preload")},
        {"8288 3: commas within", HEAD(LINK("<a,b>; title=\"c, <d>\"; rel=preload, <e>; rel=next")),
         LINK("<a,b>; title=\"c, <d>\"; rel=preload")},
        {"8288 3: quotes within", HEAD(LINK("<a>; title=\"\\\", <x>; rel=preload\"; rel=next")),
         ""},
        {"8288 3: blanks", HEAD(LINK("<a> ; \t rel = preload ; as")),
         LINK("<a> ; \t rel = preload ; as")},
        {"8288 3: parameters without a name", HEAD(LINK("<a>;; rel=preload;")),
         LINK("<a>;; rel=preload;")},
        {"8288 3: no link", HEAD(LINK("a; rel=preload, <b>; rel=preload")), ""},
        {"8288 3: no end of a target", HEAD(LINK("<a; rel=preload")), ""},
        {"8288 3: no end of a string", HEAD(LINK("<a>; rel=preload; title=\"b, <c>; rel=preload")),
         ""},
        {"8288 3: an escape at the end", HEAD(LINK("<a>; rel=\"preload\\")), ""},
        {"8288 3: rubbish behind", HEAD(LINK("<a>; rel=preload x, <b>; rel=preload")), ""},
        {"8288 3: the next field is another", HEAD(LINK("<a") LINK("<b>; rel=preload")),
         LINK("<b>; rel=preload")},
        {"a name that begins so", HEAD("Linked: <a>; rel=preload\r\n"), ""},
        {"a damaged head", "HTTP/1.1 200 OK\r\nLink\nLink:\n", ""},
        {"an empty head", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        struct slice lines;

        print_message("case: %s\n", cases[i].why);
        arena_init(&arena, 0);
        assert_int_equal(hints_build(&arena, slice_from_str(cases[i].head), &lines), OK);
        assert_text(lines, cases[i].want);
        arena_fini(&arena);
    }
}

/* Neither many nor long ones grow without an end. */
static void
limits(void **state)
{
    struct arena arena;
    struct http_out head;
    struct slice lines;
    size_t n = 0;

    (void)state;
    arena_init(&arena, 0);
    http_out_init(&head, &arena, 1024);
    http_out_str(&head, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 100; i++)
        http_out_str(&head, LINK("<a>; rel=preload"));
    assert_int_equal(hints_build(&arena, http_out_slice(&head), &lines), OK);
    for (size_t i = 0; i < lines.len; i++)
        n += lines.ptr[i] == '\n';
    assert_int_equal(n, HINTS_N_MAX);

    http_out_init(&head, &arena, 1024);
    http_out_str(&head, "HTTP/1.1 200 OK\r\nLink: <");
    for (int i = 0; i < HINTS_LEN_MAX; i++)
        http_out_str(&head, "a");
    http_out_str(&head, ">; rel=preload, <b>; rel=preload\r\n");
    assert_int_equal(hints_build(&arena, http_out_slice(&head), &lines), OK);
    assert_text(lines, LINK("<b>; rel=preload"));

    arena.used_max = arena.used_len;
    assert_int_equal(hints_build(&arena, http_out_slice(&head), &lines), ERR_NOMEM);
    assert_int_equal(lines.len, 0);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
