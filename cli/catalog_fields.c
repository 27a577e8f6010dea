/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * catalog_fields.c - the keys of the catalogue: what stands in which file, in which unit.
 *
 * Rows stand in the order in which `kvtwin catalog NAME` prints them.
 */
#include "catalog.h"

#define VALUE(type, key, member, unit, help)                                                       \
    {                                                                                              \
        key, CATALOG_VALUE, CATALOG_##unit, true, offsetof(struct type, member), help              \
    }
#define MAYBE(type, key, member, unit, help)                                                       \
    {                                                                                              \
        key, CATALOG_VALUE, CATALOG_##unit, false, offsetof(struct type, member), help             \
    }
#define CURVE(type, key, member, unit, help)                                                       \
    {                                                                                              \
        key, CATALOG_CURVE, CATALOG_##unit, true, offsetof(struct type, member), help              \
    }
#define STRING(type, key, member, required, help)                                                  \
    {                                                                                              \
        key, CATALOG_STRING, CATALOG_COUNT, required, offsetof(struct type, member), help          \
    }
#define NAMED(type)                                                                                \
    STRING(type, "name", name, true, "as scenarios call it"),                                      \
        STRING(type, "title", title, true, "as people call it")

static const struct catalog_field gpu_fields[] = {
    NAMED(catalog_gpu),
    STRING(catalog_gpu, "host", host, true, "usual host, an entry of hosts.yaml"),
    VALUE(catalog_gpu, "memory", memory_b, BYTES, "device memory"),
    VALUE(catalog_gpu, "hbm", hbm_bps, BANDWIDTH, "memory bandwidth, data sheet"),
    VALUE(catalog_gpu, "bf16", bf16_flops, FLOPS, "dense bf16/fp16 peak"),
    MAYBE(catalog_gpu, "fp8", fp8_flops, FLOPS, "dense fp8 peak"),
    MAYBE(catalog_gpu, "nvlink", nvlink_bps, BANDWIDTH, "per direction"),
    MAYBE(catalog_gpu, "inter_node", inter_node_bps, BANDWIDTH, "per GPU between nodes"),
    VALUE(catalog_gpu, "all_reduce", all_reduce_bps, BANDWIDTH, "all-reduce bus bandwidth"),
    VALUE(catalog_gpu, "all_reduce_latency", all_reduce_latency_ns, DURATION, "small all-reduce"),
    VALUE(catalog_gpu, "weight_efficiency", weight_efficiency, RATIO, "of hbm, streaming weights"),
    VALUE(catalog_gpu, "kv_efficiency", kv_efficiency, RATIO, "of hbm, reading KV in decode"),
    CURVE(catalog_gpu, "mfu", mfu, RATIO, "share of the peak that long prefills reach"),
    CURVE(catalog_gpu, "mfu_half_tokens", mfu_half_tokens, NUMBER, "n0 of mfu * n / (n + n0)"),
    VALUE(catalog_gpu, "runtime_memory", runtime_b, BYTES, "context, graphs, fragmentation"),
    CURVE(catalog_gpu, "nccl_memory", nccl_b, BYTES, "NCCL buffers"),
    MAYBE(catalog_gpu, "tdp_w", tdp_w, NUMBER, "watts"),
};

static const struct catalog_field model_fields[] = {
    NAMED(catalog_model),
    VALUE(catalog_model, "params", params, NUMBER, "all parameters"),
    MAYBE(catalog_model, "active_params", active_params, NUMBER, "used per token, if not all"),
    VALUE(catalog_model, "layers", layers, COUNT, ""),
    VALUE(catalog_model, "hidden", hidden, COUNT, "hidden size"),
    VALUE(catalog_model, "heads", heads, COUNT, "query heads"),
    VALUE(catalog_model, "kv_heads", kv_heads, COUNT, "key and value heads"),
    VALUE(catalog_model, "head_dim", head_dim, COUNT, "size of one head"),
    VALUE(catalog_model, "intermediate", intermediate, COUNT, "gated MLP width of dense layers"),
    VALUE(catalog_model, "vocabulary", vocabulary, COUNT, ""),
    VALUE(catalog_model, "tied_embeddings", tied_embeddings, COUNT, "1: head = input embedding"),
    MAYBE(catalog_model, "experts", experts, COUNT, "routed experts per layer"),
    MAYBE(catalog_model, "experts_per_token", experts_per_token, COUNT, ""),
    MAYBE(catalog_model, "expert_intermediate", expert_intermediate, COUNT, "MLP width of one"),
    MAYBE(catalog_model, "shared_intermediate", shared_intermediate, COUNT, "of shared experts"),
    MAYBE(catalog_model, "dense_layers", dense_layers, COUNT, "leading layers without experts"),
    MAYBE(catalog_model, "window", window_tokens, COUNT, "tokens that local layers see"),
    MAYBE(catalog_model, "window_layers", window_layers, COUNT, "local layers"),
    MAYBE(catalog_model, "latent_dim", latent_dim, COUNT, "MLA: cached elements per layer"),
    MAYBE(catalog_model, "latent_value_dim", latent_value_dim, COUNT, "MLA: of them the value"),
    MAYBE(catalog_model, "query_latent_dim", query_latent_dim, COUNT, "MLA: query compression"),
    MAYBE(catalog_model, "query_key_dim", query_key_dim, COUNT, "MLA: per head"),
    MAYBE(catalog_model, "value_dim", value_dim, COUNT, "MLA: per head"),
    VALUE(catalog_model, "weight_bits", weight_bits, NUMBER, "per parameter"),
    MAYBE(catalog_model, "expert_weight_bits", expert_weight_bits, NUMBER, "if not as the rest"),
    VALUE(catalog_model, "kv_bits", kv_bits, NUMBER, "per cached element"),
    VALUE(catalog_model, "context", context_tokens, COUNT, "longest context, tokens"),
};

static const struct catalog_field link_fields[] = {
    NAMED(catalog_link),
    VALUE(catalog_link, "bandwidth", bandwidth_bps, BANDWIDTH, "goodput, each direction"),
    VALUE(catalog_link, "round_trip", round_trip_ns, DURATION, "idle"),
    VALUE(catalog_link, "connection", connection_bps, BANDWIDTH, "cap of one flow"),
};

static const struct catalog_field host_fields[] = {
    NAMED(catalog_host),
    VALUE(catalog_host, "h2d", h2d_bps, BANDWIDTH, "host to device, per GPU"),
    VALUE(catalog_host, "d2h", d2h_bps, BANDWIDTH, "device to host, per GPU"),
    VALUE(catalog_host, "node", node_bps, BANDWIDTH, "all GPUs of a node together"),
    VALUE(catalog_host, "copy_latency", copy_latency_ns, DURATION, "start of a copy"),
    VALUE(catalog_host, "memcpy", memcpy_bps, BANDWIDTH, "one thread in main memory"),
    MAYBE(catalog_host, "staging", staging, COUNT, "threads per GPU that stage; 0: no copy"),
    MAYBE(catalog_host, "workers", workers, COUNT, "threads that copy, code, read and write files"),
    MAYBE(catalog_host, "cores", cores, COUNT, "that workers and servers share"),
    MAYBE(catalog_host, "worker_cores", worker_cores, NUMBER,
          "what all workers get done, in cores"),
    MAYBE(catalog_host, "file_cores", file_cores, NUMBER, "the same where they move files"),
    MAYBE(catalog_host, "fill", fill_bps, BANDWIDTH, "one worker that fills pages for a GPU"),
};

static const struct catalog_field variation_fields[] = {
    NAMED(catalog_variation),
    VALUE(catalog_variation, "p1", quantile[0], NUMBER, "time / usual time"),
    VALUE(catalog_variation, "p5", quantile[1], NUMBER, ""),
    VALUE(catalog_variation, "p10", quantile[2], NUMBER, ""),
    VALUE(catalog_variation, "p25", quantile[3], NUMBER, ""),
    VALUE(catalog_variation, "p50", quantile[4], NUMBER, ""),
    VALUE(catalog_variation, "p75", quantile[5], NUMBER, ""),
    VALUE(catalog_variation, "p90", quantile[6], NUMBER, ""),
    VALUE(catalog_variation, "p95", quantile[7], NUMBER, ""),
    VALUE(catalog_variation, "p99", quantile[8], NUMBER, ""),
};

static const struct catalog_field redis_node_fields[] = {
    NAMED(catalog_redis_node),
    VALUE(catalog_redis_node, "memory", memory_b, BYTES, "of the node"),
    VALUE(catalog_redis_node, "usable", usable_ratio, RATIO, "left by reserved memory"),
    VALUE(catalog_redis_node, "nic", nic_bps, BANDWIDTH, "baseline, each direction"),
};

static const struct catalog_field redis_server_fields[] = {
    NAMED(catalog_redis_server),
    VALUE(catalog_redis_server, "process", process_bps, BANDWIDTH, "large values, one process"),
    MAYBE(catalog_redis_server, "process_write", process_write_bps, BANDWIDTH,
          "the same, written; left out: as process"),
    MAYBE(catalog_redis_server, "get_share", get_share, NUMBER,
          "work of the server beside the client's, GET; hosts with workers only"),
    MAYBE(catalog_redis_server, "set_share", set_share, NUMBER, "the same, SET"),
    MAYBE(catalog_redis_server, "connection", connection_ns, DURATION,
          "each connection of a question but the first; hosts with workers only"),
    VALUE(catalog_redis_server, "command", command_ns, DURATION, "CPU per command"),
    VALUE(catalog_redis_server, "key_overhead", key_overhead_b, BYTES, "per key"),
    VALUE(catalog_redis_server, "samples", samples, COUNT, "maxmemory-samples"),
};

static const struct catalog_field redis_client_fields[] = {
    NAMED(catalog_redis_client),
    VALUE(catalog_redis_client, "rank", rank_bps, BANDWIDTH, "one process, there is one per GPU"),
};

static const struct catalog_field redis_failover_fields[] = {
    NAMED(catalog_redis_failover),
    VALUE(catalog_redis_failover, "detect", detect_ns, DURATION, "unreachable for so long"),
    VALUE(catalog_redis_failover, "ping", ping_ns, DURATION, "noticed up to so much later"),
    VALUE(catalog_redis_failover, "quorum", quorum_ns, DURATION, "others agree"),
    VALUE(catalog_redis_failover, "elect", elect_ns, DURATION, "who acts"),
    VALUE(catalog_redis_failover, "promote", promote_ns, DURATION, "replica, then clients"),
};

static const struct catalog_field disk_fields[] = {
    NAMED(catalog_disk),
    VALUE(catalog_disk, "read", read_bps, BANDWIDTH, "one device"),
    VALUE(catalog_disk, "write", write_bps, BANDWIDTH, "one device"),
    VALUE(catalog_disk, "read_latency", read_latency_ns, DURATION, ""),
    VALUE(catalog_disk, "write_latency", write_latency_ns, DURATION, ""),
    VALUE(catalog_disk, "channels", channels, COUNT, "commands served at one time"),
};

static const struct catalog_field codec_fields[] = {
    NAMED(catalog_codec),
    VALUE(catalog_codec, "ratio", ratio, NUMBER, "raw / stored on bf16 KV"),
    MAYBE(catalog_codec, "ratio_fp16", ratio_fp16, NUMBER, "on fp16 KV"),
    MAYBE(catalog_codec, "ratio_int8", ratio_int8, NUMBER, "after int8"),
    VALUE(catalog_codec, "encode", encode_bps, BANDWIDTH, "uncompressed, per core"),
    VALUE(catalog_codec, "decode", decode_bps, BANDWIDTH, "uncompressed, per core"),
};

static const struct catalog_field stack_fields[] = {
    NAMED(catalog_stack),
    CURVE(catalog_stack, "step", step_ns, DURATION, "host time per iteration"),
    VALUE(catalog_stack, "request", request_ns, DURATION, "and per request in it"),
    VALUE(catalog_stack, "frontend", frontend_ns, DURATION, "per request, outside the engine"),
    VALUE(catalog_stack, "tokenise", tokenise_ns, DURATION, "per prompt token"),
    VALUE(catalog_stack, "hash", hash_ns, DURATION, "per prompt token"),
    VALUE(catalog_stack, "memory_ratio", memory_ratio, RATIO, "of GPU memory, default"),
    VALUE(catalog_stack, "batch_tokens", batch_tokens, COUNT, "per iteration, default"),
    VALUE(catalog_stack, "batch_requests", batch_requests, COUNT, "at one time, default"),
};

static const struct catalog_field price_fields[] = {
    NAMED(catalog_price),
    MAYBE(catalog_price, "price", usd_per_h, PRICE, "on demand, list"),
    MAYBE(catalog_price, "stored", usd_per_gb_month, STORED, "decimal GB, month of 730 hours"),
    MAYBE(catalog_price, "moved", usd_per_gb, MOVED, "decimal GB"),
    STRING(catalog_price, "kind", kind, true, "gpu, redis, memory, disk or transfer"),
    STRING(catalog_price, "region", region, true, "where it holds"),
    {"date", CATALOG_STRING, CATALOG_DAY, true, offsetof(struct catalog_price, date),
     "the day on which the list stood so"},
    STRING(catalog_price, "gpu", gpu, false, "an entry of gpus.yaml"),
    STRING(catalog_price, "redis_node", redis_node, false, "an entry of redis.yaml"),
    STRING(catalog_price, "software", software, false, "on it: redis, valkey or self"),
    MAYBE(catalog_price, "gpus", gpus, COUNT, "in the instance"),
    MAYBE(catalog_price, "memory", memory_b, BYTES, "of the instance"),
    MAYBE(catalog_price, "local_disk", local_disk_b, BYTES, "of the instance"),
};

#define SECTION(list, noun_, file_, type, rows)                                                    \
    .key = #list, .noun = (noun_), .file = (file_), .offset = offsetof(struct catalog, list),      \
    .entry_size = sizeof(struct type), .fields = (rows),                                           \
    .n_fields = sizeof(rows) / sizeof(rows)[0]

static const struct catalog_section sections[] = {
    {SECTION(gpus, "gpu", "gpus.yaml", catalog_gpu, gpu_fields)},
    {SECTION(models, "model", "models.yaml", catalog_model, model_fields)},
    {SECTION(links, "link", "links.yaml", catalog_link, link_fields)},
    {SECTION(hosts, "host", "hosts.yaml", catalog_host, host_fields)},
    {SECTION(variations, "variation", "hosts.yaml", catalog_variation, variation_fields),
     .optional = true},
    {SECTION(redis_nodes, "Redis node", "redis.yaml", catalog_redis_node, redis_node_fields)},
    {SECTION(redis_servers, "Redis server", "redis.yaml", catalog_redis_server,
             redis_server_fields)},
    {SECTION(redis_clients, "Redis client", "redis.yaml", catalog_redis_client,
             redis_client_fields)},
    {SECTION(redis_failovers, "Redis failover", "redis.yaml", catalog_redis_failover,
             redis_failover_fields)},
    {SECTION(disks, "disk", "disks.yaml", catalog_disk, disk_fields)},
    {SECTION(codecs, "codec", "codecs.yaml", catalog_codec, codec_fields)},
    {SECTION(stacks, "serving stack", "stacks.yaml", catalog_stack, stack_fields)},
    {SECTION(prices, "price", "prices.yaml", catalog_price, price_fields)},
};

const struct catalog_section *catalog_sections(size_t *n)
{
    *n = sizeof sections / sizeof *sections;
    return sections;
}
