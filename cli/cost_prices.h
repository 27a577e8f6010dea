/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cost_prices.h - which prices a scenario pays: its `prices` section, the catalogue, and the plan they make.
 */
#ifndef CLI_COST_PRICES_H
#define CLI_COST_PRICES_H

#include "catalog.h"
#include "cost.h"
#include "resolve.h"
#include "scenario.h"

/* Fills r->cost from everything else in r. Strings are copied. Returns 0, or -EINVAL with one line in
 * error[SCENARIO_ERROR_SIZE] about a key of `prices`. */
KVT_MUST_CHECK int cost_plan_init(struct resolved *r, const struct scenario *s,
                                  const struct catalog *catalog, char *error);

#endif
