/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * option.c - "--name value" and "--name=value"; see option.h.
 *
 * A name is matched whole: --out is not the beginning of --output.
 */
#include "option.h"

#include <string.h>

bool option_value(int argc, char **argv, int *i, const char *name, const char **value)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0 || (argv[*i][len] != '=' && argv[*i][len] != '\0'))
        return false;
    if (argv[*i][len] == '=')
        *value = argv[*i] + len + 1;
    else
        *value = *i + 1 < argc ? argv[++*i] : NULL;
    return true;
}
