/* HTTP/1 messages as a reader sees them who has never heard of brink: written apart from src/http,
 * to judge what brink writes and to count what its peers really said. RFC 9112. */
#ifndef BRINK_FUZZ_WIRE_H
#define BRINK_FUZZ_WIRE_H

#include "base/slice.h"

enum wire_framing { WIRE_NO_BODY, WIRE_LENGTH, WIRE_CHUNKED, WIRE_CLOSE };
enum wire_result { WIRE_WHOLE, WIRE_PART, WIRE_BAD };

enum { WIRE_ID_LEN = 4 }; /* of an X-Id that the script's reader made up */

struct wire_msg {
    struct slice method, target; /* requests */
    unsigned status;             /* responses */
    unsigned minor;
    enum wire_framing framing;
    uint64_t length;
    unsigned hosts_n;
    bool close, upgrade, connection_upgrade;
    bool hop_by_hop; /* a field that ends at the next hop */
    struct slice id; /* of the first X-Id; empty: none of ours */
    struct slice head;
    bool head_good;
    uint64_t body_len, body_hash; /* decoded, as far as it came */
    size_t next;                  /* what comes after it */
    const char *why;              /* of WIRE_BAD */
};

/* The message at the start of `in`. WIRE_PART: it is not whole; head.len == 0: not even its head.
 */
enum wire_result wire_request(struct slice in, struct wire_msg *out);

/* `method` of the request it answers; `ended`: the stream ended orderly behind `in`. */
enum wire_result
wire_response(struct slice in, struct slice method, bool ended, struct wire_msg *out);

#endif
