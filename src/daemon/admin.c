/* The admin listener's routes. A purge is answered when it is on disk: the store's thread posts to
 * the main loop, and only then the answer is sent. Nothing here blocks but a look-up for /inspect,
 * which is that of a request.
 *
 * Jobs are on one list until they end, so that those the store ends while it closes are not lost.
 */
#include "daemon/admin.h"

#include <inttypes.h>
#include <jansson.h>

#include "base/stats.h"
#include "daemon/admin_check.h"
#include "daemon/admin_explain.h"
#include "daemon/admin_json.h"
#include "daemon/metrics.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "proxy/core.h"
#include "proxy/search_rules.h"
#include "proxy/way.h"

enum { HEAD_MAX = 64 << 10 };

static const char type_json[] = "application/json", type_text[] = "text/plain; charset=utf-8",
                  type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";

struct admin {
    const struct config *config;
    struct store *store;
    struct proxy_shared *shared; /* NULL until the workers are there */
    struct loop *loop;
    struct store_reader *reader;
    struct httpd *httpd;
    struct list jobs;
    int64_t started_s;
    bool accepting;
};

struct purge_job {
    struct list link;
    struct admin *admin;
    struct httpd_request *request;
    struct arena arena;
    struct admin_order order;
    struct loop_msg msg;
    uint64_t id, n; /* n: what the store said */
    enum err rc;
};

/* --- answers --- */

/* Takes `value`, which may be NULL: no memory. */
static void
answer_json(struct httpd_request **request, unsigned status, json_t *value)
{
    const size_t form =
        JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII; /* for terminals */
    char *text = value == NULL ? NULL : json_dumps(value, form);
    char *whole = NULL;
    size_t len = 0;
    FILE *out = text == NULL ? NULL : open_memstream(&whole, &len);

    if (out != NULL) {
        fprintf(out, "%s\n", text);
        if (fclose(out) == 0)
            httpd_answer(request, status, type_json, slice_of(whole, len));
    }
    if (*request != NULL)
        httpd_answer(request, 503, type_text, SLICE("out of memory\n"));
    free(whole);
    free(text);
    json_decref(value);
}

static void
answer_error(struct httpd_request **request, unsigned status, const char *error, const char *hint)
{
    answer_json(request, status, admin_error(hint, "%s", error));
}

/* What `print` writes, as the body. */
static void
answer_printed(struct admin *admin, struct httpd_request **request, const char *type,
               void (*print)(struct admin *admin, FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        answer_error(request, 503, "out of memory", "try again later");
        return;
    }
    print(admin, out);
    if (fclose(out) == 0)
        httpd_answer(request, 200, type, slice_of(text, len));
    else
        answer_error(request, 503, "out of memory", "try again later");
    free(text);
}

/* --- health and numbers --- */

static void
on_healthz(struct admin *admin, struct httpd_request *request)
{
    httpd_answer(&request, 200, type_text, SLICE("ok\n"));
}

static void
on_readyz(struct admin *admin, struct httpd_request *request)
{
    if (!admin->accepting)
        httpd_answer(&request, 503, type_text, SLICE("not ready: connections are not accepted\n"));
    else if (!store_is_ready(admin->store)) /* the origin stands in for what is not found yet */
        httpd_answer(&request, 200, type_text,
                     SLICE("ready; the store's index is being rebuilt\n"));
    else
        httpd_answer(&request, 200, type_text, SLICE("ready\n"));
}

static struct metrics_sites
shares_of(const struct admin *admin)
{
    const struct proxy_settings *proxy = &admin->config->proxy;

    return (struct metrics_sites){admin->store, proxy->sites, proxy->sites_n};
}

static void
print_metrics(struct admin *admin, FILE *out)
{
    struct metrics_sites sites = shares_of(admin);

    metrics_print_prometheus(&sites, out, admin->started_s);
}

static void
print_stats(struct admin *admin, FILE *out)
{
    struct metrics_sites sites = shares_of(admin);

    metrics_print_json(&sites, out, admin->started_s, loop_wall_s());
}

static void
on_metrics(struct admin *admin, struct httpd_request *request)
{
    answer_printed(admin, &request, type_metrics, print_metrics);
}

static void
on_stats(struct admin *admin, struct httpd_request *request)
{
    answer_printed(admin, &request, type_json, print_stats);
}

/* --- what is stored --- */

static const struct cache_target_rules *
rules_for(const void *arg, struct slice host)
{
    const struct admin *admin = arg;
    const struct site_settings *site = way_site(&admin->config->proxy, host);

    return site == NULL || site->pass ? NULL : &site->target;
}

static bool
common_key(const void *arg, struct arena *arena, struct slice key_text, struct slice *out)
{
    const struct admin *admin = arg;
    struct search_class common;

    if (admin->shared == NULL ||
        !search_rules_find(admin->shared->search, arena, key_text, &common))
        return false;
    *out = common.key.text;
    return true;
}

/* An URL of an operator is looked up as a client's would be. */
static struct purge_sites
sites_of(const struct admin *admin)
{
    return (struct purge_sites){rules_for, common_key, admin};
}

static void
on_inspect(struct admin *admin, struct httpd_request *request)
{
    static const char hint[] = "ask for /inspect?url=http%3A%2F%2Fwww.example.com%2Fpage";
    struct purge_sites sites = sites_of(admin);
    char *url = httpd_query(request, "url");
    json_t *value = NULL;
    enum err rc;

    if (url == NULL) {
        answer_error(&request, 400, "no URL is given", hint);
        return;
    }
    rc = admin_inspect(admin->reader, &sites, slice_from_str(url), loop_wall_s(), &value);
    if (rc == OK) {
        answer_json(&request, 200, value);
    } else if (rc == ERR_NOT_FOUND) {
        json_decref(value);
        answer_error(&request, 404, "nothing is stored under this URL",
                     "scheme, host, path and query must be those of the request");
    } else if (rc == ERR_NOMEM) {
        answer_error(&request, 503, "out of memory", "try again later");
    } else {
        answer_error(&request, 400, "this is not an absolute http or https URL", hint);
    }
    free(url);
}

/* The words of the query; heap, as long as `texts`. False: too many fields. */
struct explain_words {
    struct explain_question question;
    char *url, *method, *content, *texts[ADMIN_EXPLAIN_FIELDS_MAX];
    struct slice fields[ADMIN_EXPLAIN_FIELDS_MAX];
};

static bool
take_words(struct httpd_request *request, struct explain_words *out)
{
    char *more;
    unsigned n = 0;

    memset(out, 0, sizeof(*out));
    out->url = httpd_query(request, "url");
    out->method = httpd_query(request, "method");
    out->content = httpd_query(request, "content");
    for (; n < ADMIN_EXPLAIN_FIELDS_MAX; n++) {
        out->texts[n] = httpd_query_nth(request, "header", n);
        if (out->texts[n] == NULL)
            break;
        out->fields[n] = slice_from_str(out->texts[n]);
    }
    out->question = (struct explain_question){
        .url = slice_from_str(out->url == NULL ? "" : out->url),
        .method = slice_from_str(out->method == NULL ? "GET" : out->method),
        .fields = out->fields,
        .fields_n = n,
        .content = out->content == NULL ? SLICE_NONE : slice_from_str(out->content),
    };
    more = n == ADMIN_EXPLAIN_FIELDS_MAX ? httpd_query_nth(request, "header", n) : NULL;
    mem_free(more);
    return more == NULL;
}

static void
free_words(struct explain_words *words)
{
    mem_free(words->url);
    mem_free(words->method);
    mem_free(words->content);
    for (size_t i = 0; i < ADMIN_EXPLAIN_FIELDS_MAX; i++)
        mem_free(words->texts[i]);
}

static void
on_explain(struct admin *admin, struct httpd_request *request)
{
    const char *hint =
        "ask for /explain?url=http%3A%2F%2Fwww.example.com%2Fpage&header=Accept%3A%20*";
    struct explain_words words;
    json_t *value = NULL;
    enum err rc;

    if (admin->shared == NULL) {
        answer_error(&request, 503, "brink is still starting", "ask again in a moment");
        return;
    }
    if (!take_words(request, &words)) {
        answer_error(&request, 400, "too many fields", "give 64 at most");
    } else if (words.url == NULL) {
        answer_error(&request, 400, "no URL is given", hint);
    } else {
        rc = admin_explain(admin->shared, admin->reader, &words.question, loop_wall_s(), &value,
                           &hint);
        if (rc == OK)
            answer_json(&request, 200, value);
        else if (rc == ERR_SYNTAX)
            answer_error(&request, 400, "this is no request that could be explained", hint);
        else
            answer_error(&request, 503, "out of memory", "try again later");
    }
    free_words(&words);
}

/* --- purging --- */

static void
job_free(struct purge_job *job)
{
    list_remove(&job->link);
    arena_fini(&job->arena);
    mem_free(job);
}

static int64_t
wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
answer_purged(struct purge_job *job)
{
    struct store_purge_status status = {
        .state = STORE_PURGE_DONE, .matched = job->n, .soft = job->order.soft};
    json_t *answer;

    (void)(store_purge_status(job->admin->store, job->id, &status) == OK); /* else as assumed */
    LOG(INFO, purge, "id=%" PRIu64 " what=%s items=%zu soft=%d matched=%" PRIu64, job->id,
        job->order.what, job->order.items_n, job->order.soft, status.matched);
    answer = admin_purge(job->id, &status, wall_ms());
    if (answer != NULL) {
        (void)json_object_set_new(answer, "what", json_string(job->order.what));
        (void)json_object_set_new(answer, "items", json_integer((json_int_t)job->order.items_n));
    }
    answer_json(&job->request, 200, answer);
}

static void
answer_failed(struct httpd_request **request, enum err rc)
{
    if (rc == ERR_LIMIT) {
        httpd_add_field(*request, "Retry-After", "1");
        answer_error(request, 503, "too many purges are at work; nothing was purged",
                     "try again in a moment; store.purges_max says how many names may be at work");
        return;
    }
    answer_error(request, err_status(rc), err_text(rc),
                 "nothing was purged; the event log says why");
}

static void
on_purge_done(struct loop_msg *msg)
{
    struct purge_job *job = CONTAINER_OF(msg, struct purge_job, msg);

    if (job->rc == OK) {
        answer_purged(job);
    } else {
        LOG(ERROR, purge, "what=%s items=%zu error=%s", job->order.what, job->order.items_n,
            err_name(job->rc));
        answer_failed(&job->request, job->rc);
    }
    job_free(job);
}

/* On a thread of the store. */
static void
on_store_done(void *arg, enum err rc, uint64_t n)
{
    struct purge_job *job = arg;

    job->rc = rc;
    job->n = n;
    loop_post(job->admin->loop, &job->msg);
}

static void
begin_purge(struct purge_job *job)
{
    struct store_done done = {on_store_done, job};
    struct purge_sites sites = sites_of(job->admin);
    json_t *answer = NULL;
    enum err rc =
        admin_order_parse(&job->arena, &sites, httpd_body(job->request), &job->order, &answer);

    if (rc == ERR_SYNTAX) {
        answer_json(&job->request, 400, answer);
        job_free(job);
        return;
    }
    if (rc == OK)
        rc = store_purge(job->admin->store, job->order.rows, job->order.rows_n, done, &job->id);
    if (rc != OK) {
        answer_failed(&job->request, rc);
        job_free(job);
    }
}

static void
on_purge(struct admin *admin, struct httpd_request *request)
{
    struct purge_job *job = mem_zalloc(sizeof(*job));

    if (job == NULL) {
        answer_error(&request, 503, "out of memory", "try again later");
        return;
    }
    arena_init(&job->arena, 0);
    list_push(&admin->jobs, &job->link);
    job->admin = admin;
    job->request = request;
    job->msg.fn = on_purge_done;
    begin_purge(job);
}

static void
on_purge_status(struct admin *admin, struct httpd_request *request)
{
    struct slice text = slice_from_str(httpd_path(request) + strlen("/purge/"));
    struct store_purge_status status;
    uint64_t id;

    if (!slice_to_u64(text, &id) || store_purge_status(admin->store, id, &status) != OK) {
        answer_error(
            &request, 404,
            "no purge of this id is at work, nor among the last 1,024 that ended since the "
            "start",
            "the answer to POST /purge tells the id");
        return;
    }
    answer_json(&request, 200, admin_purge(id, &status, wall_ms()));
}

/* --- checking --- */

static void
answer_check(struct admin *admin, struct httpd_request *request)
{
    struct store_check check;

    store_check_status(admin->store, &check);
    answer_json(&request, 200, admin_check_status(&check));
}

static void
on_check(struct admin *admin, struct httpd_request *request)
{
    uint64_t rate = admin->config->check_rate;
    json_t *answer = NULL;
    enum err rc = admin_check_order(httpd_body(request), &rate, &answer);

    if (rc != OK) {
        answer_json(&request, 400, answer);
        return;
    }
    rc = store_check_start(admin->store, rate);
    if (rc == ERR_STORE_BUSY)
        answer_error(&request, 409, "a check is running",
                     "GET /check says how far it is, DELETE /check stops it");
    else if (rc == ERR_AGAIN)
        answer_error(&request, 503, "the store's index is being rebuilt",
                     "ask again when /readyz says that it is ready");
    else if (rc != OK)
        answer_error(&request, err_status(rc), err_text(rc), "the event log says more");
    else
        answer_check(admin, request);
}

static void
on_check_stop(struct admin *admin, struct httpd_request *request)
{
    store_check_stop(admin->store);
    answer_check(admin, request);
}

/* --- routes --- */

static const struct route {
    const char *path; /* ending in "/": whatever begins so; those of one path stand together */
    const char *method;
    bool is_open; /* no token is asked for */
    void (*fn)(struct admin *admin, struct httpd_request *request);
} routes[] = {
    {"/healthz", "GET", true, on_healthz},      {"/readyz", "GET", true, on_readyz},
    {"/metrics", "GET", false, on_metrics},     {"/stats", "GET", false, on_stats},
    {"/inspect", "GET", false, on_inspect},     {"/explain", "GET", false, on_explain},
    {"/purge", "POST", false, on_purge},        {"/purge/", "GET", false, on_purge_status},
    {"/check", "GET", false, answer_check},     {"/check", "POST", false, on_check},
    {"/check", "DELETE", false, on_check_stop},
};

/* The first of the path. */
static const struct route *
find_route(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        size_t len = strlen(routes[i].path);
        bool is_prefix = routes[i].path[len - 1] == '/';

        if (is_prefix ? strncmp(path, routes[i].path, len) == 0 : strcmp(path, routes[i].path) == 0)
            return &routes[i];
    }
    return NULL;
}

static bool
takes(const struct route *route, const char *method)
{
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Of the routes of first's path, the one of this method; NULL: none, and `allow` has those there
 * are. RFC 9110 section 10.2.1. */
static const struct route *
choose_route(const struct route *first, const char *method, char *allow, size_t allow_cap)
{
    const struct route *end = routes + ARRAY_LEN(routes);
    size_t len = 0;

    for (const struct route *route = first; route < end && strcmp(route->path, first->path) == 0;
         route++) {
        if (takes(route, method))
            return route;
        len += (size_t)snprintf(allow + len, allow_cap - len, "%s%s%s", len > 0 ? ", " : "",
                                route->method, strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
        ASSERT(len < allow_cap);
    }
    return NULL;
}

/* Takes the same time for any wrong token of the same length. */
static bool
is_authorized(const struct admin *admin, const struct httpd_request *request)
{
    const char *want = admin->config->admin.token;
    const char *field = httpd_field(request, "Authorization");
    struct slice given;
    unsigned differs = 0;

    if (want == NULL)
        return true;
    if (field == NULL || strncasecmp(field, "Bearer ", 7) != 0)
        return false;
    given = slice_trim(slice_from_str(field + 7));
    if (given.len != strlen(want))
        return false;
    for (size_t i = 0; i < given.len; i++)
        differs |= (unsigned)(given.ptr[i] ^ want[i]);
    return differs == 0;
}

static void
on_request(void *arg, struct httpd_request *request)
{
    struct admin *admin = arg;
    const struct route *route = find_route(httpd_path(request)), *chosen;
    const char *method = httpd_method(request);
    char allow[64];

    if ((route == NULL || !route->is_open) && !is_authorized(admin, request)) {
        httpd_add_field(request, "WWW-Authenticate", "Bearer");
        answer_error(&request, 401, "the token is missing or wrong",
                     "send Authorization: Bearer TOKEN; brinkctl reads BRINK_TOKEN");
    } else if (route == NULL) {
        answer_error(&request, 404, "there is nothing here",
                     "try /stats, /metrics, /healthz, /readyz, /inspect?url=..., "
                     "/explain?url=..., POST /purge or POST /check");
    } else if ((chosen = choose_route(route, method, allow, sizeof(allow))) != NULL) {
        chosen->fn(admin, request);
    } else {
        httpd_add_field(request, "Allow", allow);
        answer_error(&request, 405, "this method is not for this path",
                     strcmp(route->method, "GET") == 0 ? "use GET" : "use POST with a JSON body");
    }
}

/* --- life --- */

static enum err
serve(struct admin *admin, struct listeners *listeners)
{
    const struct config_admin *config = &admin->config->admin;
    const struct httpd_settings settings = {
        .head_max = HEAD_MAX, .body_max = config->body_max, .timeout_ms = config->timeout_ms};

    return httpd_start(admin->loop, listeners_take_admin(listeners), &settings, on_request, admin,
                       &admin->httpd);
}

enum err
admin_start(const struct config *config, struct listeners *listeners, struct store *store,
            struct loop *loop, struct admin **out)
{
    struct admin *admin = mem_zalloc(sizeof(*admin));
    enum err rc;

    if (admin == NULL)
        return ERR_NOMEM;
    admin->config = config;
    admin->store = store;
    admin->loop = loop;
    admin->started_s = loop_wall_s();
    list_init(&admin->jobs);
    rc = store_reader_new(store, &admin->reader);
    if (rc == OK)
        rc = serve(admin, listeners);
    if (rc == OK) {
        *out = admin;
        return OK;
    }
    admin_stop(admin);
    admin_free(&admin);
    return rc;
}

void
admin_set_proxy(struct admin *admin, struct proxy_shared *shared)
{
    admin->shared = shared;
}

void
admin_set_accepting(struct admin *admin, bool accepting)
{
    admin->accepting = accepting;
}

void
admin_stop(struct admin *admin)
{
    httpd_stop(&admin->httpd);
    if (admin->reader != NULL)
        store_reader_free(&admin->reader);
}

void
admin_free(struct admin **slot)
{
    struct admin *admin = *slot;

    if (admin == NULL)
        return;
    LIST_FOREACH (&admin->jobs, link) {
        struct purge_job *job = CONTAINER_OF(link, struct purge_job, link);

        httpd_answer(&job->request, 503, type_text, SLICE_NONE); /* nobody is there any more */
        job_free(job);
    }
    mem_free(admin);
    *slot = NULL;
}
