/* bench-store: the storage layer driven and measured by itself, through store.h alone. */
#ifndef BRINK_TOOLS_BENCH_STORE_H
#define BRINK_TOOLS_BENCH_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/stats.h"
#include "storage/store.h"

#define MB 1e6 /* of figures; sizes that are given are powers of two, as everywhere in brink */

struct options {
    const char *command, *folder;
    struct slice mix;             /* "small" or "default" */
    uint64_t size_len;            /* of the store */
    uint64_t objects, tags, body; /* of fill */
    uint64_t members;             /* of find */
    uint64_t laps, rounds;        /* of ingest; of purge-tag and restart */
    uint64_t touch_percent;       /* look-ups for each put of the feed */
    uint64_t seconds;             /* of latency's halves; the longest of ingest */
    unsigned warm_threads;        /* of cold; 0: as many as the store likes */
    bool cold;                    /* restart, check: the page cache forgets the file first */
};

NORETURN void die(const char *format, ...) PRINTF_LIKE(1, 2);

/* --- measure.c --- */

double now_s(void);
double process_cpu_s(void);
double thread_cpu_s(void);
uint64_t written_len(void);   /* bytes this process passed to write() and its kin */
uint64_t anonymous_len(void); /* resident memory that is no file's */

/* Processors: what follows in this thread, and the threads it makes, stay off the last one; or this
 * thread alone takes it. Nothing happens where there is but one. */
void leave_last_cpu(void);
void take_last_cpu(void);

/* A gauge is the sum over threads, and one that ended keeps its last: what this store's says. */
struct gauges {
    int64_t before[STAT_COUNT];
};
void gauges_begin(struct gauges *gauges);
uint64_t gauges_read(const struct gauges *gauges, enum counter stat);

/* Nanoseconds, counted in 32 steps an octave. */
enum { HISTOGRAM_STEPS = 64 * 32 };
struct histogram {
    uint64_t count[HISTOGRAM_STEPS], total;
};
void histogram_add(struct histogram *histogram, uint64_t ns);
double histogram_us(const struct histogram *histogram, double share);

uint64_t dice(uint64_t *state); /* 64 random bits of a seed that is not 0 */

/* --- stock.c: the store, and objects that can be told from their numbers --- */

struct stock {
    const struct options *options;
    struct store *store;
    struct gauges gauges;
};

void
stock_open(struct stock *stock, const struct options *options); /* returns with the index whole */
void stock_open_at_once(struct stock *stock, const struct options *options);
void stock_close(struct stock *stock);
void stock_fill(struct stock *stock);              /* all objects that are to be there, durable */
uint64_t stock_objects(const struct stock *stock); /* after two turns of the writer */
uint64_t stock_purge(const struct stock *stock, const struct store_purge *purge); /* holds now */
bool stock_has(struct store_reader *reader, uint64_t number);
/* With --cold, while it is closed: what a machine that was off would find in memory. */
void stock_forget_pages(const struct options *options);
struct store_reader *stock_reader(const struct stock *stock);

enum { STOCK_NAME_LEN = 64 };
struct store_key stock_key(char name[STOCK_NAME_LEN], uint64_t number);
uint64_t stock_tag(uint64_t number); /* 0 to options->tags - 1 */
uint64_t stock_tag_half(void);       /* of every second object */
uint64_t stock_tag_all(void);

/* --- feed.c: new objects without end, as fast as the writer takes them --- */

struct feed {
    const struct stock *stock;
    struct store_reader *reader;
    uint64_t dice, number, label;
    double median, sigma; /* of the lognormal sizes */
    uint64_t least, most;
    struct block *blocks[64]; /* full ones, random; bodies are made of these */
    /* shared with the callbacks */
    pthread_mutex_t lock;
    pthread_cond_t room;
    uint64_t waiting_len, done_len, done_n, failed_n;
    bool waits;
    /* of a thread of its own */
    pthread_t thread;
    atomic_bool stop;
};

void feed_init(struct feed *feed, const struct stock *stock);
void feed_fini(struct feed *feed); /* when all is done */
void feed_body(struct feed *feed, const struct store_key *key, uint64_t body_len,
               const uint64_t *labels, size_t labels_n);
void feed_record(struct feed *feed, const struct store_key *key, uint64_t body_len,
                 const struct store_record *record);
void feed_one(struct feed *feed); /* the next, of a size of the mix; and touches */
void feed_wait(struct feed *feed);
uint64_t feed_done_len(struct feed *feed); /* payload that is durable */
void feed_start(struct feed *feed);
void feed_stop(struct feed *feed);

/* --- the commands --- */

int bench_ingest(const struct options *options);
int bench_fill(const struct options *options);
int bench_purge_tag(const struct options *options);
int bench_restart(const struct options *options);
int bench_latency(const struct options *options);
int bench_check(const struct options *options);
int bench_cold(const struct options *options);
int bench_find(const struct options *options);

#endif
