/* For tests of explanations: a store, what requests over it need, and questions from lines. */
#ifndef BRINK_TESTS_EXPLAIN_HELP_H
#define BRINK_TESTS_EXPLAIN_HELP_H

#include "store_help.h"

#include "proxy/core.h"
#include "proxy/explain.h"

struct bench {
    char path[256];
    struct store *store;
    struct store_reader *reader;
    struct proxy_shared *shared;
};

static inline struct bench *
bench_new(const struct proxy_settings *settings)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    help_new_folder(bench->path, sizeof(bench->path));
    bench->store = help_open(bench->path, 16 << 20);
    bench->reader = help_reader(bench->store);
    assert_int_equal(proxy_shared_new(bench->store, settings, &bench->shared), OK);
    return bench;
}

static inline int
bench_tear_down(void **state)
{
    struct bench *bench = *state;

    store_reader_free(&bench->reader);
    store_close(&bench->store);
    proxy_shared_free(&bench->shared);
    help_remove_folder(bench->path);
    free(bench);
    return 0;
}

enum { BENCH_FIELDS_MAX = 4 };

/* `fields`, separated by line feeds, into lines[BENCH_FIELDS_MAX], and so into the question. */
static inline void
bench_fields(const char *fields, struct slice *lines, struct explain_question *question)
{
    struct slice rest = slice_from_str(fields);

    question->fields = lines;
    while (rest.len > 0) {
        assert_true(question->fields_n < BENCH_FIELDS_MAX);
        (void)slice_cut(&rest, '\n', &lines[question->fields_n++]);
    }
}

#endif
