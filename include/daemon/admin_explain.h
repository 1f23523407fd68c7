/* GET /explain: what would be done with a request, for machines and in sentences. */
#ifndef BRINK_DAEMON_ADMIN_EXPLAIN_H
#define BRINK_DAEMON_ADMIN_EXPLAIN_H

#include "proxy/explain.h"

struct json_t; /* jansson's */

enum { ADMIN_EXPLAIN_FIELDS_MAX = 64 };

/* The answer to `question`; the caller's. ERR_SYNTAX: this is no question, and *out_hint says what
 * to do; ERR_NOMEM. */
MUST_USE enum err admin_explain(struct proxy_shared *shared, struct store_reader *reader,
                                const struct explain_question *question, int64_t now_s,
                                struct json_t **out, const char **out_hint);

#endif
