/* What is on disk alone is never read on the thread that must not wait, but by the store's. The
 * kernel's count of faults that went to disk tells who did. */
#include "family_help.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/stats.h"

enum { SMALL_N = 6000, MIDDLE_N = 40, MANY_TRIES = 100 };

static char folder[256];

/* 0: all in memory has gone. */
static size_t
drop_from_memory(void)
{
    char name[300];
    size_t pages_n, left_n = 0;
    unsigned char *seen;
    off_t len;
    void *map;
    int fd;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", folder);
    fd = open(name, O_RDWR);
    assert_int_not_equal(fd, -1);
    len = lseek(fd, 0, SEEK_END);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    map = mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    pages_n = ((size_t)len + 4095) / 4096;
    seen = malloc(pages_n);
    assert_non_null(seen);
    assert_int_equal(mincore(map, (size_t)len, seen), 0);
    for (size_t i = 0; i < pages_n; i++)
        left_n += seen[i] & 1;
    free(seen);
    (void)munmap(map, (size_t)len);
    (void)close(fd);
    return left_n;
}

static long
disk_faults(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_majflt;
}

static struct help_object
object_of(unsigned number, char *key, size_t cap)
{
    static const uint64_t lens[] = {200 * 1024 + 77, 64 * 1024, 5000, 3 * MIB, 1000 * 1024};
    uint64_t len = number < SMALL_N ? 100 + number % 1000 : lens[number % ARRAY_LEN(lens)];

    (void)snprintf(key, cap, "cold/%u", number);
    return (struct help_object){.key = key, .body_len = len};
}

/* A head (0) or a member, each among other objects. */
static void
put_member(struct store *store, uint8_t member)
{
    struct help_object object =
        family_object("cold/family", 0, 5, member, member == 1 ? 1000 : 60000);

    assert_int_equal(help_put(store, &object, NULL), OK);
}

static struct store *
fill_store(void)
{
    struct store *store = help_open(folder, 128 * MIB);
    char key[32];

    put_member(store, 0);
    for (unsigned i = 0; i < SMALL_N + MIDDLE_N; i++) {
        struct help_object object = object_of(i, key, sizeof(key));

        if (i == SMALL_N / 3 || i == SMALL_N / 3 * 2)
            put_member(store, (uint8_t)(i / (SMALL_N / 3)));
        if ((i + 1) % 500 != 0) /* each of these waits, so the queue never fills */
            assert_int_equal(help_put_start(store, &object, (struct store_done){0}), OK);
        else
            assert_int_equal(help_put(store, &object, NULL), OK);
    }
    return store;
}

static int
set_up(void **state)
{
    struct store *store;

    help_new_folder(folder, sizeof(folder));
    store = fill_store();
    store_close(&store);
    *state = NULL;
    return 0;
}

static int
tear_down(void **state)
{
    help_remove_folder(folder);
    return 0;
}

static void
wait_warm(struct help_wait *wait, struct store_warming **warming)
{
    assert_int_equal(help_wait_for(wait, NULL), OK);
    store_warm_end(warming);
}

/* As a worker does: what is not in memory is brought in by the store's threads. */
static bool
find_patiently(struct store *store, struct store_reader *reader, const struct store_key *key,
               struct store_object *out, unsigned *cold_n)
{
    for (unsigned i = 0; i < MANY_TRIES; i++) {
        struct store_cursor cursor = {.key = key};
        struct store_warming *warming;
        struct help_wait wait;

        store_read_begin(reader);
        if (store_find(reader, &cursor, out))
            return true; /* the section is left open */
        store_read_end(reader);
        if (!cursor.cold)
            return false;
        ++*cold_n;
        assert_int_equal(store_warm_find(store, key, help_done(&wait), &warming), OK);
        wait_warm(&wait, &warming);
    }
    fail_msg("it never stays in memory");
    return false;
}

static void
check_bytes(const struct iovec *iov, size_t n, uint64_t seed, uint64_t *off)
{
    for (size_t i = 0; i < n; i++) {
        const char *at = iov[i].iov_base;

        assert_true(at[0] == help_byte(seed, *off));
        assert_true(at[iov[i].iov_len - 1] == help_byte(seed, *off + iov[i].iov_len - 1));
        *off += iov[i].iov_len;
    }
}

static void
read_patiently(struct store *store, struct store_reader *reader, const struct store_pin *pin,
               uint64_t seed, uint64_t off, unsigned *cold_n)
{
    struct store_source source = {pin->oid, pin->body_len, pin->slot};
    unsigned tries = 0;

    while (off < pin->body_len) {
        struct iovec iov[16];
        size_t n = 0;
        enum err rc;

        store_read_begin(reader);
        rc = store_body(reader, &source, off, UINT64_MAX, iov, 16, &n);
        if (rc == OK) {
            assert_true(n > 0);
            check_bytes(iov, n, seed, &off);
            tries = 0;
        }
        store_read_end(reader);
        if (rc != OK) {
            struct store_warming *warming;
            struct help_wait wait;

            assert_int_equal(rc, ERR_AGAIN);
            assert_true(tries++ < MANY_TRIES);
            ++*cold_n;
            assert_int_equal(
                store_warm_body(store, &source, off, UINT64_MAX, help_done(&wait), &warming), OK);
            wait_warm(&wait, &warming);
        }
    }
}

/* Returns how often it was not in memory: records, and bodies. */
static void
read_object(struct store *store, struct store_reader *reader, unsigned number, uint64_t off,
            unsigned cold_n[2])
{
    char text[32];
    struct help_object object = object_of(number, text, sizeof(text));
    struct store_key key = help_key(text);
    struct store_object found;
    struct store_pin pin;

    assert_true(find_patiently(store, reader, &key, &found, &cold_n[0]));
    assert_int_equal(found.body_len, object.body_len);
    assert_true(store_pin(reader, &found, &pin));
    store_read_end(reader);
    read_patiently(store, reader, &pin, help_seed(text), off, &cold_n[1]);
    store_unpin(&pin);
}

static void
nothing_is_read_from_disk_by_who_must_not_wait(void **state)
{
    unsigned cold_n[2] = {0}, again_n[2] = {0};
    struct store_reader *reader;
    struct store *store;
    long faults;

    if (drop_from_memory() > 0)
        skip(); /* a file system in memory, or somebody else has it mapped */
    store = help_open(folder, 128 * MIB);
    assert_non_null(store->env.map); /* else nothing is known of the tree */
    reader = help_reader(store);
    store_reader_hurry(reader, true);
    faults = disk_faults();
    for (unsigned i = 0; i < SMALL_N; i += 7)
        read_object(store, reader, i, 0, cold_n);
    assert_true(cold_n[0] > 100 && cold_n[1] == 0); /* small bodies are in their records */
    for (unsigned i = SMALL_N; i < SMALL_N + MIDDLE_N; i++)
        read_object(store, reader, i, i % 2 == 0 ? 0 : MIB / 2, cold_n);
    assert_true(cold_n[1] > MIDDLE_N / 5);
    assert_int_equal(disk_faults(), faults);
    for (unsigned i = 0; i < SMALL_N; i += 7) /* all of that is in memory now */
        read_object(store, reader, i, 0, again_n);
    assert_int_equal(again_n[0] + again_n[1], 0);
    assert_int_equal(disk_faults(), faults);
    assert_true(stats_read(STAT_store_cold_reads) >= cold_n[0] + cold_n[1]);
    store_reader_free(&reader);
    store_close(&store);
}

/* A head that is in memory, and members that are not: each says so by itself, and all are warmed at
 * once. */
static void
a_cold_member_says_so(void **state)
{
    struct store_key key = help_key("cold/family");
    struct store_object head, member;
    struct store_warming *warming;
    struct store_reader *reader;
    struct help_wait wait;
    struct store *store;
    bool cold = false;
    long faults;

    if (drop_from_memory() > 0)
        skip();
    store = help_open(folder, 128 * MIB);
    reader = help_reader(store);
    store_read_begin(reader); /* this one waits, for the head */
    assert_true(family_head(reader, &key, 0, &head));
    store_read_end(reader);
    store_reader_hurry(reader, true);
    faults = disk_faults();
    store_read_begin(reader);
    assert_true(family_head(reader, &key, 0, &head));
    for (uint8_t number = 1; number <= 2; number++) {
        assert_false(store_find_member(reader, &head, number, &member, &cold));
        assert_true(cold);
        assert_false(store_next_member(reader, &head, number - 1, &member, &cold));
        assert_true(cold);
    }
    assert_false(store_find_member(reader, &head, 3, &member, &cold));
    assert_false(cold); /* that there is none needs no disk */
    store_read_end(reader);
    assert_int_equal(store_warm_find(store, &key, help_done(&wait), &warming), OK);
    wait_warm(&wait, &warming);
    assert_int_equal(family_members(reader, "cold/family", 0), 0x06);
    assert_int_equal(disk_faults(), faults);
    store_reader_free(&reader);
    store_close(&store);
}

/* The same without the care, so that the test above is known to see it. */
static void
a_patient_reader_waits_itself(void **state)
{
    struct store_reader *reader;
    struct help_object object;
    struct store *store;
    char key[32];
    long faults;

    if (drop_from_memory() > 0)
        skip();
    store = help_open(folder, 128 * MIB);
    reader = help_reader(store);
    faults = disk_faults();
    for (unsigned i = 0; i < SMALL_N; i += 97) {
        object = object_of(i, key, sizeof(key));
        assert_true(help_is_stored(reader, &object));
    }
    assert_true(disk_faults() > faults);
    store_reader_free(&reader);
    store_close(&store);
}

/* --- what waits --- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool open, reached;
};

static void
stand_at(void *arg, enum err rc, uint64_t n)
{
    struct gate *gate = arg;

    (void)pthread_mutex_lock(&gate->lock);
    gate->reached = true;
    (void)pthread_cond_broadcast(&gate->moved);
    while (!gate->open)
        (void)pthread_cond_wait(&gate->moved, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void
gate_wait_reached(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    while (!gate->reached)
        (void)pthread_cond_wait(&gate->moved, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void
gate_open(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->open = true;
    (void)pthread_cond_broadcast(&gate->moved);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void
look_ups_that_wait_are_bounded_and_can_be_taken_back(void **state)
{
    struct store_settings settings = {.path = folder,
                                      .size_len = 128 * MIB,
                                      .readers_max = 4,
                                      .warm_threads_n = 1,
                                      .warm_queue_max = 2};
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    struct store_source source = {2, 100, STORE_NO_SLOT};
    struct store_key key = help_key("cold/1");
    struct store_warming *first, *jobs[3], *body, *none = NULL;
    struct help_wait waits[4];
    struct store *store;
    char why[256];

    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), OK);
    assert_int_equal(store_warm_find(store, &key, (struct store_done){stand_at, &gate}, &first),
                     OK);
    gate_wait_reached(&gate); /* the only thread is busy from here on */
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(store_warm_find(store, &key, help_done(&waits[i]), &jobs[i]), OK);
    assert_int_equal(store_warm_find(store, &key, help_done(&waits[2]), &jobs[2]), ERR_LIMIT);
    /* a body on its way has nowhere else to go */
    assert_int_equal(store_warm_body(store, &source, 0, 100, help_done(&waits[3]), &body), OK);

    store_warm_end(&jobs[0]); /* its client has gone: there is room again */
    assert_int_equal(help_wait_for(&waits[0], NULL), ERR_CANCELLED);
    assert_int_equal(store_warm_find(store, &key, help_done(&waits[2]), &jobs[2]), OK);

    gate_open(&gate);
    for (size_t i = 1; i < 3; i++)
        wait_warm(&waits[i], &jobs[i]);
    wait_warm(&waits[3], &body);
    store_warm_end(&first);
    store_warm_end(&none);
    store_close(&store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_read_from_disk_by_who_must_not_wait),
        cmocka_unit_test(a_cold_member_says_so),
        cmocka_unit_test(a_patient_reader_waits_itself),
        cmocka_unit_test(look_ups_that_wait_are_bounded_and_can_be_taken_back),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
