/* Which codings a response may be sent in, and what its head and its validators are in each.
 *
 * A representation is a response in one coding. The one that the origin sent is stored as it came;
 * others are made of it. Of a stored head the field lines that describe one representation alone
 * (F_REPR of http/tokens.def: Content-Encoding, ETag, Content-MD5, Content-Digest, Repr-Digest,
 * Digest) come last: own_len bytes. So the head of another representation is what stands before
 * them, and its own lines.
 *
 * Entity tags: the origin's is "abc". Representation br is "abc~br.HHHHHHHHHHH" when its bytes are
 * kept (11 letters of their hash, so a strong one never names two bodies), and W/"abc~br" while
 * they are made for one answer alone; "abc~identity" is what was decoded of a coded one, always the
 * same bytes. A weak origin tag has weak ones. Without one from the origin there is none. RFC 9110
 * sections 8.8.3 and 13, RFC 9530. */
#ifndef BRINK_CACHE_VARIANT_H
#define BRINK_CACHE_VARIANT_H

#include "cache/fresh.h"
#include "http/coding.h"

struct variant_settings {
    uint8_t codings[CODING_COUNT]; /* enum http_coding, best first */
    size_t codings_n;              /* 0: off */
    const char *const *types;      /* lower case; a "*" stands for anything: "text/" "*", ... */
    size_t types_n;
    uint64_t min_len; /* shorter bodies are sent as they are */
    bool decode;      /* what the origin coded is decoded for who does not take it */
};

/* --- what may be made of a response --- */

/* A response as it came, or, after a 304, the merged fields. */
struct variant_subject {
    const struct http_fields *fields;
    bool has_length;
    uint64_t length; /* of its content */
};

/* Why a response is not codable; the first that holds. */
enum variant_why {
    VARIANT_CODABLE,   /* it is */
    VARIANT_OFF,       /* the site compresses nothing */
    VARIANT_STRANGE,   /* it came in several codings, or in an unknown one */
    VARIANT_UNDECODED, /* it came in one that the site does not undo */
    VARIANT_NO_WHOLE,  /* no content, or a part of it */
    VARIANT_SLICES,    /* it is kept in slices */
    VARIANT_ETAG_LONG,
    VARIANT_NO_TRANSFORM,
    VARIANT_ITS_OWN, /* the site has no coding but the one that it came in */
    VARIANT_TYPE,
    VARIANT_SHORT
};
const char *variant_why_sentence(enum variant_why why); /* "its type is none of compress_types" */

/* Sets CACHE_CODABLE, CACHE_CODED and the coding of an object of which status and etag are known.
 * Codable: its type is one of the site's, it is long enough or of unknown length, nothing says
 * no-transform (Cache-Control, or a targeted field that the site goes by), it is whole (no 206, no
 * Content-Range, no slices), has content, one known coding or none, and its entity tag is not
 * longer than VARIANT_ETAG_MAX. What the origin coded may be decoded whatever its type, and is
 * codable only then. Requests are not looked at: what one says of no-transform holds for that one.
 * Returns why it is not codable. */
enum variant_why
variant_judge(const struct variant_settings *settings, const struct cache_settings *cache,
              const struct variant_subject *subject, struct cache_object *object);

enum { VARIANT_ETAG_MAX = 200, VARIANT_LINES_MAX = 512, VARIANT_HASH_LEN = 11 };

/* Can an answer depend on Accept-Encoding? Then it says Vary: Accept-Encoding. */
static inline bool
variant_varies(const struct cache_object *object)
{
    return (object->flags & (CACHE_CODABLE | CACHE_CODED)) != 0;
}

/* The codings that it can be sent in, as bits: its own; identity, when it was coded and may be
 * decoded; when codable the site's. */
unsigned variant_offers(const struct variant_settings *settings, const struct cache_object *object);

/* Is Accept-Encoding no part of this response's secondary key, although its Vary may name it? Where
 * brink makes codings of its own, when the request went out with the site's Accept-Encoding
 * (`asked_ours`), so that all ask alike, or when what a client does not take can be undone. */
bool variant_owns_encoding(const struct cache_settings *settings, bool asked_ours,
                           const struct http_fields *fields, const struct cache_object *object);

/* After a 304, by the object as it was judged anew: is every field that the merged Vary names one
 * that it was stored with? If not, it must no longer be stored: RFC 9111 sections 4.1 and 4.3.4. */
bool variant_covers(const struct cache_settings *settings, bool asked_ours,
                    const struct http_fields *merged, const struct cache_object *object);

/* --- heads --- */

/* Of a stored head: what all representations share, and the stored one's own lines. */
static inline struct slice
variant_shared_lines(const struct cache_object *object, struct slice head)
{
    ASSERT(object->own_len <= head.len); /* cache_object_decode sees to it */
    return slice_first(head, head.len - object->own_len);
}

static inline struct slice
variant_own_lines(const struct cache_object *object, struct slice head)
{
    ASSERT(object->own_len <= head.len);
    return slice_skip(head, head.len - object->own_len);
}

/* The own lines of the representation `coding`, another than object->coding: Content-Encoding (but
 * for identity) and ETag (when the origin gave one), with CRLF. `hash`: of its bytes
 * (VARIANT_HASH_LEN letters), or empty: made for one answer (W/), or decoded. Returns their length.
 */
size_t variant_lines(const struct cache_object *object, enum http_coding coding, struct slice hash,
                     char out[VARIANT_LINES_MAX]);

/* The entity tag alone, somewhere in `room`; empty when the origin gave none. */
struct slice variant_etag(const struct cache_object *object, enum http_coding coding,
                          struct slice hash, char room[VARIANT_LINES_MAX]);

void variant_hash_text(uint64_t hash, char out[VARIANT_HASH_LEN]); /* base64url */

/* What the own lines of a kept representation say: its ETag, and the hash in that. Empty: none. */
struct slice variant_lines_etag(struct slice lines);
struct slice variant_lines_hash(struct slice lines);

/* --- conditions of clients --- */

/* RFC 9110 section 13.1.2, over all representations: the tag in If-None-Match that names this
 * object in one of them (any hash, weakly compared) that the request accepts, for caches list the
 * tags of all that they have; of several the one of the greatest weight. *out_etag: as the 304 says
 * it: the stored one, or ours as the client sent it, for it is what the client has. False: none
 * does. `accept`: of the request; NULL: it is read when it matters. */
bool variant_none_match(const struct http_fields *fields, const struct coding_accept *accept,
                        const struct cache_object *object, struct slice *out_etag);

/* If-Range with an entity tag names the representation that the client has a part of. True: it can
 * be this object's in *out_coding with *out_hash (empty: the stored bytes, or decoded). False: no
 * tag, a weak one, or of something else. RFC 9110 section 13.1.5. */
bool variant_if_range(const struct http_fields *fields, const struct cache_object *object,
                      enum http_coding *out_coding, struct slice *out_hash);

/* --- conditions that go on to the origin --- */

/* The value of If-None-Match or If-Match with, behind each tag of ours, the origin's that it is
 * made of: the origin knows that one alone. Other tags, and values that are no lists, stay as they
 * are. If-Range is never translated: the bytes differ. ERR_NOMEM. */
MUST_USE enum err variant_translate(struct arena *arena, struct slice value, struct slice *out);

#endif
