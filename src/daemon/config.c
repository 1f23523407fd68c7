/* Loading a configuration: the file, then the options of the command line over it, then the checks
 * of the whole. Faults are collected and told in the order of the file. */
#include "daemon/config_load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/escape.h"
#include "http/url.h"

enum { FILE_MAX_LEN = 4 << 20, FAULTS_MAX = 100 };

/* --- what the parts share --- */

/* A fault repeats what the file says: one line, and nothing that a terminal would act on. */
static void
blank_controls(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void
config_load_fault(struct config_load *load, unsigned line, const char *format, ...)
{
    char text[1024];
    struct slice copy;
    va_list args;

    if (load->faults_n == FAULTS_MAX)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    blank_controls(text);
    if (config_load_ok(load, arena_printf(load->arena, &copy, "%s", text))) {
        load->faults[load->faults_n] =
            (struct config_fault){line, (unsigned)load->faults_n, copy.ptr};
        load->faults_n++;
    }
}

bool
config_load_ok(struct config_load *load, enum err rc)
{
    if (rc != OK)
        load->rc = rc;
    return rc == OK;
}

void *
config_load_array(struct config_load *load, size_t n, size_t item_len)
{
    void *array = arena_zalloc(load->arena, (n + 1) * item_len);

    if (array == NULL)
        load->rc = ERR_NOMEM;
    return array;
}

bool
config_load_server(struct config_load *load, unsigned line, const char *what, struct slice text,
                   struct origin_server_settings *out)
{
    struct slice host, copy;
    uint16_t port = 0;

    if (slice_starts(text, SLICE("http://")))
        config_load_fault(load, line, "%s%.*s: write HOST:PORT without http://", what,
                          SLICE_ARGS(text));
    else if (url_parse_authority(text, &host, &port) != OK || host.len == 0)
        config_load_fault(load, line,
                          "%s%.*s is not an address; write HOST:PORT, such as 10.0.0.5:3000", what,
                          SLICE_ARGS(text));
    else if (config_load_ok(load, arena_printf(load->arena, &copy, "%.*s", SLICE_ARGS(host)))) {
        out->host = copy.ptr;
        out->port = port == 0 ? 80 : port;
        return true;
    }
    return false;
}

bool
config_load_listen(struct config_load *load, unsigned line, const char *what, const char *text,
                   struct config_listen *out)
{
    if (sock_addr_parse(slice_from_str(text), &out->addr) != OK) {
        config_load_fault(load, line,
                          "%s%s is not an address; write ADDRESS:PORT, such as 127.0.0.1:8080 or "
                          "[::1]:8080",
                          what, text);
        return false;
    }
    out->text = text;
    return true;
}

/* --- the file --- */

static void
read_file(struct config_load *load)
{
    FILE *file = fopen(load->path, "re");
    char *text;
    size_t len;

    if (file == NULL) {
        config_load_fault(load, 0, "%s: cannot be read: %s; give the path of a configuration file",
                          load->path, strerror(errno));
        return;
    }
    text = mem_alloc(FILE_MAX_LEN);
    if (text == NULL) {
        load->rc = ERR_NOMEM;
        (void)fclose(file);
        return;
    }
    len = fread(text, 1, FILE_MAX_LEN, file);
    if (ferror(file) != 0)
        config_load_fault(load, 0, "%s: cannot be read: %s; give the path of a configuration file",
                          load->path, strerror(errno));
    else if (len == FILE_MAX_LEN)
        config_load_fault(load, 0, "%s: longer than 4MB; a configuration file is not", load->path);
    else
        config_load_file(load, text, len);
    mem_free(text);
    (void)fclose(file);
}

/* --- the command line --- */

static void
apply_listens(struct config_load *load, const struct config_args *args)
{
    struct config *config = load->config;

    if (args->listens_n == 0)
        return;
    config->listens_n = 0;
    config->listens = config_load_array(load, args->listens_n, sizeof(*config->listens));
    for (size_t i = 0; config->listens != NULL && i < args->listens_n; i++)
        if (config_load_listen(load, 0, "--listen ", args->listens[i],
                               &config->listens[config->listens_n]))
            config->listens_n++;
}

static void
apply_admin(struct config_load *load, const struct config_args *args)
{
    struct config_listen listen;

    if (args->admin == NULL || !config_load_listen(load, 0, "--admin ", args->admin, &listen))
        return;
    load->admin_line = 0;
    load->config->admin.on = true;
    load->config->admin.text = listen.text;
    load->config->admin.addr = listen.addr;
}

/* The authority of "http://host:port[/]"; empty after a fault. */
static struct slice
origin_authority(struct config_load *load, const char *origin)
{
    struct slice text = slice_from_str(origin), authority;

    if (slice_starts(text, SLICE("https://"))) {
        config_load_fault(load, 0, "--origin %s: TLS to origins comes later; use http://", origin);
        return SLICE_NONE;
    }
    if (!slice_starts(text, SLICE("http://"))) {
        config_load_fault(load, 0,
                          "--origin %s is not an http URL; write http://HOST:PORT, such as "
                          "http://127.0.0.1:3000",
                          origin);
        return SLICE_NONE;
    }
    text = slice_skip(text, strlen("http://"));
    if (slice_cut(&text, '/', &authority) && text.len > 0) {
        config_load_fault(load, 0, "--origin %s names a path; write http://HOST:PORT alone",
                          origin);
        return SLICE_NONE;
    }
    return authority;
}

static void
apply_origin(struct config_load *load, const struct config_args *args)
{
    struct slice authority;
    struct config_origin *origin;

    if (args->origin == NULL)
        return;
    if (load->origins_n > 0) {
        config_load_fault(load, 0,
                          "--origin %s: the file names its origins already; use one or the other",
                          args->origin);
        return;
    }
    authority = origin_authority(load, args->origin);
    origin = load->origins = config_load_array(load, 1, sizeof(*load->origins));
    load->origin_lines = config_load_array(load, 1, sizeof(unsigned));
    if (origin == NULL || load->origin_lines == NULL ||
        !config_load_ok(load, config_set_defaults(load->arena, SECTION_origin, origin)))
        return;
    origin->servers = config_load_array(load, 1, sizeof(*origin->servers));
    if (origin->servers == NULL ||
        !config_load_ok(load, config_set_defaults(load->arena, SECTION_server, origin->servers)))
        return;
    origin->settings.name = "origin";
    origin->servers_n = 1;
    load->origins_n = 1;
    if (authority.len > 0)
        (void)config_load_server(load, 0, "--origin http://", authority, origin->servers);
}

/* One directive for everything of its section. `what`: the option, for faults. */
static void
apply_set(struct config_load *load, const char *what, const struct config_directive *directive,
          struct slice value)
{
    struct slice values[64] = {value}, rest = value;
    size_t n = config_kind_is_list(directive->kind) ? 0 : 1, bases_n = 1;
    char why[512], *base = (char *)load->config;
    size_t base_len = 0;
    enum err rc = OK;

    while (config_kind_is_list(directive->kind) && rest.len > 0 && n < ARRAY_LEN(values))
        (void)slice_cut(&rest, ',', &values[n++]);
    if (config_kind_is_list(directive->kind) && rest.len > 0) {
        config_load_fault(load, 0, "%s: more than %zu items; write the list in a file", what,
                          ARRAY_LEN(values));
        return;
    }
    switch (directive->section) {
    case SECTION_origin:
        base = (char *)load->origins, base_len = sizeof(*load->origins), bases_n = load->origins_n;
        break;
    case SECTION_site:
        base = (char *)load->sites, base_len = sizeof(*load->sites), bases_n = load->sites_n;
        break;
    default:
        break;
    }
    for (size_t i = 0; i < bases_n && rc == OK; i++)
        rc = config_set(load->arena, directive, base + i * base_len, values, n, why, sizeof(why));
    if (rc == ERR_SYNTAX)
        config_load_fault(load, 0, "%s: %s", what, why);
    else
        (void)config_load_ok(load, rc);
}

static void
unknown_key(struct config_load *load, struct slice key)
{
    char names[128][64], wrong[64];
    const char *pointers[129];
    const char *near;
    size_t n = 0;

    for (; n < config_directives_n() && n < 128; n++) {
        const struct config_directive *directive = config_directive(n);
        const char *section = config_section_name(directive->section);

        (void)snprintf(names[n], sizeof(names[n]), "%s%s%s", section, *section == '\0' ? "" : ".",
                       directive->name);
        pointers[n] = names[n];
    }
    pointers[n] = NULL;
    (void)snprintf(wrong, sizeof(wrong), "%.*s", SLICE_ARGS(key));
    near = config_nearest(wrong, pointers);
    if (near != NULL)
        config_load_fault(load, 0, "--set %s: unknown directive; did you mean \"%s\"?", wrong,
                          near);
    else
        config_load_fault(
            load, 0, "--set %s: unknown directive; brink --help-directives lists them all", wrong);
}

/* Faults repeat the key alone: the value may be a token. */
static void
apply_set_text(struct config_load *load, const char *set)
{
    struct slice value = slice_from_str(set), key, section_name = SLICE_NONE, name;
    const struct config_directive *directive = NULL;
    char what[256];

    if (!slice_cut(&value, '=', &key)) {
        config_load_fault(load, 0,
                          "--set %s has no =; write --set KEY=VALUE, such as store.size=64MB", set);
        return;
    }
    name = key;
    if (slice_find(name, '.', &(size_t){0}))
        (void)slice_cut(&name, '.', &section_name);
    for (unsigned i = 0; i < SECTION_COUNT && directive == NULL; i++)
        if (slice_is(section_name, config_section_name((enum config_section)i)))
            directive = config_directive_find((enum config_section)i, name);
    if (directive == NULL) {
        unknown_key(load, key);
        return;
    }
    (void)snprintf(what, sizeof(what), "--set %.*s", SLICE_ARGS(key));
    if (directive->section == SECTION_server) {
        config_load_fault(load, 0, "%s: this belongs to one server; set it in the file", what);
        return;
    }
    apply_set(load, what, directive, value);
}

static void
apply_option(struct config_load *load, const char *option, enum config_section section,
             const char *name, const char *value)
{
    char what[64];

    if (value == NULL)
        return;
    (void)snprintf(what, sizeof(what), "--%s", option);
    apply_set(load, what, config_directive_find(section, slice_from_str(name)),
              slice_from_str(value));
}

static void
apply_args(struct config_load *load, const struct config_args *args)
{
    apply_listens(load, args);
    apply_admin(load, args);
    apply_origin(load, args);
    config_load_complete(load);
    apply_option(load, "store", SECTION_store, "path", args->store_path);
    apply_option(load, "store-size", SECTION_store, "size", args->store_size);
    apply_option(load, "workers", SECTION_global, "workers", args->workers);
    for (size_t i = 0; i < args->sets_n; i++)
        apply_set_text(load, args->sets[i]);
}

/* --- all of it --- */

static int
by_line(const void *a, const void *b)
{
    const struct config_fault *left = a, *right = b;

    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    return left->order < right->order ? -1 : left->order > right->order;
}

static void
print_faults(struct config_load *load, FILE *out)
{
    qsort(load->faults, load->faults_n, sizeof(*load->faults), by_line);
    for (size_t i = 0; i < load->faults_n; i++) {
        struct slice text = slice_from_str(load->faults[i].text);
        char safe[2048]; /* what stands in a file need not be fit for a terminal */
        size_t len = escape_write(ESCAPE_SHOWN, &text, safe, sizeof(safe));

        if (load->faults[i].line > 0)
            fprintf(out, "%s:%u: ", load->path, load->faults[i].line);
        else
            fprintf(out, "brink: ");
        fprintf(out, "%.*s\n", (int)len, safe);
    }
}

static enum err
load_all(struct config_load *load, const struct config_args *args, FILE *faults)
{
    static const enum config_section in_config[] = {SECTION_global, SECTION_store, SECTION_admin,
                                                    SECTION_log};

    for (size_t i = 0; i < ARRAY_LEN(in_config); i++)
        if (!config_load_ok(load, config_set_defaults(load->arena, in_config[i], load->config)))
            return load->rc;
    if (load->path != NULL)
        read_file(load);
    apply_args(load, args);
    if (load->faults_n == 0) /* else much would only be said to be missing */
        config_load_check(load);
    if (load->rc != OK)
        return load->rc;
    print_faults(load, faults);
    return load->faults_n == 0 ? OK : ERR_SYNTAX;
}

enum err
config_load(const struct config_args *args, FILE *faults, struct config **out)
{
    struct config_load load = {.path = args->path};
    struct config *config = mem_zalloc(sizeof(*config));
    enum err rc = ERR_NOMEM;

    if (config == NULL)
        return ERR_NOMEM;
    arena_init(&config->arena, 0);
    load.config = config;
    load.arena = &config->arena;
    load.faults = mem_zalloc(FAULTS_MAX * sizeof(*load.faults));
    if (load.faults != NULL)
        rc = load_all(&load, args, faults);
    mem_free(load.faults);
    if (rc == OK)
        *out = config;
    else
        config_free(&config);
    return rc;
}

void
config_free(struct config **slot)
{
    if (*slot == NULL)
        return;
    arena_fini(&(*slot)->arena);
    mem_free(*slot);
    *slot = NULL;
}

/* --- summary --- */

static void
format_bytes(uint64_t n, char *out, size_t cap)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    unsigned unit = 0;

    while (unit + 1 < ARRAY_LEN(units) && n >= 1024 && n % 1024 == 0) {
        n /= 1024;
        unit++;
    }
    (void)snprintf(out, cap, "%llu%s", (unsigned long long)n, units[unit]);
}

static void
print_origin(const struct origin_settings *origin, FILE *out)
{
    fprintf(out, "  origin   %s:", origin->name);
    for (size_t i = 0; i < origin->servers_n; i++) {
        fprintf(out, " %s:%u", origin->servers[i].host, origin->servers[i].port);
        if (origin->servers[i].weight > 1)
            fprintf(out, " (weight %u)", origin->servers[i].weight);
    }
    fprintf(out, "\n");
}

void
config_print_summary(const struct config *config, FILE *out)
{
    char size[32];

    for (size_t i = 0; i < config->listens_n; i++)
        fprintf(out, "  listen   %s\n", config->listens[i].text);
    for (size_t i = 0; i < config->proxy.origins_n; i++)
        print_origin(&config->proxy.origins[i], out);
    for (size_t i = 0; i < config->proxy.sites_n; i++) {
        const struct site_settings *site = &config->proxy.sites[i];

        fprintf(out, "  site     %s:", site->name);
        for (size_t j = 0; j < site->hosts_n; j++)
            fprintf(out, " %s", site->hosts[j]);
        fprintf(out, "%s -> %s\n", site->hosts_n == 0 ? " any host" : "",
                config->proxy.origins[site->origin].name);
    }
    format_bytes(config->store.size_len, size, sizeof(size));
    fprintf(out, "  store    %s, at most %s\n", config->store.path, size);
    fprintf(out, "  admin    %s\n", config->admin.on ? config->admin.text : "none");
    fprintf(out, "  workers  %u\n", config->workers);
    fprintf(out, "  user     %s\n",
            config->confine.user != NULL ? config->confine.user : "whoever starts it");
}
