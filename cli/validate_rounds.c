/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate_rounds.c - several real runs of the same requests beside one simulation; see validate.h.
 *
 * A machine does not do the same twice, and a shared one less so: a single round may be judged by what its neighbours
 * did meanwhile. Medians over rounds are what the machine does by itself; least and largest say how much of a
 * difference is its own.
 *
 *      real figures     the median over the rounds of each round's mean, p50, p95, p99
 *      samples          those of all rounds together, for the distribution and the picture
 *      pairs            all of them; errors are medians over the rounds
 *      decisions        the worst round's: unexplained divergences, then hit rates apart, then divergences
 */
#include "validate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct validate_row *row_of(const struct validation *v, const char *name)
{
    for (size_t i = 0; i < v->n_rows; i++)
        if (strcmp(v->rows[i].name, name) == 0)
            return &v->rows[i];
    return NULL;
}

/* What is taken from each round's row. */
enum figure { MEAN, P50, P95, P99, PAIR_P50, PAIR_P95, FIGURES };

static double figure_of(const struct validate_row *row, enum figure figure)
{
    const double all[FIGURES] = {row->real.mean, row->real.p50,       row->real.p95,
                                 row->real.p99,  row->pair_p50_error, row->pair_p95_error};
    return all[figure];
}

/* Of the rounds that have the row and the figure; values has room for n. NAN: none has. */
static struct sample_figures over_rounds(const struct validation *rounds, size_t n,
                                         const char *name, enum figure figure, double *values)
{
    size_t have = 0;
    for (size_t i = 0; i < n; i++) {
        const struct validate_row *row = row_of(&rounds[i], name);
        if (row && !isnan(figure_of(row, figure)))
            values[have++] = figure_of(row, figure);
    }
    return sample_figures(values, have); /* ascending from here on */
}

/* Samples of all rounds together. The caller frees. */
static double *pool(const struct validation *rounds, size_t n, const char *name, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < n; i++) {
        const struct validate_row *row = row_of(&rounds[i], name);
        *total += row ? row->real.n : 0;
    }
    double *all = malloc((*total ? *total : 1) * sizeof *all);
    for (size_t i = 0, at = 0; all && i < n; i++) {
        const struct validate_row *row = row_of(&rounds[i], name);
        if (!row || row->real.n == 0)
            continue;
        memcpy(all + at, row->real_ns, row->real.n * sizeof *all);
        at += row->real.n;
    }
    return all;
}

/* Row `into` of the first round becomes that of all. figures[n] is scratch. */
static int merge(struct validation *rounds, size_t n, struct validate_row *into, double *values)
{
    const char *name = into->name;
    size_t total, pairs = 0;
    double median[FIGURES], low[FIGURES], high[FIGURES];
    double *all = pool(rounds, n, name, &total);
    if (!all)
        return -ENOMEM;
    for (enum figure f = 0; f < FIGURES; f++) {
        const struct sample_figures over = over_rounds(rounds, n, name, f, values);
        median[f] = over.p50;
        low[f] = over.n ? values[0] : NAN;
        high[f] = over.n ? values[over.n - 1] : NAN;
    }
    for (size_t i = 0; i < n; i++) {
        const struct validate_row *row = row_of(&rounds[i], name);
        pairs += row ? row->pairs : 0;
    }
    free(into->real_ns);
    into->real_ns = all;
    (void)sample_figures(all, total); /* ascending */
    into->real =
        (struct sample_figures){total, median[MEAN], median[P50], median[P95], median[P99]};
    into->p50_low_ns = low[P50];
    into->p50_high_ns = high[P50];
    into->p95_low_ns = low[P95];
    into->p95_high_ns = high[P95];
    into->pairs = pairs;
    into->pair_p50_error = median[PAIR_P50];
    into->pair_p95_error = median[PAIR_P95];
    validate_judge(into, &rounds[0].tolerance);
    return 0;
}

/* a's decisions are further from the simulation's than b's. */
static bool worse(const struct validation *a, const struct validation *b)
{
    const double apart_a = fabs(a->hit_rate_real - a->hit_rate_sim),
                 apart_b = fabs(b->hit_rate_real - b->hit_rate_sim);
    if (a->causes[CAUSE_NONE] != b->causes[CAUSE_NONE])
        return a->causes[CAUSE_NONE] > b->causes[CAUSE_NONE];
    if (apart_a > apart_b || apart_a < apart_b)
        return apart_a > apart_b;
    return a->n_divergences > b->n_divergences;
}

int validate_rounds(struct validation *rounds, size_t n)
{
    size_t same = 0, worst = 0;
    double *values = malloc(n * sizeof *values);
    if (!values)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        same += rounds[i].rounds_same;
        worst = worse(&rounds[i], &rounds[worst]) ? i : worst;
    }
    const struct validation first = rounds[0];
    rounds[0] = rounds[worst];
    rounds[worst] = first;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < rounds[0].n_rows; i++)
        rc = merge(rounds, n, &rounds[0].rows[i], values);
    rounds[0].rounds = n;
    rounds[0].rounds_same = same;
    validate_conclude(&rounds[0]);
    free(values);
    return rc;
}
