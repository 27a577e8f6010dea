/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve_tiers.c - tiers below the GPU: room, bytes per token, devices, links, and what a load
 * will take.
 *
 * A load is a pipeline, so its predicted time is its start plus the time of its slowest stage:
 *
 *      load = fixed + tokens * max over stages of (bytes per token / rate)
 *
 * with raw bytes where KV is uncompressed (staging copy, host to device, decoding) and stored bytes
 * on the medium. Rates are those of an idle cluster; core learns of queues only by loads that turn
 * late.
 *
 * A peer's GPU is read over both engines' links to their hosts and the network between; its buffers are
 * registered once, so nothing is staged or coded.
 *
 * Redis: of `nodes`, replicas hold copies and serve no reads, so room and rate count primaries
 * only. `nodes: auto` turns it round: as many as the capacity takes, so that cost and bandwidth follow it.
 */
#include "resolve.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { REDIS_NODES_MOST = 1024 }; /* as of the key */

static const char *tier_path(enum kvt_tier_kind kind, const char *key, char *path, size_t size)
{
    snprintf(path, size, "cache.tiers.%s.%s", kvt_tier_name(kind), key);
    return path;
}

static int refuse_tier(const struct scenario *s, enum kvt_tier_kind kind, const char *key,
                       const char *expected, char *error)
{
    char path[64];
    return resolve_refuse(s, tier_path(kind, key, path, sizeof path), expected, error);
}

const char *const resolve_varied[SIM_VARIED] = {[SIM_VARY_PROBE] = "probe",
                                                [SIM_VARY_GET] = "get",
                                                [SIM_VARY_SET] = "set",
                                                [SIM_VARY_READ] = "read",
                                                [SIM_VARY_WRITE] = "write",
                                                [SIM_VARY_DECODE] = "decode",
                                                [SIM_VARY_ENCODE] = "encode",
                                                [SIM_VARY_UPLOAD] = "upload",
                                                [SIM_VARY_DOWNLOAD] = "download",
                                                [SIM_VARY_GET_MANY] = "get-many",
                                                [SIM_VARY_SET_MANY] = "set-many",
                                                [SIM_VARY_READ_MANY] = "read-many",
                                                [SIM_VARY_WRITE_MANY] = "write-many"};

/* ---- Codecs ---------------------------------------------------------------------------------------- */

/* Narrows elements: its ratio, given for 16-bit KV, is twice that from 32 bits. */
static bool narrows(const char *name)
{
    return strcmp(name, "fp16") == 0 || strcmp(name, "bf16") == 0 || strcmp(name, "int8") == 0 ||
           strcmp(name, "int4") == 0;
}

/* One step more: what it does to the ratio depends on what the data are by then ('b': bf16, 'h':
 * fp16, 'f': fp32, '8': int8). */
static void add_codec(struct sim_codec *chain, const struct catalog_codec *codec, char *data_is)
{
    const struct catalog_value *ratio = &codec->ratio;
    if (*data_is == 'h' && codec->ratio_fp16.text)
        ratio = &codec->ratio_fp16;
    if (*data_is == '8' && codec->ratio_int8.text)
        ratio = &codec->ratio_int8;
    /* Seconds per raw byte add up; a later step sees 1 / ratio of the bytes. */
    if (codec->encode_bps.number > 0)
        chain->encode_bps += 1 / (codec->encode_bps.number * chain->ratio);
    if (codec->decode_bps.number > 0)
        chain->decode_bps += 1 / (codec->decode_bps.number * chain->ratio);
    chain->ratio *= ratio->number * (*data_is == 'f' && narrows(codec->name) ? 2 : 1);
    if (*data_is == 'f' && narrows(codec->name))
        *data_is = 'b';
    if (strcmp(codec->name, "fp16") == 0)
        *data_is = 'h';
    if (strcmp(codec->name, "int8") == 0)
        *data_is = '8';
}

/* Reads the chain of a tier: "fp16,zlib-3". "none" is a step that does nothing. */
static int resolve_codec(struct resolved *r, const struct scenario *s,
                         const struct catalog *catalog, enum kvt_tier_kind kind, bool staged,
                         char *error)
{
    struct sim_codec chain = {.ratio = 1}; /* rates: seconds per raw byte until the end */
    char data_is = s->cluster.kv_dtype == DTYPE_FP32   ? 'f'
                   : s->cluster.kv_dtype == DTYPE_FP16 ? 'h'
                                                       : 'b';
    char name[48];
    bool any = false;
    for (const char *at = s->cache.tiers[kind].codec; *at;) {
        size_t len = strcspn(at, ","), skip = strspn(at, " ");
        const char *word = at + (skip < len ? skip : len);
        snprintf(name, sizeof name, "%.*s", (int)(at + len - word), word);
        at += len + (at[len] == ',');
        while (name[0] && name[strlen(name) - 1] == ' ')
            name[strlen(name) - 1] = '\0';
        if (strcmp(name, "none") == 0)
            continue;
        char why[256];
        const struct catalog_codec *codec = catalog_codec(catalog, name, why, sizeof why);
        if (!codec)
            return refuse_tier(s, kind, "codec", why, error);
        add_codec(&chain, codec, &data_is);
        any = true;
    }
    if (!any) {
        /* Where nothing is staged, a value is verified as it lies: a pass over its bytes, which no copy pays for. */
        char why[256];
        const struct catalog_codec *none =
            !staged && kind != KVT_HOST ? catalog_codec(catalog, "none", why, sizeof why) : NULL;
        if (!none)
            return 0;
        add_codec(&chain, none, &data_is);
    }
    chain.present = true;
    /* A chain of steps that cost nothing, such as fp16 on 16-bit KV, is no codec. */
    if (!(chain.encode_bps > 0) && !(chain.decode_bps > 0) && chain.ratio == 1)
        return 0;
    chain.encode_bps = chain.encode_bps > 0 ? 1 / chain.encode_bps : INFINITY;
    chain.decode_bps = chain.decode_bps > 0 ? 1 / chain.decode_bps : INFINITY;
    chain.cores = (uint32_t)s->cache.tiers[kind].codec_cores;
    r->sim.codec[kind] = chain;
    char path[64];
    resolve_add_note(r, tier_path(kind, "codec", path, sizeof path), "ratio %.3g", chain.ratio);
    return 0;
}

/* ---- Room ------------------------------------------------------------------------------------------ */

static double stored_b_per_token(const struct resolved *r, enum kvt_tier_kind kind)
{
    const struct sim_codec *codec = &r->sim.codec[kind];
    return r->kv_b_per_token / (codec->present ? codec->ratio : 1);
}

/* Fills room of one place (an engine's, or the shared one). auto_b: what "auto" means. */
static int resolve_room(struct resolved *r, const struct scenario *s, enum kvt_tier_kind kind,
                        uint64_t auto_b, char *error)
{
    const struct units_capacity *capacity = &s->cache.tiers[kind].capacity;
    struct kvt_tier_config *tier = &r->core.tiers[kind];
    uint64_t places = kind == KVT_REDIS ? 1 : r->core.engines;
    double block_b =
        tier->stored_b_per_token * r->core.block_tokens + (double)tier->stored_b_per_block;
    tier->capacity_blocks = tier->capacity_b = UINT64_MAX;
    if (capacity->kind == UNITS_CAPACITY_BLOCKS)
        tier->capacity_blocks = capacity->value;
    else if (capacity->kind != UNITS_INFINITE)
        tier->capacity_b = capacity->kind == UNITS_AUTO ? auto_b : capacity->value;
    if (tier->capacity_b != UINT64_MAX && (double)tier->capacity_b < block_b) {
        char want[96], size[32];
        snprintf(want, sizeof want, "expected room for at least one block of %s",
                 units_show_bytes(size, sizeof size, block_b));
        return refuse_tier(s, kind, "capacity", want, error);
    }
    r->tier_blocks[kind] =
        tier->capacity_blocks != UINT64_MAX ? tier->capacity_blocks * places : UINT64_MAX;
    r->tier_b[kind] = tier->capacity_b != UINT64_MAX ? tier->capacity_b * places : UINT64_MAX;
    return 0;
}

/* ---- Tiers ----------------------------------------------------------------------------------------- */

static double slowest(double a, double b)
{
    return a > b ? a : b;
}

/* What every load ends with: decoding, staging, and the way to the device. ns per token. */
static double ingest_ns_per_token(const struct resolved *r, enum kvt_tier_kind kind)
{
    const struct sim_codec *codec = &r->sim.codec[kind];
    const struct sim_host *host = &r->sim.host;
    double raw = r->kv_b_per_token * 1e9;
    double ns = raw / host->h2d_bps;
    if (kind != KVT_DISK && host->copy_threads > 0)
        ns = slowest(ns, raw / (host->copy_threads * host->copy_thread_bps));
    if (codec->present)
        ns = slowest(ns, raw / (codec->decode_bps * codec->cores));
    return ns;
}

/* The host of the scenario, or the one that its GPU is usually plugged into. */
static const struct catalog_host *find_host(const struct scenario *s, const struct catalog *catalog,
                                            const struct catalog_gpu *gpu, char *error)
{
    char why[256];
    bool usual = strcmp(s->cluster.host, "auto") == 0;
    const struct catalog_host *host =
        catalog_host(catalog, usual ? gpu->host : s->cluster.host, why, sizeof why);
    if (!host)
        resolve_refuse(s, usual ? "cluster.gpu" : "cluster.host", why, error);
    return host;
}

/* What varies on this host, where the catalogue says so. */
static void resolve_variations(struct resolved *r, const struct catalog *catalog,
                               const struct catalog_host *host)
{
    for (int kind = 0; kind < SIM_VARIED; kind++) {
        struct sim_variation *v = &r->sim.machine.varied[kind];
        char name[96], why[256];
        snprintf(name, sizeof name, "%.80s-%s", host->name, resolve_varied[kind]);
        const struct catalog_variation *entry =
            catalog->variations.n > 0 ? catalog_variation(catalog, name, why, sizeof why) : NULL;
        v->present = entry != NULL;
        for (int i = 0; entry && i < SIM_QUANTILES; i++)
            v->ratio[i] = entry->quantile[i].number;
    }
}

/* A host with workers is one machine that does everything itself. */
static void resolve_machine(struct resolved *r, const struct scenario *s,
                            const struct catalog *catalog, const struct catalog_host *host)
{
    struct sim_machine *m = &r->sim.machine;
    *m = (struct sim_machine){.workers = (uint32_t)host->workers.number};
    if (m->workers == 0)
        return;
    if (s->real.threads > 0)
        m->workers = (uint32_t)s->real.threads;
    m->cores = host->cores.number > 0 ? (uint32_t)host->cores.number : m->workers;
    m->worker_cores = host->worker_cores.number;
    m->file_cores = host->file_cores.number;
    m->fill_bps = host->fill_bps.number;
    if (s->cache.tiers[KVT_REDIS].enabled)
        m->values =
            (uint32_t)(s->cache.tiers[KVT_REDIS].depth * s->cache.tiers[KVT_REDIS].connections);
    resolve_variations(r, catalog, host);
}

static int resolve_host(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                        const struct catalog_host *host, char *error)
{
    resolve_add_note(r, "cluster.host", "%s", host->title);
    double staging = host->staging.text ? host->staging.number : 1;
    double gpus = (double)s->cluster.gpus_per_engine, node = host->node_bps.number;
    double h2d = gpus * host->h2d_bps.number, d2h = gpus * host->d2h_bps.number;
    r->sim.host = (struct sim_host){
        .h2d_bps = node > 0 && node < h2d ? node : h2d,
        .d2h_bps = node > 0 && node < d2h ? node : d2h,
        .copy_latency_ns = (kvt_ns)host->copy_latency_ns.number,
        /* Each GPU's worker process stages its own share of the KV. */
        .copy_threads = (uint32_t)(gpus * staging),
        .copy_thread_bps = host->memcpy_bps.number,
    };
    resolve_machine(r, s, catalog, host);
    r->sim.fabric.pcie_bps = host->h2d_bps.number;
    struct kvt_tier_config *tier = &r->core.tiers[KVT_HOST];
    tier->load_fixed_ns = (double)r->sim.host.copy_latency_ns;
    tier->load_ns_per_token = ingest_ns_per_token(r, KVT_HOST);
    if (!s->cache.tiers[KVT_HOST].enabled)
        return 0;
    resolve_add_note(r, "cache.tiers.host.capacity", "%s, %.3g GB/s to the GPUs of an engine",
                     host->title, r->sim.host.h2d_bps / 1e9);
    return resolve_room(r, s, KVT_HOST, 0, error);
}

/* What engines are connected by, to each other and to Redis. */
static int resolve_network(struct resolved *r, const struct scenario *s,
                           const struct catalog *catalog, char *error)
{
    char why[256];
    const struct catalog_link *link = catalog_link(catalog, s->cluster.network, why, sizeof why);
    if (!link)
        return resolve_refuse(s, "cluster.network", why, error);
    resolve_add_note(r, "cluster.network", "%s", link->title);
    r->sim.network = (struct sim_network){
        .engine_nic_bps = link->bandwidth_bps.number,
        .rtt_ns = (kvt_ns)link->round_trip_ns.number,
        .connection_bps = link->connection_bps.text ? link->connection_bps.number : INFINITY,
        .connections = (uint32_t)s->cache.tiers[KVT_REDIS].connections,
    };
    return 0;
}

/* On one machine that does everything itself, engines have one memory and no network between. */
static void resolve_peer(struct resolved *r, const struct scenario *s)
{
    const struct sim_network *network = &r->sim.network;
    const struct sim_host *host = &r->sim.host;
    struct kvt_tier_config *tier = &r->core.tiers[KVT_PEER];
    r->sim.peer = (struct sim_peer){.present = true,
                                    .connections = (uint32_t)s->cache.tiers[KVT_PEER].connections};
    const double wire_bps =
        fmin(network->engine_nic_bps, network->connection_bps * r->sim.peer.connections);
    const bool apart = r->sim.machine.workers == 0;
    const double bps = apart ? fmin(wire_bps, fmin(host->h2d_bps, host->d2h_bps)) : host->h2d_bps;
    tier->load_fixed_ns = apart ? (double)network->rtt_ns + 2 * (double)host->copy_latency_ns
                                : (double)host->copy_latency_ns;
    tier->load_ns_per_token = r->kv_b_per_token * 1e9 / bps;
    resolve_add_note(r, "cache.tiers.peer.enabled", "%.3g GB/s from the GPUs of another engine",
                     bps / 1e9);
}

/* How many primaries serve the tier: of a given number of nodes those that are not replicas, else as many as hold
 * its capacity, of which each holds node_b. */
static int count_primaries(struct resolved *r, const struct scenario *s, uint64_t node_b,
                           uint64_t *primaries, char *error)
{
    const struct scenario_tier *wanted = &s->cache.tiers[KVT_REDIS];
    const struct units_capacity *capacity = &wanted->capacity;
    const struct kvt_tier_config *tier = &r->core.tiers[KVT_REDIS];
    const uint64_t copies = 1 + wanted->replicas;
    double room_b = (double)capacity->value;
    char has[32], holds[32];
    if (capacity->kind == UNITS_CAPACITY_BLOCKS)
        room_b *=
            tier->stored_b_per_token * r->core.block_tokens + (double)tier->stored_b_per_block;
    bool sized = capacity->kind == UNITS_CAPACITY_BLOCKS || capacity->kind == UNITS_CAPACITY_B;
    *primaries = wanted->nodes / copies;
    if (wanted->nodes == 0) {
        double n = sized ? ceil(room_b / (double)node_b) : 0;
        if (n < 1 || n * (double)copies > REDIS_NODES_MOST)
            return refuse_tier(s, KVT_REDIS, "nodes",
                               sized
                                   ? "expected a number: the capacity takes more than 1024 nodes"
                                   : "expected a number: auto counts nodes by a capacity in bytes "
                                     "or blocks",
                               error);
        *primaries = (uint64_t)n;
        resolve_add_note(r, "cache.tiers.redis.nodes", "%.0f of %s each", n * (double)copies,
                         units_show_bytes(holds, sizeof holds, (double)node_b));
    } else if (sized && room_b > (double)node_b * (double)*primaries) {
        resolve_add_note(r, "cache.tiers.redis.capacity",
                         "more than the %s that %llu primaries of %.40s hold and are paid for",
                         units_show_bytes(has, sizeof has, (double)node_b * (double)*primaries),
                         (unsigned long long)*primaries, wanted->node);
    }
    return 0;
}

static int resolve_redis(struct resolved *r, const struct scenario *s,
                         const struct catalog *catalog, char *error)
{
    const struct scenario_tier *wanted = &s->cache.tiers[KVT_REDIS];
    struct kvt_tier_config *tier = &r->core.tiers[KVT_REDIS];
    char why[256];
    const struct catalog_redis_node *node =
        catalog_redis_node(catalog, wanted->node, why, sizeof why);
    if (!node)
        return refuse_tier(s, KVT_REDIS, "node", why, error);
    const struct catalog_redis_server *server =
        catalog_redis_server(catalog, wanted->server, why, sizeof why);
    if (!server)
        return refuse_tier(s, KVT_REDIS, "server", why, error);
    const struct catalog_redis_client *client =
        catalog_redis_client(catalog, wanted->client, why, sizeof why);
    if (!client)
        return refuse_tier(s, KVT_REDIS, "client", why, error);
    resolve_add_note(r, "cache.tiers.redis.node", "%s", node->title);

    double usable = node->usable_ratio.text ? node->usable_ratio.number : 1;
    uint64_t node_b = (uint64_t)(node->memory_b.number * usable), primaries, auto_b;
    tier->stored_b_per_block = (uint32_t)server->key_overhead_b.number;
    int rc = count_primaries(r, s, node_b, &primaries, error);
    if (rc != 0)
        return rc;
    auto_b = node_b * primaries;
    rc = resolve_room(r, s, KVT_REDIS, auto_b, error);
    if (rc != 0)
        return rc;
    if (wanted->capacity.kind == UNITS_AUTO) {
        char size[32];
        resolve_add_note(r, "cache.tiers.redis.capacity", "%s on %llu primaries",
                         units_show_bytes(size, sizeof size, (double)auto_b),
                         (unsigned long long)primaries);
    }
    /* The engine's processes and its NIC stand one behind the other: the narrower one counts. */
    struct sim_network *network = &r->sim.network;
    network->engine_nic_bps =
        fmin(network->engine_nic_bps, client->rank_bps.number * (double)s->cluster.gpus_per_engine);
    double block_b =
        tier->stored_b_per_token * r->core.block_tokens + (double)tier->stored_b_per_block;
    uint64_t room_b = tier->capacity_b;
    if (tier->capacity_blocks != UINT64_MAX)
        room_b = (double)tier->capacity_blocks * block_b < 9e18
                     ? (uint64_t)((double)tier->capacity_blocks * block_b)
                     : UINT64_MAX;
    r->sim.redis = (struct sim_redis){
        .nodes = (uint32_t)primaries,
        .nic_bps = node->nic_bps.number,
        .process_bps = server->process_bps.number,
        .process_write_bps = server->process_write_bps.number,
        .command_ns = (kvt_ns)server->command_ns.number,
        .memory_b = room_b == UINT64_MAX ? UINT64_MAX : room_b / primaries,
        .overhead_b = tier->stored_b_per_block,
        .samples = (uint32_t)server->samples.number,
        .evicts = wanted->server_evicts && wanted->manager == KVT_MANAGED_BY_SERVER,
        .timeout_ns = wanted->timeout_ns,
    };
    r->sim.machine.get_share = fmin(server->get_share.number, 1);
    r->sim.machine.set_share = fmin(server->set_share.number, 1);
    r->sim.machine.connection_ns = (kvt_ns)server->connection_ns.number;
    double per_node = fmin(fmin(node->nic_bps.number, server->process_bps.number),
                           network->connection_bps * network->connections);
    double wire_bps =
        fmin(network->engine_nic_bps, per_node * (double)primaries / resolve_regions_count(s));
    tier->load_fixed_ns = (double)network->rtt_ns + server->command_ns.number;
    tier->load_ns_per_token =
        slowest(tier->stored_b_per_token * 1e9 / wire_bps, ingest_ns_per_token(r, KVT_REDIS));
    /* The simulated server evicts by itself, and core's directory of it is a hint. In the null
     * world there is no server: core keeps the tier as its own. */
    if (s->world != WORLD_NULL && wanted->manager == KVT_MANAGED_BY_SERVER) {
        tier->manager = KVT_MANAGED_BY_SERVER;
        tier->capacity_b = tier->capacity_blocks = UINT64_MAX;
    }
    return 0;
}

static int resolve_disk(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                        char *error)
{
    const struct scenario_tier *wanted = &s->cache.tiers[KVT_DISK];
    struct kvt_tier_config *tier = &r->core.tiers[KVT_DISK];
    char why[256];
    const struct catalog_disk *disk = catalog_disk(catalog, wanted->device, why, sizeof why);
    if (!disk)
        return refuse_tier(s, KVT_DISK, "device", why, error);
    resolve_add_note(r, "cache.tiers.disk.device", "%s", disk->title);
    double drives = (double)wanted->devices;
    r->sim.disk = (struct sim_disk){
        .read_bps = disk->read_bps.number * drives,
        .write_bps = disk->write_bps.number * drives,
        .read_latency_ns = (kvt_ns)disk->read_latency_ns.number,
        .write_latency_ns = (kvt_ns)disk->write_latency_ns.number,
        .channels = (uint32_t)(disk->channels.number * drives),
    };
    tier->load_fixed_ns = disk->read_latency_ns.number;
    tier->load_ns_per_token = slowest(tier->stored_b_per_token * 1e9 / r->sim.disk.read_bps,
                                      ingest_ns_per_token(r, KVT_DISK));
    return resolve_room(r, s, KVT_DISK, 0, error);
}

int resolve_tiers(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                  const struct catalog_gpu *gpu, char *error)
{
    const struct catalog_host *host = find_host(s, catalog, gpu, error);
    const bool staged = host && !(host->staging.text && host->staging.number <= 0);
    int rc = host ? 0 : -EINVAL;
    for (int kind = 0; rc == 0 && kind < KVT_TIERS; kind++) {
        const struct scenario_tier *wanted = &s->cache.tiers[kind];
        struct kvt_tier_config *tier = &r->core.tiers[kind];
        tier->present = wanted->enabled;
        if (!wanted->enabled)
            continue;
        tier->ttl_ns = wanted->ttl_ns;
        tier->ttl_refresh = wanted->ttl_refresh;
        tier->stored_b_per_token = r->kv_b_per_token;
        if (kind == KVT_GPU)
            continue;
        tier->no_promote = !wanted->promote;
        if (kind == KVT_PEER)
            continue;
        tier->write_through = wanted->write == WRITE_THROUGH || wanted->write == WRITE_SELECTIVE;
        tier->write_back = wanted->write == WRITE_BACK;
        tier->write_after = wanted->write == WRITE_SELECTIVE ? (uint32_t)wanted->write_after : 0;
        tier->fill_loaded = wanted->fill_loaded;
        tier->exclusive = wanted->exclusive;
        tier->probe = wanted->probe;
        rc = resolve_codec(r, s, catalog, (enum kvt_tier_kind)kind, staged, error);
        tier->stored_b_per_token = stored_b_per_token(r, (enum kvt_tier_kind)kind);
    }
    /* The host is on every way to the GPU, tier or not. */
    if (rc == 0)
        rc = resolve_host(r, s, catalog, host, error);
    const bool peers = s->cache.tiers[KVT_PEER].enabled;
    if (rc == 0 && (peers || s->cache.tiers[KVT_REDIS].enabled))
        rc = resolve_network(r, s, catalog, error);
    if (rc == 0 && peers)
        resolve_peer(r, s);
    if (rc == 0 && s->cache.tiers[KVT_REDIS].enabled)
        rc = resolve_redis(r, s, catalog, error);
    if (rc == 0 && s->cache.tiers[KVT_DISK].enabled)
        rc = resolve_disk(r, s, catalog, error);
    return rc;
}
