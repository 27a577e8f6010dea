/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lab_command.c - see lab_command.h. Nothing is written before all runs are known to be sound.
 */
#include "lab_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "results.h"
#include "stop.h"

int lab_command_refuse(const struct lab_command_ops *ops, const char *line)
{
    fprintf(stderr, "kvtwin %s: %s\n", ops->name, line);
    return EXIT_BAD_INPUT;
}

static int open_folder(struct lab_command *c, const char *name)
{
    const char *out = c->arguments.out;
    int rc =
        out ? ((size_t)snprintf(c->dir, sizeof c->dir, "%s", out) < sizeof c->dir ? 0
                                                                                  : -ENAMETOOLONG)
            : results_default_dir(c->dir, sizeof c->dir, c->lab.name, name);
    if (rc == 0)
        return results_dir_open(&c->folder, c->dir, c->error, sizeof c->error);
    snprintf(c->error, sizeof c->error, "--out: expected a shorter path");
    return rc;
}

static int prepare(const struct lab_command_ops *ops, struct lab_command *c)
{
    c->lab.arguments = &c->arguments;
    int rc = ops->choose(c);
    if (rc == 0) {
        rc = lab_open(&c->lab);
        memcpy(c->error, c->lab.error, sizeof c->error);
    }
    if (rc == 0)
        rc = ops->checked(c);
    if (rc == 0)
        rc = open_folder(c, ops->name);
    if (rc == 0)
        return EXIT_DONE;
    if (*c->error)
        fprintf(stderr, "%s\n", c->error);
    else
        fprintf(stderr, "kvtwin %s: out of memory\n", ops->name);
    return session_exit(rc);
}

int lab_command_install(struct lab_command *c, int rc)
{
    if (rc == 0)
        return results_dir_install(&c->folder, c->error, sizeof c->error);
    snprintf(c->error, sizeof c->error, "%.200s: %s; earlier results are kept", c->dir,
             strerror(-rc));
    return rc;
}

int lab_command_main(const struct lab_command_ops *ops, int argc, char **argv)
{
    bool asked = false;
    struct lab_command *c = calloc(1, ops->size);
    if (!c) {
        fprintf(stderr, "kvtwin %s: out of memory\n", ops->name);
        return EXIT_FAILED;
    }
    int code = ops->parse(c, argc, argv, &asked);
    if (asked) {
        fputs(ops->help, stdout);
    } else if (code == EXIT_DONE) {
        code = prepare(ops, c);
        stop_catch();
        if (code == EXIT_DONE)
            code = ops->execute(c);
    }
    results_dir_abort(&c->folder);
    ops->release(c);
    lab_close(&c->lab);
    vary_release(&c->arguments.vary);
    free(c);
    return code;
}
