/* Floods: memory and disk stay within what they were given, and what is new still comes in. */
#include "store_help.h"

#include <sys/stat.h>

#include "base/stats.h"

#define MIB (1024ULL * 1024)

static int64_t before_len; /* a gauge keeps what threads that ended have set */

static int64_t
index_len(void)
{
    return stats_read(STAT_store_index_bytes) - before_len;
}

static struct store *
open_with(const char *path, uint64_t index_memory_len, uint64_t queue_max_len)
{
    struct store_settings settings = {.path = path,
                                      .size_len = 64 * MIB,
                                      .index_memory_len = index_memory_len,
                                      .queue_max_len = queue_max_len,
                                      .batch_ms = 2,
                                      .readers_max = 4,
                                      .scan_wait_ms = 60000};
    struct store *store = NULL;
    char why[512];

    before_len = stats_read(STAT_store_index_bytes);
    if (store_open(&settings, &store, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    return store;
}

struct flood {
    atomic_uint ended, stored;
};

static void
on_flooded(void *arg, enum err rc, uint64_t n)
{
    struct flood *flood = arg;

    (void)n;
    atomic_fetch_add(&flood->stored, rc == OK);
    atomic_fetch_add(&flood->ended, 1);
}

/* Objects of no body, as fast as the queue takes them. `seen`: the most memory of the index. */
static unsigned
flood_tiny(struct store *store, unsigned from, unsigned n, int64_t *out_most)
{
    struct flood flood = {0};
    unsigned begun = 0;
    char key[32];

    for (unsigned i = from; i < from + n; i++) {
        struct help_object object = {.key = key};
        enum err rc;

        (void)snprintf(key, sizeof(key), "tiny/%u", i);
        while ((rc = help_put_start(store, &object, (struct store_done){on_flooded, &flood})) ==
               ERR_STORE_FULL)
            (void)usleep(500);
        assert_int_equal(rc, OK);
        begun++;
        if (index_len() > *out_most)
            *out_most = index_len();
    }
    while (atomic_load(&flood.ended) < begun) { /* the writer may be far behind */
        (void)usleep(500);
        if (index_len() > *out_most)
            *out_most = index_len();
    }
    return atomic_load(&flood.stored);
}

static bool
has(struct store *store, unsigned i)
{
    struct store_reader *reader = help_reader(store);
    unsigned n;
    char key[32];

    (void)snprintf(key, sizeof(key), "tiny/%u", i);
    n = help_count(reader, key, NULL);
    store_reader_free(&reader);
    return n == 1;
}

static void
tiny_objects_do_not_outgrow_the_index(void **state)
{
    enum { FLOOD = 50000, MOST_8 = 65536, MOST_4 = 32768 };
    struct store *store;
    int64_t most = 0;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = open_with(path, 4 * MIB, 0);
    assert_int_equal(flood_tiny(store, 0, FLOOD, &most), FLOOD);
    print_message("index: %lld bytes at most\n", (long long)most);
    assert_true(most > (int64_t)MIB && most <= (int64_t)(4 * MIB));
    assert_true(stats_read(STAT_store_index_full) >= FLOOD - MOST_4);
    assert_true(has(store, FLOOD - 1));
    assert_false(has(store, 0));
    assert_true(help_check(store).objects <= MOST_4);
    assert_true(help_check(store).objects > MOST_4 / 2);
    store_close(&store);
    store = open_with(path, 4 * MIB, 0);
    assert_true(has(store, FLOOD - 1));
    store_close(&store);
    help_remove_folder(path);
}

/* What the saved index or a scan finds too much of goes from the disk too. */
static void
a_smaller_bound_drops_the_rest(void **state)
{
    enum { FLOOD = 50000, MOST_4 = 32768 };
    struct store *store;
    int64_t most = 0;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = open_with(path, 16 * MIB, 0);
    assert_int_equal(flood_tiny(store, 0, FLOOD, &most), FLOOD);
    assert_int_equal(help_check(store).objects, FLOOD);
    store_close(&store);
    store = open_with(path, 4 * MIB, 0);
    most = 0;
    assert_int_equal(flood_tiny(store, FLOOD, 100, &most), 100);
    assert_true(most > 0 && most <= (int64_t)(4 * MIB));
    assert_true(has(store, FLOOD + 99));
    for (unsigned i = 0; i < 500 && help_check(store).objects > MOST_4; i++)
        (void)usleep(20000);
    assert_true(help_check(store).objects <= MOST_4);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

static void
too_little_memory_is_refused(void **state)
{
    struct store_settings settings = {.size_len = 64 * MIB, .index_memory_len = 1 << 20};
    struct store *store = NULL;
    char path[256], why[512];

    (void)state;
    help_new_folder(path, sizeof(path));
    settings.path = path;
    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), ERR_RANGE);
    assert_non_null(strstr(why, "index_memory"));
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_objects_do_not_outgrow_the_index),
        cmocka_unit_test(a_smaller_bound_drops_the_rest),
        cmocka_unit_test(too_little_memory_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
