/* Codings of stored objects, for /inspect and /explain: what an object came in, what it may be sent
 * in, and which forms are kept beside it. */
#ifndef BRINK_DAEMON_ADMIN_CODING_H
#define BRINK_DAEMON_ADMIN_CODING_H

#include "proxy/explain.h"

struct json_t; /* jansson's */

/* Puts "coding", "codable", "decodable" and "codings" into `variant`, an object: of "codings" one
 * for each member {"coding", "pays"}, and when it pays "body_bytes", "saved_percent" and "etag".
 * Within an open read section. */
void admin_add_codings(struct json_t *variant, struct store_reader *reader,
                       const struct store_object *stored, const struct cache_object *object);

/* Which coding would be sent, and why: a sentence in the arena, and for programs {"coding", "form",
 * "bytes", "sentence"}. ERR_NOMEM. */
MUST_USE enum err admin_coding_of(struct arena *arena, const struct explanation *explanation,
                                  struct slice *out_sentence, struct json_t **out);

#endif
