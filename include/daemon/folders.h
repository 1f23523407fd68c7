/* Folders on the way to a path. */
#ifndef BRINK_DAEMON_FOLDERS_H
#define BRINK_DAEMON_FOLDERS_H

#include "base/check.h"

/* Make the missing folders above `path`. What cannot be made shows when `path` is used. */
void folders_make_above(const char *path);

#endif
