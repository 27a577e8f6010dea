/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * faults.c - the scenario's faults against the cluster: is there such a part, can that happen to it, in this world?
 */
#include "faults.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "resolve.h"

#define BIT(kind) (1u << (kind))

/* Names of targets, and what can happen to each. */
static const struct {
    const char *name;
    enum fault_at at;
    uint32_t kinds;
    const char *expected;
} targets[] = {
    {"redis", FAULT_REDIS,
     BIT(FAULT_KILL) | BIT(FAULT_PARTITION) | BIT(FAULT_SLOW) | BIT(FAULT_CORRUPT) |
         BIT(FAULT_FULL),
     ""},
    {"host", FAULT_HOST, BIT(FAULT_KILL) | BIT(FAULT_SLOW) | BIT(FAULT_CORRUPT) | BIT(FAULT_FULL),
     "kill, slow, corrupt or full: an engine's memory cannot be cut off from it"},
    {"disk", FAULT_DISK,
     BIT(FAULT_KILL) | BIT(FAULT_PARTITION) | BIT(FAULT_SLOW) | BIT(FAULT_CORRUPT) |
         BIT(FAULT_FULL),
     ""},
    {"gpu", FAULT_GPU, BIT(FAULT_KILL) | BIT(FAULT_SLOW), "kill or slow"},
    {"engine", FAULT_ENGINE, BIT(FAULT_KILL),
     "kill; what happens to its parts: gpu/E, host/E, network/E"},
    {"network", FAULT_NETWORK, BIT(FAULT_PARTITION) | BIT(FAULT_SLOW) | BIT(FAULT_CORRUPT),
     "partition, slow or corrupt"},
};

static const char known[] =
    "redis, redis/N, host/E, disk/E, gpu/E, gpu/E.G, engine/E, network/E, or a "
    "link such as redis0/nic_tx";

kvt_ns failover_least_ns(const struct catalog_redis_failover *f)
{
    return (kvt_ns)(f->detect_ns.number + f->elect_ns.number + f->promote_ns.number);
}

kvt_ns failover_spread_ns(const struct catalog_redis_failover *f)
{
    return (kvt_ns)(f->ping_ns.number + f->quorum_ns.number);
}

__attribute__((format(printf, 5, 6))) static int
refuse(const struct scenario *s, uint32_t i, const char *key, char *error, const char *format, ...)
{
    char want[180];
    va_list args;
    va_start(args, format);
    vsnprintf(want, sizeof want, format, args);
    va_end(args);
    return scenario_refuse_fault(s, i, key, want, error);
}

static const char *kind_of(const struct fault *f)
{
    return scenario_fault_kinds[f->kind];
}

/* ---- Targets --------------------------------------------------------------------------------------- */

/* Reads a number below `most` that ends at one of `ends`; UINT32_MAX when there is none. */
static uint32_t number(const char **text, const char *ends)
{
    char *end;
    if (**text < '0' || **text > '9')
        return UINT32_MAX;
    errno = 0;
    const unsigned long value = strtoul(*text, &end, 10);
    if (errno || value >= UINT32_MAX || !strchr(ends, *end))
        return UINT32_MAX;
    *text = end;
    return (uint32_t)value;
}

/* "engine0/nic_rx", "redis3/process". */
static bool is_link(const struct resolved *r, const char *target)
{
    static const char *const of_engine[] = {"h2d",    "d2h",       "nic_rx",
                                            "nic_tx", "disk_read", "disk_write"};
    static const char *const of_node[] = {"process", "nic_rx", "nic_tx"};
    const bool redis = strncmp(target, "redis", 5) == 0;
    if (!redis && strncmp(target, "engine", 6) != 0)
        return false;
    const char *at = target + (redis ? 5 : 6);
    const uint32_t i = number(&at, "/");
    const bool networked = r->sim.redis.nodes > 0 || r->sim.peer.present;
    for (size_t k = 0; i != UINT32_MAX && k < (redis ? 3 : 6); k++) {
        if (strcmp(at + 1, redis ? of_node[k] : of_engine[k]) != 0)
            continue;
        return redis   ? i < r->sim.redis.nodes
               : k < 2 ? i < r->sim.engines
               : k < 4 ? networked && i < r->sim.engines
                       : r->sim.disk.channels > 0 && i < r->sim.engines;
    }
    return false;
}

/* Parts of a kind that there are; 0 with the key that would bring some. */
static uint32_t parts_of(const struct resolved *r, enum fault_at at, const char **missing)
{
    const bool networked = r->sim.redis.nodes > 0 || r->sim.peer.present;
    *missing = at == FAULT_REDIS     ? "a redis tier"
               : at == FAULT_HOST    ? "a host tier"
               : at == FAULT_DISK    ? "a disk tier"
               : at == FAULT_NETWORK ? "a redis or peer tier"
                                     : "";
    switch (at) {
    case FAULT_REDIS:
        return r->core.tiers[KVT_REDIS].present ? r->sim.redis.nodes : 0;
    case FAULT_HOST:
        return r->core.tiers[KVT_HOST].present ? r->core.engines : 0;
    case FAULT_DISK:
        return r->core.tiers[KVT_DISK].present ? r->core.engines : 0;
    case FAULT_NETWORK:
        return networked ? r->core.engines : 0;
    default:
        return r->core.engines;
    }
}

static int find_shard(const struct resolved *r, const struct scenario *s, uint32_t i,
                      struct fault *f, const char *text, char *error)
{
    const char *key = kind_of(f);
    const uint32_t gpus = (uint32_t)s->cluster.gpus_per_engine;
    f->gpu = number(&text, "");
    f->at = FAULT_SHARD;
    if (f->kind != FAULT_KILL)
        return refuse(s, i, key, error, "expected gpu/%u: only kill is for one GPU of an engine",
                      f->first);
    if (!r->core.shard.policy)
        return refuse(s, i, key, error,
                      "expected gpu/%u, all of the engine's: without cache.shard a dead GPU takes "
                      "the others with it",
                      f->first);
    if (f->gpu >= gpus)
        return refuse(s, i, key, error, "expected gpu/%u.0 to gpu/%u.%u, the GPUs of an engine",
                      f->first, f->first, gpus - 1);
    if (f->for_ns != KVT_NEVER)
        return refuse(s, i, "for", error,
                      "expected to be left out: a spare takes the place of %.40s at once",
                      f->target);
    return 0;
}

static int find_target(const struct resolved *r, const struct scenario *s, uint32_t i,
                       struct fault *f, char *error)
{
    const char *key = kind_of(f), *missing;
    const size_t len = strcspn(f->target, "/");
    if (is_link(r, f->target)) {
        f->at = FAULT_LINK;
        return f->kind == FAULT_SLOW
                   ? 0
                   : refuse(s, i, key, error, "expected slow: a link can be slow, and no more");
    }
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        const char *at = f->target + len;
        if (strlen(targets[t].name) != len || strncmp(f->target, targets[t].name, len) != 0)
            continue;
        f->at = targets[t].at;
        f->n = parts_of(r, f->at, &missing);
        if (f->n == 0)
            return refuse(s, i, key, error,
                          "expected a target that there is: this cluster lacks %s", missing);
        if (!(targets[t].kinds & BIT(f->kind)))
            return refuse(s, i, key, error, "expected another kind for %.40s: %s", f->target,
                          targets[t].expected);
        if (*at == '\0')
            return 0;
        at++;
        f->first = number(&at, f->at == FAULT_GPU ? "." : "");
        if (f->first >= f->n)
            return refuse(s, i, key, error, "expected %s/0 to %s/%u, or %s for all of them",
                          targets[t].name, targets[t].name, f->n - 1, targets[t].name);
        f->n = 1;
        return *at == '.' ? find_shard(r, s, i, f, at + 1, error) : 0;
    }
    return refuse(s, i, key, error, "expected a target: %s", known);
}

/* ---- Worlds ---------------------------------------------------------------------------------------- */

static int check_world(const struct resolved *r, const struct scenario *s, uint32_t i,
                       const struct fault *f, char *error)
{
    const char *key = kind_of(f);
    const bool whole = f->kind == FAULT_KILL || f->kind == FAULT_PARTITION;
    const bool all_redis = f->at != FAULT_REDIS || f->n == r->sim.redis.nodes;
    if (s->world == WORLD_NULL && (!whole || f->at == FAULT_NETWORK || !all_redis))
        return refuse(s, i, key, error,
                      "expected kill or partition of a whole tier or engine: the null world has "
                      "no time and no servers");
    if (s->world == WORLD_REAL && (!whole || f->at != FAULT_REDIS))
        return refuse(s, i, key, error,
                      "expected kill or partition of redis: the real world breaks only servers of "
                      "its own");
    if (s->world == WORLD_REAL && strcmp(s->cache.tiers[KVT_REDIS].address, "spawn") != 0)
        return refuse(s, i, key, error,
                      "expected cache.tiers.redis.address: spawn, since servers of others are left "
                      "alone");
    if (s->world == WORLD_SIM && r->sim.machine.workers > 0 && f->kind == FAULT_SLOW &&
        f->at != FAULT_GPU)
        return refuse(s, i, key, error,
                      "expected another kind: this host is one machine, simulated with its "
                      "workers, which have no links to slow");
    if (f->kind == FAULT_PARTITION && s->world == WORLD_SIM && f->at != FAULT_DISK &&
        r->sim.redis.nodes > 0 && r->sim.redis.timeout_ns == KVT_NEVER)
        return refuse(s, i, key, error,
                      "expected cache.tiers.redis.timeout, such as 1s, to be set: what is "
                      "partitioned never answers");
    return 0;
}

/* ---- Times ----------------------------------------------------------------------------------------- */

/* Down together: kinds that take a part away. */
static bool takes_away(const struct fault *f)
{
    return f->kind == FAULT_KILL || f->kind == FAULT_PARTITION;
}

static bool same_part(const struct fault *a, const struct fault *b)
{
    if (a->first >= b->first + b->n || b->first >= a->first + a->n)
        return false;
    const bool on_engine[] = {[FAULT_GPU] = true,
                              [FAULT_HOST] = true,
                              [FAULT_SHARD] = true,
                              [FAULT_ENGINE] = true,
                              [FAULT_LINK] = false};
    if (a->at == FAULT_SHARD && b->at == FAULT_SHARD)
        return a->gpu == b->gpu;
    if (a->at == FAULT_ENGINE)
        return on_engine[b->at];
    return a->at == b->at || (b->at == FAULT_ENGINE && on_engine[a->at]) ||
           (a->at == FAULT_SHARD && b->at == FAULT_GPU) ||
           (a->at == FAULT_GPU && b->at == FAULT_SHARD);
}

static bool overlap(const struct fault *a, const struct fault *b)
{
    const kvt_ns a_end = a->at == FAULT_SHARD ? a->at_ns : kvt_ns_add(a->at_ns, a->for_ns);
    const kvt_ns b_end = b->at == FAULT_SHARD ? b->at_ns : kvt_ns_add(b->at_ns, b->for_ns);
    return a->at_ns == b->at_ns || (a->at_ns < b_end && b->at_ns < a_end);
}

/* Two that take the same part away must not meet. Those that come at random times may by chance, and then last as
 * long as either does; two of them for one part are refused, too. */
static int check_overlaps(const struct fault_plan *plan, const struct scenario *s, char *error)
{
    for (uint32_t i = 0; i < plan->n; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const struct fault *a = &plan->faults[j], *b = &plan->faults[i];
            const bool random = a->every_ns != KVT_NEVER || b->every_ns != KVT_NEVER;
            if (!takes_away(a) || !takes_away(b) || !same_part(a, b) || (!random && !overlap(a, b)))
                continue;
            return refuse(s, i, random ? "every" : "at", error,
                          "expected another time or part: %.40s is %s by faults[%u]%s", b->target,
                          a->kind == FAULT_KILL ? "killed" : "partitioned", j,
                          random ? ", which may come at the same time" : " then");
        }
    }
    return 0;
}

int faults_check_end(const struct fault_plan *plan, const struct scenario *s, kvt_ns last_ns,
                     char *error)
{
    for (uint32_t i = 0; i < plan->n; i++) {
        char at[32];
        if (plan->faults[i].at == FAULT_RESIZE && plan->faults[i].at_ns > last_ns) {
            char want[80];
            snprintf(want, sizeof want, "expected a time before the last request arrives, at %s",
                     units_show_ns(at, sizeof at, (double)last_ns));
            return resolve_refuse(s, "cache.shard.resize_at", want, error);
        }
        if (plan->faults[i].at_ns > last_ns)
            return refuse(s, i, "at", error,
                          "expected a time before the last request arrives, at %s",
                          units_show_ns(at, sizeof at, (double)last_ns));
    }
    return 0;
}

static int take(const struct resolved *r, const struct scenario *s, uint32_t i, struct fault *f,
                char *error)
{
    const struct scenario_fault *wanted = &s->faults[i];
    *f = (struct fault){.kind = (enum scenario_fault_kind)wanted->kind,
                        .at_ns = wanted->at_ns,
                        .for_ns = wanted->for_ns,
                        .every_ns = wanted->every_ns,
                        .factor = wanted->factor > 0 ? wanted->factor : 1,
                        .share = wanted->share,
                        .latency_ns = wanted->latency_ns};
    memcpy(f->target, wanted->target, sizeof f->target);
    int rc = find_target(r, s, i, f, error);
    if (rc == 0)
        rc = check_world(r, s, i, f, error);
    if (rc == 0 && f->latency_ns > 0 && f->at != FAULT_REDIS && f->at != FAULT_NETWORK &&
        f->at != FAULT_DISK)
        rc = refuse(s, i, "latency", error, "expected with redis, network or disk only");
    if (rc == 0 && f->every_ns != KVT_NEVER && f->for_ns == KVT_NEVER && f->at != FAULT_SHARD)
        rc = refuse(s, i, "for", error, "expected a duration, such as 20s, where every is given");
    return rc;
}

int resolve_faults(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                   char *error)
{
    struct fault_plan *plan = &r->faults;
    const struct scenario_tier *redis = &s->cache.tiers[KVT_REDIS];
    *plan = (struct fault_plan){.nodes = r->sim.redis.nodes,
                                .engines = r->core.engines,
                                .seed = s->seed};
    if (redis->enabled) {
        char why[256];
        const struct catalog_redis_failover *f =
            catalog_redis_failover(catalog, redis->failover, why, sizeof why);
        if (!f)
            return resolve_refuse(s, "cache.tiers.redis.failover", why, error);
        plan->replicas = redis->replicas > 0 && s->world != WORLD_REAL;
        plan->failover_least_ns = failover_least_ns(f);
        plan->failover_spread_ns = failover_spread_ns(f);
        if (plan->replicas)
            resolve_add_note(r, "cache.tiers.redis.failover", "%s: %.1f to %.1f s", f->title,
                             (double)plan->failover_least_ns / 1e9,
                             (double)(plan->failover_least_ns + plan->failover_spread_ns) / 1e9);
    }
    for (uint32_t i = 0; i < s->n_faults; i++) {
        int rc = take(r, s, i, &plan->faults[i], error);
        if (rc != 0)
            return rc;
        plan->n++;
    }
    r->sim.faults = plan->n > 0;
    r->sim.redis.replicated = plan->n > 0 && plan->replicas;
    return check_overlaps(plan, s, error);
}
