/* Which codings a response may be sent in, and what its head and its validators are in each.
 *
 * A representation is a response in one coding. The one that the origin sent is stored as it came;
 * others are made of it. Of a stored head the field lines that describe one representation alone
 * (Content-Encoding, ETag, Content-MD5, Content-Digest, Repr-Digest, Digest) come last: own_len
 * bytes. So the head of another representation is what stands before them, and its own lines.
 *
 * Entity tags: the origin's is "abc". Representation br is "abc~br.HHHHHHHHHHH" when its bytes are
 * kept (11 letters of their hash, so a strong one never names two bodies), and W/"abc~br" while
 * they are made for one answer alone; "abc~identity" is what was decoded of a coded one, always the
 * same bytes. A weak origin tag has weak ones. Without one from the origin there is none. RFC 9110
 * sections 8.8.3 and 13, RFC 9530. */
#ifndef BRINK_CACHE_VARIANT_H
#define BRINK_CACHE_VARIANT_H

#include "cache/object.h"
#include "http/coding.h"

struct variant_settings {
    uint8_t codings[CODING_COUNT]; /* enum http_coding, best first */
    size_t codings_n;              /* 0: off */
    const char *const *types;      /* lower case; a "*" stands for anything: "text/" "*", ... */
    size_t types_n;
    uint64_t min_len; /* shorter bodies are sent as they are */
    bool decode;      /* what the origin coded is decoded for who does not take it */
};

#endif
