/* Upgrade: another protocol on an HTTP/1.1 connection. Who asks, for what, and what a 101 may say.
 * Pure. RFC 9110 sections 7.8 and 15.2.2. */
#ifndef BRINK_HTTP_UPGRADE_H
#define BRINK_HTTP_UPGRADE_H

#include "http/msg.h"

/* Does this request ask for another protocol in a way that is acted on? In HTTP/1.1, with the
 * connection option, by GET and without a body, as RFC 6455 section 4.1 does it; any other Upgrade
 * may be ignored and is. */
bool upgrade_is_asked(const struct http_request *request);

/* Those of `allowed` (lower case) that the request's Upgrade lists, written anew as "a, b"; empty:
 * none. A protocol with a version ("a/1") is another one. ERR_NOMEM. */
MUST_USE enum err upgrade_choose(struct arena *arena, const struct http_fields *fields,
                                 const char *const *allowed, size_t allowed_n, struct slice *out);

/* Does the 101 switch to exactly one protocol, of those in `offered` (from upgrade_choose), and
 * name the connection option? Then *out_protocol, as `offered` writes it. */
bool upgrade_is_granted(const struct http_response *response, struct slice offered,
                        struct slice *out_protocol);

#endif
