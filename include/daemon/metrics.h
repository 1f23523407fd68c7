/* The counters as text, for machines. */
#ifndef BRINK_DAEMON_METRICS_H
#define BRINK_DAEMON_METRICS_H

#include <stdio.h>

#include "base/check.h"
#include "proxy/proxy.h"

/* Whose shares of the store are told. `store` NULL: nobody's. */
struct metrics_sites {
    const struct store *store;
    const struct site_settings *items;
    size_t n;
};

/* Prometheus text format 0.0.4. Times in seconds since the epoch. */
void metrics_print_prometheus(const struct metrics_sites *sites, FILE *out, int64_t started_s);

/* A JSON object: version, pid, uptime, every counter by its plain name, shares by their sites'. */
void
metrics_print_json(const struct metrics_sites *sites, FILE *out, int64_t started_s, int64_t now_s);

#endif
