/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * verdict.c - the rules of verdict.h.
 */
#include "verdict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double busy_part = 0.8, busy_engine = 0.9, long_wait = 0.2;

/* "redis3/process" -> "redis process", "engine/0" -> "engine". */
static void kind_of(char *kind, size_t size, const char *name)
{
    size_t n = strcspn(name, "0123456789/");
    const char *slash = strrchr(name, '/');
    const char *rest = slash ? slash + 1 : "";
    if (rest[strspn(rest, "0123456789")] == '\0')
        rest = "";
    snprintf(kind, size, "%.*s%s%.24s", (int)n, name, *rest ? " " : "", rest);
}

static bool is_engine(const char *kind)
{
    return strcmp(kind, "engine") == 0;
}

/* The busiest row but engines, and the busiest engine. */
static void find_busiest(struct verdict *v, const struct verdict_run *run)
{
    for (size_t i = 0; i < run->n_busy; i++) {
        char kind[48];
        kind_of(kind, sizeof kind, run->busy[i].name);
        double *best = is_engine(kind) ? &v->engine_busy_ratio : &v->busy_ratio;
        if (!(run->busy[i].busy_ratio > *best))
            continue;
        *best = run->busy[i].busy_ratio;
        if (!is_engine(kind))
            snprintf(v->saturates, sizeof v->saturates, "%s", kind);
    }
}

/* What more of a part is called where one buys it. */
static const char *more_of(const char *kind)
{
    static const struct {
        const char *begins, *more;
    } words[] = {
        {"redis", "another Redis node"},
        {"engine nic", "a faster network for the engines"},
        {"engine h2d", "more bandwidth between host and GPUs"},
        {"engine d2h", "more bandwidth between GPUs and host"},
        {"engine copy", "threads or cores that stage copies"},
        {"engine codec", "CPU cores for the codec, or a lighter one"},
        {"engine disk", "another drive per engine"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(kind, words[i].begins, strlen(words[i].begins)) == 0)
            return words[i].more;
    return "more of it";
}

/* (N3): USD saved per USD of room if what was evicted had been kept in that tier. */
static double room_ratio(const struct verdict_run *run, enum kvt_tier_kind kind)
{
    const struct cost_plan *plan = run->plan;
    double usd_per_gib_hour = plan->room_usd_per_gib_hour[kind], hours = run->duration_s / 3600;
    double gib = (double)run->ledger_tokens[KVT_COMPUTED_EVICTED] * plan->kv_b_per_token[kind] /
                 1073741824.0;
    double saved = run->tally->spent_ns[KVT_COMPUTED_EVICTED] / 3.6e12 * plan->gpus_per_engine *
                   plan->usd_per_gpu_hour;
    double cost = gib * usd_per_gib_hour * hours;
    return isfinite(usd_per_gib_hour) && cost > 0 ? saved / cost : 0;
}

static bool buy_room(struct verdict *v, const struct verdict_run *run)
{
    enum kvt_tier_kind best = KVT_TIERS;
    double most = 1;
    for (int kind = KVT_HOST; kind < KVT_TIERS; kind++) {
        double ratio = room_ratio(run, (enum kvt_tier_kind)kind);
        if (ratio > most) {
            most = ratio;
            best = (enum kvt_tier_kind)kind;
        }
    }
    if (best == KVT_TIERS)
        return false;
    v->rule = 3;
    v->next_ratio = most;
    snprintf(v->next, sizeof v->next,
             "room in the %s tier: keeping what was evicted saves about %.2g USD of GPU time per "
             "USD",
             kvt_tier_name(best), most);
    return true;
}

/* The tier that loses most, if any loses. */
static void leave_out(struct verdict *v, const struct verdict_run *run)
{
    enum kvt_tier_kind worst = KVT_TIERS;
    double most = 0;
    for (int kind = KVT_HOST; kind < KVT_TIERS; kind++) {
        const struct cost_tier *tier = &run->cost->tiers[kind];
        double loss = tier->present ? tier->usd_per_hour - tier->saved_usd_per_hour : 0;
        if (loss > most) {
            most = loss;
            worst = (enum kvt_tier_kind)kind;
        }
    }
    v->rule = 4;
    if (worst == KVT_TIERS)
        snprintf(v->next, sizeof v->next, "nothing: no part is short at this traffic");
    else
        snprintf(v->next, sizeof v->next,
                 "nothing; less of the %s tier would save up to %.3g USD/h", kvt_tier_name(worst),
                 most);
}

void verdict_find(struct verdict *v, const struct verdict_run *run)
{
    *v = (struct verdict){.next_ratio = NAN};
    find_busiest(v, run);
    if (v->busy_ratio >= busy_part) {
        v->rule = 1;
        snprintf(v->next, sizeof v->next, "%s: the busiest is %.0f %% busy", more_of(v->saturates),
                 100 * v->busy_ratio);
    } else if (v->engine_busy_ratio >= busy_engine && run->wait_share >= long_wait) {
        v->rule = 2;
        snprintf(v->next, sizeof v->next,
                 "another engine: they are busy %.0f %% of the time, and waiting is %.0f %% of the "
                 "time to the first token",
                 100 * v->engine_busy_ratio, 100 * run->wait_share);
    } else if (!buy_room(v, run)) {
        leave_out(v, run);
    }
}

const char *verdict_tier(char *text, size_t size, enum kvt_tier_kind kind,
                         const struct cost_tier *tier)
{
    if (kind == KVT_GPU)
        snprintf(text, size, "comes with the GPUs");
    else if (!(tier->usd_per_hour > 0))
        snprintf(text, size, "%s",
                 tier->saved_usd_per_hour > 0 ? "pays: nothing is charged for it"
                                              : "costs nothing, saves nothing");
    else if (tier->pays_ratio >= 1)
        snprintf(text, size, "pays %.3g times over", tier->pays_ratio);
    else if (tier->pays_ratio > 0)
        snprintf(text, size, "does not pay: costs %.3g times what it saves", 1 / tier->pays_ratio);
    else
        snprintf(text, size, "does not pay: saves nothing");
    return text;
}
