/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * catalog.h - the catalogue: GPUs, models, links, Redis nodes, disks, codecs, serving stacks,
 * prices.
 *
 * Every number of scenarios/catalog/ carries its unit and its source, and both stay beside it in
 * memory: a struct catalog_value is the number in the unit of the member's name, and where it comes
 * from. A value that an entry leaves out has text NULL and number 0.
 *
 * One table per section (catalog_fields.c) names the keys with their units; it makes libcyaml's
 * schema, it parses the texts, and `kvtwin catalog` prints by it. To add a key: a member here, a
 * row there.
 *
 * Prices also carry region and date; catalog_prices.c checks them and finds the one that a scenario
 * pays.
 *
 * Evidence tags: S read in the source, D derived from sourced numbers, M measured by this project,
 * C commonly known but without a source to cite.
 */
#ifndef CLI_CATALOG_H
#define CLI_CATALOG_H

#include "../core/types.h"

struct catalog_value {
    double
        number; /* in the unit that the member's name ends in; no suffix: a plain number or count */
    char *text; /* as the file has it, with its unit; NULL: left out */
    char *source;   /* never NULL or empty where text is not */
    char *evidence; /* "S", "D", "M" or "C" */
};

/* A value that depends on the tensor parallel degree: points with ascending tp. */
struct catalog_point {
    uint32_t tp;
    struct catalog_value value;
};
struct catalog_curve {
    struct catalog_point *points;
    uint32_t n;
};

struct catalog_gpu {
    char *name, *title;
    char *host; /* name of a catalog_host: what it is usually plugged into */
    struct catalog_value memory_b, hbm_bps;
    struct catalog_value bf16_flops, fp8_flops; /* dense; fp8 may be left out */
    struct catalog_value nvlink_bps;            /* per direction; left out: PCIe only */
    struct catalog_value inter_node_bps;        /* per GPU */
    struct catalog_value all_reduce_bps;        /* bus bandwidth; left out: PCIe limits */
    struct catalog_value all_reduce_latency_ns;
    struct catalog_value weight_efficiency, kv_efficiency;
    struct catalog_curve mfu, mfu_half_tokens;
    struct catalog_value runtime_b; /* context, graphs, fragmentation */
    struct catalog_curve nccl_b;
    struct catalog_value tdp_w;
};

struct catalog_model {
    char *name, *title;
    struct catalog_value params, active_params;
    struct catalog_value layers, hidden, heads, kv_heads, head_dim, intermediate, vocabulary;
    struct catalog_value tied_embeddings; /* 1: the output head is the input embedding */
    struct catalog_value experts, experts_per_token, expert_intermediate, shared_intermediate;
    struct catalog_value dense_layers;                 /* leading layers without experts */
    struct catalog_value window_tokens, window_layers; /* sliding window */
    struct catalog_value latent_dim, latent_value_dim; /* MLA: cached elements; of them value */
    struct catalog_value query_latent_dim;             /* MLA: query compression */
    struct catalog_value query_key_dim, value_dim;     /* MLA: per head, decompressed */
    struct catalog_value weight_bits, expert_weight_bits, kv_bits;
    struct catalog_value context_tokens;
};

struct catalog_link {
    char *name, *title;
    struct catalog_value bandwidth_bps; /* goodput, each direction */
    struct catalog_value round_trip_ns;
    struct catalog_value connection_bps; /* one TCP flow */
};

struct catalog_host {
    char *name, *title;
    struct catalog_value h2d_bps, d2h_bps; /* per GPU */
    struct catalog_value node_bps;         /* all GPUs of a node together */
    struct catalog_value copy_latency_ns;
    struct catalog_value memcpy_bps; /* one thread */
    struct catalog_value staging; /* threads per GPU that copy what was received into pinned memory;
                                        0: it lands there; left out: 1 */
    /* One machine that does everything itself (sim/config.h, struct sim_machine). workers left out:
     * it does not, and the rest is of no use. */
    struct catalog_value workers, cores, worker_cores, file_cores, fill_bps;
};

/* How times of one kind of work on a host spread about the usual: quantiles of time / usual time.
 * Its name is the host's, a dash, and the kind: "local-get". */
struct catalog_variation {
    char *name, *title;
    struct catalog_value quantile[9]; /* at sim_quantile_at (sim/vary.h) */
};

struct catalog_redis_node {
    char *name, *title;
    struct catalog_value memory_b, usable_ratio, nic_bps;
};

/* The software on an engine that talks to Redis. */
struct catalog_redis_client {
    char *name, *title;
    struct catalog_value rank_bps; /* most that one process of it moves; a process per GPU */
};

/* Timers and steps between the death of a primary and the first command that its replica takes. */
struct catalog_redis_failover {
    char *name, *title;
    struct catalog_value detect_ns;  /* unreachable for so long: down-after, node-timeout */
    struct catalog_value ping_ns;    /* the clock of detect starts up to so much later */
    struct catalog_value quorum_ns;  /* others are asked, or gossip spreads */
    struct catalog_value elect_ns;   /* one of them, or a replica, is chosen to act */
    struct catalog_value promote_ns; /* the replica turns primary, clients are told */
};

struct catalog_redis_server {
    char *name, *title;
    struct catalog_value process_bps, command_ns, key_overhead_b, samples;
    struct catalog_value process_write_bps; /* left out: as process_bps */
    struct catalog_value get_share,
        set_share; /* of the client's work on a value, the server's at that time */
    struct catalog_value connection_ns; /* of a question: each connection but the first */
};

struct catalog_disk {
    char *name, *title;
    struct catalog_value read_bps, write_bps, read_latency_ns, write_latency_ns, channels;
};

/* A step of a codec chain. Rates count uncompressed bytes, per core. Ratio = raw / stored. */
struct catalog_codec {
    char *name, *title;
    struct catalog_value ratio;      /* on 16-bit KV as bf16 */
    struct catalog_value ratio_fp16; /* on fp16 KV; left out: as ratio */
    struct catalog_value ratio_int8; /* after int8 quantisation; left out: as ratio */
    struct catalog_value encode_bps, decode_bps;
};

struct catalog_stack {
    char *name, *title;
    struct catalog_curve step_ns;     /* host time of an iteration that the GPUs wait for */
    struct catalog_value request_ns;  /* on top, per request in the iteration */
    struct catalog_value frontend_ns; /* per request, before and after the engine */
    struct catalog_value tokenise_ns, hash_ns; /* per prompt token */
    struct catalog_value memory_ratio;         /* of GPU memory that the stack takes by default */
    struct catalog_value batch_tokens, batch_requests; /* its defaults */
};

/* Exactly one of usd_per_h, usd_per_gb_month, usd_per_gb is there. prices.yaml says what the kinds
 * are. */
struct catalog_price {
    char *name, *title;
    char *kind;          /* "gpu", "redis", "memory", "disk", "transfer" */
    char *region, *date; /* "us-east-1"; "2026-11-09" */
    char *gpu;           /* name of a catalog_gpu, or NULL */
    char *redis_node;    /* name of a catalog_redis_node, or NULL */
    char *software;      /* "redis", "valkey", "self"; NULL without redis_node */
    struct catalog_value gpus, memory_b, local_disk_b; /* of the instance */
    struct catalog_value usd_per_h, usd_per_gb_month, usd_per_gb;
};

#define CATALOG_LIST(type)                                                                         \
    struct {                                                                                       \
        struct type *entries;                                                                      \
        uint32_t n;                                                                                \
    }

struct catalog {
    CATALOG_LIST(catalog_gpu) gpus;
    CATALOG_LIST(catalog_model) models;
    CATALOG_LIST(catalog_link) links;
    CATALOG_LIST(catalog_host) hosts;
    CATALOG_LIST(catalog_variation) variations;
    CATALOG_LIST(catalog_redis_node) redis_nodes;
    CATALOG_LIST(catalog_redis_server) redis_servers;
    CATALOG_LIST(catalog_redis_client) redis_clients;
    CATALOG_LIST(catalog_redis_failover) redis_failovers;
    CATALOG_LIST(catalog_disk) disks;
    CATALOG_LIST(catalog_codec) codecs;
    CATALOG_LIST(catalog_stack) stacks;
    CATALOG_LIST(catalog_price) prices;
};

/* Reads every file of the catalogue in folder. Returns 0, or a negative errno with one line
 * (`file:line: key: what was expected`) in error and *catalog NULL. Caller frees with catalog_free. */
KVT_MUST_CHECK int catalog_load(struct catalog **catalog, const char *folder, char *error,
                                size_t error_size);
void catalog_free(struct catalog *catalog);

/* Lays a profile over the catalogue: a file in its format with any of the sections hosts, links,
 * variations, redis_nodes, redis_servers, disks and codecs (`kvtwin calibrate` writes one). An entry replaces
 * the one of its name whole, or is added. Several profiles may follow one another. Returns 0, or a
 * negative errno with one line in error; then the catalogue is as it was. */
KVT_MUST_CHECK int catalog_overlay(struct catalog *catalog, const char *path, char *error,
                                   size_t error_size);

/* Look an entry up by name. NULL when there is none, and then error holds what was expected:
 * "expected a gpu of the catalogue, did you mean a100-80g-sxm?" or the list of names. Borrowed. */
const struct catalog_gpu *catalog_gpu(const struct catalog *c, const char *name, char *error,
                                      size_t error_size);
const struct catalog_model *catalog_model(const struct catalog *c, const char *name, char *error,
                                          size_t error_size);
const struct catalog_link *catalog_link(const struct catalog *c, const char *name, char *error,
                                        size_t error_size);
const struct catalog_host *catalog_host(const struct catalog *c, const char *name, char *error,
                                        size_t error_size);
const struct catalog_variation *catalog_variation(const struct catalog *c, const char *name,
                                                  char *error, size_t error_size);
const struct catalog_redis_node *catalog_redis_node(const struct catalog *c, const char *name,
                                                    char *error, size_t error_size);
const struct catalog_redis_server *catalog_redis_server(const struct catalog *c, const char *name,
                                                        char *error, size_t error_size);
const struct catalog_disk *catalog_disk(const struct catalog *c, const char *name, char *error,
                                        size_t error_size);
const struct catalog_codec *catalog_codec(const struct catalog *c, const char *name, char *error,
                                          size_t error_size);
const struct catalog_stack *catalog_stack(const struct catalog *c, const char *name, char *error,
                                          size_t error_size);
const struct catalog_redis_client *catalog_redis_client(const struct catalog *c, const char *name,
                                                        char *error, size_t error_size);
const struct catalog_redis_failover *
catalog_redis_failover(const struct catalog *c, const char *name, char *error, size_t error_size);
const struct catalog_price *catalog_price(const struct catalog *c, const char *name, char *error,
                                          size_t error_size);

/* The first price of that kind whose gpu (or redis_node and software, NULL: any but "self") is the
 * given one; NULL: any. NULL when there is none. Borrowed. */
const struct catalog_price *catalog_price_of(const struct catalog *c, const char *kind,
                                             const char *gpu, const char *redis_node,
                                             const char *software);

/* Checks what must hold within and between prices. 0, or -EINVAL with one line in error. */
KVT_MUST_CHECK int catalog_check_prices(const struct catalog *c, char *error, size_t error_size);

/* Is it a day of the calendar, "2026-11-09"? */
bool catalog_is_day(const char *text);

/* The value for a tensor parallel degree: of the point with that tp, else of the next smaller
 * one, else of the first. NULL for an empty curve. */
const struct catalog_value *catalog_at(const struct catalog_curve *curve, uint32_t tp);

/* ---- The tables behind it -------------------------------------------------------------------------- */

enum catalog_unit {
    CATALOG_BYTES,     /* B */
    CATALOG_BANDWIDTH, /* B/s */
    CATALOG_DURATION,  /* ns */
    CATALOG_FLOPS,     /* FLOP/s */
    CATALOG_PRICE,     /* USD/h */
    CATALOG_STORED,    /* USD/GB-month */
    CATALOG_MOVED,     /* USD/GB */
    CATALOG_RATIO,     /* 0 < x <= 1 */
    CATALOG_NUMBER,    /* >= 0 */
    CATALOG_COUNT,     /* whole, >= 0 */
    CATALOG_DAY        /* of strings: a date, 2026-11-09 */
};

enum catalog_kind { CATALOG_VALUE, CATALOG_CURVE, CATALOG_STRING };

struct catalog_field {
    const char *key;
    enum catalog_kind kind;
    enum catalog_unit unit; /* of values and curves */
    bool required;
    size_t offset; /* into the entry */
    const char *help;
};

struct catalog_section {
    const char *key;  /* the top-level key of the file: "gpus" */
    const char *noun; /* in messages: "gpu" */
    const char *file; /* "gpus.yaml" */
    size_t offset;    /* of the list in struct catalog: entries pointer, then count */
    size_t entry_size;
    const struct catalog_field *fields;
    size_t n_fields;
    bool optional; /* a file without it is whole */
};

const struct catalog_section *catalog_sections(size_t *n);

/* The entries of a section: first byte of entry i, and how many. Every entry starts with its name. */
const void *catalog_entry(const struct catalog *c, const struct catalog_section *s, uint32_t i);
uint32_t catalog_count(const struct catalog *c, const struct catalog_section *s);

#endif
