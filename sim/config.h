/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config.h - the simulated cluster in plain numbers.
 *
 * The command line resolves scenario and catalogue into this struct; sim/ knows neither YAML nor
 * names. Rates are bytes per second (never bits), times nanoseconds, sizes bytes. Rates of
 * codecs count *uncompressed* bytes, rates of links, Redis and disks count bytes on that medium.
 */
#ifndef SIM_CONFIG_H
#define SIM_CONFIG_H

#include "gpu.h"
#include "../core/types.h"

struct sim_network {
    double engine_nic_bps; /* each direction, goodput, of an engine's node */
    kvt_ns rtt_ns;         /* engine to Redis or to another engine and back, idle */
    double connection_bps; /* cap of one TCP flow; INFINITY: none */
    uint32_t connections;  /* from one engine to one Redis node: a transfer uses all of them */
};

struct sim_peer {
    bool present;         /* engines read KV from each other's GPUs, over the network */
    uint32_t connections; /* from one engine to another: a read uses all of them */
};

struct sim_redis {
    uint32_t nodes;           /* 0: no redis tier. Keys spread over nodes by hash */
    double nic_bps;           /* each direction, of one node */
    double process_bps;       /* bytes per second that one single-threaded process can move */
    double process_write_bps; /* the same for bytes written to it; 0: as process_bps */
    kvt_ns command_ns;        /* CPU per command besides its bytes (GET, SET, EXISTS) */
    uint64_t memory_b;        /* maxmemory of one node; UINT64_MAX: unlimited */
    uint32_t overhead_b;      /* per block (all its keys) */
    uint32_t samples;         /* maxmemory-samples, 1 .. 64 */
    bool evicts;              /* allkeys-lru; false: noeviction, a SET beyond memory is KVT_BUSY */
    kvt_ns timeout_ns;        /* per operation; KVT_NEVER: none */
};

struct sim_codec {
    bool present;
    double ratio;                  /* raw bytes / stored bytes, > 0 */
    double encode_bps, decode_bps; /* per core, uncompressed bytes */
    uint32_t cores;                /* per engine, for coding and decoding together */
};

struct sim_host {
    double h2d_bps, d2h_bps; /* host to GPU and back, all GPUs of an engine together */
    kvt_ns copy_latency_ns;  /* start of a copy */
    uint32_t copy_threads;   /* staging copies in main memory, per engine. 0: no copy is needed,
                                  everything lands in pinned memory, and takes no time */
    double copy_thread_bps;
};

struct sim_disk {
    double read_bps, write_bps; /* per engine, all drives */
    kvt_ns read_latency_ns, write_latency_ns;
    uint32_t channels; /* commands served at one time; one command per piece. 0: no disk */
};

struct sim_config {
    uint64_t seed;
    uint32_t engines;
    double kv_b_per_token;    /* raw KV, all GPUs of an engine */
    uint64_t piece_b;         /* KV moves, is coded and is stored in Redis in pieces of at most this
                                   many stored bytes (2 MiB is usual). One piece is one command and one
                                   unit of pipelining and of coding in parallel. 0: a block is a piece */
    kvt_ns frontend_ns;       /* fixed cost before the core sees a request */
    double hash_ns_per_token; /* tokenise and hash */
    struct sim_gpu gpu;       /* the compute model of one engine, see gpu.h */
    struct sim_host host;
    struct sim_network network;
    struct sim_peer peer;
    struct sim_redis redis;
    struct sim_codec
        codec[KVT_TIERS]; /* per tier: host and disk usually none, gpu and peer never */
    struct sim_disk disk;
};

#endif
