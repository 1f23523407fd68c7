/* One fetch for each file. It is read into memory, up to the length that the pool has use for, and
 * handed over whole. How many there are at once is the pool's to say.
 *
 * Whatever ends a file goes through end_file; its memory goes when the loop's turn ends. */
#include "proxy/precompressed.h"

#include "base/stats.h"
#include "http/cachectl.h"
#include "http/url.h"
#include "net/wake.h"
#include "proxy/asked.h"
#include "proxy/core.h"
#include "proxy/fetch.h"
#include "proxy/forward.h"
#include "proxy/way.h"

enum { FILE_TAG = 0x7066696c, FIRST_CAP = 16384 };

struct precompressed {
    struct proxy *proxy;
    struct variant_asker asker;
    struct list files;
};

struct file {
    uint32_t tag;
    struct list link;
    struct loop_reap reap;
    struct precompressed *home;
    struct variant_ask ask;
    struct asked asked;
    struct fetch *fetch;
    struct arena arena;
    char *buf;
    size_t len, cap;
};

/* --- the end --- */

static void
on_reap(struct loop_reap *reap)
{
    struct file *file = CONTAINER_OF(reap, struct file, reap);

    arena_fini(&file->arena);
    mem_free(file);
}

static void
end_file(struct file *file, enum variant_file what)
{
    struct proxy *proxy = file->home->proxy;
    bool found = what == VARIANT_FILE_FOUND;

    ASSERT_TAG(file, FILE_TAG);
    file->tag = TAG_FREED;
    if (file->fetch != NULL)
        fetch_cancel(&file->fetch);
    list_remove(&file->link);
    if (!found)
        mem_free(file->buf);
    variants_answer(proxy->shared->variants, file->ask.job, what, found ? file->buf : NULL,
                    found ? file->len : 0);
    loop_reap(proxy->loop, &file->reap);
}

/* --- the answer --- */

/* RFC 9110 section 8.4.1: a server may say of such a file that it is coded, or send it as a file of
 * that type. */
static bool
has_coding(const struct http_fields *fields, enum http_coding coding)
{
    enum http_coding theirs;

    return coding_of_response(fields, &theirs) && (theirs == coding || theirs == CODING_IDENTITY);
}

bool
precompressed_suits(const struct http_response *response, enum http_coding coding)
{
    struct cachectl cc;

    if (response->status != 200 || !has_coding(&response->fields, coding))
        return false;
    cachectl_parse(&response->fields, &cc);
    return (cc.flags & (CC_NO_STORE | CC_PRIVATE)) == 0;
}

static void
on_head(void *arg, const struct http_response *response)
{
    struct file *file = arg;
    const char *why;
    enum err rc = asked_check(&file->asked, response, &why);

    ASSERT_TAG(file, FILE_TAG);
    if (rc != OK) {
        fetch_refuse(&file->fetch, rc, why);
        end_file(file, VARIANT_FILE_MISSING);
    } else if (!precompressed_suits(response, file->ask.coding)) {
        end_file(file, VARIANT_FILE_MISSING);
    } else if (response->framing == FRAMING_LENGTH &&
               response->content_length > file->ask.max_len) {
        STAT_INC(precompressed_mismatch);
        end_file(file, VARIANT_FILE_MISSING);
    } else {
        fetch_resume(file->fetch);
    }
}

/* One byte more than is of use: whoever sends that sends too much. */
static size_t
on_room(void *arg, char **out_room)
{
    struct file *file = arg;
    size_t cap = file->cap == 0 ? FIRST_CAP : file->cap * 2, most = file->ask.max_len + 1;
    char *buf;

    if (file->len == file->cap) {
        cap = cap < most ? cap : most;
        buf = mem_realloc(file->buf, cap);
        if (buf == NULL) { /* it is a help that can be done without */
            end_file(file, VARIANT_FILE_UNASKED);
            return 0;
        }
        file->buf = buf;
        file->cap = cap;
    }
    *out_room = file->buf + file->len;
    return file->cap - file->len;
}

static void
on_filled(void *arg, size_t n)
{
    struct file *file = arg;

    file->len += n;
    if (file->len > file->ask.max_len) {
        STAT_INC(precompressed_mismatch);
        end_file(file, VARIANT_FILE_MISSING);
    }
}

static void
on_end(void *arg)
{
    struct file *file = arg;

    file->fetch = NULL;
    end_file(file, file->len > 0 ? VARIANT_FILE_FOUND : VARIANT_FILE_MISSING);
}

/* What kept the question back here says nothing about the file. */
static enum variant_file
after_failure(enum err rc)
{
    bool ours = rc == ERR_NOMEM || rc == ERR_ORIGIN_BUSY || rc == ERR_EXCHANGE_MEMORY;

    return ours ? VARIANT_FILE_UNASKED : VARIANT_FILE_MISSING;
}

static void
on_fail(void *arg, enum err rc, const char *why)
{
    struct file *file = arg;

    (void)why; /* the fetch counted and logged it */
    file->fetch = NULL;
    end_file(file, after_failure(rc));
}

/* --- the question --- */

bool
precompressed_path(struct arena *arena, struct slice path, enum http_coding coding,
                   struct slice *out)
{
    static const char *const endings[CODING_COUNT] = {
        [CODING_GZIP] = ".gz", [CODING_BR] = ".br", [CODING_ZSTD] = ".zst"};

    return path.len > 0 && path.ptr[path.len - 1] != '/' && endings[coding] != NULL &&
           arena_printf(arena, out, "%.*s%s", SLICE_ARGS(path), endings[coding]) == OK;
}

/* The request as brink itself makes it. False: there is nothing to ask for. */
static bool
build_request(struct file *file, const struct url *url, struct http_request *out)
{
    *out = (struct http_request){.method = METHOD_GET,
                                 .method_text = SLICE("GET"),
                                 .host = url->authority,
                                 .query = url->query,
                                 .minor = 1,
                                 .framing = FRAMING_NONE,
                                 .keep_alive = true};
    return precompressed_path(&file->arena, url->path, file->ask.coding, &out->path) &&
           http_fields_init(&out->fields, &file->arena, 1) == OK &&
           http_fields_add(&out->fields, SLICE("Accept-Encoding"), SLICE("identity")) == OK;
}

static enum err
start_fetch(struct file *file, const struct url *url, const struct site_settings *site)
{
    static const struct fetch_events events = {.on_head = on_head,
                                               .on_room = on_room,
                                               .on_filled = on_filled,
                                               .on_end = on_end,
                                               .on_fail = on_fail};
    struct proxy *proxy = file->home->proxy;
    struct origin *origin = proxy->origins[site->origin];
    struct http_request request;
    struct forward_plan forward = {
        .request = &request,
        .scheme = url->scheme,
        .host = url->authority,
        .host_header = origin_settings(origin)->host_header,
        .node_name = proxy->settings->node_name,
        .loop_id = proxy->shared->loop_id,
        .for_store = true,
    };
    struct fetch_request what = {.method = METHOD_GET, .body_framing = FRAMING_NONE};
    enum err rc;

    if (!build_request(file, url, &request))
        return ERR_NOT_FOUND;
    rc = forward_head(&file->arena, &forward, &what.head);
    asked_for(&request, false, false, &file->asked);
    return rc == OK ? fetch_start(origin, &what, &events, file, &file->fetch) : rc;
}

/* The site of the key is that of the settings, or the key is none of a site's own. */
static const struct site_settings *
find_site(const struct proxy *proxy, const struct variant_ask *ask, struct url *out_url)
{
    const struct site_settings *site;

    if (url_parse(ask->key, out_url) != OK)
        return NULL;
    site = way_site(proxy->settings, out_url->authority);
    return site != NULL && &site->coding == ask->settings ? site : NULL;
}

static void
ask_for(struct precompressed *files, const struct variant_ask *ask)
{
    struct proxy *proxy = files->proxy;
    struct url url;
    const struct site_settings *site = find_site(proxy, ask, &url);
    struct file *file = NULL;
    enum err rc;

    if (site != NULL && !proxy->draining)
        file = mem_zalloc(sizeof(*file));
    if (file == NULL) {
        variants_answer(proxy->shared->variants, ask->job, VARIANT_FILE_UNASKED, NULL, 0);
        return;
    }
    file->tag = FILE_TAG;
    file->home = files;
    file->reap.fn = on_reap;
    file->ask = *ask;
    arena_init(&file->arena, 0);
    list_init(&file->link);
    rc = start_fetch(file, &url, site);
    if (rc == OK)
        list_push(&files->files, &file->link);
    else
        end_file(file, after_failure(rc));
}

static void
on_asks(void *arg)
{
    struct precompressed *files = arg;
    struct variant_ask ask;

    while (variants_take_ask(files->proxy->shared->variants, &files->asker, &ask))
        ask_for(files, &ask);
    proxy_read_end(files->proxy);
}

/* --- life --- */

enum err
precompressed_new(struct proxy *proxy, struct precompressed **out)
{
    struct precompressed *files = mem_zalloc(sizeof(*files));

    if (files == NULL)
        return ERR_NOMEM;
    files->proxy = proxy;
    list_init(&files->files);
    files->asker.wake = wake_new(proxy->loop, on_asks, files);
    if (files->asker.wake == NULL) {
        mem_free(files);
        return ERR_NOMEM;
    }
    variants_add_asker(proxy->shared->variants, &files->asker);
    *out = files;
    return OK;
}

void
precompressed_abort(struct precompressed *files)
{
    if (files == NULL)
        return;
    LIST_FOREACH (&files->files, link) {
        end_file(CONTAINER_OF(link, struct file, link), VARIANT_FILE_UNASKED);
    }
}

void
precompressed_free(struct precompressed **slot)
{
    struct precompressed *files = *slot;

    *slot = NULL;
    if (files == NULL)
        return;
    precompressed_abort(files);
    variants_remove_asker(files->proxy->shared->variants, &files->asker);
    wake_free(&files->asker.wake);
    mem_free(files);
}
