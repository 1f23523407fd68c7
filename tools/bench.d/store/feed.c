/* New objects as fast as the writer takes them: never more than its queue has room for, so that
 * none is refused. Bodies are random bytes. */
#include <math.h>

#include "bench.h"

enum {
    ROOM_LEN = 40 << 20, /* of the queue's 64 MiB: the rest is for what is counted a little late */
    EXTRA_LEN = 400,     /* meta and head */
    SURE_N = 8           /* how often a stored object is looked for, to be touched */
};

static const struct {
    const char *name;
    double median, sigma;
    uint64_t least, most;
} mixes[] = {
    {"small", 3e3, 1.2, 64, 8 << 20},         /* mean 6 KB */
    {"default", 24e3, 1.8, 1 << 10, 8 << 20}, /* mean 116 KB */
};

static void
make_blocks(struct feed *feed)
{
    for (size_t i = 0; i < ARRAY_LEN(feed->blocks); i++) {
        struct block *block = block_new(BLOCK_FULL_LEN);

        if (block == NULL)
            die("%s", err_text(ERR_NOMEM));
        for (size_t at = 0; at < BLOCK_FULL_LEN; at += sizeof(uint64_t)) {
            uint64_t bits = dice(&feed->dice);

            memcpy(block->data + at, &bits, sizeof(bits));
        }
        block->len = BLOCK_FULL_LEN;
        feed->blocks[i] = block;
    }
}

void
feed_init(struct feed *feed, const struct stock *stock)
{
    *feed = (struct feed){.stock = stock, .dice = 0x9e3779b97f4a7c15U};
    for (size_t i = 0; i < ARRAY_LEN(mixes); i++) {
        if (!slice_is(stock->options->mix, mixes[i].name))
            continue;
        feed->median = mixes[i].median;
        feed->sigma = mixes[i].sigma;
        feed->least = mixes[i].least;
        feed->most = mixes[i].most;
    }
    if (feed->median == 0)
        die("--mix is small or default");
    feed->label = store_label('t', SLICE("feed"));
    feed->reader = stock_reader(stock);
    (void)pthread_mutex_init(&feed->lock, NULL);
    (void)pthread_cond_init(&feed->room, NULL);
    make_blocks(feed);
}

void
feed_fini(struct feed *feed)
{
    for (size_t i = 0; i < ARRAY_LEN(feed->blocks); i++)
        block_unref(&feed->blocks[i]);
    store_reader_free(&feed->reader);
    (void)pthread_cond_destroy(&feed->room);
    (void)pthread_mutex_destroy(&feed->lock);
}

/* --- what waits for the writer --- */

struct ticket {
    struct feed *feed;
    uint64_t len;
};

static void
on_stored(void *arg, enum err rc, uint64_t n)
{
    struct ticket *ticket = arg;
    struct feed *feed = ticket->feed;

    (void)n;
    (void)pthread_mutex_lock(&feed->lock);
    feed->waiting_len -= ticket->len;
    if (rc == OK) {
        feed->done_len += ticket->len;
        feed->done_n++;
    } else {
        feed->failed_n++;
    }
    if (feed->waits)
        (void)pthread_cond_signal(&feed->room);
    (void)pthread_mutex_unlock(&feed->lock);
    mem_free(ticket);
}

static void
wait_below(struct feed *feed, uint64_t most)
{
    (void)pthread_mutex_lock(&feed->lock);
    feed->waits = true;
    while (feed->waiting_len > most)
        (void)pthread_cond_wait(&feed->room, &feed->lock);
    feed->waits = false;
    (void)pthread_mutex_unlock(&feed->lock);
}

static struct store_done
take_room(struct feed *feed, uint64_t len)
{
    struct ticket *ticket = mem_alloc(sizeof(*ticket));

    if (ticket == NULL)
        die("%s", err_text(ERR_NOMEM));
    *ticket = (struct ticket){feed, len};
    wait_below(feed, ROOM_LEN - len);
    (void)pthread_mutex_lock(&feed->lock);
    feed->waiting_len += len;
    (void)pthread_mutex_unlock(&feed->lock);
    return (struct store_done){on_stored, ticket};
}

void
feed_wait(struct feed *feed)
{
    wait_below(feed, 0);
    if (feed->failed_n > 0)
        die("%llu objects were refused", (unsigned long long)feed->failed_n);
}

uint64_t
feed_done_len(struct feed *feed)
{
    uint64_t len;

    (void)pthread_mutex_lock(&feed->lock);
    len = feed->done_len;
    (void)pthread_mutex_unlock(&feed->lock);
    return len;
}

/* --- one object --- */

static struct block *
new_rest(struct feed *feed, uint64_t len)
{
    const struct block *from = feed->blocks[dice(&feed->dice) % ARRAY_LEN(feed->blocks)];
    struct block *block = len == 0 ? NULL : block_new(len);

    if (len == 0)
        return NULL;
    if (block == NULL)
        die("%s", err_text(ERR_NOMEM));
    memcpy(block->data, from->data, len);
    block->len = (uint32_t)len;
    return block;
}

void
feed_record(struct feed *feed, const struct store_key *key, uint64_t body_len,
            const struct store_record *record)
{
    struct store_done done = take_room(feed, body_len + EXTRA_LEN);
    struct block *rest = new_rest(feed, body_len % BLOCK_FULL_LEN);
    struct store_put *put;
    enum err rc = store_put_begin(feed->stock->store, key, &put);

    if (rc != OK)
        die("%s", err_text(rc));
    for (uint64_t i = 0; i < body_len / BLOCK_FULL_LEN && rc == OK; i++)
        rc = store_put_block(put, feed->blocks[dice(&feed->dice) % ARRAY_LEN(feed->blocks)],
                             (struct store_done){NULL, NULL});
    if (rc == OK)
        rc = store_put_end(put, record, rest, done);
    if (rc != OK)
        done.fn(done.arg, rc, 0);
    block_unref(&rest);
    store_put_release(&put);
}

void
feed_body(struct feed *feed, const struct store_key *key, uint64_t body_len, const uint64_t *labels,
          size_t labels_n)
{
    static const char extra[EXTRA_LEN];
    struct store_record record = {.meta = slice_of(extra, EXTRA_LEN / 2),
                                  .head = slice_of(extra, EXTRA_LEN / 2),
                                  .labels = labels,
                                  .labels_n = labels_n};

    feed_record(feed, key, body_len, &record);
}

/* --- the mix --- */

static double
dice_share(struct feed *feed) /* above 0, at most 1 */
{
    return (double)((dice(&feed->dice) >> 11) + 1) / 9007199254740992.0;
}

static uint64_t
dice_len(struct feed *feed)
{
    double normal = sqrt(-2 * log(dice_share(feed))) * cos(2 * M_PI * dice_share(feed));
    double len = feed->median * exp(feed->sigma * normal);

    return len < (double)feed->least  ? feed->least
           : len > (double)feed->most ? feed->most
                                      : (uint64_t)len;
}

static struct store_key
feed_key(char name[STOCK_NAME_LEN], uint64_t number)
{
    int len =
        snprintf(name, STOCK_NAME_LEN, "http://bench.test/feed/%llu", (unsigned long long)number);
    struct slice text = slice_of(name, (size_t)len);

    return (struct store_key){.hash = store_hash(text), .text = text};
}

/* One of those that are stored; each as likely as the others. */
static void
touch_one(struct feed *feed)
{
    uint64_t live_n = gauges_read(&feed->stock->gauges, STAT_store_objects) * 2 + 1;
    char name[STOCK_NAME_LEN];

    for (unsigned i = 0; i < SURE_N; i++) {
        uint64_t back = dice(&feed->dice) % (live_n < feed->number ? live_n : feed->number);
        struct store_key key = feed_key(name, feed->number - 1 - back);
        struct store_cursor cursor = {.key = &key};
        struct store_object object;
        bool found;

        store_read_begin(feed->reader);
        found = store_find(feed->reader, &cursor, &object);
        if (found)
            store_touch(feed->reader, &object);
        store_read_end(feed->reader);
        if (found)
            return;
    }
}

void
feed_one(struct feed *feed)
{
    char name[STOCK_NAME_LEN];
    struct store_key key = feed_key(name, feed->number++);

    feed_body(feed, &key, dice_len(feed), &feed->label, 1);
    if (dice(&feed->dice) % 100 < feed->stock->options->touch_percent)
        touch_one(feed);
}

/* --- a thread of its own --- */

static void *
feed_main(void *arg)
{
    struct feed *feed = arg;

    if (stats_attach() != OK)
        die("%s", err_text(ERR_NOMEM));
    while (!atomic_load(&feed->stop))
        feed_one(feed);
    return NULL;
}

void
feed_start(struct feed *feed)
{
    if (pthread_create(&feed->thread, NULL, feed_main, feed) != 0)
        die("no thread");
}

void
feed_stop(struct feed *feed)
{
    atomic_store(&feed->stop, true);
    (void)pthread_join(feed->thread, NULL);
    feed_wait(feed);
}
