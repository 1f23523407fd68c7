/* What the commands of brinkctl share. */
#ifndef BRINK_BRINKCTL_COMMAND_H
#define BRINK_BRINKCTL_COMMAND_H

#include <jansson.h>
#include <stdio.h>

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

/* What brink answers; out->body is the caller's to mem_free. 0, or the exit status after a message.
 */
int command_fetch(const struct command *command, const char *method, const char *target,
                  const char *body, struct client_reply *out);

/* Show an answer, which is used up. `show` NULL: the body as it is. The exit status. */
int command_show(const struct command *command, struct client_reply *reply,
                 void (*show)(const json_t *root, FILE *out));

int run_check(const struct command *command); /* check.c */
int run_purge(const struct command *command); /* purge.c */

#endif
