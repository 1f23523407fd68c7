/* Room: the file never grows past its size, what is read stays, what is pinned stays readable. */
#include "store_help.h"

#include <sys/stat.h>

#define MIB (1024ULL * 1024)

struct churn {
    char path[256];
    struct store *store;
    struct store_reader *reader;
};

static void
start(struct churn *churn, uint64_t size_len)
{
    help_new_folder(churn->path, sizeof(churn->path));
    churn->store = help_open(churn->path, size_len);
    churn->reader = help_reader(churn->store);
}

static void
stop(struct churn *churn)
{
    store_reader_free(&churn->reader);
    store_close(&churn->store);
    help_remove_folder(churn->path);
}

static uint64_t
file_len(const char *path)
{
    char name[300];
    struct stat st;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    assert_int_equal(stat(name, &st), 0);
    return (uint64_t)st.st_size;
}

/* Log-normal-like sizes, the same in each run. */
static uint64_t
size_of(unsigned i, uint64_t most)
{
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15U;
    unsigned shift = (unsigned)(x >> 60);

    x ^= x >> 31;
    x = (x & 0xfffff) >> shift;
    return x > most ? most : x;
}

/* Nobody sees an error, nothing is lost, and the bound holds. */
static void
a_full_store_goes_on_storing(void **state)
{
    static const struct {
        uint64_t size_len, object_max;
        unsigned objects_n;
    } cases[] = {
        {4 * MIB, 200000, 400}, {8 * MIB, 500000, 600}, {16 * MIB, MIB, 1000},
        {8 * MIB, 3000, 6000},  {4 * MIB, 400, 13000},  {64 * MIB, 2 * MIB, 1000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct churn churn;
        struct store_check check;
        unsigned failed = 0, kept = 0;
        char key[32];

        print_message("size %llu, objects up to %llu\n", (unsigned long long)cases[i].size_len,
                      (unsigned long long)cases[i].object_max);
        start(&churn, cases[i].size_len);
        for (unsigned k = 0; k < cases[i].objects_n; k++) {
            struct help_object object = {.key = key, .body_len = size_of(k, cases[i].object_max)};
            bool wait =
                k % 64 == 63 || k == cases[i].objects_n - 1; /* so the queue does not fill */

            (void)snprintf(key, sizeof(key), "churn/%u", k);
            if (wait)
                failed += help_put(churn.store, &object, NULL) != OK;
            else
                failed +=
                    help_put_start(churn.store, &object, (struct store_done){NULL, NULL}) != OK;
            assert_true(file_len(churn.path) <= cases[i].size_len);
        }
        assert_int_equal(failed, 0);
        check = help_check(churn.store);
        assert_true(check.file_pages * 4096 <= cases[i].size_len);
        for (unsigned k = 0; k < cases[i].objects_n; k++) {
            struct help_object object = {.key = key, .body_len = size_of(k, cases[i].object_max)};

            (void)snprintf(key, sizeof(key), "churn/%u", k);
            if (help_count(churn.reader, key, NULL) == 0)
                continue;
            kept++;
            assert_true(help_is_stored(churn.reader, &object));
        }
        print_message("  %u kept, %llu of %llu pages used\n", kept,
                      (unsigned long long)check.used_pages,
                      (unsigned long long)cases[i].size_len / 4096);
        assert_int_equal(kept, check.objects);
        assert_true(check.used_pages * 4096 > cases[i].size_len * 6 / 10);
        help_empty(churn.store);
        stop(&churn);
    }
}

static void
what_is_read_survives(void **state)
{
    struct churn churn;
    char key[32];

    (void)state;
    start(&churn, 16 * MIB);
    for (unsigned k = 0; k < 1000; k++) {
        struct help_object object = {.key = key, .body_len = 20000};

        (void)snprintf(key, sizeof(key), "survive/%u", k);
        assert_int_equal(help_put(churn.store, &object, NULL), OK);
        for (unsigned hot = 0; hot < 20 && hot < k; hot++) {
            (void)snprintf(key, sizeof(key), "survive/%u", hot);
            assert_true(help_is_stored(churn.reader, &object));
        }
    }
    assert_int_equal(help_count(churn.reader, "survive/100", NULL), 0);
    assert_int_equal(help_count(churn.reader, "survive/999", NULL), 1);
    (void)help_check(churn.store);
    stop(&churn);
}

/* A used object is at the hand in the very transaction that brings its next version: there is one
 * of them afterwards, the new one. */
static void
a_survivor_does_not_outlive_its_successor(void **state)
{
    enum { HOT_N = 40, FILLERS_N = 60, ROUNDS = 120 };
    struct store_settings settings = {
        .size_len = 8 * MIB, .batch_ms = 1000, .batch_len = 4 * MIB, .readers_max = 4};
    unsigned born[HOT_N] = {0};
    struct churn churn;
    char key[32], why[512];

    (void)state;
    help_new_folder(churn.path, sizeof(churn.path));
    settings.path = churn.path;
    assert_int_equal(store_open(&settings, &churn.store, why, sizeof(why)), OK);
    churn.reader = help_reader(churn.store);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        struct help_object object = {.key = key, .body_len = 3000};
        struct store_purge nothing = {.kind = STORE_PURGE_KEY, .text = SLICE("nothing")};

        for (unsigned k = 0; k < FILLERS_N; k++) {
            (void)snprintf(key, sizeof(key), "filler/%u/%u", round, k);
            assert_int_equal(help_put_start(churn.store, &object, (struct store_done){0}), OK);
        }
        for (unsigned k = 0; k < HOT_N; k++) {
            object.body_seed = round;
            (void)snprintf(key, sizeof(key), "hot/%u", k);
            if (born[k] != 0 && round - born[k] < 10 + k)
                continue;
            born[k] = round;
            assert_int_equal(help_put_start(churn.store, &object, (struct store_done){0}), OK);
        }
        (void)help_purge(churn.store, &nothing, 1, NULL); /* all of them in one transaction */
        for (unsigned k = 0; k < HOT_N; k++) {
            object.body_seed = born[k];
            (void)snprintf(key, sizeof(key), "hot/%u", k);
            assert_true(help_count(churn.reader, key, NULL) <= 1);
            (void)help_is_stored(churn.reader, &object); /* it was used */
        }
    }
    (void)help_check(churn.store);
    stop(&churn);
}

/* Pinned, then purged, then churned over: the bytes are there until the pin goes. */
static void
what_is_pinned_stays_readable(void **state)
{
    struct help_object pinned = {.key = "pinned", .body_len = 300000};
    struct help_object purged = {.key = "purged", .body_len = 70001};
    struct help_object replaced = {.key = "replaced", .body_len = 1000};
    struct help_object *all[] = {&pinned, &purged, &replaced};
    struct store_purge purge = {.kind = STORE_PURGE_KEY, .text = SLICE("purged")};
    struct store_pin pins[3];
    struct churn churn;
    char key[32];

    (void)state;
    start(&churn, 8 * MIB);
    for (unsigned i = 0; i < 3; i++) {
        struct store_key name = help_key(all[i]->key);
        struct store_cursor cursor = {.key = &name};
        struct store_object found;

        assert_int_equal(help_put(churn.store, all[i], NULL), OK);
        store_read_begin(churn.reader);
        assert_true(store_find(churn.reader, &cursor, &found));
        assert_true(store_pin(churn.reader, &found, &pins[i]));
        store_read_end(churn.reader);
    }
    assert_int_equal(help_purge(churn.store, &purge, 1, NULL), 1);
    assert_int_equal(help_count(churn.reader, "purged", NULL), 0);
    replaced.body_seed = 99;
    assert_int_equal(help_put(churn.store, &replaced, NULL), OK);
    for (unsigned k = 0; k < 600; k++) {
        struct help_object object = {.key = key, .body_len = 50000};

        (void)snprintf(key, sizeof(key), "over/%u", k);
        assert_int_equal(help_put(churn.store, &object, NULL), OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        store_read_begin(churn.reader);
        assert_true(help_body_is(churn.reader, help_pinned(&pins[i]), help_seed(all[i]->key)));
        store_read_end(churn.reader);
        store_unpin(&pins[i]);
        assert_null(pins[i].store);
    }
    assert_int_equal(help_count(churn.reader, "pinned", NULL), 1);
    store_reader_free(&churn.reader);
    store_close(&churn.store);
    churn.store = help_open(churn.path, 8 * MIB);
    churn.reader = help_reader(churn.store);
    (void)help_check(churn.store);
    assert_int_equal(help_count(churn.reader, "purged", NULL), 0);
    stop(&churn);
}

/* When all that is stored is pinned, puts are refused, not the pins. */
static void
a_store_full_of_pins_refuses(void **state)
{
    struct churn churn;
    struct store_pin pins[64];
    unsigned n = 0;
    char key[32];

    (void)state;
    start(&churn, 4 * MIB);
    for (unsigned k = 0; k < 64; k++) {
        struct help_object object = {.key = key, .body_len = 120000};
        struct store_key name;
        struct store_cursor cursor = {.key = &name};
        struct store_object found;

        (void)snprintf(key, sizeof(key), "full/%u", k);
        if (help_put(churn.store, &object, NULL) != OK)
            break;
        name = help_key(key);
        store_read_begin(churn.reader);
        assert_true(store_find(churn.reader, &cursor, &found));
        assert_true(store_pin(churn.reader, &found, &pins[n++]));
        store_read_end(churn.reader);
    }
    assert_in_range(n, 15, 40);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(key, sizeof(key), "full/%u", i);
        store_read_begin(churn.reader);
        assert_true(help_body_is(churn.reader, help_pinned(&pins[i]), help_seed(key)));
        store_read_end(churn.reader);
        store_unpin(&pins[i]);
    }
    assert_int_equal(
        help_put(churn.store, &(struct help_object){.key = "now", .body_len = 120000}, NULL), OK);
    (void)help_check(churn.store);
    stop(&churn);
}

static void
a_full_queue_refuses_and_goes_on(void **state)
{
    char path[256], why[512];
    struct store_settings settings = {.path = path,
                                      .size_len = 64 * MIB,
                                      .batch_ms = 4000, /* so that the puts come before it */
                                      .batch_len = 4 * MIB,
                                      .queue_max_len = MIB,
                                      .readers_max = 4};
    struct store *store;
    unsigned refused = 0;
    char key[32];

    (void)state;
    help_new_folder(path, sizeof(path));
    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), OK);
    for (unsigned k = 0; k < 100; k++) {
        struct help_object object = {.key = key, .body_len = 30000};
        enum err rc;

        (void)snprintf(key, sizeof(key), "queue/%u", k);
        rc = help_put_start(store, &object, (struct store_done){NULL, NULL});
        assert_true(rc == OK || rc == ERR_STORE_FULL);
        refused += rc != OK;
    }
    assert_in_range(refused, 50, 80);
    while (help_put(store, &(struct help_object){.key = "later", .body_len = 9}, NULL) != OK)
        (void)usleep(10000);
    store_close(&store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_store_goes_on_storing),
        cmocka_unit_test(what_is_read_survives),
        cmocka_unit_test(a_survivor_does_not_outlive_its_successor),
        cmocka_unit_test(what_is_pinned_stays_readable),
        cmocka_unit_test(a_store_full_of_pins_refuses),
        cmocka_unit_test(a_full_queue_refuses_and_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
