/* What may be made of a response, and what the head of that says. Tags in conditions:
 * variant_tags.c. */
#include "cache/variant.h"

#include "cache/vary.h"

/* --- judging --- */

/* `pattern` in lower case, of which each "*" stands for any bytes, none included. */
static bool
fits(struct slice text, const char *pattern)
{
    const char *after_star = NULL;
    size_t at = 0, star_at = 0;

    while (at < text.len) {
        if (*pattern == '*') {
            after_star = ++pattern;
            star_at = at;
        } else if (*pattern == char_lower(text.ptr[at]) && *pattern != '\0') {
            pattern++;
            at++;
        } else if (after_star != NULL) { /* the last star takes one byte more */
            pattern = after_star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* The one Content-Type without its parameters, RFC 9110 section 8.3. False: none, malformed, or
 * several: what it is would be a guess. */
static bool
take_type(const struct http_fields *fields, struct slice *out)
{
    const struct http_field *field = http_fields_get(fields, HTTP_CONTENT_TYPE);
    struct slice rest, type, subtype;

    if (field == NULL || http_fields_next(fields, field) != NULL)
        return false;
    rest = field->value;
    (void)slice_cut(&rest, ';', out);
    *out = slice_trim(*out);
    subtype = *out;
    return slice_cut(&subtype, '/', &type) && http_is_token(type) && http_is_token(subtype);
}

static bool
has_type_of_site(const struct variant_settings *settings, const struct http_fields *fields)
{
    struct slice type;

    if (!take_type(fields, &type))
        return false;
    for (size_t i = 0; i < settings->types_n; i++)
        if (fits(type, settings->types[i]))
            return true;
    return false;
}

/* RFC 9111 section 5.2.2.6 is for every intermediary, so Cache-Control says it even where a
 * targeted field says how to cache (RFC 9213). */
static bool
forbids_transform(const struct cache_settings *cache, const struct http_fields *fields)
{
    struct cachectl cc = {.flags = 0};
    bool forbids;

    cachectl_parse(fields, &cc);
    forbids = (cc.flags & CC_NO_TRANSFORM) != 0;
    for (size_t i = 0; i < cache->targeted_fields_n && !forbids; i++)
        forbids = cachectl_parse_targeted(fields, slice_from_str(cache->targeted_fields[i]), &cc) &&
                  (cc.flags & CC_NO_TRANSFORM) != 0;
    return forbids;
}

/* A part is sent as it is: its bytes are counted in those of the whole. RFC 9110 section 14.4:
 * Content-Range means nothing in other statuses; but who says it may mean it. */
static bool
is_whole(const struct variant_subject *subject, unsigned status)
{
    if (status < 200 || status == 204 || status == 205 || status == 206 || status == 304)
        return false;
    if (subject->has_length && subject->length == 0)
        return false;
    return !http_fields_has(subject->fields, HTTP_CONTENT_RANGE);
}

static bool
offers_another(const struct variant_settings *settings, enum http_coding coding)
{
    for (size_t i = 0; i < settings->codings_n; i++)
        if (settings->codings[i] != coding)
            return true;
    return false;
}

/* May its bytes be touched at all? VARIANT_CODABLE: they may. */
static enum variant_why
judge_bytes(const struct variant_settings *settings, const struct cache_settings *cache,
            const struct variant_subject *subject, const struct cache_object *object)
{
    bool coded = object->coding != CODING_IDENTITY;

    if (coded && !settings->decode)
        return VARIANT_UNDECODED;
    if (!coded && settings->codings_n == 0)
        return VARIANT_OFF;
    if (!is_whole(subject, object->status))
        return VARIANT_NO_WHOLE;
    if ((object->flags & CACHE_PARTIAL) != 0)
        return VARIANT_SLICES;
    if (object->etag.len > VARIANT_ETAG_MAX)
        return VARIANT_ETAG_LONG;
    return forbids_transform(cache, subject->fields) ? VARIANT_NO_TRANSFORM : VARIANT_CODABLE;
}

/* Is it worth it? */
static enum variant_why
judge_gain(const struct variant_settings *settings, const struct variant_subject *subject,
           const struct cache_object *object)
{
    if (settings->codings_n == 0)
        return VARIANT_OFF;
    if (!offers_another(settings, object->coding))
        return VARIANT_ITS_OWN;
    if (!has_type_of_site(settings, subject->fields))
        return VARIANT_TYPE;
    return subject->has_length && subject->length < settings->min_len ? VARIANT_SHORT
                                                                      : VARIANT_CODABLE;
}

enum variant_why
variant_judge(const struct variant_settings *settings, const struct cache_settings *cache,
              const struct variant_subject *subject, struct cache_object *object)
{
    enum http_coding coding;
    enum variant_why why;

    object->flags &= (uint16_t) ~(CACHE_CODABLE | CACHE_CODED);
    object->coding = CODING_IDENTITY;
    if (!coding_of_response(subject->fields, &coding))
        return VARIANT_STRANGE;
    object->coding = coding;
    why = judge_bytes(settings, cache, subject, object);
    if (why != VARIANT_CODABLE)
        return why;
    if (coding != CODING_IDENTITY)
        object->flags |= CACHE_CODED;
    why = judge_gain(settings, subject, object);
    if (why == VARIANT_CODABLE)
        object->flags |= CACHE_CODABLE;
    return why;
}

const char *
variant_why_sentence(enum variant_why why)
{
    static const char *const sentences[] = {
        [VARIANT_CODABLE] = "it may be sent in the site's codings",
        [VARIANT_OFF] = "the site compresses nothing (compress)",
        [VARIANT_STRANGE] = "it came in several codings, or in an unknown one",
        [VARIANT_UNDECODED] = "it came compressed, and the site does not decompress (decompress)",
        [VARIANT_NO_WHOLE] = "it is no whole content",
        [VARIANT_SLICES] = "it is kept in slices (slice_above)",
        [VARIANT_ETAG_LONG] = "its ETag is longer than others can be made of",
        [VARIANT_NO_TRANSFORM] = "the response says no-transform",
        [VARIANT_ITS_OWN] = "the site has no coding but the one that it came in (compress)",
        [VARIANT_TYPE] = "its type is none of compress_types",
        [VARIANT_SHORT] = "it is shorter than compress_min",
    };

    ASSERT((unsigned)why < ARRAY_LEN(sentences));
    return sentences[why];
}

unsigned
variant_offers(const struct variant_settings *settings, const struct cache_object *object)
{
    unsigned offers = CODING_BIT(object->coding);

    if (object->flags & CACHE_CODED)
        offers |= CODING_BIT(CODING_IDENTITY);
    if (object->flags & CACHE_CODABLE)
        for (size_t i = 0; i < settings->codings_n; i++)
            offers |= CODING_BIT(settings->codings[i]);
    return offers;
}

bool
variant_owns_encoding(const struct cache_settings *settings, bool asked_ours,
                      const struct http_fields *fields, const struct cache_object *object)
{
    enum http_coding coding;

    if (!settings->own_encoding)
        return false;
    return asked_ours || (object->flags & CACHE_CODED) != 0 ||
           (coding_of_response(fields, &coding) && coding == CODING_IDENTITY);
}

bool
variant_covers(const struct cache_settings *settings, bool asked_ours,
               const struct http_fields *merged, const struct cache_object *object)
{
    bool ours = variant_owns_encoding(settings, asked_ours, merged, object);

    return cache_vary_covers(object->vary, ours ? CACHE_VARY_OWN_ENCODING : 0, merged);
}

/* --- heads --- */

/* Text that always fits: an entity tag of VARIANT_ETAG_MAX, and what is known. */
struct text {
    char *buf;
    size_t len;
};

static void
put(struct text *text, struct slice more)
{
    ASSERT(text->len + more.len <= VARIANT_LINES_MAX);
    if (more.len > 0)
        memcpy(text->buf + text->len, more.ptr, more.len);
    text->len += more.len;
}

static void
put_etag(struct text *text, const struct http_etag *etag, enum http_coding coding,
         struct slice hash)
{
    bool weak = etag->weak || (hash.len == 0 && coding != CODING_IDENTITY);

    put(text, weak ? SLICE("W/") : SLICE_NONE);
    put(text, slice_first(etag->opaque, etag->opaque.len - 1));
    put(text, SLICE("~"));
    put(text, slice_from_str(coding_name(coding)));
    put(text, hash.len > 0 ? SLICE(".") : SLICE_NONE);
    put(text, hash);
    put(text, SLICE("\""));
}

/* The origin's, when it is one: what was read from a disk may be anything. */
static bool
has_etag(const struct cache_object *object, struct http_etag *out)
{
    return object->etag.len <= VARIANT_ETAG_MAX && http_etag_parse(object->etag, out);
}

struct slice
variant_etag(const struct cache_object *object, enum http_coding coding, struct slice hash,
             char room[VARIANT_LINES_MAX])
{
    struct text text = {room, 0};
    struct http_etag etag;

    ASSERT(coding != object->coding && (hash.len == 0 || hash.len == VARIANT_HASH_LEN));
    if (!has_etag(object, &etag))
        return SLICE_NONE;
    put_etag(&text, &etag, coding, hash);
    return slice_of(text.buf, text.len);
}

size_t
variant_lines(const struct cache_object *object, enum http_coding coding, struct slice hash,
              char out[VARIANT_LINES_MAX])
{
    struct text text = {out, 0};
    struct http_etag etag;

    ASSERT(coding != object->coding && (hash.len == 0 || hash.len == VARIANT_HASH_LEN));
    if (coding != CODING_IDENTITY) {
        put(&text, SLICE("Content-Encoding: "));
        put(&text, slice_from_str(coding_name(coding)));
        put(&text, SLICE("\r\n"));
    }
    if (has_etag(object, &etag)) {
        put(&text, SLICE("ETag: "));
        put_etag(&text, &etag, coding, hash);
        put(&text, SLICE("\r\n"));
    }
    return text.len;
}

void
variant_hash_text(uint64_t hash, char out[VARIANT_HASH_LEN])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < VARIANT_HASH_LEN - 1; i++)
        out[i] = letters[hash >> (58 - 6 * i) & 63];
    out[VARIANT_HASH_LEN - 1] = letters[hash << 2 & 63]; /* the last four bits */
}
