/* Families: members are found through their head, and live no longer than it. */
#include "store_help.h"

#include "base/stats.h"

#define MIB (1024ULL * 1024)

static int
set_up(void **state)
{
    return help_set_up(state, 32 * MIB);
}

/* --- objects --- */

/* Of a family: its head, or a member; bodies that tell them apart. */
static struct help_object
object_of(const char *key, uint64_t variant, uint64_t family, uint8_t member, uint64_t body_len)
{
    return (struct help_object){.key = key,
                                .variant = variant,
                                .family = family,
                                .member = member,
                                .body_len = body_len,
                                .body_seed = help_seed(key) + family * 1000 + member + 1};
}

static void
put(struct store *store, struct help_object object)
{
    assert_int_equal(help_put(store, &object, NULL), OK);
}

/* A head of 5,000 bytes with members 1 to members_n: of 100 bytes, of 70,000, and so on. */
static void
put_family(struct store *store, const char *key, uint64_t variant, uint64_t family,
           uint8_t members_n)
{
    put(store, object_of(key, variant, family, 0, 5000));
    for (uint8_t member = 1; member <= members_n; member++)
        put(store, object_of(key, variant, family, member, member % 2 == 1 ? 100 : 70000));
}

/* --- looking --- */

static bool
find_head(struct store_reader *reader, const struct store_key *key, uint64_t variant,
          struct store_object *out)
{
    struct store_cursor cursor = {.key = key};

    while (store_find(reader, &cursor, out)) {
        assert_int_equal(out->member, 0);
        if (out->variant == variant)
            return true;
    }
    return false;
}

/* Is this member found, and are its bytes right? */
static bool
has_member(struct store_reader *reader, const char *text, uint64_t variant, uint8_t member)
{
    struct store_key key = help_key(text);
    struct store_object head, found;
    bool cold = true, is_there = false;

    store_read_begin(reader);
    if (find_head(reader, &key, variant, &head) &&
        store_find_member(reader, &head, member, &found, &cold)) {
        struct help_object want = object_of(text, variant, head.family, member, 0);

        is_there = true;
        assert_int_equal(found.member, member);
        assert_int_equal(found.family, head.family);
        assert_int_equal(found.variant, variant);
        assert_int_equal(found.labels_n, 0);
        assert_true(slice_equal(found.key, key.text));
        assert_true(help_body_is(reader, help_source(&found), want.body_seed));
        assert_true(help_body_is(reader, help_source(&head),
                                 object_of(text, variant, head.family, 0, 0).body_seed));
    }
    store_read_end(reader);
    return is_there;
}

/* Which members the listing has, as bits. */
static uint64_t
members_of(struct store_reader *reader, const char *text, uint64_t variant)
{
    struct store_key key = help_key(text);
    struct store_object head, member = {0};
    uint64_t bits = 0;
    bool cold;

    store_read_begin(reader);
    if (find_head(reader, &key, variant, &head))
        while (store_next_member(reader, &head, member.member, &member, &cold)) {
            assert_true(slice_is(member.head, "HTTP/1.1 200 OK\r\n\r\n"));
            bits |= 1ULL << member.member;
        }
    store_read_end(reader);
    return bits;
}

/* How many records of objects lie on the disk, and how many of these are members; nothing is bad.
 */
static void
expect_stored(struct store *store, uint64_t objects, uint64_t members)
{
    struct store_check check = help_check(store);

    assert_int_equal(check.objects, objects);
    assert_int_equal(check.members, members);
}

/* --- tests --- */

static void
members_are_found_through_their_head(void **state)
{
    struct help_fixture *fixture = *state;

    put_family(fixture->store, "a", 0, 11, 3);
    put_family(fixture->store, "a", 5, 12, 1);
    put(fixture->store, object_of("b", 0, 0, 0, 10));
    assert_int_equal(help_count(fixture->reader, "a", NULL), 2);
    for (uint8_t member = 1; member <= 3; member++)
        assert_true(has_member(fixture->reader, "a", 0, member));
    assert_false(has_member(fixture->reader, "a", 0, 4));
    assert_true(has_member(fixture->reader, "a", 5, 1));
    assert_false(has_member(fixture->reader, "a", 5, 2));
    assert_false(has_member(fixture->reader, "b", 0, 1));
    assert_int_equal(members_of(fixture->reader, "a", 0), 0x0e);
    assert_int_equal(members_of(fixture->reader, "a", 5), 0x02);
    assert_int_equal(members_of(fixture->reader, "b", 0), 0);
    expect_stored(fixture->store, 7, 4);
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

    put(fixture->store, object_of("a", 0, 21, 0, 100));
    put(fixture->store, object_of("b", 0, 0, 0, 100));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (uint64_t body_len = 10; body_len < MIB; body_len *= 5000) {
            struct help_object object =
                object_of(cases[i].key, cases[i].variant, cases[i].family, 3, body_len);

            print_message("case: %s, %llu bytes\n", cases[i].why, (unsigned long long)body_len);
            assert_int_equal(help_put(fixture->store, &object, NULL), cases[i].want);
        }
    }
    assert_true(has_member(fixture->reader, "a", 0, 3));
    expect_stored(fixture->store, 3, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_found_through_their_head, set_up,
                                        help_tear_down),
        cmocka_unit_test_setup_teardown(a_member_needs_its_head, set_up, help_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
