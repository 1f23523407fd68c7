/* soak-check FOLDER SIZE [empty]: opens a store that nobody uses, reads every object and accounts
 * for every page. With `empty`, everything is purged afterwards, and nothing may be left in use:
 * what no index knows would show. Prints one line of key=value; 0 when all is right. */
#include <inttypes.h>
#include <lmdb.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/store.h"

enum {
    SCAN_WAIT_MS = 300000,
    POLL_US = 20000,
    POLLS_MAX = 1500,
    EMPTY_PAGES_MAX = 40, /* of a store without objects */
    LIST_PAGES_PART = 256 /* of the file: the list of free pages, 8 bytes each, twice at most */
};

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
    struct store_purge_status status = {.finished = false};
    uint64_t id;

    is_purged = false;
    if (store_purge(store, &what, 1, (struct store_done){on_purged, NULL}, &id) != OK)
        return false;
    (void)pthread_mutex_lock(&lock);
    while (!is_purged)
        (void)pthread_cond_wait(&wake, &lock);
    (void)pthread_mutex_unlock(&lock);
    for (unsigned i = 0; i < POLLS_MAX && !status.finished; i++) {
        if (store_purge_status(store, id, &status) != OK)
            return false;
        if (!status.finished)
            (void)usleep(POLL_US);
    }
    return status.finished;
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

int
main(int argc, char **argv)
{
    struct store_settings settings = {
        .readers_max = 4, .scan_wait_ms = SCAN_WAIT_MS, .batch_ms = 5};
    struct store *store;
    struct store_check found;
    char why[512];
    bool right;

    if (argc < 3 || slice_to_bytes(slice_from_str(argv[2]), &settings.size_len) != OK) {
        (void)fprintf(stderr, "usage: soak-check FOLDER SIZE [empty]\n");
        return 2;
    }
    settings.path = argv[1];
    log_set_level(LOG_WARN);
    if (store_open(&settings, &store, why, sizeof(why)) != OK) {
        (void)fprintf(stderr, "%s\n", why);
        return 2;
    }
    right = store_wait_ready(store, SCAN_WAIT_MS) && check(store, &found);
    printf("objects=%" PRIu64 " bytes=%" PRIu64 " bad=%" PRIu64 " used=%" PRIu64 " free=%" PRIu64
           " file=%" PRIu64 " ",
           found.objects, found.bytes, found.bad, found.used_pages, found.free_pages,
           found.file_pages);
    if (right && argc > 3)
        right = purge_all(store);
    store_close(&store); /* deletes what was removed and still lies there */
    if (right && argc > 3) {
        uint64_t left = records_left(argv[1]);

        printf("left=%" PRIu64 " ", left);
        right = left <= 1;
    }
    printf("right=%d\n", right);
    return right ? 0 : 1;
}
