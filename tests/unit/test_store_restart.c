/* Starting again: what a clean stop saves, when it counts, and what happens while the records are
 * read after a kill. */
#include "family_help.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "storage/state.h"

/* --- holding the scan: its threads alone renew transactions on threads of their own --- */

static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hold_wake = PTHREAD_COND_INITIALIZER;
static bool held;
static pthread_t test_thread;

int
mdb_txn_renew(MDB_txn *txn)
{
    static int (*real)(MDB_txn *);

    (void)pthread_mutex_lock(&hold_lock);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_renew");
    while (held && !pthread_equal(pthread_self(), test_thread))
        (void)pthread_cond_wait(&hold_wake, &hold_lock);
    (void)pthread_mutex_unlock(&hold_lock);
    return real(txn);
}

static void
hold(bool on)
{
    (void)pthread_mutex_lock(&hold_lock);
    test_thread = pthread_self();
    held = on;
    (void)pthread_cond_broadcast(&hold_wake);
    (void)pthread_mutex_unlock(&hold_lock);
}

/* --- stores --- */

static struct store *
open_at_once(const char *path, uint64_t size_len)
{
    struct store_settings settings = {
        .path = path, .size_len = size_len, .batch_ms = 2, .readers_max = 16};
    struct store *store = NULL;
    char why[512];

    if (store_open(&settings, &store, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    return store;
}

static void
put(struct store *store, const char *text, uint64_t body_len, uint64_t body_seed)
{
    assert_int_equal(
        help_put(store,
                 &(struct help_object){.key = text, .body_len = body_len, .body_seed = body_seed},
                 NULL),
        OK);
}

static void
put_range(struct store *store, unsigned from, unsigned end, uint64_t body_len)
{
    char key[32];

    for (unsigned i = from; i < end; i++) {
        struct help_object object = {.key = key, .body_len = body_len};

        (void)snprintf(key, sizeof(key), "k%u", i);
        if (i + 1 == end)
            assert_int_equal(help_put(store, &object, NULL), OK);
        else
            assert_int_equal(help_put_start(store, &object, (struct store_done){0}), OK);
    }
}

static unsigned
count_range(struct store *store, unsigned from, unsigned end, unsigned step)
{
    struct store_reader *reader = help_reader(store);
    unsigned n = 0;
    char key[32];

    for (unsigned i = from; i < end; i += step) {
        (void)snprintf(key, sizeof(key), "k%u", i);
        n += help_count(reader, key, NULL);
    }
    store_reader_free(&reader);
    return n;
}

static void
touch_range(struct store *store, unsigned from, unsigned end, unsigned step, uint64_t body_len)
{
    struct store_reader *reader = help_reader(store);
    char key[32];

    for (unsigned i = from; i < end; i += step) {
        (void)snprintf(key, sizeof(key), "k%u", i);
        assert_true(
            help_is_stored(reader, &(struct help_object){.key = key, .body_len = body_len}));
    }
    store_reader_free(&reader);
}

/* What `run` does in a process that is killed when it is through. */
static void
killed_after(void (*run)(const char *path), const char *path)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)alarm(60);
        run(path);
        (void)kill(getpid(), SIGKILL);
    }
    help_is_killed(child);
}

static bool
was_scanned(const struct store *store)
{
    return store->scan.threads_n > 0 || store->scan.given_n > 0;
}

/* --- after a clean stop --- */

enum { FLOOD_FIRST = 1000, BODY_LEN = 8000 };

/* A full store, each fourth object used since. */
static void
fill_and_touch(struct store *store, unsigned *out_from)
{
    unsigned from;

    put_range(store, 0, FLOOD_FIRST, BODY_LEN);
    for (from = 0; count_range(store, from, from + 1, 1) == 0; from += 4)
        continue;
    from += 40; /* those before may go before the flood begins */
    touch_range(store, from, FLOOD_FIRST, 4, BODY_LEN);
    *out_from = from;
}

static void
recency_survives_a_clean_stop(void **state)
{
    struct store *store;
    char path[256];
    unsigned from, used, unused, flood = FLOOD_FIRST;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 8 * MIB);
    fill_and_touch(store, &from);
    store_close(&store);
    store = open_at_once(path, 8 * MIB);
    assert_false(was_scanned(store));
    /* until the hand has passed about half of what was there */
    for (; count_range(store, from + 1, FLOOD_FIRST, 4) > (FLOOD_FIRST - from) / 8; flood += 20)
        put_range(store, flood, flood + 20, BODY_LEN);
    used = count_range(store, from, FLOOD_FIRST, 4);
    unused = count_range(store, from + 1, FLOOD_FIRST, 4);
    print_message("%u used and %u unused survive of %u\n", used, unused, (FLOOD_FIRST - from) / 4);
    assert_true(used >= (FLOOD_FIRST - from) / 4 - 1);
    store_close(&store);
    help_remove_folder(path);
}

/* The lists in order, with bits and hands. */
static uint64_t
order_of(const struct store *store, unsigned *out_visited, uint64_t *out_hand)
{
    const struct index *index = &store->index;
    uint64_t sum = 0;

    *out_visited = 0;
    *out_hand =
        index->lists[0].hand == INDEX_NONE ? 0 : index_entry(index, index->lists[0].hand)->oid;
    for (struct index_cursor at = index_first(index); at.slot != INDEX_NONE;
         at = index_after(index, at)) {
        const struct index_entry *entry = index_entry(index, at.slot);

        sum = sum * 31 + entry->oid * 7 + entry->pieces * 3 + entry->room;
        *out_visited += atomic_load(&entry->visited) != 0;
    }
    return sum;
}

static void
order_bits_and_hand_survive(void **state)
{
    uint64_t order, hand, order_then, hand_then;
    unsigned visited, visited_then, from;
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 8 * MIB);
    fill_and_touch(store, &from);
    put_range(store, FLOOD_FIRST, FLOOD_FIRST + 100, BODY_LEN); /* survivors change the order */
    order = order_of(store, &visited, &hand);
    assert_true(visited > 0 && hand != 0);
    store_close(&store);
    store = open_at_once(path, 8 * MIB);
    order_then = order_of(store, &visited_then, &hand_then);
    assert_true(order == order_then);
    assert_int_equal(visited, visited_then);
    assert_int_equal(hand, hand_then);
    store_close(&store);
    help_remove_folder(path);
}

static void
only_look(const char *path)
{
    struct store *store = open_at_once(path, 16 * MIB);

    touch_range(store, 0, 100, 1, 3000);
}

static void
look_and_write(const char *path)
{
    struct store *store = open_at_once(path, 16 * MIB);

    put(store, "one more", 10, 0);
}

/* Nothing changes without a transaction: until the first one the saved index is true, also after a
 * kill. */
static void
a_saved_index_counts_until_something_is_written(void **state)
{
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 16 * MIB);
    put_range(store, 0, 100, 3000);
    store_close(&store);
    for (unsigned i = 0; i < 2; i++) {
        killed_after(only_look, path);
        store = open_at_once(path, 16 * MIB);
        assert_false(was_scanned(store));
        assert_true(store_is_ready(store));
        assert_int_equal(count_range(store, 0, 100, 1), 100);
        if (i == 0)
            store_close(&store);
    }
    store_close(&store);
    killed_after(look_and_write, path);
    store = open_at_once(path, 16 * MIB);
    assert_true(was_scanned(store));
    assert_true(store_wait_ready(store, 20000));
    assert_int_equal(count_range(store, 0, 100, 1), 100);
    store_close(&store);
    help_remove_folder(path);
}

static void
copy_save(const char *from_folder, const char *to_folder)
{
    char from[300], to[300];

    (void)snprintf(from, sizeof(from), "%s/index.save", from_folder);
    (void)snprintf(to, sizeof(to), "%s/index.save", to_folder);
    (void)unlink(to);
    assert_int_equal(link(from, to), 0);
}

/* Of two stores with as many transactions, each has its own. */
static void
the_saved_index_of_another_store_is_not_used(void **state)
{
    char paths[2][256];
    struct store *store;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        help_new_folder(paths[i], sizeof(paths[i]));
        store = help_open(paths[i], 16 * MIB);
        put(store, i == 0 ? "a" : "b", 3000, 0);
        store_close(&store);
    }
    copy_save(paths[0], paths[1]);
    store = help_open(paths[1], 16 * MIB);
    assert_true(was_scanned(store));
    {
        struct store_reader *reader = help_reader(store);

        assert_int_equal(help_count(reader, "a", NULL), 0);
        assert_int_equal(help_count(reader, "b", NULL), 1);
        store_reader_free(&reader);
    }
    store_close(&store);
    help_remove_folder(paths[0]);
    help_remove_folder(paths[1]);
}

static void
flip_byte(const char *path, off_t at)
{
    char name[300], byte;
    int fd;

    (void)snprintf(name, sizeof(name), "%s/index.save", path);
    fd = open(name, O_RDWR);
    assert_true(fd != -1);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void
a_damaged_saved_index_is_not_used(void **state)
{
    struct store *store;
    char path[256], name[300];
    struct stat st;

    (void)state;
    help_new_folder(path, sizeof(path));
    (void)snprintf(name, sizeof(name), "%s/index.save", path);
    store = help_open(path, 16 * MIB);
    put_range(store, 0, 50, 3000);
    store_close(&store);
    assert_int_equal(stat(name, &st), 0);
    for (off_t at = 0; at < st.st_size; at += 89) {
        flip_byte(path, at);
        store = help_open(path, 16 * MIB);
        if (!was_scanned(store))
            fail_msg("byte %lld", (long long)at);
        assert_int_equal(count_range(store, 0, 50, 1), 50);
        store_close(&store);
    }
    assert_int_equal(truncate(name, st.st_size - 1), 0);
    store = help_open(path, 16 * MIB);
    assert_true(was_scanned(store));
    store_close(&store);
    help_remove_folder(path);
}

/* What is left to be deleted at the stop is deleted after the start. */
static void
what_is_doomed_is_saved_too(void **state)
{
    struct store_purge purge = {STORE_PURGE_KEY, false, 0, SLICE("large")};
    struct store_settings settings = {
        .size_len = 64 * MIB, .batch_ms = 2, .readers_max = 4, .object_max_len = 30 * MIB};
    struct store *store;
    struct help_wait wait;
    char path[256], why[512];
    uint64_t id;

    (void)state;
    help_new_folder(path, sizeof(path));
    settings.path = path;
    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), OK);
    put(store, "large", 25 * MIB, 0);
    /* more pages than one transaction may free */
    assert_int_equal(store_purge(store, &purge, 1, help_done(&wait), &id), OK);
    store_close(&store);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), OK);
    assert_false(was_scanned(store));
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* --- while the records are read --- */

static void
fill_some(const char *path)
{
    struct store *store = help_open(path, 16 * MIB);

    put_range(store, 0, 300, 3000);
    put(store, "old", 5000, 1);
    put(store, "kept", 70000, 2);
}

/* What is stored meanwhile is newer than what is found, in the look-up and on the list. */
static void
what_is_stored_meanwhile_counts(void **state)
{
    struct store_reader *reader;
    struct store *store;
    struct help_object fresh = {.key = "old", .body_len = 6000, .body_seed = 9};
    uint64_t before = 0;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    killed_after(fill_some, path);
    hold(true);
    store = open_at_once(path, 16 * MIB);
    assert_false(store_is_ready(store));
    reader = help_reader(store);
    assert_int_equal(help_count(reader, "old", NULL), 0);
    assert_int_equal(help_put(store, &fresh, NULL), OK);
    assert_true(help_is_stored(reader, &fresh));
    hold(false);
    assert_true(store_wait_ready(store, 20000));
    assert_int_equal(help_count(reader, "old", NULL), 1);
    assert_true(help_is_stored(reader, &fresh));
    assert_true(help_is_stored(
        reader, &(struct help_object){.key = "kept", .body_len = 70000, .body_seed = 2}));
    assert_int_equal(count_range(store, 0, 300, 1), 300);
    store_reader_free(&reader);
    store_close(&store);
    store = help_open(path, 16 * MIB);
    for (struct index_cursor at = index_first(&store->index); at.slot != INDEX_NONE;
         at = index_after(&store->index, at)) {
        assert_true(index_entry(&store->index, at.slot)->oid > before);
        before = index_entry(&store->index, at.slot)->oid;
    }
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

static void
fill_families(const char *path)
{
    struct store *store = help_open(path, 16 * MIB);

    for (uint8_t member = 0; member <= 2; member++) {
        struct help_object old = family_object("old", 0, 1, member, 3000);
        struct help_object kept = family_object("kept", 0, 2, member, 3000);

        assert_int_equal(help_put(store, &old, NULL), OK);
        assert_int_equal(help_put(store, &kept, NULL), OK);
    }
}

/* A body that is stored meanwhile gets none of the members that are found of the one before. */
static void
families_found_late_stay_apart(void **state)
{
    struct help_object head = family_object("old", 0, 3, 0, 3000);
    struct help_object members[] = {
        family_object("kept", 0, 2, 1, 10), /* its head is not found yet */
        family_object("old", 0, 1, 1, 10),
        family_object("old", 0, 3, 2, 10),
    };
    static const enum err want[] = {ERR_NOT_FOUND, ERR_NOT_FOUND, OK};
    struct store_reader *reader;
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    killed_after(fill_families, path);
    hold(true);
    store = open_at_once(path, 16 * MIB);
    assert_false(store_is_ready(store));
    reader = help_reader(store);
    assert_int_equal(help_put(store, &head, NULL), OK);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        assert_int_equal(help_put(store, &members[i], NULL), want[i]);
    hold(false);
    assert_true(store_wait_ready(store, 20000));
    assert_int_equal(family_members(reader, "kept", 0), 0x06);
    assert_int_equal(family_members(reader, "old", 0), 0x04);
    assert_int_equal(family_entries(store, "old"), 2);
    assert_int_equal(family_entries(store, "kept"), 3);
    store_reader_free(&reader);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* A purge is at work, and its sweep has not come to them yet, when the hand does: it writes the
 * member again, and judges the head. That counts as one. */
static void
eviction_counts_heads_for_purges(void **state)
{
    static const struct family_row rows[] = {{0, 5, 1}, {0, 5, 0}};
    struct store_purge nothing = {.kind = STORE_PURGE_PREFIX, .text = SLICE("nothing")};
    struct store_purge purge = {.kind = STORE_PURGE_PREFIX, .text = SLICE("a")};
    struct store_purge_status status;
    struct store_reader *reader;
    struct store *store;
    char path[256];
    uint64_t id;

    (void)state;
    help_new_folder(path, sizeof(path));
    family_craft(path, rows, ARRAY_LEN(rows));
    store = help_open(path, 4 * MIB);
    reader = help_reader(store);
    assert_true(family_has(reader, "a", 0, 1, true));
    (void)help_purge(store, &nothing, 1, &id);
    (void)help_purge_finish(store, id); /* the sweep has its transaction, to be renewed */
    hold(true);
    (void)help_purge(store, &purge, 1, &id);
    family_evict(store, "a");
    hold(false);
    assert_int_equal(help_purge_finish(store, id), 1);
    assert_int_equal(store_purge_status(store, id, &status), OK);
    assert_int_equal(status.removed, 1);
    store_reader_free(&reader);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

static void
fill_for_purges(const char *path)
{
    static const uint64_t label = 5;
    struct store *store = help_open(path, 16 * MIB);

    put(store, "key", 3000, 0);
    put(store, "pre/fix", 3000, 0);
    put(store, "soft", 3000, 0);
    put(store, "kept", 3000, 0);
    assert_int_equal(
        help_put(store,
                 &(struct help_object){
                     .key = "label", .body_len = 3000, .labels = &label, .labels_n = 1},
                 NULL),
        OK);
    put_range(store, 0, 300, 3000);
}

static void
assert_purged(struct store *store)
{
    struct store_reader *reader = help_reader(store);
    struct store_object found;

    assert_int_equal(help_count(reader, "key", NULL), 0);
    assert_int_equal(help_count(reader, "pre/fix", NULL), 0);
    assert_int_equal(help_count(reader, "label", NULL), 0);
    assert_int_equal(help_count(reader, "soft", &found), 1);
    assert_true(found.soft_purged);
    assert_int_equal(help_count(reader, "kept", &found), 1);
    assert_false(found.soft_purged);
    store_reader_free(&reader);
}

/* Acknowledged at once, purges hold for what is found later, and after another kill. */
static void
purge_and_die(const char *path)
{
    static const struct store_purge purges[] = {
        {.kind = STORE_PURGE_KEY, .text = SLICE("key")},
        {.kind = STORE_PURGE_KEY, .soft = true, .text = SLICE("soft")},
        {.kind = STORE_PURGE_PREFIX, .text = SLICE("pre/")},
        {.kind = STORE_PURGE_LABEL, .label = 5}};
    struct store *store;

    hold(true);
    store = open_at_once(path, 16 * MIB);
    (void)help_purge(store, purges, ARRAY_LEN(purges), NULL);
    if (was_scanned(store) && !store_is_ready(store))
        return;
    fail_msg("the scan was not held"); /* the child ends by itself then */
}

static void
purges_hold_for_what_is_found_later(void **state)
{
    struct store_purge again = {.kind = STORE_PURGE_KEY, .text = SLICE("kept")};
    struct store_reader *reader;
    struct store *store;
    char path[256];
    uint64_t id;

    (void)state;
    help_new_folder(path, sizeof(path));
    killed_after(fill_for_purges, path);
    killed_after(purge_and_die, path);
    store = open_at_once(path, 16 * MIB);
    assert_true(store_wait_ready(store, 20000));
    assert_purged(store);
    assert_int_equal(count_range(store, 0, 300, 1), 300);
    store_close(&store);
    killed_after(look_and_write, path);
    hold(true);
    store = open_at_once(path, 16 * MIB);
    assert_int_equal(help_purge(store, &again, 1, &id), 0); /* while nothing is known yet */
    reader = help_reader(store);
    assert_int_equal(help_count(reader, "kept", NULL), 0);
    hold(false);
    assert_true(store_wait_ready(store, 20000));
    assert_int_equal(help_count(reader, "kept", NULL), 0);
    assert_int_equal(help_purge_finish(store, id), 1); /* the count is exact in the end */
    store_reader_free(&reader);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

static void
fill_full(const char *path)
{
    struct store *store = help_open(path, 8 * MIB);

    put_range(store, 0, 1000, BODY_LEN);
}

/* A full store of which nothing is known yet takes nothing in, and goes on afterwards. */
static void
a_full_store_waits_for_what_can_go(void **state)
{
    struct help_object large = {.key = "large", .body_len = MIB - 1};
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    killed_after(fill_full, path);
    hold(true);
    store = open_at_once(path, 8 * MIB);
    assert_int_equal(help_put(store, &large, NULL), ERR_STORE_FULL);
    hold(false);
    assert_true(store_wait_ready(store, 20000));
    assert_int_equal(help_put(store, &large, NULL), OK);
    (void)help_check(store);
    store_close(&store);
    help_remove_folder(path);
}

static void
it_can_be_closed_meanwhile(void **state)
{
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    killed_after(fill_some, path);
    hold(true);
    store = open_at_once(path, 16 * MIB);
    put(store, "more", 100, 0);
    hold(false); /* its threads are in the middle of it, or about to begin */
    store_close(&store);
    store = open_at_once(path, 16 * MIB);
    assert_true(store_wait_ready(store, 20000));
    assert_int_equal(count_range(store, 0, 300, 1), 300);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recency_survives_a_clean_stop),
        cmocka_unit_test(order_bits_and_hand_survive),
        cmocka_unit_test(a_saved_index_counts_until_something_is_written),
        cmocka_unit_test(the_saved_index_of_another_store_is_not_used),
        cmocka_unit_test(a_damaged_saved_index_is_not_used),
        cmocka_unit_test(what_is_doomed_is_saved_too),
        cmocka_unit_test(what_is_stored_meanwhile_counts),
        cmocka_unit_test(families_found_late_stay_apart),
        cmocka_unit_test(eviction_counts_heads_for_purges),
        cmocka_unit_test(purges_hold_for_what_is_found_later),
        cmocka_unit_test(a_full_store_waits_for_what_can_go),
        cmocka_unit_test(it_can_be_closed_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
