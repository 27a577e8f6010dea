/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolved_text.h - a scenario of a few lines, as printf has them, resolved with the catalogue: what tests of engines in shards
 * put into a core and a simulated world.
 */
#ifndef RESOLVED_TEXT_H
#define RESOLVED_TEXT_H

#include "../cli/resolve.h"
#include "kvt_test.h"

#include <stdarg.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static inline void
resolved_text(struct resolved *r, uint32_t block_tokens, const char *format, ...)
{
    char text[500], error[SCENARIO_ERROR_SIZE] = "";
    struct scenario s;
    struct catalog *catalog;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ck_assert(n > 0 && (size_t)n < sizeof text);
    int rc = scenario_load_text(&s, "x.yaml", text, (size_t)n, error);
    if (rc == 0)
        rc = scenario_type(&s, error);
    if (rc == 0)
        rc = catalog_load(&catalog, "scenarios/catalog", error, sizeof error);
    if (rc == 0)
        rc = resolve(r, &s, catalog, block_tokens, error);
    ck_assert_msg(rc == 0, "%s", error);
    scenario_release(&s);
    catalog_free(catalog);
}

#endif
