/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * arrivals.c - see arrivals.h, and the text form of an arrival process: a name, and in parentheses
 * comma-separated settings.
 */
#include "arrivals.h"

#include "rng.h"

#include <gsl/gsl_math.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wl_clock_init(struct wl_clock *clock, const struct wl_arrivals *arrivals, double rate_per_s,
                   uint64_t seed, const char *stream)
{
    *clock = (struct wl_clock){.arrivals = *arrivals,
                               .rate_per_s = rate_per_s,
                               .seed = seed,
                               .stream = stream};
    clock->rng = wl_rng(&clock->state, seed, stream, 0);
}

static double diurnal_gap_s(const struct wl_clock *clock)
{
    const struct wl_arrivals *a = &clock->arrivals;
    const double begin_s = (double)clock->now_ns / 1e9;
    double t = begin_s;
    double keep;
    do {
        t += gsl_ran_exponential(&clock->rng, 1 / (clock->rate_per_s * (1 + a->amplitude)));
        keep = (1 + a->amplitude * sin(2 * M_PI * t / a->period_s)) / (1 + a->amplitude);
    } while (gsl_rng_uniform(&clock->rng) >= keep);
    return t - begin_s;
}

kvt_ns wl_clock_next(struct wl_clock *clock)
{
    const struct wl_arrivals *a = &clock->arrivals;
    const double mean_s = 1 / clock->rate_per_s;
    double gap_s = mean_s;
    if (clock->now_ns == KVT_NEVER)
        return KVT_NEVER;
    if (a->kind == WL_POISSON)
        gap_s = gsl_ran_exponential(&clock->rng, mean_s);
    else if (a->kind == WL_GAMMA)
        gap_s = gsl_ran_gamma(&clock->rng, 1 / (a->cv * a->cv), mean_s * a->cv * a->cv);
    else if (a->kind == WL_DIURNAL)
        gap_s = diurnal_gap_s(clock);
    clock->now_ns = kvt_ns_add(clock->now_ns, wl_seconds(gap_s));
    return clock->now_ns;
}

/* ---- Text ------------------------------------------------------------------------------------------- */

static const char *const names[WL_ARRIVALS] = {"poisson", "gamma", "diurnal", "constant"};

/* A plain number, or with one of s, min, h, d behind it where units are wanted. */
static bool number(const char *text, size_t n, bool duration, double *value)
{
    static const struct {
        const char *unit;
        double s;
    } units[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
    char copy[32];
    char *end;
    if (n == 0 || n >= sizeof copy || strspn(text, "0123456789.") == 0)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (copy[0] == '0' && (copy[1] == 'x' || copy[1] == 'X'))
        return false;
    *value = strtod(copy, &end);
    if (!duration)
        return *end == '\0' && isfinite(*value);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].unit) == 0) {
            *value *= units[i].s;
            return isfinite(*value);
        }
    return false;
}

/* One "cv=2" of n bytes. */
static const char *set(struct wl_arrivals *a, const char *text, size_t n)
{
    const char *equals = memchr(text, '=', n);
    const size_t key = equals != NULL ? (size_t)(equals - text) : n;
    const char *value = equals != NULL ? equals + 1 : text + n;
    const size_t value_n = equals != NULL ? n - key - 1 : 0;
    if (a->kind == WL_GAMMA && key == 2 && memcmp(text, "cv", 2) == 0)
        return number(value, value_n, false, &a->cv) && a->cv >= 0.01 && a->cv <= 100
                   ? NULL
                   : "expected gamma(cv=NUMBER), from 0.01 to 100";
    if (a->kind == WL_DIURNAL && key == 9 && memcmp(text, "amplitude", 9) == 0)
        return number(value, value_n, false, &a->amplitude) && a->amplitude <= 1
                   ? NULL
                   : "expected amplitude=NUMBER, from 0 to 1";
    if (a->kind == WL_DIURNAL && key == 6 && memcmp(text, "period", 6) == 0)
        return number(value, value_n, true, &a->period_s) && a->period_s > 0
                   ? NULL
                   : "expected period=DURATION, such as 24h";
    return a->kind == WL_GAMMA     ? "expected gamma(cv=NUMBER)"
           : a->kind == WL_DIURNAL ? "expected diurnal(amplitude=NUMBER,period=DURATION)"
                                   : "expected no settings in parentheses";
}

const char *wl_arrivals_parse(struct wl_arrivals *arrivals, const char *text)
{
    struct wl_arrivals a = {.kind = WL_ARRIVALS, .cv = 2, .amplitude = 0.8, .period_s = 86400};
    const size_t word = strcspn(text, "(");
    for (int i = 0; i < WL_ARRIVALS; i++)
        if (strlen(names[i]) == word && memcmp(text, names[i], word) == 0)
            a.kind = (enum wl_arrival_kind)i;
    if (a.kind == WL_ARRIVALS)
        return "expected poisson, gamma(cv=2), diurnal(amplitude=0.8,period=24h) or constant";
    const char *at = text + word;
    if (*at == '(') {
        const size_t n = strlen(at);
        if (n < 2 || at[n - 1] != ')')
            return "expected a closing parenthesis at the end";
        const char *end = at + n - 1;
        for (at++; at < end;) {
            while (at < end && *at == ' ')
                at++;
            const char *comma = memchr(at, ',', (size_t)(end - at));
            const size_t size = (size_t)((comma != NULL ? comma : end) - at);
            const char *wrong = set(&a, at, size);
            if (wrong != NULL)
                return wrong;
            at += size + 1;
        }
    }
    *arrivals = a;
    return NULL;
}

const char *wl_arrivals_show(const struct wl_arrivals *arrivals, char *text, size_t size)
{
    const char *name = names[arrivals->kind];
    if (arrivals->kind == WL_GAMMA)
        snprintf(text, size, "%s(cv=%g)", name, arrivals->cv);
    else if (arrivals->kind == WL_DIURNAL)
        snprintf(text, size, "%s(amplitude=%g,period=%gs)", name, arrivals->amplitude,
                 arrivals->period_s);
    else
        snprintf(text, size, "%s", name);
    return text;
}
