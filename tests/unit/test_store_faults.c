/* Faults of the disk, provoked for real: no room, no permission, a root that cannot be written, no
 * free pages. Small file systems of memory are mounted in a name space of the child's own; who may
 * not mount skips those. */
#include "store_help.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/stats.h"

#define MIB (1024ULL * 1024)
#define SKIPPED 99

enum { NOBODY = 65534, WAIT_MS = 20000, LOOPS_S = 20 };

/* What the sanitizer finds in LMDB is the end of that process, as a signal would be. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "abort_on_error=1";
}

/* In a child, where a failed assertion would go on with the parent's next test. */
#define NEED(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            print_error("%s:%d: not so: %s\n", __FILE__, __LINE__, #x);                            \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* In a child: what it changes of its process ends with it. The status it ends with. */
static int
status_apart(int (*fn)(const char *path), const char *path)
{
    const struct rlimit no_core = {0, 0};
    pid_t child = fork();
    int status;

    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGBUS, SIG_DFL); /* cmocka's handlers go on with the next test */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        _exit(fn(path));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* 0: all went well. */
static void
run_apart(int (*fn)(const char *path), const char *path)
{
    int status = status_apart(fn, path);

    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        print_message("skipped: no right to mount\n");
    else
        assert_int_equal(WEXITSTATUS(status), 0);
}

static bool
mount_small(const char *path, const char *options)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", path, "tmpfs", 0, options) == 0;
}

/* Takes all the room but so many bytes. */
static void
fill_disk(const char *path, uint64_t leave_len)
{
    static const char zeros[4096];
    char name[300];
    struct statvfs disk;
    int fd;

    (void)snprintf(name, sizeof(name), "%s/filler", path);
    fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    NEED(fd != -1);
    while (statvfs(path, &disk) == 0 && disk.f_bavail * disk.f_frsize > leave_len)
        if (write(fd, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros))
            break;
    (void)close(fd);
}

static void
give_room(const char *path)
{
    char name[300];

    (void)snprintf(name, sizeof(name), "%s/filler", path);
    NEED(unlink(name) == 0);
}

static bool
wait_for_stat(enum counter id, int64_t least)
{
    for (unsigned i = 0; i < WAIT_MS; i++) {
        if (stats_read(id) >= least)
            return true;
        (void)usleep(1000);
    }
    return false;
}

static unsigned
put_many(struct store *store, unsigned from, unsigned n, uint64_t body_len)
{
    unsigned stored = 0;
    char key[32];

    for (unsigned i = from; i < from + n; i++) {
        struct help_object object = {.key = key, .body_len = body_len};

        (void)snprintf(key, sizeof(key), "many/%u", i);
        stored += help_put(store, &object, NULL) == OK;
    }
    return stored;
}

/* They are stored when the store is closed. */
static void
put_at_once(struct store *store, unsigned n, uint64_t body_len)
{
    char key[32];

    for (unsigned i = 0; i < n; i++) {
        struct help_object object = {.key = key, .body_len = body_len};

        (void)snprintf(key, sizeof(key), "many/%u", i);
        assert_int_equal(help_put_start(store, &object, (struct store_done){0}), OK);
    }
}

static unsigned
found_of(struct store *store, unsigned from, unsigned n, uint64_t body_len)
{
    struct store_reader *reader = help_reader(store);
    unsigned found = 0;
    char key[32];

    for (unsigned i = from; i < from + n; i++) {
        struct help_object object = {.key = key, .body_len = body_len};

        (void)snprintf(key, sizeof(key), "many/%u", i);
        found += help_is_stored(reader, &object);
    }
    store_reader_free(&reader);
    return found;
}

/* The disk fills up, others take the rest, and room comes again. What is stored stays, and is never
 * traded for a new file. */
static int
fill_up_and_give_room(const char *path)
{
    struct store *store;
    int64_t bound;

    if (!mount_small(path, "size=24m"))
        return SKIPPED;
    store = help_open(path, 64 * MIB);
    NEED(put_many(store, 0, 140, 60000) == 140); /* 8 MB */
    fill_disk(path, 0);
    NEED(put_many(store, 1000, 500, 60000) >= 450); /* three times the room there is */
    NEED(stats_read(STAT_store_disk_full) > 0);
    NEED(found_of(store, 1000, 500, 60000) > 50);
    (void)help_check(store);
    bound = stats_read(STAT_store_file_bytes);
    give_room(path);
    NEED(put_many(store, 2000, 150, 60000) == 150);
    NEED(stats_read(STAT_store_file_bytes) > bound);
    NEED(stats_read(STAT_store_resets) == 0);
    (void)help_check(store);
    store_close(&store);
    return 0;
}

static void
a_full_disk_keeps_what_is_stored(void **state)
{
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    run_apart(fill_up_and_give_room, path);
    help_remove_folder(path);
}

/* Not even the lock file fits: without a file the store stands by, and begins when it can. */
static int
begin_on_a_full_disk(const char *path)
{
    struct store_purge all = {.kind = STORE_PURGE_ALL};
    struct store *store;

    if (!mount_small(path, "size=8m"))
        return SKIPPED;
    fill_disk(path, 0);
    store = help_open(path, 16 * MIB);
    NEED(wait_for_stat(STAT_store_down, 1));
    NEED(store_is_ready(store));
    NEED(put_many(store, 0, 3, 100) == 0);
    NEED(found_of(store, 0, 3, 100) == 0);
    (void)help_purge(store, &all, 1, NULL);
    NEED(stats_read(STAT_store_disk_full) > 0);
    give_room(path);
    for (unsigned i = 0; i < WAIT_MS && stats_read(STAT_store_down) != 0; i++)
        (void)usleep(1000);
    NEED(put_many(store, 0, 20, 40000) == 20);
    NEED(found_of(store, 0, 20, 40000) == 20);
    (void)help_check(store);
    store_close(&store);
    store = help_open(path, 16 * MIB);
    NEED(found_of(store, 0, 20, 40000) == 20);
    store_close(&store);
    return 0;
}

static void
a_start_on_a_full_disk_stands_by(void **state)
{
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    run_apart(begin_on_a_full_disk, path);
    help_remove_folder(path);
}

/* The descriptor that LMDB writes its roots with. */
static int
root_fd(const char *path)
{
    char name[300], link[64], to[300];

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    for (int fd = 3; fd < 200; fd++) {
        ssize_t len;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        len = readlink(link, to, sizeof(to) - 1);
        to[len < 0 ? 0 : len] = '\0';
        if (strcmp(to, name) == 0 && (fcntl(fd, F_GETFL) & O_DSYNC) != 0)
            return fd;
    }
    return -1;
}

/* Its root cannot be written: nobody knows what the file holds. */
static int
fail_root_writes(const char *path)
{
    struct store *store = help_open(path, 16 * MIB);
    int fd, full;

    NEED(put_many(store, 0, 20, 5000) == 20);
    fd = root_fd(path);
    full = open("/dev/full", O_WRONLY);
    NEED(fd != -1 && full != -1);
    NEED(dup2(full, fd) == fd);
    NEED(put_many(store, 100, 1, 5000) == 0);
    NEED(stats_read(STAT_store_panics) == 1);
    NEED(stats_read(STAT_store_resets) == 1);
    NEED(found_of(store, 0, 20, 5000) == 0);
    NEED(put_many(store, 200, 20, 5000) == 20); /* in the new file */
    NEED(found_of(store, 200, 20, 5000) == 20);
    (void)help_check(store);
    store_close(&store);
    store = help_open(path, 16 * MIB);
    NEED(found_of(store, 200, 20, 5000) == 20);
    store_close(&store);
    return 0;
}

static void
a_root_that_cannot_be_written_means_a_new_file(void **state)
{
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    run_apart(fail_root_writes, path);
    help_remove_folder(path);
}

static int
data_fd(const char *path)
{
    int root = root_fd(path);
    struct stat data, other;

    for (int fd = 3; fd < 200 && root != -1 && fstat(root, &data) == 0; fd++)
        if (fd != root && fstat(fd, &other) == 0 && other.st_ino == data.st_ino &&
            (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR)
            return fd;
    return -1;
}

/* It takes no more writes, and later does. */
static int
refuse_writes(const char *path)
{
    struct store *store = help_open(path, 16 * MIB);
    int fd, kept, null;

    NEED(put_many(store, 0, 20, 5000) == 20);
    fd = data_fd(path);
    null = open("/dev/null", O_RDONLY);
    kept = dup(fd);
    NEED(fd != -1 && kept != -1 && dup2(null, fd) == fd);
    NEED(put_many(store, 100, 3, 5000) == 0);
    NEED(stats_read(STAT_store_disk_errors) > 0 && stats_read(STAT_store_commit_errors) > 0);
    NEED(dup2(kept, fd) == fd);
    NEED(put_many(store, 200, 20, 5000) == 20);
    NEED(found_of(store, 0, 20, 5000) == 20 || stats_read(STAT_store_evictions) > 0);
    NEED(stats_read(STAT_store_resets) == 0);
    (void)help_check(store);
    store_close(&store);
    return 0;
}

static void
a_disk_that_refuses_writes_is_lived_with(void **state)
{
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    run_apart(refuse_writes, path);
    help_remove_folder(path);
}

/* A reader that stays keeps every page from being used again. */
static int
use_up_pages(const char *path)
{
    struct store *store = help_open(path, 4 * MIB);
    struct store_reader *reader = help_reader(store);
    struct store_key key = help_key("many/0");
    struct store_cursor cursor = {.key = &key};
    struct help_object object = {.key = "again", .body_len = 60000};
    struct store_object found;
    struct help_wait waits[200];
    unsigned started = 0;

    NEED(put_many(store, 0, 1, 1000) == 1);
    store_read_begin(reader);
    NEED(store_find(reader, &cursor, &found));
    while (started < 200 && stats_read(STAT_store_map_full) == 0) {
        struct store_done done = help_done(&waits[started]);

        if (help_put_start(store, &object, done) == OK)
            started++;
        (void)usleep(2000);
    }
    NEED(wait_for_stat(STAT_store_map_full, 1));
    store_read_end(reader);
    for (unsigned i = 0; i < started; i++)
        NEED(help_wait_for(&waits[i], NULL) == OK);
    NEED(put_many(store, 100, 50, 50000) == 50);
    NEED(stats_read(STAT_store_resets) == 0);
    store_reader_free(&reader);
    (void)help_check(store);
    store_close(&store);
    return 0;
}

static void
a_map_without_free_pages_is_lived_with(void **state)
{
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    run_apart(use_up_pages, path);
    help_remove_folder(path);
}

/* --- what the kernel says by a signal --- */

/* The file is cut while it is in use. */
static int
read_a_cut_file(const char *path)
{
    struct store *store = help_open(path, 16 * MIB);
    char name[300];

    NEED(put_many(store, 0, 40, 50000) == 40);
    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    NEED(truncate(name, 8192) == 0);
    (void)found_of(store, 0, 40, 50000);
    return 1;
}

static void
a_cut_file_ends_one_run_and_not_the_next(void **state)
{
    int64_t damaged = stats_read(STAT_store_damaged_files);
    struct store *store;
    char path[256];
    int status;

    (void)state;
    help_new_folder(path, sizeof(path));
    status = status_apart(read_a_cut_file, path);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) > 1); /* a sanitizer's status */
    store = help_open(path, 16 * MIB);
    assert_int_equal(stats_read(STAT_store_damaged_files), damaged + 1);
    assert_int_equal(put_many(store, 0, 10, 50000), 10);
    assert_int_equal(found_of(store, 0, 10, 50000), 10);
    store_close(&store);
    help_remove_folder(path);
}

/* Any bit of the file may be another one: whatever a damaged tree does to one run, the next begins.
 */
static int
open_read_and_write(const char *path)
{
    struct store *store;

    (void)alarm(LOOPS_S);
    store = help_open(path, 16 * MIB);
    (void)found_of(store, 0, 60, 3000);
    (void)put_many(store, 500, 3, 30000);
    (void)found_of(store, 500, 3, 30000);
    store_close(&store);
    return 0;
}

static void
flip_bytes(const char *path, unsigned seed, unsigned n)
{
    char name[300], byte;
    struct stat st;
    int fd;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    fd = open(name, O_RDWR);
    assert_true(fd != -1 && fstat(fd, &st) == 0);
    for (unsigned i = 0; i < n; i++) {
        off_t at = 8192 + (off_t)(help_seed("flip") * (seed * 1000003ULL + i * 7919 + 1) %
                                  (uint64_t)(st.st_size - 8192));

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (char)(1U << ((seed + i) & 7));
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    (void)close(fd);
}

static void
flipped_bytes_never_keep_it_from_starting(void **state)
{
    unsigned rounds = getenv("BRINK_LONG") != NULL ? 400 : 5;

    (void)state;
    for (unsigned seed = 0; seed < rounds; seed++) {
        struct store *store;
        char path[256];

        help_new_folder(path, sizeof(path));
        store = help_open(path, 16 * MIB);
        put_at_once(store, 60, 3000);
        store_close(&store);
        flip_bytes(path, seed, 1U << seed % 8);
        for (unsigned run = 0, bad = 0; run < 3; run++) { /* after one that ends badly none does */
            int status = status_apart(open_read_and_write, path);

            if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
                print_message("round %u: the tree leads in circles\n", seed);
                break; /* nothing in the store looks for that */
            }
            if (status != 0)
                print_message("round %u: start %u ended with %d\n", seed, run, status);
            bad += status != 0;
            if (bad > 1)
                fail_msg("round %u: a second start ended badly", seed);
        }
        help_remove_folder(path);
    }
}

/* --- what refuses to start --- */

static enum err
try_to_open(const char *path, char *why, size_t why_cap)
{
    struct store_settings settings = {.path = path, .size_len = 16 * MIB, .readers_max = 4};
    struct store *store;
    enum err rc = store_open(&settings, &store, why, why_cap);

    if (rc == OK)
        store_close(&store);
    return rc;
}

static bool
says(const char *why, const char *path, const char *error, const char *remedy)
{
    print_message("%s\n", why);
    return strstr(why, path) != NULL && strstr(why, error) != NULL && strstr(why, remedy) != NULL &&
           strchr(why, '\n') == NULL;
}

static int
open_as_nobody(const char *path)
{
    char why[512];

    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return SKIPPED;
    if (try_to_open(path, why, sizeof(why)) != ERR_SYSTEM)
        return 1;
    return says(why, path, "Permission denied", "chown") ? 0 : 2;
}

static void
set_modes(const char *path, mode_t folder, mode_t lock, mode_t data)
{
    char name[300];

    (void)snprintf(name, sizeof(name), "%s/brink.lock", path);
    assert_int_equal(chmod(name, lock), 0);
    (void)snprintf(name, sizeof(name), "%s/lock.mdb", path);
    assert_int_equal(chmod(name, lock), 0);
    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    assert_int_equal(chmod(name, data), 0);
    assert_int_equal(chmod(path, folder), 0);
}

static void
no_permission_refuses_to_start(void **state)
{
    static const struct {
        const char *why;
        mode_t folder, lock, data;
    } cases[] = {
        {"the folder cannot be entered", 0700, 0666, 0666},
        {"the lock file cannot be written", 0777, 0644, 0666},
        {"the data file cannot be written", 0777, 0666, 0644},
        {"the data file cannot be read", 0777, 0666, 0600},
    };
    struct store *store;
    char path[256];

    (void)state;
    if (geteuid() != 0)
        skip();
    help_new_folder(path, sizeof(path));
    store = help_open(path, 16 * MIB);
    assert_int_equal(put_many(store, 0, 5, 1000), 5);
    store_close(&store);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        set_modes(path, cases[i].folder, cases[i].lock, cases[i].data);
        run_apart(open_as_nobody, path);
    }
    store = help_open(path, 16 * MIB);
    assert_int_equal(found_of(store, 0, 5, 1000), 5); /* nothing was touched */
    store_close(&store);
    help_remove_folder(path);
}

static int
open_read_only(const char *path)
{
    char why[512];

    if (!mount_small(path, "size=8m") ||
        mount("none", path, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) != 0)
        return SKIPPED;
    if (try_to_open(path, why, sizeof(why)) != ERR_SYSTEM)
        return 1;
    return says(why, path, "Read-only file system", "for writing") ? 0 : 2;
}

static void
a_read_only_file_system_refuses_to_start(void **state)
{
    char path[256];

    (void)state;
    help_new_folder(path, sizeof(path));
    run_apart(open_read_only, path);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_keeps_what_is_stored),
        cmocka_unit_test(a_start_on_a_full_disk_stands_by),
        cmocka_unit_test(a_root_that_cannot_be_written_means_a_new_file),
        cmocka_unit_test(a_disk_that_refuses_writes_is_lived_with),
        cmocka_unit_test(a_map_without_free_pages_is_lived_with),
        cmocka_unit_test(a_cut_file_ends_one_run_and_not_the_next),
        cmocka_unit_test(flipped_bytes_never_keep_it_from_starting),
        cmocka_unit_test(no_permission_refuses_to_start),
        cmocka_unit_test(a_read_only_file_system_refuses_to_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
