/* What is on the disk: how a body is cut into pieces, and the layout of every record.
 *
 * Keys are `oid << 20 | piece`, native 64-bit integers. Piece RECORD_PIECE is the commit record: it
 * is written last, so an object that has one is whole. Object id 0 is the store's own: piece 0 is
 * the header, the others are the purges still at work.
 *
 * Values are only 2-byte aligned in the map, so numbers are copied out. Each piece ends with a
 * checksum of its bytes, and each record begins with one over the rest, both seeded with their key:
 * what lies at the wrong place is wrong too. No length in a record is believed before it was
 * compared with the value's own. Numbers are in the machine's order: a store is not portable
 * between byte orders, and does not need to be. */
#ifndef BRINK_STORAGE_RECORD_H
#define BRINK_STORAGE_RECORD_H

#include "base/slice.h"

#define RECORD_PAGE_LEN 4096U
#define RECORD_PIECE_BITS 20
#define RECORD_PIECE 0xfffffU      /* the commit record */
#define RECORD_PIECES_MAX 0xffff0U /* 68.7 GB */
#define RECORD_TAIL_MAX 1500U      /* the rest of a body that lies in its record */
#define RECORD_SUM_LEN 8U          /* at the end of a piece */
#define RECORD_LEAF_MAX 2022U      /* a longer value takes pages of its own */
#define RECORD_LEN_MAX (4U << 20)  /* key, labels, meta, head and tail together */
#define RECORD_OID_MAX ((1ULL << 44) - 1)

static inline uint64_t
record_key(uint64_t oid, uint64_t piece)
{
    return oid << RECORD_PIECE_BITS | piece;
}

/* --- pieces: a pure function of the body's length --- */

/* A piece of a body: `len` bytes from `off` on, without their checksum. */
struct record_span {
    uint64_t off;
    uint32_t piece; /* RECORD_PIECE: the tail, in the commit record */
    uint32_t len;
};

uint64_t record_pieces_n(uint64_t body_len); /* without the commit record */
uint32_t record_tail_len(uint64_t body_len);

/* The piece that holds byte `off`. off < body_len; body_len <= RECORD_PIECES_MAX full pieces. */
struct record_span record_span_at(uint64_t body_len, uint64_t off);

/* Pages and leaf bytes of a value of this length. */
struct record_room {
    uint64_t pages;      /* whole pages of its own */
    uint64_t leaf_bytes; /* in the tree's leaves */
};
void record_room_add(struct record_room *room, uint64_t value_len);

/* Of all pieces of a body, without its record. */
void record_room_add_body(struct record_room *room, uint64_t body_len);

/* Of a whole object, in units of RECORD_ROOM_UNIT bytes: its pages, and its part of leaves. */
#define RECORD_ROOM_UNIT 64U
uint32_t record_object_room(uint64_t body_len, size_t record_len);

/* Writes len + RECORD_SUM_LEN bytes: the piece's value. */
void record_piece_encode(const void *bytes, uint32_t len, uint64_t key, void *out);

/* Its bytes, without the checksum, as long as `span_len` says. ERR_STORE_CORRUPT: it is of another
 * length. */
MUST_USE enum err record_piece_decode(struct slice value, uint32_t span_len, struct slice *out);

/* Are the bytes of a piece those that were written? They are followed by their checksum. */
MUST_USE bool record_piece_is_right(struct slice bytes, uint64_t key);

/* --- the commit record --- */

enum record_flag {
    RECORD_SOFT = 1, /* purged softly: stale */
    RECORD_DEAD = 2, /* removed while somebody was reading it; found at start: to be deleted */
};

struct record {
    uint16_t flags;
    uint8_t member; /* of a family; 0: an object of its own, or the head */
    uint32_t group; /* whose share of the store it counts to (store_group); 0: none */
    uint64_t variant, birth, body_len;
    uint64_t family; /* 0: of none; a member has its head's */
    struct slice key, meta, head, tail;
    const void *labels; /* labels_n numbers of 64 bits, not aligned */
    size_t labels_n;
};

size_t record_len(const struct record *record);

/* Writes record_len() bytes. */
void record_encode(const struct record *record, uint64_t oid, void *out);

/* Slices point into `value`. With `verify`, the checksum too. ERR_STORE_CORRUPT. */
MUST_USE enum err record_decode(struct slice value, uint64_t oid, bool verify, struct record *out);

/* --- the store's own records --- */

struct record_header {
    uint64_t oid_next;  /* no id from here on was ever used */
    uint64_t purge_seq; /* purges up to this are applied, or have a record */
    uint64_t purge_id;  /* the last one given */
    uint64_t store_id;  /* random: of no other file */
    uint64_t soft_all;  /* seq of the last soft purge of everything: older objects are stale */
};
#define RECORD_HEADER_LEN 64U

void record_header_encode(const struct record_header *header, void *out);

/* ERR_STORE_CORRUPT; ERR_STORE_VERSION. */
MUST_USE enum err record_header_decode(struct slice value, struct record_header *out);

/* A purge at work. */
struct record_purge {
    uint8_t kind; /* enum store_purge_kind */
    bool soft;
    uint64_t seq, id, label;
    int64_t began_ms;          /* since the epoch */
    uint64_t matched, removed; /* so far; removed: or marked, when it is soft */
    struct slice text;
};

size_t record_purge_len(const struct record_purge *purge);
void record_purge_encode(const struct record_purge *purge, uint64_t piece, void *out);
MUST_USE enum err record_purge_decode(struct slice value, uint64_t piece, struct record_purge *out);

#endif
