/* Faults of the disk and of the file: how each is told from the others, counted, and told to
 * people. What is done about them is the writer's and the opener's. */
#ifndef BRINK_STORAGE_FAULT_H
#define BRINK_STORAGE_FAULT_H

#include "base/stats.h"

struct env;

/* FAULT(name, what happened, what to do) */
#define FAULTS(FAULT)                                                                              \
    FAULT(MAP_FULL, "no run of free pages is long enough",                                         \
          "more is evicted by itself; when it lasts, set a larger store.size")                     \
    FAULT(DISK_FULL, "the store's disk has no room",                                               \
          "free room there, or set store.size to what it can hold; until then the store goes on "  \
          "in the room its file has")                                                              \
    FAULT(DISK, "the store's disk failed",                                                         \
          "look at the kernel's log, and move store.path to a sound disk")                         \
    FAULT(PANIC, "the root of the store's file could not be written",                              \
          "look at the kernel's log, and for room on its disk")                                    \
    FAULT(DAMAGED, "the store's file is damaged",                                                  \
          "look at the kernel's log when it happens again")                                        \
    FAULT(FOREIGN, "the file in the store's folder is not brink's",                                \
          "put it back where it belongs, and set another store.path")                              \
    FAULT(VERSION, "the store's file has the layout of another version",                           \
          "go back to that version to have it read")                                               \
    FAULT(SMALLER, "the store was made smaller, and its disk has no room for the move",            \
          "nothing now; another time free room first: what fits is kept then")                     \
    FAULT(MEMORY, "there was no memory for a transaction of the store",                            \
          "give the process more memory, or lower its limits")

enum fault {
#define FAULT(name, what, remedy) FAULT_##name,
    FAULTS(FAULT)
#undef FAULT
};

/* Of LMDB's codes or errno, at a transaction. EIO is both a full disk, after a short write, and a
 * broken one: the room there is decides. `env` may be closed. */
enum fault fault_of(int rc, const struct env *env, const char *path);
/* The same where the file is opened; `ours`: the folder was a store's before. */
enum fault fault_at_open(int rc, bool ours);

bool fault_is_no_room(int rc); /* of errno: without doubt */

const char *fault_what(enum fault fault);
const char *fault_remedy(enum fault fault);
void fault_count(enum fault fault);
/* One line in the log. `error`: the library's words. */
void fault_tell(enum fault fault, const char *path, const char *error);

#endif
