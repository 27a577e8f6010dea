/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lab_command.h - what commands that run a scenario many times and leave one folder have in common: compare and plan.
 *
 *      arguments -> every run checked -> folder made -> runs -> folder put in place, or nothing
 */
#ifndef CLI_LAB_COMMAND_H
#define CLI_LAB_COMMAND_H

#include <limits.h>

#include "lab.h"
#include "results_dir.h"

/* What every such command keeps, at the beginning of its own struct. All zero at first. */
struct lab_command {
    struct lab_arguments arguments;
    struct lab lab;
    struct results_dir folder;
    char dir[PATH_MAX], error[SCENARIO_ERROR_SIZE];
};

/* self is a struct that begins with a struct lab_command. Exit codes: EXIT_DONE to go on. */
struct lab_command_ops {
    const char *name, *help;
    size_t size; /* of that struct */
    int (*parse)(void *self, int argc, char **argv, bool *asked_for_help);
    int (*choose)(
        void *self); /* what is wanted of the lab; before it is opened. 0 or a negative errno */
    int (*checked)(
        void *self); /* the lab is open: what is left to check or to make room for. Likewise */
    int (*execute)(void *self);  /* runs, shows; returns an exit code */
    void (*release)(void *self); /* all that is not in struct lab_command */
};

/* The command's main. Returns its exit code. */
int lab_command_main(const struct lab_command_ops *ops, int argc, char **argv);

/* "kvtwin NAME: LINE" on stderr. Returns EXIT_BAD_INPUT. */
int lab_command_refuse(const struct lab_command_ops *ops, const char *line);

/* What was written into the folder, with status rc, is put in place. Returns 0, or a negative errno with one line in
 * c->error. */
KVT_MUST_CHECK int lab_command_install(struct lab_command *c, int rc);

#endif
