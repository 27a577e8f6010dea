/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_doctor.c - kvtwin doctor: what this machine can run, and what is missing, with the remedy.
 *
 * Looks only, changes nothing. Needed: the simulator itself (catalogue, a folder for results).
 * Everything else is a wish: pictures need gnuplot, a real world without servers of the user's
 * needs redis-server, and one that shall be more than main memory an NVIDIA GPU and a build for it.
 * Exit 0 when all that is needed is there, else 1.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "catalog.h"
#include "commands.h"
#include "datadir.h"
#include "real.h"
#include "units.h"
#include "version.h"

enum need { NEEDED, WISHED };

struct report {
    unsigned missing; /* of what is needed */
};

static void good(const char *what, const char *found)
{
    printf("  ok       %-18s %s\n", what, found);
}

static void missing(struct report *r, enum need need, const char *what, const char *remedy)
{
    if (need == NEEDED)
        r->missing++;
    printf("  missing  %-18s %s\n", what, remedy);
}

/* Is `program` on the PATH? Its full path goes to found[PATH_MAX]. */
static bool on_path(const char *program, char *found)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t len = strcspn(path, ":");
        struct stat status;
        int n = snprintf(found, PATH_MAX, "%.*s/%s", (int)(len < 1024 ? len : 1024), path, program);
        if (n > 0 && n < PATH_MAX && access(found, X_OK) == 0 && stat(found, &status) == 0 &&
            S_ISREG(status.st_mode))
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

static void check_program(struct report *r, const char *program, const char *remedy)
{
    char found[PATH_MAX];
    if (on_path(program, found))
        good(program, found);
    else
        missing(r, WISHED, program, remedy);
}

static void check_catalog(struct report *r)
{
    char data[PATH_MAX], folder[PATH_MAX + 32], why[512];
    struct catalog *catalog = NULL;
    if (datadir_find(data, sizeof data) != 0) {
        missing(r, NEEDED, "catalogue", "set KVTWIN_DATA to the folder that has scenarios/catalog");
        return;
    }
    snprintf(folder, sizeof folder, "%s/scenarios/catalog", data);
    if (catalog_load(&catalog, folder, why, sizeof why) != 0) {
        missing(r, NEEDED, "catalogue", why);
        return;
    }
    snprintf(why, sizeof why, "%.300s: %u GPUs, %u models, %u Redis nodes", folder, catalog->gpus.n,
             catalog->models.n, catalog->redis_nodes.n);
    good("catalogue", why);
    catalog_free(catalog);
}

/* results/ is made by the first run: what counts is the folder that exists so far. */
static void check_results(struct report *r)
{
    char line[PATH_MAX + 64], here[PATH_MAX] = ".";
    const char *folder = access("results", F_OK) == 0 ? "results" : ".";
    if (!getcwd(here, sizeof here))
        snprintf(here, sizeof here, ".");
    if (access(folder, W_OK | X_OK) == 0) {
        snprintf(line, sizeof line, "%s/results can be written", here);
        good("results", line);
    } else {
        snprintf(line, sizeof line, "%s/results cannot be written: use --out FOLDER", here);
        missing(r, NEEDED, "results", line);
    }
}

static void check_cpu(struct report *r)
{
    char line[64];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(line, sizeof line, "%ld online", cores);
    good("processors", line);
#if defined(__x86_64__)
    unsigned int a = 0, b = 0, c = 0, d = 0;
    bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
    if (sha)
        good("SHA-256", "in hardware (SHA-NI)");
    else
        missing(r, WISHED, "SHA-256",
                "no SHA extension: hashing prompts of tokens is 3 to 5 times slower");
#else
    (void)r;
    good("SHA-256", "by OpenSSL, whatever this processor offers");
#endif
}

static void check_memory(struct report *r)
{
    char line[96], size[32];
    long pages = sysconf(_SC_PHYS_PAGES), page_b = sysconf(_SC_PAGESIZE);
    double memory_b = (double)pages * (double)page_b;
    snprintf(line, sizeof line, "%s, a million requests take less than 1 GB",
             units_show_bytes(size, sizeof size, memory_b));
    if (memory_b >= 1e9)
        good("memory", line);
    else
        missing(r, WISHED, "memory", "less than 1 GB: long traces may not fit");
}

/* The version that redis-server says of itself goes to version; false when it does not start. */
static bool redis_version(char *version, size_t size)
{
    FILE *said = popen("redis-server --version 2>/dev/null", "re");
    char line[256] = "";
    const char *at = NULL;
    if (said && fgets(line, sizeof line, said))
        at = strstr(line, "v=");
    if (at)
        snprintf(version, size, "%.*s", (int)strcspn(at + 2, " \n"), at + 2);
    if (said)
        pclose(said);
    return at != NULL;
}

static bool check_redis(struct report *r)
{
    char found[PATH_MAX], version[64], line[PATH_MAX + 80];
    if (!on_path("redis-server", found)) {
        missing(r, WISHED, "redis-server",
                "apt-get install redis-server, or set cache.tiers.redis.address");
        return false;
    }
    if (!redis_version(version, sizeof version)) {
        missing(r, WISHED, "redis-server", "it is there, but does not say its version");
        return false;
    }
    snprintf(line, sizeof line, "%s, version %s", found, version);
    good("redis-server", line);
    return true;
}

/* Returns whether CUDA can hold KV here. */
static bool check_device(struct report *r, const struct real_machine *machine)
{
    char survey[512], size[32], line[96];
    if (machine->memory_b != UINT64_MAX) {
        snprintf(line, sizeof line, "%s could be taken now for pages, host tier and Redis",
                 units_show_bytes(size, sizeof size, (double)machine->memory_b));
        good("main memory", line);
    }
    be_device_survey(survey, sizeof survey);
    good("devices", survey);
    if (!machine->cuda && access("/dev/nvidia0", F_OK) == 0)
        check_program(r, "nvcc", "a GPU is there: install the CUDA toolkit and build for it");
    return machine->cuda;
}

/* Returns the line that says what can run. */
static const char *check_real(struct report *r)
{
    const struct real_machine machine = real_machine();
    char line[64];
    snprintf(line, sizeof line, "version %s", uv_version_string());
    good("libuv", line);
    snprintf(line, sizeof line, "version %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    good("hiredis", line);
    bool redis = check_redis(r), cuda = check_device(r, &machine);
    if (cuda)
        return redis ? "null, sim, real (KV in GPU memory, servers of its own)"
                     : "null, sim, real (KV in GPU memory; Redis only where you have a server)";
    return redis ? "null, sim, real (KV in main memory, servers of its own)"
                 : "null, sim, real (KV in main memory; Redis only where you have a server)";
}

int cmd_doctor(int argc, char **argv)
{
    struct report r = {0};
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        puts("usage: kvtwin doctor\n\n"
             "Says what this machine can run, what is missing and what to do about it. Changes "
             "nothing.\n"
             "Exit codes: 0 all that is needed is there, 1 something needed is missing, 2 bad "
             "input.");
        return EXIT_DONE;
    }
    if (argc > 1) {
        fprintf(stderr, "kvtwin doctor: %.200s: expected no arguments\n", argv[1]);
        return EXIT_BAD_INPUT;
    }
    printf("kvtwin %s (%s)\n\nNeeded by every run:\n", kvtwin_version(), kvtwin_revision());
    check_catalog(&r);
    check_results(&r);
    puts("\nThis machine:");
    check_cpu(&r);
    check_memory(&r);
    puts("\nFor pictures (kvtwin plot):");
    check_program(&r, "gnuplot", "apt-get install gnuplot-nox");
    puts("\nFor the real world (--world real):");
    const char *worlds = check_real(&r);
    if (r.missing == 0)
        printf("\nWorlds that run here: %s.\n", worlds);
    else
        printf("\n%u needed, and missing: no run is possible.\n", r.missing);
    return r.missing == 0 ? EXIT_DONE : EXIT_FAILED;
}
