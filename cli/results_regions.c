/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_regions.c - what went between regions: keys of summary.json, and a block for people.
 *
 * Bytes are counted where they pass, on the links between regions, of the whole run; so they are what a provider
 * bills. Blocks are core's count of what arrived. The null world has no links: there bytes are null.
 */
#include "results_impl.h"

#include <math.h>
#include <string.h>

#include "../sim/world.h"

void regions_close(struct results *r, const struct sim_world *world)
{
    const uint32_t n = r->options.regions ? r->options.regions->n : 0;
    for (uint32_t from = 0; from < n; from++)
        for (uint32_t to = 0; to < n; to++)
            if (from != to)
                r->between_b[from][to] = sim_world_between_b(world, from, to);
}

double regions_between_b(const struct results *r)
{
    double sum_b = 0;
    for (uint32_t from = 0; from < KVT_REGIONS_MOST; from++)
        for (uint32_t to = 0; to < KVT_REGIONS_MOST; to++)
            sum_b += (double)r->between_b[from][to];
    return sum_b;
}

static bool has_links(const struct results *r)
{
    return r->options.world && strcmp(r->options.world, "sim") == 0;
}

int json_regions(json_t *object, const struct results *r)
{
    const struct regions *regions = r->options.regions;
    int rc = 0;
    if (!regions)
        return 0;
    rc |= json_object_set_new(object, "regions_policy",
                              json_string(regions_policy_name(regions->policy)));
    rc |= json_object_set_new(object, "inter_region_bytes",
                              has_links(r) ? json_integer((json_int_t)regions_between_b(r))
                                           : json_null());
    rc |= json_object_set_new(object, "inter_region_loaded_blocks",
                              json_integer((json_int_t)r->stats.far_loaded_blocks));
    rc |= json_object_set_new(object, "inter_region_stored_blocks",
                              json_integer((json_int_t)r->stats.far_stored_blocks));
    return rc;
}

void regions_print(FILE *out, const struct results *r, bool colour)
{
    const struct regions *regions = r->options.regions;
    if (!regions || regions->n < 2)
        return;
    fprintf(out, "\n%s%-16s%s %s; %llu blocks loaded from another region, %llu stored to one\n",
            colour ? "\033[1m" : "", "regions", colour ? "\033[0m" : "",
            regions_policy_name(regions->policy), (unsigned long long)r->stats.far_loaded_blocks,
            (unsigned long long)r->stats.far_stored_blocks);
    for (uint32_t from = 0; has_links(r) && from < regions->n; from++)
        for (uint32_t to = 0; to < regions->n; to++)
            if (from != to)
                fprintf(out, "  %s to %s: %.3f GB\n", regions->name[from], regions->name[to],
                        (double)r->between_b[from][to] / 1e9);
}
