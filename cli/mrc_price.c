/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_price.c - what a capacity costs by the hour: a price of one's own, or one of the catalogue.
 *
 *      --price P                       own, of a GiB
 *      --node N                        the catalogue's: of a Redis node (the first price of it that is not of one
 *                                      that is run by oneself), or the entry of that name of kind redis, memory
 *                                      or disk
 *      --node N --price P              own, of such a node
 *
 * A node is bought whole: as many as hold the capacity, rounded up. `--per gib` takes the node's price by the GiB
 * instead, as of a share in a cluster that others fill. What a node holds is its memory times the share that
 * Redis may use of it, without replicas. Disks are sold by the GB and never rounded.
 *
 * GPUs are not on offer: what a GPU's memory costs depends on what else runs there (kvtwin run and plan know that).
 */
#include "mrc.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "near.h"
#include "units.h"

static const double gib = 0x1p30, gb = 1e9, month_hours = 730;

enum { NAMES_ROOM = 256 };

__attribute__((format(printf, 2, 3))) static int refuse(char *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, MRC_ERROR, format, args);
    va_end(args);
    return -EINVAL;
}

static bool holds(const struct catalog_price *p)
{
    return strcmp(p->kind, "redis") == 0 || strcmp(p->kind, "memory") == 0 ||
           strcmp(p->kind, "disk") == 0;
}

/* The first price of a node: by its seller, or else as an instance to run Redis on. */
static const struct catalog_price *price_of_node(const struct catalog *c, const char *name)
{
    const struct catalog_price *p = catalog_price_of(c, "redis", NULL, name, NULL);
    return p ? p : catalog_price_of(c, "memory", NULL, name, "self");
}

/* Nodes first, then what is not a price of one of them. */
static int unknown_node(const struct catalog *c, const char *name, char *why)
{
    const char *names[NAMES_ROOM], *near;
    char list[400] = "";
    size_t n = 0, listed;
    for (uint32_t i = 0; i < c->redis_nodes.n && n < NAMES_ROOM; i++)
        if (price_of_node(c, c->redis_nodes.entries[i].name))
            names[n++] = c->redis_nodes.entries[i].name;
    for (uint32_t i = 0; i < c->prices.n && n < NAMES_ROOM; i++)
        if (holds(&c->prices.entries[i]) && strcmp(c->prices.entries[i].kind, "redis") != 0)
            names[n++] = c->prices.entries[i].name;
    listed = n;
    for (uint32_t i = 0; i < c->prices.n && n < NAMES_ROOM; i++)
        if (strcmp(c->prices.entries[i].kind, "redis") == 0)
            names[n++] = c->prices.entries[i].name;
    near = near_word(name, names, n);
    near_list(list, sizeof list, names, listed);
    return refuse(why, "--node: expected one of %s%s%s%s", list,
                  near ? "; did you mean "
                       : ", or a price of such a node (kvtwin catalog lists them)",
                  near ? near : "", near ? "?" : "");
}

static void take_entry(struct mrc_price *price, const struct catalog_price *p)
{
    const struct catalog_value *v = p->usd_per_h.text ? &p->usd_per_h : &p->usd_per_gb_month;
    snprintf(price->entry, sizeof price->entry, "%s", p->name);
    snprintf(price->text, sizeof price->text, "%s", v->text);
    snprintf(price->region, sizeof price->region, "%s", p->region);
    snprintf(price->date, sizeof price->date, "%s", p->date);
    snprintf(price->source, sizeof price->source, "%s", v->source);
}

/* What a node of that price holds. */
static double room_b(const struct catalog *c, const char *redis_node,
                     const struct catalog_price *entry)
{
    char why[MRC_ERROR];
    const struct catalog_redis_node *node =
        redis_node ? catalog_redis_node(c, redis_node, why, sizeof why) : NULL;
    return node ? node->memory_b.number * node->usable_ratio.number : entry->memory_b.number;
}

/* The entry that --node means, and the node where it is one; NULL with *redis_node: one without a price. */
static const struct catalog_price *find_entry(const struct catalog *c, const char *name,
                                              const char **redis_node)
{
    for (uint32_t i = 0; i < c->prices.n; i++)
        if (strcmp(c->prices.entries[i].name, name) == 0 && holds(&c->prices.entries[i])) {
            *redis_node = c->prices.entries[i].redis_node;
            return &c->prices.entries[i];
        }
    for (uint32_t i = 0; i < c->redis_nodes.n; i++)
        if (strcmp(c->redis_nodes.entries[i].name, name) == 0) {
            *redis_node = c->redis_nodes.entries[i].name;
            return price_of_node(c, name);
        }
    return NULL;
}

static int own_price(struct mrc_price *price, const char *text, char *why)
{
    const char *expected = "";
    if (units_price(text, &price->usd_per_h, &expected) != 0 &&
        (price->node || units_price_memory(text, &price->usd_per_h, NULL) != 0))
        return refuse(why, "--price: %s", expected);
    snprintf(price->text, sizeof price->text, "%s", text);
    snprintf(price->entry, sizeof price->entry, "own");
    return 0;
}

static int price_disk(struct mrc_price *price, const struct catalog_price *entry, const char *own,
                      const char *per, char *why)
{
    if (own)
        return refuse(why, "--price: expected without --node, of a GiB: %s is no node",
                      entry->name);
    if (per && strcmp(per, "node") == 0)
        return refuse(why, "--per: expected gib: %s is sold by the GB", entry->name);
    take_entry(price, entry);
    price->usd_per_h = entry->usd_per_gb_month.number / month_hours;
    price->unit_b = gb;
    snprintf(price->unit, sizeof price->unit, "GB of %s", entry->name);
    return 0;
}

int mrc_price_find(struct mrc_price *price, const struct catalog *c, const char *node,
                   const char *own, const char *per, char *why)
{
    const char *redis_node = NULL;
    *price = (struct mrc_price){.known = true};
    if (per && strcmp(per, "node") != 0 && strcmp(per, "gib") != 0)
        return refuse(why, "--per: expected node or gib");
    if (per && !node && strcmp(per, "node") == 0)
        return refuse(why, "--per: expected with --node: which says how large one is");
    if (!node) {
        price->unit_b = gib;
        snprintf(price->unit, sizeof price->unit, "GiB");
        return own_price(price, own, why);
    }
    const struct catalog_price *entry = find_entry(c, node, &redis_node);
    if (!entry && !redis_node)
        return unknown_node(c, node, why);
    if (entry && strcmp(entry->kind, "disk") == 0)
        return price_disk(price, entry, own, per, why);
    if (!entry && !own)
        return refuse(why, "--node: expected with --price: the catalogue has no price of %s", node);
    price->node = true;
    price->unit_b = room_b(c, redis_node, entry);
    snprintf(price->unit, sizeof price->unit, "%s", redis_node ? redis_node : node);
    if (own && own_price(price, own, why) != 0)
        return -EINVAL;
    if (!own) {
        take_entry(price, entry);
        price->usd_per_h = entry->usd_per_h.number;
    }
    price->whole = !per || strcmp(per, "node") == 0;
    return 0;
}

uint64_t mrc_nodes(const struct mrc *m, uint64_t capacity)
{
    const double nodes = mrc_gib(m, capacity) * gib / m->options.price.unit_b;
    return isnan(nodes) ? 0 : (uint64_t)ceil(nodes * (1 - 1e-12)); /* exactly full is full */
}

double mrc_usd_per_h(const struct mrc *m, uint64_t capacity)
{
    const struct mrc_price *price = &m->options.price;
    const double size_gib = mrc_gib(m, capacity);
    if (!price->known || isnan(size_gib))
        return NAN;
    return price->usd_per_h *
           (price->whole ? (double)mrc_nodes(m, capacity) : size_gib * gib / price->unit_b);
}

void mrc_price_say(const struct mrc_price *price, char *text, size_t size)
{
    char room[32], node[160] = "";
    if (price->node)
        snprintf(node, sizeof node, " per %s with room for %s%s", price->unit,
                 units_show_bytes(room, sizeof room, price->unit_b),
                 price->whole ? ", whole nodes, rounded up" : ", by the GiB");
    else if (!price->region[0])
        snprintf(node, sizeof node, " per GiB");
    if (price->region[0])
        snprintf(text, size, "%s%s; %s, %s, list price of %s", price->text, node, price->entry,
                 price->region, price->date);
    else
        snprintf(text, size, "%s%s; own price", price->text, node);
}
