/* PURGE on the traffic port, from those who may. The request waits until the store has it on disk.
 */
#include "proxy/request_impl.h"

#include "base/stats.h"
#include "cache/purge.h"
#include "proxy/search_rules.h"

static bool
may_purge(const struct request *req)
{
    const struct proxy_settings *settings = req->proxy->settings;

    for (size_t i = 0; i < settings->purge_from_n; i++)
        if (sock_net_contains(&settings->purge_from[i], req->peer))
            return true;
    return false;
}

static void
answer_purge(struct request *req, const struct purge_job *job)
{
    struct slice body = SLICE_NONE;
    bool found = job->n > 0 || job->in_flight;

    if (job->rc != OK) {
        reply_error(req, job->rc, err_text(job->rc));
        return;
    }
    if (arena_printf(&req->arena, &body, "{\"status\":\"%s\",\"id\":\"%llu\",\"matched\":%llu}\n",
                     found ? "purged" : "not found", (unsigned long long)job->id,
                     (unsigned long long)job->n) != OK)
        body = SLICE_NONE;
    reply_local(req, found ? 200 : 404, "application/json", SLICE_NONE, body);
}

static void
on_purge_message(struct loop_msg *msg)
{
    struct purge_job *job = CONTAINER_OF(msg, struct purge_job, msg);
    struct request *req = job->req;

    if (req != NULL) {
        struct proxy *proxy = req->proxy;

        req->purge = NULL;
        answer_purge(req, job);
        (void)request_goto(req, REQUEST_REPLY);
        request_run(req);
        proxy_read_end(proxy);
    }
    mem_free(job);
}

static void
on_purged(void *arg, enum err rc, uint64_t n)
{
    struct purge_job *job = arg;

    job->rc = rc;
    job->n = n;
    loop_post(job->loop, &job->msg);
}

/* Its own key, and the common one of all URLs that are the same by the path's rule. */
static size_t
key_rows(struct request *req, bool soft, struct store_purge rows[2])
{
    struct search_class common;
    size_t n = 1;

    rows[0] = (struct store_purge){.kind = STORE_PURGE_KEY, .soft = soft, .text = req->key.text};
    if (search_rules_find(req->proxy->shared->search, &req->arena, req->key.text, &common)) {
        rows[n++] =
            (struct store_purge){.kind = STORE_PURGE_KEY, .soft = soft, .text = common.key.text};
        req->key = common.key; /* for what is under way */
    }
    return n;
}

/* "Surrogate-Key: a b" names tags instead of the URL. ERR_SYNTAX: none, or more than an object may
 * have. */
static enum err
purge_rows(struct request *req, struct store_purge *rows, size_t *out_n)
{
    const struct http_field *soft_field = http_fields_get(&req->http.fields, HTTP_SOFT_PURGE);
    const struct http_field *keys = http_fields_get(&req->http.fields, HTTP_SURROGATE_KEY);
    bool soft = soft_field != NULL && slice_is(soft_field->value, "1");
    struct slice rest = keys == NULL ? SLICE_NONE : keys->value, tag;

    *out_n = 0;
    if (keys == NULL) {
        *out_n = key_rows(req, soft, rows);
        return OK;
    }
    while (rest.len > 0) {
        (void)slice_cut(&rest, ' ', &tag);
        if (tag.len == 0)
            continue;
        if (*out_n == CACHE_TAGS_MAX || purge_tag(tag, soft, &rows[*out_n]) != OK)
            return ERR_SYNTAX;
        (*out_n)++;
    }
    return *out_n > 0 ? OK : ERR_SYNTAX;
}

static enum step
refuse(struct request *req, enum err rc)
{
    if (rc != ERR_LIMIT)
        return request_answer_error(req, rc, err_text(rc));
    reply_local(
        req, 503, "application/json", SLICE("Retry-After: 1\r\n"),
        SLICE("{\"status\":\"refused\",\"hint\":\"too many purges are at work; try again in "
              "a moment\"}\n"));
    return request_goto(req, REQUEST_REPLY);
}

enum step
request_on_purge(struct request *req)
{
    struct store_purge rows[CACHE_TAGS_MAX];
    struct purge_job *job;
    size_t rows_n;
    enum err rc;

    req->outcome = EXCHANGE_LOCAL;
    if (!may_purge(req)) {
        reply_local(
            req, 403, "application/json", SLICE_NONE,
            SLICE("{\"status\":\"forbidden\",\"hint\":\"add your address to purge_from\"}\n"));
        return request_goto(req, REQUEST_REPLY);
    }
    if (purge_rows(req, rows, &rows_n) != OK)
        return request_answer_error(req, ERR_SYNTAX, "Surrogate-Key names no tag, or too many");
    job = mem_zalloc(sizeof(*job));
    if (job == NULL)
        return request_answer_error(req, ERR_NOMEM, err_text(ERR_NOMEM));
    job->msg.fn = on_purge_message;
    job->loop = req->proxy->loop;
    job->req = req;
    job->in_flight = rows[0].kind != STORE_PURGE_KEY ||
                     fill_is_under_way(req->proxy->shared->fills, &req->own_key) ||
                     fill_is_under_way(req->proxy->shared->fills, &req->key);
    rc = store_purge(req->proxy->shared->store, rows, rows_n, (struct store_done){on_purged, job},
                     &job->id);
    if (rc != OK) {
        mem_free(job);
        return refuse(req, rc);
    }
    req->purge = job;
    return STEP_WAIT;
}
