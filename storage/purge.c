/* The set of purges: births, calls, admission, what holds. */
#include "storage/purge.h"

#include <time.h>

#include "base/stats.h"
#include "storage/purge_impl.h"
#include "storage/state.h"

int64_t
purge_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
purge_set_init(struct purge_set *set, const struct record_header *header, uint64_t entries_max)
{
    *set = (struct purge_set){
        .id = header->purge_id, .committed = header->purge_seq, .entries_max = entries_max};
    atomic_init(&set->seq, header->purge_seq);
    atomic_init(&set->soft_all, header->soft_all);
    atomic_init(&set->view, NULL);
    (void)pthread_mutex_init(&set->lock, NULL);
    list_init(&set->births);
    list_init(&set->fresh);
    list_init(&set->taken);
    list_init(&set->work);
    list_init(&set->touched);
    list_init(&set->late);
    list_init(&set->jobs);
}

static void
free_entries(struct list *entries)
{
    LIST_FOREACH (entries, link)
        mem_free(CONTAINER_OF(link, struct purge_entry, link));
    list_init(entries);
}

void
purge_set_fini(struct purge_set *set)
{
    ASSERT(list_empty(&set->births) && list_empty(&set->late));
    STAT_ADD(purges_at_work, -(int64_t)set->entries_n);
    free_entries(&set->fresh);
    free_entries(&set->taken);
    free_entries(&set->work);
    LIST_FOREACH (&set->jobs, link)
        mem_free(CONTAINER_OF(link, struct purge_job, link));
    while (set->retired != NULL) {
        struct index_block *block = set->retired;

        set->retired = block->next;
        mem_free(block);
    }
    mem_free(set->table);
    (void)pthread_mutex_destroy(&set->lock);
}

/* --- births --- */

void
purge_birth_open(struct purge_set *set, struct purge_birth *birth)
{
    (void)pthread_mutex_lock(&set->lock);
    birth->seq = atomic_load_explicit(&set->seq, memory_order_relaxed);
    list_push(&set->births, &birth->link); /* under the lock: so the list is in order */
    (void)pthread_mutex_unlock(&set->lock);
}

void
purge_birth_close(struct purge_set *set, struct purge_birth *birth)
{
    (void)pthread_mutex_lock(&set->lock);
    list_remove(&birth->link);
    (void)pthread_mutex_unlock(&set->lock);
}

uint64_t
purge_oldest_birth(const struct purge_set *set)
{
    const struct purge_birth *birth = LIST_FIRST(&set->births, struct purge_birth, link);

    return birth != NULL ? birth->seq : UINT64_MAX;
}

enum store_purged
purge_match(struct purge_set *set, const struct purge_subject *subject)
{
    enum store_purged found = STORE_NOT_PURGED;

    if (subject->birth >= atomic_load_explicit(&set->seq, memory_order_acquire))
        return found;
    found = purge_worse(found, purge_is_soft_by_all(set, subject->birth), true);
    (void)pthread_mutex_lock(&set->lock);
    found = purge_worse(found, subject->birth < set->floor, false);
    if (set->table != NULL && found != STORE_PURGED_HARD) {
        enum store_purged named = purge_table_match(set->table, subject);

        found = named > found ? named : found;
    }
    (void)pthread_mutex_unlock(&set->lock);
    return found;
}

/* --- calls --- */

static struct purge_entry *
entry_new(const struct record_purge *what, struct purge_job *job)
{
    struct purge_entry *entry = mem_zalloc(sizeof(*entry) + what->text.len);

    if (entry == NULL)
        return NULL;
    list_init(&entry->link);
    list_init(&entry->touched);
    entry->job = job;
    entry->what = *what;
    entry->what.text = slice_of(entry->text, what->text.len);
    if (what->text.len > 0)
        memcpy(entry->text, what->text.ptr, what->text.len);
    switch ((enum store_purge_kind)what->kind) {
    case STORE_PURGE_KEY:
        entry->hash = store_hash(entry->what.text);
        entry->name = purge_name_of_key(entry->hash);
        break;
    case STORE_PURGE_LABEL:
        entry->name = purge_name_of_label(what->label);
        break;
    case STORE_PURGE_PREFIX: /* rather too much than an endless name */
        entry->what.text = slice_first(entry->what.text, PURGE_PREFIX_MAX);
        entry->name = purge_name_of_prefix(entry->what.text);
        break;
    case STORE_PURGE_ALL:
        break;
    }
    return entry;
}

static void
call_free(struct purge_call *call)
{
    free_entries(&call->entries);
    mem_free(call);
}

static struct purge_call *
call_new(const struct store_purge *purges, size_t n)
{
    struct purge_call *call = mem_zalloc(sizeof(*call));
    struct purge_job *job = mem_zalloc(sizeof(*job));
    bool ok = call != NULL && job != NULL;

    if (ok) {
        list_init(&call->link);
        list_init(&call->entries);
        list_init(&job->link);
        call->job = job;
        job->left = n + 1;
        job->status.soft = n > 0;
        job->status.began_ms = purge_now_ms();
    }
    for (size_t i = 0; i < n && ok; i++) {
        struct record_purge what = {.kind = (uint8_t)purges[i].kind,
                                    .soft = purges[i].soft,
                                    .label = purges[i].label,
                                    .began_ms = job->status.began_ms,
                                    .text = purges[i].text};
        struct purge_entry *entry = entry_new(&what, job);

        ok = entry != NULL;
        if (!ok)
            break;
        list_push(&call->entries, &entry->link);
        call->entries_n++;
        call->has_keys |= what.kind == STORE_PURGE_KEY;
        job->status.soft &= what.soft;
    }
    if (ok)
        return call;
    if (call != NULL && job != NULL)
        free_entries(&call->entries);
    mem_free(call);
    mem_free(job);
    return NULL;
}

static uint64_t
text_len_of(const struct store_purge *purges, size_t n)
{
    uint64_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += purges[i].text.len;
    return len;
}

enum err
purge_call_new(struct purge_set *set, const struct store_purge *purges, size_t n,
               struct store_done done, struct purge_call **out)
{
    uint64_t text_len = text_len_of(purges, n);
    struct purge_call *call;
    bool fits;

    if (n > PURGE_ROWS_MAX)
        return ERR_LIMIT;
    call = call_new(purges, n);
    if (call == NULL)
        return ERR_NOMEM;
    call->done = done;
    (void)pthread_mutex_lock(&set->lock);
    fits = set->entries_n + set->coming_n + n <= set->entries_max &&
           set->text_len + text_len <= set->entries_max * PURGE_TEXT_MEAN;
    if (fits) {
        set->coming_n += n;
        set->text_len += text_len;
        call->job->id = ++set->id;
        list_push(&set->jobs, &call->job->link);
    }
    (void)pthread_mutex_unlock(&set->lock);
    if (!fits) {
        STAT_INC(purges_refused);
        mem_free(call->job);
        call_free(call);
        return ERR_LIMIT;
    }
    LIST_FOREACH (&call->entries, link)
        CONTAINER_OF(link, struct purge_entry, link)->what.id = call->job->id;
    *out = call;
    return OK;
}

/* Under the lock: one part of a job is over. */
void
purge_job_put(struct purge_set *set, struct purge_job *job)
{
    struct purge_ended *ended;

    ASSERT(job->left > 0);
    if (--job->left > 0)
        return;
    ended = &set->ended[set->ended_n++ % PURGE_ENDED_MAX];
    job->status.state = STORE_PURGE_DONE;
    job->status.ended_ms = purge_now_ms();
    *ended = (struct purge_ended){job->id, job->status};
    list_remove(&job->link);
    mem_free(job);
}

void
purge_call_end(struct purge_set *set, struct purge_call **slot, enum err rc)
{
    struct purge_call *call = *slot;
    struct store_done done = call->done;
    uint64_t matched = rc == OK ? call->matched : 0;

    *slot = NULL;
    (void)pthread_mutex_lock(&set->lock);
    if (call->seq == 0) { /* it failed before it was admitted */
        set->coming_n -= call->entries_n;
        LIST_FOREACH (&call->entries, link)
            set->text_len -= CONTAINER_OF(link, struct purge_entry, link)->what.text.len;
        list_remove(&call->job->link);
        mem_free(call->job);
    } else {
        call->job->status.matched += call->early ? 0 : matched;
        purge_job_put(set, call->job);
    }
    (void)pthread_mutex_unlock(&set->lock);
    if (rc == OK)
        STAT_INC(purges);
    call_free(call);
    if (done.fn != NULL)
        done.fn(done.arg, rc, matched);
}

/* --- admission --- */

static uint64_t
oldest_seq(const struct list *entries)
{
    const struct purge_entry *entry = LIST_FIRST(entries, struct purge_entry, link);

    return entry != NULL ? entry->what.seq : UINT64_MAX;
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool
purge_is_at_work(const struct purge_set *set)
{
    return !list_empty(&set->fresh) || !list_empty(&set->taken) || !list_empty(&set->work);
}

/* Names as young as this, or older, are of nobody at work. */
static uint64_t
work_floor(const struct purge_set *set)
{
    return smaller(oldest_seq(&set->work),
                   smaller(oldest_seq(&set->taken), oldest_seq(&set->fresh))) -
           1;
}

void
purge_retire_table(struct purge_set *set)
{
    if (set->table == NULL)
        return;
    set->table->block.next = set->retired;
    set->retired = &set->table->block;
    set->table = NULL;
}

/* Room for n more names. Drops those that neither a purge at work nor an open put needs. */
static enum err
reserve_names(struct purge_set *set, uint64_t n)
{
    uint64_t at_work = work_floor(set), births = purge_oldest_birth(set);
    bool keep_lengths = set->prefixes_n > 0 || births < set->prefix_seq;
    uint64_t floor = smaller(at_work, births);
    struct purge_table *table;

    if (purge_table_has_room(set->table, n))
        return OK;
    if (purge_table_count(set->table, floor) > PURGE_NAMES_MAX + set->entries_max) {
        set->floor = atomic_load_explicit(&set->seq, memory_order_relaxed);
        floor = at_work; /* rather too much purged than unbounded memory */
    }
    table = purge_table_new(set->table, floor, keep_lengths, n);
    if (table == NULL)
        return ERR_NOMEM;
    purge_retire_table(set);
    set->table = table;
    return OK;
}

static void
chain(struct purge_entry **head, struct purge_entry *entry)
{
    entry->older = *head;
    if (*head != NULL)
        (*head)->younger = entry;
    *head = entry;
}

static void
name_all(struct purge_set *set, struct purge_entry *entry)
{
    atomic_uint_fast64_t *all = entry->what.soft ? &set->soft_all : &set->table->all_hard;

    if (atomic_load_explicit(all, memory_order_relaxed) < entry->what.seq)
        atomic_store_explicit(all, entry->what.seq, memory_order_release);
    chain(&set->alls, entry);
}

/* From here on it is found by its name. There is room. */
static void
name_entry(struct purge_set *set, struct purge_entry *entry)
{
    struct purge_row *row;

    if (entry->what.kind == STORE_PURGE_ALL) {
        name_all(set, entry);
        return;
    }
    row = purge_table_add(set->table, entry->name, entry->what.soft, entry->what.seq);
    chain(&row->entries, entry);
    if (entry->what.kind == STORE_PURGE_PREFIX) {
        set->prefixes_n++;
        set->prefix_seq = entry->what.seq;
        purge_table_add_length(set->table, entry->what.text.len);
    }
}

static void
admit_call(struct purge_set *set, struct purge_call *call, uint64_t seq)
{
    call->seq = seq;
    LIST_FOREACH (&call->entries, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        list_remove(link);
        list_push(&set->fresh, link);
        entry->what.seq = seq;
        name_entry(set, entry);
    }
    set->entries_n += call->entries_n;
    STAT_ADD(purges_at_work, call->entries_n);
    set->coming_n -= call->entries_n;
}

static void
publish(struct purge_set *set)
{
    atomic_store_explicit(&set->has_fresh, !list_empty(&set->fresh), memory_order_release);
    atomic_store_explicit(&set->view, purge_is_at_work(set) ? set->table : NULL,
                          memory_order_release);
}

enum err
purge_admit(struct purge_set *set, struct list *calls, uint64_t seq)
{
    uint64_t n = 0;
    enum err rc;

    LIST_FOREACH (calls, link)
        n += CONTAINER_OF(link, struct purge_call, link)->entries_n;
    (void)pthread_mutex_lock(&set->lock);
    rc = reserve_names(set, n);
    if (rc == OK) {
        LIST_FOREACH (calls, link)
            admit_call(set, CONTAINER_OF(link, struct purge_call, link), seq);
        atomic_store_explicit(&set->seq, seq, memory_order_release);
        publish(set);
    }
    (void)pthread_mutex_unlock(&set->lock);
    return rc;
}

/* --- going on after a start --- */

static struct purge_job *
job_resume(struct purge_set *set, const struct record_purge *what)
{
    struct purge_job *job = NULL;

    for (struct list *link = set->jobs.prev; link != &set->jobs; link = link->prev)
        if (CONTAINER_OF(link, struct purge_job, link)->id == what->id)
            return CONTAINER_OF(link, struct purge_job, link);
    job = mem_zalloc(sizeof(*job));
    if (job == NULL)
        return NULL;
    list_init(&job->link);
    list_push(&set->jobs, &job->link);
    job->id = what->id;
    job->status.soft = true;
    job->status.began_ms = what->began_ms;
    return job;
}

static void
push_sorted(struct list *head, struct purge_entry *entry)
{
    struct list *after = head->prev;

    while (after != head &&
           CONTAINER_OF(after, struct purge_entry, link)->what.seq > entry->what.seq)
        after = after->prev;
    list_push(after->next, &entry->link); /* before the one that follows */
}

enum err
purge_resume(struct purge_set *set, const struct record_purge *what, uint32_t piece)
{
    struct purge_job *job = job_resume(set, what);
    struct purge_entry *entry = job == NULL ? NULL : entry_new(what, job);

    if (entry == NULL)
        return ERR_NOMEM; /* the job goes with the set */
    entry->piece = piece;
    job->left++;
    job->status.soft &= what->soft;
    job->status.matched += what->matched;
    *(what->soft ? &job->status.marked : &job->status.removed) += what->removed;
    push_sorted(piece != 0 ? &set->work : &set->fresh, entry);
    set->keys_waiting_n += piece != 0 && what->kind == STORE_PURGE_KEY;
    set->entries_n++;
    STAT_INC(purges_at_work);
    set->text_len += entry->what.text.len;
    set->piece = piece > set->piece ? piece : set->piece;
    set->id = what->id > set->id ? what->id : set->id;
    if (what->seq > atomic_load_explicit(&set->seq, memory_order_relaxed))
        atomic_store_explicit(&set->seq, what->seq, memory_order_relaxed);
    return OK;
}

enum err
purge_resumed(struct purge_set *set)
{
    struct list *const lists[] = {&set->work, &set->fresh}; /* what has a record is older */
    uint64_t seq = atomic_load_explicit(&set->seq, memory_order_relaxed);

    if (set->entries_n > 0 && reserve_names(set, set->entries_n) != OK)
        return ERR_NOMEM;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        LIST_FOREACH (lists[i], link)
            name_entry(set, CONTAINER_OF(link, struct purge_entry, link));
    atomic_store_explicit(&set->seq, seq + PURGE_SEQ_STEP, memory_order_release);
    publish(set);
    return OK;
}

/* --- for callers of the store --- */

enum err
store_purge_status(struct store *store, uint64_t id, struct store_purge_status *out)
{
    struct purge_set *set = &store->purges;
    enum err rc = ERR_NOT_FOUND;

    ASSERT_TAG(store, STORE_TAG);
    (void)pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < PURGE_ENDED_MAX && rc != OK && id != 0; i++)
        if (set->ended[i].id == id) {
            *out = set->ended[i].status;
            rc = OK;
        }
    LIST_FOREACH (&set->jobs, link) {
        const struct purge_job *job = CONTAINER_OF(link, struct purge_job, link);

        if (rc == OK)
            break;
        if (job->id == id) {
            *out = job->status;
            rc = OK;
        }
    }
    (void)pthread_mutex_unlock(&set->lock);
    return rc;
}

enum store_purged
store_purged_since(struct store *store, uint64_t birth, const struct store_key *key,
                   const uint64_t *labels, size_t labels_n)
{
    struct purge_subject subject = {birth, key->hash, key->text, labels, labels_n};

    ASSERT_TAG(store, STORE_TAG);
    return purge_match(&store->purges, &subject);
}
