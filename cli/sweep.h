/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sweep.h - all points of a grid, each run once or several times, kept on disk as they finish.
 *
 *      FOLDER/runs/        one file per finished run (store.h); makes a killed sweep go on where it was
 *      FOLDER/sweep.csv    a line per point: varied keys, runs, and every figure: its mean, and with replications
 *                          half of its 95 % interval
 *      FOLDER/curves.csv, summary.json, pictures
 *
 * The files beside runs/ are made from it alone, in the order of the grid, so they do not depend on who ran what
 * when: an interrupted sweep that goes on leaves the same bytes as one that was not.
 */
#ifndef CLI_SWEEP_H
#define CLI_SWEEP_H

#include "figure.h"
#include "interval.h"
#include "lab.h"
#include "points.h"
#include "store.h"

/* Figures of one point. */
struct sweep_point {
    uint32_t runs;            /* finished */
    struct interval *figures; /* [columns of the sweep at that time]; NULL: none */
    size_t n;
    char *error; /* of a run that failed, or NULL */
};

struct sweep {
    struct lab *lab;
    struct store store;
    int dirfd;
    struct sweep_point *points;
    struct figures columns; /* all figures, in the order of the summaries */
    struct figures metrics; /* shown and drawn */
    size_t *todo, n_todo;
    size_t found, damaged; /* runs taken from the store; thrown out of it */
    size_t finished;       /* by this process and its helpers */
    bool identical;        /* every point's replications are the same run: there is no randomness */
};

/* Opens the store and finds what is finished. Returns 0 or a negative errno with one line in error. */
KVT_MUST_CHECK int sweep_begin(struct sweep *s, char *error);
/* Keeps the result of a run. Returns 0 or a negative errno. */
KVT_MUST_CHECK int sweep_keep(struct sweep *s, size_t run, const char *json, size_t n);
/* Reads all finished runs back and computes the figures of all points. Returns 0 or a negative errno. */
KVT_MUST_CHECK int sweep_gather(struct sweep *s);
/* Shaped for curves and tables; self is the struct sweep *. */
void sweep_get(void *self, size_t point, const char *metric, double value[3]);
/* Writes sweep.csv, curves.csv, summary.json, scenario.yaml and run.json. Returns 0 or a negative errno. */
KVT_MUST_CHECK int sweep_write(struct sweep *s);
KVT_MUST_CHECK int sweep_draw(struct sweep *s, const char *dir, char *why, size_t size);
/* summary.json's text, freed by the caller; NULL: out of memory. */
char *sweep_json(struct sweep *s);
void sweep_release(struct sweep *s);

/* ---- sweep_mpi.c ---------------------------------------------------------------------------------- */

/* What mpirun says of this process in its environment. */
struct sweep_ranks {
    uint32_t rank, size; /* size 0: not under mpirun */
};
struct sweep_ranks sweep_ranks(void);
bool sweep_has_mpi(void); /* built in? */

/* Like points_run, over all ranks: todo and done matter on rank 0 only, work everywhere. Returns as points_run
 * does; on other ranks 0 when there is nothing more to do. */
KVT_MUST_CHECK int sweep_mpi_run(const struct points *p, char *error);
/* When all is written. */
/* On rank 0, when nothing is left to run: from now on this process may use the processors of all ranks on its machine,
 * which have nothing to do. Elsewhere and without MPI nothing. */
void sweep_mpi_spread(void);
void sweep_mpi_end(void);

#endif
