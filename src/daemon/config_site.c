/* What only a whole site shows: names that refer to nothing, values that contradict each other.
 * Also puts the sites into the proxy's settings. */
#include "daemon/config_load.h"
#include "http/chars.h"
#include "http/field.h"

enum {
    KEY_FIELDS_MAX = 16,     /* each is sought in every request of the site */
    KEY_COOKIES_MAX = 16,    /* likewise */
    TARGETED_FIELDS_MAX = 8, /* ... in every response */
    PARAMETERS_MAX = 64      /* with each of which a query's are compared */
};

static const char *
nearest_origin(const struct config_load *load, const char *wrong)
{
    const char *names[CONFIG_LIST_MAX + 1];
    size_t n = 0;

    for (; n < load->origins_n && n < CONFIG_LIST_MAX; n++)
        names[n] = load->origins[n].settings.name;
    names[n] = NULL;
    return config_nearest(wrong, names);
}

static void
check_site_origin(struct config_load *load, size_t i)
{
    struct config_site *site = &load->sites[i];
    const char *near;

    if (site->origin_name == NULL) {
        if (load->origins_n > 1)
            config_load_fault(load, load->site_lines[i],
                              "site \"%s\" does not say which origin; add origin = \"NAME\"",
                              site->settings.name);
        return; /* position 0 */
    }
    for (size_t j = 0; j < load->origins_n; j++) {
        if (strcmp(load->origins[j].settings.name, site->origin_name) == 0) {
            site->settings.origin = (unsigned)j;
            return;
        }
    }
    near = nearest_origin(load, site->origin_name);
    config_load_fault(load, load->site_origin_lines[i], "there is no origin \"%s\"; %s%s%s",
                      site->origin_name, near == NULL ? "add " : "did you mean \"",
                      near == NULL ? "a section of that name" : near, near == NULL ? "" : "\"?");
}

/* True when site j, which comes before i, answers for the host already. */
static bool
has_host(const struct config_site *site, const char *host)
{
    for (size_t i = 0; i < site->hosts.n; i++)
        if (strcmp(site->hosts.items[i], host) == 0)
            return true;
    return false;
}

static void
check_site_hosts(struct config_load *load, size_t i)
{
    const struct config_site *site = &load->sites[i];

    for (size_t j = 0; j < i; j++) {
        const struct config_site *other = &load->sites[j];

        if (other->hosts.n == 0)
            config_load_fault(
                load, load->site_lines[i],
                "site \"%s\" is never reached: \"%s\" before it has no hosts and takes "
                "all; move that one to the end",
                site->settings.name, other->settings.name);
        for (size_t k = 0; k < site->hosts.n; k++)
            if (has_host(other, site->hosts.items[k]))
                config_load_fault(load, load->site_lines[i],
                                  "host \"%s\" belongs to site \"%s\" already; name it once",
                                  site->hosts.items[k], other->settings.name);
    }
}

/* Fields that are not for the origin, or ask for a part of the answer. */
static bool
may_be_in_key(enum http_token token)
{
    switch (token) {
    case HTTP_CDN_LOOP:
    case HTTP_CONTENT_LENGTH:
    case HTTP_EXPECT:
    case HTTP_HOST:
    case HTTP_IF_MATCH:
    case HTTP_IF_MODIFIED_SINCE:
    case HTTP_IF_NONE_MATCH:
    case HTTP_IF_RANGE:
    case HTTP_IF_UNMODIFIED_SINCE:
    case HTTP_MAX_FORWARDS:
    case HTTP_RANGE:
    case HTTP_VIA:
        return false;
    default:
        return (http_token_flags(token) & F_HOP) == 0;
    }
}

static void
check_site_key_fields(struct config_load *load, size_t i)
{
    struct config_site *site = &load->sites[i];

    if (site->key_fields.n > KEY_FIELDS_MAX)
        config_load_fault(
            load, load->site_lines[i],
            "key_fields names %zu fields, each sought in every request; name %d at most",
            site->key_fields.n, KEY_FIELDS_MAX);
    for (size_t j = 0; j < site->key_fields.n; j++)
        if (!may_be_in_key(http_token_from(slice_from_str(site->key_fields.items[j]))))
            config_load_fault(load, load->site_lines[i],
                              "key_fields: \"%s\" cannot be part of a key; take it away",
                              site->key_fields.items[j]);
    site->settings.key_fields = site->key_fields.items;
    site->settings.key_fields_n = site->key_fields.n;
}

/* A name of a parameter as it stands in a query, perhaps with a "*" at its end. */
static bool
is_parameter(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (c == '*' ? i + 1 < name.len
                     : c == '&' || c == '=' || (c != '%' && !char_is(c, CH_QUERY)))
            return false;
    }
    return true;
}

static void
check_parameters(struct config_load *load, size_t i, const char *directive,
                 const struct config_texts *names)
{
    if (names->n > PARAMETERS_MAX)
        config_load_fault(load, load->site_lines[i],
                          "%s names %zu parameters, each compared with those of every query; name "
                          "%d at most",
                          directive, names->n, PARAMETERS_MAX);
    for (size_t j = 0; j < names->n; j++)
        if (!is_parameter(slice_from_str(names->items[j])))
            config_load_fault(load, load->site_lines[i],
                              "%s: \"%s\" is no name of a parameter; write what stands before "
                              "the =, with * for any ending",
                              directive, names->items[j]);
}

static void
check_site_target(struct config_load *load, size_t i)
{
    struct config_site *site = &load->sites[i];
    struct cache_target_rules *rules = &site->settings.target;

    check_parameters(load, i, "query_drop", &site->query_drop);
    check_parameters(load, i, "query_keep", &site->query_keep);
    if (site->query_drop.n > 0 && site->query_keep.n > 0)
        config_load_fault(load, load->site_lines[i],
                          "query_drop and query_keep exclude each other; take one of them away");
    rules->drop = site->query_drop.items;
    rules->drop_n = site->query_drop.n;
    rules->keep = site->query_keep.items;
    rules->keep_n = site->query_keep.n;
}

static void
check_site_cookies(struct config_load *load, size_t i)
{
    struct config_site *site = &load->sites[i];

    if (site->key_cookies.n > KEY_COOKIES_MAX)
        config_load_fault(
            load, load->site_lines[i],
            "key_cookies names %zu cookies, each sought in every request; name %d at most",
            site->key_cookies.n, KEY_COOKIES_MAX);
    for (size_t j = 0; j < site->key_cookies.n; j++)
        if (!http_is_token(slice_from_str(site->key_cookies.items[j])))
            config_load_fault(load, load->site_lines[i],
                              "key_cookies: \"%s\" is no name of a cookie; take it away",
                              site->key_cookies.items[j]);
    site->settings.key_cookies = site->key_cookies.items;
    site->settings.key_cookies_n = site->key_cookies.n;
}

static void
check_site_targeted(struct config_load *load, size_t i)
{
    struct config_site *site = &load->sites[i];

    if (site->targeted_fields.n > TARGETED_FIELDS_MAX)
        config_load_fault(
            load, load->site_lines[i],
            "targeted_fields names %zu fields, each sought in every response; name %d at most",
            site->targeted_fields.n, TARGETED_FIELDS_MAX);
    for (size_t j = 0; j < site->targeted_fields.n; j++)
        if (http_token_from(slice_from_str(site->targeted_fields.items[j])) != HTTP_UNKNOWN)
            config_load_fault(load, load->site_lines[i],
                              "targeted_fields: \"%s\" is no targeted field; take it away",
                              site->targeted_fields.items[j]);
    site->settings.cache.status_ttls = site->status_ttls.items;
    site->settings.cache.status_ttls_n = site->status_ttls.n;
    site->settings.cache.status_ttls = site->status_ttls.items;
    site->settings.cache.status_ttls_n = site->status_ttls.n;
    site->settings.cache.targeted_fields = site->targeted_fields.items;
    site->settings.cache.targeted_fields_n = site->targeted_fields.n;
}

void
config_load_check_sites(struct config_load *load)
{
    struct site_settings *settings = config_load_array(load, load->sites_n, sizeof(*settings));

    if (settings == NULL)
        return;
    for (size_t i = 0; i < load->sites_n; i++) {
        check_site_origin(load, i);
        check_site_hosts(load, i);
        check_site_targeted(load, i);
        check_site_key_fields(load, i);
        check_site_cookies(load, i);
        check_site_target(load, i);
        load->sites[i].settings.hosts = load->sites[i].hosts.items;
        load->sites[i].settings.hosts_n = load->sites[i].hosts.n;
        load->sites[i].settings.upgrades = load->sites[i].upgrades.items;
        load->sites[i].settings.upgrades_n = load->sites[i].upgrades.n;
        settings[i] = load->sites[i].settings;
    }
    load->config->proxy.sites = settings;
    load->config->proxy.sites_n = load->sites_n;
}
