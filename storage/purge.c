/* The set of purges at work: matching, views, states. */
#include "storage/purge.h"

#include <time.h>

#include "storage/state.h"

enum { KEYS_CAP_MIN = 256 };

void
purge_set_init(struct purge_set *set, uint64_t seq, uint64_t id)
{
    *set = (struct purge_set){.id = id};
    atomic_init(&set->seq, seq);
    atomic_init(&set->view, NULL);
    (void)pthread_mutex_init(&set->lock, NULL);
    list_init(&set->births);
    list_init(&set->entries);
}

static void
entry_free(struct purge_set *set, struct purge_entry *entry)
{
    list_remove(&entry->link);
    set->entries_n--;
    mem_free(entry);
}

void
purge_set_fini(struct purge_set *set)
{
    ASSERT(list_empty(&set->births));
    LIST_FOREACH (&set->entries, link)
        entry_free(set, CONTAINER_OF(link, struct purge_entry, link));
    mem_free(set->keys);
    mem_free(atomic_load_explicit(&set->view, memory_order_relaxed));
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

static uint64_t
oldest_birth(const struct purge_set *set)
{
    const struct purge_birth *birth = LIST_FIRST(&set->births, struct purge_birth, link);

    return birth != NULL ? birth->seq : UINT64_MAX;
}

/* --- the keys purged while puts are open --- */

static struct purge_key *
key_slot(struct purge_key *keys, uint64_t cap, struct store_hash hash)
{
    for (uint64_t at = hash.lo;; at++) {
        struct purge_key *key = &keys[at & (cap - 1)];

        if ((key->hard | key->soft) == 0 || (key->hash.lo == hash.lo && key->hash.hi == hash.hi))
            return key;
    }
}

/* Room for n more; drops those that no open put needs. */
static enum err
keys_reserve(struct purge_set *set, uint64_t n)
{
    uint64_t oldest = oldest_birth(set), cap = KEYS_CAP_MIN, kept = 0;
    struct purge_key *keys;

    if ((set->keys_n + n) * 2 <= set->keys_cap)
        return OK;
    for (uint64_t i = 0; i < set->keys_cap; i++)
        kept += set->keys[i].hard > oldest || set->keys[i].soft > oldest;
    if (kept > PURGE_KEYS_MAX) { /* rather too much purged than unbounded memory */
        set->floor = atomic_load_explicit(&set->seq, memory_order_relaxed);
        kept = 0;
    }
    while (cap < (kept + n) * 4)
        cap *= 2;
    keys = mem_zalloc(cap * sizeof(*keys));
    if (keys == NULL)
        return ERR_NOMEM;
    for (uint64_t i = 0; i < set->keys_cap && kept > 0; i++)
        if (set->keys[i].hard > oldest || set->keys[i].soft > oldest)
            *key_slot(keys, cap, set->keys[i].hash) = set->keys[i];
    mem_free(set->keys);
    set->keys = keys;
    set->keys_cap = cap;
    set->keys_n = kept;
    return OK;
}

static void
key_add(struct purge_set *set, struct store_hash hash, bool soft, uint64_t seq)
{
    struct purge_key *key = key_slot(set->keys, set->keys_cap, hash);

    set->keys_n += (key->hard | key->soft) == 0;
    key->hash = hash;
    *(soft ? &key->soft : &key->hard) = seq;
}

static enum store_purged
worse(enum store_purged a, bool matches, bool soft)
{
    if (!matches || a == STORE_PURGED_HARD)
        return a;
    return soft ? STORE_PURGED_SOFT : STORE_PURGED_HARD;
}

/* --- matching --- */

static bool
has_label(const void *labels, size_t labels_n, uint64_t label)
{
    for (size_t i = 0; i < labels_n; i++)
        if (memcmp((const char *)labels + i * sizeof(label), &label, sizeof(label)) == 0)
            return true;
    return false;
}

static bool
entry_matches(const struct purge_entry *entry, struct slice key, const void *labels,
              size_t labels_n)
{
    switch ((enum store_purge_kind)entry->what.kind) {
    case STORE_PURGE_LABEL:
        return has_label(labels, labels_n, entry->what.label);
    case STORE_PURGE_PREFIX:
        return slice_starts(key, entry->what.text);
    case STORE_PURGE_ALL:
        return true;
    case STORE_PURGE_KEY:
        return false; /* never an entry */
    }
    UNREACHABLE();
}

enum store_purged
purge_match(struct purge_set *set, uint64_t birth, struct store_hash hash, struct slice key,
            const void *labels, size_t labels_n)
{
    enum store_purged found = STORE_NOT_PURGED;

    if (birth >= atomic_load_explicit(&set->seq, memory_order_acquire))
        return found;
    (void)pthread_mutex_lock(&set->lock);
    found = worse(found, birth < set->floor, false);
    if (set->keys_n > 0) {
        const struct purge_key *slot = key_slot(set->keys, set->keys_cap, hash);

        found = worse(found, slot->soft > birth, true);
        found = worse(found, slot->hard > birth, false);
    }
    LIST_FOREACH (&set->entries, link) {
        const struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (entry->what.seq > birth)
            found = worse(found, entry_matches(entry, key, labels, labels_n), entry->what.soft);
    }
    (void)pthread_mutex_unlock(&set->lock);
    return found;
}

static const struct purge_view_label *
view_label(const struct purge_view *view, uint64_t label)
{
    size_t low = 0, high = view->labels_n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (view->labels[mid].label < label)
            low = mid + 1;
        else
            high = mid;
    }
    return low < view->labels_n && view->labels[low].label == label ? &view->labels[low] : NULL;
}

enum store_purged
purge_view_match(const struct purge_view *view, uint64_t birth, struct slice key,
                 const void *labels, size_t labels_n)
{
    enum store_purged found = STORE_NOT_PURGED;

    found = worse(found, view->all_soft > birth, true);
    found = worse(found, view->all_hard > birth, false);
    for (size_t i = 0; i < labels_n && view->labels_n > 0; i++) {
        const struct purge_view_label *row;
        uint64_t label;

        memcpy(&label, (const char *)labels + i * sizeof(label), sizeof(label));
        row = view_label(view, label);
        if (row == NULL)
            continue;
        found = worse(found, row->soft > birth, true);
        found = worse(found, row->hard > birth, false);
    }
    for (size_t i = 0; i < view->prefixes_n; i++)
        found =
            worse(found, view->prefixes[i].seq > birth && slice_starts(key, view->prefixes[i].text),
                  view->prefixes[i].soft);
    return found;
}

/* --- calls --- */

static struct purge_status_row *
status_row(struct purge_set *set, uint64_t id)
{
    struct purge_status_row *row = &set->status[id % PURGE_STATUS_MAX];

    return row->id == id ? row : NULL;
}

static void
status_open(struct purge_set *set, uint64_t id, int64_t began_s, uint64_t rows)
{
    struct purge_status_row *row = &set->status[id % PURGE_STATUS_MAX];

    if (row->id != id)
        *row = (struct purge_status_row){.id = id, .status.began_s = began_s};
    row->left += rows;
}

static void
status_add(struct purge_set *set, uint64_t id, uint64_t matched, uint64_t rows_done)
{
    struct purge_status_row *row = status_row(set, id);

    if (row == NULL)
        return;
    row->status.matched += matched;
    row->left -= rows_done;
    if (row->left == 0 && !row->status.finished) {
        row->status.finished = true;
        row->status.ended_s = (int64_t)time(NULL);
    }
}

static struct purge_call *
call_copy(const struct store_purge *purges, size_t n)
{
    size_t len = sizeof(struct purge_call) + n * sizeof(struct purge_row);
    struct purge_call *call;
    char *text;

    for (size_t i = 0; i < n; i++)
        len += purges[i].text.len;
    call = mem_zalloc(len);
    if (call == NULL)
        return NULL;
    list_init(&call->link);
    call->rows_n = n;
    text = (char *)&call->rows[n];
    for (size_t i = 0; i < n; i++) {
        struct purge_row *row = &call->rows[i];

        row->what = purges[i];
        row->what.text.ptr = text;
        if (purges[i].text.len > 0)
            memcpy(text, purges[i].text.ptr, purges[i].text.len);
        text += purges[i].text.len;
        if (row->what.kind == STORE_PURGE_KEY) {
            call->has_keys = true;
            row->hash = store_hash(row->what.text);
        }
    }
    return call;
}

static size_t
entries_of(const struct purge_call *call)
{
    size_t n = 0;

    for (size_t i = 0; i < call->rows_n; i++)
        n += call->rows[i].what.kind != STORE_PURGE_KEY;
    return n;
}

enum err
purge_call_new(struct purge_set *set, const struct store_purge *purges, size_t n,
               struct store_done done, struct purge_call **out)
{
    struct purge_call *call;

    if (n > PURGE_ROWS_MAX)
        return ERR_LIMIT;
    call = call_copy(purges, n);
    if (call == NULL)
        return ERR_NOMEM;
    call->done = done;
    call->began_s = (int64_t)time(NULL);
    (void)pthread_mutex_lock(&set->lock);
    if (set->entries_n + set->coming_n + entries_of(call) > PURGE_ENTRIES_MAX) {
        (void)pthread_mutex_unlock(&set->lock);
        mem_free(call);
        return ERR_LIMIT;
    }
    set->coming_n += entries_of(call);
    call->id = ++set->id;
    status_open(set, call->id, call->began_s, n + 1); /* one for the transaction */
    (void)pthread_mutex_unlock(&set->lock);
    *out = call;
    return OK;
}

static struct purge_entry *
entry_new(const struct record_purge *what, enum purge_state state)
{
    struct purge_entry *entry = mem_zalloc(sizeof(*entry) + what->text.len);

    if (entry == NULL)
        return NULL;
    list_init(&entry->link);
    entry->state = state;
    entry->what = *what;
    entry->what.text.ptr = entry->text;
    if (what->text.len > 0)
        memcpy(entry->text, what->text.ptr, what->text.len);
    return entry;
}

static enum err
call_make_entries(struct purge_call *call)
{
    for (size_t i = 0; i < call->rows_n; i++) {
        struct purge_row *row = &call->rows[i];
        struct record_purge what = {.kind = (uint8_t)row->what.kind,
                                    .soft = row->what.soft,
                                    .id = call->id,
                                    .label = row->what.label,
                                    .began_s = call->began_s,
                                    .text = row->what.text};

        if (row->what.kind == STORE_PURGE_KEY)
            continue;
        row->entry = entry_new(&what, PURGE_PENDING);
        if (row->entry == NULL)
            return ERR_NOMEM;
    }
    return OK;
}

static void
calls_drop_entries(struct list *calls)
{
    LIST_FOREACH (calls, link) {
        struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        for (size_t i = 0; i < call->rows_n; i++) {
            mem_free(call->rows[i].entry);
            call->rows[i].entry = NULL;
        }
    }
}

static uint32_t
next_piece(struct purge_set *set)
{
    /* With at most 4,096 entries, a number comes round again long after its record is gone. */
    set->piece = set->piece % (RECORD_PIECE - 1) + 1;
    return set->piece;
}

static void
call_admit(struct purge_set *set, struct purge_call *call, uint64_t seq)
{
    for (size_t i = 0; i < call->rows_n; i++) {
        struct purge_row *row = &call->rows[i];

        if (row->entry == NULL) {
            key_add(set, row->hash, row->what.soft, seq);
            continue;
        }
        row->entry->what.seq = seq;
        row->entry->piece = next_piece(set);
        list_push(&set->entries, &row->entry->link);
        set->entries_n++;
        set->coming_n--;
    }
}

enum err
purge_admit(struct purge_set *set, struct list *calls, uint64_t *out_seq)
{
    enum err rc = OK;
    uint64_t keys_n = 0, seq;

    LIST_FOREACH (calls, link) {
        struct purge_call *call = CONTAINER_OF(link, struct purge_call, link);

        keys_n += call->rows_n - entries_of(call);
        if (rc == OK)
            rc = call_make_entries(call);
    }
    (void)pthread_mutex_lock(&set->lock);
    if (rc == OK)
        rc = keys_reserve(set, keys_n);
    if (rc == OK) {
        seq = atomic_load_explicit(&set->seq, memory_order_relaxed) + 1;
        LIST_FOREACH (calls, link)
            call_admit(set, CONTAINER_OF(link, struct purge_call, link), seq);
        atomic_store_explicit(&set->seq, seq, memory_order_release);
        *out_seq = seq;
    }
    (void)pthread_mutex_unlock(&set->lock);
    if (rc != OK)
        calls_drop_entries(calls);
    return rc;
}

void
purge_call_end(struct purge_set *set, struct purge_call **slot, enum err rc)
{
    struct purge_call *call = *slot;
    struct store_done done = call->done;
    uint64_t matched = call->matched;

    *slot = NULL;
    (void)pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < call->rows_n; i++) {
        if (call->rows[i].entry != NULL && call->rows[i].entry->state == PURGE_PENDING)
            call->rows[i].entry->state = PURGE_WAITING;
        else if (call->rows[i].entry == NULL && call->rows[i].what.kind != STORE_PURGE_KEY)
            set->coming_n--; /* it failed before it was admitted */
    }
    status_add(set, call->id, matched,
               rc == OK ? call->rows_n - entries_of(call) + 1 : call->rows_n + 1);
    (void)pthread_mutex_unlock(&set->lock);
    mem_free(call);
    if (done.fn != NULL)
        done.fn(done.arg, rc, matched);
}

enum err
purge_resume(struct purge_set *set, const struct record_purge *what, uint32_t piece)
{
    struct purge_entry *entry = entry_new(what, PURGE_WAITING);

    if (entry == NULL)
        return ERR_NOMEM;
    entry->piece = piece;
    (void)pthread_mutex_lock(&set->lock);
    list_push(&set->entries, &entry->link);
    set->entries_n++;
    set->piece = piece > set->piece ? piece : set->piece;
    set->id = what->id > set->id ? what->id : set->id;
    status_open(set, what->id, what->began_s, 1);
    (void)pthread_mutex_unlock(&set->lock);
    return OK;
}

/* --- views --- */

static int
compare_labels(const void *a, const void *b)
{
    const struct purge_view_label *x = a, *y = b;

    return (x->label > y->label) - (x->label < y->label);
}

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void
view_merge_labels(struct purge_view *view)
{
    size_t n = 0;

    qsort(view->labels, view->labels_n, sizeof(view->labels[0]), compare_labels);
    for (size_t i = 0; i < view->labels_n; i++) {
        struct purge_view_label *row = &view->labels[i];

        if (n == 0 || view->labels[n - 1].label != row->label) {
            view->labels[n++] = *row;
            continue;
        }
        view->labels[n - 1].hard = larger(view->labels[n - 1].hard, row->hard);
        view->labels[n - 1].soft = larger(view->labels[n - 1].soft, row->soft);
    }
    view->labels_n = n;
}

static void
view_add(struct purge_view *view, const struct purge_entry *entry, char **text)
{
    uint64_t hard = entry->what.soft ? 0 : entry->what.seq;
    uint64_t soft = entry->what.soft ? entry->what.seq : 0;

    switch ((enum store_purge_kind)entry->what.kind) {
    case STORE_PURGE_ALL:
        view->all_hard = larger(view->all_hard, hard);
        view->all_soft = larger(view->all_soft, soft);
        return;
    case STORE_PURGE_LABEL:
        view->labels[view->labels_n++] = (struct purge_view_label){entry->what.label, hard, soft};
        return;
    case STORE_PURGE_PREFIX:
        memcpy(*text, entry->text, entry->what.text.len);
        view->prefixes[view->prefixes_n++] = (struct purge_view_prefix){
            entry->what.seq, entry->what.soft, slice_of(*text, entry->what.text.len)};
        *text += entry->what.text.len;
        return;
    case STORE_PURGE_KEY:
        return;
    }
}

static bool
is_at_work(const struct purge_entry *entry)
{
    return entry->state != PURGE_SWEPT;
}

enum err
purge_view_new(struct purge_set *set, struct purge_view **out)
{
    size_t text_len = 0, n = 0, len;
    struct purge_view *view;
    char *text;

    /* Only the writer changes entries and their states: it may read them without the lock. */
    LIST_FOREACH (&set->entries, link) {
        const struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        n += is_at_work(entry);
        text_len += is_at_work(entry) ? entry->what.text.len : 0;
    }
    *out = NULL;
    if (n == 0)
        return OK;
    len = sizeof(*view) + n * (sizeof(*view->labels) + sizeof(*view->prefixes)) + text_len;
    view = mem_zalloc(len);
    if (view == NULL)
        return ERR_NOMEM;
    view->labels = (struct purge_view_label *)(view + 1);
    view->prefixes = (struct purge_view_prefix *)(view->labels + n);
    text = (char *)(view->prefixes + n);
    LIST_FOREACH (&set->entries, link) {
        const struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (is_at_work(entry))
            view_add(view, entry, &text);
    }
    view_merge_labels(view);
    *out = view;
    return OK;
}

/* --- the sweep --- */

enum store_purged
purge_sweep_match(struct purge_set *set, uint64_t birth, bool is_soft, struct slice key,
                  const void *labels, size_t labels_n)
{
    struct purge_entry *hit = NULL;

    /* The writer alone changes the list: no lock. */
    LIST_FOREACH (&set->entries, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (entry->what.seq <= birth || entry->state == PURGE_SWEPT ||
            entry->state == PURGE_PENDING || (entry->what.soft && (is_soft || hit != NULL)) ||
            !entry_matches(entry, key, labels, labels_n))
            continue;
        hit = entry;
        if (!entry->what.soft)
            break;
    }
    if (hit == NULL)
        return STORE_NOT_PURGED;
    hit->matched_n++;
    return hit->what.soft ? STORE_PURGED_SOFT : STORE_PURGED_HARD;
}

void
purge_sweep_commit(struct purge_set *set, bool committed)
{
    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->entries, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (entry->matched_n > 0 && committed)
            status_add(set, entry->what.id, entry->matched_n, 0);
        entry->matched_n = 0;
    }
    (void)pthread_mutex_unlock(&set->lock);
}

bool
purge_sweep_begin(struct purge_set *set)
{
    bool any = false;

    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->entries, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (entry->state == PURGE_WAITING)
            entry->state = PURGE_SWEEPING;
        any |= entry->state == PURGE_SWEEPING;
    }
    (void)pthread_mutex_unlock(&set->lock);
    return any;
}

static void
end_sweep(struct purge_set *set, bool all)
{
    (void)pthread_mutex_lock(&set->lock);
    LIST_FOREACH (&set->entries, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (entry->state != PURGE_SWEEPING && (!all || entry->state != PURGE_WAITING))
            continue;
        entry->state = PURGE_SWEPT;
        status_add(set, entry->what.id, 0, 1);
    }
    (void)pthread_mutex_unlock(&set->lock);
}

void
purge_sweep_end(struct purge_set *set)
{
    end_sweep(set, false);
}

void
purge_all_swept(struct purge_set *set)
{
    end_sweep(set, true);
}

void
purge_prune(struct purge_set *set)
{
    uint64_t oldest;

    (void)pthread_mutex_lock(&set->lock);
    oldest = oldest_birth(set);
    LIST_FOREACH (&set->entries, link) {
        struct purge_entry *entry = CONTAINER_OF(link, struct purge_entry, link);

        if (entry->state == PURGE_SWEPT && entry->what.seq <= oldest)
            entry_free(set, entry);
    }
    if (oldest == UINT64_MAX && set->keys_n > 0) {
        memset(set->keys, 0, set->keys_cap * sizeof(*set->keys));
        set->keys_n = 0;
    }
    (void)pthread_mutex_unlock(&set->lock);
}

/* --- for callers of the store --- */

enum err
store_purge_status(struct store *store, uint64_t id, struct store_purge_status *out)
{
    struct purge_set *set = &store->purges;
    const struct purge_status_row *row;
    enum err rc = ERR_NOT_FOUND;

    ASSERT_TAG(store, STORE_TAG);
    (void)pthread_mutex_lock(&set->lock);
    row = id == 0 ? NULL : status_row(set, id);
    if (row != NULL) {
        *out = row->status;
        rc = OK;
    }
    (void)pthread_mutex_unlock(&set->lock);
    return rc;
}

enum store_purged
store_purged_since(struct store *store, uint64_t birth, const struct store_key *key,
                   const uint64_t *labels, size_t labels_n)
{
    ASSERT_TAG(store, STORE_TAG);
    return purge_match(&store->purges, birth, key->hash, key->text, labels, labels_n);
}
