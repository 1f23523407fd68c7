/* Sentences about stored objects: a reason's from the table, and the numbers that belong to it. */
#include "cache/explain.h"

#include <stdio.h>
#include <time.h>

const char *
explain_time(int64_t at_s, char buf[EXPLAIN_TIME_MAX])
{
    time_t at = (time_t)at_s;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL ||
        strftime(buf, EXPLAIN_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(buf, EXPLAIN_TIME_MAX, "@%lld", (long long)at_s);
    return buf;
}

const char *
explain_span(int64_t s, char buf[EXPLAIN_SPAN_MAX])
{
    static const struct {
        int64_t s;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    int n;

    while (i + 1 < ARRAY_LEN(units) && s < units[i].s)
        i++;
    n = snprintf(buf, EXPLAIN_SPAN_MAX, "%lld %s", (long long)(s / units[i].s), units[i].name);
    s %= units[i].s;
    if (i + 1 < ARRAY_LEN(units) && s / units[i + 1].s > 0)
        (void)snprintf(buf + n, EXPLAIN_SPAN_MAX - (size_t)n, " %lld %s",
                       (long long)(s / units[i + 1].s), units[i + 1].name);
    return buf;
}

const char *
explain_lifetime_from(enum cache_lifetime from)
{
    static const char *const names[CACHE_LIFETIME_COUNT] = {
        [CACHE_LIFETIME_DEFAULT] = "default_ttl", [CACHE_LIFETIME_S_MAXAGE] = "s-maxage",
        [CACHE_LIFETIME_MAX_AGE] = "max-age",     [CACHE_LIFETIME_EXPIRES] = "Expires",
        [CACHE_LIFETIME_HEURISTIC] = "heuristic", [CACHE_LIFETIME_TARGETED] = "targeted field",
        [CACHE_LIFETIME_STATUS] = "status_ttl",
    };

    ASSERT((unsigned)from < CACHE_LIFETIME_COUNT && names[from] != NULL);
    return names[from];
}

/* Why it lives so long, for people. */
static const char *
lifetime_words(const struct cache_object *object)
{
    switch (object->lifetime_from) {
    case CACHE_LIFETIME_DEFAULT:
        return object->lifetime_s > 0
                   ? "the site's default_ttl"
                   : "nothing: the response says nothing and the site gives nothing";
    case CACHE_LIFETIME_S_MAXAGE:
        return "the response's s-maxage";
    case CACHE_LIFETIME_MAX_AGE:
        return "the response's max-age";
    case CACHE_LIFETIME_EXPIRES:
        return "the response's Expires";
    case CACHE_LIFETIME_HEURISTIC:
        return "guessing: a tenth of the time since Last-Modified";
    case CACHE_LIFETIME_TARGETED:
        return "a targeted field of the response";
    case CACHE_LIFETIME_STATUS:
        return "the site's status_ttl";
    case CACHE_LIFETIME_COUNT:
        break;
    }
    UNREACHABLE();
}

static int64_t
ttl_of(const struct explain_subject *subject)
{
    return fresh_ttl_s(subject->object, subject->now_s);
}

/* Windows count from the end of the lifetime, whatever a soft purge says: lookup_judge. */
void
explain_until(const struct explain_subject *subject, struct explain_until *out)
{
    const struct cache_object *object = subject->object;
    int64_t end_s = subject->now_s + ttl_of(subject);
    bool closed = (object->flags & (CACHE_ALWAYS_VALIDATE | CACHE_MUST_REVALIDATE)) != 0;

    *out = (struct explain_until){0};
    if (!subject->soft_purged && (object->flags & CACHE_ALWAYS_VALIDATE) == 0)
        out->fresh_s = end_s;
    if (!closed && object->swr_s > 0)
        out->revalidate_s = end_s + object->swr_s;
    if (!closed && object->sie_s > 0)
        out->error_s = end_s + object->sie_s;
    if (subject->settings->keep_s > 0)
        out->kept_s = end_s + subject->settings->keep_s;
}

enum err
explain_age(struct arena *arena, const struct explain_subject *subject, struct slice *out)
{
    char age[EXPLAIN_SPAN_MAX], lifetime[EXPLAIN_SPAN_MAX];

    return arena_printf(arena, out, "%s old; lives %s by %s",
                        explain_span(fresh_age_s(subject->object, subject->now_s), age),
                        explain_span(subject->object->lifetime_s, lifetime),
                        lifetime_words(subject->object));
}

enum err
explain_fresh(struct arena *arena, const struct explain_subject *subject, struct slice *out)
{
    int64_t ttl_s = ttl_of(subject);
    char when[EXPLAIN_TIME_MAX], span[EXPLAIN_SPAN_MAX];

    if (subject->soft_purged)
        return arena_printf(arena, out, "no: a purge marked it stale");
    if ((subject->object->flags & CACHE_ALWAYS_VALIDATE) != 0)
        return arena_printf(arena, out, "never: it is validated each time it is asked for");
    (void)explain_time(subject->now_s + ttl_s, when);
    if (ttl_s > 0)
        return arena_printf(arena, out, "until %s, for %s more", when, explain_span(ttl_s, span));
    return arena_printf(arena, out, "no: stale since %s, for %s", when, explain_span(-ttl_s, span));
}

/* One more window of those that are told. ERR_NOMEM. */
static enum err
add_window(struct arena *arena, int64_t until_s, int64_t now_s, const char *when,
           struct slice *text)
{
    char at[EXPLAIN_TIME_MAX], span[EXPLAIN_SPAN_MAX];
    int64_t left_s = until_s - now_s;

    if (until_s == 0)
        return OK;
    if (left_s < 0)
        return arena_printf(arena, text, "%.*s%sno longer %s, since %s", SLICE_ARGS(*text),
                            text->len > 0 ? "; " : "", when, explain_time(until_s, at));
    return arena_printf(arena, text, "%.*s%suntil %s, for %s more, %s", SLICE_ARGS(*text),
                        text->len > 0 ? "; " : "", explain_time(until_s, at),
                        explain_span(left_s, span), when);
}

enum err
explain_stale(struct arena *arena, const struct explain_subject *subject, struct slice *out)
{
    struct explain_until until;
    struct slice text = SLICE_NONE;
    enum err rc;

    if ((subject->object->flags & CACHE_MUST_REVALIDATE) != 0)
        return arena_printf(arena, out, "never: must-revalidate, proxy-revalidate or s-maxage");
    if ((subject->object->flags & CACHE_ALWAYS_VALIDATE) != 0)
        return arena_printf(arena, out, "never: it is validated each time");
    explain_until(subject, &until);
    rc = add_window(arena, until.revalidate_s, subject->now_s,
                    "while it is validated (stale-while-revalidate)", &text);
    if (rc == OK)
        rc = add_window(arena, until.error_s, subject->now_s,
                        "when the origin answers an error (stale-if-error)", &text);
    if (rc != OK)
        return rc;
    if (until.kept_s == 0)
        return arena_printf(arena, out, "%.*s%sat any age when the origin gives no answer at all",
                            SLICE_ARGS(text), text.len > 0 ? "; " : "");
    rc = add_window(arena, until.kept_s, subject->now_s,
                    "when the origin gives no answer at all (keep)", &text);
    *out = text;
    return rc;
}

/* What is known of its staleness, for a sentence that goes on: "; it expired 12 s ago". */
static enum err
add_expiry(struct arena *arena, const struct explain_subject *subject, struct slice *text)
{
    int64_t ttl_s = ttl_of(subject);
    char span[EXPLAIN_SPAN_MAX];

    if (ttl_s > 0)
        return OK;
    return arena_printf(arena, text, "%.*s; it expired %s ago", SLICE_ARGS(*text),
                        explain_span(-ttl_s, span));
}

static enum err
explain_validation(struct arena *arena, const struct explain_subject *subject,
                   const struct lookup_verdict *verdict, struct slice *text)
{
    struct explain_until until;
    char at[EXPLAIN_TIME_MAX];
    enum err rc = arena_printf(arena, text, "would be validated at the origin first: %s",
                               cache_reason_sentence(verdict->reason));

    if (rc == OK)
        rc = add_expiry(arena, subject, text);
    if (rc != OK || !verdict->may_serve_on_error)
        return rc;
    explain_until(subject, &until);
    if (until.error_s == 0) /* the client's word */
        return arena_printf(arena, text, "%.*s; it may stand in for a failing origin",
                            SLICE_ARGS(*text));
    return arena_printf(arena, text, "%.*s; it may stand in for a failing origin until %s",
                        SLICE_ARGS(*text), explain_time(until.error_s, at));
}

enum err
explain_verdict(struct arena *arena, const struct explain_subject *subject,
                const struct lookup_verdict *verdict, struct slice *out)
{
    struct slice text = SLICE_NONE;
    char span[EXPLAIN_SPAN_MAX];
    enum err rc = OK;

    switch (verdict->use) {
    case LOOKUP_FRESH:
        rc = arena_printf(arena, &text, "would be answered from the store: fresh for %s more",
                          explain_span(verdict->ttl_s, span));
        break;
    case LOOKUP_STALE:
        rc = arena_printf(arena, &text, "would be answered from the store: %s",
                          cache_reason_sentence(verdict->reason));
        if (rc == OK)
            rc = add_expiry(arena, subject, &text);
        break;
    case LOOKUP_VALIDATE:
        rc = explain_validation(arena, subject, verdict, &text);
        break;
    case LOOKUP_GONE:
        rc = arena_printf(arena, &text, "would be fetched: %s",
                          cache_reason_sentence(verdict->reason));
        if (rc == OK)
            rc = add_expiry(arena, subject, &text);
        break;
    }
    if (rc == OK)
        *out = text;
    return rc;
}
