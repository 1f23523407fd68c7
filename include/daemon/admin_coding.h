/* Codings of stored objects, for /inspect and /explain. */
#ifndef BRINK_DAEMON_ADMIN_CODING_H
#define BRINK_DAEMON_ADMIN_CODING_H

#include "cache/object.h"
#include "storage/store.h"

struct json_t; /* jansson's */

/* Puts "coding", "codable", "decodable" and "codings" into `variant`, an object: of "codings" one
 * for each member {"coding", "pays"}, and when it pays "body_bytes", "saved_percent" and "etag".
 * Within an open read section. */
void admin_add_codings(struct json_t *variant, struct store_reader *reader,
                       const struct store_object *stored, const struct cache_object *object);

#endif
