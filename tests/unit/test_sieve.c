/* What goes next, and whose: the hand, shares, lent room, who is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/seen.h"
#include "storage/sieve.h"

struct fixture {
    struct epoch epoch;
    struct index index;
    struct sieve_round round;
};

enum { LIMIT = 1000, A = 7, B = 8 }; /* A has 20 %, B 30 %, the rest 50 % */

static int
set_up(void **state)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    epoch_init(&fixture.epoch);
    assert_int_equal(index_init(&fixture.index, &fixture.epoch), OK);
    assert_int_equal(index_add_group(&fixture.index, A, 20), OK);
    assert_int_equal(index_add_group(&fixture.index, B, 30), OK);
    *state = &fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;

    index_fini(&fixture->index);
    epoch_fini(&fixture->epoch);
    return 0;
}

static struct index_entry *
add(struct fixture *fixture, uint32_t group, uint32_t room)
{
    static uint64_t oid;
    struct index_item item = {.hash = {++oid, oid}, .oid = oid, .room = room, .group = group};

    assert_int_equal(index_reserve(&fixture->index, 1), OK);
    return index_entry(&fixture->index, index_insert(&fixture->index, &item));
}

static struct index_entry *
step(struct fixture *fixture, unsigned group, enum sieve_verdict want)
{
    uint32_t slot;

    assert_int_equal(sieve_step(&fixture->index, group, &slot), want);
    return index_entry(&fixture->index, slot);
}

static void
the_hand_goes_from_the_oldest_to_the_newest(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry *a = add(fixture, A, 1), *b = add(fixture, A, 1), *c = add(fixture, A, 1);

    atomic_store(&a->visited, 1);
    atomic_store(&c->pins, 1);
    assert_ptr_equal(step(fixture, 1, SIEVE_KEEP), a);
    assert_int_equal(atomic_load(&a->visited), 0);
    assert_ptr_equal(step(fixture, 1, SIEVE_GO), b);
    assert_ptr_equal(step(fixture, 1, SIEVE_PASS), c);
    (void)add(fixture, A, 1); /* after the hand left the newest: not next */
    assert_ptr_equal(step(fixture, 1, SIEVE_GO), a);
}

static unsigned
choice(struct fixture *fixture, uint64_t used, unsigned asking, uint64_t need)
{
    unsigned group = 99;

    sieve_begin(&fixture->round, &fixture->index, LIMIT, used);
    fixture->round.need[asking] = need;
    return sieve_choose(&fixture->round, &fixture->index, &group) ? group : 99;
}

static void
who_is_above_the_share_gives(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, A, 200);
    (void)add(fixture, B, 100);
    (void)add(fixture, 0, 700); /* 200 of these are lent by B */
    assert_int_equal(choice(fixture, 1000, 2, 50), 0);
    assert_int_equal(choice(fixture, 1000, 1, 50), 0);  /* A is 50 above then, the rest 200 */
    assert_int_equal(choice(fixture, 1000, 1, 250), 1); /* A's flood: A's own go */
    assert_int_equal(choice(fixture, 1000, 0, 250), 0);
    (void)add(fixture, 99, 1); /* a group without a share is of the rest */
    assert_int_equal(fixture->index.lists[0].room, 701);
}

static void
what_went_counts_at_once(void **state)
{
    struct fixture *fixture = *state;
    unsigned group;

    (void)add(fixture, A, 300);
    (void)add(fixture, B, 390);
    (void)add(fixture, 0, 310);
    assert_int_equal(choice(fixture, 1000, 0, 50), 1); /* 100 above; B 90 */
    fixture->round.freed[1] = 20;
    assert_true(sieve_choose(&fixture->round, &fixture->index, &group));
    assert_int_equal(group, 2);
}

/* The trees' own pages, and what is being deleted, are nobody's share. */
static void
what_is_nobodys_counts_to_the_rest(void **state)
{
    struct fixture *fixture = *state;

    (void)add(fixture, A, 200);
    (void)add(fixture, B, 300);
    (void)add(fixture, 0, 300);
    assert_int_equal(choice(fixture, 1000, 1, 1), 1);
    assert_int_equal(choice(fixture, 1010, 2, 0), 0); /* nobody asks: the furthest all the same */
    (void)add(fixture, 0, 190);
    assert_int_equal(choice(fixture, 1010, 1, 1), 0); /* 10 above */
}

/* Room held by pins: who is above the share is refused, and nobody else pays. */
static void
who_can_give_nothing_is_refused(void **state)
{
    struct fixture *fixture = *state;
    unsigned group;

    (void)add(fixture, A, 200);
    (void)add(fixture, 0, 800);
    (void)choice(fixture, 1000, 0, 50);
    fixture->round.steps[0] = 0; /* asked twice, all pinned */
    assert_false(sieve_choose(&fixture->round, &fixture->index, &group));
    assert_true(sieve_over(&fixture->round, &fixture->index, 0) > 0);
    assert_true(sieve_over(&fixture->round, &fixture->index, 1) <= 0);
    fixture->round.need[0] = 0;  /* those were refused */
    fixture->round.need[2] = 50; /* B has nothing that could go */
    assert_false(sieve_choose(&fixture->round, &fixture->index, &group));
    fixture->round.need[1] = 50; /* A's own make room for A's */
    assert_int_equal(choice(fixture, 1000, 1, 50), 0);
    fixture->round.steps[0] = 0;
    assert_true(sieve_choose(&fixture->round, &fixture->index, &group));
    assert_int_equal(group, 1);
}

static void
an_empty_index_has_nothing_to_give(void **state)
{
    assert_int_equal(choice(*state, 1000, 0, 50), 99);
}

/* --- what was seen --- */

static struct store_hash
hash_of(uint64_t n)
{
    return store_hash(slice_of(&n, sizeof(n)));
}

static void
the_second_time_is_known(void **state)
{
    struct seen seen;
    unsigned forgotten = 0, mistaken = 0;
    enum { N = 10000 }; /* of 16,384 that fit */

    (void)state;
    assert_int_equal(seen_init(&seen, 64 << 10), OK);
    for (uint64_t n = 0; n < N; n++)
        mistaken += seen_touch(&seen, hash_of(n));
    for (uint64_t n = 0; n < N; n++)
        forgotten += !seen_touch(&seen, hash_of(n));
    assert_int_equal(mistaken, 0);
    assert_in_range(forgotten, 0, N / 20);
    for (uint64_t n = N; n < 20 * N; n++)
        (void)seen_touch(&seen, hash_of(n));
    assert_false(seen_touch(&seen, hash_of(1))); /* long ago */
    assert_true(seen_touch(&seen, hash_of(1)));
    seen_fini(&seen);
}

/* What is asked for again and again stays known. */
static void
touching_keeps_it(void **state)
{
    struct seen seen;

    (void)state;
    assert_int_equal(seen_init(&seen, 64), OK); /* 16 keys */
    assert_false(seen_touch(&seen, hash_of(0)));
    for (uint64_t n = 1; n < 1000; n++) {
        (void)seen_touch(&seen, hash_of(n));
        assert_true(n % 8 != 0 || seen_touch(&seen, hash_of(0)));
    }
    seen_fini(&seen);
}

static void
without_memory_all_count_as_seen(void **state)
{
    struct seen seen;

    (void)state;
    assert_int_equal(seen_init(&seen, 63), OK);
    assert_true(seen_touch(&seen, hash_of(1)));
    seen_fini(&seen);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(the_hand_goes_from_the_oldest_to_the_newest),
        T(who_is_above_the_share_gives),
        T(what_went_counts_at_once),
        T(what_is_nobodys_counts_to_the_rest),
        T(who_can_give_nothing_is_refused),
        T(an_empty_index_has_nothing_to_give),
        T(the_second_time_is_known),
        T(touching_keeps_it),
        T(without_memory_all_count_as_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
