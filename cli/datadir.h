/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * datadir.h - where the files that come with the program are.
 *
 * The data folder holds scenarios/ (with scenarios/catalog/) and plots/, in that shape, wherever it is.
 */
#ifndef CLI_DATADIR_H
#define CLI_DATADIR_H

#include <stddef.h>

/* Writes the path of the data folder, without a slash at its end, into out[size]. The first of these that
 * holds scenarios/catalog/ is taken:
 *
 *   1. the environment's KVTWIN_DATA: when set, no other is tried
 *   2. the checkout: two folders above the one of the executable (build/<name>/kvtwin), then three
 *      (build/<name>/tests/test_x), then the working folder
 *   3. where `make install` put it: share/kvtwin beside the executable's bin/, then KVT_DATADIR, fixed
 *      when the program was built
 *
 * Returns 0; -ENOENT when none does; -ENAMETOOLONG when it does not fit. */
int datadir_find(char *out, size_t size);

#endif
