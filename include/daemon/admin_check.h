/* JSON of checks of the store. */
#ifndef BRINK_DAEMON_ADMIN_CHECK_H
#define BRINK_DAEMON_ADMIN_CHECK_H

#include "storage/store.h"

struct json_t; /* jansson's */

/* What a POST /check asks for: nothing, or {"rate": "50MB"}; *rate stays as it is when it is not
 * told. ERR_SYNTAX: *out_answer is the answer's body, the caller's to json_decref. */
MUST_USE enum err admin_check_order(struct slice body, uint64_t *rate, struct json_t **out_answer);

/* How far it is, or what it found; NULL when out of memory. */
struct json_t *admin_check_status(const struct store_check *check);

#endif
