/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * observer.h - who hears core's notes (port.h) when a world has no use for them itself.
 *
 * A world takes one at birth and forwards every note to it. Observing changes nothing: without an
 * observer the run is identical.
 */
#ifndef KVT_OBSERVER_H
#define KVT_OBSERVER_H

#include "port.h"

/* note is called from inside core: it must not enter core. What the note points to is borrowed
 * until it returns. */
struct kvt_observer {
    void (*note)(void *self, const struct kvt_note *note);
    void *self;
};

#endif
