/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_print.c - the table on the terminal: what was passed, hit rates by capacity, and by policy.
 */
#include "mrc.h"

#include <math.h>
#include <string.h>

#include "units.h"

static void print_count(FILE *out, const char *name, double value)
{
    char text[32];
    fprintf(out, "  %-18s %s\n", name,
            units_show_count(text, sizeof text, (uint64_t)llround(value)));
}

static void print_sample(FILE *out, const struct mrc *m)
{
    const struct wl_mrc_sample_info *i = &m->sampled;
    char sampled[32], all[32], blocks[32];
    fprintf(out, "  %-18s %s of %s %s, %s blocks looked up, %.3g %%", "sample",
            units_show_count(sampled, sizeof sampled, i->sampled_sessions),
            units_show_count(all, sizeof all, i->sessions),
            i->by_session ? "sessions" : "sessions (by first own block)",
            units_show_count(blocks, sizeof blocks, i->sampled_blocks),
            100 * (double)i->sampled_blocks / (double)i->blocks);
    fputc('\n', out);
    if (i->sampled_sessions < WL_MRC_PARTS)
        fputs("  so few that the error bars say little: take a larger sample\n", out);
}

static void print_source(FILE *out, const struct mrc *m)
{
    char text[64];
    fprintf(out, "%s: LRU, %s, in %.2f s\n", m->options.source.path,
            m->sample ? "from a sample" : "exact at every capacity", m->wall_s);
    print_count(out, "prompts", (double)m->prompts);
    print_count(out, "prompt tokens", (double)m->prompt_tokens);
    fprintf(out, "  %-18s %s of %u tokens, the longest prompt %u\n", "blocks",
            units_show_count(text, sizeof text, m->blocks), m->info.block_tokens,
            m->longest_blocks);
    print_count(out, m->sample ? "distinct, about" : "distinct", m->distinct_blocks);
    if (m->sample)
        print_sample(out, m);
    if (m->exact.repeated_blocks > 0)
        fprintf(out, "  %-18s %s: no chains; prefix figures take the last one\n", "named twice",
                units_show_count(text, sizeof text, m->exact.repeated_blocks));
    if (m->options.kv_b_per_token > 0)
        fprintf(out, "  %-18s %s a token, KV of %s\n", "memory",
                units_show_bytes(text, sizeof text, m->options.kv_b_per_token), m->options.model);
    if (m->options.price.known) {
        char price[400];
        mrc_price_say(&m->options.price, price, sizeof price);
        fprintf(out, "  %-18s %s\n", "price", price);
        if (m->options.price.source[0])
            fprintf(out, "  %-18s %s\n", "price from", m->options.price.source);
    }
}

static void print_rate(FILE *out, double rate)
{
    if (isnan(rate))
        fprintf(out, "%9s", "-");
    else
        fprintf(out, "%8.2f%%", 100 * rate);
}

static void print_capacity(FILE *out, const struct mrc *m, uint64_t capacity)
{
    char text[32] = "infinite";
    const double gib = mrc_gib(m, capacity), usd = mrc_usd_per_h(m, capacity);
    if (capacity != UINT64_MAX)
        units_show_count(text, sizeof text, capacity);
    fprintf(out, "%14s", text);
    if (!(m->options.kv_b_per_token > 0))
        return;
    fprintf(out, "%12s", isnan(gib) ? "" : units_show_bytes(text, sizeof text, gib * 0x1p30));
    if (!m->options.price.known)
        return;
    if (m->options.price.whole) {
        const uint64_t nodes = mrc_nodes(m, capacity);
        snprintf(text, sizeof text, "%llu", (unsigned long long)nodes);
        fprintf(out, "%8s", nodes ? text : "");
    }
    snprintf(text, sizeof text, "%.3g", usd);
    fprintf(out, "%10s", isnan(usd) ? "" : text);
}

static void print_capacity_head(FILE *out, const struct mrc *m)
{
    fprintf(out, "%14s", "blocks");
    if (!(m->options.kv_b_per_token > 0))
        return;
    fprintf(out, "%12s", "memory");
    if (m->options.price.known)
        fprintf(out, "%s%10s", m->options.price.whole ? "   nodes" : "", "USD/h");
}

static void print_row(FILE *out, const struct mrc *m, const struct mrc_row *row)
{
    static const enum wl_mrc_way ways[] = {WL_MRC_LEAF, WL_MRC_HEAD, WL_MRC_FLAT};
    print_capacity(out, m, row->capacity);
    for (int w = 0; w < WL_MRC_WAYS; w++) {
        fputs("   ", out);
        print_rate(out, row->rate[ways[w]][MRC_TOKENS]);
        if (m->sample)
            fprintf(out, " +-%5.2f", 100 * row->error[ways[w]][MRC_TOKENS]);
        print_rate(out, row->rate[ways[w]][MRC_BLOCKS]);
    }
    if (row->refused_prompts > 0)
        fprintf(out, "   %llu longer prompt%s", (unsigned long long)row->refused_prompts,
                row->refused_prompts == 1 ? "" : "s");
    fputc('\n', out);
}

static void print_lru(FILE *out, const struct mrc *m)
{
    static const char *const heads[] = {"prefix, ends first", "prefix, heads first",
                                        "flat, each block"};
    const int wide = m->sample ? 26 : 18;
    char indent[64];
    const struct mrc_price *price = &m->options.price;
    const int before = 14 + (m->options.kv_b_per_token > 0 ? 12 : 0) + (price->known ? 10 : 0) +
                       (price->whole ? 8 : 0);
    snprintf(indent, sizeof indent, "%*s", before, "");
    fprintf(out, "\n%s", indent);
    for (int w = 0; w < WL_MRC_WAYS; w++)
        fprintf(out, "  %*s", wide + 1, heads[w]);
    fputc('\n', out);
    print_capacity_head(out, m);
    for (int w = 0; w < WL_MRC_WAYS; w++)
        fprintf(out, "   %9s%s%9s", "tokens", m->sample ? "        " : "", "blocks");
    fputc('\n', out);
    for (size_t i = 0; i < m->n_table; i++)
        print_row(out, m, &m->table[i]);
}

/* One table: policies side by side. */
static void print_policies(FILE *out, const struct mrc *m, bool prefix)
{
    const struct mrc_options *o = &m->options;
    fprintf(out, "\n%s\n",
            prefix ? (o->prefix_closed ? "prefix hit rate in tokens, by policy, prefix-closed"
                                       : "prefix hit rate in tokens, by policy")
                   : "flat hit rate in blocks, by policy");
    print_capacity_head(out, m);
    for (size_t p = 0; p < o->n_policies; p++)
        fprintf(out, " %9.9s", o->policies[p]->name);
    fputc('\n', out);
    for (size_t row = 0; row < m->n_table; row++) {
        print_capacity(out, m, m->table[row].capacity);
        for (size_t p = 0; p < o->n_policies; p++) {
            const struct mrc_point *point = &m->points[p * m->n_table + row];
            fputc(' ', out);
            print_rate(out, prefix ? point->prefix[MRC_TOKENS] : point->flat[MRC_BLOCKS]);
        }
        fputc('\n', out);
    }
}

void mrc_print(FILE *out, const struct mrc *m)
{
    print_source(out, m);
    print_lru(out, m);
    if (m->points) {
        print_policies(out, m, true);
        print_policies(out, m, false);
    }
}
