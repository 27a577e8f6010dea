/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scenario_find.c - from a key's path to its place in the table, and what to say when there is none.
 *
 * A path that is not known is compared with the keys of the deepest section that is: for
 * cache.blok_tokens those are the keys of cache, for wrkload.trace the sections themselves.
 */
#include "scenario.h"

#include <errno.h>
#include <string.h>

#include "near.h"

static const char tiers_prefix[] = "cache.tiers.";

enum { WORD_MOST = 64 };

enum kvt_tier_kind scenario_tier_named(const char *word)
{
    for (int kind = 0; kind < KVT_TIERS; kind++)
        if (strcmp(word, kvt_tier_name((enum kvt_tier_kind)kind)) == 0)
            return (enum kvt_tier_kind)kind;
    return KVT_TIERS;
}

static bool is_or_under(const char *path, const char *section)
{
    size_t len = strlen(section);
    return strncmp(path, section, len) == 0 && (path[len] == '\0' || path[len] == '.');
}

/* Keys that have moved. */
static bool moved(const char *path, char *error)
{
    if (strcmp(path, "cache.shard.lose_gpu") != 0 && strcmp(path, "cache.shard.lose_at") != 0)
        return false;
    snprintf(error, SCENARIO_ERROR_SIZE,
             "%.200s: expected under faults instead: faults: [{at: 1800s, kill: gpu/0.5}]", path);
    return true;
}

static int refuse_later(const char *path, const char *help, char *error)
{
    snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: expected to be left out: not supported yet (%s)",
             path, help);
    return -EINVAL;
}

static int refuse_unknown(const char *path, const char *word, const char *const *names, size_t n,
                          char *error)
{
    const char *near = near_word(word, names, n);
    if (near) {
        snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: unknown key, did you mean %s?", path, near);
        return -EINVAL;
    }
    int at = snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: unknown key, expected one of ", path);
    near_list(error + at, SCENARIO_ERROR_SIZE - (size_t)at, names, n);
    return -EINVAL;
}

/* The component of path that begins at byte `at`, cut to fit word[WORD_MOST]. Returns where it ends. */
static size_t component(const char *path, size_t at, char *word)
{
    size_t len = strcspn(path + at, ".");
    snprintf(word, WORD_MOST, "%.*s", (int)(len < WORD_MOST ? len : WORD_MOST - 1), path + at);
    return at + len;
}

static int unknown_tier_key(const char *path, const char *word, enum kvt_tier_kind tier,
                            char *error)
{
    const char *names[SCENARIO_TIER_KEYS_MOST];
    size_t n_keys, n = 0;
    const struct scenario_key *keys = scenario_tier_keys(&n_keys);
    bool elsewhere = false;
    for (size_t i = 0; i < n_keys; i++) {
        if (keys[i].type == KEY_LATER)
            continue;
        if (keys[i].kinds & (1u << tier))
            names[n++] = keys[i].path;
        else
            elsewhere = elsewhere || strcmp(keys[i].path, word) == 0;
    }
    if (!elsewhere)
        return refuse_unknown(path, word, names, n, error);
    int at =
        snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: not a key of the %s tier, expected one of ",
                 path, kvt_tier_name(tier));
    near_list(error + at, SCENARIO_ERROR_SIZE - (size_t)at, names, n);
    return -EINVAL;
}

/* path is cache.tiers.<kind>.<key>. */
static int find_tier_key(const char *path, const struct scenario_key **key, size_t *index,
                         enum kvt_tier_kind *tier, char *error)
{
    char kind[WORD_MOST];
    size_t end = component(path, sizeof tiers_prefix - 1, kind);
    *tier = scenario_tier_named(kind);
    if (*tier == KVT_TIERS) {
        snprintf(error, SCENARIO_ERROR_SIZE,
                 "%.200s: expected a tier: gpu, peer, host, redis or disk", path);
        return -EINVAL;
    }
    const char *word = path + end + (path[end] == '.');
    size_t n;
    const struct scenario_key *keys = scenario_tier_keys(&n);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].type == KEY_LATER && is_or_under(word, keys[i].path))
            return refuse_later(path, keys[i].help, error);
        if ((keys[i].kinds & (1u << *tier)) && strcmp(keys[i].path, word) == 0) {
            *key = &keys[i];
            *index = i;
            return 0;
        }
    }
    return unknown_tier_key(path, word, *tier, error);
}

/* Which word of path is not known, and which would be. */
static int unknown_key(const char *path, char *error)
{
    if (moved(path, error))
        return -EINVAL;
    size_t n_keys;
    const struct scenario_key *keys = scenario_keys(&n_keys);
    size_t section = 0; /* length of the deepest known section, its point included */
    for (size_t at = 0; path[at]; at++) {
        if (path[at] != '.')
            continue;
        for (size_t i = 0; i < n_keys; i++)
            if (strncmp(keys[i].path, path, at + 1) == 0)
                section = at + 1;
    }
    static char words[SCENARIO_KEYS_MOST][WORD_MOST];
    const char *names[SCENARIO_KEYS_MOST + 1];
    size_t n = 0;
    for (size_t i = 0; i < n_keys; i++) {
        if (strncmp(keys[i].path, path, section) != 0 || keys[i].type == KEY_LATER)
            continue;
        component(keys[i].path, section, words[n]);
        if (n > 0 && strcmp(words[n], words[n - 1]) == 0)
            continue;
        names[n] = words[n];
        n++;
    }
    if (section == strlen("cache.") && strncmp(path, "cache.", section) == 0)
        names[n++] = "tiers";
    char word[WORD_MOST];
    component(path, section, word);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(word, names[i]) == 0) {
            snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: expected a key with a value", path);
            return -EINVAL;
        }
    }
    return refuse_unknown(path, word, names, n, error);
}

/* Where path stands: key, its index in its table, tier (KVT_TIERS outside tiers). */
static int locate(const char *path, const struct scenario_key **key, size_t *index,
                  enum kvt_tier_kind *tier, char *error)
{
    if (strncmp(path, tiers_prefix, sizeof tiers_prefix - 1) == 0)
        return find_tier_key(path, key, index, tier, error);
    *tier = KVT_TIERS;
    size_t n;
    const struct scenario_key *keys = scenario_keys(&n);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].type == KEY_LATER && is_or_under(path, keys[i].path))
            return refuse_later(path, keys[i].help, error);
        if (strcmp(keys[i].path, path) == 0) {
            *key = &keys[i];
            *index = i;
            return 0;
        }
    }
    return unknown_key(path, error);
}

int scenario_find(struct scenario *s, const char *path, const struct scenario_key **key,
                  struct scenario_value **value, enum kvt_tier_kind *tier, char *error)
{
    size_t index = 0;
    int rc = locate(path, key, &index, tier, error);
    if (rc == 0)
        *value = *tier == KVT_TIERS ? &s->values[index] : &s->tier_values[*tier][index];
    return rc;
}

const char *scenario_where(const struct scenario *s, const char *path, char *where, size_t size)
{
    const struct scenario_key *key;
    enum kvt_tier_kind tier = KVT_TIERS;
    char error[SCENARIO_ERROR_SIZE];
    size_t index = 0;
    if (locate(path, &key, &index, &tier, error) != 0) {
        snprintf(where, size, "%s: %s", s->path, path);
        return where;
    }
    const struct scenario_value *value =
        tier == KVT_TIERS ? &s->values[index] : &s->tier_values[tier][index];
    if (value->source == SOURCE_FILE)
        snprintf(where, size, "%s:%u: %s", s->path, value->line, path);
    else if (value->source == SOURCE_SET)
        snprintf(where, size, "--set: %s", path);
    else
        snprintf(where, size, "%s: %s (default)", s->path, path);
    return where;
}
