/* Checks of the whole store: what they find, that they drop it, their rate, and their end. */
#include "store_help.h"

#include <time.h>

#include "base/stats.h"

#define MIB (1024ULL * 1024)

static int
set_up(void **state)
{
    return help_set_up(state, 32 * MIB);
}

static uint64_t
now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
put_objects(struct store *store, unsigned n, uint64_t body_len)
{
    char key[32];

    for (unsigned i = 0; i < n; i++) {
        struct help_object object = {.key = key, .body_len = body_len};

        (void)snprintf(key, sizeof(key), "object/%u", i);
        assert_int_equal(help_put(store, &object, NULL), OK);
    }
}

static struct store_check
wait_for_end(struct store *store)
{
    struct store_check check;

    do {
        (void)usleep(2000);
        store_check_status(store, &check);
    } while (check.state == STORE_CHECK_RUNNING);
    return check;
}

static void
a_check_of_nothing_is_done_at_once(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_check check;

    store_check_status(fixture->store, &check);
    assert_int_equal(check.state, STORE_CHECK_NONE);
    assert_int_equal(store_check_start(fixture->store, 0), OK);
    check = wait_for_end(fixture->store);
    assert_int_equal(check.state, STORE_CHECK_DONE);
    assert_int_equal(check.permille, 1000);
    assert_int_equal(check.objects + check.bad, 0);
    assert_true(check.began_s > 0 && check.ended_s >= check.began_s);
    assert_int_equal(check.used_pages + check.free_pages, check.file_pages);
}

/* The key itself, so that nobody can tell whose record it is but by its id. */
static void
damage_key(const char *path, const char *key)
{
    char name[300], page[4096];
    uint64_t off = 0;
    int fd;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    fd = open(name, O_RDWR);
    assert_true(fd != -1);
    for (; pread(fd, page, sizeof(page), (off_t)off) == (ssize_t)sizeof(page);
         off += sizeof(page)) {
        const char *hit = memmem(page, sizeof(page), key, strlen(key));

        if (hit != NULL)
            assert_int_equal(pwrite(fd, "?", 1, (off_t)(off + (uint64_t)(hit - page))), 1);
    }
    (void)close(fd);
}

static void
what_is_damaged_is_dropped(void **state)
{
    struct help_fixture *fixture = *state;
    static const struct {
        const char *key;
        uint64_t body_len, at;
    } bad[] = {
        {"small", 1000, 500},
        {"tail", BLOCK_FULL_LEN + 100, BLOCK_FULL_LEN + 50},
        {"piece", 5000, 100},
        {"large", 3 * MIB, 40 * BLOCK_FULL_LEN + 5},
    };
    int64_t records = stats_read(STAT_store_bad_records);
    int64_t pieces = stats_read(STAT_store_bad_pieces);
    int64_t read = stats_read(STAT_store_checked_bytes);
    struct store_check check;

    put_objects(fixture->store, 20, 30000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct help_object object = {.key = bad[i].key, .body_len = bad[i].body_len};

        assert_int_equal(help_put(fixture->store, &object, NULL), OK);
        assert_true(help_flip(fixture->path, bad[i].key, bad[i].at) > 0);
    }
    damage_key(fixture->path, "object/7");
    damage_key(fixture->path, "object/9");
    assert_int_equal(store_check_start(fixture->store, 0), OK);
    check = wait_for_end(fixture->store);
    assert_int_equal(check.state, STORE_CHECK_DONE);
    assert_int_equal(check.bad, 6);
    assert_int_equal(check.objects, 18);
    assert_int_equal(check.bytes, 18 * 30000);
    assert_int_equal(stats_read(STAT_store_bad_records), records + 4);
    assert_int_equal(stats_read(STAT_store_bad_pieces), pieces + 2);
    assert_true(stats_read(STAT_store_checked_bytes) >= read + 18 * 30000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct help_object object = {.key = bad[i].key, .body_len = bad[i].body_len};

        assert_int_equal(help_count(fixture->reader, bad[i].key, NULL), 0);
        assert_int_equal(help_put(fixture->store, &object, NULL), OK); /* behind the removal */
        assert_true(help_is_stored(fixture->reader, &object));
    }
    assert_int_equal(help_check(fixture->store).objects, 22);
    help_empty(fixture->store);
}

static void
one_at_a_time_at_its_rate(void **state)
{
    enum { N = 40, LEN = 100000, RATE = 8000000 };
    struct help_fixture *fixture = *state;
    struct store_check check;
    uint64_t began = now_ms();

    put_objects(fixture->store, N, LEN);
    assert_int_equal(store_check_start(fixture->store, RATE), OK);
    assert_int_equal(store_check_start(fixture->store, RATE), ERR_STORE_BUSY);
    check = wait_for_end(fixture->store);
    assert_int_equal(check.state, STORE_CHECK_DONE);
    assert_int_equal(check.objects, N);
    assert_int_equal(check.rate, RATE);
    assert_true(now_ms() - began >= N * LEN / (RATE / 1000) - 50);
    assert_int_equal(store_check_start(fixture->store, 0), OK); /* and again */
    assert_int_equal(wait_for_end(fixture->store).objects, N);
}

static void
a_check_can_be_stopped(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_check check;
    uint64_t began;

    store_check_stop(fixture->store); /* harmless */
    put_objects(fixture->store, 20, 100000);
    assert_int_equal(store_check_start(fixture->store, 100000), OK); /* it would take 20 s */
    do
        store_check_status(fixture->store, &check);
    while (check.objects == 0);
    assert_int_equal(check.state, STORE_CHECK_RUNNING);
    assert_true(check.permille > 0 && check.permille < 1000);
    assert_int_equal(check.ended_s, 0);
    began = now_ms();
    store_check_stop(fixture->store);
    check = wait_for_end(fixture->store);
    assert_int_equal(check.state, STORE_CHECK_STOPPED);
    assert_true(check.objects < 20);
    assert_true(now_ms() - began < 5000);
}

static void
the_end_of_the_store_ends_it(void **state)
{
    struct help_fixture *fixture = *state;
    uint64_t began;

    put_objects(fixture->store, 20, 100000);
    assert_int_equal(store_check_start(fixture->store, 1000), OK);
    began = now_ms();
    store_reader_free(&fixture->reader);
    store_close(&fixture->store);
    assert_true(now_ms() - began < 5000);
    fixture->store = help_open(fixture->path, 32 * MIB);
    fixture->reader = help_reader(fixture->store);
    assert_int_equal(help_check(fixture->store).objects, 20);
}

/* What is written, replaced, evicted and purged under a check is no damage, and it comes to its
 * end. */
static void
a_check_of_a_busy_store(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_purge purge = {.kind = STORE_PURGE_PREFIX, .text = slice_from_str("busy/1")};
    struct store_check check;
    unsigned i = 0;
    char key[32];

    put_objects(fixture->store, 200, 70000);
    assert_int_equal(store_check_start(fixture->store, 20000000), OK);
    do {
        struct help_object object = {.key = key, .body_len = 1 + i * 977 % 200000};

        (void)snprintf(key, sizeof(key), "busy/%u", i++ % 300);
        assert_int_equal(help_put(fixture->store, &object, NULL), OK);
        if (i % 50 == 0)
            (void)help_purge(fixture->store, &purge, 1, NULL);
        store_check_status(fixture->store, &check);
    } while (check.state == STORE_CHECK_RUNNING);
    assert_int_equal(check.state, STORE_CHECK_DONE);
    assert_int_equal(check.bad, 0);
    assert_int_equal(check.used_pages + check.free_pages, check.file_pages);
    assert_true(i > 10);
}

/* The first key of a leaf in the middle becomes one that lies far before. */
static void
disorder(const char *path)
{
    enum { HEADER_LEN = 16, NODE_LEN = 8, FLAGS_AT = 10, LOWER_AT = 12, LEAF = 2 };
    char name[300], page[4096];
    uint64_t off = 0;
    unsigned n = 0;
    int fd;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    fd = open(name, O_RDWR);
    assert_true(fd != -1);
    for (; pread(fd, page, sizeof(page), (off_t)off) == (ssize_t)sizeof(page);
         off += sizeof(page)) {
        uint64_t key, low = (1ULL << 20) + 5;
        uint16_t flags, lower, at;

        memcpy(&flags, page + FLAGS_AT, sizeof(flags));
        memcpy(&lower, page + LOWER_AT, sizeof(lower));
        memcpy(&at, page + HEADER_LEN, sizeof(at));
        if (flags != LEAF || lower <= HEADER_LEN || at > sizeof(page) - NODE_LEN - sizeof(key))
            continue;
        memcpy(&key, page + at + NODE_LEN, sizeof(key));
        if (key >> 20 < 10 || key >> 20 > 20)
            continue;
        n++;
        assert_int_equal(pwrite(fd, &low, sizeof(low), (off_t)(off + at + NODE_LEN)), 8);
    }
    (void)close(fd);
    assert_true(n > 0);
}

/* Pages of LMDB's own have no checksum. A check of such a tree tells that it failed, and ends. */
static void
a_tree_out_of_order_ends_the_check(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_check check;

    put_objects(fixture->store, 30, 1400); /* two in a leaf */
    disorder(fixture->path);
    assert_int_equal(store_check_start(fixture->store, 0), OK);
    check = wait_for_end(fixture->store);
    assert_int_equal(check.state, STORE_CHECK_FAILED);
    assert_int_equal(check.rc, ERR_STORE_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_check_of_nothing_is_done_at_once, set_up, help_tear_down),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_dropped, set_up, help_tear_down),
        cmocka_unit_test_setup_teardown(one_at_a_time_at_its_rate, set_up, help_tear_down),
        cmocka_unit_test_setup_teardown(a_check_can_be_stopped, set_up, help_tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_store_ends_it, set_up, help_tear_down),
        cmocka_unit_test_setup_teardown(a_check_of_a_busy_store, set_up, help_tear_down),
        cmocka_unit_test_setup_teardown(a_tree_out_of_order_ends_the_check, set_up, help_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
