/* Shares of the room: whose objects go, through floods, restarts and lent room. */
#include "store_help.h"

#include <sys/stat.h>

#define MIB (1024ULL * 1024)

enum {
    SIZE = 16 << 20,
    BODY = 20000,
    PER_PERCENT = 6 /* bodies in a percent of the room, and less */
};

struct shop {
    char path[256];
    struct store *store;
    struct store_reader *reader;
};

static uint32_t
group_of(const char *name)
{
    return store_group(slice_from_str(name));
}

static void
open_with(struct shop *shop, unsigned a_percent, unsigned b_percent)
{
    struct store_share shares[2];
    struct store_settings settings = {.path = shop->path,
                                      .size_len = SIZE,
                                      .batch_ms = 2,
                                      .readers_max = 8,
                                      .scan_wait_ms = 20000,
                                      .shares = shares};
    char why[512];

    if (a_percent > 0)
        shares[settings.shares_n++] = (struct store_share){group_of("a"), a_percent};
    if (b_percent > 0)
        shares[settings.shares_n++] = (struct store_share){group_of("b"), b_percent};
    if (store_open(&settings, &shop->store, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    shop->reader = help_reader(shop->store);
}

static void
start(struct shop *shop, unsigned a_percent, unsigned b_percent)
{
    help_new_folder(shop->path, sizeof(shop->path));
    open_with(shop, a_percent, b_percent);
}

static void
close_shop(struct shop *shop)
{
    store_reader_free(&shop->reader);
    store_close(&shop->store);
}

static void
stop(struct shop *shop)
{
    (void)help_check(shop->store);
    close_shop(shop);
    help_remove_folder(shop->path);
}

static const char *
name_of(char name[64], const char *site, unsigned i)
{
    (void)snprintf(name, 64, "http://%s/%u", site, i);
    return name;
}

static void
count_refused(void *arg, enum err rc, uint64_t n)
{
    (void)n;
    if (rc != OK)
        (void)atomic_fetch_add((atomic_uint *)arg, 1);
}

/* Objects `from` to `end` of a site; how many were refused. */
static unsigned
put_some(struct shop *shop, const char *site, unsigned from, unsigned end, uint64_t body_len)
{
    atomic_uint refused = 0;
    char name[64];

    for (unsigned i = from; i < end; i++) {
        struct help_object object = {
            .key = name_of(name, site, i), .body_len = body_len, .group = group_of(site)};
        struct store_done done = {count_refused, &refused};

        if (i % 32 == 31 || i + 1 == end) /* those before it are over then */
            count_refused(&refused, help_put(shop->store, &object, NULL), 0);
        else
            assert_int_equal(help_put_start(shop->store, &object, done), OK);
    }
    return atomic_load(&refused);
}

static unsigned
count_some(struct shop *shop, const char *site, unsigned from, unsigned end)
{
    unsigned n = 0;
    char name[64];

    for (unsigned i = from; i < end; i++)
        n += help_count(shop->reader, name_of(name, site, i), NULL) > 0;
    return n;
}

static struct store_usage
usage_of(struct shop *shop, const char *site)
{
    struct store_usage usage;

    (void)store_share_usage(shop->store, site == NULL ? 0 : group_of(site), &usage);
    return usage;
}

/* Figures are taken at the end of a turn: what was there before is in them when the second of these
 * is stored. */
static void
note_figures(struct shop *shop)
{
    assert_int_equal(put_some(shop, "figures", 0, 1, 100), 0);
    assert_int_equal(put_some(shop, "figures", 1, 2, 100), 0);
}

/* After a start the figures come with the writer's first turn. */
static void
wait_for_objects(struct shop *shop, const char *site, uint64_t want)
{
    for (unsigned i = 0; i < 10000 && usage_of(shop, site).objects != want; i++)
        (void)usleep(1000);
    assert_int_equal(usage_of(shop, site).objects, want);
}

enum { A_N = 30 * PER_PERCENT, FLOOD_N = 400 * PER_PERCENT, FULL_N = 130 * PER_PERCENT };

static void
a_flood_evicts_only_its_own(void **state)
{
    struct shop shop;

    (void)state;
    start(&shop, 40, 10);
    assert_int_equal(put_some(&shop, "a", 0, A_N, BODY), 0);
    assert_int_equal(put_some(&shop, "b", 0, FLOOD_N / 4, BODY), 0);
    assert_int_equal(put_some(&shop, "c", 0, FLOOD_N, BODY), 0);
    assert_int_equal(put_some(&shop, "d", 0, FLOOD_N / 4, 700), 0);
    assert_int_equal(count_some(&shop, "a", 0, A_N), A_N);
    note_figures(&shop);
    assert_in_range(count_some(&shop, "b", 0, FLOOD_N / 4), 8 * PER_PERCENT, 24 * PER_PERCENT);
    assert_int_equal(usage_of(&shop, "a").evictions, 0);
    assert_true(usage_of(&shop, "b").evictions > 0);
    assert_true(usage_of(&shop, NULL).evictions > FLOOD_N / 2);
    assert_int_equal(usage_of(&shop, "a").objects, A_N);
    assert_in_range(usage_of(&shop, "a").used_len, A_N * BODY, A_N * (BODY + 4096));
    stop(&shop);
}

/* While a site does not use its share others do; when it wants it, it gets it. */
static void
lent_room_comes_back(void **state)
{
    struct shop shop;
    uint64_t lent;

    (void)state;
    start(&shop, 60, 0);
    assert_int_equal(put_some(&shop, "c", 0, FLOOD_N / 2, BODY), 0);
    note_figures(&shop);
    lent = usage_of(&shop, NULL).used_len;
    assert_true(lent > SIZE / 100 * 80);
    assert_int_equal(put_some(&shop, "a", 0, 45 * PER_PERCENT, BODY), 0);
    assert_int_equal(count_some(&shop, "a", 0, 45 * PER_PERCENT), 45 * PER_PERCENT);
    assert_int_equal(usage_of(&shop, "a").evictions, 0);
    note_figures(&shop);
    assert_true(usage_of(&shop, NULL).used_len < lent / 10 * 7);
    assert_int_equal(put_some(&shop, "a", 0, FLOOD_N / 2, BODY), 0); /* now its own go */
    note_figures(&shop);
    assert_true(usage_of(&shop, NULL).used_len > SIZE / 100 * 30);
    assert_true(usage_of(&shop, "a").used_len < SIZE / 100 * 60);
    stop(&shop);
}

static void
forget_saved_index(const struct shop *shop)
{
    char name[300];

    (void)snprintf(name, sizeof(name), "%s/index.save", shop->path);
    (void)unlink(name);
}

/* The record knows whose it is: after a clean stop, after a scan, after updates and new ids. */
static void
shares_hold_after_restarts(void **state)
{
    for (unsigned scanned = 0; scanned < 2; scanned++) {
        struct shop shop;

        (void)state;
        start(&shop, 40, 0);
        assert_int_equal(put_some(&shop, "a", 0, A_N, BODY), 0);
        assert_int_equal(put_some(&shop, "c", 0, FLOOD_N / 4, BODY), 0);
        close_shop(&shop);
        if (scanned)
            forget_saved_index(&shop);
        open_with(&shop, 40, 30); /* another share more: the numbers are others, not the groups */
        wait_for_objects(&shop, "a", A_N);
        assert_int_equal(put_some(&shop, "c", FLOOD_N, FLOOD_N * 2, BODY), 0);
        assert_int_equal(count_some(&shop, "a", 0, A_N), A_N);
        close_shop(&shop);
        if (scanned)
            forget_saved_index(&shop);
        open_with(&shop, 0, 30); /* a lost its share: its objects are like all others */
        assert_false(store_share_usage(shop.store, group_of("a"), &(struct store_usage){0}));
        assert_int_equal(put_some(&shop, "c", 0, FLOOD_N, BODY), 0);
        assert_int_equal(count_some(&shop, "a", 0, A_N), 0);
        stop(&shop);
    }
}

/* What survives the hand is written again, and stays in its partition. */
static void
a_used_object_keeps_its_partition(void **state)
{
    struct shop shop;

    (void)state;
    start(&shop, 30, 0);
    assert_int_equal(put_some(&shop, "a", 0, 20 * PER_PERCENT, BODY), 0);
    for (unsigned round = 0; round < 8; round++) {
        char name[64];

        for (unsigned i = 0; i < 10 * PER_PERCENT; i++) {
            struct help_object object = {.key = name_of(name, "a", i), .body_len = BODY};

            assert_true(help_is_stored(shop.reader, &object));
        }
        assert_int_equal(put_some(&shop, "a", round * 100 + 1000, round * 100 + 1100, BODY), 0);
    }
    assert_int_equal(put_some(&shop, "c", 0, FLOOD_N, BODY), 0);
    assert_int_equal(count_some(&shop, "a", 0, 10 * PER_PERCENT), 10 * PER_PERCENT);
    stop(&shop);
}

/* Pieces of puts that do not end cannot be evicted: they are their own partition's. */
static void
open_puts_take_from_their_own(void **state)
{
    struct store_put *puts[64] = {0};
    struct shop shop;

    (void)state;
    start(&shop, 40, 20);
    assert_int_equal(put_some(&shop, "a", 0, A_N, BODY), 0);
    for (unsigned i = 0; i < ARRAY_LEN(puts); i++) {
        char name[64];
        struct store_key key = help_key(name_of(name, "b", i));
        struct help_object object = {.key = name, .body_len = 8 * BLOCK_FULL_LEN};

        key.group = group_of("b");
        assert_int_equal(store_put_begin(shop.store, &key, &puts[i]), OK);
        (void)help_blocks(puts[i], &object);                       /* refused in the end */
        assert_int_equal(put_some(&shop, "d", i, i + 1, BODY), 0); /* the writer has had its turn */
    }
    assert_int_equal(count_some(&shop, "a", 0, A_N), A_N);
    note_figures(&shop);
    assert_in_range(usage_of(&shop, "b").used_len, SIZE / 3, SIZE / 100 * 60);
    assert_int_equal(put_some(&shop, "a", 1000, 1000 + 5 * PER_PERCENT, BODY), 0);
    assert_int_equal(count_some(&shop, "a", 0, A_N), A_N);
    for (unsigned i = 0; i < ARRAY_LEN(puts); i++)
        store_put_release(&puts[i]);
    note_figures(&shop);
    assert_int_equal(usage_of(&shop, "b").used_len, 0);
    stop(&shop);
}

/* All that is above its share is pinned: its own puts are refused, and nobody else pays. */
static void
pins_above_a_share_refuse_its_own(void **state)
{
    struct store_pin pins[FULL_N];
    unsigned pins_n = 0, kept;
    struct shop shop;
    char name[64];

    (void)state;
    start(&shop, 40, 0);
    (void)put_some(&shop, "c", 0, FULL_N, BODY);
    for (unsigned i = 0; i < FULL_N; i++) {
        struct store_key key = help_key(name_of(name, "c", i));
        struct store_cursor cursor = {.key = &key};
        struct store_object found;

        store_read_begin(shop.reader);
        if (store_find(shop.reader, &cursor, &found) &&
            store_pin(shop.reader, &found, &pins[pins_n]))
            pins_n++;
        store_read_end(shop.reader);
    }
    (void)put_some(&shop, "a", 0, 10 * PER_PERCENT, BODY); /* takes what is left, then its own */
    kept = count_some(&shop, "a", 0, 10 * PER_PERCENT);
    assert_true(put_some(&shop, "c", 1000, 1100, BODY) >= 40);
    assert_int_equal(count_some(&shop, "a", 0, 10 * PER_PERCENT), kept);
    for (unsigned i = 0; i < pins_n; i++)
        store_unpin(&pins[i]);
    assert_int_equal(put_some(&shop, "c", 2000, 2050, BODY), 0);
    assert_int_equal(count_some(&shop, "a", 0, 10 * PER_PERCENT), kept);
    stop(&shop);
}

static void
shares_that_cannot_be_are_refused(void **state)
{
    static const struct {
        struct store_share shares[3];
        size_t n;
    } cases[] = {
        {{{1, 60}, {2, 41}}, 2},
        {{{1, 10}, {1, 10}}, 2},
        {{{0, 10}}, 1},
        {{{1, 101}}, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store_settings settings = {
            .size_len = SIZE, .shares = cases[i].shares, .shares_n = cases[i].n};
        struct store *store = NULL;
        char path[256], why[512];

        help_new_folder(path, sizeof(path));
        settings.path = path;
        assert_int_equal(store_open(&settings, &store, why, sizeof(why)), ERR_RANGE);
        assert_non_null(strstr(why, "shares of the store"));
        help_remove_folder(path);
    }
}

/* Purges and sweeps go over all partitions. */
static void
purges_reach_all_partitions(void **state)
{
    struct store_purge all = {.kind = STORE_PURGE_ALL};
    struct shop shop;
    uint64_t id;

    (void)state;
    start(&shop, 20, 20);
    (void)put_some(&shop, "a", 0, 40, 500);
    (void)put_some(&shop, "b", 0, 40, 500);
    (void)put_some(&shop, "c", 0, 40, 500);
    (void)help_purge(shop.store, &all, 1, &id);
    assert_int_equal(help_purge_finish(shop.store, id), 120);
    help_empty(shop.store);
    note_figures(&shop);
    assert_in_range(usage_of(&shop, NULL).objects, 1, 2);
    assert_int_equal(usage_of(&shop, "a").used_len + usage_of(&shop, "b").used_len, 0);
    stop(&shop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_evicts_only_its_own),
        cmocka_unit_test(lent_room_comes_back),
        cmocka_unit_test(shares_hold_after_restarts),
        cmocka_unit_test(a_used_object_keeps_its_partition),
        cmocka_unit_test(open_puts_take_from_their_own),
        cmocka_unit_test(pins_above_a_share_refuse_its_own),
        cmocka_unit_test(shares_that_cannot_be_are_refused),
        cmocka_unit_test(purges_reach_all_partitions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
