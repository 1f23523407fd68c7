/* Folders on the way to a path. */
#include "daemon/folders.h"

#include <string.h>
#include <sys/stat.h>

void
folders_make_above(const char *path)
{
    char *copy = mem_strdup(path);

    if (copy == NULL)
        return;
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0755); /* mostly there already */
        *slash = '/';
    }
    mem_free(copy);
}
