/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gpu_cost.c - core's prediction of a prefill, fitted to the model of gpu.c.
 *
 * Core decides "load or compute" with three numbers (struct kvt_prefill_cost): a fixed time, a time per
 * token, and a time per token pair. The model is not of that form: chunks add host time per chunk, short
 * ones wait for weights. Least squares of the *relative* error over a grid of contexts and lengths keeps
 * the fit useful at 256 tokens as well as at 128 Ki: with y the model's time, minimise
 *
 *      sum of ((fixed + n * per_token + n * (k + n / 2) * per_token2) / y - 1)^2
 *
 * by its 3 x 3 normal equations. A negative number would let a long prefill cost less than a short one;
 * such a term is dropped and the rest fitted again.
 */
#include "gpu.h"

#include <math.h>

#define TERMS        3
#define LENGTH_SCALE 4096.0 /* keeps the normal equations well conditioned */

struct normal {
    double a[TERMS][TERMS + 1];
};

static void add_sample(struct normal *eq, double past, double n, double y_ns)
{
    double term[TERMS + 1] = {1 / y_ns, n / LENGTH_SCALE / y_ns,
                              n * (past + n / 2) / (LENGTH_SCALE * LENGTH_SCALE) / y_ns, 1};

    for (int i = 0; i < TERMS; i++)
        for (int j = 0; j <= TERMS; j++)
            eq->a[i][j] += term[i] * term[j];
}

/* Gaussian elimination with pivoting over the terms in use; the others come out as 0. */
static void solve(struct normal eq, const bool use[TERMS], double x[TERMS])
{
    for (int i = 0; i < TERMS; i++)
        for (int j = 0; j < TERMS; j++)
            if (!use[i] || !use[j])
                eq.a[i][j] = i == j;
    for (int i = 0; i < TERMS; i++)
        if (!use[i])
            eq.a[i][TERMS] = 0;

    for (int p = 0; p < TERMS; p++) {
        int best = p;

        for (int i = p + 1; i < TERMS; i++)
            if (fabs(eq.a[i][p]) > fabs(eq.a[best][p]))
                best = i;
        for (int j = 0; j <= TERMS; j++) {
            double swap = eq.a[p][j];
            eq.a[p][j] = eq.a[best][j];
            eq.a[best][j] = swap;
        }
        for (int i = 0; i < TERMS; i++) {
            double factor = i == p || eq.a[p][p] == 0 ? 0 : eq.a[i][p] / eq.a[p][p];

            for (int j = 0; j <= TERMS; j++)
                eq.a[i][j] -= factor * eq.a[p][j];
        }
    }
    for (int i = 0; i < TERMS; i++)
        x[i] = eq.a[i][i] == 0 ? 0 : eq.a[i][TERMS] / eq.a[i][i];
}

void sim_gpu_prefill_cost(const struct sim_gpu *g, uint32_t max_batch_tokens,
                          struct kvt_prefill_cost *cost)
{
    static const uint32_t past[] = {0, 2048, 16384, 65536};
    struct normal eq = {{{0}}};
    bool use[TERMS] = {true, true, true};
    double x[TERMS];
    bool again = true;

    for (size_t i = 0; i < sizeof past / sizeof *past; i++)
        for (uint32_t n = 256; n <= 131072; n *= 2)
            add_sample(&eq, past[i], n,
                       (double)sim_gpu_prefill_ns(g, past[i], n, max_batch_tokens));

    while (again) {
        again = false;
        solve(eq, use, x);
        for (int i = 0; i < TERMS; i++)
            if (use[i] && x[i] < 0) {
                use[i] = false;
                again = true;
            }
    }
    cost->fixed_ns = x[0];
    cost->ns_per_token = x[1] / LENGTH_SCALE;
    cost->ns_per_token2 = x[2] / (LENGTH_SCALE * LENGTH_SCALE);
}
