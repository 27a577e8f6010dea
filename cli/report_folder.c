/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report_folder.c - a results folder as a section of the report.
 *
 * A run, a comparison, a sweep and a plan leave a summary.json; which of them it is, the CSV beside it tells. The answer is
 * three sentences made of the figures: what was found, what it costs, what to do. A figure that is not there drops its
 * part of the sentence. Every constant of the catalogue that the resolved scenario names is printed with its
 * source.
 */
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PICTURES_MOST = 64, ROWS_MOST = 250, LINE_MOST = 512 };

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static double number_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static bool has(int dirfd, const char *file)
{
    return faccessat(dirfd, file, R_OK, 0) == 0;
}

static void put_ms(FILE *out, double ms)
{
    if (ms >= 999.5)
        fprintf(out, "%.2f s", ms / 1e3);
    else
        fprintf(out, "%.0f ms", ms);
}

/* ---- The answer ---- */

static void answer_run(FILE *out, const json_t *s)
{
    double hit = number_of(s, "prefix_hit_rate"), p50 = number_of(s, "ttft_p50_ms");
    double p95 = number_of(s, "ttft_p95_ms"), was = number_of(s, "baseline_ttft_p50_ms");
    double usd = number_of(s, "cost_usd_per_hour"), saved = number_of(s, "cost_saved_usd_per_hour");
    double cache = number_of(s, "cost_cache_usd_per_hour");
    double saving = number_of(s, "cost_saving_ratio");
    fprintf(out, "<p class=answer>%.0f %% of the prompt tokens were found in the cache", 100 * hit);
    if (isfinite(p50)) {
        fputs(", and the first token came after ", out);
        put_ms(out, p50);
        fputs(" in the median (95 % within ", out);
        put_ms(out, p95);
        fputs(")", out);
    }
    if (isfinite(was)) {
        fputs(", without cache after ", out);
        put_ms(out, was);
    }
    fputs(".", out);
    if (isfinite(usd)) {
        fprintf(out, " All of it costs %.2f USD an hour, %.2f per million output tokens", usd,
                number_of(s, "cost_usd_per_mtok_output"));
        if (isfinite(saving))
            fprintf(out, ", %.0f %% %s than without cache at equal latency", 100 * fabs(saving),
                    saving >= 0 ? "less" : "more");
        else
            fprintf(out, "; the cache saves GPU time worth %.2f and costs %.2f", saved, cache);
        fputs(".", out);
    }
    const char *next = text_of(s, "next_dollar");
    if (*next) {
        fputs(" The next dollar should buy ", out);
        html_text(out, next);
        fputs(".", out);
    }
    fputs("</p>\n", out);
}

/* A column of a CSV file: its lowest and highest, and the line of the lowest. */
struct range {
    double low, high;
    size_t rows;
    char at
        [LINE_MOST]; /* the varied keys, which alone have a point in their names, at the lowest: "a.b=1, c.d=2" */
};

static void name_line(struct range *r, char **names, char **fields, size_t n)
{
    size_t at = 0;
    r->at[0] = '\0';
    for (size_t i = 0; i < n && at < sizeof r->at; i++)
        if (strchr(names[i], '.') || strcmp(names[i], "seed") == 0)
            at += (size_t)snprintf(r->at + at, sizeof r->at - at, "%s%s=%s", at ? ", " : "",
                                   names[i], fields[i]);
}

static void column_range(int dirfd, const char *file, const char *column, struct range *r)
{
    char *text = html_slurp(dirfd, file, 64 << 20, NULL), *rest = text, *line;
    char *names[CSV_COLUMNS], *fields[CSV_COLUMNS];
    size_t index = SIZE_MAX, n_names = 0;
    *r = (struct range){.low = INFINITY, .high = -INFINITY};
    while (text && (line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (n_names == 0) {
            n_names = html_split(line, names, CSV_COLUMNS);
            for (size_t i = 0; i < n_names; i++)
                index = strcmp(names[i], column) == 0 ? i : index;
            continue;
        }
        size_t n = html_split(line, fields, CSV_COLUMNS);
        r->rows++;
        char *end = NULL;
        double value = index < n && *fields[index] ? strtod(fields[index], &end) : (double)NAN;
        if (!isfinite(value) || *end)
            continue;
        if (value < r->low) {
            r->low = value;
            name_line(r, names, fields, n < n_names ? n : n_names);
        }
        r->high = value > r->high ? value : r->high;
    }
    free(text);
}

/* Of a grid or of variants: how far apart they are, and which is best at what. */
static void answer_grid(FILE *out, int dirfd, const char *file)
{
    static const struct {
        const char *column, *says, *unit;
    } figures[] = {
        {"ttft_p95_ms", "The 95th percentile of the time to the first token goes", " ms"},
        {"cost_usd_per_mtok_output", "A million output tokens cost", " USD"},
        {"prefix_hit_rate", "The share of prompt tokens found goes", ""},
    };
    struct range r;
    fputs("<p class=answer>", out);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        column_range(dirfd, file, figures[i].column, &r);
        if (!isfinite(r.low))
            continue;
        fprintf(out, "%s from %.4g to %.4g%s over %zu points; the lowest is at ", figures[i].says,
                r.low, r.high, figures[i].unit, r.rows);
        html_text(out, *r.at ? r.at : "the only one");
        fputs(". ", out);
    }
    fputs("</p>\n", out);
}

/* "a.b = 1, c.d = 2" of a plan's point. */
static void put_values(FILE *out, const json_t *look)
{
    const char *key;
    json_t *value;
    const char *between = "";
    json_object_foreach(json_object_get(look, "values"), key, value)
    {
        fputs(between, out);
        html_text(out, key);
        fputs(" = ", out);
        html_text(out, json_string_value(value) ? json_string_value(value) : "?");
        between = ", ";
    }
}

/* Of a plan: what to take, what binds, what comes second, and how sure that is. */
static void answer_plan(FILE *out, const json_t *s)
{
    const json_t *best = json_object_get(s, "cheapest"), *second = json_object_get(s, "runner_up"),
                 *slo;
    size_t i;
    fputs("<p class=answer>", out);
    if (json_is_object(best)) {
        fputs("The cheapest configuration that meets ", out);
    } else {
        fputs("Nothing meets ", out);
    }
    json_array_foreach(json_object_get(s, "slo"), i, slo)
    {
        fputs(i ? ", " : "", out);
        html_text(out, json_string_value(slo) ? json_string_value(slo) : "?");
    }
    fprintf(out, " out of %.0f", number_of(s, "points"));
    if (!json_is_object(best)) {
        fputs("; the nearest is ", out);
        put_values(out, json_object_get(s, "nearest"));
        fputs(". What binds is ", out);
        html_text(out, text_of(s, "binding"));
        fputs(".</p>\n", out);
        return;
    }
    fputs(" has ", out);
    put_values(out, best);
    fprintf(out, ", for %.2f USD an hour. What binds is ", number_of(best, "rent_usd_per_hour"));
    html_text(out, text_of(s, "binding"));
    if (json_is_object(second)) {
        fputs("; second comes ", out);
        put_values(out, second);
        fprintf(out, ", for %.2f", number_of(second, "rent_usd_per_hour"));
    }
    fprintf(out, ". It was met with %.0f of %.0f seeds, ", number_of(s, "seeds_met"),
            number_of(s, "seeds"));
    double more = number_of(s, "more_traffic_usd_per_hour");
    if (isfinite(more))
        fprintf(out, "and a tenth more traffic would cost %.2f USD an hour more.", more);
    else
        fputs("and with a tenth more traffic nothing here meets it.", out);
    fputs("</p>\n", out);
}

/* ---- Tables ---- */

static void latency_table(FILE *out, const json_t *s)
{
    static const char *const metrics[] = {"ttft", "tpot", "e2e", "queue", "itl"};
    static const char *const stats[] = {"mean", "p50", "p95", "p99"};
    char key[64];
    bool baseline = isfinite(number_of(s, "baseline_ttft_p50_ms"));
    fputs("<table><thead><tr><th>latency, ms</th>", out);
    for (int b = 0; b <= baseline; b++)
        for (size_t k = 0; k < 4; k++)
            fprintf(out, "<th>%s%s</th>", b ? "cache off " : "", stats[k]);
    fputs("</tr></thead><tbody>\n", out);
    for (size_t m = 0; m < 5; m++) {
        fprintf(out, "<tr><td>%s</td>", metrics[m]);
        for (int b = 0; b <= baseline; b++)
            for (size_t k = 0; k < 4; k++) {
                snprintf(key, sizeof key, "%s%s_%s_ms", b ? "baseline_" : "", metrics[m], stats[k]);
                double ms = number_of(s, key);
                if (isfinite(ms))
                    fprintf(out, "<td class=n>%.*f</td>",
                            ms >= 999.5   ? 0
                            : ms >= 9.995 ? 1
                                          : 2,
                            ms);
                else
                    fputs("<td></td>", out);
            }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

static void titled_csv(FILE *out, int dirfd, const char *title, const char *file,
                       const char *const *columns)
{
    if (!has(dirfd, file))
        return;
    fprintf(out, "<h4>%s</h4>\n", title);
    html_csv(out, dirfd, file, columns, ROWS_MOST);
}

static void run_tables(FILE *out, int dirfd, const json_t *s)
{
    static const char *const cost[] = {"part",  "usd_per_hour",
                                       "ratio", "usd_per_mtok_output",
                                       "count", "free_count",
                                       "of",    "price",
                                       "entry", NULL};
    static const char *const ledger[] = {"class", "tokens", "ratio", "baseline_tokens", NULL};
    static const char *const busy[] = {"name", "busy_ratio", "wait_mean_ms", "jobs", "bytes", NULL};
    latency_table(out, s);
    titled_csv(out, dirfd, "The bill", "cost.csv", cost);
    titled_csv(out, dirfd, "Does each tier pay", "verdict.csv", NULL);
    titled_csv(out, dirfd, "What became of every prompt token", "ledger.csv", ledger);
    titled_csv(out, dirfd, "How busy the parts were", "utilization.csv", busy);
}

/* The varied keys, which hold a point in their name, and the figures people ask for. */
static void grid_table(FILE *out, int dirfd, const char *file)
{
    static const char *const figures[] = {"point",
                                          "variant",
                                          "state",
                                          "runs",
                                          "prefix_hit_rate",
                                          "ttft_p50_ms",
                                          "ttft_p95_ms",
                                          "tpot_p95_ms",
                                          "output_tokens_per_s",
                                          "gpu_busy_ratio",
                                          "cost_usd_per_hour",
                                          "cost_usd_per_mtok_output",
                                          "cost_saved_usd_per_hour",
                                          NULL};
    const char *columns[96];
    char head[1 << 16] = "", *text = html_slurp(dirfd, file, 64 << 20, NULL), *rest = text, *line;
    size_t n = 0;
    while (text && (line = strsep(&rest, "\n")) != NULL)
        if (line[0] != '#' && line[0] != '\0') {
            snprintf(head, sizeof head, "%s", line);
            break;
        }
    free(text);
    char *names = head, *name;
    while ((name = strsep(&names, ",")) != NULL && n < 64)
        if (strchr(name, '.'))
            columns[n++] = name;
    for (size_t i = 0; figures[i]; i++)
        columns[n++] = figures[i];
    columns[n] = NULL;
    html_csv(out, dirfd, file, columns, ROWS_MOST);
}

/* ---- Pictures ---- */

static int is_svg(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 4 && strcmp(e->d_name + n - 4, ".svg") == 0;
}

static void put_pictures(FILE *out, const char *dir, int dirfd, unsigned *pictures)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, is_svg, alphasort);
    if (n <= 0) {
        if (n == 0)
            free(entries);
        return;
    }
    fputs("<h3>Pictures</h3>\n<div class=pictures>\n", out);
    for (int i = 0; i < n; i++) {
        if (i < PICTURES_MOST && html_svg(out, dirfd, entries[i]->d_name, *pictures + 1) == 0)
            ++*pictures;
        free(entries[i]);
    }
    free(entries);
    fputs("</div>\n", out);
}

/* ---- Assumptions ---- */

static const void *field_at(const void *entry, const struct catalog_field *f)
{
    return (const char *)entry + f->offset;
}

static void put_value(FILE *out, const char *entry, const char *key, const struct catalog_value *v)
{
    if (!v->text)
        return;
    fputs("<tr><td>", out);
    html_text(out, entry);
    fprintf(out, "</td><td>%s</td><td class=n>", key);
    html_text(out, v->text);
    fprintf(out, "</td><td>%s</td><td>", v->evidence);
    html_text(out, v->source);
    fputs("</td></tr>\n", out);
}

static void put_entry(FILE *out, const struct catalog_section *s, const void *entry)
{
    const char *name = *(const char *const *)entry;
    for (size_t k = 0; k < s->n_fields; k++) {
        const struct catalog_field *f = &s->fields[k];
        if (f->kind == CATALOG_VALUE) {
            put_value(out, name, f->key, field_at(entry, f));
        } else if (f->kind == CATALOG_CURVE) {
            const struct catalog_curve *curve = field_at(entry, f);
            char key[64];
            for (uint32_t i = 0; i < curve->n; i++) {
                snprintf(key, sizeof key, "%s, tp %u", f->key, curve->points[i].tp);
                put_value(out, name, key, &curve->points[i].value);
            }
        }
    }
}

/* Is `name` a whole word of the text? Names of the catalogue hold letters, digits, points and dashes. */
static bool names(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        char before = at == text ? ' ' : at[-1], after = at[len];
        if (strchr(" [,:\"\n", before) && (strchr(" ],\"\n", after) || after == '\0'))
            return true;
    }
    return false;
}

static void put_assumptions(FILE *out, int dirfd, const char *scenario, const struct catalog *c)
{
    static const char *const prices[] = {"part", "price",    "entry",  "region",
                                         "date", "evidence", "source", NULL};
    size_t n_sections;
    const struct catalog_section *s = catalog_sections(&n_sections);
    fputs("<h3>Assumptions and their sources</h3>\n", out);
    titled_csv(out, dirfd, "Prices", "cost.csv", prices);
    fputs(
        "<details><summary>Constants of the catalogue that this scenario names</summary>\n"
        "<p class=small>Evidence: S read in the source, D derived from sourced numbers, M measured "
        "by this project, C commonly known, no source to cite.</p>\n"
        "<div class=wide><table><thead><tr><th>entry</th><th>constant</th><th>value</th>"
        "<th>evidence</th><th>source</th></tr></thead><tbody>\n",
        out);
    for (size_t i = 0; i < n_sections; i++)
        for (uint32_t k = 0; k < catalog_count(c, &s[i]); k++) {
            const void *entry = catalog_entry(c, &s[i], k);
            const char *name = *(const char *const *)entry;
            /* Prices have their own table; "none" and "local" are words of other keys too. */
            if (strcmp(s[i].key, "prices") != 0 && strcmp(name, "none") != 0 &&
                names(scenario, name))
                put_entry(out, &s[i], entry);
        }
    fputs("</tbody></table></div></details>\n", out);
}

/* ---- The section ---- */

static void put_setting(FILE *out, const json_t *s)
{
    double engines = number_of(s, "engines");
    fputs("<p>", out);
    if (isfinite(engines)) {
        html_text(out, text_of(s, "model"));
        fprintf(out, " on %.0f engine%s of %.0f x ", engines, engines == 1 ? "" : "s",
                number_of(s, "gpus_per_engine"));
        html_text(out, text_of(s, "gpu"));
        fprintf(out, ", %.0f requests with %.3g million prompt tokens, ", number_of(s, "requests"),
                number_of(s, "prompt_tokens") / 1e6);
    }
    html_text(out, text_of(s, "world"));
    fputs(" world", out);
    if (isfinite(number_of(s, "seed")))
        fprintf(out, ", seed %.0f", number_of(s, "seed"));
    fputs(".", out);
    if (json_is_true(json_object_get(s, "interrupted")))
        fputs(" <b>Interrupted: figures cover what was done until then.</b>", out);
    fputs("</p>\n", out);
}

static void put_reproduce(FILE *out, int dirfd, const json_t *s, const char *scenario)
{
    json_error_t ignored;
    char *run = html_slurp(dirfd, "run.json", 1 << 20, NULL);
    json_t *about = run ? json_loads(run, 0, &ignored) : NULL;
    const char *command = text_of(about, "command");
    if (!*command)
        command = text_of(s, "command");
    fputs("<h3>How to reproduce</h3>\n<pre>", out);
    html_text(out, *command ? command : "kvtwin run SCENARIO");
    fputs("</pre>\n<p class=small>kvtwin ", out);
    html_text(out, text_of(s, "revision"));
    if (*text_of(s, "scenario_sha256")) {
        fputs("; SHA-256 of the resolved scenario ", out);
        html_text(out, text_of(s, "scenario_sha256"));
    }
    if (*text_of(s, "decisions_digest")) {
        fputs("; digest of all decisions ", out);
        html_text(out, text_of(s, "decisions_digest"));
    }
    fputs("</p>\n", out);
    if (*scenario) {
        fputs("<details><summary>The scenario, every key with where its value comes from</summary>"
              "<pre>",
              out);
        html_text(out, scenario);
        fputs("</pre></details>\n", out);
    }
    json_decref(about);
    free(run);
}

static void put_section(FILE *out, const char *dir, int dirfd, const json_t *s,
                        const struct catalog *catalog, unsigned *pictures)
{
    const char *grid = has(dirfd, "sweep.csv")     ? "sweep.csv"
                       : has(dirfd, "compare.csv") ? "compare.csv"
                                                   : NULL;
    bool plan = has(dirfd, "plan.csv");
    char *scenario = html_slurp(dirfd, "scenario.yaml", 1 << 20, NULL);
    const char *named = scenario ? scenario : "", *name = text_of(s, "scenario_name");
    static const char *const kinds[] = {"comparison", "sweep", "plan"};
    fputs("<section>\n<h2>", out);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !*name; i++)
        if (*text_of(s, kinds[i])) {
            html_text(out, text_of(s, kinds[i]));
            fprintf(out, ": %s", kinds[i]);
            name = NULL;
            break;
        }
    if (name)
        html_text(out, *name ? name : dir);
    fputs("</h2>\n<p class=question>", out);
    html_text(out, text_of(s, "question"));
    fputs("</p>\n", out);
    put_setting(out, s);
    if (plan)
        answer_plan(out, s);
    else if (grid)
        answer_grid(out, dirfd, grid);
    else
        answer_run(out, s);
    put_pictures(out, dir, dirfd, pictures);
    fputs("<h3>Tables</h3>\n", out);
    if (plan)
        html_csv(out, dirfd, "plan.csv", NULL, ROWS_MOST);
    else if (grid)
        grid_table(out, dirfd, grid);
    else
        run_tables(out, dirfd, s);
    put_assumptions(out, dirfd, named, catalog);
    put_reproduce(out, dirfd, s, named);
    fputs("</section>\n", out);
    free(scenario);
}

int report_folder(FILE *out, const char *dir, const struct catalog *catalog, unsigned *pictures,
                  char *why, size_t size)
{
    json_error_t error;
    int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0) {
        snprintf(why, size, "%s: %s", dir, strerror(errno));
        return -EINVAL;
    }
    char *text = html_slurp(dirfd, "summary.json", 64 << 20, NULL);
    json_t *summary = text ? json_loads(text, 0, &error) : NULL;
    bool good = json_is_object(summary);
    if (good)
        put_section(out, dir, dirfd, summary, catalog, pictures);
    else if (!text)
        snprintf(why, size, "%s: expected a results folder: there is no summary.json in it", dir);
    else
        snprintf(why, size, "%s/summary.json:%d: %s", dir, error.line > 0 ? error.line : 1,
                 summary ? "expected an object" : error.text);
    json_decref(summary);
    free(text);
    close(dirfd);
    return good ? 0 : -EINVAL;
}
