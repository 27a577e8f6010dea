/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scratch.h - temporary folders that do not outlive the program that made them, even where it was killed.
 *
 *      $TMPDIR/kvtwin-run-XXXXXX/         mode 0700
 *          OWNER                          flock held for as long as the program lives
 *          <folder>/pid                   a process that works in that folder, if there is one
 *          ...                            what the folder is for
 *
 * A program that is killed removes nothing. So whoever makes such a folder first looks for those of the dead beside it,
 * and removes them. A folder is a dead program's only if all of this holds:
 *
 *   (F1) its name is ours, and it is a folder, not a link to one, and belongs to this user;
 *   (F2) it holds an OWNER that is a plain file of this user with our line in it. The line is written with the lock
 *        held: a folder that is still being made has none;
 *   (F3) the lock is free. The kernel lets go of it when its holder dies, however that happens;
 *   (F4) no process that was started in it is left. One that is, because it outlived its parent, is ended first, if
 *        the pid that it wrote down is a process of this user whose working folder is that very one.
 *
 * Whatever is in doubt is left alone. Removing follows no link (tree.h); OWNER goes last, so that what could not be
 * removed is found again.
 */
#ifndef BE_SCRATCH_H
#define BE_SCRATCH_H

#include <limits.h>
#include <stddef.h>

#include "../core/types.h"

struct be_scratch {
    char path[PATH_MAX]; /* "": none */
    /* private: */
    int root, owner;
};

/* Removes what dead programs left in base, and makes a folder of our own there. base NULL: TMPDIR, or /tmp when that is
 * no absolute path. 0, or a negative errno with one line in why. */
KVT_MUST_CHECK int be_scratch_open(struct be_scratch *scratch, const char *base, char *why,
                                   size_t size);
/* The path of something in it. 0 or -ENAMETOOLONG. */
KVT_MUST_CHECK int be_scratch_path(const struct be_scratch *scratch, const char *name,
                                   char path[PATH_MAX]);
/* Removes it with all that is in it. Processes in it must be gone. Safe on a struct of zeroes. */
void be_scratch_close(struct be_scratch *scratch);

/* What be_scratch_open does first: returns how many folders of dead programs it removed. */
uint32_t be_scratch_sweep(const char *base);

#endif
