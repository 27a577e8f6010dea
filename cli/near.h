/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * near.h - "did you mean": the known word nearest to one that is not known.
 *
 * Distance is optimal string alignment (insert, delete, replace, swap neighbours), case ignored. A word
 * counts as near up to a third of its length, at least 1 and at most 3 edits.
 */
#ifndef CLI_NEAR_H
#define CLI_NEAR_H

#include <stddef.h>

/* The nearest of words[0 .. n), or NULL when none is near. Ties: the first. Returns a borrowed pointer. */
const char *near_word(const char *word, const char *const *words, size_t n);

/* Appends "a, b, c" to text[size], cut with "..." when it does not fit. text must hold a string. */
void near_list(char *text, size_t size, const char *const *words, size_t n);

#endif
