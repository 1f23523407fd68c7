/* Assertions, the error enum, memory that may fail, and the only GNU attributes. */
#ifndef BRINK_BASE_CHECK_H
#define BRINK_BASE_CHECK_H

#include <assert.h> /* static_assert */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(text_at, args_at) __attribute__((format(printf, text_at, args_at)))
#define NORETURN __attribute__((noreturn))
#define FALLTHROUGH __attribute__((fallthrough))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

enum err {
    OK = 0,
#define ERROR(name, status, text) ERR_##name,
#include "base/errors.def"
#undef ERROR
    ERR_COUNT
};

const char *err_text(enum err rc); /* one line for people; never NULL */
const char *err_name(enum err rc); /* "CONNECT_TIMEOUT"; never NULL */
unsigned err_status(enum err rc);  /* the HTTP status a client sees; 500 for OK */

/* States what only our own bug could break: on in every build, aborts with a report. Never on
 * bytes from a peer or a disk, nor on memory. */
#define ASSERT(x)                                                                                  \
    do {                                                                                           \
        if (UNLIKELY(!(x)))                                                                        \
            check_failed(#x, __FILE__, __LINE__, __func__);                                        \
    } while (0)

/* Opens each entry point that takes a long-lived struct, whose first field is `uint32_t tag`. */
#define ASSERT_TAG(ptr, want) ASSERT((ptr) != NULL && (ptr)->tag == (want))
#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__, __func__)
#define TAG_FREED 0xdeadf7eeU /* what a freed struct's tag is set to */

NORETURN void check_failed(const char *what, const char *file, int line, const char *function);

/* What this thread works on now, told by a failed assertion: `describe` writes one line about
 * `subject` into buf. NULL ends it. */
typedef void check_describe_fn(const void *subject, char *buf, size_t cap);
void check_context(check_describe_fn *describe, const void *subject);

/* Memory. NULL when there is none: the request ends, not the daemon. mem_free(NULL) is fine. */
MUST_USE void *mem_alloc(size_t len);
MUST_USE void *mem_zalloc(size_t len);
MUST_USE void *mem_realloc(void *ptr, size_t len);
MUST_USE char *mem_strdup(const char *text);
void mem_free(void *ptr);

/* For tests: the nth allocation from now on (1 is the next) fails on this thread, once. 0: none. */
void mem_fail_at(unsigned nth);

#endif
