/* The counters as text, for machines. */
#ifndef BRINK_DAEMON_METRICS_H
#define BRINK_DAEMON_METRICS_H

#include <stdio.h>

#include "base/check.h"

/* Prometheus text format 0.0.4. Times in seconds since the epoch. */
void metrics_print_prometheus(FILE *out, int64_t started_s);

/* A JSON object: version, pid, uptime, and every counter by its plain name. */
void metrics_print_json(FILE *out, int64_t started_s, int64_t now_s);

#endif
