/* Which coding the answer would have: as represent.c chooses it, of what is stored and nothing
 * else. */
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

    if (!variant_varies(object))
        return EXPLAIN_CODING_OBJECT;
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

/* The member in the chosen coding: 0 when there is none. */
static bool
find_member(struct store_reader *reader, const struct explanation *explanation,
            enum http_coding coding, struct store_object *out)
{
    const struct store_object *stored = &explanation->finding.stored;
    bool cold;

    return stored->family != 0 && coding != CODING_IDENTITY &&
           store_find_member(reader, stored, (uint8_t)coding, out, &cold);
}

/* No form of it is kept. */
static void
on_its_way_out(const struct explanation *explanation, const struct coding_accept *accept,
               struct explain_coding *out)
{
    const struct store_object *stored = &explanation->finding.stored;
    const struct cache_object *object = &explanation->finding.object;
    uint64_t max_len = explanation->site->coding.strong_max_len;

    if (http_fields_has(&explanation->http.fields, HTTP_RANGE) &&
        accept->weight[object->coding] > 0) {
        out->liked = out->coding;
        as_stored(out, object, EXPLAIN_CODING_PART);
        return;
    }
    out->form = out->coding == CODING_IDENTITY ? EXPLAIN_FORM_DECODED : EXPLAIN_FORM_QUICK;
    out->kept_later = stored->family != 0 && stored->body_len <= max_len;
}

static void
without_gain(const struct explanation *explanation, const struct coding_accept *accept,
             struct explain_coding *out)
{
    const struct cache_object *object = &explanation->finding.object;

    out->liked = out->coding;
    if (accept->weight[object->coding] > 0) {
        as_stored(out, object, EXPLAIN_CODING_NO_GAIN);
    } else {
        if (accept->weight[CODING_IDENTITY] > 0)
            out->coding = CODING_IDENTITY;
        on_its_way_out(explanation, accept, out);
    }
}

static void
choose_stored(struct store_reader *reader, const struct explanation *explanation,
              struct explain_coding *out)
{
    const struct cache_object *object = &explanation->finding.object;
    struct coding_accept accept;
    struct store_object member;
    bool fits;

    coding_accept_parse(&explanation->http.fields, &accept);
    if (variant_varies(object) && (explanation->way.cc.flags & CC_NO_TRANSFORM) != 0) {
        as_stored(out, object, EXPLAIN_CODING_REQUEST);
        return;
    }
    fits =
        represent_choose(&explanation->site->coding.variant, object, &accept, false, &out->coding);
    if (!variant_varies(object) || out->coding == object->coding) {
        as_stored(out, object, why_stored(explanation, &accept, fits));
        return;
    }
    if (!find_member(reader, explanation, out->coding, &member)) {
        on_its_way_out(explanation, &accept, out);
    } else if (member.head.len == 0) {
        without_gain(explanation, &accept, out);
    } else {
        out->form = EXPLAIN_FORM_KEPT;
        out->len = member.body_len;
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
explain_add_coding(struct store_reader *reader, struct arena *arena, struct explanation *out)
{
    enum err rc;

    if (!out->looked_up || !out->finding.found) {
        choose_open(out, &out->coding);
        return OK;
    }
    rc = judge_again(arena, out);
    if (rc == OK)
        choose_stored(reader, out, &out->coding);
    return rc;
}
