/* soak-check FOLDER SIZE [empty]: opens a store that nobody uses, reads every object and accounts
 * for every page. With `empty`, everything is purged afterwards, and nothing may be left in use:
 * what no index knows would show. Prints one line of key=value; 0 when all is right. */
#include <inttypes.h>
#include <lmdb.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/store.h"

enum { SCAN_WAIT_MS = 300000, POLL_US = 20000, POLLS_MAX = 1500, READERS_MAX = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool is_purged;

static void
on_purged(void *arg, enum err rc, uint64_t n)
{
    (void)pthread_mutex_lock(&lock);
    is_purged = true;
    (void)pthread_cond_signal(&wake);
    (void)pthread_mutex_unlock(&lock);
}

static bool
purge(struct store *store, struct store_purge what)
{
    struct store_purge_status status = {0};
    uint64_t id;

    is_purged = false;
    if (store_purge(store, &what, 1, (struct store_done){on_purged, NULL}, &id) != OK)
        return false;
    (void)pthread_mutex_lock(&lock);
    while (!is_purged)
        (void)pthread_cond_wait(&wake, &lock);
    (void)pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < POLLS_MAX && status.state != STORE_PURGE_DONE; i++) {
        if (store_purge_status(store, id, &status) != OK)
            return false;
        if (status.state != STORE_PURGE_DONE)
            (void)usleep(POLL_US);
    }
    return status.state == STORE_PURGE_DONE;
}

static bool
check(struct store *store, struct store_check *found)
{
    *found = (struct store_check){0};
    return store_check(store, found) == OK && found->bad == 0 &&
           found->used_pages + found->free_pages == found->file_pages;
}

static bool
purge_all(struct store *store)
{
    struct store_check found;

    return purge(store, (struct store_purge){.kind = STORE_PURGE_ALL}) && check(store, &found) &&
           found.objects == 0;
}

/* Records in the file; the store is closed. */
static uint64_t
records_left(const char *folder)
{
    MDB_env *env;
    MDB_stat stat = {.ms_entries = 0};
    int rc = mdb_env_create(&env);

    if (rc == 0)
        rc = mdb_env_open(env, folder, MDB_RDONLY, 0);
    if (rc == 0)
        rc = mdb_env_stat(env, &stat);
    if (rc != 0)
        (void)fprintf(stderr, "%s: %s\n", folder, mdb_strerror(rc));
    mdb_env_close(env);
    return rc == 0 ? stat.ms_entries : UINT64_MAX;
}

static struct store *
open_store(const char *folder, uint64_t size_len)
{
    struct store_settings settings = {.path = folder,
                                      .size_len = size_len,
                                      .readers_max = READERS_MAX,
                                      .scan_wait_ms = SCAN_WAIT_MS,
                                      .batch_ms = 5};
    struct store *store;
    char why[512];

    if (store_open(&settings, &store, why, sizeof(why)) != OK) {
        (void)fprintf(stderr, "%s\n", why);
        exit(2);
    }
    return store;
}

/* What was removed goes slice by slice, and a later start goes on with it: until nothing is left,
 * or what is left becomes no less. */
static bool
comes_to_nothing(const char *folder, uint64_t size_len)
{
    struct store_purge turn = {.kind = STORE_PURGE_KEY, .text = SLICE("nothing")};
    uint64_t left = records_left(folder), before = UINT64_MAX;

    while (left > 1 && left < before) {
        struct store *store = open_store(folder, size_len);

        if (!purge(store, turn) || !purge(store, turn)) /* two turns of the writer */
            return false;
        store_close(&store);
        before = left;
        left = records_left(folder);
    }
    printf("left=%" PRIu64 " ", left);
    return left <= 1; /* the header */
}

int
main(int argc, char **argv)
{
    struct store_check found = {0};
    struct store *store;
    uint64_t size_len;
    bool right;

    if (argc < 3 || slice_to_bytes(slice_from_str(argv[2]), &size_len) != OK) {
        (void)fprintf(stderr, "usage: soak-check FOLDER SIZE [empty]\n");
        return 2;
    }
    log_set_level(LOG_WARN);
    store = open_store(argv[1], size_len);
    right = store_wait_ready(store, SCAN_WAIT_MS) && check(store, &found);
    printf("objects=%" PRIu64 " bytes=%" PRIu64 " bad=%" PRIu64 " used=%" PRIu64 " free=%" PRIu64
           " file=%" PRIu64 " ",
           found.objects, found.bytes, found.bad, found.used_pages, found.free_pages,
           found.file_pages);
    if (right && argc > 3)
        right = purge_all(store);
    store_close(&store);
    if (right && argc > 3)
        right = comes_to_nothing(argv[1], size_len);
    printf("right=%d\n", right);
    return right ? 0 : 1;
}
