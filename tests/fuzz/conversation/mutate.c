/* How libFuzzer changes a script: mostly the content or the line of one record, sometimes the order
 * and number of records, so that both dialogues stay dialogues. */
#include <stdlib.h>
#include <string.h>

#include "script.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { RECORDS_MAX = 256 };

/* Changes [at, at + len) in place; returns the new length of the whole. */
static size_t
mutate_part(uint8_t *data, size_t size, size_t max_size, size_t at, size_t len)
{
    size_t room = max_size - size + len, n;
    uint8_t *part = malloc(room == 0 ? 1 : room);

    if (part == NULL || room == 0) {
        free(part);
        return size;
    }
    memcpy(part, data + at, len);
    n = LLVMFuzzerMutate(part, len, room);
    memmove(data + at + n, data + at + len, size - at - len);
    memcpy(data + at, part, n);
    free(part);
    return size - len + n;
}

/* Takes [from, from + len) out, or puts a copy of it before `to`. */
static size_t
remove_part(uint8_t *data, size_t size, size_t from, size_t len)
{
    memmove(data + from, data + from + len, size - from - len);
    return size - len;
}

static size_t
copy_part(uint8_t *data, size_t size, size_t max_size, size_t from, size_t len, size_t to)
{
    uint8_t *part;

    if (size + len > max_size || (part = malloc(len)) == NULL)
        return size;
    memcpy(part, data + from, len);
    memmove(data + to + len, data + to, size - to);
    memcpy(data + to, part, len);
    free(part);
    return size + len;
}

/* One more record behind `at`, from a short list of turns that a dialogue may take. */
static size_t
insert_turn(uint8_t *data, size_t size, size_t max_size, size_t at, unsigned which)
{
    static const char *const turns[] = {
        "@h0\n",      "@x0\n",       "@w0 5\n", "@w0\n",   "@e9\n",   "@r9\n",      "@v9 0\n",
        "@v9\n",      "@f\n",        "@p\n",    "@d\n",    "@m  3\n", "@s  h\n",    "@s  \n",
        "@t  1000\n", "@t  40000\n", "@D\n",    "@s  c\n", "@s  f\n", "@C0 9999\n", "@O9 70000\n",
        "@m  1\n",    "@s  g\n",     "@s  p\n", "@s  d\n",
    };
    const char *turn = turns[which % ARRAY_LEN(turns)];
    size_t len = strlen(turn);

    if (size + len > max_size)
        return size;
    memmove(data + at + len, data + at, size - at);
    memcpy(data + at, turn, len);
    return size + len;
}

static size_t
find_records(const uint8_t *data, size_t size, struct record *records)
{
    struct slice rest = slice_of(data, size);
    size_t n = 0;

    while (n < RECORDS_MAX && script_next(&rest, &records[n]))
        n++;
    return n;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct record records[RECORDS_MAX];
    size_t n = find_records(data, size, records), at, len, to;
    const struct record *one;

    if (n == 0 || seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    seed /= 16;
    one = &records[seed / 16 % n];
    at = (size_t)(one->whole.ptr - (const char *)data);
    to = (size_t)(records[seed / 1024 % n].whole.ptr - (const char *)data);
    len = one->whole.len;
    switch (seed % 16) {
    case 0:
        return remove_part(data, size, at, len);
    case 1:
        return copy_part(data, size, max_size, at, len, to);
    case 2:
    case 3:
        return insert_turn(data, size, max_size, at, seed / 64);
    case 4:
    case 5:
        return mutate_part(data, size, max_size, at, len);
    default:
        at = (size_t)(one->content.ptr - (const char *)data);
        return mutate_part(data, size, max_size, at, one->content.len);
    }
}
