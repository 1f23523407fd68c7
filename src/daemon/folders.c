/* Folders on the way to a path, and who may use them. */
#include "daemon/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What was made a moment ago is given by its descriptor: a name could have come to mean another. */
static void
give(int fd, uid_t uid, gid_t gid)
{
    if (fd == -1)
        return;
    (void)!fchown(fd, uid, gid); /* that it did not help shows when it is used */
    (void)close(fd);
}

void
folders_make_for(const char *path, uid_t uid, gid_t gid)
{
    folders_make_above(path);
    if (mkdir(path, 0750) == 0)
        give(open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), uid, gid);
}

void
folders_make_file_for(const char *path, uid_t uid, gid_t gid)
{
    give(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), uid, gid);
}

static bool
is_denied(const char *path, int mode, char *out, size_t cap)
{
    if (access(path, mode) == 0 || (errno != EACCES && errno != EPERM && errno != EROFS))
        return false;
    (void)snprintf(out, cap, "%s", path);
    return true;
}

static bool
find_denied_above(const char *path, char *out, size_t cap)
{
    char *copy = mem_strdup(path);
    bool found = false;

    if (copy == NULL)
        return false;
    for (char *slash = strchr(copy + 1, '/'); slash != NULL && !found;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        found = is_denied(copy, X_OK, out, cap);
        *slash = '/';
    }
    mem_free(copy);
    return found;
}

static bool
find_denied_within(const char *path, char *out, size_t cap)
{
    DIR *folder = opendir(path);
    const struct dirent *file;
    bool found = false;

    if (folder == NULL)
        return false;
    while (!found && (file = readdir(folder)) != NULL) {
        char name[4096];

        if (file->d_type == DT_DIR || /* lost+found is nobody's business */
            (size_t)snprintf(name, sizeof(name), "%s/%s", path, file->d_name) >= sizeof(name))
            continue;
        found = is_denied(name, R_OK | W_OK, out, cap);
    }
    (void)closedir(folder);
    return found;
}

bool
folders_find_denied(const char *path, char *out, size_t cap)
{
    return find_denied_above(path, out, cap) || is_denied(path, R_OK | W_OK | X_OK, out, cap) ||
           find_denied_within(path, out, cap);
}
