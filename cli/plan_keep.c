/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_keep.c - runs of a plan, kept in its folder: interrupted and called again it goes on where it was.
 *
 *      looks.json      {"runs": {IDENTITY: {"failed": false, "usd_per_hour": 12.5, "ttft_p95_ms": 812.4, ...}, ...}}
 *
 * An identity is that of the lab (lab.h): it hashes everything that a result depends on, the seed and the program's revision
 * included, so a run is found again whatever search asks for it, and none is found for another question. With more traffic
 * than the scenario has it says how much. What objectives go by is kept, not limits: a search with another limit uses
 * the same runs. A file that is not as above is as good as none.
 *
 * The file holds what this search has used and made, in the order of identities. A search goes by values alone, so
 * one that finds some of them here takes the same steps and leaves the same bytes as one that ran them all.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "plan.h"

enum { KEY = STORE_IDENTITY + 16 };

static void key_of(const struct plan *plan, size_t run, char key[KEY])
{
    const struct lab *lab = plan->lab;
    const int n = snprintf(key, KEY, "%s", lab->entries[run].identity);
    if (lab->rate_factor > 0 && n > 0 && n < KEY)
        snprintf(key + n, (size_t)(KEY - n), "*%.4g", lab->rate_factor);
}

void plan_recall(struct plan *plan, const char *dir)
{
    char path[PATH_MAX];
    json_t *file = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/looks.json", dir) < sizeof path)
        file = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    json_decref(plan->before);
    plan->before = json_incref(json_object_get(file, "runs"));
    json_decref(file);
}

/* A number, or null for what is not defined. */
static bool take(const json_t *kept, const char *name, double *value)
{
    const json_t *it = json_object_get(kept, name);
    *value = json_is_number(it) ? json_number_value(it) : (double)NAN;
    return json_is_number(it) || json_is_null(it);
}

bool plan_recalled(struct plan *plan, size_t run, struct plan_look *look)
{
    char key[KEY];
    key_of(plan, run, key);
    json_t *kept = json_object_get(plan->before, key);
    const json_t *failed = json_object_get(kept, "failed");
    bool good = json_is_boolean(failed) && take(kept, "usd_per_hour", &look->usd_per_hour);
    look->failed = json_is_true(failed);
    for (size_t k = 0; k < plan->n_slos; k++)
        good = good && take(kept, plan->slos[k].name, &look->value[k]);
    if (good && !plan->kept)
        plan->kept = json_object();
    return good && json_object_set(plan->kept, key, kept) == 0;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

int plan_keep(struct plan *plan, size_t run, const struct plan_look *look)
{
    char key[KEY];
    key_of(plan, run, key);
    if (!plan->kept)
        plan->kept = json_object();
    json_t *it =
        json_pack("{s:b, s:o}", "failed", look->failed, "usd_per_hour", number(look->usd_per_hour));
    bool good = it != NULL;
    for (size_t k = 0; k < plan->n_slos; k++)
        good &= json_object_set_new(it, plan->slos[k].name, number(look->value[k])) == 0;
    return json_object_set_new(plan->kept, key, it) == 0 && good ? 0 : -ENOMEM;
}

void plan_write_kept(struct out *o, const struct plan *plan)
{
    json_t *all = json_pack("{s:o}", "runs", plan->kept ? json_incref(plan->kept) : json_object());
    char *text = all ? json_dumps(all, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;
    if (text) {
        out_text(o, text);
        out_char(o, '\n');
    } else {
        o->error = o->error ? o->error : -ENOMEM;
    }
    free(text);
    json_decref(all);
}
