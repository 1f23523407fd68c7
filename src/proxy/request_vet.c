/* The first state: whose request it is, what it is stored under, and whether the cache may answer.
 * Everything here is on the way of a hit: the memory is the request's arena. */
#include "proxy/request_impl.h"

#include "base/stats.h"
#include "http/field.h"
#include "http/url.h"
#include "proxy/way.h"

enum { VIA_TIMES_MAX = 4 };

static struct slice
default_host(const struct request *req)
{
    const struct site_settings *site = req->proxy->settings->sites;

    return slice_from_str(site->hosts_n > 0 ? site->hosts[0] : "localhost");
}

/* The normalised host and its site. ERR_MISDIRECTED, ERR_NOMEM, ERR_SYNTAX. */
static enum err
find_site(struct request *req)
{
    struct proxy *proxy = req->proxy;
    struct slice host = req->http.host;
    enum err rc;

    req->host = host;
    req->site = proxy->host_site;
    if (proxy->host_len > 0 && slice_equal(host, slice_of(proxy->host, proxy->host_len)))
        return OK;
    rc = url_normal_host(&req->arena, req->scheme, host, &req->host);
    if (rc != OK)
        return rc;
    req->site = way_site(proxy->settings, req->host);
    if (req->site == NULL)
        return ERR_MISDIRECTED;
    if (slice_equal(host, req->host) && host.len <= sizeof(proxy->host)) {
        memcpy(proxy->host, host.ptr, host.len);
        proxy->host_len = host.len;
        proxy->host_site = req->site;
    }
    return OK;
}

/* --- loops --- */

/* The received-by of a Via member: "[protocol/]version received-by [comment]". RFC 9110 section
 * 7.6.3. */
static bool
is_via_of(struct slice member, const char *node_name)
{
    struct slice version, name;

    if (!slice_cut(&member, ' ', &version))
        return false;
    member = slice_trim(member);
    (void)slice_cut(&member, ' ', &name);
    return slice_is_nocase(name, node_name);
}

/* Did this daemon send the request? CDN-Loop with our random number says so for certain (RFC 8586).
 * Where someone on the way took it off, Via tells: brinks one behind another may have one name, but
 * not as many as this. */
static bool
is_loop(const struct request *req)
{
    const struct http_fields *fields = &req->http.fields;
    const char *id = req->proxy->shared->loop_id;
    struct http_list list;
    struct slice member;
    unsigned times = 0;

    for (const struct http_field *field = http_fields_get(fields, HTTP_CDN_LOOP); field != NULL;
         field = http_fields_next(fields, field))
        if (memmem(field->value.ptr, field->value.len, id, PROXY_LOOP_ID_LEN) != NULL)
            return true;
    if (!http_fields_has(fields, HTTP_VIA))
        return false;
    http_list_begin(&list, fields, HTTP_VIA);
    while (http_list_next(&list, &member))
        times += is_via_of(member, req->proxy->settings->node_name);
    return times > VIA_TIMES_MAX;
}

static enum step
answer_options(struct request *req)
{
    reply_local(req, 200, "text/plain", SLICE("Allow: " REPLY_ALLOW "\r\n"), SLICE_NONE);
    return request_goto(req, REQUEST_REPLY);
}

/* What it is looked up as. ERR_NOMEM. */
static enum err
begin_way(struct request *req)
{
    struct way way;
    enum err rc =
        way_begin(&req->arena, req->site, req->scheme, req->host, &req->http, req->upgrade, &way);

    if (rc != OK)
        return rc;
    req->key = req->own_key = way.key;
    req->search = 0;
    req->keyed = way.keyed;
    req->cc = way.cc;
    req->kind = way.kind;
    req->reason = way.reason;
    return OK;
}

enum step
request_on_vet(struct request *req)
{
    struct http_request *http = &req->http;
    bool last_hop = false;
    const char *why;
    enum err rc;

    STAT_INC(requests);
    req->scheme = SLICE("http");
    rc = way_vet(http, req->scheme, &why);
    if (rc != OK)
        return request_answer_error(req, rc, why);
    if (http->host.len == 0) /* HTTP/1.0 without Host */
        http->host = default_host(req);
    if (is_loop(req)) {
        STAT_INC(requests_looped);
        return request_answer_error(req, ERR_LOOP, err_text(ERR_LOOP));
    }
    rc = find_site(req);
    if (rc == OK)
        rc = way_last_hop(http, &last_hop);
    if (rc == OK)
        rc = request_vet_upgrade(req);
    if (rc == OK)
        rc = begin_way(req);
    if (rc != OK)
        return request_answer_error(req, rc, err_text(rc));
    if (last_hop || http->method == METHOD_PURGE)
        req->reason = REASON_LOCAL; /* nothing is looked up, and nothing goes to the origin */
    if (last_hop)
        return answer_options(req);
    if (http->method == METHOD_PURGE)
        return request_goto(req, REQUEST_PURGE);
    if (req->kind == LOOKUP_PASS)
        return request_goto(req, REQUEST_ALONE);
    return request_goto(req, http->method == METHOD_QUERY ? REQUEST_COLLECT : REQUEST_LOOKUP);
}
