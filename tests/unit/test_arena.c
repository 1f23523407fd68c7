/* Memory of a request. ASan sees heap blocks, so pieces are filled to their last byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

static void
pieces_are_aligned_and_apart(void **state)
{
    char *pieces[300];
    struct arena arena;

    arena_init(&arena, 0);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        pieces[i] = arena_alloc(&arena, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 255), i);
    }
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        for (size_t at = 0; at < i; at++)
            assert_int_equal((unsigned char)pieces[i][at], i & 255);
    arena_fini(&arena);
}

static void
large_pieces_fit(void **state)
{
    struct arena arena;
    char *small, *large;

    arena_init(&arena, 0);
    small = arena_alloc(&arena, 100);
    large = arena_zalloc(&arena, 1000000);
    assert_non_null(small);
    assert_non_null(large);
    for (size_t i = 0; i < 1000000; i += 4093)
        assert_int_equal(large[i], 0);
    large[999999] = 1;
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX / 2 + 1));
    arena_fini(&arena);
}

static void
zeroed_after_use(void **state)
{
    struct arena arena;
    char *ptr;

    arena_init(&arena, 0);
    ptr = arena_alloc(&arena, 64);
    assert_non_null(ptr);
    memset(ptr, 0xff, 64);
    arena_reset(&arena);
    ptr = arena_zalloc(&arena, 64);
    assert_non_null(ptr);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(ptr[i], 0);
    arena_fini(&arena);
}

/* After a reset the first block serves again: no allocation, even after large ones came between. */
static void
reset_keeps_one_block(void **state)
{
    struct arena arena;

    arena_init(&arena, 0);
    assert_non_null(arena_alloc(&arena, 1000));
    assert_non_null(arena_alloc(&arena, 100000));
    assert_non_null(arena_alloc(&arena, 8000));
    arena_reset(&arena);
    mem_fail_at(1);
    assert_non_null(arena_alloc(&arena, 8000));
    assert_null(arena_alloc(&arena, 8000)); /* the planned failure was still to come */
    assert_non_null(arena_alloc(&arena, 8000));
    arena_fini(&arena);
}

static void
limit_counts_what_is_taken(void **state)
{
    struct arena arena;

    arena_init(&arena, 64);
    assert_non_null(arena_alloc(&arena, 33)); /* 48 */
    assert_null(arena_alloc(&arena, 17));
    assert_non_null(arena_alloc(&arena, 16));
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, 0)); /* as much as one byte: NULL always means failure */
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 64));
    arena_fini(&arena);
}

static void
nothing_is_something(void **state)
{
    struct arena arena;

    arena_init(&arena, 0);
    assert_non_null(arena_alloc(&arena, 0));
    arena_fini(&arena);
}

static void
texts(void **state)
{
    char source[] = "abc";
    struct slice out = SLICE_NONE;
    struct arena arena;

    arena_init(&arena, 0);
    assert_int_equal(arena_copy(&arena, slice_from_str(source), &out), OK);
    source[0] = 'x';
    assert_true(slice_is(out, "abc"));
    assert_int_equal(out.ptr[3], '\0');
    assert_int_equal(arena_copy(&arena, SLICE_NONE, &out), OK);
    assert_int_equal(out.len, 0);
    assert_non_null(out.ptr);
    assert_int_equal(arena_printf(&arena, &out, "%s-%d", "a", 5), OK);
    assert_true(slice_is(out, "a-5"));
    assert_int_equal(arena_printf(&arena, &out, "%9000d", 5), OK);
    assert_int_equal(out.len, 9000);
    assert_int_equal(out.ptr[8999], '5');
    arena_fini(&arena);
}

static void
failures_leave_the_result(void **state)
{
    struct slice out = SLICE("kept");
    struct arena arena;

    arena_init(&arena, 0);
    mem_fail_at(1);
    assert_int_equal(arena_copy(&arena, SLICE("abc"), &out), ERR_NOMEM);
    mem_fail_at(1);
    assert_int_equal(arena_printf(&arena, &out, "abc"), ERR_NOMEM);
    mem_fail_at(1);
    assert_null(arena_zalloc(&arena, 5));
    assert_true(slice_is(out, "kept"));
    arena_reset(&arena); /* of an arena that never got a block */
    assert_int_equal(arena_copy(&arena, SLICE("abc"), &out), OK);
    arena_fini(&arena);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(large_pieces_fit),
        cmocka_unit_test(zeroed_after_use),
        cmocka_unit_test(reset_keeps_one_block),
        cmocka_unit_test(limit_counts_what_is_taken),
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(texts),
        cmocka_unit_test(failures_leave_the_result),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
