/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * intern.c - see intern.h.
 */
#include "intern.h"

#include "../core/mix.h"
#include "record.h"

#include <errno.h>
#include <stdlib.h>

static size_t slot_of(const struct wl_intern *table, kvt_key key)
{
    const size_t mask = table->n_slots - 1;
    size_t slot = kvt_mix64(key.lo ^ kvt_mix64(key.hi)) & mask;
    while (table->slots[slot] != 0 && !kvt_key_equal(table->keys[table->slots[slot] - 1], key))
        slot = (slot + 1) & mask;
    return slot;
}

static int rehash(struct wl_intern *table)
{
    const size_t n_slots = table->n_slots == 0 ? 64 : table->n_slots * 2;
    uint32_t *slots = calloc(n_slots, sizeof slots[0]);
    if (slots == NULL)
        return -ENOMEM;
    free(table->slots);
    table->slots = slots;
    table->n_slots = n_slots;
    for (size_t i = 0; i < table->n; i++)
        slots[slot_of(table, table->keys[i])] = (uint32_t)(i + 1);
    return 0;
}

int wl_intern(struct wl_intern *table, kvt_key key, uint32_t *index, bool *fresh)
{
    if (table->n >= table->n_slots / 2 && rehash(table) != 0)
        return -ENOMEM;
    const size_t slot = slot_of(table, key);
    const bool is_new = table->slots[slot] == 0;
    if (is_new) {
        if (table->n >= UINT32_MAX - 1 ||
            wl_grow(&table->keys, &table->room, table->n + 1, sizeof table->keys[0]) != 0)
            return -ENOMEM;
        table->keys[table->n++] = key;
        table->slots[slot] = (uint32_t)table->n;
    }
    *index = table->slots[slot] - 1;
    if (fresh != NULL)
        *fresh = is_new;
    return 0;
}

uint32_t wl_intern_find(const struct wl_intern *table, kvt_key key)
{
    return table->n_slots == 0 ? KVT_NONE : table->slots[slot_of(table, key)] - 1;
}

void wl_intern_release(struct wl_intern *table)
{
    free(table->keys);
    free(table->slots);
    *table = (struct wl_intern){0};
}
