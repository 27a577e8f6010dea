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

#include "fabric.h"
#include "gpu.h"
#include "../core/region.h"
#include "../core/types.h"
#include "vary.h"

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
    uint32_t nodes;           /* 0: no redis tier. Keys spread over nodes (of a region) by hash */
    double nic_bps;           /* each direction, of one node */
    double process_bps;       /* bytes per second that one single-threaded process can move */
    double process_write_bps; /* the same for bytes written to it; 0: as process_bps */
    kvt_ns command_ns;        /* CPU per command besides its bytes (GET, SET, EXISTS) */
    uint64_t memory_b;        /* maxmemory of one node; UINT64_MAX: unlimited */
    uint32_t overhead_b;      /* per block (all its keys) */
    uint32_t samples;         /* maxmemory-samples, 1 .. 64 */
    bool evicts;              /* allkeys-lru; false: noeviction, a SET beyond memory is KVT_BUSY */
    kvt_ns timeout_ns;        /* per operation; KVT_NEVER: none */
    bool replicated;          /* what a node's replica has is kept track of (fault.h) */
};

/* Engines and Redis nodes in several regions, which are all as far from each other: node i is in region
 * i / (nodes / n). What goes from one region to another shares one link, whichever engine asked for it. */
struct sim_regions {
    struct kvt_regions engines; /* n and first; n 0, 1: everything is in one */
    kvt_ns
        rtt_ns; /* from an engine to a node elsewhere and back, idle; in place of network.rtt_ns */
    double bps; /* from one region to another, and as much back */
    double connection_bps; /* cap of one TCP flow between them; INFINITY: none */
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

/* What varies, each kind by itself. */
enum sim_varied {
    SIM_VARY_PROBE,
    SIM_VARY_GET, /* Redis values, loaded and stored */
    SIM_VARY_SET,
    SIM_VARY_READ, /* files */
    SIM_VARY_WRITE,
    SIM_VARY_DECODE,
    SIM_VARY_ENCODE,
    SIM_VARY_UPLOAD,
    SIM_VARY_DOWNLOAD,
    SIM_VARY_GET_MANY, /* the same of operations of at least SIM_MANY pieces: what befalls one is less beside many */
    SIM_VARY_SET_MANY,
    SIM_VARY_READ_MANY,
    SIM_VARY_WRITE_MANY,
    SIM_VARIED
};
enum { SIM_MANY = 4 };

/* One machine that does everything itself, as the real world on a bare machine: worker threads copy, code, and
 * read and write files, the loop and Redis servers are threads beside them, and all share the cores. */
struct sim_machine {
    uint32_t workers; /* of all engines together. 0: no such machine, and nothing below counts */
    uint32_t cores;
    /* What all workers together get done, in cores: what they copy goes through one memory. One has a core, if there is
     * one. 0: as much as there are cores. file_cores: of chores that read or write files; 0: as the others. */
    double worker_cores, file_cores;
    double get_share,
        set_share; /* of the loop's work on a value, how much a server has at the same time; 0 .. 1 */
    kvt_ns
        connection_ns; /* a question that takes more than one connection to a server: each of the others */
    double fill_bps; /* a worker that fills pages in place of a GPU; 0: the GPU does */
    uint32_t values; /* that a load asks for at a time, of each Redis node */
    struct sim_variation varied[SIM_VARIED];
};

struct sim_config {
    uint64_t seed;
    uint32_t engines;
    bool faults;              /* parts may come into conditions, see fault.h */
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
    struct sim_regions regions;
    struct sim_codec
        codec[KVT_TIERS]; /* per tier: host and disk usually none, gpu and peer never */
    struct sim_disk disk;
    struct sim_machine machine;
    struct sim_fabric fabric; /* sharded engines only */
    /* What becomes of gpu and fabric when engines grow or shrink (sim_world_resize). resized_fabric.gpus 0: they never do. */
    struct sim_gpu resized_gpu;
    struct sim_fabric resized_fabric;
};

#endif
