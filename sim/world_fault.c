/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_fault.c - conditions of parts (fault.h): who can be reached, what that does to what is under way, how slow
 * things are, and what a replica has.
 *
 * A link has two reasons to be slow: the part that it belongs to, and itself. Its capacity is the usual one divided
 * by both, so the order in which they come and go does not matter.
 */
#include "world_fault.h"

#include <math.h>
#include <string.h>

#include "../core/key.h"
#include "../core/mix.h"

/* A write on its way to the replica. */
struct sent {
    kvt_key key;
    kvt_ns there_ns;
};

/* Writes that the replica of a node does not have yet, the oldest first: a ring. */
struct replica {
    struct sent *ring;
    uint32_t head, n, room; /* room: a power of two, or 0 */
    kvt_ns free_ns;         /* its NIC has taken what was sent before */
};

struct sim_faults {
    struct sim_condition *of[SIM_AT_LINK]; /* by kind, then number */
    uint32_t n[SIM_AT_LINK];
    double *part_slow, *own_slow, *usual_bps; /* by link */
    struct kvt_breaker *breakers;             /* by engine, then node */
    struct replica *replicas;                 /* by node; NULL without */
    uint64_t random;
};

/* ---- Building ------------------------------------------------------------------------------------ */

static void *take(struct sim_world *w, size_t n, size_t item_b)
{
    void *memory = w->alloc->get(w->alloc->self, n * item_b + 1);
    if (memory)
        memset(memory, 0, n * item_b);
    return memory;
}

static void give(struct sim_world *w, void *memory, size_t n, size_t item_b)
{
    if (memory)
        w->alloc->put(w->alloc->self, memory, n * item_b + 1);
}

static bool take_arrays(struct sim_world *w, struct sim_faults *f)
{
    const struct sim_config *c = &w->config;
    const uint32_t links = w->links.n_links;
    bool ok = true;
    for (int at = 0; at < SIM_AT_LINK; at++) {
        f->n[at] = at == SIM_AT_REDIS ? c->redis.nodes : c->engines;
        f->of[at] = take(w, f->n[at], sizeof **f->of);
        ok = ok && f->of[at];
    }
    f->part_slow = take(w, links, sizeof *f->part_slow);
    f->own_slow = take(w, links, sizeof *f->own_slow);
    f->usual_bps = take(w, links, sizeof *f->usual_bps);
    f->breakers = take(w, (size_t)c->engines * c->redis.nodes, sizeof *f->breakers);
    if (c->redis.replicated)
        f->replicas = take(w, c->redis.nodes, sizeof *f->replicas);
    return ok && f->part_slow && f->own_slow && f->usual_bps && f->breakers &&
           (f->replicas || !c->redis.replicated);
}

bool sim_faults_build(struct sim_world *w)
{
    const struct sim_config *c = &w->config;
    struct sim_faults *f = w->faults = take(w, 1, sizeof *f);
    if (!f || !take_arrays(w, f))
        return false;
    for (int at = 0; at < SIM_AT_LINK; at++)
        for (uint32_t i = 0; i < f->n[at]; i++)
            f->of[at][i] = sim_condition_none();
    for (uint32_t i = 0; i < w->links.n_links; i++)
        f->part_slow[i] = f->own_slow[i] = 1;
    for (size_t i = 0; i < (size_t)c->engines * c->redis.nodes; i++)
        kvt_breaker_init(&f->breakers[i], KVT_BREAKER_FAILURES, KVT_BREAKER_PAUSE_NS,
                         KVT_BREAKER_MOST_NS);
    for (uint32_t p = 0; p < sim_world_parts(w); p++) {
        uint32_t link;
        double bps;
        if (sim_part_link(w, p, &link, &bps))
            f->usual_bps[link] = bps;
    }
    f->random = kvt_stream_seed(c->seed, "fault corrupt", 0);
    return true;
}

void sim_faults_release(struct sim_world *w)
{
    struct sim_faults *f = w->faults;
    const struct sim_config *c = &w->config;
    const uint32_t links = w->links.n_links;
    if (!f)
        return;
    for (int at = 0; at < SIM_AT_LINK; at++)
        give(w, f->of[at], f->n[at], sizeof **f->of);
    give(w, f->part_slow, links, sizeof *f->part_slow);
    give(w, f->own_slow, links, sizeof *f->own_slow);
    give(w, f->usual_bps, links, sizeof *f->usual_bps);
    give(w, f->breakers, (size_t)c->engines * c->redis.nodes, sizeof *f->breakers);
    for (uint32_t i = 0; f->replicas && i < c->redis.nodes; i++)
        give(w, f->replicas[i].ring, f->replicas[i].room, sizeof *f->replicas[i].ring);
    give(w, f->replicas, c->redis.nodes, sizeof *f->replicas);
    give(w, f, 1, sizeof *f);
    w->faults = NULL;
}

/* ---- Who answers --------------------------------------------------------------------------------- */

static struct kvt_breaker *breaker_of(const struct sim_world *w, uint32_t engine, uint32_t node)
{
    return &w->faults->breakers[(size_t)engine * w->config.redis.nodes + node];
}

static void open_breaker(struct kvt_breaker *b, kvt_ns now)
{
    while (b->state != KVT_BREAKER_OPEN && !kvt_breaker_failed(b, now)) {
    }
}

static bool is_cut(const struct sim_world *w, uint32_t engine, uint32_t node)
{
    const struct sim_faults *f = w->faults;
    return f->of[SIM_AT_REDIS][node].cut || f->of[SIM_AT_NETWORK][engine].cut;
}

/* No answer can come before the deadline: there is none, or it is later than that by the condition alone. */
static bool is_silent(const struct sim_world *w, uint32_t engine, uint32_t node)
{
    const kvt_ns timeout_ns = w->config.redis.timeout_ns;
    return is_cut(w, engine, node) ||
           (timeout_ns != KVT_NEVER && sim_fault_late_ns(w, engine, node) >= timeout_ns);
}

enum sim_reach sim_fault_reach(const struct sim_world *w, uint32_t engine, uint32_t node)
{
    const struct sim_faults *f = w->faults;
    if (engine >= w->config.engines)
        return SIM_REACHED; /* nobody's: a deletion */
    const bool silent = is_silent(w, engine, node);
    const bool dead =
        f->of[SIM_AT_REDIS][node].dead || (silent && w->config.redis.timeout_ns == KVT_NEVER);
    struct kvt_breaker *b = breaker_of(w, engine, node);
    if (dead)
        open_breaker(b, w->now);
    /* Connections are tried when a pause is over, whoever asks. */
    while (b->state == KVT_BREAKER_OPEN) {
        const kvt_ns tried_ns = b->until_ns;
        if (!kvt_breaker_try(b, w->now))
            return SIM_REFUSED;
        if (!dead && !silent)
            kvt_breaker_connected(b);
        else
            open_breaker(b, tried_ns);
    }
    return silent ? SIM_SILENT : SIM_REACHED;
}

void sim_fault_unanswered(struct sim_world *w, const struct op *op)
{
    for (uint32_t i = 0; i < op->n_blocks && op->engine < w->config.engines; i++) {
        const uint32_t node = kvt_key_server(op->blocks[i].key, w->config.redis.nodes);
        if (is_silent(w, op->engine, node) &&
            kvt_breaker_failed(breaker_of(w, op->engine, node), w->now))
            w->stats.breakers_opened++;
    }
}

void sim_fault_answered(struct sim_world *w, uint32_t engine, uint32_t node)
{
    if (engine < w->config.engines)
        kvt_breaker_answered(breaker_of(w, engine, node));
}

bool sim_fault_peer_cut(const struct sim_world *w, uint32_t engine, uint32_t from)
{
    const struct sim_condition *net = w->faults->of[SIM_AT_NETWORK];
    return net[engine].cut || net[from].cut;
}

/* ---- What it is like ----------------------------------------------------------------------------- */

static double draw(struct sim_faults *f)
{
    f->random += UINT64_C(0x9e3779b97f4a7c15);
    return (double)(kvt_mix64(f->random) >> 11) * 0x1p-53;
}

/* Whether a value that is read fails its check, at the one end or on the way. */
static bool spoiled(struct sim_faults *f, double here, double way)
{
    const double share = 1 - (1 - here) * (1 - way);
    return share > 0 && draw(f) < share;
}

bool sim_fault_value_corrupt(struct sim_world *w, uint32_t engine, uint32_t node)
{
    struct sim_faults *f = w->faults;
    return spoiled(f, f->of[SIM_AT_REDIS][node].corrupt, f->of[SIM_AT_NETWORK][engine].corrupt);
}

bool sim_fault_block_corrupt(struct sim_world *w, enum kvt_tier_kind tier, uint32_t engine)
{
    struct sim_faults *f = w->faults;
    if (tier == KVT_PEER)
        return spoiled(f, 0, f->of[SIM_AT_NETWORK][engine].corrupt);
    if (tier != KVT_HOST && tier != KVT_DISK)
        return false;
    return spoiled(f, f->of[tier == KVT_HOST ? SIM_AT_HOST : SIM_AT_DISK][engine].corrupt, 0);
}

bool sim_fault_full(const struct sim_world *w, enum kvt_tier_kind tier, uint32_t number)
{
    const struct sim_faults *f = w->faults;
    return tier == KVT_REDIS  ? f->of[SIM_AT_REDIS][number].full
           : tier == KVT_HOST ? f->of[SIM_AT_HOST][number].full
           : tier == KVT_DISK ? f->of[SIM_AT_DISK][number].full
                              : false;
}

static kvt_ns times(kvt_ns ns, double by)
{
    return by == 1 ? ns : (kvt_ns)ceil((double)ns * by);
}

kvt_ns sim_fault_command_ns(const struct sim_world *w, uint32_t node, kvt_ns usual_ns)
{
    return w->faults ? times(usual_ns, w->faults->of[SIM_AT_REDIS][node].slow) : usual_ns;
}

kvt_ns sim_fault_disk_ns(const struct sim_world *w, uint32_t engine, kvt_ns usual_ns)
{
    if (!w->faults)
        return usual_ns;
    const struct sim_condition *c = &w->faults->of[SIM_AT_DISK][engine];
    return kvt_ns_add(times(usual_ns, c->slow), c->late_ns);
}

kvt_ns sim_fault_copy_ns(const struct sim_world *w, uint32_t engine, kvt_ns usual_ns)
{
    return w->faults ? times(usual_ns, w->faults->of[SIM_AT_HOST][engine].slow) : usual_ns;
}

double sim_fault_step_slow(const struct sim_world *w, uint32_t engine)
{
    return w->faults ? w->faults->of[SIM_AT_GPU][engine].slow : 1;
}

kvt_ns sim_fault_late_ns(const struct sim_world *w, uint32_t engine, uint32_t node)
{
    const struct sim_faults *f = w->faults;
    const kvt_ns way_ns = engine < w->config.engines ? f->of[SIM_AT_NETWORK][engine].late_ns : 0;
    return kvt_ns_add(f->of[SIM_AT_REDIS][node].late_ns, way_ns);
}

/* ---- Replicas ------------------------------------------------------------------------------------ */

void sim_fault_written(struct sim_world *w, uint32_t node, kvt_key key, uint64_t stored_b)
{
    struct replica *r = w->faults->replicas ? &w->faults->replicas[node] : NULL;
    if (!r)
        return;
    while (r->n > 0 && r->ring[r->head].there_ns <= w->now) {
        r->head = (r->head + 1) & (r->room - 1);
        r->n--;
    }
    if (r->n == r->room) {
        const uint32_t room = r->room ? 2 * r->room : 64;
        struct sent *ring = take(w, room, sizeof *ring);
        if (!ring) {
            w->broken = w->broken ? w->broken : -ENOMEM;
            return;
        }
        for (uint32_t i = 0; i < r->n; i++)
            ring[i] = r->ring[(r->head + i) & (r->room - 1)];
        give(w, r->ring, r->room, sizeof *r->ring);
        r->ring = ring;
        r->head = 0;
        r->room = room;
    }
    const kvt_ns from_ns = r->free_ns > w->now ? r->free_ns : w->now;
    r->free_ns =
        kvt_ns_add(from_ns, (kvt_ns)ceil((double)stored_b * 1e9 / w->config.redis.nic_bps));
    r->ring[(r->head + r->n++) & (r->room - 1)] =
        (struct sent){.key = key, .there_ns = kvt_ns_add(r->free_ns, w->config.network.rtt_ns / 2)};
}

void sim_world_lose(struct sim_world *world, uint32_t node, bool all)
{
    struct sim_world *w = world;
    struct replica *r = w->faults->replicas ? &w->faults->replicas[node] : NULL;
    struct sim_redis_node *keys = w->nodes[node].keys;
    struct sim_redis_stats before, after;
    sim_redis_node_stats(keys, &before);
    if (all)
        sim_redis_node_flush(keys);
    for (uint32_t i = 0; r && i < r->n; i++) {
        const struct sent *sent = &r->ring[(r->head + i) & (r->room - 1)];
        if (!all && sent->there_ns > w->now)
            sim_redis_node_del(keys, w->now, sent->key);
    }
    if (r)
        r->n = 0;
    sim_redis_node_stats(keys, &after);
    w->stats.keys_lost += before.keys - after.keys;
}

/* ---- Setting ------------------------------------------------------------------------------------- */

static void set_link(struct sim_world *w, uint32_t link)
{
    const struct sim_faults *f = w->faults;
    const int rc =
        sim_links_set_capacity(&w->links, w->now, link,
                               f->usual_bps[link] / (f->part_slow[link] * f->own_slow[link]));
    if (rc < 0 && !w->broken)
        w->broken = rc;
}

static void slow_part(struct sim_world *w, const uint32_t *links, uint32_t n, double slow)
{
    for (uint32_t i = 0; i < n; i++) {
        if (w->faults->part_slow[links[i]] == slow)
            continue;
        w->faults->part_slow[links[i]] = slow;
        set_link(w, links[i]);
    }
}

static void slow_links(struct sim_world *w, enum sim_at at, uint32_t number, double slow)
{
    const struct sim_config *c = &w->config;
    if (at == SIM_AT_REDIS) {
        const struct node *n = &w->nodes[number];
        slow_part(w, (const uint32_t[]){n->process, n->nic_rx, n->nic_tx}, 3, slow);
        return;
    }
    const struct engine *e = &w->engines[number];
    if (at == SIM_AT_NETWORK && (c->redis.nodes > 0 || c->peer.present))
        slow_part(w, (const uint32_t[]){e->nic_rx, e->nic_tx}, 2, slow);
    else if (at == SIM_AT_HOST)
        slow_part(w, (const uint32_t[]){e->h2d, e->d2h}, 2, slow);
    else if (at == SIM_AT_DISK && c->disk.channels > 0)
        slow_part(w, (const uint32_t[]){e->disk_read, e->disk_write}, 2, slow);
}

/* The tier of an engine that a kind of part is. */
static enum kvt_tier_kind tier_at(enum sim_at at)
{
    return at == SIM_AT_HOST ? KVT_HOST : at == SIM_AT_DISK ? KVT_DISK : KVT_GPU;
}

/* What is under way when a node, or all of them as one engine sees them, goes. */
static void interrupt(struct sim_world *w, enum sim_at at, uint32_t number, bool dead)
{
    for (uint32_t e = 0; dead && e < w->config.engines; e++)
        open_breaker(breaker_of(w, e, number), w->now);
    sim_op_interrupt(w, at == SIM_AT_REDIS ? number : KVT_NONE,
                     at == SIM_AT_NETWORK ? number : KVT_NONE,
                     dead || w->config.redis.timeout_ns == KVT_NEVER);
}

void sim_world_condition(struct sim_world *world, enum sim_at at, uint32_t number,
                         const struct sim_condition *condition)
{
    struct sim_world *w = world;
    struct sim_faults *f = w->faults;
    assert(f && condition->slow > 0 && condition->corrupt >= 0 && condition->corrupt <= 1);
    if (at == SIM_AT_LINK) {
        uint32_t link;
        double bps;
        if (sim_part_link(w, number, &link, &bps)) {
            f->own_slow[link] = condition->slow;
            set_link(w, link);
        }
        return;
    }
    assert(number < f->n[at]);
    struct sim_condition *c = &f->of[at][number];
    const struct sim_condition was = *c;
    *c = *condition;
    slow_links(w, at, number, c->slow);
    const bool off = c->dead || c->cut, was_off = was.dead || was.cut;
    if (at == SIM_AT_REDIS || at == SIM_AT_NETWORK) {
        if ((c->dead && !was.dead) || (c->cut && !was.cut))
            interrupt(w, at, number, c->dead);
    } else if (off != was_off) {
        sim_world_set_down(w, tier_at(at), (kvt_engine_id){number}, off);
    }
}

uint32_t sim_world_link_named(const struct sim_world *world, const char *name)
{
    for (uint32_t p = 0; p < sim_world_parts(world); p++) {
        struct sim_part_stats stats;
        uint32_t link;
        double bps;
        sim_world_part(world, p, &stats);
        if (strcmp(stats.name, name) == 0)
            return sim_part_link(world, p, &link, &bps) ? p : UINT32_MAX;
    }
    return UINT32_MAX;
}
