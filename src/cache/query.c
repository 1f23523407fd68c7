/* The content of a QUERY as a part of the secondary key's text. RFC 10008 section 2.7: it and what
 * describes it. Nothing is normalised: only the origin knows what two of them have in common. */
#include "cache/vary.h"

/* Request fields that describe content: RFC 9110 sections 8.3 to 8.7. */
static const char *const described_by[] = {"content-type", "content-encoding", "content-language",
                                           "content-location"};

static void
put_field(struct http_out *out, const struct http_fields *request, size_t i)
{
    static const char lines_mark = CACHE_LINES_MARK;
    const struct http_field *first = http_fields_find(request, slice_from_str(described_by[i]));

    http_out_str(out, "=?");
    http_out_str(out, described_by[i]);
    for (const struct http_field *field = first; field != NULL;
         field = http_fields_next(request, field)) {
        http_out_text(out, field == first ? SLICE(": ") : slice_of(&lines_mark, 1));
        http_out_text(out, field->value);
    }
    http_out_str(out, "\n");
}

static bool
is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '%';
}

/* Printable, in one line, and no two contents have one form. */
static void
put_content(struct http_out *out, struct slice content)
{
    static const char digits[] = "0123456789abcdef";
    size_t from = 0;

    for (size_t i = 0; i < content.len; i++) {
        unsigned char c = (unsigned char)content.ptr[i];
        const char escape[] = {'%', digits[c >> 4], digits[c & 15]};

        if (is_plain(content.ptr[i]))
            continue;
        http_out_text(out, slice_of(content.ptr + from, i - from));
        http_out_text(out, slice_of(escape, sizeof(escape)));
        from = i + 1;
    }
    http_out_text(out, slice_skip(content, from));
}

enum err
cache_keyed_add_query(struct arena *arena, const struct http_request *request, struct slice content,
                      struct slice *keyed)
{
    struct http_out out;

    http_out_init(&out, arena, keyed->len + content.len + 256);
    http_out_text(&out, *keyed);
    for (size_t i = 0; i < ARRAY_LEN(described_by); i++)
        put_field(&out, &request->fields, i);
    http_out_str(&out, "=?: ");
    put_content(&out, content);
    http_out_str(&out, "\n");
    if (out.rc == OK)
        *keyed = http_out_slice(&out);
    return out.rc;
}
