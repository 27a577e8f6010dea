/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sweep.c - a sweep's runs, kept and gathered; see sweep.h.
 *
 * A stored result is taken when its file is whole (store.h) and its own summary names the hash of the scenario that
 * is asked for. Anything else in its place is run again.
 */
#include "sweep.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The summary of a stored run. NULL: none, or not that run's. */
static json_t *stored(struct sweep *s, size_t run)
{
    const struct lab_entry *entry = &s->lab->entries[run];
    char *text;
    size_t n;
    int rc = store_get(&s->store, entry->identity, &text, &n);
    if (rc == -EBADMSG)
        s->damaged++;
    if (rc != 0)
        return NULL;
    json_t *summary = json_loadb(text, n, 0, NULL);
    const char *hash = json_string_value(json_object_get(summary, "scenario_sha256"));
    free(text);
    if (hash && strcmp(hash, entry->sha256) == 0)
        return summary;
    s->damaged++;
    json_decref(summary);
    return NULL;
}

int sweep_begin(struct sweep *s, char *error)
{
    struct lab *lab = s->lab;
    int rc = store_open(&s->store, s->dirfd, "runs");
    if (rc != 0) {
        snprintf(error, SCENARIO_ERROR_SIZE, "%s",
                 rc == -EBUSY ? "another sweep is writing there: wait, or choose "
                                "another --out"
                              : strerror(-rc));
        return rc;
    }
    s->points = calloc(lab->arguments->vary.points, sizeof *s->points);
    s->todo = calloc(lab->n_runs, sizeof *s->todo);
    if (!s->points || !s->todo) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < lab->n_runs; i++) {
        json_t *summary = stored(s, lab->order[i]);
        if (summary)
            s->found++;
        else
            s->todo[s->n_todo++] = lab->order[i];
        json_decref(summary);
    }
    return 0;
}

int sweep_keep(struct sweep *s, size_t run, const char *json, size_t n)
{
    int rc = store_put(&s->store, s->lab->entries[run].identity, json, n);
    s->finished += rc == 0;
    return rc;
}

/* ---- Gathering --------------------------------------------------------------------------------------- */

/* Values of the replications of one point, a row of columns each. */
struct gathered {
    double *values; /* [replication][FIGURES_MOST] */
    uint32_t runs;
    char digest[2][96]; /* of the first and of any that differs */
    bool differ;
};

static void take(struct sweep *s, const json_t *summary, struct gathered *g)
{
    const char *digest = json_string_value(json_object_get(summary, "decisions_digest"));
    double *row = g->values + (size_t)g->runs * FIGURES_MOST;
    for (size_t c = 0; c < s->columns.n; c++)
        row[c] = figure_value(summary, s->columns.name[c]);
    if (g->runs == 0)
        snprintf(g->digest[0], sizeof g->digest[0], "%s", digest ? digest : "");
    else if (!digest || strcmp(digest, g->digest[0]) != 0)
        g->differ = true;
    g->runs++;
}

/* Means and intervals over the replications; a figure that one of them lacks is not defined. */
static int sum_up(struct sweep *s, struct sweep_point *point, const struct gathered *g)
{
    point->n = s->columns.n;
    point->figures = calloc(point->n + 1, sizeof *point->figures);
    double *column = malloc((g->runs + 1) * sizeof *column);
    if (!point->figures || !column) {
        free(column);
        return -ENOMEM;
    }
    for (size_t c = 0; c < point->n; c++) {
        bool whole = true;
        for (uint32_t r = 0; r < g->runs; r++) {
            column[r] = g->values[(size_t)r * FIGURES_MOST + c];
            whole = whole && isfinite(column[r]);
        }
        point->figures[c] = interval_mean(column, whole ? g->runs : 0);
    }
    free(column);
    return 0;
}

int sweep_gather(struct sweep *s)
{
    uint32_t replications = s->lab->arguments->replications;
    struct gathered g = {.values = malloc((size_t)replications * FIGURES_MOST * sizeof(double))};
    int rc = g.values ? 0 : -ENOMEM;
    s->columns.n = 0;
    s->identical = replications > 1;
    for (size_t p = 0; rc == 0 && p < s->lab->arguments->vary.points; p++) {
        struct sweep_point *point = &s->points[p];
        g.runs = 0;
        g.differ = false;
        for (uint32_t r = 0; r < replications; r++) {
            json_t *summary = stored(s, p * replications + r);
            if (!summary)
                continue;
            figures_add(&s->columns, summary);
            take(s, summary, &g);
            json_decref(summary);
        }
        point->runs = g.runs;
        s->identical = s->identical && (g.runs < 2 || !g.differ);
        if (g.runs > 0)
            rc = sum_up(s, point, &g);
    }
    free(g.values);
    return rc;
}

void sweep_get(void *self, size_t point, const char *metric, double value[3])
{
    const struct sweep *s = self;
    const struct sweep_point *p = &s->points[point];
    long c = figures_find(&s->columns, metric);
    value[0] = value[1] = value[2] = (double)NAN;
    if (c < 0 || (size_t)c >= p->n || !p->figures)
        return;
    value[0] = p->figures[c].value;
    value[1] = p->figures[c].low;
    value[2] = p->figures[c].high;
}

void sweep_release(struct sweep *s)
{
    for (size_t p = 0; s->points && p < s->lab->arguments->vary.points; p++) {
        free(s->points[p].figures);
        free(s->points[p].error);
    }
    free(s->points);
    free(s->todo);
    store_close(&s->store);
    if (s->dirfd >= 0)
        close(s->dirfd);
}
