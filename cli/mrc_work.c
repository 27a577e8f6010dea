/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_work.c - passes the trace, exactly or by sample, and reads the table off.
 *
 * Capacities of the table are 1, 2, 5 times powers of ten, from a tenth of the longest prompt to all that there is;
 * of the file, two hundred on a log scale beside them. Whatever the capacity, the figure is exact: the grid
 * is for reading.
 */
#include "mrc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stop.h"

static int no_memory(char *why)
{
    snprintf(why, MRC_ERROR, "kvtwin mrc: out of memory");
    return -ENOMEM;
}

/* ---- Prompts kept --------------------------------------------------------------------------------- */

static int keep(struct mrc_trace *t, const struct wl_chain *p)
{
    if (wl_grow(&t->prompts, &t->room, t->n + 1, sizeof t->prompts[0]) != 0 ||
        wl_grow(&t->first_run, &t->first_room, t->n + 1, sizeof t->first_run[0]) != 0 ||
        wl_grow(&t->runs, &t->runs_room, t->n_runs + p->n_runs, sizeof t->runs[0]) != 0)
        return -ENOMEM;
    t->first_run[t->n] = t->n_runs;
    t->prompts[t->n++] = *p;
    if (p->n_runs > 0)
        memcpy(t->runs + t->n_runs, p->runs, p->n_runs * sizeof p->runs[0]);
    t->n_runs += p->n_runs;
    t->blocks += p->n_blocks;
    t->tokens += p->tokens;
    if (p->n_blocks > t->longest_blocks)
        t->longest_blocks = p->n_blocks;
    return 0;
}

/* ---- Passes --------------------------------------------------------------------------------------- */

static int pass_exactly(struct mrc *m, struct wl_source *source, struct wl_numbering *numbering,
                        char *why)
{
    struct wl_record r;
    struct wl_chain p;
    struct progress bar;
    int status, got = 0;
    progress_begin(&bar, "mrc", m->info.requests);
    for (status = 0; status == 0 && (got = wl_next_record(source, &r)) == 1;) {
        status = wl_number(numbering, &r, &p);
        if (status == 0)
            status = wl_mrc_add(&m->exact, &p, wl_numbers(numbering));
        if (status == 0)
            status = wl_curve_step(&m->lengths, p.n_blocks + 1, 1);
        if (status == 0 && m->options.n_policies > 0)
            status = keep(&m->trace, &p);
        if (status == 0 && stop_wanted)
            status = -EINTR;
        progress_step(&bar, ++m->prompts, r.at_ns);
    }
    progress_end(&bar);
    m->trace.numbers = wl_numbers(numbering);
    if (got < 0) {
        snprintf(why, MRC_ERROR, "%s", wl_source_error(source));
        return got;
    }
    if (status == -ENOMEM)
        return no_memory(why);
    if (status == -EFBIG)
        snprintf(why, MRC_ERROR, "%.200s: expected at most 2^31 distinct blocks: take --sample",
                 m->options.source.path);
    return status;
}

static int adopt_exact(struct mrc *m, char *why)
{
    if (wl_mrc_seal(&m->exact) != 0)
        return no_memory(why);
    m->prompts = m->exact.all.prompts;
    m->prompt_tokens = m->exact.all.prompt_tokens;
    m->blocks = m->exact.all.blocks;
    m->distinct_blocks = wl_mrc_distinct(&m->exact);
    m->longest_blocks = m->exact.longest_blocks;
    return 0;
}

/* Prompts of the sample, for the simulations; the lengths of all. */
static int keep_sample(struct mrc *m, struct wl_source *source, struct wl_numbering *numbering)
{
    struct wl_record r;
    struct wl_chain p;
    int status = 0, got = 0;
    while (status == 0 && (got = wl_next_record(source, &r)) == 1) {
        status = wl_curve_step(&m->lengths, wl_number_count(numbering, &r) + UINT64_C(1), 1);
        if (status != 0 || m->options.n_policies == 0 || !wl_mrc_sample_takes(m->sample, &r))
            continue;
        status = wl_number(numbering, &r, &p);
        if (status == 0)
            status = keep(&m->trace, &p);
    }
    m->trace.numbers = wl_numbers(numbering);
    return got < 0 ? got : status;
}

static int pass_sample(struct mrc *m, struct wl_source *source, struct wl_numbering *numbering,
                       char *why)
{
    const struct wl_mrc_sampling sampling = {.rate = m->options.sample,
                                             .most_blocks = m->options.sample_blocks,
                                             .seed = m->options.source.seed,
                                             .tenant_salts = m->options.source.tenant_salts,
                                             .stop = &stop_wanted};
    struct wl_error error = {""};
    int status = wl_mrc_sample_new(&m->sample, source, &sampling, &error);
    if (status != 0) {
        snprintf(why, MRC_ERROR, "%s", error.text);
        return status;
    }
    struct wl_mrc_sample_info *i = &m->sampled;
    wl_mrc_sample_info(m->sample, i);
    m->prompts = i->prompts;
    m->prompt_tokens = i->prompt_tokens;
    m->blocks = i->blocks;
    m->distinct_blocks = i->distinct_blocks;
    m->longest_blocks = i->longest_blocks;
    status = keep_sample(m, source, numbering);
    return status == -ENOMEM ? no_memory(why) : status;
}

static int check_source(struct mrc *m, struct wl_numbering *numbering, char *why)
{
    if (wl_numbering_init(numbering, &m->info, m->options.source.tenant_salts) == 0)
        return 0;
    snprintf(why, MRC_ERROR,
             "--block-tokens: expected %u, the trace's own blocks, or a divisor; found %u",
             m->info.trace_block_tokens, m->info.block_tokens);
    return -EINVAL;
}

int mrc_pass(struct mrc *m, char *why)
{
    struct wl_source *source;
    struct wl_error error = {""};
    struct wl_numbering numbering = {0};
    const uint64_t begin_ns = wall_clock_ns();
    m->options.source.partial_blocks = true;
    int status = wl_open(&source, &m->options.source, &error);
    if (status != 0) {
        snprintf(why, MRC_ERROR, "%s", error.text);
        return status;
    }
    wl_source_info(source, &m->info);
    status = check_source(m, &numbering, why);
    if (status == 0)
        status = mrc_sampled(&m->options) ? pass_sample(m, source, &numbering, why)
                                          : pass_exactly(m, source, &numbering, why);
    if (status == 0 && !mrc_sampled(&m->options))
        status = adopt_exact(m, why);
    wl_curve_seal(&m->lengths);
    if (status == 0 && m->blocks == 0) {
        snprintf(why, MRC_ERROR, "%.200s: expected prompts of at least one block of %u tokens",
                 m->options.source.path, m->info.block_tokens);
        status = -EINVAL;
    }
    wl_numbering_release(&numbering);
    wl_close(source);
    m->wall_s = (double)(wall_clock_ns() - begin_ns) / 1e9;
    return status;
}

/* ---- Tables --------------------------------------------------------------------------------------- */

static void exact_row(const struct mrc *m, struct mrc_row *row)
{
    for (enum wl_mrc_way way = 0; way < WL_MRC_WAYS; way++) {
        row->hits[way] = wl_mrc_tally_hits(&m->exact.all, way, row->capacity, m->info.block_tokens);
        row->rate[way][MRC_BLOCKS] = (double)row->hits[way].blocks / (double)m->blocks;
        row->rate[way][MRC_TOKENS] = (double)row->hits[way].tokens / (double)m->prompt_tokens;
    }
}

static void sampled_row(const struct mrc *m, struct mrc_row *row)
{
    for (enum wl_mrc_way way = 0; way < WL_MRC_WAYS; way++) {
        const struct wl_mrc_rate r = wl_mrc_sample_rate(m->sample, way, row->capacity);
        row->rate[way][MRC_BLOCKS] = r.blocks;
        row->rate[way][MRC_TOKENS] = r.tokens;
        row->error[way][MRC_BLOCKS] = r.blocks_error;
        row->error[way][MRC_TOKENS] = r.tokens_error;
    }
}

void mrc_row_at(const struct mrc *m, uint64_t capacity, struct mrc_row *row)
{
    *row = (struct mrc_row){.capacity = capacity};
    if (m->sample)
        sampled_row(m, row);
    else
        exact_row(m, row);
    /* A prompt of n blocks stands at n + 1, so that one without blocks has a place. */
    row->refused_prompts = capacity >= m->longest_blocks
                               ? 0
                               : m->prompts - wl_curve_at(&m->lengths, capacity + 1).blocks;
}

/* An estimate may dip where it cannot; a larger LRU cache never finds less. */
static void never_fall(struct mrc_row *rows, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (int way = 0; way < WL_MRC_WAYS; way++)
            for (int what = 0; what < MRC_WHATS; what++)
                rows[i].rate[way][what] =
                    fmax(rows[i].rate[way][what], rows[i - 1].rate[way][what]);
}

static uint64_t all_blocks(const struct mrc *m)
{
    return m->distinct_blocks < 1 ? 1 : (uint64_t)ceil(m->distinct_blocks);
}

/* Round numbers up to all, and all. */
static size_t round_capacities(const struct mrc *m, uint64_t *capacities)
{
    const uint64_t all = all_blocks(m),
                   from = m->longest_blocks / 10 > 1 ? m->longest_blocks / 10 : 1;
    static const int steps[] = {1, 2, 5};
    size_t n = 0;
    for (uint64_t power = 1; power <= all && n < 60; power *= 10)
        for (int i = 0; i < 3; i++)
            if (power * (uint64_t)steps[i] >= from && power * (uint64_t)steps[i] < all)
                capacities[n++] = power * (uint64_t)steps[i];
    capacities[n++] = all;
    return n;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static size_t sort_unique(uint64_t *values, size_t n)
{
    size_t kept = 0;
    qsort(values, n, sizeof values[0], ascending);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || values[kept - 1] != values[i])
            values[kept++] = values[i];
    return kept;
}

static void fill(const struct mrc *m, const uint64_t *capacities, size_t n, struct mrc_row *rows)
{
    for (size_t i = 0; i < n; i++)
        mrc_row_at(m, capacities[i], &rows[i]);
    never_fall(rows, n);
}

int mrc_tabulate(struct mrc *m, char *why)
{
    uint64_t wanted[MRC_ROWS_MOST + MRC_POINTS];
    size_t n = m->options.n_capacities;
    if (n > 0)
        memcpy(wanted, m->options.capacities, n * sizeof wanted[0]);
    else
        n = round_capacities(m, wanted);
    m->n_table = n = sort_unique(wanted, n);
    fill(m, wanted, n, m->table);
    const double all = (double)all_blocks(m);
    for (int i = 0; i < MRC_POINTS && m->options.n_capacities == 0; i++)
        wanted[n++] = (uint64_t)llround(pow(all, (double)i / (MRC_POINTS - 1)));
    m->n_rows = sort_unique(wanted, n);
    m->rows = calloc(m->n_rows, sizeof m->rows[0]);
    if (!m->rows)
        return no_memory(why);
    fill(m, wanted, m->n_rows, m->rows);
    return 0;
}

double mrc_gib(const struct mrc *m, uint64_t capacity)
{
    if (!(m->options.kv_b_per_token > 0) || capacity == UINT64_MAX)
        return NAN;
    return (double)capacity * m->info.block_tokens * m->options.kv_b_per_token / 0x1p30;
}

void mrc_release(struct mrc *m)
{
    wl_mrc_release(&m->exact);
    wl_mrc_sample_free(m->sample);
    wl_curve_release(&m->lengths);
    free(m->rows);
    free(m->points);
    free(m->trace.prompts);
    free(m->trace.first_run);
    free(m->trace.runs);
}
