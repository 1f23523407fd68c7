/* For tests of families: heads and members whose bytes tell them apart, and looks at all there is.
 */
#ifndef BRINK_TESTS_FAMILY_HELP_H
#define BRINK_TESTS_FAMILY_HELP_H

#include "store_help.h"

#include <lmdb.h>

#include "storage/state.h"

#define MIB (1024ULL * 1024)

static inline struct help_object
family_object(const char *key, uint64_t variant, uint64_t family, uint8_t member, uint64_t body_len)
{
    return (struct help_object){.key = key,
                                .variant = variant,
                                .family = family,
                                .member = member,
                                .body_len = body_len,
                                .body_seed = help_seed(key) +
                                             (family * 256 + member + 1) * 0x9e3779b97f4a7c15U};
}

/* --- looking --- */

static inline bool
family_head(struct store_reader *reader, const struct store_key *key, uint64_t variant,
            struct store_object *out)
{
    struct store_cursor cursor = {.key = key};

    while (store_find(reader, &cursor, out)) {
        assert_int_equal(out->member, 0);
        if (out->variant == variant)
            return true;
    }
    return false;
}

/* In a section: both bodies are those of this family. */
static inline bool
family_is_right(struct store_reader *reader, const struct store_object *head,
                const struct store_object *member, const char *text)
{
    struct help_object of_head = family_object(text, head->variant, head->family, 0, 0);
    struct help_object of_member =
        family_object(text, head->variant, head->family, member->member, 0);

    return member->family == head->family && member->variant == head->variant &&
           member->labels_n == 0 && slice_equal(member->key, head->key) &&
           member->soft_purged == head->soft_purged &&
           help_body_is(reader, help_source(head), of_head.body_seed) &&
           help_body_is(reader, help_source(member), of_member.body_seed);
}

/* Is this member found? Then it is right. `touch`: it and its head were used. */
static inline bool
family_has(struct store_reader *reader, const char *text, uint64_t variant, uint8_t member,
           bool touch)
{
    struct store_key key = help_key(text);
    struct store_object head, found;
    bool cold = true, is_there;

    store_read_begin(reader);
    is_there = family_head(reader, &key, variant, &head) &&
               store_find_member(reader, &head, member, &found, &cold);
    if (is_there) {
        assert_int_equal(found.member, member);
        assert_true(family_is_right(reader, &head, &found, text));
    }
    if (is_there && touch) {
        store_touch(reader, &head);
        store_touch(reader, &found);
    }
    store_read_end(reader);
    return is_there;
}

/* Which members the listing has, as bits. */
static inline uint64_t
family_members(struct store_reader *reader, const char *text, uint64_t variant)
{
    struct store_key key = help_key(text);
    struct store_object head, member = {0};
    uint64_t bits = 0;
    bool cold;

    store_read_begin(reader);
    if (family_head(reader, &key, variant, &head)) {
        while (store_next_member(reader, &head, member.member, &member, &cold)) {
            assert_true(family_is_right(reader, &head, &member, text));
            assert_true((bits >> member.member) == 0); /* in order */
            bits |= 1ULL << member.member;
        }
    }
    store_read_end(reader);
    return bits;
}

/* Entries of a key in the index, heads and members, found or not. The writer is idle. */
static inline unsigned
family_entries(struct store *store, const char *text)
{
    struct index_probe probe;
    unsigned n = 0;

    index_probe_begin(&store->index, help_key(text).hash, &probe);
    while (index_probe_next(&probe) != INDEX_NONE)
        n++;
    return n;
}

/* What lies on the disk, but for what is dead; nothing is bad. */
static inline void
family_expect(struct store *store, uint64_t objects, uint64_t members)
{
    struct store_check check = help_check(store);

    assert_int_equal(check.objects, objects);
    assert_int_equal(check.members, members);
}

/* --- storing --- */

static inline void
family_put_one(struct store *store, struct help_object object)
{
    assert_int_equal(help_put(store, &object, NULL), OK);
}

static inline uint64_t
family_member_len(uint8_t member)
{
    return member % 2 == 1 ? 100 : 70000;
}

/* A head with members 1 to members_n. */
static inline void
family_put(struct store *store, const char *key, uint64_t variant, uint64_t family,
           uint64_t head_len, uint8_t members_n)
{
    static const uint64_t label = 7;
    struct help_object head = family_object(key, variant, family, 0, head_len);

    head.labels = &label;
    head.labels_n = 1;
    family_put_one(store, head);
    for (uint8_t member = 1; member <= members_n; member++)
        family_put_one(store,
                       family_object(key, variant, family, member, family_member_len(member)));
}

/* So that the writer has come by: what was queued before is over. */
static inline void
family_pass_by(struct store *store)
{
    family_put_one(store, (struct help_object){.key = "pass by", .body_len = 1});
}

/* `n` objects of 60,000 bytes; the last is waited for. */
static inline void
family_fill(struct store *store, unsigned n)
{
    static unsigned number;
    char key[32];

    for (unsigned i = 1; i <= n; i++) {
        struct help_object object = {.key = key, .body_len = 60000};

        (void)snprintf(key, sizeof(key), "filler/%u", number++);
        if (i % 32 == 0 || i == n)
            family_put_one(store, object);
        else
            assert_int_equal(help_put_start(store, &object, (struct store_done){0}), OK);
    }
}

/* Put others until this key's head and members have gone, at no time a part of two of them. */
static inline void
family_evict(struct store *store, const char *text)
{
    char key[32];

    for (unsigned i = 0; i < 400 && family_entries(store, text) > 0; i++) {
        assert_true(family_entries(store, text) != 1);
        (void)snprintf(key, sizeof(key), "filler/%u", i);
        family_put_one(store, (struct help_object){.key = key, .body_len = 20000});
    }
    assert_int_equal(family_entries(store, text), 0);
}

/* --- opening --- */

static inline int
family_set_up(void **state)
{
    return help_set_up(state, 32 * MIB);
}

static inline void
family_close(struct help_fixture *fixture)
{
    store_reader_free(&fixture->reader);
    store_close(&fixture->store);
}

static inline void
family_open(struct help_fixture *fixture)
{
    fixture->store = help_open(fixture->path, 32 * MIB);
    fixture->reader = help_reader(fixture->store);
}

/* --- the file, while nobody has it open --- */

struct family_file {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
};

static inline void
family_open_file(struct family_file *file, const char *path, bool write)
{
    assert_int_equal(mdb_env_create(&file->env), 0);
    assert_int_equal(mdb_env_open(file->env, path, write ? 0 : MDB_RDONLY, 0640), 0);
    assert_int_equal(mdb_txn_begin(file->env, NULL, write ? 0 : MDB_RDONLY, &file->txn), 0);
    assert_int_equal(mdb_dbi_open(file->txn, NULL, MDB_INTEGERKEY, &file->dbi), 0);
}

static inline void
family_close_file(struct family_file *file)
{
    assert_int_equal(mdb_txn_commit(file->txn), 0);
    mdb_env_close(file->env);
}

struct family_row {
    uint64_t variant, family;
    uint8_t member;
};

/* Records of key "a", bodies in them, in this order of ids, in an idle store's file. */
static inline void
family_craft(const char *path, const struct family_row *rows, size_t n)
{
    struct store *store = help_open(path, 4 * MIB);
    struct family_file file;

    assert_int_equal(help_put(store, &(struct help_object){.key = "first", .body_len = 1}, NULL),
                     OK);
    store_close(&store);
    family_open_file(&file, path, true);
    for (size_t i = 0; i < n; i++) {
        struct help_object object =
            family_object("a", rows[i].variant, rows[i].family, rows[i].member, 900);
        char tail[900], value[2000];
        struct record record = {.member = object.member,
                                .variant = object.variant,
                                .family = object.family,
                                .body_len = object.body_len,
                                .key = slice_from_str("a"),
                                .tail = slice_of(tail, sizeof(tail))};
        uint64_t key = record_key(100 + i, RECORD_PIECE);
        MDB_val name = {sizeof(key), &key}, data = {record_len(&record), value};

        help_fill(tail, object.body_seed, 0, sizeof(tail));
        record_encode(&record, 100 + i, value);
        assert_int_equal(mdb_put(file.txn, file.dbi, &name, &data, 0), 0);
    }
    family_close_file(&file); /* the saved index is of another transaction: the records are read */
}

#endif
