/* The configuration: values of every kind, faults with their lines, the command line over the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config_tables.h"
#include "daemon/config_text.h"

#define EIGHT(x) #x "0," #x "1," #x "2," #x "3," #x "4," #x "5," #x "6," #x "7,"
#define SIXTY_FIVE EIGHT(a) EIGHT(b) EIGHT(c) EIGHT(d) EIGHT(e) EIGHT(f) EIGHT(g) EIGHT(h) "i"
#define TYPES_WANTED "write each once, such as {\"text/*\", \"application/json\"}\n"
#define TTLS_WANTED "write a status or a class with a time, such as {\"404=1m\", \"5xx=5s\"}\n"
#define ORIGIN "origin \"app\" { server \"127.0.0.1:3000\" {} }\n"

/* Load `text` as a file (NULL: none). *out_faults, with "conf" for the file's name, is the
 * caller's. */
static enum err
load(const char *text, struct config_args args, struct config **out, char **out_faults)
{
    char path[] = "/tmp/brink-test-config.XXXXXX";
    size_t len = 0, text_len = text == NULL ? 0 : strlen(text);
    char *faults = NULL, *at;
    FILE *stream;
    enum err rc;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text == NULL ? "" : text, text_len), (ssize_t)text_len);
    assert_int_equal(close(fd), 0);
    args.path = text == NULL ? NULL : path;
    stream = open_memstream(&faults, &len);
    assert_non_null(stream);
    rc = config_load(&args, stream, out);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(unlink(path), 0);
    while ((at = strstr(faults, path)) != NULL) {
        memcpy(at, "conf", 4);
        memmove(at + 4, at + strlen(path), strlen(at + strlen(path)) + 1);
    }
    *out_faults = faults;
    return rc;
}

static struct config *
load_good(const char *text, struct config_args args)
{
    struct config *config = NULL;
    char *faults;
    enum err rc = load(text, args, &config, &faults);

    assert_string_equal(faults, "");
    assert_int_equal(rc, OK);
    free(faults);
    return config;
}

static void
assert_faults(const char *text, struct config_args args, const char *want)
{
    struct config *config = NULL;
    char *faults;
    enum err rc = load(text, args, &config, &faults);

    assert_string_equal(faults, want);
    assert_int_equal(rc, ERR_SYNTAX);
    assert_null(config);
    free(faults);
}

/* What every_kind_is_read says of compression. */
static void
assert_coding_is_read(const struct config *config)
{
    const struct coding_settings *coding = &config->proxy.sites[0].coding;

    assert_int_equal(coding->variant.codings_n, 2);
    assert_int_equal(coding->variant.codings[0], CODING_GZIP);
    assert_int_equal(coding->variant.codings[1], CODING_ZSTD);
    assert_int_equal(coding->variant.types_n, 2);
    assert_string_equal(coding->variant.types[0], "text/*");
    assert_int_equal(coding->variant.min_len, 10);
    assert_false(coding->variant.decode);
    assert_int_equal(coding->strong_max_len, 1 << 20);
    assert_int_equal(coding->strong[CODING_ZSTD], 7);
    assert_int_equal(coding->strong[CODING_GZIP], 10);
    assert_int_equal(coding->strong[CODING_BR], 11);
    assert_int_equal(coding->quick[CODING_BR], 0);
    assert_int_equal(coding->quick[CODING_ZSTD], 3);
    assert_string_equal(coding->accept, "br, identity");
    assert_int_equal(coding->precompressed_n, 1);
    assert_int_equal(coding->precompressed[0], CODING_ZSTD);
    assert_int_equal(config->proxy.coder_memory_len, 1 << 20);
    assert_int_equal(config->proxy.variants.threads_n, 3);
    assert_int_equal(config->proxy.variants.queue_max, 7);
    assert_int_equal(config->proxy.coder_bound.ratio, 20);
    assert_int_equal(config->proxy.coder_bound.free_len, 4096);
}

static void
every_kind_is_read(void **state)
{
    struct config *config =
        load_good("# a comment, and // another\n"
                  "workers = 3\n"
                  "head_timeout = 250ms /* inline */\n"
                  "idle_timeout = \"2m\"\n"
                  "line_max = 4KB\n"
                  "keep_tags = on\n"
                  "node_name = 'edge-1'\n"
                  "purge_from = {\"10.0.0.0/8\", \"::1\"}\n"
                  "listen \"127.0.0.1:8080\" {}\n"
                  "listen \"[::1]:8080\" {}\n"
                  "store { path = \"/tmp/x//y\" size = 64MB batch_time = 50ms }\n"
                  "origin \"app\" {\n"
                  "  host = \"app.internal\"\n"
                  "  first_byte_timeout = 7s\n"
                  "  server \"10.0.0.5:3000\" { weight = 2 }\n"
                  "  server \"[::1]\" {}\n"
                  "}\n"
                  "site \"www\" {\n"
                  "  hosts = {\"WWW.Example.com:80\", \"example.com:8080\"}\n"
                  "  default_ttl = 1h\n"
                  "  share = 25%\n"
                  "  store_on = second\n"
                  "  status_ttl = {\"404=1m\", \"5xx = 2s\"}\n"
                  "  heuristic = no\n"
                  "  targeted_fields = {\"Edge-Cache-Control\", \"CDN-Cache-Control\"}\n"
                  "  key_fields = {\"X-Forwarded-Proto\", Device}\n"
                  "  key_cookies = {sid, Theme}\n"
                  "  key_ignore_case = yes\n"
                  "  query_drop = {\"utm_*\", \"Id[]\", \"\"}\n"
                  "  query_sort = yes\n"
                  "  compress = {gzip, ZSTD}\n"
                  "  compress_types = {\"Text/*\", \"*/*+json\"}\n"
                  "  compress_min = 10 compress_max = 1MB\n"
                  "  zstd_level = 7 gzip_level = 10 br_quick = 0\n"
                  "  decompress = no\n"
                  "  origin_encoding = {br, identity}\n"
                  "  precompressed = {zstd}\n"
                  "}\n"
                  "coder_memory = 1MB compress_threads = 3 compress_queue = 7\n"
                  "decompress_ratio = 20 decompress_free = 4KB\n"
                  "admin \"127.0.0.1:8081\" { token = \"t0ken\" }\n"
                  "log { level = warn access = \"-\" access_format = json }\n",
                  (struct config_args){0});
    const struct origin_settings *origin = config->proxy.origins;
    const struct site_settings *site = config->proxy.sites;

    (void)state;
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->proxy.head_ms, 250);
    assert_int_equal(config->proxy.idle_ms, 120000);
    assert_int_equal(config->proxy.head_limits.line_max, 4096);
    assert_true(config->proxy.keep_tags);
    assert_string_equal(config->proxy.node_name, "edge-1");
    assert_int_equal(config->proxy.purge_from_n, 2);
    assert_int_equal(config->listens_n, 2);
    assert_string_equal(config->store.path, "/tmp/x//y");
    assert_int_equal(config->store.size_len, 64 << 20);
    assert_int_equal(config->store.batch_ms, 50);
    assert_int_equal(config->proxy.origins_n, 1);
    assert_string_equal(origin->name, "app");
    assert_string_equal(origin->host_header, "app.internal");
    assert_int_equal(origin->first_byte_ms, 7000);
    assert_int_equal(origin->servers_n, 2);
    assert_string_equal(origin->servers[0].host, "10.0.0.5");
    assert_int_equal(origin->servers[0].port, 3000);
    assert_int_equal(origin->servers[0].weight, 2);
    assert_int_equal(origin->servers[1].port, 80);
    assert_int_equal(origin->servers[1].weight, 1);
    assert_int_equal(config->proxy.sites_n, 1);
    assert_int_equal(site->hosts_n, 2);
    assert_string_equal(site->hosts[0], "www.example.com");
    assert_string_equal(site->hosts[1], "example.com:8080");
    assert_int_equal(site->cache.default_ttl_s, 3600);
    assert_int_equal(site->share_percent, 25);
    assert_int_equal(site->store_on, SITE_STORE_ON_SECOND);
    assert_int_equal(site->group, store_group(SLICE("www")));
    assert_int_equal(config->store.shares_n, 1);
    assert_int_equal(config->store.shares[0].percent, 25);
    assert_int_equal(config->store.shares[0].group, site->group);
    assert_int_equal(site->cache.status_ttls_n, 2);
    assert_int_equal(site->cache.status_ttls[0].status, 404);
    assert_int_equal(site->cache.status_ttls[0].ttl_s, 60);
    assert_int_equal(site->cache.status_ttls[1].status, 5);
    assert_int_equal(site->cache.status_ttls[1].ttl_s, 2);
    assert_false(site->cache.heuristic);
    assert_int_equal(site->cache.targeted_fields_n, 2);
    assert_string_equal(site->cache.targeted_fields[0], "edge-cache-control");
    assert_string_equal(site->cache.targeted_fields[1], "cdn-cache-control");
    assert_int_equal(site->key_fields_n, 2);
    assert_string_equal(site->key_fields[0], "x-forwarded-proto");
    assert_string_equal(site->key_fields[1], "device");
    assert_int_equal(site->key_cookies_n, 2);
    assert_string_equal(site->key_cookies[1], "Theme");
    assert_true(site->target.ignore_case && site->target.sort);
    assert_int_equal(site->target.drop_n, 2);
    assert_string_equal(site->target.drop[0], "utm_*");
    assert_string_equal(site->target.drop[1], "Id[]");
    assert_int_equal(site->target.keep_n, 0);
    assert_coding_is_read(config);
    assert_true(config->admin.on);
    assert_string_equal(config->admin.token, "t0ken");
    assert_int_equal(config->log.level, LOG_WARN);
    assert_string_equal(config->log.access, "-");
    assert_int_equal(config->log.access_format, CONFIG_ACCESS_JSON);
    config_free(&config);
    assert_null(config);
}

static void
defaults_are_safe(void **state)
{
    struct config *config = load_good(ORIGIN, (struct config_args){0});

    (void)state;
    assert_true(config->workers >= 1);
    assert_int_equal(config->listens_n, 1);
    assert_true(sock_addr_is_loopback(&config->listens[0].addr));
    assert_false(config->admin.on);
    assert_null(config->log.access);
    assert_int_equal(config->proxy.head_ms, 10000);
    assert_int_equal(config->proxy.head_limits.head_max, 32768);
    assert_int_equal(config->proxy.purge_from_n, 2);
    assert_int_equal(config->proxy.watch.connections_max, 10000);
    assert_int_equal(config->proxy.watch.half_open_max, 5000);
    assert_int_equal(config->proxy.watch.per_address_max, 5000);
    assert_int_equal(config->store.size_len, 1 << 30);
    assert_true(config->store.readers_max > config->workers);
    assert_non_null(config->store.path);
    assert_int_equal(config->proxy.sites_n, 1); /* the only origin answers for any host */
    assert_int_equal(config->proxy.sites[0].hosts_n, 0);
    assert_true(config->proxy.sites[0].cache.heuristic);
    assert_int_equal(config->proxy.sites[0].coding.variant.codings[0], CODING_BR);
    assert_int_equal(config->proxy.sites[0].coding.precompressed_n, 0);
    assert_string_equal(config->proxy.sites[0].coding.accept, "identity");
    config_free(&config);
}

static void
faults_name_line_and_remedy(void **state)
{
    static const struct {
        const char *why, *text, *want;
    } cases[] = {
        {"an unknown directive suggests the nearest", "# c\n\nworkres = 3\n" ORIGIN,
         "conf:3: unknown directive \"workres\"; did you mean \"workers\"?\n"},
        {"in a section too", "store {\n  # c\n  sise = 3\n}\n" ORIGIN,
         "conf:3: unknown directive \"sise\"; did you mean \"size\"?\n"},
        {"a section is meant", "orign \"a\" {}\n",
         "conf:1: unknown directive \"orign\"; did you mean \"origin\"?\n"},
        {"a directive of another section", "log { connect_timeout = 1s }\n" ORIGIN,
         "conf:1: \"connect_timeout\" does not belong here; put it into a section of origin\n"},
        {"nothing is near", "xyzzyplugh = 1\n" ORIGIN,
         "conf:1: unknown directive \"xyzzyplugh\"; brink --help-directives lists them all\n"},
        {"a duration", "/* c\n c */ head_timeout = 3x\n" ORIGIN,
         "conf:2: head_timeout = 3x is not a duration; write a number with a unit, such as 250ms, "
         "3s "
         "or 5m\n"},
        {"a lifetime of no status",
         "site \"a\" { status_ttl = {\"404=1m\", \"6xx=1h\", \"99=1s\"} }\n" ORIGIN,
         "conf:1: status_ttl: \"99=1s\" is not a lifetime; " TTLS_WANTED},
        {"a lifetime without a time", "site \"a\" { status_ttl = \"404\" }\n" ORIGIN,
         "conf:1: status_ttl: \"404\" is not a lifetime; " TTLS_WANTED},
        {"a lifetime of half seconds", "site \"a\" { status_ttl = {\"404=1500ms\"} }\n" ORIGIN,
         "conf:1: status_ttl: \"404=1500ms\" is not a lifetime; " TTLS_WANTED},
        {"an interim status", "site \"a\" { status_ttl = {\"1xx=1s\"} }\n" ORIGIN,
         "conf:1: status_ttl: \"1xx=1s\" is not a lifetime; " TTLS_WANTED},
        {"a class twice", "site \"a\" { status_ttl = {\"4xx=1s\", \"4XX=2s\"} }\n" ORIGIN,
         "conf:1: status_ttl: \"4XX=2s\" is there twice; " TTLS_WANTED},
        {"seconds are whole", "site \"a\" { default_ttl = 1500ms }\n" ORIGIN,
         "conf:1: default_ttl = 1500ms is not a duration; write a number with a unit, such as 30s, "
         "1h "
         "or 1d\n"},
        {"a share without its sign", "site \"a\" { share = 20 }\n" ORIGIN,
         "conf:1: share = 20 is not a percentage; write a whole number with a sign, such as 20%\n"},
        {"a share that is more than all", "site \"a\" { share = 101% }\n" ORIGIN,
         "conf:1: share = 101% is out of range; give 0% to 100%\n"},
        {"shares that are more than all",
         "site \"a\" { hosts = \"a.test\" share = 60% }\nsite \"b\" { hosts = \"b.test\" }\n"
         "site \"c\" { hosts = \"c.test\" share = \"41%\" }\n" ORIGIN,
         "conf:3: the shares of sites \"a\" 60%, \"c\" 41% are 101% together; give away 100% at "
         "most\n"},
        {"the second request without a memory of the first",
         "store { seen_memory = 0 }\nsite \"a\" { store_on = second }\n" ORIGIN,
         "conf:2: site \"a\" stores at the second request, and nothing remembers the first: "
         "seen_memory is 0; raise it, or take store_on away\n"},
        {"a size out of range", "line_max = 1GB // c\n" ORIGIN,
         "conf:1: line_max = 1GB is out of range; give 256 to 64KB\n"},
        {"a size past 64 bits", "line_max = 99999999999TB\n" ORIGIN,
         "conf:1: line_max = 99999999999TB is out of range; give 256 to 64KB\n"},
        {"a negative number", "workers = -1\n" ORIGIN,
         "conf:1: workers = -1 is not a number; write a whole number\n"},
        {"a flag", "keep_tags = maybe\n" ORIGIN,
         "conf:1: keep_tags = maybe is neither yes nor no; write yes or no\n"},
        {"a choice", "log { level = loud }\n" ORIGIN,
         "conf:1: level = loud is unknown; choose one of: debug info warn error\n"},
        {"a network", "purge_from = {\"::1\", \"10.0.0.0/99\"}\n" ORIGIN,
         "conf:1: purge_from: \"10.0.0.0/99\" is not an address or network; write addresses such "
         "as "
         "{\"127.0.0.1\", \"10.0.0.0/8\"}\n"},
        {"a host", "site \"a\" { hosts = {\"a b\"} }\n" ORIGIN,
         "conf:1: hosts: \"a b\" is not a host name; write names such as {\"www.example.com\", "
         "\"example.com\"}\n"},
        {"a name of a field", "site \"a\" { key_fields = {\"X-A\", \"a b\"} }\n" ORIGIN,
         "conf:1: key_fields: \"a b\" is not a name; write each once, such as {\"websocket\"} or "
         "{\"X-Device\"}\n"},
        {"a word with a blank", "site \"a\" { query_drop = {\"a b\"} }\n" ORIGIN,
         "conf:1: query_drop: \"a b\" is not a word; write each once, such as {\"fbclid\", "
         "\"utm_*\"}\n"},
        {"a word twice", "site \"a\" { query_keep = {a, A, a} }\n" ORIGIN,
         "conf:1: query_keep: \"a\" is there twice; write each once, such as {\"fbclid\", "
         "\"utm_*\"}\n"},
        {"names of no parameters",
         ORIGIN "site \"a\" {\n query_keep = {\"a=1\", \"a&b\", \"u*m\", \"a#\", \"a%20*\"} }\n",
         "conf:2: query_keep: \"a=1\" is no name of a parameter; write what stands before the =, "
         "with * for any ending\n"
         "conf:2: query_keep: \"a&b\" is no name of a parameter; write what stands before the =, "
         "with * for any ending\n"
         "conf:2: query_keep: \"u*m\" is no name of a parameter; write what stands before the =, "
         "with * for any ending\n"
         "conf:2: query_keep: \"a#\" is no name of a parameter; write what stands before the =, "
         "with * for any ending\n"},
        {"an unknown coding", ORIGIN "site \"a\" {\n compress = {br,\n \"deflate\"} }\n",
         "conf:3: compress: \"deflate\" is unknown; choose each once of: br zstd gzip; \"\" is "
         "none\n"},
        {"identity is no compression", "site \"a\" { precompressed = identity }\n" ORIGIN,
         "conf:1: precompressed: \"identity\" is unknown; choose each once of: br zstd gzip; \"\" "
         "is none\n"},
        {"a coding twice", "site \"a\" { origin_encoding = {gzip, GZIP} }\n" ORIGIN,
         "conf:1: origin_encoding: \"GZIP\" is there twice; choose each once of: identity br zstd "
         "gzip; \"\" is none\n"},
        {"a level that gzip has not", "site \"a\" { gzip_level = 13 }\n" ORIGIN,
         "conf:1: gzip_level = 13 is out of range; give 1 to 12\n"},
        {"a level of one go", "site \"a\" { gzip_quick = 10 }\n" ORIGIN,
         "conf:1: gzip_quick = 10 is out of range; give 1 to 9\n"},
        {"a level that br has not", "site \"a\" { br_level = 12 }\n" ORIGIN,
         "conf:1: br_level = 12 is out of range; give 0 to 11\n"},
        {"a level whose window nobody must have", "site \"a\" { zstd_level = 20 }\n" ORIGIN,
         "conf:1: zstd_level = 20 is out of range; give 1 to 19\n"},
        {"half a type", "site \"a\" { compress_types = {\"text/*\", text} }\n" ORIGIN,
         "conf:1: compress_types: \"text\" is not a media type; " TYPES_WANTED},
        {"an empty half", "site \"a\" { compress_types = {\"text/\"} }\n" ORIGIN,
         "conf:1: compress_types: \"text/\" is not a media type; " TYPES_WANTED},
        {"a type with a parameter", "site \"a\" { compress_types = {\"text/a;b=c\"} }\n" ORIGIN,
         "conf:1: compress_types: \"text/a;b=c\" is not a media type; " TYPES_WANTED},
        {"two stars in a half", "site \"a\" { compress_types = {\"text/*x*\"} }\n" ORIGIN,
         "conf:1: compress_types: \"text/*x*\" is not a media type; " TYPES_WANTED},
        {"a type twice", "site \"a\" { compress_types = {\"a/b\", \"A/B\"} }\n" ORIGIN,
         "conf:1: compress_types: \"A/B\" is there twice; " TYPES_WANTED},
        {"lengths that exclude each other",
         ORIGIN "site \"a\" {\n compress_min = 2KB compress_max = 1KB }\n",
         "conf:2: site \"a\": compress_min is larger than compress_max, so that nothing compressed "
         "would be kept; lower it, or set compress_max = 0 if that is meant\n"},
        {"both lists of parameters",
         ORIGIN "site \"a\" {\n query_keep = {a}\n query_drop = {b} }\n",
         "conf:2: query_drop and query_keep exclude each other; take one of them away\n"},
        {"no cookie", ORIGIN "site \"a\" {\n key_cookies = {\"a;b\"} }\n",
         "conf:2: key_cookies: \"a;b\" is no name of a cookie; take it away\n"},
        {"too many cookies",
         ORIGIN "site \"a\" {\n key_cookies = {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q} "
                "}\n",
         "conf:2: key_cookies names 17 cookies, each sought in every request; name 16 at most\n"},
        {"too many parameters", ORIGIN "site \"a\" {\n query_drop = {" SIXTY_FIVE "} }\n",
         "conf:2: query_drop names 65 parameters, each compared with those of every query; name 64 "
         "at most\n"},
        {"a targeted field that is none",
         "site \"a\" { targeted_fields = {\"Cache-Control\"} }\n" ORIGIN,
         "conf:1: targeted_fields: \"cache-control\" is no targeted field; take it away\n"},
        {"too many targeted fields",
         ORIGIN "site \"a\" {\n targeted_fields = {a, b, c, d, e, f, g, h, i} }\n",
         "conf:2: targeted_fields names 9 fields, each sought in every response; name 8 at most\n"},
        {"a field that is in no key", ORIGIN "site \"a\" {\n key_fields = {\"Range\", \"TE\"} }\n",
         "conf:2: key_fields: \"range\" cannot be part of a key; take it away\n"
         "conf:2: key_fields: \"te\" cannot be part of a key; take it away\n"},
        {"too many fields in a key",
         ORIGIN "site \"a\" {\n key_fields = {a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q} "
                "}\n",
         "conf:2: key_fields names 17 fields, each sought in every request; name 16 at most\n"},
        {"an address", ORIGIN "listen \"8080\" {}\n",
         "conf:2: listen 8080 is not an address; write ADDRESS:PORT, such as 127.0.0.1:8080 or "
         "[::1]:8080\n"},
        {"a server", "origin \"a\" {\n server \"a:99999\" {}\n}\n",
         "conf:2: server a:99999 is not an address; write HOST:PORT, such as 10.0.0.5:3000\n"},
        {"a server is no URL", "origin \"a\" {\n server \"http://a\" {}\n}\n",
         "conf:2: server http://a: write HOST:PORT without http://\n"},
        {"twice the same", "workers = 1\n\nworkers = 2\n" ORIGIN,
         "conf:3: workers is given twice, first on line 1; keep one\n"},
        {"two stores", "store {}\nstore {}\n" ORIGIN,
         "conf:2: store is given twice, first on line 1; keep one\n"},
        {"two origins of one name", ORIGIN ORIGIN,
         "conf:2: the name \"app\" is taken by another section; choose another than app\n"},
        {"no origin", "workers = 1\n",
         "conf:1: no origin: nothing to stand in front of; add origin \"NAME\" { server "
         "\"HOST:PORT\" "
         "{} }\n"},
        {"no server", "\norigin \"a\" {\n  idle_max = 1\n}\n",
         "conf:2: origin \"a\" has no server; add server \"HOST:PORT\" {}\n"},
        {"a site's origin", ORIGIN "site \"w\" {\n\n  origin = \"ap\"\n}\n",
         "conf:4: there is no origin \"ap\"; did you mean \"app\"?\n"},
        {"a site must say which", ORIGIN "origin \"b\" { server \"b\" {} }\nsite \"w\" {}\n",
         "conf:3: site \"w\" does not say which origin; add origin = \"NAME\"\n"},
        {"a host belongs to one site",
         ORIGIN "site \"w\" { hosts = \"a\" }\nsite \"x\" { hosts = \"A:80\" }\n",
         "conf:3: host \"a\" belongs to site \"w\" already; name it once\n"},
        {"a site that is never reached", ORIGIN "site \"w\" { }\nsite \"x\" { hosts = \"a\" }\n",
         "conf:3: site \"x\" is never reached: \"w\" before it has no hosts and takes all; move "
         "that "
         "one to the end\n"},
        {"an open admin without a token", ORIGIN "admin \"0.0.0.0:8081\" {}\n",
         "conf:2: the admin address 0.0.0.0:8081 can be reached from outside and asks for no "
         "token; "
         "set token = \"...\", or use 127.0.0.1\n"},
        {"a name for headers", "node_name = \"a b\"\n" ORIGIN,
         "conf:1: node_name \"a b\" cannot stand in a header; use letters, digits and -._\n"},
        {"an open section", ORIGIN "\nstore {\n size = 1GB\n",
         "conf:3: this { is never closed; write } where its section ends\n"},
        {"an open quote", ORIGIN "node_name = \"abc\n",
         "conf:2: this quote is never closed; end the text with the same quote\n"},
        {"a brace too many", ORIGIN "}\n", "conf:2: this } closes nothing; take it away\n"},
        {"an empty list is not what it seems", "purge_from = { }\n" ORIGIN,
         "conf:1: this list is empty, which would mean its default; write {\"\"}\n"},
        {"no equal sign", "workers 3\n" ORIGIN,
         "conf:1: there is no = after \"workers\"; write workers = VALUE\n"},
        {"no name", "origin {}\n", "conf:1: origin needs a name; write origin \"NAME\" { ... }\n"},
        {"a control character", "node_name = \"a\tb\"\n" ORIGIN,
         "conf:1: node_name holds a control character; write a text without control characters\n"},
        {"every fault is told, in order",
         "workers = x\nstore {\n  size = 1\n}\nfields_max = 9999\n" ORIGIN,
         "conf:1: workers = x is not a number; write a whole number\n"
         "conf:3: size = 1 is out of range; give 4MB to 64TB\n"
         "conf:5: fields_max = 9999 is out of range; give 8 to 200\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        print_message("case: %s\n", cases[i].why);
        assert_faults(cases[i].text, (struct config_args){0}, cases[i].want);
    }
}

static void
the_command_line_needs_no_file(void **state)
{
    static const char *const listens[] = {"127.0.0.1:0", "[::1]:0"};
    static const char *const sets[] = {"store.batch_time=50ms", "origin.connect_timeout=1s",
                                       "site.default_ttl=30s", "workers=2",
                                       "purge_from=10.0.0.0/8,::1,127.0.0.1"};
    const struct config_args args = {.listens = listens,
                                     .listens_n = 2,
                                     .origin = "http://127.0.0.1:3000/",
                                     .store_path = "/tmp/s",
                                     .store_size = "64MB",
                                     .workers = "7",
                                     .admin = "127.0.0.1:0",
                                     .sets = sets,
                                     .sets_n = ARRAY_LEN(sets)};
    struct config *config = load_good(NULL, args);

    (void)state;
    assert_int_equal(config->listens_n, 2);
    assert_string_equal(config->proxy.origins[0].servers[0].host, "127.0.0.1");
    assert_int_equal(config->proxy.origins[0].servers[0].port, 3000);
    assert_int_equal(config->proxy.origins[0].connect_ms, 1000);
    assert_int_equal(config->proxy.origins[0].first_byte_ms, 30000); /* the others stay */
    assert_int_equal(config->proxy.sites[0].cache.default_ttl_s, 30);
    assert_string_equal(config->store.path, "/tmp/s");
    assert_int_equal(config->store.size_len, 64 << 20);
    assert_int_equal(config->store.batch_ms, 50);
    assert_int_equal(config->workers, 2); /* --set comes last */
    assert_int_equal(config->purge_from.n, 3);
    assert_true(config->admin.on);
    config_free(&config);
}

static void
the_command_line_goes_over_the_file(void **state)
{
    static const char *const listens[] = {"127.0.0.1:9"}, *const sets[] = {"origin.idle_max=5"};
    const struct config_args args = {
        .listens = listens, .listens_n = 1, .store_size = "8MB", .sets = sets, .sets_n = 1};
    struct config *config = load_good("listen \"127.0.0.1:8080\" {}\nlisten \"[::1]:8080\" {}\n"
                                      "store { size = 1GB path = \"/tmp/p\" }\n"
                                      "origin \"b\" { idle_max = 9 server \"b\" {} }\n"
                                      "site \"b\" { origin = \"b\" }\n",
                                      args);

    (void)state;
    assert_int_equal(config->listens_n, 1);
    assert_string_equal(config->listens[0].text, "127.0.0.1:9");
    assert_int_equal(config->store.size_len, 8 << 20);
    assert_string_equal(config->store.path, "/tmp/p");
    assert_int_equal(config->proxy.origins[0].idle_max, 5);
    config_free(&config);
}

static void
faults_of_the_command_line(void **state)
{
    static const struct {
        const char *why, *text, *origin, *set, *want;
    } cases[] = {
        {"nothing at all", NULL, NULL, NULL,
         "brink: no origin: nothing to stand in front of; give --origin http://HOST:PORT, or a "
         "file "
         "with -c\n"},
        {"TLS", NULL, "https://a", NULL,
         "brink: --origin https://a: TLS to origins comes later; use http://\n"},
        {"no scheme", NULL, "a:80", NULL,
         "brink: --origin a:80 is not an http URL; write http://HOST:PORT, such as "
         "http://127.0.0.1:3000\n"},
        {"a path", NULL, "http://a/b", NULL,
         "brink: --origin http://a/b names a path; write http://HOST:PORT alone\n"},
        {"a port", NULL, "http://a:b", NULL,
         "brink: --origin http://a:b is not an address; write HOST:PORT, such as 10.0.0.5:3000\n"},
        {"beside a file's", ORIGIN, "http://a", NULL,
         "brink: --origin http://a: the file names its origins already; use one or the other\n"},
        {"an unknown key", NULL, "http://a", "store.sise=1",
         "brink: --set store.sise: unknown directive; did you mean \"store.size\"?\n"},
        {"an unknown key with a secret", NULL, "http://a", "admin.tokn=c2VjcmV0",
         "brink: --set admin.tokn: unknown directive; did you mean \"admin.token\"?\n"},
        {"a secret that cannot be", NULL, "http://a", "admin.token=c2VjcmV0\x01",
         "brink: --set admin.token: token holds a control character; write a text without control "
         "characters\n"},
        {"no value", NULL, "http://a", "store.size",
         "brink: --set store.size has no =; write --set KEY=VALUE, such as store.size=64MB\n"},
        {"a bad value", NULL, "http://a", "origin.connect_timeout=1h",
         "brink: --set origin.connect_timeout: connect_timeout = 1h is out of range; give 10ms "
         "to "
         "1m\n"},
        {"a list too long", NULL, "http://a",
         "site.hosts=a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,"
         "a,a,a,a,"
         "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a",
         "brink: --set site.hosts: more than 64 items; write the list in a file\n"},
        {"a server's", NULL, "http://a", "server.weight=2",
         "brink: --set server.weight: this belongs to one server; set it in the file\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_args args = {.origin = cases[i].origin,
                                   .sets = &cases[i].set,
                                   .sets_n = cases[i].set == NULL ? 0 : 1};

        print_message("case: %s\n", cases[i].why);
        assert_faults(cases[i].text, args, cases[i].want);
    }
}

static void
an_unreadable_file_is_a_fault(void **state)
{
    struct config *config = NULL;
    char *faults = NULL;
    size_t len;
    FILE *stream = open_memstream(&faults, &len);

    (void)state;
    assert_int_equal(
        config_load(&(struct config_args){.path = "/nonexistent/brink.conf"}, stream, &config),
        ERR_SYNTAX);
    assert_int_equal(fclose(stream), 0);
    assert_non_null(strstr(faults, "/nonexistent/brink.conf: cannot be read: No such file"));
    free(faults);
}

/* A list of networks or hosts may be empty, a value not. */
static void
an_empty_list_is_a_list(void **state)
{
    struct config *config = load_good("purge_from = {\"\"}\n" ORIGIN, (struct config_args){0});

    (void)state;
    assert_int_equal(config->proxy.purge_from_n, 0);
    config_free(&config);
}

/* RFC 9110 sections 5.1 and 5.6.2: a name is a token, and the same in any case. */
static void
names_are_tokens_in_lower_case(void **state)
{
    static const struct config_directive directive = {.name = "words",
                                                      .kind = KIND_names,
                                                      .field_len = sizeof(struct config_texts),
                                                      .most = "h2c tls"};
    static const struct {
        const char *items[3];
        size_t n;
        const char *want;
    } cases[] = {
        {{"websocket", "X-Forwarded_Host"}, 2, "websocket x-forwarded_host"},
        {{""}, 1, ""},
        {{"!#$%&'*+-.^_`|~09az"}, 1, "!#$%&'*+-.^_`|~09az"},
        {{"a", "b c"}, 2, "words: \"b c\" is not a name; "},
        {{"a:"}, 1, "words: \"a:\" is not a name; "},
        {{"HTTP/2.0"}, 1, "words: \"HTTP/2.0\" is not a name; "},
        {{"X-A", "b", "x-a"}, 3, "words: \"x-a\" is there twice; "},
        {{"websocket", "H2C"}, 2, "words: \"H2C\" is refused: requests in it would pass unseen; "},
        {{"h2", "h2c tls"}, 2, "words: \"h2c tls\" is not a name; "},
        {{"c", "tls"}, 2, "words: \"tls\" is refused: requests in it would pass unseen; "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_texts texts = {0};
        struct slice values[3];
        struct arena arena;
        char got[256] = "", *end = got;
        enum err rc;

        print_message("case: %s\n", cases[i].want);
        arena_init(&arena, 0);
        for (size_t j = 0; j < cases[i].n; j++)
            values[j] = slice_from_str(cases[i].items[j]);
        rc = config_set(&arena, &directive, &texts, values, cases[i].n, got, sizeof(got));
        assert_int_equal(rc, strchr(cases[i].want, ';') == NULL ? OK : ERR_SYNTAX);
        for (size_t j = 0; j < texts.n; j++)
            end += snprintf(end, 128, j == 0 ? "%s" : " %s", texts.items[j]);
        assert_memory_equal(got, cases[i].want, strlen(cases[i].want));
        assert_true(rc != OK || strlen(got) == strlen(cases[i].want));
        arena_fini(&arena);
    }
}

static void
comments_become_blanks(void **state)
{
    static const struct {
        const char *why, *in, *want;
        unsigned fault_line;
    } cases[] = {
        {"a hash", "a = 1 # b\nc", "a = 1    \nc", 0},
        {"slashes", "a = 1 // b\nc", "a = 1     \nc", 0},
        {"a block keeps its lines", "a /* x\ny */ b", "a     \n     b", 0},
        {"not within quotes", "a = \"# // /* \\\" #\" #", "a = \"# // /* \\\" #\"  ", 0},
        {"not within a word", "a = http://b/*c", "a = http://b/*c", 0},
        {"a block that never ends", "a\n/* x\n", "a\n    \n", 2},
        {"a bracket in a comment", "a # }\n", "a    \n", 0},
        {"nested sections", "a {\n b {\n }\n", "a {\n b {\n }\n", 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_text_fault fault;
        char text[64];

        print_message("case: %s\n", cases[i].why);
        (void)snprintf(text, sizeof(text), "%s", cases[i].in);
        config_text_prepare(text, strlen(text), &fault);
        assert_string_equal(text, cases[i].want);
        assert_int_equal(fault.line, cases[i].fault_line);
        assert_int_equal(fault.what != NULL, cases[i].fault_line != 0);
    }
}

static void
the_nearest_name_is_found(void **state)
{
    static const char *const names[] = {"listen", "store", "origin", NULL};

    (void)state;
    assert_int_equal(config_distance("kitten", "sitting"), 3);
    assert_int_equal(config_distance("", "abc"), 3);
    assert_int_equal(config_distance("same", "same"), 0);
    assert_string_equal(config_nearest("stroe", names), "store");
    assert_string_equal(config_nearest("orgin", names), "origin");
    assert_null(config_nearest("nothing_like_it", names));
}

/* Loading with the nth allocation failing ends in ERR_NOMEM, leaks nothing and never crashes. */
static void
memory_may_run_out(void **state)
{
    static const char text[] =
        "store { size = 64MB }\nsite \"a\" { hosts = {\"A\", \"b\"} }\n" ORIGIN;

    (void)state;
    for (unsigned nth = 1; nth < 40; nth++) {
        struct config *config = NULL;
        char *faults;
        enum err rc;

        mem_fail_at(nth);
        rc = load(text, (struct config_args){0}, &config, &faults);
        mem_fail_at(0);
        assert_true(rc == ERR_NOMEM || rc == OK);
        assert_int_equal(rc == OK, config != NULL);
        free(faults);
        config_free(&config);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(defaults_are_safe),
        cmocka_unit_test(faults_name_line_and_remedy),
        cmocka_unit_test(the_command_line_needs_no_file),
        cmocka_unit_test(the_command_line_goes_over_the_file),
        cmocka_unit_test(faults_of_the_command_line),
        cmocka_unit_test(an_unreadable_file_is_a_fault),
        cmocka_unit_test(an_empty_list_is_a_list),
        cmocka_unit_test(names_are_tokens_in_lower_case),
        cmocka_unit_test(comments_become_blanks),
        cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(memory_may_run_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
