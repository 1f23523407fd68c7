/* What stands between a body's source and its client when it goes out in another coding than it
 * came in: a coder with a little room behind it. Made with the reply, so that who finds no memory
 * for it can still choose another form. */
#ifndef BRINK_PROXY_DELIVER_CODE_H
#define BRINK_PROXY_DELIVER_CODE_H

#include "base/list.h"
#include "net/loop.h"
#include "transform/coder.h"

/* What the coders of one worker may still do before others have their turn, and which of them wait
 * for that. Its loop's alone. */
struct deliver_share {
    struct list waiting; /* struct deliver_code */
    struct wake *wake;
    uint64_t left_len;
};
MUST_USE enum err deliver_share_init(struct deliver_share *share, struct loop *loop); /* NOMEM */
void deliver_share_fini(struct deliver_share *share); /* no coder is left; harmless on zeros */

struct deliver_code; /* opaque; fields live in src/proxy/deliver_code.c */
struct deliver;

struct deliver_code_plan {
    enum http_coding from, to; /* not the same */
    int level;
    uint64_t size_hint; /* of the source, 0: unknown */
};

/* For that one, which is initialised. ERR_LIMIT: the memory for coders is used up; ERR_NOMEM. */
MUST_USE enum err deliver_code_new(struct deliver *deliver, const struct deliver_code_plan *plan,
                                   struct deliver_code **out);
void deliver_code_free(struct deliver_code **slot);

#endif
