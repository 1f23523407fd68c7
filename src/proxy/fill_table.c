/* The table of fills that others may join, and a fill's life from its first reference to its last.
 */
#include "proxy/fill_impl.h"

#include "base/stats.h"

enum err
fill_table_new(struct store *store, uint64_t window_len, uint64_t memory_len,
               struct fill_table **out)
{
    struct fill_table *table = mem_zalloc(sizeof(*table));

    if (table == NULL)
        return ERR_NOMEM;
    table->store = store;
    table->memory_max = memory_len == 0 ? UINT64_MAX : memory_len;
    atomic_init(&table->memory_len, 0);
    table->window_len = window_len < 4 * BLOCK_FULL_LEN ? 4 * BLOCK_FULL_LEN : window_len;
    for (size_t i = 0; i < FILL_SHARDS; i++)
        (void)pthread_mutex_init(&table->locks[i], NULL);
    for (size_t i = 0; i < FILL_BUCKETS; i++)
        list_init(&table->buckets[i]);
    *out = table;
    return OK;
}

void
fill_table_free(struct fill_table **slot)
{
    struct fill_table *table = *slot;

    *slot = NULL;
    if (table == NULL)
        return;
    for (size_t i = 0; i < FILL_BUCKETS; i++)
        ASSERT(list_empty(&table->buckets[i]));
    for (size_t i = 0; i < FILL_SHARDS; i++)
        (void)pthread_mutex_destroy(&table->locks[i]);
    mem_free(table);
}

static pthread_mutex_t *
shard_lock(struct fill_table *table, const struct store_key *key)
{
    return &table->locks[key->hash.lo % FILL_SHARDS];
}

static struct list *
bucket_of(struct fill_table *table, const struct store_key *key)
{
    return &table->buckets[key->hash.lo % FILL_BUCKETS]; /* a bucket lies in one shard */
}

/* `keyed` NULL: whatever its fields. */
static bool
has_key(const struct fill *fill, const struct store_key *key)
{
    return fill->key.hash.lo == key->hash.lo && fill->key.hash.hi == key->hash.hi &&
           slice_equal(fill->key.text, key->text);
}

static struct fill *
bucket_find(struct list *bucket, const struct store_key *key, struct slice keyed)
{
    LIST_FOREACH (bucket, link) {
        struct fill *fill = CONTAINER_OF(link, struct fill, link);

        if (has_key(fill, key) && slice_equal(fill->keyed, keyed))
            return fill;
    }
    return NULL;
}

static enum err
begin_put(struct fill *fill)
{
    enum err rc = store_put_begin(fill->table->store, &fill->key, &fill->put);

    if (rc == OK)
        fill->birth = store_put_birth(fill->put);
    fill->storing = rc == OK;
    return rc;
}

static enum err
fill_new(struct fill_table *table, const struct store_key *key, struct slice keyed, bool store_it,
         struct fill **out)
{
    struct fill *fill = mem_zalloc(sizeof(*fill) + key->text.len + keyed.len);
    enum err rc = OK;

    if (fill == NULL)
        return ERR_NOMEM;
    fill->tag = FILL_TAG;
    atomic_init(&fill->refs, 1);
    fill->table = table;
    fill->fate = REASON_STORED;
    fill->block_len = BLOCK_FULL_LEN;
    list_init(&fill->link);
    if (key->text.len > 0)
        memcpy(fill + 1, key->text.ptr, key->text.len);
    fill->key = (struct store_key){
        .hash = key->hash, .text = slice_of(fill + 1, key->text.len), .group = key->group};
    fill->keyed = slice_of((char *)(fill + 1) + key->text.len, keyed.len);
    if (keyed.len > 0)
        memcpy((char *)(fill + 1) + key->text.len, keyed.ptr, keyed.len);
    (void)pthread_mutex_init(&fill->lock, NULL);
    list_init(&fill->readers);
    loop_timer_init(&fill->room_timer, fill_on_room_timer);
    STAT_INC(fills_open);
    if (store_it)
        rc = begin_put(fill);
    if (rc != OK)
        fill_unref(&fill);
    else
        *out = fill;
    return rc;
}

enum err
fill_open(struct fill_table *table, const struct store_key *key, struct slice keyed,
          struct fill **out, bool *out_created)
{
    pthread_mutex_t *lock = shard_lock(table, key);
    struct list *bucket = bucket_of(table, key);
    struct fill *fill;
    enum err rc = OK;

    (void)pthread_mutex_lock(lock);
    fill = bucket_find(bucket, key, keyed);
    *out_created = fill == NULL;
    if (fill != NULL) {
        *out = fill_ref(fill);
    } else {
        rc = fill_new(table, key, keyed, true, &fill);
        if (rc == OK) {
            list_push(bucket, &fill->link);
            *out = fill_ref(fill); /* one for the table */
        }
    }
    (void)pthread_mutex_unlock(lock);
    return rc;
}

struct fill *
fill_find(struct fill_table *table, const struct store_key *key, struct slice keyed)
{
    pthread_mutex_t *lock = shard_lock(table, key);
    struct fill *fill;

    (void)pthread_mutex_lock(lock);
    fill = bucket_find(bucket_of(table, key), key, keyed);
    if (fill != NULL)
        (void)fill_ref(fill);
    (void)pthread_mutex_unlock(lock);
    return fill;
}

enum err
fill_new_private(struct fill_table *table, const struct store_key *key, struct slice keyed,
                 bool store_it, struct fill **out)
{
    return fill_new(table, key, keyed, store_it, out);
}

enum err
fill_begin_storing(struct fill *fill)
{
    enum err rc;

    (void)pthread_mutex_lock(&fill->lock);
    ASSERT(fill->state == FILL_WAITING && fill->put == NULL && list_empty(&fill->link));
    rc = begin_put(fill);
    (void)pthread_mutex_unlock(&fill->lock);
    return rc;
}

bool
fill_is_under_way(struct fill_table *table, const struct store_key *key)
{
    pthread_mutex_t *lock = shard_lock(table, key);
    bool found = false;

    (void)pthread_mutex_lock(lock);
    LIST_FOREACH (bucket_of(table, key), link) {
        const struct fill *fill = CONTAINER_OF(link, struct fill, link);

        found |= has_key(fill, key) &&
                 store_purged_since(table->store, fill->birth, key, NULL, 0) != STORE_PURGED_HARD;
    }
    (void)pthread_mutex_unlock(lock);
    return found;
}

struct fill *
fill_ref(struct fill *fill)
{
    ASSERT_TAG(fill, FILL_TAG);
    (void)atomic_fetch_add(&fill->refs, 1);
    return fill;
}

static void
fill_free(struct fill *fill)
{
    ASSERT(list_empty(&fill->readers) && list_empty(&fill->link));
    ASSERT(fill->room_wake == NULL);
    store_put_release(&fill->put);
    for (size_t i = 0; i < fill->blocks_n; i++)
        fill_drop_block(fill, i);
    fill_memory_end(fill);
    if (fill->head != NULL && fill->head->body_pin.store != NULL)
        store_unpin(&fill->head->body_pin);
    mem_free(fill->head);
    mem_free(fill->blocks);
    (void)pthread_mutex_destroy(&fill->lock);
    fill->tag = TAG_FREED;
    mem_free(fill);
    STAT_DEC(fills_open);
}

void
fill_unref(struct fill **slot)
{
    struct fill *fill = *slot;

    *slot = NULL;
    if (fill == NULL)
        return;
    ASSERT_TAG(fill, FILL_TAG);
    if (atomic_fetch_sub(&fill->refs, 1) == 1)
        fill_free(fill);
}

void
fill_enlist(struct fill *fill)
{
    pthread_mutex_t *lock = shard_lock(fill->table, &fill->key);
    struct list *bucket = bucket_of(fill->table, &fill->key);

    (void)pthread_mutex_lock(lock);
    if (bucket_find(bucket, &fill->key, fill->keyed) == NULL)
        list_push(bucket, &fill_ref(fill)->link); /* one for the table */
    (void)pthread_mutex_unlock(lock);
}

void
fill_delist(struct fill *fill)
{
    pthread_mutex_t *lock = shard_lock(fill->table, &fill->key);
    struct fill *listed = NULL;

    (void)pthread_mutex_lock(lock);
    if (!list_empty(&fill->link)) {
        list_remove(&fill->link);
        listed = fill;
    }
    (void)pthread_mutex_unlock(lock);
    fill_unref(&listed);
}

/* --- what it is --- */

bool
fill_is_purged(struct fill *fill)
{
    const struct fill_head *head = fill_head(fill);

    return store_purged_since(fill->table->store, fill->birth, &fill->key,
                              head == NULL ? NULL : head->labels,
                              head == NULL ? 0 : head->labels_n) != STORE_NOT_PURGED;
}

const struct store_key *
fill_key(const struct fill *fill)
{
    return &fill->key;
}

enum fill_state
fill_state(struct fill *fill)
{
    enum fill_state state;

    (void)pthread_mutex_lock(&fill->lock);
    state = fill->state;
    (void)pthread_mutex_unlock(&fill->lock);
    return state;
}

const struct fill_head *
fill_head(struct fill *fill)
{
    const struct fill_head *head;

    (void)pthread_mutex_lock(&fill->lock);
    head = fill->head;
    (void)pthread_mutex_unlock(&fill->lock);
    return head;
}

enum err
fill_error(struct fill *fill, unsigned *out_status, const char **out_why)
{
    enum err rc;

    (void)pthread_mutex_lock(&fill->lock);
    rc = fill->rc;
    *out_why = fill->why;
    *out_status = fill->fwd_status;
    (void)pthread_mutex_unlock(&fill->lock);
    return rc;
}

enum cache_reason
fill_fate(struct fill *fill)
{
    enum cache_reason fate;

    (void)pthread_mutex_lock(&fill->lock);
    fate = fill->fate;
    (void)pthread_mutex_unlock(&fill->lock);
    return fate;
}

bool
fill_is_storing(struct fill *fill)
{
    bool storing;

    (void)pthread_mutex_lock(&fill->lock);
    storing = fill->storing;
    (void)pthread_mutex_unlock(&fill->lock);
    return storing;
}

bool
fill_is_settled(struct fill *fill)
{
    bool settled;

    (void)pthread_mutex_lock(&fill->lock);
    settled = fill->settled || !fill->storing;
    (void)pthread_mutex_unlock(&fill->lock);
    return settled;
}
