/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scenario_type.c - from texts to typed members, and what must hold between them.
 *
 * Every key is parsed from its text, default or not, by the parser of its type; so a wrong unit
 * reads the same in a file and on the command line. Messages name the place of the value that is
 * wrong.
 */
#include "scenario.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "../workload/workload.h"
#include "near.h"
#include "outline.h"

/* Full path of a key, as on the command line. */
static void full_path(const struct scenario_key *key, enum kvt_tier_kind tier, char *path,
                      size_t size)
{
    if (tier == KVT_TIERS)
        snprintf(path, size, "%s", key->path);
    else
        snprintf(path, size, "cache.tiers.%s.%s", kvt_tier_name(tier), key->path);
}

static int refuse(const struct scenario *s, const char *path, const char *expected, char *error)
{
    char where[SCENARIO_ERROR_SIZE / 2];
    snprintf(error, SCENARIO_ERROR_SIZE, "%s: %.250s", scenario_where(s, path, where, sizeof where),
             expected);
    return -EINVAL;
}

static int parse_choice(const struct scenario_key *key, const char *text, void *member, char *want,
                        size_t want_size)
{
    size_t n = 0;
    while (key->names[n])
        n++;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, key->names[i]) == 0) {
            *(uint64_t *)member = i;
            return 0;
        }
    }
    snprintf(want, want_size, "expected %s", n > 1 ? "one of " : "");
    near_list(want, want_size, key->names, n);
    return -EINVAL;
}

static int parse_count(const struct scenario_key *key, const char *text, void *member, char *want,
                       size_t want_size)
{
    uint64_t value;
    if (key->word && strcmp(text, key->word) == 0) {
        *(uint64_t *)member = key->word_value;
        return 0;
    }
    if (units_count(text, &value, NULL) == 0 && (double)value >= key->least &&
        (double)value <= key->most) {
        *(uint64_t *)member = value;
        return 0;
    }
    snprintf(want, want_size, "expected a whole number from %.0f to %.0f%s%s", key->least,
             key->most, key->word ? ", or " : "", key->word ? key->word : "");
    return -EINVAL;
}

static int parse_real(const struct scenario_key *key, const char *text, void *member, char *want,
                      size_t want_size)
{
    double value;
    const char *why = NULL;
    if (key->word && strcmp(text, key->word) == 0) {
        *(double *)member = 0;
        return 0;
    }
    int rc = key->type == KEY_RATIO  ? units_ratio(text, &value, &why)
             : key->type == KEY_RATE ? units_rate(text, &value, &why)
                                     : units_number(text, &value, &why);
    if (rc == 0 && value >= key->least && value <= key->most) {
        *(double *)member = value;
        return 0;
    }
    const char *word = key->word ? key->word : "";
    if (rc != 0)
        snprintf(want, want_size, "%s%s%s", why, key->word ? ", or " : "", word);
    else
        snprintf(want, want_size, "expected %g to %g%s%s%s", key->least, key->most,
                 key->type == KEY_RATE ? " per second" : "", key->word ? ", or " : "", word);
    return -EINVAL;
}

static int parse_duration(const struct scenario_key *key, const char *text, void *member,
                          char *want, size_t want_size)
{
    kvt_ns value;
    const char *why = "expected a duration above zero";
    if (key->word && strcmp(text, key->word) == 0) {
        *(kvt_ns *)member = key->word_value;
        return 0;
    }
    if (units_duration(text, &value, &why) == 0 && (double)value >= key->least) {
        *(kvt_ns *)member = value;
        return 0;
    }
    snprintf(want, want_size, "%s%s%s", why, key->word ? ", or " : "", key->word ? key->word : "");
    return -EINVAL;
}

/* Parses text into the member. On failure what was expected is in want. */
static int parse(const struct scenario_key *key, const char *text, void *member, char *want,
                 size_t want_size)
{
    const char *why = "";
    int rc = 0;
    switch (key->type) {
    case KEY_TEXT:
    case KEY_LIST:
        *(const char **)member = text;
        return 0;
    case KEY_CHOICE:
        return parse_choice(key, text, member, want, want_size);
    case KEY_COUNT:
        return parse_count(key, text, member, want, want_size);
    case KEY_NUMBER:
    case KEY_RATIO:
    case KEY_RATE:
        return parse_real(key, text, member, want, want_size);
    case KEY_DURATION:
        return parse_duration(key, text, member, want, want_size);
    case KEY_BOOL:
        rc = units_bool(text, member, &why);
        break;
    case KEY_CAPACITY:
        rc = units_capacity(text, member, &why);
        break;
    case KEY_GENERATE:
    case KEY_FAULTS:
    case KEY_LATER:
        return 0;
    }
    if (rc != 0)
        snprintf(want, want_size, "%s", why);
    return rc;
}

/* Types the keys of one table. base is the struct that offsets count from. */
static int type_table(const struct scenario *s, const struct scenario_key *keys, size_t n,
                      const struct scenario_value *values, enum kvt_tier_kind tier, void *base,
                      char *error)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i].type == KEY_LATER || (tier != KVT_TIERS && !(keys[i].kinds & (1u << tier))))
            continue;
        const char *text = scenario_text(s, &keys[i], &values[i], tier);
        void *member = (char *)base + keys[i].offset;
        if (keys[i].type == KEY_GENERATE || keys[i].type == KEY_FAULTS)
            continue;
        if (!text) {
            *(const char **)member = NULL;
            continue;
        }
        char path[128], want[256];
        full_path(&keys[i], tier, path, sizeof path);
        if (values[i].text && text[0] == '\0' && (!keys[i].fallback || keys[i].fallback[0]))
            return refuse(s, path, "expected a value", error);
        if (parse(&keys[i], text, member, want, sizeof want) != 0)
            return refuse(s, path, want, error);
    }
    return 0;
}

/* Hands the generator's texts to its own parser. Its messages are "key: what was expected". */
static int type_generate(struct scenario *s, char *error)
{
    struct wl_generate *generate = &s->workload.generate;
    struct wl_error why;
    char path[128];
    size_t n;
    const struct scenario_key *keys = scenario_keys(&n);
    wl_generate_init(generate);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].type != KEY_GENERATE || !s->values[i].text)
            continue;
        const char *name = strrchr(keys[i].path, '.') + 1;
        if (wl_generate_set(generate, name, s->values[i].text, &why) != 0) {
            const char *expected = strstr(why.text, ": ");
            return refuse(s, keys[i].path, expected ? expected + 2 : why.text, error);
        }
    }
    if (wl_generate_check(generate, &why) == 0)
        return 0;
    const char *expected = strstr(why.text, ": ");
    snprintf(path, sizeof path, "workload.generate.%.*s", (int)(expected ? expected - why.text : 0),
             why.text);
    return refuse(s, path, expected ? expected + 2 : why.text, error);
}

/* Trace or generator: what --set names goes first, in a file it is one of them. */
static int choose_source(struct scenario *s, char *error)
{
    size_t n;
    const struct scenario_key *keys = scenario_keys(&n);
    enum scenario_source generate = SOURCE_DEFAULT, trace = SOURCE_DEFAULT;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].path, "workload.trace") == 0)
            trace = s->values[i].source;
        else if (strncmp(keys[i].path, "workload.generate.", 18) == 0 &&
                 s->values[i].source > generate)
            generate = s->values[i].source;
    }
    if (!s->workload.trace || generate > trace)
        s->workload.trace = NULL;
    else if (generate == trace)
        return refuse(s, "workload.trace", "expected either trace or generate, but both are given",
                      error);
    return 0;
}

static int check_tiers(struct scenario *s, char *error)
{
    struct scenario_tier *tiers = s->cache.tiers;
    if (!tiers[KVT_GPU].enabled)
        return refuse(s, "cache.tiers.gpu.enabled",
                      "expected true: without the gpu tier set cache.enabled to false", error);
    if (tiers[KVT_PEER].enabled && s->cluster.engines < 2)
        return refuse(s, "cluster.engines",
                      "expected at least 2: the peer tier is what other engines' GPUs hold", error);
    for (int kind = KVT_HOST; kind < KVT_TIERS; kind++) {
        char path[64];
        snprintf(path, sizeof path, "cache.tiers.%s.capacity",
                 kvt_tier_name((enum kvt_tier_kind)kind));
        if (kind != KVT_REDIS && tiers[kind].enabled && tiers[kind].capacity.kind == UNITS_AUTO)
            return refuse(s, path, "expected a size such as 512GiB, 20000blocks or infinite",
                          error);
    }
    if (tiers[KVT_GPU].capacity.kind == UNITS_INFINITE && s->world != WORLD_NULL)
        return refuse(s, "cache.tiers.gpu.capacity",
                      "expected auto, a size or blocks: infinite is for the null world", error);
    if (tiers[KVT_REDIS].enabled && tiers[KVT_REDIS].replicas == 1 &&
        tiers[KVT_REDIS].nodes % 2 != 0)
        return refuse(s, "cache.tiers.redis.nodes",
                      "expected an even number, half of them replicas", error);
    if (s->real.stage.kind != UNITS_AUTO && s->real.stage.kind != UNITS_CAPACITY_B)
        return refuse(s, "real.stage", "expected a size such as 256MiB, or auto", error);
    return 0;
}

static int type_faults(struct scenario *s, char *error)
{
    const struct scenario_key *key;
    struct scenario_value *value;
    enum kvt_tier_kind tier;
    int rc = scenario_find(s, "faults", &key, &value, &tier, error);
    return rc ? rc : scenario_type_faults(s, scenario_text(s, key, value, KVT_TIERS), error);
}

static int check_between(struct scenario *s, char *error)
{
    struct scenario_cache *cache = &s->cache;
    if (!cache->match_chain && !cache->match_exact)
        return refuse(s, "cache.match.exact", "expected chain or exact to be true", error);
    uint64_t block = cache->block_tokens, page = cache->page_tokens;
    if (block && page && block % page != 0) {
        char want[96];
        snprintf(want, sizeof want, "expected a divisor of cache.block_tokens, which is %llu",
                 (unsigned long long)block);
        return refuse(s, "cache.page_tokens", want, error);
    }
    return check_tiers(s, error);
}

int scenario_type(struct scenario *s, char *error)
{
    size_t n;
    const struct scenario_key *keys = scenario_keys(&n);
    int rc = type_table(s, keys, n, s->values, KVT_TIERS, s, error);
    if (rc == 0)
        rc = type_generate(s, error);
    keys = scenario_tier_keys(&n);
    for (int kind = 0; rc == 0 && kind < KVT_TIERS; kind++) {
        struct scenario_tier *tier = &s->cache.tiers[kind];
        bool listed = s->tier_line[kind] != 0 || kind == KVT_GPU;
        for (size_t i = 0; i < n; i++)
            listed = listed || s->tier_values[kind][i].source == SOURCE_SET;
        *tier = (struct scenario_tier){.ttl_ns = KVT_NEVER};
        if (!listed)
            continue;
        rc = type_table(s, keys, n, s->tier_values[kind], (enum kvt_tier_kind)kind, tier, error);
        tier->listed = true;
    }
    if (rc == 0)
        rc = choose_source(s, error);
    if (rc == 0)
        rc = type_faults(s, error);
    if (rc == 0)
        rc = check_between(s, error);
    if (rc == 0)
        rc = scenario_check_needs(s, error);
    if (rc != 0)
        outline_one_line(error);
    return rc;
}

static int set(struct scenario *s, const char *assignment, char *error)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment) {
        snprintf(error, SCENARIO_ERROR_SIZE, "--set: %.100s: expected key=value", assignment);
        return -EINVAL;
    }
    char path[128], why[SCENARIO_ERROR_SIZE];
    if ((size_t)(equals - assignment) >= sizeof path) {
        snprintf(error, SCENARIO_ERROR_SIZE, "--set: %.100s...: expected a shorter key",
                 assignment);
        return -EINVAL;
    }
    snprintf(path, sizeof path, "%.*s", (int)(equals - assignment), assignment);
    const struct scenario_key *key;
    struct scenario_value *value;
    enum kvt_tier_kind tier;
    int rc = scenario_find(s, path, &key, &value, &tier, why);
    if (rc != 0) {
        snprintf(error, SCENARIO_ERROR_SIZE, "--set: %.*s", SCENARIO_ERROR_SIZE - 16, why);
        return rc;
    }
    /* A list may stand in brackets, as in the file. */
    const char *text = equals + 1;
    size_t len = strlen(text);
    const bool list = key->type == KEY_LIST || key->type == KEY_FAULTS;
    if (list && len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (key->type == KEY_FAULTS && len == 0) { /* [] */
        text = "none";
        len = 4;
    }
    char *copy = strndup(text, len);
    if (!copy) {
        snprintf(error, SCENARIO_ERROR_SIZE, "--set: %.100s: out of memory", path);
        return -ENOMEM;
    }
    free(value->text);
    *value = (struct scenario_value){.text = copy, .source = SOURCE_SET};
    return 0;
}

int scenario_set(struct scenario *s, const char *assignment, char *error)
{
    int rc = set(s, assignment, error);
    if (rc != 0)
        outline_one_line(error);
    return rc;
}

/* ---- Hash ------------------------------------------------------------------------------------------ */

/* A password makes no other question, and a hash that is published must not help to guess it. */
static bool hash_line(EVP_MD_CTX *digest, const char *path, const char *text)
{
    char masked[16384];
    if (strstr(text, "://"))
        text = scenario_mask(text, masked, sizeof masked);
    return EVP_DigestUpdate(digest, path, strlen(path)) == 1 &&
           EVP_DigestUpdate(digest, "=", 1) == 1 &&
           EVP_DigestUpdate(digest, text, strlen(text) + 1) == 1;
}

static bool hash_all(const struct scenario *s, EVP_MD_CTX *digest)
{
    size_t n;
    const struct scenario_key *keys = scenario_keys(&n);
    bool good = true;
    /* question and expect, the first two, change no figure. */
    for (size_t i = 2; i < n && good; i++) {
        const char *text = scenario_text(s, &keys[i], &s->values[i], KVT_TIERS);
        if (text)
            good = hash_line(digest, keys[i].path, text);
    }
    keys = scenario_tier_keys(&n);
    for (int kind = 0; kind < KVT_TIERS; kind++) {
        for (size_t i = 0; i < n && good && s->cache.tiers[kind].enabled; i++) {
            enum kvt_tier_kind tier = (enum kvt_tier_kind)kind;
            if (keys[i].type == KEY_LATER || !(keys[i].kinds & (1u << kind)))
                continue;
            char path[128];
            const char *text = scenario_text(s, &keys[i], &s->tier_values[kind][i], tier);
            full_path(&keys[i], tier, path, sizeof path);
            good = !text || hash_line(digest, path, text);
        }
    }
    return good;
}

int scenario_hash(const struct scenario *s, char hex[65])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                hash_all(s, digest) && EVP_DigestFinal_ex(digest, sum, &len) == 1 && len == 32;
    EVP_MD_CTX_free(digest);
    if (!good)
        return -EIO;
    for (unsigned int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return 0;
}
