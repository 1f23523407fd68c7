/* The event log: one event a line, key=value, to standard error or a file, limited in rate. */
#ifndef BRINK_BASE_LOG_H
#define BRINK_BASE_LOG_H

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_event {
#define LOG_EVENT(name, rate, meaning) LOG_##name,
#include "base/log.def"
#undef LOG_EVENT
    LOG_EVENT_COUNT
};

void log_set_level(enum log_level least);
bool log_level_from(struct slice text, enum log_level *out); /* "debug", "info", "warn", "error" */
void
log_set_thread(const char *name); /* shown as thread=; a string constant or kept by the caller */

/* Connection and request that this thread works on, shown as conn= and req=; 0: none. */
void log_set_ids(uint64_t conn_id, uint64_t req_id);

/* One line: time, level, event, ids, then the formatted text, which is `key=value` pairs; put what
 * may hold blanks in quotes: \"%.*s\". Texts are escaped (base/escape.h, ESCAPE_TEXT) and cut at 1
 * KiB, so that a value never ends its quotes or its line. Of printf's words there are %s and %.*s,
 * %d, %u and %x, with l, ll or z before them, and %%. Never blocks for long: one write. Never give
 * it bodies, cookies, credentials or what stands behind the ? of an URL. */
#define LOG(level, event, ...) log_write(LOG_##level, LOG_##event, __VA_ARGS__)
void
log_write(enum log_level level, enum log_event event, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
