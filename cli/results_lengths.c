/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_lengths.c - lengths.csv: latency by length of the prompt, in powers of two.
 *
 * Each length class keeps histograms (histogram.h: within 0.4 %) of TTFT and TPOT over its finished
 * requests, and sums for the hit rate.
 */
#include "results_impl.h"

#include <stdlib.h>

enum { CLASSES = 22, FIRST_BITS = 10 }; /* below 1024, [1024, 2048), ... up to 2^31 */

struct lengths {
    struct histogram ttft[CLASSES], tpot[CLASSES];
    uint64_t prompt_tokens[CLASSES], hit_tokens[CLASSES];
};

struct lengths *lengths_new(void)
{
    return calloc(1, sizeof(struct lengths));
}

static uint32_t class_of(uint32_t tokens)
{
    uint32_t class = 0;
    while (class + 1 < CLASSES && tokens >> (FIRST_BITS + class) > 0)
        class ++;
    return class;
}

void lengths_note(struct lengths *l, const struct kvt_report *p)
{
    const uint32_t class = class_of(p->prompt_tokens);
    histogram_add(&l->ttft[class], p->first_token_ns - p->arrive_ns, 1);
    if (p->output_tokens > 1)
        histogram_add(&l->tpot[class], (p->finish_ns - p->first_token_ns) / (p->output_tokens - 1),
                      1);
    l->prompt_tokens[class] += p->prompt_tokens;
    for (int c = KVT_HIT_GPU; c <= KVT_HIT_DISK; c++)
        l->hit_tokens[class] += p->ledger_tokens[c];
}

static void ms(struct out *o, double ns)
{
    out_char(o, ',');
    out_fixed(o, ns / 1e6, 6);
}

void csv_lengths(struct out *o, const struct results *r)
{
    out_text(
        o,
        "# Latency of finished requests by length of the prompt, from_tokens included, to_tokens "
        "not. Quantiles are within 0.4 % (histogram).\n");
    out_text(o, "from_tokens,to_tokens,requests,hit_ratio,ttft_mean_ms,ttft_p50_ms,ttft_p95_ms,"
                "tpot_mean_ms,tpot_p50_ms,tpot_p95_ms\n");
    for (uint32_t c = 0; r->lengths && c < CLASSES; c++) {
        const struct histogram *ttft = &r->lengths->ttft[c], *tpot = &r->lengths->tpot[c];
        if (ttft->total == 0)
            continue;
        out_u64(o, c ? UINT64_C(1) << (FIRST_BITS + c - 1) : 0);
        out_char(o, ',');
        out_u64(o, UINT64_C(1) << (FIRST_BITS + c));
        out_char(o, ',');
        out_u64(o, ttft->total);
        out_char(o, ',');
        out_fixed(o, (double)r->lengths->hit_tokens[c] / (double)r->lengths->prompt_tokens[c], 6);
        const struct histogram *both[] = {ttft, tpot};
        for (int i = 0; i < 2; i++) {
            ms(o, histogram_mean(both[i]));
            ms(o, histogram_quantile(both[i], 0.5));
            ms(o, histogram_quantile(both[i], 0.95));
        }
        out_char(o, '\n');
    }
}
