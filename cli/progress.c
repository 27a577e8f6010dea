/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * progress.c - the bar: label, share done, requests per second of wall time, the run's own time.
 *
 * The clock is looked at once in 256 steps: a run passes a million requests a second.
 */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "units.h"

enum { BAR = 30, STEPS_PER_LOOK = 256 };
static const uint64_t redraw_ns = 100000000;

uint64_t wall_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void progress_begin(struct progress *p, const char *label, uint64_t expected)
{
    *p = (struct progress){.label = label, .expected = expected};
    p->shown = isatty(STDERR_FILENO) == 1;
    p->began_wall_ns = p->drawn_wall_ns = wall_clock_ns();
}

static void draw(const struct progress *p, uint64_t done, kvt_ns now, uint64_t wall_ns)
{
    char count[32], clock[32], bar[BAR + 1];
    double share = p->expected ? (double)done / (double)p->expected : 0;
    if (share > 1)
        share = 1;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < (int)(share * BAR) ? '#' : '.';
    bar[BAR] = '\0';
    double wall_s = (double)(wall_ns - p->began_wall_ns) / 1e9;
    fprintf(stderr, "\r\033[K%s ", p->label);
    if (p->expected)
        fprintf(stderr, "[%s] %3.0f %%  ", bar, 100 * share);
    if (p->what)
        fprintf(stderr, "%s of %llu %s, %.1f/s", units_show_count(count, sizeof count, done),
                (unsigned long long)p->expected, p->what, wall_s > 0 ? (double)done / wall_s : 0);
    else
        fprintf(stderr, "%s requests, %.0f/s, %s simulated",
                units_show_count(count, sizeof count, done), wall_s > 0 ? (double)done / wall_s : 0,
                units_show_ns(clock, sizeof clock, (double)now));
    fflush(stderr);
}

void progress_step(struct progress *p, uint64_t done, kvt_ns now)
{
    if (!p->shown || (!p->what && ++p->calls % STEPS_PER_LOOK != 0))
        return;
    uint64_t wall_ns = wall_clock_ns();
    if (wall_ns - p->drawn_wall_ns < redraw_ns)
        return;
    p->drawn_wall_ns = wall_ns;
    draw(p, done, now, wall_ns);
}

void progress_end(struct progress *p)
{
    if (p->shown && p->drawn_wall_ns != p->began_wall_ns) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
