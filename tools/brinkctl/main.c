/* brinkctl: what an operator asks of a running brink, over its admin listener.
 *
 * Exit: 0 done; 1 brink refused, or has nothing of it; 2 the command line is wrong; 3 brink is not
 * reached. */
#include <jansson.h>
#include <stdlib.h>

#include "command.h"
#include "show.h"

static void
print_help(FILE *out)
{
    fputs("brinkctl " BRINK_VERSION ": asks a running brink\n"
          "\n"
          "  brinkctl [--admin ADDR:PORT] [--json] COMMAND\n"
          "\n"
          "  stats                    every counter\n"
          "  purge URL...             forget these URLs, every variant of them\n"
          "  purge --prefix P...      whatever begins so: www.example.com/img/\n"
          "  purge --host H...        whatever is of these hosts\n"
          "  purge --tag T...         whatever carries one of these tags\n"
          "  purge --everything       all of it\n"
          "        --soft, --wait     mark stale instead; wait until that is done to all\n"
          "  purge --status ID        how far a purge has come; --wait: until it is done\n"
          "  inspect URL              what is stored there: variants, age, ttl, size, tags\n"
          "  explain URL              what would be done with a request for it, and why\n"
          "        -X METHOD, -H 'FIELD: VALUE' (any number), -d CONTENT: with these\n"
          "  check [--rate 50MB]      read the whole store; what is bad is dropped\n"
          "        --status, --stop   of a check that runs\n"
          "  ready                    is it ready? exit 0 when it is\n"
          "\n"
          "  --json                   the answer as it came\n"
          "  --admin ADDR:PORT        brink's --admin; or BRINK_ADMIN; 127.0.0.1:8081\n"
          "  BRINK_TOKEN              the admin section's token, when it has one\n"
          "\n"
          "Exit: 0 done, 1 refused or not found, 2 wrong words, 3 brink not reached.\n",
          out);
}

int
command_usage(const char *what, const char *word)
{
    fprintf(stderr, "brinkctl: %s%s; brinkctl --help shows how\n", what, word);
    return EXIT_USAGE;
}

/* --- answers --- */

void
command_refused(const struct client_reply *reply, const json_t *root)
{
    const char *error = json_string_value(json_object_get(root, "error"));
    const char *hint = json_string_value(json_object_get(root, "hint"));

    if (error != NULL) {
        fprintf(stderr, "brinkctl: ");
        show_text(stderr, slice_from_str(error));
        fprintf(stderr, "%s", hint == NULL ? "" : "; ");
        show_text(stderr, hint == NULL ? SLICE_NONE : slice_from_str(hint));
    } else {
        fprintf(stderr, "brinkctl: status %u: ", reply->status);
        show_text(stderr, slice_of(reply->body, strcspn(reply->body, "\r\n")));
    }
    fprintf(stderr, "\n");
}

int
command_fetch(const struct command *command, const char *method, const char *target,
              const char *body, struct client_reply *out)
{
    char why[512] = "";

    if (client_ask(&command->client, method, target, body, out, why, sizeof(why)) == OK)
        return 0;
    fprintf(stderr, "brinkctl: %s\n", why);
    return EXIT_UNREACHED;
}

int
command_show(const struct command *command, struct client_reply *reply,
             void (*show)(const json_t *root, FILE *out))
{
    json_t *root = json_loadb(reply->body, reply->len, 0, NULL);
    int status = reply->status == 200 ? EXIT_SUCCESS : EXIT_FAILURE;

    if (command->json || (reply->status == 200 && show == NULL)) {
        (void)fwrite(reply->body, 1, reply->len, stdout);
    } else if (reply->status == 200 && root != NULL) {
        show(root, stdout);
    } else {
        command_refused(reply, root);
    }
    json_decref(root);
    mem_free(reply->body);
    reply->body = NULL;
    return status;
}

/* Ask, then show. */
static int
ask(const struct command *command, const char *method, const char *target, const char *body,
    void (*show)(const json_t *root, FILE *out))
{
    struct client_reply reply = {0};
    int status = command_fetch(command, method, target, body, &reply);

    return status == 0 ? command_show(command, &reply, show) : status;
}

/* --- commands --- */

static int
run_stats(const struct command *command)
{
    if (command->words_n > 0)
        return command_usage("stats takes no ", command->words[0]);
    return ask(command, "GET", "/stats", NULL, show_stats);
}

static int
run_ready(const struct command *command)
{
    if (command->words_n > 0)
        return command_usage("ready takes no ", command->words[0]);
    return ask(command, "GET", "/readyz", NULL, NULL);
}

static int
run_inspect(const struct command *command)
{
    char *url, *target = NULL;
    int status;

    if (command->words_n != 1)
        return command_usage("inspect wants ", "one URL");
    url = client_encode(command->words[0]);
    if (url == NULL || asprintf(&target, "/inspect?url=%s", url) == -1) {
        mem_free(url);
        return EXIT_FAILURE;
    }
    status = ask(command, "GET", target, NULL, show_inspect);
    mem_free(url);
    free(target);
    return status;
}

/* One more parameter of the query. ERR_NOMEM. */
static enum err
add_parameter(char **target, const char *name, const char *text)
{
    char *encoded = client_encode(text), *longer = NULL;
    int n = encoded == NULL ? -1
                            : asprintf(&longer, "%s%c%s=%s", *target,
                                       strchr(*target, '?') == NULL ? '?' : '&', name, encoded);

    mem_free(encoded);
    if (n == -1)
        return ERR_NOMEM;
    free(*target);
    *target = longer;
    return OK;
}

/* What an option of explain is in the query; NULL: it is none. */
static const char *
parameter_of(const char *word)
{
    static const struct {
        const char *word, *name;
    } options[] = {{"-X", "method"}, {"-H", "header"}, {"-d", "content"}};

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (strcmp(word, options[i].word) == 0)
            return options[i].name;
    return NULL;
}

/* What the options and the URL make of the target; 0, or the exit status after a message. */
static int
take_explain_words(const struct command *command, char **target)
{
    bool has_url = false;

    for (int i = 0; i < command->words_n; i++) {
        const char *word = command->words[i], *name = "url";

        if (parameter_of(word) != NULL) {
            name = parameter_of(word);
            if (++i == command->words_n)
                return command_usage("explain wants more behind ", word);
            word = command->words[i];
        } else if (word[0] == '-') {
            return command_usage("explain does not know ", word);
        } else if (has_url) {
            return command_usage("explain takes one URL, not also ", word);
        } else {
            has_url = true;
        }
        if (add_parameter(target, name, word) != OK)
            return EXIT_FAILURE;
    }
    return has_url ? 0 : command_usage("explain wants ", "a URL");
}

static int
run_explain(const struct command *command)
{
    char *target = strdup("/explain");
    int status = target == NULL ? EXIT_FAILURE : take_explain_words(command, &target);

    if (status == 0)
        status = ask(command, "GET", target, NULL, show_explain);
    free(target);
    return status;
}

/* --- the command line --- */

static const struct {
    const char *name;
    int (*run)(const struct command *command);
} commands[] = {{"stats", run_stats},     {"purge", run_purge}, {"inspect", run_inspect},
                {"explain", run_explain}, {"check", run_check}, {"ready", run_ready}};

static int
run(struct command *command, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(command);
    return command_usage("unknown command ", name);
}

/* Takes --admin, --json, --help and --version out of the words, wherever they stand. -1: go on. */
static int
take_options(struct command *command, int argc, char **argv)
{
    const char *env = getenv("BRINK_ADMIN");

    command->client.addr = env == NULL ? "127.0.0.1:8081" : env;
    command->client.token = getenv("BRINK_TOKEN");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(stdout);
            return EXIT_SUCCESS;
        }
        if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-V") == 0) {
            printf("brinkctl %s\n", BRINK_VERSION);
            return EXIT_SUCCESS;
        }
        if (strcmp(argv[i], "--json") == 0)
            command->json = true;
        else if (strncmp(argv[i], "--admin=", 8) == 0)
            command->client.addr = argv[i] + 8;
        else if (strcmp(argv[i], "--admin") == 0 && i + 1 < argc)
            command->client.addr = argv[++i];
        else if (strcmp(argv[i], "--admin") == 0)
            return command_usage("--admin wants ", "ADDR:PORT");
        else
            command->words[command->words_n++] = argv[i];
    }
    return -1;
}

int
main(int argc, char **argv)
{
    struct command command = {.words = mem_zalloc((size_t)argc * sizeof(char *))};
    char **words = command.words;
    int status;

    if (words == NULL)
        return EXIT_FAILURE;
    status = take_options(&command, argc, argv);
    if (status == -1 && command.words_n == 0) {
        print_help(stderr);
        status = EXIT_USAGE;
    }
    if (status == -1) {
        command.words++;
        command.words_n--;
        status = run(&command, words[0]);
    }
    mem_free(words);
    return status;
}
