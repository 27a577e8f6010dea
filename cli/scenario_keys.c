/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scenario_keys.c - the table of scenario keys: name, type, default, range, help.
 *
 * To add a key: one line here, one member in scenario.h. File, --set, --explain and messages
 * follow.
 *
 * Invariants, relied on by scenario_load.c:
 *   (K1) Keys of one section stand together, and sections are nested depth first.
 *   (K2) Every default is text that its own type accepts (tests/test_scenario.c types all of them).
 */
#include "scenario.h"

#include <string.h>

#include "../workload/workload.h"

#define AT(member)      offsetof(struct scenario, member)
#define TIER_AT(member) offsetof(struct scenario_tier, member)
#define BIT(kind)       (1u << (kind))

enum {
    EACH = BIT(KVT_GPU) | BIT(KVT_HOST) | BIT(KVT_REDIS) | BIT(KVT_DISK),
    BELOW = BIT(KVT_HOST) | BIT(KVT_REDIS) | BIT(KVT_DISK), /* below the GPU */
    GPU = BIT(KVT_GPU),
    PEER = BIT(KVT_PEER),
    REDIS = BIT(KVT_REDIS),
    DISK = BIT(KVT_DISK),
};

static const double u32 = 4294967294.0; /* KVT_NONE is taken */
static const double u53 = 9007199254740992.0;

static const char *const worlds[] = {"null", "sim", "real", NULL};
static const char *const formats[] = {"auto",  "mooncake", "qwen",   "prompts",
                                      "azure", "burstgpt", "binary", NULL};
static const char *const routers[] = {"round-robin", "least-loaded", "hash-affinity",
                                      "prefix-aware", NULL};
static const char *const load_choices[] = {"adaptive", "always", "never", NULL};
static const char *evictions[32]; /* names of kvt_evict_all */
static const char *const closings[] = {"auto", "false", "true", NULL};
static const char *const movers[] = {"session", "tenant", NULL}; /* as in enum wl_rollout_by */
static const char *const warmers[] = {"none", "hot", "recent", "shadow",
                                      NULL}; /* enum wl_warm_up */
static const char *const far_policies[] = {"recompute", "remote-read", "replicate",
                                           NULL}; /* enum regions_policy */
static const char *const warm_ups[] = {"small", "main", NULL};
static const char *const managers[] = {"core", "server", NULL}; /* as in enum kvt_manager */
static const char *const writes[] = {"through", "back", "selective", "none", NULL};
/* After none, in the order of kvt_shard_all. */
static const char *const shard_policies[] = {"none", "horizontal", "vertical", "hybrid",
                                             "head", "single",     NULL};
static const char *const shard_accesses[] = {"gather", "in_place", NULL};
static const char *const shard_evictions[] = {"together", "alone", NULL};
static const char *const shard_rereplicate[] = {"auto", "true", "false", NULL};
static const char *const shard_variants[] = {"contiguous", "interleaved", NULL};
static const char *const touches[] = {"head", "leaf", NULL};
static const char *const dtypes[] = {"auto", "bf16", "fp16", "fp32", NULL};
static const char *const devices[] = {"auto", "host", "cuda", NULL};
static const char *const layouts[] = {"packed", "per-layer", NULL};
static const char *const syncs[] = {"none", "data", "full", NULL};

/* One key after the other, not one member per line. */
/* clang-format off */
static const struct scenario_key plain_keys[] = {
    {.path = "question", .type = KEY_TEXT, .fallback = "", .offset = AT(question),
     .help = "what this scenario asks, in one sentence"},
    {.path = "expect", .type = KEY_TEXT, .fallback = "", .offset = AT(expect),
     .help = "the outcome that would not surprise"},
    {.path = "seed", .type = KEY_COUNT, .fallback = "1", .offset = AT(seed), .most = u53,
     .help = "of every random stream"},
    {.path = "world", .type = KEY_CHOICE, .fallback = "sim", .offset = AT(world), .names = worlds,
     .help = "null: no time passes; sim: modelled hardware; real: this machine; --world goes first"},
    {.path = "workload.trace", .type = KEY_TEXT, .offset = AT(workload.trace),
     .help = "file with requests; without it they are generated"},
    {.path = "workload.format", .type = KEY_CHOICE, .fallback = "auto",
     .offset = AT(workload.format), .names = formats, .needs = "workload.trace",
     .help = "of the trace"},
    {.path = "workload.trace_block_tokens", .type = KEY_COUNT, .fallback = "auto",
     .offset = AT(workload.trace_block_tokens), .least = 1, .most = 1048576, .word = "auto",
     .needs = "workload.trace", .help = "tokens that one hash id of the trace stands for"},
    {.path = "workload.rate_scale", .type = KEY_NUMBER, .fallback = "1",
     .offset = AT(workload.rate_scale), .least = 1e-6, .most = 1e6,
     .help = "2: the same requests in half the time"},
    {.path = "workload.limit", .type = KEY_COUNT, .fallback = "all", .offset = AT(workload.limit),
     .least = 1, .most = u53, .word = "all", .word_value = UINT64_MAX,
     .help = "requests at most, after skip"},
    {.path = "workload.skip", .type = KEY_COUNT, .fallback = "0", .offset = AT(workload.skip),
     .most = u53, .help = "leading requests left out"},
    {.path = "workload.warmup", .type = KEY_DURATION, .fallback = "0s",
     .offset = AT(workload.warmup_ns),
     .help = "requests that arrive before then fill the cache but are not counted"},
    {.path = "workload.max_output_tokens", .type = KEY_COUNT, .fallback = "all",
     .offset = AT(workload.max_output_tokens), .most = u32, .word = "all", .word_value = UINT64_MAX,
     .help = "cuts outputs; 0: prefill only"},
    {.path = "workload.tenant_salts", .type = KEY_BOOL, .fallback = "false",
     .offset = AT(workload.tenant_salts), .help = "tenants share no blocks"},
    {.path = "workload.synth.system_tokens", .type = KEY_COUNT, .fallback = "256",
     .offset = AT(workload.synth_system_tokens), .most = u32, .needs = "workload.trace",
     .help = "traces of lengths only: the system prompt that all share"},
    {.path = "workload.synth.continues", .type = KEY_RATIO, .fallback = "0.5",
     .offset = AT(workload.synth_continues), .most = 1, .needs = "workload.trace",
     .help = "traces of lengths only: share of requests that continue a conversation"},
    {.path = "workload.synth.idle", .type = KEY_DURATION, .fallback = "300s",
     .offset = AT(workload.synth_idle_ns), .needs = "workload.trace",
     .help = "traces of lengths only: a conversation idle for longer is over"},
    {.path = "workload.generate", .type = KEY_GENERATE}, /* stands for the generators' keys */

    {.path = "cluster.model", .type = KEY_TEXT, .fallback = "llama-3.1-8b",
     .offset = AT(cluster.model), .help = "see `kvtwin catalog`"},
    {.path = "cluster.kv_dtype", .type = KEY_CHOICE, .fallback = "auto",
     .offset = AT(cluster.kv_dtype), .names = dtypes,
     .help = "of cached keys and values; auto: as the model has it"},
    {.path = "cluster.gpu", .type = KEY_TEXT, .fallback = "a100-80g-sxm", .offset = AT(cluster.gpu),
     .help = "see `kvtwin catalog`"},
    {.path = "cluster.host", .type = KEY_TEXT, .fallback = "auto", .offset = AT(cluster.host),
     .help = "what the GPUs are plugged into; auto: as usual for the GPU; see `kvtwin catalog`"},
    {.path = "cluster.engines", .type = KEY_COUNT, .fallback = "1", .offset = AT(cluster.engines),
     .least = 1, .most = 4096, .help = "serving replicas, each with a copy of the model"},
    {.path = "cluster.gpus_per_engine", .type = KEY_COUNT, .fallback = "1",
     .offset = AT(cluster.gpus_per_engine), .least = 1, .most = 64,
     .help = "tensor parallel degree"},
    {.path = "cluster.network", .type = KEY_TEXT, .fallback = "ethernet-100g",
     .offset = AT(cluster.network), .help = "between engines, and to Redis; see `kvtwin catalog`"},
    {.path = "cluster.stack", .type = KEY_TEXT, .fallback = "vllm-v1", .offset = AT(cluster.stack),
     .help = "serving software, for its host overheads; see `kvtwin catalog`"},
    {.path = "cluster.router", .type = KEY_CHOICE, .fallback = "prefix-aware",
     .offset = AT(cluster.router), .names = routers, .help = "which engine gets a request"},
    {.path = "cluster.max_batch_tokens", .type = KEY_COUNT, .fallback = "auto",
     .offset = AT(cluster.max_batch_tokens), .least = 2, .most = u32, .word = "auto",
     .help = "per iteration: prefill chunk and decode tokens; auto: as the stack does"},
    {.path = "cluster.max_batch_requests", .type = KEY_COUNT, .fallback = "auto",
     .offset = AT(cluster.max_batch_requests), .least = 1, .most = 32768, .word = "auto",
     .help = "running or loading at one time, per engine; auto: as the stack does"},
    {.path = "cluster.gpu_memory_ratio", .type = KEY_RATIO, .fallback = "auto",
     .offset = AT(cluster.gpu_memory_ratio), .least = 0.01, .most = 1, .word = "auto",
     .help = "share of GPU memory that the stack may use; auto: as the stack does"},
    {.path = "cluster.contiguous_tokens", .type = KEY_COUNT, .fallback = "auto",
     .offset = AT(cluster.contiguous_tokens), .least = 1, .most = u32, .word = "auto",
     .help = "what a contiguous allocator reserves per request; auto: the model's context"},
    {.path = "real.device", .type = KEY_CHOICE, .fallback = "auto", .offset = AT(real.device),
     .names = devices, .help = "holds the KV pages in the real world; auto: cuda if there, else host"},
    {.path = "real.threads", .type = KEY_COUNT, .fallback = "auto", .offset = AT(real.threads),
     .least = 1, .most = 256, .word = "auto",
     .help = "workers that copy, code and write; auto: one per processor, and one for loads"},
    {.path = "real.verify", .type = KEY_BOOL, .fallback = "true", .offset = AT(real.verify),
     .help = "what is loaded is compared with what was computed"},
    {.path = "real.stage", .type = KEY_CAPACITY, .fallback = "auto", .offset = AT(real.stage),
     .help = "staging memory of transfers, such as 256MiB"},

    {.path = "cache.enabled", .type = KEY_BOOL, .fallback = "true", .offset = AT(cache.enabled),
     .help = "false: nothing is matched or kept"},
    {.path = "cache.block_tokens", .type = KEY_COUNT, .fallback = "auto",
     .offset = AT(cache.block_tokens), .least = 1, .most = 1048576, .word = "auto",
     .help = "identity and transfer unit; auto: as the trace has it, 512 without trace"},
    {.path = "cache.page_tokens", .type = KEY_COUNT, .fallback = "16",
     .offset = AT(cache.page_tokens), .least = 1, .most = 1048576, .word = "block",
     .help = "GPU allocation unit; divides the block"},
    {.path = "cache.match.chain", .type = KEY_BOOL, .fallback = "true",
     .offset = AT(cache.match_chain), .help = "longest run of leading blocks"},
    {.path = "cache.match.exact", .type = KEY_BOOL, .fallback = "true",
     .offset = AT(cache.match_exact), .help = "the whole prefix; with chain: false, only that"},
    {.path = "cache.match.radix", .type = KEY_BOOL, .fallback = "false",
     .offset = AT(cache.match_radix),
     .help = "prompts with text or tokens: of a block that differs, what it begins with is copied, not computed; "
             "with chain: false, only counted"},
    {.path = "cache.match.approximate.threshold", .type = KEY_RATIO, .fallback = "off",
     .offset = AT(cache.approximate_threshold), .least = 0.01, .most = 1, .word = "off",
     .help = "prompts with text or tokens: where less than the whole was found, reuse what a prompt begins "
             "with that is similar beyond this"},
    {.path = "cache.match.approximate.max_candidates", .type = KEY_COUNT, .fallback = "10000",
     .offset = AT(cache.approximate_candidates), .least = 1, .most = 1048576,
     .needs = "cache.match.approximate.threshold",
     .help = "earlier prompts kept for that, the last used ones"},
    {.path = "cache.shard.policy", .type = KEY_CHOICE, .fallback = "none",
     .offset = AT(cache.shard.policy), .names = shard_policies,
     .help = "on which GPUs of an engine the KV of a block lies; none: on all, evenly"},
    {.path = "cache.shard.access", .type = KEY_CHOICE, .fallback = "gather",
     .offset = AT(cache.shard.access), .names = shard_accesses, .needs = "cache.shard.policy",
     .help = "gather: shards are copied to where a request is computed; in_place: computed where they lie"},
    {.path = "cache.shard.replicas", .type = KEY_COUNT, .fallback = "1",
     .offset = AT(cache.shard.replicas), .least = 1, .most = 64, .needs = "cache.shard.policy",
     .help = "copies of each shard, on distinct GPUs"},
    {.path = "cache.shard.rereplicate", .type = KEY_CHOICE, .fallback = "auto",
     .offset = AT(cache.shard.rereplicate), .names = shard_rereplicate, .needs = "cache.shard.policy",
     .help = "copies of shards that a dead GPU took with it are made anew; auto: true where contexts are gathered, "
             "unless GPUs evict alone"},
    {.path = "cache.shard.slice", .type = KEY_COUNT, .fallback = "12500",
     .offset = AT(cache.shard.slice_tokens), .least = 1, .most = u32, .needs = "cache.shard.policy",
     .help = "tokens that lie together, of horizontal and hybrid"},
    {.path = "cache.shard.variant", .type = KEY_CHOICE, .fallback = "contiguous",
     .offset = AT(cache.shard.interleaved), .names = shard_variants, .needs = "cache.shard.policy",
     .help = "interleaved: horizontal by block, vertical by layer modulo GPUs"},
    {.path = "cache.shard.recent", .type = KEY_COUNT, .fallback = "1024",
     .offset = AT(cache.shard.recent_blocks), .least = 1, .most = u53, .word = "all",
     .word_value = UINT64_MAX, .needs = "cache.shard.policy",
     .help = "hybrid: blocks stored until an update counts half"},
    {.path = "cache.shard.evict", .type = KEY_CHOICE, .fallback = "together",
     .offset = AT(cache.shard.evict_alone), .names = shard_evictions,
     .help = "together: a block leaves all GPUs at once; alone: each GPU evicts what lies on it, and the rest of the block stays, "
             "of no use"},
    {.path = "cache.shard.resize_at", .type = KEY_DURATION, .fallback = "never",
     .offset = AT(cache.shard.resize_at_ns), .least = 1, .word = "never", .word_value = KVT_NEVER,
     .help = "when every engine gets more GPUs, or fewer; cached blocks move to where they would be placed then while it serves"},
    {.path = "cache.shard.resize_gpus", .type = KEY_COUNT, .fallback = "none",
     .offset = AT(cache.shard.resize_gpus), .least = 2, .most = 256, .word = "none",
     .help = "GPUs per engine from then on"},
    {.path = "cache.load_or_compute", .type = KEY_CHOICE, .fallback = "adaptive",
     .offset = AT(cache.load_or_compute), .names = load_choices,
     .help = "blocks below the GPU: whichever is predicted to be faster, or one of them"},
    {.path = "cache.load_patience", .type = KEY_NUMBER, .fallback = "2",
     .offset = AT(cache.load_patience), .most = 1e6,
     .help = "a load is abandoned after this many times the recompute; 0: never"},
    {.path = "cache.single_flight", .type = KEY_BOOL, .fallback = "true",
     .offset = AT(cache.single_flight),
     .help = "requests wait for blocks that another one is computing"},
    {.path = "cache.partial_blocks", .type = KEY_BOOL, .fallback = "false",
     .offset = AT(cache.partial_blocks), .help = "a partial last prompt block is kept too"},
    {.path = "cache.recompute_last_token", .type = KEY_BOOL, .fallback = "true",
     .offset = AT(cache.recompute_last_token),
     .help = "a full hit still computes one token, for its logits"},
    {.path = "cache.model_epoch", .type = KEY_TEXT, .fallback = "0",
     .offset = AT(cache.model_epoch), .help = "another epoch shares no blocks"},
    {.path = "cache.history", .type = KEY_COUNT, .fallback = "all",
     .offset = AT(cache.history_blocks), .most = u53, .word = "all", .word_value = UINT64_MAX,
     .help = "forgotten blocks remembered, to tell evicted from cold"},
    {.path = "cache.quotas", .type = KEY_TEXT, .fallback = "none", .offset = AT(cache.quotas),
     .help = "share of each tier that tenant 0, 1, ... keeps under pressure, such as 60%,40%"},
    {.path = "faults", .type = KEY_FAULTS, .fallback = "none",
     .help = "what breaks, and when, such as [{at: 30s, kill: redis/0, for: 20s}]"},
    {.path = "rollout.at", .type = KEY_DURATION, .fallback = "never", .offset = AT(rollout.at_ns),
     .least = 1, .word = "never", .word_value = KVT_NEVER,
     .help = "when a new epoch of the model comes, which finds nothing of what is cached"},
    {.path = "rollout.share", .type = KEY_RATIO, .fallback = "100%", .offset = AT(rollout.share),
     .least = 0.001, .most = 1, .needs = "rollout.at",
     .help = "of sessions that move to it with each step"},
    {.path = "rollout.every", .type = KEY_DURATION, .fallback = "once",
     .offset = AT(rollout.every_ns), .least = 1, .word = "once", .word_value = KVT_NEVER,
     .needs = "rollout.at",
     .help = "from step to step, until all have moved; once: there is one step"},
    {.path = "rollout.by", .type = KEY_CHOICE, .fallback = "session", .offset = AT(rollout.by),
     .names = movers, .needs = "rollout.at",
     .help = "what moves as a whole; a request without session moves alone"},
    {.path = "rollout.warm_up", .type = KEY_CHOICE, .fallback = "none",
     .offset = AT(rollout.warm_up), .names = warmers, .needs = "rollout.at",
     .help = "computed for the new epoch before the first step: the most used prefixes, the last used, "
             "all requests once more"},
    {.path = "rollout.blocks", .type = KEY_COUNT, .fallback = "auto", .offset = AT(rollout.blocks),
     .least = 1, .most = u53, .word = "auto", .needs = "rollout.warm_up",
     .help = "of these prefixes so many, one for each block; auto: half of what the GPUs hold"},
    {.path = "rollout.lead", .type = KEY_DURATION, .fallback = "120s", .offset = AT(rollout.lead_ns),
     .least = 1, .needs = "rollout.warm_up",
     .help = "how long before the first step the warm-up begins"},
    {.path = "rollout.drop", .type = KEY_BOOL, .fallback = "false", .offset = AT(rollout.drop),
     .needs = "rollout.at",
     .help = "what is cached for the old epoch is dropped when all have moved, not left to be evicted"},
    {.path = "rollout.watch", .type = KEY_DURATION, .fallback = "600s",
     .offset = AT(rollout.watch_ns), .least = 1, .needs = "rollout.at",
     .help = "figures of a roll-out are of requests from its first step until so long after its last"},
    {.path = "regions.names", .type = KEY_TEXT, .fallback = "none", .offset = AT(regions.names),
     .help = "regions that engines, Redis nodes and traffic are divided among, such as east, west"},
    {.path = "regions.share", .type = KEY_TEXT, .fallback = "even", .offset = AT(regions.share),
     .needs = "regions.names",
     .help = "of the sessions that are at home in each, such as 60%, 40%"},
    {.path = "regions.engines", .type = KEY_TEXT, .fallback = "even", .offset = AT(regions.engines),
     .needs = "regions.names", .help = "how many engines each has, such as 6, 2"},
    {.path = "regions.link", .type = KEY_TEXT, .fallback = "aws-cross-region-50g",
     .offset = AT(regions.link), .needs = "regions.names",
     .help = "from each region to each other, shared by all that goes that way; see `kvtwin catalog`"},
    {.path = "regions.round_trip", .type = KEY_DURATION, .fallback = "auto",
     .offset = AT(regions.round_trip_ns), .least = 1, .word = "auto", .word_value = KVT_NEVER,
     .needs = "regions.names", .help = "between regions; auto: as the link has it"},
    {.path = "regions.bandwidth", .type = KEY_TEXT, .fallback = "auto",
     .offset = AT(regions.bandwidth), .needs = "regions.names",
     .help = "each way, such as 50Gb/s; auto: as the link has it"},
    {.path = "regions.connection", .type = KEY_TEXT, .fallback = "auto",
     .offset = AT(regions.connection), .needs = "regions.names",
     .help = "most that one TCP flow carries between regions; auto: as the link has it"},
    {.path = "regions.roam", .type = KEY_RATIO, .fallback = "0", .offset = AT(regions.roam), .most = 1,
     .needs = "regions.names",
     .help = "of requests that are served in another region than their session's"},
    {.path = "regions.policy", .type = KEY_CHOICE, .fallback = "recompute",
     .offset = AT(regions.policy), .names = far_policies, .needs = "regions.names",
     .help = "what other regions hold is computed again, read from there, or stored everywhere"},
    {.path = "slo.ttft_p95", .type = KEY_DURATION, .fallback = "none",
     .offset = AT(slo.ttft_p95_ns), .least = 1, .word = "none", .word_value = KVT_NEVER,
     .help = "time to first token that 95 % of requests must meet"},
    {.path = "slo.tpot_p95", .type = KEY_DURATION, .fallback = "none",
     .offset = AT(slo.tpot_p95_ns), .least = 1, .word = "none", .word_value = KVT_NEVER,
     .help = "time per output token that 95 % of requests must meet"},
    {.path = "prices.gpu", .type = KEY_TEXT, .fallback = "auto", .offset = AT(prices.gpu),
     .help = "of one GPU: auto, an entry of `kvtwin catalog`, or an own one such as 3.43USD/h"},
    {.path = "prices.redis", .type = KEY_TEXT, .fallback = "auto", .offset = AT(prices.redis),
    
     .help = "of one node: auto, redis, valkey, self, an entry, or such as 6.98USD/h"},
    {.path = "prices.host", .type = KEY_TEXT, .fallback = "auto", .offset = AT(prices.host),
    
     .help = "auto: what the GPUs' instances do not bring; included, an entry, or such as 0.0067USD/GiB-h"},
    {.path = "prices.disk", .type = KEY_TEXT, .fallback = "auto", .offset = AT(prices.disk),
    
     .help = "auto: what the GPUs' instances do not bring; included, an entry, or such as 0.08USD/GB-month"},
    {.path = "prices.zones", .type = KEY_TEXT, .fallback = "auto", .offset = AT(prices.zones),
     .needs = "prices.inter_zone_ratio",
     .help = "bytes between zones: auto, an entry, or such as 0.02USD/GB"},
    {.path = "prices.regions", .type = KEY_TEXT, .fallback = "auto", .offset = AT(prices.regions),
     .needs = "prices.inter_region_ratio or regions.names",
     .help = "bytes between regions: auto, an entry, or such as 0.02USD/GB"},
    {.path = "prices.inter_zone_ratio", .type = KEY_RATIO, .fallback = "0",
     .offset = AT(prices.inter_zone_ratio), .most = 1,
     .help = "of the bytes to and from Redis that change zone; 2/3 where three share them evenly"},
    {.path = "prices.inter_region_ratio", .type = KEY_RATIO, .fallback = "0",
     .offset = AT(prices.inter_region_ratio), .most = 1,
     .help = "of the bytes to and from Redis that change region"},
    {.path = "prices.whole_instances", .type = KEY_BOOL, .fallback = "false",
     .offset = AT(prices.whole_instances), .help = "GPUs are rented in instances of the price's size"},
    {.path = "prices.equal_slo", .type = KEY_BOOL, .fallback = "false",
     .offset = AT(prices.equal_slo),
     .help = "search how many engines without cache are as fast, which costs some runs more"},
    {.path = "claim.says", .type = KEY_TEXT, .offset = AT(claim.says),
     .help = "what somebody states; `kvtwin claims` puts the computed number beside it"},
    {.path = "claim.source", .type = KEY_TEXT, .offset = AT(claim.source), .help = "who does, and where"},
    {.path = "claim.measure", .type = KEY_TEXT, .offset = AT(claim.measure),
     .help = "of this scenario, such as ttft or kv-bytes"},
    {.path = "claim.value", .type = KEY_TEXT, .offset = AT(claim.value), .help = "the number, with its unit"},
    {.path = "claim.unknown", .type = KEY_TEXT, .offset = AT(claim.unknown),
     .help = "what nobody says, and what moves the result most"},
    {.path = "claim.entry", .type = KEY_TEXT, .offset = AT(claim.entry),
     .help = "of the catalogue, for measures that are about one"},
    {.path = "claim.query", .type = KEY_TEXT, .offset = AT(claim.query), .help = "a text, and"},
    {.path = "claim.candidate", .type = KEY_TEXT, .offset = AT(claim.candidate),
     .help = "one that it is compared with"},
    {.path = "claim.tokens", .type = KEY_COUNT, .fallback = "none", .offset = AT(claim.tokens),
     .least = 1, .most = u32, .word = "none", .help = "length of the context it is about"},
    {.path = "claim.count", .type = KEY_COUNT, .fallback = "none", .offset = AT(claim.count),
     .least = 1, .most = u53, .word = "none", .help = "how many, where it is about many"},
    {.path = "claim.bytes", .type = KEY_CAPACITY, .fallback = "auto", .offset = AT(claim.bytes),
     .help = "how much, where it is about an amount"},
    {.path = "claim.tolerance", .type = KEY_RATIO, .fallback = "10%", .offset = AT(claim.tolerance),
     .most = 10, .help = "how far off still counts as right"},
};

static const struct scenario_key tier_keys[] = {
    {.path = "enabled", .type = KEY_BOOL, .fallback = "true", .offset = TIER_AT(enabled),
     .kinds = EACH | PEER, .help = "false: as if the tier were not listed"},
    {.path = "capacity", .type = KEY_CAPACITY, .offset = TIER_AT(capacity), .kinds = EACH,
     .help = "per engine (redis: of all nodes); auto: what the hardware leaves (gpu, redis)"},
    {.path = "ttl", .type = KEY_DURATION, .fallback = "none", .offset = TIER_AT(ttl_ns), .least = 1,
     .kinds = EACH, .word = "none", .word_value = KVT_NEVER, .help = "life of a block"},
    {.path = "ttl_refresh", .type = KEY_BOOL, .fallback = "false", .offset = TIER_AT(ttl_refresh),
     .kinds = EACH, .needs = "ttl", .help = "a hit starts the life anew"},
    {.path = "evict", .type = KEY_CHOICE, .fallback = "lru", .offset = TIER_AT(evict),
     .kinds = EACH, .names = evictions, .help = "which block leaves when room is short"},
    {.path = "prefix_closed", .type = KEY_CHOICE, .fallback = "auto",
     .offset = TIER_AT(prefix_closed), .kinds = EACH, .names = closings,
     .help = "leaves first: no block leaves before those that follow it; auto: where core decides"},
    {.path = "evict_small", .type = KEY_RATIO, .fallback = "auto", .offset = TIER_AT(evict_small),
     .least = 1e-6, .most = 1, .word = "auto", .kinds = EACH, .needs = "evict",
     .help = "s3-fifo: small queue; w-tinylfu: window; share of the room"},
    {.path = "evict_ghost", .type = KEY_RATIO, .fallback = "auto", .offset = TIER_AT(evict_ghost),
     .least = 1e-6, .most = 100, .word = "auto", .kinds = EACH, .needs = "evict",
     .help = "s3-fifo: ghosts remembered; share of the room"},
    {.path = "evict_protected", .type = KEY_RATIO, .fallback = "auto",
     .offset = TIER_AT(evict_protected), .least = 1e-6, .most = 1, .word = "auto", .kinds = EACH,
     .needs = "evict", .help = "w-tinylfu: protected share of the main space"},
    {.path = "evict_threshold", .type = KEY_COUNT, .fallback = "auto",
     .offset = TIER_AT(evict_threshold), .least = 1, .most = 255, .word = "auto", .kinds = EACH,
     .needs = "evict", .help = "s3-fifo: uses that lead from the small queue to the main one"},
    {.path = "evict_warm_up", .type = KEY_CHOICE, .fallback = "small",
     .offset = TIER_AT(evict_warm_up), .names = warm_ups, .kinds = EACH, .needs = "evict",
     .help = "s3-fifo: main: until the first eviction, what the small queue has no room for"},
    {.path = "touch", .type = KEY_CHOICE, .fallback = "leaf", .offset = TIER_AT(touch),
     .kinds = GPU, .names = touches, .help = "which end of a prompt is touched first"},
    {.path = "write", .type = KEY_CHOICE, .fallback = "through", .offset = TIER_AT(write),
     .kinds = BELOW, .names = writes, .help = "through: as soon as computed; back: when it leaves the GPU; selective: once used often"},
    {.path = "write_after", .type = KEY_COUNT, .fallback = "2", .offset = TIER_AT(write_after),
     .least = 1, .most = 200, .kinds = BELOW, .needs = "write",
     .help = "write: selective: stored from so many uses on, the first one counted"},
    {.path = "fill_loaded", .type = KEY_BOOL, .fallback = "false", .offset = TIER_AT(fill_loaded),
     .kinds = BELOW, .help = "what was loaded from a tier farther away is stored here too"},
    {.path = "promote", .type = KEY_BOOL, .fallback = "true", .offset = TIER_AT(promote),
     .kinds = BELOW | PEER, .help = "a hit here is kept on the GPU; false: used once"},
    {.path = "exclusive", .type = KEY_BOOL, .fallback = "false", .offset = TIER_AT(exclusive),
     .kinds = BELOW, .help = "a hit here moves to the GPU; needs write: back"},
    {.path = "codec", .type = KEY_LIST, .fallback = "none", .offset = TIER_AT(codec),
     .kinds = BELOW, .help = "chain of codecs; see `kvtwin catalog`"},
    {.path = "codec_cores", .type = KEY_COUNT, .fallback = "16", .offset = TIER_AT(codec_cores),
     .least = 1, .most = 1024, .kinds = BELOW, .help = "CPU cores per engine for the codec"},
    {.path = "probe", .type = KEY_BOOL, .fallback = "false", .offset = TIER_AT(probe),
     .kinds = BELOW, .help = "ask before loading"},
    {.path = "node", .type = KEY_TEXT, .fallback = "cache.r7g.16xlarge", .offset = TIER_AT(node),
     .kinds = REDIS, .help = "type of a Redis node; see `kvtwin catalog`"},
    {.path = "server", .type = KEY_TEXT, .fallback = "redis", .offset = TIER_AT(server),
     .kinds = REDIS, .help = "server software; see `kvtwin catalog`"},
    {.path = "client", .type = KEY_TEXT, .fallback = "direct", .offset = TIER_AT(client),
     .kinds = REDIS, .help = "what talks to it on an engine; see `kvtwin catalog`"},
    {.path = "nodes", .type = KEY_COUNT, .fallback = "1", .offset = TIER_AT(nodes), .least = 1,
     .most = 1024, .word = "auto", .kinds = REDIS,
     .help = "Redis nodes, replicas included; auto: as many as the capacity takes"},
    {.path = "replicas", .type = KEY_COUNT, .fallback = "0", .offset = TIER_AT(replicas), .most = 1,
     .kinds = REDIS, .help = "1: half of the nodes hold copies, which halves the room"},
    {.path = "failover", .type = KEY_TEXT, .fallback = "sentinel-default",
     .offset = TIER_AT(failover), .kinds = REDIS, .needs = "replicas",
     .help = "how a replica takes over when its primary goes (faults); see `kvtwin catalog`"},
    {.path = "connections", .type = KEY_COUNT, .fallback = "8", .offset = TIER_AT(connections),
     .least = 1, .most = 1024, .kinds = REDIS | PEER,
     .help = "from one engine to one node, or to one other engine"},
    {.path = "manager", .type = KEY_CHOICE, .fallback = "server", .offset = TIER_AT(manager),
     .kinds = REDIS, .names = managers,
     .help = "who decides what leaves: the server (lru), or core, by deleting"},
    {.path = "server_evicts", .type = KEY_BOOL, .fallback = "true",
     .offset = TIER_AT(server_evicts), .kinds = REDIS,
     .help = "allkeys-lru; false: a full node refuses"},
    {.path = "timeout", .type = KEY_DURATION, .fallback = "none", .offset = TIER_AT(timeout_ns),
     .least = 1, .kinds = REDIS, .word = "none", .word_value = KVT_NEVER, .help = "per operation"},
    {.path = "address", .type = KEY_LIST, .fallback = "spawn", .offset = TIER_AT(address),
     .kinds = REDIS,
     .help = "real world: redis://host:port/db, unix:/path, one per primary; spawn: servers of its own"},
    {.path = "layout", .type = KEY_CHOICE, .fallback = "packed", .offset = TIER_AT(layout),
     .kinds = REDIS, .names = layouts, .help = "real world: values of a block, or of K, V and meta per layer"},
    {.path = "depth", .type = KEY_COUNT, .fallback = "2", .offset = TIER_AT(depth), .least = 1,
     .most = 4096, .kinds = REDIS, .help = "real world: values asked for at a time, per connection"},
    {.path = "device", .type = KEY_TEXT, .fallback = "nvme-gen4", .offset = TIER_AT(device),
     .kinds = DISK, .help = "type of a drive; see `kvtwin catalog`"},
    {.path = "devices", .type = KEY_COUNT, .fallback = "1", .offset = TIER_AT(devices), .least = 1,
     .most = 64, .kinds = DISK, .help = "drives per engine"},
    {.path = "folder", .type = KEY_TEXT, .offset = TIER_AT(folder), .kinds = DISK,
     .help = "real world: where files go; without it a temporary one, which is removed"},
    {.path = "sync", .type = KEY_CHOICE, .fallback = "none", .offset = TIER_AT(sync), .kinds = DISK,
     .names = syncs, .help = "real world: what is on the medium before a file is published"},
    {.path = "direct", .type = KEY_BOOL, .fallback = "false", .offset = TIER_AT(direct),
     .kinds = DISK, .help = "real world: past the page cache, where the file system can"},
    {.path = "keep", .type = KEY_BOOL, .fallback = "false", .offset = TIER_AT(keep), .kinds = DISK,
     .help = "real world: files stay when the run is over"},
};

/* clang-format on */

enum { PLAIN_KEYS = sizeof plain_keys / sizeof plain_keys[0] };

_Static_assert(PLAIN_KEYS + WL_PARAMS + 1 <= SCENARIO_KEYS_MOST, "room for values");
_Static_assert(sizeof tier_keys / sizeof tier_keys[0] <= SCENARIO_TIER_KEYS_MOST,
               "room for values");

/* plain_keys with the generators' keys put in, whose table is that of workload/generate.h. */
static struct {
    struct scenario_key keys[SCENARIO_KEYS_MOST];
    char paths[WL_PARAMS + 2][64];
    size_t n;
} all;

static void add_generator_key(size_t param, const char *name, const char *help)
{
    char *path = all.paths[param];
    snprintf(path, sizeof all.paths[0], "workload.generate.%s", name);
    all.keys[all.n++] =
        (struct scenario_key){.path = path, .type = KEY_GENERATE, .offset = param, .help = help};
}

const struct scenario_key *scenario_keys(size_t *n)
{
    *n = all.n;
    if (all.n > 0)
        return all.keys;
    for (size_t i = 0; i < PLAIN_KEYS; i++) {
        if (plain_keys[i].type != KEY_GENERATE) {
            all.keys[all.n++] = plain_keys[i];
            continue;
        }
        add_generator_key(SCENARIO_GENERATE_KIND, "kind", "chat, agent, rag or zipf-tree");
        add_generator_key(SCENARIO_GENERATE_ARRIVALS, "arrivals",
                          "poisson, gamma(cv=2), diurnal(amplitude=0.8,period=24h) or constant");
        for (size_t p = 0; p < WL_PARAMS; p++)
            add_generator_key(p, wl_generate_keys[p].name, wl_generate_keys[p].help);
    }
    *n = all.n;
    return all.keys;
}

const struct scenario_key *scenario_tier_keys(size_t *n)
{
    for (size_t i = 0; !evictions[i] && kvt_evict_all[i]; i++)
        evictions[i] = kvt_evict_all[i]->name;
    *n = sizeof tier_keys / sizeof tier_keys[0];
    return tier_keys;
}

static const char *tier_fallback(const struct scenario_key *key, enum kvt_tier_kind tier)
{
    static const char *const capacities[KVT_TIERS] = {
        [KVT_GPU] = "auto", [KVT_HOST] = "256GiB", [KVT_REDIS] = "auto", [KVT_DISK] = "4TiB"};
    if (key->type == KEY_CAPACITY)
        return capacities[tier];
    /* A server that evicts by itself is asked first: core's directory of it is a hint. */
    if (strcmp(key->path, "probe") == 0 && tier == KVT_REDIS)
        return "true";
    return key->fallback;
}

const char *scenario_text(const struct scenario *s, const struct scenario_key *key,
                          const struct scenario_value *value, enum kvt_tier_kind tier)
{
    if (value->text || key->type == KEY_LATER)
        return value->text;
    if (tier != KVT_TIERS)
        return tier_fallback(key, tier);
    if (key->type != KEY_GENERATE)
        return key->fallback;
    if (key->offset == SCENARIO_GENERATE_KIND)
        return wl_kind_name(WL_CHAT);
    if (key->offset == SCENARIO_GENERATE_ARRIVALS)
        return "poisson";
    return wl_generate_keys[key->offset].fallback[s->workload.generate.kind];
}
