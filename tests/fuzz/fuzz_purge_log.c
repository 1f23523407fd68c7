/* The purge log from bytes that nobody vouches for: what is replayed was written whole, and its seq
 * does not fall. */
#include "storage/purge_log.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
look_at(const struct purge_set *set, uint64_t seq)
{
    uint64_t last = seq;

    LIST_FOREACH (&set->fresh, link) {
        const struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        ASSERT(entry->what.seq > seq && entry->what.seq >= last);
        ASSERT(entry->what.kind <= STORE_PURGE_ALL && entry->piece == 0);
        last = entry->what.seq;
    }
    ASSERT(atomic_load(&set->seq) >= last);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct purge_log log = {.fd = memfd_create("log", MFD_CLOEXEC), .len = len};
    struct record_header header = {.oid_next = 1, .purge_seq = len % 3};
    struct purge_set set;

    if (log.fd == -1)
        return 0;
    purge_set_init(&set, &header, 4096);
    if (write(log.fd, bytes, len) == (ssize_t)len &&
        purge_log_replay(&log, header.purge_seq, &set) == OK && purge_resumed(&set) == OK)
        look_at(&set, header.purge_seq);
    purge_set_fini(&set);
    purge_log_close(&log);
    return 0;
}
