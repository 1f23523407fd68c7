/* The LMDB environment: opening, checking, setting aside; page counts; its errors as ours. */
#ifndef BRINK_STORAGE_ENV_H
#define BRINK_STORAGE_ENV_H

#include <lmdb.h>

#include "storage/fault.h"
#include "storage/record.h"

struct env {
    MDB_env *mdb; /* NULL: closed */
    MDB_dbi dbi;
    uint64_t map_pages;          /* what the file may have */
    uint64_t mapped_pages;       /* more when it is too long for its size, else the same */
    const char *map;             /* where it lies; NULL: unknown (storage/pages.h) */
    struct record_header header; /* as found on the disk; the writer's afterwards */
};

/* Open or create `path`/data.mdb. A damaged or foreign file is set aside first. One that is longer
 * than size_len is opened as it is (storage/resize.h). `ours`: the folder was a store's before.
 * `why`: one line on failure. Errors: ERR_STORE_IO: the disk is full or broken, another time it may
 * go; ERR_SYSTEM: it is not permitted; ERR_NOMEM. */
MUST_USE enum err env_open(struct env *env, const char *path, uint64_t size_len,
                           unsigned readers_max, bool ours, char *why, size_t why_cap);
void env_close(struct env *env);

/* The env is closed: rename its file, so that the next env_open begins anew. Only the latest such
 * file is kept, but a foreign one for ever. Without `keep` it is removed: when the disk has no room
 * for two. `error`: the library's words. False: a foreign file that cannot be renamed. */
bool env_set_aside(const char *path, enum fault fault, const char *error, bool keep);

bool env_has_file(const char *path);
bool env_is_too_long(const struct env *env);

/* A second file, data.mdb.new, empty: of one thread, and nothing in it survives a crash of the
 * system before it is flushed. `env` gets its header. LMDB's codes. */
MUST_USE int env_begin_new(struct env *env, const char *path, uint64_t size_len);
bool env_replace_by_new(const char *path); /* both are closed: it takes the first one's place */
void env_remove_new(const char *path);     /* it is closed, or not there */

/* Blocks for so many pages behind the end of the file, within the map, so that a transaction finds
 * room even when the disk is full. ENOSPC and the like, or 0. */
int env_reserve(const struct env *env, uint64_t pages);

/* Within a write transaction, before its commit: the page cache of what it adds to the file is cut
 * into short folios. Errors do not matter: it only saves CPU later. */
void env_cut_folios(const struct env *env, MDB_txn *txn);

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
