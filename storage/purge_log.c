/* A file of records in a row; see the header. A frame is its length twice, the second time
 * inverted, then a purge's record, whose checksum is seeded with the frame's place; frames lie on
 * multiples of 8. What does not fit any of it ends the log. */
#include "storage/purge_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum {
    LOG_PATH_LEN = 4096,
    LOG_LEN_MAX = 1 << 20,
    LOG_PART = 16, /* nor more than this part of a small store */
    FRAME_HEAD = 8,
    FRAME_ALIGN = 8
};

static uint64_t
frame_len(uint64_t record_len)
{
    return (FRAME_HEAD + record_len + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN;
}

/* --- opening --- */

static bool
write_at(const struct purge_log *log, const char *from, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t n = pwrite(log->fd, from, len, (off_t)at);

        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return fdatasync(log->fd) == 0;
}

/* Every page is written once, so that later writes need nothing of the file system. */
static bool
fill(const struct purge_log *log, uint64_t from)
{
    char *zeros = mem_zalloc(log->len - from);
    bool ok = zeros != NULL && write_at(log, zeros, log->len - from, from) && fsync(log->fd) == 0;

    mem_free(zeros);
    return ok;
}

static void
give_up(struct purge_log *log, const char *name)
{
    LOG(WARN, store_fault,
        "text=\"no purge log; purges wait for their transaction\" path=\"%s\" error=\"%s\"", name,
        strerror(errno));
    purge_log_close(log);
}

void
purge_log_open(struct purge_log *log, const char *path, uint64_t store_len, bool keep)
{
    uint64_t part = store_len / LOG_PART / RECORD_PAGE_LEN * RECORD_PAGE_LEN;
    char name[LOG_PATH_LEN];
    struct stat st;
    uint64_t kept;

    *log = (struct purge_log){.len = part < LOG_LEN_MAX ? part : LOG_LEN_MAX};
    (void)snprintf(name, sizeof(name), "%s/purge.log", path);
    log->fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (log->fd == -1 || fstat(log->fd, &st) == -1) {
        give_up(log, name);
        return;
    }
    kept = keep ? (uint64_t)st.st_size : 0;
    if (kept > log->len) /* the store was larger */
        log->len = kept < LOG_LEN_MAX ? kept : LOG_LEN_MAX;
    else if (kept < log->len && !fill(log, kept))
        give_up(log, name);
}

void
purge_log_close(struct purge_log *log)
{
    if (log->fd != -1)
        (void)close(log->fd);
    log->fd = -1;
    mem_free(log->staged);
    log->staged = NULL;
    log->staged_len = log->staged_cap = 0;
}

/* --- reading --- */

/* The record at *at, which moves behind it. False: nothing that belongs there. */
static bool
read_frame(const char *bytes, uint64_t len, uint64_t *at, struct record_purge *out)
{
    uint32_t record_len, inverted;

    if (*at + FRAME_HEAD > len)
        return false;
    memcpy(&record_len, bytes + *at, sizeof(record_len));
    memcpy(&inverted, bytes + *at + sizeof(record_len), sizeof(inverted));
    if (record_len != ~inverted || record_len > len - *at - FRAME_HEAD ||
        record_purge_decode(slice_of(bytes + *at + FRAME_HEAD, record_len), *at, out) != OK)
        return false;
    *at += frame_len(record_len);
    return true;
}

static enum err
replay_bytes(struct purge_log *log, const char *bytes, uint64_t len, uint64_t seq,
             struct purge_set *set)
{
    struct record_purge what;
    uint64_t at = 0;

    while (read_frame(bytes, len, &at, &what) && what.seq >= log->last_seq) {
        log->at = at;
        log->last_seq = what.seq;
        if (what.seq > seq && purge_resume(set, &what, 0) != OK)
            return ERR_NOMEM;
    }
    return OK;
}

enum err
purge_log_replay(struct purge_log *log, uint64_t seq, struct purge_set *set)
{
    char *bytes;
    ssize_t len;
    enum err rc;

    if (log->fd == -1)
        return OK;
    bytes = mem_alloc(log->len);
    if (bytes == NULL)
        return ERR_NOMEM;
    len = pread(log->fd, bytes, log->len, 0);
    rc = len == -1 ? ERR_STORE_IO : replay_bytes(log, bytes, (uint64_t)len, seq, set);
    mem_free(bytes);
    return rc;
}

/* --- writing --- */

static bool
reserve(struct purge_log *log, size_t len)
{
    char *grown;

    if (len <= log->staged_cap)
        return true;
    grown = mem_realloc(log->staged, len);
    if (grown == NULL)
        return false;
    log->staged = grown;
    log->staged_cap = len;
    return true;
}

static uint64_t
staged_len_of(const struct list *calls)
{
    uint64_t len = 0;

    LIST_FOREACH (calls, link) {
        const struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        LIST_FOREACH (&call->entries, entry)
            len +=
                frame_len(record_purge_len(&CONTAINER_OF(entry, struct purge_entry, link)->what));
    }
    return len;
}

static void
stage_entry(struct purge_log *log, const struct purge_entry *entry, uint64_t seq)
{
    uint32_t len = (uint32_t)record_purge_len(&entry->what), inverted = ~len;
    char *to = log->staged + log->staged_len;
    struct record_purge what = entry->what;

    what.seq = seq;
    memset(to, 0, frame_len(len));
    memcpy(to, &len, sizeof(len));
    memcpy(to + sizeof(len), &inverted, sizeof(inverted));
    record_purge_encode(&what, log->at + log->staged_len, to + FRAME_HEAD);
    log->staged_len += frame_len(len);
}

bool
purge_log_stage(struct purge_log *log, const struct list *calls, uint64_t seq, uint64_t committed)
{
    uint64_t len = staged_len_of(calls);

    log->staged_len = 0;
    if (committed >= log->last_seq)
        log->at = 0;
    if (log->fd == -1 || len > log->len - log->at || !reserve(log, len))
        return false;
    LIST_FOREACH (calls, link) {
        const struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        LIST_FOREACH (&call->entries, entry)
            stage_entry(log, CONTAINER_OF(entry, struct purge_entry, link), seq);
    }
    log->last_seq = seq;
    return true;
}

bool
purge_log_write(struct purge_log *log)
{
    if (!write_at(log, log->staged, log->staged_len, log->at))
        return false;
    log->at += log->staged_len;
    return true;
}
