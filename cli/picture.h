/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * picture.h - draws a picture from the files in a folder, by gnuplot and a script of plots/.
 *
 * The picture "ttft" is plots/ttft.gp and becomes ttft.svg and ttft.png in the folder. A script
 * gets two arguments: where the scripts are, and a line below its headline.
 */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include <limits.h>

#include "../core/types.h"

/* Where the scripts are, as an absolute path. 0, or -ENOENT with one line in why. */
KVT_MUST_CHECK int picture_scripts(char scripts[PATH_MAX], char *why, size_t size);

/* Draws. 0; or a negative errno with one line in why, and no half picture left: -ENOENT no
 * gnuplot, -EIO the script failed. */
KVT_MUST_CHECK int picture_draw(const char *dir, const char *scripts, const char *name,
                                const char *subtitle, char *why, size_t size);

/* The same by a script of another name than the picture's, with more arguments (at most 6, NULL at the
 * end) after the two. */
KVT_MUST_CHECK int picture_draw_more(const char *dir, const char *scripts, const char *script,
                                     const char *name, const char *subtitle,
                                     const char *const *more, char *why, size_t size);

#endif
