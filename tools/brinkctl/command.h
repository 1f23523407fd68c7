/* What the commands of brinkctl share. */
#ifndef BRINK_BRINKCTL_COMMAND_H
#define BRINK_BRINKCTL_COMMAND_H

#include <jansson.h>

#include "client.h"

enum { EXIT_USAGE = 2, EXIT_UNREACHED = 3 };

struct command {
    struct client client;
    bool json;
    char **words; /* what follows the command's name */
    int words_n;
};

/* Tells what is wrong with the words; EXIT_USAGE. */
int command_usage(const char *what, const char *word);

/* What brink says is wrong: its error and hint, or the bare body. */
void command_refused(const struct client_reply *reply, const json_t *root);

int run_check(const struct command *command); /* check.c */

#endif
