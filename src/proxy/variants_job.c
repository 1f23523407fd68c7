/* One strong form: find the object, read its body, decode what the origin coded, encode it, give it
 * to the store.
 *
 * The put begins first: its birth is what purges are compared with, so one that comes while the
 * work goes on keeps the result out. Read sections are short, a copy of some pieces each: none is
 * open while anything is encoded. Between them the object is pinned.
 *
 * Memory: the body as it is stored, what it is decoded to (when the origin coded it), and the
 * result; each at most compress_max, taken when needed, given back at the end. */
#include "proxy/variants_impl.h"

#include "base/stats.h"

enum {
    SECTION_LEN = 1 << 20,
    SECTION_PIECES = 24,
    PAYS_PERCENT = 95 /* a form that is larger than this part of the body is not worth keeping */
};

struct form {
    const struct variant_thread *thread;
    struct variant_job *job;
    struct store_put *put;
    struct store_pin pin;
    char *meta; /* of the object; `object` borrows it */
    struct cache_object object;
    char *body, *plain, *out;
    struct slice text; /* the body without any coding: in one of the first two */
    size_t out_len;
};

/* --- the object --- */

/* Is this what can be coded? What a 304 said since may have changed that. */
static enum err
judge(const struct variant_job *job, const struct store_object *head, struct cache_object *out)
{
    enum err rc = cache_object_decode(head->meta, head->head.len, out);

    if (rc != OK)
        return rc;
    if ((out->flags & CACHE_CODABLE) == 0 || out->coding == job->coding)
        return ERR_NOT_FOUND;
    return head->body_len > job->settings->strong_max_len ? ERR_LIMIT : OK;
}

/* Within a read section. ERR_NOT_FOUND: it has gone, or the form is there already. */
static enum err
find_head(const struct variant_thread *thread, const struct variant_job *job,
          struct store_object *out)
{
    struct store_cursor cursor = {.key = &job->key};
    struct store_object member;
    bool cold;

    while (store_find(thread->reader, &cursor, out))
        if (out->variant == job->variant && out->family == job->family)
            return store_find_member(thread->reader, out, (uint8_t)job->coding, &member, &cold)
                       ? ERR_NOT_FOUND
                       : OK;
    return ERR_NOT_FOUND;
}

static enum err
keep(struct form *form, const struct store_object *head)
{
    enum err rc = judge(form->job, head, &form->object);

    if (rc != OK)
        return rc;
    form->meta = mem_alloc(head->meta.len);
    if (form->meta == NULL)
        return ERR_NOMEM;
    memcpy(form->meta, head->meta.ptr, head->meta.len);
    if (!store_pin(form->thread->reader, head, &form->pin))
        return ERR_NOT_FOUND;
    return cache_object_decode(slice_of(form->meta, head->meta.len), head->head.len, &form->object);
}

static enum err
find(struct form *form)
{
    struct store_object head;
    enum err rc;

    store_read_begin(form->thread->reader);
    rc = find_head(form->thread, form->job, &head);
    if (rc == OK)
        rc = keep(form, &head);
    store_read_end(form->thread->reader);
    return rc;
}

static size_t
pays_len(size_t len)
{
    return (size_t)((uint64_t)len * PAYS_PERCENT / 100);
}

/* 0: there can be none. An answer to several URLs (No-Vary-Search) has a key that is none of them.
 */
static size_t
longest_file(const struct variant_job *job, const struct store_object *head,
             const struct cache_object *object)
{
    if (object->status != 200 || object->search != 0)
        return 0;
    return object->coding == CODING_IDENTITY ? pays_len((size_t)head->body_len)
                                             : (size_t)job->settings->strong_max_len;
}

enum err
variant_job_look(const struct variant_thread *thread, struct variant_job *job)
{
    struct cache_object object;
    struct store_object head;
    enum err rc;

    ASSERT_TAG(job, VARIANT_JOB_TAG);
    store_read_begin(thread->reader);
    rc = find_head(thread, job, &head);
    if (rc == OK)
        rc = judge(job, &head, &object);
    if (rc == OK)
        job->file_max_len = longest_file(job, &head, &object);
    store_read_end(thread->reader);
    return rc;
}

/* --- its body --- */

static bool
is_stopping(const struct form *form)
{
    return atomic_load_explicit(form->thread->stopping, memory_order_relaxed);
}

/* The bytes from `off` on, as many as one section is for. */
static enum err
read_section(struct form *form, const struct store_source *source, size_t off, size_t *out_n)
{
    struct store_reader *reader = form->thread->reader;
    struct iovec iov[SECTION_PIECES];
    size_t n = 0;
    enum err rc;

    *out_n = 0;
    store_read_begin(reader);
    rc = store_body(reader, source, off, SECTION_LEN, iov, SECTION_PIECES, &n);
    for (size_t i = 0; rc == OK && i < n; i++) {
        ASSERT(off + *out_n + iov[i].iov_len <= source->body_len);
        memcpy(form->body + off + *out_n, iov[i].iov_base, iov[i].iov_len);
        *out_n += iov[i].iov_len;
    }
    store_read_end(reader);
    return rc == OK && *out_n == 0 ? ERR_STORE_CORRUPT : rc;
}

static enum err
read_body(struct form *form)
{
    const struct store_source source = {form->pin.oid, form->pin.body_len, form->pin.slot};
    size_t n, len = (size_t)source.body_len;
    enum err rc = OK;

    form->body = mem_alloc(len + 1);
    if (form->body == NULL)
        return ERR_NOMEM;
    for (size_t off = 0; off < len && rc == OK; off += n)
        rc = is_stopping(form) ? ERR_CANCELLED : read_section(form, &source, off, &n);
    form->text = slice_of(form->body, len);
    store_unpin(&form->pin);
    form->pin.store = NULL;
    return rc;
}

/* What the origin coded. ERR_LIMIT: it comes to more than strong forms are made of. */
static enum err
decode(struct form *form)
{
    size_t cap = (size_t)form->job->settings->strong_max_len, len = 0;
    enum err rc;

    if (form->object.coding == CODING_IDENTITY)
        return OK;
    form->plain = mem_alloc(cap + 1);
    if (form->plain == NULL)
        return ERR_NOMEM;
    rc = coder_unpack(form->object.coding, form->text, form->thread->bound, form->thread->stopping,
                      form->plain, cap, &len);
    form->text = slice_of(form->plain, len);
    mem_free(form->body);
    form->body = NULL;
    return rc;
}

/* --- its strong form --- */

/* Is the file that lies at the origin this body, and smaller? RFC 9110 section 8.4: what a coding
 * is decoded to is what it stands for, whoever coded it. */
static enum err
try_file(struct form *form, bool *out_is_right)
{
    struct variant_job *job = form->job;
    struct coder_bound any = {0};
    size_t len = 0;
    enum err rc;

    *out_is_right = false;
    if (job->file == NULL)
        return OK;
    if (job->file_len <= pays_len(form->text.len)) {
        rc = coder_unpack(job->coding, slice_of(job->file, job->file_len), &any,
                          form->thread->stopping, form->out, form->text.len, &len);
        if (rc == ERR_CANCELLED || rc == ERR_NOMEM)
            return rc;
        *out_is_right = rc == OK && slice_equal(slice_of(form->out, len), form->text);
    }
    if (*out_is_right) {
        memcpy(form->out, job->file, job->file_len);
        form->out_len = job->file_len;
        job->from_file = true;
    } else {
        STAT_INC(precompressed_mismatch);
    }
    mem_free(job->file);
    job->file = NULL;
    return OK;
}

static enum err
encode(struct form *form)
{
    struct variant_job *job = form->job;
    struct coder_pack pack = {.coding = job->coding,
                              .level = job->settings->strong[job->coding],
                              .in = form->text,
                              .out_cap = pays_len(form->text.len),
                              .stop = form->thread->stopping};
    bool from_file;
    enum err rc;

    form->out = mem_alloc(form->text.len + 1); /* a file is decoded into it, too */
    if (form->out == NULL)
        return ERR_NOMEM;
    rc = try_file(form, &from_file);
    if (rc != OK || from_file)
        return rc;
    pack.out = form->out;
    rc = coder_pack(&pack, &form->out_len);
    if (rc == ERR_LIMIT) {
        job->no_gain = true;
        form->out_len = 0;
        return OK;
    }
    return rc;
}

/* --- into the store --- */

static enum err
put_pieces(struct form *form, struct block **out_rest)
{
    size_t off = 0;
    enum err rc = OK;

    *out_rest = NULL;
    while (off < form->out_len && rc == OK) {
        size_t n = form->out_len - off < BLOCK_FULL_LEN ? form->out_len - off : BLOCK_FULL_LEN;
        struct block *block = block_new(n);

        if (block == NULL)
            return ERR_NOMEM;
        memcpy(block->data, form->out + off, n);
        block->len = (uint32_t)n;
        off += n;
        if (n < BLOCK_FULL_LEN) {
            *out_rest = block;
            return OK;
        }
        rc = store_put_block(form->put, block, (struct store_done){0});
        block_unref(&block);
    }
    return rc;
}

/* The own lines of the new representation; none of one that is not worth keeping. */
static struct slice
own_lines(const struct form *form, char lines[VARIANT_LINES_MAX])
{
    char hash[VARIANT_HASH_LEN];
    size_t len;

    if (form->job->no_gain)
        return SLICE_NONE;
    variant_hash_text(store_hash(slice_of(form->out, form->out_len)).lo, hash);
    len = variant_lines(&form->object, form->job->coding, slice_of(hash, sizeof(hash)), lines);
    return slice_of(lines, len);
}

/* From here on the job is the store's. */
static enum err
put(struct form *form)
{
    char lines[VARIANT_LINES_MAX];
    struct store_record record = {.variant = form->job->variant,
                                  .family = form->job->family,
                                  .member = (uint8_t)form->job->coding,
                                  .head = own_lines(form, lines)};
    struct store_done done = {variant_job_stored, form->job};
    struct block *rest;
    enum err rc = put_pieces(form, &rest);

    if (rc == OK)
        rc = store_put_end(form->put, &record, rest, done);
    block_unref(&rest);
    return rc;
}

static void
release(struct form *form)
{
    if (form->pin.store != NULL)
        store_unpin(&form->pin);
    store_put_release(&form->put);
    mem_free(form->meta);
    mem_free(form->body);
    mem_free(form->plain);
    mem_free(form->out);
}

enum err
variant_job_make(const struct variant_thread *thread, struct variant_job *job)
{
    static enum err (*const steps[])(struct form * form) = {find, read_body, decode, encode, put};
    struct form form = {.thread = thread, .job = job};
    enum err rc;

    ASSERT_TAG(job, VARIANT_JOB_TAG);
    rc = store_put_begin(thread->store, &job->key, &form.put);
    for (size_t i = 0; i < ARRAY_LEN(steps) && rc == OK; i++)
        rc = steps[i](&form);
    release(&form);
    return rc;
}
