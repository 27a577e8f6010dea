/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * option.h - options of a command line that have a value.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>

/* Is argv[*i] the option `name`? Its value may stand behind '=' or in the next argument, to
 * which *i then moves. *value: borrowed from argv; NULL when it is missing. */
bool option_value(int argc, char **argv, int *i, const char *name, const char **value);

#endif
