/* Families after a kill. What the file holds then is looked at by itself: no record of a member is
 * there without its head's. And files in which that is not so, or in which the order is an unusual
 * one. BRINK_KILLS sets how often. */
#include "family_help.h"

#include <dlfcn.h>
#include <signal.h>

#include "base/stats.h"

enum { KILLS = 12, FAMILIES = 250, MEMBERS = 3 };

/* --- transactions that fail --- */

static atomic_uint commits_to_fail;
static _Atomic(struct index_entry *) must_stay; /* the first that gives it another id fails, too */

static bool
moves_what_must_stay(void)
{
    struct index_entry *entry = atomic_load(&must_stay);

    if (entry == NULL || !entry->moving)
        return false;
    atomic_store(&must_stay, NULL);
    return true;
}

/* As when no run of free pages is long enough: all is undone, and tried again. */
int
mdb_txn_commit(MDB_txn *txn)
{
    static _Atomic(void *) real;
    void *found = atomic_load(&real);
    unsigned left = atomic_load(&commits_to_fail);

    if (found == NULL) {
        found = dlsym(RTLD_NEXT, "mdb_txn_commit");
        atomic_store(&real, found);
    }
    while (left > 0 && !atomic_compare_exchange_weak(&commits_to_fail, &left, left - 1))
        ;
    if (left > 0 || moves_what_must_stay()) {
        mdb_txn_abort(txn);
        return MDB_MAP_FULL;
    }
    return ((int (*)(MDB_txn *))found)(txn);
}

/* --- killed in a churn --- */

static uint64_t
length_of(unsigned number, uint8_t member)
{
    uint64_t x = (number * 4 + member + 1) * 0x9e3779b97f4a7c15U;

    return number % 9 == 0 ? (x >> 20) % 300000 : (x >> 20) % 3000;
}

static void
put_some(struct store *store, const struct help_object *object, bool wait)
{
    if (wait)
        (void)help_put(store, object, NULL); /* a member may be refused */
    else
        (void)help_put_start(store, object, (struct store_done){0});
}

static void
refresh(struct store *store, struct store_reader *reader, const char *text)
{
    static const uint64_t label = 7;
    struct store_key key = help_key(text);
    struct store_record record = {
        .meta = slice_from_str("new meta"), .labels = &label, .labels_n = 1};
    struct store_object head;
    struct store_put *put;

    if (help_count(reader, text, &head) == 0 || store_put_begin(store, &key, &put) != OK)
        return;
    assert_int_equal(store_put_update(put, head.oid, &record, (struct store_done){0}), OK);
    store_put_release(&put);
}

/* Store heads, members of them, and the next heads; read and refresh; every other time purge, too;
 * until killed. */
static void
churn(const char *path, unsigned seed)
{
    static const uint64_t label = 7;
    struct store *store = help_open(path, 8 * MIB);
    struct store_reader *reader = help_reader(store);
    char key[32];

    for (uint64_t i = 0;; i++) {
        unsigned number = (unsigned)((seed * 7919 + i * 31) % FAMILIES);
        uint64_t family = (uint64_t)seed << 32 | (i + 1);
        struct help_object object =
            family_object((snprintf(key, sizeof(key), "crash/%u", number), key), number % 2, family,
                          0, length_of(number, 0));
        struct store_purge purge = {STORE_PURGE_KEY, false, 0, slice_from_str(key)};

        object.labels = &label;
        object.labels_n = number % 3 == 0;
        put_some(store, &object, true);
        for (uint8_t member = 1; member <= MEMBERS; member++) {
            object = family_object(key, number % 2, family, member, length_of(number, member));
            put_some(store, &object, i % 8 == member);
            if (seed % 2 == 1 && i % 11 == member)
                (void)help_purge(store, &purge, 1, NULL);
        }
        for (uint8_t member = 1; member <= MEMBERS && i % 3 == 0; member++)
            (void)family_has(reader, key, number % 2, member, member != 2 || i % 2 == 0);
        if (i % 7 == 0)
            refresh(store, reader, key);
        if (seed % 2 == 1 && i % 100 == 99) {
            purge = (struct store_purge){STORE_PURGE_LABEL, (i & 1) != 0, 7, SLICE_NONE};
            (void)help_purge(store, &purge, 1, NULL);
        }
    }
}

static bool
next_record(MDB_cursor *cursor, uint64_t *key, struct record *out)
{
    MDB_val name, value;

    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0) {
        memcpy(key, name.mv_data, sizeof(*key));
        if (*key >> RECORD_PIECE_BITS == 0 || (*key & RECORD_PIECE) != RECORD_PIECE)
            continue;
        assert_int_equal(record_decode(slice_of(value.mv_data, value.mv_size),
                                       *key >> RECORD_PIECE_BITS, true, out),
                         OK);
        if ((out->flags & RECORD_DEAD) == 0)
            return true;
    }
    return false;
}

/* How many heads has this member in the file? */
static unsigned
heads_of(const struct family_file *file, const struct record *member)
{
    struct record record;
    MDB_cursor *cursor;
    uint64_t key;
    unsigned n = 0;

    assert_int_equal(mdb_cursor_open(file->txn, file->dbi, &cursor), 0);
    while (next_record(cursor, &key, &record))
        n += record.member == 0 && record.variant == member->variant &&
             record.family == member->family && slice_equal(record.key, member->key);
    mdb_cursor_close(cursor);
    return n;
}

/* In the file as the kill left it. */
static unsigned
count_members(const char *path)
{
    struct family_file file;
    struct record record;
    MDB_cursor *cursor;
    uint64_t key;
    unsigned n = 0;

    family_open_file(&file, path, false);
    assert_int_equal(mdb_cursor_open(file.txn, file.dbi, &cursor), 0);
    while (next_record(cursor, &key, &record)) {
        if (record.member == 0)
            continue;
        assert_int_equal(heads_of(&file, &record), 1);
        n++;
    }
    mdb_cursor_close(cursor);
    family_close_file(&file);
    return n;
}

/* Every member that lies in the file is found, and right: all of them, or those that no purge names
 * that goes on. */
static void
verify(const char *path, unsigned members_n, bool purged)
{
    struct store *store = help_open(path, 8 * MIB);
    struct store_reader *reader = help_reader(store);
    unsigned found = 0;
    char key[32];

    assert_true(store_is_ready(store));
    for (unsigned number = 0; number < FAMILIES; number++) {
        (void)snprintf(key, sizeof(key), "crash/%u", number);
        for (uint64_t members = family_members(reader, key, number % 2); members != 0;
             members &= members - 1)
            found++;
        assert_true(help_count(reader, key, NULL) <= 1);
    }
    assert_true(found == members_n || (purged && found < members_n));
    assert_int_equal(help_put(store, &(struct help_object){.key = "end", .body_len = 1}, NULL), OK);
    assert_true(help_check(store).members <= found); /* the put may have evicted one */
    for (unsigned i = 0; i < 20000 && stats_read(STAT_purges_at_work) > 0; i++)
        (void)usleep(1000); /* or they hide what lies in the file next time */
    store_reader_free(&reader);
    store_close(&store);
}

static void
kill_once(const char *path, unsigned seed, unsigned after_us)
{
    pid_t child = fork();

    if (child == 0) {
        (void)alarm(30); /* it shall not outlive the test */
        churn(path, seed);
    }
    help_kill(child, after_us);
}

static void
no_kill_leaves_a_member_without_its_head(void **state)
{
    unsigned kills = help_kills(KILLS);
    uint64_t verified = 0;
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    for (unsigned i = 0; i < kills; i++) {
        unsigned members_n;

        kill_once(path, i, 60000 + (i * 7919 % 41) * 9000);
        members_n = count_members(path);
        verify(path, members_n, i % 2 == 1);
        verified += members_n;
    }
    print_message("%u kills, %llu members verified\n", kills, (unsigned long long)verified);
    assert_true(kills < 5 || verified > 0);
    store = help_open(path, 8 * MIB);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* --- nobody reads what was removed, but it is sent --- */

static void
purge_what_is_sent(const char *path)
{
    struct store_purge purge = {.kind = STORE_PURGE_KEY, .text = SLICE("a")};
    struct store *store = help_open(path, 8 * MIB);
    struct store_reader *reader = help_reader(store);
    struct store_key key = help_key("a");
    struct store_object head, member;
    struct store_pin pins[3];
    bool cold;

    for (uint8_t number = 0; number <= 3; number++) {
        struct help_object object = family_object("a", 0, 5, number, 70000);

        assert_int_equal(help_put(store, &object, NULL), OK);
    }
    store_read_begin(reader);
    assert_true(family_head(reader, &key, 0, &head));
    assert_true(store_pin(reader, &head, &pins[0]));
    for (uint8_t number = 1; number <= 2; number++) {
        assert_true(store_find_member(reader, &head, number, &member, &cold));
        assert_true(store_pin(reader, &member, &pins[number]));
    }
    store_read_end(reader);
    (void)help_purge(store, &purge, 1, NULL);
    assert_int_equal(help_put(store, &(struct help_object){.key = "end", .body_len = 1}, NULL), OK);
}

/* Their records are there, marked; a start removes them. */
static void
what_was_sent_when_it_was_killed_goes(void **state)
{
    struct store *store;
    char path[256];
    pid_t child;

    (void)state;
    help_new_folder(path, sizeof(path));
    child = fork();
    if (child == 0) {
        (void)alarm(30);
        purge_what_is_sent(path);
        (void)kill(getpid(), SIGKILL);
    }
    assert_true(child > 0);
    help_is_killed(child);
    store = help_open(path, 8 * MIB);
    assert_int_equal(family_entries(store, "a"), 0);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* --- a churn in which transactions fail --- */

static void
a_transaction_that_fails_changes_no_family(void **state)
{
    enum { ROUNDS = 90, KEYS = 12 };
    struct store_reader *reader;
    struct store *store;
    unsigned found = 0;
    char path[256], key[32];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 4 * MIB);
    reader = help_reader(store);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        (void)snprintf(key, sizeof(key), "fail/%u", (unsigned)(i * 7 % KEYS));
        for (uint8_t member = 0; member <= 2; member++) {
            struct help_object object = family_object(key, 0, i + 1, member, 20000);

            if ((i + member) % 4 == 0)
                atomic_store(&commits_to_fail, 1);
            (void)help_put(store, &object, NULL);
        }
        (void)snprintf(key, sizeof(key), "fail/%u", (unsigned)(i * 3 % KEYS));
        found += family_has(reader, key, 0, 1, i % 2 == 0);
    }
    atomic_store(&commits_to_fail, 0);
    assert_true(found > 0);
    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "fail/%u", i);
        (void)family_members(reader, key, 0);
        if (help_count(reader, key, NULL) == 0)
            assert_int_equal(family_entries(store, key), 0);
    }
    (void)help_check(store);
    store_reader_free(&reader);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* The batches of this store wait for more; this one does no longer. */
static void
commit_now(struct store *store)
{
    struct store_purge nothing = {.kind = STORE_PURGE_KEY, .text = SLICE("nothing")};

    (void)help_purge(store, &nothing, 1, NULL);
}

static void
put_at_once(struct store *store, struct help_object object)
{
    struct help_wait wait;

    assert_int_equal(help_put_start(store, &object, help_done(&wait)), OK);
    commit_now(store);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
}

/* The hand writes this head again, for it is used, in a transaction that fails. */
static void
move_in_vain(struct store *store, struct store_reader *reader, const char *text)
{
    struct store_key name = help_key(text);
    uint32_t slot = index_find_member(&store->index, name.hash, 0, 0);
    struct index_entry *entry = index_entry(&store->index, slot);
    char key[32];

    atomic_store(&must_stay, entry);
    for (unsigned i = 0; i < 400 && atomic_load(&must_stay) != NULL; i++) {
        struct store_object head;

        store_read_begin(reader);
        assert_true(family_head(reader, &name, 0, &head));
        store_touch(reader, &head);
        store_read_end(reader);
        (void)snprintf(key, sizeof(key), "filler/%u", i);
        put_at_once(store, (struct help_object){.key = key, .body_len = 20000});
    }
    assert_true(entry->moving);
    assert_int_equal(atomic_load(&entry->pins) & INDEX_GOING, 0);
}

/* Such a move is over. When the head is replaced later, it goes: no member comes in by it in that
 * transaction, although its record stays for who sends it. */
static void
a_move_that_failed_is_forgotten(void **state)
{
    struct store_settings settings = {
        .size_len = 4 * MIB, .batch_ms = 20000, .batch_len = MIB, .readers_max = 4};
    struct help_object member = family_object("a", 0, 5, 1, 100);
    struct store_record successor = {.variant = 1};
    struct store_key key = help_key("a");
    struct store_reader *reader;
    struct help_wait waits[2];
    struct store_object head;
    struct store_put *put;
    struct store_pin pin;
    struct store *store;
    char path[256], why[512];

    (void)state;
    help_new_folder(path, sizeof(path));
    settings.path = path;
    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), OK);
    reader = help_reader(store);
    put_at_once(store, family_object("a", 0, 5, 0, 5000));
    move_in_vain(store, reader, "a");
    store_read_begin(reader);
    assert_true(family_head(reader, &key, 0, &head));
    assert_true(store_pin(reader, &head, &pin));
    store_read_end(reader);
    successor.replaces_oid = head.oid;
    assert_int_equal(store_put_begin(store, &key, &put), OK);
    assert_int_equal(store_put_end(put, &successor, NULL, help_done(&waits[0])), OK);
    store_put_release(&put);
    assert_int_equal(help_put_start(store, &member, help_done(&waits[1])), OK);
    commit_now(store);
    assert_int_equal(help_wait_for(&waits[0], NULL), OK);
    assert_int_equal(help_wait_for(&waits[1], NULL), ERR_NOT_FOUND);
    assert_int_equal(family_entries(store, "a"), 1);
    store_unpin(&pin);
    store_reader_free(&reader);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* --- files that are not as they should be --- */

static void
a_scan_keeps_what_belongs_together(void **state)
{
    static const struct {
        const char *why;
        struct family_row rows[4];
        size_t n;
        uint64_t members; /* of variant 0, found afterwards */
        unsigned entries;
        int64_t orphans;
    } cases[] = {
        {"head, members", {{0, 5, 0}, {0, 5, 1}, {0, 5, 3}}, 3, 0x0a, 3, 0},
        {"members before their head", {{0, 5, 1}, {0, 5, 3}, {0, 5, 0}}, 3, 0x0a, 3, 0},
        {"no head", {{0, 5, 1}, {0, 5, 3}}, 2, 0, 0, 2},
        {"the head of another variant", {{1, 5, 0}, {0, 5, 1}}, 2, 0, 1, 1},
        {"two of a number", {{0, 5, 0}, {0, 5, 1}, {0, 5, 1}}, 3, 0x02, 2, 0},
        {"two heads", {{0, 5, 0}, {0, 5, 1}, {0, 6, 0}, {0, 6, 2}}, 4, 0x04, 2, 0},
        {"two heads, members first", {{0, 5, 1}, {0, 5, 0}, {0, 6, 0}}, 3, 0, 1, 0},
        {"a member of another body", {{0, 5, 0}, {0, 6, 1}}, 2, 0, 2, 0}, /* it is never found */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t orphans = stats_read(STAT_store_orphans);
        struct store_reader *reader;
        struct store *store;
        char path[256];

        print_message("case: %s\n", cases[i].why);
        help_new_folder(path, sizeof(path));
        family_craft(path, cases[i].rows, cases[i].n);
        store = help_open(path, 4 * MIB);
        reader = help_reader(store);
        assert_true(store->scan.given_n > 0);
        assert_int_equal(family_members(reader, "a", 0), cases[i].members);
        assert_int_equal(family_entries(store, "a"), cases[i].entries);
        assert_int_equal(stats_read(STAT_store_orphans) - orphans, cases[i].orphans);
        store_reader_free(&reader);
        help_empty(store);
        store_close(&store);
        help_remove_folder(path);
    }
}

/* A sweep goes by ids, a purge of a key by the index: members may come before their head. */
static void
purges_count_heads_in_any_order(void **state)
{
    static const struct family_row rows[] = {{0, 5, 1}, {0, 5, 2}, {0, 5, 0}, {0, 5, 3}};
    static const struct store_purge purges[] = {
        {.kind = STORE_PURGE_PREFIX, .text = SLICE("a")},
        {.kind = STORE_PURGE_PREFIX, .soft = true, .text = SLICE("a")},
        {.kind = STORE_PURGE_KEY, .text = SLICE("a")},
        {.kind = STORE_PURGE_KEY, .soft = true, .text = SLICE("a")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(purges); i++) {
        struct store_purge_status status;
        struct store *store;
        char path[256];
        uint64_t id;

        help_new_folder(path, sizeof(path));
        family_craft(path, rows, ARRAY_LEN(rows));
        store = help_open(path, 4 * MIB);
        assert_int_equal(family_entries(store, "a"), 4);
        (void)help_purge(store, &purges[i], 1, &id);
        assert_int_equal(help_purge_finish(store, id), 1);
        assert_int_equal(store_purge_status(store, id, &status), OK);
        assert_int_equal(purges[i].soft ? status.marked : status.removed, 1);
        assert_int_equal(family_entries(store, "a"), purges[i].soft ? 4 : 0);
        help_empty(store);
        store_close(&store);
        help_remove_folder(path);
    }
}

/* It cannot be, so it is made here. */
static void
a_check_drops_a_member_without_its_head(void **state)
{
    static const struct family_row rows[] = {{0, 5, 0}, {0, 5, 1}};
    struct store_check check;
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    family_craft(path, rows, ARRAY_LEN(rows));
    store = help_open(path, 4 * MIB);
    assert_int_equal(store_check(store, &check), OK);
    assert_int_equal(check.bad, 0);
    index_remove(&store->index, index_find_member(&store->index, help_key("a").hash, 0, 0));
    assert_int_equal(store_check(store, &check), OK);
    assert_int_equal(check.bad, 1);
    assert_int_equal(help_put(store, &(struct help_object){.key = "end", .body_len = 1}, NULL), OK);
    assert_int_equal(family_entries(store, "a"), 0);
    store_close(&store);
    help_remove_folder(path);
}

/* The hand writes a used member again, and then evicts its head, in one transaction: it meets them
 * in this order when the head's id is the larger one. */
static void
a_member_written_again_goes_with_its_head(void **state)
{
    static const struct family_row rows[] = {{0, 5, 1}, {0, 5, 0}};
    struct store_key name = help_key("a");
    struct store_object head, member;
    struct store_reader *reader;
    struct store *store;
    char path[256];
    bool cold;

    (void)state;
    help_new_folder(path, sizeof(path));
    family_craft(path, rows, ARRAY_LEN(rows));
    store = help_open(path, 4 * MIB);
    reader = help_reader(store);
    store_read_begin(reader);
    assert_true(family_head(reader, &name, 0, &head));
    assert_true(store_find_member(reader, &head, 1, &member, &cold));
    store_touch(reader, &member);
    store_read_end(reader);
    family_evict(store, "a");
    (void)help_check(store);
    store_reader_free(&reader);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_kill_leaves_a_member_without_its_head),
        cmocka_unit_test(what_was_sent_when_it_was_killed_goes),
        cmocka_unit_test(a_transaction_that_fails_changes_no_family),
        cmocka_unit_test(a_move_that_failed_is_forgotten),
        cmocka_unit_test(a_scan_keeps_what_belongs_together),
        cmocka_unit_test(purges_count_heads_in_any_order),
        cmocka_unit_test(a_check_drops_a_member_without_its_head),
        cmocka_unit_test(a_member_written_again_goes_with_its_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
