/* The directive table, and one parser for each kind of value. A value that does not fit is answered
 * with what would: the kind's form and the directive's range come from the table. */
#include "daemon/config_tables.h"

#define BASE_global struct config
#define BASE_store struct config
#define BASE_origin struct config_origin
#define BASE_server struct origin_server_settings
#define BASE_site struct config_site
#define BASE_admin struct config
#define BASE_log struct config

static const struct config_directive directives[] = {
#define DIRECTIVE(section, name, kind, field, normal, least, most, help)                           \
    {SECTION_##section,                                                                            \
     #name,                                                                                        \
     KIND_##kind,                                                                                  \
     offsetof(BASE_##section, field),                                                              \
     sizeof(((BASE_##section *)NULL)->field),                                                      \
     normal,                                                                                       \
     least,                                                                                        \
     most,                                                                                         \
     help},
#include "daemon/config.def"
#undef DIRECTIVE
};

static const struct {
    const char *name;   /* for people */
    const char *wanted; /* what to write */
    size_t field_len;   /* 0: 4 or 8 */
    bool is_list;
} kinds[] = {
    [KIND_bytes] = {"size", "write a number with a unit, such as 64MB or 8KB", 8, false},
    [KIND_duration] = {"duration", "write a number with a unit, such as 250ms, 3s or 5m", 4, false},
    [KIND_seconds] = {"duration", "write a number with a unit, such as 30s, 1h or 1d", 4, false},
    [KIND_count] = {"number", "write a whole number", 4, false},
    [KIND_percent] = {"percentage", "write a whole number with a sign, such as 20%", 4, false},
    [KIND_flag] = {"yes/no", "write yes or no", sizeof(bool), false},
    [KIND_choice] = {"choice", "", 4, false},
    [KIND_text] = {"text", "write a text without control characters", sizeof(char *), false},
    [KIND_hosts] = {"list of hosts", "write names such as {\"www.example.com\", \"example.com\"}",
                    sizeof(struct config_texts), true},
    [KIND_names] = {"list of names", "write each once, such as {\"websocket\"} or {\"X-Device\"}",
                    sizeof(struct config_texts), true},
    [KIND_words] = {"list of words", "write each once, such as {\"fbclid\", \"utm_*\"}",
                    sizeof(struct config_texts), true},
    [KIND_types] = {"list of media types",
                    "write each once, such as {\"text/*\", \"application/json\"}",
                    sizeof(struct config_texts), true},
    [KIND_choices] = {"list of choices", "", sizeof(struct config_texts), true},
    [KIND_networks] = {"list of networks",
                       "write addresses such as {\"127.0.0.1\", \"10.0.0.0/8\"}",
                       sizeof(struct config_networks), true},
    [KIND_ttls] = {"list of lifetimes",
                   "write a status or a class with a time, such as {\"404=1m\", "
                   "\"5xx=5s\"}",
                   sizeof(struct config_ttls), true},
};

size_t
config_directives_n(void)
{
    return ARRAY_LEN(directives);
}

const struct config_directive *
config_directive(size_t i)
{
    ASSERT(i < ARRAY_LEN(directives));
    return &directives[i];
}

const struct config_directive *
config_directive_find(enum config_section section, struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(directives); i++)
        if (directives[i].section == section && slice_is(name, directives[i].name))
            return &directives[i];
    return NULL;
}

const char *
config_section_name(enum config_section section)
{
    static const char *const names[] = {"", "store", "origin", "server", "site", "admin", "log"};

    static_assert(ARRAY_LEN(names) == SECTION_COUNT, "one name a section");
    return names[section];
}

bool
config_kind_is_list(enum config_kind kind)
{
    return kinds[kind].is_list;
}

const char *
config_kind_name(enum config_kind kind)
{
    return kinds[kind].name;
}

const char *
config_kind_wanted(enum config_kind kind)
{
    return kinds[kind].wanted;
}

/* --- numbers --- */

static enum err
parse_number(enum config_kind kind, struct slice text, uint64_t *out)
{
    enum err rc;

    switch (kind) {
    case KIND_bytes:
        return slice_to_bytes(text, out);
    case KIND_duration:
        return slice_to_duration_ms(text, out);
    case KIND_seconds:
        rc = slice_to_duration_ms(text, out);
        if (rc == OK && *out % 1000 != 0)
            return ERR_SYNTAX;
        if (rc == OK)
            *out /= 1000;
        return rc;
    case KIND_percent:
        if (text.len == 0 || text.ptr[text.len - 1] != '%')
            return ERR_SYNTAX;
        return slice_to_u64(slice_first(text, text.len - 1), out) ? OK : ERR_SYNTAX;
    default:
        return slice_to_u64(text, out) ? OK : ERR_SYNTAX;
    }
}

static uint64_t
limit(const struct config_directive *directive, const char *text)
{
    uint64_t n = 0;

    ASSERT(parse_number(directive->kind, slice_from_str(text), &n) == OK);
    return n;
}

static void
store_number(const struct config_directive *directive, void *field, uint64_t n)
{
    uint32_t narrow = (uint32_t)n;

    ASSERT(directive->field_len == kinds[directive->kind].field_len);
    if (directive->field_len == sizeof(narrow)) {
        ASSERT(n == narrow);
        memcpy(field, &narrow, sizeof(narrow));
    } else {
        memcpy(field, &n, sizeof(n));
    }
}

static enum err
set_number(const struct config_directive *directive, void *field, struct slice value, char *why,
           size_t why_cap)
{
    uint64_t n = 0;
    enum err rc = parse_number(directive->kind, value, &n);

    if (rc == ERR_SYNTAX) {
        (void)snprintf(why, why_cap, "%s = %.*s is not a %s; %s", directive->name,
                       SLICE_ARGS(value), kinds[directive->kind].name,
                       kinds[directive->kind].wanted);
        return ERR_SYNTAX;
    }
    if (rc != OK || n < limit(directive, directive->least) ||
        n > limit(directive, directive->most)) {
        (void)snprintf(why, why_cap, "%s = %.*s is out of range; give %s to %s", directive->name,
                       SLICE_ARGS(value), directive->least, directive->most);
        return ERR_SYNTAX;
    }
    store_number(directive, field, n);
    return OK;
}

/* --- words --- */

static enum err
set_flag(const struct config_directive *directive, void *field, struct slice value, char *why,
         size_t why_cap)
{
    static const char *const yes[] = {"yes", "on", "true"}, *const no[] = {"no", "off", "false"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (slice_is_nocase(value, yes[i]) || slice_is_nocase(value, no[i])) {
            *(bool *)field = slice_is_nocase(value, yes[i]);
            return OK;
        }
    }
    (void)snprintf(why, why_cap, "%s = %.*s is neither yes nor no; write yes or no",
                   directive->name, SLICE_ARGS(value));
    return ERR_SYNTAX;
}

static enum err
set_choice(const struct config_directive *directive, void *field, struct slice value, char *why,
           size_t why_cap)
{
    struct slice rest = slice_from_str(directive->most), word;
    unsigned at = 0;
    bool more;

    do {
        more = slice_cut(&rest, ' ', &word);
        if (slice_equal(word, value)) {
            *(unsigned *)field = at;
            return OK;
        }
        at++;
    } while (more);
    (void)snprintf(why, why_cap, "%s = %.*s is unknown; choose one of: %s", directive->name,
                   SLICE_ARGS(value), directive->most);
    return ERR_SYNTAX;
}

static enum err
set_text(struct arena *arena, const struct config_directive *directive, void *field,
         struct slice value, char *why, size_t why_cap)
{
    struct slice copy;
    enum err rc;

    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7f) {
            (void)snprintf(why, why_cap, "%s holds a control character; %s", directive->name,
                           kinds[KIND_text].wanted);
            return ERR_SYNTAX;
        }
    }
    if (value.len == 0) {
        *(const char **)field = NULL;
        return OK;
    }
    rc = arena_printf(arena, &copy, "%.*s", SLICE_ARGS(value));
    if (rc == OK)
        *(const char **)field = copy.ptr;
    return rc;
}

enum err
config_set(struct arena *arena, const struct config_directive *directive, void *base,
           const struct slice *values, size_t values_n, char *why, size_t why_cap)
{
    void *field = (char *)base + directive->field_at;

    ASSERT(directive->field_len == kinds[directive->kind].field_len);
    ASSERT(config_kind_is_list(directive->kind) || values_n == 1);
    switch (directive->kind) {
    case KIND_bytes:
    case KIND_duration:
    case KIND_seconds:
    case KIND_count:
    case KIND_percent:
        return set_number(directive, field, values[0], why, why_cap);
    case KIND_flag:
        return set_flag(directive, field, values[0], why, why_cap);
    case KIND_choice:
        return set_choice(directive, field, values[0], why, why_cap);
    case KIND_text:
        return set_text(arena, directive, field, values[0], why, why_cap);
    case KIND_hosts:
    case KIND_names:
    case KIND_words:
    case KIND_types:
    case KIND_choices:
    case KIND_networks:
    case KIND_ttls:
        return config_set_list(arena, directive, field, values, values_n, why, why_cap);
    }
    UNREACHABLE();
}

enum err
config_set_defaults(struct arena *arena, enum config_section section, void *base)
{
    enum { DEFAULT_ITEMS_MAX = 32 };
    char why[256];

    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        struct slice values[DEFAULT_ITEMS_MAX], rest = slice_from_str(directives[i].normal);
        size_t n = 0;
        enum err rc;

        if (directives[i].section != section)
            continue;
        if (config_kind_is_list(directives[i].kind)) {
            while (rest.len > 0 && n < DEFAULT_ITEMS_MAX)
                (void)slice_cut(&rest, ' ', &values[n++]);
            ASSERT(rest.len == 0);
        } else {
            values[n++] = rest;
        }
        rc = config_set(arena, &directives[i], base, values, n, why, sizeof(why));
        ASSERT(rc != ERR_SYNTAX); /* a default of our own table */
        if (rc != OK)
            return rc;
    }
    return OK;
}

/* --- help --- */

static void
print_directive(const struct config_directive *directive, FILE *out)
{
    bool ranged = directive->kind == KIND_bytes || directive->kind == KIND_duration ||
                  directive->kind == KIND_seconds || directive->kind == KIND_count ||
                  directive->kind == KIND_percent;

    fprintf(out, "%s%s%s\n", config_section_name(directive->section),
            directive->section == SECTION_global ? "" : ".", directive->name);
    fprintf(out, "    %s; default %s", kinds[directive->kind].name,
            directive->normal[0] == '\0' ? "none" : directive->normal);
    if (ranged)
        fprintf(out, "; %s to %s", directive->least, directive->most);
    if (directive->kind == KIND_choice)
        fprintf(out, "; one of: %s", directive->most);
    if (directive->kind == KIND_choices)
        fprintf(out, "; some of: %s", directive->most);
    fprintf(out, "\n    %s\n", directive->help);
}

void
config_print_directives(FILE *out)
{
    for (size_t i = 0; i < ARRAY_LEN(directives); i++)
        print_directive(&directives[i], out);
}

/* --- what was meant --- */

enum { NAME_MAX_LEN = 48 };

unsigned
config_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned row[NAME_MAX_LEN + 1];

    if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[b_len];
}

const char *
config_nearest(const char *wrong, const char *const *names)
{
    unsigned nearest = (unsigned)strlen(wrong) / 3 + 2; /* farther is not what was meant */
    const char *found = NULL;

    for (; *names != NULL; names++) {
        unsigned distance = config_distance(wrong, *names);

        if (distance < nearest) {
            nearest = distance;
            found = *names;
        }
    }
    return found;
}
