/* Objects kept on disk, found by key, read from the map: the one interface of storage/.
 *
 * An object is a key, some labels (64-bit names it can be purged by), `meta` and `head` (bytes that
 * only the caller understands) and a body. It becomes visible whole or not at all. One writer
 * thread owns every write; readers take no lock and never wait for it. Nothing here knows HTTP.
 *
 * Birth: every put carries the store's purge count of the moment it began. A purge applies to what
 * was born before it, so an object on its way in cannot slip past a purge.
 *
 * Family: an object put with a family number (the caller's, not 0, and another one for every body)
 * is the head of one. Members are made of its body (its codings, say): put under the same key,
 * variant and family, with a number from 1 to 255. A member is found only through its head, and is
 * stored only beside it: when the head goes, in whatever way, its members go in the same
 * transaction. A head that is refreshed keeps them. A member has no labels and no freshness of its
 * own, purges name it by its head alone, and it may be evicted by itself.
 *
 * Threads: store_* may be called on any thread unless said otherwise; a store_reader belongs to
 * one. Completion callbacks run on a thread of the store and must not block: post to a loop. */
#ifndef BRINK_STORAGE_STORE_H
#define BRINK_STORAGE_STORE_H

#include <sys/uio.h>

#include "base/block.h"
#include "base/slice.h"

struct store;
struct store_reader;
struct store_put;

/* A part of the store that its objects fill by themselves: what others store never evicts them
 * while they take no more than their share. Room that a share does not use is lent to the others.
 */
struct store_share {
    uint32_t group;   /* store_group(name) */
    unsigned percent; /* 1 to 100; of all shares together 100 at most */
};

#define STORE_INDEX_MEMORY_MIN (4U << 20)

struct store_settings {
    const char *path;          /* folder; made when missing */
    uint64_t size_len;         /* the map: the file never grows past it; at least 4 MiB */
    uint64_t object_max_len;   /* largest body kept; 0: an eighth of size_len */
    uint64_t queue_max_len;    /* bytes that may wait for the writer */
    uint64_t index_memory_len; /* 0: an eighth of size_len, 16 MiB to 1 GiB */
    unsigned purges_max;       /* names that purges at work may have; 0: 65,536 */
    uint64_t batch_len;        /* bytes of one transaction; 0: fitting the size (8 MiB at most) */
    unsigned batch_ms;         /* the longest a put waits for its commit */
    unsigned readers_max;      /* store_readers that may exist at once */
    unsigned variants_max;     /* objects under one key, without members; 0: 128 */
    unsigned scan_wait_ms;     /* how long store_open waits for the index after a crash */
    const struct store_share *shares; /* copied */
    size_t shares_n;                  /* 255 at most */
    uint64_t seen_len;                /* memory of store_seen; 0: none, all keys count as seen */
    unsigned warm_threads_n;          /* that wait for the disk in the readers' place; 0: 8 */
    unsigned warm_queue_max;          /* look-ups that may wait for them; 0: 1024 */
};

struct store_hash {
    uint64_t lo, hi; /* XXH3-128 */
};
struct store_hash store_hash(struct slice text);
uint32_t store_group(struct slice name);            /* of a share; never 0 */
uint64_t store_label(char kind, struct slice text); /* XXH3-64 of both; kinds are the caller's */

/* A key: its text is stored and compared on every hit, its hash finds it. */
struct store_key {
    struct store_hash hash; /* store_hash(text) */
    struct slice text;
    uint32_t group; /* whose share what is put under it counts to; 0, or one without: the rest */
};

/* Called once, on a thread of the store. `n`: what the call says. */
struct store_done {
    void (*fn)(void *arg, enum err rc, uint64_t n); /* NULL: nobody waits */
    void *arg;
};

/* --- life --- */

/* Open or create the store and start its threads. `why` gets one line for people on failure (what,
 * where, what to do). A damaged file is set aside and a new one begun (counted, logged).
 * Errors: ERR_STORE_BUSY, ERR_SYSTEM (folder missing or not permitted), ERR_NOMEM. */
MUST_USE enum err
store_open(const struct store_settings *settings, struct store **out, char *why, size_t why_cap);

/* Write what is queued, save the index, stop the threads. All readers and puts are gone before. */
void store_close(struct store **slot);

bool store_is_ready(const struct store *store);               /* the index is whole */
bool store_wait_ready(struct store *store, unsigned wait_ms); /* is it, after so long at most? */
uint64_t store_object_max_len(const struct store *store);     /* the largest body it takes */

struct store_usage {
    uint64_t own_len;  /* bytes of the room that are its own */
    uint64_t objects;  /* without members, as in the gauge store_objects; store_members has those */
    uint64_t used_len; /* bytes in pages and leaves, of members and of pieces on their way in too */
    uint64_t evictions; /* since the start; members that went by themselves are among them */
};
/* Of a share; of group 0: of all that has none. As of the writer's last turn. False: there is no
 * such share, and *out is group 0's. */
bool store_share_usage(const struct store *store, uint32_t group, struct store_usage *out);

/* For admission: was the key asked about before, as far back as is remembered? From now on it was.
 */
bool store_seen(struct store *store, const struct store_key *key);

/* --- reading: between begin and end, within one callback; slices end with it --- */

MUST_USE enum err store_reader_new(struct store *store, struct store_reader **out);
void store_reader_free(struct store_reader **slot);
void store_read_begin(struct store_reader *reader);
void store_read_end(struct store_reader *reader); /* nothing of the map is valid afterwards */

struct store_object {
    uint64_t oid;     /* never used twice */
    uint32_t slot;    /* of the index; the store's own */
    bool soft_purged; /* to be treated as stale */
    uint8_t member;   /* 0: an object of its own, or the head of a family */
    uint64_t variant; /* the caller's, from its record */
    uint64_t family;  /* 0: it has none */
    uint64_t birth;
    uint64_t body_len;
    struct slice key, meta, head, tail; /* tail: the last bytes of the body */
    const uint64_t *labels;
    size_t labels_n;
};

struct store_cursor {
    uint64_t position;
    const struct store_key *key;
    bool cold; /* set by store_find */
};

/* The objects under a key, newest first, purged ones and members left out. Begin with *cursor
 * zeroed and `key` set. False: no more, or (cursor->cold) the next one's record is not in memory,
 * or not in reach at this moment, and the reader is a hurried one. A damaged record is dropped and
 * counted. */
MUST_USE bool
store_find(struct store_reader *reader, struct store_cursor *cursor, struct store_object *out);

/* The member of that number (not 0) of an object that was found in this section, or is pinned: one
 * look-up in the index, one record, no memory. It has no labels; it is as soft_purged as its head.
 * False: there is none, or (*out_cold) it is not in memory, or not in reach at this moment, and the
 * reader is a hurried one. A damaged one is dropped and counted, its head and the other members
 * stay. */
MUST_USE bool store_find_member(struct store_reader *reader, const struct store_object *head,
                                uint8_t member, struct store_object *out, bool *out_cold);

/* For inspection: the member with the lowest number above `after` (0 to begin). Else as above; when
 * it is cold, what may follow is not looked at. */
MUST_USE bool store_next_member(struct store_reader *reader, const struct store_object *head,
                                uint8_t after, struct store_object *out, bool *out_cold);

/* It was used: eviction lets it be for a while. A member that is used counts for itself alone:
 * touch its head, too. */
void store_touch(struct store_reader *reader, const struct store_object *object);

/* Keep an object readable after store_read_end: evicted or purged ones stay until unpinned. */
struct store_pin {
    struct store *store; /* NULL: nothing pinned */
    uint64_t oid;
    uint32_t slot;
    uint64_t body_len;
};
MUST_USE bool store_pin(struct store_reader *reader, const struct store_object *object,
                        struct store_pin *out); /* false: it is going, or pinned too often */
void store_unpin(struct store_pin *pin);

/* Whose body is read: that of an object of this section or of a pin, or of a put. */
struct store_source {
    uint64_t oid, body_len;
    uint32_t slot; /* the object's or the pin's */
};
#define STORE_NO_SLOT UINT32_MAX /* of a put */

/* Body bytes from `off` on, as pointers into the map: up to `iov_max` entries and `len_max` bytes.
 * *out_n: entries filled (0 at the end of the body). What is read first after the start is compared
 * with its checksum, so these bytes are those that were stored.
 * Errors: ERR_AGAIN: cold as above, and the reader is a hurried one (fewer entries when some are
 * not);
 * ERR_STORE_CORRUPT: the next piece is damaged; the object is dropped, and not found from
 * now on. ERR_NOT_FOUND (must not happen with a pin, or within the section that found it). */
MUST_USE enum err
store_body(struct store_reader *reader, const struct store_source *source, uint64_t off,
           uint64_t len_max, struct iovec *iov, size_t iov_max, size_t *out_n);

/* Would store_body give all of [off, off + len)? Costs next to nothing when it did before. Errors
 * as above. */
MUST_USE enum err store_verify(struct store_reader *reader, const struct store_source *source,
                               uint64_t off, uint64_t len);

/* --- waiting for the disk, on threads of the store: never on an event loop's --- */

/* While it is hurried this reader never waits for the disk, nor while the store moves to another
 * file: store_find and store_body say so instead. A new one is not. */
void store_reader_hurry(struct store_reader *reader, bool hurried);

struct store_warming;

/* Bring what a look-up of `key` reads (all objects under it, their members, and the first bytes of
 * small ones) into memory, then call `done`; look again then. While the store moves to another
 * file, that comes first. Errors: ERR_LIMIT: warm_queue_max look-ups wait already; ERR_NOMEM. On an
 * error `done` is not called. */
MUST_USE enum err store_warm_find(struct store *store, const struct store_key *key,
                                  struct store_done done, struct store_warming **out);
/* The same for bytes [off, off + len) of a body; `len` may be cut to some pieces. ERR_NOMEM. */
MUST_USE enum err
store_warm_body(struct store *store, const struct store_source *source, uint64_t off, uint64_t len,
                struct store_done done, struct store_warming **out);
/* Its caller is through with it. When it still waits for its turn, `done` is called at once, with
 * ERR_CANCELLED: so what waits is bounded by what its callers keep. */
void store_warm_end(struct store_warming **slot);

/* --- writing: a put is one object on its way in, or one stored object to be refreshed --- */

/* Registers the birth; costs little and needs no writer. ERR_NOMEM. */
MUST_USE enum err
store_put_begin(struct store *store, const struct store_key *key, struct store_put **out);
uint64_t store_put_birth(const struct store_put *put);

/* The next full piece: block->len == BLOCK_FULL_LEN, and its bytes will not change; the put takes a
 * reference of its own. `done`: it is committed, or never will be; with one, the writer commits at
 * once instead of waiting for more. On an error here `done` is not called. ERR_STORE_FULL: the
 * queue is full or the object too large: the put is dead, what it stored can still be read until it
 * is released. */
MUST_USE enum err
store_put_block(struct store_put *put, struct block *block, struct store_done done);

/* What makes an object of the pieces. Copied. */
struct store_record {
    uint8_t member;        /* 0: an object of its own, or the head of a family */
    uint64_t variant;      /* replaces the object of the same key and variant; a member: of the same
                              number */
    uint64_t family;       /* 0: it has none, and can have no members */
    uint64_t replaces_oid; /* and this one, with its members; 0: none; not for members */
    struct slice meta, head;
    const uint64_t *labels;
    size_t labels_n;
};

/* No more pieces; `rest` (may be NULL; any length up to BLOCK_FULL_LEN) ends the body. `done`: the
 * object is visible and durable (n = oid), or why not; ERR_CANCELLED when a purge named it (or a
 * member's head) meanwhile, ERR_NOT_FOUND when a member's head is not stored, or is of another
 * family. A member counts to its head's share and has no labels. On an error here `done` is not
 * called. Errors: ERR_STORE_FULL, ERR_NOMEM. */
MUST_USE enum err store_put_end(struct store_put *put, const struct store_record *record,
                                struct block *rest, struct store_done done);

/* Instead of pieces: give object `oid` this head, meta and labels; its body, variant, family and
 * members are as they were. Lifts a soft purge that is older than this put. `done` as above;
 * ERR_NOT_FOUND: it has gone, or is a member. */
MUST_USE enum err store_put_update(struct store_put *put, uint64_t oid,
                                   const struct store_record *record, struct store_done done);

/* How many body bytes can be read with store_body(reader, store_put_oid(put), ...): whole pieces,
 * committed. For readers that are behind the blocks still held in memory. */
uint64_t store_put_stored_len(const struct store_put *put);
uint64_t store_put_oid(const struct store_put *put); /* 0 while nothing is stored */

/* The caller is done with it. Without store_put_end before, what was stored is removed. */
void store_put_release(struct store_put **slot);

/* --- purging --- */

enum store_purge_kind {
    STORE_PURGE_KEY,    /* every variant of one key */
    STORE_PURGE_LABEL,  /* whatever carries the label */
    STORE_PURGE_PREFIX, /* keys that start with the text */
    STORE_PURGE_ALL
};

struct store_purge {
    enum store_purge_kind kind;
    bool soft;         /* mark stale instead of removing */
    uint64_t label;    /* STORE_PURGE_LABEL */
    struct slice text; /* the key, or the prefix; copied */
};

/* All of them at once. When `done` runs they are on disk and no reader finds what they name; n =
 * stored objects, members not counted, that STORE_PURGE_KEY rows matched (of those found so far,
 * while the index is not whole: the state counts all). That is in a time which depends neither on
 * how many objects match nor on what the writer is busy with. What they match is removed in the
 * background: ask by the id. ERR_NOMEM; ERR_LIMIT when too many purges are still at work. */
MUST_USE enum err store_purge(struct store *store, const struct store_purge *purges,
                              size_t purges_n, struct store_done done, uint64_t *out_id);

enum store_purge_state {
    STORE_PURGE_WAITING,  /* it holds; what it names is not looked for yet */
    STORE_PURGE_SWEEPING, /* what it names is looked for, and goes */
    STORE_PURGE_DONE      /* nothing that it names is left */
};

struct store_purge_status {
    enum store_purge_state state;
    bool soft;                  /* every row of it */
    uint64_t matched;           /* stored objects that it names, so far; members are no objects */
    uint64_t removed, marked;   /* of these: because of it, and of no earlier purge */
    int64_t began_ms, ended_ms; /* since the epoch; ended_ms 0 while at work */
};
/* Those at work are known after a restart, too, with what they had done; of those that have ended,
 * the last 1,024 since the start. ERR_NOT_FOUND: unknown, or too long ago. */
MUST_USE enum err
store_purge_status(struct store *store, uint64_t id, struct store_purge_status *out);

/* Does a purge younger than `birth` name this? For objects that are not stored yet. */
enum store_purged { STORE_NOT_PURGED, STORE_PURGED_SOFT, STORE_PURGED_HARD };
enum store_purged
store_purged_since(struct store *store, uint64_t birth, const struct store_key *key,
                   const uint64_t *labels, size_t labels_n);

/* --- checking --- */

enum store_check_state {
    STORE_CHECK_NONE, /* there was none since the start */
    STORE_CHECK_RUNNING,
    STORE_CHECK_DONE,
    STORE_CHECK_STOPPED,
    STORE_CHECK_FAILED /* the file was set aside under it, its tree is damaged, no memory: `rc` */
};

struct store_check {
    enum store_check_state state;
    enum err rc;
    uint64_t objects, bytes; /* read and right, members included */
    uint64_t members;        /* of the objects */
    uint64_t bad; /* objects that were damaged, and members without their head: dropped */
    uint64_t used_pages, free_pages, file_pages; /* used + free == file: no page is lost */
    uint64_t rate;                               /* bytes a second; 0: as fast as it goes */
    unsigned permille;                           /* done: of the ids that there are */
    int64_t began_s, ended_s;                    /* seconds since the epoch; ended_s 0: not yet */
};

/* Read every object and account for every page, in short transactions, while the store serves. What
 * is damaged is dropped. On the caller's thread. ERR_NOMEM; ERR_STORE_IO: there is no file at the
 * moment; ERR_AGAIN: it is written faster than its pages are counted. */
MUST_USE enum err store_check(struct store *store, struct store_check *out);

/* The same on a thread of the store's, at `rate` bytes a second (0: no limit); store_close stops
 * it. Start and stop are for one thread. ERR_STORE_BUSY: one is running; ERR_AGAIN: the index is
 * not whole; ERR_SYSTEM. */
MUST_USE enum err store_check_start(struct store *store, uint64_t rate);
void store_check_stop(struct store *store); /* it soon ends; harmless without one */
void store_check_status(struct store *store, struct store_check *out);

#endif
