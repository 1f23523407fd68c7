/* The inside of a request's state machine. For src/proxy/request*.c alone: request.c holds the
 * table, the loop and PARKED, request_vet.c the first state, request_query.c COLLECT,
 * request_lookup.c LOOKUP and ALONE, request_slices.c SLICES, request_purge.c the purge,
 * request_log.c the line for the log. */
#ifndef BRINK_PROXY_REQUEST_IMPL_H
#define BRINK_PROXY_REQUEST_IMPL_H

#include "proxy/reply.h"
#include "proxy/request.h"

#define REQUEST_TAG 0x72657175U

enum step { STEP_AGAIN, STEP_WAIT, STEP_OVER /* of the loop alone */ };

/* A purge asked for on the traffic port; lives until the store has answered. */
struct purge_job {
    struct loop_msg msg;
    struct loop *loop;
    struct request *req; /* NULL: the client has gone */
    bool in_flight;      /* an object on its way in was named too */
    enum err rc;
    uint64_t n, id;
};

/* Asserts that the edge is allowed, and traces it. STEP_AGAIN. */
enum step request_goto(struct request *req, enum request_state next);
/* An error of the client's is counted and logged as a refusal, and the connection closes. */
enum step request_answer_error(struct request *req, enum err rc, const char *why);
void request_run(struct request *req); /* until a state waits; may end the request */
void request_on_news(void *arg);       /* a fill that it waits for or reads has more */

enum step request_on_vet(struct request *req);     /* VET */
enum step request_on_collect(struct request *req); /* COLLECT */
enum step request_on_lookup(struct request *req);  /* LOOKUP */
enum step request_on_alone(struct request *req);   /* ALONE */
enum step request_on_purge(struct request *req);   /* PURGE */
enum step request_on_slices(struct request *req);  /* SLICES */

/* --- request_query.c --- */

/* Keep this for looking up. False: it is too much, or no memory is left; the request has gone on.
 */
bool request_collect(struct request *req, struct slice data);
/* What was kept of content that became too large goes before the rest. False: not all is taken. */
bool request_send_collected(struct request *req);

/* --- request_hints.c --- */

/* Of a stored response that the origin is asked about first. */
void request_plan_hints(struct request *req, const struct lookup_finding *finding);
void request_send_hints(struct request *req); /* when it waits now; may end the request */

/* --- request_lookup.c --- */

/* Make the reply (reply_from): is there one, and the body's beginning right? When not, there is no
 * reply; when something is cold, wait for it, and make the reply anew. */
enum deliver_start request_start_reply(struct request *req, const struct reply_source *source,
                                       const struct cache_status *status);
enum step request_await_body(struct request *req);

void request_leave_fill(struct request *req);          /* it is no reader any more */
void request_on_waited_long(struct loop_timer *timer); /* for another's fetch: its own now */

/* --- request_slices.c --- */

/* A partial object: where its texts are, they need not stay. */
struct request_master {
    struct slice head;
    const struct cache_object *object;
    const uint64_t *labels;
    size_t labels_n;
};
/* Instead of a reply: SLICES comes next. `status`: of a hit, or of the fetch that brought the
 * master. False: out of memory. */
MUST_USE bool request_begin_slices(struct request *req, const struct request_master *master,
                                   const struct cache_status *status);
void request_end_slices(struct request *req); /* harmless without */

/* Where a request goes that has its object. */
static inline enum request_state
request_after_found(const struct request *req)
{
    return req->sliced != NULL ? REQUEST_SLICES : REQUEST_REPLY;
}

/* request_upgrade.c */
enum err request_vet_upgrade(struct request *req); /* fills req->upgrade; ERR_NOMEM */
void request_on_upgrade(void *arg, const struct http_response *response, struct slice protocol);
/* A 1xx for the client; `protocol`: of a 101. ERR_NOMEM. */
enum err request_interim_head(struct request *req, const struct http_response *response,
                              struct slice protocol, struct slice *out_head);

void request_log_exchange(const struct request *req, bool aborted);

#endif
