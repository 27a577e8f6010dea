/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cost.h - what a run costs, what its cache saves, and whether each tier pays.
 *
 *      scenario + catalogue  -> struct cost_plan      what is paid for, at which price, from where
 *      reports of requests   -> struct cost_tally     GPU time that hits saved, that misses cost
 *      both, and the run     -> struct cost_figures   USD per hour, per token, per tier
 *
 * A bill has two sorts of parts. GPUs, Redis nodes, memory and disks are rented by the hour whether used or
 * not; transfer is paid by the byte and spread over the run. The *cache's own* cost is all of it but the
 * GPUs; of the GPU tier nothing, its memory comes with the GPU and would be there without the cache.
 *
 * What a hit saves is GPU time: of a request whose first h tokens were found, prefill(0, h) by the model
 * of an idle engine (the one that core decides with), shared among tiers by tokens. What a miss
 * costs is the rest, prefill(0, n) - prefill(0, h), shared among the ledger's classes by tokens. In money
 * it is engine time x GPUs x price. That values time which somebody has to be able to use: whether fewer
 * GPUs would do is another question, which only a run with fewer GPUs answers (equal_slo.h).
 *
 * Units: USD, hours in `_per_hour`; memory in GiB, disks and transfer in decimal GB; a month has 730 hours.
 */
#ifndef CLI_COST_H
#define CLI_COST_H

#include "../core/core.h"

enum cost_part {
    COST_GPU,
    COST_REDIS,
    COST_HOST,
    COST_DISK,
    COST_ZONES,   /* bytes between zones */
    COST_REGIONS, /* bytes between regions */
    COST_PARTS
};

/* One line of the bill. Strings are copies: a plan outlives the catalogue. */
struct cost_rate {
    bool present;
    bool unpriced;       /* nobody said what it costs: counted as 0, and named in the summary */
    double count;        /* in `of` */
    double free_count;   /* of them come with something else: not billed */
    double usd_per_unit; /* per hour and unit of count; transfer: per GB */
    char of[16];         /* "GPU", "node", "GiB", "GB" */
    char price[64];      /* as the catalogue or the scenario writes it: "27.44705 USD/h" */
    char name[64];       /* entry of the catalogue; "own": the scenario's; "included" */
    char region[32], date[16], evidence[4], source[256]; /* "" for own prices */
};

struct cost_plan {
    bool present; /* false: nobody asked (the null world has no hours to pay for) */
    struct cost_rate parts[COST_PARTS];
    double inter_zone_ratio, inter_region_ratio; /* of the bytes to and from Redis */
    bool regions; /* the run itself knows which bytes change region */
    uint32_t engines, gpus_per_engine;
    double usd_per_gpu_hour;
    double room_usd_per_gib_hour[KVT_TIERS]; /* a GiB more of a tier; NAN: not for sale */
    double kv_b_per_token[KVT_TIERS];        /* as stored there */
    struct kvt_prefill_cost prefill;
};

/* Engine time in ns: a sum over requests may pass 2^53, and a part in 10^16 is good enough. */
struct cost_tally {
    double saved_ns[KVT_TIERS];
    double load_ns[KVT_TIERS];   /* time to the first token spent on loading, by farthest tier */
    double spent_ns[KVT_LEDGER]; /* computed classes */
    double balance_usd;          /* saved - the hourly cost of the cache, so far */
    kvt_ns below_until_ns;       /* latest time at which the balance was below 0 */
};

struct cost_tier {
    bool present;
    double saved_gpu_s, load_s;
    double saved_usd_per_hour, usd_per_hour;
    double pays_ratio;         /* saved / cost; INFINITY where nothing is paid for it */
    double breakeven_hit_rate; /* prefix hit rate from this tier at which both are equal */
};

/* The same traffic without cache on so many engines that latency is as good. */
struct cost_equal {
    bool done;      /* somebody looked */
    bool reachable; /* there is such a number of engines */
    uint32_t engines;
    double usd_per_hour, saving_ratio;
    double ttft_p95_ms, tpot_p95_ms;                 /* what had to be met; NAN: not asked for */
    double reached_ttft_p95_ms, reached_tpot_p95_ms; /* with that number, or the largest tried */
    uint32_t runs;
    char note[192]; /* why there is none */
};

struct cost_figures {
    bool present;
    double usd_per_hour, part_usd_per_hour[COST_PARTS];
    double cache_usd_per_hour; /* all but the GPUs */
    /* The whole bill over one of these each: never add them. NAN where the denominator is 0. */
    double usd_per_mtok_output, usd_per_mtok_input, usd_per_1000_requests;
    double saved_gpu_s, saved_usd_per_hour;
    double payback_ratio; /* USD saved per USD of cache; INFINITY: the cache costs nothing */
    double
        payback_s; /* from a cold start until savings have caught up for good; NAN: not in this run */
    double breakeven_hit_rate;   /* at which the whole cache pays for itself; above 1: at none */
    double moved_gb[COST_PARTS]; /* transfer only */
    double gpus;                 /* billed, on average */
    struct cost_tier tiers[KVT_TIERS];
};

/* "gpu", "redis", "host", "disk", "zones", "regions". */
const char *cost_part_name(enum cost_part part);
/* Which part of the bill a tier is; COST_PARTS: none (gpu). */
enum cost_part cost_part_of(enum kvt_tier_kind tier);

/* Time of an engine for n tokens after k of context, ns. */
double cost_prefill_ns(const struct kvt_prefill_cost *cost, double k, double n);

/* A finished request. begin_ns: when measuring began. */
void cost_count(struct cost_tally *tally, const struct cost_plan *plan,
                const struct kvt_report *report, kvt_ns begin_ns);

/* GPUs rented on average from begin_ns to end_ns, of engines that got more of them, or fewer, in between or before: one that
 * joins from when it does, one that leaves until it has left. 0: none did, so as many as the plan says. */
double cost_mean_gpus(const struct kvt_core_stats *stats, kvt_ns begin_ns, kvt_ns end_ns);

/* What a run was, for cost_compute. */
struct cost_run {
    double gpus;       /* cost_mean_gpus */
    double duration_s; /* of what was measured */
    uint64_t output_tokens, prompt_tokens, requests;
    uint64_t hit_tokens[KVT_TIERS];
    double moved_b, moved_s; /* to and from Redis, over the whole run; its length */
    double between_b;        /* of these between regions, where the plan has some */
    kvt_ns begin_ns;
};

/* The plan of the same cluster without cache: its GPUs, nothing else. */
void cost_without_cache(struct cost_plan *plan);

void cost_compute(struct cost_figures *figures, const struct cost_plan *plan,
                  const struct cost_tally *tally, const struct cost_run *run);

#endif
