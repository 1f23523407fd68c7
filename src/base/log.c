/* The event log. A line is built on the stack and written with one write(2), so lines of several
 * threads do not mix and no lock is needed. The rate limit is per thread and event. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/stats.h"

enum { LOG_LINE_MAX = 2048 };

static atomic_int least_level = LOG_INFO;
static _Thread_local const char *thread_name = "main";
static _Thread_local uint64_t current_conn, current_req;
static _Thread_local struct {
    time_t minute;
    unsigned lines, suppressed;
} quota[LOG_EVENT_COUNT];

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static const struct {
    const char *name;
    unsigned rate;
} events[] = {
#define LOG_EVENT(name, rate, meaning) {#name, rate},
#include "base/log.def"
#undef LOG_EVENT
};

void
log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

bool
log_level_from(struct slice text, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (slice_is(text, level_names[i])) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void
log_set_thread(const char *name)
{
    thread_name = name;
}

void
log_set_ids(uint64_t conn_id, uint64_t req_id)
{
    current_conn = conn_id;
    current_req = req_id;
}

/* False when the event used up its lines of this minute; *out_missed: lines left out before. */
static bool
within_rate(enum log_event event, time_t now_s, unsigned *out_missed)
{
    *out_missed = 0;
    if (quota[event].minute != now_s / 60) {
        *out_missed = quota[event].suppressed;
        quota[event].minute = now_s / 60;
        quota[event].lines = quota[event].suppressed = 0;
    }
    if (++quota[event].lines <= events[event].rate)
        return true;
    quota[event].suppressed++;
    STAT_INC(log_suppressed);
    return false;
}

/* Control bytes of peers must not forge lines or steer a terminal. */
static size_t
escape_controls(const char *text, size_t len, char *out, size_t cap)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;

    for (size_t i = 0; i < len && n + 5 < cap; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != 0x7f) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return n;
}

static size_t
format_prefix(char *line, size_t cap, enum log_level level, enum log_event event,
              const struct timespec *now)
{
    struct tm tm;
    size_t n;

    (void)gmtime_r(&now->tv_sec, &tm);
    n = strftime(line, cap, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, cap - n, ".%03ldZ level=%s event=%s thread=%s",
                          now->tv_nsec / 1000000, level_names[level], events[event].name,
                          thread_name);
    if (current_conn != 0)
        n += (size_t)snprintf(line + n, cap - n, " conn=%llu", (unsigned long long)current_conn);
    if (current_req != 0)
        n += (size_t)snprintf(line + n, cap - n, " req=%llu", (unsigned long long)current_req);
    return n;
}

void
log_write(enum log_level level, enum log_event event, const char *format, ...)
{
    char text[LOG_LINE_MAX], line[LOG_LINE_MAX * 2];
    struct timespec now;
    va_list args;
    unsigned missed;
    size_t n;
    int len;

    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!within_rate(event, now.tv_sec, &missed))
        return;
    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        return;
    n = format_prefix(line, sizeof(line), level, event, &now);
    if (missed > 0)
        n += (size_t)snprintf(line + n, sizeof(line) - n, " suppressed=%u", missed);
    if (len > 0)
        line[n++] = ' ';
    n += escape_controls(text, strnlen(text, sizeof(text)), line + n, sizeof(line) - n - 1);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody to tell */
}
