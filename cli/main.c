/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * main.c - kvtwin SUBCOMMAND: finds the command, sets the process up, returns its exit code.
 *
 * What holds for the whole process is set here, once: GSL reports errors instead of aborting,
 * and a reader that goes away (kvtwin ... | head) ends the process quietly, as for other
 * filters. A command that must finish its files whatever becomes of its reader (run) asks for
 * EPIPE instead.
 */
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "near.h"
#include "version.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"run", cmd_run, "one scenario: a summary table, files in results/"},
    {"compare", cmd_compare, "variants side by side on the same requests"},
    {"sweep", cmd_sweep, "every point of a grid, on all cores; goes on where it was stopped"},
    {"plan", cmd_plan, "the cheapest configuration that meets an objective"},
    {"calibrate", cmd_calibrate, "measure this machine, write a hardware profile"},
    {"validate", cmd_validate, "both worlds on the same requests, and how far they are apart"},
    {"plot", cmd_plot, "pictures from the files of a run"},
    {"report", cmd_report, "one page of one or more results folders"},
    {"trace", cmd_trace, "know, convert and generate traffic"},
    {"mrc", cmd_mrc, "the hit rate of every capacity, from one pass over a trace"},
    {"catalog", cmd_catalog,
     "GPUs, models, links, Redis nodes, disks, codecs, each with its source"},
    {"codec", cmd_codec, "ratio, speed and error of codecs on KV, and where they pay"},
    {"inspect", cmd_inspect, "decode and verify a stored value, from a file or a Redis"},
    {"claims", cmd_claims, "numbers that others state, beside the ones computed here"},
    {"doctor", cmd_doctor, "what this machine can run, and what is missing"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("kvtwin: does a tiered, distributed KV cache pay for this LLM traffic?\n"
          "\n"
          "usage: kvtwin COMMAND [ARGUMENTS]\n"
          "\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\n"
          "  kvtwin COMMAND --help   tells more\n"
          "  kvtwin --version        which kvtwin this is\n"
          "\n"
          "Begin with: kvtwin run scenarios/quickstart.yaml\n"
          "Exit codes: 0 done, 1 failed, 2 bad input, 3 outside tolerance.\n",
          out);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[COMMANDS];
    char list[256] = "";
    for (size_t i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = near_word(name, names, COMMANDS);
    near_list(list, sizeof list, names, COMMANDS);
    if (near)
        fprintf(stderr, "kvtwin: %.80s: unknown command, did you mean %s?\n", name, near);
    else
        fprintf(stderr, "kvtwin: %.80s: unknown command, expected one of %s\n", name, list);
    return EXIT_BAD_INPUT;
}

/* Makes `kvtwin help run` the same as `kvtwin run --help`. */
static int help(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stdout);
        return EXIT_DONE;
    }
    const struct command *command = find(argv[1]);
    if (!command)
        return unknown(argv[1]);
    char flag[] = "--help";
    char *arguments[] = {argv[1], flag, NULL};
    return command->run(2, arguments);
}

int main(int argc, char **argv)
{
    gsl_set_error_handler_off();
    if (argc < 2) {
        print_help(stderr);
        return EXIT_BAD_INPUT;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("kvtwin %s (%s)\n", kvtwin_version(), kvtwin_revision());
        return EXIT_DONE;
    }
    const struct command *command = find(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : unknown(argv[1]);
}
