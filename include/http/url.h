/* Authorities, paths and references. RFC 3986, RFC 9110 section 4.2. */
#ifndef BRINK_HTTP_URL_H
#define BRINK_HTTP_URL_H

#include "base/arena.h"
#include "base/slice.h"

/* "http://host:port/path?query" in its parts; slices borrow the text. */
struct url {
    struct slice scheme;    /* "http" or "https", as written */
    struct slice authority; /* "host" or "host:port" */
    struct slice host;      /* without port; IPv6 with its brackets */
    uint16_t port;          /* 0: none given */
    struct slice path;      /* "/" when empty */
    struct slice query;     /* with its "?" */
};

/* Absolute http or https URL. No user information, no fragment. ERR_SYNTAX. */
MUST_USE enum err url_parse(struct slice text, struct url *out);

/* host [":" port] by the grammar of RFC 3986 section 3.2.2 (reg-name, IPv4, bracketed IPv6; neither
 * IPvFuture nor zones, and no comma: two Hosts that someone joined look like that). The host is not
 * empty (RFC 9110 section 4.2.1), a port is 1 to 65535 in at most five digits. *out_port is 0 when
 * none is given ("host" or "host:"). ERR_SYNTAX. */
MUST_USE enum err
url_parse_authority(struct slice text, struct slice *out_host, uint16_t *out_port);

/* The path and query of an origin-form target: only characters of the grammar (RFC 3986 pchar, "/",
 * "?"), percent signs followed by two hex digits. In a query also [ ] { } | ^ and `: every browser
 * sends them there as they are (URL Standard), links like "?sort[by]=age" are common, and none of
 * them means anything to HTTP's framing. ERR_SYNTAX. */
MUST_USE enum err url_check_target(struct slice target);

/* Lower-case host, default port dropped ("http" 80, "https" 443), as is an empty one; no zeros
 * before a port. Into the arena when it changes, else *out borrows. ERR_SYNTAX, ERR_NOMEM. */
MUST_USE enum err url_normal_host(struct arena *arena, struct slice scheme, struct slice authority,
                                  struct slice *out);

/* Resolve a reference (as in Location) against a base; *out is absolute, without a fragment, in the
 * arena. RFC 3986 section 5.2 with dot segments removed. ERR_SYNTAX also for a scheme that is
 * neither http nor https; ERR_NOMEM. */
MUST_USE enum err
url_resolve(struct arena *arena, const struct url *base, struct slice reference, struct slice *out);

#endif
