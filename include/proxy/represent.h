/* Which representation of an object goes to a client: the one that is stored, a member that was
 * made of it and is kept beside it, or a quick form that is made on its way out. RFC 9110 sections
 * 12.5.3 and 14.2. Only of objects that have several (variant_varies). */
#ifndef BRINK_PROXY_REPRESENT_H
#define BRINK_PROXY_REPRESENT_H

#include "proxy/reply.h"

enum represent_form { REPRESENT_STORED, REPRESENT_MEMBER, REPRESENT_QUICK };

struct representation {
    enum represent_form form;
    enum http_coding coding;
    bool ranges;                /* parts of it can be asked for */
    struct slice own;           /* its own lines (cache/variant.h); not of REPRESENT_STORED */
    struct store_object member; /* REPRESENT_MEMBER; of this read section */
    struct deliver_code *code;  /* REPRESENT_QUICK: for its body; the caller's */
    char lines[VARIANT_LINES_MAX];
};

/* What the client takes: remembered from the request before when it said the same. Valid until the
 * next one is asked for. */
const struct coding_accept *
represent_accept(struct represent_memo *memo, const struct http_fields *fields);

/* The coding that goes to who accepts so. What the origin coded stays so for who likes nothing
 * better; `as_it_is`: the request says no-transform (RFC 9111 section 5.2.1.6), so it stays what
 * it is. False: nothing that it can be sent in is acceptable. */
bool represent_choose(const struct variant_settings *settings, const struct cache_object *object,
                      const struct coding_accept *accept, bool as_it_is, enum http_coding *out);

/* `with_body`: a quick form's coder is made. REPLY_COLD: whether there is a member is on disk
 * alone. REPLY_REFUSED: the memory for coders is used up, and the client takes nothing else.
 * REPLY_GONE: never. */
enum reply_made represent_reply(struct request *req, const struct reply_source *source,
                                bool with_body, struct representation *out);
/* The member that it chose cannot be sent: another form. */
enum reply_made represent_without_member(struct request *req, const struct reply_source *source,
                                         struct representation *out);

/* What a source's bytes prove to be when they are decoded (deliver_coded): it is forgotten. */
void represent_on_bad(void *arg, enum err rc);

/* The reply goes out in the form that it has (req->form, not the stored one): counted, and a strong
 * form is asked for where only a quick one was. */
void represent_note(struct request *req, const struct reply_source *source);

#endif
