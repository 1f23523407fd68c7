/* The choice of a representation. On the way of a hit that is a comparison of Accept-Encoding with
 * the one before, a loop over four weights, and one look-up more in the store's index. */
#include "proxy/represent.h"

#include "base/log.h"
#include "base/stats.h"

/* --- what the client takes --- */

const struct coding_accept *
represent_accept(struct represent_memo *memo, const struct http_fields *fields)
{
    static const struct coding_accept plain = {.weight = {[CODING_IDENTITY] = 1}};
    const struct http_field *field = http_fields_get(fields, HTTP_ACCEPT_ENCODING);
    bool several;

    if (field == NULL)
        return &plain;
    several = http_fields_next(fields, field) != NULL;
    if (LIKELY(memo->known && !several &&
               slice_equal(field->value, slice_of(memo->text, memo->len))))
        return &memo->accept;
    coding_accept_parse(fields, &memo->accept);
    memo->known = !several && field->value.len <= sizeof(memo->text);
    memo->len = memo->known ? field->value.len : 0;
    if (memo->len > 0)
        memcpy(memo->text, field->value.ptr, memo->len);
    return &memo->accept;
}

bool
represent_choose(const struct variant_settings *settings, const struct cache_object *object,
                 const struct coding_accept *accept, bool as_it_is, enum http_coding *out)
{
    enum http_coding own = object->coding;
    bool fits;

    if (as_it_is) {
        *out = own;
        return true;
    }
    fits = coding_choose(accept, variant_offers(settings, object), settings->codings,
                         settings->codings_n, out);
    if (fits && own != CODING_IDENTITY && accept->weight[own] >= accept->weight[*out])
        *out = own; /* nothing to do is best, where nothing else is liked better */
    return fits;
}

/* --- members --- */

enum found { FOUND_NOTHING, FOUND_MEMBER, FOUND_NO_GAIN, FOUND_COLD };

static bool
look_for_member(struct request *req, const struct reply_source *source, enum http_coding coding,
                struct store_object *out, bool *out_cold)
{
    struct store_reader *reader = proxy_read(req->proxy);
    struct store_object head;

    if (source->stored != NULL)
        return store_find_member(reader, source->stored, (uint8_t)coding, out, out_cold);
    head = (struct store_object){
        .slot = source->pin->slot,
        .variant = source->variant,
        .family = source->family,
    };
    return store_find_member(reader, &head, (uint8_t)coding, out, out_cold);
}

static enum found
find_member(struct request *req, const struct reply_source *source, enum http_coding coding,
            struct store_object *out)
{
    bool hurried = LIKELY(req->cold_n <= WARMING_TRIES_MAX), cold = false, found;

    if (coding == CODING_IDENTITY || source->family == 0 ||
        (source->stored == NULL && source->pin == NULL))
        return FOUND_NOTHING;
    if (!hurried)
        store_reader_hurry(proxy_read(req->proxy), false);
    found = look_for_member(req, source, coding, out, &cold);
    if (!hurried)
        store_reader_hurry(proxy_read(req->proxy), true);
    if (!found)
        return UNLIKELY(cold) ? FOUND_COLD : FOUND_NOTHING;
    if (out->head.len == 0)
        return FOUND_NO_GAIN; /* that it does not pay is all that is kept */
    return LIKELY(out->head.len <= VARIANT_LINES_MAX) ? FOUND_MEMBER : FOUND_NOTHING;
}

static void
take_member(struct request *req, bool ranges, struct representation *out)
{
    out->form = REPRESENT_MEMBER;
    out->ranges = ranges;
    out->own = out->member.head;
    store_touch(proxy_read(req->proxy), &out->member);
}

/* --- ranges --- */

static bool
wants_part(const struct request *req, const struct reply_source *source)
{
    return source->evaluate && source->has_length && http_fields_has(&req->http.fields, HTTP_RANGE);
}

/* Has the stored representation something to say to this range? */
static bool
stored_part_fits(const struct request *req, const struct reply_source *source)
{
    struct range_set set;

    switch (range_resolve(&req->http, source->object, source->length, req->now_s,
                          req->proxy->settings->ranges_max, &set)) {
    case RANGE_PART:
    case RANGE_UNSATISFIABLE:
        return true;
    case RANGE_WHOLE:
    case RANGE_EXCESSIVE:
        return false;
    }
    UNREACHABLE();
}

/* The member whose tag If-Range has: the client has a part of it already, whatever it would be
 * given today. RFC 9110 section 13.1.5. */
static enum found
find_named(struct request *req, const struct reply_source *source, enum http_coding coding,
           struct slice hash, struct representation *out)
{
    enum found found = FOUND_NOTHING;

    if (hash.len > 0) /* else it is what is decoded, and not kept */
        found = find_member(req, source, coding, &out->member);
    return found == FOUND_MEMBER && !slice_equal(variant_lines_hash(out->member.head), hash)
               ? FOUND_NOTHING
               : found;
}

/* --- the choice --- */

static enum reply_made
take_stored(const struct reply_source *source, struct representation *out)
{
    out->form = REPRESENT_STORED;
    out->coding = source->object->coding;
    out->ranges = true;
    return REPLY_MADE;
}

/* Made on its way out. Without the memory for that, what is stored does, if it is acceptable. */
static enum reply_made
take_quick(struct request *req, const struct reply_source *source,
           const struct coding_accept *accept, bool with_body, struct representation *out)
{
    struct deliver_code_plan plan = {
        .from = source->object->coding,
        .to = out->coding,
        .level = req->site->coding.quick[out->coding],
        .size_hint = source->has_length ? source->length : 0,
    };

    if (with_body && deliver_code_new(&req->deliver, &plan, &out->code) != OK)
        return accept->weight[plan.from] > 0 ? take_stored(source, out) : REPLY_REFUSED;
    out->form = REPRESENT_QUICK;
    out->ranges = false;
    out->own =
        slice_of(out->lines, variant_lines(source->object, out->coding, SLICE_NONE, out->lines));
    return REPLY_MADE;
}

/* The coding does not pay: identity, or what is stored, unless the client insists. */
static void
give_up_coding(const struct cache_object *object, const struct coding_accept *accept,
               enum http_coding *coding)
{
    if (accept->weight[object->coding] > 0)
        *coding = object->coding;
    else if (accept->weight[CODING_IDENTITY] > 0)
        *coding = CODING_IDENTITY;
}

/* no-transform, RFC 9111 section 5.2.1.6; or If-Match, which names a representation: the request is
 * here because that is the stored one. */
static bool
is_as_stored(const struct request *req)
{
    const struct http_field *match = http_fields_get(&req->http.fields, HTTP_IF_MATCH);

    return (req->cc.flags & CC_NO_TRANSFORM) != 0 ||
           (match != NULL && !slice_is(match->value, "*"));
}

static enum reply_made
choose_by_accept(struct request *req, const struct reply_source *source, bool with_body,
                 bool with_member, enum range_of of, struct representation *out)
{
    const struct cache_object *object = source->object;
    const struct coding_accept *accept = represent_accept(&req->proxy->accept, &req->http.fields);
    enum found found;

    (void)represent_choose(&req->site->coding.variant, object, accept, is_as_stored(req),
                           &out->coding);
    if (out->coding == object->coding)
        return take_stored(source, out);
    found = with_member ? find_member(req, source, out->coding, &out->member) : FOUND_NOTHING;
    if (LIKELY(found == FOUND_MEMBER)) {
        take_member(req, of == RANGE_OF_ANY, out);
        return REPLY_MADE;
    }
    if (found == FOUND_COLD)
        return REPLY_COLD;
    if (found == FOUND_NO_GAIN)
        give_up_coding(object, accept, &out->coding);
    if (out->coding == object->coding ||
        (of == RANGE_OF_ANY && wants_part(req, source) && accept->weight[object->coding] > 0 &&
         stored_part_fits(req, source)))
        return take_stored(source, out);
    return take_quick(req, source, accept, with_body, out);
}

static enum reply_made
choose(struct request *req, const struct reply_source *source, bool with_body, bool with_member,
       struct representation *out)
{
    enum range_of of = RANGE_OF_ANY;
    enum http_coding coding;
    enum found found = FOUND_NOTHING;
    struct slice hash;

    out->code = NULL;
    out->own = SLICE_NONE;
    if (wants_part(req, source))
        of = range_condition(&req->http, source->object, req->now_s, &coding, &hash);
    if (of == RANGE_OF_STORED)
        return take_stored(source, out);
    if (of == RANGE_OF_MADE && with_member)
        found = find_named(req, source, coding, hash, out);
    if (found == FOUND_COLD)
        return REPLY_COLD;
    if (found == FOUND_MEMBER) {
        out->coding = coding;
        take_member(req, true, out);
        return REPLY_MADE;
    }
    return choose_by_accept(req, source, with_body, with_member, of, out);
}

enum reply_made
represent_reply(struct request *req, const struct reply_source *source, bool with_body,
                struct representation *out)
{
    return choose(req, source, with_body, true, out);
}

enum reply_made
represent_without_member(struct request *req, const struct reply_source *source,
                         struct representation *out)
{
    return choose(req, source, true, false, out);
}

/* --- afterwards --- */

void
represent_on_bad(void *arg, enum err rc)
{
    struct request *req = arg;
    struct store_purge row = {.kind = STORE_PURGE_KEY, .text = req->key.text};
    struct slice rest = req->key.text, url;
    uint64_t id;

    (void)slice_cut(&rest, '?', &url); /* a query may hold what lets its sender in */
    LOG(WARN, coding_bad, "error=%s url=\"%.*s\"", err_name(rc), SLICE_ARGS(url));
    if (req->fill != NULL && fill_spoil(req->fill))
        return; /* it was not stored yet, and will not be */
    if (store_purge(req->proxy->shared->store, &row, 1, (struct store_done){0}, &id) != OK)
        LOG(WARN, limit, "what=\"purges at work\" kept=\"%.*s\"", SLICE_ARGS(url));
}

static void
count_member(const struct request *req, const struct reply_source *source)
{
    static const enum counter sent[CODING_COUNT] = {
        [CODING_GZIP] = STAT_variant_gzip_sent,
        [CODING_BR] = STAT_variant_br_sent,
        [CODING_ZSTD] = STAT_variant_zstd_sent,
    };
    static const enum counter saved[CODING_COUNT] = {
        [CODING_GZIP] = STAT_variant_gzip_saved_bytes,
        [CODING_BR] = STAT_variant_br_saved_bytes,
        [CODING_ZSTD] = STAT_variant_zstd_saved_bytes,
    };

    stats_add(sent[req->coding], 1);
    if (req->reply.status == 200 && source->length > req->member_len)
        stats_add(saved[req->coding], (int64_t)(source->length - req->member_len));
}

void
represent_note(struct request *req, const struct reply_source *source)
{
    struct variants *variants = req->proxy->shared->variants;
    const struct coding_settings *settings = &req->site->coding;
    enum http_coding coding = (enum http_coding)req->coding;

    if (req->reply.no_body)
        return;
    if (req->form == REPRESENT_MEMBER)
        count_member(req, source);
    if (req->form != REPRESENT_QUICK || coding == CODING_IDENTITY || source->family == 0 ||
        variants == NULL)
        return;
    if (source->stored != NULL)
        variants_want(variants, &req->key, source->variant, source->family, coding, settings);
    else
        fill_want(req->fill, variants, settings, coding);
}
