/* The event log. A line is built on the stack and written with one write(2), so lines of several
 * threads do not mix and no lock is needed. The rate limit is per thread and event. */
#include "base/log.h"

#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/stats.h"

enum { LOG_LINE_MAX = 4096, VALUE_MAX = 1024 };

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

/* --- the text --- */

/* The line as it grows; `cap` leaves room for the newline. What does not fit is left out. */
struct line {
    char *buf;
    size_t len, cap;
};

static void
put(struct line *line, struct slice text)
{
    text = slice_first(text, line->cap - line->len);
    if (text.len == 0)
        return; /* its pointer may be NULL */
    memcpy(line->buf + line->len, text.ptr, text.len);
    line->len += text.len;
}

/* A text may be a peer's. One that is too long ends in dots. */
static void
put_text(struct line *line, struct slice text)
{
    size_t room = line->cap - line->len;

    line->len += escape_write(ESCAPE_TEXT, &text, line->buf + line->len,
                              room < VALUE_MAX ? room : VALUE_MAX);
    if (text.len > 0)
        put(line, SLICE("..."));
}

/* "%s" or "%.*s"; `bounded`: the latter. NULL is shown as such. */
static void
put_argument(struct line *line, bool bounded, va_list *args)
{
    int most = bounded ? va_arg(*args, int) : INT_MAX;
    const char *text = va_arg(*args, const char *);

    if (text == NULL)
        put(line, most == 0 ? SLICE_NONE : SLICE("(null)"));
    else
        put_text(line, slice_of(text, strnlen(text, most < 0 ? 0 : (size_t)most)));
}

/* The number that follows; `longs`: how many l or z stand before its letter. */
static void
put_number(struct line *line, unsigned longs, char letter, va_list *args)
{
    char text[32];
    int n;

    if (letter == 'd' && longs == 0)
        n = snprintf(text, sizeof(text), "%d", va_arg(*args, int));
    else if (letter == 'd')
        n = snprintf(text, sizeof(text), "%lld",
                     longs == 1 ? (long long)va_arg(*args, long) : va_arg(*args, long long));
    else if (longs == 0)
        n = snprintf(text, sizeof(text), letter == 'x' ? "%x" : "%u", va_arg(*args, unsigned));
    else
        n = snprintf(text, sizeof(text), letter == 'x' ? "%llx" : "%llu",
                     longs == 1 ? (unsigned long long)va_arg(*args, unsigned long)
                                : va_arg(*args, unsigned long long));
    put(line, slice_of(text, (size_t)n));
}
static_assert(sizeof(size_t) == sizeof(long), "%z is %l");

/* printf's words, as far as log.h says, but every text is escaped: a call need not think of it. */
static void
put_formatted(struct line *line, const char *format, va_list *args)
{
    for (;;) {
        size_t plain = strcspn(format, "%");
        unsigned longs = 0;
        bool bounded;

        put(line, slice_of(format, plain));
        format += plain;
        if (*format++ == '\0')
            return;
        bounded = strncmp(format, ".*", 2) == 0;
        format += bounded ? 2 : 0;
        for (; *format == 'l' || *format == 'z'; format++)
            longs++;
        if (*format == 's')
            put_argument(line, bounded, args);
        else if (*format == 'd' || *format == 'u' || *format == 'x')
            put_number(line, longs, *format, args);
        else if (*format == '%')
            put(line, SLICE("%"));
        else
            return; /* a word that tests/layers.py does not let into a call */
        format++;
    }
}

void
log_write(enum log_level level, enum log_event event, const char *format, ...)
{
    char buf[LOG_LINE_MAX];
    struct line line = {buf, 0, sizeof(buf) - 1};
    struct timespec now;
    va_list args;
    unsigned missed;

    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (!within_rate(event, now.tv_sec, &missed))
        return;
    line.len = format_prefix(buf, sizeof(buf), level, event, &now);
    if (missed > 0)
        line.len +=
            (size_t)snprintf(buf + line.len, sizeof(buf) - line.len, " suppressed=%u", missed);
    put(&line, SLICE(" "));
    va_start(args, format);
    put_formatted(&line, format, &args);
    va_end(args);
    if (buf[line.len - 1] == ' ') /* there was no text */
        line.len--;
    buf[line.len++] = '\n';
    if (write(STDERR_FILENO, buf, line.len) < 0)
        return; /* nobody to tell */
}
