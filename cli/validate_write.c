/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate_write.c - a validation as files.
 *
 *      summary.json               verdict, rows, counts, keys, causes
 *      validate-rows.csv          one line per row
 *      validate-cdf.csv           both distribution functions of each row, for the picture
 *      validate-counts.csv        one line per counter
 *      validate-divergences.csv   one line per request that was accounted otherwise
 *
 * Each CSV file begins with lines that start with '#' and say what is in it, then one line of
 * column names. An empty field is "not defined here": a quantile of no samples, the error where
 * nothing was measured. Times are milliseconds, errors are parts of what the real world took:
 * -0.05 is a simulation five percent too fast.
 */
#include "validate.h"

#include <errno.h>
#include <gsl/gsl_statistics_double.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

/* Decimals, and points of a distribution function. */
enum { MS = 6, RATIO = 6, POINTS = 200 };

const char *const validate_files[] = {
    "validate-rows.csv",        "validate-cdf.csv", "validate-counts.csv",
    "validate-divergences.csv", "summary.json",     NULL,
};

const char validate_profile[] = "validate-profile.yaml";

/* ---- CSV. ---- */

static void u64(struct out *o, uint64_t value)
{
    out_char(o, ',');
    out_u64(o, value);
}

static void ms(struct out *o, double ns)
{
    out_char(o, ',');
    out_fixed(o, ns / 1e6, MS);
}

static void ratio(struct out *o, double value)
{
    out_char(o, ',');
    out_fixed(o, value, RATIO);
}

static void figures(struct out *o, const struct sample_figures *f)
{
    u64(o, f->n);
    ms(o, f->mean);
    ms(o, f->p50);
    ms(o, f->p95);
    ms(o, f->p99);
}

static void write_rows(struct out *o, const struct validation *v)
{
    out_text(o,
             "# Times in the real world and in the simulated one. Errors: (sim - real) / real.\n"
             "# ks: largest distance of the two distribution functions; ks_significance: how "
             "likely such\n"
             "# a distance is by chance. pairs: the same operation found in both worlds; "
             "pair_p50_error:\n"
             "# median of their errors, pair_p95_error: 95 % of them are off by no more. low, "
             "high: of the\n"
             "# real world's rounds, of which all real figures are medians.\n"
             "row,real_n,real_mean_ms,real_p50_ms,real_p95_ms,real_p99_ms,sim_n,sim_mean_ms,"
             "sim_p50_ms,sim_p95_ms,sim_p99_ms,mean_error,p50_error,p95_error,p99_error,ks,"
             "ks_significance,pairs,pair_p50_error,pair_p95_error,real_p50_low_ms,real_p50_high_ms,"
             "real_p95_low_ms,real_p95_high_ms,verdict\n");
    for (size_t i = 0; i < v->n_rows; i++) {
        const struct validate_row *row = &v->rows[i];
        out_field(o, row->name);
        figures(o, &row->real);
        figures(o, &row->sim);
        ratio(o, row->mean_error);
        ratio(o, row->p50_error);
        ratio(o, row->p95_error);
        ratio(o, row->p99_error);
        ratio(o, row->ks);
        ratio(o, row->ks_significance);
        u64(o, row->pairs);
        ratio(o, row->pair_p50_error);
        ratio(o, row->pair_p95_error);
        ms(o, row->p50_low_ns);
        ms(o, row->p50_high_ns);
        ms(o, row->p95_low_ns);
        ms(o, row->p95_high_ns);
        out_char(o, ',');
        out_text(o, validate_verdict_name(row->verdict));
        out_char(o, '\n');
    }
}

static double quantile(const double *sorted, size_t n, double q)
{
    return n == 0 ? NAN : gsl_stats_quantile_from_sorted_data(sorted, 1, n, q);
}

static void write_cdf(struct out *o, const struct validation *v)
{
    out_text(
        o,
        "# Both distribution functions of each row of validate-rows.csv: quantiles from 0 to 1.\n"
        "row,name,verdict,quantile,real_ms,sim_ms\n");
    for (size_t i = 0; i < v->n_rows; i++) {
        const struct validate_row *row = &v->rows[i];
        for (unsigned p = 0; p <= POINTS; p++) {
            double q = (double)p / POINTS;
            out_u64(o, i + 1);
            out_char(o, ',');
            out_field(o, row->name);
            out_char(o, ',');
            out_text(o, validate_verdict_name(row->verdict));
            ratio(o, q);
            ms(o, quantile(row->real_ns, row->real.n, q));
            ms(o, quantile(row->sim_ns, row->sim.n, q));
            out_char(o, '\n');
        }
    }
}

static void write_counts(struct out *o, const struct validation *v)
{
    out_text(
        o, "# Counters of both worlds. may_differ_by: what makes them differ, where anything may.\n"
           "counter,real,sim,may_differ_by\n");
    for (size_t i = 0; i < v->n_counts; i++) {
        out_field(o, v->counts[i].name);
        u64(o, v->counts[i].real);
        u64(o, v->counts[i].sim);
        out_char(o, ',');
        out_field(o, v->counts[i].cause);
        out_char(o, '\n');
    }
}

static void write_divergences(struct out *o, const struct validation *v)
{
    out_text(o, "# Requests whose prompt tokens were accounted otherwise in the two worlds: how "
                "many tokens, the\n"
                "# class that most of them had in each, and why.\n");
    for (unsigned c = 0; c < CAUSES; c++) {
        out_text(o, "#   ");
        out_text(o, validate_cause_name((enum validate_cause)c));
        out_text(o, ": ");
        out_text(o, validate_cause_text((enum validate_cause)c));
        out_char(o, '\n');
    }
    out_text(o, "request,tokens,real,sim,cause\n");
    for (size_t i = 0; i < v->n_divergences; i++) {
        const struct validate_divergence *d = &v->divergences[i];
        out_u64(o, d->id);
        u64(o, d->tokens);
        out_char(o, ',');
        out_text(o, kvt_ledger_name(d->real));
        out_char(o, ',');
        out_text(o, kvt_ledger_name(d->sim));
        out_char(o, ',');
        out_text(o, validate_cause_name(d->cause));
        out_char(o, '\n');
    }
}

/* ---- JSON. An object that lacks memory stays NULL, and so becomes what holds it. ---- */

static void put(json_t **object, const char *key, json_t *value)
{
    if (json_object_set_new(*object, key, value) == 0)
        return;
    json_decref(*object);
    *object = NULL;
}

static void append(json_t **array, json_t *value)
{
    if (json_array_append_new(*array, value) == 0)
        return;
    json_decref(*array);
    *array = NULL;
}

static json_t *text_of(const char *text)
{
    json_t *value = text ? json_string(text) : json_null(); /* NULL when it is not UTF-8 */
    return value ? value : json_string("(not UTF-8)");
}

static json_t *real_of(double value, unsigned decimals)
{
    return isfinite(value) ? json_real(round_to(value, decimals)) : json_null();
}

static json_t *count_of(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *figures_of(const struct sample_figures *f)
{
    json_t *object = json_object();
    put(&object, "n", count_of(f->n));
    put(&object, "mean_ms", real_of(f->mean / 1e6, MS));
    put(&object, "p50_ms", real_of(f->p50 / 1e6, MS));
    put(&object, "p95_ms", real_of(f->p95 / 1e6, MS));
    put(&object, "p99_ms", real_of(f->p99 / 1e6, MS));
    return object;
}

static json_t *row_of(const struct validate_row *row)
{
    json_t *object = json_object();
    put(&object, "name", text_of(row->name));
    put(&object, "real", figures_of(&row->real));
    put(&object, "sim", figures_of(&row->sim));
    put(&object, "mean_error", real_of(row->mean_error, RATIO));
    put(&object, "p50_error", real_of(row->p50_error, RATIO));
    put(&object, "p95_error", real_of(row->p95_error, RATIO));
    put(&object, "p99_error", real_of(row->p99_error, RATIO));
    put(&object, "ks", real_of(row->ks, RATIO));
    put(&object, "ks_significance", real_of(row->ks_significance, RATIO));
    put(&object, "pairs", count_of(row->pairs));
    put(&object, "pair_p50_error", real_of(row->pair_p50_error, RATIO));
    put(&object, "pair_p95_error", real_of(row->pair_p95_error, RATIO));
    put(&object, "real_p50_low_ms", real_of(row->p50_low_ns / 1e6, MS));
    put(&object, "real_p50_high_ms", real_of(row->p50_high_ns / 1e6, MS));
    put(&object, "real_p95_low_ms", real_of(row->p95_low_ns / 1e6, MS));
    put(&object, "real_p95_high_ms", real_of(row->p95_high_ns / 1e6, MS));
    put(&object, "verdict", text_of(validate_verdict_name(row->verdict)));
    return object;
}

static json_t *rows_of(const struct validation *v)
{
    json_t *array = json_array();
    for (size_t i = 0; i < v->n_rows; i++)
        append(&array, row_of(&v->rows[i]));
    return array;
}

static json_t *counts_of(const struct validation *v)
{
    json_t *array = json_array();
    for (size_t i = 0; i < v->n_counts; i++) {
        json_t *object = json_object();
        put(&object, "name", text_of(v->counts[i].name));
        put(&object, "real", count_of(v->counts[i].real));
        put(&object, "sim", count_of(v->counts[i].sim));
        append(&array, object);
    }
    return array;
}

static json_t *keys_of(const struct validation *v)
{
    json_t *tiers = json_object();
    for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
        const struct validate_keys *k = &v->keys[tier];
        if (!k->present)
            continue;
        json_t *object = json_object();
        put(&object, "stored_real", count_of(k->stored_real));
        put(&object, "stored_sim", count_of(k->stored_sim));
        put(&object, "stored_both", count_of(k->stored_both));
        put(&object, "held_real", count_of(k->held_real));
        put(&object, "held_sim", count_of(k->held_sim));
        put(&object, "held_both", count_of(k->held_both));
        put(&tiers, kvt_tier_name((enum kvt_tier_kind)tier), object);
    }
    return tiers;
}

static json_t *causes_of(const struct validation *v)
{
    json_t *object = json_object();
    for (unsigned c = 0; c < CAUSES; c++)
        put(&object, validate_cause_name((enum validate_cause)c), count_of(v->causes[c]));
    return object;
}

static json_t *tolerance_of(const struct validate_tolerance *t)
{
    json_t *object = json_object();
    put(&object, "p50", real_of(t->p50, RATIO));
    put(&object, "p95", real_of(t->p95, RATIO));
    put(&object, "floor_ms", real_of(t->floor_ns / 1e6, MS));
    put(&object, "least_samples", count_of(t->least));
    put(&object, "hit_rate", real_of(t->hit_points, RATIO));
    return object;
}

char *validate_json(const struct validation *v, const struct validate_title *title)
{
    json_t *all = json_object();
    put(&all, "command", text_of("validate"));
    put(&all, "verdict", text_of(v->within ? "within" : "beyond"));
    put(&all, "scenario", text_of(title->scenario));
    put(&all, "scenario_name", text_of(title->scenario_name));
    put(&all, "scenario_sha256", text_of(title->scenario_sha256));
    put(&all, "profile", text_of(title->profile));
    put(&all, "seed", count_of(title->seed));
    put(&all, "revision", text_of(title->revision));
    put(&all, "model", text_of(title->model));
    put(&all, "gpu", text_of(title->gpu));
    put(&all, "device", text_of(title->real->device));
    put(&all, "compute", text_of("modelled"));
    put(&all, "steps", count_of(title->real->steps));
    put(&all, "late_steps", count_of(title->real->late_steps));
    put(&all, "late_most_ms", real_of((double)title->real->late_ns_most / 1e6, MS));
    put(&all, "verified_bytes", count_of(title->real->verified_b));
    put(&all, "corrupt_values", count_of(title->real->corrupt_pieces));
    put(&all, "requests", count_of(v->requests));
    put(&all, "rounds", count_of(v->rounds));
    put(&all, "rounds_same_decisions", count_of(v->rounds_same));
    put(&all, "rows_judged", count_of(v->judged));
    put(&all, "rows_beyond", count_of(v->beyond));
    put(&all, "prefix_hit_rate_real", real_of(v->hit_rate_real, RATIO));
    put(&all, "prefix_hit_rate_sim", real_of(v->hit_rate_sim, RATIO));
    put(&all, "same_decisions", json_boolean(v->same_decisions));
    put(&all, "divergent_requests", count_of(v->n_divergences));
    put(&all, "tolerance", tolerance_of(&v->tolerance));
    put(&all, "rows", rows_of(v));
    put(&all, "counts", counts_of(v));
    put(&all, "keys", keys_of(v));
    put(&all, "causes", causes_of(v));
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(all);
    size_t n = text ? strlen(text) : 0;
    char *line = text ? realloc(text, n + 2) : NULL;
    if (!line)
        free(text);
    else
        memcpy(line + n, "\n", 2);
    return line;
}

/* ---- The folder. ---- */

int validate_write(int dirfd, const struct validation *v, const struct validate_title *title)
{
    static void (*const writers[])(struct out *,
                                   const struct validation *) = {write_rows, write_cdf,
                                                                 write_counts, write_divergences};
    struct out *o = malloc(sizeof *o);
    char *json = validate_json(v, title);
    int rc = o && json ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && validate_files[i]; i++) {
        rc = out_open(o, dirfd, validate_files[i]);
        if (rc != 0)
            break;
        if (i < sizeof writers / sizeof writers[0])
            writers[i](o, v);
        else
            out_text(o, json);
        rc = out_close(o);
    }
    free(o);
    free(json);
    return rc;
}
