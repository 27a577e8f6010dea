/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_group.c - fits some numbers of the model to the samples that say them.
 *
 * A sample is a whole load or store, or a probe; what the model says of it is what the simulated world would take for
 * the same transfer, begun on an idle machine together with what was begun together with it.
 */
#include "calibrate_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Loads and stores ------------------------------------------------------------------------------ */

/* A fit of some members of the model to some samples. */
struct group {
    const struct calibrate *c;
    struct calibrate_model base;
    uint32_t n_members;
    size_t member[CALIBRATE_NAMES]; /* offsets of doubles in the model */
    enum calibrate_seen seen;
    uint32_t rows;
    uint32_t *row; /* samples */
    double *measured;
};

static bool chosen(const struct calibrate_choice *choice, const struct be_sample *s)
{
    return s->together <= 1 && s->raw_b >= choice->least_b && s->pieces >= choice->least &&
           (choice->most == 0 || s->pieces <= choice->most) && (choice->paths >> s->path & 1) != 0;
}

static double observed_ns(const struct be_sample *s, enum calibrate_seen seen)
{
    if (s->path == BE_PATH_REDIS_EXISTS || seen == CALIBRATE_WHOLE)
        return s->ns;
    return seen == CALIBRATE_MEDIUM   ? s->medium_ns
           : seen == CALIBRATE_DECODE ? s->decode_ns
                                      : s->copy_ns;
}

static enum kvt_tier_kind tier_of(enum be_path path)
{
    switch (path) {
    case BE_PATH_LOAD_HOST:
    case BE_PATH_STORE_HOST:
        return KVT_HOST;
    case BE_PATH_LOAD_DISK:
    case BE_PATH_STORE_DISK:
        return KVT_DISK;
    default:
        return KVT_REDIS;
    }
}

/* What was begun together with the sample: first main memory, then Redis, then files. Returns how many; *mine: which
 * one is the sample's. */
static uint32_t transfers_of(const struct calibrate *c, const struct be_sample *s,
                             struct calibrate_transfer all[CALIBRATE_TOGETHER], uint32_t *mine)
{
    static const enum kvt_tier_kind order[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    const enum kvt_tier_kind tier = tier_of(s->path);
    const bool load = s->path == BE_PATH_LOAD_HOST || s->path == BE_PATH_LOAD_REDIS ||
                      s->path == BE_PATH_LOAD_DISK;
    uint32_t n = 0;
    for (int i = 0; i < 3; i++) {
        const bool redis = order[i] == KVT_REDIS;
        if (order[i] != tier && (s->together <= 1 || (redis && c->config.n_nodes == 0) ||
                                 (order[i] == KVT_DISK && !c->config.folder)))
            continue;
        if (order[i] == tier)
            *mine = n;
        const uint32_t nodes = order[i] != tier ? c->config.n_nodes : s->nodes;
        all[n++] = (struct calibrate_transfer){.tier = order[i],
                                               .load = load,
                                               .pieces = s->pieces,
                                               .nodes = redis ? nodes : 0,
                                               .raw_b = s->raw_b,
                                               .stored_b = s->stored_b};
    }
    return n;
}

double calibrate_predict(const struct calibrate *c, const struct calibrate_model *model,
                         const struct be_sample *s, enum calibrate_seen seen)
{
    if (s->path == BE_PATH_REDIS_EXISTS)
        return calibrate_lone_probe_ns(model, s->pieces);
    struct calibrate_transfer all[CALIBRATE_TOGETHER];
    struct calibrate_spans spans[CALIBRATE_TOGETHER];
    uint32_t mine = 0;
    const uint32_t n = transfers_of(c, s, all, &mine);
    calibrate_together(model, all, n, spans);
    return seen == CALIBRATE_MEDIUM   ? spans[mine].medium_ns
           : seen == CALIBRATE_DECODE ? spans[mine].decode_ns
           : seen == CALIBRATE_COPY   ? spans[mine].copy_ns
                                      : spans[mine].ns;
}

static void put_member(struct calibrate_model *model, size_t offset, double value)
{
    memcpy((char *)model + offset, &value, sizeof value);
}

static double predict_row(const void *self, const double parameter[], uint32_t row)
{
    const struct group *g = self;
    struct calibrate_model model = g->base;
    for (uint32_t k = 0; k < g->n_members; k++)
        put_member(&model, g->member[k], parameter[k]);
    return calibrate_predict(g->c, &model, &g->c->samples.at[g->row[row]], g->seen);
}

/* Fits the members, from what the model says now, to the chosen samples, and leaves them in the model. */
int calibrate_group(struct calibrate *c, struct calibrate_model *model,
                    const struct calibrate_choice *choice, const size_t *members,
                    const char *const *names, uint32_t n_members, const struct be_fit **kept)
{
    struct group g = {.c = c, .base = *model, .n_members = n_members, .seen = choice->seen};
    struct calibrate_fit *fit = NULL;
    int rc = -ENOMEM;
    *kept = NULL;
    memcpy(g.member, members, n_members * sizeof *members);
    g.row = malloc((c->samples.n + 1) * sizeof *g.row);
    g.measured = malloc((c->samples.n + 1) * sizeof *g.measured);
    if (!g.row || !g.measured)
        goto out;
    for (uint32_t i = 0; i < c->samples.n; i++) {
        const struct be_sample *s = &c->samples.at[i];
        if (!chosen(choice, s))
            continue;
        g.row[g.rows] = i;
        g.measured[g.rows++] = observed_ns(s, choice->seen);
    }
    rc = 0;
    if (g.rows <= n_members + 1)
        goto out;
    fit = calibrate_add_fit(c);
    if (!fit) {
        rc = -ENOMEM;
        goto out;
    }
    snprintf(fit->what, sizeof fit->what, "%s", choice->what);
    fit->n_names = n_members;
    for (uint32_t k = 0; k < n_members; k++) {
        fit->name[k] = names[k];
        memcpy(&fit->fit.parameter[k], (const char *)model + members[k], sizeof(double));
    }
    const struct be_model be = {.n_parameters = n_members, .predict = predict_row, .self = &g};
    if (!be_fit_model(&be, g.measured, g.rows, &fit->fit)) {
        c->n_fits--;
        goto out;
    }
    for (uint32_t k = 0; k < n_members; k++)
        put_member(model, members[k], fit->fit.parameter[k]);
    for (uint32_t r = 0; r < g.rows; r++)
        if (choice->seen == CALIBRATE_WHOLE || choice->seen == CALIBRATE_MEDIUM)
            c->predicted_ns[g.row[r]] =
                calibrate_predict(c, model, &c->samples.at[g.row[r]], choice->seen);
    *kept = &fit->fit;
out:
    free(g.row);
    free(g.measured);
    return rc;
}
