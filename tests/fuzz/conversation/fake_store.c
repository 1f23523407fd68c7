/* See fake_store.h. */
#include "fake_store.h"

#include <xxhash.h>

#include "base/list.h"
#include "bytes.h"

enum { BODY_MAX = 1 << 20, TAIL_MAX = 1500, PIECES_MAX = 1 << 20 };

struct object {
    struct list link; /* oldest first */
    uint64_t oid, variant, birth;
    unsigned pins;
    bool visible, dead, soft;
    struct store_hash hash;
    struct bytes key, meta, head, body, labels;
};

enum kind { DO_BLOCK, DO_END, DO_UPDATE, DO_PURGE, DO_WARM };

struct todo {
    struct list link;
    enum kind kind;
    struct store_put *put;
    struct block *block; /* of DO_BLOCK and DO_END; may be NULL for the latter */
    uint64_t oid, variant, replaces_oid;
    struct bytes meta, head, labels;
    struct list rows; /* DO_PURGE */
    struct store_done done;
    struct store_warming *warming; /* DO_WARM */
};

struct store_warming {
    struct todo *todo; /* NULL: it was its turn */
};

struct row {
    struct list link; /* of its todo, then of the store's history */
    uint64_t seq;
    enum store_purge_kind kind;
    bool soft;
    uint64_t label;
    struct bytes text;
};

struct store_put {
    unsigned refs; /* the caller's, and one for each todo */
    bool released, ended, dead;
    uint64_t birth;
    struct store_hash hash;
    struct bytes key;
    struct object *object; /* invisible until its end; NULL: nothing is stored yet */
};

struct copy {
    struct copy *next;
    _Alignas(16) char bytes[];
};

struct store_reader {
    bool inside, hurried;
    struct copy *copies;
};

struct store {
    struct list objects, todos, history;
    struct fake_store_mood mood;
    uint64_t last_oid, purges_n, purge_id;
    unsigned readers_n, puts_n;
    struct store_reader *reader;
};

static struct store the_store;

struct store *
fake_store_open(void)
{
    memset(&the_store, 0, sizeof(the_store));
    list_init(&the_store.objects);
    list_init(&the_store.todos);
    list_init(&the_store.history);
    return &the_store;
}

struct fake_store_mood *
fake_store_mood(void)
{
    return &the_store.mood;
}

struct store_hash
store_hash(struct slice text)
{
    XXH128_hash_t hash = XXH3_128bits(text.ptr, text.len);

    return (struct store_hash){hash.low64, hash.high64};
}

uint64_t
store_label(char kind, struct slice text)
{
    return XXH3_64bits_withSeed(text.ptr, text.len, (unsigned char)kind);
}

uint64_t
store_object_max_len(const struct store *store)
{
    return BODY_MAX;
}

uint32_t
store_group(struct slice name)
{
    return 1 + (uint32_t)(name.len & 7);
}

bool
store_seen(struct store *store, const struct store_key *key)
{
    return (key->hash.lo & 1) != 0;
}

/* --- objects --- */

static struct object *
object_new(const struct store_put *put)
{
    struct object *object = fuzz_alloc(sizeof(*object));

    object->oid = ++the_store.last_oid;
    object->birth = put->birth;
    object->hash = put->hash;
    bytes_add(&object->key, put->key.ptr, put->key.len);
    list_push(&the_store.objects, &object->link);
    return object;
}

static void
object_free(struct object *object)
{
    list_remove(&object->link);
    bytes_free(&object->key);
    bytes_free(&object->meta);
    bytes_free(&object->head);
    bytes_free(&object->body);
    bytes_free(&object->labels);
    free(object);
}

static void
object_remove(struct object *object)
{
    object->dead = true;
    object->visible = false;
    if (object->pins == 0)
        object_free(object);
}

static void
object_unpin(struct object *object)
{
    ASSERT(object->pins > 0);
    if (--object->pins == 0 && object->dead)
        object_free(object);
}

static struct object *
object_by_oid(uint64_t oid)
{
    LIST_FOREACH (&the_store.objects, link) {
        struct object *object = CONTAINER_OF(link, struct object, link);

        if (object->oid == oid)
            return object;
    }
    return NULL;
}

/* --- purges --- */

static bool
has_label(const uint64_t *labels, size_t labels_n, uint64_t label)
{
    for (size_t i = 0; i < labels_n; i++)
        if (labels[i] == label)
            return true;
    return false;
}

static bool
row_names(const struct row *row, struct slice key, const uint64_t *labels, size_t labels_n)
{
    struct slice text = bytes_slice(&row->text);

    switch (row->kind) {
    case STORE_PURGE_KEY:
        return slice_equal(text, key);
    case STORE_PURGE_LABEL:
        return has_label(labels, labels_n, row->label);
    case STORE_PURGE_PREFIX:
        return key.len >= text.len && slice_equal(slice_first(key, text.len), text);
    case STORE_PURGE_ALL:
        return true;
    }
    UNREACHABLE();
}

static enum store_purged
purged_since(uint64_t birth, struct slice key, const uint64_t *labels, size_t labels_n)
{
    enum store_purged worst = STORE_NOT_PURGED;

    LIST_FOREACH (&the_store.history, link) {
        const struct row *row = CONTAINER_OF(link, struct row, link);

        if (row->seq <= birth || !row_names(row, key, labels, labels_n))
            continue;
        if (!row->soft)
            return STORE_PURGED_HARD;
        worst = STORE_PURGED_SOFT;
    }
    return worst;
}

enum store_purged
store_purged_since(struct store *store, uint64_t birth, const struct store_key *key,
                   const uint64_t *labels, size_t labels_n)
{
    return purged_since(birth, key->text, labels, labels_n);
}

static enum store_purged
object_purged(const struct object *object, uint64_t birth)
{
    return purged_since(birth, bytes_slice(&object->key), (const uint64_t *)object->labels.ptr,
                        object->labels.len / sizeof(uint64_t));
}

/* --- reading --- */

enum err
store_reader_new(struct store *store, struct store_reader **out)
{
    struct store_reader *reader = fuzz_alloc(sizeof(*reader));

    ASSERT(store == &the_store && store->reader == NULL);
    store->reader = *out = reader;
    return OK;
}

void
store_reader_free(struct store_reader **slot)
{
    struct store_reader *reader = *slot;

    *slot = NULL;
    if (reader == NULL)
        return;
    ASSERT(!reader->inside);
    the_store.reader = NULL;
    free(reader);
}

void
store_read_begin(struct store_reader *reader)
{
    ASSERT(!reader->inside);
    reader->inside = true;
}

void
store_read_end(struct store_reader *reader)
{
    struct copy *copy;

    ASSERT(reader->inside);
    reader->inside = false;
    while ((copy = reader->copies) != NULL) {
        reader->copies = copy->next;
        free(copy);
    }
}

/* Lent until the section ends. */
static struct slice
lend(struct store_reader *reader, const char *ptr, size_t len)
{
    struct copy *copy = malloc(sizeof(*copy) + len); /* exactly: reads past the end are found */

    ASSERT(copy != NULL && reader->inside);
    copy->next = reader->copies;
    reader->copies = copy;
    if (len > 0)
        memcpy(copy->bytes, ptr, len);
    return slice_of(copy->bytes, len);
}

static void
describe(struct store_reader *reader, const struct object *object, struct store_object *out)
{
    *out = (struct store_object){
        .oid = object->oid,
        .soft_purged = object->soft,
        .variant = object->variant,
        .birth = object->birth,
        .body_len = object->body.len,
        .key = lend(reader, object->key.ptr, object->key.len),
        .meta = lend(reader, object->meta.ptr, object->meta.len),
        .head = lend(reader, object->head.ptr, object->head.len),
        .labels_n = object->labels.len / sizeof(uint64_t),
    };
    out->labels =
        (const uint64_t *)(const void *)lend(reader, object->labels.ptr, object->labels.len).ptr;
    if (object->body.len <= TAIL_MAX)
        out->tail = lend(reader, object->body.ptr, object->body.len);
}

void
store_reader_hurry(struct store_reader *reader, bool hurried)
{
    reader->hurried = hurried;
}

bool
store_find(struct store_reader *reader, struct store_cursor *cursor, struct store_object *out)
{
    struct object *best = NULL;

    ASSERT(reader->inside);
    cursor->cold = false;
    LIST_FOREACH (&the_store.objects, link) {
        struct object *object = CONTAINER_OF(link, struct object, link);

        if (object->visible && slice_equal(bytes_slice(&object->key), cursor->key->text) &&
            (cursor->position == 0 || object->oid < cursor->position) &&
            (best == NULL || object->oid > best->oid))
            best = object;
    }
    if (best == NULL)
        return false;
    if (reader->hurried && the_store.mood.cold) {
        cursor->cold = true;
        return false;
    }
    cursor->position = best->oid;
    describe(reader, best, out);
    return true;
}

/* Nothing here makes members, but whether there is one may be on disk alone. */
bool
store_find_member(struct store_reader *reader, const struct store_object *head, uint8_t member,
                  struct store_object *out, bool *out_cold)
{
    ASSERT(reader->inside && member != 0);
    *out_cold = head->family != 0 && reader->hurried && the_store.mood.cold;
    return false;
}

void
store_touch(struct store_reader *reader, const struct store_object *object)
{
    ASSERT(reader->inside && object_by_oid(object->oid) != NULL);
}

bool
store_pin(struct store_reader *reader, const struct store_object *object, struct store_pin *out)
{
    struct object *found = object_by_oid(object->oid);

    ASSERT(reader->inside);
    if (found == NULL || found->dead || the_store.mood.no_pin)
        return false;
    found->pins++;
    *out = (struct store_pin){&the_store, found->oid, 0, found->body.len};
    return true;
}

void
store_unpin(struct store_pin *pin)
{
    ASSERT(pin->store == &the_store);
    object_unpin(object_by_oid(pin->oid));
    pin->store = NULL;
}

/* Nobody finds it any more. */
static bool
is_damaged(const struct store_source *source, struct object *object)
{
    if (!the_store.mood.damaged || object->body.len <= TAIL_MAX)
        return false;
    if (source->slot != STORE_NO_SLOT && !object->dead)
        object_remove(object);
    return true;
}

enum err
store_body(struct store_reader *reader, const struct store_source *source, uint64_t off,
           uint64_t len_max, struct iovec *iov, size_t iov_max, size_t *out_n)
{
    struct object *object = object_by_oid(source->oid);
    uint64_t body_len = source->body_len;
    size_t n = 0;

    ASSERT(reader->inside);
    if (object == NULL)
        return ERR_NOT_FOUND;
    if (reader->hurried && the_store.mood.cold)
        return ERR_AGAIN;
    ASSERT(body_len <= object->body.len && off <= body_len);
    if (is_damaged(source, object))
        return ERR_STORE_CORRUPT;
    while (n < iov_max && off < body_len && len_max > 0) {
        uint64_t len = BLOCK_FULL_LEN - off % BLOCK_FULL_LEN;

        len = len < body_len - off ? len : body_len - off;
        len = len < len_max ? len : len_max;
        iov[n].iov_base = (char *)(uintptr_t)lend(reader, object->body.ptr + off, len).ptr;
        iov[n++].iov_len = len;
        off += len;
        len_max -= len;
    }
    *out_n = n;
    return OK;
}

enum err
store_verify(struct store_reader *reader, const struct store_source *source, uint64_t off,
             uint64_t len)
{
    struct object *object = object_by_oid(source->oid);

    ASSERT(reader->inside);
    if (reader->hurried && the_store.mood.cold)
        return ERR_AGAIN;
    if (object == NULL)
        return ERR_NOT_FOUND;
    ASSERT(source->body_len <= object->body.len && off + len >= off &&
           off + len <= source->body_len);
    return is_damaged(source, object) ? ERR_STORE_CORRUPT : OK;
}

/* --- what waits for the writer --- */

static struct todo *
todo_new(enum kind kind, struct store_put *put, struct store_done done)
{
    struct todo *todo = fuzz_alloc(sizeof(*todo));

    todo->kind = kind;
    todo->put = put;
    todo->done = done;
    list_init(&todo->rows);
    if (put != NULL)
        put->refs++;
    list_push(&the_store.todos, &todo->link);
    return todo;
}

static enum err
warm(struct store *store, struct store_done done, struct store_warming **out)
{
    if (store->mood.no_pin)
        return ERR_LIMIT;
    *out = fuzz_alloc(sizeof(**out));
    (*out)->todo = todo_new(DO_WARM, NULL, done);
    (*out)->todo->warming = *out;
    return OK;
}

enum err
store_warm_find(struct store *store, const struct store_key *key, struct store_done done,
                struct store_warming **out)
{
    ASSERT(key->text.len > 0);
    return warm(store, done, out);
}

enum err
store_warm_body(struct store *store, const struct store_source *source, uint64_t off, uint64_t len,
                struct store_done done, struct store_warming **out)
{
    ASSERT(source->oid != 0 && off < source->body_len && len > 0);
    return warm(store, done, out);
}

void
store_warm_end(struct store_warming **slot)
{
    struct store_warming *warming = *slot;
    struct todo *todo = warming == NULL ? NULL : warming->todo;

    *slot = NULL;
    free(warming);
    if (todo == NULL)
        return;
    list_remove(&todo->link);
    todo->done.fn(todo->done.arg, ERR_CANCELLED, 0);
    free(todo);
}

enum err
store_put_begin(struct store *store, const struct store_key *key, struct store_put **out)
{
    struct store_put *put = fuzz_alloc(sizeof(*put));
    struct store_hash hash = store_hash(key->text);

    ASSERT(hash.lo == key->hash.lo && hash.hi == key->hash.hi);
    put->refs = 1;
    put->birth = store->purges_n;
    put->hash = hash;
    bytes_add(&put->key, key->text.ptr, key->text.len);
    store->puts_n++;
    *out = put;
    return OK;
}

uint64_t
store_put_birth(const struct store_put *put)
{
    return put->birth;
}

uint64_t
store_put_oid(const struct store_put *put)
{
    return put->object == NULL ? 0 : put->object->oid;
}

uint64_t
store_put_stored_len(const struct store_put *put)
{
    return put->object == NULL ? 0 : put->object->body.len;
}

static void
put_unref(struct store_put *put)
{
    if (--put->refs > 0)
        return;
    if (put->object != NULL) {
        if (!put->object->visible && !put->object->dead)
            put->object->dead = true;
        object_unpin(put->object);
    }
    bytes_free(&put->key);
    free(put);
    the_store.puts_n--;
}

void
store_put_release(struct store_put **slot)
{
    struct store_put *put = *slot;

    *slot = NULL;
    if (put == NULL)
        return;
    ASSERT(!put->released);
    put->released = true;
    put_unref(put);
}

enum err
store_put_block(struct store_put *put, struct block *block, struct store_done done)
{
    ASSERT(block->len == BLOCK_FULL_LEN && !put->ended && !put->dead);
    if (the_store.mood.full) {
        put->dead = true;
        return ERR_STORE_FULL;
    }
    todo_new(DO_BLOCK, put, done)->block = block_ref(block);
    return OK;
}

static enum err
put_record(struct store_put *put, enum kind kind, uint64_t oid, const struct store_record *record,
           struct block *rest, struct store_done done)
{
    struct todo *todo;

    ASSERT(!put->ended && !put->dead);
    if (the_store.mood.full)
        return ERR_STORE_FULL;
    put->ended = true;
    todo = todo_new(kind, put, done);
    todo->oid = oid;
    todo->variant = record->variant;
    todo->replaces_oid = record->replaces_oid;
    todo->block = rest == NULL ? NULL : block_ref(rest);
    bytes_add(&todo->meta, record->meta.ptr, record->meta.len);
    bytes_add(&todo->head, record->head.ptr, record->head.len);
    bytes_add(&todo->labels, record->labels, record->labels_n * sizeof(uint64_t));
    return OK;
}

enum err
store_put_end(struct store_put *put, const struct store_record *record, struct block *rest,
              struct store_done done)
{
    return put_record(put, DO_END, 0, record, rest, done);
}

enum err
store_put_update(struct store_put *put, uint64_t oid, const struct store_record *record,
                 struct store_done done)
{
    return put_record(put, DO_UPDATE, oid, record, NULL, done);
}

enum err
store_purge(struct store *store, const struct store_purge *purges, size_t purges_n,
            struct store_done done, uint64_t *out_id)
{
    struct todo *todo;

    if (store->mood.no_purge)
        return ERR_LIMIT;
    todo = todo_new(DO_PURGE, NULL, done);
    store->purges_n++;
    for (size_t i = 0; i < purges_n; i++) {
        struct row *row = fuzz_alloc(sizeof(*row));

        row->seq = store->purges_n;
        row->kind = purges[i].kind;
        row->soft = purges[i].soft;
        row->label = purges[i].label;
        bytes_add(&row->text, purges[i].text.ptr, purges[i].text.len);
        list_push(&todo->rows, &row->link);
    }
    *out_id = ++store->purge_id;
    return OK;
}

/* --- the writer's turn --- */

static void
add_body(struct store_put *put, const struct block *block)
{
    if (put->object == NULL) {
        put->object = object_new(put);
        put->object->pins = 1; /* the put's */
    }
    if (block != NULL)
        bytes_add(&put->object->body, block->data, block->len);
}

static void
move_record(struct todo *todo, struct object *object)
{
    bytes_free(&object->meta);
    bytes_free(&object->head);
    bytes_free(&object->labels);
    object->meta = todo->meta;
    object->head = todo->head;
    object->labels = todo->labels;
    todo->meta = todo->head = todo->labels = (struct bytes){0};
}

static void
remove_replaced(const struct object *by, uint64_t replaces_oid)
{
    LIST_FOREACH (&the_store.objects, link) {
        struct object *object = CONTAINER_OF(link, struct object, link);

        if (object != by && object->visible &&
            (object->oid == replaces_oid ||
             (object->variant == by->variant &&
              slice_equal(bytes_slice(&object->key), bytes_slice(&by->key)))))
            object_remove(object);
    }
}

static enum err
do_end(struct todo *todo, uint64_t *out_oid)
{
    struct object *object;
    enum store_purged purged;

    add_body(todo->put, todo->block);
    object = todo->put->object;
    object->variant = todo->variant;
    move_record(todo, object);
    purged = object_purged(object, object->birth);
    if (purged == STORE_PURGED_HARD)
        return ERR_CANCELLED;
    object->soft = purged == STORE_PURGED_SOFT;
    object->visible = true;
    remove_replaced(object, todo->replaces_oid);
    *out_oid = object->oid;
    return OK;
}

static enum err
do_update(struct todo *todo, uint64_t *out_oid)
{
    struct object *object = object_by_oid(todo->oid);
    enum store_purged purged;

    if (object == NULL || !object->visible)
        return ERR_NOT_FOUND;
    move_record(todo, object);
    purged = object_purged(object, todo->put->birth);
    if (purged == STORE_PURGED_HARD) {
        object_remove(object);
        return ERR_CANCELLED;
    }
    object->birth = todo->put->birth;
    object->soft = purged == STORE_PURGED_SOFT;
    *out_oid = object->oid;
    return OK;
}

static uint64_t
do_purge(struct todo *todo)
{
    uint64_t n = 0;
    struct row *row;

    while ((row = LIST_FIRST(&todo->rows, struct row, link)) != NULL) {
        list_remove(&row->link);
        list_push(&the_store.history, &row->link);
    }
    LIST_FOREACH (&the_store.objects, link) {
        struct object *object = CONTAINER_OF(link, struct object, link);
        enum store_purged purged;

        if (!object->visible)
            continue;
        purged = object_purged(object, object->birth);
        n += purged != STORE_NOT_PURGED;
        object->soft = object->soft || purged == STORE_PURGED_SOFT;
        if (purged == STORE_PURGED_HARD)
            object_remove(object);
    }
    return n;
}

static void
todo_run(struct todo *todo)
{
    struct store_done done = todo->done;
    struct store_put *put = todo->put;
    enum err rc = OK;
    uint64_t n = 0;

    list_remove(&todo->link);
    if (todo->kind == DO_BLOCK)
        add_body(put, todo->block);
    else if (todo->kind == DO_END)
        rc = do_end(todo, &n);
    else if (todo->kind == DO_UPDATE)
        rc = do_update(todo, &n);
    else if (todo->kind == DO_PURGE)
        n = do_purge(todo);
    else
        todo->warming->todo = NULL;
    block_unref(&todo->block);
    bytes_free(&todo->meta);
    bytes_free(&todo->head);
    bytes_free(&todo->labels);
    free(todo);
    if (done.fn != NULL)
        done.fn(done.arg, rc, n);
    if (put != NULL)
        put_unref(put);
}

unsigned
fake_store_turn(void)
{
    struct todo *todo;
    unsigned n = 0;

    ASSERT(the_store.reader == NULL || !the_store.reader->inside); /* none spans a turn */
    while (!the_store.mood.held &&
           (todo = LIST_FIRST(&the_store.todos, struct todo, link)) != NULL) {
        todo_run(todo);
        n++;
    }
    return n;
}

void
fake_store_close(void)
{
    ASSERT(list_empty(&the_store.todos));
    ASSERT(the_store.reader == NULL && the_store.puts_n == 0);
    LIST_FOREACH (&the_store.objects, link) {
        struct object *object = CONTAINER_OF(link, struct object, link);

        ASSERT(object->pins == 0);
        object_free(object);
    }
    LIST_FOREACH (&the_store.history, link) {
        struct row *row = CONTAINER_OF(link, struct row, link);

        bytes_free(&row->text);
        free(row);
    }
}
