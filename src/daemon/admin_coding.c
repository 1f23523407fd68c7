/* Members of a stored object as JSON, their numbers being codings (http/coding.h); and the sentence
 * about which coding is sent. */
#include "daemon/admin_coding.h"

#include <inttypes.h>
#include <jansson.h>

#include "cache/partial.h"
#include "cache/variant.h"
#include "daemon/admin_json.h"

/* Numbers of transforms that this brink does not know are shown as such. */
static json_t *
member_name(unsigned number)
{
    if (number < CODING_COUNT)
        return json_string(coding_name((enum http_coding)number));
    return json_sprintf("member %u", number);
}

/* Of the object's bytes, as they are stored; rounded down, below 0 what is longer. */
static json_int_t
saved_percent(uint64_t len, uint64_t whole_len)
{
    if (whole_len == 0)
        return 0;
    return len <= whole_len ? (json_int_t)((double)(whole_len - len) * 100 / (double)whole_len)
                            : -(json_int_t)((double)(len - whole_len) * 100 / (double)whole_len);
}

static json_t *
member_of(const struct store_object *member, uint64_t whole_len)
{
    struct slice etag;

    if (member->head.len == 0) /* that it does not pay is all that is kept */
        return json_pack("{s:o, s:b}", "coding", member_name(member->member), "pays", 0);
    etag = variant_lines_etag(member->head);
    return json_pack("{s:o, s:b, s:I, s:I, s:o}", "coding", member_name(member->member), "pays", 1,
                     "body_bytes", (json_int_t)member->body_len, "saved_percent",
                     saved_percent(member->body_len, whole_len), "etag",
                     etag.len == 0 ? json_null() : admin_text(etag));
}

static json_t *
members_of(struct store_reader *reader, const struct store_object *stored)
{
    json_t *members = json_array();
    struct store_object member;
    uint8_t after = 0;
    bool cold;

    while (stored->family != 0 && store_next_member(reader, stored, after, &member, &cold)) {
        (void)json_array_append_new(members, member_of(&member, stored->body_len));
        after = member.member;
    }
    return members;
}

void
admin_add_codings(json_t *variant, struct store_reader *reader, const struct store_object *stored,
                  const struct cache_object *object)
{
    (void)json_object_set_new(variant, "coding", json_string(coding_name(object->coding)));
    (void)json_object_set_new(variant, "codable",
                              json_boolean((object->flags & CACHE_CODABLE) != 0));
    (void)json_object_set_new(variant, "decodable",
                              json_boolean((object->flags & CACHE_CODED) != 0));
    (void)json_object_set_new(variant, "codings", members_of(reader, stored));
}

/* --- which would be sent --- */

static const char *
form_name(enum explain_form form)
{
    static const char *const names[] = {
        [EXPLAIN_FORM_OPEN] = "open",       [EXPLAIN_FORM_STORED] = "stored",
        [EXPLAIN_FORM_KEPT] = "kept",       [EXPLAIN_FORM_QUICK] = "quick",
        [EXPLAIN_FORM_DECODED] = "decoded",
    };

    ASSERT((unsigned)form < ARRAY_LEN(names));
    return names[form];
}

static enum err
why_stored(struct arena *arena, const struct explain_coding *coding, struct slice *out)
{
    const char *name = coding_name(coding->coding), *liked = coding_name(coding->liked);

    switch (coding->why) {
    case EXPLAIN_CODING_OBJECT:
        return arena_printf(arena, out, "%s",
                            coding->object == VARIANT_CODABLE
                                ? "when it was stored, the site did not compress it"
                                : variant_why_sentence(coding->object));
    case EXPLAIN_CODING_REQUEST:
        return arena_printf(arena, out, "the request says no-transform, or names it in If-Match");
    case EXPLAIN_CODING_NAMED:
        return arena_printf(arena, out, "the request's If-Range names it");
    case EXPLAIN_CODING_NOT_ASKED:
        return arena_printf(arena, out, "the request has no Accept-Encoding");
    case EXPLAIN_CODING_NOT_TAKEN:
        return arena_printf(arena, out, "the client takes none of the site's codings");
    case EXPLAIN_CODING_NOTHING_ELSE:
        return arena_printf(arena, out, "the client takes nothing that it can be sent in");
    case EXPLAIN_CODING_LIKED:
        return arena_printf(arena, out, "the client likes nothing better than %s", name);
    case EXPLAIN_CODING_NO_GAIN:
        return arena_printf(arena, out, "in %s it would be less than 5 %% shorter", liked);
    case EXPLAIN_CODING_PART:
        return arena_printf(arena, out, "a part is asked for, and no %s of it is kept yet", liked);
    }
    UNREACHABLE();
}

/* What comes may be coded or not; the client's side of it is known. */
static enum err
sentence_of_open(struct arena *arena, const struct explain_coding *coding, struct slice *out)
{
    struct slice why;
    enum err rc;

    if (coding->coding != CODING_IDENTITY)
        return arena_printf(arena, out,
                            "%s, if what comes may be compressed: by compress_types, compress_min "
                            "and no-transform",
                            coding_name(coding->coding));
    rc = why_stored(arena, coding, &why);
    return rc == OK ? arena_printf(arena, out, "as it comes: %.*s", SLICE_ARGS(why)) : rc;
}

static enum err
sentence_of_stored(struct arena *arena, const struct explain_coding *coding, struct slice *out)
{
    struct slice why;
    enum err rc = why_stored(arena, coding, &why);

    if (rc != OK)
        return rc;
    return arena_printf(arena, out, "%s, as it is stored: %.*s", coding_name(coding->coding),
                        SLICE_ARGS(why));
}

static enum err
sentence_of_coding(struct arena *arena, const struct explain_coding *coding, struct slice *out)
{
    const char *name = coding_name(coding->coding);

    switch (coding->form) {
    case EXPLAIN_FORM_OPEN:
        return sentence_of_open(arena, coding, out);
    case EXPLAIN_FORM_STORED:
        return sentence_of_stored(arena, coding, out);
    case EXPLAIN_FORM_KEPT:
        return arena_printf(arena, out, "%s, the form that is kept: %" PRIu64 " bytes", name,
                            coding->len);
    case EXPLAIN_FORM_QUICK:
        return arena_printf(arena, out, "%s, compressed as it is sent; %s", name,
                            coding->kept_later ? "the form to be kept is made afterwards"
                                               : "none is kept of it (compress_max)");
    case EXPLAIN_FORM_DECODED:
        return arena_printf(arena, out,
                            "identity, decompressed as it is sent: the client does not take what "
                            "is stored");
    }
    UNREACHABLE();
}

enum err
admin_coding_of(struct arena *arena, const struct explanation *explanation,
                struct slice *out_sentence, json_t **out)
{
    const struct explain_coding *coding = &explanation->coding;
    enum err rc = sentence_of_coding(arena, coding, out_sentence);

    if (rc != OK)
        return rc;
    *out = json_pack("{s:s, s:s, s:o, s:o}", "coding", coding_name(coding->coding), "form",
                     form_name(coding->form), "bytes",
                     coding->form == EXPLAIN_FORM_KEPT ? json_integer((json_int_t)coding->len)
                                                       : json_null(),
                     "sentence", admin_text(*out_sentence));
    return OK;
}
