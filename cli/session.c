/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session.c - session.h: everything that a run reads, checked before anything is written.
 *
 * Files are looked for where the user is first: a scenario in the working folder, then among those
 * that come with the program; a trace in the working folder, then beside its scenario.
 */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "datadir.h"
#include "version.h"

/* A scenario that comes with the program is found wherever the program is called. */
static const char *find_scenario(const char *given, char *path, size_t size)
{
    char data[PATH_MAX];
    if (given[0] == '/' || access(given, F_OK) == 0 || datadir_find(data, sizeof data) != 0)
        return given;
    if ((size_t)snprintf(path, size, "%s/%s", data, given) >= size || access(path, R_OK) != 0)
        return given;
    return path;
}

static int load_scenario(struct session *session, const struct session_arguments *a)
{
    char path[PATH_MAX], world[64];
    struct scenario *s = &session->scenario;
    int rc = scenario_load(s, find_scenario(a->scenario, path, sizeof path), session->error);
    for (size_t i = 0; rc == 0 && i < a->n_sets; i++)
        rc = scenario_set(s, a->sets[i], session->error);
    if (rc == 0 && a->world && strcmp(a->world, "null") != 0 && strcmp(a->world, "sim") != 0 &&
        strcmp(a->world, "real") != 0) {
        snprintf(session->error, sizeof session->error, "--world: expected null, sim or real");
        rc = -EINVAL;
    }
    if (rc == 0 && a->world) {
        snprintf(world, sizeof world, "world=%.40s", a->world);
        rc = scenario_set(s, world, session->error);
    }
    if (rc == 0)
        rc = scenario_type(s, session->error);
    if (rc == 0 && scenario_hash(s, session->sha256) != 0) {
        snprintf(session->error, sizeof session->error, "SHA-256 is not available");
        rc = -EIO;
    }
    return rc;
}

static int load_catalog(struct session *session, const char *profile)
{
    char data[PATH_MAX], folder[PATH_MAX + 32];
    if (datadir_find(data, sizeof data) != 0) {
        snprintf(session->error, sizeof session->error,
                 "expected scenarios/catalog in the working folder, beside the program, or where "
                 "KVTWIN_DATA says");
        return -ENOENT;
    }
    snprintf(folder, sizeof folder, "%s/scenarios/catalog", data);
    int rc = catalog_load(&session->catalog, folder, session->error, sizeof session->error);
    if (rc == 0 && profile)
        rc = catalog_overlay(session->catalog, profile, session->error, sizeof session->error);
    return rc;
}

int session_load(struct session *s, const struct session_arguments *a)
{
    int rc = load_scenario(s, a);
    return rc ? rc : load_catalog(s, a->profile);
}

/* The trace: as given, seen from the working folder; else from the scenario's folder. */
static int find_trace(struct session *session)
{
    const struct scenario *s = &session->scenario;
    const char *given = s->workload.trace, *slash = strrchr(s->path, '/');
    int n = snprintf(session->trace, sizeof session->trace, "%s", given);
    if (access(given, F_OK) != 0 && given[0] != '/' && slash)
        n = snprintf(session->trace, sizeof session->trace, "%.*s/%s", (int)(slash - s->path),
                     s->path, given);
    if (n > 0 && (size_t)n < sizeof session->trace && access(session->trace, F_OK) == 0)
        return 0;
    char want[300];
    snprintf(want, sizeof want, "expected a file, but there is no %.200s", given);
    return resolve_refuse(s, "workload.trace", want, session->error);
}

/* The key that asks for tokens; NULL: none does. */
static const char *asks_for_tokens(const struct scenario_cache *cache)
{
    if (!cache->enabled)
        return NULL;
    if (cache->approximate_threshold > 0)
        return "cache.match.approximate.threshold";
    return cache->match_radix ? "cache.match.radix" : NULL;
}

bool session_asks_for_tokens(const struct scenario *s)
{
    return asks_for_tokens(&s->cache) != NULL;
}

/* What has no tokens cannot be matched by them. */
static int check_tokens(struct session *session)
{
    const char *key = asks_for_tokens(&session->scenario.cache);
    char want[200];
    if (!key || session->info.format == WL_PROMPTS)
        return 0;
    snprintf(want, sizeof want,
             "expected a trace of prompts with text or tokens, but %.60s %s none",
             session->info.name,
             session->info.format == WL_GENERATED ? "is generated and has" : "has");
    return resolve_refuse(&session->scenario, key, want, session->error);
}

int session_workload(struct session *session)
{
    const struct scenario *s = &session->scenario;
    const struct scenario_workload *w = &s->workload;
    struct wl_options options;
    struct wl_error why = {""};
    int rc = w->trace ? find_trace(session) : 0;
    if (rc != 0)
        return rc;
    wl_options_init(&options);
    options.path = w->trace ? session->trace : NULL;
    options.generate = w->generate;
    options.format = (enum wl_format)w->format;
    options.trace_block_tokens = (uint32_t)w->trace_block_tokens;
    options.block_tokens = (uint32_t)s->cache.block_tokens;
    options.partial_blocks = s->cache.partial_blocks;
    options.tenant_salts = w->tenant_salts;
    options.model_epoch = s->cache.model_epoch;
    options.layout = s->cluster.model;
    options.seed = s->seed;
    options.rate_scale = w->rate_scale;
    options.skip = w->skip;
    options.limit = w->limit;
    options.warmup_ns = w->warmup_ns;
    options.max_output_tokens =
        w->max_output_tokens < UINT32_MAX ? (uint32_t)w->max_output_tokens : UINT32_MAX;
    options.synth = (struct wl_synth){.system_tokens = (uint32_t)w->synth_system_tokens,
                                      .continues = w->synth_continues,
                                      .idle_ns = w->synth_idle_ns};
    struct wl_prompt_sink sink;
    wl_prompts_free(session->prompts);
    session->prompts = NULL;
    if (session_asks_for_tokens(s)) {
        session->prompts = wl_prompts_new();
        if (!session->prompts) {
            snprintf(session->error, sizeof session->error, "out of memory");
            return -ENOMEM;
        }
        sink = wl_prompts_sink(session->prompts);
        options.prompts = &sink;
    }
    rc = wl_open(&session->source, &options, &why);
    if (rc != 0) {
        snprintf(session->error, sizeof session->error, "%s", why.text);
        return rc;
    }
    wl_source_info(session->source, &session->info);
    return check_tokens(session);
}

static bool wants_future(const struct session *session)
{
    bool any = false;
    for (int kind = 0; kind < KVT_TIERS; kind++) {
        const struct kvt_tier_config *tier = &session->resolved.core.tiers[kind];
        any |= tier->present && tier->evict && tier->evict->needs_future;
    }
    return any;
}

static int read_future(struct session *session)
{
    wl_future_free(session->future);
    const int rc = wl_future_new(&session->future, session->source);
    if (rc != 0)
        snprintf(session->error, sizeof session->error, "%s",
                 rc == -ENOMEM ? "the workload's future does not fit into memory"
                               : wl_source_error(session->source));
    return rc;
}

/* Faults must come while requests do: when is the last one? */
static int check_faults(struct session *session)
{
    struct kvt_request request;
    kvt_ns last_ns = 0;
    int got;
    wl_rewind(session->source);
    while ((got = wl_next(session->source, &request)) > 0)
        last_ns = request.arrive_ns;
    if (got < 0) {
        snprintf(session->error, sizeof session->error, "%s", wl_source_error(session->source));
        return got;
    }
    return faults_check_end(&session->resolved.faults, &session->scenario, last_ns, session->error);
}

static int renew_rollout(struct session *session)
{
    wl_rollout_free(session->rollout);
    session->rollout = NULL;
    if (session->resolved.rollout.at_ns == KVT_NEVER)
        return 0;
    session->rollout = wl_rollout_new(&session->resolved.rollout);
    if (session->rollout)
        return 0;
    snprintf(session->error, sizeof session->error, "out of memory");
    return -ENOMEM;
}

int session_resolve(struct session *session)
{
    uint32_t block = session->source ? session->info.block_tokens : WL_BLOCK_TOKENS;
    int rc =
        resolve(&session->resolved, &session->scenario, session->catalog, block, session->error);
    session->resolved.core.expected_blocks = session->source ? session->info.distinct_keys : 0;
    if (rc == 0 && session->source && wants_future(session))
        rc = read_future(session);
    if (rc == 0 && session->source && session->resolved.faults.n > 0)
        rc = check_faults(session);
    if (rc == 0)
        rc = renew_rollout(session);
    if (rc == 0 && session->scenario.world == WORLD_REAL)
        rc = real_plan_init(&session->plan, &session->resolved, &session->scenario,
                            session->catalog, session->error);
    return rc;
}

void session_close(struct session *s)
{
    real_plan_release(&s->plan);
    wl_future_free(s->future);
    wl_rollout_free(s->rollout);
    wl_prompts_free(s->prompts);
    wl_close(s->source);
    catalog_free(s->catalog);
    scenario_release(&s->scenario);
}

/* ---- Small answers ----------------------------------------------------------------------------------- */

int session_exit(int status)
{
    return status == -ENOMEM || status == -EIO ? EXIT_FAILED : EXIT_BAD_INPUT;
}

const char *session_world(const struct session *s)
{
    static const char *const names[] = {"null", "sim", "real"};
    return names[s->scenario.world];
}

char *session_name(const struct session *s, char *name, size_t size)
{
    const char *slash = strrchr(s->scenario.path, '/');
    const char *base = slash ? slash + 1 : s->scenario.path;
    const char *dot = strrchr(base, '.');
    snprintf(name, size, "%.*s", (int)(dot && dot > base ? dot - base : INT_MAX), base);
    return name;
}

struct results_options session_results(const struct session *session, const char *name)
{
    const struct scenario *s = &session->scenario;
    const struct resolved *r = &session->resolved;
    struct results_options options = {
        .world = session_world(session),
        .scenario = s->path,
        .scenario_name = name,
        .scenario_sha256 = session->sha256,
        .question = s->question,
        .revision = kvtwin_revision(),
        .model = s->cluster.model,
        .gpu = s->cluster.gpu,
        .seed = s->seed,
        .engines = r->core.engines,
        .gpus_per_engine = (uint32_t)s->cluster.gpus_per_engine,
        .block_tokens = r->core.block_tokens,
        .page_tokens = r->core.page_tokens,
        .approximate = r->core.cache && r->core.approximate_threshold > 0,
        .radix = r->core.cache && r->core.count_partial,
        .warmup_ns = s->workload.warmup_ns,
        .interval_ns = KVT_NEVER,
        .expected_requests = session->info.requests,
        .slo_ttft_ns = s->slo.ttft_p95_ns == KVT_NEVER ? 0 : s->slo.ttft_p95_ns,
        .slo_tpot_ns = s->slo.tpot_p95_ns == KVT_NEVER ? 0 : s->slo.tpot_p95_ns,
        .cost = &r->cost,
        .faults = r->faults.n > 0,
        .regions = r->regions.n > 1 ? &r->regions : NULL,
    };
    for (size_t kind = 0; kind < KVT_TIERS; kind++)
        options.tiers[kind] = (struct results_tier){r->core.tiers[kind].present && r->core.cache,
                                                    r->tier_blocks[kind], r->tier_b[kind]};
    return options;
}

static int next_request(void *self, struct kvt_request *request, char *error, size_t error_size)
{
    const struct session *s = self;
    int got = wl_next(s->source, request);
    if (got < 0)
        snprintf(error, error_size, "%s", wl_source_error(s->source));
    if (got > 0)
        request->region = regions_of_request(&s->resolved.regions, request);
    if (got > 0 && s->future)
        wl_future_tell(s->future, request);
    if (got > 0 && s->prompts && wl_prompts_tell(s->prompts, request) != 0) {
        snprintf(error, error_size, "out of memory");
        got = -ENOMEM;
    }
    return got;
}

struct drive_source session_source_part(struct session *s, enum wl_rollout_part part)
{
    wl_rewind(s->source);
    if (s->future)
        wl_future_rewind(s->future);
    if (s->prompts)
        wl_prompts_rewind(s->prompts);
    struct drive_source source = {.next = next_request, .self = s, .expected = s->info.requests};
    if (s->rollout && part != WL_ROLLOUT_NOTHING) {
        wl_rollout_begin(s->rollout, &(struct wl_rollout_feed){next_request, s}, part);
        source.next = wl_rollout_next;
        source.gone = wl_rollout_gone;
        source.self = s->rollout;
    }
    return source;
}

struct drive_source session_source(struct session *s)
{
    return session_source_part(s, WL_ROLLOUT_ALL);
}
