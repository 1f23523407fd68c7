/* A response body on its way to the client, from wherever it is: the store's map, a fill, slices,
 * or text of our own. The carrier (proxy/h1_conn) pulls, so a slow client slows nothing else. */
#ifndef BRINK_PROXY_DELIVER_H
#define BRINK_PROXY_DELIVER_H

#include "proxy/deliver_code.h"
#include "proxy/slices.h"
#include "proxy/warming.h"

enum deliver_source { DELIVER_NOTHING, DELIVER_TEXT, DELIVER_STORE, DELIVER_FILL, DELIVER_SLICES };

enum { DELIVER_IOV_MAX = 16, DELIVER_BATCH_MAX = 1 << 20 };

/* Of a body in parts (multipart/byteranges): a text, then bytes of the source. */
struct deliver_part {
    struct slice text; /* never empty */
    uint64_t first, len;
};

struct deliver {
    enum deliver_source source;
    struct proxy *proxy;
    uint64_t off, end; /* of the body; end is UINT64_MAX when unknown */
    struct slice text; /* DELIVER_TEXT */
    struct slice lead; /* what is left of a part's text */
    const struct deliver_part *parts;
    size_t parts_n; /* still to come */
    struct store_object
        object;      /* DELIVER_STORE: oid, slot and length; slices only in its section */
    bool in_section; /* the section that found `object` is still open */
    struct store_pin pin;
    struct fill_reader *reader; /* DELIVER_FILL: ours from deliver_fill on */
    struct slices *slices;      /* DELIVER_SLICES: the caller's */
    enum err failed;            /* of `code`: why DELIVER_FAILED; OK: it was the source */
    struct deliver_code *code;  /* what the source's bytes go through; NULL: they go as they are */
    struct warming warming;     /* pages are on their way from disk */
    unsigned cold_n;            /* times in a row that what comes next was not in memory */
    void (*on_more)(void *arg); /* after DELIVER_WAIT: try again */
    void (*on_bad)(void *arg, enum err rc); /* of `code` */
    void *arg;
};

/* `on_more` is called on the loop. */
void
deliver_init(struct deliver *deliver, struct proxy *proxy, void (*on_more)(void *arg), void *arg);
void deliver_fini(struct deliver *deliver); /* lets go of everything; harmless twice */

void deliver_text(struct deliver *deliver, struct slice text); /* kept by the caller */

/* Bytes [first, first + len) of a stored object, found in the open section. False: it is just
 * going, and too large to be sent at once. */
MUST_USE bool deliver_store(struct deliver *deliver, const struct store_object *object,
                            uint64_t first, uint64_t len);
/* The same of an object that `pin` holds until the deliver ends; the pin stays the caller's. */
void
deliver_pinned(struct deliver *deliver, const struct store_pin *pin, uint64_t first, uint64_t len);

/* Bytes from `first` up to `end` (UINT64_MAX: all) of a fill. Takes the reader. */
void
deliver_fill(struct deliver *deliver, struct fill_reader *reader, uint64_t first, uint64_t end);

/* The same of a partial object's body; the slices stay the caller's and outlive the deliver. */
void deliver_slices(struct deliver *deliver, struct slices *slices, uint64_t first, uint64_t len);

/* Of the source that was set just now, these parts; they and their texts are kept by the caller. Of
 * a fill that is not stored, later parts must lie behind earlier ones. */
void deliver_parts(struct deliver *deliver, const struct deliver_part *parts, size_t parts_n);

/* The source that was set just now, but for slices, and that whole: its bytes go through `code`,
 * which was made for this deliver and is its own from now on. `on_bad`: they are malformed
 * (ERR_CODING) or decode to more than they may (ERR_CODING_BOMB), so the source should be
 * forgotten; DELIVER_FAILED follows. */
void deliver_coded(struct deliver *deliver, struct deliver_code *code,
                   void (*on_bad)(void *arg, enum err rc));

/* Of a stored object that was set just now, are the bytes right that come first? When not, the
 * deliver is as if nothing had been set. */
enum deliver_start {
    DELIVER_RIGHT,
    DELIVER_DAMAGED, /* the object is on its way out */
    DELIVER_COLD     /* who knows: *out has to be brought into memory first */
};
struct deliver_cold {
    struct store_source source;
    uint64_t off, len;
};
MUST_USE enum deliver_start deliver_verify(struct deliver *deliver, struct deliver_cold *out);

enum deliver_next {
    DELIVER_DATA,  /* iov is filled, at most DELIVER_IOV_MAX; valid until deliver_sent */
    DELIVER_WAIT,  /* on_more will come */
    DELIVER_END,   /* all was given */
    DELIVER_FAILED /* the rest will not come: the client must see that */
};
enum deliver_next deliver_next(struct deliver *deliver, uint64_t len_max, struct iovec *iov,
                               size_t *out_n, uint64_t *out_len);
void deliver_sent(struct deliver *deliver, uint64_t n); /* of what deliver_next gave; may be 0 */

/* --- for src/proxy/deliver*.c alone: the same before `code`, and behind it --- */

enum deliver_next deliver_next_plain(struct deliver *deliver, uint64_t len_max, struct iovec *iov,
                                     size_t *out_n, uint64_t *out_len);
void deliver_sent_plain(struct deliver *deliver, uint64_t n);
enum deliver_next deliver_next_coded(struct deliver *deliver, uint64_t len_max, struct iovec *iov,
                                     size_t *out_n, uint64_t *out_len);
void deliver_sent_coded(struct deliver *deliver, uint64_t n);

/* The callback ends and not all is sent: keep the object. False: it has gone. */
MUST_USE bool deliver_hold(struct deliver *deliver);

#endif
