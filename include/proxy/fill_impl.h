/* The inside of a fill. For src/proxy/fill*.c alone: fill_table.c holds the table and a fill's
 * life, fill.c the feeder's side, fill_read.c the readers'.
 *
 * blocks[] holds the body from block `first` on; all but the last are block_len long. The
 * feeder alone writes behind body_len, so readers may look at what is below it without the lock
 * once they hold a reference to the block. */
#ifndef BRINK_PROXY_FILL_IMPL_H
#define BRINK_PROXY_FILL_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "net/wake.h"
#include "proxy/fill.h"

#define FILL_TAG 0x66696c6cU

enum {
    FILL_SHARDS = 64,
    FILL_BUCKETS = 8192,
    FILL_READ_BLOCKS_MAX = 8,
    FILL_SMALL_LEN = 16384,             /* a block of a fill that found no memory */
    FILL_SMALL_N = 2,                   /* such blocks at once */
    FILL_PASS_LEN = 16 * BLOCK_FULL_LEN /* the window of what is not stored */
};

struct fill_table {
    struct store *store;
    uint64_t window_len;
    uint64_t memory_max;
    atomic_uint_fast64_t memory_len; /* of all fills: blocks, and what is reserved for firsts */
    pthread_mutex_t locks[FILL_SHARDS];
    struct list buckets[FILL_BUCKETS];
};

struct fill {
    uint32_t tag;
    atomic_uint refs;
    struct fill_table *table;
    struct list link; /* in its bucket, under the shard's lock */
    struct store_key key;
    struct slice keyed;
    uint64_t birth;

    pthread_mutex_t lock; /* everything below */
    enum fill_state state;
    enum err rc;
    const char *why;
    unsigned fwd_status;
    enum cache_reason fate;
    bool updates; /* the put changes a stored object's record */
    struct fill_head *head;
    struct block **blocks;
    size_t blocks_n, blocks_cap;
    size_t block_len;    /* of all blocks but the last: BLOCK_FULL_LEN or FILL_SMALL_LEN */
    uint64_t blocks_len; /* the memory of blocks */
    uint64_t reserved_len, charged_len; /* of table->memory_len; charged: the larger of both */
    uint64_t first;                     /* number of blocks dropped before blocks[0] */
    uint64_t body_len;
    struct list readers;
    struct store_put *put; /* kept after its end or refusal while what it holds may be read */
    bool storing;          /* it goes, or has gone, to the store whole */
    bool settled;          /* the store has said what became of it */
    bool moved;            /* it goes to the store under another key */
    unsigned wanted;       /* codings that were asked for, as bits; fill_want.c */
    struct variants *variants;
    const struct coding_settings *coding;
    uint64_t stored_oid, stored_len; /* what could be read there when the put was released */

    /* the feeder's, on its loop; the wake also under the lock */
    struct wake *room_wake;
    struct loop *room_loop;
    struct loop_timer room_timer;
    bool starved;
    bool hurried; /* the store was asked to commit, and has not yet */
};

struct fill_reader {
    struct list link;
    struct fill *fill;
    struct wake *wake;
    uint64_t off;
    struct block *held[FILL_READ_BLOCKS_MAX];
    size_t held_n;
};

/* All below: with the fill's lock held, or when nobody else has it. */
void fill_drop_block(struct fill *fill, size_t i);
void fill_on_room_timer(struct loop_timer *timer);
void fill_wake_feeder(struct fill *fill);          /* it waits for room, or goes on for nobody */
uint64_t fill_stored_len(const struct fill *fill); /* what can be read from the store */

void fill_tell_wanted(struct fill *fill); /* it is stored; without the lock: fill_want.c */

/* --- fill_memory.c --- */

/* Before the body: take the room of its first block. False: there is none; it goes on in small ones
 * and cannot be stored. */
bool fill_memory_begin(struct fill *fill, const struct fill_head *head);
void fill_memory_end(struct fill *fill);              /* the body is there, or never will be */
bool fill_memory_add(struct fill *fill, size_t len);  /* a block; false: it has to wait */
void fill_memory_drop(struct fill *fill, size_t len); /* a block is gone */
uint64_t fill_memory_window(const struct fill *fill); /* most of it at once */
bool fill_memory_hurries(const struct fill *fill);    /* it runs short for all */

#endif
