/* Which coding the answer would have: as represent.c chooses it, of what is stored and nothing
 * else. */
#include "cache/range.h"
#include "http/h1_parse.h"
#include "proxy/explain.h"
#include "proxy/represent.h"

/* Judged again, for the reason; by the site as it is now. ERR_NOMEM. */
static enum err
judge_again(struct arena *arena, struct explanation *out)
{
    const struct site_settings *site = out->site;
    struct cache_object object = out->finding.object;
    struct slice lines = out->finding.stored.head, status_line;
    struct http_fields fields;
    struct h1_fault fault = {0};
    enum err rc = http_fields_init(&fields, arena, HTTP_FIELDS_MAX);

    (void)slice_cut(&lines, '\n', &status_line);
    if (rc == OK && h1_parse_fields(lines, HTTP_FIELDS_MAX, &fields, &fault) == OK)
        out->coding.object = variant_judge(
            &site->coding.variant, &site->cache,
            &(struct variant_subject){
                .fields = &fields, .has_length = true, .length = out->finding.stored.body_len},
            &object);
    return rc;
}

static void
as_stored(struct explain_coding *out, const struct cache_object *object,
          enum explain_coding_why why)
{
    out->form = EXPLAIN_FORM_STORED;
    out->coding = object->coding;
    out->why = why;
}

/* Why the choice fell on what is stored. */
static enum explain_coding_why
why_stored(const struct explanation *explanation, const struct coding_accept *accept, bool fits)
{
    const struct cache_object *object = &explanation->finding.object;

    if (!fits)
        return EXPLAIN_CODING_NOTHING_ELSE;
    if (!http_fields_has(&explanation->http.fields, HTTP_ACCEPT_ENCODING))
        return EXPLAIN_CODING_NOT_ASKED;
    if (object->coding != CODING_IDENTITY)
        return EXPLAIN_CODING_LIKED;
    for (size_t i = 0; i < explanation->site->coding.variant.codings_n; i++)
        if (accept->weight[explanation->site->coding.variant.codings[i]] > 0)
            return (object->flags & CACHE_CODABLE) != 0 ? EXPLAIN_CODING_LIKED
                                                        : EXPLAIN_CODING_OBJECT;
    return EXPLAIN_CODING_NOT_TAKEN;
}

/* A choice on its way. */
struct choosing {
    struct store_reader *reader;
    const struct explanation *explanation;
    struct coding_accept accept;
    bool part; /* a part may be asked for ... */
    enum range_of of;
    unsigned ranges_max;
};

static bool
find_member(const struct choosing *choosing, enum http_coding coding, struct store_object *out)
{
    const struct store_object *stored = &choosing->explanation->finding.stored;
    bool cold;

    return stored->family != 0 && coding != CODING_IDENTITY &&
           store_find_member(choosing->reader, stored, (uint8_t)coding, out, &cold);
}

/* Does what is stored have the part, or say that there is none? */
static bool
stored_part_fits(const struct choosing *choosing)
{
    const struct explanation *explanation = choosing->explanation;
    struct range_set set;
    enum range_result result = range_resolve(
        &explanation->http, &explanation->finding.object, explanation->finding.stored.body_len,
        explanation->question.now_s, choosing->ranges_max, &set);

    return result == RANGE_PART || result == RANGE_UNSATISFIABLE;
}

/* No form of it is kept. */
static void
on_its_way_out(const struct choosing *choosing, struct explain_coding *out)
{
    const struct explanation *explanation = choosing->explanation;
    const struct store_object *stored = &explanation->finding.stored;
    const struct cache_object *object = &explanation->finding.object;
    uint64_t max_len = explanation->site->coding.strong_max_len;

    if (choosing->part && choosing->of == RANGE_OF_ANY &&
        choosing->accept.weight[object->coding] > 0 && stored_part_fits(choosing)) {
        out->liked = out->coding;
        as_stored(out, object, EXPLAIN_CODING_PART);
        return;
    }
    out->form = out->coding == CODING_IDENTITY ? EXPLAIN_FORM_DECODED : EXPLAIN_FORM_QUICK;
    out->kept_later = stored->family != 0 && stored->body_len <= max_len;
}

static void
without_gain(const struct choosing *choosing, struct explain_coding *out)
{
    const struct cache_object *object = &choosing->explanation->finding.object;

    out->liked = out->coding;
    if (choosing->accept.weight[object->coding] > 0) {
        as_stored(out, object, EXPLAIN_CODING_NO_GAIN);
        return;
    }
    if (choosing->accept.weight[CODING_IDENTITY] > 0)
        out->coding = CODING_IDENTITY;
    on_its_way_out(choosing, out);
}

static void
as_kept(const struct store_object *member, bool ranges, struct explain_coding *out)
{
    out->form = EXPLAIN_FORM_KEPT;
    out->coding = (enum http_coding)member->member;
    out->len = member->body_len;
    out->ranges = ranges;
}

/* If-Range names a representation whose bytes are kept: it goes before all that the client likes.
 */
static bool
choose_named(struct choosing *choosing, struct explain_coding *out)
{
    const struct explanation *explanation = choosing->explanation;
    const struct cache_object *object = &explanation->finding.object;
    enum http_coding coding = CODING_IDENTITY;
    struct slice hash = SLICE_NONE;
    struct store_object member;

    choosing->of = RANGE_OF_ANY;
    if (choosing->part)
        choosing->of = range_condition(&explanation->http, object, explanation->question.now_s,
                                       &coding, &hash);
    if (choosing->of == RANGE_OF_STORED) {
        as_stored(out, object, EXPLAIN_CODING_NAMED);
        return true;
    }
    if (choosing->of != RANGE_OF_MADE || hash.len == 0 || !find_member(choosing, coding, &member) ||
        !slice_equal(variant_lines_hash(member.head), hash))
        return false;
    as_kept(&member, true, out);
    return true;
}

/* As is_as_stored of represent.c. */
static bool
is_as_stored(const struct explanation *explanation)
{
    const struct http_field *match = http_fields_get(&explanation->http.fields, HTTP_IF_MATCH);

    return (explanation->way.cc.flags & CC_NO_TRANSFORM) != 0 ||
           (match != NULL && !slice_is(match->value, "*"));
}

static void
choose_by_accept(const struct choosing *choosing, struct explain_coding *out)
{
    const struct explanation *explanation = choosing->explanation;
    const struct cache_object *object = &explanation->finding.object;
    struct store_object member;
    bool fits = represent_choose(&explanation->site->coding.variant, object, &choosing->accept,
                                 false, &out->coding);

    if (out->coding == object->coding)
        as_stored(out, object, why_stored(explanation, &choosing->accept, fits));
    else if (!find_member(choosing, out->coding, &member))
        on_its_way_out(choosing, out);
    else if (member.head.len == 0)
        without_gain(choosing, out);
    else
        as_kept(&member, choosing->of == RANGE_OF_ANY, out);
}

static void
choose_stored(struct choosing *choosing, struct explain_coding *out)
{
    const struct explanation *explanation = choosing->explanation;
    const struct cache_object *object = &explanation->finding.object;

    coding_accept_parse(&explanation->http.fields, &choosing->accept);
    choosing->part = explanation->http.method == METHOD_GET &&
                     http_fields_has(&explanation->http.fields, HTTP_RANGE);
    if (!variant_varies(object))
        as_stored(out, object, EXPLAIN_CODING_OBJECT);
    else if (choose_named(choosing, out))
        return;
    else if (is_as_stored(explanation))
        as_stored(out, object, EXPLAIN_CODING_REQUEST);
    else
        choose_by_accept(choosing, out);
}

/* The status was that of what is stored; parts are of the representation that is sent. */
static void
correct_status(unsigned ranges_max, struct explanation *out)
{
    const struct explain_coding *coding = &out->coding;
    struct cache_object sent = out->finding.object;
    struct range_set set;

    if ((out->status != 200 && out->status != 206 && out->status != 416) ||
        coding->form == EXPLAIN_FORM_STORED)
        return;
    out->status = out->finding.object.status;
    if (coding->form != EXPLAIN_FORM_KEPT || !coding->ranges ||
        !http_fields_has(&out->http.fields, HTTP_RANGE) || out->http.method != METHOD_GET)
        return;
    sent.coding = coding->coding;
    switch (range_parts(&out->http, &sent, coding->len, ranges_max, &set)) {
    case RANGE_PART:
        out->status = 206;
        break;
    case RANGE_UNSATISFIABLE:
        out->status = 416;
        break;
    case RANGE_WHOLE:
    case RANGE_EXCESSIVE:
        break;
    }
}

/* What comes is not known yet; if it may be coded, then in this. */
static void
choose_open(const struct explanation *explanation, struct explain_coding *out)
{
    const struct variant_settings *settings = &explanation->site->coding.variant;
    struct coding_accept accept;
    unsigned offers = CODING_BIT(CODING_IDENTITY);

    out->form = EXPLAIN_FORM_OPEN;
    if (!http_fields_has(&explanation->http.fields, HTTP_ACCEPT_ENCODING))
        out->why = EXPLAIN_CODING_NOT_ASKED;
    else if ((explanation->way.cc.flags & CC_NO_TRANSFORM) != 0)
        out->why = EXPLAIN_CODING_REQUEST;
    else
        out->why = settings->codings_n == 0 ? EXPLAIN_CODING_OBJECT : EXPLAIN_CODING_NOT_TAKEN;
    out->object = VARIANT_OFF;
    if (out->why != EXPLAIN_CODING_NOT_TAKEN)
        return;
    for (size_t i = 0; i < settings->codings_n; i++)
        offers |= CODING_BIT(settings->codings[i]);
    coding_accept_parse(&explanation->http.fields, &accept);
    (void)coding_choose(&accept, offers, settings->codings, settings->codings_n, &out->coding);
}

enum err
explain_add_coding(const struct proxy_settings *settings, struct store_reader *reader,
                   struct arena *arena, struct explanation *out)
{
    struct choosing choosing = {
        .reader = reader, .explanation = out, .ranges_max = settings->ranges_max};
    enum err rc;

    if (!out->looked_up || !out->finding.found) {
        choose_open(out, &out->coding);
        return OK;
    }
    rc = judge_again(arena, out);
    if (rc != OK)
        return rc;
    choose_stored(&choosing, &out->coding);
    correct_status(settings->ranges_max, out);
    return OK;
}
