/* Families: members are found through their head, live no longer than it, and are of its body. */
#include "family_help.h"

#include "base/stats.h"

static void
expect_gauge(enum counter stat, int64_t want)
{
    for (unsigned i = 0; i < 5000 && stats_read(stat) != want; i++)
        (void)usleep(1000);
    assert_int_equal(stats_read(stat), want);
}

/* --- finding --- */

static void
members_are_found_through_their_head(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_usage usage;

    family_put(fixture->store, "a", 0, 11, 5000, 3);
    family_put(fixture->store, "a", 5, 12, 5000, 1);
    family_put_one(fixture->store, (struct help_object){.key = "b", .body_len = 10});
    assert_int_equal(help_count(fixture->reader, "a", NULL), 2);
    for (uint8_t member = 1; member <= 3; member++)
        assert_true(family_has(fixture->reader, "a", 0, member, false));
    assert_false(family_has(fixture->reader, "a", 0, 4, false));
    assert_true(family_has(fixture->reader, "a", 5, 1, false));
    assert_false(family_has(fixture->reader, "a", 5, 2, false));
    assert_false(family_has(fixture->reader, "b", 0, 1, false));
    assert_int_equal(family_members(fixture->reader, "a", 0), 0x0e);
    assert_int_equal(family_members(fixture->reader, "a", 5), 0x02);
    assert_int_equal(family_members(fixture->reader, "b", 0), 0);
    family_expect(fixture->store, 7, 4);
    expect_gauge(STAT_store_objects, 3);
    expect_gauge(STAT_store_members, 4);
    assert_true(store_share_usage(fixture->store, 0, &usage));
    assert_int_equal(usage.objects, 3);
    assert_true(usage.used_len > 70000);
}

/* A member of one number takes the place of the one before; the others stay. */
static void
a_member_replaces_its_own_number(void **state)
{
    struct help_fixture *fixture = *state;

    family_put(fixture->store, "a", 0, 11, 5000, 3);
    family_put_one(fixture->store, family_object("a", 0, 11, 2, 9));
    assert_int_equal(family_members(fixture->reader, "a", 0), 0x0e);
    family_expect(fixture->store, 4, 3);
    family_put_one(fixture->store, family_object("a", 0, 11, 255, 0));
    assert_true(family_has(fixture->reader, "a", 0, 255, false));
    family_expect(fixture->store, 5, 4);
}

static void
a_member_needs_its_head(void **state)
{
    static const struct {
        const char *why, *key;
        uint64_t variant, family;
        enum err want;
    } cases[] = {
        {"no such key", "none", 0, 21, ERR_NOT_FOUND},
        {"another variant", "a", 1, 21, ERR_NOT_FOUND},
        {"another family", "a", 0, 22, ERR_NOT_FOUND},
        {"the head is of no family", "b", 0, 21, ERR_NOT_FOUND},
        {"its own", "a", 0, 21, OK},
    };
    struct help_fixture *fixture = *state;

    family_put_one(fixture->store, family_object("a", 0, 21, 0, 100));
    family_put_one(fixture->store, family_object("b", 0, 0, 0, 100));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (uint64_t body_len = 10; body_len < MIB; body_len *= 50000) {
            struct help_object object =
                family_object(cases[i].key, cases[i].variant, cases[i].family, 3, body_len);

            print_message("case: %s, %llu bytes\n", cases[i].why, (unsigned long long)body_len);
            assert_int_equal(help_put(fixture->store, &object, NULL), cases[i].want);
        }
    }
    assert_true(family_has(fixture->reader, "a", 0, 3, false));
    family_expect(fixture->store, 3, 1);
    help_empty(fixture->store); /* no piece of those that were refused is left */
}

/* --- the head's end --- */

static void
purge_with(struct store *store, struct store_purge purge, uint64_t want_matched)
{
    uint64_t id;

    (void)help_purge(store, &purge, 1, &id);
    assert_int_equal(help_purge_finish(store, id), want_matched);
}

static void
purged_by_key(struct help_fixture *fixture)
{
    struct store_purge purge = {.kind = STORE_PURGE_KEY, .text = SLICE("a")};

    assert_int_equal(help_purge(fixture->store, &purge, 1, NULL), 1);
    family_pass_by(fixture->store);
}

static void
purged_by_label(struct help_fixture *fixture)
{
    purge_with(fixture->store, (struct store_purge){.kind = STORE_PURGE_LABEL, .label = 7}, 1);
}

static void
purged_by_prefix(struct help_fixture *fixture)
{
    purge_with(fixture->store, (struct store_purge){.kind = STORE_PURGE_PREFIX, .text = SLICE("a")},
               1);
}

static void
purged_with_all(struct help_fixture *fixture)
{
    purge_with(fixture->store, (struct store_purge){.kind = STORE_PURGE_ALL}, 1);
}

static void
replaced_by_its_variant(struct help_fixture *fixture)
{
    family_put_one(fixture->store, family_object("a", 3, 32, 0, 10));
    assert_int_equal(family_entries(fixture->store, "a"), 1);
    purged_by_key(fixture);
}

static void
replaced_by_its_id(struct help_fixture *fixture)
{
    struct store_key key = help_key("a");
    struct store_record record = {.variant = 4};
    struct store_object head;
    struct store_put *put;
    struct help_wait wait;

    assert_int_equal(help_count(fixture->reader, "a", &head), 1);
    record.replaces_oid = head.oid;
    assert_int_equal(store_put_begin(fixture->store, &key, &put), OK);
    assert_int_equal(store_put_end(put, &record, NULL, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    store_put_release(&put);
    assert_int_equal(family_entries(fixture->store, "a"), 1);
    purged_by_key(fixture);
}

static void
one_variant_too_many(struct help_fixture *fixture)
{
    for (uint64_t variant = 100; variant < 228; variant++) /* it is the oldest, and was not used */
        family_put_one(fixture->store, family_object("a", variant, 0, 0, 1));
    assert_int_equal(family_entries(fixture->store, "a"), 128);
    (void)help_purge(fixture->store,
                     &(struct store_purge){.kind = STORE_PURGE_KEY, .text = SLICE("a")}, 1, NULL);
    family_pass_by(fixture->store);
}

/* Found by whoever reads it first after a start. */
static void
damaged_at(struct help_fixture *fixture, uint64_t at)
{
    family_close(fixture);
    assert_true(help_flip_seed(fixture->path, family_object("a", 3, 31, 0, 0).body_seed, at) > 0);
    family_open(fixture);
    assert_int_equal(family_entries(fixture->store, "a"), 4);
}

static void
found_damaged_in_its_record(struct help_fixture *fixture)
{
    damaged_at(fixture, 4900);
    assert_int_equal(help_count(fixture->reader, "a", NULL), 0);
    family_pass_by(fixture->store);
}

static void
found_damaged_in_a_piece(struct help_fixture *fixture)
{
    struct store_object head;

    damaged_at(fixture, 64);
    assert_int_equal(help_count(fixture->reader, "a", &head), 1);
    store_read_begin(fixture->reader);
    assert_false(help_body_is(fixture->reader, help_source(&head), 0));
    store_read_end(fixture->reader);
    assert_int_equal(help_count(fixture->reader, "a", NULL), 0);
    family_pass_by(fixture->store);
}

static void
found_damaged_by_a_check(struct help_fixture *fixture)
{
    struct store_check check;

    damaged_at(fixture, 4900);
    assert_int_equal(store_check(fixture->store, &check), OK);
    assert_int_equal(check.bad, 1);
    assert_int_equal(check.members, 3);
    family_pass_by(fixture->store);
}

static void
evicted(struct help_fixture *fixture)
{
    family_fill(fixture->store, 700); /* 42 MB */
}

/* Moved to a smaller file, in which it has no room. */
static void
has_no_room_any_more(struct help_fixture *fixture)
{
    family_fill(fixture->store, 400);
    family_close(fixture);
    fixture->store = help_open(fixture->path, 8 * MIB);
    for (unsigned i = 0; i < 20000 && stats_read(STAT_store_resizes) == 0; i++)
        (void)usleep(1000);
    assert_int_equal(stats_read(STAT_store_resizes), 1);
    fixture->reader = help_reader(fixture->store);
}

static void
every_end_of_a_head_takes_its_members(void **state)
{
    static const struct {
        const char *why;
        void (*end)(struct help_fixture *fixture);
    } cases[] = {
        {"purged by its key", purged_by_key},
        {"purged by a label", purged_by_label},
        {"purged by a prefix", purged_by_prefix},
        {"purged with everything", purged_with_all},
        {"another of its variant", replaced_by_its_variant},
        {"another that names its id", replaced_by_its_id},
        {"one variant too many", one_variant_too_many},
        {"its record is damaged", found_damaged_in_its_record},
        {"a piece is damaged", found_damaged_in_a_piece},
        {"a check finds its record damaged", found_damaged_by_a_check},
        {"evicted", evicted},
        {"it has no room in a smaller file", has_no_room_any_more},
    };
    struct help_fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        family_put(fixture->store, "a", 3, 31, 5000, 3);
        assert_int_equal(family_members(fixture->reader, "a", 3), 0x0e);
        cases[i].end(fixture);
        assert_int_equal(family_entries(fixture->store, "a"), 0);
        assert_int_equal(help_count(fixture->reader, "a", NULL), 0);
        help_empty(fixture->store);
    }
}

/* What ends a head in the transaction that stores its member ends the member, too. */
static void
a_head_that_goes_with_its_members_put_takes_it(void **state)
{
    struct store_settings settings = {
        .size_len = 32 * MIB, .batch_ms = 5000, .batch_len = 8 * MIB, .readers_max = 4};
    struct store_purge nothing = {.kind = STORE_PURGE_KEY, .text = SLICE("nothing")};
    struct help_fixture fixture;
    char why[512];

    (void)state;
    help_new_folder(fixture.path, sizeof(fixture.path));
    settings.path = fixture.path;
    assert_int_equal(store_open(&settings, &fixture.store, why, sizeof(why)), OK);
    fixture.reader = help_reader(fixture.store);
    for (uint64_t body_len = 10; body_len < MIB; body_len *= 50000) {
        struct help_object head = family_object("a", 0, 41, 0, 5000);
        struct help_object member = family_object("a", 0, 41, 1, body_len);
        struct store_key key = help_key("a");
        struct store_record successor = {.variant = 1};
        struct help_wait waits[3];
        struct store_object found;
        struct store_put *put;

        assert_int_equal(help_put_start(fixture.store, &head, help_done(&waits[0])), OK);
        (void)help_purge(fixture.store, &nothing, 1, NULL); /* the batch does not wait */
        assert_int_equal(help_wait_for(&waits[0], NULL), OK);
        assert_int_equal(help_count(fixture.reader, "a", &found), 1);
        successor.replaces_oid = found.oid;
        assert_int_equal(help_put_start(fixture.store, &member, help_done(&waits[1])), OK);
        assert_int_equal(store_put_begin(fixture.store, &key, &put), OK);
        assert_int_equal(store_put_end(put, &successor, NULL, help_done(&waits[2])), OK);
        store_put_release(&put);
        (void)help_purge(fixture.store, &nothing, 1, NULL);
        assert_int_equal(help_wait_for(&waits[1], NULL), ERR_NOT_FOUND);
        assert_int_equal(help_wait_for(&waits[2], NULL), OK);
        assert_int_equal(family_entries(fixture.store, "a"), 1);
        help_empty(fixture.store);
    }
    store_reader_free(&fixture.reader);
    store_close(&fixture.store);
    help_remove_folder(fixture.path);
}

/* --- purges --- */

/* A member that is being made while its head is purged does not come in. */
static void
no_member_slips_past_a_purge(void **state)
{
    static const struct store_purge purges[] = {
        {.kind = STORE_PURGE_KEY, .text = SLICE("slip/a")},
        {.kind = STORE_PURGE_LABEL, .label = 7},
        {.kind = STORE_PURGE_PREFIX, .text = SLICE("slip")},
        {.kind = STORE_PURGE_ALL},
    };
    struct help_fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LEN(purges) * 2; i++) {
        struct help_object member = family_object("slip/a", 0, 51, 2, 70000);
        struct store_key key = help_key("slip/a");
        struct store_put *put;
        struct help_wait wait;
        uint64_t id;
        enum err rc;

        family_put(fixture->store, "slip/a", 0, 51, 5000, 1);
        assert_int_equal(store_put_begin(fixture->store, &key, &put), OK);
        assert_int_equal(help_blocks(put, &member), OK);
        if (i % 2 == 0)
            (void)help_purge(fixture->store, &purges[i / 2], 1, &id);
        assert_int_equal(help_end(put, &member, help_done(&wait)), OK);
        store_put_release(&put);
        if (i % 2 == 1) /* it may have come in, and goes again */
            (void)help_purge(fixture->store, &purges[i / 2], 1, &id);
        rc = help_wait_for(&wait, NULL);
        assert_true(rc == ERR_CANCELLED || rc == ERR_NOT_FOUND || (i % 2 == 1 && rc == OK));
        assert_int_equal(help_count(fixture->reader, "slip/a", NULL), 0);
        (void)help_purge_finish(fixture->store, id);
        assert_int_equal(family_entries(fixture->store, "slip/a"), 0);
        help_empty(fixture->store);
    }
}

/* The new head of another family, of the same key and variant, has none of the old one's members,
 * not even one that was on its way. */
static void
a_members_put_does_not_join_the_next_body(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_object member = family_object("a", 0, 61, 2, 100);
    struct store_key key = help_key("a");
    struct store_put *put;
    struct help_wait wait;

    family_put(fixture->store, "a", 0, 61, 5000, 1);
    assert_int_equal(store_put_begin(fixture->store, &key, &put), OK);
    family_put(fixture->store, "a", 0, 62, 5000, 0);
    assert_int_equal(help_end(put, &member, help_done(&wait)), OK);
    store_put_release(&put);
    assert_int_equal(help_wait_for(&wait, NULL), ERR_NOT_FOUND);
    assert_int_equal(family_members(fixture->reader, "a", 0), 0);
    family_expect(fixture->store, 1, 0);
}

static void
a_purge_counts_heads(void **state)
{
    struct store_purge key = {.kind = STORE_PURGE_KEY, .soft = true, .text = SLICE("a")};
    struct store_purge all = {.kind = STORE_PURGE_ALL, .soft = true};
    struct store_purge label = {.kind = STORE_PURGE_LABEL, .label = 7};
    struct help_fixture *fixture = *state;
    struct store_purge_status status;
    uint64_t id;

    family_put(fixture->store, "a", 0, 71, 5000, 3);
    family_put(fixture->store, "a", 1, 72, 5000, 2);
    family_put(fixture->store, "b", 0, 73, 5000, 1);
    assert_int_equal(help_purge(fixture->store, &key, 1, &id), 2);
    assert_int_equal(help_purge_finish(fixture->store, id), 2);
    (void)help_purge(fixture->store, &all, 1, &id);
    assert_int_equal(help_purge_finish(fixture->store, id), 3);
    assert_int_equal(family_members(fixture->reader, "a", 0), 0x0e); /* soft ones keep them */
    family_expect(fixture->store, 9, 6);
    (void)help_purge(fixture->store, &label, 1, &id);
    assert_int_equal(help_purge_finish(fixture->store, id), 3);
    assert_int_equal(store_purge_status(fixture->store, id, &status), OK);
    assert_int_equal(status.removed, 3);
    family_expect(fixture->store, 0, 0);
}

/* --- refreshing --- */

static enum err
update(struct store *store, uint64_t oid)
{
    struct store_key key = help_key("a");
    struct store_record record = {.meta = slice_from_str("new meta"),
                                  .head = slice_from_str("new head")};
    struct help_wait wait;
    struct store_put *put;

    assert_int_equal(store_put_begin(store, &key, &put), OK);
    assert_int_equal(store_put_update(put, oid, &record, help_done(&wait)), OK);
    store_put_release(&put);
    return help_wait_for(&wait, NULL);
}

static void
a_refreshed_head_keeps_its_members(void **state)
{
    struct store_purge soft = {.kind = STORE_PURGE_KEY, .soft = true, .text = SLICE("a")};
    struct help_fixture *fixture = *state;
    struct store_key key = help_key("a");
    struct store_object head, member;
    bool cold;

    family_put(fixture->store, "a", 9, 81, 5000, 3);
    assert_int_equal(help_purge(fixture->store, &soft, 1, NULL), 1);
    store_read_begin(fixture->reader);
    assert_true(family_head(fixture->reader, &key, 9, &head));
    assert_true(store_find_member(fixture->reader, &head, 2, &member, &cold));
    assert_true(head.soft_purged && member.soft_purged);
    store_read_end(fixture->reader);
    family_put_one(fixture->store, family_object("a", 9, 81, 4, 10)); /* soft: it may still come */
    assert_int_equal(update(fixture->store, head.oid), OK);
    assert_int_equal(family_members(fixture->reader, "a", 9), 0x1e);
    store_read_begin(fixture->reader);
    assert_true(family_head(fixture->reader, &key, 9, &head));
    assert_true(store_find_member(fixture->reader, &head, 2, &member, &cold));
    assert_false(head.soft_purged || member.soft_purged);
    assert_true(slice_is(head.head, "new head"));
    assert_int_equal(head.family, 81);
    store_read_end(fixture->reader);
    assert_int_equal(update(fixture->store, member.oid), ERR_NOT_FOUND); /* members are not */
    family_put_one(fixture->store, family_object("a", 9, 81, 5, 10));
    assert_int_equal(family_members(fixture->reader, "a", 9), 0x3e);
}

/* --- bounds --- */

static void
members_are_no_variants(void **state)
{
    struct help_fixture *fixture = *state;

    for (uint64_t variant = 0; variant < 128; variant++)
        family_put(fixture->store, "a", variant, 900 + variant, 10, 1);
    assert_int_equal(help_count(fixture->reader, "a", NULL), 128);
    for (uint64_t variant = 0; variant < 128; variant++)
        assert_true(family_has(fixture->reader, "a", variant, 1, false));
    family_put(fixture->store, "a", 200, 2000, 10, 1);
    assert_int_equal(help_count(fixture->reader, "a", NULL), 128);
    assert_int_equal(family_entries(fixture->store, "a"), 256);
}

int
main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, family_set_up, help_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(members_are_found_through_their_head),
        CASE(a_member_replaces_its_own_number),
        CASE(a_member_needs_its_head),
        CASE(every_end_of_a_head_takes_its_members),
        cmocka_unit_test(a_head_that_goes_with_its_members_put_takes_it),
        CASE(no_member_slips_past_a_purge),
        CASE(a_members_put_does_not_join_the_next_body),
        CASE(a_purge_counts_heads),
        CASE(a_refreshed_head_keeps_its_members),
        CASE(members_are_no_variants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
