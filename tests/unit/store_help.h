/* For tests of the store: a store in a folder of its own, and calls that wait. Bodies are derived
 * from the key, so that any content can be checked later. */
#ifndef BRINK_TESTS_STORE_HELP_H
#define BRINK_TESTS_STORE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/store.h"

struct help_wait {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned called;
    enum err rc;
    uint64_t n;
};

static inline void
help_wait_init(struct help_wait *wait)
{
    *wait = (struct help_wait){0};
    (void)pthread_mutex_init(&wait->lock, NULL);
    (void)pthread_cond_init(&wait->wake, NULL);
}

static inline void
help_wait_called(void *arg, enum err rc, uint64_t n)
{
    struct help_wait *wait = arg;

    (void)pthread_mutex_lock(&wait->lock);
    wait->called++;
    wait->rc = rc;
    wait->n = n;
    (void)pthread_cond_broadcast(&wait->wake);
    (void)pthread_mutex_unlock(&wait->lock);
}

/* The result; *out_n may be NULL. The wait is used up. */
static inline enum err
help_wait_for(struct help_wait *wait, uint64_t *out_n)
{
    enum err rc;

    (void)pthread_mutex_lock(&wait->lock);
    while (wait->called == 0)
        (void)pthread_cond_wait(&wait->wake, &wait->lock);
    assert_int_equal(wait->called, 1);
    rc = wait->rc;
    if (out_n != NULL)
        *out_n = wait->n;
    (void)pthread_mutex_unlock(&wait->lock);
    (void)pthread_cond_destroy(&wait->wake);
    (void)pthread_mutex_destroy(&wait->lock);
    return rc;
}

static inline struct store_done
help_done(struct help_wait *wait)
{
    help_wait_init(wait);
    return (struct store_done){help_wait_called, wait};
}

/* --- folders --- */

static inline void
help_remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *file;

    if (folder == NULL)
        return;
    while ((file = readdir(folder)) != NULL)
        (void)unlinkat(dirfd(folder), file->d_name, 0);
    (void)closedir(folder);
    (void)rmdir(path);
}

static inline void
help_new_folder(char *path, size_t cap)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(path, cap, "%s/brink-store-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(path));
}

static inline struct store *
help_open(const char *path, uint64_t size_len)
{
    struct store_settings settings = {.path = path,
                                      .size_len = size_len,
                                      .batch_ms = 2,
                                      .readers_max = 16,
                                      .scan_wait_ms = 20000};
    struct store *store = NULL;
    char why[512];

    if (store_open(&settings, &store, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    return store;
}

/* --- objects --- */

static inline struct store_key
help_key(const char *text)
{
    struct slice slice = slice_from_str(text);

    return (struct store_key){.hash = store_hash(slice), .text = slice};
}

/* Byte `at` of the body of a key with this seed. */
static inline char
help_byte(uint64_t seed, uint64_t at)
{
    uint64_t x = (seed + (at >> 3)) * 0x9e3779b97f4a7c15U;

    x ^= x >> 29;
    return (char)(x >> (8 * (at & 7)));
}

static inline uint64_t
help_seed(const char *text)
{
    return store_hash(slice_from_str(text)).lo;
}

static inline void
help_fill(char *to, uint64_t seed, uint64_t at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = help_byte(seed, at + i);
}

struct help_object {
    const char *key;
    uint64_t body_len, variant;
    const uint64_t *labels;
    size_t labels_n;
    uint64_t body_seed; /* 0: of the key */
    uint32_t group;
    uint8_t member;
    uint64_t family;
};

static inline uint64_t
help_body_seed(const struct help_object *object)
{
    return object->body_seed != 0 ? object->body_seed : help_seed(object->key);
}

/* Full pieces, as a fill would give them; not the rest. */
static inline enum err
help_blocks(struct store_put *put, const struct help_object *object)
{
    enum err rc = OK;

    for (uint64_t off = 0; off + BLOCK_FULL_LEN <= object->body_len && rc == OK;
         off += BLOCK_FULL_LEN) {
        struct block *block = block_new(BLOCK_FULL_LEN);

        assert_non_null(block);
        help_fill(block->data, help_body_seed(object), off, BLOCK_FULL_LEN);
        block->len = BLOCK_FULL_LEN;
        rc = store_put_block(put, block, (struct store_done){0});
        block_unref(&block);
    }
    return rc;
}

static inline enum err
help_end(struct store_put *put, const struct help_object *object, struct store_done done)
{
    struct store_record record = {.member = object->member,
                                  .variant = object->variant,
                                  .family = object->family,
                                  .meta = slice_from_str("meta"),
                                  .head = slice_from_str("HTTP/1.1 200 OK\r\n\r\n"),
                                  .labels = object->labels,
                                  .labels_n = object->labels_n};
    uint32_t rest_len = (uint32_t)(object->body_len % BLOCK_FULL_LEN);
    struct block *rest = rest_len == 0 ? NULL : block_new(rest_len);
    enum err rc;

    if (rest != NULL) {
        help_fill(rest->data, help_body_seed(object), object->body_len - rest_len, rest_len);
        rest->len = rest_len;
    }
    rc = store_put_end(put, &record, rest, done);
    block_unref(&rest);
    return rc;
}

/* Store, without waiting. */
static inline enum err
help_put_start(struct store *store, const struct help_object *object, struct store_done done)
{
    struct store_key key = help_key(object->key);
    struct store_put *put;
    enum err rc;

    key.group = object->group;
    rc = store_put_begin(store, &key, &put);
    assert_int_equal(rc, OK);
    rc = help_blocks(put, object);
    if (rc == OK)
        rc = help_end(put, object, done);
    store_put_release(&put);
    return rc;
}

static inline enum err
help_put(struct store *store, const struct help_object *object, uint64_t *out_oid)
{
    struct help_wait wait;
    struct store_done done = help_done(&wait);
    enum err rc = help_put_start(store, object, done);

    if (rc != OK)
        return rc;
    return help_wait_for(&wait, out_oid);
}

static inline struct store_source
help_source(const struct store_object *object)
{
    return (struct store_source){object->oid, object->body_len, object->slot};
}

static inline struct store_source
help_pinned(const struct store_pin *pin)
{
    return (struct store_source){pin->oid, pin->body_len, pin->slot};
}

/* The body, piece by piece, is what help_put made. */
static inline bool
help_body_is(struct store_reader *reader, struct store_source source, uint64_t seed)
{
    for (uint64_t off = 0; off < source.body_len;) {
        struct iovec iov[8];
        size_t n = 0;

        if (store_body(reader, &source, off, UINT64_MAX, iov, 8, &n) != OK || n == 0)
            return false;
        for (size_t i = 0; i < n; i++) {
            const char *at = iov[i].iov_base;

            for (size_t k = 0; k < iov[i].iov_len; k += k + 61 < iov[i].iov_len ? 61 : 1)
                if (at[k] != help_byte(seed, off + k))
                    return false;
            off += iov[i].iov_len;
        }
    }
    return true;
}

/* How many objects has a key; the newest into *out (its numbers, not its slices). */
static inline unsigned
help_count(struct store_reader *reader, const char *text, struct store_object *out)
{
    struct store_key key = help_key(text);
    struct store_cursor cursor = {.key = &key};
    struct store_object object;
    unsigned n = 0;

    store_read_begin(reader);
    while (store_find(reader, &cursor, &object)) {
        if (n++ == 0 && out != NULL)
            *out = object;
        assert_true(slice_equal(object.key, key.text));
    }
    store_read_end(reader);
    return n;
}

/* The newest object of the key is whole and right. */
static inline bool
help_is_stored(struct store_reader *reader, const struct help_object *object)
{
    struct store_key key = help_key(object->key);
    struct store_cursor cursor = {.key = &key};
    struct store_object found;
    bool right;

    store_read_begin(reader);
    right = store_find(reader, &cursor, &found) && found.body_len == object->body_len &&
            found.variant == object->variant && slice_is(found.meta, "meta") &&
            help_body_is(reader, help_source(&found), help_body_seed(object));
    if (right)
        store_touch(reader, &found);
    store_read_end(reader);
    return right;
}

static inline struct store_reader *
help_reader(struct store *store)
{
    struct store_reader *reader = NULL;

    assert_int_equal(store_reader_new(store, &reader), OK);
    return reader;
}

/* A store and a reader of it, from set-up to tear-down. */
struct help_fixture {
    char path[256];
    struct store *store;
    struct store_reader *reader;
};

static inline int
help_set_up(void **state, uint64_t size_len)
{
    static struct help_fixture fixture;

    help_new_folder(fixture.path, sizeof(fixture.path));
    fixture.store = help_open(fixture.path, size_len);
    fixture.reader = help_reader(fixture.store);
    *state = &fixture;
    return 0;
}

static inline int
help_tear_down(void **state)
{
    struct help_fixture *fixture = *state;

    store_reader_free(&fixture->reader);
    store_close(&fixture->store);
    help_remove_folder(fixture->path);
    return 0;
}

/* Changes the byte at `at` of the body of this seed on the disk, in every copy there is; returns
 * how many there were. */
static inline unsigned
help_flip_seed(const char *path, uint64_t seed, uint64_t at)
{
    char name[300], needle[24], page[4096], wrong;
    uint64_t off = 0;
    unsigned n = 0;
    int fd;

    help_fill(needle, seed, at, sizeof(needle));
    wrong = (char)(needle[0] ^ 0x40);
    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    fd = open(name, O_RDWR);
    assert_true(fd != -1);
    for (; pread(fd, page, sizeof(page), (off_t)off) == (ssize_t)sizeof(page);
         off += sizeof(page)) {
        const char *hit = memmem(page, sizeof(page), needle, sizeof(needle));

        if (hit == NULL)
            continue;
        assert_int_equal(pwrite(fd, &wrong, 1, (off_t)(off + (uint64_t)(hit - page))), 1);
        n++;
    }
    (void)close(fd);
    return n;
}

static inline unsigned
help_flip(const char *path, const char *text, uint64_t at)
{
    return help_flip_seed(path, help_seed(text), at);
}

/* Everything is right, and no page is lost. */
static inline struct store_check
help_check(struct store *store)
{
    struct store_check check = {0};

    assert_int_equal(store_check(store, &check), OK);
    assert_int_equal(check.bad, 0);
    assert_int_equal(check.used_pages + check.free_pages, check.file_pages);
    return check;
}

/* A purge, waited for: the number that key rows matched. */
static inline uint64_t
help_purge(struct store *store, const struct store_purge *purges, size_t n, uint64_t *out_id)
{
    struct help_wait wait;
    struct store_done done = help_done(&wait);
    uint64_t id, matched;

    assert_int_equal(store_purge(store, purges, n, done, &id), OK);
    assert_int_equal(help_wait_for(&wait, &matched), OK);
    if (out_id != NULL)
        *out_id = id;
    return matched;
}

/* Until the purge's sweep is done: what it matched in all. */
static inline uint64_t
help_purge_finish(struct store *store, uint64_t id)
{
    struct store_purge_status status;

    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(store_purge_status(store, id, &status), OK);
        if (status.state == STORE_PURGE_DONE)
            return status.matched;
        (void)usleep(1000);
    }
    fail_msg("the purge does not end");
    return 0;
}

/* --- processes that are killed --- */

/* How often: `n` times, or what BRINK_KILLS says. */
static inline unsigned
help_kills(unsigned n)
{
    const char *env = getenv("BRINK_KILLS");

    return env == NULL ? n : (unsigned)strtoul(env, NULL, 10);
}

/* That is how it ended, or ends. */
static inline void
help_is_killed(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static inline void
help_kill(pid_t child, unsigned after_us)
{
    assert_true(child > 0);
    (void)usleep(after_us);
    assert_int_equal(kill(child, SIGKILL), 0);
    help_is_killed(child);
}

/* --- the end --- */

/* With everything purged only the list of free pages is in use: nothing was left out of the index.
 */
static inline void
help_empty(struct store *store)
{
    struct store_purge all = {.kind = STORE_PURGE_ALL};
    struct store_check check;
    uint64_t id;

    (void)help_purge(store, &all, 1, &id);
    (void)help_purge_finish(store, id);
    for (unsigned i = 0; i < 100; i++) { /* what is doomed goes a little later */
        check = help_check(store);
        if (check.used_pages < 60)
            break;
        (void)usleep(20000);
    }
    assert_int_equal(check.objects, 0);
    assert_true(check.used_pages < 60);
}

#endif
