/* evhttp behind a narrow door; one at a time in a process. Its connection may die while a request
 * waits for its answer: the close callback then forgets libevent's request, and ours lives on until
 * it is answered into nothing. */
#include "net/httpd.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/loop.h"

enum { SHORTAGE_MS = 100 };

struct httpd {
    struct evhttp *http;
    struct loop *loop;
    struct evconnlistener *listener; /* evhttp's */
    struct loop_timer timer;         /* set while there is a shortage */
    httpd_fn *fn;
    void *arg;
};

/* The one there is: a listener's error callback is told of nothing but evhttp. */
static struct httpd *serving;

struct httpd_request {
    struct evhttp_request *theirs; /* NULL: the client has gone */
};

static void
on_close(struct evhttp_connection *connection, void *arg)
{
    struct httpd_request *request = arg;

    request->theirs = NULL;
}

/* RFC 9112 section 3.2: exactly one Host in HTTP/1.1, at most one before it. evhttp takes any. */
static bool
has_proper_host(const struct evhttp_request *theirs)
{
    bool is_old = theirs->major == 1 && theirs->minor == 0;
    const struct evkeyval *field;
    unsigned n = 0;

    for (field = theirs->input_headers->tqh_first; field != NULL; field = field->next.tqe_next)
        n += evutil_ascii_strcasecmp(field->key, "Host") == 0;
    return n == 1 || (n == 0 && is_old);
}

static void
on_request(struct evhttp_request *theirs, void *arg)
{
    struct httpd *httpd = arg;
    struct httpd_request *request;

    if (!has_proper_host(theirs)) {
        evhttp_send_error(theirs, HTTP_BADREQUEST, NULL);
        return;
    }
    request = mem_zalloc(sizeof(*request));
    if (request == NULL) {
        evhttp_send_error(theirs, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    request->theirs = theirs;
    evhttp_connection_set_closecb(evhttp_request_get_connection(theirs), on_close, request);
    httpd->fn(httpd->arg, request);
}

/* No descriptor or no memory for a connection: without a pause libevent would try again at once,
 * and write a line each time. */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
    LOG(WARN, listener, "what=admin reason=\"accept: %s\" paused_ms=%d", strerror(errno),
        SHORTAGE_MS);
    (void)evconnlistener_disable(listener);
    loop_timer_set(serving->loop, &serving->timer, SHORTAGE_MS);
}

static void
on_shortage_over(struct loop_timer *timer)
{
    struct httpd *httpd = CONTAINER_OF(timer, struct httpd, timer);

    if (evconnlistener_enable(httpd->listener) != 0)
        loop_timer_set(httpd->loop, timer, SHORTAGE_MS);
}

/* Takes fd when it is true. */
static bool
listen_on(struct httpd *httpd, int fd)
{
    struct evhttp_bound_socket *bound = evhttp_accept_socket_with_handle(httpd->http, fd);

    if (bound == NULL)
        return false;
    httpd->listener = evhttp_bound_socket_get_listener(bound);
    evconnlistener_set_error_cb(httpd->listener, on_accept_error);
    return true;
}

enum err
httpd_start(struct loop *loop, int fd, const struct httpd_settings *settings, httpd_fn *fn,
            void *arg, struct httpd **out)
{
    struct httpd *httpd = mem_zalloc(sizeof(*httpd));
    unsigned timeout_s = settings->timeout_ms / 1000;

    ASSERT(serving == NULL);
    if (httpd == NULL) {
        (void)close(fd);
        return ERR_NOMEM;
    }
    httpd->loop = loop;
    loop_timer_init(&httpd->timer, on_shortage_over);
    httpd->http = evhttp_new(loop_base(loop));
    if (httpd->http == NULL || !listen_on(httpd, fd)) {
        (void)close(fd);
        httpd_stop(&httpd);
        return ERR_NOMEM;
    }
    serving = httpd;
    httpd->fn = fn;
    httpd->arg = arg;
    evhttp_set_allowed_methods(httpd->http, 0xffff); /* what is not allowed is ours to answer */
    evhttp_set_max_headers_size(httpd->http, (ev_ssize_t)settings->head_max);
    evhttp_set_max_body_size(httpd->http, (ev_ssize_t)settings->body_max);
    evhttp_set_timeout(httpd->http, timeout_s == 0 ? 1 : (int)timeout_s);
    evhttp_set_default_content_type(httpd->http, NULL);
    evhttp_set_gencb(httpd->http, on_request, httpd);
    *out = httpd;
    return OK;
}

void
httpd_stop(struct httpd **slot)
{
    struct httpd *httpd = *slot;

    if (httpd == NULL)
        return;
    loop_timer_clear(&httpd->timer);
    if (httpd->http != NULL)
        evhttp_free(httpd->http);
    if (serving == httpd)
        serving = NULL;
    mem_free(httpd);
    *slot = NULL;
}

const char *
httpd_method(const struct httpd_request *request)
{
    switch (evhttp_request_get_command(request->theirs)) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    default:
        return "?";
    }
}

const char *
httpd_path(const struct httpd_request *request)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->theirs);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);

    return path == NULL || *path == '\0' ? "/" : path;
}

struct slice
httpd_body(const struct httpd_request *request)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(request->theirs);
    size_t len = evbuffer_get_length(body);

    return len == 0 ? SLICE_NONE : slice_of(evbuffer_pullup(body, -1), len);
}

const char *
httpd_field(const struct httpd_request *request, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(request->theirs), name);
}

char *
httpd_query(const struct httpd_request *request, const char *name)
{
    return httpd_query_nth(request, name, 0);
}

char *
httpd_query_nth(const struct httpd_request *request, const char *name, unsigned nth)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request->theirs);
    const char *query = uri == NULL ? NULL : evhttp_uri_get_query(uri);
    struct evkeyvalq pairs;
    const struct evkeyval *pair;
    char *copy = NULL;

    if (query == NULL || evhttp_parse_query_str(query, &pairs) != 0)
        return NULL;
    for (pair = pairs.tqh_first; pair != NULL; pair = pair->next.tqe_next) {
        if (evutil_ascii_strcasecmp(pair->key, name) != 0)
            continue;
        if (nth-- == 0) {
            copy = mem_strdup(pair->value);
            break;
        }
    }
    evhttp_clear_headers(&pairs);
    return copy;
}

void
httpd_add_field(struct httpd_request *request, const char *name, const char *value)
{
    if (request->theirs != NULL)
        (void)evhttp_add_header(evhttp_request_get_output_headers(request->theirs), name, value);
}

/* evhttp would send a body to HEAD, without telling its length. RFC 9110 section 9.3.2. */
static void
send_reply(struct evhttp_request *theirs, unsigned status, struct slice body)
{
    struct evbuffer *buffer = evbuffer_new();
    bool is_head = evhttp_request_get_command(theirs) == EVHTTP_REQ_HEAD;
    char len[24];

    if (buffer == NULL || (!is_head && evbuffer_add(buffer, body.ptr, body.len) != 0)) {
        evhttp_send_error(theirs, HTTP_SERVUNAVAIL, NULL);
    } else {
        (void)snprintf(len, sizeof(len), "%zu", body.len);
        (void)evhttp_add_header(evhttp_request_get_output_headers(theirs), "Content-Length", len);
        evhttp_send_reply(theirs, (int)status, NULL, buffer);
    }
    if (buffer != NULL)
        evbuffer_free(buffer);
}

void
httpd_answer(struct httpd_request **slot, unsigned status, const char *content_type,
             struct slice body)
{
    struct httpd_request *request = *slot;

    if (request->theirs != NULL) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(request->theirs), NULL, NULL);
        httpd_add_field(request, "Content-Type", content_type);
        send_reply(request->theirs, status, body);
    }
    mem_free(request);
    *slot = NULL;
}
