/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * version.c - which kvtwin this is. The Makefile passes both words and builds this file again when one of
 * them changes; nothing else depends on them.
 */
#include "version.h"

#ifndef KVT_VERSION
#define KVT_VERSION "0.1.0"
#endif
#ifndef KVT_REVISION
#define KVT_REVISION "unknown"
#endif

const char *kvtwin_version(void)
{
    return KVT_VERSION;
}

const char *kvtwin_revision(void)
{
    return KVT_REVISION;
}
