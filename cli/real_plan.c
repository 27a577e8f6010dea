/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * real_plan.c - can this machine do what the scenario asks, and with which numbers?
 *
 * The real world holds plain keys and values of 16 or 32 bits in pages of numbers that core
 * decides. What is none of that is refused by name: MLA's latents, sliding windows, KV heads that
 * GPUs would have to copy.
 *
 * Memory, all of it counted before anything is allocated:
 *
 *      pages       engines * GPUs * pool            on the device; with device host in main memory
 *      host tier   engines * blocks * block
 *      staging     one share for each of redis and disk
 *      redis       nodes * maxmemory                only servers that we start ourselves
 *
 * The GPU tier's `auto` is what the modelled GPU leaves for KV, but with device host no more than
 * half of the main memory that is left, divided among the engines.
 */
#include "real.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "units.h"

static const uint64_t stage_b = UINT64_C(256) << 20; /* what the world takes by itself, per tier */
static const uint64_t disk_reserve_b = UINT64_C(256) << 20; /* of a file system, never taken */

enum { FILE_BLOCK_B = 4096, WRITES_AHEAD = 64 };

/* ---- The machine ------------------------------------------------------------------------------------- */

/* A number behind a word in a file of the system, or the file's first number; UINT64_MAX when there
 * is none. */
static uint64_t read_number(const char *path, const char *word)
{
    FILE *file = fopen(path, "re");
    char line[256];
    uint64_t value = UINT64_MAX;
    while (file && value == UINT64_MAX && fgets(line, sizeof line, file)) {
        size_t len = strlen(word);
        char *end;
        if (strncmp(line, word, len) != 0)
            continue;
        unsigned long long number = strtoull(line + len, &end, 10);
        if (end != line + len)
            value = number;
    }
    if (file)
        fclose(file);
    return value;
}

struct real_machine real_machine(void)
{
    struct real_machine machine = {.memory_b = UINT64_MAX};
    uint64_t free_kib = read_number("/proc/meminfo", "MemAvailable:");
    if (free_kib != UINT64_MAX)
        machine.memory_b = free_kib * 1024;
    /* A container's limit, when there is one. */
    uint64_t most = read_number("/sys/fs/cgroup/memory.max", "");
    uint64_t used = read_number("/sys/fs/cgroup/memory.current", "");
    if (most != UINT64_MAX && used != UINT64_MAX && used < most && most - used < machine.memory_b)
        machine.memory_b = most - used;
    char survey[1024];
    be_device_survey(survey, sizeof survey);
    const char *cuda = strstr(survey, "cuda: ");
    machine.cuda = cuda && cuda[6] >= '1' && cuda[6] <= '9'; /* "cuda: 2 x NVIDIA ..." */
    return machine;
}

/* ---- Shape ------------------------------------------------------------------------------------------- */

static int refuse_model(const struct scenario *s, const struct catalog_model *model,
                        const char *why, char *error)
{
    char want[200];
    snprintf(want, sizeof want, "the real world expected a model with plain keys and values: %s %s",
             model->name, why);
    return resolve_refuse(s, "cluster.model", want, error);
}

static int plan_shape(struct real_plan *plan, const struct resolved *r, const struct scenario *s,
                      const struct catalog *catalog, char *error)
{
    char why[256];
    const struct catalog_model *model = catalog_model(catalog, s->cluster.model, why, sizeof why);
    if (!model)
        return resolve_refuse(s, "cluster.model", why, error);
    uint32_t gpus = (uint32_t)s->cluster.gpus_per_engine, heads = (uint32_t)model->kv_heads.number;
    if (model->latent_dim.number > 0)
        return refuse_model(s, model, "caches a latent (MLA)", error);
    if (r->core.window_tokens > 0 || r->core.pages_per_request > 0)
        return refuse_model(s, model, "has layers with a sliding window", error);
    double bits = s->cluster.kv_dtype == DTYPE_AUTO ? model->kv_bits.number : 16;
    if (bits != 16)
        return refuse_model(s, model, "has KV of another width; set cluster.kv_dtype", error);
    if (gpus > heads || heads % gpus != 0) {
        snprintf(why, sizeof why,
                 "the real world expected a divisor of the %u KV heads of %s: it copies none",
                 heads, model->name);
        return resolve_refuse(s, "cluster.gpus_per_engine", why, error);
    }
    plan->config.engines = r->core.engines;
    plan->config.gpus_per_engine = gpus;
    plan->config.block_tokens = r->core.block_tokens;
    plan->config.geometry = (struct k_geometry){
        .layers = (uint32_t)model->layers.number,
        .heads = heads / gpus,
        .head_dim = (uint32_t)model->head_dim.number,
        .page_tokens = r->core.page_tokens,
        .dtype = s->cluster.kv_dtype == DTYPE_FP32   ? K_FP32
                 : s->cluster.kv_dtype == DTYPE_FP16 ? K_FP16
                                                     : K_BF16,
    };
    return 0;
}

/* What makes bytes of one run unusable for another. */
static uint64_t epoch_of(const struct real_plan *plan, const struct scenario *s)
{
    const struct k_geometry *g = &plan->config.geometry;
    char text[512];
    int n = snprintf(text, sizeof text, "%.160s|%.160s|%u %u %u %u %u %u %u", s->cluster.model,
                     s->cache.model_epoch, g->layers, g->heads, g->head_dim, g->page_tokens,
                     (unsigned)g->dtype, plan->config.gpus_per_engine, plan->config.block_tokens);
    return XXH3_64bits(text, (size_t)n);
}

/* ---- Tiers ------------------------------------------------------------------------------------------- */

static int plan_codec(struct real_plan *plan, const struct scenario *s, enum kvt_tier_kind kind,
                      char *error)
{
    char path[64], why[256];
    snprintf(path, sizeof path, "cache.tiers.%s.codec", kvt_tier_name(kind));
    if (be_codec_parse(&plan->config.codec[kind], s->cache.tiers[kind].codec, why, sizeof why) != 0)
        return resolve_refuse(s, path, why, error);
    if (kind == KVT_HOST &&
        !be_codec_is_copy(&plan->config.codec[kind], plan->config.geometry.dtype))
        return resolve_refuse(s, path,
                              "the real world expected none: its host tier keeps raw bytes", error);
    return 0;
}

/* Fills plan->nodes from the tier's addresses. */
static int plan_addresses(struct real_plan *plan, const struct scenario *s, uint32_t primaries,
                          char *error)
{
    static const char path[] = "cache.tiers.redis.address";
    const char *at = s->cache.tiers[KVT_REDIS].address;
    char word[600], why[256];
    uint32_t n = 0;
    if (strcmp(at, "spawn") == 0) {
        plan->spawn.n = primaries;
        return 0;
    }
    plan->nodes = calloc(primaries, sizeof *plan->nodes);
    if (!plan->nodes) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    while (*at) {
        at += strspn(at, " ");
        size_t len = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)len, at);
        word[strcspn(word, " ")] = '\0';
        at += len + (at[len] == ',');
        if (len >= sizeof word)
            return resolve_refuse(s, path, "expected a shorter address", error);
        if (n < primaries && be_redis_address_parse(&plan->nodes[n], word, why, sizeof why) != 0)
            return resolve_refuse(s, path, why, error);
        n++;
    }
    if (n == primaries)
        return 0;
    snprintf(why, sizeof why, "expected %u addresses, one for each primary of the tier, or spawn",
             primaries);
    return resolve_refuse(s, path, why, error);
}

static int plan_redis(struct real_plan *plan, const struct resolved *r, const struct scenario *s,
                      char *error)
{
    const struct scenario_tier *tier = &s->cache.tiers[KVT_REDIS];
    const struct sim_redis *redis = &r->sim.redis;
    struct be_world_config *c = &plan->config;
    if (tier->layout == LAYOUT_PER_LAYER && c->gpus_per_engine > 1)
        return resolve_refuse(s, "cache.tiers.redis.layout",
                              "expected packed: per-layer keys do not tell GPUs apart", error);
    c->redis.n_nodes = redis->nodes;
    c->redis.connections = (uint32_t)tier->connections;
    c->redis.depth = (uint32_t)tier->depth;
    c->redis.layout = tier->layout == LAYOUT_PER_LAYER ? BE_PER_LAYER : BE_PACKED;
    c->redis.timeout_ns = redis->timeout_ns;
    plan->spawn = (struct be_spawn_config){.memory_b = redis->memory_b,
                                           .evicts = redis->evicts,
                                           .samples = redis->samples};
    const struct be_format format = {.geometry = c->geometry,
                                     .shards = c->gpus_per_engine,
                                     .piece_layers = be_piece_layers(&c->geometry, c->block_tokens,
                                                                     c->piece_b)};
    plan->keys_per_block =
        c->redis.layout == BE_PACKED ? be_pieces(&format) : 3 * c->geometry.layers;
    return plan_addresses(plan, s, redis->nodes, error);
}

/* Blocks of one place that core will fill; UINT64_MAX: without bound. */
static uint64_t tier_blocks(const struct resolved *r, enum kvt_tier_kind kind)
{
    const struct kvt_tier_config *tier = &r->core.tiers[kind];
    double block_b =
        tier->stored_b_per_token * r->core.block_tokens + (double)tier->stored_b_per_block;
    if (tier->capacity_blocks != UINT64_MAX)
        return tier->capacity_blocks;
    return tier->capacity_b == UINT64_MAX ? UINT64_MAX
                                          : (uint64_t)((double)tier->capacity_b / block_b);
}

/* Capacity counts stored KV; heads of values and whole blocks of the file system come on top, and
 * values that are written while those they take the place of are being removed. */
static int plan_disk(struct real_plan *plan, const struct resolved *r, const struct scenario *s,
                     char *error)
{
    const struct scenario_tier *tier = &s->cache.tiers[KVT_DISK];
    struct be_world_config *c = &plan->config;
    const struct be_format format = {.geometry = c->geometry,
                                     .shards = c->gpus_per_engine,
                                     .piece_layers = be_piece_layers(&c->geometry, c->block_tokens,
                                                                     c->piece_b)};
    uint64_t blocks = tier_blocks(r, KVT_DISK);
    double block_b = r->core.tiers[KVT_DISK].stored_b_per_token * r->core.block_tokens +
                     (double)be_pieces(&format) * (BE_HEAD_B + FILE_BLOCK_B);
    double quota_b = ((double)blocks + WRITES_AHEAD) * block_b;
    c->disk = (struct be_disk_config){
        .quota_b = blocks == UINT64_MAX || quota_b > 9e18 ? UINT64_MAX : (uint64_t)quota_b,
        .reserve_b = disk_reserve_b,
        .sync = tier->sync == SYNC_FULL   ? BE_SYNC_FULL
                : tier->sync == SYNC_DATA ? BE_SYNC_DATA
                                          : BE_SYNC_NONE,
        .direct = tier->direct,
        .keep = tier->keep,
    };
    plan->folder = tier->folder;
    if (tier->keep && !tier->folder)
        return resolve_refuse(s, "cache.tiers.disk.keep", "expected a folder to keep files in",
                              error);
    return 0;
}

static int plan_tiers(struct real_plan *plan, const struct resolved *r, const struct scenario *s,
                      char *error)
{
    int rc = 0;
    for (int kind = 0; rc == 0 && kind < KVT_TIERS; kind++) {
        plan->config.tiers[kind] = r->core.tiers[kind].present;
        if (plan->config.tiers[kind] && kind != KVT_GPU && kind != KVT_PEER)
            rc = plan_codec(plan, s, (enum kvt_tier_kind)kind, error);
    }
    if (rc == 0 && plan->config.tiers[KVT_REDIS])
        rc = plan_redis(plan, r, s, error);
    if (rc == 0 && plan->config.tiers[KVT_DISK])
        rc = plan_disk(plan, r, s, error);
    return rc;
}

/* ---- Memory ------------------------------------------------------------------------------------------ */

static double page_b(const struct real_plan *plan)
{
    struct k_geometry g = plan->config.geometry;
    g.pages = 1;
    return (double)k_pool_b(&g) * plan->config.gpus_per_engine;
}

/* Main memory for everything but pages. */
static int plan_beside(struct real_plan *plan, const struct resolved *r, const struct scenario *s,
                       double *beside_b, char *error)
{
    struct be_world_config *c = &plan->config;
    uint64_t blocks = c->tiers[KVT_HOST] ? tier_blocks(r, KVT_HOST) : 0;
    if (blocks == UINT64_MAX)
        return resolve_refuse(s, "cache.tiers.host.capacity",
                              "the real world expected a size or blocks: main memory ends", error);
    double block_b = page_b(plan) * c->block_tokens / c->geometry.page_tokens;
    double host_b = (double)blocks * block_b;
    c->host_b = host_b < 9e18 ? (uint64_t)host_b : UINT64_MAX;
    *beside_b = host_b * c->engines;
    *beside_b += (double)(c->stage_b ? c->stage_b : stage_b) *
                 ((c->tiers[KVT_REDIS] ? 1 : 0) + (c->tiers[KVT_DISK] ? 1 : 0) +
                  (c->tiers[KVT_PEER] && c->verify ? 1 : 0));
    if (plan->spawn.n > 0 && plan->spawn.memory_b != UINT64_MAX)
        *beside_b += (double)plan->spawn.memory_b * plan->spawn.n;
    return 0;
}

/* Engines whose blocks lie in shards have cells (cells.h). By head they lie as they do without. */
static int plan_shards(struct real_plan *plan, const struct resolved *r, const struct scenario *s,
                       char *error)
{
    struct be_world_config *c = &plan->config;
    const struct kvt_shard_config *shard = &r->core.shard;
    const struct kvt_shard_room *room = &r->core.shard_room;
    const uint32_t pages = c->block_tokens / c->geometry.page_tokens;
    if (shard->policy->splits == KVT_SPLIT_HEAD)
        return 0;
    if (pages > 256)
        return resolve_refuse(s, "cache.page_tokens",
                              "the real world expected at most 256 pages to a block in shards",
                              error);
    const uint64_t cells =
        be_cells_needed(shard, room->gpu_b, room->unit_b, room->page_gpu_b, pages);
    if (cells >= KVT_NONE)
        return resolve_refuse(s, "cache.tiers.gpu.capacity",
                              "the real world expected less than 4 G pages on each GPU", error);
    c->shard = *shard;
    c->cells = (uint32_t)cells;
    return 0;
}

/* Pools of one engine in shards. */
static double shards_b(const struct real_plan *plan)
{
    struct k_geometry g = plan->config.geometry;
    g.layers = be_cells_layers(&plan->config.shard);
    g.pages = plan->config.cells;
    return (double)k_pool_b(&g) * plan->config.gpus_per_engine;
}

static int plan_memory(struct real_plan *plan, struct resolved *r, const struct scenario *s,
                       const struct real_machine *machine, bool cuda, char *error)
{
    double beside_b = 0,
           have_b = machine->memory_b == UINT64_MAX ? 1e30 : (double)machine->memory_b;
    int rc = plan_beside(plan, r, s, &beside_b, error);
    if (rc != 0)
        return rc;
    uint32_t engines = plan->config.engines;
    const bool sharded = r->core.shard.policy != NULL;
    uint64_t pages = sharded ? r->plain_gpu_pages : r->core.gpu_pages;
    const uint64_t least = r->core.block_tokens / r->core.page_tokens;
    if (s->cache.tiers[KVT_GPU].capacity.kind == UNITS_AUTO && !cuda && have_b > beside_b) {
        double most = (have_b - beside_b) / 2 / engines / page_b(plan);
        if (most < (double)pages) {
            pages = (uint64_t)most / least * least;
            resolve_add_note(r, "cache.tiers.gpu.capacity",
                             "%llu pages per engine, half of the main memory that is left",
                             (unsigned long long)pages);
            if (sharded)
                resolve_shard_pages(r, pages);
        }
    }
    rc = sharded ? plan_shards(plan, r, s, error) : 0;
    if (rc != 0)
        return rc;
    double pool_b = plan->config.shard.policy ? shards_b(plan) : (double)pages * page_b(plan);
    pool_b *= engines;
    plan->memory_b = (uint64_t)(beside_b + (cuda ? 0 : pool_b));
    if (beside_b + (cuda ? 0 : pool_b) > have_b || pages == 0) {
        char want[256], a[32], b[32], c[32];
        snprintf(want, sizeof want,
                 "the real world expected less: %s for pages, and %s for host tier, staging and "
                 "Redis, but there are %s of main memory",
                 units_show_bytes(a, sizeof a, cuda ? 0 : pool_b),
                 units_show_bytes(b, sizeof b, beside_b), units_show_bytes(c, sizeof c, have_b));
        return resolve_refuse(s, "cache.tiers.gpu.capacity", want, error);
    }
    if (pages >= KVT_NONE || r->core.gpu_pages >= KVT_NONE)
        return resolve_refuse(s, "cache.tiers.gpu.capacity",
                              "the real world expected less than 4 G pages", error);
    if (!sharded) {
        r->core.gpu_pages = pages;
        r->tier_blocks[KVT_GPU] = pages / least * engines;
    }
    plan->config.geometry.pages = (uint32_t)r->core.gpu_pages;
    return 0;
}

/* ---- The whole --------------------------------------------------------------------------------------- */

/* What the real world makes of keys that mean something else in the others. */
static void add_notes(struct resolved *r, const struct real_plan *plan, const struct scenario *s)
{
    static const char *const kinds[] = {"host", "redis", "disk"};
    char path[64], size[32];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(path, sizeof path, "cache.tiers.%s.codec_cores", kinds[i]);
        resolve_add_note(r, path, "real world: the workers of real.threads");
    }
    if (plan->config.tiers[KVT_REDIS]) {
        resolve_add_note(r, "cache.tiers.redis.client", "real world: its own client");
        if (s->cache.tiers[KVT_REDIS].replicas > 0)
            resolve_add_note(r, "cache.tiers.redis.replicas",
                             "real world: primaries alone; replicas are the servers' affair");
    }
    if (s->real.threads == 0)
        resolve_add_note(r, "real.threads", "%ld: one per processor, and one for loads",
                         1 + sysconf(_SC_NPROCESSORS_ONLN));
    if (plan->spawn.n > 0)
        resolve_add_note(r, "cache.tiers.redis.address", "%u servers of its own with %s each",
                         plan->spawn.n,
                         plan->spawn.memory_b == UINT64_MAX
                             ? "unlimited memory"
                             : units_show_bytes(size, sizeof size, (double)plan->spawn.memory_b));
    if (s->cache.tiers[KVT_REDIS].timeout_ns == KVT_NEVER)
        resolve_add_note(r, "cache.tiers.redis.timeout",
                         "real world: 10 s, nothing waits for ever");
    resolve_add_note(r, "real.stage", "for each of redis and disk");
    resolve_add_note(r, "world", "%s of main memory; GPU time is modelled",
                     units_show_bytes(size, sizeof size, (double)plan->memory_b));
}

int real_plan_make(struct real_plan *plan, struct resolved *r, const struct scenario *s,
                   const struct catalog *catalog, const struct real_machine *machine, char *error)
{
    static const char *const devices[] = {"auto", "host", "cuda"};
    *plan = (struct real_plan){.config = {
                                   .device = devices[s->real.device],
                                   .piece_b = r->sim.piece_b,
                                   .threads = (uint32_t)s->real.threads,
                                   .stage_b = s->real.stage.value,
                                   .verify = s->real.verify,
                               }};
    bool cuda = s->real.device == DEVICE_CUDA || (s->real.device == DEVICE_AUTO && machine->cuda);
    int rc = plan_shape(plan, r, s, catalog, error);
    if (rc == 0)
        rc = plan_tiers(plan, r, s, error);
    if (rc == 0)
        rc = plan_memory(plan, r, s, machine, cuda, error);
    if (rc != 0) {
        real_plan_release(plan);
        return rc;
    }
    plan->config.epoch = epoch_of(plan, s);
    add_notes(r, plan, s);
    return 0;
}

int real_plan_init(struct real_plan *plan, struct resolved *r, const struct scenario *s,
                   const struct catalog *catalog, char *error)
{
    const struct real_machine machine = real_machine();
    return real_plan_make(plan, r, s, catalog, &machine, error);
}

void real_plan_release(struct real_plan *plan)
{
    if (plan->nodes) /* with passwords */
        explicit_bzero(plan->nodes, plan->config.redis.n_nodes * sizeof *plan->nodes);
    free(plan->nodes);
    *plan = (struct real_plan){0};
}
