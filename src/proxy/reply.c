/* What a client gets: a reply's head, its body's source, and the field lines that only we write.
 * Ranges: reply_range.c. */
#include "proxy/reply.h"

#include <stdio.h>

#include "base/stats.h"
#include "cache/validate.h"
#include "http/field.h"
#include "proxy/represent.h"

enum { NODE_MAX = 96 }; /* as in Cache-Status: a longer name is cut */
static_assert(17 + 11 + NODE_MAX + CACHE_STATUS_MAX + VARIANT_LINES_MAX + 128 <= REQUEST_EXTRA_MAX,
              "Age, Via, Cache-Status, a representation's lines and the carrier's framing fit");

void
reply_put(struct request *req, struct slice text)
{
    ASSERT(req->extra_len + text.len <= sizeof(req->extra));
    memcpy(req->extra + req->extra_len, text.ptr, text.len);
    req->extra_len += text.len;
}

void
reply_put_u64(struct request *req, uint64_t n)
{
    char digits[U64_DIGITS_MAX];

    reply_put(req, slice_from_u64(n, digits));
}

/* RFC 9111 section 5.1, RFC 9110 section 7.6.3, RFC 9211. */
static void
put_our_fields(struct request *req, const struct cache_object *object,
               const struct cache_status *status)
{
    uint32_t age_s = object == NULL ? 0 : fresh_age_s(object, req->now_s);
    struct cache_status with_key;
    char line[CACHE_STATUS_MAX];

    if (req->site != NULL && req->site->status_key) {
        with_key = *status;
        with_key.key = req->key.text;
        status = &with_key;
    }
    req->extra_len = 0;
    if (age_s > 0 || status->hit) {
        reply_put(req, SLICE("Age: "));
        reply_put_u64(req, age_s);
        reply_put(req, SLICE("\r\n"));
    }
    reply_put(req, SLICE("Via: 1.1 "));
    reply_put(req, slice_first(slice_from_str(req->proxy->settings->node_name), NODE_MAX));
    reply_put(req, SLICE("\r\n"));
    reply_put(req, slice_of(line, cache_status_line(status, line)));
}

static bool
has_no_body(const struct request *req, unsigned status)
{
    return req->http.method == METHOD_HEAD || status == 204 || status == 304;
}

static void
set_reply(struct request *req, unsigned status, struct slice head, bool has_length, uint64_t length)
{
    req->reply = (struct reply){
        .status = status,
        .head = head,
        .no_body = has_no_body(req, status),
        .has_length = has_length,
        .length = length,
        .close = req->reply.close,
    };
}

/* The body, wherever it is; nothing when the reply has none. */
static bool
take_body(struct request *req, const struct reply_source *source, uint64_t first, uint64_t len)
{
    bool there = true;

    req->reply.coding = source->object->coding;
    if (req->reply.no_body)
        fill_leave(&req->reader);
    else if (source->stored != NULL)
        there = deliver_store(&req->deliver, source->stored, first, len);
    else if (source->pin != NULL)
        deliver_pinned(&req->deliver, source->pin, first, len);
    else if (source->slices != NULL)
        deliver_slices(&req->deliver, source->slices, first, len);
    else
        deliver_fill(&req->deliver, req->reader, first,
                     source->has_length ? first + len : UINT64_MAX);
    if (req->deliver.source == DELIVER_FILL)
        req->reader = NULL; /* the deliver's now */
    return there;
}

static bool
reply_part(struct request *req, const struct reply_source *source, const struct range *range)
{
    struct slice head;

    if (reply_part_head(req, source, range, &head) != OK) {
        fill_leave(&req->reader);
        reply_error(req, ERR_NOMEM, "out of memory");
        return true;
    }
    set_reply(req, 206, head, true, range->len);
    return take_body(req, source, range->first, range->len);
}

/* RFC 9110 section 15.3.7.2 */
static bool
reply_parts(struct request *req, const struct reply_source *source, const struct range_set *set)
{
    struct reply_multipart multipart;

    if (reply_multipart(req, source, set, &multipart) != OK) {
        fill_leave(&req->reader);
        reply_error(req, ERR_NOMEM, "out of memory");
        return true;
    }
    STAT_INC(ranges_multipart);
    set_reply(req, 206, multipart.head, true, multipart.length);
    if (!take_body(req, source, 0, source->length))
        return false;
    deliver_parts(&req->deliver, multipart.parts, multipart.parts_n);
    return true;
}

static void
reply_unsatisfiable(struct request *req, uint64_t length)
{
    struct slice fields = SLICE_NONE;

    if (arena_printf(&req->arena, &fields, "Content-Range: bytes */%llu\r\n",
                     (unsigned long long)length) != OK)
        fields = SLICE_NONE;
    fill_leave(&req->reader);
    reply_local(req, 416, "text/plain", fields, SLICE("the range lies outside of this resource\n"));
}

/* `etag`: of the representation that the client has, or would have got (RFC 9110 section 15.4.5);
 * empty: the stored one's. */
static void
reply_not_modified(struct request *req, const struct reply_source *source, struct slice etag)
{
    struct slice head;

    fill_leave(&req->reader);
    if (validate_not_modified_head(&req->arena, source->head, etag, &head) != OK)
        reply_error(req, ERR_NOMEM, "out of memory");
    else
        set_reply(req, 304, head, false, 0);
}

/* A 426 says what to change to (RFC 9110 section 15.5.22): what the site allows, for the origin's
 * own Upgrade was for its connection. */
static struct slice
offer_upgrade(struct request *req, struct slice head)
{
    struct http_out out;

    if (req->site->upgrades_n == 0)
        return head;
    http_out_init(&out, &req->arena, head.len + 128);
    http_out_text(&out, head);
    http_out_str(&out, "Connection: upgrade\r\nUpgrade: ");
    for (size_t i = 0; i < req->site->upgrades_n; i++) {
        http_out_str(&out, i == 0 ? "" : ", ");
        http_out_str(&out, req->site->upgrades[i]);
    }
    http_out_str(&out, "\r\n");
    return out.rc == OK ? http_out_slice(&out) : head;
}

static bool
reply_whole(struct request *req, const struct reply_source *source)
{
    struct slice head = source->head;

    if (source->object->status == 426)
        head = offer_upgrade(req, head);
    set_reply(req, source->object->status, head, source->has_length, source->length);
    return take_body(req, source, 0, source->length);
}

/* What goes backwards cannot be had of a body that nobody keeps. */
static bool
can_be_parted(struct request *req, const struct reply_source *source, const struct range_set *set)
{
    return set->ascending || source->stored != NULL || source->pin != NULL ||
           source->slices != NULL || fill_is_storing(req->fill);
}

static bool
reply_ranges(struct request *req, const struct reply_source *source)
{
    unsigned most = req->proxy->settings->ranges_max;
    struct range_set set;

    switch (source->named ? range_parts(&req->http, source->object, source->length, most, &set)
                          : range_resolve(&req->http, source->object, source->length, req->now_s,
                                          most, &set)) {
    case RANGE_PART:
        if (set.n == 1)
            return reply_part(req, source, &set.parts[0]);
        return can_be_parted(req, source, &set) ? reply_parts(req, source, &set)
                                                : reply_whole(req, source);
    case RANGE_UNSATISFIABLE:
        reply_unsatisfiable(req, source->length);
        return true;
    case RANGE_EXCESSIVE:
        STAT_INC(ranges_excessive);
        return reply_whole(req, source);
    case RANGE_WHOLE:
        return reply_whole(req, source);
    }
    UNREACHABLE();
}

/* The representation that was chosen is the stored one, or the object has no other. */
static enum reply_made
reply_plain(struct request *req, const struct reply_source *source)
{
    bool part =
        source->evaluate && source->has_length && http_fields_has(&req->http.fields, HTTP_RANGE);

    return (part ? reply_ranges(req, source) : reply_whole(req, source)) ? REPLY_MADE : REPLY_GONE;
}

/* --- objects with several representations --- */

/* Made on its way out, so nobody knows how long it will be. */
static enum reply_made
reply_quick(struct request *req, const struct reply_source *source,
            struct representation *representation)
{
    struct slice head = variant_shared_lines(source->object, source->head);

    if (source->object->status == 426)
        head = offer_upgrade(req, head);
    reply_put(req, representation->own);
    set_reply(req, source->object->status, head, false, 0);
    if (!take_body(req, source, 0, source->length)) {
        deliver_code_free(&representation->code);
        return REPLY_GONE;
    }
    req->reply.coding = representation->coding;
    if (representation->code != NULL)
        deliver_coded(&req->deliver, representation->code, represent_on_bad);
    return REPLY_MADE;
}

/* A body of its own. */
static enum reply_made
reply_member(struct request *req, const struct reply_source *source,
             const struct representation *representation)
{
    struct cache_object object = *source->object;
    struct reply_source member = *source;
    size_t extra_len = req->extra_len;
    enum reply_made made;

    object.own_len = 0;
    object.coding = representation->coding;
    member.head = variant_shared_lines(source->object, source->head);
    member.object = &object;
    member.has_length = true;
    member.length = representation->member.body_len;
    member.stored = &representation->member;
    member.pin = NULL;
    member.evaluate = source->evaluate && representation->ranges;
    member.named = true;
    reply_put(req, representation->own);
    made = reply_plain(req, &member);
    if (made != REPLY_MADE || (req->reply.status != 206 && req->reply.status != object.status))
        req->extra_len = extra_len; /* an answer of ours: 416 */
    return made;
}

/* There is no memory to make the only thing that the client takes. */
static enum reply_made
reply_refused(struct request *req)
{
    fill_leave(&req->reader);
    reply_local(req, 503, "text/plain", SLICE("Retry-After: 1\r\n"), /* RFC 9110 15.6.4 */
                SLICE("no memory to encode or decode this response at the moment\n"));
    return REPLY_MADE;
}

static enum reply_made
send_representation(struct request *req, const struct reply_source *source,
                    struct representation *representation)
{
    enum reply_made made = REPLY_GONE;

    if (representation->form == REPRESENT_MEMBER) {
        made = reply_member(req, source, representation);
        if (made == REPLY_GONE) {
            made = represent_without_member(req, source, representation);
            if (made != REPLY_MADE)
                return made;
            made = REPLY_GONE;
        }
    }
    if (representation->form == REPRESENT_QUICK)
        made = reply_quick(req, source, representation);
    else if (representation->form == REPRESENT_STORED)
        made = reply_plain(req, source);
    if (made == REPLY_MADE) {
        req->form = (uint8_t)representation->form;
        req->coding = (uint8_t)representation->coding;
        if (representation->form == REPRESENT_MEMBER)
            req->member_len = representation->member.body_len;
    }
    return made;
}

static enum reply_made
reply_variant(struct request *req, const struct reply_source *source)
{
    const struct coding_accept *accept = represent_accept(&req->proxy->accept, &req->http.fields);
    struct slice etag = SLICE_NONE;
    bool unmodified = source->evaluate &&
                      validate_request(&req->http, accept, source->object, req->now_s, &etag) ==
                          VALIDATE_NOT_MODIFIED;
    struct representation representation;
    enum reply_made made;

    if (unmodified && etag.len > 0) {
        reply_not_modified(req, source, etag);
        return REPLY_MADE;
    }
    made = represent_reply(req, source, !unmodified && !has_no_body(req, source->object->status),
                           &representation);
    if (made == REPLY_MADE && unmodified)
        reply_not_modified(req, source, variant_lines_etag(representation.own));
    else if (made == REPLY_MADE)
        made = send_representation(req, source, &representation);
    return made == REPLY_REFUSED ? reply_refused(req) : made;
}

/* The origin's own 304, to a condition that we may have translated: the tag that the client sent is
 * what it has, not the one that this was made of. RFC 9110 section 15.4.5. */
static enum reply_made
reply_passed_304(struct request *req, const struct reply_source *source)
{
    struct slice etag;

    if (!variant_none_match(&req->http.fields, NULL, source->object, &etag) ||
        slice_equal(etag, source->object->etag))
        return reply_plain(req, source);
    reply_put(req, SLICE("Vary: Accept-Encoding\r\n")); /* as the response does that has this tag */
    reply_not_modified(req, source, etag);
    return REPLY_MADE;
}

enum reply_made
reply_from(struct request *req, const struct reply_source *source,
           const struct cache_status *status)
{
    struct slice etag;

    put_our_fields(req, source->object, status);
    req->form = REPRESENT_STORED;
    if (variant_varies(source->object))
        return reply_variant(req, source);
    if (UNLIKELY(source->object->status == 304) && !source->evaluate)
        return reply_passed_304(req, source);
    if (source->evaluate && validate_request(&req->http, NULL, source->object, req->now_s, &etag) ==
                                VALIDATE_NOT_MODIFIED) {
        reply_not_modified(req, source, etag);
        return REPLY_MADE;
    }
    return reply_plain(req, source);
}

void
reply_local(struct request *req, unsigned status, const char *type, struct slice fields,
            struct slice body)
{
    const char *reason = http_reason(status);
    char date[HTTP_DATE_LEN + 1];
    struct http_out out;

    if (req->extra_len == 0) /* otherwise the decision's Cache-Status is there already */
        put_our_fields(req, NULL,
                       &(struct cache_status){.node = req->proxy->settings->node_name,
                                              .fwd = req->reason,
                                              .fwd_status = req->fwd_status,
                                              .detail = req->reason});
    http_date_format(req->now_s, date);
    http_out_init(&out, &req->arena, 256 + fields.len);
    http_out_status(&out, status, slice_from_str(reason));
    http_out_field_str(&out, "Date", date);
    http_out_field_str(&out, "Content-Type", type);
    http_out_field_str(&out, "Cache-Control", "no-store");
    http_out_text(&out, fields);
    if (out.rc != OK) { /* the shortest answer that is still right */
        set_reply(req, 503, SLICE("HTTP/1.1 503 Service Unavailable\r\n"), true, 0);
        req->reply.close = true;
        return;
    }
    set_reply(req, status, http_out_slice(&out), true, body.len);
    if (!req->reply.no_body)
        deliver_text(&req->deliver, body);
}

void
reply_error(struct request *req, enum err rc, const char *why)
{
    unsigned status = err_status(rc);
    struct slice body, fields = SLICE_NONE;

    if (rc == ERR_METHOD)
        fields = SLICE("Allow: " REPLY_ALLOW "\r\n");
    else if (rc == ERR_EXCHANGE_MEMORY)
        fields = SLICE("Retry-After: 1\r\n"); /* RFC 9110 section 15.6.4 */
    if (arena_printf(&req->arena, &body, "%u %s: %s\n", status, http_reason(status), why) != OK)
        body = SLICE_NONE;
    reply_local(req, status, "text/plain; charset=utf-8", fields, body);
}
