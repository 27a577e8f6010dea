/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scenario_needs.c - keys that do nothing unless another one is given: refused, where they would be ignored in silence.
 *
 *      rollout: {share: 25%}          and no rollout.at: there is no roll-out, and its share means nothing
 *
 * Which key needs which is told by the table of keys, member `needs`: a key, in tiers one of the same tier, or several, of
 * which one is enough ("a or b").
 *
 * What is needed has to be given, whatever its value: `rollout.at: never` in a file, or cache.shard.policy=none among the
 * variants of a comparison, is somebody who turns the rest off and knows it. A key that is given as it is anyway
 * changes nothing, alone or not, and is let pass: so what --explain prints is a scenario.
 */
#include "scenario.h"

#include <errno.h>
#include <string.h>

/* The keys of a tier, or of none (KVT_TIERS), and what the scenario gives of them. */
struct table {
    const struct scenario_key *keys;
    const struct scenario_value *values;
    size_t n;
};

static struct table table_of(const struct scenario *s, enum kvt_tier_kind tier)
{
    struct table t;
    t.keys = tier == KVT_TIERS ? scenario_keys(&t.n) : scenario_tier_keys(&t.n);
    t.values = tier == KVT_TIERS ? s->values : s->tier_values[tier];
    return t;
}

/* Is any of the keys in "a or b" given? */
static bool any_given(const struct table *t, const char *paths)
{
    for (size_t i = 0; i < t->n; i++) {
        const char *at = t->values[i].text ? strstr(paths, t->keys[i].path) : NULL;
        const size_t len = strlen(t->keys[i].path);
        if (at && (at == paths || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return true;
    }
    return false;
}

static int check(const struct scenario *s, enum kvt_tier_kind tier, char *error)
{
    const struct table t = table_of(s, tier);
    for (size_t i = 0; i < t.n; i++) {
        const struct scenario_key *key = &t.keys[i];
        char path[128], where[300], section[32] = "";
        if (!key->needs || !t.values[i].text || strcmp(t.values[i].text, key->fallback) == 0 ||
            any_given(&t, key->needs))
            continue;
        if (tier != KVT_TIERS)
            snprintf(section, sizeof section, "cache.tiers.%s.", kvt_tier_name(tier));
        snprintf(path, sizeof path, "%s%s", section, key->path);
        snprintf(error, SCENARIO_ERROR_SIZE,
                 "%s: expected %s%s beside it, without which it does nothing",
                 scenario_where(s, path, where, sizeof where), section, key->needs);
        return -EINVAL;
    }
    return 0;
}

int scenario_check_needs(const struct scenario *s, char *error)
{
    int rc = check(s, KVT_TIERS, error);
    for (int tier = 0; rc == 0 && tier < KVT_TIERS; tier++)
        rc = check(s, (enum kvt_tier_kind)tier, error);
    return rc;
}
