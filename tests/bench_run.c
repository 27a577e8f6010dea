/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_run.c - whole runs of the program, as a user starts them: wall time, processor time, peak
 * memory.
 *
 * The conversation trace in the simulated world with all outputs and the baseline written (needs
 * ../shared), and generated chat of ten thousand and of a million requests, whose cost per request
 * is compared. Each figure is the median of several runs of a fresh process, by the operating
 * system's own accounting (wait4).
 */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct cost {
    double wall_s, cpu_s, peak_mb;
};

static struct cost run(char *const argv[])
{
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    struct rusage usage;
    int status;
    const double begin = bench_wall_s();
    if (posix_spawn(&pid, argv[0], &quiet, NULL, argv, environ) ||
        wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status)) {
        fprintf(stderr, "bench_run: %s %s %s failed\n", argv[0], argv[1], argv[2]);
        exit(1);
    }
    posix_spawn_file_actions_destroy(&quiet);
    return (struct cost){bench_wall_s() - begin,
                         (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                             1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
                         (double)usage.ru_maxrss / 1024};
}

static int by_cpu(const void *a, const void *b)
{
    const struct cost *x = a, *y = b;
    return (x->cpu_s > y->cpu_s) - (x->cpu_s < y->cpu_s);
}

static struct cost median(char *const argv[], int runs)
{
    struct cost costs[9];
    for (int i = 0; i < runs; i++)
        costs[i] = run(argv);
    qsort(costs, (size_t)runs, sizeof *costs, by_cpu);
    return costs[runs / 2];
}

static void show(const char *what, struct cost c)
{
    printf("%-44s %8.2f s %8.2f s %8.0f MB\n", what, c.wall_s, c.cpu_s, c.peak_mb);
}

int main(void)
{
    static char built[] = "build/release/kvtwin";
    char *program = getenv("KVTWIN");
    char folder[] = "/tmp/kvtwin-bench-XXXXXX";
    char out[64], remove[96];
    if (!program)
        program = built;
    if (!mkdtemp(folder))
        return 1;
    snprintf(out, sizeof out, "%s/run", folder);
    printf("%-44s %10s %10s %11s\n", "run", "wall", "processor", "peak");
    if (access("../shared/traces/conversation_trace.jsonl", R_OK) == 0)
        show("conversation trace, with baseline",
             median((char *[]){program, "run", "scenarios/mooncake-conversation.yaml", "--out", out,
                               NULL},
                    7));
    else
        printf("skipped: conversation trace: ../shared is absent\n");
    struct cost chat[2];
    static const char *const sizes[] = {"10000", "1000000"};
    for (int i = 0; i < 2; i++) {
        char set[64], what[64];
        snprintf(set, sizeof set, "workload.generate.requests=%s", sizes[i]);
        snprintf(what, sizeof what, "generated chat, %s requests", sizes[i]);
        chat[i] = median((char *[]){program, "run", "scenarios/quickstart.yaml", "--no-baseline",
                                    "--set", set, "--out", out, NULL},
                         i ? 1 : 7);
        show(what, chat[i]);
    }
    printf("cost per request, a million beside ten thousand: %.2f\n",
           chat[1].cpu_s / chat[0].cpu_s / 100);
    snprintf(remove, sizeof remove, "rm -r '%s'", folder);
    return system(remove) != 0;
}
