/* What a response is stored under, and the labels it can be purged by.
 * Key text: scheme "://" normalised host, path and query: what the origin is asked for, byte for
 * byte (RFC 9111 section 2). */
#ifndef BRINK_CACHE_KEY_H
#define BRINK_CACHE_KEY_H

#include "base/arena.h"
#include "http/msg.h"
#include "storage/store.h"

/* `host` as from url_normal_host. Text in the arena. ERR_NOMEM. */
MUST_USE enum err cache_key_build(struct arena *arena, struct slice scheme, struct slice host,
                                  struct slice path, struct slice query, struct store_key *out);

enum { CACHE_LABEL_HOST = 'h', CACHE_LABEL_TAG = 't', CACHE_TAGS_MAX = 256 };

struct cache_labels {
    uint64_t *ids;
    size_t n;
    struct slice tags; /* the tags themselves, separated by one space; blanks and percent signs
                        * inside of them as %20, %09 and %25 */
};

/* Labels of a response: its host and its tags (Surrogate-Key and xkey by blanks, Cache-Tag by
 * commas), at most CACHE_TAGS_MAX, the rest is ignored. ERR_NOMEM. */
MUST_USE enum err cache_labels_build(struct arena *arena, struct slice host,
                                     const struct http_fields *response, struct cache_labels *out);

/* Labels of a stored response that a 304 or a HEAD updated: by the tags that `merged` names, or,
 * when it names none, by those it was stored with (`tags_text`: cache_labels.tags of then).
 * ERR_NOMEM. */
MUST_USE enum err
cache_labels_update(struct arena *arena, struct slice host, const struct http_fields *merged,
                    struct slice tags_text, struct cache_labels *out);

bool cache_is_tag_field(enum http_token token); /* not for clients */

#endif
