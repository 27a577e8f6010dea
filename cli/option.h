/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * option.h - options of a command line that have a value; the command line as text.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>

/* Is argv[*i] the option `name`? Its value may stand behind '=' or in the next argument, to
 * which *i then moves. *value: borrowed from argv; NULL when it is missing. */
bool option_value(int argc, char **argv, int *i, const char *name, const char **value);

/* "kvtwin" and the words of the command line, quoted where a shell would read more into them, passwords of addresses
 * masked: what a results folder keeps for who wants to run it again. Words beyond `size` are left out. */
void option_join(int argc, char **argv, char *text, size_t size);

#endif
