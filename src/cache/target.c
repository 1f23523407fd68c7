/* Targets by the rules of their site. On the way of a hit, where the usual outcome is that nothing
 * changes: then nothing is copied. The work is linear in the target, times the names of the rules,
 * of which few share a first letter with a parameter; what is sorted is bounded. */
#include "cache/target.h"

#include "http/chars.h"

/* --- the path --- */

static bool
is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* The first letter to change; the path's length when there is none. */
static size_t
first_upper(struct slice path)
{
    size_t i = 0;

    while (i < path.len && !is_upper(path.ptr[i]))
        i += path.ptr[i] == '%' ? 3 : 1;
    return i < path.len ? i : path.len;
}

static enum err
lower_path(struct arena *arena, struct slice *path)
{
    size_t at = first_upper(*path);
    char *lower;

    if (at == path->len)
        return OK;
    lower = arena_alloc(arena, path->len);
    if (lower == NULL)
        return ERR_NOMEM;
    memcpy(lower, path->ptr, path->len);
    while (at < path->len) {
        lower[at] = char_lower(lower[at]);
        at += lower[at] == '%' ? 3 : 1;
    }
    *path = slice_of(lower, path->len);
    return OK;
}

/* --- parameters --- */

bool
cache_target_parameter(struct slice *rest, struct slice *out_name, struct slice *out_whole)
{
    struct slice value;

    if (rest->ptr == NULL)
        return false;
    if (!slice_cut(rest, '&', out_whole))
        *rest = SLICE_NONE; /* it was the last */
    value = *out_whole;
    (void)slice_cut(&value, '=', out_name);
    return true;
}

static bool
is_named(struct slice name, const char *pattern)
{
    size_t i = 0;

    for (; pattern[i] != '\0'; i++) {
        if (pattern[i] == '*' && pattern[i + 1] == '\0')
            return true;
        if (i == name.len || pattern[i] != name.ptr[i])
            return false;
    }
    return i == name.len;
}

static bool
is_among(struct slice name, const char *const *patterns, size_t n)
{
    char first = name.len > 0 ? name.ptr[0] : '\0';

    for (size_t i = 0; i < n; i++)
        if ((patterns[i][0] == first || patterns[i][0] == '*') && is_named(name, patterns[i]))
            return true;
    return false;
}

static bool
counts(const struct cache_target_rules *rules, struct slice name)
{
    if (rules->keep_n > 0)
        return is_among(name, rules->keep, rules->keep_n);
    return !is_among(name, rules->drop, rules->drop_n);
}

static bool
all_count(const struct cache_target_rules *rules, struct slice query)
{
    struct slice rest = slice_skip(query, 1), name, whole;

    while (cache_target_parameter(&rest, &name, &whole))
        if (!counts(rules, name))
            return false;
    return true;
}

/* A query on its way into room for it. */
struct out {
    char *buf;
    size_t len;
};

static void
put(struct out *out, struct slice parameter)
{
    out->buf[out->len] = out->len == 0 ? '?' : '&';
    out->len++;
    if (parameter.len > 0)
        memcpy(out->buf + out->len, parameter.ptr, parameter.len);
    out->len += parameter.len;
}

static enum err
filter(struct arena *arena, const struct cache_target_rules *rules, struct slice *query)
{
    struct slice rest = slice_skip(*query, 1), name, whole;
    struct out out = {0};

    if (all_count(rules, *query))
        return OK;
    out.buf = arena_alloc(arena, query->len);
    if (out.buf == NULL)
        return ERR_NOMEM;
    while (cache_target_parameter(&rest, &name, &whole))
        if (counts(rules, name))
            put(&out, whole);
    *query = slice_of(out.buf, out.len);
    return OK;
}

/* --- order --- */

struct parameter {
    struct slice whole;
    size_t name_len;
};

static bool
comes_after(const struct parameter *a, const struct parameter *b)
{
    return slice_compare(slice_first(a->whole, a->name_len), slice_first(b->whole, b->name_len)) >
           0;
}

/* Two sorted runs, [from, middle) and [middle, to), become one; the first goes before its equals.
 */
static void
merge(const struct parameter *in, struct parameter *out, size_t from, size_t middle, size_t to)
{
    size_t a = from, b = middle;

    for (size_t i = from; i < to; i++)
        out[i] = a < middle && (b == to || !comes_after(&in[a], &in[b])) ? in[a++] : in[b++];
}

static size_t
least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Stable. The result is in `items`. */
static void
sort(struct parameter *items, size_t n)
{
    struct parameter others[CACHE_TARGET_SORT_MAX];

    for (size_t run = 1; run < n; run *= 2) {
        for (size_t at = 0; at < n; at += 2 * run)
            merge(items, others, at, least_of(at + run, n), least_of(at + 2 * run, n));
        memcpy(items, others, n * sizeof(*items));
    }
}

/* False: more than can be sorted. */
static bool
collect(struct slice query, struct parameter items[CACHE_TARGET_SORT_MAX], size_t *out_n)
{
    struct slice rest = slice_skip(query, 1), name, whole;
    size_t n = 0;

    for (; cache_target_parameter(&rest, &name, &whole); n++) {
        if (n == CACHE_TARGET_SORT_MAX)
            return false;
        items[n] = (struct parameter){whole, name.len};
    }
    *out_n = n;
    return true;
}

static bool
is_sorted(const struct parameter *items, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (comes_after(&items[i - 1], &items[i]))
            return false;
    return true;
}

static enum err
reorder(struct arena *arena, struct slice *query)
{
    struct parameter items[CACHE_TARGET_SORT_MAX];
    struct out out = {0};
    size_t n;

    if (!collect(*query, items, &n) || is_sorted(items, n))
        return OK;
    out.buf = arena_alloc(arena, query->len);
    if (out.buf == NULL)
        return ERR_NOMEM;
    sort(items, n);
    for (size_t i = 0; i < n; i++)
        put(&out, items[i].whole);
    *query = slice_of(out.buf, out.len);
    return OK;
}

enum err
cache_target_apply(struct arena *arena, const struct cache_target_rules *rules, struct slice *path,
                   struct slice *query)
{
    enum err rc = OK;

    if (rules->ignore_case)
        rc = lower_path(arena, path);
    if (rc == OK && query->len > 0 && (rules->drop_n > 0 || rules->keep_n > 0))
        rc = filter(arena, rules, query);
    if (rc == OK && query->len > 0 && rules->sort)
        rc = reorder(arena, query);
    return rc;
}
