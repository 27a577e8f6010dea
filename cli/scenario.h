/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scenario.h - a scenario: the question a run answers, as a file says it and the command line
 * changes it.
 *
 * Life of a value:
 *
 *      file, checked by libcyaml  ->  text with its line  \
 *      --set path=value           ->  text                 >  scenario_type()  ->  typed members below
 *      table of keys              ->  default text        /
 *
 * Values stay text until scenario_type, so a default, a file and --set go through one parser and
 * end in one kind of message. One table (scenario_keys.c) names every key with its type, default
 * and help; it serves the file, --set, --explain and the list of keys in the manual.
 *
 * A tier stands in a list in the file ({kind: gpu, ...}) and under its kind on the command line
 * (cache.tiers.gpu.capacity). --set on a tier that the file leaves out adds it.
 *
 * Messages are one line: `file:line: key: what was expected`, or `--set: key: what was expected`.
 */
#ifndef CLI_SCENARIO_H
#define CLI_SCENARIO_H

#include <stdio.h>

#include "../core/core.h"
#include "../workload/generate.h"
#include "units.h"

#define SCENARIO_ERROR_SIZE 512

enum scenario_dtype { DTYPE_AUTO, DTYPE_BF16, DTYPE_FP16, DTYPE_FP32 };
enum scenario_device { DEVICE_AUTO, DEVICE_HOST, DEVICE_CUDA };
enum scenario_layout { LAYOUT_PACKED, LAYOUT_PER_LAYER };
enum scenario_sync { SYNC_NONE, SYNC_DATA, SYNC_FULL };
enum scenario_write { WRITE_THROUGH, WRITE_BACK, WRITE_SELECTIVE, WRITE_NONE };
enum scenario_closed { CLOSED_AUTO, CLOSED_NO, CLOSED_YES };
enum scenario_world { WORLD_NULL, WORLD_SIM, WORLD_REAL };

struct scenario_workload {
    const char *trace;           /* NULL: generate */
    uint64_t format;             /* enum wl_format */
    uint64_t trace_block_tokens; /* 0: found out */
    double rate_scale;
    uint64_t limit, skip;       /* limit UINT64_MAX: all */
    kvt_ns warmup_ns;           /* requests that arrive before run but are not counted */
    uint64_t max_output_tokens; /* UINT64_MAX: as the trace has it */
    bool tenant_salts;
    uint64_t synth_system_tokens;
    double synth_continues;
    kvt_ns synth_idle_ns;
    struct wl_generate generate;
};

struct scenario_cluster {
    const char *model, *gpu, *host, *network, *stack;
    uint64_t kv_dtype; /* enum scenario_dtype */
    uint64_t engines, gpus_per_engine;
    uint64_t router;                               /* enum kvt_router_kind */
    uint64_t max_batch_tokens, max_batch_requests; /* 0: as the stack has it */
    double gpu_memory_ratio;    /* of GPU memory that the stack may use; 0: as it does */
    uint64_t contiguous_tokens; /* 0: the model's context length */
};

/* What only the real world has: this machine. */
struct scenario_real {
    uint64_t device;  /* enum scenario_device */
    uint64_t threads; /* 0: one per processor */
    bool verify;
    struct units_capacity stage; /* bytes or auto */
};

struct scenario_tier {
    bool listed; /* the file or --set names it */
    bool enabled;
    struct units_capacity capacity;
    kvt_ns ttl_ns; /* KVT_NEVER: none */
    bool ttl_refresh;
    uint64_t evict;                                   /* index into kvt_evict_all */
    uint64_t prefix_closed;                           /* enum scenario_closed */
    uint64_t evict_warm_up;                           /* 1: main */
    double evict_small, evict_ghost, evict_protected; /* 0: as the policy has it */
    uint64_t evict_threshold;                         /* likewise */
    uint64_t write;                                   /* enum scenario_write */
    uint64_t write_after;                             /* WRITE_SELECTIVE: uses */
    bool exclusive, promote, fill_loaded;
    const char *codec; /* comma separated: "fp16,zlib-3"; "none" */
    uint64_t codec_cores;
    bool probe;
    uint64_t touch;       /* enum kvt_touch_order; gpu only */
    const char *node;     /* redis: catalogue name of a node type */
    const char *server;   /* redis: catalogue name of the server software */
    const char *client;   /* redis: and of what talks to it */
    const char *failover; /* redis: catalogue name of how a replica takes over */
    uint64_t nodes, replicas, connections;
    uint64_t manager;   /* redis: enum kvt_manager */
    bool server_evicts; /* redis: evict under maxmemory; else a full node refuses */
    kvt_ns timeout_ns;  /* redis: per operation; KVT_NEVER: none */
    const char *device; /* disk: catalogue name */
    uint64_t devices;   /* disk: drives per engine */
    /* In the real world only: */
    const char *address; /* redis: comma separated, "spawn": servers of our own */
    uint64_t layout;     /* redis: enum scenario_layout */
    uint64_t depth;      /* redis: commands on the way per connection */
    const char *folder;  /* disk: NULL: a temporary one */
    uint64_t sync;       /* disk: enum scenario_sync */
    bool direct, keep;   /* disk */
};

struct scenario_shard {
    uint64_t policy; /* 0: none, else 1 + index into kvt_shard_all */
    uint64_t access; /* enum kvt_shard_access */
    uint64_t replicas, slice_tokens;
    uint64_t rereplicate;   /* 0: auto, 1: true, 2: false */
    uint64_t interleaved;   /* 1: yes */
    uint64_t recent_blocks; /* UINT64_MAX: all */
    uint64_t evict_alone;   /* 1: yes */
    kvt_ns resize_at_ns;    /* KVT_NEVER: never */
    uint64_t resize_gpus;   /* per engine from then on; 0: not said */
};

struct scenario_cache {
    bool enabled;
    uint64_t block_tokens; /* 0: the trace's own */
    uint64_t page_tokens;  /* 0: the block */
    bool match_exact, match_chain, match_radix;
    double approximate_threshold; /* 0: off */
    uint64_t approximate_candidates;
    uint64_t load_or_compute; /* enum kvt_load_choice */
    double load_patience;
    bool single_flight, partial_blocks, recompute_last_token;
    const char *model_epoch;
    uint64_t history_blocks; /* UINT64_MAX: all */
    const char *quotas;      /* comma separated shares, by tenant; "none" */
    struct scenario_shard shard;
    struct scenario_tier tiers[KVT_TIERS];
};

/* A new epoch of the model comes while traffic runs: workload/rollout.h. */
struct scenario_rollout {
    kvt_ns at_ns, every_ns; /* KVT_NEVER: no roll-out; one step */
    double share;
    uint64_t by;      /* enum wl_rollout_by */
    uint64_t warm_up; /* enum wl_warm_up */
    uint64_t blocks;  /* 0: auto; UINT64_MAX: all */
    kvt_ns lead_ns, watch_ns;
    bool drop;
};

/* Engines and traffic in several regions (core/region.h); texts are lists with commas. */
struct scenario_regions {
    const char *names, *share, *engines; /* "none"; "even" */
    const char *link, *bandwidth,
        *connection;      /* an entry of the catalogue; "auto": as that has it */
    kvt_ns round_trip_ns; /* KVT_NEVER: likewise */
    double roam;
    uint64_t policy; /* enum regions_policy */
};

/* Latency that must be met; KVT_NEVER: not asked for. */
struct scenario_slo {
    kvt_ns ttft_p95_ns, tpot_p95_ns;
};

/* Texts: "auto", an entry of the catalogue, or an own price with its unit (cost_prices.c). */
struct scenario_prices {
    const char *gpu, *redis, *host, *disk, *zones, *regions;
    double inter_zone_ratio, inter_region_ratio; /* of the bytes to and from Redis */
    bool whole_instances, equal_slo;
};

/* Something that breaks (faults.h says what that means). Times KVT_NEVER where not given. */
enum scenario_fault_kind {
    FAULT_KILL,
    FAULT_PARTITION,
    FAULT_SLOW,
    FAULT_CORRUPT,
    FAULT_FULL,
    FAULT_KINDS
};

struct scenario_fault {
    uint64_t kind; /* enum scenario_fault_kind */
    char target[40];
    kvt_ns at_ns, for_ns, every_ns;
    double factor, share; /* 0: not given */
    kvt_ns latency_ns;    /* likewise */
};

enum { SCENARIO_FAULTS_MOST = 32 };

/* A number that somebody states about this scenario (claims.h). Texts are NULL where not given. */
struct scenario_claim {
    const char *says, *source, *measure, *value, *unknown;
    const char *entry;             /* of the catalogue, for measures that are about one */
    const char *query, *candidate; /* two texts, for measures that compare some */
    uint64_t tokens, count;        /* how long a context, how many of it; 0: not said */
    struct units_capacity bytes;   /* how much; auto: not said */
    double tolerance;
};

/* Where a value comes from. */
enum scenario_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_SET };

struct scenario_value {
    char *text; /* owned; NULL: the key's default */
    enum scenario_source source;
    uint32_t line; /* SOURCE_FILE */
};

enum { SCENARIO_KEYS_MOST = 160, SCENARIO_TIER_KEYS_MOST = 56 };

struct scenario {
    char *path; /* owned */
    struct scenario_value values[SCENARIO_KEYS_MOST];
    struct scenario_value tier_values[KVT_TIERS][SCENARIO_TIER_KEYS_MOST];
    uint32_t tier_line[KVT_TIERS]; /* of the list entry; 0: not in the file */
    uint32_t fault_line[SCENARIO_FAULTS_MOST];

    /* Typed by scenario_type. Strings are borrowed from the values and live as long as they do. */
    const char *question, *expect;
    uint64_t seed;
    uint64_t world; /* enum scenario_world */
    struct scenario_workload workload;
    struct scenario_cluster cluster;
    struct scenario_real real;
    struct scenario_cache cache;
    struct scenario_rollout rollout;
    struct scenario_regions regions;
    struct scenario_slo slo;
    struct scenario_prices prices;
    struct scenario_claim claim;
    struct scenario_fault faults[SCENARIO_FAULTS_MOST];
    uint32_t n_faults;
};

/* Reads the file and checks its shape and names; values stay text. Returns 0, or a negative
 * errno with one line in error[SCENARIO_ERROR_SIZE] and nothing to release. */
KVT_MUST_CHECK int scenario_load(struct scenario *s, const char *path, char *error);

/* The same for text in memory; path only names it. */
KVT_MUST_CHECK int scenario_load_text(struct scenario *s, const char *path, const char *text,
                                      size_t len, char *error);
void scenario_release(struct scenario *s);

/* Applies one "path=value" of the command line. May follow scenario_load only. */
KVT_MUST_CHECK int scenario_set(struct scenario *s, const char *assignment, char *error);

/* Turns all texts into the typed members and checks each on its own and against the others. Call
 * last; again after a further scenario_set. */
KVT_MUST_CHECK int scenario_type(struct scenario *s, char *error);

/* Writes "file:line: key", "--set: key" or "default: key" for messages about a typed value,
 * found out later
 * (a name that the catalogue lacks, a model that does not fit). key is a path as on the command
 * line. Returns where. */
const char *scenario_where(const struct scenario *s, const char *key, char *where, size_t size);

/* SHA-256 over every key and its resolved text, default or not, as 64 hex digits: equal hashes
 * ask the same question. Returns 0, or -EIO when the digest provider fails. */
KVT_MUST_CHECK int scenario_hash(const struct scenario *s, char hex[65]);

/* ---- The table of keys ----------------------------------------------------------------------------- */

enum scenario_type_kind {
    KEY_TEXT,
    KEY_LIST,   /* of names; a list in the file, commas on the command line */
    KEY_CHOICE, /* one of names[] */
    KEY_COUNT,  /* least .. most; the word in `word` stands for word_value */
    KEY_NUMBER, /* plain, least .. most */
    KEY_RATIO,  /* 0.9 or 90%, least .. most; the word stands for 0 */
    KEY_RATE,   /* per second, above least */
    KEY_BOOL,
    KEY_DURATION, /* kvt_ns; the word stands for KVT_NEVER */
    KEY_CAPACITY,
    KEY_GENERATE, /* of a generator: workload/generate.h reads it; offset is an enum wl_param */
    KEY_FAULTS,   /* of scenario_faults.c */
    KEY_LATER     /* belongs to the format, but this version does not do it: refused by name */
};

/* KEY_GENERATE: what offset says beside the numbers of enum wl_param. */
enum { SCENARIO_GENERATE_KIND = WL_PARAMS, SCENARIO_GENERATE_ARRIVALS };

struct scenario_key {
    const char *path; /* cache.block_tokens; for tiers the name below the tier: capacity */
    enum scenario_type_kind type;
    const char *fallback; /* default text; NULL: none, or not the same for all */
    size_t offset;        /* into struct scenario, or struct scenario_tier */
    double least, most;
    const char *word; /* instead of a value, or NULL; stands for word_value (KEY_RATIO: 0) */
    uint64_t word_value;
    const char *const *names; /* KEY_CHOICE: NULL-terminated */
    uint32_t kinds;    /* tiers that have the key, bit by enum kvt_tier_kind; 0 outside tiers */
    const char *needs; /* what it does nothing without, or NULL: scenario_needs.c */
    const char *help;
};

/* All keys in the order in which they are explained; sections stand together. */
const struct scenario_key *scenario_keys(size_t *n);
const struct scenario_key *scenario_tier_keys(size_t *n);

/* ---- scenario_needs.c: keys that do nothing without another ------------------------------------------- */

/* Returns 0, or -EINVAL with a line about the first such key that is given alone. After the keys are typed. */
KVT_MUST_CHECK int scenario_check_needs(const struct scenario *s, char *error);

/* ---- scenario_faults.c: the list of faults ------------------------------------------------------------ */

/* "kill", "partition", ... */
extern const char *const scenario_fault_kinds[FAULT_KINDS + 1];
/* Every key of an entry, NULL at the end. */
extern const char *const scenario_fault_keys[];
enum { SCENARIO_FAULT_KEYS = 11 };

/* Types the text of `faults`. Messages name the entry: "file:line: faults[1].for: expected ...". */
KVT_MUST_CHECK int scenario_type_faults(struct scenario *s, const char *text, char *error);
/* Such a message about entry i; key NULL: about all of it. Returns -EINVAL. */
int scenario_refuse_fault(const struct scenario *s, uint32_t i, const char *key,
                          const char *expected, char *error);

/* The text that a key has, its own or the default (which for tiers and generators differs by
 * kind). tier: KVT_TIERS outside tiers. NULL: it has none, such as a trace that is not given, or
 * a parameter that the chosen generator does not know. */
const char *scenario_text(const struct scenario *s, const struct scenario_key *key,
                          const struct scenario_value *value, enum kvt_tier_kind tier);

/* Which tier a word names; KVT_TIERS when none. */
enum kvt_tier_kind scenario_tier_named(const char *word);

/* A slot by its command line path: the key, its value, and the tier (KVT_TIERS outside tiers).
 * On failure returns -EINVAL with "path: what was expected" in error. */
KVT_MUST_CHECK int scenario_find(struct scenario *s, const char *path,
                                 const struct scenario_key **key, struct scenario_value **value,
                                 enum kvt_tier_kind *tier, char *error);

/* The same text with every password of an address in it ("redis://user:password@host") replaced
 * by "***": what may be printed and kept. Returns out. */
char *scenario_mask(const char *text, char *out, size_t size);

/* Prints every key with its resolved text and source, as YAML with comments. Catalogue lines are
 * added by the caller through `note` (optional): returns a comment for a key, or NULL. */
void scenario_explain(const struct scenario *s, FILE *out,
                      const char *(*note)(void *self, const char *path), void *self);

#endif
