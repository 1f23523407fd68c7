/* A small HTTP server for operators, not for traffic: whole requests in, whole answers out, at once
 * or later. By libevent's evhttp, on one loop. */
#ifndef BRINK_NET_HTTPD_H
#define BRINK_NET_HTTPD_H

#include "base/slice.h"

struct loop;
struct httpd;
struct httpd_request;

struct httpd_settings {
    size_t head_max, body_max; /* bytes; larger ones are refused with 400 and 413 */
    unsigned timeout_ms;       /* for a request to arrive, and between two; whole seconds count */
};

/* Answer with httpd_answer, now or later, exactly once. */
typedef void httpd_fn(void *arg, struct httpd_request *request);

/* Serve `fd`, a listening socket, which it takes. ERR_NOMEM. */
MUST_USE enum err httpd_start(struct loop *loop, int fd, const struct httpd_settings *settings,
                              httpd_fn *fn, void *arg, struct httpd **out);

/* Closes everything. Requests that wait for their answer are still to be given to httpd_answer,
 * which only frees them then. */
void httpd_stop(struct httpd **slot);

/* Of a request that is not answered yet; while its connection lives. */
const char *httpd_method(const struct httpd_request *request); /* "GET"; "?" for unknown ones */
const char *httpd_path(const struct httpd_request *request);   /* without query; not decoded */
struct slice httpd_body(const struct httpd_request *request);
const char *httpd_field(const struct httpd_request *request, const char *name); /* NULL: absent */

/* A parameter of the query, decoded, on the heap; NULL when absent or out of memory. */
MUST_USE char *httpd_query(const struct httpd_request *request, const char *name);
/* The same for a parameter that may be repeated: the one after `nth` others of its name. */
MUST_USE char *httpd_query_nth(const struct httpd_request *request, const char *name, unsigned nth);

void httpd_add_field(struct httpd_request *request, const char *name, const char *value);

/* Sends and frees; *slot becomes NULL. `body` is copied, and left out for HEAD. */
void httpd_answer(struct httpd_request **slot, unsigned status, const char *content_type,
                  struct slice body);

#endif
