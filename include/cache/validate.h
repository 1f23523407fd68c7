/* Conditional requests, both ways, and stored heads. RFC 9110 section 13, RFC 9111 section 4.3.
 *
 * A stored head is "HTTP/1.1 200 OK CRLF field lines" without an empty line, ready to be sent; it
 * has no hop-by-hop or nominated fields, no Age, Content-Length, tag fields nor our own Via and
 * Cache-Status: those are added when it is sent. The lines that describe one representation alone
 * (F_REPR) are its last object->own_len bytes, and before them Vary has Accept-Encoding when the
 * answer can depend on that (variant_varies), whoever put it there. */
#ifndef BRINK_CACHE_VALIDATE_H
#define BRINK_CACHE_VALIDATE_H

#include "cache/object.h"

/* The head of a response as stored (or passed on) by the rules above; Date is added when missing.
 * `keep_tags`: leave tag fields in. Goes by what variant_judge made of *object, and sets its
 * own_len and CACHE_VARY_OURS. ERR_NOMEM. */
MUST_USE enum err
validate_build_head(struct arena *arena, const struct http_response *response, int64_t response_s,
                    bool keep_tags, struct cache_object *object, struct slice *out_head);

/* A head as made by validate_build_head or validate_merge_head without the fields that the
 * response's no-cache="..." and private="..." name: what others may be sent. For objects with
 * CACHE_WITHHOLDS, whose own_len stays true. ERR_NOMEM, ERR_STORE_CORRUPT. */
MUST_USE enum err validate_withhold(struct arena *arena, struct slice head,
                                    const struct http_fields *response, struct slice *out_head);

/* Evaluate the request's conditions against a stored response: If-None-Match, over all its
 * representations (variant_none_match), else If-Modified-Since. RFC 9111 section 4.3.2, RFC 9110
 * section 13.2.2. If-Match and If-Unmodified-Since are not a cache's to evaluate, so there is no
 * 412 of ours: below. *out_etag: of VALIDATE_NOT_MODIFIED, what the 304 says in ETag; empty when
 * none was named: that of what would have been sent. `accept`: as for variant_none_match. */
enum validate_result { VALIDATE_SEND, VALIDATE_NOT_MODIFIED };
enum validate_result
validate_request(const struct http_request *request, const struct coding_accept *accept,
                 const struct cache_object *object, int64_t now_s, struct slice *out_etag);

/* Is there an If-Match or If-Unmodified-Since, which the origin evaluates? */
bool validate_has_origin_condition(const struct http_request *request);
/* Would it find that they hold, to judge by this stored response? If-Match, else
 * If-Unmodified-Since (RFC 9110 section 13.2.2), of a 2xx. True without any. */
bool validate_origin_conditions_hold(const struct http_request *request,
                                     const struct cache_object *object, int64_t now_s);

/* The head of a 304 made of a stored head: all but what only describes the content that is not sent
 * (RFC 9110 section 15.4.5). `etag`: instead of the stored one, unless it is empty. ERR_NOMEM,
 * ERR_STORE_CORRUPT. */
MUST_USE enum err validate_not_modified_head(struct arena *arena, struct slice stored_head,
                                             struct slice etag, struct slice *out_head);

/* Does this field describe all of the content that is sent with it, so that a part of that must not
 * have it? RFC 9530 section 2: Content-Digest; not Repr-Digest. */
bool validate_is_of_content(struct slice name);

/* A stored head with a 304's fields (or a HEAD's). RFC 9111 sections 3.2 and 4.3.4. */
struct validate_merged {
    struct slice status_line;
    struct http_fields fields; /* as the origin would send them now: the new Age and tag fields are
                                * among them, what we added to Vary is not */
    bool tags;                 /* clients see tag fields */
};
/* `object`: the stored one. *out borrows `stored_head` and `response`; fresh_update and
 * variant_judge go by its fields. ERR_NOMEM, ERR_STORE_CORRUPT, ERR_LIMIT (too many fields). */
MUST_USE enum err
validate_merge_fields(struct arena *arena, struct slice stored_head,
                      const struct cache_object *object, const struct http_response *response,
                      int64_t response_s, struct validate_merged *out);
/* The head to be stored from now on, for the object as it was judged; as validate_build_head. */
MUST_USE enum err validate_merge_head(struct arena *arena, const struct validate_merged *merged,
                                      struct cache_object *object, struct slice *out_head);

/* Does this 304 to our validators confirm the stored response? RFC 9111 section 4.3.4. */
bool validate_confirms(const struct cache_object *object, const struct http_fields *response,
                       int64_t now_s);

/* Does this answer to a HEAD speak of the stored response, whose body has `body_len` bytes? Only
 * 200 of a stored 200; what it names of ETag, Last-Modified and Content-Length must be the stored
 * one's. RFC 9111 section 4.3.5. */
bool validate_head_confirms(const struct cache_object *object, uint64_t body_len,
                            const struct http_response *response, int64_t now_s);

/* If-None-Match and If-Modified-Since lines (each with CRLF) for asking the origin about `object`;
 * empty when it has no validator. */
MUST_USE enum err validate_conditions(struct arena *arena, const struct cache_object *object,
                                      struct slice *out_lines);

#endif
