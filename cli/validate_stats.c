/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate_stats.c - see validate_stats.h.
 *
 * The distance between two samples is found in one walk over both: past every value, however
 * often it occurs, the shares of the samples at or below it are compared. (Comparing inside a
 * run of equal values would invent a distance.)
 *
 * Kolmogorov's distribution has two series that converge at opposite ends:
 *
 *      1 - K(x) = 2 sum (-1)^(k-1) exp(-2 k^2 x^2)                                x large
 *          K(x) = sqrt(2 pi) / x  sum exp(-(2k-1)^2 pi^2 / (8 x^2))               x small
 *
 * Parted at x = 1, five terms of the first and three of the second are exact to a double's last
 * digits
 * (the next ones are below e^-72 and e^-60). For samples of m and n the argument is
 * (s + 0.12 + 0.11 / s) D with s = sqrt(m n / (m + n)): Stephens (1970, J. R. Stat. Soc. B 32,
 * 115).
 */
#include "validate_stats.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

struct sample_figures sample_figures(double *values, size_t n)
{
    if (n == 0)
        return (struct sample_figures){0, NAN, NAN, NAN, NAN};
    gsl_sort(values, 1, n);
    return (struct sample_figures){
        .n = n,
        .mean = gsl_stats_mean(values, 1, n),
        .p50 = gsl_stats_quantile_from_sorted_data(values, 1, n, 0.50),
        .p95 = gsl_stats_quantile_from_sorted_data(values, 1, n, 0.95),
        .p99 = gsl_stats_quantile_from_sorted_data(values, 1, n, 0.99),
    };
}

double relative_error(double measured, double model)
{
    if (measured == model)
        return 0;
    return measured == 0 ? INFINITY : (model - measured) / measured;
}

double ks_distance(const double *a, size_t n_a, const double *b, size_t n_b)
{
    if (n_a == 0 || n_b == 0)
        return NAN;
    double most = 0;
    for (size_t i = 0, j = 0; i < n_a && j < n_b;) {
        double at = a[i] < b[j] ? a[i] : b[j];
        while (i < n_a && a[i] <= at)
            i++;
        while (j < n_b && b[j] <= at)
            j++;
        double apart = fabs((double)i / (double)n_a - (double)j / (double)n_b);
        most = apart > most ? apart : most;
    }
    return most;
}

double kolmogorov_tail(double x)
{
    static const double pi = 3.14159265358979323846;
    double sum = 0;
    if (!(x > 0))
        return x <= 0 ? 1 : NAN;
    if (x < 1) {
        for (int k = 1; k <= 5; k += 2)
            sum += exp(-k * k * pi * pi / (8 * x * x));
        return 1 - sqrt(2 * pi) / x * sum;
    }
    for (int k = 1; k <= 5; k++)
        sum += (k % 2 ? 2 : -2) * exp(-2 * k * k * x * x);
    return sum;
}

double ks_significance(double distance, size_t n_a, size_t n_b)
{
    double m = (double)n_a, n = (double)n_b, s = sqrt(m * n / (m + n));
    if (n_a == 0 || n_b == 0)
        return NAN;
    return kolmogorov_tail((s + 0.12 + 0.11 / s) * distance);
}
