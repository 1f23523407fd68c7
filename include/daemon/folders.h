/* Folders on the way to a path. */
#ifndef BRINK_DAEMON_FOLDERS_H
#define BRINK_DAEMON_FOLDERS_H

#include <sys/types.h>

#include "base/check.h"

/* Make the missing folders above `path`. What cannot be made shows when `path` is used. */
void folders_make_above(const char *path);

/* Make `path`, a folder or a file, with the missing folders above it, when it is not there yet;
 * then it is `uid`'s and `gid`'s. What is there already stays whose it is. */
void folders_make_for(const char *path, uid_t uid, gid_t gid);
void folders_make_file_for(const char *path, uid_t uid, gid_t gid);

/* The first on the way to the folder `path`, it or a file in it that this process may not use: its
 * name in `out`. False: all of them can be, or are not there. */
bool folders_find_denied(const char *path, char *out, size_t cap);

#endif
