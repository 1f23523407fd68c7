/* Which answers a request allows. Statuses that answer a condition, a range or an expectation are
 * no answer to a request that had none: what sends them is broken, or the answer is another
 * request's. RFC 9110 sections 13 to 15. Pure. */
#ifndef BRINK_PROXY_ASKED_H
#define BRINK_PROXY_ASKED_H

#include "http/field.h"
#include "http/msg.h"

/* Of a request as the origin got it. */
struct asked {
    bool is_head;
    bool not_modified; /* a condition that 304 answers */
    bool precondition; /* a condition that 412 answers */
    bool range;        /* 206 and 416 are answers */
    bool one_range;    /* in bytes, and it is: */
    struct http_range bytes;
    struct slice unit; /* of the Range field; borrowed of the request */
};

/* `pass`: the client's conditions and Range go on; else they do not. `validating`: brink added
 * conditions of its own for a stored response. */
void asked_for(const struct http_request *request, bool pass, bool validating, struct asked *out);

/* OK: the head may be an answer to it. ERR_ORIGIN_UNASKED; of a 206: ERR_ORIGIN_SYNTAX (it does not
 * say well-formed which part it is), ERR_ORIGIN_FRAMING (its length is not that of the part). */
MUST_USE enum err
asked_check(const struct asked *asked, const struct http_response *response, const char **out_why);

/* How long the body of a response that asked_check let pass must be when its framing does not say:
 * a 206 with one part. False: there is nothing to hold it to. */
bool asked_part(const struct asked *asked, const struct http_response *response, uint64_t *out_len);

/* For a slice of a partial object, with If-Range: exactly these bytes. */
void asked_for_slice(uint64_t first, uint64_t last, struct asked *out);

/* What an answer that asked_check let pass says of it. RFC 9110 section 15.3.7.3. */
enum asked_slice {
    SLICE_RIGHT,    /* these bytes of this representation */
    SLICE_CHANGED,  /* there is another representation now, or none */
    SLICE_UNRANGED, /* the same, but not the bytes asked for: the origin serves no ranges */
    SLICE_FAILED    /* no answer but a failure: it may be asked again later */
};
/* `whole_len` and the strong `etag`: of the representation. */
enum asked_slice asked_slice(const struct asked *asked, const struct http_response *response,
                             uint64_t whole_len, struct slice etag);

#endif
