/* Primary keys, and the labels that purges name. */
#include "cache/key.h"

#include "http/field.h"

enum err
cache_key_build(struct arena *arena, struct slice scheme, struct slice host, struct slice path,
                struct slice query, struct store_key *out)
{
    const struct slice parts[] = {scheme, SLICE("://"), host, path, query};
    size_t len = 0;
    char *buf, *at;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        len += parts[i].len;
    buf = at = arena_alloc(arena, len);
    if (buf == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].len > 0)
            memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    out->text = slice_of(buf, len);
    out->hash = store_hash(out->text);
    out->group = 0;
    return OK;
}

bool
cache_is_tag_field(enum http_token token)
{
    return token == HTTP_SURROGATE_KEY || token == HTTP_CACHE_TAG || token == HTTP_XKEY;
}

static const enum http_token tag_fields[] = {HTTP_SURROGATE_KEY, HTTP_XKEY, HTTP_CACHE_TAG};

/* Tags on their way into the labels. */
struct tags {
    struct cache_labels labels;
    struct http_out text;
    size_t n;
};

static enum err
begin_tags(struct arena *arena, struct slice host, bool any, struct tags *out)
{
    size_t ids_max = any ? 1 + CACHE_TAGS_MAX : 1;

    *out = (struct tags){.labels.ids = arena_alloc(arena, ids_max * sizeof(*out->labels.ids))};
    if (out->labels.ids == NULL)
        return ERR_NOMEM;
    out->labels.ids[out->labels.n++] = store_label(CACHE_LABEL_HOST, host);
    if (any)
        http_out_init(&out->text, arena, 256);
    return OK;
}

static enum err
end_tags(struct tags *tags, struct cache_labels *out)
{
    if (tags->text.rc != OK)
        return tags->text.rc;
    if (tags->n > 0)
        tags->labels.tags = http_out_slice(&tags->text);
    *out = tags->labels;
    return OK;
}

/* What would end a tag in the text for people; a tag of Cache-Tag may hold blanks. */
static const char *
escape_of(char c)
{
    return c == ' ' ? "%20" : c == '\t' ? "%09" : c == '%' ? "%25" : NULL;
}

static void
put_escaped(struct http_out *out, struct slice tag)
{
    size_t from = 0;

    for (size_t i = 0; i < tag.len; i++) {
        const char *escape = escape_of(tag.ptr[i]);

        if (escape != NULL) {
            http_out_text(out, slice_of(tag.ptr + from, i - from));
            http_out_str(out, escape);
            from = i + 1;
        }
    }
    http_out_text(out, slice_skip(tag, from));
}

static void
add_tag(struct tags *tags, struct slice tag)
{
    uint64_t id;

    if (tag.len == 0 || tags->n == CACHE_TAGS_MAX)
        return;
    id = store_label(CACHE_LABEL_TAG, tag);
    for (size_t i = 0; i < tags->labels.n; i++)
        if (tags->labels.ids[i] == id)
            return; /* twice in the response */
    tags->labels.ids[tags->labels.n++] = id;
    if (tags->n++ > 0)
        http_out_text(&tags->text, SLICE(" "));
    put_escaped(&tags->text, tag);
}

/* Cache-Tag separates by commas, the others by blanks. A tab is a blank. */
static void
add_tags(struct tags *tags, struct slice value, bool commas)
{
    while (value.len > 0) {
        size_t len = 0;

        while (len < value.len &&
               (commas ? value.ptr[len] != ',' : value.ptr[len] != ' ' && value.ptr[len] != '\t'))
            len++;
        add_tag(tags, slice_trim(slice_first(value, len)));
        value = slice_skip(value, len < value.len ? len + 1 : len);
    }
}

static bool
has_tag_fields(const struct http_fields *fields)
{
    for (size_t i = 0; i < ARRAY_LEN(tag_fields); i++)
        if (http_fields_has(fields, tag_fields[i]))
            return true;
    return false;
}

enum err
cache_labels_build(struct arena *arena, struct slice host, const struct http_fields *response,
                   struct cache_labels *out)
{
    struct tags tags;
    enum err rc = begin_tags(arena, host, has_tag_fields(response), &tags);

    if (rc != OK)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(tag_fields); i++) {
        const struct http_field *field = http_fields_get(response, tag_fields[i]);

        for (; field != NULL; field = http_fields_next(response, field))
            add_tags(&tags, field->value, tag_fields[i] == HTTP_CACHE_TAG);
    }
    return end_tags(&tags, out);
}

/* One byte of an escaped tag. */
static char
take_char(struct slice *text)
{
    static const char escaped[] = {' ', '\t', '%'};
    char c = text->ptr[0];

    for (size_t i = 0; i < ARRAY_LEN(escaped); i++) {
        if (slice_starts(*text, slice_from_str(escape_of(escaped[i])))) {
            *text = slice_skip(*text, 3);
            return escaped[i];
        }
    }
    *text = slice_skip(*text, 1);
    return c;
}

/* The tag as it was before put_escaped. False: out of memory. */
static bool
unescape(struct arena *arena, struct slice text, struct slice *out)
{
    size_t len = 0;
    char *tag;

    if (!slice_find(text, '%', &len)) {
        *out = text;
        return true;
    }
    tag = arena_alloc(arena, text.len);
    if (tag == NULL)
        return false;
    for (len = 0; text.len > 0; len++)
        tag[len] = take_char(&text);
    *out = slice_of(tag, len);
    return true;
}

enum err
cache_labels_update(struct arena *arena, struct slice host, const struct http_fields *merged,
                    struct slice tags_text, struct cache_labels *out)
{
    struct tags tags;
    struct slice escaped, tag;
    enum err rc;

    if (has_tag_fields(merged))
        return cache_labels_build(arena, host, merged, out);
    rc = begin_tags(arena, host, tags_text.len > 0, &tags);
    while (rc == OK && tags_text.len > 0) {
        (void)slice_cut(&tags_text, ' ', &escaped);
        if (!unescape(arena, escaped, &tag))
            return ERR_NOMEM;
        add_tag(&tags, tag);
    }
    return rc == OK ? end_tags(&tags, out) : rc;
}
