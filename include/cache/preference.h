/* Fields by which clients say what they prefer, in one form for all that ask for the same.
 * RFC 9110 section 12.5: weights alone order the members of Accept, Accept-Charset, Accept-Encoding
 * and Accept-Language, the order they are written in says nothing. Pure. */
#ifndef BRINK_CACHE_PREFERENCE_H
#define BRINK_CACHE_PREFERENCE_H

#include "http/msg.h"

enum { PREFERENCE_LEN_MAX = 1024, PREFERENCE_MEMBERS_MAX = 64 };

struct preference {
    size_t len;
    char text[PREFERENCE_LEN_MAX];
};

bool preference_is(struct slice name); /* lower case: one of the four */

/* The members of all lines of that name, in order and once each: names and ranges in lower case,
 * no blanks but one after each comma, weights without what means nothing (";q=1", zeros at the
 * end). `first`: the first line. False: malformed, or too long or too many; then what was sent has
 * to be taken as it is. */
bool preference_write(const struct http_fields *fields, const struct http_field *first,
                      struct preference *out);

#endif
