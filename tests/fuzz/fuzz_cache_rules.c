/* What the cache makes of a request and its answer: two heads, the second behind a line "--". The
 * head as stored, its Vary, labels, conditions, parts and Cache-Status, and the request as an
 * origin would get it. */
#include <string.h>

#include "cache/lookup.h"
#include "cache/purge.h"
#include "cache/range.h"
#include "cache/status.h"
#include "cache/validate.h"
#include "cache/variant.h"
#include "http/chars.h"
#include "http/h1_parse.h"
#include "proxy/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct h1_limits limits = {2048, 8192, 64};
static const struct h1_limits wide = {8192, 65536, HTTP_FIELDS_MAX};
static const int64_t now_s = 1700000000;

struct both {
    struct arena arena;
    struct http_request request;
    struct http_response response;
};

/* A head that brink wrote, without its empty line, is read again. */
static void
check_stored_head(struct both *both, struct slice head, struct http_response *out)
{
    struct h1_fault fault = {0};
    struct http_out whole;

    http_out_init(&whole, &both->arena, head.len + 2);
    http_out_text(&whole, head);
    http_out_str(&whole, "\r\n");
    if (h1_parse_response(http_out_slice(&whole), METHOD_HEAD, &wide, &both->arena, out, &fault) !=
        OK)
        UNREACHABLE();
    for (unsigned i = 0; i < out->fields.n; i++)
        ASSERT((http_token_flags(out->fields.items[i].token) & F_HOP) == 0);
}

static void
judge(const struct both *both, const struct http_fields *fields, struct cache_object *object)
{
    static const char *const types[] = {"text/*", "*/json"};
    static const struct variant_settings settings = {
        {CODING_BR, CODING_GZIP}, 2, types, 2, 9, true};
    struct variant_subject subject = {fields, true, both->response.content_length};

    variant_judge(&settings, &(struct cache_settings){.own_encoding = true}, &subject, object);
}

/* They are the head's last, and Vary says that there are others. */
static void
check_own_lines(const struct cache_object *object, const struct http_fields *fields,
                struct slice head)
{
    struct slice own = variant_own_lines(object, head), line;
    unsigned own_n = 0, repr_n = 0;

    while (slice_cut(&own, '\n', &line))
        own_n++;
    for (unsigned i = 0; i < fields->n; i++)
        repr_n += (http_token_flags(fields->items[i].token) & F_REPR) != 0;
    ASSERT(own.len == 0 && own_n == repr_n);
    ASSERT(!variant_varies(object) || http_fields_has(fields, HTTP_VARY));
    ASSERT(variant_varies(object) || (object->flags & CACHE_VARY_OURS) == 0);
}

static void
check_merge(struct both *both, struct cache_object *object, struct slice head)
{
    struct http_response again;
    struct validate_merged merged;
    struct slice text;
    enum err rc =
        validate_merge_fields(&both->arena, head, object, &both->response, now_s, &merged);

    ASSERT(rc == OK || rc == ERR_LIMIT);
    if (rc == OK) {
        judge(both, &merged.fields, object);
        if (validate_merge_head(&both->arena, &merged, object, &text) != OK)
            UNREACHABLE();
        check_stored_head(both, text, &again);
        check_own_lines(object, &again.fields, text);
    }
    if (validate_not_modified_head(&both->arena, head, SLICE_NONE, &text) != OK)
        UNREACHABLE();
    check_stored_head(both, text, &again);
    ASSERT(again.status == 304);
}

/* Who asked for it gets it. */
static void
check_vary(struct both *both, struct cache_object *object)
{
    static const char *const names[] = {"accept-language"};
    struct slice keyed;
    uint64_t variant = 1;
    enum err rc;

    if (cache_keyed_build(&both->arena, names, both->request.minor == 0 ? 0 : 1,
                          &both->request.fields, &keyed) != OK)
        UNREACHABLE();
    rc = cache_vary_build(&both->arena, keyed, CACHE_VARY_NORMALISE, &both->request.fields,
                          &both->response.fields, &object->vary, &variant);
    ASSERT((rc == ERR_LIMIT) == cache_vary_is_star(&both->response.fields));
    if (rc != OK) {
        object->vary = SLICE_NONE;
        return;
    }
    ASSERT((object->vary.len == 0) == (variant == 0));
    ASSERT(cache_vary_matches(object->vary, keyed, &both->request.fields));
    ASSERT(cache_vary_covers(object->vary, 0, &both->response.fields));
}

/* Whatever was asked for: parts of the body that do not overlap. */
static void
check_ranges(const struct both *both, const struct cache_object *object, uint64_t body_len)
{
    struct range_set set;

    if (range_resolve(&both->request, object, body_len, now_s, RANGE_PARTS_MAX, &set) != RANGE_PART)
        return;
    ASSERT(set.n > 0 && set.n <= RANGE_PARTS_MAX);
    for (size_t i = 0; i < set.n; i++) {
        const struct range *part = &set.parts[i];

        ASSERT(part->len > 0 && part->first < body_len && part->len <= body_len - part->first);
        for (size_t j = 0; j < i; j++)
            ASSERT(set.parts[j].first + set.parts[j].len < part->first ||
                   part->first + part->len < set.parts[j].first);
    }
}

static void
check_object(struct both *both, const struct cache_object *object)
{
    struct lookup_verdict verdict;
    struct cache_object again;
    struct slice meta, lines, etag;
    struct cachectl cc;
    uint64_t body_len = both->response.content_length % 100000;

    if (cache_object_encode(&both->arena, object, &meta) != OK ||
        cache_object_decode(meta, 0, &again) != OK)
        UNREACHABLE();
    ASSERT(slice_equal(again.etag, object->etag) && slice_equal(again.vary, object->vary));
    cachectl_parse(&both->request.fields, &cc);
    lookup_judge(&(struct cache_settings){.heuristic = true, .heuristic_max_s = 1000},
                 &both->request, &cc, object, false, now_s + 10, &verdict);
    (void)validate_request(&both->request, NULL, object, now_s, &etag);
    check_ranges(both, object, body_len);
    if (validate_conditions(&both->arena, object, &lines) != OK)
        UNREACHABLE();
    ASSERT(lines.len == 0 || slice_ends(lines, SLICE("\r\n")));
}

static void
check_status_line(const struct both *both)
{
    struct cache_status status = {
        .node = "brink",
        .hit = both->request.minor == 0,
        .fwd = (enum cache_reason)(both->response.status % 10),
        .fwd_status = both->response.status,
        .has_ttl = true,
        .ttl_s = (int64_t)both->response.content_length,
    };
    char line[CACHE_STATUS_MAX];
    size_t len = cache_status_line(&status, line);

    ASSERT(len > 2 && len <= sizeof(line) && memcmp(line + len - 2, "\r\n", 2) == 0);
    ASSERT(http_is_field_value(slice_of(line, len - 2)));
}

/* What an origin is sent reads as the same request: one Host, the same framing and target. */
static void
check_forwarded(struct both *both)
{
    struct sock_addr peer = {0};
    struct forward_plan plan = {
        .request = &both->request,
        .scheme = SLICE("http"),
        .host = both->request.host.len == 0 ? SLICE("a.test") : both->request.host,
        .node_name = "brink",
        .loop_id = "brink-1",
        .peer = &peer,
        .for_store = both->request.minor > 0,
    };
    struct http_request again;
    struct h1_fault fault = {0};
    struct slice head;

    if (sock_addr_parse(SLICE("192.0.2.1:80"), &peer) != OK ||
        forward_head(&both->arena, &plan, &head) != OK ||
        h1_parse_request(head, &wide, &both->arena, &again, &fault) != OK)
        UNREACHABLE();
    ASSERT(again.method == both->request.method);
    ASSERT(again.content_length == both->request.content_length); /* 0 may go unsaid */
    ASSERT(again.framing == both->request.framing || !fresh_has_body(&both->request));
    ASSERT(slice_equal(again.path, both->request.path));
    ASSERT(slice_equal(again.query, both->request.query) && slice_equal(again.host, plan.host));
    for (unsigned i = 0; i < both->request.fields.n; i++)
        ASSERT(!both->request.fields.items[i].nominated ||
               (http_token_flags(both->request.fields.items[i].token) & F_HOP) != 0 ||
               http_fields_find(&again.fields, both->request.fields.items[i].name) == NULL);
}

static void
check_rules(struct both *both)
{
    struct url base = {.scheme = SLICE("http"), .authority = both->request.host};
    struct store_purge rows[PURGE_INVALIDATED_MAX];
    struct cache_object object = {.status = 200, .last_modified_s = -1};
    struct cache_labels labels;
    struct http_response again;
    enum cache_reason reason;
    struct slice head;
    size_t rows_n;

    (void)lookup_classify(&both->request, &reason);
    (void)fresh_admit(&(struct cache_settings){.heuristic = true, .heuristic_max_s = 1000},
                      &both->request, &both->response, now_s, now_s, &object);
    check_vary(both, &object);
    if (cache_labels_build(&both->arena, both->request.host, &both->response.fields, &labels) != OK)
        UNREACHABLE();
    object.tags = labels.tags;
    judge(both, &both->response.fields, &object);
    check_object(both, &object);
    if (validate_build_head(&both->arena, &both->response, now_s, false, &object, &head) != OK)
        UNREACHABLE();
    check_stored_head(both, head, &again);
    check_own_lines(&object, &again.fields, head);
    check_merge(both, &object, head);
    check_status_line(both);
    check_forwarded(both);
    base.path = both->request.path;
    base.query = both->request.query;
    if (both->request.path.len > 0 && both->request.path.ptr[0] == '/' &&
        url_parse_authority(both->request.host, &base.host, &base.port) == OK) {
        if (purge_invalidated(&both->arena, NULL, &base, &both->response, rows, &rows_n) != OK)
            UNREACHABLE();
        ASSERT(rows_n >= 1 && rows_n <= PURGE_INVALIDATED_MAX);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char between[] = "--\n";
    const char *at = memmem(data, len, between, sizeof(between) - 1);
    struct slice first = slice_of(data, len), second = slice_first(first, 0);
    struct h1_fault fault = {0};
    struct both both;

    if (len == 0)
        return 0;
    if (at != NULL) {
        first = slice_of(data, (size_t)(at - (const char *)data));
        second = slice_skip(slice_of(data, len), first.len + sizeof(between) - 1);
    }
    arena_init(&both.arena, 0);
    if (h1_parse_request(first, &limits, &both.arena, &both.request, &fault) == OK &&
        h1_parse_response(second, both.request.method, &limits, &both.arena, &both.response,
                          &fault) == OK)
        check_rules(&both);
    arena_fini(&both.arena);
    return 0;
}
