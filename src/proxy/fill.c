/* The feeder's side of a fill: its head, its blocks, its way into the store, its end. */
#include "proxy/fill_impl.h"

#include "base/stats.h"

enum { TRY_AGAIN_MS = 100 };

void
fill_drop_block(struct fill *fill, size_t i)
{
    fill_memory_drop(fill, fill->blocks[i]->cap);
    block_unref(&fill->blocks[i]);
}

void
fill_on_room_timer(struct loop_timer *timer)
{
    wake_post(CONTAINER_OF(timer, struct fill, room_timer)->room_wake);
}

static void
wake_readers(struct fill *fill) /* locked */
{
    LIST_FOREACH (&fill->readers, link) {
        wake_post(CONTAINER_OF(link, struct fill_reader, link)->wake);
    }
}

/* Where the copies of a head's texts go, one behind the other. */
static struct slice
place(char **room, struct slice text)
{
    struct slice copy = slice_of(*room, text.len);

    if (text.len > 0)
        memcpy(*room, text.ptr, text.len);
    *room += text.len;
    return copy;
}

static struct fill_head *
copy_head(const struct fill_head *head)
{
    const struct cache_object *object = &head->object;
    struct slice labels = slice_of(head->labels, head->labels_n * sizeof(*head->labels));
    size_t len = labels.len + head->text.len + head->own.len + object->etag.len + object->vary.len +
                 object->tags.len;
    struct fill_head *copy = mem_alloc(sizeof(*copy) + len);
    char *room;

    if (copy == NULL)
        return NULL;
    room = (char *)(copy + 1);
    *copy = *head;
    copy->labels = (const uint64_t *)(const void *)place(&room, labels).ptr;
    copy->text = place(&room, head->text);
    copy->own = place(&room, head->own);
    copy->object.etag = place(&room, object->etag);
    copy->object.vary = place(&room, object->vary);
    copy->object.tags = place(&room, object->tags);
    return copy;
}

enum err
fill_publish(struct fill *fill, const struct fill_head *head)
{
    struct fill_head *copy = copy_head(head);
    bool storable = head->reason == REASON_STORED;

    ASSERT_TAG(fill, FILL_TAG);
    if (copy == NULL)
        return ERR_NOMEM;
    (void)pthread_mutex_lock(&fill->lock);
    ASSERT(fill->state == FILL_WAITING && fill->head == NULL);
    fill->head = copy;
    fill->state = FILL_BODY;
    if (!fill_memory_begin(fill, head) && storable) {
        storable = false;
        copy->reason = REASON_FILL_MEMORY;
        cache_reason_count(REASON_FILL_MEMORY);
    }
    if (!storable) {
        fill->fate = copy->reason;
        fill->storing = false;
        store_put_release(&fill->put);
    }
    wake_readers(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    if (!storable)
        fill_delist(fill);
    return OK;
}

enum err
fill_store_as(struct fill *fill, const struct store_key *key, const struct fill_head *head,
              bool any, uint64_t *out_birth)
{
    struct store *store = fill->table->store;
    struct store_put *put;
    enum err rc = store_put_begin(store, key, &put);
    bool purged;

    ASSERT_TAG(fill, FILL_TAG);
    if (rc != OK)
        return rc;
    *out_birth = store_put_birth(put);
    purged = *out_birth != fill->birth &&
             (any || store_purged_since(store, fill->birth, key, head->labels, head->labels_n) !=
                         STORE_NOT_PURGED);
    (void)pthread_mutex_lock(&fill->lock);
    ASSERT(fill->state == FILL_WAITING && fill->storing);
    if (!purged) {
        store_put_release(&fill->put);
        fill->put = put;
        fill->moved = true;
    }
    (void)pthread_mutex_unlock(&fill->lock);
    if (purged)
        store_put_release(&put);
    return purged ? ERR_CANCELLED : OK;
}

static struct block *
last_block(struct fill *fill)
{
    return fill->blocks_n == 0 ? NULL : fill->blocks[fill->blocks_n - 1];
}

static uint64_t
slowest_reader(struct fill *fill) /* locked */
{
    uint64_t off = fill->body_len;

    LIST_FOREACH (&fill->readers, link) {
        const struct fill_reader *reader = CONTAINER_OF(link, struct fill_reader, link);

        if (reader->off < off)
            off = reader->off;
    }
    return off;
}

uint64_t
fill_stored_len(const struct fill *fill)
{
    return fill->put != NULL ? store_put_stored_len(fill->put) : fill->stored_len;
}

/* Drop full blocks from the front: what the store has committed, and, when the object does not go
 * there, what every reader has passed. */
static void
drop_blocks(struct fill *fill) /* locked */
{
    uint64_t stored = fill_stored_len(fill);
    uint64_t passed = fill->storing ? 0 : slowest_reader(fill);
    uint64_t until = stored > passed ? stored : passed;
    size_t n = 0;

    while (n < fill->blocks_n && (fill->first + n + 1) * fill->block_len <= until)
        fill_drop_block(fill, n++);
    if (n == 0)
        return;
    fill->first += n;
    fill->blocks_n -= n;
    memmove(fill->blocks, fill->blocks + n, fill->blocks_n * sizeof(struct block *));
}

static bool
window_used_up(const struct fill *fill) /* locked */
{
    return fill->blocks_len >= fill_memory_window(fill);
}

/* A block that fits the rest of the body when its length is known. ERR_LIMIT: others have all the
 * memory for now. */
static enum err
add_block(struct fill *fill) /* locked */
{
    uint64_t left = fill->block_len;
    struct block *block;

    if (fill->blocks_n == fill->blocks_cap) {
        size_t cap = fill->blocks_cap == 0 ? 4 : fill->blocks_cap * 2;
        struct block **blocks = mem_realloc(fill->blocks, cap * sizeof(struct block *));

        if (blocks == NULL)
            return ERR_NOMEM;
        fill->blocks = blocks;
        fill->blocks_cap = cap;
    }
    if (fill->head != NULL && fill->head->has_length)
        left = fill->head->length - fill->body_len;
    left = left < fill->block_len ? left : fill->block_len;
    if (!fill_memory_add(fill, (size_t)left))
        return ERR_LIMIT;
    block = block_new((size_t)left);
    if (block == NULL) {
        fill_memory_drop(fill, (size_t)left);
        return ERR_NOMEM;
    }
    fill->blocks[fill->blocks_n++] = block;
    return OK;
}

/* A new block, in the place of older ones when there is no room for more. */
static bool
find_block(struct fill *fill) /* locked */
{
    enum err rc = window_used_up(fill) ? ERR_LIMIT : add_block(fill);

    if (rc == ERR_LIMIT) {
        drop_blocks(fill);
        rc = window_used_up(fill) ? ERR_LIMIT : add_block(fill);
    }
    fill->starved = rc == ERR_LIMIT;
    return rc == OK;
}

size_t
fill_room(struct fill *fill, char **out_room)
{
    struct block *block;
    size_t room = 0;

    (void)pthread_mutex_lock(&fill->lock);
    block = last_block(fill);
    if (block == NULL || block->len == block->cap)
        block = find_block(fill) ? last_block(fill) : NULL;
    if (block != NULL) {
        *out_room = block->data + block->len;
        room = block->cap - block->len;
    }
    (void)pthread_mutex_unlock(&fill->lock);
    /* Readers and the store's commits wake the feeder; a timer only sees to it that memory which
     * ran out is tried again. */
    if (room == 0 && fill->room_loop != NULL)
        loop_timer_set(fill->room_loop, &fill->room_timer, TRY_AGAIN_MS);
    return room;
}

static bool
is_wanted(const struct fill *fill) /* locked */
{
    return fill->storing || !list_empty(&fill->readers);
}

bool
fill_is_wanted(struct fill *fill)
{
    bool wanted;

    (void)pthread_mutex_lock(&fill->lock);
    wanted = is_wanted(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    return wanted;
}

void
fill_wake_feeder(struct fill *fill)
{
    if (fill->room_wake != NULL && (fill->starved || !is_wanted(fill)))
        wake_post(fill->room_wake);
}

/* On the store's thread: what it committed may be dropped from memory. */
static void
on_piece_stored(void *arg, enum err rc, uint64_t n)
{
    struct fill *fill = arg;

    (void)rc;
    (void)n;
    (void)pthread_mutex_lock(&fill->lock);
    fill->hurried = false;
    fill_wake_feeder(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    fill_unref(&fill);
}

/* At half the window the store is asked to commit, so that the feeder need not stop at its end. */
static enum err
store_full_block(struct fill *fill, struct block *block) /* locked */
{
    struct store_done done = {0};
    enum err rc;

    if (!fill->hurried && (fill_memory_hurries(fill) ||
                           fill->body_len - fill_stored_len(fill) >= fill->table->window_len / 2)) {
        fill->hurried = true;
        done = (struct store_done){on_piece_stored, fill_ref(fill)};
    }
    rc = store_put_block(fill->put, block, done);
    if (rc != OK && done.fn != NULL) {
        struct fill *extra = fill;

        fill->hurried = false;
        fill_unref(&extra); /* the caller holds its own */
    }
    return rc;
}

/* It was to be stored, and is not. Why a head is not admitted was counted by the feed. */
static void
set_fate(struct fill *fill, enum cache_reason fate) /* locked */
{
    fill->storing = false;
    fill->fate = fate;
    cache_reason_count(fate);
}

static enum cache_reason
why_refused(const struct fill *fill)
{
    return fill->body_len > store_object_max_len(fill->table->store) ? REASON_TOO_LARGE
                                                                     : REASON_STORE_BUSY;
}

bool
fill_filled(struct fill *fill, size_t n)
{
    struct block *block;
    bool refused = false, wanted;

    ASSERT_TAG(fill, FILL_TAG);
    (void)pthread_mutex_lock(&fill->lock);
    block = last_block(fill);
    ASSERT(block != NULL && n <= block->cap - block->len);
    block->len += (uint32_t)n;
    fill->body_len += n;
    if (block->len == BLOCK_FULL_LEN && fill->storing) {
        refused = store_full_block(fill, block) != OK;
        if (refused) /* passes through unstored from here on */
            set_fate(fill, why_refused(fill));
    }
    wanted = is_wanted(fill);
    wake_readers(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    if (refused)
        fill_delist(fill);
    return wanted;
}

enum err
fill_on_room(struct fill *fill, struct loop *loop, void (*resume)(void *arg), void *arg)
{
    struct wake *wake = wake_new(loop, resume, arg);

    if (wake == NULL)
        return ERR_NOMEM;
    (void)pthread_mutex_lock(&fill->lock);
    fill->room_wake = wake;
    fill->room_loop = loop;
    (void)pthread_mutex_unlock(&fill->lock);
    return OK;
}

static void
end_feeding(struct fill *fill) /* locked */
{
    loop_timer_clear(&fill->room_timer);
    wake_free(&fill->room_wake);
    fill->room_loop = NULL;
    fill->starved = false;
    fill_memory_end(fill);
}

static enum cache_reason
fate_of(const struct fill *fill, enum err rc)
{
    switch (rc) {
    case OK:
        return fill->updates ? REASON_REVALIDATED : REASON_STORED;
    case ERR_CANCELLED:
    case ERR_NOT_FOUND: /* what was to be updated */
        return REASON_PURGED_MEANWHILE;
    default:
        return REASON_STORE_BUSY;
    }
}

/* On the store's thread: the object is visible, or will never be. Until now requests that came were
 * answered from here, or waited until they can have it validated. */
static void
on_stored(void *arg, enum err rc, uint64_t n)
{
    struct fill *fill = arg;

    (void)n;
    (void)pthread_mutex_lock(&fill->lock);
    cache_reason_count(fate_of(fill, rc));
    if (rc != OK)
        fill->fate = fate_of(fill, rc);
    (void)pthread_mutex_unlock(&fill->lock);
    fill_delist(fill);
    (void)pthread_mutex_lock(&fill->lock);
    fill->settled = true;
    wake_readers(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    if (rc == OK)
        fill_tell_wanted(fill);
    fill_unref(&fill);
}

/* Encode the head as a store record, and end or update the put with it. */
static enum err
commit_record(struct fill *fill, struct block *rest, uint64_t update_oid) /* locked */
{
    const struct fill_head *head = fill->head;
    struct store_record record = {
        .variant = head->variant,
        .family = head->family,
        .head = head->text,
        .labels = head->labels,
        .labels_n = head->labels_n,
    };
    struct store_done done = {on_stored, fill_ref(fill)};
    struct arena arena;
    enum err rc;

    arena_init(&arena, 0);
    rc = cache_object_encode(&arena, &head->object, &record.meta);
    if (rc == OK && update_oid != 0)
        rc = store_put_update(fill->put, update_oid, &record, done);
    else if (rc == OK)
        rc = store_put_end(fill->put, &record, rest, done);
    arena_fini(&arena);
    if (rc != OK) {
        struct fill *extra = fill;

        fill_unref(&extra); /* on_stored will not come */
    }
    return rc;
}

static void
finish(struct fill *fill, uint64_t update_oid)
{
    struct block *rest;
    bool kept;

    ASSERT_TAG(fill, FILL_TAG);
    (void)pthread_mutex_lock(&fill->lock);
    ASSERT(fill->state == FILL_BODY);
    fill->state = FILL_DONE;
    end_feeding(fill);
    if (fill->storing) {
        rest = last_block(fill);
        if (rest != NULL && rest->len == BLOCK_FULL_LEN)
            rest = NULL; /* it went as a piece */
        fill->stored_oid = store_put_oid(fill->put);
        fill->stored_len = store_put_stored_len(fill->put);
        fill->updates = update_oid != 0;
        if (commit_record(fill, rest, update_oid) != OK)
            set_fate(fill, why_refused(fill));
        /* While it is held it pins the object: readers may still need what was dropped here. */
        if (fill->storing && fill->first == 0)
            store_put_release(&fill->put);
    }
    kept = fill->storing;
    wake_readers(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    if (!kept)
        fill_delist(fill);
}

void
fill_finish(struct fill *fill)
{
    finish(fill, 0);
}

void
fill_finish_update(struct fill *fill, uint64_t oid)
{
    finish(fill, oid);
}

static void
fail(struct fill *fill, enum err rc, const char *why) /* locked */
{
    ASSERT(fill->state == FILL_WAITING || fill->state == FILL_BODY);
    fill->state = FILL_FAILED;
    fill->rc = rc;
    fill->why = why;
    if (fill->storing && fill->head != NULL)
        set_fate(fill, REASON_INCOMPLETE);
    fill->storing = false;
    end_feeding(fill);
    wake_readers(fill);
}

void
fill_fail(struct fill *fill, enum err rc, const char *why)
{
    ASSERT_TAG(fill, FILL_TAG);
    fill_delist(fill);
    (void)pthread_mutex_lock(&fill->lock);
    fail(fill, rc, why);
    (void)pthread_mutex_unlock(&fill->lock);
}

bool
fill_spoil(struct fill *fill)
{
    bool stored;

    ASSERT_TAG(fill, FILL_TAG);
    (void)pthread_mutex_lock(&fill->lock);
    stored = fill->storing && fill->state == FILL_DONE;
    if (fill->storing && !stored)
        set_fate(fill, REASON_INCOMPLETE);
    (void)pthread_mutex_unlock(&fill->lock);
    fill_delist(fill);
    return !stored;
}

bool
fill_is_read(struct fill *fill)
{
    bool read;

    (void)pthread_mutex_lock(&fill->lock);
    read = !list_empty(&fill->readers);
    (void)pthread_mutex_unlock(&fill->lock);
    return read;
}

bool
fill_is_shared(struct fill *fill)
{
    bool shared;

    (void)pthread_mutex_lock(&fill->lock);
    shared = !list_empty(&fill->readers) && fill->readers.next != fill->readers.prev;
    (void)pthread_mutex_unlock(&fill->lock);
    return shared;
}

bool
fill_fail_unread(struct fill *fill, enum err rc, const char *why)
{
    bool read;

    (void)pthread_mutex_lock(&fill->lock);
    read = !list_empty(&fill->readers);
    if (!read)
        fail(fill, rc, why);
    (void)pthread_mutex_unlock(&fill->lock);
    if (!read)
        fill_delist(fill); /* who joins before that finds that it failed */
    return !read;
}

void
fill_note_status(struct fill *fill, unsigned status)
{
    (void)pthread_mutex_lock(&fill->lock);
    fill->fwd_status = status;
    (void)pthread_mutex_unlock(&fill->lock);
}
