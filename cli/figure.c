/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * figure.c - see figure.h.
 *
 * The list of all figures is not written down: an empty run is summed up by the code that sums up a
 * real one, and its numbers are the list.
 */
#include "figure.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "near.h"
#include "results.h"

/* Numbers of a summary that say what was run, not what came out. */
static bool is_identity(const char *name)
{
    static const char *const names[] = {"seed",         "engines",     "gpus_per_engine",
                                        "block_tokens", "page_tokens", "warmup_s"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

void figures_add(struct figures *f, const json_t *summary)
{
    union {
        const json_t *read_only;
        json_t *as_jansson_wants;
    } object = {summary};
    const char *key;
    json_t *value;
    json_object_foreach(object.as_jansson_wants, key, value)
    {
        if ((json_is_number(value) || json_is_null(value)) && !is_identity(key) &&
            strlen(key) < FIGURE_NAME && f->n < FIGURES_MOST && figures_find(f, key) < 0)
            snprintf(f->name[f->n++], FIGURE_NAME, "%s", key);
    }
}

int figures_known(struct figures *f)
{
    struct results_options options = {.approximate = true,
                                      .radix = true,
                                      .faults = true,
                                      .interval_ns = KVT_NEVER,
                                      .slo_ttft_ns = 1,
                                      .slo_tpot_ns = 1};
    static const struct regions two = {.n = 2};
    static const struct cost_plan priced = {.present = true, .engines = 1, .gpus_per_engine = 1};
    options.cost = &priced;
    options.regions = &two;
    const struct kvt_core_stats stats = {0};
    const struct kvt_core_gauges gauges = {0};
    struct fault_events nothing = {0};
    const struct results_end end = {.stats = &stats, .gauges = &gauges, .faults = &nothing};
    char why[256];
    int rc = 0;
    f->n = 0;
    struct results *empty = results_new(&options, &rc, why, sizeof why);
    if (!empty)
        return rc;
    rc = results_close(empty, &end, why, sizeof why);
    static const struct rollout moved = {
        .priced = true, .pass = {{.present = true}, {.present = true}, {.present = true}}};
    results_set_rollout(empty, &moved);
    char *text = rc == 0 ? results_json(empty, empty) : NULL;
    json_t *summary = text ? json_loads(text, 0, NULL) : NULL;
    if (summary)
        figures_add(f, summary);
    json_decref(summary);
    free(text);
    results_free(empty);
    return f->n > 0 ? 0 : -ENOMEM;
}

long figures_find(const struct figures *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->name[i], name) == 0)
            return (long)i;
    return -1;
}

/* An unknown name: the nearest one, or the most used. */
static int refuse(const struct figures *known, const char *option, const char *word, char *error,
                  size_t size)
{
    const char *names[FIGURES_MOST];
    for (size_t i = 0; i < known->n; i++)
        names[i] = known->name[i];
    const char *near = near_word(word, names, known->n);
    int at = snprintf(error, size, "%s: %.80s: ", option, word);
    if (at < 0 || (size_t)at >= size)
        return -EINVAL;
    if (near) {
        snprintf(error + at, size - (size_t)at, "unknown metric, did you mean %s?", near);
        return -EINVAL;
    }
    at += snprintf(error + at, size - (size_t)at,
                   "unknown metric, expected a number of summary.json: ");
    near_list(error + at, size - (size_t)at, names, known->n);
    return -EINVAL;
}

int figures_parse(struct figures *f, const struct figures *known, const char *list,
                  const char *option, char *error, size_t size)
{
    f->n = 0;
    for (const char *from = list;; from++) {
        char word[FIGURE_NAME * 2];
        size_t len = strcspn(from, ",");
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), from);
        if (figures_find(known, word) < 0)
            return refuse(known, option, word, error, size);
        if (f->n < FIGURES_MOST && figures_find(f, word) < 0)
            snprintf(f->name[f->n++], FIGURE_NAME, "%.*s", FIGURE_NAME - 1, word);
        from += len;
        if (*from == '\0')
            return 0;
    }
}

double figure_value(const json_t *summary, const char *name)
{
    const json_t *value = json_object_get(summary, name);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* ---- What a name says -------------------------------------------------------------------------------- */

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), m = strlen(with);
    return n >= m && strcmp(name + n - m, with) == 0;
}

enum unit { UNIT_COUNT, UNIT_MS, UNIT_S, UNIT_RATIO, UNIT_TIMES, UNIT_BYTES, UNIT_PER_S, UNIT_USD };

static enum unit unit_of(const char *name)
{
    if (begins(name, "speedup_"))
        return UNIT_TIMES;
    if (strstr(name, "usd"))
        return UNIT_USD;
    if (ends(name, "_ms"))
        return UNIT_MS;
    if (ends(name, "_per_s"))
        return UNIT_PER_S;
    if (ends(name, "_s"))
        return UNIT_S;
    if (ends(name, "_ratio") || ends(name, "hit_rate"))
        return UNIT_RATIO;
    if (strstr(name, "bytes"))
        return UNIT_BYTES;
    return UNIT_COUNT;
}

int figure_better(const char *name)
{
    static const char *const more[] = {"prefix_hit_rate",
                                       "hit_tokens",
                                       "hit_blocks",
                                       "requests_finished",
                                       "goodput",
                                       "slo_met",
                                       "speedup_",
                                       "output_tokens_per_s",
                                       "requests_per_s",
                                       "cost_saving",
                                       "rollout_window_hit_rate"};
    static const char *const less[] = {
        "computed_tokens", "evicted_blocks",    "requests_failed", "requests_rejected",
        "preemptions",     "recomputed_tokens", "cost_",           "orphan_bytes",
        "store_failures",  "kv_waste",          "abandoned_loads", "requests_unfinished",
        "rollout_extra_",  "rollout_recovery",  "fault_"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (begins(name, more[i]))
            return 1;
    for (size_t i = 0; i < sizeof less / sizeof *less; i++)
        if (begins(name, less[i]))
            return -1;
    return ends(name, "_ms") ? -1 : 0;
}

/* "ttft", "tpot", ... are written in capitals. */
static bool is_latency(const char *name, size_t len)
{
    for (unsigned m = 0; m < RESULTS_METRICS; m++)
        if (strlen(results_metric_names[m]) == len &&
            strncmp(name, results_metric_names[m], len) == 0)
            return m != RESULTS_QUEUE;
    return false;
}

static char *shorten(char *text, size_t size, const char *name)
{
    static const struct {
        const char *from, *to;
    } words[] = {{"prefix_hit_rate", "hit rate"},
                 {"hit_tokens_", "hit "},
                 {"evicted_blocks_", "evicted "},
                 {"output_tokens_per_s", "output"},
                 {"cost_usd_per_hour", "cost"},
                 {"gpu_busy_ratio", "GPU busy"},
                 {"rollout_window_hit_rate", "roll-out hit rate"},
                 {"rollout_window_ttft_", "roll-out TTFT "},
                 {"rollout_extra_prefill_gpu_s", "roll-out GPU time"},
                 {"rollout_recovery_s", "hits back"},
                 {"rollout_", "roll-out "},
                 {"fault_requests_", "requests "},
                 {"fault_blocks_", "blocks "},
                 {"fault_recovered_most_s", "recovered"}};
    static const char *const units[] = {"_ms", "_per_s", "_s", "_ratio"};
    size_t at = 0, skip = 0, len = strlen(name);
    for (size_t i = 0; i < sizeof words / sizeof *words && skip == 0; i++) {
        if (!begins(name, words[i].from))
            continue;
        at = (size_t)snprintf(text, size, "%s", words[i].to);
        skip = strlen(words[i].from);
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ends(name, units[i])) {
            len -= strlen(units[i]);
            break;
        }
    size_t first = strcspn(name, "_");
    bool capitals = skip == 0 && is_latency(name, first);
    for (size_t i = skip; i < len && at + 1 < size; i++)
        text[at++] = name[i] == '_'          ? ' '
                     : capitals && i < first ? (char)toupper((unsigned char)name[i])
                                             : name[i];
    text[at] = '\0';
    return text;
}

char *figure_short(char *text, const char *name)
{
    return shorten(text, FIGURE_CELL, name);
}

/* ---- Values ------------------------------------------------------------------------------------------ */

/* Three significant digits. */
static void scaled(char *text, double value, const char *unit, const char *sign)
{
    double size = fabs(value);
    int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
    snprintf(text, FIGURE_CELL, "%s%.*f%s%s", value < 0 ? "-" : sign, decimals, size,
             *unit ? " " : "", unit);
}

struct scale {
    double size;
    const char *unit;
};

static const struct scale times[] = {{1e3, "s"}, {1, "ms"}, {1e-3, "us"}};
static const struct scale amounts[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}};
static const struct scale sizes[] = {
    {1099511627776.0, "TiB"}, {1073741824.0, "GiB"}, {1048576.0, "MiB"}, {1024.0, "KiB"}, {1, "B"}};

static const struct scale *scales_of(enum unit unit, size_t *n)
{
    *n = 3;
    if (unit == UNIT_MS || unit == UNIT_S)
        return times;
    *n = 5;
    return unit == UNIT_BYTES ? sizes : amounts;
}

/* The scale in which `most` reads best. */
static const struct scale *pick(enum unit unit, double most)
{
    size_t n;
    const struct scale *s = scales_of(unit, &n);
    size_t i = 0;
    while (i + 1 < n && fabs(most) < 0.9995 * s[i].size)
        i++;
    return &s[i];
}

static char *write_value(char *text, const char *name, double value, const char *sign)
{
    enum unit unit = unit_of(name);
    if (!isfinite(value))
        return strcpy(text, "-");
    if (unit == UNIT_RATIO) {
        snprintf(text, FIGURE_CELL, "%s%.*f %s", value < 0 ? "-" : sign, *sign ? 2 : 1,
                 fabs(100 * value), *sign ? "pp" : "%");
        return text;
    }
    if (unit == UNIT_USD) {
        snprintf(text, FIGURE_CELL, "%s$%.2f", value < 0 ? "-" : sign, fabs(value));
        return text;
    }
    if (unit == UNIT_TIMES) {
        snprintf(text, FIGURE_CELL, "%s%.2fx", value < 0 ? "-" : sign, fabs(value));
        return text;
    }
    if (value == 0)
        return strcpy(text, "0");
    if (unit == UNIT_S)
        value *= 1e3;
    const struct scale *scale = pick(unit, value);
    if (unit == UNIT_COUNT && fabs(value) < 9999.5 && value == floor(value)) {
        snprintf(text, FIGURE_CELL, "%s%.0f", value < 0 ? "-" : sign, fabs(value));
        return text;
    }
    scaled(text, value / scale->size, scale->unit, sign);
    if (unit == UNIT_PER_S)
        snprintf(text + strlen(text), FIGURE_CELL - strlen(text), "%s/s", *scale->unit ? "" : " ");
    return text;
}

char *figure_cell(char *text, const char *name, double value)
{
    return write_value(text, name, value, "");
}

char *figure_change(char *text, const char *name, double difference)
{
    return write_value(text, name, difference, "+");
}

double figure_axis(char *title, const char *name, double most)
{
    enum { TITLE = 2 * FIGURE_NAME };
    enum unit unit = unit_of(name);
    char word[FIGURE_NAME];
    shorten(word, sizeof word, name);
    if (unit == UNIT_RATIO) {
        snprintf(title, TITLE, "%s (%%)", word);
        return 0.01;
    }
    if (unit == UNIT_USD || unit == UNIT_TIMES) {
        snprintf(title, TITLE, "%s%s", word,
                 unit == UNIT_TIMES           ? ""
                 : ends(name, "usd_per_hour") ? " ($ per hour)"
                                              : " ($)");
        return 1;
    }
    const struct scale *scale = pick(unit, unit == UNIT_S ? most * 1e3 : most);
    const char *per = unit == UNIT_PER_S ? "/s" : "";
    if (*scale->unit || *per)
        snprintf(title, TITLE, "%s (%s%s)", word, *scale->unit ? scale->unit : "1", per);
    else
        snprintf(title, TITLE, "%s", word);
    return unit == UNIT_S ? scale->size / 1e3 : scale->size;
}
