/* What becomes of a response's head: whether it is stored and under what, or which stored one it
 * confirms. */
#include "proxy/feed_impl.h"

#include "base/stats.h"
#include "cache/groups.h"
#include "cache/partial.h"
#include "cache/post.h"
#include "cache/validate.h"
#include "cache/variant.h"
#include "cache/vary.h"
#include "proxy/unstorable.h"
#include "proxy/way.h"

/* RFC 9110 section 9.3.2: the length that a GET would have had. */
static bool
length_of_head_response(const struct http_response *response, uint64_t *out)
{
    const struct http_field *field = http_fields_get(&response->fields, HTTP_CONTENT_LENGTH);

    return field != NULL && slice_to_u64(field->value, out);
}

static void
find_length(const struct feed *feed, const struct http_response *response, struct fill_head *head)
{
    head->has_length = true;
    if (feed->request.method == METHOD_HEAD)
        head->has_length = length_of_head_response(response, &head->length);
    else if (response->framing == FRAMING_LENGTH)
        head->length = response->content_length;
    else
        head->has_length = response->framing == FRAMING_NONE;
}

/* Which codings it may be sent in. */
static void
judge_coding(const struct feed *feed, const struct http_fields *fields, struct fill_head *head)
{
    struct variant_subject subject = {fields, head->has_length, head->length};

    variant_judge(&feed->site->coding.variant, &feed->site->cache, &subject, &head->object);
}

static unsigned
how_it_varies(const struct feed *feed, const struct http_response *response,
              const struct fill_head *head)
{
    const struct cache_settings *settings = &feed->site->cache;
    bool ours = variant_owns_encoding(settings, feed->asked_ours, &response->fields, &head->object);

    return (settings->vary_normalise ? CACHE_VARY_NORMALISE : 0U) |
           (ours ? CACHE_VARY_OWN_ENCODING : 0U);
}

static enum err
add_secondary_keys(struct feed *feed, const struct http_response *response, struct fill_head *head)
{
    struct cache_labels labels = {0};
    enum err rc = cache_vary_build(&feed->arena, feed->keyed, how_it_varies(feed, response, head),
                                   &feed->request.fields, &response->fields, &head->object.vary,
                                   &head->variant);

    if (rc == ERR_LIMIT) {
        head->reason = REASON_VARY_STAR;
        return OK;
    }
    if (rc == OK)
        rc = cache_labels_build(&feed->arena, feed->host, &response->fields, &labels);
    if (rc == OK)
        rc = cache_groups_add(&feed->arena, feed->scheme, feed->host, &response->fields, &labels);
    head->labels = labels.ids;
    head->labels_n = labels.n;
    head->object.tags = labels.tags;
    return rc;
}

/* Remember whether responses under this key can be stored, for those who come next. */
static void
note_storability(struct feed *feed, enum cache_reason reason)
{
    struct unstorable *table = feed->proxy->shared->unstorable;
    struct store_hash hash =
        way_unstorable_hash(fill_key(feed->fill), feed->request.method, feed->keyed);

    if (reason == REASON_STORED) {
        unstorable_forget(table, &hash);
        return;
    }
    cache_reason_count(reason);
    if (reason == REASON_FIRST_REQUEST) { /* the next one's can */
        STAT_INC(store_not_admitted);
        unstorable_forget(table, &hash);
        return;
    }
    STAT_INC(cache_unstorable);
    unstorable_note(table, &hash, reason, loop_now_ms(), feed->site->hit_for_miss_s);
}

/* What is stored, and what others get, lacks the fields that are for who asked alone. */
static enum err
withhold(struct feed *feed, const struct http_fields *response, struct fill_head *head)
{
    if (head->reason != REASON_STORED || (head->object.flags & CACHE_WITHHOLDS) == 0)
        return OK;
    head->own = head->text;
    return validate_withhold(&feed->arena, head->own, response, &head->text);
}

/* When the request went out, by the clock that tells `now_s`. The delay is measured, for two looks
 * at a clock of seconds make a second of the moment in which it turns: RFC 9111 section 4.2.3. */
static int64_t
sent_s(const struct feed *feed, int64_t now_s)
{
    return now_s - (int64_t)((loop_now_ms() - feed->request_ms) / 1000);
}

/* A passed POST may bring what a later GET is answered with. */
static enum cache_reason
admit(struct feed *feed, const struct http_response *response, int64_t now_s,
      struct cache_object *out)
{
    const struct cache_settings *settings = &feed->site->cache;
    struct url base;

    if (!feed->pass)
        return fresh_admit(settings, &feed->request, response, sent_s(feed, now_s), now_s, out);
    if (feed->reason != REASON_METHOD || feed->request.method != METHOD_POST ||
        !feed_base_url(feed, &base))
        return feed->reason;
    return post_admit(&feed->arena, settings, &feed->request, &base, response, sent_s(feed, now_s),
                      now_s, out);
}

/* A site may store only what is asked for again, so that what is asked for once takes no room from
 * others. Several who wait for one fetch have asked more than once, and what is stored already is
 * kept. */
static bool
is_wanted_again(const struct feed *feed)
{
    bool seen;

    if (feed->site->store_on == SITE_STORE_ON_FIRST || feed->pass || feed->stale_oid != 0)
        return true;
    seen = store_seen(feed->proxy->shared->store, fill_key(feed->fill));
    return seen || fill_is_shared(feed->fill);
}

/* Slices are sent as they came, so a body that must be decoded for some is never cut into them; one
 * that could be coded is, and then goes out as it is. */
static bool
may_be_sliced(const struct feed *feed, const struct http_response *response,
              const struct fill_head *head, bool too_large)
{
    return !feed->pass && !feed->unsliced && (head->object.flags & CACHE_CODED) == 0 &&
           partial_suits(response, &head->object, too_large) &&
           !unstorable_is(feed->proxy->shared->unsliceable, &fill_key(feed->fill)->hash,
                          loop_now_ms());
}

/* A body of this length may be too large for one object, or to be waited for. RFC 9111 section 3.3.
 */
static void
judge_length(struct feed *feed, const struct http_response *response, struct fill_head *head)
{
    struct proxy_shared *shared = feed->proxy->shared;
    uint64_t object_max_len = store_object_max_len(shared->store);
    uint64_t above_len = feed->site->slice_above_len;
    bool too_large = head->length > object_max_len; /* then a try costs less than doing without */

    if (above_len != 0 && (head->length > above_len || too_large) &&
        may_be_sliced(feed, response, head, too_large)) {
        head->object.flags &= (uint16_t)~CACHE_CODABLE;
        partial_begin(&head->object, head->length, feed->site->slice_len, object_max_len,
                      proxy_nonce(shared));
        STAT_INC(partial_objects);
    } else if (too_large) {
        head->reason = REASON_TOO_LARGE;
        STAT_INC(store_too_large);
    }
}

/* The put of what a POST brought will begin after the POST's own invalidation; other purges since
 * it was sent name it all the same. */
static bool
was_purged(const struct feed *feed, const struct fill_head *head)
{
    return feed->pass && (feed->since == NULL ||
                          store_purged_since(feed->proxy->shared->store,
                                             store_put_birth(feed->since), fill_key(feed->fill),
                                             head->labels, head->labels_n) != STORE_NOT_PURGED);
}

enum err
feed_describe(struct feed *feed, const struct http_response *response, struct fill_head *head)
{
    int64_t now_s = loop_wall_s();
    enum err rc = OK;

    *head = (struct fill_head){.fwd_status = response->status};
    find_length(feed, response, head);
    head->reason = admit(feed, response, now_s, &head->object);
    if (head->reason == REASON_STORED) {
        judge_coding(feed, &response->fields, head);
        rc = add_secondary_keys(feed, response, head);
    }
    if (rc == OK && head->reason == REASON_STORED && was_purged(feed, head))
        head->reason = REASON_PURGED_MEANWHILE;
    if (rc == OK && head->reason == REASON_STORED && !is_wanted_again(feed))
        head->reason = REASON_FIRST_REQUEST;
    if (head->reason != REASON_STORED) {
        fresh_describe_unstored(response, now_s, &head->object);
        judge_coding(feed, &response->fields, head);
    }
    if (head->reason == REASON_STORED && head->has_length)
        judge_length(feed, response, head);
    if (!feed->pass && rc == OK)
        note_storability(feed, head->reason);
    if (rc == OK && !feed->pass && head->reason == REASON_STORED)
        rc = feed_place(feed, response, head);
    if (head->reason == REASON_STORED && variant_varies(&head->object))
        head->family = proxy_nonce(feed->proxy->shared);
    if (rc == OK)
        rc = validate_build_head(&feed->arena, response, now_s, feed->proxy->settings->keep_tags,
                                 &head->object, &head->text);
    return rc == OK ? withhold(feed, &response->fields, head) : rc;
}

/* The origin's 304 says that what is stored must not be: it serves this once. */
static void
forget_stored(struct feed *feed, struct fill_head *head)
{
    struct store_purge row = {.kind = STORE_PURGE_KEY, .text = fill_key(feed->fill)->text};
    uint64_t id;

    head->reason = REASON_NO_STORE;
    cache_reason_count(head->reason);
    if (store_purge(feed->proxy->shared->store, &row, 1, (struct store_done){0}, &id) == OK)
        STAT_INC(cache_invalidated);
}

/* What was said to credentials holds for nobody else: RFC 9111 section 3.5. It serves this once,
 * and what is stored waits for the next to ask, lest anyone could have it forgotten by sending
 * some. */
static void
spare_stored(struct fill_head *head)
{
    head->reason = REASON_AUTHORIZATION;
    cache_reason_count(head->reason);
}

/* What it may be sent in from now on. What was stored without a family can have no members, so it
 * would be coded for each client anew; a partial object goes out as it is. */
static void
judge_coding_anew(const struct feed *feed, const struct http_fields *merged, struct fill_head *head)
{
    judge_coding(feed, merged, head);
    if (head->family == 0)
        head->object.flags &= (uint16_t)~CACHE_CODABLE;
    if (head->object.flags & CACHE_PARTIAL)
        head->object.flags &= (uint16_t) ~(CACHE_CODABLE | CACHE_CODED);
}

/* The stored head with the new fields, the stored body as it is. *out_storable: with these it may
 * stay stored. */
static enum err
merge(struct feed *feed, const struct http_response *response, struct fill_head *head,
      bool *out_storable)
{
    const struct cache_settings *settings = &feed->site->cache;
    struct validate_merged merged;
    struct cache_labels labels = {0};
    int64_t now_s = loop_wall_s();
    enum err rc;

    *head = (struct fill_head){
        .object = feed->stale,
        .variant = feed->stale_variant,
        .family = feed->stale_family,
        .has_length = true,
        .length = feed->stale_body_len,
        .reason = REASON_STORED,
        .fwd_status = response->status,
    };
    rc = validate_merge_fields(&feed->arena, feed->stale_head, &feed->stale, response, now_s,
                               &merged);
    if (rc == OK) {
        *out_storable = fresh_update(settings, &feed->request, &merged.fields, sent_s(feed, now_s),
                                     now_s, &head->object);
        judge_coding_anew(feed, &merged.fields, head);
        *out_storable = *out_storable &&
                        variant_covers(settings, feed->asked_ours, &merged.fields, &head->object) &&
                        feed_keeps_place(feed, &merged.fields, head);
        rc = validate_merge_head(&feed->arena, &merged, &head->object, &head->text);
    }
    if (rc == OK)
        rc = cache_labels_update(&feed->arena, feed->host, &merged.fields, feed->stale.tags,
                                 &labels);
    if (rc == OK)
        rc = cache_groups_add(&feed->arena, feed->scheme, feed->host, &merged.fields, &labels);
    head->labels = labels.ids;
    head->labels_n = labels.n;
    head->object.tags = labels.tags;
    head->body_pin = feed->pin;
    return rc == OK ? withhold(feed, &merged.fields, head) : rc;
}

enum err
feed_describe_confirmed(struct feed *feed, const struct http_response *response,
                        struct fill_head *head)
{
    bool storable;
    enum err rc = merge(feed, response, head, &storable);

    if (rc != OK || storable)
        return rc;
    if (http_fields_has(&feed->request.fields, HTTP_AUTHORIZATION))
        spare_stored(head);
    else
        forget_stored(feed, head);
    return OK;
}

enum err
feed_describe_update(struct feed *feed, const struct http_response *response,
                     struct fill_head *head, bool *out_confirmed)
{
    *out_confirmed = false;
    if (validate_head_confirms(&feed->stale, feed->stale_body_len, response, loop_wall_s())) {
        enum err rc = merge(feed, response, head, out_confirmed);

        if (rc != OK || *out_confirmed)
            return rc;
    }
    return feed_describe(feed, response, head);
}
