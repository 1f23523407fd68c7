/* The purge log: what was written is replayed, up to what is torn; it begins again when it may. */
#include "store_help.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "storage/purge_log.h"

enum { STORE_LEN = 4 << 20, LOG_LEN = STORE_LEN / 16 };

struct fixture {
    char path[256];
    struct purge_log log;
    struct purge_set set;
    struct list calls;
};

static void
init_set(struct purge_set *set, uint64_t seq)
{
    purge_set_init(set, &(struct record_header){.purge_seq = seq}, 100000);
}

static int
set_up(void **state)
{
    static struct fixture fixture;

    help_new_folder(fixture.path, sizeof(fixture.path));
    init_set(&fixture.set, 0);
    list_init(&fixture.calls);
    purge_log_open(&fixture.log, fixture.path, STORE_LEN, true);
    assert_int_equal(fixture.log.len, LOG_LEN);
    *state = &fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;

    purge_log_close(&fixture->log);
    purge_set_fini(&fixture->set);
    help_remove_folder(fixture->path);
    return 0;
}

/* A call of a key and a label, written as of `seq`; it fails afterwards, which the log does not
 * know. */
static bool
append(struct fixture *fixture, uint64_t seq, uint64_t committed)
{
    const struct store_purge rows[] = {{STORE_PURGE_KEY, false, 0, SLICE("http://a/b")},
                                       {STORE_PURGE_LABEL, true, seq, SLICE_NONE}};
    struct purge_call *call;
    bool ok;

    assert_int_equal(
        purge_call_new(&fixture->set, rows, ARRAY_LEN(rows), (struct store_done){0}, &call), OK);
    list_push(&fixture->calls, &call->link);
    ok = purge_log_stage(&fixture->log, &fixture->calls, seq, committed) &&
         purge_log_write(&fixture->log);
    list_remove(&call->link);
    purge_call_end(&fixture->set, &call, ERR_CANCELLED);
    return ok;
}

/* The log opened again: how many purges go on that are younger than `seq`, and the youngest. */
static uint64_t
replay(struct fixture *fixture, uint64_t seq, bool keep, uint64_t *out_last)
{
    struct purge_log log;
    struct purge_set set;
    uint64_t n;

    init_set(&set, seq);
    purge_log_open(&log, fixture->path, STORE_LEN, keep);
    assert_int_equal(purge_log_replay(&log, seq, &set), OK);
    assert_int_equal(purge_resumed(&set), OK);
    n = set.entries_n;
    *out_last = log.last_seq;
    purge_log_close(&log);
    purge_set_fini(&set);
    return n;
}

static void
what_was_written_is_replayed(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last;

    assert_int_equal(replay(fixture, 0, true, &last), 0);
    for (uint64_t seq = 1; seq <= 10; seq++)
        assert_true(append(fixture, seq, 0));
    assert_int_equal(replay(fixture, 0, true, &last), 20);
    assert_int_equal(last, 10);
    assert_int_equal(replay(fixture, 7, true, &last), 6);
    assert_int_equal(replay(fixture, 10, true, &last), 0);
    assert_int_equal(replay(fixture, 0, false, &last), 0); /* of another store */
    assert_int_equal(replay(fixture, 0, true, &last), 0);
}

/* Whatever is not as it was written ends the log; what lies before it counts. */
static void
a_torn_frame_ends_it(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last, start = 0;
    char name[300];
    int fd;

    for (uint64_t seq = 1; seq <= 2; seq++)
        assert_true(append(fixture, seq, 0));
    (void)snprintf(name, sizeof(name), "%s/purge.log", fixture->path);
    fd = open(name, O_RDWR);
    assert_true(fd != -1);
    for (uint64_t before = 0; before < 4; before++) {
        uint32_t len;

        assert_int_equal(pread(fd, &len, sizeof(len), (off_t)start), sizeof(len));
        for (uint64_t at = start; at < start + 8 + len; at += 3) {
            char byte, wrong;

            assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
            wrong = (char)(byte ^ 0x41);
            assert_int_equal(pwrite(fd, &wrong, 1, (off_t)at), 1);
            assert_int_equal(replay(fixture, 0, true, &last), before);
            assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        }
        start += (8 + len + 7) / 8 * 8;
    }
    assert_int_equal(start, fixture->log.at);
    assert_int_equal(replay(fixture, 0, true, &last), 4);
    (void)close(fd);
}

static void
it_begins_again_when_all_is_seen_to(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seq = 0, last;

    while (append(fixture, seq + 1, 0))
        seq++;
    assert_true(seq > 500); /* then it was full */
    assert_int_equal(replay(fixture, 0, true, &last), 2 * seq);
    assert_false(append(fixture, seq + 1, seq - 1)); /* one is still needed */
    assert_true(append(fixture, seq + 1, seq));
    assert_true(append(fixture, seq + 2, seq));
    assert_int_equal(replay(fixture, seq, true, &last), 4); /* and none of the old ones behind */
    assert_int_equal(last, seq + 2);
}

static void
a_folder_without_room_has_no_log(void **state)
{
    struct fixture *fixture = *state;
    struct purge_log log;

    purge_log_open(&log, "/nonexistent", STORE_LEN, true);
    assert_int_equal(log.fd, -1);
    assert_int_equal(purge_log_replay(&log, 0, &fixture->set), OK);
    assert_false(purge_log_stage(&log, &fixture->calls, 1, 0));
    purge_log_close(&log);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(what_was_written_is_replayed),
        T(a_torn_frame_ends_it),
        T(it_begins_again_when_all_is_seen_to),
        T(a_folder_without_room_has_no_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
