/* Structured fields: Dictionaries and Lists, read strictly. RFC 9651 (which replaces RFC 8941).
 * A field that breaks the grammar anywhere is invalid as a whole (section 4.2), so it is checked to
 * its end before anything of it is handed out. Nothing is allocated; the work is linear in the
 * field.
 *
 * Its lines are read one after another. A member must end on the line it began on, which section
 * 4.2 allows to ask; an empty line among others is the empty member that joining would make. */
#ifndef BRINK_HTTP_SFV_H
#define BRINK_HTTP_SFV_H

#include "http/msg.h"

enum sfv_kind {
    SFV_INTEGER,
    SFV_DECIMAL,
    SFV_STRING,
    SFV_TOKEN,
    SFV_BYTES,
    SFV_BOOLEAN,
    SFV_DATE,
    SFV_DISPLAY_STRING,
    SFV_INNER_LIST
};

/* A member, an item of an inner list, or a parameter (which has no parameters). */
struct sfv_item {
    enum sfv_kind kind;
    struct slice text;       /* as it stands in the field: a number or token; what is between the
                              * quotes, colons or parentheses */
    int64_t number;          /* Integer; Date: seconds since 1970; Decimal: thousandths; Boolean */
    struct slice parameters; /* from the first ";"; for sfv_parameter_next */
};

/* The members that are left. Borrows the fields. */
struct sfv {
    const struct http_fields *fields;
    const struct http_field *field;
    struct slice rest;
};

/* Begin on all lines of a field. False: it is absent or invalid, and there is nothing to read.
 * An empty field is a valid one without members. */
MUST_USE bool
sfv_dictionary(struct sfv *reader, const struct http_fields *fields, struct slice name);
MUST_USE bool sfv_list(struct sfv *reader, const struct http_fields *fields, struct slice name);

/* The next member. False: no more. A key comes as often as it is written; what it has last is its
 * value (section 4.2.2). */
bool sfv_dictionary_next(struct sfv *reader, struct slice *out_key, struct sfv_item *out_member);
bool sfv_list_next(struct sfv *reader, struct sfv_item *out_member);

/* The next of an inner list (`text` of one) or of parameters; what is taken comes off *rest. False:
 * no more. Only for what came out of this parser. */
bool sfv_inner_next(struct slice *rest, struct sfv_item *out_item);
bool sfv_parameter_next(struct slice *rest, struct slice *out_key, struct sfv_item *out_value);

/* Writes the value of a String, Display String (in UTF-8) or Byte Sequence to `out`, which has room
 * for item->text.len bytes; of any other kind the text. Returns its length. */
size_t sfv_decode(const struct sfv_item *item, char *out);

#endif
