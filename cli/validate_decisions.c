/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate_decisions.c - decisions of two worlds, exactly; see validate.h.
 *
 * One core decides in both worlds, from its inputs alone. So whatever differs goes back to what
 * the worlds told it: when an operation ended, how it ended, and how busy things were at that
 * moment. Here every difference is found and put into a class:
 *
 *      counters      one by one
 *      keys          of each tier: which were ever stored, and which core had not dropped at the end
 *      requests      by id: the classes of their ledger
 *
 * The cause of a request's divergence follows from the classes between which its tokens moved; a
 * rare class outweighs a common one, because it says more. Tokens that went to "late" in one
 * world did so because a load was abandoned there, whatever the other world did instead. A
 * difference begets others (an evicted block is missed by the next turn of its conversation, in
 * which it is then "found elsewhere"), and each is listed.
 *
 * A key set is an array, sorted and free of doubles. A key counts once per engine where the tier
 * is per engine. A key was there at the end when its last good store was issued after its last
 * drop.
 */
#include "validate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Causes. ---- */

static const struct {
    const char *name, *text;
} causes[CAUSES] = {
    [CAUSE_DAMAGE] = {"damage", "a stored value failed its check"},
    [CAUSE_DOWN] = {"down", "a tier was down, or did not answer in time"},
    [CAUSE_OUTCOME] = {"outcome", "the request failed or was rejected in one world only"},
    [CAUSE_EXPIRY] = {"expiry", "a TTL ran out just before in one world, just after in the other"},
    [CAUSE_CHOICE] = {"choice", "load or compute was predicted from the queues of that moment"},
    [CAUSE_PATIENCE] = {"patience", "a load turned slower than computing and was abandoned"},
    [CAUSE_ROUTE] = {"route", "another engine was less loaded at that moment"},
    [CAUSE_PREEMPTION] = {"preemption", "pages ran out at another moment"},
    [CAUSE_SERVER] = {"server", "Redis evicts the oldest of a random sample of its keys"},
    [CAUSE_RESIDENCE] = {"residence",
                         "operations ended in another order, so other blocks were held"},
    [CAUSE_FLIGHT] = {"flight", "another request was just producing the blocks"},
    [CAUSE_NONE] = {"unexplained", "no dependence on time explains it: a defect"},
};

const char *validate_cause_name(enum validate_cause cause)
{
    return causes[cause].name;
}

const char *validate_cause_text(enum validate_cause cause)
{
    return causes[cause].text;
}

/* ---- Counters. ---- */

static const char by_time[] = "timing", by_server[] = "server eviction", by_failure[] = "failures",
                  never[] = "";

static void count(struct validation *v, const char *name, uint64_t real, uint64_t sim,
                  const char *cause)
{
    v->counts[v->n_counts++] = (struct validate_count){name, real, sim, cause};
}

static void count_ledger(struct validation *v, const struct kvt_core_stats *a,
                         const struct kvt_core_stats *b)
{
    for (unsigned c = 0; c < KVT_LEDGER; c++) {
        bool failed = c == KVT_COMPUTED_CORRUPT || c == KVT_COMPUTED_TIER_DOWN ||
                      c == KVT_COMPUTED_SHARD_MISSING;
        count(v, kvt_ledger_name((enum kvt_ledger)c), a->ledger_tokens[c], b->ledger_tokens[c],
              failed                   ? by_failure
              : c == KVT_COMPUTED_TAIL ? never
                                       : by_time);
    }
}

static void count_tier(struct validation *v, const struct kvt_core_stats *a,
                       const struct kvt_core_stats *b, unsigned tier, bool by_core)
{
    static const char *const names[KVT_TIERS][7] = {
#define NAMES(kind)                                                                                \
    {"evicted blocks " kind,   "expired blocks " kind, "dropped blocks " kind,                     \
     "stored blocks " kind,    "loaded blocks " kind,  "store failures " kind,                     \
     "store shed blocks " kind}
        [KVT_GPU] = NAMES("gpu"),     [KVT_PEER] = NAMES("peer"), [KVT_HOST] = NAMES("host"),
        [KVT_REDIS] = NAMES("redis"), [KVT_DISK] = NAMES("disk"),
#undef NAMES
    };
    const char *const *name = names[tier];
    count(v, name[0], a->evicted_blocks[tier], b->evicted_blocks[tier],
          by_core ? by_time : by_server);
    count(v, name[1], a->expired_blocks[tier], b->expired_blocks[tier], by_time);
    if (tier == KVT_GPU)
        return;
    count(v, name[2], a->dropped_blocks[tier], b->dropped_blocks[tier], by_time);
    count(v, name[3], a->stored_blocks[tier], b->stored_blocks[tier], by_time);
    count(v, name[4], a->loaded_blocks[tier], b->loaded_blocks[tier], by_time);
    count(v, name[5], a->store_failures[tier], b->store_failures[tier], by_failure);
    count(v, name[6], a->store_shed_blocks[tier], b->store_shed_blocks[tier], by_time);
}

static void count_all(struct validation *v, const struct kvt_core_stats *a,
                      const struct kvt_core_stats *b, const struct kvt_core_config *config)
{
    count(v, "requests", a->requests, b->requests, never);
    count(v, "finished", a->finished, b->finished, by_time);
    count(v, "rejected", a->rejected, b->rejected, never);
    count(v, "failed", a->failed, b->failed, by_failure);
    count(v, "prompt tokens", a->prompt_tokens, b->prompt_tokens, by_time);
    count(v, "output tokens", a->output_tokens, b->output_tokens, by_time);
    count(v, "lookup blocks", a->lookup_blocks, b->lookup_blocks, by_time);
    count(v, "hit blocks", a->hit_blocks, b->hit_blocks, by_time);
    count_ledger(v, a, b);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        if (config->tiers[tier].present)
            count_tier(v, a, b, tier, config->tiers[tier].manager == KVT_MANAGED_BY_CORE);
    count(v, "preemptions", a->preemptions, b->preemptions, by_time);
    count(v, "recomputed tokens", a->recomputed_tokens, b->recomputed_tokens, by_time);
    count(v, "abandoned loads", a->abandoned_loads, b->abandoned_loads, by_time);
    count(v, "single flight waits", a->single_flight_waits, b->single_flight_waits, by_time);
    count(v, "replans", a->replans, b->replans, by_time);
    count(v, "late adopted tokens", a->late_adopted_tokens, b->late_adopted_tokens, by_time);
}

/* ---- Keys. ---- */

struct held_key {
    kvt_key key;
    uint32_t engine;
    bool stored;     /* or dropped */
    kvt_ns issue_ns; /* of that operation */
};

struct key_list {
    struct held_key *keys;
    size_t n;
};

static int by_key(const void *a, const void *b)
{
    const struct held_key *x = a, *y = b;
    if (x->key.hi != y->key.hi)
        return x->key.hi < y->key.hi ? -1 : 1;
    if (x->key.lo != y->key.lo)
        return x->key.lo < y->key.lo ? -1 : 1;
    if (x->engine != y->engine)
        return x->engine < y->engine ? -1 : 1;
    if (x->issue_ns != y->issue_ns)
        return x->issue_ns < y->issue_ns ? -1 : 1;
    return (int)x->stored -
           (int)y->stored; /* what is evicted and stored at one time was evicted first */
}

static bool same_key(const struct held_key *x, const struct held_key *y)
{
    return kvt_key_equal(x->key, y->key) && x->engine == y->engine;
}

/* Every block that was stored well to the tier or dropped from it, sorted. */
static int list_keys(const struct meter *m, enum kvt_tier_kind tier, struct key_list *list)
{
    size_t most = 0;
    *list = (struct key_list){0};
    for (size_t i = 0; i < m->n_samples; i++)
        if (m->samples[i].tier == tier)
            most += m->samples[i].blocks;
    list->keys = malloc((most + 1) * sizeof *list->keys);
    if (!list->keys)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_samples; i++) {
        const struct meter_sample *s = &m->samples[i];
        if (s->tier != tier || (s->kind != METER_STORE && s->kind != METER_DROP))
            continue;
        bool stored = s->kind == METER_STORE;
        for (uint32_t k = 0; k < (stored ? s->blocks_ok : s->blocks); k++)
            list->keys[list->n++] = (struct held_key){.key = m->keys[s->first_key + k],
                                                      .engine = tier == KVT_REDIS ? 0 : s->engine.v,
                                                      .stored = stored,
                                                      .issue_ns = s->issue_ns};
    }
    qsort(list->keys, list->n, sizeof *list->keys, by_key);
    return 0;
}

/* One key of the list from *at on, which moves behind it: was it stored, and was it there at the end? */
struct key_fate {
    bool stored, held;
};

static struct key_fate take_key(const struct key_list *list, size_t *at)
{
    struct key_fate fate = {false, false};
    size_t first = *at;
    for (; *at < list->n && same_key(&list->keys[first], &list->keys[*at]); ++*at) {
        fate.stored |= list->keys[*at].stored;
        fate.held = list->keys[*at].stored;
    }
    return fate;
}

static int order_of(const struct key_list *a, size_t i, const struct key_list *b, size_t j)
{
    if (i == a->n || j == b->n)
        return i == a->n ? 1 : -1;
    struct held_key x = a->keys[i], y = b->keys[j];
    x.issue_ns = y.issue_ns = 0;
    x.stored = y.stored = false;
    return by_key(&x, &y);
}

static int compare_keys(const struct meter *real, const struct meter *sim, enum kvt_tier_kind tier,
                        struct validate_keys *keys)
{
    struct key_list a, b = {0};
    int rc = list_keys(real, tier, &a);
    if (rc == 0)
        rc = list_keys(sim, tier, &b);
    *keys = (struct validate_keys){.present = true};
    for (size_t i = 0, j = 0; rc == 0 && (i < a.n || j < b.n);) {
        struct key_fate x = {false, false}, y = {false, false};
        int order = order_of(&a, i, &b, j);
        if (order <= 0)
            x = take_key(&a, &i);
        if (order >= 0)
            y = take_key(&b, &j);
        keys->stored_real += x.stored;
        keys->stored_sim += y.stored;
        keys->stored_both += x.stored && y.stored;
        keys->held_real += x.held;
        keys->held_sim += y.held;
        keys->held_both += x.held && y.held;
    }
    free(a.keys);
    free(b.keys);
    return rc;
}

/* ---- Requests. ---- */

static int by_id(const void *a, const void *b)
{
    const struct kvt_report *const *x = a, *const *y = b;
    return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* Pointers to the reports, sorted by id; the caller frees. */
static const struct kvt_report **sort_reports(const struct meter *m)
{
    const struct kvt_report **list = malloc((m->n_reports + 1) * sizeof *list);
    for (size_t i = 0; list && i < m->n_reports; i++)
        list[i] = &m->reports[i];
    if (list)
        qsort(list, m->n_reports, sizeof *list, by_id);
    return list;
}

static bool differs(const struct kvt_report *a, const struct kvt_report *b, enum kvt_ledger class)
{
    return a->ledger_tokens[class] != b->ledger_tokens[class];
}

static enum validate_cause cause_of(const struct kvt_report *a, const struct kvt_report *b,
                                    const struct kvt_core_config *config)
{
    const struct kvt_tier_config *redis = &config->tiers[KVT_REDIS];
    bool elsewhere = differs(a, b, KVT_COMPUTED_EVICTED);
    for (unsigned c = KVT_HIT_GPU; c <= KVT_HIT_DISK; c++)
        elsewhere |= differs(a, b, (enum kvt_ledger)c);
    if (a->prompt_tokens != b->prompt_tokens)
        return CAUSE_NONE;
    if (differs(a, b, KVT_COMPUTED_CORRUPT))
        return CAUSE_DAMAGE;
    if (differs(a, b, KVT_COMPUTED_TIER_DOWN) || differs(a, b, KVT_COMPUTED_SHARD_MISSING))
        return CAUSE_DOWN;
    if (a->outcome != b->outcome)
        return CAUSE_OUTCOME;
    if (differs(a, b, KVT_COMPUTED_EXPIRED))
        return CAUSE_EXPIRY;
    if (differs(a, b, KVT_COMPUTED_LATE))
        return CAUSE_PATIENCE;
    if (differs(a, b, KVT_COMPUTED_CHEAPER))
        return CAUSE_CHOICE;
    if (a->engine.v != b->engine.v)
        return CAUSE_ROUTE;
    if (a->preemptions != b->preemptions)
        return CAUSE_PREEMPTION;
    if (differs(a, b, KVT_HIT_REDIS) && differs(a, b, KVT_COMPUTED_EVICTED) && redis->present &&
        redis->manager == KVT_MANAGED_BY_SERVER)
        return CAUSE_SERVER;
    if (differs(a, b, KVT_COMPUTED_COLD))
        return CAUSE_FLIGHT;
    return elsewhere ? CAUSE_RESIDENCE : CAUSE_NONE;
}

/* The two classes that gained most in one world and in the other, and how many tokens moved in all. */
static struct validate_divergence moved(const struct kvt_report *a, const struct kvt_report *b)
{
    struct validate_divergence d = {.id = a->id};
    uint32_t most_real = 0, most_sim = 0;
    for (unsigned c = 0; c < KVT_LEDGER; c++) {
        uint32_t x = a->ledger_tokens[c], y = b->ledger_tokens[c];
        if (x > y) {
            d.tokens += x - y;
            d.real = x - y > most_real ? (enum kvt_ledger)c : d.real;
            most_real = x - y > most_real ? x - y : most_real;
        } else if (y - x > most_sim) {
            d.sim = (enum kvt_ledger)c;
            most_sim = y - x;
        }
    }
    return d;
}

static bool same_report(const struct kvt_report *a, const struct kvt_report *b)
{
    return memcmp(a->ledger_tokens, b->ledger_tokens, sizeof a->ledger_tokens) == 0 &&
           a->outcome == b->outcome && a->prompt_tokens == b->prompt_tokens &&
           a->hit_blocks == b->hit_blocks && a->lookup_blocks == b->lookup_blocks;
}

/* Room for every request of both worlds is there. */
static void add_divergence(struct validation *v, struct validate_divergence d,
                           enum validate_cause cause)
{
    d.cause = cause;
    v->divergences[v->n_divergences++] = d;
    v->causes[cause]++;
}

static void walk_reports(struct validation *v, const struct kvt_report **a, size_t n_a,
                         const struct kvt_report **b, size_t n_b,
                         const struct kvt_core_config *config)
{
    for (size_t i = 0, j = 0; i < n_a || j < n_b;) {
        if (j == n_b || (i < n_a && a[i]->id < b[j]->id)) {
            add_divergence(v, (struct validate_divergence){.id = a[i++]->id}, CAUSE_NONE);
        } else if (i == n_a || b[j]->id < a[i]->id) {
            add_divergence(v, (struct validate_divergence){.id = b[j++]->id}, CAUSE_NONE);
        } else {
            if (!same_report(a[i], b[j]))
                add_divergence(v, moved(a[i], b[j]), cause_of(a[i], b[j], config));
            v->requests++;
            i++;
            j++;
        }
    }
}

static int compare_requests(struct validation *v, const struct meter *real, const struct meter *sim,
                            const struct kvt_core_config *config)
{
    const struct kvt_report **a = sort_reports(real), **b = sort_reports(sim);
    v->divergences = malloc((real->n_reports + sim->n_reports + 1) * sizeof *v->divergences);
    int rc = a && b && v->divergences ? 0 : -ENOMEM;
    if (rc == 0)
        walk_reports(v, a, real->n_reports, b, sim->n_reports, config);
    free(a);
    free(b);
    return rc;
}

/* ---- All of it. ---- */

static double hit_rate(const struct kvt_core_stats *stats)
{
    uint64_t hits = 0;
    for (unsigned c = KVT_HIT_GPU; c <= KVT_HIT_DISK; c++)
        hits += stats->ledger_tokens[c];
    return stats->prompt_tokens ? (double)hits / (double)stats->prompt_tokens : NAN;
}

int validate_decisions(struct validation *v, const struct meter *real, const struct meter *sim,
                       const struct kvt_core_config *config)
{
    int rc = 0;
    count_all(v, &real->stats, &sim->stats, config);
    for (unsigned tier = KVT_HOST; rc == 0 && tier < KVT_TIERS; tier++)
        if (config->tiers[tier].present)
            rc = compare_keys(real, sim, (enum kvt_tier_kind)tier, &v->keys[tier]);
    if (rc == 0)
        rc = compare_requests(v, real, sim, config);
    v->hit_rate_real = hit_rate(&real->stats);
    v->hit_rate_sim = hit_rate(&sim->stats);
    v->same_decisions = strcmp(real->digest, sim->digest) == 0;
    return rc;
}

void validate_conclude(struct validation *v)
{
    const double apart = fabs(v->hit_rate_real - v->hit_rate_sim);
    v->judged = v->beyond = 0;
    for (size_t i = 0; i < v->n_rows; i++) {
        v->judged += v->rows[i].verdict != VALIDATE_FEW;
        v->beyond += v->rows[i].verdict == VALIDATE_BEYOND;
    }
    v->within = v->beyond == 0 && v->causes[CAUSE_NONE] == 0 && !(apart > v->tolerance.hit_points);
}

int validate_compare(struct validation *v, const struct meter *real, const struct meter *sim,
                     const struct kvt_core_config *config,
                     const struct validate_tolerance *tolerance)
{
    v->tolerance = *tolerance;
    int rc = validate_rows(v, real, sim);
    if (rc == 0)
        rc = validate_decisions(v, real, sim, config);
    v->rounds = 1;
    v->rounds_same = v->n_divergences == 0;
    for (size_t i = 0; i < v->n_counts; i++)
        if (v->counts[i].real != v->counts[i].sim)
            v->rounds_same = 0;
    validate_conclude(v);
    return rc;
}

void validate_release(struct validation *v)
{
    for (size_t i = 0; i < VALIDATE_ROWS_MOST; i++) {
        free(v->rows[i].real_ns);
        free(v->rows[i].sim_ns);
    }
    free(v->divergences);
    *v = (struct validation){0};
}
