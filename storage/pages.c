/* What of the tree is in memory.
 *
 * LMDB gives no way to ask where a key's leaf is without reading it, so the way from the root is
 * walked here, with a look at each page's presence before it is read. That needs the form of LMDB's
 * pages, which is that of its data version 1 (all of 0.9); it is compared at open, and every number
 * is held against the file's length. Nothing that is read here is believed any further than for
 * asking about the next page: what is wrong costs a wait, or a hand-over that was not needed.
 *
 * The newest committed root is taken; the caller's snapshot may be some commits older. Pages that
 * differ between the two were read by the writer, or written, a moment ago. No page of either is
 * used again while the snapshot is held. */
#include "storage/pages.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/state.h"

enum {
    TRUST_S = 2,          /* seen in memory this lately: not asked again */
    ASK_PAGES_MAX = 64,   /* of mincore at once */
    DEPTH_MAX = 16,       /* of a tree; LMDB's own limit is 32 */
    LEAF_VALUE_MAX = 2022 /* longer values have pages of their own */
};

/* --- the form of LMDB's pages --- */

enum {
    PAGE_FLAGS_OFF = 10,
    PAGE_LOWER_OFF = 12,
    PAGE_HEADER_LEN = 16,
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    NODE_HEADER_LEN = 8,
    META_MAGIC_OFF = PAGE_HEADER_LEN,
    META_VERSION_OFF = META_MAGIC_OFF + 4,
    META_ROOT_OFF = PAGE_HEADER_LEN + 112, /* of the second of its two trees */
    META_LAST_OFF = PAGE_HEADER_LEN + 120,
    META_TXNID_OFF = PAGE_HEADER_LEN + 128,
    META_VERSION = 1
};
#define META_MAGIC 0xBEEFC0DEU

static uint16_t
get_u16(const char *at)
{
    uint16_t n;

    memcpy(&n, at, sizeof(n));
    return n;
}

static uint32_t
get_u32(const char *at)
{
    uint32_t n;

    memcpy(&n, at, sizeof(n));
    return n;
}

static uint64_t
get_u64(const char *at)
{
    uint64_t n;

    memcpy(&n, at, sizeof(n));
    return n;
}

/* From a key's place in its page, which has its own number in front. */
static const char *
map_of(const struct env *env, const char *key)
{
    const char *page = key - (uintptr_t)key % RECORD_PAGE_LEN;
    const char *map = page - get_u64(page) * RECORD_PAGE_LEN;

    if ((get_u16(page + PAGE_FLAGS_OFF) & PAGE_LEAF) == 0 || get_u64(page) >= env->mapped_pages)
        return NULL;
    return get_u32(map + META_MAGIC_OFF) == META_MAGIC &&
                   get_u32(map + META_VERSION_OFF) == META_VERSION
               ? map
               : NULL;
}

/* Each snapshot begins with these two pages: they must never be on disk alone. Not by mlock(),
 * which the sanitizers make do nothing. */
static bool
keep_metas(const char *map)
{
    return syscall(SYS_mlock, map, (size_t)2 * RECORD_PAGE_LEN) == 0;
}

int
pages_find_map(struct env *env)
{
    uint64_t header = 0;
    MDB_val key = {sizeof(header), &header}, value;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return rc;
    rc = mdb_cursor_open(txn, env->dbi, &cursor);
    if (rc == 0) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY);
        if (rc == 0)
            env->map = map_of(env, key.mv_data);
        if (env->map != NULL && !keep_metas(env->map))
            LOG(WARN, limit,
                "text=\"memory cannot be locked: raise LimitMEMLOCK, or what the store "
                "reads first may have to come from disk\"");
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return rc;
}

struct tree {
    const char *map;
    uint64_t root, last; /* page numbers */
};

/* The newer of the two. One of them may be about to be written over: then the other is that. */
static bool
find_tree(const struct store_reader *reader, struct tree *out)
{
    const char *map = reader->store->env.map;
    const char *meta = map;

    if (map == NULL)
        return false;
    if (get_u64(map + RECORD_PAGE_LEN + META_TXNID_OFF) > get_u64(map + META_TXNID_OFF))
        meta = map + RECORD_PAGE_LEN;
    *out = (struct tree){map, get_u64(meta + META_ROOT_OFF), get_u64(meta + META_LAST_OFF)};
    return out->last < reader->store->env.mapped_pages && out->root <= out->last;
}

static unsigned
nodes_n(const char *page)
{
    unsigned lower = get_u16(page + PAGE_LOWER_OFF);

    return lower < PAGE_HEADER_LEN || lower > RECORD_PAGE_LEN ? 0 : (lower - PAGE_HEADER_LEN) / 2;
}

/* NULL: it does not lie within the page. A branch's first node has no key. */
static const char *
node_at(const char *page, unsigned i)
{
    size_t off = get_u16(page + PAGE_HEADER_LEN + 2 * (size_t)i);
    size_t len = NODE_HEADER_LEN + (i > 0 ? sizeof(uint64_t) : 0);

    return off + len > RECORD_PAGE_LEN ? NULL : page + off;
}

static uint64_t
node_key(const char *node)
{
    return get_u64(node + NODE_HEADER_LEN);
}

/* Of a branch: the page below. */
static uint64_t
node_page(const char *node)
{
    return get_u32(node) | (uint64_t)get_u16(node + 4) << 32;
}

/* Which page below holds the key, and where that page's keys begin and end. 0: who knows. */
static uint64_t
step_down(const char *page, uint64_t key, uint64_t *first, uint64_t *until)
{
    unsigned low = 0, high = nodes_n(page); /* the first one's key is as good as 0 */
    const char *node;

    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;

        node = node_at(page, middle);
        if (node == NULL)
            return 0;
        if (node_key(node) <= key) {
            low = middle;
            *first = node_key(node);
        } else {
            high = middle;
            *until = node_key(node);
        }
    }
    node = high == 0 ? NULL : node_at(page, low);
    return node == NULL ? 0 : node_page(node);
}

/* --- asking --- */

struct range {
    uintptr_t first;
    size_t len; /* bytes, whole pages */
};

static struct range
pages_of(const void *from, size_t len)
{
    uintptr_t first = (uintptr_t)from & ~(uintptr_t)(RECORD_PAGE_LEN - 1);
    uintptr_t to = (uintptr_t)from + len;

    return (struct range){first, (size_t)(to - first + RECORD_PAGE_LEN - 1) &
                                     ~(size_t)(RECORD_PAGE_LEN - 1)};
}

static bool
are_resident(struct range pages)
{
    unsigned char seen[ASK_PAGES_MAX];

    while (pages.len > 0) {
        size_t len =
            pages.len < sizeof(seen) * RECORD_PAGE_LEN ? pages.len : sizeof(seen) * RECORD_PAGE_LEN;

        if (mincore((void *)pages.first, len, seen) == -1)
            return true; /* then nobody can tell */
        for (size_t i = 0; i < len / RECORD_PAGE_LEN; i++)
            if ((seen[i] & 1) == 0)
                return false;
        pages.first += len;
        pages.len -= len;
    }
    return true;
}

/* Read once a section. Never so small that an entry that was never seen (0) looks recent. */
static uint32_t
now_of(struct store_reader *reader)
{
    struct timespec now;

    if (reader->now_s == 0) {
        (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        reader->now_s = (uint32_t)now.tv_sec + TRUST_S + 1;
    }
    return reader->now_s;
}

/* A page touched within the last seconds is not what the kernel takes away first. */
static bool
saw_lately(struct store_reader *reader, struct range pages)
{
    struct reader_resident *seen =
        &reader->resident[(pages.first / RECORD_PAGE_LEN) % READER_RESIDENT_MAX];
    uint32_t pages_n = (uint32_t)(pages.len / RECORD_PAGE_LEN), now_s = now_of(reader);

    if (seen->page == pages.first && seen->pages_n >= pages_n && now_s - seen->at_s <= TRUST_S) {
        if (seen->pages_n == pages_n)
            seen->at_s = now_s; /* for it is read now */
        return true;
    }
    if (!are_resident(pages))
        return false;
    *seen = (struct reader_resident){pages.first, pages_n, now_s};
    return true;
}

static struct reader_leaf *
leaf_of(struct store_reader *reader, uint64_t key)
{
    uint64_t mixed = (key >> READER_LEAF_BITS) * 0x9e3779b97f4a7c15U;

    return &reader->leaves[mixed >> 32 & (READER_LEAVES_MAX - 1)];
}

/* From the root to the leaf. True also when the tree cannot be understood. */
static bool
has_way(struct store_reader *reader, uint64_t key, struct reader_leaf *out)
{
    struct tree tree;
    uint64_t at;

    *out = (struct reader_leaf){.until = UINT64_MAX, .at_s = now_of(reader)};
    if (!find_tree(reader, &tree))
        return true;
    at = tree.root;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        const char *page = tree.map + at * RECORD_PAGE_LEN;

        if (!saw_lately(reader, pages_of(page, RECORD_PAGE_LEN)))
            return false;
        if ((get_u16(page + PAGE_FLAGS_OFF) & PAGE_BRANCH) == 0)
            return true;
        at = step_down(page, key, &out->first, &out->until);
        if (at == 0 || at > tree.last)
            break;
    }
    out->until = out->first; /* remember nothing */
    return true;
}

bool
pages_have_key(struct store_reader *reader, uint64_t key)
{
    struct reader_leaf *leaf = leaf_of(reader, key), found;
    uint32_t now_s = now_of(reader);

    if (key >= leaf->first && key < leaf->until && now_s - leaf->at_s <= TRUST_S) {
        leaf->at_s = now_s;
        return true;
    }
    if (!has_way(reader, key, &found))
        return false;
    *leaf = found;
    return true;
}

static bool
record_seen(struct store_reader *reader, const struct index_entry *entry)
{
    return now_of(reader) - atomic_load_explicit(&entry->seen_s, memory_order_relaxed) <= TRUST_S;
}

bool
pages_have_record(struct store_reader *reader, struct index_entry *entry)
{
    return LIKELY(record_seen(reader, entry)) ||
           pages_have_key(reader, record_key(entry->oid, RECORD_PIECE));
}

bool
pages_have_value(struct store_reader *reader, struct slice value)
{
    return value.len <= LEAF_VALUE_MAX || saw_lately(reader, pages_of(value.ptr, value.len));
}

void
pages_saw_record(struct store_reader *reader, struct index_entry *entry)
{
    uint32_t now_s = now_of(reader);

    if (atomic_load_explicit(&entry->seen_s, memory_order_relaxed) != now_s)
        atomic_store_explicit(&entry->seen_s, now_s, memory_order_relaxed);
}

/* --- waiting for the disk --- */

void
pages_touch(const void *from, size_t len)
{
    struct range pages = pages_of(from, len);

    if (len == 0)
        return;
    (void)madvise((void *)pages.first, pages.len, MADV_WILLNEED); /* all of it at once */
    for (size_t off = 0; off < pages.len; off += RECORD_PAGE_LEN)
        (void)*(const volatile char *)(pages.first + off);
}

/* `depth` branches above the leaves; the leaves themselves are left alone. */
static uint64_t
warm_below(const struct tree *tree, uint64_t at, unsigned depth)
{
    const char *page = tree->map + at * RECORD_PAGE_LEN;
    uint64_t warmed = 1;

    if (at > tree->last || depth == 0 || (get_u16(page + PAGE_FLAGS_OFF) & PAGE_BRANCH) == 0)
        return warmed;
    for (unsigned i = 0; depth > 1 && i < nodes_n(page); i++) {
        const char *node = node_at(page, i);

        if (node != NULL)
            warmed += warm_below(tree, node_page(node), depth - 1);
    }
    return warmed;
}

uint64_t
pages_warm_branches(struct store_reader *reader)
{
    struct tree tree;
    MDB_stat stat;

    if (!find_tree(reader, &tree) || mdb_stat(reader->txn, reader->store->env.dbi, &stat) != 0 ||
        stat.ms_depth < 2)
        return 0;
    return warm_below(&tree, tree.root,
                      stat.ms_depth - 1 < DEPTH_MAX ? stat.ms_depth - 1 : DEPTH_MAX);
}
