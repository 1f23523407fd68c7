/* A store of many objects, as the cache would have stored them, without a network:
 *
 *   bench-fill-store FOLDER SIZE OBJECTS MEAN_LEN
 *
 * Object i answers http://bench.test/o/i. Lengths are spread between 100 bytes and some times the
 * mean, the same in each run. The store is closed cleanly. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cache/object.h"
#include "storage/store.h"

enum { LIFETIME_S = 30 * 86400 };

static void
fail(const char *what, enum err rc)
{
    fprintf(stderr, "bench-fill-store: %s: %s\n", what, err_text(rc));
    exit(EXIT_FAILURE);
}

/* Exponential, from a number that is as good as random. */
static uint64_t
length_of(uint64_t i, uint64_t mean_len)
{
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15U;
    double part;

    x ^= x >> 31;
    part = ((double)(x >> 11) + 1) / (double)(1ULL << 53);
    return 100 + (uint64_t)(-log(part) * (double)(mean_len > 100 ? mean_len - 100 : 0));
}

static struct block *
block_of(uint64_t seed, uint32_t len)
{
    struct block *block = block_new(len);

    if (block == NULL)
        fail("a block", ERR_NOMEM);
    for (uint32_t at = 0; at < len; at++)
        block->data[at] = (char)('a' + (seed + at) % 26);
    block->len = len;
    return block;
}

/* The queue is bounded, and nothing here may be left out. */
static void
wait_for_room(struct store *store)
{
    (void)store;
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static enum err
try_put(struct store *store, const struct store_key *key, const struct store_record *record,
        uint64_t seed, uint64_t body_len)
{
    struct store_put *put;
    enum err rc = store_put_begin(store, key, &put);

    if (rc != OK)
        return rc;
    for (; body_len >= BLOCK_FULL_LEN && rc == OK; body_len -= BLOCK_FULL_LEN) {
        struct block *block = block_of(seed, BLOCK_FULL_LEN);

        rc = store_put_block(put, block, (struct store_done){0});
        block_unref(&block);
    }
    if (rc == OK) {
        struct block *rest = body_len == 0 ? NULL : block_of(seed, (uint32_t)body_len);

        rc = store_put_end(put, record, rest, (struct store_done){0});
        block_unref(&rest);
    }
    store_put_release(&put);
    return rc;
}

static void
put_object(struct store *store, uint64_t i, uint64_t body_len, int64_t now_s)
{
    const struct cache_object object = {.status = 200,
                                        .lifetime_from = CACHE_LIFETIME_MAX_AGE,
                                        .response_s = now_s,
                                        .date_s = now_s,
                                        .last_modified_s = -1,
                                        .lifetime_s = LIFETIME_S};
    char text[64], head[160];
    uint64_t label = store_label(CACHE_LABEL_HOST, SLICE("bench.test"));
    struct store_record record = {.labels = &label, .labels_n = 1};
    struct store_key key;
    struct arena arena;

    arena_init(&arena, 0);
    (void)snprintf(text, sizeof(text), "http://bench.test/o/%" PRIu64, i);
    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                   "Content-Length: %" PRIu64 "\r\nCache-Control: max-age=%d\r\n",
                   body_len, LIFETIME_S);
    key.text = slice_from_str(text);
    key.hash = store_hash(key.text);
    record.head = slice_from_str(head);
    if (cache_object_encode(&arena, &object, &record.meta) != OK)
        fail("an object", ERR_NOMEM);
    for (;;) {
        enum err rc = try_put(store, &key, &record, i, body_len);

        if (rc == OK)
            break;
        if (rc != ERR_STORE_FULL)
            fail("storing", rc);
        wait_for_room(store);
    }
    arena_fini(&arena);
}

int
main(int argc, char **argv)
{
    struct store_settings settings = {.readers_max = 4, .scan_wait_ms = 600000};
    struct store *store;
    uint64_t objects_n, mean_len;
    char why[512];
    enum err rc;

    if (argc != 5) {
        fprintf(stderr, "usage: bench-fill-store FOLDER SIZE OBJECTS MEAN_LEN\n");
        return 2;
    }
    settings.path = argv[1];
    settings.size_len = strtoull(argv[2], NULL, 10);
    objects_n = strtoull(argv[3], NULL, 10);
    mean_len = strtoull(argv[4], NULL, 10);
    rc = store_open(&settings, &store, why, sizeof(why));
    if (rc != OK) {
        fprintf(stderr, "bench-fill-store: %s\n", why);
        return EXIT_FAILURE;
    }
    for (uint64_t i = 0; i < objects_n; i++)
        put_object(store, i, length_of(i, mean_len), (int64_t)time(NULL));
    store_close(&store);
    return EXIT_SUCCESS;
}
