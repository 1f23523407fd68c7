/* The command line, by getopt_long; what it does not know is answered with the nearest it does. */
#include "daemon/options.h"

#include <getopt.h>

#include "daemon/config_tables.h"

enum {
    OPT_LISTEN = 256,
    OPT_ORIGIN,
    OPT_STORE,
    OPT_STORE_SIZE,
    OPT_WORKERS,
    OPT_ADMIN,
    OPT_SET,
    OPT_DIRECTIVES
};

static const struct option table[] = {
    {"config", required_argument, NULL, 'c'},
    {"test", no_argument, NULL, 't'},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"origin", required_argument, NULL, OPT_ORIGIN},
    {"store", required_argument, NULL, OPT_STORE},
    {"store-size", required_argument, NULL, OPT_STORE_SIZE},
    {"workers", required_argument, NULL, OPT_WORKERS},
    {"admin", required_argument, NULL, OPT_ADMIN},
    {"set", required_argument, NULL, OPT_SET},
    {"help-directives", no_argument, NULL, OPT_DIRECTIVES},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static enum err
add(const char **items, size_t *n, size_t max, const char *name, char *why, size_t why_cap)
{
    if (*n == max) {
        (void)snprintf(why, why_cap, "--%s is given more than %zu times; write a file, see -c",
                       name, max);
        return ERR_SYNTAX;
    }
    items[(*n)++] = optarg;
    return OK;
}

static enum err
take(int letter, struct options *options, char *why, size_t why_cap)
{
    struct config_args *args = &options->args;

    switch (letter) {
    case 'c':
        args->path = optarg;
        return OK;
    case 't':
        options->task = OPTIONS_TEST;
        return OK;
    case 'V':
        options->task = OPTIONS_VERSION;
        return OK;
    case 'h':
        options->task = OPTIONS_HELP;
        return OK;
    case OPT_DIRECTIVES:
        options->task = OPTIONS_DIRECTIVES;
        return OK;
    case OPT_LISTEN:
        return add(options->listens, &args->listens_n, OPTIONS_LISTENS_MAX, "listen", why, why_cap);
    case OPT_SET:
        return add(options->sets, &args->sets_n, OPTIONS_SETS_MAX, "set", why, why_cap);
    case OPT_ORIGIN:
        args->origin = optarg;
        return OK;
    case OPT_STORE:
        args->store_path = optarg;
        return OK;
    case OPT_STORE_SIZE:
        args->store_size = optarg;
        return OK;
    case OPT_WORKERS:
        args->workers = optarg;
        return OK;
    case OPT_ADMIN:
        args->admin = optarg;
        return OK;
    default:
        UNREACHABLE();
    }
}

/* getopt_long stopped at argv[at]: a name that is unknown, or one without its value. */
static void
explain(const char *word, bool value_missing, char *why, size_t why_cap)
{
    const char *names[ARRAY_LEN(table)];
    char name[64];
    const char *near;

    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        names[i] = table[i].name;
    near = strncmp(name, "--", 2) == 0 ? config_nearest(name + 2, names) : NULL;
    if (value_missing)
        (void)snprintf(why, why_cap, "%s needs a value; brink --help shows which", name);
    else if (near != NULL && strcmp(near, name + 2) == 0)
        (void)snprintf(why, why_cap, "%s takes no value; leave the = away", name);
    else if (near != NULL)
        (void)snprintf(why, why_cap, "unknown option %s; did you mean --%s?", name, near);
    else
        (void)snprintf(why, why_cap, "unknown option %s; brink --help lists them", name);
}

enum err
options_parse(int argc, char *const *argv, struct options *out, char *why, size_t why_cap)
{
    enum err rc = OK;
    int letter, at;

    memset(out, 0, sizeof(*out));
    out->args.listens = out->listens;
    out->args.sets = out->sets;
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    while (rc == OK) {
        at = optind == 0 ? 1 : optind;
        letter = getopt_long(argc, argv, "+:c:tVh", table, NULL);
        if (letter == -1)
            break;
        if (letter == '?' || letter == ':') {
            explain(argv[at], letter == ':', why, why_cap);
            return ERR_SYNTAX;
        }
        rc = take(letter, out, why, why_cap);
    }
    if (rc == OK && optind < argc) {
        (void)snprintf(why, why_cap, "%s is not an option; brink --help lists them", argv[optind]);
        return ERR_SYNTAX;
    }
    return rc;
}

void
options_print_help(FILE *out)
{
    fputs("brink " BRINK_VERSION ": a caching edge in front of origin servers\n"
          "\n"
          "  brink --origin http://127.0.0.1:3000     no file; listens on 127.0.0.1:8080\n"
          "  brink -c brink.conf                      everything from a file\n"
          "\n"
          "  -c, --config FILE        configuration file; the options below go over it\n"
          "  -t, --test               check the configuration, print it in short, and exit\n"
          "      --listen ADDR:PORT   where clients come in (may be repeated)\n"
          "      --origin URL         the server behind: http://HOST:PORT\n"
          "      --store DIR          where objects are kept\n"
          "      --store-size SIZE    how much of the disk they may take (1GB)\n"
          "      --workers N          worker threads (one for each core)\n"
          "      --admin ADDR:PORT    purge API, metrics and statistics (none)\n"
          "      --set KEY=VALUE      any directive, such as store.batch_time=50ms\n"
          "      --help-directives    every directive: kind, default, range, meaning\n"
          "  -V, --version            version, and exit\n"
          "  -h, --help               this text\n"
          "\n"
          "SIGTERM ends it within shutdown_timeout, a second one at once; SIGHUP and\n"
          "SIGUSR1 reopen the access log. Manuals: brink(8), brink.conf(5), brinkctl(1).\n",
          out);
}
