/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * stop.h - Ctrl-C, asked to end, or the terminal closed: finish the event under way, keep what
 * was measured.
 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include <signal.h>

/* Set once the user wants an end. */
extern volatile sig_atomic_t stop_wanted;

/* From now on a signal sets it; a second one ends the process. A pipe whose reader has gone is
 * an error of write and nothing more: files are to be finished, servers and folders to be taken
 * away even then. */
void stop_catch(void);

#endif
