/* A request that is only asked about. It is written as a client would send it and read by the
 * parser that reads clients, so that what the parser refuses is refused here too. */
#include "proxy/explain.h"

#include "cache/partial.h"
#include "cache/validate.h"
#include "http/h1_parse.h"
#include "http/url.h"
#include "net/loop.h"
#include "proxy/core.h"
#include "proxy/unstorable.h"

/* --- the request --- */

/* Nothing that would end a line of the head. */
static bool
is_one_line(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n' || text.ptr[i] == '\0')
            return false;
    return true;
}

static bool
is_of_framing(enum http_token token)
{
    return token == HTTP_CONTENT_LENGTH || token == HTTP_TRANSFER_ENCODING;
}

static enum err
check_question(const struct explain_question *question, struct url *url, const char **out_hint)
{
    *out_hint = "give an absolute URL, such as http://www.example.com/page";
    if (!is_one_line(question->url) || url_parse(question->url, url) != OK)
        return ERR_SYNTAX;
    *out_hint = "give a method, such as GET or HEAD";
    if (!http_is_token(question->method))
        return ERR_SYNTAX;
    for (size_t i = 0; i < question->fields_n; i++) {
        struct slice line = question->fields[i], name;

        *out_hint = "give each field as \"Name: value\"";
        if (!is_one_line(line) || !slice_cut(&line, ':', &name) || !http_is_token(name))
            return ERR_SYNTAX;
        *out_hint = "leave Host away: the URL names the host";
        if (http_token_from(name) == HTTP_HOST)
            return ERR_SYNTAX;
        *out_hint = "leave Content-Length and Transfer-Encoding away: the content tells its length";
        if (question->content.ptr != NULL && is_of_framing(http_token_from(name)))
            return ERR_SYNTAX;
    }
    return OK;
}

/* Absolute when the scheme has something to say. */
static struct slice
build_head(struct arena *arena, const struct explain_question *question, const struct url *url)
{
    struct http_out out;

    http_out_init(&out, arena, 512);
    http_out_text(&out, question->method);
    http_out_str(&out, " ");
    if (!slice_is_nocase(url->scheme, "http")) {
        http_out_text(&out, url->scheme);
        http_out_str(&out, "://");
        http_out_text(&out, url->authority);
    }
    http_out_text(&out, url->path);
    http_out_text(&out, url->query);
    http_out_str(&out, " HTTP/1.1\r\nHost: ");
    http_out_text(&out, url->authority);
    http_out_str(&out, "\r\n");
    for (size_t i = 0; i < question->fields_n; i++) {
        http_out_text(&out, question->fields[i]);
        http_out_str(&out, "\r\n");
    }
    if (question->content.ptr != NULL)
        http_out_field_u64(&out, "Content-Length", question->content.len);
    http_out_str(&out, "\r\n");
    return http_out_slice(&out);
}

/* An error that is the answer, or ERR_NOMEM. */
static enum err
refuse(struct explanation *out, enum err rc, const char *why)
{
    if (rc == ERR_NOMEM)
        return rc;
    out->end = EXPLAIN_REFUSED;
    out->reason = REASON_LOCAL;
    out->refused = rc;
    out->why = why;
    out->status = err_status(rc);
    return OK;
}

static enum err
parse(const struct proxy_settings *settings, struct arena *arena, struct slice head,
      struct explanation *out)
{
    struct h1_fault fault = {0};
    size_t scanned = 0, len;
    enum err rc = h1_find_head(head.ptr, head.len, &settings->head_limits, &scanned, &len);

    if (rc == OK)
        rc = h1_parse_request(head, &settings->head_limits, arena, &out->http, &fault);
    out->refused = rc;
    return rc == OK ? OK : refuse(out, rc, fault.why == NULL ? err_text(rc) : fault.why);
}

/* As request_on_vet does. out->refused tells whether it goes on. */
static enum err
vet(const struct proxy_settings *settings, struct arena *arena, struct explanation *out)
{
    struct slice upgrade;
    const char *why = NULL;
    enum err rc;

    out->scheme = SLICE("http");
    rc = way_vet(&out->http, out->scheme, &why);
    if (rc == OK)
        rc = url_normal_host(arena, out->scheme, out->http.host, &out->host);
    if (rc == OK) {
        out->site = way_site(settings, out->host);
        rc = out->site == NULL ? ERR_MISDIRECTED : OK;
    }
    if (rc == OK)
        rc = way_last_hop(&out->http, &out->last_hop);
    if (rc == OK)
        rc = way_upgrade(arena, out->site, &out->http, &upgrade);
    if (rc == OK)
        rc = way_begin(arena, out->site, out->scheme, out->host, &out->http, upgrade, &out->way);
    return rc == OK ? OK : refuse(out, rc, why == NULL ? err_text(rc) : why);
}

/* --- the answer --- */

static void
end_with(struct explanation *out, enum explain_end end, enum cache_reason reason)
{
    out->end = end;
    out->reason = reason;
}

/* How many of the slices that it needs of a partial object are stored (request_slices.c); they are
 * looked at up to a bound. ERR_NOMEM. */
static enum err
count_slices(struct store_reader *reader, struct arena *arena, const struct range_set *parts,
             struct explanation *out)
{
    const struct cache_object *master = &out->finding.object;
    struct slice text = out->way.key.text;
    char *key = arena_alloc(arena, text.len + PARTIAL_SUFFIX_MAX);
    struct store_object object;

    if (key == NULL)
        return ERR_NOMEM;
    memcpy(key, text.ptr, text.len);
    for (size_t i = 0; i < parts->n; i++) {
        const struct range *part = &parts->parts[i];
        uint64_t number = partial_slice_of(master, part->first);
        uint64_t last = partial_slice_of(master, part->first + part->len - 1);

        out->slices_n += last - number + 1;
        for (; number <= last && out->slices_seen_n < EXPLAIN_SLICES_MAX; number++) {
            out->slices_seen_n++;
            out->slices_stored_n +=
                partial_find(reader, master, key, text.len, number, &object) != PARTIAL_MISSING;
        }
    }
    return OK;
}

/* A stored response is sent, as far as its bytes are there. ERR_NOMEM. */
static enum err
send_stored(struct proxy_shared *shared, struct store_reader *reader, struct arena *arena,
            struct explanation *out)
{
    const struct cache_object *object = &out->finding.object;
    struct range_set parts;
    enum err rc = OK;

    out->status =
        way_parts(&out->http, object, partial_whole_len(object, out->finding.stored.body_len),
                  shared->settings->ranges_max, out->question.now_s, &parts);
    end_with(out, out->lookup_way == LOOKUP_WAY_SEND ? EXPLAIN_HIT : EXPLAIN_STALE, out->reason);
    if ((object->flags & CACHE_PARTIAL) == 0)
        return OK;
    rc = count_slices(reader, arena, &parts, out);
    if (out->slices_stored_n == out->slices_n)
        return rc;
    end_with(out, EXPLAIN_COMPLETED, REASON_RANGE_MISS);
    if ((out->way.cc.flags & CC_ONLY_IF_CACHED) != 0) {
        end_with(out, EXPLAIN_ONLY_IF_CACHED, REASON_ONLY_IF_CACHED);
        out->status = 504;
    }
    return rc;
}

/* May it wait for, or be answered from, an object on its way in? As request_lookup.c does. */
static bool
joins(struct proxy_shared *shared, struct explanation *out)
{
    struct fill *fill = fill_find(shared->fills, &out->way.key, out->way.keyed);
    struct lookup_verdict verdict;
    bool is_head = out->http.method == METHOD_HEAD;
    enum cache_reason reason = out->reason;

    if (fill == NULL)
        return false;
    out->on_its_way = true;
    out->join = way_join(fill, &out->question, &verdict);
    if (out->join == WAY_JOIN_USE && fill_state(fill) == FILL_DONE)
        end_with(out, EXPLAIN_HIT, verdict.reason);
    else if (out->join == WAY_JOIN_ALONE && !is_head)
        end_with(out, EXPLAIN_ALONE, REASON_VARY_MISS);
    else
        end_with(out, EXPLAIN_JOINED, reason);
    fill_unref(&fill);
    if (is_head)
        return out->join == WAY_JOIN_USE;
    return out->join != WAY_JOIN_REPLACE && (out->join != WAY_JOIN_COMMIT || !out->finding.found);
}

static bool
has_validator(const struct cache_object *object)
{
    return object->etag.len > 0 || object->last_modified_s >= 0;
}

static enum err
decide(struct proxy_shared *shared, struct store_reader *reader, struct arena *arena,
       struct explanation *out)
{
    const struct lookup_finding *finding = &out->finding;
    bool asks_anew = finding->found && has_validator(&finding->object);

    out->reason = lookup_reason(finding, out->lookup_way);
    switch (out->lookup_way) {
    case LOOKUP_WAY_SEND:
    case LOOKUP_WAY_SEND_STALE:
        return send_stored(shared, reader, arena, out);
    case LOOKUP_WAY_REFUSE:
        end_with(out, EXPLAIN_ONLY_IF_CACHED, out->reason);
        out->status = 504;
        return OK;
    case LOOKUP_WAY_PASS:
        end_with(out, EXPLAIN_PASSED, out->reason);
        return OK;
    case LOOKUP_WAY_ALONE:
        end_with(out,
                 http_fields_has(&out->http.fields, HTTP_RANGE) ? EXPLAIN_PASSED : EXPLAIN_ALONE,
                 out->reason);
        return OK;
    case LOOKUP_WAY_HEAD:
        if (validate_has_origin_condition(&out->http) || !joins(shared, out))
            end_with(out, EXPLAIN_PASSED, out->reason);
        return OK;
    case LOOKUP_WAY_SHARE:
        if (!joins(shared, out))
            end_with(out, asks_anew ? EXPLAIN_VALIDATED : EXPLAIN_FETCHED, out->reason);
        return OK;
    }
    UNREACHABLE();
}

static enum err
look_up(struct proxy_shared *shared, struct store_reader *reader, struct arena *arena,
        int64_t now_s, struct explanation *out)
{
    struct store_hash hash;

    out->looked_up = true;
    out->question = (struct lookup_question){
        .settings = &out->site->cache,
        .request = &out->http,
        .cc = &out->way.cc,
        .key = &out->way.key,
        .keyed = out->way.keyed,
        .now_s = now_s,
    };
    way_find(out->site->no_vary_search ? shared->search : NULL, reader, arena, &out->way.key,
             &out->question, &out->finding);
    hash = way_unstorable_hash(&out->way.key, out->http.method, out->way.keyed);
    out->remembered = unstorable_find(shared->unstorable, &hash, loop_now_ms(), &out->remembered_ms,
                                      &out->remembered_reason);
    out->lookup_way =
        lookup_way(&out->question, &out->finding, !out->finding.found && out->remembered);
    return decide(shared, reader, arena, out);
}

/* The content of a QUERY is part of what it is looked up by, up to what the site allows: as
 * request_query.c does. ERR_SYNTAX: it was not given. */
static enum err
add_query(struct arena *arena, const struct explain_question *question, struct explanation *out,
          const char **out_hint)
{
    if (out->http.method != METHOD_QUERY || out->way.kind != LOOKUP_CACHE)
        return OK;
    *out_hint = "give the content of the QUERY, for it is part of the key";
    if (question->content.ptr == NULL)
        return ERR_SYNTAX;
    if (question->content.len <= out->site->query_body_max_len)
        return cache_keyed_add_query(arena, &out->http, question->content, &out->way.keyed);
    out->way.kind = LOOKUP_PASS;
    out->way.reason = REASON_QUERY_CONTENT;
    return OK;
}

enum err
explain_request(struct proxy_shared *shared, struct store_reader *reader, struct arena *arena,
                const struct explain_question *question, int64_t now_s, struct explanation *out,
                const char **out_hint)
{
    struct url url;
    struct slice head;
    enum err rc = check_question(question, &url, out_hint);

    memset(out, 0, sizeof(*out));
    if (rc != OK)
        return rc;
    head = build_head(arena, question, &url);
    if (head.len == 0)
        return ERR_NOMEM;
    rc = parse(shared->settings, arena, head, out);
    if (rc == OK && out->refused == OK)
        rc = vet(shared->settings, arena, out);
    if (rc == OK && out->refused == OK)
        rc = add_query(arena, question, out, out_hint);
    if (rc != OK || out->refused != OK)
        return rc;
    if (out->http.method == METHOD_PURGE || out->last_hop)
        end_with(out, EXPLAIN_LOCAL, REASON_LOCAL);
    else if (out->way.kind == LOOKUP_PASS)
        end_with(out, EXPLAIN_PASSED, out->way.reason);
    else
        rc = look_up(shared, reader, arena, now_s, out);
    return rc == OK ? explain_add_coding(shared->settings, reader, arena, out) : rc;
}
