/* Content codings: their names, which of them a response has, which of them a client takes.
 * RFC 9110 sections 8.4 and 12.5.3; zstd: RFC 8878, its window: RFC 9659; br: RFC 7932. */
#ifndef BRINK_HTTP_CODING_H
#define BRINK_HTTP_CODING_H

#include "http/field.h"

/* Their numbers are kept on disk. */
enum http_coding { CODING_IDENTITY, CODING_GZIP, CODING_BR, CODING_ZSTD, CODING_COUNT };
#define CODING_BIT(coding) (1U << (coding))

const char *coding_name(enum http_coding coding); /* "identity", "gzip", "br", "zstd" */
/* x-gzip is gzip (RFC 9110 section 8.4.1.3); case does not matter. False: none of them. */
bool coding_from(struct slice name, enum http_coding *out);

/* The one coding of a response; CODING_IDENTITY without the field. False: several, or an unknown
 * one: its bytes are not to be touched. */
bool coding_of_response(const struct http_fields *fields, enum http_coding *out);

/* Weights in thousandths by coding, 0: not acceptable. Without the field, and with an empty one,
 * identity alone: what may be sent to such a client (any coding, by the RFC) is not what it can
 * read. identity that is not named, nor excluded by "*;q=0", has weight 1: it comes last. A
 * malformed member counts as not there. */
struct coding_accept {
    uint16_t weight[CODING_COUNT];
};
void coding_accept_parse(const struct http_fields *fields, struct coding_accept *out);

/* The best of `offered` (bits): by weight, then by the place in `order` (order_n codings; those
 * that are not in it come last, identity behind all). Nothing offered is acceptable: *out is
 * CODING_IDENTITY when that is offered, else any that is, and false. */
bool coding_choose(const struct coding_accept *accept, unsigned offered, const uint8_t *order,
                   size_t order_n, enum http_coding *out);

#endif
