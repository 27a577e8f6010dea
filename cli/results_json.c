/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_json.c - summary.json and run.json.
 *
 * summary.json is one flat object with the keys in a fixed order; a key carries its unit. A
 * figure that is not defined (a mean of nothing, a rate over no time) is null. Baseline and SLO
 * keys are there only when there is a baseline or an SLO. Values are rounded to stated decimals
 * first: times to the nanosecond, ratios to 10^-6.
 *
 * run.json holds what is true of the machine and the hour: the one file that may differ between
 * two runs.
 */
#include "results_impl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The object under construction; out of memory sticks. */
struct object {
    json_t *json;
    bool failed;
};

static void put(struct object *o, const char *key, json_t *value)
{
    if (json_object_set_new(o->json, key, value) != 0)
        o->failed = true;
}

static void put_text(struct object *o, const char *key, const char *text)
{
    json_t *value = json_string(text); /* NULL when text is not UTF-8 */
    put(o, key, value != NULL ? value : json_string("(not UTF-8)"));
}

static void put_count(struct object *o, const char *key, uint64_t value)
{
    put(o, key, json_integer((json_int_t)value));
}

static void put_real(struct object *o, const char *key, double value, unsigned decimals)
{
    put(o, key, isfinite(value) ? json_real(round_to(value, decimals)) : json_null());
}

/* The same with a key in parts. */
static const char *key_of(char key[64], const char *a, const char *b, const char *c)
{
    snprintf(key, 64, "%s%s%s", a, b, c);
    return key;
}

static void put_latency(struct object *o, const char *prefix, const char *name,
                        const struct results_latency *l)
{
    const struct {
        const char *name;
        double ms;
    } all[] = {{"_mean_ms", l->mean_ms},
               {"_p50_ms", l->p50_ms},
               {"_p95_ms", l->p95_ms},
               {"_p99_ms", l->p99_ms},
               {"_max_ms", l->max_ms}};
    char key[64];

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char tail[32];
        snprintf(tail, sizeof tail, "%s%s", name, all[i].name);
        put_real(o, key_of(key, prefix, tail, ""), all[i].ms, 6);
    }
}

static void put_per_tier(struct object *o, const char *stem, const uint64_t value[KVT_TIERS])
{
    char key[64];

    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        put_count(o, key_of(key, stem, kvt_tier_name((enum kvt_tier_kind)tier), ""), value[tier]);
}

/* As a string where jansson's signed integers end. */
static void put_seed(struct object *o, uint64_t seed)
{
    char text[OUT_NUMBER];

    if (seed <= INT64_MAX) {
        put_count(o, "seed", seed);
        return;
    }
    text[format_u64(text, seed)] = '\0';
    put_text(o, "seed", text);
}

static void put_identity(struct object *o, const struct results *r)
{
    const struct results_options *p = &r->options;

    put_text(o, "scenario", p->scenario);
    put_text(o, "scenario_name", p->scenario_name);
    put_text(o, "scenario_sha256", p->scenario_sha256);
    put_text(o, "question", p->question);
    put_text(o, "world", p->world);
    if (*r->real.device != '\0') {
        put_text(o, "device", r->real.device);
        put_text(o, "compute", "modelled");
    }
    put_seed(o, p->seed);
    put_text(o, "revision", p->revision);
    put_text(o, "decisions_digest", r->digest);
    put(o, "interrupted", json_boolean(r->interrupted));
    put_text(o, "model", p->model);
    put_text(o, "gpu", p->gpu);
    put_count(o, "engines", p->engines);
    put_count(o, "gpus_per_engine", p->gpus_per_engine);
    put_count(o, "block_tokens", p->block_tokens);
    put_count(o, "page_tokens", p->page_tokens);
    put_real(o, "warmup_s", (double)p->warmup_ns / 1e9, 9);
}

static void put_volume(struct object *o, const struct results *r)
{
    const struct results_figures *f = &r->figures;
    char key[64];

    put_count(o, "requests", f->requests);
    put_count(o, "requests_finished", f->finished);
    put_count(o, "requests_failed", f->requests_failed);
    put_count(o, "requests_rejected", f->requests_rejected);
    put_count(o, "requests_unfinished",
              r->stats.requests - r->stats.finished - r->stats.rejected - r->stats.failed);
    put_count(o, "requests_warmup", f->warmup_requests);
    put_count(o, "prompt_tokens", f->prompt_tokens);
    put_count(o, "output_tokens", f->output_tokens);
    put_count(o, "hit_tokens", f->hit_tokens);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        put_count(o, key_of(key, "hit_tokens_", kvt_tier_name((enum kvt_tier_kind)tier), ""),
                  f->ledger_tokens[KVT_HIT_GPU + tier]);
    put_count(o, "computed_tokens", f->prompt_tokens - f->hit_tokens);
    for (unsigned class = KVT_COMPUTED_COLD; class < KVT_LEDGER; class ++)
        put_count(o,
                  key_of(key, "computed_tokens_",
                         kvt_ledger_name((enum kvt_ledger) class) + strlen("computed_"), ""),
                  f->ledger_tokens[class]);
    put_count(o, "hit_blocks", f->hit_blocks);
    put_count(o, "lookup_blocks", f->lookup_blocks);
    put_real(o, "prefix_hit_rate", f->prefix_hit_rate, 6);
    for (unsigned source = 0; source <= SOURCE_NONE; source++)
        put_count(o, key_of(key, "requests_source_", results_source_name(source), ""),
                  f->source_requests[source]);
}

static void put_throughput(struct object *o, const char *prefix, const struct results_figures *f)
{
    char key[64];

    put_real(o, key_of(key, prefix, "duration_s", ""), f->duration_s, 9);
    put_real(o, key_of(key, prefix, "requests_per_s", ""), f->requests_per_s, 6);
    put_real(o, key_of(key, prefix, "output_tokens_per_s", ""), f->output_tokens_per_s, 3);
    put_real(o, key_of(key, prefix, "gpu_busy_ratio", ""), f->gpu_busy_ratio, 6);
}

static void put_slo(struct object *o, const struct results *r)
{
    const struct results_options *p = &r->options;

    if (p->slo_ttft_ns == 0 && p->slo_tpot_ns == 0)
        return;
    if (p->slo_ttft_ns > 0)
        put_real(o, "slo_ttft_ms", (double)p->slo_ttft_ns / 1e6, 6);
    if (p->slo_tpot_ns > 0)
        put_real(o, "slo_tpot_ms", (double)p->slo_tpot_ns / 1e6, 6);
    put_real(o, "slo_met_ratio", r->figures.slo_met_ratio, 6);
    put_real(o, "goodput_requests_per_s", r->figures.goodput_requests_per_s, 6);
    put_text(o, "definition_goodput",
             "finished requests that met every given SLO, per second of duration_s");
}

static void put_baseline(struct object *o, const struct results *r, const struct results *baseline)
{
    if (baseline == NULL)
        return;
    const struct results_figures *b = &baseline->figures;
    char key[64];

    put_count(o, "baseline_requests_finished", b->finished);
    for (unsigned m = 0; m < RESULTS_METRICS; m++)
        put_latency(o, "baseline_", results_metric_names[m], &b->latency[m]);
    put_throughput(o, "baseline_", b);
    put_text(o, "baseline_decisions_digest", baseline->digest);
    for (unsigned m = 0; m < RESULTS_METRICS; m++) {
        const struct results_latency *l = &r->figures.latency[m];
        put_real(o, key_of(key, "speedup_", results_metric_names[m], "_mean"),
                 ratio_of(b->latency[m].mean_ms, l->mean_ms), 6);
        put_real(o, key_of(key, "speedup_", results_metric_names[m], "_p50"),
                 ratio_of(b->latency[m].p50_ms, l->p50_ms), 6);
        put_real(o, key_of(key, "speedup_", results_metric_names[m], "_p95"),
                 ratio_of(b->latency[m].p95_ms, l->p95_ms), 6);
    }
    put_text(
        o, "definition_baseline",
        "the same requests on the same cluster with the cache off; speedup: baseline / this run");
}

static void put_memory(struct object *o, const struct results *r)
{
    const struct kvt_core_stats *s = &r->stats;

    put_real(o, "kv_waste_paged_ratio", r->figures.kv_waste_paged_ratio, 6);
    put_real(o, "kv_waste_contiguous_ratio", r->figures.kv_waste_contiguous_ratio, 6);
    put_count(o, "contiguous_refused", s->contiguous_refused);
    put_per_tier(o, "held_blocks_", r->gauges.held_blocks);
    put_per_tier(o, "held_bytes_", r->gauges.held_b);
    put_per_tier(o, "evicted_blocks_", s->evicted_blocks);
    put_per_tier(o, "expired_blocks_", s->expired_blocks);
    put_per_tier(o, "stored_blocks_", s->stored_blocks);
    put_per_tier(o, "loaded_blocks_", s->loaded_blocks);
    put_per_tier(o, "store_failures_", s->store_failures);
    put_per_tier(o, "store_shed_blocks_", s->store_shed_blocks);
    put_per_tier(o, "bytes_read_", s->bytes_read);
    put_per_tier(o, "bytes_written_", s->bytes_written);
    put_per_tier(o, "orphan_bytes_", r->orphan_b);
    put_count(o, "preemptions", s->preemptions);
    put_count(o, "recomputed_tokens", s->recomputed_tokens);
    put_count(o, "abandoned_loads", s->abandoned_loads);
    put_count(o, "single_flight_waits", s->single_flight_waits);
    put_count(o, "steps", s->steps);
    put_count(o, "iterations", s->iterations);
}

/* Where matching by tokens was asked for. */
static void put_matching(struct object *o, const struct results *r)
{
    const struct kvt_core_stats *s = &r->stats;

    if (r->options.approximate) {
        put_count(o, "approx_lookups", s->approx_lookups);
        put_count(o, "approx_candidates_seen", s->approx_candidates_seen);
        put_count(o, "approx_compared", s->approx_compared);
        put_count(o, "approx_above_threshold", s->approx_above_threshold);
        put_count(o, "approx_found", s->approx_found);
        put_count(o, "approx_hits", s->approx_hits);
        put_count(o, "approx_hits_chain_found_anyway", s->approx_hits_chain_found_anyway);
        put_count(o, "approx_tokens_common", s->approx_common_tokens);
        put_count(o, "approx_tokens_reused", s->approx_reused_tokens);
    }
    if (r->options.radix) {
        put_count(o, "radix_tokens_possible", s->radix_possible_tokens);
        put_count(o, "radix_tokens_reused", s->radix_reused_tokens);
    }
}

/* Where there is more than one tenant. */
static void put_tenants(struct object *o, const struct results *r)
{
    char key[64];

    if (r->tenants[0].requests == r->figures.finished)
        return;
    for (unsigned i = 0; i < RESULTS_TENANTS; i++) {
        const struct results_tenant *t = &r->tenants[i];
        if (t->requests == 0)
            continue;
        snprintf(key, sizeof key, "requests_finished_tenant_%u", i);
        put_count(o, key, t->requests);
        snprintf(key, sizeof key, "prompt_tokens_tenant_%u", i);
        put_count(o, key, t->prompt_tokens);
        snprintf(key, sizeof key, "prefix_hit_rate_tenant_%u", i);
        put_real(o, key, ratio_of((double)t->hit_tokens, (double)t->prompt_tokens), 6);
        snprintf(key, sizeof key, "ttft_mean_tenant_%u_ms", i);
        put_real(o, key, ratio_of((double)t->ttft_ns, (double)t->requests) / 1e6, 6);
    }
}

/* Of engines whose GPUs evict each by itself only. */
static void put_orphans(struct object *o, const struct shards *s)
{
    if (!s->alone)
        return;
    put_text(o, "shard_evict", "alone");
    put_count(o, "shard_evicted_shards", s->evicted_shards);
    put_count(o, "shard_unusable_blocks", s->unusable_blocks);
    put_count(o, "shard_completed_blocks", s->again_blocks);
    put_count(o, "shard_kept_bytes", s->kept_b);
    put_count(o, "shard_orphan_bytes", s->orphan_b);
    put_count(o, "shard_orphan_most_bytes", s->orphan_most_b);
    put_real(o, "shard_orphan_mean_bytes", s->orphan_mean_b, 0);
    put_real(o, "shard_orphan_mean_ratio", s->orphan_mean_ratio, 6);
    put_text(o, "definition_shard_orphan",
             "shards of blocks that lack another one, which left its GPU alone: bytes at the end, "
             "at most, "
             "on average over time (and of what all GPUs have room for). completed: computed or "
             "loaded again "
             "while some of their shards were left, which were kept; unusable: blocks that came to "
             "lack one");
}

/* Of sharded engines only. */
static void put_shards(struct object *o, const struct results *r)
{
    const struct shards *s = &r->shards;
    char key[64];

    if (s->policy == NULL)
        return;
    put_text(o, "shard_policy", s->policy);
    put_text(o, "shard_access", s->access);
    put_count(o, "shard_replicas", s->replicas);
    put_real(o, "shard_held_balance", s->held_balance, 6);
    put_real(o, "shard_stored_balance", s->stored_balance, 6);
    put_real(o, "shard_read_balance", s->read_balance, 6);
    put_count(o, "shard_lost_blocks", s->lost_blocks);
    put_orphans(o, s);
    if (s->recopies) {
        put_count(o, "rereplicated_blocks", s->stats.recopy.copied_blocks);
        put_count(o, "rereplicated_bytes", s->stats.recopy.copied_b);
        put_count(o, "rereplication_failed_blocks", s->stats.recopy.failed_blocks);
        put_count(o, "rereplication_evicted_blocks", s->stats.recopy.evicted_blocks);
        put_count(o, "rereplicating_engines", s->stats.recopy.left);
        put_real(o, "rereplication_took_s", (double)s->stats.recopy.took_ns / 1e9, 9);
        put_text(
            o, "definition_rereplication",
            "copies of shards that were lost with a GPU, of blocks that had others: made anew; "
            "took: as long as an engine lacked some, summed up; rereplicating_engines still do");
    }
    for (uint32_t i = 0; i < s->n_loss; i++) {
        snprintf(key, sizeof key, "shard_loss_of_%u_mean_ratio", s->loss[i].dead);
        put_real(o, key, s->loss[i].mean_ratio, 6);
        snprintf(key, sizeof key, "shard_loss_of_%u_worst_ratio", s->loss[i].dead);
        put_real(o, key, s->loss[i].worst_ratio, 6);
    }
    put_text(
        o, "definition_shard_balance",
        "bytes of the fullest (stored since the start, read since the start: busiest) GPU over the "
        "mean of all");
    put_text(o, "definition_shard_loss",
             "cached blocks lost if k GPUs of each engine died at once, over all choices of k");
}

/* Of the real world only. */
static void put_real_world(struct object *o, const struct results *r)
{
    const struct results_real *real = &r->real;
    char key[64];

    if (*real->device == '\0')
        return;
    put_count(o, "real_verified_bytes", real->verified_b);
    put_count(o, "real_corrupt_values", real->corrupt_pieces);
    for (unsigned status = 0; status < KVT_STATUSES; status++)
        put_count(o, key_of(key, "real_operations_", kvt_status_name((enum kvt_status)status), ""),
                  real->operations[status]);
    put_count(o, "real_late_steps", real->late_steps);
    put_real(o, "real_late_most_ms", (double)real->late_ns_most / 1e6, 6);
}

/* Takes o->json. */
static char *dump(struct object *o)
{
    char *text = o->failed || o->json == NULL
                     ? NULL
                     : json_dumps(o->json, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(o->json);
    if (text == NULL)
        return NULL;
    size_t n = strlen(text);
    char *line = realloc(text, n + 2);
    if (line == NULL) {
        free(text);
        return NULL;
    }
    memcpy(line + n, "\n", 2);
    return line;
}

/* Where something was to break: all of it together; one by one in faults.csv. */
static void put_faults(struct object *o, const struct results *r)
{
    const struct fault_event *e = NULL;
    const struct results_fault *f = NULL;
    uint64_t affected = 0, failed = 0, blocks = 0, timeouts = 0;
    double longest_s = 0;

    if (r->faults == NULL || has_resize(r))
        return;
    const size_t n = results_fault(r, 0, &e, &f);
    for (size_t i = 0; i < n; i++) {
        results_fault(r, i, &e, &f);
        affected += f->affected;
        failed += f->failed;
        blocks += e->blocks_lost;
        timeouts += e->ended[KVT_TIMEOUT];
        longest_s =
            isnan(f->recovered_s) || longest_s > f->recovered_s ? longest_s : f->recovered_s;
    }
    put_count(o, "faults", n);
    put_count(o, "fault_requests_affected", affected);
    put_count(o, "fault_requests_failed", failed);
    put_count(o, "fault_blocks_lost", blocks);
    put_count(o, "fault_operations_timeout", timeouts);
    put_real(o, "fault_recovered_most_s", longest_s, 3);
}

char *json_summary(const struct results *r, const struct results *baseline)
{
    struct object o = {.json = json_object()};
    char key[64];

    put_identity(&o, r);
    put_volume(&o, r);
    for (unsigned m = 0; m < RESULTS_METRICS; m++)
        put_latency(&o, "", results_metric_names[m], &r->figures.latency[m]);
    put_real(&o, "tpot_token_weighted_mean_ms",
             ratio_of((double)r->decode_ns, (double)r->decode_tokens) / 1e6, 6);
    put_throughput(&o, "", &r->figures);
    put_slo(&o, r);
    put_baseline(&o, r, baseline);
    put_memory(&o, r);
    put_matching(&o, r);
    put_tenants(&o, r);
    put_shards(&o, r);
    put_faults(&o, r);
    put_real_world(&o, r);
    o.failed |= json_cost(o.json, r, baseline) != 0;
    o.failed |= json_rollout(o.json, r) != 0;
    o.failed |= json_regions(o.json, r) != 0;
    o.failed |= json_resize(o.json, r) != 0;
    for (unsigned m = 0; m < RESULTS_METRICS; m++)
        put_text(&o, key_of(key, "definition_", results_metric_names[m], ""),
                 results_definitions[m]);
    put_text(&o, "definition_prefix_hit_rate",
             "prompt tokens found in any tier and not computed / prompt tokens");
    put_text(&o, "definition_duration_s",
             "first measured arrival (or the end of the warm-up) to the last event of the run");
    return dump(&o);
}

/* ---- run.json ---- */

static void put_cpu(struct object *o)
{
    FILE *info = fopen("/proc/cpuinfo", "re");
    char line[256];

    while (info != NULL && fgets(line, sizeof line, info) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            put_text(o, "cpu", colon + 1 + strspn(colon + 1, " "));
            break;
        }
    }
    if (info != NULL)
        fclose(info);
}

char *json_run(const struct results *r)
{
    struct object o = {.json = json_object()};
    struct rusage usage = {0};
    struct utsname host = {0};
    struct tm utc;
    time_t now = time(NULL);
    char when[32] = "";
    double wall_s = (double)r->wall_ns / 1e9;

    if (gmtime_r(&now, &utc) != NULL)
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    put_text(&o, "finished_at", when);
    put_text(&o, "command", r->options.command);
    put_real(&o, "wall_s", wall_s, 6);
    put_real(&o, "requests_per_wall_s",
             ratio_of((double)(r->stats.finished + r->stats.rejected + r->stats.failed), wall_s),
             1);
    put_real(&o, "simulated_s_per_wall_s", ratio_of((double)r->last_note_ns / 1e9, wall_s), 1);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        put_count(&o, "peak_memory_bytes", (uint64_t)usage.ru_maxrss * 1024);
        put_real(&o, "cpu_s",
                 (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
                 6);
    }
    put_count(&o, "core_memory_bytes", r->core_memory_b);
    put_count(&o, "tracked_blocks", r->tracked_blocks);
    put_real(&o, "core_bytes_per_block",
             ratio_of((double)r->core_memory_b, (double)r->tracked_blocks), 1);
    if (uname(&host) == 0) {
        put_text(&o, "host", host.nodename);
        put_text(&o, "system", host.sysname);
        put_text(&o, "kernel", host.release);
        put_text(&o, "machine", host.machine);
    }
    put_cpu(&o);
    put_count(&o, "cpus", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    return dump(&o);
}
