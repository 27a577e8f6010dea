/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_links.c - links_over_time.csv: what each link of the simulated world carried, by interval.
 *
 * A sample is what every link has carried so far, flows under way included, so it is a line that only
 * rises, and a sample can be dropped: its bytes are then the next one's. The interval begins as the
 * timeline's; when all rows are used, those at odd multiples of it are dropped and it doubles. So a run of
 * any length has 100 to 200 rows, however many links it has.
 *
 * Written are links that carried anything, and of those the intervals in which they did.
 */
#include "results_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_ROWS = 200 };

static bool is_link(const struct sim_world *world, uint32_t part, struct sim_part_stats *stats)
{
    sim_world_part(world, part, stats);
    return stats->kind == SIM_PART_LINK;
}

/* Names and rates; the first sample makes the room. */
static int begin(struct results_links *l, const struct sim_world *world, kvt_ns interval_ns)
{
    struct sim_part_stats stats;
    const uint32_t parts = sim_world_parts(world);
    for (uint32_t i = 0; i < parts; i++)
        l->n += is_link(world, i, &stats);
    l->interval_ns = interval_ns;
    l->link = calloc(l->n + 1, sizeof *l->link);
    l->carried_b = calloc((size_t)(l->n + 1) * (LINKS_ROWS + 1), sizeof *l->carried_b);
    l->at_ns = calloc(LINKS_ROWS + 1, sizeof *l->at_ns);
    if (!l->link || !l->carried_b || !l->at_ns)
        return -ENOMEM;
    uint32_t n = 0;
    for (uint32_t i = 0; i < parts; i++) {
        if (!is_link(world, i, &stats))
            continue;
        memcpy(l->link[n].name, stats.name, sizeof l->link[n].name);
        l->link[n].rate_bps = stats.rate_bps;
        l->link[n++].part = i;
    }
    return 0;
}

void links_release(struct results_links *l)
{
    free(l->link);
    free(l->carried_b);
    free(l->at_ns);
    *l = (struct results_links){0};
}

/* Every second row goes: those at odd multiples of the interval. */
static void halve(struct results_links *l)
{
    uint32_t kept = 0;
    l->interval_ns *= 2;
    for (uint32_t i = 0; i < l->rows; i++) {
        if (l->at_ns[i] % l->interval_ns != 0)
            continue;
        l->at_ns[kept] = l->at_ns[i];
        memmove(l->carried_b + (size_t)kept * l->n, l->carried_b + (size_t)i * l->n,
                l->n * sizeof *l->carried_b);
        kept++;
    }
    l->rows = kept;
}

static void add_row(struct results_links *l, kvt_ns at, const struct sim_world *world)
{
    struct sim_part_stats stats;
    l->at_ns[l->rows] = at;
    for (uint32_t i = 0; i < l->n; i++) {
        sim_world_part(world, l->link[i].part, &stats);
        l->carried_b[(size_t)l->rows * l->n + i] = stats.carried_b;
    }
    l->rows++;
}

int links_sample(struct results_links *l, kvt_ns at, kvt_ns interval_ns, bool last,
                 const struct sim_world *world)
{
    if (!l->link) {
        const int rc = begin(l, world, interval_ns);
        if (rc != 0)
            return rc;
    }
    if (last) {
        while (l->rows > 0 && l->at_ns[l->rows - 1] >= at)
            l->rows--;
        add_row(l, at, world); /* there is one row more for it */
    } else if (at % l->interval_ns == 0) {
        add_row(l, at, world);
        if (l->rows == LINKS_ROWS)
            halve(l);
    }
    return 0;
}

/* ---- The file ------------------------------------------------------------------------------------ */

static double carried(const struct results_links *l, uint32_t row, uint32_t link)
{
    return l->carried_b[(size_t)row * l->n + link];
}

/* What a link is: "out", "nic_in", ... */
static const char *kind_of(const struct results_links *l, uint32_t link)
{
    const char *slash = strrchr(l->link[link].name, '/');
    return slash ? slash + 1 : l->link[link].name;
}

static void write_link(struct out *o, const struct results_links *l, uint32_t link, uint32_t number)
{
    for (uint32_t row = 0; row < l->rows; row++) {
        const double b = carried(l, row, link) - (row > 0 ? carried(l, row - 1, link) : 0);
        const kvt_ns took_ns = l->at_ns[row] - (row > 0 ? l->at_ns[row - 1] : 0);
        if (b < 0.5 || took_ns == 0)
            continue;
        out_u64(o, number);
        out_char(o, ',');
        out_text(o, l->link[link].name);
        out_char(o, ',');
        out_fixed(o, (double)l->at_ns[row] / 1e9, 3);
        out_char(o, ',');
        out_fixed(o, (double)took_ns / 1e9, 3);
        out_char(o, ',');
        out_fixed(o, b, 0);
        out_char(o, ',');
        out_fixed(o, ratio_of(b * 1e9, l->link[link].rate_bps * (double)took_ns), 6);
        out_char(o, '\n');
    }
}

void links_write(struct out *o, const struct results *r)
{
    const struct results_links *l = &r->links;
    bool *written = calloc(l->n + 1, sizeof *written);
    uint32_t number = 0;
    out_text(o, "# One line per link and interval, which ends at time_s, in which it carried "
                "anything. Links of one kind stand together, counted from 0 by link_index. "
                "busy_ratio: bytes of what it could have carried.\n");
    out_text(o, "link_index,link,time_s,interval_s,bytes,busy_ratio\n");
    for (uint32_t i = 0; written && l->rows > 0 && i < l->n; i++) {
        for (uint32_t k = i; !written[i] && k < l->n; k++) {
            if (written[k] || strcmp(kind_of(l, k), kind_of(l, i)) != 0)
                continue;
            written[k] = k != i;
            if (carried(l, l->rows - 1, k) >= 0.5)
                write_link(o, l, k, number++);
        }
        written[i] = true;
    }
    if (!written)
        o->error = -ENOMEM;
    free(written);
}
