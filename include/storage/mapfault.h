/* What a damaged file can do to whoever reads it: a page that cannot be read, a tree that leads out
 * of the map. The kernel says so by a signal (SIGBUS, SIGSEGV), LMDB by an abort, and the process
 * cannot go on. It leaves a mark in the store's folder, so that the next start sets the file aside
 * instead of ending the same way. Who crashes elsewhere leaves none: the file is kept. */
#ifndef BRINK_STORAGE_MAPFAULT_H
#define BRINK_STORAGE_MAPFAULT_H

#include "base/check.h"

/* From now on, for the store in this folder; for one at a time, the last. */
void mapfault_watch(const char *path);
void mapfault_forget(void);

/* `at` lies in its map of `map_len` bytes: who faults there, or in the 4 GiB behind it, was led
 * there by the file. */
void mapfault_map(const void *at, uint64_t map_len);

/* This thread does nothing but the store's work, or (false) does no more: all its faults count. */
void mapfault_own(bool own);

/* The file is damaged, and the process about to end for it. */
void mapfault_leave_mark(void);

/* Did a process before this one end so? The mark is taken away. */
bool mapfault_take_mark(const char *path);

#endif
