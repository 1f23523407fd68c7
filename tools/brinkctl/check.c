/* brinkctl check: begins a check of the store, shows how far it is, and tells what it found. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "show.h"

enum { POLL_MS = 200 };

static int64_t
number(const json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

static bool
is_state(const json_t *root, const char *state)
{
    const char *text = json_string_value(json_object_get(root, "state"));

    return text != NULL && strcmp(text, state) == 0;
}

static void
print_count(FILE *out, int64_t n, const char *one, const char *many)
{
    fprintf(out, "%" PRId64 " %s", n, n == 1 ? one : many);
}

void
show_check(const json_t *root, FILE *out)
{
    const char *state = json_string_value(json_object_get(root, "state"));

    if (is_state(root, "none")) {
        fprintf(out, "no check was made since brink started");
        return;
    }
    show_text(out, slice_from_str(state == NULL ? "?" : state));
    if (!is_state(root, "done"))
        fprintf(out, " at %.1f %%", 100 * json_real_value(json_object_get(root, "done")));
    fprintf(out, ": ");
    print_count(out, number(root, "objects"), "object", "objects");
    fprintf(out, " right");
    if (number(root, "members") > 0)
        fprintf(out, ", %" PRId64 " of them in other codings", number(root, "members"));
    fprintf(out, ", ");
    show_bytes(out, number(root, "bytes"));
    fprintf(out, ", %" PRId64 " damaged", number(root, "bad"));
}

/* What follows from it. */
static void
tell_end(const json_t *root, FILE *out)
{
    const char *why = json_string_value(json_object_get(root, "why"));
    int64_t lost = number(root, "lost_pages");

    show_check(root, out);
    fprintf(out, "\n");
    if (number(root, "bad") > 0)
        fprintf(out,
                "what was damaged has been dropped, and is fetched again when it is asked for; "
                "the event log names it; look at the disk\n");
    if (lost != 0)
        fprintf(out, "%" PRId64 " of %" PRId64 " pages of the file are lost\n", lost,
                number(root, "file_pages"));
    if (why != NULL) {
        fprintf(out, "it failed: ");
        show_text(out, slice_from_str(why));
        fprintf(out, "\n");
    }
}

/* One request. *out_root is the caller's; NULL with a status that is not 0. */
static int
ask(const struct command *command, const char *method, const char *body, json_t **out_root)
{
    struct client_reply reply = {0};
    char why[512] = "";
    json_t *root;
    int status = EXIT_SUCCESS;

    *out_root = NULL;
    if (client_ask(&command->client, method, "/check", body, &reply, why, sizeof(why)) != OK) {
        fprintf(stderr, "brinkctl: %s\n", why);
        return EXIT_UNREACHED;
    }
    root = json_loadb(reply.body, reply.len, 0, NULL);
    if (reply.status != 200 || root == NULL) {
        command_refused(&reply, root);
        json_decref(root);
        root = NULL;
        status = EXIT_FAILURE;
    }
    mem_free(reply.body);
    *out_root = root;
    return status;
}

static void
show_progress(const json_t *root)
{
    printf("\r");
    show_check(root, stdout);
    printf("\033[K"); /* whatever stood there was longer */
    (void)fflush(stdout);
}

/* Until it is over: *root is replaced by what is told last. */
static int
follow(const struct command *command, json_t **root)
{
    bool terminal = isatty(STDOUT_FILENO) == 1 && !command->json;
    int status = EXIT_SUCCESS;

    while (status == EXIT_SUCCESS && is_state(*root, "running")) {
        if (terminal)
            show_progress(*root);
        (void)nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        json_decref(*root);
        status = ask(command, "GET", NULL, root);
    }
    if (terminal)
        printf("\r\033[K");
    return status;
}

/* 0: all of it was right; `asked`: so far. */
static int
tell(const struct command *command, const json_t *root, bool asked)
{
    bool right = number(root, "bad") == 0 && number(root, "lost_pages") == 0;

    if (command->json) {
        (void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        printf("\n");
    } else {
        tell_end(root, stdout);
    }
    return right && (asked || is_state(root, "done")) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The words after check. `body`: what to send, or NULL. False: EXIT_USAGE was told. */
static bool
take_words(const struct command *command, const char **method, char **body)
{
    *method = "POST";
    *body = NULL;
    if (command->words_n == 0)
        return true;
    if (command->words_n == 1 && strcmp(command->words[0], "--status") == 0) {
        *method = "GET";
        return true;
    }
    if (command->words_n == 1 && strcmp(command->words[0], "--stop") == 0) {
        *method = "DELETE";
        return true;
    }
    if (command->words_n == 2 && strcmp(command->words[0], "--rate") == 0) {
        json_t *order = json_pack("{s:s}", "rate", command->words[1]);

        *body = order == NULL ? NULL : json_dumps(order, 0);
        json_decref(order);
        if (*body != NULL)
            return true;
    }
    (void)command_usage("check takes --rate SIZE, --status or --stop, not ",
                        command->words[command->words_n - 1]);
    return false;
}

int
run_check(const struct command *command)
{
    const char *method;
    json_t *root;
    char *body;
    int status;

    if (!take_words(command, &method, &body))
        return EXIT_USAGE;
    status = ask(command, method, body, &root);
    free(body);
    if (status == EXIT_SUCCESS && strcmp(method, "POST") == 0)
        status = follow(command, &root);
    if (status == EXIT_SUCCESS)
        status = tell(command, root, strcmp(method, "POST") != 0);
    json_decref(root);
    return status;
}
