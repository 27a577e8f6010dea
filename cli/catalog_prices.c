/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * catalog_prices.c - prices of the catalogue: what must hold of them, and which one is paid.
 *
 * A price that says neither when nor where it held, nor of what, is worth nothing; libcyaml refuses
 * an entry without date or region, units.c a number without unit, and this file what contradicts
 * itself: a date that no calendar has, two prices in one entry, a GPU instance without GPUs.
 */
#include "catalog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool catalog_is_day(const char *text)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year = 0, month = 0, day = 0;
    int used = 0;

    if (strlen(text) != 10 || strspn(text, "0123456789-") != 10 ||
        sscanf(text, "%4u-%2u-%2u%n", &year, &month, &day, &used) != 3 || used != 10)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return year >= 2000 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1] + (unsigned)(month == 2 && leap);
}

static bool one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(*words, word) != 0)
        words++;
    return *words != NULL;
}

/* What is wrong with an entry, or NULL; *key is then where. */
static const char *wrong(const struct catalog *c, const struct catalog_price *p, const char **key,
                         char *why, size_t size)
{
    static const char *const kinds[] = {"gpu", "redis", "memory", "disk", "transfer", NULL};
    static const char *const software[] = {"redis", "valkey", "self", NULL};
    bool hourly =
        one_of(p->kind, kinds) && strcmp(p->kind, "disk") != 0 && strcmp(p->kind, "transfer") != 0;

    *key = "kind";
    if (!one_of(p->kind, kinds))
        return "expected one of gpu, redis, memory, disk, transfer";
    *key = hourly ? "price" : strcmp(p->kind, "disk") == 0 ? "stored" : "moved";
    if ((p->usd_per_h.text != NULL) + (p->usd_per_gb_month.text != NULL) +
            (p->usd_per_gb.text != NULL) !=
        1)
        return "expected exactly one of price, stored and moved";
    if ((hourly && !p->usd_per_h.text) ||
        (strcmp(p->kind, "disk") == 0 && !p->usd_per_gb_month.text) ||
        (strcmp(p->kind, "transfer") == 0 && !p->usd_per_gb.text))
        return "expected this price, as the kind of the entry has it";
    *key = "gpu";
    if (strcmp(p->kind, "gpu") == 0 && !p->gpu)
        return "expected the GPU of the instance";
    if (p->gpu && !catalog_gpu(c, p->gpu, why, size))
        return why;
    *key = "gpus";
    if (p->gpu && !(p->gpus.text && p->gpus.number >= 1))
        return "expected how many GPUs the instance has";
    *key = "memory";
    if (strcmp(p->kind, "memory") == 0 && !(p->memory_b.text && p->memory_b.number > 0))
        return "expected how much the instance has";
    *key = "redis_node";
    if (strcmp(p->kind, "redis") == 0 && !p->redis_node)
        return "expected the node that it is the price of";
    if (p->redis_node && !catalog_redis_node(c, p->redis_node, why, size))
        return why;
    *key = "software";
    if ((p->redis_node != NULL) != (p->software != NULL) ||
        (p->software && !one_of(p->software, software)))
        return "expected redis, valkey or self, beside redis_node";
    return NULL;
}

int catalog_check_prices(const struct catalog *c, char *error, size_t error_size)
{
    for (uint32_t i = 0; i < c->prices.n; i++) {
        char why[256];
        const char *key, *what = wrong(c, &c->prices.entries[i], &key, why, sizeof why);

        if (what) {
            snprintf(error, error_size, "prices.yaml: prices[%u].%s: %s", i, key, what);
            return -EINVAL;
        }
    }
    return 0;
}

static bool same(const char *wanted, const char *has)
{
    return !wanted || (has && strcmp(wanted, has) == 0);
}

const struct catalog_price *catalog_price_of(const struct catalog *c, const char *kind,
                                             const char *gpu, const char *redis_node,
                                             const char *software)
{
    for (uint32_t i = 0; i < c->prices.n; i++) {
        const struct catalog_price *p = &c->prices.entries[i];
        /* What one runs oneself is an instance bought for its memory. */
        bool kind_fits =
            strcmp(p->kind, kind) == 0 || (software && strcmp(software, "self") == 0 &&
                                           p->software && strcmp(p->software, "self") == 0);

        if (kind_fits && same(gpu, p->gpu) && same(redis_node, p->redis_node) &&
            same(software, p->software))
            return p;
    }
    return NULL;
}
