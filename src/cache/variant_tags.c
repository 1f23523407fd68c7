/* Entity tags of representations, as clients send them back. What is ours is told by its form
 * alone: "ORIGIN~CODING.HASH", W/"ORIGIN~CODING", "ORIGIN~identity". An origin whose own tag looks
 * like that has "ORIGIN~CODING.HASH~br.HASH" for what is made of it; the last "~" counts. */
#include "cache/variant.h"

/* What a tag of ours is made of. */
struct tag {
    struct slice origin; /* the origin's opaque tag, its first quote and what follows, but not the
                          * last one */
    enum http_coding coding;
    struct slice hash; /* empty: made for one answer, or decoded */
    bool weak;
};

static bool
is_hash(struct slice text)
{
    if (text.len != VARIANT_HASH_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i], lower = char_lower(c);

        if ((lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* Names as we write them. */
static bool
is_coding(struct slice name, enum http_coding *out)
{
    return coding_from(name, out) && slice_is(name, coding_name(*out));
}

/* Strong ones without a hash are not ours but for identity: W/ was never taken off. */
static bool
is_form_ours(const struct tag *tag)
{
    if (tag->coding == CODING_IDENTITY)
        return tag->hash.ptr == NULL;
    return tag->hash.ptr == NULL ? tag->weak : is_hash(tag->hash);
}

static bool
take_apart(const struct http_etag *etag, struct tag *out)
{
    struct slice text = slice_first(etag->opaque, etag->opaque.len - 1), name;
    size_t at = text.len;

    while (at > 0 && text.ptr[at - 1] != '~')
        at--;
    if (at == 0)
        return false;
    *out = (struct tag){.origin = slice_first(text, at - 1), .weak = etag->weak};
    text = slice_skip(text, at);
    if (slice_cut(&text, '.', &name))
        out->hash = text;
    return is_coding(name, &out->coding) && is_form_ours(out);
}

/* Is it made of this origin's tag? */
static bool
is_made_of(const struct tag *tag, const struct http_etag *origin)
{
    return slice_equal(tag->origin, slice_first(origin->opaque, origin->opaque.len - 1));
}

/* --- If-None-Match --- */

/* The best tag so far. */
struct match {
    const struct http_fields *fields;
    const struct cache_object *object;
    struct http_etag origin;
    const struct coding_accept *accept; /* NULL until there is something to weigh */
    struct coding_accept parsed;
    unsigned weight;
    struct slice etag;
};

static unsigned
weight_of(struct match *match, enum http_coding coding)
{
    if (match->accept == NULL) {
        coding_accept_parse(match->fields, &match->parsed);
        match->accept = &match->parsed;
    }
    return match->accept->weight[coding];
}

/* `text`: the tag as it was sent. The stored representation is what is sent to who accepts nothing
 * else, and always when there is no other. */
static void
try_tag(struct match *match, const struct http_etag *etag, struct slice text)
{
    struct tag tag;
    unsigned weight;

    if (http_etag_equal_weak(etag, &match->origin)) {
        text = match->object->etag;
        weight = variant_varies(match->object) ? weight_of(match, match->object->coding) : 1000;
    } else if (take_apart(etag, &tag) && is_made_of(&tag, &match->origin)) {
        weight = weight_of(match, tag.coding);
    } else {
        return;
    }
    if (weight > match->weight) {
        match->weight = weight;
        match->etag = text;
    }
}

bool
variant_none_match(const struct http_fields *fields, const struct coding_accept *accept,
                   const struct cache_object *object, struct slice *out_etag)
{
    const struct http_field *field = http_fields_get(fields, HTTP_IF_NONE_MATCH);
    struct match match = {.fields = fields, .accept = accept, .object = object};

    if (!http_etag_parse(object->etag, &match.origin))
        return false;
    for (; field != NULL; field = http_fields_next(fields, field)) {
        struct slice rest = field->value;
        struct http_etag etag;

        while (http_etag_take(&rest, &etag)) {
            size_t len = etag.opaque.len + (etag.weak ? 2 : 0); /* "W/" stands before it */

            try_tag(&match, &etag, slice_of(etag.opaque.ptr - (etag.weak ? 2 : 0), len));
        }
    }
    if (match.weight > 0)
        *out_etag = match.etag;
    return match.weight > 0;
}

/* --- If-Range --- */

/* Made of the object as it is, by the rules as they are. */
static bool
can_be_had(const struct tag *tag, const struct cache_object *object)
{
    if (tag->coding == object->coding)
        return false;
    return (object->flags & (tag->coding == CODING_IDENTITY ? CACHE_CODED : CACHE_CODABLE)) != 0;
}

bool
variant_if_range(const struct http_fields *fields, const struct cache_object *object,
                 enum http_coding *out_coding, struct slice *out_hash)
{
    const struct http_field *field = http_fields_get(fields, HTTP_IF_RANGE);
    struct http_etag etag, origin;
    struct tag tag;

    if (field == NULL || http_fields_next(fields, field) != NULL ||
        !http_etag_parse(field->value, &etag) || !http_etag_parse(object->etag, &origin) ||
        etag.weak || origin.weak)
        return false;
    *out_coding = object->coding;
    *out_hash = SLICE_NONE;
    if (http_etag_equal_strong(&etag, &origin))
        return true;
    if (!take_apart(&etag, &tag) || !is_made_of(&tag, &origin) || !can_be_had(&tag, object))
        return false;
    *out_coding = tag.coding;
    *out_hash = tag.hash;
    return true;
}

/* --- own lines of what is kept --- */

struct slice
variant_lines_etag(struct slice lines)
{
    struct slice line, name;

    while (slice_cut(&lines, '\n', &line))
        if (slice_cut(&line, ':', &name) && slice_is_nocase(name, "etag") &&
            slice_ends(line, SLICE("\r")))
            return slice_trim(slice_first(line, line.len - 1));
    return SLICE_NONE;
}

struct slice
variant_lines_hash(struct slice lines)
{
    struct http_etag etag;
    struct tag tag;

    return http_etag_parse(variant_lines_etag(lines), &etag) && take_apart(&etag, &tag)
               ? tag.hash
               : SLICE_NONE;
}

/* --- translation --- */

/* The tag that the origin gave, as far as ours tells: with a hash, and of what was decoded, ours is
 * weak as the origin's was. Of what was made for one answer it may have been strong; so it is
 * given, for If-None-Match compares weakly, and If-Match only holds for exactly what it was made
 * of. */
static void
put_origin(struct http_out *out, const struct tag *tag)
{
    bool quick = tag->hash.ptr == NULL && tag->coding != CODING_IDENTITY;

    if (tag->weak && !quick)
        http_out_str(out, "W/");
    http_out_text(out, tag->origin);
    http_out_str(out, "\"");
}

/* Is it a list of tags, with one of ours? */
static bool
has_ours(struct slice list)
{
    struct http_etag etag;
    struct tag tag;
    bool found = false;

    while (http_etag_take(&list, &etag))
        found = take_apart(&etag, &tag) || found;
    return found && list.len == 0;
}

enum err
variant_translate(struct arena *arena, struct slice value, struct slice *out)
{
    struct slice last = SLICE_NONE, rest = value;
    struct http_etag etag;
    struct http_out text;
    struct tag tag;

    if (!has_ours(value)) {
        *out = value;
        return OK;
    }
    http_out_init(&text, arena, 2 * value.len + 8);
    while (http_etag_take(&rest, &etag)) {
        http_out_str(&text, text.len > 0 ? ", " : "");
        http_out_str(&text, etag.weak ? "W/" : "");
        http_out_text(&text, etag.opaque);
        if (!take_apart(&etag, &tag) || slice_equal(tag.origin, last))
            continue; /* one of the origin's is enough */
        http_out_str(&text, ", ");
        put_origin(&text, &tag);
        last = tag.origin;
    }
    if (text.rc == OK)
        *out = http_out_slice(&text);
    return text.rc;
}
