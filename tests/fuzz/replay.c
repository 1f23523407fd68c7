/* Runs every file of a folder through a fuzzer's entry point, where no fuzzer is linked: what once
 * broke a parser, or was worth keeping, is tried on every build. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool
read_whole(const char *path, uint8_t **out, size_t *out_len)
{
    struct stat st;
    FILE *file = fopen(path, "rb");
    bool good;

    if (file == NULL)
        return false;
    good = fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode);
    if (good) {
        *out_len = (size_t)st.st_size;
        *out = malloc(*out_len == 0 ? 1 : *out_len); /* exactly: reads past the end are found */
        good = *out != NULL && fread(*out, 1, *out_len, file) == *out_len;
        if (!good)
            free(*out);
    }
    (void)fclose(file);
    return good;
}

int
main(int argc, char **argv)
{
    unsigned files_n = 0;
    struct dirent *entry;
    DIR *folder;

    if (argc != 2 || (folder = opendir(argv[1])) == NULL) {
        fprintf(stderr, "usage: %s FOLDER-OF-INPUTS\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(folder)) != NULL) {
        char path[4096];
        uint8_t *data;
        size_t len;

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (!read_whole(path, &data, &len)) {
            fprintf(stderr, "%s: cannot be read\n", path);
            return 1;
        }
        printf("%s\n", path); /* the last line names the input that failed */
        fflush(stdout);
        (void)LLVMFuzzerTestOneInput(data, len);
        free(data);
        files_n++;
    }
    (void)closedir(folder);
    printf("%u inputs\n", files_n);
    return files_n > 0 ? 0 : 1;
}
