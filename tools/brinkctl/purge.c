/* brinkctl purge: what is to go, how far it has come, until it is done. */
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "show.h"

enum { WAIT_FIRST_MS = 5, WAIT_MAX_MS = 500 };

/* The words of a purge, as the JSON it asks for. */
struct purge {
    const char *member; /* of the JSON; NULL: none yet */
    const char *status; /* the id that --status asks for */
    json_t *items;
    bool soft, wait;
};

/* The id in an answer, when the purge is still at work; 0: it is done, or this is no such answer.
 */
static uint64_t
id_at_work(const struct client_reply *reply, bool show)
{
    json_t *root = json_loadb(reply->body, reply->len, 0, NULL);
    const char *state = json_string_value(json_object_get(root, "state"));
    uint64_t id = (uint64_t)json_integer_value(json_object_get(root, "id"));

    if (reply->status != 200 || state == NULL || strcmp(state, "done") == 0)
        id = 0;
    if (id != 0 && show)
        show_purge_going_on(root, stderr);
    json_decref(root);
    return id;
}

/* Until the purge is done: *reply becomes the last answer. A terminal is told how it goes. */
static int
wait_for_purge(const struct command *command, struct client_reply *reply)
{
    bool tell = isatty(STDERR_FILENO) == 1 && !command->json, told = false;
    uint64_t id = id_at_work(reply, false);
    unsigned pause_ms = WAIT_FIRST_MS;
    int status = 0;

    while (id != 0 && status == 0) {
        char target[64];

        (void)usleep(pause_ms * 1000);
        pause_ms = pause_ms * 2 < WAIT_MAX_MS ? pause_ms * 2 : WAIT_MAX_MS;
        (void)snprintf(target, sizeof(target), "/purge/%llu", (unsigned long long)id);
        mem_free(reply->body);
        *reply = (struct client_reply){0};
        status = command_fetch(command, "GET", target, NULL, reply);
        if (status != 0)
            break;
        told |= tell && pause_ms == WAIT_MAX_MS;
        id = id_at_work(reply, told);
    }
    if (told)
        fprintf(stderr, "\n");
    return status;
}

/* Send, and with --wait see it through. */
static int
ask_purge(const struct command *command, const struct purge *purge, const char *method,
          const char *target, const char *body)
{
    bool asks = body == NULL;
    struct client_reply reply = {0};
    int status = command_fetch(command, method, target, body, &reply);

    if (status == 0 && purge->wait)
        status = wait_for_purge(command, &reply);
    if (status != 0) {
        mem_free(reply.body);
        return status;
    }
    return command_show(command, &reply, asks || purge->wait ? show_purge_status : show_purge);
}

static int
ask_status(const struct command *command, const struct purge *purge)
{
    char target[64];
    uint64_t n;

    if (purge->member != NULL || purge->soft || json_array_size(purge->items) > 0)
        return command_usage("--status ID takes no more than ", "--wait");
    if (!slice_to_u64(slice_from_str(purge->status), &n))
        return command_usage("a purge's id is a number, not ", purge->status);
    (void)snprintf(target, sizeof(target), "/purge/%llu", (unsigned long long)n);
    return ask_purge(command, purge, "GET", target, NULL);
}

/* What an option of purge begins; NULL: it is none. */
static const char *
member_of(const char *word)
{
    static const struct {
        const char *word, *member;
    } kinds[] = {{"--url", "files"},
                 {"--prefix", "prefixes"},
                 {"--host", "hosts"},
                 {"--tag", "tags"},
                 {"--everything", "purge_everything"}};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(word, kinds[i].word) == 0)
            return kinds[i].member;
    return NULL;
}

/* 0, or the exit status after a message. */
static int
take_word(struct purge *purge, const char *word)
{
    const char *member = word[0] == '-' ? member_of(word) : NULL;

    if (strcmp(word, "--soft") == 0 || strcmp(word, "--wait") == 0) {
        *(word[2] == 's' ? &purge->soft : &purge->wait) = true;
        return 0;
    }
    if (word[0] == '-' && member == NULL)
        return command_usage("purge does not know ", word);
    if (member != NULL && purge->member != NULL && strcmp(member, purge->member) != 0)
        return command_usage("one purge is of one kind; it cannot also be ", word);
    if (member != NULL) {
        purge->member = member;
        return 0;
    }
    if (purge->member == NULL)
        purge->member = "files";
    if (strcmp(purge->member, "purge_everything") == 0)
        return command_usage("--everything names it all; take away ", word);
    if (json_array_append_new(purge->items, json_string(word)) != 0)
        return command_usage("this is not UTF-8: ", word);
    return 0;
}

static int
send_purge(const struct command *command, const struct purge *purge)
{
    bool everything = purge->member != NULL && strcmp(purge->member, "purge_everything") == 0;
    json_t *root;
    char *body;
    int status = EXIT_FAILURE;

    if (purge->member == NULL || (!everything && json_array_size(purge->items) == 0))
        return command_usage("purge wants to know ", "what");
    root =
        json_pack("{s:o, s:b}", purge->member, everything ? json_true() : json_incref(purge->items),
                  "soft", (int)purge->soft);
    body = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    if (body != NULL)
        status = ask_purge(command, purge, "POST", "/purge", body);
    free(body);
    json_decref(root);
    return status;
}

int
run_purge(const struct command *command)
{
    struct purge purge = {.items = json_array()};
    int status = 0;

    for (int i = 0; i < command->words_n && status == 0; i++) {
        if (strcmp(command->words[i], "--status") != 0)
            status = take_word(&purge, command->words[i]);
        else if (i + 1 == command->words_n)
            status = command_usage("--status wants ", "a purge's id");
        else
            purge.status = command->words[++i];
    }
    if (status == 0)
        status = purge.status != NULL ? ask_status(command, &purge) : send_purge(command, &purge);
    json_decref(purge.items);
    return status;
}
