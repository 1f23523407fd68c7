/* Another size at a start: what fits is kept, whatever happens meanwhile. */
#include "store_help.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/stats.h"
#include "storage/state.h"

#define MIB (1024ULL * 1024)

enum { LARGE = 40, SMALL = 16, OBJECTS = 6000, BODY_LEN = 3000 };

/* --- between the steps of the copying --- */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_wake = PTHREAD_COND_INITIALIZER;
static int gate_permits = -1; /* commits to the new file that may go on; -1: all */
static unsigned gate_waiting;
static atomic_uint gate_failures;
static bool switch_held, switch_waiting;
static atomic_uint_fast64_t disk_room_len; /* what statvfs says; 0: the truth */

static bool
is_new_file(MDB_txn *txn)
{
    unsigned flags = 0;

    return mdb_env_get_flags(mdb_txn_env(txn), &flags) == 0 && (flags & MDB_NOSYNC) != 0;
}

int
mdb_txn_commit(MDB_txn *txn)
{
    static int (*real)(MDB_txn *);
    bool fails = false;

    (void)pthread_mutex_lock(&gate_lock);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_commit");
    if (is_new_file(txn)) {
        gate_waiting++;
        (void)pthread_cond_broadcast(&gate_wake);
        while (gate_permits == 0)
            (void)pthread_cond_wait(&gate_wake, &gate_lock);
        gate_waiting--;
        gate_permits -= gate_permits > 0;
        fails = gate_failures > 0;
        gate_failures -= fails;
    }
    (void)pthread_mutex_unlock(&gate_lock);
    if (!fails)
        return real(txn);
    mdb_txn_abort(txn);
    return ENOSPC;
}

int
statvfs(const char *path, struct statvfs *out)
{
    static int (*real)(const char *, struct statvfs *);
    int rc;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "statvfs");
    rc = real(path, out);
    if (rc == 0 && disk_room_len != 0)
        out->f_bavail = (fsblkcnt_t)(disk_room_len / out->f_frsize);
    return rc;
}

/* The new file takes the old one's place: readers are out. */
int
rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    size_t len = strlen(from);

    (void)pthread_mutex_lock(&gate_lock);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "rename");
    if (len > 4 && strcmp(from + len - 4, ".new") == 0) {
        switch_waiting = true;
        (void)pthread_cond_broadcast(&gate_wake);
        while (switch_held)
            (void)pthread_cond_wait(&gate_wake, &gate_lock);
        switch_waiting = false;
    }
    (void)pthread_mutex_unlock(&gate_lock);
    return real(from, to);
}

static void
switch_hold(bool held)
{
    (void)pthread_mutex_lock(&gate_lock);
    switch_held = held;
    (void)pthread_cond_broadcast(&gate_wake);
    (void)pthread_mutex_unlock(&gate_lock);
}

static void
switch_wait(void)
{
    (void)pthread_mutex_lock(&gate_lock);
    while (!switch_waiting)
        (void)pthread_cond_wait(&gate_wake, &gate_lock);
    (void)pthread_mutex_unlock(&gate_lock);
}

static void
gate_open(int permits)
{
    (void)pthread_mutex_lock(&gate_lock);
    gate_permits = permits;
    (void)pthread_cond_broadcast(&gate_wake);
    (void)pthread_mutex_unlock(&gate_lock);
}

/* Until the permits are used up and the copying stands still. */
static void
gate_wait(void)
{
    (void)pthread_mutex_lock(&gate_lock);
    while (gate_permits != 0 || gate_waiting == 0)
        (void)pthread_cond_wait(&gate_wake, &gate_lock);
    (void)pthread_mutex_unlock(&gate_lock);
}

/* --- stores --- */

static const uint64_t label = 77;

static void
name_of(unsigned i, char *key, size_t cap)
{
    (void)snprintf(key, cap, "k%u", i);
}

/* Each tenth has the label; each hundredth is of two pieces and more. */
static struct help_object
object_of(unsigned i, char *key, size_t cap)
{
    name_of(i, key, cap);
    return (struct help_object){.key = key,
                                .body_len = i % 100 == 50 ? 70000 : BODY_LEN,
                                .labels = &label,
                                .labels_n = i % 10 == 0};
}

static void
put_range(struct store *store, unsigned from, unsigned end)
{
    char key[32];

    for (unsigned i = from; i < end; i++) {
        struct help_object object = object_of(i, key, sizeof(key));

        if (i + 1 == end || i % 500 == 0)
            assert_int_equal(help_put(store, &object, NULL), OK);
        else
            assert_int_equal(help_put_start(store, &object, (struct store_done){0}), OK);
    }
}

static unsigned
count_range(struct store *store, unsigned from, unsigned end, unsigned step)
{
    struct store_reader *reader = help_reader(store);
    unsigned n = 0;
    char key[32];

    for (unsigned i = from; i < end; i += step) {
        struct help_object object = object_of(i, key, sizeof(key));

        if (help_count(reader, key, NULL) == 0)
            continue;
        assert_true(help_is_stored(reader, &object)); /* whole, and right */
        n++;
    }
    store_reader_free(&reader);
    return n;
}

static struct store *
open_at_once(const char *path, uint64_t size_len)
{
    struct store_settings settings = {
        .path = path, .size_len = size_len, .batch_ms = 2, .readers_max = 16};
    struct store *store = NULL;
    char why[512];

    if (store_open(&settings, &store, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    return store;
}

static uint64_t
file_len(const char *path, const char *name)
{
    char text[300];
    struct stat st;

    (void)snprintf(text, sizeof(text), "%s/%s", path, name);
    return stat(text, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int64_t resizes;

/* Open with another size, and wait until that is so. */
static void
wait_smaller(void)
{
    for (unsigned i = 0; i < 20000 && stats_read(STAT_store_resizes) == resizes; i++)
        (void)usleep(1000);
    assert_int_equal(stats_read(STAT_store_resizes), resizes + 1);
}

static struct store *
open_smaller(const char *path, uint64_t size_len)
{
    struct store *store;

    resizes = stats_read(STAT_store_resizes);
    store = open_at_once(path, size_len);
    wait_smaller();
    return store;
}

/* About 27 MB in a file of the large size. */
static void
make_large(char *path, size_t cap)
{
    struct store *store;

    help_new_folder(path, cap);
    store = help_open(path, LARGE * MIB);
    put_range(store, 0, OBJECTS);
    store_close(&store);
    assert_true(file_len(path, "data.mdb") > SMALL * MIB);
}

static void
assert_is_small(const char *path, struct store *store)
{
    struct store_check check = help_check(store);

    assert_true(file_len(path, "data.mdb") <= SMALL * MIB);
    assert_int_equal(file_len(path, "data.mdb.new"), 0);
    assert_true(check.used_pages * RECORD_PAGE_LEN <= SMALL * MIB / 100 * 91);
    assert_int_equal(check.objects, store->index.live_n);
}

static void
all_is_kept_in_a_larger_one(void **state)
{
    struct store *store;
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 16 * MIB);
    put_range(store, 0, 2000);
    store_close(&store);
    store = help_open(path, LARGE * MIB);
    assert_int_equal(count_range(store, 0, 2000, 1), 2000);
    put_range(store, 2000, 6000);
    assert_int_equal(count_range(store, 0, 6000, 1), 6000);
    (void)help_check(store);
    store_close(&store);
    assert_true(file_len(path, "data.mdb") > 16 * MIB);
    help_remove_folder(path);
}

/* What is in use fits, but the file is too long. */
static void
a_long_file_gets_shorter(void **state)
{
    struct store_purge purge = {.kind = STORE_PURGE_PREFIX, .text = SLICE("k1")};
    struct store *store;
    char path[256];
    unsigned kept;
    uint64_t id, oid_next;

    (void)state;
    make_large(path, sizeof(path));
    store = help_open(path, LARGE * MIB);
    for (char c = '1'; c <= '3'; c++) {
        char text[2] = {'k', c};

        purge.text = slice_of(text, 2);
        (void)help_purge(store, &purge, 1, &id);
        (void)help_purge_finish(store, id);
    }
    kept = count_range(store, 0, OBJECTS, 1);
    oid_next = store->writer.next_oid;
    store_close(&store);
    assert_true(kept > 2000);
    store = open_smaller(path, SMALL * MIB);
    assert_int_equal(count_range(store, 0, OBJECTS, 1), kept);
    assert_is_small(path, store);
    assert_true(store->writer.next_oid >= oid_next);
    store_close(&store);
    store = open_at_once(path, SMALL * MIB);
    assert_int_equal(count_range(store, 0, OBJECTS, 1), kept);
    put_range(store, OBJECTS, OBJECTS + 3000); /* it is used as any other */
    assert_is_small(path, store);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* What was used, and what is newest; for how it was after the stop, and served all the while. */
static void
what_is_worth_most_is_kept(void **state)
{
    unsigned used, unused, old_end = OBJECTS / 4;
    struct store *store;
    char path[256];

    (void)state;
    make_large(path, sizeof(path));
    store = help_open(path, LARGE * MIB);
    assert_int_equal(count_range(store, 0, old_end, 2), old_end / 2); /* used now */
    store_close(&store);
    resizes = stats_read(STAT_store_resizes);
    gate_open(1);
    store = open_at_once(path, SMALL * MIB);
    gate_wait(); /* it has evicted, and begins to copy */
    assert_true(count_range(store, OBJECTS - 100, OBJECTS, 1) == 100);
    gate_open(-1);
    wait_smaller();
    used = count_range(store, 0, old_end, 2);
    unused = count_range(store, 1, old_end, 2);
    print_message("of %u: used %u, unused %u\n", old_end / 2, used, unused);
    assert_int_equal(used, old_end / 2);
    assert_int_equal(unused, 0);
    assert_int_equal(count_range(store, OBJECTS - 1000, OBJECTS, 1), 1000);
    assert_is_small(path, store);
    store_close(&store);
    help_remove_folder(path);
}

/* Everything that can happen behind the copying, and before it. */
static void
what_is_written_meanwhile_is_not_lost(void **state)
{
    static const unsigned copied = OBJECTS - 3000, ahead = OBJECTS - 21;
    struct help_object again = {.body_len = 5000, .body_seed = 5},
                       fresh = {.key = "fresh", .body_len = 200000};
    struct help_wait waits[3];
    struct store_purge purges[3] = {{.kind = STORE_PURGE_KEY},
                                    {.kind = STORE_PURGE_KEY},
                                    {.kind = STORE_PURGE_LABEL, .label = 77, .soft = true}};
    char gone[2][32], key[32], soft[32];
    struct store_reader *reader;
    struct store_object found;
    struct store *store;
    char path[256];
    uint64_t id;

    (void)state;
    make_large(path, sizeof(path));
    resizes = stats_read(STAT_store_resizes);
    gate_open(3);
    store = open_at_once(path, SMALL * MIB);
    gate_wait();
    name_of(copied + 1, gone[0], sizeof(gone[0]));
    name_of(ahead, gone[1], sizeof(gone[1]));
    purges[0].text = slice_from_str(gone[0]);
    purges[1].text = slice_from_str(gone[1]);
    name_of(copied + 2, key, sizeof(key));
    name_of(copied + 10, soft, sizeof(soft));
    again.key = key;
    assert_int_equal(store_purge(store, purges, 3, help_done(&waits[0]), &id), OK);
    assert_int_equal(help_put_start(store, &again, help_done(&waits[1])), OK);
    assert_int_equal(help_put_start(store, &fresh, help_done(&waits[2])), OK);
    gate_open(-1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(help_wait_for(&waits[i], NULL), OK);
    wait_smaller();
    for (unsigned round = 0; round < 2; round++) {
        reader = help_reader(store);
        assert_int_equal(help_count(reader, gone[0], NULL), 0);
        assert_int_equal(help_count(reader, gone[1], NULL), 0);
        assert_true(help_is_stored(reader, &again));
        assert_true(help_is_stored(reader, &fresh));
        assert_int_equal(help_count(reader, soft, &found), 1);
        assert_true(found.soft_purged);
        store_reader_free(&reader);
        assert_is_small(path, store);
        if (round == 0) {
            (void)help_purge_finish(store, id);
            store_close(&store);
            store = open_at_once(path, SMALL * MIB);
        }
    }
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* A download goes on over the switch; a put that was begun before it ends after it. */
static void
readers_and_puts_live_through_it(void **state)
{
    struct help_object large = {.key = "k5950", .body_len = 70000};
    struct help_object slow = {.key = "slow", .body_len = 3 * (uint64_t)BLOCK_FULL_LEN + 100};
    struct store_key key = help_key("k5950"), slow_key = help_key("slow");
    struct store_cursor cursor = {.key = &key};
    struct store_object found;
    struct store_reader *reader;
    struct store_put *put;
    struct store_pin pin;
    struct store *store;
    struct help_wait wait;
    char path[256];

    (void)state;
    make_large(path, sizeof(path));
    resizes = stats_read(STAT_store_resizes);
    gate_open(2);
    store = open_at_once(path, SMALL * MIB);
    gate_wait();
    reader = help_reader(store);
    store_read_begin(reader);
    assert_true(store_find(reader, &cursor, &found));
    assert_true(store_pin(reader, &found, &pin));
    store_read_end(reader);
    assert_int_equal(store_put_begin(store, &slow_key, &put), OK);
    assert_int_equal(help_blocks(put, &slow), OK);
    gate_open(-1);
    wait_smaller();
    store_read_begin(reader);
    assert_true(help_body_is(reader, help_pinned(&pin), help_seed(large.key)));
    store_read_end(reader);
    store_unpin(&pin);
    assert_int_equal(help_end(put, &slow, help_done(&wait)), OK);
    store_put_release(&put);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    assert_true(help_is_stored(reader, &slow));
    store_reader_free(&reader);
    assert_is_small(path, store);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* --- in the middle of the switch --- */

/* One that may wait, on a thread of its own. */
struct patient {
    struct store_reader *reader;
    struct store_pin pin;
    const char *key;
    unsigned found_n;
    bool is_whole;
};

static void *
read_patiently(void *arg)
{
    struct patient *patient = arg;

    patient->found_n = help_count(patient->reader, patient->key, NULL);
    store_read_begin(patient->reader);
    patient->is_whole =
        help_body_is(patient->reader, help_pinned(&patient->pin), help_seed(patient->key));
    store_read_end(patient->reader);
    return NULL;
}

static void
assert_waits(struct help_wait *wait)
{
    (void)pthread_mutex_lock(&wait->lock);
    assert_int_equal(wait->called, 0);
    (void)pthread_mutex_unlock(&wait->lock);
}

/* The bytes [at, end) of what is pinned, a write at a time, as the proxy reads them. Returns where
 * it stands: at `end`, or *out_rc says why not. */
static uint64_t
read_writes(struct store_reader *reader, const struct store_pin *pin, const char *key, uint64_t at,
            uint64_t end, enum err *out_rc)
{
    struct store_source source = help_pinned(pin);

    *out_rc = OK;
    while (at < end && *out_rc == OK) {
        struct iovec iov;
        size_t n = 0;

        store_read_begin(reader);
        *out_rc = store_body(reader, &source, at, end - at, &iov, 1, &n);
        if (*out_rc == OK) {
            const char *bytes = iov.iov_base;

            assert_int_equal(n, 1);
            for (size_t i = 0; i < iov.iov_len; i += 61)
                assert_int_equal(bytes[i], help_byte(help_seed(key), at + i));
            at += iov.iov_len;
        }
        store_read_end(reader);
    }
    return at;
}

static bool
find_hurried(struct store_reader *reader, const char *text, bool *out_cold)
{
    struct store_key key = help_key(text);
    struct store_cursor cursor = {.key = &key};
    struct store_object object;
    bool found;

    store_read_begin(reader);
    found = store_find(reader, &cursor, &object);
    store_read_end(reader);
    *out_cold = cursor.cold;
    return found;
}

/* Readers in a hurry are told to come again, others wait, and what is put is kept: nobody is told
 * that there is nothing, for in a moment all is there. */
static void
nothing_is_missing_in_the_switch(void **state)
{
    struct help_object large = {.key = "large", .body_len = 12 * (uint64_t)BLOCK_FULL_LEN + 100},
                       fresh = {.key = "fresh", .body_len = 200000};
    struct store_key large_key = help_key(large.key), small_key = help_key("k5950");
    struct store_cursor cursor = {.key = &large_key};
    struct store_warming *jobs[2] = {NULL};
    struct patient patient = {.key = large.key};
    struct store_reader *reader;
    struct store_object found;
    struct store_source source;
    struct help_wait waits[3];
    struct store *store;
    pthread_t thread;
    uint64_t at, half = large.body_len / 2;
    char path[256];
    enum err rc;
    bool cold;

    (void)state;
    make_large(path, sizeof(path));
    store = help_open(path, LARGE * MIB);
    assert_int_equal(help_put(store, &large, NULL), OK);
    store_close(&store);
    resizes = stats_read(STAT_store_resizes);
    gate_open(2);
    switch_hold(true);
    store = open_at_once(path, SMALL * MIB);
    gate_wait();
    reader = help_reader(store);
    patient.reader = help_reader(store);
    store_read_begin(reader);
    assert_true(store_find(reader, &cursor, &found));
    assert_true(store_pin(reader, &found, &patient.pin));
    store_read_end(reader);
    source = help_pinned(&patient.pin);
    at = read_writes(reader, &patient.pin, large.key, 0, half, &rc);
    assert_int_equal(rc, OK);
    store_reader_hurry(reader, true);
    gate_open(-1);
    switch_wait();

    assert_false(find_hurried(reader, "k5950", &cold));
    assert_true(cold);
    assert_false(find_hurried(reader, "nothing", &cold)); /* the index knows */
    assert_false(cold);
    assert_int_equal(read_writes(reader, &patient.pin, large.key, at, large.body_len, &rc), at);
    assert_int_equal(rc, ERR_AGAIN);
    store_read_begin(reader);
    assert_int_equal(store_verify(reader, &source, at, large.body_len - at), ERR_AGAIN);
    store_read_end(reader);
    assert_int_equal(stats_read(STAT_store_down), 0);
    assert_int_equal(store_warm_find(store, &small_key, help_done(&waits[0]), &jobs[0]), OK);
    assert_int_equal(
        store_warm_body(store, &source, at, source.body_len - at, help_done(&waits[1]), &jobs[1]),
        OK);
    assert_int_equal(help_put_start(store, &fresh, help_done(&waits[2])), OK);
    assert_int_equal(pthread_create(&thread, NULL, read_patiently, &patient), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_waits(&waits[i]);
    switch_hold(false);

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(help_wait_for(&waits[i], NULL), OK);
    store_warm_end(&jobs[0]);
    store_warm_end(&jobs[1]);
    assert_true(find_hurried(reader, "k5950", &cold));
    at = read_writes(reader, &patient.pin, large.key, at, large.body_len, &rc);
    assert_int_equal(rc, OK);
    assert_int_equal(at, large.body_len);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(patient.found_n, 1);
    assert_true(patient.is_whole);
    store_unpin(&patient.pin);
    wait_smaller();
    store_reader_hurry(reader, false);
    assert_true(help_is_stored(reader, &fresh));
    store_reader_free(&reader);
    store_reader_free(&patient.reader);
    assert_is_small(path, store);
    help_empty(store);
    store_close(&store);
    help_remove_folder(path);
}

/* Killed in the middle of the copying: the old file is whole, and the next start makes another. */
static void
a_crash_leaves_the_old_file(void **state)
{
    struct store *store;
    char path[256];
    unsigned kept;

    (void)state;
    make_large(path, sizeof(path));
    for (int permits = 0; permits < 6; permits++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            (void)alarm(60);
            gate_open(permits);
            store = open_at_once(path, SMALL * MIB);
            gate_wait();
            (void)kill(getpid(), SIGKILL);
        }
        help_is_killed(child);
        assert_true(file_len(path, "data.mdb") > SMALL * MIB);
        if (permits > 0)
            assert_true(file_len(path, "data.mdb.new") > 0);
    }
    store = help_open(path, LARGE * MIB);
    assert_int_equal(file_len(path, "data.mdb.new"), 0);
    kept = count_range(store, 0, OBJECTS, 1);
    assert_true(kept > 2500);
    store_close(&store);
    store = open_smaller(path, SMALL * MIB);
    assert_true(count_range(store, 0, OBJECTS, 1) >= kept * 9 / 10);
    assert_is_small(path, store);
    store_close(&store);
    help_remove_folder(path);
}

static void
it_can_be_closed_meanwhile(void **state)
{
    struct store *store;
    char path[256];

    (void)state;
    make_large(path, sizeof(path));
    gate_open(3);
    store = open_at_once(path, SMALL * MIB);
    gate_wait();
    gate_open(-1);
    store_close(&store);
    assert_int_equal(file_len(path, "data.mdb.new"), 0);
    resizes = stats_read(STAT_store_resizes);
    store = open_at_once(path, SMALL * MIB);
    if (file_len(path, "data.mdb") > SMALL * MIB)
        wait_smaller();
    assert_int_equal(count_range(store, OBJECTS - 1000, OBJECTS, 1), 1000);
    assert_is_small(path, store);
    store_close(&store);
    help_remove_folder(path);
}

static void
a_disk_with_less_room_keeps_less(void **state)
{
    struct store *store;
    char path[256];
    int64_t resets = stats_read(STAT_store_resets);

    (void)state;
    make_large(path, sizeof(path));
    disk_room_len = 24 * MIB;
    store = open_smaller(path, SMALL * MIB);
    disk_room_len = 0;
    assert_int_equal(stats_read(STAT_store_resets), resets);
    assert_in_range(file_len(path, "data.mdb"), 2 * MIB, 8 * MIB);
    assert_int_equal(count_range(store, OBJECTS - 100, OBJECTS, 1), 100);
    put_range(store, OBJECTS, OBJECTS + 4000); /* now there is room */
    assert_true(file_len(path, "data.mdb") > 12 * MIB);
    assert_is_small(path, store);
    store_close(&store);
    help_remove_folder(path);
}

static void
a_disk_without_room_begins_anew(void **state)
{
    struct store *store;
    char path[256];
    int64_t resets = stats_read(STAT_store_resets);

    (void)state;
    make_large(path, sizeof(path));
    disk_room_len = MIB;
    store = open_at_once(path, SMALL * MIB);
    for (unsigned i = 0;
         i < 20000 && (stats_read(STAT_store_resets) == resets || stats_read(STAT_store_down) != 0);
         i++)
        (void)usleep(1000);
    assert_int_equal(stats_read(STAT_store_resets), resets + 1);
    disk_room_len = 0;
    put_range(store, 0, 100);
    assert_int_equal(count_range(store, 0, OBJECTS, 1), 100);
    assert_is_small(path, store);
    store_close(&store);
    help_remove_folder(path);
}

static void
a_copy_that_fails_is_tried_again(void **state)
{
    struct store *store;
    char path[256];
    int64_t resets = stats_read(STAT_store_resets);

    (void)state;
    make_large(path, sizeof(path));
    gate_failures = 2;
    store = open_smaller(path, SMALL * MIB);
    assert_int_equal(gate_failures, 0);
    assert_int_equal(stats_read(STAT_store_resets), resets);
    assert_int_equal(count_range(store, OBJECTS - 1000, OBJECTS, 1), 1000);
    assert_is_small(path, store);
    store_close(&store);
    help_remove_folder(path);
}

/* The fourth object from the end of a piece of its own. */
static void
damage_piece_of(const char *path, const char *key_text)
{
    char name[300], want[64], *bytes;
    uint64_t len = file_len(path, "data.mdb");
    bool found = false;
    int fd;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    fd = open(name, O_RDWR);
    assert_true(fd != -1);
    bytes = malloc(len);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, len, 0), (ssize_t)len);
    help_fill(want, help_seed(key_text), 0, sizeof(want));
    for (uint64_t at = 16; at + sizeof(want) <= len && !found; at += 4096) {
        if (memcmp(bytes + at, want, sizeof(want)) != 0)
            continue;
        found = true;
        assert_int_equal(pwrite(fd, "x", 1, (off_t)at + 100), 1);
    }
    free(bytes);
    (void)close(fd);
    assert_true(found);
}

static void
a_damaged_body_is_found_on_the_way(void **state)
{
    struct store_reader *reader;
    struct store *store;
    char path[256];
    int64_t bad = stats_read(STAT_store_bad_records);

    (void)state;
    make_large(path, sizeof(path));
    damage_piece_of(path, "k5850");
    store = open_smaller(path, SMALL * MIB);
    assert_int_equal(stats_read(STAT_store_bad_records), bad + 1);
    reader = help_reader(store);
    assert_int_equal(help_count(reader, "k5850", NULL), 0);
    assert_int_equal(help_count(reader, "k5851", NULL), 1);
    store_reader_free(&reader);
    assert_int_equal(help_put(store, &(struct help_object){.key = "k5850", .body_len = 9}, NULL),
                     OK);
    assert_is_small(path, store);
    store_close(&store);
    help_remove_folder(path);
}

/* It goes on in the new file. */
static void
a_check_lives_through_it(void **state)
{
    struct store_check check;
    struct store *store;
    char path[256];

    (void)state;
    make_large(path, sizeof(path));
    resizes = stats_read(STAT_store_resizes);
    gate_open(2);
    store = open_at_once(path, SMALL * MIB);
    gate_wait();
    assert_int_equal(store_check_start(store, 10 * MIB), OK);
    do
        store_check_status(store, &check);
    while (check.objects == 0);
    gate_open(-1);
    wait_smaller();
    do {
        (void)usleep(1000);
        store_check_status(store, &check);
    } while (check.state == STORE_CHECK_RUNNING);
    assert_int_equal(check.state, STORE_CHECK_DONE);
    assert_int_equal(check.bad, 0);
    assert_int_equal(check.objects, store->index.live_n);
    store_close(&store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_kept_in_a_larger_one),
        cmocka_unit_test(a_long_file_gets_shorter),
        cmocka_unit_test(what_is_worth_most_is_kept),
        cmocka_unit_test(what_is_written_meanwhile_is_not_lost),
        cmocka_unit_test(readers_and_puts_live_through_it),
        cmocka_unit_test(nothing_is_missing_in_the_switch),
        cmocka_unit_test(a_crash_leaves_the_old_file),
        cmocka_unit_test(it_can_be_closed_meanwhile),
        cmocka_unit_test(a_disk_with_less_room_keeps_less),
        cmocka_unit_test(a_disk_without_room_begins_anew),
        cmocka_unit_test(a_copy_that_fails_is_tried_again),
        cmocka_unit_test(a_damaged_body_is_found_on_the_way),
        cmocka_unit_test(a_check_lives_through_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
