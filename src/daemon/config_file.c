/* A configuration file, read with libconfuse. Every value is a text to libconfuse; what it must be
 * is the directive table's to say. The callbacks only note on which line a word stands: libconfuse
 * keeps no lines, and so a faulty value does not stop the search for others. */
#include <confuse.h>

#include "daemon/config_load.h"
#include "daemon/config_text.h"

enum { OPTIONS_MAX = 64 };

/* Where a directive, or a section as such (name NULL), stands. */
struct seen {
    const cfg_t *section;
    const char *name;
    unsigned line;
};

struct reading {
    struct config_load *load;
    cfg_t *root;
    struct seen *seen;
    size_t seen_n, seen_cap;
    cfg_opt_t options[SECTION_COUNT][OPTIONS_MAX];
};

static _Thread_local struct reading *reading; /* libconfuse's callbacks carry nothing of ours */

/* --- lines --- */

static unsigned
line_of(const cfg_t *section, const char *name)
{
    for (size_t i = 0; i < reading->seen_n; i++) {
        const struct seen *seen = &reading->seen[i];

        if (seen->section == section &&
            (name == NULL ? seen->name == NULL
                          : seen->name != NULL && strcmp(seen->name, name) == 0))
            return seen->line;
    }
    return 0;
}

static void
note(const cfg_t *section, const char *name, unsigned line)
{
    struct seen *more;

    if (reading->seen_n == reading->seen_cap) {
        reading->seen_cap = reading->seen_cap * 2 + 64;
        more = mem_realloc(reading->seen, reading->seen_cap * sizeof(*more));
        if (more == NULL) {
            reading->load->rc = ERR_NOMEM;
            reading->seen_cap = reading->seen_n;
            return;
        }
        reading->seen = more;
    }
    reading->seen[reading->seen_n++] = (struct seen){section, name, line};
}

/* While a section of the top level is read, the root's line stays where that section began. */
static void
note_section(const cfg_t *section, const char *kind)
{
    bool top = strcmp(kind, config_section_name(SECTION_server)) != 0;

    if (section != reading->root && line_of(section, NULL) == 0)
        note(section, NULL, (unsigned)(top ? reading->root->line : section->line));
}

static int
on_value(cfg_t *section, cfg_opt_t *option)
{
    unsigned line = (unsigned)section->line, before = line_of(section, option->name);

    note_section(section, section->name);
    if (before == 0)
        note(section, option->name, line);
    else if ((option->flags & CFGF_LIST) == 0)
        config_load_fault(reading->load, line, "%s is given twice, first on line %u; keep one",
                          option->name, before);
    return 0;
}

static int
on_section(cfg_t *parent, cfg_opt_t *option)
{
    const cfg_t *section = cfg_opt_getnsec(option, cfg_opt_size(option) - 1);

    if (line_of(section, NULL) == 0)
        note(section, NULL, (unsigned)parent->line);
    note_section(parent, parent->name);
    if ((option->flags & CFGF_MULTI) == 0)
        return on_value(parent, option);
    return 0;
}

/* --- what libconfuse finds wrong --- */

static const char *
nearest_option(const cfg_t *section, const char *wrong)
{
    const char *names[OPTIONS_MAX + 1];
    size_t n = 0;

    for (; section->opts[n].name != NULL && n < OPTIONS_MAX; n++)
        names[n] = section->opts[n].name;
    names[n] = NULL;
    return config_nearest(wrong, names);
}

static void
unknown_directive(cfg_t *section, const char *name)
{
    const char *nearest = nearest_option(section, name);
    unsigned line = (unsigned)section->line;

    if (nearest != NULL) {
        config_load_fault(reading->load, line, "unknown directive \"%s\"; did you mean \"%s\"?",
                          name, nearest);
        return;
    }
    for (unsigned i = 0; i < SECTION_COUNT; i++) {
        if (config_directive_find((enum config_section)i, slice_from_str(name)) == NULL)
            continue;
        config_load_fault(reading->load, line, "\"%s\" does not belong here; put it %s%s", name,
                          i == SECTION_global ? "outside of all sections" : "into a section of ",
                          config_section_name((enum config_section)i));
        return;
    }
    config_load_fault(reading->load, line,
                      "unknown directive \"%s\"; brink --help-directives lists them all", name);
}

static void on_syntax(cfg_t *section, const char *format, va_list args) PRINTF_LIKE(2, 0);

static void
on_syntax(cfg_t *section, const char *format, va_list args)
{
    static const struct {
        const char *theirs, *ours;
    } sayings[] = {
        {"missing equal sign", "there is no = after \"%s\"; write %s = VALUE"},
        {"missing title", "%s needs a name; write %s \"NAME\" { ... }"},
        {"found duplicate title",
         "the name \"%s\" is taken by another section; choose another than %s"},
        {"missing opening brace", "there is no { after \"%s\"; write %s { ... }"},
        {"unexpected closing brace",
         "a } where a value should be%.0s; write the value before it%.0s"},
        {"premature end of file",
         "the file ends within a section or value%.0s; close it with }%.0s"},
        {"attempt to append", "%s takes one value; write %s = VALUE"},
        {"unexpected token", "\"%s\" is not expected here; take %s away, or quote it"},
    };
    char message[512], name[256] = "";
    const char *from, *to;

    (void)vsnprintf(message, sizeof(message), format, args);
    from = strchr(message, '\'');
    to = strrchr(message, '\'');
    if (from != NULL && to > from)
        (void)snprintf(name, sizeof(name), "%.*s", (int)(to - from - 1), from + 1);
    if (strncmp(message, "no such option", 14) == 0) {
        unknown_directive(section, name);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(sayings); i++) {
        if (strncmp(message, sayings[i].theirs, strlen(sayings[i].theirs)) != 0)
            continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        config_load_fault(reading->load, (unsigned)section->line, sayings[i].ours, name, name);
#pragma GCC diagnostic pop
        return;
    }
    config_load_fault(reading->load, (unsigned)section->line,
                      "%s; conf/brink.conf shows how it is written", message);
}

/* --- the tables of libconfuse, made from ours --- */

static void
add_option(enum config_section section, cfg_opt_t option)
{
    cfg_opt_t *options = reading->options[section];
    size_t n = 0;

    while (options[n].name != NULL)
        n++;
    ASSERT(n + 1 < OPTIONS_MAX); /* the last one ends the table */
    options[n] = option;
}

static void
add_section(enum config_section parent, const char *name, cfg_opt_t *options, cfg_flag_t flags)
{
    add_option(parent, (cfg_opt_t){.name = name,
                                   .type = CFGT_SEC,
                                   .flags = flags,
                                   .subopts = options,
                                   .validcb = on_section});
}

static void
build_options(void)
{
    static cfg_opt_t nothing[] = {CFG_END()}; /* of listen */
    const cfg_flag_t named = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;

    for (size_t i = 0; i < config_directives_n(); i++) {
        const struct config_directive *directive = config_directive(i);
        cfg_flag_t list = config_kind_is_list(directive->kind) ? CFGF_LIST : CFGF_NONE;

        add_option(directive->section, (cfg_opt_t){.name = directive->name,
                                                   .type = CFGT_STR,
                                                   .flags = CFGF_NODEFAULT | list,
                                                   .validcb = on_value});
    }
    add_section(SECTION_origin, "server", reading->options[SECTION_server], named);
    add_section(SECTION_global, "listen", nothing, named);
    add_section(SECTION_global, "store", reading->options[SECTION_store], CFGF_NODEFAULT);
    add_section(SECTION_global, "origin", reading->options[SECTION_origin], named);
    add_section(SECTION_global, "site", reading->options[SECTION_site], named);
    add_section(SECTION_global, "admin", reading->options[SECTION_admin], named);
    add_section(SECTION_global, "log", reading->options[SECTION_log], CFGF_NODEFAULT);
}

/* --- from libconfuse's tree into ours --- */

static void
take_directive(cfg_t *section, const struct config_directive *directive, void *base)
{
    struct config_load *load = reading->load;
    unsigned line = line_of(section, directive->name);
    struct slice *values;
    char why[512];
    size_t n;
    enum err rc;

    if (line == 0)
        return; /* not given */
    n = cfg_size(section, directive->name);
    if (n > CONFIG_LIST_MAX) {
        config_load_fault(load, line, "%s has %zu items; give at most %d", directive->name, n,
                          CONFIG_LIST_MAX);
        return;
    }
    values = config_load_array(load, n, sizeof(*values));
    if (values == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        values[i] = slice_from_str(cfg_getnstr(section, directive->name, (unsigned)i));
    rc = config_set(load->arena, directive, base, values, n, why, sizeof(why));
    if (rc == ERR_SYNTAX)
        config_load_fault(load, line, "%s", why);
    else
        (void)config_load_ok(load, rc);
}

static void
take_directives(cfg_t *section, enum config_section kind, void *base)
{
    for (size_t i = 0; i < config_directives_n(); i++)
        if (config_directive(i)->section == kind)
            take_directive(section, config_directive(i), base);
}

/* How many sections of that kind, and an array for them. */
static bool
sections_of(cfg_t *parent, const char *kind, size_t item_len, size_t *out_n, void *out_array)
{
    size_t n = cfg_size(parent, kind);
    void *array;

    if (n > CONFIG_LIST_MAX) {
        config_load_fault(reading->load, (unsigned)parent->line,
                          "%zu sections of %s; give at most %d", n, kind, CONFIG_LIST_MAX);
        return false;
    }
    array = config_load_array(reading->load, n, item_len);
    if (array == NULL)
        return false;
    memcpy(out_array, &array, sizeof(array));
    *out_n = n;
    return true;
}

static void
take_servers(cfg_t *section, struct config_origin *origin)
{
    struct config_load *load = reading->load;

    if (!sections_of(section, "server", sizeof(*origin->servers), &origin->servers_n,
                     &origin->servers))
        return;
    for (size_t i = 0; i < origin->servers_n; i++) {
        cfg_t *server = cfg_getnsec(section, "server", (unsigned)i);

        if (!config_load_ok(load,
                            config_set_defaults(load->arena, SECTION_server, &origin->servers[i])))
            return;
        (void)config_load_server(load, line_of(server, NULL), "server ",
                                 slice_from_str(cfg_title(server)), &origin->servers[i]);
        take_directives(server, SECTION_server, &origin->servers[i]);
    }
}

static const char *
keep(const char *text)
{
    struct slice copy = SLICE_NONE;

    return config_load_ok(reading->load, arena_printf(reading->load->arena, &copy, "%s", text))
               ? copy.ptr
               : "";
}

static void
take_origins(void)
{
    struct config_load *load = reading->load;
    size_t n;

    if (!sections_of(reading->root, "origin", sizeof(*load->origins), &n, &load->origins) ||
        !sections_of(reading->root, "origin", sizeof(unsigned), &n, &load->origin_lines))
        return;
    for (size_t i = 0; i < n; i++) {
        cfg_t *section = cfg_getnsec(reading->root, "origin", (unsigned)i);

        if (!config_load_ok(load,
                            config_set_defaults(load->arena, SECTION_origin, &load->origins[i])))
            return;
        load->origins_n = i + 1;
        load->origins[i].settings.name = keep(cfg_title(section));
        load->origin_lines[i] = line_of(section, NULL);
        take_directives(section, SECTION_origin, &load->origins[i]);
        take_servers(section, &load->origins[i]);
    }
}

static void
take_sites(void)
{
    struct config_load *load = reading->load;
    size_t n;

    if (!sections_of(reading->root, "site", sizeof(*load->sites), &n, &load->sites) ||
        !sections_of(reading->root, "site", sizeof(unsigned), &n, &load->site_lines) ||
        !sections_of(reading->root, "site", sizeof(unsigned), &n, &load->site_origin_lines))
        return;
    for (size_t i = 0; i < n; i++) {
        cfg_t *section = cfg_getnsec(reading->root, "site", (unsigned)i);

        if (!config_load_ok(load, config_set_defaults(load->arena, SECTION_site, &load->sites[i])))
            return;
        load->sites_n = i + 1;
        load->sites[i].settings.name = keep(cfg_title(section));
        load->site_lines[i] = line_of(section, NULL);
        load->site_origin_lines[i] = line_of(section, "origin");
        take_directives(section, SECTION_site, &load->sites[i]);
    }
}

static void
take_listens(void)
{
    struct config_load *load = reading->load;
    struct config *config = load->config;
    size_t n;

    if (!sections_of(reading->root, "listen", sizeof(*config->listens), &n, &config->listens))
        return;
    for (size_t i = 0; i < n; i++) {
        cfg_t *section = cfg_getnsec(reading->root, "listen", (unsigned)i);

        if (config_load_listen(load, line_of(section, NULL), "listen ", keep(cfg_title(section)),
                               &config->listens[config->listens_n]))
            config->listens_n++;
    }
}

static void
take_admin(void)
{
    struct config_load *load = reading->load;
    struct config_listen listen;
    cfg_t *section;

    if (cfg_size(reading->root, "admin") == 0)
        return;
    section = cfg_getnsec(reading->root, "admin", 0);
    load->admin_line = line_of(section, NULL);
    if (cfg_size(reading->root, "admin") > 1)
        config_load_fault(load, line_of(cfg_getnsec(reading->root, "admin", 1), NULL),
                          "a second admin section; keep one");
    take_directives(section, SECTION_admin, load->config);
    if (!config_load_listen(load, load->admin_line, "admin ", keep(cfg_title(section)), &listen))
        return;
    load->config->admin.on = true;
    load->config->admin.text = listen.text;
    load->config->admin.addr = listen.addr;
}

static void
take_all(void)
{
    struct config_load *load = reading->load;
    cfg_t *root = reading->root;

    take_directives(root, SECTION_global, load->config);
    load->user_line = line_of(root, "user");
    if (cfg_size(root, "store") > 0) {
        take_directives(cfg_getsec(root, "store"), SECTION_store, load->config);
        load->size_line = line_of(cfg_getsec(root, "store"), NULL);
    }
    if (cfg_size(root, "log") > 0)
        take_directives(cfg_getsec(root, "log"), SECTION_log, load->config);
    take_listens();
    take_origins();
    take_sites();
    take_admin();
    load->from_file = load->origins_n > 0;
}

static void
read_text(char *text, size_t len)
{
    FILE *file = fmemopen(text, len, "r");

    if (file == NULL) {
        reading->load->rc = ERR_NOMEM;
        return;
    }
    build_options();
    reading->root = cfg_init(reading->options[SECTION_global], CFGF_NONE);
    if (reading->root != NULL) {
        (void)cfg_set_error_function(reading->root, on_syntax);
        if (cfg_parse_fp(reading->root, file) != CFG_SUCCESS && reading->load->faults_n == 0)
            config_load_fault(reading->load, (unsigned)reading->root->line,
                              "malformed; conf/brink.conf shows how it is written");
        take_all();
        (void)cfg_free(reading->root);
    } else {
        reading->load->rc = ERR_NOMEM;
    }
    (void)fclose(file);
}

void
config_load_file(struct config_load *load, char *text, size_t len)
{
    struct config_text_fault fault;

    config_text_prepare(text, len, &fault);
    if (fault.what != NULL) {
        config_load_fault(load, fault.line, "%s", fault.what);
        return;
    }
    if (len == 0)
        return;
    reading = mem_zalloc(sizeof(*reading));
    if (reading == NULL) {
        load->rc = ERR_NOMEM;
        return;
    }
    reading->load = load;
    read_text(text, len);
    mem_free(reading->seen);
    mem_free(reading);
    reading = NULL;
}
