/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_resize.c - engines that got more GPUs, or fewer: keys of summary.json, a section of the table. faults.csv has a line
 * of it too, with the same windows (results_faults.c): before, during and after by arrival, as long as shards moved, but
 * at least a minute.
 *
 *      held        cached blocks when it began
 *      moved       of these, those with a shard that changed GPUs; and the bytes of such shards
 *      kept        those that lie where they would be placed anew
 *      gone        the rest: evicted before their turn came
 *      evicted     so that others find room on their new GPUs: before they move (shrinking), or for it; in gone, but for
 *                  blocks that came after it began
 *      left        GPUs that engines have no longer, and how many GPU seconds they were still needed
 */
#include "results_impl.h"

static bool put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0;
}

static json_t *real(double value, unsigned decimals)
{
    return isfinite(value) ? json_real(round_to(value, decimals)) : json_null();
}

static json_t *whole(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Until the last engine was done; NAN: it was not. */
static double took_s(const struct results *r)
{
    const kvt_ns begin_ns = r->stats.resize.begin_ns, end_ns = r->stats.resize.end_ns;
    return r->stats.resize.over ? (double)(end_ns - begin_ns) / 1e9 : (double)NAN;
}

/* Blocks neither moved nor kept, once all is over. */
static uint64_t gone_blocks(const struct results *r)
{
    const uint64_t found = r->stats.resize.moved_blocks + r->stats.resize.kept_blocks;
    return r->stats.resize.held_blocks > found ? r->stats.resize.held_blocks - found : 0;
}

static const struct results_fault *windows(const struct results *r)
{
    const struct fault_event *event = NULL;
    const struct results_fault *fault = NULL;
    return results_fault(r, 0, &event, &fault) > 0 ? fault : NULL;
}

static const char *const when[] = {"before", "during", "after"};

int json_resize(json_t *o, const struct results *r)
{
    if (!has_resize(r))
        return 0;
    const struct results_fault *f = windows(r);
    char key[64];
    bool good =
        put(o, "resize_at_s", real((double)r->stats.resize.begin_ns / 1e9, 9)) &&
        put(o, "resize_took_s", real(took_s(r), 9)) &&
        put(o, "resize_held_blocks", whole(r->stats.resize.held_blocks)) &&
        put(o, "resize_held_bytes", whole(r->stats.resize.held_b)) &&
        put(o, "resize_moved_blocks", whole(r->stats.resize.moved_blocks)) &&
        put(o, "resize_moved_bytes", whole(r->stats.resize.moved_b)) &&
        put(o, "resize_moved_ratio",
            real(ratio_of((double)r->stats.resize.moved_b, (double)r->stats.resize.held_b), 6)) &&
        put(o, "resize_kept_blocks", whole(r->stats.resize.kept_blocks)) &&
        put(o, "resize_gone_blocks", whole(gone_blocks(r))) &&
        put(o, "resize_failed_blocks", whole(r->stats.resize.failed_blocks)) &&
        put(o, "resize_evicted_blocks", whole(r->stats.resize.evicted_blocks)) &&
        put(o, "resize_left_gpus", whole(r->stats.resize.left_gpus)) &&
        put(o, "resize_leaving_gpu_s", real((double)r->stats.resize.leaving_ns / 1e9, 9));
    for (int w = 0; f != NULL && w < 3; w++) {
        snprintf(key, sizeof key, "resize_%s_requests", when[w]);
        good &= put(o, key, whole(f->at[w].requests));
        snprintf(key, sizeof key, "resize_%s_hit_rate", when[w]);
        good &= put(o, key, real(f->at[w].hit_rate, 6));
        snprintf(key, sizeof key, "resize_%s_ttft_p50_ms", when[w]);
        good &= put(o, key, real(f->at[w].ttft_ms[0], 6));
        snprintf(key, sizeof key, "resize_%s_ttft_p95_ms", when[w]);
        good &= put(o, key, real(f->at[w].ttft_ms[1], 6));
    }
    good &=
        put(o, "definition_resize",
            json_string(
                "engines get more GPUs, or fewer: moved: cached blocks with a shard that changed "
                "GPUs, bytes of such shards; kept: lie where they would be placed anew; "
                "gone: evicted before their turn, or still to be moved; evicted: so that others "
                "find room on their new GPUs; left: GPUs that engines have no longer, leaving: how "
                "long they were still needed, summed up; before, during, after: by arrival, as "
                "long as it "
                "took, at least a minute"));
    return good ? 0 : -1;
}

void resize_print(FILE *out, const struct results *r, bool colour)
{
    if (!has_resize(r))
        return;
    const struct results_fault *f = windows(r);
    const double held_b = (double)r->stats.resize.held_b, moved_b = (double)r->stats.resize.moved_b;
    fprintf(out, "\n%s%-16s%s%s\n", colour ? "\033[1m" : "", "resize", colour ? "\033[0m" : "",
            "   requests   hit rate    TTFT p50         p95");
    for (int w = 0; f != NULL && w < 3; w++)
        fprintf(out, "  %-14s%11llu%9.1f %%%9.1f ms%9.1f ms\n", when[w],
                (unsigned long long)f->at[w].requests, 100 * f->at[w].hit_rate, f->at[w].ttft_ms[0],
                f->at[w].ttft_ms[1]);
    fprintf(out, "  at %.0f s: %.2f GB of %.2f GB held moved (%.1f %%)",
            (double)r->stats.resize.begin_ns / 1e9, moved_b / 1e9, held_b / 1e9,
            held_b > 0 ? 100 * moved_b / held_b : 0);
    if (isfinite(took_s(r)))
        fprintf(out, " in %.3f s\n", took_s(r));
    else
        fputs(", not finished\n", out);
    fprintf(out, "  blocks: %llu moved, %llu lie where they were, %llu evicted before their turn\n",
            (unsigned long long)r->stats.resize.moved_blocks,
            (unsigned long long)r->stats.resize.kept_blocks, (unsigned long long)gone_blocks(r));
    if (r->stats.resize.evicted_blocks)
        fprintf(out, "  %llu blocks were evicted so that others find room\n",
                (unsigned long long)r->stats.resize.evicted_blocks);
    if (r->stats.resize.left_gpus)
        fprintf(out, "  %llu GPUs left, after %.3f GPU s more\n",
                (unsigned long long)r->stats.resize.left_gpus,
                (double)r->stats.resize.leaving_ns / 1e9);
}
