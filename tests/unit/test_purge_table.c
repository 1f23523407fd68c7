/* Names of purges at work: what is found, what is kept, what a subject is named by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/purge_table.h"

static struct purge_subject
subject_of(const char *key, uint64_t birth, const uint64_t *labels, size_t labels_n)
{
    struct slice text = slice_from_str(key);

    return (struct purge_subject){birth, store_hash(text), text, labels, labels_n};
}

static void
add_prefix(struct purge_table *table, const char *text, bool soft, uint64_t seq)
{
    struct slice slice = slice_from_str(text);

    (void)purge_table_add(table, purge_name_of_prefix(slice), soft, seq);
    purge_table_add_length(table, slice.len);
}

static void
a_subject_is_named_by_key_labels_and_prefixes(void **state)
{
    static const uint64_t labels[] = {0, 7};
    struct purge_table *table = purge_table_new(NULL, 0, false, 10);
    struct slice key = SLICE("http://a/page");
    static const struct {
        const char *key;
        uint64_t birth;
        enum store_purged want;
    } cases[] = {
        {"http://a/page", 4, STORE_PURGED_HARD},    /* its key */
        {"http://a/page", 5, STORE_NOT_PURGED},     /* born after it */
        {"http://a/page?", 4, STORE_NOT_PURGED},    /* another key */
        {"http://b/", 2, STORE_PURGED_SOFT},        /* a prefix, whole */
        {"http://b/x", 2, STORE_PURGED_SOFT},       /* and longer */
        {"http://b", 2, STORE_NOT_PURGED},          /* shorter than any prefix of it */
        {"http://b/deep/er", 2, STORE_PURGED_HARD}, /* the longer prefix is hard */
        {"http://b/deep/er", 8, STORE_PURGED_HARD}, {"http://b/deep/er", 9, STORE_NOT_PURGED},
    };

    (void)state;
    assert_non_null(table);
    (void)purge_table_add(table, purge_name_of_key(store_hash(key)), false, 5);
    add_prefix(table, "http://b/", true, 3);
    add_prefix(table, "http://b/deep/", false, 9);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct purge_subject subject = subject_of(cases[i].key, cases[i].birth, NULL, 0);

        print_message("case: %s born %llu\n", cases[i].key, (unsigned long long)cases[i].birth);
        assert_int_equal(purge_table_match(table, &subject), cases[i].want);
    }
    for (uint64_t birth = 0; birth < 2; birth++) {
        struct purge_subject subject = subject_of("http://c/", birth, labels, ARRAY_LEN(labels));

        assert_int_equal(purge_table_match(table, &subject), STORE_NOT_PURGED);
        (void)purge_table_add(table, purge_name_of_label(labels[birth]), birth == 0, birth + 1);
        assert_int_equal(purge_table_match(table, &subject),
                         birth == 0 ? STORE_PURGED_SOFT : STORE_PURGED_HARD);
    }
    atomic_store(&table->all_hard, 20);
    assert_int_equal(purge_table_match(table, &(struct purge_subject){.birth = 19}),
                     STORE_PURGED_HARD);
    mem_free(table);
}

/* What is no younger than the floor is left out when the table grows; the rest is found again. */
static void
a_larger_table_keeps_what_is_young(void **state)
{
    struct purge_table *table = purge_table_new(NULL, 0, false, 1), *larger;

    (void)state;
    add_prefix(table, "p", false, 1);
    for (uint64_t i = 1; purge_table_has_room(table, 1); i++)
        (void)purge_table_add(table, purge_name_of_label(i), i % 2 == 0, i);
    assert_int_equal(purge_table_count(table, 0), table->rows_n);
    larger = purge_table_new(table, 50, true, 100000);
    assert_int_equal(larger->rows_n, purge_table_count(table, 50));
    assert_true(purge_table_has_room(larger, 100000));
    for (uint64_t i = 1; i < 128; i++) {
        const struct purge_row *row = purge_table_find(larger, purge_name_of_label(i));

        assert_int_equal(row != NULL, i > 50);
        if (row != NULL)
            assert_int_equal(atomic_load(i % 2 == 0 ? &row->soft : &row->hard), i);
    }
    assert_int_equal(atomic_load(&larger->words_n), 1); /* the length of "p" */
    mem_free(larger);
    larger = purge_table_new(table, 50, false, 1);
    assert_int_equal(atomic_load(&larger->words_n), 0);
    mem_free(larger);
    mem_free(table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subject_is_named_by_key_labels_and_prefixes),
        cmocka_unit_test(a_larger_table_keeps_what_is_young),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
