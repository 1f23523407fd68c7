/* Bytes that changed on the disk: noticed when they are read first after a start, wherever they
 * lie; the object is dropped, what is right of it was right, and nothing else suffers. */
#include "store_help.h"

#include "base/stats.h"

#define MIB (1024ULL * 1024)

enum { LEN = 3 * 1024 * 1024 + 40000 };

/* How much of the body can be read from the start, all of it right. */
static uint64_t
readable(struct store_reader *reader, const char *text)
{
    struct store_key key = help_key(text);
    struct store_cursor cursor = {.key = &key};
    struct store_object found;
    uint64_t off = 0;
    size_t n = 0;

    store_read_begin(reader);
    if (!store_find(reader, &cursor, &found))
        found.body_len = 0;
    while (off < found.body_len) {
        struct store_source source = help_source(&found);
        struct iovec iov[4];

        if (store_body(reader, &source, off, UINT64_MAX, iov, 4, &n) != OK)
            break;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < iov[i].iov_len; k++, off++)
                assert_int_equal(((const char *)iov[i].iov_base)[k],
                                 help_byte(help_seed(text), off));
    }
    store_read_end(reader);
    return off;
}

static void
remove_saved_index(const char *path)
{
    char name[300];

    (void)snprintf(name, sizeof(name), "%s/index.save", path);
    (void)unlink(name);
}

static void
wait_until_dropped(struct store *store, uint64_t objects)
{
    struct store_check check = {0};

    for (unsigned i = 0; i < 5000; i++) {
        assert_int_equal(store_check(store, &check), OK);
        if (check.objects == objects && check.bad == 0)
            return;
        (void)usleep(2000);
    }
    fail_msg("%llu objects, %llu bad", (unsigned long long)check.objects,
             (unsigned long long)check.bad);
}

static void
damage_is_noticed_wherever_it_lies(void **state)
{
    static const struct {
        const char *why;
        uint64_t body_len, at, readable;
        bool scanned, of_record;
    } cases[] = {
        {"a body that lies in its record", 1400, 700, 0, false, true},
        {"the same, found by the scan", 1400, 700, 0, true, true},
        {"the rest of a body, in the record", BLOCK_FULL_LEN + 900, BLOCK_FULL_LEN + 10, 0, false,
         true},
        {"the only piece", 5000, 1000, 0, false, false},
        {"the only piece, after a scan", 5000, 1000, 0, true, false},
        {"a piece in a leaf", BLOCK_FULL_LEN + 1800, BLOCK_FULL_LEN + 20, BLOCK_FULL_LEN, false,
         false},
        {"the first piece of several", LEN, 40000, 0, false, false},
        {"a later piece", LEN, 7 * BLOCK_FULL_LEN + 9, 7 * BLOCK_FULL_LEN, false, false},
        {"a piece that has no bit in the index", LEN, 40 * BLOCK_FULL_LEN + 100,
         40 * BLOCK_FULL_LEN, false, false},
        {"a short piece at the end", LEN, LEN - 3000, LEN - LEN % BLOCK_FULL_LEN, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct help_object bad = {.key = "bad", .body_len = cases[i].body_len};
        struct help_object good = {.key = "good", .body_len = cases[i].body_len};
        enum counter counter = cases[i].of_record ? STAT_store_bad_records : STAT_store_bad_pieces;
        int64_t before = stats_read(counter);
        struct store_reader *reader;
        struct store *store;
        char path[256];
        uint64_t got;

        print_message("case: %s\n", cases[i].why);
        help_new_folder(path, sizeof(path));
        store = help_open(path, 32 * MIB);
        assert_int_equal(help_put(store, &bad, NULL), OK);
        assert_int_equal(help_put(store, &good, NULL), OK);
        store_close(&store);
        assert_true(help_flip(path, "bad", cases[i].at) > 0);
        if (cases[i].scanned)
            remove_saved_index(path);
        store = help_open(path, 32 * MIB);
        reader = help_reader(store);
        got = readable(reader, "bad");
        assert_true(got >= cases[i].readable && got <= cases[i].at);
        assert_int_equal(stats_read(counter), before + 1);
        assert_int_equal(readable(reader, "bad"), 0); /* it is hidden at once */
        assert_true(help_is_stored(reader, &good));
        wait_until_dropped(store, 1);
        assert_int_equal(help_put(store, &bad, NULL), OK); /* fetched again */
        assert_int_equal(readable(reader, "bad"), cases[i].body_len);
        (void)help_check(store);
        assert_int_equal(stats_read(counter), before + 1); /* once for the object */
        store_reader_free(&reader);
        store_close(&store);
        help_remove_folder(path);
    }
}

/* A range is compared piece by piece: what is damaged elsewhere does not matter to it. */
static void
a_range_verifies_its_pieces_and_no_others(void **state)
{
    struct help_object object = {.key = "range", .body_len = LEN};
    struct store_key key = help_key("range");
    struct store_cursor cursor = {.key = &key};
    struct store_source source;
    struct store_object found;
    struct store_reader *reader;
    struct store *store;
    struct iovec iov[4];
    char path[256];
    size_t n;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 32 * MIB);
    assert_int_equal(help_put(store, &object, NULL), OK);
    assert_true(help_flip(path, "range", 35 * BLOCK_FULL_LEN + 5) > 0); /* nobody has read it yet */
    reader = help_reader(store);
    store_read_begin(reader);
    assert_true(store_find(reader, &cursor, &found));
    source = help_source(&found);
    assert_int_equal(store_verify(reader, &source, 34 * BLOCK_FULL_LEN, BLOCK_FULL_LEN), OK);
    assert_int_equal(store_verify(reader, &source, 36 * BLOCK_FULL_LEN, LEN - 36 * BLOCK_FULL_LEN),
                     OK);
    assert_int_equal(
        store_body(reader, &source, 34 * BLOCK_FULL_LEN + 7, 3 * BLOCK_FULL_LEN, iov, 4, &n), OK);
    assert_int_equal(n, 1); /* up to the damage */
    assert_int_equal(iov[0].iov_len, BLOCK_FULL_LEN - 7);
    assert_int_equal(store_body(reader, &source, 36 * BLOCK_FULL_LEN - 1, 1, iov, 4, &n),
                     ERR_STORE_CORRUPT);
    assert_int_equal(store_verify(reader, &source, 0, LEN), ERR_STORE_CORRUPT);
    store_read_end(reader);
    store_reader_free(&reader);
    store_close(&store);
    help_remove_folder(path);
}

/* What is written by the way of a put that has not ended is verified as well, and the object that
 * comes of it. */
static void
pieces_of_a_put_are_verified(void **state)
{
    struct help_object object = {.key = "put", .body_len = 2 * MIB};
    struct store_key key = help_key("put");
    int64_t before = stats_read(STAT_store_bad_pieces);
    struct store_source source;
    struct store_reader *reader;
    struct store_put *put;
    struct help_wait wait;
    struct store *store;
    struct iovec iov[16];
    char path[256];
    size_t n;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 32 * MIB);
    reader = help_reader(store);
    assert_int_equal(store_put_begin(store, &key, &put), OK);
    assert_int_equal(help_blocks(put, &object), OK);
    while (store_put_stored_len(put) != 2 * MIB / BLOCK_FULL_LEN * BLOCK_FULL_LEN)
        (void)usleep(1000);
    assert_true(help_flip(path, "put", 2 * BLOCK_FULL_LEN + 5) > 0);
    source = (struct store_source){store_put_oid(put), store_put_stored_len(put), STORE_NO_SLOT};
    store_read_begin(reader);
    assert_int_equal(store_body(reader, &source, 0, UINT64_MAX, iov, 16, &n), OK);
    assert_int_equal(n, 2);
    assert_int_equal(store_body(reader, &source, 2 * BLOCK_FULL_LEN, 1, iov, 16, &n),
                     ERR_STORE_CORRUPT);
    store_read_end(reader);
    assert_int_equal(help_end(put, &object, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    store_put_release(&put);
    assert_int_equal(readable(reader, "put"), 2 * BLOCK_FULL_LEN);
    assert_true(stats_read(STAT_store_bad_pieces) > before);
    wait_until_dropped(store, 0);
    store_reader_free(&reader);
    store_close(&store);
    help_remove_folder(path);
}

/* Survivors get new checksums with their new keys: not what was damaged before. */
static void
a_damaged_survivor_is_not_written_again(void **state)
{
    struct help_object hot = {.key = "hot", .body_len = 100000};
    int64_t before = stats_read(STAT_store_bad_pieces), rewrites = stats_read(STAT_store_rewrites);
    struct store_reader *reader;
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 8 * MIB);
    reader = help_reader(store);
    assert_int_equal(help_put(store, &hot, NULL), OK);
    assert_true(help_is_stored(reader, &hot)); /* used, and verified */
    assert_true(help_flip(path, "hot", 70000) > 0);
    for (unsigned i = 0; i < 200; i++) {
        char name[32];
        struct help_object object = {.key = name, .body_len = 60000};

        (void)snprintf(name, sizeof(name), "churn/%u", i);
        assert_int_equal(help_put(store, &object, NULL), OK);
        assert_true(help_is_stored(reader, &object) || i > 0);
    }
    assert_true(stats_read(STAT_store_rewrites) > rewrites); /* others were */
    assert_int_equal(stats_read(STAT_store_bad_pieces), before + 1);
    assert_int_equal(help_count(reader, "hot", NULL), 0);
    (void)help_check(store);
    store_reader_free(&reader);
    store_close(&store);
    help_remove_folder(path);
}

/* A validation renews the record only of what is right. */
static void
a_damaged_record_is_not_renewed(void **state)
{
    struct help_object object = {.key = "old", .body_len = 1400};
    struct store_key key = help_key("old");
    struct store_record record = {.meta = slice_from_str("new"), .head = slice_from_str("new")};
    int64_t before = stats_read(STAT_store_bad_records);
    struct store_reader *reader;
    struct store_put *put;
    struct help_wait wait;
    struct store *store;
    char path[256];
    uint64_t oid;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 8 * MIB);
    reader = help_reader(store);
    assert_int_equal(help_put(store, &object, &oid), OK);
    assert_true(help_is_stored(reader, &object));
    assert_true(help_flip(path, "old", 600) > 0);
    assert_int_equal(store_put_begin(store, &key, &put), OK);
    assert_int_equal(store_put_update(put, oid, &record, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, NULL), ERR_NOT_FOUND);
    store_put_release(&put);
    assert_int_equal(help_count(reader, "old", NULL), 0);
    assert_int_equal(stats_read(STAT_store_bad_records), before + 1);
    wait_until_dropped(store, 0);
    store_reader_free(&reader);
    store_close(&store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_noticed_wherever_it_lies),
        cmocka_unit_test(a_range_verifies_its_pieces_and_no_others),
        cmocka_unit_test(pieces_of_a_put_are_verified),
        cmocka_unit_test(a_damaged_survivor_is_not_written_again),
        cmocka_unit_test(a_damaged_record_is_not_renewed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
