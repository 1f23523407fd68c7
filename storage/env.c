/* Opening the file, and what to do when it cannot be used. */
#include "storage/env.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/mapfault.h"
#include "storage/pages.h"

enum {
    META_PAGES = 2,
    PATH_LEN = 4096,
    LOCK_SLOT_LEN = 64, /* of a reader, in LMDB's lock file */
    LOCK_HEAD_SLOTS = 3,
    FOLIO_PAGES = 4, /* larger ones make small writes dear, smaller ones make more of them */
    UNWRITTEN_PAGES_MAX = 65536, /* at the end of a file, allocated and freed at once */
    SPARE_PAGES = 4096           /* for evicting from a file that is too long */
};

enum err
env_err(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return OK;
    case MDB_NOTFOUND:
        return ERR_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return ERR_STORE_FULL;
    case MDB_READERS_FULL:
        return ERR_LIMIT;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return env_is_fatal(rc) ? ERR_STORE_CORRUPT : ERR_STORE_IO;
    }
}

bool
env_is_fatal(int rc)
{
    return rc == MDB_PANIC || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
           rc == MDB_VERSION_MISMATCH || rc == MDB_BAD_DBI || rc == MDB_INCOMPATIBLE ||
           rc == MDB_CURSOR_FULL;
}

uint64_t
env_used_pages(const struct env *env, MDB_txn *txn)
{
    const MDB_dbi dbis[] = {0, env->dbi}; /* 0: the list of free pages */
    uint64_t pages = META_PAGES;

    for (size_t i = 0; i < ARRAY_LEN(dbis); i++) {
        MDB_stat stat;

        if (mdb_stat(txn, dbis[i], &stat) == 0)
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    return pages;
}

uint64_t
env_file_pages(const struct env *env)
{
    MDB_envinfo info;

    (void)mdb_env_info(env->mdb, &info);
    return info.me_last_pgno + 1;
}

uint64_t
env_last_txnid(const struct env *env)
{
    MDB_envinfo info;

    (void)mdb_env_info(env->mdb, &info);
    return info.me_last_txnid;
}

/* A line of mdb_reader_list: process, thread, and the snapshot, a dash when there is none. */
static int
look_at_reader(const char *line, void *arg)
{
    const char *last = strrchr(line, ' ');
    uint64_t *oldest = arg;
    char *end;
    uint64_t txnid;

    if (last == NULL || last[1] < '0' || last[1] > '9')
        return 0;
    txnid = strtoull(last + 1, &end, 10);
    if (*end == '\n' && txnid < *oldest)
        *oldest = txnid;
    return 0;
}

uint64_t
env_reader_lag(const struct env *env)
{
    uint64_t oldest = UINT64_MAX, last;

    (void)mdb_reader_list(env->mdb, look_at_reader, &oldest);
    last = env_last_txnid(env);
    return oldest < last ? last - oldest : 0;
}

int
env_get(const struct env *env, MDB_txn *txn, uint64_t key, struct slice *out)
{
    MDB_val name = {sizeof(key), &key}, value;
    int rc = mdb_get(txn, env->dbi, &name, &value);

    if (rc == 0)
        *out = slice_of(value.mv_data, value.mv_size);
    return rc;
}

int
env_put_header(struct env *env, MDB_txn *txn)
{
    uint64_t key = 0;
    char bytes[RECORD_HEADER_LEN];
    MDB_val name = {sizeof(key), &key}, value = {sizeof(bytes), bytes};

    record_header_encode(&env->header, bytes);
    return mdb_put(txn, env->dbi, &name, &value, 0);
}

/* A rename is durable when its folder is. */
void
env_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd == -1)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

/* --- setting aside --- */

static void
remove_older_bad_files(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *file;

    if (folder == NULL)
        return;
    while ((file = readdir(folder)) != NULL)
        if (strncmp(file->d_name, "data.mdb.bad-", 13) == 0)
            (void)unlinkat(dirfd(folder), file->d_name, 0);
    (void)closedir(folder);
}

/* *out_to: what it is called now. */
static bool
move_file(const char *path, enum fault fault, bool keep, char out_to[PATH_LEN])
{
    const char *kind = fault == FAULT_FOREIGN ? "foreign" : "bad";
    char from[PATH_LEN];

    (void)snprintf(from, sizeof(from), "%s/data.mdb", path);
    (void)snprintf(out_to, PATH_LEN, "%s/data.mdb.%s-%lld", path, kind, (long long)time(NULL));
    if ((keep || fault == FAULT_FOREIGN) && rename(from, out_to) == 0)
        return true;
    if (fault == FAULT_FOREIGN)
        return false;
    (void)unlink(from);
    (void)snprintf(out_to, PATH_LEN, "removed");
    return true;
}

bool
env_set_aside(const char *path, enum fault fault, const char *error, bool keep)
{
    char to[PATH_LEN], lock[PATH_LEN];

    remove_older_bad_files(path);
    if (fault == FAULT_PANIC || fault == FAULT_DAMAGED || fault == FAULT_FOREIGN ||
        fault == FAULT_VERSION)
        fault_count(fault); /* the others were counted where they came up */
    if (!move_file(path, fault, keep, to))
        return false;
    (void)snprintf(lock, sizeof(lock), "%s/lock.mdb", path);
    (void)unlink(lock);
    STAT_INC(store_resets);
    LOG(ERROR, store_fault,
        "text=\"the store begins anew, empty; its old file may be deleted\" reason=\"%s\" "
        "path=\"%s\" error=\"%s\" old=\"%s\" do=\"%s\"",
        fault_what(fault), path, error, to, fault_remedy(fault));
    return true;
}

bool
env_is_too_long(const struct env *env)
{
    return env_file_pages(env) > env->map_pages;
}

bool
env_has_file(const char *path)
{
    char name[PATH_LEN];

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    return access(name, F_OK) == 0;
}

/* --- room on the disk --- */

int
env_reserve(const struct env *env, uint64_t pages)
{
    uint64_t from = env_file_pages(env), left = env->map_pages > from ? env->map_pages - from : 0;
    struct rlimit limit;
    int fd;

    if (pages > left)
        pages = left;
    if (pages == 0 || mdb_env_get_fd(env->mdb, &fd) != 0)
        return 0;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur / RECORD_PAGE_LEN < from + pages)
        return EFBIG;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)(from * RECORD_PAGE_LEN),
                  (off_t)(pages * RECORD_PAGE_LEN)) == 0)
        return 0;
    return fault_is_no_room(errno) ? errno : 0; /* else this file system cannot tell */
}

/* LMDB writes what a transaction adds in runs of megabytes, and the kernel (ext4 since 6.16) keeps
 * that in folios as long as the writes. A piece that is written into one later costs by the folio's
 * length: twice the CPU after ten laps. Short writes of zeros make short folios first; the commit
 * overwrites them before they are on their way to the disk. */
void
env_cut_folios(const struct env *env, MDB_txn *txn)
{
    static const char zeros[FOLIO_PAGES * RECORD_PAGE_LEN];
    uint64_t at = env_file_pages(env), end = env_used_pages(env, txn);
    int fd;

    if (mdb_env_get_fd(env->mdb, &fd) != 0)
        return;
    if (end > env->map_pages)
        end = env->map_pages;
    while (at < end) {
        uint64_t next = (at / FOLIO_PAGES + 1) * FOLIO_PAGES;
        size_t pages = (size_t)((next < end ? next : end) - at);

        if (pwrite(fd, zeros, pages * RECORD_PAGE_LEN, (off_t)(at * RECORD_PAGE_LEN)) == -1)
            return;
        at += pages;
    }
}

/* --- opening --- */

/* Pages at the end that were allocated and freed in one transaction are never written, so a file
 * may be shorter than its page count says. Lengthen it then, so that no read runs past the end
 * (SIGBUS), and see that only free pages were missing: otherwise it was cut. */
static int
check_free_pages(MDB_txn *txn, uint64_t file_pages, uint64_t pages)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t missing = pages - file_pages;
    int rc = mdb_cursor_open(txn, 0, &cursor);

    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        const char *at = value.mv_data; /* a count, then page numbers */

        for (size_t i = sizeof(size_t); i + sizeof(size_t) <= value.mv_size; i += sizeof(size_t)) {
            size_t pgno;

            memcpy(&pgno, at + i, sizeof(pgno));
            missing -= pgno >= file_pages && pgno < pages && missing > 0;
        }
    }
    mdb_cursor_close(cursor);
    if (rc != MDB_NOTFOUND)
        return rc;
    return missing == 0 ? 0 : MDB_CORRUPTED;
}

static int
check_length(const struct env *env, MDB_txn *txn)
{
    uint64_t pages = env_file_pages(env);
    off_t len;
    int fd;

    if (mdb_env_get_fd(env->mdb, &fd) != 0 || (len = lseek(fd, 0, SEEK_END)) == -1)
        return EIO;
    if ((uint64_t)len >= pages * RECORD_PAGE_LEN)
        return 0;
    if (ftruncate(fd, (off_t)(pages * RECORD_PAGE_LEN)) == -1)
        return EIO;
    return check_free_pages(txn, (uint64_t)len / RECORD_PAGE_LEN, pages);
}

static int
check_header(struct env *env, struct slice value)
{
    switch (record_header_decode(value, &env->header)) {
    case OK:
        return 0;
    case ERR_STORE_VERSION:
        return MDB_VERSION_MISMATCH;
    default:
        return MDB_CORRUPTED;
    }
}

/* Is what lies there ours? MDB_INCOMPATIBLE: no. MDB_NOTFOUND: nothing lies there. */
static int
check_content(struct env *env, MDB_txn *txn)
{
    struct slice value;
    unsigned flags;
    MDB_stat stat;
    int rc = mdb_dbi_open(txn, NULL, 0, &env->dbi);

    if (rc == 0)
        rc = mdb_stat(txn, env->dbi, &stat);
    if (rc == 0)
        rc = mdb_dbi_flags(txn, env->dbi, &flags);
    if (rc != 0)
        return rc;
    if (stat.ms_psize != RECORD_PAGE_LEN)
        return MDB_INCOMPATIBLE;
    if (stat.ms_entries == 0)
        return MDB_NOTFOUND;
    if ((flags & MDB_INTEGERKEY) == 0)
        return MDB_INCOMPATIBLE;
    rc = check_length(env, txn);
    if (rc != 0)
        return rc;
    rc = env_get(env, txn, 0, &value);
    if (rc != 0)
        return rc == MDB_NOTFOUND ? MDB_INCOMPATIBLE : rc;
    return check_header(env, value);
}

/* Not the same twice: what is saved beside the file names it. */
static uint64_t
new_id(void)
{
    struct timespec now;
    uint64_t id;

    if (getrandom(&id, sizeof(id), GRND_NONBLOCK) == (ssize_t)sizeof(id))
        return id;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int
begin_new(struct env *env)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);

    if (rc != 0)
        return rc;
    if (env->header.oid_next == 0)
        env->header.oid_next = 1;
    env->header.store_id = new_id();
    rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &env->dbi);
    if (rc == 0)
        rc = env_put_header(env, txn);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int
check_or_begin(struct env *env)
{
    struct record_header header = env->header;
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return rc;
    rc = check_content(env, txn);
    mdb_txn_abort(txn);
    if (rc != MDB_NOTFOUND)
        return rc;
    env->header = header;
    return begin_new(env);
}

/* LMDB writes to its lock file through a mapping, which on a full disk ends the process (SIGBUS),
 * unless the file has all of its blocks before. */
static int
reserve_lock_file(const char *path, unsigned readers_max)
{
    off_t len = ((off_t)readers_max + LOCK_HEAD_SLOTS) * LOCK_SLOT_LEN;
    char name[PATH_LEN];
    int fd, rc;

    (void)snprintf(name, sizeof(name), "%s/lock.mdb", path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd == -1)
        return errno;
    rc = posix_fallocate(fd, 0, (len / RECORD_PAGE_LEN + 1) * RECORD_PAGE_LEN);
    (void)close(fd);
    return rc;
}

/* What a disk without room left of a file that was to be begun is no file of anybody's. */
static void
remove_stub(const char *path)
{
    char name[PATH_LEN];
    struct stat st;

    (void)snprintf(name, sizeof(name), "%s/data.mdb", path);
    if (stat(name, &st) == 0 && st.st_size < META_PAGES * (off_t)RECORD_PAGE_LEN)
        (void)unlink(name);
}

static void
on_lmdb_assert(MDB_env *env, const char *what)
{
    (void)env;
    LOG(ERROR, store_fault, "text=\"the store's file is damaged\" error=\"%s\"", what);
    mapfault_leave_mark(); /* LMDB aborts then */
}

static uint64_t
file_len(const struct env *env)
{
    struct stat st;
    int fd;

    return mdb_env_get_fd(env->mdb, &fd) == 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* LMDB maps no less than there is; deleting takes some pages more. A page count that is far beyond
 * the file's end is no count. */
static int
map_all(struct env *env)
{
    env->mapped_pages = env->map_pages;
    if (!env_is_too_long(env))
        return 0;
    if (env_file_pages(env) > file_len(env) / RECORD_PAGE_LEN + UNWRITTEN_PAGES_MAX)
        return MDB_CORRUPTED;
    env->mapped_pages = env_file_pages(env) + SPARE_PAGES;
    return mdb_env_set_mapsize(env->mdb, env->mapped_pages * RECORD_PAGE_LEN);
}

static int
try_open(struct env *env, const char *path, uint64_t size_len, unsigned readers_max)
{
    int rc = mdb_env_create(&env->mdb);

    if (rc != 0)
        return rc;
    env->map_pages = size_len / RECORD_PAGE_LEN;
    rc = mdb_env_set_mapsize(env->mdb, env->map_pages * RECORD_PAGE_LEN);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env->mdb, readers_max);
    if (rc == 0)
        rc = mdb_env_set_assert(env->mdb, on_lmdb_assert);
    if (rc == 0)
        rc = reserve_lock_file(path, readers_max);
    if (rc == 0)
        rc = mdb_env_open(env->mdb, path, MDB_NOTLS | MDB_NORDAHEAD, 0640);
    if (rc == 0)
        rc = map_all(env);
    if (rc == 0)
        rc = check_or_begin(env);
    if (rc == 0)
        rc = pages_find_map(env);
    if (rc != 0)
        env_close(env);
    return rc;
}

/* Some address of the map tells where it lies. */
static void
find_map(const struct env *env)
{
    struct slice header;
    MDB_txn *txn;

    if (mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn) != 0)
        return;
    if (env_get(env, txn, 0, &header) == 0)
        mapfault_map(header.ptr, env->mapped_pages * RECORD_PAGE_LEN);
    mdb_txn_abort(txn);
}

static const char *
open_remedy(int rc)
{
    switch (rc) {
    case EACCES:
    case EPERM:
        return "its files belong to another user: give them to this one (chown), or set another "
               "path";
    case EROFS:
        return "its file system is read-only: mount it for writing, or set another path";
    case ENOMEM:
        return "there is no memory, or no address space for a map of store.size: give it more, or "
               "make it smaller";
    case EMFILE:
    case ENFILE:
        return "no descriptor is left: raise ulimit -n";
    default:
        return "see that the folder is there, and that its disk is sound and has room";
    }
}

static enum err
open_err(int rc)
{
    if (rc == ENOMEM)
        return ERR_NOMEM;
    return rc == EIO || fault_is_no_room(rc) ? ERR_STORE_IO : ERR_SYSTEM;
}

enum err
env_open(struct env *env, const char *path, uint64_t size_len, unsigned readers_max, bool ours,
         char *why, size_t why_cap)
{
    int rc = try_open(env, path, size_len, readers_max);

    if (env_is_fatal(rc)) {
        if (!env_set_aside(path, fault_at_open(rc, ours), mdb_strerror(rc), true)) {
            (void)snprintf(why, why_cap,
                           "%s/data.mdb is not brink's and cannot be renamed: %s; move it away, or "
                           "set another path",
                           path, strerror(errno));
            return ERR_SYSTEM;
        }
        rc = try_open(env, path, size_len, readers_max);
    }
    if (fault_is_no_room(rc) || rc == EIO) { /* room first, looking at old files later */
        remove_older_bad_files(path);
        remove_stub(path);
        rc = try_open(env, path, size_len, readers_max);
    }
    if (rc == 0) {
        find_map(env);
        return OK;
    }
    if (open_err(rc) == ERR_STORE_IO) {
        fault_count(fault_of(rc, env, path));
        remove_stub(path);
    }
    (void)snprintf(why, why_cap, "cannot open the store in %s: %s; %s", path, mdb_strerror(rc),
                   open_remedy(rc));
    return open_err(rc);
}

void
env_close(struct env *env)
{
    if (env->mdb != NULL)
        mdb_env_close(env->mdb);
    env->mdb = NULL;
    env->map = NULL;
}

/* --- a second file --- */

static void
new_name(const char *path, char out[PATH_LEN])
{
    (void)snprintf(out, PATH_LEN, "%s/data.mdb.new", path);
}

void
env_remove_new(const char *path)
{
    char name[PATH_LEN];

    new_name(path, name);
    (void)unlink(name);
}

int
env_begin_new(struct env *env, const char *path, uint64_t size_len)
{
    const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | MDB_NOSYNC | MDB_NOLOCK;
    char name[PATH_LEN];
    int rc = mdb_env_create(&env->mdb);

    if (rc != 0)
        return rc;
    env_remove_new(path);
    new_name(path, name);
    env->header = (struct record_header){0};
    env->map_pages = env->mapped_pages = size_len / RECORD_PAGE_LEN;
    rc = mdb_env_set_mapsize(env->mdb, env->map_pages * RECORD_PAGE_LEN);
    if (rc == 0)
        rc = mdb_env_open(env->mdb, name, flags, 0640);
    if (rc == 0)
        rc = begin_new(env);
    if (rc != 0) {
        env_close(env);
        env_remove_new(path);
    }
    return rc;
}

bool
env_replace_by_new(const char *path)
{
    char from[PATH_LEN], to[PATH_LEN];

    new_name(path, from);
    (void)snprintf(to, sizeof(to), "%s/data.mdb", path);
    if (rename(from, to) == -1)
        return false;
    env_sync_folder(path);
    return true;
}
