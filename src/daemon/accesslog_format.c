/* Lines of the access log. Both forms are safe whatever a client sent: the combined one is
 * printable ASCII, the JSON one is always valid JSON; see base/escape.h. */
#include "daemon/accesslog.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

#include "base/escape.h"

enum { METHOD_MAX = 32, TARGET_MAX = 4096, HOST_MAX = 256, REFERER_MAX = 1024, AGENT_MAX = 512 };

/* A line being built. The limits above, grown by escapes, and the rest fit ACCESSLOG_LINE_MAX. */
struct line {
    char *buf;
    size_t len;
};
static_assert((METHOD_MAX + TARGET_MAX + HOST_MAX + REFERER_MAX + AGENT_MAX) * ESCAPE_GROWTH_MAX +
                      1024 <=
                  ACCESSLOG_LINE_MAX,
              "a line fits");

static void PRINTF_LIKE(2, 3) put(struct line *line, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line->buf + line->len, ACCESSLOG_LINE_MAX - line->len, format, args);
    va_end(args);
    ASSERT(n >= 0 && (size_t)n < ACCESSLOG_LINE_MAX - line->len);
    line->len += (size_t)n;
}

static void
put_text(struct line *line, enum escape_form form, struct slice text, size_t max)
{
    struct slice rest = slice_first(text, max);

    line->len += escape_write(form, &rest, line->buf + line->len, ACCESSLOG_LINE_MAX - line->len);
    ASSERT(rest.len == 0);
}

static struct tm
broken_down(int64_t us)
{
    time_t s = (time_t)(us / 1000000);
    struct tm tm;

    (void)gmtime_r(&s, &tm);
    return tm;
}

static struct slice
peer_text(const struct sock_addr *peer, char buf[SOCK_ADDR_TEXT_MAX])
{
    return slice_of(buf, sock_addr_format(peer, false, buf));
}

static void
put_combined(struct line *line, const struct exchange *exchange)
{
    struct tm tm = broken_down(exchange->began_us);
    char peer[SOCK_ADDR_TEXT_MAX], when[64];

    (void)strftime(when, sizeof(when), "%d/%b/%Y:%H:%M:%S +0000", &tm);
    put(line, "%.*s - - [%s] \"", SLICE_ARGS(peer_text(exchange->peer, peer)), when);
    put_text(line, ESCAPE_ASCII, exchange->method, METHOD_MAX);
    put(line, " ");
    put_text(line, ESCAPE_ASCII, exchange->target, TARGET_MAX);
    put(line, " HTTP/1.%u\" %u %" PRIu64 " \"", exchange->http_minor, exchange->status,
        exchange->body_len);
    put_text(line, ESCAPE_ASCII, exchange->referer.len == 0 ? SLICE("-") : exchange->referer,
             REFERER_MAX);
    put(line, "\" \"");
    put_text(line, ESCAPE_ASCII, exchange->user_agent.len == 0 ? SLICE("-") : exchange->user_agent,
             AGENT_MAX);
    put(line, "\" host=\"");
    put_text(line, ESCAPE_ASCII, exchange->host, HOST_MAX);
    put(line, "\" cache=%s reason=%s total=%" PRIu64 ".%06u first=%" PRIu64 ".%06u coding=%s%s\n",
        exchange_outcome_name(exchange->outcome), cache_reason_name(exchange->reason),
        exchange->total_us / 1000000, (unsigned)(exchange->total_us % 1000000),
        exchange->first_byte_us / 1000000, (unsigned)(exchange->first_byte_us % 1000000),
        coding_name(exchange->coding), exchange->aborted ? " aborted" : "");
}

static void
put_member(struct line *line, const char *name, struct slice text, size_t max)
{
    put(line, ",\"%s\":\"", name);
    put_text(line, ESCAPE_JSON, text, max);
    put(line, "\"");
}

static void
put_object(struct line *line, const struct exchange *exchange)
{
    struct tm tm = broken_down(exchange->began_us);
    char peer[SOCK_ADDR_TEXT_MAX], when[64];

    (void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    put(line, "{\"time\":\"%s.%06uZ\"", when, (unsigned)(exchange->began_us % 1000000));
    put_member(line, "peer", peer_text(exchange->peer, peer), SOCK_ADDR_TEXT_MAX);
    put_member(line, "method", exchange->method, METHOD_MAX);
    put_member(line, "host", exchange->host, HOST_MAX);
    put_member(line, "target", exchange->target, TARGET_MAX);
    put(line, ",\"http\":\"1.%u\",\"status\":%u,\"body_bytes\":%" PRIu64, exchange->http_minor,
        exchange->status, exchange->body_len);
    put_member(line, "referer", exchange->referer, REFERER_MAX);
    put_member(line, "user_agent", exchange->user_agent, AGENT_MAX);
    put(line, ",\"cache\":\"%s\",\"reason\":\"%s\",\"total_us\":%" PRIu64, //
        exchange_outcome_name(exchange->outcome), cache_reason_name(exchange->reason),
        exchange->total_us);
    put(line, ",\"first_byte_us\":%" PRIu64 ",\"conn\":%" PRIu64 ",\"req\":%" PRIu64,
        exchange->first_byte_us, exchange->conn_id, exchange->req_id);
    put(line, ",\"coding\":\"%s\",\"aborted\":%s}\n", coding_name(exchange->coding),
        exchange->aborted ? "true" : "false");
}

size_t
accesslog_format(enum config_access_format format, const struct exchange *exchange,
                 char out[ACCESSLOG_LINE_MAX])
{
    struct line line = {out, 0};

    if (format == CONFIG_ACCESS_JSON)
        put_object(&line, exchange);
    else
        put_combined(&line, exchange);
    return line.len;
}
