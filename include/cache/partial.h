/* Partial objects: large bodies that are kept in slices, each an object of its own. RFC 9111
 * sections 3.3 and 3.4, RFC 9110 section 15.3.7.3.
 *
 * Under the URL's key stands the master: flag CACHE_PARTIAL, the head of the 200, an empty body,
 * how long the whole is, and a random generation. A slice's key is the master's, a line feed (which
 * no URL has), the generation and the slice's number: nobody gets to it but by a master of its
 * generation, and what one generation names was always one representation, told by its strong
 * entity tag. */
#ifndef BRINK_CACHE_PARTIAL_H
#define BRINK_CACHE_PARTIAL_H

#include "cache/object.h"
#include "http/msg.h"

/* Can parts of this response be had and told to be of one representation? A 200 with one strong
 * entity tag from an origin that says it serves ranges; `unsaid`: or says nothing of them (RFC 9110
 * section 14.3: it may serve them all the same). `object`: from fresh_admit. */
bool
partial_suits(const struct http_response *response, const struct cache_object *object, bool unsaid);

/* Make `object` the master of a body of `whole_len` bytes, above 0. `slice_len`: as configured,
 * `object_max_len`: what the store takes; slices are whole pieces of the store. */
void partial_begin(struct cache_object *object, uint64_t whole_len, uint64_t slice_len,
                   uint64_t object_max_len, uint64_t generation);

/* How long the body is, of whatever kind: `body_len` is what the store says. */
uint64_t partial_whole_len(const struct cache_object *object, uint64_t body_len);

uint64_t partial_slice_of(const struct cache_object *master, uint64_t off); /* its number */
uint64_t partial_slice_first(const struct cache_object *master, uint64_t number);
uint64_t partial_slice_len(const struct cache_object *master, uint64_t number);

/* What a slice's record says: the master's times, no texts. */
void partial_slice_object(const struct cache_object *master, struct cache_object *out);

enum { PARTIAL_SUFFIX_MAX = 1 + 16 + 1 + 20 };
/* The key's text behind the master's; its length. */
size_t
partial_suffix(const struct cache_object *master, uint64_t number, char out[PARTIAL_SUFFIX_MAX]);

enum partial_place {
    PARTIAL_MISSING,
    PARTIAL_STORED, /* whole, and in *out */
    PARTIAL_COLD    /* the same, as far as can be told without waiting for the disk */
};
/* A slice. `key`: the master's, of `key_len` bytes, with PARTIAL_SUFFIX_MAX of room behind it. */
MUST_USE enum partial_place
partial_find(struct store_reader *reader, const struct cache_object *master, char *key,
             size_t key_len, uint64_t number, struct store_object *out);

/* "Range: ... CRLF If-Range: ... CRLF" for asking the origin for a slice. ERR_NOMEM. */
MUST_USE enum err partial_conditions(struct arena *arena, const struct cache_object *master,
                                     uint64_t number, struct slice *out_lines);

#endif
