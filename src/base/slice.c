/* Borrowed text: comparison, cutting, numbers with units. */
#include "base/slice.h"

bool
slice_equal_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (char_lower(a.ptr[i]) != char_lower(b.ptr[i]))
            return false;
    return true;
}

bool
slice_is_nocase(struct slice a, const char *text)
{
    return slice_equal_nocase(a, slice_from_str(text));
}

bool
slice_starts(struct slice text, struct slice prefix)
{
    return text.len >= prefix.len && slice_equal(slice_first(text, prefix.len), prefix);
}

int
slice_compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

void
slice_insert(struct slice *set, size_t *n, struct slice item)
{
    size_t at = *n;

    for (; at > 0; at--) {
        int order = slice_compare(set[at - 1], item);

        if (order == 0)
            return;
        if (order < 0)
            break;
    }
    memmove(set + at + 1, set + at, (*n - at) * sizeof(*set));
    set[at] = item;
    (*n)++;
}

bool
slice_ends(struct slice text, struct slice suffix)
{
    return text.len >= suffix.len && slice_equal(slice_skip(text, text.len - suffix.len), suffix);
}

bool
slice_find(struct slice text, char c, size_t *out_at)
{
    const char *hit = text.len == 0 ? NULL : memchr(text.ptr, c, text.len);

    if (hit == NULL)
        return false;
    *out_at = (size_t)(hit - text.ptr);
    return true;
}

struct slice
slice_trim(struct slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = slice_skip(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

struct slice
slice_skip(struct slice text, size_t n)
{
    ASSERT(n <= text.len);
    if (n == 0)
        return text; /* NULL + 0 is undefined in C17 */
    return slice_of(text.ptr + n, text.len - n);
}

struct slice
slice_first(struct slice text, size_t n)
{
    return slice_of(text.ptr, text.len < n ? text.len : n);
}

bool
slice_cut(struct slice *rest, char c, struct slice *out_before)
{
    size_t at;

    if (!slice_find(*rest, c, &at)) {
        *out_before = *rest;
        *rest = slice_skip(*rest, rest->len);
        return false;
    }
    *out_before = slice_first(*rest, at);
    *rest = slice_skip(*rest, at + 1);
    return true;
}

bool
slice_take_u64(struct slice *text, uint64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;

    for (; i < text->len && text->ptr[i] >= '0' && text->ptr[i] <= '9'; i++) {
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text->ptr[i] - '0'), &n))
            return false;
    }
    if (i == 0)
        return false;
    *text = slice_skip(*text, i);
    *out = n;
    return true;
}

bool
slice_to_u64(struct slice text, uint64_t *out)
{
    uint64_t n;

    if (!slice_take_u64(&text, &n) || text.len != 0)
        return false;
    *out = n;
    return true;
}

struct slice
slice_from_u64(uint64_t n, char digits[U64_DIGITS_MAX])
{
    size_t at = U64_DIGITS_MAX;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    return slice_of(digits + at, U64_DIGITS_MAX - at);
}

char *
slice_to_str(struct slice text)
{
    char *copy = mem_alloc(text.len + 1);

    if (copy == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* A number followed by the name of a unit. */
struct unit {
    const char *name;
    uint64_t scale;
};

static enum err
parse_scaled(struct slice text, const struct unit *units, size_t units_n, uint64_t *out)
{
    uint64_t n, scaled;

    if (!slice_take_u64(&text, &n))
        return text.len > 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9' ? ERR_RANGE : ERR_SYNTAX;
    for (size_t i = 0; i < units_n; i++) {
        if (!slice_is_nocase(text, units[i].name))
            continue;
        if (__builtin_mul_overflow(n, units[i].scale, &scaled))
            return ERR_RANGE;
        *out = scaled;
        return OK;
    }
    return ERR_SYNTAX;
}

enum err
slice_to_duration_ms(struct slice text, uint64_t *out_ms)
{
    static const struct unit units[] = {
        {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };

    return parse_scaled(text, units, ARRAY_LEN(units), out_ms);
}

enum err
slice_to_bytes(struct slice text, uint64_t *out)
{
    static const struct unit units[] = {
        {"", 1},           {"b", 1},           {"k", 1ULL << 10}, {"kb", 1ULL << 10},
        {"m", 1ULL << 20}, {"mb", 1ULL << 20}, {"g", 1ULL << 30}, {"gb", 1ULL << 30},
        {"t", 1ULL << 40}, {"tb", 1ULL << 40},
    };

    return parse_scaled(text, units, ARRAY_LEN(units), out);
}
