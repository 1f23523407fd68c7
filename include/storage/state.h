/* struct store: what the files of storage/ share. */
#ifndef BRINK_STORAGE_STATE_H
#define BRINK_STORAGE_STATE_H

#include "storage/check.h"
#include "storage/env.h"
#include "storage/index.h"
#include "storage/purge.h"
#include "storage/purger.h"
#include "storage/reader.h"
#include "storage/resize.h"
#include "storage/scan.h"
#include "storage/seen.h"
#include "storage/share.h"
#include "storage/sweep.h"
#include "storage/verify.h"
#include "storage/warm.h"
#include "storage/writer.h"

#define STORE_TAG 0x53544f52U
#define STORE_READER_TAG 0x53524452U

struct store {
    uint32_t tag;
    int lock_fd; /* -1: not locked, while down */
    bool ours;   /* the folder was a store's before */
    char *path;
    struct store_settings settings; /* defaults filled in; path is the one above */
    unsigned env_readers;
    struct env env;    /* open unless down; changed by the writer while all readers are out */
    atomic_uint down;  /* enum store_down; the writer sets it */
    atomic_bool ready; /* the index is whole */
    struct epoch epoch;
    struct index index;
    struct share_figures shares[INDEX_GROUPS_MAX]; /* as the index's lists */
    struct seen seen;
    struct verify verify;
    struct purge_set purges;
    struct purger purger;
    struct sweep sweep;
    struct writer writer;
    struct scan scan;
    struct resize resize;
    struct warm warm;
    struct check check;
};

/* Make the folder when it is missing, and lock it. `why`: one line on failure.
 * Errors: ERR_STORE_BUSY; ERR_SYSTEM; ERR_STORE_IO: the disk is full or broken. */
MUST_USE enum err store_lock_folder(struct store *store, char *why, size_t why_cap);

#endif
