/* The command line. */
#ifndef BRINK_DAEMON_OPTIONS_H
#define BRINK_DAEMON_OPTIONS_H

#include "daemon/config.h"

enum options_task { OPTIONS_RUN, OPTIONS_TEST, OPTIONS_VERSION, OPTIONS_HELP, OPTIONS_DIRECTIVES };

enum { OPTIONS_LISTENS_MAX = 64, OPTIONS_SETS_MAX = 256 };

struct options {
    enum options_task task;
    struct config_args args; /* borrows argv and the arrays below */
    const char *listens[OPTIONS_LISTENS_MAX];
    const char *sets[OPTIONS_SETS_MAX];
};

/* ERR_SYNTAX: told in `why`, with what to do. */
MUST_USE enum err
options_parse(int argc, char *const *argv, struct options *out, char *why, size_t why_cap);
void options_print_help(FILE *out); /* fits a screen of 80 by 24 */

#endif
