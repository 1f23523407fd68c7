/* Large objects come and go in slices: no transaction deletes more than its share, whoever wants it
 * gone, so the writer is never held up by one. By what was done, not by time. */
#include "store_help.h"

#include "base/stats.h"

#define MIB (1024ULL * 1024)

enum {
    SIZE_MIB = 64,
    SHARE_PAGES = SIZE_MIB * 256 / 8, /* of the map's pages: 8 MiB */
    PIECE_PAGES = 16,
    BIG_MIB = 24 /* three shares */
};

/* Gauges are sums over all threads: those of the stores before stay as they were. */
struct fixture {
    int64_t used, freed_max;
    char path[256];
    struct store *store;
    struct store_reader *reader;
};

static int
set_up(void **state)
{
    static struct fixture fixture;
    struct store_settings settings = {.path = fixture.path,
                                      .size_len = SIZE_MIB * MIB,
                                      .object_max_len = 30 * MIB,
                                      .batch_ms = 2,
                                      .readers_max = 4,
                                      .scan_wait_ms = 20000};
    char why[256];

    fixture.used = stats_read(STAT_store_used_bytes);
    fixture.freed_max = stats_read(STAT_store_txn_freed_max);
    help_new_folder(fixture.path, sizeof(fixture.path));
    if (store_open(&settings, &fixture.store, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    fixture.reader = help_reader(fixture.store);
    *state = &fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;

    store_reader_free(&fixture->reader);
    store_close(&fixture->store);
    help_remove_folder(fixture->path);
    return 0;
}

static int64_t
used(const struct fixture *fixture)
{
    return stats_read(STAT_store_used_bytes) - fixture->used;
}

static int64_t
freed_max(const struct fixture *fixture)
{
    return stats_read(STAT_store_txn_freed_max) - fixture->freed_max;
}

static void
wait_used_below(const struct fixture *fixture, int64_t len)
{
    for (unsigned i = 0; used(fixture) > len; i++) {
        assert_true(i < 6000); /* a minute */
        (void)usleep(10000);
    }
}

/* All of it has gone, in no fewer transactions than there are shares in it. */
static void
went_in_slices(const struct fixture *fixture, int64_t commits_before)
{
    wait_used_below(fixture, 2 * MIB);
    assert_true(stats_read(STAT_store_commits) - commits_before >= BIG_MIB / (SIZE_MIB / 8));
    assert_true(freed_max(fixture) <= SHARE_PAGES + PIECE_PAGES);
    assert_true(freed_max(fixture) > SHARE_PAGES / 2);
    assert_true(stats_read(STAT_store_txn_longest) > 0);
}

static struct help_object
big(const char *key)
{
    return (struct help_object){.key = key, .body_len = BIG_MIB * MIB + 777};
}

/* Blocks wait in the queue: each is stored before the next ones come. */
static struct store_put *
put_blocks(struct fixture *fixture, const struct help_object *object)
{
    struct store_key key = help_key(object->key);
    struct store_put *put;

    assert_int_equal(store_put_begin(fixture->store, &key, &put), OK);
    for (uint64_t off = 0; off + BLOCK_FULL_LEN <= object->body_len; off += BLOCK_FULL_LEN) {
        struct block *block = block_new(BLOCK_FULL_LEN);
        bool waits = (off / BLOCK_FULL_LEN) % 64 == 63;
        struct help_wait wait;

        assert_non_null(block);
        help_fill(block->data, help_body_seed(object), off, BLOCK_FULL_LEN);
        block->len = BLOCK_FULL_LEN;
        assert_int_equal(
            store_put_block(put, block, waits ? help_done(&wait) : (struct store_done){0}), OK);
        block_unref(&block);
        if (waits)
            assert_int_equal(help_wait_for(&wait, NULL), OK);
    }
    return put;
}

static void
put_big(struct fixture *fixture, const struct help_object *object)
{
    struct store_put *put = put_blocks(fixture, object);
    struct help_wait wait;

    assert_int_equal(help_end(put, object, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    store_put_release(&put);
    assert_true(help_is_stored(fixture->reader, object));
}

static void
a_purged_one_goes_in_slices(void **state)
{
    struct fixture *fixture = *state;
    struct help_object object = big("purged");
    struct store_purge purge = {.kind = STORE_PURGE_KEY, .text = slice_from_str("purged")};
    int64_t commits;

    put_big(fixture, &object);
    commits = stats_read(STAT_store_commits);
    assert_int_equal(help_purge(fixture->store, &purge, 1, NULL), 1);
    assert_int_equal(help_count(fixture->reader, "purged", NULL), 0); /* at once */
    went_in_slices(fixture, commits);
}

static void
a_pinned_one_goes_in_slices_when_it_is_let_go(void **state)
{
    struct fixture *fixture = *state;
    struct help_object object = big("pinned"), small = {.key = "small", .body_len = 100};
    struct store_purge purge = {.kind = STORE_PURGE_KEY, .text = slice_from_str("pinned")};
    struct store_key key = help_key("pinned");
    struct store_cursor cursor = {.key = &key};
    struct store_object found;
    struct store_pin pin;
    int64_t commits;

    put_big(fixture, &object);
    store_read_begin(fixture->reader);
    assert_true(store_find(fixture->reader, &cursor, &found));
    assert_true(store_pin(fixture->reader, &found, &pin));
    store_read_end(fixture->reader);
    assert_int_equal(help_purge(fixture->store, &purge, 1, NULL), 1);
    assert_true(used(fixture) > (int64_t)(BIG_MIB * MIB));
    store_read_begin(fixture->reader); /* it is read to its end all the same */
    assert_true(help_body_is(fixture->reader,
                             (struct store_source){pin.oid, pin.body_len, pin.slot},
                             help_seed("pinned")));
    store_read_end(fixture->reader);
    commits = stats_read(STAT_store_commits);
    store_unpin(&pin);
    assert_int_equal(help_put(fixture->store, &small, NULL), OK); /* something to do */
    went_in_slices(fixture, commits);
}

static void
an_unfinished_one_goes_in_slices(void **state)
{
    struct fixture *fixture = *state;
    struct help_object object = big("unfinished");
    struct store_put *put = put_blocks(fixture, &object);
    int64_t commits = stats_read(STAT_store_commits);

    store_put_release(&put);
    went_in_slices(fixture, commits);
}

static void
a_replaced_one_goes_in_slices(void **state)
{
    struct fixture *fixture = *state;
    struct help_object object = big("replaced");
    struct help_object newer = {.key = "replaced", .body_len = 1000, .body_seed = 7};
    int64_t commits;

    put_big(fixture, &object);
    commits = stats_read(STAT_store_commits);
    assert_int_equal(help_put(fixture->store, &newer, NULL), OK);
    went_in_slices(fixture, commits);
    assert_true(help_is_stored(fixture->reader, &newer));
}

static void
evicted_ones_go_in_slices(void **state)
{
    struct fixture *fixture = *state;
    struct help_object objects[] = {big("evicted/0"), big("evicted/1"), big("evicted/2")};

    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        put_big(fixture, &objects[i]);
    assert_int_equal(help_count(fixture->reader, "evicted/0", NULL), 0);
    assert_true(freed_max(fixture) <= SHARE_PAGES + PIECE_PAGES);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_purged_one_goes_in_slices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pinned_one_goes_in_slices_when_it_is_let_go, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_unfinished_one_goes_in_slices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_replaced_one_goes_in_slices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evicted_ones_go_in_slices, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
