/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * replay.c - a plain main for a fuzz target, so that make check runs it without libFuzzer.
 *
 * A target, tests/fuzz_<name>.c, defines LLVMFuzzerTestOneInput. Linked with this file it feeds the target
 * every file under tests/corpus/<name>/ (or the files and folders named on the command line), in order of
 * name, and an empty input first. Inputs that once broke something stay in the corpus for ever. Prints TAP;
 * a crash ends the program, which the runner counts as an error.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

/* An exact copy on the heap, so that a read beyond it is a read beyond an allocation. */
static int replay_bytes(const char *name, const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL)
        return -1;
    if (size > 0)
        memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    printf("ok %u - %s\n", ++replayed, name);
    fflush(stdout);
    return 0;
}

static int replay_file(const char *path, off_t size)
{
    char *bytes = malloc((size_t)size + 1);
    FILE *file = fopen(path, "rb");
    int status = -1;
    if (bytes != NULL && file != NULL)
        status = replay_bytes(path, bytes, fread(bytes, 1, (size_t)size, file));
    if (file != NULL)
        fclose(file);
    free(bytes);
    return status;
}

static int replay_path(const char *path);

static int replay_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);
    int status = n < 0 ? -1 : 0;
    for (int i = 0; i < n; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && length > 0 && (size_t)length < sizeof path)
            status |= replay_path(path);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int replay_path(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        perror(path);
        return -1;
    }
    return S_ISDIR(st.st_mode) ? replay_folder(path) : replay_file(path, st.st_size);
}

int main(int argc, char **argv)
{
    int status = replay_bytes("nothing", "", 0);
    if (argc < 2) {
        const char *name = strstr(argv[0], "fuzz_");
        char folder[4096];
        snprintf(folder, sizeof folder, "tests/corpus/%s", name == NULL ? "" : name + 5);
        status |= replay_path(folder);
    }
    for (int i = 1; i < argc; i++)
        status |= replay_path(argv[i]);
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
