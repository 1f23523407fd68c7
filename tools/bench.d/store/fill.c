/* fill: a store of many small objects with tags, for the other measurements; its memory. */
#include <malloc.h>

#include "bench.h"

int
bench_fill(const struct options *options)
{
    double at_s = now_s(), filled_s, objects;
    uint64_t memory, opened;
    struct stock stock;

    stock_open(&stock, options);
    if (stock_objects(&stock) > 0)
        die("there are objects in %s already: name another folder", options->folder);
    stock_fill(&stock);
    filled_s = now_s() - at_s;
    stock_close(&stock);
    (void)malloc_trim(0); /* so that what is left is the next opening's alone */
    memory = anonymous_len();
    stock_open(&stock, options);
    opened = anonymous_len();
    objects = (double)stock_objects(&stock);
    (void)printf("| objects | tags | seconds | index bytes/object | resident bytes/object "
                 "| store bytes/object |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n"
                 "| %.0f | %llu | %.1f | %.1f | %.1f | %.0f |\n",
                 objects, (unsigned long long)options->tags, filled_s,
                 (double)gauges_read(&stock.gauges, STAT_store_index_bytes) / objects,
                 opened > memory ? (double)(opened - memory) / objects : 0,
                 (double)gauges_read(&stock.gauges, STAT_store_used_bytes) / objects);
    stock_close(&stock);
    return objects < (double)options->objects;
}
