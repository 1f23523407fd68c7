/* The writer's side of purges: what its transactions take, count and end. */
#include "base/stats.h"
#include "storage/purge_impl.h"

/* --- entries that end --- */

static struct purge_entry **
head_of(struct purge_set *set, const struct purge_entry *entry)
{
    struct purge_row *row;

    if (entry->what.kind == STORE_PURGE_ALL)
        return &set->alls;
    row = purge_table_find(set->table, entry->name);
    ASSERT(row != NULL); /* names at work are kept */
    return &row->entries;
}

static void
end_entry(struct purge_set *set, struct purge_entry *entry)
{
    if (entry->older != NULL)
        entry->older->younger = entry->younger;
    if (entry->younger != NULL)
        entry->younger->older = entry->older;
    else
        *head_of(set, entry) = entry->older;
    list_remove(&entry->link);
    list_remove(&entry->touched);
    set->entries_n--;
    STAT_ADD(purges_at_work, -1);
    set->text_len -= entry->what.text.len;
    set->prefixes_n -= entry->what.kind == STORE_PURGE_PREFIX;
    purge_job_put(set, entry->job);
    mem_free(entry);
}

/* Readers need not look any more: all that was named is gone. */
static void
publish_end(struct purge_set *set)
{
    if (!purge_is_at_work(set))
        atomic_store_explicit(&set->view, NULL, memory_order_release);
}

/* --- one transaction's --- */

static bool
is_key(const struct purge_entry *entry)
{
    return entry->what.kind == STORE_PURGE_KEY;
}

static uint64_t
take_waiting_keys(struct purge_set *set)
{
    uint64_t n = 0;

    LIST_FOREACH (&set->work, link) {
        if (set->keys_waiting_n == 0 || n >= PURGE_ROWS_MAX)
            break;
        if (!is_key(CONTAINER_OF(link, struct purge_entry, link)))
            continue;
        list_remove(link);
        list_push(&set->taken, link);
        set->keys_waiting_n--;
        n++;
    }
    return n;
}

bool
purge_take(struct purge_set *set, bool ready, uint64_t *out_seq)
{
    uint64_t n = 0, seq = 0;
    bool any;

    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->taken, link) { /* of a transaction that failed */
        seq = CONTAINER_OF(link, struct purge_entry, link)->what.seq;
        n++;
    }
    if (n == 0 && ready)
        n = take_waiting_keys(set);
    LIST_FOREACH (&set->fresh, link) {
        const struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (n >= PURGE_ROWS_MAX && entry->what.seq != seq)
            break; /* of one seq all are taken, or none */
        list_remove(link);
        list_push(&set->taken, link);
        seq = entry->what.seq;
        n++;
    }
    any = n > 0;
    if (list_empty(&set->fresh))
        seq = atomic_load_explicit(&set->seq, memory_order_relaxed);
    *out_seq = seq > set->committed ? seq : set->committed;
    atomic_store_explicit(&set->has_fresh, !list_empty(&set->fresh), memory_order_relaxed);
    (void)pthread_mutex_unlock(&set->lock);
    return any;
}

uint32_t
purge_next_piece(struct purge_set *set)
{
    /* A number comes round again long after its record is gone: entries are far fewer. */
    set->piece = set->piece % (RECORD_PIECE - 1) + 1;
    return set->piece;
}

static void
end_late(struct purge_set *set)
{
    struct list over;

    list_init(&over);
    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->late, link) {
        if (CONTAINER_OF(link, struct purge_call, link)->seq > set->committed)
            break;
        list_remove(link);
        list_push(&over, link);
    }
    (void)pthread_mutex_unlock(&set->lock);
    LIST_FOREACH (&over, link) {
        struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        list_remove(link);
        purge_call_end(set, &call, OK);
    }
}

void
purge_set_late(struct purge_set *set, struct list *calls)
{
    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (calls, link) {
        list_remove(link);
        list_push(&set->late, link);
        STAT_INC(purges_late);
    }
    (void)pthread_mutex_unlock(&set->lock);
    end_late(set); /* the transaction may have been quicker */
}

bool
purge_has_late(struct purge_set *set)
{
    bool has;

    (void)pthread_mutex_lock(&set->lock);
    has = !list_empty(&set->late);
    (void)pthread_mutex_unlock(&set->lock);
    return has;
}

uint64_t
purge_committed_seq(struct purge_set *set)
{
    uint64_t seq;

    (void)pthread_mutex_lock(&set->lock);
    seq = set->committed;
    (void)pthread_mutex_unlock(&set->lock);
    return seq;
}

static bool
is_done_at_once(const struct purge_entry *entry, bool ready)
{
    return (is_key(entry) && ready) || (entry->what.kind == STORE_PURGE_ALL && entry->what.soft);
}

void
purge_taken_committed(struct purge_set *set, uint64_t seq, bool ready)
{
    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->taken, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (is_done_at_once(entry, ready)) {
            end_entry(set, entry);
            continue;
        }
        list_remove(link);
        list_push(&set->work, link);
        set->keys_waiting_n += is_key(entry);
    }
    set->committed = seq;
    publish_end(set);
    (void)pthread_mutex_unlock(&set->lock);
    end_late(set);
}

/* --- counting --- */

static void
touch(struct purge_set *set, struct purge_entry *entry)
{
    if (list_empty(&entry->touched))
        list_push(&set->touched, &entry->touched);
}

/* Entries of one name. *best: the oldest so far that decides what becomes of the object. */
static void
count_chain(struct purge_set *set, struct purge_entry *entry, uint64_t birth, bool is_soft,
            enum store_purged verdict, struct purge_entry **best)
{
    for (; entry != NULL && entry->what.seq > birth; entry = entry->older) {
        if (entry->what.soft && is_soft)
            continue;
        if (entry->job->stamp != set->stamp) {
            entry->job->stamp = set->stamp;                     /* a call counts an object once */
            entry->matched_n += !is_key(entry) || entry->early; /* else counted when it came */
            touch(set, entry);
        }
        if (entry->what.soft == (verdict == STORE_PURGED_SOFT) &&
            (*best == NULL || entry->what.id < (*best)->what.id))
            *best = entry;
    }
}

static void
count(struct purge_set *set, const struct purge_subject *subject, bool is_soft,
      enum store_purged verdict)
{
    struct purge_probe probe = {set->table, subject, 0};
    struct purge_entry *best = NULL;
    const struct purge_row *row;

    set->stamp++;
    while ((row = purge_probe_next(&probe)) != NULL) /* its key's first */
        count_chain(set, row->entries, subject->birth, is_soft, verdict, &best);
    count_chain(set, set->alls, subject->birth, is_soft, verdict, &best);
    if (best == NULL)
        return;
    best->removed_n++;
    touch(set, best);
}

enum store_purged
purge_settle(struct purge_set *set, const struct purge_subject *subject, bool is_soft)
{
    enum store_purged verdict = STORE_NOT_PURGED;

    (void)pthread_mutex_lock(&set->lock);
    if (set->table != NULL)
        verdict = purge_table_match(set->table, subject);
    if (verdict == STORE_PURGED_SOFT && is_soft)
        verdict = STORE_NOT_PURGED;
    if (verdict != STORE_NOT_PURGED)
        count(set, subject, is_soft, verdict);
    (void)pthread_mutex_unlock(&set->lock);
    return verdict;
}

void
purge_count(struct purge_set *set, struct purge_entry *entry, uint64_t n)
{
    (void)pthread_mutex_lock(&set->lock);
    entry->matched_n = entry->removed_n = n;
    touch(set, entry);
    (void)pthread_mutex_unlock(&set->lock);
}

void
purge_settle_end(struct purge_set *set, bool committed)
{
    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->touched, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, touched);
        struct store_purge_status *status = &entry->job->status;

        list_remove(link);
        if (committed) {
            entry->what.matched += entry->matched_n;
            entry->what.removed += entry->removed_n;
            status->matched += entry->matched_n;
            *(entry->what.soft ? &status->marked : &status->removed) += entry->removed_n;
        }
        entry->matched_n = entry->removed_n = 0;
    }
    (void)pthread_mutex_unlock(&set->lock);
}

/* --- the sweep --- */

bool
purge_has_waiting(struct purge_set *set)
{
    /* The writer alone changes this list: it may read it without the lock. */
    LIST_FOREACH (&set->work, link)
        if (!is_key(CONTAINER_OF(link, struct purge_entry, link)))
            return true;
    return false;
}

bool
purge_sweep_begin(struct purge_set *set)
{
    bool any = false;

    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->work, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (is_key(entry))
            continue;
        entry->sweeping = any = true;
        entry->job->status.state = STORE_PURGE_SWEEPING;
    }
    (void)pthread_mutex_unlock(&set->lock);
    return any;
}

void
purge_sweep_end(struct purge_set *set)
{
    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->work, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (entry->sweeping)
            end_entry(set, entry);
    }
    publish_end(set);
    (void)pthread_mutex_unlock(&set->lock);
}

void
purge_all_done(struct purge_set *set)
{
    struct list *const lists[] = {&set->fresh, &set->taken, &set->work};

    purge_settle_end(set, false);
    (void)pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        LIST_FOREACH (lists[i], link)
            end_entry(set, CONTAINER_OF(link, struct purge_entry, link));
    set->keys_waiting_n = 0;
    set->committed = atomic_load_explicit(&set->seq, memory_order_relaxed);
    atomic_store_explicit(&set->has_fresh, false, memory_order_relaxed);
    publish_end(set);
    (void)pthread_mutex_unlock(&set->lock);
    end_late(set);
}

void
purge_prune(struct purge_set *set, struct index *index)
{
    struct index_block *retired;

    (void)pthread_mutex_lock(&set->lock);
    if (set->table != NULL && !purge_is_at_work(set) &&
        purge_oldest_birth(set) >= atomic_load_explicit(&set->seq, memory_order_relaxed))
        purge_retire_table(set);
    retired = set->retired;
    set->retired = NULL;
    (void)pthread_mutex_unlock(&set->lock);
    while (retired != NULL) {
        struct index_block *next = retired->next;

        index_retire_block(index, retired);
        retired = next;
    }
}
