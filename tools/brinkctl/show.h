/* What the admin API answers, for people. */
#ifndef BRINK_BRINKCTL_SHOW_H
#define BRINK_BRINKCTL_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include "base/slice.h"

/* Text that may be anybody's, made fit for a terminal. */
void show_text(FILE *out, struct slice text);

/* "1.2 GB" */
void show_bytes(FILE *out, int64_t n);

void show_check(const json_t *root, FILE *out); /* one line of how far it is, or what it found */
void show_stats(const json_t *root, FILE *out);
void show_purge(const json_t *root, FILE *out);
void show_purge_status(const json_t *root, FILE *out);
void show_purge_going_on(const json_t *root, FILE *out); /* one line, written over */
void show_inspect(const json_t *root, FILE *out);
void show_explain(const json_t *root, FILE *out);

#endif
