/* A conversation as text: records that begin with "@" at the start of a line. The syntax is in
 * tests/fuzz/README.md; whatever is no record is passed over, so every input is a script. */
#ifndef BRINK_FUZZ_SCRIPT_H
#define BRINK_FUZZ_SCRIPT_H

#include "base/slice.h"

struct record {
    char op;
    char who; /* the character behind it: a digit, or ' ' */
    bool has_number;
    uint64_t number;      /* at most 10^9 */
    struct slice words;   /* the line behind op and who */
    struct slice content; /* up to the next record, without the line's end before it */
    struct slice whole;   /* with its line and the end of its content */
};

/* The next record off *rest. False: there is none. */
bool script_next(struct slice *rest, struct record *out);

#endif
