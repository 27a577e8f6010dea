/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_build.c - the real world's construction, its end, and looking at it.
 *
 * Everything that can be refused is refused here, with one line that says what to change: a
 * device that is not there, pools that do not fit, a Redis that does not answer or asks for
 * another password, a folder that is not ours. At the end the order is: Redis first, whose
 * callbacks end what waits for it; then the workers run dry; then memory, which nobody writes to
 * any more.
 */
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Commands on the way per connection. Large values are bounded by the lane; probes are small, and all go at once. */
enum { COMMANDS = 64 };

static const kvt_ns default_timeout_ns = 10 * KVT_SECOND;
static const kvt_ns connect_timeout_ns = 2 * KVT_SECOND;
static const kvt_ns hello_ns = 5 * KVT_SECOND;
static const kvt_ns breaker_pause_ns = 100 * KVT_MILLISECOND, breaker_most_ns = 5 * KVT_SECOND;

static int refuse(char *why, size_t size, int rc, const char *what)
{
    snprintf(why, size, "%s: %s", what, strerror(-rc));
    return rc;
}

/* ---- Construction ---------------------------------------------------------------------------- */

/* The pool's size can be set before its first use only; a user's own setting goes first. */
static void set_threads(struct be_world *w)
{
    char text[16];
    size_t n = sizeof text;
    if (w->config.threads == 0) {
        const long online = sysconf(_SC_NPROCESSORS_ONLN);
        w->config.threads = online < 1 ? 2 : (uint32_t)online + 1; /* one is kept for loads */
    }
    if (uv_os_getenv("UV_THREADPOOL_SIZE", text, &n) == UV_ENOENT) {
        snprintf(text, sizeof text, "%u", w->config.threads);
        uv_os_setenv("UV_THREADPOOL_SIZE", text);
    }
    if (w->config.threads < 2)
        w->config.threads = 2;
}

static int open_device(struct be_world *w, char *why, size_t size)
{
    const struct be_device_config config = {.geometry = be_shard_geometry(&w->config),
                                            .pools = w->config.engines * w->config.gpus_per_engine};
    return be_device_open(&w->device, w->config.device, &config, why, size);
}

struct hello {
    uint32_t due;
    char *why;
    size_t size;
    int rc;
    const struct be_world *world;
};

static void on_hello(void *self, uint64_t node, const struct be_reply *reply)
{
    struct hello *h = self;
    char address[512];
    h->due--;
    if (reply->status == KVT_OK && reply->kind != BE_REPLY_ERROR)
        return;
    struct be_redis_stats stats;
    be_redis_stats(h->world->redis, (uint32_t)node, &stats);
    be_redis_address_show(&h->world->config.redis.nodes[node], address, sizeof address);
    if (reply->status == KVT_OK)
        snprintf(h->why, h->size, "redis %.200s: %.*s", address,
                 (int)(reply->bytes_b < 200 ? reply->bytes_b : 200), reply->bytes);
    else
        snprintf(h->why, h->size, "redis %.200s: expected a server that answers PING: %s", address,
                 stats.refusal[0] ? stats.refusal : kvt_status_name(reply->status));
    h->rc = -EHOSTUNREACH;
}

/* Every node has to answer once: a run whose address is wrong should not begin. */
static int greet(struct be_world *w, char *why, size_t size)
{
    static const char *const argv[] = {"PING"};
    static const size_t argv_b[] = {4};
    struct hello h = {.why = why, .size = size, .world = w};
    const uint64_t end = uv_hrtime() + hello_ns;
    for (uint32_t i = 0; i < w->config.redis.n_nodes; i++) {
        uint64_t handle;
        const struct be_redis_command command = {.node = i,
                                                 .argc = 1,
                                                 .argv = argv,
                                                 .argv_b = argv_b,
                                                 .deadline_ns = end,
                                                 .expect = 1u << BE_REPLY_STATUS,
                                                 .fn = on_hello,
                                                 .self = &h,
                                                 .arg = i};
        const int rc = be_redis_send(w->redis, &command, &handle);
        if (rc == 0)
            h.due++;
        else if (h.rc == 0)
            h.rc = refuse(why, size, rc, "redis");
    }
    while (h.due)
        uv_run(&w->loop, UV_RUN_ONCE);
    return h.rc;
}

static int open_redis(struct be_world *w, char *why, size_t size)
{
    if (!w->config.tiers[KVT_REDIS])
        return 0;
    const struct lane *lane = &w->lanes[KVT_REDIS];
    const struct be_redis_config config = {
        .nodes = w->config.redis.nodes,
        .n_nodes = w->config.redis.n_nodes,
        .connections = w->config.redis.connections,
        .depth = COMMANDS,
        .max_value_b = lane->value_room > 1 << 20 ? lane->value_room : 1 << 20,
        .connect_timeout_ns = connect_timeout_ns,
        .breaker_pause_ns = breaker_pause_ns,
        .breaker_most_ns = breaker_most_ns,
    };
    w->nodes = calloc(config.n_nodes, sizeof *w->nodes);
    if (!w->nodes)
        return refuse(why, size, -ENOMEM, "redis");
    for (uint32_t i = 0; i < config.n_nodes; i++)
        w->nodes[i].up = true;
    w->nodes_up = config.n_nodes;
    int rc = 0;
    w->redis = be_redis_new(&w->loop, &config, &rc);
    if (!w->redis)
        return refuse(why, size, rc, "redis");
    be_redis_watch(w->redis, be_redis_node_changed, w);
    return greet(w, why, size);
}

static int open_disks(struct be_world *w, char *why, size_t size)
{
    if (!w->config.tiers[KVT_DISK])
        return 0;
    w->folder = strdup(w->config.disk.folder);
    if (!w->folder)
        return refuse(why, size, -ENOMEM, "disk");
    w->folder_made = mkdir(w->folder, 0777) == 0;
    if (!w->folder_made && errno != EEXIST)
        return refuse(why, size, -errno, w->folder);
    for (uint32_t i = 0; i < w->config.engines; i++) {
        char folder[PATH_MAX];
        struct be_disk_config config = w->config.disk;
        int rc = -ENAMETOOLONG;
        if ((size_t)snprintf(folder, sizeof folder, "%s/engine-%u", config.folder, i) >=
            sizeof folder)
            return refuse(why, size, rc, "disk");
        config.folder = folder;
        w->engines[i].disk = be_disk_open(&config, &rc, why, size);
        if (!w->engines[i].disk)
            return rc;
    }
    return 0;
}

static int open_lanes(struct be_world *w)
{
    for (int tier = 0; tier < KVT_TIERS; tier++)
        if (w->config.tiers[tier] && (tier != KVT_GPU || be_sharded(w)) &&
            be_lane_init(w, (enum kvt_tier_kind)tier) != 0)
            return -ENOMEM;
    return w->config.tiers[KVT_HOST] ? be_host_init(w) : 0;
}

static const char *wrong_shards(const struct be_world_config *c)
{
    const struct kvt_shard_config *s = &c->shard;
    if (kvt_shard_check(s))
        return kvt_shard_check(s);
    if (s->policy->splits == KVT_SPLIT_HEAD || s->access != KVT_ACCESS_GATHER)
        return "expected shards that are gathered: by sequence, by layer, or both";
    if (s->gpus != c->gpus_per_engine || s->layers != c->geometry.layers ||
        s->block_tokens != c->block_tokens || c->cells == 0)
        return "expected shards of the engine's own GPUs, layers and blocks, and cells for them";
    if (c->tiers[KVT_PEER])
        return "a sharded gpu tier is not lent to peers";
    if (c->block_tokens / c->geometry.page_tokens > PAGES_MOST)
        return "expected blocks of at most 256 pages where they are sharded";
    return NULL;
}

static const char *wrong_config(const struct be_world_config *c)
{
    if (c->engines == 0 || c->gpus_per_engine == 0 || c->geometry.page_tokens == 0 ||
        c->block_tokens == 0 || c->block_tokens % c->geometry.page_tokens)
        return "expected engines, GPUs, and a block that is a multiple of the page";
    if (c->tiers[KVT_PEER] && c->engines < 2)
        return "expected another engine for the peer tier";
    if (c->tiers[KVT_REDIS] && c->redis.n_nodes == 0)
        return "expected at least one Redis node";
    if (c->tiers[KVT_REDIS] && c->redis.layout == BE_PER_LAYER && c->gpus_per_engine > 1)
        return "layout per-layer: expected one GPU per engine, since its keys know no shards";
    if (!c->compute.step_ns || !c->compute.iterations_by)
        return "expected a model of compute";
    return c->shard.policy ? wrong_shards(c) : NULL;
}

static int build(struct be_world *w, char *why, size_t size)
{
    set_threads(w);
    w->pages_per_block = w->config.block_tokens / w->config.geometry.page_tokens;
    int rc = uv_loop_init(&w->loop);
    if (rc != 0)
        return refuse(why, size, rc, "event loop");
    w->loop_open = true;
    be_workers_init(&w->workers, &w->loop, w->config.threads, w);
    rc = be_world_open_clock(w);
    if (rc != 0)
        return refuse(why, size, rc, "timer");
    w->engines = calloc(w->config.engines, sizeof *w->engines);
    if (!w->engines)
        return refuse(why, size, -ENOMEM, "engines");
    rc = open_device(w, why, size);
    if (rc != 0)
        return rc;
    rc = be_shard_init(w);
    if (rc != 0)
        return refuse(why, size, rc, "shards");
    rc = open_lanes(w);
    if (rc != 0)
        return refuse(why, size, rc, "staging");
    rc = open_disks(w, why, size);
    return rc ? rc : open_redis(w, why, size);
}

struct be_world *be_world_new(const struct be_world_config *config,
                              const struct kvt_observer *observer, int *error, char *why,
                              size_t size)
{
    const char *wrong = wrong_config(config);
    struct be_world *w = wrong ? NULL : calloc(1, sizeof *w);
    if (!w) {
        *error = wrong ? -EINVAL : -ENOMEM;
        snprintf(why, size, "%s", wrong ? wrong : "out of memory");
        return NULL;
    }
    w->config = *config;
    w->observer = observer;
    w->clock_fd = -1;
    if (w->config.redis.timeout_ns == 0 || w->config.redis.timeout_ns == KVT_NEVER)
        w->config.redis.timeout_ns = default_timeout_ns;
    *error = build(w, why, size);
    w->config.redis.nodes = NULL; /* borrowed until here */
    if (*error == 0)
        return w;
    be_world_free(w);
    return NULL;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void on_poll_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void run_dry(struct be_world *w)
{
    if (w->redis)
        be_redis_close(w->redis, NULL, NULL);
    w->redis = NULL;
    if (w->poll_open)
        uv_close((uv_handle_t *)&w->clock_poll, on_poll_closed);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    const int rc = uv_loop_close(&w->loop);
    assert(rc == 0);
    (void)rc;
}

void be_world_free(struct be_world *w)
{
    if (!w)
        return;
    w->closing = true;
    be_workers_forget(&w->workers);
    if (w->loop_open)
        run_dry(w);
    for (uint32_t i = 0; w->engines && i < w->config.engines; i++)
        be_disk_close(w->engines[i].disk);
    if (w->folder_made && !w->config.disk.keep)
        rmdir(w->folder);
    free(w->folder);
    if (w->device.ops) {
        be_host_release(w);
        for (int tier = 0; tier < KVT_TIERS; tier++)
            be_lane_release(w, (enum kvt_tier_kind)tier);
        w->device.ops->free(w->device.self);
    }
    be_step_release(w);
    be_shard_release(w);
    for (uint32_t i = 0; i < w->n_ops; i++) {
        free(w->ops[i]->blocks);
        free(w->ops[i]->pages);
        free(w->ops[i]->from_pages);
        free(w->ops[i]);
    }
    if (w->clock_fd >= 0)
        close(w->clock_fd);
    free(w->ops);
    free(w->engines);
    free(w->nodes);
    free(w->timers);
    free(w);
}

/* ---- Looking --------------------------------------------------------------------------------- */

void be_world_stats(const struct be_world *w, struct be_world_stats *stats)
{
    *stats = w->stats;
}

struct be_workers_stats be_world_workers(const struct be_world *w, uint32_t *threads)
{
    *threads = w->workers.threads;
    return w->workers.stats;
}

void be_world_node(const struct be_world *w, uint32_t node, struct be_node_stats *stats)
{
    *stats = w->nodes[node].stats;
}

static bool asking(const struct be_world *w)
{
    for (uint32_t i = 0; i < w->config.redis.n_nodes; i++)
        if (w->nodes[i].asking)
            return true;
    return false;
}

void be_world_ask(struct be_world *w)
{
    if (!w->redis)
        return;
    be_redis_ask_all(w);
    while (asking(w)) /* each has a deadline of a second */
        uv_run(&w->loop, UV_RUN_ONCE);
}

void be_world_redis(const struct be_world *w, uint32_t node, struct be_redis_stats *stats)
{
    be_redis_stats(w->redis, node, stats);
}

void be_world_disk(const struct be_world *w, uint32_t engine, struct be_disk_stats *stats)
{
    be_disk_stats(w->engines[engine].disk, stats);
}

const struct be_device *be_world_device(const struct be_world *w)
{
    return &w->device;
}
