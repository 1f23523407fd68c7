/* Piece arithmetic and the encoding of records. Pure: no LMDB, no memory of its own. */
#include "storage/record.h"

#include <xxhash.h>

#include "base/block.h"
#include "storage/store.h"

enum { RECORD_VERSION = 3, HEADER_VERSION = 3, PURGE_VERSION = 2 };

/* Power-of-two runs of pages, filled exactly: pages x 4,096 less LMDB's 16-byte page header and the
 * piece's checksum. */
static const uint32_t runs[] = {32744, 16360, 8168, 4072};

/* The largest run that fits. What is under a page but over RECORD_TAIL_MAX is one more piece. */
static uint32_t
next_run(uint32_t rest)
{
    for (size_t i = 0; i < ARRAY_LEN(runs); i++)
        if (rest >= runs[i])
            return runs[i];
    return rest > RECORD_TAIL_MAX ? rest : 0;
}

uint64_t
record_pieces_n(uint64_t body_len)
{
    uint64_t n = body_len / BLOCK_FULL_LEN;
    uint32_t rest = (uint32_t)(body_len % BLOCK_FULL_LEN);

    for (uint32_t run; (run = next_run(rest)) != 0; rest -= run)
        n++;
    return n;
}

uint32_t
record_tail_len(uint64_t body_len)
{
    uint32_t rest = (uint32_t)(body_len % BLOCK_FULL_LEN);

    for (uint32_t run; (run = next_run(rest)) != 0;)
        rest -= run;
    return rest;
}

struct record_span
record_span_at(uint64_t body_len, uint64_t off)
{
    uint64_t full_n = body_len / BLOCK_FULL_LEN;
    struct record_span span = {.piece = (uint32_t)(off / BLOCK_FULL_LEN), .len = BLOCK_FULL_LEN};
    uint32_t rest = (uint32_t)(body_len % BLOCK_FULL_LEN);

    ASSERT(off < body_len);
    span.off = (uint64_t)span.piece * BLOCK_FULL_LEN;
    if (span.piece < full_n)
        return span;
    for (uint32_t run; (run = next_run(rest)) != 0; rest -= run, span.off += run, span.piece++) {
        if (off < span.off + run) {
            span.len = run;
            return span;
        }
    }
    span.piece = RECORD_PIECE;
    span.len = rest;
    return span;
}

void
record_room_add(struct record_room *room, uint64_t value_len)
{
    if (value_len > RECORD_LEAF_MAX) {
        room->pages += (value_len + 15) / RECORD_PAGE_LEN + 1;
        room->leaf_bytes += 26;
    } else {
        room->leaf_bytes += value_len + 18;
    }
}

void
record_room_add_body(struct record_room *room, uint64_t body_len)
{
    uint32_t rest = (uint32_t)(body_len % BLOCK_FULL_LEN);

    room->pages += body_len / BLOCK_FULL_LEN * 16;
    room->leaf_bytes += body_len / BLOCK_FULL_LEN * 26;
    for (uint32_t run; (run = next_run(rest)) != 0; rest -= run)
        record_room_add(room, run + RECORD_SUM_LEN);
}

uint32_t
record_object_room(uint64_t body_len, size_t record_length)
{
    struct record_room room = {0};
    uint64_t len;

    record_room_add_body(&room, body_len);
    record_room_add(&room, record_length);
    len = room.pages * RECORD_PAGE_LEN + room.leaf_bytes;
    return (uint32_t)((len + RECORD_ROOM_UNIT - 1) / RECORD_ROOM_UNIT);
}

void
record_piece_encode(const void *bytes, uint32_t len, uint64_t key, void *out)
{
    uint64_t sum = XXH3_64bits_withSeed(bytes, len, key);

    memcpy(out, bytes, len);
    memcpy((char *)out + len, &sum, sizeof(sum));
}

enum err
record_piece_decode(struct slice value, uint32_t span_len, struct slice *out)
{
    if (value.len != (size_t)span_len + RECORD_SUM_LEN)
        return ERR_STORE_CORRUPT;
    *out = slice_first(value, span_len);
    return OK;
}

bool
record_piece_is_right(struct slice bytes, uint64_t key)
{
    uint64_t sum;

    memcpy(&sum, bytes.ptr + bytes.len, sizeof(sum));
    return sum == XXH3_64bits_withSeed(bytes.ptr, bytes.len, key);
}

/* --- the commit record: this, then labels, key, meta, head, tail --- */

struct record_disk {
    uint64_t sum; /* over all that follows */
    uint16_t version, flags;
    uint32_t labels_n;
    uint64_t variant, birth, body_len, family;
    uint32_t group;
    uint8_t member, unused[3];
    uint32_t key_len, meta_len, head_len, tail_len;
};
static_assert(sizeof(struct record_disk) == 72, "on disk");

static uint64_t
sum_of(const void *value, size_t len, uint64_t key)
{
    return XXH3_64bits_withSeed((const char *)value + sizeof(uint64_t), len - sizeof(uint64_t),
                                key);
}

size_t
record_len(const struct record *record)
{
    return sizeof(struct record_disk) + record->labels_n * sizeof(uint64_t) + record->key.len +
           record->meta.len + record->head.len + record->tail.len;
}

static char *
append(char *out, const void *ptr, size_t len)
{
    if (len > 0)
        memcpy(out, ptr, len);
    return out + len;
}

void
record_encode(const struct record *record, uint64_t oid, void *out)
{
    struct record_disk disk = {
        .version = RECORD_VERSION,
        .flags = record->flags,
        .labels_n = (uint32_t)record->labels_n,
        .variant = record->variant,
        .birth = record->birth,
        .body_len = record->body_len,
        .family = record->family,
        .group = record->group,
        .member = record->member,
        .key_len = (uint32_t)record->key.len,
        .meta_len = (uint32_t)record->meta.len,
        .head_len = (uint32_t)record->head.len,
        .tail_len = (uint32_t)record->tail.len,
    };
    char *at = append(out, &disk, sizeof(disk));

    at = append(at, record->labels, record->labels_n * sizeof(uint64_t));
    at = append(at, record->key.ptr, record->key.len);
    at = append(at, record->meta.ptr, record->meta.len);
    at = append(at, record->head.ptr, record->head.len);
    at = append(at, record->tail.ptr, record->tail.len);
    disk.sum = sum_of(out, (size_t)(at - (char *)out), oid);
    memcpy(out, &disk.sum, sizeof(disk.sum));
}

static struct slice
take(const char **at, size_t len)
{
    struct slice part = slice_of(*at, len);

    *at += len;
    return part;
}

enum err
record_decode(struct slice value, uint64_t oid, bool verify, struct record *out)
{
    struct record_disk disk;
    const char *at;

    if (value.len < sizeof(disk) || value.len > RECORD_LEN_MAX)
        return ERR_STORE_CORRUPT;
    memcpy(&disk, value.ptr, sizeof(disk));
    if (disk.version != RECORD_VERSION || (disk.member != 0 && disk.family == 0) ||
        disk.labels_n > RECORD_LEN_MAX / sizeof(uint64_t) ||
        disk.body_len / BLOCK_FULL_LEN > RECORD_PIECES_MAX ||
        disk.tail_len != record_tail_len(disk.body_len) ||
        sizeof(disk) + disk.labels_n * sizeof(uint64_t) + (uint64_t)disk.key_len + disk.meta_len +
                disk.head_len + disk.tail_len !=
            value.len)
        return ERR_STORE_CORRUPT;
    if (verify && disk.sum != sum_of(value.ptr, value.len, oid))
        return ERR_STORE_CORRUPT;
    at = value.ptr + sizeof(disk);
    *out = (struct record){
        .flags = disk.flags,
        .variant = disk.variant,
        .birth = disk.birth,
        .body_len = disk.body_len,
        .family = disk.family,
        .group = disk.group,
        .member = disk.member,
        .labels = at,
        .labels_n = disk.labels_n,
    };
    at += out->labels_n * sizeof(uint64_t);
    out->key = take(&at, disk.key_len);
    out->meta = take(&at, disk.meta_len);
    out->head = take(&at, disk.head_len);
    out->tail = take(&at, disk.tail_len);
    return OK;
}

/* --- the header --- */

struct header_disk {
    uint64_t sum;
    char magic[8];
    uint32_t version, full_len;
    uint64_t oid_next, purge_seq, purge_id, store_id, soft_all;
};
static_assert(sizeof(struct header_disk) == RECORD_HEADER_LEN, "on disk");

static const char header_magic[8] = {'b', 'r', 'i', 'n', 'k', 's', 't', '\n'};

void
record_header_encode(const struct record_header *header, void *out)
{
    struct header_disk disk = {
        .version = HEADER_VERSION,
        .full_len = BLOCK_FULL_LEN,
        .oid_next = header->oid_next,
        .purge_seq = header->purge_seq,
        .purge_id = header->purge_id,
        .store_id = header->store_id,
        .soft_all = header->soft_all,
    };

    memcpy(disk.magic, header_magic, sizeof(disk.magic));
    disk.sum = sum_of(&disk, sizeof(disk), 0);
    memcpy(out, &disk, sizeof(disk));
}

enum err
record_header_decode(struct slice value, struct record_header *out)
{
    struct header_disk disk;

    if (value.len < sizeof(disk))
        return ERR_STORE_CORRUPT;
    memcpy(&disk, value.ptr, sizeof(disk));
    if (memcmp(disk.magic, header_magic, sizeof(header_magic)) != 0)
        return ERR_STORE_CORRUPT;
    if (disk.version != HEADER_VERSION || disk.full_len != BLOCK_FULL_LEN)
        return ERR_STORE_VERSION;
    if (value.len != sizeof(disk) || disk.sum != sum_of(value.ptr, value.len, 0) ||
        disk.oid_next == 0 || disk.oid_next > RECORD_OID_MAX)
        return ERR_STORE_CORRUPT;
    *out = (struct record_header){disk.oid_next, disk.purge_seq, disk.purge_id, disk.store_id,
                                  disk.soft_all};
    return OK;
}

/* --- a purge at work: this, then its text --- */

struct purge_disk {
    uint64_t sum;
    uint8_t version, kind, soft, unused[5];
    uint64_t seq, id, label;
    int64_t began_ms;
    uint64_t matched, removed;
    uint64_t text_len;
};
static_assert(sizeof(struct purge_disk) == 72, "on disk");

size_t
record_purge_len(const struct record_purge *purge)
{
    return sizeof(struct purge_disk) + purge->text.len;
}

void
record_purge_encode(const struct record_purge *purge, uint64_t piece, void *out)
{
    struct purge_disk disk = {
        .version = PURGE_VERSION,
        .kind = purge->kind,
        .soft = purge->soft,
        .seq = purge->seq,
        .id = purge->id,
        .label = purge->label,
        .began_ms = purge->began_ms,
        .matched = purge->matched,
        .removed = purge->removed,
        .text_len = purge->text.len,
    };
    char *end = append(out, &disk, sizeof(disk));

    end = append(end, purge->text.ptr, purge->text.len);
    disk.sum = sum_of(out, (size_t)(end - (char *)out), piece);
    memcpy(out, &disk.sum, sizeof(disk.sum));
}

enum err
record_purge_decode(struct slice value, uint64_t piece, struct record_purge *out)
{
    struct purge_disk disk;

    if (value.len < sizeof(disk))
        return ERR_STORE_CORRUPT;
    memcpy(&disk, value.ptr, sizeof(disk));
    if (disk.version != PURGE_VERSION || disk.kind > STORE_PURGE_ALL || disk.soft > 1 ||
        disk.text_len != value.len - sizeof(disk) ||
        disk.sum != sum_of(value.ptr, value.len, piece))
        return ERR_STORE_CORRUPT;
    *out = (struct record_purge){
        .kind = disk.kind,
        .soft = disk.soft != 0,
        .seq = disk.seq,
        .id = disk.id,
        .label = disk.label,
        .began_ms = disk.began_ms,
        .matched = disk.matched,
        .removed = disk.removed,
        .text = slice_skip(value, sizeof(disk)),
    };
    return OK;
}
