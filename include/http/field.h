/* Field values: lists, tokens, quoted strings, dates, entity tags, q-values, byte ranges.
 * RFC 9110 sections 5.6, 8.8, 12.4, 14. */
#ifndef BRINK_HTTP_FIELD_H
#define BRINK_HTTP_FIELD_H

#include "http/msg.h"

bool http_is_token(struct slice text);       /* RFC 9110 section 5.6.2 */
bool http_is_field_value(struct slice text); /* VCHAR, obs-text, blanks inside; no control bytes */

/* The members of a comma-separated list over all fields of one name (RFC 9110 section 5.6.1): empty
 * members are skipped, commas in quoted strings are not separators. */
struct http_list {
    const struct http_fields *fields;
    const struct http_field *field;
    struct slice rest;
};
void
http_list_begin(struct http_list *list, const struct http_fields *fields, enum http_token token);
void
http_list_begin_name(struct http_list *list, const struct http_fields *fields, struct slice name);
bool http_list_next(struct http_list *list, struct slice *out_member);

/* One member off a value: false when there is none left. A quote that nothing closes takes all that
 * follows into its member. */
bool http_list_take(struct slice *rest, struct slice *out_member);

/* name [= token-or-quoted] of a directive; the quotes are taken off (no unescaping).
 * False: malformed. *out_value.ptr is NULL when there is no "=". */
bool http_directive(struct slice member, struct slice *out_name, struct slice *out_value);

/* All three forms of RFC 9110 section 5.6.7; the two-digit year needs `now_s`. Seconds since the
 * epoch. False: not a date. */
bool http_date_parse(struct slice text, int64_t now_s, int64_t *out_s);
enum { HTTP_DATE_LEN = 29 };
void http_date_format(int64_t at_s, char out[HTTP_DATE_LEN + 1]); /* IMF-fixdate */

/* delta-seconds (RFC 9111 section 1.2.2): digits only; too large becomes 2^31. False: malformed. */
bool http_delta_s(struct slice text, uint32_t *out);

struct http_etag {
    struct slice opaque; /* with its quotes */
    bool weak;
};
bool http_etag_parse(struct slice text, struct http_etag *out); /* the whole text */
/* The next of a list. False: the end (*list is then empty), or malformed (it is not). */
bool http_etag_take(struct slice *list, struct http_etag *out);
bool http_etag_equal_strong(const struct http_etag *a, const struct http_etag *b);
bool http_etag_equal_weak(const struct http_etag *a, const struct http_etag *b);

/* Does it open a quoted string that nothing closes? */
bool http_quote_is_open(struct slice text);

/* qvalue of RFC 9110 section 12.4.2, in thousandths. False: malformed. */
bool http_weight_parse(struct slice text, int *out);

/* Weight of `coding` in Accept-Encoding and the like (RFC 9110 section 12.4.2): 0..1000, that of
 * "*" when it is not named itself; -1: neither. A malformed weight is 0. */
int http_weight(const struct http_fields *fields, enum http_token token, struct slice coding);

/* One range of a Range field (RFC 9110 section 14.1.2). Positions past 64 bits are UINT64_MAX. */
struct http_range {
    uint64_t first, last; /* first > last never */
    bool suffix;          /* the last `last` bytes */
    bool open;            /* "first-"; last is UINT64_MAX */
};
/* "bytes=..." with at most `cap` ranges. ERR_SYNTAX: ignore the field; ERR_LIMIT: more than cap. */
MUST_USE enum err
http_range_parse(struct slice value, struct http_range *out, size_t cap, size_t *out_n);

#endif
