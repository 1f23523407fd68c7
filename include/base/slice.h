/* Text as pointer and length: borrowed, never terminated, never owned. */
#ifndef BRINK_BASE_SLICE_H
#define BRINK_BASE_SLICE_H

#include <string.h>

#include "base/check.h"

struct slice {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
#define SLICE_ARGS(s) (int)(s).len, (s).ptr /* for "%.*s" */

static inline struct slice
slice_of(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice
slice_from_str(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
slice_is(struct slice a, const char *text)
{
    return slice_equal(a, slice_from_str(text));
}

static inline char
char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool slice_equal_nocase(struct slice a, struct slice b); /* ASCII letters only */
bool slice_is_nocase(struct slice a, const char *text);
bool slice_starts(struct slice text, struct slice prefix);
bool slice_ends(struct slice text, struct slice suffix);
bool slice_find(struct slice text, char c, size_t *out_at);
struct slice slice_trim(struct slice text);            /* spaces and tabs (OWS) at both ends */
struct slice slice_skip(struct slice text, size_t n);  /* n <= text.len */
struct slice slice_first(struct slice text, size_t n); /* at most n bytes */
bool slice_cut(struct slice *rest, char c, struct slice *out_before); /* false: no c; *out = all */

/* Below, at or above 0: by the bytes as numbers; a text comes before those that it begins. */
int slice_compare(struct slice a, struct slice b);

/* Into a set of *n in the order of their bytes, which has room for one more; not a second time. */
void slice_insert(struct slice *set, size_t *n, struct slice item);

/* Digits at the start of *text, taken off. False when there is none or it does not fit 64 bits. */
bool slice_take_u64(struct slice *text, uint64_t *out);

/* The whole text is digits and fits. */
bool slice_to_u64(struct slice text, uint64_t *out);

/* The decimal digits of n, somewhere in `digits`. */
enum { U64_DIGITS_MAX = 20 };
struct slice slice_from_u64(uint64_t n, char digits[U64_DIGITS_MAX]);

/* A terminated copy on the heap, or NULL. */
MUST_USE char *slice_to_str(struct slice text);

/* "250ms", "3s", "5m", "2h", "1d", a bare number being seconds: milliseconds.
 * ERR_SYNTAX, ERR_RANGE on overflow. */
MUST_USE enum err slice_to_duration_ms(struct slice text, uint64_t *out_ms);

/* "64MB", "4k", "10GB", "1t", a bare number being bytes. k, m, g, t are powers of 1,024, with or
 * without a trailing b, in any case. ERR_SYNTAX, ERR_RANGE. */
MUST_USE enum err slice_to_bytes(struct slice text, uint64_t *out);

#endif
