/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve_regions.c - regions: which engines and Redis nodes are where, how far that is, and whose requests are
 * served there (regions.h).
 *
 * Nodes and capacity of the redis tier are given for all regions together, as everywhere; each gets the same part.
 * Between any two regions it is equally far.
 *
 *      a load from another region     round trip + command, then per token the slowest of the near load's stages and
 *                                     bytes / min(bandwidth, nodes there * connections * connection)
 */
#include "resolve.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "units.h"

/* The next word of a list with commas, blanks around it left out. False at the end. */
static bool next_word(const char **text, char *word, size_t size)
{
    if (!*text)
        return false;
    const char *from = *text + strspn(*text, " ");
    size_t len = strcspn(from, ",");
    *text = from[len] ? from + len + 1 : NULL;
    while (len > 0 && from[len - 1] == ' ')
        len--;
    snprintf(word, size, "%.*s", (int)(len < size ? len : size - 1), from);
    return true;
}

uint32_t resolve_regions_count(const struct scenario *s)
{
    const char *text = s->regions.names;
    char word[REGIONS_NAME];
    uint32_t n = 0;
    if (!text || strcmp(text, "none") == 0)
        return 1;
    while (next_word(&text, word, sizeof word))
        n++;
    return n > 0 ? n : 1;
}

static int read_names(struct regions *r, const struct scenario *s, char *error)
{
    const char *text = s->regions.names;
    char word[128];
    r->n = 0;
    while (next_word(&text, word, sizeof word)) {
        bool good = r->n < KVT_REGIONS_MOST && word[0] && strlen(word) < REGIONS_NAME;
        for (uint32_t i = 0; good && i < r->n; i++)
            good = strcmp(r->name[i], word) != 0;
        if (!good)
            return resolve_refuse(s, "regions.names",
                                  "expected none, or 2 to 8 different names of at most 31 letters",
                                  error);
        memcpy(r->name[r->n++], word, strlen(word) + 1);
    }
    return r->n > 1 ? 0
                    : resolve_refuse(s, "regions.names", "expected none, or 2 to 8 different names",
                                     error);
}

static int read_shares(struct regions *r, const struct scenario *s, char *error)
{
    const char *text = s->regions.share, *why;
    char word[48], want[128];
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n; i++)
        r->share[i] = 1.0 / r->n;
    if (strcmp(text, "even") == 0)
        return 0;
    while (next_word(&text, word, sizeof word)) {
        double share;
        if (units_ratio(word, &share, &why) != 0)
            return resolve_refuse(s, "regions.share", why, error);
        if (n < r->n)
            r->share[n] = share;
        sum += share;
        n++;
    }
    if (n == r->n && fabs(sum - 1) < 1e-6)
        return 0;
    snprintf(want, sizeof want, "expected even, or %u shares that add up to 100 %%", r->n);
    return resolve_refuse(s, "regions.share", want, error);
}

static int read_engines(struct kvt_regions *map, const struct scenario *s, uint32_t engines,
                        char *error)
{
    const char *text = s->regions.engines, *why;
    char word[48], want[160];
    uint64_t sum = 0;
    uint32_t n = 0;
    assert(map->n > 1);
    if (strcmp(text, "even") == 0) {
        for (uint32_t i = 0; i <= map->n; i++)
            map->first[i] = (uint32_t)(((uint64_t)engines * i + map->n - 1) / map->n);
        if (engines >= map->n)
            return 0;
        snprintf(want, sizeof want, "expected at least %u, one for each region", map->n);
        return resolve_refuse(s, "cluster.engines", want, error);
    }
    bool good = true;
    while (next_word(&text, word, sizeof word)) {
        uint64_t here;
        if (units_count(word, &here, &why) != 0)
            return resolve_refuse(s, "regions.engines", why, error);
        good &= here > 0 && here <= engines;
        sum += good ? here : 0;
        if (++n <= map->n)
            map->first[n] = (uint32_t)(sum < engines ? sum : engines);
    }
    if (good && n == map->n && sum == engines)
        return 0;
    snprintf(want, sizeof want,
             "expected even, or %u numbers from 1 on that add up to cluster.engines, %u", map->n,
             engines);
    return resolve_refuse(s, "regions.engines", want, error);
}

/* A rate: the link's, or the scenario's own. */
static int read_rate(const struct scenario *s, const char *path, const char *text, double *bps,
                     char *error)
{
    const char *why;
    if (strcmp(text, "auto") == 0)
        return 0;
    if (units_bandwidth(text, bps, &why) != 0)
        return resolve_refuse(s, path, why, error);
    return *bps > 0 && *bps <= 7e13
               ? 0
               : resolve_refuse(s, path, "expected more than 0, up to 70TB/s", error);
}

static int read_link(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                     char *error)
{
    const struct scenario_regions *wanted = &s->regions;
    struct sim_regions *sim = &r->sim.regions;
    char why[256];
    const struct catalog_link *link = catalog_link(catalog, wanted->link, why, sizeof why);
    if (!link)
        return resolve_refuse(s, "regions.link", why, error);
    sim->rtt_ns = wanted->round_trip_ns == KVT_NEVER ? (kvt_ns)link->round_trip_ns.number
                                                     : wanted->round_trip_ns;
    sim->bps = link->bandwidth_bps.number;
    sim->connection_bps = link->connection_bps.text ? link->connection_bps.number : INFINITY;
    int rc = read_rate(s, "regions.bandwidth", wanted->bandwidth, &sim->bps, error);
    if (rc == 0)
        rc = read_rate(s, "regions.connection", wanted->connection, &sim->connection_bps, error);
    if (rc == 0 && sim->rtt_ns < r->sim.network.rtt_ns)
        rc = resolve_refuse(s, "regions.round_trip",
                            "expected no less than within a region (cluster.network)", error);
    resolve_add_note(r, "regions.link", "%s: %.4g ms, %.4g Gb/s", link->title,
                     (double)sim->rtt_ns / 1e6, sim->bps * 8 / 1e9);
    return rc;
}

/* What regions need; what they do not go together with: together.h. */
static int check(const struct resolved *r, const struct scenario *s, char *error)
{
    if (!s->cache.tiers[KVT_REDIS].enabled)
        return resolve_refuse(s, "regions.names",
                              "expected none, or a redis tier, which regions divide", error);
    if (r->sim.redis.nodes % resolve_regions_count(s) != 0)
        return resolve_refuse(s, "cache.tiers.redis.nodes",
                              "expected as many primaries in each region as in every other", error);
    return 0;
}

/* Each region's part of the tier, and what reading another's takes. */
static int divide(struct resolved *r, const struct scenario *s, char *error)
{
    struct kvt_tier_config *tier = &r->core.tiers[KVT_REDIS];
    struct kvt_regions *map = &r->core.regions;
    const struct sim_regions *far = &r->sim.regions;
    if (tier->capacity_blocks != UINT64_MAX)
        tier->capacity_blocks /= map->n;
    if (tier->capacity_b != UINT64_MAX)
        tier->capacity_b /= map->n;
    const double block_b =
        tier->stored_b_per_token * r->core.block_tokens + (double)tier->stored_b_per_block;
    if (tier->capacity_blocks == 0 ||
        (tier->capacity_b != UINT64_MAX && (double)tier->capacity_b < block_b))
        return resolve_refuse(s, "cache.tiers.redis.capacity",
                              "expected room for at least one block in each region", error);
    const double there_bps =
        (double)r->sim.redis.nodes / map->n * r->sim.network.connections * far->connection_bps;
    const double ns = tier->stored_b_per_token * 1e9 / fmin(far->bps, there_bps);
    map->load_fixed_ns = (double)(far->rtt_ns + r->sim.redis.command_ns);
    map->load_ns_per_token = fmax(ns, tier->load_ns_per_token);
    return 0;
}

int resolve_regions(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                    char *error)
{
    struct kvt_regions *map = &r->core.regions;
    r->regions = (struct regions){.policy = (enum regions_policy)s->regions.policy,
                                  .roam = s->regions.roam,
                                  .seed = s->seed};
    if (strcmp(s->regions.names, "none") == 0)
        return 0;
    int rc = read_names(&r->regions, s, error);
    if (rc == 0)
        rc = check(r, s, error);
    if (rc == 0)
        rc = read_shares(&r->regions, s, error);
    map->n = r->regions.n;
    map->read_far = r->regions.policy == REGIONS_REMOTE_READ;
    map->write_far = r->regions.policy == REGIONS_REPLICATE;
    if (rc == 0)
        rc = read_engines(map, s, r->core.engines, error);
    r->sim.regions.engines = *map;
    if (rc == 0)
        rc = read_link(r, s, catalog, error);
    return rc == 0 ? divide(r, s, error) : rc;
}
