/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_write.c - the curve as files.
 *
 *      summary.json       what was asked and passed, and the table
 *      mrc.csv            one line per capacity: hit rates of LRU, three ways
 *      mrc-policies.csv   one line per policy and capacity, where policies were asked for
 *      mrc-tenants.csv    one line per tenant and capacity, where there is more than one and the pass was exact
 *
 * Rates have six decimals. An empty field is "not defined here": memory without a model, hits of an estimate.
 */
#include "mrc.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

const char *const mrc_files[] = {"mrc.csv", "mrc-policies.csv", "mrc-tenants.csv", "summary.json",
                                 NULL};

enum { RATIO = 6, GIB = 6, USD = 6 };

static const char *const what_names[MRC_WHATS] = {"block", "token"};

/* ---- CSV ------------------------------------------------------------------------------------------ */

static void u64(struct out *o, uint64_t value)
{
    out_char(o, ',');
    out_u64(o, value);
}

static void fixed(struct out *o, double value, unsigned decimals)
{
    out_char(o, ',');
    out_fixed(o, value, decimals);
}

/* The first three columns, or four. An infinite capacity is an empty field. */
static void write_capacity(struct out *o, const struct mrc *m, uint64_t capacity)
{
    if (capacity != UINT64_MAX)
        out_u64(o, capacity);
    out_char(o, ',');
    if (capacity != UINT64_MAX)
        out_u64(o, capacity * m->info.block_tokens);
    fixed(o, mrc_gib(m, capacity), GIB);
    if (m->options.price.whole) {
        out_char(o, ',');
        if (capacity != UINT64_MAX)
            out_u64(o, mrc_nodes(m, capacity));
    }
    if (m->options.price.known)
        fixed(o, mrc_usd_per_h(m, capacity), USD);
}

static void write_capacity_names(struct out *o, const struct mrc *m)
{
    out_text(o, "capacity_blocks,capacity_tokens,capacity_gib");
    if (m->options.price.whole)
        out_text(o, ",nodes");
    if (m->options.price.known)
        out_text(o, ",usd_per_hour");
}

/* A comment that says what usd_per_hour is of. */
static void write_price(struct out *o, const struct mrc *m)
{
    char price[400];
    if (!m->options.price.known)
        return;
    mrc_price_say(&m->options.price, price, sizeof price);
    out_text(o, "# usd_per_hour: ");
    out_text(o, price);
    if (m->options.price.source[0]) {
        out_text(o, "\n# price from: ");
        out_text(o, m->options.price.source);
    }
    out_char(o, '\n');
}

static void write_curve_names(struct out *o)
{
    for (int way = 0; way < WL_MRC_WAYS; way++)
        for (int what = 0; what < MRC_WHATS; what++) {
            out_char(o, ',');
            out_text(o, wl_mrc_ways[way]);
            out_char(o, '_');
            out_text(o, what_names[what]);
            out_text(o, "_hit_rate,");
            out_text(o, wl_mrc_ways[way]);
            out_char(o, '_');
            out_text(o, what_names[what]);
            out_text(o, "_hit_rate_error,");
            out_text(o, wl_mrc_ways[way]);
            out_text(o, what == MRC_BLOCKS ? "_hit_blocks" : "_hit_tokens");
        }
}

static void write_curve(struct out *o, const struct mrc *m)
{
    out_text(o, "# Share of all prompts' blocks and tokens that a cache under LRU finds, by its "
                "capacity. flat: each\n"
                "# block by itself; head, leaf: as prefix caches count, heads or ends of prompts "
                "leaving first.\n"
                "# error: standard error of an estimate, 0 when exact. refused_prompts: longer "
                "than the capacity.\n");
    write_price(o, m);
    write_capacity_names(o, m);
    write_curve_names(o);
    out_text(o, ",refused_prompts\n");
    for (size_t i = 0; i < m->n_rows; i++) {
        const struct mrc_row *row = &m->rows[i];
        write_capacity(o, m, row->capacity);
        for (int way = 0; way < WL_MRC_WAYS; way++)
            for (int what = 0; what < MRC_WHATS; what++) {
                fixed(o, row->rate[way][what], RATIO);
                fixed(o, row->error[way][what], RATIO);
                out_char(o, ',');
                if (!m->sample)
                    out_u64(o, what == MRC_BLOCKS ? row->hits[way].blocks : row->hits[way].tokens);
            }
        u64(o, row->refused_prompts);
        out_char(o, '\n');
    }
}

static void write_policies(struct out *o, const struct mrc *m)
{
    out_text(o, "# The same for other policies, simulated. simulated_blocks: capacity of the "
                "simulation, smaller when\n"
                "# it is of a sample.\n"
                "policy,prefix_closed,");
    write_capacity_names(o, m);
    out_text(o, ",simulated_blocks,flat_block_hit_rate,flat_token_hit_rate,"
                "prefix_block_hit_rate,prefix_token_hit_rate\n");
    for (size_t p = 0; p < m->options.n_policies; p++)
        for (size_t row = 0; row < m->n_table; row++) {
            const struct mrc_point *point = &m->points[p * m->n_table + row];
            out_text(o, m->options.policies[p]->name);
            out_text(o, m->options.prefix_closed ? ",1," : ",0,");
            write_capacity(o, m, m->table[row].capacity);
            u64(o, point->simulated);
            for (int what = 0; what < MRC_WHATS; what++)
                fixed(o, point->flat[what], RATIO);
            for (int what = 0; what < MRC_WHATS; what++)
                fixed(o, point->prefix[what], RATIO);
            out_char(o, '\n');
        }
}

/* Rates of a tenant are shares of its own prompts; the capacity is that of the cache all use. */
static void write_tenants(struct out *o, const struct mrc *m)
{
    out_text(o, "# Each tenant's own hits in the cache that all tenants use, as shares of its own "
                "look-ups.\n"
                "tenant,prompts,prompt_tokens,blocks,");
    write_capacity_names(o, m);
    for (int way = 0; way < WL_MRC_WAYS; way++) {
        out_char(o, ',');
        out_text(o, wl_mrc_ways[way]);
        out_text(o, "_block_hit_rate,");
        out_text(o, wl_mrc_ways[way]);
        out_text(o, "_token_hit_rate");
    }
    out_char(o, '\n');
    for (size_t t = 0; t < m->exact.n_tenants; t++) {
        const struct wl_mrc_tally *tally = &m->exact.tenants[t];
        for (size_t i = 0; i < m->n_table && tally->prompts > 0; i++) {
            out_u64(o, t);
            u64(o, tally->prompts);
            u64(o, tally->prompt_tokens);
            u64(o, tally->blocks);
            out_char(o, ',');
            write_capacity(o, m, m->table[i].capacity);
            for (enum wl_mrc_way way = 0; way < WL_MRC_WAYS; way++) {
                const struct wl_mrc_hits hits =
                    wl_mrc_tally_hits(tally, way, m->table[i].capacity, m->info.block_tokens);
                fixed(o, (double)hits.blocks / (double)tally->blocks, RATIO);
                fixed(o, (double)hits.tokens / (double)tally->prompt_tokens, RATIO);
            }
            out_char(o, '\n');
        }
    }
}

/* ---- summary.json --------------------------------------------------------------------------------- */

static void set_rate(json_t *object, const char *name, double rate)
{
    json_object_set_new(object, name, isnan(rate) ? json_null() : json_real(round_to(rate, RATIO)));
}

static void set_count(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static void add_sample(json_t *root, const struct mrc *m)
{
    const struct wl_mrc_sample_info *i = &m->sampled;
    json_t *sample = json_object();
    set_rate(sample, "session_rate", i->rate);
    set_count(sample, "sessions", i->sessions);
    set_count(sample, "sampled_sessions", i->sampled_sessions);
    set_count(sample, "sampled_prompts", i->sampled_prompts);
    set_count(sample, "sampled_blocks", i->sampled_blocks);
    set_count(sample, "tracked_blocks", i->tracked_blocks);
    set_count(sample, "popular_ids", i->popular_ids);
    json_object_set_new(sample, "by_session", json_boolean(i->by_session));
    set_count(sample, "seed", m->options.source.seed);
    json_object_set_new(root, "sample", sample);
}

static json_t *table_row(const struct mrc *m, size_t row)
{
    const struct mrc_row *r = &m->table[row];
    json_t *object = json_object();
    char name[64];
    json_object_set_new(object, "capacity_blocks",
                        r->capacity == UINT64_MAX ? json_null()
                                                  : json_integer((json_int_t)r->capacity));
    if (m->options.kv_b_per_token > 0)
        set_rate(object, "capacity_gib", mrc_gib(m, r->capacity));
    if (m->options.price.whole)
        json_object_set_new(object, "nodes",
                            r->capacity == UINT64_MAX
                                ? json_null()
                                : json_integer((json_int_t)mrc_nodes(m, r->capacity)));
    if (m->options.price.known)
        set_rate(object, "usd_per_hour", mrc_usd_per_h(m, r->capacity));
    for (int way = 0; way < WL_MRC_WAYS; way++)
        for (int what = 0; what < MRC_WHATS; what++) {
            snprintf(name, sizeof name, "%s_%s_hit_rate", wl_mrc_ways[way], what_names[what]);
            set_rate(object, name, r->rate[way][what]);
            if (!m->sample)
                continue;
            snprintf(name, sizeof name, "%s_%s_hit_rate_error", wl_mrc_ways[way], what_names[what]);
            set_rate(object, name, r->error[way][what]);
        }
    set_count(object, "refused_prompts", r->refused_prompts);
    for (size_t p = 0; p < m->options.n_policies && m->points; p++) {
        const struct mrc_point *point = &m->points[p * m->n_table + row];
        snprintf(name, sizeof name, "%s_prefix_token_hit_rate", m->options.policies[p]->name);
        set_rate(object, name, point->prefix[MRC_TOKENS]);
        snprintf(name, sizeof name, "%s_flat_block_hit_rate", m->options.policies[p]->name);
        set_rate(object, name, point->flat[MRC_BLOCKS]);
    }
    return object;
}

static void add_price(json_t *root, const struct mrc_price *p)
{
    json_t *price = json_object();
    json_object_set_new(price, "price", json_string(p->text));
    json_object_set_new(price, "of", json_string(p->unit));
    json_object_set_new(price, "unit_usd_per_hour", json_real(p->usd_per_h));
    json_object_set_new(price, "unit_gib", json_real(p->unit_b / 0x1p30));
    json_object_set_new(price, "whole_nodes", json_boolean(p->whole));
    json_object_set_new(price, "entry", json_string(p->entry));
    if (p->region[0]) {
        json_object_set_new(price, "region", json_string(p->region));
        json_object_set_new(price, "date", json_string(p->date));
        json_object_set_new(price, "source", json_string(p->source));
    }
    json_object_set_new(root, "price", price);
}

/* Times are left out: the same trace leaves the same bytes. */
static json_t *summary(const struct mrc *m)
{
    json_t *root = json_object(), *table = json_array();
    json_object_set_new(root, "command", json_string(m->options.command));
    json_object_set_new(root, "trace", json_string(m->options.source.path));
    json_object_set_new(root, "format", json_string(m->info.name));
    json_object_set_new(root, "exact", json_boolean(!m->sample));
    json_object_set_new(root, "interrupted", json_boolean(m->stopped));
    set_count(root, "block_tokens", m->info.block_tokens);
    set_count(root, "prompts", m->prompts);
    set_count(root, "prompt_tokens", m->prompt_tokens);
    set_count(root, "blocks", m->blocks);
    set_count(root, "distinct_blocks", (uint64_t)llround(m->distinct_blocks));
    set_count(root, "longest_prompt_blocks", m->longest_blocks);
    if (!m->sample)
        set_count(root, "repeated_blocks", m->exact.repeated_blocks);
    if (m->options.model) {
        json_object_set_new(root, "model", json_string(m->options.model));
        set_rate(root, "kv_bytes_per_token", m->options.kv_b_per_token);
    }
    if (m->options.price.known)
        add_price(root, &m->options.price);
    if (m->sample)
        add_sample(root, m);
    for (size_t i = 0; i < m->n_table; i++)
        json_array_append_new(table, table_row(m, i));
    json_object_set_new(root, "table", table);
    return root;
}

static char *summary_text(const struct mrc *m)
{
    json_t *root = summary(m);
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    json_decref(root);
    return text;
}

int mrc_print_json(FILE *out, const struct mrc *m)
{
    char *text = summary_text(m);
    if (!text)
        return -ENOMEM;
    const bool written = fprintf(out, "%s\n", text) > 0;
    free(text);
    return written ? 0 : -EIO;
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static void write_summary(struct out *o, const struct mrc *m)
{
    char *text = summary_text(m);
    if (!text && o->error == 0)
        o->error = -ENOMEM;
    if (text) {
        out_text(o, text);
        out_char(o, '\n');
    }
    free(text);
}

static int write_file(const struct mrc *m, int dirfd, const char *name,
                      void (*write)(struct out *o, const struct mrc *m), char *why)
{
    struct out *o = calloc(1, sizeof *o);
    int status = o ? out_open(o, dirfd, name) : -ENOMEM;
    if (status == 0) {
        write(o, m);
        status = out_close(o);
    }
    free(o);
    if (status != 0)
        snprintf(why, MRC_ERROR, "kvtwin mrc: %s: %s", name, strerror(-status));
    return status;
}

int mrc_write(const struct mrc *m, const struct results_dir *folder, char *why)
{
    size_t tenants = 0;
    for (size_t t = 0; t < m->exact.n_tenants; t++)
        tenants += m->exact.tenants[t].prompts > 0;
    int status = write_file(m, folder->fd, "mrc.csv", write_curve, why);
    if (status == 0 && m->points)
        status = write_file(m, folder->fd, "mrc-policies.csv", write_policies, why);
    if (status == 0 && tenants > 1)
        status = write_file(m, folder->fd, "mrc-tenants.csv", write_tenants, why);
    if (status == 0)
        status = write_file(m, folder->fd, "summary.json", write_summary, why);
    return status;
}
