/* Members of a stored object as JSON, their numbers being codings (http/coding.h). */
#include "daemon/admin_coding.h"

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
