/* A configuration: a whole file, or one --set. The first byte says which. What is refused is told
 * on lines of printable text; what is accepted can be summed up. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TEXT_MAX = 16384 };

static void
check_faults(const char *text, size_t len, enum err rc)
{
    ASSERT((rc == ERR_SYNTAX) == (len > 0));
    ASSERT(len == 0 || text[len - 1] == '\n');
    for (size_t i = 0; i < len; i++)
        ASSERT(text[i] == '\n' || !iscntrl((unsigned char)text[i]));
}

static void
load(const struct config_args *args)
{
    struct config *config = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    enum err rc;

    ASSERT(out != NULL);
    rc = config_load(args, out, &config);
    ASSERT(fflush(out) == 0);
    check_faults(text, len, rc);
    if (rc == OK)
        config_print_summary(config, out);
    config_free(&config);
    (void)fclose(out);
    free(text);
}

static void
load_file(struct slice text)
{
    struct config_args args = {0};
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    ASSERT(fd != -1 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    args.path = path;
    load(&args);
    (void)close(fd);
}

static void
load_set(struct slice text)
{
    char word[TEXT_MAX + 1];
    const char *sets[] = {word};
    const char *listens[] = {"127.0.0.1:8080"};
    const struct config_args args = {.listens = listens,
                                     .listens_n = 1,
                                     .origin = "http://127.0.0.1:3000",
                                     .sets = sets,
                                     .sets_n = 1};

    memcpy(word, text.ptr, text.len);
    word[text.len] = '\0';
    load(&args);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice text = slice_of(data, len);

    if (len < 2 || len > TEXT_MAX)
        return 0;
    if (text.ptr[0] == '=')
        load_set(slice_skip(text, 1));
    else
        load_file(text);
    return 0;
}
