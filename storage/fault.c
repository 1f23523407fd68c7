/* One table of faults: words and counters. */
#include "storage/fault.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "storage/env.h"

enum { ROOM_MIN = 1 << 20 }; /* a disk with less is a full one */

bool
fault_is_no_room(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

static bool
disk_is_full(const char *path)
{
    struct statvfs disk;

    return statvfs(path, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < ROOM_MIN;
}

/* RLIMIT_FSIZE: a write across it is short, as on a full disk. */
static bool
file_is_at_limit(const struct env *env)
{
    struct rlimit limit;

    return env->mdb != NULL && getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           limit.rlim_cur != RLIM_INFINITY &&
           env->map_pages * RECORD_PAGE_LEN > (uint64_t)limit.rlim_cur;
}

enum fault
fault_of(int rc, const struct env *env, const char *path)
{
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL)
        return FAULT_MAP_FULL;
    if (rc == MDB_PANIC)
        return FAULT_PANIC;
    if (rc == MDB_MAP_RESIZED)
        return FAULT_SMALLER;
    if (env_is_fatal(rc))
        return FAULT_DAMAGED;
    if (rc == ENOMEM)
        return FAULT_MEMORY;
    if (fault_is_no_room(rc) || (rc == EIO && (disk_is_full(path) || file_is_at_limit(env))))
        return FAULT_DISK_FULL;
    return FAULT_DISK;
}

enum fault
fault_at_open(int rc, bool ours)
{
    switch (rc) {
    case MDB_VERSION_MISMATCH:
        return FAULT_VERSION;
    case MDB_INCOMPATIBLE:
        return FAULT_FOREIGN;
    case MDB_INVALID: /* no LMDB file, or one whose roots are gone */
        return ours ? FAULT_DAMAGED : FAULT_FOREIGN;
    default:
        return FAULT_DAMAGED;
    }
}

const char *
fault_what(enum fault fault)
{
    static const char *const words[] = {
#define FAULT(name, what, remedy) what,
        FAULTS(FAULT)
#undef FAULT
    };

    return words[fault];
}

const char *
fault_remedy(enum fault fault)
{
    static const char *const words[] = {
#define FAULT(name, what, remedy) remedy,
        FAULTS(FAULT)
#undef FAULT
    };

    return words[fault];
}

void
fault_count(enum fault fault)
{
    switch (fault) {
    case FAULT_MAP_FULL:
        STAT_INC(store_map_full);
        break;
    case FAULT_DISK_FULL:
        STAT_INC(store_disk_full);
        break;
    case FAULT_DISK:
        STAT_INC(store_disk_errors);
        break;
    case FAULT_PANIC:
        STAT_INC(store_panics);
        break;
    case FAULT_DAMAGED:
        STAT_INC(store_damaged_files);
        break;
    case FAULT_FOREIGN:
        STAT_INC(store_foreign_files);
        break;
    case FAULT_VERSION:
        STAT_INC(store_unknown_versions);
        break;
    case FAULT_MEMORY:
        STAT_INC(store_out_of_memory);
        break;
    case FAULT_SMALLER: /* no fault of the file's */
        break;
    }
}

void
fault_tell(enum fault fault, const char *path, const char *error)
{
    LOG(WARN, store_fault, "text=\"%s\" path=\"%s\" error=\"%s\" do=\"%s\"", fault_what(fault),
        path, error, fault_remedy(fault));
}
