/* Connections of each address: what counts as one, the limit, and threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/peers.h"

static uint64_t
key_of(const char *text)
{
    struct sock_addr addr;

    assert_int_equal(sock_addr_parse(slice_from_str(text), &addr), OK);
    return peers_key(&addr);
}

static void
what_is_one_address(void **state)
{
    static const struct {
        const char *why, *a, *b;
        bool same;
    } cases[] = {
        {"another port", "192.0.2.1:80", "192.0.2.1:81", true},
        {"another IPv4 address", "192.0.2.1:80", "192.0.2.2:80", false},
        {"IPv4, mapped", "192.0.2.1:80", "[::ffff:192.0.2.1]:80", true},
        {"the same /64", "[2001:db8:1:2::1]:80", "[2001:db8:1:2:ffff::9]:80", true},
        {"another /64", "[2001:db8:1:2::1]:80", "[2001:db8:1:3::1]:80", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        assert_int_equal(key_of(cases[i].a) == key_of(cases[i].b), cases[i].same);
    }
}

static void
each_address_has_its_limit(void **state)
{
    struct peers *peers;

    (void)state;
    assert_int_equal(peers_new(10, &peers), OK);
    assert_int_equal(peers_enter(peers, 1, 2), OK);
    assert_int_equal(peers_enter(peers, 1, 2), OK);
    assert_int_equal(peers_enter(peers, 1, 2), ERR_LIMIT);
    assert_int_equal(peers_enter(peers, 2, 2), OK);
    peers_leave(peers, 1);
    assert_int_equal(peers_enter(peers, 1, 2), OK);
    assert_int_equal(peers_enter(peers, 1, 0), OK); /* 0: no limit */
    assert_int_equal(peers_count(peers, 1), 3);
    peers_free(&peers);
    assert_null(peers);
}

static void
an_address_without_connections_is_forgotten(void **state)
{
    struct peers *peers;

    (void)state;
    assert_int_equal(peers_new(4, &peers), OK);
    for (uint64_t key = 0; key < 100000; key++) { /* what stays behind, LeakSanitizer would tell */
        assert_int_equal(peers_enter(peers, key, 1), OK);
        peers_leave(peers, key);
        assert_int_equal(peers_count(peers, key), 0);
    }
    for (uint64_t key = 0; key < 5000; key++)
        assert_int_equal(peers_enter(peers, key << 56 | key, 1), OK);
    for (uint64_t key = 0; key < 5000; key += 2)
        peers_leave(peers, key << 56 | key);
    for (uint64_t key = 0; key < 5000; key++)
        assert_int_equal(peers_count(peers, key << 56 | key), key % 2);
    peers_free(&peers);
}

static void
no_memory_is_no_address(void **state)
{
    struct peers *peers;

    (void)state;
    assert_int_equal(peers_new(4, &peers), OK);
    mem_fail_at(1);
    assert_int_equal(peers_enter(peers, 7, 1), ERR_NOMEM);
    assert_int_equal(peers_enter(peers, 7, 1), OK);
    peers_free(&peers);
    mem_fail_at(1);
    assert_int_equal(peers_new(4, &peers), ERR_NOMEM);
}

enum { THREADS = 4, ROUNDS = 20000, KEYS = 16 };

static void *
come_and_go(void *arg)
{
    struct peers *peers = arg;

    for (uint64_t i = 0; i < ROUNDS; i++)
        if (peers_enter(peers, i % KEYS, THREADS - 1) == OK)
            peers_leave(peers, i % KEYS);
    return NULL;
}

static void
threads_count_exactly(void **state)
{
    pthread_t threads[THREADS];
    struct peers *peers;

    (void)state;
    assert_int_equal(peers_new(4, &peers), OK);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, peers), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(peers_count(peers, key), 0);
    peers_free(&peers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_one_address),
        cmocka_unit_test(each_address_has_its_limit),
        cmocka_unit_test(an_address_without_connections_is_forgotten),
        cmocka_unit_test(no_memory_is_no_address),
        cmocka_unit_test(threads_count_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
