/* An explanation as JSON. "lines" are pairs of a word and a sentence, in the order in which people
 * want them; the rest is the same for programs.
 *
 * Values of fields that may let their sender in are in neither: only that they differ. */
#include "daemon/admin_explain.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>

#include "cache/explain.h"
#include "cache/partial.h"
#include "daemon/admin_coding.h"
#include "daemon/admin_json.h"

enum { SHOWN_VARIANTS_MAX = 6, VALUE_SHOWN_MAX = 160 };

/* An answer being made. */
struct telling {
    struct arena *arena;
    const struct explanation *explanation;
    struct store_reader *reader;
    int64_t now_s;
    json_t *root, *lines;
};

static void
    PRINTF_LIKE(3, 4) say(struct telling *telling, const char *word, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len >= 0)
        (void)json_array_append_new(
            telling->lines, json_pack("[s, o]", word, admin_text(slice_of(text, (size_t)len))));
    free(len >= 0 ? text : NULL);
}

static void
set(struct telling *telling, const char *name, json_t *value)
{
    (void)json_object_set_new(telling->root, name, value);
}

static json_t *
time_or_null(int64_t at_s)
{
    char text[EXPLAIN_TIME_MAX];

    return at_s == 0 ? json_null() : json_string(explain_time(at_s, text));
}

/* --- which site, which key --- */

static void
tell_site(struct telling *telling)
{
    const struct explanation *explanation = telling->explanation;
    const struct site_settings *site = explanation->site;
    bool any = site != NULL && site->hosts_n == 0;

    if (site == NULL) {
        set(telling, "site", json_null());
        return;
    }
    set(telling, "site",
        json_pack("{s:s, s:o, s:s}", "name", site->name, "host", admin_text(explanation->host),
                  "matched", any ? "any host" : "host"));
    if (any)
        say(telling, "site", "%s, which answers for any host", site->name);
    else
        say(telling, "site", "%s, because its hosts name %.*s", site->name,
            SLICE_ARGS(explanation->host));
}

/* What a QUERY asks for is nobody's business either. */
static bool
is_private(const struct cache_vary_difference *field)
{
    return field->of_cookie || field->of_content || admin_is_secret(field->name);
}

/* A value for people: cut, or left out. */
static struct slice
shown_value(const struct cache_vary_difference *field, struct slice value)
{
    if (value.ptr == NULL)
        return SLICE("(not sent)");
    if (is_private(field))
        return SLICE("(a secret)");
    return slice_first(value, VALUE_SHOWN_MAX);
}

static json_t *
json_value(const struct cache_vary_difference *field, struct slice value)
{
    return value.ptr == NULL ? json_null() : admin_text(shown_value(field, value));
}

static json_t *
key_fields_of(struct telling *telling)
{
    struct slice rest = telling->explanation->way.keyed;
    struct cache_vary_difference field;
    json_t *fields = json_array();

    while (cache_vary_next(&rest, &field)) {
        (void)json_array_append_new(
            fields, json_pack("{s:o, s:b, s:o}", "name", admin_text(field.name), "cookie",
                              (int)field.of_cookie, "value", json_value(&field, field.stored)));
        say(telling, "key field", "%s%.*s: %.*s", field.of_cookie ? "cookie " : "",
            SLICE_ARGS(field.name), SLICE_ARGS(shown_value(&field, field.stored)));
    }
    return fields;
}

static void
tell_key(struct telling *telling)
{
    const struct store_key *key = &telling->explanation->way.key;
    char hash[40];

    if (telling->explanation->site == NULL)
        return;
    (void)snprintf(hash, sizeof(hash), "%016" PRIx64 "%016" PRIx64, key->hash.hi, key->hash.lo);
    say(telling, "key", "%.*s", SLICE_ARGS(key->text));
    if (telling->explanation->looked_up && telling->explanation->question.search != 0)
        say(telling, "key",
            "it is that of all URLs that are the same by this path's No-Vary-Search");
    say(telling, "hash", "%s", hash);
    set(telling, "key",
        json_pack("{s:o, s:s, s:o}", "text", admin_text(key->text), "hash", hash, "fields",
                  key_fields_of(telling)));
}

static void
tell_class(struct telling *telling)
{
    const struct explanation *explanation = telling->explanation;
    bool cached = explanation->way.kind == LOOKUP_CACHE;
    const char *sentence = cached ? "it may be answered from the cache"
                                  : cache_reason_sentence(explanation->way.reason);

    if (explanation->site == NULL || explanation->end == EXPLAIN_LOCAL)
        return;
    set(telling, "class",
        json_pack("{s:s, s:s?, s:s}", "kind", cached ? "cache" : "pass", "reason",
                  cached ? NULL : cache_reason_name(explanation->way.reason), "sentence",
                  sentence));
    say(telling, "class", "%s%s", cached ? "" : "it is passed, unstored: ", sentence);
}

/* --- what is stored --- */

/* How the request and a variant differ; NULL: they do not. */
static json_t *
difference_of(const struct cache_vary_difference *differs)
{
    return json_pack("{s:o, s:b, s:b, s:o, s:o}", "field", admin_text(differs->name), "of_key",
                     (int)differs->of_key, "cookie", (int)differs->of_cookie, "stored",
                     json_value(differs, differs->stored), "asked",
                     json_value(differs, differs->asked));
}

static void
say_difference(struct telling *telling, const char *word, const struct cache_object *object,
               const struct cache_vary_difference *differs)
{
    if (is_private(differs)) {
        say(telling, word, "status %u; not for this request: %s%.*s differs", object->status,
            differs->of_cookie ? "cookie " : "", SLICE_ARGS(differs->name));
        return;
    }
    say(telling, word, "status %u; not for this request: %.*s is \"%.*s\" there, \"%.*s\" here",
        object->status, SLICE_ARGS(differs->name),
        SLICE_ARGS(shown_value(differs, differs->stored)),
        SLICE_ARGS(shown_value(differs, differs->asked)));
}

/* `i`: from 0; `taken`: one before it matched. */
static json_t *
tell_variant(struct telling *telling, size_t i, const struct store_object *stored, bool *taken)
{
    const struct explanation *explanation = telling->explanation;
    json_t *variant = admin_variant(telling->reader, stored, telling->now_s);
    struct cache_vary_difference differs;
    struct cache_object object;
    bool other, suits, used;
    char word[32];

    if (cache_object_decode(stored->meta, stored->head.len, &object) != OK)
        return variant; /* "unreadable" */
    other = cache_vary_differs(object.vary, explanation->way.keyed, &explanation->http.fields,
                               &differs);
    suits = !other && lookup_suits(&explanation->question, &object, stored->birth);
    used = suits && !*taken;
    *taken = *taken || used;
    (void)json_object_set_new(variant, "matches", json_boolean(suits));
    (void)json_object_set_new(variant, "used", json_boolean(used));
    (void)json_object_set_new(variant, "differs", other ? difference_of(&differs) : json_null());
    if (i >= SHOWN_VARIANTS_MAX)
        return variant;
    (void)snprintf(word, sizeof(word), "variant %zu", i + 1);
    if (other)
        say_difference(telling, word, &object, &differs);
    else
        say(telling, word, "status %u, %" PRIu64 " bytes, object %" PRIu64 ": %s", object.status,
            partial_whole_len(&object, stored->body_len), stored->oid,
            used     ? "the one for this request"
            : !suits ? "not for this request: it answers its own URL alone"
                     : "it matches too, but is older");
    return variant;
}

static void
tell_variants(struct telling *telling)
{
    struct store_cursor cursor = {.key = &telling->explanation->way.key};
    struct store_object stored;
    json_t *variants = json_array();
    bool taken = false;
    size_t n = 0;

    while (store_find(telling->reader, &cursor, &stored))
        (void)json_array_append_new(variants, tell_variant(telling, n++, &stored, &taken));
    if (n == 0)
        say(telling, "stored", "nothing under this key");
    else if (n > SHOWN_VARIANTS_MAX)
        say(telling, "stored", "%zu variants in all; the first that matches is used", n);
    set(telling, "variants", variants);
}

static json_t *
flags_of(const struct cache_object *object)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {{CACHE_ALWAYS_VALIDATE, "always-validate"},
                 {CACHE_MUST_REVALIDATE, "must-revalidate"},
                 {CACHE_HEURISTIC, "heuristic"},
                 {CACHE_IMMUTABLE, "immutable"},
                 {CACHE_WITHHOLDS, "fields-left-out"},
                 {CACHE_PARTIAL, "in-slices"}};
    json_t *flags = json_array();

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if ((object->flags & names[i].flag) != 0)
            (void)json_array_append_new(flags, json_string(names[i].name));
    return flags;
}

static void
say_words(struct telling *telling, const char *word, const json_t *list)
{
    char text[512];
    size_t len = 0, i;
    const json_t *item;

    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);
        size_t name_len = name == NULL ? 0 : strlen(name);

        if (name_len == 0 || name_len + 8 > sizeof(text) - len) {
            len += (size_t)snprintf(text + len, sizeof(text) - len, " ...");
            break;
        }
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len > 0 ? " " : "", name);
    }
    if (len > 0)
        say(telling, word, "%s", text);
}

static void
say_validators(struct telling *telling, const struct cache_object *object)
{
    char at[EXPLAIN_TIME_MAX] = "";

    if (object->last_modified_s >= 0)
        (void)explain_time(object->last_modified_s, at);
    if (object->etag.len > 0 && at[0] != '\0')
        say(telling, "validators", "ETag %.*s; Last-Modified %s",
            SLICE_ARGS(slice_first(object->etag, VALUE_SHOWN_MAX)), at);
    else if (object->etag.len > 0)
        say(telling, "validators", "ETag %.*s",
            SLICE_ARGS(slice_first(object->etag, VALUE_SHOWN_MAX)));
    else
        say(telling, "validators", "%s%s", at[0] != '\0' ? "Last-Modified " : "none", at);
}

static void
say_vary(struct telling *telling, struct slice vary)
{
    struct cache_vary_difference field;

    while (cache_vary_next(&vary, &field))
        if (!field.of_key)
            say(telling, "vary", "%.*s: %.*s", SLICE_ARGS(field.name),
                SLICE_ARGS(shown_value(&field, field.stored)));
}

/* The stored object that the request matches. */
static enum err
tell_object(struct telling *telling, const struct explain_subject *subject)
{
    const struct cache_object *object = subject->object;
    struct explain_until until;
    struct slice age, fresh, stale;
    json_t *flags = flags_of(object), *tags = admin_words(object->tags);
    enum err rc = explain_age(telling->arena, subject, &age);

    if (rc == OK)
        rc = explain_fresh(telling->arena, subject, &fresh);
    if (rc == OK)
        rc = explain_stale(telling->arena, subject, &stale);
    if (rc == OK) {
        explain_until(subject, &until);
        say(telling, "age", "%.*s", SLICE_ARGS(age));
        say(telling, "fresh", "%.*s", SLICE_ARGS(fresh));
        say(telling, "stale", "%.*s", SLICE_ARGS(stale));
        say_vary(telling, object->vary);
        say_validators(telling, object);
        say_words(telling, "flags", flags);
        say_words(telling, "tags", tags);
        set(telling, "object",
            json_pack(
                "{s:I, s:i, s:I, s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:O, s:O}", //
                "oid", (json_int_t)telling->explanation->finding.stored.oid,                   //
                "status", (int)object->status,                                                 //
                "age_s", (json_int_t)fresh_age_s(object, subject->now_s),                      //
                "lifetime_s", (json_int_t)object->lifetime_s,                                  //
                "lifetime_from", explain_lifetime_from(object->lifetime_from),                 //
                "ttl_s", (json_int_t)fresh_ttl_s(object, subject->now_s),                      //
                "fresh_until", time_or_null(until.fresh_s),                                    //
                "stale_while_revalidate_until", time_or_null(until.revalidate_s),              //
                "stale_if_error_until", time_or_null(until.error_s),                           //
                "kept_until", time_or_null(until.kept_s),                                      //
                "etag", object->etag.len == 0 ? json_null() : admin_text(object->etag),        //
                "last_modified",
                object->last_modified_s < 0 ? json_null()
                                            : time_or_null(object->last_modified_s), //
                "soft_purged", (int)subject->soft_purged,                            //
                "flags", flags, "tags", tags));
    }
    json_decref(flags);
    json_decref(tags);
    return rc;
}

static void
tell_remembered(struct telling *telling)
{
    const struct explanation *explanation = telling->explanation;
    int64_t left_s = (int64_t)(explanation->remembered_ms / 1000);
    char span[EXPLAIN_SPAN_MAX];

    if (!explanation->remembered) {
        set(telling, "unstorable", json_null());
        return;
    }
    set(telling, "unstorable",
        json_pack("{s:I, s:s, s:s}", "left_s", (json_int_t)left_s, "reason",
                  cache_reason_name(explanation->remembered_reason), "sentence",
                  cache_reason_sentence(explanation->remembered_reason)));
    say(telling, "remembered", "as not storable for %s more because: %s",
        explain_span(left_s, span), cache_reason_sentence(explanation->remembered_reason));
}

/* --- what follows --- */

static const char *
joined_words(enum way_join join)
{
    switch (join) {
    case WAY_JOIN_USE:
        return "would be answered from the object that is on its way in right now";
    case WAY_JOIN_COMMIT:
        return "would wait until the object on its way in is stored, and then have it validated";
    case WAY_JOIN_WAIT:
    case WAY_JOIN_ALONE:
    case WAY_JOIN_REPLACE:
        break;
    }
    return "would wait for the object that is on its way in right now, and share it if it may";
}

static const char *
passed_words(const struct explanation *explanation)
{
    if (explanation->looked_up && explanation->lookup_way == LOOKUP_WAY_PASS)
        return "would be passed, unstored: its If-Match or If-Unmodified-Since is for the origin; ";
    if (explanation->looked_up && explanation->lookup_way == LOOKUP_WAY_ALONE)
        return "would be passed, unstored, for the part alone: ";
    if (explanation->looked_up && explanation->finding.found)
        return "would be asked of the origin by HEAD, which may update what is stored: ";
    if (explanation->looked_up)
        return "would be asked of the origin by HEAD, unstored: ";
    return "would be passed to the origin, unstored: ";
}

static const char *
status_words(const struct explanation *explanation)
{
    switch (explanation->status) {
    case 304:
        return "; as 304, for the client has it already";
    case 206:
        return "; as 206, the part that is asked for";
    case 416:
        return "; as 416, for the range lies outside";
    default:
        return "";
    }
}

/* What of a partial object is to be fetched. */
static enum err
add_slices(struct telling *telling, struct slice *text)
{
    const struct explanation *explanation = telling->explanation;

    if (explanation->end != EXPLAIN_COMPLETED)
        return OK;
    return arena_printf(telling->arena, text,
                        "%.*s; of the %" PRIu64 " slices it needs %" PRIu64
                        " %s stored, the rest is fetched",
                        SLICE_ARGS(*text), explanation->slices_n, explanation->slices_stored_n,
                        explanation->slices_stored_n == 1 ? "is" : "are");
}

static enum err
sentence_of_stored(struct telling *telling, const struct explain_subject *subject,
                   struct slice *out)
{
    const struct explanation *explanation = telling->explanation;
    enum err rc = explain_verdict(telling->arena, subject, &explanation->finding.verdict, out);

    if (rc == OK)
        rc = arena_printf(telling->arena, out, "%.*s%s", SLICE_ARGS(*out),
                          status_words(explanation));
    return rc == OK ? add_slices(telling, out) : rc;
}

static enum err
sentence_of_alone(struct telling *telling, struct slice *out)
{
    const struct explanation *explanation = telling->explanation;
    char span[EXPLAIN_SPAN_MAX];

    if (explanation->reason != REASON_HIT_FOR_MISS)
        return arena_printf(
            telling->arena, out,
            "would be fetched by itself: the object on its way in is another variant");
    return arena_printf(
        telling->arena, out,
        "would be fetched by itself: remembered as not storable for %s more because: %s",
        explain_span((int64_t)(explanation->remembered_ms / 1000), span),
        cache_reason_sentence(explanation->remembered_reason));
}

static enum err
sentence_of(struct telling *telling, const struct explain_subject *subject, struct slice *out)
{
    const struct explanation *explanation = telling->explanation;
    const char *why = cache_reason_sentence(explanation->reason);
    struct arena *arena = telling->arena;

    switch (explanation->end) {
    case EXPLAIN_REFUSED:
        return arena_printf(arena, out, "would be refused with %u: %s", explanation->status,
                            explanation->why);
    case EXPLAIN_LOCAL:
        return arena_printf(arena, out, "%s",
                            explanation->last_hop
                                ? "would be answered by brink: Max-Forwards has run out"
                                : "would be a purge, from who may (purge_from)");
    case EXPLAIN_PASSED:
        return arena_printf(arena, out, "%s%s", passed_words(explanation), why);
    case EXPLAIN_HIT:
        if (!explanation->finding.found || explanation->on_its_way)
            return arena_printf(arena, out,
                                "would be answered from an object that waits for its commit");
        return sentence_of_stored(telling, subject, out);
    case EXPLAIN_COMPLETED:
    case EXPLAIN_STALE:
    case EXPLAIN_VALIDATED:
        return sentence_of_stored(telling, subject, out);
    case EXPLAIN_ONLY_IF_CACHED:
        return arena_printf(arena, out, "would be answered 504: %s", why);
    case EXPLAIN_JOINED:
        return arena_printf(arena, out, "%s", joined_words(explanation->join));
    case EXPLAIN_FETCHED:
        return arena_printf(arena, out, "would be fetched: %s%s", why,
                            explanation->finding.found ? ", and it has no validator" : "");
    case EXPLAIN_ALONE:
        return sentence_of_alone(telling, out);
    }
    UNREACHABLE();
}

static const char *
end_name(enum explain_end end)
{
    static const char *const names[] = {
        [EXPLAIN_REFUSED] = "refused",     [EXPLAIN_LOCAL] = "local",
        [EXPLAIN_PASSED] = "passed",       [EXPLAIN_HIT] = "hit",
        [EXPLAIN_STALE] = "stale",         [EXPLAIN_ONLY_IF_CACHED] = "only-if-cached",
        [EXPLAIN_JOINED] = "joined",       [EXPLAIN_VALIDATED] = "validated",
        [EXPLAIN_FETCHED] = "fetched",     [EXPLAIN_ALONE] = "fetched-alone",
        [EXPLAIN_COMPLETED] = "completed",
    };

    ASSERT((unsigned)end < ARRAY_LEN(names));
    return names[end];
}

static enum err
tell_verdict(struct telling *telling, const struct explain_subject *subject)
{
    const struct explanation *explanation = telling->explanation;
    struct slice sentence;
    enum err rc = sentence_of(telling, subject, &sentence);

    if (rc != OK)
        return rc;
    set(telling, "verdict",
        json_pack("{s:s, s:s, s:b, s:s, s:s, s:o, s:o}",                                       //
                  "end", end_name(explanation->end),                                           //
                  "reason", cache_reason_name(explanation->reason),                            //
                  "hit", explanation->end == EXPLAIN_HIT || explanation->end == EXPLAIN_STALE, //
                  "fwd", cache_reason_fwd(explanation->reason),                                //
                  "detail", cache_reason_detail(explanation->reason),                          //
                  "status",
                  explanation->status == 0 ? json_null() : json_integer(explanation->status), //
                  "sentence", admin_text(sentence)));
    say(telling, "verdict", "%.*s", SLICE_ARGS(sentence));
    return OK;
}

static void
tell_slices(struct telling *telling)
{
    const struct explanation *explanation = telling->explanation;
    const struct cache_object *object = &explanation->finding.object;

    if (!explanation->finding.found || (object->flags & CACHE_PARTIAL) == 0) {
        set(telling, "slices", json_null());
        return;
    }
    set(telling, "slices",
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "whole_bytes", (json_int_t)object->whole_len,
                  "slice_bytes", (json_int_t)object->slice_len, "needed",
                  (json_int_t)explanation->slices_n, "looked_at",
                  (json_int_t)explanation->slices_seen_n, "stored",
                  (json_int_t)explanation->slices_stored_n));
    say(telling, "slices",
        "of %" PRIu64 " bytes each; %" PRIu64 " are needed, %" PRIu64 " of them stored",
        object->slice_len, explanation->slices_n, explanation->slices_stored_n);
}

/* Only of what is sent or would be. */
static enum err
tell_coding(struct telling *telling)
{
    const struct explanation *explanation = telling->explanation;
    struct slice sentence;
    json_t *coding;
    enum err rc;

    if (explanation->site == NULL || explanation->end == EXPLAIN_REFUSED ||
        explanation->end == EXPLAIN_LOCAL || explanation->end == EXPLAIN_ONLY_IF_CACHED) {
        set(telling, "coding", json_null());
        return OK;
    }
    rc = admin_coding_of(telling->arena, explanation, &sentence, &coding);
    if (rc != OK)
        return rc;
    set(telling, "coding", coding);
    say(telling, "coding", "%.*s", SLICE_ARGS(sentence));
    return OK;
}

static enum err
tell_looked_up(struct telling *telling, const struct explain_subject *subject)
{
    const struct explanation *explanation = telling->explanation;
    bool is_gone = explanation->finding.reason == REASON_TOO_STALE;
    enum err rc = OK;

    tell_variants(telling);
    if (explanation->finding.found || is_gone)
        rc = tell_object(telling, subject);
    tell_slices(telling);
    tell_remembered(telling);
    set(telling, "on_its_way", json_boolean(explanation->on_its_way));
    if (explanation->on_its_way)
        say(telling, "on its way", "an object under this key is on its way in right now");
    return rc;
}

static enum err
tell(struct telling *telling, const struct explain_question *question)
{
    const struct explanation *explanation = telling->explanation;
    struct explain_subject subject = {
        .settings = explanation->site == NULL ? NULL : &explanation->site->cache,
        .object = &explanation->finding.object,
        .soft_purged = explanation->finding.stored.soft_purged,
        .now_s = telling->now_s,
    };
    enum err rc;

    set(telling, "url", admin_text(question->url));
    set(telling, "method", admin_text(question->method));
    rc = tell_verdict(telling, &subject);
    tell_site(telling);
    tell_key(telling);
    tell_class(telling);
    if (rc == OK)
        rc = tell_coding(telling);
    if (rc == OK && explanation->looked_up)
        rc = tell_looked_up(telling, &subject);
    set(telling, "lines", json_incref(telling->lines));
    return rc;
}

enum err
admin_explain(struct proxy_shared *shared, struct store_reader *reader,
              const struct explain_question *question, int64_t now_s, json_t **out,
              const char **out_hint)
{
    struct explanation explanation;
    struct arena arena;
    struct telling telling = {.arena = &arena,
                              .explanation = &explanation,
                              .reader = reader,
                              .now_s = now_s,
                              .root = json_object(),
                              .lines = json_array()};
    enum err rc;

    arena_init(&arena, 0);
    store_read_begin(reader);
    rc = explain_request(shared, reader, &arena, question, now_s, &explanation, out_hint);
    if (rc == OK)
        rc = tell(&telling, question);
    store_read_end(reader);
    arena_fini(&arena);
    json_decref(telling.lines);
    if (rc == OK && telling.root == NULL)
        rc = ERR_NOMEM;
    if (rc == OK)
        *out = telling.root;
    else
        json_decref(telling.root);
    return rc;
}
