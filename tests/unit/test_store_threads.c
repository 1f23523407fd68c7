/* Readers beside the writer: many threads find, read, pin and warm while objects come, go and are
 * purged. Meant for ThreadSanitizer; whatever is found has to be right. */
#include "family_help.h"

#include <stdatomic.h>

enum { READERS = 3, PUTTERS = 2, KEYS = 300, PUTS = 300, FAMILY_KEYS = 40, FAMILY_PUTS = 80 };

struct crowd {
    struct store *store;
    atomic_bool stop;
    atomic_uint found, wrong, warmed, puts_left;
};

static struct help_object
object_of(unsigned number, char *key, size_t cap)
{
    static const uint64_t labels[] = {1, 2, 3, 4};

    (void)snprintf(key, cap, "crowd/%u", number % KEYS);
    return (struct help_object){.key = key,
                                .body_len = (number % KEYS) * (number % 7 == 0 ? 700U : 13U),
                                .labels = &labels[number % 4],
                                .labels_n = 1};
}

static void
warmed(void *arg, enum err rc, uint64_t n)
{
    struct crowd *crowd = arg;

    (void)rc;
    (void)n;
    (void)atomic_fetch_add(&crowd->warmed, 1);
}

static void
read_one(struct crowd *crowd, struct store_reader *reader, unsigned number)
{
    char text[32];
    struct store_key key;
    struct store_cursor cursor = {.key = &key};
    struct store_object object;
    struct store_pin pin = {0};
    struct store_done done = {warmed, crowd};
    struct store_warming *warming = NULL;

    (void)snprintf(text, sizeof(text), "crowd/%u", number % KEYS);
    key = help_key(text);
    store_read_begin(reader);
    while (store_find(reader, &cursor, &object)) {
        (void)atomic_fetch_add(&crowd->found, 1);
        if (!help_body_is(reader, help_source(&object), help_seed(text)) ||
            !slice_equal(object.key, key.text) || object.labels_n != 1)
            (void)atomic_fetch_add(&crowd->wrong, 1);
        store_touch(reader, &object);
        if (pin.store == NULL && number % 3 == 0 && !store_pin(reader, &object, &pin))
            pin.store = NULL;
        if (number % 16 == 0 && warming == NULL &&
            store_warm_body(crowd->store,
                            &(struct store_source){object.oid, object.body_len, object.slot}, 0,
                            object.body_len, done, &warming) != OK)
            (void)atomic_fetch_add(&crowd->warmed, 1);
    }
    store_read_end(reader);
    store_warm_end(&warming); /* perhaps before its turn */
    if (number % 16 == 1 && store_warm_find(crowd->store, &key, done, &warming) == OK)
        store_warm_end(&warming);
    if (pin.store == NULL)
        return;
    store_read_begin(reader); /* a pinned object is there in any later section */
    if (!help_body_is(reader, help_pinned(&pin), help_seed(text)))
        (void)atomic_fetch_add(&crowd->wrong, 1);
    store_read_end(reader);
    store_unpin(&pin);
}

static void *
read_on(void *arg)
{
    struct crowd *crowd = arg;
    struct store_reader *reader = NULL;

    if (store_reader_new(crowd->store, &reader) != OK)
        return NULL;
    store_reader_hurry(reader, true); /* all of it is in memory */
    for (unsigned i = 0; !atomic_load(&crowd->stop); i++)
        read_one(crowd, reader, i * 31);
    store_reader_free(&reader);
    return NULL;
}

static void
put_done(void *arg, enum err rc, uint64_t n)
{
    struct crowd *crowd = arg;

    (void)rc;
    (void)n;
    (void)atomic_fetch_sub(&crowd->puts_left, 1);
}

static void *
put_on(void *arg)
{
    struct crowd *crowd = arg;
    char key[32];

    for (unsigned i = 0; i < PUTS; i++) {
        struct help_object object = object_of(i * 7, key, sizeof(key));

        (void)atomic_fetch_add(&crowd->puts_left, 1);
        if (help_put_start(crowd->store, &object, (struct store_done){put_done, crowd}) != OK)
            (void)atomic_fetch_sub(&crowd->puts_left, 1);
        while (atomic_load(&crowd->puts_left) > 64)
            (void)usleep(500);
    }
    return NULL;
}

static void
purge_on(struct crowd *crowd)
{
    for (unsigned i = 0; i < 40; i++) {
        char key[32];
        struct store_purge purges[2] = {{STORE_PURGE_KEY, i % 3 == 0, 0, SLICE_NONE},
                                        {STORE_PURGE_LABEL, i % 2 == 0, 1 + i % 4, SLICE_NONE}};

        (void)snprintf(key, sizeof(key), "crowd/%u", i * 3);
        purges[0].text = slice_from_str(key);
        (void)help_purge(crowd->store, purges, 1 + i % 2, NULL);
        (void)usleep(2000);
    }
}

static void
readers_see_only_what_is_right(void **state)
{
    struct crowd crowd = {0};
    pthread_t readers[READERS], putters[PUTTERS];
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    crowd.store = help_open(path, 4 * MIB); /* so that eviction takes part */
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &crowd), 0);
    for (unsigned i = 0; i < PUTTERS; i++)
        assert_int_equal(pthread_create(&putters[i], NULL, put_on, &crowd), 0);
    purge_on(&crowd);
    for (unsigned i = 0; i < PUTTERS; i++)
        assert_int_equal(pthread_join(putters[i], NULL), 0);
    atomic_store(&crowd.stop, true);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    while (atomic_load(&crowd.puts_left) > 0)
        (void)usleep(1000);
    (void)help_check(crowd.store);
    store_close(&crowd.store);
    print_message("%u found, %u wrong, %u warmed\n", crowd.found, crowd.wrong, crowd.warmed);
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.found > 0);
    help_remove_folder(path);
}

/* --- families: the next body takes the place of one while its members are put and read --- */

struct families {
    struct crowd crowd;
    atomic_uint_fast64_t next; /* family */
};

static void
family_key(char *text, size_t cap, uint64_t number)
{
    (void)snprintf(text, cap, "family/%u", (unsigned)(number % FAMILY_KEYS));
}

/* In a section: its members are of its body, and each can be pinned. */
static void
look_at_members(struct families *families, struct store_reader *reader, const char *text,
                const struct store_object *head, struct store_pin *pin, uint64_t *out_seed)
{
    struct store_object member = {0};
    bool cold = false;

    while (store_next_member(reader, head, member.member, &member, &cold)) {
        (void)atomic_fetch_add(&families->crowd.found, 1);
        if (!family_is_right(reader, head, &member, text))
            (void)atomic_fetch_add(&families->crowd.wrong, 1);
        if (member.member == 2)
            store_touch(reader, &member);
        if (pin->store == NULL && store_pin(reader, &member, pin))
            *out_seed = family_object(text, 0, head->family, member.member, 0).body_seed;
    }
}

static void
read_family(struct families *families, struct store_reader *reader, uint64_t number)
{
    struct store_cursor cursor = {0};
    struct store_object head;
    struct store_pin pin = {0};
    struct store_key key;
    uint64_t seed = 0;
    char text[32];

    family_key(text, sizeof(text), number);
    key = help_key(text);
    cursor.key = &key;
    store_read_begin(reader);
    while (store_find(reader, &cursor, &head)) {
        if (number % 3 == 0)
            store_touch(reader, &head);
        if (head.member != 0)
            (void)atomic_fetch_add(&families->crowd.wrong, 1);
        look_at_members(families, reader, text, &head, &pin, &seed);
    }
    store_read_end(reader);
    if (pin.store == NULL)
        return;
    store_read_begin(reader);
    if (!help_body_is(reader, help_pinned(&pin), seed))
        (void)atomic_fetch_add(&families->crowd.wrong, 1);
    store_read_end(reader);
    store_unpin(&pin);
}

static void *
read_families(void *arg)
{
    struct families *families = arg;
    struct store_reader *reader = NULL;

    if (store_reader_new(families->crowd.store, &reader) != OK)
        return NULL;
    for (uint64_t i = 0; !atomic_load(&families->crowd.stop); i++)
        read_family(families, reader, i * 7);
    store_reader_free(&reader);
    return NULL;
}

/* Heads of two variants, and members of them: some come too late. */
static void *
put_families(void *arg)
{
    struct families *families = arg;
    struct crowd *crowd = &families->crowd;

    for (unsigned i = 0; i < FAMILY_PUTS; i++) {
        uint64_t family = atomic_fetch_add(&families->next, 1) + 1;
        uint64_t variant = family / 3 % 2;
        char text[32];

        family_key(text, sizeof(text), family * 3);
        for (uint8_t member = 0; member <= 3; member++) {
            struct help_object object =
                family_object(text, variant, family, member, (family + member) % 5 * 8000);

            if (member == 0) {
                (void)help_put(crowd->store, &object, NULL);
                continue;
            }
            (void)atomic_fetch_add(&crowd->puts_left, 1);
            if (help_put_start(crowd->store, &object, (struct store_done){put_done, crowd}) != OK)
                (void)atomic_fetch_sub(&crowd->puts_left, 1);
        }
    }
    return NULL;
}

static void
purge_families(struct crowd *crowd)
{
    struct store_check check;

    for (unsigned i = 0; i < 60; i++) {
        struct store_purge purge = {STORE_PURGE_KEY, i % 4 == 0, 0, SLICE_NONE};
        char text[32];

        family_key(text, sizeof(text), i * 11);
        purge.text = slice_from_str(text);
        if (i % 10 == 9)
            purge = (struct store_purge){.kind = STORE_PURGE_PREFIX, .text = SLICE("family/1")};
        if (i == 30)
            purge = (struct store_purge){.kind = STORE_PURGE_ALL};
        (void)help_purge(crowd->store, &purge, 1, NULL);
        if (i % 20 == 5 && store_check(crowd->store, &check) == OK)
            assert_int_equal(check.bad, 0); /* a member without its head would be */
        (void)usleep(2000);
    }
}

static void
members_are_of_their_heads_body(void **state)
{
    struct families families = {0};
    struct crowd *crowd = &families.crowd;
    pthread_t readers[READERS], putters[PUTTERS];
    struct store_check check;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    crowd->store = help_open(path, 4 * MIB);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_families, &families), 0);
    for (unsigned i = 0; i < PUTTERS; i++)
        assert_int_equal(pthread_create(&putters[i], NULL, put_families, &families), 0);
    purge_families(crowd);
    for (unsigned i = 0; i < PUTTERS; i++)
        assert_int_equal(pthread_join(putters[i], NULL), 0);
    atomic_store(&crowd->stop, true);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    while (atomic_load(&crowd->puts_left) > 0)
        (void)usleep(1000);
    check = help_check(crowd->store);
    print_message("%u members read, %u wrong; %llu objects are left, %llu of them members\n",
                  crowd->found, crowd->wrong, (unsigned long long)check.objects,
                  (unsigned long long)check.members);
    assert_int_equal(crowd->wrong, 0);
    assert_true(crowd->found > 0);
    help_empty(crowd->store);
    store_close(&crowd->store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_see_only_what_is_right),
        cmocka_unit_test(members_are_of_their_heads_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
