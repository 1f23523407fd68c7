/* Objects on their way in, against the real store: who reads what, what is kept, what is stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop.h"
#include "proxy/fill.h"

enum {
    WINDOW_LEN = 16 * BLOCK_FULL_LEN,
    MEMORY_LEN = 64 * BLOCK_FULL_LEN,
    WAIT_TRIES = 4000,
    WAIT_STEP_US = 5000
};

struct bench {
    char path[64];
    struct store *store;
    struct store_reader *reader;
    struct fill_table *table;
    struct loop *loop;
};

static int
set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct store_settings settings = {.size_len = 64 << 20,
                                      .queue_max_len = 32 << 20,
                                      .batch_ms = 20,
                                      .readers_max = 8,
                                      .scan_wait_ms = 2000};
    char why[256];

    snprintf(bench->path, sizeof(bench->path), "/tmp/brink-fill-XXXXXX");
    assert_non_null(mkdtemp(bench->path));
    settings.path = bench->path;
    assert_int_equal(store_open(&settings, &bench->store, why, sizeof(why)), OK);
    assert_int_equal(store_reader_new(bench->store, &bench->reader), OK);
    assert_int_equal(fill_table_new(bench->store, WINDOW_LEN, MEMORY_LEN, &bench->table), OK);
    assert_int_equal(loop_new(&bench->loop), OK);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    struct bench *bench = *state;
    char command[128];

    loop_stop(bench->loop);
    loop_run(bench->loop); /* wake-ups that were posted */
    store_reader_free(&bench->reader);
    store_close(&bench->store);
    fill_table_free(&bench->table);
    loop_free(&bench->loop);
    snprintf(command, sizeof(command), "rm -rf %s", bench->path);
    assert_int_equal(system(command), 0);
    free(bench);
    return 0;
}

static struct store_key
key_of(const char *text)
{
    struct slice slice = slice_from_str(text);

    return (struct store_key){.hash = store_hash(slice), .text = slice};
}

static struct fill *
open_new(struct bench *bench, const char *text)
{
    struct store_key key = key_of(text);
    struct fill *fill;
    bool created;

    assert_int_equal(fill_open(bench->table, &key, SLICE_NONE, &fill, &created), OK);
    assert_true(created);
    return fill;
}

static void
publish(struct fill *fill, enum cache_reason reason, bool has_length, uint64_t length)
{
    struct fill_head head = {
        .text = SLICE("HTTP/1.1 200 OK\r\n"),
        .object = {.status = 200, .last_modified_s = -1, .lifetime_s = 60, .etag = SLICE("\"a\"")},
        .has_length = has_length,
        .length = length,
        .reason = reason,
    };

    assert_int_equal(fill_publish(fill, &head), OK);
}

static char
byte_at(uint64_t off)
{
    return (char)(off * 31 + (off >> 8) * 7 + (off >> 16));
}

/* Feed up to `len` bytes from `off` on; stops early when there is no room. */
static uint64_t
feed(struct fill *fill, uint64_t off, uint64_t len)
{
    uint64_t done = 0;

    while (done < len) {
        char *room;
        size_t n = fill_room(fill, &room);

        if (n == 0)
            break;
        if (n > len - done)
            n = len - done;
        for (size_t i = 0; i < n; i++)
            room[i] = byte_at(off + done + i);
        (void)fill_filled(fill, n);
        done += n;
    }
    return done;
}

/* The writer needs its time: feed all, waiting for its commits. */
static void
feed_all(struct fill *fill, uint64_t len)
{
    uint64_t off = 0;

    for (unsigned i = 0; off < len && i < WAIT_TRIES; i++) {
        off += feed(fill, off, len - off);
        if (off < len)
            usleep(WAIT_STEP_US);
    }
    assert_int_equal(off, len);
}

static void
nothing(void *arg)
{
    (void)arg;
}

static struct fill_reader *
join(struct bench *bench, struct fill *fill)
{
    struct fill_reader *reader;

    assert_int_equal(fill_join(fill, bench->loop, nothing, NULL, &reader), OK);
    return reader;
}

static uint64_t
check_bytes(const struct iovec *iov, size_t n, uint64_t off)
{
    uint64_t len = 0;

    for (size_t i = 0; i < n; i++) {
        const char *bytes = iov[i].iov_base;

        for (size_t j = 0; j < iov[i].iov_len; j++)
            if (bytes[j] != byte_at(off + len + j))
                fail_msg("wrong byte at %llu", (unsigned long long)(off + len + j));
        len += iov[i].iov_len;
    }
    return len;
}

/* Read all there is; returns how it stopped. */
static enum fill_next
drain(struct bench *bench, struct fill_reader *reader, uint64_t *off)
{
    for (;;) {
        struct iovec iov[16];
        struct store_source source;
        uint64_t oid, until, len;
        size_t n;
        enum fill_next next = fill_next(reader, iov, 8, &n, &oid, &until);

        if (next == FILL_NEXT_STORE) {
            store_read_begin(bench->reader);
            source = (struct store_source){oid, until, STORE_NO_SLOT};
            assert_int_equal(store_body(bench->reader, &source, *off, until - *off, iov, 16, &n),
                             OK);
            len = check_bytes(iov, n, *off);
            store_read_end(bench->reader);
        } else if (next == FILL_NEXT_DATA) {
            len = check_bytes(iov, n, *off);
        } else {
            return next;
        }
        assert_true(len > 0);
        fill_sent(reader, len);
        *off += len;
    }
}

static bool
is_stored(struct bench *bench, const char *text, uint64_t want_len)
{
    struct store_key key = key_of(text);
    struct store_cursor cursor = {.key = &key};
    struct store_object object;
    bool found;

    store_read_begin(bench->reader);
    found = store_find(bench->reader, &cursor, &object);
    if (found)
        assert_int_equal(object.body_len, want_len);
    store_read_end(bench->reader);
    return found;
}

static void
wait_stored(struct bench *bench, const char *text, uint64_t want_len)
{
    for (unsigned i = 0; i < WAIT_TRIES && !is_stored(bench, text, want_len); i++)
        usleep(WAIT_STEP_US);
    assert_true(is_stored(bench, text, want_len));
}

static void
readers_follow_as_bytes_come(void **state)
{
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *early = join(bench, fill), *late;
    uint64_t early_off = 0, late_off = 0;

    assert_int_equal(drain(bench, early, &early_off), FILL_NEXT_WAIT);
    publish(fill, REASON_STORED, false, 0);
    assert_int_equal(feed(fill, 0, 1000), 1000);
    assert_int_equal(drain(bench, early, &early_off), FILL_NEXT_WAIT);
    assert_int_equal(early_off, 1000);
    late = join(bench, fill);
    assert_int_equal(feed(fill, 1000, 70000), 70000);
    fill_finish(fill);
    assert_int_equal(drain(bench, early, &early_off), FILL_NEXT_END);
    assert_int_equal(drain(bench, late, &late_off), FILL_NEXT_END);
    assert_int_equal(early_off, 71000);
    assert_int_equal(late_off, 71000);
    fill_leave(&early);
    fill_leave(&late);
    wait_stored(bench, "k", 71000);
    fill_unref(&fill);
}

static void
one_fill_a_key(void **state)
{
    struct bench *bench = *state;
    struct store_key key = key_of("k");
    struct fill *fill = open_new(bench, "k"), *same, *private, *keyed;
    bool created;

    assert_true(fill_is_under_way(bench->table, &key));
    assert_int_equal(fill_open(bench->table, &key, SLICE_NONE, &same, &created), OK);
    assert_false(created);
    assert_ptr_equal(fill, same);
    assert_int_equal(fill_open(bench->table, &key, SLICE("=a\n"), &keyed, &created), OK);
    assert_true(created); /* another variant: not to be waited for */
    assert_ptr_not_equal(fill, keyed);
    assert_int_equal(fill_new_private(bench->table, &key, SLICE_NONE, true, &private), OK);
    assert_ptr_not_equal(fill, private);
    fill_fail(private, ERR_CANCELLED, "test");
    fill_unref(&private);
    fill_unref(&same);
    fill_fail(fill, ERR_CANCELLED, "test");
    assert_true(fill_is_under_way(bench->table, &key)); /* the other variant's */
    fill_fail(keyed, ERR_CANCELLED, "test");
    fill_unref(&keyed);
    assert_false(fill_is_under_way(bench->table, &key));
    fill_unref(&fill);
}

static void
a_failure_reaches_readers_and_nothing_is_stored(void **state)
{
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *reader = join(bench, fill);
    int64_t incomplete = cache_reason_counted(REASON_INCOMPLETE);
    uint64_t off = 0;
    unsigned status;
    const char *why;

    publish(fill, REASON_STORED, true, 100000);
    assert_int_equal(feed(fill, 0, 70000), 70000);
    assert_int_equal(fill_fate(fill), REASON_STORED); /* as far as is known */
    fill_note_status(fill, 502);
    fill_fail(fill, ERR_ORIGIN_CLOSED, "cut");
    assert_int_equal(drain(bench, reader, &off), FILL_NEXT_FAILED);
    assert_int_equal(off, 70000);
    assert_int_equal(fill_error(fill, &status, &why), ERR_ORIGIN_CLOSED);
    assert_string_equal(why, "cut");
    assert_int_equal(status, 502);
    assert_int_equal(fill_fate(fill), REASON_INCOMPLETE);
    assert_int_equal(cache_reason_counted(REASON_INCOMPLETE) - incomplete, 1);
    fill_leave(&reader);
    fill_unref(&fill);
    assert_false(is_stored(bench, "k", 0));
}

static void
what_is_not_stored_is_paced_by_its_slowest_reader(void **state)
{
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *reader = join(bench, fill);
    struct store_key key = key_of("k");
    uint64_t off = 0, fed;

    publish(fill, REASON_NO_STORE, false, 0);
    assert_false(fill_is_under_way(bench->table, &key)); /* nobody joins what cannot be shared */
    fed = feed(fill, 0, 10 * WINDOW_LEN);
    assert_int_equal(fed, WINDOW_LEN);
    assert_int_equal(drain(bench, reader, &off), FILL_NEXT_WAIT);
    fed += feed(fill, fed, 10 * WINDOW_LEN);
    assert_int_equal(fed, 2 * WINDOW_LEN);
    assert_int_equal(drain(bench, reader, &off), FILL_NEXT_WAIT);
    assert_true(fill_is_wanted(fill));
    fill_leave(&reader);
    assert_false(fill_is_wanted(fill));
    fill_fail(fill, ERR_CANCELLED, "test");
    fill_unref(&fill);
}

/* RFC 9110 section 15.3.7.2: ranges may be asked for in any order. */
static void
a_reader_goes_back_in_what_is_stored(void **state)
{
    enum { LEN = 4 * WINDOW_LEN };
    static const uint64_t places[] = {LEN - 10, 0, 3 * BLOCK_FULL_LEN - 5, LEN / 2, 1};
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *reader = join(bench, fill);
    uint64_t off = 0;

    publish(fill, REASON_STORED, true, LEN);
    feed_all(fill, LEN);
    fill_finish(fill);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        off = places[i];
        fill_seek(reader, off);
        assert_int_equal(drain(bench, reader, &off), FILL_NEXT_END);
        assert_int_equal(off, LEN);
    }
    fill_leave(&reader);
    fill_unref(&fill);
}

/* Who skips what the others have no use for makes room at once. */
static void
a_reader_that_skips_makes_room(void **state)
{
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *reader = join(bench, fill);
    uint64_t off = 3 * WINDOW_LEN, fed;

    publish(fill, REASON_NO_STORE, false, 0);
    fed = feed(fill, 0, 10 * WINDOW_LEN);
    assert_int_equal(fed, WINDOW_LEN);
    fill_seek(reader, off);
    fed += feed(fill, fed, 3 * WINDOW_LEN);
    assert_int_equal(fed, 4 * WINDOW_LEN);
    assert_int_equal(drain(bench, reader, &off), FILL_NEXT_WAIT);
    assert_int_equal(off, fed);
    fill_leave(&reader);
    fill_fail(fill, ERR_CANCELLED, "test");
    fill_unref(&fill);
}

static void
what_somebody_reads_does_not_fail_as_unread(void **state)
{
    struct bench *bench = *state;
    struct store_key key = key_of("k");
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *reader = join(bench, fill);
    unsigned status;
    const char *why;

    assert_true(fill_is_read(fill));
    assert_false(fill_fail_unread(fill, ERR_CANCELLED, "test"));
    assert_int_equal(fill_state(fill), FILL_WAITING);
    assert_true(fill_is_under_way(bench->table, &key));
    fill_leave(&reader);
    assert_false(fill_is_read(fill));
    assert_true(fill_fail_unread(fill, ERR_CANCELLED, "test"));
    assert_int_equal(fill_error(fill, &status, &why), ERR_CANCELLED);
    assert_false(fill_is_under_way(bench->table, &key));
    fill_unref(&fill);
}

/* Who can only use what the store has is woken when it has it, and not before. */
static void
readers_are_woken_by_the_commit(void **state)
{
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct store_key key = key_of("k");

    publish(fill, REASON_STORED, true, 100);
    feed_all(fill, 100);
    assert_false(fill_is_settled(fill));
    fill_finish(fill);
    for (unsigned i = 0; !fill_is_settled(fill) && i < WAIT_TRIES; i++)
        usleep(WAIT_STEP_US);
    assert_true(fill_is_settled(fill));
    assert_false(fill_is_under_way(bench->table, &key));
    assert_true(is_stored(bench, "k", 100));
    fill_unref(&fill);
    fill = open_new(bench, "unstored");
    publish(fill, REASON_NO_STORE, false, 0);
    assert_true(fill_is_settled(fill)); /* nothing to wait for */
    fill_fail(fill, ERR_CANCELLED, "test");
    fill_unref(&fill);
}

/* The store gives up on an object half-way: who reads it gets all of it, who comes later would miss
 * what was dropped in between and is told so. */
static void
who_joins_too_late_is_sent_away(void **state)
{
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *reader = join(bench, fill), *late = NULL;
    uint64_t off = 0, fed = 0, more;

    publish(fill, REASON_STORED, false, 0);
    for (unsigned i = 0; fill_is_storing(fill) && i < WAIT_TRIES; i++) {
        uint64_t n = feed(fill, fed, BLOCK_FULL_LEN); /* until the store takes no more */

        fed += n;
        assert_int_equal(drain(bench, reader, &off), FILL_NEXT_WAIT);
        if (n == 0)
            usleep(WAIT_STEP_US);
    }
    assert_false(fill_is_storing(fill));
    for (more = fed + 4 * WINDOW_LEN; fed < more;) {
        fed += feed(fill, fed, more - fed);
        assert_int_equal(drain(bench, reader, &off), FILL_NEXT_WAIT);
    }
    assert_int_equal(fill_join(fill, bench->loop, nothing, NULL, &late), ERR_CLOSED);
    assert_null(late);
    fill_finish(fill);
    assert_int_equal(drain(bench, reader, &off), FILL_NEXT_END);
    assert_int_equal(off, fed);
    fill_leave(&reader);
    fill_unref(&fill);
}

/* Memory stays within the window; who is behind goes on from the store, however long it takes. */
static void
a_slow_reader_of_a_large_object_goes_on_from_the_store(void **state)
{
    enum { LEN = 30 * BLOCK_FULL_LEN + 12345, CHURN_N = 24, CHURN_LEN = 4 << 20 };
    struct bench *bench = *state;
    struct fill *fill = open_new(bench, "k");
    struct fill_reader *reader = join(bench, fill);
    uint64_t off = 0;

    publish(fill, REASON_STORED, true, LEN);
    feed_all(fill, LEN);
    fill_finish(fill);
    wait_stored(bench, "k", LEN);
    for (unsigned i = 0; i < CHURN_N; i++) {
        char name[16];
        struct fill *other;

        snprintf(name, sizeof(name), "c%u", i);
        other = open_new(bench, name);
        publish(other, REASON_STORED, true, CHURN_LEN);
        feed_all(other, CHURN_LEN);
        fill_finish(other);
        wait_stored(bench, name, CHURN_LEN);
        fill_unref(&other);
    }
    assert_int_equal(drain(bench, reader, &off), FILL_NEXT_END);
    assert_int_equal(off, LEN);
    fill_leave(&reader);
    fill_unref(&fill);
}

/* All the memory is taken by bodies that nobody reads on: the next is passed on in small blocks,
 * whole and right, and gives back what it had. */
static void
a_fill_without_memory_passes_through(void **state)
{
    enum { LEN = 300000, MANY = MEMORY_LEN / WINDOW_LEN };
    struct bench *bench = *state;
    struct fill *taken[MANY], *fill = open_new(bench, "poor");
    struct fill_reader *readers[MANY], *reader;
    uint64_t off = 0, fed = 0;

    for (unsigned i = 0; i < MANY; i++) {
        char key[16];

        snprintf(key, sizeof(key), "rich%u", i);
        taken[i] = open_new(bench, key);
        readers[i] = join(bench, taken[i]);
        publish(taken[i], REASON_NO_STORE, false, 0);
        assert_int_equal(feed(taken[i], 0, 2 * WINDOW_LEN), WINDOW_LEN);
    }
    reader = join(bench, fill);
    publish(fill, REASON_STORED, true, LEN);
    assert_int_equal(fill_head(fill)->reason, REASON_FILL_MEMORY);
    assert_int_equal(fill_fate(fill), REASON_FILL_MEMORY);
    assert_false(fill_is_storing(fill));
    while (off < LEN) {
        uint64_t step = feed(fill, fed, LEN - fed);

        assert_true(step <= 32768);
        fed += step;
        assert_int_equal(drain(bench, reader, &off), FILL_NEXT_WAIT);
        assert_int_equal(off, fed);
    }
    fill_finish(fill);
    fill_leave(&reader);
    fill_unref(&fill);
    for (unsigned i = 0; i < MANY; i++) {
        fill_finish(taken[i]);
        fill_leave(&readers[i]);
        fill_unref(&taken[i]);
    }
    fill = open_new(bench, "rich again");
    publish(fill, REASON_STORED, true, LEN);
    assert_true(fill_is_storing(fill));
    feed_all(fill, LEN);
    fill_finish(fill);
    fill_unref(&fill);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readers_follow_as_bytes_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_fill_a_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_reaches_readers_and_nothing_is_stored, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_stored_is_paced_by_its_slowest_reader, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reader_goes_back_in_what_is_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_skips_makes_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_somebody_reads_does_not_fail_as_unread, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(readers_are_woken_by_the_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_joins_too_late_is_sent_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_reader_of_a_large_object_goes_on_from_the_store,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fill_without_memory_passes_through, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
