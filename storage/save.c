/* Writing and reading the saved index. Entries are saved in the order of the list, with their bits
 * and the hand, so that eviction goes on as if nothing had happened. */
#include "storage/save.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/log.h"
#include "storage/object.h"
#include "storage/state.h"

enum {
    SAVE_VERSION = 3,
    SAVE_PATH_LEN = 4096,
    BUFFER_LEN = 192 << 10,
    AHEAD = 12, /* inserts whose slot is fetched meanwhile */
    FLAGS_SHIFT = 24
};

struct save_head {
    char magic[8];
    uint32_t version, item_len;
    uint64_t store_id, txnid, oid_next;
    uint64_t items_n, doomed_n; /* what follows: items, then ids */
    uint64_t sum;               /* of what follows */
};

enum save_flag { SAVE_VISITED = 1, SAVE_HAND = 2 /* its partition's hand stands here */ };

struct save_item {
    uint64_t hash_lo, hash_hi, oid, variant;
    uint32_t room, group;
    uint32_t pieces; /* and flags, from bit FLAGS_SHIFT on */
    uint32_t member;
};
static_assert(sizeof(struct save_item) == 48, "on disk");
static_assert(RECORD_PIECES_MAX + 16 < 1U << FLAGS_SHIFT, "pieces leave room for flags");

static const char save_magic[8] = {'b', 'r', 'i', 'n', 'k', 'i', 'd', 'x'};

static void
save_path(const char *path, const char *name, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s/%s", path, name);
}

void
save_forget(const char *path)
{
    char name[SAVE_PATH_LEN];

    save_path(path, "index.save", name, sizeof(name));
    (void)unlink(name);
}

/* --- writing --- */

struct saving {
    int fd;
    bool failed;
    XXH3_state_t *sum;
    size_t len;
    char buffer[BUFFER_LEN];
};

static void
write_all(struct saving *saving, const char *bytes, size_t len)
{
    while (len > 0 && !saving->failed) {
        ssize_t n = write(saving->fd, bytes, len);

        if (n == -1) {
            saving->failed = errno != EINTR;
            continue;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

static void
flush(struct saving *saving)
{
    (void)XXH3_64bits_update(saving->sum, saving->buffer, saving->len);
    write_all(saving, saving->buffer, saving->len);
    saving->len = 0;
}

static void
add(struct saving *saving, const void *bytes, size_t len)
{
    if (saving->len + len > sizeof(saving->buffer))
        flush(saving);
    memcpy(saving->buffer + saving->len, bytes, len);
    saving->len += len;
}

static void
add_entry(struct saving *saving, const struct index *index, struct index_cursor at)
{
    const struct index_entry *entry = index_entry(index, at.slot);
    const struct index_list *list = &index->lists[at.group];
    uint32_t flags = 0;
    struct save_item item = {
        .hash_lo = entry->hash.lo,
        .hash_hi = entry->hash.hi,
        .oid = entry->oid,
        .variant = entry->variant,
        .room = entry->room,
        .group = list->group,
        .member = entry->member,
    };

    if (atomic_load_explicit(&entry->visited, memory_order_relaxed) != 0)
        flags |= SAVE_VISITED;
    if (list->hand == at.slot)
        flags |= SAVE_HAND;
    item.pieces = entry->pieces | flags << FLAGS_SHIFT;
    add(saving, &item, sizeof(item));
}

static void
write_content(struct saving *saving, const struct store *store, struct save_head *head)
{
    const struct index *index = &store->index;

    write_all(saving, (const char *)head, sizeof(*head)); /* its room */
    for (struct index_cursor at = index_first(index); at.slot != INDEX_NONE && !saving->failed;
         at = index_after(index, at))
        add_entry(saving, index, at);
    for (size_t i = 0; i < store->writer.doomed_n; i++)
        add(saving, &store->writer.doomed[i].oid, sizeof(uint64_t));
    flush(saving);
    head->sum = XXH3_64bits_digest(saving->sum);
    if (!saving->failed && lseek(saving->fd, 0, SEEK_SET) == 0)
        write_all(saving, (const char *)head, sizeof(*head));
    else
        saving->failed = true;
}

static bool
write_file(const struct store *store, const char *name, struct save_head *head)
{
    struct saving *saving = mem_zalloc(sizeof(*saving));
    bool ok = false;

    if (saving == NULL)
        return false;
    saving->fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    saving->sum = XXH3_createState();
    if (saving->fd != -1 && saving->sum != NULL && XXH3_64bits_reset(saving->sum) == XXH_OK) {
        write_content(saving, store, head);
        ok = !saving->failed && fsync(saving->fd) == 0;
    }
    if (saving->fd != -1)
        ok = close(saving->fd) == 0 && ok;
    (void)XXH3_freeState(saving->sum);
    mem_free(saving);
    return ok;
}

void
save_write(struct store *store)
{
    struct save_head head = {.version = SAVE_VERSION,
                             .item_len = sizeof(struct save_item),
                             .store_id = store->env.header.store_id,
                             .txnid = env_last_txnid(&store->env),
                             .oid_next = store->writer.next_oid,
                             .items_n = store->index.live_n,
                             .doomed_n = store->writer.doomed_n};
    char from[SAVE_PATH_LEN], to[SAVE_PATH_LEN];

    save_path(store->path, "index.new", from, sizeof(from));
    save_path(store->path, "index.save", to, sizeof(to));
    memcpy(head.magic, save_magic, sizeof(head.magic));
    if (write_file(store, from, &head) && rename(from, to) == 0) {
        env_sync_folder(store->path);
        return;
    }
    LOG(WARN, store,
        "text=\"the index is not saved: the next start reads all records\" error=\"%s\"",
        strerror(errno));
    (void)unlink(from);
}

/* --- reading --- */

static bool
head_is_right(const struct store *store, const struct save_head *head, uint64_t len)
{
    uint64_t items_max = (len - sizeof(*head)) / sizeof(struct save_item);

    return memcmp(head->magic, save_magic, sizeof(save_magic)) == 0 &&
           head->version == SAVE_VERSION && head->item_len == sizeof(struct save_item) &&
           head->store_id == store->env.header.store_id &&
           head->txnid == env_last_txnid(&store->env) && head->oid_next <= store->writer.next_oid &&
           head->items_n <= items_max && head->doomed_n <= len / sizeof(uint64_t) &&
           len == sizeof(*head) + head->items_n * sizeof(struct save_item) +
                      head->doomed_n * sizeof(uint64_t);
}

/* Read, not mapped: a bad sector is an error then, not the end of the process. */
static bool
read_part(int fd, uint64_t off, char *to, size_t len)
{
    while (len > 0) {
        ssize_t n = pread(fd, to, len, (off_t)off);

        if (n == 0 || (n == -1 && errno != EINTR))
            return false;
        if (n == -1)
            continue;
        to += n;
        off += (uint64_t)n;
        len -= (size_t)n;
    }
    return true;
}

static bool
sum_is_right(int fd, char *buffer, uint64_t len, uint64_t want)
{
    XXH3_state_t *sum = XXH3_createState();
    bool ok = sum != NULL && XXH3_64bits_reset(sum) == XXH_OK;

    for (uint64_t at = 0; at < len && ok;) {
        size_t n = len - at < BUFFER_LEN ? (size_t)(len - at) : BUFFER_LEN;

        ok = read_part(fd, sizeof(struct save_head) + at, buffer, n);
        if (ok)
            (void)XXH3_64bits_update(sum, buffer, n);
        at += n;
    }
    ok = ok && XXH3_64bits_digest(sum) == want;
    (void)XXH3_freeState(sum);
    return ok;
}

static struct save_item
item_at(const char *bytes, size_t i)
{
    struct save_item item;

    memcpy(&item, bytes + i * sizeof(item), sizeof(item));
    return item;
}

static void
load_item(struct store *store, const struct save_item *item)
{
    struct index *index = &store->index;
    uint32_t slot, flags = item->pieces >> FLAGS_SHIFT;

    if (item->oid == 0 || item->oid >= store->writer.next_oid)
        return;
    slot = index_insert(index, &(struct index_item){
                                   .hash = {item->hash_lo, item->hash_hi},
                                   .oid = item->oid,
                                   .variant = item->variant,
                                   .room = item->room,
                                   .group = item->group,
                                   .member = (uint8_t)item->member,
                                   .pieces = item->pieces & ((1U << FLAGS_SHIFT) - 1),
                                   .visited = (flags & SAVE_VISITED) != 0,
                               });
    if ((flags & SAVE_HAND) != 0)
        index->lists[index_entry(index, slot)->group].hand = slot;
}

static void
load_items(struct store *store, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct save_item item = item_at(bytes, i);

        if (i + AHEAD < n)
            index_prefetch(&store->index, item_at(bytes, i + AHEAD).hash_hi);
        load_item(store, &item);
    }
}

static void
load_doomed(struct store *store, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t oid;

        memcpy(&oid, bytes + i * sizeof(oid), sizeof(oid));
        object_doom(&store->writer, oid, INDEX_NONE);
    }
}

/* Its sum was right a moment ago: what cannot be read now is left out of the index, and its pages
 * are found by the next scan. */
static bool
load_rows(struct store *store, int fd, char *buffer, uint64_t off, uint64_t rows_n, size_t row_len,
          void (*load)(struct store *store, const char *bytes, size_t n))
{
    while (rows_n > 0) {
        size_t n = BUFFER_LEN / row_len < rows_n ? BUFFER_LEN / row_len : (size_t)rows_n;

        if (!read_part(fd, off, buffer, n * row_len))
            return false;
        load(store, buffer, n);
        off += n * row_len;
        rows_n -= n;
    }
    return true;
}

static bool
load_file(struct store *store, int fd, char *buffer)
{
    uint64_t off = sizeof(struct save_head);
    struct save_head head;
    struct stat st;

    if (fstat(fd, &st) == -1 || (uint64_t)st.st_size < sizeof(head) ||
        !read_part(fd, 0, (char *)&head, sizeof(head)) ||
        !head_is_right(store, &head, (uint64_t)st.st_size))
        return false;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
    if (!sum_is_right(fd, buffer, (uint64_t)st.st_size - off, head.sum) ||
        head.items_n > store->index.max_n || index_reserve(&store->index, head.items_n) != OK)
        return false;
    if (!load_rows(store, fd, buffer, off, head.items_n, sizeof(struct save_item), load_items) ||
        !load_rows(store, fd, buffer, off + head.items_n * sizeof(struct save_item), head.doomed_n,
                   sizeof(uint64_t), load_doomed))
        LOG(ERROR, store_fault, "text=\"the saved index could not be read to its end\"");
    return true;
}

bool
save_load(struct store *store)
{
    char name[SAVE_PATH_LEN], *buffer;
    bool ok;
    int fd;

    save_path(store->path, "index.new", name, sizeof(name));
    (void)unlink(name); /* a stop that was cut short */
    save_path(store->path, "index.save", name, sizeof(name));
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return false;
    buffer = mem_alloc(BUFFER_LEN);
    ok = buffer != NULL && load_file(store, fd, buffer);
    mem_free(buffer);
    (void)close(fd);
    if (!ok)
        save_forget(store->path);
    return ok;
}
