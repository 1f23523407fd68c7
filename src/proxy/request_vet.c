/* The first state: whose request it is, what it is stored under, and whether the cache may answer.
 * Everything here is on the way of a hit: the memory is the request's arena. */
#include "base/stats.h"
#include "http/url.h"
#include "proxy/request_impl.h"

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
    req->site = proxy_find_site(proxy, req->host);
    if (req->site == NULL)
        return ERR_MISDIRECTED;
    if (slice_equal(host, req->host) && host.len <= sizeof(proxy->host)) {
        memcpy(proxy->host, host.ptr, host.len);
        proxy->host_len = host.len;
        proxy->host_site = req->site;
    }
    return OK;
}

enum step
request_on_vet(struct request *req)
{
    struct http_request *http = &req->http;
    enum err rc;

    STAT_INC(requests);
    if (http->method == METHOD_TRACE || http->method == METHOD_CONNECT)
        return request_answer_error(req, ERR_METHOD, "this method is not allowed here");
    req->scheme = SLICE("http");
    if (http->host.len == 0) /* HTTP/1.0 without Host */
        http->host = default_host(req);
    rc = find_site(req);
    if (rc == OK)
        rc = cache_key_build(&req->arena, req->scheme, req->host, http->path, http->query,
                             &req->key);
    if (rc != OK)
        return request_answer_error(req, rc, err_text(rc));
    if (http->method == METHOD_PURGE)
        return request_goto(req, REQUEST_PURGE);
    cachectl_parse(&http->fields, &req->cc);
    req->kind = lookup_classify(http, &req->reason);
    if (req->site->pass) {
        req->kind = LOOKUP_PASS;
        req->reason = REASON_BYPASS;
    }
    return request_goto(req, req->kind == LOOKUP_PASS ? REQUEST_ALONE : REQUEST_LOOKUP);
}
