/* check: how long it takes to compare all that is stored with its checksums. */
#include "bench.h"

static void
check_and_time(const struct options *options)
{
    struct store_check found;
    struct stock stock;
    double began_s, cpu_s, took_s, mb;

    stock_forget_pages(options);
    stock_open(&stock, options);
    began_s = now_s();
    cpu_s = thread_cpu_s();
    if (store_check(stock.store, &found) != OK)
        die("the store cannot be checked");
    took_s = now_s() - began_s;
    cpu_s = thread_cpu_s() - cpu_s;
    stock_close(&stock);
    if (found.bad > 0 || found.used_pages + found.free_pages != found.file_pages)
        die("the store is damaged");
    mb = (double)found.bytes / MB;
    (void)printf("| %s | %llu | %.0f | %.2f | %.0f | %.2f | %.2f |\n",
                 options->cold ? "disk" : "memory", (unsigned long long)found.objects, mb, took_s,
                 mb / took_s, cpu_s * 1e3 / mb, cpu_s * 1e6 / (double)found.objects);
    (void)fflush(stdout);
}

int
bench_check(const struct options *options)
{
    struct stock stock;

    stock_open(&stock, options);
    stock_fill(&stock);
    stock_close(&stock);
    (void)printf("| from | objects | body MB | seconds | MB/s | CPU ms/MB | CPU us/object |\n"
                 "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for (uint64_t i = 0; i < options->rounds; i++)
        check_and_time(options);
    return 0;
}
