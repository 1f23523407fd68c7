/* The text of a configuration file, made ready for libconfuse. */
#ifndef BRINK_DAEMON_CONFIG_TEXT_H
#define BRINK_DAEMON_CONFIG_TEXT_H

#include "base/check.h"

/* What is wrong with the text as a whole; `line` counts from 1. */
struct config_text_fault {
    unsigned line;
    const char *what; /* with what to do; NULL: nothing is wrong */
};

/* Overwrites every comment of `text` with blanks, in place, and keeps each line where it was:
 * libconfuse counts a line with a comment three times. Finds what libconfuse would tell badly or
 * not at all: a section, quote or comment that is never closed. */
void config_text_prepare(char *text, size_t len, struct config_text_fault *fault);

#endif
