/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * version.h - which kvtwin this is.
 */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

/* The release, "0.1.0". Static. */
const char *kvtwin_version(void);

/* The commit it was built from, with "-dirty" when the tree had changes, "unknown" outside git. Static. */
const char *kvtwin_revision(void);

#endif
