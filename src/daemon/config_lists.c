/* Values that are lists: one loop, and a parser for each kind of item. */
#include "daemon/config_tables.h"
#include "http/chars.h"
#include "http/url.h"

/* A list while it is read. */
struct reading {
    struct arena *arena;
    const struct config_directive *directive;
    const void *items;
    size_t n;
    enum err rc; /* ERR_NOMEM sticks */
};

/* Every list's struct begins so. */
struct items {
    const void *items;
    size_t n;
};
static_assert(sizeof(struct items) == sizeof(struct config_texts) &&
                  sizeof(struct items) == sizeof(struct config_networks) &&
                  sizeof(struct items) == sizeof(struct config_ttls),
              "they are alike");

static const char *
copy_text(struct reading *list, struct slice text)
{
    struct slice copy = SLICE_NONE;

    list->rc = arena_printf(list->arena, &copy, "%.*s", SLICE_ARGS(text));
    return copy.ptr;
}

static bool
has_text(const struct reading *list, const char *text)
{
    const char *const *texts = list->items;

    for (size_t i = 0; i < list->n; i++)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

/* --- items: each gives what is wrong with the text, or NULL with *out filled --- */

static const char *
parse_host(struct reading *list, struct slice text, void *out)
{
    struct slice host, normal;
    uint16_t port;
    enum err rc = url_parse_authority(text, &host, &port);

    if (rc == OK)
        rc = url_normal_host(list->arena, SLICE("http"), text, &normal);
    if (rc == ERR_SYNTAX)
        return "not a host name";
    list->rc = rc;
    if (rc == OK)
        *(const char **)out = copy_text(list, normal);
    return NULL;
}

static bool
has_word(const char *words, const char *wanted)
{
    struct slice rest = slice_from_str(words), word;
    bool more;

    do {
        more = slice_cut(&rest, ' ', &word);
        if (slice_is(word, wanted))
            return true;
    } while (more);
    return false;
}

static const char *
copy_lower(struct reading *list, struct slice text)
{
    char *copy = arena_zalloc(list->arena, text.len + 1);

    if (copy == NULL) {
        list->rc = ERR_NOMEM;
        return NULL;
    }
    for (size_t i = 0; i < text.len; i++)
        copy[i] = char_lower(text.ptr[i]);
    return copy;
}

/* Names of fields and protocols: tokens (RFC 9110 section 5.6.2), which compare without case. */
static const char *
parse_name(struct reading *list, struct slice text, void *out)
{
    const char *name = *(const char **)out = copy_lower(list, text);

    if (name == NULL)
        return NULL;
    if (!chars_all(text, CH_TOKEN))
        return "not a name";
    if (has_text(list, name))
        return "there twice";
    return has_word(list->directive->most, name) ? "refused: requests in it would pass unseen"
                                                 : NULL;
}

/* Words whose case counts: visible ASCII. */
static const char *
parse_word(struct reading *list, struct slice text, void *out)
{
    const char *word;

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f)
            return "not a word";
    word = *(const char **)out = copy_text(list, text);
    return list->rc == OK && has_text(list, word) ? "there twice" : NULL;
}

/* A half of a media type: a token, in which one "*" may stand for anything. */
static bool
is_type_part(struct slice part)
{
    const char *star;

    if (part.len == 0 || !chars_all(part, CH_TOKEN))
        return false;
    star = memchr(part.ptr, '*', part.len);
    return star == NULL || memchr(star + 1, '*', part.len - (size_t)(star + 1 - part.ptr)) == NULL;
}

/* Media types (RFC 9110 section 8.3.1) without parameters; they compare without case. */
static const char *
parse_type(struct reading *list, struct slice text, void *out)
{
    const char *type = *(const char **)out = copy_lower(list, text);
    struct slice rest = text, part;

    if (type == NULL)
        return NULL;
    if (!slice_cut(&rest, '/', &part) || !is_type_part(part) || !is_type_part(rest))
        return "not a media type";
    return has_text(list, type) ? "there twice" : NULL;
}

static const char *
parse_choice(struct reading *list, struct slice text, void *out)
{
    const char *choice = *(const char **)out = copy_lower(list, text);

    if (choice == NULL)
        return NULL;
    if (!has_word(list->directive->most, choice))
        return "unknown";
    return has_text(list, choice) ? "there twice" : NULL;
}

static const char *
parse_network(struct reading *list, struct slice text, void *out)
{
    return sock_net_parse(text, out) == OK ? NULL : "not an address or network";
}

/* "404" or "4xx", of statuses that can be stored at all. */
static bool
parse_status(struct slice text, uint16_t *out)
{
    bool class = text.len == 3 && slice_is_nocase(slice_skip(text, 1), "xx");
    uint64_t n;

    if (text.len != 3 || !slice_to_u64(class ? slice_first(text, 1) : text, &n) ||
        n < (class ? 2 : 200))
        return false;
    *out = (uint16_t)n;
    return true;
}

static const char *
parse_ttl(struct reading *list, struct slice text, void *out)
{
    const struct cache_status_ttl *before = list->items;
    struct cache_status_ttl *ttl = out;
    struct slice status;
    uint64_t ms;

    if (!slice_cut(&text, '=', &status) || !parse_status(slice_trim(status), &ttl->status) ||
        slice_to_duration_ms(slice_trim(text), &ms) != OK || ms % 1000 != 0 ||
        ms / 1000 > UINT32_C(1) << 31)
        return "not a lifetime";
    ttl->ttl_s = (uint32_t)(ms / 1000);
    for (size_t i = 0; i < list->n; i++)
        if (before[i].status == ttl->status)
            return "there twice";
    return NULL;
}

/* --- the loop --- */

static void
say_fault(const struct config_directive *directive, struct slice value, const char *fault,
          char *why, size_t why_cap)
{
    bool chosen = directive->kind == KIND_choices;

    (void)snprintf(why, why_cap, "%s: \"%.*s\" is %s; %s%s%s", directive->name, SLICE_ARGS(value),
                   fault, chosen ? "choose each once of: " : config_kind_wanted(directive->kind),
                   chosen ? directive->most : "", chosen ? "; \"\" is none" : "");
}

static const struct item_kind {
    size_t len;
    const char *(*parse)(struct reading *list, struct slice text, void *out);
} item_kinds[] = {
    [KIND_hosts] = {sizeof(const char *), parse_host},
    [KIND_names] = {sizeof(const char *), parse_name},
    [KIND_words] = {sizeof(const char *), parse_word},
    [KIND_types] = {sizeof(const char *), parse_type},
    [KIND_choices] = {sizeof(const char *), parse_choice},
    [KIND_networks] = {sizeof(struct sock_net), parse_network},
    [KIND_ttls] = {sizeof(struct cache_status_ttl), parse_ttl},
};

enum err
config_set_list(struct arena *arena, const struct config_directive *directive, void *field,
                const struct slice *values, size_t values_n, char *why, size_t why_cap)
{
    const struct item_kind *kind = &item_kinds[directive->kind];
    char *items = arena_zalloc(arena, (values_n + 1) * kind->len);
    struct reading list = {.arena = arena, .directive = directive, .items = items};

    if (items == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < values_n && list.rc == OK; i++) {
        const char *fault;

        if (values[i].len == 0)
            continue;
        fault = kind->parse(&list, values[i], items + list.n * kind->len);
        if (fault != NULL) {
            say_fault(directive, values[i], fault, why, why_cap);
            return ERR_SYNTAX;
        }
        list.n++;
    }
    if (list.rc == OK)
        memcpy(field, &(struct items){items, list.n}, sizeof(struct items));
    return list.rc;
}
