/* Files that an origin has coded already, beside the original: "/app.js.br" beside "/app.js". When
 * a strong form is wanted and the site says that there are such files, a worker asks the origin for
 * one, as nobody: no client's fields go with it. What comes is only bytes: it is the pool that
 * holds them against the stored body (proxy/variants.h). */
#ifndef BRINK_PROXY_PRECOMPRESSED_H
#define BRINK_PROXY_PRECOMPRESSED_H

#include "base/arena.h"
#include "http/coding.h"
#include "http/msg.h"

struct proxy;
struct precompressed;

/* What this worker asks for the pool. ERR_NOMEM. */
MUST_USE enum err precompressed_new(struct proxy *proxy, struct precompressed **out);
void precompressed_abort(struct precompressed *files); /* what is asked for ends unanswered */
void precompressed_free(struct precompressed **slot);

/* "/a.js", br: "/a.js.br". False: no such file is thought of: the path names a folder ("/a/").
 * ERR_NOMEM as false. */
bool precompressed_path(struct arena *arena, struct slice path, enum http_coding coding,
                        struct slice *out);

/* Can this answer to a GET without conditions be the file? Anything but 200, a coding that is
 * neither none nor that of the file, and what must not be stored (RFC 9111 section 3) cannot. */
bool precompressed_suits(const struct http_response *response, enum http_coding coding);

#endif
