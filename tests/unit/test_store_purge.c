/* Purging: what is named goes, at once for readers, for good after a crash, and also when it was on
 * its way in. What is not named stays. */
#include "store_help.h"

#include <signal.h>
#include <sys/wait.h>

#define MIB (1024ULL * 1024)

static const uint64_t label_news = 11, label_sport = 22;

static int
set_up(void **state)
{
    return help_set_up(state, 64 * MIB);
}

static void
close_fixture(struct help_fixture *fixture)
{
    store_reader_free(&fixture->reader);
    store_close(&fixture->store);
}

static void
put(struct store *store, const char *key, uint64_t label, uint64_t variant)
{
    struct help_object object = {
        .key = key, .body_len = 500, .variant = variant, .labels = &label, .labels_n = label != 0};

    assert_int_equal(help_put(store, &object, NULL), OK);
}

static void
put_all(struct store *store)
{
    put(store, "site/a/1", label_news, 0);
    put(store, "site/a/1", label_sport, 1);
    put(store, "site/a/2", label_sport, 0);
    put(store, "site/b/1", label_news, 0);
    put(store, "site/b/2", 0, 0);
}

/* How many objects of put_all are found, and how many of these are marked soft. */
static unsigned
found(struct store_reader *reader, unsigned *out_soft)
{
    static const char *const keys[] = {"site/a/1", "site/a/2", "site/b/1", "site/b/2"};
    unsigned n = 0;

    *out_soft = 0;
    store_read_begin(reader);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct store_key key = help_key(keys[i]);
        struct store_cursor cursor = {.key = &key};
        struct store_object object;

        for (; store_find(reader, &cursor, &object); n++)
            *out_soft += object.soft_purged;
    }
    store_read_end(reader);
    return n;
}

static void
every_kind_removes_what_it_names(void **state)
{
    struct help_fixture *fixture = *state;
    static const struct {
        const char *why;
        struct store_purge purge;
        unsigned matches, by_key;
    } cases[] = {
        {"a key, with its variants", {STORE_PURGE_KEY, false, 0, {"site/a/1", 8}}, 2, 2},
        {"a key, softly", {STORE_PURGE_KEY, true, 0, {"site/a/1", 8}}, 2, 2},
        {"an unknown key", {STORE_PURGE_KEY, false, 0, {"site/a/", 7}}, 0, 0},
        {"a label", {STORE_PURGE_LABEL, false, 11, {NULL, 0}}, 2, 0},
        {"a label, softly", {STORE_PURGE_LABEL, true, 22, {NULL, 0}}, 2, 0},
        {"an unknown label", {STORE_PURGE_LABEL, false, 33, {NULL, 0}}, 0, 0},
        {"a prefix", {STORE_PURGE_PREFIX, false, 0, {"site/a/", 7}}, 3, 0},
        {"a prefix, softly", {STORE_PURGE_PREFIX, true, 0, {"site/b", 6}}, 2, 0},
        {"a prefix that is longer than any key",
         {STORE_PURGE_PREFIX, false, 0, {"site/a/11", 9}},
         0,
         0},
        {"all", {STORE_PURGE_ALL, false, 0, {NULL, 0}}, 5, 0},
        {"all, softly", {STORE_PURGE_ALL, true, 0, {NULL, 0}}, 5, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool is_soft = cases[i].purge.soft;
        unsigned soft;
        uint64_t id;

        print_message("case: %s\n", cases[i].why);
        put_all(fixture->store);
        assert_int_equal(found(fixture->reader, &soft), 5);
        assert_int_equal(soft, 0);
        assert_int_equal(help_purge(fixture->store, &cases[i].purge, 1, &id), cases[i].by_key);
        for (unsigned again = 0; again < 2; again++) { /* before the sweep, and after it */
            assert_int_equal(found(fixture->reader, &soft), is_soft ? 5 : 5 - cases[i].matches);
            assert_int_equal(soft, is_soft ? cases[i].matches : 0);
            assert_int_equal(help_purge_finish(fixture->store, id), cases[i].matches);
        }
        put_all(fixture->store); /* what comes later is not named */
        assert_int_equal(found(fixture->reader, &soft), 5);
        assert_int_equal(soft, 0);
        (void)help_check(fixture->store);
    }
}

static void
one_call_may_name_many(void **state)
{
    struct help_fixture *fixture = *state;
    const struct store_purge purges[] = {
        {STORE_PURGE_KEY, false, 0, SLICE("site/a/1")},
        {STORE_PURGE_KEY, false, 0, SLICE("site/b/1")},
        {STORE_PURGE_LABEL, false, label_sport, SLICE_NONE},
    };
    unsigned soft;
    uint64_t id;

    put_all(fixture->store);
    assert_int_equal(help_purge(fixture->store, purges, 3, &id), 3);
    assert_int_equal(found(fixture->reader, &soft), 1);
    assert_int_equal(help_purge_finish(fixture->store, id), 4);
    assert_int_equal(found(fixture->reader, &soft), 1);
}

static void
unknown_ids_are_not_found(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_purge_status status;

    assert_int_equal(store_purge_status(fixture->store, 0, &status), ERR_NOT_FOUND);
    assert_int_equal(store_purge_status(fixture->store, 12345, &status), ERR_NOT_FOUND);
}

/* An object that was on its way in when it was purged. */
static void
a_purge_reaches_puts_on_their_way(void **state)
{
    struct help_fixture *fixture = *state;
    static const struct {
        const char *why;
        struct store_purge purge;
        enum err rc;
        enum store_purged since;
    } cases[] = {
        {"its key", {STORE_PURGE_KEY, false, 0, {"way", 3}}, ERR_CANCELLED, STORE_PURGED_HARD},
        {"its key, softly", {STORE_PURGE_KEY, true, 0, {"way", 3}}, OK, STORE_PURGED_SOFT},
        {"another key", {STORE_PURGE_KEY, false, 0, {"way2", 4}}, OK, STORE_NOT_PURGED},
        {"its label", {STORE_PURGE_LABEL, false, 11, {NULL, 0}}, ERR_CANCELLED, STORE_PURGED_HARD},
        {"another label", {STORE_PURGE_LABEL, false, 12, {NULL, 0}}, OK, STORE_NOT_PURGED},
        {"its prefix, softly", {STORE_PURGE_PREFIX, true, 0, {"wa", 2}}, OK, STORE_PURGED_SOFT},
        {"all", {STORE_PURGE_ALL, false, 0, {NULL, 0}}, ERR_CANCELLED, STORE_PURGED_HARD},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct help_object object = {.key = "way",
                                     .body_len = 3 * BLOCK_FULL_LEN + 7,
                                     .variant = i,
                                     .labels = &label_news,
                                     .labels_n = 1};
        struct store_key key = help_key("way");
        struct help_wait wait;
        struct store_put *way;
        struct store_object last;
        uint64_t id, before = help_count(fixture->reader, "way", NULL);

        print_message("case: %s\n", cases[i].why);
        assert_int_equal(store_put_begin(fixture->store, &key, &way), OK);
        assert_int_equal(help_blocks(way, &object), OK);
        (void)help_purge(fixture->store, &cases[i].purge, 1, &id);
        (void)help_purge_finish(fixture->store, id);
        if (cases[i].since == STORE_PURGED_HARD)
            before = 0;
        assert_int_equal(
            store_purged_since(fixture->store, store_put_birth(way), &key, &label_news, 1),
            cases[i].since);
        assert_int_equal(help_end(way, &object, help_done(&wait)), OK);
        assert_int_equal(help_wait_for(&wait, NULL), cases[i].rc);
        store_put_release(&way);
        assert_int_equal(help_count(fixture->reader, "way", &last),
                         before + (cases[i].rc == OK ? 1 : 0));
        if (cases[i].rc == OK) {
            assert_int_equal(last.soft_purged, cases[i].since == STORE_PURGED_SOFT);
            assert_true(help_is_stored(fixture->reader, &object));
        }
    }
    put(fixture->store, "last", 0, 0);
    (void)help_check(fixture->store);
}

static void
an_update_gives_a_new_head_and_lifts_a_soft_purge(void **state)
{
    struct help_fixture *fixture = *state;
    struct help_object object = {
        .key = "update", .body_len = 70000, .variant = 5, .labels = &label_news, .labels_n = 1};
    struct store_record record = {.meta = SLICE("new meta"),
                                  .head = SLICE("a new and rather longer head"),
                                  .labels = &label_sport,
                                  .labels_n = 1};
    struct store_purge soft = {STORE_PURGE_KEY, true, 0, SLICE("update")};
    struct store_key key = help_key("update");
    struct store_object now;
    struct store_put *update;
    struct help_wait wait;
    uint64_t oid, same;

    assert_int_equal(help_put(fixture->store, &object, &oid), OK);
    assert_int_equal(help_purge(fixture->store, &soft, 1, NULL), 1);
    assert_int_equal(help_count(fixture->reader, "update", &now), 1);
    assert_true(now.soft_purged);
    assert_int_equal(store_put_begin(fixture->store, &key, &update), OK);
    assert_int_equal(store_put_update(update, oid, &record, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, &same), OK);
    assert_int_equal(same, oid);
    store_put_release(&update);

    struct store_cursor cursor = {.key = &key};

    store_read_begin(fixture->reader);
    assert_true(store_find(fixture->reader, &cursor, &now));
    assert_false(now.soft_purged);
    assert_int_equal(now.variant, 5);
    assert_true(slice_is(now.meta, "new meta"));
    assert_true(slice_is(now.head, "a new and rather longer head"));
    assert_int_equal(now.labels_n, 1);
    assert_int_equal(now.labels[0], label_sport);
    assert_true(help_body_is(fixture->reader, help_source(&now), help_seed("update")));
    store_read_end(fixture->reader);

    assert_int_equal(store_put_begin(fixture->store, &key, &update), OK);
    assert_int_equal(help_purge(fixture->store, &soft, 1, NULL), 1); /* younger than the update */
    assert_int_equal(store_put_update(update, oid, &record, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    store_put_release(&update);
    assert_int_equal(help_count(fixture->reader, "update", &now), 1);
    assert_true(now.soft_purged);

    soft.soft = false;
    assert_int_equal(help_purge(fixture->store, &soft, 1, NULL), 1);
    assert_int_equal(store_put_begin(fixture->store, &key, &update), OK);
    assert_int_equal(store_put_update(update, oid, &record, help_done(&wait)), OK);
    assert_int_equal(help_wait_for(&wait, NULL), ERR_NOT_FOUND);
    store_put_release(&update);
    (void)help_check(fixture->store);
}

static void
soft_marks_outlive_a_restart(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_purge soft = {STORE_PURGE_LABEL, true, 11, SLICE_NONE};
    unsigned marked;
    uint64_t id;

    put_all(fixture->store);
    (void)help_purge(fixture->store, &soft, 1, &id);
    (void)help_purge_finish(fixture->store, id);
    close_fixture(fixture);
    fixture->store = help_open(fixture->path, 64 * MIB);
    fixture->reader = help_reader(fixture->store);
    assert_int_equal(found(fixture->reader, &marked), 5);
    assert_int_equal(marked, 2);
}

static void
many_objects_are_swept(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_purge purge = {STORE_PURGE_LABEL, false, 11, SLICE_NONE};
    char key[32];
    uint64_t id;

    for (unsigned i = 0; i < 3000; i++) {
        struct help_object object = {.key = key,
                                     .body_len = i % 3000,
                                     .labels = i % 3 == 0 ? &label_news : &label_sport,
                                     .labels_n = 1};

        (void)snprintf(key, sizeof(key), "many/%u", i);
        if (i % 100 == 99)
            assert_int_equal(help_put(fixture->store, &object, NULL), OK);
        else
            assert_int_equal(help_put_start(fixture->store, &object, (struct store_done){0}), OK);
    }
    (void)help_purge(fixture->store, &purge, 1, &id);
    for (unsigned i = 0; i < 3000; i += 50) {
        (void)snprintf(key, sizeof(key), "many/%u", i);
        assert_int_equal(help_count(fixture->reader, key, NULL), i % 3 != 0);
    }
    assert_int_equal(help_purge_finish(fixture->store, id), 1000);
    assert_int_equal(help_check(fixture->store).objects, 2000);
}

/* The sweep may end between two look-ups of one section: its marks are in no older snapshot. */
static void
a_soft_purge_holds_all_through_a_section(void **state)
{
    struct help_fixture *fixture = *state;
    const struct store_purge purge = {STORE_PURGE_PREFIX, true, 0, SLICE("site/")};

    for (unsigned round = 0; round < 150; round++) {
        struct store_purge_status work;
        unsigned soft;
        uint64_t id;

        put_all(fixture->store);
        (void)help_purge(fixture->store, &purge, 1, &id);
        do {
            assert_int_equal(found(fixture->reader, &soft), 5);
            assert_int_equal(soft, 5);
        } while (store_purge_status(fixture->store, id, &work) == OK &&
                 work.state != STORE_PURGE_DONE);
    }
}

/* Acknowledged, then kill -9 at once: it holds. */
static void
an_acknowledged_purge_outlives_kill(void **state)
{
    struct help_fixture *fixture = *state;
    const struct store_purge purges[] = {
        {STORE_PURGE_KEY, false, 0, SLICE("site/a/1")},
        {STORE_PURGE_LABEL, false, 11, SLICE_NONE},
        {STORE_PURGE_PREFIX, true, 0, SLICE("site/b")},
    };
    struct store_purge_status work;
    unsigned soft;
    int status;
    pid_t child;

    put_all(fixture->store);
    close_fixture(fixture);
    child = fork();
    if (child == 0) {
        struct store *store = help_open(fixture->path, 64 * MIB);

        (void)help_purge(store, purges, 3, NULL);
        (void)kill(getpid(), SIGKILL);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture->store = help_open(fixture->path, 64 * MIB);
    fixture->reader = help_reader(fixture->store);
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(found(fixture->reader, &soft), 2); /* a/2 and b/2 */
        assert_int_equal(soft, 1);
        if (store_purge_status(fixture->store, 1, &work) == OK) /* its sweep was not done */
            (void)help_purge_finish(fixture->store, 1);
    }
    (void)help_check(fixture->store);
}

/* Objects count once for each call that names them, and go by the oldest. */
static void
states_tell_matched_removed_and_marked(void **state)
{
    struct help_fixture *fixture = *state;
    const struct store_purge both[] = {{STORE_PURGE_LABEL, false, 11, SLICE_NONE},
                                       {STORE_PURGE_PREFIX, false, 0, SLICE("site/b")}};
    const struct store_purge soft = {STORE_PURGE_LABEL, true, 22, SLICE_NONE};
    struct store_purge_status first, second, marks;
    uint64_t ids[3];

    put_all(fixture->store);
    assert_int_equal(store_purge(fixture->store, both, 2, (struct store_done){0}, &ids[0]), OK);
    assert_int_equal(store_purge(fixture->store, &soft, 1, (struct store_done){0}, &ids[1]), OK);
    (void)help_purge(fixture->store, both, 1, &ids[2]);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        (void)help_purge_finish(fixture->store, ids[i]);
    assert_int_equal(store_purge_status(fixture->store, ids[0], &first), OK);
    assert_int_equal(store_purge_status(fixture->store, ids[1], &marks), OK);
    assert_int_equal(store_purge_status(fixture->store, ids[2], &second), OK);
    assert_int_equal(first.matched, 3); /* a/1, b/1 by both of its rows, b/2 */
    assert_int_equal(first.removed, 3);
    assert_int_equal(first.marked, 0);
    assert_false(first.soft);
    assert_true(marks.soft);
    assert_int_equal(marks.matched, 2);
    assert_int_equal(marks.marked, 2);
    assert_int_equal(marks.removed, 0);
    assert_true(second.matched == 2 || second.matched == 0); /* 0: the first was quicker */
    assert_int_equal(second.removed, 0);
    assert_true(first.began_ms > 0 && first.ended_ms >= first.began_ms);
}

/* Killed with purges at work: they go on under their ids; those that ended are not known. */
static void
purges_at_work_are_known_after_a_kill(void **state)
{
    struct help_fixture *fixture = *state;
    struct store_purge purge = {STORE_PURGE_LABEL, false, 11, SLICE_NONE};
    struct store_purge_status work;
    uint64_t id = 0, ended, last;
    int pipes[2], status;
    pid_t child;

    put_all(fixture->store);
    (void)help_purge(fixture->store, &purge, 1, &ended);
    (void)help_purge_finish(fixture->store, ended);
    put_all(fixture->store);
    close_fixture(fixture);
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        struct store *store = help_open(fixture->path, 64 * MIB);

        (void)help_purge(store, &purge, 1, &id);
        if (write(pipes[1], &id, sizeof(id)) == (ssize_t)sizeof(id))
            (void)kill(getpid(), SIGKILL);
        _exit(1); /* the parent will miss the id */
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(read(pipes[0], &id, sizeof(id)), sizeof(id));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    fixture->store = help_open(fixture->path, 64 * MIB);
    fixture->reader = help_reader(fixture->store);
    assert_true(id > ended);
    assert_int_equal(store_purge_status(fixture->store, id, &work), OK);
    assert_int_equal(help_purge_finish(fixture->store, id), 2);
    assert_int_equal(store_purge_status(fixture->store, ended, &work), ERR_NOT_FOUND);
    (void)help_purge(fixture->store, &purge, 1, &last);
    assert_true(last > id); /* no id comes twice */
}

/* As many names as may be at work, then no more until they are seen to. */
static void
names_at_work_are_bounded(void **state)
{
    struct help_fixture *fixture = *state;
    static struct store_purge purges[4096];
    uint64_t id = 0, last = 0;
    unsigned taken = 0;
    enum err rc = OK;

    for (size_t i = 0; i < ARRAY_LEN(purges); i++)
        purges[i] = (struct store_purge){STORE_PURGE_LABEL, i % 2 == 0, i + 1, SLICE_NONE};
    put_all(fixture->store);
    for (; rc == OK && taken < 1000; taken++) {
        last = id;
        rc = store_purge(fixture->store, purges, ARRAY_LEN(purges), (struct store_done){0}, &id);
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_true(taken > 65536 / 4096);
    (void)help_purge_finish(fixture->store, last);
    assert_int_equal(
        store_purge(fixture->store, purges, ARRAY_LEN(purges), (struct store_done){0}, &id), OK);
    (void)help_purge_finish(fixture->store, id);
    assert_int_equal(help_count(fixture->reader, "site/a/2", NULL), 0); /* 22 */
    assert_int_equal(help_count(fixture->reader, "site/b/1", NULL), 1); /* 11: softly */
    assert_int_equal(help_count(fixture->reader, "site/b/2", NULL), 1); /* nothing names it */
}

/* Every kind in one call, hard and soft: each object gets the worst that names it. */
static void
one_call_may_mix_kinds_hard_and_soft(void **state)
{
    struct help_fixture *fixture = *state;
    const struct store_purge purges[] = {
        {STORE_PURGE_ALL, true, 0, SLICE_NONE},
        {STORE_PURGE_KEY, true, 0, SLICE("site/a/2")},
        {STORE_PURGE_LABEL, false, 11, SLICE_NONE},
        {STORE_PURGE_PREFIX, true, 0, SLICE("site/")},
    };
    struct store_purge_status status;
    unsigned soft;
    uint64_t id;

    put_all(fixture->store);
    assert_int_equal(help_purge(fixture->store, purges, ARRAY_LEN(purges), &id), 1);
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(found(fixture->reader, &soft), 3); /* all but those of 11 */
        assert_int_equal(soft, 3);
        (void)help_purge_finish(fixture->store, id);
    }
    assert_int_equal(store_purge_status(fixture->store, id, &status), OK);
    assert_false(status.soft);
    assert_int_equal(status.removed, 2);
    close_fixture(fixture);
    fixture->store = help_open(fixture->path, 64 * MIB);
    fixture->reader = help_reader(fixture->store);
    assert_int_equal(found(fixture->reader, &soft), 3);
    assert_int_equal(soft, 3);
}

enum { KEPT = 40, KEPT_LEN = 3000, FLOOD = 120, FLOOD_LEN = 40000 };

static void
flood(struct store *store, unsigned *number)
{
    char key[32];

    for (unsigned i = 0; i < FLOOD; i++) {
        struct help_object object = {.key = key, .body_len = FLOOD_LEN};

        (void)snprintf(key, sizeof(key), "flood/%u", ++*number);
        (void)help_put_start(store, &object, (struct store_done){0});
    }
}

/* Store those that are used, so that eviction writes them again. */
static void
keep(struct store *store, struct store_reader *reader)
{
    char key[32];

    for (unsigned i = 0; i < KEPT; i++) {
        struct help_object object = {
            .key = key, .body_len = KEPT_LEN, .labels = &label_news, .labels_n = 1};

        (void)snprintf(key, sizeof(key), "kept/%u", i);
        assert_int_equal(help_put(store, &object, NULL), OK);
        assert_true(help_is_stored(reader, &object));
    }
}

static void
no_kept_one_is_fresh(struct store_reader *reader, bool soft)
{
    char key[32];

    for (unsigned i = 0; i < KEPT; i++) {
        struct store_object object = {.soft_purged = true};
        unsigned n;

        (void)snprintf(key, sizeof(key), "kept/%u", i);
        n = help_count(reader, key, &object);
        assert_true(object.soft_purged);
        assert_true(soft ? n <= 1 : n == 0);
    }
}

/* Survivors get new ids while the sweep goes on, before it and behind it. */
static void
a_purge_reaches_survivors_of_eviction(void **state)
{
    char path[256];
    struct store_reader *reader;
    struct store *store;
    unsigned number = 0;

    (void)state;
    help_new_folder(path, sizeof(path));
    store = help_open(path, 8 * MIB);
    reader = help_reader(store);
    for (unsigned round = 0; round < 12; round++) {
        struct store_purge purge = {STORE_PURGE_LABEL, round % 2 == 0, 11, SLICE_NONE};
        uint64_t id;

        keep(store, reader);
        flood(store, &number);
        (void)help_purge(store, &purge, 1, &id);
        no_kept_one_is_fresh(reader, purge.soft);
        flood(store, &number);
        no_kept_one_is_fresh(reader, purge.soft);
        (void)help_purge_finish(store, id);
        no_kept_one_is_fresh(reader, purge.soft);
    }
    (void)help_check(store);
    store_reader_free(&reader);
    store_close(&store);
    help_remove_folder(path);
}

static void
too_many_rows_are_refused(void **state)
{
    struct help_fixture *fixture = *state;
    static struct store_purge purges[5000];
    uint64_t id;

    for (size_t i = 0; i < ARRAY_LEN(purges); i++)
        purges[i] = (struct store_purge){STORE_PURGE_LABEL, false, i, SLICE_NONE};
    assert_int_equal(
        store_purge(fixture->store, purges, ARRAY_LEN(purges), (struct store_done){0}, &id),
        ERR_LIMIT);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, help_tear_down)
    const struct CMUnitTest tests[] = {
        T(every_kind_removes_what_it_names),
        T(one_call_may_name_many),
        T(unknown_ids_are_not_found),
        T(a_purge_reaches_puts_on_their_way),
        T(an_update_gives_a_new_head_and_lifts_a_soft_purge),
        T(soft_marks_outlive_a_restart),
        T(many_objects_are_swept),
        T(a_soft_purge_holds_all_through_a_section),
        T(an_acknowledged_purge_outlives_kill),
        T(one_call_may_mix_kinds_hard_and_soft),
        cmocka_unit_test(a_purge_reaches_survivors_of_eviction),
        T(states_tell_matched_removed_and_marked),
        T(purges_at_work_are_known_after_a_kill),
        T(names_at_work_are_bounded),
        T(too_many_rows_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
