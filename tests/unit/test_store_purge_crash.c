/* kill -9 in a churn of puts and purges of every kind, again and again: what was purged and
 * acknowledged is not found again, not even while the index is being rebuilt, and what was stored
 * and not purged is. BRINK_KILLS sets how often; on a machine that hardly gets to purges it goes
 * on, and leaves each process more time, until enough were acknowledged. */
#include "store_help.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define MIB (1024ULL * 1024)

enum { KILLS = 10, ROUNDS_MAX = 6, OBJECTS = 240, LARGE_LEN = 150000, PREFIXES = 5, TAGS = 7 };

/* Written by the process that is killed, read by the one that looks. Versions of an object rise. */
struct ledger {
    uint64_t version; /* the last one begun, of whatever object */
    uint64_t acks;    /* purges */
    struct {
        uint64_t stored;       /* acknowledged */
        uint64_t going;        /* up to this a hard purge has named it, acknowledged or not */
        uint64_t gone, marked; /* up to this one that is acknowledged, hard or soft */
    } of[OBJECTS];
};

static uint64_t
random_of(uint64_t *dice)
{
    *dice = *dice * 6364136223846793005U + 1442695040888963407U;
    return *dice >> 33;
}

static void
key_of(unsigned number, char *key, size_t cap)
{
    (void)snprintf(key, cap, "kill/%u/%u/", number % PREFIXES, number);
}

static uint64_t
length_of(unsigned number, uint64_t version)
{
    return number % 12 == 0 ? LARGE_LEN + version % 5000 : version % 3000;
}

static uint64_t
seed_of(unsigned number, uint64_t version)
{
    return version * 1000003 + number;
}

static enum err
put_version(struct store *store, unsigned number, uint64_t version, struct store_done done)
{
    const uint64_t labels[] = {1000 + number % TAGS, 2000 + number};
    char name[40], meta[24];
    struct help_object object = {
        .key = name, .body_len = length_of(number, version), .body_seed = seed_of(number, version)};
    uint32_t rest_len = (uint32_t)(object.body_len % BLOCK_FULL_LEN);
    struct block *rest = block_new(rest_len + 1);
    struct store_record record = {.labels = labels, .labels_n = ARRAY_LEN(labels)};
    struct store_key key;
    struct store_put *put;
    enum err rc;

    key_of(number, name, sizeof(name));
    (void)snprintf(meta, sizeof(meta), "%llu", (unsigned long long)version);
    record.meta = slice_from_str(meta);
    key = help_key(name);
    help_fill(rest->data, object.body_seed, object.body_len - rest_len, rest_len);
    rest->len = rest_len;
    rc = store_put_begin(store, &key, &put);
    if (rc == OK)
        rc = help_blocks(put, &object);
    if (rc == OK)
        rc = store_put_end(put, &record, rest, done);
    block_unref(&rest);
    store_put_release(&put);
    return rc;
}

static bool
names(const struct store_purge *purge, unsigned number)
{
    char key[40];

    key_of(number, key, sizeof(key));
    switch (purge->kind) {
    case STORE_PURGE_KEY:
        return slice_equal(purge->text, slice_from_str(key));
    case STORE_PURGE_PREFIX:
        return slice_starts(slice_from_str(key), purge->text);
    case STORE_PURGE_LABEL:
        return purge->label == 1000 + number % TAGS || purge->label == 2000 + number;
    case STORE_PURGE_ALL:
        return true;
    }
    return false;
}

static struct store_purge
random_purge(uint64_t *dice, char *text, size_t cap)
{
    unsigned number = (unsigned)(random_of(dice) % OBJECTS);
    struct store_purge purge = {.soft = random_of(dice) % 3 == 0};

    switch (random_of(dice) % 12) {
    case 0:
        purge.kind = STORE_PURGE_ALL;
        break;
    case 1:
    case 2:
        purge.kind = STORE_PURGE_PREFIX;
        (void)snprintf(text, cap, "kill/%u/", number % PREFIXES);
        break;
    case 3:
    case 4:
    case 5:
        purge.kind = STORE_PURGE_LABEL;
        purge.label = number % 2 == 0 ? 1000 + number % TAGS : 2000 + number;
        break;
    default:
        purge.kind = STORE_PURGE_KEY;
        key_of(number, text, cap);
        break;
    }
    purge.text = slice_from_str(text);
    return purge;
}

static void
purge_one(struct store *store, struct ledger *ledger, uint64_t *dice)
{
    char text[40] = "";
    struct store_purge purge = random_purge(dice, text, sizeof(text));

    for (unsigned i = 0; i < OBJECTS && !purge.soft; i++)
        if (names(&purge, i))
            ledger->of[i].going = ledger->version;
    (void)help_purge(store, &purge, 1, NULL);
    for (unsigned i = 0; i < OBJECTS; i++)
        if (names(&purge, i))
            *(purge.soft ? &ledger->of[i].marked : &ledger->of[i].gone) = ledger->version;
    ledger->acks++;
}

static void
churn(const char *path, struct ledger *ledger, uint64_t dice, uint64_t disk_len)
{
    struct rlimit limit = {disk_len, disk_len};
    struct store *store;

    (void)signal(SIGXFSZ, SIG_IGN);
    if (disk_len != 0)
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    store = help_open(path, 64 * MIB);

    for (;;) {
        unsigned number = (unsigned)(random_of(&dice) % OBJECTS);
        uint64_t version = ++ledger->version;
        struct help_wait wait;

        if (random_of(&dice) % 4 == 0) { /* and who comes next may find it on its way */
            (void)put_version(store, number, version, (struct store_done){0});
        } else if (put_version(store, number, version, help_done(&wait)) == OK &&
                   help_wait_for(&wait, NULL) == OK) {
            ledger->of[number].stored = version;
        }
        if (random_of(&dice) % 3 == 0)
            purge_one(store, ledger, &dice);
    }
}

/* Of one object: what is found is right, and may be; with `whole`, what has to be is found. */
static void
look_at(struct store_reader *reader, const struct ledger *ledger, unsigned number, bool whole)
{
    char name[40];
    struct store_key key;
    struct store_cursor cursor = {.key = &key};
    struct store_object object;
    uint64_t version = 0;

    key_of(number, name, sizeof(name));
    key = help_key(name);
    store_read_begin(reader);
    if (store_find(reader, &cursor, &object)) {
        struct store_source source = help_source(&object);

        assert_true(slice_to_u64(object.meta, &version));
        if (version <= ledger->of[number].gone)
            fail_msg("%s: version %llu was purged", name, (unsigned long long)version);
        if (version <= ledger->of[number].marked && !object.soft_purged)
            fail_msg("%s: version %llu was marked stale", name, (unsigned long long)version);
        assert_int_equal(object.body_len, length_of(number, version));
        assert_true(help_body_is(reader, source, seed_of(number, version)));
        assert_false(store_find(reader, &cursor, &object));
    }
    store_read_end(reader);
    if (whole && ledger->of[number].stored > ledger->of[number].going &&
        version < ledger->of[number].stored)
        fail_msg("%s: version %llu is missing, %llu is there", name,
                 (unsigned long long)ledger->of[number].stored, (unsigned long long)version);
}

static void
verify(const char *path, const struct ledger *ledger, bool whole)
{
    struct store_settings settings = {
        .path = path, .size_len = 64 * MIB, .batch_ms = 2, .readers_max = 4};
    struct store_reader *reader;
    struct store *store;
    char why[512];

    if (store_open(&settings, &store, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    reader = help_reader(store);
    for (unsigned i = 0; i < OBJECTS; i++) /* at once, while the scan goes on */
        look_at(reader, ledger, i, false);
    assert_true(store_wait_ready(store, 20000));
    for (unsigned i = 0; i < OBJECTS; i++)
        look_at(reader, ledger, i, whole);
    (void)help_check(store);
    store_reader_free(&reader);
    store_close(&store);
}

static void
kill_often(uint64_t disk_len)
{
    unsigned kills = 0, wanted = help_kills(KILLS);
    struct ledger *ledger =
        mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char path[256];

    assert_ptr_not_equal(ledger, MAP_FAILED);
    help_new_folder(path, sizeof(path));
    for (; kills < wanted || (ledger->acks <= wanted && kills < wanted * ROUNDS_MAX); kills++) {
        unsigned round = 1 + kills / wanted;
        pid_t child = fork();

        if (child == 0) {
            (void)alarm(30); /* it shall not outlive the test */
            churn(path, ledger, kills + 1, disk_len);
        }
        help_kill(child, (60000 + (kills * 7919 % 37) * 5000) * round);
        verify(path, ledger, disk_len == 0);
    }
    print_message("%u kills, %llu purges acknowledged, %llu versions\n", kills,
                  (unsigned long long)ledger->acks, (unsigned long long)ledger->version);
    assert_true(wanted == 0 || ledger->acks > wanted);
    help_remove_folder(path);
    (void)munmap(ledger, sizeof(*ledger));
}

static void
acknowledged_purges_outlive_kills(void **state)
{
    (void)state;
    kill_often(0);
}

/* Transactions fail all the time, are undone and tried again; the log goes on. */
static void
acknowledged_purges_outlive_kills_on_a_full_disk(void **state)
{
    (void)state;
    kill_often(2 * MIB);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_purges_outlive_kills),
        cmocka_unit_test(acknowledged_purges_outlive_kills_on_a_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
