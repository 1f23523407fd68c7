/* Link values, read by the grammar of RFC 8288 section 3 and given on byte for byte. What does not
 * follow it ends its field: a hint is never worth a guess. */
#include "cache/hints.h"

#include "http/chars.h"
#include "http/msg.h"

static void
skip_blanks(struct slice *text)
{
    while (text->len > 0 && (text->ptr[0] == ' ' || text->ptr[0] == '\t'))
        *text = slice_skip(*text, 1);
}

static bool
take_char(struct slice *text, char c)
{
    skip_blanks(text);
    if (text->len == 0 || text->ptr[0] != c)
        return false;
    *text = slice_skip(*text, 1);
    return true;
}

static struct slice
take_token(struct slice *text)
{
    size_t n = 0;

    while (n < text->len && char_is(text->ptr[n], CH_TOKEN))
        n++;
    *text = slice_skip(*text, n);
    return slice_of(text->ptr - n, n);
}

/* A quoted string, or whatever stands before the next delimiter. *out_value is without the quotes,
 * its escapes as they are. False: no end. */
static bool
take_value(struct slice *text, struct slice *out_value)
{
    struct slice whole;
    size_t n = 0;

    skip_blanks(text);
    if (text->len == 0 || text->ptr[0] != '"') {
        while (n < text->len && memchr(" \t;,", text->ptr[n], 4) == NULL)
            n++;
        *out_value = slice_first(*text, n);
        *text = slice_skip(*text, n);
        return true;
    }
    whole = slice_skip(*text, 1);
    while (n < whole.len && whole.ptr[n] != '"')
        n += whole.ptr[n] == '\\' ? 2 : 1;
    if (n >= whole.len)
        return false;
    *out_value = slice_first(whole, n);
    *text = slice_skip(whole, n + 1);
    return true;
}

static bool
is_hint(struct slice relation)
{
    static const char *const names[] = {"preload", "preconnect", "modulepreload", "dns-prefetch"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is_nocase(relation, names[i]))
            return true;
    return false;
}

static bool
are_hints(struct slice relations)
{
    struct slice relation;
    bool any = false;

    while (relations.len > 0) {
        (void)slice_cut(&relations, ' ', &relation);
        if (relation.len == 0)
            continue;
        if (!is_hint(relation))
            return false;
        any = true;
    }
    return any;
}

/* The parameters of a link. Of several `rel` the first counts (RFC 8288 section 3.3); `anchor`
 * gives the link another context. False: not by the grammar. */
static bool
take_params(struct slice *text, bool *out_hint)
{
    bool related = false, elsewhere = false;

    *out_hint = false;
    while (take_char(text, ';')) {
        struct slice name, value = SLICE_NONE;

        skip_blanks(text);
        name = take_token(text);
        if (name.len > 0 && take_char(text, '=') && !take_value(text, &value))
            return false;
        elsewhere = elsewhere || slice_is_nocase(name, "anchor");
        if (!related && slice_is_nocase(name, "rel")) {
            related = true;
            *out_hint = are_hints(value);
        }
    }
    *out_hint = *out_hint && !elsewhere;
    skip_blanks(text);
    return text->len == 0 || text->ptr[0] == ',';
}

/* The next link off a field's value. False: none, or not by the grammar. */
static bool
take_link(struct slice *text, struct slice *out_link, bool *out_hint)
{
    const char *begin;
    struct slice target;

    while (take_char(text, ','))
        ;
    begin = text->ptr;
    if (!take_char(text, '<') || !slice_cut(text, '>', &target) || !take_params(text, out_hint))
        return false;
    *out_link = slice_trim(slice_of(begin, (size_t)(text->ptr - begin)));
    return true;
}

struct hints {
    struct http_out out;
    size_t n;
};

static void
add_links(struct hints *hints, struct slice value)
{
    struct slice link;
    bool hint;

    while (hints->n < HINTS_N_MAX && take_link(&value, &link, &hint)) {
        if (!hint || hints->out.len + sizeof("Link: \r\n") + link.len > HINTS_LEN_MAX)
            continue;
        http_out_field(&hints->out, SLICE("Link"), link);
        hints->n++;
    }
}

enum err
hints_build(struct arena *arena, struct slice stored_head, struct slice *out_lines)
{
    struct hints hints = {.n = 0};
    struct slice line, name;

    *out_lines = SLICE_NONE;
    http_out_init(&hints.out, arena, 256);
    (void)slice_cut(&stored_head, '\n', &line); /* the status */
    while (slice_cut(&stored_head, '\n', &line))
        if (slice_cut(&line, ':', &name) && slice_is_nocase(name, "link"))
            add_links(&hints, slice_trim(slice_first(line, line.len > 0 ? line.len - 1 : 0)));
    if (hints.out.rc == OK && hints.n > 0)
        *out_lines = http_out_slice(&hints.out);
    return hints.out.rc;
}
