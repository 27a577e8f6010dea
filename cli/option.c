/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * option.c - "--name value" and "--name=value"; see option.h.
 *
 * A name is matched whole: --out is not the beginning of --output.
 */
#include "option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

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

static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_";
    return *word && word[strspn(word, plain)] == '\0';
}

/* In single quotes, within which only a quote itself means anything. Returns bytes, without NUL. */
static size_t put_quoted(char *to, const char *word)
{
    char *at = to;
    *at++ = '\'';
    for (; *word; word++) {
        if (*word == '\'') {
            memcpy(at, "'\\''", 4);
            at += 4;
        } else {
            *at++ = *word;
        }
    }
    *at++ = '\'';
    *at = '\0';
    return (size_t)(at - to);
}

void option_join(int argc, char **argv, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "kvtwin");
    for (int i = 0; i < argc; i++) {
        size_t room = strlen(argv[i]) + 8; /* a mask may be longer than the password */
        char *word = malloc(room);
        if (!word)
            return;
        scenario_mask(argv[i], word, room);
        if (at + 4 * strlen(word) + 4 < size) {
            text[at++] = ' ';
            at += is_plain(word) ? (size_t)snprintf(text + at, size - at, "%s", word)
                                 : put_quoted(text + at, word);
        }
        free(word);
    }
}
