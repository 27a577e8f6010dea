/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * compare_pairs.c - two runs of the same requests; see compare.h and interval.h.
 *
 * Requests are matched by id, which counts arrivals, and a pair must have the same prompt length: a variant
 * that changes the traffic itself (another seed of a generator, another trace) is found out by that, and
 * gets no intervals rather than false ones. A request that only one of the runs finished is left out of
 * both, and counted.
 *
 * The hit rate is hits over prompt tokens, and so is its difference: a ratio of sums over pairs, whose
 * denominator is the same in both runs. TPOT is over pairs with at least two output tokens.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "compare.h"

const char *const compare_paired_names[PAIRED] = {
    [PAIRED_HIT_RATE] = "prefix_hit_rate", [PAIRED_TTFT_MEAN] = "ttft_mean_ms",
    [PAIRED_TTFT_P50] = "ttft_p50_ms",     [PAIRED_TTFT_P95] = "ttft_p95_ms",
    [PAIRED_TTFT_P99] = "ttft_p99_ms",     [PAIRED_TPOT_MEAN] = "tpot_mean_ms",
    [PAIRED_TPOT_P50] = "tpot_p50_ms",     [PAIRED_TPOT_P95] = "tpot_p95_ms",
    [PAIRED_E2E_MEAN] = "e2e_mean_ms",
};

const char *const compare_verdict_names[] = {
    [VERDICT_NONE] = "-",        [VERDICT_SAME] = "same",   [VERDICT_NOISE] = "noise",
    [VERDICT_BETTER] = "better", [VERDICT_WORSE] = "worse",
};

/* Columns of doubles, in the order of arrival. */
struct columns {
    double *variant, *reference, *difference, *weight;
};

static bool measured(const struct lab_request *r)
{
    return r->ttft_ns != UINT64_MAX;
}

static enum compare_verdict judge(const struct interval *i, bool all_equal, int better)
{
    if (all_equal)
        return VERDICT_SAME;
    if (isnan(i->low) || isnan(i->high))
        return VERDICT_NONE;
    if (!interval_tells(i))
        return VERDICT_NOISE;
    return (i->value > 0) == (better > 0) ? VERDICT_BETTER : VERDICT_WORSE;
}

static bool all_zero(const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (values[i] != 0)
            return false;
    return true;
}

/* Pairs that both runs measured are moved to the front of both copies. */
static size_t match(const struct lab_request *a, size_t n_a, const struct lab_request *b,
                    size_t n_b, size_t *both, struct compare_pairs *out)
{
    size_t n = n_a > n_b ? n_a : n_b, pairs = 0;
    for (size_t i = 0; i < n; i++) {
        bool in_a = i < n_a && measured(&a[i]), in_b = i < n_b && measured(&b[i]);
        out->alone += in_a != in_b;
        if (!in_a || !in_b)
            continue;
        out->other_traffic = out->other_traffic || a[i].prompt_tokens != b[i].prompt_tokens;
        both[pairs++] = i;
    }
    return pairs;
}

static void pair_hits(const struct lab_request *a, const struct lab_request *b, const size_t *both,
                      size_t n, struct columns *c, struct compare_pairs *out)
{
    for (size_t i = 0; i < n; i++) {
        c->difference[i] = (double)a[both[i]].hit_tokens - (double)b[both[i]].hit_tokens;
        c->weight[i] = a[both[i]].prompt_tokens;
    }
    out->difference[PAIRED_HIT_RATE] = interval_ratio(c->difference, c->weight, n);
    out->verdict[PAIRED_HIT_RATE] =
        judge(&out->difference[PAIRED_HIT_RATE], all_zero(c->difference, n), +1);
}

/* Mean and quantiles of one time. `first`: the mean, then n_q quantiles, among the paired figures. */
static int pair_times(struct columns *c, size_t n, enum compare_paired first, const double *q,
                      size_t n_q, uint64_t seed, struct compare_pairs *out)
{
    for (size_t i = 0; i < n; i++)
        c->difference[i] = c->variant[i] - c->reference[i];
    bool equal = all_zero(c->difference, n);
    out->difference[first] = interval_ratio(c->difference, NULL, n);
    int rc = n_q == 0 ? 0
                      : interval_quantiles(c->variant, c->reference, n, q, n_q, seed,
                                           &out->difference[first + 1]);
    for (size_t k = 0; k <= n_q; k++)
        out->verdict[first + k] = judge(&out->difference[first + k], equal, -1);
    return rc;
}

static int pair_all_times(const struct lab_request *a, const struct lab_request *b,
                          const size_t *both, size_t n, uint64_t seed, struct columns *c,
                          struct compare_pairs *out)
{
    static const double q[] = {0.50, 0.95, 0.99};
    for (size_t i = 0; i < n; i++) {
        c->variant[i] = (double)a[both[i]].ttft_ns / 1e6;
        c->reference[i] = (double)b[both[i]].ttft_ns / 1e6;
    }
    int rc = pair_times(c, n, PAIRED_TTFT_MEAN, q, 3, seed, out);
    for (size_t i = 0; i < n; i++) {
        c->variant[i] = (double)a[both[i]].e2e_ns / 1e6;
        c->reference[i] = (double)b[both[i]].e2e_ns / 1e6;
    }
    if (rc == 0)
        rc = pair_times(c, n, PAIRED_E2E_MEAN, q, 0, seed, out);
    size_t decoded = 0;
    for (size_t i = 0; i < n; i++) {
        const struct lab_request *x = &a[both[i]], *y = &b[both[i]];
        if (x->tpot_ns == UINT64_MAX || y->tpot_ns == UINT64_MAX)
            continue;
        c->variant[decoded] = (double)x->tpot_ns / 1e6;
        c->reference[decoded++] = (double)y->tpot_ns / 1e6;
    }
    return rc ? rc : pair_times(c, decoded, PAIRED_TPOT_MEAN, q, 2, seed, out);
}

int compare_pair(const struct lab_request *variant, size_t n_variant,
                 const struct lab_request *reference, size_t n_reference, bool times, uint64_t seed,
                 struct compare_pairs *out)
{
    size_t most = n_variant > n_reference ? n_variant : n_reference;
    *out = (struct compare_pairs){0};
    for (size_t k = 0; k < PAIRED; k++)
        out->difference[k] = (struct interval){(double)NAN, (double)NAN, (double)NAN};
    size_t *both = malloc((most + 1) * sizeof *both);
    double *room = malloc((4 * most + 1) * sizeof *room);
    int rc = both && room ? 0 : -ENOMEM;
    if (rc == 0) {
        struct columns c = {room, room + most, room + 2 * most, room + 3 * most};
        out->n = match(variant, n_variant, reference, n_reference, both, out);
        if (out->n > 0 && !out->other_traffic) {
            pair_hits(variant, reference, both, out->n, &c, out);
            if (times)
                rc = pair_all_times(variant, reference, both, out->n, seed, &c, out);
        }
    }
    free(both);
    free(room);
    return rc;
}
