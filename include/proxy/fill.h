/* An object on its way in: its head, its body so far, who reads it, and its way into the store. The
 * only thing besides the store and counters that workers share.
 *
 * One feeder (the worker that fetches) appends; any number of readers on any worker follow, woken
 * by a message when there is more. A full block goes to the store at once; when the window is used
 * up, blocks that the store has committed are dropped and readers that are behind go on from the
 * store; what is not stored is kept until every reader has passed it, so the slowest one paces the
 * fetch.
 *
 *   WAITING -> BODY -> DONE        (head published, then whole)
 *      |         |
 *      +---------+---> FAILED
 *
 * Locks: one mutex a fill, one a shard of the table; the table's is taken first. */
#ifndef BRINK_PROXY_FILL_H
#define BRINK_PROXY_FILL_H

#include <sys/uio.h>

#include "cache/object.h"
#include "net/loop.h"
#include "storage/store.h"

struct coding_settings;
struct fill;
struct fill_table;
struct fill_reader;
struct variants;

enum fill_state { FILL_WAITING, FILL_BODY, FILL_DONE, FILL_FAILED };

/* What is known once the head is there. Never changes after it was published. */
struct fill_head {
    struct slice text; /* as cache/validate.h describes it */
    struct slice own;  /* for who began the fetch, when others must not see all; or empty */
    struct cache_object object; /* meaningful for all but `pass` responses */
    uint64_t variant;
    uint64_t family; /* that its other codings are stored under; 0: it has none */
    const uint64_t *labels;
    size_t labels_n;
    bool has_length;
    uint64_t length;           /* of the body */
    enum cache_reason reason;  /* REASON_STORED, or why it is not stored */
    unsigned fwd_status;       /* what the origin said */
    struct store_pin body_pin; /* after a 304: the body is that of this stored object */
};

/* --- table: fills that others may join --- */

/* `window_len`: the most memory of one fill; `memory_len`: of all together, 0: no bound. */
MUST_USE enum err fill_table_new(struct store *store, uint64_t window_len, uint64_t memory_len,
                                 struct fill_table **out);
void fill_table_free(struct fill_table **slot); /* after store_close: no fill is left */

/* The fill under way for this key and these fields of the site's key (cache/vary.h), or a new one
 * (*out_created) with a put begun. One reference, the caller's. ERR_NOMEM. */
MUST_USE enum err fill_open(struct fill_table *table, const struct store_key *key,
                            struct slice keyed, struct fill **out, bool *out_created);
/* The one under way for them; NULL: none. One reference, the caller's. */
struct fill *fill_find(struct fill_table *table, const struct store_key *key, struct slice keyed);
/* A new one that nobody else can join; `store_it`: with a put begun. */
MUST_USE enum err fill_new_private(struct fill_table *table, const struct store_key *key,
                                   struct slice keyed, bool store_it, struct fill **out);
/* Of any fields; what a purge has named since it began does not count. */
bool fill_is_under_way(struct fill_table *table, const struct store_key *key);
struct fill *fill_ref(struct fill *fill);
void fill_unref(struct fill **slot);

/* Of a private one that was not to be stored, before its head: it is, from now on. ERR_NOMEM. */
MUST_USE enum err fill_begin_storing(struct fill *fill);
/* Put a private one whose head was published on the table until its commit, unless another is
 * there. Before fill_finish. */
void fill_enlist(struct fill *fill);
/* Take it off the table: nobody joins it any more. */
void fill_delist(struct fill *fill);

/* Did a purge name it since it began? Its labels count once its head is there. */
bool fill_is_purged(struct fill *fill);
const struct store_key *fill_key(const struct fill *fill);
enum fill_state fill_state(struct fill *fill);
/* The head once published (state BODY or later with a head), else NULL. Valid while referenced. */
const struct fill_head *fill_head(struct fill *fill);
/* Of FILL_FAILED. *out_status: what fill_note_status said, else 0. */
enum err fill_error(struct fill *fill, unsigned *out_status, const char **out_why);
bool fill_is_storing(struct fill *fill);
/* Visible in the store, or not on its way there. Readers are woken when the store is done. */
bool fill_is_settled(struct fill *fill);
/* REASON_STORED until it is known that it is not stored, and why. */
enum cache_reason fill_fate(struct fill *fill);

/* --- the feeder --- */

/* Deep copy; readers are woken. A head with a reason other than REASON_STORED gives up the put and
 * delists the fill; so does one for whose body there is no memory (REASON_FILL_MEMORY in the
 * copy). ERR_NOMEM. */
MUST_USE enum err fill_publish(struct fill *fill, const struct fill_head *head);

/* Before fill_publish, of one that is to be stored: under another key than it is known by here.
 * *out_birth: of the put that is begun for that. ERR_CANCELLED: a purge named it since the fill
 * began, or, with `any`, there was a purge at all; *out_birth is set. ERR_NOMEM. */
MUST_USE enum err fill_store_as(struct fill *fill, const struct store_key *key,
                                const struct fill_head *head, bool any, uint64_t *out_birth);

/* Room for body bytes; 0: the window is used up, `resume` will be called on `loop` when it has room
 * again (or soon, to try again). */
size_t fill_room(struct fill *fill, char **out_room);
/* False: nobody reads it and it is not stored; the fetch may end. */
bool fill_filled(struct fill *fill, size_t n);
bool fill_is_wanted(struct fill *fill);
/* Before the first fill_room. ERR_NOMEM. */
MUST_USE enum err
fill_on_room(struct fill *fill, struct loop *loop, void (*resume)(void *arg), void *arg);
void fill_finish(struct fill *fill);
void fill_fail(struct fill *fill, enum err rc, const char *why);
bool fill_is_read(struct fill *fill);   /* by anybody */
bool fill_is_shared(struct fill *fill); /* by more than one */
/* The same as fill_fail, unless somebody reads it: then false, and it is as it was. */
bool fill_fail_unread(struct fill *fill, enum err rc, const char *why);
void fill_note_status(struct fill *fill, unsigned status); /* of the answer it fails for */

/* Who read it found that its bytes are not what they say they are: it is not stored, and nobody
 * joins it any more. False: it is stored already, or is a stored object. */
bool fill_spoil(struct fill *fill);

/* A reader got it in a coding that was made for him alone: once it is stored, the strong form is
 * wanted (variants_want). Harmless when it is not to be stored. */
void fill_want(struct fill *fill, struct variants *variants, const struct coding_settings *settings,
               enum http_coding coding);

/* After a 304: the published head's body_pin names the body; the store's record gets the new head.
 */
void fill_finish_update(struct fill *fill, uint64_t oid);

/* --- readers --- */

/* `on_wake` runs on `loop` whenever there is news: a head, more bytes, the end. ERR_NOMEM;
 * ERR_CLOSED: too late, the first bytes are neither in memory nor in the store. */
MUST_USE enum err fill_join(struct fill *fill, struct loop *loop, void (*on_wake)(void *arg),
                            void *arg, struct fill_reader **out);
void fill_leave(struct fill_reader **slot);
/* Go on from there. Backwards only in an object that is being stored: of others nobody keeps what
 * all readers passed. Not between fill_next and fill_sent. */
void fill_seek(struct fill_reader *reader, uint64_t off);

enum fill_next {
    FILL_NEXT_DATA,  /* iov is filled; valid until fill_sent */
    FILL_NEXT_STORE, /* the bytes from here on are in the store: *out_oid, up to *out_until */
    FILL_NEXT_WAIT,  /* on_wake will come */
    FILL_NEXT_END,   /* the body is whole and read */
    FILL_NEXT_FAILED
};
enum fill_next fill_next(struct fill_reader *reader, struct iovec *iov, size_t iov_max,
                         size_t *out_n, uint64_t *out_oid, uint64_t *out_until);
void fill_sent(struct fill_reader *reader, uint64_t n); /* n bytes further; releases iov */

#endif
