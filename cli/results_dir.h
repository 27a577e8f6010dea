/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_dir.h - a folder that appears complete or not at all.
 *
 *      parent/.name.partial   being written: made by open, locked while in use
 *      parent/name            what people see: replaced by install, in one step
 *
 * A folder left by a run that was killed is not locked, and the next run clears and uses it. Two runs that
 * want the same folder: the second is refused by open.
 */
#ifndef CLI_RESULTS_DIR_H
#define CLI_RESULTS_DIR_H

#include "../core/types.h"

#include <limits.h>

/* All zero is a closed one. */
struct results_dir {
    int parent_fd, fd; /* valid while open; fd is the hidden folder: create files in it */
    bool is_open;
    char name[NAME_MAX + 1], partial[NAME_MAX + 1];
    char path[PATH_MAX]; /* as the user gave it, for messages */
};

/* Makes the hidden folder for the wanted `path`, and its parents. Refuses a path that is a file, that
 * holds files but no results, that cannot be written, or that another run is writing to. Returns 0, or
 * a negative errno with one line in why, nothing changed but for missing parents. */
KVT_MUST_CHECK int results_dir_open(struct results_dir *d, const char *path, char *why,
                                    size_t size);

/* Puts the hidden folder in the place of `path` and closes. Of an older folder there, result files and
 * pictures are deleted, all else is moved into the new one. Returns 0, or a negative errno with one line
 * in why; the folder is then still open. */
KVT_MUST_CHECK int results_dir_install(struct results_dir *d, char *why, size_t size);

/* Removes the hidden folder and closes. Harmless when closed. */
void results_dir_abort(struct results_dir *d);

#endif
