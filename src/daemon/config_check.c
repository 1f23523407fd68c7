/* What only the whole configuration shows: names that refer to nothing, values that contradict each
 * other, what is missing. Also puts origins into the proxy's settings; config_site.c does sites. */
#include <sched.h>
#include <unistd.h>

#include "daemon/config_load.h"
#include "http/url.h"

/* --- origins --- */

static void
check_origin(struct config_load *load, size_t i)
{
    struct config_origin *origin = &load->origins[i];
    struct origin_settings *settings = &origin->settings;
    unsigned line = load->from_file ? load->origin_lines[i] : 0;
    struct slice host;
    uint16_t port;

    if (origin->servers_n == 0)
        config_load_fault(load, line, "origin \"%s\" has no server; add server \"HOST:PORT\" {}",
                          settings->name);
    if (settings->host_header != NULL &&
        url_parse_authority(slice_from_str(settings->host_header), &host, &port) != OK)
        config_load_fault(load, line,
                          "host = %s is not a host name; write HOST or HOST:PORT, or leave it out",
                          settings->host_header);
    if (settings->head_limits.line_max > settings->head_limits.head_max)
        config_load_fault(load, line, "line_max is larger than head_max; raise head_max of \"%s\"",
                          settings->name);
    settings->servers = origin->servers;
    settings->servers_n = origin->servers_n;
}

static void
check_origins(struct config_load *load)
{
    struct origin_settings *settings = config_load_array(load, load->origins_n, sizeof(*settings));

    if (settings == NULL)
        return;
    if (load->origins_n == 0)
        config_load_fault(load, load->path == NULL ? 0 : 1,
                          "no origin: nothing to stand in front of; %s",
                          load->path == NULL ? "give --origin http://HOST:PORT, or a file with -c"
                                             : "add origin \"NAME\" { server \"HOST:PORT\" {} }");
    for (size_t i = 0; i < load->origins_n; i++) {
        check_origin(load, i);
        settings[i] = load->origins[i].settings;
    }
    load->config->proxy.origins = settings;
    load->config->proxy.origins_n = load->origins_n;
}

/* Without a site, the only origin gets one that answers for any host. */
static void
add_only_site(struct config_load *load)
{
    if (load->origins_n > 1)
        config_load_fault(
            load, load->origin_lines[1],
            "several origins but no site; add site \"NAME\" { hosts = {\"...\"} origin "
            "= \"%s\" }",
            load->origins[1].settings.name);
    load->sites = config_load_array(load, 1, sizeof(*load->sites));
    load->site_lines = config_load_array(load, 2, sizeof(unsigned));
    if (load->sites == NULL || load->site_lines == NULL)
        return;
    load->site_origin_lines = load->site_lines + 1;
    if (!config_load_ok(load, config_set_defaults(load->arena, SECTION_site, load->sites)))
        return;
    load->sites[0].settings.name = "default";
    load->sites_n = 1;
}

/* --- the rest --- */

/* RFC 9110 section 5.6.2. */
static bool
is_token(const char *text)
{
    if (text == NULL || *text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                      (*text >= '0' && *text <= '9');

        if (!letter && strchr("!#$%&'*+-.^_`|~", *text) == NULL)
            return false;
    }
    return true;
}

static void
check_global(struct config_load *load)
{
    const struct config *config = load->config;
    unsigned line = load->path == NULL ? 0 : 1;

    if (!is_token(config->proxy.node_name))
        config_load_fault(load, line,
                          "node_name \"%s\" cannot stand in a header; use letters, digits and -._",
                          config->proxy.node_name == NULL ? "" : config->proxy.node_name);
    if (config->proxy.head_limits.line_max > config->proxy.head_limits.head_max)
        config_load_fault(load, line, "line_max is larger than head_max; raise head_max");
    if (config->store.index_memory_len != 0 &&
        config->store.index_memory_len < STORE_INDEX_MEMORY_MIN)
        config_load_fault(load, load->size_line,
                          "index_memory is less than 4MB; raise it, or leave it out");
    if (config->store.object_max_len > config->store.size_len)
        config_load_fault(
            load, load->size_line,
            "object_max is larger than size; lower it, or leave it out for an eighth");
}

static void
check_user(struct config_load *load)
{
    struct confine_user user;
    char why[256];

    if (confine_find_user(load->config->confine.user, &user, why, sizeof(why)) != OK)
        config_load_fault(load, load->user_line, "user = %s: %s", load->config->confine.user, why);
}

static void
check_admin(struct config_load *load)
{
    const struct config_admin *admin = &load->config->admin;

    if (admin->on && admin->token == NULL && !sock_addr_is_loopback(&admin->addr))
        config_load_fault(load, load->admin_line,
                          "the admin address %s can be reached from outside and asks for no token; "
                          "set token = \"...\", or use 127.0.0.1",
                          admin->text);
}

static void
check_listens(struct config_load *load)
{
    struct config *config = load->config;

    if (config->listens_n > 0)
        return;
    config->listens = config_load_array(load, 1, sizeof(*config->listens));
    if (config->listens != NULL &&
        config_load_listen(load, 0, "listen ", "127.0.0.1:8080", &config->listens[0]))
        config->listens_n = 1;
}

/* Half of the whole, but no fewer than a few pages' worth of browsers. */
static unsigned
half_of(unsigned whole)
{
    enum { LEAST = 64 };

    return whole / 2 > LEAST ? whole / 2 : LEAST;
}

static void
derive_limits(struct proxy_settings *proxy)
{
    struct watch_limits *watch = &proxy->watch;

    if (watch->per_address_max == 0)
        watch->per_address_max = half_of(watch->connections_max);
    if (watch->half_open_max == 0)
        watch->half_open_max = half_of(watch->connections_max);
    proxy->reader_rule.grace_ms = proxy->body_rule.grace_ms;
}

static void
derive(struct config *config)
{
    cpu_set_t cores;

    if (config->workers == 0) {
        config->workers = 1;
        if (sched_getaffinity(0, sizeof(cores), &cores) == 0 && CPU_COUNT(&cores) > 0)
            config->workers = (unsigned)CPU_COUNT(&cores);
    }
    derive_limits(&config->proxy);
    config->proxy.purge_from = config->purge_from.items;
    config->proxy.purge_from_n = config->purge_from.n;
    config->store.readers_max = config->workers + variants_threads(&config->proxy.variants) +
                                4; /* the admin's, and some room */
}

/* Beside the user's other data; a daemon without a home uses the system's place. */
static void
choose_store_path(struct config_load *load)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    struct slice path;
    enum err rc;

    if (load->config->store.path != NULL)
        return;
    if (geteuid() != 0 && data != NULL && data[0] == '/')
        rc = arena_printf(load->arena, &path, "%s/brink", data);
    else if (geteuid() != 0 && home != NULL && home[0] == '/')
        rc = arena_printf(load->arena, &path, "%s/.local/share/brink", home);
    else
        rc = arena_printf(load->arena, &path, "/var/lib/brink");
    if (config_load_ok(load, rc))
        load->config->store.path = path.ptr;
}

void
config_load_check(struct config_load *load)
{
    check_listens(load);
    check_origins(load);
    config_load_check_sites(load);
    check_global(load);
    check_user(load);
    check_admin(load);
    choose_store_path(load);
    derive(load->config);
}

/* Called before --set is applied, which may name the site's directives. */
void
config_load_complete(struct config_load *load)
{
    if (load->sites_n == 0 && load->origins_n > 0)
        add_only_site(load);
}
