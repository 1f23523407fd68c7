/* Stored heads: as they are built, as they answer conditional requests, and as validation changes
 * them. */
#include "cache/validate.h"

#include "cache/fresh.h"
#include "cache/variant.h"

/* --- building --- */

/* RFC 9111 section 3.1, and what is written anew when a head is sent. */
static bool
is_kept(const struct http_field *field, bool keep_tags)
{
    if (field->nominated || (http_token_flags(field->token) & F_HOP))
        return false;
    if (field->token == HTTP_AGE || field->token == HTTP_CONTENT_LENGTH)
        return false;
    return keep_tags || !cache_is_tag_field(field->token);
}

static bool
is_clean(struct slice reason)
{
    for (size_t i = 0; i < reason.len; i++)
        if ((reason.ptr[i] < ' ' && reason.ptr[i] != '\t') || reason.ptr[i] > '~')
            return false;
    return reason.len > 0;
}

static void
put_date(struct http_out *out, int64_t at_s)
{
    char text[HTTP_DATE_LEN + 1];

    http_date_format(at_s, text);
    http_out_field(out, SLICE("Date"), slice_of(text, HTTP_DATE_LEN));
}

/* --- Vary --- */

static bool
may_vary_otherwise(const struct http_fields *fields)
{
    struct http_list list;
    struct slice name;

    http_list_begin(&list, fields, HTTP_VARY);
    while (http_list_next(&list, &name))
        if (slice_is(name, "*") || slice_is_nocase(name, "accept-encoding"))
            return false;
    return true;
}

/* The field to whose list Accept-Encoding can be added. */
static const struct http_field *
last_vary(const struct http_fields *fields)
{
    const struct http_field *last = NULL;

    for (const struct http_field *field = http_fields_get(fields, HTTP_VARY); field != NULL;
         field = http_fields_next(fields, field))
        last = field;
    return last != NULL && http_quote_is_open(last->value) ? NULL : last;
}

#define VARY_OURS "Accept-Encoding"

static void
put_vary(struct http_out *out, const struct http_field *field)
{
    http_out_text(out, field == NULL ? SLICE("Vary") : field->name);
    http_out_str(out, ": ");
    if (field != NULL && field->value.len > 0) {
        http_out_text(out, field->value);
        http_out_str(out, ", ");
    }
    http_out_str(out, VARY_OURS "\r\n");
}

/* A value of a stored Vary without what we added. False: nothing is left. */
static bool
take_vary_ours(struct slice *value)
{
    if (slice_is(*value, VARY_OURS))
        return false;
    if (slice_ends(*value, SLICE(", " VARY_OURS)))
        *value = slice_first(*value, value->len - sizeof(", " VARY_OURS) + 1);
    return true;
}

/* --- writing --- */

/* A head's lines, all of them but what is not kept. */
struct lines {
    const struct http_fields *fields;
    bool keep_tags;
    bool undated; /* without a Date, or an invalid one; RFC 9110 section 6.6.1: the time of receipt,
                   * response_s, stands in */
    int64_t response_s;
};

/* Those that describe one representation alone, or the others; `vary`: which is written longer. */
static void
put_fields(struct http_out *out, const struct lines *lines, unsigned repr,
           const struct http_field *vary)
{
    for (unsigned i = 0; i < lines->fields->n; i++) {
        const struct http_field *field = &lines->fields->items[i];

        if (!is_kept(field, lines->keep_tags) || (field->token == HTTP_DATE && lines->undated) ||
            (http_token_flags(field->token) & F_REPR) != repr)
            continue;
        if (field == vary)
            put_vary(out, field);
        else
            http_out_field(out, field->name, field->value);
    }
}

/* What all representations share, and what each has of its own. */
static void
put_lines(struct http_out *out, const struct lines *lines, struct cache_object *object)
{
    const struct http_field *vary = NULL;
    size_t shared_len;

    object->flags &= (uint16_t)~CACHE_VARY_OURS;
    if (variant_varies(object) && may_vary_otherwise(lines->fields)) {
        object->flags |= CACHE_VARY_OURS;
        vary = last_vary(lines->fields);
    }
    put_fields(out, lines, 0, vary);
    if (lines->undated)
        put_date(out, lines->response_s);
    if ((object->flags & CACHE_VARY_OURS) && vary == NULL)
        put_vary(out, NULL);
    shared_len = out->len;
    put_fields(out, lines, F_REPR, NULL);
    object->own_len = (uint32_t)(out->len - shared_len);
}

enum err
validate_build_head(struct arena *arena, const struct http_response *response, int64_t response_s,
                    bool keep_tags, struct cache_object *object, struct slice *out_head)
{
    struct lines lines = {&response->fields, .keep_tags = keep_tags, .response_s = response_s};
    struct http_out out;
    int64_t date_s;

    lines.undated = !fresh_date(&response->fields, HTTP_DATE, response_s, &date_s);
    http_out_init(&out, arena, 1024);
    http_out_status(&out, response->status,
                    is_clean(response->reason) ? response->reason
                                               : slice_from_str(http_reason(response->status)));
    put_lines(&out, &lines, object);
    if (out.rc == OK)
        *out_head = http_out_slice(&out);
    return out.rc;
}

/* --- stored heads --- */

/* The next line of a stored head, without its end. False: none left, or damaged. */
static bool
take_line(struct slice *rest, struct slice *out)
{
    size_t at;

    if (!slice_find(*rest, '\n', &at) || at == 0 || rest->ptr[at - 1] != '\r')
        return false;
    *out = slice_first(*rest, at - 1);
    *rest = slice_skip(*rest, at + 1);
    return true;
}

static bool
take_field(struct slice *rest, struct slice *out_name, struct slice *out_value)
{
    struct slice line, left = *rest;

    if (!take_line(&left, &line) || !slice_cut(&line, ':', out_name) || out_name->len == 0)
        return false; /* *rest shows what was left */
    *out_value = slice_trim(line);
    *rest = left;
    return true;
}

/* What describes the content that a 304 does not carry: the digests too, of which the client's own
 * representation may have others. Last-Modified is there for caches that have no entity tag to go
 * by. */
static bool
belongs_to_content(struct slice name, bool has_etag)
{
    static const char *const names[] = {"content-type", "content-language", "content-range",
                                        "content-disposition"};
    enum http_token token = http_token_from(name);

    if (token != HTTP_ETAG && (http_token_flags(token) & F_REPR) != 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is_nocase(name, names[i]))
            return true;
    return has_etag && slice_is_nocase(name, "last-modified");
}

static bool
head_has_etag(struct slice fields)
{
    struct slice name, value;

    while (take_field(&fields, &name, &value))
        if (slice_is_nocase(name, "etag"))
            return true;
    return false;
}

enum err
validate_not_modified_head(struct arena *arena, struct slice stored_head, struct slice etag,
                           struct slice *out_head)
{
    struct http_out out;
    struct slice line, name, value;
    bool has_etag;

    if (!take_line(&stored_head, &line))
        return ERR_STORE_CORRUPT;
    has_etag = etag.len > 0 || head_has_etag(stored_head);
    http_out_init(&out, arena, stored_head.len + etag.len + 64);
    http_out_status(&out, 304, slice_from_str(http_reason(304)));
    while (take_field(&stored_head, &name, &value))
        if (!belongs_to_content(name, has_etag) &&
            !(etag.len > 0 && http_token_from(name) == HTTP_ETAG))
            http_out_field(&out, name, value);
    if (stored_head.len != 0)
        return ERR_STORE_CORRUPT;
    if (etag.len > 0)
        http_out_field(&out, SLICE("ETag"), etag);
    if (out.rc == OK)
        *out_head = http_out_slice(&out);
    return out.rc;
}

/* RFC 9530 sections 2 and 3: of the content, or of the representation that it is a part of? */
bool
validate_is_of_content(struct slice name)
{
    enum http_token token = http_token_from(name);

    return token == HTTP_CONTENT_DIGEST || token == HTTP_CONTENT_MD5;
}

/* What describes the bytes goes with them, for object->own_len counts it: a list that names it
 * restricts the whole response (http/cachectl.h). */
static bool
is_withheld(const struct http_fields *response, struct slice name)
{
    return (http_token_flags(http_token_from(name)) & F_REPR) == 0 &&
           cachectl_withholds(response, name);
}

enum err
validate_withhold(struct arena *arena, struct slice head, const struct http_fields *response,
                  struct slice *out_head)
{
    struct http_out out;
    struct slice line, name, value;

    if (!take_line(&head, &line))
        return ERR_STORE_CORRUPT;
    http_out_init(&out, arena, line.len + 2 + head.len);
    http_out_text(&out, line);
    http_out_text(&out, SLICE("\r\n"));
    while (take_field(&head, &name, &value))
        if (!is_withheld(response, name))
            http_out_field(&out, name, value);
    if (head.len != 0)
        return ERR_STORE_CORRUPT;
    if (out.rc == OK)
        *out_head = http_out_slice(&out);
    return out.rc;
}

/* --- merging --- */

/* May this field of a newer response replace a stored one? RFC 9111 section 3.2: not the fields
 * that are not stored, nor those that the stored bytes depend upon. */
static bool
is_merged(const struct http_field *field)
{
    if (field->nominated)
        return false;
    return (http_token_flags(field->token) & (F_HOP | F_CTRL)) == 0;
}

static bool
is_replaced(const struct http_fields *newer, struct slice name, enum http_token token)
{
    const struct http_field *field = http_fields_find(newer, name);

    if (token == HTTP_DATE)
        return true; /* written anew when the newer response has none */
    for (; field != NULL; field = http_fields_next(newer, field))
        if (is_merged(field))
            return true;
    return false;
}

static unsigned
count_lines(struct slice head)
{
    unsigned n = 0;

    for (size_t i = 0; i < head.len; i++)
        n += head.ptr[i] == '\n';
    return n;
}

/* The stored fields that stay, without what we added to Vary. Tag fields are in a stored head when
 * the operator lets clients see them: *out_tags says so. */
static enum err
keep_stored(struct slice stored, bool vary_ours, const struct http_fields *newer,
            struct http_fields *fields, bool *out_tags)
{
    struct slice name, value;

    *out_tags = false;
    while (take_field(&stored, &name, &value)) {
        enum http_token token = http_token_from(name);
        enum err rc = OK;

        *out_tags = *out_tags || cache_is_tag_field(token);
        if (!is_replaced(newer, name, token) &&
            (!vary_ours || token != HTTP_VARY || take_vary_ours(&value)))
            rc = http_fields_add(fields, name, value);
        if (rc != OK)
            return rc;
    }
    return stored.len == 0 ? OK : ERR_STORE_CORRUPT;
}

static enum err
add_newer(struct arena *arena, const struct http_fields *newer, int64_t response_s,
          struct http_fields *fields)
{
    int64_t date_s;
    bool dated = fresh_date(newer, HTTP_DATE, response_s, &date_s);
    struct slice date;
    char text[HTTP_DATE_LEN + 1];
    enum err rc = OK;

    for (unsigned i = 0; i < newer->n && rc == OK; i++) {
        const struct http_field *field = &newer->items[i];

        if (is_merged(field) && (dated || field->token != HTTP_DATE))
            rc = http_fields_add(fields, field->name, field->value);
    }
    if (dated || rc != OK)
        return rc;
    http_date_format(response_s, text);
    rc = arena_copy(arena, slice_of(text, HTTP_DATE_LEN), &date);
    return rc == OK ? http_fields_add(fields, SLICE("Date"), date) : rc;
}

enum err
validate_merge_fields(struct arena *arena, struct slice stored_head,
                      const struct cache_object *object, const struct http_response *response,
                      int64_t response_s, struct validate_merged *out)
{
    bool vary_ours = (object->flags & CACHE_VARY_OURS) != 0;
    struct validate_merged merged;
    unsigned cap;
    enum err rc;

    if (!take_line(&stored_head, &merged.status_line))
        return ERR_STORE_CORRUPT;
    cap = count_lines(stored_head) + response->fields.n + 1; /* one for Date */
    rc = http_fields_init(&merged.fields, arena, cap < HTTP_FIELDS_MAX ? cap : HTTP_FIELDS_MAX);
    if (rc == OK)
        rc = keep_stored(stored_head, vary_ours, &response->fields, &merged.fields, &merged.tags);
    if (rc == OK)
        rc = add_newer(arena, &response->fields, response_s, &merged.fields);
    if (rc == OK)
        *out = merged;
    return rc;
}

enum err
validate_merge_head(struct arena *arena, const struct validate_merged *merged,
                    struct cache_object *object, struct slice *out_head)
{
    struct lines lines = {&merged->fields, .keep_tags = merged->tags};
    struct http_out out;

    http_out_init(&out, arena, 1024);
    http_out_text(&out, merged->status_line);
    http_out_text(&out, SLICE("\r\n"));
    put_lines(&out, &lines, object);
    if (out.rc == OK)
        *out_head = http_out_slice(&out);
    return out.rc;
}
