/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * commands.h - the subcommands, one file each: cmd_<name>.c.
 *
 * A command gets its own part of the command line: argv[0] is its name, argv[argc] is NULL. It
 * prints its result on stdout, messages on stderr as one line, and returns the exit code:
 *
 *      0 done      1 failed      2 bad input      3 outside tolerance
 *
 * `--help` and `-h` are the command's own to answer, on stdout, with 0.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_BAD_INPUT = 2, EXIT_OUTSIDE = 3 };

int cmd_run(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_sweep(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_validate(int argc, char **argv);
int cmd_plot(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_mrc(int argc, char **argv);
int cmd_catalog(int argc, char **argv);
int cmd_codec(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_claims(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
