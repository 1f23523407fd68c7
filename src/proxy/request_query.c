/* The content of a QUERY is part of what it is looked up by, so it is collected first, up to what
 * the site allows. What is larger is passed: what was collected goes to the origin, then the rest
 * as it comes. RFC 10008 section 2.7. */
#include "proxy/request_impl.h"

#include "base/stats.h"
#include "cache/vary.h"
#include "proxy/feed.h"

enum { QUERY_CAP_MIN = 1024 };

static enum step
pass_on(struct request *req)
{
    STAT_INC(queries_too_large);
    req->query.too_large = true;
    req->kind = LOOKUP_PASS;
    req->reason = REASON_QUERY_CONTENT;
    return request_goto(req, REQUEST_ALONE);
}

enum step
request_on_collect(struct request *req)
{
    struct request_query *query = &req->query;
    enum err rc;

    if (query->too_large || (req->http.framing == FRAMING_LENGTH &&
                             req->http.content_length > req->site->query_body_max_len))
        return pass_on(req);
    if (!query->over)
        return STEP_WAIT;
    if (query->len == 0) { /* chunked, and nothing in it: the origin's to judge */
        req->kind = LOOKUP_PASS;
        req->reason = REASON_METHOD;
        return request_goto(req, REQUEST_ALONE);
    }
    rc = cache_keyed_add_query(&req->arena, &req->http, slice_of(query->text, query->len),
                               &req->keyed);
    if (rc != OK)
        return request_answer_error(req, rc, err_text(rc));
    query->whole = true;
    return request_goto(req, REQUEST_LOOKUP);
}

/* Room for `len` bytes in all; it doubles, so little of the arena is lost. */
static bool
make_room(struct request *req, size_t len)
{
    struct request_query *query = &req->query;
    size_t cap = query->cap == 0 ? QUERY_CAP_MIN : query->cap;
    char *text;

    if (len <= query->cap)
        return true;
    while (cap < len)
        cap *= 2;
    text = arena_alloc(&req->arena, cap);
    if (text == NULL)
        return false;
    if (query->len > 0)
        memcpy(text, query->text, query->len);
    query->text = text;
    query->cap = cap;
    return true;
}

bool
request_collect(struct request *req, struct slice data)
{
    struct request_query *query = &req->query;

    if (query->len + data.len > req->site->query_body_max_len) {
        query->too_large = true;
        request_run(req);
        return false;
    }
    if (!make_room(req, query->len + data.len)) {
        (void)request_answer_error(req, ERR_NOMEM, err_text(ERR_NOMEM));
        request_run(req);
        return false;
    }
    memcpy(query->text + query->len, data.ptr, data.len);
    query->len += data.len;
    return true;
}

bool
request_send_collected(struct request *req)
{
    struct request_query *query = &req->query;
    size_t taken;

    if (!query->too_large || query->sent_len == query->len)
        return true;
    if (feed_send_body(req->feed,
                       slice_of(query->text + query->sent_len, query->len - query->sent_len),
                       &taken) != OK)
        return true; /* it reads no more: what follows is dropped too */
    query->sent_len += taken;
    return query->sent_len == query->len;
}
