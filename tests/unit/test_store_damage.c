/* Files that are damaged, foreign or cut, a disk without room, memory without room: the store
 * serves on, or begins anew. */
#include "store_help.h"

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/stats.h"

#define MIB (1024ULL * 1024)

static uint64_t
file_len(const char *path)
{
    char name[300];
    FILE *file;
    long len;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    file = fopen(name, "r");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    len = ftell(file);
    (void)fclose(file);
    return (uint64_t)len;
}

static void
write_at(const char *path, uint64_t off, const void *bytes, size_t len)
{
    char name[300];
    int fd;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    fd = open(name, O_WRONLY);
    assert_true(fd != -1);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)off), len);
    (void)close(fd);
}

static bool
has_file(const char *path, const char *start)
{
    DIR *folder = opendir(path);
    const struct dirent *file;
    bool has = false;

    assert_non_null(folder);
    while ((file = readdir(folder)) != NULL)
        has |= strncmp(file->d_name, start, strlen(start)) == 0;
    (void)closedir(folder);
    return has;
}

static void
put_some(struct store *store, unsigned n)
{
    char key[32];

    for (unsigned i = 0; i < n; i++) {
        struct help_object object = {.key = key, .body_len = 1 + i * 1000};

        (void)snprintf(key, sizeof(key), "some/%u", i);
        assert_int_equal(help_put(store, &object, NULL), OK);
    }
}

static unsigned
found_of(struct store *store, unsigned n)
{
    struct store_reader *reader = help_reader(store);
    unsigned found = 0;
    char key[32];

    for (unsigned i = 0; i < n; i++) {
        struct help_object object = {.key = key, .body_len = 1 + i * 1000};

        (void)snprintf(key, sizeof(key), "some/%u", i);
        if (help_count(reader, key, NULL) > 0 && help_is_stored(reader, &object))
            found++;
    }
    store_reader_free(&reader);
    return found;
}

static void
make_store(char *path, size_t cap, unsigned n)
{
    struct store *store;

    help_new_folder(path, cap);
    store = help_open(path, 16 * MIB);
    put_some(store, n);
    store_close(&store);
}

static void
break_metas(const char *path)
{
    static const char garbage[8192] = "this is no database";

    write_at(path, 0, garbage, sizeof(garbage));
}

static void
break_one_byte_of_each_meta(const char *path)
{
    write_at(path, 16, "\0", 1); /* LMDB's magic number */
    write_at(path, 4096 + 16, "\0", 1);
}

static void
cut_in_half(const char *path)
{
    char name[300];

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    assert_int_equal(truncate(name, (off_t)(file_len(path) / 2 / 4096 * 4096)), 0);
}

static void
cut_to_a_few_bytes(const char *path)
{
    char name[300];

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    assert_int_equal(truncate(name, 100), 0);
}

/* Another program's database. */
static void
put_a_foreign_one(const char *path)
{
    MDB_val name = {3, "key"}, value = {5, "value"};
    char file[300];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    (void)snprintf(file, sizeof(file), "%s/data.mdb", path);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &name, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void
break_the_header(const char *path)
{
    char file[300], bytes[] = "brinkst\n", page[4096];
    FILE *in;
    uint64_t off = 0;

    (void)snprintf(file, sizeof(file), "%s/data.mdb", path);
    in = fopen(file, "r");
    assert_non_null(in);
    for (; fread(page, sizeof(page), 1, in) == 1; off += sizeof(page))
        for (size_t i = 0; i + 8 <= sizeof(page); i++)
            if (memcmp(page + i, bytes, 8) == 0)
                write_at(path, off + i, "BRINKST", 7);
    (void)fclose(in);
}

/* As a brink to come may write it. */
static void
raise_the_version(const char *path)
{
    char file[300], bytes[] = "brinkst\n", page[4096];
    FILE *in;
    uint64_t off = 0;

    (void)snprintf(file, sizeof(file), "%s/data.mdb", path);
    in = fopen(file, "r");
    assert_non_null(in);
    for (; fread(page, sizeof(page), 1, in) == 1; off += sizeof(page))
        for (size_t i = 0; i + 8 <= sizeof(page); i++)
            if (memcmp(page + i, bytes, 8) == 0)
                write_at(path, off + i + 8, "\x63", 1);
    (void)fclose(in);
}

/* The newer root, with another page size: LMDB finds the second root by that of the first. */
static void
change_the_page_size(const char *path)
{
    enum { SIZE_AT = 16 + 24, TXNID_AT = 16 + 24 + 2 * 48 + 8 };
    const uint32_t size = 8192;
    char file[300], metas[2][4096];
    uint64_t txnids[2];
    FILE *in;

    (void)snprintf(file, sizeof(file), "%s/data.mdb", path);
    in = fopen(file, "r");
    assert_non_null(in);
    assert_int_equal(fread(metas, sizeof(metas), 1, in), 1);
    (void)fclose(in);
    for (size_t i = 0; i < 2; i++) {
        memcpy(&txnids[i], metas[i] + TXNID_AT, sizeof(txnids[i]));
        memcpy(metas[i] + SIZE_AT, &size, sizeof(size));
    }
    write_at(path, 0, metas[txnids[1] > txnids[0]], sizeof(metas[0]));
    write_at(path, size, metas[txnids[1] > txnids[0]], sizeof(metas[0]));
}

/* In a folder that no brink ever used. */
static void
put_a_text_in_a_new_folder(const char *path)
{
    char file[300];

    break_metas(path);
    (void)snprintf(file, sizeof(file), "%s/brink.lock", path);
    assert_int_equal(unlink(file), 0);
}

static void
an_unusable_file_is_set_aside(void **state)
{
    static const struct {
        const char *why;
        void (*damage)(const char *path);
        enum counter counter;
        const char *name;
    } cases[] = {
        {"garbage where the roots are", break_metas, STAT_store_damaged_files, "data.mdb.bad-"},
        {"a wrong magic number", break_one_byte_of_each_meta, STAT_store_damaged_files,
         "data.mdb.bad-"},
        {"cut in half", cut_in_half, STAT_store_damaged_files, "data.mdb.bad-"},
        {"cut to a few bytes", cut_to_a_few_bytes, STAT_store_damaged_files, "data.mdb.bad-"},
        {"our header damaged", break_the_header, STAT_store_damaged_files, "data.mdb.bad-"},
        {"a version to come", raise_the_version, STAT_store_unknown_versions, "data.mdb.bad-"},
        {"another program's database", put_a_foreign_one, STAT_store_foreign_files,
         "data.mdb.foreign-"},
        {"pages of another length", change_the_page_size, STAT_store_foreign_files,
         "data.mdb.foreign-"},
        {"a file that is no database", put_a_text_in_a_new_folder, STAT_store_foreign_files,
         "data.mdb.foreign-"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t before = stats_read(cases[i].counter);
        struct store *store;
        char path[256];

        print_message("case: %s\n", cases[i].why);
        make_store(path, sizeof(path), 40);
        cases[i].damage(path);
        store = help_open(path, 16 * MIB);
        assert_true(store_is_ready(store));
        assert_int_equal(found_of(store, 40), 0);
        assert_true(has_file(path, cases[i].name));
        assert_int_equal(stats_read(cases[i].counter), before + 1);
        put_some(store, 10);
        assert_int_equal(found_of(store, 10), 10);
        (void)help_check(store);
        store_close(&store);
        store = help_open(path, 16 * MIB);
        assert_int_equal(found_of(store, 10), 10);
        store_close(&store);
        help_remove_folder(path);
    }
}

/* Bytes of records changed on the disk: dropped when they are looked at, others stay. */
static void
damaged_objects_are_dropped_alone(void **state)
{
    char path[256], file[300], page[4096];
    struct store_check check;
    struct store *store;
    unsigned broken = 0;
    uint64_t off = 0;
    FILE *in;

    (void)state;
    make_store(path, sizeof(path), 40);
    (void)snprintf(file, sizeof(file), "%s/data.mdb", path);
    in = fopen(file, "r");
    assert_non_null(in);
    for (; fread(page, sizeof(page), 1, in) == 1; off += sizeof(page)) {
        char *hit = memmem(page, sizeof(page), "some/7", 6);

        if (hit != NULL && broken++ < 1000)
            write_at(path, off + (uint64_t)(hit - page), "some/X", 6);
    }
    (void)fclose(in);
    assert_true(broken > 0);
    store = help_open(path, 16 * MIB);
    assert_int_equal(found_of(store, 40), 39);
    put_some(store, 1); /* behind the removal */
    assert_int_equal(store_check(store, &check), OK);
    assert_int_equal(check.bad, 0);
    assert_int_equal(check.objects, 39);
    store_close(&store);
    help_remove_folder(path);
}

static void
a_damaged_body_shows_in_a_check(void **state)
{
    struct help_object object = {.key = "body", .body_len = BLOCK_FULL_LEN};
    char path[256], file[300], page[4096], needle[16];
    struct store_check check;
    struct store *store;
    uint64_t off = 0;
    FILE *in;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 16 * MIB);
    assert_int_equal(help_put(store, &object, NULL), OK);
    store_close(&store);
    help_fill(needle, help_seed("body"), 1000, sizeof(needle));
    (void)snprintf(file, sizeof(file), "%s/data.mdb", path);
    in = fopen(file, "r");
    for (; in != NULL && fread(page, sizeof(page), 1, in) == 1; off += sizeof(page)) {
        char *hit = memmem(page, sizeof(page), needle, sizeof(needle));

        if (hit != NULL)
            write_at(path, off + (uint64_t)(hit - page), "!", 1);
    }
    (void)fclose(in);
    store = help_open(path, 16 * MIB);
    assert_int_equal(store_check(store, &check), OK);
    assert_int_equal(check.bad, 1);
    assert_int_equal(check.objects, 0);
    store_close(&store);
    help_remove_folder(path);
}

/* The tree itself breaks while the store is open, an object pinned and a put under way. */
static void
a_file_that_breaks_in_use_is_replaced(void **state)
{
    static const char zeros[4096];
    struct help_object large = {.key = "large", .body_len = MIB};
    struct store_key key = help_key("some/5"), large_key = help_key("large");
    struct store_cursor cursor = {.key = &key};
    struct store_reader *reader;
    struct store_object found;
    struct store_source source;
    struct store_put *put;
    struct store_pin pin;
    struct help_wait wait;
    struct store *store;
    struct iovec iov[1];
    char path[256];
    size_t n;

    (void)state;
    make_store(path, sizeof(path), 100);
    store = help_open(path, 16 * MIB);
    reader = help_reader(store);
    assert_int_equal(store_put_begin(store, &large_key, &put), OK);
    assert_int_equal(help_blocks(put, &large), OK);
    while (store_put_stored_len(put) != MIB / BLOCK_FULL_LEN * BLOCK_FULL_LEN)
        (void)usleep(1000); /* until the writer rests */
    store_read_begin(reader);
    assert_true(store_find(reader, &cursor, &found));
    assert_true(store_pin(reader, &found, &pin));
    store_read_end(reader);
    for (uint64_t off = 8192, end = file_len(path); off < end; off += sizeof(zeros))
        write_at(path, off, zeros, sizeof(zeros));
    assert_int_not_equal(help_put(store, &(struct help_object){.key = "x", .body_len = 9}, NULL),
                         OK);
    assert_true(has_file(path, "data.mdb.bad-"));
    put_some(store, 10);
    assert_int_equal(found_of(store, 100), 10);
    source = help_pinned(&pin);
    store_read_begin(reader);
    assert_int_equal(store_body(reader, &source, 0, 1, iov, 1, &n), ERR_NOT_FOUND);
    store_read_end(reader);
    store_unpin(&pin);
    if (help_end(put, &large, help_done(&wait)) == OK)
        assert_int_not_equal(help_wait_for(&wait, NULL), OK);
    store_put_release(&put);
    store_reader_free(&reader);
    put_some(store, 12);
    (void)help_check(store);
    store_close(&store);
    store = help_open(path, 16 * MIB);
    assert_int_equal(found_of(store, 100), 12);
    store_close(&store);
    help_remove_folder(path);
}

/* In a child, because the limit cannot be lifted again. Returns 0 when all went well. */
static int
fill_a_small_disk(const char *path)
{
    struct rlimit limit = {6 * MIB, 6 * MIB};
    struct store *store;
    unsigned stored = 0, last = 0;
    char key[32];

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    store = help_open(path, 32 * MIB);
    for (unsigned i = 0; i < 400; i++) {
        struct help_object object = {.key = key, .body_len = 40000};

        (void)snprintf(key, sizeof(key), "disk/%u", i);
        if (help_put(store, &object, NULL) == OK) {
            stored++;
            last = i;
        }
    }
    (void)snprintf(key, sizeof(key), "disk/%u", last);
    if (stored < 300 || last < 390)
        return 2; /* it has to go on in the room there is */
    if (help_check(store).objects < 50)
        return 3;
    store_close(&store);
    return 0;
}

static void
a_full_disk_is_lived_with(void **state)
{
    struct store *store;
    char path[256];
    pid_t child;
    int status;

    (void)state;
    help_new_folder(path, sizeof(path));
    child = fork();
    if (child == 0)
        _exit(fill_a_small_disk(path));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(file_len(path) <= 6 * MIB);
    store = help_open(path, 32 * MIB);
    assert_true(help_check(store).objects > 50);
    store_close(&store);
    help_remove_folder(path);
}

/* The index that a clean stop saves is never used when the store went on without it. */
static void
an_old_saved_index_is_not_used(void **state)
{
    char path[256], saved[300], kept[300];
    struct store *store;

    (void)state;
    make_store(path, sizeof(path), 20);
    assert_true(has_file(path, "index.save"));
    (void)snprintf(saved, sizeof(saved), "%s/index.save", path);
    (void)snprintf(kept, sizeof(kept), "%s/kept", path);
    assert_int_equal(link(saved, kept), 0);
    store = help_open(path, 16 * MIB);
    put_some(store, 30);
    store_close(&store);
    assert_int_equal(rename(kept, saved), 0); /* an old one in the place of the new */
    store = help_open(path, 16 * MIB);
    assert_int_equal(found_of(store, 30), 30);
    assert_int_equal(help_check(store).objects, 30);
    store_close(&store);
    help_remove_folder(path);
}

/* Each allocation of a scenario fails once: an error at most, and the store goes on. */
static void
failed_allocations_end_one_call(void **state)
{
    struct store *store;
    char path[256];

    (void)state;
    make_store(path, sizeof(path), 5);
    store = help_open(path, 16 * MIB);
    for (unsigned nth = 1; nth < 12; nth++) {
        struct store_key key = help_key("scarce");
        struct store_record record = {.meta = SLICE("m")};
        struct store_purge purge = {STORE_PURGE_LABEL, false, 5, SLICE_NONE};
        struct store_reader *reader = NULL;
        struct store_put *put = NULL;
        uint64_t id;

        mem_fail_at(nth);
        if (store_put_begin(store, &key, &put) == OK &&
            store_put_end(put, &record, NULL, (struct store_done){0}) != OK)
            assert_true(nth > 1);
        store_put_release(&put);
        if (store_purge(store, &purge, 1, (struct store_done){0}, &id) != OK)
            assert_true(nth <= 6);
        if (store_reader_new(store, &reader) == OK)
            (void)help_count(reader, "some/1", NULL);
        store_reader_free(&reader);
        mem_fail_at(0);
    }
    assert_int_equal(found_of(store, 5), 5);
    (void)help_check(store);
    store_close(&store);
    for (unsigned nth = 1; nth < 40; nth++) {
        struct store_settings settings = {
            .path = path, .size_len = 16 * MIB, .readers_max = 4, .scan_wait_ms = 20000};
        char why[256];

        mem_fail_at(nth);
        if (store_open(&settings, &store, why, sizeof(why)) == OK)
            store_close(&store);
        mem_fail_at(0);
    }
    store = help_open(path, 16 * MIB);
    assert_int_equal(found_of(store, 5), 5);
    store_close(&store);
    help_remove_folder(path);
}

/* Purges of keys are exact in the end even when they come before the index is whole. */
static void
a_purge_during_the_scan_is_exact(void **state)
{
    char path[256], why[300];
    struct store_settings settings = {.path = path, .size_len = 64 * MIB, .readers_max = 4};
    struct store_purge purges[3] = {{STORE_PURGE_KEY, false, 0, SLICE("scan/7")},
                                    {STORE_PURGE_KEY, false, 0, SLICE("scan/2999")},
                                    {STORE_PURGE_KEY, false, 0, SLICE("scan/none")}};
    struct store_reader *reader;
    struct store *store;
    uint64_t id;
    char key[32];

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 64 * MIB);
    for (unsigned i = 0; i < 3000; i++) {
        struct help_object object = {.key = key, .body_len = 100};

        (void)snprintf(key, sizeof(key), "scan/%u", i);
        assert_int_equal(help_put_start(store, &object, (struct store_done){0}), OK);
    }
    store_close(&store);
    (void)snprintf(why, sizeof(why), "%s/index.save", path);
    assert_int_equal(unlink(why), 0); /* as after a crash */
    assert_int_equal(store_open(&settings, &store, why, sizeof(why)), OK);
    assert_in_range(help_purge(store, purges, 3, &id), 0, 2); /* found so far */
    reader = help_reader(store);
    assert_int_equal(help_count(reader, "scan/7", NULL), 0);
    assert_true(store_wait_ready(store, 20000));
    assert_int_equal(help_count(reader, "scan/7", NULL), 0);
    assert_int_equal(help_count(reader, "scan/8", NULL), 1);
    store_reader_free(&reader);
    assert_int_equal(help_purge_finish(store, id), 2);
    assert_int_equal(help_check(store).objects, 2998);
    store_close(&store);
    help_remove_folder(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unusable_file_is_set_aside),
        cmocka_unit_test(damaged_objects_are_dropped_alone),
        cmocka_unit_test(a_damaged_body_shows_in_a_check),
        cmocka_unit_test(a_file_that_breaks_in_use_is_replaced),
        cmocka_unit_test(a_full_disk_is_lived_with),
        cmocka_unit_test(an_old_saved_index_is_not_used),
        cmocka_unit_test(failed_allocations_end_one_call),
        cmocka_unit_test(a_purge_during_the_scan_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
