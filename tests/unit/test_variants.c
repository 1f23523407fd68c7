/* Strong forms, made of what is in a real store: once, kept beside the body they were made of,
 * never beside another. */
#include "store_help.h"

#include <stdlib.h>
#include <time.h>

#include "base/stats.h"
#include "net/loop.h"
#include "net/wake.h"
#include "proxy/variants.h"

enum { MIB = 1 << 20, WAIT_TRIES = 60000, WAIT_STEP_US = 1000, OUT_CAP = 12 << 20 };

struct bench {
    char path[256];
    struct store *store;
    struct store_reader *reader;
    struct variants *variants;
    uint64_t family;
    int64_t counted[STAT_COUNT]; /* when the case began */
    struct coding_settings site, other_site;
};

static const struct coder_bound bound = {.free_len = MIB, .ratio = 500};

/* --- the store and the pool --- */

static void
start(struct bench *bench, unsigned threads_n, unsigned queue_max)
{
    struct variants_settings settings = {.threads_n = threads_n, .queue_max = queue_max};

    assert_int_equal(variants_new(bench->store, &settings, &bound, &bench->variants), OK);
}

static void
stop(struct bench *bench)
{
    variants_stop(bench->variants);
    store_reader_free(&bench->reader);
    store_close(&bench->store);
    variants_free(&bench->variants);
}

static void
open_store(struct bench *bench, uint64_t size_len)
{
    bench->store = help_open(bench->path, size_len);
    bench->reader = help_reader(bench->store);
}

static int
set_up(void **state)
{
    static struct bench bench;
    const struct coding_settings site = {
        .strong = {[CODING_GZIP] = 9, [CODING_BR] = 11, [CODING_ZSTD] = 19},
        .strong_max_len = 10 * MIB};

    bench = (struct bench){.site = site, .other_site = site};
    help_new_folder(bench.path, sizeof(bench.path));
    open_store(&bench, 64 * MIB);
    for (unsigned i = 0; i < STAT_COUNT; i++)
        bench.counted[i] = stats_read((enum counter)i);
    *state = &bench;
    return 0;
}

static int
tear_down(void **state)
{
    struct bench *bench = *state;

    stop(bench);
    help_remove_folder(bench->path);
    return 0;
}

static int64_t
counted(const struct bench *bench, enum counter stat)
{
    return stats_read(stat) - bench->counted[stat];
}

static void
wait_for(const struct bench *bench, enum counter stat, int64_t n)
{
    for (unsigned i = 0; counted(bench, stat) < n; i++) {
        if (i == WAIT_TRIES)
            fail_msg("%s is %lld", stats_name(stat), (long long)counted(bench, stat));
        (void)usleep(WAIT_STEP_US);
    }
}

static double
seconds(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* --- objects --- */

enum kind { TEXT, NOISE };

/* Words of a few letters, the same for the same seed; or what no coding makes smaller. */
static char *
new_body(enum kind kind, uint64_t seed, size_t len)
{
    char *body = malloc(len + 1);

    assert_non_null(body);
    help_fill(body, seed, 0, len);
    for (size_t i = 0; kind == TEXT && i < len; i++)
        body[i] = "etaoin shrdlu etaoin <div>={};\n"[(unsigned char)body[i] % 31];
    return body;
}

struct thing {
    const char *key;
    struct slice body;
    enum http_coding coding; /* as the origin sent it */
    uint64_t variant;
    bool fixed; /* not codable */
    uint32_t search;
    uint16_t status; /* 0: 200 */
};

static struct store_record
record_of(struct arena *arena, const struct thing *thing, uint64_t family)
{
    struct cache_object object = {.status = thing->status == 0 ? 200 : thing->status,
                                  .search = thing->search,
                                  .flags = thing->fixed ? 0 : CACHE_CODABLE,
                                  .last_modified_s = -1,
                                  .lifetime_s = 60,
                                  .coding = thing->coding,
                                  .etag = SLICE("\"abc\"")};
    struct store_record record = {
        .variant = thing->variant, .family = family, .head = SLICE("HTTP/1.1 200 OK\r\n")};

    if (thing->coding != CODING_IDENTITY)
        object.flags |= CACHE_CODED;
    assert_int_equal(cache_object_encode(arena, &object, &record.meta), OK);
    return record;
}

/* Store it as the head of a new family. */
static uint64_t
store_thing(struct bench *bench, const struct thing *thing)
{
    struct store_key key = help_key(thing->key);
    struct help_wait wait;
    struct store_done done = help_done(&wait);
    struct store_put *put;
    struct store_record record;
    struct arena arena;
    size_t off = 0;

    arena_init(&arena, 0);
    record = record_of(&arena, thing, ++bench->family);
    assert_int_equal(store_put_begin(bench->store, &key, &put), OK);
    for (bool ended = false; !ended;) {
        size_t n = thing->body.len - off < BLOCK_FULL_LEN ? thing->body.len - off : BLOCK_FULL_LEN;
        struct block *block = block_new(n);

        memcpy(block->data, thing->body.ptr + off, n);
        block->len = (uint32_t)n;
        off += n;
        ended = n < BLOCK_FULL_LEN;
        if (ended)
            assert_int_equal(store_put_end(put, &record, block, done), OK);
        else
            assert_int_equal(store_put_block(put, block, (struct store_done){0}), OK);
        block_unref(&block);
    }
    store_put_release(&put);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    arena_fini(&arena);
    return bench->family;
}

static void
want_of(struct bench *bench, const struct thing *thing, uint64_t family, enum http_coding coding,
        const struct coding_settings *site)
{
    struct store_key key = help_key(thing->key);

    variants_want(bench->variants, &key, thing->variant, family, coding, site);
}

static void
want(struct bench *bench, const struct thing *thing, uint64_t family, enum http_coding coding)
{
    want_of(bench, thing, family, coding, &bench->site);
}

/* --- what is stored --- */

enum found { NO_HEAD, NO_MEMBER, NO_GAIN, RIGHT, WRONG };

static size_t
copy_body(struct store_reader *reader, const struct store_object *object, char *to)
{
    struct store_source source = help_source(object);
    size_t len = 0;

    while (len < object->body_len) {
        struct iovec iov[8];
        size_t n = 0;

        assert_int_equal(store_body(reader, &source, len, UINT64_MAX, iov, 8, &n), OK);
        for (size_t i = 0; i < n; i++) {
            memcpy(to + len, iov[i].iov_base, iov[i].iov_len);
            len += iov[i].iov_len;
        }
    }
    return len;
}

/* The member is that text coded, with lines that name its bytes. */
static enum found
judge_member(struct store_reader *reader, const struct store_object *member,
             enum http_coding coding, struct slice text)
{
    char *coded = malloc((size_t)member->body_len + 1), *plain = malloc(OUT_CAP);
    size_t coded_len = copy_body(reader, member, coded), len = 0;
    atomic_bool never = false;
    struct coder_bound any = {0};
    char lines[200], hash[VARIANT_HASH_LEN];
    enum found found = WRONG;

    variant_hash_text(store_hash(slice_of(coded, coded_len)).lo, hash);
    (void)snprintf(lines, sizeof(lines), "\"abc~%s.%.*s\"", coding_name(coding), VARIANT_HASH_LEN,
                   hash);
    if (coder_unpack(coding, slice_of(coded, coded_len), &any, &never, plain, OUT_CAP, &len) ==
            OK &&
        slice_equal(slice_of(plain, len), text) &&
        memmem(member->head.ptr, member->head.len, lines, strlen(lines)) != NULL &&
        member->meta.len == 0)
        found = RIGHT;
    free(coded);
    free(plain);
    return found;
}

static enum found
look(struct bench *bench, const struct thing *thing, struct slice text, enum http_coding coding)
{
    struct store_key key = help_key(thing->key);
    struct store_cursor cursor = {.key = &key};
    struct store_object head, member;
    enum found found = NO_HEAD;
    bool cold;

    store_read_begin(bench->reader);
    while (found == NO_HEAD && store_find(bench->reader, &cursor, &head)) {
        if (head.variant != thing->variant)
            continue;
        if (!store_find_member(bench->reader, &head, (uint8_t)coding, &member, &cold))
            found = NO_MEMBER;
        else if (member.body_len == 0 && member.head.len == 0)
            found = NO_GAIN;
        else
            found = judge_member(bench->reader, &member, coding, text);
    }
    store_read_end(bench->reader);
    return found;
}

/* Something else is made: with one thread, what was wanted before it has ended. */
static void
wait_for_turn(struct bench *bench)
{
    static unsigned n;
    char key[32], *body = new_body(TEXT, 99, 2000);
    int64_t made = counted(bench, STAT_variants_made_gzip);
    struct thing thing = {.key = key, .body = slice_of(body, 2000)};

    (void)snprintf(key, sizeof(key), "http://a/turn%u", n++);
    want(bench, &thing, store_thing(bench, &thing), CODING_GZIP);
    wait_for(bench, STAT_variants_made_gzip, made + 1);
    free(body);
}

/* --- made, once --- */

static void
each_coding_is_made(void **state)
{
    static const struct {
        enum http_coding coding;
        enum counter made;
    } cases[] = {
        {CODING_GZIP, STAT_variants_made_gzip},
        {CODING_BR, STAT_variants_made_br},
        {CODING_ZSTD, STAT_variants_made_zstd},
    };
    struct bench *bench = *state;
    char *body = new_body(TEXT, 1, 200000);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, 200000), .variant = 7};
    uint64_t family = store_thing(bench, &thing);

    start(bench, 2, 16);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", coding_name(cases[i].coding));
        assert_int_equal(look(bench, &thing, thing.body, cases[i].coding), NO_MEMBER);
        want(bench, &thing, family, cases[i].coding);
        wait_for(bench, cases[i].made, 1);
        assert_int_equal(look(bench, &thing, thing.body, cases[i].coding), RIGHT);
    }
    assert_true(counted(bench, STAT_variants_time) > 0);
    assert_int_equal(stats_read(STAT_variants_queued), 0);
    free(body);
}

struct wanting {
    struct bench *bench;
    const struct thing *thing;
    uint64_t family;
};

static void *
want_often(void *arg)
{
    struct wanting *wanting = arg;

    for (unsigned i = 0; i < 500; i++)
        want(wanting->bench, wanting->thing, wanting->family, CODING_BR);
    return NULL;
}

static void
made_once_however_many_ask(void **state)
{
    enum { ASKERS = 4 };
    struct bench *bench = *state;
    char *body = new_body(TEXT, 2, 150000);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, 150000)};
    struct wanting wanting = {bench, &thing, store_thing(bench, &thing)};
    pthread_t threads[ASKERS];

    start(bench, 3, 4);
    for (unsigned i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, want_often, &wanting), 0);
    for (unsigned i = 0; i < ASKERS; i++)
        (void)pthread_join(threads[i], NULL);
    wait_for(bench, STAT_variants_made_br, 1);
    (void)want_often(&wanting); /* it is there: each ends with a look at it */
    stop(bench);
    assert_int_equal(counted(bench, STAT_variants_made_br), 1);
    assert_int_equal(counted(bench, STAT_variants_refused), 0);
    open_store(bench, 64 * MIB); /* and kept */
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), RIGHT);
    start(bench, 1, 1);
    free(body);
}

/* What saves less than a twentieth is remembered as such, over a restart too. */
static void
what_does_not_pay_is_remembered(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(NOISE, 3, 70000);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, 70000)};
    uint64_t family = store_thing(bench, &thing);

    start(bench, 1, 4);
    want(bench, &thing, family, CODING_ZSTD);
    wait_for(bench, STAT_variants_no_gain, 1);
    assert_int_equal(look(bench, &thing, thing.body, CODING_ZSTD), NO_GAIN);
    stop(bench);
    open_store(bench, 64 * MIB);
    start(bench, 1, 4);
    assert_int_equal(look(bench, &thing, thing.body, CODING_ZSTD), NO_GAIN);
    want(bench, &thing, family, CODING_ZSTD);
    wait_for_turn(bench);
    assert_int_equal(counted(bench, STAT_variants_no_gain), 1);
    free(body);
}

/* RFC 9110 section 8.4: another coding is made of what the origin's decodes to. */
static void
what_the_origin_coded_is_coded_anew(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 4, 120000), *coded = malloc(120000);
    atomic_bool never = false;
    struct coder_pack pack = {.coding = CODING_GZIP,
                              .level = 6,
                              .in = slice_of(body, 120000),
                              .out = coded,
                              .out_cap = 120000,
                              .stop = &never};
    struct thing thing = {.key = "http://a/", .coding = CODING_GZIP};
    uint64_t family;

    assert_int_equal(coder_pack(&pack, &thing.body.len), OK);
    thing.body.ptr = coded;
    family = store_thing(bench, &thing);
    start(bench, 1, 4);
    want(bench, &thing, family, CODING_BR);
    wait_for(bench, STAT_variants_made_br, 1);
    assert_int_equal(look(bench, &thing, pack.in, CODING_BR), RIGHT);
    want(bench, &thing, family, CODING_GZIP); /* the origin's own is as good */
    wait_for_turn(bench);
    assert_int_equal(look(bench, &thing, pack.in, CODING_GZIP), NO_MEMBER);
    free(body);
    free(coded);
}

static void
what_fails_is_not_tried_at_once(void **state)
{
    struct bench *bench = *state;
    struct thing thing = {.key = "http://a/", .coding = CODING_GZIP};
    char *body = new_body(TEXT, 5, 5000);
    uint64_t family;

    thing.body = slice_of(body, 5000); /* it says gzip, and is none */
    family = store_thing(bench, &thing);
    start(bench, 1, 4);
    want(bench, &thing, family, CODING_BR);
    wait_for(bench, STAT_variants_failed, 1);
    wait_for_turn(bench);
    for (unsigned i = 0; i < 10; i++)
        want(bench, &thing, family, CODING_BR);
    assert_int_equal(stats_read(STAT_variants_queued), 0);
    wait_for_turn(bench);
    assert_int_equal(counted(bench, STAT_variants_failed), 1);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), NO_MEMBER);
    free(body);
}

static void
what_may_not_be_coded_is_left_alone(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 6, 50000);
    struct slice text = slice_of(body, 50000);
    struct thing fixed = {.key = "http://a/fixed", .body = text, .fixed = true};
    struct thing large = {.key = "http://a/large", .body = text};
    struct thing gone = {.key = "http://a/gone", .body = text};

    start(bench, 1, 8);
    want(bench, &fixed, store_thing(bench, &fixed), CODING_BR);
    want(bench, &gone, 12345, CODING_BR);
    wait_for_turn(bench);
    bench->other_site.strong_max_len = text.len - 1;
    want_of(bench, &large, store_thing(bench, &large), CODING_BR, &bench->other_site);
    wait_for_turn(bench);
    assert_int_equal(look(bench, &fixed, text, CODING_BR), NO_MEMBER);
    assert_int_equal(look(bench, &large, text, CODING_BR), NO_MEMBER);
    assert_int_equal(look(bench, &gone, text, CODING_BR), NO_HEAD);
    assert_int_equal(counted(bench, STAT_variants_failed), 0);
    free(body);
}

/* --- what happens to the object meanwhile --- */

/* A body that takes a while at its strongest. */
enum { LONG_LEN = 600000 };

static void
wait_until_begun(const struct bench *bench)
{
    wait_for(bench, STAT_variants_at_work, 1);
}

static void
purged_meanwhile(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 7, LONG_LEN);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, LONG_LEN)};
    struct store_purge purge = {.kind = STORE_PURGE_KEY, .text = SLICE("http://a/")};

    start(bench, 1, 4);
    want(bench, &thing, store_thing(bench, &thing), CODING_BR);
    wait_until_begun(bench);
    (void)help_purge(bench->store, &purge, 1, NULL);
    (void)store_thing(bench, &thing); /* the same bytes again, but born later */
    wait_for_turn(bench);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), NO_MEMBER);
    assert_int_equal(counted(bench, STAT_variants_failed), 0);
    free(body);
    help_empty(bench->store);
}

static void
replaced_meanwhile(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 8, LONG_LEN), *newer = new_body(TEXT, 9, LONG_LEN);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, LONG_LEN)};
    uint64_t family;

    start(bench, 1, 4);
    want(bench, &thing, store_thing(bench, &thing), CODING_BR);
    wait_until_begun(bench);
    thing.body.ptr = newer;
    family = store_thing(bench, &thing);
    wait_for_turn(bench);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), NO_MEMBER);
    want(bench, &thing, family, CODING_BR);
    wait_for_turn(bench);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), RIGHT);
    free(body);
    free(newer);
    help_empty(bench->store);
}

/* RFC 9111 section 4.3.4: the body is confirmed, so what was made of it is as good. */
static void
refreshed_meanwhile(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 10, LONG_LEN);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, LONG_LEN)};
    uint64_t family = store_thing(bench, &thing);
    struct store_key key = help_key(thing.key);
    struct store_object head;
    struct help_wait wait;
    struct store_put *put;
    struct store_record record;
    struct arena arena;

    start(bench, 1, 4);
    want(bench, &thing, family, CODING_BR);
    wait_until_begun(bench);
    arena_init(&arena, 0);
    record = record_of(&arena, &thing, family);
    assert_int_equal(help_count(bench->reader, thing.key, &head), 1);
    assert_int_equal(store_put_begin(bench->store, &key, &put), OK);
    assert_int_equal(store_put_update(put, head.oid, &record, help_done(&wait)), OK);
    store_put_release(&put);
    assert_int_equal(help_wait_for(&wait, NULL), OK);
    arena_fini(&arena);
    wait_for_turn(bench);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), RIGHT);
    free(body);
}

static void
evicted_meanwhile(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 11, LONG_LEN);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, LONG_LEN)};

    start(bench, 1, 4);
    want(bench, &thing, store_thing(bench, &thing), CODING_BR);
    wait_until_begun(bench);
    for (unsigned i = 0; i < 2000 && look(bench, &thing, thing.body, CODING_BR) != NO_HEAD; i++) {
        char key[32];
        struct help_object other = {.key = key, .body_len = 1000000};

        (void)snprintf(key, sizeof(key), "http://a/other%u", i);
        assert_int_equal(help_put(bench->store, &other, NULL), OK);
    }
    wait_for_turn(bench);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), NO_HEAD);
    (void)store_thing(bench, &thing);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), NO_MEMBER);
    free(body);
    help_empty(bench->store);
}

/* A stop does not wait for the end of a body, and loses nothing but that. */
static void
stops_within_a_body(void **state)
{
    enum { LEN = 7 * MIB };
    struct bench *bench = *state;
    char *body = new_body(TEXT, 12, LEN);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, LEN)};
    struct thing small = {.key = "http://a/small", .body = slice_of(body, 3000)};
    uint64_t family = store_thing(bench, &thing);
    double began;

    start(bench, 1, 4);
    want(bench, &small, store_thing(bench, &small), CODING_BR);
    want(bench, &thing, family, CODING_BR);
    want(bench, &thing, family, CODING_ZSTD); /* waits for ever */
    wait_for(bench, STAT_variants_made_br, 1);
    (void)usleep(300000); /* into the middle: it takes many seconds */
    began = seconds();
    stop(bench);
    print_message("stopped in %.2f s\n", seconds() - began);
    /* A busy machine may give the thread little of a processor, so that alone is counted. */
    assert_true(counted(bench, STAT_variants_time) < 3000000);
    assert_int_equal(stats_read(STAT_variants_queued), 0);
    assert_int_equal(counted(bench, STAT_variants_failed), 0);
    open_store(bench, 64 * MIB);
    assert_int_equal(look(bench, &thing, thing.body, CODING_BR), NO_MEMBER);
    assert_int_equal(look(bench, &small, small.body, CODING_BR), RIGHT);
    start(bench, 1, 4);
    free(body);
    help_empty(bench->store);
}

/* --- the queue --- */

/* The only thread is busy with this one until the test is over, or nearly so. */
static void
keep_busy(struct bench *bench, const struct thing *thing)
{
    want_of(bench, thing, store_thing(bench, thing), CODING_BR, &bench->other_site);
    wait_until_begun(bench);
}

static void
a_full_queue_refuses(void **state)
{
    enum { LEN = 4 * MIB };
    struct bench *bench = *state;
    char *body = new_body(TEXT, 13, LEN);
    struct thing busy = {.key = "http://a/busy", .body = slice_of(body, LEN)};
    struct thing thing = {.key = "http://a/", .body = slice_of(body, 20000)};
    uint64_t family = store_thing(bench, &thing);

    start(bench, 1, 2);
    keep_busy(bench, &busy);
    want(bench, &thing, family, CODING_GZIP);
    want(bench, &thing, family, CODING_BR);
    assert_int_equal(stats_read(STAT_variants_queued), 2);
    want(bench, &thing, family, CODING_BR); /* is known */
    assert_int_equal(counted(bench, STAT_variants_refused), 0);
    want(bench, &thing, family, CODING_ZSTD);
    want(bench, &thing, family, CODING_ZSTD);
    assert_int_equal(counted(bench, STAT_variants_refused), 2);
    assert_int_equal(stats_read(STAT_variants_queued), 2);
    free(body);
}

/* A site that wants much gives room, and turns, to one that wants little. */
static void
a_flood_of_one_site_leaves_room(void **state)
{
    enum { LEN = 1 * MIB, QUEUE = 6 };
    struct bench *bench = *state;
    struct coding_settings third = bench->site;
    char *body = new_body(TEXT, 14, LEN);
    struct thing busy = {.key = "http://a/busy", .body = slice_of(body, LEN)};
    struct thing little = {.key = "http://b/", .body = slice_of(body, 20000)};
    uint64_t family = store_thing(bench, &little);

    start(bench, 1, QUEUE);
    keep_busy(bench, &busy);
    for (unsigned i = 0; i < QUEUE + 3; i++) {
        char key[32];
        struct thing thing = {.key = key, .body = slice_of(body, 150000)};

        (void)snprintf(key, sizeof(key), "http://a/%u", i);
        want(bench, &thing, store_thing(bench, &thing), CODING_ZSTD);
    }
    assert_int_equal(counted(bench, STAT_variants_refused), 3);
    want_of(bench, &little, family, CODING_GZIP, &third);
    want_of(bench, &little, family, CODING_BR, &third);
    assert_int_equal(counted(bench, STAT_variants_refused), 5); /* two of the flood went */
    assert_int_equal(stats_read(STAT_variants_queued), QUEUE);
    wait_for(bench, STAT_variants_made_gzip, 1);
    assert_true(counted(bench, STAT_variants_made_zstd) <= 2);
    wait_for(bench, STAT_variants_made_br, 2);
    wait_for(bench, STAT_variants_made_zstd, QUEUE - 2);
    assert_int_equal(stats_read(STAT_variants_queued), 0);
    free(body);
}

/* --- files that the origin has --- */

struct files {
    struct loop *loop;
    struct variant_asker asker;
};

static void
on_wake(void *arg)
{
    (void)arg;
}

static void
add_asker(struct bench *bench, struct files *files)
{
    assert_int_equal(loop_new(&files->loop), OK);
    files->asker.wake = wake_new(files->loop, on_wake, NULL);
    variants_add_asker(bench->variants, &files->asker);
}

static void
remove_asker(struct bench *bench, struct files *files)
{
    variants_remove_asker(bench->variants, &files->asker);
    wake_free(&files->asker.wake);
    loop_stop(files->loop);
    loop_run(files->loop);
    loop_free(&files->loop);
}

static struct variant_ask
take_ask(struct bench *bench, struct files *files)
{
    struct variant_ask ask;

    for (unsigned i = 0; !variants_take_ask(bench->variants, &files->asker, &ask); i++) {
        assert_true(i < WAIT_TRIES);
        (void)usleep(WAIT_STEP_US);
    }
    return ask;
}

static char *
new_file(struct slice text, enum http_coding coding, size_t *out_len)
{
    char *file = mem_alloc(text.len);
    atomic_bool never = false;
    struct coder_pack pack = {
        .coding = coding, .level = 5, .in = text, .out = file, .out_cap = text.len, .stop = &never};

    assert_int_equal(coder_pack(&pack, out_len), OK);
    return file;
}

static void
a_file_is_used_when_it_is_the_body(void **state)
{
    enum { LEN = 60000 };
    static const struct {
        const char *why;
        enum { ITSELF, OTHER_TEXT, CUT, TOO_LONG, NONE } what;
        int64_t used, mismatch;
    } cases[] = {
        {"the body, coded by another", ITSELF, 1, 0},
        {"of another body", OTHER_TEXT, 0, 1},
        {"it ends too early", CUT, 0, 1},
        {"larger than it pays", TOO_LONG, 0, 1},
        {"there is none", NONE, 0, 0},
    };
    struct bench *bench = *state;
    char *body = new_body(TEXT, 15, LEN), *other = new_body(TEXT, 16, LEN);
    struct files files;

    bench->site.precompressed[bench->site.precompressed_n++] = CODING_BR;
    start(bench, 1, 16);
    add_asker(bench, &files);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char key[32], *file = NULL;
        struct thing thing = {.key = key, .body = slice_of(body, LEN)};
        int64_t used = counted(bench, STAT_precompressed_used);
        int64_t mismatch = counted(bench, STAT_precompressed_mismatch);
        struct variant_ask ask;
        size_t len = 0;

        print_message("case: %s\n", cases[i].why);
        (void)snprintf(key, sizeof(key), "http://a/%zu", i);
        want(bench, &thing, store_thing(bench, &thing), CODING_BR);
        ask = take_ask(bench, &files);
        assert_true(slice_is(ask.key, key));
        assert_int_equal(ask.coding, CODING_BR);
        assert_int_equal(ask.max_len, LEN * 95 / 100);
        if (cases[i].what != NONE)
            file = new_file(slice_of(cases[i].what == OTHER_TEXT ? other : body, LEN), CODING_BR,
                            &len);
        if (cases[i].what == TOO_LONG)
            len = LEN;
        variants_answer(bench->variants, ask.job,
                        file == NULL ? VARIANT_FILE_MISSING : VARIANT_FILE_FOUND, file,
                        cases[i].what == CUT ? len - 5 : len);
        wait_for(bench, STAT_variants_made_br, (int64_t)i + 1);
        assert_int_equal(look(bench, &thing, thing.body, CODING_BR), RIGHT);
        assert_int_equal(counted(bench, STAT_precompressed_used) - used, cases[i].used);
        assert_int_equal(counted(bench, STAT_precompressed_mismatch) - mismatch, cases[i].mismatch);
        if (cases[i].what == NONE) { /* remembered: the next body of that URL is made at once */
            thing.body.ptr = other;
            want(bench, &thing, store_thing(bench, &thing), CODING_BR);
            wait_for(bench, STAT_variants_made_br, (int64_t)i + 2);
        }
    }
    remove_asker(bench, &files);
    free(body);
    free(other);
}

/* A secondary key, a key of several URLs, an error, a coding without files, a worker that goes:
 * brink makes it itself. */
static void
without_a_file_it_is_made(void **state)
{
    enum { LEN = 30000 };
    struct bench *bench = *state;
    char *body = new_body(TEXT, 17, LEN);
    struct thing varies = {.key = "http://a/1", .body = slice_of(body, LEN), .variant = 3};
    struct thing several = {.key = "http://a/3", .body = slice_of(body, LEN), .search = 9};
    struct thing error = {.key = "http://a/4", .body = slice_of(body, LEN), .status = 404};
    struct thing plain = {.key = "http://a/2", .body = slice_of(body, LEN)};
    struct files files, second;
    uint64_t family = store_thing(bench, &plain);

    bench->site.precompressed[bench->site.precompressed_n++] = CODING_BR;
    start(bench, 1, 16);
    add_asker(bench, &files);
    want(bench, &varies, store_thing(bench, &varies), CODING_BR);
    want(bench, &several, store_thing(bench, &several), CODING_BR);
    want(bench, &error, store_thing(bench, &error), CODING_BR);
    want(bench, &plain, family, CODING_GZIP);
    wait_for(bench, STAT_variants_made_br, 3);
    wait_for(bench, STAT_variants_made_gzip, 1);
    want(bench, &plain, family, CODING_BR);
    wait_for_turn(bench); /* others are not kept waiting by it */
    remove_asker(bench, &files);
    wait_for(bench, STAT_variants_made_br, 4);
    assert_int_equal(look(bench, &plain, plain.body, CODING_BR), RIGHT);
    (void)store_thing(bench, &plain);
    add_asker(bench, &second);
    want(bench, &plain, bench->family, CODING_BR); /* what nobody asked is not remembered */
    variants_answer(bench->variants, take_ask(bench, &second).job, VARIANT_FILE_UNASKED, NULL, 0);
    wait_for(bench, STAT_variants_made_br, 5);
    remove_asker(bench, &second);
    free(body);
}

/* An origin that is slow to answer keeps back two of its own files, not those of others. */
static void
a_slow_origin_keeps_back_its_own(void **state)
{
    enum { LEN = 20000, WANTED = 5 };
    struct bench *bench = *state;
    char *body = new_body(TEXT, 18, LEN);
    struct thing other = {.key = "http://b/", .body = slice_of(body, LEN)};
    struct variant_ask asks[2], ask;
    struct files files;

    bench->site.precompressed[bench->site.precompressed_n++] = CODING_BR;
    bench->other_site = bench->site;
    start(bench, 1, 16);
    add_asker(bench, &files);
    for (unsigned i = 0; i < WANTED; i++) {
        char key[32];
        struct thing thing = {.key = key, .body = slice_of(body, LEN)};

        (void)snprintf(key, sizeof(key), "http://a/%u", i);
        want(bench, &thing, store_thing(bench, &thing), CODING_BR);
    }
    asks[0] = take_ask(bench, &files);
    asks[1] = take_ask(bench, &files);
    want_of(bench, &other, store_thing(bench, &other), CODING_BR, &bench->other_site);
    ask = take_ask(bench, &files); /* not one of the three that wait */
    assert_true(slice_is(ask.key, other.key));
    assert_int_equal(stats_read(STAT_variants_queued), WANTED - 2);
    variants_answer(bench->variants, ask.job, VARIANT_FILE_MISSING, NULL, 0);
    for (unsigned i = 0; i < 2; i++)
        variants_answer(bench->variants, asks[i].job, VARIANT_FILE_MISSING, NULL, 0);
    for (unsigned i = 2; i < WANTED; i++)
        variants_answer(bench->variants, take_ask(bench, &files).job, VARIANT_FILE_MISSING, NULL,
                        0);
    wait_for(bench, STAT_variants_made_br, WANTED + 1);
    remove_asker(bench, &files);
    free(body);
}

/* --- life --- */

static void
as_many_threads_as_make_sense(void **state)
{
    static const struct {
        unsigned asked, least, most;
    } cases[] = {{0, 1, 64}, {1, 1, 1}, {7, 7, 7}, {1000, 64, 64}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct variants_settings settings = {.threads_n = cases[i].asked};

        assert_in_range(variants_threads(&settings), cases[i].least, cases[i].most);
    }
}

/* After the stop nothing is queued; before the first want there is no thread. */
static void
nothing_after_the_stop(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 19, 5000);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, 5000)};
    uint64_t family = store_thing(bench, &thing);

    start(bench, 1, 4);
    variants_stop(bench->variants);
    want(bench, &thing, family, CODING_BR);
    assert_int_equal(stats_read(STAT_variants_queued), 0);
    variants_free(&bench->variants);
    start(bench, 1, 0); /* as where nothing is configured */
    want(bench, &thing, family, CODING_BR);
    assert_int_equal(counted(bench, STAT_variants_refused), 1);
    free(body);
}

/* Without memory, at any moment, the form is missing and nothing else. */
static void
no_memory_no_form(void **state)
{
    struct bench *bench = *state;
    char *body = new_body(TEXT, 20, 5000);
    struct thing thing = {.key = "http://a/", .body = slice_of(body, 5000)};
    uint64_t family = store_thing(bench, &thing);

    for (unsigned nth = 1;; nth++) {
        struct variants_settings settings = {.threads_n = 1, .queue_max = 4};
        enum err rc;

        mem_fail_at(nth);
        rc = variants_new(bench->store, &settings, &bound, &bench->variants);
        if (rc == OK) {
            want(bench, &thing, family, CODING_BR);
            mem_fail_at(0);
            if (counted(bench, STAT_variants_refused) == 0)
                break;
            bench->counted[STAT_variants_refused] = stats_read(STAT_variants_refused);
            variants_stop(bench->variants);
            variants_free(&bench->variants);
        }
        assert_true(nth < 100);
    }
    wait_for(bench, STAT_variants_made_br, 1);
    free(body);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_coding_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(made_once_however_many_ask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_pay_is_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_origin_coded_is_coded_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_is_not_tried_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_not_be_coded_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(purged_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replaced_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refreshed_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evicted_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops_within_a_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_queue_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_one_site_leaves_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_is_used_when_it_is_the_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_file_it_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_origin_keeps_back_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_after_the_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_memory_no_form, set_up, tear_down),
        cmocka_unit_test(as_many_threads_as_make_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
