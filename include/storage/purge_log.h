/* The purge log: what was purged, on the disk before the writer's transaction has it.
 *
 * A file of a fixed length beside the store's own, written once when it is made, so that a record
 * costs one write into pages the file has already and one fdatasync: the writer may be in the
 * middle of a large commit meanwhile. Records follow each other from the beginning; when
 * transactions have seen to all of them it begins again. At a start, those that no transaction has
 * seen to go on.
 *
 * One thread at a time. */
#ifndef BRINK_STORAGE_PURGE_LOG_H
#define BRINK_STORAGE_PURGE_LOG_H

#include "storage/purge.h"

struct purge_log {
    int fd; /* -1: there is none; purges are acknowledged by their transaction */
    uint64_t len, at;
    uint64_t last_seq; /* of what was written last */
    char *staged;
    size_t staged_len, staged_cap;
};

/* Open or make the log in a store's folder. Without one (logged), staging fails. `keep`: false when
 * the store is new: whatever the log says is of another. */
void purge_log_open(struct purge_log *log, const char *path, uint64_t store_len, bool keep);
void purge_log_close(struct purge_log *log);

/* Purges younger than `seq` go on. ERR_NOMEM. */
MUST_USE enum err purge_log_replay(struct purge_log *log, uint64_t seq, struct purge_set *set);

/* Make the entries of these calls ready to be written as of seq, before they are admitted: then
 * they are the writer's. `committed`: up to which seq transactions have seen to everything. False:
 * there is no room for them. */
MUST_USE bool
purge_log_stage(struct purge_log *log, const struct list *calls, uint64_t seq, uint64_t committed);

/* What was staged is on the disk; false: the disk has failed. */
MUST_USE bool purge_log_write(struct purge_log *log);

#endif
