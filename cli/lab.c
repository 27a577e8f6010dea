/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lab.c - see lab.h: every run named, checked and grouped before the first begins.
 *
 * One scenario and one catalogue serve all runs: each run sets its own values of the varied keys over
 * those of the run before, and types the scenario again. That costs microseconds, so all points of a
 * sweep are checked at once; what costs time, reading the trace, is done for each distinct reading of a
 * file, and for the first few generators.
 *
 * The identity of a result is SHA-256 over
 *
 *      the resolved scenario's hash, the trace's bytes, every file of the catalogue, the profile, the program's revision
 *
 * so a stored result is never taken for that of another question. Hashing the catalogue's files is
 * coarse (a comment changes it) and safe.
 */
#include "lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cost.h"
#include "datadir.h"
#include "version.h"

enum { GENERATORS_CHECKED = 16, SIGNATURE_MOST = 16384 };

size_t lab_point(const struct lab *lab, size_t run)
{
    return run / lab->arguments->replications;
}

uint32_t lab_replication(const struct lab *lab, size_t run)
{
    return (uint32_t)(run % lab->arguments->replications);
}

/* ---- Identity ---------------------------------------------------------------------------------------- */

/* The bytes of a file, folded into sum. */
static int hash_file(const char *path, uint64_t sum[2])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        close(fd); /* a pipe cannot be read twice: its name has to do */
        return 0;
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    int rc = bytes == MAP_FAILED ? -errno : 0;
    close(fd);
    if (rc != 0)
        return rc;
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, (size_t)st.st_size, sum[0]);
    munmap(bytes, (size_t)st.st_size);
    sum[0] = hash.high64;
    sum[1] ^= hash.low64;
    return 0;
}

static int is_yaml(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".yaml") == 0;
}

static int hash_catalog(uint64_t sum[2])
{
    char data[PATH_MAX], folder[PATH_MAX + 32], path[PATH_MAX + NAME_MAX + 64];
    struct dirent **entries;
    if (datadir_find(data, sizeof data) != 0)
        return -ENOENT;
    snprintf(folder, sizeof folder, "%s/scenarios/catalog", data);
    int n = scandir(folder, &entries, is_yaml, alphasort);
    if (n < 0)
        return -errno;
    int rc = 0;
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (rc == 0)
            rc = hash_file(path, sum);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int sha256(const char *text, size_t n, char hex[65])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    if (EVP_Digest(text, n, sum, &len, EVP_sha256(), NULL) != 1 || len != 32)
        return -EIO;
    for (unsigned int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return 0;
}

/* What all runs have in common beside the scenario. */
static int hash_constants(struct lab *lab)
{
    const char *profile = lab->arguments->session.profile;
    uint64_t sum[2] = {0, 0};
    char text[256];
    int rc = hash_catalog(sum);
    if (rc == 0 && profile)
        rc = hash_file(profile, sum);
    if (rc == 0) {
        int n = snprintf(text, sizeof text, "%016llx%016llx %.100s", (unsigned long long)sum[0],
                         (unsigned long long)sum[1], kvtwin_revision());
        rc = sha256(text, (size_t)n, lab->constants);
    }
    if (rc != 0)
        snprintf(lab->error, sizeof lab->error, "the catalogue cannot be hashed: %s",
                 strerror(-rc));
    return rc;
}

static int identify(struct lab *lab, struct lab_entry *entry, const uint64_t trace[2])
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s %s %016llx%016llx %d", entry->sha256, lab->constants,
                     (unsigned long long)trace[0], (unsigned long long)trace[1], lab->baseline);
    return sha256(text, (size_t)n, entry->identity);
}

/* ---- Groups of the same traffic ---------------------------------------------------------------------- */

static const char *text_of(struct scenario *s, const char *path)
{
    const struct scenario_key *key;
    struct scenario_value *value;
    enum kvt_tier_kind tier;
    char error[SCENARIO_ERROR_SIZE];
    if (scenario_find(s, path, &key, &value, &tier, error) != 0)
        return "";
    const char *text = scenario_text(s, key, value, tier);
    return text ? text : "";
}

/* What decides how a trace is read, and, with `all`, which requests come out. */
static XXH128_hash_t signature(const struct lab *lab, struct scenario *s, bool all)
{
    static const char *const reading[] = {
        "workload.trace",        "workload.format",    "workload.trace_block_tokens",
        "workload.tenant_salts", "cache.block_tokens", "cache.partial_blocks",
    };
    char *text = malloc(SIGNATURE_MOST);
    size_t at = 0, n;
    if (!text)
        return (XXH128_hash_t){0, 0}; /* one group less apart: costs time, not truth, see lab_run */
    for (size_t i = 0; i < sizeof reading / sizeof *reading; i++)
        at += (size_t)snprintf(text + at, SIGNATURE_MOST - at, "%.2000s\n", text_of(s, reading[i]));
    at += (size_t)snprintf(text + at, SIGNATURE_MOST - at, "%d\n", session_asks_for_tokens(s));
    if (all) {
        const struct scenario_key *keys = scenario_keys(&n);
        for (size_t i = 0; i < n && at < SIGNATURE_MOST; i++) {
            const char *value = scenario_text(s, &keys[i], &s->values[i], KVT_TIERS);
            if (value && strncmp(keys[i].path, "workload.", 9) == 0)
                at += (size_t)snprintf(text + at, SIGNATURE_MOST - at, "%zu=%.200s\n", i, value);
        }
        /* The seed of an exact trace draws nothing. */
        bool drawn = !(s->workload.trace && lab->session.source && lab->session.info.exact);
        if (at < SIGNATURE_MOST)
            at += (size_t)snprintf(text + at, SIGNATURE_MOST - at, "%s %s %llu",
                                   text_of(s, "cache.model_epoch"), text_of(s, "cluster.model"),
                                   drawn ? (unsigned long long)s->seed : 0);
    }
    XXH128_hash_t hash = XXH3_128bits(text, at < SIGNATURE_MOST ? at : SIGNATURE_MOST);
    free(text);
    return hash;
}

/* The future that some policies ask for is that of one traffic. */
static void forget_future(struct session *s)
{
    wl_future_free(s->future);
    s->future = NULL;
}

static int resolve_again(struct session *s)
{
    forget_future(s);
    return session_resolve(s);
}

/* Reads the traffic of the scenario as it now is. */
static int read_traffic(struct lab *lab, int64_t group, char *error)
{
    struct session *s = &lab->session;
    forget_future(s);
    wl_close(s->source);
    s->source = NULL;
    lab->open_group = -1;
    if (lab->rate_factor > 0)
        s->scenario.workload.rate_scale *= lab->rate_factor;
    int rc = session_workload(s);
    if (rc == 0)
        lab->open_group = group;
    else if (error != s->error)
        snprintf(error, SCENARIO_ERROR_SIZE, "%s", s->error);
    return rc;
}

/* State of lab_open's walk over all runs. */
struct walk {
    XXH128_hash_t *groups;   /* signature of each */
    uint64_t (*sums)[2];     /* of each group's trace, 0 without one */
    uint64_t sum[2];         /* of the trace that was read last */
    XXH128_hash_t read_last; /* of the reading that was checked last */
    bool read;
    uint32_t checked;
};

static uint32_t find_group(struct lab *lab, struct walk *w, XXH128_hash_t hash, bool *found)
{
    uint32_t g = lab->n_groups;
    *found = false;
    /* From the last: neighbours are alike. */
    while (g-- > 0) {
        if (w->groups[g].low64 == hash.low64 && w->groups[g].high64 == hash.high64) {
            *found = true;
            return g;
        }
    }
    w->groups[lab->n_groups] = hash;
    return lab->n_groups++;
}

/* Sets the scenario to a run's values. */
int lab_take_values(struct lab *lab, size_t run, char *error)
{
    const struct lab_arguments *a = lab->arguments;
    struct scenario *s = &lab->session.scenario;
    char seed[48];
    bool varied = false;
    for (size_t k = 0; k < a->vary.n_keys; k++)
        varied = varied || strcmp(a->vary.keys[k].path, "seed") == 0;
    int rc = 0;
    if (!varied && a->replications > 1) {
        snprintf(seed, sizeof seed, "seed=%llu",
                 (unsigned long long)(lab->seed + lab_replication(lab, run)));
        rc = scenario_set(s, seed, error);
    }
    if (rc == 0)
        rc = vary_apply(&a->vary, lab_point(lab, run), s, a->option, error);
    if (rc == 0 && varied && a->replications > 1) {
        snprintf(seed, sizeof seed, "seed=%llu",
                 (unsigned long long)(s->seed + lab_replication(lab, run)));
        rc = scenario_set(s, seed, error);
        if (rc == 0)
            rc = scenario_type(s, error);
    }
    return rc;
}

/* Reads the traffic where it has not been read in this way. */
static int check_traffic(struct lab *lab, struct walk *w, uint32_t group)
{
    struct session *s = &lab->session;
    XXH128_hash_t reading = signature(lab, &s->scenario, false);
    bool again = w->read && XXH128_isEqual(reading, w->read_last);
    if (s->scenario.workload.trace ? again : w->checked >= GENERATORS_CHECKED)
        return 0;
    int rc = read_traffic(lab, group, s->error);
    if (rc != 0)
        return rc;
    w->read_last = reading;
    w->read = true;
    w->checked++;
    memset(w->sum, 0, sizeof w->sum);
    if (s->scenario.workload.trace)
        rc = hash_file(s->trace, w->sum);
    if (rc != 0)
        snprintf(s->error, sizeof s->error, "%.200s: %s", s->trace, strerror(-rc));
    return rc;
}

/* Of GPUs, Redis nodes, memory and disks: what is paid whether traffic comes or not. */
static double rent(const struct resolved *r)
{
    double usd_per_hour = 0;
    for (int part = 0; part < COST_ZONES; part++) {
        const struct cost_rate *rate = &r->cost.parts[part];
        double billed = rate->count - rate->free_count;
        if (rate->present && billed > 0)
            usd_per_hour += billed * rate->usd_per_unit;
    }
    return r->cost.present ? usd_per_hour : (double)NAN;
}

static int check_run(struct lab *lab, struct walk *w, size_t run)
{
    struct session *s = &lab->session;
    struct lab_entry *entry = &lab->entries[run];
    bool known;
    int rc = lab_take_values(lab, run, s->error);
    if (rc == 0 && s->scenario.world == WORLD_REAL) {
        snprintf(s->error, sizeof s->error,
                 "world: expected null or sim: runs of the real world beside each other would "
                 "measure each other; see kvtwin validate");
        rc = -EINVAL;
    }
    if (rc != 0)
        return rc;
    entry->group = find_group(lab, w, signature(lab, &s->scenario, true), &known);
    if (!known) {
        rc = check_traffic(lab, w, entry->group);
        memcpy(w->sums[entry->group], w->sum, sizeof w->sum);
        if (run == 0 && rc == 0) /* now known to be exact or not */
            w->groups[0] = signature(lab, &s->scenario, true);
    }
    if (rc == 0) {
        rc = resolve_again(s);
        entry->usd_per_hour = rc == 0 ? rent(&s->resolved) : (double)NAN;
        if (rc == -ENOSPC)
            rc = 0; /* a model that does not fit is a result: told in its row */
    }
    if (rc == 0 && (scenario_hash(&s->scenario, entry->sha256) != 0 ||
                    identify(lab, entry, w->sums[entry->group]) != 0)) {
        snprintf(s->error, sizeof s->error, "SHA-256 is not available");
        rc = -EIO;
    }
    if (rc != 0)
        vary_blame(&lab->arguments->vary, lab->arguments->option, s->error);
    return rc;
}

/* Runs by group, and by number within: a counting sort. */
static void order_runs(struct lab *lab)
{
    size_t *begin = calloc(lab->n_groups + 1, sizeof *begin);
    for (size_t i = 0; i < lab->n_runs; i++) {
        lab->group_size[lab->entries[i].group]++;
        lab->order[i] = i;
    }
    if (!begin)
        return; /* any order will do */
    for (uint32_t g = 0; g < lab->n_groups; g++)
        begin[g + 1] = begin[g] + lab->group_size[g];
    for (size_t i = 0; i < lab->n_runs; i++)
        lab->order[begin[lab->entries[i].group]++] = i;
    free(begin);
}

static int check_all(struct lab *lab)
{
    struct walk w = {0};
    size_t n = lab->n_runs;
    lab->entries = calloc(n, sizeof *lab->entries);
    lab->order = calloc(n, sizeof *lab->order);
    lab->group_size = calloc(n, sizeof *lab->group_size);
    w.groups = calloc(n, sizeof *w.groups);
    w.sums = calloc(n, sizeof *w.sums);
    int rc = 0;
    if (!lab->entries || !lab->order || !lab->group_size || !w.groups || !w.sums) {
        snprintf(lab->session.error, sizeof lab->session.error, "out of memory for %zu runs", n);
        rc = -ENOMEM;
    }
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = check_run(lab, &w, i);
    free(w.groups);
    free(w.sums);
    if (rc == 0)
        order_runs(lab);
    return rc;
}

int lab_open(struct lab *lab)
{
    const struct lab_arguments *a = lab->arguments;
    struct session *s = &lab->session;
    lab->open_group = -1;
    int rc = session_load(s, &a->session);
    if (rc == 0) {
        lab->seed = s->scenario.seed;
        session_name(s, lab->name, sizeof lab->name);
        lab->n_runs = a->vary.points * a->replications;
        rc = vary_check(&a->vary, &s->scenario, a->option, s->error);
    }
    if (rc == 0)
        rc = hash_constants(lab);
    if (rc == 0)
        rc = check_all(lab);
    if (rc != 0 && lab->error[0] == '\0')
        memcpy(lab->error, s->error, sizeof lab->error);
    return rc;
}

void lab_close(struct lab *lab)
{
    free(lab->entries);
    free(lab->order);
    free(lab->group_size);
    session_close(&lab->session);
}

/* ---- Before and in a run ----------------------------------------------------------------------------- */

int lab_prepare(void *self, size_t run, char *error)
{
    struct lab *lab = self;
    uint32_t group = lab->entries[run].group;
    if (lab->open_group == group || lab->group_size[group] < 2)
        return 0;
    int rc = lab_take_values(lab, run, error);
    return rc ? rc : read_traffic(lab, group, error);
}

static bool is_varied(const struct lab *lab, const char *path)
{
    const struct vary *v = &lab->arguments->vary;
    for (size_t k = 0; k < v->n_keys; k++)
        if (strcmp(v->keys[k].path, path) == 0)
            return true;
    return false;
}

char *lab_describe(const struct lab *lab, char *text, size_t size)
{
    const struct scenario *s = &lab->session.scenario;
    char requests[32], count[32];
    size_t at =
        (size_t)snprintf(text, size, "%.100s: %s world", lab->name, session_world(&lab->session));
    if (at < size && !is_varied(lab, "cluster.model"))
        at += (size_t)snprintf(text + at, size - at, ", %.60s", s->cluster.model);
    if (at < size && !is_varied(lab, "cluster.gpu")) {
        bool counted =
            !is_varied(lab, "cluster.engines") && !is_varied(lab, "cluster.gpus_per_engine");
        snprintf(count, sizeof count, "%llu x ",
                 (unsigned long long)(s->cluster.engines * s->cluster.gpus_per_engine));
        at += (size_t)snprintf(text + at, size - at, " on %s%.60s", counted ? count : "",
                               s->cluster.gpu);
    }
    if (at < size)
        snprintf(text + at, size - at, ", %s requests",
                 units_show_count(requests, sizeof requests, lab->session.info.requests));
    return text;
}

int lab_become(struct lab *lab, size_t run, char *error)
{
    uint32_t group = lab->entries[run].group;
    int rc = lab_take_values(lab, run, error);
    if (rc == 0 && lab->open_group != group)
        rc = read_traffic(lab, group, error);
    if (rc == 0) {
        rc = resolve_again(&lab->session);
        if (rc != 0) {
            snprintf(error, SCENARIO_ERROR_SIZE, "%s", lab->session.error);
            vary_blame(&lab->arguments->vary, lab->arguments->option, error);
        }
    }
    return rc;
}
