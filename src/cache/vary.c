/* Secondary keys: the fields that Vary nominates, with normalised values. A match allocates
 * nothing: the request's value is compared with the stored one while it is normalised. */
#include "cache/vary.h"

#include "cache/preference.h"
#include "http/field.h"
#include "http/steering.h"

enum { LABEL_VARIANT = 'v', KEYED_MARK = '=' };

/* Where a normalised value goes: into `out`, or, when that is NULL, against `want`. */
struct sink {
    struct http_out *out;
    struct slice want;
    bool same;
};

static void
sink_text(struct sink *sink, struct slice text)
{
    if (sink->out != NULL) {
        http_out_text(sink->out, text);
        return;
    }
    sink->same = sink->same && slice_starts(sink->want, text);
    if (sink->same)
        sink->want = slice_skip(sink->want, text.len);
}

/* Up to the next comma outside of a quoted string. */
static size_t
member_len(struct slice text)
{
    bool quoted = false;

    for (size_t i = 0; i < text.len; i++) {
        if (quoted && text.ptr[i] == '\\')
            i++;
        else if (text.ptr[i] == '"')
            quoted = !quoted;
        else if (text.ptr[i] == ',' && !quoted)
            return i;
    }
    return text.len;
}

static void
sink_members(struct sink *sink, struct slice value)
{
    for (;;) {
        size_t len = member_len(value);

        sink_text(sink, slice_trim(slice_first(value, len)));
        if (len == value.len)
            return;
        sink_text(sink, SLICE(", "));
        value = slice_skip(value, len + 1);
    }
}

/* Not lists by their definitions: blanks around their commas may mean something. */
static bool
is_no_list(struct slice name)
{
    static const char *const names[] = {"authorization", "cookie", "referer", "user-agent"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is(name, names[i]))
            return true;
    return false;
}

/* All lines of one name as one value, RFC 9110 section 5.3. `first`: its first line. */
static void
sink_field(struct sink *sink, const struct http_fields *fields, const struct http_field *first,
           struct slice name)
{
    bool verbatim = is_no_list(name);

    for (const struct http_field *field = first; field != NULL;
         field = http_fields_next(fields, field)) {
        if (field != first)
            sink_text(sink, SLICE(", "));
        if (verbatim)
            sink_text(sink, field->value);
        else
            sink_members(sink, field->value);
    }
}

/* The request's first field of that name as the origin got it: what Connection names stayed here
 * (RFC 9110 section 7.6.1), all lines of it. */
static const struct http_field *
find_sent(const struct http_fields *request, struct slice name)
{
    const struct http_field *field = http_fields_find(request, name);

    return field != NULL && field->nominated ? NULL : field;
}

/* What the origin got under this name is never a client's: brink wrote it, from the key, or dropped
 * it. Fields that the site has in its key are compared there. */
static bool
is_never_a_clients(struct slice name)
{
    enum http_token token = http_token_from(name);

    return token == HTTP_UNKNOWN ? http_field_steers(name)
                                 : (http_token_flags(token) & (F_OURS | F_HOP)) != 0;
}

/* By this field no variants are told apart. */
static bool
is_left_out(struct slice name, unsigned how)
{
    return is_never_a_clients(name) ||
           ((how & CACHE_VARY_OWN_ENCODING) != 0 && http_token_from(name) == HTTP_ACCEPT_ENCODING);
}

/* X-Forwarded-For is the exception: the peer's address is in no key. */
static bool
is_as_good_as_star(struct slice name)
{
    return slice_is(name, "*") || !http_is_token(name) ||
           http_token_from(name) == HTTP_X_FORWARDED_FOR;
}

bool
cache_vary_is_star(const struct http_fields *response)
{
    struct http_list list;
    struct slice name;
    unsigned n = 0;

    http_list_begin(&list, response, HTTP_VARY);
    while (http_list_next(&list, &name))
        if (is_as_good_as_star(name) || ++n > CACHE_VARY_NAMES_MAX)
            return true;
    return false;
}

static enum err
collect_names(struct arena *arena, unsigned how, const struct http_fields *response,
              struct slice names[CACHE_VARY_NAMES_MAX + 1], size_t *out_n)
{
    struct http_list list;
    struct slice name;

    *out_n = 0;
    http_list_begin(&list, response, HTTP_VARY);
    while (http_list_next(&list, &name)) {
        char *lower;

        if (is_left_out(name, how))
            continue;
        lower = arena_alloc(arena, name.len);
        if (lower == NULL)
            return ERR_NOMEM;
        for (size_t i = 0; i < name.len; i++)
            lower[i] = char_lower(name.ptr[i]);
        slice_insert(names, out_n, slice_of(lower, name.len));
    }
    return OK;
}

enum err
cache_keyed_build(struct arena *arena, const char *const *names, size_t names_n,
                  const struct http_fields *request, struct slice *out_keyed)
{
    static const char keyed_mark = KEYED_MARK, lines_mark = CACHE_LINES_MARK;
    struct http_out text;

    *out_keyed = SLICE_NONE;
    if (names_n == 0)
        return OK;
    http_out_init(&text, arena, 128);
    for (size_t i = 0; i < names_n; i++) {
        const struct http_field *first = find_sent(request, slice_from_str(names[i]));

        http_out_text(&text, slice_of(&keyed_mark, 1));
        http_out_str(&text, names[i]);
        for (const struct http_field *field = first; field != NULL;
             field = http_fields_next(request, field)) {
            http_out_text(&text, field == first ? SLICE(": ") : slice_of(&lines_mark, 1));
            http_out_text(&text, field->value);
        }
        http_out_str(&text, "\n");
    }
    *out_keyed = http_out_slice(&text);
    return text.rc;
}

/* "name LF", "name: value LF" or "name:~preference LF". */
static void
put_line(struct http_out *text, unsigned how, const struct http_fields *request, struct slice name)
{
    const struct http_field *field = find_sent(request, name);
    struct sink sink = {.out = text};
    struct preference normal;

    http_out_text(text, name);
    if (field != NULL && (how & CACHE_VARY_NORMALISE) && preference_is(name) &&
        preference_write(request, field, &normal)) {
        http_out_str(text, ":~");
        http_out_text(text, slice_of(normal.text, normal.len));
    } else if (field != NULL) {
        http_out_str(text, ": ");
        sink_field(&sink, request, field, name);
    }
    http_out_str(text, "\n");
}

enum err
cache_vary_build(struct arena *arena, struct slice keyed, unsigned how,
                 const struct http_fields *request, const struct http_fields *response,
                 struct slice *out_vary, uint64_t *out_variant)
{
    struct slice names[CACHE_VARY_NAMES_MAX + 1];
    struct http_out text;
    size_t n;
    enum err rc;

    if (cache_vary_is_star(response))
        return ERR_LIMIT;
    rc = collect_names(arena, how, response, names, &n);
    if (rc != OK)
        return rc;
    if (n == 0 && keyed.len == 0) {
        *out_vary = SLICE_NONE;
        *out_variant = 0;
        return OK;
    }
    http_out_init(&text, arena, 128 + keyed.len);
    http_out_text(&text, keyed);
    for (size_t i = 0; i < n; i++)
        put_line(&text, how, request, names[i]);
    if (text.rc != OK)
        return text.rc;
    *out_vary = http_out_slice(&text);
    *out_variant = store_label(LABEL_VARIANT, *out_vary);
    if (*out_variant == 0)
        *out_variant = 1; /* 0 says that the response does not vary */
    return OK;
}

/* A line of the stored text. */
struct line {
    struct slice name, value; /* value.ptr is NULL when the request did not have the field */
    bool normal;              /* the value is a preference in its normal form */
};

/* The next line off. False: none left, or damaged. */
static bool
take_line(struct slice *rest, struct line *out)
{
    struct slice line;

    if (!slice_cut(rest, '\n', &line))
        return false;
    *out = (struct line){.value = SLICE_NONE};
    if (slice_cut(&line, ':', &out->name)) {
        if (line.len == 0 || (line.ptr[0] != ' ' && line.ptr[0] != '~'))
            return false;
        out->normal = line.ptr[0] == '~';
        out->value = slice_skip(line, 1);
    }
    return out->name.len > 0;
}

static bool
matches_line(const struct line *line, const struct http_fields *request)
{
    const struct http_field *field = find_sent(request, line->name);
    struct sink sink = {.want = line->value, .same = true};
    struct preference normal;

    if ((field != NULL) != (line->value.ptr != NULL))
        return false;
    if (field != NULL && line->normal)
        return preference_write(request, field, &normal) &&
               slice_equal(slice_of(normal.text, normal.len), line->value);
    sink_field(&sink, request, field, line->name);
    return sink.same && sink.want.len == 0;
}

static bool
is_keyed_line(struct slice text)
{
    return text.len > 0 && text.ptr[0] == KEYED_MARK;
}

/* Past what the response nominated, if the site's fields are the same. */
static bool
skip_keyed(struct slice *vary, struct slice keyed)
{
    if (keyed.len > 0) {
        if (!slice_starts(*vary, keyed))
            return false;
        *vary = slice_skip(*vary, keyed.len);
    }
    return !is_keyed_line(*vary);
}

/* The first nominated field that differs; its name is empty when the text is damaged. */
static bool
find_difference(struct slice vary, const struct http_fields *request, struct line *out)
{
    while (vary.len > 0) {
        *out = (struct line){0};
        if (!take_line(&vary, out) || !matches_line(out, request))
            return true;
    }
    return false;
}

bool
cache_vary_matches(struct slice vary, struct slice keyed, const struct http_fields *request)
{
    struct line line;

    return skip_keyed(&vary, keyed) && !find_difference(vary, request, &line);
}

bool
cache_vary_next(struct slice *rest, struct cache_vary_difference *out)
{
    struct line line;

    *out = (struct cache_vary_difference){0};
    if (rest->len == 0 || !take_line(rest, &line))
        return false;
    out->name = line.name;
    out->stored = line.value;
    out->of_key = is_keyed_line(out->name);
    if (out->of_key)
        out->name = slice_skip(out->name, 1);
    out->of_cookie = out->of_key && slice_starts(out->name, SLICE(";"));
    if (out->of_cookie || (out->of_key && slice_starts(out->name, SLICE("?"))))
        out->name = slice_skip(out->name, 1);
    out->of_content = out->of_key && out->name.len == 0;
    if (out->of_content)
        out->name = SLICE("content");
    return true;
}

/* Of two texts of the site's fields that are not the same. */
static void
find_keyed_difference(struct slice vary, struct slice keyed, struct cache_vary_difference *out)
{
    struct cache_vary_difference asked;

    for (;;) {
        bool has_stored = is_keyed_line(vary) && cache_vary_next(&vary, out);
        bool has_asked = keyed.len > 0 && cache_vary_next(&keyed, &asked);

        if (!has_stored || !has_asked || !slice_equal(out->name, asked.name)) { /* other settings */
            if (!has_asked)
                return;
            *out = asked;
            out->asked = asked.stored;
            out->stored = SLICE_NONE;
            return;
        }
        out->asked = asked.stored;
        if ((out->asked.ptr == NULL) != (out->stored.ptr == NULL) ||
            !slice_equal(out->asked, out->stored))
            return;
    }
}

bool
cache_vary_differs(struct slice vary, struct slice keyed, const struct http_fields *request,
                   struct cache_vary_difference *out)
{
    struct slice nominated = vary;
    const struct http_field *field;
    struct line line;

    *out = (struct cache_vary_difference){0};
    if (!skip_keyed(&nominated, keyed)) {
        find_keyed_difference(vary, keyed, out);
        return true;
    }
    if (!find_difference(nominated, request, &line))
        return false;
    out->name = line.name;
    out->stored = line.value;
    field = out->name.len > 0 ? find_sent(request, out->name) : NULL;
    out->asked = field == NULL ? SLICE_NONE : field->value;
    return true;
}

static bool
has_name(struct slice vary, struct slice wanted)
{
    struct line line;

    while (vary.len > 0 && take_line(&vary, &line))
        if (slice_equal_nocase(is_keyed_line(line.name) ? slice_skip(line.name, 1) : line.name,
                               wanted))
            return true;
    return false;
}

bool
cache_vary_covers(struct slice vary, unsigned how, const struct http_fields *response)
{
    struct http_list list;
    struct slice name;

    if (cache_vary_is_star(response))
        return false;
    http_list_begin(&list, response, HTTP_VARY);
    while (http_list_next(&list, &name))
        if (!is_left_out(name, how) && !has_name(vary, name))
            return false;
    return true;
}
