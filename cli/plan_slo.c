/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_slo.c - see plan_slo.h.
 */
#include "plan_slo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), m = strlen(with);
    return n >= m && strcmp(name + n - m, with) == 0;
}

static int refuse(const char *text, const char *expected, char *error, size_t size)
{
    snprintf(error, size, "--slo: %.80s: %s", text, expected);
    return -EINVAL;
}

/* "ttft_p99.9", with or without _ms: a quantile of the requests. */
static bool is_quantile(struct slo *slo, const char *name)
{
    static const char *const stems[] = {
        [SLO_TTFT] = "ttft_p", [SLO_TPOT] = "tpot_p", [SLO_E2E] = "e2e_p"};
    char number[16];
    double percent;
    for (int i = 0; i < 3; i++) {
        size_t len = strlen(stems[i]);
        if (strncmp(name, stems[i], len) != 0)
            continue;
        size_t digits = strspn(name + len, "0123456789.");
        if (digits == 0 || digits >= sizeof number ||
            (name[len + digits] && strcmp(name + len + digits, "_ms") != 0))
            return false;
        snprintf(number, sizeof number, "%.*s", (int)digits, name + len);
        if (units_number(number, &percent, NULL) != 0 || !(percent > 0 && percent <= 100))
            return false;
        slo->of = i == 0 ? SLO_TTFT : i == 1 ? SLO_TPOT : SLO_E2E;
        slo->quantile = percent / 100;
        snprintf(slo->name, sizeof slo->name, "%.24s%.*s_ms", stems[i], (int)digits, name + len);
        return true;
    }
    return false;
}

/* Which figure. A list of names where there is none like it. */
static int find_figure(struct slo *slo, const char *name, const struct figures *known, char *error,
                       size_t size)
{
    char with_unit[FIGURE_NAME + 8], shown[SLO_TEXT + 32];
    struct figures *scratch;
    snprintf(with_unit, sizeof with_unit, "%s_ms", name);
    slo->quantile = (double)NAN;
    bool quantile = is_quantile(slo, name);
    if (figures_find(known, name) >= 0 || figures_find(known, with_unit) >= 0) {
        snprintf(slo->name, sizeof slo->name, "%.*s", FIGURE_NAME - 1,
                 figures_find(known, name) >= 0 ? name : with_unit);
        /* Requests give the interval; the value is the summary's. */
        return 0;
    }
    if (quantile)
        return 0;
    scratch = malloc(sizeof *scratch);
    if (!scratch)
        return -ENOMEM;
    snprintf(shown, sizeof shown, "%.60s", name);
    int rc = figures_parse(scratch, known, shown, "--slo", error, size);
    free(scratch);
    return rc;
}

static int parse_limit(struct slo *slo, const char *text, const char **why)
{
    uint64_t whole = 0;
    int rc;
    if (ends(slo->name, "_ms")) {
        rc = units_duration(text, &whole, why);
        slo->limit = (double)whole / 1e6;
    } else if (ends(slo->name, "_ratio") || ends(slo->name, "hit_rate")) {
        rc = units_ratio(text, &slo->limit, why);
    } else if (ends(slo->name, "_per_s")) {
        rc = units_rate(text, &slo->limit, why);
        if (rc != 0)
            rc = units_number(text, &slo->limit, why);
    } else if (ends(slo->name, "_s")) {
        rc = units_duration(text, &whole, why);
        slo->limit = (double)whole / 1e9;
    } else if (strstr(slo->name, "bytes")) {
        rc = units_bytes(text, &whole, why);
        slo->limit = (double)whole;
    } else {
        rc = units_number(text, &slo->limit, why);
    }
    return rc;
}

int slo_parse(struct slo *slo, const char *text, const struct figures *known, char *error,
              size_t size)
{
    char name[FIGURE_NAME];
    const char *why = "";
    size_t len = strcspn(text, "<>");
    *slo = (struct slo){.quantile = (double)NAN};
    if (text[len] == '\0' || len == 0 || len >= sizeof name || strlen(text) >= sizeof slo->text)
        return refuse(text, "expected FIGURE<LIMIT or FIGURE>LIMIT, such as ttft_p95<2s", error,
                      size);
    snprintf(slo->text, sizeof slo->text, "%s", text);
    snprintf(name, sizeof name, "%.*s", (int)len, text);
    while (len > 0 && name[len - 1] == ' ')
        name[--len] = '\0';
    int rc = find_figure(slo, name, known, error, size);
    if (rc != 0)
        return rc;
    const char *limit = strpbrk(text, "<>");
    slo->below = *limit++ == '<';
    slo->equal = *limit == '=';
    limit += slo->equal;
    limit += strspn(limit, " ");
    if (parse_limit(slo, limit, &why) != 0)
        return refuse(text, why, error, size);
    return 0;
}

/* Values of the requests that a quantile is of, in ms, in order. Returns how many; *out from malloc. */
static size_t values_of(const struct slo *slo, const struct lab_request *requests, size_t n,
                        double **out)
{
    size_t m = 0;
    *out = malloc((n + 1) * sizeof **out);
    for (size_t i = 0; *out && i < n; i++) {
        const struct lab_request *r = &requests[i];
        uint64_t ns = slo->of == SLO_TTFT   ? r->ttft_ns
                      : slo->of == SLO_TPOT ? r->tpot_ns
                                            : r->e2e_ns;
        if (r->ttft_ns != UINT64_MAX && ns != UINT64_MAX)
            (*out)[m++] = (double)ns / 1e6;
    }
    return m;
}

double slo_value(const struct slo *slo, const json_t *summary, const struct lab_request *requests,
                 size_t n)
{
    double value = figure_value(summary, slo->name), *values;
    if (!isnan(value) || isnan(slo->quantile))
        return value;
    size_t m = values_of(slo, requests, n, &values);
    if (values && m > 0) {
        gsl_sort(values, 1, m);
        value = gsl_stats_quantile_from_sorted_data(values, 1, m, slo->quantile);
    }
    free(values);
    return value;
}

int slo_interval(const struct slo *slo, const json_t *summary, const struct lab_request *requests,
                 size_t n, uint64_t seed, struct interval *out)
{
    *out = (struct interval){slo_value(slo, summary, requests, n), (double)NAN, (double)NAN};
    if (isnan(slo->quantile))
        return 0;
    double *values;
    size_t m = values_of(slo, requests, n, &values);
    int rc = values ? interval_quantiles(values, NULL, m, &slo->quantile, 1, seed, out) : -ENOMEM;
    free(values);
    return rc;
}

bool slo_met(const struct slo *slo, double value)
{
    return slo->below ? (slo->equal ? value <= slo->limit : value < slo->limit)
                      : (slo->equal ? value >= slo->limit : value > slo->limit);
}

double slo_strain(const struct slo *slo, double value)
{
    double strain = slo->below ? value / slo->limit : slo->limit / value;
    return isnan(strain) ? (double)INFINITY : strain;
}
