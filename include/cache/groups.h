/* Cache groups: stored responses of one origin that go together. RFC 9875. A group is a label of
 * scheme, authority and name: two origins may use one name and do not reach each other (section
 * 2.1). */
#ifndef BRINK_CACHE_GROUPS_H
#define BRINK_CACHE_GROUPS_H

#include "cache/key.h"

enum { CACHE_GROUPS_MAX = 64 }; /* of a field; sections 2 and 3 ask for 32 */

/* Adds the groups that Cache-Groups names to the labels of a response. `host`: from
 * url_normal_host. A field that is no list of strings names none (RFC 9651 section 4.2); of more
 * than CACHE_GROUPS_MAX the rest is ignored. ERR_NOMEM. */
MUST_USE enum err cache_groups_add(struct arena *arena, struct slice scheme, struct slice host,
                                   const struct http_fields *response, struct cache_labels *labels);

/* What Cache-Group-Invalidation names, a row a group, read in the same way: for responses to unsafe
 * methods alone (section 3). What shares other groups with it stays: nothing cascades (section
 * 2.2.1). ERR_NOMEM. */
MUST_USE enum err cache_groups_invalidated(struct arena *arena, struct slice scheme,
                                           struct slice host, const struct http_fields *response,
                                           struct store_purge out[CACHE_GROUPS_MAX], size_t *out_n);

#endif
