/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tree.h - listing folders and removing what is in them, by open folders and never through a symbolic link.
 *
 * Every step is taken from a folder that is open, so that nobody who renames or links behind our back can lead it
 * elsewhere. Folders are at most sixteen deep: -ELOOP beyond.
 */
#ifndef BE_TREE_H
#define BE_TREE_H

#include <dirent.h>
#include <stdint.h>

#include "../core/types.h"

/* A stream over an open folder, which stays open; closedir ends it. NULL with errno. */
DIR *be_tree_list(int folder);
/* The next name but "." and "..", borrowed until the next call; NULL at the end, and with *rc when
 * the folder cannot be read. */
const char *be_tree_next(DIR *list, int *rc);
/* The folder of that name in an open one; -ELOOP or -ENOTDIR when it is none, or a link. */
int be_tree_open(int folder, const char *name);
/* Removes a file or link, or a folder with all that is in it. 0 or a negative errno. */
KVT_MUST_CHECK int be_tree_remove(int folder, const char *name);
/* Removes all that is in a folder; *removed grows by one for each name in it. */
KVT_MUST_CHECK int be_tree_clear(int folder, uint64_t *removed);

#endif
