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
may_be_in_key(struct slice name)
{
    enum http_token token = http_token_from(name);

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

/* Names that cost something each time, and that not everything may be. */
struct names_rule {
    const char *directive, *cost; /* "fields, each sought in every request" */
    int max;
    bool (*fits)(struct slice name);
    const char *fault; /* what a name is that does not fit, and what to do */
};

static void
check_names(struct config_load *load, size_t i, const struct names_rule *rule,
            const struct config_texts *names)
{
    if (names->n > (size_t)rule->max)
        config_load_fault(load, load->site_lines[i], "%s names %zu %s; name %d at most",
                          rule->directive, names->n, rule->cost, rule->max);
    for (size_t j = 0; j < names->n; j++)
        if (!rule->fits(slice_from_str(names->items[j])))
            config_load_fault(load, load->site_lines[i], "%s: \"%s\" %s", rule->directive,
                              names->items[j], rule->fault);
}

static void
check_site_key_fields(struct config_load *load, size_t i)
{
    static const struct names_rule rule = {"key_fields", "fields, each sought in every request",
                                           KEY_FIELDS_MAX, may_be_in_key,
                                           "cannot be part of a key; take it away"};
    struct config_site *site = &load->sites[i];

    check_names(load, i, &rule, &site->key_fields);
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
    const struct names_rule rule = {
        directive, "parameters, each compared with those of every query", PARAMETERS_MAX,
        is_parameter,
        "is no name of a parameter; write what stands before the =, with * for any ending"};

    check_names(load, i, &rule, names);
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
    static const struct names_rule rule = {"key_cookies", "cookies, each sought in every request",
                                           KEY_COOKIES_MAX, http_is_token,
                                           "is no name of a cookie; take it away"};
    struct config_site *site = &load->sites[i];

    check_names(load, i, &rule, &site->key_cookies);
    site->settings.key_cookies = site->key_cookies.items;
    site->settings.key_cookies_n = site->key_cookies.n;
}

static bool
may_be_targeted(struct slice name)
{
    return http_token_from(name) == HTTP_UNKNOWN;
}

static void
check_site_targeted(struct config_load *load, size_t i)
{
    static const struct names_rule rule = {
        "targeted_fields", "fields, each sought in every response", TARGETED_FIELDS_MAX,
        may_be_targeted, "is no targeted field; take it away"};
    struct config_site *site = &load->sites[i];

    check_names(load, i, &rule, &site->targeted_fields);
    site->settings.cache.targeted_fields = site->targeted_fields.items;
    site->settings.cache.targeted_fields_n = site->targeted_fields.n;
}

/* Appends to a list of names in a message; what does not fit is left out. */
static void
add_name(char *list, size_t cap, const char *name, unsigned percent)
{
    size_t len = strlen(list);

    (void)snprintf(list + len, cap - len, "%s\"%s\" %u%%", len == 0 ? "" : ", ", name, percent);
}

/* The shares of all sites, into the store's settings. Names stand for groups in the store, by a
 * hash of 32 bits. */
static void
check_shares(struct config_load *load)
{
    struct store_share *shares = config_load_array(load, load->sites_n, sizeof(*shares));
    struct store_settings *store = &load->config->store;
    char names[512] = "";
    unsigned sum = 0, last = 0;

    if (shares == NULL)
        return;
    for (size_t i = 0; i < load->sites_n; i++) {
        const struct site_settings *site = &load->sites[i].settings;

        if (site->share_percent == 0)
            continue;
        for (size_t j = 0; j < store->shares_n; j++)
            if (shares[j].group == site->group)
                config_load_fault(load, load->site_lines[i],
                                  "site \"%s\" has the name of another with a share, or one that "
                                  "the store cannot tell from it; give it another name",
                                  site->name);
        add_name(names, sizeof(names), site->name, site->share_percent);
        sum += site->share_percent;
        last = load->site_lines[i];
        shares[store->shares_n++] = (struct store_share){site->group, site->share_percent};
    }
    store->shares = shares;
    if (sum > 100)
        config_load_fault(load, last,
                          "the shares of sites %s are %u%% together; give away 100%% at "
                          "most",
                          names, sum);
}

static void
check_site_admission(struct config_load *load, size_t i)
{
    const struct site_settings *site = &load->sites[i].settings;

    if (site->store_on == SITE_STORE_ON_SECOND && load->config->store.seen_len == 0)
        config_load_fault(load, load->site_lines[i],
                          "site \"%s\" stores at the second request, and nothing remembers the "
                          "first: seen_memory is 0; raise it, or take store_on away",
                          site->name);
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
        check_site_admission(load, i);
        config_load_check_coding(load, i);
        load->sites[i].settings.group = store_group(slice_from_str(load->sites[i].settings.name));
        load->sites[i].settings.cache.status_ttls = load->sites[i].status_ttls.items;
        load->sites[i].settings.cache.status_ttls_n = load->sites[i].status_ttls.n;
        load->sites[i].settings.hosts = load->sites[i].hosts.items;
        load->sites[i].settings.hosts_n = load->sites[i].hosts.n;
        load->sites[i].settings.upgrades = load->sites[i].upgrades.items;
        load->sites[i].settings.upgrades_n = load->sites[i].upgrades.n;
        settings[i] = load->sites[i].settings;
    }
    check_shares(load);
    load->config->proxy.sites = settings;
    load->config->proxy.sites_n = load->sites_n;
}
