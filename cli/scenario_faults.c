/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scenario_faults.c - the list `faults` of a scenario: from text to what, where, when and for how long.
 *
 *      faults:
 *        - {at: 30s, kill: redis/0, for: 20s}
 *        - {every: 10min, slow: network/1, factor: 10, for: 30s}
 *
 * In a file it is a list of mappings; on the command line, in --explain and in the hash the same in YAML's flow form,
 * which a file may hold too. An entry has one kind with its target, and times:
 *
 *      kill partition slow corrupt full    what happens, and to which part
 *      at                                  when; with every: from when on
 *      every                               again and again, so long apart on average
 *      for                                 how long; without it, for good
 *      factor, latency, share              of slow (so many times; so much later), of corrupt
 *
 * Whether the cluster has such a part is for faults.h to say.
 */
#include "scenario.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "near.h"

const char *const scenario_fault_kinds[FAULT_KINDS + 1] = {"kill",    "partition", "slow",
                                                           "corrupt", "full",      NULL};
const char *const scenario_fault_keys[] = {"at",     "every",   "kill",  "partition",
                                           "slow",   "corrupt", "full",  "for",
                                           "factor", "latency", "share", NULL};

_Static_assert(sizeof scenario_fault_keys / sizeof *scenario_fault_keys == SCENARIO_FAULT_KEYS + 1,
               "scenario.h says how many");

int scenario_refuse_fault(const struct scenario *s, uint32_t i, const char *key,
                          const char *expected, char *error)
{
    const struct scenario_key *of;
    struct scenario_value *value = NULL;
    enum kvt_tier_kind tier;
    char place[300] = "--set", entry[64] = "faults", ignored[SCENARIO_ERROR_SIZE];
    /* scenario_find changes nothing; it hands out a value that a caller of another kind may change. */
    union {
        const struct scenario *read_only;
        struct scenario *as_find_wants;
    } same = {s};
    if (scenario_find(same.as_find_wants, "faults", &of, &value, &tier, ignored) == 0 &&
        value->source == SOURCE_FILE)
        snprintf(place, sizeof place, "%.250s:%u", s->path,
                 i < SCENARIO_FAULTS_MOST && s->fault_line[i] ? s->fault_line[i] : value->line);
    if (i < SCENARIO_FAULTS_MOST)
        snprintf(entry, sizeof entry, "faults[%u]%s%.20s", i, key ? "." : "", key ? key : "");
    snprintf(error, SCENARIO_ERROR_SIZE, "%s: %s: %.180s", place, entry, expected);
    return -EINVAL;
}

/* ---- One value ------------------------------------------------------------------------------------- */

static int take_kind(struct scenario_fault *f, uint64_t kind, const char *text, const char **why)
{
    if (f->kind != FAULT_KINDS) {
        *why = "expected one of kill, partition, slow, corrupt and full in an entry, not two";
        return -EINVAL;
    }
    if (!*text || strlen(text) >= sizeof f->target) {
        *why = "expected a target such as redis/0, redis, engine/1, gpu/0.3, host/0, disk/0, "
               "network/0 or redis0/nic_tx";
        return -EINVAL;
    }
    f->kind = kind;
    snprintf(f->target, sizeof f->target, "%s", text);
    return 0;
}

static int take_factor(double *factor, const char *text, const char **why)
{
    double value;
    if (units_number(text, &value, why) == 0 && value > 1 && value <= 1e6) {
        *factor = value;
        return 0;
    }
    *why = "expected a number above 1, up to 1000000";
    return -EINVAL;
}

static int take_share(double *share, const char *text, const char **why)
{
    double value;
    if (units_ratio(text, &value, why) == 0 && value > 0 && value <= 1) {
        *share = value;
        return 0;
    }
    *why = "expected a share of the values above 0, such as 1%";
    return -EINVAL;
}

/* A duration; zero only where it makes sense. */
static int take_time(kvt_ns *time, const char *text, bool zero, const char **why)
{
    kvt_ns value;
    int rc = units_duration(text, &value, why);
    if (rc == 0 && value == 0 && !zero) {
        *why = "expected a duration above zero, such as 20s";
        rc = -EINVAL;
    }
    if (rc == 0)
        *time = value;
    return rc;
}

static int take_value(struct scenario_fault *f, const char *key, const char *text, const char **why)
{
    for (uint64_t kind = 0; kind < FAULT_KINDS; kind++)
        if (strcmp(key, scenario_fault_kinds[kind]) == 0)
            return take_kind(f, kind, text, why);
    if (strcmp(key, "at") == 0)
        return take_time(&f->at_ns, text, true, why);
    if (strcmp(key, "every") == 0)
        return take_time(&f->every_ns, text, false, why);
    if (strcmp(key, "for") == 0)
        return take_time(&f->for_ns, text, false, why);
    if (strcmp(key, "latency") == 0)
        return take_time(&f->latency_ns, text, false, why);
    if (strcmp(key, "factor") == 0)
        return take_factor(&f->factor, text, why);
    if (strcmp(key, "share") == 0)
        return take_share(&f->share, text, why);
    *why = "unknown key";
    return -EINVAL;
}

/* ---- One entry ------------------------------------------------------------------------------------- */

/* Values that belong to a kind, and to no other. */
static int check_entry(const struct scenario *s, uint32_t i, struct scenario_fault *f, char *error)
{
    if (f->kind == FAULT_KINDS)
        return scenario_refuse_fault(s, i, NULL,
                                     "expected what happens, such as kill: redis/0; or partition, "
                                     "slow, corrupt, full",
                                     error);
    if (f->at_ns == KVT_NEVER && f->every_ns == KVT_NEVER)
        return scenario_refuse_fault(s, i, "at",
                                     "expected a time, such as at: 30s; or every: 10min", error);
    if (f->kind == FAULT_SLOW && f->factor == 0 && f->latency_ns == 0)
        return scenario_refuse_fault(s, i, "factor",
                                     "expected how slow: factor: 10, or latency: 5ms, or both",
                                     error);
    if (f->kind != FAULT_SLOW && (f->factor > 0 || f->latency_ns > 0))
        return scenario_refuse_fault(s, i, f->factor > 0 ? "factor" : "latency",
                                     "expected with slow only", error);
    if (f->kind == FAULT_CORRUPT && f->share == 0)
        return scenario_refuse_fault(s, i, "share", "expected a share of the values, such as 1%",
                                     error);
    if (f->kind != FAULT_CORRUPT && f->share > 0)
        return scenario_refuse_fault(s, i, "share", "expected with corrupt only", error);
    if (f->at_ns == KVT_NEVER)
        f->at_ns = 0;
    return 0;
}

static const char *skip(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* Copies [from, to) without blanks at its ends. False when it does not fit. */
static bool cut(char *word, size_t size, const char *from, const char *to)
{
    while (to > from && isspace((unsigned char)to[-1]))
        to--;
    if ((size_t)(to - from) >= size)
        return false;
    memcpy(word, from, (size_t)(to - from));
    word[to - from] = '\0';
    return true;
}

static int refuse_key(const struct scenario *s, uint32_t i, const char *key, char *error)
{
    char why[200];
    int at = snprintf(why, sizeof why, "unknown key, expected one of ");
    near_list(why + at, sizeof why - (size_t)at, scenario_fault_keys, SCENARIO_FAULT_KEYS);
    return scenario_refuse_fault(s, i, key, why, error);
}

/* Reads "key: value, ...}" from *text on, past the brace. */
static int read_entry(const struct scenario *s, uint32_t i, const char **text,
                      struct scenario_fault *f, char *error)
{
    static const char shape[] = "expected {key: value, ...}, such as {at: 30s, kill: redis/0}";
    *f = (struct scenario_fault){.kind = FAULT_KINDS,
                                 .at_ns = KVT_NEVER,
                                 .for_ns = KVT_NEVER,
                                 .every_ns = KVT_NEVER};
    const char *at = skip(*text);
    for (bool more = *at != '}'; more;) {
        char key[24], value[64];
        const char *why = "", *colon = strpbrk(at, ":,{}"), *end = NULL;
        if (colon && *colon == ':')
            end = strpbrk(colon, ",{}");
        if (!end || *end == '{' || !cut(key, sizeof key, at, colon) ||
            !cut(value, sizeof value, skip(colon + 1), end))
            return scenario_refuse_fault(s, i, NULL, shape, error);
        if (take_value(f, key, value, &why) != 0)
            return strcmp(why, "unknown key") == 0 ? refuse_key(s, i, key, error)
                                                   : scenario_refuse_fault(s, i, key, why, error);
        more = *end == ',';
        at = more ? skip(end + 1) : end;
    }
    *text = skip(at + 1);
    return check_entry(s, i, f, error);
}

int scenario_type_faults(struct scenario *s, const char *text, char *error)
{
    s->n_faults = 0;
    const char *at = skip(text);
    if (strcmp(at, "none") == 0)
        return 0;
    const bool bracket = *at == '[';
    at = skip(at + bracket);
    while (*at == '{') {
        char many[64];
        snprintf(many, sizeof many, "expected at most %d faults", SCENARIO_FAULTS_MOST);
        if (s->n_faults == SCENARIO_FAULTS_MOST)
            return scenario_refuse_fault(s, UINT32_MAX, NULL, many, error);
        at++;
        int rc = read_entry(s, s->n_faults, &at, &s->faults[s->n_faults], error);
        if (rc != 0)
            return rc;
        s->n_faults++;
        if (*at == ',' && *skip(at + 1) == '{')
            at = skip(at + 1);
        else
            break;
    }
    if (bracket && *at == ']')
        at = skip(at + 1);
    else if (bracket || s->n_faults == 0)
        at = "?";
    if (*at)
        return scenario_refuse_fault(
            s, UINT32_MAX, NULL,
            "expected a list such as [{at: 30s, kill: redis/0, for: 20s}], or "
            "none",
            error);
    return 0;
}
