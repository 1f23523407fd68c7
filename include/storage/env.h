/* The LMDB environment: opening, checking, setting aside; page counts; its errors as ours. */
#ifndef BRINK_STORAGE_ENV_H
#define BRINK_STORAGE_ENV_H

#include <lmdb.h>

#include "storage/record.h"

struct env {
    MDB_env *mdb; /* NULL: closed */
    MDB_dbi dbi;
    uint64_t map_pages;
    struct record_header header; /* as found on the disk; the writer's afterwards */
};

/* Open or create `path`/data.mdb. A damaged or foreign file, or one from before the store was made
 * smaller, is set aside first. `why`: one line on failure.
 * Errors: ERR_STORE_BUSY, ERR_SYSTEM, ERR_STORE_IO, ERR_NOMEM. */
MUST_USE enum err env_open(struct env *env, const char *path, uint64_t size_len,
                           unsigned readers_max, char *why, size_t why_cap);
void env_close(struct env *env);

/* The env is closed: rename its file, so that the next env_open begins anew. Only the latest such
 * file is kept. Without `keep` it is removed: when the disk has no room for two. */
void env_set_aside(const char *path, const char *reason, bool keep);

void env_sync_folder(const char *path);

MUST_USE enum err env_err(int rc); /* of LMDB or errno */

/* The file can no longer be used as it is. */
bool env_is_fatal(int rc);

/* Pages in use in this transaction's view: both trees and the two meta pages. */
uint64_t env_used_pages(const struct env *env, MDB_txn *txn);
uint64_t env_file_pages(const struct env *env);
uint64_t env_last_txnid(const struct env *env);

/* By how many commits the oldest snapshot that is being read is behind; 0: nobody reads, or the
 * latest. Pages freed since then cannot be used again. */
uint64_t env_reader_lag(const struct env *env);

/* One value. MDB_NOTFOUND and others as LMDB gives them. */
int env_get(const struct env *env, MDB_txn *txn, uint64_t key, struct slice *out);
int env_put_header(struct env *env, MDB_txn *txn);

#endif
