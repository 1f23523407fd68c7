/* Assertions with a report, texts of errors, and the allocator whose failures tests can provoke. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/escape.h"

static _Thread_local check_describe_fn *context_describe;
static _Thread_local const void *context_subject;
static _Thread_local unsigned fail_countdown; /* 0: no failure planned */

const char *
err_text(enum err rc)
{
    static const char *const texts[] = {
        "no error",
#define ERROR(name, status, text) text,
#include "base/errors.def"
#undef ERROR
    };

    static_assert(ARRAY_LEN(texts) == ERR_COUNT, "one text an error");
    return (unsigned)rc < ERR_COUNT ? texts[rc] : "unknown error";
}

const char *
err_name(enum err rc)
{
    static const char *const names[] = {
        "OK",
#define ERROR(name, status, text) #name,
#include "base/errors.def"
#undef ERROR
    };

    return (unsigned)rc < ERR_COUNT ? names[rc] : "UNKNOWN";
}

unsigned
err_status(enum err rc)
{
    static const uint16_t statuses[] = {
        500,
#define ERROR(name, status, text) status,
#include "base/errors.def"
#undef ERROR
    };

    return (unsigned)rc < ERR_COUNT ? statuses[rc] : 500;
}

void
check_context(check_describe_fn *describe, const void *subject)
{
    context_describe = describe;
    context_subject = subject;
}

void
check_failed(const char *what, const char *file, int line, const char *function)
{
    char about[1024] = "", safe[sizeof(about) * ESCAPE_GROWTH_MAX];

    fprintf(stderr, "brink: assertion failed: %s, in %s at %s:%d\n", what, function, file, line);
    if (context_describe != NULL) {
        struct slice rest;

        context_describe(context_subject, about, sizeof(about));
        rest = slice_from_str(about);
        fprintf(stderr, "brink: while working on %.*s\n",
                (int)escape_write(ESCAPE_TEXT, &rest, safe, sizeof(safe)), safe);
    }
    fflush(stderr);
    abort();
}

void
mem_fail_at(unsigned nth)
{
    fail_countdown = nth;
}

static bool
planned_failure(void)
{
    return UNLIKELY(fail_countdown != 0) && --fail_countdown == 0;
}

void *
mem_alloc(size_t len)
{
    return planned_failure() ? NULL : malloc(len == 0 ? 1 : len);
}

void *
mem_zalloc(size_t len)
{
    return planned_failure() ? NULL : calloc(1, len == 0 ? 1 : len);
}

void *
mem_realloc(void *ptr, size_t len)
{
    return planned_failure() ? NULL : realloc(ptr, len == 0 ? 1 : len);
}

char *
mem_strdup(const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = mem_alloc(len);

    if (copy != NULL)
        memcpy(copy, text, len);
    return copy;
}

void
mem_free(void *ptr)
{
    free(ptr);
}
