/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_faults.c - what faults did: faults.csv, fault_timeline.csv, keys of the summary, lines for people.
 *
 * Requests count where they arrive. Around each fault lie three windows, of the length that it lasted, but at least a
 * minute:
 *
 *      | ---- before ---- | == during ==== | ---- after ---- |
 *                         from             until, or a minute later
 *
 * A window ends where the traffic does.
 *
 * recovered: from `from` on, until the hit rate is back. The hit rate is taken over a moving window of half the
 * length, by requests in order of arrival. Where its lowest value, among windows that begin in during or after, is at
 * least 95 % of that before, nothing was to recover: 0. Else the end of the first window behind the lowest that comes
 * to 95 % again; none: the run ended before.
 */
#include "results_impl.h"

#include <errno.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <stdlib.h>
#include <string.h>

enum { TIMELINE_BINS = 120 };
static const double recovered_ratio = 0.95;
static const kvt_ns window_least_ns = 60 * KVT_SECOND;

/* A request, as far as it matters here. */
struct results_seen {
    uint64_t id;
    kvt_ns arrive_ns, first_token_ns, finish_ns;
    uint32_t prompt_tokens, hit_tokens;
    bool finished, affected;
};

struct results_faults {
    struct results_seen *seen; /* by arrival, once closed */
    size_t n, room;
    struct fault_events events;
    struct results_fault *fault; /* one for each event */
    kvt_ns end_ns;
};

/* ---- Keeping --------------------------------------------------------------------------------------- */

struct results_faults *faults_new(void)
{
    return calloc(1, sizeof(struct results_faults));
}

void faults_free(struct results_faults *f)
{
    if (f == NULL)
        return;
    free(f->seen);
    free(f->events.event);
    free(f->fault);
    free(f);
}

int faults_note(struct results_faults *f, const struct kvt_report *p)
{
    if (f->n == f->room) {
        const size_t room = f->room ? 2 * f->room : 1024;
        struct results_seen *more = realloc(f->seen, room * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        f->seen = more;
        f->room = room;
    }
    struct results_seen *s = &f->seen[f->n++];
    *s = (struct results_seen){.id = p->id,
                               .arrive_ns = p->arrive_ns,
                               .first_token_ns = p->first_token_ns,
                               .finish_ns = p->finish_ns,
                               .prompt_tokens = p->prompt_tokens,
                               .finished = p->outcome == KVT_FINISHED,
                               .affected = p->outcome == KVT_FAILED};
    for (int class = KVT_HIT_GPU; class <= KVT_HIT_DISK; class ++)
        s->hit_tokens += p->ledger_tokens[class];
    s->affected |= p->ledger_tokens[KVT_COMPUTED_TIER_DOWN] > 0 ||
                   p->ledger_tokens[KVT_COMPUTED_LATE] > 0 ||
                   p->ledger_tokens[KVT_COMPUTED_CORRUPT] > 0 ||
                   p->ledger_tokens[KVT_COMPUTED_SHARD_MISSING] > 0;
    return 0;
}

/* ---- Windows --------------------------------------------------------------------------------------- */

static int by_arrival(const void *a, const void *b)
{
    const struct results_seen *x = a, *y = b;
    if (x->arrive_ns != y->arrive_ns)
        return x->arrive_ns < y->arrive_ns ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The first request that arrives at or after `at`. */
static size_t first_from(const struct results_faults *f, kvt_ns at)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (f->seen[middle].arrive_ns < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Figures of the requests that arrive in [from, until). sorted: room for all. */
static struct results_window window_of(const struct results_faults *f, kvt_ns from, kvt_ns until,
                                       double *sorted)
{
    struct results_window w = {0};
    uint64_t prompt = 0, hit = 0;
    size_t n = 0;
    for (size_t i = first_from(f, from); i < f->n && f->seen[i].arrive_ns < until; i++) {
        const struct results_seen *s = &f->seen[i];
        w.requests++;
        if (!s->finished)
            continue;
        prompt += s->prompt_tokens;
        hit += s->hit_tokens;
        sorted[n++] = (double)(s->first_token_ns - s->arrive_ns) / 1e6;
    }
    gsl_sort(sorted, 1, n);
    w.hit_rate = ratio_of((double)hit, (double)prompt);
    static const double q[3] = {0.50, 0.95, 0.99};
    for (int i = 0; i < 3; i++)
        w.ttft_ms[i] =
            n > 0 ? gsl_stats_quantile_from_sorted_data(sorted, 1, n, q[i]) : (double)NAN;
    return w;
}

/* The hit rate of requests that arrive in [at, at + length); NAN without any. */
static double hit_rate(const struct results_faults *f, kvt_ns at, kvt_ns length)
{
    uint64_t prompt = 0, hit = 0;
    for (size_t i = first_from(f, at); i < f->n && f->seen[i].arrive_ns < at + length; i++) {
        prompt += f->seen[i].finished ? f->seen[i].prompt_tokens : 0;
        hit += f->seen[i].finished ? f->seen[i].hit_tokens : 0;
    }
    return ratio_of((double)hit, (double)prompt);
}

static double recovered_s(const struct results_faults *f, const struct fault_event *e,
                          kvt_ns until_ns, kvt_ns length_ns, double before)
{
    const kvt_ns step_ns = length_ns / 2;
    double lowest = 2;
    size_t low = f->n;
    for (size_t i = first_from(f, e->from_ns);
         i < f->n && f->seen[i].arrive_ns < until_ns + length_ns; i++) {
        const double rate = hit_rate(f, f->seen[i].arrive_ns, step_ns);
        if (rate < lowest) {
            lowest = rate;
            low = i;
        }
    }
    if (isnan(before) || low == f->n)
        return (double)NAN;
    if (lowest >= recovered_ratio * before)
        return 0;
    for (size_t i = low; i < f->n && f->seen[i].arrive_ns + step_ns <= f->end_ns; i++)
        if (hit_rate(f, f->seen[i].arrive_ns, step_ns) >= recovered_ratio * before)
            return (double)(f->seen[i].arrive_ns + step_ns - e->from_ns) / 1e9;
    return (double)NAN;
}

static void close_one(const struct results_faults *f, const struct fault_event *e,
                      struct results_fault *one, double *sorted)
{
    kvt_ns until_ns = e->until_ns < f->end_ns ? e->until_ns : f->end_ns;
    kvt_ns length_ns = until_ns - e->from_ns;
    if (length_ns < window_least_ns)
        length_ns = window_least_ns;
    until_ns = e->from_ns + length_ns;
    const kvt_ns before_ns = e->from_ns > length_ns ? e->from_ns - length_ns : 0;
    one->at[0] = window_of(f, before_ns, e->from_ns, sorted);
    one->at[1] = window_of(f, e->from_ns, until_ns, sorted);
    one->at[2] = window_of(f, until_ns, until_ns + length_ns, sorted);
    for (size_t i = 0; i < f->n; i++) {
        const struct results_seen *s = &f->seen[i];
        const bool within = s->arrive_ns < until_ns && s->finish_ns >= e->from_ns;
        one->affected += within && s->affected;
        one->failed += within && !s->finished && s->affected;
    }
    one->recovered_s = recovered_s(f, e, until_ns, length_ns, one->at[0].hit_rate);
}

int faults_close(struct results *r, struct fault_events *events)
{
    struct results_faults *f = r->faults;
    if (f == NULL || events == NULL)
        return 0;
    f->events = *events;
    *events = (struct fault_events){0};
    f->end_ns = r->last_note_ns;
    if (f->n > 0)
        qsort(f->seen, f->n, sizeof *f->seen, by_arrival);
    double *sorted = malloc((f->n + 1) * sizeof *sorted);
    f->fault = calloc(f->events.n + 1, sizeof *f->fault);
    if (sorted == NULL || f->fault == NULL) {
        free(sorted);
        return -ENOMEM;
    }
    for (size_t i = 0; i < f->events.n; i++)
        close_one(f, &f->events.event[i], &f->fault[i], sorted);
    free(sorted);
    return 0;
}

/* ---- Files ----------------------------------------------------------------------------------------- */

static void count(struct out *o, uint64_t value)
{
    out_char(o, ',');
    out_u64(o, value);
}

static void decimal(struct out *o, double value, unsigned decimals)
{
    out_char(o, ',');
    out_fixed(o, value, decimals);
}

void csv_faults(struct out *o, const struct results *r)
{
    static const char *const when[] = {"before", "during", "after"};
    static const char *const quantile[] = {"p50", "p95", "p99"};
    const struct results_faults *f = r->faults;

    out_text(
        o,
        "# One line for each time that something broke. until: served again; empty: not within the "
        "run. in_flight: requests in the system when it began; affected: of those in the system "
        "within it, failed, or with prompt tokens computed because a tier was down, late, corrupt "
        "or "
        "lacked a shard. operations: probes, loads, stores and steps that ended so within it.\n");
    out_text(
        o, "# before, during, after: by arrival, of the length that it lasted, at least a minute. "
           "recovered_s: from its begin until the hit rate was back at 95 % of that before; 0: it "
           "never "
           "left; empty: not within the run.\n");
    out_text(o, "kind,target,from_s,until_s,failed_over,requests_in_flight,requests_during,"
                "requests_affected,requests_failed,operations_timeout,operations_down,"
                "operations_corrupt,operations_busy,blocks_lost,redis_keys_lost");
    for (int w = 0; w < 3; w++) {
        out_text(o, ",prefix_hit_rate_");
        out_text(o, when[w]);
    }
    for (int q = 0; q < 3; q++) {
        for (int w = 0; w < 3; w++) {
            out_text(o, ",ttft_");
            out_text(o, quantile[q]);
            out_char(o, '_');
            out_text(o, when[w]);
            out_text(o, "_ms");
        }
    }
    out_text(o, ",recovered_s\n");
    for (size_t i = 0; f != NULL && i < f->events.n; i++) {
        const struct fault_event *e = &f->events.event[i];
        const struct results_fault *one = &f->fault[i];
        out_text(o, e->kind);
        out_char(o, ',');
        out_text(o, e->target);
        decimal(o, (double)e->from_ns / 1e9, 3);
        decimal(o, e->until_ns == KVT_NEVER ? (double)NAN : (double)e->until_ns / 1e9, 3);
        count(o, e->failed_over);
        count(o, e->in_flight);
        count(o, one->at[1].requests);
        count(o, one->affected);
        count(o, one->failed);
        count(o, e->ended[KVT_TIMEOUT]);
        count(o, e->ended[KVT_DOWN]);
        count(o, e->ended[KVT_CORRUPT]);
        count(o, e->ended[KVT_BUSY]);
        count(o, e->blocks_lost);
        count(o, e->keys_lost);
        for (int w = 0; w < 3; w++)
            decimal(o, one->at[w].hit_rate, 6);
        for (int q = 0; q < 3; q++)
            for (int w = 0; w < 3; w++)
                decimal(o, one->at[w].ttft_ms[q], 3);
        decimal(o, one->recovered_s, 3);
        out_char(o, '\n');
    }
}

void csv_fault_timeline(struct out *o, const struct results *r)
{
    const struct results_faults *f = r->faults;

    out_text(o, "# The run in equal parts, by arrival: what faults do to it. Empty where nothing "
                "was to break.\n");
    out_text(o, "time_s,interval_s,requests,prefix_hit_rate,ttft_p50_ms,ttft_p95_ms,ttft_p99_ms\n");
    double *sorted = f != NULL && f->n > 0 ? malloc(f->n * sizeof *sorted) : NULL;
    if (sorted == NULL)
        return;
    const kvt_ns last_ns = f->seen[f->n - 1].arrive_ns + 1;
    const kvt_ns part_ns = last_ns / TIMELINE_BINS + 1;
    for (kvt_ns at = 0; at < last_ns; at += part_ns) {
        const struct results_window w = window_of(f, at, at + part_ns, sorted);
        out_fixed(o, (double)(at + part_ns) / 1e9, 3);
        decimal(o, (double)part_ns / 1e9, 3);
        count(o, w.requests);
        decimal(o, w.hit_rate, 6);
        for (int q = 0; q < 3; q++)
            decimal(o, w.ttft_ms[q], 3);
        out_char(o, '\n');
    }
    free(sorted);
}

size_t results_fault(const struct results *r, size_t i, const struct fault_event **event,
                     const struct results_fault **fault)
{
    const struct results_faults *f = r->faults;
    if (f == NULL || f->fault == NULL)
        return 0;
    if (i < f->events.n) {
        *event = &f->events.event[i];
        *fault = &f->fault[i];
    }
    return f->events.n;
}
