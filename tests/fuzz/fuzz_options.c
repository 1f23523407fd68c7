/* Command lines: a word a line. */
#include <string.h>

#include "daemon/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { WORDS_MAX = 400, TEXT_MAX = 8192 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct options options;
    char text[TEXT_MAX], why[512] = "", *words[WORDS_MAX + 1], *next = text;
    int words_n = 1;
    enum err rc;

    if (len >= sizeof(text))
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    words[0] = (char *)"brink";
    while (words_n < WORDS_MAX && next != NULL)
        words[words_n++] = strsep(&next, "\n");
    words[words_n] = NULL;
    rc = options_parse(words_n, words, &options, why, sizeof(why));
    ASSERT(rc == OK || rc == ERR_SYNTAX);
    ASSERT((rc == OK) == (why[0] == '\0')); /* a refusal says what to do */
    ASSERT(options.args.sets_n <= OPTIONS_SETS_MAX &&
           options.args.listens_n <= OPTIONS_LISTENS_MAX);
    return 0;
}
