/* The index by itself: growing, forgetting, reusing only what no reader can look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/index.h"

struct fixture {
    struct epoch epoch;
    struct index index;
    struct epoch_slot reader;
};

static int
set_up(void **state)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    epoch_init(&fixture.epoch);
    epoch_add(&fixture.epoch, &fixture.reader);
    assert_int_equal(index_init(&fixture.index, &fixture.epoch), OK);
    *state = &fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;

    epoch_remove(&fixture->epoch, &fixture->reader);
    index_fini(&fixture->index);
    epoch_fini(&fixture->epoch);
    return 0;
}

static struct store_hash
hash_of(uint64_t n)
{
    return (struct store_hash){n * 0x9e3779b97f4a7c15U, n * 0xc2b2ae3d27d4eb4fU};
}

static uint32_t
insert(struct index *index, uint64_t n)
{
    assert_int_equal(index_reserve(index, 1), OK);
    return index_insert(index, &(struct index_item){.hash = hash_of(n), .oid = n, .variant = n});
}

/* Of the first entry found with n's hash; 0: none. */
static uint64_t
find(struct index *index, uint64_t n)
{
    struct index_probe probe;
    uint32_t number;

    index_probe_begin(index, hash_of(n), &probe);
    number = index_probe_next(&probe);
    return number == INDEX_NONE ? 0 : index_entry(index, number)->oid;
}

static void
everything_inserted_is_found(void **state)
{
    struct fixture *fixture = *state;
    enum { N = 50000 };

    for (uint64_t n = 1; n <= N; n++)
        (void)insert(&fixture->index, n);
    for (uint64_t n = 1; n <= N; n++)
        assert_int_equal(find(&fixture->index, n), n);
    assert_int_equal(find(&fixture->index, N + 1), 0);
    assert_int_equal(fixture->index.live_n, N);
    /* 64 an entry, 16 of the table; the newest chunk and the table have room left here */
    assert_true(fixture->index.bytes_len / N < 110 || fixture->index.marked);
}

static void
variants_of_a_key_are_all_found(void **state)
{
    struct fixture *fixture = *state;
    struct index_probe probe;
    uint64_t sum = 0;
    uint32_t number;

    assert_int_equal(index_reserve(&fixture->index, 10), OK);
    for (uint64_t n = 1; n <= 10; n++)
        (void)index_insert(&fixture->index, &(struct index_item){.hash = hash_of(3), .oid = n});
    index_probe_begin(&fixture->index, hash_of(3), &probe);
    while ((number = index_probe_next(&probe)) != INDEX_NONE)
        sum += index_entry(&fixture->index, number)->oid;
    assert_int_equal(sum, 55);
}

/* Many rounds of coming and going: chains stay whole, dead slots do not pile up. */
static void
removed_entries_are_gone_and_others_stay(void **state)
{
    struct fixture *fixture = *state;
    struct index *index = &fixture->index;
    uint32_t numbers[1000];

    for (uint64_t n = 0; n < 1000; n++)
        numbers[n] = insert(index, n + 1);
    for (uint64_t n = 1000; n < 100000; n++) {
        index_remove(index, numbers[n % 1000]);
        index_retire(index, numbers[n % 1000]);
        index_reclaim(index);
        numbers[n % 1000] = insert(index, n + 1);
    }
    for (uint64_t n = 99000; n < 100000; n++)
        assert_int_equal(find(index, n + 1), n + 1);
    for (uint64_t n = 1; n <= 99000; n += 97)
        assert_int_equal(find(index, n), 0);
    assert_true(index->fresh < 1100); /* reused, not piled up */
    assert_true(atomic_load(&index->table)->mask < 8192);
}

static void
the_list_is_in_order_and_the_hand_moves_on(void **state)
{
    struct fixture *fixture = *state;
    struct index *index = &fixture->index;
    struct index_list *list = &index->lists[0];
    uint32_t a = insert(index, 1), b = insert(index, 2), c = insert(index, 3);

    assert_int_equal(list->oldest, a);
    assert_int_equal(list->newest, c);
    list->hand = b;
    index_remove(index, b);
    assert_int_equal(list->hand, c);
    assert_int_equal(index_entry(index, a)->newer, c);
    assert_int_equal(index_entry(index, c)->older, a);
    index_remove(index, c);
    assert_int_equal(list->hand, INDEX_NONE);
    index_remove(index, a);
    assert_int_equal(list->oldest, INDEX_NONE);
    assert_int_equal(list->newest, INDEX_NONE);
    assert_int_equal(list->n, 0);
}

static void
a_new_id_keeps_the_place(void **state)
{
    struct fixture *fixture = *state;
    struct index *index = &fixture->index;
    const uint32_t old[] = {insert(index, 1), insert(index, 2), insert(index, 3)};
    uint64_t want[] = {11, 12, 13};
    unsigned n = 0;

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(index_reserve(index, 1), OK);
        (void)index_insert(
            index, &(struct index_item){
                       .hash = hash_of(i + 11), .oid = i + 11, .is_again = true, .again = old[i]});
        index->lists[0].hand = index_entry(index, old[i])->newer; /* it went on before */
        index_remove(index, old[i]);
        assert_int_equal(index->lists[0].hand, i == 2 ? INDEX_NONE : old[i + 1]);
    }
    for (struct index_cursor at = index_first(index); at.slot != INDEX_NONE;
         at = index_after(index, at))
        assert_int_equal(index_entry(index, at.slot)->oid, want[n++]);
    assert_int_equal(n, 3);
}

/* Each has a list of its own; the walk goes over all of them, and empty ones. */
static void
partitions_have_lists_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    struct index *index = &fixture->index;
    static const uint32_t groups[] = {7, 0, 9, 7, 99, 9}; /* 99: nobody's, like 0 */
    uint64_t sum = 0;

    for (uint32_t group = 7; group <= 9; group++)
        assert_int_equal(index_add_group(index, group, 20), OK);
    assert_int_equal(index_add_group(index, 10, 41), ERR_LIMIT);
    assert_int_equal(index->lists[0].percent, 40);
    assert_int_equal(index_reserve(index, ARRAY_LEN(groups)), OK);
    for (unsigned i = 0; i < ARRAY_LEN(groups); i++)
        (void)index_insert(index, &(struct index_item){.hash = hash_of(i + 1),
                                                       .oid = 1ULL << (4 * i),
                                                       .room = i + 1,
                                                       .group = groups[i]});
    assert_int_equal(index->lists[0].room, 2 + 5);
    assert_int_equal(index->lists[1].room, 1 + 4);
    assert_int_equal(index->lists[2].n, 0);
    assert_int_equal(index->lists[3].room, 3 + 6);
    for (uint32_t slot; (slot = index_first(index).slot) != INDEX_NONE;) {
        sum = sum * 3 + index_entry(index, slot)->oid;
        index_remove(index, slot); /* the first is in the next list in the end */
        index_retire(index, slot);
    }
    assert_int_equal(sum,
                     ((((0x10ULL * 3 + 0x10000) * 3 + 1) * 3 + 0x1000) * 3 + 0x100) * 3 + 0x100000);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(index->lists[i].room, 0);
}

static void
nothing_is_reused_while_a_reader_is_inside(void **state)
{
    struct fixture *fixture = *state;
    struct index *index = &fixture->index;
    uint32_t old = insert(index, 1);

    epoch_enter(&fixture->reader);
    index_remove(index, old);
    index_retire(index, old);
    for (unsigned i = 0; i < 5; i++)
        index_reclaim(index);
    assert_int_not_equal(insert(index, 2), old);
    epoch_leave(&fixture->reader);
    index_reclaim(index);
    assert_int_equal(insert(index, 3), old);
}

static void
a_reader_that_came_later_holds_nothing_back(void **state)
{
    struct fixture *fixture = *state;
    struct index *index = &fixture->index;
    uint32_t old = insert(index, 1);

    index_remove(index, old);
    index_retire(index, old);
    index_reclaim(index); /* marked: nobody is inside */
    epoch_enter(&fixture->reader);
    index_reclaim(index);
    assert_int_equal(insert(index, 2), old);
    epoch_leave(&fixture->reader);
}

static void
pins_are_refused_to_what_is_going(void **state)
{
    struct fixture *fixture = *state;
    struct index_entry *entry = index_entry(&fixture->index, insert(&fixture->index, 1));

    assert_true(index_pin(entry));
    assert_true(index_pin(entry));
    (void)atomic_fetch_or(&entry->pins, INDEX_GOING);
    assert_false(index_pin(entry));
    index_unpin(entry);
    index_unpin(entry);
    assert_int_equal(atomic_load(&entry->pins), INDEX_GOING);
}

static void
missing_memory_is_told_before_anything_changes(void **state)
{
    struct fixture *fixture = *state;

    (void)insert(&fixture->index, 1);
    mem_fail_at(1);
    assert_int_equal(index_reserve(&fixture->index, 100000), ERR_NOMEM);
    mem_fail_at(2);
    assert_int_equal(index_reserve(&fixture->index, 10000000), ERR_NOMEM);
    mem_fail_at(0);
    assert_int_equal(find(&fixture->index, 1), 1);
    assert_int_equal(index_reserve(&fixture->index, 100000), OK);
    assert_int_equal(find(&fixture->index, 1), 1);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(everything_inserted_is_found),
        T(variants_of_a_key_are_all_found),
        T(removed_entries_are_gone_and_others_stay),
        T(the_list_is_in_order_and_the_hand_moves_on),
        T(a_new_id_keeps_the_place),
        T(partitions_have_lists_of_their_own),
        T(nothing_is_reused_while_a_reader_is_inside),
        T(a_reader_that_came_later_holds_nothing_back),
        T(pins_are_refused_to_what_is_going),
        T(missing_memory_is_told_before_anything_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
