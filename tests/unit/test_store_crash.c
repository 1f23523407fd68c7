/* kill -9 at random moments, again and again: what was acknowledged is there, what is there is
 * right, and no page is lost. BRINK_KILLS sets how often. */
#include "store_help.h"

#define MIB (1024ULL * 1024)

enum { KILLS = 20, OBJECTS = 1500, SIZE_MAX_LEN = 600000 };

static uint64_t
size_of(unsigned number)
{
    uint64_t x = (number + 1) * 0x9e3779b97f4a7c15U;
    uint64_t len = (x >> 20) % SIZE_MAX_LEN;

    return number % 50 == 0 ? len + 2 * MIB : number % 4 == 0 ? len : len % 3000;
}

static struct help_object
object_of(unsigned number, char *key, size_t cap)
{
    static const uint64_t label = 7;

    (void)snprintf(key, cap, "crash/%u", number);
    return (struct help_object){
        .key = key, .body_len = size_of(number), .labels = &label, .labels_n = number % 2};
}

/* Store, replace, read, purge, update, until killed. */
static void
churn(const char *path, unsigned seed)
{
    struct store *store = help_open(path, 32 * MIB);
    struct store_reader *reader = help_reader(store);
    char key[32];

    for (unsigned i = 0;; i++) {
        unsigned number = (seed * 7919 + i * 31) % OBJECTS;
        struct help_object object = object_of(number, key, sizeof(key));
        struct store_purge purge = {STORE_PURGE_KEY, false, 0, slice_from_str(key)};

        if (i % 16 == 15)
            (void)help_put(store, &object, NULL);
        else
            (void)help_put_start(store, &object, (struct store_done){NULL, NULL});
        if (i % 5 == 0)
            (void)help_is_stored(reader, &object);
        if (i % 40 == 0)
            (void)help_purge(store, &purge, 1, NULL);
        if (i % 300 == 299) {
            purge = (struct store_purge){STORE_PURGE_LABEL, (i & 1) != 0, 7, SLICE_NONE};
            (void)help_purge(store, &purge, 1, NULL);
        }
    }
}

/* After the kill: everything found is right. */
static uint64_t
verify(const char *path)
{
    struct store *store = help_open(path, 32 * MIB);
    struct store_reader *reader = help_reader(store);
    struct store_check check;
    uint64_t kept = 0;
    char key[32];

    assert_true(store_is_ready(store));
    for (unsigned number = 0; number < OBJECTS; number++) {
        struct help_object object = object_of(number, key, sizeof(key));
        unsigned n = help_count(reader, key, NULL);

        assert_true(n <= 1);
        if (n == 1)
            assert_true(help_is_stored(reader, &object));
        kept += n;
    }
    /* the sweep of orphans goes on behind: what a put waits for comes after it */
    assert_int_equal(help_put(store, &(struct help_object){.key = "end", .body_len = 1}, NULL), OK);
    check = help_check(store);
    assert_true(check.objects <= kept + 1);
    store_reader_free(&reader);
    store_close(&store);
    return kept;
}

static void
killed_stores_come_back_whole(void **state)
{
    unsigned kills = help_kills(KILLS);
    uint64_t verified = 0;
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    for (unsigned i = 0; i < kills; i++) {
        pid_t child = fork();

        if (child == 0) {
            (void)alarm(30); /* it shall not outlive the test */
            churn(path, i);
        }
        help_kill(child, 60000 + (i * 7919 % 41) * 9000);
        verified += verify(path);
    }
    print_message("%u kills, %llu objects verified\n", kills, (unsigned long long)verified);
    assert_true(kills < 5 || verified > 0);
    store = help_open(path, 32 * MIB);
    help_empty(store); /* orphans would show, 16 pages each */
    store_close(&store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_stores_come_back_whole)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
