/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cost_prices.c - the bill's prices, one key of `prices` after the other.
 *
 *      prices.gpu: auto | ENTRY | 3.43 USD/h            of one GPU with its share of the instance
 *      prices.redis: auto | redis | valkey | self | ENTRY | 6.98 USD/h        of one node
 *      prices.host: auto | included | ENTRY | 0.0067 USD/GiB-h
 *      prices.disk: auto | included | ENTRY | 0.08 USD/GB-month
 *      prices.zones, prices.regions: auto | ENTRY | 0.02 USD/GB
 *
 * auto is the first entry of the catalogue for that GPU or node. Memory and disks: what comes with the GPUs'
 * instances is used first and costs nothing; what a tier has beyond that is paid for. An own price is
 * marked as own wherever it is printed, and needs no date: it is the scenario's word.
 */
#include "cost_prices.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "units.h"

static const double gib = 1073741824.0, month_hours = 730;

/* What the functions below pass on. */
struct pricing {
    struct resolved *r;
    const struct scenario *s;
    const struct catalog *catalog;
    const struct catalog_price *instance; /* of the GPUs; NULL: an own price */
    char *error;
};

static bool is_own(const char *text)
{
    return isdigit((unsigned char)text[0]) || text[0] == '.' || text[0] == '+' || text[0] == '-';
}

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static void take_entry(struct cost_rate *rate, const struct catalog_price *p)
{
    const struct catalog_value *v = p->usd_per_h.text          ? &p->usd_per_h
                                    : p->usd_per_gb_month.text ? &p->usd_per_gb_month
                                                               : &p->usd_per_gb;
    copy(rate->price, sizeof rate->price, v->text);
    copy(rate->name, sizeof rate->name, p->name);
    copy(rate->region, sizeof rate->region, p->region);
    copy(rate->date, sizeof rate->date, p->date);
    copy(rate->evidence, sizeof rate->evidence, v->evidence);
    copy(rate->source, sizeof rate->source, v->source);
}

static void take_own(struct cost_rate *rate, const char *text)
{
    copy(rate->price, sizeof rate->price, text);
    copy(rate->name, sizeof rate->name, "own");
}

/* The entry that a key names; its kind has to be `kind` (or `other`, may be NULL). NULL: refused. */
static const struct catalog_price *entry_named(const struct pricing *x, const char *path,
                                               const char *name, const char *kind,
                                               const char *other)
{
    char why[256];
    const struct catalog_price *p = catalog_price(x->catalog, name, why, sizeof why);
    if (p && (strcmp(p->kind, kind) == 0 || (other && strcmp(p->kind, other) == 0)))
        return p;
    if (p)
        snprintf(why, sizeof why, "expected a price of kind %s, but %.64s is one of %s", kind,
                 p->name, p->kind);
    resolve_refuse(x->s, path, why, x->error);
    return NULL;
}

/* An own price in the unit of its key, or a refusal that names the unit. */
static int own_price(const struct pricing *x, const char *path, const char *text,
                     int (*parse)(const char *, double *, const char **), double *usd)
{
    const char *why = "";
    return parse(text, usd, &why) == 0 ? 0 : resolve_refuse(x->s, path, why, x->error);
}

static int price_gpu(struct pricing *x)
{
    struct cost_plan *plan = &x->r->cost;
    struct cost_rate *rate = &plan->parts[COST_GPU];
    const char *text = x->s->prices.gpu, *gpu = x->s->cluster.gpu;
    int rc = 0;
    *rate = (struct cost_rate){.present = true, .of = "GPU"};
    rate->count = (double)plan->engines * plan->gpus_per_engine;
    if (is_own(text)) {
        take_own(rate, text);
        rc = own_price(x, "prices.gpu", text, units_price, &rate->usd_per_unit);
        plan->usd_per_gpu_hour = rate->usd_per_unit;
        return rc;
    }
    if (strcmp(text, "auto") == 0)
        x->instance = catalog_price_of(x->catalog, "gpu", gpu, NULL, NULL);
    else if (!(x->instance = entry_named(x, "prices.gpu", text, "gpu", NULL)))
        return -EINVAL;
    if (!x->instance) {
        rate->unpriced = true;
        return 0;
    }
    if (strcmp(x->instance->gpu, gpu) != 0) {
        char why[192];
        snprintf(why, sizeof why, "expected a price of %.64s, but that is one of %.64s", gpu,
                 x->instance->gpu);
        return resolve_refuse(x->s, "prices.gpu", why, x->error);
    }
    double each = x->instance->gpus.number;
    take_entry(rate, x->instance);
    rate->usd_per_unit = plan->usd_per_gpu_hour = x->instance->usd_per_h.number / each;
    if (x->s->prices.whole_instances)
        rate->count = ceil(rate->count / each) * each;
    return 0;
}

static int price_redis(struct pricing *x)
{
    const struct scenario_tier *tier = &x->s->cache.tiers[KVT_REDIS];
    struct cost_rate *rate = &x->r->cost.parts[COST_REDIS];
    const char *text = x->s->prices.redis;
    const struct catalog_price *p = NULL;
    *rate =
        (struct cost_rate){.present = true,
                           .of = "node",
                           .count = (double)x->r->sim.redis.nodes * (1.0 + (double)tier->replicas)};
    if (is_own(text)) {
        take_own(rate, text);
        return own_price(x, "prices.redis", text, units_price, &rate->usd_per_unit);
    }
    bool software =
        strcmp(text, "redis") == 0 || strcmp(text, "valkey") == 0 || strcmp(text, "self") == 0;
    if (strcmp(text, "auto") == 0 || software)
        p = catalog_price_of(x->catalog, "redis", NULL, tier->node, software ? text : NULL);
    else if (!(p = entry_named(x, "prices.redis", text, "redis", "memory")))
        return -EINVAL;
    char why[192];
    if (!p && software) {
        snprintf(why, sizeof why, "expected another: the catalogue has no price of %.64s with %s",
                 tier->node, text);
        return resolve_refuse(x->s, "prices.redis", why, x->error);
    }
    if (!p) {
        rate->unpriced = true;
        return 0;
    }
    if (!p->redis_node || strcmp(p->redis_node, tier->node) != 0) {
        snprintf(why, sizeof why, "expected a price of %.64s, but that is one of %.64s", tier->node,
                 p->redis_node ? p->redis_node : "memory");
        return resolve_refuse(x->s, "prices.redis", why, x->error);
    }
    take_entry(rate, p);
    rate->usd_per_unit = p->usd_per_h.number;
    return 0;
}

/* Bytes of a tier, all engines; 0 when it has no bound: nothing to bill by. */
static double tier_b(const struct resolved *r, enum kvt_tier_kind kind)
{
    if (r->tier_b[kind] != UINT64_MAX)
        return (double)r->tier_b[kind];
    if (r->tier_blocks[kind] == UINT64_MAX)
        return 0;
    const struct kvt_tier_config *tier = &r->core.tiers[kind];
    return (double)r->tier_blocks[kind] *
           (tier->stored_b_per_token * r->core.block_tokens + tier->stored_b_per_block);
}

/* Host memory and disks, which GPU instances bring some of. unit_b: of the rate's count;
 * included_b: what one instance brings. */
static int price_room(struct pricing *x, enum kvt_tier_kind kind, const char *path,
                      const char *text, const char *entry_kind, double unit_b, double included_b)
{
    struct cost_rate *rate = &x->r->cost.parts[cost_part_of(kind)];
    const struct catalog_price *p = NULL;
    const bool is_auto = strcmp(text, "auto") == 0, disk = kind == KVT_DISK;
    double gpus = x->r->cost.parts[COST_GPU].count;
    *rate = (struct cost_rate){.present = true, .count = tier_b(x->r, kind) / unit_b};
    copy(rate->of, sizeof rate->of, disk ? "GB" : "GiB");
    if (strcmp(text, "included") == 0) {
        rate->free_count = rate->count;
        copy(rate->name, sizeof rate->name, "included");
        return 0;
    }
    if (is_own(text)) {
        take_own(rate, text);
        int rc = own_price(x, path, text, disk ? units_price_stored : units_price_memory,
                           &rate->usd_per_unit);
        rate->usd_per_unit /= disk ? month_hours : 1;
        return rc;
    }
    p = is_auto ? catalog_price_of(x->catalog, entry_kind, NULL, NULL, NULL)
                : entry_named(x, path, text, entry_kind, NULL);
    if (!p && !is_auto)
        return -EINVAL;
    if (p) {
        take_entry(rate, p);
        rate->usd_per_unit = disk ? p->usd_per_gb_month.number / month_hours
                                  : p->usd_per_h.number / (p->memory_b.number / gib);
    }
    rate->unpriced = !p || rate->count <= 0;
    if (is_auto && x->instance)
        rate->free_count = fmin(rate->count, included_b / unit_b * gpus / x->instance->gpus.number);
    return 0;
}

static int price_transfer(struct pricing *x, enum cost_part part, const char *path,
                          const char *text, const char *usual, double share)
{
    struct cost_rate *rate = &x->r->cost.parts[part];
    *rate = (struct cost_rate){.present = share > 0, .of = "GB"};
    if (is_own(text)) {
        take_own(rate, text);
        return own_price(x, path, text, units_price_moved, &rate->usd_per_unit);
    }
    const struct catalog_price *p =
        entry_named(x, path, strcmp(text, "auto") == 0 ? usual : text, "transfer", NULL);
    if (!p)
        return -EINVAL;
    take_entry(rate, p);
    rate->usd_per_unit = p->usd_per_gb.number;
    return 0;
}

/* What a GiB more of each tier would cost, whether or not it is there. */
static void price_more_room(const struct pricing *x)
{
    struct cost_plan *plan = &x->r->cost;
    const struct cost_rate *redis = &plan->parts[COST_REDIS];
    char why[256];
    const struct catalog_redis_node *node =
        redis->present
            ? catalog_redis_node(x->catalog, x->s->cache.tiers[KVT_REDIS].node, why, sizeof why)
            : NULL;
    for (unsigned kind = 0; kind < KVT_TIERS; kind++) {
        plan->room_usd_per_gib_hour[kind] = NAN;
        plan->kv_b_per_token[kind] = x->r->core.tiers[kind].stored_b_per_token;
    }
    if (node && !redis->unpriced) {
        double copies = 1 + (double)x->s->cache.tiers[KVT_REDIS].replicas;
        plan->room_usd_per_gib_hour[KVT_REDIS] =
            redis->usd_per_unit * copies /
            (node->memory_b.number * node->usable_ratio.number / gib);
    }
    if (plan->parts[COST_HOST].present && !plan->parts[COST_HOST].unpriced)
        plan->room_usd_per_gib_hour[KVT_HOST] = plan->parts[COST_HOST].usd_per_unit;
    if (plan->parts[COST_DISK].present && !plan->parts[COST_DISK].unpriced)
        plan->room_usd_per_gib_hour[KVT_DISK] = plan->parts[COST_DISK].usd_per_unit * gib / 1e9;
}

static void note_price(struct resolved *r, const char *path, const struct cost_rate *rate)
{
    if (!rate->present)
        resolve_add_note(r, path, "nothing of it is paid for");
    else if (rate->unpriced)
        resolve_add_note(r, path, "no price in the catalogue: counted as 0");
    else if (rate->free_count >= rate->count && rate->count > 0)
        resolve_add_note(r, path, "%.4g %s come with the GPUs", rate->count, rate->of);
    else if (rate->region[0])
        resolve_add_note(r, path, "%s, %s, %s, %s", rate->name, rate->price, rate->region,
                         rate->date);
}

int cost_plan_init(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                   char *error)
{
    struct pricing x = {r, s, catalog, NULL, error};
    struct cost_plan *plan = &r->cost;
    const struct scenario_prices *prices = &s->prices;
    *plan = (struct cost_plan){
        .present = s->world != WORLD_NULL,
        .inter_zone_ratio = prices->inter_zone_ratio,
        .inter_region_ratio = prices->inter_region_ratio,
        .regions = r->core.regions.n > 1,
        .engines = r->core.engines,
        .gpus_per_engine = (uint32_t)s->cluster.gpus_per_engine,
        .prefill = r->core.prefill,
    };
    bool cache = r->core.cache;
    bool redis = cache && r->core.tiers[KVT_REDIS].present;
    int rc = price_gpu(&x);
    if (rc == 0 && redis)
        rc = price_redis(&x);
    if (rc == 0 && cache && r->core.tiers[KVT_HOST].present)
        rc = price_room(&x, KVT_HOST, "prices.host", prices->host, "memory", gib,
                        x.instance ? x.instance->memory_b.number : 0);
    if (rc == 0 && cache && r->core.tiers[KVT_DISK].present)
        rc = price_room(&x, KVT_DISK, "prices.disk", prices->disk, "disk", 1e9,
                        x.instance ? x.instance->local_disk_b.number : 0);
    if (rc == 0)
        rc = price_transfer(&x, COST_ZONES, "prices.zones", prices->zones, "transfer-cross-zone",
                            redis ? prices->inter_zone_ratio : 0);
    if (rc == 0)
        rc = price_transfer(&x, COST_REGIONS, "prices.regions", prices->regions,
                            "transfer-cross-region",
                            plan->regions ? 1
                            : redis       ? prices->inter_region_ratio
                                          : 0);
    if (rc != 0)
        return rc;
    price_more_room(&x);
    note_price(r, "prices.gpu", &plan->parts[COST_GPU]);
    note_price(r, "prices.redis", &plan->parts[COST_REDIS]);
    note_price(r, "prices.host", &plan->parts[COST_HOST]);
    note_price(r, "prices.disk", &plan->parts[COST_DISK]);
    note_price(r, "prices.zones", &plan->parts[COST_ZONES]);
    note_price(r, "prices.regions", &plan->parts[COST_REGIONS]);
    return 0;
}
