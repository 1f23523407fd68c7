/* The store as its users see it: storing, finding, reading, reopening. */
#include "store_help.h"

#include "base/stats.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MIB (1024ULL * 1024)

static int
set_up(void **state)
{
    return help_set_up(state, 64 * MIB);
}

static void
reopen(struct help_fixture *fixture, uint64_t size_len)
{
    store_reader_free(&fixture->reader);
    store_close(&fixture->store);
    fixture->store = help_open(fixture->path, size_len);
    fixture->reader = help_reader(fixture->store);
}

static void
bodies_of_every_size_come_back(void **state)
{
    static const uint64_t sizes[] = {0,     1,     1500,  1501,   2014,  2015,        4071,
                                     4072,  4073,  8168,  32744,  65511, 65512,       65513,
                                     65536, 67012, 67013, 131024, MIB,   5 * MIB + 77};
    struct help_fixture *fixture = *state;
    char key[32];

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct help_object object = {.key = key, .body_len = sizes[i]};
        uint64_t oid;

        print_message("size: %llu\n", (unsigned long long)sizes[i]);
        (void)snprintf(key, sizeof(key), "size/%llu", (unsigned long long)sizes[i]);
        assert_false(help_is_stored(fixture->reader, &object));
        assert_int_equal(help_put(fixture->store, &object, &oid), OK);
        assert_true(oid > 0);
        assert_true(help_is_stored(fixture->reader, &object));
    }
    assert_int_equal(help_check(fixture->store).objects, ARRAY_LEN(sizes));
    reopen(fixture, 64 * MIB);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct help_object object = {.key = key, .body_len = sizes[i]};

        (void)snprintf(key, sizeof(key), "size/%llu", (unsigned long long)sizes[i]);
        assert_true(help_is_stored(fixture->reader, &object));
    }
    assert_int_equal(help_check(fixture->store).objects, ARRAY_LEN(sizes));
}

static void
ranges_of_a_body_are_exact(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_object object = {.key = "range", .body_len = 3 * BLOCK_FULL_LEN + 40000};
    static const struct {
        uint64_t off, len_max;
        size_t iov_max;
    } cases[] = {{0, 1, 8},        {65511, 2, 8},  {65512, 1, 8},      {100, 200000, 8},
                 {100, 200000, 2}, {196536, 5, 4}, {196535, 60000, 8}, {236535, 10, 4},
                 {236536, 10, 4},  {300000, 10, 4}};

    assert_int_equal(help_put(fixture->store, &object, NULL), OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store_object found;
        struct store_source source;
        struct iovec iov[8];
        size_t n = 99;
        uint64_t got = 0;

        print_message("from %llu\n", (unsigned long long)cases[i].off);
        assert_int_equal(help_count(fixture->reader, "range", &found), 1);
        store_read_begin(fixture->reader);
        source = help_source(&found);
        assert_int_equal(store_body(fixture->reader, &source, cases[i].off, cases[i].len_max, iov,
                                    cases[i].iov_max, &n),
                         OK);
        assert_true(n <= cases[i].iov_max);
        for (size_t k = 0; k < n; k++)
            for (size_t at = 0; at < iov[k].iov_len; at++, got++)
                assert_int_equal(((char *)iov[k].iov_base)[at],
                                 help_byte(help_seed("range"), cases[i].off + got));
        if (cases[i].iov_max == 8) {
            uint64_t left = cases[i].off < object.body_len ? object.body_len - cases[i].off : 0;

            assert_int_equal(got, left < cases[i].len_max ? left : cases[i].len_max);
        }
        assert_true(n > 0 || cases[i].off >= object.body_len);
        store_read_end(fixture->reader);
    }
}

static void
what_a_record_holds_comes_back(void **state)
{
    struct help_fixture *fixture = *state;
    static const uint64_t labels[] = {1, UINT64_MAX, 42};
    struct store_key key = help_key("record");
    struct store_record record = {.variant = 7,
                                  .meta = SLICE("some meta"),
                                  .head = SLICE("some head"),
                                  .labels = labels,
                                  .labels_n = 3};
    struct store_cursor cursor = {.key = &key};
    struct store_object found;
    struct store_put *put;
    struct help_wait wait;
    uint64_t oid;

    assert_int_equal(store_put_begin(fixture->store, &key, &put), OK);
    assert_int_equal(store_put_end(put, &record, NULL, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, &oid), OK);
    assert_int_equal(store_put_oid(put), oid);
    store_put_release(&put);
    store_read_begin(fixture->reader);
    assert_true(store_find(fixture->reader, &cursor, &found));
    assert_int_equal(found.oid, oid);
    assert_int_equal(found.variant, 7);
    assert_int_equal(found.body_len, 0);
    assert_true(slice_is(found.meta, "some meta"));
    assert_true(slice_is(found.head, "some head"));
    assert_int_equal(found.labels_n, 3);
    assert_memory_equal(found.labels, labels, sizeof(labels));
    assert_false(found.soft_purged);
    assert_false(store_find(fixture->reader, &cursor, &found));
    store_read_end(fixture->reader);
}

static void
variants_stand_side_by_side_newest_first(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_key key = help_key("variants");
    struct store_cursor cursor = {.key = &key};
    struct store_object found;
    unsigned n = 0;
    uint64_t before = UINT64_MAX;

    for (uint64_t i = 0; i < 40; i++) {
        struct help_object object = {.key = "variants", .body_len = 10 + i, .variant = i};

        assert_int_equal(help_put(fixture->store, &object, NULL), OK);
    }
    store_read_begin(fixture->reader);
    for (; store_find(fixture->reader, &cursor, &found); n++) {
        assert_true(found.oid < before);
        assert_int_equal(found.variant, 39 - n);
        before = found.oid;
    }
    store_read_end(fixture->reader);
    assert_int_equal(n, 40);
}

static void
the_same_variant_is_replaced(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_object first = {.key = "again", .body_len = 100, .variant = 1};
    struct help_object second = {.key = "again", .body_len = 200000, .variant = 1};
    struct help_object other = {.key = "again", .body_len = 5, .variant = 2};
    struct store_object found;

    assert_int_equal(help_put(fixture->store, &first, NULL), OK);
    assert_int_equal(help_put(fixture->store, &other, NULL), OK);
    assert_int_equal(help_put(fixture->store, &second, NULL), OK);
    assert_int_equal(help_count(fixture->reader, "again", &found), 2);
    assert_int_equal(found.body_len, 200000);
    assert_int_equal(help_check(fixture->store).objects, 2);
}

/* Ten thousand at once: many in one transaction, two of a key never. */
static void
one_key_stored_many_times_at_once_ends_as_one(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_wait wait;

    for (unsigned i = 0; i < 50; i++) {
        struct help_object object = {.key = "hot", .body_len = 1000 + i};
        struct store_done done = {NULL, NULL};

        if (i == 49)
            done = help_done(&wait);
        assert_int_equal(help_put_start(fixture->store, &object, done), OK);
    }
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    assert_int_equal(help_count(fixture->reader, "hot", NULL), 1);
    assert_int_equal(help_check(fixture->store).objects, 1);
}

static void
a_put_given_up_leaves_nothing(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_object object = {.key = "gone", .body_len = 3 * MIB};
    struct help_object after = {.key = "after", .body_len = 10};
    struct store_key key = help_key("gone");
    struct store_source source;
    struct store_check check;
    struct store_put *put;

    assert_int_equal(store_put_begin(fixture->store, &key, &put), OK);
    assert_int_equal(help_blocks(put, &object), OK);
    while (store_put_stored_len(put) != 48 * BLOCK_FULL_LEN)
        (void)usleep(1000);
    store_read_begin(fixture->reader); /* what is stored can be read before the end */
    source = (struct store_source){store_put_oid(put), store_put_stored_len(put), STORE_NO_SLOT};
    assert_true(help_body_is(fixture->reader, source, help_seed("gone")));
    store_read_end(fixture->reader);
    store_put_release(&put);
    assert_int_equal(help_put(fixture->store, &after, NULL), OK);
    reopen(fixture, 64 * MIB);
    assert_int_equal(help_count(fixture->reader, "gone", NULL), 0);
    check = help_check(fixture->store);
    assert_int_equal(check.objects, 1);
    assert_true(check.used_pages < 20);
}

/* What one section keeps from reuse shows in the gauge, and is gone with it. */
static void
a_section_held_open_is_seen(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_object object = {.key = "held", .body_len = 100};
    int64_t before = stats_read(STAT_store_reader_lag);
    struct store_object found;
    struct store_key key = help_key("held");
    struct store_cursor cursor = {.key = &key};

    assert_int_equal(help_put(fixture->store, &object, NULL), OK);
    store_read_begin(fixture->reader);
    assert_true(store_find(fixture->reader, &cursor, &found));
    for (unsigned i = 0; i < 5; i++) /* gauges are set behind the callback: four are sure */
        assert_int_equal(help_put(fixture->store, &object, NULL), OK);
    assert_true(stats_read(STAT_store_reader_lag) - before >= 4);
    store_read_end(fixture->reader);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(help_put(fixture->store, &object, NULL), OK);
    assert_int_equal(stats_read(STAT_store_reader_lag), before);
}

static void
too_large_a_body_is_refused(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_object object = {.key = "large", .body_len = 9 * MIB}; /* an eighth is 8 */

    assert_int_equal(help_put_start(fixture->store, &object, (struct store_done){NULL, NULL}),
                     ERR_STORE_FULL);
    assert_int_equal(help_count(fixture->reader, "large", NULL), 0);
}

static void
a_folder_is_for_one_at_a_time(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_settings settings = {
        .path = fixture->path, .size_len = 64 * MIB, .readers_max = 4};
    struct store *second = NULL;
    char why[512];

    assert_int_equal(store_open(&settings, &second, why, sizeof(why)), ERR_STORE_BUSY);
    assert_null(second);
    assert_non_null(strstr(why, "another process"));
}

static void
a_folder_that_cannot_be_made_is_told(void **state)
{
    struct store_settings settings = {
        .path = "/proc/nowhere/store", .size_len = 64 * MIB, .readers_max = 4};
    struct store *store = NULL;
    char why[512];

    (void)state;
    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), ERR_SYSTEM);
    assert_non_null(strstr(why, "/proc/nowhere/store"));
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, help_tear_down)
    const struct CMUnitTest tests[] = {
        T(bodies_of_every_size_come_back),       T(ranges_of_a_body_are_exact),
        T(what_a_record_holds_comes_back),       T(variants_stand_side_by_side_newest_first),
        T(the_same_variant_is_replaced),         T(one_key_stored_many_times_at_once_ends_as_one),
        T(a_put_given_up_leaves_nothing),        T(a_section_held_open_is_seen),
        T(too_large_a_body_is_refused),          T(a_folder_is_for_one_at_a_time),
        T(a_folder_that_cannot_be_made_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
