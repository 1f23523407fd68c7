/* What becomes of members over time: damage, eviction, pins, another size, a start. */
#include "family_help.h"

#include "base/stats.h"

/* --- damage of a member --- */

static void
a_damaged_member_goes_alone(void **state)
{
    static const uint8_t members[] = {1, 2}; /* in its record, in a piece */
    struct help_fixture *fixture = *state;

    family_put(fixture->store, "a", 0, 91, 5000, 3);
    family_close(fixture);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        assert_true(help_flip_seed(fixture->path,
                                   family_object("a", 0, 91, members[i], 0).body_seed, 64) > 0);
    family_open(fixture);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct store_key key = help_key("a");
        struct store_object head, member;
        bool cold;

        store_read_begin(fixture->reader);
        assert_true(family_head(fixture->reader, &key, 0, &head));
        if (store_find_member(fixture->reader, &head, members[i], &member, &cold))
            assert_false(help_body_is(fixture->reader, help_source(&member), 0));
        assert_false(store_find_member(fixture->reader, &head, members[i], &member, &cold));
        assert_false(cold);
        store_read_end(fixture->reader);
        family_pass_by(fixture->store);
        assert_int_equal(family_entries(fixture->store, "a"), 3);
        family_put_one(fixture->store,
                       family_object("a", 0, 91, members[i], 3)); /* and can be made again */
    }
    assert_int_equal(family_members(fixture->reader, "a", 0), 0x0e);
    family_expect(fixture->store, 5, 3);
}

/* --- eviction --- */

/* What is used survives, written again and again, head and member; a member that is not used goes
 * by itself. */
static void
used_members_survive_and_unused_ones_go(void **state)
{
    enum { FAMILIES = 20 };
    struct help_fixture fixture;
    int64_t rewrites = stats_read(STAT_store_rewrites);
    char key[32];

    (void)state;
    help_new_folder(fixture.path, sizeof(fixture.path));
    fixture.store = help_open(fixture.path, 8 * MIB);
    fixture.reader = help_reader(fixture.store);
    for (unsigned i = 0; i < FAMILIES; i++) {
        (void)snprintf(key, sizeof(key), "family/%u", i);
        family_put(fixture.store, key, 0, 100 + i, 5000, 3);
    }
    for (unsigned lap = 0; lap < 60; lap++) {
        family_fill(fixture.store, 15);
        for (unsigned i = 0; i < FAMILIES; i++) {
            (void)snprintf(key, sizeof(key), "family/%u", i);
            assert_true(family_has(fixture.reader, key, 0, 1 + i % 2, true));
        }
    }
    for (unsigned i = 0; i < FAMILIES; i++) {
        (void)snprintf(key, sizeof(key), "family/%u", i);
        assert_int_equal(family_members(fixture.reader, key, 0), 1U << (1 + i % 2));
        assert_int_equal(family_entries(fixture.store, key), 2);
    }
    assert_true(stats_read(STAT_store_rewrites) - rewrites > FAMILIES);
    (void)help_check(fixture.store);
    store_reader_free(&fixture.reader);
    store_close(&fixture.store);
    help_remove_folder(fixture.path);
}

/* Sent while its head is purged, over a churn: the bytes are there until the pin goes. */
static void
a_pinned_member_stays_readable(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_key key = help_key("a");
    struct store_object head, member;
    struct store_pin pins[2], head_pin;
    bool cold;

    family_put(fixture->store, "a", 0, 31, 5000, 3);
    store_read_begin(fixture->reader);
    assert_true(family_head(fixture->reader, &key, 0, &head));
    for (uint8_t number = 1; number <= 2; number++) {
        assert_true(store_find_member(fixture->reader, &head, number, &member, &cold));
        assert_true(store_pin(fixture->reader, &member, &pins[number - 1]));
    }
    assert_true(store_pin(fixture->reader, &head, &head_pin));
    store_read_end(fixture->reader);
    store_read_begin(fixture->reader); /* by a pinned head members are found in any section */
    assert_true(store_find_member(fixture->reader, &head, 3, &member, &cold));
    assert_true(help_body_is(fixture->reader, help_source(&member),
                             family_object("a", 0, 31, 3, 0).body_seed));
    store_read_end(fixture->reader);
    (void)help_purge(fixture->store,
                     &(struct store_purge){.kind = STORE_PURGE_KEY, .text = SLICE("a")}, 1, NULL);
    family_pass_by(fixture->store);
    assert_int_equal(family_entries(fixture->store, "a"), 0);
    family_put(fixture->store, "a", 0, 32, 5000, 3);
    store_read_begin(fixture->reader); /* but not those of the next body */
    assert_false(store_find_member(fixture->reader, &head, 3, &member, &cold));
    store_read_end(fixture->reader);
    store_unpin(&head_pin);
    family_fill(fixture->store, 700); /* over all there was */
    store_read_begin(fixture->reader);
    for (uint8_t number = 1; number <= 2; number++)
        assert_true(help_body_is(fixture->reader, help_pinned(&pins[number - 1]),
                                 family_object("a", 0, 31, number, 0).body_seed));
    store_read_end(fixture->reader);
    store_unpin(&pins[0]);
    store_unpin(&pins[1]);
    help_empty(fixture->store);
}

/* --- starting again --- */

static void
members_move_to_a_smaller_file(void **state)
{
    struct help_fixture *fixture = *state;
    int64_t resizes = stats_read(STAT_store_resizes);

    family_fill(fixture->store, 400);
    family_put(fixture->store, "a", 0, 31, 5000, 3);
    family_close(fixture);
    fixture->store = help_open(fixture->path, 8 * MIB);
    fixture->reader = help_reader(fixture->store);
    for (unsigned i = 0; i < 20000 && stats_read(STAT_store_resizes) == resizes; i++)
        (void)usleep(1000);
    assert_int_equal(family_members(fixture->reader, "a", 0), 0x0e);
    (void)help_check(fixture->store);
}

static void
a_saved_index_knows_members(void **state)
{
    struct help_fixture *fixture = *state;

    family_put(fixture->store, "a", 0, 31, 5000, 3);
    family_put(fixture->store, "a", 6, 32, 5000, 2);
    family_close(fixture);
    family_open(fixture);
    assert_int_equal(fixture->store->scan.given_n, 0); /* no record was read for it */
    assert_int_equal(help_count(fixture->reader, "a", NULL), 2);
    assert_int_equal(family_members(fixture->reader, "a", 0), 0x0e);
    assert_int_equal(family_members(fixture->reader, "a", 6), 0x06);
    assert_int_equal(fixture->store->index.members_n, 5);
    (void)help_purge(fixture->store,
                     &(struct store_purge){.kind = STORE_PURGE_KEY, .text = SLICE("a")}, 1, NULL);
    family_pass_by(fixture->store);
    assert_int_equal(family_entries(fixture->store, "a"), 0);
    assert_int_equal(fixture->store->index.members_n, 0);
    help_empty(fixture->store);
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, family_set_up, help_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_damaged_member_goes_alone),
        cmocka_unit_test(used_members_survive_and_unused_ones_go),
        CASE(a_pinned_member_stays_readable),
        CASE(members_move_to_a_smaller_file),
        CASE(a_saved_index_knows_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
