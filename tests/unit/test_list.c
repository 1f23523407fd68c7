/* Intrusive lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int n;
    struct list link;
};

/* The numbers on the list as digits of one number, forwards; backwards they must be the same. */
static int
digits_of(struct list *head)
{
    int forwards = 0, backwards = 0, scale = 1;

    LIST_FOREACH (head, link) {
        forwards = forwards * 10 + CONTAINER_OF(link, struct item, link)->n;
    }
    for (struct list *link = head->prev; link != head; link = link->prev, scale *= 10)
        backwards += CONTAINER_OF(link, struct item, link)->n * scale;
    assert_int_equal(forwards, backwards);
    return forwards;
}

static void
order_is_kept(void **state)
{
    struct item items[4] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}};
    struct list head;

    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(LIST_FIRST(&head, struct item, link));
    assert_null(LIST_LAST(&head, struct item, link));
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        list_push(&head, &items[i].link);
    assert_false(list_empty(&head));
    assert_int_equal(digits_of(&head), 1234);
    assert_ptr_equal(LIST_FIRST(&head, struct item, link), &items[0]);
    assert_ptr_equal(LIST_LAST(&head, struct item, link), &items[3]);
}

static void
removal(void **state)
{
    struct item items[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    struct list head;

    list_init(&head);
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        list_push(&head, &items[i].link);
    list_remove(&items[1].link);
    assert_int_equal(digits_of(&head), 13);
    assert_true(list_empty(&items[1].link)); /* points to itself */
    list_remove(&items[1].link);             /* harmless again */
    assert_int_equal(digits_of(&head), 13);
    list_push(&head, &items[1].link);
    assert_int_equal(digits_of(&head), 132);
    list_remove(&items[0].link);
    list_remove(&items[1].link);
    list_remove(&items[2].link);
    assert_true(list_empty(&head));
}

/* The body of a loop may remove the link it is given. */
static void
removal_in_a_loop(void **state)
{
    struct item items[5] = {{.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}, {.n = 5}};
    struct list head;
    int seen = 0;

    list_init(&head);
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        list_push(&head, &items[i].link);
    LIST_FOREACH (&head, link) {
        struct item *item = CONTAINER_OF(link, struct item, link);

        seen = seen * 10 + item->n;
        if (item->n % 2 == 1)
            list_remove(link);
    }
    assert_int_equal(seen, 12345);
    assert_int_equal(digits_of(&head), 24);
    LIST_FOREACH (&head, link) {
        list_remove(link);
    }
    assert_true(list_empty(&head));
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(removal),
        cmocka_unit_test(removal_in_a_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
